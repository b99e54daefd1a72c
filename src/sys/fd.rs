//! Descriptors: `close_range(2)`, openat2(2), passing over sockets.
//!
//! Runs in: any process.

use super::{Call as _, Result, check, check_fd, show};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::ffi::CStr;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::path::Path;

/// linux/openat2.h.
pub(crate) mod resolve {
    pub(crate) const NO_XDEV: u64 = 0x01;
    pub(crate) const NO_MAGICLINKS: u64 = 0x02;
    pub(crate) const NO_SYMLINKS: u64 = 0x04;
    pub(crate) const BENEATH: u64 = 0x08;
    pub(crate) const IN_ROOT: u64 = 0x10;
}

/// `openat2(2)` (since Linux 5.6); the descriptor is close-on-exec.
///
/// # Errors
/// `ELOOP`: a link that `resolve` forbids. `EXDEV`: the path leaves what `resolve` allows.
/// `EAGAIN`: renames raced with 128 tries.
pub(crate) fn openat2(
    dir: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlag,
    mode: u32,
    resolve: u64,
) -> Result<OwnedFd> {
    try_openat2(dir, path, flags, mode, resolve)
        .map_err(|errno| openat2_failed(dir, path, flags, resolve, errno))
}

/// How often a lookup is tried while something else renames. Once is enough on a quiet machine, and
/// two or three times on a busy one; but a payload of another container can rename without end, and
/// must not hold up a runtime that has the container's lock.
const TRIES: u32 = 128;

/// [`openat2`] for lookups that may fail: without the text of an error that nobody will read.
pub(crate) fn try_openat2(
    dir: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlag,
    mode: u32,
    resolve: u64,
) -> nix::Result<OwnedFd> {
    // SAFETY: open_how is nothing but integers, and all zero is its documented default.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = u64::from((flags | OFlag::O_CLOEXEC).bits().cast_unsigned());
    how.mode = u64::from(mode);
    how.resolve = resolve;
    let mut tries = 0;
    loop {
        // SAFETY: path and how outlive the call; the size is that of the struct passed.
        let ret = unsafe {
            libc::syscall(
                libc::SYS_openat2,
                dir.as_raw_fd(),
                path.as_ptr(),
                &raw const how,
                size_of::<libc::open_how>(),
            )
        };
        match i32::try_from(ret) {
            // SAFETY: the kernel has just returned this descriptor and nobody else knows it.
            Ok(fd @ 0..) => return Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
            _ => {
                let errno = Errno::last();
                tries += 1;
                // Else a signal came, or a rename or mount somewhere raced with "..", which
                // openat2(2) says to try again.
                if !matches!(errno, Errno::EAGAIN | Errno::EINTR) || tries == TRIES {
                    return Err(errno);
                }
            }
        }
    }
}

/// The error of a lookup by [`try_openat2`].
pub(crate) fn openat2_failed(
    dir: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlag,
    resolve: u64,
    errno: Errno,
) -> super::Error {
    let call = format!("openat2({}, {path:?}, {flags:?}, resolve={resolve:#x})", show(dir));
    super::Error::new(call, errno)
}

/// `openat(2)` of a path on the host, close-on-exec. (musl's open(3) and std's add an fcntl(2).)
pub(crate) fn open(path: &Path, flags: OFlag) -> Result<OwnedFd> {
    let flags = flags | OFlag::O_CLOEXEC;
    nix::fcntl::openat(nix::fcntl::AT_FDCWD, path, flags, nix::sys::stat::Mode::empty())
        .call(|| format!("open({})", path.display()))
}

/// A whole file of the host.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    let fd = open(path, OFlag::O_RDONLY)?;
    read_all(&fd).call(|| format!("read({})", path.display()))
}

/// A file of /proc which the kernel makes in one piece, such as /proc/PID/stat: the first read(2)
/// returns all of it.
pub(crate) fn read_record(path: &Path) -> Result<Vec<u8>> {
    let fd = open(path, OFlag::O_RDONLY)?;
    let mut bytes = vec![0; 16384];
    let length = nix::unistd::read(&fd, &mut bytes).call(|| format!("read({})", path.display()))?;
    bytes.truncate(length);
    Ok(bytes)
}

/// The rest of a file. Files of /proc do not tell their size, and a config fits into one read.
pub(crate) fn read_all(fd: &OwnedFd) -> nix::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut length = 0;
    loop {
        if bytes.len() - length < 4096 {
            bytes.resize((bytes.len() * 2).max(16384), 0);
        }
        match nix::unistd::read(fd, bytes.get_mut(length..).unwrap_or_default()) {
            Ok(0) => {
                bytes.truncate(length);
                return Ok(bytes);
            }
            Ok(n) => length += n,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Closes everything but 0 up to `first` - 1 and `keep`. Really closed, not only on exec: execve(2)
/// itself resolves its path, and must find no directory of the host (CVE-2024-21626).
pub(crate) fn close_others(first: RawFd, keep: &[BorrowedFd<'_>]) -> Result<()> {
    let mut from = first;
    let next = |from: RawFd| keep.iter().map(AsRawFd::as_raw_fd).filter(|fd| *fd >= from).min();
    while let Some(fd) = next(from) {
        if fd > from {
            close_range(from.cast_unsigned(), (fd - 1).cast_unsigned(), 0)?;
        }
        from = fd + 1;
    }
    close_range(from.cast_unsigned(), u32::MAX, 0)
}

/// Lets go of descriptors without close(2): one `close_others` before init parks closes them all,
/// which saves a tenth of all system calls of a run. A container with hundreds of mounts does not
/// gather so many that it meets `RLIMIT_NOFILE`.
pub(crate) fn leave(fds: impl IntoIterator<Item = OwnedFd>) {
    for fd in fds {
        if fd.as_raw_fd() < 256 {
            let _left_open = fd.into_raw_fd();
        }
    }
}

/// Marks every descriptor from `first` on close-on-exec (`close_range(2)`, since Linux 5.11).
pub(crate) fn cloexec_from(first: RawFd) -> Result<()> {
    close_range(first.cast_unsigned(), u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
}

/// Lets a descriptor survive execve(2).
pub(crate) fn inherit(fd: RawFd) -> Result<()> {
    // SAFETY: F_SETFD takes an integer and touches no memory.
    let ret = unsafe { libc::fcntl(fd, libc::F_SETFD, 0) };
    check(ret.into(), || format!("fcntl({fd}, F_SETFD, 0)")).map(drop)
}

fn close_range(first: u32, last: u32, flags: u32) -> Result<()> {
    // SAFETY: closing descriptors that an `OwnedFd` still names is sound here, because callers
    // are about to execve(2) or own none at or above `first`.
    let ret = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    check(ret, || format!("close_range({first}, {last}, {flags})")).map(drop)
}

/// Duplicates onto 0, 1 or 2. dup3(2) with equal descriptors is an error, which cannot happen as
/// the source is an owned descriptor above 2.
pub(crate) fn dup_onto(fd: BorrowedFd<'_>, target: RawFd) -> Result<()> {
    // SAFETY: the standard streams are not owned by any `OwnedFd` of ours.
    let ret = unsafe { libc::dup2(fd.as_raw_fd(), target) };
    check(ret.into(), || format!("dup2({}, {target})", show(fd))).map(drop)
}

/// Receives one descriptor (`SCM_RIGHTS`, unix(7)). `None`: the peer sent none.
pub(crate) fn receive(socket: &OwnedFd) -> Result<Option<OwnedFd>> {
    receive_with(socket.as_fd(), &mut [0; 4096]).map(|(_, fd)| fd)
}

/// Receives up to `data.len()` bytes and one descriptor. 0 bytes: end-of-file.
pub(crate) fn receive_with(
    socket: BorrowedFd<'_>,
    data: &mut [u8],
) -> Result<(usize, Option<OwnedFd>)> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
    let mut data = [std::io::IoSliceMut::new(data)];
    let mut space = nix::cmsg_space!(RawFd);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = loop {
        match recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut data, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            other => break other.call(|| "recvmsg(SCM_RIGHTS)".into())?,
        }
    };
    let length = message.bytes;
    for part in message.cmsgs().call(|| "recvmsg(SCM_RIGHTS)".into())? {
        if let ControlMessageOwned::ScmRights(fds) = part
            && let Some(fd) = fds.first()
        {
            // SAFETY: the kernel has just put this descriptor into our table.
            return Ok((length, Some(unsafe { OwnedFd::from_raw_fd(*fd) })));
        }
    }
    Ok((length, None))
}

/// Sends bytes and one descriptor; returns how many bytes went.
pub(crate) fn send_with(
    socket: BorrowedFd<'_>,
    data: &[u8],
    fd: BorrowedFd<'_>,
) -> nix::Result<usize> {
    use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
    let fds = [fd.as_raw_fd()];
    let data = [std::io::IoSlice::new(data)];
    let rights = [ControlMessage::ScmRights(&fds)];
    loop {
        match sendmsg::<UnixAddr>(socket.as_raw_fd(), &data, &rights, MsgFlags::MSG_NOSIGNAL, None)
        {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// `memfd_create(2)`, executable and sealable.
pub(crate) fn memfd(name: &CStr) -> Result<OwnedFd> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // Since Linux 6.3 the mode must be said; older kernels do not know the flag (EINVAL).
    const MFD_EXEC: libc::c_uint = 0x10;
    for flags in [flags | MFD_EXEC, flags] {
        // SAFETY: the name is terminated and outlives the call.
        let ret = unsafe { libc::syscall(libc::SYS_memfd_create, name.as_ptr(), flags) };
        if ret >= 0 || Errno::last() != Errno::EINVAL {
            return check_fd(ret, || format!("memfd_create({name:?}, {flags:#x})"));
        }
    }
    Err(super::Error::new("memfd_create()", Errno::EINVAL))
}

/// Standard input (0), output (1) or error (2).
pub(crate) fn standard_stream(number: u8) -> BorrowedFd<'static> {
    // SAFETY: the standard streams stay open; std opens /dev/null for those that were closed at
    // start-up.
    unsafe { BorrowedFd::borrow_raw(number.min(2).into()) }
}

/// The number that the next new descriptor will have.
pub(crate) fn next_free(any: BorrowedFd<'_>) -> Result<RawFd> {
    // SAFETY: fcntl(2) with numbers.
    let ret = unsafe { libc::fcntl(any.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 0) };
    let fd = check_fd(ret.into(), || format!("fcntl({}, F_DUPFD_CLOEXEC, 0)", show(any)))?;
    Ok(fd.as_raw_fd())
}

/// Does `fd` name an open descriptor?
pub(crate) fn is_open(fd: RawFd) -> bool {
    // SAFETY: fcntl on a number which is no descriptor reports EBADF.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}
