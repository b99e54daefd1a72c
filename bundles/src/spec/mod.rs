//! Image configuration and flags become config.json.
//!
//! Runs in: pure. What has to be looked up comes as [`Facts`].
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

pub(crate) mod capabilities;
mod devices;
mod limits;
mod mounts;
pub(crate) mod namespaces;
mod seccomp;
mod security;
pub(crate) mod values;
pub(crate) mod wish;

pub(crate) use devices::Device;
pub(crate) use limits::{Throttle, changeable, ignored, without};
pub(crate) use security::{Seccomp, Security};

use crate::cli::run::Create;
use crate::container::Mount;
use crate::error::OrHint as _;
use crate::init;
use anyhow::{Context as _, Result, anyhow, ensure};
use namespaces::{Namespaces, Whose};
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
    pub(crate) hostname: String,
    /// The files that are mounted below /etc, such as /etc/hosts.
    pub(crate) etc: Vec<PathBuf>,
    pub(crate) mounts: Vec<Mount>,
    /// Whether the kernel can make all mounts of a tree read-only.
    pub(crate) recursive_read_only: bool,
    pub(crate) user: User,
    /// How many ids there are in the user namespace of an ordinary user, which his containers share.
    pub(crate) ids: Option<u64>,
    /// Of the cgroups that an ordinary user may make; `None` where every limit can be.
    pub(crate) controllers: Option<Vec<String>>,
    /// Capabilities that the caller can pass on, one bit each.
    pub(crate) capabilities: u64,
    pub(crate) privileged: bool,
    /// Variables of the caller and of files, for `-e NAME` and `--env-file`; later ones win.
    pub(crate) env: Vec<String>,
    pub(crate) devices: Vec<Device>,
    pub(crate) throttles: Vec<Throttle>,
    /// This program, for `--init`.
    pub(crate) init: Option<PathBuf>,
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
    let namespaces = Namespaces::parse(&flags.namespaces, facts.ids.is_none())?;
    let mut linux = isolation(flags, facts, &namespaces)?;
    let security = Security::parse(&flags.rights)?;
    security.hide(&mut linux, flags.rights.privileged);
    if !flags.rights.privileged {
        match security.seccomp {
            Seccomp::Usual => linux["seccomp"] = seccomp::profile(&granted),
            Seccomp::File => linux["seccomp"] = facts.seccomp.clone().context("no seccomp file")?,
            Seccomp::Unconfined => {}
        }
    }
    let mut mounts = mounts::all(&flags.files, facts, &namespaces)?;
    devices::add(&mut linux, &mut mounts, facts, &flags.files.device_cgroup_rule)?;
    if let Some(init) = &facts.init {
        mounts.push(json!({ "destination": init::PATH, "type": "bind", "source": init,
            "options": ["bind", "ro", "nosuid", "nodev"] }));
    }
    let mut spec = json!({
        "ociVersion": VERSION,
        "root": { "path": facts.rootfs, "readonly": flags.files.read_only },
        "process": process(flags, image, facts, &granted)?,
        "mounts": mounts,
        "linux": linux,
    });
    if namespaces.uts == Whose::Own {
        spec["hostname"] = facts.hostname.as_str().into();
        if let (Some(name), true) = (&flags.names.domainname, facts.ids.is_some()) {
            spec["domainname"] = name.as_str().into();
        }
    } else if flags.names.hostname.is_some() || flags.names.domainname.is_some() {
        return Err(anyhow!("--hostname: with --uts host it has the name of the host"))
            .hint("leave one of them away");
    }
    if !flags.annotation.is_empty() {
        spec["annotations"] = json!(crate::cli::pairs(&flags.annotation));
    }
    serde_json::from_value(spec).context("internal error, please report: config.json")
}

fn process(
    flags: &Create,
    image: &image::Config,
    facts: &Facts<'_>,
    granted: &capabilities::Set,
) -> Result<Value> {
    let cwd = flags.process.workdir.as_deref().or(image.working_dir().as_deref());
    let cwd = cwd.filter(|dir| !dir.is_empty()).unwrap_or("/");
    ensure!(cwd.starts_with('/'), "-w {cwd}: not an absolute path");
    let security = Security::parse(&flags.rights)?;
    let init = facts.init.iter().map(|_| init::PATH.to_owned());
    let args: Vec<String> = init.chain(arguments(flags, image)?).collect();
    // Only root keeps them when it starts a program.
    let active = if facts.user.uid == 0 { granted.clone() } else { capabilities::Set::new() };
    let rlimits = flags.limits.ulimit.iter().map(|text| {
        let (kind, soft, hard) = values::ulimit(text)?;
        Ok(json!({ "type": kind, "soft": soft, "hard": hard }))
    });
    Ok(json!({
        "terminal": flags.tty,
        "user": { "uid": facts.user.uid, "gid": facts.user.gid, "additionalGids": facts.user.groups },
        "args": args,
        "env": environment(flags, image, facts)?,
        "cwd": cwd,
        "capabilities": { "bounding": granted, "effective": active, "permitted": active },
        "noNewPrivileges": security.no_new_privileges,
        "rlimits": rlimits.collect::<Result<Vec<_>>>()?,
        "oomScoreAdj": flags.limits.oom_score_adj,
        "apparmorProfile": security.apparmor,
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
fn environment(flags: &Create, image: &image::Config, facts: &Facts<'_>) -> Result<Vec<String>> {
    let mut env = vec![format!("PATH={PATH}"), format!("HOSTNAME={}", facts.hostname)];
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

/// `NAME=VALUE` instead of an earlier one of that name, which `NAME` alone takes away.
pub(crate) fn set(env: &mut Vec<String>, variable: &str) -> Result<()> {
    let name = variable.split('=').next().unwrap_or_default();
    ensure!(!name.is_empty(), "-e {variable}: no name");
    if name == variable {
        env.retain(|other| other.split('=').next() != Some(name));
        return Ok(());
    }
    let same = |other: &&mut String| other.split('=').next() == Some(name);
    match env.iter_mut().find(same) {
        Some(other) => *other = variable.to_owned(),
        None => env.push(variable.to_owned()),
    }
    Ok(())
}

/// Namespaces, cgroup, limits, settings.
fn isolation(flags: &Create, facts: &Facts<'_>, shared: &Namespaces<'_>) -> Result<Value> {
    let own = shared.list().into_iter().filter(|(_, whose)| **whose != Whose::Host);
    let mut namespaces: Vec<&str> = own.map(|(kind, _)| kind).chain(["mount"]).collect();
    if facts.network {
        namespaces.push("network");
    }
    let mut linux = json!({});
    linux["namespaces"] = namespaces.iter().map(|kind| json!({ "type": kind })).collect();
    linux["resources"] = limits::resources(&flags.limits, facts)?;
    if let Some(controllers) = &facts.controllers {
        limits::without(&mut linux["resources"], controllers);
    }
    // Where an ordinary user may have cgroups, the runtime knows.
    linux["cgroupsPath"] = match &flags.limits.cgroup_parent {
        Some(parent) => format!("/{}/{}", parent.trim_matches('/'), facts.id).into(),
        None if facts.ids.is_none() => format!("/bundles-{}", facts.id).into(),
        None => Value::Null,
    };
    if facts.ids.is_none() {
        linux["resources"]["devices"] = json!([{ "allow": facts.privileged, "access": "rwm" }]);
    }
    let mut sysctl = serde_json::Map::new();
    for setting in &flags.rights.sysctl {
        let (name, value) =
            setting.split_once('=').with_context(|| format!("--sysctl {setting}: no value"))?;
        sysctl.insert(name.to_owned(), value.into());
    }
    // Runtimes of 2022 know no other way; an ordinary user may not write there.
    if let (Some(name), true) = (&flags.names.domainname, facts.ids.is_none()) {
        sysctl.insert("kernel.domainname".to_owned(), name.as_str().into());
    }
    linux["sysctl"] = sysctl.into();
    Ok(linux)
}

#[cfg(test)]
mod tests;
