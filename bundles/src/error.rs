//! How an error becomes the one line (and the hint) that a person reads.
//!
//! Runs in: anywhere. The look is that of `rt`, whose source this program never links.

use std::fmt;
use std::io::Write as _;

/// One imperative sentence that tells the user what to do next.
#[derive(Debug)]
pub(crate) struct Hint(String);

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

/// The causes joined by ": ", outermost first, without the hint.
pub(crate) fn chain(err: &anyhow::Error) -> String {
    let causes: Vec<String> = err
        .chain()
        .map(ToString::to_string)
        .filter(|text| Some(text.as_str()) != hint(err))
        .collect();
    causes.join(": ")
}

/// The hint of an error, found under any number of further contexts.
pub(crate) fn hint(err: &anyhow::Error) -> Option<&str> {
    err.downcast_ref::<Hint>().map(|hint| hint.0.as_str())
}

/// Tells the person in front of the terminal.
pub(crate) fn report(err: &anyhow::Error) {
    let mut text = format!("bundles: {}\n", chain(err));
    if let Some(hint) = hint(err) {
        text.push_str(&format!("  hint: {hint}\n"));
    }
    std::io::stderr().write_all(text.as_bytes()).ok(); // nobody is left to be told
}
