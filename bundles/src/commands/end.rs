//! `stop`, `kill`, `rm` and `wait`.

use super::for_each;
use crate::attach;
use crate::cli::existing::{Condition, Kill, Rm, Stop, Wait};
use crate::container::{Container, Lock, Record, Status};
use crate::error::OrHint as _;
use crate::events::{self, Event};
use crate::health::{self, Health};
use crate::home::Home;
use crate::networking;
use crate::runtime::Runtime;
use crate::screen::Screen;
use crate::spec::values;
use crate::volume;
use anyhow::{Context as _, Result, anyhow, ensure};
use std::path::Path;
use std::time::Duration;

const SIGKILL: i32 = 9;
/// How long the kernel may take to end a container that was killed.
const DYING: Duration = Duration::from_secs(10);

fn has_ended(record: &Record) -> bool {
    matches!(record.status(), Status::Exited | Status::Created)
}

pub(crate) fn stop(home: &Home, args: &Stop, screen: &mut Screen<'_>) -> Result<()> {
    let number = args.signal.as_deref().map(values::signal).transpose()?;
    for_each(&args.of.containers, screen, |name| {
        stop_one(home, &mut Container::find(home, name)?, (args.time, number))?;
        Ok(name.to_owned())
    })
}

/// The time is in seconds; it and the signal are instead of the container's own.
pub(super) fn stop_one(
    home: &Home,
    container: &mut Container,
    (time, number): (Option<u64>, Option<i32>),
) -> Result<()> {
    give_up(container)?;
    if container.record.is_running() {
        // Without a monitor it may be waiting for its output to be read.
        attach::adopt(home, container).ok();
        let limit = Duration::from_secs(time.unwrap_or(container.record.stop_timeout));
        let number = number.unwrap_or(container.record.stop_signal);
        signal(container, number)?;
        note_kill(home, &container.record, number);
        if !container.wait_until(Some(limit), has_ended)? {
            end(home, container)?;
        }
        events::note(home, Event::container(&container.record, "stop"));
    }
    Ok(())
}

fn note_kill(home: &Home, record: &Record, number: i32) {
    let event = Event::container(record, "kill");
    events::note(home, event.with("signal", &number.to_string()));
}

/// Its restart policy is void until it is started again.
fn give_up(container: &mut Container) -> Result<()> {
    let Some(lock) = lock(container)? else { return Ok(()) };
    let rests = container.record.status() == Status::Restarting;
    if container.record.state.stopped && !rests {
        return Ok(());
    }
    container.record.state.stopped = true;
    if rests {
        container.record.state.status = Status::Exited;
    }
    container.save()?;
    drop(lock);
    if rests {
        attach::knock(container).ok(); // or it looks when its time is over
    }
    Ok(())
}

/// `None` when it is gone: its monitor may have been told to remove it.
fn lock(container: &mut Container) -> Result<Option<Lock>> {
    match container.lock() {
        Err(_) if !container.dir.exists() => Ok(None),
        locked => locked.map(Some),
    }
}

/// One that has ended meanwhile is no error.
fn signal(container: &mut Container, number: i32) -> Result<()> {
    let runtime = Runtime::of(container)?;
    let killed = runtime.kill(&container.record.id, number);
    if container.record.is_paused() {
        // A frozen process gets no signal; a killed one may have left by itself.
        let resumed = runtime.resume(&container.record.id);
        resumed.or_else(|err| if container.record.is_paused() { Err(err) } else { Ok(()) })?;
    }
    // Its monitor may not have written down yet that it has ended.
    match killed {
        Err(err) if container.record.has_process() => Err(err),
        _ => Ok(()),
    }
}

fn end(home: &Home, container: &mut Container) -> Result<()> {
    signal(container, SIGKILL)?;
    note_kill(home, &container.record, SIGKILL);
    ensure!(
        container.wait_until(Some(DYING), has_ended)?,
        "{}: does not end, even though it was killed",
        container.record.name
    );
    Ok(())
}

fn end_for_good(home: &Home, container: &mut Container) -> Result<()> {
    give_up(container)?;
    if container.record.is_running() { end(home, container) } else { Ok(()) }
}

pub(crate) fn kill(home: &Home, args: &Kill, screen: &mut Screen<'_>) -> Result<()> {
    let number = values::signal(&args.signal)?;
    for_each(&args.of.containers, screen, |name| {
        let mut container = Container::find(home, name)?;
        let rests = container.record.status() == Status::Restarting;
        ensure!(rests || container.record.is_running(), "{name}: does not run");
        if rests || number == SIGKILL || number == container.record.stop_signal {
            give_up(&mut container)?;
        }
        if !rests {
            Runtime::of(&container)?.kill(&container.record.id, number)?;
            note_kill(home, &container.record, number);
        }
        Ok(name.to_owned())
    })
}

pub(crate) fn rm(home: &Home, args: &Rm, screen: &mut Screen<'_>) -> Result<()> {
    for_each(&args.of.containers, screen, |name| {
        let mut container = Container::find(home, name)?;
        loop {
            if !has_ended(&container.record) {
                if !args.force {
                    return Err(anyhow!("{name}: runs"))
                        .hint(format!("stop it first, or: bundles rm -f {name}"));
                }
                end_for_good(home, &mut container)?;
            }
            match remove(home, &mut container) {
                // Somebody was about to start it.
                Err(_) if args.force && !has_ended(&container.record) => {}
                removed => break removed.with_context(|| format!("remove {name}"))?,
            }
        }
        if args.volumes {
            volume::release(home, &container.record.anonymous_volumes())?;
        }
        Ok(name.to_owned())
    })
}

/// After a start whose monitor was killed. When the runtime may still be creating the container it is
/// left to `prune`: it cannot be waited for.
pub(super) fn discard(home: &Home, container: &mut Container) -> Result<()> {
    if container.refresh()? && container.record.state.process.is_some() {
        end_for_good(home, container)?;
        remove(home, container)?;
    }
    Ok(())
}

pub(super) fn remove(home: &Home, container: &mut Container) -> Result<()> {
    let Some(lock) = lock(container)? else { return Ok(()) };
    ensure!(has_ended(&container.record), "was started again meanwhile");
    let runtime = Runtime::of(container)?;
    if runtime.has(&container.record.id) {
        runtime.delete(&container.record.id)?; // its monitor was killed, or could not
    }
    networking::leave(home, &container.record.id)?;
    container.remove(home, &lock)
}

pub(crate) fn wait(home: &Home, args: &Wait, screen: &mut Screen<'_>) -> Result<()> {
    for_each(&args.of.containers, screen, |name| {
        let mut container = Container::find(home, name)?;
        if attach::adopt(home, &mut container).is_err() {
            container.refresh()?; // it is waited for all the same
        }
        let dir = container.dir.clone();
        let holds = |condition: Condition, record: &Record| holds(condition, record, &dir);
        container.wait_until(None, |record| match args.condition.as_slice() {
            [] => record.status() == Status::Exited,
            wanted => wanted.iter().any(|condition| holds(*condition, record)),
        })?;
        Ok(match container.record.status() {
            Status::Exited => container.record.exit_code().to_string(),
            Status::Created | Status::Starting | Status::Running | Status::Restarting => {
                "-1".to_owned() // so Podman has it
            }
        })
    })
}

/// One that is gone is waited for no longer, whatever the condition.
fn holds(condition: Condition, record: &Record, dir: &Path) -> bool {
    let health = || record.health.as_ref().map(|_| Health::read(dir).status);
    match condition {
        Condition::Created => record.status() == Status::Created,
        Condition::Running => record.is_running(),
        Condition::Paused => record.is_paused(),
        Condition::Exited => has_ended(record),
        Condition::Removed => false,
        Condition::Healthy => record.is_running() && health() == Some(health::Status::Healthy),
        Condition::Unhealthy => record.is_running() && health() == Some(health::Status::Unhealthy),
    }
}
