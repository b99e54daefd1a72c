//! The image `app:1` of a test's own, of two layers and busybox, and containers of it.

use std::fs;

use serde_json::{Value, json};
use tar::EntryType;

use crate::archive::{Tar, config, saved_with};
use crate::call::Call;
use crate::companion::bundles;
use crate::isolate::scratch;
use crate::requires;
use crate::runtime::{Runtime, runtime};

const APPLETS: &[&str] = &[
    "cat", "chmod", "echo", "grep", "head", "hostname", "id", "ipcs", "ls", "mkdir", "mknod",
    "mount", "od", "ps", "pwd", "readlink", "rm", "sh", "sleep", "sort", "stat", "touch", "true",
    "wc",
];

/// `cap_net_raw=ep`, as capabilities(7) has it on disk.
const CAPABILITY: &[u8] = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

fn tree() -> Tar {
    let busybox = fs::read(crate::bundle::busybox().expect("busybox")).expect("busybox");
    let mode = |mode| move |header: &mut tar::Header| header.set_mode(mode);
    let tar = Tar::new().busybox(&busybox, APPLETS).directory("etc").directory("tmp");
    tar.file("etc/passwd", b"root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:\n")
        .file("etc/group", b"root:x:0:\n")
        .entry(EntryType::Directory, "data", b"", |header| {
            header.set_mode(0o2750);
            header.set_uid(33);
            header.set_gid(34);
        })
        .pax(&[("SCHILY.xattr.security.capability", CAPABILITY)])
        .entry(EntryType::Regular, "data/file", b"seed\n", |header| {
            header.set_mode(0o640);
            header.set_uid(33);
            header.set_gid(34);
        })
        .link("data/second", "data/file")
        .symlink("data/out", "/etc/passwd")
        .directory("data/sub")
        .file("data/sub/deep", b"deep\n")
        .directory("data/closed")
        .file("data/closed/in", b"closed\n")
        .entry(EntryType::Directory, "data/closed", b"", mode(0o500))
        .symlink("alias", "/data")
        .symlink("escape", "../../../../../../../../../run/t/outside")
        .directory("none")
}

/// Loads the image `app:1`, whose configuration is changed.
pub fn image(change: impl FnOnce(&mut Value)) {
    requires!(root, companion, busybox);
    if runtime() == Runtime::Crun {
        requires!(capability(24, "CAP_SYS_RESOURCE"));
    }
    let upper = Tar::new().directory("data").file("data/upper", b"upper\n").bytes();
    let layers = [tree().bytes(), upper];
    let mut config = config(&layers);
    config["config"] = json!({ "Cmd": ["sh"], "Env": ["PATH=/bin"] });
    change(&mut config["config"]);
    let archive = scratch().join("app.tar");
    fs::write(&archive, saved_with("app:1", &layers, &config)).expect("archive");
    bundles(["load", "-i"]).arg(&archive).ok();
    fs::remove_file(archive).expect("remove the archive");
}

pub fn call(command: &[&str], flags: &[&str], args: &[&str]) -> Call {
    let runtime = crate::runtime::path();
    bundles(command).arg("--runtime").arg(runtime).args(flags).arg("app:1").args(args)
}

pub fn run(flags: &[&str], script: &str) -> Call {
    call(&["run", "--rm"], flags, &["sh", "-c", script])
}

pub fn detached(name: &str, flags: &[&str]) -> String {
    let wait = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"];
    call(&["run", "-d", "--name", name], flags, &wait).ok().trim().to_owned()
}

pub fn inspect(name: &str) -> Value {
    let text = bundles(["inspect", name]).ok();
    serde_json::from_str::<Value>(&text).expect("JSON")[0].clone()
}
