//! config.md, "POSIX-platform Hooks": order, namespaces, standard input, environment, failures.

use std::fs;
use std::path::PathBuf;

use runtime_tests::prelude::*;

tests![
    hooks_run_in_the_order_of_the_spec,
    hooks_of_a_kind_run_in_the_order_of_the_config,
    hooks_get_the_state_on_stdin,
    hooks_get_their_arguments_and_environment_only,
    hooks_get_no_descriptor_of_the_caller,
    hooks_run_in_the_right_namespaces,
    hooks_before_pivot_see_the_mounted_root,
    create_container_hook_can_add_mounts,
    start_container_hook_path_is_of_the_container,
    hook_that_does_not_read_stdin_is_fine,
    hook_timeout_kills_it,
    hook_timeout_holds_when_a_grandchild_keeps_the_pipes,
    hook_timeout_holds_for_a_state_larger_than_a_pipe,
    state_larger_than_a_pipe_arrives_whole,
    failing_hook_before_start_fails_create,
    failing_hook_output_is_in_the_error,
    failing_start_container_hook_fails_start,
    poststart_runs_after_the_program_has_started,
    failing_poststart_stops_the_container,
    failing_poststart_of_run_leaves_nothing,
    every_poststop_hook_runs,
    poststop_runs_after_the_container_is_gone,
    missing_or_relative_hook_path_is_refused,
    hooks_of_exec_are_not_run,
];

const SHELL: &str = "/bin/sh";

/// A file which hooks append to.
fn journal() -> PathBuf {
    scratch().join("journal")
}

fn read_journal() -> Vec<String> {
    fs::read_to_string(journal()).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// A hook which runs a script of the host's shell.
fn shell(script: &str) -> Value {
    json!({ "path": SHELL, "args": ["sh", "-c", script], "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] })
}

/// A hook which appends a word.
fn note(word: &str) -> Value {
    shell(&format!("cat >/dev/null; echo {word} >> {}", journal().display()))
}

fn with_hook(b: Bundle, kind: &str, hook: &Value) -> Bundle {
    b.with(|c| {
        if c["hooks"][kind].is_null() {
            c["hooks"][kind] = json!([]);
        }
        c["hooks"][kind].as_array_mut().unwrap().push(hook.clone());
    })
}

/// `startContainer` hooks run inside the root: the journal is bound there, and the probe writes it.
fn with_start_container_note(b: Bundle) -> Bundle {
    fs::write(journal(), "").unwrap();
    let hook =
        json!({ "path": "/probe", "args": ["probe", "append", "/journal", "startContainer\n"] });
    with_hook(
        b.mount("/journal", "bind", journal().to_str().unwrap(), &["bind"]),
        "startContainer",
        &hook,
    )
}

fn hooks_run_in_the_order_of_the_spec() {
    let mut b = with_start_container_note(Bundle::new());
    for kind in ["poststop", "poststart", "createContainer", "createRuntime", "prestart"] {
        b = with_hook(b, kind, &note(kind));
    }
    let c = b.args(&["/probe", "sleep", "60"]).create();
    assert_eq!(read_journal()[..3], ["prestart", "createRuntime", "createContainer"]);
    differs!(Runc, "1.1 runs poststart hooks during create");
    sometimes_differs!(Crun, "start does not wait for the program");
    assert_eq!(read_journal().len(), 3);
    c.start();
    assert_eq!(read_journal()[3..], ["startContainer", "poststart"]);
    c.end();
    assert_eq!(read_journal()[5..], ["poststop"]);
}

fn hooks_of_a_kind_run_in_the_order_of_the_config() {
    let mut b = Bundle::new();
    for kind in ["prestart", "poststop"] {
        for n in 1..=3 {
            b = with_hook(b, kind, &note(&format!("{kind}{n}")));
        }
    }
    b.run(&["/probe", "true"]).assert_exit(0);
    assert_eq!(
        read_journal(),
        ["prestart1", "prestart2", "prestart3", "poststop1", "poststop2", "poststop3"]
    );
}

fn hooks_get_the_state_on_stdin() {
    let out = scratch().join("state");
    let mut b = Bundle::new().args(&["/probe", "sleep", "60"]);
    b = b.with(|c| c["annotations"] = json!({ "org.example.a": "b" }));
    for kind in ["createRuntime", "createContainer", "poststart", "poststop"] {
        b = with_hook(b, kind, &shell(&format!("cat > {}.{kind}", out.display())));
    }
    let c = b.create();
    let pid = c.pid();
    c.start().end();
    let state = |kind: &str| -> Value {
        serde_json::from_slice(&fs::read(out.with_extension(kind)).unwrap())
            .expect("the state is JSON")
    };
    for (kind, status, has_pid) in [
        ("createRuntime", "creating", true),
        ("createContainer", "creating", false),
        ("poststart", "running", true),
        ("poststop", "stopped", false),
    ] {
        println!("{kind}");
        let state = state(kind);
        assert_eq!(state["id"], c.id());
        assert_eq!(state["bundle"], c.bundle().to_str().unwrap());
        assert_eq!(state["annotations"]["org.example.a"], "b");
        assert!(state["ociVersion"].as_str().unwrap().starts_with("1."));
        // runc and crun call it "created" while they create, and runc 1.1 runs poststart then, too.
        if runtime() == Runtime::Rt {
            assert_eq!(state["status"], status);
        }
        if has_pid {
            assert_eq!(state["pid"], pid, "{kind}: {state}");
        }
    }
}

fn hooks_get_their_arguments_and_environment_only() {
    let out = scratch().join("seen");
    let script = format!(
        "echo \"$0 $*\" > {0}; env | grep -v ^_= | grep -v ^PWD= | sort >> {0}",
        out.display()
    );
    let hook = json!({ "path": SHELL, "args": ["name", "-c", script, "zero", "one", "two words"], "env": ["A=1", "B=two words"] });
    let b = with_hook(Bundle::new().args(&["/probe", "true"]), "createRuntime", &hook);
    b.run_call().arg(b.id()).env("LEAK", "1").output().assert_exit(0);
    let text = fs::read_to_string(&out).unwrap();
    let lines: Vec<&str> =
        text.lines().filter(|l| !l.starts_with("SHLVL=") && !l.starts_with("OLDPWD=")).collect();
    assert_eq!(lines, ["zero one two words", "A=1", "B=two words"]);
}

/// What whoever calls the runtime forgot to close is not for its hooks, whichever command runs them.
///
/// Seen to fail on runc 1.1.5 (delete), and on rt whose start and delete left it open.
fn hooks_get_no_descriptor_of_the_caller() {
    differs!(Runc, "1.1 passes those of delete on");
    let forgotten = scratch().join("forgotten");
    let leak = |call: Call| {
        [7, 23]
            .into_iter()
            .fold(call, |call, number| call.fd(number, fs::File::create(&forgotten).unwrap()))
    };
    let look = |kind| {
        shell(&format!("cat >/dev/null; ls -l /proc/self/fd > {}.{kind}", journal().display()))
    };
    let kinds = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
    let with_all = |b| kinds.iter().fold(b, |b, kind| with_hook(b, kind, &look(kind)));
    let assert_none = |kinds: &[&str]| {
        for kind in kinds {
            let seen = fs::read_to_string(journal().with_extension(kind)).unwrap();
            assert!(seen.contains(" 0 -> "), "{kind}: {seen}");
            assert!(!seen.contains("forgotten"), "{kind}: {seen}");
            fs::remove_file(journal().with_extension(kind)).unwrap();
        }
    };
    let b = with_all(Bundle::new().args(&["/probe", "sleep", "60"]));
    b.write();
    let dir = b.dir().to_str().unwrap().to_owned();
    let created = leak(rt(["create", "--bundle", &dir, b.id()])).output();
    created.assert_exit(0);
    let c = Container::new(&b, created);
    leak(c.call("start")).output().assert_exit(0);
    leak(rt(["delete", "--force", c.id()])).output().assert_exit(0);
    assert_none(&kinds);
    let b = with_all(Bundle::new().args(&["/probe", "true"]));
    leak(b.run_call()).arg(b.id()).output().assert_exit(0);
    assert_none(&kinds);
    // What is for the payload is for nobody else.
    let b = with_all(Bundle::new().args(&["/probe", "fds"]));
    let passed_on = (3..7).fold(b.run_call().args(["--preserve-fds", "5"]), |call, number| {
        call.fd(number, fs::File::create(&forgotten).unwrap())
    });
    let output = leak(passed_on).arg(b.id()).output();
    output.assert_exit(0);
    assert!(output.stdout().contains('7') && !output.stdout().contains("23"), "{output:?}");
    assert_none(&kinds);
}

fn hooks_run_in_the_right_namespaces() {
    let out = scratch().join("ns");
    let links = |name: &str| {
        shell(&format!(
            "cat >/dev/null; readlink /proc/self/ns/mnt /proc/self/ns/uts > {}.{name}",
            out.display()
        ))
    };
    let mut b = Bundle::new().args(&["/probe", "sleep", "60"]);
    for kind in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
        b = with_hook(b, kind, &links(kind));
    }
    let c = b.create();
    let container = |file: &str| {
        fs::read_link(format!("/proc/{}/ns/{file}", c.pid())).unwrap().display().to_string()
    };
    let own =
        |file: &str| fs::read_link(format!("/proc/self/ns/{file}")).unwrap().display().to_string();
    let inside = [container("mnt"), container("uts")];
    c.start().end();
    for kind in ["prestart", "createRuntime", "poststart", "poststop", "createContainer"] {
        let text = fs::read_to_string(out.with_extension(kind)).unwrap();
        let seen: Vec<&str> = text.lines().collect();
        if kind == "createContainer" {
            assert_eq!(seen, inside, "{kind} runs in the container's namespaces");
        } else {
            assert_eq!(seen, [own("mnt"), own("uts")], "{kind} runs in the runtime's namespaces");
        }
    }
}

/// What GPU hooks rely on: the root is mounted, in the mount namespace of the pid in the state.
fn hooks_before_pivot_see_the_mounted_root() {
    requires!(root, program("/usr/bin/nsenter"));
    let out = scratch().join("mounts");
    let script = format!(
        "pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/'); nsenter -t $pid -m cat /proc/self/mountinfo > {} 2>&1 || cat /proc/$pid/mountinfo > {0}",
        out.display()
    );
    let b = with_hook(
        Bundle::new().mount("/data", "tmpfs", "marked", &[]),
        "createRuntime",
        &shell(&script),
    );
    b.run(&["/probe", "true"]).assert_exit(0);
    let mounts = fs::read_to_string(out).unwrap();
    assert!(mounts.contains("/rootfs/data ") && mounts.contains("marked"), "{mounts}");
}

fn create_container_hook_can_add_mounts() {
    requires!(root);
    let b = Bundle::new().directory("/added");
    let at = b.inside("/added");
    let b = with_hook(
        b,
        "createContainer",
        &shell(&format!("cat >/dev/null; mount -t tmpfs added {}", at.display())),
    );
    let output = b.run(&["/probe", "mounts", "/added"]);
    output.assert_exit(0);
    assert!(output.stdout().contains("- tmpfs added"), "{}", output.stdout());
}

fn start_container_hook_path_is_of_the_container() {
    let b = with_start_container_note(Bundle::new());
    b.run(&["/probe", "cat", "/journal"]).assert_stdout("startContainer");
    let b = with_hook(Bundle::new(), "startContainer", &json!({ "path": "/bin/sh" }));
    b.run(&["/probe", "true"]).assert_fails();
}

fn hook_that_does_not_read_stdin_is_fine() {
    let big = "x".repeat(200_000);
    let b = Bundle::new().with(|c| c["annotations"] = json!({ "big": big }));
    let b = with_hook(b, "createRuntime", &shell("exec <&-; exit 0"));
    b.run(&["/probe", "echo", "ran"]).assert_stdout("ran");
}

fn hook_timeout_kills_it() {
    timed_out("cat >/dev/null; exec sleep 20");
}

/// The hook is killed, but a child of it still holds the pipes that the runtime reads.
fn hook_timeout_holds_when_a_grandchild_keeps_the_pipes() {
    differs!(Runc, "waits until the pipe is closed");
    timed_out("cat >/dev/null; sleep 20; true");
    // It may outlive the hook in any runtime, so it is not for the leak check.
    end_processes_named("sleep");
}

/// Annotations are part of the state, and a pipe holds 64 KiB.
fn with_a_large_state(b: Bundle) -> Bundle {
    b.with(|c| c["annotations"] = json!({ "org.example.large": "x".repeat(200_000) }))
}

/// A hook that never looks at its standard input.
fn hook_timeout_holds_for_a_state_larger_than_a_pipe() {
    differs!(Crun, "the write has no timeout");
    timed_out_in(with_a_large_state(Bundle::new()), "exec sleep 20");
}

fn state_larger_than_a_pipe_arrives_whole() {
    // Slower than the writer, and with output on the way.
    let script = format!("echo started; sleep 0.2; wc -c >> {}; echo done", journal().display());
    for timeout in [None, Some(5)] {
        let mut hook = shell(&script);
        if let Some(timeout) = timeout {
            hook["timeout"] = json!(timeout);
        }
        let b = with_hook(with_a_large_state(Bundle::new()), "createRuntime", &hook);
        b.run(&["/probe", "true"]).assert_exit(0);
    }
    // A hook that closes its end early is fine, too.
    let b = with_hook(with_a_large_state(Bundle::new()), "createRuntime", &shell("exit 0"));
    b.run(&["/probe", "true"]).assert_exit(0);
    let sizes = read_journal();
    let long = |size: &String| size.trim().parse::<u32>().unwrap() > 200_000;
    assert!(sizes.len() == 2 && sizes.iter().all(long), "{sizes:?}");
}

fn timed_out(script: &str) {
    timed_out_in(Bundle::new(), script);
}

fn timed_out_in(b: Bundle, script: &str) {
    let mut hook = shell(script);
    hook["timeout"] = json!(1);
    let b = with_hook(b, "createRuntime", &hook);
    let since = std::time::Instant::now();
    b.run(&["/probe", "true"]).assert_fails();
    assert!(since.elapsed().as_secs() < 8, "{:?}", since.elapsed());
}

/// Ends what a killed hook left, by pid.
fn end_processes_named(name: &str) {
    for pid in runtime_tests::leaks::pids() {
        if fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c.trim() == name) {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).ok();
        }
    }
}

fn failing_hook_before_start_fails_create() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let b = with_hook(Bundle::new(), kind, &shell("cat >/dev/null; exit 3"));
        // The leak check sees that nothing stays behind.
        b.assert_create_refused();
        rt(["state", b.id()]).output().assert_fails();
    }
}

fn failing_hook_output_is_in_the_error() {
    differs!(Crun, "discards what hooks write");
    let b = with_hook(
        Bundle::new(),
        "createRuntime",
        &shell("cat >/dev/null; echo the reason why >&2; exit 3"),
    );
    b.assert_create_refused().assert_stderr_has("the reason why");
}

fn failing_start_container_hook_fails_start() {
    let b = with_hook(
        Bundle::new(),
        "startContainer",
        &json!({ "path": "/probe", "args": ["probe", "exit", "3"] }),
    );
    let c = b.args(&["/probe", "true"]).create();
    differs!(Runc, "1.1 start does not wait for it");
    differs!(Crun, "start does not wait for it");
    assert_destroyed_by_failing_start(&c);
}

/// runtime.md, "Lifecycle", steps 7, 9 and 12: the container is stopped and destroyed.
fn assert_destroyed_by_failing_start(c: &Container) {
    c.call("start").output().assert_fails();
    let state = c.call("state").output();
    state.assert_fails();
    assert!(state.stderr().contains("does not exist"), "{}", state.stderr());
}

fn poststart_runs_after_the_program_has_started() {
    differs!(Runc, "1.1 runs poststart hooks during create");
    let b = with_hook(Bundle::new(), "poststart", &note("poststart"));
    let c = b.args(&["/probe", "sleep", "60"]).create();
    assert!(read_journal().is_empty());
    c.start();
    assert_eq!(read_journal(), ["poststart"]);
    c.end();
}

/// spec 1.3: "the runtime MUST generate an error and stop the container".
fn failing_poststart_stops_the_container() {
    differs!(Runc, "1.1 runs poststart hooks during create");
    differs!(Crun, "ignores the failure before 1.27");
    let b = with_hook(Bundle::new(), "poststart", &shell("cat >/dev/null; exit 3"));
    let c = b.args(&["/probe", "sleep", "60"]).create();
    assert_destroyed_by_failing_start(&c);
}

/// The same for `run`, whose poststop hooks run once.
fn failing_poststart_of_run_leaves_nothing() {
    differs!(Runc, "1.1 runs poststart hooks during create");
    differs!(Crun, "ignores the failure before 1.27");
    let b = with_hook(Bundle::new(), "poststart", &shell("cat >/dev/null; exit 3"));
    let b = with_hook(b, "poststop", &note("poststop"));
    let output = b.run(&["/probe", "sleep", "60"]);
    output.assert_fails();
    assert!(output.stderr().contains("hooks.poststart[0]"), "{}", output.stderr());
    assert!(!output.stderr().contains("clean up"), "{}", output.stderr());
    assert_eq!(read_journal(), ["poststop"]);
}

/// config.md, "Poststop": a failure is a warning, the others run, delete succeeds.
fn every_poststop_hook_runs() {
    differs!(Runc, "the first failure ends the others and delete");
    let mut b = Bundle::new();
    for hook in [note("one"), shell("cat >/dev/null; exit 3"), note("three")] {
        b = with_hook(b, "poststop", &hook);
    }
    let c = b.args(&["/probe", "true"]).create();
    c.start().wait_status("stopped").delete();
    assert_eq!(read_journal(), ["one", "three"]);
}

fn poststop_runs_after_the_container_is_gone() {
    let out = scratch().join("left");
    let script = format!("cat >/dev/null; ls /proc/*/exe -d | wc -l > {}", out.display());
    let b = with_hook(Bundle::new(), "poststop", &shell(&script));
    let c = b.start(&["/probe", "sleep", "60"]);
    let pid = c.pid();
    c.delete_force();
    assert!(out.exists());
    assert!(
        !PathBuf::from(format!("/proc/{pid}/ns")).exists()
            || fs::read_link(format!("/proc/{pid}/exe")).is_err()
    );
}

fn missing_or_relative_hook_path_is_refused() {
    for path in ["/nosuch/hook", "sh", ""] {
        let b = with_hook(Bundle::new(), "createRuntime", &json!({ "path": path }));
        b.assert_create_refused();
    }
}

fn hooks_of_exec_are_not_run() {
    let b = with_hook(Bundle::new(), "createRuntime", &note("once"));
    let c = b.start(&["/probe", "sleep", "60"]);
    c.exec(&["/probe", "true"]).assert_exit(0);
    assert_eq!(read_journal(), ["once"]);
    c.end();
}
