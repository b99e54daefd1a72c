//! The life of a container as each engine calls for it: the order of the commands, their flags, the
//! environment, and what is read of the answers. The engines that a distribution has are tried
//! themselves by runtime-tests/engines.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use runtime_tests::prelude::*;
use runtime_tests::pty::{self, Master, ReceivingSocket};
use runtime_tests::{cgroups, config, isolate};

tests![
    buildkit_runs_on_a_terminal,
    buildkit_reads_the_exit_status_of_run,
    buildah_polls_the_state_and_waits_for_the_process,
    buildah_kills_without_a_signal,
    conmon_waits_for_what_it_created_and_for_exec,
    conmon_gives_an_exec_its_terminal,
    conmon_reads_the_log_as_one_object,
    crio_lives_with_hardly_any_environment,
    crio_reads_that_a_process_is_gone,
    crio_updates_without_the_systemd_flag,
    crio_asks_for_version_and_features,
    containerd_shim_lives_by_its_log,
];

/// A call with `--root` and nothing else: what engines use once a container is made.
fn later<'a>(words: impl IntoIterator<Item = &'a str>) -> Call {
    Call::plain(["--root".into(), isolate::state_root().into_os_string()]).args(words)
}

/// Whoever waits for the container: gets its first process as a child when `create` ends.
fn adopt() {
    nix::sys::prctl::set_child_subreaper(true).expect("PR_SET_CHILD_SUBREAPER");
}

/// What the process whose number is in the file ends with, as a shell tells it.
fn status_of(pid_file: &Path) -> i32 {
    let pid = fs::read_to_string(pid_file).unwrap().parse().expect("a number and nothing else");
    until("the end of an adopted process", || {
        match waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG))
            .expect("a child of this process")
        {
            WaitStatus::Exited(_, code) => Some(code),
            WaitStatus::Signaled(_, signal, _) => Some(128 + signal as i32),
            WaitStatus::StillAlive
            | WaitStatus::Stopped(..)
            | WaitStatus::PtraceEvent(..)
            | WaitStatus::PtraceSyscall(_)
            | WaitStatus::Continued(_) => None,
        }
    })
}

/// process.json of an engine's exec.
fn process_file(name: &str, terminal: bool, args: &[&str]) -> String {
    let file = scratch().join(name);
    let process = json!({
        "terminal": terminal, "user": { "uid": 0, "gid": 0 }, "args": args, "env": ["PATH=/"], "cwd": "/",
        "capabilities": config::capabilities(&["CAP_KILL"]),
    });
    fs::write(&file, process.to_string()).unwrap();
    file.into_os_string().into_string().unwrap()
}

fn text_of(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Once it says that the container runs.
fn running_state(id: &str) -> Value {
    until("status running", || {
        let output = later(["state", id]).output();
        (output.code == 0).then(|| output.json()).filter(|state| state["status"] == "running")
    })
}

/// executor/runcexecutor: the terminal is not the runtime's controlling one, and the runtime is in a
/// process group of its own, so that the kernel tells it of no resize: `BuildKit` sends the signal.
fn buildkit_runs_on_a_terminal() {
    differs!(Crun, "keeps no container that ran in the foreground");
    let (mut master, slave) = pty::open(24, 80);
    let b = Bundle::new()
        .args(&["/probe", "isatty", "--", "winch", "31x91", "--", "sleep", "60"])
        .with(|c| c["process"]["terminal"] = json!(true));
    b.write();
    let copy = || slave.try_clone().unwrap();
    let call = rt(["run", "--bundle", text_of(b.dir()), "--keep", b.id()]).own_group();
    let going = call.fd(0, copy()).fd(1, copy()).fd(2, copy()).spawn();
    drop(slave);
    let state = running_state(b.id());
    assert_eq!(state["bundle"], text_of(b.dir()));
    assert_eq!(state["rootfs"], text_of(&b.rootfs()));
    assert!(master.wait_for("24x80").starts_with("tty tty tty"));
    master.resize(31, 91);
    going.signal(Signal::SIGWINCH);
    master.wait_for("31x91");
    let process = process_file("process.json", false, &["/probe", "echo", "in", "--", "exit", "7"]);
    let exec = later(["exec", "--process", &process, b.id()]).own_group().output();
    exec.assert_exit(7);
    assert_eq!(exec.stdout(), "in\n");
    later(["kill", b.id(), "9"]).output().assert_exit(0);
    going.wait().assert_exit(137);
    let state = later(["state", b.id()]).output();
    assert_eq!(state.json()["status"], "stopped", "--keep leaves it");
    later(["delete", b.id()]).output().assert_exit(0);
    later(["state", b.id()]).output().assert_stderr_has("does not exist");
}

fn buildkit_reads_the_exit_status_of_run() {
    differs!(Crun, "keeps no container that ran in the foreground");
    for (code, no_pivot) in [(0, None), (3, None), (4, Some("--no-pivot"))] {
        let b = Bundle::new().args(&["/probe", "echo", "out", "--", "exit", &code.to_string()]);
        b.write();
        let call =
            rt(["run", "--bundle", text_of(b.dir())]).args(no_pivot).args(["--keep", b.id()]);
        let output = call.own_group().output();
        output.assert_exit(code);
        assert_eq!(output.stdout(), "out\n");
        later(["delete", b.id()]).output().assert_exit(0);
    }
    // What cannot be started is kept too, and can be deleted.
    let b = Bundle::new().args(&["/no/where"]);
    b.write();
    rt(["run", "--bundle", text_of(b.dir()), "--keep", b.id()])
        .output()
        .assert_fails()
        .assert_stderr_has("no such file or directory");
    later(["delete", "--force", b.id()]).output().assert_exit(0);
}

/// `run_common.go`: pid file in the bundle, a state each 100 ms in which only the words of the
/// specification may be, and wait4(2) for the process itself.
fn buildah_polls_the_state_and_waits_for_the_process() {
    adopt();
    let b = Bundle::new().args(&["/probe", "sleep", "0.5", "--", "echo", "ran", "--", "exit", "6"]);
    b.write();
    let pid_file = b.dir().join("pid");
    let flags = ["create", "--bundle", text_of(b.dir()), "--pid-file", text_of(&pid_file)];
    let created = rt(flags).args(["--no-new-keyring", b.id()]).output();
    created.assert_exit(0);
    let c = Container::new(&b, created);
    let status = || later(["state", b.id()]).output().json()["status"].as_str().unwrap().to_owned();
    let mut seen = vec![status()];
    later(["start", b.id()]).output().assert_exit(0);
    until("status stopped", || {
        seen.push(status());
        seen.ends_with(&["stopped".to_owned()]).then_some(())
    });
    seen.dedup();
    assert_eq!(seen, ["created", "running", "stopped"]);
    assert_eq!(status_of(&pid_file), 6);
    assert_eq!(status(), "stopped", "and so it is when nobody is left to be asked");
    later(["delete", b.id()]).output().assert_exit(0);
    assert_eq!(c.stdout(), "ran\n");
}

fn buildah_kills_without_a_signal() {
    adopt();
    let b = Bundle::new().args(&["/probe", "signals", "2"]);
    b.write();
    let pid_file = b.dir().join("pid");
    let flags = ["create", "--bundle", text_of(b.dir()), "--pid-file", text_of(&pid_file), b.id()];
    let created = rt(flags).output();
    created.assert_exit(0);
    let c = Container::new(&b, created);
    later(["start", b.id()]).output().assert_exit(0);
    c.wait_for("ready");
    later(["kill", b.id()]).output().assert_exit(0);
    c.wait_for("SIGTERM");
    later(["kill", b.id(), "SIGKILL"]).output().assert_exit(0);
    assert_eq!(status_of(&pid_file), 137);
    later(["delete", b.id()]).output().assert_exit(0);
}

/// `src/conmon.c`: a subreaper that waits for the numbers in the pid files.
fn conmon_waits_for_what_it_created_and_for_exec() {
    adopt();
    let (pid_file, exec_pid) = (scratch().join("pidfile"), scratch().join("exec.pid"));
    let log = format!("--log={}", scratch().join("oci-log").display());
    let b = Bundle::new().args(&["/probe", "signals", "1", "--", "exit", "5"]);
    b.write();
    let flags = ["create", "--bundle", text_of(b.dir()), "--pid-file", text_of(&pid_file)];
    let created = rt(flags).arg(b.id()).global(["--log-format=json", &log]).output();
    created.assert_exit(0);
    let c = Container::new(&b, created);
    later(["start", b.id()]).output().assert_exit(0);
    let process = process_file("exec", false, &["/probe", "echo", "by exec", "--", "exit", "4"]);
    let exec =
        ["exec", "--pid-file", text_of(&exec_pid), "--process", &process, "--detach", b.id()];
    let output =
        Call::plain(["--log-format=json", &log, "--root", text_of(&isolate::state_root())])
            .args(exec)
            .output();
    output.assert_exit(0);
    assert_eq!(status_of(&exec_pid), 4);
    assert_eq!(output.stdout(), "by exec\n");
    c.wait_for("ready");
    later(["kill", b.id(), "15"]).output().assert_exit(0);
    assert_eq!(status_of(&pid_file), 5);
    later(["delete", "--force", b.id()]).output().assert_exit(0);
    assert_eq!(fs::read_to_string(scratch().join("oci-log")).unwrap_or_default(), "");
}

fn conmon_gives_an_exec_its_terminal() {
    adopt();
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let (socket, exec_pid) = (ReceivingSocket::new(), scratch().join("exec.pid"));
    let words = ["/probe", "isatty", "--", "winch", "11x22", "--", "exit", "3"];
    let process = process_file("exec", true, &words);
    let going =
        later(["exec", "--pid-file", text_of(&exec_pid), "--process", &process, "--detach"])
            .args(["--console-socket", text_of(socket.path()), c.id()])
            .spawn();
    let mut master = Master::new(socket.receive().0);
    going.wait().assert_exit(0);
    assert!(master.wait_for("0x0").starts_with("tty tty tty"));
    master.resize(11, 22);
    master.wait_for("11x22");
    assert_eq!(status_of(&exec_pid), 3);
    c.end();
}

/// Podman gives the whole file to one call of a JSON parser, and looks for words in the message.
fn conmon_reads_the_log_as_one_object() {
    sometimes_differs!(Runc, "writes warnings into it too");
    differs!(Crun, "has words of its own for a missing program");
    let message = |name: &str, call: Call| {
        let log = scratch().join(name);
        let output = call.global(["--log-format=json", "--log", text_of(&log)]).output();
        output.assert_fails_somewhere();
        let entry: Value =
            serde_json::from_str(&fs::read_to_string(&log).unwrap()).expect("one object");
        assert_eq!(entry["level"], "error", "{entry}");
        entry["msg"].as_str().unwrap().to_owned()
    };
    let create = |program: &str| {
        let b = Bundle::new().file("/plain", "not to be run").args(&[program]);
        b.write();
        (rt(["create", "--bundle", text_of(b.dir()), b.id()]), b)
    };
    let c = Bundle::new().file("/plain", "not to be run").start(&["/probe", "sleep", "60"]);
    for (program, words) in [
        ("nowhere", "executable file not found in"),
        ("/no/where", "no such file or directory"),
        ("/plain", "permission denied"),
    ] {
        let name = program.replace('/', "_");
        let (call, _bundle) = create(program);
        let text = message(&format!("create{name}"), call).to_lowercase();
        assert!(text.contains(words), "create: {text}");
        let process = process_file(&format!("process{name}"), false, &[program]);
        let call = rt(["exec", "--process", &process, "--detach", c.id()]);
        let text = message(&format!("exec{name}"), call).to_lowercase();
        assert!(text.contains(words), "exec: {text}");
    }
    c.end();
}

/// Nothing else is in the environment of what CRI-O and its conmon start.
fn by_crio(call: Call) -> Call {
    let own = format!("XDG_RUNTIME_DIR={}", scratch().display());
    call.through(["env", "-i", &own, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "CRI_O_EXTERNAL=1"])
}

/// A container of CRI-O, created by way of conmon and its `--runtime-arg --root=R`.
fn created_by_crio(b: &Bundle) -> Container {
    b.write();
    let root = format!("--root={}", isolate::state_root().display());
    let systemd = (view() == View::Systemd).then_some("--systemd-cgroup");
    let pid_file = b.dir().join("pidfile");
    let flags = ["create", "--bundle", text_of(b.dir()), "--pid-file", text_of(&pid_file), b.id()];
    let output = by_crio(Call::plain(systemd).arg(root).args(flags)).output();
    output.assert_exit(0);
    Container::new(b, output)
}

fn crio_lives_with_hardly_any_environment() {
    adopt();
    let b = Bundle::new().args(&["/probe", "env", "--", "signals", "1", "--", "exit", "2"]);
    let c = created_by_crio(&b);
    by_crio(later(["start", b.id()])).output().assert_exit(0);
    let process = process_file("exec", false, &["/probe", "env", "--", "exit", "8"]);
    let exec = by_crio(later(["exec", "--process", &process, b.id()])).output();
    exec.assert_exit(8);
    assert_eq!(exec.stdout(), "PATH=/\nHOME=/\n");
    let state = by_crio(later(["state", b.id()])).output();
    assert_eq!(state.json()["status"], "running");
    c.wait_for("ready");
    assert!(!c.stdout().contains("CRI_O"), "the runtime's environment stays outside");
    by_crio(later(["kill", b.id(), "TERM"])).output().assert_exit(0);
    assert_eq!(status_of(&b.dir().join("pidfile")), 2);
    by_crio(later(["delete", "--force", b.id()])).output().assert_exit(0);
}

/// `runtime_oci.go`: these texts say that a process ended by itself, anything else is an error.
fn crio_reads_that_a_process_is_gone() {
    let c = created_by_crio(&Bundle::new().args(&["/probe", "sleep", "60"]));
    by_crio(later(["start", c.id()])).output().assert_exit(0);
    by_crio(later(["kill", c.id(), "KILL"])).output().assert_exit(0);
    c.wait_status("stopped");
    for signal in ["TERM", "KILL", "SIGUSR1"] {
        let output = by_crio(later(["kill", c.id(), signal])).output();
        if output.code == 0 && runtime() == Runtime::Crun {
            continue; // it does not mind
        }
        let text = output.stderr().to_lowercase();
        let gone = ["no such process", "container not running", "invalid process"];
        assert!(gone.iter().any(|words| text.contains(words)), "kill {signal}: {text}");
    }
    by_crio(later(["delete", c.id()])).output().assert_exit(0);
    differs!(Crun, "says which file it misses");
    by_crio(later(["state", c.id()])).output().assert_fails().assert_stderr_has("does not exist");
}

/// Where systemd made the cgroup, the update reaches systemd by what the runtime knows of `create`.
fn crio_updates_without_the_systemd_flag() {
    requires!(root, controller("memory"), controller("cpu"));
    let c = created_by_crio(&Bundle::new().args(&["/probe", "sleep", "60"]));
    let resources = json!({
        "memory": { "limit": 67_108_864 }, "cpu": { "shares": 512, "quota": 30000, "period": 100_000 },
    });
    let update = by_crio(later(["update", "--resources", "-", c.id()]));
    update.stdin(resources.to_string()).output().assert_exit(0);
    let (memory, cpu) = if cgroups::v1_mount("memory").is_some() && !cgroups::is_v2() {
        let of = |name| cgroups::of_process_v1(c.pid(), name);
        (of("memory").join("memory.limit_in_bytes"), of("cpu").join("cpu.cfs_quota_us"))
    } else {
        let of = cgroups::of_process(c.pid());
        (of.join("memory.max"), of.join("cpu.max"))
    };
    assert_eq!(fs::read_to_string(memory).unwrap(), "67108864\n");
    let quota = fs::read_to_string(cpu).unwrap();
    assert!(["30000", "30000 100000"].contains(&quota.trim()), "{quota}");
    by_crio(later(["start", c.id()])).output().assert_exit(0);
    c.end();
}

/// pkg/config: at start, without any state directory yet.
fn crio_asks_for_version_and_features() {
    let version = by_crio(Call::plain(["--version"])).output();
    version.assert_exit(0);
    assert!(version.stdout().contains("version"), "{}", version.stdout());
    requires!(command("features"));
    let features = by_crio(Call::plain(["features"])).output().json();
    for key in ["ociVersionMin", "ociVersionMax"] {
        assert!(features[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {features}");
    }
    differs!(Runc, "1.1 has no idmapped mounts to tell of");
    assert!(features["mountOptions"].as_array().unwrap().contains(&json!("rro")), "{features}");
    assert_eq!(features["linux"]["mountExtensions"]["idmap"]["enabled"], true, "{features}");
}

/// process/init.go: every line of the log is JSON, the last error is what the user gets to see.
fn containerd_shim_lives_by_its_log() {
    adopt();
    let b =
        Bundle::new().args(&["/probe", "winch", "5x6", "--", "signals", "1", "--", "exit", "3"]);
    let b = b.with(|c| c["process"]["terminal"] = json!(true));
    b.write();
    let (log, pid_file) = (b.dir().join("log.json"), b.dir().join("init.pid"));
    let globals = ["--log", text_of(&log), "--log-format", "json"];
    let socket = ReceivingSocket::new();
    let flags = ["create", "--bundle", text_of(b.dir()), "--pid-file", text_of(&pid_file)];
    let console = ["--console-socket", text_of(socket.path()), b.id()];
    let going = rt(flags).args(console).global(globals).spawn();
    let mut master = Master::new(socket.receive().0);
    going.wait().assert_exit(0);
    let shim = |words: &[&str]| rt(words).global(globals).output();
    shim(&["start", b.id()]).assert_exit(0);
    master.wait_for("0x0");
    master.resize(5, 6);
    master.wait_for("5x6");
    let exec_pid = b.dir().join("1.pid");
    let process = process_file("exec", false, &["/probe", "exit", "9"]);
    shim(&["exec", "--process", &process, "--detach", "--pid-file", text_of(&exec_pid), b.id()])
        .assert_exit(0);
    assert_eq!(status_of(&exec_pid), 9);
    let pids = shim(&["ps", "--format", "json", b.id()]).json();
    assert_eq!(pids, json!([running_state(b.id())["pid"]]));
    assert_eq!(fs::read_to_string(&log).unwrap_or_default(), "", "no word while all is well");
    master.wait_for("ready");
    shim(&["kill", b.id(), "15"]).assert_exit(0);
    assert_eq!(status_of(&pid_file), 3);
    shim(&["delete", b.id()]).assert_exit(0);
    shim(&["delete", b.id()]).assert_fails_somewhere();
    let text = fs::read_to_string(&log).unwrap();
    let entries: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let last = entries.iter().rfind(|entry| entry["level"] == "error").expect("an error");
    differs!(Crun, "says which file it misses");
    assert!(last["msg"].as_str().unwrap().contains("does not exist"), "{text}");
    // What `shim delete` does of a container that was lost: without --systemd-cgroup.
    later(["delete", "--force", b.id()]).global(globals).output().assert_exit(0);
}
