//! Containers of an ordinary user when something goes wrong, with and without ranges of ids.

use std::fs;
use std::path::PathBuf;

use super::rootless_cgroups::Delegated;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use runtime_tests::companion::{Root, bundles_as, processes};
use runtime_tests::prelude::*;
use runtime_tests::second_user::{SecondUser, UID};

tests![
    companion_killed_monitor_of_an_ordinary_user,
    companion_killed_monitor_of_an_ordinary_user_with_ranges,
    companion_runtime_directory_of_another_session,
    companion_limits_of_an_ordinary_user_are_told_and_left_out,
    companion_limits_in_a_delegated_cgroup,
    companion_user_beyond_the_ranges_is_refused,
    companion_flags_of_an_ordinary_user,
    companion_flags_that_an_ordinary_user_cannot_have,
];

/// A user with a root file system, and the flags that name it and the runtime.
struct Someone {
    user: SecondUser,
    root: Root,
}

impl Someone {
    fn new(user: SecondUser) -> Self {
        Self { user, root: Root::new() }
    }

    fn call(&self, words: &[&str]) -> Call {
        bundles_as(&self.user, words)
    }

    /// `run` or `create`.
    fn make(&self, words: &[&str], args: &[&str]) -> Call {
        let runtime = runtime_tests::runtime::path().to_str().expect("UTF-8");
        let rootfs = self.root.rootfs.to_str().expect("UTF-8");
        self.call(words).args(["--runtime", runtime, "--rootfs", rootfs]).args(args)
    }

    fn containers(&self) -> PathBuf {
        self.user.directory("share").join("bundles/containers")
    }

    /// The pid of a container's monitor, from the record.
    fn monitor(&self, id: &str) -> Pid {
        let record = fs::read(self.containers().join(id).join("container.json")).expect("record");
        let record: Value = serde_json::from_slice(&record).expect("JSON");
        let pid = record["state"]["monitor"]["pid"].as_i64().expect("a pid");
        Pid::from_raw(i32::try_from(pid).expect("a pid"))
    }

    fn status(&self, name: &str) -> String {
        self.call(&["inspect", "-f", "{{.State.Status}}", name]).ok().trim().to_owned()
    }
}

fn end(pid: Pid) {
    kill(pid, Signal::SIGKILL).expect("kill");
    until("the end of a monitor", || (!processes("bundles-monitor").contains(&pid)).then_some(()));
}

/// Of one's session, which cron and a later login do not have.
fn companion_runtime_directory_of_another_session() {
    let someone = Someone::new(SecondUser::with_ranges());
    let session = someone.user.directory("session");
    let words = ["run", "-d", "--network", "none", "--name", "k1"];
    let session = session.to_str().expect("UTF-8");
    someone.make(&words, &SLEEP).env("XDG_RUNTIME_DIR", session).ok();
    assert_eq!(someone.call(&["exec", "k1", "echo", "there"]).ok(), "there\n");
    someone.call(&["stop", "-t", "0", "k1"]).ok();
    someone.call(&["start", "k1"]).ok();
    someone.call(&["rm", "-f", "k1"]).ok();
    assert_eq!(fs::read_dir(format!("{session}/bundles")).expect("a directory").count(), 0);
}

/// Whichever command comes next, it tells the truth, and the container has a monitor again.
fn killed_monitor(user: SecondUser) {
    let someone = Someone::new(user);
    let script = "trap 'exit 0' TERM; while :; do echo tick; sleep 0.05; done";
    let run = ["run", "-d", "--name", "k1", "-p", "8080:80"];
    let id = someone.make(&run, &["sh", "-c", script]).ok().trim().to_owned();
    for (words, seen) in [
        (&["ps", "--format", "{{.Names}} {{.State}}"][..], "k1 running"),
        (&["logs", "--tail", "1", "k1"], "tick"),
        (&["inspect", "-f", "{{.State.Running}}", "k1"], "true"),
        (&["port", "k1", "80"], "0.0.0.0:8080"),
    ] {
        let before = someone.monitor(&id);
        end(before);
        let said = someone.call(words).ok();
        assert!(said.contains(seen), "{words:?}: {said}");
        let now = someone.monitor(&id);
        assert!(now != before && processes("bundles-monitor") == [now], "{words:?}: not adopted");
    }
    // Those of whom the log is kept write on; the others have seen nothing of it.
    let lines = || someone.call(&["logs", "k1"]).ok().lines().count();
    let before = lines();
    until("it writes on", || (lines() > before).then_some(()));
    end(someone.monitor(&id));
    let waiting = someone.call(&["wait", "k1"]).spawn();
    until("another monitor", || (!processes("bundles-monitor").is_empty()).then_some(()));
    someone.call(&["stop", "-t", "5", "k1"]).ok();
    let waited = waiting.wait();
    waited.assert_exit(0).assert_stdout("255"); // nobody who has seen it was left
    assert_eq!(someone.status("k1"), "exited");
    someone.call(&["start", "k1"]).ok();
    end(someone.monitor(&id));
    someone.call(&["rm", "-f", "k1"]).ok();
    assert_eq!(fs::read_dir(someone.containers()).expect("containers").count(), 0);
    until("all his processes end", || {
        someone.call(&["network", "prune", "-f"]).ok();
        processes("bundles-").is_empty().then_some(())
    });
}

fn companion_killed_monitor_of_an_ordinary_user() {
    killed_monitor(SecondUser::new());
}

fn companion_killed_monitor_of_an_ordinary_user_with_ranges() {
    killed_monitor(SecondUser::with_ranges());
}

const SLEEP: [&str; 2] = ["sleep", "60"];

fn companion_limits_of_an_ordinary_user_are_told_and_left_out() {
    let someone = Someone::new(SecondUser::new());
    let flags = ["run", "-d", "--network", "none", "--name", "k1"];
    let flags = [&flags[..], &["-m", "64m", "--cpus", "1", "--pids-limit", "9"]].concat();
    let hint = "hint: log in through systemd, which delegates one, or begin the command with: \
                systemd-run --user --scope -p Delegate=yes\n";
    let none = "no cgroup with that is delegated to this user";
    let made = someone.make(&flags, &SLEEP).output();
    made.assert_exit(0);
    let told = format!("bundles: limits of memory, cpu, pids are ignored: {none}\n  {hint}");
    assert_eq!(made.stderr(), told);
    let update = someone.call(&["update", "--memory", "1g", "k1"]).output();
    update.assert_exit(1);
    assert_eq!(update.stderr(), format!("bundles: k1: limits of memory: {none}\n  {hint}"));
    someone.call(&["pause", "k1"]).output().assert_exit(1).assert_stderr_has(hint);
    let seen = someone.call(&["ps", "--format", "{{.State}} {{.Status}}"]).ok();
    assert!(seen.starts_with("running Up ") && !seen.contains("Paused"), "{seen}");
    let stats = ["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}"];
    assert_eq!(someone.call(&stats).ok(), "k1 1\n");
    someone.call(&["rm", "-f", "k1"]).ok();
}

/// The view v2 has a delegated cgroup without controllers, a virtual machine one with all of them.
fn companion_limits_in_a_delegated_cgroup() {
    let user = SecondUser::with_ranges();
    requires!(cgroup_v2);
    differs!(Crun, "1.8 leaves the cgroup alone without systemd");
    let (delegated, someone) = (Delegated::new(), Someone::new(user));
    let (enter, ids) =
        (delegated.entering("leaf"), [format!("--reuid={UID}"), format!("--regid={UID}")]);
    let words = ["/bin/sh", "-c", &enter, "/usr/bin/setpriv", &ids[0], &ids[1], "--clear-groups"];
    let inside = |call: Call| call.through(words);
    let flags =
        ["run", "-d", "--network", "none", "--name", "k1", "-m", "64m", "--pids-limit", "9"];
    let made = inside(someone.make(&flags, &SLEEP)).output();
    made.assert_exit(0);
    let cgroup = delegated.at.join(made.stdout().trim());
    assert!(cgroup.is_dir(), "{:?}", delegated.children(""));
    for verb in ["pause", "unpause"] {
        let wanted = if verb == "pause" { "paused" } else { "running" };
        inside(someone.call(&[verb, "k1"])).ok();
        assert_eq!(someone.status("k1"), wanted);
    }
    let controllers = fs::read_to_string(delegated.at.join("cgroup.controllers")).expect("read");
    if controllers.contains("memory") && controllers.contains("pids") {
        let read = |file: &str| fs::read_to_string(cgroup.join(file)).expect("a limit");
        assert_eq!(made.stderr(), "");
        assert_eq!((&*read("memory.max"), &*read("pids.max")), ("67108864\n", "9\n"));
        inside(someone.call(&["update", "-m", "128m", "k1"])).ok();
        assert_eq!(read("memory.max"), "134217728\n");
    } else {
        made.assert_stderr_has("bundles: limits of memory, pids are ignored: ");
    }
    inside(someone.call(&["rm", "-f", "k1"])).ok();
    until("the cgroup to go", || (delegated.children("") == ["leaf"]).then_some(()));
}

fn companion_user_beyond_the_ranges_is_refused() {
    let someone = Someone::new(SecondUser::new());
    let refused = someone.make(&["run", "--rm", "-u", "web"], &["id"]).output();
    refused.assert_exit(125);
    assert_eq!(
        refused.stderr(),
        "bundles: user 33: containers of this user have ids below 1 only\n  \
         hint: get a range of ids in /etc/subuid and /etc/subgid: bundles doctor tells how\n"
    );
}

/// What needs another way than root's.
fn companion_flags_of_an_ordinary_user() {
    let someone = Someone::new(SecondUser::with_ranges());
    let run = |flags: &[&str], args: &[&str]| {
        let words = [&["run", "--rm", "--network", "none"], flags].concat();
        someone.make(&words, args).ok()
    };
    let name = ["cat", "/proc/sys/kernel/domainname"];
    if runtime() != Runtime::Runc {
        // 1.1 does not know the field.
        assert_eq!(run(&["--domainname", "d.org"], &name), "d.org\n");
    }
    let ours = fs::read_link("/proc/self/ns/pid").expect("readlink");
    let seen = run(&["--pid", "host"], &["readlink", "/proc/self/ns/pid"]);
    assert_eq!(seen.trim(), ours.to_str().expect("UTF-8"));
    let limit = ["--ulimit", "nofile=100:200", "--oom-score-adj", "500"];
    let seen = run(&limit, &["sh", "-c", "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj"]);
    assert_eq!(seen, "100\n200\n500\n");
    let words = ["run", "-d", "--network", "none", "--ipc", "shareable", "--name", "k1"];
    someone.make(&words, &SLEEP).ok();
    let seen = run(&["--pid", "container:k1", "--ipc", "container:k1"], &["ps"]);
    assert!(seen.contains("sleep 60"), "{seen}");
    someone.call(&["rm", "-f", "k1"]).ok();
}

fn companion_flags_that_an_ordinary_user_cannot_have() {
    let someone = Someone::new(SecondUser::with_ranges());
    for (flags, error, cure) in [
        (["--ulimit", "nproc=9999999"], "limit", "ulimit -Ha shows it"),
        (["--oom-score-adj", "-900"], "oom", "can be raised only: write a number from 0 on"),
        (["--cgroup-parent", "/x"], "cgroup", "hint: log in through systemd"),
        (
            ["--device-cgroup-rule", "c 189:* rw"],
            "needs root",
            "hint: leave it away: your containers",
        ),
        (["--userns", "host"], "have a user namespace", "hint: leave --userns away"),
        (["-p", "80:80"], "port 80: bind(", "hint: ordinary users may take ports from 1024 on"),
    ] {
        let refused = someone.make(&[&["run", "--rm"], &flags[..]].concat(), &["true"]).output();
        refused.assert_exit(125).assert_stderr_has(error).assert_stderr_has(cure);
    }
}
