//! Tests of the harness itself: each does what a broken runtime or test would do, and must be caught.

use std::fs;
use std::os::fd::IntoRawFd as _;

use runtime_tests::prelude::*;
use runtime_tests::{cgroups, isolate};

/// What the runner must make of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Pass,
    Skip,
    Fail,
}

/// Name, test, what must become of it, and a text that must be in its report.
pub(crate) type Check = (&'static str, fn(), Expected, &'static str);

pub(crate) const CHECKS: &[Check] = &[
    ("selfcheck::passes", passes, Expected::Pass, ""),
    ("selfcheck::panics", panics, Expected::Fail, "on purpose"),
    ("selfcheck::leaves_a_process", leaves_a_process, Expected::Fail, "leak process: "),
    ("selfcheck::leaves_a_mount", leaves_a_mount, Expected::Fail, "leak mount: "),
    ("selfcheck::loses_a_mount", loses_a_mount, Expected::Fail, "leak mount is gone: "),
    ("selfcheck::leaves_a_cgroup", leaves_a_cgroup, Expected::Fail, "leak cgroup: "),
    ("selfcheck::leaves_state", leaves_state, Expected::Fail, "leak state: "),
    ("selfcheck::leaves_a_descriptor", leaves_a_descriptor, Expected::Fail, "leak fd of the test"),
    ("selfcheck::leaves_a_container", leaves_a_container, Expected::Fail, "leak "),
    ("selfcheck::skips_for_the_machine", skips_for_the_machine, Expected::Skip, ""),
    ("selfcheck::skips_for_preparation", skips_for_preparation, Expected::Fail, "not prepared"),
    ("selfcheck::differs_and_fails", differs_and_fails, Expected::Skip, ""),
    ("selfcheck::hangs", hangs, Expected::Fail, "killed: no end"),
];

fn passes() {
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    c.end();
}

fn panics() {
    panic!("on purpose");
}

fn leaves_a_process() {
    // A descendant that nobody waits for, in a session of its own.
    let script = "setsid sleep 60 </dev/null >/dev/null 2>&1 &";
    std::process::Command::new("/bin/sh").args(["-c", script]).status().expect("sh");
}

fn leaves_a_mount() {
    Box::leak(Box::new(HostMount::tmpfs(&scratch().join("left"), "size=1m")));
}

fn loses_a_mount() {
    requires!(root);
    nix::mount::umount2("/dev/pts", nix::mount::MntFlags::MNT_DETACH).expect("umount");
}

fn leaves_a_cgroup() {
    requires!(root);
    let at = &cgroups::hierarchies()[0].at;
    fs::create_dir_all(at.join(isolate::tag()).join("left")).expect("make a cgroup");
}

fn leaves_state() {
    fs::create_dir_all(isolate::state_root().join("left")).expect("make a directory");
}

fn leaves_a_descriptor() {
    let _fd = fs::File::open("/").expect("open").into_raw_fd();
}

fn leaves_a_container() {
    Box::leak(Box::new(Bundle::new().start(&["/probe", "sleep", "60"])));
}

fn skips_for_the_machine() {
    skip!(Machine, "can never be here");
}

fn skips_for_preparation() {
    skip!("not prepared");
}

fn differs_and_fails() {
    for which in [Runtime::Rt, Runtime::Runc, Runtime::Crun, Runtime::Other] {
        runtime_tests::outcome::differs(which, "known");
    }
    panic!("as expected");
}

fn hangs() {
    std::thread::sleep(std::time::Duration::from_secs(600));
}
