//! config.md, "Process" and "POSIX process": what the payload is and may do.

use runtime_tests::config;
use runtime_tests::prelude::*;

tests![
    args_arrive_unchanged,
    environment_is_exactly_that_of_the_config,
    home_defaults_to_the_entry_in_passwd,
    path_of_the_config_finds_the_program,
    cwd_is_set,
    missing_cwd_is_made,
    cwd_is_entered_as_the_user,
    user_and_groups_are_set,
    umask_is_set,
    umask_defaults_to_0022,
    rlimits_are_set,
    soft_limit_of_open_files_is_set,
    unknown_rlimit_is_refused,
    capability_sets_are_exact,
    no_capabilities_means_none,
    ambient_capabilities_survive_for_a_user,
    no_capabilities_for_a_user,
    unknown_capability_is_ignored_or_refused,
    no_new_privileges_is_set_only_when_asked,
    oom_score_adj_is_set,
    cpus_are_not_those_of_the_caller,
    stdin_is_passed,
    stdout_and_stderr_are_apart,
    missing_program_says_so,
    program_without_permission_says_so,
    directory_as_program_is_refused,
    script_without_interpreter_fails,
    only_standard_descriptors_are_open,
    preserve_fds_passes_descriptors,
    preserve_fds_beyond_the_open_ones_is_refused,
    listen_fds_are_passed,
    payload_leads_no_foreign_session_keyring,
    empty_args_are_refused,
    personality_is_set,
];

fn args_arrive_unchanged() {
    let words = ["/probe", "args", "", "two words", "\u{e4}\u{1f980}", "--help", "$HOME", "a\nb"];
    let output = Bundle::new().run(&words);
    output.assert_exit(0);
    assert_eq!(output.stdout(), words.join("\n") + "\n");
}

fn environment_is_exactly_that_of_the_config() {
    let b = Bundle::new().args(&["/probe", "env"]).with(|c| {
        c["process"]["env"] = json!(["HOME=/nowhere", "B=2", "A=1=x", "EMPTY="]);
    });
    let output = b.run_call().arg(b.id()).env("LEAK", "from the caller").output();
    output.assert_stdout("HOME=/nowhere\nB=2\nA=1=x\nEMPTY=");
}

fn home_defaults_to_the_entry_in_passwd() {
    requires!(root);
    let passwd = "root:x:0:0:root:/root/home:/bin/sh\nweb:x:33:33::/var/www:/bin/sh\n";
    differs!(Crun, "sets no HOME for a user who is not in passwd");
    for (uid, home) in [(0, "/root/home"), (33, "/var/www"), (4711, "/")] {
        let b = Bundle::new().file("/etc/passwd", passwd).with(|c| {
            c["process"]["env"] = json!(["A=1"]);
            c["process"]["user"] = json!({ "uid": uid, "gid": 0 });
        });
        let output = b.run(&["/probe", "env"]);
        output.assert_exit(0);
        let home = format!("HOME={home}");
        assert!(output.lines().contains(&home), "uid {uid}: wanted {home}: {}", output.stdout());
    }
}

fn path_of_the_config_finds_the_program() {
    let b = Bundle::new().directory("/tools").symlink("/tools/tool", "/probe");
    let output = b
        .with(|c| c["process"]["env"] = json!(["PATH=/nowhere:/tools"]))
        .run(&["tool", "echo", "found"]);
    output.assert_stdout("found");
}

fn cwd_is_set() {
    let b = Bundle::new().directory("/srv/data").with(|c| c["process"]["cwd"] = json!("/srv/data"));
    b.run(&["/probe", "cwd"]).assert_stdout("/srv/data");
}

fn missing_cwd_is_made() {
    let b = Bundle::new().with(|c| c["process"]["cwd"] = json!("/not/yet"));
    b.run(&["/probe", "cwd"]).assert_stdout("/not/yet");
}

/// A home directory that only its owner may enter, on a root without `CAP_DAC_OVERRIDE`.
fn cwd_is_entered_as_the_user() {
    requires!(root);
    let b = Bundle::new().directory("/home/u").mode("/home/u", 0o700);
    std::os::unix::fs::chown(b.inside("/home/u"), Some(1000), Some(1000)).unwrap();
    let b = b.with(|c| {
        c["process"]["cwd"] = json!("/home/u");
        c["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        c["process"]["capabilities"] = config::capabilities(&[]);
    });
    b.run(&["/probe", "cwd"]).assert_stdout("/home/u");
}

fn user_and_groups_are_set() {
    requires!(root);
    let b = Bundle::new().with(|c| {
        c["process"]["user"] =
            json!({ "uid": 1000, "gid": 1001, "additionalGids": [5, 27, 2_000_000_000] });
    });
    let output = b.run(&["/probe", "id"]);
    output.assert_stdout("uid=1000,1000,1000 gid=1001,1001,1001 groups=5,27,2000000000");
    let b = Bundle::new().with(|c| c["process"]["user"] = json!({ "uid": 0, "gid": 0 }));
    b.run(&["/probe", "id"]).assert_stdout("uid=0,0,0 gid=0,0,0 groups=");
}

fn umask_is_set() {
    let b = Bundle::new().with(|c| c["process"]["user"]["umask"] = json!(0o077));
    b.run(&["/probe", "umask"]).assert_stdout("0077");
}

fn umask_defaults_to_0022() {
    Bundle::new().run(&["/probe", "umask"]).assert_stdout("0022");
}

fn rlimits_are_set() {
    let b = Bundle::new().with(|c| {
        c["process"]["rlimits"] = json!([
            { "type": "RLIMIT_NOFILE", "soft": 400, "hard": 400 },
            { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 },
            { "type": "RLIMIT_FSIZE", "soft": 1_048_576, "hard": 2_097_152 },
        ]);
    });
    let limits = b.run(&["/probe", "rlimits"]).stdout();
    let numbers = |name: &str| {
        let line = limits.lines().find(|l| l.starts_with(name)).expect(name);
        line[name.len()..].split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(numbers("Max open files"), ["400", "400"]);
    assert_eq!(numbers("Max core file size"), ["0", "0"]);
    assert_eq!(numbers("Max file size"), ["1048576", "2097152"]);
}

fn soft_limit_of_open_files_is_set() {
    sometimes_differs!(
        Runc,
        "Go raises the soft limit to the hard one, and now and then that reaches the payload"
    );
    let b = Bundle::new().with(|c| {
        c["process"]["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": 300, "hard": 400 }]);
    });
    let limits = b.run(&["/probe", "rlimits"]).stdout();
    let line = limits.lines().find(|l| l.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["300", "400"]);
}

fn unknown_rlimit_is_refused() {
    differs!(Crun, "leaves the cgroup behind");
    let b = Bundle::new().with(|c| {
        c["process"]["rlimits"] = json!([{ "type": "RLIMIT_NONSENSE", "soft": 1, "hard": 1 }]);
    });
    b.run(&["/probe", "true"]).assert_fails();
}

fn capability_sets_are_exact() {
    // kill is 5, chown 0, setuid 7, net_raw 13
    let b = Bundle::new().with(|c| {
        c["process"]["capabilities"] = json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_NET_RAW"],
            "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID"],
            "effective": ["CAP_CHOWN", "CAP_KILL"],
            "inheritable": ["CAP_KILL"],
            "ambient": [],
        });
    });
    // execve(2) of root makes all of permitted effective, and with no_new_privs adds nothing to it.
    b.run(&["/probe", "caps"]).assert_stdout(
        "CapInh 0000000000000020\nCapPrm 00000000000000a1\nCapEff 00000000000000a1\n\
         CapBnd 00000000000020a1\nCapAmb 0000000000000000",
    );
}

fn no_capabilities_means_none() {
    let b = Bundle::new().with(|c| c["process"]["capabilities"] = config::capabilities(&[]));
    b.run(&["/probe", "caps"]).assert_stdout(
        "CapInh 0000000000000000\nCapPrm 0000000000000000\nCapEff 0000000000000000\n\
         CapBnd 0000000000000000\nCapAmb 0000000000000000",
    );
}

fn ambient_capabilities_survive_for_a_user() {
    requires!(root);
    let b = Bundle::new().with(|c| {
        c["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        let set = json!(["CAP_NET_BIND_SERVICE"]);
        c["process"]["capabilities"] = json!({
            "bounding": set, "permitted": set, "effective": set, "inheritable": set, "ambient": set });
    });
    b.run(&["/probe", "caps"]).assert_stdout(
        "CapInh 0000000000000400\nCapPrm 0000000000000400\nCapEff 0000000000000400\n\
         CapBnd 0000000000000400\nCapAmb 0000000000000400",
    );
}

fn no_capabilities_for_a_user() {
    requires!(root);
    let b = Bundle::new().with(|c| c["process"]["user"] = json!({ "uid": 1000, "gid": 1000 }));
    let output = b.run(&["/probe", "caps"]);
    output.assert_exit(0);
    assert_eq!(output.lines()[1..3], ["CapPrm 0000000000000000", "CapEff 0000000000000000"]);
}

/// runc warns and goes on, since a newer engine may know newer capabilities; crun 1.29 refuses.
fn unknown_capability_is_ignored_or_refused() {
    let b = Bundle::new().with(|c| {
        c["process"]["capabilities"] = config::capabilities(&["CAP_KILL", "CAP_NOT_YET_THERE"]);
    });
    let output = b.run(&["/probe", "caps"]);
    if output.code == 0 {
        assert_eq!(output.lines()[3], "CapBnd 0000000000000020");
    } else {
        output.assert_fails();
    }
}

fn no_new_privileges_is_set_only_when_asked() {
    for (asked, seen) in [(json!(true), "1"), (json!(false), "0"), (Value::Null, "0")] {
        let b = Bundle::new().with(|c| {
            let process = c["process"].as_object_mut().unwrap();
            process.remove("noNewPrivileges");
            if !asked.is_null() {
                process.insert("noNewPrivileges".to_owned(), asked);
            }
        });
        b.run(&["/probe", "prctl", "nnp"]).assert_stdout(seen);
    }
}

/// A service manager may bind an engine to a few CPUs; that is nothing for its containers.
fn cpus_are_not_those_of_the_caller() {
    requires!(program("/usr/bin/taskset"));
    differs!(Runc, "came with 1.4");
    differs!(Crun, "came later than 1.8");
    let cpus = |taskset: bool| {
        let b = Bundle::new().args(&["/probe", "affinity"]);
        let call = b.run_call().arg(b.id());
        let call = if taskset { call.through(["/usr/bin/taskset", "-c", "0"]) } else { call };
        call.ok()
    };
    assert_eq!(cpus(true), cpus(false));
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let exec = c.exec_call(&[], &["/probe", "affinity"]).through(["/usr/bin/taskset", "-c", "0"]);
    assert_eq!(exec.ok(), cpus(false));
    c.end();
}

fn oom_score_adj_is_set() {
    let b = Bundle::new().with(|c| c["process"]["oomScoreAdj"] = json!(321));
    b.run(&["/probe", "oom"]).assert_stdout("321");
}

fn stdin_is_passed() {
    let b = Bundle::new().args(&["/probe", "stdin"]);
    b.run_call().arg(b.id()).stdin("one\ntwo\n").output().assert_stdout("one\ntwo");
}

fn stdout_and_stderr_are_apart() {
    let output = Bundle::new().run(&["/probe", "echo", "out", "--", "write-fd", "2", "err"]);
    output.assert_exit(0);
    assert_eq!(output.stdout(), "out\n3\n");
    assert_eq!(output.stderr(), "err");
}

/// Docker and Podman make exit code 127 of these words.
fn missing_program_says_so() {
    for program in ["nosuchprogram", "/nosuch/program"] {
        let output = Bundle::new().run(&[program]);
        output.assert_fails();
        let text = output.stderr();
        let known = [
            "executable file not found in $PATH",
            "No such file or directory",
            "no such file or directory",
        ];
        assert!(known.iter().any(|k| text.contains(k)), "{text}");
    }
}

/// ... and 126 of these.
fn program_without_permission_says_so() {
    let b = Bundle::new().file("/text", "just text").mode("/text", 0o644);
    let output = b.run(&["/text"]);
    output.assert_fails();
    assert!(output.stderr().to_lowercase().contains("permission denied"), "{}", output.stderr());
}

fn directory_as_program_is_refused() {
    Bundle::new().run(&["/etc"]).assert_fails();
}

fn script_without_interpreter_fails() {
    let b = Bundle::new().file("/script", "#!/nosuch\n").mode("/script", 0o755);
    b.run(&["/script"]).assert_fails();
}

/// CVE-2016-9962, CVE-2024-21626: nothing of the host is reachable through a descriptor.
fn only_standard_descriptors_are_open() {
    let b = Bundle::new().args(&["/probe", "fds"]);
    let open = || std::fs::File::open("/").unwrap();
    let call = b.run_call().arg(b.id()).fd(5, open()).fd(9, open()).fd(50, open());
    let output = call.output();
    output.assert_exit(0);
    let fds: Vec<String> =
        output.lines().iter().map(|l| l.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(fds, ["0", "1", "2"], "{}", output.stdout());
}

fn preserve_fds_passes_descriptors() {
    let b = Bundle::new().args(&["/probe", "fds"]).file("/a", "").file("/b", "");
    let open = |path| std::fs::File::open(b.inside(path)).unwrap();
    let call = b.run_call().args(["--preserve-fds", "2", b.id()]);
    let output = call.fd(3, open("/a")).fd(4, open("/b")).fd(5, open("/a")).output();
    output.assert_exit(0);
    let lines = output.lines();
    assert_eq!(lines.len(), 5, "0 1 2 3 4: {lines:?}");
    assert!(lines[3].starts_with("3 ") && lines[3].ends_with("/a"), "{lines:?}");
    assert!(lines[4].starts_with("4 ") && lines[4].ends_with("/b"), "{lines:?}");
}

fn preserve_fds_beyond_the_open_ones_is_refused() {
    differs!(Crun, "does not look whether they are open");
    let b = Bundle::new().args(&["/probe", "true"]);
    b.run_call().args(["--preserve-fds", "70", b.id()]).output().assert_fails();
}

/// `sd_listen_fds(3)`: `LISTEN_PID` must be that of the payload.
fn listen_fds_are_passed() {
    differs!(Crun, "sets LISTEN_PID but not LISTEN_FDS");
    let b = Bundle::new().args(&["/probe", "env", "--", "fds"]).file("/a", "");
    let file = std::fs::File::open(b.inside("/a")).unwrap();
    let as_systemd = ["/bin/sh", "-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\""];
    let call = b.run_call().arg(b.id()).through(as_systemd).fd(3, file);
    let output = call.output();
    output.assert_exit(0);
    let lines = output.lines();
    assert!(lines.contains(&"LISTEN_FDS=1".to_owned()), "{lines:?}");
    assert!(lines.contains(&"LISTEN_PID=1".to_owned()), "{lines:?}");
    assert!(lines.iter().any(|l| l.starts_with("3 ") && l.ends_with("/a")), "{lines:?}");
}

/// A new session keyring: keys of the caller's session are not shown or usable inside.
fn payload_leads_no_foreign_session_keyring() {
    requires!(root);
    // keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1) gives the serial number.
    let ask = ["/probe", "syscall", "250", "0", "-3", "1"];
    let one = Bundle::new().run(&ask).stdout();
    let two = Bundle::new().run(&ask).stdout();
    assert!(one.starts_with("ok ") && two.starts_with("ok "), "{one} {two}");
    assert_ne!(one, two, "two containers share a session keyring");
}

fn empty_args_are_refused() {
    Bundle::new().run(&[]).assert_fails();
    Bundle::new().run(&[""]).assert_fails();
}

fn personality_is_set() {
    differs!(Runc, "linux.personality came with runc 1.2");
    let b = Bundle::new().with(|c| c["linux"]["personality"] = json!({ "domain": "LINUX32" }));
    b.run(&["/probe", "personality"]).assert_stdout("0x8");
}
