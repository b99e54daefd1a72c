//! Owner, mode, time and extended attributes of a file, to be given to another one.
//!
//! Runs in: an ordinary process of the user, or root of a user namespace. Privilege: with
//! `CAP_CHOWN` owners are set; without it all belongs to the caller.

use super::archive::Time;
use crate::error::OrHint as _;
use crate::overlay::OPAQUE;
use crate::rootless;
use anyhow::Result;
use rustix::fs::{AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

/// `XATTR_SIZE_MAX` of the kernel, in bytes.
const LONGEST_XATTR: usize = 65_536;

/// Those of a directory are set when it is complete: making something in it changes its time, and
/// its mode may not even allow that.
pub(crate) struct Attributes {
    /// Permissions with setuid, setgid and sticky bit.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(super) mtime: Time,
    pub(crate) xattrs: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owners {
    Set,
    /// The caller's only id stands for all of them.
    Callers,
}

impl Owners {
    /// Root of a user namespace with more than one id can set owners as root can.
    pub(crate) fn of_process() -> Result<Self> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(Self::Callers);
        }
        let alone = rootless::ids()?.is_some_and(|ids| ids <= 1);
        Ok(if alone { Self::Callers } else { Self::Set })
    }
}

impl Attributes {
    /// Of a directory which no entry names.
    pub(super) fn usual(mtime: Time) -> Self {
        Self { mode: 0o755, uid: 0, gid: 0, mtime, xattrs: Vec::new() }
    }

    /// Of a directory that was made just now.
    pub(crate) fn made(uid: u32, gid: u32, stat: &Stat) -> Self {
        Self { uid, gid, ..Self::usual(time(stat)) }
    }

    /// Of the file with this name, not of what a symlink leads to; `stat` is its own.
    pub(crate) fn of(parent: BorrowedFd<'_>, name: &OsStr, stat: &Stat) -> Result<Self> {
        let path = below(parent, name);
        let xattrs = xattrs(
            |list| rustix::fs::llistxattr(&path, list),
            |name, value| rustix::fs::lgetxattr(&path, name, value),
        )?;
        Ok(Self::with(stat, xattrs))
    }

    /// Of a file that is open, if only as a place.
    pub(crate) fn of_open(file: BorrowedFd<'_>, stat: &Stat) -> Result<Self> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let xattrs = xattrs(
            |list| rustix::fs::listxattr(&path, list),
            |name, value| rustix::fs::getxattr(&path, name, value),
        )?;
        Ok(Self::with(stat, xattrs))
    }

    fn with(stat: &Stat, xattrs: Vec<(String, Vec<u8>)>) -> Self {
        let mtime = time(stat);
        Self { mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid, mtime, xattrs }
    }

    /// Takes from a file what an overlay has noted there for itself, and gives it its time if that
    /// is not its own.
    pub(super) fn settle(
        &self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        has_other_time: bool,
    ) -> Result<()> {
        let path = below(parent, name);
        let overlay = |name: &str| is_of_overlay(name) && !OPAQUE.contains(&name);
        for (xattr, _) in self.xattrs.iter().filter(|(xattr, _)| overlay(xattr)) {
            let removed = rustix::fs::lremovexattr(&path, xattr.as_str());
            call(&format!("lremovexattr({xattr})"), removed)?;
        }
        if !has_other_time {
            return Ok(());
        }
        let this = AtFlags::SYMLINK_NOFOLLOW;
        call("utimensat", rustix::fs::utimensat(parent, name, &times(self.mtime), this))
    }

    /// Keeps the extended attributes that another machine can use.
    pub(super) fn forget_foreign(&mut self) {
        self.xattrs.retain(|(name, _)| !is_foreign(name));
        self.xattrs.sort();
    }

    /// The order counts: chown(2) clears setuid bits and capabilities.
    pub(crate) fn set(&self, file: impl AsFd, owners: Owners) -> Result<()> {
        let file = file.as_fd();
        if owners == Owners::Set {
            let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
            owned(rustix::fs::fchown(file, Some(uid), Some(gid)), self.uid, self.gid)?;
        }
        call("fchmod", rustix::fs::fchmod(file, Mode::from_raw_mode(self.mode)))?;
        for (name, value) in kept(&self.xattrs) {
            let set =
                rustix::fs::fsetxattr(file, name.as_str(), value.as_slice(), XattrFlags::empty());
            xattr_set(name, set)?;
        }
        call("futimens", rustix::fs::futimens(file, &times(self.mtime)))
    }

    /// The same for what cannot be opened, or had better not be.
    pub(crate) fn set_by_name(
        &self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        is_symlink: bool,
        owners: Owners,
    ) -> Result<()> {
        let this = AtFlags::SYMLINK_NOFOLLOW;
        if owners == Owners::Set {
            let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
            let done = rustix::fs::chownat(parent, name, Some(uid), Some(gid), this);
            owned(done, self.uid, self.gid)?;
        }
        if !is_symlink {
            // It would follow symlinks, and this is none: the caller has made it.
            let mode = Mode::from_raw_mode(self.mode);
            call("fchmodat", rustix::fs::chmodat(parent, name, mode, AtFlags::empty()))?;
        }
        let path = below(parent, name);
        for (xattr, value) in kept(&self.xattrs) {
            let empty = XattrFlags::empty();
            let set = rustix::fs::lsetxattr(&path, xattr.as_str(), value.as_slice(), empty);
            xattr_set(xattr, set)?;
        }
        call("utimensat", rustix::fs::utimensat(parent, name, &times(self.mtime), this))
    }
}

impl Attributes {
    /// The same for what is open as a place only (`O_PATH`), which nobody can exchange.
    pub(super) fn set_by_place(
        &self,
        place: BorrowedFd<'_>,
        is_symlink: bool,
        owners: Owners,
    ) -> Result<()> {
        let this = AtFlags::EMPTY_PATH;
        if owners == Owners::Set {
            let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
            let done = rustix::fs::chownat(place, "", Some(uid), Some(gid), this);
            owned(done, self.uid, self.gid)?;
        }
        let path = format!("/proc/self/fd/{}", place.as_raw_fd());
        if !is_symlink {
            let mode = Mode::from_raw_mode(self.mode);
            call("chmod", rustix::fs::chmod(&path, mode))?;
        }
        for (xattr, value) in kept(&self.xattrs) {
            let set =
                rustix::fs::setxattr(&path, xattr.as_str(), value.as_slice(), XattrFlags::empty());
            xattr_set(xattr, set)?;
        }
        call("utimensat", rustix::fs::utimensat(place, "", &times(self.mtime), this))
    }
}

/// For calls that take a path only.
fn below(parent: BorrowedFd<'_>, name: &OsStr) -> PathBuf {
    Path::new("/proc/self/fd").join(parent.as_raw_fd().to_string()).join(name)
}

/// By llistxattr(2) and lgetxattr(2), or what is like them.
fn xattrs(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    get: impl Fn(&str, &mut [u8]) -> rustix::io::Result<usize>,
) -> Result<Vec<(String, Vec<u8>)>> {
    let mut names = vec![0; LONGEST_XATTR];
    match list(&mut names) {
        Ok(length) => names.truncate(length),
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(errno) => return Err(failed("llistxattr", errno)),
    }
    let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut xattrs = Vec::new();
    for name in names.filter_map(|name| String::from_utf8(name.to_vec()).ok()) {
        let mut value = vec![0; LONGEST_XATTR];
        match get(&name, &mut value) {
            Ok(length) => value.truncate(length),
            Err(Errno::NODATA | Errno::PERM) => continue,
            Err(errno) => return Err(failed(&format!("lgetxattr({name})"), errno)),
        }
        xattrs.push((name, value));
    }
    Ok(xattrs)
}

/// Not what belongs to an overlay, or to a policy, of the machine on which the file was made.
fn kept(xattrs: &[(String, Vec<u8>)]) -> impl Iterator<Item = (&String, &Vec<u8>)> {
    xattrs.iter().filter(|(name, _)| !is_foreign(name)).map(|(name, value)| (name, value))
}

fn is_foreign(name: &str) -> bool {
    is_of_overlay(name) || (name.starts_with("security.") && name != "security.capability")
}

fn is_of_overlay(name: &str) -> bool {
    name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.")
}

/// What this file system or this user cannot have is left out.
fn xattr_set(name: &str, set: rustix::io::Result<()>) -> Result<()> {
    match set {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        Err(errno) => Err(failed(&format!("setxattr({name})"), errno)),
    }
}

fn owned(done: rustix::io::Result<()>, uid: u32, gid: u32) -> Result<()> {
    match done {
        Err(Errno::INVAL) => Err(failed(&format!("fchown({uid}, {gid})"), Errno::INVAL))
            .hint("give the user a larger range of ids in /etc/subuid and /etc/subgid"),
        done => call("fchown", done),
    }
}

fn times(mtime: Time) -> Timestamps {
    let time = Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

fn time(stat: &Stat) -> Time {
    let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    Time { seconds: stat.st_mtime, nanoseconds }
}

pub(crate) fn call<T>(what: &str, result: rustix::io::Result<T>) -> Result<T> {
    result.map_err(|errno| failed(what, errno))
}

pub(crate) fn failed(what: &str, errno: Errno) -> anyhow::Error {
    anyhow::Error::from(io::Error::from(errno)).context(what.to_owned())
}
