//! Image configuration and flags become config.json.
//!
//! Runs in: pure. What has to be looked up comes as [`Facts`].
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

mod capabilities;
mod mounts;
mod seccomp;
pub(crate) mod values;
pub(crate) mod wish;

use crate::cli::run::{Create, LimitFlags, RightFlags};
use crate::container::Mount;
use crate::error::OrHint as _;
use crate::fmt;
use anyhow::{Context as _, Result, anyhow, ensure};
use oci_spec::image;
use oci_spec::runtime::Spec;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Runtimes of 2022 refuse later versions, and nothing here needs one.
const VERSION: &str = "1.0.2";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the flags alone do not say.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) id: &'a str,
    pub(crate) rootfs: &'a Path,
    /// It has a network of its own, or that of another container.
    pub(crate) network: bool,
    pub(crate) mounts: Vec<Mount>,
    /// Whether the kernel can make all mounts of a tree read-only.
    pub(crate) recursive_read_only: bool,
    pub(crate) user: User,
    /// For an ordinary user.
    pub(crate) maps: Option<Maps>,
    /// Capabilities that the caller can pass on, one bit each.
    pub(crate) capabilities: u64,
    pub(crate) privileged: bool,
    /// Variables of the caller and of files, for `-e NAME` and `--env-file`; later ones win.
    pub(crate) env: Vec<String>,
    pub(crate) devices: Vec<Device>,
    /// The text of `--security-opt seccomp=FILE`.
    pub(crate) seccomp: Option<Value>,
}

/// Looked up in the container's /etc/passwd and /etc/group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) home: Option<String>,
}

/// (container, host, size) of a user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Maps {
    pub(crate) uid: Vec<(u32, u32, u32)>,
    pub(crate) gid: Vec<(u32, u32, u32)>,
}

/// A device of the host, as stat(2) tells it.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) host: PathBuf,
    pub(crate) path: String,
    /// "c" or "b".
    pub(crate) kind: &'static str,
    pub(crate) number: (u64, u64),
    pub(crate) mode: u32,
    pub(crate) access: String,
}

/// Writes config.json.
///
/// # Errors
/// A flag that can't be understood; its name is in the text.
pub(crate) fn make(flags: &Create, image: &image::Config, facts: &Facts<'_>) -> Result<Spec> {
    let granted = capabilities::granted(
        &flags.rights.cap_add,
        &flags.rights.cap_drop,
        flags.rights.privileged,
        facts.capabilities,
    )?;
    let hostname = flags.process.hostname.as_deref().unwrap_or_else(|| fmt::short_id(facts.id));
    let mut linux = isolation(flags, facts)?;
    if !flags.rights.privileged {
        mask(&mut linux);
        match Security::parse(&flags.rights)?.seccomp {
            Seccomp::Usual => linux["seccomp"] = seccomp::profile(&granted),
            Seccomp::File => linux["seccomp"] = facts.seccomp.clone().context("no seccomp file")?,
            Seccomp::Unconfined => {}
        }
    }
    let mut mounts = mounts::all(&flags.files, facts)?;
    devices(&mut linux, &mut mounts, facts);
    let spec = json!({
        "ociVersion": VERSION,
        "hostname": hostname,
        "root": { "path": facts.rootfs, "readonly": flags.files.read_only },
        "process": process(flags, image, facts, &granted, hostname)?,
        "mounts": mounts,
        "linux": linux,
    });
    serde_json::from_value(spec).context("internal error, please report: config.json")
}

fn process(
    flags: &Create,
    image: &image::Config,
    facts: &Facts<'_>,
    granted: &capabilities::Set,
    hostname: &str,
) -> Result<Value> {
    let cwd = flags.process.workdir.as_deref().or(image.working_dir().as_deref());
    let cwd = cwd.filter(|dir| !dir.is_empty()).unwrap_or("/");
    ensure!(cwd.starts_with('/'), "-w {cwd}: not an absolute path");
    // Only root keeps them when it starts a program.
    let active = if facts.user.uid == 0 { granted.clone() } else { capabilities::Set::new() };
    let rlimits = flags.limits.ulimit.iter().map(|text| {
        let (kind, soft, hard) = values::ulimit(text)?;
        Ok(json!({ "type": kind, "soft": soft, "hard": hard }))
    });
    Ok(json!({
        "terminal": flags.tty,
        "user": { "uid": facts.user.uid, "gid": facts.user.gid, "additionalGids": facts.user.groups },
        "args": arguments(flags, image)?,
        "env": environment(flags, image, facts, hostname)?,
        "cwd": cwd,
        "capabilities": { "bounding": granted, "effective": active, "permitted": active },
        "noNewPrivileges": Security::parse(&flags.rights)?.no_new_privileges,
        "rlimits": rlimits.collect::<Result<Vec<_>>>()?,
    }))
}

/// The entry point, and the command after it. Another entry point makes the image's command void.
pub(crate) fn arguments(flags: &Create, image: &image::Config) -> Result<Vec<String>> {
    let of_image = |part: &Option<Vec<String>>| part.clone().unwrap_or_default();
    let mut args = match flags.process.entrypoint.as_deref() {
        Some("") => Vec::new(),
        Some(program) => vec![program.to_owned()],
        None => of_image(image.entrypoint()),
    };
    let command = flags.command();
    if !command.is_empty() {
        args.extend(command);
    } else if flags.process.entrypoint.is_none() {
        args.extend(of_image(image.cmd()));
    }
    if args.is_empty() {
        return Err(anyhow!("no command")).hint("write the command and its arguments at the end");
    }
    Ok(args)
}

/// The usual ones, those of the image, and those of the flags; the last of a name wins.
fn environment(
    flags: &Create,
    image: &image::Config,
    facts: &Facts<'_>,
    hostname: &str,
) -> Result<Vec<String>> {
    let mut env = vec![format!("PATH={PATH}"), format!("HOSTNAME={hostname}")];
    if flags.tty {
        env.push("TERM=xterm".into());
    }
    let home = facts.user.home.as_deref().filter(|home| !home.is_empty()).unwrap_or("/");
    env.push(format!("HOME={home}"));
    for variable in image.env().iter().flatten().chain(&facts.env) {
        set(&mut env, variable)?;
    }
    Ok(env)
}

/// `NAME=VALUE` instead of an earlier one of that name.
pub(crate) fn set(env: &mut Vec<String>, variable: &str) -> Result<()> {
    let name = variable.split('=').next().unwrap_or_default();
    ensure!(!name.is_empty(), "-e {variable}: no name");
    let same = |other: &&mut String| other.split('=').next() == Some(name);
    match env.iter_mut().find(same) {
        Some(other) => *other = variable.to_owned(),
        None => env.push(variable.to_owned()),
    }
    Ok(())
}

/// Namespaces, cgroup, limits, settings.
fn isolation(flags: &Create, facts: &Facts<'_>) -> Result<Value> {
    let mut namespaces = vec!["pid", "ipc", "uts", "mount", "cgroup"];
    if facts.network {
        namespaces.push("network");
    }
    let mut linux = json!({});
    if let Some(maps) = &facts.maps {
        namespaces.push("user");
        let list = |maps: &[(u32, u32, u32)]| -> Vec<Value> {
            let one = |(inside, outside, size): &(u32, u32, u32)| json!({ "containerID": inside, "hostID": outside, "size": size });
            maps.iter().map(one).collect()
        };
        linux["uidMappings"] = list(&maps.uid).into();
        linux["gidMappings"] = list(&maps.gid).into();
    }
    linux["namespaces"] = namespaces.iter().map(|kind| json!({ "type": kind })).collect();
    let resources = limits(&flags.limits)?;
    // An ordinary user has a cgroup only where somebody gave him one: he asks for it by a limit.
    let asks = resources.as_object().is_some_and(|limits| !limits.is_empty());
    if facts.maps.is_none() || asks {
        linux["resources"] = resources;
        linux["cgroupsPath"] = match &flags.limits.cgroup_parent {
            Some(parent) => format!("/{}/{}", parent.trim_matches('/'), facts.id),
            None => format!("/bundles-{}", facts.id),
        }
        .into();
    }
    if facts.maps.is_none() {
        linux["resources"]["devices"] = json!([{ "allow": facts.privileged, "access": "rwm" }]);
    }
    let mut sysctl = serde_json::Map::new();
    for setting in &flags.rights.sysctl {
        let (name, value) =
            setting.split_once('=').with_context(|| format!("--sysctl {setting}: no value"))?;
        sysctl.insert(name.to_owned(), value.into());
    }
    linux["sysctl"] = sysctl.into();
    Ok(linux)
}

fn limits(flags: &LimitFlags) -> Result<Value> {
    let mut resources = json!({});
    if let Some(text) = &flags.memory {
        resources["memory"]["limit"] = values::bytes_or_unlimited("--memory", text)?.into();
    }
    if let Some(text) = &flags.memory_swap {
        resources["memory"]["swap"] = values::bytes_or_unlimited("--memory-swap", text)?.into();
    }
    if let Some(text) = &flags.cpus {
        resources["cpu"]["quota"] = values::quota(text)?.into();
        resources["cpu"]["period"] = 100_000.into();
    }
    if let Some(weight) = flags.cpu_shares {
        resources["cpu"]["shares"] = weight.into();
    }
    if let Some(cpus) = &flags.cpuset_cpus {
        resources["cpu"]["cpus"] = cpus.as_str().into();
    }
    if let Some(nodes) = &flags.cpuset_mems {
        resources["cpu"]["mems"] = nodes.as_str().into();
    }
    if let Some(most) = flags.pids_limit {
        resources["pids"]["limit"] = if most == 0 { -1 } else { most }.into();
    }
    Ok(resources)
}

/// What of /proc and /sys tells of the host, or changes it.
fn mask(linux: &mut Value) {
    linux["maskedPaths"] = json!([
        "/proc/acpi",
        "/proc/asound",
        "/proc/interrupts",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/sched_debug",
        "/proc/scsi",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/sys/devices/virtual/powercap",
        "/sys/firmware"
    ]);
    linux["readonlyPaths"] =
        json!(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]);
}

/// An ordinary user can't make device nodes: his are bound from the host.
fn devices(linux: &mut Value, mounts: &mut Vec<Value>, facts: &Facts<'_>) {
    let (mut nodes, mut rules) = (Vec::new(), Vec::new());
    for device in &facts.devices {
        if facts.maps.is_some() {
            mounts.push(json!({ "destination": device.path, "type": "bind", "source": device.host,
                "options": ["bind", "rprivate", "nosuid", "noexec"] }));
            continue;
        }
        let (major, minor) = device.number;
        nodes.push(
            json!({ "path": device.path, "type": device.kind, "major": major, "minor": minor,
            "fileMode": device.mode, "uid": 0, "gid": 0 }),
        );
        rules.push(json!({ "allow": true, "type": device.kind, "major": major, "minor": minor,
            "access": device.access }));
    }
    linux["devices"] = nodes.into();
    if let Some(list) = linux["resources"]["devices"].as_array_mut() {
        list.extend(rules);
    }
}

/// `--security-opt`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Security<'a> {
    pub(crate) seccomp: Seccomp,
    pub(crate) file: Option<&'a str>,
    no_new_privileges: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seccomp {
    Usual,
    File,
    Unconfined,
}

impl<'a> Security<'a> {
    pub(crate) fn parse(flags: &'a RightFlags) -> Result<Self> {
        let mut security = Self { seccomp: Seccomp::Usual, file: None, no_new_privileges: false };
        for option in &flags.security_opt {
            let (key, value) = option.split_once(['=', ':']).unwrap_or((option, "true"));
            match (key, value) {
                ("no-new-privileges", "true") => security.no_new_privileges = true,
                ("no-new-privileges", "false") => security.no_new_privileges = false,
                ("seccomp", "unconfined") => security.seccomp = Seccomp::Unconfined,
                ("seccomp", file) => {
                    security.seccomp = Seccomp::File;
                    security.file = Some(file);
                }
                _ => {
                    return Err(anyhow!("--security-opt {option}: unknown"))
                        .hint("no-new-privileges, seccomp=unconfined and seccomp=FILE are known");
                }
            }
        }
        Ok(security)
    }
}

#[cfg(test)]
mod tests;
