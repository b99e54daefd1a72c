//! Changes the mounts of a running container.
//!
//! Runs in: parent (`Fds`) and mounter, a child which enters the container's namespaces but for its
//! pid namespace: no payload sees it, and it executes nothing (`docs/decisions/0017-live-mounts.md`).
//! What is mounted is made detached while the host's paths are there; from the moment of
//! `setns(CLONE_NEWNS)` there are only descriptors and the container's paths.

use crate::cgroup::{self, Cgroup};
use crate::error::{OrHint as _, hinted};
use crate::fds::{self, Procfs};
use crate::join;
use crate::launch;
use crate::plan::Kind;
use crate::plan::live::{Added, New, Removed, SEAL};
use crate::plan::rootfs::Target;
use crate::proc::{self, Mount};
use crate::rootfs::mount::{self, change};
use crate::rootfs::path;
use crate::rootfs::path::{LastLink, Root};
use crate::sys::mount::Recursive;
use crate::sys::{self, Call as _, clone};
use crate::userns;
use anyhow::{Context as _, Result, anyhow, ensure};
use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::SFlag;
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use nix::sys::statvfs::FsFlags;
use nix::unistd::UnlinkatFlags;
use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

pub(crate) enum Change {
    Add(Added),
    Remove(Removed),
}

pub(crate) struct Plan {
    pub(crate) change: Change,
    pub(crate) inside: join::Inside,
}

pub(crate) struct Fds {
    init: OwnedFd,
    /// Entered when we have given up the host's rights: by a pidfd that would need a right to trace
    /// init, which is the kernel's to refuse as long as init is parked.
    mounts: OwnedFd,
    proc: Procfs,
    /// Bind sources by the index of their mount; `None` where the mounter opens them.
    trees: Vec<Option<OwnedFd>>,
    v1_doors: Vec<OwnedFd>,
}

impl Fds {
    /// `init` is the pidfd of `pid`.
    pub(crate) fn open(
        plan: &Plan,
        init: OwnedFd,
        pid: i32,
        cgroup: Option<&Cgroup>,
    ) -> Result<Self> {
        let path = format!("/proc/{pid}/ns/mnt");
        let mounts = sys::fd::open(Path::new(&path), OFlag::O_RDONLY)
            .map_err(|err| hinted(err, &[(Errno::EACCES, join::NOT_STARTED)]))?;
        // The pid was its own all the time, if nobody has waited for it by now.
        clone::pidfd_send_signal(init.as_fd(), 0)?;
        let mut trees = Vec::new();
        if let Change::Add(added) = &plan.change {
            for new in &added.mounts {
                trees.push(open_tree(new)?);
            }
        }
        Ok(Self {
            init,
            mounts,
            proc: Procfs::open()?,
            trees,
            v1_doors: cgroup.map(Cgroup::v1_doors).transpose()?.unwrap_or_default(),
        })
    }
}

/// As at create: what root opens on the host keeps its place in the host's propagation groups.
fn open_tree(new: &New) -> Result<Option<OwnedFd>> {
    let New::Bind(bind) = new else { return Ok(None) };
    if bind.links.copy_source || !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    match fds::open_bind(bind) {
        Err(err) if fds::is_eperm(&err) && bind.idmap.is_none() => Ok(None),
        tree => tree.with_context(|| bind.target.show()).map(Some),
    }
}

/// Something for the container that it does not see yet.
enum Made {
    Mount(OwnedFd),
    /// `copy-symlink`
    Link(CString),
}

/// What there is to be undone.
enum Shown {
    Mount(OwnedFd),
    Link(OwnedFd, CString),
    Nothing,
}

/// The whole life of the mounter.
pub(crate) fn run(plan: &Plan, mut fds: Fds) -> Result<()> {
    // A terminal's interrupt would end it between two mounts.
    nix::unistd::setsid().call(|| "setsid()".into())?;
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    cgroup::join(std::mem::take(&mut fds.v1_doors)).context("enter the container's cgroups")?;
    let kinds = plan.inside.namespaces.iter().copied();
    // A time namespace changes nothing about mounts.
    let kinds = kinds.filter(|kind| !matches!(kind, Kind::Mount | Kind::Time));
    join::setns(fds.init.as_fd(), kinds)?;
    if plan.inside.user_namespace {
        userns::become_owner(false, &plan.inside.uid_maps, &plan.inside.gid_maps)?;
        // The change of ids may have set it.
        sys::prctl("PR_SET_DUMPABLE", libc::PR_SET_DUMPABLE, 0, 0)?;
    }
    let made = match &plan.change {
        Change::Add(added) => make_all(plan, added, &mut fds.trees)?,
        Change::Remove(_) => Vec::new(),
    };
    clone::setns(fds.mounts.as_fd(), launch::clone_flag(Kind::Mount))?;
    // === no host path exists from here ===
    let root = Root::new(sys::mount::open_path(sys::mount::AT_FDCWD, c"/")?);
    match &plan.change {
        Change::Add(added) => add(added, made, &root, &fds.proc),
        Change::Remove(removed) => remove(removed, &root, &fds.proc),
    }
}

/// Mounts are made by root of the container's user namespace, as at create, and with the host's
/// paths: so in a copy of the host's mounts which belongs to that user namespace.
fn make_all(plan: &Plan, added: &Added, trees: &mut [Option<OwnedFd>]) -> Result<Vec<Made>> {
    clone::unshare(launch::clone_flag(Kind::Mount))?;
    let namespace = plan
        .inside
        .namespaces
        .contains(&Kind::Pid)
        // Those of our children, while we ourselves stay outside.
        .then(|| sys::fd::open(Path::new("/proc/self/ns/pid_for_children"), OFlag::O_RDONLY))
        .transpose()?;
    let label = added.label.as_ref().filter(|_| crate::labels::selinux_is_active());
    let make = |(new, tree): (&New, &mut Option<OwnedFd>)| match new {
        New::FileSystem(plan) => {
            let namespace = namespace.as_ref().map(OwnedFd::as_fd);
            mount::detached(plan, label, namespace).map(Made::Mount)
        }
        New::Bind(plan) => match mount::link_to_copy(plan)? {
            Some(to) => Ok(Made::Link(to)),
            None => mount::detached_bind(plan, tree.take()).map(Made::Mount),
        },
    };
    let mut made = Vec::new();
    for (new, tree) in added.mounts.iter().zip(trees) {
        made.push(make((new, tree)).with_context(|| new.target().show())?);
    }
    Ok(made)
}

/// All or nothing: where one mount fails, those before it are taken away.
fn add(plan: &Added, made: Vec<Made>, root: &Root, proc: &Procfs) -> Result<()> {
    let mut shown = Vec::new();
    let Err(err) = show_all(plan, made, root, &mut shown) else { return Ok(()) };
    let mut left = Vec::new();
    for (target, what) in shown.into_iter().rev() {
        if let Err(why) = undo(proc, what) {
            left.push(format!("{} could not be undone: {why:#}", target.show()));
        }
    }
    if left.is_empty() { Err(err) } else { Err(err.context(left.join("; "))) }
}

fn show_all<'a>(
    plan: &'a Added,
    made: Vec<Made>,
    root: &Root,
    shown: &mut Vec<(&'a Target, Shown)>,
) -> Result<()> {
    for (new, made) in plan.mounts.iter().zip(made) {
        let target = new.target();
        let what = show(new, made, root).map_err(explain).with_context(|| target.show())?;
        shown.push((target, what));
    }
    for n in &plan.seals {
        if let Some((target, Shown::Mount(mount))) = shown.get(*n) {
            change(mount.as_fd(), SEAL, Recursive::No).with_context(|| target.show())?;
        }
    }
    Ok(())
}

/// At create the root becomes read-only only after the mount points are made.
fn explain(err: anyhow::Error) -> anyhow::Error {
    let read_only = err.downcast_ref::<sys::Error>().is_some_and(|err| err.errno == Errno::EROFS);
    if !read_only {
        return err;
    }
    let hint = "mount over a directory or file that is there, or below a writable mount";
    Err::<(), _>(err).hint(hint).err().unwrap_or_else(nothing)
}

fn show(new: &New, made: Made, root: &Root) -> Result<Shown> {
    match (new, made) {
        (New::FileSystem(plan), Made::Mount(mount)) => {
            mount::show_file_system(root, plan, &mount)?;
            Ok(Shown::Mount(mount))
        }
        (New::Bind(plan), Made::Mount(tree)) => {
            mount::show_bind(root, plan, &tree)?;
            Ok(Shown::Mount(tree))
        }
        (New::Bind(plan), Made::Link(to)) => Ok(match mount::make_link(root, plan, &to)? {
            Some((dir, name)) => Shown::Link(dir, name),
            None => Shown::Nothing,
        }),
        (New::FileSystem(_), Made::Link(_)) => Ok(Shown::Nothing), // never made
    }
}

fn undo(proc: &Procfs, what: Shown) -> sys::Result<()> {
    match what {
        Shown::Mount(mount) => detach(proc, mount.as_fd()),
        Shown::Link(dir, name) => {
            nix::unistd::unlinkat(&dir, name.as_c_str(), UnlinkatFlags::NoRemoveDir)
                .call(|| format!("unlinkat({}, {name:?})", sys::show(dir.as_fd())))
        }
        Shown::Nothing => Ok(()),
    }
}

/// By a descriptor, whatever has happened to its path meanwhile: through the host's procfs, since
/// umount2(2) knows only paths and a file cannot be a working directory.
fn detach(proc: &Procfs, mount: BorrowedFd<'_>) -> sys::Result<()> {
    nix::unistd::fchdir(proc).call(|| "fchdir(/proc)".into())?;
    let path = CString::new(own_fd(mount)).unwrap_or_default();
    sys::mount::detach(&path)
}

fn own_fd(fd: BorrowedFd<'_>) -> String {
    format!("self/fd/{}", fd.as_raw_fd())
}

/// All are looked at before the first one goes. The last one goes first: it may be mounted on
/// another.
fn remove(plan: &Removed, root: &Root, proc: &Procfs) -> Result<()> {
    for target in &plan.targets {
        find(plan, target, root, proc).with_context(|| target.show())?;
    }
    for target in plan.targets.iter().rev() {
        let mount = find(plan, target, root, proc);
        let removed = mount.and_then(|mount| Ok(detach(proc, mount.as_fd())?));
        removed.with_context(|| target.show())?;
    }
    Ok(())
}

/// The mount at exactly this place. No link is followed: it could lead to a mask, and the container
/// makes links.
fn find(plan: &Removed, target: &Target, root: &Root, proc: &Procfs) -> Result<OwnedFd> {
    let mount = match root.open_named(&target.path) {
        Ok(mount) => mount,
        Err(err) if matches!(err.errno, Errno::ENOENT | Errno::ENOTDIR) => return Err(nothing()),
        Err(err) if err.errno == Errno::ELOOP => return Err(over_link(target, root, proc)),
        Err(err) => return Err(err.into()),
    };
    let found = sys::mount::mount_of(mount.as_fd())?;
    ensure!(
        !found.is_root || found.id != sys::mount::mount_of(root.as_fd())?.id,
        "the container's root cannot be removed"
    );
    if !found.is_root && path::kind(&mount)? == SFlag::S_IFLNK {
        return Err(over_link(target, root, proc));
    }
    if !found.is_root {
        return Err(nothing());
    }
    let path = path_of(proc, mount.as_fd())?;
    // By its looks, too: a payload can rename what is above a mask.
    ensure!(
        !plan.covers.contains(&path) && !looks_like_a_cover(&mount, found.id, proc)?,
        "linux.maskedPaths or linux.readonlyPaths protect it, and that stays"
    );
    Ok(mount)
}

/// What `rootfs::mask` mounts, all of it read-only: /dev/null, an empty tmpfs, or a path over itself.
fn looks_like_a_cover(mount: &OwnedFd, id: u64, proc: &Procfs) -> Result<bool> {
    let fs = fstatfs(mount).call(|| "fstatfs()".into())?;
    if !fs.flags().contains(FsFlags::ST_RDONLY) {
        return Ok(false);
    }
    let is_tmpfs_of_two = fs.filesystem_type() == TMPFS_MAGIC && fs.files() == 2;
    Ok(path::is_character_device(mount, 1, 3)?
        || is_tmpfs_of_two
        || covers_itself(&proc::mounts(&proc.read("self/mountinfo")?), id))
}

/// The mount shows the place that it is mounted on.
fn covers_itself(mounts: &[Mount], id: u64) -> bool {
    let with = |id: u64| mounts.iter().find(|mount| u64::from(mount.id) == id);
    let place = |mount: &Mount| {
        let below = with(mount.parent.into()).filter(|below| below.device == mount.device)?;
        Some(below.root.join(mount.point.strip_prefix(&below.point).ok()?))
    };
    with(id).is_some_and(|mount| place(mount).as_ref() == Some(&mount.root))
}

fn path_of(proc: &Procfs, fd: BorrowedFd<'_>) -> Result<CString> {
    let path = own_fd(fd);
    let target = readlinkat(proc, path.as_str()).call(|| format!("readlinkat(/proc, {path:?})"))?;
    Ok(CString::new(target.as_bytes())?)
}

fn nothing() -> anyhow::Error {
    anyhow!("nothing is mounted there")
}

fn over_link(target: &Target, root: &Root, proc: &Procfs) -> anyhow::Error {
    let err = Err::<(), _>(anyhow!("the path leads over a symbolic link, which is not followed"));
    let there = root.open(&target.path, LastLink::Follow).map_err(anyhow::Error::from);
    let hinted = match there.and_then(|fd| path_of(proc, fd.as_fd())) {
        Ok(path) => err.hint(format!("name the real path: {}", path.to_string_lossy())),
        Err(_) => err,
    };
    hinted.err().unwrap_or_else(nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_over_itself_is_told_by_file_system_and_place() {
        let mounts = proc::mounts(
            b"1 0 0:30 /bundle/rootfs / rw - tmpfs none rw\n\
              2 1 0:30 /bundle/rootfs/a/b /a/b ro - tmpfs none rw\n\
              3 1 0:30 /bundle/rootfs/a/b /a/c ro - tmpfs none rw\n\
              4 1 0:31 /bundle/rootfs/a/d /a/d ro - tmpfs none rw\n\
              5 1 0:32 / /proc rw - proc proc rw\n\
              6 5 0:32 /sys /proc/sys ro - proc proc rw\n",
        );
        let covers: Vec<u64> = (0..8).filter(|id| covers_itself(&mounts, *id)).collect();
        assert_eq!(covers, [2, 6]);
    }
}
