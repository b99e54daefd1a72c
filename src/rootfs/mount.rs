//! Mounts: made detached, changed while nobody can see them, then attached to an open directory.
//!
//! Runs in: init, before `pivot_root`. See `mount_setattr(2)`, `mount_namespaces(7)`.

use super::copy_up;
use super::path::{LastLink, Root, Shape, kind, status};
use crate::error::hinted;
use crate::plan::mount::{Attributes, FsOption, Propagation, PropagationKind, Recursion, attr};
use crate::plan::rootfs::{Bind, FileSystem, MountLabel, Remount};
use crate::sys::fd::{openat2, resolve};
use crate::sys::mount::{self as api, FsContext, Recursive};
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::{Mode, SFlag, fchmod};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

/// fsconfig(2) takes strings of up to 255 bytes; longer ones need mount(2).
const LONGEST_VALUE: usize = 255;

/// Mounts a new file system.
pub(crate) fn file_system(
    root: &Root,
    plan: &FileSystem,
    label: Option<&MountLabel>,
) -> Result<()> {
    // CVE-2019-19921, CVE-2023-28642: /proc and /sys must be real directories of the image, or the
    // masked paths and label writes go elsewhere.
    let is_api = matches!(plan.fstype.as_bytes(), b"proc" | b"sysfs");
    let last = last_link(is_api || plan.links.destination_nofollow);
    let place = root.mount_point(&plan.target.path, Shape::Directory, last)?;
    let target = place.fd;
    if is_api && kind(&target)? != SFlag::S_IFDIR {
        bail!("{:?} must be mounted on an ordinary directory, not on a symbolic link", plan.fstype);
    }
    let too_long = |option: &FsOption| match option {
        FsOption::Flag(_) => false,
        FsOption::Value(_, value) => value.as_bytes().len() > LONGEST_VALUE,
    };
    if plan.options.iter().any(too_long) {
        return classic(root, plan, &target, label);
    }
    let mount = match create(plan, label) {
        Ok(mount) => mount,
        Err(err) if plan.fstype.as_bytes() == b"sysfs" && is_eperm(&err) => host_tree(c"/sys")?,
        Err(err) => return Err(explain(plan, err)),
    };
    if place.existed && plan.fstype.as_bytes() == b"tmpfs" {
        inherit_mode(plan, &target, &mount)?;
    }
    if plan.copy_up {
        copy_up::copy(target.as_fd(), mount.as_fd()).context("tmpcopyup")?;
    }
    if let Some(propagation) = plan.propagation {
        propagate(mount.as_fd(), propagation)?;
    }
    attach(mount, target)
}

fn create(plan: &FileSystem, label: Option<&MountLabel>) -> Result<OwnedFd, sys::Error> {
    let context = FsContext::open(&plan.fstype)?;
    if !plan.source.is_empty() {
        context.set_string(c"source", &plan.source)?;
    }
    for option in &plan.options {
        match option {
            FsOption::Flag(flag) => context.set_flag(flag)?,
            FsOption::Value(key, value) => context.set_string(key, value)?,
        }
    }
    // A file system on a device is opened read-only too, so that its journal is left alone; the
    // superblocks of the others are shared with the host or have nothing to protect.
    if plan.attributes.read_only() && plan.source.as_bytes().starts_with(b"/") {
        context.set_flag(c"ro")?;
    }
    // procfs and sysfs take no context= but have their own labels.
    if let Some(label) = label.filter(|_| !matches!(plan.fstype.as_bytes(), b"proc" | b"sysfs")) {
        context.set_string(label.option, &label.label)?;
    }
    context.create()?;
    context.mount(plan.attributes.set)
}

/// A tmpfs without `mode` looks like the directory that it covers, as in runc: Docker's `--tmpfs`
/// relies on it. Over a directory that had to be made it stays 1777, tmpfs's default.
fn inherit_mode(plan: &FileSystem, target: &OwnedFd, mount: &OwnedFd) -> Result<()> {
    let is_mode =
        |option: &FsOption| matches!(option, FsOption::Value(key, _) if key.as_bytes() == b"mode");
    if plan.options.iter().any(is_mode) {
        return Ok(());
    }
    let mode = Mode::from_bits_truncate(status(target)?.st_mode & 0o7777);
    let root =
        openat2(mount.as_fd(), c".", OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0, resolve::BENEATH)?;
    Ok(fchmod(&root, mode).call(|| format!("fchmod(tmpfs, {:o})", mode.bits()))?)
}

fn is_eperm(err: &sys::Error) -> bool {
    err.errno == Errno::EPERM
}

/// What the host has, for reading. sysfs shows the network namespace, and only its owner may mount
/// it; a cgroup hierarchy only the owner of the cgroup namespace.
pub(super) fn host_tree(path: &CStr) -> Result<OwnedFd> {
    let tree = api::open_tree(api::AT_FDCWD, path, Recursive::Yes, 0)?;
    let read_only = api::Attributes { set: attr::RDONLY, ..Default::default() };
    api::mount_setattr(tree.as_fd(), Recursive::Yes, read_only)?;
    propagate(tree.as_fd(), Propagation::DEFAULT)?;
    Ok(tree)
}

fn explain(plan: &FileSystem, err: sys::Error) -> anyhow::Error {
    let not_owner = match plan.fstype.as_bytes() {
        b"proc" => {
            "a user namespace may mount proc only where the host's /proc is not covered by other \
             mounts; create a pid namespace and uncover the host's /proc"
        }
        _ => "only the owner of the matching namespace may mount this; create that namespace too",
    };
    let hints = [
        (Errno::EPERM, not_owner),
        (Errno::ENODEV, "the kernel has no such file system; see /proc/filesystems"),
        (Errno::ENOSPC, "raise fs.mount-max, the number of mounts in a mount namespace"),
    ];
    hinted(err, &hints)
}

/// mount(2) through the descriptor's name in the host's procfs, for very long options.
fn classic(
    root: &Root,
    plan: &FileSystem,
    target: &OwnedFd,
    label: Option<&MountLabel>,
) -> Result<()> {
    let mut data = Vec::new();
    for option in &plan.options {
        if !data.is_empty() {
            data.push(b',');
        }
        match option {
            FsOption::Flag(flag) => data.extend_from_slice(flag.as_bytes()),
            FsOption::Value(key, value) => {
                data.extend_from_slice(key.as_bytes());
                data.push(b'=');
                data.extend_from_slice(value.as_bytes());
            }
        }
    }
    if let Some(label) = label {
        data.push(b',');
        data.extend_from_slice(label.option.to_bytes());
        data.extend_from_slice(b"=\"");
        data.extend_from_slice(label.label.as_bytes());
        data.push(b'"');
    }
    let data = CString::new(data)?;
    let number = |fd: &OwnedFd| {
        CString::new(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(fd)))
    };
    api::mount(
        &plan.source,
        &number(target)?,
        &plan.fstype,
        classic_flags(plan.attributes),
        &data,
    )?;
    if let Some(propagation) = plan.propagation {
        // The descriptor still names the directory below the new mount.
        let top = root.open(&plan.target.path, last_link(plan.links.destination_nofollow))?;
        propagate(top.as_fd(), propagation)?;
    }
    Ok(())
}

/// The words of `mount(2)` for those of `mount_setattr(2)`.
fn classic_flags(attributes: Attributes) -> libc::c_ulong {
    let has = |bit: u64| attributes.set & bit != 0;
    let atime = match attributes.set & attr::ATIME {
        attr::NOATIME => libc::MS_NOATIME,
        attr::STRICTATIME => libc::MS_STRICTATIME,
        _ => libc::MS_RELATIME,
    };
    [
        (attr::RDONLY, libc::MS_RDONLY),
        (attr::NOSUID, libc::MS_NOSUID),
        (attr::NODEV, libc::MS_NODEV),
        (attr::NOEXEC, libc::MS_NOEXEC),
        (attr::NODIRATIME, libc::MS_NODIRATIME),
        (attr::NOSYMFOLLOW, libc::MS_NOSYMFOLLOW),
    ]
    .into_iter()
    .filter(|(bit, _)| has(*bit))
    .fold(atime, |flags, (_, flag)| flags | flag)
}

/// Binds a tree or a file of the host. `tree` was opened by a privileged parent; without it the
/// source is looked up here, while the host's paths still exist.
pub(crate) fn bind(root: &Root, plan: &Bind, tree: Option<OwnedFd>) -> Result<()> {
    if plan.links.copy_source && copy_link(root, plan)? {
        return Ok(());
    }
    let tree = match tree {
        Some(tree) => tree,
        None => open_source(plan)?,
    };
    let shape = match kind(&tree)? {
        SFlag::S_IFDIR => Shape::Directory,
        _ => Shape::File,
    };
    let last = last_link(plan.links.destination_nofollow);
    let target = root.mount_point(&plan.target.path, shape, last)?.fd;
    change(tree.as_fd(), plan.recursive, Recursive::Yes)?;
    change(tree.as_fd(), plan.attributes, Recursive::No)
        .or_else(|err| keep_locked(&tree, plan, err))?;
    propagate(tree.as_fd(), plan.propagation)?;
    attach(tree, target)
}

/// Clearing a flag that the host has locked is refused for all flags at once (`mount_setattr(2)`,
/// EPERM). What is to be set still must be set; a locked restriction stays, as in runc and crun.
fn keep_locked(tree: &OwnedFd, plan: &Bind, err: sys::Error) -> sys::Result<()> {
    if err.errno != Errno::EPERM || plan.attributes.clear == 0 {
        return Err(err);
    }
    change(tree.as_fd(), Attributes { set: plan.attributes.set, clear: 0 }, Recursive::No)
}

/// A detached copy of the source's mount.
pub(crate) fn open_source(plan: &Bind) -> Result<OwnedFd> {
    let nofollow = if plan.links.source_nofollow { libc::AT_SYMLINK_NOFOLLOW } else { 0 };
    let recursive = recursive(plan.recursion);
    api::open_tree(api::AT_FDCWD, &plan.source, recursive, nofollow)
        .map_err(|err| hinted(err, &[(Errno::ENOENT, "make the bind source on the host first")]))
}

/// `copy-symlink`: makes the same link at the destination instead of a mount.
fn copy_link(root: &Root, plan: &Bind) -> Result<bool> {
    let Ok(to) = nix::fcntl::readlink(plan.source.as_c_str()) else { return Ok(false) };
    let to = CString::new(to.as_bytes())?;
    let (parent, name) = root.parent(&plan.target.path)?;
    match nix::unistd::symlinkat(to.as_c_str(), &parent, name.as_c_str()) {
        Ok(()) => Ok(true),
        Err(Errno::EEXIST) => {
            let existing = readlinkat(&parent, name.as_c_str());
            if existing.is_ok_and(|existing| existing.as_bytes() == to.as_bytes()) {
                return Ok(true);
            }
            bail!("{name:?} exists in the image and is not the link to {to:?}")
        }
        Err(errno) => Err(sys::Error::new(format!("symlinkat({to:?}, {name:?})"), errno).into()),
    }
}

/// Changes what is mounted at the destination.
pub(crate) fn remount(root: &Root, plan: &Remount) -> Result<()> {
    let target = root.open(&plan.target.path, LastLink::Follow)?;
    change(target.as_fd(), plan.recursive, Recursive::Yes)?;
    change(target.as_fd(), plan.attributes, Recursive::No)?;
    if let Some(propagation) = plan.propagation {
        propagate(target.as_fd(), propagation)?;
    }
    Ok(())
}

/// Shows a detached mount at its place.
pub(crate) fn attach(mount: OwnedFd, target: OwnedFd) -> Result<()> {
    api::move_mount(mount.as_fd(), target.as_fd())?;
    sys::fd::leave([mount, target]);
    Ok(())
}

pub(super) fn change(
    mount: BorrowedFd<'_>,
    attributes: Attributes,
    recursive: Recursive,
) -> sys::Result<()> {
    if attributes.is_empty() {
        return Ok(());
    }
    let change = api::Attributes { set: attributes.set, clear: attributes.clear, propagation: 0 };
    api::mount_setattr(mount, recursive, change)
}

/// Sets the propagation type of a mount.
pub(crate) fn propagate(mount: BorrowedFd<'_>, propagation: Propagation) -> sys::Result<()> {
    let kind = match propagation.kind {
        PropagationKind::Shared => libc::MS_SHARED,
        PropagationKind::Slave => libc::MS_SLAVE,
        PropagationKind::Private => libc::MS_PRIVATE,
        PropagationKind::Unbindable => libc::MS_UNBINDABLE,
    };
    let recursive = if propagation.recursive { Recursive::Yes } else { Recursive::No };
    let change = api::Attributes { propagation: kind, ..Default::default() };
    api::mount_setattr(mount, recursive, change)
}

pub(crate) fn recursive(recursion: Recursion) -> Recursive {
    match recursion {
        Recursion::Whole => Recursive::Yes,
        Recursion::Top => Recursive::No,
    }
}

fn last_link(nofollow: bool) -> LastLink {
    if nofollow { LastLink::Keep } else { LastLink::Follow }
}

/// Brings a copy of an open file or device to `target`.
pub(crate) fn bind_fd(source: BorrowedFd<'_>, target: OwnedFd) -> Result<()> {
    attach(api::open_tree(source, c"", Recursive::No, 0)?, target)
}

/// The type of file system that holds a descriptor, `*_MAGIC` of linux/magic.h.
pub(crate) fn filesystem_magic(fd: &OwnedFd) -> sys::Result<nix::sys::statfs::FsType> {
    nix::sys::statfs::fstatfs(fd)
        .map(|fs| fs.filesystem_type())
        .call(|| format!("fstatfs({})", sys::show(fd.as_fd())))
}
