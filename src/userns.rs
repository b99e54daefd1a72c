//! Id maps of user namespaces.
//!
//! Runs in: parent. See `user_namespaces(7)`, newuidmap(1).

use crate::error::OrHint as _;
use crate::fds::Procfs;
use crate::plan::namespaces::IdMap;
use crate::sys::{self, clone};
use anyhow::{Context as _, Result, bail};
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::Command;

/// Writes the maps of a child that waits in its new user namespace.
pub(crate) fn write_maps(
    proc: &Procfs,
    pid: Pid,
    uid_maps: &[IdMap],
    gid_maps: &[IdMap],
) -> Result<()> {
    let uid = nix::unistd::geteuid().as_raw();
    let gid = nix::unistd::getegid().as_raw();
    if uid == 0 {
        write_direct(proc, pid, uid_maps, gid_maps)
    } else if only_own(uid_maps, uid) && only_own(gid_maps, gid) {
        // CVE-2014-8989: without privilege a group map goes together with a denied setgroups(2).
        proc.write(&format!("{pid}/setgroups"), b"deny")?;
        write_direct(proc, pid, uid_maps, gid_maps)
    } else {
        with_helper("newuidmap", pid, uid_maps).context("linux.uidMappings")?;
        with_helper("newgidmap", pid, gid_maps).context("linux.gidMappings")
    }
}

fn write_direct(proc: &Procfs, pid: Pid, uid_maps: &[IdMap], gid_maps: &[IdMap]) -> Result<()> {
    let hint = "the mapping needs CAP_SETUID and CAP_SETGID over the host's ids, \
                and no two ranges may overlap";
    proc.write(&format!("{pid}/gid_map"), text(gid_maps).as_bytes())
        .context("linux.gidMappings")
        .hint(hint)?;
    proc.write(&format!("{pid}/uid_map"), text(uid_maps).as_bytes())
        .context("linux.uidMappings")
        .hint(hint)
}

/// One mapping of one id onto ourselves is what a process may write without help.
fn only_own(maps: &[IdMap], id: u32) -> bool {
    matches!(maps, [IdMap { host, size: 1, .. }] if *host == id)
}

fn text(maps: &[IdMap]) -> String {
    maps.iter().map(|map| format!("{} {} {}\n", map.container, map.host, map.size)).collect()
}

/// The setuid helpers of the shadow package, which know /etc/subuid and /etc/subgid.
fn with_helper(program: &str, pid: Pid, maps: &[IdMap]) -> Result<()> {
    let mut command = Command::new(program);
    command.arg(pid.to_string());
    for map in maps {
        command.args([map.container.to_string(), map.host.to_string(), map.size.to_string()]);
    }
    let output = command.output().map_err(|err| crate::config::io(&err)).context(program.to_string()).hint(
        "install newuidmap and newgidmap (package uidmap), or map one id: your own user and group",
    )?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        Err(anyhow::anyhow!("{program}: {}", text.trim())).hint(
            "give the user a range in /etc/subuid and /etc/subgid that covers the mappings",
        )?;
    }
    Ok(())
}

/// A user namespace that exists only for its mappings, for idmapped mounts. No process is left in
/// it.
pub(crate) fn with_mappings(uid_maps: &[IdMap], gid_maps: &[IdMap]) -> Result<OwnedFd> {
    let proc = Procfs::open()?;
    let (pid, pidfd) = clone::holder(CloneFlags::CLONE_NEWUSER)?;
    let open = || {
        write_direct(&proc, pid, uid_maps, gid_maps)?;
        // The link in ns/ is a magic one, so it is opened by its path.
        let path = format!("/proc/{pid}/ns/user");
        Ok(sys::fd::open(Path::new(&path), OFlag::O_RDONLY)?)
    };
    let opened = open();
    clone::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL)?;
    if waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED).is_err() {
        bail!("internal error, please report: the namespace holder cannot be reaped");
    }
    opened
}
