//! `create` and `run`.

use super::mounts::{self, Places};
use super::{end, facts, notes, shape};
use crate::attach::{self, Look, Outcome, Role};
use crate::cli;
use crate::cli::namespaces::NamespaceFlags;
use crate::cli::run::{Create, Pull, Run, Stream};
use crate::container::{self, Container, Record, Restart, Root, State};
use crate::copy;
use crate::digest::Digest;
use crate::error::{self, OrHint as _};
use crate::etc;
use crate::events::{self, Event};
use crate::home::{self, Home};
use crate::monitor::wire;
use crate::mountpoints;
use crate::networking::{self, Mode, Networking};
use crate::overlay::{self, View};
use crate::pull;
use crate::reference::Reference;
use crate::screen::Screen;
use crate::spec::namespaces::{Namespaces, Whose};
use crate::spec::{self, values, wish};
use crate::store::{Image, Missing, Store};
use crate::volume::{self, Volumes};
use crate::{ids, rootless, runtime};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use oci_spec::image;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

const SIGTERM: i32 = 15;
const STOP_TIMEOUT: u64 = 10;

pub(crate) fn create(home: &Home, args: &Create, screen: &mut Screen<'_>) -> Result<()> {
    let container = make(home, args, screen)?;
    screen.say(&format!("{}\n", container.record.id))
}

pub(crate) fn run(home: &Home, args: &Run, screen: &mut Screen<'_>) -> Result<u8> {
    ensure!(!args.detach || args.make.attach.is_empty(), "-a and -d do not go together");
    if !args.detach {
        attach::check_terminal(args.make.interactive && args.make.tty)?;
    }
    let mut flags = args.make.clone();
    flags.detached = args.detach;
    let mut container = make(home, &flags, screen)?;
    let look = (!args.detach).then(|| look(args));
    if !args.make.attaches(Stream::Stdout) && !args.make.attaches(Stream::Stderr) {
        screen.say(&format!("{}\n", container.record.id))?; // Docker does, as nothing else comes
    }
    if look.is_some() {
        events::note(home, Event::container(&container.record, "attach"));
    }
    let started = attach::start(home, &container, look.as_ref());
    if started.is_err() && container.record.remove {
        end::discard(home, &mut container).ok(); // its monitor, which would, was killed
    }
    match started? {
        Outcome::Failed { code, text } => {
            screen.note(&error::report(&runtime::start_error(text)));
            Ok(u8::try_from(code)?)
        }
        Outcome::Running(attached) => {
            networking::tell(&container, screen);
            match look {
                Some(look) => {
                    let ended = attached.forward(home, &mut container, &look);
                    if ended.is_err() && container.record.remove {
                        end::remove(home, &mut container).ok(); // the same, unless it goes on
                    }
                    ended
                }
                None => {
                    screen.say(&format!("{}\n", container.record.id))?;
                    Ok(0)
                }
            }
        }
    }
}

fn look(args: &Run) -> Look {
    let make = &args.make;
    let mut look = args.look.of(make.interactive && make.attaches(Stream::Stdin), Role::Starter);
    for (stream, output) in
        [(Stream::Stdout, wire::Stream::Stdout), (Stream::Stderr, wire::Stream::Stderr)]
    {
        if !make.attaches(stream) {
            look.mute.push(output);
        }
    }
    look
}

/// What a container is made from.
pub(super) struct Base {
    /// As `ps` shows it.
    name: String,
    pub(super) config: image::Config,
    /// The same with what only Docker knows.
    raw: Value,
    pub(super) files: Files,
}

pub(super) enum Files {
    Directory(PathBuf),
    Image { id: Digest, layers: Vec<Digest>, view: View },
}

impl Files {
    /// Where they can be looked at.
    pub(super) fn path(&self) -> &Path {
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
    notes::tell(args, screen)?;
    let runtime = runtime::find(args.runtime.as_deref())?;
    ensure!(!args.rm || args.restart == Restart::No, "--rm and --restart do not go together");
    let scratch = home.scratch()?;
    let base = base(home, args, scratch.path(), screen)?;
    let id = ids::made_up()?;
    let files = container::files(&scratch)?;
    let later = home.directory("containers")?.join(&id);
    let rootfs = match &base.files {
        Files::Directory(dir) => dir.clone(),
        Files::Image { view, .. } => {
            for name in [overlay::ROOTFS, overlay::UPPER, overlay::WORK] {
                fs::create_dir(files.join(name)).with_context(|| format!("mkdir({name})"))?;
            }
            // It is the container's `/`: without that, the caller's umask would say who may see it.
            let (from, to) = (File::open(view.path())?, File::open(files.join(overlay::UPPER))?);
            copy::attributes(from.as_fd(), to.as_fd()).context("/ of the image")?;
            mountpoints::make(view.path(), &files.join(mountpoints::DIRECTORY))?;
            later.join(overlay::ROOTFS)
        }
    };
    let of_image = base.config.volumes().as_deref().unwrap_or_default();
    let others = mounts::of_others(home, &args.files.volumes_from)?;
    let wishes = wish::all(&args.files, of_image, others)?;
    let network = networking::find(home, args, &base.config, &id)?;
    if network.mode == Mode::Host && !args.network.publish.is_empty() {
        screen.note("bundles: -p has no effect: the container has the ports of the host\n");
    }
    let places = (id.as_str(), later.as_path(), rootfs.as_path());
    let mut facts = facts::find(args, &base.config, base.files.path(), places)?;
    facts.network = network.mode != Mode::Host;
    notes::tell_limits(args, &facts, screen)?;
    etc::make(&files, &args.names, &facts.hostname, network.reach())?;
    let mut record = record(args, &base, &id, (runtime, runtime::root(home)?))?;
    record.joins = joins(home, &args.namespaces)?;
    if let Mode::Container(other) = &network.mode {
        let dir = home.directory("containers")?.join(other);
        facts.etc = etc::FILES.iter().map(|name| dir.join(name)).collect();
        record.joins.insert("network".to_owned(), other.clone());
    }
    record.network = network;
    spec::make(args, &base.config, &facts)?; // all mistakes are told before a volume is made
    let volumes = Volumes::open(home)?;
    let lock = volumes.lock()?;
    let places = Places { image: base.files.path(), now: &files, later: &later };
    let made = mounts::make(&wishes, &volumes, &lock, &places, &mut facts.mounts);
    record.mounts.clone_from(&facts.mounts);
    let shape = shape::made(args, &base.config, &base.raw, &record, &facts);
    let added = made
        .and_then(|()| spec::make(args, &base.config, &facts))
        .and_then(|spec| Ok(serde_json::to_vec_pretty(&spec)?))
        .and_then(|text| home::replace(&files.join("config.json"), &text))
        .and_then(|()| Ok(serde_json::to_vec(&shape)?))
        .and_then(|text| home::replace(&files.join(shape::FILE), &text))
        .and_then(|()| container::add(home, args.name.as_deref(), record, &scratch));
    drop(lock);
    let mut container = added.inspect_err(|_| {
        // The first error is the one worth telling.
        volume::release(home, &container::anonymous_volumes(&facts.mounts)).ok();
    })?;
    check_layers(home, &container)?;
    if let Some(file) = &args.cidfile
        && let Err(err) = write_new(file, &id)
    {
        let lock = container.lock()?;
        container.remove(home, &lock)?;
        volume::release(home, &container.record.anonymous_volumes())?;
        return Err(err);
    }
    Ok(container)
}

/// `runtime` is its program, and where it keeps its state.
fn record(
    args: &Create,
    base: &Base,
    id: &str,
    (runtime, runtime_root): (PathBuf, PathBuf),
) -> Result<Record> {
    let asked = args.stop_signal.as_deref().map(|name| ("--stop-signal", name));
    let of_image =
        base.config.stop_signal().as_deref().map(|name| ("STOPSIGNAL of the image", name));
    let stop_signal = match asked.or(of_image) {
        Some((from, name)) => values::signal(name).context(from)?,
        None => SIGTERM,
    };
    Ok(Record {
        id: id.to_owned(),
        name: String::new(),
        created: container::now(),
        image: base.name.clone(),
        command: spec::arguments(args, &base.config)?,
        labels: labels(args, &base.config)?,
        runtime,
        runtime_root,
        root: base.files.root(),
        mounts: Vec::new(),
        network: Networking::default(),
        joins: BTreeMap::new(),
        interactive: args.interactive,
        tty: args.tty,
        remove: args.rm,
        stop_signal,
        stop_timeout: args.stop_timeout.unwrap_or(STOP_TIMEOUT),
        restart: args.restart,
        log: args.log.options()?,
        health: shape::check(&args.health, &base.raw),
        state: State::default(),
    })
}

/// Whoever removes an image asks which container uses it; he may have done so a moment too early.
fn check_layers(home: &Home, container: &Container) -> Result<()> {
    let Root::Image { layers, .. } = &container.record.root else { return Ok(()) };
    let store = Store::open(home)?;
    if layers.iter().all(|layer| store.layer(layer).exists()) {
        return Ok(());
    }
    let mut container = container.clone();
    let lock = container.lock()?;
    container.remove(home, &lock)?;
    volume::release(home, &container.record.anonymous_volumes())?;
    bail!("image {}: was removed meanwhile", container.record.image)
}

pub(super) fn base(
    home: &Home,
    args: &Create,
    scratch: &Path,
    screen: &mut Screen<'_>,
) -> Result<Base> {
    if let Some(dir) = &args.files.rootfs {
        let dir = fs::canonicalize(dir).with_context(|| format!("--rootfs {}", dir.display()))?;
        ensure!(dir.is_dir(), "--rootfs {}: not a directory", dir.display());
        let (name, config) = (dir.display().to_string(), image::Config::default());
        return Ok(Base { name, config, raw: Value::Null, files: Files::Directory(dir) });
    }
    let name = args.image().context("no image").hint("write IMAGE, or --rootfs DIR")?;
    let image = find_image(home, name, (args.pull, args.quiet), screen)?;
    overlay::leave_mounts()?;
    let view = View::mount(&image.layers, scratch)?;
    let config = image.config.config().clone().unwrap_or_default();
    let raw = image.raw.get("config").cloned().unwrap_or_default();
    let files = Files::Image { layers: image.diff_ids()?, id: image.id, view };
    Ok(Base { name: name.to_owned(), config, raw, files })
}

pub(crate) fn find_image(
    home: &Home,
    name: &str,
    (when, quiet): (Pull, bool),
    screen: &mut Screen<'_>,
) -> Result<Image> {
    let store = Store::open(home)?;
    let found = store.image(name);
    // An id is none of a registry.
    let is_missing =
        found.as_ref().is_err_and(anyhow::Error::is::<Missing>) && Reference::parse(name).is_ok();
    match when {
        Pull::Always => {}
        Pull::Missing if is_missing => {
            if let Some(image) = pull::known(&store, name)? {
                return Ok(image);
            }
            if !quiet {
                screen.note(&format!("Unable to find image {name:?} locally\n"));
            }
        }
        Pull::Missing | Pull::Never => return found,
    }
    let options = pull::Options { quiet, ..pull::Options::default() };
    Ok(pull::pull(&store, screen, name, &options)?.image)
}

/// Those of the image, and of the flags.
fn labels(args: &Create, image: &image::Config) -> Result<BTreeMap<String, String>> {
    let of_image = image.labels().iter().flatten();
    let mut labels: BTreeMap<String, String> =
        of_image.map(|(key, value)| (key.clone(), value.clone())).collect();
    for file in &args.label_file {
        labels.extend(cli::pairs(&facts::lines("--label-file", file)?));
    }
    labels.extend(cli::pairs(&args.label));
    Ok(labels)
}

/// The containers whose namespaces it is to be in, by their ids.
fn joins(home: &Home, flags: &NamespaceFlags) -> Result<BTreeMap<String, String>> {
    let mut joins = BTreeMap::new();
    let is_root = rootless::ids()?.is_none();
    for (kind, whose) in Namespaces::parse(flags, is_root)?.list() {
        if let Whose::Container(name) = whose {
            let other = Container::find(home, name);
            let other = other.with_context(|| format!("--{kind} container:{name}"))?;
            if kind == "ipc" {
                check_donor(&other)?;
            }
            joins.insert(kind.to_owned(), other.record.id);
        }
    }
    Ok(joins)
}

/// Its memory is for others only if whoever has made it wants that.
fn check_donor(other: &Container) -> Result<()> {
    let shape = other.json(shape::FILE)?;
    let mode = shape.pointer("/HostConfig/IpcMode").and_then(Value::as_str).unwrap_or_default();
    if matches!(mode, "private" | "none") {
        let name = &other.record.name;
        return Err(anyhow!("--ipc container:{name}: its ipc is {mode}"))
            .hint(format!("make {name} with --ipc shareable"));
    }
    Ok(())
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
