//! How this host mounts its cgroups, and whether a plan can work here.
//!
//! Runs in: parent, with the host's mount namespace. Privilege: none.

use super::v1::Place;
use super::v2::{Dir, bail_with_hint, open_root};
use crate::plan::cgroup::{Limits, Location, Otherwise, Refusal, Version, Write, in_v1};
use crate::proc;
use crate::sys::fd::{read_file, read_record};
use anyhow::{Result, anyhow};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

/// cgroup2 can be mounted at any time, beside v1.
pub(crate) const LEGACY_CURE: &str = "mount it beside them: mkdir /sys/fs/cgroup/unified && mount -t cgroup2 \
                           cgroup2 /sys/fs/cgroup/unified; or use --cgroup-manager disabled";

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
        v1: BTreeMap<String, CgroupMount>,
    },
    Legacy {
        v1: BTreeMap<String, CgroupMount>,
    },
    /// No cgroup file system is mounted.
    Absent,
}

/// The mount of cgroup2, or of a v1 hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CgroupMount {
    pub(crate) point: PathBuf,
    /// The cgroup which is mounted; "/" unless somebody made a bind mount of a part.
    root: PathBuf,
}

/// A v1 hierarchy, for a `cgroup` mount in a container.
#[derive(Debug)]
pub(crate) struct Hierarchy {
    /// Of its directory below /sys/fs/cgroup.
    pub(crate) name: OsString,
    pub(crate) controllers: Vec<String>,
    /// The container's cgroup in it.
    pub(crate) own: Option<PathBuf>,
    /// A detached copy of that directory, for a container without cgroup namespace.
    pub(crate) tree: Option<OwnedFd>,
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
            let found = CgroupMount { point: mount.point.clone(), root: mount.root.clone() };
            if mount.fs_type == "cgroup2" {
                // The first one: later ones are copies for containers.
                unified.get_or_insert(found);
                continue;
            }
            let flags = ["rw", "ro", "noprefix", "clone_children", "xattr", "cpuset_v2_mode"];
            for option in mount.super_options.split(',') {
                if !flags.contains(&option) && !option.starts_with("release_agent=") {
                    v1.entry(option.to_owned()).or_insert_with(|| found.clone());
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
                "this host mounts cgroup v1 hierarchies only; processes are kept in cgroup v2"
                    .to_owned(),
                LEGACY_CURE.to_owned(),
            ),
            Self::Absent => bail_with_hint(
                "no cgroup file system is mounted".to_owned(),
                "mount -t cgroup2 cgroup2 /sys/fs/cgroup, or use --cgroup-manager disabled"
                    .to_owned(),
            ),
        }
    }

    /// The v1 hierarchies: controller, or "name=...", and its mount.
    pub(crate) fn v1(&self) -> Option<&BTreeMap<String, CgroupMount>> {
        match self {
            Self::Hybrid { v1, .. } | Self::Legacy { v1 } => Some(v1),
            Self::Unified { .. } | Self::Absent => None,
        }
    }

    /// Does this controller, by its name in either version, live in a v1 hierarchy?
    fn is_v1(&self, controller: &str) -> bool {
        self.v1().is_some_and(|v1| v1.contains_key(in_v1(controller)))
    }

    /// The directory for a location of the plan.
    pub(crate) fn path(&self, location: &Location) -> Result<PathBuf> {
        self.mount()?.place(location, proc::unified_cgroup)
    }

    /// The directories for a location in the v1 hierarchies, each of them once.
    pub(crate) fn v1_places(&self, location: &Location) -> Result<Vec<Place>> {
        let mut places: Vec<Place> = Vec::new();
        for (controller, mount) in self.v1().into_iter().flatten() {
            if let Some(place) = places.iter_mut().find(|place| place.point == mount.point) {
                place.controllers.push(controller.clone());
                continue;
            }
            let path = mount.place(location, |text| proc::v1_cgroup(text, controller))?;
            let point = mount.point.clone();
            places.push(Place { controllers: vec![controller.clone()], point, path });
        }
        Ok(places)
    }

    /// The directories in the v1 hierarchies that have the same path there as `path` in v2.
    pub(crate) fn v1_places_like(&self, path: &Path) -> Result<Vec<Place>> {
        let below = path.strip_prefix(&self.mount()?.point)?;
        self.v1_places(&Location::BelowMount(below.to_owned()))
    }

    /// The v1 hierarchies as a container sees them. `own` are those that it is in.
    pub(crate) fn hierarchies(&self, own: &[Place]) -> Vec<Hierarchy> {
        let mut all: Vec<(PathBuf, Hierarchy)> = Vec::new();
        for (controller, mount) in self.v1().into_iter().flatten() {
            if let Some((_, one)) = all.iter_mut().find(|(point, _)| *point == mount.point) {
                one.controllers.push(controller.clone());
                continue;
            }
            // Programs look for the names that the host has: "cpu,cpuacct".
            let name = mount.point.file_name().unwrap_or_default().to_owned();
            let own = own.iter().find(|place| place.point == mount.point);
            let path = own.map(|place| place.path.clone());
            let controllers = vec![controller.clone()];
            all.push((mount.point.clone(), Hierarchy { name, controllers, own: path, tree: None }));
        }
        all.into_iter().map(|(_, hierarchy)| hierarchy).collect()
    }

    /// Checks that every limit has its controller. To be called before anything is made.
    pub(crate) fn check(&self, limits: &Limits) -> Result<()> {
        self.check_refusals(limits)?;
        let ours = |write: &&Write| !write.is_default && !self.is_v1(&write.controller);
        if !limits.writes.iter().any(|write| ours(&write)) {
            return Ok(());
        }
        let point = &self.mount()?.point;
        let root = open_root(point)?;
        let available = Dir { fd: root.as_fd(), path: point }.controllers()?;
        self.check_controllers(limits, &available)
    }

    fn check_refusals(&self, limits: &Limits) -> Result<()> {
        let applies = |refusal: &&Refusal| match refusal.version {
            Version::V1 => self.is_v1(&refusal.controller),
            Version::V2 => !self.is_v1(&refusal.controller),
        };
        match limits.refused.iter().find(applies) {
            Some(refusal) => Err(anyhow!(refusal.text.clone())),
            None => Ok(()),
        }
    }

    fn check_controllers(&self, limits: &Limits, available: &[String]) -> Result<()> {
        for write in &limits.writes {
            let name = &write.controller;
            let moot = write.is_default || write.otherwise == Otherwise::SkipMissing;
            if moot || name == "cgroup" || available.contains(name) || self.is_v1(name) {
                continue;
            }
            return bail_with_hint(
                format!("{}: cgroup v2 has no {name} controller on this host", write.field),
                format!(
                    "boot a kernel that has the controller, without cgroup_disable={name} and \
                     without a cgroup v1 mount of it; or remove the limit"
                ),
            );
        }
        Ok(())
    }
}

impl CgroupMount {
    /// Where a container's cgroup is. `find` finds the line of this hierarchy.
    fn place(&self, location: &Location, find: impl Fn(&[u8]) -> Option<&Path>) -> Result<PathBuf> {
        match location {
            Location::BelowMount(path) => Ok(self.point.join(path)),
            Location::BesideOwn(path) => {
                let text = read_record(Path::new("/proc/self/cgroup"))?;
                let own = self.point.join(self.own(find(&text))?);
                let beside = own.parent().filter(|_| own != self.point).unwrap_or(&self.point);
                // systemd gives a scope to a user, not what is above: then only below our own.
                let below = !nix::unistd::geteuid().is_root() && !is_ours(beside) && is_ours(&own);
                Ok(if below { &own } else { beside }.join(path))
            }
        }
    }

    /// Our own cgroup, relative to the mount point.
    fn own(&self, own: Option<&Path>) -> Result<PathBuf> {
        let own = own.ok_or_else(|| {
            anyhow!("/proc/self/cgroup: no line for the hierarchy at {}", self.point.display())
        })?;
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
