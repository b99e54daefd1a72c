//! .dockerignore: what of a context no instruction sees.
//!
//! Runs in: pure. See ".dockerignore files" of Docker's documentation.

use super::{clean, glob};
use anyhow::{Context as _, Result};
use regex_lite::Regex;

/// The last pattern that fits decides.
#[derive(Debug, Default)]
pub(crate) struct Ignore(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    path: Regex,
    /// It begins with `!`: what fits is in the context after all.
    keeps: bool,
}

impl Ignore {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut patterns = Vec::new();
        for (line, number) in text.lines().zip(1_usize..) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (keeps, pattern) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let pattern = clean(pattern);
            if pattern.is_empty() {
                continue; // the context as a whole
            }
            let path = glob::compile(&pattern, true).with_context(|| format!("line {number}"))?;
            patterns.push(Pattern { path, keeps });
        }
        Ok(Self(patterns))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A path is left out with a directory above it, unless a later pattern keeps it.
    pub(crate) fn hides(&self, path: &str) -> bool {
        let mut hidden = false;
        for pattern in &self.0 {
            if pattern.keeps != hidden {
                continue; // it would change nothing
            }
            let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
            let mut parents = ends.filter_map(|end| path.get(..end));
            if parents.any(|path| pattern.path.is_match(path)) {
                hidden = !pattern.keeps;
            }
        }
        hidden
    }

    /// Whether a hidden directory has to be looked through all the same.
    pub(crate) fn keeps_any(&self) -> bool {
        self.0.iter().any(|pattern| pattern.keeps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_pattern_that_fits_decides() {
        let text = "# comment\n\n*.md\n!README*.md\nREADME-secret.md\n/build/\ntemp?\n**/*.o\n*/x\n./a/../b\n!build/keep\n.\n";
        let ignore = Ignore::parse(text).unwrap();
        assert!(ignore.keeps_any());
        for (path, hidden) in [
            ("a.md", true),
            ("README.md", false),
            ("README-secret.md", true),
            ("d/a.md", false),
            ("build", true),
            ("build/x/y", true),
            ("build/keep", false),
            ("build/keep/z", false),
            ("temp1", true),
            ("temp12", false),
            ("a.o", true),
            ("d/e/a.o", true),
            ("d/x", true),
            ("d/x/z", true),
            ("x", false),
            ("b", true),
            ("# comment", false),
        ] {
            assert_eq!(ignore.hides(path), hidden, "{path}");
        }
        assert!(Ignore::parse("*\n!a").unwrap().hides("b"));
        assert!(!Ignore::parse("*\n!a").unwrap().hides("a"));
    }

    #[test]
    fn mistakes_have_lines() {
        let err = Ignore::parse("a\nb[\n").unwrap_err();
        assert_eq!(crate::error::chain(&err), "line 2: pattern \"b[\": no ] ends the [");
    }
}
