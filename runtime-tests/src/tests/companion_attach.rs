//! `bundles attach` and its like: any number of terminals at one container.

use super::companion_run::{Root, assert_nothing_is_left, inspect};
use nix::sys::signal::Signal;
use runtime_tests::companion::{bundles, processes};
use runtime_tests::prelude::*;
use runtime_tests::pty;

tests![
    companion_attach_shows_the_same_to_all,
    companion_attach_types_to_the_container,
    companion_attach_leaves_the_input_open,
    companion_attach_detaches_by_keys,
    companion_attach_by_other_keys,
    companion_attach_passes_signals_if_wanted,
    companion_attach_draws_anew,
    companion_attach_needs_a_running_container,
    companion_start_attached,
    companion_run_has_its_size_at_once,
    companion_run_detaches_by_keys,
    companion_stopped_client_blocks_nobody,
    companion_slow_reader_gets_all,
    companion_unread_terminal_blocks_nobody,
];

const CTRL_P_CTRL_Q: &str = "\u{10}\u{11}";
const TICKS: [&str; 3] =
    ["sh", "-c", "trap 'exit 7' TERM; while :; do echo tick; sleep 0.05; done"];

fn attach(words: &[&str]) -> Call {
    bundles(["attach"]).args(words)
}

fn runs(name: &str) -> bool {
    inspect(name)["State"]["Running"] == true
}

fn companion_attach_shows_the_same_to_all() {
    let root = Root::new();
    root.detached("k1", &TICKS);
    let all: Vec<_> = (0..3).map(|_| attach(&["k1"]).spawn()).collect();
    for one in &all {
        until("it sees the output", || one.stdout().contains("tick\ntick\n").then_some(()));
    }
    bundles(["stop", "k1"]).ok();
    for one in all {
        one.wait().assert_exit(7);
    }
    bundles(["rm", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_attach_types_to_the_container() {
    let root = Root::new();
    let script = "while read line; do echo got $line; [ $line = end ] && exit 4; done";
    root.call(&["run", "-d", "--name", "k1"], &["-i"], &["sh", "-c", script]).ok();
    let looks_on = attach(&["--no-stdin", "k1"]).spawn();
    until("it looks on", || {
        let types = attach(&["k1"]).stdin("zero\n").spawn();
        until("it has read", || types.stdout().contains("got zero").then_some(()));
        looks_on.stdout().contains("got zero").then_some(())
    });
    let types = attach(&["k1"]).stdin("one\ntwo\n").spawn();
    until("it has read", || types.stdout().contains("got two").then_some(()));
    let ends = attach(&["k1"]).stdin("end\n").output();
    ends.assert_exit(4);
    assert!(ends.stdout().ends_with("got end\n"));
    types.wait().assert_exit(4);
    looks_on.wait().assert_exit(4);
    assert!(bundles(["logs", "k1"]).ok().ends_with("got one\ngot two\ngot end\n"));
    bundles(["rm", "k1"]).ok();
    assert_nothing_is_left();
}

/// The end of one client's input is not that of the container's, nor is its death.
fn companion_attach_leaves_the_input_open() {
    let root = Root::new();
    root.call(&["run", "-d", "--name", "k1"], &["-i"], &["cat"]).ok();
    for text in ["one\n", "two\n"] {
        let client = attach(&["k1"]).stdin(text).spawn();
        until("the answer", || client.stdout().contains(text).then_some(()));
        client.signal(Signal::SIGKILL);
        client.wait();
        assert!(runs("k1"));
    }
    bundles(["rm", "-f", "k1"]).ok();
    assert_nothing_is_left();
}

/// Ticks, and answers.
const ANSWERS: [&str; 3] = [
    "sh",
    "-c",
    "while :; do echo tick; sleep 0.1; done & while read line; do echo got-$line; done",
];

/// A terminal at the container "k1": what is typed goes there.
fn terminal(words: &[&str]) -> (pty::Master, Running) {
    let (mut master, slave) = pty::open(24, 80);
    let client = attach(words).terminal(slave).spawn();
    master.wait_for("tick");
    (master, client)
}

fn companion_attach_detaches_by_keys() {
    let root = Root::new();
    root.call(&["run", "-d", "--name", "k1"], &["-it"], &ANSWERS).ok();
    for _ in 0..2 {
        let (mut master, client) = terminal(&["k1"]);
        master.write("one\r");
        master.wait_for("got-one");
        // Half of the keys, and another one, are for the container.
        master.write("\u{10}x\r");
        master.wait_for("got-\u{10}x");
        master.write(CTRL_P_CTRL_Q);
        client.wait().assert_exit(0);
        assert!(master.read_to_end().ends_with("\r\n"));
        assert!(runs("k1"));
    }
    bundles(["rm", "-f", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_attach_by_other_keys() {
    let root = Root::new();
    root.call(&["run", "-d", "--name", "k1"], &["-it"], &ANSWERS).ok();
    let (mut master, client) = terminal(&["--detach-keys", "ctrl-a,x", "k1"]);
    master.write("\u{10}\u{11}y\r");
    master.wait_for("y");
    master.write("\u{1}x");
    client.wait().assert_exit(0);
    assert!(runs("k1"));
    let wrong = attach(&["--detach-keys", "ctrl-1", "k1"]).output();
    wrong.assert_exit(125).assert_stderr_has(
        "bundles: invalid value 'ctrl-1' for '--detach-keys <KEYS>': write keys with commas between",
    );
    let piped = attach(&["k1"]).output();
    piped.assert_exit(1).assert_stderr_has("-t: standard input is not a terminal");
    bundles(["rm", "-f", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_attach_passes_signals_if_wanted() {
    let root = Root::new();
    root.detached("k1", &TICKS);
    let look = |words: &[&str]| {
        let client = attach(words).spawn();
        until("it is attached", || client.stdout().contains("tick").then_some(()));
        client.signal(Signal::SIGTERM);
        client.wait()
    };
    look(&["--sig-proxy=false", "k1"]).assert_exit(1015);
    assert!(runs("k1"));
    look(&["k1"]).assert_exit(7);
    bundles(["rm", "k1"]).ok();
    assert_nothing_is_left();
}

/// Programs draw when their terminal's size changes; who comes later has to see something.
fn companion_attach_draws_anew() {
    let root = Root::new();
    let script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done";
    root.call(&["run", "-d", "--name", "k1"], &["-it"], &["sh", "-c", script]).ok();
    until("it listens to signals", || bundles(["logs", "k1"]).ok().contains("ready").then_some(()));
    for _ in 0..2 {
        let (mut master, slave) = pty::open(31, 97);
        let client = attach(&["k1"]).terminal(slave).spawn();
        master.wait_for("31 97");
        master.write(CTRL_P_CTRL_Q);
        client.wait().assert_exit(0);
    }
    bundles(["rm", "-f", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_attach_needs_a_running_container() {
    let root = Root::new();
    root.call(&["create", "--name", "k1"], &[], &["true"]).ok();
    let out = attach(&["k1"]).output();
    out.assert_exit(1).assert_stderr_has("bundles: k1: does not run\n");
    out.assert_stderr_has("hint: start it: bundles start -ai k1");
    attach(&["nosuch"]).output().assert_exit(1).assert_stderr_has("nosuch: no such container");
    bundles(["rm", "k1"]).ok();
}

fn companion_start_attached() {
    let root = Root::new();
    root.call(&["create", "--name", "k1"], &["-i"], &["sh", "-c", "cat; exit 5"]).ok();
    for text in ["one\n", "two\n"] {
        let out = bundles(["start", "-a", "-i", "k1"]).stdin(text).output();
        out.assert_exit(5);
        assert_eq!(out.stdout(), text);
    }
    let out = bundles(["start", "-a", "k1", "k2"]).output();
    out.assert_exit(1).assert_stderr_has("-a and -i: of one container only");
    root.call(&["create", "--name", "k2"], &["-it"], &["sh", "-c", "stty size; exit 6"]).ok();
    let (mut master, slave) = pty::open(33, 99);
    let client = bundles(["start", "-ai", "k2"]).terminal(slave).spawn();
    master.wait_for("33 99");
    client.wait().assert_exit(6);
    bundles(["rm", "k1", "k2"]).ok();
    assert_nothing_is_left();
}

fn companion_run_has_its_size_at_once() {
    let root = Root::new();
    for _ in 0..3 {
        let (mut master, slave) = pty::open(31, 97);
        let client = root.run(&["-it"], &["stty", "size"]).terminal(slave).spawn();
        let seen = master.wait_for("\n");
        assert_eq!(seen, "31 97\r\n");
        client.wait().assert_exit(0);
    }
    assert_nothing_is_left();
}

fn companion_run_detaches_by_keys() {
    let root = Root::new();
    let (mut master, slave) = pty::open(24, 80);
    let call = root.call(&["run", "--name", "k1"], &["-it"], &["sh", "-c", "echo ready; cat"]);
    let client = call.terminal(slave).spawn();
    master.wait_for("ready");
    master.write(CTRL_P_CTRL_Q);
    client.wait().assert_exit(0);
    assert_eq!(master.read_to_end(), "ready\r\n");
    assert!(runs("k1"));
    bundles(["rm", "-f", "k1"]).ok();
    assert_nothing_is_left();
}

/// It writes more than all buffers hold, and ends.
/// A client that is connected passes on signals, by a signalfd(2).
fn passes_signals(pid: i32) -> bool {
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut links = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok());
    links.any(|link| link.as_os_str() == "anon_inode:[signalfd]")
}

fn companion_stopped_client_blocks_nobody() {
    let root = Root::new();
    let script = "until [ -e /go ]; do sleep 0.02; done; head -c 8000000 /dev/zero; exit 3";
    root.detached("k1", &["sh", "-c", &script.replace("/go", "/tmp/go")]);
    let stopped = attach(&["k1"]).spawn();
    let other = attach(&["k1"]).spawn();
    for client in [&stopped, &other] {
        until("it is attached", || passes_signals(client.pid()).then_some(()));
    }
    stopped.signal(Signal::SIGSTOP);
    std::fs::write(root.rootfs.join("tmp/go"), "").expect("the sign to go");
    other.wait().assert_exit(3);
    assert_eq!(bundles(["wait", "k1"]).ok(), "3\n");
    stopped.signal(Signal::SIGCONT);
    stopped.wait().assert_exit(3);
    bundles(["rm", "k1"]).ok();
    assert_nothing_is_left();
}

/// Again and again there is room for some more, and nobody to be heard.
fn companion_slow_reader_gets_all() {
    let root = Root::new();
    let read = "dd bs=100000 count=5 iflag=fullblock of=/dev/null 2>/dev/null; sleep 0.1;";
    let slowly = format!("\"$@\" | {{ {} wc -c; }}", read.repeat(4));
    let command = root.run(&["-i"], &["head", "-c", "4000000", "/dev/zero"]);
    let read = command.through(["sh", "-c", &slowly, "sh"]).output();
    read.assert_exit(0).assert_stdout("2000000\n");
    assert_nothing_is_left();
}

/// Nobody reads the terminal of `run`; later somebody does, and the container's end is not lost.
fn companion_unread_terminal_blocks_nobody() {
    let root = Root::new();
    let (mut master, slave) = pty::open(24, 80);
    let script = "head -c 4000000 /dev/zero; touch /tmp/through; until [ -e /tmp/go ]; do sleep 0.02; done; echo end; exit 3";
    let client = root.run(&["-it"], &["sh", "-c", script]).terminal(slave).spawn();
    until("it has written all", || root.rootfs.join("tmp/through").exists().then_some(()));
    std::fs::write(root.rootfs.join("tmp/go"), "").expect("the sign to go");
    master.read_to_end();
    client.wait();
    // Who was too slow for the monitor does not hear when it has removed everything.
    until("the monitor ends", || processes("bundles-monitor").is_empty().then_some(()));
    assert_nothing_is_left();
}
