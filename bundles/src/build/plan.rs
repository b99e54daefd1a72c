//! A Dockerfile as stages: what each is made from, and which of them the wanted one needs.
//!
//! Runs in: pure.

use super::change::{Words, put, value_of};
use super::lines::{self, Lines};
use super::parse::{Flag, Instruction, What};
use super::place::at;
use super::run::mounts;
use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow, ensure};
use std::collections::BTreeSet;

/// Set for every build, and known in `FROM` without an `ARG`.
const PLATFORM: [&str; 8] = [
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
];

/// What a stage begins with, or files are copied from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    Scratch,
    /// By its number.
    Stage(usize),
    /// By its name in the file.
    Image(String),
}

#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) name: Option<String>,
    pub(crate) from: From,
    /// The line of FROM.
    pub(crate) head: Instruction,
    pub(crate) instructions: Vec<Instruction>,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) stages: Vec<Stage>,
    pub(crate) escape: char,
    /// `NAME=VALUE` of the arguments before the first FROM.
    pub(crate) globals: Vec<String>,
    /// Their names, also of those without a value.
    pub(crate) global_names: Vec<String>,
}

impl Plan {
    /// `arguments` are those of the command line, `NAME=VALUE`; `platform` is that of the image.
    pub(crate) fn of(text: &str, arguments: &[String], platform: &[String]) -> Result<Self> {
        let Lines { lines, escape } = lines::split(text)?;
        let mut plan =
            Self { stages: Vec::new(), escape, globals: Vec::new(), global_names: Vec::new() };
        for line in &lines {
            let instruction = Instruction::parse(line, escape)?;
            match (&instruction.what, plan.stages.last_mut()) {
                (What::From { .. }, _) => plan.stage(instruction, platform)?,
                (_, Some(stage)) => stage.instructions.push(instruction),
                (What::Arg(_), None) => plan.global(&instruction, arguments, platform)?,
                (_, None) => {
                    return Err(anyhow!(at(instruction.place(), "no FROM before it")))
                        .hint("a Dockerfile begins with FROM IMAGE, or FROM scratch");
                }
            }
        }
        if plan.stages.is_empty() {
            return Err(anyhow!("no FROM in it"))
                .hint("a Dockerfile begins with FROM IMAGE, or FROM scratch");
        }
        Ok(plan)
    }

    fn global(
        &mut self,
        instruction: &Instruction,
        given: &[String],
        platform: &[String],
    ) -> Result<()> {
        let What::Arg(arguments) = &instruction.what else { return Ok(()) };
        for (name, value) in arguments {
            self.global_names.push(name.text.clone());
            let known = self.globals.clone();
            let lookup = |name: &str| value_of(&known, name).or_else(|| value_of(platform, name));
            let words = Words { instruction, escape: self.escape, lookup: &lookup };
            let usual = value.as_ref().map(|word| words.one(word)).transpose()?;
            let value = value_of(given, &name.text).or(usual);
            if let Some(value) = value.or_else(|| value_of(platform, &name.text)) {
                put(&mut self.globals, format!("{}={value}", name.text));
            }
        }
        Ok(())
    }

    fn stage(&mut self, head: Instruction, platform: &[String]) -> Result<()> {
        let What::From { image, name } = &head.what else { return Ok(()) };
        let lookup =
            |name: &str| value_of(&self.globals, name).or_else(|| value_of(platform, name));
        let words = Words { instruction: &head, escape: self.escape, lookup: &lookup };
        let base = words.one(image)?;
        if base.is_empty() {
            let place = head.line.place(image.offset);
            return Err(anyhow!(at(
                place,
                format_args!("FROM {}: its value is empty", image.text)
            )))
            .hint("give ARG a value before FROM, or --build-arg NAME=VALUE");
        }
        if let Some(wanted) = words.flag("platform")?.filter(|wanted| !wanted.is_empty()) {
            let own = value_of(platform, "TARGETPLATFORM").unwrap_or_default();
            if !fits(&wanted, &own) {
                return Err(anyhow!(at(
                    head.place(),
                    format_args!("--platform={wanted}: this machine is {own}")
                )))
                .hint("leave it away, or build on a machine of that kind");
            }
        }
        if let Some(name) = name {
            let same = self.stages.iter().any(|stage| stage.name.as_ref() == Some(name));
            ensure!(!same, at(head.place(), format_args!("a second stage {name}")));
        }
        let from = if base == "scratch" { From::Scratch } else { self.named(&base, false) };
        let name = name.clone();
        self.stages.push(Stage { name, from, head, instructions: Vec::new() });
        Ok(())
    }

    /// An earlier stage by its name, or where that is possible by its number; otherwise an image.
    fn named(&self, text: &str, by_number: bool) -> From {
        let wanted = text.to_ascii_lowercase();
        let named = self.stages.iter().position(|stage| stage.name.as_ref() == Some(&wanted));
        let number =
            || text.parse().ok().filter(|_| by_number).filter(|at| *at < self.stages.len());
        named.or_else(number).map_or_else(|| From::Image(text.to_owned()), From::Stage)
    }

    /// Where `--from` of an instruction in a stage leads to.
    pub(crate) fn source(
        &self,
        stage: usize,
        instruction: &Instruction,
        text: &str,
    ) -> Result<From> {
        match self.named(text, true) {
            From::Stage(other) if other >= stage => Err(anyhow!(at(
                instruction.place(),
                format_args!("--from={text}: that stage does not come before this one")
            ))),
            from @ (From::Scratch | From::Stage(_) | From::Image(_)) => Ok(from),
        }
    }

    /// The stage to be built: the last one, or that of `--target`.
    pub(crate) fn target(&self, wanted: Option<&str>) -> Result<usize> {
        let Some(wanted) = wanted else { return Ok(self.stages.len() - 1) };
        match self.named(wanted, true) {
            From::Stage(target) => Ok(target),
            From::Scratch | From::Image(_) => {
                let names: Vec<&str> =
                    self.stages.iter().filter_map(|stage| stage.name.as_deref()).collect();
                Err(anyhow!("--target {wanted}: no such stage"))
                    .hint(format!("the stages with names are: {}", names.join(" ")))
            }
        }
    }

    /// What an instruction takes files from, but for the context.
    pub(crate) fn sources(&self, stage: usize, instruction: &Instruction) -> Result<Vec<From>> {
        let mut all = Vec::new();
        if let (What::Copy(_), Some(word)) = (&instruction.what, instruction.flag("from")?) {
            all.push(self.source(stage, instruction, &word.text)?);
        }
        let mounted =
            |flag: &&Flag| flag.name == "mount" && matches!(instruction.what, What::Run(_));
        for flag in instruction.flags.iter().filter(mounted) {
            let text = flag.value.as_ref().map(|word| word.text.as_str()).unwrap_or_default();
            if let Some(from) = mounts::from(text) {
                all.push(self.source(stage, instruction, &from)?);
            }
        }
        Ok(all)
    }

    /// All stages that one needs, itself included.
    pub(crate) fn needed(&self, target: usize) -> Result<BTreeSet<usize>> {
        let mut needed = BTreeSet::new();
        let mut todo = vec![target];
        while let Some(number) = todo.pop() {
            if !needed.insert(number) {
                continue;
            }
            let stage =
                self.stages.get(number).context("internal error, please report: no stage")?;
            if let From::Stage(other) = stage.from {
                todo.push(other);
            }
            for instruction in &stage.instructions {
                for from in self.sources(number, instruction)? {
                    if let From::Stage(other) = from {
                        todo.push(other);
                    }
                }
            }
        }
        Ok(needed)
    }

    /// The images that these stages begin with or copy from.
    pub(crate) fn images(&self, stages: &BTreeSet<usize>) -> Result<BTreeSet<String>> {
        let mut images = BTreeSet::new();
        for (number, stage) in self.stages.iter().enumerate().filter(|(at, _)| stages.contains(at))
        {
            let mut all = vec![stage.from.clone()];
            for instruction in &stage.instructions {
                all.extend(self.sources(number, instruction)?);
            }
            images.extend(all.into_iter().filter_map(|from| match from {
                From::Image(name) => Some(name),
                From::Scratch | From::Stage(_) => None,
            }));
        }
        Ok(images)
    }

    /// The triggers that a stage leaves to those which begin with it.
    pub(crate) fn triggers(&self, stage: usize) -> Vec<String> {
        let instructions = self.stages.get(stage).into_iter().flat_map(|stage| &stage.instructions);
        let trigger = |instruction: &Instruction| {
            let What::OnBuild(trigger) = &instruction.what else { return None };
            Some(trigger.clone())
        };
        instructions.filter_map(trigger).collect()
    }

    /// Puts the triggers of the image below before the instructions of a stage.
    pub(crate) fn pull_triggers(&mut self, stage: usize, triggers: &[String]) -> Result<()> {
        let mut all = Vec::new();
        for trigger in triggers {
            let parse = || -> Result<Vec<Instruction>> {
                let Lines { lines, escape } = lines::split(trigger)?;
                lines.iter().map(|line| Instruction::parse(line, escape)).collect()
            };
            all.extend(parse().with_context(|| format!("ONBUILD {trigger}"))?);
        }
        if let Some(stage) = self.stages.get_mut(stage) {
            stage.instructions.splice(0..0, all);
        }
        Ok(())
    }
}

/// Whether a platform that somebody wants, perhaps without its variant, is that of this machine.
pub(crate) fn fits(wanted: &str, own: &str) -> bool {
    own.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `os/architecture[/variant]` as the arguments that every build has.
pub(crate) fn platform_arguments(os: &str, architecture: &str, variant: &str) -> Vec<String> {
    let platform = [os, architecture, variant].into_iter().filter(|part| !part.is_empty());
    let platform = platform.collect::<Vec<_>>().join("/");
    let values = [platform.as_str(), os, architecture, variant];
    PLATFORM
        .iter()
        .zip(values.iter().cycle())
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Result<Plan> {
        Plan::of(text, &["V=2".to_owned()], &platform_arguments("linux", "amd64", ""))
    }

    #[test]
    fn only_needed_stages_count() {
        let text = "ARG V=1\nARG W=$V-x\nFROM a:$V AS one\nFROM b:$W AS two\nRUN --mount=type=bind,from=one,target=/x y\n\
                    FROM c AS unused\nFROM two\nCOPY --from=0 /x /y\nCOPY --from=img:1 /x /y\n";
        let plan = plan(text).unwrap();
        let target = plan.target(None).unwrap();
        assert_eq!(plan.stages[0].from, From::Image("a:2".into()));
        assert_eq!(plan.stages[3].from, From::Stage(1));
        let needed = plan.needed(target).unwrap();
        assert_eq!(needed, BTreeSet::from([0, 1, 3]));
        let images = ["a:2", "b:2-x", "img:1"].map(str::to_owned);
        assert_eq!(plan.images(&needed).unwrap(), BTreeSet::from(images));
        assert_eq!(plan.target(Some("UNUSED")).unwrap(), 2);
        assert_eq!(plan.target(Some("1")).unwrap(), 1);
        assert!(plan.target(Some("none")).is_err());
    }

    #[test]
    fn platform_is_that_of_the_machine() {
        let from = |line: &str| plan(line).map(|plan| plan.stages[0].from.clone());
        assert_eq!(
            from("FROM --platform=$BUILDPLATFORM x-$TARGETARCH").unwrap(),
            From::Image("x-amd64".into())
        );
        let err = from("FROM --platform=linux/arm64 x").unwrap_err();
        assert_eq!(
            crate::error::chain(&err),
            "line 1, column 1: --platform=linux/arm64: this machine is linux/amd64"
        );
    }

    #[test]
    fn mistakes_are_told() {
        for (text, told) in [
            ("RUN x", "line 1, column 1: no FROM before it"),
            ("ARG A", "no FROM in it"),
            ("ARG A\nFROM $A", "line 2, column 6: FROM $A: its value is empty"),
            ("FROM a AS b\nFROM c AS B", "line 2, column 1: a second stage b"),
            (
                "FROM a AS b\nCOPY --from=b x y",
                "line 2, column 1: --from=b: that stage does not come before this one",
            ),
        ] {
            let needed = plan(text).and_then(|plan| plan.needed(0));
            assert_eq!(crate::error::chain(&needed.unwrap_err()), told, "{text}");
        }
    }

    #[test]
    fn triggers_come_first() {
        let mut plan = plan("FROM a AS b\nONBUILD RUN t\nFROM b\nRUN own").unwrap();
        let triggers = plan.triggers(0);
        plan.pull_triggers(1, &triggers).unwrap();
        let texts: Vec<&str> =
            plan.stages[1].instructions.iter().map(|one| one.line.text.as_str()).collect();
        assert_eq!(texts, ["RUN t", "RUN own"]);
    }
}
