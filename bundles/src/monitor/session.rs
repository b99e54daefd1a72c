//! `exec -it`: a process that keeps the terminal of a command in a container, which goes on when
//! nobody types any more.
//!
//! Runs in: this binary, started anew by `exec`, until the command ends. Standard input is a socket
//! to whoever types; when that closes, what the command writes is lost.

use super::clients::FAREWELL;
use super::streams::{self, Streams};
use super::wire::{self, Message, PIECE};
use super::{failed, wait};
use crate::container::Container;
use crate::events::{self, Event};
use crate::home::Home;
use crate::process;
use crate::runtime::Runtime;
use anyhow::{Context as _, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

pub(super) const NAME: &str = "bundles-exec";

/// This program as the keeper of a command's terminal; `process` is the file for the runtime,
/// `exec` the id in events.
pub(crate) fn command(home: &Home, id: &str, process: &Path, exec: &str) -> Result<Command> {
    let exe = std::env::current_exe().context("/proc/self/exe")?;
    let mut command = Command::new(exe);
    command.arg0(NAME).arg(home.path()).arg(id).arg(process).arg(exec);
    Ok(command)
}

pub(super) fn run(home: &Home, id: &str, process: &Path, exec: &str) -> Result<()> {
    nix::unistd::setsid().ok(); // it may be the leader of one already
    // The runtime ends before the command, whose exit code comes to this process then.
    nix::sys::prctl::set_child_subreaper(true).context("prctl(PR_SET_CHILD_SUBREAPER)")?;
    let client = io::stdin().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdin(File::open("/dev/null")?).context("dup2")?; // or it would never close
    let container = Container::open(&home.directory("containers")?.join(id))?;
    let (pid, streams) = match start(home, &container, process) {
        Ok(started) => started,
        Err(err) => {
            return wire::send(client.as_fd(), &failed(&err).encode()).map(drop);
        }
    };
    let mask = SigSet::from(Signal::SIGCHLD);
    mask.thread_block().context("block SIGCHLD")?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let queue = VecDeque::from([Message::Started.encode()]);
    let input = Vec::new();
    let code = Session { pid, streams, signals, client: Some(client), queue, input }.live()?;
    let event = Event::container(&container.record, "exec_die").with("execID", exec);
    events::note(home, event.with("exitCode", &code.to_string()));
    Ok(())
}

fn start(home: &Home, container: &Container, process: &Path) -> Result<(Pid, Streams)> {
    let scratch = home.scratch()?;
    // Socket addresses are short and homes may be long.
    std::env::set_current_dir(scratch.path()).context("chdir")?;
    let runtime = Runtime::of(container)?;
    let console = streams::Console::listen()?;
    let mut exec = runtime.command(["exec", "--detach", "--pid-file", "pid", "--console-socket"]);
    exec.arg(streams::CONSOLE).arg("--process").arg(process).arg(&container.record.id);
    runtime.run(&mut exec)?;
    let streams = console.streams()?;
    let text = std::fs::read_to_string("pid").context("pid file")?;
    let pid = text.trim().parse().context("pid file")?;
    std::env::set_current_dir("/").context("chdir(/)")?;
    Ok((Pid::from_raw(pid), streams))
}

struct Session {
    pid: Pid,
    streams: Streams,
    signals: SignalFd,
    /// `None` when it has gone.
    client: Option<OwnedFd>,
    /// What it has not taken yet. Until it has, the command waits.
    queue: VecDeque<Vec<u8>>,
    /// What the command has not taken yet.
    input: Vec<u8>,
}

impl Session {
    /// Until the command ends: its exit code.
    fn live(mut self) -> Result<i32> {
        let code = loop {
            if let Some(code) = self.turn()? {
                break code;
            }
        };
        while self.read() {}
        self.queue.push_back(Message::Exited(code).encode());
        let end = Instant::now() + FAREWELL;
        while self.flush() && Instant::now() < end {
            let Some(client) = &self.client else { break };
            wait(&mut [PollFd::new(client.as_fd(), PollFlags::POLLOUT)], 100_u8.into())?;
        }
        Ok(code)
    }

    /// The exit code, when the command has ended.
    fn turn(&mut self) -> Result<Option<i32>> {
        while let Some(_signal) = self.signals.read_signal()? {}
        if let Some(code) = process::reap(self.pid, |_, _| ())? {
            return Ok(Some(code));
        }
        let waits = self.flush();
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if let Some(client) = &self.client {
            let mut events = PollFlags::POLLIN;
            events.set(PollFlags::POLLOUT, waits);
            fds.push(PollFd::new(client.as_fd(), events));
        }
        let has_client = self.client.is_some();
        if let (Some(input), false) = (&self.streams.input, self.input.is_empty()) {
            fds.push(PollFd::new(input.as_fd(), PollFlags::POLLOUT));
        }
        if !waits {
            let output = self.streams.output.iter();
            fds.extend(output.map(|(_, file)| PollFd::new(file.as_fd(), PollFlags::POLLIN)));
        }
        let happened = wait(&mut fds, PollTimeout::NONE)?;
        let said = has_client && happened.get(1).copied().unwrap_or_default();
        if said {
            self.listen();
        }
        self.feed();
        if !waits {
            self.read();
        }
        Ok(None)
    }

    fn listen(&mut self) {
        let Some(client) = &self.client else { return };
        match wire::receive(client) {
            Ok(Some(Message::Input(bytes))) => self.input.extend(bytes),
            Ok(Some(Message::Resize { rows, columns })) => self.streams.resize(rows, columns),
            Ok(Some(Message::Detach) | None) | Err(_) => {
                self.client = None;
                self.queue.clear();
            }
            Ok(Some(_)) => {} // nothing else concerns a command
        }
    }

    /// Gives the command what it takes.
    fn feed(&mut self) {
        let taken = self.streams.feed(&mut self.input);
        if taken > 0 && self.client.is_some() {
            let taken = u32::try_from(taken).unwrap_or(u32::MAX);
            self.queue.push_back(Message::Taken(taken).encode());
        }
    }

    /// A piece of what the command has written; false when there is nothing.
    fn read(&mut self) -> bool {
        let Some((stream, output)) = self.streams.output.first_mut() else { return false };
        let mut bytes = [0; PIECE];
        match output.read(&mut bytes) {
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => false,
            // A terminal tells so that nobody has it open any more.
            Ok(0) | Err(_) => {
                self.streams.output.clear();
                false
            }
            Ok(length) => {
                if self.client.is_some() {
                    let piece = bytes.get(..length).unwrap_or_default().to_vec();
                    self.queue.push_back(Message::Output(*stream, piece).encode());
                }
                true
            }
        }
    }

    /// Whether something is left that the client does not take just now.
    fn flush(&mut self) -> bool {
        while let (Some(client), Some(message)) = (&self.client, self.queue.front()) {
            match wire::send(client.as_fd(), message) {
                Ok(true) => drop(self.queue.pop_front()),
                Ok(false) => return true,
                Err(_) => {
                    self.client = None;
                    self.queue.clear();
                }
            }
        }
        false
    }
}
