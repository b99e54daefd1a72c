//! How an error becomes the one line (and the hint) that a person reads.
//!
//! Runs in: any process. Knows nothing about containers.

use nix::errno::Errno;
use std::fmt;

/// One imperative sentence that tells the user what to do next.
///
/// It travels as a context of an [`anyhow::Error`] and is printed on a line of its own, so that
/// the first line stays what engines expect to grep.
#[derive(Debug)]
pub(crate) struct Hint(pub(crate) String);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Attaches a [`Hint`] where the cause of a failure is known.
pub(crate) trait OrHint<T> {
    fn hint(self, text: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrHint<T> for Result<T, E> {
    fn hint(self, text: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|err| err.into().context(Hint(text.into())))
    }
}

/// A failed call with the hint that belongs to its errno, if there is one.
pub(crate) fn hinted(err: crate::sys::Error, hints: &[(Errno, &str)]) -> anyhow::Error {
    let hint = hints.iter().find(|(errno, _)| *errno == err.errno);
    match hint {
        Some((_, hint)) => anyhow::Error::from(err).context(Hint((*hint).to_string())),
        None => err.into(),
    }
}

/// The causes joined by ": ", outermost first, without hints.
pub(crate) fn chain(err: &anyhow::Error) -> String {
    let hint = err.downcast_ref::<Hint>().map(|hint| hint.0.as_str());
    let causes: Vec<String> =
        err.chain().map(ToString::to_string).filter(|text| Some(text.as_str()) != hint).collect();
    causes.join(": ")
}

/// The hint of an error, found under any number of further contexts.
pub(crate) fn hint(err: &anyhow::Error) -> Option<&str> {
    err.downcast_ref::<Hint>().map(|hint| hint.0.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context as _, anyhow};

    #[test]
    fn hint_is_found_under_contexts_and_left_out_of_the_chain() {
        let err = Err::<(), _>(anyhow!("cause")).hint("do this").context("field").unwrap_err();
        assert_eq!(chain(&err), "field: cause");
        assert_eq!(hint(&err), Some("do this"));
    }
}
