//! The container's cgroups in v1 hierarchies, on hosts which still mount controllers there.
//!
//! Runs in: parent; the container's process joins by [`join`]. Privilege: write access to the trees.
//!
//! The v2 cgroup stays the one that says who belongs to the container: kill, freeze and the device
//! filter are its. Here are limits and statistics.

use super::v2::{Dir, open_dir, open_root};
use super::{Limits, is_denied, make_one};
use crate::error::{OrHint as _, hinted};
use crate::plan::cgroup::Write;
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where a container's cgroup of one hierarchy is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// "memory", or "name=systemd".
    pub(crate) controllers: Vec<String>,
    /// Where the hierarchy is mounted.
    pub(crate) point: PathBuf,
    pub(crate) path: PathBuf,
}

/// One cgroup for each hierarchy.
#[derive(Debug, Default)]
pub(super) struct Tree(Vec<(Place, OwnedFd)>);

impl Tree {
    /// Makes what is missing and writes the limits. Directories that were made are added to `made`.
    ///
    /// A hierarchy in which we may not make anything is left out, if no limit needs it.
    pub(super) fn create(
        places: &[Place],
        limits: &Limits,
        made: &mut Vec<PathBuf>,
    ) -> Result<Self> {
        let mut tree = Self::default();
        for place in places {
            let writes = || limits.v1.iter().filter(|w| place.controllers.contains(&w.controller));
            let prepared = make(place, made).and_then(|fd| {
                let dir = Dir { fd: fd.as_fd(), path: &place.path };
                apply(dir, writes(), limits)?;
                Ok(fd)
            });
            match prepared {
                Ok(dir) => tree.0.push((place.clone(), dir)),
                Err(err) if is_denied(&err) && writes().all(|write| write.is_default) => {}
                Err(err) => return Err(err),
            }
        }
        Ok(tree)
    }

    /// Opens those which still exist.
    pub(super) fn open(places: &[Place]) -> Result<Self> {
        let mut tree = Self::default();
        for place in places {
            match open_root(&place.path) {
                Ok(dir) => tree.0.push((place.clone(), dir)),
                Err(err) if matches!(err.errno, Errno::ENOENT | Errno::ENODEV) => {}
                Err(err) => return Err(err.into()),
            }
        }
        Ok(tree)
    }

    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.0.iter().map(|(place, _)| place)
    }

    /// The cgroup that has this controller.
    pub(super) fn with(&self, controller: &str) -> Option<Dir<'_>> {
        let has = |place: &Place| place.controllers.iter().any(|name| name == controller);
        let (place, dir) = self.0.iter().find(|(place, _)| has(place))?;
        Some(Dir { fd: dir.as_fd(), path: &place.path })
    }

    /// A directory below the container's cgroup in the hierarchy of `controller`.
    pub(super) fn descend(&mut self, controller: &str, below: &Path) -> Result<bool> {
        let has = |place: &Place| place.controllers.iter().any(|name| name == controller);
        let Some((place, dir)) = self.0.iter_mut().find(|(place, _)| has(place)) else {
            return Ok(false);
        };
        *dir = open_dir(dir.as_fd(), below.as_os_str())?;
        place.path.push(below);
        Ok(true)
    }

    pub(super) fn apply(&self, limits: &Limits) -> Result<()> {
        for (place, dir) in &self.0 {
            let dir = Dir { fd: dir.as_fd(), path: &place.path };
            let ours = limits.v1.iter().filter(|w| place.controllers.contains(&w.controller));
            apply(dir, ours, limits)?;
        }
        Ok(())
    }

    /// The files by which a process enters, for [`join`].
    pub(super) fn doors(&self) -> Result<Vec<OwnedFd>> {
        let open = |(place, dir): &(Place, OwnedFd)| {
            openat(dir, "tasks", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())
                .call(|| format!("open({:?})", place.path.join("tasks")))
        };
        Ok(self.0.iter().map(open).collect::<sys::Result<_>>()?)
    }

    /// Removes the cgroups and what the container has made below. They are empty, or about to be.
    pub(super) fn remove(&self, deadline: Instant) -> Result<()> {
        for (place, dir) in &self.0 {
            let dir = Dir { fd: dir.as_fd(), path: &place.path };
            loop {
                let err = match std::fs::remove_dir(&place.path) {
                    Ok(()) => break,
                    Err(err) => err,
                };
                match err.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::ENOENT) => break,
                    Some(Errno::EBUSY | Errno::ENOTEMPTY) if Instant::now() < deadline => {}
                    _ => {
                        let call = super::v2::failed("rmdir", &place.path, "", &err);
                        return Err(call).hint("end the processes listed in its tasks");
                    }
                }
                // Nothing tells when the last task of a v1 cgroup has gone.
                if dir.remove_children().is_err() || !dir.read("tasks")?.is_empty() {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        }
        Ok(())
    }
}

fn make(place: &Place, made: &mut Vec<PathBuf>) -> Result<OwnedFd> {
    let below = place.path.strip_prefix(&place.point).context("not below the cgroup mount")?;
    let inherits = place.controllers.iter().any(|name| name == "cpuset");
    let mut here = place.point.clone();
    let mut dir = open_root(&here)?;
    for name in below {
        here.push(name);
        let child = make_one(dir.as_fd(), name, &here, made)?;
        if inherits {
            let parent = Dir { fd: dir.as_fd(), path: &place.point };
            inherit_cpuset(parent, Dir { fd: child.as_fd(), path: &here })?;
        }
        dir = child;
    }
    Ok(dir)
}

/// cpusets(7): a new one is empty, and no task may enter it then.
fn inherit_cpuset(parent: Dir<'_>, child: Dir<'_>) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if child.read(file)?.trim().is_empty() {
            child.write(file, parent.read(file)?.trim())?;
        }
    }
    Ok(())
}

fn apply<'a>(dir: Dir<'_>, writes: impl Iterator<Item = &'a Write>, limits: &Limits) -> Result<()> {
    let mut checked = false;
    for write in writes {
        if let Some(check) = limits.usage_check.filter(|_| write.controller == "memory" && !checked)
        {
            dir.check_usage(check, "memory.usage_in_bytes")?;
            checked = true;
        }
        dir.try_one(write)
            .or_else(|err| explain(write, err))
            .with_context(|| write.field.clone())?;
    }
    Ok(())
}

/// The error of a limit, with its likely cause and the way out.
fn explain(write: &Write, err: sys::Error) -> Result<()> {
    if err.errno == Errno::ENOENT {
        if write.is_default {
            return Ok(()); // nothing to lift
        }
        return Err(err).hint(match write.controller.as_str() {
            "hugetlb" => "choose a page size of /sys/kernel/mm/hugepages".to_owned(),
            _ => format!("use a kernel that has {}; or remove the limit", write.file),
        });
    }
    let denied = "run as root, or have this cgroup v1 directory given to this user";
    let mut hints = vec![(Errno::EROFS, denied), (Errno::EBUSY, "set a limit above the usage")];
    if write.controller == "cpuset" {
        let subset = "choose from the list of the cgroup above";
        hints.extend([(Errno::EACCES, subset), (Errno::EINVAL, subset), (Errno::ERANGE, subset)]);
        hints.push((Errno::ENODEV, subset));
    } else {
        hints.extend([(Errno::EACCES, denied), (Errno::EPERM, denied)]);
    }
    if write.controller == "blkio" {
        hints.push((Errno::ENODEV, "name a whole block device of this host by major:minor"));
    }
    if write.file == "memory.oom_control" {
        hints.push((Errno::EOPNOTSUPP, "this kernel always kills; remove disableOOMKiller"));
    }
    Err(hinted(err, &hints))
}

/// Called by the process itself. Its only thread moves alone, which the kernel does at once: for
/// another process it would wait for an RCU grace period, some milliseconds, in each hierarchy.
pub(crate) fn join(doors: Vec<OwnedFd>) -> Result<()> {
    bring_in(&doors, 0)
}

/// The slow way: a process with one thread is moved.
pub(crate) fn bring_in(doors: &[OwnedFd], pid: i32) -> Result<()> {
    for door in doors {
        nix::unistd::write(door, pid.to_string().as_bytes())
            .call(|| format!("write({}, {pid})", sys::show(door.as_fd())))?;
    }
    Ok(())
}
