//! What an ordinary user's container may mount, and what it sees of the host through it.

use std::fs;
use std::path::PathBuf;

use runtime_tests::cgroups;
use runtime_tests::prelude::*;
use runtime_tests::second_user::{RANGE, SecondUser, UID, UserBundle};

tests![
    sysfs_without_a_network_namespace_is_the_hosts_read_only,
    sysfs_with_a_network_namespace_is_its_own,
    proc_is_its_own,
    mqueue_in_a_new_and_in_a_joined_ipc_namespace,
    devpts_group_that_is_not_mapped_is_left_out,
    devices_are_bound_from_the_host,
    read_only_binds_stay_read_only,
    locked_flags_of_the_host_stay,
    root_file_system_of_root_can_be_used,
    root_file_system_without_permission_is_refused,
    files_of_unmapped_ids_are_nobodys,
    cgroup_mount_is_never_writable_for_others,
    cve_2023_25809_without_cgroup_namespace,
    cve_2023_25809_users_own_cgroups,
    container_without_its_own_cgroup_sees_them_read_only,
];

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Value {
    runtime_tests::config::mount(destination, kind, source, options)
}

/// Replaces the entry for this destination, or adds one.
fn with_mount<'a>(b: UserBundle<'a>, entry: Value) -> UserBundle<'a> {
    b.with(|c| {
        let mounts = c["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["destination"] != entry["destination"]);
        mounts.push(entry);
    })
}

/// mountinfo of the container: the options of what is at this place.
fn flags(mounts: &str, at: &str) -> String {
    let line = mounts.lines().rev().find(|line| line.split(' ').nth(4) == Some(at));
    line.unwrap_or_else(|| panic!("no mount at {at}:\n{mounts}"))
        .split(' ')
        .nth(5)
        .unwrap()
        .to_owned()
}

fn sysfs_without_a_network_namespace_is_the_hosts_read_only() {
    let user = SecondUser::new();
    let options = ["nosuid", "noexec", "nodev"];
    let b = user.bundle().change(|b| b.without_namespace("network"));
    let b = with_mount(b, mount("/sys", "sysfs", "sysfs", &options));
    differs!(Runc, "1.1 does not fall back to the host's");
    differs!(Crun, "1.8 does so only with the options of its own spec");
    let output = b.run(&[
        "/probe",
        "cat",
        "/proc/self/mountinfo",
        "--",
        "stat",
        "/sys/kernel",
        "--",
        "write",
        "/sys/kernel/x",
        "1",
    ]);
    let mounts = output.stdout();
    assert!(flags(&mounts, "/sys").starts_with("ro"), "{mounts}");
    assert!(mounts.ends_with("EROFS\n") || mounts.ends_with("EACCES\n"), "{mounts}");
}

fn sysfs_with_a_network_namespace_is_its_own() {
    let user = SecondUser::new();
    let b = with_mount(user.bundle(), mount("/sys", "sysfs", "sysfs", &["ro"]));
    let b = b.change(|b| b.namespace("network", None));
    b.run(&["/probe", "ls", "/sys/class/net"]).assert_says("lo");
}

fn proc_is_its_own() {
    let user = SecondUser::new();
    let b = user.bundle();
    // Its own, though the host's processes are there as well when the pid namespace is the host's.
    b.run(&["/probe", "cat", "/proc/1/comm", "--", "readlink", "/proc/self"])
        .assert_says("probe\n1");
}

fn mqueue_in_a_new_and_in_a_joined_ipc_namespace() {
    let user = SecondUser::new();
    let first = user.bundle().start(&["/probe", "stat", "/dev/mqueue", "--", "sleep", "60"]);
    until("the words", || (!first.stdout().is_empty()).then_some(()));
    assert!(!first.stdout().contains("65534"), "{}", first.stdout());
    let b = ["user", "ipc"].iter().fold(user.bundle(), |b, kind| {
        let path = format!("/proc/{}/ns/{kind}", first.pid());
        b.change(|b| b.namespace(kind, Some(&path)))
    });
    let output = b.run(&["/probe", "statfs", "/dev/mqueue", "--", "stat", "/dev/mqueue"]);
    output.assert_exit(0);
    assert!(output.stdout().starts_with("0x19800202"), "{}", output.stdout());
    // The host's ipc namespace belongs to root: nobody else mounts its queues.
    let b = user.bundle().change(|b| b.without_namespace("ipc"));
    let output = b.run(&["/probe", "true"]);
    if runtime() == Runtime::Rt {
        output.assert_fails();
        output.assert_stderr_has("(/dev/mqueue): ");
        output.assert_stderr_has("hint: only the owner of the matching namespace may mount this");
    }
}

fn devpts_group_that_is_not_mapped_is_left_out() {
    let user = SecondUser::new();
    let options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];
    let b = with_mount(user.bundle(), mount("/dev/pts", "devpts", "devpts", &options));
    differs!(Runc, "fails on the group");
    differs!(Crun, "fails on the group");
    b.run(&["/probe", "stat", "/dev/pts/ptmx"]).assert_exit(0);

    let user = drop_and_new(user);
    let range = [(0, UID, 1), (1, RANGE.0, RANGE.1)];
    let b = with_mount(user.bundle(), mount("/dev/pts", "devpts", "devpts", &options));
    let output = b.maps(&range, &range).run(&["/probe", "cat", "/proc/self/mountinfo"]);
    assert!(output.stdout().contains("gid=300004,mode=620"), "{}", output.stdout());
}

fn drop_and_new(user: SecondUser) -> SecondUser {
    fs::remove_dir_all(user.dir()).unwrap();
    drop(user);
    SecondUser::with_ranges()
}

fn devices_are_bound_from_the_host() {
    let user = SecondUser::new();
    let b = user.bundle();
    let output = b.run(&[
        "/probe",
        "open",
        "/dev/null",
        "rw",
        "--",
        "open",
        "/dev/zero",
        "r",
        "--",
        "open",
        "/dev/urandom",
        "r",
        "--",
        "open",
        "/dev/full",
        "rw",
        "--",
        "readlink",
        "/dev/fd",
        "--",
        "mknod",
        "/dev/x",
        "c",
        "1",
        "3",
    ]);
    output.assert_says("ok\nok\nok\nok\n/proc/self/fd\nEPERM");
}

fn read_only_binds_stay_read_only() {
    let user = SecondUser::new();
    let data = user.directory("data");
    let b =
        with_mount(user.bundle(), mount("/data", "bind", data.to_str().unwrap(), &["rbind", "ro"]));
    b.run(&["/probe", "write", "/data/x", "1"]).assert_says("EROFS");
    let b = with_mount(user.bundle(), mount("/data", "bind", data.to_str().unwrap(), &["rbind"]));
    b.run(&["/probe", "write", "/data/x", "1"]).assert_exit(0);
}

/// A flag that the host's mount has cannot be taken off in a user namespace; it must stay, and the
/// container start all the same.
fn locked_flags_of_the_host_stay() {
    let user = SecondUser::new();
    let at = HostMount::tmpfs(&scratch().join("locked"), "mode=777");
    at.change(
        nix::mount::MsFlags::MS_REMOUNT
            | nix::mount::MsFlags::MS_BIND
            | nix::mount::MsFlags::MS_NOSUID
            | nix::mount::MsFlags::MS_NODEV
            | nix::mount::MsFlags::MS_NOEXEC
            | nix::mount::MsFlags::MS_RDONLY,
    );
    let source = at.path().to_str().unwrap();
    differs!(Runc, "1.1 fails when the options do not repeat them");
    let b = with_mount(user.bundle(), mount("/data", "bind", source, &["rbind", "ro"]));
    let output = b.run(&["/probe", "cat", "/proc/self/mountinfo"]);
    output.assert_exit(0);
    let seen = flags(&output.stdout(), "/data");
    for flag in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(seen.split(',').any(|word| word == flag), "{seen}");
    }
}

fn root_file_system_of_root_can_be_used() {
    let user = SecondUser::new();
    let b = user.bundle();
    std::os::unix::fs::chown(b.bundle().rootfs(), Some(0), Some(0)).unwrap();
    // Mount points cannot be made in it, so they must be there.
    for (dir, name) in [("dev", ""), ("sys", ""), ("proc", "")] {
        std::os::unix::fs::chown(b.bundle().inside(&format!("/{dir}{name}")), Some(0), Some(0))
            .unwrap();
    }
    b.run(&["/probe", "write", "/x", "1", "--", "stat", "/"]).assert_exit(1);
    let b = with_mount(user.bundle(), mount("/missing", "tmpfs", "tmpfs", &[]));
    std::os::unix::fs::chown(b.bundle().rootfs(), Some(0), Some(0)).unwrap();
    let output = b.run(&["/probe", "true"]);
    output.assert_fails();
    if runtime() == Runtime::Rt {
        output
            .assert_stderr_has("(/missing): mkdir")
            .assert_stderr_has("permission denied (EACCES)");
    }
}

fn root_file_system_without_permission_is_refused() {
    let user = SecondUser::new();
    let b = user.bundle();
    std::os::unix::fs::chown(b.bundle().rootfs(), Some(0), Some(0)).unwrap();
    let b = b.change(|b| b.mode("/", 0o700));
    let output = b.run(&["/probe", "true"]);
    output.assert_fails();
    if runtime() == Runtime::Rt {
        output.assert_stderr_has("permission denied (EACCES)");
    }
    // A bundle that he may not read.
    let b = user.bundle();
    std::os::unix::fs::chown(b.bundle().dir(), Some(0), Some(0)).unwrap();
    fs::set_permissions(b.bundle().dir(), std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .unwrap();
    let output = b.run(&["/probe", "true"]);
    output.assert_fails();
    if runtime() == Runtime::Rt {
        output.assert_stderr_has("config.json").assert_stderr_has("permission denied (EACCES)");
    }
}

fn files_of_unmapped_ids_are_nobodys() {
    let user = SecondUser::new();
    let b = user.bundle().change(|b| b.file("/etc/secret", "root's").mode("/etc/secret", 0o600));
    let output = b.run(&[
        "/probe",
        "cat",
        "/etc/secret",
        "--",
        "lstat",
        "/etc/secret",
        "--",
        "chown",
        "/etc/secret",
        "0",
        "0",
    ]);
    let lines = output.lines();
    assert_eq!(lines[0], "EACCES");
    assert!(lines[1].contains("65534"), "{lines:?}");
    assert_eq!(lines[2], "EPERM");
}

/// A cgroup of root's beside the container's, with this tag in its name.
fn cgroup_of_root() -> PathBuf {
    let at = cgroups::v2_mount()
        .expect("cgroup v2")
        .join(format!("{}-other", runtime_tests::isolate::tag()));
    fs::create_dir(&at).unwrap();
    at
}

/// The payload tries to write wherever it sees cgroups.
fn attack(b: UserBundle<'_>, below: &str) -> String {
    let b =
        with_mount(b, mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev"]));
    let b = b.change(Bundle::with_busybox);
    let script = format!(
        "cd /sys/fs/cgroup || exit 3; mkdir intruder 2>&1; \
         for d in $(/bin/busybox find . -type d | /bin/busybox head -n 400); do \
           for f in cgroup.procs cgroup.freeze cgroup.kill tasks notify_on_release cgroup.subtree_control; do \
             [ -e $d/$f ] && (: >> $d/$f) 2>/dev/null && echo writable $d/$f; done; done; \
         echo 1 > .{below}/cgroup.freeze; echo end"
    );
    let output = b.run(&["/bin/sh", "-c", &script]);
    output.stdout() + &output.stderr()
}

fn cgroup_mount_is_never_writable_for_others() {
    let user = SecondUser::new();
    // Other tests delegate cgroups to him meanwhile, and the others show the host's tree as it is.
    sometimes_differs!(Runc, "a user's own cgroups are writable");
    sometimes_differs!(Crun, "a user's own cgroups are writable");
    let text = attack(user.bundle(), "");
    assert!(text.contains("end"), "{text}");
    assert!(!text.contains("writable"), "{text}");
}

fn cve_2023_25809_without_cgroup_namespace() {
    let user = SecondUser::new();
    requires!(cgroup_v2);
    // Other tests delegate cgroups to him meanwhile, and the others show the host's tree as it is.
    sometimes_differs!(Runc, "a user's own cgroups are writable");
    sometimes_differs!(Crun, "a user's own cgroups are writable");
    let other = cgroup_of_root();
    let b = user.bundle().change(|b| b.without_namespace("cgroup"));
    let text = attack(b, &format!("/{}", other.file_name().unwrap().to_str().unwrap()));
    fs::remove_dir(&other).unwrap();
    assert!(text.contains("end"), "{text}");
    assert!(!text.contains("writable"), "{text}");
    // From us the first; from a runtime that shows the tree as it is, the second.
    let no = ["ead-only file system", "ermission denied"];
    assert!(no.iter().any(|word| text.contains(word)), "{text}");
}

/// The cgroup that the runtime is in belongs to the user, as in a login session with delegation, and
/// other programs of his are in it: also without a cgroup of its own the container leaves them alone.
fn cve_2023_25809_users_own_cgroups() {
    if runtime() != Runtime::Rt {
        skip!("--cgroup-manager disabled is meant");
    }
    let user = SecondUser::new();
    requires!(cgroup_v2);
    let session = cgroup_of_root();
    for file in ["", "cgroup.procs", "cgroup.freeze", "cgroup.kill", "cgroup.subtree_control"] {
        std::os::unix::fs::chown(session.join(file), Some(UID), Some(UID)).unwrap();
    }
    for namespaced in [true, false] {
        let mut b = user.bundle();
        if !namespaced {
            b = b.change(|b| b.without_namespace("cgroup"));
        }
        let entry = mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev"]);
        let script = format!(
            "cd /sys/fs/cgroup{}; mkdir x; echo 0 > cgroup.freeze; (: >> cgroup.procs) 2>/dev/null && echo writable; echo end",
            if namespaced {
                String::new()
            } else {
                format!("/{}", session.file_name().unwrap().display())
            }
        );
        let b = with_mount(b, entry)
            .change(Bundle::with_busybox)
            .change(|b| b.args(&["/bin/sh", "-c", &script]));
        b.bundle().write();
        let enter = format!("echo $$ > {}/cgroup.procs; exec \"$0\" \"$@\"", session.display());
        // As root, before the change of ids: only the place is the user's.
        let output = user
            .call_after(
                &["/bin/sh", "-c", &enter],
                ["--cgroup-manager", "disabled", "run", "--bundle", b.path(), b.id()],
            )
            .output();
        let text = output.stdout() + &output.stderr();
        assert!(text.contains("end") && !text.contains("writable"), "{text}");
        assert_eq!(text.matches("ead-only file system").count(), 2, "{text}");
    }
    until("the session to be empty", || fs::remove_dir(&session).ok());
}

fn container_without_its_own_cgroup_sees_them_read_only() {
    requires!(root);
    if runtime() != Runtime::Rt {
        skip!("--cgroup-manager disabled is meant");
    }
    let b = Bundle::new().mount("/sys/fs/cgroup", "cgroup", "cgroup", &["rw"]);
    let b = without_cgroups_path(b);
    let b = b.args(&["/probe", "access", "/sys/fs/cgroup", "w", "--", "statfs", "/sys/fs/cgroup"]);
    let output = b.run_call().arg(b.id()).global(["--cgroup-manager", "disabled"]).output();
    assert!(output.stdout().starts_with("EROFS\n0x"), "{}", output.stdout());
}

fn without_cgroups_path(b: Bundle) -> Bundle {
    b.with(|c| {
        c["linux"].as_object_mut().unwrap().remove("cgroupsPath");
    })
}
