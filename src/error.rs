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

/// The longest text that is shown, in characters; values of a config have no such bound.
const LONGEST: usize = 4000;

/// Fit for one line of a terminal or a log: names out of configs, images and hooks may hold line
/// breaks, escape sequences, or megabytes. Of a long text the end stays, too: the cause is there.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_bidi(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    let length = line.chars().count();
    if length <= LONGEST {
        return line;
    }
    let head = line.chars().take(LONGEST / 2);
    let tail = line.chars().skip(length - LONGEST / 2);
    head.chain(" [...] ".chars()).chain(tail).collect()
}

/// Characters that turn the direction of what follows, and hide what it says (CVE-2021-42574).
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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

    #[test]
    fn a_line_is_short_and_has_no_control_characters() {
        assert_eq!(one_line("a \u{e4}"), "a \u{e4}");
        assert_eq!(one_line("a\n\u{1b}[31m\u{202e}"), "a\\n\\u{1b}[31m\\u{202e}");
        let long = one_line(&format!("field: {}: cause", "\u{e4}".repeat(10_000)));
        assert!(
            long.chars().count() < LONGEST + 10
                && long.starts_with("field: ")
                && long.ends_with(": cause")
        );
    }
}
