//! What flags of `create` and `run` name has to be looked up: users, devices, files of variables.

use crate::cli::run::Create;
use crate::spec::{Device, Facts, Security};
use crate::users;
use anyhow::{Context as _, Result, bail};
use oci_spec::image;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// `files` are those of the image, `rootfs` where the container will have them.
pub(super) fn find<'a>(
    args: &Create,
    image: &image::Config,
    files: &Path,
    (id, rootfs): (&'a str, &'a Path),
) -> Result<Facts<'a>> {
    let user = args.process.user.as_deref().or(image.user().as_deref()).unwrap_or_default();
    let file = Security::parse(&args.rights)?.file;
    let seccomp = file.map(read_profile).transpose()?;
    let maps = users::maps();
    Ok(Facts {
        id,
        rootfs,
        network: true,
        mounts: Vec::new(),
        recursive_read_only: recursive_read_only()?,
        user: users::find(files, user, &args.process.group_add)?,
        capabilities: if maps.is_some() { u64::MAX } else { bounding()? },
        maps,
        privileged: args.rights.privileged,
        env: environment(&args.process.env_file, &args.process.env)?,
        devices: args.files.device.iter().map(|text| device(text)).collect::<Result<_>>()?,
        seccomp,
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
fn bounding() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let set = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    u64::from_str_radix(set.unwrap_or_default().trim(), 16).context("/proc/self/status: CapBnd")
}

/// Those of the files first; a name without a value takes the caller's, or nothing.
pub(super) fn environment(files: &[PathBuf], flags: &[String]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for file in files {
        let text =
            fs::read_to_string(file).with_context(|| format!("--env-file {}", file.display()))?;
        let lines = text.lines().map(str::trim_start);
        all.extend(lines.filter(|l| !l.is_empty() && !l.starts_with('#')).map(ToOwned::to_owned));
    }
    all.extend(flags.iter().cloned());
    let with_value = |variable: String| {
        if variable.contains('=') {
            return Some(variable);
        }
        std::env::var(&variable).ok().map(|value| format!("{variable}={value}"))
    };
    Ok(all.into_iter().filter_map(with_value).collect())
}

/// `HOST[:CONTAINER[:rwm]]`.
fn device(text: &str) -> Result<Device> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_access = |part: &str| !part.is_empty() && part.chars().all(|c| "rwm".contains(c));
    let (host, path, access) = match parts.as_slice() {
        [host] => (*host, *host, "rwm"),
        [host, access] if is_access(access) => (*host, *host, *access),
        [host, path] => (*host, *path, "rwm"),
        [host, path, access] if is_access(access) => (*host, *path, *access),
        _ => bail!("--device {text}: not HOST[:CONTAINER[:rwm]]"),
    };
    let meta = fs::metadata(host).with_context(|| format!("--device {text}"))?;
    let kind = match meta.file_type() {
        kind if kind.is_char_device() => "c",
        kind if kind.is_block_device() => "b",
        _ => bail!("--device {text}: {host} is not a device"),
    };
    let number = (nix::sys::stat::major(meta.rdev()), nix::sys::stat::minor(meta.rdev()));
    Ok(Device {
        host: host.into(),
        path: path.to_owned(),
        kind,
        number,
        mode: meta.mode() & 0o777,
        access: access.to_owned(),
    })
}
