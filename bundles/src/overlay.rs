//! The files of an image as one tree: its layers, one over the other, by overlayfs.
//!
//! Runs in: a process that has left the caller's mount namespace, so that no mount outlives the
//! processes which need it. Privilege: `CAP_SYS_ADMIN` over that namespace. See overlayfs in the
//! kernel's documentation, mount(2).

use crate::error::OrHint as _;
use crate::rootless;
use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::CloneFlags;
use rustix::fs::{Mode, OFlags};
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// `OVL_MAX_STACK` of the kernel.
const MOST: usize = 500;

/// In the directory of a container that is made from an image: its files, what it has changed of
/// them, and what the kernel needs for that.
pub(crate) const ROOTFS: &str = "rootfs";
pub(crate) const UPPER: &str = "upper";
pub(crate) const WORK: &str = "work";

/// The attribute of a directory that hides all that is below: for root, and in user namespaces, where
/// nobody may set the first.
pub(crate) const OPAQUE: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];

/// Where changes go. Both are directories of one file system.
#[derive(Debug)]
pub(crate) struct Upper<'a> {
    pub(crate) files: &'a Path,
    pub(crate) work: &'a Path,
    /// They are not needed after the mount, so nothing has to reach the disk.
    pub(crate) volatile: bool,
}

/// From here on, mounts of this process are seen by it and its children alone. What is mounted
/// and unmounted outside still is, here too.
pub(crate) fn leave_mounts() -> Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNS)
        .context("unshare(CLONE_NEWNS)")
        .hint("containers of images need root or a user namespace")?;
    let flags = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).context("mount(/, MS_SLAVE)")
}

/// Mounts the layers, the lowest first, and above them what is written, if anything may be.
pub(crate) fn mount_layers(lower: &[PathBuf], upper: Option<&Upper<'_>>, at: &Path) -> Result<()> {
    let lower = visible(lower);
    ensure!(lower.len() <= MOST, "{} layers; the kernel takes {MOST}", lower.len());
    let open = |path: &Path| -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).with_context(|| path.display().to_string())
    };
    // Numbers of descriptors instead of names: the options are one page, and names have commas.
    let layers = lower.iter().rev().map(|path| open(path)).collect::<Result<Vec<_>>>()?;
    let numbers: Vec<String> = layers.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
    let mut options = format!("lowerdir={}", numbers.join(":"));
    let written =
        upper.map(|upper| Ok::<_, anyhow::Error>((open(upper.files)?, open(upper.work)?)));
    let written = written.transpose()?;
    if let Some((files, work)) = &written {
        options.push_str(&format!(",upperdir={},workdir={}", files.as_raw_fd(), work.as_raw_fd()));
    }
    if upper.is_some_and(|upper| upper.volatile) {
        options.push_str(",volatile");
    }
    // There an overlay keeps its marks in `user.` attributes, and has none that lead elsewhere; for
    // root the host may have chosen otherwise, and what is written has to be a layer by itself.
    options.push_str(match rootless::ids()? {
        Some(_) => ",userxattr",
        None => ",redirect_dir=off,metacopy=off,index=off",
    });
    let at = std::path::absolute(at)?;
    // The working directory is that of all threads.
    static CHANGED: Mutex<()> = Mutex::new(());
    let _only = CHANGED.lock().unwrap_or_else(PoisonError::into_inner);
    let here = open(Path::new("."))?;
    std::env::set_current_dir("/proc/self/fd").context("chdir(/proc/self/fd)")?;
    let (kind, flags) = (Some("overlay"), MsFlags::empty());
    let mounted = mount(kind, &at, kind, flags, Some(options.as_str()));
    nix::unistd::fchdir(&here).context("fchdir")?;
    mounted
        .with_context(|| format!("mount({}, overlay)", at.display()))
        .hint("keep images on a file system that overlayfs can use, with --root DIR; the kernel's log says more")
}

/// The kernel looks for the mark of an opaque directory everywhere but at the root of a layer.
fn visible(lower: &[PathBuf]) -> &[PathBuf] {
    let is_opaque = |path: &PathBuf| {
        OPAQUE.iter().any(|name| rustix::fs::getxattr(path, *name, &mut [0; 1]) == Ok(1))
    };
    let lowest = lower.iter().rposition(is_opaque).unwrap_or(0);
    lower.get(lowest..).unwrap_or_default()
}

/// The merged files for a look at them, until this is dropped.
#[derive(Debug)]
pub(crate) struct View(PathBuf);

impl View {
    /// Below a directory that is empty yet. An overlay without anything to write to has two layers
    /// at least.
    pub(crate) fn mount(lower: &[PathBuf], dir: &Path) -> Result<Self> {
        let at = dir.join("view");
        let nothing = [dir.join("nothing-1"), dir.join("nothing-2")];
        for dir in nothing.iter().chain([&at]) {
            fs::create_dir(dir).with_context(|| dir.display().to_string())?;
        }
        let [one, two] = nothing;
        let all: Vec<PathBuf> = [one, two].into_iter().chain(lower.iter().cloned()).collect();
        mount_layers(&all, None, &at)?;
        Ok(Self(at))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for View {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

/// Nothing keeps it from going: whoever still uses it has it until he ends.
pub(crate) fn unmount(at: &Path) {
    umount2(at, MntFlags::MNT_DETACH).ok(); // what is left goes with the mount namespace
}
