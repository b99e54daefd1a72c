//! config.md, "Mounts": order, kinds of sources and destinations.

use std::fs;
use std::os::unix::fs::symlink;

use nix::mount::MsFlags;
use runtime_tests::prelude::*;

use super::mount_options::{Seen, two_levels};

tests![
    bind_without_r_leaves_submounts_out,
    bind_of_a_directory_and_a_file,
    bind_is_live_in_both_directions,
    relative_source_starts_at_the_bundle,
    read_only_bind_of_a_restricted_source_in_a_user_namespace,
    read_only_bind_is_read_only_inside_only,
    bind_propagation_is_private_by_default,
    mounts_happen_in_order,
    destination_is_made,
    file_destination_is_made_for_a_file_source,
    relative_destination_is_taken_from_the_root,
    destination_symlink_stays_inside,
    destination_dotdot_stays_inside,
    missing_bind_source_is_refused,
    unknown_filesystem_is_refused,
    tmpcopyup_copies_what_was_there,
    tmpfs_takes_mode_and_owner_of_the_directory,
    tmpcopyup_leaves_what_was_asked_for,
    mqueue_and_shm_belong_to_the_container,
    overlay_is_mounted,
    cgroup_mount_shows_the_own_cgroup,
    cgroup_mount_read_only,
    idmapped_mount_shows_shifted_owners,
    mount_idmap_of_its_own_mapping,
    bind_of_proc_self_fd_is_refused_or_harmless,
    readonly_root_is_read_only,
    readonly_root_leaves_mounts_writable,
    root_of_the_host_is_gone,
    proc_must_be_a_directory,
    copy_symlink_copies_the_link,
    source_symlink_is_followed_or_mounted_itself,
    destination_symlink_is_replaced_with_dest_nofollow,
];

fn bind_without_r_leaves_submounts_out() {
    let (top, _sub) = two_levels();
    let source = top.path().to_str().unwrap().to_owned();
    let b = Bundle::new().mount("/one", "bind", &source, &["bind"]).mount(
        "/all",
        "bind",
        &source,
        &["rbind"],
    );
    let output = b.run(&["/probe", "mounts"]);
    let at: Vec<String> =
        output.lines().iter().map(|l| l.split(' ').nth(4).unwrap().to_owned()).collect();
    assert!(at.contains(&"/all/sub".to_owned()) && !at.contains(&"/one/sub".to_owned()), "{at:?}");
}

fn bind_of_a_directory_and_a_file() {
    let dir = scratch().join("source");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("text"), "in the directory").unwrap();
    let file = scratch().join("file");
    fs::write(&file, "in the file").unwrap();
    // The type is not needed, and engines send "bind", "none" or nothing.
    for kind in ["bind", "none", ""] {
        let mut b = Bundle::new()
            .file("/etc/file", "hidden")
            .mount("/d", kind, dir.to_str().unwrap(), &["rbind"])
            .mount("/etc/file", kind, file.to_str().unwrap(), &["bind", "ro"]);
        if kind.is_empty() {
            for entry in
                b.config["mounts"].as_array_mut().unwrap().iter_mut().filter(|m| m["type"] == "")
            {
                entry.as_object_mut().unwrap().remove("type");
            }
        }
        let b = b.run(&[
            "/probe",
            "cat",
            "/d/text",
            "--",
            "cat",
            "/etc/file",
            "--",
            "open",
            "/etc/file",
            "w",
        ]);
        b.assert_says("in the directory\nin the file\nEROFS");
    }
}

fn bind_is_live_in_both_directions() {
    let dir = scratch().join("source");
    fs::create_dir(&dir).unwrap();
    let b = Bundle::new().mount("/d", "bind", dir.to_str().unwrap(), &["rbind", "rw"]);
    b.run(&["/probe", "write", "/d/made", "inside"]).assert_exit(0);
    assert_eq!(fs::read_to_string(dir.join("made")).unwrap(), "inside");
}

/// config.md: a relative source is relative to the bundle, wherever the runtime was called.
fn relative_source_starts_at_the_bundle() {
    let b = Bundle::new().mount("/d", "bind", "data", &["bind"]);
    fs::create_dir(b.beside("data")).unwrap();
    fs::write(b.beside("data").join("text"), "beside config.json").unwrap();
    b.run(&["/probe", "cat", "/d/text"]).assert_stdout("beside config.json");
}

/// `mount_setattr(2)`, EPERM: in a user namespace no remount may drop the flags of the source.
fn read_only_bind_of_a_restricted_source_in_a_user_namespace() {
    requires!(userns);
    differs!(Runc, "1.1 tries to drop the locked flags and fails");
    let source = HostMount::tmpfs(&scratch().join("source"), "size=1m,mode=755");
    source.change(
        MsFlags::MS_REMOUNT
            | MsFlags::MS_BIND
            | MsFlags::MS_NOSUID
            | MsFlags::MS_NODEV
            | MsFlags::MS_NOEXEC,
    );
    let b = Bundle::new().user_namespace(100_000);
    let output = b
        .mount("/m", "bind", source.path().to_str().unwrap(), &["bind", "ro"])
        .run(&["/probe", "mounts"]);
    output.assert_exit(0);
    Seen::of(&output.lines(), "/m").assert(&["ro"], &[]);
}

fn read_only_bind_is_read_only_inside_only() {
    let dir = scratch().join("source");
    fs::create_dir(&dir).unwrap();
    let c = Bundle::new()
        .mount("/d", "bind", dir.to_str().unwrap(), &["bind", "ro"])
        .start(&["/probe", "sleep", "60"]);
    c.exec(&["/probe", "write", "/d/x", "x"]).assert_says("EROFS");
    fs::write(dir.join("x"), "from outside").unwrap();
    c.exec(&["/probe", "cat", "/d/x"]).assert_stdout("from outside");
    c.end();
}

/// A volume that the container mounts something into must not show it to the host, nor the other way.
fn bind_propagation_is_private_by_default() {
    let source = HostMount::tmpfs(&scratch().join("source"), "size=1m");
    source.change(MsFlags::MS_SHARED);
    let b = Bundle::new().mount("/m", "bind", source.path().to_str().unwrap(), &["rbind"]);
    let seen = Seen::of(&b.run(&["/probe", "mounts"]).lines(), "/m").propagation;
    assert!(!seen.contains("shared:"), "{seen}");
}

fn mounts_happen_in_order() {
    let b = Bundle::new()
        .mount("/m", "tmpfs", "one", &[])
        .mount("/m/deep/er", "tmpfs", "two", &[])
        .mount("/n/below", "tmpfs", "hidden", &[])
        .mount("/n", "tmpfs", "above", &[]);
    let output = b.run(&["/probe", "ls", "/m/deep", "--", "ls", "/n"]);
    output.assert_stdout("er");
}

fn destination_is_made() {
    differs!(Crun, "applies the mode of the mount to parents");
    let output = Bundle::new()
        .mount("/a/b/c", "tmpfs", "tmpfs", &["mode=700"])
        .run(&["/probe", "stat", "/a/b"]);
    output.assert_exit(0);
    assert!(output.stdout().starts_with("dir 755 0 0"), "{}", output.stdout());
}

fn file_destination_is_made_for_a_file_source() {
    let file = scratch().join("file");
    fs::write(&file, "text").unwrap();
    let b = Bundle::new().mount("/new/dir/file", "bind", file.to_str().unwrap(), &["bind"]);
    b.run(&["/probe", "cat", "/new/dir/file"]).assert_stdout("text");
}

/// Allowed with a warning for the sake of old engines.
fn relative_destination_is_taken_from_the_root() {
    let b = Bundle::new().mount("relative/path", "tmpfs", "tmpfs", &["size=1m"]);
    let output = b.run(&["/probe", "mounts"]);
    output.assert_exit(0);
    Seen::of(&output.lines(), "/relative/path").assert(&["size=1024k"], &[]);
}

/// CVE-2019-18837, CVE-2021-30465: symlinks of the image are followed inside the root only.
fn destination_symlink_stays_inside() {
    differs!(Crun, "refuses a dangling symlink");
    let outside = scratch().join("outside");
    fs::create_dir(&outside).unwrap();
    let b = Bundle::new();
    symlink(&outside, b.inside("/absolute")).unwrap();
    symlink("../../../../../run/t/outside", b.inside("/upwards")).unwrap();
    let b = b
        .mount("/absolute/x", "tmpfs", "tmpfs", &["size=1m"])
        .mount("/upwards/y", "tmpfs", "tmpfs", &["size=1m"])
        .mount("/absolute", "tmpfs", "tmpfs", &["size=2m"]);
    b.run(&["/probe", "ls", "/run/t/outside"]).assert_exit(0);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "something was made on the host");
}

fn destination_dotdot_stays_inside() {
    let outside = scratch().join("outside");
    let b =
        Bundle::new().mount("/../../../../../../../run/t/outside", "tmpfs", "tmpfs", &["size=1m"]);
    let output = b.run(&["/probe", "ls", "/run/t"]);
    assert!(!outside.exists(), "made on the host");
    if output.code == 0 {
        output.assert_stdout("outside");
    } else {
        output.assert_fails();
    }
}

fn missing_bind_source_is_refused() {
    Bundle::new()
        .mount("/m", "bind", "/nosuch/source", &["bind"])
        .run(&["/probe", "true"])
        .assert_fails();
}

fn unknown_filesystem_is_refused() {
    Bundle::new().mount("/m", "nosuchfs", "x", &[]).run(&["/probe", "true"]).assert_fails();
    // An option that is no flag is data, and tmpfs knows none of that name.
    Bundle::new()
        .mount("/m", "tmpfs", "x", &["nosuchoption"])
        .run(&["/probe", "true"])
        .assert_fails();
}

fn tmpcopyup_copies_what_was_there() {
    let b = Bundle::new()
        .file("/data/a", "one")
        .file("/data/sub/b", "two")
        .mode("/data/sub", 0o700)
        .symlink("/data/link", "a")
        .mount("/data", "tmpfs", "tmpfs", &["tmpcopyup", "size=1m"]);
    let rootfs = b.rootfs();
    let verbs = [
        "cat",
        "/data/link",
        "--",
        "cat",
        "/data/sub/b",
        "--",
        "write",
        "/data/a",
        "new",
        "--",
        "stat",
        "/data/sub",
    ];
    let output = b.run(&[&["/probe"], &verbs[..]].concat());
    output.assert_exit(0);
    assert!(output.stdout().starts_with("one\ntwo\ndir 700 "), "{}", output.stdout());
    assert_eq!(
        fs::read_to_string(rootfs.join("data/a")).unwrap(),
        "one",
        "the image must not change"
    );
}

/// What Docker's `--tmpfs /dir` relies on.
fn tmpfs_takes_mode_and_owner_of_the_directory() {
    differs!(Crun, "leaves 1777");
    let b = Bundle::new().directory("/spool").mode("/spool", 0o1775).mount(
        "/spool",
        "tmpfs",
        "tmpfs",
        &[],
    );
    let output = b.run(&["/probe", "stat", "/spool"]);
    output.assert_exit(0);
    assert!(output.stdout().starts_with("dir 1775 0 0"), "{}", output.stdout());
}

/// Podman adds `tmpcopyup` to each of its `--tmpfs`: without anything to copy, and with a mode of
/// its own, it is a tmpfs like any other.
fn tmpcopyup_leaves_what_was_asked_for() {
    requires!(root);
    differs!(Runc, "1.1.5 copies the mode over what was asked for");
    differs!(Crun, "copies mode and owner over what was asked for");
    let b = Bundle::new()
        .directory("/there")
        .mode("/there", 0o1775)
        .mount("/there", "tmpfs", "tmpfs", &["mode=711", "uid=7", "tmpcopyup"])
        .directory("/as-it-was")
        .mode("/as-it-was", 0o1775)
        .mount("/as-it-was", "tmpfs", "tmpfs", &["size=64k", "tmpcopyup"])
        .mount("/made", "tmpfs", "tmpfs", &["tmpcopyup"])
        .mount("/made-private", "tmpfs", "tmpfs", &["mode=700", "tmpcopyup"]);
    let mut verbs = vec!["/probe"];
    for path in ["/there", "/as-it-was", "/made", "/made-private"] {
        verbs.extend(["stat", path, "--"]);
    }
    verbs.pop();
    let output = b.run(&verbs);
    output.assert_exit(0);
    let lines = output.lines();
    for (line, start) in
        lines.iter().zip(["dir 711 7 0", "dir 1775 0 0", "dir 1777 0 0", "dir 700 0 0"])
    {
        assert!(line.starts_with(start), "{start}: {lines:?}");
    }
    assert_eq!(lines.len(), 4, "{lines:?}");
}

fn mqueue_and_shm_belong_to_the_container() {
    let b = Bundle::new()
        .mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"])
        .mount("/dev/shm", "tmpfs", "shm", &["mode=1777", "size=1m"]);
    let output = b.run(&["/probe", "mounts", "--", "ls", "/dev/mqueue", "--", "stat", "/dev/shm"]);
    output.assert_exit(0);
    assert_eq!(Seen::of(&output.lines(), "/dev/mqueue").kind, "mqueue");
    assert!(output.stdout().contains("dir 1777 0 0"), "{}", output.stdout());
}

fn overlay_is_mounted() {
    requires!(root, filesystem("overlay"));
    let dir = scratch().join("o");
    for name in ["lower", "upper", "work"] {
        fs::create_dir_all(dir.join(name)).unwrap();
    }
    fs::write(dir.join("lower/text"), "lower").unwrap();
    let data = |name: &str| format!("{name}dir={}", dir.join(name).display());
    let (lower, upper, work) = (data("lower"), data("upper"), data("work"));
    let b = Bundle::new().mount("/o", "overlay", "overlay", &[&lower, &upper, &work]);
    b.run(&["/probe", "cat", "/o/text", "--", "write", "/o/text", "upper"]).assert_stdout("lower");
    assert_eq!(fs::read_to_string(dir.join("upper/text")).unwrap(), "upper");
}

fn cgroup_mount_shows_the_own_cgroup() {
    requires!(root, cgroup_v2);
    let b = Bundle::new().namespace("cgroup", None).mount(
        "/sys/fs/cgroup",
        "cgroup",
        "cgroup",
        &["rw"],
    );
    let output = b.run(&["/probe", "cgroup", "--", "cat", "/sys/fs/cgroup/cgroup.procs"]);
    output.assert_exit(0);
    // A hybrid host lists its v1 hierarchies first.
    assert!(output.stdout().ends_with("0::/\n1\n"), "{}", output.stdout());
}

fn cgroup_mount_read_only() {
    requires!(root);
    let b = Bundle::new().mount(
        "/sys/fs/cgroup",
        "cgroup",
        "cgroup",
        &["ro", "nosuid", "noexec", "nodev"],
    );
    let b = b.with(|c| {
        c["mounts"].as_array_mut().unwrap().insert(
            3,
            json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs",
            "options": ["nosuid", "noexec", "nodev", "ro"] }),
        );
    });
    let controller = if runtime_tests::cgroups::places_by_v2() { "" } else { "pids/" };
    b.run(&["/probe", "mkdir", &format!("/sys/fs/cgroup/{controller}x")]).assert_says("EROFS");
}

/// `mount_setattr(2)`: with the option the container's own mapping applies to the mount.
fn idmapped_mount_shows_shifted_owners() {
    requires!(userns, idmapped_tmpfs);
    differs!(Runc, "idmapped mounts came with 1.2");
    let source = HostMount::tmpfs(&scratch().join("source"), "size=1m,mode=755");
    fs::write(source.path().join("text"), "x").unwrap();
    std::os::unix::fs::chown(source.path().join("text"), Some(5), Some(6)).unwrap();
    let b = Bundle::new().user_namespace(100_000);
    let b = b.mount("/m", "bind", source.path().to_str().unwrap(), &["bind", "idmap"]);
    let output = b.run(&["/probe", "stat", "/m/text", "--", "write", "/m/new", "x"]);
    output.assert_exit(0);
    assert!(output.stdout().starts_with("file 644 5 6 "), "{}", output.stdout());
    let owner = fs::metadata(source.path().join("new")).unwrap();
    assert_eq!(
        std::os::unix::fs::MetadataExt::uid(&owner),
        0,
        "written as host id 0 through the map"
    );
}

/// spec 1.1: `uidMappings` of the mount itself. Here without a user namespace of the container.
fn mount_idmap_of_its_own_mapping() {
    requires!(userns, idmapped_tmpfs);
    differs!(Runc, "idmapped mounts came with 1.2");
    let source = HostMount::tmpfs(&scratch().join("source"), "size=1m,mode=755");
    fs::write(source.path().join("text"), "x").unwrap();
    std::os::unix::fs::chown(source.path().join("text"), Some(1000), Some(1000)).unwrap();
    let b = Bundle::new().user_namespace(100_000).with(|c| {
        let map = json!([{ "containerID": 1000, "hostID": 100_033, "size": 1 }]);
        c["mounts"].as_array_mut().unwrap().push(json!({ "destination": "/m", "type": "bind",
            "source": scratch().join("source"), "options": ["bind"], "uidMappings": map, "gidMappings": map }));
    });
    let output = b.run(&["/probe", "stat", "/m/text"]);
    output.assert_exit(0);
    assert!(output.stdout().starts_with("file 644 33 33 "), "{}", output.stdout());
}

/// CVE-2024-21626's neighbour: a magic link as source must not lead to a descriptor of the runtime.
fn bind_of_proc_self_fd_is_refused_or_harmless() {
    for fd in 3..12 {
        let b = Bundle::new().mount("/m", "bind", &format!("/proc/self/fd/{fd}"), &["bind", "ro"]);
        let output = b.run(&["/probe", "ls", "/m"]);
        assert!(
            !output.stdout().contains("home"),
            "descriptor {fd} shows the host: {}",
            output.stdout()
        );
    }
}

fn readonly_root_is_read_only() {
    let b = Bundle::new().with(|c| c["root"]["readonly"] = json!(true));
    let output = b.run(&["/probe", "write", "/etc/x", "x", "--", "mounts", "/"]);
    assert_eq!(output.lines()[0], "EROFS");
    Seen::of(&output.lines(), "/").assert(&["ro"], &[]);
}

fn readonly_root_leaves_mounts_writable() {
    let dir = scratch().join("volume");
    fs::create_dir(&dir).unwrap();
    let b = Bundle::new().with(|c| c["root"]["readonly"] = json!(true));
    let b =
        b.mount("/t", "tmpfs", "tmpfs", &[]).mount("/v", "bind", dir.to_str().unwrap(), &["rbind"]);
    b.run(&[
        "/probe", "write", "/t/x", "x", "--", "write", "/v/x", "x", "--", "write", "/dev/x", "x",
    ])
    .assert_exit(0);
}

fn root_of_the_host_is_gone() {
    let output = Bundle::new().run(&["/probe", "ls", "/", "--", "mounts"]);
    output.assert_exit(0);
    assert!(
        output.stdout().starts_with("dev\netc\nprobe\nproc\nsys\ntmp\n"),
        "{}",
        output.stdout()
    );
    let at: Vec<String> =
        output.lines()[6..].iter().map(|l| l.split(' ').nth(4).unwrap().to_owned()).collect();
    for (i, path) in at.iter().enumerate() {
        let known = ["/", "/proc", "/dev"].contains(&path.as_str())
            || path.starts_with("/dev/")
            || path.starts_with("/proc/");
        assert!(known, "mount {i} is not from the config: {path}");
    }
}

/// CVE-2019-19921 and its kin: /proc of the image is a symlink.
fn proc_must_be_a_directory() {
    let b = Bundle::new().directory("/fake");
    fs::remove_dir(b.inside("/proc")).unwrap();
    symlink("fake", b.inside("/proc")).unwrap();
    b.run(&["/probe", "true"]).assert_fails();
}

/// crun's option: a source which is a symlink becomes the same symlink inside, nothing is mounted.
fn copy_symlink_copies_the_link() {
    differs!(Runc, "has no such option");
    differs!(Crun, "has it since 1.8.4");
    let link = scratch().join("link");
    symlink("/etc/somewhere", &link).unwrap();
    let b = Bundle::new().mount(
        "/etc/copied",
        "bind",
        link.to_str().unwrap(),
        &["bind", "copy-symlink"],
    );
    b.run(&["/probe", "readlink", "/etc/copied"]).assert_stdout("/etc/somewhere");
}

fn source_symlink_is_followed_or_mounted_itself() {
    let (file, link) = (scratch().join("file"), scratch().join("link"));
    fs::write(&file, "target").unwrap();
    symlink(&file, &link).unwrap();
    let link = link.to_str().unwrap();
    let b = Bundle::new().mount("/etc/followed", "bind", link, &["bind"]);
    b.run(&["/probe", "cat", "/etc/followed"]).assert_stdout("target");
    differs!(Runc, "has no src-nofollow");
    differs!(Crun, "has src-nofollow since 1.9");
    let b = Bundle::new().mount("/etc/itself", "bind", link, &["bind", "src-nofollow"]);
    b.run(&["/probe", "readlink", "/etc/itself"]).assert_stdout(file.to_str().unwrap());
}

fn destination_symlink_is_replaced_with_dest_nofollow() {
    differs!(Runc, "has no dest-nofollow");
    differs!(Crun, "has dest-nofollow since 1.9");
    let link = scratch().join("link");
    symlink("mounted", &link).unwrap();
    let b = Bundle::new().file("/etc/target", "x").symlink("/etc/link", "target");
    let options = ["bind", "src-nofollow", "dest-nofollow"];
    let b = b.mount("/etc/link", "bind", link.to_str().unwrap(), &options);
    b.run(&["/probe", "readlink", "/etc/link", "--", "cat", "/etc/target"])
        .assert_stdout("mounted\nx");
}
