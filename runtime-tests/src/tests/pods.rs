//! Pods: containers that join the user, network, ipc, uts and pid namespaces of the first one.

use std::fs;

use runtime_tests::prelude::*;
use runtime_tests::second_user::SecondUser;

tests![
    pod_members_share_and_own,
    pod_members_may_share_the_pid_namespace,
    pod_members_without_mappings_in_the_config,
    pod_in_a_user_namespace_without_root,
    hooks_of_a_pod_member_run_in_the_runtimes_namespaces,
    hooks_beside_a_joined_pid_namespace_run_in_the_runtimes_namespaces,
    pod_member_with_a_time_namespace,
    limits_of_a_pod_member_are_set,
    cgroup_of_a_pod_member_is_its_own,
    member_may_use_the_hosts_network_namespace,
    failing_pod_member_leaves_nothing,
    user_namespace_of_the_caller_may_be_named,
    user_namespace_of_another_user_is_refused,
    network_namespace_of_another_user_is_refused,
];

const SHARED: [(&str, &str); 4] =
    [("user", "user"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts")];

fn first() -> Container {
    let b = Bundle::new().user_namespace(100_000).mount("/dev/mqueue", "mqueue", "mqueue", &[]);
    b.start(&["/probe", "sleep", "60"])
}

fn path(c: &Container, file: &str) -> String {
    format!("/proc/{}/ns/{file}", c.pid())
}

fn link(pid: i32, file: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap().display().to_string()
}

/// A bundle whose container joins these namespaces of `of`.
fn member(of: &Container, kinds: &[(&str, &str)]) -> Bundle {
    let b = Bundle::new().user_namespace(100_000).namespace("cgroup", None);
    let b = b.with(|c| {
        c.as_object_mut().unwrap().remove("hostname");
    });
    kinds.iter().fold(b, |b, (kind, file)| b.namespace(kind, Some(&path(of, file))))
}

/// All kinds are root's of the pod: what it mounts, makes and enters works, as in a container with
/// a user namespace of its own.
fn pod_members_share_and_own() {
    requires!(userns);
    let first = first();
    let members = [(); 2].map(|()| {
        let b = member(&first, &SHARED).mount("/dev/mqueue", "mqueue", "mqueue", &[]);
        b.mount("/sys", "sysfs", "sysfs", &["ro"]).start(&["/probe", "sid", "--", "sleep", "60"])
    });
    for c in &members {
        c.wait_for("pid=1 ");
        for (_, file) in SHARED {
            assert_eq!(link(c.pid(), file), link(first.pid(), file), "{file}");
        }
        for file in ["pid", "mnt", "cgroup"] {
            assert_ne!(link(c.pid(), file), link(first.pid(), file), "{file}");
        }
        let output = c.exec(&["/probe", "id", "--", "readlink", "/proc/self/ns/user"]);
        output.assert_stdout(&format!("uid=0,0,0 gid=0,0,0 groups=\n{}", link(c.pid(), "user")));
        // Its root is root of the user namespace: else it would be 65534's.
        differs!(
            Runc,
            "1.1 joins the user namespace, and makes mounts as a user without name there"
        );
        let output = c.exec(&["/probe", "stat", "/dev/mqueue", "--", "stat", "/dev"]);
        assert!(!output.stdout().contains("65534"), "{}", output.stdout());
    }
    for c in members {
        c.end();
    }
    first.exec(&["/probe", "id"]).assert_exit(0);
    first.end();
}

fn pod_members_may_share_the_pid_namespace() {
    requires!(userns);
    let first = first();
    let mut kinds = SHARED.to_vec();
    kinds.push(("pid", "pid"));
    let c = member(&first, &kinds).start(&["/probe", "sid", "--", "sleep", "60"]);
    c.wait_for("pid=");
    assert!(!c.stdout().contains("pid=1 "), "{}", c.stdout());
    assert_eq!(link(c.pid(), "pid"), link(first.pid(), "pid"));
    let output = c.exec(&["/probe", "readlink", "/proc/1/ns/pid", "--", "id"]);
    assert!(output.stdout().contains(&link(first.pid(), "pid")), "{}", output.stdout());
    // The end of the first one's init ends all.
    first.end();
    c.wait_status("stopped").delete();
}

fn pod_members_without_mappings_in_the_config() {
    requires!(userns);
    let first = first();
    differs!(Runc, "1.1 wants mappings even for a namespace with a path");
    let b = member(&first, &SHARED).with(|c| {
        let linux = c["linux"].as_object_mut().unwrap();
        linux.remove("uidMappings");
        linux.remove("gidMappings");
        c["process"]["user"] = json!({ "uid": 33, "gid": 44, "additionalGids": [55] });
    });
    let c = b.start(&["/probe", "id", "--", "sleep", "60"]);
    c.wait_for("uid=33,33,33 gid=44,44,44 groups=55");
    differs!(Crun, "1.8 does not take the user of the config for exec");
    c.exec(&["/probe", "id"]).assert_stdout("uid=33,33,33 gid=44,44,44 groups=55");
    c.end();
    first.end();
}

/// Who makes things there is the first id of the namespace, whatever the member's config says.
fn pod_in_a_user_namespace_without_root() {
    requires!(userns);
    differs!(Runc, "needs a mapping for root");
    differs!(Crun, "1.8 becomes root of a user namespace that it joins");
    let map = json!([{ "containerID": 1000, "hostID": 101_000, "size": 10 }]);
    let user = json!({ "uid": 1000, "gid": 1000 });
    let own = |b: Bundle| {
        b.with(|c| {
            c["linux"]["uidMappings"] = map.clone();
            c["linux"]["gidMappings"] = map.clone();
            c["process"]["user"] = user.clone();
        })
    };
    let b = Bundle::new().user_namespace(101_000);
    let first = own(b).start(&["/probe", "sleep", "60"]);
    let b = member(&first, &SHARED);
    std::os::unix::fs::chown(b.rootfs(), Some(101_000), Some(101_000)).unwrap();
    for entry in fs::read_dir(b.rootfs()).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            std::os::unix::fs::chown(entry.path(), Some(101_000), Some(101_000)).unwrap();
        }
    }
    let b = b.with(|c| {
        let linux = c["linux"].as_object_mut().unwrap();
        linux.remove("uidMappings");
        linux.remove("gidMappings");
        c["process"]["user"] = user.clone();
    });
    let c = b.start(&["/probe", "id", "--", "sleep", "60"]);
    c.wait_for("uid=1000,1000,1000");
    c.exec(&["/probe", "id"]).assert_stdout("uid=1000,1000,1000 gid=1000,1000,1000 groups=");
    c.end();
    first.end();
}

fn own_namespaces() -> String {
    ["user", "pid", "net", "ipc", "uts"]
        .map(|file| link(i32::try_from(std::process::id()).unwrap(), file))
        .join(" ")
}

/// Each hook of the runtime writes its namespaces and its map of uids.
fn with_hooks(b: Bundle, journal: &std::path::Path) -> Bundle {
    let script = format!(
        "cat >/dev/null; cd /proc/self/ns; \
         echo $(readlink user pid net ipc uts) $(cat /proc/self/uid_map) >> {}",
        journal.display()
    );
    let hook =
        json!({ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"] });
    b.with(|c| {
        for kind in ["prestart", "createRuntime", "poststart", "poststop"] {
            c["hooks"][kind] = json!([hook.clone()]);
        }
    })
}

fn assert_hooks_were_outside(journal: &std::path::Path) {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    let map: Vec<&str> = map.split_whitespace().collect();
    let line = format!("{} {}", own_namespaces(), map.join(" "));
    let text = fs::read_to_string(journal).unwrap();
    assert_eq!(text.lines().collect::<Vec<_>>(), [&line; 4]);
}

/// runtime.md and config.md: prestart and createRuntime hooks run in the runtime's namespaces, which
/// here means with root's rights on the host (CNI plugins need them).
fn hooks_of_a_pod_member_run_in_the_runtimes_namespaces() {
    requires!(userns);
    let first = first();
    let mut kinds = SHARED.to_vec();
    for with_pid in [false, true] {
        if with_pid {
            kinds.push(("pid", "pid"));
        }
        let journal = scratch().join(format!("journal-{with_pid}"));
        with_hooks(member(&first, &kinds), &journal).run(&["/probe", "true"]).assert_exit(0);
        assert_hooks_were_outside(&journal);
    }
    first.end();
}

fn hooks_beside_a_joined_pid_namespace_run_in_the_runtimes_namespaces() {
    requires!(root);
    let first = Bundle::new().start(&["/probe", "sleep", "60"]);
    let journal = scratch().join("journal");
    let b = Bundle::new().namespace("pid", Some(&path(&first, "pid")));
    with_hooks(b, &journal).run(&["/probe", "true"]).assert_exit(0);
    assert_hooks_were_outside(&journal);
    first.end();
}

fn pod_member_with_a_time_namespace() {
    requires!(userns, namespace("time"));
    differs!(Runc, "1.1 knows no time namespaces");
    differs!(Crun, "1.8 makes the time namespace outside of the user namespace");
    let first = first();
    let b = member(&first, &SHARED).namespace("time", None);
    let b = b.with(|c| c["linux"]["timeOffsets"] = json!({ "boottime": { "secs": 1_000_000 } }));
    let c = b.start(&["/probe", "cat", "/proc/uptime", "--", "sleep", "60"]);
    until("the time", || c.stdout().contains(' ').then_some(()));
    let uptime: f64 = c.stdout().split_whitespace().next().unwrap().parse().unwrap();
    assert!(uptime > 1_000_000.0, "{uptime}");
    let joined = member(&first, &SHARED).namespace("time", Some(&path(&c, "time")));
    let output = joined.run(&["/probe", "readlink", "/proc/self/ns/time"]);
    output.assert_stdout(&link(c.pid(), "time"));
    c.end();
    first.end();
}

fn limits_of_a_pod_member_are_set() {
    requires!(userns);
    let first = first();
    let b = member(&first, &SHARED).with(|c| {
        c["process"]["oomScoreAdj"] = json!(321);
        c["process"]["rlimits"] = json!([
            { "type": "RLIMIT_NOFILE", "hard": 77, "soft": 66 },
            { "type": "RLIMIT_NPROC", "hard": 5555, "soft": 4444 }
        ]);
    });
    let c = b.start(&["/probe", "oom", "--", "rlimits", "--", "echo", "done", "--", "sleep", "60"]);
    c.wait_for("done");
    differs!(Crun, "1.8 does not set the score of an exec");
    for probe in [c.stdout(), c.exec(&["/probe", "oom", "--", "rlimits"]).stdout()] {
        assert!(probe.contains("321"), "{probe}");
        for words in [["66", "77"], ["4444", "5555"]] {
            assert!(words.iter().all(|word| probe.contains(word)), "{probe}");
        }
    }
    c.end();
    first.end();
}

fn cgroup_of_a_pod_member_is_its_own() {
    requires!(userns, cgroup_v2);
    let first = first();
    let c = member(&first, &SHARED).start(&["/probe", "cgroup", "--", "sleep", "60"]);
    // Its cgroup namespace begins there.
    c.wait_for("0::/\n");
    let at = |c: &Container| runtime_tests::cgroups::of_process(c.pid());
    assert_ne!(at(&c), at(&first));
    assert!(at(&c).to_string_lossy().contains(c.id()), "{:?}", at(&c));
    c.end();
    first.end();
}

/// Root may enter it before it goes into the user namespace.
fn member_may_use_the_hosts_network_namespace() {
    requires!(userns);
    differs!(Runc, "1.1 joins the user namespace first and has no right then");
    let first = first();
    let b = member(&first, &[("user", "user")]).namespace("network", Some("/proc/self/ns/net"));
    let c = b.start(&["/probe", "sleep", "60"]);
    assert_eq!(link(c.pid(), "net"), link(i32::try_from(std::process::id()).unwrap(), "net"));
    c.exec(&["/probe", "true"]).assert_exit(0);
    c.end();
    first.end();
}

fn failing_pod_member_leaves_nothing() {
    requires!(userns);
    let first = first();
    let b = member(&first, &SHARED).args(&["/no/such/program"]);
    let output = b.assert_create_refused();
    assert!(output.stderr().to_lowercase().contains("no such file or directory"));
    let b = member(&first, &SHARED).mount("/x", "nosuchfs", "none", &[]);
    b.assert_create_refused();
    first.end();
}

fn user_namespace_of_the_caller_may_be_named() {
    requires!(root);
    differs!(Runc, "wants mappings for every user namespace");
    differs!(Crun, "1.8 cannot enter the user namespace that it is in");
    let b = Bundle::new().namespace("user", Some("/proc/self/ns/user"));
    let c = b.start(&["/probe", "id", "--", "sleep", "60"]);
    c.wait_for("uid=0,0,0");
    c.exec(&["/probe", "true"]).assert_exit(0);
    c.end();
}

/// A container of root's: its namespaces are not for others, even where they can be named.
fn user_namespace_of_another_user_is_refused() {
    let user = SecondUser::new();
    let first = first();
    // The link in /proc is not for him; a bind mount of it is no obstacle.
    let at = scratch().join("user-ns");
    fs::write(&at, "").unwrap();
    let mount = HostMount::bind(path(&first, "user").as_ref(), &at);
    let b = user.bundle().change(|b| b.namespace("user", mount.path().to_str()));
    let output = b.run(&["/probe", "true"]);
    output.assert_fails();
    if runtime() == Runtime::Rt {
        let text = "linux.namespaces[5].path: setns(";
        output.assert_stderr_has(text).assert_stderr_has("operation not permitted (EPERM)");
        output.assert_stderr_has("hint: join a user namespace that you have made yourself");
    }
    drop(mount);
    first.end();
}

fn network_namespace_of_another_user_is_refused() {
    let user = SecondUser::new();
    let first = user.bundle().start(&["/probe", "sleep", "60"]);
    let at = scratch().join("net-ns");
    fs::write(&at, "").unwrap();
    let mount = HostMount::bind("/proc/self/ns/net".as_ref(), &at);
    let b = user.bundle().change(|b| {
        b.namespace("user", Some(&format!("/proc/{}/ns/user", first.pid())))
            .namespace("network", mount.path().to_str())
    });
    let output = b.run(&["/probe", "true"]);
    output.assert_fails();
    if runtime() == Runtime::Rt {
        output.assert_stderr_has("].path: setns(").assert_stderr_has("(EPERM)");
        output.assert_stderr_has("hint: it belongs to another user namespace");
    }
    drop(mount);
    first.delete();
}
