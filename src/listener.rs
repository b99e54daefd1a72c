//! Loads a seccomp filter with a listener, and gets the descriptor out of the way.
//!
//! Runs in: init, as the last thing but execve(2). From the moment the filter is loaded, any system
//! call may have to wait for an agent, which cannot answer before it has the descriptor: so another
//! process must send it. That is the courier, a child that shares init's table of descriptors (and
//! nothing else) and is not under the filter. Init only waits for its end.
//! `docs/decisions/0013-seccomp-notify.md` has the ways that were not taken.

use crate::launch;
use crate::plan::seccomp::{Filter, Notify};
use crate::sync::{Channel, Message};
use crate::sys;
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use std::os::fd::{AsFd as _, IntoRawFd, RawFd};

/// Loads `filter`; when this returns, the agent has the descriptor and this process has not.
pub(crate) fn load(parent: &Channel, filter: &Filter, notify: &Notify) -> Result<()> {
    let number = sys::fd::next_free(parent.as_fd())?;
    let Some(courier) = launch::share_descriptors().context("linux.seccomp.listenerPath")? else {
        sys::exit_now(i32::from(carry(parent, number, notify).is_err()));
    };
    // === from here on nothing may be opened: the number is the listener's ===
    match sys::seccomp::load(&filter.program, filter.flags | sys::seccomp::NEW_LISTENER) {
        // The courier closes it, in the table that is ours too: while it is open here, a call that
        // waits for a dead agent would wait for ever.
        Ok(listener) => drop(listener.map(IntoRawFd::into_raw_fd)),
        Err(err) => {
            // ESRCH: it has gone, because our parent has.
            kill(courier, Signal::SIGKILL).ok();
            await_end(courier.as_raw()).ok();
            return Err(err).context("linux.seccomp");
        }
    }
    // Whoever did not take the descriptor says why; we must only not go on without an agent.
    let status = await_end(courier.as_raw())?;
    ensure!(status == 0, "linux.seccomp.listenerPath: the agent did not get the descriptor");
    Ok(())
}

/// The status of our child. As the first process of a pid namespace we may inherit others'.
fn await_end(child: i32) -> sys::Result<libc::c_int> {
    loop {
        let (pid, status) = sys::clone::wait4()?;
        if pid == child {
            return Ok(status);
        }
    }
}

/// The courier's life.
fn carry(parent: &Channel, number: RawFd, notify: &Notify) -> Result<()> {
    sys::prctl("PR_SET_PDEATHSIG", libc::PR_SET_PDEATHSIG, 9, 0)?;
    let listener = sys::seccomp::await_listener(number)?;
    if notify.wait_is_notified {
        // Init's own wait for us; the agent, which will see the payload's, need not know of it.
        sys::seccomp::let_one_continue(listener.as_fd())?;
    }
    parent.send_listener(&listener)?;
    drop(listener);
    parent.expect(&Message::Go)
}
