//! landlock(7).

use super::{Result, check, check_fd, show};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

/// `struct landlock_ruleset_attr` of version 6. Older kernels take it while what they do not know is 0.
#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneathAttr {
    allowed_access: u64,
    parent_fd: i32,
}

/// `struct landlock_net_port_attr`.
#[repr(C)]
struct NetPortAttr {
    allowed_access: u64,
    port: u64,
}

// `enum landlock_rule_type`
const PATH_BENEATH: libc::c_uint = 1;
const NET_PORT: libc::c_uint = 2;

/// `landlock_create_ruleset(2)`: a close-on-exec descriptor. The arguments are the rights which need a
/// rule: `LANDLOCK_ACCESS_FS_*`, `LANDLOCK_ACCESS_NET_*`, and `LANDLOCK_SCOPE_*`.
///
/// # Errors
/// `E2BIG`, `EINVAL`: a right that the kernel does not know; see [`super::probe::landlock_abi`].
/// `ENOMSG`: no right at all.
pub(crate) fn create_ruleset(files: u64, net: u64, scoped: u64) -> Result<OwnedFd> {
    let attr = RulesetAttr { handled_access_fs: files, handled_access_net: net, scoped };
    // SAFETY: the kernel reads as many bytes as the struct has.
    let ret = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attr, size_of_val(&attr), 0)
    };
    check_fd(ret, || format!("landlock_create_ruleset({files:#x}, {net:#x}, {scoped:#x})"))
}

/// `landlock_add_rule(2)`: what is allowed for a file, or for a directory and all below it.
///
/// # Errors
/// `EINVAL`: rights of directories for a file. `EBADFD`: a file of no file system that can be named.
pub(crate) fn add_path(ruleset: BorrowedFd<'_>, file: BorrowedFd<'_>, rights: u64) -> Result<()> {
    let attr = PathBeneathAttr { allowed_access: rights, parent_fd: file.as_raw_fd() };
    // SAFETY: the kernel reads a struct of this type.
    let ret = unsafe { add(ruleset, PATH_BENEATH, (&raw const attr).cast()) };
    let call = || format!("landlock_add_rule(PATH_BENEATH, {}, {rights:#x})", show(file));
    check(ret, call).map(drop)
}

/// The same for a TCP port.
pub(crate) fn add_port(ruleset: BorrowedFd<'_>, port: u16, rights: u64) -> Result<()> {
    let attr = NetPortAttr { allowed_access: rights, port: u64::from(port) };
    // SAFETY: the kernel reads a struct of this type.
    let ret = unsafe { add(ruleset, NET_PORT, (&raw const attr).cast()) };
    check(ret, || format!("landlock_add_rule(NET_PORT, {port}, {rights:#x})")).map(drop)
}

/// # Safety
/// `attr` points to the struct that belongs to `kind`.
unsafe fn add(
    ruleset: BorrowedFd<'_>,
    kind: libc::c_uint,
    attr: *const libc::c_void,
) -> libc::c_long {
    // SAFETY: the caller's promise; the kernel only reads.
    unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), kind, attr, 0) }
}

/// `landlock_restrict_self(2)`: for good, for this thread and its future children.
///
/// # Errors
/// `EPERM`: neither `no_new_privs` nor `CAP_SYS_ADMIN` in the user namespace. `E2BIG`: there are 16
/// rulesets around us already.
pub(crate) fn restrict_self(ruleset: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: takes numbers only.
    let ret = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
    check(ret, || "landlock_restrict_self()".into()).map(drop)
}
