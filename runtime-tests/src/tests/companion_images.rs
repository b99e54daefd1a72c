//! Images of the companion: loading, listing, naming, removing; archives that mean harm.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use runtime_tests::archive::{Tar, config, digest, gzip, saved};
use runtime_tests::companion::{bundles, home};
use runtime_tests::prelude::*;
use tar::EntryType;

tests![
    loaded_image_is_listed_named_and_removed,
    image_is_inspected_in_dockers_shape,
    layers_are_unpacked_as_they_were,
    archive_may_be_compressed_and_come_by_a_pipe,
    oci_archive_is_loaded_for_this_machine,
    layers_are_shared_and_go_with_their_last_image,
    prune_gives_back_what_no_image_has,
    two_loads_at_once_do_not_disturb_each_other,
    ordinary_user_keeps_images_too,
    root_of_a_user_namespace_sets_the_owners_it_has,
];

/// An archive as a file.
pub(super) fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = scratch().join(name);
    fs::write(&path, content).unwrap();
    path
}

pub(super) fn load(archive: &[u8]) -> Call {
    let path = file("archive.tar", archive);
    bundles(["load", "-i"]).arg(path)
}

fn small() -> Vec<u8> {
    saved("app:1", &[Tar::new().file("f", b"hello").bytes()])
}

pub(super) fn below(dir: &str) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(home().join(dir)) else { return Vec::new() };
    found.map(|entry| entry.unwrap().path()).collect()
}

pub(super) fn layers() -> Vec<PathBuf> {
    below("layers")
}

pub(super) fn blobs() -> Vec<PathBuf> {
    below("oci/blobs/sha256")
}

/// The files of the layer with this archive.
fn unpacked(layer: &[u8]) -> PathBuf {
    let digest = digest(layer);
    home().join("layers").join(digest.trim_start_matches("sha256:")).join("files")
}

fn loaded_image_is_listed_named_and_removed() {
    load(&small()).output().assert_stdout("Loaded image: app:1");
    let lines = bundles(["images"]).output().lines();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&lines[0]), ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]);
    let row = words(&lines[1]);
    assert_eq!(
        (row[0].as_str(), row[1].as_str(), row.last().unwrap().as_str()),
        ("app", "1", "5B")
    );
    assert!(lines[1].contains(" years ago "), "{}", lines[1]);
    let id = row[2].clone();
    bundles(["tag", &id[..4], "localhost:5000/x/app"]).ok();
    bundles(["image", "ls", "-q", "localhost:5000/x/app"]).output().assert_stdout(&id);
    bundles(["images", "-q"]).output().assert_stdout(&id);
    let both = bundles(["rmi", &id]).output();
    both.assert_exit(1).assert_stderr_has("has 2 names: app:1, localhost:5000/x/app:latest");
    bundles(["rmi", "app:1"]).output().assert_stdout("Untagged: app:1");
    let missing = bundles(["rmi", "app:1"]).output();
    missing.assert_exit(1);
    assert_eq!(
        missing.stderr(),
        "bundles: image app:1: not in the store\n  \
         hint: get it: bundles pull app:1, or bundles load -i FILE\n"
    );
    bundles(["rmi", "-f", "app:1"]).output().assert_stdout("");
    let removed = bundles(["image", "rm", "localhost:5000/x/app"]).ok();
    assert!(removed.starts_with("Untagged: localhost:5000/x/app:latest\nDeleted: sha256:"));
    assert!(layers().is_empty() && blobs().is_empty() && below("tmp").is_empty());
}

fn image_is_inspected_in_dockers_shape() {
    load(&small()).ok();
    let output = bundles(["image", "inspect", "app:1"]).output();
    let image = &output.json()[0];
    assert_eq!(image["RepoTags"], json!(["app:1"]));
    assert_eq!(image["Config"]["Cmd"], json!(["/bin/sh"]));
    assert_eq!(image["Config"]["Healthcheck"]["Test"], json!(["CMD", "true"]));
    let layer = Tar::new().file("f", b"hello").bytes();
    let config = config(std::slice::from_ref(&layer)).to_string();
    assert_eq!(image["Id"], json!(digest(config.as_bytes())));
    assert_eq!(image["RootFS"], json!({"Type": "layers", "Layers": [digest(&layer)]}));
    assert_eq!((&image["Size"], &image["Os"]), (&json!(5), &json!("linux")));
    let missing = bundles(["image", "inspect", "app:1", "other", "Bad"]).output();
    missing.assert_exit(1).assert_stderr_has("bundles: image other:latest: not in the store\n");
    missing.assert_stderr_has("repository names have no capital letters");
    assert_eq!(missing.json().as_array().unwrap().len(), 1);
}

fn layers_are_unpacked_as_they_were() {
    let long = "n".repeat(200);
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let layer = Tar::new()
        .entry(EntryType::Directory, "./", b"", |header| header.set_mode(0o555))
        .directory("./d/")
        .entry(EntryType::Regular, "./d/su", b"x", |header| {
            header.set_mode(0o6755);
            header.set_uid(123);
            header.set_gid(456);
        })
        .link("./d/hard", "./d/su")
        .symlink("./d/soft", "/etc/passwd")
        .entry(EntryType::Fifo, "./d/fifo", b"", |_| ())
        .entry(EntryType::Char, "./d/null", b"", |header| {
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        })
        .pax(&[("path", long.as_bytes()), ("mtime", b"1000000000.5")])
        .file("short", b"long")
        .pax(&[("SCHILY.xattr.security.capability", capability)])
        .file("./d/ping", b"x")
        .pax(&[("GNU.sparse.map", b"1048576,3"), ("GNU.sparse.size", b"2097152")])
        .file("./d/sparse", b"end")
        .file("./d/.wh.gone", b"")
        .file("./d/.wh..wh..opq", b"")
        .file("./e/.wh.gone", b"")
        .bytes();
    load(&saved("app", std::slice::from_ref(&layer))).ok();
    let root = unpacked(&layer);
    let at = |name: &str| fs::symlink_metadata(root.join(name)).unwrap();
    assert_eq!(at("").mode() & 0o7777, 0o555);
    assert_eq!(at("d/su").mode() & 0o7777, 0o6755);
    assert_eq!(at("d/su").ino(), at("d/hard").ino());
    for name in ["", "d", "d/su", "d/soft", "d/fifo"] {
        assert_eq!(at(name).mtime(), 1_000_000_000, "{name}");
    }
    assert_eq!(fs::read_link(root.join("d/soft")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!((at(&long).size(), at(&long).mtime_nsec()), (4, 500_000_000));
    assert_eq!(at("d/fifo").mode() & 0o170_000, 0o010_000);
    let sparse = at("d/sparse");
    assert!(sparse.size() == 2_097_152 && sparse.blocks() * 512 < 1_000_000, "{sparse:?}");
    // Whiteouts as overlayfs has them; an opaque directory needs none.
    assert_eq!((at("e/gone").mode() & 0o170_000, at("e/gone").rdev()), (0o020_000, 0));
    assert!(!root.join("d/gone").exists() && !root.join("d/.wh.gone").exists());
    if !runtime_tests::isolate::rootless() {
        assert_eq!((at("d/su").uid(), at("d/su").gid()), (123, 456));
        assert_eq!(at("d/null").rdev(), 0x103);
    }
    if Path::new("/usr/bin/getfattr").exists() {
        let mut show = Command::new("getfattr");
        show.args(["-d", "-m", "-", "-e", "hex"]).args([root.join("d"), root.join("d/ping")]);
        let shown = show.output().unwrap();
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("overlay.opaque=0x79"), "{shown}");
        assert!(shown.contains("security.capability=0x01000002000400"), "{shown}");
    }
}

fn archive_may_be_compressed_and_come_by_a_pipe() {
    let path = file("archive.tar.gz", &gzip(&small()));
    let stdin = File::open(path).unwrap();
    bundles(["load", "-q"]).fd(0, stdin).output().assert_stdout("");
    bundles(["images", "app"]).output().assert_exit(0);
    assert_eq!(bundles(["images", "app:1", "-q"]).output().lines().len(), 1);
    assert_eq!(bundles(["images", "app:2", "-q"]).output().lines().len(), 0);
}

/// Names and blobs of an OCI layout.
fn oci(index: &Value, blobs: &[Vec<u8>]) -> Vec<u8> {
    let mut tar = Tar::new()
        .file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
        .file("index.json", index.to_string().as_bytes());
    for blob in blobs {
        tar = tar.file(&format!("blobs/{}", digest(blob).replace(':', "/")), blob);
    }
    tar.bytes()
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    let media_type = format!("application/vnd.oci.image.{media_type}");
    json!({"mediaType": media_type, "digest": digest(content), "size": content.len()})
}

fn oci_archive_is_loaded_for_this_machine() {
    let layer = Tar::new().file("f", b"mine").bytes();
    let blob = gzip(&layer);
    let config = config(std::slice::from_ref(&layer)).to_string().into_bytes();
    let manifest = json!({"schemaVersion": 2, "config": descriptor("config.v1+json", &config),
        "layers": [descriptor("layer.v1.tar+gzip", &blob)]});
    let manifest = manifest.to_string().into_bytes();
    let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let on = |architecture: &str, content: &[u8]| {
        let mut one = descriptor("manifest.v1+json", content);
        one["platform"] = json!({"architecture": architecture, "os": "linux"});
        one
    };
    let all = json!({"schemaVersion": 2, "manifests": [on("s390x", b"other"), on(architecture, &manifest)]});
    let all = all.to_string().into_bytes();
    let mut named = descriptor("index.v1+json", &all);
    named["annotations"] = json!({"io.containerd.image.name": "docker.io/library/app:2",
        "org.opencontainers.image.ref.name": "2"});
    let index = json!({"schemaVersion": 2, "manifests": [named]});
    let blobs = [layer.clone(), blob, config, manifest.clone(), all];
    load(&oci(&index, &blobs[1..])).output().assert_stdout("Loaded image: app:2");
    assert_eq!(fs::read(unpacked(&layer).join("f")).unwrap(), b"mine");
    // The manifest is the archive's own, not a new one.
    let image = bundles(["image", "inspect", "app:2"]).output().json();
    assert_eq!(image[0]["Descriptor"]["digest"], json!(digest(&manifest)));
    let cut = load(&oci(&index, &blobs[2..])).output();
    cut.assert_exit(1).assert_stderr_has(" is not in the archive\n");
}

fn layers_are_shared_and_go_with_their_last_image() {
    let layer = |name: &str| Tar::new().file(name, b"x").bytes();
    load(&saved("a", &[layer("common"), layer("a")])).ok();
    // The same layer twice, as an empty one often comes.
    load(&saved("b", &[layer("common"), layer("b"), layer("b")])).ok();
    assert_eq!((layers().len(), blobs().len()), (3, 7));
    bundles(["rmi", "a"]).ok();
    assert_eq!((layers().len(), blobs().len()), (2, 4));
    assert!(unpacked(&layer("common")).join("common").exists());
    bundles(["rmi", "b"]).ok();
    assert!(layers().is_empty() && blobs().is_empty());
}

/// Everything that index.json names is there, whole; every layer that has its name is whole.
pub(super) fn assert_consistent(files_in_a_layer: usize) {
    bundles(["images"]).output().assert_exit(0);
    let blob = |digest: &Value| {
        let digest = digest.as_str().unwrap().to_owned();
        let path = home().join("oci/blobs/sha256").join(digest.trim_start_matches("sha256:"));
        let content = fs::read(&path).unwrap();
        assert_eq!(runtime_tests::archive::digest(&content), digest);
        content
    };
    if let Ok(index) = fs::read(home().join("oci/index.json")) {
        let index: Value = serde_json::from_slice(&index).unwrap();
        for one in index["manifests"].as_array().unwrap() {
            let manifest: Value = serde_json::from_slice(&blob(&one["digest"])).unwrap();
            let config: Value =
                serde_json::from_slice(&blob(&manifest["config"]["digest"])).unwrap();
            for layer in manifest["layers"].as_array().unwrap() {
                blob(&layer["digest"]);
            }
            for diff_id in config["rootfs"]["diff_ids"].as_array().unwrap() {
                let hex = diff_id.as_str().unwrap().trim_start_matches("sha256:");
                assert!(home().join("layers").join(hex).exists(), "{hex}");
            }
        }
    }
    for layer in layers() {
        assert!(layer.join("size").exists(), "{}", layer.display());
        let files = fs::read_dir(layer.join("files")).unwrap().count();
        assert_eq!(files, files_in_a_layer, "{}", layer.display());
    }
}

fn prune_gives_back_what_no_image_has() {
    let layer = Tar::new().file("f", b"x").bytes();
    load(&saved("a", &[layer])).ok();
    let (one, two) = (layers(), blobs());
    // As a command that was killed before its image had an entry.
    let index = home().join("oci/index.json");
    load(&saved("b", &[Tar::new().file("g", b"x").bytes()])).ok();
    let text = fs::read_to_string(&index).unwrap();
    let mut parsed: Value = serde_json::from_str(&text).unwrap();
    parsed["manifests"].as_array_mut().unwrap().truncate(1);
    fs::write(&index, parsed.to_string()).unwrap();
    let pruned = bundles(["system", "prune", "-f"]).ok();
    assert!(!pruned.contains("space: 0B"), "{pruned}");
    assert_eq!((layers(), blobs().len()), (one, two.len()));
    bundles(["system", "prune", "-f"]).output().assert_stdout("Total reclaimed space: 0B");
    assert_consistent(1);
}

fn two_loads_at_once_do_not_disturb_each_other() {
    let layer = |name: &str| Tar::new().file(name, b"x").bytes();
    let archives = ["a", "b", "c", "d"]
        .map(|name| file(&format!("{name}.tar"), &saved(name, &[layer("common"), layer(name)])));
    let running = archives.each_ref().map(|path| bundles(["load", "-q", "-i"]).arg(path).spawn());
    for one in running {
        one.wait().assert_exit(0);
    }
    assert_consistent(1);
    assert_eq!((bundles(["images", "-q"]).output().lines().len(), layers().len()), (4, 5));
}

fn ordinary_user_keeps_images_too() {
    requires!(root, program("/usr/bin/setpriv"));
    const USER: u32 = 4242;
    fs::create_dir(home()).unwrap();
    fs::set_permissions(home(), fs::Permissions::from_mode(0o700)).unwrap();
    chown(home(), Some(USER), Some(USER)).unwrap();
    let layer = Tar::new()
        .entry(EntryType::Directory, "./", b"", |header| header.set_mode(0o555))
        .entry(EntryType::Directory, "d", b"", |header| header.set_mode(0))
        .entry(EntryType::Regular, "d/su", b"x", |header| {
            header.set_mode(0o4755);
            header.set_uid(7);
        })
        .entry(EntryType::Block, "sda", b"", |header| header.set_device_major(8).unwrap())
        .file(".wh.gone", b"")
        .file("e/.wh..wh..opq", b"")
        .bytes();
    let path = file("archive.tar", &saved("app", std::slice::from_ref(&layer)));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let as_user = |args: &[&str]| {
        let user = ["/usr/bin/setpriv", "--reuid=4242", "--regid=4242", "--clear-groups"];
        bundles(args).through(user)
    };
    as_user(&["load", "-i", path.to_str().unwrap()])
        .output()
        .assert_stdout("Loaded image: app:latest");
    let root = unpacked(&layer);
    let at = |name: &str| fs::symlink_metadata(root.join(name)).unwrap();
    assert_eq!((at("d/su").uid(), at("d/su").mode() & 0o7777), (USER, 0o4755));
    assert_eq!((at("").mode() & 0o7777, at("d").mode() & 0o7777), (0o555, 0));
    assert_eq!((at("gone").mode() & 0o170_000, at("gone").rdev()), (0o020_000, 0));
    assert!(!root.join("sda").exists());
    as_user(&["rmi", "app"]).output().assert_exit(0);
    assert!(layers().is_empty() && below("tmp").is_empty());
}

fn root_of_a_user_namespace_sets_the_owners_it_has() {
    requires!(root, program("/usr/bin/unshare"), program("/usr/bin/nsenter"));
    let mut holder = Command::new("unshare").args(["-U", "sleep", "60"]).spawn().unwrap();
    let pid = holder.id();
    let own = fs::read_link("/proc/self/ns/user").unwrap();
    until("a user namespace", || {
        let other = fs::read_link(format!("/proc/{pid}/ns/user")).ok()?;
        (other != own).then_some(())
    });
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{pid}/{map}"), "0 100000 65536").unwrap();
    }
    fs::create_dir(home()).unwrap();
    chown(home(), Some(100_000), Some(100_000)).unwrap();
    let owned = |name: &str, uid: u64| {
        let change = |header: &mut tar::Header| {
            header.set_mode(0o4755);
            header.set_uid(uid);
            header.set_gid(uid);
        };
        Tar::new().entry(EntryType::Regular, name, b"x", change).file("d/.wh..wh..opq", b"").bytes()
    };
    let load = |layer: &Vec<u8>| {
        let path = file("archive.tar", &saved("app", std::slice::from_ref(layer)));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let target = pid.to_string();
        let inside = ["nsenter", "-t", &target, "-U", "--setuid", "0", "--setgid", "0"];
        bundles(["load", "-i"]).arg(path).through(inside).output()
    };
    let (near, far) = (owned("near", 1000), owned("far", 100_000));
    load(&near).assert_exit(0);
    let meta = fs::symlink_metadata(unpacked(&near).join("near")).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (101_000, 101_000, 0o4755));
    let refused = load(&far);
    refused
        .assert_exit(1)
        .assert_stderr_has("entry \"far\": fchown(100000, 100000): Invalid argument");
    refused.assert_stderr_has("hint: give the user a larger range of ids in /etc/subuid");
    holder.kill().unwrap();
    holder.wait().unwrap();
}
