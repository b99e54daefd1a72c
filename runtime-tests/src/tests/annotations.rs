//! Annotations with a meaning: crun's `run.oci.*`, of which Podman sets some.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use runtime_tests::cgroups;
use runtime_tests::prelude::*;
use runtime_tests::pty::ReceivingSocket;

use super::annotations_seccomp::{BPF, without_mkdir};

tests![
    groups_of_the_caller_are_kept,
    groups_are_kept_in_a_user_namespace,
    groups_are_not_kept_unless_it_is_switched_on,
    unknown_system_call_is_an_error,
    pidfd_receiver_gets_a_pidfd_of_init,
    output_of_hooks_goes_to_files,
    output_of_hooks_is_not_open_in_the_payload,
    output_of_hooks_follows_no_link,
    output_of_hooks_waits_for_no_reader,
    output_of_hooks_may_be_our_own,
    failing_hook_with_a_file_for_its_output,
    handlers_are_refused,
    what_cannot_be_done_is_refused,
    payload_manages_the_delegated_cgroup,
    delegated_cgroup_belongs_to_root_of_the_user_namespace,
    delegated_cgroup_needs_cgroup_v2,
    kind_of_selinux_mount_option,
    values_are_checked,
    unknown_annotations_are_left_alone,
    plan_and_features_tell_the_annotations,
];

pub(super) const NO_RUN_OCI: &str = "knows no run.oci annotations";

pub(super) fn annotated(key: &str, value: &str) -> Bundle {
    Bundle::new().with(|c| c["annotations"] = json!({ key: value }))
}

pub(super) fn with(b: Bundle, key: &str, value: &str) -> Bundle {
    b.with(|c| c["annotations"][key] = json!(value))
}

/// `rt plan` as far as a config is understood; the requirement skips runtimes without it.
fn plan(b: &Bundle) -> Output {
    requires!(command("plan"));
    b.write();
    rt(["plan", "--bundle", b.dir().to_str().unwrap()]).output()
}

/// The runtime with two supplementary groups.
fn with_groups(call: Call) -> Output {
    call.through(["/usr/bin/setpriv", "--groups", "4711,4712", "--"]).output()
}

fn groups_of_the_caller_are_kept() {
    requires!(root(), program("/usr/bin/setpriv"));
    differs!(Runc, "{NO_RUN_OCI}");
    let b = annotated("run.oci.keep_original_groups", "1").args(&["/probe", "status", "Groups"]);
    with_groups(b.run_call().arg(b.id())).assert_says("Groups 4711 4712");

    let c = annotated("run.oci.keep_original_groups", "1").start(&["/probe", "sleep", "60"]);
    with_groups(c.exec_call(&[], &["/probe", "status", "Groups"])).assert_says("Groups 4711 4712");
    c.end();

    // Both cannot be had.
    let b = annotated("run.oci.keep_original_groups", "1").args(&["/probe", "status", "Groups"]);
    let b = b.with(|c| c["process"]["user"]["additionalGids"] = json!([7]));
    with_groups(b.run_call().arg(b.id())).assert_says("Groups 4711 4712");
    if runtime() != Runtime::Rt {
        return;
    }
    let text = plan(&b).stdout();
    assert!(
        text.contains("process.user.additionalGids: has no effect, as annotations[\"run.oci"),
        "{text}"
    );
}

/// The way of `podman run --group-add keep-groups`: outside of the mapping, they still count.
fn groups_are_kept_in_a_user_namespace() {
    requires!(userns(), program("/usr/bin/setpriv"));
    differs!(Runc, "{NO_RUN_OCI}");
    let b = annotated("run.oci.keep_original_groups", "1").user_namespace(100_000);
    let shared = scratch().join("shared");
    fs::write(&shared, "for the group").unwrap();
    std::os::unix::fs::chown(&shared, Some(0), Some(4711)).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o040)).unwrap();
    let b = b
        .file("/shared", "")
        .mount("/shared", "bind", shared.to_str().unwrap(), &["bind"])
        .with(|c| c["process"]["user"] = json!({ "uid": 5, "gid": 5 }))
        .args(&["/probe", "status", "Groups", "--", "cat", "/shared"]);
    with_groups(b.run_call().arg(b.id())).assert_says("Groups 65534 65534\nfor the group");
}

fn groups_are_not_kept_unless_it_is_switched_on() {
    requires!(root(), program("/usr/bin/setpriv"));
    let b = Bundle::new().args(&["/probe", "status", "Groups"]);
    with_groups(b.run_call().arg(b.id())).assert_says("Groups ");
    let b = annotated("run.oci.keep_original_groups", "0").args(&["/probe", "status", "Groups"]);
    with_groups(b.run_call().arg(b.id())).assert_says("Groups ");
}

fn unknown_system_call_is_an_error() {
    differs!(Runc, "{NO_RUN_OCI}");
    let b = annotated("run.oci.seccomp_fail_unknown_syscall", "1").with(|c| {
        c["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["mkdir", "no_such_call"], "action": "SCMP_ACT_ERRNO" }],
        });
    });
    let output = b.assert_create_refused();
    if runtime() == Runtime::Rt {
        output.assert_stderr_has(
            "linux.seccomp.syscalls[0].names[1]: no system call is named \"no_such_call\"",
        );
    }
    let b = b.with(|c| c["annotations"] = json!({}));
    b.run(&["/probe", "true"]).assert_exit(0);
}

fn pidfd_receiver_gets_a_pidfd_of_init() {
    requires!(root());
    differs!(Runc, "{NO_RUN_OCI}");
    let pid_of = |fd: std::os::fd::OwnedFd| {
        use std::os::fd::AsRawFd as _;
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
        let pid = info.lines().find_map(|l| l.strip_prefix("Pid:")).expect("a pidfd");
        pid.trim().parse::<i32>().unwrap()
    };
    let socket = ReceivingSocket::new();
    let b = annotated("run.oci.pidfd_receiver", socket.path().to_str().unwrap());
    let c = b.args(&["/probe", "sleep", "60"]).create();
    assert_eq!(pid_of(socket.receive().0), c.pid());
    c.start().end();

    differs!(Crun, "has no --pidfd-socket");
    let by_flag = ReceivingSocket::new();
    let b = annotated("run.oci.pidfd_receiver", socket.path().to_str().unwrap());
    let b = b.args(&["/probe", "sleep", "60"]);
    let c = b.create_with(&["--pidfd-socket", by_flag.path().to_str().unwrap()]);
    assert_eq!(pid_of(socket.receive().0), c.pid());
    assert_eq!(pid_of(by_flag.receive().0), c.pid());
    c.start().end();

    let b = annotated("run.oci.pidfd_receiver", "/nowhere/at/all");
    b.assert_create_refused()
        .assert_stderr_has("annotations[\"run.oci.pidfd_receiver\"]: connect(/nowhere/at/all)");
}

/// A hook that says where it is in the life cycle, on both streams.
fn speaking(kind: &str) -> Value {
    let script = format!("while read -r state; do :; done; echo {kind}; echo {kind}-error >&2");
    json!([{ "path": "/bin/sh", "args": ["sh", "-c", script] }])
}

fn output_of_hooks_goes_to_files() {
    requires!(busybox());
    differs!(Runc, "{NO_RUN_OCI}");
    let (out, err) = (scratch().join("hooks.out"), scratch().join("hooks.err"));
    fs::write(&err, "before\n").unwrap();
    let b = annotated("run.oci.hooks.stdout", out.to_str().unwrap()).with_busybox();
    let mut b = with(b, "run.oci.hooks.stderr", err.to_str().unwrap());
    let kinds =
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    for kind in kinds {
        b = b.with(|c| c["hooks"][kind] = speaking(kind));
    }
    let c = b.start(&["/probe", "sleep", "60"]);
    let lines = |path: &Path| -> Vec<String> {
        fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    };
    until("the poststart hook", || (lines(&out).len() == 5).then_some(()));
    c.end();
    sometimes_differs!(Crun, "start does not wait for the program");
    assert_eq!(lines(&out), kinds);
    assert_eq!(lines(&err)[0], "before", "not truncated");
    assert_eq!(lines(&err).len(), 7);
    assert!(lines(&err)[6].ends_with("poststop-error"), "{:?}", lines(&err));

    // A foreground run has them all, too.
    fs::remove_file(&out).unwrap();
    let b = annotated("run.oci.hooks.stdout", out.to_str().unwrap()).with_busybox();
    let mut b = b.args(&["/probe", "true"]);
    for kind in kinds {
        b = b.with(|c| c["hooks"][kind] = speaking(kind));
    }
    b.run_call().arg(b.id()).output().assert_exit(0);
    assert_eq!(lines(&out), kinds);
    differs!(Crun, "makes it executable");
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o7777, 0o600);
}

fn output_of_hooks_is_not_open_in_the_payload() {
    requires!(busybox());
    differs!(Runc, "{NO_RUN_OCI}");
    let out = scratch().join("hooks.out");
    let b = annotated("run.oci.hooks.stdout", out.to_str().unwrap()).with_busybox();
    let b = b.with(|c| c["hooks"]["startContainer"] = speaking("startContainer"));
    let c = b.args(&["/probe", "fds", "--", "sleep", "60"]).create();
    let held = |c: &Container| {
        let fds = fs::read_dir(format!("/proc/{}/fd", c.pid())).unwrap();
        fds.flatten().filter(|fd| fs::read_link(fd.path()).is_ok_and(|link| link == out)).count()
    };
    c.start();
    c.wait_for("2 ");
    assert_eq!(fs::read_to_string(&out).unwrap(), "startContainer\n");
    assert_eq!(held(&c), 0);
    assert!(!c.stdout().contains("hooks.out"), "{}", c.stdout());
    c.end();

    // Without a hook that runs in init, a container that waits has it neither.
    let b = annotated("run.oci.hooks.stdout", out.to_str().unwrap());
    let b = b.with(|c| c["hooks"]["poststop"] = speaking("poststop"));
    let c = b.args(&["/probe", "true"]).create();
    assert_eq!(held(&c), 0);
    c.end();
}

fn output_of_hooks_follows_no_link() {
    differs!(Runc, "{NO_RUN_OCI}");
    differs!(Crun, "follows links");
    let (link, victim) = (scratch().join("link"), scratch().join("victim"));
    fs::write(&victim, "untouched").unwrap();
    std::os::unix::fs::symlink(&victim, &link).unwrap();
    let b = annotated("run.oci.hooks.stderr", link.to_str().unwrap());
    let b = b.with(|c| c["hooks"]["createRuntime"] = speaking("createRuntime"));
    let output = b.assert_create_refused();
    output.assert_stderr_has(&format!("annotations[\"run.oci.hooks.stderr\"]: open({link:?}, "));
    output.assert_stderr_has("name the file itself, not a symbolic link to it");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
}

fn output_of_hooks_waits_for_no_reader() {
    differs!(Runc, "{NO_RUN_OCI}");
    differs!(Crun, "waits for one");
    let fifo = scratch().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let b = annotated("run.oci.hooks.stdout", fifo.to_str().unwrap());
    let b = b.with(|c| c["hooks"]["createRuntime"] = speaking("createRuntime"));
    b.assert_create_refused().assert_stderr_has("start the reader of the FIFO first");
    let b = annotated("run.oci.hooks.stdout", "/nowhere/at/all");
    let b = b.with(|c| c["hooks"]["createRuntime"] = speaking("createRuntime"));
    b.assert_create_refused().assert_stderr_has("make the directory, or correct the path");
}

fn output_of_hooks_may_be_our_own() {
    differs!(Runc, "{NO_RUN_OCI}");
    let b = annotated("run.oci.hooks.stdout", "/dev/stderr").args(&["/probe", "true"]);
    let b = b.with(|c| c["hooks"]["createRuntime"] = speaking("createRuntime"));
    b.run_call().arg(b.id()).output().assert_exit(0).assert_stderr_has("createRuntime\n");
}

fn failing_hook_with_a_file_for_its_output() {
    let err = scratch().join("hooks.err");
    let b = annotated("run.oci.hooks.stderr", err.to_str().unwrap());
    let script = "while read -r state; do :; done; echo why not >&2; exit 3";
    let b = b.with(|c| {
        c["hooks"]["createRuntime"] = json!([{ "path": "/bin/sh", "args": ["sh", "-c", script] }]);
    });
    let output = b.assert_create_refused();
    differs!(Runc, "{NO_RUN_OCI}");
    assert_eq!(fs::read_to_string(&err).unwrap(), "why not\n");
    if runtime() == Runtime::Rt {
        output.assert_stderr_has("hooks.createRuntime[0] (/bin/sh): exit status 3");
    }
}

fn handlers_are_refused() {
    annotated("run.oci.handler", "").run(&["/probe", "true"]).assert_exit(0);
    differs!(Runc, "{NO_RUN_OCI}");
    differs!(Crun, "ignores handlers that it was not built with");
    for name in ["krun", "wasm", "no-such-handler"] {
        let b = annotated("run.oci.handler", name).args(&["/probe", "true"]);
        let output = b.run_call().arg(b.id()).output();
        output.assert_fails();
        if runtime() == Runtime::Rt {
            output.assert_stderr_has(&format!(
                "annotations[\"run.oci.handler\"]: {name:?} is a handler that rt does not have; it starts programs itself"
            ));
        }
    }
    annotated("run.oci.handler", "crun").run(&["/probe", "true"]).assert_exit(0);
}

fn what_cannot_be_done_is_refused() {
    differs!(Runc, "{NO_RUN_OCI}");
    differs!(Crun, "loads plugins, and mounts that hierarchy");
    for (key, value, why) in [
        (
            "run.oci.seccomp.plugins",
            "one.so:two.so",
            "\"one.so:two.so\" is not possible: rt loads no plugins into itself",
        ),
        (
            "run.oci.systemd.force_cgroup_v1",
            "/sys/fs/cgroup",
            "\"/sys/fs/cgroup\" is not supported",
        ),
    ] {
        let output = annotated(key, value).assert_create_refused();
        output.assert_stderr_has(&format!("annotations[{key:?}]: {why}"));
        output.assert_stderr_has("hint: ");
    }
}

/// What /proc/self/cgroup says of v2.
fn unified(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("0::")).collect()
}

fn payload_manages_the_delegated_cgroup() {
    requires!(cgroup_v2(), namespace("cgroup"));
    differs!(Runc, "{NO_RUN_OCI}");
    let b = annotated("run.oci.delegate-cgroup", "payload").namespace("cgroup", None).mount(
        "/sys/fs/cgroup",
        "cgroup2",
        "cgroup2",
        &["nosuid", "noexec", "nodev"],
    );
    let make =
        ["/probe", "cgroup", "--", "mkdir", "/sys/fs/cgroup/payload/own", "--", "sleep", "60"];
    let c = b.start(&make);
    until("its word", || c.stdout().contains("0::/").then_some(()));
    assert_eq!(unified(&c.stdout()), ["0::/payload"]);
    let below = cgroups::of_process(c.pid());
    assert!(below.ends_with("payload"), "{}", below.display());
    until("its cgroup", || below.join("own").exists().then_some(()));
    assert_eq!(unified(&c.exec(&["/probe", "cgroup"]).stdout()), ["0::/payload"]);
    differs!(Crun, "1.8.1 crashes in ps");
    let in_it = c.call("ps").output();
    assert!(in_it.stdout().contains(&c.pid().to_string()), "{}", in_it.stdout());
    c.end();
    assert!(!below.exists());
}

fn delegated_cgroup_belongs_to_root_of_the_user_namespace() {
    use std::os::unix::fs::MetadataExt as _;
    requires!(cgroup_v2(), userns(), namespace("cgroup"));
    differs!(Runc, "{NO_RUN_OCI}");
    let b = annotated("run.oci.delegate-cgroup", "/init")
        .user_namespace(100_000)
        .namespace("cgroup", None)
        .mount("/sys/fs/cgroup", "cgroup2", "cgroup2", &["nosuid", "noexec", "nodev"]);
    let steps = [
        "/probe",
        "cgroup",
        "--",
        "mkdir",
        "/sys/fs/cgroup/init/a",
        "--",
        "write",
        "/sys/fs/cgroup/init/a/cgroup.procs",
        "0",
        "--",
        "cgroup",
        "--",
        "mkdir",
        "/sys/fs/cgroup/beside",
        "--",
        "sleep",
        "60",
    ];
    let c = b.start(&steps);
    until("its words", || c.stdout().contains("0::/init/a\n").then_some(()));
    assert_eq!(unified(&c.stdout()), ["0::/init", "0::/init/a"]);
    differs!(Crun, "gives the container's own cgroup away, too");
    c.wait_for("EACCES");
    let below = cgroups::of_process(c.pid());
    let own = below.parent().unwrap();
    assert_eq!(fs::metadata(own.join("cgroup.procs")).unwrap().uid(), 100_000);
    let container = own.parent().unwrap();
    for file in ["cgroup.procs", "cgroup.freeze", "."] {
        assert_eq!(fs::metadata(container.join(file)).unwrap().uid(), 0, "{file}");
    }
    c.end();
}

fn delegated_cgroup_needs_cgroup_v2() {
    requires!(host_view(), cgroup_v1("memory"));
    differs!(Runc, "{NO_RUN_OCI}");
    differs!(Crun, "1.8.1 ignores it");
    annotated("run.oci.delegate-cgroup", "payload").assert_create_refused().assert_stderr_has(
        "annotations[\"run.oci.delegate-cgroup\"]: \"payload\": needs a cgroup v2 of its own",
    );
}

/// Without `SELinux` there is no effect; the words are checked all the same.
fn kind_of_selinux_mount_option() {
    for word in ["context", "fscontext", "defcontext", "rootcontext"] {
        annotated("run.oci.mount_context_type", word).run(&["/probe", "true"]).assert_exit(0);
    }
    let b = annotated("run.oci.mount_context_type", "rootcontext")
        .with(|c| c["linux"]["mountLabel"] = json!("system_u:object_r:container_file_t:s0"));
    let text = plan(&b).stdout();
    assert!(text.contains("selinux of mounts=system_u:object_r:container_file_t:s0"), "{text}");
    let output = annotated("run.oci.mount_context_type", "kontext").assert_create_refused();
    output.assert_stderr_has(
        "annotations[\"run.oci.mount_context_type\"]: \"kontext\" is not an SELinux mount option",
    );
}

fn values_are_checked() {
    differs!(Runc, "{NO_RUN_OCI}");
    differs!(Crun, "checks few of them, and some only when they are used");
    for (key, value, why) in [
        ("run.oci.keep_original_groups", "yes", "\"yes\" is neither 1 nor 0"),
        ("run.oci.seccomp_fail_unknown_syscall", "", "\"\" is neither 1 nor 0"),
        ("run.oci.hooks.stdout", "log", "\"log\" is not absolute"),
        ("run.oci.hooks.stderr", "", "empty"),
        ("run.oci.seccomp.receiver", "sock", "\"sock\" is not absolute"),
        ("run.oci.pidfd_receiver", "@abstract", "\"@abstract\" is not absolute"),
        ("run.oci.pidfd_receiver", "/a\0b", "NUL byte at position 2"),
        (
            "run.oci.delegate-cgroup",
            "../../escaped",
            "\"../../escaped\" is not the name of a cgroup",
        ),
        ("run.oci.systemd.subgroup", "a/b", "\"a/b\" is not the name of a cgroup"),
    ] {
        let output = annotated(key, value).assert_create_refused();
        output.assert_stderr_has(&format!("annotations[{key:?}]: {why}"));
    }
}

fn unknown_annotations_are_left_alone() {
    let b = Bundle::new().with(|c| {
        c["annotations"] = json!({
            "run.oci.of_next_year": "1",
            "org.criu.config": "/etc/criu/none.conf",
            "io.kubernetes.cri.container-type": "sandbox",
            "io.github.rt.unknown": "{",
        });
    });
    let c = b.args(&["/probe", "sleep", "60"]).create();
    assert_eq!(c.state()["annotations"]["run.oci.of_next_year"], "1");
    c.start().end();
}

fn plan_and_features_tell_the_annotations() {
    let b = annotated("run.oci.hooks.stdout", "/var/log/hooks.log");
    let b = with(with(b, "run.oci.keep_original_groups", "1"), "org.example.other", "1");
    let text = with(b, BPF, &without_mkdir());
    let text = plan(&text).stdout();
    for line in [
        "annotation   run.oci.hooks.stdout=/var/log/hooks.log",
        "groups=the caller's",
        "seccomp      4 instructions, flags 0x0",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("org.example"), "{text}");

    let features = Call::plain(["features"]).output().json();
    let told: Vec<&str> = features["potentiallyUnsafeConfigAnnotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key.as_str().unwrap())
        .collect();
    for key in ["run.oci.hooks.stdout", "run.oci.seccomp_bpf_data", "run.oci.keep_original_groups"]
    {
        assert!(told.contains(&key), "{key} in {told:?}");
    }
}
