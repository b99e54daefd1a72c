//! What flags of `create` and `run` name has to be looked up: users, devices, files of variables.

use super::devices;
use crate::cli::run::Create;
use crate::monitor::cgroup;
use crate::spec::{Facts, Security};
use crate::{copy, etc, fmt, rootless, users};
use anyhow::{Context as _, Result, ensure};
use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, faccessat};
use oci_spec::image;
use rustix::fs::FileType;
use std::fs;
use std::path::{Path, PathBuf};

/// `files` are those of the image, `rootfs` where the container will have them, `dir` its own.
pub(crate) fn find<'a>(
    args: &Create,
    image: &image::Config,
    files: &Path,
    (id, dir, rootfs): (&'a str, &'a Path, &'a Path),
) -> Result<Facts<'a>> {
    let user = args.process.user.as_deref().or(image.user().as_deref()).unwrap_or_default();
    let file = Security::parse(&args.rights)?.file;
    let seccomp = file.map(read_profile).transpose()?;
    let ids = rootless::ids()?;
    let user = users::find(files, user, &args.process.group_add)?;
    if let Some(ids) = ids {
        users::check(&user, ids)?;
    }
    Ok(Facts {
        id,
        rootfs,
        network: args.network.network != ["host"],
        hostname: hostname(args, id)?,
        etc: etc(args, files)?.into_iter().map(|name| dir.join(name)).collect(),
        mounts: Vec::new(),
        recursive_read_only: recursive_read_only()?,
        user,
        capabilities: bounding()?,
        ids,
        controllers: ids.map(|_| cgroup::delegated()),
        privileged: args.rights.privileged,
        env: environment(&args.process.env_file, &args.process.env)?,
        devices: devices::all(args, ids.is_none())?,
        throttles: devices::throttles(&args.limits)?,
        init: args
            .process
            .init
            .then(std::env::current_exe)
            .transpose()
            .context("/proc/self/exe")?,
        seccomp,
    })
}

/// A mount point is made where there is none, but not in a directory of somebody else.
fn etc(args: &Create, files: &Path) -> Result<Vec<&'static str>> {
    if args.files.rootfs.is_none() {
        return Ok(etc::FILES.to_vec());
    }
    let Some(dir) = copy::directory_in(files, "/etc")? else { return Ok(Vec::new()) };
    let writable = faccessat(&dir, ".", AccessFlags::W_OK, AtFlags::empty()).is_ok();
    let is_file = |name: &str| {
        let found = rustix::fs::statat(&dir, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile)
    };
    Ok(etc::FILES.into_iter().filter(|name| writable || is_file(name)).collect())
}

/// On the network of the host it has the host's name, too.
fn hostname(args: &Create, id: &str) -> Result<String> {
    Ok(match &args.names.hostname {
        Some(name) => {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            ensure!(
                (1..=64).contains(&name.len()) && name.chars().all(fits),
                "--hostname {name}: not a name of 1 to 64 letters, digits, - and ."
            );
            name.clone()
        }
        None if args.network.network == ["host"]
            || args.namespaces.uts.as_deref() == Some("host") =>
        {
            nix::sys::utsname::uname().context("uname")?.nodename().to_string_lossy().into_owned()
        }
        None => fmt::short_id(id).to_owned(),
    })
}

fn read_profile(file: &str) -> Result<serde_json::Value> {
    let text = fs::read(file).with_context(|| format!("--security-opt seccomp={file}"))?;
    serde_json::from_slice(&text).with_context(|| format!("--security-opt seccomp={file}"))
}

/// `mount_setattr(2)` came with Linux 5.12.
fn recursive_read_only() -> Result<bool> {
    let system = nix::sys::utsname::uname().context("uname")?;
    let release = system.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    Ok(version >= (5, 12))
}

/// Capabilities that this process can pass on to a child.
pub(super) fn bounding() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let set = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    u64::from_str_radix(set.unwrap_or_default().trim(), 16).context("/proc/self/status: CapBnd")
}

/// Those of the files first; a name without a value takes the caller's. Where he has none, the name
/// stays alone.
pub(super) fn environment(files: &[PathBuf], flags: &[String]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for file in files {
        for line in lines("--env-file", file)? {
            let name = line.split('=').next().unwrap_or_default();
            ensure!(
                !name.is_empty() && !name.contains(char::is_whitespace),
                "--env-file {}: {name:?} is no name of a variable",
                file.display()
            );
            all.push(line);
        }
    }
    all.extend(flags.iter().cloned());
    let with_value = |variable: String| match std::env::var(&variable) {
        Ok(value) if !variable.contains('=') => format!("{variable}={value}"),
        _ => variable,
    };
    Ok(all.into_iter().map(with_value).collect())
}

/// Of a file of names and values, without empty lines and comments. Quotes mean nothing.
pub(super) fn lines(flag: &str, file: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(file).with_context(|| format!("{flag} {}", file.display()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().map(str::trim_start);
    Ok(lines.filter(|l| !l.is_empty() && !l.starts_with('#')).map(ToOwned::to_owned).collect())
}
