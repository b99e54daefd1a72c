//! The foreground of `run` and `exec`: forwards signals, relays the terminal, waits for the end.
//!
//! Runs in: parent. One poll(2) loop over pidfd, signalfd and terminal: nothing can be missed
//! between two looks, as the signals are blocked from before the child existed.

use crate::launch;
use crate::readiness::Readiness;
use crate::sys::{Call as _, clone, tty};
use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use std::io::IsTerminal as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// All signals that can be forwarded, blocked and readable.
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Before the child is made: a child that ends at once must not be missed.
    pub(crate) fn block() -> Result<Self> {
        let mut set = SigSet::all();
        // Faults of our own must kill us, and job control must be able to stop us.
        for signal in [
            Signal::SIGSEGV,
            Signal::SIGBUS,
            Signal::SIGILL,
            Signal::SIGFPE,
            Signal::SIGTSTP,
            Signal::SIGTTOU,
            Signal::SIGTTIN,
        ] {
            set.remove(signal);
        }
        set.thread_block().call(|| "sigprocmask(SIG_BLOCK)".into())?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .call(|| "signalfd()".into())?;
        Ok(Self(fd))
    }
}

/// Between the user's terminal and the container's.
struct Relay {
    master: OwnedFd,
    /// The user's settings, if standard input is a terminal.
    before: Option<Termios>,
    /// Bytes for the master that it had no room for.
    input: Vec<u8>,
    input_open: bool,
    output_open: bool,
}

/// Waits for the payload. Returns its exit code, or 128 + the signal that killed it.
pub(crate) fn foreground(
    signals: &Signals,
    pidfd: &OwnedFd,
    master: Option<OwnedFd>,
    readiness: Option<&Readiness>,
) -> Result<u8> {
    let mut relay = master.map(Relay::new).transpose()?;
    let status = watch(signals, pidfd, relay.as_mut(), readiness);
    if let Some(readiness) = readiness {
        readiness.relay(); // its last words
    }
    if let Some(relay) = relay {
        relay.finish();
    }
    status
}

fn watch(
    signals: &Signals,
    pidfd: &OwnedFd,
    mut relay: Option<&mut Relay>,
    readiness: Option<&Readiness>,
) -> Result<u8> {
    loop {
        let stdin = std::io::stdin();
        let mut fds = vec![
            PollFd::new(pidfd.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.0.as_fd(), PollFlags::POLLIN),
        ];
        if let Some(relay) = relay.as_deref() {
            let out = if relay.input.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
            let master =
                if relay.output_open { PollFlags::POLLIN | out } else { PollFlags::empty() };
            fds.push(PollFd::new(relay.master.as_fd(), master));
            if relay.input_open && relay.input.is_empty() {
                fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
            }
        }
        let told = fds.len();
        if let Some(readiness) = readiness {
            fds.push(PollFd::new(readiness.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other.call(|| "poll()".into())?,
        };
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        drop(fds);
        let is_ready = |n: usize| ready.get(n).copied().unwrap_or(false);
        if let Some(relay) = relay.as_deref_mut() {
            if is_ready(2) {
                relay.output()?;
                relay.flush()?;
            }
            if told > 3 && is_ready(3) {
                relay.input()?;
            }
        }
        if let Some(readiness) = readiness.filter(|_| is_ready(told)) {
            readiness.relay();
        }
        if is_ready(1) {
            forward(signals, pidfd, relay.as_deref())?;
        }
        if is_ready(0) {
            return exit_code(pidfd);
        }
    }
}

fn exit_code(pidfd: &OwnedFd) -> Result<u8> {
    let status = launch::wait(pidfd.as_fd()).call(|| "waitid(P_PIDFD)".into())?;
    if let WaitStatus::Signaled(_, signal, _) = status {
        return Ok(128 + u8::try_from(signal as i32).unwrap_or(0));
    }
    let WaitStatus::Exited(_, code) = status else { return Ok(u8::MAX) };
    Ok(u8::try_from(code & 0xff).unwrap_or(u8::MAX))
}

fn forward(signals: &Signals, pidfd: &OwnedFd, relay: Option<&Relay>) -> Result<()> {
    while let Some(info) = signals.0.read_signal().call(|| "read(signalfd)".into())? {
        let number = info.ssi_signo.cast_signed();
        if number == libc::SIGCHLD {
            reap_orphans(pidfd.as_fd());
        } else if number == libc::SIGWINCH
            && let Some(relay) = relay
        {
            relay.resize();
        } else {
            match clone::pidfd_send_signal(pidfd.as_fd(), number) {
                // It has ended: the next look at the pidfd tells.
                Err(err) if err.errno == Errno::ESRCH => {}
                other => other?,
            }
        }
    }
    Ok(())
}

/// As subreaper we inherit orphans of the container's process tree. The container's own process is
/// left for `exit_code`, which looks at it right afterwards.
fn reap_orphans(pidfd: BorrowedFd<'_>) {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(status) = waitid(Id::All, flags) {
        let Some(pid) = status.pid() else { return };
        let ours = waitid(Id::PIDFd(pidfd), flags).ok().and_then(|status| status.pid());
        if ours == Some(pid) {
            return;
        }
        // Nobody asks for an orphan's exit code.
        waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG).ok();
    }
}

impl Relay {
    fn new(master: OwnedFd) -> Result<Self> {
        nonblocking(&master)?;
        let stdin = std::io::stdin();
        let before = if stdin.is_terminal() {
            let before = tcgetattr(&stdin).call(|| "tcgetattr(stdin)".into())?;
            let mut raw = before.clone();
            cfmakeraw(&mut raw);
            tcsetattr(&stdin, SetArg::TCSANOW, &raw).call(|| "tcsetattr(stdin, raw)".into())?;
            Some(before)
        } else {
            None
        };
        let relay = Self { master, before, input: Vec::new(), input_open: true, output_open: true };
        relay.resize();
        Ok(relay)
    }

    /// The container's window is as large as the user's. Without a terminal there is no size to
    /// pass on.
    fn resize(&self) {
        if let Ok(size) = tty::size(std::io::stdin().as_fd())
            && size.ws_col > 0
        {
            // Only the pty's disappearance can make this fail.
            tty::set_size(self.master.as_fd(), &size).ok();
        }
    }

    fn input(&mut self) -> Result<()> {
        let mut buf = [0; 16384];
        match nix::unistd::read(std::io::stdin(), &mut buf) {
            Ok(0) => self.input_open = false,
            Ok(n) => self.input.extend_from_slice(buf.get(..n).unwrap_or_default()),
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            // The user's terminal hung up.
            Err(Errno::EIO) => self.input_open = false,
            Err(errno) => return Err(crate::sys::Error::new("read(stdin)", errno).into()),
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        if self.input.is_empty() {
            return Ok(());
        }
        match nix::unistd::write(&self.master, &self.input) {
            Ok(n) => drop(self.input.drain(..n)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(Errno::EIO) => self.input.clear(),
            Err(errno) => return Err(crate::sys::Error::new("write(pty)", errno).into()),
        }
        Ok(())
    }

    /// Passes on what is there.
    fn output(&mut self) -> Result<()> {
        let mut buf = [0; 16384];
        match nix::unistd::read(&self.master, &mut buf) {
            Ok(0) => self.output_open = false,
            Ok(n) => {
                use std::io::Write as _;
                let mut out = std::io::stdout();
                out.write_all(buf.get(..n).unwrap_or_default())
                    .and_then(|()| out.flush())
                    .map_err(|err| crate::config::io(&err))
                    .context("standard output")?;
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // Every slave is closed.
            Err(Errno::EIO) => self.output_open = false,
            Err(errno) => return Err(crate::sys::Error::new("read(pty)", errno).into()),
        }
        Ok(())
    }

    /// The last words of the payload, then the user's settings again.
    fn finish(mut self) {
        let mut waiting = true;
        while waiting && self.output_open {
            waiting = readable(&self.master) && self.output().is_ok();
        }
        if let Some(before) = &self.before {
            // The terminal may be gone, and there is nobody to tell.
            tcsetattr(std::io::stdin(), SetArg::TCSANOW, before).ok();
        }
    }
}

fn readable(fd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0)
}

fn nonblocking(fd: &OwnedFd) -> Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).call(|| "fcntl(O_NONBLOCK)".into())?;
    Ok(())
}
