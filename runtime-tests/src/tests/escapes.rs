//! Attacks of the past on the runtime's own process: its descriptors, its memory, its executable.
//!
//! One test per attack, named after its CVE, which really tries it; the attacker's side is
//! `attack.rs`. Each says on what it was seen to fail.

use std::fs;

use runtime_tests::config::{DOCKER_CAPS, capabilities};
use runtime_tests::prelude::*;

tests![
    cve_2016_9962_exec_shows_no_directory_of_the_host,
    cve_2016_9962_exec_has_no_more_capabilities_than_the_container,
    cve_2016_9962_exec_cannot_be_traced,
    cve_2016_9962_parked_init_holds_no_directory_of_the_host,
];

/// A container whose payload may trace others, as debuggers want it.
pub(super) fn tracer() -> Bundle {
    let mut caps = DOCKER_CAPS.to_vec();
    caps.push("CAP_SYS_PTRACE");
    Bundle::new().with(|c| c["process"]["capabilities"] = capabilities(&caps))
}

/// What the attacker found while `victim` went on: the lines between `ready` and `end`.
pub(super) fn under_attack(
    bundle: Bundle,
    attack: &[&str],
    victim: impl Fn(&Container),
) -> Vec<String> {
    let stop = bundle.inside("/tmp/stop");
    let c = bundle
        .start(&[&["/probe", "attack"], attack, &["--", "echo", "end of the attack"]].concat());
    c.wait_for("ready");
    victim(&c);
    fs::write(stop, "").unwrap();
    c.wait_for("end of the attack");
    let found = c
        .stdout()
        .lines()
        .filter(|l| !["ready", "end", "end of the attack"].contains(l))
        .map(str::to_owned)
        .collect();
    c.wait_status("stopped").delete();
    found
}

fn exec_often(c: &Container) {
    for _ in 0..100 {
        c.exec(&["/probe", "true"]).assert_exit(0);
    }
}

/// runc GHSA-gp4j-w3vj-7299: a process that enters a container is visible there before it is the
/// payload, and its descriptors, root and working directory with it. The attacker has
/// `CAP_SYS_PTRACE`, so that a non-dumpable process alone is no defence.
fn cve_2016_9962_exec_shows_no_directory_of_the_host() {
    requires!(root);
    let found = under_attack(tracer(), &["watch", "20"], exec_often);
    assert!(found.is_empty(), "{found:#?}");
}

fn cve_2016_9962_exec_has_no_more_capabilities_than_the_container() {
    requires!(root);
    let found = under_attack(tracer(), &["caps", "20"], exec_often);
    assert!(found.is_empty(), "{found:#?}");
}

/// An ordinary payload, with Docker's capabilities.
fn cve_2016_9962_exec_cannot_be_traced() {
    requires!(root);
    let found = under_attack(Bundle::new(), &["ptrace", "20"], exec_often);
    assert!(found.is_empty(), "{found:#?}");
}

/// A created container waits for `start` for as long as the engine likes, and exec is allowed there.
fn cve_2016_9962_parked_init_holds_no_directory_of_the_host() {
    requires!(root);
    let c = tracer().create();
    let output = c.exec(&["/probe", "attack", "fds-of", "1"]);
    c.delete_force();
    output.assert_stdout("");
}
