//! The files of a container as it sees them itself, with what is mounted there.

use crate::container::{self, Container, Mount, Root};
use crate::error::OrHint as _;
use crate::home::{Home, Scratch};
use crate::mountpoints;
use crate::overlay::{self, Upper};
use crate::process::Process;
use crate::store::Store;
use anyhow::{Context as _, Result, ensure};
use nix::mount::{MsFlags, mount};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;
use std::fs::{self, File};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

/// As long as this is kept. A container that does not run is not started meanwhile.
pub(super) struct Reached {
    /// Its `/`.
    pub(super) root: OwnedFd,
    _mounted: Option<(container::Lock, Mounted)>,
}

/// Goes before the scratch directory, which could not be removed else.
struct Mounted {
    at: Option<std::path::PathBuf>,
    _scratch: Scratch,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(at) = &self.at {
            overlay::unmount(at);
        }
    }
}

impl Reached {
    pub(super) fn of(home: &Home, container: &mut Container) -> Result<Self> {
        if let Some(root) = of_running(container)? {
            return Ok(Self { root, _mounted: None });
        }
        let lock = container.lock()?;
        // Somebody may have started it.
        if let Some(root) = of_running(container)? {
            return Ok(Self { root, _mounted: None });
        }
        let scratch = home.scratch()?;
        overlay::leave_mounts()?;
        let at = scratch.path().join("rootfs");
        let mut mounted = Mounted { at: None, _scratch: scratch };
        match &container.record.root {
            Root::Directory(dir) => {
                fs::create_dir(&at).with_context(|| at.display().to_string())?;
                mount(Some(dir), &at, None::<&str>, MsFlags::MS_BIND, None::<&str>)
                    .with_context(|| format!("mount({}, MS_BIND)", dir.display()))?;
            }
            Root::Image { layers, .. } => {
                fs::create_dir(&at).with_context(|| at.display().to_string())?;
                let layers = mountpoints::layers_below(&Store::open(home)?, &container.dir, layers);
                let (files, work) =
                    (container.dir.join(overlay::UPPER), container.dir.join(overlay::WORK));
                let upper = Upper { files: &files, work: &work, volatile: container.record.remove };
                overlay::mount_layers(&layers, Some(&upper), &at)?;
            }
        }
        mounted.at = Some(at.clone());
        let root = open(&at)?;
        for one in &container.record.mounts {
            add(&root, one).with_context(|| format!("mount at {}", one.destination))?;
        }
        let spec = container.json("config.json")?;
        if spec.pointer("/root/readonly").and_then(serde_json::Value::as_bool) == Some(true) {
            read_only(&at)?;
        }
        let root = open(&at)?;
        Ok(Self { root, _mounted: Some((lock, mounted)) })
    }
}

fn open(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).with_context(|| path.display().to_string())
}

/// `None` if it does not run.
fn of_running(container: &Container) -> Result<Option<OwnedFd>> {
    let record = &container.record;
    let process = record.state.process.as_ref().filter(|_| record.is_running());
    let Some(process) = process.filter(|process| process.is_alive()) else { return Ok(None) };
    let root = open(format!("/proc/{}/root", process.pid).as_ref());
    // The number may be another's by now.
    if !Process::is_alive(process) {
        return Ok(None);
    }
    root.map(Some)
}

/// A volume or a directory of the host, as the container has it when it runs.
fn add(root: &OwnedFd, what: &Mount) -> Result<()> {
    if !matches!(what.kind.as_str(), "bind" | "volume") || !what.source.exists() {
        return Ok(());
    }
    let is_dir = what.source.is_dir();
    let at = place(root, &what.destination, is_dir)?;
    let found = FileType::from_raw_mode(fstat(&at).context("fstat")?.st_mode);
    ensure!((found == FileType::Directory) == is_dir, "a directory and a file");
    // By its descriptor: no symlink has a say in it.
    let at = format!("/proc/self/fd/{}", at.as_raw_fd());
    let none = None::<&str>;
    mount(Some(&what.source), at.as_str(), none, MsFlags::MS_BIND, none)
        .with_context(|| format!("mount({}, MS_BIND)", what.source.display()))?;
    if what.read_only {
        let below = look(root, &what.destination).context("openat2")?;
        read_only(format!("/proc/self/fd/{}", below.as_raw_fd()).as_ref())?;
    }
    Ok(())
}

fn read_only(at: &Path) -> Result<()> {
    let none = None::<&str>;
    // In a user namespace, flags that the mount has may not be taken off.
    for kept in [MsFlags::empty(), MsFlags::MS_NOSUID | MsFlags::MS_NODEV] {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | kept;
        if mount(none, at, none, flags, none).is_ok() {
            return Ok(());
        }
    }
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_NOEXEC;
    let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(none, at, none, flags, none)
        .context("mount(MS_REMOUNT | MS_RDONLY)")
        .hint("start the container, and copy then")
}

fn look(root: &OwnedFd, path: &str) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Where it is mounted, which the runtime makes at the first start.
fn place(root: &OwnedFd, path: &str, is_dir: bool) -> Result<OwnedFd> {
    match look(root, path) {
        Err(Errno::NOENT) => {}
        found => return found.context("openat2"),
    }
    let path = path.trim_end_matches('/');
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let above = if above.is_empty() {
        look(root, "/").context("openat2")?
    } else {
        place(root, above, true)?
    };
    if is_dir {
        rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(0o755)).context("mkdirat")?;
    } else {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&above, name, flags, Mode::from_raw_mode(0o644));
        drop(File::from(made.context("openat")?));
    }
    look(root, path).context("openat2")
}
