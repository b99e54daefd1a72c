//! `cgroup` mounts: the container's cgroups in v2, and in the v1 hierarchies that the host has.
//!
//! Runs in: init, before `pivot_root`. See `cgroup_namespaces(7)`.

use super::mount::{attach, change, host_tree, propagate};
use super::path::{LastLink, Root, Shape};
use crate::cgroup::Hierarchy;
use crate::fds::Fds;
use crate::plan::mount::{Attributes, Propagation, PropagationKind, attr};
use crate::plan::rootfs::CgroupMount;
use crate::sys::fd::{openat2, resolve};
use crate::sys::mount::{self as api, FsContext, Recursive};
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result};
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, mkdirat};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

/// A container without a cgroup of its own sees those of others, and must not change them also
/// where the kernel would let it: an ordinary user may own them (CVE-2023-25809).
pub(super) fn mount(root: &Root, plan: &CgroupMount, fds: &mut Fds) -> Result<()> {
    let target = root.mount_point(&plan.target.path, Shape::Directory, LastLink::Follow)?.fd;
    let tree = fds.cgroup_tree.take();
    let own = fds.own_cgroup.as_deref();
    let hierarchies = std::mem::take(&mut fds.hierarchies);
    // Without a cgroup of its own in v2 it has none in v1.
    if hierarchies.is_empty() || !plan.with_v1 || (own.is_none() && !plan.namespaced) {
        return attach(unified(plan, tree, own)?, target);
    }
    let context = FsContext::open(c"tmpfs")?;
    context.set_string(c"source", c"cgroup")?;
    context.set_string(c"mode", c"755")?;
    context.create()?;
    let all = context.mount(attr::NOSUID | attr::NODEV | attr::NOEXEC)?;
    api::move_mount(all.as_fd(), target.as_fd())?;
    sys::fd::leave([target]);
    for one in hierarchies {
        let name = one.name.clone();
        let mount = hierarchy(plan, one).with_context(|| format!("hierarchy {name:?}"))?;
        if let Some(mount) = mount {
            attach(mount, directory(&all, &name)?)?;
        }
    }
    // A systemd as pid 1 believes in v2 where it sees it, and fails where it may not write there;
    // engines make name=systemd writable for it, which is all that runc shows.
    if plan.attributes.read_only() {
        let read_only = api::Attributes { set: attr::RDONLY, ..Default::default() };
        api::mount_setattr(all.as_fd(), Recursive::No, read_only)?;
    } else {
        attach(unified(plan, tree, own)?, directory(&all, OsStr::new("unified"))?)?;
    }
    sys::fd::leave([all]);
    Ok(())
}

/// A directory of the tmpfs. For "cpu,cpuacct" there are links by the single names, as on hosts.
fn directory(all: &OwnedFd, name: &OsStr) -> Result<OwnedFd> {
    let path = CString::new(name.as_bytes())?;
    mkdirat(all, path.as_c_str(), Mode::from_bits_truncate(0o755))
        .call(|| format!("mkdirat({path:?})"))?;
    let parts = name.as_bytes().split(|byte| *byte == b',');
    for part in parts.filter(|part| *part != name.as_bytes()) {
        nix::unistd::symlinkat(path.as_c_str(), all, OsStr::from_bytes(part))
            .call(|| format!("symlinkat({path:?})"))?;
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    Ok(openat2(all.as_fd(), &path, flags, 0, resolve::BENEATH | resolve::NO_SYMLINKS)?)
}

/// A fresh mount shows the root of the cgroup namespace; without one, what is the container's own.
fn hierarchy(plan: &CgroupMount, one: Hierarchy) -> Result<Option<OwnedFd>> {
    if plan.namespaced {
        let context = FsContext::open(c"cgroup")?;
        context.set_string(c"source", c"cgroup")?;
        for controller in &one.controllers {
            match controller.strip_prefix("name=") {
                Some(name) => {
                    context.set_flag(c"none")?;
                    context.set_string(c"name", &CString::new(name)?)?;
                }
                None => context.set_flag(&CString::new(controller.as_str())?)?,
            }
        }
        context.create()?;
        let strict = if one.own.is_some() { 0 } else { attr::RDONLY };
        return Ok(Some(context.mount(plan.attributes.set | strict)?));
    }
    let tree = match (one.tree, one.own) {
        (None, Some(own)) => {
            let own = CString::new(own.as_os_str().as_bytes())?;
            Some(api::open_tree(api::AT_FDCWD, &own, Recursive::No, 0)?)
        }
        (tree, _) => tree,
    };
    tree.map(|tree| seal(plan, tree)).transpose()
}

/// Mounts cgroup2, or binds the container's own directory of it.
fn unified(plan: &CgroupMount, tree: Option<OwnedFd>, own: Option<&CStr>) -> Result<OwnedFd> {
    let tree = match (tree, own) {
        (None, Some(own)) if !plan.namespaced => {
            Some(api::open_tree(api::AT_FDCWD, own, Recursive::No, 0)?)
        }
        (tree, _) => tree,
    };
    match tree {
        Some(tree) => seal(plan, tree),
        None if plan.namespaced => {
            let context = FsContext::open(c"cgroup2")?;
            context.set_string(c"source", c"cgroup")?;
            context.create()?;
            let strict = if own.is_some() { 0 } else { attr::RDONLY };
            Ok(context.mount(plan.attributes.set | strict)?)
        }
        None => {
            let tree = host_tree(c"/sys/fs/cgroup")?;
            // Only what is stricter: "rw" is not for these.
            let set = Attributes { set: plan.attributes.set, clear: 0 };
            change(tree.as_fd(), set, Recursive::Yes)?;
            Ok(tree)
        }
    }
}

fn seal(plan: &CgroupMount, tree: OwnedFd) -> Result<OwnedFd> {
    change(tree.as_fd(), plan.attributes, Recursive::No)?;
    propagate(tree.as_fd(), Propagation { kind: PropagationKind::Private, recursive: true })?;
    Ok(tree)
}
