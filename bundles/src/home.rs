//! Where everything is kept: one directory of plain files.
//!
//! Runs in: an ordinary process of the user. Privilege: none; the directory is the caller's.
//!
//! Nothing is ever half there: what is made gets its name when it is whole, by rename(2), from
//! `tmp/`. A process that is killed leaves only what lies there, and nobody holds its lock.

use crate::error::OrHint as _;
use crate::tree;
use anyhow::{Context as _, Result, anyhow, ensure};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Of the layout of the files. A newer one is not touched.
const VERSION: &str = "1";

#[derive(Debug, Clone)]
pub(crate) struct Home {
    path: PathBuf,
}

/// Held until it is dropped, or until the process ends in any way.
#[derive(Debug)]
pub(crate) struct Lock {
    file: Flock<File>,
}

/// A directory below `tmp/`, to be filled and renamed. Removed with what is left in it.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    lasting: bool,
    _lock: Flock<File>,
}

/// What has lost its name and waits below `tmp/` for its end. Nobody needs it: it has no lock.
#[derive(Debug)]
#[must_use]
pub(crate) struct Discarded {
    path: PathBuf,
}

/// A directory below `tmp/` that no living process holds.
struct Leftover {
    dir: PathBuf,
    /// Without one it is garbage: `scratch` makes the lock first. On a full disk none can be made.
    lock: Option<Flock<File>>,
}

impl Home {
    /// Finds the directory, and makes it when it is missing: `--root`, or `/var/lib/bundles` for
    /// root, or `$XDG_DATA_HOME/bundles`.
    pub(crate) fn open(chosen: Option<&Path>) -> Result<Self> {
        let path = match chosen {
            Some(path) => std::path::absolute(path).with_context(|| path.display().to_string())?,
            None => usual()?,
        };
        make_all(&path).hint("choose a directory that you may write to, with --root DIR")?;
        check_owner(&path).hint("choose a directory of your own, with --root DIR")?;
        let home = Self { path };
        home.check_version()?;
        Ok(home)
    }

    fn check_version(&self) -> Result<()> {
        let file = self.path.join("version");
        match fs::read_to_string(&file) {
            Ok(version) if version.trim() == VERSION => Ok(()),
            Ok(version) => Err(anyhow!(
                "{}: made by a version of bundles with layout {:?}, this one knows {VERSION:?}",
                self.path.display(),
                version.trim()
            ))
            .hint("use that version of bundles, or another directory with --root"),
            Err(err) if err.kind() == io::ErrorKind::NotFound => {
                let scratch = self.scratch()?;
                let whole = scratch.path().join("version");
                replace(&whole, format!("{VERSION}\n").as_bytes())?;
                fs::rename(&whole, &file).with_context(|| file.display().to_string())
            }
            Err(err) => Err(err).with_context(|| file.display().to_string()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of one kind of thing: `volumes`, `layers`. Made when it is missing.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        make_all(&path)?;
        Ok(path)
    }

    /// Whether there is one already.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.path.join(name).exists()
    }

    /// Waits until nobody else holds the lock of this name.
    pub(crate) fn lock(&self, name: &str) -> Result<Lock> {
        ensure!(!name.contains('/'), "internal error, please report: lock {name:?}");
        let path = self.directory("locks")?.join(name);
        let file = locked(&path, FlockArg::LockExclusive)?;
        Ok(Lock { file: file.with_context(|| format!("flock({})", path.display()))? })
    }

    pub(crate) fn scratch(&self) -> Result<Scratch> {
        let tmp = self.directory("tmp")?;
        for number in 0_u32.. {
            let path = tmp.join(format!("{}-{number}", std::process::id()));
            // The lock is there before the directory, or `sweep` could come in between.
            let lock = locked(&path.with_extension("lock"), FlockArg::LockExclusiveNonblock)?;
            let Some(lock) = lock else { continue };
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Scratch { path, lasting: false, _lock: lock }),
                // The pid was that of a process which was killed, or is that of another namespace.
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
                Err(err) => return Err(err).with_context(|| path.display().to_string()),
            }
        }
        Err(anyhow!("{}: full", tmp.display()))
    }

    /// A directory below `tmp/` with what an earlier attempt has left in it. It stays, for the next
    /// one or for [`Home::sweep`], unless it is [done](Scratch::done). Waits until nobody else
    /// works at it.
    pub(crate) fn resumed(&self, name: &str) -> Result<Scratch> {
        let path = self.directory("tmp")?.join(name);
        let lock = locked(&path.with_extension("lock"), FlockArg::LockExclusive)?;
        let lock = lock.with_context(|| format!("flock({})", path.display()))?;
        make_all(&path)?;
        Ok(Scratch { path, lasting: true, _lock: lock })
    }

    /// Takes the name from a file or directory, which is then garbage. Needs no space on the disk.
    pub(crate) fn discard(&self, path: &Path) -> Result<Discarded> {
        let tmp = self.directory("tmp")?;
        for number in 0_u32.. {
            let garbage = tmp.join(format!("removed-{}-{number}", std::process::id()));
            match fs::rename(path, &garbage) {
                Ok(()) => return Ok(Discarded { path: garbage }),
                Err(err)
                    if matches!(
                        err.kind(),
                        io::ErrorKind::DirectoryNotEmpty
                            | io::ErrorKind::AlreadyExists
                            | io::ErrorKind::IsADirectory
                            | io::ErrorKind::NotADirectory
                    ) => {}
                Err(err) => return Err(err).with_context(|| format!("remove {}", path.display())),
            }
        }
        Err(anyhow!("{}: full", tmp.display()))
    }

    /// Bytes on disk below `tmp/` that no living process holds.
    pub(crate) fn leftovers(&self) -> Result<u64> {
        let mut bytes = 0;
        for leftover in self.abandoned()? {
            let dir = leftover?.dir; // who wants to remove it meanwhile may
            bytes += tree::usage(&dir)?;
        }
        Ok(bytes)
    }

    /// Removes what killed processes have left: their files below `tmp/`, and locks that nobody
    /// holds. Returns the bytes on disk which that gave back.
    pub(crate) fn sweep(&self) -> Result<u64> {
        let mut freed = 0;
        for leftover in self.abandoned()? {
            let Leftover { dir, lock } = leftover?;
            let bytes = tree::usage(&dir)?;
            tree::remove(&dir)?;
            freed += bytes;
            if let Some(lock) = lock {
                let path = dir.with_extension("lock");
                fs::remove_file(&path).with_context(|| path.display().to_string())?;
                drop(lock); // held until its name is gone, see `locked`
            }
        }
        for path in entries(&self.directory("locks")?)? {
            if let Some(lock) = locked(&path, FlockArg::LockExclusiveNonblock)? {
                fs::remove_file(&path).with_context(|| path.display().to_string())?;
                drop(lock);
            }
        }
        Ok(freed)
    }

    /// What no living process holds, one by one.
    fn abandoned(&self) -> Result<impl Iterator<Item = Result<Leftover>>> {
        Ok(self.unfinished()?.into_iter().filter_map(|dir| Leftover::take(dir).transpose()))
    }

    /// The directories below `tmp/`, also those of which only the lock is left.
    fn unfinished(&self) -> Result<BTreeSet<PathBuf>> {
        let paths = entries(&self.directory("tmp")?)?.into_iter();
        Ok(paths
            .map(|path| match path.extension() {
                Some(extension) if extension == "lock" => path.with_extension(""),
                _ => path,
            })
            .collect())
    }
}

impl Lock {
    /// For a child that has to be waited for by whoever wants the lock, even when we are killed.
    pub(crate) fn share(&self) -> Result<File> {
        self.file.try_clone().context("dup(lock)")
    }
}

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Nothing in it is needed any more.
    pub(crate) fn done(mut self) {
        self.lasting = false;
    }
}

impl Leftover {
    /// `None` when a living process holds it.
    fn take(dir: PathBuf) -> Result<Option<Self>> {
        let path = dir.with_extension("lock");
        if !path.exists() {
            return Ok(Some(Self { dir, lock: None }));
        }
        let lock = locked(&path, FlockArg::LockExclusiveNonblock)?;
        Ok(lock.map(|lock| Self { dir, lock: Some(lock) }))
    }
}

impl Discarded {
    /// Gives the space back. Returns the bytes on disk.
    pub(crate) fn remove(self) -> Result<u64> {
        let bytes = tree::usage(&self.path)?;
        tree::remove(&self.path)?;
        Ok(bytes)
    }
}

impl Drop for Discarded {
    fn drop(&mut self) {
        tree::remove(&self.path).ok(); // what is left is for `system prune`
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.lasting {
            return;
        }
        tree::remove(&self.path).ok(); // what is left is for `system prune`
        fs::remove_file(self.path.with_extension("lock")).ok();
    }
}

fn usual() -> Result<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/bundles"));
    }
    let named =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let data =
        named("XDG_DATA_HOME").or_else(|| named("HOME").map(|home| home.join(".local/share")));
    data.map(|data| data.join("bundles"))
        .context("neither $XDG_DATA_HOME nor $HOME is a directory")
        .hint("say where to keep images and containers, with --root DIR")
}

/// Others would decide what programs are run, and as whom.
fn check_owner(path: &Path) -> Result<()> {
    let found = fs::metadata(path).with_context(|| path.display().to_string())?;
    let own = [0, nix::unistd::geteuid().as_raw()].contains(&found.uid());
    ensure!(own, "{}: belongs to another user, {}", path.display(), found.uid());
    ensure!(found.mode() & 0o002 == 0, "{}: all users may write there", path.display());
    Ok(())
}

/// With all directories above; only for the owner, since images may have setuid programs.
fn make_all(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("mkdir({})", path.display()))
}

/// Locks a file that is made when it is missing. `None` when another process holds the lock and
/// `how` is not to wait.
fn locked(path: &Path, how: FlockArg) -> Result<Option<Flock<File>>> {
    loop {
        match Flock::lock(open_for_lock(path)?, how) {
            Ok(file) if has_name(&file, path)? => return Ok(Some(file)),
            // Removed by `sweep` while we waited: others lock the next file of this name.
            Ok(_) | Err((_, Errno::EINTR)) => {}
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, errno)) => return Err(anyhow!("flock({}): {errno}", path.display())),
        }
    }
}

fn has_name(file: &File, path: &Path) -> Result<bool> {
    let id = |found: fs::Metadata| (found.dev(), found.ino());
    let named = match fs::symlink_metadata(path) {
        Ok(found) => Some(id(found)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => None,
        Err(err) => return Err(err).with_context(|| path.display().to_string()),
    };
    let open = file.metadata().with_context(|| path.display().to_string())?;
    Ok(named == Some(id(open)))
}

/// What is in a directory; nothing when it is missing.
pub(crate) fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> io::Result<Vec<PathBuf>> {
        fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path())).collect()
    };
    match read() {
        Ok(mut paths) => {
            paths.sort();
            Ok(paths)
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(err) => Err(err).with_context(|| dir.display().to_string()),
    }
}

fn open_for_lock(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).with_context(|| path.display().to_string())
}

/// Writes a file anew. A power failure, or whoever reads it meanwhile, may find less than the whole:
/// for that there is [`replace`].
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    Ok(file)
}

/// Gives a file new content, at once: whoever reads it sees the old or the new one. It is on disk
/// before it has its name.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let written = || -> io::Result<()> {
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(path.file_name().unwrap_or_default());
        hidden.push(format!(".{}", std::process::id()));
        let temporary = path.with_file_name(hidden);
        let named = write(&temporary, content)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&temporary, path));
        if named.is_err() {
            fs::remove_file(&temporary).ok();
        }
        named
    };
    written().with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch as Dir;

    fn home(dir: &Dir) -> Home {
        Home::open(Some(&dir.0.join("home"))).unwrap()
    }

    #[test]
    fn newer_layout_is_left_alone() {
        let dir = Dir::new();
        let version = home(&dir).path.join("version");
        assert_eq!(fs::read_to_string(&version).unwrap(), "1\n");
        assert!(entries(&dir.0.join("home/tmp")).unwrap().is_empty());
        replace(&version, b"2\n").unwrap();
        let err = Home::open(Some(&dir.0.join("home"))).unwrap_err();
        assert!(format!("{err:#}").contains("layout \"2\", this one knows \"1\""), "{err:#}");
    }

    #[test]
    fn sweep_spares_what_is_held() {
        let dir = Dir::new();
        let home = home(&dir);
        let held = home.scratch().unwrap();
        replace(&held.path().join("a"), &[1; 10_000]).unwrap();
        let lock = home.lock("volumes").unwrap();
        let tmp = home.directory("tmp").unwrap();
        fs::create_dir(tmp.join("4000000-0")).unwrap();
        replace(&tmp.join("4000000-0/b"), &[1; 10_000]).unwrap();
        replace(&tmp.join("4000000-0.lock"), b"").unwrap();
        replace(&tmp.join("4000001-0.lock"), b"").unwrap();
        replace(&home.directory("locks").unwrap().join("old"), b"").unwrap();

        let left = home.leftovers().unwrap();
        assert!(left >= 10_000, "{left}");
        assert_eq!(home.sweep().unwrap(), left);
        assert_eq!(home.leftovers().unwrap(), 0);
        let held_lock = held.path().with_extension("lock");
        assert_eq!(entries(&tmp).unwrap(), [held.path().to_owned(), held_lock]);
        assert!(held.path().join("a").exists());
        assert_eq!(entries(&home.directory("locks").unwrap()).unwrap().len(), 1);
        drop((held, lock));
        assert!(entries(&tmp).unwrap().is_empty());
        home.sweep().unwrap();
        assert!(entries(&home.directory("locks").unwrap()).unwrap().is_empty());
    }

    #[test]
    fn name_of_a_killed_process_is_taken_by_the_next() {
        let dir = Dir::new();
        let home = home(&dir);
        let first = home.scratch().unwrap();
        let path = first.path().to_owned();
        let second = home.scratch().unwrap();
        assert_ne!(second.path(), path);
        drop(first);
        fs::create_dir(&path).unwrap(); // as if killed: no lock is held
        assert_ne!(home.scratch().unwrap().path(), path);
    }
}
