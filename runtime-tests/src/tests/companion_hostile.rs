//! Images and containers that mean harm to whoever lists, runs, enters and removes them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::time::{Duration, Instant};

use runtime_tests::archive::{Tar, config, saved_with};
use runtime_tests::companion::{Root, assert_nothing_is_left, bundles, bundles_as, home};
use runtime_tests::lease;
use runtime_tests::prelude::*;
use runtime_tests::pty;
use runtime_tests::second_user::SecondUser;
use tar::EntryType;

tests![
    companion_image_of_an_impossible_time_is_listed,
    companion_device_as_passwd_is_not_opened,
    companion_texts_of_an_image_are_no_commands_to_a_terminal,
    companion_failed_volume_of_an_image_leaves_none,
    companion_tree_too_deep_for_a_path_is_removed,
    companion_exec_gives_away_no_terminal,
    companion_exec_gives_away_no_file,
    companion_lease_on_its_names_stops_nobody,
    companion_directory_of_others_is_refused,
];

/// An image `evil:1` of one file, with other words in its configuration.
fn load(layer: Tar, change: impl FnOnce(&mut Value)) {
    requires!(root, companion);
    let layers = [layer.file("f", b"x").bytes()];
    let mut config = config(&layers);
    change(&mut config);
    bundles(["load", "-q"]).stdin(saved_with("evil:1", &layers, &config)).ok();
}

fn create() -> Output {
    bundles(["create", "--network", "none", "--runtime"])
        .arg(runtime_tests::runtime::path())
        .arg("evil:1")
        .output()
}

fn companion_image_of_an_impossible_time_is_listed() {
    for time in [
        "1970-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2024-01-02T03:04:05+18446744073709551615:00",
    ] {
        load(Tar::new(), |config| config["created"] = time.into());
        let listed = bundles(["images", "--format", "{{.Repository}} {{.CreatedAt}}"]).ok();
        assert_eq!(listed, "evil N/A\n", "{time}");
        bundles(["image", "inspect", "evil:1"]).ok();
        bundles(["rmi", "evil:1"]).ok();
    }
}

/// Opening is enough to start a watchdog, or to rewind a tape. That of a device without a driver
/// fails, and would be no file at all.
fn companion_device_as_passwd_is_not_opened() {
    let tar = Tar::new().directory("etc").entry(EntryType::Char, "etc/passwd", b"", |header| {
        header.set_device_major(60).expect("a GNU header");
    });
    load(tar, |config| config["config"]["User"] = "web".into());
    let wanted = "bundles: /etc/passwd of the container: not a regular file\n";
    create().assert_exit(125).assert_stderr_has(wanted);
    assert_nothing_is_left();
}

fn companion_texts_of_an_image_are_no_commands_to_a_terminal() {
    load(Tar::new(), |config| config["config"]["User"] = "a\nb\u{1b}[2J".into());
    let refused = create();
    let wanted = "bundles: user a\\nb\\u{1b}[2J: not in the container's /etc/passwd\n";
    refused.assert_exit(125).assert_stderr_has(wanted);
    load(Tar::new(), |config| {
        config["config"]["Cmd"] = json!(["a\nb\tc", "\u{1b}[2J\""]);
    });
    create().assert_exit(0);
    let shown = bundles(["ps", "-a", "--no-trunc"]).ok();
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert!(shown.contains(r#""a\nb\tc \x1b[2J\"""#), "{shown}");
    bundles(["rm", "-f"]).arg(bundles(["ps", "-aq"]).ok().trim()).ok();
}

fn companion_failed_volume_of_an_image_leaves_none() {
    load(Tar::new(), |config| config["config"]["Volumes"] = json!({ "/ok": {}, "/a\0b": {} }));
    create().assert_exit(125).assert_stderr_has("VOLUME /a\\u{0}b of the image: ");
    assert_eq!(bundles(["volume", "ls", "-q"]).ok(), "");
    assert_nothing_is_left();
}

/// The container's own names are short enough, those on the host are not.
fn companion_tree_too_deep_for_a_path_is_removed() {
    let root = Root::new();
    let script = "cd /v; for i in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do mkdir $0; cd $0; done; pwd";
    let flags = ["-v", "deep:/v", "--network", "none"];
    let made = root.run(&flags, &["sh", "-c", script, &"d".repeat(254)]).ok();
    assert_eq!(made.trim().len(), 2 + 16 * 255, "{made}");
    bundles(["system", "df"]).ok();
    bundles(["volume", "rm", "deep"]).ok();
    bundles(["system", "prune", "-f"]).ok();
    assert_eq!(fs::read_dir(home().join("volumes")).expect("volumes").count(), 0);
    assert_nothing_is_left();
}

/// What a command leaves behind in the container would read what is typed on the host later.
fn companion_exec_gives_away_no_terminal() {
    let root = Root::new();
    root.detached("k1", &["sleep", "100"]);
    let script = "for fd in 0 1 2; do [ -t $fd ] && echo \"terminal $fd\"; done; echo done";
    let (mut master, slave) = pty::open(24, 80);
    bundles(["exec", "k1", "sh", "-c", script]).terminal(slave).spawn().wait().assert_exit(0);
    assert_eq!(master.wait_for("done"), "done\r\n");
    let typed = format!("read line; echo \"got $line\" >&2; {script}; exit 7");
    let (mut master, slave) = pty::open(24, 80);
    let client = bundles(["exec", "-i", "k1", "sh", "-c", &typed]).terminal(slave).spawn();
    master.write("hello\r");
    let seen = master.wait_for("done");
    assert!(seen.contains("got hello") && !seen.contains("terminal"), "{seen}");
    client.wait().assert_exit(7);
    // Who stays behind with the streams keeps nobody waiting.
    let (mut master, slave) = pty::open(24, 80);
    let script = "sleep 50 & echo first";
    bundles(["exec", "k1", "sh", "-c", script]).terminal(slave).spawn().wait().assert_exit(0);
    master.wait_for("first");
    bundles(["rm", "-f", "k1"]).ok();
    assert_nothing_is_left();
}

/// By way of /proc/self/fd it would be opened with more rights than the caller has given.
fn companion_exec_gives_away_no_file() {
    let root = Root::new();
    root.detached("k1", &["sleep", "100"]);
    let file = scratch().join("log");
    fs::write(&file, "before\n").expect("a file");
    let to_file = format!("\"$@\" >> {0} < {0}", file.display());
    let script = "for fd in 0 1; do readlink /proc/self/fd/$fd; done; head -n 1";
    let call = bundles(["exec", "-i", "k1", "sh", "-c", script]);
    call.through(["/bin/sh", "-c", &to_file, "sh"]).output().assert_exit(0);
    let log = fs::read_to_string(&file).expect("the file");
    let lines: Vec<&str> = log.lines().collect();
    let ["before", input, output, "before"] = lines.as_slice() else { panic!("{log}") };
    assert!(input.starts_with("pipe:") && output.starts_with("pipe:"), "{log}");
    bundles(["rm", "-f", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_lease_on_its_names_stops_nobody() {
    let root = Root::new();
    bundles(["network", "create", "n1"]).ok();
    let on = |name: &str| {
        let flags = ["--network", "n1"];
        root.call(&["run", "-d", "--name", name], &flags, &["sleep", "100"]).ok().trim().to_owned()
    };
    let hosts = home().join("containers").join(on("k1")).join("hosts");
    let leased = lease::take(&hosts); // as the container might
    let start = Instant::now();
    on("k2");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    drop(leased);
    // It may have any length, of which nothing is read.
    fs::OpenOptions::new()
        .write(true)
        .open(&hosts)
        .expect("hosts")
        .set_len(1 << 40)
        .expect("a hole");
    on("k3");
    let text = fs::read_to_string(&hosts).expect("hosts");
    assert!(["k1", "k2", "k3"].iter().all(|name| text.contains(name)), "{text}");
    bundles(["rm", "-f", "k1", "k2", "k3"]).ok();
    bundles(["network", "rm", "n1"]).ok();
    assert_nothing_is_left();
}

fn companion_directory_of_others_is_refused() {
    let user = SecondUser::new();
    let dir = user.directory("other");
    let hint = "  hint: choose a directory of your own, with --root DIR\n";
    let refused = |what: &str| {
        let wanted = format!("bundles: {}: {what}\n{hint}", dir.display());
        let flag = format!("--root={}", dir.display());
        bundles_as(&user, [flag.as_str(), "ps"]).output().assert_exit(1).assert_stderr_has(&wanted);
    };
    chown(&dir, Some(1), None).expect("chown");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o775)).expect("chmod");
    chown(&dir, Some(1), Some(4242)).expect("chown");
    refused("belongs to another user, 1");
    chown(&dir, Some(4242), None).expect("chown");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o1777)).expect("chmod");
    refused("all users may write there");
}
