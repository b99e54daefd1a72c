//! The name of content: `sha256:` and 64 hexadecimal digits; and its making while bytes pass by.
//!
//! Runs in: an ordinary process of the user. Privilege: none.

use crate::ids::hex;
use anyhow::{Result, bail};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

/// The one algorithm that is used in practice. The digits are safe as a file name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Digest(String);

impl Digest {
    pub(crate) fn of(content: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(content);
        Self::finish(hasher)
    }

    /// Without the algorithm.
    pub(crate) fn hex(&self) -> &str {
        &self.0
    }

    fn finish(hasher: Sha256) -> Self {
        Self(hex(&hasher.finalize()))
    }
}

impl FromStr for Digest {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("sha256", hex)) if is_hex(hex) && hex.len() == 64 => Ok(Self(hex.to_owned())),
            Some(("sha256", _)) => {
                bail!("digest {text:?}: 64 digits of 0-9 and a-f have to follow sha256:")
            }
            Some((algorithm, _)) => {
                bail!("digest {text:?}: the algorithm {algorithm:?} is not known, only sha256 is")
            }
            None => bail!("digest {text:?}: sha256: and 64 hexadecimal digits are expected"),
        }
    }
}

pub(crate) fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// Passes bytes on, in either direction, and knows the digest of those that have passed.
pub(crate) struct Hashing<T> {
    inner: T,
    hasher: Sha256,
    count: u64,
}

impl<T> Hashing<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, hasher: Sha256::new(), count: 0 }
    }

    /// The digest and the number of bytes.
    pub(crate) fn finish(self) -> (Digest, u64) {
        (Digest::finish(self.hasher), self.count)
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.count += bytes.len() as u64;
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.passed(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.passed(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn empty_content_has_the_known_digest() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>().unwrap(), Digest::of(b""));
    }

    #[test]
    fn bytes_that_pass_are_counted_and_hashed() {
        let mut reader = Hashing::new(&b"hello"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(reader.finish(), (Digest::of(b"hello"), 5));
        let mut writer = Hashing::new(Vec::new());
        writer.write_all(b"hello").unwrap();
        assert_eq!(writer.finish(), (Digest::of(b"hello"), 5));
    }

    #[test]
    fn what_could_leave_a_directory_is_no_digest() {
        let upper = EMPTY.to_uppercase();
        for bad in ["", "sha256:", "sha256:../x", "sha512:00", "e3b0", &upper, &EMPTY[..70]] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
        let err = "sha512:00".parse::<Digest>().unwrap_err().to_string();
        assert_eq!(
            err,
            "digest \"sha512:00\": the algorithm \"sha512\" is not known, only sha256 is"
        );
    }
}
