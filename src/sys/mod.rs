//! System calls that `nix` does not wrap, under the names of their man pages.
//!
//! Runs in: any process. Knows nothing about containers. Allocates on the error path only.
#![expect(unsafe_code, reason = "the one place that talks to the kernel directly")]

pub(crate) mod bpf;
pub(crate) mod clone;
pub(crate) mod fd;
pub(crate) mod keyring;
pub(crate) mod landlock;
#[cfg(test)]
pub(crate) mod libseccomp;
#[cfg(not(test))] // whose tests have threads
pub(crate) mod memory;
pub(crate) mod mount;
pub(crate) mod net;
pub(crate) mod netlink;
pub(crate) mod probe;
pub(crate) mod sched;
pub(crate) mod seccomp;
pub(crate) mod start;
pub(crate) mod tty;

use nix::errno::Errno;
use std::ffi::CStr;
use std::fmt;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// A system call that failed, written the way strace would write it.
#[derive(Debug)]
pub(crate) struct Error {
    call: String,
    pub(crate) errno: Errno,
}

impl Error {
    pub(crate) fn new(call: impl Into<String>, errno: Errno) -> Self {
        Self { call: call.into(), errno }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({:?})", self.call, reason(self.errno), self.errno)
    }
}

impl std::error::Error for Error {}

/// strerror's text in lower case, as Go programs write it: engines that were made for runc
/// match "permission denied" or "no such file or directory" (`docs/engines.md`).
pub(crate) fn reason(errno: Errno) -> String {
    let text = errno.desc();
    let keep = text.chars().nth(1).is_some_and(char::is_uppercase);
    if keep { text.to_string() } else { text.to_lowercase() }
}

/// Result of a system call.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Names the call of a failed `nix` function.
pub(crate) trait Call<T> {
    fn call(self, call: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Call<T> for nix::Result<T> {
    fn call(self, call: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno| Error::new(call(), errno))
    }
}

/// Turns -1 into the errno with the text of the call.
fn check(ret: libc::c_long, call: impl FnOnce() -> String) -> Result<libc::c_long> {
    if ret < 0 { Err(Error::new(call(), Errno::last())) } else { Ok(ret) }
}

/// Like [`check`], for calls that return a new descriptor.
fn check_fd(ret: libc::c_long, call: impl FnOnce() -> String) -> Result<OwnedFd> {
    let fd = check(ret, call)?;
    #[expect(clippy::cast_possible_truncation, reason = "descriptors are ints")]
    // SAFETY: the kernel has just returned this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}

/// `[5]<"/run/rt/web">`: a descriptor and what it referred to when the call failed.
pub(crate) fn show(fd: BorrowedFd<'_>) -> String {
    let fd = fd.as_raw_fd();
    if fd == libc::AT_FDCWD {
        return "AT_FDCWD".into();
    }
    match std::fs::read_link(format!("/proc/self/fd/{fd}")) {
        Ok(path) => format!("[{fd}]<{}>", path.display()),
        Err(_) => format!("[{fd}]"),
    }
}

/// `_exit(2)`: no destructors, no atexit handlers, no abort.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: takes a number only.
    unsafe { libc::syscall(libc::SYS_exit_group, code) };
    // A seccomp filter forbids it, and libc's _exit would try for ever.
    trap()
}

/// Ends the process by a fault, which no filter can forbid: SIGILL or SIGTRAP, forced by the kernel
/// on the first process of a pid namespace, too.
fn trap() -> ! {
    // SAFETY: the instruction is defined to fault.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("ud2", options(noreturn, nostack))
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("udf #0", options(noreturn, nostack))
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    loop {
        std::hint::spin_loop();
    }
}

/// `prctl(2)` for the operations that take plain numbers.
pub(crate) fn prctl(
    name: &str,
    option: libc::c_int,
    arg2: libc::c_ulong,
    arg3: libc::c_ulong,
) -> Result<libc::c_int> {
    // SAFETY: none of the operations used by callers takes a pointer.
    let ret = unsafe { libc::prctl(option, arg2, arg3, 0, 0) };
    check(ret.into(), || format!("prctl({name}, {arg2}, {arg3})")).map(|_| ret)
}

/// `prctl(PR_SET_NAME)`: the name that ps(1) shows for the calling thread.
pub(crate) fn set_name(name: &CStr) {
    // SAFETY: the string is terminated and outlives the call; the kernel copies at most 16 bytes.
    // A failure would only leave another name in the process list.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// `setdomainname(2)`.
///
/// # Errors
/// `EPERM`: no `CAP_SYS_ADMIN` in the user namespace that owns the UTS namespace.
pub(crate) fn setdomainname(name: &str) -> Result<()> {
    // SAFETY: pointer and length describe the same string.
    let ret = unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) };
    check(ret.into(), || format!("setdomainname({name:?})")).map(drop)
}

/// `personality(2)`: the execution domain of this process and what it executes.
pub(crate) fn personality(domain: u32) -> Result<()> {
    // SAFETY: takes a number only.
    let ret = unsafe { libc::personality(domain.into()) };
    check(ret.into(), || format!("personality({domain:#x})")).map(drop)
}

/// `execve(2)`. Returns only when it failed.
pub(crate) fn execve(program: &CStr, argv: &[&CStr], envp: &[&CStr]) -> Errno {
    match nix::unistd::execve(program, argv, envp) {
        Ok(never) => match never {},
        Err(errno) => errno,
    }
}

/// `execveat(2)` of an open file. Returns only when it failed.
pub(crate) fn fexecve(
    file: BorrowedFd<'_>,
    argv: &[std::ffi::CString],
    envp: &[std::ffi::CString],
) -> Error {
    match nix::unistd::execveat(file, c"", argv, envp, nix::fcntl::AtFlags::AT_EMPTY_PATH) {
        Ok(never) => match never {},
        Err(errno) => Error::new(format!("execveat({}, AT_EMPTY_PATH)", show(file)), errno),
    }
}

/// Raw `setgroups(2)`, `setresgid(2)`, `setresuid(2)`: libc's wrappers would signal all threads.
pub(crate) fn setgroups(gids: &[libc::gid_t]) -> Result<()> {
    // SAFETY: pointer and length describe the same slice.
    let ret = unsafe { libc::syscall(libc::SYS_setgroups, gids.len(), gids.as_ptr()) };
    check(ret, || format!("setgroups({gids:?})")).map(drop)
}

pub(crate) fn setresgid(gid: libc::gid_t) -> Result<()> {
    // SAFETY: takes numbers only.
    let ret = unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) };
    check(ret, || format!("setresgid({gid}, {gid}, {gid})")).map(drop)
}

pub(crate) fn setresuid(uid: libc::uid_t) -> Result<()> {
    // SAFETY: takes numbers only.
    let ret = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
    check(ret, || format!("setresuid({uid}, {uid}, {uid})")).map(drop)
}

/// `prlimit(2)` of another process, limits in the units of getrlimit(2).
pub(crate) fn prlimit(pid: i32, resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the struct outlives the call, the old limit is not asked for.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            pid,
            resource,
            &raw const limit,
            std::ptr::null_mut::<libc::rlimit64>(),
        )
    };
    check(ret, || format!("prlimit({pid}, {resource}, {{{soft}, {hard}}})")).map(drop)
}

/// `getrlimit(2)`: soft and hard limit of this process.
pub(crate) fn getrlimit(resource: u32) -> Result<(u64, u64)> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: limit is a whole rlimit64 that outlives the call; a null new limit sets nothing.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            std::ptr::null::<libc::rlimit64>(),
            &raw mut limit,
        )
    };
    check(ret, || format!("getrlimit({resource})"))?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Resets ignored signals (bit n - 1 is signal n) to their default disposition and empties the
/// mask. Handlers need no reset: execve(2) does it.
pub(crate) fn reset_signals(ignored: u64) -> Result<()> {
    for signal in (1..=64).filter(|signal| ignored & (1 << (signal - 1)) != 0) {
        // SAFETY: SIG_DFL installs no handler. libc refuses its own signals, which nobody sends.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    nix::sys::signal::SigSet::empty()
        .thread_set_mask()
        .call(|| "sigprocmask(SIG_SETMASK, [])".into())
}

/// `capset(2)` of the calling thread: effective, permitted and inheritable set at once.
///
/// # Errors
/// `EPERM`: asks for a capability that the process does not have.
pub(crate) fn capset(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: libc::c_int,
    }
    #[repr(C)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    #[expect(clippy::cast_possible_truncation, reason = "the sets are passed as two halves")]
    let half = |shift: u32| Data {
        effective: (effective >> shift) as u32,
        permitted: (permitted >> shift) as u32,
        inheritable: (inheritable >> shift) as u32,
    };
    // _LINUX_CAPABILITY_VERSION_3
    let header = Header { version: 0x2008_0522, pid: 0 };
    let data = [half(0), half(32)];
    // SAFETY: version 3 reads the header and two data structs, which outlive the call.
    let ret = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    check(ret, || {
        format!("capset(effective={effective:#x}, permitted={permitted:#x}, inheritable={inheritable:#x})")
    })
    .map(drop)
}
