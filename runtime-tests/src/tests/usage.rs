//! How the command line meets people: help, mistyped words, where messages go.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use runtime_tests::prelude::*;

tests![
    help_command_explains_a_command,
    mistyped_words_get_a_suggestion,
    usage_errors_are_told_in_the_first_line,
    checkpoint_is_refused_in_words,
    last_of_repeated_flags_counts,
    examples_of_help_are_understood,
    exec_fails_with_255,
    log_file_may_be_marked_as_such,
    log_goes_to_the_journal,
    log_goes_to_syslog,
    log_to_a_missing_journal_is_refused,
    spec_writes_another_file,
    update_takes_flags_of_older_kernels,
    update_refuses_wrong_values,
    pid_file_is_replaced_as_a_whole,
    regex_chooses_several_containers,
    disabled_cgroup_manager_makes_no_cgroup,
    commands_that_look_need_no_state_directory,
];

fn help_command_explains_a_command() {
    differs!(Crun, "no command help");
    let text = Call::plain(["help", "kill"]).ok();
    assert!(text.contains("--all"), "{text}");
    assert!(Call::plain(["help"]).ok().contains("create"));
}

fn mistyped_words_get_a_suggestion() {
    differs!(Runc, "suggests nothing");
    differs!(Crun, "suggests nothing");
    for (args, word) in [
        (vec!["creat", "x"], "'create'"),
        (vec!["kill", "--al", "x"], "'--all'"),
        (vec!["list", "--formt", "json"], "'--format'"),
        (vec!["--cgroup-manger", "disabled", "list"], "'--cgroup-manager'"),
    ] {
        let output = Call::plain(args).output();
        output.assert_exit(1).assert_stderr_has(word);
    }
}

/// conmon and the shims show one line to people.
fn usage_errors_are_told_in_the_first_line() {
    differs!(Runc, "prints its whole help before");
    differs!(Crun, "its own words");
    for (args, words) in [
        (vec!["state"], "required arguments were not provided"),
        (vec!["state", "a", "b"], "unexpected argument 'b'"),
        (vec!["list", "--format", "xml"], "invalid value 'xml'"),
        (vec!["nosuch"], "unrecognized subcommand 'nosuch'"),
    ] {
        let output = Call::plain(args).output();
        output.assert_exit(1);
        let stderr = output.stderr();
        let first = stderr.lines().next().unwrap_or_default();
        assert!(first.starts_with("rt: ") && first.contains(words), "{stderr}");
    }
}

/// containerd, Docker and people get these words; Podman wants a failure of `checkpoint --help`.
fn checkpoint_is_refused_in_words() {
    differs!(Runc, "has it");
    differs!(Crun, "has it");
    for args in [
        vec!["checkpoint", "--image-path", "/nosuch", "x"],
        vec!["restore", "--bundle", "/nosuch", "x"],
        vec!["checkpoint", "--help"],
    ] {
        let output = Call::plain(args.clone()).output();
        output.assert_exit(1);
        output.assert_stderr_has(&format!("rt: {} is not supported: rt saves", args[0]));
        output.assert_stderr_has("hint: make the container with a runtime that does");
    }
}

/// A wrapper adds what the engine says already.
fn last_of_repeated_flags_counts() {
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let state = rt(["state", c.id()]).global(["--systemd-cgroup", "--systemd-cgroup"]);
    if view() != View::Systemd {
        state.ok();
    }
    let nowhere = scratch().join("nowhere");
    let list = |roots: [&Path; 2]| {
        let roots = roots.map(|root| format!("--root={}", root.display()));
        Call::plain(roots).args(["list", "-q"]).ok()
    };
    let root = runtime_tests::isolate::state_root();
    assert_eq!(list([&nowhere, &root]).trim(), c.id());
    assert_eq!(list([&root, &nowhere]).trim(), "");
    let output = c.exec_call(&["--cwd", "/nowhere", "--cwd", "/dev"], &["/probe", "cwd"]).output();
    output.assert_exit(0);
    assert_eq!(output.stdout().trim(), "/dev");
    c.end();
}

/// An example with a flag that is no more would be worse than none.
fn examples_of_help_are_understood() {
    requires!(command("doctor"));
    let mut seen = 0;
    for command in ["create", "run", "exec", "update", "kill"] {
        let help = Call::plain([command, "--help"]).ok();
        let example = help.lines().find_map(|l| l.strip_prefix("Example: rt ")).expect("example");
        let words = example.split(" && ").next().unwrap().split_whitespace();
        let output = rt(words).output();
        // There is no such container and no such bundle; what was meant is understood.
        output.assert_fails();
        assert!(output.stderr().contains("web"), "{}", output.stderr());
        assert!(!output.stderr().contains("--help"), "{}", output.stderr());
        seen += 1;
    }
    assert_eq!(seen, 5);
}

fn exec_fails_with_255() {
    differs!(Crun, "1, as for everything else");
    rt(["exec", &new_id(), "true"]).output().assert_exit(255);
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    c.exec(&["/nosuch"]).assert_exit(255);
    c.end();
}

fn log_file_may_be_marked_as_such() {
    differs!(Runc, "knows files only");
    let log = scratch().join("log");
    rt(["state", &new_id()])
        .global(["--log", &format!("file:{}", log.display())])
        .output()
        .assert_exit(1);
    assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 1);
}

fn received(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    let length = socket.recv(&mut buffer).expect("a message");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// `systemd.journal-fields(7)`, in systemd's native protocol: fields by lines.
fn log_goes_to_the_journal() {
    differs!(Runc, "knows files only");
    differs!(Crun, "speaks to the journal by libsystemd, with further fields");
    fs::create_dir_all("/run/systemd/journal").unwrap();
    let journal = UnixDatagram::bind("/run/systemd/journal/socket").unwrap();
    let id = new_id();
    for (flags, name) in [(vec!["--log", "journald:web"], "web"), (vec!["--systemd-log"], "rt")] {
        rt(["state", &id]).global(flags).output().assert_exit(1).assert_stderr_has(&id);
        let text = received(&journal);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("MESSAGE=state ") && lines[0].contains("does not exist"),
            "{text}"
        );
        assert_eq!(lines[1..], ["PRIORITY=3", &format!("SYSLOG_IDENTIFIER={name}")], "{text}");
    }
}

fn log_goes_to_syslog() {
    requires!(root);
    differs!(Runc, "knows files only");
    differs!(Crun, "a facility and a header of its C library");
    let socket = UnixDatagram::bind(scratch().join("log")).unwrap();
    // /dev is the host's: this one call gets another, with the socket in it.
    let script = "mkdir /run/dev && mount -t tmpfs dev /run/dev && cd /run/dev && touch null && \
                  mount --bind /dev/null null && ln -s /run/t/log log && \
                  mount --move /run/dev /dev && exec \"$@\"";
    rt(["state", &new_id()])
        .global(["--log", "syslog:web"])
        .through(["unshare", "-m", "sh", "-c", script, "sh"])
        .output()
        .assert_exit(1);
    let text = received(&socket);
    // LOG_USER | LOG_ERR
    assert!(text.starts_with("<11>web: state ") && text.contains("does not exist"), "{text}");
}

fn log_to_a_missing_journal_is_refused() {
    differs!(Runc, "knows files only");
    differs!(Crun, "goes on without");
    let output = rt(["list"]).global(["--log", "journald:x"]).output();
    output
        .assert_exit(1)
        .assert_stderr_has("--log journald:x: connect(/run/systemd/journal/socket)");
    output.assert_stderr_has("hint: start the system's log");
}

fn spec_writes_another_file() {
    differs!(Runc, "no such flag");
    let dir = scratch();
    rt(["spec", "--bundle", dir.to_str().unwrap(), "-f", "other.json"]).output().assert_exit(0);
    let text = fs::read_to_string(dir.join("other.json")).unwrap();
    assert!(serde_json::from_str::<Value>(&text).unwrap()["process"].is_object());
    assert!(!dir.join("config.json").exists());
}

/// runc and crun still have them; scripts still use them.
fn update_takes_flags_of_older_kernels() {
    requires!(controller("memory"));
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let update = |flags: &[&str]| rt(["update"]).args(flags).arg(c.id()).output();
    update(&["--kernel-memory", "64m", "--memory", "512m"]).assert_exit(0);
    c.end();
}

fn update_refuses_wrong_values() {
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    for flag in ["--memory", "--memory-swap", "--memory-reservation", "--kernel-memory"] {
        let output = rt(["update", flag, "lots", c.id()]).output();
        output.assert_fails().assert_stderr_has("lots");
    }
    for flag in ["--cpu-quota", "--cpu-share", "--cpu-idle", "--pids-limit", "--blkio-weight"] {
        let output = rt(["update", flag, "lots", c.id()]).output();
        output.assert_fails_somewhere();
    }
    c.end();
}

/// A reader never sees an empty or a partial file: it appears under its name when it is whole.
fn pid_file_is_replaced_as_a_whole() {
    differs!(Crun, "writes into the file that is there");
    let file = scratch().join("pid");
    fs::write(&file, "not a pid, and longer than one").unwrap();
    let before = fs::File::open(&file).unwrap();
    let b = Bundle::new().args(&["/probe", "sleep", "60"]);
    let c = b.create_with(&["--pid-file", file.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&file).unwrap(), c.pid().to_string());
    let mut old = String::new();
    std::io::Read::read_to_string(&mut &before, &mut old).unwrap();
    assert_eq!(old, "not a pid, and longer than one", "the old file is another one");
    c.delete_force();
}

fn regex_chooses_several_containers() {
    differs!(Runc, "no --regex");
    let one = Bundle::new().start(&["/probe", "sleep", "60"]);
    let two = Bundle::new().start(&["/probe", "sleep", "60"]);
    let pattern = format!("{}.*", runtime_tests::isolate::tag());
    rt(["kill", "--regex", &pattern, "KILL"]).output().assert_exit(0);
    one.wait_status("stopped");
    two.wait_status("stopped");
    rt(["delete", "--regex", &pattern]).output().assert_exit(0);
    assert_eq!(rt(["list", "-q"]).ok(), "");
}

fn disabled_cgroup_manager_makes_no_cgroup() {
    differs!(Runc, "no --cgroup-manager");
    let b = Bundle::new().args(&["/probe", "sleep", "60"]).with(|c| {
        c["linux"].as_object_mut().unwrap().remove("resources");
    });
    b.write();
    rt(["run", "-d", "--bundle", b.dir().to_str().unwrap(), b.id()])
        .global(["--cgroup-manager", "disabled"])
        .output()
        .assert_exit(0);
    let state = rt(["state", b.id()]).output().json();
    let of = |pid: &str| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert_eq!(of(&state["pid"].to_string()), of("self"), "the caller's own cgroup");
    rt(["delete", "--force", b.id()]).output().assert_exit(0);
}

fn commands_that_look_need_no_state_directory() {
    requires!(root, program("/usr/bin/setpriv"));
    differs!(Crun, "asks for a directory first");
    let user = [
        "env",
        "-u",
        "XDG_RUNTIME_DIR",
        "setpriv",
        "--reuid=4242",
        "--regid=4242",
        "--clear-groups",
    ];
    Call::plain(["features"]).through(user).output().assert_exit(0);
}
