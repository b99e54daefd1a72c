//! `stop`, `kill`, `rm` and `wait`.

use super::for_each;
use crate::cli::run::{Kill, Rm, Stop, Wait};
use crate::container::{Container, Record, Status};
use crate::error::OrHint as _;
use crate::home::Home;
use crate::networking;
use crate::runtime::Runtime;
use crate::screen::Screen;
use crate::spec::values;
use crate::volume;
use anyhow::{Result, anyhow, ensure};
use std::time::Duration;

const SIGKILL: i32 = 9;
/// How long the kernel may take to end a container that was killed.
const DYING: Duration = Duration::from_secs(10);

fn has_ended(record: &Record) -> bool {
    matches!(record.status(), Status::Exited | Status::Created)
}

fn runtime(home: &Home, container: &Container) -> Result<Runtime> {
    Runtime::new(home, &container.record.runtime, &container.dir)
}

pub(crate) fn stop(home: &Home, args: &Stop, screen: &mut Screen<'_>) -> Result<()> {
    for_each(&args.of.containers, screen, |name| {
        let mut container = Container::find(home, name)?;
        if container.record.is_running() {
            let limit = Duration::from_secs(args.time.unwrap_or(container.record.stop_timeout));
            let number = container.record.stop_signal;
            signal(home, &mut container, number)?;
            if !container.wait_until(Some(limit), has_ended)? {
                end(home, &mut container)?;
            }
        }
        Ok(name.to_owned())
    })
}

/// One that has ended meanwhile is no error.
fn signal(home: &Home, container: &mut Container, number: i32) -> Result<()> {
    match runtime(home, container)?.kill(&container.record.id, number) {
        Err(err) if container.refresh()? && container.record.is_running() => Err(err),
        _ => Ok(()),
    }
}

fn end(home: &Home, container: &mut Container) -> Result<()> {
    signal(home, container, SIGKILL)?;
    ensure!(
        container.wait_until(Some(DYING), has_ended)?,
        "{}: does not end, even though it was killed",
        container.record.name
    );
    Ok(())
}

pub(crate) fn kill(home: &Home, args: &Kill, screen: &mut Screen<'_>) -> Result<()> {
    let number = values::signal(&args.signal)?;
    for_each(&args.of.containers, screen, |name| {
        let container = Container::find(home, name)?;
        ensure!(container.record.is_running(), "{name}: does not run");
        runtime(home, &container)?.kill(&container.record.id, number)?;
        Ok(name.to_owned())
    })
}

pub(crate) fn rm(home: &Home, args: &Rm, screen: &mut Screen<'_>) -> Result<()> {
    for_each(&args.of.containers, screen, |name| {
        let mut container = Container::find(home, name)?;
        if container.record.is_running() {
            if !args.force {
                return Err(anyhow!("{name}: runs"))
                    .hint(format!("stop it first, or: bundles rm -f {name}"));
            }
            end(home, &mut container)?;
        }
        remove(home, &mut container)?;
        if args.volumes {
            volume::release(home, &container.record.anonymous_volumes())?;
        }
        Ok(name.to_owned())
    })
}

pub(super) fn remove(home: &Home, container: &mut Container) -> Result<()> {
    if !container.dir.exists() {
        return Ok(()); // its monitor was told to remove it
    }
    let lock = container.lock()?;
    ensure!(
        !container.record.is_running(),
        "{}: was started again meanwhile",
        container.record.name
    );
    if container.record.state.status != Status::Created {
        // Its monitor has done so, unless it was killed.
        runtime(home, container)?.delete(&container.record.id).ok();
        networking::leave(home, &container.record.id)?;
    }
    container.remove(home, &lock)
}

pub(crate) fn wait(home: &Home, args: &Wait, screen: &mut Screen<'_>) -> Result<()> {
    for_each(&args.of.containers, screen, |name| {
        let mut container = Container::find(home, name)?;
        container.wait_until(None, |record| record.status() == Status::Exited)?;
        Ok(container.record.exit_code().to_string())
    })
}
