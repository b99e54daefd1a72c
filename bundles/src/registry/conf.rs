//! What registries.conf and daemon.json say: where a name leads to, and whom to trust.
//!
//! Runs in: an ordinary process of the user. Privilege: none; it only reads.
//!
//! Sources: containers-registries.conf(5), containers-registries.conf.d(5), and Docker's dockerd(8).

use super::{DOCKER_HUB, config_home};
use crate::error::OrHint as _;
use crate::home::entries;
use crate::net::subnet::Subnet;
use crate::reference::Reference;
use anyhow::{Context as _, Result, anyhow, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The settings of Docker's daemon, some of which count here.
const DAEMON: &str = "daemon.json";

/// registries.conf, version 2.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct File {
    unqualified_search_registries: Option<Vec<String>>,
    registry: Vec<Rule>,
    aliases: BTreeMap<String, String>,
    /// Version 1, of the time before 2019.
    registries: Option<toml::Table>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Rule {
    prefix: Option<String>,
    location: Option<String>,
    insecure: bool,
    blocked: bool,
    mirror_by_digest_only: bool,
    mirror: Vec<Mirror>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Mirror {
    location: String,
    insecure: bool,
    pull_from_mirror: Option<String>,
}

/// daemon.json, as far as it is about pulling.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Daemon {
    insecure_registries: Vec<String>,
    registry_mirrors: Vec<String>,
}

/// A repository at a place which may have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `host[:port]`, as in names of images.
    pub(crate) registry: String,
    pub(crate) path: String,
    /// Without TLS, or with a certificate that nobody vouches for.
    pub(crate) insecure: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Registries {
    search: Vec<String>,
    aliases: BTreeMap<String, String>,
    rules: Vec<Rule>,
    daemon: Daemon,
}

impl Registries {
    /// Reads the files of the system and of the user.
    pub(crate) fn read() -> Result<Self> {
        let mut registries = Self::default();
        for path in Self::sources()? {
            if path.file_name().is_some_and(|name| name == DAEMON) {
                registries.take_daemon(&path)?;
            } else {
                registries.take(&path)?;
            }
        }
        Ok(registries)
    }

    /// The files that there may be.
    pub(crate) fn sources() -> Result<Vec<PathBuf>> {
        let user = config_home();
        let mut all = files(user.as_deref())?;
        all.push(Path::new("/etc/docker").join(DAEMON));
        all.extend(user.map(|dir| dir.join("docker").join(DAEMON)));
        Ok(all)
    }

    fn take_daemon(&mut self, path: &Path) -> Result<()> {
        let Some(text) = read(path)? else { return Ok(()) };
        let daemon: Daemon =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        self.daemon.insecure_registries.extend(daemon.insecure_registries);
        self.daemon.registry_mirrors.extend(daemon.registry_mirrors);
        Ok(())
    }

    fn take(&mut self, path: &Path) -> Result<()> {
        let Some(text) = read(path)? else { return Ok(()) };
        let file: File = toml::from_str(&text)
            .map_err(|err| anyhow!("{}: {}", path.display(), one_line(&err.to_string())))?;
        if file.registries.is_some() {
            return Err(anyhow!("{}: [registries] is of version 1", path.display()))
                .hint("write it as [[registry]] tables, see containers-registries.conf(5)");
        }
        if let Some(search) = file.unqualified_search_registries {
            self.search = search;
        }
        self.aliases.extend(file.aliases);
        for rule in file.registry {
            ensure!(
                rule.name().is_some(),
                "{}: a [[registry]] has neither prefix nor location",
                path.display()
            );
            // A later file replaces what an earlier one said of the same prefix.
            self.rules.retain(|one| one.name() != rule.name());
            self.rules.push(rule);
        }
        Ok(())
    }

    /// The complete names which one that people type may stand for, in the order of trying. There
    /// is always one; several only for a name without registry, when registries.conf says so.
    pub(crate) fn candidates(&self, text: &str) -> Result<Vec<Reference>> {
        let reference = Reference::parse(text)?.tagged();
        if !Reference::is_short(text) {
            return Ok(vec![reference]);
        }
        let at = text.find(['@', ':']).unwrap_or(text.len());
        let (name, rest) = text.split_at(at);
        if let Some(full) = self.aliases.get(name) {
            let named = Reference::parse(&format!("{full}{rest}"));
            return Ok(vec![named.with_context(|| format!("alias of {name:?}"))?.tagged()]);
        }
        if self.search.is_empty() {
            return Ok(vec![reference]);
        }
        let at = |registry: &String| -> Result<Reference> {
            let named = Reference::parse(&format!("{registry}/{text}"));
            Ok(named.context("unqualified-search-registries")?.tagged())
        };
        self.search.iter().map(at).collect()
    }

    /// Where to look for it: mirrors first, the registry itself last.
    pub(crate) fn endpoints(&self, name: &Reference, insecure: bool) -> Result<Vec<Endpoint>> {
        let full = format!("{}/{}", name.registry, name.path);
        let Some((rule, rest)) = self.rule(&full) else {
            let mut found = Vec::new();
            if name.registry == DOCKER_HUB {
                for mirror in &self.daemon.registry_mirrors {
                    found.push(self.mirror(mirror, &name.path, insecure)?);
                }
            }
            found.push(self.endpoint(&full, insecure)?);
            return Ok(found);
        };
        if rule.blocked {
            let by = rule.name().unwrap_or_default();
            return Err(anyhow!("{by}: blocked by registries.conf"))
                .hint("take another registry, or let that [[registry]] have blocked = false");
        }
        let mut found = Vec::new();
        for mirror in &rule.mirror {
            let only = mirror.pull_from_mirror.as_deref().unwrap_or("all");
            let by_digest = name.digest.is_some();
            let fits = match only {
                "digest-only" => by_digest,
                "tag-only" => !by_digest,
                _ => by_digest || !rule.mirror_by_digest_only,
            };
            if fits {
                let full = format!("{}{rest}", mirror.location);
                found.push(self.endpoint(&full, insecure || mirror.insecure)?);
            }
        }
        let full = match &rule.location {
            Some(location) => format!("{location}{rest}"),
            None => full.clone(),
        };
        found.push(self.endpoint(&full, insecure || rule.insecure)?);
        Ok(found)
    }

    /// Of the longest prefix, with what is behind that.
    fn rule<'a>(&'a self, full: &'a str) -> Option<(&'a Rule, &'a str)> {
        let host = full.split('/').next().unwrap_or(full);
        let fits = |rule: &'a Rule| -> Option<(usize, &'a Rule, &'a str)> {
            let prefix = rule.name()?;
            let length = match prefix.strip_prefix('*') {
                Some(domain) => Some(host.len()).filter(|_| host.ends_with(domain)),
                None => full.starts_with(prefix).then_some(prefix.len()),
            }?;
            let rest = full.get(length..)?;
            (rest.is_empty() || rest.starts_with('/')).then_some((prefix.len(), rule, rest))
        };
        let longest = self.rules.iter().filter_map(fits).max_by_key(|(length, ..)| *length);
        longest.map(|(_, rule, rest)| (rule, rest))
    }

    /// A mirror of daemon.json, which is a URL.
    fn mirror(&self, url: &str, path: &str, insecure: bool) -> Result<Endpoint> {
        let (plain, place) = match url.split_once("://") {
            Some(("http", place)) => (true, place),
            Some(("https", place)) => (false, place),
            Some(_) | None => {
                return Err(anyhow!("daemon.json: registry-mirrors: {url:?} is no URL"))
                    .hint("write it with https:// or http:// in front");
            }
        };
        self.endpoint(&format!("{}/{path}", place.trim_end_matches('/')), insecure || plain)
    }

    fn endpoint(&self, full: &str, insecure: bool) -> Result<Endpoint> {
        let (registry, path) = full
            .split_once('/')
            .with_context(|| format!("registries.conf: {full:?} has no repository"))?;
        Ok(Endpoint {
            registry: registry.to_owned(),
            path: path.to_owned(),
            insecure: insecure || self.is_insecure(registry),
        })
    }

    /// By daemon.json, by the rule for the registry as a whole, or since it is on this machine.
    pub(crate) fn is_insecure(&self, registry: &str) -> bool {
        let host = host(registry);
        let address = host.parse::<IpAddr>().ok();
        let covers = |entry: &String| match entry.split_once('/').map(|_| entry.parse::<Subnet>()) {
            Some(Ok(subnet)) => address.is_some_and(|address| subnet.contains(address)),
            _ => entry == registry || entry == host,
        };
        host == "localhost"
            || address.is_some_and(|address| address.is_loopback())
            || self.daemon.insecure_registries.iter().any(covers)
            || self.rule(registry).is_some_and(|(rule, _)| rule.insecure)
    }
}

/// For `info`: what was read.
impl Registries {
    pub(crate) fn mirrors(&self) -> &[String] {
        &self.daemon.registry_mirrors
    }

    /// Registries and networks that are insecure though they are elsewhere.
    pub(crate) fn insecure(&self) -> Vec<&str> {
        let rules = self.rules.iter().filter(|rule| rule.insecure).filter_map(Rule::name);
        let listed = self.daemon.insecure_registries.iter().map(String::as_str);
        let mut all: Vec<&str> = listed.chain(rules).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Where names without a registry are looked for.
    pub(crate) fn search(&self) -> &[String] {
        &self.search
    }
}

impl Rule {
    fn name(&self) -> Option<&str> {
        self.prefix.as_deref().filter(|prefix| !prefix.is_empty()).or(self.location.as_deref())
    }
}

/// Without the port, and without the brackets of an IPv6 address.
pub(super) fn host(registry: &str) -> &str {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        Some(_) | None => registry,
    };
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// In the order of reading: later ones win.
fn files(user: Option<&Path>) -> Result<Vec<PathBuf>> {
    let system = Path::new("/etc/containers");
    let user = user.map(|dir| dir.join("containers"));
    let mut all = Vec::new();
    if let Some(chosen) = std::env::var_os("CONTAINERS_REGISTRIES_CONF") {
        all.push(PathBuf::from(chosen));
    } else {
        let own = user.iter().map(|dir| dir.join("registries.conf")).find(|path| path.exists());
        all.push(own.unwrap_or_else(|| system.join("registries.conf")));
    }
    for dir in [Some(system.to_owned()), user].into_iter().flatten() {
        let parts = entries(&dir.join("registries.conf.d"))?.into_iter();
        all.extend(parts.filter(|path| path.extension().is_some_and(|name| name == "conf")));
    }
    Ok(all)
}

fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err).with_context(|| path.display().to_string()),
    }
}

/// toml draws the place of an error with several lines: the first and the last say it.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    match lines.as_slice() {
        [first, .., last] => format!("{first}: {last}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::testing::Scratch;

    fn registries(conf: &str) -> Registries {
        let dir = Scratch::new();
        dir.file("registries.conf", conf.as_bytes());
        let mut registries = Registries::default();
        registries.take(&dir.0.join("registries.conf")).unwrap();
        registries
    }

    fn names(registries: &Registries, typed: &str) -> Vec<String> {
        registries.candidates(typed).unwrap().iter().map(ToString::to_string).collect()
    }

    /// `registry/path`, with ! behind it if insecure.
    fn places(registries: &Registries, name: &str) -> Vec<String> {
        let name = Reference::parse(name).unwrap();
        let all = registries.endpoints(&name, false).unwrap();
        let mark = |insecure| if insecure { "!" } else { "" };
        all.iter()
            .map(|one| format!("{}/{}{}", one.registry, one.path, mark(one.insecure)))
            .collect()
    }

    #[test]
    fn short_names_are_those_of_docker_hub_unless_said_otherwise() {
        let none = Registries::default();
        assert_eq!(names(&none, "busybox"), ["docker.io/library/busybox:latest"]);
        let some = registries(
            "unqualified-search-registries = ['quay.io', 'docker.io']\n[aliases]\n'fedora' = 'registry.fp.org/fedora'",
        );
        let both = ["quay.io/busybox:1", "docker.io/library/busybox:1"];
        assert_eq!(names(&some, "busybox:1"), both);
        assert_eq!(names(&some, "fedora:40"), ["registry.fp.org/fedora:40"]);
        assert_eq!(names(&some, "ghcr.io/fedora"), ["ghcr.io/fedora:latest"]);
    }

    #[test]
    fn longest_prefix_rewrites_and_names_mirrors() {
        let conf = registries(
            "[[registry]]\nprefix = 'a.io/x'\nlocation = 'b.io/y/z'\n\
             [[registry.mirror]]\nlocation = 'localhost:5000/m'\n\
             [[registry.mirror]]\nlocation = 'd.io'\npull-from-mirror = 'digest-only'\n\
             [[registry]]\nlocation = 'a.io'\ninsecure = true\n\
             [[registry]]\nprefix = '*.corp'\nlocation = 'all.corp/by'\n",
        );
        assert_eq!(places(&conf, "a.io/x/app:1"), ["localhost:5000/m/app!", "b.io/y/z/app"]);
        let digest = format!("a.io/x/app@{}", Digest::of(b""));
        assert_eq!(places(&conf, &digest).get(1).unwrap(), "d.io/app");
        assert_eq!(places(&conf, "a.io/xy/app"), ["a.io/xy/app!"]);
        assert_eq!(places(&conf, "deep.corp/app"), ["all.corp/by/app"]);
        assert_eq!(places(&conf, "other.io/app"), ["other.io/app"]);
    }

    #[test]
    fn blocked_registry_is_named() {
        let conf = registries("[[registry]]\nprefix = 'a.io/x'\nblocked = true");
        let err = conf.endpoints(&Reference::parse("a.io/x/y").unwrap(), false).unwrap_err();
        assert_eq!(crate::error::chain(&err), "a.io/x: blocked by registries.conf");
    }

    #[test]
    fn insecure_are_this_machine_and_those_of_daemon_json() {
        let mut conf = Registries::default();
        conf.daemon.insecure_registries = vec!["reg:5000".to_owned(), "10.1.0.0/16".to_owned()];
        for registry in ["localhost", "localhost:5000", "127.9.9.9:1", "[::1]:80", "reg:5000"] {
            assert!(conf.is_insecure(registry), "{registry}");
        }
        assert!(conf.is_insecure("10.1.2.3:5000"));
        for registry in ["10.2.0.1", "reg:5001", "docker.io", "localhost.evil.io"] {
            assert!(!conf.is_insecure(registry), "{registry}");
        }
        conf.daemon.registry_mirrors = vec!["http://m:1/p/".to_owned(), "https://n".to_owned()];
        let wanted = ["m:1/p/library/x!", "n/library/x", "docker.io/library/x"];
        assert_eq!(places(&conf, "x"), wanted);
        assert_eq!(places(&conf, "quay.io/x"), ["quay.io/x"]);
    }

    #[test]
    fn mistakes_in_the_file_are_told_in_one_line() {
        for (text, wanted) in [
            ("[[registry]]\nblocked = true", "a [[registry]] has neither prefix nor location"),
            ("[registries.search]\nregistries = ['x']", "[registries] is of version 1"),
            ("unqualified-search-registries = 1", "TOML parse error at line 1, column 33: "),
        ] {
            let dir = Scratch::new();
            dir.file("r.conf", text.as_bytes());
            let err = Registries::default().take(&dir.0.join("r.conf")).unwrap_err();
            let chain = crate::error::chain(&err);
            assert!(chain.contains(wanted) && !chain.contains('\n'), "{chain}");
        }
    }
}
