//! Masked and read-only paths.
//!
//! Runs in: init, after `pivot_root`.

use super::mount::attach;
use super::path::{Root, is_character_device, kind};
use crate::plan::mount::attr;
use crate::plan::rootfs::{MountLabel, Rootfs, Target};
use crate::sys::mount::{self as api, FsContext, Recursive};
use crate::sys::{self};
use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use nix::sys::stat::SFlag;
use std::os::fd::{AsFd as _, OwnedFd};

const READ_ONLY: api::Attributes = api::Attributes { set: attr::RDONLY, clear: 0, propagation: 0 };

/// The host's /dev/null, opened before the container's paths mean anything: the image's own one
/// may be a link to anywhere (CVE-2025-31133).
pub(crate) fn open_null() -> Result<OwnedFd> {
    let null = api::open_path(api::AT_FDCWD, c"/dev/null")?;
    ensure!(
        is_character_device(&null, 1, 3)?,
        "/dev/null of the host is not the character device 1:3; repair it with mknod(1)"
    );
    let cover = api::open_tree(null.as_fd(), c"", Recursive::No, 0)?;
    // It is the host's node: root in the container must not change its mode. Reading and writing a
    // device works on a read-only mount.
    let sealed = api::Attributes { set: attr::RDONLY | attr::NOSUID | attr::NOEXEC, ..READ_ONLY };
    api::mount_setattr(cover.as_fd(), Recursive::No, sealed)?;
    Ok(cover)
}

/// A mount that is shown in several places. Only what is attached can be cloned (before Linux
/// 6.15), so the first place gets the original.
struct Cover {
    mount: OwnedFd,
    attached: bool,
}

impl Cover {
    fn new(mount: OwnedFd) -> Self {
        Self { mount, attached: false }
    }

    fn put_over(&mut self, place: OwnedFd) -> Result<()> {
        if self.attached {
            return attach(api::open_tree(self.mount.as_fd(), c"", Recursive::No, 0)?, place);
        }
        api::move_mount(self.mount.as_fd(), place.as_fd())?;
        sys::fd::leave([place]);
        self.attached = true;
        Ok(())
    }
}

/// config-linux.md, "Masked Paths": what must not be read shows up empty.
pub(crate) fn mask(
    root: &Root,
    plan: &Rootfs,
    null: OwnedFd,
    label: Option<&MountLabel>,
) -> Result<()> {
    let mut null = Cover::new(null);
    let mut empty = None;
    for target in &plan.masked {
        let Some(place) = open(root, target)? else { continue };
        let cover = match (kind(&place)?, &mut empty) {
            (SFlag::S_IFDIR, Some(empty)) => empty,
            (SFlag::S_IFDIR, none) => none.insert(Cover::new(
                empty_dir(label).context("an empty tmpfs to mask directories")?,
            )),
            _ => &mut null,
        };
        cover.put_over(place).with_context(|| target.show())?;
    }
    Ok(())
}

/// One tmpfs for all masked directories: each further mount of it costs no superblock.
fn empty_dir(label: Option<&MountLabel>) -> Result<OwnedFd, sys::Error> {
    let context = FsContext::open(c"tmpfs")?;
    context.set_string(c"nr_inodes", c"2")?; // by which `rt mounts remove` knows it
    context.set_string(c"mode", c"0555")?;
    if let Some(label) = label {
        context.set_string(label.option, &label.label)?;
    }
    context.create()?;
    context.mount(attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC)
}

/// config-linux.md, "Readonly Paths".
pub(crate) fn read_only(root: &Root, plan: &Rootfs) -> Result<()> {
    for target in &plan.read_only {
        let Some(place) = open(root, target)? else { continue };
        let seal = |place: OwnedFd| {
            let tree = api::open_tree(place.as_fd(), c"", Recursive::Yes, 0)?;
            api::mount_setattr(tree.as_fd(), Recursive::No, READ_ONLY)?;
            attach(tree, place)
        };
        seal(place).with_context(|| target.show())?;
    }
    Ok(())
}

/// `root.readonly`
pub(crate) fn read_only_root(root: &Root) -> Result<()> {
    Ok(api::mount_setattr(root.as_fd(), Recursive::No, READ_ONLY)?)
}

/// `None`: the image or the kernel has no such path, which needs no protection. A user namespace
/// may not look into some directories of /proc, nor may the payload (EACCES).
fn open(root: &Root, target: &Target) -> Result<Option<OwnedFd>> {
    let absent = [Errno::ENOENT, Errno::ENOTDIR, Errno::EACCES];
    root.open_unless(&target.path, &absent).with_context(|| target.show())
}
