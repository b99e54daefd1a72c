//! The content of a container's /etc/hosts: hosts(5).
//!
//! Runs in: an ordinary process of the user, who owns the files. [`text`] touches nothing.

use super::record::{self, Endpoint, Network, Networks};
use anyhow::{Context as _, Result};
use nix::fcntl::OFlag;
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// An address and the names it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) address: IpAddr,
    pub(crate) names: Vec<String>,
}

/// `lines` are the container's own, those that were asked for, and those of its neighbours, in this
/// order: whoever looks a name up takes the first.
pub(crate) fn text(lines: &[Line]) -> String {
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned()
        + &self::lines(lines)
}

/// Without the usual ones.
pub(crate) fn lines(lines: &[Line]) -> String {
    let named = lines.iter().filter(|line| !line.names.is_empty());
    named.map(|line| format!("{}\t{}\n", line.address, line.names.join(" "))).collect()
}

/// Gives the file this content without a new inode, since it is bind-mounted in the container. The
/// new text is there before what is left of the old one goes. The container may have written there,
/// too, and any length.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let written = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = match options.custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
            // It has a lease on it, fcntl(2), or has closed it: it keeps the old names, and nobody
            // waits for it.
            Err(err) if is_its_own_doing(err.kind()) => return Ok(()),
            opened => opened?,
        };
        let length = text.len() as u64;
        if file.metadata()?.len() == length {
            let mut old = Vec::new();
            (&file).take(length).read_to_end(&mut old)?;
            if old == text.as_bytes() {
                return Ok(());
            }
        }
        file.write_all_at(text.as_bytes(), 0)?;
        file.set_len(length)
    };
    written().with_context(|| format!("write {}", path.display()))
}

fn is_its_own_doing(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::PermissionDenied)
}

/// Writes the hosts files of all, and of those who have just left their last network.
pub(super) fn refresh(networks: &Networks<'_>, gone: &[Endpoint]) -> Result<()> {
    let all = record::everybody(networks.home)?;
    for subject in all.iter().map(|(_, endpoint)| endpoint).chain(gone) {
        let Some(path) = subject.hosts.as_ref().filter(|path| path.exists()) else { continue };
        write(path, &text(&known_to(subject, &all)))?;
    }
    Ok(())
}

/// Its own names, those that were asked for, and those on its networks.
fn known_to(subject: &Endpoint, all: &[(Network, Endpoint)]) -> Vec<Line> {
    let line = |endpoint: &Endpoint| {
        let linked = subject.links.iter().filter(|(id, _)| *id == endpoint.container);
        let hostname = Some(&endpoint.hostname).filter(|_| endpoint.container == subject.container);
        let all = linked.map(|(_, name)| name).chain(hostname);
        let all = all.chain([&endpoint.name]).chain(&endpoint.aliases);
        let mut names: Vec<String> = vec![];
        for name in all.filter(|name| !name.is_empty()) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let lines = endpoint.leases.iter();
        lines.map(|lease| Line { address: lease.address, names: names.clone() }).collect::<Vec<_>>()
    };
    let is_own = |endpoint: &Endpoint| endpoint.container == subject.container;
    let own: Vec<_> = all.iter().filter(|(_, endpoint)| is_own(endpoint)).collect();
    let mut lines: Vec<Line> = own.iter().flat_map(|(_, endpoint)| line(endpoint)).collect();
    let added = subject.hosts_added.iter();
    lines
        .extend(added.map(|(name, address)| Line { address: *address, names: vec![name.clone()] }));
    for (network, endpoint) in all.iter().filter(|(_, endpoint)| !is_own(endpoint)) {
        if own.iter().any(|(shared, _)| shared.id == network.id) {
            lines.extend(line(endpoint));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_in_order() {
        let line = |address: &str, names: &[&str]| Line {
            address: address.parse().unwrap(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let lines = [
            line("172.18.0.2", &["web", "www"]),
            line("172.18.0.3", &[]),
            line("fd00::3", &["db"]),
        ];
        assert_eq!(
            text(&lines),
            "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
             172.18.0.2\tweb www\nfd00::3\tdb\n"
        );
    }

    #[test]
    fn file_keeps_its_inode_and_nothing_of_the_old_text() {
        use std::os::unix::fs::MetadataExt as _;
        let scratch = crate::testing::Scratch::new();
        let path = scratch.0.join("hosts");
        write(&path, "a long text\n").unwrap();
        let inode = path.metadata().unwrap().ino();
        write(&path, "short\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "short\n");
        assert_eq!(path.metadata().unwrap().ino(), inode);
    }
}
