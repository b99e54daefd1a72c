//! `rt create`, and the part of `rt run` that is the same.

use super::Host;
use super::groups::Groups;
use crate::cgroup::Cgroup;
use crate::cli::{Create, NewContainer};
use crate::config;
use crate::container::state::State;
use crate::container::{self, Dir};
use crate::error::OrHint as _;
use crate::fds::{self, Fds};
use crate::init::Inherited;
use crate::labels;
use crate::landlock;
use crate::launch::{self, Child};
use crate::pid_file;
use crate::plan::annotations::{self, PIDFD_RECEIVER};
use crate::plan::notify_socket;
use crate::plan::{DefaultMaps, Kind, Options, Pivot, Plan};
use crate::readiness::{self, Readiness};
use crate::resctrl;
use crate::subids;
use crate::sync::{Gone, Message};
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use std::io::IoSlice;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

pub(crate) fn run(host: &Host, args: &Create) -> Result<()> {
    let args = &args.container;
    let new = plan(host, args)?;
    let console = console_socket(&new.plan, args.console_socket.as_deref())?;
    // The engine reaps the container's process: it becomes its child when we exit.
    make(host, args, &new, console, Then::Park).map(drop)
}

/// A config that was read and understood.
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    config: Vec<u8>,
    /// The payload may talk to the service manager.
    notifies: bool,
}

/// What the container's process does when it is ready.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Waits for `rt start`.
    Park,
    /// Becomes the payload.
    Start,
}

/// Everything up to the first side effect.
pub(crate) fn plan(host: &Host, args: &NewContainer) -> Result<Planned> {
    crate::container::check_id(&args.id)?;
    let bundle = config::bundle(args.bundle.as_deref())?;
    let config = config::load(&bundle, args.config.as_deref())?;
    let default_maps = default_maps(&config);
    if let Some((_, why)) = &default_maps {
        host.log.debug(why);
    }
    let options = Options {
        id: &args.id,
        bundle: &bundle,
        pivot: if args.no_pivot { Pivot::MoveRoot } else { Pivot::Switch },
        driver: host.cgroup_driver(),
        session_keyring: !args.no_new_keyring,
        default_maps: default_maps.as_ref().map(|(maps, _why)| maps),
    };
    let mut plan = Plan::new(&config.spec, &options)?;
    if listen_fds() > 0 {
        plan.process.set_env("LISTEN_FDS", &listen_fds().to_string())?;
        // The payload is the first process of its pid namespace, or does not look at it.
        plan.process.set_env("LISTEN_PID", "1")?;
    }
    let notifies = readiness::manager().is_some();
    if notifies {
        notify_socket::add(&mut plan, &host.root.join(&args.id).join("notify"))?;
    }
    for warning in &plan.warnings {
        host.log.warning(warning);
    }
    Ok(Planned { plan, config: config.bytes, notifies })
}

/// Only in a user namespace can an ordinary user make a container. As crun does, one is made for
/// him, with all the ids that he has.
pub(crate) fn default_maps(config: &config::Config) -> Option<(DefaultMaps, String)> {
    let needed = !nix::unistd::geteuid().is_root() && !config.has_user_namespace();
    needed.then(subids::default_maps)
}

/// `sd_listen_fds(3)`: descriptors that a service manager passes to us are for the payload.
pub(crate) fn listen_fds() -> u32 {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    let count = number("LISTEN_FDS").unwrap_or(0);
    let ours = count > 0 && number("LISTEN_PID") == Some(std::process::id());
    if ours { count } else { 0 }
}

/// `--preserve-fds` promises descriptors that must exist.
pub(crate) fn check_preserved(count: u32) -> Result<()> {
    let count = i32::try_from(count).ok().filter(|count| *count < 1 << 20);
    let count = count.context("--preserve-fds: not a number of descriptors")?;
    match (3..3 + count).find(|fd| !sys::fd::is_open(*fd)) {
        Some(fd) => bail!("--preserve-fds {count}: descriptor {fd} is not open"),
        None => Ok(()),
    }
}

fn console_socket(plan: &Plan, path: Option<&Path>) -> Result<Option<OwnedFd>> {
    match (plan.process.terminal, path) {
        (true, Some(path)) => fds::connect(path).context("--console-socket").map(Some),
        (false, None) => Ok(None),
        (true, None) => {
            Err(anyhow!("process.terminal: true, but nothing would receive the terminal"))
                .hint("give a --console-socket, or use: rt run")
        }
        (false, Some(_)) => {
            Err(anyhow!("--console-socket: process.terminal is not true in the config"))
                .hint("leave out the option, or set process.terminal")
        }
    }
}

/// A container whose process is ready.
pub(crate) struct Made {
    pub(crate) dir: Dir,
    pub(crate) child: Child,
    pub(crate) state: State,
    pub(crate) cgroup: Option<Cgroup>,
    /// Of a container that was started at once.
    pub(crate) readiness: Option<Readiness>,
}

/// Makes the container. On failure nothing of it is left.
pub(crate) fn make(
    host: &Host,
    args: &NewContainer,
    new: &Planned,
    console: Option<OwnedFd>,
    then: Then,
) -> Result<Made> {
    let plan = &new.plan;
    labels::check(&plan.process)?;
    if let Some(warning) = landlock::check(plan.extensions.landlock.as_ref())? {
        host.log.warning(&warning);
    }
    let mut groups = Groups::find(host, plan)?;
    let pidfd_sockets = pidfd_sockets(plan, args)?;
    let inherited = Inherited::new(args.preserve_fds + listen_fds())?;
    // === the first side effect; everything below is undone when it fails ===
    let dir = Dir::create(&host.root, &args.id)?;
    let made = (|| {
        let mut state = first_state(plan)?;
        groups.announce(&mut state);
        dir.write_state(&state)?;
        dir.save_config(&new.config)?;
        if new.notifies {
            dir.make_notify_directory()?;
        }
        groups.make(&mut state)?;
        let start = if then == Then::Park { Some(dir.listen()?) } else { None };
        let mut fds = Fds::open(plan, console, start)?;
        groups.open(&state, &mut fds)?;
        // Before init may go on: the payload's first word must not be lost.
        let listens = new.notifies && then == Then::Start;
        let readiness = if listens { Readiness::open(&dir)? } else { None };
        let mut child = launch::create(plan, fds, groups.cgroup(), &dir, inherited)?;
        groups.let_go();
        let told = tell(&dir, &mut state, &child, args.pid_file.as_deref(), &pidfd_sockets);
        let moved = std::mem::take(&mut child.moved);
        told.map_err(|err| {
            end(&child);
            moved.undo(launch::explain_gone(err, groups.cgroup()))
        })?;
        Ok((child, state, readiness))
    })();
    match made {
        Ok((child, state, readiness)) => {
            Ok(Made { dir, child, state, cgroup: groups.keep(), readiness })
        }
        Err(err) => Err(undo(&dir, groups, err)),
    }
}

/// Whoever wants init's pidfd.
fn pidfd_sockets(plan: &Plan, args: &NewContainer) -> Result<Vec<OwnedFd>> {
    let mut sockets = Vec::new();
    if let Some(path) = &args.pidfd_socket {
        sockets.push(fds::connect(path).context("--pidfd-socket")?);
    }
    if let Some(path) = &plan.extensions.pidfd_receiver {
        sockets.push(fds::connect(path).with_context(|| annotations::field(PIDFD_RECEIVER))?);
    }
    Ok(sockets)
}

/// Everybody who wants to know gets to know; then init is told that it may outlive us.
fn tell(
    dir: &Dir,
    state: &mut State,
    child: &Child,
    pid_file: Option<&Path>,
    pidfd_sockets: &[OwnedFd],
) -> Result<()> {
    let pid = child.pid.as_raw();
    let init = container::identify(pid, &child.pidfd)?;
    state.init = Some(init.ok_or(Gone)?);
    dir.write_state(state)?;
    for socket in pidfd_sockets {
        send_pidfd(socket, &child.pidfd).context("send the pidfd")?;
    }
    let Some(path) = pid_file else { return child.channel.send(&Message::Created) };
    pid_file::write(path, pid)?;
    child.channel.send(&Message::Created).inspect_err(|_err| {
        std::fs::remove_file(path).ok();
    })
}

/// Ends a process that is not the payload yet.
pub(crate) fn end(child: &Child) {
    use std::os::fd::AsFd as _;
    // It may have died by itself.
    sys::clone::pidfd_send_signal(child.pidfd.as_fd(), libc::SIGKILL).ok();
    launch::wait(child.pidfd.as_fd()).ok();
}

/// Removes what was made. The first error is the one to tell; others join it.
fn undo(dir: &Dir, groups: Groups<'_>, err: anyhow::Error) -> anyhow::Error {
    groups
        .undo()
        .into_iter()
        .chain([dir.remove()])
        .filter_map(Result::err)
        .fold(err, |err, other| err.context(format!("clean up: {other:#}")))
}

fn first_state(plan: &Plan) -> Result<State> {
    use std::ffi::OsStr;
    Ok(State {
        oci_version: plan.oci_version.clone(),
        id: plan.id.clone(),
        init: None,
        bundle: plan.bundle.clone(),
        rootfs: Path::new(OsStr::from_bytes(plan.rootfs.path.as_bytes())).to_path_buf(),
        created: humantime::format_rfc3339_nanos(std::time::SystemTime::now()).to_string(),
        annotations: plan.annotations.clone(),
        owner: owner(),
        cgroup: None,
        cgroup_v1: Vec::new(),
        systemd_unit: None,
        resctrl: None,
        resctrl_made: resctrl::Made::default(),
        chroot: plan.rootfs.pivot != Pivot::Switch,
        session_keyring: plan.session_keyring,
        seccomp_notify: plan.seccomp.as_ref().and_then(|filter| filter.notify.clone()),
        hooks: plan.hooks.names(),
        own_pid_namespace: plan.namespaces.creates(Kind::Pid),
        namespaces: launch::names(plan),
    })
}

fn owner() -> String {
    let uid = nix::unistd::getuid().as_raw();
    if uid == 0 {
        return "root".into();
    }
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    crate::process::passwd(&text, uid)
        .map_or_else(|| uid.to_string(), |entry| entry.name.to_string())
}

pub(crate) fn send_pidfd(socket: &OwnedFd, pidfd: &OwnedFd) -> Result<()> {
    let fds = [pidfd.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&fds)];
    sendmsg::<UnixAddr>(
        socket.as_raw_fd(),
        &[IoSlice::new(b"pidfd")],
        &message,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )
    .call(|| "sendmsg(SCM_RIGHTS)".into())?;
    Ok(())
}
