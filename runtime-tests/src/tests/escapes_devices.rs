//! Attacks of the past by way of /dev: nodes, terminals and masks that the image or a shared volume
//! has made into something else.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use runtime_tests::prelude::*;

use super::escapes::privileged;
use super::escapes_mounts::{Canary, race, ways};

tests![
    cve_2025_31133_mask_is_not_the_null_of_the_image,
    masked_file_does_not_lead_to_the_null_of_the_host,
    bound_node_does_not_lead_to_the_node_of_the_host,
    cve_2025_52565_console_is_a_terminal_or_nothing,
    cve_2026_88264_console_is_not_made_through_a_link,
    cve_2026_88265_null_is_not_a_link,
    cve_2026_41579_dev_of_the_image_is_a_link,
];

/// runc GHSA-9493-h29p-rfm2: the image's /dev/null was the cover of masked files, and may be a link.
///
/// Seen to fail on runc 1.1.5 and crun 1.8.1.
fn cve_2025_31133_mask_is_not_the_null_of_the_image() {
    requires!(root);
    differs!(Runc, "1.1.5 has the hole; 1.2.8 does not");
    differs!(Crun, "1.8.1 takes it for the standard streams, CVE-2026-88265");
    let dev = scratch().join("dev");
    fs::create_dir(&dev).unwrap();
    symlink("/shown", dev.join("null")).unwrap();
    let b = Bundle::new().file("/shown", "through the mask").file("/masked", "secret");
    let b = b.mount("/dev", "bind", dev.to_str().unwrap(), &["rbind"]);
    let b = b.with(|c| {
        c["mounts"]
            .as_array_mut()
            .unwrap()
            .retain(|m| !["tmpfs", "devpts"].contains(&m["type"].as_str().unwrap()));
        c["linux"]["maskedPaths"] = json!(["/masked", "/proc/timer_list"]);
    });
    let output = b.run(&[
        "/probe",
        "cat",
        "/masked",
        "--",
        "cat",
        "/proc/timer_list",
        "--",
        "stat",
        "/masked",
    ]);
    output.assert_exit(0);
    assert!(
        output.stdout().starts_with("char ") && output.stdout().contains(" 1:3 "),
        "{}",
        output.stdout()
    );
}

/// The cover is the host's own node: what root of the container does to it must not arrive there.
///
/// Seen to fail on rt whose cover was writable.
fn masked_file_does_not_lead_to_the_null_of_the_host() {
    requires!(root);
    let state = || {
        let m = fs::metadata("/dev/null").unwrap();
        (m.mode(), m.uid(), m.gid(), m.ctime(), m.ctime_nsec())
    };
    let before = state();
    let b = privileged(Bundle::new()).file("/masked", "secret");
    let b = b.with(|c| c["linux"]["maskedPaths"] = json!(["/masked"]));
    let output = b.run(&[
        "/probe", "attack", "fchmod", "/masked", "--", "chown", "/masked", "0", "0", "--",
        "attack", "truncate", "/masked", "--", "write", "/masked", "x", "--", "cat", "/masked",
    ]);
    assert_eq!(state(), before, "{}", output.stdout());
    assert!(!output.stdout().contains("secret"), "{}", output.stdout());
}

/// The same for a node that is bound, here over an empty file of the image.
///
/// Seen to fail on rt that bound it writable.
fn bound_node_does_not_lead_to_the_node_of_the_host() {
    requires!(root);
    differs!(Runc, "leaves the empty file as it is");
    differs!(Crun, "leaves the empty file as it is");
    let state = || {
        let m = fs::metadata("/dev/null").unwrap();
        (m.mode(), m.uid(), m.gid(), m.ctime(), m.ctime_nsec())
    };
    let before = state();
    let b = privileged(Bundle::new()).file("/dev/null", "").with(|c| {
        let all = c["mounts"].as_array_mut().unwrap();
        all.retain(|m| !m["destination"].as_str().unwrap().starts_with("/dev"));
    });
    let output = b.run(&[
        "/probe",
        "attack",
        "fchmod",
        "/dev/null",
        "--",
        "chown",
        "/dev/null",
        "0",
        "0",
        "--",
        "open",
        "/dev/null",
        "rw",
    ]);
    assert_eq!(state(), before, "{}", output.stdout());
    output.assert_says("EROFS\nEROFS\nok");
}

/// A shared volume as /dev, with a terminal: /dev/console, /dev/ptmx and /dev/pts/N are what the
/// attacker makes of them.
fn with_dev(volume: &Path) -> Bundle {
    Bundle::new()
        .file("/shown", "covered")
        .mount("/dev", "bind", volume.to_str().unwrap(), &["rbind"])
        .with(|c| {
            let mounts = c["mounts"].as_array_mut().unwrap();
            mounts.retain(|m| m["type"] != "tmpfs");
            mounts.sort_by_key(|m| m["destination"].as_str().unwrap().len());
            c["process"]["terminal"] = json!(true);
        })
}

fn run_on_a_terminal(b: &Bundle) -> (Output, String) {
    let (mut master, slave) = runtime_tests::pty::open(24, 80);
    let output = b.run_call().arg(b.id()).terminal(slave).output();
    let text = master.read_to_end();
    (output, text)
}

/// runc GHSA-qw9x-cqr3-wc7r: /dev/pts/N was a link by the time it was bound to /dev/console.
///
/// Seen to fail on rt that bound /dev/pts/N by its path.
fn cve_2025_52565_console_is_a_terminal_or_nothing() {
    requires!(root);
    let canary = Canary::new();
    let volume = scratch().join("volume");
    for dir in ["pts", "links"] {
        fs::create_dir_all(volume.join(dir)).unwrap();
    }
    symlink("pts/ptmx", volume.join("ptmx")).unwrap();
    symlink("/dev/pts/ptmx", volume.join("links/ptmx")).unwrap();
    for n in 0..4 {
        symlink("/shown", volume.join("links").join(n.to_string())).unwrap();
    }
    race(&["exchange", "25", "/vol/pts", "/vol/links"], &volume, |_| {
        let b = with_dev(&volume).args(&["/probe", "lstat", "/dev/console"]);
        let (output, text) = run_on_a_terminal(&b);
        assert!(output.code != 0 || text.starts_with("char "), "{text}");
        fs::remove_dir_all(b.dir()).unwrap();
        fs::remove_file(volume.join("console")).ok();
    });
    canary.assert_untouched();
}

/// crun 1.30 (CVE-2026-88264): a link in place of /dev/console made a file on the host.
///
/// Seen to fail on runc 1.1.5, and on rt that followed the link.
fn cve_2026_88264_console_is_not_made_through_a_link() {
    requires!(root);
    differs!(Runc, "1.1.5 makes the file that the link names, inside the root");
    let canary = Canary::new();
    for to in ways(&canary).into_iter().chain(["/shown".to_owned(), "/made".to_owned()]) {
        let volume = scratch().join("volume");
        fs::create_dir_all(volume.join("pts")).unwrap();
        symlink("pts/ptmx", volume.join("ptmx")).unwrap();
        symlink(&to, volume.join("console")).unwrap();
        let b = with_dev(&volume).args(&["/probe", "lstat", "/dev/console", "--", "cat", "/shown"]);
        let (output, text) = run_on_a_terminal(&b);
        assert!(output.code != 0 || text.contains("covered"), "{text}");
        assert!(!b.inside("/made").exists());
        canary.assert_untouched();
        fs::remove_dir_all(volume).unwrap();
    }
}

/// crun 1.30 (CVE-2026-88265): a link in place of /dev/null was opened for the standard streams and
/// given to the payload's user.
///
/// Seen to fail on crun 1.8.1.
fn cve_2026_88265_null_is_not_a_link() {
    requires!(root);
    differs!(Crun, "1.8.1 has the hole; 1.30 does not");
    let dev = scratch().join("dev");
    fs::create_dir(&dev).unwrap();
    symlink("/shown", dev.join("null")).unwrap();
    let b =
        Bundle::new().file("/shown", "").mount("/dev", "bind", dev.to_str().unwrap(), &["rbind"]);
    let b = b.with(|c| {
        c["mounts"]
            .as_array_mut()
            .unwrap()
            .retain(|m| !["tmpfs", "devpts"].contains(&m["type"].as_str().unwrap()));
    });
    let shown = b.inside("/shown");
    let output = b.run(&["/probe", "echo", "to the caller"]);
    assert!(output.code != 0 || output.stdout() == "to the caller\n", "{}", output.stdout());
    assert_eq!(fs::read_to_string(shown).unwrap(), "");
    fs::remove_dir_all(dev).unwrap();
    let canary = Canary::new();
    for to in ways(&canary) {
        let dev = scratch().join("dev");
        fs::create_dir(&dev).unwrap();
        symlink(format!("{to}/null"), dev.join("null")).unwrap();
        let b = Bundle::new()
            .mount("/dev", "bind", dev.to_str().unwrap(), &["rbind"])
            .args(&["/probe", "true"]);
        let b = b.with(|c| {
            c["mounts"]
                .as_array_mut()
                .unwrap()
                .retain(|m| !["tmpfs", "devpts"].contains(&m["type"].as_str().unwrap()));
            c["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        });
        b.write();
        let pipes = ["/bin/sh", "-c", "echo x | \"$@\" 2>&1 | cat", "sh"];
        b.run_call().arg(b.id()).through(pipes).output();
        canary.assert_untouched();
        fs::remove_dir_all(dev).unwrap();
    }
}

/// runc and crun, CVE-2026-41579 and CVE-2026-47766: a link in place of /dev led the making of nodes and
/// of /dev/ptmx to the host. The host's own ptmx would be lost.
///
/// Seen to fail on runc 1.1.5 and crun 1.8.1.
fn cve_2026_41579_dev_of_the_image_is_a_link() {
    requires!(root);
    differs!(Runc, "1.1.5 has the hole");
    differs!(Crun, "1.8.1 has the hole");
    let canary = Canary::new();
    for to in ways(&canary) {
        for mounted in [true, false] {
            let b = Bundle::new();
            fs::remove_dir(b.inside("/dev")).unwrap();
            symlink(&to, b.inside("/dev")).unwrap();
            let b = b.with(|c| {
                if !mounted {
                    let all = c["mounts"].as_array_mut().unwrap();
                    all.retain(|m| !m["destination"].as_str().unwrap().starts_with("/dev"));
                }
            });
            b.run(&["/probe", "true"]);
            canary.assert_untouched();
        }
    }
}
