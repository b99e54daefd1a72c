//! Passes what the payload tells its service manager (`sd_notify(3)`) on to ours.
//!
//! Runs in: parent (`run`, `start`), on the host. The payload cannot reach the manager's socket and
//! does not know its own pid on the host; so it talks to a socket of ours, and what it says is read
//! before it is passed on: a payload must not name other processes as the main one, widen who may
//! notify, or leave descriptors with the manager.

use crate::container::Dir;
use crate::error::OrHint as _;
use crate::plan::notify_socket::VARIABLE;
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result, anyhow};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket,
};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Assignments of `sd_notify(3)` that a payload may make, as they say nothing of other processes.
const PASSED_ON: [&str; 12] = [
    "READY",
    "RELOADING",
    "STOPPING",
    "MONOTONIC_USEC",
    "STATUS",
    "ERRNO",
    "BUSERROR",
    "VARLINKERROR",
    "EXIT_STATUS",
    "WATCHDOG",
    "WATCHDOG_USEC",
    "EXTEND_TIMEOUT_USEC",
];

/// The longest message in bytes, as for systemd (`PIPE_BUF`).
const LONGEST: usize = 4096;

/// How long the manager may take to read what it got. One without barriers never answers.
const BARRIER: Duration = Duration::from_secs(30);

/// The name of the manager's socket in our environment.
pub(crate) fn manager() -> Option<String> {
    std::env::var(VARIABLE).ok().filter(|name| !name.is_empty())
}

/// Between a payload and the service manager.
pub(crate) struct Readiness {
    payload: OwnedFd,
    manager: OwnedFd,
}

/// What a look at the payload's messages has found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Ready,
    Other,
}

impl Readiness {
    /// `None` when there is no manager, or the container was created without one.
    pub(crate) fn open(dir: &Dir) -> Result<Option<Self>> {
        let Some(name) = manager() else { return Ok(None) };
        let Some(payload) = dir.bind_notify_socket().context(VARIABLE)? else { return Ok(None) };
        let manager = dial(&name)
            .context(VARIABLE)
            .hint("unset NOTIFY_SOCKET, or start the container as a service of its manager")?;
        Ok(Some(Self { payload, manager }))
    }

    /// Waits until the payload is ready, or ends: then somebody else has to judge that. The manager
    /// gets to know the pid of the container's init. `None`: it has ended already.
    pub(crate) fn wait(&self, pid: i32, payload: Option<BorrowedFd<'_>>) -> Result<()> {
        loop {
            let ended = match payload {
                None => true,
                Some(payload) => {
                    let mut fds = [
                        PollFd::new(self.payload.as_fd(), PollFlags::POLLIN),
                        PollFd::new(payload, PollFlags::POLLIN),
                    ];
                    match poll(&mut fds, PollTimeout::NONE) {
                        Err(Errno::EINTR) => continue,
                        other => other.call(|| "poll()".into())?,
                    };
                    fds.last().and_then(PollFd::any).unwrap_or(false)
                }
            };
            // First what it has said, for it may have been the last.
            if self.pass_on(pid)? == Seen::Ready {
                // The manager asks the kernel who has sent a message: we must still be there.
                return self.barrier();
            }
            if ended {
                return Ok(());
            }
        }
    }

    /// Passes on everything that has arrived. `main_pid` is what the manager is to watch when the
    /// payload is ready.
    fn pass_on(&self, main_pid: i32) -> Result<Seen> {
        let mut seen = Seen::Other;
        let mut buf = [0; LONGEST];
        while self.has_message()? {
            let (length, fd) = sys::fd::receive_with(self.payload.as_fd(), &mut buf)?;
            let text = buf.get(..length).unwrap_or_default();
            if text.trim_ascii() == b"BARRIER=1" {
                // Closed by whoever has read all before it; if nobody takes it, by us.
                if let Some(fd) = fd {
                    self.send_barrier(fd.as_fd()).ok();
                }
                continue;
            }
            let message = message(text, main_pid);
            if message.is_empty() {
                continue;
            }
            if message.lines().any(|line| line == "READY=1") {
                seen = Seen::Ready;
            }
            send(self.manager.as_raw_fd(), message.as_bytes(), MsgFlags::MSG_NOSIGNAL)
                .call(|| format!("send({VARIABLE}, {message:?})"))?;
        }
        Ok(seen)
    }

    fn has_message(&self) -> Result<bool> {
        let mut fds = [PollFd::new(self.payload.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::ZERO) {
            Err(Errno::EINTR) => Ok(true),
            other => Ok(other.call(|| "poll()".into())? > 0),
        }
    }

    /// Waits until the manager has read everything (`sd_notify_barrier(3)`).
    fn barrier(&self) -> Result<()> {
        let (read_end, write_end) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
            .call(|| "pipe2()".into())
            .context(VARIABLE)?;
        self.send_barrier(write_end.as_fd()).call(|| format!("send({VARIABLE}, BARRIER=1)"))?;
        drop(write_end);
        let end = Instant::now() + BARRIER;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(read_end.as_fd(), PollFlags::POLLIN)], left) {
                Err(Errno::EINTR) => {}
                other => return Ok(other.call(|| "poll()".into()).map(drop)?),
            }
        }
    }

    fn send_barrier(&self, fd: BorrowedFd<'_>) -> nix::Result<()> {
        sys::fd::send_with(self.manager.as_fd(), b"BARRIER=1", fd).map(drop)
    }

    /// Passes on what has arrived, for a caller in the foreground, who stays the service's main
    /// process.
    pub(crate) fn relay(&self) {
        // A manager that went away is no reason to end a container, nor to say so at every message.
        self.pass_on(std::process::id().cast_signed()).ok();
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.payload.as_fd()
    }
}

/// The lines that may pass, and with READY the process that is ready.
fn message(text: &[u8], main_pid: i32) -> String {
    let text = String::from_utf8_lossy(text);
    let passes =
        |line: &&str| line.split_once('=').is_some_and(|(name, _)| PASSED_ON.contains(&name));
    let mut lines: Vec<String> = text.lines().filter(passes).map(str::to_owned).collect();
    if lines.iter().any(|line| line == "READY=1") {
        lines.push(format!("MAINPID={main_pid}"));
    }
    lines.join("\n")
}

/// `sd_notify(3)`: an absolute path, or the name of an abstract socket behind an "@".
fn dial(name: &str) -> Result<OwnedFd> {
    let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .call(|| "socket(AF_UNIX, SOCK_DGRAM)".into())?;
    let address = match name.strip_prefix('@') {
        Some(name) => UnixAddr::new_abstract(name.as_bytes()),
        None if name.starts_with('/') => UnixAddr::new(name),
        None => {
            return Err(anyhow!("{name:?} is neither an absolute path nor an abstract name"));
        }
    };
    let call = || format!("connect({name})");
    connect(socket.as_raw_fd(), &address.call(call)?).call(call)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_of_the_payload_itself_passes() {
        let table = [
            ("READY=1", "READY=1\nMAINPID=7"),
            ("STATUS=up\nREADY=1\n", "STATUS=up\nREADY=1\nMAINPID=7"),
            ("READY=0", "READY=0"),
            ("MAINPID=1\nREADY=1", "READY=1\nMAINPID=7"),
            ("NOTIFYACCESS=all", ""),
            ("FDSTORE=1\nFDNAME=x\nWATCHDOG=1", "WATCHDOG=1"),
            ("MAINPIDFDID=3\nMAINPIDFD=1", ""),
            ("STATUS=a=b", "STATUS=a=b"),
            ("READY", ""),
            ("", ""),
        ];
        for (said, told) in table {
            assert_eq!(message(said.as_bytes(), 7), told, "{said:?}");
        }
    }
}
