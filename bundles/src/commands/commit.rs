//! `commit`: an image of what a container has changed.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use super::{inspect, shape};
use crate::build::changed;
use crate::cli::tools::Commit;
use crate::container::{self, Container, Root};
use crate::error::{self, OrHint as _};
use crate::events::{self, Event};
use crate::home::Home;
use crate::overlay;
use crate::reference::Reference;
use crate::rootless;
use crate::runtime::Runtime;
use crate::screen::Screen;
use crate::store::layout::Platform;
use crate::store::{Changes, Layer, Store, history_of};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{SigSet, Signal};
use serde_json::{Map, Value, json};

/// Of a container's configuration, what an image has.
const OF_IMAGES: [&str; 12] = [
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "Shell",
    "ArgsEscaped",
];

/// Variables that every container gets by itself.
const OWN: [&str; 3] = ["HOSTNAME", "TERM", "HOME"];

pub(crate) fn commit(home: &Home, args: &Commit, screen: &mut Screen<'_>) -> Result<()> {
    let name = args.name.as_deref().map(new_name).transpose()?;
    let mut container = Container::find(home, &args.container)?;
    let _lock = container.lock()?;
    let store = Store::open(home)?;
    let (parent, mut layers) = match &container.record.root {
        Root::Image { id, .. } => {
            let image = store.image(&id.to_string())?;
            let layers = store.layers_of(&image)?;
            (image.raw, layers)
        }
        Root::Directory(_) => {
            let Platform { os, architecture, .. } = Platform::here();
            (json!({ "os": os, "architecture": architecture }), Vec::new())
        }
    };
    let paused = Paused::of(&container, args.pause, screen)?;
    let made = changes(&store, &container);
    paused.go_on()?;
    let layer = made?;
    let config = config(&container, args, &parent, (layers.len(), layer.is_none()))?;
    let parts = layer.as_ref().map(Layer::parts).unwrap_or_default();
    layers.extend(layer);
    let image = store.add_image(config, &layers, name.as_slice());
    let image = image.inspect_err(|_| {
        store.discard(&parts).ok(); // the first error is the one worth telling
    })?;
    let event = Event::container(&container.record, "commit").with("comment", &args.message);
    events::note(home, event.with("imageID", &image.id.to_string()));
    screen.say(&format!("{}\n", image.id))
}

/// For an image that is to be made.
pub(crate) fn new_name(text: &str) -> Result<Reference> {
    let name = Reference::parse(text)?;
    ensure!(name.digest.is_none(), "{text}: a digest is what an image gets, and no name for it");
    Ok(name.tagged())
}

/// Those of a directory of the user's are all that is in it.
fn changes(store: &Store<'_>, container: &Container) -> Result<Option<Layer>> {
    let from = match &container.record.root {
        Root::Image { .. } => container.dir.join(overlay::UPPER),
        Root::Directory(dir) => dir.clone(),
    };
    store.add_layer(Changes::Kept(&from), None)
}

/// Frozen as long as this is kept; no signal of the terminal ends this process meanwhile, since
/// nobody else would let the container go on.
struct Paused<'a> {
    container: Option<&'a Container>,
    signals: SigSet,
}

impl<'a> Paused<'a> {
    fn of(container: &'a Container, wanted: bool, screen: &mut Screen<'_>) -> Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        let record = &container.record;
        if !wanted || !record.is_running() || record.is_paused() {
            return Ok(Self { container: None, signals });
        }
        signals.thread_block().context("block signals")?;
        let paused = Runtime::of(container)?.pause(&record.id);
        let paused =
            if rootless::ids()?.is_some() { paused.hint(rootless::DELEGATE) } else { paused };
        Ok(match paused {
            Ok(()) => Self { container: Some(container), signals },
            // It has ended meanwhile, or cannot be frozen here: then it goes on, as with Docker.
            Err(err) => {
                signals.thread_unblock().context("unblock signals")?;
                let err = err.context("the container is not paused");
                screen.note(&error::report(&err));
                Self { container: None, signals }
            }
        })
    }

    fn go_on(self) -> Result<()> {
        let Some(container) = self.container else { return Ok(()) };
        let resumed = Runtime::of(container)?.resume(&container.record.id);
        // A container that was killed has nothing to go on with.
        let resumed = if container.record.is_paused() { resumed } else { Ok(()) };
        self.signals.thread_unblock().context("unblock signals")?;
        resumed
    }
}

/// That of the new image, but for its layers. `below` is the number of those of its parent; a new
/// one may not be needed.
fn config(
    container: &Container,
    args: &Commit,
    parent: &Value,
    (below, is_empty): (usize, bool),
) -> Result<Value> {
    let now = container::now();
    let mut config = Map::new();
    for key in ["architecture", "variant", "os", "os.version", "os.features"] {
        if !parent[key].is_null() {
            config.insert(key.to_owned(), parent[key].clone());
        }
    }
    let mut history = history_of(parent);
    let told = history.iter().filter(|entry| entry["empty_layer"] != json!(true)).count();
    // Entries and layers are matched by counting.
    let untold = (told..below).map(|_| json!({ "created": parent["created"] }));
    history.splice(..0, untold);
    let mut entry = json!({ "created": now, "created_by": container.record.command.join(" ") });
    for (key, text) in [("author", &args.author), ("comment", &args.message)] {
        if !text.is_empty() {
            entry[key] = json!(text);
        }
    }
    if is_empty {
        entry["empty_layer"] = json!(true);
    }
    history.push(entry);
    let author = Some(&args.author).filter(|author| !author.is_empty());
    let author = author.map_or_else(|| parent["author"].clone(), |author| json!(author));
    if !author.is_null() {
        config.insert("author".to_owned(), author);
    }
    config.insert("config".to_owned(), of_image(container, &parent["config"])?);
    config.insert("history".to_owned(), history.into());
    changed(&config.into(), &args.change, &now)
}

/// What it was made with, as far as it is for all containers of an image.
fn of_image(container: &Container, parent: &Value) -> Result<Value> {
    let mut shape = container.json(shape::FILE)?;
    inspect::complete(container, &container.json("config.json")?, &mut shape)?;
    let key =
        |word: &Value| word.as_str().and_then(|word| word.split('=').next()).map(str::to_owned);
    let known: Vec<String> =
        parent["Env"].as_array().into_iter().flatten().filter_map(key).collect();
    if let Some(env) = shape["Config"]["Env"].as_array_mut() {
        env.retain(|word| {
            key(word).is_some_and(|key| !OWN.contains(&key.as_str()) || known.contains(&key))
        });
    }
    let mut kept = Map::new();
    for key in OF_IMAGES {
        let value = &shape["Config"][key];
        if !matches!(value, Value::Null) && *value != json!("") && *value != json!({}) {
            kept.insert(key.to_owned(), value.clone());
        }
    }
    Ok(kept.into())
}
