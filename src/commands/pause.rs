//! `rt pause` and `rt resume`

use super::Host;
use crate::cgroup::Cgroup;
use crate::container::state::{State, Status};
use crate::container::{Dir, Lock};
use crate::error::OrHint as _;
use anyhow::{Result, anyhow, bail};

pub(crate) fn pause(host: &Host, id: &str) -> Result<()> {
    let dir = Dir::existing(&host.root, id, Lock::Exclusive)?;
    let state = dir.state()?;
    match dir.status(&state)? {
        Status::Running | Status::Created => cgroup(&dir, &state)?.freeze(),
        status @ (Status::Creating | Status::Paused | Status::Stopped) => {
            bail!("cannot pause a container in the {} state", status.name())
        }
    }
}

pub(crate) fn resume(host: &Host, id: &str) -> Result<()> {
    let dir = Dir::existing(&host.root, id, Lock::Exclusive)?;
    let state = dir.state()?;
    match dir.status(&state)? {
        Status::Paused => cgroup(&dir, &state)?.thaw(),
        // Not all of it stands still: a process of it was killed, or a pause cut off.
        Status::Running | Status::Created if is_freezing(&dir, &state)? => {
            cgroup(&dir, &state)?.thaw()
        }
        status @ (Status::Creating | Status::Created | Status::Running | Status::Stopped) => {
            bail!("cannot resume a container in the {} state", status.name())
        }
    }
}

fn is_freezing(dir: &Dir, state: &State) -> Result<bool> {
    dir.cgroup(state)?.map_or(Ok(false), |cgroup| cgroup.is_freezing())
}

fn cgroup(dir: &Dir, state: &State) -> Result<Cgroup> {
    match dir.cgroup(state)? {
        Some(cgroup) => Ok(cgroup),
        None => Err(anyhow!("the container has no cgroup of its own"))
            .hint("create it with a cgroup manager, as a user who may make cgroups"),
    }
}
