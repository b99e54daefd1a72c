//! The loopback link: netdevice(7).
//!
//! Runs in: init.

use super::{Call as _, Result, check};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::os::fd::AsRawFd as _;

/// Brings `lo` up, so that 127.0.0.1 works in a new network namespace.
pub(crate) fn loopback_up() -> Result<()> {
    let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .call(|| "socket(AF_UNIX, SOCK_DGRAM)".into())?;
    // SAFETY: ifreq is integers and bytes, all zero is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (byte, name) in request.ifr_name.iter_mut().zip(b"lo") {
        *byte = name.cast_signed();
    }
    let flags = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = i16::try_from(flags).unwrap_or_default();
    // linux/sockios.h; the request's type differs between libcs.
    const SIOCSIFFLAGS: libc::Ioctl = 0x8914;
    // SAFETY: the request is a terminated name and flags, as SIOCSIFFLAGS reads them.
    let ret = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCSIFFLAGS, &raw const request) };
    check(ret.into(), || "ioctl(lo, SIOCSIFFLAGS, IFF_UP)".into())?;
    super::fd::leave([socket]);
    Ok(())
}
