//! Namespaces of other containers: `--pid container:NAME`, and the same of --ipc and --network.
//!
//! Runs in: the monitor, before it makes the container. The other one may have been started anew
//! since, so its process is looked up each time.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use crate::container::{Container, Record};
use crate::error::OrHint as _;
use crate::home::{self, Home};
use crate::process::Process;
use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Writes the paths of the namespaces into `config.json` in the current directory.
pub(crate) fn prepare(home: &Home, record: &Record) -> Result<()> {
    if record.joins.is_empty() {
        return Ok(());
    }
    let file = Path::new("config.json");
    let mut spec: Value = serde_json::from_slice(&fs::read(file)?).context("config.json")?;
    let namespaces =
        spec["linux"]["namespaces"].as_array_mut().context("config.json: namespaces")?;
    for (kind, id) in &record.joins {
        let other = Container::find(home, id).with_context(|| format!("--{kind} container"))?;
        let process = other.record.state.process.filter(Process::is_alive);
        let name = &other.record.name;
        let process = process
            .ok_or_else(|| anyhow!("--{kind} container:{name}: it does not run"))
            .hint(format!("start it first: bundles start {name}"))?;
        let file = if kind == "network" { "net" } else { kind.as_str() };
        let path = format!("/proc/{}/ns/{file}", process.pid);
        for namespace in namespaces.iter_mut().filter(|one| one["type"] == kind.as_str()) {
            namespace["path"] = path.as_str().into();
        }
    }
    home::replace(file, &serde_json::to_vec_pretty(&spec)?)
}
