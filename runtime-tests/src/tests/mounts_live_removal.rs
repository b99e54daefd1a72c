//! Mounts taken from running containers, `mounts remove`.

use std::fs;

use runtime_tests::config::mount;
use runtime_tests::prelude::*;

use super::mounts_live::{act, add, assert_refused, only_rt, points, remove, running, table};

tests![
    mounts_on_mounts_come_and_go_in_order,
    removal_names_what_is_not_there,
    removal_does_not_follow_links,
    removal_leaves_masks_and_the_root,
    removal_leaves_masks_whose_parent_was_renamed,
    removal_takes_what_is_only_like_a_mask,
];

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
