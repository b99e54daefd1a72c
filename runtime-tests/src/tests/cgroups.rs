//! config-linux.md, "Control groups": where a container is, its limits, statistics, update.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use runtime_tests::cgroups;
use runtime_tests::prelude::*;

tests![
    absolute_path_is_taken_from_the_top,
    relative_path_is_below_some_parent,
    absent_path_is_named_after_the_id,
    dotdot_does_not_leave_the_hierarchy,
    create_makes_and_delete_removes_the_cgroup,
    delete_ends_what_is_left_in_the_cgroup,
    cgroup_namespace_hides_the_path,
    writable_cgroup_belongs_to_the_payload,
    limits_stay_with_the_host,
    pids_limit,
    exec_enters_a_full_cgroup,
    memory_limit_is_written,
    memory_limit_kills,
    cpu_limits_are_written,
    cpu_idle_and_burst_are_written,
    swap_limit_is_written,
    io_limits_are_written,
    cpuset_is_applied,
    huge_page_limit,
    unified_is_written,
    unified_unknown_file_is_refused,
    limit_without_controller_is_refused,
    events_stats_once,
    events_at_an_interval,
    events_report_an_oom_kill,
    events_of_a_stopped_container,
    update_by_flags,
    update_by_resources_from_a_file_and_stdin,
    update_refuses_nonsense,
    update_leaves_other_limits_alone,
    cgroup_manager_disabled,
    exec_after_the_limit_is_reached,
    processes_are_born_in_the_cgroup,
];

/// A file of the container's cgroup: of the v1 controller in the host view, else of v2.
fn read(c: &Container, controller: &str, file: &str) -> String {
    let dir: PathBuf = if cgroups::v1_mount(controller).is_some() {
        cgroups::of_process_v1(c.pid(), controller)
    } else {
        cgroups::of_process(c.pid())
    };
    let path = dir.join(file);
    fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        .trim()
        .to_owned()
}

fn with_resources(resources: Value) -> Bundle {
    Bundle::new().with(|c| c["linux"]["resources"] = resources)
}

fn with_path(path: Option<&str>) -> Bundle {
    Bundle::new().with(|c| {
        let linux = c["linux"].as_object_mut().unwrap();
        linux.remove("cgroupsPath");
        if let Some(path) = path {
            linux.insert("cgroupsPath".to_owned(), json!(path));
        }
    })
}

/// The paths in /proc/PID/cgroup: one with v2, one per hierarchy on a hybrid host, where a runtime
/// need not enter all of them.
fn places(c: &Container) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{}/cgroup", c.pid())).unwrap();
    text.lines().filter_map(|l| l.splitn(3, ':').nth(2)).map(str::to_owned).collect()
}

fn absolute_path_is_taken_from_the_top() {
    requires!(cgroupfs_driver);
    let path = format!("/{}/one/two", runtime_tests::isolate::tag());
    let c = with_path(Some(&path)).start(&["/probe", "sleep", "60"]);
    assert!(places(&c).contains(&path), "{:?}", places(&c));
    c.end();
    // The parent is of our making as well; a runtime removes the leaf only.
    remove_empty(&format!("{}/one", runtime_tests::isolate::tag()));
}

/// Removes an empty cgroup, in all hierarchies.
fn remove_empty(path: &str) {
    for hierarchy in cgroups::hierarchies() {
        fs::remove_dir(hierarchy.at.join(path)).ok();
    }
}

fn relative_path_is_below_some_parent() {
    requires!(cgroupfs_driver);
    let name = new_id();
    let c = with_path(Some(&name)).start(&["/probe", "sleep", "60"]);
    assert!(places(&c).iter().any(|p| p.ends_with(&format!("/{name}"))), "{:?}", places(&c));
    c.end();
}

fn absent_path_is_named_after_the_id() {
    requires!(root);
    let c = with_path(None).start(&["/probe", "sleep", "60"]);
    // With systemd it is a scope, in which crun has a level of its own.
    let named = |part: &str| {
        let part = part.trim_end_matches(".scope");
        part == c.id() || part.ends_with(&format!("-{}", c.id()))
    };
    let places = places(&c);
    assert!(places.iter().any(|place| place.split('/').any(named)), "{places:?}");
    c.end();
}

fn dotdot_does_not_leave_the_hierarchy() {
    requires!(cgroupfs_driver);
    let name = new_id();
    let b = with_path(Some(&format!("../../../../../{name}"))).args(&["/probe", "sleep", "60"]);
    let output = b.try_create(&[]);
    if output.code != 0 {
        output.assert_fails();
        return;
    }
    let c = Container::new(&b, output);
    assert!(places(&c).iter().all(|p| !p.contains("..")), "{:?}", places(&c));
    c.delete_force();
}

fn create_makes_and_delete_removes_the_cgroup() {
    requires!(root);
    let c = Bundle::new().args(&["/probe", "true"]).create();
    assert!(!cgroups::tagged(c.id()).is_empty());
    c.start().wait_status("stopped").delete();
    assert_eq!(cgroups::tagged(c.id()), Vec::<PathBuf>::new());
}

/// Without a pid namespace of its own, processes outlive init; delete must not leave them.
fn delete_ends_what_is_left_in_the_cgroup() {
    requires!(root);
    sometimes_differs!(
        Runc,
        "rmdir races with the dying processes: it sometimes leaves the cgroup"
    );
    let c = Bundle::new().without_namespace("pid").start(&["/probe", "orphan", "60"]);
    c.wait_status("stopped").delete();
}

fn cgroup_namespace_hides_the_path() {
    requires!(root);
    let output = Bundle::new().namespace("cgroup", None).run(&["/probe", "cgroup"]);
    output.assert_exit(0);
    assert!(!output.stdout().contains(&runtime_tests::isolate::tag()), "{}", output.stdout());
}

/// config-linux.md, "Cgroup ownership": with a namespace of its own that it may write to, the
/// payload's user gets the cgroup, and only then.
fn writable_cgroup_belongs_to_the_payload() {
    requires!(root, cgroup_v2, userns, namespace("cgroup"));
    differs!(Runc, "1.1 does it with the systemd driver only");
    let owner = |b: Bundle, options: &[&str]| {
        let c = b.mount("/sys/fs/cgroup", "cgroup", "cgroup", options).start(&[
            "/probe",
            "mkdir",
            "/sys/fs/cgroup/own",
            "--",
            "cgroup",
            "--",
            "sleep",
            "60",
        ]);
        c.wait_for("0::/");
        let cgroup = cgroups::of_process(c.pid());
        let made = cgroup.join("own").exists();
        let owner = fs::metadata(&cgroup).unwrap().uid();
        c.end();
        assert!(!cgroup.exists());
        (owner, made)
    };
    let writable = ["nosuid", "noexec", "nodev"];
    let in_namespace = || Bundle::new().user_namespace(100_000).namespace("cgroup", None);
    assert_eq!(owner(in_namespace(), &writable), (100_000, true));
    let read_only = ["nosuid", "noexec", "nodev", "ro"];
    differs!(Crun, "gives it to root of every user namespace");
    assert_eq!(owner(in_namespace(), &read_only), (0, false));
    let user = Bundle::new()
        .namespace("cgroup", None)
        .with(|c| c["process"]["user"] = json!({ "uid": 1000, "gid": 1000 }));
    assert_eq!(owner(user, &writable), (1000, true));
}

fn limits_stay_with_the_host() {
    requires!(root, cgroup_v2, userns, namespace("cgroup"));
    differs!(Runc, "1.1 gives the cgroup away with the systemd driver only");
    let c = Bundle::new()
        .user_namespace(100_000)
        .namespace("cgroup", None)
        .mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev"])
        .start(&["/probe", "sleep", "60"]);
    let cgroup = cgroups::of_process(c.pid());
    let listed = fs::read_to_string("/sys/kernel/cgroup/delegate").unwrap();
    for entry in fs::read_dir(&cgroup).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let expected = if listed.lines().any(|line| line == name) { 100_000 } else { 0 };
        assert_eq!(entry.metadata().unwrap().uid(), expected, "{name}");
    }
    c.end();
}

fn pids_limit() {
    requires!(root, controller("pids"));
    let c = with_resources(json!({ "pids": { "limit": 30 } })).start(&["/probe", "sleep", "60"]);
    assert_eq!(read(&c, "pids", "pids.max"), "30");
    let output = c.exec(&["/probe", "fork", "60"]);
    output.assert_exit(0);
    assert!(output.stdout().ends_with("EAGAIN\n"), "{}", output.stdout());
    c.end();
}

/// Who looks for the reason of a fork bomb needs a process where no more may be born. With a limit
/// of 2 there is room for one, and rt's exec takes two for a moment.
fn exec_enters_a_full_cgroup() {
    requires!(root, controller("pids"));
    sometimes_differs!(Runc, "the Go runtime of its init may find no room for a thread");
    differs!(Crun, "1.8 needs room for two");
    for limit in [1, 2] {
        let b = with_resources(json!({ "pids": { "limit": limit } }));
        let c = b.start(&["/probe", "sleep", "60"]);
        let output = c.exec(&["/probe", "fork", "1"]);
        output.assert_exit(0);
        assert!(output.stdout().contains("EAGAIN"), "it is limited as well: {}", output.stdout());
        let place = |of: &str| {
            let output = c.exec(&["/probe", "cat", &format!("/proc/{of}/cgroup")]);
            output.assert_exit(0);
            output.stdout().to_string()
        };
        assert_eq!(place("self"), place("1"));
        c.end();
    }
}

const MEGABYTE: u64 = 1024 * 1024;

fn memory_limit_is_written() {
    requires!(root, controller("memory"));
    let c = with_resources(
        json!({ "memory": { "limit": 64 * MEGABYTE, "reservation": 32 * MEGABYTE } }),
    )
    .start(&["/probe", "sleep", "60"]);
    let (limit, low) = if cgroups::is_v2() {
        ("memory.max", "memory.low")
    } else {
        ("memory.limit_in_bytes", "memory.soft_limit_in_bytes")
    };
    assert_eq!(read(&c, "memory", limit), (64 * MEGABYTE).to_string());
    assert_eq!(read(&c, "memory", low), (32 * MEGABYTE).to_string());
    c.end();
}

fn memory_limit_kills() {
    requires!(root, controller("memory"));
    let b = with_resources(json!({ "memory": { "limit": 32 * MEGABYTE } }));
    b.run(&["/probe", "alloc", "200"]).assert_exit(137);
}

fn cpu_limits_are_written() {
    requires!(root, controller("cpu"));
    let c = with_resources(json!({ "cpu": { "shares": 512, "quota": 50_000, "period": 100_000 } }))
        .start(&["/probe", "sleep", "60"]);
    if cgroups::is_v2() {
        assert_eq!(read(&c, "cpu", "cpu.max"), "50000 100000");
        // 512 shares are half of the default; the formula changed in runc 1.3.
        assert!(["20", "59"].contains(&read(&c, "cpu", "cpu.weight").as_str()));
    } else {
        assert_eq!(read(&c, "cpu", "cpu.shares"), "512");
        assert_eq!(read(&c, "cpu", "cpu.cfs_quota_us"), "50000");
        assert_eq!(read(&c, "cpu", "cpu.cfs_period_us"), "100000");
    }
    c.end();
}

/// Only where v2 has the controller: not on a hybrid machine, but in the virtual one.
fn cpu_idle_and_burst_are_written() {
    requires!(root, cgroup_v2, controller("cpu"));
    differs!(Runc, "1.1 knows neither idle nor burst");
    differs!(Crun, "burst came with 1.9");
    let cpu = json!({ "quota": 50_000, "period": 100_000, "burst": 10_000 });
    let c = with_resources(json!({ "cpu": cpu })).start(&["/probe", "sleep", "60"]);
    assert_eq!(read(&c, "cpu", "cpu.max.burst"), "10000");
    c.end();
    let c = with_resources(json!({ "cpu": { "idle": 1 } })).start(&["/probe", "sleep", "60"]);
    assert_eq!(read(&c, "cpu", "cpu.idle"), "1");
    c.end();
}

/// The spec's `swap` is memory and swap together, the file of v2 is swap alone.
fn swap_limit_is_written() {
    requires!(root, cgroup_v2, controller("memory"));
    let memory = json!({ "limit": 64 * MEGABYTE, "swap": 96 * MEGABYTE });
    let c = with_resources(json!({ "memory": memory })).start(&["/probe", "sleep", "60"]);
    assert_eq!(read(&c, "memory", "memory.swap.max"), (32 * MEGABYTE).to_string());
    c.end();
}

fn io_limits_are_written() {
    requires!(root, cgroup_v2, controller("io"));
    let c =
        with_resources(json!({ "blockIO": { "weight": 500 } })).start(&["/probe", "sleep", "60"]);
    let dir = cgroups::of_process(c.pid());
    let weights =
        ["io.weight", "io.bfq.weight"].map(|f| fs::read_to_string(dir.join(f)).unwrap_or_default());
    // io.bfq.weight takes the value itself, io.weight has another range.
    assert!(weights.iter().any(|w| w.contains("4950") || w.contains("500")), "{weights:?}");
    c.end();
}

fn cpuset_is_applied() {
    requires!(root, controller("cpuset"));
    let b = with_resources(json!({ "cpu": { "cpus": "0", "mems": "0" } }));
    b.run(&["/probe", "affinity"]).assert_stdout("Cpus_allowed_list 0");
}

fn huge_page_limit() {
    requires!(root, cgroup_v2, controller("hugetlb"));
    let b =
        with_resources(json!({ "hugepageLimits": [{ "pageSize": "2MB", "limit": 4 * MEGABYTE }] }));
    let c = b.start(&["/probe", "sleep", "60"]);
    assert_eq!(read(&c, "hugetlb", "hugetlb.2MB.max"), (4 * MEGABYTE).to_string());
    c.end();
}

fn unified_is_written() {
    requires!(root, cgroup_v2, controller("hugetlb"));
    let b = with_resources(
        json!({ "unified": { "hugetlb.2MB.max": "6291456", "cgroup.max.depth": "7" } }),
    );
    let c = b.start(&["/probe", "sleep", "60"]);
    assert_eq!(read(&c, "hugetlb", "hugetlb.2MB.max"), "6291456");
    assert_eq!(read(&c, "hugetlb", "cgroup.max.depth"), "7");
    c.end();
}

fn unified_unknown_file_is_refused() {
    requires!(root, cgroup_v2);
    differs!(Crun, "leaves the cgroup behind");
    for file in ["hugetlb.nosuch", "nosuch.max", "../x", "a/b"] {
        with_resources(json!({ "unified": { file: "1" } })).assert_create_refused();
    }
}

fn limit_without_controller_is_refused() {
    requires!(root, cgroup_v2);
    if cgroups::has_controller("memory") {
        skip!(Machine, "this machine has the memory controller in v2");
    }
    differs!(Crun, "leaves the cgroup behind");
    with_resources(json!({ "memory": { "limit": 64 * MEGABYTE } })).assert_create_refused();
}

/// The envelope that containerd and cAdvisor know.
fn events_stats_once() {
    requires!(root, command("events"));
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let output = rt(["events", "--stats", c.id()]).output();
    output.assert_exit(0);
    assert_eq!(output.lines().len(), 1, "one line");
    let event = output.json();
    assert_eq!(event["type"], "stats");
    assert_eq!(event["id"], c.id());
    let data = &event["data"];
    for key in ["cpu", "memory", "pids", "blkio", "hugetlb"] {
        assert!(data[key].is_object(), "{key}: {event}");
    }
    assert!(data["cpu"]["usage"]["total"].is_u64() || cgroups::is_v2(), "{event}");
    if cgroups::has_controller("pids") && runtime() != Runtime::Runc {
        assert_eq!(data["pids"]["current"], 1, "{event}"); // runc's start does not wait for execve
    }
    if cgroups::has_controller("memory") {
        assert!(data["memory"]["usage"]["usage"].as_u64().unwrap() > 0, "{event}");
    }
    c.end();
}

fn events_at_an_interval() {
    requires!(root, command("events"));
    if cgroups::is_v2() && !cgroups::has_controller("memory") {
        differs!(Runc, "cannot do without the memory controller in v2");
    }
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let going = rt(["events", "--interval", "100ms", c.id()]).spawn();
    until("three lines", || (going.stdout().lines().count() >= 3).then_some(()));
    for line in going.stdout().lines().take(3) {
        let event: Value = serde_json::from_str(line).expect("each line is JSON");
        assert_eq!(event["type"], "stats");
    }
    c.kill("KILL").wait_status("stopped").delete();
    going.wait().assert_exit(0);
}

fn events_report_an_oom_kill() {
    requires!(root, command("events"), controller("memory"));
    let c = with_resources(json!({ "memory": { "limit": 32 * MEGABYTE } }))
        .start(&["/probe", "sleep", "60"]);
    let going = rt(["events", "--interval", "100ms", c.id()]).spawn();
    until("the first statistics", || going.stdout().contains("stats").then_some(()));
    c.exec(&["/probe", "alloc", "100"]).assert_exit(137);
    until("an oom event", || going.stdout().contains("\"type\":\"oom\"").then_some(()));
    c.kill("KILL").wait_status("stopped").delete();
    going.wait().assert_exit(0);
}

fn events_of_a_stopped_container() {
    requires!(root, command("events"));
    let c = Bundle::new().start(&["/probe", "true"]);
    c.wait_status("stopped");
    rt(["events", "--stats", c.id()]).output().assert_fails();
    c.delete();
}

fn update_by_flags() {
    requires!(root, controller("pids"), controller("memory"), controller("cpu"));
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let update =
        |flags: &[&str]| rt(["update"]).args(flags).arg(c.id()).output().assert_exit(0).code;
    update(&["--pids-limit", "17"]);
    assert_eq!(read(&c, "pids", "pids.max"), "17");
    update(&["--memory", "50331648"]);
    update(&["--cpu-share", "256", "--cpu-period", "50000", "--cpu-quota", "20000"]);
    if cgroups::is_v2() {
        assert_eq!(read(&c, "memory", "memory.max"), "50331648");
        assert_eq!(read(&c, "cpu", "cpu.max"), "20000 50000");
    } else {
        assert_eq!(read(&c, "memory", "memory.limit_in_bytes"), "50331648");
        assert_eq!(read(&c, "cpu", "cpu.shares"), "256");
        assert_eq!(read(&c, "cpu", "cpu.cfs_quota_us"), "20000");
    }
    update(&["--pids-limit", "-1"]);
    assert_eq!(read(&c, "pids", "pids.max"), "max");
    c.end();
}

/// containerd and CRI-O send JSON on standard input, Podman a file.
fn update_by_resources_from_a_file_and_stdin() {
    requires!(root);
    let (controller, resources, file, value) = if cgroups::has_controller("pids") {
        ("pids", json!({ "pids": { "limit": 23 } }), "pids.max", "23")
    } else {
        requires!(cgroup_v2, controller("hugetlb"));
        (
            "hugetlb",
            json!({ "unified": { "hugetlb.2MB.max": "2097152" } }),
            "hugetlb.2MB.max",
            "2097152",
        )
    };
    let path = scratch().join("resources.json");
    fs::write(&path, resources.to_string()).unwrap();
    for source in ["-", path.to_str().unwrap()] {
        let c = Bundle::new().start(&["/probe", "sleep", "60"]);
        rt(["update", "--resources", source, c.id()])
            .stdin(resources.to_string())
            .output()
            .assert_exit(0);
        assert_eq!(read(&c, controller, file), value);
        c.end();
    }
}

fn update_refuses_nonsense() {
    requires!(root);
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    rt(["update", "--resources", "-", c.id()]).stdin("{").output().assert_fails();
    rt(["update", "--resources", "/nosuch/file", c.id()]).output().assert_fails();
    rt(["update", "--memory", "x", c.id()]).output().assert_fails_somewhere();
    c.end();
}

fn update_leaves_other_limits_alone() {
    requires!(root, controller("pids"), controller("cpu"));
    let c = with_resources(json!({ "pids": { "limit": 9 }, "cpu": { "shares": 512 } }))
        .start(&["/probe", "sleep", "60"]);
    rt(["update", "--cpu-share", "600", c.id()]).output().assert_exit(0);
    assert_eq!(read(&c, "pids", "pids.max"), "9");
    c.end();
}

/// Podman's `--cgroups=disabled`.
fn cgroup_manager_disabled() {
    requires!(root);
    differs!(Runc, "has no such flag");
    let b = with_path(None).args(&["/probe", "cgroup"]);
    let output = b.run_call().arg(b.id()).global(["--cgroup-manager", "disabled"]).output();
    output.assert_stdout(&fs::read_to_string("/proc/self/cgroup").unwrap());
}

/// Joining a cgroup is not forking in it: exec works when the limit is reached, its payload's fork does not.
fn exec_after_the_limit_is_reached() {
    requires!(root, controller("pids"));
    let c = with_resources(json!({ "pids": { "limit": 3 } })).start(&["/probe", "sleep", "60"]);
    c.exec(&["/probe", "fork", "10"]).assert_says("1 EAGAIN");
    c.end();
}

/// `CLONE_INTO_CGROUP`: writing a pid into cgroup.procs takes the kernel milliseconds.
fn processes_are_born_in_the_cgroup() {
    requires!(root, cgroup_v2, program("/usr/bin/strace"));
    differs!(Runc, "1.1 writes the pid");
    if view() == View::Systemd {
        differs!(Crun, "writes the pid of its scope's process");
    }
    let trace = scratch().join("trace");
    let strace = ["/usr/bin/strace", "-f", "-e", "trace=clone3,openat,openat2", "-o"];
    let through = || strace.into_iter().chain([trace.to_str().unwrap()]);
    let check = || {
        let text = fs::read_to_string(&trace).unwrap();
        assert!(text.contains("CLONE_INTO_CGROUP") && text.contains("cgroup="), "{text}");
        let moved = text.lines().find(|l| l.contains("cgroup.procs") && !l.contains("O_RDONLY"));
        assert_eq!(moved, None);
    };
    let b = Bundle::new().args(&["/probe", "true"]);
    b.run_call().arg(b.id()).through(through()).output().assert_exit(0);
    check();
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    rt(["exec", c.id(), "/probe", "true"]).through(through()).output().assert_exit(0);
    check();
    c.end();
}
