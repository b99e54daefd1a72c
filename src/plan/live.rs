//! Mounts that are added to a running container, or removed from it.
//!
//! Runs in: parent. Pure. The meaning of each entry is that of config.md, "Mounts": the same code
//! reads it.

use super::mount::{Attributes, Links, attr};
use super::rootfs::{self, Bind, CgroupMount, FileSystem, Step, Surroundings, Target};
use super::{Kind, Namespaces, namespaces::IdMap};
use anyhow::{Context as _, Result, bail, ensure};
use oci_spec::runtime::{Linux, Mount};
use std::ffi::CString;
use std::path::Path;

/// What was found out about the container: its config need not name a user namespace.
pub(crate) struct Inside<'a> {
    pub(crate) bundle: &'a Path,
    pub(crate) uid_maps: &'a [IdMap],
    pub(crate) gid_maps: &'a [IdMap],
    /// It has a cgroup of its own.
    pub(crate) own_cgroup: bool,
    /// It has cgroups in v1 hierarchies.
    pub(crate) cgroup_v1: bool,
}

/// A mount to add.
#[derive(Debug)]
pub(crate) enum New {
    FileSystem(FileSystem),
    Bind(Bind),
}

impl New {
    pub(crate) fn target(&self) -> &Target {
        match self {
            Self::FileSystem(plan) => &plan.target,
            Self::Bind(plan) => &plan.target,
        }
    }
}

/// What to add.
#[derive(Debug)]
pub(crate) struct Added {
    pub(crate) mounts: Vec<New>,
    /// Those tmpfs among them which become read-only when all is in place.
    pub(crate) seals: Vec<usize>,
    pub(crate) label: Option<rootfs::MountLabel>,
    pub(crate) warnings: Vec<String>,
}

/// For [`Added::seals`].
pub(crate) const SEAL: Attributes = Attributes { set: attr::RDONLY, clear: 0 };

impl Added {
    pub(crate) fn new(mounts: &[Mount], linux: &Linux, inside: &Inside<'_>) -> Result<Self> {
        let mut namespaces = Namespaces::new(linux)?;
        if !inside.uid_maps.is_empty() {
            namespaces.uid_maps = inside.uid_maps.to_vec();
            namespaces.gid_maps = inside.gid_maps.to_vec();
        }
        let context = Surroundings {
            bundle: inside.bundle,
            namespaces: &namespaces,
            linux,
            propagation: rootfs::propagation(linux)?,
        };
        let mut added = Self {
            mounts: Vec::new(),
            seals: Vec::new(),
            label: rootfs::mount_label(linux)?,
            warnings: Vec::new(),
        };
        for (n, mount) in mounts.iter().enumerate() {
            let mut step = context.mount(n, mount, &mut added.warnings)?;
            if rootfs::seal_later(&mut step).is_some() {
                added.seals.push(n);
            }
            added.mounts.push(new(n, step, inside)?);
        }
        Ok(added)
    }
}

/// What of the kinds of steps a running container can have.
fn new(n: usize, step: Step, inside: &Inside<'_>) -> Result<New> {
    let field = format!("mounts[{n}]");
    match step {
        Step::Bind(bind) => Ok(New::Bind(bind)),
        Step::FileSystem(plan) => {
            ensure!(
                !plan.has_long_option(),
                "{field}.options: an option of more than 255 bytes is not for a running container"
            );
            Ok(New::FileSystem(plan))
        }
        Step::Cgroup(plan) => {
            ensure!(
                plan.namespaced,
                "{field}.type: a running container without cgroup namespace cannot be given cgroups"
            );
            ensure!(
                !(plan.with_v1 && inside.cgroup_v1),
                "{field}.type: cgroup v1 hierarchies are not for a running container; use \"cgroup2\""
            );
            Ok(New::FileSystem(cgroup2(plan, inside.own_cgroup)))
        }
        // A link of the container could lead it to a mask or a read-only path.
        Step::Remount(_) => bail!(
            "{field}.options: \"remount\" is not for a running container; remove the mount, and \
             add it with other options"
        ),
        Step::Device(_) | Step::Symlink(_) => {
            bail!("internal error, please report: {field} is not a mount")
        }
    }
}

/// Whoever has no cgroup of its own sees those of others, and must not change them (CVE-2023-25809).
fn cgroup2(plan: CgroupMount, own: bool) -> FileSystem {
    let mut attributes = plan.attributes;
    attributes.set |= if own { 0 } else { attr::RDONLY };
    FileSystem {
        target: plan.target,
        fstype: c"cgroup2".to_owned(),
        source: c"cgroup".to_owned(),
        attributes,
        options: Vec::new(),
        propagation: None,
        copy_up: false,
        links: Links::default(),
    }
}

/// What to remove: of each entry only the destination counts.
#[derive(Debug)]
pub(crate) struct Removed {
    pub(crate) targets: Vec<Target>,
    /// Paths whose mounts hide or protect something.
    pub(crate) covers: Vec<CString>,
}

impl Removed {
    pub(crate) fn new(mounts: &[Mount], linux: &Linux) -> Result<Self> {
        let target = |(n, mount): (usize, &Mount)| {
            rootfs::destination(&format!("mounts[{n}]"), mount.destination(), &mut Vec::new())
        };
        let masked = linux.masked_paths().iter().flatten();
        let covers = masked.chain(linux.readonly_paths().iter().flatten());
        let clean = |path: &String| {
            let path: std::path::PathBuf = Path::new(path).components().collect();
            super::c_path("linux.maskedPaths", &path)
        };
        Ok(Self {
            targets: mounts.iter().enumerate().map(target).collect::<Result<_>>()?,
            covers: covers.map(clean).collect::<Result<_>>()?,
        })
    }
}

/// Its own, or one that it shares with others by its config: not the host's.
pub(crate) fn check_namespace(namespaces: &[Kind]) -> Result<()> {
    namespaces.contains(&Kind::Mount).then_some(()).context(
        "the container has no mount namespace of its own; what is mounted there changes the host",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(json: &str) -> Vec<Mount> {
        serde_json::from_str(json).unwrap()
    }

    fn add(json: &str) -> Result<Added> {
        let linux = r#"{"namespaces":[{"type":"mount"},{"type":"cgroup"}]}"#;
        let linux: Linux = serde_json::from_str(linux).unwrap();
        let maps = [IdMap { container: 0, host: 100_000, size: 10 }];
        let inside = Inside {
            bundle: Path::new("/b"),
            uid_maps: &maps,
            gid_maps: &maps,
            own_cgroup: true,
            cgroup_v1: true,
        };
        Added::new(&mounts(json), &linux, &inside)
    }

    #[test]
    fn entries_mean_what_they_mean_in_a_config() {
        let added = add(r#"[
            {"destination":"/t","type":"tmpfs","options":["ro","size=1m"]},
            {"destination":"/d","source":"data","options":["rbind","idmap"]}]"#)
        .unwrap();
        assert_eq!(added.seals, [0]);
        let [New::FileSystem(tmpfs), New::Bind(bind)] = added.mounts.as_slice() else {
            panic!("{:?}", added.mounts)
        };
        assert!(!tmpfs.attributes.read_only(), "not before all is in place");
        assert_eq!(bind.source.to_str(), Ok("/b/data"));
        let idmap = bind.idmap.as_ref().unwrap();
        assert_eq!(idmap.uid_maps, [IdMap { container: 0, host: 100_000, size: 10 }]);
    }

    #[test]
    fn what_a_running_container_cannot_have_is_refused() {
        let long = "x".repeat(256);
        for (entry, text) in [
            (
                r#"{"destination":"/t","options":["remount","rw"]}"#.to_string(),
                "mounts[0].options: \"remount\" is not for a running container; remove the mount, \
                 and add it with other options",
            ),
            (
                format!(r#"{{"destination":"/t","type":"overlay","options":["lowerdir={long}"]}}"#),
                "mounts[0].options: an option of more than 255 bytes is not for a running container",
            ),
            (
                r#"{"destination":"/c","type":"cgroup"}"#.to_string(),
                "mounts[0].type: cgroup v1 hierarchies are not for a running container; use \
                 \"cgroup2\"",
            ),
            (
                r#"{"destination":"/t"}"#.to_string(),
                "mounts[0].type: missing; name a file system, or add \"bind\" to mounts[0].options",
            ),
        ] {
            assert_eq!(add(&format!("[{entry}]")).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn removal_knows_what_protects_the_container() {
        let linux = r#"{"maskedPaths":["/proc/kcore/"],"readonlyPaths":["/proc/sys"]}"#;
        let linux: Linux = serde_json::from_str(linux).unwrap();
        let mounts = mounts(r#"[{"destination":"/a//b/"},{"destination":"c"}]"#);
        let removed = Removed::new(&mounts, &linux).unwrap();
        let paths: Vec<_> = removed.targets.iter().map(Target::show).collect();
        assert_eq!(paths, ["mounts[0] (/a/b)", "mounts[1] (/c)"]);
        assert_eq!(removed.covers, [c"/proc/kcore".to_owned(), c"/proc/sys".to_owned()]);
    }
}
