//! Copies a directory with all that is in it, as the image of a container has it.
//!
//! Runs in: an ordinary process of the user, or root of a user namespace.
//!
//! Every directory is opened anew from the descriptor of the top, by openat2(2) which follows no
//! symlink at all, on both sides. So nothing that is copied has power over where it comes from or
//! goes to, and any depth needs four descriptors. Nobody else writes to the copy meanwhile: it lies
//! in our `tmp/`.

use crate::layer::attributes::{Attributes, Owners, call};
use anyhow::{Context as _, Result};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, SeekFrom, Stat, fstat, openat, openat2,
    seek, statat,
};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// A directory of a tree that a container sees as `/`, whose links lead nowhere else. `None` when
/// nothing is there, or no directory.
pub(crate) fn directory_in(root: &Path, path: &str) -> Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(root, flags, Mode::empty());
    let top = top.with_context(|| root.display().to_string())?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match openat2(&top, path, flags, Mode::empty(), resolve) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(errno) => Err(errno).with_context(|| format!("openat2({path})")),
    }
}

/// Gives one directory owner, mode, time and extended attributes of another.
pub(crate) fn attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let to = open(to, Path::new(""), OFlags::RDONLY)?;
    let attributes = Attributes::of(from, OsStr::new("."), &call("fstat", fstat(from))?)?;
    attributes.set(&to, Owners::of_process()?)
}

/// `to` is empty, and becomes like `from`.
pub(crate) fn tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let owners = Owners::of_process()?;
    let mut copy = Copy { from, to, owners, links: BTreeMap::new() };
    let mut directories: Vec<(PathBuf, Attributes)> = Vec::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(path) = todo.pop() {
        let shown = || format!("copy {:?}", path.display().to_string());
        let (attributes, below) = copy.directory(&path).with_context(shown)?;
        todo.extend(below.into_iter().map(|name| path.join(name)));
        directories.push((path, attributes));
    }
    // The deepest first: the mode of one above may forbid to reach it.
    for (path, attributes) in directories.iter().rev() {
        let fd = open(to, path, OFlags::RDONLY)?;
        let shown = || format!("directory {:?}", path.display().to_string());
        attributes.set(&fd, owners).with_context(shown)?;
    }
    Ok(())
}

struct Copy<'a> {
    from: BorrowedFd<'a>,
    to: BorrowedFd<'a>,
    owners: Owners,
    /// Where the first name of a file with several went, by device and inode.
    links: BTreeMap<(u64, u64), PathBuf>,
}

impl Copy<'_> {
    /// Everything in one directory; of the directories in it, the names.
    fn directory(&mut self, path: &Path) -> Result<(Attributes, Vec<OsString>)> {
        let from = open(self.from, path, OFlags::RDONLY)?;
        let to = open(self.to, path, OFlags::PATH)?;
        let stat = call("fstat", fstat(&from))?;
        let attributes = Attributes::of(from.as_fd(), OsStr::new("."), &stat)?;
        let mut below = Vec::new();
        for entry in call("getdents64", Dir::read_from(&from))? {
            let entry = call("getdents64", entry)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let stat = call("fstatat", statat(&from, name, AtFlags::SYMLINK_NOFOLLOW));
            let stat = stat.with_context(|| name.display().to_string())?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                call("mkdirat", rustix::fs::mkdirat(&to, name, Mode::from_raw_mode(0o700)))?;
                below.push(name.to_owned());
            } else {
                let copied = self.other(from.as_fd(), to.as_fd(), (path, name), &stat);
                copied.with_context(|| name.display().to_string())?;
            }
        }
        Ok((attributes, below))
    }

    /// Anything but a directory.
    fn other(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        (above, name): (&Path, &OsStr),
        stat: &Stat,
    ) -> Result<()> {
        if stat.st_nlink > 1 {
            let id = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.links.get(&id) {
                let above = open(self.to, first.parent().unwrap_or(Path::new("")), OFlags::PATH)?;
                let first = first.file_name().unwrap_or_default();
                return call(
                    "linkat",
                    rustix::fs::linkat(above, first, to, name, AtFlags::empty()),
                );
            }
            self.links.insert(id, above.join(name));
        }
        let kind = FileType::from_raw_mode(stat.st_mode);
        match kind {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let from = File::from(call("openat", openat(from, name, flags, Mode::empty()))?);
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let mode = Mode::from_raw_mode(0o600);
                data(&from, &File::from(call("openat", openat(to, name, flags, mode))?))?;
            }
            FileType::Symlink => {
                let target = call("readlinkat", rustix::fs::readlinkat(from, name, Vec::new()))?;
                call("symlinkat", rustix::fs::symlinkat(&target, to, name))?;
            }
            FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Directory
            | FileType::Unknown => {
                let mode = Mode::from_raw_mode(0o600);
                match rustix::fs::mknodat(to, name, kind, mode, stat.st_rdev) {
                    // A device, which only root of the host may make.
                    Err(Errno::PERM) => return Ok(()),
                    made => call("mknodat", made)?,
                }
            }
        }
        let attributes = Attributes::of(from, name, stat)?;
        attributes.set_by_name(to, name, kind == FileType::Symlink, self.owners)
    }
}

/// A directory below the top; the empty path is the top itself.
fn open(top: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(top, path, flags, Mode::empty(), resolve)
        .with_context(|| format!("openat2({})", path.display()))
}

/// The pieces between the holes.
pub(crate) fn data(from: &File, mut to: &File) -> Result<()> {
    let length = from.metadata()?.len();
    let mut at = 0;
    while at < length {
        let start = match seek(from, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break, // a hole up to the end
            Err(Errno::INVAL) => at,   // this file system knows of no holes
            Err(errno) => return call("lseek(SEEK_DATA)", Err(errno)),
        };
        let end = seek(from, SeekFrom::Hole(start)).unwrap_or(length).max(start + 1);
        for file in [from, to] {
            call("lseek", seek(file, SeekFrom::Start(start)))?;
        }
        io::copy(&mut from.take(end - start), &mut to).context("write")?;
        at = end;
    }
    call("ftruncate", rustix::fs::ftruncate(to, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::fs;
    use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};

    #[test]
    fn copy_is_like_the_original() {
        let dir = Scratch::new();
        dir.file("root/d/sub/file", b"text");
        fs::hard_link(dir.0.join("root/d/sub/file"), dir.0.join("root/d/second")).unwrap();
        dir.link("root/d/link", "/etc/passwd");
        let sparse = crate::home::write(&dir.0.join("root/d/sparse"), b"").unwrap();
        sparse.write_all_at(b"x", 10 << 20).unwrap();
        sparse.set_len(20 << 20).unwrap();
        let closed = dir.0.join("root/d/sub");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o2510)).unwrap();
        let to = dir.0.join("copy");
        fs::create_dir(&to).unwrap();
        let from = directory_in(&dir.0.join("root"), "/d").unwrap().unwrap();
        tree(from.as_fd(), File::open(&to).unwrap().as_fd()).unwrap();

        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/etc/passwd"));
        let (one, two) = (to.join("second"), to.join("sub/file"));
        assert_eq!(fs::metadata(&one).unwrap().ino(), fs::metadata(&two).unwrap().ino());
        let sub = fs::metadata(to.join("sub")).unwrap();
        assert_eq!(sub.mode() & 0o7777, 0o2510);
        let mtime = |meta: fs::Metadata| (meta.mtime(), meta.mtime_nsec());
        assert_eq!(mtime(sub), mtime(fs::metadata(&closed).unwrap()));
        let sparse = fs::metadata(to.join("sparse")).unwrap();
        assert_eq!(sparse.len(), 20 << 20);
        assert!(sparse.blocks() < 1000, "{}", sparse.blocks());
        let mut byte = [0];
        File::open(to.join("sparse")).unwrap().read_exact_at(&mut byte, 10 << 20).unwrap();
        assert_eq!(byte, *b"x");
    }

    #[test]
    fn links_do_not_lead_out_of_the_root() {
        let dir = Scratch::new();
        dir.file("outside/secret", b"");
        dir.file("root/outside/inner", b"");
        dir.link("root/link", "/outside");
        dir.link("root/up", "../../outside");
        dir.link("root/nowhere", "/nosuch");
        for name in ["/link", "/up"] {
            let fd = directory_in(&dir.0.join("root"), name).unwrap().unwrap();
            assert!(statat(&fd, "inner", AtFlags::empty()).is_ok(), "{name}");
        }
        for name in ["/nowhere", "/nosuch", "/outside/inner"] {
            assert!(directory_in(&dir.0.join("root"), name).unwrap().is_none(), "{name}");
        }
    }
}
