//! The terminal side of a container: starts its monitor and passes on streams and signals.
//!
//! Runs in: `run` and `start`. Killing it ends neither the monitor nor the container.

use crate::container::{Container, Record};
use crate::home::Home;
use crate::monitor;
use crate::monitor::wire::{self, Message, PIECE, Stream};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

/// Passed on to the container.
const FORWARDED: [Signal; 9] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGCONT,
    Signal::SIGWINCH,
];

/// How a start went.
#[derive(Debug)]
pub(crate) enum Outcome {
    Running(Attached),
    Failed { code: i32, text: String },
}

/// A connection to the monitor of a container that runs.
#[derive(Debug)]
pub(crate) struct Attached {
    socket: OwnedFd,
}

/// Starts a monitor, which starts the container.
pub(crate) fn start(home: &Home, container: &Container) -> Result<Outcome> {
    let (socket, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
            .context("socketpair")?;
    let mut monitor = monitor::command(home, &container.record.id)?;
    monitor.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
    // Signals of the terminal are for this process.
    monitor.process_group(0).spawn().context("start the monitor")?;
    drop(monitor); // and with it our copy of its end
    match wire::receive(&socket)? {
        Some(Message::Started) => Ok(Outcome::Running(Attached { socket })),
        Some(Message::Failed { code, text }) => Ok(Outcome::Failed { code, text }),
        Some(_) => bail!("internal error, please report: no answer of the monitor"),
        None => Err(anyhow!("the monitor ended before the container was started")),
    }
}

impl Attached {
    /// Passes on everything until the container ends; its exit code.
    pub(crate) fn forward(self, record: &Record) -> Result<i32> {
        let mut mask = SigSet::empty();
        FORWARDED.iter().for_each(|signal| mask.add(*signal));
        mask.thread_block().context("block signals")?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let terminal = record.tty && io::stdin().is_terminal();
        let raw = (terminal && record.interactive).then(Raw::set).transpose()?;
        let mut forward = Forward {
            socket: self.socket,
            signals,
            pending: Vec::new(),
            input: record.interactive,
            terminal,
        };
        forward.resize();
        let code = loop {
            if let Some(code) = forward.turn()? {
                break code;
            }
        };
        drop(raw);
        Ok(code)
    }
}

struct Forward {
    socket: OwnedFd,
    signals: SignalFd,
    /// Messages that the monitor has not taken yet.
    pending: Vec<Vec<u8>>,
    /// Standard input is still read.
    input: bool,
    terminal: bool,
}

impl Forward {
    fn turn(&mut self) -> Result<Option<i32>> {
        while let Some(message) = self.pending.first() {
            if !wire::send(self.socket.as_fd(), message, false).unwrap_or(true) {
                break;
            }
            self.pending.remove(0);
        }
        let stdin = io::stdin();
        let mut events = PollFlags::POLLIN;
        events.set(PollFlags::POLLOUT, !self.pending.is_empty());
        let mut fds = vec![
            PollFd::new(self.socket.as_fd(), events),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        if self.input && self.pending.is_empty() {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => bail!("poll: {errno}"),
        }
        let happened = |index: usize| {
            let events = fds.get(index).and_then(PollFd::revents).unwrap_or(PollFlags::empty());
            events.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR)
        };
        let (message, input) = (happened(0), happened(2));
        while let Some(signal) = self.signals.read_signal()? {
            match i32::try_from(signal.ssi_signo)? {
                number if number == Signal::SIGWINCH as i32 => self.resize(),
                number => self.pending.push(Message::Signal(number).encode()),
            }
        }
        if input {
            self.read_input();
        }
        if message { self.take_message() } else { Ok(None) }
    }

    fn take_message(&mut self) -> Result<Option<i32>> {
        match wire::receive(&self.socket)? {
            // Where nobody reads there is nobody to tell.
            Some(Message::Output(Stream::Stdout, bytes)) => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(&bytes).and_then(|()| stdout.flush()).ok();
            }
            Some(Message::Output(Stream::Stderr, bytes)) => {
                io::stderr().write_all(&bytes).ok();
            }
            Some(Message::Exited(code)) => return Ok(Some(code)),
            Some(_) => bail!("internal error, please report: message of the monitor"),
            None => bail!("the monitor was killed; the container goes on without its streams"),
        }
        Ok(None)
    }

    fn read_input(&mut self) {
        let mut bytes = vec![0; PIECE];
        match nix::unistd::read(io::stdin(), &mut bytes) {
            Ok(0) | Err(_) => {
                self.input = false;
                self.pending.push(Message::InputEnd.encode());
            }
            Ok(length) => {
                bytes.truncate(length);
                self.pending.push(Message::Input(bytes).encode());
            }
        }
    }

    fn resize(&mut self) {
        if let (true, Ok(size)) = (self.terminal, tcgetwinsize(io::stdin())) {
            let message = Message::Resize { rows: size.ws_row, columns: size.ws_col };
            self.pending.push(message.encode());
        }
    }
}

/// The caller's terminal without any interpretation, until this is dropped.
struct Raw(Termios);

impl Raw {
    fn set() -> Result<Self> {
        let before = tcgetattr(io::stdin()).context("tcgetattr")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Flush, &raw).context("tcsetattr")?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        tcsetattr(io::stdin(), OptionalActions::Drain, &self.0).ok(); // it may be gone
    }
}

/// `-t` and a caller without a terminal do not go together when he also wants to type.
pub(crate) fn check_terminal(wanted: bool) -> Result<()> {
    ensure!(!wanted || io::stdin().is_terminal(), "-t: standard input is not a terminal");
    Ok(())
}
