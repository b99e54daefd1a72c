//! A cgroup below the container's which the payload manages, by annotation.
//!
//! Runs in: parent. Limits stay on the container's own cgroup, whose files keep their owner. See
//! cgroups(7), "Delegation".

use super::Cgroup;
use super::v2::open_dir;
use crate::error::OrHint as _;
use crate::plan::Plan;
use crate::plan::annotations::{DELEGATE_CGROUP, field};
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result, anyhow};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Gid, Uid, fchownat};
use std::os::fd::{AsFd as _, OwnedFd};

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
    let root = |maps: &[crate::plan::namespaces::IdMap]| {
        maps.iter().find(|map| map.container == 0).map(|map| map.host)
    };
    let ids = (root(&spaces.uid_maps)?, root(&spaces.gid_maps)?);
    nix::unistd::geteuid().is_root().then_some(ids)
}

/// What belongs to a delegatee in every cgroup: cgroups(7), "Cgroups delegation".
const DELEGATED: [&str; 4] = [".", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"];

fn below(cgroup: &Cgroup, name: &str, owner: Option<(u32, u32)>) -> Result<OwnedFd> {
    let path = cgroup.path().join(name);
    match mkdirat(cgroup.dir(), name, Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(sys::Error::new(format!("mkdir({path:?})"), errno).into()),
    }
    let dir = open_dir(cgroup.dir(), name.as_ref())?;
    if let Some((uid, gid)) = owner {
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        for file in DELEGATED {
            fchownat(&dir, file, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)
                .call(|| format!("chown({:?})", path.join(file)))?;
        }
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    Ok(openat(dir.as_fd(), "cgroup.procs", flags, Mode::empty())
        .call(|| format!("open({:?})", path.join("cgroup.procs")))?)
}
