//! `rt exec`

use super::Host;
use super::create::{send_pidfd, write_pid_file};
use super::run::{pair, receive_master};
use crate::cgroup::Cgroup;
use crate::cli::Exec;
use crate::config;
use crate::container::state::{State, Status};
use crate::container::{Dir, Lock, open_process};
use crate::error::OrHint as _;
use crate::fds;
use crate::join;
use crate::launch;
use crate::plan::namespaces::id_maps;
use crate::plan::{self, Kind};
use crate::proc;
use crate::sync::{Gone, Message};
use crate::wait::{self, Signals};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use oci_spec::runtime::{Capability, Process, Spec};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) fn run(host: &Host, args: &Exec) -> Result<ExitCode> {
    // No lock: a process that runs for days must not keep others from `delete`.
    let dir = Dir::existing(&host.root, &args.id, Lock::None)?;
    let state = dir.state()?;
    check_status(dir.status(&state)?, args)?;
    let init = state.init.context("the container has no process")?;
    let init_pidfd = open_process(init)?.context("container not running")?;
    let spec = config::parse_saved(&dir.saved_config()?)?;
    let plan = plan(&spec, &state, args)?;
    let (console, our_end) = console(&plan, args)?;
    let pidfd_socket =
        args.pidfd_socket.as_deref().map(fds::connect).transpose().context("--pidfd-socket")?;
    let cgroup = cgroup(&dir, &state, init.pid, &args.cgroup)?;

    let signals = if args.detach { None } else { Some(Signals::block()?) };
    let fds = join::Fds::open(&plan, init_pidfd, init.pid, console)?;
    let child = launch::exec(&plan, fds, cgroup.as_ref(), args.preserve_fds)?;
    if let Some(path) = &args.pid_file {
        write_pid_file(path, child.pid.as_raw())?;
    }
    if let Some(socket) = &pidfd_socket {
        send_pidfd(socket, &child.pidfd).context("--pidfd-socket")?;
    }
    child.channel.send(&Message::Created)?;
    child
        .channel
        .expect_exec()
        .map_err(|err| if err.is::<Gone>() { anyhow!("the process died") } else { err })?;
    let master = our_end.as_ref().map(receive_master).transpose()?;
    match signals {
        None => Ok(ExitCode::SUCCESS),
        Some(signals) => Ok(ExitCode::from(wait::foreground(&signals, &child.pidfd, master)?)),
    }
}

fn check_status(status: Status, args: &Exec) -> Result<()> {
    match status {
        Status::Running | Status::Created => Ok(()),
        Status::Paused if args.ignore_paused => Ok(()),
        Status::Paused => Err(anyhow!("cannot exec in a paused container"))
            .hint(format!("resume it with: rt resume {}, or add --ignore-paused", args.id)),
        Status::Stopped | Status::Creating => {
            bail!(
                "cannot exec in a container in the {} state: container not running",
                status.name()
            )
        }
    }
}

fn plan(spec: &Spec, state: &State, args: &Exec) -> Result<join::Plan> {
    let base = spec.process().as_ref().context("the container's saved config has no process")?;
    let process = match &args.process {
        Some(file) => {
            ensure!(args.command.is_empty(), "--process: the command is in the file already");
            plan::Process::new(&config::load_process(file)?, "process")?
        }
        None => plan::Process::new(&process(base, args)?, "process")?,
    };
    let namespaces: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| state.namespaces.iter().any(|name| name == kind.name()))
        .collect();
    let linux = spec.linux().as_ref();
    let seccomp = linux.and_then(|linux| linux.seccomp().as_ref());
    Ok(join::Plan {
        process,
        seccomp: plan::filter(seccomp, &mut Vec::new())?,
        uid_maps: id_maps(
            "linux.uidMappings",
            linux.and_then(|linux| linux.uid_mappings().as_deref()),
        )?,
        gid_maps: id_maps(
            "linux.gidMappings",
            linux.and_then(|linux| linux.gid_mappings().as_deref()),
        )?,
        user_namespace: namespaces.contains(&Kind::User),
        namespaces,
        chroot: state.chroot,
        session_keyring: state.session_keyring.then(|| state.id.clone()),
        personality: plan::personality(linux.and_then(|linux| linux.personality().as_ref()))?,
    })
}

/// The container's own process with what the flags change.
fn process(base: &Process, args: &Exec) -> Result<Process> {
    let mut process = base.clone();
    let text =
        |arg: &OsString| arg.clone().into_string().map_err(|arg| anyhow!("{arg:?} is not UTF-8"));
    let command: Vec<String> = args.command.iter().map(text).collect::<Result<_>>()?;
    if command.is_empty() {
        return Err(anyhow!("no command given"))
            .hint("name the program after the id, or use --process");
    }
    process.set_args(Some(command));
    process.set_terminal(Some(args.tty));
    if let Some(cwd) = &args.cwd {
        process.set_cwd(cwd.clone());
    }
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(args.env.iter().cloned());
    process.set_env(Some(env));
    if let Some(user) = &args.user {
        let (uid, gid) = parse_user(user)?;
        process.user_mut().set_uid(uid);
        if let Some(gid) = gid {
            process.user_mut().set_gid(gid);
        }
    }
    if !args.additional_gids.is_empty() {
        let mut gids = process.user().additional_gids().clone().unwrap_or_default();
        gids.extend(&args.additional_gids);
        process.user_mut().set_additional_gids(Some(gids));
    }
    if args.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    if let Some(label) = &args.process_label {
        process.set_selinux_label(Some(label.clone()));
    }
    if let Some(profile) = &args.apparmor {
        process.set_apparmor_profile(Some(profile.clone()));
    }
    add_capabilities(&mut process, &args.cap)?;
    Ok(process)
}

/// CVE-2022-29162: never to the inheritable set. Ambient ones count only where the config made
/// them inheritable itself.
fn add_capabilities(process: &mut Process, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let mut sets = process.capabilities().clone().unwrap_or_default_empty();
    for name in names {
        let capability: Capability = serde_json::from_value(name.to_uppercase().into())
            .map_err(|_unknown| anyhow!("--cap {name}: unknown capability"))?;
        let added = |set: &Option<oci_spec::runtime::Capabilities>| {
            let mut set = set.clone().unwrap_or_default();
            set.insert(capability);
            Some(set)
        };
        let (bounding, permitted) = (added(sets.bounding()), added(sets.permitted()));
        let (effective, ambient) = (added(sets.effective()), added(sets.ambient()));
        sets.set_bounding(bounding);
        sets.set_permitted(permitted);
        sets.set_effective(effective);
        sets.set_ambient(ambient);
    }
    process.set_capabilities(Some(sets));
    Ok(())
}

trait EmptySets {
    fn unwrap_or_default_empty(self) -> oci_spec::runtime::LinuxCapabilities;
}

impl EmptySets for Option<oci_spec::runtime::LinuxCapabilities> {
    /// The crate's default is an example with three capabilities.
    fn unwrap_or_default_empty(self) -> oci_spec::runtime::LinuxCapabilities {
        self.unwrap_or_else(|| {
            let mut sets = oci_spec::runtime::LinuxCapabilities::default();
            sets.set_bounding(None);
            sets.set_effective(None);
            sets.set_permitted(None);
            sets.set_inheritable(None);
            sets.set_ambient(None);
            sets
        })
    }
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

fn console(plan: &join::Plan, args: &Exec) -> Result<(Option<OwnedFd>, Option<OwnedFd>)> {
    match (&args.console_socket, args.detach, plan.process.terminal) {
        (Some(path), _, true) => Ok((Some(fds::connect(path).context("--console-socket")?), None)),
        (Some(_), _, false) => {
            Err(anyhow!("--console-socket: the process has no terminal")).hint("add --tty")
        }
        (None, true, true) => Err(anyhow!("a terminal without anybody to use it"))
            .hint("give a --console-socket with --detach"),
        (None, false, true) => pair().map(|(theirs, ours)| (Some(theirs), Some(ours))),
        (None, _, false) => Ok((None, None)),
    }
}

/// The container's cgroup, or one below it.
fn cgroup(dir: &Dir, state: &State, init: i32, wanted: &[String]) -> Result<Option<Cgroup>> {
    let Some(cgroup) = dir.cgroup(state)? else {
        ensure!(wanted.is_empty(), "--cgroup: the container has no cgroup of its own");
        return Ok(None);
    };
    match wanted {
        [] => {
            // systemd as payload moves itself into a leaf, and then only leaves take processes.
            let own = init_cgroup(cgroup.path(), init);
            Ok(match own.filter(|own| own != cgroup.path()) {
                Some(leaf) => Cgroup::open(&leaf)?.or(Some(cgroup)),
                None => Some(cgroup),
            })
        }
        [one] => {
            let path = one.split_once(':').map_or(one.as_str(), |(_controllers, path)| path);
            let path: PathBuf =
                Path::new(path).strip_prefix("/").unwrap_or(Path::new(path)).components().collect();
            if path.as_os_str().is_empty() {
                return Ok(Some(cgroup));
            }
            cgroup.child(&path).with_context(|| format!("--cgroup {one}")).map(Some)
        }
        _ => bail!("--cgroup: there is one hierarchy, so one path"),
    }
}

/// Where init is now, as a path on the host: /proc tells it relative to some root, whose end is
/// the same as that of the container's path.
fn init_cgroup(container: &Path, init: i32) -> Option<PathBuf> {
    let text = std::fs::read(format!("/proc/{init}/cgroup")).ok()?;
    let now = proc::unified_cgroup(&text)?;
    let own = now.ancestors().find(|path| {
        path.strip_prefix("/")
            .is_ok_and(|path| !path.as_os_str().is_empty() && container.ends_with(path))
    })?;
    Some(container.join(now.strip_prefix(own).ok()?)).map(|path| path.components().collect())
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
}
