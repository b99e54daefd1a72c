//! config-linux.md, "Seccomp": `SCMP_ACT_NOTIFY`, the listener and what it is told.

use std::fs::File;
use std::os::unix::net::UnixListener;
use std::time::Instant;

use nix::errno::Errno;
use runtime_tests::agent::{Agent, Answer, Call};
use runtime_tests::prelude::*;
use runtime_tests::pty::{Master, ReceivingSocket};

tests![
    foreground_run_notifies,
    agent_answers_with_an_errno,
    agent_answers_with_a_value,
    agent_lets_it_continue,
    agent_injects_a_descriptor,
    agent_learns_the_container_process_state,
    agent_is_told_once_for_each_connection,
    metadata_may_be_absent,
    long_state_arrives_whole,
    exec_has_a_listener_of_its_own,
    several_containers_share_an_agent,
    container_with_a_terminal_notifies,
    filter_without_no_new_privs_notifies,
    flags_go_with_a_listener,
    calls_of_the_runtime_itself_may_be_notified,
    agent_does_not_see_the_runtimes_own_wait,
    every_call_may_be_notified,
    denied_execve_is_an_error,
    agent_that_leaves_means_enosys,
    agent_that_leaves_before_execve_is_an_error,
    nothing_of_the_listener_is_left_in_the_payload,
    missing_agent_fails,
    missing_agent_leaves_the_container_created,
    agent_that_does_not_listen_fails,
    path_longer_than_an_address,
    notify_needs_a_listener_path,
    listener_path_without_notify_is_ignored,
    metadata_without_a_path_is_refused,
    forbidden_wait_is_refused,
    notify_is_no_default_action,
    features_lists_notify,
];

// `x86_64`
const OPEN: i32 = 2;
const MKDIR: i32 = 83;

fn agent(policy: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Agent {
    Agent::at(&scratch().join("agent.sock"), policy)
}

/// An agent that answers every call with an errno which none gives by itself.
fn refusing() -> Agent {
    agent(|_| Answer::Errno(Errno::EXFULL))
}

/// Everything is allowed, these calls are notified.
fn filter(path: &str, names: &[&str]) -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "listenerPath": path,
        "listenerMetadata": "who=test",
        "syscalls": [{ "names": names, "action": "SCMP_ACT_NOTIFY" }],
    })
}

fn notifying(path: &str, names: &[&str]) -> Bundle {
    if std::env::consts::ARCH != "x86_64" {
        skip!(Machine, "the numbers in this test are those of x86_64");
    }
    Bundle::new().with(|c| c["linux"]["seccomp"] = filter(path, names))
}

/// What the payload wrote, from create and start.
fn said(b: Bundle, args: &[&str]) -> String {
    let c = b.start(args);
    c.wait_status("stopped");
    let said = c.stdout();
    c.delete();
    said
}

fn foreground_run_notifies() {
    differs!(Crun, "1.8 does not see the end of such a container");
    let agent = refusing();
    notifying(agent.path(), &["mkdir"]).run(&["/probe", "mkdir", "/a"]).assert_says("EXFULL");
}

fn agent_answers_with_an_errno() {
    let agent = refusing();
    let b = notifying(agent.path(), &["mkdir"]);
    assert_eq!(said(b, &["/probe", "mkdir", "/made", "--", "stat", "/made"]), "EXFULL\nENOENT\n");
    let calls = agent.calls();
    assert!(calls.len() == 1 && calls[0].nr == MKDIR, "{calls:?}");
}

fn agent_answers_with_a_value() {
    let agent = agent(|_| Answer::Value(4711));
    let b = notifying(agent.path(), &["getpriority"]);
    assert_eq!(said(b, &["/probe", "syscall", "140"]), "ok 4711\n");
}

fn agent_lets_it_continue() {
    let agent = agent(|_| Answer::Continue);
    let b = notifying(agent.path(), &["mkdir"]);
    assert!(
        said(b, &["/probe", "mkdir", "/tmp/made", "--", "stat", "/tmp/made"]).starts_with("dir ")
    );
    assert_eq!(agent.calls().len(), 1);
}

fn agent_injects_a_descriptor() {
    let secret = scratch().join("of-the-agent");
    std::fs::write(&secret, "from the agent").unwrap();
    let agent = agent(move |call| {
        // open(2) has its path first, openat(2) second.
        if call.text(usize::from(call.nr != OPEN)) == "/magic" {
            Answer::Descriptor(File::open(&secret).unwrap())
        } else {
            Answer::Continue
        }
    });
    let b = notifying(agent.path(), &["open", "openat"]);
    assert_eq!(
        said(b, &["/probe", "cat", "/magic", "--", "cat", "/nosuch"]),
        "from the agent\nENOENT\n"
    );
}

/// config-linux.md, "The Container Process State".
fn agent_learns_the_container_process_state() {
    differs!(Crun, "calls its version of the specification 0.2.0");
    let agent = agent(|_| Answer::Continue);
    let b = notifying(agent.path(), &["mkdir"])
        .with(|c| c["annotations"] = json!({ "org.example.key": "value" }));
    let c = b.start(&["/probe", "echo", "up", "--", "sleep", "60"]);
    c.wait_for("up");
    let told = agent.introductions();
    assert_eq!(told.len(), 1, "{told:?}");
    let (state, pid) = (&told[0].state, c.pid());
    assert_eq!(told[0].fds, 1);
    assert_eq!(state["fds"], json!(["seccompFd"]));
    assert_eq!(state["metadata"], "who=test");
    assert_eq!(state["pid"], pid);
    assert!(state["ociVersion"].as_str().is_some_and(|v| v.starts_with("1.")), "{state}");
    let container = &state["state"];
    assert_eq!(container["id"], c.id());
    assert_eq!(container["bundle"], c.bundle().to_str().unwrap());
    assert_eq!(container["annotations"]["org.example.key"], "value");
    // runc and crun load the filter while they create.
    let status = container["status"].as_str().unwrap();
    assert!(["creating", "created"].contains(&status), "{state}");
    if runtime() == Runtime::Rt {
        assert_eq!((status, &container["pid"]), ("created", &json!(pid)));
        assert_eq!(container["ociVersion"], "1.0.2");
        assert!(container.get("rootfs").is_none(), "{state}");
        assert!(told[0].is_closed(), "the connection must be closed after the message");
    }
    c.end();
}

fn agent_is_told_once_for_each_connection() {
    let agent = refusing();
    for n in 1..4 {
        assert_eq!(
            said(notifying(agent.path(), &["mkdir"]), &["/probe", "mkdir", "/a"]),
            "EXFULL\n"
        );
        let told = agent.introductions();
        assert!(told.len() == n && told.iter().all(|i| i.state.is_object()), "{told:?}");
    }
}

fn metadata_may_be_absent() {
    let agent = refusing();
    let b = notifying(agent.path(), &["mkdir"]).with(|c| {
        c["linux"]["seccomp"].as_object_mut().unwrap().remove("listenerMetadata");
    });
    assert_eq!(said(b, &["/probe", "mkdir", "/a"]), "EXFULL\n");
    let state = &agent.introductions()[0].state;
    assert!(state.get("metadata").is_none_or(|m| m == ""), "{state}");
}

/// More than a socket's buffer holds.
fn long_state_arrives_whole() {
    let agent = refusing();
    let long = "x".repeat(1_000_000);
    let text = long.clone();
    let b = notifying(agent.path(), &["mkdir"]).with(|c| c["annotations"] = json!({ "a.b": text }));
    assert_eq!(said(b, &["/probe", "mkdir", "/a"]), "EXFULL\n");
    let told = agent.introductions();
    assert_eq!(told.len(), 1);
    assert!(told[0].state["state"]["annotations"]["a.b"] == long, "the annotation was cut");
}

fn exec_has_a_listener_of_its_own() {
    differs!(Crun, "1.8 does not see the end of such a process");
    let agent = refusing();
    let b = notifying(agent.path(), &["mkdir"]);
    let c = b.start(&["/probe", "echo", "up", "--", "sleep", "60"]);
    c.wait_for("up");
    let pid_file = scratch().join("exec.pid");
    let flags = ["--pid-file", pid_file.to_str().unwrap()];
    c.exec_with(&flags, &["/probe", "mkdir", "/a"]).assert_says("EXFULL");
    let told = agent.introductions();
    assert_eq!(told.len(), 2, "{told:?}");
    let state = &told[1].state;
    let pid: i32 = std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    assert_eq!(state["pid"], pid);
    assert_eq!(state["metadata"], "who=test");
    assert_eq!(state["state"]["id"], c.id());
    if runtime() == Runtime::Rt {
        assert_eq!(
            (&state["state"]["status"], &state["state"]["pid"]),
            (&json!("running"), &json!(c.pid()))
        );
    }
    c.end();
}

fn several_containers_share_an_agent() {
    differs!(Crun, "1.8 does not see the end of such a container");
    let agent = refusing();
    let bundles: Vec<Bundle> = (0..4)
        .map(|_| notifying(agent.path(), &["mkdir"]).args(&["/probe", "mkdir", "/a"]))
        .collect();
    let going: Vec<Running> = bundles.iter().map(Bundle::spawn).collect();
    for running in going {
        running.wait().assert_says("EXFULL");
    }
    let mut told: Vec<String> = agent
        .introductions()
        .iter()
        .map(|i| i.state["state"]["id"].as_str().unwrap().into())
        .collect();
    let mut ids: Vec<String> = bundles.iter().map(|b| b.id().to_owned()).collect();
    told.sort();
    ids.sort();
    assert_eq!(told, ids);
}

fn container_with_a_terminal_notifies() {
    let agent = refusing();
    let socket = ReceivingSocket::new();
    let b = notifying(agent.path(), &["mkdir"]).with(|c| c["process"]["terminal"] = json!(true));
    let c = b
        .args(&["/probe", "isatty", "--", "mkdir", "/a"])
        .create_with(&["--console-socket", socket.path().to_str().unwrap()]);
    let mut master = Master::new(socket.receive().0);
    c.start();
    assert!(master.wait_for("EXFULL").starts_with("tty tty tty\r\nEXFULL"));
    c.wait_status("stopped").delete();
}

fn filter_without_no_new_privs_notifies() {
    let agent = refusing();
    let b = notifying(agent.path(), &["mkdir"])
        .with(|c| c["process"]["noNewPrivileges"] = json!(false));
    assert_eq!(said(b, &["/probe", "prctl", "nnp", "--", "mkdir", "/a"]), "0\nEXFULL\n");
}

fn flags_go_with_a_listener() {
    differs!(Runc, "1.1 knows no SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
    differs!(Crun, "1.8 knows no SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
    for flags in [
        json!([]),
        json!(["SECCOMP_FILTER_FLAG_TSYNC"]),
        json!(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]),
        json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]),
        json!(["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]),
    ] {
        let socket = scratch().join(new_id());
        let agent = Agent::at(&socket, |_| Answer::Errno(Errno::EXFULL));
        let b = notifying(agent.path(), &["mkdir"])
            .with(|c| c["linux"]["seccomp"]["flags"] = flags.clone());
        assert_eq!(said(b, &["/probe", "mkdir", "/a"]), "EXFULL\n", "{flags}");
    }
}

/// What a runtime needs between the filter and the payload: an agent that answers them must not
/// need an answer first.
fn calls_of_the_runtime_itself_may_be_notified() {
    differs!(Runc, "refuses write, and needs the others itself");
    differs!(Crun, "sends by itself what its helper needs");
    for name in ["write", "sendmsg", "sendto", "execve", "exit_group", "close", "wait4", "capset"] {
        let socket = scratch().join(new_id());
        let agent = Agent::at(&socket, |_| Answer::Continue);
        for no_new_privs in [true, false] {
            let b = notifying(agent.path(), &[name])
                .with(|c| c["process"]["noNewPrivileges"] = json!(no_new_privs));
            assert_eq!(said(b, &["/probe", "echo", "here"]), "here\n");
        }
    }
}

fn agent_does_not_see_the_runtimes_own_wait() {
    differs!(Crun, "waits for its helper by wait4 itself");
    let agent = refusing();
    let b = notifying(agent.path(), &["wait4"]);
    assert_eq!(said(b, &["/probe", "ls", "/proc/1/task", "--", "echo", "here"]), "1\nhere\n");
    assert_eq!(agent.calls().len(), 0);
}

/// The most curious agent there can be.
fn every_call_may_be_notified() {
    differs!(Crun, "waits for its helper by wait4 itself");
    differs!(Runc, "refuses write, and needs the others itself");
    let names: Vec<&str> = include_str!("../../data/syscalls.txt").lines().collect();
    let agent = agent(|_| Answer::Continue);
    let b = notifying(agent.path(), &names);
    let c = b.start(&["/probe", "echo", "up", "--", "sleep", "60"]);
    c.wait_for("up");
    c.exec(&["/probe", "echo", "in"]).assert_stdout("in");
    c.end();
    assert!(agent.calls().len() > 10, "{:?}", agent.calls());
}

fn denied_execve_is_an_error() {
    differs!(Crun, "the agent's errno is not told");
    let agent = agent(|_| Answer::Errno(Errno::EPERM));
    let b = notifying(agent.path(), &["execve"]);
    let output = b.run(&["/probe", "true"]);
    output.assert_fails().assert_stderr_has("operation not permitted");
}

fn agent_that_leaves_means_enosys() {
    let agent = agent(|_| Answer::Leave);
    let b = notifying(agent.path(), &["mkdir"]);
    assert_eq!(said(b, &["/probe", "mkdir", "/a", "--", "mkdir", "/b"]), "ENOSYS\nENOSYS\n");
    assert_eq!(agent.calls().len(), 1);
}

/// Whoever holds a copy of the listener waits for an agent for ever.
fn agent_that_leaves_before_execve_is_an_error() {
    differs!(Crun, "init itself keeps the listener open");
    let agent = agent(|_| Answer::Leave);
    let since = Instant::now();
    let b = notifying(agent.path(), &["execve"]);
    b.run(&["/probe", "true"]).assert_fails_somewhere();
    assert!(since.elapsed().as_secs() < 8, "{:?}", since.elapsed());
}

fn nothing_of_the_listener_is_left_in_the_payload() {
    let agent = agent(|_| Answer::Continue);
    let b = notifying(agent.path(), &["mkdir"]);
    let text = said(b, &["/probe", "fds", "--", "ls", "/proc"]);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let number = |line: &&String| line.split(' ').next().unwrap().parse::<u32>().is_ok();
    let fds: Vec<&String> = lines.iter().filter(|l| l.contains(' ')).filter(number).collect();
    assert_eq!(fds.len(), 3, "{lines:?}");
    // A process that is left, or its remains, would have a directory here.
    let pids: Vec<&String> = lines.iter().filter(|l| !l.contains(' ')).filter(number).collect();
    assert_eq!(pids, ["1"], "{lines:?}");
}

fn missing_agent_fails() {
    let path = scratch().join("nosuch.sock");
    let output = notifying(path.to_str().unwrap(), &["mkdir"]).run(&["/probe", "echo", "ran"]);
    output.assert_fails();
    assert_eq!(output.stdout(), "");
    if runtime() == Runtime::Rt {
        output
            .assert_stderr_has("linux.seccomp.listenerPath: connect(")
            .assert_stderr_has("no such file or directory")
            .assert_stderr_has("hint: start the seccomp agent first");
    }
}

/// The filter is loaded by start, so start is what an agent must be there for.
fn missing_agent_leaves_the_container_created() {
    differs!(Runc, "connects in create");
    differs!(Crun, "connects in create");
    let path = scratch().join("agent.sock");
    let b = notifying(path.to_str().unwrap(), &["mkdir"]);
    let c = b.args(&["/probe", "mkdir", "/a"]).create();
    c.call("start").output().assert_fails().assert_stderr_has("linux.seccomp.listenerPath");
    assert_eq!(c.status(), "created");
    let agent = refusing();
    c.start().wait_status("stopped");
    assert_eq!(c.stdout(), "EXFULL\n");
    assert_eq!(agent.introductions().len(), 1);
    c.delete();
}

fn agent_that_does_not_listen_fails() {
    let path = scratch().join("closed.sock");
    drop(UnixListener::bind(&path).unwrap());
    let output = notifying(path.to_str().unwrap(), &["mkdir"]).run(&["/probe", "echo", "ran"]);
    output.assert_fails();
    let file = scratch().join("file");
    std::fs::write(&file, "").unwrap();
    notifying(file.to_str().unwrap(), &["mkdir"]).run(&["/probe", "echo", "ran"]).assert_fails();
    let datagram = scratch().join("datagram.sock");
    let _socket = std::os::unix::net::UnixDatagram::bind(&datagram).unwrap();
    notifying(datagram.to_str().unwrap(), &["mkdir"]).run(&["/probe", "true"]).assert_fails();
    if runtime() == Runtime::Rt {
        output.assert_stderr_has("connection refused").assert_stderr_has("nothing listens");
    }
}

/// unix(7): an address has 107 bytes.
fn path_longer_than_an_address() {
    differs!(Runc, "cannot connect");
    let dir = scratch().join("d".repeat(120));
    std::fs::create_dir(&dir).unwrap();
    let short = scratch().join("short");
    std::os::unix::fs::symlink(&dir, &short).unwrap();
    let agent = Agent::at(&short.join("s"), |_| Answer::Errno(Errno::EXFULL));
    assert!(agent.path().len() < 107);
    let b = notifying(dir.join("s").to_str().unwrap(), &["mkdir"]);
    assert_eq!(said(b, &["/probe", "mkdir", "/a"]), "EXFULL\n");
}

fn notify_needs_a_listener_path() {
    differs!(Crun, "runs the container");
    for path in [Value::Null, json!("")] {
        let b = notifying("/", &["mkdir"]).with(|c| {
            let seccomp = c["linux"]["seccomp"].as_object_mut().unwrap();
            seccomp.remove("listenerMetadata");
            if path.is_null() {
                seccomp.remove("listenerPath");
            } else {
                seccomp.insert("listenerPath".into(), path.clone());
            }
        });
        let output = b.run(&["/probe", "true"]);
        output.assert_fails();
        if runtime() == Runtime::Rt {
            output.assert_stderr_has("linux.seccomp.listenerPath: is missing");
        }
    }
}

/// "If the `SCMP_ACT_NOTIFY` action is not used this value is ignored."
fn listener_path_without_notify_is_ignored() {
    differs!(Crun, "connects all the same");
    let b = notifying("/nosuch/agent.sock", &["mkdir"])
        .with(|c| c["linux"]["seccomp"]["syscalls"][0]["action"] = json!("SCMP_ACT_ERRNO"));
    assert_eq!(said(b, &["/probe", "mkdir", "/a"]), "EPERM\n");
}

fn metadata_without_a_path_is_refused() {
    differs!(Runc, "ignores it");
    differs!(Crun, "ignores it");
    let b = notifying("/", &["mkdir"]).with(|c| {
        let seccomp = c["linux"]["seccomp"].as_object_mut().unwrap();
        seccomp.remove("listenerPath");
        seccomp["syscalls"][0]["action"] = json!("SCMP_ACT_ERRNO");
    });
    b.run(&["/probe", "true"])
        .assert_fails()
        .assert_stderr_has("linux.seccomp.listenerMetadata: is set without");
}

/// The one call that a filter must not forbid; rt says so before anything is made.
fn forbidden_wait_is_refused() {
    differs!(Runc, "fails later, without saying why");
    differs!(Crun, "fails later, without saying why");
    let b = notifying("/nosuch", &["mkdir"]).with(|c| {
        let rule = json!({ "names": ["wait4"], "action": "SCMP_ACT_ERRNO" });
        c["linux"]["seccomp"]["syscalls"].as_array_mut().unwrap().push(rule);
    });
    b.assert_create_refused()
        .assert_stderr_has("linux.seccomp.syscalls: SCMP_ACT_NOTIFY needs wait4")
        .assert_stderr_has("hint: add wait4 to a rule");
}

fn notify_is_no_default_action() {
    let b = notifying("/nosuch", &["mkdir"])
        .with(|c| c["linux"]["seccomp"]["defaultAction"] = json!("SCMP_ACT_NOTIFY"));
    b.run(&["/probe", "true"]).assert_fails();
}

fn features_lists_notify() {
    requires!(command("features"));
    let features = rt(["features"]).output().json();
    let seccomp = &features["linux"]["seccomp"];
    let lists = |key: &str, word: &str| {
        seccomp[key].as_array().is_some_and(|list| list.iter().any(|entry| entry == word))
    };
    assert!(lists("actions", "SCMP_ACT_NOTIFY"), "{seccomp}");
    if runtime() == Runtime::Rt {
        for flag in ["TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV"] {
            let flag = format!("SECCOMP_FILTER_FLAG_{flag}");
            assert!(lists("knownFlags", &flag) && lists("supportedFlags", &flag), "{seccomp}");
        }
    }
}
