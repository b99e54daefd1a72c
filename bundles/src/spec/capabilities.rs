//! Which capabilities a container gets.
//!
//! Runs in: pure. See capabilities(7).

use crate::error::OrHint as _;
use anyhow::{Result, anyhow};
use std::collections::BTreeSet;

/// Granted to every container, as Docker's users expect.
const USUAL: &[&str] = &[
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// By number.
const NUMBERS: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

pub(crate) type Set = BTreeSet<&'static str>;

/// `--cap-drop` is taken from the usual ones, or from all with `--cap-add ALL`; then `--cap-add`
/// wins over `--cap-drop ALL`, but not over a name.
///
/// `there` are those that the caller could pass on: an older kernel, or an outer container, may
/// have fewer, and then "all" means these.
pub(crate) fn granted(
    add: &[String],
    drop: &[String],
    everything: bool,
    there: u64,
) -> Result<Set> {
    let known = |index: &usize| there & (1 << index) != 0;
    let all: Set = NUMBERS.iter().enumerate().filter(|(n, _)| known(n)).map(|(_, c)| *c).collect();
    if everything {
        return Ok(all);
    }
    let add: Vec<Option<&str>> =
        add.iter().map(|name| find("--cap-add", name)).collect::<Result<_>>()?;
    let drop: Vec<Option<&str>> =
        drop.iter().map(|name| find("--cap-drop", name)).collect::<Result<_>>()?;
    let mut set: Set = match (add.contains(&None), drop.contains(&None)) {
        (true, _) => all,
        (false, true) => Set::new(),
        (false, false) => USUAL.iter().copied().filter(|name| all.contains(name)).collect(),
    };
    let find_static = |name: &str| NUMBERS.iter().copied().find(|known| *known == name);
    set.extend(add.into_iter().flatten().filter_map(find_static));
    for name in drop.into_iter().flatten() {
        set.remove(name);
    }
    Ok(set)
}

/// With or without `CAP_`, in any case; `None` is "ALL".
fn find(flag: &str, name: &str) -> Result<Option<&'static str>> {
    let wanted = name.to_ascii_uppercase();
    if wanted == "ALL" || wanted == "CAP_ALL" {
        return Ok(None);
    }
    let short = wanted.strip_prefix("CAP_").unwrap_or(&wanted);
    let found = NUMBERS.iter().copied().find(|known| known.strip_prefix("CAP_") == Some(short));
    found
        .map(Some)
        .ok_or_else(|| anyhow!("{flag} {name}: no such capability"))
        .hint("capabilities(7) lists them, such as NET_ADMIN or SYS_PTRACE")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: u64 = (1 << 41) - 1;

    fn set(add: &[&str], drop: &[&str], everything: bool, there: u64) -> Vec<&'static str> {
        let own = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        granted(&own(add), &own(drop), everything, there).unwrap().into_iter().collect()
    }

    #[test]
    fn usual_ones_without_flags() {
        assert_eq!(set(&[], &[], false, EVERY), USUAL);
    }

    #[test]
    fn add_and_drop_take_names_in_any_case() {
        let wanted = set(&["net_admin", "CAP_SYS_TIME"], &["Chown"], false, EVERY);
        assert!(wanted.contains(&"CAP_NET_ADMIN") && wanted.contains(&"CAP_SYS_TIME"));
        assert!(!wanted.contains(&"CAP_CHOWN"));
        assert_eq!(wanted.len(), USUAL.len() + 1);
    }

    #[test]
    fn all_is_what_is_there() {
        assert_eq!(set(&[], &["ALL"], false, EVERY), Vec::<&str>::new());
        assert_eq!(set(&["KILL"], &["ALL"], false, EVERY), ["CAP_KILL"]);
        assert_eq!(set(&["ALL"], &["SYS_ADMIN"], false, EVERY).len(), 40);
        assert_eq!(set(&[], &[], true, 0b11), ["CAP_CHOWN", "CAP_DAC_OVERRIDE"]);
    }

    #[test]
    fn unknown_name_is_told() {
        let err = granted(&["NET_ADMINN".into()], &[], false, EVERY).unwrap_err();
        assert_eq!(crate::error::chain(&err), "--cap-add NET_ADMINN: no such capability");
    }
}
