//! The bounds of `--assert`: which figure of which runtime must not be beyond what.
//! Runs in: the driver; parsing is pure and happens before anything is started.
//!
//! `[NAME:]ROW OP BOUND`, where OP is one of `<= < >= >` and BOUND is a number, a number times a runtime's
//! figure (`2.0xfloor`), or a runtime's figure and a number (`floor+5`). Without NAME the first
//! `--runtime` is meant. Spaces are allowed.

use anyhow::{Context, Result, bail};

use crate::figures::Row;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bound {
    pub(crate) text: String,
    pub(crate) subject: Option<String>,
    pub(crate) row: Row,
    compare: Compare,
    limit: Limit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
enum Limit {
    Number(f64),
    Times(f64, String),
    Plus(String, f64),
}

impl Bound {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let usage = || format!("--assert {text}: expected for example run<=2.0xfloor");
        let compact: String = text.split_whitespace().collect();
        let at = compact.find(['<', '>']).with_context(usage)?;
        let (left, right) = compact.split_at(at);
        let operators = [
            ("<=", Compare::LessOrEqual),
            (">=", Compare::GreaterOrEqual),
            ("<", Compare::Less),
            (">", Compare::Greater),
        ];
        let (compare, limit) = operators
            .into_iter()
            .find_map(|(sign, compare)| Some((compare, right.strip_prefix(sign)?)))
            .with_context(usage)?;
        let (subject, key) = match left.split_once(':') {
            Some((name, key)) => (Some(name.to_owned()), key),
            None => (None, left),
        };
        let Some(row) = Row::from_key(key) else {
            let known: Vec<&str> = Row::ALL.into_iter().map(Row::key).collect();
            bail!("--assert {text}: {key} is no row; the rows are {}", known.join(" "));
        };
        let limit = Limit::parse(limit).with_context(usage)?;
        Ok(Self { text: text.to_owned(), subject, row, compare, limit })
    }

    /// The runtime that the limit refers to.
    pub(crate) fn reference(&self) -> Option<&str> {
        match &self.limit {
            Limit::Number(_) => None,
            Limit::Times(_, name) | Limit::Plus(name, _) => Some(name),
        }
    }

    /// Whether the subject's figure keeps to the bound; `reference` is the figure of [`Self::reference`].
    pub(crate) fn holds(&self, figure: f64, reference: f64) -> bool {
        let limit = match self.limit {
            Limit::Number(number) => number,
            Limit::Times(factor, _) => factor * reference,
            Limit::Plus(_, number) => reference + number,
        };
        match self.compare {
            Compare::Less => figure < limit,
            Compare::LessOrEqual => figure <= limit,
            Compare::Greater => figure > limit,
            Compare::GreaterOrEqual => figure >= limit,
        }
    }
}

impl Limit {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse() {
            return Some(Self::Number(number));
        }
        if let Some((name, number)) = text.rsplit_once('+') {
            return Some(Self::Plus(name.to_owned(), number.parse().ok()?));
        }
        let (factor, name) = text.split_once('x')?;
        Some(Self::Times(factor.parse().ok()?, name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_number_a_multiple_or_a_sum() {
        let holds = |text: &str, figure, reference| {
            Bound::parse(text).map(|bound| bound.holds(figure, reference)).unwrap()
        };
        assert!(holds("run<=2.0xfloor", 4.0, 2.0));
        assert!(!holds("run<2.0xfloor", 4.0, 2.0));
        assert!(holds("delete-f < floor+5", 6.9, 2.0));
        assert!(!holds("delete-f < floor+5", 7.0, 2.0));
        assert!(holds("rt:runs4>=2xcrun", 400.0, 200.0));
        assert!(!holds("syscalls<=350", 351.0, 0.0));
    }

    #[test]
    fn a_bound_names_subject_and_reference() {
        let bound = Bound::parse("rt:run<1.0xcrun-1.8").unwrap();
        assert_eq!(bound.subject.as_deref(), Some("rt"));
        assert_eq!(bound.reference(), Some("crun-1.8"));
        assert_eq!(bound.row, Row::Run);
    }

    #[test]
    fn a_bad_bound_says_what_is_wrong() {
        let error = |text: &str| Bound::parse(text).unwrap_err().to_string();
        assert!(error("ran<1").starts_with("--assert ran<1: ran is no row"));
        assert!(error("run=1").ends_with("expected for example run<=2.0xfloor"));
        assert!(error("run<floor").ends_with("expected for example run<=2.0xfloor"));
    }
}
