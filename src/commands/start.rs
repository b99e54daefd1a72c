//! `rt start`

use super::Host;
use super::delete::{destroy, kill_all};
use crate::agent::Agent;
use crate::config::Saved;
use crate::container::state::{State, Status};
use crate::container::{Dir, Lock, open_process};
use crate::hooks;
use crate::launch;
use crate::plan::Hooks;
use crate::readiness::Readiness;
use crate::sync::{Channel, Message};
use anyhow::{Context as _, Result, bail};
use std::os::fd::{AsFd as _, OwnedFd};

pub(crate) fn run(host: &Host, id: &str) -> Result<()> {
    let dir = Dir::existing(&host.root, id, Lock::Exclusive)?;
    let state = dir.state()?;
    let status = dir.status(&state)?;
    if status != Status::Created {
        bail!("cannot start a container in the {} state", status.name());
    }
    let pid = state.init.map_or(0, |init| init.pid);
    let kind = if state.has_hooks("poststart") { "poststart" } else { "startContainer" };
    let hooks = saved_hooks(&dir, &state, kind)?;
    // Before init is woken: without its agent the container can be started again later.
    let agent = Agent::connect(state.seccomp_notify.as_ref())?;
    let readiness = Readiness::open(&dir)?;
    let socket = dir.connect_start()?.context("the container's init is no longer waiting")?;
    let init = Channel::new(socket);
    if !hooks.start_container.is_empty()
        && let Err(err) = init.expect(&Message::HooksDone)
    {
        return Err(stop(host, &dir, &state, err));
    }
    if let Some(agent) = agent
        && let Err(err) = agent.introduce(&init, pid, &state.of_the_spec(Status::Created))
    {
        // Its filter may keep it from ending by itself.
        return Err(match kill_all(&dir, &state) {
            Ok(()) => err,
            Err(other) => err.context(format!("stop the container: {other:#}")),
        });
    }
    if let Err(err) = init.expect_exec() {
        return Err(launch::explain_gone(err, dir.cgroup(&state)?.as_ref()));
    }
    poststart(host, &dir, &state, &hooks)?;
    if let Some(readiness) = readiness
        && let Some(process) = state.init
    {
        let pidfd = open_process(process)?;
        // Others need the lock: whoever is not ready may have to be stopped.
        dir.unlock()?;
        readiness.wait(pid, pidfd.as_ref().map(OwnedFd::as_fd))?;
    }
    Ok(())
}

/// The hooks of the saved config. It is parsed again only when it has some of that kind.
pub(crate) fn saved_hooks(dir: &Dir, state: &State, kind: &str) -> Result<Hooks> {
    if state.has_hooks(kind) {
        Saved::read(&dir.saved_config()?)?.hooks()
    } else {
        Ok(Hooks::default())
    }
}

/// config.md, "Poststart": after the process runs; a failure stops the container, and its poststop
/// hooks run.
pub(crate) fn poststart(host: &Host, dir: &Dir, state: &State, hooks: &Hooks) -> Result<()> {
    if hooks.poststart.is_empty() {
        return Ok(());
    }
    let run = || {
        let output = hooks::Output::open(hooks)?;
        hooks::run(&hooks.poststart, &state.for_hooks(Status::Running)?, &output)
    };
    let Err(err) = run() else { return Ok(()) };
    Err(stop(host, dir, state, err))
}

/// runtime.md, "Lifecycle", steps 7, 9 and 12: after a failing startContainer or poststart hook the
/// container is stopped and destroyed.
pub(super) fn stop(host: &Host, dir: &Dir, state: &State, err: anyhow::Error) -> anyhow::Error {
    match kill_all(dir, state).and_then(|()| destroy(host, dir, state)) {
        Ok(()) => err,
        Err(other) => err.context(format!("stop the container: {other:#}")),
    }
}
