//! What is changed of containers that are there, and looked at: pause, rename, restart.

use super::companion_run::{Root, assert_nothing_is_left, inspect};
use runtime_tests::companion::bundles;
use runtime_tests::prelude::*;

tests![
    companion_pause_freezes,
    companion_paused_ends_all_the_same,
    companion_rename,
    companion_restart_command,
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
    root.detached("c1", &["sh", "-c", "while :; do echo tick; sleep 0.02; done"]);
    assert_eq!(bundles(["pause", "c1"]).ok(), "c1\n");
    assert_eq!(status("c1"), "paused");
    assert_eq!(inspect("c1")["State"]["Paused"], true);
    assert!(bundles(["ps"]).ok().contains(" (Paused)"));
    assert_eq!(bundles(["ps", "-q", "--filter", "status=paused"]).ok().lines().count(), 1);
    let ticks = || bundles(["logs", "c1"]).ok().lines().count();
    let before = ticks();
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert_eq!(ticks(), before);
    let again = bundles(["pause", "c1"]).output();
    again.assert_exit(1).assert_stderr_has("bundles: c1: is paused already\n");
    assert_eq!(bundles(["unpause", "c1"]).ok(), "c1\n");
    assert_eq!(status("c1"), "running");
    until("it goes on", || (ticks() > before).then_some(()));
    let again = bundles(["unpause", "c1"]).output();
    again.assert_exit(1).assert_stderr_has("bundles: c1: is not paused\n");
    bundles(["rm", "-f", "c1"]).ok();
    assert_nothing_is_left();
}

fn companion_paused_ends_all_the_same() {
    let root = freezer();
    for words in [&["stop"][..], &["kill"], &["rm", "-f"]] {
        root.detached("c1", &LONG);
        bundles(["pause", "c1"]).ok();
        bundles(words).arg("c1").ok();
        if words[0] != "rm" {
            until("it has ended", || (status("c1") == "exited").then_some(()));
            bundles(["rm", "c1"]).ok();
        }
        assert_nothing_is_left();
    }
}

fn companion_rename() {
    let root = Root::new();
    root.detached("c1", &LONG);
    root.detached("c2", &LONG);
    bundles(["rename", "c1", "c3"]).ok();
    assert_eq!(inspect("c3")["Name"], "/c3");
    bundles(["inspect", "c1"]).output().assert_exit(1);
    let taken = bundles(["rename", "c3", "c2"]).output();
    taken.assert_exit(1).assert_stderr_has("bundles: name c2: another container has that name\n");
    let wrong = bundles(["rename", "c3", "x/y"]).output();
    wrong.assert_exit(1).assert_stderr_has("bundles: name x/y: not a name for a container\n");
    // Its end is written down under the new name.
    bundles(["stop", "c3"]).ok();
    assert_eq!(inspect("c3")["State"]["ExitCode"], 0);
    bundles(["rm", "-f", "c2", "c3"]).ok();
    assert_nothing_is_left();
}

fn companion_restart_command() {
    let root = Root::new();
    root.detached("c1", &["sh", "-c", "echo up; trap 'exit 0' TERM; while :; do sleep 0.05; done"]);
    for times in 1..3 {
        until("it is up", || (bundles(["logs", "c1"]).ok().lines().count() == times).then_some(()));
        let before = inspect("c1")["State"]["Pid"].clone();
        assert_eq!(bundles(["restart", "-t", "5", "c1"]).ok(), "c1\n");
        assert_ne!(inspect("c1")["State"]["Pid"], before);
        assert_eq!(inspect("c1")["RestartCount"], 0);
    }
    bundles(["stop", "-t", "0", "c1"]).ok();
    bundles(["restart", "c1"]).ok();
    assert_eq!(status("c1"), "running");
    root.call(&["run", "-d", "--rm", "--name", "c2"], &[], &LONG).ok();
    let out = bundles(["restart", "c2"]).output();
    out.assert_exit(1).assert_stderr_has("c2: was made with --rm, so it is gone when it ends");
    bundles(["rm", "-f", "c1", "c2"]).ok();
    assert_nothing_is_left();
}
