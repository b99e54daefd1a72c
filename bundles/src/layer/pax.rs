//! Records of a PAX extended header: `LENGTH KEY=VALUE\n`, see pax(1), "pax Extended Header".
//!
//! Runs in: an ordinary process of the user. Touches nothing. By length, not by line: the value
//! of `security.capability` is binary and may have a newline in it.

use super::archive::Record;
use anyhow::{Context as _, Result};

/// In their order; a key may come more than once.
pub(super) fn records(mut data: &[u8]) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    // Some writers fill the block with zeros and count them.
    while data.first().is_some_and(|byte| *byte != 0) {
        let (record, rest) = split(data).context("malformed PAX header")?;
        records.push(record);
        data = rest;
    }
    Ok(records)
}

fn split(data: &[u8]) -> Option<(Record, &[u8])> {
    let space = data.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(data.get(..space)?).ok()?.parse().ok()?;
    let record = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let key = std::str::from_utf8(record.get(..equals)?).ok()?.to_owned();
    Some(((key, record.get(equals + 1..)?.to_vec()), data.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_be_binary() {
        let got = records(b"9 a=\n\0=b\n6 b=c\n").unwrap();
        assert_eq!(got, [("a".into(), b"\n\0=b".to_vec()), ("b".into(), b"c".to_vec())]);
        assert_eq!(records(b"6 b=c\n\0\0").unwrap().len(), 1);
    }

    #[test]
    fn wrong_lengths_are_refused() {
        for bad in [
            &b"7 b=c\n"[..],
            b"5 b=c\n",
            b"99999999999999999999999 a=b\n",
            b"x a=b\n",
            b"1 a=b\n",
            b"5 ab\n",
            b"0 a=b\n",
        ] {
            assert_eq!(records(bad).unwrap_err().to_string(), "malformed PAX header");
        }
    }
}
