//! The content of a container's /etc/hosts: hosts(5).
//!
//! Runs in: anywhere. [`text`] touches nothing.

use anyhow::{Context as _, Result};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::IpAddr;
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
/// new text is there before what is left of the old one goes.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let written = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(false).open(path)?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len() as u64)
    };
    written().with_context(|| format!("write {}", path.display()))
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
