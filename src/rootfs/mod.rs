//! Builds the container's file system: executes the plan's steps with descriptors.
//!
//! Runs in: init, in the container's namespaces. `build` before `pivot_root`, with the host's tree
//! still visible; `restrict` after it. Privilege: all capabilities in the container's user
//! namespace.

mod cgroup;
pub(crate) mod copy_up;
pub(crate) mod device;
pub(crate) mod mask;
pub(crate) mod mount;
pub(crate) mod path;
pub(crate) mod pivot;

use crate::fds::Fds;
use crate::plan::rootfs::{Rootfs, Step};
use anyhow::{Context as _, Result};
use device::LastDir;
use path::Root;

/// Attaches the root and carries out every step in order, stopping at the first error.
pub(crate) fn build(plan: &Rootfs, fds: &mut Fds) -> Result<Root> {
    let root = pivot::attach(plan, fds)?;
    let label = plan.mount_label.as_ref().filter(|_| fds.label_mounts);
    let mut last_dir = LastDir::default();
    for (n, step) in plan.steps.iter().enumerate() {
        if !matches!(step, Step::Device(_) | Step::Symlink(_)) {
            last_dir = LastDir::default();
        }
        match step {
            Step::FileSystem(new) => {
                mount::file_system(&root, new, label).with_context(|| new.target.show())?;
            }
            Step::Bind(bind) => {
                let tree = fds.trees.get_mut(n).and_then(Option::take);
                mount::bind(&root, bind, tree).with_context(|| bind.target.show())?;
            }
            Step::Cgroup(cgroup) => {
                cgroup::mount(&root, cgroup, fds).with_context(|| cgroup.target.show())?;
            }
            Step::Remount(remount) => {
                mount::remount(&root, remount).with_context(|| remount.target.show())?;
            }
            Step::Device(device) => {
                device::make(&root, &mut last_dir, device).with_context(|| device.target.show())?;
            }
            Step::Symlink(link) => {
                device::link(&root, &mut last_dir, link).with_context(|| link.target.show())?;
            }
        }
    }
    Ok(root)
}
