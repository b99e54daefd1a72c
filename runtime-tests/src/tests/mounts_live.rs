//! `rt mounts`: mounts that come into a running container and go again.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use runtime_tests::config::mount;
use runtime_tests::isolate;
use runtime_tests::prelude::*;
use runtime_tests::second_user::SecondUser;

use super::escapes::privileged;
use super::escapes_mounts::{Canary, ways};

tests![
    bind_is_added_and_removed,
    list_comes_from_a_config_or_standard_input,
    file_is_bound_and_a_relative_source_starts_at_the_bundle,
    options_are_those_of_the_config,
    file_systems_are_those_of_the_container,
    procfs_shows_the_containers_processes,
    cgroup2_shows_the_containers_cgroup,
    tmpcopyup_copies_what_the_container_has,
    tmpcopyup_takes_mode_and_content_of_the_same_file,
    tmpcopyup_does_not_wait_for_a_fifo,
    symlinks_are_copied_or_mounted_over,
    created_container_gets_mounts,
    idmapped_mount_is_added,
    container_in_a_user_namespace,
    container_of_a_user,
    all_or_nothing,
    mounts_on_mounts_come_and_go_in_order,
    removal_names_what_is_not_there,
    removal_does_not_follow_links,
    removal_leaves_masks_and_the_root,
    removal_leaves_masks_whose_parent_was_renamed,
    removal_takes_what_is_only_like_a_mask,
    what_cannot_be_done_is_refused,
    container_in_the_mount_namespace_of_the_host_is_refused,
    wrong_states_are_refused,
    read_only_root_wants_a_mount_point,
    mounter_is_not_seen_inside,
    limits_of_the_container_hold_the_mounter,
    destination_does_not_lead_out,
    source_is_of_the_host_whatever_the_container_has,
    swapped_destination_does_not_lead_out,
    no_lock_is_held_meanwhile,
];

/// Debian's runc has no such command, and its crun is older than the command (crun 1.21).
fn only_rt() {
    if runtime() == Runtime::Runc {
        skip!(Machine, "runc has no command mounts");
    }
    if runtime() == Runtime::Crun && rt(["mounts", "--help"]).output().code != 0 {
        skip!(Machine, "this crun is older than its command mounts");
    }
}

fn running(b: Bundle) -> Container {
    b.start(&["/probe", "sleep", "60"])
}

fn act(c: &Container, action: &str, mounts: &Value) -> Output {
    rt(["mounts", action, c.id(), "-"]).stdin(mounts.to_string()).output()
}

#[track_caller]
fn add(c: &Container, mounts: &Value) {
    act(c, "add", mounts).assert_exit(0);
}

#[track_caller]
fn remove(c: &Container, mounts: &Value) {
    act(c, "remove", mounts).assert_exit(0);
}

/// mountinfo, as a process of the container sees it.
fn table(c: &Container) -> Vec<String> {
    let output = c.exec(&["/probe", "mounts"]);
    output.assert_exit(0);
    output.lines()
}

fn points(c: &Container) -> BTreeSet<String> {
    let point = |line: &String| line.split(' ').nth(4).unwrap_or_default().to_owned();
    table(c).iter().map(point).collect()
}

/// Options, propagation and type of the topmost mount there.
fn seen(c: &Container, at: &str) -> String {
    let table = table(c);
    let line = table.iter().rfind(|line| line.split(' ').nth(4) == Some(at));
    let line = line.unwrap_or_else(|| panic!("nothing is mounted at {at}: {table:#?}"));
    line.splitn(6, ' ').last().unwrap_or_default().to_owned()
}

#[track_caller]
fn assert_refused(output: &Output, text: &str) {
    output.assert_fails();
    output.assert_stderr_has(text);
}

#[track_caller]
fn assert_begins(output: &Output, text: &str) {
    assert!(output.stdout().starts_with(text), "wanted {text:?}: {}", output.stdout());
}

fn directory(name: &str, text: &str) -> String {
    let dir = scratch().join(name);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("text"), text).unwrap();
    dir.to_str().unwrap().to_owned()
}

fn bind_is_added_and_removed() {
    only_rt();
    let source = directory("source", "of the host");
    let c = running(Bundle::new());
    let before = points(&c);
    let list = json!([mount("/new/deep/data", "bind", &source, &["rbind", "ro"])]);
    add(&c, &list);
    c.exec(&["/probe", "cat", "/new/deep/data/text"]).assert_stdout("of the host");
    c.exec(&["/probe", "write", "/new/deep/data/text", "x"]).assert_says("EROFS");
    // It is the host's directory, and not a copy.
    fs::write(scratch().join("source/later"), "later").unwrap();
    c.exec(&["/probe", "cat", "/new/deep/data/later"]).assert_stdout("later");
    remove(&c, &list);
    assert_eq!(points(&c), before);
    c.exec(&["/probe", "ls", "/new/deep/data"]).assert_stdout("");
}

fn list_comes_from_a_config_or_standard_input() {
    only_rt();
    let c = running(Bundle::new());
    let list = json!([mount("/a", "tmpfs", "tmpfs", &[])]);
    let file = scratch().join("mounts.json");
    for text in [list.to_string(), json!({ "mounts": list, "ociVersion": "1.0.2" }).to_string()] {
        fs::write(&file, &text).unwrap();
        let file = file.to_str().unwrap();
        rt(["mounts", "add", c.id(), file]).output().assert_exit(0);
        assert!(points(&c).contains("/a"));
        rt(["mounts", "remove", c.id(), file]).output().assert_exit(0);
        assert!(!points(&c).contains("/a"));
    }
    if runtime() != Runtime::Rt {
        return;
    }
    for (text, error) in [
        ("[]", "-: no mounts in it"),
        ("[{}]", "standard input: [0]: missing field `destination` at line 1 column 3"),
        (r#"{"x":1}"#, "-: no mounts in it"),
        ("7", "standard input: "),
    ] {
        let output = rt(["mounts", "add", c.id(), "-"]).stdin(text).output();
        assert_refused(&output, &format!("mounts {}: {error}", c.id()));
    }
    let output = rt(["mounts", "add", c.id(), "/nowhere"]).output();
    assert_refused(&output, "open(/nowhere): no such file or directory (ENOENT)");
    let output = rt(["mounts", "grow", c.id(), "-"]).output();
    assert_refused(&output, "invalid value 'grow' for '<ACTION>'");
}

fn file_is_bound_and_a_relative_source_starts_at_the_bundle() {
    only_rt();
    let b = Bundle::new();
    fs::write(b.beside("word"), "beside the config").unwrap();
    let c = running(b);
    add(&c, &json!([mount("/etc/word", "", "word", &["bind"])]));
    c.exec(&["/probe", "cat", "/etc/word"]).assert_stdout("beside the config");
    assert_refused(
        &act(&c, "add", &json!([mount("/etc/word", "", "no-word", &["bind"])])),
        "mounts[0] (/etc/word): open_tree(",
    );
}

fn options_are_those_of_the_config() {
    only_rt();
    let outer = HostMount::tmpfs(&scratch().join("outer"), "size=1m");
    let inner = outer.path().join("inner");
    let _inner = HostMount::tmpfs(&inner, "size=1m");
    let source = outer.path().to_str().unwrap();
    let c = running(Bundle::new());
    add(
        &c,
        &json!([
            mount(
                "/flags",
                "bind",
                source,
                &["bind", "ro", "nosuid", "nodev", "noexec", "noatime"]
            ),
            mount("/all", "bind", source, &["rbind", "rro", "rnosuid", "rprivate"]),
            mount("/shared", "bind", source, &["rbind", "rshared"]),
            mount("/t", "tmpfs", "tmpfs", &["ro", "size=64k", "mode=700", "nosymfollow"]),
        ]),
    );
    assert!(seen(&c, "/flags").starts_with("ro,nosuid,nodev,noexec,noatime"));
    assert!(!points(&c).contains("/flags/inner"), "bind takes the top mount only");
    for at in ["/all", "/all/inner"] {
        let seen = seen(&c, at);
        assert!(seen.starts_with("ro,nosuid,"), "{seen}");
        assert!(!seen.contains("master:") && !seen.contains("shared:"), "{seen}");
    }
    assert!(seen(&c, "/shared").contains(" shared:"), "{}", seen(&c, "/shared"));
    let t = seen(&c, "/t");
    assert!(t.starts_with("ro,") && t.contains("nosymfollow"), "{t}");
    assert!(t.contains("size=64k") && t.contains("mode=700"), "{t}");
}

/// mqueue belongs to the ipc namespace, sysfs to the network namespace: to the container's.
fn file_systems_are_those_of_the_container() {
    only_rt();
    let c = running(Bundle::new().namespace("network", None));
    let queue = json!([
        mount("/q", "mqueue", "mqueue", &["nosuid"]),
        mount("/s", "sysfs", "sysfs", &["ro"]),
        mount("/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0666"]),
    ]);
    add(&c, &queue);
    c.exec(&["/probe", "ls", "/s/class/net"]).assert_says("lo");
    assert_eq!(c.exec(&["/probe", "ls", "/s/class/net"]).stdout().trim(), "lo");
    c.exec(&["/probe", "statfs", "/q"]).assert_says("0x19800202");
    c.exec(&["/probe", "ls", "/pts"]).assert_says("ptmx");
}

/// The child that mounts stays outside of the pid namespace, and a procfs shows that of its maker.
fn procfs_shows_the_containers_processes() {
    only_rt();
    let c = running(Bundle::new());
    let output = act(&c, "add", &json!([mount("/p", "proc", "proc", &["nosuid"])]));
    if output.code != 0 {
        // Before Linux 6.17: better none than that of the host.
        assert_refused(&output, "hint: a procfs for a running container needs Linux 6.17");
        assert!(!points(&c).contains("/p"));
        return;
    }
    c.exec(&["/probe", "cat", "/p/1/comm"]).assert_stdout("probe\n");
    let host = std::process::id();
    c.exec(&["/probe", "readlink", "/p/self"]).assert_exit(0);
    let there = c.exec(&["/probe", "ls", "/p"]);
    assert!(there.lines().iter().all(|name| *name != host.to_string()), "{}", there.stdout());
    // Without a pid namespace of its own it shows the host's, as /proc does.
    let c = running(Bundle::new().without_namespace("pid"));
    add(&c, &json!([mount("/p", "proc", "proc", &[])]));
    c.exec(&["/probe", "cat", &format!("/p/{}/comm", c.pid())]).assert_stdout("probe\n");
}

fn cgroup2_shows_the_containers_cgroup() {
    only_rt();
    requires!(cgroup_v2);
    let c = running(Bundle::new().namespace("cgroup", None));
    add(&c, &json!([mount("/cg", "cgroup2", "cgroup", &["ro"])]));
    let procs = c.exec(&["/probe", "cat", "/cg/cgroup.procs"]);
    assert!(procs.lines().contains(&"1".to_owned()), "{}", procs.stdout());
    let c = running(Bundle::new().without_namespace("cgroup"));
    assert_refused(
        &act(&c, "add", &json!([mount("/cg", "cgroup2", "cgroup", &[])])),
        "mounts[0].type: a running container without cgroup namespace cannot be given cgroups",
    );
}

fn tmpcopyup_copies_what_the_container_has() {
    only_rt();
    let b = Bundle::new().file("/etc/word", "of the image").mode("/etc", 0o751);
    let c = running(b);
    c.exec(&["/probe", "write", "/etc/new", "written later"]).assert_exit(0);
    let list = json!([mount("/etc", "tmpfs", "tmpfs", &["tmpcopyup"])]);
    add(&c, &list);
    c.exec(&["/probe", "cat", "/etc/word"]).assert_stdout("of the image");
    c.exec(&["/probe", "cat", "/etc/new"]).assert_stdout("written later");
    assert_begins(&c.exec(&["/probe", "stat", "/etc"]), "dir 751");
    c.exec(&["/probe", "write", "/etc/word", "changed"]).assert_exit(0);
    remove(&c, &list);
    c.exec(&["/probe", "cat", "/etc/word"]).assert_stdout("of the image");
}

/// A payload that owns the directory exchanges files below it while they are copied. What it may
/// not read must not come to be a file of its own.
///
/// Seen to fail on rt that took mode and owner from a look at the name.
fn tmpcopyup_takes_mode_and_content_of_the_same_file() {
    only_rt();
    requires!(root);
    let b = Bundle::new().file("/volume/a", "open").file("/volume/b", "secret");
    let b = b.mode("/volume/b", 0o600).directory("/tmp").mode("/tmp", 0o777);
    for at in ["/volume", "/volume/a"] {
        chown(b.inside(at), Some(1000), Some(1000)).unwrap();
    }
    let b = b.with(|c| {
        c["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        // By these names it changes what is below the copy, and not the copy.
        c["process"]["cwd"] = json!("/volume");
    });
    let stop = b.inside("/tmp/stop");
    let c = b.start(&["/probe", "attack", "exchange", "25", "a", "b"]);
    c.wait_for("ready");
    let copy = format!("/proc/{}/root/volume", c.pid());
    let list = json!([mount("/volume", "tmpfs", "tmpfs", &["tmpcopyup"])]);
    let mut seen = BTreeSet::new();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(4) {
        add(&c, &list);
        for name in ["a", "b"] {
            let file = Path::new(&copy).join(name);
            let m = fs::metadata(&file).unwrap();
            let text = fs::read_to_string(&file).unwrap();
            seen.insert(format!("{text}: {:o} {} {}", m.mode() & 0o7777, m.uid(), m.gid()));
        }
        remove(&c, &list);
    }
    fs::write(stop, "").unwrap();
    c.wait_status("stopped");
    assert_eq!(Vec::from_iter(seen), ["open: 644 1000 1000", "secret: 600 0 0"]);
}

/// What was a file when it was looked at is a FIFO when it is opened.
///
/// Seen to fail on rt without `O_NONBLOCK`.
fn tmpcopyup_does_not_wait_for_a_fifo() {
    only_rt();
    requires!(root);
    let b = Bundle::new().file("/volume/a", "text");
    mkfifo(&b.inside("/volume/b"), Mode::from_bits_truncate(0o600)).unwrap();
    let b = b.directory("/tmp").with(|c| c["process"]["cwd"] = json!("/volume"));
    let stop = b.inside("/tmp/stop");
    let c = b.start(&["/probe", "attack", "exchange", "25", "a", "b"]);
    c.wait_for("ready");
    let list = json!([mount("/volume", "tmpfs", "tmpfs", &["tmpcopyup"])]);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(2) {
        let output = act(&c, "add", &list);
        if output.code == 0 {
            remove(&c, &list);
        } else if runtime() == Runtime::Rt {
            assert_refused(&output, "it changes while it is copied");
        }
    }
    fs::write(stop, "").unwrap();
    c.wait_status("stopped");
}

/// crun's extensions.
fn symlinks_are_copied_or_mounted_over() {
    only_rt();
    let link = scratch().join("link");
    symlink("/somewhere/else", &link).unwrap();
    let source = directory("source", "of the host");
    let c = running(Bundle::new().symlink("/way", "/etc"));
    let copied = json!([mount("/made", "bind", link.to_str().unwrap(), &["bind", "copy-symlink"])]);
    add(&c, &copied);
    c.exec(&["/probe", "readlink", "/made"]).assert_says("/somewhere/else");
    add(&c, &copied); // it is there, and right
    if runtime() != Runtime::Rt {
        return;
    }
    let failing = json!([
        mount("/undone", "bind", link.to_str().unwrap(), &["bind", "copy-symlink"]),
        mount("/dev/null", "bind", &source, &["bind"]),
    ]);
    act(&c, "add", &failing).assert_fails();
    c.exec(&["/probe", "lstat", "/undone"]).assert_says("ENOENT");
    add(&c, &json!([mount("/way", "bind", &source, &["bind"])]));
    assert!(points(&c).contains("/etc"), "a link is followed inside");
}

fn created_container_gets_mounts() {
    only_rt();
    let source = directory("source", "early");
    let c = Bundle::new().args(&["/probe", "cat", "/early/text"]).create();
    add(&c, &json!([mount("/early", "bind", &source, &["bind"])]));
    c.start().wait_for("early");
}

fn shifted(name: &str) -> HostMount {
    let source = HostMount::tmpfs(&scratch().join(name), "size=1m,mode=755");
    let text = source.path().join("text");
    fs::write(&text, "x").unwrap();
    chown(&text, Some(5), Some(6)).unwrap();
    source
}

fn idmapped_mount_is_added() {
    only_rt();
    requires!(userns, idmapped_tmpfs);
    let source = shifted("source");
    let at = source.path().to_str().unwrap();
    let c = running(Bundle::new().user_namespace(100_000));
    let mut own = mount("/own", "bind", at, &["bind"]);
    let map = json!([{ "containerID": 5, "hostID": 100_033, "size": 2 }]);
    own["uidMappings"] = map.clone();
    own["gidMappings"] = map;
    add(
        &c,
        &json!([
            mount("/plain", "bind", at, &["bind"]),
            mount("/mapped", "bind", at, &["bind", "idmap"]),
            own,
        ]),
    );
    assert_begins(&c.exec(&["/probe", "stat", "/plain/text"]), "file 644 65534 65534 ");
    assert_begins(&c.exec(&["/probe", "stat", "/mapped/text"]), "file 644 5 6 ");
    assert_begins(&c.exec(&["/probe", "stat", "/own/text"]), "file 644 33 34 ");
    c.exec(&["/probe", "write", "/mapped/new", "x"]).assert_exit(0);
    assert_eq!(fs::metadata(source.path().join("new")).unwrap().uid(), 0);
}

fn container_in_a_user_namespace() {
    only_rt();
    requires!(userns);
    let source = directory("source", "of the host");
    let c = running(Bundle::new().user_namespace(100_000));
    let before = points(&c);
    let list = json!([
        mount("/data", "bind", &source, &["rbind", "ro"]),
        mount("/t", "tmpfs", "tmpfs", &["mode=1777"]),
    ]);
    add(&c, &list);
    c.exec(&["/probe", "cat", "/data/text"]).assert_stdout("of the host");
    c.exec(&["/probe", "write", "/data/text", "x"]).assert_says("EROFS");
    // Made by root of the container's user namespace.
    assert_begins(&c.exec(&["/probe", "stat", "/t"]), "dir 1777 0 0 ");
    remove(&c, &list);
    assert_eq!(points(&c), before);
    assert_refused(
        &act(&c, "add", &json!([mount("/x", "ext4", "/dev/null", &[])])),
        "mounts[0] (/x): fs",
    );
}

fn container_of_a_user() {
    only_rt();
    for make in [SecondUser::new, SecondUser::with_ranges] {
        let user = make();
        let dir = user.directory("volume");
        fs::write(dir.join("text"), "of the user").unwrap();
        let list = user.dir().join("mounts.json");
        let entries = json!([
            mount("/data", "bind", dir.to_str().unwrap(), &["rbind", "ro"]),
            mount("/t", "tmpfs", "tmpfs", &[]),
        ]);
        fs::write(&list, entries.to_string()).unwrap();
        let list = list.to_str().unwrap().to_owned();
        let c = user.bundle().start(&["/probe", "sleep", "60"]);
        let before = c.exec(&["/probe", "mounts"]).stdout();
        let act = |action: &str| user.call(["mounts", action, c.id(), &list]).output();
        act("add").assert_exit(0);
        c.exec(&["/probe", "cat", "/data/text"]).assert_stdout("of the user");
        c.exec(&["/probe", "write", "/data/text", "x"]).assert_says("EROFS");
        c.exec(&["/probe", "statfs", "/t"]).assert_says("0x1021994");
        act("remove").assert_exit(0);
        assert_eq!(c.exec(&["/probe", "mounts"]).stdout(), before);
        let mapped = json!([mount("/m", "bind", dir.to_str().unwrap(), &["bind", "idmap"])]);
        fs::write(&list, mapped.to_string()).unwrap();
        assert_refused(&act("add"), "(/m): an idmapped mount needs root on the host");
        c.delete();
        drop(c);
        fs::remove_dir_all(user.dir()).unwrap();
    }
}

fn all_or_nothing() {
    only_rt();
    differs!(Crun, "leaves the first mounts");
    let source = directory("source", "of the host");
    let c = running(Bundle::new());
    let before = points(&c);
    let good = || {
        vec![
            mount("/t", "tmpfs", "tmpfs", &["ro"]),
            mount("/t/below", "tmpfs", "tmpfs", &[]),
            mount("/a", "bind", &source, &["rbind"]),
            mount("/f", "bind", &format!("{source}/text"), &["bind"]),
        ]
    };
    for (bad, text) in [
        (mount("/b", "bind", "/nowhere", &["bind"]), "mounts[4] (/b): open_tree("),
        (mount("/b", "nosuchfs", "x", &[]), "mounts[4] (/b): fsopen(\"nosuchfs\")"),
        (mount("/dev/null", "tmpfs", "tmpfs", &[]), "mounts[4] (/dev/null): move_mount("),
        (mount("/dev/null/x", "tmpfs", "tmpfs", &[]), "mounts[4] (/dev/null/x): "),
    ] {
        let mut list = good();
        list.push(bad);
        assert_refused(&act(&c, "add", &json!(list)), text);
        assert_eq!(points(&c), before, "something is left");
    }
    add(&c, &json!(good()));
    assert!(seen(&c, "/t").starts_with("ro,"));
    assert!(seen(&c, "/t/below").starts_with("rw,"));
    // Of a removal everything is looked at first.
    let list = json!([mount("/a", "", "", &[]), mount("/nothing", "", "", &[]),]);
    assert_refused(&act(&c, "remove", &list), "mounts[1] (/nothing): nothing is mounted there");
    assert!(points(&c).contains("/a"));
}

fn mounts_on_mounts_come_and_go_in_order() {
    only_rt();
    let c = running(Bundle::new());
    let before = table(&c).len();
    let list = json!([
        mount("/t", "tmpfs", "tmpfs", &[]),
        mount("/t/a", "tmpfs", "tmpfs", &[]),
        mount("/t", "tmpfs", "tmpfs", &[]),
    ]);
    add(&c, &list);
    assert_eq!(table(&c).len(), before + 3);
    // The first look at /t/a is through the upper /t, which hides it.
    remove(&c, &json!([list[2]]));
    remove(&c, &json!([list[0], list[1]]));
    assert_eq!(table(&c).len(), before);
    // Mounts of config.json, too; what is mounted below goes with it.
    let c = running(Bundle::new().mount("/m", "tmpfs", "tmpfs", &[]));
    add(&c, &json!([mount("/m/below", "tmpfs", "tmpfs", &[])]));
    remove(&c, &json!([{ "destination": "/m" }]));
    assert!(!points(&c).iter().any(|at| at.starts_with("/m")));
}

fn removal_names_what_is_not_there() {
    only_rt();
    let c = running(Bundle::new().directory("/plain/below").file("/file", "x"));
    for at in ["/plain", "/plain/below", "/file", "/none", "/file/none", "/proc/self"] {
        let output = act(&c, "remove", &json!([{ "destination": at }]));
        output.assert_fails();
        if runtime() == Runtime::Rt {
            assert_refused(&output, &format!("mounts {}: mounts[0] ({at}): ", c.id()));
        }
    }
}

/// A container which makes links must not turn the removal of one mount into that of another.
fn removal_does_not_follow_links() {
    only_rt();
    differs!(Crun, "follows links");
    let b = Bundle::new().with(|c| {
        c["linux"]["maskedPaths"] = json!(["/proc/timer_list", "/proc/acpi"]);
        c["linux"]["readonlyPaths"] = json!(["/proc/sys"]);
    });
    let c = running(b.directory("/way").symlink("/data", "/proc").symlink("/way/out", "/proc/sys"));
    let before = points(&c);
    for (at, real) in [("/data", "/proc"), ("/data/sys", "/proc/sys"), ("/way/out", "/proc/sys")] {
        let output = act(&c, "remove", &json!([{ "destination": at }]));
        assert_refused(&output, "the path leads over a symbolic link, which is not followed");
        assert_refused(&output, &format!("hint: name the real path: {real}"));
    }
    assert_eq!(points(&c), before);
}

fn removal_leaves_masks_and_the_root() {
    only_rt();
    differs!(Crun, "removes them");
    let b = Bundle::new().directory("/secret").with(|c| {
        c["linux"]["maskedPaths"] = json!(["/secret", "/proc/keys"]);
        c["linux"]["readonlyPaths"] = json!(["/proc/sys"]);
    });
    let c = running(b);
    let before = points(&c);
    for at in ["/secret", "/secret/", "/etc/../secret", "/proc/keys", "/proc/sys"] {
        let output = act(&c, "remove", &json!([{ "destination": at }]));
        assert_refused(&output, "linux.maskedPaths or linux.readonlyPaths protect it");
    }
    for at in ["/", "/..", "/etc/.."] {
        let output = act(&c, "remove", &json!([{ "destination": at }]));
        assert_refused(&output, "the container's root cannot be removed");
    }
    assert_eq!(points(&c), before);
}

/// A payload renames what is above its masks, up to the name of a volume that is to be removed.
///
/// Seen to fail on rt that compared paths only, and on rt that knew masks but no read-only paths.
fn removal_leaves_masks_whose_parent_was_renamed() {
    only_rt();
    requires!(busybox());
    differs!(Crun, "removes them");
    let b = Bundle::new().with_busybox().file("/data/file", "secret").file("/data/dir/x", "secret");
    let b = b.file("/data/ro/text", "x").with(|c| {
        c["linux"]["maskedPaths"] = json!(["/data/file", "/data/dir"]);
        c["linux"]["readonlyPaths"] = json!(["/data/ro"]);
    });
    let c = running(b);
    let volume = json!([mount("/volume/dir", "tmpfs", "tmpfs", &[])]);
    add(&c, &volume);
    let rename = |from: &str, to: &str| {
        c.exec(&["/bin/busybox", "mv", from, to]).assert_exit(0);
    };
    rename("/volume", "/elsewhere");
    rename("/data", "/volume");
    let before = points(&c);
    for at in ["/volume/dir", "/volume/file", "/volume/ro"] {
        let output = act(&c, "remove", &json!([{ "destination": at }]));
        assert_refused(&output, "linux.maskedPaths or linux.readonlyPaths protect it");
    }
    assert_eq!(points(&c), before);
    c.exec(&["/probe", "cat", "/volume/file", "--", "ls", "/volume/dir"]).assert_stdout("");
    c.exec(&["/probe", "write", "/volume/ro/x", "x"]).assert_says("EROFS");
    // With its old name the volume goes as ever.
    rename("/volume", "/data");
    rename("/elsewhere", "/volume");
    remove(&c, &volume);
}

/// Seen to fail on rt that took every empty tmpfs for a mask.
fn removal_takes_what_is_only_like_a_mask() {
    only_rt();
    let empty = scratch().join("empty");
    fs::create_dir(&empty).unwrap();
    let c = running(Bundle::new().with(|c| c["linux"]["maskedPaths"] = json!(["/proc/keys"])));
    let before = points(&c);
    let list = json!([
        mount("/t", "tmpfs", "tmpfs", &["ro"]),
        mount("/empty", "bind", empty.to_str().unwrap(), &["bind", "ro"]),
        mount("/null", "bind", "/dev/null", &["bind"]),
    ]);
    add(&c, &list);
    remove(&c, &list);
    assert_eq!(points(&c), before);
}

fn what_cannot_be_done_is_refused() {
    only_rt();
    if runtime() != Runtime::Rt {
        return;
    }
    let source = directory("source", "x");
    let c = running(Bundle::new());
    let before = points(&c);
    let long = format!("lowerdir={}", "x".repeat(300));
    for (entry, text) in [
        (mount("/proc", "", "", &["remount", "ro"]), "mounts[0].options: \"remount\" is not for"),
        (mount("/o", "overlay", "overlay", &[&long]), "mounts[0].options: an option of more than"),
        (
            mount("/a", "", &source, &["bind", "nonsense"]),
            "\"nonsense\" is not an option of a bind",
        ),
        (mount("", "", &source, &["bind"]), "mounts[0].destination: empty"),
        (mount("/a", "", "", &[]), "mounts[0].type: missing"),
    ] {
        assert_refused(&act(&c, "add", &json!([entry])), text);
    }
    assert_eq!(points(&c), before);
}

fn container_in_the_mount_namespace_of_the_host_is_refused() {
    // What is mounted there stays: for an ordinary user that would be the devices.
    requires!(root);
    only_rt();
    if runtime() != Runtime::Rt {
        return;
    }
    let source = directory("source", "x");
    let b = Bundle::new().without_namespace("mount").with(|c| c["mounts"] = json!([]));
    let c = running(b);
    assert_refused(
        &act(&c, "add", &json!([mount("/a", "", &source, &["bind"])])),
        "the container has no mount namespace of its own",
    );
}

fn wrong_states_are_refused() {
    only_rt();
    let list = json!([mount("/a", "tmpfs", "tmpfs", &[])]);
    let c = Bundle::new().start(&["/probe", "true"]);
    until("the end", || (c.status() == "stopped").then_some(()));
    assert_refused(&act(&c, "add", &list), "stopped");
    rt(["mounts", "add", "no-such-container", "-"]).stdin("[]").output().assert_fails();
    if runtime() != Runtime::Rt {
        return;
    }
    let c = running(Bundle::new());
    if c.call("pause").output().code != 0 {
        return; // no freezer in this view
    }
    let output = act(&c, "add", &list);
    assert_refused(&output, "cannot change the mounts of a paused container");
    assert_refused(&output, &format!("hint: resume it with: rt resume {}", c.id()));
    c.call("resume").output().assert_exit(0);
    add(&c, &list);
}

fn read_only_root_wants_a_mount_point() {
    only_rt();
    let source = directory("source", "of the host");
    let b = Bundle::new().directory("/there").with(|c| c["root"]["readonly"] = json!(true));
    let c = running(b);
    add(&c, &json!([mount("/there", "bind", &source, &["bind"])]));
    c.exec(&["/probe", "cat", "/there/text"]).assert_stdout("of the host");
    let output = act(&c, "add", &json!([mount("/new", "bind", &source, &["bind"])]));
    assert_refused(&output, "EROFS");
    if runtime() == Runtime::Rt {
        assert_refused(&output, "hint: mount over a directory or file that is there");
    }
}

/// A payload with all rights looks at every process there is, and sees none.
fn mounter_is_not_seen_inside() {
    only_rt();
    requires!(root);
    let b = privileged(Bundle::new());
    let stop = b.inside("/tmp/stop");
    let c = b.start(&["/probe", "attack", "seen", "25"]);
    c.wait_for("ready");
    let source = directory("source", "x");
    let list =
        json!([mount("/data", "bind", &source, &["bind"]), mount("/p", "proc", "proc", &[])]);
    for _ in 0..8 {
        if act(&c, "add", &list).code == 0 {
            act(&c, "remove", &list);
        }
    }
    fs::write(stop, "").unwrap();
    c.wait_status("stopped");
    assert_eq!(c.stdout(), "ready\nend\n");
    c.delete();
}

/// It is in the container's cgroup: what it copies is paid by the container.
fn limits_of_the_container_hold_the_mounter() {
    only_rt();
    requires!(controller("memory"));
    let b = Bundle::new().directory("/big").with(|c| {
        c["linux"]["resources"] = json!({ "memory": { "limit": 16 << 20, "swap": 16 << 20 } });
    });
    fs::write(b.inside("/big/file"), vec![7; 40 << 20]).unwrap();
    let c = running(b);
    let list = json!([mount("/big", "tmpfs", "tmpfs", &["tmpcopyup"])]);
    act(&c, "add", &list).assert_fails();
    // It may have been the payload that the kernel has chosen.
    if c.status() == "running" {
        assert!(!points(&c).contains("/big"));
        add(&c, &json!([mount("/other", "tmpfs", "tmpfs", &["tmpcopyup"])]));
    }
}

/// The same attacks as on create, here from inside a container that runs.
fn destination_does_not_lead_out() {
    only_rt();
    let canary = Canary::new();
    let source = directory("source", "of the volume");
    for way in ways(&canary) {
        let b = Bundle::new().directory("/links");
        symlink(&way, b.inside("/links/out")).unwrap();
        let c = running(b);
        for below in ["", "/sub/dir"] {
            let at = format!("/links/out{below}");
            let entries = [
                mount(&at, "bind", &source, &["bind"]),
                mount(&at, "bind", &format!("{source}/text"), &["bind"]),
                mount(&at, "tmpfs", "tmpfs", &["tmpcopyup"]),
            ];
            for entry in entries {
                let added = act(&c, "add", &json!([entry]));
                let look = c.exec(&["/probe", "cat", &format!("{at}/text")]);
                assert!(!look.stdout().contains("of the host"), "{way}: {}", look.stdout());
                if added.code != 0 {
                    assert!(!added.stderr().contains("internal error"), "{}", added.stderr());
                }
                canary.assert_untouched();
                act(&c, "remove", &json!([entry]));
                canary.assert_untouched();
            }
        }
        c.delete_force();
    }
    // Nothing was mounted on the host's side.
    let host = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!host.contains("canary"), "{host}");
}

/// The container has a directory of the same name; and an overlay's layers are the host's.
fn source_is_of_the_host_whatever_the_container_has() {
    only_rt();
    let source = directory("source", "of the host");
    let b = Bundle::new();
    let same = b.inside(&source);
    fs::create_dir_all(&same).unwrap();
    fs::write(same.join("text"), "of the container").unwrap();
    let c = running(b);
    add(&c, &json!([mount("/a", "bind", &source, &["bind"])]));
    c.exec(&["/probe", "cat", "/a/text"]).assert_stdout("of the host");
    if runtime() != Runtime::Rt {
        return; // crun has binds only
    }
    let upper = directory("upper", "x");
    fs::remove_file(Path::new(&upper).join("text")).unwrap();
    let upper = HostMount::tmpfs(Path::new(&upper), "size=1m");
    let layer = |name: &str| {
        let dir = upper.path().join(name);
        fs::create_dir(&dir).unwrap();
        dir.display().to_string()
    };
    let options = [
        format!("lowerdir={source}"),
        format!("upperdir={}", layer("up")),
        format!("workdir={}", layer("work")),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    add(&c, &json!([mount("/o", "overlay", "overlay", &options)]));
    c.exec(&["/probe", "cat", "/o/text"]).assert_stdout("of the host");
    c.exec(&["/probe", "write", "/o/text", "changed"]).assert_exit(0);
    assert_eq!(fs::read_to_string(Path::new(&source).join("text")).unwrap(), "of the host");
}

/// While mounts come and go, the payload exchanges the destination's parent for a link to the host's
/// directory. There are two defences: the look-up ends inside, and the mounter has left the host's
/// mounts, so that the kernel takes no other destination.
fn swapped_destination_does_not_lead_out() {
    only_rt();
    requires!(root);
    let canary = Canary::new();
    let source = directory("source", "of the volume");
    let b = Bundle::new().directory("/vol/a/below").symlink("/vol/b", canary.path());
    let stop = b.inside("/tmp/stop");
    let c = b.start(&["/probe", "attack", "exchange", "25", "/vol/a", "/vol/b"]);
    c.wait_for("ready");
    let list = json!([mount("/vol/a/below", "bind", &source, &["bind"])]);
    let (mut added, begin) = (0, Instant::now());
    let spent = |millis| begin.elapsed() > Duration::from_millis(millis);
    while !spent(1500) || (added < 4 && !spent(15_000)) {
        added += u32::from(act(&c, "add", &list).code == 0);
        act(&c, "remove", &list);
        canary.assert_untouched();
    }
    let after = points(&c);
    fs::write(stop, "").unwrap();
    assert!(added > 3, "only {added} mounts were made");
    assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains("canary"));
    for at in after {
        let own = ["/vol/a/", "/vol/b/", canary.path()].iter().any(|own| at.starts_with(own));
        assert!(own || !at.contains("below"), "{at}");
    }
}

/// A lookup waits as long as a file system of the container lets it; so rt must not hold the lock
/// which `delete` needs.
fn no_lock_is_held_meanwhile() {
    only_rt();
    if runtime() != Runtime::Rt {
        return;
    }
    let c = running(Bundle::new());
    let dir = fs::File::open(isolate::state_root().join(c.id())).unwrap();
    let lock = Flock::lock(dir, FlockArg::LockExclusiveNonblock).expect("the lock");
    add(&c, &json!([mount("/a", "tmpfs", "tmpfs", &[])]));
    assert!(points(&c).contains("/a"));
    drop(lock);
}
