//! Hosts whose controllers are in v1 hierarchies: config-linux.md, "Control groups", and the kernel's
//! Documentation/admin-guide/cgroup-v1. `cgroups.rs` has what is the same in both versions.

use std::fs;
use std::path::PathBuf;

use runtime_tests::cgroups;
use runtime_tests::prelude::*;

tests![
    container_is_in_every_hierarchy,
    exec_joins_every_hierarchy,
    exec_joins_a_sub_cgroup_of_one_hierarchy,
    delete_removes_the_cgroup_of_every_hierarchy,
    delete_removes_the_rest_when_that_of_v2_has_gone,
    cgroup_namespace_begins_at_the_own_cgroup_of_every_hierarchy,
    mount_shows_the_hierarchies_of_a_namespace,
    mount_shows_the_own_cgroups_without_a_namespace,
    read_only_mount_is_read_only_in_every_hierarchy,
    mount_shows_v2_only_where_it_can_be_used,
    new_cpuset_inherits_from_above,
    rare_limits_are_written,
    throttle_of_a_device_is_written,
    cpu_quota_throttles,
    memory_and_swap_limits_grow_and_shrink_by_update,
    statistics_are_those_of_the_hierarchies,
    unified_is_refused_for_controllers_in_v1,
    swap_without_limit_is_refused,
    failing_create_leaves_no_hierarchy_behind,
    controller_that_is_in_no_hierarchy_is_refused,
    network_limits_are_written,
    host_without_cgroup2_is_told_how_to_mount_it,
];

/// The container's directory in the hierarchy of a controller.
fn of(c: &Container, controller: &str) -> PathBuf {
    cgroups::of_process_v1(c.pid(), controller)
}

fn read(c: &Container, controller: &str, file: &str) -> String {
    let path = of(c, controller).join(file);
    let text = fs::read_to_string(&path);
    text.unwrap_or_else(|e| panic!("{}: {e}", path.display())).trim().to_owned()
}

fn with_resources(resources: Value) -> Bundle {
    Bundle::new().with(|c| c["linux"]["resources"] = resources)
}

/// The lines of /proc/PID/cgroup of v1 hierarchies.
fn lines(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (name, path) = (fields.next()?, fields.next()?);
            (!name.is_empty()).then(|| (name.to_owned(), path.to_owned()))
        })
        .collect()
}

fn container_is_in_every_hierarchy() {
    requires!(cgroup_v1("memory"));
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let text = fs::read_to_string(format!("/proc/{}/cgroup", c.pid())).unwrap();
    let found = lines(&text);
    assert!(found.len() > 3, "{text}");
    for (name, path) in found {
        assert!(path.ends_with(c.id()), "{name}: {path}");
    }
    c.end();
}

fn exec_joins_every_hierarchy() {
    requires!(cgroup_v1("memory"));
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let text = fs::read_to_string(format!("/proc/{}/cgroup", c.pid())).unwrap();
    let output = c.exec(&["/probe", "cat", "/proc/self/cgroup"]);
    assert_eq!(lines(&output.stdout()), lines(&text));
    c.end();
}

fn exec_joins_a_sub_cgroup_of_one_hierarchy() {
    requires!(cgroup_v1("memory"), cgroup_v1("pids"));
    differs!(Crun, "takes one path for all");
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    fs::create_dir(of(&c, "memory").join("below")).unwrap();
    let output =
        c.exec_with(&["--cgroup", "memory:below"], &["/probe", "cat", "/proc/self/cgroup"]);
    output.assert_exit(0);
    for (name, path) in lines(&output.stdout()) {
        assert_eq!(path.ends_with("/below"), name == "memory", "{name}: {path}");
    }
    c.kill("KILL").wait_status("stopped").delete();
}

fn delete_removes_the_cgroup_of_every_hierarchy() {
    requires!(cgroup_v1("memory"));
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    // What the payload may have made.
    fs::create_dir_all(of(&c, "memory").join("a/b")).unwrap();
    assert!(!cgroups::tagged(c.id()).is_empty());
    c.kill("KILL").wait_status("stopped").delete();
    let left: Vec<_> =
        cgroups::tagged(c.id()).into_iter().filter(|p| p.ends_with(c.id())).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// As when a removal was cut off there, or systemd has stopped the scope.
fn delete_removes_the_rest_when_that_of_v2_has_gone() {
    requires!(cgroup_v1("memory"));
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let unified = cgroups::of_process(c.pid());
    c.kill("KILL").wait_status("stopped");
    until("v2 to be empty", || fs::remove_dir(&unified).ok());
    c.delete();
    let left: Vec<_> =
        cgroups::tagged(c.id()).into_iter().filter(|p| p.ends_with(c.id())).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn cgroup_namespace_begins_at_the_own_cgroup_of_every_hierarchy() {
    requires!(cgroup_v1("memory"), namespace("cgroup"));
    for b in [
        Bundle::new().namespace("cgroup", None),
        Bundle::new().namespace("cgroup", None).user_namespace(100_000),
    ] {
        let c = b.start(&["/probe", "sleep", "60"]);
        for output in [c.exec(&["/probe", "cat", "/proc/self/cgroup"])] {
            output.assert_exit(0);
            for (name, path) in lines(&output.stdout()) {
                assert_eq!(path, "/", "{name}");
            }
        }
        c.end();
    }
}

fn with_mount(options: &[&str]) -> Bundle {
    with_resources(json!({ "memory": { "limit": 64 << 20 } })).mount(
        "/sys/fs/cgroup",
        "cgroup",
        "cgroup",
        options,
    )
}

/// Java, systemd and nested engines read their limits there.
fn mount_shows_the_hierarchies_of_a_namespace() {
    requires!(cgroup_v1("memory"), namespace("cgroup"));
    for b in [
        with_mount(&["rw"]).namespace("cgroup", None),
        with_mount(&["rw"]).namespace("cgroup", None).user_namespace(100_000),
    ] {
        let output = b.run(&[
            "/probe",
            "cat",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "--",
            "cat",
            "/sys/fs/cgroup/pids/cgroup.procs",
        ]);
        output.assert_stdout(&format!("{}\n1\n", 64 << 20));
    }
}

fn mount_shows_the_own_cgroups_without_a_namespace() {
    requires!(cgroup_v1("memory"));
    let output = with_mount(&["ro"]).without_namespace("cgroup").run(&[
        "/probe",
        "cat",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "--",
        "cat",
        "/sys/fs/cgroup/pids/cgroup.procs",
    ]);
    output.assert_stdout(&format!("{}\n1\n", 64 << 20));
}

fn read_only_mount_is_read_only_in_every_hierarchy() {
    requires!(cgroup_v1("memory"), cgroup_v1("pids"));
    differs!(Runc, "1.1 leaves the files writable in a cgroup namespace");
    for b in [
        with_mount(&["ro"]).namespace("cgroup", None),
        with_mount(&["ro"]).without_namespace("cgroup"),
    ] {
        let output = b.run(&[
            "/probe",
            "mkdir",
            "/sys/fs/cgroup/x",
            "--",
            "mkdir",
            "/sys/fs/cgroup/memory/x",
            "--",
            "write",
            "/sys/fs/cgroup/pids/pids.max",
            "max",
        ]);
        assert_eq!(output.stdout(), "EROFS\nEROFS\nEROFS\n", "{}", output.stderr());
    }
}

/// A systemd in the container takes what it sees of v2 for its own, and fails where that is read-only:
/// Podman's `--systemd` makes only name=systemd writable. A nested runtime needs v2, writable.
fn mount_shows_v2_only_where_it_can_be_used() {
    requires!(cgroup_v1("memory"));
    for (options, expected) in [("ro", "ENOENT"), ("rw", "dir ")] {
        if options == "rw" {
            differs!(Runc, "1.1 shows v1 alone");
        }
        let b = with_mount(&[options]).namespace("cgroup", None);
        let output = b.run(&["/probe", "stat", "/sys/fs/cgroup/unified"]);
        assert!(output.stdout().starts_with(expected), "{options}: {}", output.stdout());
    }
}

fn new_cpuset_inherits_from_above() {
    requires!(cgroup_v1("cpuset"));
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    for file in ["cpuset.cpus", "cpuset.mems"] {
        assert_ne!(read(&c, "cpuset", file), "", "{file}");
    }
    c.end();
}

fn rare_limits_are_written() {
    requires!(cgroup_v1("memory"), cgroup_v1("cpu"));
    let c = with_resources(json!({
        "memory": { "limit": 64 << 20, "swappiness": 7 },
        "cpu": { "quota": 50_000, "period": 100_000, "burst": 10_000 },
    }));
    let c = c.start(&["/probe", "sleep", "60"]);
    assert_eq!(read(&c, "memory", "memory.swappiness"), "7");
    if runtime() == Runtime::Rt {
        assert_eq!(read(&c, "cpu", "cpu.cfs_burst_us"), "10000");
    }
    c.end();
}

/// A whole disk of this machine, `major:minor`.
fn disk() -> Option<(u64, u64)> {
    let disks = fs::read_dir("/sys/block").ok()?;
    disks.flatten().find_map(|disk| {
        let number = fs::read_to_string(disk.path().join("dev")).ok()?;
        let (major, minor) = number.trim().split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    })
}

fn throttle_of_a_device_is_written() {
    requires!(cgroup_v1("blkio"));
    let Some((major, minor)) = disk() else { return };
    let c = with_resources(json!({ "blockIO": {
        "throttleReadBpsDevice": [{ "major": major, "minor": minor, "rate": 1_048_576 }],
        "throttleWriteIOPSDevice": [{ "major": major, "minor": minor, "rate": 100 }],
    } }))
    .start(&["/probe", "sleep", "60"]);
    let line = |file: &str| read(&c, "blkio", file);
    assert_eq!(line("blkio.throttle.read_bps_device"), format!("{major}:{minor} 1048576"));
    assert_eq!(line("blkio.throttle.write_iops_device"), format!("{major}:{minor} 100"));
    c.end();
}

fn cpu_quota_throttles() {
    requires!(cgroup_v1("cpu"));
    let c = with_resources(json!({ "cpu": { "quota": 5_000, "period": 50_000 } }))
        .start(&["/probe", "spin", "20"]);
    let throttled = || {
        let stat = read(&c, "cpu", "cpu.stat");
        let line = stat.lines().find_map(|line| line.strip_prefix("nr_throttled ")).unwrap_or("0");
        line.parse::<u64>().unwrap()
    };
    until("the payload is throttled", || (throttled() > 3).then_some(()));
    c.kill("KILL").wait_status("stopped").delete();
}

fn memory_and_swap_limits_grow_and_shrink_by_update() {
    requires!(cgroup_v1("memory"));
    let c = with_resources(json!({ "memory": { "limit": 64 << 20, "swap": 96 << 20 } }))
        .start(&["/probe", "sleep", "60"]);
    if !of(&c, "memory").join("memory.memsw.limit_in_bytes").exists() {
        c.end();
        return;
    }
    for (limit, swap) in [(200_u64, 300_u64), (32, 40), (100, 100)] {
        let (limit, swap) = (limit << 20, swap << 20);
        rt(["update", "--memory", &limit.to_string(), "--memory-swap", &swap.to_string(), c.id()])
            .output()
            .assert_exit(0);
        assert_eq!(read(&c, "memory", "memory.limit_in_bytes"), limit.to_string());
        assert_eq!(read(&c, "memory", "memory.memsw.limit_in_bytes"), swap.to_string());
    }
    c.end();
}

fn statistics_are_those_of_the_hierarchies() {
    requires!(cgroup_v1("memory"), cgroup_v1("cpuacct"), command("events"));
    let c = with_resources(json!({ "memory": { "limit": 64 << 20 }, "pids": { "limit": 50 } }))
        .start(&["/probe", "sleep", "60"]);
    let output = rt(["events", "--stats", c.id()]).output();
    output.assert_exit(0);
    let data = &output.json()["data"];
    assert_eq!(data["memory"]["usage"]["limit"], 64 << 20, "{data}");
    assert!(data["memory"]["usage"]["usage"].as_u64().unwrap() > 0, "{data}");
    assert!(data["memory"]["raw"]["total_rss"].as_u64().is_some(), "{data}");
    assert!(data["cpu"]["usage"]["total"].as_u64().unwrap() > 0, "{data}");
    assert!(!data["cpu"]["usage"]["percpu"].as_array().unwrap().is_empty(), "{data}");
    assert_eq!(data["pids"]["limit"], 50, "{data}");
    c.end();
}

fn unified_is_refused_for_controllers_in_v1() {
    requires!(cgroup_v1("memory"));
    differs!(Runc, "1.1 says that v1 has no unified, without the name of the file");
    let output =
        with_resources(json!({ "unified": { "memory.high": "1000000" } })).run(&["/probe", "true"]);
    output.assert_fails();
    output.assert_stderr_has("linux.resources.unified[\"memory.high\"]: the memory controller");
}

fn swap_without_limit_is_refused() {
    requires!(cgroup_v1("memory"));
    let output = with_resources(json!({ "memory": { "swap": 64 << 20 } })).run(&["/probe", "true"]);
    output.assert_fails();
}

fn failing_create_leaves_no_hierarchy_behind() {
    requires!(cgroup_v1("cpuset"));
    let b = with_resources(json!({ "cpu": { "cpus": "4095" } }));
    let output = b.assert_create_refused();
    if runtime() == Runtime::Rt {
        output.assert_stderr_has("linux.resources.cpu.cpus");
        output.assert_stderr_has("hint: choose from the list of the cgroup above");
    }
    let left = cgroups::tagged(b.id());
    assert!(left.iter().all(|path| !path.ends_with(b.id())), "{left:?}");
}

fn controller_that_is_in_no_hierarchy_is_refused() {
    requires!(cgroup_v1("memory"));
    if cgroups::v1_mount("net_cls").is_some() {
        return;
    }
    let priority = json!([{ "name": "lo", "priority": 3 }]);
    for (key, value) in [("classID", json!(1_048_577)), ("priorities", priority)] {
        let output = with_resources(json!({ "network": { key: value } })).run(&["/probe", "true"]);
        output.assert_fails();
        if runtime() == Runtime::Rt {
            output.assert_stderr_has(&format!("linux.resources.network.{key}: cgroup v2 has no"));
        }
    }
}

/// Hosts with systemd and cgroup v1 have both controllers in one hierarchy.
fn network_limits_are_written() {
    requires!(cgroup_v1("net_cls"), cgroup_v1("net_prio"));
    let c = with_resources(json!({ "network": {
        "classID": 1_048_577, "priorities": [{ "name": "lo", "priority": 3 }],
    } }))
    .start(&["/probe", "sleep", "60"]);
    assert_eq!(read(&c, "net_cls", "net_cls.classid"), "1048577");
    let map = read(&c, "net_prio", "net_prio.ifpriomap");
    assert!(map.lines().any(|line| line == "lo 3"), "{map}");
    c.end();
}

/// `rt` keeps the processes of a container in cgroup v2, which any kernel can mount beside v1.
fn host_without_cgroup2_is_told_how_to_mount_it() {
    requires!(cgroup_v1("memory"));
    differs!(Runc, "needs no cgroup2");
    let Some(unified) = cgroups::v2_mount() else { return };
    nix::mount::umount2(&unified, nix::mount::MntFlags::MNT_DETACH).unwrap();
    let limited = || with_resources(json!({ "pids": { "limit": 20 } }));
    let output = limited().run(&["/probe", "true"]);
    output.assert_fails();
    output.assert_stderr_has("this host mounts cgroup v1 hierarchies only");
    output.assert_stderr_has("mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified");
    let (kind, none) = (Some("cgroup2"), None::<&str>);
    nix::mount::mount(kind, &unified, kind, nix::mount::MsFlags::empty(), none).unwrap();
    limited().run(&["/probe", "true"]).assert_exit(0);
}
