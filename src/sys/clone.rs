//! Processes: clone3(2), pidfds, setns(2) by several namespaces at once.
//!
//! Runs in: parent and init.

use super::{Error, Result, check, check_fd, show};
use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::unistd::Pid;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// linux/sched.h. Not the libc crate's constant: that is 0 on gnu and missing on musl.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const CLONE_PIDFD: u64 = 0x1000;
/// linux/sched.h, since Linux 5.6; `nix` does not know it.
pub(crate) const CLONE_NEWTIME: i32 = 0x80;

/// One arm per process.
pub(crate) enum Cloned {
    Parent { child: Pid, pidfd: OwnedFd },
    Child,
}

/// `clone3(2)` without `CLONE_VM`: like fork, the child gets a copy of all memory.
///
/// With `cgroup`, an open cgroup v2 directory, the child starts inside it (since Linux 5.7).
///
/// # Safety
/// The process must have exactly one thread, see signal-safety(7).
///
/// # Errors
/// `EPERM`: no privilege for a namespace. `EBUSY`, `EACCES`, `EOPNOTSUPP`: the cgroup refused.
/// `ENOSPC`: a limit of /proc/sys/user.
pub(crate) unsafe fn clone3(flags: CloneFlags, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: clone_args is nothing but integers, and all zero is its documented default.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = u64::from(flags.bits().cast_unsigned()) | CLONE_PIDFD;
    args.pidfd = (&raw mut pidfd).addr() as u64;
    // clone(2): a sibling has the exit signal of its creator, and must not name one.
    if !flags.contains(CloneFlags::CLONE_PARENT) {
        args.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    }
    if let Some(dir) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::from(dir.as_raw_fd().cast_unsigned());
    }
    // SAFETY: args and pidfd outlive the call; the size is that of the struct passed; without
    // CLONE_VM the child runs on its own copy of this stack.
    let ret =
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    let ret = check(ret, || {
        let into = cgroup.map(|dir| format!(", cgroup={}", show(dir))).unwrap_or_default();
        format!("clone3({}{into})", flag_names(flags))
    })?;
    if ret == 0 {
        return Ok(Cloned::Child);
    }
    // SAFETY: CLONE_PIDFD stored a new descriptor in pidfd; nobody else owns it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    #[expect(clippy::cast_possible_truncation, reason = "pid_max is at most 2^22")]
    Ok(Cloned::Parent { child: Pid::from_raw(ret as i32), pidfd })
}

/// A child that does nothing but keep its new namespaces alive until it is killed.
pub(crate) fn holder(flags: CloneFlags) -> Result<(Pid, OwnedFd)> {
    // SAFETY: the child calls nothing but pause(2) and prctl(2), which is sound after a fork of
    // any process.
    match unsafe { clone3(flags, None) }? {
        Cloned::Parent { child, pidfd } => Ok((child, pidfd)),
        Cloned::Child => {
            // Should the parent die first.
            super::prctl("PR_SET_PDEATHSIG", libc::PR_SET_PDEATHSIG, 9, 0).ok();
            loop {
                nix::unistd::pause();
            }
        }
    }
}

/// `CLONE_NEWNS|CLONE_NEWPID`, as the man page writes it.
pub(crate) fn flag_names(flags: CloneFlags) -> String {
    let mut names: Vec<&str> = flags.iter_names().map(|(name, _)| name).collect();
    if flags.bits() & CLONE_NEWTIME != 0 {
        names.push("CLONE_NEWTIME");
    }
    if names.is_empty() { "0".into() } else { names.join("|") }
}

/// wait4(2) of any child: its pid and status. Raw, as it may run under a seccomp filter.
pub(crate) fn wait4() -> Result<(i32, libc::c_int)> {
    let mut status = 0;
    let any: libc::c_long = -1;
    let usage = std::ptr::null_mut::<libc::rusage>();
    loop {
        // SAFETY: the status outlives the call; the usage is not asked for.
        let ret = unsafe { libc::syscall(libc::SYS_wait4, any, &raw mut status, 0_u64, usage) };
        match i32::try_from(ret) {
            Ok(pid @ 0..) => return Ok((pid, status)),
            _ if nix::errno::Errno::last() == nix::errno::Errno::EINTR => {}
            _ => return Err(super::Error::new("wait4(-1)", nix::errno::Errno::last())),
        }
    }
}

/// `setns(2)` into one namespace, or into several by a pidfd (since Linux 5.8).
pub(crate) fn setns(fd: BorrowedFd<'_>, flags: CloneFlags) -> Result<()> {
    // SAFETY: takes numbers only.
    let ret = unsafe { libc::setns(fd.as_raw_fd(), flags.bits()) };
    check(ret.into(), || format!("setns({}, {})", show(fd), flag_names(flags))).map(drop)
}

/// `unshare(2)`.
pub(crate) fn unshare(flags: CloneFlags) -> Result<()> {
    // SAFETY: takes numbers only; no flag used by callers affects memory shared with threads.
    let ret = unsafe { libc::unshare(flags.bits()) };
    check(ret.into(), || format!("unshare({})", flag_names(flags))).map(drop)
}

/// `pidfd_open(2)`.
///
/// # Errors
/// `ESRCH`: no such process.
pub(crate) fn pidfd_open(pid: i32) -> Result<OwnedFd> {
    // SAFETY: takes numbers only. The descriptor is close-on-exec by definition.
    let ret = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let opened = check_fd(ret, || format!("pidfd_open({pid})"));
    // Older kernels say EINVAL of a process that is being reaped at this moment.
    let gone = |err: &Error| err.errno == Errno::EINVAL;
    opened.map_err(|err| if gone(&err) { Error { errno: Errno::ESRCH, ..err } } else { err })
}

/// `pidfd_send_signal(2)`.
///
/// # Errors
/// `ESRCH`: the process has gone and was reaped.
pub(crate) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<()> {
    // SAFETY: the null siginfo asks for the same as kill(2).
    let ret = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    check(ret, || format!("pidfd_send_signal({}, {signal})", show(pidfd))).map(drop)
}

/// `ioctl_nsfs(2)` `NS_GET_NSTYPE`: the `CLONE_NEW*` flag of an open namespace file.
pub(crate) fn namespace_type(fd: BorrowedFd<'_>) -> Result<libc::c_int> {
    // linux/nsfs.h; the request's type differs between libcs.
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: the request takes no argument.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) };
    check(ret.into(), || format!("ioctl({}, NS_GET_NSTYPE)", show(fd))).map(|_| ret)
}

/// Is this the only thread of the process? Without /proc that is not known.
pub(crate) fn is_single_threaded() -> bool {
    // A directory has two links of its own, and /proc/self/task one for each thread.
    nix::sys::stat::stat(c"/proc/self/task").is_ok_and(|status| status.st_nlink == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_missing_in_libc_are_not_zero() {
        assert_eq!(CLONE_INTO_CGROUP, 1 << 33);
        assert_eq!(flag_names(CloneFlags::from_bits_retain(CLONE_NEWTIME)), "CLONE_NEWTIME");
    }
}
