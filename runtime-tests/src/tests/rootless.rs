//! Rootless: a second user of the machine runs the runtime, and it makes his own user namespace.
//!
//! The runner's user mode is another thing: there the runtime is root of a namespace that is there.

use std::os::unix::fs::MetadataExt as _;

use runtime_tests::prelude::*;
use runtime_tests::pty;
use runtime_tests::second_user::{RANGE, SecondUser, UID};

tests![
    spec_rootless_runs_as_an_ordinary_user,
    spec_rootless_runs_for_a_user_with_ranges,
    rootless_life_cycle_and_exec,
    rootless_commands_on_a_running_container,
    rootless_state_is_below_the_runtime_directory,
    root_of_a_users_namespace_has_the_users_state,
    rootless_container_root_is_the_user,
    rootless_config_without_user_namespace_gets_one,
    rootless_default_mappings_use_the_ranges,
    rootless_default_mappings_are_told_at_debug_and_in_plan,
    rootless_terminal,
    rootless_seccomp_filter,
    rootless_hooks_run_as_the_user,
    rootless_exec_on_a_terminal,
    rootless_time_offsets,
    rootless_rlimits_and_oom_score,
    rootless_oom_score_below_the_own_one,
    rootless_in_a_pod_of_the_users_own,
];

fn spec_rootless_runs_as_an_ordinary_user() {
    let user = SecondUser::new();
    let output = user.bundle().run(&["/probe", "echo", "ran", "--", "exit", "7"]);
    output.assert_exit(7).assert_says("ran");
}

fn spec_rootless_runs_for_a_user_with_ranges() {
    let user = SecondUser::with_ranges();
    let output = user.bundle().run(&["/probe", "echo", "ran", "--", "exit", "7"]);
    output.assert_exit(7).assert_says("ran");
}

fn rootless_life_cycle_and_exec() {
    let user = SecondUser::new();
    let c = user.bundle().start(&["/probe", "sleep", "60"]);
    assert_eq!(c.state()["status"], "running");
    c.exec(&["/probe", "exit", "9"]).assert_exit(9);
    let output = c.exec(&["/probe", "id"]);
    assert!(output.stdout().starts_with("uid=0,0,0 gid=0,0,0"), "{}", output.stdout());
    c.call(&["kill"]).arg("KILL").ok();
    until("stopped", || (c.state()["status"] == "stopped").then_some(()));
    c.call(&["delete"]).ok();
}

fn rootless_commands_on_a_running_container() {
    let user = SecondUser::new();
    let c = user.bundle().start(&["/probe", "sleep", "60"]);
    let listed = user.call(["list", "--quiet"]).ok();
    assert!(listed.lines().any(|line| line == c.id()), "{listed}");
    let pids = c.call(&["ps", "--format", "json"]).output();
    if pids.code == 0 {
        assert_eq!(pids.json()[0], c.pid());
    } else {
        // Without a cgroup there is no list of processes.
        pids.assert_fails();
    }
    c.delete();
    assert_eq!(user.call(["list", "--quiet"]).ok(), "");
}

fn rootless_state_is_below_the_runtime_directory() {
    let user = SecondUser::new();
    let c = user.bundle().start(&["/probe", "sleep", "60"]);
    let listed: Vec<_> = std::fs::read_dir(user.dir()).unwrap().flatten().collect();
    assert_eq!(listed.len(), 1, "one directory of the runtime: {listed:?}");
    assert!(listed[0].path().join(c.id()).is_dir(), "{listed:?}");
}

/// Rootless Podman calls the runtime as root of a user namespace, and names no `--root`.
fn root_of_a_users_namespace_has_the_users_state() {
    requires!(userns, program("/usr/bin/unshare"));
    for (user, below) in [(None, true), (Some("USER=someone"), true), (Some("USER=root"), false)] {
        let dir = scratch().join(new_id());
        std::fs::create_dir(&dir).unwrap();
        let mut through = vec!["env".to_owned(), "-i".to_owned()];
        through.push(format!("XDG_RUNTIME_DIR={}", dir.display()));
        through.extend(user.map(str::to_owned));
        through.extend(["/usr/bin/unshare", "--user", "--map-root-user"].map(str::to_owned));
        let b = Bundle::new().args(&["/probe", "echo", "ran"]);
        b.write();
        let call = Call::plain(["run", "--bundle", b.dir().to_str().unwrap(), b.id()]);
        call.through(through).output().assert_stdout("ran");
        let made = std::fs::read_dir(&dir).unwrap().count();
        assert_eq!(made, usize::from(below), "{user:?}");
    }
}

fn rootless_container_root_is_the_user() {
    let user = SecondUser::new();
    let b = user.bundle();
    let made = b.bundle().inside("/tmp/made");
    let output = b.run(&["/probe", "id", "--", "write", "/tmp/made", "x"]);
    output.assert_exit(0);
    assert!(output.stdout().starts_with("uid=0,0,0 gid=0,0,0"), "{}", output.stdout());
    assert_eq!(std::fs::metadata(made).unwrap().uid(), UID);
}

/// As crun does; never the caller's own.
fn rootless_config_without_user_namespace_gets_one() {
    let user = SecondUser::new();
    differs!(Runc, "refuses a rootless config without user namespace");
    let own = std::fs::read_link("/proc/self/ns/user").unwrap();
    let c = user.plain_bundle().start(&[
        "/probe",
        "id",
        "--",
        "ns",
        "--",
        "cat",
        "/proc/self/uid_map",
        "--",
        "sleep",
        "60",
    ]);
    until("the map", || c.stdout().contains("4242").then_some(()));
    assert!(c.stdout().starts_with("uid=0,0,0 gid=0,0,0"), "{}", c.stdout());
    assert!(!c.stdout().contains(own.to_str().unwrap()), "{}", c.stdout());
    let output = c.exec(&["/probe", "id", "--", "readlink", "/proc/1/ns/user"]);
    output.assert_exit(0);
    assert!(output.stdout().starts_with("uid=0,0,0 gid=0,0,0"), "{}", output.stdout());
}

fn rootless_default_mappings_use_the_ranges() {
    let user = SecondUser::with_ranges();
    differs!(Runc, "refuses a rootless config without user namespace");
    let c = user
        .plain_bundle()
        .with(|c| {
            c["process"]["user"] = json!({ "uid": 1000, "gid": 1000, "additionalGids": [33] });
        })
        .start(&["/probe", "id", "--", "cat", "/proc/self/gid_map", "--", "sleep", "60"]);
    until("the map", || c.stdout().contains("300000").then_some(()));
    assert!(c.stdout().starts_with("uid=1000,1000,1000 gid=1000,1000,1000"), "{}", c.stdout());
    assert!(c.stdout().contains("groups=33"), "{}", c.stdout());
    differs!(Crun, "maps the user himself to the process's uid, not to root");
    let stdout = c.stdout();
    let words: Vec<&str> = stdout.lines().skip(1).flat_map(str::split_whitespace).collect();
    assert_eq!(words, ["0", "4242", "1", "1", "300000", "65536"]);
    let status = std::fs::metadata(format!("/proc/{}", c.pid())).unwrap();
    assert_eq!(status.uid(), RANGE.0 + 999);
    c.exec(&["/probe", "id"]).assert_exit(0);
    let output = c.call(&["exec", "--user", "5:6"]).args(["/probe", "id"]).output();
    assert!(output.stdout().starts_with("uid=5,5,5 gid=6,6,6"), "{}", output.stdout());
}

fn rootless_default_mappings_are_told_at_debug_and_in_plan() {
    if runtime() != Runtime::Rt {
        skip!("how another runtime tells it");
    }
    let user = SecondUser::new();
    let b = user.plain_bundle();
    let b = b.change(|b| b.args(&["/probe", "true"]));
    b.run_call(&["--debug"]).output().assert_exit(0).assert_stderr_has(
        "an ordinary user gets one that maps only root, to the user himself: /etc/subuid has no range",
    );
    let quiet = b.run_call(&[]).output();
    assert_eq!(quiet.stderr(), "");
    let plan = user.call(["plan", "--bundle", b.path()]).ok();
    assert!(plan.contains("create: user ") && plan.contains("uid 0..0 -> 4242"), "{plan}");
}

fn rootless_terminal() {
    let user = SecondUser::new();
    let b = user.bundle().with(|c| c["process"]["terminal"] = json!(true));
    let b = b.change(|b| b.args(&["/probe", "isatty", "--", "open", "/dev/console", "rw"]));
    let (mut master, slave) = pty::open(24, 80);
    let running = b.run_call(&[]).terminal(slave).spawn();
    running.wait().assert_exit(0);
    // crun's helpers write there, too.
    let text = master.read_to_end();
    assert!(text.ends_with("tty tty tty\r\nok\r\n"), "{text}");
}

/// Loading a filter needs `CAP_SYS_ADMIN` or `no_new_privs`; root of his own namespace has the first.
fn rootless_seccomp_filter() {
    let user = SecondUser::new();
    for no_new_privs in [true, false] {
        let b = user.bundle().with(|c| {
            c["process"]["noNewPrivileges"] = json!(no_new_privs);
            c["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38 }] });
        });
        b.run(&["/probe", "mkdir", "/tmp/x"]).assert_says("ENOSYS");
    }
}

fn rootless_hooks_run_as_the_user() {
    let user = SecondUser::new();
    let journal = user.directory("hooks").join("journal");
    let script = format!(
        "cat >/dev/null; echo $(id -u) $(readlink /proc/self/ns/user) >> {}",
        journal.display()
    );
    let hook =
        json!({ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"] });
    let b = user.bundle().with(|c| {
        for kind in ["prestart", "createRuntime", "poststart", "poststop"] {
            c["hooks"][kind] = json!([hook.clone()]);
        }
    });
    b.run(&["/probe", "true"]).assert_exit(0);
    let own = std::fs::read_link("/proc/self/ns/user").unwrap();
    let line = format!("{UID} {}", own.display());
    assert_eq!(std::fs::read_to_string(journal).unwrap().lines().collect::<Vec<_>>(), [&line; 4]);
}

fn rootless_rlimits_and_oom_score() {
    let user = SecondUser::new();
    let limit = |name: &str, hard: u64| json!([{ "type": name, "hard": hard, "soft": hard }]);
    // Fewer than the runtime itself needs on the way.
    differs!(Crun, "1.8 sets the limit first, and runs out of descriptors");
    let b = user.bundle().with(|c| c["process"]["rlimits"] = limit("RLIMIT_NOFILE", 11));
    let output = b.run(&["/probe", "cat", "/proc/self/limits"]);
    let text = output.stdout();
    let line = text.lines().find(|line| line.starts_with("Max open files")).expect("the limit");
    assert_eq!(line.split_whitespace().collect::<Vec<_>>()[3..5], ["11", "11"], "{text}");

    let b = user.bundle().with(|c| c["process"]["oomScoreAdj"] = json!(500));
    b.run(&["/probe", "oom"]).assert_says("500");

    let b = user.bundle().with(|c| c["process"]["rlimits"] = limit("RLIMIT_NOFILE", 1 << 30));
    let output = b.run(&["/probe", "true"]);
    output.assert_fails();
    if runtime() == Runtime::Rt {
        output.assert_stderr_has("process.rlimits[0] (RLIMIT_NOFILE)");
        output.assert_stderr_has("hint: raising a hard limit needs CAP_SYS_RESOURCE on the host");
    }
}

fn rootless_exec_on_a_terminal() {
    let user = SecondUser::new();
    let c = user.bundle().start(&["/probe", "sleep", "60"]);
    let (mut master, slave) = pty::open(24, 80);
    let call = user.call(["exec", "--tty", c.id(), "/probe", "isatty", "--", "exit", "5"]);
    call.terminal(slave).spawn().wait().assert_exit(5);
    assert!(master.read_to_end().ends_with("tty tty tty\r\n"));
}

fn rootless_time_offsets() {
    let user = SecondUser::new();
    requires!(namespace("time"));
    differs!(Runc, "1.1 knows no time namespaces");
    differs!(Crun, "1.8 leaves the offsets out");
    let b = user.bundle().change(|b| b.namespace("time", None));
    let b = b.with(|c| c["linux"]["timeOffsets"] = json!({ "boottime": { "secs": 1_000_000 } }));
    let output = b.run(&["/probe", "cat", "/proc/uptime"]);
    output.assert_exit(0);
    let uptime: f64 = output.stdout().split(' ').next().unwrap().parse().unwrap();
    assert!(uptime > 1_000_000.0, "{uptime}");
}

/// Only a privileged process lowers it; an engine that asks has to be told.
fn rootless_oom_score_below_the_own_one() {
    let user = SecondUser::new();
    let b = user.bundle().with(|c| c["process"]["oomScoreAdj"] = json!(-500));
    let output = b.run(&["/probe", "oom"]);
    output.assert_fails();
    if runtime() == Runtime::Rt {
        output.assert_stderr_has("process.oomScoreAdj: write(/proc/").assert_stderr_has("(EACCES)");
        output.assert_stderr_has("hint: lowering the score needs CAP_SYS_RESOURCE on the host");
    }
}

/// Podman's pods: the members join the user, network, ipc and uts namespace of the first.
fn rootless_in_a_pod_of_the_users_own() {
    let user = SecondUser::with_ranges();
    let range = [(0, UID, 1), (1, RANGE.0, RANGE.1)];
    let first = user
        .bundle()
        .maps(&range, &range)
        .change(|b| b.namespace("network", None))
        .start(&["/probe", "sleep", "60"]);
    let of_first = |file: &str| format!("/proc/{}/ns/{file}", first.pid());
    for _ in 0..2 {
        let mut b = user.bundle().maps(&range, &range);
        for (kind, file) in [("user", "user"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
            b = b.change(|b| b.namespace(kind, Some(&of_first(file))));
        }
        let b = b.with(|c| {
            c.as_object_mut().unwrap().remove("hostname");
            c["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
            c["process"]["oomScoreAdj"] = json!(500);
        });
        let c = b.start(&["/probe", "id", "--", "oom", "--", "sleep", "60"]);
        until("its words", || c.stdout().ends_with("500\n").then_some(()));
        assert!(c.stdout().starts_with("uid=1000,1000,1000"), "{}", c.stdout());
        for file in ["user", "net", "ipc", "uts"] {
            let link = |pid: i64| std::fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap();
            assert_eq!(link(c.pid()), link(first.pid()), "{file}");
        }
        let output = c.call(&["exec", "--user", "3:4"]).args(["/probe", "id"]).output();
        assert!(output.stdout().starts_with("uid=3,3,3 gid=4,4,4"), "{}", output.stdout());
        c.delete();
    }
    first.exec(&["/probe", "true"]).assert_exit(0);
}
