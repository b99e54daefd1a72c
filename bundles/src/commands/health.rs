//! `healthcheck run`: asks a container now. Its monitor does it, as it does by itself.

use crate::attach;
use crate::cli::health::{Command, Run};
use crate::container::{self, Container};
use crate::error::OrHint as _;
use crate::health::{Answer, Health};
use crate::home::Home;
use crate::monitor::wire::{self, Message};
use crate::screen::Screen;
use anyhow::{Context as _, Result, anyhow, ensure};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

/// For the monitor, beside the time of the check.
const MARGIN: Duration = Duration::from_secs(10);

/// The exit code is 1 when the check fails.
pub(crate) fn healthcheck(home: &Home, command: &Command, screen: &mut Screen<'_>) -> Result<u8> {
    let Command::Run(Run { container: name }) = command;
    let mut container = Container::find(home, name)?;
    let check = container.record.health.as_ref();
    let check = check
        .with_context(|| format!("{name}: has no health check"))
        .hint("make it with --health-cmd, or from an image that has one")?;
    // One that runs already is waited for.
    let limit = check.timeout * 2 + MARGIN;
    ensure!(container.record.is_running(), "{name}: does not run");
    ensure!(!container.record.is_paused(), "{name}: is paused");
    attach::adopt(home, &mut container)?;
    let (dir, asked) = (container.dir.clone(), container::now());
    let monitor = attach::knock(&container).context("connect to the monitor")?;
    wire::send(monitor.as_fd(), &Message::Check.encode())?;
    container
        .wait_until(Some(limit), |record| !record.is_running() || answer(&dir, &asked).is_some())?;
    let answer = answer(&dir, &asked).ok_or_else(|| anyhow!("{name}: was not asked"))?;
    if answer.exit_code == 0 {
        return Ok(0);
    }
    screen.say(&format!("{}\n", Health::read(&dir).status.word()))?;
    Ok(1)
}

/// To the first check since that time.
fn answer(dir: &Path, asked: &str) -> Option<Answer> {
    Health::read(dir).log.into_iter().find(|answer| answer.start.as_str() >= asked)
}
