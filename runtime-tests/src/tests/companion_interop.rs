//! Images between the companion and buildah, podman, skopeo, umoci and Docker, in both directions: with
//! the same ids, and the same bytes where digests matter.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use runtime_tests::archive::{Tar, digest, saved};
use runtime_tests::companion::home;
use runtime_tests::poll::until;
use runtime_tests::prelude::*;
use runtime_tests::registry::{PROGRAM, Registry, loopback, pulling};

tests![
    archives_of_podman_and_skopeo_are_loaded_with_the_same_ids,
    images_of_registries_are_the_same_for_all,
    store_is_a_layout_for_skopeo_buildah_and_umoci,
    committed_image_has_the_same_files_for_umoci,
    saved_archives_are_loaded_with_the_same_ids,
    built_image_is_the_same_for_who_pulls_it,
    docker_and_the_companion_exchange_images,
];

const BUILDAH: &str = "/usr/bin/buildah";
const PODMAN: &str = "/usr/bin/podman";
const SKOPEO: &str = "/usr/bin/skopeo";
const UMOCI: &str = "/usr/bin/umoci";

/// A line of words for one of them, with a store of the test's own. Returns what it says.
fn other(line: &str) -> String {
    let dir = scratch().join("others");
    fs::create_dir_all(&dir).unwrap();
    let (policy, storage) = (dir.join("policy.json"), dir.join("storage.conf"));
    if !policy.exists() {
        fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
        let at = dir.display();
        let text = format!(
            "[storage]\ndriver = \"vfs\"\nrunroot = \"{at}/run\"\ngraphroot = \"{at}/graph\"\n"
        );
        fs::write(&storage, text).unwrap();
    }
    let line = line.replace("POLICY", &format!("--signature-policy {}", policy.display()));
    let line =
        line.replace(&format!("{SKOPEO} "), &format!("{SKOPEO} --policy {} ", policy.display()));
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    let done = command
        .args(words)
        .current_dir(&dir)
        .env("HOME", &dir)
        .env("XDG_RUNTIME_DIR", &dir)
        .env("CONTAINERS_STORAGE_CONF", &storage)
        .env("BUILDAH_ISOLATION", "chroot")
        .output()
        .unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

fn place(name: &str) -> String {
    scratch().join("others").join(name).display().to_string()
}

/// `localhost/built:1` and `:2`, with a layer more, in buildah's two formats. Returns their ids.
fn built() -> [String; 2] {
    let container = other(&format!("{BUILDAH} POLICY from scratch"));
    let add = |name: &str| {
        fs::write(place(name), name).unwrap();
        other(&format!("{BUILDAH} copy {container} {name} /dir/{name}"));
    };
    let commit = |format: &str, tag: &str| {
        other(&format!("{BUILDAH} commit POLICY -q -f {format} {container} localhost/built:{tag}"))
    };
    add("one");
    other(&format!(
        "{BUILDAH} config --env A=b --cmd /dir/one --label l=1 --workingdir /dir {container}"
    ));
    let first = commit("oci", "1");
    add("two");
    [first, commit("docker", "2")].map(|id| format!("sha256:{id}"))
}

fn id_of(name: &str) -> String {
    pulling(["image", "inspect", "-f", "{{.Id}}", name]).ok().trim().to_owned()
}

fn manifest_of(name: &str) -> String {
    pulling(["image", "inspect", "-f", "{{.Descriptor.digest}}", name]).ok().trim().to_owned()
}

/// The store without images.
fn forget() {
    fs::remove_dir_all(home()).unwrap();
}

fn loaded(archive: &str, names: &[&str], ids: &[&String]) {
    let said = pulling(["load", "-i", archive]).ok();
    let wanted: Vec<String> = names.iter().map(|name| format!("Loaded image: {name}")).collect();
    assert_eq!(said.lines().collect::<Vec<_>>(), wanted, "{archive}");
    for (name, id) in names.iter().zip(ids) {
        assert_eq!(id_of(name), **id, "{archive}");
    }
}

fn archives_of_podman_and_skopeo_are_loaded_with_the_same_ids() {
    requires!(root, companion, program(BUILDAH), program(PODMAN), program(SKOPEO));
    let [first, second] = &built();
    let (one, two) = ("localhost/built:1", "localhost/built:2");
    let podman = format!("{PODMAN} --events-backend none save -q");
    for (format, name, id) in [("docker-archive", two, second), ("oci-archive", one, first)] {
        other(&format!("{podman} --format {format} -o {format} {name}"));
        loaded(&place(format), &[name], &[id]);
        let shown = pulling(["image", "inspect", "-f", "{{json .Config}}", name]).output().json();
        assert_eq!((&shown["Env"][0], &shown["WorkingDir"]), (&json!("A=b"), &json!("/dir")));
        forget();
    }
    other(&format!("{podman} -m -o several {one} {two}"));
    loaded(&place("several"), &[one, two], &[first, second]);
    forget();
    let from = format!("{SKOPEO} copy -q containers-storage:");
    other(&format!("{from}{two} docker-archive:saved:{two}"));
    loaded(&place("saved"), &[two], &[second]);
    forget();
    // A layout keeps the manifest as it is, so that its digest stays.
    other(&format!("{from}{one} oci:layout:{one}"));
    other(&format!("{from}{one} oci-archive:packed:{one}"));
    other("/usr/bin/tar -C layout -cf layout.tar .");
    let index: Value =
        serde_json::from_str(&fs::read_to_string(place("layout/index.json")).unwrap()).unwrap();
    for archive in ["layout.tar", "packed"] {
        loaded(&place(archive), &[one], &[first]);
        assert_eq!(json!(manifest_of(one)), index["manifests"][0]["digest"], "{archive}");
        forget();
    }
}

fn images_of_registries_are_the_same_for_all() {
    requires!(root, companion, program(BUILDAH), program(PODMAN), program(SKOPEO));
    requires!(program(PROGRAM), program("/usr/sbin/ip"));
    let registry = Registry::start();
    let ids = &built();
    for (tag, id) in ["1", "2"].iter().zip(ids) {
        let from = format!("localhost/built:{tag}");
        for (number, line) in [
            format!("{BUILDAH} POLICY push -q --tls-verify=false {from} docker://"),
            format!(
                "{PODMAN} --events-backend none push POLICY -q --tls-verify=false {from} docker://"
            ),
            format!("{SKOPEO} copy -q --dest-tls-verify=false containers-storage:{from} docker://"),
        ]
        .iter()
        .enumerate()
        {
            let name = registry.name(&format!("by{number}:{tag}"));
            // What a global flag of podman's is one of the command for buildah.
            let line = line.replace("buildah POLICY push", "buildah push POLICY");
            other(&format!("{line}{name}"));
            pulling(["pull", "-q", &name]).ok();
            assert_eq!(id_of(&name), *id);
            let raw = format!("{SKOPEO} inspect --tls-verify=false --raw docker://{name}");
            assert_eq!(manifest_of(&name), digest(other(&raw).as_bytes()));
            // And back: nobody can tell whose it was.
            let ours = registry.name(&format!("ours{number}:{tag}"));
            pulling(["tag", &name, &ours]).ok();
            let said = pulling(["push", &ours]).ok();
            assert!(
                said.starts_with(&format!("{tag}: digest: {} size: ", manifest_of(&name))),
                "{said}"
            );
            let pulled = other(&format!("{BUILDAH} pull POLICY -q --tls-verify=false {ours}"));
            assert_eq!(format!("sha256:{pulled}"), *id);
        }
    }
}

fn store_is_a_layout_for_skopeo_buildah_and_umoci() {
    requires!(root, companion, program(BUILDAH), program(SKOPEO), program(UMOCI));
    let layers = ["one", "two"].map(|name| Tar::new().file(name, name.as_bytes()).bytes());
    let archive = scratch().join("archive.tar");
    fs::write(&archive, saved("team/app:1", &layers)).unwrap();
    pulling(["load", "-q", "-i", archive.to_str().unwrap()]).ok();
    pulling(["tag", "team/app:1", "localhost:5000/x:2"]).ok();
    let layout = home().join("oci").display().to_string();
    for name in ["docker.io/team/app:1", "localhost:5000/x:2"] {
        let raw = other(&format!("{SKOPEO} inspect --raw oci:{layout}:{name}"));
        assert_eq!(digest(raw.as_bytes()), manifest_of("team/app:1"));
        let id = other(&format!("{BUILDAH} pull POLICY -q oci:{layout}:{name}"));
        assert_eq!(format!("sha256:{id}"), id_of("team/app:1"));
        let to = place(&name.replace(['/', ':'], "-"));
        other(&format!("{UMOCI} unpack --image {layout}:{name} {to}"));
        for file in ["one", "two"] {
            let path = Path::new(&to).join("rootfs").join(file);
            assert_eq!(fs::read_to_string(path).unwrap(), file);
        }
    }
    let listed = other(&format!("{UMOCI} list --layout {layout}"));
    assert_eq!(listed.lines().count(), 2, "{listed}");
    // A copy of the whole, by somebody who verifies each blob.
    other(&format!(
        "{SKOPEO} copy -q --preserve-digests oci:{layout}:localhost:5000/x:2 oci:copy:x"
    ));
    pulling(["rmi", "team/app:1", "localhost:5000/x:2"]).ok();
}

/// Path, mode, and what is in it, of all below a directory.
fn tree(top: &Path, below: &Path, into: &mut BTreeMap<PathBuf, String>) {
    use std::os::unix::fs::MetadataExt as _;
    for entry in fs::read_dir(top.join(below)).unwrap() {
        let name = below.join(entry.unwrap().file_name());
        let (path, found) = (top.join(&name), fs::symlink_metadata(top.join(&name)).unwrap());
        let content = if found.is_file() {
            digest(&fs::read(&path).unwrap())
        } else if found.is_symlink() {
            fs::read_link(&path).unwrap().display().to_string()
        } else {
            String::new()
        };
        let (mode, uid, gid) = (found.mode(), found.uid(), found.gid());
        into.insert(name.clone(), format!("{mode:o} {uid}:{gid} {content}"));
        if found.is_dir() {
            tree(top, &name, into);
        }
    }
}

fn committed_image_has_the_same_files_for_umoci() {
    requires!(root, companion, busybox, program(UMOCI), program(SKOPEO));
    let busybox = fs::read("/bin/busybox").unwrap();
    let base = Tar::new()
        .directory("bin")
        .busybox(&busybox, &["sh", "rm", "mkdir", "chmod", "chown", "ln"]);
    let base = base
        .directory("old")
        .file("old/a", b"a")
        .file("gone", b"gone")
        .file("kept", b"kept")
        .bytes();
    let archive = scratch().join("archive.tar");
    fs::write(&archive, saved("app:1", &[base])).unwrap();
    pulling(["load", "-q", "-i", archive.to_str().unwrap()]).ok();
    let script = "rm -r /old /gone; mkdir /old; echo new >/old/b; echo more >>/kept; chmod 4711 /kept; \
                  ln -s kept /link; ln /kept /hard; chown 7:8 /old/b";
    let runtime = runtime_tests::runtime::path();
    pulling(["run", "--runtime"])
        .arg(runtime)
        .args(["--network", "none", "--name", "changed", "app:1", "sh", "-c", script])
        .ok();
    pulling(["commit", "changed", "app:2"]).ok();
    let layout = home().join("oci").display().to_string();
    other(&format!("{SKOPEO} copy -q oci:{layout}:docker.io/library/app:2 oci:copy:app"));
    other(&format!("{UMOCI} unpack --image copy:app unpacked"));
    let unpacked = PathBuf::from(place("unpacked/rootfs"));
    let mut theirs = BTreeMap::new();
    tree(&unpacked, Path::new(""), &mut theirs);
    let ours = scratch().join("bundle");
    pulling(["bundle", "app:2"]).arg(&ours).ok();
    let mut own = BTreeMap::new();
    tree(&ours.join("rootfs"), Path::new(""), &mut own);
    assert_eq!(own, theirs);
    assert!(theirs.contains_key(Path::new("old/b")) && !theirs.contains_key(Path::new("old/a")));
    pulling(["rm", "changed"]).ok();
}

fn saved_archives_are_loaded_with_the_same_ids() {
    requires!(root, companion, program(BUILDAH), program(PODMAN), program(SKOPEO));
    let layers = ["one", "two"].map(|name| Tar::new().file(name, name.as_bytes()).bytes());
    let archive = scratch().join("archive.tar");
    for (name, count) in [("localhost/app:1", 1), ("localhost/other:2", 2)] {
        fs::write(&archive, saved(name, layers.get(..count).unwrap())).unwrap();
        pulling(["load", "-q", "-i", archive.to_str().unwrap()]).ok();
    }
    let names = ["localhost/app:1", "localhost/other:2"];
    let podman = format!("{PODMAN} --events-backend none");
    for format in ["docker-archive", "oci-archive"] {
        other("/usr/bin/true"); // makes the directory
        let file = place(&format!("several-{format}"));
        pulling(["save", "--format", format, "-o", &file]).args(names).ok();
        if format == "docker-archive" {
            other(&format!("{podman} load POLICY -q -i {file}"));
            for name in names {
                let id = other(&format!("{podman} image inspect -f {{{{.Id}}}} {name}"));
                assert_eq!(format!("sha256:{id}"), id_of(name), "{format}");
                other(&format!("{podman} rmi {name}"));
            }
        }
        for name in names {
            let source = format!("{format}:{file}:{name}");
            let id = other(&format!("{BUILDAH} pull POLICY -q {source}"));
            assert_eq!(format!("sha256:{id}"), id_of(name), "{format}");
            let raw = other(&format!("{SKOPEO} inspect --raw {source}"));
            // The list of Docker's archive has no manifest, so that one is made up for it.
            assert!(format == "docker-archive" || digest(raw.as_bytes()) == manifest_of(name));
        }
    }
}

fn built_image_is_the_same_for_who_pulls_it() {
    requires!(root, companion, program(BUILDAH), program(SKOPEO));
    requires!(program(PROGRAM), program("/usr/sbin/ip"));
    let registry = Registry::start();
    let context = scratch().join("context");
    fs::create_dir_all(context.join("dir")).unwrap();
    fs::write(context.join("dir/f"), "hello").unwrap();
    let file = "FROM scratch\nENV A=b\nCOPY dir /dir/\nCOPY --chmod=600 dir/f /g\nWORKDIR /dir\nCMD [\"/dir/f\"]\n";
    fs::write(context.join("Dockerfile"), file).unwrap();
    let name = registry.name("built:1");
    pulling(["build", "-q", "-t", &name]).arg(&context).ok();
    let said = pulling(["push", &name]).ok();
    let raw = other(&format!("{SKOPEO} inspect --tls-verify=false --raw docker://{name}"));
    assert!(said.starts_with(&format!("1: digest: {} size: ", digest(raw.as_bytes()))), "{said}");
    let id = other(&format!("{BUILDAH} pull POLICY -q --tls-verify=false {name}"));
    assert_eq!(format!("sha256:{id}"), id_of(&name));
    let container = other(&format!("{BUILDAH} from POLICY --pull-never {name}"));
    let mounted = PathBuf::from(other(&format!("{BUILDAH} mount {container}")));
    assert_eq!(fs::read_to_string(mounted.join("dir/f")).unwrap(), "hello");
    let mode = fs::metadata(mounted.join("g")).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    other(&format!("{BUILDAH} umount {container}"));
}

/// Docker's daemon, for its images only.
struct Docker {
    daemon: Child,
    socket: String,
}

impl Docker {
    fn start() -> Self {
        requires!(root, program("/usr/sbin/dockerd"), program("/usr/bin/docker"));
        loopback();
        let dir = scratch().join("docker");
        fs::create_dir_all(&dir).unwrap();
        let path = |name: &str| dir.join(name).display().to_string();
        let key = json!({"deprecated-key-path": path("key.json")});
        fs::write(path("daemon.json"), key.to_string()).unwrap();
        let socket = format!("unix://{}", path("socket"));
        let log = fs::File::create(path("log")).unwrap();
        let daemon = Command::new("/usr/sbin/dockerd")
            .args([
                "--iptables=false",
                "--ip6tables=false",
                "--bridge=none",
                "--storage-driver=vfs",
            ])
            .args(["--config-file", &path("daemon.json"), "--data-root", &path("data")])
            .args(["--exec-root", &path("exec"), "-p", &path("pid"), "-H", &socket])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let docker = Self { daemon, socket };
        until("dockerd answers", || {
            docker.call(&["version"]).status().ok().filter(std::process::ExitStatus::success)
        });
        docker
    }

    fn call(&self, args: &[&str]) -> Command {
        let mut command = Command::new("/usr/bin/docker");
        command.arg("-H").arg(&self.socket).args(args).env("HOME", scratch());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn ok(&self, args: &[&str]) -> String {
        let done = self.call(args).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        assert!(
            done.status.success(),
            "docker {args:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    fn id_of(&self, name: &str) -> String {
        self.ok(&["image", "inspect", "-f", "{{.Id}}", name])
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // It ends its containerd, too.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.daemon.id()).expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("kill");
        self.daemon.wait().expect("wait");
    }
}

fn docker_and_the_companion_exchange_images() {
    requires!(companion, program(PROGRAM), program("/usr/sbin/ip"));
    let docker = Docker::start();
    let registry = Registry::start();
    let layers = ["one", "two"].map(|name| Tar::new().file(name, name.as_bytes()).bytes());
    let archive = scratch().join("archive.tar");
    let path = archive.to_str().unwrap();
    fs::write(&archive, saved("team/app:1", &layers)).unwrap();
    docker.ok(&["load", "-i", path]);
    let id = docker.id_of("team/app:1");
    // docker save, and load.
    let (one, two) = (registry.name("docker/app:1"), registry.name("ours/app:1"));
    docker.ok(&["tag", "team/app:1", &one]);
    docker.ok(&["save", "-o", path, "team/app:1", &one]);
    pulling(["load", "-q", "-i", path]).ok();
    assert_eq!((id_of("team/app:1"), id_of(&one)), (id.clone(), id.clone()));
    // save, and docker load.
    docker.ok(&["rmi", "-f", &id]);
    fs::remove_file(&archive).unwrap();
    pulling(["save", "-o", path, "team/app:1", &one]).ok();
    docker.ok(&["load", "-i", path]);
    assert_eq!((docker.id_of("team/app:1"), docker.id_of(&one)), (id.clone(), id.clone()));
    forget();
    // docker push, and pull.
    let said = docker.ok(&["push", &one]);
    pulling(["pull", "-q", &one]).ok();
    assert_eq!(id_of(&one), id);
    assert!(said.contains(&format!("1: digest: {} size: ", manifest_of(&one))), "{said}");
    // push, and docker pull: by the name, and by the digest.
    pulling(["tag", &one, &two]).ok();
    pulling(["push", &two]).ok();
    docker.ok(&["rmi", "-f", &id]);
    docker.ok(&["pull", "-q", &two]);
    assert_eq!(docker.id_of(&two), id);
    let digest = docker.ok(&["image", "inspect", "-f", "{{index .RepoDigests 0}}", &two]);
    assert_eq!(digest, format!("{}@{}", registry.name("ours/app"), manifest_of(&two)));
    docker.ok(&["rmi", "-f", &id]);
    // One whose layers are not compressed.
    forget();
    fs::write(&archive, saved("team/app:1", &layers)).unwrap();
    pulling(["load", "-q", "-i", path]).ok();
    pulling(["tag", "team/app:1", &two]).ok();
    pulling(["push", &two]).ok();
    docker.ok(&["pull", "-q", &two]);
    assert_eq!(docker.id_of(&two), id);
}
