//! The container's cgroup: made, limited, frozen, killed and removed from the host.
//!
//! Runs in: parent, with the host's mount namespace. Privilege: write access to the cgroup tree.
//!
//! This is cgroup v2. On a hybrid host (v1 controllers beside a cgroup2 mount) the v2 tree holds
//! the processes, so that kill, freeze and the device filter work; limits of controllers which are
//! mounted as v1 are refused by [`Host::check`], before anything is made.
#![expect(dead_code, reason = "called by the commands, which are merged separately")]

pub(crate) mod devices;
pub(crate) mod stats;
mod v2;

use crate::error::OrHint as _;
use crate::plan::cgroup::{Limits, Location, Otherwise};
use crate::{proc, sys};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use devices::{Before, Filter};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, mkdirat};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use v2::{Dir, bail_with_hint, failed, open_dir};

/// How long freezing and removing may take before we give up. Tasks in uninterruptible sleep
/// (a hanging network file system) cannot be frozen, and die late.
const PATIENCE: Duration = Duration::from_secs(10);

const BOOT_V2: &str = "boot with systemd.unified_cgroup_hierarchy=1, or without systemd with \
                       cgroup_no_v1=all, to have all controllers in cgroup v2";

/// How this host mounts its cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// cgroup2 at its usual place.
    Unified {
        mount: CgroupMount,
    },
    /// cgroup2 beside v1 hierarchies (controller or "name=..." -> mount point).
    Hybrid {
        mount: CgroupMount,
        v1: BTreeMap<String, PathBuf>,
    },
    Legacy {
        v1: BTreeMap<String, PathBuf>,
    },
    /// No cgroup file system is mounted.
    Absent,
}

/// The cgroup2 mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CgroupMount {
    pub(crate) point: PathBuf,
    /// The cgroup which is mounted; "/" unless somebody made a bind mount of a part.
    root: PathBuf,
}

impl Host {
    /// Looks at what is mounted.
    pub(crate) fn detect() -> Result<Self> {
        // The common case for two system calls less and without reading a thousand mounts.
        let usual = Path::new("/sys/fs/cgroup");
        if statfs(usual).is_ok_and(|fs| fs.filesystem_type() == CGROUP2_SUPER_MAGIC) {
            let mount = CgroupMount { point: usual.to_owned(), root: "/".into() };
            return Ok(Self::Unified { mount });
        }
        let path = "/proc/self/mountinfo";
        let text = std::fs::read(path).map_err(|err| failed("open", Path::new(path), "", &err))?;
        Ok(Self::from_mountinfo(&text))
    }

    fn from_mountinfo(text: &[u8]) -> Self {
        let mounts = proc::mounts(text);
        let wanted = |mount: &proc::Mount| matches!(mount.fs_type.as_str(), "cgroup" | "cgroup2");
        let mut unified = None;
        let mut v1 = BTreeMap::new();
        for mount in proc::visible(&mounts, wanted) {
            if mount.fs_type == "cgroup2" {
                // The first one: later ones are copies for containers.
                unified.get_or_insert_with(|| CgroupMount {
                    point: mount.point.clone(),
                    root: mount.root.clone(),
                });
                continue;
            }
            let flags = ["rw", "ro", "noprefix", "clone_children", "xattr", "cpuset_v2_mode"];
            for option in mount.super_options.split(',') {
                if !flags.contains(&option) && !option.starts_with("release_agent=") {
                    v1.entry(option.to_owned()).or_insert_with(|| mount.point.clone());
                }
            }
        }
        match (unified, v1.is_empty()) {
            (Some(mount), true) => Self::Unified { mount },
            (Some(mount), false) => Self::Hybrid { mount, v1 },
            (None, false) => Self::Legacy { v1 },
            (None, true) => Self::Absent,
        }
    }

    fn mount(&self) -> Result<&CgroupMount> {
        match self {
            Self::Unified { mount } | Self::Hybrid { mount, .. } => Ok(mount),
            Self::Legacy { .. } => bail_with_hint(
                "this host mounts cgroup v1 only, which is not supported".to_owned(),
                format!("{BOOT_V2}, or use --cgroup-manager disabled"),
            ),
            Self::Absent => bail_with_hint(
                "no cgroup file system is mounted".to_owned(),
                "mount -t cgroup2 cgroup2 /sys/fs/cgroup, or use --cgroup-manager disabled"
                    .to_owned(),
            ),
        }
    }

    /// The directory for a location of the plan.
    pub(crate) fn path(&self, location: &Location) -> Result<PathBuf> {
        let mount = self.mount()?;
        match location {
            Location::BelowMount(path) => Ok(mount.point.join(path)),
            Location::BesideOwn(path) => {
                let file = Path::new("/proc/self/cgroup");
                let text = std::fs::read(file).map_err(|err| failed("open", file, "", &err))?;
                Ok(mount.point.join(mount.beside_own(&text)?).join(path))
            }
        }
    }

    /// Checks that every limit has its controller. To be called before anything is made.
    pub(crate) fn check(&self, limits: &Limits) -> Result<()> {
        if limits.writes.iter().all(|write| write.is_default) {
            return Ok(());
        }
        let point = &self.mount()?.point;
        let root = open_root(point)?;
        let available = Dir { fd: root.as_fd(), path: point }.controllers()?;
        self.check_controllers(limits, &available)
    }

    fn check_controllers(&self, limits: &Limits, available: &[String]) -> Result<()> {
        for write in &limits.writes {
            let name = &write.controller;
            let moot = write.is_default || write.otherwise == Otherwise::SkipMissing;
            if moot || name == "cgroup" || available.contains(name) {
                continue;
            }
            let v1_name = if name == "io" { "blkio" } else { name.as_str() };
            let v1 = match self {
                Self::Hybrid { v1, .. } | Self::Legacy { v1 } => v1.get(v1_name),
                Self::Unified { .. } | Self::Absent => None,
            };
            return match v1 {
                Some(_) => bail_with_hint(
                    format!(
                        "{}: the {v1_name} controller is mounted as cgroup v1 on this host; limits \
                         need it in cgroup v2",
                        write.field
                    ),
                    format!("{BOOT_V2}; or remove the limit"),
                ),
                None => bail_with_hint(
                    format!("{}: this kernel has no {name} controller in cgroup v2", write.field),
                    format!(
                        "boot without cgroup_disable={name}, or with a kernel that has the \
                         controller; or remove the limit"
                    ),
                ),
            };
        }
        Ok(())
    }
}

impl CgroupMount {
    /// The parent of our own cgroup, relative to the mount point.
    fn beside_own(&self, proc_self_cgroup: &[u8]) -> Result<PathBuf> {
        let own = proc::unified_cgroup(proc_self_cgroup)
            .ok_or_else(|| anyhow!("/proc/self/cgroup: no line for cgroup v2 (\"0::/...\")"))?;
        let below = own.strip_prefix(&self.root).ok().filter(|path| !path.starts_with(".."));
        match below {
            Some(path) => Ok(path.parent().unwrap_or(Path::new("")).to_owned()),
            None => bail_with_hint(
                format!("our own cgroup {} is outside of {}", own.display(), self.point.display()),
                "give an absolute linux.cgroupsPath".to_owned(),
            ),
        }
    }
}

fn open_root(point: &Path) -> sys::Result<OwnedFd> {
    open(point, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|errno| sys::Error::new(format!("open({point:?})"), errno))
}

/// The cgroup of one container.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
    dir: OwnedFd,
    /// The directories that `create` made, outermost first.
    made: Vec<PathBuf>,
}

impl Cgroup {
    /// Makes the cgroup at `path` (of [`Host::path`]) with its limits and device filter.
    ///
    /// On failure exactly those directories are removed which were made. Call [`Host::check`]
    /// first; a refused device filter is the caller's decision.
    pub(crate) fn create(host: &Host, path: &Path, limits: &Limits) -> Result<(Self, Filter)> {
        let mut made = Vec::new();
        let result = make(host, path, &mut made).and_then(|dir| {
            prepare(Dir { fd: dir.as_fd(), path }, limits, &made).map(|f| (dir, f))
        });
        match result {
            Ok((dir, filter)) => Ok((Self { path: path.to_owned(), dir, made }, filter)),
            Err(err) => {
                remove_made(&made);
                Err(err).with_context(|| format!("cgroup {}", path.display()))
            }
        }
    }

    /// Opens an existing cgroup; `None` when there is none.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>> {
        match open_root(path) {
            Ok(dir) => Ok(Some(Self { path: path.to_owned(), dir, made: Vec::new() })),
            Err(err) if matches!(err.errno, Errno::ENOENT | Errno::ENODEV) => Ok(None),
            Err(err) => Err(err.into()),
        }
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

    /// The child cgroup `name` (a clean relative path), for `exec --cgroup`.
    pub(crate) fn child(&self, name: &Path) -> Result<Self> {
        let is_clean = name.components().all(|c| matches!(c, std::path::Component::Normal(_)));
        ensure!(is_clean, "{name:?} is not a path below the container's cgroup");
        let dir = open_dir(self.dir.as_fd(), name.as_os_str())?;
        Ok(Self { path: self.path.join(name), dir, made: Vec::new() })
    }

    /// Moves a process here: the slow way (the kernel waits for an RCU grace period), for when
    /// `CLONE_INTO_CGROUP` cannot be used.
    pub(crate) fn add(&self, pid: i32) -> Result<()> {
        let result = self.at().write("cgroup.procs", &pid.to_string());
        match result {
            Err(err) if err.errno == Errno::EBUSY => Err(err).hint(
                "choose a cgroup without sub-cgroups that have controllers: processes live in leaves",
            ),
            other => Ok(other?),
        }
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

    pub(crate) fn is_frozen(&self) -> Result<bool> {
        Ok(self.at().key("cgroup.events", "frozen")? == Some(1))
    }

    /// Sends SIGKILL to every process, against forking ones too. Does not wait for their end.
    pub(crate) fn kill(&self) -> Result<()> {
        match self.at().write("cgroup.kill", "1") {
            Ok(()) => Ok(()),
            Err(err) if err.errno == Errno::ENODEV => Ok(()), // removed: nobody is left
            Err(err) if err.errno == Errno::ENOENT => self.kill_each(), // before Linux 5.14
            Err(err) => Err(err.into()),
        }
    }

    /// Frozen processes cannot fork while they are counted, and still die of SIGKILL.
    fn kill_each(&self) -> Result<()> {
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

    /// Removes the cgroup and its sub-cgroups, which must be empty or about to be.
    pub(crate) fn remove(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
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
        self.at().apply(limits)?;
        let rules = limits.devices.as_deref();
        rules.map(|rules| devices::install(self.dir(), rules, Before::Unknown)).transpose()
    }

    /// How many processes of this cgroup the OOM killer has killed; 0 without memory controller.
    pub(crate) fn oom_kills(&self) -> Result<u64> {
        match self.at().key("memory.events", "oom_kill") {
            Ok(count) => Ok(count.unwrap_or(0)),
            Err(err) if matches!(err.errno, Errno::ENOENT | Errno::ENODEV) => Ok(0),
            Err(err) => Err(err.into()),
        }
    }

    /// Gives the cgroup to the container's user, who may then make sub-cgroups: for a container
    /// with a cgroup namespace of its own and a writable cgroup mount.
    ///
    /// The limits stay ours: the kernel lists the files that are safe to give away.
    pub(crate) fn delegate(&self, host_uid: u32) -> Result<()> {
        let list = std::fs::read_to_string("/sys/kernel/cgroup/delegate").unwrap_or_else(|_old| {
            "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n".to_owned() // Linux < 4.15
        });
        let owner = Some(nix::unistd::Uid::from_raw(host_uid));
        for file in std::iter::once(".").chain(list.lines()) {
            let flags = nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW;
            match nix::unistd::fchownat(self.dir(), file, owner, None, flags) {
                Ok(()) | Err(Errno::ENOENT) => {} // a controller that is not there
                Err(errno) => {
                    let call = format!("chown({:?}, {host_uid})", self.path.join(file));
                    return Err(sys::Error::new(call, errno).into());
                }
            }
        }
        Ok(())
    }
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

fn prepare(dir: Dir<'_>, limits: &Limits, made: &[PathBuf]) -> Result<Filter> {
    let is_new = made.last().is_some_and(|last| last == dir.path);
    let before = if is_new {
        check_type(dir, limits)?;
        Before::Nothing
    } else {
        // The texts are those of runc, which people search for.
        let pids = dir.pids()?.len();
        ensure!(pids == 0, "container's cgroup is not empty: {pids} process(es) found");
        let frozen = dir.key("cgroup.events", "frozen")? == Some(1);
        ensure!(!frozen, "container's cgroup unexpectedly frozen");
        Before::Unknown
    };
    dir.apply(limits)?;
    let rules = limits.devices.as_deref().unwrap_or_default();
    if limits.devices.is_some() {
        devices::install(dir.fd, rules, before)
    } else {
        Ok(Filter::Open)
    }
}

/// A new cgroup below a threaded one, or below one with processes and threaded controllers, is
/// "domain invalid": it cannot hold processes until it is made threaded, which only some
/// controllers support (cgroups(7), "Threaded mode").
fn check_type(dir: Dir<'_>, limits: &Limits) -> Result<()> {
    const THREADED: [&str; 5] = ["cpu", "cpuset", "pids", "perf_event", "cgroup"];
    let kind = dir.read("cgroup.type")?;
    if kind.trim() == "domain" {
        return Ok(());
    }
    let domain = limits
        .writes
        .iter()
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

#[cfg(test)]
mod tests;
