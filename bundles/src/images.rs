//! The commands `load`, `images`, `tag`, `rmi` and `image …`.
//!
//! Runs in: an ordinary process of the user.

mod choice;
mod history;
mod import;
mod save;

pub(crate) use choice::Choice;
pub(crate) use history::history;
pub(crate) use import::import;
pub(crate) use save::save;

use crate::cli::images::{Command, Images, Inspect, Load, Remove, Tag};
use crate::commands::prune::{self, user_of};
use crate::error::OrHint as _;
use crate::events::{self, Event};
use crate::filter::Filters;
use crate::fmt::{self, Listing, Row};
use crate::home::Home;
use crate::load;
use crate::reference::Reference;
use crate::screen::Screen;
use crate::store::{Image, Store};
use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::time::SystemTime;

const KEYS: &[&str] = &["dangling", "label", "label!", "before", "since", "reference", "until"];

pub(crate) fn image(home: &Home, command: &Command, screen: &mut Screen<'_>) -> Result<()> {
    match command {
        Command::Ls(args) => list(home, args, screen),
        Command::Build(args) => crate::build::build(home, args, screen),
        Command::Load(args) => load(home, args, screen),
        Command::Pull(args) => crate::pull::command(home, args, screen),
        Command::Push(args) => crate::push::command(home, args, screen),
        Command::Import(args) => import(home, args, screen),
        Command::History(args) => history(home, args, screen),
        Command::Save(args) => save(home, args),
        Command::Tag(args) => tag(home, args),
        Command::Rm(args) => remove(home, args, screen),
        Command::Inspect(args) => inspect(home, args, screen),
        Command::Exists(_) => bail!("internal error, please report: image"),
        Command::Prune(args) => prune::image_prune(home, args, screen),
    }
}

pub(crate) fn load(home: &Home, args: &Load, screen: &mut Screen<'_>) -> Result<()> {
    let store = Store::open(home)?;
    let loaded = match &args.input {
        Some(path) => {
            let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
            load::load(&store, file).with_context(|| format!("load {}", path.display()))
        }
        None if io::stdin().is_terminal() => {
            Err(anyhow!("load: standard input is a terminal, no archive"))
                .hint("name the archive: bundles load -i FILE")
        }
        None => load::load(&store, &mut screen.input).context("load from standard input"),
    }?;
    let event = |one: &load::Loaded| {
        let id = one.image.id.to_string();
        let names = one.names.iter().map(Reference::familiar).chain([id.clone()]);
        names.take(one.names.len().max(1)).map(|name| Event::image(&id, "load", &name)).collect()
    };
    events::note_all(home, loaded.iter().flat_map(|one| -> Vec<Event> { event(one) }).collect());
    for one in loaded.iter().filter(|_| !args.quiet) {
        for name in &one.names {
            screen.say(&format!("Loaded image: {}\n", name.familiar()))?;
        }
        if one.names.is_empty() {
            screen.say(&format!("Loaded image ID: {}\n", one.image.id))?;
        }
    }
    Ok(())
}

pub(crate) fn tag(home: &Home, args: &Tag) -> Result<()> {
    let store = Store::open(home)?;
    let target = Reference::parse(&args.target)?.tagged();
    if target.digest.is_some() {
        return Err(anyhow!("image name {:?}: a digest cannot be given to an image", args.target))
            .hint("give a name with a tag");
    }
    store.tag(&store.image(&args.source)?, &target)
}

/// Goes on after an error.
pub(crate) fn remove(home: &Home, args: &Remove, screen: &mut Screen<'_>) -> Result<()> {
    let store = Store::open(home)?;
    let mut failed: Vec<anyhow::Error> = Vec::new();
    for text in &args.images {
        if args.force && store.image(text).is_err_and(|err| err.is::<crate::store::Missing>()) {
            continue;
        }
        match store.remove(text, args.force, |image| user_of(home, image)) {
            Ok(removed) => {
                for name in removed.untagged {
                    screen.say(&format!("Untagged: {}\n", name.familiar()))?;
                }
                for id in removed.deleted {
                    screen.say(&format!("Deleted: {id}\n"))?;
                }
            }
            Err(err) => failed.push(err),
        }
    }
    crate::error::all(failed)
}

pub(crate) fn list(home: &Home, args: &Images, screen: &mut Screen<'_>) -> Result<()> {
    let mut words = args.filter.clone();
    let name = args.name.as_deref();
    // `images 'app*'` is a pattern.
    let pattern = name.filter(|name| name.contains(['*', '?', '[']));
    words.extend(pattern.map(|pattern| format!("reference={pattern}")));
    let filters = Filters::new(&words, KEYS)?;
    let wanted = name.filter(|_| pattern.is_none()).map(Reference::parse).transpose()?;
    let usual = if args.digests {
        "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
    } else {
        "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
    };
    let listing = Listing::new(args.format.as_deref(), usual, args.quiet.then_some("{{.ID}}"))?;
    let mut rows = Vec::new();
    let images = Store::open(home)?.images()?;
    let choice = Choice::new(filters, &images)?;
    for image in images.into_iter().filter(|image| choice.has(image)) {
        let names = image.names.iter().map(Some).chain(image.names.is_empty().then_some(None));
        let fits = |name: Option<&Reference>| matches(name, wanted.as_ref()) && choice.shows(name);
        let names: Vec<_> = names.filter(|name| fits(*name)).collect();
        // An id is shown once, whatever number of names.
        let count = if args.quiet && args.format.is_none() { 1 } else { names.len() };
        rows.extend(names.into_iter().take(count).map(|name| row(&image, name, args.no_trunc)));
    }
    screen.say(&listing.show(&rows, TITLES)?)
}

const TITLES: &[(&str, &str)] = &[
    ("CreatedAt", "CREATED AT"),
    ("CreatedSince", "CREATED"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("Size", "SIZE"),
    ("Tag", "TAG"),
];

fn row(image: &Image, name: Option<&Reference>, whole: bool) -> Row {
    let none = || "<none>".to_owned();
    let from = |name: &Reference| {
        let same = image.digests.iter().find(|one| one.repository() == name.repository());
        same.and_then(|one| one.digest.as_ref()).map(ToString::to_string)
    };
    let at = |created: SystemTime| humantime::format_rfc3339_seconds(created).to_string();
    let fields = json!({
        // These take long to count: Docker, too, does so only for system df.
        "Containers": "N/A",
        "SharedSize": "N/A",
        "UniqueSize": "N/A",
        "VirtualSize": fmt::size(image.size),
        "CreatedAt": image.created.map_or_else(|| "N/A".to_owned(), at),
        "CreatedSince": image.created.map_or_else(|| "N/A".to_owned(), fmt::since),
        "Digest": name.and_then(from).unwrap_or_else(none),
        "ID": if whole { image.id.to_string() } else { fmt::short_id(image.id.hex()).to_owned() },
        "Repository": name.map_or_else(none, Reference::repository),
        "Size": fmt::size(image.size),
        "Tag": name.and_then(|name| name.tag.clone()).unwrap_or_else(none),
    });
    Row { fields, methods: Map::new() }
}

fn matches(name: Option<&Reference>, wanted: Option<&Reference>) -> bool {
    match (name, wanted) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(name), Some(wanted)) => {
            name.registry == wanted.registry
                && name.path == wanted.path
                && (wanted.tag.is_none() || wanted.tag == name.tag)
        }
    }
}

pub(crate) fn inspect(home: &Home, args: &Inspect, screen: &mut Screen<'_>) -> Result<()> {
    crate::inspect::each(&args.images, args.format.as_deref(), screen, |name| describe(home, name))
}

pub(crate) fn describe(home: &Home, name: &str) -> Result<Value> {
    Ok(docker_shape(&Store::open(home)?.image(name)?))
}

/// `Config` with all that Docker has there.
fn config(given: &Value) -> Value {
    let mut config = json!({
        "Hostname": "",
        "Domainname": "",
        "User": "",
        "AttachStdin": false,
        "AttachStdout": false,
        "AttachStderr": false,
        "Tty": false,
        "OpenStdin": false,
        "StdinOnce": false,
        "Env": null,
        "Cmd": null,
        "Image": "",
        "Volumes": null,
        "WorkingDir": "",
        "Entrypoint": null,
        "OnBuild": null,
        "Labels": null,
    });
    if let (Some(config), Some(given)) = (config.as_object_mut(), given.as_object()) {
        config.extend(given.clone());
    }
    config
}

/// As `docker image inspect` has it; programs read these names.
fn docker_shape(image: &Image) -> Value {
    let raw = |key: &str| image.raw.get(key).cloned();
    let text = |key: &str| raw(key).unwrap_or_else(|| json!(""));
    let names: Vec<String> = image.names.iter().map(Reference::familiar).collect();
    let digests: Vec<String> = image.digests.iter().map(Reference::familiar).collect();
    let mut shape = Map::new();
    let mut put = |key: &str, value: Value| shape.insert(key.to_owned(), value);
    put("Id", json!(image.id));
    put("RepoTags", json!(names));
    put("RepoDigests", json!(digests));
    put("Parent", json!(""));
    put("Comment", json!(""));
    put("Created", text("created"));
    put("DockerVersion", text("docker_version"));
    put("Author", text("author"));
    put("Config", config(&raw("config").unwrap_or_default()));
    put("Container", json!(""));
    put("ContainerConfig", config(&Value::Null));
    put("Architecture", text("architecture"));
    if let Some(variant) = raw("variant") {
        put("Variant", variant);
    }
    put("Os", text("os"));
    put("Size", json!(image.size));
    put("VirtualSize", json!(image.size));
    // Docker names the top layer first.
    let mut layers = image.layers.iter().rev().map(|path| path.display().to_string());
    let mut data = Map::new();
    if let Some(top) = layers.next() {
        data.insert("UpperDir".to_owned(), json!(top));
    }
    let lower: Vec<String> = layers.collect();
    if !lower.is_empty() {
        data.insert("LowerDir".to_owned(), json!(lower.join(":")));
    }
    put("GraphDriver", json!({"Data": data, "Name": "overlay2"}));
    put("RootFS", json!({"Type": "layers", "Layers": image.config.rootfs().diff_ids()}));
    put("Metadata", json!({"LastTagTime": "0001-01-01T00:00:00Z"}));
    put("Descriptor", json!({"digest": image.manifest}));
    Value::Object(shape)
}
