//! Enters a running container, for `exec`.
//!
//! Runs in: parent (`Fds`, `prepare`) and init (`enter`). Everything is named by the pidfd of the
//! container's init, so a reused pid cannot be entered. See setns(2), pidfd_open(2).

use crate::fds::Procfs;
use crate::launch::clone_flag;
use crate::plan::{Kind, Process, seccomp};
use crate::sys::{self, Call as _, clone};
use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sched::CloneFlags;
use std::os::fd::{AsFd as _, OwnedFd};

/// What another process in the container will be.
pub(crate) struct Plan {
    pub(crate) process: Process,
    pub(crate) seccomp: Option<seccomp::Filter>,
    /// Namespaces in which the container differs from the host.
    pub(crate) namespaces: Vec<Kind>,
    pub(crate) user_namespace: bool,
    /// The container's root was set by chroot(2).
    pub(crate) chroot: bool,
    /// Name of the container's session keyring.
    pub(crate) keyring: Option<String>,
    pub(crate) personality: Option<u32>,
}

pub(crate) struct Fds {
    /// The container's init.
    pub(crate) init: OwnedFd,
    /// Its root directory, where setns(2) does not lead there.
    pub(crate) root: Option<OwnedFd>,
    pub(crate) proc: Procfs,
    pub(crate) console: Option<OwnedFd>,
    /// The parent had to enter it first, in `prepare`.
    in_user_namespace: bool,
}

impl Fds {
    pub(crate) fn open(plan: &Plan, init: OwnedFd, pid: i32, console: Option<OwnedFd>) -> Result<Self> {
        let root = if plan.chroot {
            let path = std::ffi::CString::new(format!("/proc/{pid}/root"))?;
            Some(sys::mount::open_path(sys::mount::AT_FDCWD, &path)?)
        } else {
            None
        };
        Ok(Self { init, root, proc: Procfs::open()?, console, in_user_namespace: false })
    }
}

/// Puts the *children* of this process into the container's pid namespace. A rootless parent gets
/// the privilege for it only inside the container's user namespace.
pub(crate) fn prepare(plan: &Plan, fds: &mut Fds) -> Result<()> {
    if !plan.namespaces.contains(&Kind::Pid) {
        return Ok(());
    }
    let pid = clone_flag(Kind::Pid);
    match clone::setns(fds.init.as_fd(), pid) {
        Err(err) if err.errno == Errno::EPERM && plan.user_namespace => {
            clone::setns(fds.init.as_fd(), pid | clone_flag(Kind::User))?;
            fds.in_user_namespace = true;
            Ok(())
        }
        other => other.context("enter the container's pid namespace"),
    }
}

/// Init enters all other namespaces at once: a partial entry would be a half-open door.
pub(crate) fn enter(plan: &Plan, fds: &Fds) -> Result<()> {
    let mut flags = CloneFlags::empty();
    for kind in &plan.namespaces {
        // The pid namespace is that of our birth, and no user namespace can be entered twice.
        let inside = match kind {
            Kind::Pid => true,
            Kind::User => fds.in_user_namespace,
            Kind::Ipc | Kind::Uts | Kind::Network | Kind::Cgroup | Kind::Time | Kind::Mount => false,
        };
        if !inside {
            flags |= clone_flag(*kind);
        }
    }
    if !flags.is_empty() {
        clone::setns(fds.init.as_fd(), flags).context("enter the container's namespaces")?;
    }
    if let Some(root) = &fds.root {
        nix::unistd::fchdir(root).call(|| "fchdir(the container's root)".into())?;
        nix::unistd::chroot(c".").call(|| "chroot(\".\")".into())?;
    }
    Ok(())
}
