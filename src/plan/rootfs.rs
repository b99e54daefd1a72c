//! The root file system as a list of intents, executed in order by `rootfs::build`.
//!
//! Runs in: parent. Pure. What is known only late (is the source a file? may we mknod?) is left
//! to the executor, as a stated fallback of the step.

use super::idmap::Given;
use super::mount::{Attributes, FsOption, Links, MountOptions, Propagation, Recursion, attr};
use super::namespaces::{IdMap, id_maps};
use super::{Extensions, Kind, Namespaces, Options, Pivot, c_path, c_string};
use anyhow::{Context as _, Result, bail, ensure};
use oci_spec::runtime::{Linux, LinuxDevice, LinuxDeviceType, Mount, Spec};
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};

/// A path inside the container and the field that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) path: CString,
    /// `mounts[3]`, `linux.maskedPaths[0]`, `default device`
    pub(crate) field: String,
}

impl Target {
    /// Of a path that is known to be sound.
    fn fixed(path: &str, field: &str) -> Self {
        Self { path: CString::new(path).unwrap_or_default(), field: field.into() }
    }

    /// `mounts[3] (/data)`, as errors show it.
    pub(crate) fn show(&self) -> String {
        format!("{} ({})", self.field, self.path.to_string_lossy())
    }
}

/// A new file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileSystem {
    pub(crate) target: Target,
    pub(crate) fstype: CString,
    pub(crate) source: CString,
    pub(crate) attributes: Attributes,
    pub(crate) options: Vec<FsOption>,
    pub(crate) propagation: Option<Propagation>,
    /// Copies what the image has at the destination into the new tmpfs.
    pub(crate) copy_up: bool,
    pub(crate) links: Links,
}

/// fsconfig(2) takes strings of up to 255 bytes; longer ones need mount(2).
const LONGEST_VALUE: usize = 255;

impl FileSystem {
    /// Only mount(2) takes its options.
    pub(crate) fn has_long_option(&self) -> bool {
        self.options.iter().any(|option| match option {
            FsOption::Flag(_) => false,
            FsOption::Value(_, value) => value.as_bytes().len() > LONGEST_VALUE,
        })
    }
}

/// A tree or file of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) target: Target,
    pub(crate) source: CString,
    pub(crate) recursion: Recursion,
    pub(crate) attributes: Attributes,
    pub(crate) recursive: Attributes,
    pub(crate) propagation: Propagation,
    pub(crate) idmap: Option<IdmapOf>,
    pub(crate) links: Links,
}

/// Which ids an idmapped mount shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdmapOf {
    pub(crate) recursion: Recursion,
    pub(crate) uid_maps: Vec<IdMap>,
    pub(crate) gid_maps: Vec<IdMap>,
}

/// New attributes for what is mounted at the target already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remount {
    pub(crate) target: Target,
    pub(crate) attributes: Attributes,
    pub(crate) recursive: Attributes,
    pub(crate) propagation: Option<Propagation>,
}

/// The cgroup tree of the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CgroupMount {
    pub(crate) target: Target,
    pub(crate) attributes: Attributes,
    /// With a cgroup namespace of its own a fresh mount shows the right root; else the
    /// container's own directory is bound.
    pub(crate) namespaced: bool,
    /// Type `cgroup`: on a host with v1 hierarchies each of them has a directory.
    pub(crate) with_v1: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceKind {
    Block,
    Character,
    Fifo,
}

impl DeviceKind {
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Block => 'b',
            Self::Character => 'c',
            Self::Fifo => 'p',
        }
    }
}

/// A device node; bound from the host where mknod(2) is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) target: Target,
    pub(crate) kind: DeviceKind,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Symlink {
    pub(crate) target: Target,
    pub(crate) to: CString,
    /// A stale link or node of the image is replaced; else whatever exists stays.
    pub(crate) replace: bool,
}

/// One intent. A new kind must be executed and printed before it compiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    FileSystem(FileSystem),
    Bind(Bind),
    Cgroup(CgroupMount),
    Remount(Remount),
    Device(Device),
    Symlink(Symlink),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rootfs {
    /// Absolute, on the host.
    pub(crate) path: CString,
    pub(crate) steps: Vec<Step>,
    pub(crate) masked: Vec<Target>,
    pub(crate) read_only: Vec<Target>,
    pub(crate) root_read_only: bool,
    pub(crate) propagation: Option<Propagation>,
    pub(crate) pivot: Pivot,
    pub(crate) mount_label: Option<MountLabel>,
}

/// `linux.mountLabel` as a mount option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MountLabel {
    /// `context`, or another of mount(8)'s.
    pub(crate) option: &'static CStr,
    pub(crate) label: CString,
}

impl Rootfs {
    pub(crate) fn new(
        spec: &Spec,
        linux: &Linux,
        namespaces: &Namespaces,
        options: &Options<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        let root = spec.root().as_ref().context("root: missing; it names the root file system")?;
        let propagation = propagation(linux)?;
        let own_mounts = namespaces.has(Kind::Mount);
        let masked = targets("linux.maskedPaths", linux.masked_paths().as_deref(), own_mounts)?;
        let read_only =
            targets("linux.readonlyPaths", linux.readonly_paths().as_deref(), own_mounts)?;
        let context = Surroundings { bundle: options.bundle, namespaces, linux, propagation };
        Ok(Self {
            path: c_path("root.path", &options.bundle.join(root.path()))?,
            steps: context.steps(spec, warnings)?,
            masked,
            read_only,
            root_read_only: root.readonly().unwrap_or(false),
            propagation,
            pivot: if own_mounts { options.pivot } else { Pivot::Chroot },
            mount_label: mount_label(linux)?,
        })
    }

    pub(crate) fn extend(&mut self, extensions: &Extensions) {
        if let Some(label) = &mut self.mount_label {
            label.option = extensions.mount_context;
        }
    }
}

pub(super) fn propagation(linux: &Linux) -> Result<Option<Propagation>> {
    let word = linux.rootfs_propagation().as_deref().filter(|word| !word.is_empty());
    let parse = |word: &str| {
        Propagation::parse(word).with_context(|| {
            format!("linux.rootfsPropagation: {word:?} is not shared, slave, private or unbindable")
        })
    };
    word.map(parse).transpose()
}

pub(super) fn mount_label(linux: &Linux) -> Result<Option<MountLabel>> {
    let label = linux.mount_label().as_ref().filter(|label| !label.is_empty());
    let label = label.map(|label| c_string("linux.mountLabel", label.as_bytes(), 4095));
    Ok(label.transpose()?.map(|label| MountLabel { option: c"context", label }))
}

fn targets(field: &str, paths: Option<&[String]>, own_mounts: bool) -> Result<Vec<Target>> {
    let paths = paths.unwrap_or_default();
    ensure!(
        paths.is_empty() || own_mounts,
        "{field}: needs a \"mount\" entry in linux.namespaces, or it would change the host"
    );
    let target = |(n, path): (usize, &String)| {
        let field = format!("{field}[{n}]");
        ensure!(path.starts_with('/'), "{field}: {path:?} is not absolute");
        Ok(Target { path: c_path(&field, Path::new(path))?, field })
    };
    paths.iter().enumerate().map(target).collect()
}

/// What the mounts of a config depend on beside themselves.
pub(super) struct Surroundings<'a> {
    pub(super) bundle: &'a Path,
    pub(super) namespaces: &'a Namespaces,
    pub(super) linux: &'a Linux,
    pub(super) propagation: Option<Propagation>,
}

impl Surroundings<'_> {
    fn steps(&self, spec: &Spec, warnings: &mut Vec<String>) -> Result<Vec<Step>> {
        let mounts = spec.mounts().as_deref().unwrap_or_default();
        let mut steps = Vec::new();
        let mut seals = Vec::new();
        for (n, mount) in mounts.iter().enumerate() {
            let mut step = self.mount(n, mount, warnings)?;
            seals.extend(seal_later(&mut step).map(Step::Remount));
            steps.push(step);
        }
        // A /dev that comes from the host has its nodes already, and they are not ours to change.
        let bound_dev = steps
            .iter()
            .any(|step| matches!(step, Step::Bind(bind) if bind.target.path.to_bytes() == b"/dev"));
        if !bound_dev {
            steps.extend(self.devices()?.into_iter().map(Step::Device));
            steps.extend(default_links().map(Step::Symlink));
        }
        steps.extend(seals);
        Ok(steps)
    }

    pub(super) fn mount(
        &self,
        n: usize,
        mount: &Mount,
        warnings: &mut Vec<String>,
    ) -> Result<Step> {
        let field = format!("mounts[{n}]");
        let target = destination(&field, mount.destination(), warnings)?;
        let fstype = mount.typ().as_deref().filter(|fstype| !fstype.is_empty());
        let words = mount.options().clone().unwrap_or_default();
        let mut options = MountOptions::parse(&format!("{field}.options"), &words, fstype)?;
        if fstype == Some("devpts") {
            self.drop_unmapped_gid(&field, &mut options.filesystem, warnings);
        }
        if options.remount {
            return Ok(Step::Remount(Remount {
                target,
                attributes: options.attributes,
                recursive: options.recursive,
                propagation: options.propagation,
            }));
        }
        if let Some(recursion) = options.bind {
            return self.bind(target, mount, recursion, options).map(Step::Bind);
        }
        ensure!(
            mount.uid_mappings().is_none() && mount.gid_mappings().is_none(),
            "{field}.uidMappings: only a bind mount can be idmapped; add \"bind\" to {field}.options"
        );
        let fstype = fstype.with_context(|| {
            format!("{field}.type: missing; name a file system, or add \"bind\" to {field}.options")
        })?;
        if fstype == "cgroup" || fstype == "cgroup2" {
            let namespaced = self.namespaces.has(Kind::Cgroup);
            let attributes = options.attributes;
            let with_v1 = fstype == "cgroup";
            return Ok(Step::Cgroup(CgroupMount { target, attributes, namespaced, with_v1 }));
        }
        let source = mount.source().as_deref().filter(|source| !source.as_os_str().is_empty());
        Ok(Step::FileSystem(FileSystem {
            fstype: c_string(&format!("{field}.type"), fstype.as_bytes(), super::PATH_MAX)?,
            source: c_path(&format!("{field}.source"), source.unwrap_or(Path::new(fstype)))?,
            attributes: options.attributes,
            options: options.filesystem,
            propagation: options.propagation,
            copy_up: options.tmpcopyup,
            links: options.links,
            target,
        }))
    }

    /// The usual `gid=5` lets the group tty write to terminals; in a user namespace without that
    /// group there is nobody to let, and the kernel would refuse the mount.
    fn drop_unmapped_gid(
        &self,
        field: &str,
        options: &mut Vec<FsOption>,
        warnings: &mut Vec<String>,
    ) {
        options.retain(|option| {
            let FsOption::Value(key, value) = option else { return true };
            let gid = value.to_str().ok().and_then(|value| value.parse().ok());
            match gid.filter(|gid| key.as_bytes() == b"gid" && self.namespaces.lacks_gid(*gid)) {
                Some(gid) => {
                    warnings.push(format!(
                        "{field}.options: gid={gid} is left out, as linux.gidMappings have no such group"
                    ));
                    false
                }
                None => true,
            }
        });
    }

    fn bind(
        &self,
        target: Target,
        mount: &Mount,
        recursion: Recursion,
        options: MountOptions,
    ) -> Result<Bind> {
        let field = target.field.as_str();
        let source = mount.source().as_deref().filter(|source| !source.as_os_str().is_empty());
        let source =
            source.with_context(|| format!("{field}.source: missing; a bind mount needs one"))?;
        Ok(Bind {
            source: c_path(&format!("{field}.source"), &self.bundle.join(source))?,
            recursion,
            attributes: options.attributes,
            recursive: options.recursive,
            propagation: options.propagation.or(self.propagation).unwrap_or(Propagation::DEFAULT),
            idmap: self.idmap(field, mount, options.idmap, options.idmap_given.as_ref())?,
            links: options.links,
            target,
        })
    }

    /// config.md, "uidMappings": the mount's own mappings win over those of the container.
    fn idmap(
        &self,
        field: &str,
        mount: &Mount,
        word: Option<Recursion>,
        given: Option<&Given>,
    ) -> Result<Option<IdmapOf>> {
        let uid_maps = id_maps(&format!("{field}.uidMappings"), mount.uid_mappings().as_deref())?;
        let gid_maps = id_maps(&format!("{field}.gidMappings"), mount.gid_mappings().as_deref())?;
        ensure!(
            uid_maps.is_empty() == gid_maps.is_empty(),
            "{field}.uidMappings: uidMappings and gidMappings must both be given"
        );
        let recursion = word.unwrap_or(Recursion::Top);
        if let Some(given) = given {
            ensure!(uid_maps.is_empty(), "{field}.uidMappings: {field}.options also have mappings");
            let own = self.namespaces;
            let (uid_maps, gid_maps) = given.resolve(&own.uid_maps, &own.gid_maps)?;
            return Ok(Some(IdmapOf { recursion, uid_maps, gid_maps }));
        }
        if !uid_maps.is_empty() {
            return Ok(Some(IdmapOf { recursion, uid_maps, gid_maps }));
        }
        if word.is_none() {
            return Ok(None);
        }
        ensure!(
            !self.namespaces.uid_maps.is_empty(),
            "{field}.options: \"idmap\" needs {field}.uidMappings or linux.uidMappings"
        );
        Ok(Some(IdmapOf {
            recursion,
            uid_maps: self.namespaces.uid_maps.clone(),
            gid_maps: self.namespaces.gid_maps.clone(),
        }))
    }

    /// The config's devices, and the default ones that it does not name itself.
    fn devices(&self) -> Result<Vec<Device>> {
        let listed = self.linux.devices().as_deref().unwrap_or_default();
        let listed: Vec<Device> =
            listed.iter().enumerate().map(|(n, spec)| device(n, spec)).collect::<Result<_>>()?;
        let mut devices: Vec<Device> = DEFAULT_DEVICES
            .iter()
            .map(|(path, minor)| default_device(path, *minor))
            .filter(|default| listed.iter().all(|other| other.target.path != default.target.path))
            .collect();
        devices.extend(listed);
        Ok(devices)
    }
}

/// A tmpfs is made read-only at the end: mount points for later entries and the device nodes still
/// have to be made in it.
pub(super) fn seal_later(step: &mut Step) -> Option<Remount> {
    let Step::FileSystem(tmpfs) = step else { return None };
    if tmpfs.fstype.as_bytes() != b"tmpfs" || !tmpfs.attributes.read_only() {
        return None;
    }
    tmpfs.attributes.set &= !attr::RDONLY;
    Some(Remount {
        target: tmpfs.target.clone(),
        attributes: Attributes { set: attr::RDONLY, clear: 0 },
        recursive: Attributes::default(),
        propagation: None,
    })
}

pub(super) fn destination(field: &str, path: &Path, warnings: &mut Vec<String>) -> Result<Target> {
    let field_name = format!("{field}.destination");
    ensure!(!path.as_os_str().is_empty(), "{field_name}: empty");
    let mut path = path.to_path_buf();
    if path.is_relative() {
        // Deprecated in the spec and still sent; runc and crun take it as relative to "/".
        warnings
            .push(format!("{field_name}: {} is not absolute, taken as below /", path.display()));
        path = Path::new("/").join(path);
    }
    // Without a trailing slash or "//", so that comparisons of destinations hold.
    let clean: PathBuf = path.components().collect();
    Ok(Target { path: c_path(&field_name, &clean)?, field: field.into() })
}

/// config-linux.md, "Default Devices": path and minor number; tty is 5:0, the others have major 1.
const DEFAULT_DEVICES: [(&str, u32); 6] = [
    ("/dev/null", 3),
    ("/dev/zero", 5),
    ("/dev/full", 7),
    ("/dev/random", 8),
    ("/dev/urandom", 9),
    ("/dev/tty", 0),
];

fn default_device(path: &str, minor: u32) -> Device {
    Device {
        target: Target::fixed(path, "default device"),
        kind: DeviceKind::Character,
        major: if minor == 0 { 5 } else { 1 },
        minor,
        mode: 0o666,
        uid: 0,
        gid: 0,
    }
}

/// What every runtime makes in /dev beside the nodes; programs and libc rely on them.
fn default_links() -> impl Iterator<Item = Symlink> {
    [
        ("/dev/fd", "/proc/self/fd", false),
        ("/dev/stdin", "/proc/self/fd/0", false),
        ("/dev/stdout", "/proc/self/fd/1", false),
        ("/dev/stderr", "/proc/self/fd/2", false),
        ("/dev/ptmx", "pts/ptmx", true),
    ]
    .into_iter()
    .map(|(path, to, replace)| Symlink {
        target: Target::fixed(path, "default link"),
        to: CString::new(to).unwrap_or_default(),
        replace,
    })
}

fn device(n: usize, spec: &LinuxDevice) -> Result<Device> {
    let field = format!("linux.devices[{n}]");
    let kind = match spec.typ() {
        LinuxDeviceType::B => DeviceKind::Block,
        LinuxDeviceType::C | LinuxDeviceType::U => DeviceKind::Character,
        LinuxDeviceType::P => DeviceKind::Fifo,
        LinuxDeviceType::A => {
            bail!("{field}.type: \"a\" is for device rules; use \"b\", \"c\", \"u\" or \"p\"")
        }
    };
    let path_field = format!("{field}.path");
    ensure!(spec.path().is_absolute(), "{path_field}: {:?} is not absolute", spec.path());
    let number = |name: &str, value: i64, bits: u32| {
        u32::try_from(value)
            .ok()
            .filter(|value| kind == DeviceKind::Fifo || *value < 1 << bits)
            .with_context(|| format!("{field}.{name}: {value} is not a device number"))
    };
    let clean: PathBuf = spec.path().components().collect();
    ensure!(clean.file_name().is_some(), "{path_field}: {:?} names no file", spec.path());
    Ok(Device {
        target: Target { path: c_path(&path_field, &clean)?, field: field.clone() },
        kind,
        major: number("major", if kind == DeviceKind::Fifo { 0 } else { spec.major() }, 12)?,
        minor: number("minor", if kind == DeviceKind::Fifo { 0 } else { spec.minor() }, 20)?,
        mode: spec.file_mode().unwrap_or(0o666) & 0o7777,
        uid: spec.uid().unwrap_or(0),
        gid: spec.gid().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Result<Rootfs> {
        let spec: Spec = serde_json::from_str(json)?;
        let linux = spec.linux().clone().unwrap();
        let options = Options {
            id: "web",
            bundle: Path::new("/b"),
            pivot: Pivot::Switch,
            driver: crate::plan::cgroup::Driver::Cgroupfs,
            session_keyring: true,
            default_maps: None,
        };
        Rootfs::new(&spec, &linux, &Namespaces::new(&linux)?, &options, &mut Vec::new())
    }

    fn with(mounts: &str, linux: &str) -> Result<Rootfs> {
        plan(&format!(
            r#"{{"ociVersion":"1.0.2","root":{{"path":"rootfs"}},"mounts":[{mounts}],
                "linux":{{"namespaces":[{{"type":"mount"}}]{linux}}}}}"#
        ))
    }

    fn error(mounts: &str, linux: &str) -> String {
        format!("{:#}", with(mounts, linux).unwrap_err())
    }

    #[test]
    fn default_devices_and_links_are_planned_once() {
        let plan = with(
            "",
            r#","devices":[{"path":"/dev/null","type":"c","major":1,"minor":3,"fileMode":384}]"#,
        )
        .unwrap();
        let nodes: Vec<_> = plan
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Device(device) => Some((device.target.path.to_str().unwrap(), device.mode)),
                Step::FileSystem(_) | Step::Bind(_) | Step::Cgroup(_) | Step::Remount(_) => None,
                Step::Symlink(_) => None,
            })
            .collect();
        assert_eq!(nodes.len(), 6);
        assert_eq!(nodes.last(), Some(&("/dev/null", 0o600)));
    }

    #[test]
    fn nothing_is_made_in_a_dev_bound_from_the_host() {
        let plan =
            with(r#"{"destination":"/dev/","source":"/dev","options":["rbind"]}"#, "").unwrap();
        assert!(matches!(plan.steps.as_slice(), [Step::Bind(_)]));
    }

    #[test]
    fn group_of_terminals_is_left_out_where_it_is_not_mapped() {
        let devpts = r#"{"destination":"/dev/pts","type":"devpts","options":["mode=620","gid=5"]}"#;
        let options = |size: u32| {
            let json = format!(
                r#"{{"ociVersion":"1.0.2","root":{{"path":"r"}},"mounts":[{devpts}],"linux":{{
                    "namespaces":[{{"type":"mount"}},{{"type":"user"}}],
                    "uidMappings":[{{"containerID":0,"hostID":7,"size":{size}}}],
                    "gidMappings":[{{"containerID":0,"hostID":7,"size":{size}}}]}}}}"#
            );
            match plan(&json).unwrap().steps.into_iter().next() {
                Some(Step::FileSystem(devpts)) => devpts.options.len(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((options(5), options(6)), (1, 2));
    }

    #[test]
    fn read_only_tmpfs_is_sealed_last() {
        let plan = with(
            r#"{"destination":"/dev","type":"tmpfs","options":["ro"]},{"destination":"/dev/shm","type":"tmpfs"}"#,
            "",
        )
        .unwrap();
        let Some(Step::FileSystem(dev)) = plan.steps.first() else { panic!("no mount") };
        assert!(!dev.attributes.read_only());
        assert!(
            matches!(plan.steps.last(), Some(Step::Remount(seal)) if seal.attributes.read_only())
        );
    }

    #[test]
    fn relative_bind_sources_are_below_the_bundle() {
        let plan = with(r#"{"destination":"/d","source":"data","options":["bind"]}"#, "").unwrap();
        assert!(
            matches!(plan.steps.first(), Some(Step::Bind(bind)) if bind.source.as_bytes() == b"/b/data")
        );
    }

    #[test]
    fn errors_name_the_field() {
        let table = [
            (
                r#"{"destination":"/d"}"#,
                "",
                "mounts[0].type: missing; name a file system, or add \"bind\" to mounts[0].options",
            ),
            (
                r#"{"destination":"/d","options":["bind"]}"#,
                "",
                "mounts[0].source: missing; a bind mount needs one",
            ),
            (
                r#"{"destination":"/d","source":"/s","options":["bind","idmap"]}"#,
                "",
                "mounts[0].options: \"idmap\" needs mounts[0].uidMappings or linux.uidMappings",
            ),
            ("", r#","maskedPaths":["proc"]"#, "linux.maskedPaths[0]: \"proc\" is not absolute"),
            (
                "",
                r#","devices":[{"path":"/dev/x","type":"c","major":-1,"minor":3}]"#,
                "linux.devices[0].major: -1 is not a device number",
            ),
            (
                "",
                r#","rootfsPropagation":"rpublic""#,
                "linux.rootfsPropagation: \"rpublic\" is not shared, slave, private or unbindable",
            ),
        ];
        for (mounts, linux, text) in table {
            assert_eq!(error(mounts, linux), text);
        }
        let long = format!(
            r#"{{"destination":"/d","source":"/{}","options":["bind"]}}"#,
            "x".repeat(70000)
        );
        assert_eq!(
            error(&long, ""),
            "mounts[0].source: 70001 bytes long, the kernel takes at most 4095"
        );
    }
}
