//! One pass over a layer: digest of what came, inflate, digest of the archive, files.
//!
//! Runs in: an ordinary process of the user, or root of a user namespace.

use super::ahead::{Ahead, ahead};
use super::apply::{Limits, Of, apply};
use super::archive::Archive;
use crate::digest::{Digest, Hashing};
use anyhow::{Context as _, Result, ensure};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufReader, Read};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};

/// Above this many bytes of archive, more than [`STEEPEST`] of them for each byte that came are
/// taken for an attack. A gigabyte of zeros in gzip has 1030.
const UNSUSPICIOUS: u64 = 4 << 30;
const STEEPEST: u64 = 5_000;

/// Memory that a zstd stream may ask for: 2^27 bytes, the default of its own tools.
const ZSTD_WINDOW: u32 = 27;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// What has come, to be compared with what was promised.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) blob: Digest,
    pub(crate) diff_id: Digest,
    pub(crate) compression: Compression,
    /// Of the files, in bytes.
    pub(crate) size: u64,
}

/// Fills an empty directory. Until the digests are compared, nothing in it may be used.
pub(crate) fn unpack(
    blob: impl Read + Send,
    directory: BorrowedFd<'_>,
    limits: &Limits,
) -> Result<Unpacked> {
    pass(blob, limits, |inflated| {
        let mut archive = Archive::new(inflated);
        apply(&mut archive, directory, limits, Of::Layer)
    })
}

/// The same for any archive, in which no name has another meaning.
pub(crate) fn extract(
    blob: impl Read + Send,
    directory: BorrowedFd<'_>,
    limits: &Limits,
) -> Result<()> {
    let unpacked = pass(blob, limits, |inflated| {
        let mut archive = Archive::new(inflated);
        apply(&mut archive, directory, limits, Of::Files)
    });
    unpacked.map(drop)
}

/// Whether it is an archive, compressed or not: its first entry can be read.
pub(crate) fn is_archive(blob: impl Read) -> bool {
    let Ok((_, inflated)) = inflate(blob) else { return false };
    matches!(Archive::new(inflated).next(), Ok(Some(_)))
}

/// The same without files.
pub(crate) fn digests(blob: impl Read + Send, limits: &Limits) -> Result<Unpacked> {
    pass(blob, limits, |_| Ok(0))
}

/// Three threads: one reads and hashes what comes, one inflates and hashes that, this one applies.
fn pass(
    blob: impl Read + Send,
    limits: &Limits,
    apply: impl FnOnce(&mut Ahead) -> Result<u64>,
) -> Result<Unpacked> {
    let came = AtomicU64::new(0);
    let blob = Hashing::new(Counted { inner: blob, count: &came });
    let ((compression, diff_id, size), blob) = ahead(blob, |blob| {
        let (compression, inner) = inflate(&mut *blob)?;
        let bounded = Bounded { inner, came: &came, count: 0, most: most(limits) };
        let (size, archive) = ahead(Hashing::new(bounded), |archive| {
            let size = apply(archive)?;
            // The end marker is no end: the digest is that of all bytes.
            io::copy(archive, &mut io::sink())?;
            Ok(size)
        })?;
        let diff_id = archive.finish().0;
        io::copy(blob, &mut io::sink())?;
        Ok((compression, diff_id, size))
    })?;
    Ok(Unpacked { blob: blob.finish().0, diff_id, compression, size })
}

/// Files, a header and a filled-up block for each of them, and some extended headers.
fn most(limits: &Limits) -> u64 {
    limits.bytes.saturating_add(limits.entries.saturating_mul(4096)).saturating_add(1 << 20)
}

/// A stream whose first bytes have been looked at.
type Begun<R> = io::Chain<io::Cursor<Vec<u8>>, BufReader<R>>;

pub(crate) enum Inflated<R: Read> {
    Plain(Begun<R>),
    Gzip(Box<MultiGzDecoder<Begun<R>>>),
    Zstd(zstd::Decoder<'static, Begun<R>>),
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.read(buffer),
            Self::Gzip(gzip) => gzip.read(buffer),
            Self::Zstd(zstd) => zstd.read(buffer),
        }
    }
}

/// Looks at the first bytes, whatever a media type says.
pub(crate) fn inflate<R: Read>(blob: R) -> Result<(Compression, Inflated<R>)> {
    let mut blob = BufReader::with_capacity(128 * 1024, blob);
    // A pipe may give less than four bytes at first.
    let mut magic = Vec::new();
    (&mut blob).take(4).read_to_end(&mut magic)?;
    let blob = io::Cursor::new(magic.clone()).chain(blob);
    if magic.starts_with(&[0x1f, 0x8b]) {
        return Ok((Compression::Gzip, Inflated::Gzip(Box::new(MultiGzDecoder::new(blob)))));
    }
    if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut decoder = zstd::Decoder::with_buffer(blob).context("zstd")?;
        decoder.window_log_max(ZSTD_WINDOW).context("zstd")?;
        return Ok((Compression::Zstd, Inflated::Zstd(decoder)));
    }
    ensure!(!magic.starts_with(b"BZh"), "compressed with bzip2, which no image may be");
    ensure!(
        !magic.starts_with(&[0xfd, b'7', b'z', b'X']),
        "compressed with xz, which no image may be"
    );
    Ok((Compression::None, Inflated::Plain(blob)))
}

struct Counted<'a, R> {
    inner: R,
    count: &'a AtomicU64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Ends a stream that goes on and on.
struct Bounded<'a, R> {
    inner: R,
    came: &'a AtomicU64,
    count: u64,
    most: u64,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        if self.count > self.most {
            return Err(io::Error::other(format!("inflates to more than {} bytes", self.most)));
        }
        if self.count > UNSUSPICIOUS
            && self.count / self.came.load(Ordering::Relaxed).max(1) > STEEPEST
        {
            return Err(io::Error::other(format!(
                "inflates to more than {STEEPEST} times its size"
            )));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn through(blob: &[u8]) -> (Compression, Vec<u8>) {
        let (compression, mut inflated) = inflate(blob).unwrap();
        let mut content = Vec::new();
        inflated.read_to_end(&mut content).unwrap();
        (compression, content)
    }

    #[test]
    fn compression_is_known_by_its_first_bytes() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"hello").unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(through(&gzip), (Compression::Gzip, b"hello".to_vec()));
        // Two members are one content, as pigz writes it.
        assert_eq!(through(&[gzip.clone(), gzip].concat()).1, b"hellohello");
        let zstd = zstd::encode_all(&b"hello"[..], 1).unwrap();
        assert_eq!(through(&zstd), (Compression::Zstd, b"hello".to_vec()));
        assert_eq!(through(b"hello"), (Compression::None, b"hello".to_vec()));
        assert_eq!(through(b"h"), (Compression::None, b"h".to_vec()));
        assert_eq!(through(b""), (Compression::None, Vec::new()));
        let err = inflate(&b"BZh9"[..]).err().unwrap().to_string();
        assert_eq!(err, "compressed with bzip2, which no image may be");
    }

    #[test]
    fn stream_without_end_is_ended() {
        let came = AtomicU64::new(1);
        let mut bounded = Bounded { inner: io::repeat(0), came: &came, count: 0, most: 1 << 20 };
        let err = io::copy(&mut bounded, &mut io::sink()).unwrap_err();
        assert_eq!(err.to_string(), "inflates to more than 1048576 bytes");
        let mut steep =
            Bounded { inner: io::repeat(0), came: &came, count: UNSUSPICIOUS, most: u64::MAX };
        let err = io::copy(&mut steep, &mut io::sink()).unwrap_err();
        assert_eq!(err.to_string(), "inflates to more than 5000 times its size");
    }
}
