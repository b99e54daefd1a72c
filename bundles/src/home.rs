//! Where everything is kept: one directory of plain files.
//!
//! Runs in: an ordinary process of the user. Privilege: none; the directory is the caller's.
//!
//! Nothing is ever half there: what is made gets its name when it is whole, by rename(2), from
//! `tmp/`. A process that is killed leaves only what lies there, and nobody holds its lock.

use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow, ensure};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Of the layout of the files. A newer one is not touched.
const VERSION: &str = "1";

#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
}

/// Held until it is dropped, or until the process ends in any way.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Flock<File>,
}

/// A directory below `tmp/`, to be filled and renamed. Removed with what is left in it.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    _lock: Flock<File>,
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
                replace(&file, format!("{VERSION}\n").as_bytes())
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

    /// Waits until nobody else holds the lock of this name.
    pub(crate) fn lock(&self, name: &str) -> Result<Lock> {
        ensure!(!name.contains('/'), "internal error, please report: lock {name:?}");
        let path = self.directory("locks")?.join(name);
        let file = open_for_lock(&path)?;
        let locked = Flock::lock(file, FlockArg::LockExclusive);
        let file = locked.map_err(|(_, errno)| anyhow!("flock({}): {errno}", path.display()))?;
        Ok(Lock { _file: file })
    }

    pub(crate) fn scratch(&self) -> Result<Scratch> {
        let tmp = self.directory("tmp")?;
        // The pid may have been that of a process which was killed.
        for number in 0_u32.. {
            let path = tmp.join(format!("{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    let file = open_for_lock(&path.with_extension("lock"))?;
                    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock);
                    let lock =
                        lock.map_err(|(_, errno)| anyhow!("flock({}): {errno}", path.display()))?;
                    return Ok(Scratch { path, _lock: lock });
                }
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
                Err(err) => return Err(err).with_context(|| path.display().to_string()),
            }
        }
        Err(anyhow!("{}: full", tmp.display()))
    }
}

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.path).ok(); // what is left is for `system prune`
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

/// With all directories above; only for the owner, since images may have setuid programs.
fn make_all(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("mkdir({})", path.display()))
}

fn open_for_lock(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).with_context(|| path.display().to_string())
}

/// Gives a file new content, at once: whoever reads it sees the old or the new one. It is on disk
/// before it has its name.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let written = || -> io::Result<()> {
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(path.file_name().unwrap_or_default());
        hidden.push(format!(".{}", std::process::id()));
        let temporary = path.with_file_name(hidden);
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        let named = file
            .write_all(content)
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&temporary, path));
        if named.is_err() {
            fs::remove_file(&temporary).ok();
        }
        named
    };
    written().with_context(|| format!("write {}", path.display()))
}
