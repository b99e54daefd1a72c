//! `rt delete`

use super::Host;
use super::start::saved_hooks;
use crate::cgroup::{Cgroup, systemd};
use crate::cli::Delete;
use crate::container::state::{State, Status};
use crate::container::{Dir, Lock, open_process};
use crate::error::OrHint as _;
use crate::hooks::{self, Output};
use crate::plan::Hooks;
use crate::proc;
use crate::resctrl;
use crate::sys::clone::pidfd_send_signal;
use anyhow::{Result, anyhow, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

/// How long the kernel may take to end killed processes. Seconds only when one of them is stuck in
/// a system call, on a dead network file system for example.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn run(host: &Host, args: &Delete) -> Result<()> {
    if args.regex {
        let ids = super::matching(&host.root, &args.id)?;
        let failures: Vec<anyhow::Error> = ids
            .iter()
            .filter_map(|id| one(host, id, args.force).err().map(|err| err.context(id.clone())))
            .collect();
        return first_of(failures);
    }
    one(host, &args.id, args.force)
}

/// All failures in one, the first one first.
pub(crate) fn first_of(failures: Vec<anyhow::Error>) -> Result<()> {
    let texts: Vec<String> = failures.iter().map(crate::error::chain).collect();
    if texts.is_empty() { Ok(()) } else { Err(anyhow!(texts.join("; "))) }
}

fn one(host: &Host, id: &str, force: bool) -> Result<()> {
    let Some(dir) = Dir::open(&host.root, id, Lock::Exclusive)? else {
        // What should not exist does not: that is success for --force, as in runc.
        return if force {
            Ok(())
        } else {
            Err(crate::container::absent(id)).hint("list the containers with: rt list")
        };
    };
    let Some(state) = dir.read_state()? else {
        // A create was killed before it made anything else, or a delete when it had removed all.
        return dir.remove();
    };
    match settled(&dir, &state)? {
        // Without a pid namespace of its own, others may have outlived init.
        Status::Stopped if !state.own_pid_namespace => kill_all(&dir, &state)?,
        Status::Stopped => {}
        // The payload never ran: runc and crun delete without further question.
        Status::Created => kill_all(&dir, &state)?,
        status @ (Status::Creating | Status::Running | Status::Paused) => {
            if !force {
                return Err(anyhow!(
                    "cannot delete container {id:?} that is not stopped: {}",
                    status.name()
                ))
                .hint(format!("stop it with: rt kill {id} KILL, or use: rt delete --force {id}"));
            }
            kill_all(&dir, &state)?;
        }
    }
    destroy(host, &dir, &state)
}

/// The status, after the end of an init that is dying: `rt kill ID KILL; rt delete ID` is no race.
fn settled(dir: &Dir, state: &State) -> Result<Status> {
    let status = dir.status(state)?;
    let (Status::Running | Status::Paused, Some(process)) = (status, state.init) else {
        return Ok(status);
    };
    // It may have ended since the status was read.
    if let Some(init) = open_process(process)? {
        // What the v1 freezer holds does not die before it is thawed.
        if status == Status::Running && proc::is_dying(process.pid) {
            await_end(&init)?;
        } else if !ends_soon(&init) {
            return Ok(status);
        }
    }
    dir.status(state)
}

/// Between SIGKILL being pending and the process being on its way out is an instant that shows
/// neither, longer on a loaded machine.
fn ends_soon(init: &OwnedFd) -> bool {
    const INSTANT: u16 = 50; // ms
    poll(&mut [PollFd::new(init.as_fd(), PollFlags::POLLIN)], INSTANT) == Ok(1)
}

/// Waits for the end of a process that was killed.
fn await_end(init: &OwnedFd) -> Result<()> {
    let mut fds = [PollFd::new(init.as_fd(), PollFlags::POLLIN)];
    let limit = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
    // EINTR is no reason to give up, but signals are rare and the wait is long enough.
    if poll(&mut fds, limit) == Ok(0) {
        bail!("the container's init still exists {} s after SIGKILL", PATIENCE.as_secs());
    }
    Ok(())
}

/// Kills every process of the container and waits for the end.
pub(crate) fn kill_all(dir: &Dir, state: &State) -> Result<()> {
    let init = state.init.map(open_process).transpose()?.flatten();
    let cgroup = dir.cgroup(state)?;
    if let Some(cgroup) = &cgroup {
        cgroup.kill()?;
    }
    if let Some(init) = &init {
        match pidfd_send_signal(init.as_fd(), libc::SIGKILL) {
            Err(err) if err.errno != Errno::ESRCH => return Err(err.into()),
            _ => {}
        }
        await_end(init)?;
    }
    if let Some(cgroup) = cgroup
        && !cgroup.wait_empty(PATIENCE)?
    {
        return Err(anyhow!(
            "processes of the container still exist {} s after SIGKILL",
            PATIENCE.as_secs()
        ))
        .hint(format!("see {}/cgroup.procs", cgroup.path().display()));
    }
    Ok(())
}

/// Removes what is left of a stopped container.
pub(crate) fn destroy(host: &Host, dir: &Dir, state: &State) -> Result<()> {
    let hooks = match saved_hooks(dir, state, "poststop") {
        Ok(hooks) => hooks,
        Err(err) => {
            host.log.warning(&crate::error::chain(&err.context("poststop hooks")));
            Hooks::default()
        }
    };
    let cgroup = dir.cgroup(state);
    destroy_with(host, Remains { dir, state, cgroup, hooks: &hooks })
}

/// What a stopped container has left.
pub(crate) struct Remains<'a> {
    pub(crate) dir: &'a Dir,
    pub(crate) state: &'a State,
    pub(crate) cgroup: Result<Option<Cgroup>>,
    pub(crate) hooks: &'a Hooks,
}

pub(crate) fn destroy_with(host: &Host, remains: Remains<'_>) -> Result<()> {
    let Remains { dir, state, cgroup, hooks } = remains;
    // The state goes last: without it nobody would know what is left, and nobody could try again.
    match cgroup? {
        Some(cgroup) => cgroup.remove()?,
        None => Cgroup::remove_rest(&state.cgroup_v1)?,
    }
    if let Some(group) = &state.resctrl {
        resctrl::remove(group, state.resctrl_made, &state.id)?;
    }
    if let Some(unit) = &state.systemd_unit {
        systemd::stop(unit)?;
    }
    let removed = dir.remove();
    // config.md, "Poststop": after the container is deleted; a failure is a warning, the other
    // hooks and the deletion go on.
    if state.init.is_some() && !hooks.poststop.is_empty() {
        let output = Output::open(hooks).unwrap_or_else(|err| {
            host.log.warning(&crate::error::chain(&err));
            Output::default()
        });
        for err in hooks::run_all(&hooks.poststop, &state.for_hooks(Status::Stopped)?, &output) {
            host.log.warning(&crate::error::chain(&err));
        }
    }
    removed
}
