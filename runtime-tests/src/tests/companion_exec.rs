//! `bundles exec -it`: a terminal for a command, which goes on when nobody types any more.

use nix::sys::signal::Signal;
use runtime_tests::companion::{Root, assert_nothing_is_left, bundles, processes};
use runtime_tests::prelude::*;
use runtime_tests::pty;

tests![
    companion_exec_with_a_terminal,
    companion_exec_detaches_by_keys,
    companion_exec_outlives_its_client,
    companion_exec_terminal_fails_as_others_do,
];

fn container() -> Root {
    let root = Root::new();
    root.detached("k1", &["sleep", "1000"]);
    root
}

fn exec(flags: &[&str], script: &str) -> (pty::Master, Running) {
    let (master, slave) = pty::open(24, 80);
    let call = bundles(["exec", "-it"]).args(flags).args(["k1", "sh", "-c", script]);
    (master, call.terminal(slave).spawn())
}

fn remove() {
    bundles(["rm", "-f", "k1"]).ok();
    until("their keepers end", || processes("bundles-exec").is_empty().then_some(()));
    assert_nothing_is_left();
}

fn companion_exec_with_a_terminal() {
    let _root = container();
    let script = "until [ \"$(stty size)\" = '24 80' ]; do sleep 0.05; done; tty; \
                  read line; echo got-$line; exit 7";
    let (mut master, client) = exec(&[], script);
    master.wait_for("/dev/pts/");
    master.write("one\r");
    client.wait().assert_exit(7);
    assert!(master.read_to_end().ends_with("got-one\r\n"));
    // Nothing of much output is lost.
    let (mut master, client) =
        exec(&[], "i=0; while [ $i -lt 5000 ]; do echo line-$i; i=$((i+1)); done");
    let said = master.read_to_end();
    client.wait().assert_exit(0);
    assert!(said.ends_with("line-4999\r\n") && said.lines().count() == 5000, "{}", said.len());
    remove();
}

fn companion_exec_detaches_by_keys() {
    let _root = container();
    for (flags, other, keys) in [
        (&[][..], "\u{10}y\r", "\u{10}\u{11}"),
        (&["--detach-keys", "ctrl-a,x"], "\u{10}\u{11}y\r", "\u{1}x"),
    ] {
        let script = "echo ready; read line; echo got; read end; touch /tmp/end";
        let (mut master, client) = exec(flags, script);
        master.wait_for("ready");
        master.write(other);
        master.wait_for("got");
        master.write(keys);
        client.wait().assert_exit(0);
        assert_eq!(processes("bundles-exec").len(), 1);
        let top = bundles(["top", "k1"]).ok();
        assert!(top.contains("touch /tmp/end"), "it goes on: {top}");
        bundles([
            "exec",
            "k1",
            "sh",
            "-c",
            "kill -9 $(ps | grep '[t]ouch' | head -n 1 | while read pid rest; do echo $pid; done)",
        ])
        .ok();
        until("its keeper ends", || processes("bundles-exec").is_empty().then_some(()));
    }
    let wrong = bundles(["exec", "--detach-keys", "ctrl-1", "k1", "true"]).output();
    wrong.assert_exit(125).assert_stderr_has("invalid value 'ctrl-1' for '--detach-keys <KEYS>'");
    remove();
}

/// As with Docker: it is the container's, not the client's.
fn companion_exec_outlives_its_client() {
    let _root = container();
    let script =
        "echo ready; while [ ! -e /tmp/go ]; do echo tick; sleep 0.02; done; touch /tmp/went";
    let (mut master, client) = exec(&[], script);
    master.wait_for("ready");
    client.signal(Signal::SIGKILL);
    client.wait();
    bundles(["exec", "k1", "touch", "/tmp/go"]).ok();
    until("it has gone on", || {
        let seen = bundles(["exec", "k1", "sh", "-c", "[ -e /tmp/went ]"]).output();
        (seen.code == 0).then_some(())
    });
    remove();
}

fn companion_exec_terminal_fails_as_others_do() {
    let _root = container();
    for (program, code) in [("nosuch", 127), ("/etc", 126)] {
        let (mut master, slave) = pty::open(24, 80);
        let client = bundles(["exec", "-it", "k1", program]).terminal(slave).spawn();
        let said = master.read_to_end();
        client.wait().assert_exit(code);
        assert!(said.starts_with("bundles: ") && said.contains("hint: "), "{said}");
    }
    remove();
}
