//! Protects our own executable from the container (CVE-2019-5736).
//!
//! Runs in: parent, first of all. A payload can reach its /proc/PID/exe, which is `rt` until
//! execve(2), and for ever when it runs "/proc/self/exe". So `rt` runs itself again from a copy
//! that nobody can write to: a detached read-only bind mount of the same file, which is free, or
//! a sealed memfd where mounts are not allowed. `docs/decisions/0004-sealed-executable.md` has
//! the measurements.

use crate::plan::mount::attr;
use crate::sys::mount::{self, Attributes, Recursive};
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::sys::statfs::statfs;
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

const EXE: &str = "/proc/self/exe";

/// Returns at once when we are protected already; else executes ourselves anew.
pub(crate) fn run_sealed(args: &[OsString]) -> Result<()> {
    // A file system that cannot be written to, or our own read-only mount.
    let read_only =
        statfs(EXE).is_ok_and(|fs| fs.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY));
    if read_only {
        sys::set_name(c"rt");
        return Ok(());
    }
    let exe = sys::fd::open(Path::new(EXE), OFlag::O_RDONLY)?;
    let seals = fcntl(&exe, FcntlArg::F_GET_SEALS).map(SealFlag::from_bits_truncate);
    if seals.is_ok_and(|seals| seals.contains(SealFlag::F_SEAL_WRITE)) {
        sys::set_name(c"rt");
        return Ok(());
    }
    let sealed = match read_only_mount(&exe) {
        Ok(mount) => mount,
        // No CAP_SYS_ADMIN over the mount namespace: an ordinary user.
        Err(_) => memfd(&exe)?,
    };
    let argv: Vec<CString> =
        args.iter().map(|arg| CString::new(arg.as_bytes())).collect::<Result<_, _>>()?;
    let env: Vec<CString> = std::env::vars_os()
        .map(|(key, value)| {
            let mut entry = key.into_vec();
            entry.push(b'=');
            entry.extend(value.into_vec());
            CString::new(entry)
        })
        .collect::<Result<_, _>>()?;
    Err(sys::fexecve(sealed.as_fd(), &argv, &env)).context("run the sealed copy of rt")
}

fn read_only_mount(exe: &OwnedFd) -> sys::Result<OwnedFd> {
    let tree = mount::open_tree(exe.as_fd(), c"", Recursive::No, 0)?;
    let read_only = Attributes { set: attr::RDONLY, ..Attributes::default() };
    mount::mount_setattr(tree.as_fd(), Recursive::No, read_only)?;
    Ok(tree)
}

fn memfd(exe: &OwnedFd) -> Result<OwnedFd> {
    let copy = sys::fd::memfd(c"rt")?;
    let mut from = std::fs::File::from(exe.try_clone()?);
    let mut to = std::fs::File::from(copy.try_clone()?);
    std::io::copy(&mut from, &mut to).context("copy rt into a memfd")?;
    let seals = SealFlag::F_SEAL_SEAL
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE;
    // EBUSY: other CPUs still have pages of the copy in hand for their lists. The kernel waits for
    // them 150 ms (mm/memfd.c, memfd_wait_for_pins), which a busy machine can exceed.
    let mut attempts = 20;
    let sealed = loop {
        match fcntl(&copy, FcntlArg::F_ADD_SEALS(seals)) {
            Err(Errno::EBUSY) if attempts > 1 => attempts -= 1,
            sealed => break sealed,
        }
    };
    sealed.call(|| "fcntl(F_ADD_SEALS)".into())?;
    Ok(copy)
}
