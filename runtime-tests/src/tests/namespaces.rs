//! config-linux.md, "Namespaces": created, joined, or those of the caller.

use std::fs;

use runtime_tests::prelude::*;

tests![
    each_kind_is_created,
    absent_kinds_are_shared_with_the_caller,
    each_kind_is_joined_by_path,
    joined_user_namespace,
    joined_pid_namespace_of_another_container,
    path_of_the_wrong_kind_is_refused,
    missing_path_is_refused,
    duplicate_and_unknown_kinds_are_refused,
    user_namespace_maps_ids,
    user_namespace_with_several_ranges,
    user_namespace_root_owns_the_others,
    user_namespace_without_root_mapping,
    mappings_without_user_namespace_are_refused,
    time_offsets_are_set,
    pid_namespace_has_init_as_pid_1,
    host_name_and_domain_name,
    host_name_needs_a_uts_namespace,
    network_namespace_has_loopback_down_and_nothing_else,
    sysctls_are_set,
    sysctl_of_a_shared_namespace_is_refused,
    sysctl_that_is_not_namespaced_is_refused,
    rootfs_propagation,
    mount_namespace_of_the_caller_is_unchanged,
    payload_cannot_reach_host_namespaces,
];

const KINDS: [(&str, &str); 7] = [
    ("pid", "pid"),
    ("network", "net"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("mount", "mnt"),
    ("cgroup", "cgroup"),
    ("user", "user"),
];

fn own(file: &str) -> String {
    fs::read_link(format!("/proc/self/ns/{file}")).unwrap().display().to_string()
}

/// The `ns` lines of the probe as (file, link).
fn inside(output: &Output) -> Vec<(String, String)> {
    output.assert_exit(0);
    output
        .lines()
        .iter()
        .filter_map(|l| l.split_once(' '))
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect()
}

fn link_of(all: &[(String, String)], file: &str) -> String {
    all.iter().find(|(f, _)| f == file).expect(file).1.clone()
}

fn each_kind_is_created() {
    requires!(userns);
    let b = Bundle::new().user_namespace(100_000).namespace("cgroup", None);
    let seen = inside(&b.run(&["/probe", "ns"]));
    for (kind, file) in KINDS {
        assert_ne!(link_of(&seen, file), own(file), "{kind}");
    }
}

fn absent_kinds_are_shared_with_the_caller() {
    requires!(root);
    let b = Bundle::new().with(|c| {
        c["linux"]["namespaces"] = json!([{ "type": "mount" }]);
        c.as_object_mut().unwrap().remove("hostname");
    });
    let seen = inside(&b.run(&["/probe", "ns"]));
    for (kind, file) in KINDS {
        assert_eq!(link_of(&seen, file) == own(file), kind != "mount", "{kind}");
    }
}

fn each_kind_is_joined_by_path() {
    requires!(root);
    let other = Bundle::new().namespace("cgroup", None).start(&["/probe", "sleep", "60"]);
    let pid = other.pid();
    for (kind, file) in
        [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("cgroup", "cgroup"), ("pid", "pid")]
    {
        println!("join {kind}");
        let path = format!("/proc/{pid}/ns/{file}");
        let expected = fs::read_link(&path).unwrap().display().to_string();
        let b = Bundle::new().namespace(kind, Some(&path)).with(|c| {
            // A joined uts namespace keeps its name.
            c.as_object_mut().unwrap().remove("hostname");
        });
        let seen = inside(&b.run(&["/probe", "ns"]));
        assert_eq!(link_of(&seen, file), expected, "{kind}");
        for (_, not_joined) in KINDS.iter().filter(|(k, _)| !["user", "cgroup", kind].contains(k)) {
            assert_ne!(link_of(&seen, not_joined), own(not_joined), "{kind} joined, {not_joined}");
        }
    }
    other.end();
}

fn joined_user_namespace() {
    requires!(userns);
    let other = Bundle::new().user_namespace(100_000).start(&["/probe", "sleep", "60"]);
    let path = |file: &str| format!("/proc/{}/ns/{file}", other.pid());
    let expected = fs::read_link(path("user")).unwrap().display().to_string();
    // The owner of the network namespace is that user namespace, as in a pod. containerd repeats the
    // mappings, Podman leaves them out.
    for repeated in [true, false] {
        if !repeated {
            differs!(Runc, "1.1 wants mappings even for a namespace with a path");
        }
        let b = Bundle::new()
            .user_namespace(100_000)
            .namespace("user", Some(&path("user")))
            .namespace("network", Some(&path("net")));
        let b = b.with(|c| {
            if !repeated {
                let linux = c["linux"].as_object_mut().unwrap();
                linux.remove("uidMappings");
                linux.remove("gidMappings");
            }
        });
        let output = b.run(&["/probe", "ns", "--", "id", "--", "cat", "/proc/self/uid_map"]);
        assert_eq!(link_of(&inside(&output), "user"), expected);
        assert!(output.stdout().contains("uid=0,0,0 gid=0,0,0"), "{}", output.stdout());
        assert!(output.stdout().contains("100000"), "{}", output.stdout());
    }
    other.end();
}

fn joined_pid_namespace_of_another_container() {
    requires!(root);
    let other = Bundle::new().start(&["/probe", "sleep", "60"]);
    let path = format!("/proc/{}/ns/pid", other.pid());
    let c =
        Bundle::new().namespace("pid", Some(&path)).start(&["/probe", "sid", "--", "sleep", "60"]);
    c.wait_for("pid=");
    assert!(!c.stdout().contains("pid=1 "), "{}", c.stdout());
    // The end of the first one's init ends the second, as between containers of a pod.
    other.end();
    c.wait_status("stopped").delete();
}

fn path_of_the_wrong_kind_is_refused() {
    requires!(root);
    differs!(Crun, "leaves the cgroup behind");
    Bundle::new()
        .namespace("network", Some("/proc/self/ns/uts"))
        .run(&["/probe", "true"])
        .assert_fails();
    Bundle::new().namespace("network", Some("/etc/passwd")).run(&["/probe", "true"]).assert_fails();
}

fn missing_path_is_refused() {
    differs!(Crun, "leaves the cgroup behind");
    Bundle::new().namespace("network", Some("/nosuch/ns")).run(&["/probe", "true"]).assert_fails();
}

fn duplicate_and_unknown_kinds_are_refused() {
    differs!(Crun, "takes the last of several");
    let twice = Bundle::new()
        .with(|c| c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "pid" })));
    twice.run(&["/probe", "true"]).assert_fails();
    let unknown = Bundle::new();
    unknown.namespace("nosuch", None).run(&["/probe", "true"]).assert_fails();
}

fn user_namespace_maps_ids() {
    requires!(userns);
    let c = Bundle::new().user_namespace(100_000).start(&["/probe", "id", "--", "sleep", "60"]);
    c.wait_for("uid=0,0,0 gid=0,0,0");
    let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", c.pid())).unwrap();
    for file in ["uid_map", "gid_map"] {
        let words: Vec<String> = read(file).split_whitespace().map(str::to_owned).collect();
        assert_eq!(words, ["0", "100000", "65536"], "{file}");
    }
    assert!(read("status").contains("Uid:\t100000\t100000\t100000\t100000"));
    c.exec(&["/probe", "stat", "/proc/self"]).assert_exit(0);
    c.end();
}

fn user_namespace_with_several_ranges() {
    requires!(userns);
    let b = Bundle::new().user_namespace(100_000).with(|c| {
        let map = json!([
            { "containerID": 0, "hostID": 100_000, "size": 10 },
            { "containerID": 10, "hostID": 200_000, "size": 5 },
            { "containerID": 65534, "hostID": 300_000, "size": 1 },
        ]);
        c["linux"]["uidMappings"] = map.clone();
        c["linux"]["gidMappings"] = map;
        c["process"]["user"] = json!({ "uid": 12, "gid": 65534, "additionalGids": [3] });
    });
    b.run(&["/probe", "id"]).assert_stdout("uid=12,12,12 gid=65534,65534,65534 groups=3");
}

/// Else neither the host name nor the network could be changed by the container's root.
fn user_namespace_root_owns_the_others() {
    requires!(userns);
    let b = Bundle::new().user_namespace(100_000).with(|c| {
        c["process"]["capabilities"] = runtime_tests::config::capabilities(&["CAP_SYS_ADMIN"]);
    });
    b.run(&["/probe", "sethostname", "new", "--", "hostname"]).assert_stdout("ok\nnew");
}

fn user_namespace_without_root_mapping() {
    requires!(userns);
    differs!(Runc, "needs a mapping of id 0");
    let b = Bundle::new().user_namespace(100_000).with(|c| {
        let map = json!([{ "containerID": 1000, "hostID": 101_000, "size": 10 }]);
        c["linux"]["uidMappings"] = map.clone();
        c["linux"]["gidMappings"] = map;
        c["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        c["mounts"].as_array_mut().unwrap().retain(|m| m["type"] != "devpts");
    });
    b.run(&["/probe", "id"]).assert_stdout("uid=1000,1000,1000 gid=1000,1000,1000 groups=");
}

fn mappings_without_user_namespace_are_refused() {
    differs!(Runc, "1.1 ignores them");
    differs!(Crun, "takes them as a wish for a user namespace");
    requires!(root);
    let b = Bundle::new().with(|c| {
        c["linux"]["uidMappings"] = json!([{ "containerID": 0, "hostID": 100_000, "size": 10 }]);
    });
    b.run(&["/probe", "true"]).assert_fails();
}

fn time_offsets_are_set() {
    requires!(root, namespace("time"));
    differs!(Crun, "1.8 fails and kills its caller with kill(-1)");
    differs!(Runc, "time namespaces came with 1.2");
    let own_seconds: f64 =
        fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap();
    let b = Bundle::new().namespace("time", None).with(|c| {
        c["linux"]["timeOffsets"] =
            json!({ "monotonic": { "secs": 86_400, "nanosecs": 0 }, "boottime": { "secs": 1_000_000, "nanosecs": 0 } });
    });
    let output = b.run(&["/probe", "clock", "monotonic", "--", "clock", "boottime"]);
    output.assert_exit(0);
    let seen: Vec<f64> = output.lines().iter().map(|l| l.parse().unwrap()).collect();
    assert!(
        (seen[0] - own_seconds - 86_400.0).abs() < 30.0,
        "monotonic {seen:?}, own {own_seconds}"
    );
    assert!(
        (seen[1] - own_seconds - 1_000_000.0).abs() < 30.0,
        "boottime {seen:?}, own {own_seconds}"
    );
}

fn pid_namespace_has_init_as_pid_1() {
    Bundle::new().run(&["/probe", "sid"]).assert_stdout("pid=1 sid=1 pgid=1");
}

fn host_name_and_domain_name() {
    let b = Bundle::new().with(|c| c["hostname"] = json!("some-host.name"));
    b.run(&["/probe", "hostname"]).assert_stdout("some-host.name");
    assert_ne!(nix::unistd::gethostname().unwrap(), "some-host.name");
    differs!(Runc, "domainname came with 1.2");
    let b = Bundle::new().with(|c| c["domainname"] = json!("example.org"));
    b.run(&["/probe", "domainname"]).assert_stdout("example.org");
}

fn host_name_needs_a_uts_namespace() {
    requires!(root);
    Bundle::new().without_namespace("uts").run(&["/probe", "true"]).assert_fails();
}

fn network_namespace_has_loopback_down_and_nothing_else() {
    let output = Bundle::new().run(&["/probe", "cat", "/proc/net/dev"]);
    output.assert_exit(0);
    let names: Vec<String> = output.lines()[2..]
        .iter()
        .map(|l| l.trim().split(':').next().unwrap().to_owned())
        .collect();
    // Fallback tunnel devices appear by themselves in every new network namespace.
    assert!(names.contains(&"lo".to_owned()) && !names.contains(&"eth0".to_owned()), "{names:?}");
}

fn sysctls_are_set() {
    let b = Bundle::new().with(|c| {
        c["linux"]["sysctl"] = json!({
            "net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1", "kernel.msgmax": "9999", "net.core.somaxconn": "77",
        });
    });
    let files =
        ["net/ipv4/ip_forward", "kernel/shm_rmid_forced", "kernel/msgmax", "net/core/somaxconn"];
    let verbs: Vec<String> = files.iter().map(|f| format!("/proc/sys/{f}")).collect();
    let output = b.run(&[
        "/probe", "cat", &verbs[0], "--", "cat", &verbs[1], "--", "cat", &verbs[2], "--", "cat",
        &verbs[3],
    ]);
    output.assert_stdout("1\n1\n9999\n77");
}

fn sysctl_of_a_shared_namespace_is_refused() {
    requires!(root);
    for (kind, key, value) in
        [("network", "net.core.somaxconn", "77"), ("ipc", "kernel.msgmax", "9999")]
    {
        let b = Bundle::new()
            .without_namespace(kind)
            .with(|c| c["linux"]["sysctl"] = json!({ key: value }));
        b.run(&["/probe", "true"]).assert_fails();
    }
}

fn sysctl_that_is_not_namespaced_is_refused() {
    let pid_max = fs::read_to_string("/proc/sys/kernel/panic").unwrap();
    for key in [
        "kernel.panic",
        "vm.swappiness",
        "fs.file-max",
        "nosuch.key",
        "../kernel.panic",
        "net/../kernel/panic",
    ] {
        let b = Bundle::new().with(|c| c["linux"]["sysctl"] = json!({ key: "7" }));
        b.run(&["/probe", "true"]).assert_fails();
    }
    assert_eq!(fs::read_to_string("/proc/sys/kernel/panic").unwrap(), pid_max);
}

/// config-linux.md, "Rootfs Mount Propagation": shared is a new peer group, slave follows the host.
fn rootfs_propagation() {
    differs!(Crun, "has no effect on a root that is a mount point");
    let rows = [
        ("private", ""),
        ("rslave", "master:"),
        ("shared", "shared:"),
        ("unbindable", "unbindable"),
    ];
    for (value, mark) in rows {
        if value == "shared" {
            differs!(Runc, "the root itself is not made shared or unbindable");
        }
        let outside = HostMount::tmpfs(&scratch().join("shared"), "size=20m");
        outside.change(nix::mount::MsFlags::MS_SHARED);
        let rootfs = outside.path().join("rootfs");
        let b = Bundle::new();
        fs::create_dir(&rootfs).unwrap();
        for name in ["proc", "dev", "sys"] {
            fs::create_dir(rootfs.join(name)).unwrap();
        }
        fs::copy(b.inside("/probe"), rootfs.join("probe")).unwrap();
        let b = b.with(|c| {
            c["root"]["path"] = json!(rootfs);
            c["linux"]["rootfsPropagation"] = json!(value);
        });
        let output = b.run(&["/probe", "mounts", "/"]);
        output.assert_exit(0);
        let text = output.stdout();
        let propagation =
            text.split(" - ").next().unwrap().split(' ').skip(6).collect::<Vec<_>>().join(" ");
        let found =
            if mark.is_empty() { propagation.is_empty() } else { propagation.contains(mark) };
        assert!(found, "{value}: {propagation:?}");
    }
    for value in ["private", "slave", "shared", "unbindable"] {
        let b = Bundle::new().with(|c| c["linux"]["rootfsPropagation"] = json!(value));
        b.run(&["/probe", "true"]).assert_exit(0);
    }
    Bundle::new()
        .with(|c| c["linux"]["rootfsPropagation"] = json!("nosuch"))
        .run(&["/probe", "true"])
        .assert_fails();
}

/// The leak check compares the whole of mountinfo; here while the container lives, too.
fn mount_namespace_of_the_caller_is_unchanged() {
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let c = Bundle::new().mount("/m", "tmpfs", "tmpfs", &[]).start(&["/probe", "sleep", "60"]);
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
    c.end();
}

fn payload_cannot_reach_host_namespaces() {
    // unshare(CLONE_NEWNS) and setns through any descriptor need CAP_SYS_ADMIN.
    Bundle::new().run(&["/probe", "unshare", "0x20000"]).assert_says("EPERM");
    Bundle::new().run(&["/probe", "mount", "none", "/tmp", "tmpfs"]).assert_says("EPERM");
}
