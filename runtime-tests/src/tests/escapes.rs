//! Attacks of the past on the runtime's own process: its descriptors, its memory, its executable.
//!
//! One test per attack, named after its CVE, which really tries it; the attacker's side is
//! `attack.rs`. Each says on what it was seen to fail.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runtime_tests::config::{DOCKER_CAPS, capabilities};
use runtime_tests::poll::patience;
use runtime_tests::prelude::*;

tests![
    cve_2016_9962_exec_shows_no_directory_of_the_host,
    cve_2016_9962_exec_has_no_more_capabilities_than_the_container,
    cve_2016_9962_exec_cannot_be_traced,
    cve_2016_9962_create_in_a_shared_pid_namespace,
    cve_2016_9962_rootless_exec_shows_no_directory_of_the_host,
    cve_2016_9962_parked_init_holds_no_directory_of_the_host,
    cve_2019_5736_executable_cannot_be_overwritten,
    cve_2019_5736_executable_cannot_be_overwritten_with_all_capabilities,
    cve_2024_21626_cwd_is_no_descriptor_of_the_host,
    cve_2024_21626_cwd_of_exec_is_no_descriptor_of_the_host,
    cve_2024_21626_program_is_not_found_through_a_descriptor,
    cve_2024_21626_descriptors_of_the_caller_do_not_arrive,
    cve_2022_29162_cap_of_exec_is_not_inheritable,
    cve_2026_30892_user_of_exec_is_never_root_by_accident,
];

/// A container whose payload may trace others, as debuggers want it.
pub(super) fn tracer() -> Bundle {
    let mut caps = DOCKER_CAPS.to_vec();
    caps.push("CAP_SYS_PTRACE");
    Bundle::new().with(|c| c["process"]["capabilities"] = capabilities(&caps))
}

/// Seconds after which an attacker ends, should nobody stop it.
fn limit() -> String {
    patience(Duration::from_secs(20)).as_secs().to_string()
}

/// What the attacker found while `victim` went on: the lines between `ready` and `end`.
pub(super) fn under_attack(
    bundle: Bundle,
    attack: &[&str],
    victim: impl Fn(&Container),
) -> Vec<String> {
    let stop = bundle.inside("/tmp/stop");
    let c = bundle
        .start(&[&["/probe", "attack"], attack, &["--", "echo", "end of the attack"]].concat());
    c.wait_for("ready");
    victim(&c);
    fs::write(stop, "").unwrap();
    c.wait_for("end of the attack");
    let found = c
        .stdout()
        .lines()
        .filter(|l| !["ready", "end", "end of the attack"].contains(l))
        .map(str::to_owned)
        .collect();
    c.wait_status("stopped").delete();
    found
}

fn exec_often(c: &Container) {
    for _ in 0..100 {
        c.exec(&["/probe", "true"]).assert_exit(0);
    }
}

/// runc GHSA-gp4j-w3vj-7299: a process that enters a container is visible there before it is the
/// payload, and its descriptors, root and working directory with it. The attacker has
/// `CAP_SYS_PTRACE`, so that a non-dumpable process alone is no defence.
///
/// Seen to fail on rt that entered the pid namespace first, and on crun 1.8.1.
fn cve_2016_9962_exec_shows_no_directory_of_the_host() {
    requires!(root);
    differs!(Crun, "1.8.1 shows its own when the payload may trace");
    let found = under_attack(tracer(), &["watch", &limit()], exec_often);
    assert!(found.is_empty(), "{found:#?}");
}

/// Whoever may trace such a process has its capabilities. Seen to fail on rt that dropped them
/// inside, and on runc 1.1.5 and crun 1.8.1.
fn cve_2016_9962_exec_has_no_more_capabilities_than_the_container() {
    requires!(root);
    differs!(Runc, "drops its capabilities in the container");
    differs!(Crun, "drops its capabilities in the container");
    let found = under_attack(tracer(), &["caps", &limit()], exec_often);
    assert!(found.is_empty(), "{found:#?}");
}

/// An ordinary payload, with Docker's capabilities.
/// Seen to fail on rt that stayed dumpable.
fn cve_2016_9962_exec_cannot_be_traced() {
    requires!(root);
    let found = under_attack(Bundle::new(), &["ptrace", &limit()], exec_often);
    assert!(found.is_empty(), "{found:#?}");
}

/// Containers of a pod share a pid namespace, and one of them sees the others being made.
///
/// A mount of procfs must be made in the pid namespace that it shows, so the process that makes the
/// mounts is visible there; it needs `CAP_SYS_PTRACE` to look into it. Seen to fail on all three.
fn cve_2016_9962_create_in_a_shared_pid_namespace() {
    requires!(root);
    let why = "the process that makes the mounts is in the pid namespace of the others";
    differs!(Rt, "{why}");
    differs!(Runc, "{why}");
    differs!(Crun, "{why}");
    let found = under_attack(tracer(), &["watch", &limit()], |c| {
        let pid = format!("/proc/{}/ns/pid", c.pid());
        for _ in 0..40 {
            let b = Bundle::new().namespace("pid", Some(&pid)).args(&["/probe", "true"]);
            b.run_call().arg(b.id()).output().assert_exit(0);
        }
    });
    assert!(found.is_empty(), "{found:#?}");
}

/// Without root the process that enters may be looked into as long as it is dumpable, since it has
/// the payload's user id and user namespace.
///
/// Seen to fail on rt that entered the pid namespace first.
fn cve_2016_9962_rootless_exec_shows_no_directory_of_the_host() {
    requires!(cgroupfs_driver, program("/usr/bin/setpriv"));
    let user = ["/usr/bin/setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"];
    let b = tracer()
        .args(&["/probe", "attack", "watch", &limit(), "--", "echo", "end of the attack"])
        .with(|c| {
            let map = json!([{ "containerID": 0, "hostID": 1000, "size": 1 }]);
            c["linux"]["uidMappings"] = map.clone();
            c["linux"]["gidMappings"] = map;
            c["linux"].as_object_mut().unwrap().remove("cgroupsPath");
            c["linux"]["namespaces"] =
                runtime_tests::config::namespaces(&["user", "pid", "ipc", "uts", "mount"]);
            c["mounts"].as_array_mut().unwrap().retain(|m| m["type"] != "devpts");
        });
    b.write();
    let root = scratch().join("root");
    fs::create_dir(&root).unwrap();
    let give = |path: &Path| std::os::unix::fs::chown(path, Some(1000), Some(1000)).unwrap();
    give(&root);
    give(b.dir());
    give(&b.rootfs());
    for entry in
        fs::read_dir(b.rootfs()).unwrap().flatten().filter(|e| e.file_type().unwrap().is_dir())
    {
        give(&entry.path());
    }
    let running = b.run_call().arg(b.id()).through(user).spawn();
    until("the attacker", || running.stdout().contains("ready").then_some(()));
    for _ in 0..100 {
        rt(["exec", b.id(), "/probe", "true"]).through(user).output().assert_exit(0);
    }
    fs::write(b.inside("/tmp/stop"), "").unwrap();
    running.wait().assert_stdout("ready\nend\nend of the attack");
}

/// A created container waits for `start` for as long as the engine likes, and exec is allowed there.
///
/// Seen to fail on rt that closed its descriptors at the start only: /proc and the cgroup.
fn cve_2016_9962_parked_init_holds_no_directory_of_the_host() {
    requires!(root);
    let c = tracer().create();
    let output = c.exec(&["/probe", "attack", "fds-of", "1"]);
    c.delete_force();
    output.assert_stdout("");
}

/// All of capabilities(7) up to Linux 6.18, as `docker run --privileged` lists them.
pub(super) const ALL_CAPS: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// A payload with every capability that this machine has.
pub(super) fn privileged(b: Bundle) -> Bundle {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let set = status.lines().find_map(|l| l.strip_prefix("CapBnd:")).unwrap().trim().to_owned();
    let set = u64::from_str_radix(&set, 16).unwrap();
    let has = |bit: &usize| set & (1 << bit) != 0;
    let names: Vec<&str> = (0..ALL_CAPS.len()).filter(has).map(|bit| ALL_CAPS[bit]).collect();
    b.with(|c| {
        c["process"]["capabilities"] = capabilities(&names);
        c["process"]["noNewPrivileges"] = json!(false);
    })
}

/// What a dynamic runtime needs to start in the container, as ldd(1) tells it.
fn bring_libraries(bundle: &Bundle) {
    let output =
        std::process::Command::new("ldd").arg(runtime_tests::runtime::path()).output().unwrap();
    for word in String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let inside = bundle.inside(word.trim_end_matches(':'));
        fs::create_dir_all(inside.parent().unwrap()).unwrap();
        fs::copy(word.trim_end_matches(':'), inside).unwrap();
    }
}

/// runc GHSA-gxmr-w5mj-v8hh: the runtime runs itself in the container, once as the payload and once as
/// the interpreter of a script, and what runs there is opened through /proc/PID/exe. The attacker
/// keeps the descriptor until nobody executes the file any longer.
fn overwrite_the_executable(bundle: Bundle) {
    bring_libraries(&bundle);
    let bundle = bundle.file("/script", "#!/proc/self/exe\n").mode("/script", 0o755);
    let sum = |path: &Path| fs::read(path).unwrap();
    let before = sum(runtime_tests::runtime::path());
    let seen = bundle.inside("/tmp/seen");
    let found = under_attack(bundle, &["exe", &limit()], |c| {
        // On a loaded machine the attacker does not always have its turn while the runtime runs.
        let end = Instant::now() + patience(Duration::from_secs(10));
        let mut rounds = 0;
        while rounds < 20 || !seen.exists() && Instant::now() < end {
            c.exec(&["/proc/self/exe"]);
            c.exec(&["/script"]);
            rounds += 1;
        }
    });
    assert!(
        found.iter().any(|l| l.starts_with("seen ")),
        "the attack never saw the runtime: {found:#?}"
    );
    assert!(!found.iter().any(|l| l.contains("WRITTEN")), "{found:#?}");
    assert!(before == sum(runtime_tests::runtime::path()), "the runtime has changed");
}

/// Seen to fail on rt without `seal::run_sealed`.
fn cve_2019_5736_executable_cannot_be_overwritten() {
    requires!(root);
    overwrite_the_executable(Bundle::new());
}

/// With every capability, the mount that the executable is on may be changed as well: by
/// `mount_setattr(2)`, a remount, or on a copy of it.
///
/// Seen to fail on rt without `seal::run_sealed`; passes with the memfd as with the mount.
fn cve_2019_5736_executable_cannot_be_overwritten_with_all_capabilities() {
    requires!(root);
    overwrite_the_executable(privileged(Bundle::new()));
}

/// A directory of the host, as a caller may have left it open.
fn leaked(dir: &Path) -> OwnedFd {
    fs::File::open(dir).unwrap().into()
}

fn canary() -> PathBuf {
    let dir = scratch().join("canary");
    fs::create_dir_all(&dir).unwrap();
    fs::copy(runtime_tests::probe::find().unwrap(), dir.join("evil")).unwrap();
    dir
}

/// runc GHSA-xr7r-f8xq-vfvv: a working directory that is a descriptor of the runtime, or one that
/// its caller had open, is a directory of the host.
///
/// Seen to fail on crun 1.8.1 (Debian has mended its runc 1.1.5), and on rt that followed magic
/// links.
fn cve_2024_21626_cwd_is_no_descriptor_of_the_host() {
    differs!(Crun, "1.8.1 has the hole; 1.14.1 does not");
    let dir = canary();
    for fd in 3..50 {
        let b = Bundle::new().args(&["/probe", "ls", ".", "--", "cwd"]);
        let b = b.with(|c| c["process"]["cwd"] = json!(format!("/proc/self/fd/{fd}")));
        let call = b.run_call().fd(20, leaked(&dir)).fd(30, leaked(&dir)).arg(b.id());
        call.output().assert_fails();
        fs::remove_dir_all(b.dir()).unwrap();
    }
}

/// The same by way of a link in the image, and for exec.
///
/// Seen to fail on crun 1.8.1.
fn cve_2024_21626_cwd_of_exec_is_no_descriptor_of_the_host() {
    differs!(Crun, "1.8.1 has the hole; 1.14.1 does not");
    let dir = canary();
    let mut b = Bundle::new();
    for fd in 3..50 {
        b = b.symlink(&format!("/link{fd}"), &format!("/proc/self/fd/{fd}"));
    }
    let c = b.start(&["/probe", "sleep", "60"]);
    for fd in 3..50 {
        for cwd in [format!("/proc/self/fd/{fd}"), format!("/link{fd}")] {
            let call = c.exec_call(&["--cwd", &cwd], &["/probe", "ls", "."]);
            call.fd(20, leaked(&dir)).output().assert_fails();
        }
    }
    c.end();
}

/// The program may be reached through a descriptor, too: it is looked up when nothing is open.
///
/// Seen to fail on crun 1.8.1, and on rt without `close_others`.
fn cve_2024_21626_program_is_not_found_through_a_descriptor() {
    differs!(Crun, "1.8.1 has the hole; 1.14.1 does not");
    let dir = canary();
    for fd in 3..30 {
        let b = Bundle::new().args(&[&format!("/proc/self/fd/{fd}/evil"), "echo", "from the host"]);
        let output = b.run_call().fd(20, leaked(&dir)).fd(25, leaked(&dir)).arg(b.id()).output();
        output.assert_fails();
        assert_eq!(output.stdout(), "");
        fs::remove_dir_all(b.dir()).unwrap();
    }
}

/// Seen to fail on rt without `cloexec_from` and `close_others`.
fn cve_2024_21626_descriptors_of_the_caller_do_not_arrive() {
    let dir = canary();
    let only_three = |output: &Output| {
        output.assert_exit(0);
        let numbers: Vec<String> =
            output.lines().iter().map(|l| l.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(numbers, ["0", "1", "2"], "{}", output.stdout());
    };
    let leak = |call: Call| (3..40).fold(call, |call, n| call.fd(n, leaked(&dir)));
    let b = Bundle::new().args(&["/probe", "fds"]);
    only_three(&leak(b.run_call()).arg(b.id()).output());
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    only_three(&leak(c.exec_call(&[], &["/probe", "fds"])).output());
    c.end();
}

/// runc GHSA-f3fp-gc8g-vw66, crun GHSA-wr4f-w546-m398: --cap filled the inheritable set.
///
/// Seen to fail on rt that added it.
fn cve_2022_29162_cap_of_exec_is_not_inheritable() {
    requires!(root);
    let b = Bundle::new().with(|c| c["process"]["capabilities"] = capabilities(&["CAP_CHOWN"]));
    let c = b.start(&["/probe", "status", "CapInh", "--", "sleep", "60"]);
    c.wait_for("CapInh 0000000000000000");
    c.exec_with(&["--cap", "CAP_KILL"], &["/probe", "status", "CapInh"])
        .assert_stdout("CapInh 0000000000000000");
    c.end();
}

/// crun: what is no number became user 0.
///
/// Seen to fail on runc 1.1.5 and crun 1.8.1.
fn cve_2026_30892_user_of_exec_is_never_root_by_accident() {
    requires!(root);
    differs!(Crun, "1.8.1 makes root of what is no number");
    differs!(Runc, "1.1.5 makes root of 4294967296");
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    for (user, id) in
        [("1", "uid=1,1,1 gid=0"), ("1:2", "uid=1,1,1 gid=2"), ("65534", "uid=65534,")]
    {
        let output = c.exec_with(&["--user", user], &["/probe", "id"]);
        output.assert_exit(0);
        assert!(output.stdout().starts_with(id), "{user}: {}", output.stdout());
    }
    for user in [
        "-1",
        "4294967295",
        "4294967296",
        "4294967297",
        "1x",
        "x1",
        "0x1",
        "1:",
        ":1",
        "1:x",
        " 1",
        "1 ",
        "1:2:3",
    ] {
        c.exec_with(&["--user", user], &["/probe", "id"]).assert_fails();
    }
    c.end();
}
