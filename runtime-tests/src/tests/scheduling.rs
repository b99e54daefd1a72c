//! Scheduling in config.json: policies, priorities of I/O, CPUs of exec, memory policy.

use std::fs;

use runtime_tests::cgroups;
use runtime_tests::prelude::*;
use runtime_tests::second_user::{RANGE, SecondUser, UID};

use super::fields::{plan_error, plan_lines};

tests![
    nice_value_and_batch_policy_are_set,
    idle_policy_is_set,
    real_time_policy_is_set,
    real_time_policy_with_a_budget_of_cgroup_v1,
    real_time_policy_in_a_user_namespace,
    deadline_policy_is_set,
    ordinary_users_may_lower_themselves,
    scheduler_of_children_is_reset,
    every_scheduler_flag_is_planned,
    scheduler_that_the_host_refuses_has_a_cure,
    wrong_schedulers_are_refused,
    deadline_policy_beside_start_hooks_is_refused,
    io_priority_is_set,
    wrong_io_priorities_are_refused,
    scheduling_of_exec,
    exec_process_has_its_own_scheduling,
    final_cpus_of_exec,
    initial_cpus_of_exec,
    wrong_lists_of_cpus_are_refused,
    memory_policy_is_set,
    memory_policy_takes_any_number_of_nodes,
    wrong_memory_policies_are_refused,
];

fn scheduled(scheduler: Value) -> Bundle {
    Bundle::new().with(|c| c["process"]["scheduler"] = scheduler)
}

fn no_scheduler_before() {
    differs!(Runc, "1.1 has no process.scheduler");
    differs!(Crun, "1.8 has no process.scheduler");
}

fn no_affinity_before() {
    differs!(Runc, "1.1 has no execCPUAffinity");
    differs!(Crun, "1.8 has no execCPUAffinity");
}

/// What `probe priority` says; a policy has bit 30 set when children do not inherit it.
fn priority(b: Bundle) -> Vec<String> {
    let output = b.run(&["/probe", "priority"]);
    output.assert_exit(0);
    output.stdout().split_whitespace().map(str::to_owned).collect()
}

fn nice_value_and_batch_policy_are_set() {
    no_scheduler_before();
    let said = priority(scheduled(json!({ "policy": "SCHED_OTHER", "nice": 5 })));
    assert_eq!(said[..2], ["nice=5", "policy=0"]);
    let said = priority(scheduled(json!({ "policy": "SCHED_BATCH", "nice": 19 })));
    assert_eq!(said[..2], ["nice=19", "policy=3"]);
}

fn idle_policy_is_set() {
    no_scheduler_before();
    let said = priority(scheduled(json!({ "policy": "SCHED_IDLE" })));
    assert_eq!(said[1], "policy=5");
}

/// Real-time policies need a budget in the v1 hierarchy of `cpu`, and our tests' cgroups have none.
fn real_time_allowed() {
    requires!(root, capability(23, "CAP_SYS_NICE"));
    if cgroups::v1_mount("cpu").is_some() {
        skip!(Machine, "cgroups of the v1 cpu controller have no real-time budget");
    }
}

fn real_time_policy_is_set() {
    real_time_allowed();
    no_scheduler_before();
    let said = priority(scheduled(json!({ "policy": "SCHED_FIFO", "priority": 7 })));
    assert_eq!(said[1], "policy=1");
    let said = priority(scheduled(json!({ "policy": "SCHED_RR", "priority": 99 })));
    assert_eq!(said[1], "policy=2");
}

fn real_time_policy_with_a_budget_of_cgroup_v1() {
    requires!(root, capability(23, "CAP_SYS_NICE"), cgroup_v1("cpu"));
    no_scheduler_before();
    let mount = cgroups::v1_mount("cpu").unwrap();
    let budget = fs::read_to_string(mount.join("cpu.rt_runtime_us")).unwrap_or_default();
    if budget.trim().parse::<i64>().unwrap_or(0) <= 0 {
        skip!(Machine, "the root of the v1 cpu controller has no real-time budget to give");
    }
    let b = scheduled(json!({ "policy": "SCHED_FIFO", "priority": 7 })).with(|c| {
        // Not below a cgroup of the tests, which has no budget itself.
        c["linux"]["cgroupsPath"] = json!(format!("/{}", new_id()));
        c["linux"]["resources"]["cpu"] =
            json!({ "realtimeRuntime": 1000, "realtimePeriod": 1_000_000 });
    });
    assert_eq!(priority(b)[1], "policy=1");
}

/// The right to it is one of the host, which init has not.
fn real_time_policy_in_a_user_namespace() {
    real_time_allowed();
    requires!(userns);
    no_scheduler_before();
    let b = scheduled(json!({ "policy": "SCHED_FIFO", "priority": 1 })).user_namespace(100_000);
    let b = b.with(|c| c["process"]["user"] = json!({ "uid": 33, "gid": 33 }));
    assert_eq!(priority(b)[1], "policy=1");
    let b = scheduled(json!({ "policy": "SCHED_OTHER", "nice": -5 })).user_namespace(100_000);
    assert_eq!(priority(b)[0], "nice=-5");
}

fn deadline_policy_is_set() {
    real_time_allowed();
    no_scheduler_before();
    let times = json!({ "policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 10_000_000,
        "period": 20_000_000 });
    assert_eq!(priority(scheduled(times))[1], "policy=6");
}

/// The process has another id than the caller, who could not do it from outside.
fn ordinary_users_may_lower_themselves() {
    requires!(root);
    no_scheduler_before();
    let user = SecondUser::with_ranges();
    let change = |scheduler: Value| {
        move |c: &mut Value| {
            c["process"]["scheduler"] = scheduler;
            c["process"]["ioPriority"] = json!({ "class": "IOPRIO_CLASS_IDLE", "priority": 0 });
        }
    };
    let maps = [(0, UID, 1), (1, RANGE.0, 100)];
    let b = user.bundle().maps(&maps, &maps);
    let b = b.with(|c| c["process"]["user"] = json!({ "uid": 33, "gid": 33 }));
    let b = b.with(change(json!({ "policy": "SCHED_BATCH", "nice": 11 })));
    b.run(&["/probe", "priority"]).assert_stdout("nice=11 policy=3 ioprio=24576");
    let b = user.bundle().with(change(json!({ "policy": "SCHED_OTHER", "nice": -20 })));
    let output = b.run(&["/probe", "true"]);
    output.assert_fails().assert_stderr_has("process.scheduler (SCHED_OTHER): sched_setattr(");
    output.assert_stderr_has("hint: it needs CAP_SYS_NICE on the host");
}

fn scheduler_of_children_is_reset() {
    no_scheduler_before();
    let flags =
        json!({ "policy": "SCHED_BATCH", "nice": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"] });
    let said = priority(scheduled(flags.clone()));
    assert_eq!(said[..2], ["nice=3".to_owned(), format!("policy={}", 3 | 0x4000_0000)]);
    // The process of an exec has a parent of ours, which must not take it away.
    let c = scheduled(flags).start(&["/probe", "sleep", "60"]);
    let said = c.exec(&["/probe", "priority"]);
    assert!(said.stdout().starts_with("nice=3 policy=1073741827 "), "{}", said.stdout());
    c.end();
}

fn every_scheduler_flag_is_planned() {
    for (flag, bits) in [
        ("SCHED_FLAG_RESET_ON_FORK", "0x1"),
        ("SCHED_FLAG_RECLAIM", "0x2"),
        ("SCHED_FLAG_DL_OVERRUN", "0x4"),
        ("SCHED_FLAG_KEEP_POLICY", "0x8"),
        ("SCHED_FLAG_KEEP_PARAMS", "0x10"),
        ("SCHED_FLAG_UTIL_CLAMP_MIN", "0x20"),
        ("SCHED_FLAG_UTIL_CLAMP_MAX", "0x40"),
    ] {
        let b = scheduled(json!({ "policy": "SCHED_OTHER", "flags": [flag] }));
        let lines = plan_lines(&b, "process.scheduler");
        assert!(
            lines[0].contains(&format!("SCHED_OTHER nice=0 priority=0 flags={bits} ")),
            "{lines:?}"
        );
    }
    let b = scheduled(json!({ "policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_X"] }));
    let error = plan_error(&b);
    assert!(error.contains("process.scheduler.flags[0]: unknown variant"), "{error}");
}

fn scheduler_that_the_host_refuses_has_a_cure() {
    requires!(command("plan"));
    // The kernel has reserved the number, and nothing behind it.
    let output = scheduled(json!({ "policy": "SCHED_ISO" })).assert_create_refused();
    let error = output.stderr();
    assert!(error.contains("process.scheduler (SCHED_ISO): sched_setattr("), "{error}");
    assert!(error.contains("hint: this kernel does not know the policy"), "{error}");
    if cgroups::v1_mount("cpu").is_some() {
        let fifo = json!({ "policy": "SCHED_FIFO", "priority": 1 });
        let error = scheduled(fifo).assert_create_refused().stderr();
        assert!(error.contains("linux.resources.cpu.realtimeRuntime"), "{error}");
    }
}

fn wrong_schedulers_are_refused() {
    for (scheduler, error) in [
        (json!({}), "process.scheduler: missing field `policy`"),
        (json!({ "policy": "SCHED_X" }), "process.scheduler.policy: unknown variant `SCHED_X`"),
        (
            json!({ "policy": "SCHED_OTHER", "nice": 20 }),
            "process.scheduler.nice: 20 is not in -20..19\n",
        ),
        (
            json!({ "policy": "SCHED_FIFO", "priority": 100 }),
            "process.scheduler.priority: 100; SCHED_FIFO and SCHED_RR have 1 to 99, SCHED_FIFO has 1..=99\n",
        ),
        (
            json!({ "policy": "SCHED_IDLE", "priority": 1 }),
            "process.scheduler.priority: 1; SCHED_FIFO and SCHED_RR have 1 to 99, SCHED_IDLE has 0..=0\n",
        ),
        (
            json!({ "policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 1999 }),
            "process.scheduler: SCHED_DEADLINE with runtime 2000, deadline 1999, period 0 ns; SCHED_DEADLINE needs",
        ),
    ] {
        let said = plan_error(&scheduled(scheduler));
        assert!(said.contains(error), "{said}");
    }
}

/// sched(7): such a process cannot fork.
fn deadline_policy_beside_start_hooks_is_refused() {
    let mut deadline =
        json!({ "policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 10_000_000 });
    let with_hook = |scheduler: &Value| {
        scheduled(scheduler.clone())
            .with(|c| c["hooks"] = json!({ "startContainer": [{ "path": "/probe" }] }))
    };
    let error = plan_error(&with_hook(&deadline));
    let wanted = "process.scheduler.flags: SCHED_DEADLINE with hooks.startContainer needs \
                  SCHED_FLAG_RESET_ON_FORK, as such a process cannot start others\n";
    assert!(error.contains(wanted), "{error}");
    deadline["flags"] = json!(["SCHED_FLAG_RESET_ON_FORK"]);
    let lines = plan_lines(&with_hook(&deadline), "process.scheduler");
    assert!(
        lines[0].contains("SCHED_DEADLINE nice=0 priority=0 flags=0x1 runtime, deadline, period=[1000000, 10000000, 0] ns"),
        "{lines:?}"
    );
}

fn io_priority_is_set() {
    differs!(Runc, "1.1 has no process.ioPriority");
    differs!(Crun, "1.8 has no process.ioPriority");
    let with = |class: &str, level: u32| {
        let priority = json!({ "class": class, "priority": level });
        let b = Bundle::new().with(|c| c["process"]["ioPriority"] = priority);
        priority_of_io(b)
    };
    assert_eq!(with("IOPRIO_CLASS_BE", 3), 2 << 13 | 3);
    assert_eq!(with("IOPRIO_CLASS_IDLE", 0), 3 << 13);
    requires!(root, capability(23, "CAP_SYS_NICE"));
    assert_eq!(with("IOPRIO_CLASS_RT", 7), 1 << 13 | 7);
}

fn priority_of_io(b: Bundle) -> u32 {
    let said = priority(b);
    said[2].strip_prefix("ioprio=").unwrap().parse().unwrap()
}

fn wrong_io_priorities_are_refused() {
    for (priority, error) in [
        (
            json!({ "class": "IOPRIO_CLASS_BE", "priority": 8 }),
            "process.ioPriority.priority: 8 is not in 0..7\n",
        ),
        (
            json!({ "class": "IOPRIO_CLASS_BE", "priority": -1 }),
            "process.ioPriority.priority: -1 is not in 0..7\n",
        ),
        (json!({ "class": "IDLE" }), "process.ioPriority.class: unknown variant `IDLE`"),
    ] {
        let said = plan_error(&Bundle::new().with(|c| c["process"]["ioPriority"] = priority));
        assert!(said.contains(error), "{said}");
    }
}

fn scheduling_of_exec() {
    no_scheduler_before();
    let c = scheduled(json!({ "policy": "SCHED_BATCH", "nice": 4 }))
        .with(|c| {
            c["process"]["ioPriority"] = json!({ "class": "IOPRIO_CLASS_IDLE", "priority": 0 });
        })
        .start(&["/probe", "sleep", "60"]);
    c.exec(&["/probe", "priority"]).assert_stdout("nice=4 policy=3 ioprio=24576");
    c.end();
}

/// A process.json for `exec --process`.
fn process_file(c: &Container, change: impl FnOnce(&mut Value)) -> String {
    let text = fs::read_to_string(c.bundle().join("config.json")).expect("config.json");
    let mut process = serde_json::from_str::<Value>(&text).expect("JSON")["process"].take();
    change(&mut process);
    let path = c.bundle().join("process.json");
    fs::write(&path, process.to_string()).expect("process.json");
    path.to_str().unwrap().to_owned()
}

fn exec_process_has_its_own_scheduling() {
    no_scheduler_before();
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let before = c.exec(&["/probe", "priority"]).stdout();
    let file = process_file(&c, |process| {
        process["args"] = json!(["/probe", "priority"]);
        process["scheduler"] = json!({ "policy": "SCHED_OTHER", "nice": 7,
            "flags": ["SCHED_FLAG_RESET_ON_FORK"] });
        process["ioPriority"] = json!({ "class": "IOPRIO_CLASS_BE", "priority": 6 });
    });
    let output = c.exec_with(&["--process", &file], &[]);
    output.assert_stdout(&format!("nice=7 policy={} ioprio={}", 0x4000_0000, 2 << 13 | 6));
    c.exec(&["/probe", "priority"]).assert_stdout(&before);
    c.end();
}

/// CPUs that the test may run on.
fn own_cpus() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").expect("status");
    let list = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:")).expect("a list");
    let ranges =
        list.trim().split(',').map(|range| range.split_once('-').unwrap_or((range, range)));
    let number = |text: &str| text.parse::<u32>().expect("a CPU");
    ranges
        .flat_map(|(first, last)| number(first)..=number(last))
        .map(|cpu| cpu.to_string())
        .collect()
}

fn allowed(cpus: &str) -> String {
    format!("Cpus_allowed_list {cpus}")
}

fn final_cpus_of_exec() {
    no_affinity_before();
    let cpus = own_cpus();
    let (Some(first), Some(last)) = (cpus.first(), cpus.last()) else { unreachable!() };
    if first == last {
        skip!(Machine, "needs two CPUs");
    }
    let b = Bundle::new()
        .with(|c| c["process"]["execCPUAffinity"] = json!({ "initial": "", "final": last }));
    let c = b.start(&["/probe", "affinity", "--", "sleep", "60"]);
    // It is not for the first process of the container.
    c.wait_for("Cpus_allowed_list");
    assert_ne!(c.stdout().trim(), allowed(last));
    c.exec(&["/probe", "affinity"]).assert_stdout(&allowed(last));
    let file = process_file(&c, |process| {
        process["args"] = json!(["/probe", "affinity"]);
        process["execCPUAffinity"] = json!({ "final": first });
    });
    c.exec_with(&["--process", &file], &[]).assert_stdout(&allowed(first));
    c.end();
}

/// Without another cpuset on the way the kernel leaves it as it was.
fn initial_cpus_of_exec() {
    no_affinity_before();
    if cgroups::v1_mount("cpuset").is_some() || cgroups::has_controller("cpuset") {
        skip!(Machine, "the cpuset of the container decides after the transition");
    }
    let cpus = own_cpus();
    if cpus.len() < 2 {
        skip!(Machine, "needs two CPUs");
    }
    let last = &cpus[cpus.len() - 1];
    let b = Bundle::new().with(|c| c["process"]["execCPUAffinity"] = json!({ "initial": last }));
    let c = b.start(&["/probe", "sleep", "60"]);
    c.exec(&["/probe", "affinity"]).assert_stdout(&allowed(last));
    c.end();
}

fn wrong_lists_of_cpus_are_refused() {
    let b = |key: &str, list: &str| {
        let (key, list) = (key.to_owned(), list.to_owned());
        Bundle::new().with(move |c| c["process"]["execCPUAffinity"] = json!({ key: list }))
    };
    for (key, list, error) in [
        ("final", "0-l1", "Invalid execCPUAffinity format: 0-l1"),
        ("initial", "0,", "Invalid execCPUAffinity format: 0,"),
        ("final", "3-1", "process.execCPUAffinity.final: the range \"3-1\" begins after its end\n"),
        (
            "initial",
            "9000",
            "process.execCPUAffinity.initial: there is no CPU 9000; the kernel knows 0 to 8191\n",
        ),
    ] {
        let said = plan_error(&b(key, list));
        assert!(said.contains("process.execCPUAffinity") && said.contains(error), "{said}");
    }
    for key in ["initial", "final"] {
        let c = b(key, "8000").start(&["/probe", "sleep", "60"]);
        let output = c.exec(&["/probe", "true"]);
        output.assert_exit(255);
        let field = format!("process.execCPUAffinity.{key} (8000): sched_setaffinity(0)");
        output.assert_stderr_has(&field).assert_stderr_has("hint: name CPUs");
        c.end();
    }
}

fn memory_policy(policy: Value) -> Bundle {
    Bundle::new().with(|c| c["linux"]["memoryPolicy"] = policy)
}

fn memory_policy_is_set() {
    requires!(path("/proc/self/numa_maps"));
    differs!(Runc, "1.1 has no linux.memoryPolicy");
    differs!(Crun, "1.8 has no linux.memoryPolicy");
    for (policy, shown) in [
        (json!({ "mode": "MPOL_DEFAULT", "nodes": "" }), "default"),
        (json!({ "mode": "MPOL_BIND", "nodes": "0" }), "bind:0"),
        (json!({ "mode": "MPOL_INTERLEAVE", "nodes": "0-0" }), "interleave:0"),
        (json!({ "mode": "MPOL_PREFERRED", "nodes": "0" }), "prefer:0"),
        (json!({ "mode": "MPOL_LOCAL" }), "local"),
        (
            json!({ "mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"] }),
            "bind=static:0",
        ),
        (
            json!({ "mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"] }),
            "bind=relative:0",
        ),
    ] {
        let c = memory_policy(policy).start(&["/probe", "cat", "/proc/self/numa_maps"]);
        c.wait_for("kernelpagesize").wait_status("stopped");
        let said = c.stdout();
        let policies = said.lines().map(|line| line.split(' ').nth(1).unwrap());
        assert!(policies.clone().count() > 0 && policies.clone().all(|p| p == shown), "{said}");
        c.delete();
    }
    let bind = json!({ "mode": "MPOL_BIND", "nodes": "0" });
    let c = memory_policy(bind).start(&["/probe", "sleep", "60"]);
    let said = c.exec(&["/probe", "cat", "/proc/self/numa_maps"]).stdout();
    assert!(said.contains(" bind:0 ") && !said.contains(" default "), "{said}");
    c.end();
}

fn memory_policy_takes_any_number_of_nodes() {
    let b = memory_policy(json!({ "mode": "MPOL_BIND", "nodes": "0-2047,4000",
        "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_NUMA_BALANCING"] }));
    let lines = plan_lines(&b, "linux.memoryPolicy");
    let wanted = "MPOL_BIND nodes=0-2047,4000 mode=0xa002";
    assert!(lines[0].contains(wanted), "{lines:?}");
}

fn wrong_memory_policies_are_refused() {
    for (policy, error) in [
        (json!({ "nodes": "0" }), "linux.memoryPolicy: missing field `mode`"),
        (json!({ "mode": "MPOL_X" }), "linux.memoryPolicy.mode: unknown variant `MPOL_X`"),
        (
            json!({ "mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_X"] }),
            "linux.memoryPolicy.flags[0]: unknown variant `MPOL_F_X`",
        ),
        (
            json!({ "mode": "MPOL_INTERLEAVE" }),
            "linux.memoryPolicy.nodes: MPOL_INTERLEAVE needs nodes such as \"0-3,7\"\n",
        ),
        (
            json!({ "mode": "MPOL_BIND", "nodes": "0;1" }),
            "linux.memoryPolicy.nodes: \"0;1\" is not a list such as \"0-3,7\"\n",
        ),
        (
            json!({ "mode": "MPOL_DEFAULT", "nodes": "0" }),
            "linux.memoryPolicy.nodes: MPOL_DEFAULT takes no nodes; remove them\n",
        ),
    ] {
        let said = plan_error(&memory_policy(policy));
        assert!(said.contains(error), "{said}");
    }
    // No machine has this one; a kernel without NUMA says so.
    let b = memory_policy(json!({ "mode": "MPOL_BIND", "nodes": "900" }));
    let error = b.assert_create_refused();
    error.assert_stderr_has("linux.memoryPolicy (MPOL_BIND): set_mempolicy(0x2, ");
    error.assert_stderr_has("hint: ");
}
