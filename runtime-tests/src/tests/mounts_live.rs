//! `rt mounts`: mounts that come into a running container and go again.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use runtime_tests::config::mount;
use runtime_tests::prelude::*;
use runtime_tests::second_user::SecondUser;

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
];

/// Debian's runc has no such command, and its crun is older than the command (crun 1.21).
pub(super) fn only_rt() {
    if runtime() == Runtime::Runc {
        skip!(Machine, "runc has no command mounts");
    }
    if runtime() == Runtime::Crun && rt(["mounts", "--help"]).output().code != 0 {
        skip!(Machine, "this crun is older than its command mounts");
    }
}

pub(super) fn running(b: Bundle) -> Container {
    b.start(&["/probe", "sleep", "60"])
}

pub(super) fn act(c: &Container, action: &str, mounts: &Value) -> Output {
    rt(["mounts", action, c.id(), "-"]).stdin(mounts.to_string()).output()
}

#[track_caller]
pub(super) fn add(c: &Container, mounts: &Value) {
    act(c, "add", mounts).assert_exit(0);
}

#[track_caller]
pub(super) fn remove(c: &Container, mounts: &Value) {
    act(c, "remove", mounts).assert_exit(0);
}

/// mountinfo, as a process of the container sees it.
pub(super) fn table(c: &Container) -> Vec<String> {
    let output = c.exec(&["/probe", "mounts"]);
    output.assert_exit(0);
    output.lines()
}

pub(super) fn points(c: &Container) -> BTreeSet<String> {
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
pub(super) fn assert_refused(output: &Output, text: &str) {
    output.assert_fails();
    output.assert_stderr_has(text);
}

#[track_caller]
fn assert_begins(output: &Output, text: &str) {
    assert!(output.stdout().starts_with(text), "wanted {text:?}: {}", output.stdout());
}

pub(super) fn directory(name: &str, text: &str) -> String {
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
