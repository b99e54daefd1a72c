//! config-linux.md, "Devices", "Default Devices", and the device rules of the cgroup.

use runtime_tests::prelude::*;

tests![
    default_devices_are_there,
    default_symlinks_are_there,
    ptmx_makes_terminals_of_the_container,
    device_of_the_config_is_made,
    device_kinds_and_owner,
    device_below_a_new_directory,
    device_of_unknown_type_is_refused,
    devices_in_a_user_namespace,
    bound_device_must_be_the_one_that_was_asked_for,
    host_devices_are_not_there,
    device_rules_deny_by_default,
    device_rules_allow_what_is_listed,
    device_rules_apply_to_exec,
    device_rules_follow_an_update,
    mknod_of_a_device_without_m_gives_no_access,
    all_devices_can_be_allowed,
    read_only_access_to_a_device,
];

fn default_devices_are_there() {
    let names = ["null", "zero", "full", "random", "urandom", "tty"];
    let mut verbs = vec!["/probe".to_owned()];
    for name in names {
        verbs.extend(["stat".to_owned(), format!("/dev/{name}"), "--".to_owned()]);
    }
    verbs.extend(
        [
            "open",
            "/dev/null",
            "rw",
            "--",
            "open",
            "/dev/zero",
            "rw",
            "--",
            "write",
            "/dev/full",
            "x",
        ]
        .map(String::from),
    );
    let verbs: Vec<&str> = verbs.iter().map(String::as_str).collect();
    let output = Bundle::new().run(&verbs);
    let lines = output.lines();
    let numbers = ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0"];
    for ((name, number), line) in names.iter().zip(numbers).zip(&lines) {
        assert!(
            line.starts_with("char 666 ") && line.contains(&format!(" {number} ")),
            "{name}: {line}"
        );
    }
    assert_eq!(lines[6..], ["ok", "ok", "ENOSPC"]);
}

fn default_symlinks_are_there() {
    let b = Bundle::new();
    let verbs = "readlink /dev/fd -- readlink /dev/stdin -- readlink /dev/stdout -- readlink /dev/stderr -- readlink /dev/ptmx";
    let words: Vec<&str> = std::iter::once("/probe").chain(verbs.split(' ')).collect();
    b.run(&words).assert_stdout(
        "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx",
    );
}

fn ptmx_makes_terminals_of_the_container() {
    let output = Bundle::new().run(&["/probe", "open", "/dev/ptmx", "rw", "--", "ls", "/dev/pts"]);
    output.assert_exit(0);
    assert_eq!(output.lines(), ["ok", "ptmx"]);
}

fn device_of_the_config_is_made() {
    requires!(root);
    let b = Bundle::new().with(|c| {
        c["linux"]["devices"] =
            json!([{ "path": "/dev/mynull", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7, "gid": 8 }]);
    });
    b.run(&["/probe", "stat", "/dev/mynull", "--", "open", "/dev/mynull", "rw"])
        .assert_stdout("char 640 7 8 1:3 0\nok");
}

fn device_kinds_and_owner() {
    requires!(root);
    let b = Bundle::new().with(|c| {
        c["linux"]["devices"] = json!([
            { "path": "/dev/block", "type": "b", "major": 7, "minor": 99, "fileMode": 0o600 },
            { "path": "/dev/pipe", "type": "p", "fileMode": 0o622 },
            { "path": "/dev/unbuffered", "type": "u", "major": 1, "minor": 5 },
        ]);
    });
    let output = b.run(&[
        "/probe",
        "stat",
        "/dev/block",
        "--",
        "stat",
        "/dev/pipe",
        "--",
        "stat",
        "/dev/unbuffered",
    ]);
    output.assert_exit(0);
    let lines = output.lines();
    assert!(lines[0].starts_with("block 600 0 0 7:99"), "{lines:?}");
    assert!(lines[1].starts_with("fifo 622 0 0"), "{lines:?}");
    assert!(lines[2].starts_with("char ") && lines[2].contains("1:5"), "{lines:?}");
}

fn device_below_a_new_directory() {
    requires!(root);
    let b = Bundle::new().with(|c| {
        c["linux"]["devices"] = json!([{ "path": "/dev/sub/dir/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o666 }]);
    });
    b.run(&["/probe", "open", "/dev/sub/dir/zero", "r"]).assert_stdout("ok");
}

fn device_of_unknown_type_is_refused() {
    differs!(Crun, "takes any type for a character device");
    for kind in ["x", "", "cc"] {
        let b = Bundle::new().with(|c| {
            c["linux"]["devices"] =
                json!([{ "path": "/dev/x", "type": kind, "major": 1, "minor": 3 }]);
        });
        b.run(&["/probe", "true"]).assert_fails();
    }
}

/// mknod(2) is refused there, so the nodes of the host are bound.
fn devices_in_a_user_namespace() {
    requires!(userns);
    let b = Bundle::new().user_namespace(100_000);
    let b = b.with(|c| {
        c["mounts"][2]["options"] = json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666"]);
    });
    let output = b.run(&[
        "/probe",
        "open",
        "/dev/null",
        "rw",
        "--",
        "open",
        "/dev/urandom",
        "r",
        "--",
        "stat",
        "/dev/zero",
    ]);
    output.assert_exit(0);
    assert!(output.stdout().starts_with("ok\nok\nchar 666 65534 65534 1:5"), "{}", output.stdout());
}

/// Else a wrong number in the config would give the container another device of the host.
fn bound_device_must_be_the_one_that_was_asked_for() {
    requires!(userns, program("/dev/kmsg"));
    differs!(Runc, "binds whatever has the name");
    differs!(Crun, "binds whatever has the name");
    for (kind, minor) in [("b", 11), ("c", 3)] {
        let b = Bundle::new().user_namespace(100_000).with(|c| {
            c["mounts"][2]["options"] = json!(["nosuid", "noexec", "newinstance"]);
            c["linux"]["devices"] =
                json!([{"path": "/dev/kmsg", "type": kind, "major": 1, "minor": minor}]);
        });
        let output = b.run(&["/probe", "true"]);
        output.assert_fails();
        output.assert_stderr_has("/dev/kmsg");
    }
}

fn host_devices_are_not_there() {
    let output = Bundle::new().run(&["/probe", "ls", "/dev"]);
    output.assert_exit(0);
    let known = [
        "console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm",
        "stderr", "stdin", "stdout", "tty", "urandom", "zero",
    ];
    let lines = output.lines();
    let unknown: Vec<&String> =
        lines.iter().filter(|name| !known.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// A container with these rules; 14 capabilities include `CAP_MKNOD`.
fn with_rules(rules: &Value) -> Bundle {
    Bundle::new().with(|c| c["linux"]["resources"]["devices"] = rules.clone())
}

/// Makes two device nodes and opens one. No driver has these minor numbers, so opening gives ENXIO
/// where the rules allow it and EPERM where they do not, on any machine and for any capabilities.
const MAKE_AND_OPEN: [&str; 15] = [
    "/probe", "mknod", "/tmp/a", "c", "1", "98", "--", "mknod", "/tmp/b", "c", "1", "99", "--",
    "open", "/tmp/b",
];

/// GHSA-g54h-m393-cpwq: without any rule everything but the defaults is refused. mknod(2) of any
/// device is allowed by runc's and crun's default rules, opening it is not.
fn device_rules_deny_by_default() {
    requires!(root);
    differs!(Crun, "loading its program needs a higher RLIMIT_MEMLOCK");
    for rules in [json!([]), json!([{ "allow": false, "access": "rwm" }])] {
        let output = with_rules(&rules).run(&[&MAKE_AND_OPEN[..], &["r"]].concat());
        assert_eq!(
            output.lines().last().map(String::as_str),
            Some("EPERM"),
            "{rules}: {}",
            output.stdout()
        );
        let output = with_rules(&rules).run(&[
            "/probe",
            "open",
            "/dev/null",
            "rw",
            "--",
            "open",
            "/dev/tty",
            "rw",
        ]);
        assert_eq!(output.lines(), ["ok", "ENXIO"], "the default devices stay allowed");
    }
}

fn device_rules_allow_what_is_listed() {
    requires!(root);
    differs!(Crun, "loading its program needs a higher RLIMIT_MEMLOCK");
    let rules = json!([
        { "allow": false, "access": "rwm" },
        { "allow": true, "type": "c", "major": 1, "minor": 99, "access": "rwm" },
    ]);
    let output = with_rules(&rules)
        .run(&[&MAKE_AND_OPEN[..], &["rw"], &["--", "open", "/tmp/a", "r"]].concat());
    assert_eq!(output.lines()[1..], ["ok", "ENXIO", "EPERM"], "{}", output.stdout());
}

fn device_rules_apply_to_exec() {
    requires!(root);
    differs!(Crun, "loading its program needs a higher RLIMIT_MEMLOCK");
    let c =
        with_rules(&json!([{ "allow": false, "access": "rwm" }])).start(&["/probe", "sleep", "60"]);
    let output = c.exec(&[&MAKE_AND_OPEN[..], &["r"]].concat());
    assert_eq!(output.lines().last().map(String::as_str), Some("EPERM"), "{}", output.stdout());
    c.end();
}

/// An update of another limit must not open or close devices.
fn device_rules_follow_an_update() {
    requires!(root, controller("hugetlb"));
    differs!(Crun, "loading its program needs a higher RLIMIT_MEMLOCK");
    let c =
        with_rules(&json!([{ "allow": false, "access": "rwm" }])).start(&["/probe", "sleep", "60"]);
    rt(["update", "--resources", "-", c.id()]).stdin("{}").output().assert_exit(0);
    let output = c.exec(&[&MAKE_AND_OPEN[..], &["r", "--", "open", "/dev/null", "rw"]].concat());
    assert_eq!(output.lines().last().map(String::as_str), Some("ok"));
    assert!(output.stdout().contains("EPERM"), "{}", output.stdout());
    c.end();
}

/// runc's and crun's default rules let every node be made, and opening it needs a rule: making
/// one gives nothing, and images unpack nodes.
fn mknod_of_a_device_without_m_gives_no_access() {
    requires!(root);
    differs!(Crun, "loading its program needs a higher RLIMIT_MEMLOCK");
    let rules = json!([
        { "allow": false, "access": "rwm" },
        { "allow": true, "type": "c", "major": 1, "minor": 11, "access": "m" },
    ]);
    let c = with_rules(&rules).start(&["/probe", "sleep", "60"]);
    c.exec(&["/probe", "mknod", "/tmp/b", "c", "1", "11"]).assert_says("ok");
    c.exec(&["/probe", "open", "/tmp/b", "r"]).assert_says("EPERM");
    c.end();
}

/// `docker run --privileged`.
fn all_devices_can_be_allowed() {
    requires!(root);
    let output = with_rules(&json!([{ "allow": true, "access": "rwm" }]))
        .run(&[&MAKE_AND_OPEN[..], &["r"]].concat());
    assert_eq!(output.lines()[2], "ENXIO", "{}", output.stdout());
}

fn read_only_access_to_a_device() {
    requires!(root);
    differs!(Crun, "loading its program needs a higher RLIMIT_MEMLOCK");
    let rules = json!([
        { "allow": false, "access": "rwm" },
        { "allow": true, "type": "c", "major": 1, "minor": 99, "access": "rm" },
    ]);
    let output =
        with_rules(&rules).run(&[&MAKE_AND_OPEN[..], &["r", "--", "open", "/tmp/b", "w"]].concat());
    assert_eq!(output.lines()[2..], ["ENXIO", "EPERM"], "{}", output.stdout());
}
