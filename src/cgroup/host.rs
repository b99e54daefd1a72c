//! How this host mounts its cgroups, and whether a plan can work here.
//!
//! Runs in: parent, with the host's mount namespace. Privilege: none.

use super::v2::{Dir, bail_with_hint, open_root};
use crate::plan::cgroup::{Limits, Location, Otherwise};
use crate::proc;
use crate::sys::fd::{read_file, read_record};
use anyhow::{Result, anyhow};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

const BOOT_V2: &str = "boot with systemd.unified_cgroup_hierarchy=1, or without systemd with \
                       cgroup_no_v1=all, to have all controllers in cgroup v2";

/// How this host mounts its cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// cgroup2 at its usual place.
    Unified {
        mount: CgroupMount,
    },
    /// cgroup2 beside v1 hierarchies (controller or "name=..." -> mount point).
    Hybrid {
        mount: CgroupMount,
        v1: BTreeMap<String, PathBuf>,
    },
    Legacy {
        v1: BTreeMap<String, PathBuf>,
    },
    /// No cgroup file system is mounted.
    Absent,
}

/// The cgroup2 mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CgroupMount {
    pub(crate) point: PathBuf,
    /// The cgroup which is mounted; "/" unless somebody made a bind mount of a part.
    root: PathBuf,
}

impl Host {
    /// Looks at what is mounted.
    pub(crate) fn detect() -> Result<Self> {
        // The common case for two system calls less and without reading a thousand mounts.
        let usual = Path::new("/sys/fs/cgroup");
        if statfs(usual).is_ok_and(|fs| fs.filesystem_type() == CGROUP2_SUPER_MAGIC) {
            let mount = CgroupMount { point: usual.to_owned(), root: "/".into() };
            return Ok(Self::Unified { mount });
        }
        Ok(Self::from_mountinfo(&read_file(Path::new("/proc/self/mountinfo"))?))
    }

    fn from_mountinfo(text: &[u8]) -> Self {
        let mounts = proc::mounts(text);
        let wanted = |mount: &proc::Mount| matches!(mount.fs_type.as_str(), "cgroup" | "cgroup2");
        let mut unified = None;
        let mut v1 = BTreeMap::new();
        for mount in proc::visible(&mounts, wanted) {
            if mount.fs_type == "cgroup2" {
                // The first one: later ones are copies for containers.
                unified.get_or_insert_with(|| CgroupMount {
                    point: mount.point.clone(),
                    root: mount.root.clone(),
                });
                continue;
            }
            let flags = ["rw", "ro", "noprefix", "clone_children", "xattr", "cpuset_v2_mode"];
            for option in mount.super_options.split(',') {
                if !flags.contains(&option) && !option.starts_with("release_agent=") {
                    v1.entry(option.to_owned()).or_insert_with(|| mount.point.clone());
                }
            }
        }
        match (unified, v1.is_empty()) {
            (Some(mount), true) => Self::Unified { mount },
            (Some(mount), false) => Self::Hybrid { mount, v1 },
            (None, false) => Self::Legacy { v1 },
            (None, true) => Self::Absent,
        }
    }

    pub(super) fn mount(&self) -> Result<&CgroupMount> {
        match self {
            Self::Unified { mount } | Self::Hybrid { mount, .. } => Ok(mount),
            Self::Legacy { .. } => bail_with_hint(
                "this host mounts cgroup v1 only, which is not supported".to_owned(),
                format!("{BOOT_V2}, or use --cgroup-manager disabled"),
            ),
            Self::Absent => bail_with_hint(
                "no cgroup file system is mounted".to_owned(),
                "mount -t cgroup2 cgroup2 /sys/fs/cgroup, or use --cgroup-manager disabled"
                    .to_owned(),
            ),
        }
    }

    /// The directory for a location of the plan.
    pub(crate) fn path(&self, location: &Location) -> Result<PathBuf> {
        let mount = self.mount()?;
        match location {
            Location::BelowMount(path) => Ok(mount.point.join(path)),
            Location::BesideOwn(path) => {
                let text = read_record(Path::new("/proc/self/cgroup"))?;
                let own = mount.point.join(mount.own(&text)?);
                let beside = own.parent().filter(|_| own != mount.point).unwrap_or(&mount.point);
                // systemd gives a scope to a user, not what is above: then only below our own.
                let below = !nix::unistd::geteuid().is_root() && !is_ours(beside) && is_ours(&own);
                Ok(if below { &own } else { beside }.join(path))
            }
        }
    }

    /// Checks that every limit has its controller. To be called before anything is made.
    pub(crate) fn check(&self, limits: &Limits) -> Result<()> {
        if limits.writes.iter().all(|write| write.is_default) {
            return Ok(());
        }
        let point = &self.mount()?.point;
        let root = open_root(point)?;
        let available = Dir { fd: root.as_fd(), path: point }.controllers()?;
        self.check_controllers(limits, &available)
    }

    fn check_controllers(&self, limits: &Limits, available: &[String]) -> Result<()> {
        for write in &limits.writes {
            let name = &write.controller;
            let moot = write.is_default || write.otherwise == Otherwise::SkipMissing;
            if moot || name == "cgroup" || available.contains(name) {
                continue;
            }
            let v1_name = if name == "io" { "blkio" } else { name.as_str() };
            let v1 = match self {
                Self::Hybrid { v1, .. } | Self::Legacy { v1 } => v1.get(v1_name),
                Self::Unified { .. } | Self::Absent => None,
            };
            return match v1 {
                Some(_) => bail_with_hint(
                    format!(
                        "{}: the {v1_name} controller is mounted as cgroup v1 on this host; limits \
                         need it in cgroup v2",
                        write.field
                    ),
                    format!("{BOOT_V2}; or remove the limit"),
                ),
                None => bail_with_hint(
                    format!("{}: cgroup v2 has no {name} controller on this host", write.field),
                    format!(
                        "boot a kernel that has the controller, without cgroup_disable={name} and \
                         without a cgroup v1 mount of it; or remove the limit"
                    ),
                ),
            };
        }
        Ok(())
    }
}

impl CgroupMount {
    /// Our own cgroup, relative to the mount point.
    fn own(&self, proc_self_cgroup: &[u8]) -> Result<PathBuf> {
        let own = proc::unified_cgroup(proc_self_cgroup)
            .ok_or_else(|| anyhow!("/proc/self/cgroup: no line for cgroup v2 (\"0::/...\")"))?;
        let below = own.strip_prefix(&self.root).ok().filter(|path| !path.starts_with(".."));
        match below {
            Some(path) => Ok(path.to_owned()),
            None => bail_with_hint(
                format!("our own cgroup {} is outside of {}", own.display(), self.point.display()),
                "give an absolute linux.cgroupsPath".to_owned(),
            ),
        }
    }
}

/// May we make cgroups there?
fn is_ours(dir: &Path) -> bool {
    nix::unistd::access(dir, nix::unistd::AccessFlags::W_OK).is_ok()
}

#[cfg(test)]
mod tests;
