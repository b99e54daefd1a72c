//! `rt exec`

use super::Host;
use super::create::{end, send_pidfd};
use super::run::{pair, receive_master};
use crate::agent::Agent;
use crate::cgroup::Cgroup;
use crate::cli::Exec;
use crate::config::{self, Saved};
use crate::container::state::{State, Status};
use crate::container::{Dir, Lock, open_process};
use crate::error::OrHint as _;
use crate::fds;
use crate::init::Inherited;
use crate::join;
use crate::labels;
use crate::landlock;
use crate::launch;
use crate::pid_file;
use crate::plan::exec::{self, Changes};
use crate::proc;
use crate::resctrl;
use crate::sync::{Gone, Message};
use crate::sys;
use crate::wait::{self, Signals};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

pub(crate) fn run(host: &Host, args: &Exec) -> Result<u8> {
    // No lock: a process that runs for days must not keep others from `delete`.
    let dir = Dir::existing(&host.root, &args.id, Lock::None)?;
    let state = dir.state()?;
    let status = dir.status(&state)?;
    check_status(status, args)?;
    let init = state.init.context("the container has no process")?;
    let init_pidfd = open_process(init)?.context("container not running")?;
    let plan = plan(&Saved::read(&dir.saved_config()?)?, &state, args)?;
    labels::check(&plan.process)?;
    if let Some(warning) = landlock::check(plan.landlock.as_ref())? {
        host.log.warning(&warning);
    }
    let (console, our_end) = console(&plan, args)?;
    let pidfd_socket =
        args.pidfd_socket.as_deref().map(fds::connect).transpose().context("--pidfd-socket")?;
    let cgroup = cgroup(&dir, &state, init.pid, &args.cgroup)?;

    let notify = plan.seccomp.as_ref().and_then(|filter| filter.notify.as_ref());
    let agent = Agent::connect(notify)?;
    let signals = if args.detach { None } else { Some(Signals::block()?) };
    let mut fds = join::Fds::open(&plan, init_pidfd, init.pid, console)?;
    fds.v1_doors = cgroup.as_ref().map(Cgroup::v1_doors).transpose()?.unwrap_or_default();
    fds.v1_doors.extend(resctrl::doors(state.resctrl.as_deref(), &state.id)?);
    let child = launch::exec(&plan, fds, cgroup.as_ref(), Inherited::new(args.preserve_fds)?)?;
    if let Some(socket) = &pidfd_socket {
        send_pidfd(socket, &child.pidfd).context("--pidfd-socket")?;
    }
    child.channel.send(&Message::Created)?;
    if let Some(agent) = agent {
        let pid = child.pid.as_raw();
        agent
            .introduce(&child.channel, pid, &state.of_the_spec(status))
            // Its filter may keep it from ending by itself.
            .inspect_err(|_err| end(&child))?;
    }
    child
        .channel
        .expect_exec()
        .map_err(|err| if err.is::<Gone>() { anyhow!("the process died") } else { err })?;
    if let Some(path) = &args.pid_file {
        pid_file::write(path, child.pid.as_raw()).inspect_err(|_err| end(&child))?;
    }
    let master = our_end.as_ref().map(receive_master).transpose()?;
    match signals {
        None => Ok(0),
        Some(signals) => wait::foreground(&signals, &child.pidfd, master, None),
    }
}

fn check_status(status: Status, args: &Exec) -> Result<()> {
    match status {
        Status::Running | Status::Created => Ok(()),
        Status::Paused if args.ignore_paused => Ok(()),
        Status::Paused => Err(anyhow!("cannot exec in a paused container"))
            .hint(format!("resume it with: rt resume {}, or add --ignore-paused", args.id)),
        Status::Stopped | Status::Creating => {
            bail!(
                "cannot exec in a container in the {} state: container not running",
                status.name()
            )
        }
    }
}

fn plan(saved: &Saved, state: &State, args: &Exec) -> Result<join::Plan> {
    let extensions = saved.extensions()?;
    let mut process = match &args.process {
        Some(file) => {
            ensure!(args.command.is_empty(), "--process: the command is in the file already");
            config::load_process(file)?
        }
        None => {
            let mut process = saved.process()?;
            exec::change(&mut process, &changes(args))?;
            process
        }
    };
    process.extend(&extensions, &mut Vec::new());
    let inside = join::Inside::of(state)?;
    Ok(join::Plan {
        process,
        seccomp: saved.filter(&extensions)?,
        landlock: extensions.landlock,
        uid_maps: inside.uid_maps,
        gid_maps: inside.gid_maps,
        user_namespace: inside.user_namespace,
        namespaces: inside.namespaces,
        chroot: state.chroot,
        session_keyring: state.session_keyring.then(|| state.id.clone()),
        personality: saved.personality()?,
        memory_policy: saved.memory_policy()?,
    })
}

fn changes(args: &Exec) -> Changes<'_> {
    Changes {
        command: &args.command,
        terminal: args.tty,
        cwd: args.cwd.as_deref(),
        env: &args.env,
        user: args.user.as_deref(),
        additional_gids: &args.additional_gids,
        no_new_privs: args.no_new_privs,
        process_label: args.process_label.as_deref(),
        apparmor: args.apparmor.as_deref(),
        capabilities: &args.cap,
    }
}

fn console(plan: &join::Plan, args: &Exec) -> Result<(Option<OwnedFd>, Option<OwnedFd>)> {
    match (&args.console_socket, args.detach, plan.process.terminal) {
        (Some(path), _, true) => Ok((Some(fds::connect(path).context("--console-socket")?), None)),
        (Some(_), _, false) => {
            Err(anyhow!("--console-socket: the process has no terminal")).hint("add --tty")
        }
        (None, true, true) => Err(anyhow!("nothing would receive the terminal"))
            .hint("give a --console-socket with --detach"),
        (None, false, true) => pair().map(|(theirs, ours)| (Some(theirs), Some(ours))),
        (None, _, false) => Ok((None, None)),
    }
}

/// The container's cgroup, or those below it which `--cgroup [CONTROLLER:]PATH` names.
pub(super) fn cgroup(
    dir: &Dir,
    state: &State,
    init: i32,
    wanted: &[String],
) -> Result<Option<Cgroup>> {
    let Some(mut cgroup) = dir.cgroup(state)? else {
        ensure!(wanted.is_empty(), "--cgroup: the container has no cgroup of its own");
        return Ok(None);
    };
    if let Some(unit) = &state.systemd_unit {
        cgroup = cgroup.of_unit(unit);
    }
    if wanted.is_empty() {
        // systemd as payload moves itself into a leaf, and then only leaves take processes.
        let leaf = init_below(cgroup.path(), init).filter(|leaf| !leaf.as_os_str().is_empty());
        if let Some(leaf) = leaf {
            cgroup.descend(None, &leaf).ok(); // it may have left by now, then above it is as good
        }
        return Ok(Some(cgroup));
    }
    for one in wanted {
        let (controllers, path) = one.split_once(':').unwrap_or(("", one));
        let path: PathBuf =
            Path::new(path).strip_prefix("/").unwrap_or(Path::new(path)).components().collect();
        if path.as_os_str().is_empty() {
            continue;
        }
        let controller = controllers.split(',').next();
        cgroup.descend(controller, &path).with_context(|| format!("--cgroup {one}"))?;
    }
    Ok(Some(cgroup))
}

/// Where init is now below the container's cgroup: /proc tells it relative to some root, whose end
/// is the same as that of the container's path.
fn init_below(container: &Path, init: i32) -> Option<PathBuf> {
    let text = sys::fd::read_record(Path::new(&format!("/proc/{init}/cgroup"))).ok()?;
    let now = proc::unified_cgroup(&text)?;
    let own = now.ancestors().find(|path| {
        path.strip_prefix("/")
            .is_ok_and(|path| !path.as_os_str().is_empty() && container.ends_with(path))
    })?;
    now.strip_prefix(own).ok().map(Path::to_path_buf)
}
