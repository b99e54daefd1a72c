//! `bundles run` of images: what their configuration says, the layers over each other, as root and as
//! an ordinary user, and nothing left behind.

use std::fs;
use std::path::Path;

use runtime_tests::archive::{Tar, config, saved_with};
use runtime_tests::companion::{bundles, bundles_as, home};
use runtime_tests::prelude::*;
use runtime_tests::second_user::SecondUser;
use tar::EntryType;

tests![
    companion_image_says_what_runs,
    companion_layers_lie_over_each_other,
    companion_opaque_root_hides_all_below,
    companion_files_of_a_container_last_till_it_is_removed,
    companion_container_without_layers_to_see_leaves_no_mount,
    companion_umask_of_the_caller_is_not_the_containers,
    companion_many_layers,
    companion_bundle_is_for_any_runtime,
    companion_images_of_an_ordinary_user,
    companion_images_of_an_ordinary_user_with_ranges,
    companion_ordinary_user_leaves_no_process,
];

const APPLETS: &[&str] = &[
    "cat", "chmod", "chown", "cp", "echo", "env", "grep", "head", "id", "ln", "ls", "mkdir",
    "mknod", "mount", "mv", "pwd", "rm", "sh", "sleep", "sort", "stat", "test", "touch", "true",
    "wc",
];

fn base() -> Tar {
    let busybox = fs::read(runtime_tests::bundle::busybox().expect("busybox")).expect("busybox");
    let tar = Tar::new().busybox(&busybox, APPLETS).directory("etc").directory("srv");
    tar.file("etc/passwd", b"root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:\n")
        .file("etc/group", b"web:x:34:\n")
        .file("srv/lower", b"lower\n")
        .file("srv/gone", b"gone\n")
        .entry(EntryType::Regular, "srv/web", b"", |header| header.set_uid(33))
}

/// An archive with the image `app:1`.
pub(super) fn archive(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    requires!(companion, busybox);
    if runtime() == Runtime::Crun {
        requires!(capability(24, "CAP_SYS_RESOURCE"));
    }
    let upper = Tar::new().directory("srv").file("srv/lower", b"upper\n").file("srv/.wh.gone", b"");
    archive_of(&[base().bytes(), upper.bytes()], change)
}

fn archive_of(layers: &[Vec<u8>], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut config = config(layers);
    config["config"] = json!({
        "Env": ["PATH=/bin", "FROM=image"], "Entrypoint": ["/bin/echo", "Hello"], "Cmd": ["World"],
        "WorkingDir": "/srv", "Labels": { "of": "image" },
    });
    change(&mut config["config"]);
    saved_with("app:1", layers, &config)
}

fn image(change: impl FnOnce(&mut Value)) {
    requires!(root);
    bundles(["load", "-q"]).stdin(archive(change)).ok();
}

fn run(flags: &[&str], args: &[&str]) -> Call {
    bundles(["run", "--runtime"])
        .arg(runtime_tests::runtime::path())
        .args(["--network", "none"])
        .args(flags)
        .arg("app:1")
        .args(args)
}

fn assert_nothing_is_left(home: &Path) {
    for dir in ["containers", "tmp"] {
        let entries = fs::read_dir(home.join(dir)).into_iter().flatten(); // none before the first
        let left: Vec<_> = entries.flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    assert!(!mounts.contains(home.to_str().expect("UTF-8")), "{mounts}");
}

fn companion_image_says_what_runs() {
    image(|_| ());
    assert_eq!(run(&["--rm"], &[]).ok(), "Hello World\n");
    assert_eq!(run(&["--rm"], &["aaa", "--rm", "-d"]).ok(), "Hello aaa --rm -d\n");
    let script = ["-c", "pwd; echo $FROM $A; id -u"];
    let own = ["--rm", "--entrypoint", "sh", "-e", "A=b"];
    assert_eq!(run(&own, &script).ok(), "/srv\nimage b\n0\n");
    assert_eq!(
        run(&[&own[..], &["-w", "/etc", "-u", "web"]].concat(), &script).ok(),
        "/etc\nimage b\n33\n"
    );
    run(&["--name", "labelled", "-l", "by=flag"], &[]).ok();
    let labels = bundles(["inspect", "-f", "{{json .Config.Labels}}", "labelled"]).ok();
    assert_eq!(labels, "{\"by\":\"flag\",\"of\":\"image\"}\n");
    bundles(["rm", "labelled"]).ok();
    let missing = bundles(["run", "--pull", "never", "nosuch:1"]).output();
    missing.assert_exit(125).assert_stderr_has("image nosuch:1: not in the store");
    assert_nothing_is_left(&home());
}

fn companion_opaque_root_hides_all_below() {
    requires!(root, companion, busybox);
    let busybox = fs::read(runtime_tests::bundle::busybox().expect("busybox")).expect("busybox");
    let only = Tar::new().busybox(&busybox, APPLETS).file(".wh..wh..opq", b"").file("own", b"");
    let layers = [base().bytes(), only.bytes(), Tar::new().file("above", b"").bytes()];
    let archive = archive_of(&layers, |config| {
        config["Entrypoint"] = Value::Null;
        config["WorkingDir"] = "/".into();
    });
    bundles(["load", "-q"]).stdin(archive).ok();
    let seen = run(&["--rm"], &["sh", "-c", "ls -d /own /above /srv /etc/passwd 2>/dev/null"]);
    assert_eq!(seen.output().stdout(), "/above\n/own\n");
    assert_nothing_is_left(&home());
}

fn companion_layers_lie_over_each_other() {
    image(|config| config["Entrypoint"] = Value::Null);
    let seen = run(&["--rm"], &["sh", "-c", "ls /srv; cat lower; stat -c %u web"]).ok();
    assert_eq!(seen, "lower\nweb\nupper\n33\n");
    run(&["--rm"], &["sh", "-c", "rm -r /srv; touch /srv2"]).ok();
    let seen = run(&["--rm"], &["sh", "-c", "ls; ls -d /srv*"]).ok();
    assert_eq!(seen, "lower\nweb\n/srv\n", "what another wrote");
    assert_nothing_is_left(&home());
}

fn companion_files_of_a_container_last_till_it_is_removed() {
    image(|config| config["Entrypoint"] = Value::Null);
    run(&["--name", "keeper"], &["sh", "-c", "cat /kept; echo again >>/kept"]).ok();
    bundles(["start", "keeper"]).ok();
    bundles(["wait", "keeper"]).ok();
    until("it has written", || bundles(["logs", "keeper"]).ok().contains("again").then_some(()));
    bundles(["rm", "keeper"]).ok();
    assert_nothing_is_left(&home());
}

fn companion_container_without_layers_to_see_leaves_no_mount() {
    image(|config| config["Entrypoint"] = json!(["/nosuch"]));
    run(&["--rm"], &[]).output().assert_exit(127);
    run(&["--rm", "-u", "nosuch"], &[]).output().assert_exit(125);
    run(&["--name", "made"], &[]).output().assert_exit(127);
    bundles(["rm", "made"]).ok();
    assert_nothing_is_left(&home());
}

/// Neither do other users of the container see nothing, nor may they change its `/`.
fn companion_umask_of_the_caller_is_not_the_containers() {
    image(|config| config["Entrypoint"] = Value::Null);
    for mask in ["077", "000"] {
        let flags = ["--rm", "-u", "web", "-v", "/anonymous"];
        let call = run(&flags, &["sh", "-c", "stat -c %a / /anonymous /etc/hosts; id -u"]);
        let set = format!("umask {mask}; exec \"$@\"");
        assert_eq!(call.through(["/bin/sh", "-c", &set, "sh"]).ok(), "755\n755\n644\n33\n");
    }
    assert_nothing_is_left(&home());
}

fn companion_many_layers() {
    requires!(root, companion, busybox);
    let mut layers = vec![base().bytes()];
    for number in 0..150_u32 {
        layers.push(Tar::new().file(&format!("layer-{number}"), b"").bytes());
    }
    let mut config = config(&layers);
    config["config"] = json!({ "Env": ["PATH=/bin"] });
    bundles(["load", "-q"]).stdin(saved_with("app:1", &layers, &config)).ok();
    let seen = run(&["--rm"], &["sh", "-c", "ls -d /layer-*"]).ok();
    assert_eq!(seen.lines().count(), 150);
}

fn companion_bundle_is_for_any_runtime() {
    image(|config| config["Entrypoint"] = Value::Null);
    let dir = scratch().join("bundle");
    let call = |args: &[&str]| bundles(["bundle", "-e", "A=b", "app:1"]).arg(&dir).args(args);
    call(&["sh", "-c", "echo $FROM $A; cat lower; ls; stat -c %u web"]).ok();
    let run = rt(["run", "--bundle"]).arg(&dir).arg("plain");
    assert_eq!(run.ok(), "image b\nupper\nlower\nweb\n33\n");
    call(&["true"]).output().assert_exit(1).assert_stderr_has("the directory is not empty");
    let flags = ["bundle", "-v", "/srv:/srv", "app:1", "/run/t/other"];
    bundles(flags)
        .output()
        .assert_exit(1)
        .assert_stderr_has("-v /srv:/srv: a bundle has no volumes");
    bundles(["bundle", "app:1"]).output().assert_exit(1).assert_stderr_has("no directory");
    assert_nothing_is_left(&home());
}

fn as_user(user: &SecondUser, web: &str) {
    let runtime = runtime_tests::runtime::path().display().to_string();
    let call = |words: &[&str]| bundles_as(user, words);
    let run = |flags: &[&str], args: &[&str]| {
        let words = ["run", "--runtime", &runtime, "--network", "none"];
        call(&[&words[..], flags, &["app:1"], args].concat())
    };
    call(&["load", "-q"]).stdin(archive(|config| config["Entrypoint"] = Value::Null)).ok();
    let seen = run(&["--rm"], &["sh", "-c", "id -u; ls; cat lower; stat -c %u web; touch /new"]);
    assert_eq!(seen.ok(), format!("0\nlower\nweb\nupper\n{web}\n"));
    run(&["-d", "--name", "sleeper"], &["sleep", "60"]).ok();
    assert_eq!(call(&["exec", "sleeper", "cat", "/srv/lower"]).ok(), "upper\n");
    call(&["stop", "-t", "0", "sleeper"]).ok();
    call(&["rm", "sleeper"]).ok();
    if web == "33" {
        assert_eq!(run(&["--rm", "-u", "web"], &["id", "-u"]).ok(), "33\n");
    } else {
        run(&["--rm", "-u", "web"], &["id"]).output().assert_exit(125);
    }
    assert_nothing_is_left(&user.directory("share").join("bundles"));
}

fn companion_images_of_an_ordinary_user() {
    as_user(&SecondUser::new(), "0");
}

fn companion_images_of_an_ordinary_user_with_ranges() {
    as_user(&SecondUser::with_ranges(), "33");
}

/// Neither that of his namespaces, nor a monitor.
fn companion_ordinary_user_leaves_no_process() {
    let user = SecondUser::with_ranges();
    as_user(&user, "33");
    until("all processes end", || {
        bundles_as(&user, ["volume", "prune", "-f"]).ok();
        let ours = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).starts_with("bundles-")
        };
        (!runtime_tests::leaks::pids().iter().any(ours)).then_some(())
    });
}
