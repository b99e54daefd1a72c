//! Containers on disk: `containers/<id>/`, with `container.json` as the truth about each.
//!
//! Runs in: an ordinary process of the user. A container's directory is locked by flock(2) on
//! itself, so nothing is left of the lock when the directory is gone.

mod names;
mod restart;

pub(crate) use restart::{BackOff, Restart};

use crate::digest::Digest;
use crate::error::{self, OrHint as _};
use crate::events::{self, Event};
use crate::health::{self, Check, Health};
use crate::home::{self, Home, Scratch};
use crate::monitor::cgroup;
use crate::networking::Networking;
use crate::process::Process;
use crate::volume;
use anyhow::{Context as _, Result, anyhow, bail};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const FILE: &str = "container.json";
/// For an exit code that nobody has seen.
pub(crate) const UNSEEN: i32 = 255;

/// What is kept of a container. Times are RFC 3339, in UTC.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created: String,
    /// What it was made from, as the user wrote it.
    pub(crate) image: String,
    pub(crate) command: Vec<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) runtime: PathBuf,
    /// Where the runtime keeps its state, which not every later command would guess.
    pub(crate) runtime_root: PathBuf,
    pub(crate) root: Root,
    /// Those that the user asked for.
    pub(crate) mounts: Vec<Mount>,
    #[serde(default)]
    pub(crate) network: Networking,
    /// Containers in whose namespaces it is, by the kind of namespace.
    #[serde(default)]
    pub(crate) joins: BTreeMap<String, String>,
    pub(crate) interactive: bool,
    pub(crate) tty: bool,
    pub(crate) remove: bool,
    pub(crate) stop_signal: i32,
    /// In seconds.
    pub(crate) stop_timeout: u64,
    #[serde(default)]
    pub(crate) restart: Restart,
    #[serde(default)]
    pub(crate) log: LogOptions,
    #[serde(default)]
    pub(crate) health: Option<Check>,
    pub(crate) state: State,
}

/// Where its files come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Root {
    /// A directory of the user's, in which it writes.
    Directory(PathBuf),
    /// An image by its id, and the archives of its layers, the lowest first. What the container
    /// writes goes to `upper` in its directory.
    Image { id: Digest, layers: Vec<Digest> },
}

/// A mount as `inspect` shows it. Volumes are looked up here: who removes one asks all containers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Mount {
    /// "bind", "volume", "tmpfs" or "overlay".
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Of the volume.
    pub(crate) name: String,
    /// The name was made up for this container, which may take the volume along when it goes.
    pub(crate) anonymous: bool,
    /// Empty for what is in memory, as a volume may be.
    pub(crate) source: PathBuf,
    pub(crate) destination: String,
    pub(crate) read_only: bool,
    pub(crate) propagation: String,
    /// Without what is mounted below the source.
    pub(crate) alone: bool,
    /// Further words of mount(8).
    pub(crate) options: Vec<String>,
    /// The options of `-v`, as they were typed.
    pub(crate) mode: String,
}

/// How much is kept of what it writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogOptions {
    /// Of one file, in bytes; nothing is kept when it is 0.
    pub(crate) size: u64,
    pub(crate) files: u32,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { size: 10_000_000, files: 3 }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct State {
    pub(crate) status: Status,
    /// The container's first process, and the process that watches over it.
    pub(crate) process: Option<Process>,
    pub(crate) monitor: Option<Process>,
    pub(crate) started: Option<String>,
    pub(crate) finished: Option<String>,
    /// `None` when nobody saw how it ended.
    pub(crate) exit_code: Option<i32>,
    pub(crate) oom_killed: bool,
    pub(crate) error: Option<String>,
    /// The user wants it to stay as it is, whatever its policy.
    pub(crate) stopped: bool,
    /// Since the user has started it.
    pub(crate) restart_count: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    #[default]
    Created,
    /// The runtime has made it, and has perhaps started it.
    Starting,
    Running,
    Exited,
    /// Its monitor starts it again in a moment.
    Restarting,
}

impl Status {
    /// As Docker calls it.
    pub(crate) fn word(self, paused: bool) -> &'static str {
        match self {
            _ if paused => "paused",
            Self::Created | Self::Starting => "created",
            Self::Running => "running",
            Self::Exited => "exited",
            Self::Restarting => "restarting",
        }
    }
}

impl Record {
    /// What is true now, whatever has been killed meanwhile.
    pub(crate) fn status(&self) -> Status {
        let alive = |process: &Option<Process>| process.as_ref().is_some_and(Process::is_alive);
        match self.state.status {
            Status::Running | Status::Starting if !alive(&self.state.process) => {
                // The monitor is about to write the exit code.
                if alive(&self.state.monitor) { Status::Running } else { Status::Exited }
            }
            // Nobody was left to write that the start succeeded.
            Status::Starting if !alive(&self.state.monitor) => Status::Running,
            Status::Restarting if !alive(&self.state.monitor) => Status::Exited,
            status @ (Status::Created
            | Status::Starting
            | Status::Running
            | Status::Exited
            | Status::Restarting) => status,
        }
    }

    pub(crate) fn has_process(&self) -> bool {
        self.state.process.as_ref().is_some_and(Process::is_alive)
    }

    /// Whoever has frozen it: the kernel is asked, which calls a cgroup frozen where nobody is left, too.
    pub(crate) fn is_paused(&self) -> bool {
        let is_on = matches!(self.state.status, Status::Running | Status::Starting);
        let process = self.state.process.as_ref().filter(|process| is_on && process.is_alive());
        process.is_some_and(|process| cgroup::is_frozen(process.pid))
    }

    /// What is true now.
    pub(crate) fn status_word(&self) -> &'static str {
        self.status().word(self.is_paused())
    }

    /// Whether its policy asks for a start with the machine's.
    pub(crate) fn starts_on_boot(&self) -> bool {
        match self.restart {
            Restart::Always => true,
            Restart::UnlessStopped => !self.state.stopped,
            Restart::No | Restart::OnFailure(_) => false,
        }
    }

    /// It runs, and nobody watches over it.
    pub(crate) fn is_orphan(&self) -> bool {
        let watched = || self.state.monitor.as_ref().is_some_and(Process::is_alive);
        self.is_running() && !watched()
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.status(), Status::Running | Status::Starting)
    }

    /// By its name, its id, or the beginning of that.
    pub(crate) fn is_called(&self, wanted: &str) -> bool {
        self.name == wanted || (!wanted.is_empty() && self.id.starts_with(wanted))
    }

    pub(crate) fn image_id(&self) -> Option<&Digest> {
        match &self.root {
            Root::Image { id, .. } => Some(id),
            Root::Directory(_) => None,
        }
    }

    /// The names of its volumes that nobody has chosen.
    pub(crate) fn anonymous_volumes(&self) -> Vec<&str> {
        anonymous_volumes(&self.mounts)
    }

    pub(crate) fn exit_code(&self) -> i32 {
        self.state.exit_code.unwrap_or(UNSEEN)
    }
}

pub(crate) fn anonymous_volumes(mounts: &[Mount]) -> Vec<&str> {
    let own = mounts.iter().filter(|mount| mount.anonymous);
    own.map(|mount| mount.name.as_str()).collect()
}

/// One container's directory.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) dir: PathBuf,
    pub(crate) record: Record,
}

/// Held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _dir: Flock<File>,
}

impl Container {
    /// The one of this name, this id, or an id that begins so.
    pub(crate) fn find(home: &Home, wanted: &str) -> Result<Self> {
        let mut found = Vec::new();
        let (all, damaged) = readable(home)?;
        for container in all {
            if container.record.name == wanted || container.record.id == wanted {
                return Ok(container);
            }
            if container.record.is_called(wanted) {
                found.push(container);
            }
        }
        let several = found.len() > 1;
        match found.pop() {
            Some(container) if !several => Ok(container),
            Some(_) => Err(anyhow!("{wanted}: several containers have ids that begin so"))
                .hint("write more of the id"),
            None => {
                error::all(damaged)?; // one of these may be meant
                Err(anyhow!("{wanted}: no such container")).hint("bundles ps -a lists them")
            }
        }
    }

    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let file = dir.join(FILE);
        let text = fs::read(&file).with_context(|| file.display().to_string())?;
        let record = serde_json::from_slice(&text)
            .with_context(|| file.display().to_string())
            .hint(format!("mend the file, or give the container up: rm -r {}", dir.display()))?;
        Ok(Self { dir: dir.to_owned(), record })
    }

    /// Reads it again; false when it has been removed.
    pub(crate) fn refresh(&mut self) -> Result<bool> {
        match Self::open(&self.dir) {
            Ok(container) => {
                *self = container;
                Ok(true)
            }
            Err(_) if !self.dir.exists() => Ok(false),
            Err(err) => Err(err),
        }
    }

    /// One of its other files.
    pub(crate) fn json(&self, name: &str) -> Result<Value> {
        let file = self.dir.join(name);
        let text = fs::read(&file).with_context(|| file.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| file.display().to_string())
    }

    /// What is known of its health, if that is asked for and it was started.
    pub(crate) fn health(&self) -> Option<Health> {
        self.record.health.as_ref().filter(|_| self.record.state.status != Status::Created)?;
        let mut health = Health::read(&self.dir);
        if !self.record.is_running() {
            health.status = health::Status::Unhealthy; // so Docker has it
        }
        Some(health)
    }

    pub(crate) fn save(&self) -> Result<()> {
        save(&self.dir, &self.record)
    }

    /// Waits for the lock; whoever holds it may have changed the record, so it is read again.
    pub(crate) fn lock(&mut self) -> Result<Lock> {
        let gone = || anyhow!("{}: removed meanwhile", self.record.name);
        let dir = File::open(&self.dir).map_err(|_err| gone())?;
        let dir = Flock::lock(dir, FlockArg::LockExclusive)
            .map_err(|(_, errno)| anyhow!("flock({}): {errno}", self.dir.display()))?;
        // It may have been removed while this waited.
        if fs::metadata(&self.dir).map(|meta| meta.ino()).ok() != Some(dir.metadata()?.ino()) {
            bail!(gone());
        }
        *self = Self::open(&self.dir)?;
        Ok(Lock { _dir: dir })
    }

    /// All its files at once, for whoever looks. The lock has to be held. With `--rm`, the volumes
    /// go that were made for this container alone.
    pub(crate) fn remove(&self, home: &Home, _lock: &Lock) -> Result<()> {
        let discarded = home.discard(&self.dir)?;
        events::note(home, Event::container(&self.record, "destroy"));
        drop(discarded); // may take long
        if self.record.remove {
            volume::release(home, &self.record.anonymous_volumes())
        } else {
            Ok(())
        }
    }

    /// Waits until the condition holds, or the time is over: false. What cannot be heard of, a
    /// process that nobody watches over, is looked at twenty times a second.
    pub(crate) fn wait_until(
        &mut self,
        limit: Option<Duration>,
        done: impl Fn(&Record) -> bool,
    ) -> Result<bool> {
        let watch = Watch::new(&self.dir);
        let end = limit.map(|limit| Instant::now() + limit);
        loop {
            if !self.refresh()? || done(&self.record) {
                // Its monitor may have written the end, and ended, since this was read.
                self.refresh()?;
                return Ok(true);
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
            let monitor = self.record.state.monitor.as_ref().is_some_and(Process::is_alive);
            let step = Duration::from_millis(if monitor { 500 } else { 50 });
            match &watch {
                Ok(watch) => watch.wait(left.map_or(step, |left| left.min(step)))?,
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}

fn save(dir: &Path, record: &Record) -> Result<()> {
    let text = serde_json::to_vec_pretty(record)?;
    home::replace(&dir.join(FILE), &text)
}

/// Tells that something in a directory has changed.
#[derive(Debug)]
pub(crate) struct Watch(Inotify);

impl Watch {
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let changes = AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_CREATE;
        inotify.add_watch(dir, changes)?;
        Ok(Self(inotify))
    }

    pub(crate) fn wait(&self, limit: Duration) -> Result<()> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(limit.max(Duration::from_millis(1)))?;
        match poll(&mut fds, limit) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => drop(self.0.read_events()),
            Err(errno) => bail!("poll: {errno}"),
        }
        Ok(())
    }
}

/// All containers, in no order. One that is being removed is not there.
pub(crate) fn all(home: &Home) -> Result<Vec<Container>> {
    let (found, damaged) = readable(home)?;
    error::all(damaged).map(|()| found)
}

/// The same, and what is wrong with the others.
pub(crate) fn readable(home: &Home) -> Result<(Vec<Container>, Vec<anyhow::Error>)> {
    let dir = home.directory("containers")?;
    let (mut found, mut damaged) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        match Container::open(&path) {
            Ok(container) => found.push(container),
            Err(_) if !path.exists() => {}
            Err(err) => damaged.push(err),
        }
    }
    Ok((found, damaged))
}

/// Gives a new container its place and its name. `scratch` has its other files.
pub(crate) fn add(
    home: &Home,
    name: Option<&str>,
    record: Record,
    scratch: &Scratch,
) -> Result<Container> {
    let lock = home.lock("names")?;
    let (others, _damaged) = readable(home)?;
    let taken: Vec<String> = others.into_iter().map(|other| other.record.name).collect();
    let name = match name {
        Some(name) => names::check(name, &taken)?,
        None => names::make_up(&taken)?,
    };
    let record = Record { name, ..record };
    let dir = home.directory("containers")?.join(&record.id);
    let files = scratch.path().join("container");
    save(&files, &record)?;
    fs::rename(&files, &dir).with_context(|| dir.display().to_string())?;
    drop(lock);
    events::note(home, Event::container(&record, "create"));
    Ok(Container { dir, record })
}

pub(crate) fn rename(home: &Home, container: &mut Container, name: &str) -> Result<()> {
    let _names = home.lock("names")?;
    let taken: Vec<String> = all(home)?.into_iter().map(|other| other.record.name).collect();
    let name = names::check(name, &taken)?;
    let _lock = container.lock()?;
    let old = std::mem::replace(&mut container.record.name, name);
    container.save()?;
    let event = Event::container(&container.record, "rename");
    events::note(home, event.with("oldName", &format!("/{old}")));
    Ok(())
}

/// Of a record.
pub(crate) fn time(text: &str) -> SystemTime {
    humantime::parse_rfc3339(text).unwrap_or(SystemTime::UNIX_EPOCH)
}

pub(crate) fn now() -> String {
    humantime::format_rfc3339_nanos(SystemTime::now()).to_string()
}

/// Makes the directory that [`add`] takes from a scratch.
pub(crate) fn files(scratch: &Scratch) -> io::Result<PathBuf> {
    let dir = scratch.path().join("container");
    fs::create_dir(&dir)?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids, testing};

    fn record(name: &str) -> Record {
        Record {
            id: ids::made_up().unwrap(),
            name: name.into(),
            created: now(),
            image: "i".into(),
            command: vec![],
            labels: BTreeMap::new(),
            runtime: "rt".into(),
            runtime_root: "/run/rt".into(),
            root: Root::Directory("/r".into()),
            mounts: vec![],
            network: Networking::default(),
            joins: BTreeMap::new(),
            interactive: false,
            tty: false,
            remove: false,
            stop_signal: 15,
            stop_timeout: 10,
            restart: Restart::default(),
            log: LogOptions::default(),
            health: None,
            state: State::default(),
        }
    }

    fn made(home: &Home, name: Option<&str>) -> Result<Container> {
        let scratch = home.scratch().unwrap();
        files(&scratch).unwrap();
        add(home, name, record(""), &scratch)
    }

    #[test]
    fn found_by_name_id_and_beginning() {
        let dir = testing::Scratch::new();
        let home = Home::open(Some(&dir.0)).unwrap();
        let one = made(&home, Some("one")).unwrap().record;
        let other = made(&home, None).unwrap().record;
        assert_eq!(one.id.len(), 64);
        for wanted in [one.name.as_str(), &one.id, &one.id[..20]] {
            assert_eq!(Container::find(&home, wanted).unwrap().record.id, one.id);
        }
        assert!(Container::find(&home, "").is_err());
        let err = made(&home, Some(&other.name)).unwrap_err();
        assert!(crate::error::chain(&err).ends_with("another container has that name"));
    }

    #[test]
    fn removed_at_once_and_with_everything() {
        let dir = testing::Scratch::new();
        let home = Home::open(Some(&dir.0)).unwrap();
        let mut container = made(&home, Some("c1")).unwrap();
        let lock = container.lock().unwrap();
        container.remove(&home, &lock).unwrap();
        assert!(!container.refresh().unwrap());
        assert_eq!(fs::read_dir(dir.0.join("tmp")).unwrap().count(), 0);
        assert!(container.lock().is_err());
    }

    #[test]
    fn dead_processes_do_not_run() {
        let alive = Process::of(std::process::id().cast_signed()).unwrap();
        let dead = Process { start: 1, ..alive.clone() };
        let status = |status, process: &Process, monitor: &Process| {
            let mut record = record("c");
            record.state.status = status;
            record.state.process = Some(process.clone());
            record.state.monitor = Some(monitor.clone());
            record.status()
        };
        assert_eq!(status(Status::Running, &alive, &dead), Status::Running);
        assert_eq!(status(Status::Running, &dead, &alive), Status::Running);
        assert_eq!(status(Status::Running, &dead, &dead), Status::Exited);
        assert_eq!(status(Status::Starting, &alive, &alive), Status::Starting);
        assert_eq!(status(Status::Starting, &alive, &dead), Status::Running);
    }
}
