//! What the flags of `rt exec` change in the container's own process.
//!
//! Runs in: parent. Pure.

use super::hooks::ARG_MAX;
use super::{Process, c_path, c_string};
use crate::error::OrHint as _;
use anyhow::{Result, anyhow, ensure};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The flags, as they were typed.
pub(crate) struct Changes<'a> {
    pub(crate) command: &'a [OsString],
    pub(crate) terminal: bool,
    pub(crate) cwd: Option<&'a Path>,
    pub(crate) env: &'a [String],
    pub(crate) user: Option<&'a str>,
    pub(crate) additional_gids: &'a [u32],
    pub(crate) no_new_privs: bool,
    pub(crate) process_label: Option<&'a str>,
    pub(crate) apparmor: Option<&'a str>,
    pub(crate) capabilities: &'a [String],
}

/// Lays the flags over the process that the container was created with.
pub(crate) fn change(process: &mut Process, changes: &Changes<'_>) -> Result<()> {
    if changes.command.is_empty() {
        return Err(anyhow!("no command given"))
            .hint("name the program after the id, or use --process");
    }
    let word = |word: &OsString| c_string("COMMAND", word.as_bytes(), ARG_MAX);
    process.args = changes.command.iter().map(word).collect::<Result<_>>()?;
    process.terminal = changes.terminal;
    if let Some(cwd) = changes.cwd {
        ensure!(cwd.is_absolute(), "--cwd {}: is not absolute", cwd.display());
        process.cwd = c_path("--cwd", cwd)?;
    }
    for entry in changes.env {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        process.set_env(name, value)?;
    }
    if let Some(user) = changes.user {
        let (uid, gid) = parse_user(user)?;
        process.uid = uid;
        process.gid = gid.unwrap_or(process.gid);
    }
    process.groups.extend(changes.additional_gids);
    process.no_new_privs |= changes.no_new_privs;
    if let Some(label) = changes.process_label {
        process.selinux_label =
            Some(c_string("--process-label", label.as_bytes(), super::PATH_MAX)?);
    }
    if let Some(profile) = changes.apparmor {
        process.apparmor_profile =
            Some(c_string("--apparmor", profile.as_bytes(), super::PATH_MAX)?);
    }
    for name in changes.capabilities {
        add_capability(process, name)?;
    }
    Ok(())
}

/// CVE-2022-29162: never to the inheritable set. Ambient only where the config made it inheritable
/// itself.
fn add_capability(process: &mut Process, name: &str) -> Result<()> {
    let capability = caps::to_canonical(name)
        .parse::<caps::Capability>()
        .map_err(|_unknown| anyhow!("--cap {name}: unknown capability"))?;
    let sets = &mut process.capabilities;
    sets.bounding |= capability.bitmask();
    sets.permitted |= capability.bitmask();
    sets.effective |= capability.bitmask();
    sets.ambient |= capability.bitmask() & sets.inheritable;
    Ok(())
}

/// Numbers only, and all of the text: `exec -u 1x` must not become user 1, and nothing becomes
/// user 0 by accident (CVE-2026-30892).
fn parse_user(text: &str) -> Result<(u32, Option<u32>)> {
    let id = |text: &str| {
        let number = if text.starts_with('+') { None } else { text.parse::<u32>().ok() };
        number.filter(|id| *id != u32::MAX)
    };
    let parsed = match text.split_once(':') {
        None => id(text).map(|uid| (uid, None)),
        Some((uid, gid)) => id(uid).zip(id(gid)).map(|(uid, gid)| (uid, Some(gid))),
    };
    parsed
        .ok_or_else(|| anyhow!("--user {text:?}: not UID or UID:GID in numbers"))
        .hint("look up names in the container's /etc/passwd and /etc/group")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_whole_numbers() {
        assert_eq!(parse_user("1").unwrap(), (1, None));
        assert_eq!(parse_user("1:2").unwrap(), (1, Some(2)));
        assert_eq!(parse_user("65534").unwrap(), (65534, None));
        for text in ["", "-1", "4294967295", "4294967296", "1x", "1:", ":1", "+1", "root", " 1"] {
            assert!(parse_user(text).is_err(), "{text:?}");
        }
    }

    fn base() -> Process {
        let json = r#"{"user":{"uid":7,"gid":8},"args":["sh"],"cwd":"/","env":["A=1","B=2"],
            "capabilities":{"bounding":["CAP_CHOWN"],"inheritable":["CAP_KILL"]}}"#;
        Process::new(&serde_json::from_str(json).unwrap(), "process").unwrap()
    }

    fn no_changes() -> Changes<'static> {
        Changes {
            command: &[],
            terminal: false,
            cwd: None,
            env: &[],
            user: None,
            additional_gids: &[],
            no_new_privs: false,
            process_label: None,
            apparmor: None,
            capabilities: &[],
        }
    }

    #[test]
    fn flags_win_over_the_config() {
        let mut process = base();
        let (command, env) = ([OsString::from("ls")], ["A=3".to_string(), "C".to_string()]);
        let changes = Changes { command: &command, env: &env, user: Some("9"), ..no_changes() };
        change(&mut process, &changes).unwrap();
        assert_eq!((process.uid, process.gid), (9, 8));
        assert_eq!(process.args, [c"ls".to_owned()]);
        assert_eq!(process.env, [c"B=2".to_owned(), c"A=3".to_owned(), c"C=".to_owned()]);
    }

    #[test]
    fn added_capabilities_are_not_inheritable() {
        let mut process = base();
        let (command, names) =
            ([OsString::from("ls")], ["CAP_KILL".to_string(), "sys_time".to_string()]);
        change(&mut process, &Changes { command: &command, capabilities: &names, ..no_changes() })
            .unwrap();
        let sets = process.capabilities;
        let (chown, kill, time) = (1, 1 << 5, 1 << 25);
        assert_eq!(sets.bounding, chown | kill | time);
        assert_eq!((sets.permitted, sets.effective), (kill | time, kill | time));
        assert_eq!((sets.inheritable, sets.ambient), (kill, kill));
    }

    #[test]
    fn errors_name_the_flag() {
        let error = |changes: &Changes<'_>| change(&mut base(), changes).unwrap_err().to_string();
        let command = [OsString::from("ls")];
        let names = ["nosuch".to_string()];
        let ok = || Changes { command: &command, ..no_changes() };
        assert_eq!(
            error(&Changes { capabilities: &names, ..ok() }),
            "--cap nosuch: unknown capability"
        );
        assert_eq!(
            error(&Changes { cwd: Some(Path::new("x")), ..ok() }),
            "--cwd x: is not absolute"
        );
    }
}
