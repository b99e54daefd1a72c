//! The commands about containers.
//!
//! Runs in: an ordinary process of the user.

mod bundle;
mod change;
mod commit;
mod cp;
mod create;
mod devices;
mod diff;
mod end;
mod exec;
mod export;
pub(crate) mod facts;
mod health;
mod inspect;
mod logs;
mod mounts;
mod notes;
mod podman;
pub(crate) mod prune;
mod ps;
mod reach;
mod relay;
mod shape;
mod start;
mod stats;
mod update;

pub(crate) use bundle::bundle;
pub(crate) use change::{pause, rename, unpause};
pub(crate) use commit::{commit, new_name};
pub(crate) use cp::cp;
pub(crate) use create::{create, find_image, run};
pub(crate) use diff::diff;
pub(crate) use end::{kill, rm, stop, wait};
pub(crate) use exec::exec;
pub(crate) use export::export;
pub(crate) use health::healthcheck;
pub(crate) use inspect::{exists, inspect};
pub(crate) use logs::{logs, moment};
pub(crate) use ps::ps;
pub(crate) use start::{attach, restart, start};
pub(crate) use stats::{stats, top, total_memory};
pub(crate) use update::update;

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
