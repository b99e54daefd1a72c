//! Patterns of paths: those of `COPY` and `ADD`, and those of .dockerignore.
//!
//! Runs in: pure. See `Match` of Go's path/filepath, whose rules both have, and the `**` that
//! .dockerignore has besides.

use anyhow::{Result, anyhow, ensure};
use regex_lite::Regex;

/// Bytes of a compiled pattern: what nobody types by hand is an attack on our memory.
const LARGEST: usize = 1 << 20;

/// Whether it is more than a name.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// Of a whole path. `deep` knows `**`, any number of directories.
pub(crate) fn compile(pattern: &str, deep: bool) -> Result<Regex> {
    let mut expression = String::from("^");
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if deep && chars.next_if_eq(&'*').is_some() => {
                // `**/` may also be no directory at all.
                if chars.next_if_eq(&'/').is_some() {
                    expression.push_str("(?s:.*/)?");
                } else {
                    expression.push_str("(?s:.*)");
                }
            }
            '*' => expression.push_str("[^/]*"),
            '?' => expression.push_str("[^/]"),
            '[' => class(&mut chars, &mut expression, pattern)?,
            '\\' => {
                let next = chars.next();
                ensure!(next.is_some(), "pattern {pattern:?}: nothing follows the \\");
                literal(&mut expression, next.unwrap_or_default());
            }
            c => literal(&mut expression, c),
        }
    }
    expression.push('$');
    let built = regex_lite::RegexBuilder::new(&expression).size_limit(LARGEST).build();
    built.map_err(|_why| anyhow!("pattern {pattern:?}: can't be understood"))
}

fn literal(expression: &mut String, c: char) {
    expression.push_str(&regex_lite::escape(c.encode_utf8(&mut [0; 4])));
}

/// `[a-z]`, `[^a-z]`.
fn class(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    expression: &mut String,
    pattern: &str,
) -> Result<()> {
    let open = || anyhow!("pattern {pattern:?}: no ] ends the [");
    expression.push('[');
    if chars.next_if(|c| matches!(c, '^' | '!')).is_some() {
        expression.push_str("^/");
    }
    let mut is_empty = true;
    loop {
        let c = chars.next().ok_or_else(open)?;
        match c {
            ']' if !is_empty => break,
            '-' if !is_empty => expression.push('-'),
            '\\' => literal(expression, chars.next().ok_or_else(open)?),
            // These mean something in a class of an expression, and nothing in one of a pattern.
            '&' | '~' | '[' | ']' | '^' | '-' => {
                expression.push('\\');
                expression.push(c);
            }
            c => literal(expression, c),
        }
        is_empty = false;
    }
    expression.push(']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, path: &str) -> bool {
        compile(pattern, false).unwrap().is_match(path)
    }

    #[test]
    fn patterns_stay_in_their_directory() {
        for (pattern, path, wanted) in [
            ("*.txt", "a.txt", true),
            ("*.txt", "d/a.txt", false),
            ("d/*.t?t", "d/a.txt", true),
            ("a[b-d]e", "ace", true),
            ("a[^b-d]e", "ace", false),
            ("a[!b-d]e", "axe", true),
            ("a[]]e", "a]e", true),
            ("a[&&x]", "a&", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("a.b", "axb", false),
            ("(a|b)", "a", false),
            ("é?", "éè", true),
            ("**", "a/b", false),
        ] {
            assert_eq!(fits(pattern, path), wanted, "{pattern} {path}");
        }
    }

    #[test]
    fn two_stars_cross_directories() {
        let fits = |pattern: &str, path: &str| compile(pattern, true).unwrap().is_match(path);
        for (pattern, path, wanted) in [
            ("**", "a/b", true),
            ("**/a", "a", true),
            ("**/a", "b/c/a", true),
            ("**/a", "ba", false),
            ("a/**", "a/b/c", true),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
        ] {
            assert_eq!(fits(pattern, path), wanted, "{pattern} {path}");
        }
    }

    #[test]
    fn broken_patterns_are_told() {
        for wrong in ["a[", "a[b", "a\\", "[z-a]"] {
            let err = compile(wrong, false).unwrap_err().to_string();
            assert!(err.starts_with(&format!("pattern {wrong:?}: ")), "{err}");
        }
    }
}
