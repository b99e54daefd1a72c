//! Mounts: made detached, changed while nobody can see them, then attached to an open directory.
//!
//! Runs in: init, before `pivot_root`. See `mount_setattr(2)`, `mount_namespaces(7)`.

use super::copy_up;
use super::path::{LastLink, Place, Root, Shape, kind, status};
use crate::error::{OrHint as _, hinted};
use crate::plan::mount::{Attributes, FsOption, Propagation, PropagationKind, Recursion, attr};
use crate::plan::rootfs::{Bind, FileSystem, MountLabel, Remount};
use crate::sys::fd::{openat2, resolve};
use crate::sys::mount::{self as api, FsContext, Recursive};
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result, anyhow, bail};
use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::{Mode, SFlag, fchmod};
use nix::unistd::{Gid, Uid, fchown};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

/// Which processes a procfs shows (since Linux 6.17): without it, those of its maker's namespace.
const PIDNS: &CStr = c"pidns";

/// Mounts a new file system.
pub(crate) fn file_system(
    root: &Root,
    plan: &FileSystem,
    label: Option<&MountLabel>,
) -> Result<()> {
    if plan.has_long_option() {
        return classic(root, plan, label);
    }
    let mount = detached(plan, label, None)?;
    show_file_system(root, plan, &mount)?;
    sys::fd::leave([mount]);
    Ok(())
}

/// A new file system that nobody sees yet. `pid_namespace` is for a procfs that is not ours.
pub(crate) fn detached(
    plan: &FileSystem,
    label: Option<&MountLabel>,
    pid_namespace: Option<BorrowedFd<'_>>,
) -> Result<OwnedFd> {
    match create(plan, label, pid_namespace) {
        Ok(mount) => Ok(mount),
        Err(err) if plan.fstype.as_bytes() == b"sysfs" && is_eperm(&err) => host_tree(c"/sys"),
        Err(err) => Err(explain(plan, err)),
    }
}

fn place(root: &Root, plan: &FileSystem) -> Result<Place> {
    // CVE-2019-19921, CVE-2023-28642: /proc and /sys must be real directories of the image, or the
    // masked paths and label writes go elsewhere.
    let is_api = matches!(plan.fstype.as_bytes(), b"proc" | b"sysfs");
    let last = last_link(is_api || plan.links.destination_nofollow);
    let place = root.mount_point(&plan.target.path, Shape::Directory, last)?;
    if is_api && kind(&place.fd)? != SFlag::S_IFDIR {
        bail!("{:?} must be mounted on an ordinary directory, not on a symbolic link", plan.fstype);
    }
    Ok(place)
}

/// Brings it to its place.
pub(crate) fn show_file_system(root: &Root, plan: &FileSystem, mount: &OwnedFd) -> Result<()> {
    let place = place(root, plan)?;
    if place.existed && plan.fstype.as_bytes() == b"tmpfs" {
        inherit(plan, &place.fd, mount)?;
    }
    if plan.copy_up && place.existed {
        copy_up::copy(place.fd.as_fd(), mount.as_fd()).context("tmpcopyup")?;
    }
    if let Some(propagation) = plan.propagation {
        propagate(mount.as_fd(), propagation)?;
    }
    show(mount, place.fd)
}

fn create(
    plan: &FileSystem,
    label: Option<&MountLabel>,
    pid_namespace: Option<BorrowedFd<'_>>,
) -> Result<OwnedFd, sys::Error> {
    let context = FsContext::open(&plan.fstype)?;
    if let Some(namespace) = pid_namespace.filter(|_| plan.fstype.as_bytes() == b"proc") {
        context.set_fd(PIDNS, namespace)?;
    }
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
/// relies on it. With `tmpcopyup` it gets the owner too, unless it has `uid` or `gid`. Over a
/// directory that had to be made it stays 1777 and root's, tmpfs's default.
fn inherit(plan: &FileSystem, target: &OwnedFd, mount: &OwnedFd) -> Result<()> {
    let given = |name: &[u8]| {
        plan.options
            .iter()
            .any(|option| matches!(option, FsOption::Value(key, _) if key.as_bytes() == name))
    };
    let status = status(target)?;
    let root =
        openat2(mount.as_fd(), c".", OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0, resolve::BENEATH)?;
    if plan.copy_up {
        let uid = (!given(b"uid")).then(|| Uid::from_raw(status.st_uid));
        let gid = (!given(b"gid")).then(|| Gid::from_raw(status.st_gid));
        fchown(&root, uid, gid).call(|| format!("fchown(tmpfs, {uid:?}, {gid:?})"))?;
    }
    if !given(b"mode") {
        let mode = Mode::from_bits_truncate(status.st_mode & 0o7777);
        fchmod(&root, mode).call(|| format!("fchmod(tmpfs, {:o})", mode.bits()))?;
    }
    Ok(())
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
            "proc can be mounted in a user namespace only where the host's /proc is not covered by other \
             mounts; create a pid namespace and uncover the host's /proc"
        }
        _ => "only the owner of the matching namespace may mount this; create that namespace too",
    };
    if err.errno == Errno::EINVAL && err.to_string().contains(&format!("{PIDNS:?}")) {
        let hint = "a procfs for a running container needs Linux 6.17; put it into config.json";
        return hinted(err, &[(Errno::EINVAL, hint)]);
    }
    let hints = [
        (Errno::EPERM, not_owner),
        (Errno::ENODEV, "the kernel has no such file system; see /proc/filesystems"),
        (Errno::ENOSPC, "raise fs.mount-max, the number of mounts in a mount namespace"),
    ];
    hinted(err, &hints)
}

/// mount(2) through the descriptor's name in the host's procfs, for very long options.
fn classic(root: &Root, plan: &FileSystem, label: Option<&MountLabel>) -> Result<()> {
    let target = place(root, plan)?.fd;
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
        &number(&target)?,
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
    if let Some(to) = link_to_copy(plan)? {
        return make_link(root, plan, &to).map(drop);
    }
    let tree = detached_bind(plan, tree)?;
    show_bind(root, plan, &tree)?;
    sys::fd::leave([tree]);
    Ok(())
}

/// The source with all its attributes, not attached yet.
pub(crate) fn detached_bind(plan: &Bind, tree: Option<OwnedFd>) -> Result<OwnedFd> {
    let tree = match tree {
        Some(tree) => tree,
        // The kernel has them for who is root over the source's file system, and that is the host's.
        None if plan.idmap.is_some() => {
            return Err(anyhow!("an idmapped mount needs root on the host"))
                .hint("remove \"idmap\" and the mount's own mappings");
        }
        None => open_source(plan)?,
    };
    change(tree.as_fd(), plan.recursive, Recursive::Yes)?;
    change(tree.as_fd(), plan.attributes, Recursive::No)
        .or_else(|err| keep_locked(&tree, plan, err))?;
    propagate(tree.as_fd(), plan.propagation)?;
    Ok(tree)
}

/// Brings it to its place.
pub(crate) fn show_bind(root: &Root, plan: &Bind, tree: &OwnedFd) -> Result<()> {
    let shape = match kind(tree)? {
        SFlag::S_IFDIR => Shape::Directory,
        _ => Shape::File,
    };
    let last = last_link(plan.links.destination_nofollow);
    show(tree, root.mount_point(&plan.target.path, shape, last)?.fd)
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

/// `copy-symlink`: where the source leads, if it is a link.
pub(crate) fn link_to_copy(plan: &Bind) -> Result<Option<CString>> {
    if !plan.links.copy_source {
        return Ok(None);
    }
    let Ok(to) = nix::fcntl::readlink(plan.source.as_c_str()) else { return Ok(None) };
    Ok(Some(CString::new(to.as_bytes())?))
}

/// Makes the same link at the destination instead of a mount. Where it was made, unless it was
/// there.
pub(crate) fn make_link(root: &Root, plan: &Bind, to: &CStr) -> Result<Option<(OwnedFd, CString)>> {
    let (parent, name) = root.parent(&plan.target.path)?;
    match nix::unistd::symlinkat(to, &parent, name.as_c_str()) {
        Ok(()) => Ok(Some((parent, name))),
        Err(Errno::EEXIST) => {
            let existing = readlinkat(&parent, name.as_c_str());
            if existing.is_ok_and(|existing| existing.as_bytes() == to.to_bytes()) {
                return Ok(None);
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
    show(&mount, target)?;
    sys::fd::leave([mount]);
    Ok(())
}

fn show(mount: &OwnedFd, target: OwnedFd) -> Result<()> {
    api::move_mount(mount.as_fd(), target.as_fd())
        .map_err(|err| of_another_kind(err, mount, &target))?;
    sys::fd::leave([target]);
    Ok(())
}

/// `move_mount(2)` says EINVAL where `mount(2)` has a word of its own, which engines and people know.
fn of_another_kind(mut err: sys::Error, mount: &OwnedFd, target: &OwnedFd) -> anyhow::Error {
    let is_directory = |fd| kind(fd).map(|kind| kind == SFlag::S_IFDIR);
    if err.errno == Errno::EINVAL
        && let (Ok(source), Ok(place)) = (is_directory(mount), is_directory(target))
        && source != place
    {
        err.errno = Errno::ENOTDIR;
    }
    hinted(err, &[(Errno::ENOTDIR, "mount a directory on a directory, and a file on a file")])
}

pub(crate) fn change(
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
