//! The terminal side of a container: starts its monitor and passes on streams and signals.
//!
//! Runs in: `run`, `start` and `attach`. Killing it ends neither the monitor nor the container.

mod keys;

pub(crate) use keys::Keys;

use crate::container::{Container, Record};
use crate::error::OrHint as _;
use crate::home::Home;
use crate::monitor::clients::SOCKET;
use crate::monitor::wire::{self, Message, PIECE, Stream};
use crate::monitor::{self, Task, session};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use rustix::net::{SocketAddrUnix, SocketFlags, SocketType};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Passed on to the container.
const FORWARDED: [Signal; 8] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGCONT,
];

/// Input on its way to a container that reads slowly, in bytes.
const MOST_UNTAKEN: usize = 64 * 1024;
/// How long a monitor may take to write down how its container has ended.
const WRITING: Duration = Duration::from_secs(5);

/// How a start went.
#[derive(Debug)]
pub(crate) enum Outcome {
    Running(Attached),
    Failed { code: i32, text: String },
}

/// What a command wants of the streams of a container.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// Standard input is passed on.
    pub(crate) input: bool,
    /// Signals are passed on.
    pub(crate) signals: bool,
    pub(crate) keys: Keys,
    pub(crate) role: Role,
    /// Of what it writes, this is not shown.
    pub(crate) mute: Vec<Stream>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Has started the container, whose input ends with its own.
    Starter,
    Onlooker,
}

/// A connection to the monitor of a container that runs.
#[derive(Debug)]
pub(crate) struct Attached {
    socket: OwnedFd,
}

/// Starts a monitor, which starts the container. Whoever looks on is told all from the beginning.
pub(crate) fn start(home: &Home, container: &Container, look: Option<&Look>) -> Result<Outcome> {
    outcome(call(home, container, Task::Start, look)?)
}

fn outcome(socket: OwnedFd) -> Result<Outcome> {
    match wire::receive(&socket)? {
        Some(Message::Started) => Ok(Outcome::Running(Attached { socket })),
        Some(Message::Failed { code, text }) => Ok(Outcome::Failed { code, text }),
        Some(_) => bail!("internal error, please report: no answer of the monitor"),
        None => Err(anyhow!("the monitor ended before the container was started")),
    }
}

/// Gives a container that runs a monitor when its own was killed.
pub(crate) fn adopt(home: &Home, container: &mut Container) -> Result<()> {
    // An ordinary user's monitor has to be in his user namespace: commands that enter it do this.
    if !container.record.is_orphan() || !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let socket = call(home, container, Task::Adopt, None)?;
    match wire::receive(&socket)? {
        Some(Message::Failed { text, .. }) => {
            Err(anyhow!(text).context("its monitor was killed, and another could not take over"))
        }
        _ => container.refresh().map(drop),
    }
}

/// A command in a container, with this terminal. `process` is the file for the runtime,
/// `exec` the id in events.
pub(crate) fn exec(
    home: &Home,
    container: &Container,
    process: &Path,
    exec: &str,
) -> Result<Outcome> {
    let (socket, theirs) = pair()?;
    if let Some(size) = size(true) {
        wire::send(socket.as_fd(), &size.encode())?;
    }
    spawn(session::command(home, &container.record.id, process, exec)?, theirs)?;
    outcome(socket)
}

fn call(home: &Home, container: &Container, task: Task, look: Option<&Look>) -> Result<OwnedFd> {
    let (socket, theirs) = pair()?;
    if let Some(look) = look {
        greet(&socket, &container.record, look)?;
    }
    spawn(monitor::command(home, &container.record.id, task)?, theirs)?;
    Ok(socket)
}

fn pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .context("socketpair")
}

/// Our copy of its end goes with the command.
fn spawn(mut monitor: Command, theirs: OwnedFd) -> Result<()> {
    monitor.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
    // Signals of the terminal are for this process.
    monitor.process_group(0).spawn().map(drop).context("start the monitor")
}

/// What the monitor has to know first.
fn greet(socket: &OwnedFd, record: &Record, look: &Look) -> Result<()> {
    // People at a terminal are not waited for: a container that nobody reads goes on.
    let is_starter = look.role == Role::Starter;
    let patient = is_starter && !io::stdout().is_terminal();
    let attach = Message::Attach { ends_input: is_starter && look.input, patient };
    wire::send(socket.as_fd(), &attach.encode())?;
    if let Some(size) = size(record.tty) {
        wire::send(socket.as_fd(), &size.encode())?;
    }
    Ok(())
}

/// That of the terminal, when the other side has one too.
fn size(tty: bool) -> Option<Message> {
    let size =
        [tcgetwinsize(io::stdin()), tcgetwinsize(io::stdout())].into_iter().find_map(Result::ok);
    let size = size.filter(|_| tty)?;
    Some(Message::Resize { rows: size.ws_row, columns: size.ws_col })
}

/// Connects to the monitor of a container that runs, and starts one when it was killed.
pub(crate) fn connect(home: &Home, container: &mut Container, look: &Look) -> Result<Attached> {
    let mut failed = anyhow!("{}: has ended just now", container.record.name);
    // A monitor may die while it is asked.
    for _ in 0..5 {
        adopt(home, container)?;
        match ask(container, look) {
            Ok(Some(attached)) => return Ok(attached),
            Ok(None) => {}
            Err(err) => failed = err.context("connect to the monitor"),
        }
        let ended = |record: &Record| !record.is_running();
        if container.wait_until(Some(Duration::from_millis(50)), ended)? {
            break;
        }
    }
    Err(failed)
}

/// `None` when the monitor has ended.
fn ask(container: &Container, look: &Look) -> Result<Option<Attached>> {
    let socket = knock(container)?;
    if let (true, Some(Message::Resize { rows, columns })) =
        (look.input, size(container.record.tty))
    {
        // Programs draw anew only when the size has changed.
        let other = Message::Resize { rows: rows.saturating_add(1), columns };
        wire::send(socket.as_fd(), &other.encode())?;
    }
    greet(&socket, &container.record, look)?;
    let answer = wire::receive(&socket)?;
    Ok(matches!(answer, Some(Message::Started)).then_some(Attached { socket }))
}

/// A connection alone makes a monitor look at the record.
pub(crate) fn knock(container: &Container) -> Result<OwnedFd> {
    let (flags, family) = (SocketFlags::CLOEXEC, rustix::net::AddressFamily::UNIX);
    let socket = rustix::net::socket_with(family, SocketType::SEQPACKET, flags, None)?;
    let dir = File::open(&container.dir)?;
    // The path of the directory may be longer than an address can be.
    let address = format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd());
    rustix::net::connect(&socket, &SocketAddrUnix::new(address)?)?;
    Ok(socket)
}

/// How looking on has ended.
enum End {
    Exited(i32),
    Detached,
    /// By the monitor's death, or since this process was too slow for it.
    Lost,
}

impl Attached {
    /// Passes on everything until the container ends: its exit code; or until the keys are typed: 0.
    pub(crate) fn forward(self, home: &Home, container: &mut Container, look: &Look) -> Result<u8> {
        let (mut forward, _raw) = Forward::new(self.socket, look, container.record.tty)?;
        loop {
            match forward.run()? {
                End::Exited(code) => return Ok(u8::try_from(code)?),
                End::Detached => return Ok(0),
                End::Lost => {}
            }
            let ended = |record: &Record| !record.is_running();
            if !container.wait_until(Some(Duration::from_millis(50)), ended)?
                && !container.record.has_process()
            {
                container.wait_until(Some(WRITING), ended)?;
            }
            if !container.record.is_running() || !container.dir.exists() {
                let unknown = match container.dir.exists() {
                    true => "its monitor was killed, so nobody knows its exit code",
                    false => "it was removed before its exit code was heard of",
                };
                let code = container.record.state.exit_code.context(unknown)?;
                return Ok(u8::try_from(code)?);
            }
            // What was written meanwhile is in the log.
            forward.socket = connect(home, container, look)?.socket;
            forward.untaken = 0;
        }
    }
}

impl Attached {
    /// The same for a command that has a terminal.
    pub(crate) fn forward_command(self, keys: &Keys) -> Result<u8> {
        let keys = keys.clone();
        let look =
            Look { input: true, signals: false, keys, role: Role::Starter, mute: Vec::new() };
        let (mut forward, _raw) = Forward::new(self.socket, &look, true)?;
        match forward.run()? {
            End::Exited(code) => Ok(u8::try_from(code)?),
            End::Detached => Ok(0),
            End::Lost => Err(anyhow!("the process that kept its terminal was killed"))
                .hint("look whether the command still runs, with bundles top"),
        }
    }
}

struct Forward {
    socket: OwnedFd,
    /// The other side has a terminal.
    tty: bool,
    signals: SignalFd,
    /// Messages that the monitor has not taken yet.
    pending: Vec<Vec<u8>>,
    /// Bytes of input that the container has not taken yet.
    untaken: usize,
    /// Standard input is still read.
    input: bool,
    /// Of a terminal in raw mode.
    keys: Option<Keys>,
    mute: Vec<Stream>,
}

impl Forward {
    /// The terminal is in raw mode until the second is dropped.
    fn new(socket: OwnedFd, look: &Look, tty: bool) -> Result<(Self, Option<Raw>)> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGWINCH);
        if look.signals {
            FORWARDED.iter().for_each(|signal| mask.add(*signal));
        }
        mask.thread_block().context("block signals")?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let terminal = tty && io::stdin().is_terminal();
        let raw = (terminal && look.input).then(Raw::set).transpose()?;
        let keys = raw.as_ref().map(|_| look.keys.clone());
        let (pending, input) = (Vec::new(), look.input);
        let mute = look.mute.clone();
        Ok((Self { socket, tty, signals, pending, untaken: 0, input, keys, mute }, raw))
    }

    fn run(&mut self) -> Result<End> {
        loop {
            if let Some(end) = self.turn()? {
                return Ok(end);
            }
        }
    }

    fn turn(&mut self) -> Result<Option<End>> {
        while let Some(message) = self.pending.first() {
            if !wire::send(self.socket.as_fd(), message).unwrap_or(true) {
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
        if self.input && self.untaken < MOST_UNTAKEN {
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
                number if number == Signal::SIGWINCH as i32 => {
                    self.pending.extend(size(self.tty).map(|size| size.encode()));
                }
                number => self.pending.push(Message::Signal(number).encode()),
            }
        }
        if input && self.read_input() {
            for message in self.pending.iter().chain([&Message::Detach.encode()]) {
                wire::send(self.socket.as_fd(), message).ok(); // or it sees us go
            }
            return Ok(Some(End::Detached));
        }
        if message { self.take_message() } else { Ok(None) }
    }

    fn take_message(&mut self) -> Result<Option<End>> {
        match wire::receive(&self.socket)? {
            Some(Message::Output(stream, _)) if self.mute.contains(&stream) => {}
            // Where nobody reads there is nobody to tell.
            Some(Message::Output(Stream::Stdout, bytes)) => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(&bytes).and_then(|()| stdout.flush()).ok();
            }
            Some(Message::Output(Stream::Stderr, bytes)) => {
                io::stderr().write_all(&bytes).ok();
            }
            Some(Message::Taken(length)) => {
                self.untaken = self.untaken.saturating_sub(usize::try_from(length)?);
            }
            Some(Message::Exited(code)) => return Ok(Some(End::Exited(code))),
            Some(_) => bail!("internal error, please report: message of the monitor"),
            None => return Ok(Some(End::Lost)),
        }
        Ok(None)
    }

    /// True when the keys to detach were typed.
    fn read_input(&mut self) -> bool {
        let mut bytes = vec![0; PIECE];
        match nix::unistd::read(io::stdin(), &mut bytes) {
            Ok(0) | Err(_) => {
                self.input = false;
                self.pending.push(Message::InputEnd.encode());
                false
            }
            Ok(length) => {
                bytes.truncate(length);
                let pass = |keys: &mut Keys| keys.pass(&bytes);
                let (bytes, detached) =
                    self.keys.as_mut().map(pass).unwrap_or_else(|| (bytes.clone(), false));
                if !bytes.is_empty() {
                    self.untaken += bytes.len();
                    self.pending.push(Message::Input(bytes).encode());
                }
                detached
            }
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
        // What was typed ahead is for the container.
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).context("tcsetattr")?;
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
