//! `cp`: files to containers and back, which run or do not, and a container that means harm.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

use runtime_tests::archive::Tar;
use runtime_tests::companion::{bundles, bundles_as, home};
use runtime_tests::prelude::*;
use runtime_tests::second_user::SecondUser;
use tar::EntryType;

use super::companion_run_images::archive;

tests![
    companion_cp_follows_the_rules_of_docker,
    companion_cp_reaches_volumes_of_stopped_containers,
    companion_cp_sets_owners_and_takes_privileges,
    companion_cp_streams_archives,
    companion_cp_names_what_is_wrong,
    companion_cp_is_not_led_astray,
    companion_cp_by_an_ordinary_user,
    companion_cp_by_an_ordinary_user_with_ranges,
];

fn container(flags: &[&str], script: &str) {
    requires!(root);
    bundles(["load", "-q"]).stdin(archive(|config| config["Entrypoint"] = Value::Null)).ok();
    bundles(["run", "-d", "--name", "box", "--network", "none", "--runtime"])
        .arg(runtime_tests::runtime::path())
        .args(flags)
        .args(["app:1", "sh", "-c", script])
        .ok();
}

fn cp(from: &str, to: &str) -> Call {
    bundles(["cp", from, to]).cwd(&scratch())
}

/// Below the directory in which `cp` is called.
fn file(name: &str, content: &str) -> PathBuf {
    let path = scratch().join(name);
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(&path, content).expect("a file");
    path
}

fn read(name: &str) -> String {
    fs::read_to_string(scratch().join(name)).unwrap_or_else(|err| format!("{name}: {err}"))
}

fn companion_cp_follows_the_rules_of_docker() {
    container(&[], "exec sleep 1000");
    file("f", "file");
    file("d/e/x", "deep");
    symlink("f", scratch().join("link")).expect("a link");
    for round in ["running", "stopped"] {
        let inside = |name: &str| format!("box:/srv/{round}/{name}");
        cp("d/e/.", &format!("box:/srv/{round}")).ok(); // which is not there yet
        // A file: to a name, onto a file, into a directory.
        cp("f", &inside("new")).ok();
        cp("f", &inside("x")).ok();
        cp("f", &inside("")).ok();
        // A directory: to a name, into a directory, its content into a directory.
        cp("d", &inside("n")).ok();
        cp("d", &inside("n/")).ok();
        cp("d/.", &inside("n/d")).ok();
        // A link, and what it leads to.
        cp("link", &inside("l")).ok();
        bundles(["cp", "-qL", "link", &inside("followed")]).cwd(&scratch()).ok();
        // And all of it back.
        cp(&format!("box:srv/{round}"), "back").ok();
        for (name, content) in [
            ("new", "file"),
            ("x", "file"),
            ("f", "file"),
            ("n/e/x", "deep"),
            ("n/d/e/x", "deep"),
            ("followed", "file"),
        ] {
            assert_eq!(read(&format!("back/{name}")), content, "{round} {name}");
        }
        let link = fs::read_link(scratch().join("back/l")).expect("a link");
        assert_eq!(link.to_str(), Some("f"));
        cp(&inside("n"), "back").ok();
        assert_eq!(read("back/n/e/x"), "deep");
        cp(&inside("n/."), "content").ok();
        assert_eq!(read("content/e/x"), "deep");
        cp(&inside("x"), "f2").ok();
        assert_eq!(read("f2"), "file");
        // A target that is a link is the file which it leads to.
        cp(&inside("x"), "link").ok();
        assert!(fs::symlink_metadata(scratch().join("link")).expect("a link").is_symlink());
        fs::remove_dir_all(scratch().join("back")).expect("back");
        fs::remove_dir_all(scratch().join("content")).expect("content");
        bundles(["stop", "-t", "0", "box"]).ok();
    }
    bundles(["rm", "box"]).ok();
    assert_eq!(fs::read_dir(home().join("tmp")).expect("tmp").count(), 0);
}

fn companion_cp_reaches_volumes_of_stopped_containers() {
    let shared = scratch().join("shared");
    fs::create_dir(&shared).expect("shared");
    let bind = format!("{}:/bound:ro", shared.display());
    container(
        &["-v", "data:/data", "-v", &bind, "--tmpfs", "/mem"],
        "echo v > /data/v; exec sleep 1000",
    );
    until("it has written", || cp("box:/data/v", "v").output().code.eq(&0).then_some(()));
    file("f", "file");
    cp("f", "box:/mem/f").ok();
    assert_eq!(bundles(["exec", "box", "cat", "/mem/f"]).ok(), "file");
    bundles(["stop", "-t", "0", "box"]).ok();
    cp("f", "box:/data/f").ok();
    cp("box:/data", "all").ok();
    assert_eq!((read("all/f"), read("all/v")), ("file".to_owned(), "v\n".to_owned()));
    let volume = bundles(["volume", "inspect", "-f", "{{.Mountpoint}}", "data"]).ok();
    assert_eq!(fs::read_to_string(PathBuf::from(volume.trim()).join("f")).expect("f"), "file");
    fs::write(shared.join("h"), "host").expect("h");
    cp("box:/bound/h", "h").ok();
    assert_eq!(read("h"), "host");
    cp("f", "box:/bound/f").output().assert_exit(1).assert_stderr_has("Read-only file system");
    assert!(!shared.join("f").exists());
    bundles(["rm", "-v", "box"]).ok();
    // A root file system that may not be written to.
    container(&["--read-only"], "exec sleep 1000");
    for _ in 0..2 {
        cp("f", "box:/srv/f").output().assert_exit(1).assert_stderr_has("Read-only file system");
        bundles(["stop", "-t", "0", "box"]).ok();
    }
    bundles(["rm", "box"]).ok();
}

fn companion_cp_sets_owners_and_takes_privileges() {
    container(
        &[],
        "cp /bin/busybox /srv/suid; mkdir /srv/up; mknod /srv/up/dev c 1 3; \
                    chown web /srv/suid; chmod 4755 /srv/suid; exec sleep 1000",
    );
    until("it has made them", || {
        bundles(["exec", "box", "stat", "-c", "%u %a", "/srv/suid"])
            .output()
            .stdout()
            .contains("33 4755")
            .then_some(())
    });
    let own = file("own", "x");
    std::os::unix::fs::chown(&own, Some(77), Some(78)).expect("chown");
    cp("own", "box:/srv/roots").ok();
    bundles(["cp", "-a", "own", "box:/srv/kept"]).cwd(&scratch()).ok();
    let seen = bundles(["exec", "box", "stat", "-c", "%u:%g", "/srv/roots", "/srv/kept"]).ok();
    assert_eq!(seen, "0:0\n77:78\n");
    let of = |name: &str| {
        let meta = fs::symlink_metadata(scratch().join(name)).expect(name);
        (meta.uid(), meta.permissions().mode() & 0o7777)
    };
    cp("box:/srv/suid", "suid").ok();
    assert_eq!(of("suid"), (0, 0o755), "a program of the container's is none of root's");
    cp("box:/srv/up", "up").ok();
    assert!(!scratch().join("up/dev").exists());
    bundles(["cp", "-a", "box:/srv/suid", "all"]).cwd(&scratch()).ok();
    assert_eq!(of("all"), (33, 0o4755));
    bundles(["rm", "-f", "box"]).ok();
}

fn companion_cp_streams_archives() {
    container(&[], "exec sleep 1000");
    let tar = Tar::new().directory("in").entry(EntryType::Regular, "in/f", b"x", |header| {
        header.set_uid(33);
        header.set_mode(0o640);
    });
    for _ in 0..2 {
        bundles(["cp", "-", "box:/srv"]).stdin(tar_bytes(&tar)).ok();
        let file = scratch().join("out.tar");
        let out = bundles(["container", "cp", "box:/srv/in", "-"]).output();
        out.assert_exit(0);
        fs::write(&file, out.bytes()).expect("an archive");
        let listed = std::process::Command::new("tar").arg("tvf").arg(&file).output().expect("tar");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let lines: Vec<&str> = listed.lines().collect();
        assert!(lines[0].starts_with("drwxr-xr-x 0/0") && lines[0].ends_with(" in/"), "{listed}");
        assert!(lines[1].starts_with("-rw-r----- 33/0") && lines[1].ends_with(" in/f"), "{listed}");
        bundles(["stop", "-t", "0", "box"]).ok();
    }
    let hostile = Tar::new().file("../../out", b"x").bytes();
    let call = bundles(["cp", "-", "box:/srv"]).stdin(hostile).output();
    call.assert_exit(1).assert_stderr_has("box:/srv: \"../../out\": a name with \"..\"");
    let call = bundles(["cp", "-", "box:/srv/lower"]).stdin(tar_bytes(&tar)).output();
    call.assert_exit(1).assert_stderr_has("an archive is unpacked in a directory that is there");
    bundles(["rm", "box"]).ok();
}

fn tar_bytes(tar: &Tar) -> Vec<u8> {
    tar.clone().bytes()
}

fn companion_cp_names_what_is_wrong() {
    container(&[], "exec sleep 1000");
    file("f", "file");
    file("d/x", "x");
    for (from, to, said) in [
        (
            "f",
            "f2",
            "cp: neither f nor f2 is in a container\n  hint: write CONTAINER:PATH for one of them",
        ),
        ("box:/etc", "box:/srv", "cp: both are in containers"),
        ("f", "nosuch:/etc", "nosuch: no such container"),
        ("nosuch", "box:/etc", "nosuch: No such file or directory"),
        ("box:/nosuch", ".", "box:/nosuch: No such file or directory"),
        ("box:/etc/passwd/", ".", "box:/etc/passwd/: not a directory"),
        ("f", "box:/new/", "box:/new/: no such directory\n  hint: make it first"),
        ("f", "box:/new/f", "box:/new/f: directory /new: No such file or directory"),
        ("f", "box:/etc/passwd/", "box:/etc/passwd/: not a directory"),
        ("d", "box:/etc/passwd", "box:/etc/passwd: a directory cannot be copied onto a file"),
        ("d", "box:", "a path is missing"),
        ("box:/proc/self/mem", "mem", "box:/proc/self/mem"),
    ] {
        cp(from, to).output().assert_exit(1).assert_stderr_has(said);
    }
    // A file in place of a directory, and a directory in place of a file.
    file("t/etc", "no directory");
    let call = cp("t/.", "box:/").output();
    call.assert_exit(1)
        .assert_stderr_has("\"etc\": a directory, which only a directory can be put in place of");
    fs::create_dir_all(scratch().join("u/passwd")).expect("a directory");
    let call = cp("u/.", "box:/etc").output();
    call.assert_exit(1).assert_stderr_has("\"passwd/\": a directory would replace what is none");
    bundles(["rm", "-f", "box"]).ok();
}

/// A name in the container is a directory now, and a link to the host's files then.
fn companion_cp_is_not_led_astray() {
    let canary = scratch().join("canary");
    file("canary/f", "secret");
    let at = canary.display();
    container(
        &[],
        &format!(
            "mkdir -p /a/sub {at}; echo own > /a/f; echo own > {at}/f; ln -s {at} /b; \
             ln -s /proc/1/root{at} /c; ln -s ../../../../../../..{at} /e; \
             while :; do for n in a b c e; do mv /$n /x; mv /x /$n; done; done"
        ),
    );
    until("it has begun", || cp("box:/x/f", "seen").output().code.eq(&0).then_some(()));
    file("mine", "mine");
    file("dir/f", "mine");
    file("dir/sub/g", "mine");
    let mut done = 0;
    for _ in 0..40 {
        fs::remove_file(scratch().join("seen")).ok();
        done += u32::from(cp("box:/x/f", "seen").output().code == 0);
        assert!(!read("seen").contains("secret"));
        fs::remove_dir_all(scratch().join("tree")).ok();
        done += u32::from(cp("box:/x/.", "tree").output().code == 0);
        assert!(!read("tree/f").contains("secret"));
        done += u32::from(cp("mine", "box:/x/f").output().code == 0);
        done += u32::from(cp("dir/.", "box:/x").output().code == 0);
        let names: Vec<_> = fs::read_dir(&canary).expect("canary").flatten().collect();
        assert_eq!((names.len(), read("canary/f")), (1, "secret".to_owned()));
    }
    assert!(done > 0, "none of it has succeeded");
    bundles(["rm", "-f", "box"]).ok();
}

fn as_user(user: &SecondUser) {
    let archive = archive(|config| config["Entrypoint"] = Value::Null);
    let runtime = runtime_tests::runtime::path().display().to_string();
    let call = |args: &[&str]| bundles_as(user, args);
    call(&["load", "-q"]).stdin(archive).ok();
    let flags = [
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "none",
        "-v",
        "data:/data",
        "--runtime",
        &runtime,
    ];
    call(&[&flags[..], &["app:1", "sleep", "1000"]].concat()).ok();
    let at = |name: &str| user.dir().join(name).display().to_string();
    for round in 0..2 {
        call(&["cp", "box:/etc/passwd", &at("passwd")]).ok();
        let meta = fs::metadata(at("passwd")).expect("a file");
        assert_eq!(meta.uid(), runtime_tests::second_user::UID);
        for to in ["box:/srv/new", "box:/data/new"] {
            call(&["cp", &at("passwd"), to]).ok();
        }
        call(&["cp", "box:/data/new", &at("new")]).ok();
        assert_eq!(fs::read(at("new")).expect("new"), fs::read(at("passwd")).expect("passwd"));
        if round == 0 {
            let seen = call(&["exec", "box", "stat", "-c", "%u", "/srv/new", "/data/new"]).ok();
            assert_eq!(seen, "0\n0\n");
        }
        call(&["stop", "-t", "0", "box"]).ok();
    }
    call(&["rm", "box"]).ok();
}

fn companion_cp_by_an_ordinary_user() {
    as_user(&SecondUser::new());
}

fn companion_cp_by_an_ordinary_user_with_ranges() {
    as_user(&SecondUser::with_ranges());
}
