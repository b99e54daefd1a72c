//! `COPY` and `ADD`: the digest of what they take, and the taking.
//!
//! Runs in: an ordinary process of the user, or root of a user namespace.
//!
//! The files go into the mounted layers of a stage, in which every name is looked up by openat2(2)
//! from the descriptor of the top: for it that is the root, and no link of an image leads out.

use super::clean;
use super::tree::{Found, Source, Tree};
use crate::copy;
use crate::digest::{Digest, Hashing};
use crate::error::OrHint as _;
use crate::layer::attributes::{Attributes, Owners, call};
use anyhow::{Context as _, Result, anyhow, bail};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, fstat, openat2, statat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// How files arrive.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct How {
    /// `--chown`, or root for files of the context; otherwise they keep theirs.
    pub(crate) owner: Option<(u32, u32)>,
    /// Of directories that are made on the way.
    pub(crate) above: (u32, u32),
    /// `--chmod`.
    pub(crate) mode: Option<u32>,
    /// Attributes that only other programs know mean something in an image, and nothing in a context.
    pub(crate) xattrs: bool,
}

/// Where they go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    /// From the top, without slashes at either end.
    pub(crate) path: String,
    /// Somebody wrote a slash at the end: it is a directory.
    pub(crate) is_directory: bool,
}

impl Destination {
    /// `path` is absolute.
    pub(crate) fn new(path: &str, written: &str) -> Self {
        let last = written.rsplit('/').next().unwrap_or_default();
        Self { path: clean(path), is_directory: matches!(last, "" | "." | "..") }
    }
}

/// Of all that makes a difference in a layer, but for times: they differ between two checkouts of
/// the same files.
pub(crate) fn digest(tree: &Tree, sources: &[Source], how: &How) -> Result<Digest> {
    let mut hash = Hashing::new(io::sink());
    for source in sources {
        hash.write_all(source.name.as_bytes())?;
        tree.walk(source, &mut |found| add(&mut hash, tree, found, how))?;
    }
    Ok(hash.finish().0)
}

fn add(hash: &mut Hashing<io::Sink>, tree: &Tree, found: &Found, how: &How) -> Result<()> {
    let kind = found.kind();
    let stat = &found.stat;
    if found.is_top() {
        return Ok(()); // only what is in it is copied
    }
    let owner = how.owner.unwrap_or((stat.st_uid, stat.st_gid));
    let mode = how.mode.unwrap_or(stat.st_mode & 0o7777);
    let head = format!("\0{kind:?} {mode:o} {owner:?} {} ", found.below.as_os_str().len());
    hash.write_all(head.as_bytes())?;
    hash.write_all(found.below.as_os_str().as_bytes())?;
    match kind {
        FileType::RegularFile => {
            let mut file = tree.file(found)?;
            let length = io::copy(&mut file, hash).with_context(|| shown(&found.path))?;
            hash.write_all(&length.to_le_bytes())?;
        }
        FileType::Symlink => hash.write_all(&target(tree, found)?)?,
        FileType::CharacterDevice | FileType::BlockDevice => {
            hash.write_all(&stat.st_rdev.to_le_bytes())?;
        }
        FileType::Directory | FileType::Fifo | FileType::Socket | FileType::Unknown => {}
    }
    if how.xattrs {
        for (name, value) in attributes(tree, found, how)?.xattrs {
            hash.write_all(format!("{name} {} ", value.len()).as_bytes())?;
            hash.write_all(&value)?;
        }
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    format!("/{}", path.display())
}

fn target(tree: &Tree, found: &Found) -> Result<Vec<u8>> {
    let parent = tree.directory(found.path.parent().unwrap_or(Path::new("")))?;
    let name = found.path.file_name().unwrap_or_default();
    let target = rustix::fs::readlinkat(parent, name, Vec::new());
    Ok(target.with_context(|| shown(&found.path))?.into_bytes())
}

fn attributes(tree: &Tree, found: &Found, how: &How) -> Result<Attributes> {
    let mut attributes = match found.path.file_name() {
        Some(name) => {
            let parent = tree.directory(found.path.parent().unwrap_or(Path::new("")))?;
            Attributes::of(parent.as_fd(), name, &found.stat)?
        }
        None => {
            Attributes::of(tree.directory(Path::new(""))?.as_fd(), OsStr::new("."), &found.stat)?
        }
    };
    if !how.xattrs {
        attributes.xattrs.clear();
    }
    if let Some((uid, gid)) = how.owner {
        (attributes.uid, attributes.gid) = (uid, gid);
    }
    if let Some(mode) = how.mode {
        attributes.mode = mode;
    }
    Ok(attributes)
}

/// The mounted files of a stage, while something is copied into them.
pub(crate) struct Into<'a> {
    top: BorrowedFd<'a>,
    how: &'a How,
    owners: Owners,
    /// Set at the end: making something in a directory changes its time.
    directories: Vec<(OwnedFd, Attributes)>,
    /// Where the first name of a file with several went, by device and inode.
    links: BTreeMap<(u64, u64), String>,
}

/// Several sources need a directory.
pub(crate) fn copy(
    tree: &Tree,
    sources: &[Source],
    top: BorrowedFd<'_>,
    destination: &Destination,
    how: &How,
) -> Result<()> {
    let owners = Owners::of_process()?;
    let mut into = Into { top, how, owners, directories: Vec::new(), links: BTreeMap::new() };
    if sources.len() > 1 && !destination.is_directory && !into.is_directory(&destination.path)? {
        return Err(anyhow!("/{}: several files, and not a directory", destination.path))
            .hint("write a / at the end of the destination");
    }
    for source in sources {
        into.source(tree, source, destination)?;
    }
    for (fd, attributes) in into.directories.iter().rev() {
        attributes.set(fd, owners)?;
    }
    Ok(())
}

/// A directory with all above it, as `WORKDIR` makes it; whether it was missing.
pub(crate) fn make_directory(top: BorrowedFd<'_>, path: &str, owner: (u32, u32)) -> Result<bool> {
    let how = How { above: owner, ..How::default() };
    let owners = Owners::of_process()?;
    let into = Into { top, how: &how, owners, directories: Vec::new(), links: BTreeMap::new() };
    let path = clean(path);
    let missing = !into.is_directory(&path)?;
    into.ensure(&path)?;
    Ok(missing)
}

impl Into<'_> {
    fn look(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { "." } else { path };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(self.top, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    }

    fn is_directory(&self, path: &str) -> Result<bool> {
        match self.look(path, OFlags::PATH) {
            Ok(fd) => {
                let stat = call("fstat", fstat(fd))?;
                Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
            }
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(errno) => Err(errno).with_context(|| format!("openat2(/{path})")),
        }
    }

    /// Opens a directory, made with all above it where it is missing.
    fn ensure(&self, path: &str) -> Result<OwnedFd> {
        match self.look(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(fd) => return Ok(fd),
            Err(Errno::NOENT) => {}
            Err(Errno::NOTDIR) => bail!("/{path}: a part of it is not a directory"),
            Err(errno) => return Err(errno).with_context(|| format!("openat2(/{path})")),
        }
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.ensure(above)?;
        let made = rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755));
        made.with_context(|| format!("mkdir(/{path}): the image has a link there"))?;
        let fd = self.look(path, OFlags::RDONLY | OFlags::DIRECTORY);
        let fd = fd.with_context(|| format!("openat2(/{path})"))?;
        let (uid, gid) = self.how.above;
        Attributes::made(uid, gid, &call("fstat", fstat(&fd))?).set(&fd, self.owners)?;
        Ok(fd)
    }

    fn source(&mut self, tree: &Tree, source: &Source, to: &Destination) -> Result<()> {
        let mut at = to.path.clone();
        if !source.is_directory() && (to.is_directory || self.is_directory(&at)?) {
            at = joined(&at, Path::new(&source.name))?;
        }
        tree.walk(source, &mut |found| {
            let path = joined(&at, &found.below)?;
            self.put(tree, found, &path).with_context(|| format!("/{path}"))
        })
    }

    fn put(&mut self, tree: &Tree, found: &Found, path: &str) -> Result<()> {
        if found.kind() == FileType::Directory {
            return self.directory(tree, found, path);
        }
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.ensure(above)?;
        match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                bail!("is a directory, and the source is none");
            }
            Ok(_) => call("unlinkat", rustix::fs::unlinkat(&parent, name, AtFlags::empty()))?,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno).context("fstatat"),
        }
        if found.stat.st_nlink > 1 && found.kind() == FileType::RegularFile {
            let id = (found.stat.st_dev, found.stat.st_ino);
            if let Some(first) = self.links.get(&id) {
                let (above, first) = first.rsplit_once('/').unwrap_or(("", first));
                let from = self.ensure(above)?;
                let linked = rustix::fs::linkat(from, first, &parent, name, AtFlags::empty());
                return call("linkat", linked);
            }
            self.links.insert(id, path.to_owned());
        }
        self.other(tree, found, (parent.as_fd(), OsStr::new(name)))
    }

    fn directory(&mut self, tree: &Tree, found: &Found, path: &str) -> Result<()> {
        let was_there = self.is_directory(path)?;
        let fd = self.ensure(path)?;
        // The top of a context or an archive has no attributes of its own. One that is there stays as
        // it is, if it is the one that was named.
        let is_named = found.below.as_os_str().is_empty();
        if !(found.is_top() || was_there && is_named) {
            self.directories.push((fd, attributes(tree, found, self.how)?));
        }
        Ok(())
    }

    fn other(
        &self,
        tree: &Tree,
        found: &Found,
        (parent, name): (BorrowedFd<'_>, &OsStr),
    ) -> Result<()> {
        let kind = found.kind();
        match kind {
            FileType::RegularFile => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let mode = Mode::from_raw_mode(0o600);
                let to = File::from(call("openat", rustix::fs::openat(parent, name, flags, mode))?);
                copy::data(&tree.file(found)?, &to)?;
            }
            FileType::Symlink => {
                let target = target(tree, found)?;
                call("symlinkat", rustix::fs::symlinkat(target.as_slice(), parent, name))?;
            }
            FileType::Socket => return Ok(()), // nobody listens there any more
            FileType::Fifo
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Directory
            | FileType::Unknown => {
                let mode = Mode::from_raw_mode(0o600);
                let made = rustix::fs::mknodat(parent, name, kind, mode, found.stat.st_rdev);
                call("mknodat", made)?;
            }
        }
        let mut attributes = attributes(tree, found, self.how)?;
        if kind == FileType::Symlink {
            attributes.mode = 0o777;
        }
        attributes.set_by_name(parent, name, kind == FileType::Symlink, self.owners)
    }
}

fn joined(path: &str, below: &Path) -> Result<String> {
    let below = below.to_str().with_context(|| format!("{}: not text", below.display()))?;
    Ok(match (path, below) {
        (path, "") => path.to_owned(),
        ("", below) => below.to_owned(),
        (path, below) => format!("{path}/{below}"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;
    use crate::testing::Scratch;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    fn copied(dir: &Scratch, words: &[&str], to: &str, how: &How) -> Result<()> {
        let tree = Tree::open(&dir.0.join("from"))?;
        let mut sources = Vec::new();
        for word in words {
            sources.extend(tree.select(word)?);
        }
        let top = File::open(dir.0.join("top"))?;
        copy(&tree, &sources, top.as_fd(), &Destination::new(to, to), how)
    }

    fn dirs() -> Scratch {
        let dir = Scratch::new();
        for file in ["from/a", "from/d/b", "from/d/e/c", "top/etc/old", "outside/x"] {
            dir.file(file, file.as_bytes());
        }
        dir
    }

    fn text(dir: &Scratch, path: &str) -> String {
        fs::read_to_string(dir.0.join("top").join(path)).unwrap()
    }

    #[test]
    fn files_go_where_docker_puts_them() {
        let dir = dirs();
        let how = How::default();
        copied(&dir, &["a"], "/new/name", &how).unwrap();
        assert_eq!(text(&dir, "new/name"), "from/a");
        copied(&dir, &["a"], "/x/", &how).unwrap();
        assert_eq!(text(&dir, "x/a"), "from/a");
        copied(&dir, &["a"], "/etc", &how).unwrap();
        assert_eq!(text(&dir, "etc/a"), "from/a");
        copied(&dir, &["d"], "/etc", &how).unwrap();
        assert_eq!(
            (text(&dir, "etc/b").as_str(), text(&dir, "etc/e/c").as_str()),
            ("from/d/b", "from/d/e/c")
        );
        copied(&dir, &["a"], "/etc/old", &how).unwrap();
        assert_eq!(text(&dir, "etc/old"), "from/a");
        copied(&dir, &["a", "d/b"], "/many/", &how).unwrap();
        assert_eq!(text(&dir, "many/b"), "from/d/b");
        let err = copied(&dir, &["a", "d/b"], "/both", &how).unwrap_err();
        assert_eq!(crate::error::chain(&err), "/both: several files, and not a directory");
        let err = copied(&dir, &["d"], "/new/name", &how).unwrap_err();
        assert!(crate::error::chain(&err).contains("not a directory"), "{err:#}");
        fs::create_dir(dir.0.join("top/taken")).unwrap();
        fs::create_dir(dir.0.join("top/taken/a")).unwrap();
        let err = copied(&dir, &["a"], "/taken/", &how).unwrap_err();
        assert_eq!(crate::error::chain(&err), "/taken/a: is a directory, and the source is none");
    }

    #[test]
    fn links_of_the_image_do_not_lead_out() {
        let dir = dirs();
        dir.link("top/out", "../../outside");
        dir.link("top/link", "/etc");
        fs::create_dir_all(dir.0.join("top/outside")).unwrap();
        copied(&dir, &["a"], "/out/x", &How::default()).unwrap();
        assert_eq!(fs::read_to_string(dir.0.join("outside/x")).unwrap(), "outside/x");
        assert_eq!(text(&dir, "outside/x"), "from/a");
        copied(&dir, &["a"], "/link/", &How::default()).unwrap();
        assert_eq!(text(&dir, "etc/a"), "from/a");
    }

    #[test]
    fn modes_are_those_asked_for() {
        let dir = dirs();
        let how = How { mode: Some(0o710), ..How::default() };
        copied(&dir, &["d"], "/m", &how).unwrap();
        for path in ["top/m", "top/m/e", "top/m/b"] {
            assert_eq!(fs::metadata(dir.0.join(path)).unwrap().mode() & 0o7777, 0o710, "{path}");
        }
        let top = File::open(dir.0.join("top")).unwrap();
        assert!(make_directory(top.as_fd(), "/w/x", (0, 0)).unwrap());
        assert!(!make_directory(top.as_fd(), "/w/x", (0, 0)).unwrap());
        assert_eq!(fs::metadata(dir.0.join("top/w")).unwrap().mode() & 0o7777, 0o755);
    }

    #[test]
    fn digest_depends_on_content_alone() {
        let digest = |change: &dyn Fn(&Scratch)| {
            let dir = dirs();
            change(&dir);
            let tree = Tree::open(&dir.0.join("from")).unwrap();
            let how = How { owner: Some((0, 0)), ..How::default() };
            digest(&tree, &tree.select("d").unwrap(), &how).unwrap()
        };
        let usual = digest(&|_| ());
        assert_eq!(digest(&|_| ()), usual);
        let touched = |dir: &Scratch| {
            let file = File::options().write(true).open(dir.0.join("from/d/b")).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        };
        assert_eq!(digest(&touched), usual);
        let others: [&dyn Fn(&Scratch); 4] = [
            &|dir| crate::home::replace(&dir.0.join("from/d/b"), b"other").unwrap(),
            &|dir| dir.file("from/d/new", b""),
            &|dir| fs::rename(dir.0.join("from/d/b"), dir.0.join("from/d/c")).unwrap(),
            &|dir| {
                let mode = fs::Permissions::from_mode(0o777);
                fs::set_permissions(dir.0.join("from/d/b"), mode).unwrap();
            },
        ];
        for change in others {
            assert_ne!(digest(change), usual);
        }
    }
}
