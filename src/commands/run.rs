//! `rt run`

use super::Host;
use super::create::{self, Made, Planned, Then};
use super::delete::{Remains, destroy_with, kill_all};
use super::start::{poststart, stop};
use crate::agent::Agent;
use crate::cgroup::Cgroup;
use crate::cli::Run;
use crate::container::Locked;
use crate::container::state::{State, Status};
use crate::error::OrHint as _;
use crate::fds;
use crate::launch::{self, Child};
use crate::sync::Message;
use crate::sys;
use crate::wait::{self, Signals};
use anyhow::{Context as _, Result, anyhow};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::os::fd::{AsFd as _, OwnedFd};

pub(crate) fn run(host: &Host, args: &Run) -> Result<u8> {
    let new = create::plan(host, &args.container)?;
    let (console, our_end) = console(&new, args)?;
    if !args.detach && !args.no_subreaper {
        sys::prctl("PR_SET_CHILD_SUBREAPER", libc::PR_SET_CHILD_SUBREAPER, 1, 0)?;
    }
    let notify = new.plan.seccomp.as_ref().and_then(|filter| filter.notify.as_ref());
    let agent = Agent::connect(notify)?;
    let signals = if args.detach { None } else { Some(Signals::block()?) };
    let made = create::make(host, &args.container, &new, console, Then::Start)?;
    let Made { dir, child, state, cgroup, readiness } = made;
    started(&child, &new, agent, &state, cgroup.as_ref())
        .map_err(|err| stop(host, &dir, &state, err))?;
    poststart(host, &dir, &state, &new.plan.hooks)?;
    let master = our_end.as_ref().map(receive_master).transpose();
    let master = master.map_err(|err| stop(host, &dir, &state, err))?;
    let Some(signals) = signals else {
        let Some(readiness) = readiness else { return Ok(0) };
        // Others need the lock: whoever does not get ready may have to be stopped.
        dir.unlock()?;
        return readiness.wait(child.pid.as_raw(), Some(child.pidfd.as_fd())).map(|()| 0);
    };
    // Other commands need the lock while we wait.
    let waited = dir
        .unlock()
        .and_then(|()| wait::foreground(&signals, &child.pidfd, master, readiness.as_ref()));
    let code = match waited {
        Ok(code) => code,
        Err(err) if dir.lock()? == Locked::Yes => return Err(stop(host, &dir, &state, err)),
        Err(err) => return Err(err),
    };
    // Gone meanwhile: somebody has deleted the container, and there may be a new one of that name.
    if !args.keep && dir.lock()? == Locked::Yes {
        if !state.own_pid_namespace {
            kill_all(&dir, &state)?;
        }
        let hooks = &new.plan.hooks;
        destroy_with(host, Remains { dir: &dir, state: &state, cgroup: Ok(cgroup), hooks })?;
    }
    Ok(code)
}

fn started(
    child: &Child,
    new: &Planned,
    agent: Option<Agent<'_>>,
    state: &State,
    cgroup: Option<&Cgroup>,
) -> Result<()> {
    if !new.plan.hooks.start_container.is_empty() {
        child.channel.expect(&Message::HooksDone)?;
    }
    if let Some(agent) = agent {
        agent.introduce(&child.channel, child.pid.as_raw(), &state.of_the_spec(Status::Created))?;
    }
    child.channel.expect_exec().map_err(|err| launch::explain_gone(err, cgroup))
}

/// The end for init, and ours when we are the terminal's user.
fn console(new: &Planned, args: &Run) -> Result<(Option<OwnedFd>, Option<OwnedFd>)> {
    let terminal = new.plan.process.terminal;
    match (&args.container.console_socket, args.detach, terminal) {
        (Some(_), false, _) => {
            Err(anyhow!("--console-socket: the terminal is ours in the foreground"))
                .hint("add --detach, or leave out --console-socket")
        }
        (Some(_), true, false) => {
            Err(anyhow!("--console-socket: process.terminal is not true in the config"))
                .hint("leave out the option, or set process.terminal")
        }
        (Some(path), true, true) => {
            Ok((Some(fds::connect(path).context("--console-socket")?), None))
        }
        (None, true, true) => {
            Err(anyhow!("process.terminal: true, but nothing would receive the terminal"))
                .hint("give a --console-socket with --detach")
        }
        (None, _, false) => Ok((None, None)),
        (None, false, true) => pair().map(|(theirs, ours)| (Some(theirs), Some(ours))),
    }
}

pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let pair = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC);
    Ok(sys::Call::call(pair, || "socketpair(AF_UNIX)".into())?)
}

/// Init has sent it before it was ready, so this does not wait.
pub(crate) fn receive_master(socket: &OwnedFd) -> Result<OwnedFd> {
    sys::fd::receive(socket)?.context("internal error, please report: no terminal arrived")
}
