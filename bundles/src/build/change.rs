//! The instructions that change an image's configuration and none of its files; those of `commit
//! --change` and `import --change` too.
//!
//! Runs in: pure. See config.md of the OCI image-spec, and Docker's additions to it.

use super::clean;
use super::expand::{self, Lookup};
use super::lines;
use super::parse::{Command, Instruction, What, Word, duration};
use super::place::at;
use crate::error::OrHint as _;
use crate::ports;
use crate::spec;
use crate::store::history_of;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use oci_spec::image;
use serde_json::{Map, Value, json};

/// What a shell form is given to where no `SHELL` says otherwise.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// One of them, with the values of its variables.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    Cmd(Command),
    Entrypoint(Command),
    Shell(Vec<String>),
    /// Ports, each with its protocol.
    Expose(Vec<String>),
    Volume(Vec<String>),
    User(String),
    Workdir(String),
    StopSignal(String),
    Maintainer(String),
    /// As the configuration has it.
    Healthcheck(Value),
    OnBuild(String),
}

/// The configuration of an image while it is made.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// All but `config`, `rootfs` and `history`.
    image: Map<String, Value>,
    config: Map<String, Value>,
    pub(crate) history: Vec<Value>,
    /// The command is not that of the image below.
    has_own_cmd: bool,
}

/// The values of the variables in the words of one instruction.
pub(crate) struct Words<'a> {
    pub(crate) instruction: &'a Instruction,
    pub(crate) escape: char,
    pub(crate) lookup: &'a Lookup<'a>,
}

impl Words<'_> {
    pub(crate) fn one(&self, word: &Word) -> Result<String> {
        let made = expand::word(&word.text, self.escape, self.lookup);
        made.map_err(|wrong| self.told(word, &wrong))
    }

    fn all(&self, words: &[Word]) -> Result<Vec<String>> {
        words.iter().map(|word| self.one(word)).collect()
    }

    fn pairs(&self, pairs: &[(Word, Word)]) -> Result<Vec<(String, String)>> {
        pairs.iter().map(|(key, value)| Ok((self.one(key)?, self.one(value)?))).collect()
    }

    /// Where a variable may stand for several words.
    fn several(&self, words: &[Word]) -> Result<Vec<String>> {
        let mut all = Vec::new();
        for word in words {
            let made = expand::words(&word.text, self.escape, self.lookup);
            all.extend(made.map_err(|wrong| self.told(word, &wrong))?);
        }
        Ok(all)
    }

    /// The value of a flag.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<String>> {
        self.instruction.flag(name)?.map(|word| self.one(word)).transpose()
    }

    fn told(&self, word: &Word, wrong: &expand::Wrong) -> anyhow::Error {
        anyhow!(at(self.instruction.line.place(word.offset + wrong.offset), wrong))
    }
}

impl Change {
    /// `None` for an instruction that does something else.
    pub(crate) fn of(words: &Words<'_>) -> Result<Option<Self>> {
        let change = match &words.instruction.what {
            What::Env(pairs) => Self::Env(words.pairs(pairs)?),
            What::Label(pairs) => Self::Label(words.pairs(pairs)?),
            What::Cmd(command) => Self::Cmd(command.clone()),
            What::Entrypoint(command) => Self::Entrypoint(command.clone()),
            What::Shell(shell) => Self::Shell(shell.clone()),
            What::Expose(all) => Self::Expose(exposed(&words.several(all)?)?),
            What::Volume(all) => Self::Volume(words.all(all)?),
            What::User(word) => Self::User(words.one(word)?),
            What::Workdir(word) => Self::Workdir(words.one(word)?),
            What::StopSignal(word) => {
                let signal = words.one(word)?;
                spec::values::signal(&signal).context("STOPSIGNAL")?;
                Self::StopSignal(signal)
            }
            What::Maintainer(name) => Self::Maintainer(name.clone()),
            What::Healthcheck(command) => {
                Self::Healthcheck(healthcheck(words.instruction, command.as_ref())?)
            }
            What::OnBuild(trigger) => Self::OnBuild(trigger.clone()),
            What::From { .. } | What::Arg(_) | What::Run(_) | What::Copy(_) | What::Add(_) => {
                return Ok(None);
            }
        };
        Ok(Some(change))
    }

    /// Those of `--change`, one or more lines each.
    pub(crate) fn parse(text: &str, env: &[String]) -> Result<Vec<Self>> {
        let lookup = |name: &str| value_of(env, name);
        let split = lines::split(text)?;
        let one = |line| {
            let instruction = Instruction::parse(line, split.escape)?;
            let words = Words { instruction: &instruction, escape: split.escape, lookup: &lookup };
            Self::of(&words)?.with_context(|| format!("{} changes files", line.keyword().0)).hint(
                "the instructions are CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD SHELL STOPSIGNAL USER VOLUME WORKDIR",
            )
        };
        let wrong = || format!("--change {text:?}");
        split.lines.iter().map(one).collect::<Result<_>>().with_context(wrong)
    }

    /// As `history` shows it.
    pub(crate) fn shown(&self, draft: &Draft) -> String {
        let quoted = |pairs: &[(String, String)]| {
            let all = pairs.iter().map(|(key, value)| match value.contains(char::is_whitespace) {
                true => format!("{key}={value:?}"),
                false => format!("{key}={value}"),
            });
            all.collect::<Vec<_>>().join(" ")
        };
        let command = |command: &Command| json!(draft.command(command)).to_string();
        match self {
            Self::Env(pairs) => format!("ENV {}", quoted(pairs)),
            Self::Label(pairs) => format!("LABEL {}", quoted(pairs)),
            Self::Cmd(words) => format!("CMD {}", command(words)),
            Self::Entrypoint(words) => format!("ENTRYPOINT {}", command(words)),
            Self::Shell(words) => format!("SHELL {}", json!(words)),
            Self::Expose(ports) => format!("EXPOSE {}", ports.join(" ")),
            Self::Volume(paths) => format!("VOLUME {}", json!(paths)),
            Self::User(user) => format!("USER {user}"),
            Self::Workdir(dir) => format!("WORKDIR {dir}"),
            Self::StopSignal(signal) => format!("STOPSIGNAL {signal}"),
            Self::Maintainer(name) => format!("MAINTAINER {name}"),
            Self::Healthcheck(check) => format!("HEALTHCHECK {check}"),
            Self::OnBuild(trigger) => format!("ONBUILD {trigger}"),
        }
    }
}

impl Draft {
    /// From the configuration of an image.
    pub(crate) fn of(raw: &Value) -> Self {
        let mut image = raw.as_object().cloned().unwrap_or_default();
        image.remove("rootfs");
        image.remove("history");
        let history = history_of(raw);
        let config = image.remove("config").and_then(|config| config.as_object().cloned());
        // Of an image made by Docker before 2023; they tell of another one.
        for name in ["container", "container_config", "docker_version", "created", "id", "parent"] {
            image.remove(name);
        }
        let config = config.unwrap_or_default();
        Self { image, config, history, has_own_cmd: false }
    }

    /// `FROM scratch`.
    pub(crate) fn empty(os: &str, architecture: &str) -> Self {
        let raw = json!({ "os": os, "architecture": architecture, "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        } });
        Self::of(&raw)
    }

    /// Another stage goes on from it.
    pub(crate) fn again(&self) -> Self {
        Self { has_own_cmd: false, ..self.clone() }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.config.get(name).filter(|value| !value.is_null())
    }

    fn put(&mut self, name: &str, value: Value) {
        self.config.insert(name.to_owned(), value);
    }

    fn strings(&self, name: &str) -> Vec<String> {
        let all = self.get(name).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    }

    fn text(&self, name: &str) -> &str {
        self.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn env(&self) -> Vec<String> {
        self.strings("Env")
    }

    /// Empty for root.
    pub(crate) fn user(&self) -> &str {
        self.text("User")
    }

    pub(crate) fn workdir(&self) -> &str {
        match self.text("WorkingDir") {
            "" => "/",
            dir => dir,
        }
    }

    /// The triggers of the image below, which they leave.
    pub(crate) fn take_triggers(&mut self) -> Vec<String> {
        let triggers = self.strings("OnBuild");
        self.config.remove("OnBuild");
        triggers
    }

    /// The words of a command; those of a shell before it where it is in shell form.
    pub(crate) fn command(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(words) => words.clone(),
            Command::Shell(text) if text.is_empty() => Vec::new(),
            Command::Shell(text) => {
                let mut words = self.strings("Shell");
                if words.is_empty() {
                    words = SHELL.map(ToOwned::to_owned).to_vec();
                }
                words.push(text.clone());
                words
            }
        }
    }

    /// What a container is made from.
    pub(crate) fn runtime_config(&self) -> Result<image::Config> {
        serde_json::from_value(self.config.clone().into()).context("image configuration")
    }

    /// A path from the working directory; without `.`, `..` and doubled slashes.
    pub(crate) fn absolute(&self, path: &str) -> String {
        let from = if path.starts_with('/') { "" } else { self.workdir() };
        format!("/{}", clean(&format!("{from}/{path}")))
    }

    pub(crate) fn label(&mut self, name: &str, value: &str) {
        self.add("Labels", name.to_owned(), value.into());
    }

    fn add(&mut self, map: &str, key: String, value: Value) {
        let all = self.config.remove(map).and_then(|all| all.as_object().cloned());
        let mut all = all.unwrap_or_default();
        all.insert(key, value);
        self.put(map, all.into());
    }

    pub(crate) fn apply(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::Env(pairs) => {
                let mut env = self.env();
                for (name, value) in pairs {
                    spec::set(&mut env, &format!("{name}={value}")).context("ENV")?;
                }
                self.put("Env", json!(env));
            }
            Change::Label(pairs) => {
                for (key, value) in pairs {
                    self.label(key, value);
                }
            }
            Change::Cmd(command) => {
                self.has_own_cmd = true;
                let words = self.command(command);
                self.put("Cmd", json!(words));
            }
            Change::Entrypoint(command) => {
                let words = self.command(command);
                self.put("Entrypoint", json!(words));
                // The arguments were those of another program.
                if !self.has_own_cmd {
                    self.config.remove("Cmd");
                }
            }
            Change::Shell(words) => self.put("Shell", json!(words)),
            Change::Expose(ports) => {
                for port in ports {
                    self.add("ExposedPorts", port.clone(), json!({}));
                }
            }
            Change::Volume(paths) => {
                for path in paths {
                    ensure!(!path.trim().is_empty(), "VOLUME: an empty path");
                    self.add("Volumes", path.clone(), json!({}));
                }
            }
            Change::User(user) => self.put("User", json!(user)),
            Change::Workdir(dir) => {
                let dir = self.absolute(dir);
                self.put("WorkingDir", json!(dir));
            }
            Change::StopSignal(signal) => {
                self.put("StopSignal", json!(signal));
            }
            Change::Maintainer(name) => drop(self.image.insert("author".into(), json!(name))),
            Change::Healthcheck(check) => {
                self.put("Healthcheck", check.clone());
            }
            Change::OnBuild(trigger) => {
                let mut triggers = self.strings("OnBuild");
                triggers.push(trigger.clone());
                self.put("OnBuild", json!(triggers));
            }
        }
        Ok(())
    }

    /// The configuration as a whole. `created` in the form of RFC 3339.
    pub(crate) fn finish(&self, diff_ids: &[String], created: &str) -> Value {
        let mut image = self.image.clone();
        image.insert("config".into(), self.config.clone().into());
        image.insert("created".into(), json!(created));
        image.insert("rootfs".into(), json!({ "type": "layers", "diff_ids": diff_ids }));
        image.insert("history".into(), json!(self.history));
        Value::Object(image)
    }
}

/// A configuration after those of `--change`, one after another.
pub(crate) fn changed(raw: &Value, changes: &[String], created: &str) -> Result<Value> {
    let mut draft = Draft::of(raw);
    for text in changes {
        for change in Change::parse(text, &draft.env())? {
            draft.apply(&change).with_context(|| format!("--change {text:?}"))?;
        }
    }
    Ok(draft.finish(&[], created))
}

/// Of `NAME=VALUE`.
pub(crate) fn name_of(variable: &str) -> &str {
    variable.split('=').next().unwrap_or_default()
}

/// Adds `NAME=VALUE`, in place of an earlier one of that name.
pub(crate) fn put(all: &mut Vec<String>, variable: String) {
    all.retain(|known| name_of(known) != name_of(&variable));
    all.push(variable);
}

/// Of a list of `NAME=VALUE`.
pub(crate) fn value_of(env: &[String], name: &str) -> Option<String> {
    let mut values = env.iter().filter_map(|variable| variable.split_once('='));
    values.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

fn exposed(words: &[String]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for word in words {
        let ports = ports::expose(word).context("EXPOSE")?;
        all.extend(ports.iter().map(ToString::to_string));
    }
    Ok(all)
}

/// `Healthcheck` of the configuration; times in nanoseconds.
fn healthcheck(instruction: &Instruction, command: Option<&Command>) -> Result<Value> {
    let test = match command {
        None => json!(["NONE"]),
        Some(Command::Shell(text)) => json!(["CMD-SHELL", text]),
        Some(Command::Exec(words)) => {
            json!(
                std::iter::once("CMD").chain(words.iter().map(String::as_str)).collect::<Vec<_>>()
            )
        }
    };
    let mut check = json!({ "Test": test });
    for (flag, name) in [
        ("interval", "Interval"),
        ("timeout", "Timeout"),
        ("start-period", "StartPeriod"),
        ("start-interval", "StartInterval"),
        ("retries", "Retries"),
    ] {
        let Some(word) = instruction.flag(flag)? else { continue };
        if command.is_none() {
            bail!(at(instruction.place(), format_args!("HEALTHCHECK NONE takes no --{flag}")));
        }
        let value = match flag {
            "retries" => word.text.parse::<u32>().ok().map(|number| json!(number)),
            _ => duration(&word.text)
                .filter(|time| time.is_zero() || time.as_millis() >= 1)
                .and_then(|time| u64::try_from(time.as_nanos()).ok())
                .map(|time| json!(time)),
        };
        let place = instruction.line.place(word.offset);
        let value =
            value.ok_or_else(|| anyhow!(at(place, format_args!("--{flag}={}", word.text)))).hint(
                "times are such as 30s and 1m30s, one millisecond at least; --retries is a number",
            )?;
        if let Value::Object(check) = &mut check {
            check.insert(name.to_owned(), value);
        }
    }
    Ok(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(raw: &Value, lines: &str) -> Value {
        let mut draft = Draft::of(raw);
        for line in lines.lines() {
            for change in Change::parse(line, &draft.env()).unwrap() {
                draft.apply(&change).unwrap();
            }
        }
        draft.finish(&[], "2026-01-01T00:00:00Z")
    }

    fn config(raw: &Value, lines: &str) -> Value {
        changed(raw, lines)["config"].clone()
    }

    #[test]
    fn each_instruction_changes_its_field() {
        let lines = "ENV A=1 B=\"$A 2\"\nENV C=${A}3\nLABEL k=v \"a b\"=c\nEXPOSE 80 53/udp 90-91\nVOLUME /a /b\n\
                     USER me:us\nWORKDIR /x\nWORKDIR y/../z\nSTOPSIGNAL SIGINT\nSHELL [\"/bin/bash\",\"-c\"]\n\
                     CMD echo $A\nENTRYPOINT [\"/e\"]\nONBUILD RUN a\nHEALTHCHECK --interval=1m30s --retries=3 CMD test";
        let expected = json!({
            "Env": ["A=1", "B= 2", "C=13"],
            "Labels": { "k": "v", "a b": "c" },
            "ExposedPorts": { "80/tcp": {}, "53/udp": {}, "90/tcp": {}, "91/tcp": {} },
            "Volumes": { "/a": {}, "/b": {} },
            "User": "me:us",
            "WorkingDir": "/x/z",
            "StopSignal": "SIGINT",
            "Shell": ["/bin/bash", "-c"],
            "Cmd": ["/bin/bash", "-c", "echo $A"],
            "Entrypoint": ["/e"],
            "OnBuild": ["RUN a"],
            "Healthcheck": { "Test": ["CMD-SHELL", "test"], "Interval": 90_000_000_000_u64, "Retries": 3 },
        });
        assert_eq!(config(&json!({}), lines), expected);
        assert_eq!(changed(&json!({}), "MAINTAINER me <m@e>")["author"], "me <m@e>");
    }

    #[test]
    fn entry_point_of_ones_own_makes_an_inherited_command_void() {
        let below = json!({ "config": { "Cmd": ["sh"], "Env": ["A=0"], "Healthcheck": { "Test": ["x"] } } });
        assert_eq!(config(&below, "ENTRYPOINT e")["Cmd"], Value::Null);
        assert_eq!(config(&below, "CMD [\"c\"]\nENTRYPOINT e")["Cmd"], json!(["c"]));
        assert_eq!(config(&below, "HEALTHCHECK NONE")["Healthcheck"], json!({ "Test": ["NONE"] }));
        assert_eq!(config(&below, "ENV A=${A}1")["Env"], json!(["A=01"]));
        assert_eq!(config(&below, "CMD []")["Cmd"], json!([]));
    }

    #[test]
    fn what_changes_files_is_no_change_of_the_configuration() {
        let err = Change::parse("RUN x", &[]).unwrap_err();
        assert_eq!(crate::error::chain(&err), "--change \"RUN x\": RUN changes files");
        for wrong in [
            "EXPOSE x",
            "STOPSIGNAL NO",
            "HEALTHCHECK --interval=1 CMD a",
            "HEALTHCHECK --retries=1 NONE",
        ] {
            assert!(Change::parse(wrong, &[]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn triggers_are_taken_once() {
        let mut draft =
            Draft::of(&json!({ "config": { "OnBuild": ["RUN a", "RUN b"] }, "created": "x" }));
        assert_eq!(draft.take_triggers(), ["RUN a", "RUN b"]);
        assert_eq!(
            draft.finish(&[], "now"),
            json!({ "config": {}, "created": "now", "history": [],
            "rootfs": { "type": "layers", "diff_ids": [] } })
        );
    }
}
