//! `NOTIFY_SOCKET`: a payload that tells the service manager when it is ready (`sd_notify(3)`).

use std::time::{Duration, Instant};

use runtime_tests::manager::Manager;
use runtime_tests::prelude::*;

tests![
    without_a_manager_nothing_is_added,
    payload_gets_a_socket_of_its_own,
    start_waits_until_the_payload_is_ready,
    manager_of_an_abstract_name,
    detached_run_waits_until_the_payload_is_ready,
    foreground_run_stays_the_main_process,
    foreground_run_passes_on_what_comes_later,
    payload_that_ends_before_it_is_ready_is_not_waited_for,
    last_words_arrive,
    status_passes_before_ready,
    payload_cannot_speak_for_others,
    barrier_of_the_payload_reaches_the_manager,
    ordinary_user_may_notify,
    payload_in_a_user_namespace_may_notify,
    waiting_start_does_not_block_others,
    missing_manager_leaves_the_container_created,
    start_without_a_manager_does_not_wait,
    variable_of_the_config_is_replaced,
];

fn create(manager: &Manager, b: &Bundle) -> Container {
    b.write();
    let call = rt(["create", "--bundle"]).arg(b.dir()).arg(b.id());
    let output = call.env("NOTIFY_SOCKET", manager.name()).output();
    output.assert_exit(0);
    Container::new(b, output)
}

fn start(manager: &Manager, c: &Container) -> Running {
    c.call("start").env("NOTIFY_SOCKET", manager.name()).spawn()
}

/// What the manager gets when the payload is ready, up to the barrier behind it.
fn announced(manager: &Manager) -> Vec<String> {
    let mut lines = Vec::new();
    // runc 1.1 has no barrier, crun no MAINPID.
    while runtime() == Runtime::Runc && !lines.iter().any(|l: &String| l.starts_with("MAINPID=")) {
        lines.extend(manager.next().text.lines().map(str::to_owned));
    }
    if runtime() != Runtime::Runc {
        lines.extend(manager.until_barrier());
    }
    lines.retain(|l| !l.is_empty());
    lines
}

fn without_a_manager_nothing_is_added() {
    let output = Bundle::new().run(&["/probe", "env", "--", "mounts", "/run/notify"]);
    output.assert_exit(0);
    assert!(!output.stdout().contains("notify"), "{}", output.stdout());
}

fn payload_gets_a_socket_of_its_own() {
    differs!(Runc, "in the foreground waits for READY for ever");
    differs!(Crun, "names the manager's own path in the container, and no MAINPID");
    let manager = Manager::new();
    let b = Bundle::new().args(&[
        "/probe",
        "env",
        "--",
        "ls",
        "/run/notify",
        "--",
        "write",
        "/run/notify/x",
        "x",
        "--",
        "mounts",
        "/run/notify",
        "--",
        "readlink",
        "/run/notify/notify.sock",
    ]);
    let output = b.run_call().env("NOTIFY_SOCKET", manager.name()).arg(b.id()).output();
    let text = output.stdout();
    let mut lines = text.lines();
    assert!(lines.any(|l| l == "NOTIFY_SOCKET=/run/notify/notify.sock"), "{text}");
    assert!(text.contains("\nnotify.sock\nEROFS\n"), "{text}");
    let mount = text.lines().find(|l| l.contains(" /run/notify ")).expect("a mount");
    for option in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(mount.contains(option), "{option}: {mount}");
    }
    assert!(text.ends_with("EINVAL\n"), "a socket, not a link: {text}");
}

fn start_waits_until_the_payload_is_ready() {
    differs!(Crun, "names the manager's own path in the container, and no MAINPID");
    let manager = Manager::new();
    let args = ["/probe", "sleep", "1", "--", "sd-notify", "READY=1", "--", "sleep", "60"];
    let c = create(&manager, &Bundle::new().args(&args));
    assert!(manager.is_silent());
    let since = Instant::now();
    let running = start(&manager, &c);
    let lines = announced(&manager);
    running.wait().assert_exit(0);
    assert!(since.elapsed() > Duration::from_millis(900), "{:?}", since.elapsed());
    assert_eq!(lines, ["READY=1".to_owned(), format!("MAINPID={}", c.pid())]);
    assert_eq!(c.status(), "running");
    c.end();
}

fn manager_of_an_abstract_name() {
    differs!(Crun, "names the manager's own path in the container, and no MAINPID");
    let manager = Manager::abstract_one();
    let args = ["/probe", "sd-notify", "READY=1", "--", "sleep", "60"];
    let c = create(&manager, &Bundle::new().args(&args));
    let running = start(&manager, &c);
    assert!(announced(&manager).contains(&format!("MAINPID={}", c.pid())));
    running.wait().assert_exit(0);
    c.end();
}

fn detached_run_waits_until_the_payload_is_ready() {
    differs!(Crun, "names the manager's own path in the container, and no MAINPID");
    let manager = Manager::new();
    let pid_file = scratch().join("pid");
    let args = ["/probe", "sleep", "1", "--", "sd-notify", "READY=1", "--", "sleep", "60"];
    let b = Bundle::new().args(&args);
    let since = Instant::now();
    let call = b.run_call().args(["--detach", "--pid-file"]).arg(&pid_file).arg(b.id());
    let running = call.env("NOTIFY_SOCKET", manager.name()).spawn();
    let lines = announced(&manager);
    running.wait().assert_exit(0);
    assert!(since.elapsed() > Duration::from_millis(900), "{:?}", since.elapsed());
    let pid = std::fs::read_to_string(pid_file).unwrap();
    assert!(lines.contains(&format!("MAINPID={}", pid.trim())), "{lines:?}");
    rt(["delete", "--force", b.id()]).output().assert_exit(0);
}

/// It waits for the container and cleans up; a manager that watched the container instead would
/// take its end for the end of the service.
fn foreground_run_stays_the_main_process() {
    differs!(Crun, "names the manager's own path in the container, and no MAINPID");
    let manager = Manager::new();
    let b = Bundle::new().args(&["/probe", "sd-notify", "READY=1", "--", "sleep", "1"]);
    let running = b.run_call().arg(b.id()).env("NOTIFY_SOCKET", manager.name()).spawn();
    let (mut lines, pid) = (manager.next().text, running.pid());
    if !lines.contains("MAINPID") {
        lines += &manager.next().text;
    }
    assert!(lines.contains(&format!("READY=1\nMAINPID={pid}")), "{lines:?}");
    running.wait().assert_exit(0);
}

fn foreground_run_passes_on_what_comes_later() {
    differs!(Runc, "passes on nothing but READY");
    differs!(Crun, "passes on nothing but READY");
    let manager = Manager::new();
    let b = Bundle::new().args(&[
        "/probe",
        "sd-notify",
        "READY=1",
        "--",
        "sd-notify",
        "STATUS=at work",
        "--",
        "sd-barrier",
        "--",
        "sd-notify",
        "STOPPING=1",
        "STATUS=at home",
    ]);
    let running = b.run_call().arg(b.id()).env("NOTIFY_SOCKET", manager.name()).spawn();
    assert!(manager.next().text.starts_with("READY=1\nMAINPID="));
    assert_eq!(manager.next().text, "STATUS=at work");
    assert!(manager.until_barrier().is_empty());
    assert_eq!(manager.next().text, "STOPPING=1\nSTATUS=at home");
    running.wait().assert_stdout("barrier passed, 0 bytes");
}

fn payload_that_ends_before_it_is_ready_is_not_waited_for() {
    let manager = Manager::new();
    let c = create(&manager, &Bundle::new().args(&["/probe", "sleep", "1"]));
    start(&manager, &c).wait();
    assert!(manager.is_silent());
    c.wait_status("stopped").delete();
}

fn last_words_arrive() {
    sometimes_differs!(
        Runc,
        "looks ten times a second whether init is there, and not at its words"
    );
    let manager = Manager::new();
    let c = create(&manager, &Bundle::new().args(&["/probe", "sd-notify", "READY=1"]));
    let running = start(&manager, &c);
    assert!(announced(&manager).contains(&"READY=1".to_owned()));
    running.wait().assert_exit(0);
    c.wait_status("stopped").delete();
}

fn status_passes_before_ready() {
    differs!(Runc, "passes on nothing but READY");
    differs!(Crun, "passes on nothing but READY");
    let manager = Manager::new();
    let c = create(
        &manager,
        &Bundle::new().args(&[
            "/probe",
            "sd-notify",
            "STATUS=loading",
            "EXTEND_TIMEOUT_USEC=5",
            "--",
            "sd-notify",
            "STATUS=done",
            "READY=1",
            "--",
            "sleep",
            "60",
        ]),
    );
    let running = start(&manager, &c);
    assert_eq!(manager.next().text, "STATUS=loading\nEXTEND_TIMEOUT_USEC=5");
    let lines = announced(&manager);
    assert_eq!(lines[..2], ["STATUS=done", "READY=1"]);
    running.wait().assert_exit(0);
    c.end();
}

fn payload_cannot_speak_for_others() {
    differs!(Crun, "names the manager's own path in the container, and no MAINPID");
    let manager = Manager::new();
    let args = [
        "/probe",
        "sd-notify",
        "MAINPID=1",
        "--",
        "sd-notify",
        "NOTIFYACCESS=all",
        "--",
        "sd-with-fd",
        "FDSTORE=1",
        "FDNAME=stolen",
        "--",
        "sd-with-fd",
        "READY=1",
        "MAINPID=2",
        "FDSTORE=1",
        "--",
        "sleep",
        "60",
    ];
    let c = create(&manager, &Bundle::new().args(&args));
    let running = start(&manager, &c);
    let lines = announced(&manager);
    assert_eq!(lines, ["READY=1".to_owned(), format!("MAINPID={}", c.pid())]);
    running.wait().assert_exit(0);
    c.end();
}

fn barrier_of_the_payload_reaches_the_manager() {
    differs!(Runc, "does not read it");
    differs!(Crun, "does not read it");
    let manager = Manager::new();
    let args = [
        "/probe",
        "sd-notify",
        "STATUS=one",
        "--",
        "sd-barrier",
        "--",
        "sd-notify",
        "READY=1",
        "--",
        "sleep",
        "60",
    ];
    let c = create(&manager, &Bundle::new().args(&args));
    let running = start(&manager, &c);
    assert_eq!(manager.next().text, "STATUS=one");
    let barrier = manager.next();
    assert_eq!((barrier.text.as_str(), barrier.fds.len()), ("BARRIER=1", 1));
    // It holds until the manager lets go.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(c.stdout(), "");
    drop(barrier);
    c.wait_for("barrier passed, 0 bytes");
    manager.until_barrier();
    running.wait().assert_exit(0);
    c.end();
}

fn ordinary_user_may_notify() {
    requires!(root);
    differs!(Crun, "no word of another user arrives");
    let manager = Manager::new();
    let b = Bundle::new()
        .args(&["/probe", "sd-notify", "READY=1", "--", "sleep", "60"])
        .with(|c| c["process"]["user"] = json!({ "uid": 4711, "gid": 4711 }));
    let c = create(&manager, &b);
    let running = start(&manager, &c);
    assert!(announced(&manager).contains(&"READY=1".to_owned()));
    running.wait().assert_exit(0);
    c.end();
}

fn payload_in_a_user_namespace_may_notify() {
    differs!(Crun, "names the manager's own path in the container, and no MAINPID");
    requires!(userns);
    let manager = Manager::new();
    let args = ["/probe", "sd-notify", "READY=1", "--", "sleep", "60"];
    let c = create(&manager, &Bundle::new().user_namespace(100_000).args(&args));
    let running = start(&manager, &c);
    assert!(announced(&manager).contains(&format!("MAINPID={}", c.pid())));
    running.wait().assert_exit(0);
    c.end();
}

fn waiting_start_does_not_block_others() {
    let manager = Manager::new();
    let c = create(&manager, &Bundle::new().args(&["/probe", "sleep", "60"]));
    let running = start(&manager, &c);
    c.wait_status("running");
    c.exec(&["/probe", "echo", "in"]).assert_stdout("in");
    c.delete_force();
    running.wait();
    assert!(manager.is_silent());
}

fn missing_manager_leaves_the_container_created() {
    differs!(Runc, "starts the container and fails then");
    differs!(Crun, "starts the container");
    let manager = Manager::new();
    let c = create(&manager, &Bundle::new().args(&["/probe", "true"]));
    for (name, text) in [
        ("/nosuch/socket", "no such file or directory"),
        ("relative", "is neither an absolute path nor an abstract name"),
        ("@nobody-listens-here", "connection refused"),
    ] {
        let output = c.call("start").env("NOTIFY_SOCKET", name).output();
        output.assert_fails().assert_stderr_has("NOTIFY_SOCKET: ").assert_stderr_has(text);
        output.assert_stderr_has("hint: unset NOTIFY_SOCKET");
        assert_eq!(c.status(), "created");
    }
    c.start().wait_status("stopped").delete();
}

fn start_without_a_manager_does_not_wait() {
    let manager = Manager::new();
    let c = create(&manager, &Bundle::new().args(&["/probe", "sleep", "60"]));
    c.start();
    assert_eq!(c.status(), "running");
    c.end();
}

fn variable_of_the_config_is_replaced() {
    let manager = Manager::new();
    let b = Bundle::new()
        .with(|c| c["process"]["env"] = json!(["NOTIFY_SOCKET=/of/the/config", "A=b"]))
        .args(&["/probe", "sd-notify", "READY=1", "--", "sleep", "60"]);
    let c = create(&manager, &b);
    let running = start(&manager, &c);
    assert!(announced(&manager).contains(&"READY=1".to_owned()));
    running.wait().assert_exit(0);
    c.end();
}
