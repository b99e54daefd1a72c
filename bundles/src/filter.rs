//! `--filter KEY=VALUE`, as lists and prunes take it.
//!
//! Runs in: anywhere. Touches nothing but the clock.

use crate::commands::moment;
use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow};
use regex_lite::Regex;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Of one command: the keys that it knows are checked when it is made.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    given: Vec<(String, String)>,
    names: Vec<Regex>,
    /// Of `reference=`.
    patterns: Vec<Regex>,
    until: Vec<SystemTime>,
}

impl Filters {
    pub(crate) fn new(words: &[String], known: &[&str]) -> Result<Self> {
        let mut filters = Self::default();
        for word in words {
            let (key, value) = word
                .split_once('=')
                .with_context(|| format!("--filter {word}: not KEY=VALUE"))
                .hint(format!("the keys here are: {}", known.join(" ")))?;
            // `label!=x` is the filter `label!` of docker.
            let key = key.trim().to_ascii_lowercase();
            if !known.contains(&key.as_str()) {
                return Err(anyhow!("--filter {word}: no filter {key:?} here"))
                    .hint(format!("the keys here are: {}", known.join(" ")));
            }
            if key == "name" {
                let regex = Regex::new(value);
                filters.names.push(regex.with_context(|| format!("--filter {word}"))?);
            }
            if key == "reference" {
                filters.patterns.push(glob(value).with_context(|| format!("--filter {word}"))?);
            }
            if key == "until" {
                let time = moment(value).with_context(|| format!("--filter {word}: not a time"));
                filters.until.push(time.hint(
                    "write 2026-01-31T12:00:00Z, seconds since 1970, or an age, such as 24h",
                )?);
            }
            filters.given.push((key, value.to_owned()));
        }
        Ok(filters)
    }

    pub(crate) fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.given.iter().filter(move |(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// `name=`: one of the expressions is found in it, or there are none.
    pub(crate) fn name(&self, name: &str) -> bool {
        self.names.is_empty()
            || self.names.iter().any(|regex| regex.is_match(name))
            || self.values("name").any(|value| value == name)
    }

    /// `reference=`: one of the patterns is that of the whole name, or there are none.
    pub(crate) fn reference(&self, name: &str) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|regex| regex.is_match(name))
    }

    /// `id=`: the beginning of it.
    pub(crate) fn id(&self, id: &str) -> bool {
        self.any("id", |start| id.starts_with(start))
    }

    /// A key whose value is one of those given, or which is not given.
    pub(crate) fn one_of(&self, key: &str, value: &str) -> bool {
        self.any(key, |wanted| wanted == value)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.values(key).next().is_some()
    }

    /// A key for which one of the values fits, or which is not given.
    pub(crate) fn any(&self, key: &str, fits: impl Fn(&str) -> bool) -> bool {
        !self.has(key) || self.values(key).any(fits)
    }

    /// `label=KEY`, `label=KEY=VALUE` and `label!=`: all of them.
    pub(crate) fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |wanted: &str| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|have| have == value),
            None => labels.contains_key(wanted),
        };
        self.values("label").all(has) && !self.values("label!").any(has)
    }

    /// Whether something is from before each time of `until=`.
    pub(crate) fn is_before(&self, made: SystemTime) -> bool {
        self.until.iter().all(|until| made < *until)
    }

    /// A key that is true or false.
    pub(crate) fn truth(&self, key: &str) -> Result<Option<bool>> {
        let mut truth = None;
        for value in self.values(key) {
            truth = Some(match value {
                "1" | "t" | "true" | "True" | "TRUE" => true,
                "0" | "f" | "false" | "False" | "FALSE" => false,
                _ => {
                    return Err(anyhow!("--filter {key}={value}: neither true nor false"));
                }
            });
        }
        Ok(truth)
    }
}

/// A pattern of glob(7), where neither `*` nor `?` is a slash, as an expression.
fn glob(pattern: &str) -> Result<Regex> {
    let mut text = "^".to_owned();
    let mut letters = pattern.chars();
    let mut in_class = false;
    while let Some(letter) = letters.next() {
        match letter {
            '*' if !in_class => text.push_str("[^/]*"),
            '?' if !in_class => text.push_str("[^/]"),
            '[' | ']' | '^' | '-' => {
                // At the beginning of a class ^ is "none of these"; elsewhere it is itself.
                let is_mark = in_class || letter == '[';
                text.push_str(if is_mark { "" } else { "\\" });
                text.push(letter);
                in_class = letter == '[' || (in_class && letter != ']');
            }
            '\\' => text.push_str(&regex_lite::escape(
                letters.next().unwrap_or('\\').encode_utf8(&mut [0; 4]),
            )),
            other => text.push_str(&regex_lite::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    text.push('$');
    Regex::new(&text)
        .map_err(|_text| anyhow!("{pattern:?} is no pattern"))
        .hint("write * for any letters, ? for one, [a-z] for one of some")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(words: &[&str]) -> Result<Filters> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        Filters::new(&words, &["name", "label", "label!", "dangling", "driver"])
    }

    #[test]
    fn names_match_in_part_or_by_expression() {
        let f = filters(&["name=^web$", "name=dat"]).unwrap();
        assert!(f.name("web") && f.name("mydata"));
        assert!(!f.name("web2"));
        assert!(filters(&[]).unwrap().name("any"));
        // Not an expression that finds itself, but the name.
        assert!(filters(&["name=a+b"]).unwrap().name("a+b"));
        assert!(filters(&["name=("]).is_err());
    }

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, fits) in [
            ("app", "app", true),
            ("app", "apps", false),
            ("a*", "app:1", true),
            ("a*", "a/b", false),
            ("*/b:?", "x.io/b:1", true),
            ("a.p", "app", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("a-b", "a-b", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
        ] {
            assert_eq!(glob(pattern).unwrap().is_match(name), fits, "{pattern} {name}");
        }
        assert!(glob("[a").is_err());
    }

    #[test]
    fn labels_have_to_match_all() {
        let labels =
            BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
        assert!(filters(&["label=a", "label=b"]).unwrap().labels(&labels));
        assert!(filters(&["label=a=1"]).unwrap().labels(&labels));
        assert!(!filters(&["label=a=2"]).unwrap().labels(&labels));
        assert!(!filters(&["label=a", "label=c"]).unwrap().labels(&labels));
        assert!(!filters(&["label!=a"]).unwrap().labels(&labels));
        assert!(filters(&["label!=a=2"]).unwrap().labels(&labels));
    }

    #[test]
    fn wrong_filters_are_refused() {
        let err = |words: &[&str]| format!("{:#}", filters(words).unwrap_err());
        assert!(err(&["nonsense"]).contains("--filter nonsense: not KEY=VALUE"));
        assert!(err(&["size=3"]).contains("no filter \"size\" here"));
        let truth = filters(&["dangling=perhaps"]).unwrap().truth("dangling");
        assert_eq!(
            truth.unwrap_err().to_string(),
            "--filter dangling=perhaps: neither true nor false"
        );
        assert_eq!(filters(&["dangling=1"]).unwrap().truth("dangling").unwrap(), Some(true));
        assert!(filters(&["driver=local"]).unwrap().one_of("driver", "local"));
        assert!(!filters(&["driver=nfs"]).unwrap().one_of("driver", "local"));
    }
}
