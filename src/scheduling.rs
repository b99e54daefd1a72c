//! Gives the payload its scheduler, its I/O priority and its memory, and processes of `exec` their CPUs.
//!
//! Runs in: init, which may always lower itself, and parent, which alone may have the privilege for
//! more: the kernel asks for `CAP_SYS_NICE` on the host, also below a user namespace, and the process
//! of an exec is born without any capability of the host.

use crate::error::hinted;
use crate::plan::scheduling::{self, IoPriority, Scheduler};
use crate::plan::{MemoryPolicy, Process};
use crate::sys;
use crate::sys::sched::{self, Attr};
use anyhow::{Context as _, Result};
use nix::errno::Errno;

/// Runs in: init, restricted already. The parent sees to what fails here.
pub(crate) fn set_own(process: &Process) {
    if let Some(scheduler) = &process.scheduling.scheduler {
        sched::sched_setattr(0, &attr(scheduler)).ok(); // the parent tries again, and tells
    }
    if let Some(priority) = &process.scheduling.io_priority {
        sched::ioprio_set(0, priority.value).ok(); // as above
    }
}

/// Runs in: parent, when init is ready: what init bears before, such as hooks, must not get the
/// priorities, and a flag may take them from what it bears.
pub(crate) fn set(process: &Process, pid: i32) -> Result<()> {
    let field = &process.field;
    if let Some(scheduler) = &process.scheduling.scheduler
        && !has_scheduler(pid, scheduler)
    {
        sched::sched_setattr(pid, &attr(scheduler))
            .map_err(explain_scheduler)
            .with_context(|| format!("{field}.scheduler ({})", scheduler.name))?;
    }
    if let Some(IoPriority { name, value, .. }) = &process.scheduling.io_priority
        && !sched::ioprio_get(pid).is_ok_and(|now| u16::try_from(now) == Ok(*value))
    {
        let privilege = "this class or process needs CAP_SYS_NICE on the host; use IOPRIO_CLASS_BE";
        sched::ioprio_set(pid, *value)
            .map_err(|err| hinted(err, &[(Errno::EPERM, privilege)]))
            .with_context(|| format!("{field}.ioPriority ({name})"))?;
    }
    Ok(())
}

fn explain_scheduler(err: sys::Error) -> anyhow::Error {
    let hints = [
        (
            Errno::EPERM,
            "it needs CAP_SYS_NICE on the host; in cgroup v1 real-time policies also need \
             linux.resources.cpu.realtimeRuntime, and SCHED_DEADLINE needs all CPUs",
        ),
        (Errno::EACCES, "it needs CAP_SYS_NICE on the host; choose a higher nice value"),
        (Errno::EBUSY, "the host cannot guarantee that much CPU time: choose a smaller runtime"),
        (Errno::EINVAL, "this kernel does not know the policy, or not with these values"),
        (Errno::EOPNOTSUPP, "this kernel has no CONFIG_UCLAMP_TASK; remove the clamp flags"),
    ];
    hinted(err, &hints)
}

fn attr(plan: &Scheduler) -> Attr {
    Attr {
        policy: plan.policy,
        flags: plan.flags,
        nice: plan.nice,
        priority: plan.priority,
        times_ns: plan.times_ns,
        ..Attr::default()
    }
}

/// Init has set it itself. The clamps, and what is to be kept, cannot be seen.
fn has_scheduler(pid: i32, plan: &Scheduler) -> bool {
    use scheduling::{KEEP_PARAMS, KEEP_POLICY, UTIL_CLAMP};
    let Ok(now) = sched::sched_getattr(pid) else { return false };
    let mut wanted = attr(plan);
    if plan.priority > 0 || plan.policy == scheduling::SCHED_DEADLINE {
        wanted.nice = now.nice; // such policies have none
    }
    if plan.policy != scheduling::SCHED_DEADLINE {
        wanted.times_ns = now.times_ns; // since Linux 6.12 the slice of ordinary policies is told
    } else if let [_, deadline, period @ 0] = &mut wanted.times_ns {
        *period = *deadline; // sched(7): the default
    }
    plan.flags & (KEEP_POLICY | KEEP_PARAMS | UTIL_CLAMP) == 0 && now.is_like(&wanted)
}

/// Runs in: init, in the container's cgroup, whose cpuset says which nodes there are.
pub(crate) fn set_memory_policy(policy: Option<&MemoryPolicy>) -> Result<()> {
    let Some(policy) = policy else { return Ok(()) };
    let mask = policy.nodes.as_ref().map_or(&[][..], |nodes| &nodes.mask);
    let hints = [
        (
            Errno::EINVAL,
            "the container has none of these nodes (see linux.resources.cpu.mems and \
             /sys/devices/system/node/online), or this kernel does not know the mode or a flag",
        ),
        (Errno::ENOSYS, "this kernel has no CONFIG_NUMA; remove linux.memoryPolicy"),
    ];
    sched::set_mempolicy(policy.mode, mask)
        .map_err(|err| hinted(err, &hints))
        .with_context(|| format!("linux.memoryPolicy ({})", policy.name))
}

/// Runs in: init, in the container's cgroup: all CPUs that this has. Those of our caller, whom a
/// service manager may have bound to a few, are none of the payload's.
pub(crate) fn enter_all_cpus() {
    const ALL: [usize; 128] = [usize::MAX; 128]; // 8192, more than kernels are built for
    sched::sched_setaffinity(&ALL).ok(); // refused by a seccomp filter around us, for example
}

/// Runs in: parent, before it bears a process in the container's cgroup.
pub(crate) fn enter_initial_cpus(process: &Process) -> Result<()> {
    let Some(cpus) = &process.scheduling.exec_initial else { return Ok(()) };
    sched::sched_setaffinity(&cpus.mask)
        .map_err(|err| hinted(err, &[(Errno::EINVAL, "name CPUs that rt itself may run on")]))
        .with_context(|| format!("{}.execCPUAffinity.initial ({})", process.field, cpus.text))
}

/// Runs in: init of an exec, in the container's cgroup.
pub(crate) fn enter_final_cpus(process: &Process) -> Result<()> {
    let Some(cpus) = &process.scheduling.exec_final else {
        if process.scheduling.exec_initial.is_none() {
            enter_all_cpus();
        }
        return Ok(());
    };
    let hint = "name CPUs of the container: see linux.resources.cpu.cpus";
    sched::sched_setaffinity(&cpus.mask)
        .map_err(|err| hinted(err, &[(Errno::EINVAL, hint)]))
        .with_context(|| format!("{}.execCPUAffinity.final ({})", process.field, cpus.text))
}
