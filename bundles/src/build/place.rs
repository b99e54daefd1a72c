//! Where something stands in a Dockerfile, for errors.
//!
//! Runs in: pure.

use crate::error;
use anyhow::anyhow;
use std::fmt;

/// Counted from one; columns in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// An error told at its place, with its cure.
pub(crate) fn told(place: Place, err: &anyhow::Error) -> anyhow::Error {
    let text = anyhow!(at(place, error::chain(err)));
    match error::hint(err) {
        Some(hint) => error::hinted(text, hint),
        None => text,
    }
}

/// The text of an error at a place.
pub(crate) fn at(place: Place, what: impl fmt::Display) -> String {
    format!("{place}: {what}")
}
