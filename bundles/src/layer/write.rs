//! Writes the files below a directory as a tar stream, or what a container has changed of them.
//!
//! Runs in: an ordinary process of the user, or root of a user namespace, whose ids are written.
//!
//! Names come in order and times in whole seconds, so the same files make the same bytes. Every
//! directory is opened from a descriptor of the one above, or by openat2(2) from the top, and no
//! symlink is followed. A container may go on meanwhile: what goes away is left out, and a file
//! has in the archive the size that it had when it was opened.

use super::archive::{BLOCK, Time};
use super::attributes::{Attributes, call};
use super::header::Head;
use crate::error::OrHint as _;
use crate::overlay::OPAQUE;
use crate::tree::names_in;
use anyhow::{Context as _, Result, anyhow};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use tar::EntryType;

/// Directories on the way down that stay open.
const OPEN: usize = 64;

/// What a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// A whole tree.
    Tree,
    /// What differs from layers below, in overlayfs' own format: OCI's whiteouts are written.
    Changes,
    /// The same, and it is to be a layer itself: what overlayfs has noted in it for the layers
    /// that it lay over is removed, and later times are set to the latest.
    Layer,
}

/// What was written, not counting the top.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) entries: u64,
    /// Of all files together, in bytes.
    pub(crate) size: u64,
}

struct Writer<'a, W> {
    top: BorrowedFd<'a>,
    /// What the top is called in the archive.
    prefix: &'a Path,
    out: W,
    what: What,
    latest: Option<i64>,
    /// The first name of a file with several, by device and inode.
    links: BTreeMap<(u64, u64), PathBuf>,
    written: Written,
    buffer: Vec<u8>,
}

/// A directory on the way down.
struct Frame {
    /// In the archive.
    path: PathBuf,
    /// `None` far up: it is opened again.
    fd: Option<OwnedFd>,
    names: std::vec::IntoIter<OsString>,
}

/// No time in the archive is after `latest`, in seconds since 1970.
pub(crate) fn write(
    top: BorrowedFd<'_>,
    out: impl Write,
    what: What,
    latest: Option<i64>,
) -> Result<Written> {
    let mut writer = Writer::new(top, Path::new(""), out, (what, latest));
    let first = writer.top()?;
    writer.below(first)
}

/// The same for one file or directory, with all that is in it, under another name; a directory
/// without a name has no entry of its own. `this` may be open as a place only (`O_PATH`).
pub(crate) fn write_as(this: BorrowedFd<'_>, name: &Path, out: impl Write) -> Result<()> {
    let mut writer = Writer::new(this, name, out, (What::Tree, None));
    let stat = call("fstat", fstat(this))?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        let first = writer.named_top()?;
        return writer.below(first).map(drop);
    }
    writer.one(this, &stat)?;
    writer.end().map(drop)
}

impl<'a, W: Write> Writer<'a, W> {
    fn new(
        top: BorrowedFd<'a>,
        prefix: &'a Path,
        out: W,
        (what, latest): (What, Option<i64>),
    ) -> Self {
        let (links, written) = (BTreeMap::new(), Written::default());
        let buffer = vec![0; 128 * 1024];
        Self { top, prefix, out, what, latest, links, written, buffer }
    }

    /// All that is in a directory.
    fn below(&mut self, first: Frame) -> Result<Written> {
        let mut frames = vec![first];
        while let Some(frame) = frames.last_mut() {
            let Some(name) = frame.names.next() else {
                frames.pop();
                continue;
            };
            if frame.fd.is_none() {
                let path = frame.path.strip_prefix(self.prefix).unwrap_or(&frame.path);
                frame.fd = directory(self.top, path)?;
            }
            let Some(fd) = &frame.fd else {
                frames.pop(); // it has gone, with all that is in it
                continue;
            };
            let path = frame.path.join(&name);
            let shown = || format!("{:?}", path.display().to_string());
            if let Some(below) = self.entry(fd.as_fd(), &path, &name).with_context(shown)? {
                frames.push(below);
                let far = frames.len().checked_sub(OPEN).and_then(|at| frames.get_mut(at));
                if let Some(far) = far {
                    far.fd = None;
                }
            }
        }
        self.end()
    }

    fn end(&mut self) -> Result<Written> {
        self.out.write_all(&[0; 2 * BLOCK]).context("write")?;
        self.out.flush().context("write")?;
        Ok(self.written)
    }

    fn named_top(&mut self) -> Result<Frame> {
        let fd = directory(self.top, Path::new(""))?.context("removed meanwhile")?;
        let stat = call("fstat", fstat(&fd))?;
        if !self.prefix.as_os_str().is_empty() {
            let of = self.attributes(fd.as_fd(), OsStr::new("."), &stat)?;
            let mut shown = self.prefix.as_os_str().to_owned();
            shown.push("/");
            self.head(shown.as_bytes(), EntryType::Directory, &of, |_| {})?;
        }
        frame(self.prefix.to_owned(), fd)
    }

    /// No directory.
    fn one(&mut self, this: BorrowedFd<'_>, stat: &Stat) -> Result<()> {
        let path = self.prefix;
        let mut of = Attributes::of_open(this, stat)?;
        of.forget_foreign();
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => self.regular(this, path, &of),
            FileType::Symlink => {
                let target = call("readlinkat", rustix::fs::readlinkat(this, "", Vec::new()))?;
                self.other(path, EntryType::Symlink, &of, |head| head.link = target.as_bytes())
                    .map(drop)
            }
            kind @ (FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo) => {
                let device = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
                self.other(path, letter(kind), &of, |head| head.device = device).map(drop)
            }
            FileType::Socket | FileType::Directory | FileType::Unknown => {
                Err(anyhow!("a socket, which no archive has"))
            }
        }
    }

    /// It has an entry only if it is unlike that which a reader makes without one.
    fn top(&mut self) -> Result<Frame> {
        let fd = directory(self.top, Path::new(""))?.context("removed meanwhile")?;
        let stat = call("fstat", fstat(&fd))?;
        let attributes = self.attributes(fd.as_fd(), OsStr::new("."), &stat)?;
        let Attributes { mode, uid, gid, xattrs, .. } = &attributes;
        if (*mode, *uid, *gid) != (0o755, 0, 0) || !xattrs.is_empty() {
            self.head(b"./", EntryType::Directory, &attributes, |_| {})?;
        }
        self.opaque(Path::new(""), fd.as_fd())?;
        frame(PathBuf::new(), fd)
    }

    /// A directory is returned, to be gone into.
    fn entry(&mut self, above: BorrowedFd<'_>, path: &Path, name: &OsStr) -> Result<Option<Frame>> {
        let stat = match statat(above, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            stat => call("fstatat", stat)?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if self.what != What::Tree {
            if is_whiteout(&stat) {
                let mut hidden = OsString::from(".wh.");
                hidden.push(name);
                return self.marker(&path.with_file_name(hidden)).map(|()| None);
            }
            if name.as_bytes().starts_with(b".wh.") {
                return Err(anyhow!("in a layer, this name says that a file was removed"))
                    .hint("rename the file, or remove it");
            }
        }
        if kind == FileType::Directory {
            return self.directory(above, path, name);
        }
        if stat.st_nlink > 1 && kind != FileType::Socket {
            let id = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.links.get(&id).cloned() {
                let attributes = self.attributes(above, name, &stat)?;
                let attributes = Attributes { xattrs: Vec::new(), ..attributes };
                let first = first.as_os_str().as_bytes();
                return self.other(path, EntryType::Link, &attributes, |head| head.link = first);
            }
            self.links.insert(id, path.to_owned());
        }
        let attributes = |writer: &Self| writer.attributes(above, name, &stat);
        match kind {
            FileType::RegularFile => self.file(above, path, name).map(|()| None),
            FileType::Symlink => {
                let target = match rustix::fs::readlinkat(above, name, Vec::new()) {
                    Err(Errno::NOENT | Errno::INVAL) => return Ok(None),
                    target => call("readlinkat", target)?,
                };
                let of = attributes(self)?;
                self.other(path, EntryType::Symlink, &of, |head| head.link = target.as_bytes())
            }
            FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice => {
                let of = attributes(self)?;
                let device = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
                self.other(path, letter(kind), &of, |head| head.device = device)
            }
            // Whoever listens on it is not in the archive.
            FileType::Socket | FileType::Directory | FileType::Unknown => Ok(None),
        }
    }

    fn other<'h>(
        &mut self,
        path: &'h Path,
        kind: EntryType,
        of: &'h Attributes,
        also: impl FnOnce(&mut Head<'h>),
    ) -> Result<Option<Frame>> {
        self.written.entries += 1;
        self.head(path.as_os_str().as_bytes(), kind, of, also).map(|()| None)
    }

    fn directory(
        &mut self,
        above: BorrowedFd<'_>,
        path: &Path,
        name: &OsStr,
    ) -> Result<Option<Frame>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match openat(above, name, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            opened => call("openat", opened)?,
        };
        let attributes = self.attributes(above, name, &call("fstat", fstat(&fd))?)?;
        let mut shown = path.as_os_str().to_owned();
        shown.push("/");
        self.written.entries += 1;
        self.head(shown.as_bytes(), EntryType::Directory, &attributes, |_| {})?;
        self.opaque(path, fd.as_fd())?;
        if self.what == What::Tree && is_of_kernel(&fd) {
            return Ok(None);
        }
        frame(path.to_owned(), fd).map(Some)
    }

    fn file(&mut self, above: BorrowedFd<'_>, path: &Path, name: &OsStr) -> Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match openat(above, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(()),
            opened => call("openat", opened)?,
        };
        let stat = call("fstat", fstat(&file))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        let attributes = self.attributes(above, name, &stat)?;
        self.regular(file.as_fd(), path, &attributes)
    }

    /// `this` is known to be a file: to open a device does something. Bytes that go away while it
    /// is read are zeros, and those that come are left out.
    fn regular(&mut self, this: BorrowedFd<'_>, path: &Path, of: &Attributes) -> Result<()> {
        let file = File::open(format!("/proc/self/fd/{}", this.as_raw_fd())).context("open")?;
        let size = file.metadata().context("fstat")?.len();
        self.written.entries += 1;
        self.written.size += size;
        let path = path.as_os_str().as_bytes();
        self.head(path, EntryType::Regular, of, |head| head.size = size)?;
        let mut file = file.take(size);
        let mut left = size.next_multiple_of(BLOCK as u64);
        while left > 0 {
            let mut count = file.read(&mut self.buffer).context("read")?;
            if count == 0 {
                count = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
                self.buffer.get_mut(..count).unwrap_or_default().fill(0);
            }
            self.out.write_all(self.buffer.get(..count).unwrap_or_default()).context("write")?;
            left -= count as u64;
        }
        Ok(())
    }

    fn opaque(&mut self, path: &Path, fd: BorrowedFd<'_>) -> Result<()> {
        if self.what != What::Tree && is_opaque(fd) {
            self.marker(&path.join(".wh..wh..opq"))?;
        }
        Ok(())
    }

    /// OCI image-spec, layer.md, "Whiteouts".
    fn marker(&mut self, path: &Path) -> Result<()> {
        let attributes = Attributes::usual(Time { seconds: 0, nanoseconds: 0 });
        self.other(path, EntryType::Regular, &Attributes { mode: 0o600, ..attributes }, |_| {})?;
        Ok(())
    }

    fn head<'h>(
        &mut self,
        path: &'h [u8],
        kind: EntryType,
        of: &'h Attributes,
        also: impl FnOnce(&mut Head<'h>),
    ) -> Result<()> {
        let (link, size, device) = (&b""[..], 0, (0, 0));
        let Attributes { mode, uid, gid, mtime, ref xattrs } = *of;
        let mtime = mtime.seconds;
        let mut head = Head { kind, path, link, mode, uid, gid, mtime, size, device, xattrs };
        also(&mut head);
        self.out.write_all(&head.bytes()?).context("write")
    }

    /// As they are to be written; a file that becomes part of a layer gets them so, too.
    fn attributes(&self, above: BorrowedFd<'_>, name: &OsStr, stat: &Stat) -> Result<Attributes> {
        let mut attributes = match Attributes::of(above, name, stat) {
            // Gone, after it was looked at.
            Err(err) if is_gone(&err) => {
                let mtime = Time { seconds: stat.st_mtime, nanoseconds: 0 };
                let usual = Attributes::usual(mtime);
                let mode = stat.st_mode & 0o7777;
                return Ok(Attributes { mode, uid: stat.st_uid, gid: stat.st_gid, ..usual });
            }
            attributes => attributes?,
        };
        let late = self.latest.filter(|latest| attributes.mtime.seconds >= *latest);
        if let Some(latest) = late {
            attributes.mtime = Time { seconds: latest, nanoseconds: 0 };
        }
        if self.what == What::Layer {
            attributes.settle(above, name, late.is_some())?;
        }
        attributes.forget_foreign();
        Ok(attributes)
    }
}

/// Says that the layers below have something of this name, which is not there any more.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// A directory that hides all which the layers below have in it.
pub(crate) fn is_opaque(fd: BorrowedFd<'_>) -> bool {
    OPAQUE.iter().any(|name| {
        let mut value = [0; 1];
        rustix::fs::fgetxattr(fd, *name, &mut value) == Ok(1) && value == *b"y"
    })
}

/// What the kernel shows as files, of a container that runs: proc, sysfs, cgroups, terminals, message
/// queues. See statfs(2).
fn is_of_kernel(fd: &OwnedFd) -> bool {
    const KINDS: [u64; 6] = [0x9fa0, 0x6265_6572, 0x27_e0eb, 0x6367_7270, 0x1cd1, 0x1980_0202];
    let kind = rustix::fs::fstatfs(fd).map(|found| u64::try_from(found.f_type).unwrap_or(0));
    kind.is_ok_and(|kind| KINDS.contains(&kind))
}

/// Of a pipe or a device.
fn letter(kind: FileType) -> EntryType {
    if kind == FileType::CharacterDevice {
        EntryType::Char
    } else if kind == FileType::BlockDevice {
        EntryType::Block
    } else {
        EntryType::Fifo
    }
}

fn is_gone(err: &anyhow::Error) -> bool {
    let cause = err.downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::NotFound)
}

fn frame(path: PathBuf, fd: OwnedFd) -> Result<Frame> {
    let mut names = match names_in(&fd) {
        Err(_) if call("fstat", fstat(&fd))?.st_nlink == 0 => Vec::new(), // it has gone
        names => names?,
    };
    names.sort();
    Ok(Frame { path, fd: Some(fd), names: names.into_iter() })
}

/// One below the top, `None` if it has gone.
pub(crate) fn directory(top: BorrowedFd<'_>, path: &Path) -> Result<Option<OwnedFd>> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat2(top, path, flags, Mode::empty(), resolve) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(errno) => Err(errno).with_context(|| format!("openat2({})", path.display())),
    }
}

#[cfg(test)]
mod tests;
