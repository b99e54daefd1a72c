//! The commands about containers.
//!
//! Runs in: an ordinary process of the user.

mod create;
mod end;
mod exec;
mod logs;
mod look;

pub(crate) use create::{create, run, start};
pub(crate) use end::{kill, rm, stop, wait};
pub(crate) use exec::exec;
pub(crate) use logs::logs;
pub(crate) use look::{inspect, ps};

use crate::error;
use anyhow::{Context as _, Result};
use std::io::Write as _;

/// Exit code of a command that failed for some of what it was told.
const SOME_FAILED: u8 = 1;

/// Does the same for each; a failure of one does not keep the others from it.
fn for_each(names: &[String], mut act: impl FnMut(&str) -> Result<Option<String>>) -> Result<u8> {
    let mut code = 0;
    for name in names {
        match act(name) {
            Ok(Some(line)) => say(&format!("{line}\n"))?,
            Ok(None) => {}
            Err(err) => {
                error::report(&err);
                code = SOME_FAILED;
            }
        }
    }
    Ok(code)
}

fn say(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("standard output")
}
