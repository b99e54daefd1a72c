//! `RUN`: what its command sees, and what decides what comes of it.
//!
//! Runs in: a thread for each stage.

use super::change::{Words, name_of, put, value_of};
use super::files;
use super::hold::Holding;
use super::lines;
use super::parse::{Command, Instruction};
use super::place::{at, told};
use super::progress::Event;
use super::run::mounts::{self, Kind};
use super::run::{Job, Mounted};
use super::stage::{LayerStep, PROXIES, Stage, State, failure, key};
use crate::container::Mount;
use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// Where a script is that begins with `#!`.
const SCRIPT: &str = "/dev/pipes/EOF";

/// The command as it is run.
struct Run {
    words: Vec<String>,
    /// The text of a file at [`SCRIPT`].
    script: Option<String>,
}

impl Stage<'_> {
    pub(super) fn command(
        &mut self,
        state: &mut State,
        words: &Words<'_>,
        command: &Command,
    ) -> Result<()> {
        let instruction = words.instruction;
        let run = run(state, instruction, command);
        let network = words.flag("network")?;
        ensure!(
            network.as_deref().is_none_or(|name| matches!(name, "default" | "none" | "host")),
            at(instruction.place(), "--network: default, none or host is possible")
        );
        let network = network.filter(|name| name != "default");
        let security = words.flag("security")?.unwrap_or_else(|| "sandbox".to_owned());
        let is_privileged = security == "insecure";
        ensure!(
            is_privileged || security == "sandbox",
            at(instruction.place(), "--security: sandbox or insecure is possible")
        );
        if is_privileged && !self.work.may_be_insecure {
            return Err(anyhow!(at(instruction.place(), "--security=insecure is not allowed")))
                .hint("allow it with --allow security.insecure");
        }
        let wanted = self.wanted(words)?;
        let mut seen = Vec::new();
        for mount in &wanted {
            seen.push(self.described(mount, instruction)?);
        }
        let env: Vec<String> = self.arguments(state);
        let is_proxy = |variable: &&String| PROXIES.contains(&name_of(variable));
        let decisive: Vec<&String> = env.iter().filter(|variable| !is_proxy(variable)).collect();
        let key = key(&json!([
            "RUN",
            state.key,
            run.words,
            run.script,
            state.draft.env(),
            decisive,
            state.draft.user(),
            state.draft.workdir(),
            seen,
            network,
            security,
        ]));
        let shown = match decisive.as_slice() {
            [] => run.words.join(" "),
            all => {
                let all: Vec<&str> = all.iter().map(|variable| variable.as_str()).collect();
                format!("|{} {} {}", all.len(), all.join(" "), run.words.join(" "))
            }
        };
        let created_by = format!("RUN {shown}");
        let config = state.draft.runtime_config()?;
        let workdir = state.draft.workdir().to_owned();
        let step = LayerStep { key, alone: false, instruction, created_by };
        self.layer(state, step, |stage, step, mounted| {
            let mut held = Holding::new(stage, instruction, mounted).all(&wanted, &workdir)?;
            if let Some(script) = &run.script {
                held.mounts.push(script_mount(script, mounted)?);
            }
            held.env.extend(env.iter().cloned());
            let job = Job {
                words: &run.words,
                env: &held.env,
                config: &config,
                mounts: held.mounts,
                network: network.as_deref(),
                is_privileged,
            };
            let runner = stage.work.runner.as_ref();
            let runner = runner.context("internal error, please report: no runner")?;
            let mut output = |bytes: &[u8]| {
                stage.tell(Event::Output { step, bytes: bytes.to_vec() });
            };
            let code = runner.run(stage.work.home, mounted, &job, &mut output)?;
            if code != 0 {
                return Err(failure(code, &run.words));
            }
            Ok(())
        })
    }

    /// Variables of a command besides those of the image.
    fn arguments(&self, state: &State) -> Vec<String> {
        let env = state.draft.env();
        let proxies = self.work.arguments.iter().filter(|one| PROXIES.contains(&name_of(one)));
        let all = state.arguments.iter().chain(proxies);
        let mut arguments: Vec<String> = Vec::new();
        for argument in all.filter(|one| value_of(&env, name_of(one)).is_none()) {
            put(&mut arguments, argument.clone());
        }
        arguments
    }

    fn wanted(&self, words: &Words<'_>) -> Result<Vec<mounts::Mount>> {
        let mut all = Vec::new();
        for flag in words.instruction.flags.iter().filter(|flag| flag.name == "mount") {
            let place = words.instruction.line.place(flag.offset);
            let parse = || -> Result<mounts::Mount> {
                let word = flag.value.as_ref().context("--mount: no value")?;
                mounts::parse(&words.one(word)?)
            };
            all.push(parse().map_err(|err| told(place, &err))?);
        }
        Ok(all)
    }

    /// What of a mount decides about the result.
    fn described(&self, mount: &mounts::Mount, instruction: &Instruction) -> Result<Value> {
        Ok(match &mount.kind {
            Kind::Bind { from: None, source, writable } => {
                let sources = self.work.context.select(source)?;
                let how = files::How { owner: Some((0, 0)), ..files::How::default() };
                let digest = files::digest(&self.work.context, &sources, &how)?;
                json!(["bind", mount.target, digest, writable])
            }
            Kind::Bind { from: Some(from), source, writable } => {
                let from = self.work.plan.source(self.number, instruction, from)?;
                json!(["bind", mount.target, self.work.source(&from)?.1, source, writable])
            }
            Kind::Cache { id, .. } => json!(["cache", mount.target, id]),
            Kind::Tmpfs { .. } => json!(["tmpfs", mount.target]),
            Kind::Secret { id, env, .. } => json!(["secret", mount.target, id, env]),
        })
    }
}

/// The words of a command, with its here-documents.
fn run(state: &State, instruction: &Instruction, command: &Command) -> Run {
    let documents = instruction.documents();
    let (Command::Shell(text), Some(first)) = (command, documents.first()) else {
        return Run { words: state.draft.command(command), script: None };
    };
    // It is the whole command, and so the script.
    if documents.len() == 1 && lines::is_document(text) {
        if first.content.starts_with("#!") {
            return Run { words: vec![SCRIPT.to_owned()], script: Some(first.content.clone()) };
        }
        let words = state.draft.command(&Command::Shell(first.content.clone()));
        return Run { words, script: None };
    }
    let mut whole = format!("{text}\n");
    for document in documents {
        whole.push_str(&format!("{}{}\n", document.content, document.name));
    }
    Run { words: state.draft.command(&Command::Shell(whole)), script: None }
}

fn script_mount(script: &str, mounted: &Mounted) -> Result<Mount> {
    let file = mounted.directory("script")?.join("script");
    crate::home::write(&file, script.as_bytes()).context("script")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).context("script")?;
    Ok(Mount {
        kind: "bind".into(),
        source: file,
        destination: SCRIPT.into(),
        read_only: true,
        propagation: "rprivate".into(),
        ..Mount::default()
    })
}
