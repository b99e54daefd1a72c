//! The keys that detach a terminal.
//!
//! Runs in: pure.

use anyhow::{Context as _, Result};
use std::str::FromStr;

/// A sequence, and how much of it has been typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    sequence: Vec<u8>,
    held: Vec<u8>,
}

impl Default for Keys {
    /// Ctrl-P Ctrl-Q.
    fn default() -> Self {
        Self { sequence: vec![0x10, 0x11], held: Vec::new() }
    }
}

impl FromStr for Keys {
    type Err = anyhow::Error;

    /// `ctrl-p,ctrl-q`, or single characters.
    fn from_str(text: &str) -> Result<Self> {
        let sequence: Option<Vec<u8>> = text.split(',').map(key).collect();
        // clap says of which flag, and what was typed.
        let sequence = sequence.context(
            "write keys with commas between: characters, or ctrl- and one of a-z @ [ \\ ] ^ _",
        )?;
        Ok(Self { sequence, held: Vec::new() })
    }
}

fn key(text: &str) -> Option<u8> {
    match (text.strip_prefix("ctrl-").unwrap_or_default().as_bytes(), text.as_bytes()) {
        ([letter @ b'a'..=b'z'], _) => Some(letter - b'a' + 1),
        ([other @ (b'@' | b'[' | b'\\' | b']' | b'^' | b'_')], _) => Some(other - b'@'),
        (_, [single]) => Some(*single),
        _ => None,
    }
}

impl Keys {
    /// What of the bytes is for the container, and whether the sequence is complete. Its beginning
    /// is held back until it is clear what comes after.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::new();
        for byte in bytes {
            self.held.push(*byte);
            while !self.sequence.starts_with(&self.held) {
                passed.push(self.held.remove(0));
            }
            if self.held == self.sequence {
                self.held.clear();
                return (passed, true);
            }
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read() {
        assert_eq!("ctrl-p,ctrl-q".parse::<Keys>().unwrap(), Keys::default());
        let keys: Keys = "ctrl-@,ctrl-[,a,-,ctrl-_".parse().unwrap();
        assert_eq!(keys.sequence, [0, 0x1b, b'a', b'-', 0x1f]);
        for wrong in ["", "ctrl-", "ctrl-P", "ctrl-1", "ab", "a,", "alt-x"] {
            assert!(wrong.parse::<Keys>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_the_whole_sequence_detaches() {
        let mut keys = Keys::default();
        assert_eq!(keys.pass(b"ab"), (b"ab".to_vec(), false));
        assert_eq!(keys.pass(b"a\x10"), (b"a".to_vec(), false));
        assert_eq!(keys.pass(b"\x10"), (b"\x10".to_vec(), false));
        assert_eq!(keys.pass(b"x"), (b"\x10x".to_vec(), false));
        assert_eq!(keys.pass(b"\x10"), (vec![], false));
        assert_eq!(keys.pass(b"\x11rest"), (vec![], true));
        let mut keys: Keys = "a,a,b".parse().unwrap();
        assert_eq!(keys.pass(b"aaab"), (b"a".to_vec(), true));
    }
}
