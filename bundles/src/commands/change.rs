//! `pause`, `unpause` and `rename`.

use super::for_each;
use crate::cli::existing::{Pause, Rename, Unpause};
use crate::container::{self, Container};
use crate::error::OrHint as _;
use crate::events::{self, Event};
use crate::home::Home;
use crate::rootless;
use crate::runtime::Runtime;
use crate::screen::Screen;
use anyhow::{Result, ensure};

pub(crate) fn pause(home: &Home, args: &Pause, screen: &mut Screen<'_>) -> Result<()> {
    for_each(&args.of.containers, screen, |name| freeze(home, name, true))
}

pub(crate) fn unpause(home: &Home, args: &Unpause, screen: &mut Screen<'_>) -> Result<()> {
    for_each(&args.of.containers, screen, |name| freeze(home, name, false))
}

fn freeze(home: &Home, name: &str, wanted: bool) -> Result<String> {
    let mut container = Container::find(home, name)?;
    let _lock = container.lock()?;
    ensure!(container.record.is_running(), "{name}: does not run");
    let is = container.record.is_paused();
    ensure!(!(is && wanted), "{name}: is paused already");
    ensure!(is || wanted, "{name}: is not paused");
    let runtime = Runtime::of(&container)?;
    let id = &container.record.id;
    if wanted {
        let paused = runtime.pause(id);
        if rootless::ids()?.is_some() { paused.hint(rootless::DELEGATE) } else { paused }?;
    } else {
        runtime.resume(id)?;
    }
    let action = if wanted { "pause" } else { "unpause" };
    events::note(home, Event::container(&container.record, action));
    Ok(name.to_owned())
}

pub(crate) fn rename(home: &Home, args: &Rename) -> Result<()> {
    container::rename(home, &mut Container::find(home, &args.container)?, &args.name)
}
