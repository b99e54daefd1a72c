//! Attacks of the past by way of mounts, links in the image, and names that change meanwhile.
//!
//! A directory of the host, the canary, stands for all that a container must not reach. One test
//! per attack, named after its CVE; each says on what it was seen to fail.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runtime_tests::prelude::*;

use super::escapes::privileged;

tests![
    cve_2019_18837_mount_point_is_made_inside,
    cve_2024_45310_directories_are_made_inside,
    cve_2021_30465_mount_is_not_exchanged_for_a_link,
    cve_2025_52881_sysctl_is_not_written_to_a_mount_over_proc,
    cve_2023_28642_proc_and_sys_are_no_links,
    cve_2026_115521_read_only_survives_a_proc_of_the_image,
    cve_2023_25809_cgroups_of_the_host_are_not_writable,
    root_cannot_be_left,
    long_options_keep_the_flags,
];

/// A directory of the host with one file in it.
pub(super) struct Canary {
    dir: PathBuf,
    before: Vec<String>,
}

impl Canary {
    pub(super) fn new() -> Self {
        let dir = scratch().join("canary");
        fs::create_dir_all(dir.join("below")).unwrap();
        fs::write(dir.join("text"), "of the host").unwrap();
        fs::write(dir.join("null"), "of the host").unwrap();
        fs::write(dir.join("ptmx"), "of the host").unwrap();
        let before = Self::look(&dir);
        Self { dir, before }
    }

    pub(super) fn path(&self) -> &str {
        self.dir.to_str().unwrap()
    }

    /// Names, types, owners, sizes and contents.
    fn look(dir: &Path) -> Vec<String> {
        let mut all = Vec::new();
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let m = entry.metadata().unwrap();
            // Nodes and links are told by their type: reading /dev/zero has no end.
            let text = if m.is_file() {
                fs::read_to_string(entry.path()).unwrap_or_default()
            } else {
                String::new()
            };
            let line =
                format!("{} {:o} {} {} {text}", entry.path().display(), m.mode(), m.uid(), m.gid());
            all.push(line);
            if m.is_dir() {
                all.extend(Self::look(&entry.path()));
            }
        }
        all.sort();
        all
    }

    #[track_caller]
    pub(super) fn assert_untouched(&self) {
        assert_eq!(Self::look(&self.dir), self.before, "the host's directory has changed");
    }
}

/// Ways from the image to the canary.
pub(super) fn ways(canary: &Canary) -> Vec<String> {
    let up = "../".repeat(16);
    let path = canary.path();
    vec![
        path.to_owned(),
        format!("{up}{path}"),
        format!("{path}/new"),
        format!("{path}/text"),
        format!("/proc/self/root{path}"),
        format!("/proc/1/root{path}"),
        "/proc/self/fd/7".to_owned(),
        format!("/proc/self/cwd/{up}{path}"),
    ]
}

/// crun: the last part of a mount's destination was followed out of the root file system; runc 2016
/// to 2024 had several of the kind.
///
/// Seen to fail on rt without `RESOLVE_IN_ROOT`.
fn cve_2019_18837_mount_point_is_made_inside() {
    let canary = Canary::new();
    let source = scratch().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "x").unwrap();
    let sources = [("tmpfs", "tmpfs"), ("bind", source.to_str().unwrap())];
    let file = source.join("file").display().to_string();
    for way in ways(&canary) {
        for below in ["", "/sub/dir"] {
            for (kind, source) in sources.into_iter().chain([("bind", file.as_str())]) {
                let b = Bundle::new().directory("/links");
                symlink(&way, b.inside("/links/out")).unwrap();
                let at = format!("/links/out{below}");
                let options: &[&str] = if kind == "bind" { &["bind"] } else { &[] };
                let output = b.mount(&at, kind, source, options).run(&[
                    "/probe",
                    "cat",
                    &format!("{at}/text"),
                ]);
                assert!(!output.stdout().contains("of the host"), "{way}: {}", output.stdout());
                canary.assert_untouched();
            }
        }
    }
}

/// Runs victims one after the other while a container exchanges or swaps names on a shared volume.
pub(super) fn race(attack: &[&str], volume: &Path, victim: impl Fn(u32)) {
    let volume = volume.to_str().unwrap();
    let b = Bundle::new().mount("/vol", "bind", volume, &["rbind"]);
    let stop = b.inside("/tmp/stop");
    let attacker = b.start(&[&["/probe", "attack"], attack].concat());
    attacker.wait_for("ready");
    let end = Instant::now() + Duration::from_secs(12);
    for n in 0..200 {
        victim(n);
        if Instant::now() > end {
            break;
        }
    }
    fs::write(stop, "").unwrap();
    attacker.wait_status("stopped").delete();
}

/// runc GHSA-jfvp-7x6p-h2pv: parents of a mount point were made through a link that came in between.
///
/// Seen to fail on runc 1.1.5, and on rt without `RESOLVE_IN_ROOT`.
fn cve_2024_45310_directories_are_made_inside() {
    requires!(root);
    differs!(Runc, "1.1.5 has the hole; 1.1.14 does not");
    let canary = Canary::new();
    let volume = scratch().join("volume");
    fs::create_dir(&volume).unwrap();
    race(&["swap-link", "25", "/vol/a", canary.path()], &volume, |_| {
        let b = Bundle::new().mount("/vol", "bind", volume.to_str().unwrap(), &["rbind"]);
        let b = b.mount("/vol/a/b/c", "tmpfs", "tmpfs", &[]).mount(
            "/vol/a/d",
            "bind",
            "/proc/version",
            &["bind"],
        );
        b.write();
        b.run_call().arg(b.id()).output();
        fs::remove_dir_all(b.dir()).unwrap();
    });
    canary.assert_untouched();
}

/// runc GHSA-c3xm-pvg7-gh7r: between look-up and mount a directory was exchanged for a link, and the
/// mount went to the host's file system, or showed it.
///
/// Seen to fail on rt without `RESOLVE_IN_ROOT`.
fn cve_2021_30465_mount_is_not_exchanged_for_a_link() {
    requires!(root);
    let canary = Canary::new();
    let volume = scratch().join("volume");
    fs::create_dir_all(volume.join("a/below")).unwrap();
    symlink(canary.path(), volume.join("b")).unwrap();
    let known: BTreeSet<&str> = ["/", "/proc", "/dev", "/dev/pts", "/vol"].into();
    race(&["exchange", "25", "/vol/a", "/vol/b"], &volume, |_| {
        let b = Bundle::new().mount("/vol", "bind", volume.to_str().unwrap(), &["rbind"]);
        let b = b.mount("/vol/a/below", "tmpfs", "tmpfs", &["size=4k"]);
        let b = b.args(&["/probe", "mounts"]);
        b.write();
        let output = b.run_call().arg(b.id()).output();
        for line in output.lines().iter().filter(|_| output.code == 0) {
            let at = line.split(' ').nth(4).unwrap_or_default();
            // The names of mount points follow the exchange.
            let own = known.contains(at) || at.starts_with("/vol/a/") || at.starts_with("/vol/b/");
            // What the canary stands for would show up as a mount of its path.
            let inside =
                at.strip_prefix(canary.path()).is_some_and(|rest| rest.starts_with("/below"));
            assert!(own || inside, "a mount where none should be: {line}");
        }
        // What was mounted outside is not to be seen, and the host's directory is as before.
        let is_mounted = output
            .lines()
            .iter()
            .any(|l| l.split(' ').nth(4).is_some_and(|at| at.ends_with("/below")));
        assert!(output.code != 0 || is_mounted, "the mount went elsewhere: {}", output.stdout());
        fs::remove_dir_all(b.dir()).unwrap();
    });
    canary.assert_untouched();
}

/// runc GHSA-cgrx-mc8f-2prm, GHSA-fgv8-vj5c-2ppq: what is mounted over /proc caught the runtime's own
/// writes. Either the mount is refused, or the write reaches the kernel and nothing else.
///
/// Seen to fail on rt that wrote to /proc/sys by its path.
fn cve_2025_52881_sysctl_is_not_written_to_a_mount_over_proc() {
    requires!(root);
    for at in ["/proc/sys", "/proc/sys/net/ipv4", "/proc"] {
        let fake = scratch().join("fake");
        let below = Path::new("/proc/sys/net/ipv4").strip_prefix(at).unwrap();
        fs::create_dir_all(fake.join(below)).unwrap();
        let value = fake.join(below).join("ip_forward");
        fs::write(&value, "fake").unwrap();
        let b = Bundle::new().mount(at, "bind", fake.to_str().unwrap(), &["bind"]);
        let b = b
            .with(|c| c["linux"]["sysctl"] = json!({ "net.ipv4.ip_forward": "1" }))
            .args(&["/probe", "sleep", "60"]);
        let output = b.try_create(&[]);
        assert_eq!(fs::read_to_string(&value).unwrap(), "fake", "{at}");
        if output.code == 0 {
            let c = Container::new(&b, output);
            let net = format!("/proc/{}/ns/net", c.pid());
            let look = Bundle::new().namespace("network", Some(&net));
            look.run(&["/probe", "cat", "/proc/sys/net/ipv4/ip_forward"]).assert_stdout("1");
            c.delete_force();
        }
        fs::remove_dir_all(&fake).unwrap();
    }
}

/// runc GHSA-fh74-hm69-rqjw, GHSA-g2j6-57v7-gm8c, GHSA-m8cg-xc2p-r3fc: a link in place of /proc or /sys
/// made masks and labels meaningless.
///
/// Seen to fail on rt without `forbid_fake_proc`.
fn cve_2023_28642_proc_and_sys_are_no_links() {
    let canary = Canary::new();
    for name in ["proc", "sys"] {
        for to in ["fake", "/fake", canary.path(), "../../../fake"] {
            let b = Bundle::new().directory("/fake");
            fs::remove_dir(b.inside(name)).unwrap();
            symlink(to, b.inside(name)).unwrap();
            let b = if name == "sys" { b.mount("/sys", "sysfs", "sysfs", &["ro"]) } else { b };
            let b = b.with(|c| c["linux"]["maskedPaths"] = json!([format!("/{name}/text")]));
            b.run(&["/probe", "true"]).assert_fails();
            canary.assert_untouched();
        }
    }
}

/// crun 1.31: what is made read-only at the end was looked up in the /proc/self/fd of the image.
///
/// Seen to fail on rt that left out the last remount.
fn cve_2026_115521_read_only_survives_a_proc_of_the_image() {
    let mut b = Bundle::new().file("/data/x", "x").mount("/t", "tmpfs", "tmpfs", &["ro"]);
    for fd in 0..32 {
        b = b
            .directory(&format!("/proc/self/fd/{fd}"))
            .directory(&format!("/proc/thread-self/fd/{fd}"));
    }
    let source = scratch().join("source");
    fs::create_dir(&source).unwrap();
    let b = b.mount("/b", "bind", source.to_str().unwrap(), &["rbind", "ro"]).with(|c| {
        c["mounts"].as_array_mut().unwrap().retain(|m| m["type"] != "proc");
        c["root"]["readonly"] = json!(true);
        c["linux"]["readonlyPaths"] = json!(["/data"]);
    });
    let output = b.run(&[
        "/probe",
        "write",
        "/new",
        "x",
        "--",
        "write",
        "/t/new",
        "x",
        "--",
        "write",
        "/b/new",
        "x",
        "--",
        "write",
        "/data/new",
        "x",
    ]);
    // A runtime that cannot do without procfs refuses, which is as good.
    assert!(output.code != 0, "{}", output.stdout());
    assert!(
        output.stdout().is_empty() || output.stdout() == "EROFS\n".repeat(4),
        "{}",
        output.stdout()
    );
}

/// runc GHSA-m8cg-xc2p-r3fc: without a cgroup namespace the container saw its cgroup writable, and in
/// it that of the user.
/// Seen to fail on rt that forgot the options of the mount.
fn cve_2023_25809_cgroups_of_the_host_are_not_writable() {
    requires!(cgroup_v2);
    let b = Bundle::new().without_namespace("cgroup").mount("/sys", "sysfs", "sysfs", &["ro"]);
    let b = b.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]);
    let output = b.run(&[
        "/probe",
        "mkdir",
        "/sys/fs/cgroup/new",
        "--",
        "write",
        "/sys/fs/cgroup/cgroup.procs",
        "1",
    ]);
    output.assert_says("EROFS\nEROFS");
}

/// The old root is gone: no link of procfs and no chroot(2) leads above the new one.
///
/// Seen to fail on rt that only called chroot(2).
fn root_cannot_be_left() {
    requires!(root);
    let links = [
        "/probe",
        "readlink",
        "/proc/1/root",
        "--",
        "readlink",
        "/proc/1/cwd",
        "--",
        "readlink",
        "/proc/self/root",
    ];
    privileged(Bundle::new()).run(&links).assert_stdout("/\n/\n/");
    for flags in [&[][..], &["--no-pivot"]] {
        for b in [Bundle::new(), privileged(Bundle::new())] {
            let b = b.args(&["/probe", "attack", "chroot", "--", "ls", "/"]);
            let output = b.run_call().args(flags).arg(b.id()).output();
            output.assert_stdout("inside\ndev\netc\nprobe\nproc\nsys\ntmp");
        }
    }
}

/// fsconfig(2) takes no long options, so they go another way. The flags must not get lost on it.
///
/// Seen to fail on rt that set them by the name of the mount.
fn long_options_keep_the_flags() {
    requires!(root, filesystem("overlay"));
    let lower: Vec<String> = (0..8)
        .map(|n| {
            let dir = scratch().join(format!("{n}{}", "x".repeat(60)));
            fs::create_dir(&dir).unwrap();
            dir.display().to_string()
        })
        .collect();
    let option = format!("lowerdir={}", lower.join(":"));
    let b = Bundle::new().mount(
        "/o",
        "overlay",
        "overlay",
        &["ro", "nosuid", "nodev", "noexec", &option],
    );
    let output = b.run(&["/probe", "mounts", "/o", "--", "write", "/o/new", "x"]);
    let line = output.lines().first().cloned().unwrap_or_default();
    let flags = line.split(' ').nth(5).unwrap_or_default().to_owned();
    for flag in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(flags.split(',').any(|f| f == flag), "{flag}: {line} {}", output.stderr());
    }
}
