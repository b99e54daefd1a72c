//! `build`: from a Dockerfile and a context to an image.
//!
//! Runs in: an ordinary process of the user. The text becomes instructions (`lines`, `parse`,
//! `expand`), those become stages (`plan`); a thread for each of them does what it says (`stage`,
//! `take`, `command`), and the last one is the image.

mod change;
mod command;
mod context;
mod expand;
mod files;
#[cfg(test)]
mod fuzz;
mod glob;
mod hold;
mod ignore;
mod lines;
mod parse;
mod place;
mod plan;
mod progress;
mod run;
mod secrets;
mod stage;
mod take;
mod tree;

pub(crate) use change::changed;
pub(crate) use run::guard::called as guard;

use crate::cli::build as cli;
use crate::cli::run::Pull;
use crate::commands;
use crate::digest::Digest;
use crate::fmt;
use crate::home::{self, Home};
use crate::overlay;
use crate::reference::Reference;
use crate::screen::Screen;
use crate::store::layout::Platform;
use crate::store::{Step, Store};
use anyhow::{Context as _, Result, anyhow, ensure};
use context::Context;
use parse::What;
use plan::{From, Plan, platform_arguments};
use progress::Progress;
use run::Runner;
use secrets::Secrets;
use serde_json::{Value, json};
use stage::{Shared, Stage, State, Stopped, Work, key};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{self, RecvTimeoutError};

/// The variable of reproducible builds: <https://reproducible-builds.org/specs/source-date-epoch/>.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

pub(crate) fn build(home: &Home, args: &cli::Build, screen: &mut Screen<'_>) -> Result<()> {
    let names = args.tag.iter().map(|name| tag(name)).collect::<Result<Vec<_>>>()?;
    let arguments = arguments(&args.build_arg);
    let own = Platform::here();
    let platform =
        platform_arguments(&own.os, &own.architecture, own.variant().unwrap_or_default());
    let mut context = Context::open(home, args, screen)?;
    let name = context.name.clone();
    let plan =
        Plan::of(&context.dockerfile, &arguments, &platform).with_context(|| name.clone())?;
    if let Some(wanted) = &args.platform {
        let own = change::value_of(&platform, "TARGETPLATFORM").unwrap_or_default();
        ensure!(plan::fits(wanted, &own), "--platform {wanted}: this machine is {own}");
    }
    let target = plan.target(args.target.as_deref())?;
    let epoch = epoch(&arguments)?;
    let mut secrets = Secrets::read(&args.secret)?;
    let store = Store::open(home)?;
    let mut work = Work {
        home,
        store,
        plan,
        context: context.tree.take().context("internal error, please report: no context")?,
        images: BTreeMap::new(),
        arguments,
        platform,
        secrets: Secrets::default(),
        epoch,
        no_cache: args.no_cache,
        may_be_insecure: args.allow.iter().any(|right| right == "security.insecure"),
        runner: None,
        shared: Shared::default(),
    };
    let needed = prepare(&mut work, target, args, screen).with_context(|| name.clone())?;
    let runs = |stage: &usize| {
        let stage = work.plan.stages.get(*stage);
        stage.is_some_and(|stage| {
            stage.instructions.iter().any(|one| matches!(one.what, What::Run(_)))
        })
    };
    if needed.iter().any(runs) {
        work.runner = Some(Runner::new(home, args.runtime.as_deref(), flags(args)?)?);
    }
    overlay::leave_mounts()?;
    secrets.prepare(home)?;
    work.secrets = secrets;
    let mut progress = Progress::new(args.quiet, args.progress);
    all_stages(&work, &needed, &mut progress, screen).with_context(|| name)?;
    let state = work.wait(target)?;
    warn_of_unused(&work, &mut progress, screen);
    let id = finish(&work, state, &args.label, &names)?;
    for name in &names {
        progress.note(screen, &format!("naming to {name}"));
    }
    if let Some(file) = &args.iidfile {
        home::write(file, id.to_string().as_bytes())
            .with_context(|| format!("--iidfile {}", file.display()))?;
    }
    match args.quiet {
        true => screen.say(&format!("{id}\n")),
        false => {
            progress.note(screen, &format!("image {id}"));
            Ok(())
        }
    }
}

fn tag(text: &str) -> Result<Reference> {
    let name = Reference::parse(text).with_context(|| format!("-t {text}"))?;
    ensure!(!text.contains('@'), "-t {text}: an image that is made has no digest yet");
    Ok(name.tagged())
}

/// `NAME` alone takes the caller's value, if there is one.
fn arguments(words: &[String]) -> Vec<String> {
    let one = |word: &String| match word.contains('=') {
        true => Some(word.clone()),
        false => std::env::var(word).ok().map(|value| format!("{word}={value}")),
    };
    // The last one of a name counts.
    let mut all: Vec<String> = Vec::new();
    for argument in words.iter().filter_map(one) {
        change::put(&mut all, argument);
    }
    all
}

fn epoch(arguments: &[String]) -> Result<Option<i64>> {
    let given = change::value_of(arguments, EPOCH).or_else(|| std::env::var(EPOCH).ok());
    let Some(text) = given.filter(|text| !text.is_empty()) else { return Ok(None) };
    let seconds = text.parse().ok().filter(|seconds| *seconds >= 0);
    let seconds =
        seconds.with_context(|| format!("{EPOCH}={text}: not a number of seconds since 1970"))?;
    Ok(Some(seconds))
}

/// Those of `create` that all commands have.
fn flags(args: &cli::Build) -> Result<Vec<String>> {
    let mut flags = vec![format!("--network={}", run::usual_network(&args.network)?)];
    flags.extend(args.add_host.iter().map(|host| format!("--add-host={host}")));
    flags.extend(args.memory.iter().map(|bytes| format!("--memory={bytes}")));
    flags.extend(args.ulimit.iter().map(|limit| format!("--ulimit={limit}")));
    flags.extend(args.shm_size.iter().map(|bytes| format!("--shm-size={bytes}")));
    flags.extend(args.cgroup_parent.iter().map(|cgroup| format!("--cgroup-parent={cgroup}")));
    flags.extend(args.security_opt.iter().map(|option| format!("--security-opt={option}")));
    Ok(flags)
}

/// Gets the images of all needed stages, with their triggers; these may need further ones.
fn prepare(
    work: &mut Work<'_>,
    target: usize,
    args: &cli::Build,
    screen: &mut Screen<'_>,
) -> Result<BTreeSet<usize>> {
    let when = if args.pull { Pull::Always } else { Pull::Missing };
    let mut ready = BTreeSet::new();
    loop {
        let needed = work.plan.needed(target)?;
        for name in work.plan.images(&needed)? {
            if !work.images.contains_key(&name) {
                let image = commands::find_image(work.home, &name, (when, false), screen)
                    .with_context(|| format!("FROM {name}"))?;
                work.images.insert(name, image);
            }
        }
        let Some(next) = needed.iter().find(|stage| !ready.contains(*stage)).copied() else {
            return Ok(needed);
        };
        let stage =
            work.plan.stages.get(next).context("internal error, please report: no stage")?;
        let triggers = match &stage.from {
            From::Scratch => Vec::new(),
            From::Stage(other) => work.plan.triggers(*other),
            From::Image(name) => {
                let image =
                    work.images.get(name).context("internal error, please report: image")?;
                change::Draft::of(&image.raw).take_triggers()
            }
        };
        work.plan.pull_triggers(next, &triggers)?;
        ready.insert(next);
    }
}

/// Runs them side by side. The first failure that is not that of another one is the error.
fn all_stages(
    work: &Work<'_>,
    needed: &BTreeSet<usize>,
    progress: &mut Progress,
    screen: &mut Screen<'_>,
) -> Result<()> {
    let (sender, events) = mpsc::channel();
    let failed = std::thread::scope(|scope| {
        let threads: Vec<_> = needed
            .iter()
            .map(|number| {
                let stage = Stage::new(work, *number, sender.clone());
                scope.spawn(move || stage.run())
            })
            .collect();
        drop(sender);
        loop {
            match events.recv_timeout(progress::TICK) {
                Ok(event) => progress.show(screen, event),
                Err(RecvTimeoutError::Timeout) => progress.tick(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let panicked = |_| Err(anyhow!("internal error, please report: a thread panicked"));
        let results = threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked));
        results.filter_map(Result::err).collect::<Vec<_>>()
    });
    let mut failed: Vec<anyhow::Error> =
        failed.into_iter().filter(|err| !err.is::<Stopped>()).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.remove(0)) }
}

fn warn_of_unused(work: &Work<'_>, progress: &mut Progress, screen: &mut Screen<'_>) {
    let names = |all: &[(parse::Word, Option<parse::Word>)]| {
        all.iter().map(|(name, _)| name.text.clone()).collect::<Vec<_>>()
    };
    let stages = work.plan.stages.iter().flat_map(|stage| &stage.instructions);
    let mut known: BTreeSet<String> = stages
        .filter_map(|one| {
            let What::Arg(all) = &one.what else { return None };
            Some(names(all))
        })
        .flatten()
        .collect();
    known.extend(work.plan.global_names.iter().cloned());
    known.extend(stage::PROXIES.map(str::to_owned));
    known.insert(EPOCH.to_owned());
    let unused: Vec<&str> = work
        .arguments
        .iter()
        .map(|one| change::name_of(one))
        .filter(|name| !known.contains(*name))
        .collect();
    if !unused.is_empty() {
        progress.note(
            screen,
            &format!("bundles: --build-arg {}: no ARG has that name", unused.join(" ")),
        );
    }
}

/// Makes the image.
fn finish(
    work: &Work<'_>,
    mut state: State,
    labels: &[String],
    names: &[Reference],
) -> Result<Digest> {
    for (name, value) in crate::cli::pairs(labels) {
        state.draft.label(&name, &value);
    }
    let diff_ids: Vec<String> =
        state.layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    // The same build has the same image: what was made once keeps its time.
    let key = key(&json!(["image", state.key, state.draft.finish(&diff_ids, "")]));
    let known = if work.no_cache { None } else { work.store.step(&key) };
    let created = match known {
        Some(step) => step.created,
        None => {
            let step = Step { created: work.now(), layer: None, content: None };
            work.store.keep_step(&key, &step)?;
            step.created
        }
    };
    for entry in &mut state.draft.history {
        if let Value::Object(entry) = entry {
            entry.entry("created").or_insert_with(|| json!(created));
        }
    }
    let image =
        work.store.add_image(state.draft.finish(&diff_ids, &created), &state.layers, names)?;
    Ok(image.id)
}

pub(crate) fn builder(home: &Home, command: &cli::Builder, screen: &mut Screen<'_>) -> Result<()> {
    match command {
        cli::Builder::Build(args) => build(home, args, screen),
        cli::Builder::Prune(args) => {
            let what = if args.all { "all build cache" } else { "build cache that no image has" };
            screen.confirm(args.force, &format!("This will remove {what}."))?;
            let store = Store::open(home)?;
            let freed = store.forget_steps(args.all)?.bytes + store.sweep()?;
            screen.say(&format!("Total:\t{}\n", fmt::size(freed)))
        }
    }
}

/// The parts of a path without `.` and `..`, which lead no further up than the top, and without
/// slashes at either end.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
