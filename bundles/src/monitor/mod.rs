//! The small process that watches over one container: `bundles monitor`.
//!
//! Runs in: this binary, started anew, in a session of its own. It is the parent of the container's
//! first process, so it gets the exit code. It holds no end of a pipe whose loss would hurt: the
//! container's output goes into FIFOs which the container itself keeps open for reading.

mod cgroup;
pub(crate) mod log;
mod ports;
mod streams;
pub(crate) mod wire;

use crate::container::{self, Container, Record, Root, State, Status};
use crate::home::Home;
use crate::joins;
use crate::networking;
use crate::overlay;
use crate::process::Process;
use crate::rootless;
use crate::runtime::{self, Runtime};
use crate::store::Store;
use anyhow::{Context as _, Result, bail};
use log::Log;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use ports::Ports;
use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use streams::Streams;
use wire::{Message, PIECE};

/// Where an image's files are, in the container's directory.
const ROOTFS: &str = "rootfs";
/// Input that the container has not read yet, in bytes, before no more is taken.
const MOST_INPUT: usize = 64 * 1024;

/// The name of a program that is a monitor: no command line, with its memory and time.
const NAME: &str = "bundles-monitor";

/// This program as the monitor of a container.
pub(crate) fn command(home: &Home, id: &str) -> Result<Command> {
    let exe = std::env::current_exe().context("/proc/self/exe")?;
    let mut command = Command::new(exe);
    command.arg0(NAME).arg(home.path()).arg(id);
    Ok(command)
}

/// `None` when this process is no monitor.
pub(crate) fn called() -> Option<ExitCode> {
    let mut args = std::env::args_os();
    if args.next()? != NAME {
        return None;
    }
    let (root, id) = (PathBuf::from(args.next()?), args.next()?.into_string().ok()?);
    let done = Home::open(Some(&root)).and_then(|home| run(&home, &id));
    if rootless::ids().is_ok_and(|ids| ids.is_some()) {
        Home::open(Some(&root)).and_then(|home| rootless::retire(&home)).ok(); // others try again
    }
    Some(if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Standard input is a socket to whoever wants to see the container start.
fn run(home: &Home, id: &str) -> Result<()> {
    nix::unistd::setsid().ok(); // it may be the leader of one already
    nix::sys::prctl::set_child_subreaper(true).context("prctl(PR_SET_CHILD_SUBREAPER)")?;
    let client = io::stdin().as_fd().try_clone_to_owned()?;
    let mut container = Container::open(&home.directory("containers")?.join(id))?;
    // Socket addresses are short and homes may be long: all names are relative from here on.
    std::env::set_current_dir(&container.dir).context("chdir")?;
    let runtime = Runtime::new(home, &container.record.runtime, &container.dir)?;
    match start(home, &mut container, &runtime) {
        Ok(Some(started)) => {
            let log = Log::open(&container.dir)?;
            let (client, toward) = (Some(client), VecDeque::from([Message::Started.encode()]));
            let input = Vec::new();
            Monitor { home, container, runtime, started, log, client, toward, input }.watch()
        }
        Ok(None) => wire::send(client.as_fd(), &Message::Started.encode(), true).map(drop),
        Err(err) => {
            let text = runtime::told(&err);
            let code = runtime::exit_code_of(&text);
            let message = Message::Failed { code, text: text.chars().take(3000).collect() };
            wire::send(client.as_fd(), &message.encode(), true).map(drop)
        }
    }
}

/// What runs, from outside.
struct Started {
    pid: Pid,
    streams: Streams,
    signals: SignalFd,
    /// Where the kernel counts the processes which it has killed for want of memory.
    oom: Option<PathBuf>,
    ports: Option<Ports>,
}

/// `None` when it runs already.
fn start(home: &Home, container: &mut Container, runtime: &Runtime) -> Result<Option<Started>> {
    let lock = container.lock()?;
    if container.record.is_running() {
        return Ok(None);
    }
    let id = container.record.id.clone();
    if container.record.state.status != Status::Created {
        runtime.delete(&id).ok(); // what a killed monitor or a reboot has left
        networking::leave(home, &id)?;
    }
    let monitor = Process::of(std::process::id().cast_signed());
    container.record.state = State { monitor, ..State::default() };
    let started = mount_root(home, &container.record)
        .and_then(|()| create_and_start(home, container, runtime));
    match started {
        Ok(started) => Ok(Some(started)),
        Err(err) => {
            runtime.delete(&id).ok(); // the first error is the one worth telling
            networking::leave(home, &id).ok();
            unmount_root(&container.record);
            let text = crate::error::chain(&err);
            let exit_code = Some(runtime::exit_code_of(&text));
            container.record.state = State { exit_code, error: Some(text), ..State::default() };
            if container.record.remove {
                container.remove(home, &lock)?;
            } else {
                container.save()?;
            }
            Err(err)
        }
    }
}

/// Puts the files of its image in their place, for this process and the container.
fn mount_root(home: &Home, record: &Record) -> Result<()> {
    let Root::Image { layers, .. } = &record.root else { return Ok(()) };
    let store = Store::open(home)?;
    let layers: Vec<PathBuf> = layers.iter().map(|layer| store.layer(layer)).collect();
    overlay::leave_mounts()?;
    let (files, work) = (Path::new("upper"), Path::new("work"));
    let upper = overlay::Upper { files, work, volatile: record.remove };
    overlay::mount_layers(&layers, Some(&upper), Path::new(ROOTFS))
}

/// Its directory can be removed then.
fn unmount_root(record: &Record) {
    if record.image_id().is_some() {
        overlay::unmount(Path::new(ROOTFS));
    }
}

fn create_and_start(home: &Home, container: &mut Container, runtime: &Runtime) -> Result<Started> {
    ports::descriptors::restore();
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    mask.thread_block().context("block SIGCHLD")?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let record = &mut container.record;
    joins::prepare(home, record)?;
    let mut ports = Ports::open(home, record)?;
    let mut create = runtime.command(["create", "--bundle", ".", "--pid-file", "pid"]);
    let streams = if record.tty {
        let console = streams::Console::listen()?;
        create.args(["--console-socket", streams::CONSOLE]).arg(&record.id);
        runtime.run(&mut create)?;
        console.streams()?
    } else {
        let (streams, inside) = streams::pipes(record.interactive)?;
        create.arg(&record.id).stdin(inside.stdin).stdout(inside.stdout).stderr(inside.stderr);
        runtime.run(&mut create)?;
        streams
    };
    drop(create); // and with it our copies of the container's ends
    let text = std::fs::read_to_string("pid").context("pid file")?;
    let pid: i32 = text.trim().parse().context("pid file")?;
    record.state.status = Status::Starting;
    record.state.process = Process::of(pid);
    container.save()?;
    let oom = cgroup::oom_counter(pid);
    networking::join(home, &container.dir, &mut container.record, pid)?;
    if let Some(ports) = &mut ports {
        ports.lead_to(pid);
    }
    runtime.run(&mut runtime.command(["start", &container.record.id]))?;
    container.record.state.status = Status::Running;
    container.record.state.started = Some(container::now());
    container.save()?;
    Ok(Started { pid: Pid::from_raw(pid), streams, signals, oom, ports })
}

struct Monitor<'a> {
    home: &'a Home,
    container: Container,
    runtime: Runtime,
    started: Started,
    log: Log,
    client: Option<OwnedFd>,
    /// Messages that the client has not taken yet. While there are some, no more output is read.
    toward: VecDeque<Vec<u8>>,
    /// For the container.
    input: Vec<u8>,
}

impl Monitor<'_> {
    fn watch(mut self) -> Result<()> {
        let code = loop {
            self.flush()?;
            if let Some(code) = self.turn()? {
                break code;
            }
        };
        // Nobody writes any more: what is left can be read without waiting.
        while self.read_output()? {}
        self.log.finish()?;
        self.ended(code)?;
        if let Some(client) = self.client.take() {
            self.toward.push_back(Message::Exited(code).encode());
            for message in &self.toward {
                if wire::send(client.as_fd(), message, true).is_err() {
                    break; // it has gone, and all is done
                }
            }
        }
        Ok(())
    }

    /// Waits for the next events and does what they ask for; the exit code at the end.
    fn turn(&mut self) -> Result<Option<i32>> {
        let streams = &self.started.streams;
        let mut fds = vec![PollFd::new(self.started.signals.as_fd(), PollFlags::POLLIN)];
        if let Some(client) = &self.client {
            let mut events = PollFlags::empty();
            events.set(PollFlags::POLLIN, self.input.len() < MOST_INPUT);
            events.set(PollFlags::POLLOUT, !self.toward.is_empty());
            fds.push(PollFd::new(client.as_fd(), events));
        }
        let others = fds.len();
        if let (Some(input), false) = (&streams.input, self.input.is_empty()) {
            fds.push(PollFd::new(input.as_fd(), PollFlags::POLLOUT));
        }
        if self.toward.is_empty() {
            let output = streams.output.iter();
            fds.extend(output.map(|(_, file)| PollFd::new(file.as_fd(), PollFlags::POLLIN)));
        }
        let rest = others..fds.len();
        fds.extend(
            self.started.ports.iter().map(|all| PollFd::new(all.as_fd(), PollFlags::POLLIN)),
        );
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => bail!("poll: {errno}"),
        }
        let happened = |index: usize| fds.get(index).and_then(PollFd::any).unwrap_or_default();
        let client = others > 1 && happened(1);
        let (ports, rest) = (happened(rest.end), rest.into_iter().any(happened));
        if client {
            self.take_message()?;
        }
        if rest {
            self.feed();
            if self.toward.is_empty() {
                self.read_output()?;
            }
        }
        if let (true, Some(ports)) = (ports, &mut self.started.ports) {
            ports.turn();
        }
        self.reap()
    }

    /// All children that have ended; true when the container has.
    fn reap(&mut self) -> Result<Option<i32>> {
        while let Some(_signal) = self.started.signals.read_signal()? {}
        loop {
            let (pid, code) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, code),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(None),
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(errno) => bail!("waitpid: {errno}"),
            };
            if pid == self.started.pid {
                return Ok(Some(code));
            }
        }
    }

    /// From each stream what is there; false when nothing was.
    fn read_output(&mut self) -> Result<bool> {
        let mut any = false;
        let mut bytes = [0; PIECE];
        let mut ended = Vec::new();
        for (index, (stream, file)) in self.started.streams.output.iter_mut().enumerate() {
            match file.read(&mut bytes) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                // A terminal tells so that nobody has it open any more.
                Ok(0) | Err(_) => ended.push(index),
                Ok(length) => {
                    let piece = bytes.get(..length).unwrap_or_default();
                    self.log.write(*stream, piece).ok(); // a full disk does not stop a container
                    if self.client.is_some() {
                        let message = Message::Output(*stream, piece.to_vec());
                        self.toward.push_back(message.encode());
                    }
                    any = true;
                }
            }
        }
        for index in ended.into_iter().rev() {
            self.started.streams.output.remove(index);
        }
        Ok(any)
    }

    /// Gives the client what it takes.
    fn flush(&mut self) -> Result<()> {
        while let (Some(client), Some(message)) = (&self.client, self.toward.front()) {
            match wire::send(client.as_fd(), message, false) {
                Ok(true) => drop(self.toward.pop_front()),
                Ok(false) => return Ok(()),
                Err(_) => self.lose_client(),
            }
        }
        Ok(())
    }

    fn take_message(&mut self) -> Result<()> {
        let Some(client) = &self.client else { return Ok(()) };
        match wire::receive(client) {
            Ok(Some(Message::Input(bytes))) => self.input.extend(bytes),
            Ok(Some(Message::InputEnd)) => self.started.streams.input_ends = true,
            Ok(Some(Message::Resize { rows, columns })) => {
                self.started.streams.resize(rows, columns);
            }
            Ok(Some(Message::Signal(number))) => {
                // It may have ended a moment ago.
                self.runtime.kill(&self.container.record.id, number).ok();
            }
            Ok(Some(
                Message::Started
                | Message::Failed { .. }
                | Message::Output(..)
                | Message::Exited(_),
            )) => {}
            Ok(None) | Err(_) => self.lose_client(),
        }
        self.feed();
        Ok(())
    }

    fn lose_client(&mut self) {
        self.client = None;
        self.toward.clear();
        self.started.streams.input_ends = true;
        self.feed();
    }

    /// Gives the container what it takes.
    fn feed(&mut self) {
        let streams = &mut self.started.streams;
        if let (Some(input), false) = (&mut streams.input, self.input.is_empty()) {
            match input.write(&self.input) {
                Ok(length) => drop(self.input.drain(..length)),
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.input.clear(), // nobody reads it any more
            }
        }
        if self.input.is_empty() && streams.input_ends && !streams.terminal {
            streams.input = None;
        }
    }

    /// Writes down how it ended, and tidies up.
    fn ended(&mut self, code: i32) -> Result<()> {
        let oom_killed = self.started.oom.as_deref().is_some_and(cgroup::has_killed);
        self.started.ports = None; // whoever sees the end may take them
        let lock = self.container.lock()?;
        // What fails here, the next who changes networks does.
        networking::leave(self.home, &self.container.record.id).ok();
        self.runtime.delete(&self.container.record.id).ok(); // `rm` and `start` try again
        unmount_root(&self.container.record);
        if self.container.record.remove {
            return self.container.remove(self.home, &lock);
        }
        let state = &mut self.container.record.state;
        state.status = Status::Exited;
        state.finished = Some(container::now());
        state.exit_code = Some(code);
        state.oom_killed = oom_killed;
        self.container.save()
    }
}
