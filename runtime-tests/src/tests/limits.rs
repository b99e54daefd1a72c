//! That limits limit, through cgroup v2: the kernel's cgroup-v2.rst, config-linux.md "Control groups".
//!
//! A hybrid host has hardly any controller in v2; the virtual machine has all of them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use runtime_tests::cgroups;
use runtime_tests::prelude::*;

tests![
    container_init_that_needs_too_much_memory_is_told,
    memory_used_is_counted,
    memory_high_and_group_kill_by_unified,
    memory_limit_below_the_usage_is_refused_when_asked,
    swap_is_memory_and_swap_together,
    quota_throttles_and_is_lifted_by_update,
    weight_is_relative,
    memory_nodes_are_applied,
    pids_limits_of_zero_and_less,
    fork_bomb_is_contained_and_deleted,
    block_device_is_throttled,
    block_device_limits_are_written,
    huge_pages_of_each_size,
    statistics_agree_with_the_files,
    sub_cgroups_of_the_payload_are_removed,
    threaded_sub_cgroups_are_removed,
    exec_follows_init_into_a_leaf,
    frozen_payload_uses_no_cpu,
    limits_are_in_place_before_the_payload_runs,
];

const MEGABYTE: u64 = 1024 * 1024;

fn with_resources(resources: Value) -> Bundle {
    Bundle::new().with(|c| c["linux"]["resources"] = resources)
}

fn at(c: &Container, file: &str) -> std::path::PathBuf {
    cgroups::of_process(c.pid()).join(file)
}

fn read(c: &Container, file: &str) -> String {
    let path = at(c, file);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.trim().to_owned()
}

/// A line `KEY NUMBER` of a file.
fn key(c: &Container, file: &str, key: &str) -> u64 {
    let text = read(c, file);
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{key} in {text}")).trim().parse().unwrap()
}

fn update(c: &Container, resources: &Value) -> Output {
    let file = scratch().join("update.json");
    fs::write(&file, resources.to_string()).unwrap();
    rt(["update", "--resources", file.to_str().unwrap(), c.id()]).output()
}

/// runc: "container init was OOM-killed (memory limit too low?)".
fn container_init_that_needs_too_much_memory_is_told() {
    requires!(cgroup_v2, controller("memory"));
    if view() == View::Systemd {
        differs!(Runc, "the scope goes away under it, and it says that a file is missing");
    }
    let b = with_resources(json!({ "memory": { "limit": 4096 } })).args(&["/probe", "true"]);
    let output = b.run_call().arg(b.id()).output();
    output.assert_fails();
    let stderr = output.stderr().to_lowercase();
    assert!(stderr.contains("memory limit"), "{stderr}");
    if runtime() == Runtime::Rt {
        output.assert_stderr_has("hint: raise linux.resources.memory.limit");
    }
}

fn memory_used_is_counted() {
    requires!(cgroup_v2, controller("memory"), command("events"));
    let c = with_resources(json!({ "memory": { "limit": 64 * MEGABYTE } }))
        .start(&["/probe", "sleep", "60"]);
    c.exec(&["/probe", "alloc", "100"]).assert_exit(137);
    assert_eq!(key(&c, "memory.events", "oom_kill"), 1);
    let event = rt(["events", "--stats", c.id()]).output().json();
    let usage = &event["data"]["memory"]["usage"];
    assert_eq!(usage["limit"], 64 * MEGABYTE, "{event}");
    assert!(usage["usage"].as_u64().unwrap() <= 64 * MEGABYTE, "{event}");
    assert_eq!(c.status(), "running", "only the process that took too much is killed");
    c.end();
}

/// systemd-oomd and Kubernetes want all of a container to go together.
fn memory_high_and_group_kill_by_unified() {
    requires!(cgroup_v2, controller("memory"));
    let unified = json!({ "memory.high": "50331648", "memory.oom.group": "1" });
    let c = with_resources(json!({ "memory": { "limit": 64 * MEGABYTE }, "unified": unified }));
    let c = c.start(&["/probe", "sleep", "60"]);
    assert_eq!(read(&c, "memory.high"), "50331648");
    assert_eq!(read(&c, "memory.oom.group"), "1");
    update(&c, &json!({ "unified": { "memory.high": "max" } })).assert_exit(0);
    c.exec(&["/probe", "alloc", "100"]).assert_exit(137);
    c.wait_status("stopped").delete();
}

fn memory_limit_below_the_usage_is_refused_when_asked() {
    requires!(cgroup_v2, controller("memory"));
    differs!(Runc, "1.1 does not know checkBeforeUpdate");
    let c = with_resources(json!({ "memory": { "limit": 128 * MEGABYTE } })).with_busybox();
    let script = "dd if=/dev/zero of=/tmp/x bs=1M count=40 2>/dev/null; echo full; sleep 60";
    let c = c.mount("/tmp", "tmpfs", "tmpfs", &[]).start(&["/bin/busybox", "sh", "-c", script]);
    c.wait_for("full");
    let less =
        |check: bool| json!({ "memory": { "limit": 8 * MEGABYTE, "checkBeforeUpdate": check } });
    let output = update(&c, &less(true));
    output.assert_fails();
    if runtime() == Runtime::Rt {
        output.assert_stderr_has("memory.limit");
    }
    assert_eq!(read(&c, "memory.max"), (128 * MEGABYTE).to_string());
    assert_eq!(c.status(), "running");
    c.end();
}

fn swap_is_memory_and_swap_together() {
    requires!(cgroup_v2, controller("memory"));
    if view() != View::Systemd {
        differs!(Crun, "1.8 leaves the cgroup behind when it refuses a limit");
    }
    let memory = json!({ "limit": 64 * MEGABYTE, "swap": 64 * MEGABYTE });
    let c = with_resources(json!({ "memory": memory })).start(&["/probe", "sleep", "60"]);
    assert_eq!(read(&c, "memory.swap.max"), "0");
    let output = update(&c, &json!({ "memory": { "limit": 64 * MEGABYTE, "swap": -1 } }));
    output.assert_exit(0);
    assert_eq!(read(&c, "memory.swap.max"), "max");
    c.end();
    with_resources(json!({ "memory": { "limit": 64 * MEGABYTE, "swap": MEGABYTE } }))
        .assert_create_refused();
}

fn quota_throttles_and_is_lifted_by_update() {
    requires!(cgroup_v2, controller("cpu"));
    differs!(Crun, "1.8 does not lift a quota by -1");
    let c = with_resources(json!({ "cpu": { "quota": 5_000, "period": 50_000 } }))
        .start(&["/probe", "spin"]);
    until("the payload is throttled", || (key(&c, "cpu.stat", "nr_throttled") > 3).then_some(()));
    let (since, before) = (Instant::now(), key(&c, "cpu.stat", "usage_usec"));
    std::thread::sleep(Duration::from_secs(1));
    let used_us = key(&c, "cpu.stat", "usage_usec") - before;
    let wall_us = u64::try_from(since.elapsed().as_micros()).unwrap();
    // A tenth, and what the kernel's slices of 5 ms may add.
    assert!(used_us < wall_us / 5, "{used_us} of {wall_us} us");
    update(&c, &json!({ "cpu": { "quota": -1 } })).assert_exit(0);
    assert!(read(&c, "cpu.max").starts_with("max "), "{}", read(&c, "cpu.max"));
    c.end();
}

fn weight_is_relative() {
    requires!(cgroup_v2, controller("cpu"));
    let heavy = with_resources(json!({ "cpu": { "shares": 8192 } })).start(&["/probe", "true"]);
    heavy.wait_status("stopped").delete();
    let read_weight = |shares: u64| -> u64 {
        let c = with_resources(json!({ "cpu": { "shares": shares } }));
        let c = c.start(&["/probe", "sleep", "60"]);
        let weight = read(&c, "cpu.weight").parse().unwrap();
        c.end();
        weight
    };
    let weights = [2, 512, 1024, 262_144].map(read_weight);
    assert_eq!(weights[0], 1);
    assert_eq!(weights[3], 10_000);
    assert!(weights.is_sorted(), "{weights:?}");
}

fn memory_nodes_are_applied() {
    requires!(cgroup_v2, controller("cpuset"));
    if view() != View::Systemd {
        differs!(Crun, "1.8 leaves the cgroup behind when the kernel refuses a limit");
    }
    let c = with_resources(json!({ "cpu": { "mems": "0" } })).start(&["/probe", "sleep", "60"]);
    assert_eq!(read(&c, "cpuset.mems"), "0");
    c.end();
    let output = with_resources(json!({ "cpu": { "cpus": "4000" } })).run(&["/probe", "true"]);
    output.assert_fails();
}

/// Runtime-spec 1.3 made 0 a limit, which is one process for the kernel; -1 is none.
fn pids_limits_of_zero_and_less() {
    requires!(cgroup_v2, controller("pids"));
    if view() == View::Systemd {
        differs!(Runc, "has systemd's DefaultTasksMax where the config has no limit");
    }
    let max = |version: &str, limit: i64| {
        let b = with_resources(json!({ "pids": { "limit": limit } }));
        let c = b.with(|c| c["ociVersion"] = json!(version)).start(&["/probe", "sleep", "60"]);
        let max = read(&c, "pids.max");
        c.end();
        max
    };
    assert_eq!(max("1.0.2", -1), "max");
    assert_eq!(max("1.0.2", 0), "max");
    if runtime() == Runtime::Rt {
        assert_eq!(max("1.3.0", -1), "max");
        let b = with_resources(json!({ "pids": { "limit": 0 } }));
        let c = b.with(|c| c["ociVersion"] = json!("1.3.0")).start(&["/probe", "fork", "1"]);
        c.wait_for("EAGAIN").wait_status("stopped").delete();
    }
}

fn fork_bomb_is_contained_and_deleted() {
    requires!(cgroup_v2, controller("pids"), busybox);
    let b = with_resources(json!({ "pids": { "limit": 60 } })).with_busybox();
    let bomb = "echo go; bomb() { bomb | bomb & }; bomb; sleep 60";
    let c = b.start(&["/bin/busybox", "sh", "-c", bomb]);
    c.wait_for("go");
    until("the limit to be reached", || (key(&c, "pids.events", "max") > 0).then_some(()));
    assert!(read(&c, "pids.current").parse::<u32>().unwrap() <= 60);
    c.delete_force();
}

/// The virtual machine's third disk, which is there for this.
fn disk() -> Option<(u64, u64)> {
    let number = fs::metadata("/dev/vdc").ok()?.rdev();
    Some((nix::sys::stat::major(number), nix::sys::stat::minor(number)))
}

fn with_disk(block: Value, number: (u64, u64)) -> Bundle {
    let (major, minor) = number;
    with_resources(json!({
        "blockIO": block,
        "devices": [{ "allow": true, "type": "b", "major": major, "minor": minor, "access": "rwm" }],
    }))
    .with_busybox()
    .with(|c| {
        c["linux"]["devices"] =
            json!([{ "path": "/dev/disk", "type": "b", "major": major, "minor": minor }]);
    })
}

fn block_device_is_throttled() {
    requires!(cgroup_v2, controller("io"), busybox);
    let Some(number) = disk() else { skip!(Machine, "no disk to write to") };
    let rate = json!([{ "major": number.0, "minor": number.1, "rate": MEGABYTE }]);
    let dd = "dd if=/dev/zero of=/dev/disk bs=256k count=16 oflag=direct";
    let took = |block: Value| {
        let since = Instant::now();
        with_disk(block, number).run(&["/bin/busybox", "sh", "-c", dd]).assert_exit(0);
        since.elapsed()
    };
    // 4 MiB at 1 MiB/s; the kernel lets the first part through at once.
    let limited = took(json!({ "throttleWriteBpsDevice": rate }));
    assert!(limited > Duration::from_millis(2500), "{limited:?}");
    let free = took(json!({}));
    assert!(free < limited / 2, "{free:?} without a limit, {limited:?} with");
}

fn block_device_limits_are_written() {
    requires!(cgroup_v2, controller("io"));
    let Some((major, minor)) = disk() else { skip!(Machine, "no disk to limit") };
    let device = |rate: u64| json!([{ "major": major, "minor": minor, "rate": rate }]);
    let c = with_resources(json!({ "blockIO": {
        "throttleReadBpsDevice": device(1000 * 1000),
        "throttleWriteBpsDevice": device(2000 * 1000),
        "throttleReadIOPSDevice": device(300),
        "throttleWriteIOPSDevice": device(400),
    } }));
    let c = c.start(&["/probe", "sleep", "60"]);
    let wanted = format!("{major}:{minor} rbps=1000000 wbps=2000000 riops=300 wiops=400");
    assert_eq!(read(&c, "io.max"), wanted);
    c.end();
}

fn huge_pages_of_each_size() {
    requires!(cgroup_v2, controller("hugetlb"));
    let sizes = fs::read_dir("/sys/kernel/mm/hugepages").unwrap().flatten();
    for size in sizes.map(|entry| entry.file_name().into_string().unwrap()) {
        let kilobytes: u64 =
            size.trim_start_matches("hugepages-").trim_end_matches("kB").parse().unwrap();
        let name = match kilobytes {
            kb if kb >= 1 << 20 => format!("{}GB", kb >> 20),
            kb if kb >= 1 << 10 => format!("{}MB", kb >> 10),
            kb => format!("{kb}KB"),
        };
        let limit = kilobytes * 1024 * 3;
        let c = with_resources(json!({ "hugepageLimits": [{ "pageSize": name, "limit": limit }] }));
        let c = c.start(&["/probe", "sleep", "60"]);
        assert_eq!(read(&c, &format!("hugetlb.{name}.max")), limit.to_string());
        c.end();
    }
}

fn statistics_agree_with_the_files() {
    requires!(cgroup_v2, controller("memory"), controller("cpu"), command("events"));
    let c = with_resources(json!({ "pids": { "limit": 44 }, "cpu": { "quota": 40_000 } }));
    let c = c.start(&["/probe", "sleep", "60"]);
    let event = rt(["events", "--stats", c.id()]).output().json();
    let data = &event["data"];
    assert_eq!(data["pids"], json!({ "current": 1, "limit": 44 }), "{event}");
    let usage_us = key(&c, "cpu.stat", "usage_usec");
    let total_ns = data["cpu"]["usage"]["total"].as_u64().unwrap();
    assert!(total_ns <= usage_us * 1000 && total_ns > 0, "{total_ns} ns, now {usage_us} us");
    assert!(
        data["cpu"]["throttling"]["periods"].is_u64() || data["cpu"]["throttling"] == json!({})
    );
    let raw = &data["memory"]["raw"];
    for name in ["anon", "kernel_stack", "slab"] {
        assert!(raw[name].is_u64(), "{name} of {raw}");
    }
    let usage = data["memory"]["usage"]["usage"].as_u64().unwrap();
    let now: u64 = read(&c, "memory.current").parse().unwrap();
    assert!(usage.abs_diff(now) < MEGABYTE, "{usage} and {now}");
    c.end();
}

/// A payload with a writable cgroup mount, as systemd in a container.
fn manager_of_cgroups(script: &str) -> Container {
    let c = Bundle::new().with_busybox().namespace("cgroup", None).mount(
        "/sys/fs/cgroup",
        "cgroup",
        "cgroup",
        &["rw"],
    );
    let c = c.start(&["/bin/busybox", "sh", "-c", script]);
    c.wait_for("done");
    c
}

fn sub_cgroups_of_the_payload_are_removed() {
    requires!(cgroup_v2, controller("memory"), busybox);
    let c = manager_of_cgroups(
        "cd /sys/fs/cgroup && mkdir -p leaf a/b/c d && echo 1 >leaf/cgroup.procs && \
         echo +memory +pids >cgroup.subtree_control && echo 64M >a/memory.max && \
         { sleep 60 & echo $! >d/cgroup.procs; } && echo done; sleep 60",
    );
    c.end();
    assert_eq!(cgroups::tagged(c.id()), Vec::<std::path::PathBuf>::new());
}

fn threaded_sub_cgroups_are_removed() {
    requires!(cgroup_v2, controller("cpu"), busybox);
    if view() != View::Systemd {
        differs!(Crun, "1.8 leaves them behind");
    }
    let c = manager_of_cgroups(
        "cd /sys/fs/cgroup && mkdir -p t/u && echo threaded >t/cgroup.type && \
         echo threaded >t/u/cgroup.type && echo done; sleep 60",
    );
    c.end();
    assert_eq!(cgroups::tagged(c.id()), Vec::<std::path::PathBuf>::new());
}

/// Processes live in leaves once a controller is handed down: exec cannot go to the top any more.
fn exec_follows_init_into_a_leaf() {
    requires!(cgroup_v2, controller("memory"), busybox);
    let c = manager_of_cgroups(
        "cd /sys/fs/cgroup && mkdir leaf && echo 1 >leaf/cgroup.procs && \
         echo +memory >cgroup.subtree_control && echo done; sleep 60",
    );
    let output = c.exec(&["/probe", "cgroup"]);
    output.assert_exit(0);
    assert!(output.stdout().trim_end().ends_with("/leaf"), "{}", output.stdout());
    c.end();
}

fn frozen_payload_uses_no_cpu() {
    requires!(cgroup_v2, controller("cpu"));
    let c = Bundle::new().start(&["/probe", "spin"]);
    c.call("pause").output().assert_exit(0);
    assert_eq!(key(&c, "cgroup.events", "frozen"), 1);
    let before = key(&c, "cpu.stat", "usage_usec");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(key(&c, "cpu.stat", "usage_usec"), before);
    c.call("resume").output().assert_exit(0);
    until("it goes on", || (key(&c, "cpu.stat", "usage_usec") > before).then_some(()));
    c.end();
}

/// The first thing that a payload does is already limited.
fn limits_are_in_place_before_the_payload_runs() {
    requires!(cgroup_v2, controller("pids"));
    for _ in 0..5 {
        let b = with_resources(json!({ "pids": { "limit": 10 } }));
        let output = b.run(&["/probe", "fork", "30"]);
        assert!(output.stdout().contains("EAGAIN"), "{}", output.stdout());
    }
}
