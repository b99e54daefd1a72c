//! How an error becomes the one line (and the hint) that a person reads.
//!
//! Runs in: anywhere. The look is that of `rt`, whose source this program never links.

use std::fmt;

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

/// Several errors of one command, which went on after each.
#[derive(Debug)]
struct Several(Vec<anyhow::Error>);

impl fmt::Display for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} errors", self.0.len())
    }
}

impl std::error::Error for Several {}

/// All errors of a command that goes on after one.
pub(crate) fn all(mut errors: Vec<anyhow::Error>) -> anyhow::Result<()> {
    match errors.len() {
        0 => Ok(()),
        1 => Err(errors.remove(0)),
        _ => Err(anyhow::Error::new(Several(errors))),
    }
}

/// The errors of [`all`], or the one that there is.
pub(crate) fn each(err: &anyhow::Error) -> Vec<&anyhow::Error> {
    match err.downcast_ref::<Several>() {
        Some(several) => several.0.iter().collect(),
        None => vec![err],
    }
}
