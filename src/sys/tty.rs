//! Terminals: `ioctl_tty(2)`.
//!
//! Runs in: init (the container's console) and parent (the user's terminal).

use super::{Result, check, check_fd, show};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

/// Unlocks a pty master (`TIOCSPTLCK`).
pub(crate) fn unlock(master: BorrowedFd<'_>) -> Result<()> {
    let zero: libc::c_int = 0;
    // SAFETY: the request reads one int, which outlives the call.
    let ret = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const zero) };
    check(ret.into(), || format!("ioctl({}, TIOCSPTLCK)", show(master))).map(drop)
}

/// Opens the slave of a master without a path (`TIOCGPTPEER`, CVE-2025-52565).
pub(crate) fn peer(master: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the argument of this request is a number.
    let ret = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    check_fd(ret.into(), || format!("ioctl({}, TIOCGPTPEER)", show(master)))
}

/// The number N of /dev/pts/N (`TIOCGPTN`).
pub(crate) fn number(master: BorrowedFd<'_>) -> Result<u32> {
    let mut n: libc::c_uint = 0;
    // SAFETY: the request writes one unsigned int, which outlives the call.
    let ret = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTN, &raw mut n) };
    check(ret.into(), || format!("ioctl({}, TIOCGPTN)", show(master))).map(|_| n)
}

/// Makes the terminal the controlling one of the calling session leader (`TIOCSCTTY`).
pub(crate) fn set_controlling(tty: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: the argument of this request is a number.
    let ret = unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSCTTY, 0) };
    check(ret.into(), || format!("ioctl({}, TIOCSCTTY)", show(tty))).map(drop)
}

/// The window size in rows and columns (`TIOCGWINSZ`).
pub(crate) fn size(tty: BorrowedFd<'_>) -> Result<libc::winsize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request writes one winsize, which outlives the call.
    let ret = unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    check(ret.into(), || format!("ioctl({}, TIOCGWINSZ)", show(tty))).map(|_| size)
}

/// Sets the window size; the foreground process group gets SIGWINCH (`TIOCSWINSZ`).
pub(crate) fn set_size(tty: BorrowedFd<'_>, size: &libc::winsize) -> Result<()> {
    // SAFETY: the request reads one winsize, which outlives the call.
    let ret = unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSWINSZ, std::ptr::from_ref(size)) };
    check(ret.into(), || format!("ioctl({}, TIOCSWINSZ)", show(tty))).map(drop)
}
