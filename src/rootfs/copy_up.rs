//! tmpcopyup: copies what the image has at a destination into the tmpfs that will cover it.
//!
//! Runs in: init, before `pivot_root`, into a mount that is not attached yet. Files, directories,
//! links and nodes keep mode and owner; nothing outside the two directories can be reached.

use crate::sys::fd::{openat2, resolve};
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result, ensure};
use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, mkdirat, mknodat};
use nix::unistd::{Gid, Uid, fchown, fchownat, symlinkat};
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

const BELOW: u64 = resolve::BENEATH | resolve::NO_SYMLINKS | resolve::NO_MAGICLINKS;

/// Copies the content of directory `from` into directory `to`.
pub(crate) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    // Both may be O_PATH descriptors.
    let from = open_dir(from, c".")?;
    let to = open_dir(to, c".")?;
    tree(from, &to)
}

fn open_dir(dir: BorrowedFd<'_>, name: &CStr) -> sys::Result<OwnedFd> {
    openat2(dir, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY, 0, BELOW)
}

fn own(to: &OwnedFd, status: &FileStat) -> sys::Result<()> {
    let owner = (Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)));
    fchown(to, owner.0, owner.1).call(|| format!("fchown({})", sys::show(to.as_fd())))?;
    // After chown, which clears the setuid and setgid bits.
    fchmod(to, permissions(status)).call(|| format!("fchmod({})", sys::show(to.as_fd())))
}

fn permissions(status: &FileStat) -> Mode {
    Mode::from_bits_truncate(status.st_mode & 0o7777)
}

fn tree(from: OwnedFd, to: &OwnedFd) -> Result<()> {
    let mut entries = Dir::from_fd(from).call(|| "fdopendir()".into())?;
    let mut names = Vec::new();
    for entry in entries.iter() {
        let entry = entry.call(|| "readdir()".into())?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    for name in names {
        entry(entries.as_fd(), to, &name).with_context(|| format!("copy {name:?}"))?;
    }
    Ok(())
}

fn entry(from: BorrowedFd<'_>, to: &OwnedFd, name: &CStr) -> Result<()> {
    // A payload may exchange files while its mounts change (`rt mounts add`): what is copied and what
    // is looked at must be the same file.
    let it = openat2(from, name, OFlag::O_PATH | OFlag::O_NOFOLLOW, 0, BELOW)?;
    let status = status_of(&it, name)?;
    let kind = kind_of(&status);
    match kind {
        SFlag::S_IFDIR => {
            mkdirat(to, name, Mode::from_bits_truncate(0o700))
                .call(|| format!("mkdirat({name:?})"))?;
            let made = open_dir(to.as_fd(), name)?;
            tree(open_dir(it.as_fd(), c".")?, &made)?;
            own(&made, &status)?;
        }
        SFlag::S_IFLNK => {
            let target = readlinkat(&it, c"").call(|| format!("readlinkat({name:?})"))?;
            symlinkat(target.as_bytes(), to, name).call(|| format!("symlinkat({name:?})"))?;
            own_link(to, name, &status)?;
        }
        SFlag::S_IFREG => {
            // Without O_NONBLOCK, whoever swaps in a FIFO meanwhile makes this wait for ever.
            let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
            let source = openat2(from, name, flags, 0, BELOW)?;
            let status = status_of(&source, name)?;
            ensure!(kind_of(&status) == SFlag::S_IFREG, "it changes while it is copied");
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
            let made = openat2(to.as_fd(), name, flags, 0o600, BELOW)?;
            own(&made, &status)?;
            std::io::copy(&mut File::from(source), &mut File::from(made))?;
        }
        _ => {
            mknodat(to, name, kind, permissions(&status), status.st_rdev)
                .call(|| format!("mknodat({name:?})"))?;
            own_link(to, name, &status)?;
        }
    }
    Ok(())
}

fn status_of(file: &OwnedFd, name: &CStr) -> sys::Result<FileStat> {
    fstat(file).call(|| format!("fstat({name:?})"))
}

fn kind_of(status: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits())
}

fn own_link(to: &OwnedFd, name: &CStr, status: &FileStat) -> sys::Result<()> {
    let owner = (Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)));
    fchownat(to, name, owner.0, owner.1, AtFlags::AT_SYMLINK_NOFOLLOW)
        .call(|| format!("fchownat({name:?})"))
}
