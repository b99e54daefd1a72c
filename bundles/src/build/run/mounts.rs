//! `RUN --mount`: what a command sees that is no part of the image.
//!
//! Runs in: pure. See "RUN --mount" of the Dockerfile reference.

use crate::error::OrHint as _;
use crate::spec::values;
use anyhow::{Context as _, Result, anyhow, bail, ensure};

/// One of them, with the values of its variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) kind: Kind,
    /// Absolute, or from the working directory.
    pub(crate) target: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of the context, or of another stage or image.
    Bind { from: Option<String>, source: String, writable: bool },
    /// A directory that stays from build to build.
    Cache {
        id: String,
        from: Option<String>,
        source: String,
        read_only: bool,
        sharing: Sharing,
        owner: (u32, u32),
        mode: u32,
    },
    /// In bytes.
    Tmpfs { size: Option<u64> },
    Secret {
        id: String,
        required: bool,
        owner: (u32, u32),
        mode: u32,
        file: bool,
        env: Option<String>,
    },
}

/// What several commands do that want the same directory at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    Shared,
    Private,
    Locked,
}

/// The stage or image that a mount is from, before variables have values.
pub(crate) fn from(text: &str) -> Option<String> {
    let mut words = text.split(',').filter_map(|word| word.split_once('='));
    words.find(|(key, _)| *key == "from").map(|(_, value)| value.to_owned())
}

/// `type=…,KEY=VALUE,…`.
pub(crate) fn parse(text: &str) -> Result<Mount> {
    let told = || format!("--mount={text}");
    understood(text).with_context(told)
}

struct Given<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Given<'a> {
    /// A value of one of these names; it is not asked for again.
    fn take(&mut self, names: &[&str]) -> Option<&'a str> {
        let at = self.0.iter().rposition(|(key, _)| names.contains(key))?;
        let (_, value) = self.0.remove(at);
        self.0.retain(|(key, _)| !names.contains(key));
        Some(value)
    }

    fn switch(&mut self, names: &[&str]) -> Result<bool> {
        match self.take(names) {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(other) => bail!("{}={other}: true or false is possible", names.join(" or ")),
        }
    }

    fn number(&mut self, name: &str, usual: u32) -> Result<u32> {
        let Some(text) = self.take(&[name]) else { return Ok(usual) };
        text.parse().with_context(|| format!("{name}={text}: not a number"))
    }

    fn mode(&mut self, usual: u32) -> Result<u32> {
        let Some(text) = self.take(&["mode"]) else { return Ok(usual) };
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
        mode.with_context(|| format!("mode={text}: not an octal number up to 7777"))
    }
}

fn understood(text: &str) -> Result<Mount> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let pairs = words.map(|word| word.split_once('=').unwrap_or((word, "")));
    let mut given = Given(pairs.collect());
    let kind = given.take(&["type"]).unwrap_or("bind");
    let target = given.take(&["target", "dst", "destination"]).map(ToOwned::to_owned);
    let source = |given: &mut Given<'_>| given.take(&["source", "src"]).unwrap_or("/").to_owned();
    let from = given.take(&["from"]).map(ToOwned::to_owned);
    let writable = given.switch(&["rw", "readwrite"])?;
    let read_only = given.switch(&["ro", "readonly"])?;
    let needed = || target.clone().context("no target").hint("add target=PATH");
    let (kind, target) = match kind {
        "bind" => (Kind::Bind { from, source: source(&mut given), writable }, needed()?),
        "cache" => {
            let target = needed()?;
            let sharing = match given.take(&["sharing"]) {
                None | Some("shared") => Sharing::Shared,
                Some("private") => Sharing::Private,
                Some("locked") => Sharing::Locked,
                Some(other) => bail!("sharing={other}: shared, private or locked is possible"),
            };
            let id = given.take(&["id"]).filter(|id| !id.is_empty()).unwrap_or(&target).to_owned();
            let owner = (given.number("uid", 0)?, given.number("gid", 0)?);
            let (source, mode) = (source(&mut given), given.mode(0o755)?);
            (Kind::Cache { id, from, source, read_only, sharing, owner, mode }, target)
        }
        "tmpfs" => {
            let size = given.take(&["size"]).map(|text| values::bytes("size", text)).transpose()?;
            (Kind::Tmpfs { size }, needed()?)
        }
        "secret" => {
            let named = given.take(&["source", "src"]);
            let id = given.take(&["id"]).or(named);
            let name = |path: &String| path.rsplit('/').next().unwrap_or_default().to_owned();
            let id = id.map(ToOwned::to_owned).or_else(|| target.as_ref().map(name));
            let id = id
                .context("no id")
                .hint("add id=NAME, and --secret id=NAME,src=FILE to the command")?;
            let required = given.switch(&["required"])?;
            let owner = (given.number("uid", 0)?, given.number("gid", 0)?);
            let mode = given.mode(0o400)?;
            let env = given.take(&["env"]).map(ToOwned::to_owned);
            let file = env.is_none() || target.is_some();
            let target = target.unwrap_or_else(|| format!("/run/secrets/{id}"));
            (Kind::Secret { id, required, owner, mode, file, env }, target)
        }
        "ssh" => {
            return Err(anyhow!("type=ssh: not supported"))
                .hint("give the key as a secret: --mount=type=secret,id=NAME");
        }
        other => {
            return Err(anyhow!("type={other}: unknown"))
                .hint("the types are bind, cache, tmpfs and secret");
        }
    };
    if let Some((key, _)) = given.0.first() {
        bail!("unknown word {key:?}");
    }
    ensure!(!target.is_empty(), "an empty target");
    Ok(Mount { kind, target })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_their_usual_values() {
        let bind = parse("target=/x,from=stage,src=/a,rw").unwrap();
        let kind = Kind::Bind { from: Some("stage".into()), source: "/a".into(), writable: true };
        assert_eq!(bind, Mount { kind, target: "/x".into() });
        let Kind::Cache { id, sharing, mode, .. } =
            parse("type=cache,dst=/c,sharing=locked").unwrap().kind
        else {
            panic!("another")
        };
        assert_eq!((id.as_str(), sharing, mode), ("/c", Sharing::Locked, 0o755));
        let secret = parse("type=secret,id=key").unwrap();
        assert_eq!(secret.target, "/run/secrets/key");
        let secret = parse("type=secret,id=key,env=KEY").unwrap();
        assert!(matches!(secret.kind, Kind::Secret { file: false, .. }));
        assert_eq!(
            parse("type=tmpfs,target=/t,size=1k").unwrap().kind,
            Kind::Tmpfs { size: Some(1024) }
        );
        assert_eq!(from("type=bind,from=a,target=/x"), Some("a".into()));
    }

    #[test]
    fn mistakes_are_told() {
        for (text, told) in [
            ("type=bind", "--mount=type=bind: no target"),
            ("type=nope,target=/x", "--mount=type=nope,target=/x: type=nope: unknown"),
            ("target=/x,colour=red", "--mount=target=/x,colour=red: unknown word \"colour\""),
            (
                "type=cache,target=/x,mode=9",
                "--mount=type=cache,target=/x,mode=9: mode=9: not an octal number up to 7777",
            ),
            (
                "type=cache,target=/x,sharing=no",
                "--mount=type=cache,target=/x,sharing=no: sharing=no: shared, private or locked is possible",
            ),
            ("type=ssh", "--mount=type=ssh: type=ssh: not supported"),
        ] {
            let err = parse(text).unwrap_err();
            assert_eq!(crate::error::chain(&err), told);
        }
    }
}
