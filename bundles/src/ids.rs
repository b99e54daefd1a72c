//! Ids, and the randomness that they and some addresses are made of.
//!
//! Runs in: an ordinary process. Privilege: none.

use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::Read as _;

/// 64 hexadecimal digits, as Docker has them.
pub(crate) fn made_up() -> Result<String> {
    Ok(hex(&random::<32>()?))
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("/dev/urandom")?;
    Ok(bytes)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_up() {
        let (a, b) = (made_up().unwrap(), made_up().unwrap());
        assert_ne!(a, b);
        assert!(a.len() == 64 && a.bytes().all(|c| c.is_ascii_hexdigit()));
    }

    #[test]
    fn bytes_have_two_digits_each() {
        assert_eq!(hex(&[0, 0x0f, 0xa0]), "000fa0");
    }
}
