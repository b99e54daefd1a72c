//! Lists of numbers as cpuset(7) writes them: `0-3,7`.
//!
//! Runs in: parent. Pure.

use anyhow::{Context as _, Result, ensure};

/// The text and the bit mask of CPUs or memory nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NumberSet {
    pub(crate) text: String,
    /// As many `unsigned long` as the highest number needs; bit 0 of the first is number 0.
    pub(crate) mask: Vec<usize>,
}

impl NumberSet {
    /// `what` is the singular of the numbers, which are at most `max`.
    pub(crate) fn new(field: &str, what: &str, text: &str, max: usize) -> Result<Self> {
        let mut mask = Vec::new();
        for part in text.split(',') {
            let part = part.trim();
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = number(first)
                .zip(number(last))
                .with_context(|| format!("{field}: {text:?} is not a list such as \"0-3,7\""))?;
            ensure!(first <= last, "{field}: the range {part:?} begins after its end");
            ensure!(last <= max, "{field}: there is no {what} {last}; the kernel knows 0 to {max}");
            let words = last / BITS + 1;
            if mask.len() < words {
                mask.resize(words, 0);
            }
            for n in first..=last {
                if let Some(word) = mask.get_mut(n / BITS) {
                    *word |= 1 << (n % BITS);
                }
            }
        }
        Ok(Self { text: text.to_string(), mask })
    }
}

const BITS: usize = usize::BITS as usize;

/// Digits only: `+1` is none of these lists.
fn number(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // What does not fit is too large for every list.
    digits.then(|| text.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_become_masks() {
        let mask = |text: &str| NumberSet::new("f", "CPU", text, 8191).unwrap().mask;
        assert_eq!(mask("0"), [1]);
        assert_eq!(mask("0-3,7"), [0b1000_1111]);
        assert_eq!(mask("7, 1-2 ,1"), [0b1000_0110]);
        assert_eq!(mask("64"), [0, 1]);
        assert_eq!(mask("63-64"), [1 << 63, 1]);
        assert_eq!(mask("2000").len(), 32);
    }

    #[test]
    fn bad_lists_are_refused() {
        let error = |text: &str| NumberSet::new("f", "CPU", text, 8191).unwrap_err().to_string();
        for text in ["", ",", "1,", "a", "-1", "1-", "1--2", "+1", "1:2", "0x1"] {
            assert_eq!(error(text), format!("f: {text:?} is not a list such as \"0-3,7\""));
        }
        assert_eq!(error("3-1"), "f: the range \"3-1\" begins after its end");
        assert_eq!(error("0-8192"), "f: there is no CPU 8192; the kernel knows 0 to 8191");
        let huge = error("99999999999999999999999");
        assert!(huge.starts_with("f: there is no CPU 18446744073709551615;"), "{huge}");
    }
}
