//! A process that is known by more than its number, which the kernel gives to others one day.
//!
//! Runs in: an ordinary process of the user. Privilege: none; it ends only processes of the user.

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::OnceLock;

/// In milliseconds: how long a process may take to be gone after SIGKILL.
const END: u16 = 5000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// Field 22 of `proc_pid_stat(5)`, in clock ticks since boot.
    pub(crate) start: u64,
    pub(crate) boot: String,
}

impl Process {
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, start: start_time(pid)?, boot: boot_id()?.to_owned() })
    }

    /// A zombie has ended.
    pub(crate) fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Kills it, and waits until it is gone. It may have ended before; whoever has its number now
    /// is left alone.
    pub(crate) fn end(&self) -> Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(()) };
        let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
        // From here on the number cannot lead elsewhere.
        if !self.is_alive() {
            return Ok(());
        }
        match pidfd_send_signal(&held, Signal::KILL) {
            Err(err) if err != rustix::io::Errno::SRCH => {
                return Err(err)
                    .with_context(|| format!("pidfd_send_signal({}, SIGKILL)", self.pid));
            }
            _ => {}
        }
        gone_within(&held, END).map(drop)
    }

    /// Whether it is gone within a second, of its own accord.
    pub(crate) fn ends(&self) -> Result<bool> {
        let pid = Pid::from_raw(self.pid);
        match pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
            Some(Ok(held)) if self.is_alive() => gone_within(&held, 1000),
            _ => Ok(true),
        }
    }
}

/// Asks for all children that have ended: the exit code of this one, if it is among them; the others are
/// told. For a signal it is that of a shell, 128 and its number.
pub(crate) fn reap(
    wanted: nix::unistd::Pid,
    mut other: impl FnMut(nix::unistd::Pid, i32),
) -> Result<Option<i32>> {
    loop {
        let (pid, code) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, code),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(None),
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(errno) => bail!("waitpid: {errno}"),
        };
        if pid == wanted {
            return Ok(Some(code));
        }
        other(pid, code);
    }
}

/// The time is in milliseconds.
fn gone_within(held: &OwnedFd, time: u16) -> Result<bool> {
    let mut fds = [PollFd::new(held.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut fds, PollTimeout::from(time)).context("poll(pidfd)")? > 0)
}

fn boot_id() -> Option<&'static str> {
    static ID: OnceLock<Option<String>> = OnceLock::new();
    let read = || fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    ID.get_or_init(read).as_deref().map(str::trim)
}

/// `None` when there is no such process, or only what its parent has not asked for yet.
fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses, and may have some of its own.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn only_the_very_process_is_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let known = Process::of(child.id().cast_signed()).unwrap();
        assert!(known.is_alive());
        let other = Process { start: known.start + 1, ..known.clone() };
        other.end().unwrap();
        assert!(!other.is_alive() && known.is_alive());
        assert!(!known.ends().unwrap());
        known.end().unwrap();
        assert!(known.ends().unwrap());
        assert!(!known.is_alive(), "a zombie");
        child.wait().unwrap();
        known.end().unwrap();
    }
}
