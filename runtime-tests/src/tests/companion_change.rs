//! What is changed of containers that are there, and looked at: pause, rename, restart, limits, use.

use super::companion_run::{Root, assert_nothing_is_left, inspect};
use nix::sys::signal::{Signal, kill};
use runtime_tests::companion::{bundles, monitor};
use runtime_tests::prelude::*;
use std::fs;
use std::time::Duration;

tests![
    companion_pause_freezes,
    companion_paused_ends_all_the_same,
    companion_dead_is_not_paused,
    companion_rename,
    companion_restart_command,
    companion_update_of_limits,
    companion_update_of_the_policy,
    companion_update_mistakes,
    companion_top,
    companion_stats,
];

const LONG: [&str; 3] = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"];

/// Neither runc nor crun freeze in every view.
fn freezer() -> Root {
    requires!(host_view);
    let root = Root::new();
    requires!(cgroup_v1("freezer"));
    root
}

fn status(name: &str) -> Value {
    inspect(name)["State"]["Status"].clone()
}

fn companion_pause_freezes() {
    let root = freezer();
    root.detached("k1", &["sh", "-c", "while :; do echo tick; sleep 0.02; done"]);
    assert_eq!(bundles(["pause", "k1"]).ok(), "k1\n");
    assert_eq!(status("k1"), "paused");
    assert_eq!(inspect("k1")["State"]["Paused"], true);
    assert!(bundles(["ps"]).ok().contains(" (Paused)"));
    assert_eq!(bundles(["ps", "-q", "--filter", "status=paused"]).ok().lines().count(), 1);
    let ticks = || bundles(["logs", "k1"]).ok().lines().count();
    let before = ticks();
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(ticks(), before);
    let again = bundles(["pause", "k1"]).output();
    again.assert_exit(1).assert_stderr_has("bundles: k1: is paused already\n");
    assert_eq!(bundles(["unpause", "k1"]).ok(), "k1\n");
    assert_eq!(status("k1"), "running");
    until("it goes on", || (ticks() > before).then_some(()));
    let again = bundles(["unpause", "k1"]).output();
    again.assert_exit(1).assert_stderr_has("bundles: k1: is not paused\n");
    bundles(["rm", "-f", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_paused_ends_all_the_same() {
    let root = freezer();
    for words in [&["stop"][..], &["kill"], &["rm", "-f"]] {
        root.detached("k1", &LONG);
        bundles(["pause", "k1"]).ok();
        bundles(words).arg("k1").ok();
        if words[0] != "rm" {
            until("it has ended", || (status("k1") == "exited").then_some(()));
            bundles(["rm", "k1"]).ok();
        }
        assert_nothing_is_left();
    }
}

/// Its cgroup is frozen still, and its monitor has not seen yet that it was killed.
fn companion_dead_is_not_paused() {
    let root = freezer();
    let id = root.detached("k1", &LONG);
    bundles(["pause", "k1"]).ok();
    let (monitor, pid) = (monitor(&id), inspect("k1")["State"]["Pid"].clone());
    kill(monitor, Signal::SIGSTOP).expect("kill");
    let running = bundles(["rm", "-f", "k1"]).spawn();
    let stat = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    until("its end", || stat().contains(") Z ").then_some(()));
    std::thread::sleep(Duration::from_millis(100)); // a wrong try to resume takes less
    kill(monitor, Signal::SIGCONT).expect("kill");
    running.wait().assert_exit(0);
    assert_nothing_is_left();
}

fn companion_rename() {
    let root = Root::new();
    root.detached("k1", &LONG);
    root.detached("k2", &LONG);
    bundles(["rename", "k1", "k3"]).ok();
    assert_eq!(inspect("k3")["Name"], "/k3");
    bundles(["inspect", "k1"]).output().assert_exit(1);
    let taken = bundles(["rename", "k3", "k2"]).output();
    taken.assert_exit(1).assert_stderr_has("bundles: name k2: another container has that name\n");
    let wrong = bundles(["rename", "k3", "x/y"]).output();
    wrong.assert_exit(1).assert_stderr_has("bundles: name x/y: not a name for a container\n");
    // Its end is written down under the new name.
    bundles(["stop", "k3"]).ok();
    assert_eq!(inspect("k3")["State"]["ExitCode"], 0);
    bundles(["rm", "-f", "k2", "k3"]).ok();
    assert_nothing_is_left();
}

fn companion_restart_command() {
    let root = Root::new();
    root.detached("k1", &["sh", "-c", "echo up; trap 'exit 0' TERM; while :; do sleep 0.05; done"]);
    for times in 1..3 {
        until("it is up", || (bundles(["logs", "k1"]).ok().lines().count() == times).then_some(()));
        let before = inspect("k1")["State"]["Pid"].clone();
        assert_eq!(bundles(["restart", "-t", "5", "k1"]).ok(), "k1\n");
        assert_ne!(inspect("k1")["State"]["Pid"], before);
        assert_eq!(inspect("k1")["RestartCount"], 0);
    }
    bundles(["stop", "-t", "0", "k1"]).ok();
    bundles(["restart", "k1"]).ok();
    assert_eq!(status("k1"), "running");
    root.call(&["run", "-d", "--rm", "--name", "k2"], &[], &LONG).ok();
    let out = bundles(["restart", "k2"]).output();
    out.assert_exit(1).assert_stderr_has("k2: was made with --rm, so it is gone when it ends");
    bundles(["rm", "-f", "k1", "k2"]).ok();
    assert_nothing_is_left();
}

/// A file of one of the container's v1 cgroups.
fn cgroup_file(name: &str, controller: &str, file: &str) -> String {
    let pid = inspect(name)["State"]["Pid"].clone();
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("its cgroups");
    let path = cgroups.lines().find_map(|line| {
        let (names, path) = line.split_once(':')?.1.split_once(':')?;
        names.split(',').any(|name| name == controller).then_some(path)
    });
    let path = format!("/sys/fs/cgroup/{controller}{}/{file}", path.expect("a cgroup"));
    std::fs::read_to_string(&path).expect(&path).trim().to_owned()
}

fn companion_update_of_limits() {
    requires!(host_view);
    if runtime() == Runtime::Crun {
        skip!("crun takes no hybrid cgroups");
    }
    let root = Root::new();
    requires!(cgroup_v1("memory"), cgroup_v1("pids"), cgroup_v1("cpu"));
    let flags = ["-m", "32m", "--memory-swap", "48m"];
    root.call(&["run", "-d", "--name", "k1"], &flags, &LONG).ok();
    assert_eq!(cgroup_file("k1", "memory", "memory.limit_in_bytes"), "33554432");
    // More memory than memory and swap were together.
    assert_eq!(bundles(["update", "--memory", "64m", "k1"]).ok(), "k1\n");
    let limits = || {
        let memory = cgroup_file("k1", "memory", "memory.limit_in_bytes");
        let swap = cgroup_file("k1", "memory", "memory.memsw.limit_in_bytes");
        (memory, swap)
    };
    assert_eq!(limits(), ("67108864".to_owned(), "83886080".to_owned()));
    bundles(["update", "--cpus", "0.5", "--pids-limit", "77", "--cpu-shares", "512", "k1"]).ok();
    let all = || {
        let quota = cgroup_file("k1", "cpu", "cpu.cfs_quota_us");
        [quota, cgroup_file("k1", "cpu", "cpu.shares"), cgroup_file("k1", "pids", "pids.max")]
    };
    assert_eq!(all(), ["50000", "512", "77"]);
    let config = inspect("k1")["HostConfig"].clone();
    assert_eq!(config["Memory"], 67_108_864);
    assert_eq!(config["NanoCpus"], 500_000_000);
    assert_eq!(config["PidsLimit"], 77);
    // They hold for later starts.
    bundles(["restart", "k1"]).ok();
    assert_eq!(limits(), ("67108864".to_owned(), "83886080".to_owned()));
    assert_eq!(all(), ["50000", "512", "77"]);
    bundles(["stop", "k1"]).ok();
    bundles(["update", "--memory", "40m", "k1"]).ok();
    bundles(["start", "k1"]).ok();
    assert_eq!(cgroup_file("k1", "memory", "memory.limit_in_bytes"), "41943040");
    bundles(["rm", "-f", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_update_of_the_policy() {
    let root = Root::new();
    let script = "until [ -e /tmp/go ]; do sleep 0.02; done; exit 1";
    root.detached("k1", &["sh", "-c", script]);
    bundles(["update", "--restart", "on-failure:1", "k1"]).ok();
    assert_eq!(inspect("k1")["HostConfig"]["RestartPolicy"]["Name"], "on-failure");
    std::fs::write(root.rootfs.join("tmp/go"), "").expect("the sign to go");
    assert_eq!(bundles(["wait", "k1"]).ok(), "1\n");
    assert_eq!(inspect("k1")["RestartCount"], 1);
    bundles(["rm", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_update_mistakes() {
    let root = Root::new();
    root.call(&["create", "--name", "k1"], &[], &LONG).ok();
    let fails = |words: &[&str], code: i32, error: &str| {
        bundles(["update"]).args(words).output().assert_exit(code).assert_stderr_has(error);
    };
    fails(&["k1"], 1, "nothing to change: write a limit, or --restart");
    fails(&["-m", "much", "k1"], 1, "--memory much: not a size");
    fails(&["-m", "64m", "nosuch"], 1, "nosuch: no such container");
    fails(&["--restart", "never", "k1"], 125, "invalid value 'never' for '--restart <POLICY>'");
    bundles(["rm", "k1"]).ok();
}

fn companion_top() {
    let root = Root::new();
    root.detached("k1", &["sh", "-c", "sleep 61 & sleep 62"]);
    until("all have started", || {
        let top = bundles(["top", "k1"]).ok();
        let has = |line: &str| top.lines().skip(1).any(|found| found.contains(line));
        (has("sleep 61") && has("sleep 62") && top.lines().count() == 3).then_some(())
    });
    if runtime() != Runtime::Crun {
        let top = bundles(["top", "k1", "-eo", "pid,args"]).ok();
        let first = top.lines().next().expect("a heading");
        assert_eq!(first.split_whitespace().collect::<Vec<_>>(), ["PID", "COMMAND"], "{top}");
        assert_eq!(top.lines().count(), 3, "{top}");
    }
    bundles(["rm", "-f", "k1"]).ok();
    let out = bundles(["top", "k1"]).output();
    out.assert_exit(1).assert_stderr_has("k1: no such container");
    assert_nothing_is_left();
}

fn companion_stats() {
    requires!(host_view);
    if runtime() == Runtime::Crun {
        skip!("crun 1.8 has no statistics");
    }
    let root = Root::new();
    requires!(cgroup_v1("cpuacct"), cgroup_v1("memory"));
    let flags = ["-m", "64m", "--cpus", "0.5"];
    root.call(&["run", "-d", "--name", "busy"], &flags, &["sh", "-c", "while :; do :; done"]).ok();
    root.detached("idle", &["sleep", "60"]);
    let table = bundles(["stats", "--no-stream"]).ok();
    let heading: Vec<&str> = table.lines().next().expect("a heading").split_whitespace().collect();
    assert_eq!(heading[..4], ["CONTAINER", "ID", "NAME", "CPU"]);
    assert_eq!(table.lines().count(), 3, "{table}");
    let format = "{{.Name}} {{.CPUPerc}} {{.PIDs}} {{.MemUsage}}";
    let line = bundles(["stats", "--no-stream", "--format", format, "busy"]).ok();
    let words: Vec<&str> = line.split_whitespace().collect();
    let percent: f64 = words[1].trim_end_matches('%').parse().expect("a number");
    // Half a processor; how exactly is up to the scheduler.
    assert!(percent > 20.0 && percent < 70.0, "{line}");
    assert!(words[0] == "busy" && words[2] == "1" && line.ends_with(" / 64MiB\n"), "{line}");
    let line = bundles(["stats", "--no-stream", "--format", "{{.CPUPerc}}", "idle"]).ok();
    assert!(line.starts_with("0."), "{line}");
    bundles(["rm", "-f", "busy", "idle"]).ok();
    let out = bundles(["stats", "--no-stream", "busy"]).output();
    out.assert_exit(1).assert_stderr_has("busy: no such container");
    assert_nothing_is_left();
}
