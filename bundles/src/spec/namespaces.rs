//! What a container shares with the host and with others: `--pid`, `--ipc` and their like.
//!
//! Runs in: pure.

use crate::cli::namespaces::NamespaceFlags;
use crate::error::OrHint as _;
use anyhow::{Result, anyhow};

/// Whose namespace it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose<'a> {
    Own,
    Host,
    /// That of another container, by its name or id.
    Container(&'a str),
}

#[derive(Debug, Clone)]
pub(crate) struct Namespaces<'a> {
    pub(crate) pid: Whose<'a>,
    pub(crate) ipc: Whose<'a>,
    pub(crate) uts: Whose<'a>,
    pub(crate) cgroup: Whose<'a>,
    /// There is a /dev/shm.
    pub(crate) shm: bool,
}

impl<'a> Namespaces<'a> {
    /// `is_root` says whether a user namespace is left out.
    pub(crate) fn parse(flags: &'a NamespaceFlags, is_root: bool) -> Result<Self> {
        let others = "host and container:NAME are known";
        let of = |flag: &str, text: &'a Option<String>, known: &[&str], hint: &str| {
            let text = text.as_deref().unwrap_or_default();
            match text.split_once(':') {
                Some(("container", name)) if hint == others && !name.is_empty() => {
                    Ok(Whose::Container(name))
                }
                None if text == "host" => Ok(Whose::Host),
                None if text.is_empty() || known.contains(&text) => Ok(Whose::Own),
                _ => Err(anyhow!("{flag} {text}: unknown")).hint(hint),
            }
        };
        check_users(flags.userns.as_deref(), is_root)?;
        Ok(Self {
            pid: of("--pid", &flags.pid, &["private"], others)?,
            ipc: of("--ipc", &flags.ipc, &["private", "shareable", "none"], others)?,
            uts: of("--uts", &flags.uts, &["private"], "only host is known")?,
            shm: flags.ipc.as_deref() != Some("none"),
            cgroup: of("--cgroupns", &flags.cgroupns, &["private"], "private and host are known")?,
        })
    }

    /// Those of the container, by their names in config.json, and whose they are.
    pub(crate) fn list(&self) -> [(&'static str, &Whose<'a>); 4] {
        [("pid", &self.pid), ("ipc", &self.ipc), ("uts", &self.uts), ("cgroup", &self.cgroup)]
    }
}

fn check_users(wanted: Option<&str>, is_root: bool) -> Result<()> {
    match (wanted.unwrap_or_default(), is_root) {
        ("", _) | ("host", true) => Ok(()),
        ("host", false) => {
            Err(anyhow!("--userns host: containers of an ordinary user have a user namespace"))
                .hint("leave --userns away: root in the container is you")
        }
        ("keep-id", false) => Err(anyhow!("--userns keep-id: not possible yet"))
            .hint("leave --userns away: root in the container is you"),
        ("keep-id", true) => Err(anyhow!("--userns keep-id: the caller is root"))
            .hint("run it as an ordinary user, or leave --userns away"),
        (other, _) => Err(anyhow!("--userns {other}: unknown"))
            .hint("host is known, where the caller is root"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_they_are() {
        let flags = |change: fn(&mut NamespaceFlags)| {
            let mut flags = NamespaceFlags::default();
            change(&mut flags);
            flags
        };
        let shared = flags(|f| {
            f.pid = Some("container:web".into());
            f.ipc = Some("shareable".into());
            f.uts = Some("host".into());
        });
        let found = Namespaces::parse(&shared, true).unwrap();
        assert_eq!(found.pid, Whose::Container("web"));
        assert_eq!((&found.ipc, &found.uts), (&Whose::Own, &Whose::Host));
        let error = |change: fn(&mut NamespaceFlags)| {
            crate::error::chain(&Namespaces::parse(&flags(change), true).unwrap_err())
        };
        assert_eq!(error(|f| f.pid = Some("container:".into())), "--pid container:: unknown");
        assert_eq!(error(|f| f.uts = Some("container:x".into())), "--uts container:x: unknown");
        assert_eq!(error(|f| f.cgroupns = Some("own".into())), "--cgroupns own: unknown");
        let keep = |f: &mut NamespaceFlags| f.userns = Some("keep-id".into());
        assert_eq!(error(keep), "--userns keep-id: the caller is root");
    }
}
