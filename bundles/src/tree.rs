//! Directories with all that is in them, however deep: a container makes deeper ones than any path
//! can name, or than there are descriptors for.
//!
//! Runs in: an ordinary process of the user, or root of a user namespace. The first directories on
//! the way down stay open. From further down the way up is `..`, which has to lead where the way
//! down began: whoever moves directories meanwhile leads nobody out. No symbolic link is followed.

use crate::error::OrHint as _;
use crate::layer::attributes::call;
use anyhow::{Context as _, Result};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat, unlinkat,
};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Bytes on disk of a file or directory and all below it. What goes away meanwhile, or may not be
/// read, does not count.
pub(crate) fn usage(path: &Path) -> Result<u64> {
    let mut bytes = 0;
    let mut seen = BTreeSet::new();
    let mut count = |stat: &Stat| {
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        // Two names of one file are one file.
        if is_dir || stat.st_nlink == 1 || seen.insert((stat.st_dev, stat.st_ino)) {
            bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
        }
        is_dir
    };
    let gone = |errno: Errno| matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::ACCESS);
    let each = |above: BorrowedFd<'_>, name: &OsStr| {
        let is_dir = match statat(above, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(errno) if gone(errno) => return Ok(None),
            stat => count(&call("fstatat", stat)?),
        };
        match is_dir.then(|| directory(above, name)).transpose() {
            Err(errno) if gone(errno) => Ok(None),
            opened => call("openat", opened),
        }
    };
    walk(path, each, |_, _| Ok(())).with_context(|| path.display().to_string())?;
    Ok(bytes)
}

/// Removes it. It may be gone already.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let each = |above: BorrowedFd<'_>, name: &OsStr| match unlinkat(above, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => call("openat", unlocked(above, name).map(Some)),
        Ok(()) | Err(Errno::NOENT) => Ok(None),
        Err(errno) => call("unlinkat", Err(errno)),
    };
    let leave = |above: BorrowedFd<'_>, name: &OsStr| {
        call("unlinkat", unlinkat(above, name, AtFlags::REMOVEDIR))
    };
    walk(path, each, leave)
        .with_context(|| format!("remove {}", path.display()))
        .hint("files of other users have to be removed by them, or by root")
}

/// Directories on the way down that stay open.
const OPEN: usize = 64;

/// A directory on the way down.
struct Above {
    way: Way,
    /// What is left to do in it.
    names: Vec<OsString>,
    /// Of the one below.
    name: OsString,
}

enum Way {
    Open(OwnedFd),
    /// By device and inode.
    Up(u64, u64),
}

/// `each` is called with every name, and opens what is to be gone into; `leave` when that is done.
fn walk(
    path: &Path,
    mut each: impl FnMut(BorrowedFd<'_>, &OsStr) -> Result<Option<OwnedFd>>,
    mut leave: impl FnMut(BorrowedFd<'_>, &OsStr) -> Result<()>,
) -> Result<()> {
    let Some(mut here) = each(CWD, path.as_os_str())? else { return Ok(()) };
    let mut above: Vec<Above> = Vec::new();
    let mut names = names_in(&here)?;
    loop {
        while let Some(name) = names.pop() {
            if let Some(below) = each(here.as_fd(), &name)? {
                let inner = names_in(&below)?;
                let way = match above.len() {
                    0..OPEN => Way::Open(here),
                    _ => id(&here).map(|(device, inode)| Way::Up(device, inode))?,
                };
                above.push(Above { way, names, name });
                (here, names) = (below, inner);
            }
        }
        let Some(last) = above.pop() else { break };
        let up = match last.way {
            Way::Open(dir) => dir,
            Way::Up(device, inode) => {
                match up(&here).filter(|up| id(up).ok() == Some((device, inode))) {
                    Some(up) => up,
                    // Moved, with all above it that is not open.
                    None => continue,
                }
            }
        };
        leave(up.as_fd(), &last.name)?;
        (here, names) = (up, last.names);
    }
    leave(CWD, path.as_os_str())
}

fn up(dir: &OwnedFd) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(dir, "..", flags, Mode::empty()).ok()
}

fn id(dir: &OwnedFd) -> Result<(u64, u64)> {
    let stat = call("fstat", fstat(dir))?;
    Ok((stat.st_dev, stat.st_ino))
}

pub(crate) fn names_in(dir: &OwnedFd) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in call("getdents64", Dir::read_from(dir))? {
        let entry = call("getdents64", entry)?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// One that can be left again.
fn directory(above: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = openat(above, name, flags, Mode::empty())?;
    statat(&dir, "..", AtFlags::empty())?;
    Ok(dir)
}

/// The same; an ordinary user's own directory may be closed to him.
fn unlocked(above: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = openat(above, name, flags, Mode::empty())?;
    if fstat(&dir)?.st_mode & 0o700 != 0o700 {
        // By its descriptor: chmod(2) would follow a symlink that takes its place.
        let this = format!("/proc/self/fd/{}", dir.as_raw_fd());
        rustix::fs::chmod(this, Mode::RWXU).ok(); // opening it says more
    }
    directory(dir.as_fd(), OsStr::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn links_are_not_followed() {
        let dir = Scratch::new();
        dir.file("outside/keep", &[1; 100_000]);
        dir.file("tree/deep/file", b"x");
        dir.link("tree/link", "../outside");
        let tree = dir.0.join("tree");
        assert!(usage(&tree).unwrap() < 100_000);
        fs::hard_link(dir.0.join("outside/keep"), tree.join("one")).unwrap();
        let one = usage(&tree).unwrap();
        fs::hard_link(dir.0.join("outside/keep"), tree.join("two")).unwrap();
        assert_eq!(usage(&tree).unwrap(), one);
        fs::set_permissions(tree.join("deep"), fs::Permissions::from_mode(0o000)).unwrap();
        usage(&tree).unwrap();
        remove(&tree).unwrap();
        remove(&tree).unwrap();
        assert!(!tree.exists() && dir.0.join("outside/keep").exists());
        dir.link("link", "outside");
        assert!(usage(&dir.0.join("link")).unwrap() < 100_000);
        remove(&dir.0.join("link")).unwrap();
        assert!(dir.0.join("outside/keep").exists());
    }

    #[test]
    fn no_depth_is_too_deep() {
        let dir = Scratch::new();
        dir.file("tree/file", &[1; 10_000]);
        let top = dir.0.join("tree");
        let mut here = openat(CWD, &top, OFlags::PATH, Mode::empty()).unwrap();
        for _ in 0..1200 {
            rustix::fs::mkdirat(&here, "directory", Mode::RWXU).unwrap();
            here = openat(&here, "directory", OFlags::PATH, Mode::empty()).unwrap();
        }
        assert!(usage(&top).unwrap() >= 10_000);
        remove(&top).unwrap();
        assert!(!top.exists());
    }
}
