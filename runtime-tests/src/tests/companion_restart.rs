//! Containers that start again by themselves, and monitors that are killed.

use super::companion_run::{Root, assert_nothing_is_left, inspect, monitor};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use runtime_tests::companion::bundles;
use runtime_tests::prelude::*;
use runtime_tests::pty;
use std::fs;

tests![
    companion_restart_always,
    companion_restart_on_failure,
    companion_restart_ends_by_the_user,
    companion_restart_after_a_killed_monitor,
    companion_start_all,
    companion_restart_mistakes,
    companion_adopted_output_goes_on,
    companion_adopted_end_is_told,
    companion_adopted_terminal_lives,
    companion_adopted_input_stays_open,
    companion_client_survives_the_monitor,
];

const TICKS: [&str; 3] =
    ["sh", "-c", "trap 'exit 7' TERM; while :; do echo tick; sleep 0.05; done"];

fn restarting(root: &Root, name: &str, policy: &str, script: &str) -> String {
    let id =
        root.call(&["run", "-d", "--name", name, "--restart", policy], &[], &["sh", "-c", script]);
    id.ok().trim().to_owned()
}

/// Kills the monitor, and waits until the kernel has done so.
pub(super) fn kill_monitor(id: &str) -> Pid {
    let monitor = monitor(id);
    kill(monitor, Signal::SIGKILL).expect("kill the monitor");
    until("the monitor ends", || {
        let stat = fs::read_to_string(format!("/proc/{monitor}/stat")).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
    monitor
}

fn count(name: &str) -> u64 {
    inspect(name)["RestartCount"].as_u64().expect("a number")
}

fn companion_restart_always() {
    let root = Root::new();
    restarting(&root, "k1", "always", "echo up; sleep 0.05; exit 1");
    until("it has started four times", || (count("k1") >= 3).then_some(()));
    // 100, 200, 400 ms: by now it rests longer than it runs.
    until("it is seen at rest", || bundles(["ps"]).ok().contains("Restarting (1) ").then_some(()));
    let state = inspect("k1");
    assert_eq!(state["HostConfig"]["RestartPolicy"]["Name"], "always");
    let logged = bundles(["logs", "k1"]).ok();
    assert!(logged.lines().count() >= 4 && logged.lines().all(|line| line == "up"), "{logged}");
    bundles(["rm", "k1"]).output().assert_exit(1).assert_stderr_has("k1: runs");
    bundles(["stop", "k1"]).ok();
    assert_eq!(inspect("k1")["State"]["Status"], "exited");
    let times = count("k1");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(count("k1"), times);
    // The user's own start begins anew.
    bundles(["start", "k1"]).ok();
    assert!(count("k1") < times);
    bundles(["rm", "-f", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_restart_on_failure() {
    let root = Root::new();
    restarting(&root, "k1", "on-failure:2", "exit 9");
    assert!(bundles(["wait", "k1"]).ok() == "9\n");
    let k1 = inspect("k1");
    assert_eq!(k1["RestartCount"], 2);
    assert_eq!(k1["HostConfig"]["RestartPolicy"]["MaximumRetryCount"], 2);
    restarting(&root, "k2", "on-failure", "exit 0");
    assert_eq!(bundles(["wait", "k2"]).ok(), "0\n");
    assert_eq!(count("k2"), 0);
    bundles(["rm", "k1", "k2"]).ok();
    assert_nothing_is_left();
}

fn companion_restart_ends_by_the_user() {
    let root = Root::new();
    let long = "while :; do sleep 1; done";
    for words in [&["stop", "-t", "0"][..], &["kill"], &["rm", "-f"]] {
        // Once while it runs, once while it rests.
        for (script, status) in [(long, "running"), ("exit 1", "restarting")] {
            restarting(&root, "k1", "always", script);
            until(status, || (inspect("k1")["State"]["Status"] == status).then_some(()));
            bundles(words).arg("k1").ok();
            if words[0] != "rm" {
                until("it has ended", || {
                    (inspect("k1")["State"]["Status"] == "exited").then_some(())
                });
                bundles(["rm", "k1"]).ok();
            }
            assert_nothing_is_left();
        }
    }
    // Its own end is no wish of the user's.
    restarting(&root, "k1", "unless-stopped", "sleep 0.1");
    until("it starts again", || (count("k1") > 0).then_some(()));
    bundles(["rm", "-f", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_restart_after_a_killed_monitor() {
    let root = Root::new();
    let id = restarting(&root, "k1", "always", "sleep 0.5");
    kill_monitor(&id);
    bundles(["ps"]).ok();
    until("it starts again", || (count("k1") > 1).then_some(()));
    bundles(["rm", "-f", "k1"]).ok();
    // Without anybody who looks in time it has ended, and that is told.
    let id = restarting(&root, "k1", "always", "sleep 0.2");
    kill_monitor(&id);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(inspect("k1")["State"]["Status"], "exited");
    bundles(["start", "k1"]).ok();
    bundles(["rm", "-f", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_start_all() {
    let root = Root::new();
    for policy in ["no", "always", "unless-stopped", "on-failure"] {
        let call =
            root.call(&["create", "--name", policy, "--restart", policy], &[], &["sleep", "60"]);
        call.ok();
    }
    let start = |words: &[&str]| bundles(["start", "--all"]).args(words).ok();
    assert_eq!(start(&["--filter", "restart-policy=always"]), "always\n");
    assert_eq!(start(&["--filter", "should-start-on-boot=true"]), "unless-stopped\n");
    bundles(["stop", "-t", "0", "always", "unless-stopped"]).ok();
    // What the user has stopped stays so, if that is its policy.
    assert_eq!(start(&["--filter", "should-start-on-boot=true"]), "always\n");
    let rest = start(&[]);
    let mut rest: Vec<_> = rest.lines().collect();
    rest.sort_unstable();
    assert_eq!(rest, ["no", "on-failure", "unless-stopped"]);
    let out = bundles(["start", "--all", "no"]).output();
    out.assert_exit(1).assert_stderr_has("--all: no names go with it");
    let out = bundles(["start"]).output();
    out.assert_exit(1).assert_stderr_has("no container: write its name, or --all");
    bundles(["rm", "-f", "no", "always", "unless-stopped", "on-failure"]).ok();
    assert_nothing_is_left();
}

fn companion_restart_mistakes() {
    let root = Root::new();
    let run = |flags: &[&str]| root.call(&["run"], flags, &["true"]).output();
    run(&["--restart", "never"]).assert_exit(125).assert_stderr_has(
        "bundles: invalid value 'never' for '--restart <POLICY>': the policies are no, on-failure,",
    );
    let both = run(&["--rm", "--restart", "always"]);
    both.assert_exit(125).assert_stderr_has("--rm and --restart do not go together");
    assert_nothing_is_left();
}

fn companion_adopted_output_goes_on() {
    let root = Root::new();
    for look in [&["ps"][..], &["logs", "k1"], &["attach", "--no-stdin", "k1"]] {
        let id = root.detached("k1", &TICKS);
        let old = kill_monitor(&id);
        let looks = bundles(look).spawn();
        until("another monitor", || (monitor(&id) != old).then_some(()));
        let ticks = || bundles(["logs", "k1"]).ok().lines().count();
        let before = ticks();
        until("its output goes on", || (ticks() > before + 2).then_some(()));
        bundles(["stop", "k1"]).ok();
        looks.wait();
        bundles(["rm", "k1"]).ok();
        assert_nothing_is_left();
    }
}

fn companion_adopted_end_is_told() {
    let root = Root::new();
    let id = root.detached("k1", &TICKS);
    kill_monitor(&id);
    let waits = bundles(["wait", "k1"]).spawn();
    bundles(["stop", "k1"]).ok();
    waits.wait().assert_stdout("255\n");
    let state = inspect("k1")["State"].clone();
    assert_eq!(state["Status"], "exited");
    assert_eq!(state["ExitCode"], 255);
    assert_eq!(state["Error"], "exit code unknown: its monitor was killed");
    bundles(["rm", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_adopted_terminal_lives() {
    let root = Root::new();
    let script =
        "while :; do echo tick; sleep 0.1; done & while read line; do echo got-$line; done";
    let call = root.call(&["run", "-d", "--name", "k1"], &["-it"], &["sh", "-c", script]);
    let id = call.ok().trim().to_owned();
    for _ in 0..2 {
        kill_monitor(&id);
        std::thread::sleep(std::time::Duration::from_millis(100));
        let (mut master, slave) = pty::open(24, 80);
        let client = bundles(["attach", "k1"]).terminal(slave).spawn();
        master.wait_for("tick"); // now what is typed goes to the container
        master.write("typed\r");
        master.wait_for("got-typed");
        master.write("\u{10}\u{11}");
        client.wait().assert_exit(0);
    }
    assert_eq!(inspect("k1")["State"]["Status"], "running");
    bundles(["rm", "-f", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_adopted_input_stays_open() {
    let root = Root::new();
    let call = root.call(&["run", "-d", "--name", "k1"], &["-i"], &["cat"]);
    let id = call.ok().trim().to_owned();
    kill_monitor(&id);
    let client = bundles(["attach", "k1"]).stdin("typed\n").spawn();
    until("the answer", || client.stdout().contains("typed\n").then_some(()));
    assert_eq!(inspect("k1")["State"]["Status"], "running");
    bundles(["rm", "-f", "k1"]).ok();
    client.wait().assert_exit(255);
    assert_nothing_is_left();
}

/// The command in the foreground goes on with another monitor, and knows the end.
fn companion_client_survives_the_monitor() {
    let root = Root::new();
    let script = "echo one; until [ -e /tmp/go ]; do sleep 0.02; done; echo two";
    let client = root.call(&["run", "--name", "k1"], &[], &["sh", "-c", script]).spawn();
    until("it has begun", || client.stdout().contains("one").then_some(()));
    let id = inspect("k1")["Id"].as_str().expect("an id").to_owned();
    let old = kill_monitor(&id);
    until("another monitor", || (monitor(&id) != old).then_some(()));
    std::thread::sleep(std::time::Duration::from_millis(100));
    fs::write(root.rootfs.join("tmp/go"), "").expect("the sign to go");
    let out = client.wait();
    out.assert_exit(255);
    assert_eq!(out.stdout(), "one\ntwo\n");
    bundles(["rm", "k1"]).ok();
    assert_nothing_is_left();
}
