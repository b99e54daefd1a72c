//! The files /etc/hosts, /etc/hostname and /etc/resolv.conf of a container: hosts(5),
//! resolv.conf(5).
//!
//! Runs in: an ordinary process of the user. They lie in the container's directory and are
//! bind-mounted, so their content may change, and they are never renamed.

use crate::cli::names::NameFlags;
use crate::error::OrHint as _;
use crate::net::hosts::{self, Line};
use anyhow::{Context as _, Result, anyhow, ensure};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// In the container's directory, and in `/etc` of the container.
pub(crate) const FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

/// Docker's choice for a host whose only name server is itself, as seen from the container.
const PUBLIC: [&str; 2] = ["8.8.8.8", "8.8.4.4"];
/// What systemd-resolved asks, on hosts where resolv.conf names only itself.
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";

/// What network the container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The host's own: so are the files.
    Host,
    /// Its own, from which 127.0.0.1 is not the host.
    Own,
    /// None.
    Nothing,
}

/// Makes the files.
///
/// # Errors
/// A flag that can't be understood; its name is in the text.
pub(crate) fn make(
    dir: &Path,
    flags: &NameFlags,
    hostname: &str,
    (reach, gateway): (Reach, Option<IpAddr>),
) -> Result<()> {
    let added = added(&flags.add_host, gateway)?;
    let added = added.into_iter().map(|(name, address)| Line { address, names: vec![name] });
    let added: Vec<Line> = added.collect();
    let host = |name: &str| fs::read_to_string(name).unwrap_or_default();
    let known = match reach {
        Reach::Host => host("/etc/hosts") + &hosts::lines(&added),
        Reach::Own | Reach::Nothing => hosts::text(&added),
    };
    write(&dir.join("hosts"), &known)?;
    write(&dir.join("hostname"), &format!("{hostname}\n"))?;
    let resolver = resolver(&host("/etc/resolv.conf"), &host(RESOLVED), flags, reach)?;
    write(&dir.join("resolv.conf"), &resolver)
}

/// Of `--add-host NAME:IP`, also `NAME=IP`, and IPv6 addresses in brackets.
pub(crate) fn added(words: &[String], gateway: Option<IpAddr>) -> Result<Vec<(String, IpAddr)>> {
    let mut all = Vec::new();
    for text in words {
        let wrong = || format!("--add-host {text}: not NAME:IP");
        let (name, address) = text.split_once(['=', ':']).with_context(wrong)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        ensure!(!name.is_empty() && name.chars().all(fits), wrong());
        let address = if address == "host-gateway" {
            gateway
                .ok_or_else(|| anyhow!("--add-host {text}: it has no network on which the host is"))
                .hint("give it a network, with --network; that of an ordinary user leads to a host with a default route")?
        } else {
            let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            bare.unwrap_or(address).parse().ok().with_context(wrong)?
        };
        all.push((name.to_owned(), address));
    }
    Ok(all)
}

/// The text of resolv.conf: what flags say instead of the host's, of which servers are left out
/// that only the host can reach.
fn resolver(host: &str, resolved: &str, flags: &NameFlags, reach: Reach) -> Result<String> {
    let reachable = |server: &&str| {
        let address: Option<IpAddr> = server.split('%').next().and_then(|text| text.parse().ok());
        reach != Reach::Own || address.is_some_and(|address| !address.is_loopback())
    };
    let servers_of = |text: &str| -> Vec<String> {
        words(text, "nameserver").filter(reachable).map(ToOwned::to_owned).collect()
    };
    let mut servers: Vec<String> = flags.dns.iter().map(ToString::to_string).collect();
    if servers.is_empty() {
        servers = servers_of(host);
    }
    if servers.is_empty() && reach == Reach::Own {
        servers = servers_of(resolved);
    }
    if servers.is_empty() && reach == Reach::Own {
        servers = PUBLIC.map(ToOwned::to_owned).to_vec();
    }
    let or = |asked: &[String], key: &str| -> Vec<String> {
        let of_host = || words(host, key).map(ToOwned::to_owned).collect();
        if asked.is_empty() { of_host() } else { asked.to_vec() }
    };
    let search = or(&flags.dns_search, "search");
    let options = or(&flags.dns_option, "options");
    let plain = |word: &&String| word.contains(char::is_whitespace) || word.is_empty();
    if let Some(word) = search.iter().chain(&options).find(plain) {
        return Err(anyhow!("--dns-search or --dns-option {word:?}: more than one word"))
            .hint("repeat the flag");
    }
    let mut text = String::new();
    let search: Vec<&String> = search.iter().filter(|domain| *domain != ".").collect();
    if !search.is_empty() {
        let search: Vec<&str> = search.into_iter().map(String::as_str).collect();
        text.push_str(&format!("search {}\n", search.join(" ")));
    }
    for server in servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    if !options.is_empty() {
        text.push_str(&format!("options {}\n", options.join(" ")));
    }
    Ok(text)
}

/// Those of the lines that begin with a key.
fn words<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    let of_line = move |line: &'a str| {
        let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
        (words.next() == Some(key)).then_some(words)
    };
    text.lines().filter_map(of_line).flatten()
}

/// Everybody in the container may read it, whatever umask the caller has.
fn write(path: &Path, text: &str) -> Result<()> {
    let written = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o644).open(path)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(fs::Permissions::from_mode(0o644))
    };
    written().with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "# comment\nsearch a.b c.d\nnameserver 127.0.0.53\nnameserver 10.0.0.1 # x\n\
                        nameserver ::1\noptions edns0 ndots:2\n";

    fn text(reach: Reach, change: impl FnOnce(&mut NameFlags)) -> String {
        let mut flags = NameFlags::default();
        change(&mut flags);
        resolver(HOST, "", &flags, reach).unwrap()
    }

    #[test]
    fn servers_of_the_host_alone_are_left_out() {
        let own = text(Reach::Own, |_| ());
        assert_eq!(own, "search a.b c.d\nnameserver 10.0.0.1\noptions edns0 ndots:2\n");
        assert!(text(Reach::Host, |_| ()).contains("nameserver 127.0.0.53\n"));
        let only = |host: &str, resolved: &str| {
            resolver(host, resolved, &NameFlags::default(), Reach::Own).unwrap()
        };
        let resolved = "nameserver 192.168.1.1\n";
        assert_eq!(only("nameserver 127.0.0.53\n", resolved), resolved);
        assert_eq!(only("", ""), "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
        let nothing = resolver("", "", &NameFlags::default(), Reach::Nothing).unwrap();
        assert_eq!(nothing, "");
    }

    #[test]
    fn flags_stand_instead_of_the_hosts_lines() {
        let changed = text(Reach::Own, |flags| {
            flags.dns = vec!["1.1.1.1".parse().unwrap(), "fd00::1".parse().unwrap()];
            flags.dns_search = vec![".".into()];
            flags.dns_option = vec!["rotate".into()];
        });
        assert_eq!(changed, "nameserver 1.1.1.1\nnameserver fd00::1\noptions rotate\n");
    }

    #[test]
    fn added_hosts() {
        let all = |text: &str, gateway: Option<&str>| {
            added(&[text.into()], gateway.map(|text| text.parse().unwrap()))
                .map(|mut all| all.remove(0))
                .map(|(name, address)| format!("{name} {address}"))
        };
        assert_eq!(all("db:10.1.1.1", None).unwrap(), "db 10.1.1.1");
        assert_eq!(all("db=fd00::1", None).unwrap(), "db fd00::1");
        assert_eq!(all("db:[fd00::1]", None).unwrap(), "db fd00::1");
        assert_eq!(all("h:host-gateway", Some("172.17.0.1")).unwrap(), "h 172.17.0.1");
        for text in ["db", "db:", ":1.1.1.1", "a b:1.1.1.1", "db:1.1.1"] {
            let err = all(text, None).unwrap_err();
            assert_eq!(crate::error::chain(&err), format!("--add-host {text}: not NAME:IP"));
        }
        assert!(all("h:host-gateway", None).is_err());
    }
}
