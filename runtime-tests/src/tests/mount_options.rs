//! config.md, "Mounts": every option family.

use std::fs;

use nix::mount::MsFlags;
use runtime_tests::prelude::*;

tests![
    flags_of_a_new_filesystem,
    defaults_is_no_data_option,
    flags_of_a_bind_mount,
    access_time_options,
    last_of_opposite_options_wins,
    data_options_reach_the_filesystem,
    owner_options_reach_the_filesystem,
    propagation_options,
    recursive_options_reach_submounts,
    recursive_options_take_flags_back,
    rarer_flags,
    plain_options_leave_submounts_alone,
    empty_option_means_nothing,
];

/// Per-mount options, propagation and super options of one mount inside, from /proc/self/mountinfo.
pub(super) struct Seen {
    flags: Vec<String>,
    pub(super) propagation: String,
    pub(super) kind: String,
    data: Vec<String>,
}

impl Seen {
    pub(super) fn of(lines: &[String], at: &str) -> Self {
        let line = lines.iter().rfind(|l| l.split(' ').nth(4) == Some(at));
        let line = line.unwrap_or_else(|| panic!("nothing is mounted at {at}: {lines:#?}"));
        let (left, right) = line.split_once(" - ").unwrap();
        let words: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let list = |text: &str| text.split(',').map(str::to_owned).collect();
        Self {
            flags: list(words[5]),
            propagation: words[6..].join(" "),
            kind: right[0].to_owned(),
            data: list(right[2]),
        }
    }

    #[track_caller]
    pub(super) fn assert(&self, has: &[&str], has_not: &[&str]) {
        let all: Vec<&String> = self.flags.iter().chain(&self.data).collect();
        for flag in has {
            assert!(all.iter().any(|f| f == flag), "no {flag} in {all:?}");
        }
        for flag in has_not {
            assert!(!self.flags.iter().any(|f| f == flag), "{flag} in {:?}", self.flags);
        }
    }
}

/// One row: options, what must be seen, what must not.
type Row = (&'static [&'static str], &'static [&'static str], &'static [&'static str]);

/// Mounts one thing per row, in one container, and compares each row.
fn check_rows(rows: &[Row], mount: impl Fn(Bundle, &str, &[&str]) -> Bundle) {
    let mut b = Bundle::new();
    for (i, (options, _, _)) in rows.iter().enumerate() {
        b = mount(b, &format!("/m{i}"), options);
    }
    let output = b.run(&["/probe", "mounts"]);
    output.assert_exit(0);
    for (i, (options, has, has_not)) in rows.iter().enumerate() {
        println!("row {options:?}");
        Seen::of(&output.lines(), &format!("/m{i}")).assert(has, has_not);
    }
}

const FLAGS: &[Row] = &[
    (&[], &["rw"], &["ro", "nosuid", "nodev", "noexec"]),
    (&["ro"], &["ro"], &["rw"]),
    (&["rw", "nosuid"], &["rw", "nosuid"], &["nodev"]),
    (&["nodev"], &["nodev"], &["nosuid"]),
    (&["noexec"], &["noexec"], &["nosuid"]),
    (&["ro", "nosuid", "nodev", "noexec"], &["ro", "nosuid", "nodev", "noexec"], &["rw"]),
];

fn flags_of_a_new_filesystem() {
    check_rows(FLAGS, |b, at, options| b.mount(at, "tmpfs", "tmpfs", options));
    let sync: &[Row] = &[(&["sync"], &["sync"], &[]), (&["dirsync"], &["dirsync"], &[])];
    check_rows(sync, |b, at, options| b.mount(at, "tmpfs", "tmpfs", options));
}

fn defaults_is_no_data_option() {
    differs!(Runc, "1.1 hands it to tmpfs, which refuses it");
    check_rows(&[(&["defaults", "nosuid"], &["rw", "nosuid"], &["ro"])], |b, at, o| {
        b.mount(at, "tmpfs", "tmpfs", o)
    });
}

fn flags_of_a_bind_mount() {
    let source = scratch().join("source");
    fs::create_dir(&source).unwrap();
    check_rows(FLAGS, |b, at, options| {
        b.mount(at, "bind", source.to_str().unwrap(), &[&["rbind"], options].concat())
    });
}

fn access_time_options() {
    let rows: &[Row] = &[
        (&["noatime"], &["noatime"], &["relatime"]),
        (&["relatime"], &["relatime"], &["noatime"]),
        (&["strictatime"], &[], &["relatime", "noatime"]),
        (&["nodiratime"], &["nodiratime"], &["noatime"]),
        (&["noatime", "nodiratime"], &["noatime", "nodiratime"], &[]),
    ];
    check_rows(rows, |b, at, options| b.mount(at, "tmpfs", "tmpfs", options));
    let source = scratch().join("source");
    fs::create_dir(&source).unwrap();
    check_rows(rows, |b, at, options| {
        b.mount(at, "bind", source.to_str().unwrap(), &[&["bind"], options].concat())
    });
}

fn last_of_opposite_options_wins() {
    differs!(Crun, "rw and suid take nothing back");
    let rows: &[Row] = &[
        (&["ro", "rw"], &["rw"], &["ro"]),
        (&["rw", "ro"], &["ro"], &["rw"]),
        (&["nosuid", "suid"], &[], &["nosuid"]),
        (&["nodev", "dev"], &[], &["nodev"]),
        (&["noexec", "exec"], &[], &["noexec"]),
        (&["exec", "noexec"], &["noexec"], &[]),
    ];
    check_rows(rows, |b, at, options| b.mount(at, "tmpfs", "tmpfs", options));
}

fn data_options_reach_the_filesystem() {
    let b = Bundle::new()
        .mount("/m", "tmpfs", "tmpfs", &["size=1024k", "mode=1770", "nr_inodes=50"])
        .mount("/n", "tmpfs", "name of it", &["noexec", "size=2m"]);
    let output = b.run(&["/probe", "mounts", "--", "stat", "/m"]);
    output.assert_exit(0);
    Seen::of(&output.lines(), "/m").assert(&["size=1024k", "nr_inodes=50"], &[]);
    Seen::of(&output.lines(), "/n").assert(&["size=2048k", "noexec"], &[]);
    assert!(output.stdout().contains("\ndir 1770 0 0 "), "{}", output.stdout());
}

fn owner_options_reach_the_filesystem() {
    requires!(root);
    let b = Bundle::new().mount("/m", "tmpfs", "tmpfs", &["uid=7", "gid=8"]);
    let output = b.run(&["/probe", "stat", "/m"]);
    output.assert_exit(0);
    assert!(output.stdout().contains(" 7 8 "), "{}", output.stdout());
}

/// Binds the source with its submounts to /OPTION for each option, and returns mountinfo of inside.
fn bound<'a>(b: Bundle, source: &HostMount, options: impl Iterator<Item = &'a str>) -> Vec<String> {
    let source = source.path().to_str().unwrap();
    let bind = |b: Bundle, option: &str| {
        b.mount(&format!("/{option}"), "bind", source, &["rbind", option])
    };
    let output = options.fold(b, bind).run(&["/probe", "mounts"]);
    output.assert_exit(0);
    output.lines()
}

fn propagation_options() {
    let source = HostMount::tmpfs(&scratch().join("source"), "size=1m");
    source.change(MsFlags::MS_SHARED);
    let rows = [
        ("private", ""),
        ("rprivate", ""),
        ("slave", "master:"),
        ("rslave", "master:"),
        ("shared", "shared:"),
        ("rshared", "shared:"),
        ("unbindable", "unbindable"),
    ];
    let b = Bundle::new().with(|c| c["linux"]["rootfsPropagation"] = json!("shared"));
    let mounts = bound(b, &source, rows.iter().map(|row| row.0));
    for (option, mark) in rows {
        let seen = Seen::of(&mounts, &format!("/{option}")).propagation;
        let found = if mark.is_empty() { seen.is_empty() } else { seen.starts_with(mark) };
        assert!(found, "{option}: {seen:?}");
    }
}

/// A tmpfs with another one inside, as bind source.
pub(super) fn two_levels() -> (HostMount, HostMount) {
    let top = HostMount::tmpfs(&scratch().join("top"), "size=1m");
    let sub = HostMount::tmpfs(&scratch().join("top/sub"), "size=1m");
    (top, sub)
}

fn recursive_options_reach_submounts() {
    differs!(Crun, "rnoatime gives EINVAL");
    let (top, _sub) = two_levels();
    let rows: &[(&str, &str)] = &[
        ("rro", "ro"),
        ("rnosuid", "nosuid"),
        ("rnodev", "nodev"),
        ("rnoexec", "noexec"),
        ("rnoatime", "noatime"),
        ("rnodiratime", "nodiratime"),
        ("rrelatime", "relatime"),
        ("rnosymfollow", "nosymfollow"),
    ];
    // crun has no such option.
    let known = |row: &&(&str, &str)| row.0 != "rnosymfollow" || runtime() != Runtime::Crun;
    let rows: Vec<_> = rows.iter().filter(known).collect();
    let mounts = bound(Bundle::new(), &top, rows.iter().map(|row| row.0));
    for (option, flag) in rows {
        for at in [format!("/{option}"), format!("/{option}/sub")] {
            println!("{at}");
            Seen::of(&mounts, &at).assert(&[flag], &[]);
        }
    }
}

fn recursive_options_take_flags_back() {
    differs!(Crun, "rrelatime leaves noatime");
    let (top, sub) = two_levels();
    let flags = MsFlags::MS_RDONLY
        | MsFlags::MS_NOSUID
        | MsFlags::MS_NODEV
        | MsFlags::MS_NOEXEC
        | MsFlags::MS_NOATIME;
    for mount in [&top, &sub] {
        mount.change(MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags);
    }
    let rows: &[(&str, &str)] = &[
        ("rrw", "ro"),
        ("rsuid", "nosuid"),
        ("rdev", "nodev"),
        ("rexec", "noexec"),
        ("rrelatime", "noatime"),
    ];
    let mounts = bound(Bundle::new(), &top, rows.iter().map(|row| row.0));
    for (option, flag) in rows {
        for at in [format!("/{option}"), format!("/{option}/sub")] {
            println!("{at}");
            Seen::of(&mounts, &at).assert(&[], &[flag]);
        }
    }
}

/// `silent`, `loud` and `iversion` leave no trace that /proc shows; they must be taken as flags.
fn rarer_flags() {
    let rows: &[Row] = &[
        (&["silent"], &["rw"], &[]),
        (&["loud"], &["rw"], &[]),
        (&["norelatime"], &["rw"], &[]),
        (&["nomand"], &["rw"], &[]),
        (&["async"], &["rw"], &["sync"]),
        (&["atime", "diratime"], &["rw"], &["noatime", "nodiratime"]),
    ];
    differs!(Crun, "knows no loud and silent");
    check_rows(rows, |b, at, options| b.mount(at, "tmpfs", "tmpfs", options));
    let rows: &[Row] = &[
        (&["nosymfollow"], &["nosymfollow"], &[]),
        (&["lazytime"], &["lazytime"], &[]),
        (&["iversion"], &["rw"], &[]),
    ];
    check_rows(rows, |b, at, options| b.mount(at, "tmpfs", "tmpfs", options));
}

fn plain_options_leave_submounts_alone() {
    let (top, _sub) = two_levels();
    let b =
        Bundle::new().mount("/m", "bind", top.path().to_str().unwrap(), &["rbind", "ro", "nosuid"]);
    let output = b.run(&["/probe", "mounts"]);
    output.assert_exit(0);
    Seen::of(&output.lines(), "/m").assert(&["ro", "nosuid"], &[]);
    Seen::of(&output.lines(), "/m/sub").assert(&["rw"], &["ro", "nosuid"]);
}

/// Podman's `--systemd=always` has one in each of its tmpfs.
fn empty_option_means_nothing() {
    let dir = scratch().join("source");
    fs::create_dir(&dir).unwrap();
    let output = Bundle::new()
        .mount("/t", "tmpfs", "tmpfs", &["rw", "", "size=64k", "mode=700", ""])
        .mount("/b", "bind", dir.to_str().unwrap(), &["", "rbind", "ro"])
        .run(&["/probe", "stat", "/t", "--", "mounts", "/b"]);
    output.assert_exit(0);
    assert!(output.stdout().starts_with("dir 700"), "{}", output.stdout());
    assert!(
        Seen::of(&output.lines(), "/b").flags.contains(&"ro".to_owned()),
        "{}",
        output.stdout()
    );
}
