//! Becomes the user that the config asks for: limits, ids, capabilities, working directory.
//!
//! Runs in: init, in the container's root. Every step gives something up.

use crate::error::{OrHint as _, hinted};
use crate::plan::process::{CapabilitySets, Process, Rlimit};
use crate::rootfs::path::Root;
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result, anyhow, bail};
use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, OFlag, fcntl};
use nix::sys::stat::{FileStat, SFlag, fstat};
use nix::unistd::{AccessFlags, Gid, Uid, faccessat, fchdir, fchown};
use std::ffi::{CStr, CString};
use std::io::{IsTerminal as _, Read as _};
use std::os::fd::BorrowedFd;

/// Who sets the resource limits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rlimits {
    /// Init itself.
    Mine,
    /// Init itself, which has yet to start the process that becomes the payload.
    Doorkeepers,
}

/// Sets limits, groups and ids, and all capability sets but for `keep`, a mask of capabilities
/// that the last steps before execve(2) still need. Returns the capabilities there were before.
pub(crate) fn restrict(plan: &Process, rlimits: Rlimits, keep: u64) -> Result<u64> {
    match rlimits {
        Rlimits::Mine => set_rlimits(plan)?,
        Rlimits::Doorkeepers => set_rlimits_of_doorkeeper(plan)?,
    }
    own_stdio(plan.uid)?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(plan.umask));
    let available = available()?;
    // Dropping from the bounding set needs CAP_SETPCAP, which goes away with the ids.
    drop_bounding(plan.capabilities.bounding)?;
    if plan.uid != 0 {
        sys::prctl("PR_SET_KEEPCAPS", libc::PR_SET_KEEPCAPS, 1, 0)?;
    }
    set_ids(plan)?;
    set_capabilities(plan.capabilities, available, keep)?;
    Ok(available)
}

/// The sets without anything kept. One system call, no allocation: it may run under the filter.
pub(crate) fn give_up_kept(sets: CapabilitySets, available: u64) -> sys::Result<()> {
    sys::capset(
        sets.effective & available,
        sets.permitted & available,
        sets.inheritable & available,
    )
}

/// The capabilities that this process has. "All capabilities" in a config means those.
fn available() -> Result<u64> {
    let set = caps::read(None, CapSet::Permitted).context("capget()")?;
    Ok(set.iter().fold(0, |mask, capability| mask | capability.bitmask()))
}

fn drop_bounding(keep: u64) -> Result<()> {
    let mut all: Vec<Capability> = caps::all().into_iter().collect();
    all.sort_unstable_by_key(Capability::index);
    for capability in all {
        if keep & capability.bitmask() != 0 {
            continue;
        }
        if caps::drop(None, CapSet::Bounding, capability).is_err() {
            let errno = Errno::last();
            // An older kernel, which does not know this one and none after it.
            if errno == Errno::EINVAL {
                break;
            }
            let call = format!("prctl(PR_CAPBSET_DROP, {capability})");
            return Err(sys::Error::new(call, errno)).context("process.capabilities.bounding");
        }
    }
    Ok(())
}

fn set_ids(plan: &Process) -> Result<()> {
    match if plan.keep_groups { Ok(()) } else { sys::setgroups(&plan.groups) } {
        Ok(()) => {}
        // user_namespaces(7): without privilege over the host's groups setgroups(2) is denied, and
        // there are no groups to drop.
        Err(err) if err.errno == Errno::EPERM && plan.groups.is_empty() => {}
        Err(err) => {
            return Err(err)
                .context(format!("{}.user.additionalGids", plan.field))
                .hint("a rootless container without a range in /etc/subgid cannot set groups");
        }
    }
    let unmapped = |what: &str, id: u32| format!("map {what} {id} in linux.{what}Mappings");
    sys::setresgid(plan.gid).context(format!("{}.user.gid", plan.field)).or_else(|err| {
        if is_einval(&err) { Err(err).hint(unmapped("gid", plan.gid)) } else { Err(err) }
    })?;
    sys::setresuid(plan.uid).context(format!("{}.user.uid", plan.field)).or_else(|err| {
        if is_einval(&err) { Err(err).hint(unmapped("uid", plan.uid)) } else { Err(err) }
    })
}

fn is_einval(err: &anyhow::Error) -> bool {
    err.downcast_ref::<sys::Error>().is_some_and(|err| err.errno == Errno::EINVAL)
}

fn set_capabilities(sets: CapabilitySets, available: u64, keep: u64) -> Result<()> {
    let keep = keep & available;
    sys::capset(
        (sets.effective & available) | keep,
        (sets.permitted & available) | keep,
        sets.inheritable & available,
    )
    .context("process.capabilities")?;
    // What the caller of rt had as ambient is not for the container.
    caps::clear(None, CapSet::Ambient).context("process.capabilities.ambient")?;
    for capability in caps::all() {
        if sets.ambient & available & capability.bitmask() != 0 {
            caps::raise(None, CapSet::Ambient, capability)
                .with_context(|| format!("process.capabilities.ambient: {capability}"))?;
        }
    }
    Ok(())
}

/// For a process in another user namespace, where it cannot do so itself: hard limits that are
/// higher than ours, which are its own, too. It lowers the others when it has no more to do: a few
/// descriptors or pages might not be enough for that.
pub(crate) fn raise_rlimits(plan: &Process, pid: i32) -> Result<()> {
    for limit in &plan.rlimits {
        let (soft, hard) = sys::getrlimit(limit.resource)?;
        if limit.hard > hard {
            set_one(limit, pid, soft)?;
        }
    }
    Ok(())
}

fn set_rlimits(plan: &Process) -> Result<()> {
    plan.rlimits.iter().try_for_each(|limit| set_one(limit, 0, limit.soft))
}

/// All but a lower limit of processes, which would count the doorkeeper of an exec, too.
fn set_rlimits_of_doorkeeper(plan: &Process) -> Result<()> {
    let (_, hard) = sys::getrlimit(NPROC)?;
    let mut now = plan.rlimits.iter().filter(|limit| limit.resource != NPROC || limit.hard > hard);
    now.try_for_each(|limit| set_one(limit, 0, limit.soft))
}

/// What `set_rlimits_of_doorkeeper` has left out. Lowering a limit needs no privilege.
pub(crate) fn set_rlimit_of_processes(plan: &Process) -> Result<()> {
    let mut processes = plan.rlimits.iter().filter(|limit| limit.resource == NPROC);
    processes.try_for_each(|limit| set_one(limit, 0, limit.soft))
}

/// asm-generic/resource.h, `RLIMIT_NPROC`.
const NPROC: u32 = 6;

fn set_one(limit: &Rlimit, pid: i32, soft: u64) -> Result<()> {
    sys::prlimit(pid, limit.resource, soft, limit.hard)
        .with_context(|| format!("{} ({})", limit.field, limit.name))
        .or_else(|err| {
            Err(err).hint(
                "raising a hard limit needs CAP_SYS_RESOURCE on the host; lower it in the config",
            )
        })
}

/// A payload that is not root opens /dev/stdout anew, which needs ownership of the pipe behind it.
/// Docker images rely on that, so runc does the same.
fn own_stdio(uid: u32) -> Result<()> {
    for fd in 0..=2 {
        let fd = sys::fd::standard_stream(fd);
        let status = fstat(fd).call(|| format!("fstat({})", sys::show(fd)))?;
        if status.st_uid == uid || !is_for_the_payload(fd, &status)? {
            continue;
        }
        match fchown(fd, Some(Uid::from_raw(uid)), None::<Gid>) {
            // The file is not ours to give away: another user namespace, a read-only file system.
            Ok(()) | Err(Errno::EPERM | Errno::EINVAL | Errno::EROFS | Errno::EACCES) => {}
            Err(errno) => {
                return Err(
                    sys::Error::new(format!("fchown({}, {uid})", sys::show(fd)), errno).into()
                );
            }
        }
    }
    Ok(())
}

/// Nodes such as /dev/null and files that were given for reading stay the host's: as their owner the
/// payload could open them anew for writing, through /proc/self/fd.
fn is_for_the_payload(fd: BorrowedFd<'_>, status: &FileStat) -> sys::Result<bool> {
    Ok(match SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFIFO | SFlag::S_IFSOCK => true,
        SFlag::S_IFCHR => fd.is_terminal(),
        SFlag::S_IFREG => {
            let flags = fcntl(fd, FcntlArg::F_GETFL)
                .call(|| format!("fcntl({}, F_GETFL)", sys::show(fd)))?;
            flags & libc::O_ACCMODE != libc::O_RDONLY
        }
        _ => false,
    })
}

/// Enters the working directory and makes sure that it is inside the container: a directory
/// descriptor that leaked would be outside (CVE-2024-21626).
pub(crate) fn enter_cwd(root: &Root, plan: &Process) -> Result<()> {
    let field = || format!("{}.cwd ({})", plan.field, plan.cwd.to_string_lossy());
    let dir = root.open_dir(&plan.cwd).map_err(|err| {
        hinted(err, &[(Errno::ELOOP, "the working directory must not lead through /proc/*/fd")])
    });
    let dir = dir.with_context(field)?;
    fchdir(&dir).call(|| "fchdir()".into()).with_context(field)?;
    sys::fd::leave([dir]);
    match nix::unistd::getcwd() {
        Ok(path) if path.is_absolute() => Ok(()),
        Ok(_) | Err(Errno::ENOENT) => bail!("{}: is outside of the container", field()),
        Err(errno) => Err(sys::Error::new("getcwd()", errno)).with_context(field),
    }
}

/// The payload's environment: HOME is added from the image's /etc/passwd when it is missing or
/// empty, as every runtime does.
pub(crate) fn environment(root: &Root, plan: &Process) -> Result<Vec<CString>> {
    let mut env = plan.env.clone();
    if plan.env("HOME").is_none_or(<[u8]>::is_empty) {
        env.retain(|entry| !entry.as_bytes().starts_with(b"HOME="));
        let home = home(root, plan.uid).unwrap_or_else(|| "/".into());
        env.push(CString::new(format!("HOME={home}"))?);
    }
    Ok(env)
}

fn home(root: &Root, uid: u32) -> Option<String> {
    let file = root.open_file(c"/etc/passwd", OFlag::O_RDONLY).ok()?;
    let regular = crate::rootfs::path::kind(&file).ok()? == SFlag::S_IFREG;
    let mut text = String::new();
    // An image's passwd of more than a mebibyte is not worth reading.
    std::fs::File::from(file).take(1 << 20).read_to_string(&mut text).ok().filter(|_| regular)?;
    passwd(&text, uid).map(|entry| entry.home.to_string()).filter(|home| !home.contains('\0'))
}

/// A line of passwd(5).
pub(crate) struct Passwd<'a> {
    pub(crate) name: &'a str,
    pub(crate) home: &'a str,
}

pub(crate) fn passwd(text: &str, uid: u32) -> Option<Passwd<'_>> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let line_uid: u32 = fields.nth(1)?.parse().ok()?;
        let home = fields.nth(2)?;
        (line_uid == uid).then_some(Passwd { name, home })
    })
}

/// Finds the program as execvp(3) would, with the rights that the payload has.
///
/// The texts are matched by engines: `executable file not found in $PATH`, `no such file or
/// directory`, `permission denied`, `is a directory`.
pub(crate) fn find_program(plan: &Process, env: &[CString]) -> Result<CString> {
    let field = format!("{}.args[0]", plan.field);
    let Some(program) = plan.args.first() else { bail!("{field}: missing") };
    if program.as_bytes().contains(&b'/') {
        executable(program).with_context(|| format!("exec: {program:?}")).context(field)?;
        return Ok(program.clone());
    }
    let path = env.iter().rev().find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="));
    let mut denied = None;
    for dir in path.unwrap_or(b"").split(|byte| *byte == b':') {
        let dir = if dir.is_empty() { b"." } else { dir };
        let candidate = CString::new([dir, b"/", program.as_bytes()].concat())?;
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(err) => denied = denied.or((err.errno == Errno::EACCES).then_some(err)),
        }
    }
    match denied {
        Some(err) => Err(err).with_context(|| format!("exec: {program:?}")).context(field),
        None => {
            Err(anyhow!("exec: {program:?}: executable file not found in $PATH")).context(field)
        }
    }
}

fn executable(path: &CStr) -> sys::Result<()> {
    let at = nix::fcntl::AT_FDCWD;
    let call = || format!("stat {}", path.to_string_lossy());
    let status = nix::sys::stat::fstatat(at, path, AtFlags::empty()).call(call)?;
    if SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR {
        return Err(sys::Error::new(call(), Errno::EISDIR));
    }
    faccessat(at, path, AccessFlags::X_OK, AtFlags::AT_EACCESS)
        .call(|| format!("access {}", path.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwd_lines_are_found_by_id() {
        let text = "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:33:33::/var/www:/bin/false\n";
        let entry = passwd(text, 33).unwrap();
        assert_eq!((entry.name, entry.home), ("web", "/var/www"));
        assert!(passwd(text, 1).is_none());
    }
}
