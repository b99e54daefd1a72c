//! kill -9 of every kind of process, at many instants: what is told stays true, and all can be used.

use super::companion_run::{Root, assert_nothing_is_left, inspect, processes};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use runtime_tests::companion::{bundles, is_static};
use runtime_tests::isolate::scratch;
use runtime_tests::prelude::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

tests![
    companion_killed_command_during_run,
    companion_killed_command_during_start,
    companion_killed_command_during_stop,
    companion_killed_command_during_rm,
    companion_killed_monitor_during_run,
    companion_killed_monitor_during_start,
    companion_killed_monitor_during_stop,
    companion_killed_monitor_during_rm,
    companion_killed_both_during_run,
    companion_killed_both_during_start,
    companion_killed_both_during_stop,
    companion_killed_both_during_rm,
    companion_end_that_nobody_saw_is_told,
    companion_half_a_start_is_taken_back,
    companion_monitor_is_small,
];

/// Instants of one kind of kill, and how far apart they are: 204 in all.
const TIMES: u32 = 17;
const STEP: Duration = Duration::from_micros(2300);

const LONG: [&str; 3] = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    Command,
    Monitor,
    Both,
}

/// Starts a command, and kills somewhere in the middle. What it had begun comes to its end.
fn interrupt(call: Call, victim: Victim, after: Duration) {
    let running = call.spawn();
    std::thread::sleep(after);
    if victim != Victim::Monitor {
        running.signal(Signal::SIGKILL);
    }
    if victim != Victim::Command {
        for pid in processes("bundles-") {
            kill(pid, Signal::SIGKILL).ok(); // it may have ended by itself
        }
    }
    if victim == Victim::Command || victim == Victim::Both {
        running.wait();
    }
    let runtime = runtime_tests::runtime::path().to_str().expect("UTF-8").to_owned();
    until("the runtime ends", || (!processes(&runtime).into_iter().any(is_outside)).then_some(()));
}

/// And not a container's first process, which waits to become its command.
fn is_outside(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    pids.is_some_and(|pids| pids.split_whitespace().count() == 1)
}

/// What is said of it is so; it can be started, used, and removed without a trace.
fn works(name: &str) {
    if bundles(["ps", "-aq"]).ok().is_empty() {
        return;
    }
    // It may be about to end, so that the two do not always see the same.
    until("what is told is so", || {
        let state = inspect(name)["State"].clone();
        let lives = Path::new("/proc").join(state["Pid"].to_string()).join("exe").exists();
        (state["Running"] == lives).then_some(())
    });
    bundles(["stop", "-t", "1", name]).ok();
    bundles(["start", name]).ok();
    assert_eq!(inspect(name)["State"]["Running"], true);
    bundles(["exec", name, "true"]).ok();
    bundles(["logs", name]).ok();
    bundles(["rm", "-f", name]).ok();
}

/// `prepare` says what is interrupted.
fn interrupted(victim: Victim, prepare: impl Fn(&Root) -> Call) {
    let root = Root::new();
    for times in 0..TIMES {
        interrupt(prepare(&root), victim, STEP * times);
        works("k1");
        bundles(["system", "prune", "-f"]).ok();
        assert_nothing_is_left();
    }
}

fn run(root: &Root) -> Call {
    root.call(&["run", "-d", "--name", "k1"], &["-i"], &LONG)
}

fn start(root: &Root) -> Call {
    root.call(&["create", "--name", "k1"], &[], &LONG).ok();
    bundles(["start", "k1"])
}

fn stop(root: &Root) -> Call {
    root.detached("k1", &LONG);
    bundles(["stop", "-t", "1", "k1"])
}

fn rm(root: &Root) -> Call {
    root.detached("k1", &LONG);
    bundles(["rm", "-f", "k1"])
}

fn companion_killed_command_during_run() {
    interrupted(Victim::Command, run);
}

fn companion_killed_command_during_start() {
    interrupted(Victim::Command, start);
}

fn companion_killed_command_during_stop() {
    interrupted(Victim::Command, stop);
}

fn companion_killed_command_during_rm() {
    interrupted(Victim::Command, rm);
}

fn companion_killed_monitor_during_run() {
    interrupted(Victim::Monitor, run);
}

fn companion_killed_monitor_during_start() {
    interrupted(Victim::Monitor, start);
}

fn companion_killed_monitor_during_stop() {
    interrupted(Victim::Monitor, stop);
}

fn companion_killed_monitor_during_rm() {
    interrupted(Victim::Monitor, rm);
}

fn companion_killed_both_during_run() {
    interrupted(Victim::Both, run);
}

fn companion_killed_both_during_start() {
    interrupted(Victim::Both, start);
}

fn companion_killed_both_during_stop() {
    interrupted(Victim::Both, stop);
}

fn companion_killed_both_during_rm() {
    interrupted(Victim::Both, rm);
}

/// At once, and the container goes, as was asked for.
fn companion_end_that_nobody_saw_is_told() {
    let root = Root::new();
    let running = root.run(&["--name", "k1"], &LONG).spawn();
    until("it runs", || (!bundles(["ps", "-q"]).ok().is_empty()).then_some(()));
    let pid = || i32::try_from(inspect("k1")["State"]["Pid"].as_i64()?).ok();
    let init = until("its process", || pid().filter(|pid| *pid > 0));
    running.signal(Signal::SIGSTOP);
    for pid in processes("bundles-monitor").into_iter().chain([Pid::from_raw(init)]) {
        kill(pid, Signal::SIGKILL).expect("kill");
    }
    let begun = Instant::now();
    running.signal(Signal::SIGCONT);
    running
        .wait()
        .assert_exit(125)
        .assert_stderr_has("bundles: its monitor was killed, so nobody knows its exit code\n");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_nothing_is_left();
}

/// The monitor is killed between create and start: the payload never runs.
fn companion_half_a_start_is_taken_back() {
    let root = Root::new();
    let runtime = scratch().join("runtime");
    let path = runtime_tests::runtime::path().display();
    let script = format!(
        "#!/bin/sh\nfor word; do [ \"$word\" != start ] || exec kill -9 $PPID; done\n\
         exec {path} \"$@\"\n"
    );
    fs::write(&runtime, script).expect("write");
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o755)).expect("chmod");
    let flags = ["--runtime".as_ref(), runtime.as_os_str(), "--rootfs".as_ref()];
    let call = bundles(["run", "--rm"]).args(flags).arg(&root.rootfs);
    let output = call.args(["echo", "run"]).output();
    output.assert_exit(125).assert_says("");
    output.assert_stderr_has("bundles: the monitor ended before the container was started\n");
    assert_nothing_is_left();
}

/// Memory that the kernel holds for this process alone, in kB.
fn private(pid: Pid) -> u64 {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(path).expect("smaps_rollup");
    let of = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.split_whitespace().next().expect("a number").parse().expect("a number")
    };
    of("Private_Clean:") + of("Private_Dirty:")
}

fn companion_monitor_is_small() {
    if !is_static() {
        skip!("bundles is dynamically linked: its libraries take memory");
    }
    let root = Root::new();
    root.call(&["run", "-d", "--name", "k1"], &["-it"], &LONG).ok();
    root.call(&["run", "-d", "--name", "k2"], &[], &["sh", "-c", "while :; do echo x; done"]).ok();
    std::thread::sleep(Duration::from_millis(300));
    for pid in processes("bundles-") {
        let kilobytes = private(pid);
        println!("{pid}: {kilobytes} kB");
        assert!(kilobytes <= 512, "{pid}: {kilobytes} kB");
    }
    bundles(["rm", "-f", "k1", "k2"]).ok();
    assert_nothing_is_left();
}
