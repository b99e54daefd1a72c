//! `--filter KEY=VALUE`, as lists and prunes take it.
//!
//! Runs in: anywhere. Touches nothing.

use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow};
use regex_lite::Regex;
use std::collections::BTreeMap;

/// Of one command: the keys that it knows are checked when it is made.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    given: Vec<(String, String)>,
    names: Vec<Regex>,
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
            filters.given.push((key, value.to_owned()));
        }
        Ok(filters)
    }

    fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.given.iter().filter(move |(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// `name=`: one of the expressions is found in it, or there are none.
    pub(crate) fn name(&self, name: &str) -> bool {
        self.names.is_empty()
            || self.names.iter().any(|regex| regex.is_match(name))
            || self.values("name").any(|value| value == name)
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
