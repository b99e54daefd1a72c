//! Attributes of scheduling: `sched_setattr(2)`, `ioprio_set(2)`, `sched_setaffinity(2)`.
//!
//! Runs in: parent and init. A `pid` of 0 is the caller.

use super::{Result, check};

/// `struct sched_attr` of linux/sched/types.h in its version 1, since Linux 5.3.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attr {
    pub(crate) size: u32,
    pub(crate) policy: u32,
    pub(crate) flags: u64,
    pub(crate) nice: i32,
    pub(crate) priority: u32,
    /// Runtime, deadline, period.
    pub(crate) times_ns: [u64; 3],
    pub(crate) util_min: u32,
    pub(crate) util_max: u32,
}

impl Attr {
    /// The same but for the size and the clamps.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        Self { size: 0, util_min: 0, util_max: 0, ..*self }
            == Self { size: 0, util_min: 0, util_max: 0, ..*other }
    }
}

/// `SCHED_ATTR_SIZE_VER1`; the struct above has it.
const SIZE: u32 = 56;
const _: () = assert!(size_of::<Attr>() == SIZE as usize);

/// # Errors
/// `EPERM`: no privilege, or no real-time budget in the cgroup. `EBUSY`: no CPU has that much time
/// left. `EOPNOTSUPP`: this kernel has no clamps.
pub(crate) fn sched_setattr(pid: i32, attr: &Attr) -> Result<()> {
    let attr = Attr { size: SIZE, ..*attr };
    // SAFETY: attr says its own size and outlives the call, which only reads it.
    let ret = unsafe { libc::syscall(libc::SYS_sched_setattr, pid, &raw const attr, 0) };
    check(ret, || {
        let Attr { policy, flags, nice, priority, .. } = attr;
        format!("sched_setattr({pid}, policy={policy}, flags={flags:#x}, nice={nice}, priority={priority})")
    })
    .map(drop)
}

pub(crate) fn sched_getattr(pid: i32) -> Result<Attr> {
    let mut attr = Attr::default();
    // SAFETY: attr has SIZE bytes, outlives the call, and any integers are a valid value of it.
    let ret = unsafe { libc::syscall(libc::SYS_sched_getattr, pid, &raw mut attr, SIZE, 0) };
    check(ret, || format!("sched_getattr({pid})")).map(|_| attr)
}

/// linux/ioprio.h.
const IOPRIO_WHO_PROCESS: libc::c_int = 1;

/// # Errors
/// `EPERM`: no privilege for the class or the process.
pub(crate) fn ioprio_set(pid: i32, priority: u16) -> Result<()> {
    let priority = libc::c_int::from(priority);
    // SAFETY: takes numbers only.
    let ret = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid, priority) };
    check(ret, || format!("ioprio_set(IOPRIO_WHO_PROCESS, {pid}, {priority:#x})")).map(drop)
}

pub(crate) fn ioprio_get(pid: i32) -> Result<libc::c_long> {
    // SAFETY: takes numbers only.
    let ret = unsafe { libc::syscall(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS, pid) };
    check(ret, || format!("ioprio_get(IOPRIO_WHO_PROCESS, {pid})"))
}

/// Of the calling process.
///
/// # Errors
/// `EINVAL`: none of these CPUs is there and allowed by the cpuset.
pub(crate) fn sched_setaffinity(mask: &[usize]) -> Result<()> {
    // SAFETY: the length in bytes and the pointer describe the same slice, which is only read.
    let ret =
        unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(mask), mask.as_ptr()) };
    check(ret, || "sched_setaffinity(0)".into()).map(drop)
}

/// `set_mempolicy(2)` of the calling process, with mode and flags in one.
///
/// # Errors
/// `EINVAL`: none of the nodes is there and allowed by the cpuset. `ENOSYS`: a kernel without NUMA.
pub(crate) fn set_mempolicy(mode: u32, nodes: &[usize]) -> Result<()> {
    // mm/mempolicy.c takes one off the number of bits.
    let bits = if nodes.is_empty() { 0 } else { size_of_val(nodes) * 8 + 1 };
    let mask = if nodes.is_empty() { std::ptr::null() } else { nodes.as_ptr() };
    // SAFETY: a null pointer goes with 0 bits; else mask points to the slice, which is only read,
    // and of which the kernel reads bits - 1.
    let ret = unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, mask, bits) };
    check(ret, || format!("set_mempolicy({mode:#x}, {nodes:x?}, {bits})")).map(drop)
}
