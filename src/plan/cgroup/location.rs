//! Where a container's cgroup is, from `linux.cgroupsPath` and the container id.
//!
//! Runs in: parent. Pure: nothing here touches the system.

use anyhow::{Result, ensure};
use std::path::{Component, Path, PathBuf};

/// Where the container's cgroup is. Always a clean relative path with at least one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// An absolute `cgroupsPath`: below the cgroup mount.
    BelowMount(PathBuf),
    /// A relative one, or none: below the parent of our own cgroup. Our own has processes in it
    /// (us), and such a cgroup cannot hand controllers to children (the no-internal-process rule).
    BesideOwn(PathBuf),
}

/// The path rules of runc, for the cgroupfs driver.
///
/// `..` cannot leave the mount: it is resolved against the root of the path, like in a chroot.
pub(crate) fn location(cgroups_path: Option<&Path>, id: &str) -> Result<Location> {
    let path = cgroups_path.filter(|path| !path.as_os_str().is_empty());
    let (path, is_absolute) = match path {
        Some(path) => (path, path.is_absolute()),
        None => (Path::new(id), false),
    };
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()), // false: already at the root
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    ensure!(
        !clean.as_os_str().is_empty(),
        "linux.cgroupsPath: {path:?} is not below the root cgroup, a container needs its own"
    );
    ensure!(
        !clean.as_os_str().as_encoded_bytes().contains(&0),
        "linux.cgroupsPath: {path:?} contains a NUL byte"
    );
    // The kernel answers EINVAL for a newline in a name: /proc/PID/cgroup could not be parsed.
    ensure!(
        !clean.as_os_str().as_encoded_bytes().contains(&b'\n'),
        "linux.cgroupsPath: {path:?} contains a newline"
    );
    Ok(if is_absolute { Location::BelowMount(clean) } else { Location::BesideOwn(clean) })
}
