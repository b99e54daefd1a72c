//! Attacks of the past by way of the configuration: what is too long, contains a NUL, is missing, or
//! was understood in another way than it was meant.

use runtime_tests::config::docker_like;
use runtime_tests::prelude::*;

tests![
    cve_2021_43784_long_strings_give_one_clean_error,
    cve_2021_43784_nul_in_a_string_is_refused,
    ghsa_g54h_m393_cpwq_devices_are_denied_without_rules,
    clone_mask_of_docker_refuses_user_namespaces,
    quick_exit_is_not_missed,
];

/// Every string of a config that ends up in a system call: a JSON pointer each, with a value around
/// the hostile part.
fn strings() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        ("/process/args/0", "/probe", ""),
        ("/process/cwd", "/", ""),
        ("/root/path", "rootfs", ""),
        ("/hostname", "x", ""),
        ("/mounts/0/destination", "/x", ""),
        ("/mounts/1/source", "tmpfs", ""),
        ("/mounts/1/type", "tmpfs", ""),
        ("/mounts/1/options/0", "mode=", ""),
        ("/mounts/3/source", "/", ""),
        ("/linux/cgroupsPath", "/", ""),
        ("/linux/maskedPaths/0", "/x", ""),
        ("/linux/readonlyPaths/0", "/x", ""),
        ("/linux/namespaces/1/path", "/", ""),
        ("/linux/devices/0/path", "/dev/", ""),
    ]
}

fn bundle() -> Bundle {
    Bundle::new().args(&["/probe", "true"]).mount("/b", "bind", "/proc/version", &["bind"]).with(
        |c| {
            c["linux"]["maskedPaths"] = json!(["/nosuch"]);
            c["linux"]["readonlyPaths"] = json!(["/nosuch"]);
            c["linux"]["devices"] =
                json!([{ "path": "/dev/x", "type": "c", "major": 1, "minor": 3 }]);
        },
    )
}

fn with_string(pointer: &str, value: &str) -> Bundle {
    bundle().with(|c| {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = c.pointer_mut(parent).unwrap();
        match name.parse::<usize>() {
            Ok(index) => parent[index] = json!(value),
            Err(_) => parent[name] = json!(value),
        }
    })
}

/// One line of error, with at most one of a hint, however long the value is.
fn assert_clean(output: &Output, pointer: &str) {
    output.assert_fails();
    let text = output.stderr();
    assert!(text.lines().count() <= 2 || runtime() != Runtime::Rt, "{pointer}: {text}");
    assert!(
        !text.contains("panic") && !text.contains("goroutine") && !text.contains("internal error"),
        "{pointer}: {text}"
    );
}

/// runc GHSA-v95c-p5hm-xq8f: a length was written into sixteen bits.
fn cve_2021_43784_long_strings_give_one_clean_error() {
    requires!(root);
    differs!(Crun, "leaves a cgroup behind when a namespace cannot be opened");
    let long = format!("{}/x", "y".repeat(65_536));
    for (pointer, before, after) in strings() {
        // A mask of what cannot exist is no error for runc and crun, nor is a device there.
        let lenient = runtime() != Runtime::Rt && pointer.starts_with("/linux");
        let b = with_string(pointer, &format!("{before}{long}{after}"));
        let output = b.run_call().arg(b.id()).output();
        if output.code != 0 || !lenient {
            assert_clean(&output, pointer);
        }
        std::fs::remove_dir_all(b.dir()).unwrap();
    }
}

/// What follows a NUL is lost on the way to the kernel, after it was checked.
///
/// Seen to fail on runc 1.1.5 and crun 1.8.1.
fn cve_2021_43784_nul_in_a_string_is_refused() {
    requires!(root);
    differs!(Runc, "1.1.5 writes the NUL of a host name to the kernel");
    differs!(Crun, "cuts strings at the NUL");
    for (pointer, before, after) in strings() {
        let b = with_string(pointer, &format!("{before}\u{0}hidden{after}"));
        let output = b.run_call().arg(b.id()).output();
        assert_clean(&output, pointer);
        std::fs::remove_dir_all(b.dir()).unwrap();
    }
    for (pointer, value) in [
        ("/process/args", json!(["/probe", "echo", "a\u{0}b"])),
        ("/process/env", json!(["A=1\u{0}B=2"])),
    ] {
        let b = bundle().with(|c| *c.pointer_mut(pointer).unwrap() = value);
        assert_clean(&b.run_call().arg(b.id()).output(), pointer);
    }
}

/// runc 1.0.0-rc91: without device rules everything was allowed. /dev/sda is 8:0, and 1:1 is the
/// host's memory; both can be made, neither opened.
/// Seen to fail on rt whose first rule allowed all.
fn ghsa_g54h_m393_cpwq_devices_are_denied_without_rules() {
    requires!(root);
    differs!(Crun, "loading its program needs a higher RLIMIT_MEMLOCK");
    for resources in [json!({}), json!({ "devices": [] })] {
        let b =
            super::escapes::privileged(Bundle::new()).with(|c| c["linux"]["resources"] = resources);
        let output = b.run(&[
            "/probe",
            "mknod",
            "/tmp/disk",
            "b",
            "8",
            "0",
            "--",
            "open",
            "/tmp/disk",
            "r",
            "--",
            "mknod",
            "/tmp/memory",
            "c",
            "1",
            "1",
            "--",
            "open",
            "/tmp/memory",
            "r",
        ]);
        let lines = output.lines();
        assert!(lines.len() == 4 && lines[1] == "EPERM" && lines[3] == "EPERM", "{lines:?}");
    }
}

/// youki 0.7.0 exchanged mask and value of `SCMP_CMP_MASKED_EQ`: the profile loads, and a user
/// namespace can be made by the payload. The decision is what counts.
/// Seen to fail on rt with the two exchanged.
fn clone_mask_of_docker_refuses_user_namespaces() {
    let b =
        Bundle::new().with(|c| c["linux"]["seccomp"] = docker_like()["linux"]["seccomp"].clone());
    // clone(2) is 56, with SIGCHLD: CLONE_NEWUSER and CLONE_NEWNS, both, and none. clone3(2) is 435.
    let output = b.run(&[
        "/probe",
        "syscall",
        "56",
        "0x10000011",
        "--",
        "syscall",
        "56",
        "0x20011",
        "--",
        "syscall",
        "56",
        "0x10020011",
        "--",
        "unshare",
        "0x10000000",
        "--",
        "syscall",
        "435",
        "0",
        "0",
        "--",
        "syscall",
        "56",
        "0x11",
    ]);
    let lines = output.lines();
    assert_eq!(lines[..5], ["EPERM", "EPERM", "EPERM", "EPERM", "ENOSYS"], "{lines:?}");
    assert!(lines[5].starts_with("ok "), "{lines:?}");
}

/// youki 0.7.0 began to look for SIGCHLD after the payload was running, so that `run` hung when that
/// had ended before.
fn quick_exit_is_not_missed() {
    for _ in 0..40 {
        let b = Bundle::new().args(&["/probe", "exit", "3"]);
        b.run_call().arg(b.id()).output().assert_exit(3);
        std::fs::remove_dir_all(b.dir()).unwrap();
    }
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    for _ in 0..40 {
        c.exec(&["/probe", "exit", "4"]).assert_exit(4);
    }
    c.end();
}
