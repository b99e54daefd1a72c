//! seccomp(2).

use super::{Error, Result};
use nix::errno::Errno;
use std::os::fd::{FromRawFd as _, OwnedFd};

// linux/seccomp.h
const SECCOMP_SET_MODE_FILTER: libc::c_uint = 1;
pub(crate) const NEW_LISTENER: u32 = 1 << 3;

/// `struct sock_fprog` of linux/filter.h.
#[repr(C)]
struct Program<I> {
    len: libc::c_ushort,
    filter: *const I,
}

/// Adds `program` to the filters of the calling process, for good.
///
/// `I` is laid out as `struct sock_filter`: two bytes of opcode, a byte for each jump, four bytes
/// of operand. `flags` are `SECCOMP_FILTER_FLAG_*`. Returns the notification descriptor, which is
/// close-on-exec, with `NEW_LISTENER` and only then. Allocates on failure only.
///
/// # Errors
/// `EACCES`: neither `no_new_privs` nor `CAP_SYS_ADMIN` in the user namespace. `EINVAL`: a flag the
/// kernel does not know, no or more than 4096 instructions, or a malformed one. `ENOMEM`: the
/// filters of the process exceed 32768 instructions together. `EBUSY`: another filter has a
/// listener. `ESRCH`, or `EAGAIN` for the lack of `TSYNC_ESRCH`: `TSYNC` met a thread with filters
/// of its own.
pub(crate) fn load<I: Copy>(program: &[I], flags: u32) -> Result<Option<OwnedFd>> {
    const { assert!(size_of::<I>() == 8 && align_of::<I>() <= 8, "not a struct sock_filter") };
    let failed = |errno| {
        let call = format!("seccomp(SET_MODE_FILTER, {flags:#x}, {} instructions)", program.len());
        Err(Error::new(call, errno))
    };
    let Ok(len) = libc::c_ushort::try_from(program.len()) else { return failed(Errno::EINVAL) };
    let fprog = Program { len, filter: program.as_ptr() };
    // SAFETY: the kernel reads `len` instructions of eight bytes and checks each before it keeps
    // a copy; it writes nothing.
    let ret = unsafe {
        libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &raw const fprog)
    };
    match i32::try_from(ret) {
        Ok(fd @ 0..) if flags & NEW_LISTENER != 0 => {
            // SAFETY: with NEW_LISTENER the result is a new descriptor; nobody else owns it.
            Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }))
        }
        Ok(0) => Ok(None),
        // TSYNC without TSYNC_ESRCH returns the thread that is in the way.
        Ok(1..) => failed(Errno::EAGAIN),
        _ => failed(Errno::last()),
    }
}

/// Whether the kernel knows all of `flags`, `SECCOMP_FILTER_FLAG_*`.
///
/// Asks with a null program: a known flag fails with `EFAULT`, an unknown one with `EINVAL` before
/// the program is looked at. `WAIT_KILLABLE_RECV` must be asked together with `NEW_LISTENER`.
pub(crate) fn flags_available(flags: u32) -> bool {
    // SAFETY: the kernel refuses the null pointer; nothing is loaded.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            SECCOMP_SET_MODE_FILTER,
            flags,
            std::ptr::null::<Program<u64>>(),
        )
    };
    ret == -1 && Errno::last() == Errno::EFAULT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_knows_the_log_flag_and_not_the_last_bit() {
        assert!(flags_available(1 << 1));
        assert!(!flags_available(1 << 31));
    }

    #[test]
    fn empty_program_is_refused_and_the_error_names_the_call() {
        let err = load::<u64>(&[], 0).unwrap_err();
        assert_eq!(err.errno, Errno::EINVAL);
        assert!(err.to_string().starts_with("seccomp(SET_MODE_FILTER, 0x0, 0 instructions): "));
    }
}
