//! `rt events`: statistics and out-of-memory kills, in runc's envelope.

use super::Host;
use crate::cgroup::Cgroup;
use crate::cli::Events;
use crate::container::state::Status;
use crate::container::{Dir, Lock, open_process};
use crate::error::OrHint as _;
use crate::log::stdout;
use crate::sys::Call as _;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

#[derive(Serialize)]
struct Event<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
}

fn print<T: Serialize>(kind: &str, id: &str, data: Option<T>) -> Result<()> {
    stdout(&(serde_json::to_string(&Event { kind, id, data })? + "\n"))
}

pub(crate) fn run(host: &Host, args: &Events) -> Result<()> {
    let interval = humantime::parse_duration(&args.interval)
        .with_context(|| format!("--interval {:?}", args.interval))
        .hint("use for example 5s or 1m")?;
    ensure!(!interval.is_zero(), "--interval: must be more than 0");
    let dir = Dir::existing(&host.root, &args.id, Lock::None)?;
    let state = dir.state()?;
    let status = dir.status(&state)?;
    if matches!(status, Status::Stopped | Status::Creating) {
        bail!("the container is in the {} state: container not running", status.name());
    }
    let cgroup = dir
        .cgroup(&state)?
        .ok_or_else(|| anyhow!("the container has no cgroup of its own"))
        .hint("create it with a cgroup manager, as a user who may make cgroups")?;
    if args.stats {
        return print("stats", &args.id, Some(cgroup.stats()?));
    }
    let init =
        state.init.map(open_process).transpose()?.flatten().context("container not running")?;
    watch(&args.id, &cgroup, init.as_fd(), interval)
}

/// Until the container ends.
fn watch(
    id: &str,
    cgroup: &Cgroup,
    init: std::os::fd::BorrowedFd<'_>,
    interval: Duration,
) -> Result<()> {
    let mut oom = cgroup.watch_oom()?;
    let mut next = Instant::now() + interval;
    loop {
        let mut fds = vec![PollFd::new(init, PollFlags::POLLIN)];
        if let Some(oom) = &oom {
            fds.extend(oom.fds());
        }
        // Rounded up, or the last millisecond would be spent polling.
        let left = next.saturating_duration_since(Instant::now()).as_millis() + 1;
        match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Err(Errno::EINTR) => continue,
            other => other.call(|| "poll()".into())?,
        };
        let ended = fds.first().and_then(PollFd::any).unwrap_or(false);
        drop(fds);
        let mut empty = false;
        if let Some(oom) = &mut oom {
            let news = oom.look()?;
            for _ in 0..news.kills {
                print::<()>("oom", id, None)?;
            }
            empty = news.ended;
        }
        if ended || empty {
            return Ok(());
        }
        if Instant::now() >= next {
            print("stats", id, Some(cgroup.stats()?))?;
            next += interval;
        }
    }
}
