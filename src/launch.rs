//! Starts init and walks it to "ready".
//!
//! Runs in: parent, on the host, single-threaded.
#![expect(unsafe_code, reason = "clone3 needs the promise of one thread, which is checked here")]

use crate::cgroup::{self, Cgroup};
use crate::container::{Dir, state};
use crate::error::{Hint, OrHint as _, hinted};
use crate::fds::{Fds, Procfs};
use crate::init::Inherited;
use crate::net_devices::Moved;
use crate::plan::namespaces::Join;
use crate::plan::{Kind, Plan, Process};
use crate::sync::{Channel, Gone, Message};
use crate::sys::clone::{self, CLONE_NEWTIME, Cloned};
use crate::{hooks, init, join, live, net_devices, process, scheduling, userns};
use anyhow::{Context as _, Result, anyhow, ensure};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

/// A child on its way to become the payload.
pub(crate) struct Child {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    pub(crate) channel: Channel,
    /// To be brought back if it does not become the payload.
    pub(crate) moved: Moved,
}

impl Child {
    fn new(pid: Pid, pidfd: OwnedFd, channel: Channel) -> Self {
        Self { pid, pidfd, channel, moved: Moved::default() }
    }
}

/// The flag of clone(2) for a kind of namespace.
pub(crate) fn clone_flag(kind: Kind) -> CloneFlags {
    match kind {
        Kind::User => CloneFlags::CLONE_NEWUSER,
        Kind::Ipc => CloneFlags::CLONE_NEWIPC,
        Kind::Uts => CloneFlags::CLONE_NEWUTS,
        Kind::Network => CloneFlags::CLONE_NEWNET,
        Kind::Pid => CloneFlags::CLONE_NEWPID,
        Kind::Cgroup => CloneFlags::CLONE_NEWCGROUP,
        Kind::Time => CloneFlags::from_bits_retain(CLONE_NEWTIME),
        Kind::Mount => CloneFlags::CLONE_NEWNS,
    }
}

/// Starts the container's init and waits until it is parked, restricted and ready.
pub(crate) fn create(
    plan: &Plan,
    mut fds: Fds,
    cgroup: Option<&Cgroup>,
    dir: &Dir,
    inherited: Inherited,
) -> Result<Child> {
    if plan.namespaces.joins(Kind::User).is_some() {
        return create_by_doorkeeper(plan, fds, cgroup, dir, inherited);
    }
    let own = join_first(plan, &mut fds)?;
    let (channel, init_end) = Channel::pair()?;
    let cloned = spawn(create_flags(plan, &fds), cgroup)?;
    let Cloned::Parent { child: pid, pidfd } = cloned else {
        dir.unlock_in_child();
        drop(channel); // or our own copy would hide the parent's death from us
        init::run_create(init_end, plan, fds, inherited)
    };
    drop(init_end); // or init's end-of-file would never reach us
    let mut child = Child::new(pid, pidfd, channel);
    let walked = return_to(own, plan)
        .and_then(|()| prepare(plan, &child, &fds.proc))
        .and_then(|()| walk_to_ready(plan, &mut child, &fds.hooks_output));
    finish(child, walked, cgroup)
}

/// The container's user namespace is there already, and what is made for the container must belong
/// to it. Whoever enters it loses the host's privileges, which hooks and limits need; so a
/// doorkeeper goes in, makes the other namespaces there, and forks init as our child.
fn create_by_doorkeeper(
    plan: &Plan,
    fds: Fds,
    cgroup: Option<&Cgroup>,
    dir: &Dir,
    inherited: Inherited,
) -> Result<Child> {
    let (channel, init_end) = Channel::pair()?;
    let Cloned::Parent { child: pid, pidfd } = spawn(CloneFlags::empty(), cgroup)? else {
        dir.unlock_in_child();
        drop(channel);
        init::run_create_by_doorkeeper(init_end, plan, fds, inherited)
    };
    drop(init_end);
    let doorkeeper = Child::new(pid, pidfd, channel);
    let mut child = let_in(doorkeeper, &plan.process, true, &fds.proc, cgroup)?;
    let walked = walk_to_ready(plan, &mut child, &fds.hooks_output);
    finish(child, walked, cgroup)
}

/// Starts another process in a container.
///
/// A process is visible in a pid namespace from its birth, to payloads that may trace it as well
/// (CVE-2016-9962). So a doorkeeper, which stays in our pid namespace, enters everything else,
/// closes what is the host's and gives up its rights; its sibling is born as harmless as the
/// payload.
///
/// Where the limit of processes leaves no room for both, they are born outside: it keeps nobody from
/// moving in, and who wants to look at a fork bomb must get in.
pub(crate) fn exec(
    plan: &join::Plan,
    mut fds: join::Fds,
    cgroup: Option<&Cgroup>,
    inherited: Inherited,
) -> Result<Child> {
    let proc = Procfs::open()?;
    scheduling::enter_initial_cpus(&plan.process)?;
    let full = cgroup.filter(|cgroup| !cgroup.has_room_for(2));
    let doors = if full.is_some() { std::mem::take(&mut fds.v1_doors) } else { Vec::new() };
    let (channel, init_end) = Channel::pair()?;
    let born_in = if full.is_some() { None } else { cgroup };
    let Cloned::Parent { child: pid, pidfd } = spawn(CloneFlags::empty(), born_in)? else {
        drop(channel);
        init::run_exec(init_end, plan, fds, inherited)
    };
    drop((init_end, fds));
    let doorkeeper = Child::new(pid, pidfd, channel);
    let child = let_in(doorkeeper, &plan.process, plan.user_namespace, &proc, cgroup)?;
    let walk = || {
        if let Some(cgroup) = full {
            cgroup.add(child.pid.as_raw())?;
            cgroup::bring_in(&doors, child.pid.as_raw())
                .context("enter the container's cgroups")?;
        }
        child.channel.send(&Message::Go).context("tell init to go")?;
        child.channel.expect(&Message::Ready)?;
        scheduling::set(&plan.process, child.pid.as_raw())
    };
    let walked = walk();
    finish(child, walked, cgroup)
}

/// Lets a child, which stays invisible there, change the mounts of a container.
pub(crate) fn mounter(plan: &live::Plan, fds: live::Fds, cgroup: Option<&Cgroup>) -> Result<()> {
    let (channel, mounter_end) = Channel::pair()?;
    let Cloned::Parent { child: pid, pidfd } = spawn(CloneFlags::empty(), cgroup)? else {
        drop(channel);
        init::run_mounter(mounter_end, plan, fds)
    };
    drop((mounter_end, fds));
    let child = Child::new(pid, pidfd, channel);
    let walk = || {
        child.channel.send(&Message::Go).context("tell the mounter to go")?;
        child.channel.expect(&Message::Ready)
    };
    let walked = walk();
    let child = finish(child, walked, cgroup)?;
    wait(child.pidfd.as_fd()).ok(); // it has ended, or is about to
    Ok(())
}

/// Lets the doorkeeper do its work. Returns the process that it forks, which waits for Go.
fn let_in(
    doorkeeper: Child,
    process: &Process,
    user_namespace: bool,
    proc: &Procfs,
    cgroup: Option<&Cgroup>,
) -> Result<Child> {
    let enter = || {
        // What is set here is inherited.
        limits(process, user_namespace, &doorkeeper, proc)?;
        doorkeeper.channel.send(&Message::Go).context("tell init to go")?;
        doorkeeper.channel.expect_born()
    };
    let pid = match enter() {
        Ok(pid) => Pid::from_raw(pid),
        Err(err) => return finish(doorkeeper, Err(err), cgroup),
    };
    // It is our child and nobody has waited for it, so the pid is its own.
    let child = Child::new(pid, clone::pidfd_open(pid.as_raw())?, doorkeeper.channel);
    wait(doorkeeper.pidfd.as_fd()).ok(); // it has ended, or is about to
    Ok(child)
}

/// The doorkeeper's last act: the new process becomes a child of our parent, in the pid namespace
/// that was entered. True in the new process.
pub(crate) fn bear(parent: &Channel) -> Result<bool> {
    // SAFETY: the doorkeeper came from clone3 itself, and such a process has one thread.
    match unsafe { clone::clone3(CloneFlags::CLONE_PARENT, None) }.map_err(explain_clone)? {
        Cloned::Child => Ok(true),
        Cloned::Parent { child, pidfd: _ } => {
            parent.send(&Message::Born(child.as_raw()))?;
            Ok(false)
        }
    }
}

/// A child of init that shares its descriptors, for `listener::load`. `None` in the child.
pub(crate) fn share_descriptors() -> Result<Option<Pid>> {
    // SAFETY: init came from clone3 itself, and such a process has one thread.
    match unsafe { clone::clone3(CloneFlags::CLONE_FILES, None) }.map_err(explain_clone)? {
        Cloned::Child => Ok(None),
        Cloned::Parent { child, pidfd: _ } => Ok(Some(child)),
    }
}

/// Without a new user namespace everything is made at once. With one, init makes the others after
/// it has become root there. The time namespace has an order of its own in both cases. A cgroup
/// namespace begins where its maker is: after it has entered the v1 hierarchies.
fn create_flags(plan: &Plan, fds: &Fds) -> CloneFlags {
    let spaces = &plan.namespaces;
    let with_user = spaces.creates(Kind::User);
    let with_v1 = !fds.v1_doors.is_empty();
    let now = |kind: &&Kind| match kind {
        Kind::Time => false,
        Kind::User | Kind::Pid => true,
        Kind::Cgroup => !with_user && !with_v1,
        Kind::Ipc | Kind::Uts | Kind::Network | Kind::Mount => !with_user,
    };
    let kinds = spaces.create.iter().filter(now);
    kinds.fold(CloneFlags::empty(), |flags, kind| flags | clone_flag(*kind))
}

/// Namespaces that must be joined before clone3: a pid namespace holds only children, and a host's
/// namespace cannot be joined from inside a new user namespace. Returns the way back: hooks run in
/// the namespaces that we were started in.
fn join_first(plan: &Plan, fds: &mut Fds) -> Result<Vec<(Kind, OwnedFd)>> {
    let creates_user = plan.namespaces.creates(Kind::User);
    let early = |kind: Kind| match kind {
        Kind::Pid => true,
        Kind::Ipc | Kind::Uts | Kind::Network | Kind::Cgroup => creates_user,
        Kind::User | Kind::Time | Kind::Mount => false,
    };
    let mut own = Vec::new();
    let mut late = Vec::new();
    for (kind, fd, field) in std::mem::take(&mut fds.join) {
        if !early(kind) {
            late.push((kind, fd, field));
            continue;
        }
        own.push((kind, open_own(kind)?));
        match clone::setns(fd.as_fd(), clone_flag(kind)) {
            Ok(()) => {}
            // A namespace of the new container's user: init will have the right.
            Err(err) if err.errno == Errno::EPERM && creates_user => late.push((kind, fd, field)),
            Err(err) => return Err(err).context(field),
        }
    }
    fds.join = late;
    Ok(own)
}

fn open_own(kind: Kind) -> Result<OwnedFd> {
    let path = format!("/proc/self/ns/{}", kind.proc_name());
    Ok(crate::sys::fd::open(Path::new(&path), OFlag::O_RDONLY)?)
}

/// Root of a user namespace may have no right to the host's pid namespace: without hooks there will
/// be no more children, which alone would be in the other one.
fn return_to(own: Vec<(Kind, OwnedFd)>, plan: &Plan) -> Result<()> {
    for (kind, fd) in own {
        match clone::setns(fd.as_fd(), clone_flag(kind)) {
            Err(err)
                if kind == Kind::Pid && err.errno == Errno::EPERM && !plan.hooks.for_parent() => {}
            back => back.context("return to the host's namespace")?,
        }
    }
    Ok(())
}

/// clone3 into the cgroup; writing cgroup.procs costs the kernel an RCU grace period (5-15 ms), so
/// that is for kernels and places where the flag is refused, and for a cgroup whose pids.max is
/// reached, which keeps nobody from moving in.
fn spawn(flags: CloneFlags, cgroup: Option<&Cgroup>) -> Result<Cloned> {
    ensure!(
        clone::is_single_threaded(),
        "internal error, please report: more than one thread, or no /proc"
    );
    // SAFETY: the line above: no other thread can hold a lock that the child would wait for.
    match unsafe { clone::clone3(flags, cgroup.map(Cgroup::dir)) } {
        Ok(cloned) => Ok(cloned),
        Err(err)
            if cgroup.is_some()
                && matches!(
                    err.errno,
                    Errno::EACCES
                        | Errno::EAGAIN
                        | Errno::EBUSY
                        | Errno::EOPNOTSUPP
                        | Errno::EINVAL
                ) =>
        {
            // SAFETY: as above.
            let cloned = unsafe { clone::clone3(flags, None) }.map_err(explain_clone)?;
            if let (Cloned::Parent { child, pidfd }, Some(cgroup)) = (&cloned, cgroup)
                && let Err(err) = cgroup.add(child.as_raw())
            {
                clone::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL).ok(); // it waits for Go
                wait(pidfd.as_fd()).ok();
                return Err(err);
            }
            Ok(cloned)
        }
        Err(err) => Err(explain_clone(err)),
    }
}

fn explain_clone(err: crate::sys::Error) -> anyhow::Error {
    const LIMITS: &str = "raise the limits in /proc/sys/user/max_*_namespaces";
    let hints = [
        (
            Errno::EPERM,
            "run as root, or add a \"user\" namespace with mappings to the config; if there is \
             one, user namespaces are switched off: see sysctl user.max_user_namespaces, \
             kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns",
        ),
        (Errno::ENOSPC, LIMITS),
        (Errno::EUSERS, LIMITS),
        (
            Errno::EAGAIN,
            "raise the limit of processes: ulimit -u, pids.max of the cgroup, kernel.pid_max",
        ),
    ];
    hinted(err, &hints).context("linux.namespaces")
}

/// What init needs from us before it may go on.
fn prepare(plan: &Plan, child: &Child, proc: &Procfs) -> Result<()> {
    let spaces = &plan.namespaces;
    let user_namespace = spaces.creates(Kind::User);
    if user_namespace {
        userns::write_maps(proc, child.pid, &spaces.uid_maps, &spaces.gid_maps)?;
    }
    limits(&plan.process, user_namespace, child, proc)
}

fn walk_to_ready(plan: &Plan, child: &mut Child, output: &hooks::Output) -> Result<()> {
    child.channel.send(&Message::Go).context("tell init to go")?;
    if plan.parent_acts() {
        child.channel.expect(&Message::Mounted)?;
        net_devices::move_in(&plan.net_devices, child.pid.as_raw(), &mut child.moved)?;
        let state = state::for_hooks(plan, "creating", child.pid.as_raw());
        hooks::run(&plan.hooks.prestart, &state, output)?;
        hooks::run(&plan.hooks.create_runtime, &state, output)?;
        child.channel.send(&Message::HooksDone).context("tell init: hooks are done")?;
    }
    child.channel.expect(&Message::Ready)?;
    scheduling::set(&plan.process, child.pid.as_raw())
}

/// What only the host's privilege can set.
fn limits(process: &Process, user_namespace: bool, child: &Child, proc: &Procfs) -> Result<()> {
    if let Some(score) = process.oom_score_adj {
        proc.write(&format!("{}/oom_score_adj", child.pid), score.to_string().as_bytes())
            .with_context(|| format!("{}.oomScoreAdj", process.field))
            .hint("lowering the score needs CAP_SYS_RESOURCE on the host; choose a higher one")?;
    }
    if user_namespace {
        process::raise_rlimits(process, child.pid.as_raw())?;
    }
    Ok(())
}

/// On failure ends the child and says what happened to it.
fn finish(child: Child, walked: Result<()>, cgroup: Option<&Cgroup>) -> Result<Child> {
    let Err(err) = walked else { return Ok(child) };
    let ended = end(&child, err, cgroup);
    Err(child.moved.undo(ended))
}

fn end(child: &Child, err: anyhow::Error, cgroup: Option<&Cgroup>) -> anyhow::Error {
    // ESRCH: it has gone by itself.
    clone::pidfd_send_signal(child.pidfd.as_fd(), libc::SIGKILL).ok();
    let ended = wait(child.pidfd.as_fd());
    if !err.is::<Gone>() {
        return err;
    }
    if let Some(err) = out_of_memory(cgroup) {
        return err;
    }
    match ended {
        Ok(WaitStatus::Exited(_, code)) => {
            err.context(format!("container init exited with status {code}"))
        }
        Ok(WaitStatus::Signaled(_, signal, _)) => {
            err.context(format!("container init was killed by {signal}"))
        }
        Ok(_) | Err(_) => err,
    }
}

/// What to say of an init that went away between Ready and the payload.
pub(crate) fn explain_gone(err: anyhow::Error, cgroup: Option<&Cgroup>) -> anyhow::Error {
    if !err.is::<Gone>() {
        return err;
    }
    out_of_memory(cgroup).unwrap_or_else(|| anyhow!("the container's init died"))
}

/// Why init has gone, if it is that.
fn out_of_memory(cgroup: Option<&Cgroup>) -> Option<anyhow::Error> {
    let killed = cgroup.is_some_and(|cgroup| cgroup.oom_kills().unwrap_or(0) > 0);
    killed.then(|| {
        anyhow!("container init was killed by the OOM killer: the memory limit is too low")
            .context(Hint("raise linux.resources.memory.limit".into()))
    })
}

/// Reaps our child.
pub(crate) fn wait(pidfd: BorrowedFd<'_>) -> Result<WaitStatus, Errno> {
    loop {
        match waitid(Id::PIDFd(pidfd), WaitPidFlag::WEXITED) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// The namespaces of a container in the words of its config.
pub(crate) fn names(plan: &Plan) -> Vec<String> {
    let joined = plan.namespaces.join.iter().map(|Join { kind, .. }| kind);
    plan.namespaces.create.iter().chain(joined).map(|kind| kind.name().to_string()).collect()
}
