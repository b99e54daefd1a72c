//! The mount points that an image lacks: they come from a layer which is no part of it, so that
//! nothing of them is left.
//!
//! Runs in: an ordinary process of the user, or root of a user namespace.

use super::super::clean;
use crate::copy;
use anyhow::{Context as _, Result};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use serde_json::Value;
use std::fs::{self, File};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

/// `None` when there is nothing to add to what is mounted at `rootfs`.
pub(super) fn missing(spec: &Value, rootfs: &Path, stubs: &Path) -> Result<Option<PathBuf>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(rootfs, flags, Mode::empty()).context("rootfs")?;
    let mut mounted: Vec<String> = Vec::new();
    let mut added = false;
    for mount in spec["mounts"].as_array().into_iter().flatten() {
        let at = clean(mount["destination"].as_str().unwrap_or_default());
        // Below another mount, that decides.
        if !mounted.iter().any(|above| at.starts_with(&format!("{above}/"))) && !exists(&root, &at)?
        {
            if !added {
                same(&root, "", stubs)?;
                added = true;
            }
            let is_file = mount["type"] == "bind"
                && mount["source"].as_str().is_some_and(|source| Path::new(source).is_file());
            make(&root, &at, is_file, stubs)?;
        }
        mounted.push(at);
    }
    Ok(added.then(|| stubs.to_owned()))
}

fn look(root: &OwnedFd, path: &str) -> rustix::io::Result<OwnedFd> {
    let path = if path.is_empty() { "." } else { path };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
}

fn exists(root: &OwnedFd, path: &str) -> Result<bool> {
    match look(root, path) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno).with_context(|| format!("mount point /{path}")),
    }
}

/// Makes one, with the directories above it as they are in the image.
fn make(root: &OwnedFd, path: &str, is_file: bool, stubs: &Path) -> Result<()> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = directory(root, above, stubs)?;
    let to = parent.join(name);
    if is_file {
        File::create_new(&to).map(drop).with_context(|| to.display().to_string())
    } else {
        fs::create_dir(&to).with_context(|| to.display().to_string())
    }
}

/// The directory of the layer for one of the image, which may be missing there, too.
fn directory(root: &OwnedFd, path: &str, stubs: &Path) -> Result<PathBuf> {
    if path.is_empty() {
        return Ok(stubs.to_owned());
    }
    if let Ok(found) = look(root, path) {
        let link = |fd: i32| fs::read_link(format!("/proc/self/fd/{fd}"));
        let (top, real) = (link(root.as_raw_fd())?, link(found.as_raw_fd())?);
        let real = real.strip_prefix(&top).context("moved")?;
        let real = real.to_str().context("not text")?;
        if real.is_empty() {
            return Ok(stubs.to_owned());
        }
        let to = stubs.join(real);
        if !to.exists() {
            directory(root, real.rsplit_once('/').map_or("", |(above, _)| above), stubs)?;
            same(root, real, &to)?;
        }
        return Ok(to);
    }
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let to = directory(root, above, stubs)?.join(name);
    if !to.exists() {
        fs::create_dir(&to).with_context(|| to.display().to_string())?;
    }
    Ok(to)
}

/// Made like the directory of the image.
fn same(root: &OwnedFd, path: &str, to: &Path) -> Result<()> {
    if !to.exists() {
        fs::create_dir(to).with_context(|| to.display().to_string())?;
    }
    let from = look(root, path).with_context(|| format!("/{path}"))?;
    copy::attributes(from.as_fd(), File::open(to)?.as_fd()).with_context(|| format!("/{path}"))
}
