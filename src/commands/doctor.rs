//! `rt doctor`: what this host can do for containers.

use crate::cli::{Doctor, PlanFormat};
use crate::doctor;
use crate::log::stdout;
use anyhow::Result;
use std::io::IsTerminal as _;

/// The exit code: 0, or 1 where something is missing that every container needs.
pub(crate) fn run(args: &Doctor) -> Result<u8> {
    let report = doctor::examine();
    let text = match args.format {
        PlanFormat::Json => serde_json::to_string_pretty(&doctor::json(&report))? + "\n",
        PlanFormat::Text => doctor::table(&report, colour()),
    };
    stdout(&text)?;
    Ok(u8::from(!report.lacks().is_empty()))
}

/// no-color.org: any value but an empty one says no.
fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}
