//! Paths inside the container: resolved by the kernel below a root descriptor, never by string.
//!
//! Runs in: init, before and after `pivot_root`. A symbolic link of the image can lead anywhere
//! inside the root and nowhere else (CVE-2019-18837, CVE-2021-30465, CVE-2024-45310).

use crate::sys::fd::{leave, openat2, openat2_failed, resolve, try_openat2};
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat, mknodat};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

/// The container's root directory. Lookups cannot leave it, and follow no magic link of procfs.
pub(crate) struct Root(OwnedFd);

const INSIDE: u64 = resolve::IN_ROOT | resolve::NO_MAGICLINKS;

/// Whether a link as the last part of a path is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastLink {
    Follow,
    Keep,
}

/// What a mount needs at its destination.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Directory,
    File,
}

/// The destination of a mount.
pub(crate) struct Place {
    pub(crate) fd: OwnedFd,
    /// Was it there before?
    pub(crate) existed: bool,
}

impl Root {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    fn lookup(&self, path: &CStr, flags: OFlag) -> nix::Result<OwnedFd> {
        try_openat2(self.0.as_fd(), path, flags, 0, INSIDE)
    }

    fn failed(&self, path: &CStr, flags: OFlag, errno: Errno) -> sys::Error {
        openat2_failed(self.0.as_fd(), path, flags, INSIDE, errno)
    }

    fn open_with(&self, path: &CStr, flags: OFlag) -> sys::Result<OwnedFd> {
        self.lookup(path, flags).map_err(|errno| self.failed(path, flags, errno))
    }

    /// An `O_PATH` descriptor.
    pub(crate) fn open(&self, path: &CStr, last: LastLink) -> sys::Result<OwnedFd> {
        self.open_with(path, path_flags(last))
    }

    /// The same for a path that is meant as it is written: no link on the way.
    pub(crate) fn open_named(&self, path: &CStr) -> sys::Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
        openat2(self.0.as_fd(), path, flags, 0, INSIDE | resolve::NO_SYMLINKS)
    }

    /// An `O_PATH` descriptor, or `None` for one of the `absent` errors.
    pub(crate) fn open_unless(
        &self,
        path: &CStr,
        absent: &[Errno],
    ) -> sys::Result<Option<OwnedFd>> {
        match self.lookup(path, OFlag::O_PATH) {
            Ok(fd) => Ok(Some(fd)),
            Err(errno) if absent.contains(&errno) => Ok(None),
            Err(errno) => Err(self.failed(path, OFlag::O_PATH, errno)),
        }
    }

    pub(crate) fn open_dir(&self, path: &CStr) -> sys::Result<OwnedFd> {
        self.open_with(path, DIRECTORY)
    }

    /// For reading. Never blocks on a FIFO that the image has put there.
    pub(crate) fn open_file(&self, path: &CStr, flags: OFlag) -> sys::Result<OwnedFd> {
        self.open_with(path, flags | OFlag::O_NOCTTY | OFlag::O_NONBLOCK)
    }

    /// The destination of a mount, made when it is missing.
    pub(crate) fn mount_point(&self, path: &CStr, shape: Shape, last: LastLink) -> Result<Place> {
        match self.lookup(path, path_flags(last)) {
            Ok(fd) => return Ok(Place { fd, existed: true }),
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(self.failed(path, path_flags(last), errno).into()),
        }
        let fd = match shape {
            Shape::Directory => self.make_missing_dirs(path)?,
            Shape::File => {
                let (parent, name) = self.parent(path)?;
                make_file(parent.as_fd(), &name)?
            }
        };
        Ok(Place { fd, existed: false })
    }

    /// The directory that holds `path`, made when it is missing, and the last name.
    pub(crate) fn parent(&self, path: &CStr) -> Result<(OwnedFd, CString)> {
        match split(path)? {
            Some((dir, name)) => Ok((self.make_dirs(&dir)?, name)),
            None => bail!("{path:?} names no file"),
        }
    }

    /// `mkdir -p`, mode 0755, one component at a time. Links are followed inside the root, dangling
    /// ones too: their target is made.
    pub(crate) fn make_dirs(&self, path: &CStr) -> Result<OwnedFd> {
        match self.lookup(path, DIRECTORY) {
            Err(Errno::ENOENT) => self.make_missing_dirs(path),
            Ok(dir) => Ok(dir),
            Err(errno) => Err(self.failed(path, DIRECTORY, errno).into()),
        }
    }

    fn make_missing_dirs(&self, path: &CStr) -> Result<OwnedFd> {
        // Most often the last part alone is missing.
        if let Some((parent, name)) = split(path)?
            && let Ok(dir) = self.lookup(&parent, DIRECTORY)
            && mkdirat(&dir, name.as_c_str(), Mode::from_bits_truncate(0o755)).is_ok()
        {
            let made = open_new_dir(&dir, &name)?;
            leave([dir]);
            return Ok(made);
        }
        let mut left = components(path.to_bytes());
        let mut made = Vec::new();
        let mut dir = self.open_dir(c"/")?;
        let mut links = 0;
        while let Some(part) = left.pop() {
            let parent_length = made.len();
            made.push(b'/');
            made.extend_from_slice(&part);
            let so_far = CString::new(made.as_slice())?;
            match self.lookup(&so_far, DIRECTORY) {
                Ok(next) => {
                    dir = next;
                    continue;
                }
                Err(Errno::ENOENT) if part != b".." => {}
                Err(errno) => {
                    let err = self.failed(&so_far, DIRECTORY, errno);
                    return Err(err).with_context(|| format!("make {path:?}"));
                }
            }
            let name = CString::new(part)?;
            match mkdirat(&dir, name.as_c_str(), Mode::from_bits_truncate(0o755)) {
                Ok(()) => dir = open_new_dir(&dir, &name)?,
                Err(Errno::EEXIST) => {
                    // Not there to open and there to be in the way: a dangling link.
                    links += 1;
                    let target = readlinkat(&dir, name.as_c_str())
                        .call(|| format!("readlinkat({}, {name:?})", sys::show(dir.as_fd())))?;
                    if links > LINKS_MAX {
                        return Err(sys::Error::new(format!("make {path:?}"), Errno::ELOOP).into());
                    }
                    let target = target.as_bytes();
                    made.truncate(if target.starts_with(b"/") { 0 } else { parent_length });
                    left.extend(components(target));
                    let so_far = [b"/", made.as_slice()].concat();
                    dir = self.open_dir(&CString::new(so_far)?)?;
                }
                Err(errno) => {
                    let call = format!("mkdirat({}, {name:?}, 0755)", sys::show(dir.as_fd()));
                    return Err(sys::Error::new(call, errno).into());
                }
            }
        }
        Ok(dir)
    }
}

const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY);

fn path_flags(last: LastLink) -> OFlag {
    if last == LastLink::Keep { OFlag::O_PATH | OFlag::O_NOFOLLOW } else { OFlag::O_PATH }
}

/// Directory and last name of a path; `None` where it has no name.
pub(crate) fn split(path: &CStr) -> Result<Option<(CString, CString)>> {
    let bytes = path.to_bytes();
    let (dir, name) = match bytes.iter().rposition(|byte| *byte == b'/') {
        Some(0) | None => (&b"/"[..], bytes.strip_prefix(b"/").unwrap_or(bytes)),
        Some(at) => (bytes.get(..at).unwrap_or_default(), bytes.get(at + 1..).unwrap_or_default()),
    };
    if matches!(name, b"" | b"." | b"..") {
        return Ok(None);
    }
    Ok(Some((CString::new(dir)?, CString::new(name)?)))
}

/// `MAXSYMLINKS` of linux/namei.h.
const LINKS_MAX: u32 = 40;

/// The parts of a path, last one first, to be taken off the end.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    let mut parts: Vec<Vec<u8>> = parts.map(<[u8]>::to_vec).collect();
    parts.reverse();
    parts
}

/// A directory that was made a moment ago: whatever was swapped in meanwhile is not followed.
fn open_new_dir(dir: &OwnedFd, name: &CStr) -> sys::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    openat2(dir.as_fd(), name, flags, 0, resolve::BENEATH | resolve::NO_SYMLINKS)
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// An empty regular file below `dir`, or what is there already, links not followed.
pub(crate) fn make_file(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let mode = Mode::from_bits_truncate(0o644);
    match mknodat(dir, name, SFlag::S_IFREG, mode, 0) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => {
            let call = format!("mknodat({}, {name:?}, S_IFREG)", sys::show(dir));
            return Err(sys::Error::new(call, errno).into());
        }
    }
    let fd = openat2(
        dir,
        name,
        OFlag::O_PATH | OFlag::O_NOFOLLOW,
        0,
        resolve::BENEATH | resolve::NO_SYMLINKS,
    )?;
    if kind(&fd)? == SFlag::S_IFLNK {
        bail!("{name:?} is a symbolic link");
    }
    Ok(fd)
}

pub(crate) fn status(fd: &OwnedFd) -> sys::Result<FileStat> {
    fstat(fd).call(|| format!("fstat({})", sys::show(fd.as_fd())))
}

/// The file type, one of `S_IFMT`'s values.
pub(crate) fn kind(fd: &OwnedFd) -> sys::Result<SFlag> {
    Ok(SFlag::from_bits_truncate(status(fd)?.st_mode & SFlag::S_IFMT.bits()))
}

/// Is it the character device `major:minor`?
pub(crate) fn is_character_device(fd: &OwnedFd, major: u32, minor: u32) -> sys::Result<bool> {
    is_device(fd, SFlag::S_IFCHR, libc::makedev(major, minor))
}

/// Is it the device `number` of this kind?
pub(crate) fn is_device(fd: &OwnedFd, kind: SFlag, number: libc::dev_t) -> sys::Result<bool> {
    let status = status(fd)?;
    let found = SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits());
    Ok(found == kind && status.st_rdev == number)
}
