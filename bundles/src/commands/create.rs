//! `create`, `run` and `start`.

use super::mounts;
use crate::attach::{self, Outcome};
use crate::cli;
use crate::cli::run::{Create, Pull, Run, Start};
use crate::container::{self, Container, Record, Root, State};
use crate::digest::Digest;
use crate::error::{self, OrHint as _};
use crate::home::{self, Home};
use crate::networking::{self, Mode, Networking};
use crate::overlay::{self, View};
use crate::screen::Screen;
use crate::spec::{self, Device, Facts, Security, values, wish};
use crate::store::{Image, Missing, Store};
use crate::volume::Volumes;
use crate::{fmt, ids, runtime, users};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use oci_spec::image;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

const SIGTERM: i32 = 15;
const STOP_TIMEOUT: u64 = 10;

pub(crate) fn create(home: &Home, args: &Create, screen: &mut Screen<'_>) -> Result<()> {
    let container = make(home, args, screen)?;
    screen.say(&format!("{}\n", container.record.id))
}

pub(crate) fn run(home: &Home, args: &Run, screen: &mut Screen<'_>) -> Result<u8> {
    if !args.detach {
        attach::check_terminal(args.make.interactive && args.make.tty)?;
    }
    let container = make(home, &args.make, screen)?;
    match attach::start(home, &container)? {
        Outcome::Failed { code, text } => {
            screen.note(&error::report(&runtime::start_error(text)));
            Ok(u8::try_from(code)?)
        }
        Outcome::Running(_) if args.detach => {
            screen.say(&format!("{}\n", container.record.id))?;
            Ok(0)
        }
        Outcome::Running(attached) => Ok(u8::try_from(attached.forward(&container.record)?)?),
    }
}

pub(crate) fn start(home: &Home, args: &Start, screen: &mut Screen<'_>) -> Result<()> {
    super::for_each(&args.of.containers, screen, |name| {
        let container = Container::find(home, name)?;
        match attach::start(home, &container)? {
            Outcome::Running(_) => Ok(name.to_owned()),
            Outcome::Failed { text, .. } => Err(runtime::start_error(text)),
        }
    })
}

/// What a container is made from.
struct Base {
    /// As `ps` shows it.
    name: String,
    config: image::Config,
    files: Files,
}

enum Files {
    Directory(PathBuf),
    Image { id: Digest, layers: Vec<Digest>, view: View },
}

impl Files {
    /// Where they can be looked at.
    fn path(&self) -> &Path {
        match self {
            Self::Directory(dir) => dir,
            Self::Image { view, .. } => view.path(),
        }
    }

    fn root(&self) -> Root {
        match self {
            Self::Directory(dir) => Root::Directory(dir.clone()),
            Self::Image { id, layers, .. } => {
                Root::Image { id: id.clone(), layers: layers.clone() }
            }
        }
    }
}

/// Everything but the start.
fn make(home: &Home, args: &Create, screen: &mut Screen<'_>) -> Result<Container> {
    let runtime = runtime::find(args.runtime.as_deref())?;
    let scratch = home.scratch()?;
    let base = base(home, args, scratch.path(), screen)?;
    let id = ids::made_up()?;
    let files = container::files(&scratch)?;
    let stop_signal = args.stop_signal.as_deref().or(base.config.stop_signal().as_deref());
    let stop_signal = stop_signal.map_or(Ok(SIGTERM), values::signal)?;
    let rootfs = match &base.files {
        Files::Directory(dir) => dir.clone(),
        Files::Image { .. } => {
            for name in ["rootfs", "upper", "work"] {
                fs::create_dir(files.join(name)).with_context(|| format!("mkdir({name})"))?;
            }
            home.directory("containers")?.join(&id).join("rootfs")
        }
    };
    let wishes = wish::all(&args.files, base.config.volumes().as_deref().unwrap_or_default())?;
    let network = network(home, args, &base, &id, screen)?;
    let facts = facts(args, &base, &id, &rootfs, &network)?;
    spec::make(args, &base.config, &facts)?; // before a volume is made
    let volumes = Volumes::open(home)?;
    let lock = volumes.lock()?;
    let facts = Facts { mounts: mounts::make(&wishes, &volumes, &lock)?, ..facts };
    let spec = spec::make(args, &base.config, &facts)?;
    let record = Record {
        id: id.clone(),
        name: String::new(),
        created: container::now(),
        image: base.name.clone(),
        command: spec::arguments(args, &base.config)?,
        labels: labels(args, &base.config),
        runtime,
        root: base.files.root(),
        mounts: facts.mounts,
        network,
        interactive: args.interactive,
        tty: args.tty,
        remove: args.rm,
        stop_signal,
        stop_timeout: args.stop_timeout.unwrap_or(STOP_TIMEOUT),
        state: State::default(),
    };
    networking::make_hosts(&files.join("hosts"), &record.network)?;
    home::replace(&files.join("config.json"), &serde_json::to_vec_pretty(&spec)?)?;
    let container = container::add(home, args.name.as_deref(), record, &scratch)?;
    drop(lock);
    if let Some(file) = &args.cidfile {
        write_new(file, &id)?;
    }
    Ok(container)
}

fn base(home: &Home, args: &Create, scratch: &Path, screen: &mut Screen<'_>) -> Result<Base> {
    if let Some(dir) = &args.files.rootfs {
        let dir = fs::canonicalize(dir).with_context(|| format!("--rootfs {}", dir.display()))?;
        ensure!(dir.is_dir(), "--rootfs {}: not a directory", dir.display());
        let (name, config) = (dir.display().to_string(), image::Config::default());
        return Ok(Base { name, config, files: Files::Directory(dir) });
    }
    let name = args.image().context("no image").hint("write IMAGE, or --rootfs DIR")?;
    let image = find_image(home, name, args.pull, screen)?;
    overlay::leave_mounts()?;
    let view = View::mount(&image.layers, scratch)?;
    let config = image.config.config().clone().unwrap_or_default();
    let files = Files::Image { layers: image.diff_ids()?, id: image.id, view };
    Ok(Base { name: name.to_owned(), config, files })
}

fn find_image(home: &Home, name: &str, pull: Pull, _screen: &mut Screen<'_>) -> Result<Image> {
    let store = Store::open(home)?;
    match store.image(name) {
        Err(err) if err.is::<Missing>() && pull != Pull::Never => Err(err),
        found => found,
    }
}

/// Those of the image, and of the flags.
fn labels(args: &Create, image: &image::Config) -> BTreeMap<String, String> {
    let of_image = image.labels().iter().flatten();
    let mut labels: BTreeMap<String, String> =
        of_image.map(|(key, value)| (key.clone(), value.clone())).collect();
    labels.extend(cli::pairs(&args.label));
    labels
}

fn network(
    home: &Home,
    args: &Create,
    base: &Base,
    id: &str,
    screen: &mut Screen<'_>,
) -> Result<Networking> {
    let hostname = args.process.hostname.as_deref().unwrap_or_else(|| fmt::short_id(id));
    let facts = networking::Facts {
        hostname,
        exposed: base.config.exposed_ports().as_deref().unwrap_or_default(),
        is_root: nix::unistd::geteuid().is_root(),
        hosts_added: Vec::new(),
    };
    let network = networking::plan(home, &args.network, facts)?;
    if network.mode == Mode::Host && !args.network.publish.is_empty() {
        screen.note("bundles: -p has no effect: the container has the ports of the host\n");
    }
    Ok(network)
}

fn facts<'a>(
    args: &Create,
    base: &Base,
    id: &'a str,
    rootfs: &'a Path,
    network: &Networking,
) -> Result<Facts<'a>> {
    let user = args.process.user.as_deref().or(base.config.user().as_deref()).unwrap_or_default();
    let file = Security::parse(&args.rights)?.file;
    let seccomp = file.map(read_profile).transpose()?;
    let maps = users::maps();
    Ok(Facts {
        id,
        rootfs,
        network: network.mode != Mode::Host,
        mounts: Vec::new(),
        user: users::find(base.files.path(), user, &args.process.group_add)?,
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
