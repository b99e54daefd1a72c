//! What is measured: a runtime together with the kind of bundle it gets, and its command lines.
//! Runs in: the driver, pure except for the making of bundles.

use std::path::Path;

use anyhow::{Context, Result};

use crate::bundle::{self, Devices, Payload, Shape};
use crate::spawn::Command;

/// A program under test. The floor understands the same command line as the OCI runtimes, but no
/// config.json.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Runtime {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Floor,
    Oci,
}

/// One line of each table.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) runtime: Runtime,
    pub(crate) devices: Devices,
    /// A twin runs with the bundle without device rules beside the runtime's main lane, so that a runtime
    /// which cannot load device rules has somebody to be compared with. Short: see `Bench::rounds`.
    pub(crate) twin: bool,
    /// Why this lane is no longer measured.
    pub(crate) failure: Option<String>,
    pub(crate) index: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Verb {
    Run(Payload),
    Create(Payload),
    Start,
    Delete,
    DeleteForce,
    Exec,
    State,
    List,
    /// The least that the program can be asked for: what starting it costs.
    Version,
}

impl Lane {
    pub(crate) fn label(&self) -> String {
        match self.devices {
            Devices::Ruled => self.runtime.name.clone(),
            Devices::Unruled => format!("{} (no device rules)", self.runtime.name),
        }
    }

    /// The id, and cgroup name, of this lane's container for a purpose.
    pub(crate) fn id(&self, purpose: &str) -> String {
        format!("bench{}-{purpose}", self.index)
    }

    pub(crate) fn command(&self, base: &Path, verb: Verb, purpose: &str) -> Result<Command> {
        self.wrapped_command(base, &[], verb, purpose)
    }

    /// The command with another program, and its arguments, before it.
    pub(crate) fn wrapped_command(
        &self,
        base: &Path,
        wrapper: &[&str],
        verb: Verb,
        purpose: &str,
    ) -> Result<Command> {
        let mut argv: Vec<String> = wrapper.iter().map(|&word| word.to_owned()).collect();
        argv.extend(self.argv(base, verb, purpose)?);
        let mut environment = vec![
            format!("PATH={}", std::env::var("PATH").unwrap_or_default()),
            "HOME=/root".to_owned(),
        ];
        if self.runtime.kind == Kind::Floor && self.devices == Devices::Unruled {
            environment.push("FLOOR_NO_DEVICES=1".to_owned());
        }
        Command::new(&argv, &environment)
    }

    fn argv(&self, base: &Path, verb: Verb, purpose: &str) -> Result<Vec<String>> {
        let id = self.id(purpose);
        if matches!(verb, Verb::Version) {
            let word = if self.runtime.kind == Kind::Floor { "nothing" } else { "--version" };
            return Ok(vec![self.runtime.path.clone(), word.to_owned()]);
        }
        let state = base.join(format!("state{}", self.index));
        let mut argv = vec![self.runtime.path.clone(), "--root".to_owned(), path_text(&state)?];
        let words: &[&str] = match verb {
            Verb::Run(payload) => return self.with_bundle(argv, base, ("run", &id), payload),
            Verb::Create(payload) => return self.with_bundle(argv, base, ("create", &id), payload),
            Verb::Start => &["start", &id],
            Verb::Delete => &["delete", &id],
            Verb::DeleteForce => &["delete", "--force", &id],
            Verb::Exec => &["exec", &id, "/bin/true"],
            Verb::State => &["state", &id],
            Verb::List => &["list"],
            Verb::Version => &["--version"],
        };
        argv.extend(words.iter().map(|&word| word.to_owned()));
        Ok(argv)
    }

    fn with_bundle(
        &self,
        mut argv: Vec<String>,
        base: &Path,
        (verb, id): (&str, &str),
        payload: Payload,
    ) -> Result<Vec<String>> {
        let bundle = base.join(id);
        if !bundle.exists() {
            let shape = Shape { payload, devices: self.devices, memory_limit_bytes: None };
            bundle::make(base, id, shape)?;
        }
        argv.extend([verb.to_owned(), "--bundle".to_owned(), path_text(&bundle)?, id.to_owned()]);
        if self.runtime.kind == Kind::Floor {
            argv.extend(payload.args().iter().map(|&word| word.to_owned()));
        }
        Ok(argv)
    }
}

pub(crate) fn path_text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).context("a path that is not UTF-8")
}
