//! `--init`, what becomes of the output, and what a failed `create` leaves: nothing.

use super::companion_run::{Root, assert_nothing_is_left, inspect};
use nix::sys::signal::Signal;
use runtime_tests::companion::{bundles, is_static};
use runtime_tests::prelude::*;
use runtime_tests::pty;

tests![
    companion_init_reaps_and_passes_signals,
    companion_init_tells_how_it_went,
    companion_init_at_a_terminal,
    companion_log_is_bounded,
    companion_log_is_not_kept,
    companion_logs_of_a_time,
    companion_oom_is_recorded,
    companion_failed_create_leaves_nothing,
];

/// The first process of a container is `bundles` itself.
fn static_root() -> Root {
    if !is_static() {
        skip!("bundles is dynamically linked: it runs in no container");
    }
    Root::new()
}

fn companion_init_reaps_and_passes_signals() {
    let root = static_root();
    // The orphan's parent ends at once; nobody but the first process can wait for it.
    let script = "sh -c 'sleep 0.1 & exit 0'; trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.05; done";
    let call = root.call(&["run", "--name", "k1"], &["--init"], &["sh", "-c", script]);
    let running = call.spawn();
    until("it is ready", || running.stdout().contains("ready").then_some(()));
    let pid = inspect("k1")["State"]["Pid"].clone();
    let children = format!("/proc/{pid}/task/{pid}/children");
    let children =
        || std::fs::read_to_string(&children).expect("the children of the first process");
    until("the orphan is gone", || (children().split_whitespace().count() == 1).then_some(()));
    running.signal(Signal::SIGUSR1);
    let out = running.wait();
    out.assert_exit(5);
    assert!(out.stdout().ends_with("got\n"));
    bundles(["rm", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_init_tells_how_it_went() {
    let root = static_root();
    root.run(&["--init"], &["sh", "-c", "exit 42"]).output().assert_exit(42);
    root.run(&["--init"], &["sh", "-c", "kill -9 $$"]).output().assert_exit(137);
    root.run(&["--init"], &["sh", "-c", "[ $$ != 1 ]"]).output().assert_exit(0);
    let out = root.run(&["--init"], &["/nosuch"]).output();
    out.assert_exit(127).assert_stderr_has("bundles: exec /nosuch: No such file or directory");
    root.run(&["--init"], &["/etc"]).output().assert_exit(126);
    root.run(&["--init", "-u", "web"], &["id", "-u"]).output().assert_stdout("33");
    root.run(&["--init", "-i"], &["cat"]).stdin("typed\n").output().assert_stdout("typed\n");
    assert_nothing_is_left();
}

/// What is typed reaches the command once, and its terminal is its own.
fn companion_init_at_a_terminal() {
    let root = static_root();
    let script = "n=0; trap 'n=$((n+1)); echo got-$n; [ $n = 3 ] && exit 5' INT; echo ready; while :; do sleep 0.05; done";
    let (mut master, slave) = pty::open(24, 80);
    let client = root.run(&["--init", "-it"], &["sh", "-c", script]).terminal(slave).spawn();
    master.wait_for("ready");
    master.write("\u{3}");
    master.wait_for("got-1");
    master.write("\u{3}");
    let seen = master.wait_for("got-2");
    assert!(!seen.contains("got-3"), "{seen}");
    master.write("\u{3}");
    client.wait().assert_exit(5);
    assert_nothing_is_left();
}

fn companion_log_is_bounded() {
    let root = Root::new();
    let flags = ["--log-opt", "max-size=10k", "--log-opt", "max-file=2"];
    let script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done";
    root.call(&["run", "--name", "k1"], &flags, &["sh", "-c", script]).ok();
    let logged = bundles(["logs", "k1"]).ok();
    assert!(logged.ends_with("line 1999\n"));
    let dir = inspect("k1")["LogPath"].as_str().expect("a path").to_owned();
    let dir = std::path::Path::new(&dir).parent().expect("a directory").to_owned();
    let sizes: Vec<u64> = std::fs::read_dir(dir)
        .expect("the directory")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("log"))
        .map(|entry| entry.metadata().expect("stat").len())
        .collect();
    assert!(sizes.len() == 2 && sizes.iter().all(|size| *size <= 10_240), "{sizes:?}");
    let one = ["--log-opt", "max-size=10k", "--log-opt", "max-file=1"];
    root.call(&["run", "--name", "k2"], &one, &["sh", "-c", script]).ok();
    assert!(bundles(["logs", "k2"]).ok().ends_with("line 1999\n"));
    bundles(["rm", "k1", "k2"]).ok();
    for (option, error) in [
        ("max-size=much", "--log-opt max-size much: not a size"),
        ("max-file=0", "--log-opt max-file=0: not a number of files"),
        ("mode=x", "--log-opt mode=x: unknown"),
    ] {
        let out = root.run(&["--log-opt", option], &["true"]).output();
        out.assert_exit(125).assert_stderr_has(error);
    }
    assert_nothing_is_left();
}

fn companion_log_is_not_kept() {
    let root = Root::new();
    let call = root.call(&["run", "--name", "k1"], &["--log-driver", "none"], &["echo", "secret"]);
    assert_eq!(call.ok(), "secret\n");
    let out = bundles(["logs", "k1"]).output();
    out.assert_exit(1).assert_stderr_has("k1: its output is not kept");
    assert_eq!(inspect("k1")["HostConfig"]["LogConfig"]["Type"], "none");
    bundles(["rm", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_logs_of_a_time() {
    let root = Root::new();
    let script = "echo one; sleep 0.3; echo two; sleep 0.3; echo three";
    root.call(&["run", "--name", "k1"], &[], &["sh", "-c", script]).ok();
    let text = bundles(["logs", "-t", "k1"]).ok();
    let time = text.lines().nth(1).expect("a second line").split(' ').next().expect("a time");
    let logs = |words: &[&str]| bundles(["logs"]).args(words).arg("k1").ok();
    assert_eq!(logs(&["--since", time]), "two\nthree\n");
    assert_eq!(logs(&["--until", time]), "one\ntwo\n");
    assert_eq!(logs(&["--since", time, "--until", time]), "two\n");
    assert_eq!(logs(&["--since", "1h"]), "one\ntwo\nthree\n");
    assert_eq!(logs(&["--since", "1h", "--tail", "1"]), "three\n");
    assert_eq!(logs(&["--until", "1h"]), "");
    let out = bundles(["logs", "--since", "yesterday", "k1"]).output();
    out.assert_exit(1).assert_stderr_has("bundles: --since yesterday: not a time\n  hint: write ");
    bundles(["rm", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_oom_is_recorded() {
    requires!(host_view);
    if runtime() == Runtime::Crun {
        skip!("crun takes no hybrid cgroups");
    }
    let root = Root::new();
    requires!(cgroup_v1("memory"));
    let flags = ["-m", "16m", "--memory-swap", "16m", "--tmpfs", "/big"];
    let script = "head -c 64000000 /dev/zero > /big/x";
    let out = root.call(&["run", "--name", "k1"], &flags, &["sh", "-c", script]).output();
    assert_ne!(out.code, 0);
    assert_eq!(inspect("k1")["State"]["OOMKilled"], true);
    bundles(["rm", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_failed_create_leaves_nothing() {
    let root = Root::new();
    let file = scratch().join("cid");
    std::fs::write(&file, "").expect("the file");
    let name = file.to_str().expect("UTF-8");
    let out = root.call(&["create", "--cidfile", name], &[], &["true"]).output();
    out.assert_exit(125).assert_stderr_has("cid: exists");
    assert_nothing_is_left();
    std::fs::remove_file(&file).expect("remove the file");
    let id = root.call(&["create", "--cidfile", name], &[], &["true"]).ok();
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), id.trim());
    bundles(["rm", id.trim()]).ok();
    assert_nothing_is_left();
}
