//! `process.scheduler`, `process.ioPriority` and `process.execCPUAffinity`.
//!
//! Runs in: parent. Pure. See sched(7), `sched_setattr(2)`, `ioprio_set(2)`.

use super::number_set::NumberSet;
use anyhow::{Result, ensure};
use oci_spec::runtime::{
    IOPriorityClass, LinuxIOPriority, LinuxSchedulerFlag, LinuxSchedulerPolicy, Process,
};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scheduling {
    pub(crate) scheduler: Option<Scheduler>,
    pub(crate) io_priority: Option<IoPriority>,
    /// Where exec runs before it enters the container's cgroup, and where its payload runs.
    pub(crate) exec_initial: Option<NumberSet>,
    pub(crate) exec_final: Option<NumberSet>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scheduler {
    /// `SCHED_FIFO`
    pub(crate) name: &'static str,
    /// `SCHED_*` of linux/sched.h.
    pub(crate) policy: u32,
    /// `SCHED_FLAG_*` of linux/sched.h.
    pub(crate) flags: u64,
    pub(crate) nice: i32,
    pub(crate) priority: u32,
    /// Runtime, deadline and period of `SCHED_DEADLINE`.
    pub(crate) times_ns: [u64; 3],
}

pub(crate) const SCHED_DEADLINE: u32 = 6;
pub(crate) const RESET_ON_FORK: u64 = 0x01;
pub(crate) const KEEP_POLICY: u64 = 0x08;
pub(crate) const KEEP_PARAMS: u64 = 0x10;
pub(crate) const UTIL_CLAMP: u64 = 0x20 | 0x40;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IoPriority {
    /// `IOPRIO_CLASS_RT`
    pub(crate) name: &'static str,
    /// Class and level in one, as `ioprio_set(2)` takes them.
    pub(crate) value: u16,
    pub(crate) level: u16,
}

/// The most that `CONFIG_NR_CPUS` of any architecture can be, less one.
const LAST_CPU: usize = 8191;

impl Scheduling {
    pub(crate) fn new(process: &Process, field: &str) -> Result<Self> {
        let affinity = process.exec_cpu_affinity().as_ref();
        let cpus = |name: &str, list: Option<&String>| {
            list.filter(|list| !list.is_empty())
                .map(|list| {
                    NumberSet::new(
                        &format!("{field}.execCPUAffinity.{name}"),
                        "CPU",
                        list,
                        LAST_CPU,
                    )
                })
                .transpose()
        };
        Ok(Self {
            scheduler: process
                .scheduler()
                .as_ref()
                .map(|scheduler| Scheduler::new(scheduler, &format!("{field}.scheduler")))
                .transpose()?,
            io_priority: process
                .io_priority()
                .map(|priority| io_priority(priority, &format!("{field}.ioPriority")))
                .transpose()?,
            exec_initial: cpus("initial", affinity.and_then(|list| list.initial().as_ref()))?,
            exec_final: cpus(
                "final",
                affinity.and_then(|list| list.cpu_affinity_final().as_ref()),
            )?,
        })
    }
}

impl Scheduler {
    fn new(spec: &oci_spec::runtime::Scheduler, field: &str) -> Result<Self> {
        let (name, policy) = policy(*spec.policy());
        let plan = Self {
            name,
            policy,
            flags: spec.flags().iter().flatten().map(|flag| flag_bit(*flag)).fold(0, |a, b| a | b),
            nice: spec.nice().unwrap_or(0),
            priority: spec.priority().unwrap_or(0).try_into().unwrap_or(u32::MAX),
            times_ns: [*spec.runtime(), *spec.deadline(), *spec.period()]
                .map(Option::unwrap_or_default),
        };
        let nice = plan.nice;
        ensure!((-20..=19).contains(&nice), "{field}.nice: {nice} is not in -20..19");
        let priority = spec.priority().unwrap_or(0);
        let range = if matches!(policy, 1 | 2) { 1..=99 } else { 0..=0 };
        ensure!(
            range.contains(&priority),
            "{field}.priority: {priority}; SCHED_FIFO and SCHED_RR have 1 to 99, {name} has {range:?}"
        );
        // As the kernel checks it, which says EINVAL to all of it.
        let [runtime, deadline, period] = plan.times_ns;
        let fits = if policy == SCHED_DEADLINE {
            runtime >= 1024 && runtime <= deadline && (period == 0 || deadline <= period)
        } else {
            plan.times_ns == [0; 3]
        };
        ensure!(
            fits,
            "{field}: {name} with runtime {runtime}, deadline {deadline}, period {period} ns; \
             SCHED_DEADLINE needs 1024 <= runtime <= deadline <= period, where 0 is no period, and \
             other policies have none of them"
        );
        Ok(plan)
    }

    /// sched(7): fork(2) fails for such a process.
    pub(crate) fn forbids_fork(&self) -> bool {
        self.policy == SCHED_DEADLINE && self.flags & RESET_ON_FORK == 0
    }
}

fn policy(policy: LinuxSchedulerPolicy) -> (&'static str, u32) {
    match policy {
        LinuxSchedulerPolicy::SchedOther => ("SCHED_OTHER", 0),
        LinuxSchedulerPolicy::SchedFifo => ("SCHED_FIFO", 1),
        LinuxSchedulerPolicy::SchedRr => ("SCHED_RR", 2),
        LinuxSchedulerPolicy::SchedBatch => ("SCHED_BATCH", 3),
        LinuxSchedulerPolicy::SchedIso => ("SCHED_ISO", 4),
        LinuxSchedulerPolicy::SchedIdle => ("SCHED_IDLE", 5),
        LinuxSchedulerPolicy::SchedDeadline => ("SCHED_DEADLINE", SCHED_DEADLINE),
    }
}

/// The specification has no values for the clamps: with their flags they become 0, as in runc.
fn flag_bit(flag: LinuxSchedulerFlag) -> u64 {
    match flag {
        LinuxSchedulerFlag::SchedResetOnFork => RESET_ON_FORK,
        LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
        LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
        LinuxSchedulerFlag::SchedFlagKeepPolicy => KEEP_POLICY,
        LinuxSchedulerFlag::SchedFlagKeepParams => KEEP_PARAMS,
        LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
        LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
    }
}

fn io_priority(spec: LinuxIOPriority, field: &str) -> Result<IoPriority> {
    let (name, class) = match spec.class() {
        IOPriorityClass::IoprioClassRt => ("IOPRIO_CLASS_RT", 1),
        IOPriorityClass::IoprioClassBe => ("IOPRIO_CLASS_BE", 2),
        IOPriorityClass::IoprioClassIdle => ("IOPRIO_CLASS_IDLE", 3),
    };
    let level = u16::try_from(spec.priority()).ok().filter(|level| *level <= 7);
    ensure!(level.is_some(), "{field}.priority: {} is not in 0..7", spec.priority());
    let level = level.unwrap_or(0);
    // linux/ioprio.h: IOPRIO_CLASS_SHIFT.
    Ok(IoPriority { name, value: class << 13 | level, level })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(fields: &str) -> Result<Scheduling> {
        let json = format!(r#"{{"user":{{}},"args":["a"],"cwd":"/",{fields}}}"#);
        Scheduling::new(&serde_json::from_str(&json)?, "process")
    }

    fn error(fields: &str) -> String {
        plan(fields).unwrap_err().to_string()
    }

    #[test]
    fn every_policy_has_its_number() {
        for (name, number, more) in [
            ("SCHED_OTHER", 0, r#","nice":-20"#),
            ("SCHED_FIFO", 1, r#","priority":99"#),
            ("SCHED_RR", 2, r#","priority":1"#),
            ("SCHED_BATCH", 3, r#","nice":19"#),
            ("SCHED_ISO", 4, ""),
            ("SCHED_IDLE", 5, ""),
            ("SCHED_DEADLINE", 6, r#","runtime":1024,"deadline":1024,"period":0"#),
        ] {
            let plan = plan(&format!(r#""scheduler":{{"policy":"{name}"{more}}}"#)).unwrap();
            let scheduler = plan.scheduler.unwrap();
            assert_eq!((scheduler.name, scheduler.policy), (name, number));
        }
    }

    #[test]
    fn wrong_schedulers_are_refused_with_the_field() {
        let of = |text: &str| error(&format!(r#""scheduler":{{{text}}}"#));
        for (json, text) in [
            (
                r#""policy":"SCHED_OTHER","nice":-21"#,
                "process.scheduler.nice: -21 is not in -20..19",
            ),
            (
                r#""policy":"SCHED_FIFO""#,
                "process.scheduler.priority: 0; SCHED_FIFO and SCHED_RR have 1 to 99, SCHED_FIFO has 1..=99",
            ),
            (
                r#""policy":"SCHED_RR","priority":-1"#,
                "process.scheduler.priority: -1; SCHED_FIFO and SCHED_RR have 1 to 99, SCHED_RR has 1..=99",
            ),
            (
                r#""policy":"SCHED_BATCH","priority":1"#,
                "process.scheduler.priority: 1; SCHED_FIFO and SCHED_RR have 1 to 99, SCHED_BATCH has 0..=0",
            ),
        ] {
            assert_eq!(of(json), text);
        }
    }

    #[test]
    fn times_of_deadlines_are_in_order() {
        let of = |policy: &str, [runtime, deadline, period]: [u64; 3]| {
            plan(&format!(
                r#""scheduler":{{"policy":"{policy}","runtime":{runtime},"deadline":{deadline},
                    "period":{period}}}"#
            ))
        };
        for times in [[1024, 1024, 0], [1024, 1025, 1025], [5000, 6000, 7000]] {
            assert!(of("SCHED_DEADLINE", times).is_ok(), "{times:?}");
            assert!(of("SCHED_OTHER", times).is_err(), "{times:?}");
        }
        for times in [[0, 0, 0], [1023, 5000, 0], [5000, 0, 0], [5000, 4999, 0], [5000, 6000, 5999]]
        {
            assert!(of("SCHED_DEADLINE", times).is_err(), "{times:?}");
        }
        assert_eq!(
            of("SCHED_OTHER", [0, 0, 1]).unwrap_err().to_string(),
            "process.scheduler: SCHED_OTHER with runtime 0, deadline 0, period 1 ns; SCHED_DEADLINE \
             needs 1024 <= runtime <= deadline <= period, where 0 is no period, and other policies \
             have none of them"
        );
    }

    #[test]
    fn io_priorities_have_class_and_level_in_one_number() {
        let of = |class: &str, level: i64| {
            plan(&format!(r#""ioPriority":{{"class":"{class}","priority":{level}}}"#))
        };
        let value = |class: &str, level| of(class, level).unwrap().io_priority.unwrap().value;
        assert_eq!(value("IOPRIO_CLASS_RT", 0), 1 << 13);
        assert_eq!(value("IOPRIO_CLASS_BE", 7), 2 << 13 | 7);
        assert_eq!(value("IOPRIO_CLASS_IDLE", 0), 3 << 13);
        for level in [-1, 8, 65536] {
            assert_eq!(
                of("IOPRIO_CLASS_BE", level).unwrap_err().to_string(),
                format!("process.ioPriority.priority: {level} is not in 0..7")
            );
        }
    }

    #[test]
    fn lists_of_cpus_are_masks() {
        let plan = plan(r#""execCPUAffinity":{"initial":"0-1","final":"1"}"#).unwrap();
        assert_eq!(plan.exec_initial.unwrap().mask, [0b11]);
        assert_eq!(plan.exec_final.unwrap().mask, [0b10]);
        assert_eq!(
            error(r#""execCPUAffinity":{"final":"8192"}"#),
            "process.execCPUAffinity.final: there is no CPU 8192; the kernel knows 0 to 8191"
        );
    }
}
