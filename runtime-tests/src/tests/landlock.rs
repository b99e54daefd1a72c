//! Landlock rules by `io.github.rt.landlock`, an extension of ours (docs/landlock.md).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use runtime_tests::isolate::rootless;
use runtime_tests::prelude::*;
use runtime_tests::second_user::SecondUser;

tests![
    files_outside_of_the_rules_are_refused,
    files_can_be_changed_where_it_is_allowed,
    a_rule_may_name_a_file,
    paths_are_those_of_the_container,
    only_listed_programs_are_executed,
    program_that_is_not_listed_does_not_start,
    ports_outside_of_the_rules_are_refused,
    empty_list_allows_nothing,
    absent_lists_restrict_nothing,
    signals_stay_within_the_scope,
    exec_has_the_rules_too,
    payload_cannot_keep_exec_out,
    rules_hold_whatever_the_user_may_do,
    rules_go_with_a_filter_that_forbids_landlock,
    rules_in_a_user_namespace,
    rules_of_an_ordinary_user,
    mounting_is_over,
    hooks_are_not_restricted,
    nothing_of_the_rules_is_left_open,
    missing_path_is_an_error,
    hostile_values_are_refused,
    kernel_without_landlock_is_an_error,
    kernel_without_landlock_with_best_effort,
    plan_shows_the_rules,
];

const KEY: &str = "io.github.rt.landlock";

/// Of the kernel's interface; 0 without Landlock.
fn version() -> u32 {
    let told = Call::plain(["doctor"]).output().stdout();
    let line = told.lines().find(|line| line.contains(" landlock "));
    let version = line.and_then(|line| line.split_once("version ")?.1.split(' ').next());
    version.and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// A container under rules. The probe is static, so it needs nothing else to run.
fn ruled(rules: &Value) -> Bundle {
    if runtime() != Runtime::Rt {
        skip!(Machine, "an extension of rt");
    }
    if version() < 6 {
        skip!(Machine, "the kernel's Landlock is missing or older than version 6");
    }
    Bundle::new()
        .with(|c| c["annotations"] = json!({ KEY: rules.to_string() }))
        .file("/etc/conf", "settings\n")
        .file("/secret", "top\n")
        .directory("/data")
}

fn usual() -> Value {
    json!({ "exec": ["/probe"], "ro": ["/etc"], "rw": ["/data"] })
}

fn files_outside_of_the_rules_are_refused() {
    let b = ruled(&usual()).directory("/elsewhere");
    let output = b.run(&[
        "/probe",
        "cat",
        "/etc/conf",
        "--",
        "ls",
        "/etc",
        "--",
        "cat",
        "/secret",
        "--",
        "ls",
        "/",
        "--",
        "write",
        "/etc/conf",
        "x",
        "--",
        "append",
        "/secret",
        "x",
        "--",
        "rm",
        "/etc/conf",
        "--",
        "mkdir",
        "/elsewhere/d",
        "--",
        "attack",
        "truncate",
        "/secret",
        "--",
        "mknod",
        "/elsewhere/f",
        "p",
        "0",
        "0",
        "--",
        "stat",
        "/secret",
    ]);
    let lines = output.lines();
    assert_eq!(lines[..2], ["settings", "conf"], "{lines:?}");
    assert_eq!(lines[2..10], ["EACCES"; 8], "{lines:?}");
    assert!(lines[10].starts_with("file "), "names are no secret: {lines:?}");
}

fn files_can_be_changed_where_it_is_allowed() {
    let b = ruled(&usual());
    let data = b.inside("/data");
    b.run(&[
        "/probe",
        "write",
        "/data/a",
        "one",
        "--",
        "append",
        "/data/a",
        " two",
        "--",
        "mkdir",
        "/data/d",
        "--",
        "write",
        "/data/d/b",
        "x",
        "--",
        "rm",
        "/data/d/b",
        "--",
        "cat",
        "/data/a",
        "--",
        "attack",
        "truncate",
        "/data/a",
    ])
    .assert_stdout("one two\nok");
    assert_eq!(fs::read_to_string(data.join("a")).unwrap(), "");
    assert!(data.join("d").is_dir() && !data.join("d/b").exists());
}

fn a_rule_may_name_a_file() {
    let rules =
        json!({ "exec": ["/probe"], "ro": ["/etc/conf"], "rw": ["/data/one", "/dev/null"] });
    let b = ruled(&rules).file("/data/one", "1").file("/data/two", "2").file("/etc/other", "x");
    b.run(&[
        "/probe",
        "cat",
        "/etc/conf",
        "--",
        "cat",
        "/etc/other",
        "--",
        "write",
        "/data/one",
        "x",
        "--",
        "write",
        "/data/two",
        "x",
        "--",
        "rm",
        "/data/one",
        "--",
        "write",
        "/dev/null",
        "x",
        "--",
        "open",
        "/dev/zero",
        "r",
    ])
    .assert_says("settings\nEACCES\nEACCES\nEACCES\nEACCES");
}

/// Links of the image lead anywhere inside the root and nowhere else; mounts are there already.
fn paths_are_those_of_the_container() {
    let shared = scratch().join("shared");
    fs::create_dir(&shared).unwrap();
    let rules = json!({ "exec": ["/probe"], "rw": ["/mnt"], "ro": ["/link", "/up"] });
    let b = ruled(&rules)
        .symlink("/link", "/etc")
        .symlink("/up", "../../../../../../data")
        .file("/data/x", "inside\n")
        .mount("/mnt", "bind", shared.to_str().unwrap(), &["bind"]);
    b.run(&[
        "/probe",
        "cat",
        "/etc/conf",
        "--",
        "cat",
        "/data/x",
        "--",
        "write",
        "/mnt/new",
        "x",
        "--",
        "cat",
        "/secret",
    ])
    .assert_says("settings\ninside\nEACCES");
    assert_eq!(fs::read_to_string(shared.join("new")).unwrap(), "x");

    let b = ruled(&json!({ "exec": ["/probe"], "ro": ["/fd"] })).symlink("/fd", "/proc/self/fd/0");
    let output = b.mount("/proc", "proc", "proc", &[]).assert_create_refused();
    output.assert_stderr_has(&format!("annotations[{KEY:?}]: ro[0] (/fd): "));
}

fn only_listed_programs_are_executed() {
    requires!(busybox());
    let b = ruled(&json!({ "exec": ["/probe"], "ro": ["/bin"], "rw": ["/data"] })).with_busybox();
    let copy = b.inside("/data/tool");
    fs::copy(b.inside("/probe"), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    b.run(&[
        "/probe",
        "execute",
        "/probe",
        "true",
        "--",
        "execute",
        "/bin/sh",
        "-c",
        "exit 0",
        "--",
        "execute",
        "/data/tool",
        "true",
    ])
    .assert_says("exit 0\nEACCES\nEACCES");
}

fn program_that_is_not_listed_does_not_start() {
    let b = ruled(&json!({ "ro": ["/"] })).args(&["/probe", "true"]);
    let c = b.create();
    let output = c.call("start").output();
    output.assert_fails();
    output.assert_stderr_has("process.args[0]: exec /probe: permission denied (EACCES)");
    output.assert_stderr_has("hint: \"exec\" of the Landlock rules must have the program");
    c.delete_force();
}

fn ports_outside_of_the_rules_are_refused() {
    let rules = json!({ "net_bind": [0, 8080], "net_connect": [8081] });
    ruled(&rules)
        .run(&[
            "/probe",
            "bind",
            "127.0.0.1:8080",
            "--",
            "bind",
            "127.0.0.1:0",
            "--",
            "bind",
            "127.0.0.1:8081",
            "--",
            "connect",
            "127.0.0.1:8081",
            "--",
            "connect",
            "127.0.0.1:8080",
            "--",
            "cat",
            "/secret",
        ])
        .assert_says("ok\nok\nEACCES\nECONNREFUSED\nEACCES\ntop");
}

fn empty_list_allows_nothing() {
    ruled(&json!({ "net_connect": [] }))
        .run(&["/probe", "connect", "127.0.0.1:80", "--", "bind", "127.0.0.1:80"])
        .assert_says("EACCES\nok");
    ruled(&json!({ "exec": ["/probe"], "rw": [] }))
        .run(&["/probe", "write", "/data/x", "x", "--", "ls", "/data"])
        .assert_says("EACCES\nEACCES");
}

fn absent_lists_restrict_nothing() {
    ruled(&json!({ "scope": ["signal"] }))
        .run(&["/probe", "cat", "/secret", "--", "write", "/data/x", "x", "--", "bind", "[::1]:80"])
        .assert_says("top\nok");
    ruled(&usual()).run(&["/probe", "bind", "127.0.0.1:80"]).assert_says("ok");
}

/// With the pid namespace of the host: signals of root stay inside all the same.
fn signals_stay_within_the_scope() {
    let parent = std::process::id().to_string();
    let kill = libc::SYS_kill.to_string();
    let args = ["/probe", "syscall", &kill, &parent, "0"];
    let b = |rules: Value| ruled(&rules).without_namespace("pid");
    b(json!({ "exec": ["/"] })).run(&args).assert_says("ok 0");
    b(json!({ "scope": ["signal", "abstract_unix_socket"] })).run(&args).assert_says("EPERM");
}

fn exec_has_the_rules_too() {
    for no_new_privs in [false, true] {
        let b = ruled(&usual()).with(|c| c["process"]["noNewPrivileges"] = json!(no_new_privs));
        let c = b.start(&["/probe", "sleep", "60"]);
        let look =
            ["/probe", "cat", "/etc/conf", "--", "cat", "/secret", "--", "write", "/data/x", "x"];
        c.exec(&look).assert_says("settings\nEACCES");
        if !rootless() {
            c.exec_with(&["--user", "7:7"], &["/probe", "cat", "/secret"]).assert_says("EACCES");
        }
        let file = scratch().join("process.json");
        let process = json!({ "user": {}, "cwd": "/", "args": ["/probe", "cat", "/secret"] });
        fs::write(&file, process.to_string()).unwrap();
        rt(["exec", "--process", file.to_str().unwrap(), c.id()]).output().assert_says("EACCES");
        c.end();
    }
}

fn payload_cannot_keep_exec_out() {
    let rules = json!({ "exec": ["/probe"], "ro": ["/data/gone"], "rw": ["/data"] });
    let b = ruled(&rules).file("/data/gone", "x");
    let c = b.start(&["/probe", "rm", "/data/gone", "--", "echo", "removed", "--", "sleep", "60"]);
    c.wait_for("removed");
    c.exec(&["/probe", "write", "/data/x", "x", "--", "cat", "/secret"]).assert_says("EACCES");
    c.end();
}

fn rules_hold_whatever_the_user_may_do() {
    for (uid, no_new_privs, capabilities) in
        [(0, true, true), (0, false, false), (7, false, false), (7, true, true)]
    {
        if uid != 0 && rootless() {
            continue; // who has one id only
        }
        let b = ruled(&usual()).with(|c| {
            c["process"]["user"] = json!({ "uid": uid, "gid": uid });
            c["process"]["noNewPrivileges"] = json!(no_new_privs);
            if !capabilities {
                c["process"]["capabilities"] = json!({});
            }
        });
        let output =
            b.run(&["/probe", "cat", "/etc/conf", "--", "cat", "/secret", "--", "prctl", "nnp"]);
        output.assert_says(&format!("settings\nEACCES\n{}", u8::from(no_new_privs)));
    }
    // What was needed for the rules is not left.
    let rules = json!({ "exec": ["/probe"], "ro": ["/proc"] });
    let b = ruled(&rules).with(|c| c["process"]["capabilities"] = json!({}));
    let text = b.run(&["/probe", "caps"]).stdout();
    assert!(text.contains("CapEff 0000000000000000"), "{text}");
    assert!(text.contains("CapPrm 0000000000000000"), "{text}");
}

fn rules_go_with_a_filter_that_forbids_landlock() {
    for no_new_privs in [false, true] {
        let b = ruled(&usual()).with(|c| {
            c["process"]["noNewPrivileges"] = json!(no_new_privs);
            c["linux"]["seccomp"] = json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{
                    "names": ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"],
                    "action": "SCMP_ACT_KILL_PROCESS",
                }],
            });
        });
        b.run(&["/probe", "cat", "/etc/conf", "--", "cat", "/secret"])
            .assert_says("settings\nEACCES");
    }
}

fn rules_in_a_user_namespace() {
    requires!(userns());
    let b = ruled(&usual()).user_namespace(100_000).mode("/data", 0o777);
    b.run(&["/probe", "cat", "/etc/conf", "--", "cat", "/secret", "--", "write", "/data/x", "x"])
        .assert_says("settings\nEACCES");
}

fn rules_of_an_ordinary_user() {
    requires!(root());
    drop(ruled(&usual()));
    let user = SecondUser::with_ranges();
    let b = user.bundle().change(|b| b.file("/etc/conf", "settings\n").file("/secret", "top\n"));
    let rules = json!({ "exec": ["/probe"], "ro": ["/etc"] }).to_string();
    let b = b.with(|c| c["annotations"] = json!({ KEY: rules }));
    b.run(&["/probe", "cat", "/etc/conf", "--", "cat", "/secret"]).assert_says("settings\nEACCES");
}

/// landlock(7): file rules take the right to change what is mounted.
fn mounting_is_over() {
    requires!(root());
    let admin = |c: &mut Value| {
        for set in ["bounding", "effective", "permitted"] {
            c["process"]["capabilities"][set] = json!(["CAP_SYS_ADMIN"]);
        }
    };
    let args = ["/probe", "mount", "none", "/data", "tmpfs"];
    ruled(&json!({ "scope": ["signal"] })).with(admin).run(&args).assert_says("ok");
    ruled(&usual()).with(admin).run(&args).assert_says("EPERM");
}

fn hooks_are_not_restricted() {
    let b = ruled(&usual()).file("/out", "").with(|c| {
        let args = ["probe", "append", "/out", "from the hook"];
        c["hooks"]["startContainer"] = json!([{ "path": "/probe", "args": args }]);
    });
    let out = b.inside("/out");
    b.run(&["/probe", "append", "/out", "x"]).assert_says("EACCES");
    assert_eq!(fs::read_to_string(out).unwrap(), "from the hook");
}

fn nothing_of_the_rules_is_left_open() {
    let b = ruled(&json!({ "exec": ["/probe"], "ro": ["/proc"] }));
    let c = b.start(&["/probe", "fds", "--", "sleep", "60"]);
    c.wait_for("2 ");
    assert!(!c.stdout().contains("landlock"), "{}", c.stdout());
    assert!(!c.exec(&["/probe", "fds"]).stdout().contains("landlock"));
    c.end();
}

fn missing_path_is_an_error() {
    let b = ruled(&json!({ "exec": ["/probe"], "ro": ["/etc", "/no/where"] }));
    let output = b.assert_create_refused();
    output.assert_stderr_has(&format!("annotations[{KEY:?}]: ro[1] (/no/where): openat2("));
    output.assert_stderr_has("hint: name what is in the container when it is made");
    let output = ruled(&json!({ "ro": ["/etc/conf/below"] })).assert_create_refused();
    output.assert_stderr_has("ENOTDIR");
}

fn hostile_values_are_refused() {
    for (value, why) in [
        ("", "EOF while parsing"),
        ("{}", "restricts nothing"),
        ("[]", "not an object"),
        ("{\"ro\":[\"etc\"]}", "ro[0]: \"etc\": not absolute"),
        ("{\"ro\":[\"\"]}", "ro[0]: \"\": not absolute"),
        ("{\"rw\":[\"/a\\u0000b\"]}", "path: NUL byte at position 2"),
        ("{\"readonly\":[]}", "\"readonly\" is not a known key"),
        ("{\"ro\":\"/etc\"}", "ro: not a list"),
        ("{\"ro\":null}", "ro: not a list"),
        ("{\"net_bind\":[65536]}", "net_bind[0]: 65536: not a port"),
        ("{\"net_bind\":[-1]}", "net_bind[0]: -1: not a port"),
        ("{\"net_bind\":[80.5]}", "net_bind[0]: 80.5: not a port"),
        ("{\"net_connect\":[0]}", "net_connect[0]: 0: not a port"),
        ("{\"scope\":[\"all\"]}", "neither abstract_unix_socket nor signal"),
        ("{\"best_effort\":\"yes\",\"ro\":[\"/\"]}", "best_effort: neither true nor false"),
        ("{\"ro\":[\"/\"]} x", "trailing characters"),
    ] {
        let b = ruled(&usual()).with(|c| c["annotations"][KEY] = json!(value));
        let output = b.assert_create_refused();
        output.assert_stderr_has(&format!("annotations[{KEY:?}]: "));
        output.assert_stderr_has(why);
        output.assert_stderr_has("hint: write a JSON object such as");
    }
    let long = format!("{{\"ro\":[\"/{}\"]}}", "a".repeat(5000));
    let b = ruled(&usual()).with(|c| c["annotations"][KEY] = json!(long));
    b.assert_create_refused().assert_stderr_has("5001 bytes long, the kernel takes at most 4095");
    let deep = "[".repeat(100_000);
    let b = ruled(&usual()).with(|c| c["annotations"][KEY] = json!(deep));
    b.assert_create_refused().assert_stderr_has(&format!("annotations[{KEY:?}]: "));
}

/// `rt create` on a kernel whose Landlock is not there.
fn create_without(b: &Bundle) -> Output {
    let probe = b.inside("/probe");
    b.write();
    rt(["--debug", "create", "--bundle", b.dir().to_str().unwrap(), b.id()])
        .through([probe.to_str().unwrap(), "without-landlock"])
        .output()
}

fn kernel_without_landlock_is_an_error() {
    let b = ruled(&usual());
    let output = create_without(&b);
    output.assert_fails();
    output.assert_stderr_has(&format!(
        "annotations[{KEY:?}]: version 5 of Landlock is needed (Linux 6.10), the kernel has 0"
    ));
    output.assert_stderr_has("hint: boot such a kernel with landlock in lsm=, or add");
}

fn kernel_without_landlock_with_best_effort() {
    let b =
        ruled(&json!({ "ro": ["/etc"], "best_effort": true })).args(&["/probe", "cat", "/secret"]);
    let output = create_without(&b);
    output.assert_exit(0);
    output.assert_stderr_has("version 5 of Landlock is needed (Linux 6.10), the kernel has 0");
    output.assert_stderr_has(": less is restricted, or nothing");
    rt(["delete", "--force", b.id()]).output().assert_exit(0);
    // Where the kernel has it, nothing is left out.
    let rules = json!({ "exec": ["/probe"], "best_effort": true });
    ruled(&rules).run(&["/probe", "cat", "/secret"]).assert_says("EACCES");
}

fn plan_shows_the_rules() {
    let b = ruled(&json!({ "exec": ["/usr"], "net_bind": [80, 443] }));
    b.write();
    let text = rt(["plan", "--bundle", b.dir().to_str().unwrap()]).output().stdout();
    let line = format!("annotation   {KEY}={{\"exec\":[\"/usr\"],\"net_bind\":[80,443]}}");
    assert!(text.contains(&line), "{text}");
    let features = Call::plain(["features"]).output().json();
    let unsafe_ones = features["potentiallyUnsafeConfigAnnotations"].as_array().unwrap();
    assert!(unsafe_ones.contains(&json!(KEY)), "{features}");
}
