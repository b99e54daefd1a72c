//! The Dockerfiles of `data/dockerfiles`, each built by `bundles` and by buildah: the same files, the
//! same configuration.
//!
//! What is compared of files: path, kind, mode, owner, content, target, device. Times are left out, and
//! what both runtimes make for mounts. Where buildah 1.28 knows less than the Dockerfile reference, it
//! builds `Dockerfile.plain`, which asks for the same in other words.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::companion_build::base;
use runtime_tests::archive::digest;
use runtime_tests::companion::bundles;
use runtime_tests::isolate::scratch;
use runtime_tests::prelude::*;

tests![
    companion_corpus_first_third_is_built_as_by_buildah,
    companion_corpus_second_third_is_built_as_by_buildah,
    companion_corpus_last_third_is_built_as_by_buildah,
];

const BUILDAH: &str = "/usr/bin/buildah";

/// Of a configuration, what the instructions say.
const FIELDS: [&str; 13] = [
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "OnBuild",
    "Shell",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
    "Author",
];

fn corpus() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/dockerfiles");
    let entries = fs::read_dir(&dir).expect("the corpus").flatten();
    let paths = entries.map(|entry| entry.path());
    let mut all: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
    all.sort();
    assert!(all.len() >= 25, "{}", all.len());
    all
}

fn buildah(args: &[&str]) -> Call {
    let dir = scratch();
    let path = |name: &str| dir.join(name).display().to_string();
    let (root, run) = (path("storage"), path("storage-run"));
    Call::of(BUILDAH.into(), ["--storage-driver", "overlay", "--root", &root, "--runroot", &run])
        .args(args)
        // What it forgets to unmount goes with the namespace.
        .through(["/usr/bin/unshare", "--mount", "--propagation", "private"])
        .env("BUILDAH_ISOLATION", "chroot")
        .env("HOME", dir.to_str().expect("UTF-8"))
}

/// Each way of building makes `ours:NAME` and `theirs:NAME` in our store.
fn compare(third: usize) {
    requires!(root, program(BUILDAH));
    let archive = scratch().join("base.tar");
    fs::write(&archive, base()).expect("archive");
    bundles(["load", "-q", "-i"]).arg(&archive).ok();
    buildah(&["pull", "-q"]).arg(format!("docker-archive:{}", archive.display())).ok();
    let mut wrong = Vec::new();
    for dir in corpus().into_iter().skip(third).step_by(3) {
        let name = dir.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
        let (ours, theirs) = (format!("ours:{name}"), format!("theirs:{name}"));
        let given = fs::read_to_string(dir.join("args")).unwrap_or_default();
        let given: Vec<String> = given.lines().map(|line| format!("--build-arg={line}")).collect();
        let runtime = runtime_tests::runtime::path();
        let build = bundles(["build", "-q", "--network", "none", "--runtime"]).arg(runtime);
        build.args(["-t", &ours]).args(&given).arg(&dir).ok();

        let plain = dir.join("Dockerfile.plain");
        let file = if plain.exists() { plain } else { dir.join("Dockerfile") };
        let build = buildah(&["build", "-q", "--format", "docker", "--pull-never", "--layers"]);
        build.args(["-t", &theirs]).args(&given).arg("-f").arg(&file).arg(&dir).ok();
        let to = scratch().join(format!("{name}.tar"));
        let push = buildah(&["push", "-q", &theirs]);
        push.arg(format!("docker-archive:{}:{theirs}", to.display())).ok();
        bundles(["load", "-q", "-i"]).arg(&to).ok();
        fs::remove_file(&to).expect("archive");

        let (left, right) = (config(&ours), config(&theirs));
        for field in FIELDS.iter().filter(|field| left.get(**field) != right.get(**field)) {
            wrong.push(format!(
                "{name}: {field}: {:?} != {:?}",
                left.get(*field),
                right.get(*field)
            ));
        }
        let (left, mut right) = (files(&ours), files(&theirs));
        // buildah makes the directories of VOLUME, Docker does not.
        let volumes = config(&ours).get("Volumes").cloned().unwrap_or_default();
        let is_volume = |path: &String| volumes.get(format!("/{path}")).is_some();
        right.retain(|path, _| left.contains_key(path) || !is_volume(path));
        let paths: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
        for path in paths {
            if left.get(path) != right.get(path) {
                wrong.push(format!(
                    "{name}: /{path}: {:?} != {:?}",
                    left.get(path),
                    right.get(path)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is empty may be missing.
fn config(image: &str) -> BTreeMap<&'static str, Value> {
    let text = bundles(["image", "inspect", image]).ok();
    let all: Value = serde_json::from_str(&text).expect("JSON");
    let field = |name: &'static str| match name {
        "Author" => (name, all[0]["Author"].clone()),
        "Labels" => {
            let mut labels = all[0]["Config"]["Labels"].clone();
            if let Value::Object(labels) = &mut labels {
                labels.remove("io.buildah.version");
            }
            (name, labels)
        }
        _ => (name, all[0]["Config"][name].clone()),
    };
    let is_empty = |value: &Value| {
        value.is_null() || *value == json!({}) || *value == json!([]) || *value == json!("")
    };
    FIELDS.iter().map(|name| field(name)).filter(|(_, value)| !is_empty(value)).collect()
}

/// By their paths, all that is compared.
fn files(image: &str) -> BTreeMap<String, String> {
    let runtime = runtime_tests::runtime::path();
    let create = bundles(["create", "--network", "none", "--entrypoint", "/x", "--runtime"]);
    let id = create.arg(runtime).arg(image).ok().trim().to_owned();
    let to = scratch().join(format!("{id}.tar"));
    bundles(["export", "-o"]).arg(&to).arg(&id).ok();
    bundles(["rm", &id]).ok();
    let mut archive = tar::Archive::new(fs::File::open(&to).expect("archive"));
    let mut files = BTreeMap::new();
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").display().to_string();
        let path = path.trim_start_matches("./").trim_matches('/').to_owned();
        let header = entry.header().clone();
        let (mode, uid, gid) =
            (header.mode().expect("mode"), header.uid().expect("uid"), header.gid().expect("gid"));
        let link = entry.link_name().expect("link").map(|link| link.display().to_string());
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("content");
        let link = link.map(|link| link.trim_start_matches('/').to_owned());
        let shown = format!(
            "{:?} {:o} {uid}:{gid} {link:?} {}",
            header.entry_type(),
            mode & 0o7777,
            digest(&content)
        );
        files.insert(path, shown);
    }
    fs::remove_file(&to).expect("archive");
    // The top, and what is made for mounts in every container.
    let made = [
        "",
        "dev",
        "proc",
        "sys",
        "run",
        "run/.containerenv",
        "etc/hosts",
        "etc/resolv.conf",
        "etc/hostname",
    ];
    files.retain(|path, _| !made.contains(&path.as_str()) && !path.starts_with("dev/"));
    files
}

fn companion_corpus_first_third_is_built_as_by_buildah() {
    compare(0);
}

fn companion_corpus_second_third_is_built_as_by_buildah() {
    compare(1);
}

fn companion_corpus_last_third_is_built_as_by_buildah() {
    compare(2);
}
