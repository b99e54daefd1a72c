//! What the payload may manage itself: its own cgroup, or by annotation one below.
//!
//! Runs in: parent. Limits stay as they are: their files keep their owner. See cgroups(7),
//! "Delegation", and config-linux.md, "Cgroup ownership".

use super::Cgroup;
use super::v2::open_dir;
use crate::error::OrHint as _;
use crate::plan::Plan;
use crate::plan::annotations::{DELEGATE_CGROUP, field};
use crate::plan::namespaces::host_id;
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result, anyhow};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Gid, Uid, fchownat};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

/// Gives the payload its own cgroup, where the configuration lets it write there; not in cgroup v1,
/// where this is not safe.
pub(crate) fn give(plan: &Plan, cgroup: &Cgroup) -> Result<()> {
    let Some(owner) = plan.cgroup.owner else { return Ok(()) };
    let is_ours = plan.extensions.delegate_cgroup.is_some() || !cgroup.v1_places().is_empty();
    if is_ours || !may_give_to(owner) {
        return Ok(());
    }
    match chown(cgroup.dir(), cgroup.path(), owner, None) {
        // Root of a user namespace that does not have this id.
        Err(err) if matches!(err.errno, Errno::EPERM | Errno::EINVAL) => Ok(()),
        given => Ok(given?),
    }
}

/// An ordinary user has it already, or cannot give anything away.
fn may_give_to(owner: u32) -> bool {
    let we = nix::unistd::geteuid();
    we.is_root() && we.as_raw() != owner
}

/// Makes the cgroup that the annotation names. The result is what init goes in by, see
/// [`super::join`]: after it has made its cgroup namespace, whose root is the container's cgroup.
pub(crate) fn make(plan: &Plan, cgroup: Option<&Cgroup>) -> Result<Option<OwnedFd>> {
    let Some(name) = plan.extensions.delegate_cgroup.as_deref() else { return Ok(None) };
    let cgroup = cgroup.filter(|cgroup| cgroup.v1_places().is_empty());
    let cgroup = cgroup
        .ok_or_else(|| {
            anyhow!("{}: {name:?}: needs a cgroup v2 of its own", field(DELEGATE_CGROUP))
        })
        .hint("delegation is not safe in cgroup v1; remove the annotation on this host")?;
    below(cgroup, name, container_root(plan)).with_context(|| field(DELEGATE_CGROUP)).map(Some)
}

/// Whom the payload's root is outside, when that is not who we are.
fn container_root(plan: &Plan) -> Option<(u32, u32)> {
    let spaces = &plan.namespaces;
    let (uid, gid) = (host_id(&spaces.uid_maps, 0)?, host_id(&spaces.gid_maps, 0)?);
    may_give_to(uid).then_some((uid, gid))
}

fn below(cgroup: &Cgroup, name: &str, owner: Option<(u32, u32)>) -> Result<OwnedFd> {
    let path = cgroup.path().join(name);
    match mkdirat(cgroup.dir(), name, Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(sys::Error::new(format!("mkdir({path:?})"), errno).into()),
    }
    let dir = open_dir(cgroup.dir(), name.as_ref())?;
    if let Some((uid, gid)) = owner {
        chown(dir.as_fd(), &path, uid, Some(gid))?;
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    Ok(openat(dir.as_fd(), "cgroup.procs", flags, Mode::empty())
        .call(|| format!("open({:?})", path.join("cgroup.procs")))?)
}

/// The directory and what belongs to a delegatee in it.
fn chown(dir: BorrowedFd<'_>, path: &Path, uid: u32, gid: Option<u32>) -> sys::Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(uid)), gid.map(Gid::from_raw));
    for file in std::iter::once(".").chain(delegated().lines()) {
        match fchownat(dir, file, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW) {
            // Of a controller that this cgroup does not have.
            Err(Errno::ENOENT) => {}
            other => other.call(|| format!("chown({:?})", path.join(file)))?,
        }
    }
    Ok(())
}

/// The kernel tells the files; they are at least these (cgroups(7), "Cgroups delegation").
fn delegated() -> String {
    std::fs::read_to_string("/sys/kernel/cgroup/delegate")
        .unwrap_or_else(|_missing| "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n".into())
}
