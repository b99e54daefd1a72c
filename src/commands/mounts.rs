//! `rt mounts`

use super::Host;
use super::exec;
use crate::cli::{Mounts, MountsAction};
use crate::config::{self, Saved};
use crate::container::state::Status;
use crate::container::{Dir, Lock, open_process};
use crate::error::OrHint as _;
use crate::join::Inside;
use crate::launch;
use crate::live::{Change, Fds, Plan};
use crate::plan::live;
use anyhow::{Context as _, Result, anyhow, bail, ensure};

pub(crate) fn run(host: &Host, args: &Mounts) -> Result<()> {
    let mounts = config::load_mounts(&args.file)?;
    ensure!(!mounts.is_empty(), "{}: no mounts in it", args.file.display());
    // No lock: a lookup waits as long as a file system of the container lets it, and that must not
    // keep others from `delete`.
    let dir = Dir::existing(&host.root, &args.id, Lock::None)?;
    let state = dir.state()?;
    check_status(dir.status(&state)?, &args.id)?;
    let init = state.init.context("the container has no process")?;
    let pidfd = open_process(init)?.context("container not running")?;
    let inside = Inside::of(&state)?;
    live::check_namespace(&inside.namespaces)?;
    let saved = Saved::read(&dir.saved_config()?)?;
    let change = match args.action {
        MountsAction::Remove => Change::Remove(saved.removed(&mounts)?),
        MountsAction::Add => {
            let surroundings = live::Inside {
                bundle: &state.bundle,
                uid_maps: &inside.uid_maps,
                gid_maps: &inside.gid_maps,
                own_cgroup: state.cgroup.is_some(),
                cgroup_v1: !state.cgroup_v1.is_empty(),
            };
            let added = saved.added(&mounts, &surroundings)?;
            added.warnings.iter().for_each(|warning| host.log.warning(warning));
            Change::Add(added)
        }
    };
    let cgroup = exec::cgroup(&dir, &state, init.pid, &[])?;
    let plan = Plan { change, inside };
    let fds = Fds::open(&plan, pidfd, init.pid, cgroup.as_ref())?;
    launch::mounter(&plan, fds, cgroup.as_ref())
}

/// In the frozen cgroup of a paused container the mounter would freeze, too.
fn check_status(status: Status, id: &str) -> Result<()> {
    match status {
        Status::Running | Status::Created => Ok(()),
        Status::Paused => Err(anyhow!("cannot change the mounts of a paused container"))
            .hint(format!("resume it with: rt resume {id}")),
        Status::Stopped | Status::Creating => bail!(
            "cannot change the mounts of a container in the {} state: container not running",
            status.name()
        ),
    }
}
