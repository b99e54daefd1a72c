//! Puts the entries of a layer into a directory, of which no entry can get out.
//!
//! Runs in: an ordinary process of the user, or root of a user namespace. Privilege: with
//! `CAP_CHOWN` owners are set; without it all belongs to the caller.
//!
//! Every name is looked up anew from the descriptor of the layer's directory, by openat2(2) which
//! follows no symlink at all, and what is made must not exist. So no entry has power over where
//! another one goes. Nobody else writes there meanwhile: the directory lies in our `tmp/`.

use super::archive::{Archive, Entry, Kind, Record, Time};
use super::attributes::{Attributes, Owners, call, failed};
use crate::error::OrHint as _;
use crate::overlay::OPAQUE;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, XattrFlags};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path, PathBuf};

/// What a layer may take, since its size says nothing about what is in it.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Of all files together.
    pub(crate) bytes: u64,
    /// Files, directories and all else, with directories which no entry names.
    pub(crate) entries: u64,
    /// Of the names and extended attributes of directories, which are in memory until the end.
    pub(crate) kept: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 30, entries: 1_000_000, kept: 256 << 20 }
    }
}

/// Whether names that begin with `.wh.` are whiteouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// OCI image-spec, layer.md, "Whiteouts".
    Layer,
    /// Any archive.
    Files,
}

struct Layer<'a> {
    of: Of,
    root: BorrowedFd<'a>,
    limits: &'a Limits,
    owners: Owners,
    bytes: u64,
    entries: u64,
    kept: usize,
    directories: BTreeMap<PathBuf, Attributes>,
    opaque: BTreeSet<PathBuf>,
    whiteouts: BTreeSet<PathBuf>,
    /// The directory of the last entry, since the next one is mostly in it too.
    last: Option<(PathBuf, OwnedFd)>,
    buffer: Vec<u8>,
}

/// Returns the size of all files together, in bytes.
pub(super) fn apply<R: Read>(
    archive: &mut Archive<R>,
    root: BorrowedFd<'_>,
    limits: &Limits,
    of: Of,
) -> Result<u64> {
    let usual = Attributes::usual(Time { seconds: 0, nanoseconds: 0 });
    let mut layer = Layer {
        of,
        root,
        limits,
        owners: Owners::of_process()?,
        bytes: 0,
        entries: 0,
        kept: 0,
        directories: BTreeMap::from([(PathBuf::new(), usual)]),
        opaque: BTreeSet::new(),
        whiteouts: BTreeSet::new(),
        last: None,
        buffer: vec![0; 128 * 1024],
    };
    while let Some(entry) = archive.next()? {
        let shown = entry.path.display().to_string();
        layer.add(entry, archive).with_context(|| format!("entry {shown:?}"))?;
    }
    layer.finish()?;
    Ok(layer.bytes)
}

impl Layer<'_> {
    fn add<R: Read>(&mut self, entry: Entry, data: &mut Archive<R>) -> Result<()> {
        let path = inside(&entry.path)?;
        self.count()?;
        if entry.kind == Kind::Directory {
            self.keep(&path, &entry.xattrs)?;
        }
        self.charge(entry.size)?;
        let Some(name) = path.file_name().map(OsStr::to_owned) else {
            ensure!(entry.kind == Kind::Directory, "the top of the layer is no directory");
            self.directories.insert(path, entry.into());
            return Ok(());
        };
        let above = path.parent().unwrap_or(Path::new("")).to_owned();
        let parent = match self.last.take() {
            Some((last, fd)) if last == above => fd,
            Some(_) | None => self.directory(&above, entry.mtime)?,
        };
        match name.as_bytes().strip_prefix(b".wh.").filter(|_| self.of == Of::Layer) {
            Some(b".wh..opq") => {
                self.opaque.insert(above.clone());
            }
            // Left by aufs, which made them for itself.
            Some(hidden) if hidden.starts_with(b".wh.") => {}
            Some(hidden) => {
                ensure!(!matches!(hidden, b"" | b"." | b".."), "a whiteout of nothing");
                let hidden = OsString::from_vec(hidden.to_vec());
                self.whiteout(parent.as_fd(), &hidden, above.join(&hidden))?;
            }
            None => {
                let renewed = self.whiteouts.remove(&path);
                if renewed {
                    call("unlinkat", rustix::fs::unlinkat(&parent, &name, AtFlags::empty()))?;
                }
                if entry.kind == Kind::Directory {
                    if renewed {
                        self.opaque.insert(path.clone());
                    }
                    make_directory(parent.as_fd(), &name)?;
                    self.directories.insert(path, entry.into());
                } else {
                    self.make(parent.as_fd(), &name, entry, data)?;
                }
            }
        }
        self.last = Some((above, parent));
        Ok(())
    }

    fn count(&mut self) -> Result<()> {
        self.entries += 1;
        ensure!(
            self.entries <= self.limits.entries,
            "the layer has more than {} entries",
            self.limits.entries
        );
        Ok(())
    }

    fn keep(&mut self, path: &Path, xattrs: &[Record]) -> Result<()> {
        let size = |(name, value): &Record| name.len() + value.len();
        self.kept += path.as_os_str().len() + xattrs.iter().map(size).sum::<usize>();
        ensure!(
            self.kept <= self.limits.kept,
            "names and attributes of the layer's directories have more than {} bytes",
            self.limits.kept
        );
        Ok(())
    }

    fn charge(&mut self, size: u64) -> Result<()> {
        self.bytes = self.bytes.saturating_add(size);
        ensure!(
            self.bytes <= self.limits.bytes,
            "the layer unpacks to more than {} bytes",
            self.limits.bytes
        );
        Ok(())
    }

    /// The directory, with those above it made where no entry has done it.
    fn directory(&mut self, path: &Path, mtime: Time) -> Result<OwnedFd> {
        match self.open(path, OFlags::PATH) {
            Ok(fd) => return Ok(fd),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => return Err(refused(path, errno)),
        }
        let mut done = PathBuf::new();
        let mut fd = self.open(&done, OFlags::PATH).map_err(|errno| refused(&done, errno))?;
        for part in path.components() {
            done.push(part);
            if self.whiteouts.remove(&done) {
                call("unlinkat", rustix::fs::unlinkat(&fd, part.as_os_str(), AtFlags::empty()))?;
                self.opaque.insert(done.clone());
            }
            fd = match self.open(&done, OFlags::PATH) {
                Err(Errno::NOENT) => {
                    self.count()?;
                    self.keep(&done, &[])?;
                    make_directory(fd.as_fd(), part.as_os_str())?;
                    self.directories.insert(done.clone(), Attributes::usual(mtime));
                    self.open(&done, OFlags::PATH)
                }
                opened => opened,
            }
            .map_err(|errno| refused(&done, errno))?;
        }
        Ok(fd)
    }

    /// A directory that is there.
    fn open(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        rustix::fs::openat2(
            self.root,
            path,
            flags | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH
                | ResolveFlags::NO_SYMLINKS
                | ResolveFlags::NO_MAGICLINKS
                | ResolveFlags::NO_XDEV,
        )
    }

    /// A character device 0:0 is what overlayfs takes for "not here". Since Linux 5.8 everybody may
    /// make it, and before 5.11 ordinary users could not mount overlayfs.
    fn whiteout(&mut self, parent: BorrowedFd<'_>, name: &OsStr, path: PathBuf) -> Result<()> {
        self.keep(&path, &[])?;
        let made = rustix::fs::mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0);
        match made {
            Ok(()) => {
                self.whiteouts.insert(path);
            }
            // It speaks of the layers below; a directory of this one hides theirs.
            Err(Errno::EXIST) if self.directories.contains_key(&path) => {
                self.opaque.insert(path);
            }
            Err(Errno::EXIST) => {}
            Err(errno) => {
                return Err(failed("mknodat(0:0)", errno))
                    .hint("keep images on a file system that can hold whiteouts, with --root DIR");
            }
        }
        Ok(())
    }

    /// Anything but a directory.
    fn make<R: Read>(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        entry: Entry,
        data: &mut Archive<R>,
    ) -> Result<()> {
        let new =
            |what, result: rustix::io::Result<()>| result.map_err(|errno| already(errno, what));
        match &entry.kind {
            Kind::File | Kind::Sparse { .. } => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let mode = Mode::from_raw_mode(0o600);
                let opened = rustix::fs::openat(parent, name, flags | OFlags::CLOEXEC, mode);
                let mut file = File::from(opened.map_err(|errno| already(errno, "openat"))?);
                self.fill(&mut file, &entry, data)?;
                return Attributes::from(entry).set(&file, self.owners);
            }
            Kind::HardLink(target) => {
                // All attributes are those of the file, which the layer has named before.
                return self.hard_link(parent, name, target).map(|()| drop(entry));
            }
            Kind::Symlink(target) => {
                new("symlinkat", rustix::fs::symlinkat(target, parent, name))?;
            }
            Kind::Fifo => {
                let none = Mode::from_raw_mode(0o600);
                new("mknodat", rustix::fs::mknodat(parent, name, FileType::Fifo, none, 0))?;
            }
            Kind::Character { major, minor } => {
                if !make_device(parent, name, FileType::CharacterDevice, (*major, *minor))? {
                    return Ok(());
                }
            }
            Kind::Block { major, minor } => {
                if !make_device(parent, name, FileType::BlockDevice, (*major, *minor))? {
                    return Ok(());
                }
            }
            Kind::Directory => bail!("internal error, please report: a directory"),
        }
        let is_symlink = matches!(entry.kind, Kind::Symlink(_));
        Attributes::from(entry).set_by_name(parent, name, is_symlink, self.owners)
    }

    fn fill<R: Read>(
        &mut self,
        file: &mut File,
        entry: &Entry,
        data: &mut Archive<R>,
    ) -> Result<()> {
        let Kind::Sparse { pieces, length } = &entry.kind else {
            let mut left = entry.size;
            while left > 0 {
                let count = data.read(&mut self.buffer)?;
                ensure!(count > 0, "the archive is cut off");
                file.write_all(self.buffer.get(..count).unwrap_or_default()).context("write")?;
                left -= count as u64;
            }
            return Ok(());
        };
        for piece in pieces {
            let (mut at, end) = (piece.offset, piece.offset + piece.length);
            while at < end {
                let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(self.buffer.len());
                let room = self.buffer.get_mut(..most).unwrap_or_default();
                let count = data.read(room)?;
                ensure!(count > 0, "the archive is cut off");
                file.write_all_at(room.get(..count).unwrap_or_default(), at).context("write")?;
                at += count as u64;
            }
        }
        call("ftruncate", rustix::fs::ftruncate(&*file, *length))
    }

    fn hard_link(&self, parent: BorrowedFd<'_>, name: &OsStr, target: &Path) -> Result<()> {
        let shown = format!("hard link to {:?}", target.display().to_string());
        let path = inside(target).with_context(|| shown.clone())?;
        let Some(target_name) = path.file_name() else { bail!("{shown}: a directory") };
        ensure!(!self.whiteouts.contains(&path), "{shown}: which the layer removes");
        let above = path.parent().unwrap_or(Path::new(""));
        let above = self.open(above, OFlags::PATH).map_err(|errno| refused(above, errno));
        let above = above.with_context(|| shown.clone())?;
        // Without AT_SYMLINK_FOLLOW: a link to a symlink is one more name of the symlink.
        match rustix::fs::linkat(above, target_name, parent, name, AtFlags::empty()) {
            Err(Errno::NOENT) => bail!("{shown}: no entry before it has that name"),
            Err(Errno::PERM) => bail!("{shown}: a directory"),
            linked => linked.map_err(|errno| already(errno, "linkat")),
        }
    }

    /// From the deepest directory up: the mode of one above may forbid to reach it.
    fn finish(&mut self) -> Result<()> {
        self.last = None;
        // Nothing is below an opaque directory that could be hidden, and readdir(3) would show them.
        for path in &self.whiteouts {
            if let (Some(above), Some(name)) = (path.parent(), path.file_name())
                && self.opaque.contains(above)
            {
                let above = self.open(above, OFlags::PATH).map_err(|e| refused(above, e))?;
                call("unlinkat", rustix::fs::unlinkat(above, name, AtFlags::empty()))?;
            }
        }
        for (path, attributes) in self.directories.iter().rev() {
            let done = || {
                let fd = self.open(path, OFlags::RDONLY).map_err(|errno| refused(path, errno))?;
                if self.opaque.contains(path) {
                    make_opaque(fd.as_fd())?;
                }
                attributes.set(&fd, self.owners)
            };
            done().with_context(|| format!("directory {:?}", path.display().to_string()))?;
        }
        Ok(())
    }
}

impl From<Entry> for Attributes {
    fn from(entry: Entry) -> Self {
        let Entry { mode, uid, gid, mtime, xattrs, .. } = entry;
        Self { mode, uid, gid, mtime, xattrs }
    }
}

/// The name without `.` parts. Anything that could lead elsewhere is refused.
fn inside(path: &Path) -> Result<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir => bail!("a name with \"..\""),
            Component::RootDir | Component::Prefix(_) => bail!("an absolute name"),
        }
    }
    Ok(clean)
}

/// A directory may be named again, with other attributes; anything else may not.
fn make_directory(parent: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
        Err(Errno::EXIST) => {
            let there = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
            let kind = FileType::from_raw_mode(call("fstatat", there)?.st_mode);
            ensure!(kind == FileType::Directory, "twice in the layer");
            Ok(())
        }
        made => call("mkdirat", made),
    }
}

/// `false` if only root of the host may: then it is left out. No container misses it, since its
/// /dev comes from the runtime.
fn make_device(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    kind: FileType,
    (major, minor): (u32, u32),
) -> Result<bool> {
    ensure!((major, minor) != (0, 0), "device 0:0, which is overlayfs' own whiteout");
    let device = rustix::fs::makedev(major, minor);
    match rustix::fs::mknodat(parent, name, kind, Mode::from_raw_mode(0o600), device) {
        Ok(()) => Ok(true),
        Err(Errno::PERM) => Ok(false),
        Err(errno) => Err(already(errno, "mknodat")),
    }
}

fn already(errno: Errno, what: &str) -> anyhow::Error {
    match errno {
        Errno::EXIST => anyhow::anyhow!("twice in the layer"),
        errno => failed(what, errno),
    }
}

fn make_opaque(directory: BorrowedFd<'_>) -> Result<()> {
    let set = |name: &str| rustix::fs::fsetxattr(directory, name, b"y", XattrFlags::empty());
    let [for_root, for_users] = OPAQUE;
    let done = match set(for_root) {
        Err(Errno::PERM) => set(for_users),
        done => done,
    };
    call("fsetxattr(overlay.opaque)", done)
        .hint("keep images on a file system with extended attributes, with --root DIR")
}

fn refused(path: &Path, errno: Errno) -> anyhow::Error {
    let path = path.display();
    match errno {
        Errno::LOOP => anyhow::anyhow!("goes through {path}, where a part is a symlink"),
        Errno::NOTDIR => anyhow::anyhow!("goes through {path}, where a part is no directory"),
        Errno::NOENT => anyhow::anyhow!("goes through {path}, which no entry before it has made"),
        errno => failed(&format!("openat2({path})"), errno),
    }
}

#[cfg(test)]
mod tests;
