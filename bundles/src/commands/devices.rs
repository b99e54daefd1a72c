//! Devices of the host: `--device`, `--privileged`, and limits of single devices.

use crate::cli::limits::LimitFlags;
use crate::cli::run::Create;
use crate::spec::{Device, Throttle, values};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// What the runtime puts into every /dev itself.
const USUAL: &[&str] = &[
    "console", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
    "stdout", "tty", "urandom", "zero",
];

/// Those of `--device`; with `--privileged` all, for root, who alone may make them.
pub(super) fn all(args: &Create, is_root: bool) -> Result<Vec<Device>> {
    let mut devices = Vec::new();
    if args.rights.privileged && is_root {
        below(Path::new("/dev"), "/dev", "rwm", &mut devices).context("--privileged")?;
    }
    for text in &args.files.device {
        let mut found = Vec::new();
        one(text, &mut found).with_context(|| format!("--device {text}"))?;
        devices.retain(|device: &Device| found.iter().all(|other| other.path != device.path));
        devices.extend(found);
    }
    Ok(devices)
}

/// `HOST[:CONTAINER[:rwm]]`, whole: where it is on the host and in the container, and the access.
pub(super) fn parts(text: &str) -> Result<(&str, &str, &str)> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_access = |part: &str| !part.is_empty() && part.chars().all(|c| "rwm".contains(c));
    Ok(match parts.as_slice() {
        [host] => (*host, *host, "rwm"),
        [host, access] if is_access(access) => (*host, *host, *access),
        [host, path] => (*host, *path, "rwm"),
        [host, path, access] if is_access(access) => (*host, *path, *access),
        _ => bail!("not HOST[:CONTAINER[:rwm]]"),
    })
}

/// Of a directory, those in it.
fn one(text: &str, devices: &mut Vec<Device>) -> Result<()> {
    let (host, path, access) = parts(text)?;
    ensure!(path.starts_with('/'), "{path:?} is no absolute path in the container");
    let before = devices.len();
    if Path::new(host).is_dir() {
        below(Path::new(host), path.trim_end_matches('/'), access, devices)?;
        ensure!(devices.len() > before, "no devices are in {host}");
        return Ok(());
    }
    let meta = fs::metadata(host).with_context(|| host.to_owned())?;
    devices.push(device(Path::new(host), path, access, &meta).context("not a device")?);
    Ok(())
}

/// Links are left out: what they lead to is there by its own name.
fn below(dir: &Path, at: &str, access: &str, devices: &mut Vec<Device>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let (path, at_path) = (entry.path(), format!("{at}/{name}"));
        if at == "/dev" && USUAL.contains(&&*name) {
            continue;
        }
        // What goes away meanwhile is not missed.
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            below(&path, &at_path, access, devices)?;
        } else {
            devices.extend(device(&path, &at_path, access, &meta));
        }
    }
    Ok(())
}

fn device(host: &Path, path: &str, access: &str, meta: &fs::Metadata) -> Option<Device> {
    let kind = match meta.file_type() {
        kind if kind.is_char_device() => "c",
        kind if kind.is_block_device() => "b",
        _ => return None,
    };
    let number = (nix::sys::stat::major(meta.rdev()), nix::sys::stat::minor(meta.rdev()));
    Some(Device {
        host: host.to_owned(),
        path: path.to_owned(),
        kind,
        number,
        mode: meta.mode() & 0o777,
        uid: meta.uid(),
        gid: meta.gid(),
        access: access.to_owned(),
    })
}

/// `DEVICE:VALUE` of a flag about single devices.
pub(super) fn rate<'a>(flag: &str, text: &'a str) -> Result<(&'a str, u64)> {
    let wrong = || format!("{flag} {text}: not DEVICE:VALUE");
    let (path, value) = text.rsplit_once(':').with_context(wrong)?;
    let value = if flag.ends_with("bps") {
        values::bytes(flag, value)?
    } else {
        value.parse().ok().with_context(wrong)?
    };
    Ok((path, value))
}

/// All of them.
pub(super) fn throttles(flags: &LimitFlags) -> Result<Vec<Throttle>> {
    let mut throttles = Vec::new();
    for (flag, list, texts) in [
        ("--blkio-weight-device", "weightDevice", &flags.blkio_weight_device),
        ("--device-read-bps", "throttleReadBpsDevice", &flags.device_read_bps),
        ("--device-write-bps", "throttleWriteBpsDevice", &flags.device_write_bps),
        ("--device-read-iops", "throttleReadIOPSDevice", &flags.device_read_iops),
        ("--device-write-iops", "throttleWriteIOPSDevice", &flags.device_write_iops),
    ] {
        for text in texts {
            let (path, value) = rate(flag, text)?;
            let meta = fs::metadata(path).with_context(|| format!("{flag} {text}: {path}"))?;
            ensure!(meta.file_type().is_block_device(), "{flag} {text}: {path} is no block device");
            let number = (nix::sys::stat::major(meta.rdev()), nix::sys::stat::minor(meta.rdev()));
            throttles.push(Throttle { list, number, value });
        }
    }
    Ok(throttles)
}
