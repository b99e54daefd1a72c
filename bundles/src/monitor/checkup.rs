//! Asks a container now and then whether it is well. The runtime's `exec` is a child of the monitor,
//! which never waits for it: the monitor's loop hears of output, of the end, and of the time.
//!
//! Runs in: the monitor, in the container's directory.

use super::keeper;
use crate::container::{self, Container, Record};
use crate::fmt;
use crate::health::{Answer, Check, Health, Status};
use crate::runtime::{InMemory, Runtime};
use anyhow::{Context as _, Result};
use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use rustix::process::pidfd_send_signal;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Of the output of one check, in bytes.
const MOST_OUTPUT: usize = 4096;
/// Of that size, at once.
const PIECES: usize = 16;

/// Of one container that has a check, from its start to its end.
pub(super) struct Checkup {
    check: Check,
    health: Health,
    /// What the runtime is told to run.
    process: InMemory,
    /// Until then failures may not count.
    spares_until: Instant,
    next: Instant,
    running: Option<Running>,
    /// Somebody wants a check that begins after this one.
    again: bool,
}

struct Running {
    /// With a log of its own: the monitor calls its runtime meanwhile.
    runtime: Runtime,
    pid: Pid,
    /// `None` when it has closed it.
    output: Option<File>,
    text: Vec<u8>,
    /// It has said more than is kept.
    cut: bool,
    begun: String,
    /// What has begun in the first time of the container may be spared.
    spared: bool,
    over: Instant,
}

impl Checkup {
    /// `begins` is whether this is a new life of the container. `None` when it has no check.
    pub(super) fn new(record: &Record, begins: bool) -> Result<Option<Self>> {
        let Some(check) = record.health.clone() else { return Ok(None) };
        let mut health = Health::read(Path::new("."));
        if begins {
            health.begin();
            health.write(Path::new(".")).ok(); // a full disk does not keep it from starting
        }
        let process = InMemory::new(&process(&check.command)?)?;
        let now = Instant::now();
        let age = record.state.started.as_deref().map(container::time);
        let age = age.and_then(|start| start.elapsed().ok()).unwrap_or_default();
        let spares_until = now + check.start_period.saturating_sub(age);
        let (running, again) = (None, false);
        let mut checkup = Self { check, health, process, spares_until, next: now, running, again };
        checkup.next = now + checkup.interval();
        Ok(Some(checkup))
    }

    fn interval(&self) -> Duration {
        let begins = self.health.status == Status::Starting && Instant::now() < self.spares_until;
        if begins { self.check.start_interval } else { self.check.interval }
    }

    /// When [`Checkup::turn`] has something to do, if it is not told anything before.
    pub(super) fn deadline(&self) -> Instant {
        self.running.as_ref().map_or(self.next, |running| running.over)
    }

    /// What the check says.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.running.as_ref()?.output.as_ref().map(File::as_fd)
    }

    /// Somebody wants to know now.
    pub(super) fn hurry(&mut self) {
        self.next = Instant::now();
        self.again = self.running.is_some();
    }

    /// Reads what there is, and begins or ends a check whose time has come. Returns the status when
    /// that has changed.
    pub(super) fn turn(&mut self, container: &Container) -> Option<Status> {
        let (record, now) = (&container.record, Instant::now());
        if let Some(running) = &mut self.running {
            running.read();
            if now < running.over {
                return None;
            }
            running.end();
            let time = fmt::duration(self.check.timeout);
            // A paused container is not to be blamed.
            let answer = (-1, format!("Health check exceeded timeout ({time})"));
            return self.take((!record.is_paused()).then_some(answer));
        }
        if now < self.next {
            return None;
        }
        if record.is_paused() {
            return self.take(None);
        }
        match self.begin(container) {
            Ok(running) => {
                self.running = Some(running);
                None
            }
            Err(err) => self.take(Some((-1, crate::error::chain(&err)))),
        }
    }

    /// Whether a child which has ended was the check: then its answer is taken.
    pub(super) fn ended(&mut self, pid: Pid, code: i32) -> Option<Status> {
        let running = self.running.as_mut().filter(|running| running.pid == pid)?;
        running.read();
        let answer = match running.runtime.failure() {
            Some(failure) if code != 0 => (-1, failure),
            _ => (code, running.said()),
        };
        self.take(Some(answer))
    }

    /// The next one is due after this, whether or not there was an answer.
    fn take(&mut self, answer: Option<(i32, String)>) -> Option<Status> {
        let running = self.running.take();
        let changed = answer.and_then(|(exit_code, output)| {
            let now = container::now();
            let (start, spared) = match running {
                Some(running) => (running.begun, running.spared),
                None => (now.clone(), Instant::now() < self.spares_until),
            };
            let answer = Answer { start, end: now, exit_code, output };
            self.health.take(answer, self.check.retries, spared)
        });
        self.health.write(Path::new(".")).ok(); // on a full disk only the next one is seen
        let wait = if std::mem::take(&mut self.again) { Duration::ZERO } else { self.interval() };
        self.next = Instant::now() + wait;
        changed
    }

    fn begin(&self, container: &Container) -> Result<Running> {
        let runtime = Runtime::of(container)?;
        let (output, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC).context("pipe2")?;
        rustix::io::ioctl_fionbio(&output, true).context("ioctl(FIONBIO)")?;
        let mut exec = runtime.command(["exec", "--process"]);
        exec.arg(self.process.path()).arg(&container.record.id);
        exec.stdout(Stdio::from(theirs.try_clone()?)).stderr(Stdio::from(theirs));
        // A runtime may leave to the check what is blocked here. Who ends meanwhile is asked for
        // before anything is waited for.
        let mask = SigSet::from(Signal::SIGCHLD);
        mask.thread_unblock().context("unblock SIGCHLD")?;
        let child = exec.spawn();
        mask.thread_block().context("block SIGCHLD")?;
        let pid = i32::try_from(child.context("start the runtime")?.id())?;
        let now = Instant::now();
        Ok(Running {
            runtime,
            pid: Pid::from_raw(pid),
            output: Some(File::from(output)),
            text: Vec::new(),
            cut: false,
            begun: container::now(),
            spared: now < self.spares_until,
            over: now + self.check.timeout,
        })
    }
}

impl Running {
    fn read(&mut self) {
        let mut bytes = [0; MOST_OUTPUT];
        // One that writes without an end is not to keep the loop.
        for _ in 0..PIECES {
            let Some(output) = &mut self.output else { return };
            match output.read(&mut bytes) {
                Ok(0) => self.output = None,
                Ok(length) => {
                    let room = MOST_OUTPUT - self.text.len();
                    let kept = bytes.get(..length.min(room)).unwrap_or_default();
                    self.text.extend(kept);
                    self.cut |= length > room;
                }
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Docker, too, marks what it has cut.
    fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.text);
        if self.cut { format!("{text}...") } else { text.into_owned() }
    }

    /// Kills what the runtime has started, and the runtime. Nobody waits for them but the loop.
    fn end(&self) {
        let runtime = self.pid.as_raw();
        for child in children(runtime) {
            // From here on the number cannot lead elsewhere.
            if let Ok(held) = keeper::pidfd(child)
                && children(runtime).contains(&child)
            {
                pidfd_send_signal(&held, rustix::process::Signal::KILL).ok(); // it has ended
            }
        }
        kill(self.pid, Signal::SIGKILL).ok(); // the same
    }
}

/// Of all threads of a process.
fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}

/// The container's own, but for the command.
fn process(command: &[String]) -> Result<Vec<u8>> {
    /// The rest of config.json is large.
    #[derive(Deserialize)]
    struct Spec {
        process: Value,
    }
    let file = File::open("config.json").context("config.json")?;
    let spec: Spec = serde_json::from_reader(BufReader::new(file)).context("config.json")?;
    let mut process = spec.process;
    if let Some(process) = process.as_object_mut() {
        process.insert("args".to_owned(), json!(command));
        process.insert("terminal".to_owned(), false.into());
        process.remove("consoleSize");
    }
    Ok(serde_json::to_vec(&process)?)
}
