//! Reads and parses config.json and process.json.
//!
//! Runs in: parent. The only file beside `plan` which names oci-spec's types.

mod dialect;
mod field;

use crate::plan;
use crate::sys::fd::read_file;
use anyhow::{Context as _, Result};
use dialect::Root;
use oci_spec::runtime::{
    Linux, LinuxNamespace, LinuxNamespaceType, LinuxResources, Mount, Process, Spec,
};
use serde::de::DeserializeOwned;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// A parsed config and its bytes, which are kept for `exec`.
pub(crate) struct Config {
    pub(crate) spec: Spec,
    pub(crate) bytes: Vec<u8>,
}

impl Config {
    pub(crate) fn has_user_namespace(&self) -> bool {
        let linux = self.spec.linux().as_ref();
        let namespaces = linux.and_then(|linux| linux.namespaces().as_deref());
        let is_user = |namespace: &LinuxNamespace| namespace.typ() == LinuxNamespaceType::User;
        namespaces.unwrap_or_default().iter().any(is_user)
    }
}

/// The bundle's directory, absolute. Links are left in it: engines compare the path with theirs.
pub(crate) fn bundle(path: Option<&Path>) -> Result<PathBuf> {
    let path = path.unwrap_or(Path::new("."));
    std::path::absolute(path)
        .map_err(|err| io(&err))
        .with_context(|| format!("bundle {}", path.display()))
}

/// `config` is relative to the bundle (`--config`).
pub(crate) fn load(bundle: &Path, config: Option<&Path>) -> Result<Config> {
    let path = bundle.join(config.unwrap_or(Path::new("config.json")));
    let parsed = parse_dialect(read_file(&path)?, Root::Config);
    let (spec, bytes) = parsed.with_context(|| path.display().to_string())?;
    Ok(Config { spec, bytes })
}

/// The config that a container was created with.
pub(crate) struct Saved(Spec);

impl Saved {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        parse(bytes).map(Self).context("the container's saved config")
    }

    /// What its annotations ask for.
    pub(crate) fn extensions(&self) -> Result<plan::Extensions> {
        plan::Extensions::new(&plan::annotations(&self.0))
    }

    pub(crate) fn process(&self) -> Result<plan::Process> {
        let process = self.0.process().as_ref().context("process: missing")?;
        plan::Process::new(process, "process")
    }

    pub(crate) fn hooks(&self) -> Result<plan::Hooks> {
        plan::Hooks::new(self.0.hooks().as_ref(), &self.extensions()?)
    }

    pub(crate) fn filter(
        &self,
        extensions: &plan::Extensions,
    ) -> Result<Option<plan::seccomp::Filter>> {
        let filter = self.linux().and_then(|linux| linux.seccomp().as_ref());
        plan::filter(filter, extensions, &mut Vec::new())
    }

    pub(crate) fn personality(&self) -> Result<Option<u32>> {
        plan::personality(self.linux().and_then(|linux| linux.personality().as_ref()))
    }

    pub(crate) fn memory_policy(&self) -> Result<Option<plan::MemoryPolicy>> {
        plan::MemoryPolicy::new(self.linux().and_then(|linux| linux.memory_policy().as_ref()))
    }

    /// Mounts for the container that was created with this config.
    pub(crate) fn added(
        &self,
        mounts: &[Mount],
        inside: &plan::live::Inside<'_>,
    ) -> Result<plan::live::Added> {
        plan::live::Added::new(mounts, self.linux().context("linux: missing")?, inside)
    }

    pub(crate) fn removed(&self, mounts: &[Mount]) -> Result<plan::live::Removed> {
        plan::live::Removed::new(mounts, self.linux().context("linux: missing")?)
    }

    fn linux(&self) -> Option<&Linux> {
        self.0.linux().as_ref()
    }

    /// The limits after a change of them, and the config that the next change builds upon.
    pub(crate) fn change_resources(
        mut self,
        change: &LinuxResources,
    ) -> Result<(plan::cgroup::Limits, Vec<u8>)> {
        let mut linux = self.0.linux().clone().context("linux: missing")?;
        let mut resources = linux.resources().clone().unwrap_or_default();
        plan::cgroup::merge(&mut resources, change)?;
        let mut limits = plan::cgroup::limits(&resources, plan::zero_pids(self.0.version()))?;
        if change.devices().is_none() {
            limits.devices = None; // the filter stays as it is
        }
        linux.set_resources(Some(resources));
        self.0.set_linux(Some(linux));
        Ok((limits, serde_json::to_vec(&self.0)?))
    }
}

pub(crate) fn load_process(path: &Path) -> Result<plan::Process> {
    let process = parse_dialect::<Process>(read_file(path)?, Root::Process);
    let (process, _) = process.with_context(|| path.display().to_string())?;
    plan::Process::new(&process, "process")
}

/// Parses, and where that fails once more in oci-spec's words.
fn parse_dialect<T: DeserializeOwned>(bytes: Vec<u8>, root: Root) -> Result<(T, Vec<u8>)> {
    match parse(&bytes) {
        Ok(parsed) => Ok((parsed, bytes)),
        Err(err) => match dialect::translate(&bytes, root) {
            Some(translated) => Ok((parse(&translated).map_err(without_place)?, translated)),
            None => Err(err),
        },
    }
}

/// New limits for a container: a file (`-` is standard input) and what flags say on top of it.
/// `None`: there is nothing to change.
pub(crate) fn load_resources(
    path: Option<&Path>,
    flags: serde_json::Value,
) -> Result<Option<LinuxResources>> {
    let mut resources = match path {
        Some(path) => resources_file(path)?,
        None => LinuxResources::default(),
    };
    plan::cgroup::merge(&mut resources, &serde_json::from_str(&flags.to_string())?)?;
    Ok((path.is_some() || resources != LinuxResources::default()).then_some(resources))
}

fn resources_file(path: &Path) -> Result<LinuxResources> {
    let (bytes, name) = file_or_input(path)?;
    parse(&bytes).context(name)
}

/// A file's bytes and name; `-` is standard input.
fn file_or_input(path: &Path) -> Result<(Vec<u8>, String)> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("standard input")?;
        return Ok((bytes, "standard input".into()));
    }
    Ok((read_file(path)?, path.display().to_string()))
}

/// The list of `mounts` of a config, alone or in the config itself.
pub(crate) fn load_mounts(path: &Path) -> Result<Vec<Mount>> {
    let (bytes, name) = file_or_input(path)?;
    if bytes.trim_ascii_start().starts_with(b"{") {
        let (spec, _) = parse_dialect::<Spec>(bytes, Root::Config).context(name)?;
        return Ok(spec.mounts().clone().unwrap_or_default());
    }
    parse(&bytes).context(name)
}

/// Line and column of a text that nobody has written.
fn without_place(err: anyhow::Error) -> anyhow::Error {
    let text = crate::error::chain(&err);
    anyhow::anyhow!("{}", text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text))
}

/// `serde_json`'s errors end with "at line 3 column 5"; the field is put before.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let text = std::str::from_utf8(bytes).context("not UTF-8 text")?;
    serde_json::from_str(text).map_err(|err| {
        let field = if err.is_data() { field::of(&err, text) } else { None };
        match field {
            Some(field) => anyhow::Error::from(err).context(field),
            None => err.into(),
        }
    })
}

/// An I/O error in the words that every other error uses.
pub(crate) fn io(err: &std::io::Error) -> anyhow::Error {
    match err.raw_os_error().map(nix::errno::Errno::from_raw) {
        Some(errno) => anyhow::anyhow!("{} ({errno:?})", crate::sys::reason(errno)),
        None => anyhow::anyhow!("{err}"),
    }
}
