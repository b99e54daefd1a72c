//! `exec`: a second process in a running container, with its own settings and its own exit code.

use std::fs;

use runtime_tests::prelude::*;

tests![
    exec_returns_the_exit_code,
    exec_returns_128_plus_signal,
    exec_that_fails_itself_returns_255,
    exec_shares_all_namespaces,
    exec_takes_process_settings_from_the_config,
    exec_cwd,
    exec_env_adds_to_the_config,
    exec_user_by_number,
    exec_user_that_is_no_number_is_refused,
    exec_additional_groups,
    exec_capabilities_are_added_but_not_inheritable,
    exec_without_capabilities_gets_those_of_the_config,
    exec_no_new_privileges,
    exec_process_file,
    exec_umask,
    exec_process_file_with_no_user_is_root,
    exec_detach_and_pid_file,
    exec_passes_stdin,
    exec_stdio_is_apart,
    exec_only_standard_descriptors_are_open,
    exec_preserve_fds,
    exec_in_a_created_container,
    exec_in_a_paused_container_is_refused,
    exec_is_in_the_cgroup_of_the_container,
    exec_in_a_sub_cgroup,
    exec_is_reaped_and_leaves_the_container_alone,
    exec_has_the_session_keyring_of_the_container,
    exec_oom_score_and_rlimits_of_the_process,
    exec_has_masks_and_readonly_paths,
    exec_missing_program_says_so,
];

fn sleeper() -> Container {
    Bundle::new().start(&["/probe", "sleep", "60"])
}

fn exec_returns_the_exit_code() {
    let c = sleeper();
    for code in [0, 1, 42, 254] {
        c.exec(&["/probe", "exit", &code.to_string()]).assert_exit(code);
    }
    c.end();
}

fn exec_returns_128_plus_signal() {
    let c = sleeper();
    c.exec(&["/probe", "raise", "9"]).assert_exit(137);
    c.exec(&["/probe", "raise", "15"]).assert_exit(143);
    c.end();
}

/// 255 tells a failing exec from a failing program, as with ssh(1).
fn exec_that_fails_itself_returns_255() {
    differs!(Crun, "returns 1");
    let c = sleeper();
    c.exec(&["/nosuch"]).assert_exit(255).assert_fails();
    c.exec_with(&["--user", "x"], &["/probe", "true"]).assert_exit(255);
    rt(["exec", &new_id(), "/probe"]).output().assert_exit(255);
    c.end();
}

fn exec_shares_all_namespaces() {
    let c = Bundle::new().namespace("cgroup", None).start(&["/probe", "ns", "--", "sleep", "60"]);
    c.wait_for("uts ");
    c.exec(&["/probe", "ns"]).assert_stdout(&c.stdout());
    c.end();
}

fn exec_takes_process_settings_from_the_config() {
    differs!(Crun, "takes the environment only");
    let b = Bundle::new().directory("/job").with(|c| {
        c["process"]["cwd"] = json!("/job");
        c["process"]["env"] = json!(["A=1", "HOME=/h"]);
    });
    let c = b.start(&["/probe", "sleep", "60"]);
    c.exec(&["/probe", "cwd", "--", "env"]).assert_stdout("/job\nA=1\nHOME=/h");
    c.end();
}

fn exec_cwd() {
    let c = Bundle::new().directory("/srv").start(&["/probe", "sleep", "60"]);
    c.exec_with(&["--cwd", "/srv"], &["/probe", "cwd"]).assert_stdout("/srv");
    c.end();
}

fn exec_env_adds_to_the_config() {
    differs!(Crun, "--env replaces the environment of the config");
    let b = Bundle::new().with(|c| c["process"]["env"] = json!(["A=1", "B=2", "HOME=/h"]));
    let c = b.start(&["/probe", "sleep", "60"]);
    let output = c.exec_with(&["--env", "C=3", "--env", "B=4"], &["/probe", "env"]);
    output.assert_exit(0);
    let mut last = std::collections::BTreeMap::new();
    for line in output.lines() {
        let (key, value) = line.split_once('=').unwrap();
        last.insert(key.to_owned(), value.to_owned());
    }
    let expected = [("A", "1"), ("B", "4"), ("C", "3"), ("HOME", "/h")];
    assert_eq!(last, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    c.end();
}

fn exec_user_by_number() {
    requires!(root);
    let c = sleeper();
    c.exec_with(&["--user", "1000:1001"], &["/probe", "id"])
        .assert_stdout("uid=1000,1000,1000 gid=1001,1001,1001 groups=");
    // CVE-2026-30892: this became uid 0 in crun.
    c.exec_with(&["--user", "1"], &["/probe", "id"]).assert_stdout("uid=1,1,1 gid=0,0,0 groups=");
    c.end();
}

fn exec_user_that_is_no_number_is_refused() {
    differs!(Crun, "takes what atoi makes of it, CVE-2026-30892");
    let c = sleeper();
    for user in ["", "x", "1x", "1:", "1:x", "-1", "4294967296"] {
        if runtime() == Runtime::Runc && user == "4294967296" {
            continue; // runc 1.1 makes uid 0 of it
        }
        let output = c.exec_with(&["--user", user], &["/probe", "id"]);
        if user.is_empty() && output.code == 0 {
            // runc: the same as no flag.
            output.assert_stdout("uid=0,0,0 gid=0,0,0 groups=");
        } else {
            output.assert_fails();
        }
    }
    c.end();
}

fn exec_additional_groups() {
    requires!(root);
    differs!(Crun, "has no such flag");
    let c = sleeper();
    c.exec_with(&["-g", "5", "-g", "27"], &["/probe", "id"])
        .assert_stdout("uid=0,0,0 gid=0,0,0 groups=5,27");
    c.end();
}

/// CVE-2022-29162: not in the inheritable set.
fn exec_capabilities_are_added_but_not_inheritable() {
    requires!(root);
    differs!(Crun, "--cap replaces the capabilities of the config");
    let b = Bundle::new().with(|c| {
        c["process"]["capabilities"] = runtime_tests::config::capabilities(&["CAP_CHOWN"]);
    });
    let c = b.start(&["/probe", "sleep", "60"]);
    let output = c.exec_with(&["--cap", "CAP_KILL", "--cap", "CAP_NET_RAW"], &["/probe", "caps"]);
    output.assert_stdout(
        "CapInh 0000000000000000\nCapPrm 0000000000002021\nCapEff 0000000000002021\n\
         CapBnd 0000000000002021\nCapAmb 0000000000000000",
    );
    c.end();
}

fn exec_without_capabilities_gets_those_of_the_config() {
    let c = Bundle::new().start(&["/probe", "caps", "--", "sleep", "60"]);
    c.wait_for("CapAmb");
    c.exec(&["/probe", "caps"]).assert_stdout(&c.stdout());
    c.end();
}

fn exec_no_new_privileges() {
    let b = Bundle::new().with(|c| c["process"]["noNewPrivileges"] = json!(false));
    let c = b.start(&["/probe", "sleep", "60"]);
    c.exec(&["/probe", "prctl", "nnp"]).assert_stdout("0");
    c.exec_with(&["--no-new-privs"], &["/probe", "prctl", "nnp"]).assert_stdout("1");
    c.end();
}

/// What containerd and conmon send.
fn exec_process_file() {
    let c = Bundle::new().directory("/srv").start(&["/probe", "sleep", "60"]);
    let file = scratch().join("process.json");
    let process = json!({
        "terminal": false, "user": { "uid": 0, "gid": 0 },
        "args": ["/probe", "cwd", "--", "env", "--", "prctl", "nnp", "--", "status", "CapBnd"],
        "env": ["HOME=/x"], "cwd": "/srv", "noNewPrivileges": true,
        "capabilities": runtime_tests::config::capabilities(&["CAP_CHOWN"]),
    });
    fs::write(&file, process.to_string()).unwrap();
    rt(["exec", "--process", file.to_str().unwrap(), c.id()])
        .output()
        .assert_stdout("/srv\nHOME=/x\n1\nCapBnd 0000000000000001");
    fs::write(&file, "{").unwrap();
    rt(["exec", "--process", file.to_str().unwrap(), c.id()]).output().assert_fails();
    c.end();
}

fn exec_umask() {
    differs!(Runc, "1.1 leaves 0022");
    differs!(Crun, "leaves 0022");
    let c = Bundle::new()
        .with(|c| c["process"]["user"]["umask"] = json!(0o027))
        .start(&["/probe", "sleep", "60"]);
    c.exec(&["/probe", "umask"]).assert_stdout("0027");
    let file = scratch().join("process.json");
    let process = json!({ "args": ["/probe", "umask"], "cwd": "/", "user": { "uid": 0, "gid": 0, "umask": 0o077 } });
    fs::write(&file, process.to_string()).unwrap();
    rt(["exec", "--process", file.to_str().unwrap(), c.id()]).output().assert_stdout("0077");
    c.end();
}

fn exec_process_file_with_no_user_is_root() {
    let c = sleeper();
    let file = scratch().join("process.json");
    fs::write(&file, json!({ "args": ["/probe", "id"], "cwd": "/" }).to_string()).unwrap();
    let output = rt(["exec", "-p", file.to_str().unwrap(), c.id()]).output();
    output.assert_exit(0);
    assert!(output.stdout().starts_with("uid=0,0,0 gid=0,0,0"), "{}", output.stdout());
    c.end();
}

fn exec_detach_and_pid_file() {
    let c = sleeper();
    let file = scratch().join("exec.pid");
    let flags = ["--detach", "--pid-file", file.to_str().unwrap()];
    c.exec_with(&flags, &["/probe", "sleep", "60"]).assert_exit(0);
    let pid: i32 = fs::read_to_string(&file).unwrap().parse().expect("a number and nothing else");
    let words = || fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    until("the program of that pid", || (words() == "/probe\0sleep\x0060\0").then_some(()));
    // It ends with the container's pid namespace.
    c.end();
}

fn exec_passes_stdin() {
    let c = sleeper();
    c.exec_call(&[], &["/probe", "stdin"]).stdin("text\n").output().assert_stdout("text");
    c.end();
}

fn exec_stdio_is_apart() {
    let c = sleeper();
    let output = c.exec(&["/probe", "echo", "out", "--", "write-fd", "2", "err"]);
    assert_eq!((output.stdout().as_str(), output.stderr().as_str()), ("out\n3\n", "err"));
    assert_eq!(c.stdout(), "");
    c.end();
}

fn exec_only_standard_descriptors_are_open() {
    let c = sleeper();
    let open = || fs::File::open("/").unwrap();
    let output = c.exec_call(&[], &["/probe", "fds"]).fd(7, open()).fd(23, open()).output();
    output.assert_exit(0);
    assert_eq!(output.lines().len(), 3, "{}", output.stdout());
    c.end();
}

fn exec_preserve_fds() {
    let b = Bundle::new().file("/a", "");
    let open = fs::File::open(b.inside("/a")).unwrap();
    let c = b.start(&["/probe", "sleep", "60"]);
    let output = c.exec_call(&["--preserve-fds", "1"], &["/probe", "fds"]).fd(3, open).output();
    output.assert_exit(0);
    let lines = output.lines();
    assert!(
        lines.len() == 4 && lines[3].starts_with("3 ") && lines[3].ends_with("/a"),
        "{lines:?}"
    );
    c.end();
}

/// The spec leaves it open; runc and crun allow it, and Podman's init containers rely on it.
fn exec_in_a_created_container() {
    let c = Bundle::new().args(&["/probe", "true"]).create();
    c.exec(&["/probe", "echo", "early"]).assert_stdout("early");
    c.start().wait_status("stopped").delete();
}

fn exec_in_a_paused_container_is_refused() {
    requires!(root, freezer);
    let c = sleeper();
    c.call("pause").output().assert_exit(0);
    c.exec(&["/probe", "true"]).assert_fails();
    c.call("resume").output().assert_exit(0);
    c.exec(&["/probe", "true"]).assert_exit(0);
    c.end();
}

fn exec_is_in_the_cgroup_of_the_container() {
    requires!(root);
    let c = Bundle::new().start(&["/probe", "cgroup", "--", "sleep", "60"]);
    c.wait_for("0::");
    let output = c.exec(&["/probe", "cgroup"]);
    output.assert_stdout(&c.stdout());
    // The path is seen from the caller's cgroup namespace, so it names the container.
    assert!(output.stdout().contains(c.id()), "{}", output.stdout());
    c.end();
}

fn exec_in_a_sub_cgroup() {
    requires!(root, cgroup_v2);
    differs!(Crun, "1.8 wants the cgroup to be there in another form");
    let c = sleeper();
    let own = runtime_tests::cgroups::of_process(c.pid());
    fs::create_dir(own.join("sub")).unwrap();
    let output = c.exec_with(&["--cgroup", "sub"], &["/probe", "cgroup"]);
    output.assert_exit(0);
    assert!(
        output.stdout().contains(c.id()) && output.stdout().ends_with("/sub\n"),
        "{}",
        output.stdout()
    );
    c.exec_with(&["--cgroup", "../.."], &["/probe", "true"]).assert_fails();
    c.exec_with(&["--cgroup", "nosuch"], &["/probe", "true"]).assert_fails();
    c.end();
}

fn exec_is_reaped_and_leaves_the_container_alone() {
    let c = sleeper();
    for _ in 0..5 {
        c.exec(&["/probe", "exit", "7"]).assert_exit(7);
    }
    assert_eq!(c.status(), "running");
    c.end();
}

fn exec_has_the_session_keyring_of_the_container() {
    requires!(root);
    differs!(Crun, "makes a new one for each exec");
    let ask = ["/probe", "syscall", "250", "0", "-3", "1"];
    let c = Bundle::new().start(&["/probe", "syscall", "250", "0", "-3", "1", "--", "sleep", "60"]);
    c.wait_for("ok ");
    c.exec(&ask).assert_stdout(&c.stdout());
    c.end();
}

fn exec_oom_score_and_rlimits_of_the_process() {
    differs!(Crun, "leaves both alone");
    let b = Bundle::new().with(|c| {
        c["process"]["oomScoreAdj"] = json!(123);
        c["process"]["rlimits"] = json!([{ "type": "RLIMIT_FSIZE", "soft": 77777, "hard": 88888 }]);
    });
    let c = b.start(&["/probe", "sleep", "60"]);
    let output = c.exec(&["/probe", "oom", "--", "rlimits"]);
    output.assert_exit(0);
    assert_eq!(output.lines()[0], "123");
    let files = output.lines().into_iter().find(|l| l.starts_with("Max file size")).unwrap();
    assert_eq!(files.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["77777", "88888"]);
    c.end();
}

fn exec_has_masks_and_readonly_paths() {
    let b = Bundle::new().file("/secret", "x").with(|c| {
        c["linux"]["maskedPaths"] = json!(["/secret"]);
        c["linux"]["readonlyPaths"] = json!(["/tmp"]);
    });
    let c = b.start(&["/probe", "sleep", "60"]);
    c.exec(&["/probe", "cat", "/secret", "--", "write", "/tmp/x", "x"]).assert_says("EROFS");
    c.end();
}

fn exec_missing_program_says_so() {
    let c = sleeper();
    let text = c.exec(&["nosuchprogram"]).assert_fails().stderr();
    let known = [
        "executable file not found in $PATH",
        "No such file or directory",
        "no such file or directory",
    ];
    assert!(known.iter().any(|k| text.contains(k)), "{text}");
    c.end();
}
