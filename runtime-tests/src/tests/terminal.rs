//! Terminals: `process.terminal`, the console socket, foreground runs on a real pty, signals.

use nix::sys::signal::Signal;
use runtime_tests::prelude::*;
use runtime_tests::pty::{self, Master, ReceivingSocket};

tests![
    console_socket_gets_the_master,
    console_size_of_the_config,
    terminal_is_the_controlling_one,
    terminal_belongs_to_the_user,
    dev_console_is_the_terminal,
    terminal_without_console_socket_is_refused_by_create,
    console_socket_without_terminal_is_refused,
    missing_console_socket_is_refused,
    exec_tty_with_console_socket,
    foreground_run_on_a_pty,
    foreground_run_follows_resizes,
    foreground_run_restores_the_terminal,
    foreground_exec_on_a_pty,
    foreground_run_forwards_signals,
    foreground_exec_forwards_signals,
    foreground_without_a_terminal_still_gives_one,
];

fn with_terminal(b: Bundle) -> Bundle {
    b.with(|c| c["process"]["terminal"] = json!(true))
}

fn console_socket_gets_the_master() {
    let socket = ReceivingSocket::new();
    let b = with_terminal(Bundle::new()).args(&["/probe", "isatty", "--", "stdin"]);
    let c = b.create_with(&["--console-socket", socket.path().to_str().unwrap()]);
    let mut master = Master::new(socket.receive().0);
    c.start();
    assert!(
        master.wait_for("tty tty tty\r\n").starts_with("tty tty tty\r\n"),
        "output goes through the line discipline"
    );
    master.write("typed\n\u{4}");
    master.wait_for("typed\r\ntyped\r\n");
    c.wait_status("stopped").delete();
}

fn console_size_of_the_config() {
    let socket = ReceivingSocket::new();
    let b = with_terminal(Bundle::new())
        .with(|c| c["process"]["consoleSize"] = json!({ "height": 33, "width": 77 }));
    let c = b
        .args(&["/probe", "winsize"])
        .create_with(&["--console-socket", socket.path().to_str().unwrap()]);
    let mut master = Master::new(socket.receive().0);
    c.start();
    master.wait_for("33x77");
    assert_eq!(master.size(), (33, 77));
    c.wait_status("stopped").delete();
}

fn terminal_is_the_controlling_one() {
    let socket = ReceivingSocket::new();
    let b = with_terminal(Bundle::new())
        .args(&["/probe", "sid", "--", "open", "/dev/tty", "rw", "--", "signals", "1"]);
    let c = b.create_with(&["--console-socket", socket.path().to_str().unwrap()]);
    let mut master = Master::new(socket.receive().0);
    c.start();
    assert!(master.wait_for("ready").starts_with("pid=1 sid=1 pgid=1\r\nok\r\n"));
    // Ctrl-C reaches the foreground process group.
    master.write("\u{3}");
    master.wait_for("SIGINT");
    c.wait_status("stopped").delete();
}

fn terminal_belongs_to_the_user() {
    requires!(root);
    let socket = ReceivingSocket::new();
    let b = with_terminal(Bundle::new())
        .with(|c| c["process"]["user"] = json!({ "uid": 1000, "gid": 1000 }));
    let verbs = ["/probe", "stat", "/proc/self/fd/0", "--", "open", "/dev/pts/0", "rw"];
    let c = b.args(&verbs).create_with(&["--console-socket", socket.path().to_str().unwrap()]);
    let mut master = Master::new(socket.receive().0);
    c.start();
    let seen = master.wait_for("ok");
    assert!(seen.starts_with("char ") && seen.contains(" 1000 "), "{seen}");
    c.wait_status("stopped").delete();
}

fn dev_console_is_the_terminal() {
    let socket = ReceivingSocket::new();
    let b = with_terminal(Bundle::new()).args(&[
        "/probe",
        "stat",
        "/dev/console",
        "--",
        "write",
        "/dev/console",
        "hello",
    ]);
    let c = b.create_with(&["--console-socket", socket.path().to_str().unwrap()]);
    let mut master = Master::new(socket.receive().0);
    c.start();
    let seen = master.wait_for("hello");
    // 136 is the major number of pseudo-terminals.
    assert!(seen.contains(" 136:0 "), "{seen}");
    c.wait_status("stopped").delete();
}

fn terminal_without_console_socket_is_refused_by_create() {
    with_terminal(Bundle::new()).assert_create_refused();
}

fn console_socket_without_terminal_is_refused() {
    differs!(Crun, "ignores it");
    let socket = ReceivingSocket::new();
    Bundle::new().try_create(&["--console-socket", socket.path().to_str().unwrap()]).assert_fails();
}

fn missing_console_socket_is_refused() {
    with_terminal(Bundle::new()).try_create(&["--console-socket", "/nosuch/socket"]).assert_fails();
}

fn exec_tty_with_console_socket() {
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let socket = ReceivingSocket::new();
    let flags = ["--tty", "--detach", "--console-socket", socket.path().to_str().unwrap()];
    let going = c.exec_call(&flags, &["/probe", "isatty", "--", "winch", "11x22"]).spawn();
    let mut master = Master::new(socket.receive().0);
    going.wait().assert_exit(0);
    assert!(master.wait_for("tty tty tty\r\n0x0").starts_with("tty"));
    master.resize(11, 22);
    master.wait_for("11x22");
    c.end();
}

fn foreground_run_on_a_pty() {
    differs!(Crun, "starts with a size of 0x0");
    let (mut master, slave) = pty::open(24, 80);
    let b = with_terminal(Bundle::new())
        .args(&["/probe", "isatty", "--", "winch", "24x80", "--", "stdin", "--", "exit", "5"]);
    let going = b.run_call().arg(b.id()).terminal(slave).spawn();
    master.wait_for("24x80");
    master.write("typed\n\u{4}");
    let seen = master.wait_for("typed\r\ntyped");
    assert!(seen.starts_with("tty tty tty"), "{seen}");
    going.wait().assert_exit(5);
}

fn foreground_run_follows_resizes() {
    differs!(Crun, "starts with a size of 0x0");
    let (mut master, slave) = pty::open(24, 80);
    let b = with_terminal(Bundle::new()).args(&["/probe", "winch", "40x132"]);
    let going = b.run_call().arg(b.id()).terminal(slave).spawn();
    master.wait_for("24x80");
    // The kernel sends SIGWINCH to the foreground group of this terminal: the runtime.
    master.resize(40, 132);
    master.wait_for("40x132");
    going.wait().assert_exit(0);
}

fn foreground_run_restores_the_terminal() {
    let (mut master, slave) = pty::open(24, 80);
    let keep = slave.try_clone().unwrap();
    let before = nix::sys::termios::tcgetattr(&keep).unwrap();
    let b = with_terminal(Bundle::new()).args(&["/probe", "echo", "ran"]);
    let going = b.run_call().arg(b.id()).terminal(slave).spawn();
    master.wait_for("ran");
    going.wait().assert_exit(0);
    let after = nix::sys::termios::tcgetattr(&keep).unwrap();
    assert_eq!((before.local_flags, before.input_flags), (after.local_flags, after.input_flags));
}

fn foreground_exec_on_a_pty() {
    differs!(Crun, "exec follows no resize");
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let (mut master, slave) = pty::open(24, 80);
    let going = c
        .exec_call(&["-t"], &["/probe", "isatty", "--", "winch", "30x100", "--", "exit", "9"])
        .terminal(slave)
        .spawn();
    assert!(master.wait_for("24x80").starts_with("tty tty tty"));
    master.resize(30, 100);
    master.wait_for("30x100");
    going.wait().assert_exit(9);
    c.end();
}

fn foreground_run_forwards_signals() {
    let b = Bundle::new().args(&["/probe", "signals", "3", "--", "exit", "4"]);
    let going = b.spawn();
    until("ready", || going.stdout().contains("ready").then_some(()));
    for (signal, name) in
        [(Signal::SIGHUP, "SIGHUP"), (Signal::SIGUSR1, "SIGUSR1"), (Signal::SIGTERM, "SIGTERM")]
    {
        going.signal(signal);
        until(name, || going.stdout().contains(name).then_some(()));
    }
    going.wait().assert_exit(4);
}

fn foreground_exec_forwards_signals() {
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let going = c.exec_call(&[], &["/probe", "signals", "2", "--", "exit", "4"]).spawn();
    until("ready", || going.stdout().contains("ready").then_some(()));
    for (signal, name) in [(Signal::SIGHUP, "SIGHUP"), (Signal::SIGTERM, "SIGTERM")] {
        going.signal(signal);
        until(name, || going.stdout().contains(name).then_some(()));
    }
    going.wait().assert_exit(4);
    c.end();
}

/// `ssh host rt run` without -t: the container still gets the terminal of its configuration.
fn foreground_without_a_terminal_still_gives_one() {
    differs!(Crun, "wants its own standard input to be a terminal");
    differs!(Runc, "wants its own standard input to be a terminal");
    let b = with_terminal(Bundle::new());
    let output = b.run(&["/probe", "isatty"]);
    output.assert_exit(0);
    assert_eq!(output.stdout().trim(), "tty tty tty");
}
