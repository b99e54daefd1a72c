//! Questions to the kernel whose answers change nothing: calls with arguments that no kernel
//! accepts, and attempts in a child that ends with what it made.
//!
//! Runs in: parent, for `rt doctor`.

use super::clone::{Cloned, clone3, is_single_threaded};
use super::{exit_now, prctl};
use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use std::os::fd::AsFd as _;

/// System calls that can be asked for. All of them refuse the null pointers and the descriptor -1
/// with which [`errno_of`] calls them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Clone3,
    PidfdOpen,
    PidfdSendSignal,
    Openat2,
    CloseRange,
    OpenTree,
    MoveMount,
    MountSetattr,
    MemfdCreate,
    Execveat,
}

/// The errno of a call with arguments that are wrong everywhere; `ENOSYS` is the interesting one.
pub(crate) fn errno_of(call: Call) -> Errno {
    const NULL: libc::c_long = 0;
    const BAD: libc::c_long = -1;
    let (number, args) = match call {
        Call::Clone3 => (libc::SYS_clone3, [NULL, 0, 0, 0, 0]),
        Call::PidfdOpen => (libc::SYS_pidfd_open, [BAD, 0, 0, 0, 0]),
        Call::PidfdSendSignal => (libc::SYS_pidfd_send_signal, [BAD, 0, NULL, 0, 0]),
        Call::Openat2 => (libc::SYS_openat2, [BAD, NULL, NULL, 0, 0]),
        // An empty range: the first is behind the last.
        Call::CloseRange => (libc::SYS_close_range, [i64::from(u32::MAX) as _, 0, 0, 0, 0]),
        Call::OpenTree => (libc::SYS_open_tree, [BAD, NULL, 0, 0, 0]),
        Call::MoveMount => (libc::SYS_move_mount, [BAD, NULL, BAD, NULL, 0]),
        Call::MountSetattr => (libc::SYS_mount_setattr, [BAD, NULL, 0, NULL, 0]),
        Call::MemfdCreate => (libc::SYS_memfd_create, [NULL, 0, 0, 0, 0]),
        Call::Execveat => (libc::SYS_execveat, [BAD, NULL, NULL, NULL, 0]),
    };
    let [a, b, c, d, e] = args;
    // SAFETY: every call above gets null pointers with length 0, or a descriptor that cannot
    // exist, and fails before it does anything.
    let ret = unsafe { libc::syscall(number, a, b, c, d, e) };
    if ret == -1 { Errno::last() } else { Errno::UnknownErrno }
}

/// Whether clone3(2) knows `CLONE_INTO_CGROUP` (since Linux 5.7): then a descriptor that is not
/// open is `EBADF`, else the flag is `EINVAL`.
pub(crate) fn knows_clone_into_cgroup() -> bool {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    // SAFETY: clone_args is nothing but integers, and all zero is its documented default.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_INTO_CGROUP;
    args.cgroup = i32::MAX.unsigned_abs().into();
    // SAFETY: the struct outlives the call, the size is its own.
    let ret =
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    if ret == 0 {
        exit_now(0); // cannot be: the descriptor is the highest number there is
    }
    ret == -1 && Errno::last() == Errno::EBADF
}

/// The version of Landlock's interface, `landlock_create_ruleset(2)`.
///
/// # Errors
/// `ENOSYS`: the kernel has none. `EOPNOTSUPP`: not among the `lsm=` of the boot command line.
pub(crate) fn landlock_abi() -> nix::Result<i32> {
    const VERSION: libc::c_uint = 1;
    // SAFETY: with this flag the kernel wants a null pointer and size 0, and makes nothing.
    let ret = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0, VERSION)
    };
    let abi = Errno::result(ret)?;
    Ok(i32::try_from(abi).unwrap_or(i32::MAX))
}

/// Whether the kernel has keyrings(7): asks for the number of the session keyring.
pub(crate) fn has_keyrings() -> bool {
    const GET_KEYRING_ID: libc::c_long = 0;
    const SPEC_SESSION_KEYRING: libc::c_long = -3;
    // SAFETY: takes numbers only, and the last one says not to make the keyring.
    let ret = unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, SPEC_SESSION_KEYRING, 0) };
    ret != -1 || !matches!(Errno::last(), Errno::ENOSYS | Errno::EPERM)
}

/// Runs `what` in a child with new namespaces, which ends with it. `None`: nothing was tried,
/// because without /proc nobody knows how many threads there are.
///
/// # Errors
/// The errno of clone3(2), or what `what` returned; `EIO` for a child that was killed.
pub(crate) fn attempt(
    flags: CloneFlags,
    what: impl FnOnce() -> nix::Result<()>,
) -> Option<nix::Result<()>> {
    if !is_single_threaded() {
        return None;
    }
    // SAFETY: one thread, by the lines above.
    let cloned = match unsafe { clone3(flags, None) } {
        Ok(cloned) => cloned,
        Err(err) => return Some(Err(err.errno)),
    };
    match cloned {
        Cloned::Child => {
            // Should the parent die first.
            prctl("PR_SET_PDEATHSIG", libc::PR_SET_PDEATHSIG, 9, 0).ok();
            exit_now(what().err().map_or(0, |errno| errno as i32))
        }
        Cloned::Parent { child: _, pidfd } => loop {
            match waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED) {
                Err(Errno::EINTR) => {}
                Ok(WaitStatus::Exited(_, 0)) => return Some(Ok(())),
                Ok(WaitStatus::Exited(_, errno)) => return Some(Err(Errno::from_raw(errno))),
                Ok(_) | Err(_) => return Some(Err(Errno::EIO)),
            }
        },
    }
}

/// Whether executing the file gives capabilities(7): it has the attribute `security.capability`.
pub(crate) fn has_file_capabilities(path: &std::path::Path) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: both strings are terminated; with size 0 the kernel only tells the length.
    let size = unsafe {
        libc::getxattr(path.as_ptr(), c"security.capability".as_ptr(), std::ptr::null_mut(), 0)
    };
    size > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_the_oldest_supported_kernel_are_not_enosys() {
        for call in [
            Call::Clone3,
            Call::PidfdOpen,
            Call::PidfdSendSignal,
            Call::Openat2,
            Call::CloseRange,
            Call::OpenTree,
            Call::MoveMount,
            Call::MountSetattr,
            Call::MemfdCreate,
            Call::Execveat,
        ] {
            let errno = errno_of(call);
            assert!(!matches!(errno, Errno::ENOSYS | Errno::UnknownErrno), "{call:?}: {errno}");
        }
        assert!(knows_clone_into_cgroup());
    }
}
