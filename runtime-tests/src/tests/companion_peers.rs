//! Bundles that the companion prepares mean the same to rt, runc and crun.
//!
//! The runtime under test is one side; the other is each of the programs below that is installed.

use std::path::Path;

use super::companion_run_images::archive;
use runtime_tests::companion::{bundles, bundles_as};
use runtime_tests::prelude::*;
use runtime_tests::requires::{capability, cgroup_v2};
use runtime_tests::second_user::SecondUser;

tests![
    companion_bundle_means_the_same_to_all_runtimes,
    companion_containers_of_all_runtimes_are_alike,
    companion_containers_of_all_runtimes_are_alike_to_an_ordinary_user,
    companion_containers_of_all_runtimes_live_alike,
    companion_containers_of_all_runtimes_live_alike_to_an_ordinary_user,
];

/// What a container sees of itself. Options that only one of them tells are left away.
const LOOK: &str = r#"
    echo "$(id) $PWD $(cat /proc/sys/kernel/hostname)"
    env | grep -v ^SHLVL
    grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status
    grep -E 'open files|core file' /proc/self/limits
    cat /proc/self/oom_score_adj
    while read -r source at kind options rest; do
        case $options in ro,* | ro) echo "$at $kind ro" ;; *) echo "$at $kind rw" ;; esac
    done </proc/self/mounts
    for file in /proc/kcore /proc/keys /proc/timer_list; do echo "$file $(head -c 1 $file | wc -c)"; done
    ls /dev
    ls /proc/self/fd | wc -l
    touch /written && echo writes
    exit 7
"#;

const FLAGS: &[&str] = &[
    "-e",
    "A=b",
    "-h",
    "name",
    "-u",
    "web",
    "-w",
    "/srv",
    "--ulimit",
    "nofile=100:200",
    "--cap-add",
    "NET_ADMIN",
    "--cap-drop",
    "CHOWN",
    "--oom-score-adj",
    "100",
    "--security-opt",
    "no-new-privileges",
    "--tmpfs",
    "/t",
    "--shm-size",
    "1m",
];

fn runtimes(of_root: bool) -> Vec<(Runtime, String)> {
    let own = (runtime(), runtime_tests::runtime::path().display().to_string());
    let peers = [(Runtime::Runc, "/usr/sbin/runc"), (Runtime::Crun, "/usr/bin/crun")];
    let works = |(kind, path): &(Runtime, &str)| {
        // It takes no hybrid cgroups, and raises a limit before it loads a device filter.
        let filters = || of_root && capability(24, "CAP_SYS_RESOURCE").is_err();
        let fails = *kind == Runtime::Crun && (cgroup_v2().is_err() || filters());
        *kind != own.0 && Path::new(path).exists() && !fails
    };
    let peers = peers.into_iter().filter(works).map(|(kind, path)| (kind, path.to_owned()));
    let all: Vec<_> = [own.clone()].into_iter().chain(peers).collect();
    if all.len() < 2 {
        skip!("neither runc nor crun is installed");
    }
    all
}

fn no_entry_point(config: &mut Value) {
    config["Entrypoint"] = Value::Null;
}

/// The lines that a container has written, without those in which the peers differ.
fn seen(output: &Output) -> Vec<String> {
    output.assert_exit(7);
    let mut lines = output.lines();
    lines.retain(|line| {
        // Files are masked by the host's /dev/null, read-only, or by the container's.
        let masks = ["/proc/interrupts ", "/proc/kcore ", "/proc/keys ", "/proc/timer_list "];
        let is_mask = masks.iter().any(|at| line.starts_with(at)) && line.contains("tmpfs");
        // An ordinary user's devices are bound read-only by rt: they can be written to all the same.
        let is_device = line.starts_with("/dev/") && line.contains(" devtmpfs ");
        // Of a hybrid host, runc shows no cgroup2, and its directory is not read-only.
        let is_hybrid = ["/sys/fs/cgroup tmpfs ", "/sys/fs/cgroup/unified "];
        let is_link = line == "core"; // of crun, to /proc/kcore
        !is_mask && !is_device && !is_link && !is_hybrid.iter().any(|at| line.starts_with(at))
    });
    lines.sort();
    lines
}

fn assert_alike(all: &[(Runtime, Vec<String>)]) {
    let (first, rest) = all.split_first().expect("one");
    for other in rest {
        let lacks = |one: &[String], other: &[String]| -> Vec<String> {
            one.iter().filter(|line| !other.contains(line)).cloned().collect()
        };
        let (only, missing) = (lacks(&first.1, &other.1), lacks(&other.1, &first.1));
        assert_eq!((only, missing), (vec![], vec![]), "{:?} and {:?}", first.0, other.0);
    }
}

fn companion_bundle_means_the_same_to_all_runtimes() {
    requires!(root);
    bundles(["load", "-q"]).stdin(archive(no_entry_point)).ok();
    let flags: Vec<&str> = FLAGS.iter().copied().take_while(|flag| *flag != "--tmpfs").collect();
    let looked = runtimes(true).into_iter().map(|(kind, program)| {
        let dir = scratch().join(format!("bundle-{kind:?}"));
        bundles(["bundle"]).args(&flags).arg("app:1").arg(&dir).args(["sh", "-c", LOOK]).ok();
        let root = scratch().join("state");
        let words = ["run".as_ref(), "--bundle".as_ref(), dir.as_os_str(), "k1".as_ref()];
        let call = Call::of(program.into(), ["--root".as_ref(), root.as_os_str()]).args(words);
        (kind, seen(&call.output()))
    });
    assert_alike(&looked.collect::<Vec<_>>());
}

fn alike(call: impl Fn(&[&str]) -> Call, of_root: bool) {
    call(&["load", "-q"]).stdin(archive(no_entry_point)).ok();
    let looked = runtimes(of_root).into_iter().map(|(kind, program)| {
        let start = ["run", "--rm", "--network", "none", "--runtime", &program];
        let output = call(&[&start, FLAGS, &["app:1", "sh", "-c", LOOK]].concat()).output();
        (kind, seen(&output))
    });
    assert_alike(&looked.collect::<Vec<_>>());
}

fn companion_containers_of_all_runtimes_are_alike() {
    requires!(root);
    alike(|words| bundles(words), true);
}

fn companion_containers_of_all_runtimes_are_alike_to_an_ordinary_user() {
    let user = SecondUser::with_ranges();
    alike(|words| bundles_as(&user, words), false);
}

/// Exit codes of commands that are not there and of signals, exec, pause and stop.
fn live_alike(bundles: impl Fn(&[&str]) -> Call, of_root: bool) {
    bundles(&["load", "-q"]).stdin(archive(no_entry_point)).ok();
    for (kind, program) in runtimes(of_root) {
        let run = |flags: &[&str], args: &[&str]| {
            let words = ["run", "--network", "none", "--runtime", &program];
            bundles(&words).args(flags).arg("app:1").args(args)
        };
        println!("{kind:?}");
        run(&["--rm"], &["nosuch"]).output().assert_exit(127);
        run(&["--rm"], &["/srv"]).output().assert_exit(126);
        run(&["-d", "--name", "k2"], &["sleep", "60"]).ok();
        bundles(&["kill", "k2"]).ok();
        assert_eq!(bundles(&["wait", "k2"]).ok(), "137\n", "{kind:?}");
        bundles(&["rm", "k2"]).ok();
        let script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done";
        run(&["-d", "--name", "k1"], &["sh", "-c", script]).ok();
        until("it is ready", || (bundles(&["logs", "k1"]).ok() == "ready\n").then_some(()));
        let exec = ["exec", "-u", "web", "-w", "/etc", "-e", "A=b", "k1"];
        let exec = bundles(&exec).args(["sh", "-c", "echo $(id -u) $PWD $A; exit 9"]).output();
        exec.assert_exit(9);
        assert_eq!(exec.stdout(), "33 /etc b\n", "{kind:?}");
        if of_root {
            let status = || bundles(&["inspect", "-f", "{{.State.Status}}", "k1"]).ok();
            bundles(&["pause", "k1"]).ok();
            assert_eq!(status(), "paused\n", "{kind:?}");
            bundles(&["unpause", "k1"]).ok();
            assert_eq!(status(), "running\n", "{kind:?}");
        }
        bundles(&["stop", "-t", "5", "k1"]).ok();
        assert_eq!(bundles(&["wait", "k1"]).ok(), "5\n", "{kind:?}");
        bundles(&["rm", "k1"]).ok();
    }
}

fn companion_containers_of_all_runtimes_live_alike() {
    requires!(root);
    live_alike(|words| bundles(words), true);
}

fn companion_containers_of_all_runtimes_live_alike_to_an_ordinary_user() {
    let user = SecondUser::with_ranges();
    live_alike(|words| bundles_as(&user, words), false);
}
