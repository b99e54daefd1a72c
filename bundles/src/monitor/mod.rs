//! The small process that watches over one container.
//!
//! Runs in: this binary, started anew, in a session of its own. It is the parent of the container's
//! first process, so it gets the exit code. It holds no end of a pipe whose loss would hurt: the
//! container's output goes into FIFOs which the container itself keeps open for reading, and of
//! a terminal, or the pipe to its input, the [`keeper`] has a copy. So when a monitor is killed the
//! container goes on, and the next command that looks starts a monitor which takes over.

pub(crate) mod cgroup;
mod checkup;
pub(crate) mod clients;
mod keeper;
pub(crate) mod log;
pub(crate) mod ports;
pub(crate) mod session;
mod start;
mod streams;
pub(crate) mod wire;

use crate::container::{self, BackOff, Container, Record, State, Status};
use crate::events::{self, Event};
use crate::health;
use crate::home::Home;
use crate::networking;
use crate::process;
use crate::rootless;
use crate::runtime::{self, Runtime};
use anyhow::{Context as _, Result, bail};
use checkup::Checkup;
use clients::Clients;
use log::Log;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use start::{Life, Size};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use wire::{Message, PIECE};

/// Input that the container has not read yet, in bytes, before no more is asked for.
const MOST_INPUT: usize = 64 * 1024;

/// Between two attempts to write to a full disk.
const FULL: Duration = Duration::from_millis(200);

/// The name of a program that is a monitor: no command line, with its memory and time.
const NAME: &str = "bundles-monitor";

/// What a monitor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Start,
    /// Takes over a container whose monitor was killed, and starts none.
    Adopt,
}

impl Task {
    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Adopt => "adopt",
        }
    }
}

/// This program as the monitor of a container.
pub(crate) fn command(home: &Home, id: &str, task: Task) -> Result<Command> {
    let exe = std::env::current_exe().context("/proc/self/exe")?;
    let mut command = Command::new(exe);
    command.arg0(NAME).arg(home.path()).arg(id).arg(task.word());
    Ok(command)
}

/// `None` when this process is a command of a user.
pub(crate) fn called() -> Option<ExitCode> {
    let mut args = std::env::args_os();
    let name = args.next()?;
    let done = if name == NAME {
        let (root, id) = (PathBuf::from(args.next()?), args.next()?.into_string().ok()?);
        let task = if args.next()? == Task::Adopt.word() { Task::Adopt } else { Task::Start };
        for_good(&root, |home| run(home, &id, task))
    } else if name == session::NAME {
        let (root, id) = (PathBuf::from(args.next()?), args.next()?.into_string().ok()?);
        let process = PathBuf::from(args.next()?);
        let exec = args.next()?.into_string().ok()?;
        for_good(&root, |home| session::run(home, &id, &process, &exec))
    } else if name == keeper::NAME {
        keeper::run(&args.next()?)
    } else {
        return None;
    };
    Some(if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The user namespace of an ordinary user goes with the last process that needs it.
fn for_good(root: &Path, work: impl FnOnce(&Home) -> Result<()>) -> Result<()> {
    let home = Home::open(Some(root))?;
    let done = work(&home);
    if rootless::ids()?.is_some() {
        rootless::leave_as_monitor(&home).ok(); // others try again
    }
    done
}

/// Standard input is a socket to whoever wants to see the container start.
fn run(home: &Home, id: &str, task: Task) -> Result<()> {
    nix::unistd::setsid().ok(); // it may be the leader of one already
    nix::sys::prctl::set_child_subreaper(true).context("prctl(PR_SET_CHILD_SUBREAPER)")?;
    let first = io::stdin().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdin(File::open("/dev/null")?).context("dup2")?; // or it would never close
    let mut container = Container::open(&home.directory("containers")?.join(id))?;
    // Socket addresses are short and homes may be long: all names are relative from here on.
    std::env::set_current_dir(&container.dir).context("chdir")?;
    let runtime = Runtime::of(&container)?;
    let mask = SigSet::from(Signal::SIGCHLD);
    mask.thread_set_mask().context("block SIGCHLD")?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let lock = container.lock()?;
    let runs = container.record.is_running();
    if runs && !container.record.is_orphan() || !runs && task == Task::Adopt {
        return wire::send(first.as_fd(), &Message::Started.encode()).map(drop);
    }
    let listening = Clients::listen(first.try_clone()?);
    let (mut clients, said) = match listening {
        Ok(listening) => listening,
        Err(err) => return wire::send(first.as_fd(), &failed(&err).encode()).map(drop),
    };
    drop(first); // whoever waits for us to end must not wait for this
    let mut size = None;
    for message in said {
        if let Message::Resize { rows, columns } = message {
            size = Some((rows, columns));
        }
    }
    container.record.state.restart_count = 0;
    // First what may not be possible, on a full disk: a container does not run unheard.
    let begun = Log::open(&container.dir, &container.record.log).and_then(|log| {
        let life = match runs {
            true => start::adopt(home, &mut container, &runtime),
            false => start::start(home, &mut container, &runtime, size, &lock),
        };
        Ok((log, life?))
    });
    drop(lock);
    let (log, life) = match begun {
        Ok(begun) => begun,
        Err(err) => {
            clients.answer(&failed(&err));
            return Ok(());
        }
    };
    clients.answer(&Message::Started);
    let input = Vec::new();
    Monitor { home, container, runtime, life, signals, clients, log, input, size }.live()
}

/// For whoever has started this monitor.
fn failed(err: &anyhow::Error) -> Message {
    let text = runtime::told(err);
    let code = runtime::exit_code_of(&text);
    Message::Failed { code, text: text.chars().take(3000).collect() }
}

/// How a container has ended: its exit code, or that of a shell for a signal. `None` when nobody
/// but a killed monitor could have seen it.
type Exit = Option<i32>;

struct Monitor<'a> {
    home: &'a Home,
    container: Container,
    runtime: Runtime,
    life: Life,
    signals: SignalFd,
    clients: Clients,
    log: Log,
    /// For the container.
    input: Vec<u8>,
    size: Size,
}

impl Monitor<'_> {
    /// Until it ends, and is not to start again.
    fn live(mut self) -> Result<()> {
        let mut back_off = BackOff::new();
        loop {
            let exit = self.watch()?;
            // Nobody writes any more: what is left can be read without waiting.
            while self.read_output() {}
            self.log.finish().ok(); // a full disk does not keep it from ending
            let told = Message::Exited(exit.unwrap_or(container::UNSEEN));
            let again = self.ended(exit)?;
            self.home.keep_reserve(); // of which that may have needed some
            if !again {
                self.clients.part(&told);
                return Ok(());
            }
            self.clients.tell(&told);
            let goes_on = self.rest(back_off.next(self.life.begun.elapsed()))?;
            if !(goes_on && self.start_again()?) {
                self.clients.part(&told);
                return Ok(());
            }
        }
    }

    /// Until it ends.
    fn watch(&mut self) -> Result<Exit> {
        loop {
            if let Some(exit) = self.turn()? {
                return Ok(exit);
            }
        }
    }

    /// Waits for the next events and does what they ask for. Whatever else is to be waited for
    /// adds its descriptors here, as the clients do.
    fn turn(&mut self) -> Result<Option<Exit>> {
        if let Some(exit) = self.reap()? {
            return Ok(Some(exit));
        }
        let streams = &self.life.streams;
        let mut fds = Vec::new();
        self.clients.fds(&mut fds);
        fds.push(PollFd::new(self.signals.as_fd(), PollFlags::POLLIN));
        let orphan = self.life.orphan.iter();
        fds.extend(orphan.map(|orphan| PollFd::new(orphan.as_fd(), PollFlags::POLLIN)));
        let ports = self.life.ports.iter();
        fds.extend(ports.map(|ports| PollFd::new(ports.as_fd(), PollFlags::POLLIN)));
        if let (Some(input), false) = (&streams.input, self.input.is_empty()) {
            fds.push(PollFd::new(input.as_fd(), PollFlags::POLLOUT));
        }
        if !self.clients.are_behind() {
            let output = streams.output.iter();
            fds.extend(output.map(|(_, file)| PollFd::new(file.as_fd(), PollFlags::POLLIN)));
        }
        let checkup = self.life.checkup.as_ref();
        let says = checkup.and_then(Checkup::fd);
        fds.extend(says.map(|output| PollFd::new(output, PollFlags::POLLIN)));
        let limit = checkup.map(Checkup::deadline).map_or(Ok(PollTimeout::NONE), until)?;
        let happened = wait(&mut fds, limit)?;
        let wishes = self.clients.receive(&happened);
        for wish in wishes {
            self.grant(wish);
        }
        if let Some(ports) = &mut self.life.ports {
            ports.turn();
        }
        if let Some(checkup) = &mut self.life.checkup {
            let changed = checkup.turn(&self.container);
            self.tell_health(changed);
        }
        self.feed();
        self.clients.flush();
        if !self.clients.are_behind() {
            self.read_output();
        }
        Ok(None)
    }

    /// All children that have ended; how the container has, when it is among them.
    fn reap(&mut self) -> Result<Option<Exit>> {
        while let Some(_signal) = self.signals.read_signal()? {}
        let checkup = &mut self.life.checkup;
        let mut changed = None;
        let exit = process::reap(self.life.pid, |pid, code| {
            let ended = checkup.as_mut().and_then(|checkup| checkup.ended(pid, code));
            changed = changed.or(ended);
        })?;
        self.tell_health(changed);
        if let Some(code) = exit {
            return Ok(Some(Some(code)));
        }
        let orphan = self.life.orphan.as_ref();
        Ok(orphan.is_some_and(has_ended).then_some(None))
    }

    fn tell_health(&self, changed: Option<health::Status>) {
        if let Some(status) = changed {
            let action = format!("health_status: {}", status.word());
            events::note(self.home, Event::container(&self.container.record, &action));
        }
    }

    /// From each stream what is there; false when nothing was.
    fn read_output(&mut self) -> bool {
        let mut any = false;
        let mut bytes = [0; PIECE];
        let mut ended = Vec::new();
        for (index, (stream, file)) in self.life.streams.output.iter_mut().enumerate() {
            match file.read(&mut bytes) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                // A terminal tells so that nobody has it open any more.
                Ok(0) | Err(_) => ended.push(index),
                Ok(length) => {
                    let piece = bytes.get(..length).unwrap_or_default();
                    self.log.write(*stream, piece).ok(); // a full disk does not stop a container
                    self.clients.tell(&Message::Output(*stream, piece.to_vec()));
                    any = true;
                }
            }
        }
        for index in ended.into_iter().rev() {
            self.life.streams.output.remove(index);
        }
        any
    }

    fn grant(&mut self, wish: Message) {
        match wish {
            Message::Input(bytes) => self.input.extend(bytes),
            Message::InputEnd => self.life.streams.input_ends = true,
            Message::Resize { rows, columns } => {
                self.size = Some((rows, columns));
                self.life.streams.resize(rows, columns);
            }
            Message::Signal(number) => {
                // It may have ended a moment ago.
                self.runtime.kill(&self.container.record.id, number).ok();
            }
            Message::Check => {
                if let Some(checkup) = &mut self.life.checkup {
                    checkup.hurry();
                }
            }
            // No wishes.
            Message::Started
            | Message::Failed { .. }
            | Message::Output(..)
            | Message::Exited(_)
            | Message::Taken(_)
            | Message::Attach { .. }
            | Message::Detach => {}
        }
    }

    /// Gives the container what it takes.
    fn feed(&mut self) {
        let streams = &mut self.life.streams;
        streams.feed(&mut self.input);
        if self.input.is_empty() && streams.input_ends && !streams.terminal {
            streams.close_input();
        }
        if self.input.len() < MOST_INPUT {
            self.clients.take_more();
        }
    }

    /// Writes down how it ended, and tidies up; true when it is to start again.
    fn ended(&mut self, exit: Exit) -> Result<bool> {
        let oom_killed = self.life.oom.as_deref().is_some_and(cgroup::has_killed);
        self.life.ports = None; // whoever sees the end may take them
        let Ok(lock) = self.container.lock() else { return Ok(false) }; // removed meanwhile
        self.home.make_room();
        let record = &mut self.container.record;
        // What fails here, the next who changes networks does.
        networking::leave(self.home, &record.id).ok();
        let deleted = self.runtime.delete(&record.id);
        start::unmount_root(record);
        let events = end_events(self.home, record, exit, oom_killed);
        if record.remove && deleted.is_ok() {
            events::note_all(self.home, events);
            self.container.remove(self.home, &lock)?;
            return Ok(false);
        }
        let unseen = || "exit code unknown: its monitor was killed".to_owned();
        let error = deleted.err().map(|err| crate::error::chain(&err));
        let error = error.or_else(|| exit.is_none().then(unseen));
        let end = State {
            finished: Some(container::now()),
            exit_code: exit,
            error,
            oom_killed,
            ..State::default()
        };
        let again = self.note(end, lock);
        events::note_all(self.home, events); // whoever hears of it finds it written down
        again
    }

    /// Not even a full disk keeps an exit code from being known: then this waits for space.
    fn note(&mut self, end: State, mut lock: container::Lock) -> Result<bool> {
        loop {
            let record = &mut self.container.record;
            let state = &mut record.state;
            let count = state.restart_count;
            let again = !state.stopped && record.restart.wants(end.exit_code, count);
            state.status = if again { Status::Restarting } else { Status::Exited };
            state.oom_killed = end.oom_killed;
            state.exit_code = end.exit_code;
            state.finished.clone_from(&end.finished);
            state.error.clone_from(&end.error);
            match self.container.save() {
                Err(err) if crate::error::is_full(&err) => {}
                saved => return saved.map(|()| again),
            }
            drop(lock);
            self.clients.tell(&Message::Exited(end.exit_code.unwrap_or(container::UNSEEN)));
            std::thread::sleep(FULL);
            let Ok(next) = self.container.lock() else { return Ok(false) }; // removed meanwhile
            lock = next;
        }
    }

    /// Waits before the next start; false when somebody does not want it any more. Whoever does
    /// not, connects, so that this looks.
    fn rest(&mut self, time: Duration) -> Result<bool> {
        let end = Instant::now() + time;
        loop {
            let Ok(true) = self.container.refresh() else { return Ok(false) };
            if self.container.record.state.status != Status::Restarting {
                return Ok(false);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(true);
            }
            let mut fds = Vec::new();
            self.clients.fds(&mut fds);
            let happened = wait(&mut fds, until(end)?)?;
            // There is nobody yet who could read what they type.
            drop(self.clients.receive(&happened));
            self.clients.flush();
            self.reap()?;
        }
    }

    /// False when somebody does not want it any more, or it can't.
    fn start_again(&mut self) -> Result<bool> {
        let Ok(lock) = self.container.lock() else { return Ok(false) }; // removed meanwhile
        if self.container.record.state.status != Status::Restarting {
            return Ok(false);
        }
        self.container.record.state.restart_count += 1;
        self.input.clear();
        let (container, runtime) = (&mut self.container, &self.runtime);
        match start::start(self.home, container, runtime, self.size, &lock) {
            Ok(life) => self.life = life,
            Err(_) => return Ok(false), // the record has it
        }
        Ok(true)
    }
}

fn end_events(home: &Home, record: &Record, exit: Exit, oom_killed: bool) -> Vec<Event> {
    let code = exit.unwrap_or(container::UNSEEN).to_string();
    let die = Event::container(record, "die").with("exitCode", &code);
    let oom = oom_killed.then(|| Event::container(record, "oom"));
    let mut events: Vec<Event> = oom.into_iter().chain([die]).collect();
    events.extend(networking::events(home, record, "disconnect"));
    events.extend(Event::of_volumes(record, "unmount"));
    events
}

/// Which of them have something to read, or have ended.
fn wait(fds: &mut [PollFd<'_>], limit: PollTimeout) -> Result<Vec<bool>> {
    match poll(fds, limit) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => bail!("poll: {errno}"),
    }
    let readable = PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR;
    let events = fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
    Ok(events.map(|events| events.intersects(readable)).collect())
}

/// At most an hour, which is long enough to look again.
fn until(end: Instant) -> Result<PollTimeout> {
    let left = end.saturating_duration_since(Instant::now());
    let left = left.clamp(Duration::from_millis(1), Duration::from_secs(3600));
    Ok(PollTimeout::try_from(left)?)
}

fn has_ended(process: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1))
}
