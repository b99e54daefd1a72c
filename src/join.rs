//! Enters what is there already: a running container for `exec`, the namespaces of a pod for `create`.
//!
//! Runs in: parent (`Fds`) and doorkeeper (`enter`, `enter_namespaces`). For exec everything is
//! named by the pidfd of the container's init, so a reused pid cannot be entered. See setns(2),
//! `pidfd_open(2)`.

use crate::container::state::State;
use crate::error::hinted;
use crate::fds::Procfs;
use crate::launch::clone_flag;
use crate::plan::landlock::Landlock;
use crate::plan::namespaces::IdMap;
use crate::plan::{Kind, MemoryPolicy, Process, seccomp};
use crate::proc;
use crate::sys::{self, Call as _, clone};
use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sched::CloneFlags;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

/// What another process in the container will be.
pub(crate) struct Plan {
    pub(crate) process: Process,
    pub(crate) seccomp: Option<seccomp::Filter>,
    pub(crate) landlock: Option<Landlock>,
    /// Namespaces in which the container differs from the host.
    pub(crate) namespaces: Vec<Kind>,
    pub(crate) user_namespace: bool,
    /// Of the container's user namespace; empty without one.
    pub(crate) uid_maps: Vec<IdMap>,
    pub(crate) gid_maps: Vec<IdMap>,
    /// The container's root was set by chroot(2).
    pub(crate) chroot: bool,
    /// The id of the container whose session keyring to enter.
    pub(crate) session_keyring: Option<String>,
    pub(crate) personality: Option<u32>,
    pub(crate) memory_policy: Option<MemoryPolicy>,
}

pub(crate) struct Fds {
    /// The container's init.
    pub(crate) init: OwnedFd,
    /// Its root directory, where setns(2) does not lead there.
    pub(crate) root: Option<OwnedFd>,
    /// For the labels; only with labels, since it is a directory of the host.
    pub(crate) proc: Option<Procfs>,
    pub(crate) console: Option<OwnedFd>,
    /// Into the container's cgroups of v1 hierarchies, see [`crate::cgroup::join`].
    pub(crate) v1_doors: Vec<OwnedFd>,
}

impl Fds {
    pub(crate) fn open(
        plan: &Plan,
        init: OwnedFd,
        pid: i32,
        console: Option<OwnedFd>,
    ) -> Result<Self> {
        let root = if plan.chroot {
            let path = std::ffi::CString::new(format!("/proc/{pid}/root"))?;
            Some(sys::mount::open_path(sys::mount::AT_FDCWD, &path)?)
        } else {
            None
        };
        let labelled =
            plan.process.selinux_label.is_some() || plan.process.apparmor_profile.is_some();
        let proc = labelled.then(Procfs::open).transpose()?;
        Ok(Self { init, root, proc, console, v1_doors: Vec::new() })
    }
}

/// The namespaces of a running container.
pub(crate) struct Inside {
    /// Those in which it differs from the host.
    pub(crate) namespaces: Vec<Kind>,
    pub(crate) user_namespace: bool,
    /// As the kernel tells them: the config has none for a namespace that was joined or made by
    /// default.
    pub(crate) uid_maps: Vec<IdMap>,
    pub(crate) gid_maps: Vec<IdMap>,
}

impl Inside {
    pub(crate) fn of(state: &State) -> Result<Self> {
        let has = |kind: &Kind| state.namespaces.iter().any(|name| name == kind.name());
        let namespaces: Vec<Kind> = Kind::ALL.into_iter().filter(has).collect();
        let user_namespace = namespaces.contains(&Kind::User);
        let maps = |file: &str| match (user_namespace, state.init) {
            (true, Some(init)) => {
                let path = format!("/proc/{}/{file}", init.pid);
                Ok(proc::id_maps(&sys::fd::read_record(Path::new(&path))?))
            }
            _ => anyhow::Ok(Vec::new()),
        };
        let (uid_maps, gid_maps) = (maps("uid_map")?, maps("gid_map")?);
        Ok(Self { namespaces, user_namespace, uid_maps, gid_maps })
    }
}

/// Enters several namespaces of a process at once.
pub(crate) fn setns(init: BorrowedFd<'_>, kinds: impl Iterator<Item = Kind>) -> Result<()> {
    let flags = kinds.map(clone_flag).fold(CloneFlags::empty(), |all, flag| all | flag);
    let user = clone_flag(Kind::User);
    let setns =
        |flags: CloneFlags| if flags.is_empty() { Ok(()) } else { clone::setns(init, flags) };
    match setns(flags) {
        // A user namespace cannot be entered twice, for example that of the caller.
        Err(err) if err.errno == Errno::EINVAL && flags.contains(user) => setns(flags - user),
        other => other,
    }
    .map_err(|err| hinted(err, &[(Errno::EPERM, NOT_STARTED)]))
    .context("enter the container's namespaces")
}

/// Init is not to be traced until it has become the payload, and that is what entering takes.
pub(crate) const NOT_STARTED: &str =
    "an ordinary user cannot enter a container before it is started; start it first";

/// Enters all namespaces at once: a partial entry would be a half-open door. The pid namespace is
/// that of the children only.
pub(crate) fn enter(plan: &Plan, fds: &Fds) -> Result<()> {
    setns(fds.init.as_fd(), plan.namespaces.iter().copied())?;
    if let Some(root) = &fds.root {
        nix::unistd::fchdir(root).call(|| "fchdir(the container's root)".into())?;
        nix::unistd::chroot(c".").call(|| "chroot(\".\")".into())?;
    }
    Ok(())
}

/// Enters a user namespace by its descriptor, and the other namespaces that a new container joins.
///
/// The right to enter a namespace lies with the user namespace that owns it. Root of the host has it
/// before; an ordinary user has it inside, over the namespaces that belong there (a pod's).
pub(crate) fn enter_namespaces(joined: Vec<(Kind, OwnedFd, String)>) -> Result<()> {
    let (user, others): (Vec<_>, Vec<_>) =
        joined.into_iter().partition(|(kind, ..)| *kind == Kind::User);
    let mut late = Vec::new();
    for (kind, fd, field) in others {
        match clone::setns(fd.as_fd(), clone_flag(kind)) {
            Ok(()) => {}
            Err(err) if err.errno == Errno::EPERM => late.push((kind, fd, field)),
            Err(err) => return Err(err).context(field),
        }
    }
    for (kind, fd, field) in user {
        match clone::setns(fd.as_fd(), clone_flag(kind)) {
            // It cannot be entered twice, and we are in it: the one of the caller.
            Err(err) if err.errno == Errno::EINVAL => {}
            Err(err) => return Err(hinted(err, &[(Errno::EPERM, NOT_OUR_USER)])).context(field),
            Ok(()) => {}
        }
    }
    for (kind, fd, field) in late {
        clone::setns(fd.as_fd(), clone_flag(kind))
            .map_err(|err| hinted(err, &[(Errno::EPERM, NOT_OF_THIS_USER)]))
            .context(field)?;
    }
    Ok(())
}

const NOT_OUR_USER: &str = "join a user namespace that you have made yourself, or run as root";
const NOT_OF_THIS_USER: &str = "it belongs to another user namespace than the one that is joined; \
                                join namespaces of one container or pod, or run as root";
