//! Device nodes and the links in /dev.
//!
//! Runs in: init, before `pivot_root`: a node that may not be made is bound from the host's /dev.

use super::mount::attach;
use super::path::{LastLink, Root, is_device, make_file, split};
use crate::plan::mount::attr;
use crate::plan::rootfs::{Device, DeviceKind, Symlink};
use crate::sys::mount::{self as api, Recursive};
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstatat, mknodat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, symlinkat, unlinkat};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, OwnedFd};

/// The directory of the last node or link, since the next one is most often in the same. Must be
/// forgotten when something is mounted.
#[derive(Default)]
pub(crate) struct LastDir(Option<(CString, OwnedFd)>);

impl LastDir {
    fn of<'a>(&'a mut self, root: &Root, path: &CStr) -> Result<(&'a OwnedFd, CString)> {
        let Some((parent, name)) = split(path)? else { bail!("{path:?} names no file") };
        if self.0.as_ref().is_none_or(|(last, _)| *last != parent) {
            let dir = root.make_dirs(&parent)?;
            self.0 = Some((parent, dir));
        }
        match &self.0 {
            Some((_, dir)) => Ok((dir, name)),
            None => bail!("internal error, please report: no directory for {path:?}"),
        }
    }
}

pub(crate) fn make(root: &Root, last: &mut LastDir, device: &Device) -> Result<()> {
    let (dir, name) = last.of(root, &device.target.path)?;
    let kind = match device.kind {
        DeviceKind::Block => SFlag::S_IFBLK,
        DeviceKind::Character => SFlag::S_IFCHR,
        DeviceKind::Fifo => SFlag::S_IFIFO,
    };
    let number = libc::makedev(device.major, device.minor);
    let mode = Mode::from_bits_truncate(device.mode);
    match mknodat(dir, name.as_c_str(), kind, mode, number) {
        Ok(()) => {}
        Err(Errno::EEXIST) => return existing(dir, &name, device, kind, number),
        Err(Errno::EPERM) if device.kind != DeviceKind::Fifo => {
            return bind(dir, &name, device, kind, number);
        }
        Err(errno) => {
            let call = format!("mknodat({}, {name:?}, {:o})", sys::show(dir.as_fd()), device.mode);
            return Err(sys::Error::new(call, errno).into());
        }
    }
    // The name is the node made above: nobody else is in this mount namespace yet. Links are not
    // followed all the same.
    let (uid, gid) = (Uid::from_raw(device.uid), Gid::from_raw(device.gid));
    if device.uid != 0 || device.gid != 0 {
        fchownat(dir, name.as_c_str(), Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
            .call(|| format!("fchownat({name:?}, {uid}, {gid})"))?;
    }
    // Init's umask is empty, so mknodat(2) gave the right mode; chown may have cleared bits of it.
    if device.mode & 0o6000 != 0 {
        fchmodat(dir, name.as_c_str(), mode, FchmodatFlags::FollowSymlink)
            .call(|| format!("fchmodat({name:?}, {:o})", device.mode))?;
    }
    Ok(())
}

/// An image may ship its nodes, and an earlier container may have left an empty file to bind one
/// over. Anything else of that name is not what the config asks for.
fn existing(dir: &OwnedFd, name: &CStr, device: &Device, kind: SFlag, number: u64) -> Result<()> {
    let status =
        fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).call(|| format!("fstatat({name:?})"))?;
    let found = SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits());
    if found == kind && (kind == SFlag::S_IFIFO || status.st_rdev == number) {
        return Ok(());
    }
    if found == SFlag::S_IFREG && status.st_size == 0 && kind != SFlag::S_IFIFO {
        return bind(dir, name, device, kind, number);
    }
    bail!("{name:?} exists in the image and is something else")
}

/// mknod(2) is not for user namespaces: shows the host's node of the same name.
fn bind(dir: &OwnedFd, name: &CStr, device: &Device, kind: SFlag, number: u64) -> Result<()> {
    let source = api::open_tree(api::AT_FDCWD, &device.target.path, Recursive::No, 0)
        .context("mknod(2) is not allowed here, and the host's node cannot be bound")?;
    if !is_device(&source, kind, number)? {
        bail!(
            "mknod(2) is not allowed here, and the host's {:?} is not the {} device {}:{}",
            device.target.path,
            if kind == SFlag::S_IFBLK { "block" } else { "character" },
            device.major,
            device.minor
        );
    }
    // Reading and writing a device works on a read-only mount; changing the host's node does not.
    let sealed = api::Attributes { set: attr::RDONLY | attr::NOSUID, ..Default::default() };
    api::mount_setattr(source.as_fd(), Recursive::No, sealed)?;
    let target = make_file(dir.as_fd(), name)?;
    attach(source, target)
}

pub(crate) fn link(root: &Root, last: &mut LastDir, link: &Symlink) -> Result<()> {
    let (dir, name) = last.of(root, &link.target.path)?;
    if link.replace {
        match unlinkat(dir, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
            // EROFS and EPERM: symlinkat below has the last word.
            Ok(()) | Err(Errno::ENOENT | Errno::EROFS | Errno::EPERM) => {}
            Err(errno) => return Err(sys::Error::new(format!("unlinkat({name:?})"), errno).into()),
        }
    }
    match symlinkat(link.to.as_c_str(), dir, name.as_c_str()) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        // An image on a read-only file system either has the links or does without.
        Err(Errno::EROFS) => Ok(()),
        Err(errno) => {
            Err(sys::Error::new(format!("symlinkat({:?}, {name:?})", link.to), errno).into())
        }
    }
}

/// The container's /dev/console: the slave of the pty that the engine holds.
pub(crate) fn bind_console(root: &Root, slave: &OwnedFd) -> Result<()> {
    let dir = root.open(c"/dev", LastLink::Follow)?;
    let target = make_file(dir.as_fd(), c"console")?;
    super::mount::bind_fd(slave.as_fd(), target)
}
