//! `bundles run` and its like: containers of a directory, each with a monitor, by any runtime.

use std::fs;

use nix::sys::signal::{Signal, kill};
pub(super) use runtime_tests::companion::{
    Root, assert_nothing_is_left, inspect, monitor, processes,
};
use runtime_tests::companion::{bundles, bundles_of};
use runtime_tests::prelude::*;
use runtime_tests::pty;
use runtime_tests::second_user::{self, SecondUser};

tests![
    companion_run_returns_the_exit_code,
    companion_run_that_fails_itself,
    companion_run_passes_streams,
    companion_run_passes_much_at_once,
    companion_run_ends_before_its_input,
    companion_run_forwards_signals,
    companion_run_with_a_terminal,
    companion_detached_life,
    companion_start_again,
    companion_names_and_ids,
    companion_stop_escalates,
    companion_logs_follow,
    companion_exec,
    companion_flags_arrive,
    companion_limits_are_set,
    companion_volumes_are_bound,
    companion_default_rights,
    companion_killed_monitor,
    companion_killed_run,
    companion_bad_flags,
    companion_as_an_ordinary_user,
    companion_as_an_ordinary_user_with_ranges,
];

fn companion_run_returns_the_exit_code() {
    let root = Root::new();
    for code in [0, 1, 42, 255] {
        root.run(&[], &["/probe", "exit", &code.to_string()]).output().assert_exit(code);
    }
    assert_nothing_is_left();
}

fn companion_run_that_fails_itself() {
    let root = Root::new();
    root.run(&[], &["nosuch"]).output().assert_exit(127);
    root.run(&[], &["/nosuch"]).output().assert_exit(127);
    root.run(&[], &["/etc"]).output().assert_exit(126);
    root.run(&["--mount", "type=bind,src=/nosuch/dir,dst=/x"], &["true"]).output().assert_exit(125);
    assert_nothing_is_left();
    // Without --rm it stays, to be looked at.
    root.call(&["run", "--name", "k1"], &[], &["nosuch"]).output().assert_exit(127);
    assert_eq!(inspect("k1")["State"]["ExitCode"], 127);
    assert_eq!(inspect("k1")["State"]["Status"], "created");
    bundles(["rm", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_run_passes_streams() {
    let root = Root::new();
    let out = root.run(&[], &["sh", "-c", "echo out; echo err >&2; exit 3"]).output();
    out.assert_exit(3);
    assert_eq!((out.stdout().as_str(), out.stderr().as_str()), ("out\n", "err\n"));
    root.run(&["-i"], &["cat"]).stdin("typed\n").output().assert_stdout("typed\n");
    root.run(&[], &["cat"]).stdin("not for it\n").output().assert_stdout("");
}

/// More than any buffer on the way, in both directions at once.
fn companion_run_passes_much_at_once() {
    let root = Root::new();
    let text = "0123456789abcdef\n".repeat(60_000);
    let out = root.run(&["-i"], &["cat"]).stdin(&text).output();
    out.assert_exit(0);
    assert!(out.stdout() == text, "{} of {} bytes", out.stdout().len(), text.len());
}

/// What the monitor has not read any more must not cost its last words.
fn companion_run_ends_before_its_input() {
    let root = Root::new();
    for code in 0..25 {
        let out = root.run(&["-i"], &["sh", "-c", &format!("echo x; exit {code}")]);
        let out = out.stdin("not read\n").output();
        out.assert_exit(code);
        assert_eq!(out.stdout(), "x\n");
    }
    assert_nothing_is_left();
}

fn companion_run_forwards_signals() {
    let root = Root::new();
    let script = "trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.05; done";
    let running = root.run(&[], &["sh", "-c", script]).spawn();
    until("it is ready", || running.stdout().contains("ready").then_some(()));
    running.signal(Signal::SIGUSR1);
    let out = running.wait();
    out.assert_exit(5);
    assert!(out.stdout().ends_with("got\n"));
}

fn companion_run_with_a_terminal() {
    let root = Root::new();
    let (mut master, slave) = pty::open(31, 97);
    let script =
        "until stty size | grep '31 97'; do sleep 0.05; done; read line; echo read-$line; exit 4";
    let running = root.run(&["-it"], &["sh", "-c", script]).terminal(slave).spawn();
    master.wait_for("31 97");
    master.write("typed\r");
    master.wait_for("read-typed");
    running.wait().assert_exit(4);
    let piped = root.run(&["-it"], &["true"]).output();
    piped.assert_exit(125).assert_stderr_has("-t: standard input is not a terminal");
}

fn companion_detached_life() {
    let root = Root::new();
    let id = root.detached("web", &["sh", "-c", "echo one; echo two; sleep 0.3; exit 6"]);
    assert!(id.len() == 64 && id.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
    let ps = bundles(["ps"]).ok();
    assert!(ps.starts_with("CONTAINER ID") && ps.contains("web") && ps.contains("Up "), "{ps}");
    bundles(["rm", "web"]).output().assert_exit(1).assert_stderr_has("web: runs");
    assert_eq!(bundles(["wait", "web"]).ok(), "6\n");
    assert_eq!(bundles(["logs", "web"]).ok(), "one\ntwo\n");
    assert_eq!(bundles(["logs", "--tail", "1", "web"]).ok(), "two\n");
    assert!(bundles(["logs", "-t", "web"]).ok().starts_with("20"));
    assert_eq!(bundles(["ps", "-q"]).ok(), "");
    assert_eq!(bundles(["ps", "-aq"]).ok(), format!("{}\n", &id[..12]));
    assert!(bundles(["ps", "-al"]).ok().contains("Exited (6)"));
    assert_eq!(inspect("web")["State"]["ExitCode"], 6);
    assert_eq!(bundles(["rm", "web"]).ok(), "web\n");
    assert_nothing_is_left();
}

fn companion_start_again() {
    let root = Root::new();
    let id = root.call(&["create", "--name", "k1"], &[], &["sh", "-c", "echo hi"]).ok();
    assert_eq!(inspect("k1")["State"]["Status"], "created");
    for times in 1..4 {
        assert_eq!(bundles(["start", "k1"]).ok(), "k1\n");
        bundles(["wait", "k1"]).ok();
        assert_eq!(bundles(["logs", "k1"]).ok(), "hi\n".repeat(times));
    }
    bundles(["rm", &id[..9]]).ok();
    assert_nothing_is_left();
}

fn companion_names_and_ids() {
    let root = Root::new();
    let id = root.detached("nginx-lb01", &["sleep", "60"]);
    let again = root.call(&["run", "-d", "--name", "nginx-lb01"], &[], &["true"]).output();
    again.assert_exit(125).assert_stderr_has("another container has that name");
    let bad = root.call(&["run", "--name", "x/y"], &[], &["true"]).output();
    bad.assert_exit(125).assert_stderr_has("not a name for a container");
    assert_eq!(inspect(&id[..5])["Name"], "/nginx-lb01");
    let made_up = root.call(&["create"], &[], &["true"]).ok();
    let name = inspect(made_up.trim())["Name"].as_str().expect("a name").to_owned();
    assert!(name.len() > 4 && name.contains('_'), "{name}");
    bundles(["stop", "nosuch"]).output().assert_exit(1).assert_stderr_has("no such container");
    bundles(["rm", "-f", &id, made_up.trim()]).ok();
    assert_nothing_is_left();
}

fn companion_stop_escalates() {
    let root = Root::new();
    root.detached("deaf", &["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]);
    assert_eq!(bundles(["stop", "-t", "1", "deaf"]).ok(), "deaf\n");
    assert_eq!(inspect("deaf")["State"]["ExitCode"], 137);
    bundles(["stop", "deaf"]).ok();
    let ears = ["sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.05; done"];
    root.detached("ears", &ears);
    // The trap is set a moment after the start.
    until("it hears", || {
        bundles(["kill", "-s", "TERM", "ears"]).output();
        (inspect("ears")["State"]["Status"] == "exited").then_some(())
    });
    assert_eq!(inspect("ears")["State"]["ExitCode"], 9);
    bundles(["kill", "ears"]).output().assert_exit(1).assert_stderr_has("ears: does not run");
    bundles(["rm", "deaf", "ears"]).ok();
    assert_nothing_is_left();
}

fn companion_logs_follow() {
    let root = Root::new();
    root.detached("k1", &["sh", "-c", "for i in 1 2 3; do echo line $i; sleep 0.1; done"]);
    bundles(["logs", "-f", "k1"]).output().assert_stdout("line 1\nline 2\nline 3\n");
    bundles(["rm", "-f", "k1"]).ok();
}

fn companion_exec() {
    let root = Root::new();
    root.detached("k1", &["sleep", "60"]);
    let exec = |args: &[&str]| bundles(["exec"]).args(args);
    exec(&["k1", "sh", "-c", "exit 7"]).output().assert_exit(7);
    exec(&["k1", "nosuch"]).output().assert_exit(127);
    exec(&["-i", "k1", "cat"]).stdin("typed").output().assert_stdout("typed");
    let words = [
        "-e",
        "A=b",
        "-w",
        "/tmp",
        "-u",
        "web",
        "k1",
        "sh",
        "-c",
        "echo $A $PWD $HOME; id -u; id -g",
    ];
    exec(&words).output().assert_stdout("b /tmp /srv\n33\n34\n");
    exec(&["-d", "k1", "touch", "/tmp/made"]).ok();
    until("it is made", || root.rootfs.join("tmp/made").exists().then_some(()));
    bundles(["rm", "-f", "k1"]).ok();
    exec(&["k1", "true"]).output().assert_exit(125).assert_stderr_has("no such container");
    assert_nothing_is_left();
}

fn companion_flags_arrive() {
    let root = Root::new();
    let flags = ["-h", "lb01", "-e", "A=b", "-w", "/tmp", "-u", "web", "--tmpfs", "/srv"];
    let script = "hostname; echo $A $PWD $HOME; id -u; touch /srv/x 2>&1; mount | grep -c ' /srv '";
    root.run(&flags, &["sh", "-c", script])
        .env("A", "c")
        .output()
        .assert_exit(0)
        .assert_stdout("lb01\nb /tmp /srv\n33\n1\n");
    let out = root.run(&["--read-only"], &["touch", "/x"]).output();
    out.assert_exit(1).assert_stderr_has("Read-only");
    root.run(&["--ulimit", "nofile=77:88"], &["sh", "-c", "ulimit -n; ulimit -Hn"])
        .output()
        .assert_stdout("77\n88\n");
    root.run(&["--entrypoint", "echo", "--"], &["-n", "x"]).output().assert_stdout("x");
}

fn companion_limits_are_set() {
    requires!(host_view);
    if runtime() == Runtime::Crun {
        skip!("crun takes no hybrid cgroups");
    }
    let root = Root::new();
    requires!(cgroup_v1("memory"), cgroup_v1("pids"));
    let script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max";
    let out = root.run(&["-m", "64m", "--pids-limit", "50"], &["sh", "-c", script]).output();
    out.assert_stdout("67108864\n50\n");
}

fn companion_volumes_are_bound() {
    let root = Root::new();
    let shared = scratch().join("shared");
    fs::create_dir(&shared).expect("mkdir");
    let volume = format!("{}:/data", shared.display());
    root.run(&["-v", &volume], &["sh", "-c", "echo x > /data/file"]).ok();
    assert_eq!(fs::read_to_string(shared.join("file")).expect("the file"), "x\n");
    let read_only = format!("{volume}:ro");
    let out = root.run(&["-v", &read_only], &["touch", "/data/other"]).output();
    out.assert_exit(1).assert_stderr_has("Read-only");
    let words = format!("type=bind,source={},target=/data", shared.display());
    root.run(&["--mount", &words], &["cat", "/data/file"]).output().assert_stdout("x\n");
}

fn companion_default_rights() {
    let root = Root::new();
    let status = |flags: &[&str], name: &str| {
        let pattern = format!("^{name}:");
        let text = root.run(flags, &["grep", &pattern, "/proc/self/status"]).ok();
        text.split_whitespace().last().expect("a value").to_owned()
    };
    assert_eq!(status(&[], "CapEff"), "00000000a80425fb");
    assert_eq!(status(&["--cap-drop", "all", "--cap-add", "kill"], "CapEff"), "0000000000000020");
    assert_eq!(status(&["-u", "5"], "CapEff"), "0000000000000000");
    assert_eq!(status(&[], "Seccomp"), "2");
    assert_eq!(status(&["--security-opt", "seccomp=unconfined"], "Seccomp"), "0");
    assert_eq!(status(&[], "NoNewPrivs"), "0");
    assert_eq!(status(&["--security-opt", "no-new-privileges"], "NoNewPrivs"), "1");
    // unshare(2) needs what is not granted.
    root.run(&[], &["unshare", "-m", "true"]).output().assert_exit(1);
    let out = root.run(&[], &["sh", "-c", "wc -c < /proc/keys; ls /sys/firmware | wc -l"]).output();
    out.assert_stdout("0\n0\n");
    let links = |net: &str| root.run(&["--network", net], &["readlink", "/proc/self/ns/net"]).ok();
    let ours = fs::read_link("/proc/self/ns/net").expect("readlink");
    assert_eq!(links("host").trim(), ours.to_str().expect("UTF-8"));
    assert_ne!(links("none").trim(), ours.to_str().expect("UTF-8"));
}

fn companion_killed_monitor() {
    let root = Root::new();
    // It writes on: losing the monitor must not be a broken pipe.
    let script = "trap 'exit 0' TERM; while :; do echo tick; sleep 0.05; done";
    for (name, by) in [("k1", "stop"), ("k2", "rm"), ("k3", "start")] {
        let id = root.detached(name, &["sh", "-c", script]);
        kill(monitor(&id), Signal::SIGKILL).expect("kill the monitor");
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(inspect(name)["State"]["Status"], "running", "{name}");
        bundles(["exec", name, "true"]).ok();
        match by {
            "rm" => drop(bundles(["rm", "-f", name]).ok()),
            _ => {
                bundles(["stop", "-t", "5", name]).ok();
                assert_eq!(inspect(name)["State"]["Status"], "exited");
            }
        }
        if by == "start" {
            bundles(["start", name]).ok();
            assert_eq!(inspect(name)["State"]["Running"], true);
            bundles(["rm", "-f", name]).ok();
        } else if by == "stop" {
            bundles(["rm", name]).ok();
        }
    }
    assert_nothing_is_left();
}

fn companion_killed_run() {
    let root = Root::new();
    let call =
        root.call(&["run", "--name", "k1"], &[], &["sh", "-c", "echo ready; sleep 0.5; exit 3"]);
    let running = call.spawn();
    until("it is ready", || running.stdout().contains("ready").then_some(()));
    running.signal(Signal::SIGKILL);
    running.wait();
    assert_eq!(inspect("k1")["State"]["Running"], true);
    assert_eq!(bundles(["wait", "k1"]).ok(), "3\n");
    bundles(["rm", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_bad_flags() {
    let root = Root::new();
    for (flags, error) in [
        (&["--cap-add", "NOSUCH"][..], "--cap-add NOSUCH: no such capability"),
        (&["-m", "much"], "--memory much: not a size"),
        (&["--network", "web"], "--network web: network web not found"),
        (&["-u", "nobody"], "user nobody: not in the container's /etc/passwd"),
        (&["-v", "data:x"], "-v data:x: \"x\" is no absolute path in the container"),
        (&["-v", "/a:/b:x"], "-v /a:/b:x: unknown option \"x\""),
        (&["--mount", "type=bind,src=/nosuch,dst=/b"], "/nosuch: no such file or directory"),
        (&["--stop-signal", "NO"], "NO: no such signal"),
        (&["--security-opt", "x=y"], "--security-opt x=y: unknown"),
    ] {
        root.run(flags, &["true"]).output().assert_exit(125).assert_stderr_has(error);
    }
    assert_nothing_is_left();
}

fn as_user(user: &SecondUser, ids: &str) {
    let root = Root::new();
    let own = user.directory("home");
    let of_user = |words: &[&str]| user.through(bundles_of(&own).args(words));
    let flags = ["--runtime", runtime_tests::runtime::path().to_str().expect("UTF-8")];
    let rootfs = root.rootfs.to_str().expect("UTF-8").to_owned();
    let run = |words: &[&str], args: &[&str]| {
        of_user(&[words, &flags, &["--rootfs", &rootfs], args].concat())
    };
    let out = run(&["run", "--rm"], &["sh", "-c", "id -u; cat /proc/self/uid_map | wc -l; exit 3"]);
    let out = out.output();
    out.assert_exit(3);
    assert_eq!(out.stdout(), ids);
    run(&["run", "-d", "--name", "k1"], &["sh", "-c", "echo hi; sleep 60"]).ok();
    of_user(&["exec", "k1", "true"]).ok();
    until("it has written", || (of_user(&["logs", "k1"]).ok() == "hi\n").then_some(()));
    let pid = of_user(&["inspect", "k1"]).ok();
    let pid = serde_json::from_str::<Value>(&pid).expect("JSON")[0]["State"]["Pid"].clone();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let uid = format!("Uid:\t{0}\t{0}", second_user::UID);
    assert!(status.contains(&uid), "{status}");
    of_user(&["stop", "-t", "1", "k1"]).ok();
    of_user(&["rm", "k1"]).ok();
    assert_eq!(fs::read_dir(own.join("containers")).expect("his home").count(), 0);
}

fn companion_as_an_ordinary_user() {
    as_user(&SecondUser::new(), "0\n1\n");
}

fn companion_as_an_ordinary_user_with_ranges() {
    as_user(&SecondUser::with_ranges(), "0\n2\n");
}
