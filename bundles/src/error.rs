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
        self.map_err(|err| hinted(err.into(), text))
    }
}

/// The same for an error that is not returned at once.
pub(crate) fn hinted(err: anyhow::Error, text: impl Into<String>) -> anyhow::Error {
    err.context(Hint(text.into()))
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

/// Whether a disk is full, or the user has had his share of it. Runtimes and monitors tell it only in
/// words.
pub(crate) fn is_full(err: &anyhow::Error) -> bool {
    const WORDS: [&str; 4] = ["No space left on device", "ENOSPC", "Disk quota exceeded", "EDQUOT"];
    let text = chain(err);
    WORDS.iter().any(|words| text.contains(words))
}

/// What a full disk needs.
const MAKE_ROOM: &str = "make room: bundles system prune, or another disk with --root DIR";

/// One line without anything that a terminal would obey: images and registries have a say in what
/// is told of them.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => plain.extend(c.escape_default()),
            false => plain.push(c),
        }
    }
    plain
}

/// Of a command that goes on with the next of its arguments.
#[derive(Debug)]
pub(crate) struct Several(Vec<anyhow::Error>);

impl fmt::Display for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} errors", self.0.len())
    }
}

impl std::error::Error for Several {}

/// All of them as one, or success.
pub(crate) fn all(mut errors: Vec<anyhow::Error>) -> anyhow::Result<()> {
    match errors.pop() {
        None => Ok(()),
        Some(only) if errors.is_empty() => Err(only),
        Some(last) => {
            errors.push(last);
            Err(Several(errors).into())
        }
    }
}

/// Standard output was closed: `bundles volume ls | head -n 1` is no failure to be told.
#[derive(Debug)]
pub(crate) struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output is closed")
    }
}

impl std::error::Error for Closed {}

/// The lines for standard error, each error with its hint.
pub(crate) fn report(err: &anyhow::Error) -> String {
    if let Some(several) = err.downcast_ref::<Several>() {
        return several.0.iter().map(report).collect();
    }
    if err.is::<Closed>() {
        return String::new();
    }
    let mut text = format!("bundles: {}\n", plain(&chain(err)));
    if let Some(hint) = hint(err).or_else(|| is_full(err).then_some(MAKE_ROOM)) {
        text.push_str(&format!("  hint: {}\n", plain(hint)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn each_of_several_errors_has_its_line() {
        assert!(all(Vec::new()).is_ok());
        assert_eq!(report(&all(vec![anyhow!("one")]).unwrap_err()), "bundles: one\n");
        let second: anyhow::Result<()> = Err(anyhow!("two")).hint("do three");
        let both = all(vec![anyhow!("one"), second.unwrap_err()]).unwrap_err();
        assert_eq!(report(&both), "bundles: one\nbundles: two\n  hint: do three\n");
        assert_eq!(report(&Closed.into()), "");
        let evil: anyhow::Result<()> = Err(anyhow!("é\n\u{1b}[2J")).hint("\u{9b}m");
        let shown = "bundles: é\\n\\u{1b}[2J\n  hint: \\u{9b}m\n";
        assert_eq!(report(&evil.unwrap_err()), shown);
    }

    #[test]
    fn full_disk_has_a_hint() {
        let full = || anyhow::Error::from(std::io::Error::from_raw_os_error(28)).context("write f");
        let text = "bundles: write f: No space left on device (os error 28)\n  hint: ";
        assert_eq!(report(&full()), format!("{text}{MAKE_ROOM}\n"));
        let own: anyhow::Result<()> = Err(full()).hint("its own");
        assert_eq!(report(&own.unwrap_err()), format!("{text}its own\n"));
    }
}
