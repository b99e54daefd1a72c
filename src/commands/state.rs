//! `rt state`

use super::Host;
use crate::container::{Dir, Lock};
use crate::log::stdout;
use anyhow::Result;

pub(crate) fn run(host: &Host, id: &str) -> Result<()> {
    let dir = Dir::existing(&host.root, id, Lock::None)?;
    let state = dir.state()?;
    let report = state.report(dir.status(&state)?);
    stdout(&(serde_json::to_string_pretty(&report)? + "\n"))
}
