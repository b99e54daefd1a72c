//! Names of images, by Docker's grammar: `[registry/]path[:tag][@digest]`.
//!
//! Runs in: an ordinary process of the user. Touches nothing.

use crate::digest::{Digest, is_hex};
use crate::error::OrHint as _;
use anyhow::{Context as _, Result, bail, ensure};
use std::fmt;

const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";

/// Complete: the registry is always named, `library/` is written out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Reference {
    pub(crate) registry: String,
    /// Without the registry: `library/busybox`.
    pub(crate) path: String,
    pub(crate) tag: Option<String>,
    pub(crate) digest: Option<Digest>,
}

impl Reference {
    /// A name as people type it. Neither tag nor digest are made up.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        parse(text).with_context(|| format!("image name {text:?}"))
    }

    /// Whether the name says nothing of a registry, so that the settings of this machine may.
    pub(crate) fn is_short(text: &str) -> bool {
        !text.split_once('/').is_some_and(|(first, _)| is_registry(first))
    }

    /// With the tag `latest` if there is neither tag nor digest.
    pub(crate) fn tagged(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// Without tag and digest, as people know it: `busybox`, `localhost:5000/x`. In full where the
    /// short name would be that of something else.
    pub(crate) fn repository(&self) -> String {
        let full = format!("{}/{}", self.registry, self.path);
        let short = [self.path.strip_prefix("library/"), Some(&*self.path)].into_iter().flatten();
        let means_this = |short: &&str| {
            parse(short).is_ok_and(|one| (&one.registry, &one.path) == (&self.registry, &self.path))
        };
        let known = short.filter(|_| self.registry == DEFAULT_REGISTRY).find(means_this);
        known.map_or(full, str::to_owned)
    }

    /// As people know it: `busybox:1.36`.
    pub(crate) fn familiar(&self) -> String {
        format!("{}{}", self.repository(), self.suffix())
    }

    fn suffix(&self) -> String {
        let tag = self.tag.iter().map(|tag| format!(":{tag}"));
        tag.chain(self.digest.iter().map(|digest| format!("@{digest}"))).collect()
    }
}

/// The complete name.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.registry, self.path, self.suffix())
    }
}

fn parse(text: &str) -> Result<Reference> {
    ensure!(!text.is_empty(), "empty");
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse()?)),
        None => (text, None),
    };
    ensure!(rest.len() != 64 || !is_hex(rest), "64 hexadecimal digits are an image ID, no name");
    // A colon before the last slash is that of a port.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        Some(_) | None => (rest, None),
    };
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let (registry, path) = match name.split_once('/') {
        Some((first, path)) if is_registry(first) => (first, path.to_owned()),
        Some(_) => (DEFAULT_REGISTRY, name.to_owned()),
        None => (DEFAULT_REGISTRY, format!("library/{name}")),
    };
    // The hub's old names.
    let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
    let path = if registry == DEFAULT_REGISTRY && !path.contains('/') {
        format!("library/{path}")
    } else {
        path
    };
    check_registry(registry)?;
    check_path(&path)?;
    ensure!(registry.len() + 1 + path.len() <= 255, "longer than 255 characters");
    Ok(Reference { registry: registry.to_owned(), path, tag: tag.map(str::to_owned), digest })
}

/// Docker's rule: the first part is a host if it could not be a part of a path.
fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.contains(char::is_uppercase)
}

fn check_registry(registry: &str) -> Result<()> {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (registry, None),
    };
    if let Some(port) = port {
        ensure!(port.parse::<u16>().is_ok(), "port {port:?} is no number up to 65535");
    }
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        ensure!(
            address.parse::<std::net::Ipv6Addr>().is_ok(),
            "registry {registry:?}: no IPv6 address in the brackets"
        );
        return Ok(());
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    ensure!(host.split('.').all(is_label), "registry {registry:?} is no name of a host");
    Ok(())
}

fn check_path(path: &str) -> Result<()> {
    if path.contains(char::is_uppercase) {
        let lower = path.to_lowercase();
        let lower = lower.strip_prefix("library/").unwrap_or(&lower);
        return Err(anyhow::anyhow!("repository names have no capital letters"))
            .hint(format!("type {lower}"));
    }
    for part in path.split('/') {
        ensure!(!part.is_empty(), "nothing between two slashes, or at an end");
        if let Some(bad) = part.chars().find(|c| !is_lower(*c) && !matches!(c, '.' | '_' | '-')) {
            bail!("{bad:?} cannot be in a repository name: a-z 0-9 . _ - / can");
        }
        ensure!(
            part.starts_with(is_lower) && part.ends_with(is_lower),
            "{part:?} has to begin and to end with a letter or a digit"
        );
        let separators = part.split(is_lower);
        if let Some(bad) = separators
            .into_iter()
            .find(|run| !matches!(*run, "" | "." | "_" | "__") && run.contains(['.', '_']))
        {
            bail!("{part:?}: {bad:?} cannot separate two parts of a name");
        }
    }
    Ok(())
}

fn is_lower(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn check_tag(tag: &str) -> Result<()> {
    ensure!(!tag.is_empty(), "nothing behind the colon");
    ensure!(tag.len() <= 128, "the tag has more than 128 characters");
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    ensure!(tag.starts_with(is_word), "the tag {tag:?} has to begin with a letter, a digit or _");
    if let Some(bad) = tag.chars().find(|c| !is_word(*c) && !matches!(c, '.' | '-')) {
        bail!("{bad:?} cannot be in a tag: letters, digits, _ . - can");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(text: &str) -> String {
        Reference::parse(text).unwrap().tagged().to_string()
    }

    fn error(text: &str) -> String {
        crate::error::chain(&Reference::parse(text).unwrap_err())
    }

    #[test]
    fn short_names_are_completed_as_docker_does() {
        for (typed, wanted) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("busybox:1.36", "docker.io/library/busybox:1.36"),
            ("ai/mariadb55:1", "docker.io/ai/mariadb55:1"),
            ("docker.io/busybox", "docker.io/library/busybox:latest"),
            ("index.docker.io/busybox", "docker.io/library/busybox:latest"),
            ("localhost/x", "localhost/x:latest"),
            ("localhost:5000/x:y", "localhost:5000/x:y"),
            ("localhost:5000/x", "localhost:5000/x:latest"),
            ("[::1]:5000/x", "[::1]:5000/x:latest"),
            ("quay.io/a/b/c:V1.0_2", "quay.io/a/b/c:V1.0_2"),
            ("a__b/c--d.e_f", "docker.io/a__b/c--d.e_f:latest"),
        ] {
            assert_eq!(full(typed), wanted);
        }
    }

    #[test]
    fn digest_stands_for_itself() {
        let digest = Digest::of(b"x");
        assert_eq!(full(&format!("a@{digest}")), format!("docker.io/library/a@{digest}"));
        assert_eq!(full(&format!("a:1@{digest}")), format!("docker.io/library/a:1@{digest}"));
    }

    #[test]
    fn familiar_name_leaves_out_what_docker_leaves_out() {
        for name in ["busybox:latest", "ai/x:1", "localhost:5000/x:y", "quay.io/library/x:1"] {
            assert_eq!(Reference::parse(name).unwrap().familiar(), name);
        }
        assert_eq!(Reference::parse("docker.io/library/a:1").unwrap().familiar(), "a:1");
        // Without docker.io, or library, these would be others.
        let id = format!("library/{}:1", "a".repeat(64));
        for name in ["docker.io/localhost/x:1", "docker.io/a.b/c:1", "library/a/b:1", &id] {
            assert_eq!(Reference::parse(name).unwrap().familiar(), name);
        }
    }

    #[test]
    fn errors_name_what_is_wrong() {
        for (typed, wanted) in [
            ("", "empty"),
            ("Busybox", "repository names have no capital letters"),
            ("a//b", "nothing between two slashes, or at an end"),
            ("a/", "nothing between two slashes, or at an end"),
            ("a:", "nothing behind the colon"),
            ("a:.b", "the tag \".b\" has to begin with a letter, a digit or _"),
            ("a:b c", "' ' cannot be in a tag: letters, digits, _ . - can"),
            ("a b", "' ' cannot be in a repository name: a-z 0-9 . _ - / can"),
            ("-a", "\"-a\" has to begin and to end with a letter or a digit"),
            ("a..b", "\"a..b\": \"..\" cannot separate two parts of a name"),
            ("x.y:port/z", "port \"port\" is no number up to 65535"),
            ("../x", "registry \"..\" is no name of a host"),
            ("a@sha256:1", "digest \"sha256:1\": 64 digits of 0-9 and a-f have to follow sha256:"),
        ] {
            assert_eq!(error(typed), format!("image name {typed:?}: {wanted}"));
        }
        let id = Digest::of(b"");
        assert!(error(id.hex()).ends_with("are an image ID, no name"));
    }
}
