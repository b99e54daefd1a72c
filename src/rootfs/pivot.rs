//! Makes the root file system a mount, and later the root.
//!
//! Runs in: init.

use super::mount::propagate;
use super::path::Root;
use crate::error::hinted;
use crate::fds::Fds;
use crate::plan::Pivot;
use crate::plan::mount::{Propagation, PropagationKind};
use crate::plan::rootfs::Rootfs;
use crate::sys::fd::leave;
use crate::sys::mount::{self as api, Recursive};
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::unistd::{chroot, fchdir};
use std::os::fd::{AsFd as _, OwnedFd};

/// Opens the root, attached as a mount where there is a mount namespace of our own. It is attached
/// at its own path: createContainer hooks look for it there.
pub(crate) fn attach(plan: &Rootfs, fds: &mut Fds) -> Result<Root> {
    if plan.pivot == Pivot::Chroot {
        let root = api::open_path(api::AT_FDCWD, &plan.path).context("root.path")?;
        return Ok(Root::new(root));
    }
    // No mount of ours may propagate to the host. What the host mounts later still comes in,
    // as with runc, unless linux.rootfsPropagation says private.
    let host = api::open_path(api::AT_FDCWD, c"/")?;
    let private = plan.propagation.is_some_and(|p| p.kind == PropagationKind::Private);
    let kind = if private { PropagationKind::Private } else { PropagationKind::Slave };
    propagate(host.as_fd(), Propagation { kind, recursive: true })
        .context("detach from the host's mounts")?;
    let tree = match fds.rootfs.take() {
        Some(tree) => tree,
        None => open_root(plan)?,
    };
    propagate(tree.as_fd(), Propagation { kind, recursive: true })?;
    let place = match api::open_path(api::AT_FDCWD, &plan.path) {
        // Below its own path, chroot(2) alone would leave the host's tree within reach of "..".
        _ if plan.pivot == Pivot::MoveRoot => host,
        // A directory above the bundle that the container's user may not search. Stacked on "/"
        // the mount can be found by pivot_root(2) as well.
        Err(err) if err.errno == Errno::EACCES => host,
        other => {
            leave([host]);
            other.context("root.path")?
        }
    };
    api::move_mount(tree.as_fd(), place.as_fd()).context("root.path")?;
    leave([place]);
    Ok(Root::new(tree))
}

/// A detached copy of the root file system's mount.
pub(crate) fn open_root(plan: &Rootfs) -> Result<OwnedFd> {
    let tree = api::open_tree(api::AT_FDCWD, &plan.path, Recursive::Yes, 0);
    let hint = "unpack an image there, or correct root.path; it is relative to the bundle";
    let tree = tree.map_err(|err| hinted(err, &[(Errno::ENOENT, hint)]));
    tree.context("root.path")
}

/// From here on no host path exists.
pub(crate) fn pivot(root: &Root, plan: &Rootfs) -> Result<()> {
    match plan.pivot {
        Pivot::Switch => {
            let old = api::open_path(api::AT_FDCWD, c"/")?;
            fchdir(root).call(|| "fchdir(rootfs)".into())?;
            let hint = "the host's root is a ramfs; use --no-pivot";
            api::pivot_root_here().map_err(|err| hinted(err, &[(Errno::EINVAL, hint)]))?;
            // The old root is stacked on the new one: step onto it and let it go.
            fchdir(&old).call(|| "fchdir(old root)".into())?;
            api::detach(c".")?;
            leave([old]);
        }
        Pivot::MoveRoot | Pivot::Chroot => {
            fchdir(root).call(|| "fchdir(rootfs)".into())?;
            chroot(c".").call(|| "chroot(\".\")".into())?;
        }
    }
    nix::unistd::chdir(c"/").call(|| "chdir(\"/\")".into())?;
    Ok(())
}

/// linux.rootfsPropagation, at last for the root mount itself.
pub(crate) fn final_propagation(root: &Root, plan: &Rootfs) -> sys::Result<()> {
    match plan.propagation {
        Some(propagation) => {
            propagate(root.as_fd(), Propagation { recursive: false, ..propagation })
        }
        None => Ok(()),
    }
}
