//! Puts the entries of an archive into a directory that has other files, as `cp` does.
//!
//! Runs in: an ordinary process of the user, or root of a user namespace.
//!
//! The directory may be one of a container that runs, and that means harm. So no name is looked up
//! but below a descriptor; what is made must not exist; and what takes a name only is never asked to
//! follow a symlink.

use super::archive::{Archive, Entry, Kind};
use super::attributes::{Attributes, Owners, call};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, statat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path, PathBuf};

/// How often a container may put something in the way before that is an error.
const TRIES: u32 = 16;

/// What becomes of entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Whose everything is; `None` for what the entries say.
    pub(crate) owner: Option<(u32, u32)>,
    /// Devices, setuid bits and capabilities come along.
    pub(crate) privileges: bool,
    /// Symlinks among the directories are followed, as far as they lead further down.
    pub(crate) links: bool,
}

struct Target<'a> {
    top: BorrowedFd<'a>,
    rules: Rules,
    owners: Owners,
    /// They get their attributes last: what is made in them changes their times.
    directories: BTreeMap<PathBuf, Attributes>,
}

/// Stops at the first entry that cannot be.
pub(crate) fn place<R: Read>(
    archive: &mut Archive<R>,
    top: BorrowedFd<'_>,
    rules: Rules,
) -> Result<()> {
    let owners = Owners::of_process()?;
    let mut target = Target { top, rules, owners, directories: BTreeMap::new() };
    while let Some(entry) = archive.next()? {
        let shown = entry.path.display().to_string();
        target.add(entry, archive).with_context(|| format!("{shown:?}"))?;
    }
    target.finish()
}

impl Target<'_> {
    fn add<R: Read>(&mut self, entry: Entry, data: &mut Archive<R>) -> Result<()> {
        let path = inside(&entry.path)?;
        let Some(name) = path.file_name() else {
            return Ok(()); // the directory itself, which stays as it is
        };
        let above = self.directory(path.parent().unwrap_or(Path::new("")))?;
        if entry.kind == Kind::Directory {
            match rustix::fs::mkdirat(&above, name, Mode::RWXU) {
                Err(Errno::EXIST) => {
                    let there = call("fstatat", statat(&above, name, AtFlags::SYMLINK_NOFOLLOW))?;
                    let is = FileType::from_raw_mode(there.st_mode);
                    ensure!(is == FileType::Directory, "a directory would replace what is none");
                }
                made => call("mkdirat", made)?,
            }
            let attributes = self.attributes(entry);
            self.directories.insert(path, attributes);
            return Ok(());
        }
        self.other(above.as_fd(), name, entry, data)
    }

    /// One below the top, made when it is missing.
    fn directory(&self, path: &Path) -> Result<OwnedFd> {
        match self.open(path, OFlags::PATH) {
            Err(Errno::NOENT) if !path.as_os_str().is_empty() => {}
            opened => return call(&format!("openat2({})", path.display()), opened),
        }
        let above = self.directory(path.parent().unwrap_or(Path::new("")))?;
        let name = path.file_name().unwrap_or_default();
        match rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(0o755)) {
            Err(Errno::EXIST) => {}
            made => call("mkdirat", made)?,
        }
        call(&format!("openat2({})", path.display()), self.open(path, OFlags::PATH))
    }

    fn open(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        if !self.rules.links {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat2(self.top, path, flags, Mode::empty(), resolve)
    }

    /// Anything but a directory; what has its name goes.
    fn other<R: Read>(
        &self,
        above: BorrowedFd<'_>,
        name: &OsStr,
        mut entry: Entry,
        data: &mut Archive<R>,
    ) -> Result<()> {
        let none = Mode::from_raw_mode(0o600);
        let device = |major: u32, minor: u32| rustix::fs::makedev(major, minor);
        let node = |kind, device| rustix::fs::mknodat(above, name, kind, none, device);
        match std::mem::replace(&mut entry.kind, Kind::File) {
            Kind::File => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let file = self.make(above, name, || openat(above, name, flags, none))?;
                let mut file = File::from(file);
                let copied = io::copy(&mut data.take(entry.size), &mut file).context("write")?;
                ensure!(copied == entry.size, "the archive is cut off");
                return self.attributes(entry).set(&file, self.owners);
            }
            Kind::Sparse { pieces, length } => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let file = self.make(above, name, || openat(above, name, flags, none))?;
                let file = File::from(file);
                for piece in pieces {
                    let mut bytes = io::BufReader::new(data.take(piece.length));
                    let mut at = piece.offset;
                    loop {
                        let chunk = io::BufRead::fill_buf(&mut bytes)?;
                        let count = chunk.len();
                        if count == 0 {
                            break;
                        }
                        file.write_all_at(chunk, at).context("write")?;
                        at += count as u64;
                        io::BufRead::consume(&mut bytes, count);
                    }
                    ensure!(at == piece.offset + piece.length, "the archive is cut off");
                }
                call("ftruncate", rustix::fs::ftruncate(&file, length))?;
                return self.attributes(entry).set(&file, self.owners);
            }
            Kind::HardLink(target) => {
                let target = inside(&target)?;
                let first = target.file_name().context("a hard link to a directory")?;
                let from = self.directory(target.parent().unwrap_or(Path::new("")))?;
                let flags = AtFlags::empty();
                return self
                    .make(above, name, || rustix::fs::linkat(&from, first, above, name, flags))
                    .with_context(|| format!("hard link to {:?}", target.display()));
            }
            Kind::Symlink(target) => {
                self.make(above, name, || rustix::fs::symlinkat(&target, above, name))?;
            }
            Kind::Fifo => self.make(above, name, || node(FileType::Fifo, 0))?,
            Kind::Character { .. } | Kind::Block { .. } if !self.rules.privileges => return Ok(()),
            Kind::Character { major, minor } => {
                self.make(above, name, || node(FileType::CharacterDevice, device(major, minor)))?;
            }
            Kind::Block { major, minor } => {
                self.make(above, name, || node(FileType::BlockDevice, device(major, minor)))?;
            }
            Kind::Directory => bail!("internal error, please report: a directory"),
        }
        // Whatever has the name now: only as a place, which has an owner and a mode of its own.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = call("openat", openat(above, name, flags, Mode::empty()))?;
        let is_link = FileType::from_raw_mode(call("fstat", fstat(&made))?.st_mode);
        self.attributes(entry).set_by_place(made.as_fd(), is_link == FileType::Symlink, self.owners)
    }

    /// Calls `make` until nothing has the name; a directory stays, and that is an error.
    fn make<T>(
        &self,
        above: BorrowedFd<'_>,
        name: &OsStr,
        make: impl Fn() -> rustix::io::Result<T>,
    ) -> Result<T> {
        for _ in 0..TRIES {
            match make() {
                Err(Errno::EXIST) => {}
                made => return call("make", made),
            }
            match rustix::fs::unlinkat(above, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::ISDIR) => {
                    bail!("a directory, which only a directory can be put in place of")
                }
                Err(Errno::BUSY) => bail!("something is mounted there"),
                removed => call("unlinkat", removed)?,
            }
        }
        bail!("somebody puts something in the way, again and again")
    }

    fn attributes(&self, entry: Entry) -> Attributes {
        let mut attributes = Attributes::from(entry);
        if let Some((uid, gid)) = self.rules.owner {
            (attributes.uid, attributes.gid) = (uid, gid);
        }
        if !self.rules.privileges {
            attributes.mode &= 0o1777;
            attributes.xattrs.retain(|(name, _)| !name.starts_with("security."));
        }
        attributes
    }

    /// From the deepest directory up: the mode of one above may forbid to reach it.
    fn finish(&self) -> Result<()> {
        for (path, attributes) in self.directories.iter().rev() {
            let set = || {
                let fd = call("openat2", self.open(path, OFlags::RDONLY))?;
                attributes.set(&fd, self.owners)
            };
            set().with_context(|| format!("{:?}", path.display()))?;
        }
        Ok(())
    }
}

/// The name without `.` parts; what begins with a slash begins at the top.
fn inside(path: &Path) -> Result<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            Component::ParentDir => bail!("a name with \"..\""),
        }
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::write_as;
    use crate::testing::Scratch;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    const MINE: Rules = Rules { owner: None, privileges: false, links: false };

    fn archive(dir: &Scratch, name: &str, called: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let this =
            rustix::fs::open(dir.0.join(name), OFlags::PATH | OFlags::NOFOLLOW, Mode::empty());
        write_as(this.unwrap().as_fd(), Path::new(called), &mut bytes).unwrap();
        bytes
    }

    fn put(dir: &Scratch, archive: &[u8], rules: Rules) -> Result<()> {
        fs::create_dir_all(dir.0.join("to")).unwrap();
        let to = File::open(dir.0.join("to")).unwrap();
        place(&mut Archive::new(archive), to.as_fd(), rules)
    }

    #[test]
    fn tree_gets_another_name_and_replaces_what_is_there() {
        let dir = Scratch::new();
        dir.file("from/a", b"new");
        dir.file("from/sub/b", b"b");
        fs::hard_link(dir.0.join("from/a"), dir.0.join("from/sub/same")).unwrap();
        dir.link("from/link", "/etc/passwd");
        dir.file("outside", b"kept");
        dir.link("to/x/a", "../../outside");
        dir.file("to/x/other", b"stays");
        fs::set_permissions(dir.0.join("from/a"), fs::Permissions::from_mode(0o4711)).unwrap();
        put(&dir, &archive(&dir, "from", "x"), MINE).unwrap();
        let at = |name: &str| dir.0.join("to/x").join(name);
        assert_eq!(fs::read(at("a")).unwrap(), b"new");
        assert_eq!(fs::symlink_metadata(at("a")).unwrap().mode() & 0o7777, 0o711);
        assert_eq!(
            fs::metadata(at("a")).unwrap().ino(),
            fs::metadata(at("sub/same")).unwrap().ino()
        );
        assert_eq!(fs::read_link(at("link")).unwrap(), Path::new("/etc/passwd"));
        assert_eq!(fs::read(at("other")).unwrap(), b"stays");
        assert_eq!(fs::read(dir.0.join("outside")).unwrap(), b"kept");
        // Without a name it is what is in it.
        put(&dir, &archive(&dir, "from/sub", ""), MINE).unwrap();
        assert_eq!(fs::read(dir.0.join("to/b")).unwrap(), b"b");
        put(&dir, &archive(&dir, "from/link", "l"), MINE).unwrap();
        assert_eq!(fs::read_link(dir.0.join("to/l")).unwrap(), Path::new("/etc/passwd"));
        let all = Rules { privileges: true, ..MINE };
        put(&dir, &archive(&dir, "from/a", "suid"), all).unwrap();
        assert_eq!(fs::metadata(dir.0.join("to/suid")).unwrap().mode() & 0o7777, 0o4711);
    }

    #[test]
    fn neither_links_nor_names_lead_out() {
        let dir = Scratch::new();
        dir.file("from/x", b"evil");
        fs::create_dir(dir.0.join("outside")).unwrap();
        dir.link("to/d", "../outside");
        dir.link("to/abs", "/");
        dir.file("to/in/keep", b"");
        dir.link("to/down", "in");
        let refused = |called: &str, rules| {
            let err = put(&dir, &archive(&dir, "from", called), rules).unwrap_err();
            assert!(!dir.0.join("outside/x").exists() && !dir.0.join("x").exists());
            crate::error::chain(&err)
        };
        let links = Rules { links: true, ..MINE };
        for rules in [MINE, links] {
            assert!(refused("d", rules).ends_with("a directory would replace what is none"));
            refused("d/e", rules);
            refused("abs/e", rules);
            assert!(refused("../x", rules).ends_with("a name with \"..\""));
        }
        refused("down/e", MINE);
        put(&dir, &archive(&dir, "from", "down/e"), links).unwrap();
        assert_eq!(fs::read(dir.0.join("to/in/e/x")).unwrap(), b"evil");
    }

    #[test]
    fn directory_is_not_replaced_by_a_file() {
        let dir = Scratch::new();
        dir.file("from", b"");
        dir.file("to/x/keep", b"");
        let err = put(&dir, &archive(&dir, "from", "x"), MINE).unwrap_err();
        let text = "\"x\": a directory, which only a directory can be put in place of";
        assert_eq!(crate::error::chain(&err), text);
    }
}
