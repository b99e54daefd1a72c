//! Id maps of user namespaces.
//!
//! Runs in: parent; [`become_owner`] in init. See `user_namespaces(7)`, newuidmap(1).

use crate::error::OrHint as _;
use crate::fds::Procfs;
use crate::hooks;
use crate::plan::Hook;
use crate::plan::namespaces::IdMap;
use crate::subids;
use crate::sys::{self, clone};
use anyhow::{Context as _, Result, bail};
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

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
        with_helper(subids::UID, pid, uid_maps).context("linux.uidMappings")?;
        with_helper(subids::GID, pid, gid_maps).context("linux.gidMappings")
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

/// How long a helper may take. It reads two files and writes one.
const PATIENCE: Duration = Duration::from_secs(10);

/// The setuid helpers of the shadow package, which know /etc/subuid and /etc/subgid.
///
/// They are told a pid, and would change whatever process has it. It cannot be another one's: init is
/// our child, only we can wait for it, and until then its pid is taken, also when it is dead. (That
/// holds as long as SIGCHLD is not ignored, which `sys/start.rs` sees to.)
fn with_helper(kind: subids::Kind, pid: Pid, maps: &[IdMap]) -> Result<()> {
    let path = subids::find_program(kind.helper)
        .with_context(|| format!("{}: not found in PATH", kind.helper))
        .hint("install newuidmap and newgidmap (package uidmap), or map one id: your own user and group")?;
    let words = maps.iter().flat_map(|map| [map.container, map.host, map.size]);
    let words = words.map(|number| number.to_string());
    let args = [kind.helper.to_string(), pid.to_string()].into_iter().chain(words);
    // Like a hook it gets no descriptor of ours, and no environment either.
    let helper = Hook {
        field: kind.helper.to_string(),
        path: CString::new(path.as_os_str().as_bytes())?,
        args: args.map(CString::new).collect::<Result<_, _>>()?,
        env: Vec::new(),
        timeout: Some(PATIENCE),
    };
    let Err(err) = hooks::run(&[helper], "", &hooks::Output::default()) else { return Ok(()) };
    let text = crate::error::chain(&err);
    if text.contains("not allowed") {
        return Err(err).hint(subids::cure(kind));
    }
    if text.contains("not permitted") {
        return Err(err).hint(format!(
            "{0} has no privilege: make it setuid root (chmod u+s {0}), on a file system without nosuid, \
             and do not call rt with no_new_privs set",
            path.display()
        ));
    }
    Err(err)
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

/// Root of the user namespace, or in one without root the first id that it has: capabilities there
/// do not depend on the id.
pub(crate) fn become_owner(
    keep_groups: bool,
    uid_maps: &[IdMap],
    gid_maps: &[IdMap],
) -> Result<()> {
    let owner = |maps: &[IdMap]| {
        let root = maps.is_empty() || maps.iter().any(|map| map.container == 0);
        if root { 0 } else { maps.first().map_or(0, |map| map.container) }
    };
    if !keep_groups {
        // setgroups(2) may be denied, then there is nothing to drop.
        sys::setgroups(&[]).ok();
    }
    sys::prctl("PR_SET_KEEPCAPS", libc::PR_SET_KEEPCAPS, 1, 0)?;
    sys::setresgid(owner(gid_maps))?;
    Ok(sys::setresuid(owner(uid_maps))?)
}
