//! The mount API of Linux 5.2 and later: mounts are descriptors until they are attached.
//!
//! Runs in: parent (detached trees) and init. Man pages: `open_tree(2)`, `move_mount(2)`, fsopen(2),
//! fsconfig(2), fsmount(2), `mount_setattr(2)`.

use super::{Result, check, check_fd, show};
use nix::errno::Errno;
pub(crate) use nix::fcntl::AT_FDCWD;
use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;

/// Whether a call takes the mounts below with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recursive {
    Yes,
    No,
}

const AT_RECURSIVE: libc::c_uint = 0x8000;
const AT_EMPTY_PATH: libc::c_uint = 0x1000;
const OPEN_TREE_CLONE: libc::c_uint = 1;
const OPEN_TREE_CLOEXEC: libc::c_uint = libc::O_CLOEXEC.cast_unsigned();

fn recursive_flag(recursive: Recursive) -> libc::c_uint {
    match recursive {
        Recursive::Yes => AT_RECURSIVE,
        Recursive::No => 0,
    }
}

/// `open_tree(2)` with `OPEN_TREE_CLONE`: a detached copy of the mount at `path`, or of `dir`
/// itself when `path` is empty.
///
/// # Errors
/// `EINVAL`: a mount of another mount namespace. `EPERM`: no `CAP_SYS_ADMIN` over the mount
/// namespace.
pub(crate) fn open_tree(
    dir: BorrowedFd<'_>,
    path: &CStr,
    recursive: Recursive,
    extra: i32,
) -> Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE
        | OPEN_TREE_CLOEXEC
        | AT_EMPTY_PATH
        | recursive_flag(recursive)
        | extra.cast_unsigned();
    // SAFETY: path is terminated and outlives the call.
    let ret = unsafe { libc::syscall(libc::SYS_open_tree, dir.as_raw_fd(), path.as_ptr(), flags) };
    check_fd(ret, || format!("open_tree({}, {path:?}, OPEN_TREE_CLONE)", show(dir)))
}

/// `openat(2)` with `O_PATH`: a name for something, without the right to use it.
pub(crate) fn open_path(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: path is terminated and outlives the call.
    let ret = unsafe { libc::openat(dir.as_raw_fd(), path.as_ptr(), flags) };
    check_fd(ret.into(), || format!("openat({}, {path:?}, O_PATH)", show(dir)))
}

/// `move_mount(2)` of a detached mount onto an open directory or file.
///
/// # Errors
/// `ENOENT`: the target was removed. `EINVAL`: a file over a directory or reverse, among others.
/// `ENOSPC`: fs.mount-max.
pub(crate) fn move_mount(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<()> {
    const BOTH_EMPTY: libc::c_uint = 0x4 | 0x40;
    // SAFETY: both strings are terminated literals.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            target.as_raw_fd(),
            c"".as_ptr(),
            BOTH_EMPTY,
        )
    };
    check(ret, || format!("move_mount({}, \"\", {}, \"\")", show(mount), show(target))).map(drop)
}

/// A file system being configured: `fsopen(2)`, `fsconfig(2)`, then `fsmount(2)`.
pub(crate) struct FsContext {
    fd: OwnedFd,
    fstype: String,
}

impl FsContext {
    /// # Errors
    /// `ENODEV`: the kernel has no such file system. `EPERM`: not in this user namespace.
    pub(crate) fn open(fstype: &CStr) -> Result<Self> {
        // SAFETY: the string is terminated and outlives the call.
        let ret = unsafe { libc::syscall(libc::SYS_fsopen, fstype.as_ptr(), 1) };
        let name = fstype.to_string_lossy().into_owned();
        let fd = check_fd(ret, || format!("fsopen({name:?})"))?;
        Ok(Self { fd, fstype: name })
    }

    pub(crate) fn set_string(&self, key: &CStr, value: &CStr) -> Result<()> {
        self.config(1, Some(key), Some(value), 0)
    }

    pub(crate) fn set_flag(&self, key: &CStr) -> Result<()> {
        self.config(0, Some(key), None, 0)
    }

    pub(crate) fn set_fd(&self, key: &CStr, fd: BorrowedFd<'_>) -> Result<()> {
        self.config(5, Some(key), None, fd.as_raw_fd())
    }

    /// Makes the superblock.
    pub(crate) fn create(&self) -> Result<()> {
        self.config(6, None, None, 0)
    }

    fn config(
        &self,
        command: libc::c_uint,
        key: Option<&CStr>,
        value: Option<&CStr>,
        aux: i32,
    ) -> Result<()> {
        let null = std::ptr::null();
        // SAFETY: null or terminated strings that outlive the call, as each command wants.
        let ret = unsafe {
            libc::syscall(
                libc::SYS_fsconfig,
                self.fd.as_raw_fd(),
                command,
                key.map_or(null, CStr::as_ptr),
                value.map_or(null, CStr::as_ptr),
                aux,
            )
        };
        check(ret, || {
            let what = match (key, value) {
                (Some(key), Some(value)) => format!("SET_STRING, {key:?}, {value:?}"),
                (Some(key), None) if command == 5 => format!("SET_FD, {key:?}"),
                (Some(key), None) => format!("SET_FLAG, {key:?}"),
                (None, _) => "CMD_CREATE".into(),
            };
            format!("fsconfig({}, {what}){}", self.fstype, self.messages())
        })
        .map(drop)
    }

    /// A detached mount of the superblock with `MOUNT_ATTR_*` bits.
    pub(crate) fn mount(self, attributes: u64) -> Result<OwnedFd> {
        // SAFETY: takes numbers only.
        let ret = unsafe { libc::syscall(libc::SYS_fsmount, self.fd.as_raw_fd(), 1, attributes) };
        let mount = check_fd(ret, || {
            format!("fsmount({}, {attributes:#x}){}", self.fstype, self.messages())
        })?;
        super::fd::leave([self.fd]);
        Ok(mount)
    }

    /// What the file system has to say about a failure, see fsopen(2).
    fn messages(&self) -> String {
        let errno = Errno::last();
        let mut text = String::new();
        let mut buf = [0; 512];
        while let Ok(n) = nix::unistd::read(&self.fd, &mut buf) {
            let line = String::from_utf8_lossy(buf.get(..n).unwrap_or_default());
            text.push_str(&format!(" [{}]", line.get(2..).unwrap_or_default().trim_end()));
        }
        errno.set();
        text
    }
}

/// What `mount_setattr(2)` changes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) set: u64,
    pub(crate) clear: u64,
    /// One of `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE`, `MS_UNBINDABLE`; 0 for unchanged.
    pub(crate) propagation: u64,
}

/// `mount_setattr(2)` (since Linux 5.12) on an open mount.
///
/// # Errors
/// `EPERM`: clears a locked attribute. `EINVAL`: not the root of a mount.
pub(crate) fn mount_setattr(
    mount: BorrowedFd<'_>,
    recursive: Recursive,
    change: Attributes,
) -> Result<()> {
    setattr(mount, recursive, change, None)
}

/// Maps the ids of a detached mount by a user namespace (since Linux 5.12).
///
/// # Errors
/// `EINVAL`: the file system does not support it. `EPERM`: the mount is mapped already or visible.
pub(crate) fn idmap(
    mount: BorrowedFd<'_>,
    recursive: Recursive,
    userns: BorrowedFd<'_>,
) -> Result<()> {
    setattr(
        mount,
        recursive,
        Attributes { set: MOUNT_ATTR_IDMAP, ..Attributes::default() },
        Some(userns),
    )
}

fn setattr(
    mount: BorrowedFd<'_>,
    recursive: Recursive,
    change: Attributes,
    userns: Option<BorrowedFd<'_>>,
) -> Result<()> {
    // SAFETY: mount_attr is nothing but integers, and all zero means no change.
    let mut arg: libc::mount_attr = unsafe { std::mem::zeroed() };
    arg.attr_set = change.set;
    arg.attr_clr = change.clear;
    arg.propagation = change.propagation;
    arg.userns_fd = userns.map_or(0, |fd| u64::from(fd.as_raw_fd().cast_unsigned()));
    // SAFETY: the struct outlives the call and the size is its own; the path is a literal.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            AT_EMPTY_PATH | recursive_flag(recursive),
            &raw const arg,
            size_of::<libc::mount_attr>(),
        )
    };
    check(ret, || {
        format!(
            "mount_setattr({}, set={:#x}, clear={:#x}, propagation={:#x}, {recursive:?})",
            show(mount),
            change.set,
            change.clear,
            change.propagation
        )
    })
    .map(drop)
}

/// `umount2(2)` with `MNT_DETACH`.
///
/// # Errors
/// `EINVAL`: nothing is mounted there, or in another mount namespace, or locked by one.
pub(crate) fn detach(path: &CStr) -> Result<()> {
    // SAFETY: the path is terminated and outlives the call.
    let ret = unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    check(ret.into(), || format!("umount2({path:?}, MNT_DETACH)")).map(drop)
}

/// What `statx(2)` tells of the mount that a descriptor is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MountOf {
    pub(crate) id: u64,
    /// The descriptor is the root of the mount.
    pub(crate) is_root: bool,
}

/// `statx(2)` with `STATX_MNT_ID` (since Linux 5.8).
pub(crate) fn mount_of(fd: BorrowedFd<'_>) -> Result<MountOf> {
    const STATX_MNT_ID: libc::c_uint = 0x1000;
    const STATX_ATTR_MOUNT_ROOT: u64 = 0x2000;
    // SAFETY: statx is nothing but integers.
    let mut buf: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a literal, and the buffer outlives the call.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_statx,
            fd.as_raw_fd(),
            c"".as_ptr(),
            AT_EMPTY_PATH,
            STATX_MNT_ID,
            &raw mut buf,
        )
    };
    check(ret, || format!("statx({})", show(fd)))?;
    Ok(MountOf { id: buf.stx_mnt_id, is_root: buf.stx_attributes & STATX_ATTR_MOUNT_ROOT != 0 })
}

/// `pivot_root(2)` onto the current directory; the old root is stacked on it.
pub(crate) fn pivot_root_here() -> Result<()> {
    // SAFETY: the paths are literals.
    let ret = unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) };
    check(ret, || "pivot_root(\".\", \".\")".into()).map(drop)
}

/// The classic `mount(2)`, for what the new API cannot say: options longer than 255 bytes and
/// moving an attached mount.
pub(crate) fn mount(
    source: &CStr,
    target: &CStr,
    fstype: &CStr,
    flags: libc::c_ulong,
    data: &CStr,
) -> Result<()> {
    // SAFETY: all strings are terminated and outlive the call.
    let ret = unsafe {
        libc::mount(source.as_ptr(), target.as_ptr(), fstype.as_ptr(), flags, data.as_ptr().cast())
    };
    check(ret.into(), || format!("mount({source:?}, {target:?}, {fstype:?}, {flags:#x}, {data:?})"))
        .map(drop)
}
