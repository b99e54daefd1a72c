//! seccomp(2).

use super::{Error, Result, check, show};
use nix::errno::Errno;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

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

// linux/seccomp.h: `SECCOMP_IOCTL_NOTIF_*`. By syscall(2), as the request's type differs between
// libcs.
const NOTIF_RECV: libc::c_ulong = 0xc050_2100;
const NOTIF_SEND: libc::c_ulong = 0xc018_2101;
const NOTIF_ID_VALID: libc::c_ulong = 0x4008_2102;
const FLAG_CONTINUE: u64 = 1;

/// Waits until another process, which shares this one's table of descriptors and leaves the
/// descriptor to it, has loaded a filter with `NEW_LISTENER` and got the number `fd`.
///
/// There is nothing to poll(2) before that. It takes the other process one system call.
///
/// # Errors
/// `ETIMEDOUT`: nothing came for ten seconds.
pub(crate) fn await_listener(fd: RawFd) -> Result<OwnedFd> {
    const PAUSE: Duration = Duration::from_micros(20);
    for _ in 0..500_000 {
        if is_listener(fd) {
            // SAFETY: it is open, and the other process does not use it.
            return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        std::thread::sleep(PAUSE);
    }
    Err(Error::new("seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER)", Errno::ETIMEDOUT))
}

/// Is `fd` a notification descriptor? It need not be open.
fn is_listener(fd: RawFd) -> bool {
    let id = 0_u64;
    // SAFETY: a listener reads eight bytes; whatever else has this number refuses the request.
    let ret = unsafe { libc::syscall(libc::SYS_ioctl, fd, NOTIF_ID_VALID, &raw const id) };
    // There is no notification of this id.
    ret == 0 || Errno::last() == Errno::ENOENT
}

/// Waits for a notification and lets the system call happen (since Linux 5.5).
pub(crate) fn let_one_continue(listener: BorrowedFd<'_>) -> Result<()> {
    // struct seccomp_notif: an id, pid and flags, and seccomp_data of 64 bytes.
    let mut notification = [0_u64; 10];
    let fd = listener.as_raw_fd();
    loop {
        // SAFETY: the request writes 80 bytes into an array of that size, which must be zero before.
        let ret =
            unsafe { libc::syscall(libc::SYS_ioctl, fd, NOTIF_RECV, notification.as_mut_ptr()) };
        if ret == 0 || Errno::last() != Errno::EINTR {
            check(ret, || format!("ioctl({}, NOTIF_RECV)", show(listener)))?;
            break;
        }
    }
    // struct seccomp_notif_resp: id, return value, errno and flags as two halves of a word.
    let flags = if cfg!(target_endian = "big") { FLAG_CONTINUE } else { FLAG_CONTINUE << 32 };
    let response = [notification[0], 0, flags];
    // SAFETY: the request reads 24 bytes from an array of that size.
    let ret = unsafe { libc::syscall(libc::SYS_ioctl, fd, NOTIF_SEND, response.as_ptr()) };
    check(ret, || format!("ioctl({}, NOTIF_SEND, CONTINUE)", show(listener))).map(drop)
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
