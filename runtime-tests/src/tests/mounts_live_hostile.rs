//! What `mounts add` refuses, and what a hostile container cannot make of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use runtime_tests::config::mount;
use runtime_tests::isolate;
use runtime_tests::prelude::*;

use super::escapes::privileged;
use super::escapes_mounts::{Canary, ways};
use super::mounts_live::{act, add, assert_refused, directory, only_rt, points, running};

tests![
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
