//! The commands about containers.
//!
//! Runs in: an ordinary process of the user.

mod create;
mod devices;
mod end;
mod exec;
mod facts;
mod inspect;
mod logs;
mod mounts;
mod notes;
pub(crate) mod prune;
mod ps;
mod shape;

pub(crate) use create::{create, run, start};
pub(crate) use end::{kill, rm, stop, wait};
pub(crate) use exec::exec;
pub(crate) use inspect::inspect;
pub(crate) use logs::logs;
pub(crate) use ps::ps;

use crate::error;
use crate::screen::Screen;
use anyhow::Result;

/// Does the same for each, and prints what comes of it; a failure of one does not keep the others
/// from it.
fn for_each(
    names: &[String],
    screen: &mut Screen<'_>,
    mut act: impl FnMut(&str) -> Result<String>,
) -> Result<()> {
    let mut failed = Vec::new();
    for name in names {
        match act(name) {
            Ok(line) => screen.say(&format!("{line}\n"))?,
            Err(err) => failed.push(err),
        }
    }
    error::all(failed)
}
