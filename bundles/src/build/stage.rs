//! The instructions of one stage, in turn.
//!
//! Runs in: a thread for each stage. A stage that needs another one waits for it where it does.

use super::change::{Change, Draft, Words, put, value_of};
use super::parse::{Instruction, What};
use super::place::at;
use super::plan::{From, Plan};
use super::progress::Event;
use super::run::{self, Mounted, Runner};
use super::secrets::Secrets;
use super::tree::Tree;
use crate::container;
use crate::digest::Digest;
use crate::home::{Home, Scratch};
use crate::overlay::View;
use crate::store::{Changes, Image, Layer, Step, Store};
use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Known to every command without an `ARG`, and no part of what it makes.
pub(crate) const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// What all stages of a build have in common.
pub(crate) struct Work<'a> {
    pub(crate) home: &'a Home,
    pub(crate) store: Store<'a>,
    pub(crate) plan: Plan,
    pub(crate) context: Tree,
    /// By their names in the file.
    pub(crate) images: BTreeMap<String, Image>,
    /// `NAME=VALUE` of the command line.
    pub(crate) arguments: Vec<String>,
    /// `NAME=VALUE` that every build has.
    pub(crate) platform: Vec<String>,
    pub(crate) secrets: Secrets,
    /// `SOURCE_DATE_EPOCH`: seconds since 1970 after which no time is.
    pub(crate) epoch: Option<i64>,
    pub(crate) no_cache: bool,
    pub(crate) may_be_insecure: bool,
    pub(crate) runner: Option<Runner>,
    pub(crate) shared: Shared,
}

/// What the stages tell each other.
#[derive(Default)]
pub(crate) struct Shared {
    /// By the numbers of stages; `None` is one that failed.
    done: Mutex<BTreeMap<usize, Option<State>>>,
    changed: Condvar,
    stopped: AtomicBool,
    steps: AtomicUsize,
    /// Files of stages and images that others copy from.
    views: Mutex<BTreeMap<Digest, Arc<Files>>>,
}

/// A stage between two instructions.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) draft: Draft,
    /// The lowest first.
    pub(crate) layers: Vec<Layer>,
    /// Of all that the files come from.
    pub(crate) key: Digest,
    /// `NAME=VALUE` of each `ARG` that has a value.
    pub(crate) arguments: Vec<String>,
}

/// Files to be copied from, while they are mounted.
pub(crate) struct Files {
    pub(crate) tree: Tree,
    _view: View,
    _scratch: Scratch,
}

/// Another stage has failed, which is told by that one.
#[derive(Debug)]
pub(crate) struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("another stage has failed")
    }
}

impl std::error::Error for Stopped {}

/// A stage at work.
pub(crate) struct Stage<'a> {
    pub(crate) work: &'a Work<'a>,
    pub(crate) number: usize,
    pub(crate) events: Sender<Event>,
    /// Of its steps, those that were begun.
    count: usize,
}

/// The digest of a list of words, which decide together.
pub(crate) fn key(of: &Value) -> Digest {
    Digest::of(of.to_string().as_bytes())
}

impl Work<'_> {
    /// What a stage has become, when it is there.
    pub(crate) fn wait(&self, stage: usize) -> Result<State> {
        let mut done = self.shared.done.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match done.get(&stage) {
                Some(Some(state)) => return Ok(state.clone()),
                Some(None) => return Err(Stopped.into()),
                None => {}
            }
            done = self.shared.changed.wait(done).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn finish(&self, stage: usize, state: Option<State>) {
        if state.is_none() {
            self.shared.stopped.store(true, Ordering::Relaxed);
        }
        let mut done = self.shared.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.insert(stage, state);
        self.shared.changed.notify_all();
    }

    fn begin(&self, from: &From) -> Result<State> {
        let mut state = match from {
            From::Scratch => {
                let value = |name| value_of(&self.platform, name).unwrap_or_default();
                let draft = Draft::empty(&value("TARGETOS"), &value("TARGETARCH"));
                let key = key(&json!(["scratch", self.epoch]));
                State { draft, layers: Vec::new(), key, arguments: Vec::new() }
            }
            From::Stage(other) => {
                let state = self.wait(*other)?;
                State { draft: state.draft.again(), ..state }
            }
            From::Image(name) => {
                let image = self.image(name)?;
                let layers = self.store.layers_of(image)?;
                let key = key(&json!(["image", image.id, self.epoch]));
                State { draft: Draft::of(&image.raw), layers, key, arguments: Vec::new() }
            }
        };
        state.draft.take_triggers(); // the plan has them
        Ok(state)
    }

    fn image(&self, name: &str) -> Result<&Image> {
        self.images
            .get(name)
            .with_context(|| format!("internal error, please report: image {name}"))
    }

    pub(crate) fn layers(&self, layers: &[Layer]) -> Vec<PathBuf> {
        layers.iter().map(|layer| self.store.layer(&layer.diff_id)).collect()
    }

    /// The layers of a stage or an image, and the key of what it is.
    pub(crate) fn source(&self, from: &From) -> Result<(Vec<Layer>, Digest)> {
        let state = match from {
            From::Stage(other) => self.wait(*other)?,
            From::Scratch | From::Image(_) => self.begin(from)?,
        };
        Ok((state.layers, state.key))
    }

    pub(crate) fn files(&self, layers: &[Layer], key: &Digest) -> Result<Arc<Files>> {
        let mut views = self.shared.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(files) = views.get(key) {
            return Ok(Arc::clone(files));
        }
        let scratch = self.home.scratch()?;
        let view = View::mount(&self.layers(layers), scratch.path())?;
        let tree = Tree::open(view.path())?;
        let files = Arc::new(Files { tree, _view: view, _scratch: scratch });
        views.insert(key.clone(), Arc::clone(&files));
        Ok(files)
    }

    /// The time of what is made now, in the form of RFC 3339.
    pub(crate) fn now(&self) -> String {
        match self.epoch.and_then(|seconds| u64::try_from(seconds).ok()) {
            Some(seconds) => {
                let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
                humantime::format_rfc3339_seconds(time).to_string()
            }
            None => container::now(),
        }
    }
}

impl<'a> Stage<'a> {
    pub(crate) fn new(work: &'a Work<'a>, number: usize, events: Sender<Event>) -> Self {
        Self { work, number, events, count: 0 }
    }

    /// All of it. Whoever waits is told how it went.
    pub(crate) fn run(mut self) -> Result<()> {
        let ran = self.instructions();
        self.work.finish(self.number, ran.as_ref().ok().cloned());
        ran.map(drop)
    }

    fn instructions(&mut self) -> Result<State> {
        let stage = self.work.plan.stages.get(self.number);
        let stage = stage.context("internal error, please report: no stage")?;
        let mut state = self.work.begin(&stage.from)?;
        let (step, title) = self.title(&stage.head.line.text);
        self.tell(Event::Cached { step, title });
        for instruction in &stage.instructions {
            if self.work.shared.stopped.load(Ordering::Relaxed) {
                return Err(Stopped.into());
            }
            self.instruction(&mut state, instruction)?;
        }
        Ok(state)
    }

    pub(crate) fn tell(&self, event: Event) {
        self.events.send(event).ok(); // nobody may listen any more
    }

    /// The number of a new step, and how it is called.
    fn title(&mut self, text: &str) -> (usize, String) {
        self.count += 1;
        let stage = self.work.plan.stages.get(self.number);
        let is_step = |one: &&Instruction| {
            matches!(one.what, What::Run(_) | What::Copy(_) | What::Add(_) | What::Workdir(_))
        };
        let all = 1 + stage.map_or(0, |stage| stage.instructions.iter().filter(is_step).count());
        let name = match stage.and_then(|stage| stage.name.as_ref()) {
            Some(name) => format!("{name} "),
            None if self.work.plan.stages.len() > 1 => format!("stage-{} ", self.number),
            None => String::new(),
        };
        let step = 1 + self.work.shared.steps.fetch_add(1, Ordering::Relaxed);
        (step, format!("[{name}{}/{all}] {text}", self.count))
    }

    fn instruction(&mut self, state: &mut State, instruction: &Instruction) -> Result<()> {
        let env = state.draft.env();
        let arguments = state.arguments.clone();
        let lookup = |name: &str| value_of(&env, name).or_else(|| value_of(&arguments, name));
        let words = Words { instruction, escape: self.work.plan.escape, lookup: &lookup };
        if let What::Arg(_) = &instruction.what {
            return self.declare(state, &words);
        } else if let What::Run(command) = &instruction.what {
            return self.command(state, &words, command);
        } else if let What::Copy(paths) | What::Add(paths) = &instruction.what {
            return self.copy(state, &words, paths);
        }
        let place = || at(instruction.place(), instruction.line.keyword().0);
        let change = Change::of(&words)?;
        let change = change.context("internal error, please report: no change")?;
        let created_by = change.shown(&state.draft);
        state.draft.apply(&change).with_context(place)?;
        if let Change::Workdir(_) = change {
            return self.workdir(state, instruction);
        }
        state.draft.history.push(json!({ "created_by": created_by, "empty_layer": true }));
        Ok(())
    }

    /// `ARG`.
    fn declare(&self, state: &mut State, words: &Words<'_>) -> Result<()> {
        let What::Arg(arguments) = &words.instruction.what else { return Ok(()) };
        let mut shown = Vec::new();
        for (name, value) in arguments {
            let usual = value.as_ref().map(|word| words.one(word)).transpose()?;
            let name = &name.text;
            let given = value_of(&self.work.arguments, name).or(usual);
            let global = || value_of(&self.work.plan.globals, name);
            let value = given.or_else(global).or_else(|| value_of(&self.work.platform, name));
            match value {
                Some(value) => {
                    let argument = format!("{name}={value}");
                    shown.push(argument.clone());
                    put(&mut state.arguments, argument);
                }
                None => shown.push(name.clone()),
            }
        }
        let created_by = format!("ARG {}", shown.join(" "));
        state.draft.history.push(json!({ "created_by": created_by, "empty_layer": true }));
        Ok(())
    }

    fn workdir(&mut self, state: &mut State, instruction: &Instruction) -> Result<()> {
        let (path, user) = (state.draft.workdir().to_owned(), state.draft.user().to_owned());
        let key = key(&json!(["WORKDIR", state.key, path, user]));
        let created_by = format!("WORKDIR {path}");
        let step = LayerStep { key, alone: false, instruction, created_by };
        self.layer(state, step, |_, _, mounted| run::make_directory(mounted, &path, &user))
    }

    /// A step that changes files, unless it is known what comes of it.
    pub(crate) fn layer(
        &mut self,
        state: &mut State,
        layer: LayerStep<'_>,
        make: impl FnOnce(&Self, usize, &mut Mounted) -> Result<()>,
    ) -> Result<()> {
        let (step, title) = self.title(&layer.instruction.line.text);
        let known = if self.work.no_cache { None } else { self.work.store.step(&layer.key) };
        let made = match known {
            Some(made) => {
                self.tell(Event::Cached { step, title });
                made
            }
            None => {
                self.tell(Event::Begun { step, title });
                let made = self.make(state, &layer, step, make);
                self.tell(if made.is_ok() { Event::Done { step } } else { Event::Failed { step } });
                made.with_context(|| {
                    at(layer.instruction.place(), layer.instruction.line.keyword().0)
                })?
            }
        };
        let (created, created_by) = (&made.created, &layer.created_by);
        state.draft.history.push(match made.layer {
            Some(_) => json!({ "created": created, "created_by": created_by }),
            None => json!({ "created": created, "created_by": created_by, "empty_layer": true }),
        });
        state.key = if layer.alone { key(&json!([state.key, layer.key])) } else { layer.key };
        state.layers.extend(made.layer);
        Ok(())
    }

    fn make(
        &self,
        state: &State,
        layer: &LayerStep<'_>,
        step: usize,
        make: impl FnOnce(&Self, usize, &mut Mounted) -> Result<()>,
    ) -> Result<Step> {
        let below = if layer.alone { Vec::new() } else { self.work.layers(&state.layers) };
        let mut mounted = Mounted::new(self.work.home, &below)?;
        make(self, step, &mut mounted)?;
        let changes = mounted.changes();
        let created = self.work.now();
        let layer_made = self.work.store.add_layer(Changes::Given(&changes), self.work.epoch)?;
        let made = Step { created, layer: layer_made, content: None };
        self.work.store.keep_step(&layer.key, &made)?;
        Ok(made)
    }
}

/// A step that changes files.
pub(crate) struct LayerStep<'a> {
    /// Of all that decides what comes of it.
    pub(crate) key: Digest,
    /// It is made without the layers below: `--link`.
    pub(crate) alone: bool,
    pub(crate) instruction: &'a Instruction,
    pub(crate) created_by: String,
}

/// What is told of a command that failed.
pub(crate) fn failure(code: i32, words: &[String]) -> anyhow::Error {
    let text = words.join(" ");
    let first: String = text.lines().next().unwrap_or_default().chars().take(80).collect();
    let rest = if first.len() < text.len() { " …" } else { "" };
    anyhow!("{first}{rest}: exit code {code}")
}
