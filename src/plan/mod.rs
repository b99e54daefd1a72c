//! The pure stage: what a `config.json` means, before anything is done about it.
//!
//! Runs in: parent. No I/O, no privilege, no descriptor: `rt plan` prints the result. Every error
//! names the field of the config that it is about. Together with `config.rs` the only place that
//! knows oci-spec's types.

pub(crate) mod annotations;
pub(crate) mod cgroup;
pub(crate) mod device_rules;
pub(crate) mod exec;
pub(crate) mod hooks;
pub(crate) mod idmap;
pub(crate) mod intel_rdt;
pub(crate) mod landlock;
pub(crate) mod live;
pub(crate) mod memory_policy;
pub(crate) mod mount;
pub(crate) mod namespaces;
pub(crate) mod net_devices;
pub(crate) mod notify_socket;
pub(crate) mod number_set;
pub(crate) mod print;
pub(crate) mod process;
pub(crate) mod rootfs;
pub(crate) mod scheduling;
pub(crate) mod seccomp;
pub(crate) mod sysctl;

use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use oci_spec::runtime::Spec;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

pub(crate) use annotations::Extensions;
pub(crate) use hooks::{Hook, Hooks};
use intel_rdt::IntelRdt;
pub(crate) use memory_policy::MemoryPolicy;
pub(crate) use namespaces::{DefaultMaps, Kind, Namespaces};
use net_devices::NetDevice;
pub(crate) use process::Process;
pub(crate) use rootfs::Rootfs;
use scheduling::Scheduler;

/// What the command line adds to the config.
pub(crate) struct Options<'a> {
    pub(crate) id: &'a str,
    /// Absolute.
    pub(crate) bundle: &'a Path,
    pub(crate) pivot: Pivot,
    /// Who makes the cgroup.
    pub(crate) driver: cgroup::Driver,
    pub(crate) session_keyring: bool,
    /// For a config without user namespace; `None` where the caller does not need one.
    pub(crate) default_maps: Option<&'a DefaultMaps>,
}

/// How the container gets its root directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pivot {
    /// `pivot_root(2)`, the host's tree is unmounted.
    Switch,
    /// `--no-pivot`: the root mount is moved over "/", for a host root on initramfs.
    MoveRoot,
    /// No mount namespace of its own: chroot(2).
    Chroot,
}

/// Everything that will be attempted, resolved: no `Option` here means "default".
pub(crate) struct Plan {
    pub(crate) id: String,
    pub(crate) bundle: PathBuf,
    pub(crate) oci_version: String,
    pub(crate) namespaces: Namespaces,
    pub(crate) net_devices: Vec<NetDevice>,
    pub(crate) rootfs: Rootfs,
    pub(crate) hostname: Option<String>,
    pub(crate) domainname: Option<String>,
    pub(crate) sysctl: Vec<sysctl::Sysctl>,
    pub(crate) process: Process,
    pub(crate) seccomp: Option<seccomp::Filter>,
    pub(crate) cgroup: Cgroup,
    pub(crate) hooks: Hooks,
    pub(crate) session_keyring: bool,
    /// Execution domain of personality(2).
    pub(crate) personality: Option<u32>,
    pub(crate) memory_policy: Option<MemoryPolicy>,
    pub(crate) intel_rdt: Option<IntelRdt>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) extensions: Extensions,
    /// Things that the user can change and that do not stop the container.
    pub(crate) warnings: Vec<String>,
}

/// The container's place in the cgroup tree and its limits.
pub(crate) struct Cgroup {
    pub(crate) location: cgroup::Location,
    /// What systemd is asked for, when it makes the cgroup.
    pub(crate) unit: Option<cgroup::systemd::Unit>,
    /// The config names the place itself.
    pub(crate) explicit: bool,
    pub(crate) limits: cgroup::Limits,
    /// The user of the host to whom it is delegated.
    pub(crate) owner: Option<u32>,
}

impl Plan {
    pub(crate) fn new(spec: &Spec, options: &Options<'_>) -> Result<Self> {
        let mut warnings = Vec::new();
        version(spec.version(), &mut warnings)?;
        let linux = spec.linux().clone().unwrap_or_default_section();
        no_virtual_machine(spec)?;
        let annotations = annotations(spec);
        let extensions = Extensions::new(&annotations)?;
        let mut namespaces = Namespaces::new(&linux)?;
        if let Some(maps) = options.default_maps.filter(|_| !namespaces.has(Kind::User)) {
            namespaces.add_user(maps);
        }
        let process = spec.process().as_ref().context("process: missing; it says what to run")?;
        let mut process = Process::new(process, "process")?;
        process.extend(&extensions, &mut warnings);
        let hooks = Hooks::new(spec.hooks().as_ref(), &extensions)?;
        let mut rootfs = Rootfs::new(spec, &linux, &namespaces, options, &mut warnings)?;
        rootfs.extend(&extensions);
        let hostname = uts_name("hostname", spec.hostname().as_deref(), &namespaces)?;
        let seccomp = filter(linux.seccomp().as_ref(), &extensions, &mut warnings)?;
        init_can_fork(&process, &hooks, seccomp.as_ref())?;
        let mut cgroup = Cgroup::new(&linux, options, spec.version(), &annotations)?;
        cgroup.owner = owner_of_cgroup(&namespaces, &rootfs, process.uid);
        warnings.extend(cgroup.limits.warnings.iter().cloned());
        let domainname = uts_name("domainname", spec.domainname().as_deref(), &namespaces)?;
        Ok(Self {
            id: options.id.to_string(),
            bundle: options.bundle.to_path_buf(),
            oci_version: spec.version().clone(),
            sysctl: sysctl::plan(linux.sysctl().iter().flatten(), &namespaces)?,
            net_devices: net_devices::plan(linux.net_devices().iter().flatten(), &namespaces)?,
            namespaces,
            rootfs,
            hostname,
            domainname,
            process,
            seccomp,
            cgroup,
            hooks,
            session_keyring: options.session_keyring,
            personality: personality(linux.personality().as_ref())?,
            memory_policy: MemoryPolicy::new(linux.memory_policy().as_ref())?,
            intel_rdt: IntelRdt::new(linux.intel_rdt().as_ref())?,
            annotations,
            extensions,
            warnings,
        })
    }
}

impl Plan {
    /// Something is done from outside when the container's namespaces and mounts are there.
    pub(crate) fn parent_acts(&self) -> bool {
        self.hooks.for_parent() || !self.net_devices.is_empty()
    }
}

/// config.md, "Platform-specific configuration": those for other systems (solaris, windows, zos,
/// freebsd) say nothing about us. One that asks for a virtual machine would run with less isolation.
fn no_virtual_machine(spec: &Spec) -> Result<()> {
    if spec.vm().is_some() {
        return Err(anyhow!(
            "vm: rt runs containers on the host's kernel, not in virtual machines"
        ))
        .hint("remove it, or use a runtime that is made for virtual machines");
    }
    Ok(())
}

/// Init gets its scheduler before it parks, and starts processes after that.
fn init_can_fork(
    process: &Process,
    hooks: &Hooks,
    seccomp: Option<&seccomp::Filter>,
) -> Result<()> {
    let why = if !hooks.start_container.is_empty() {
        "hooks.startContainer"
    } else if seccomp.is_some_and(|filter| filter.notify.is_some()) {
        "linux.seccomp.listenerPath"
    } else {
        return Ok(());
    };
    let forbids = process.scheduling.scheduler.as_ref().is_some_and(Scheduler::forbids_fork);
    ensure!(
        !forbids,
        "process.scheduler.flags: SCHED_DEADLINE with {why} needs SCHED_FLAG_RESET_ON_FORK, \
         as such a process cannot start others"
    );
    Ok(())
}

/// linux/personality.h.
pub(crate) fn personality(
    spec: Option<&oci_spec::runtime::LinuxPersonality>,
) -> Result<Option<u32>> {
    use oci_spec::runtime::LinuxPersonalityDomain as Domain;
    let Some(spec) = spec else { return Ok(None) };
    if let Some(flag) = spec.flags().iter().flatten().next() {
        bail!("linux.personality.flags[0]: {flag:?}: the specification has no flags; remove it");
    }
    Ok(Some(match spec.domain() {
        Domain::PerLinux => 0,
        Domain::PerLinux32 => 8,
    }))
}

impl Cgroup {
    fn new(
        linux: &oci_spec::runtime::Linux,
        options: &Options<'_>,
        version: &str,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let path = linux.cgroups_path().as_deref();
        let resources = linux.resources().clone().unwrap_or_default();
        let limits = cgroup::limits(&resources, zero_pids(version))?;
        let unit = match options.driver {
            cgroup::Driver::Systemd => {
                Some(cgroup::systemd::unit(path, options.id, annotations, &limits)?)
            }
            cgroup::Driver::Cgroupfs | cgroup::Driver::Disabled => None,
        };
        Ok(Self {
            location: cgroup::location(path, options.id)?,
            unit,
            explicit: path.is_some_and(|path| !path.as_os_str().is_empty()),
            limits,
            owner: None,
        })
    }
}

/// config-linux.md, "Cgroup ownership": who can mount a cgroup namespace of his own for writing shall
/// be able to divide it.
fn owner_of_cgroup(namespaces: &Namespaces, rootfs: &Rootfs, user: u32) -> Option<u32> {
    let is_writable = |step: &rootfs::Step| {
        matches!(step, rootfs::Step::Cgroup(mount)
            if mount.target.path.as_c_str() == c"/sys/fs/cgroup" && !mount.attributes.read_only())
    };
    let wanted = namespaces.creates(Kind::Cgroup) && rootfs.steps.iter().any(is_writable);
    match (namespaces.has(Kind::User), wanted) {
        (_, false) => None,
        (false, true) => Some(user),
        (true, true) => namespaces::host_id(&namespaces.uid_maps, user),
    }
}

/// runtime-spec 1.3 made `pids.limit` 0 a limit; before it meant "not set".
pub(crate) fn zero_pids(version: &str) -> cgroup::ZeroPids {
    let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    if minor.is_some_and(|minor| minor >= 3) {
        cgroup::ZeroPids::Limit
    } else {
        cgroup::ZeroPids::Unset
    }
}

pub(crate) fn filter(
    spec: Option<&oci_spec::runtime::LinuxSeccomp>,
    extensions: &Extensions,
    warnings: &mut Vec<String>,
) -> Result<Option<seccomp::Filter>> {
    let filter = match (spec, &extensions.seccomp_program) {
        (spec, Some(program)) => Some(seccomp::raw::filter(program, spec, extensions)?),
        (Some(spec), None) => seccomp::compile(spec, extensions)?,
        (None, None) => None,
    };
    if let Some(filter) = &filter {
        warnings.extend(filter.warnings.iter().cloned());
    }
    Ok(filter)
}

trait SectionOrEmpty {
    fn unwrap_or_default_section(self) -> oci_spec::runtime::Linux;
}

impl SectionOrEmpty for Option<oci_spec::runtime::Linux> {
    /// `Linux::default()` of the crate is a whole example config; absent must mean empty.
    fn unwrap_or_default_section(self) -> oci_spec::runtime::Linux {
        self.unwrap_or_else(|| {
            let mut linux = oci_spec::runtime::Linux::default();
            linux.set_namespaces(None);
            linux.set_masked_paths(None);
            linux.set_readonly_paths(None);
            linux.set_resources(None);
            linux
        })
    }
}

pub(crate) fn annotations(spec: &Spec) -> BTreeMap<String, String> {
    spec.annotations().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// config.md, "Specification version": `SemVer` 2.0.0. Any 1.x is compatible by that rule; what is
/// newer than we know is worth a warning only.
fn version(version: &str, warnings: &mut Vec<String>) -> Result<()> {
    ensure!(!version.is_empty(), "ociVersion: missing; write for example \"1.2.0\"");
    let mut parts = version.split(['.', '-', '+']);
    let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok());
    match (number(), number(), number()) {
        (Some(1), Some(0..=3), Some(_)) => Ok(()),
        (Some(1), Some(_), Some(_)) => {
            warnings.push(format!(
                "ociVersion: {version} is newer than 1.3; unknown fields are ignored"
            ));
            Ok(())
        }
        (Some(_), Some(_), Some(_)) => {
            bail!("ociVersion: {version} is not supported, 1.0 to 1.3 are")
        }
        _ => bail!("ociVersion: {version:?} is not a version such as 1.2.0"),
    }
}

fn uts_name(field: &str, name: Option<&str>, namespaces: &Namespaces) -> Result<Option<String>> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
    no_nul(field, name.as_bytes())?;
    // __NEW_UTS_LEN of linux/utsname.h.
    ensure!(name.len() <= 64, "{field}: {} bytes long, a host name has at most 64", name.len());
    ensure!(
        namespaces.has(Kind::Uts),
        "{field}: needs a \"uts\" entry in linux.namespaces, or it would change the host's name"
    );
    Ok(Some(name.to_string()))
}

pub(crate) fn no_nul(field: &str, bytes: &[u8]) -> Result<()> {
    match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => bail!("{field}: NUL byte at position {at}"),
        None => Ok(()),
    }
}

/// A string for the kernel, limited to `max` bytes.
pub(crate) fn c_string(field: &str, text: &[u8], max: usize) -> Result<CString> {
    no_nul(field, text)?;
    ensure!(
        text.len() <= max,
        "{field}: {} bytes long, the kernel takes at most {max}",
        text.len()
    );
    Ok(CString::new(text)?)
}

/// limits.h: `PATH_MAX` with its NUL.
pub(crate) const PATH_MAX: usize = 4095;

pub(crate) fn c_path(field: &str, path: &Path) -> Result<CString> {
    ensure!(!path.as_os_str().is_empty(), "{field}: empty");
    c_string(field, path.as_os_str().as_bytes(), PATH_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Result<Plan> {
        let spec: Spec = serde_json::from_str(json)?;
        let options = Options {
            id: "web",
            bundle: Path::new("/b"),
            pivot: Pivot::Switch,
            driver: cgroup::Driver::Cgroupfs,
            session_keyring: true,
            default_maps: None,
        };
        Plan::new(&spec, &options)
    }

    fn error(json: &str) -> String {
        plan(json).err().map(|err| format!("{err:#}")).unwrap_or_default()
    }

    const REST: &str = r#""root":{"path":"rootfs"},"process":{"user":{},"args":["sh"],"cwd":"/"}"#;

    #[test]
    fn versions_are_checked() {
        for good in ["1.0.0", "1.0.2-dev", "1.2.1+dev", "1.3.0", "1.4.0"] {
            assert!(plan(&format!(r#"{{"ociVersion":"{good}",{REST}}}"#)).is_ok(), "{good}");
        }
        assert_eq!(
            error(&format!("{{{REST}}}")),
            "ociVersion: missing; write for example \"1.2.0\""
        );
        let text = error(&format!(r#"{{"ociVersion":"2.0.0",{REST}}}"#));
        assert_eq!(text, "ociVersion: 2.0.0 is not supported, 1.0 to 1.3 are");
    }

    #[test]
    fn host_name_without_uts_namespace_is_refused() {
        let text = error(&format!(r#"{{"ociVersion":"1.0.2","hostname":"x",{REST}}}"#));
        assert!(text.starts_with("hostname: needs a \"uts\" entry"), "{text}");
    }

    #[test]
    fn strings_with_nul_are_refused_with_the_field() {
        let text = error(
            r#"{"ociVersion":"1.0.2","root":{"path":"r"},
                "process":{"user":{},"args":["a","b\u0000c"],"cwd":"/"}}"#,
        );
        assert_eq!(text, "process.args[1]: NUL byte at position 1");
    }
}
