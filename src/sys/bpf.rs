//! `bpf(2)`: load a cgroup device program and attach it.
//!
//! Runs in: parent. Privilege: `CAP_BPF` or `CAP_SYS_ADMIN` in the initial user namespace.

use super::{Error, Result};
use nix::errno::Errno;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

// enum bpf_cmd, linux/bpf.h.
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_PROG_DETACH: libc::c_long = 9;
const BPF_PROG_GET_FD_BY_ID: libc::c_long = 13;
const BPF_PROG_QUERY: libc::c_long = 16;

const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 1 << 1;
const BPF_F_REPLACE: u32 = 1 << 2;

/// One instruction, `struct bpf_insn`: opcode, dst (low nibble) and src register, offset, constant.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Insn {
    pub(crate) code: u8,
    pub(crate) regs: u8,
    pub(crate) off: i16,
    pub(crate) imm: i32,
}

/// Bytes of `union bpf_attr` that we pass: more than any kernel has (168 in 7.1). The rest must be
/// zero, which the kernel checks. It must not be shorter than the kernel's own: the
/// `BPF_PROG_QUERY` of 6.17 to 7.1 writes its last field without looking at the size.
const ATTR_SIZE: usize = 256;

/// `union bpf_attr`, filled by byte offset as in linux/bpf.h.
#[repr(C, align(8))]
struct Attr([u8; ATTR_SIZE]);

impl Attr {
    fn new() -> Self {
        Self([0; ATTR_SIZE])
    }

    fn with<const N: usize>(mut self, offset: usize, bytes: [u8; N]) -> Self {
        if let Some(field) = self.0.get_mut(offset..offset + N) {
            field.copy_from_slice(&bytes);
        }
        self
    }

    fn u32(self, offset: usize, value: u32) -> Self {
        self.with(offset, value.to_ne_bytes())
    }

    fn fd(self, offset: usize, fd: BorrowedFd<'_>) -> Self {
        self.with(offset, fd.as_raw_fd().to_ne_bytes())
    }

    /// The kernel reads or writes the memory behind `pointer` during the call.
    fn pointer<T>(self, offset: usize, pointer: *const T) -> Self {
        self.with(offset, (pointer.addr() as u64).to_ne_bytes())
    }

    fn read_u32(&self, offset: usize) -> u32 {
        let bytes = self.0.get(offset..offset + 4).and_then(|b| <[u8; 4]>::try_from(b).ok());
        u32::from_ne_bytes(bytes.unwrap_or_default())
    }
}

/// # Safety
/// Every pointer stored in `attr` must point to as much memory as its length field says, writable
/// where the command writes, alive until the call returns.
unsafe fn bpf(command: libc::c_long, attr: &mut Attr) -> std::result::Result<i32, Errno> {
    // SAFETY: attr is ATTR_SIZE bytes of initialised memory, which the kernel copies in and may
    // write back to; the pointers in it are the caller's promise.
    let ret = unsafe { libc::syscall(libc::SYS_bpf, command, (&raw mut attr.0), ATTR_SIZE) };
    i32::try_from(ret).ok().filter(|ret| *ret >= 0).ok_or_else(Errno::last)
}

fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: the caller got this descriptor from a bpf(2) command that returns a new one; bpf
    // descriptors are close-on-exec from birth.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn load(program: &[Insn], log: Option<&mut [u8]>) -> std::result::Result<OwnedFd, Errno> {
    // Helpers that need a GPL-compatible licence are not used; the field must be a string, though.
    let license = c"Apache-2.0";
    let count = u32::try_from(program.len()).map_err(|_too_long| Errno::E2BIG)?;
    let mut attr = Attr::new()
        .u32(0, BPF_PROG_TYPE_CGROUP_DEVICE)
        .u32(4, count)
        .pointer(8, program.as_ptr())
        .pointer(16, license.as_ptr())
        .with(48, *b"rt_devices\0\0\0\0\0\0")
        .u32(68, BPF_CGROUP_DEVICE); // expected_attach_type
    if let Some(log) = log {
        let size = u32::try_from(log.len()).unwrap_or(u32::MAX);
        attr = attr.u32(24, 1).u32(28, size).pointer(32, log.as_mut_ptr().cast_const());
    }
    // SAFETY: insns has insn_cnt elements laid out as struct bpf_insn, license ends in NUL, the
    // log buffer was taken as a mutable slice and log_size is its length.
    unsafe { bpf(BPF_PROG_LOAD, &mut attr) }.map(owned)
}

/// Loads a `BPF_PROG_TYPE_CGROUP_DEVICE` program.
///
/// The verifier's text is asked for only after a refusal: formatting it costs more than checking.
///
/// # Errors
/// `EPERM`: no privilege (always so in a user namespace). `EINVAL`, `EACCES`: the verifier refused
/// it, its last words are in the error. `ENOMEM`/`EPERM` before Linux 5.11: `RLIMIT_MEMLOCK`.
pub(crate) fn prog_load_cgroup_device(program: &[Insn]) -> Result<OwnedFd> {
    let errno = match load(program, None) {
        Ok(fd) => return Ok(fd),
        Err(errno) => errno,
    };
    let mut call = format!("bpf(BPF_PROG_LOAD, CGROUP_DEVICE, {} instructions)", program.len());
    if matches!(errno, Errno::EINVAL | Errno::EACCES) {
        let mut log = vec![0; 64 << 10];
        if let Ok(fd) = load(program, Some(&mut log)) {
            return Ok(fd);
        }
        let text = String::from_utf8_lossy(&log);
        let text = text.trim_end_matches('\0').trim_end();
        let lines: Vec<&str> = text.lines().rev().take(4).collect();
        let last: Vec<&str> = lines.into_iter().rev().collect();
        call = format!("{call}: verifier: {}", last.join("; "));
    }
    Err(Error::new(call, errno))
}

/// Attaches a device program to a cgroup, besides those of its ancestors: all must agree.
///
/// With `replace` the given program of this very cgroup gives way in the same step.
///
/// # Errors
/// `EPERM`: an ancestor has a program that allows no others.
pub(crate) fn prog_attach(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replace: Option<BorrowedFd<'_>>,
) -> Result<()> {
    let flags =
        if replace.is_some() { BPF_F_ALLOW_MULTI | BPF_F_REPLACE } else { BPF_F_ALLOW_MULTI };
    let mut attr =
        Attr::new().fd(0, cgroup).fd(4, program).u32(8, BPF_CGROUP_DEVICE).u32(12, flags);
    if let Some(old) = replace {
        attr = attr.fd(16, old);
    }
    // SAFETY: this command has no pointers.
    match unsafe { bpf(BPF_PROG_ATTACH, &mut attr) } {
        Ok(_zero) => Ok(()),
        Err(errno) => Err(Error::new(
            format!("bpf(BPF_PROG_ATTACH, [{}], CGROUP_DEVICE)", cgroup.as_raw_fd()),
            errno,
        )),
    }
}

/// Detaches one device program from a cgroup.
pub(crate) fn prog_detach(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<()> {
    let mut attr = Attr::new().fd(0, cgroup).fd(4, program).u32(8, BPF_CGROUP_DEVICE);
    // SAFETY: this command has no pointers.
    match unsafe { bpf(BPF_PROG_DETACH, &mut attr) } {
        Ok(_zero) => Ok(()),
        Err(errno) => Err(Error::new(
            format!("bpf(BPF_PROG_DETACH, [{}], CGROUP_DEVICE)", cgroup.as_raw_fd()),
            errno,
        )),
    }
}

/// The ids of the device programs attached to this cgroup itself.
pub(crate) fn prog_query(cgroup: BorrowedFd<'_>) -> Result<Vec<u32>> {
    const MOST: u32 = 64; // BPF_CGROUP_MAX_PROGS
    let mut ids = [0_u32; MOST as usize];
    let mut attr = Attr::new()
        .fd(0, cgroup)
        .u32(4, BPF_CGROUP_DEVICE)
        .pointer(16, ids.as_mut_ptr().cast_const())
        .u32(24, MOST);
    // SAFETY: prog_ids has room for prog_cnt elements and was taken as a mutable pointer.
    match unsafe { bpf(BPF_PROG_QUERY, &mut attr) } {
        Ok(_zero) => {
            let count = usize::try_from(attr.read_u32(24)).unwrap_or(0);
            Ok(ids.iter().copied().take(count).collect())
        }
        Err(errno) => Err(Error::new(
            format!("bpf(BPF_PROG_QUERY, [{}], CGROUP_DEVICE)", cgroup.as_raw_fd()),
            errno,
        )),
    }
}

/// Opens a program by its id.
///
/// # Errors
/// `ENOENT`: it is gone. `EPERM`: needs `CAP_SYS_ADMIN`.
pub(crate) fn prog_get_fd_by_id(id: u32) -> Result<OwnedFd> {
    let mut attr = Attr::new().u32(0, id);
    // SAFETY: this command has no pointers.
    match unsafe { bpf(BPF_PROG_GET_FD_BY_ID, &mut attr) } {
        Ok(fd) => Ok(owned(fd)),
        Err(errno) => Err(Error::new(format!("bpf(BPF_PROG_GET_FD_BY_ID, {id})"), errno)),
    }
}
