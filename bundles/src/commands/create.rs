//! `create`, `run` and `start`.

use super::say;
use crate::attach::{self, Outcome};
use crate::cli_run::{Containers, Create, Run};
use crate::container::{self, Container, Record, State};
use crate::error::{self, OrHint as _};
use crate::home::{self, Home};
use crate::spec::{self, Device, Facts, Security, values};
use crate::{runtime, users};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use oci_spec::image;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

const SIGTERM: i32 = 15;
const STOP_TIMEOUT: u64 = 10;

pub(crate) fn create(home: &Home, args: &Create) -> Result<u8> {
    let container = make(home, args)?;
    say(&format!("{}\n", container.record.id))?;
    Ok(0)
}

pub(crate) fn run(home: &Home, args: &Run) -> Result<u8> {
    if !args.detach {
        attach::check_terminal(args.make.interactive && args.make.tty)?;
    }
    let container = make(home, &args.make)?;
    match attach::start(home, &container)? {
        Outcome::Failed { code, text } => {
            error::report(&runtime::start_error(text));
            Ok(u8::try_from(code)?)
        }
        Outcome::Running(_) if args.detach => {
            say(&format!("{}\n", container.record.id))?;
            Ok(0)
        }
        Outcome::Running(attached) => Ok(u8::try_from(attached.forward(&container.record)?)?),
    }
}

pub(crate) fn start(home: &Home, args: &Containers) -> Result<u8> {
    super::for_each(&args.containers, |name| {
        let container = Container::find(home, name)?;
        match attach::start(home, &container)? {
            Outcome::Running(_) => Ok(Some(name.to_owned())),
            Outcome::Failed { text, .. } => Err(runtime::start_error(text)),
        }
    })
}

/// Everything but the start. What comes of an image - its configuration, and a root file system
/// made of its layers - takes the place of [`image::Config::default`] and `--rootfs` here.
fn make(home: &Home, args: &Create) -> Result<Container> {
    let image = image::Config::default();
    let rootfs = fs::canonicalize(&args.files.rootfs)
        .with_context(|| format!("--rootfs {}", args.files.rootfs.display()))?;
    ensure!(rootfs.is_dir(), "--rootfs {}: not a directory", rootfs.display());
    let runtime = runtime::find(args.runtime.as_deref())?;
    let id = container::new_id()?;
    let facts = facts(args, &image, &id, &rootfs)?;
    let spec = spec::make(args, &image, &facts)?;
    let stop_signal = args.stop_signal.as_deref().or(image.stop_signal().as_deref());
    let record = Record {
        id: id.clone(),
        name: String::new(),
        created: container::now(),
        image: rootfs.display().to_string(),
        command: spec::arguments(args, &image)?,
        labels: args.label.clone(),
        runtime,
        rootfs: rootfs.clone(),
        interactive: args.interactive,
        tty: args.tty,
        remove: args.rm,
        stop_signal: stop_signal.map_or(Ok(SIGTERM), values::signal)?,
        stop_timeout: args.stop_timeout.unwrap_or(STOP_TIMEOUT),
        state: State::default(),
    };
    let scratch = home.scratch()?;
    let files = container::files(&scratch)?;
    home::replace(&files.join("config.json"), &serde_json::to_vec_pretty(&spec)?)?;
    let container = container::add(home, args.name.as_deref(), record, &scratch)?;
    if let Some(file) = &args.cidfile {
        write_new(file, &id)?;
    }
    Ok(container)
}

fn facts<'a>(
    args: &Create,
    image: &image::Config,
    id: &'a str,
    rootfs: &'a Path,
) -> Result<Facts<'a>> {
    let user = args.process.user.as_deref().or(image.user().as_deref()).unwrap_or_default();
    let file = Security::parse(&args.rights)?.file;
    let seccomp = file.map(read_profile).transpose()?;
    let maps = users::maps();
    Ok(Facts {
        id,
        rootfs,
        here: std::env::current_dir().context("working directory")?,
        home: std::env::var_os("HOME").map(PathBuf::from),
        user: users::find(rootfs, user, &args.process.group_add)?,
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

fn write_new(file: &Path, id: &str) -> Result<()> {
    use std::io::Write as _;
    let made = fs::OpenOptions::new().write(true).create_new(true).open(file);
    match made.and_then(|mut file| file.write_all(id.as_bytes())) {
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
            Err(anyhow!("--cidfile {}: exists", file.display())).hint("remove it, or name another")
        }
        written => written.with_context(|| format!("--cidfile {}", file.display())),
    }
}
