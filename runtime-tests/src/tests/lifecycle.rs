//! runtime.md: the life of a container, its states, and what is refused in which state.

use std::fs;

use runtime_tests::prelude::*;

tests![
    create_then_start_then_stop,
    run_returns_the_exit_code,
    run_returns_128_plus_signal,
    run_deletes_the_container,
    run_keep_leaves_a_stopped_container,
    run_detach_returns_while_it_runs,
    existing_id_is_refused,
    bad_ids_are_refused,
    unknown_id_is_refused_by_every_command,
    commands_in_the_wrong_state_are_refused,
    delete_force_of_absent_id_succeeds,
    delete_right_after_kill_succeeds,
    delete_of_what_ends_meanwhile_succeeds,
    process_without_its_first_thread_runs,
    delete_force_ends_a_running_container,
    delete_force_removes_a_created_container,
    pid_file_holds_the_pid_of_init,
    kill_takes_names_and_numbers,
    kill_without_signal_sends_term,
    kill_of_unknown_signal_is_refused,
    kill_of_a_stopped_container_says_not_running,
    kill_all_reaches_every_process,
    sigkill_ends_children_without_a_pid_namespace,
    init_death_ends_all_processes,
    container_outlives_the_caller_of_create,
    payload_starts_with_clean_signals,
    bundle_defaults_to_the_working_directory,
    docker_like_bundle_runs,
    foreground_run_adopts_orphans_unless_told_not_to,
];

fn create_then_start_then_stop() {
    let c = Bundle::new().args(&["/probe", "signals", "1"]).create();
    assert_eq!(c.status(), "created");
    assert!(c.stdout().is_empty(), "the payload must not run before start");
    c.start().wait_for("ready");
    assert_eq!(c.status(), "running");
    c.kill("TERM").wait_for("SIGTERM");
    c.wait_status("stopped").delete();
    c.call("state").output().assert_fails();
}

fn run_returns_the_exit_code() {
    for code in [0, 1, 42, 255] {
        Bundle::new().run(&["/probe", "exit", &code.to_string()]).assert_exit(code);
    }
}

fn run_returns_128_plus_signal() {
    let b = Bundle::new().args(&["/probe", "signals", "9"]);
    let going = b.spawn();
    until("ready", || going.stdout().contains("ready").then_some(()));
    rt(["kill", b.id(), "KILL"]).output().assert_exit(0);
    going.wait().assert_exit(128 + 9);
}

fn run_deletes_the_container() {
    let b = Bundle::new().args(&["/probe", "true"]);
    b.spawn().wait().assert_exit(0);
    rt(["state", b.id()]).output().assert_fails();
}

/// `BuildKit` runs with `--keep` and deletes by itself.
fn run_keep_leaves_a_stopped_container() {
    differs!(Crun, "--keep came later than 1.8");
    let b = Bundle::new().args(&["/probe", "exit", "3"]);
    b.run_call().args(["--keep", b.id()]).output().assert_exit(3);
    let state = rt(["state", b.id()]).output();
    state.assert_exit(0);
    assert_eq!(state.json()["status"], "stopped");
    rt(["delete", b.id()]).output().assert_exit(0);
}

fn run_detach_returns_while_it_runs() {
    let b = Bundle::new().args(&["/probe", "sleep", "60"]);
    b.run_call().args(["--detach", b.id()]).output().assert_exit(0);
    assert_eq!(rt(["state", b.id()]).output().json()["status"], "running");
    rt(["delete", "--force", b.id()]).output().assert_exit(0);
}

fn existing_id_is_refused() {
    let b = Bundle::new().args(&["/probe", "sleep", "60"]);
    let c = b.create();
    let again = b.try_create(&[]);
    again.assert_fails();
    assert!(again.stderr().contains("exist"), "must say that the id exists: {}", again.stderr());
    // The refused call must not have touched the container that is there.
    assert_eq!(c.status(), "created");
    c.start().end();
}

fn bad_ids_are_refused() {
    let b = Bundle::new();
    differs!(Crun, "checks ids since 1.28 only");
    let long = "x".repeat(5000);
    for id in ["", ".", "..", "a/b", "../x", "a b", "\u{e4}", "a\nb", long.as_str()] {
        b.run_call().arg(id).output().assert_fails();
    }
}

fn unknown_id_is_refused_by_every_command() {
    let id = new_id();
    for command in ["start", "state", "kill", "delete", "pause", "resume", "ps"] {
        let output = rt([command, &id]).output();
        output.assert_fails();
        if runtime() != Runtime::Crun {
            // containerd's shim looks for these words.
            output.assert_stderr_has("does not exist");
        }
    }
    rt(["exec", &id, "/probe", "true"]).output().assert_fails();
    rt(["update", "--pids-limit", "5", &id]).output().assert_fails();
}

fn commands_in_the_wrong_state_are_refused() {
    differs!(Crun, "resumes what is not paused");
    let c = Bundle::new().args(&["/probe", "signals", "1"]).create();
    c.call("resume").output().assert_fails();
    c.start().wait_for("ready");
    c.call("start").output().assert_fails();
    c.call("delete").output().assert_fails();
    assert_eq!(c.status(), "running");
    c.kill("KILL").wait_status("stopped");
    for command in ["start", "pause", "resume"] {
        c.call(command).output().assert_fails();
    }
    c.exec(&["/probe", "true"]).assert_fails();
    c.delete();
}

/// containerd cleans up with it and takes any failure for a real one.
fn delete_force_of_absent_id_succeeds() {
    rt(["delete", "--force", &new_id()]).output().assert_exit(0);
    rt(["delete", &new_id()]).output().assert_fails();
}

/// Typed by people and written in scripts; the kernel needs a moment to end the processes.
fn delete_right_after_kill_succeeds() {
    sometimes_differs!(Runc, "asks once whether init has ended");
    sometimes_differs!(Crun, "asks once whether init has ended");
    for _ in 0..10 {
        let c = Bundle::new().start(&["/probe", "orphan", "60", "--", "sleep", "60"]);
        c.kill("KILL").delete();
    }
}

/// Init is there when delete looks for the first time, and gone when it looks again.
fn delete_of_what_ends_meanwhile_succeeds() {
    requires!(program("/usr/bin/strace"));
    differs!(Runc, "asks once whether init has ended");
    differs!(Crun, "asks once whether init has ended");
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let trace = scratch().join("trace");
    let delay = "inject=pidfd_open:delay_enter=500000:when=2"; // µs
    let strace = ["/usr/bin/strace", "-e", "trace=pidfd_open", "-e", delay, "-o"];
    let delete = c.call("delete").through(strace.into_iter().chain([trace.to_str().unwrap()]));
    let going = delete.spawn();
    let looked = || fs::read_to_string(&trace).is_ok_and(|text| text.contains(" = "));
    until("the first look", || looked().then_some(()));
    c.kill("KILL");
    going.wait().assert_exit(0);
}

/// /proc/PID/stat calls such a process a zombie, pidfds and the kernel do not.
fn process_without_its_first_thread_runs() {
    differs!(Runc, "takes the state letter Z for the end of the process");
    differs!(Crun, "takes the state letter Z for the end of the process");
    let c = Bundle::new().start(&["/probe", "leave-main", "60"]);
    c.wait_for("ready");
    assert_eq!(c.status(), "running");
    c.kill("KILL").delete();
}

fn delete_force_ends_a_running_container() {
    let c = Bundle::new().start(&["/probe", "orphan", "60", "--", "sleep", "60"]);
    let pid = c.pid();
    c.delete_force();
    let gone = || (!std::path::Path::new(&format!("/proc/{pid}/exe")).exists()).then_some(());
    until("the end of init", gone);
    c.call("state").output().assert_fails();
}

fn delete_force_removes_a_created_container() {
    let c = Bundle::new().args(&["/probe", "true"]).create();
    c.delete_force();
    c.call("state").output().assert_fails();
}

fn pid_file_holds_the_pid_of_init() {
    let b = Bundle::new().args(&["/probe", "sleep", "60"]);
    let file = b.beside("init.pid");
    let c = b.create_with(&["--pid-file", file.to_str().unwrap()]);
    // conmon and containerd parse the whole file as a number: no newline.
    assert_eq!(fs::read_to_string(&file).unwrap(), c.pid().to_string());
    let others: Vec<_> = fs::read_dir(b.dir()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(others.len(), 3, "rootfs, config.json, init.pid and no temporary file: {others:?}");
}

fn kill_takes_names_and_numbers() {
    let c = Bundle::new().start(&["/probe", "signals", "5"]);
    c.wait_for("ready");
    differs!(Crun, "takes lower case names and sends another signal");
    let cases = [
        ("HUP", "SIGHUP"),
        ("SIGUSR1", "SIGUSR1"),
        ("12", "SIGUSR2"),
        ("usr1", "SIGUSR1"),
        ("15", "SIGTERM"),
    ];
    let mut expected = "ready\n".to_owned();
    for (given, seen) in cases {
        c.kill(given);
        expected += seen;
        expected += "\n";
        until(seen, || (c.stdout() == expected).then_some(()));
    }
    c.wait_status("stopped").delete();
}

/// buildah calls `kill NAME`.
fn kill_without_signal_sends_term() {
    let c = Bundle::new().start(&["/probe", "signals", "1"]);
    c.wait_for("ready").call("kill").output().assert_exit(0);
    c.wait_for("SIGTERM").wait_status("stopped").delete();
}

fn kill_of_unknown_signal_is_refused() {
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    for signal in ["NOSUCH", "-1", "99", "9x"] {
        c.call("kill").args(["--", signal]).output().assert_fails();
    }
    assert_eq!(c.status(), "running");
    c.end();
}

fn kill_of_a_stopped_container_says_not_running() {
    let c = Bundle::new().start(&["/probe", "true"]);
    c.wait_status("stopped");
    let output = c.call("kill").arg("TERM").output();
    output.assert_fails();
    if runtime() != Runtime::Crun {
        output.assert_stderr_has("container not running");
    }
    c.delete();
}

/// The same pid namespace as the caller: nothing ends by itself when init ends.
fn kill_all_reaches_every_process() {
    requires!(root);
    let c = Bundle::new()
        .without_namespace("pid")
        .start(&["/probe", "orphan", "60", "--", "sleep", "60"]);
    c.wait_for("ok");
    rt(["kill", "--all", c.id(), "KILL"]).output().assert_exit(0);
    c.wait_status("stopped").delete();
}

/// runtime 1.2 semantics, which containerd 2 relies on: SIGKILL to a container that shares its pid
/// namespace ends all of its processes.
fn sigkill_ends_children_without_a_pid_namespace() {
    requires!(root);
    differs!(Runc, "1.1 kills only init, 1.2 and later all");
    differs!(Crun, "kills only init");
    let c = Bundle::new()
        .without_namespace("pid")
        .start(&["/probe", "orphan", "60", "--", "sleep", "60"]);
    c.wait_for("ok").kill("KILL").wait_status("stopped");
    let probes = || {
        let mut pids = runtime_tests::leaks::pids().into_iter();
        let alive = |pid| {
            fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"/probe"))
        };
        (!pids.any(alive)).then_some(())
    };
    until("the end of all processes", probes);
    c.delete();
}

fn init_death_ends_all_processes() {
    let c = Bundle::new().start(&["/probe", "orphan", "60", "--", "true"]);
    // The leak check would find the orphan.
    c.wait_status("stopped").delete();
}

/// Engines exit after create; the container lives on as a child of their reaper.
fn container_outlives_the_caller_of_create() {
    let c = Bundle::new().start(&["/probe", "signals", "1"]);
    c.wait_for("ready");
    let status = fs::read_to_string(format!("/proc/{}/status", c.pid())).unwrap();
    let parent = status.lines().find_map(|l| l.strip_prefix("PPid:")).unwrap().trim().to_owned();
    let reaper = nix::unistd::getppid().to_string();
    assert_eq!(
        parent, reaper,
        "init must be reparented to the nearest reaper, not to a process of the runtime"
    );
    c.end();
}

/// Rust, Go and shells leave ignored signals or masks behind; execve(2) keeps both.
fn payload_starts_with_clean_signals() {
    let output = Bundle::new().run(&["/probe", "status", "SigBlk", "SigCgt"]);
    output.assert_exit(0);
    assert_eq!(output.lines()[0], "SigBlk 0000000000000000");
    // The probe's own start-up ignores SIGPIPE, so ask a C program about ignored ones.
    requires!(busybox);
    let b = Bundle::new().with_busybox();
    let output = b.run(&["/bin/busybox", "grep", "SigIgn", "/proc/self/status"]);
    output.assert_exit(0);
    let ignored = output.stdout().trim().trim_start_matches("SigIgn:").trim().to_owned();
    // 32 to 34 belong to the C library, which lets nobody change them.
    let ignored = u64::from_str_radix(&ignored, 16).unwrap() & !(0b111 << 31);
    assert_eq!(ignored, 0, "ignored signals: {ignored:#x}");
}

fn bundle_defaults_to_the_working_directory() {
    let b = Bundle::new().args(&["/probe", "echo", "here"]);
    b.write();
    rt(["run", b.id()]).cwd(b.dir()).output().assert_stdout("here");
}

/// The configuration that the benchmarks measure must be one that works.
fn docker_like_bundle_runs() {
    requires!(root);
    differs!(Crun, "loading its device program needs a higher RLIMIT_MEMLOCK");
    let b = Bundle::new();
    fs::create_dir(b.beside("etc")).unwrap();
    for name in ["resolv.conf", "hostname", "hosts"] {
        fs::write(b.beside("etc").join(name), name).unwrap();
    }
    let cgroups_path = b.config["linux"]["cgroupsPath"].clone();
    let b = b.with(|c| {
        *c = runtime_tests::bundle::docker_like();
        c["linux"]["cgroupsPath"] = cgroups_path;
    });
    let output = b.run(&[
        "/probe",
        "cat",
        "/etc/hosts",
        "--",
        "hostname",
        "--",
        "status",
        "Seccomp",
        "CapBnd",
    ]);
    output.assert_stdout("hosts\nc\nCapBnd 00000000a80425fb\nSeccomp 2");
}

/// Without a pid namespace, whose first process would do it.
fn foreground_run_adopts_orphans_unless_told_not_to() {
    requires!(root, busybox);
    differs!(Crun, "makes no subreaper of itself");
    let orphan = "old=$$; (p=$old; while [ $p = $old ]; do usleep 10000; \
                  read a b c p d </proc/self/stat; done; echo parent $p) & exit";
    let script = format!("/bin/busybox sh -c '{orphan}'; sleep 60");
    for (flag, adopts) in [(None, true), (Some("--no-subreaper"), false)] {
        let b = Bundle::new().with_busybox().without_namespace("pid");
        let b = b.args(&["/bin/busybox", "sh", "-c", &script]);
        let going = b.run_call().args(flag).arg(b.id()).spawn();
        let parent = until("the orphan's new parent", || {
            let text = going.stdout();
            text.strip_prefix("parent ")?.strip_suffix('\n')?.parse::<i32>().ok()
        });
        assert_eq!(parent == going.pid(), adopts, "{flag:?}: {parent}");
        rt(["delete", "--force", b.id()]).output().assert_exit(0);
        going.wait();
    }
}
