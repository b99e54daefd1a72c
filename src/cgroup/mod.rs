//! The container's cgroup: made, limited, frozen, killed and removed from the host.
//!
//! Runs in: parent, with the host's mount namespace. Privilege: write access to the cgroup tree.
//!
//! This is cgroup v2. On a hybrid host (v1 controllers beside a cgroup2 mount) the v2 tree holds
//! the processes as well, so that kill, freeze and the device filter work, and each controller is
//! used where it lives: see `v1`.

pub(crate) mod delegate;
pub(crate) mod devices;
mod host;
pub(crate) mod stats;
pub(crate) mod systemd;
mod v1;
mod v2;

pub(crate) use host::{CgroupMount, Hierarchy, Host, LEGACY_CURE};
pub(crate) use v1::{Place, bring_in, join};

use crate::error::OrHint as _;
use crate::plan::cgroup::{Limits, in_v1};
use crate::sys;
use anyhow::{Context as _, Result, bail, ensure};
use devices::{Before, Filter};
use nix::errno::Errno;
use nix::sys::stat::{Mode, mkdirat};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use v2::{Dir, bail_with_hint, failed, open_dir, open_root};

/// How long freezing and removing may take before we give up. Tasks in uninterruptible sleep
/// (a hanging network file system) cannot be frozen, and die late.
const PATIENCE: Duration = Duration::from_secs(10);

/// The cgroup of one container.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
    dir: OwnedFd,
    v1: v1::Tree,
    /// The directories that `create` made, outermost first.
    made: Vec<PathBuf>,
    /// The unit that it belongs to, and the path of that one's cgroup.
    unit: Option<(systemd::UnitName, PathBuf)>,
}

impl Cgroup {
    /// Makes the cgroup at `path` (of [`Host::path`]) and those in v1 hierarchies (of
    /// [`Host::v1_places`]), with limits and device filter.
    ///
    /// On failure exactly those directories are removed which were made. Call [`Host::check`]
    /// first; a refused device filter is the caller's decision.
    pub(crate) fn create(
        host: &Host,
        path: &Path,
        places: &[Place],
        limits: &Limits,
    ) -> Result<(Self, Filter)> {
        Self::fill(host, path, places, limits, |dir, made| {
            let elsewhere = |controller: &str| has(places, controller);
            prepare(dir, limits, elsewhere, made)
        })
    }

    /// Takes over a cgroup that systemd has made at `path`, and which may hold a process; the rest is
    /// as in [`Cgroup::create`]. Its removal is systemd's.
    pub(crate) fn adopt(
        host: &Host,
        path: &Path,
        places: &[Place],
        limits: &Limits,
    ) -> Result<(Self, Filter)> {
        Self::fill(host, path, places, limits, |dir, _made| {
            apply(dir, limits, |controller| has(places, controller), Before::Unknown)
        })
    }

    fn fill(
        host: &Host,
        path: &Path,
        places: &[Place],
        limits: &Limits,
        prepare: impl FnOnce(Dir<'_>, &[PathBuf]) -> Result<Filter>,
    ) -> Result<(Self, Filter)> {
        let mut made = Vec::new();
        let result = make(host, path, &mut made).and_then(|dir| {
            let filter = prepare(Dir { fd: dir.as_fd(), path }, &made)?;
            Ok((dir, filter, v1::Tree::create(places, limits, &mut made)?))
        });
        match result {
            Ok((dir, filter, v1)) => {
                Ok((Self { path: path.to_owned(), dir, v1, made, unit: None }, filter))
            }
            Err(err) => {
                remove_made(&made);
                Err(err).with_context(|| format!("cgroup {}", path.display()))
            }
        }
    }

    /// Opens an existing cgroup; `None` when there is none.
    pub(crate) fn open(path: &Path, places: &[Place]) -> Result<Option<Self>> {
        match open_root(path) {
            Ok(dir) => {
                let v1 = v1::Tree::open(places)?;
                Ok(Some(Self { path: path.to_owned(), dir, v1, made: Vec::new(), unit: None }))
            }
            Err(err) if matches!(err.errno, Errno::ENOENT | Errno::ENODEV) => Ok(None),
            Err(err) => Err(err.into()),
        }
    }

    /// Says whose it is: systemd may move processes to where we may not.
    #[must_use]
    pub(crate) fn of_unit(mut self, unit: &systemd::UnitName) -> Self {
        let is_its = |path: &&Path| path.file_name() == Some(OsStr::new(&unit.name));
        let path = self.path.ancestors().find(is_its).unwrap_or(&self.path).to_owned();
        self.unit = Some((unit.clone(), path));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// For `CLONE_INTO_CGROUP`.
    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    fn at(&self) -> Dir<'_> {
        Dir { fd: self.dir.as_fd(), path: &self.path }
    }

    /// The cgroups in v1 hierarchies.
    pub(crate) fn v1_places(&self) -> Vec<Place> {
        self.v1.places().cloned().collect()
    }

    /// What a process joins the v1 hierarchies by, see [`join`].
    pub(crate) fn v1_doors(&self) -> Result<Vec<OwnedFd>> {
        self.v1.doors()
    }

    /// Goes to the sub-cgroup `name` (a clean relative path), for `exec --cgroup`: of one controller's
    /// hierarchy, or of v2.
    pub(crate) fn descend(&mut self, controller: Option<&str>, name: &Path) -> Result<()> {
        let is_clean = name.components().all(|c| matches!(c, std::path::Component::Normal(_)));
        ensure!(is_clean, "{name:?} is not a path below the container's cgroup");
        if let Some(controller) = controller.filter(|controller| !controller.is_empty())
            && self.v1.descend(controller, name)?
        {
            return Ok(());
        }
        self.dir = open_dir(self.dir.as_fd(), name.as_os_str())?;
        self.path.push(name);
        Ok(())
    }

    /// Moves a process here: the slow way (the kernel waits for an RCU grace period), for when
    /// `CLONE_INTO_CGROUP` cannot be used.
    pub(crate) fn add(&self, pid: i32) -> Result<()> {
        let result = self.at().write("cgroup.procs", &pid.to_string());
        match result {
            Err(err)
                if err.errno == Errno::EACCES
                    && let Some((unit, path)) = &self.unit =>
            {
                let below = self.path.strip_prefix(path).unwrap_or(Path::new(""));
                systemd::attach(unit, below, pid).context(err)
            }
            Err(err) if err.errno == Errno::EBUSY => Err(err).hint(
                "choose a cgroup without sub-cgroups that have controllers: processes live in leaves",
            ),
            // cgroups(7), "Delegation containment".
            Err(err) if err.errno == Errno::EACCES => Err(err).hint(
                "an ordinary user moves processes only within what is delegated to him: start rt in a \
                 cgroup below the one that he owns, or leave out linux.cgroupsPath",
            ),
            other => Ok(other?),
        }
    }

    /// Whether so many more processes may be born here, as far as the limits of this cgroup and those
    /// above tell now.
    pub(crate) fn has_room_for(&self, processes: u64) -> bool {
        let pids = self.v1.with("pids").map_or(self.path.as_path(), |dir| dir.path);
        let read = |path: PathBuf| std::fs::read_to_string(path).ok();
        // The root has no limit; above it, it is another file system.
        let mut limited = pids
            .ancestors()
            .map(|dir| (dir, read(dir.join("pids.max"))))
            .skip_while(|(_, max)| max.is_none())
            .map_while(|(dir, max)| Some((dir, max?)));
        limited.all(|(dir, max)| {
            let number = |text: &str| text.trim().parse::<u64>().ok();
            let Some(max) = number(&max) else { return true }; // "max"
            let current = read(dir.join("pids.current")).and_then(|text| number(&text));
            current.is_none_or(|current| current + processes <= max)
        })
    }

    /// All processes, those of sub-cgroups included.
    pub(crate) fn pids(&self) -> Result<Vec<i32>> {
        self.at().pids()
    }

    /// Stops all processes and waits until they are stopped.
    pub(crate) fn freeze(&self) -> Result<()> {
        self.at().write("cgroup.freeze", "1")?;
        if self.at().wait_event("frozen", 1, PATIENCE)? {
            return Ok(());
        }
        self.thaw().ok(); // half frozen is worse than running; the timeout is the error to tell
        bail!("{}: not frozen after {} s", self.path.display(), PATIENCE.as_secs())
    }

    pub(crate) fn thaw(&self) -> Result<()> {
        self.at().write("cgroup.freeze", "0")?;
        // An ancestor may be frozen, too; then we stay frozen, and that is no failure of ours.
        self.at().wait_event("frozen", 0, Duration::from_secs(1))?;
        Ok(())
    }

    /// A cgroup that was removed is not.
    pub(crate) fn is_frozen(&self) -> Result<bool> {
        match self.at().key("cgroup.events", "frozen") {
            Ok(frozen) => Ok(frozen == Some(1)),
            Err(err) if v2::is_gone(&err) => Ok(false),
            Err(err) => Err(err.into()),
        }
    }

    /// Whether its processes are to stand still, even if not all do. Not when it was removed.
    pub(crate) fn is_freezing(&self) -> Result<bool> {
        match self.at().read("cgroup.freeze") {
            Ok(text) => Ok(text.trim() == "1"),
            Err(err) if v2::is_gone(&err) => Ok(false),
            Err(err) => Err(err.into()),
        }
    }

    /// Sends SIGKILL to every process, against forking ones too. Does not wait for their end.
    pub(crate) fn kill(&self) -> Result<()> {
        match self.at().write("cgroup.kill", "1") {
            Ok(()) => Ok(()),
            // Removed, or a kernel before 5.14. If removed there is nobody to kill.
            Err(err) if v2::is_gone(&err) => self.kill_each(),
            // A threaded cgroup has threads, not processes.
            Err(err) if err.errno == Errno::EOPNOTSUPP => self.kill_each(),
            Err(err) => Err(err.into()),
        }
    }

    /// Frozen processes cannot fork while they are counted, and still die of SIGKILL.
    fn kill_each(&self) -> Result<()> {
        if self.pids()?.is_empty() {
            return Ok(());
        }
        let frozen = self.freeze();
        for pid in self.pids()? {
            match nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL)
            {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => {
                    return Err(sys::Error::new(format!("kill({pid}, SIGKILL)"), errno).into());
                }
            }
        }
        frozen.and_then(|()| self.thaw())
    }

    /// Waits until no process is left. `false`: there still are some.
    pub(crate) fn wait_empty(&self, timeout: Duration) -> Result<bool> {
        self.at().wait_event("populated", 0, timeout)
    }

    /// Removes what is left in v1 hierarchies of a container whose v2 cgroup has gone: a removal was
    /// cut off there, or systemd has stopped the scope.
    pub(crate) fn remove_rest(places: &[Place]) -> Result<()> {
        v1::Tree::open(places)?.remove(Instant::now() + PATIENCE)
    }

    /// Removes the cgroup and its sub-cgroups, which must be empty or about to be.
    pub(crate) fn remove(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        // First v2, which tells when the last process has gone.
        self.remove_unified(deadline)?;
        self.v1.remove(deadline)
    }

    fn remove_unified(&self, deadline: Instant) -> Result<()> {
        loop {
            let err = match std::fs::remove_dir(&self.path) {
                Ok(()) => return Ok(()),
                Err(err) => err,
            };
            match err.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENOENT) => return Ok(()),
                Some(Errno::EBUSY | Errno::ENOTEMPTY) if Instant::now() < deadline => {}
                _ => {
                    let call = failed("rmdir", &self.path, "", &err);
                    return Err(call).hint("end the processes listed in its cgroup.procs");
                }
            }
            if !self.wait_empty(deadline.saturating_duration_since(Instant::now()))? {
                continue; // the deadline has passed: the next rmdir is the last, and its errno tells
            }
            self.at().remove_children()?;
        }
    }

    /// Takes back what [`Cgroup::create`] did: a later step of the container's creation failed.
    pub(crate) fn undo(self) -> Result<()> {
        self.kill()?;
        self.remove()?;
        remove_made(&self.made);
        Ok(())
    }

    /// Changes limits of a living container. `devices: None` keeps its filter.
    pub(crate) fn update(&self, limits: &Limits) -> Result<Option<Filter>> {
        let places = self.v1_places();
        self.at().apply(limits, |controller| has(&places, controller))?;
        self.v1.apply(limits)?;
        let rules = limits.devices.as_deref();
        rules.map(|rules| devices::install(self.dir(), rules, Before::Unknown)).transpose()
    }

    /// Refuses limits below the present usage, when they say so, without changing anything.
    pub(crate) fn check_usage(&self, limits: &Limits) -> Result<()> {
        match (limits.usage_check, self.v1.with("memory")) {
            (Some(check), None) => self.at().check_usage(check, "memory.current"),
            // v1 checks before its first write; systemd writes there nothing.
            _ => Ok(()),
        }
    }

    /// How many processes of this cgroup the OOM killer has killed; 0 without memory controller.
    pub(crate) fn oom_kills(&self) -> Result<u64> {
        let kills = match self.v1.with("memory") {
            Some(memory) => memory.key("memory.oom_control", "oom_kill"),
            None => self.at().key("memory.events", "oom_kill"),
        };
        match kills {
            Ok(count) => Ok(count.unwrap_or(0)),
            Err(err) if v2::is_gone(&err) => Ok(0),
            Err(err) => Err(err.into()),
        }
    }
}

/// Does one of these hierarchies have the controller, by its name in either version?
fn has(places: &[Place], controller: &str) -> bool {
    let name = in_v1(controller);
    places.iter().any(|place| place.controllers.iter().any(|other| other == name))
}

/// Whether making or limiting a cgroup failed for lack of privilege: rootless callers without
/// limits and without `cgroupsPath` then go on without one, as runc does.
pub(crate) fn is_denied(err: &anyhow::Error) -> bool {
    err.downcast_ref::<sys::Error>()
        .is_some_and(|err| matches!(err.errno, Errno::EACCES | Errno::EPERM | Errno::EROFS))
}

/// Walks from the mount point to `path`, making what is missing and handing controllers down.
fn make(host: &Host, path: &Path, made: &mut Vec<PathBuf>) -> Result<OwnedFd> {
    let point = &host.mount()?.point;
    let below = path.strip_prefix(point).context("the path is not below the cgroup mount")?;
    let mut here = point.clone();
    let mut dir = open_root(point)?;
    for name in below {
        Dir { fd: dir.as_fd(), path: &here }.enable_controllers()?;
        here.push(name);
        dir = make_one(dir.as_fd(), name, &here, made)?;
    }
    Ok(dir)
}

fn make_one(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    path: &Path,
    made: &mut Vec<PathBuf>,
) -> Result<OwnedFd> {
    match mkdirat(parent, name, Mode::from_bits_truncate(0o755)) {
        Ok(()) => made.push(path.to_owned()),
        Err(Errno::EEXIST) => {}
        Err(errno) => {
            let err = sys::Error::new(format!("mkdir({path:?})"), errno);
            if matches!(errno, Errno::EACCES | Errno::EPERM | Errno::EROFS) {
                return Err(err).hint(
                    "run as root, have the cgroup above delegated to this user (systemd: \
                     Delegate=yes), or use --cgroup-manager disabled",
                );
            }
            if errno == Errno::EAGAIN {
                return Err(err).hint("raise cgroup.max.descendants or cgroup.max.depth above");
            }
            return Err(err.into());
        }
    }
    Ok(open_dir(parent, name)?)
}

fn prepare(
    dir: Dir<'_>,
    limits: &Limits,
    elsewhere: impl Fn(&str) -> bool,
    made: &[PathBuf],
) -> Result<Filter> {
    let is_new = made.last().is_some_and(|last| last == dir.path);
    let before = if is_new {
        check_type(dir, limits, &elsewhere)?;
        Before::Nothing
    } else {
        // The texts are those of runc, which people search for.
        let pids = dir.pids()?.len();
        ensure!(pids == 0, "container's cgroup is not empty: {pids} process(es) found");
        let frozen = dir.key("cgroup.events", "frozen")? == Some(1);
        ensure!(!frozen, "container's cgroup unexpectedly frozen");
        Before::Unknown
    };
    apply(dir, limits, elsewhere, before)
}

fn apply(
    dir: Dir<'_>,
    limits: &Limits,
    elsewhere: impl Fn(&str) -> bool,
    before: Before,
) -> Result<Filter> {
    dir.apply(limits, elsewhere)?;
    match &limits.devices {
        Some(rules) => devices::install(dir.fd, rules, before),
        None => Ok(Filter::Open),
    }
}

/// A new cgroup below a threaded one, or below one with processes and threaded controllers, is
/// "domain invalid": it cannot hold processes until it is made threaded, which only some
/// controllers support (cgroups(7), "Threaded mode").
fn check_type(dir: Dir<'_>, limits: &Limits, elsewhere: impl Fn(&str) -> bool) -> Result<()> {
    const THREADED: [&str; 5] = ["cpu", "cpuset", "pids", "perf_event", "cgroup"];
    let kind = dir.read("cgroup.type")?;
    if kind.trim() == "domain" {
        return Ok(());
    }
    let domain = limits
        .writes
        .iter()
        .filter(|write| !elsewhere(&write.controller))
        .find(|write| !write.is_default && !THREADED.contains(&write.controller.as_str()));
    if let Some(write) = domain {
        let message = format!(
            "{}: the {} controller does not work here, where cgroups are threaded (cgroup.type is {:?})",
            write.field,
            write.controller,
            kind.trim()
        );
        return bail_with_hint(
            message,
            "choose a linux.cgroupsPath below a domain cgroup".to_owned(),
        );
    }
    Ok(dir.write("cgroup.type", "threaded")?)
}

/// Removes directories of our own making, innermost first.
fn remove_made(made: &[PathBuf]) {
    for path in made.iter().rev() {
        // Somebody else may use a parent by now; the error that led here is the one to tell.
        std::fs::remove_dir(path).ok();
    }
}
