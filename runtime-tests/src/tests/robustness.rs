//! What goes wrong around a runtime: killed midway, called twice at once, bundles that vanish, and
//! the flags that not every runtime has.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::sys::signal::Signal;
use runtime_tests::prelude::*;
use runtime_tests::pty::ReceivingSocket;

tests![
    create_killed_midway_is_cleaned_by_delete_force,
    start_killed_midway_leaves_a_container_that_can_be_deleted,
    of_two_starts_at_once_one_succeeds,
    of_two_creates_at_once_one_succeeds,
    delete_works_without_the_bundle,
    exec_uses_the_configuration_of_create,
    init_killed_from_outside_is_seen_as_stopped,
    reused_pid_is_not_taken_for_the_container,
    broken_state_of_one_container_does_not_hide_the_others,
    many_runs_leave_nothing,
    long_state_root_works,
    kill_and_delete_by_regex,
    pidfd_socket_gets_a_pidfd_of_init,
    config_can_be_another_file,
    no_pivot_runs,
    no_new_keyring_keeps_that_of_the_caller,
    exec_ignore_paused_waits_in_the_frozen_cgroup,
    unwritable_log_is_reported,
    closed_standard_streams_do_no_harm,
];

/// Issue: every instant between the first side effect and the last.
fn create_killed_midway_is_cleaned_by_delete_force() {
    requires!(root);
    differs!(Runc, "leaves cgroups and processes when it dies before its state is written");
    differs!(Crun, "leaves cgroups and processes when it dies before its state is written");
    for step in 0..15 {
        let b = Bundle::new().args(&["/probe", "sleep", "60"]);
        b.write();
        let create = rt(["create", "--bundle", b.dir().to_str().unwrap(), b.id()]).spawn();
        std::thread::sleep(Duration::from_micros(700 * step));
        create.signal(Signal::SIGKILL);
        drop(create);
        rt(["delete", "--force", b.id()]).output().assert_exit(0);
    }
}

fn start_killed_midway_leaves_a_container_that_can_be_deleted() {
    for step in 0..6 {
        let c = Bundle::new().args(&["/probe", "sleep", "60"]).create();
        let start = c.call("start").spawn();
        std::thread::sleep(Duration::from_micros(1500 * step));
        start.signal(Signal::SIGKILL);
        drop(start);
        assert!(["created", "running", "stopped"].contains(&c.status().as_str()));
        c.delete_force();
    }
}

fn of_two_starts_at_once_one_succeeds() {
    sometimes_differs!(Runc, "takes no lock: both may find the container created");
    sometimes_differs!(Crun, "takes no lock: both may find the container created");
    let c = Bundle::new().args(&["/probe", "echo", "ran", "--", "sleep", "60"]).create();
    let (one, two) = (c.call("start").spawn(), c.call("start").spawn());
    let mut codes = [one.wait().code, two.wait().code];
    codes.sort_unstable();
    assert_eq!(codes, [0, 1]);
    assert_eq!(c.stdout(), "ran\n");
    c.end();
}

fn of_two_creates_at_once_one_succeeds() {
    sometimes_differs!(Runc, "takes no lock: the refused one may remove or leave cgroups");
    let b = Bundle::new().args(&["/probe", "sleep", "60"]);
    b.write();
    let create = || rt(["create", "--bundle", b.dir().to_str().unwrap(), b.id()]).spawn();
    let (one, two) = (create(), create());
    let mut codes = [one.wait().code, two.wait().code];
    codes.sort_unstable();
    assert_eq!(codes, [0, 1]);
    rt(["start", b.id()]).output().assert_exit(0);
    rt(["delete", "--force", b.id()]).output().assert_exit(0);
}

/// An engine that lost its bundles after a reboot of itself still has to get rid of the container.
fn delete_works_without_the_bundle() {
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    fs::remove_dir_all(c.bundle()).unwrap();
    assert_eq!(c.status(), "running");
    c.end();
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    fs::remove_dir_all(c.bundle()).unwrap();
    c.delete_force();
}

/// Who can write the bundle must not choose the capabilities of a later exec.
fn exec_uses_the_configuration_of_create() {
    differs!(Runc, "reads the process defaults from config.json again");
    let b = Bundle::new().with(|c| {
        c["process"]["env"] = json!(["A=before", "HOME=/"]);
        c["process"]["capabilities"] = runtime_tests::config::capabilities(&["CAP_CHOWN"]);
    });
    let c = b.args(&["/probe", "sleep", "60"]).create();
    c.start();
    let path = c.bundle().join("config.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("A=before", "A=after").replace("CAP_CHOWN", "CAP_KILL")).unwrap();
    c.exec(&["/probe", "env", "--", "status", "CapBnd"])
        .assert_stdout("A=before\nHOME=/\nCapBnd 0000000000000001");
    c.end();
}

fn init_killed_from_outside_is_seen_as_stopped() {
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let pid = nix::unistd::Pid::from_raw(c.pid());
    nix::sys::signal::kill(pid, Signal::SIGKILL).unwrap();
    c.wait_status("stopped").delete();
}

/// After a wrap-around of the pids the number in the state may be anybody's.
fn reused_pid_is_not_taken_for_the_container() {
    requires!(root);
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let pid = c.pid();
    c.kill("KILL").wait_status("stopped");
    // In this pid namespace the next pid can be chosen.
    fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).unwrap();
    let mut bystander = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
    let same = i32::try_from(bystander.id()).unwrap() == pid;
    let status = c.status();
    let killed = c.call("kill").arg("KILL").output();
    c.delete_force();
    let alive = bystander.try_wait().unwrap().is_none();
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    assert!(same, "the kernel gave another pid");
    assert_eq!(status, "stopped");
    killed.assert_fails();
    assert!(alive, "a process that has nothing to do with the container was killed");
}

fn broken_state_of_one_container_does_not_hide_the_others() {
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let broken = runtime_tests::isolate::state_root().join("broken");
    fs::create_dir(&broken).unwrap();
    fs::write(broken.join("state.json"), "{").unwrap();
    fs::write(broken.join("status"), "{").unwrap();
    let ids = rt(["list", "-q"]).output();
    assert!(ids.lines().contains(&c.id().to_owned()), "{}", ids.stdout());
    // What is no container at all is not an error either.
    fs::remove_dir_all(&broken).unwrap();
    fs::write(runtime_tests::isolate::state_root().join("file"), "").unwrap();
    rt(["list"]).output().assert_exit(0);
    fs::remove_file(runtime_tests::isolate::state_root().join("file")).unwrap();
    c.end();
}

fn many_runs_leave_nothing() {
    for n in 0..25 {
        let code = n % 7;
        Bundle::new().run(&["/probe", "exit", &code.to_string()]).assert_exit(code);
    }
}

/// A socket's path is limited to 107 bytes, a state directory's is not.
fn long_state_root_works() {
    let root = scratch().join("long".repeat(20)).join("root".repeat(30));
    fs::create_dir_all(&root).unwrap();
    let b = Bundle::new().args(&["/probe", "signals", "1"]);
    b.write();
    let call = |args: &[&str]| {
        Call::plain(args)
            .global(["--root", root.to_str().unwrap()])
            .output()
            .assert_exit(0)
            .stdout()
    };
    call(&["create", "--bundle", b.dir().to_str().unwrap(), b.id()]);
    call(&["start", b.id()]);
    until("running", || call(&["state", b.id()]).contains("running").then_some(()));
    call(&["kill", b.id(), "KILL"]);
    until("stopped", || call(&["state", b.id()]).contains("stopped").then_some(()));
    call(&["delete", b.id()]);
}

fn kill_and_delete_by_regex() {
    differs!(Runc, "has no --regex");
    let one = Bundle::new().start(&["/probe", "sleep", "60"]);
    let two = Bundle::new().start(&["/probe", "sleep", "60"]);
    let pattern = format!("^{}-[12]$", runtime_tests::isolate::tag());
    rt(["kill", "--regex", &pattern, "KILL"]).output().assert_exit(0);
    one.wait_status("stopped");
    two.wait_status("stopped");
    rt(["delete", "--regex", "^nosuch.*$"]).output();
    assert_eq!(one.status(), "stopped");
    rt(["delete", "--regex", &pattern]).output().assert_exit(0);
    assert_eq!(rt(["list", "-q"]).ok(), "");
}

fn pidfd_socket_gets_a_pidfd_of_init() {
    differs!(Runc, "--pidfd-socket came with 1.2");
    differs!(Crun, "has no --pidfd-socket");
    let pid_of = |fd: &dyn std::os::fd::AsFd| {
        let info =
            fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd())).unwrap();
        info.lines()
            .find_map(|l| l.strip_prefix("Pid:"))
            .expect("a pidfd")
            .trim()
            .parse::<i32>()
            .unwrap()
    };
    let socket = ReceivingSocket::new();
    let b = Bundle::new().args(&["/probe", "sleep", "60"]);
    let c = b.create_with(&["--pidfd-socket", socket.path().to_str().unwrap()]);
    assert_eq!(pid_of(&socket.receive().0), c.pid());
    c.start();
    let socket = ReceivingSocket::new();
    let file = scratch().join("exec.pid");
    let flags = [
        "-d",
        "--pid-file",
        file.to_str().unwrap(),
        "--pidfd-socket",
        socket.path().to_str().unwrap(),
    ];
    c.exec_with(&flags, &["/probe", "sleep", "60"]).assert_exit(0);
    assert_eq!(pid_of(&socket.receive().0).to_string(), fs::read_to_string(file).unwrap());
    c.end();
}

fn config_can_be_another_file() {
    differs!(Runc, "has no --config");
    let b = Bundle::new().args(&["/probe", "echo", "other"]);
    b.write();
    fs::rename(b.dir().join("config.json"), b.dir().join("other.json")).unwrap();
    let other = b.dir().join("other.json");
    rt(["run", "--bundle"])
        .arg(b.dir())
        .arg("--config")
        .arg(other)
        .arg(b.id())
        .output()
        .assert_stdout("other");
}

/// For roots on a ramfs, which cannot be pivoted away from.
fn no_pivot_runs() {
    let b = Bundle::new().args(&["/probe", "ls", "/"]);
    let output = b.run_call().args(["--no-pivot", b.id()]).output();
    output.assert_exit(0);
    assert!(output.stdout().starts_with("dev\netc\nprobe\n"), "{}", output.stdout());
}

fn no_new_keyring_keeps_that_of_the_caller() {
    requires!(root);
    let own = runtime_tests::isolate::new_session_keyring();
    let b = Bundle::new().args(&["/probe", "syscall", "250", "0", "-3", "1"]);
    let output = b.run_call().args(["--no-new-keyring", b.id()]).output();
    output.assert_stdout(&format!("ok {own}"));
    let output = b.run_call().arg(b.id()).output();
    output.assert_exit(0);
    assert_ne!(output.stdout().trim(), format!("ok {own}"), "without the flag there is a new one");
}

fn exec_ignore_paused_waits_in_the_frozen_cgroup() {
    requires!(root, freezer);
    differs!(Crun, "has no --ignore-paused");
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    c.call("pause").output().assert_exit(0);
    let going = c.exec_call(&["--ignore-paused"], &["/probe", "echo", "thawed"]).spawn();
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(going.stdout(), "", "it must not run while the container is paused");
    c.call("resume").output().assert_exit(0);
    going.wait().assert_stdout("thawed");
    c.end();
}

fn unwritable_log_is_reported() {
    let output = rt(["list"]).global(["--log", "/nosuch/directory/log"]).output();
    output.assert_fails();
}

/// Started by something that closed 0, 1 and 2: nothing the runtime opens may take their places and
/// end up in the container.
fn closed_standard_streams_do_no_harm() {
    differs!(Runc, "1.1 leaks a descriptor of /sys/fs/cgroup, CVE-2024-21626");
    differs!(Crun, "fails, and leaves the cgroup behind");
    let b = Bundle::new().args(&["/probe", "sleep", "1"]);
    b.write();
    let shell = ["/bin/sh", "-c", "exec \"$0\" \"$@\" <&- >&- 2>&-"];
    let call = rt(["run", "--detach", "--bundle"]).arg(b.dir()).arg(b.id()).through(shell);
    let code = call.output().code;
    if code == 0 {
        let pid = rt(["state", b.id()]).output().json()["pid"].as_i64().unwrap();
        for fd in 0..3 {
            let link =
                fs::read_link(format!("/proc/{pid}/fd/{fd}")).map(|l| l.display().to_string());
            println!("{fd} {link:?}");
            assert!(link.is_err() || link.is_ok_and(|l| l == "/dev/null"), "descriptor {fd}");
        }
    }
    rt(["delete", "--force", b.id()]).output().assert_exit(0);
}
