//! Reading, writing and waiting for the files of one cgroup v2 directory.
//!
//! Runs in: parent. Privilege: write access to the files.
//!
//! Everything goes through the directory's descriptor: its path is used for messages only, so a
//! cgroup that is removed and made again under our feet is never mistaken for ours.

use crate::error::OrHint as _;
use crate::plan::cgroup::{Limits, Otherwise, UsageCheck, Write};
use crate::sys;
use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// An open directory of the cgroup2 file system, with the path it was opened by.
#[derive(Clone, Copy)]
pub(super) struct Dir<'a> {
    pub(super) fd: BorrowedFd<'a>,
    pub(super) path: &'a Path,
}

/// An I/O error in the words of a system call.
pub(super) fn failed(call: &str, path: &Path, args: &str, err: &std::io::Error) -> sys::Error {
    let errno = err.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    sys::Error::new(format!("{call}({path:?}{args})"), errno)
}

/// Whether a core file was missing because its cgroup was removed: opening then gives ENOENT
/// through the old descriptor, reading an open file ENODEV.
pub(super) fn is_gone(err: &sys::Error) -> bool {
    matches!(err.errno, Errno::ENOENT | Errno::ENODEV)
}

fn open_file(dir: Dir<'_>, file: &str, flags: OFlag) -> sys::Result<File> {
    openat(dir.fd, file, flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW, Mode::empty())
        .map(File::from)
        .map_err(|errno| sys::Error::new(format!("open({:?})", dir.path.join(file)), errno))
}

impl Dir<'_> {
    /// # Errors
    /// `ENOENT`: the controller or feature is not there. `ENODEV`: the cgroup was removed.
    pub(super) fn read(self, file: &str) -> sys::Result<String> {
        let mut opened = open_file(self, file, OFlag::O_RDONLY)?;
        read_text(&mut opened).map_err(|err| failed("read", &self.path.join(file), "", &err))
    }

    /// The whole value in one write(2), as cgroup files want it.
    pub(super) fn write(self, file: &str, value: &str) -> sys::Result<()> {
        // An empty write never reaches the kernel's handler; a newline is stripped by it.
        let bytes = if value.is_empty() { b"\n" } else { value.as_bytes() };
        let mut opened = open_file(self, file, OFlag::O_WRONLY)?;
        loop {
            match opened.write(bytes) {
                Ok(_) => return Ok(()),
                Err(err) if err.kind() == std::io::ErrorKind::Interrupted => {}
                Err(err) => {
                    return Err(failed(
                        "write",
                        &self.path.join(file),
                        &format!(", {value:?}"),
                        &err,
                    ));
                }
            }
        }
    }

    /// The controllers that this cgroup has.
    pub(super) fn controllers(self) -> sys::Result<Vec<String>> {
        Ok(self.read("cgroup.controllers")?.split_whitespace().map(str::to_owned).collect())
    }

    /// Hands every controller of this cgroup to its children, as far as it can be done.
    ///
    /// What cannot be handed down shows when a limit needs it: then the error names the field.
    pub(super) fn enable_controllers(self) -> sys::Result<()> {
        let enabled = self.read("cgroup.subtree_control")?;
        let missing: Vec<String> = self
            .controllers()?
            .into_iter()
            .filter(|name| enabled.split_whitespace().all(|other| other != name))
            .map(|name| format!("+{name}"))
            .collect();
        if !missing.is_empty() && self.write("cgroup.subtree_control", &missing.join(" ")).is_err()
        {
            for one in missing {
                self.write("cgroup.subtree_control", &one).ok(); // see above
            }
        }
        Ok(())
    }

    /// Writes the limits in their order, but for controllers that live elsewhere.
    pub(super) fn apply(self, limits: &Limits, elsewhere: impl Fn(&str) -> bool) -> Result<()> {
        if let Some(check) = limits.usage_check {
            self.check_usage(check, "memory.current")?;
        }
        let mut controllers = None;
        for write in limits.writes.iter().filter(|write| !elsewhere(&write.controller)) {
            if write.is_default {
                // Without its controller there is nothing to lift.
                let list = match &mut controllers {
                    Some(list) => list,
                    empty => empty.insert(self.controllers()?),
                };
                if !list.contains(&write.controller) {
                    continue;
                }
            }
            let written = self.try_one(write).or_else(|err| self.explain(write, err));
            written.with_context(|| write.field.clone())?;
        }
        Ok(())
    }

    /// Writes one limit, or does what the plan says for the case that it cannot be written.
    pub(super) fn try_one(self, write: &Write) -> sys::Result<()> {
        let Err(err) = self.write(&write.file, &write.value) else { return Ok(()) };
        match (&write.otherwise, err.errno) {
            (Otherwise::SkipMissing, Errno::ENOENT) | (Otherwise::SkipRefused, Errno::EINVAL) => {
                Ok(())
            }
            (Otherwise::Instead { file, value }, Errno::ENOENT) => self.write(file, value),
            _ => Err(err),
        }
    }

    /// The error of a limit, with its likely cause and the way out.
    fn explain(self, write: &Write, err: sys::Error) -> Result<()> {
        let controller = &write.controller;
        let errno = err.errno;
        if errno == Errno::ENOENT && controller != "cgroup" {
            if self.controllers()?.contains(controller) {
                if controller == "hugetlb" {
                    return Err(err).hint("choose a page size of /sys/kernel/mm/hugepages");
                }
                return Err(err).hint(format!("use a kernel that has {}", write.file));
            }
            return bail_with_hint(
                format!("the {controller} controller is not enabled in {}", self.path.display()),
                format!(
                    "enable it in cgroup.subtree_control of every cgroup above, none of which may \
                     hold processes; for a user under systemd: Delegate={controller}"
                ),
            );
        }
        if matches!(errno, Errno::EACCES | Errno::EPERM | Errno::EROFS) {
            return Err(err).hint(
                "run as root, or in a cgroup that is delegated to this user (systemd: Delegate=yes)",
            );
        }
        if errno == Errno::EBUSY {
            return Err(err).hint("set a limit that is above the present usage");
        }
        let is_value =
            matches!(errno, Errno::EINVAL | Errno::ERANGE | Errno::ENODEV | Errno::ENXIO);
        match controller.as_str() {
            "cpuset" if is_value => {
                Err(err).hint(format!("choose from {}.effective of the cgroup above", write.file))
            }
            "io" if is_value => {
                Err(err).hint("name a whole block device of this host by major:minor")
            }
            "rdma" if is_value => Err(err).hint("name a device of /sys/class/infiniband"),
            _ => Err(err.into()),
        }
    }

    pub(super) fn check_usage(self, check: UsageCheck, file: &str) -> Result<()> {
        // The controller is not there or not yet: the write itself will tell.
        let Ok(text) = self.read(file) else { return Ok(()) };
        let usage: u64 = text.trim().parse().unwrap_or(0);
        for (limit, field) in [(check.memory_and_swap_bytes, "swap"), (check.memory_bytes, "limit")]
        {
            if let Some(limit) = limit.filter(|limit| *limit <= usage) {
                return bail_with_hint(
                    format!(
                        "linux.resources.memory.{field}: {limit} is not above the usage, {usage}"
                    ),
                    "raise the limit, or let the container free memory first".to_owned(),
                );
            }
        }
        Ok(())
    }

    /// Value of `key` in a file of "key value" lines.
    pub(super) fn key(self, file: &str, key: &str) -> sys::Result<Option<u64>> {
        Ok(find_key(&self.read(file)?, key))
    }

    /// Waits until `key` of cgroup.events is `value`. `false`: it did not happen in time.
    ///
    /// The kernel wakes pollers of this file (cgroup-v2.rst, "cgroup.events"); nothing sleeps.
    pub(super) fn wait_event(self, key: &str, value: u64, timeout: Duration) -> Result<bool> {
        let deadline = Instant::now() + timeout;
        let mut events = match open_file(self, "cgroup.events", OFlag::O_RDONLY) {
            Err(err) if is_gone(&err) => return Ok(value == 0),
            other => other?,
        };
        loop {
            match reread(&mut events) {
                Ok(text) if find_key(&text, key) == Some(value) => return Ok(true),
                Ok(_) => {}
                // The cgroup was removed: nothing lives in it, nothing is frozen.
                Err(err) if err.raw_os_error() == Some(libc::ENODEV) => return Ok(value == 0),
                Err(err) => {
                    return Err(failed("read", &self.path.join("cgroup.events"), "", &err).into());
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !wait_for_change(events.as_fd(), left)? {
                return Ok(false);
            }
        }
    }

    /// Processes of this cgroup alone.
    fn own_pids(self) -> sys::Result<Vec<i32>> {
        let text = match self.read("cgroup.procs") {
            // A threaded cgroup lists its processes in the domain above it.
            Err(err) if err.errno == Errno::EOPNOTSUPP => self.read("cgroup.threads")?,
            other => other?,
        };
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Processes of this cgroup and all below it.
    pub(super) fn pids(self) -> Result<Vec<i32>> {
        let mut pids = match self.own_pids() {
            Err(err) if is_gone(&err) => return Ok(Vec::new()),
            other => other?,
        };
        for_each_below(self, |parent, name| {
            let child = match open_dir(parent, name) {
                Err(err) if err.errno == Errno::ENOENT => return Ok(()),
                other => other?,
            };
            match (Dir { fd: child.as_fd(), path: self.path }).own_pids() {
                Ok(more) => pids.extend(more),
                Err(err) if is_gone(&err) => {}
                Err(err) => return Err(err.into()),
            }
            Ok(())
        })?;
        Ok(pids)
    }

    /// Removes all cgroups below this one. They must be empty of processes.
    pub(super) fn remove_children(self) -> Result<()> {
        for_each_below(self, |parent, name| {
            match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => Ok(()),
                Err(errno) => {
                    let path = self.path.join("...").join(name);
                    Err(sys::Error::new(format!("rmdir({path:?})"), errno).into())
                }
            }
        })
    }
}

/// A message of ours with a hint.
pub(super) fn bail_with_hint<T>(message: String, hint: String) -> Result<T> {
    let failed: Result<T> = (|| bail!(message))();
    failed.hint(hint)
}

pub(super) fn find_key(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| value.trim().parse().ok())
}

/// The whole content again; reading also tells the kernel what this descriptor has seen.
pub(super) fn reread(file: &mut File) -> std::io::Result<String> {
    file.rewind()?;
    read_text(file)
}

/// Like `read_to_string`, without its two system calls to guess a size which kernfs never tells.
fn read_text(file: &mut File) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Ok(count) => bytes.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(err) if err.kind() == std::io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
}

/// Waits for a change of a cgroup file since it was last read through this descriptor.
fn wait_for_change(file: BorrowedFd<'_>, timeout: Duration) -> Result<bool> {
    // Rounded up: a timeout of 0 would spin.
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX).saturating_add(1);
    let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(file, PollFlags::POLLPRI)], timeout) {
        Ok(0) => Ok(false),
        Ok(_) | Err(Errno::EINTR) => Ok(true),
        Err(errno) => Err(sys::Error::new("poll(cgroup.events)", errno).into()),
    }
}

/// Opens a cgroup by its absolute path.
pub(super) fn open_root(point: &Path) -> sys::Result<OwnedFd> {
    sys::fd::open(point, OFlag::O_RDONLY | OFlag::O_DIRECTORY)
}

/// Opens a sub-directory by its name.
///
/// # Errors
/// `ENOENT`: there is none.
pub(super) fn open_dir(parent: BorrowedFd<'_>, name: &OsStr) -> sys::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::empty()).map_err(|errno| {
        sys::Error::new(format!("openat([{}], {name:?})", parent.as_raw_fd()), errno)
    })
}

fn children(dir: BorrowedFd<'_>) -> Result<Vec<OsString>> {
    // kernfs counts sub-directories in the link count, so most cgroups need no listing.
    let stat = fstat(dir).map_err(|errno| sys::Error::new("fstat(cgroup)", errno))?;
    if stat.st_nlink <= 2 {
        return Ok(Vec::new());
    }
    let path = format!("/proc/self/fd/{}", dir.as_raw_fd());
    let list =
        std::fs::read_dir(&path).map_err(|err| failed("open", Path::new(&path), "", &err))?;
    let mut names = Vec::new();
    for entry in list {
        let entry = entry.map_err(|err| failed("readdir", Path::new(&path), "", &err))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.push(entry.file_name());
        }
    }
    Ok(names)
}

/// Calls `visit(parent, name)` for every cgroup below `dir`, children before their parents.
///
/// A container may nest its cgroups so deep that a path is too long, the stack too small or the
/// descriptors too few. So this goes down by name and up by "..", holding one descriptor.
fn for_each_below(
    dir: Dir<'_>,
    mut visit: impl FnMut(BorrowedFd<'_>, &OsStr) -> Result<()>,
) -> Result<()> {
    let mut unvisited = vec![children(dir.fd)?];
    if unvisited.iter().all(Vec::is_empty) {
        return Ok(());
    }
    let mut names: Vec<OsString> = Vec::new();
    let mut here = open_dir(dir.fd, OsStr::new("."))?;
    while let Some(level) = unvisited.last_mut() {
        if let Some(name) = level.pop() {
            match open_dir(here.as_fd(), &name) {
                Ok(child) => {
                    unvisited.push(children(child.as_fd())?);
                    names.push(name);
                    here = child;
                }
                Err(err) if err.errno == Errno::ENOENT => {} // removed since it was listed
                Err(err) => return Err(err.into()),
            }
        } else {
            unvisited.pop();
            let Some(name) = names.pop() else { break };
            here = open_dir(here.as_fd(), OsStr::new(".."))?;
            visit(here.as_fd(), &name)?;
        }
    }
    Ok(())
}
