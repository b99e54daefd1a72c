//! `bundles push` to Debian's docker-registry on the test's loopback.

use std::fs;
use std::process::Command;

use runtime_tests::archive::{Tar, digest, gzip, saved};
use runtime_tests::companion::{bundles_as, home};
use runtime_tests::prelude::*;
use runtime_tests::pty;
use runtime_tests::registry::{
    DOCKER_MANIFEST, OCI_MANIFEST, PROGRAM, Pushed, Registry, htpasswd, image, pulling, setting,
};
use runtime_tests::second_user::SecondUser;

tests![
    image_comes_back_with_the_same_digests,
    layers_that_are_there_are_not_sent_again,
    all_tags_of_a_repository_are_pushed,
    name_without_a_registry_says_what_to_type,
    what_cannot_be_pushed_is_told,
    login_is_shown_and_a_stranger_is_told_to_log_in,
    skopeo_and_podman_read_what_was_pushed,
    ordinary_user_pushes_too,
    terminal_has_bars,
];

fn prepared() {
    requires!(companion, program(PROGRAM), program("/usr/sbin/ip"));
}

fn layer(name: &str) -> Vec<u8> {
    Tar::new().file(name, name.as_bytes()).bytes()
}

/// An image of the store, whose layers are not compressed.
fn loaded(name: &str, layers: &[Vec<u8>]) {
    let path = scratch().join("loaded.tar");
    fs::write(&path, saved(name, layers)).unwrap();
    pulling(["load", "-q", "-i", path.to_str().unwrap()]).ok();
}

/// One layer in gzip, as a registry has it.
fn small(name: &str) -> Pushed {
    let layer = layer(name);
    image(DOCKER_MANIFEST, &[(&layer, gzip(&layer), ".gzip")])
}

/// The whole store goes.
fn forget() {
    fs::remove_dir_all(home()).unwrap();
}

fn manifest_of(name: &str) -> String {
    let shown = pulling(["image", "inspect", "-f", "{{.Descriptor.digest}}", name]).ok();
    shown.trim().to_owned()
}

fn image_comes_back_with_the_same_digests() {
    prepared();
    requires!(program("/usr/bin/zstd"));
    let registry = Registry::start();
    let (one, two, three) = (layer("one"), layer("two"), layer("three"));
    let path = scratch().join("two");
    fs::write(&path, &two).unwrap();
    let zstd = Command::new("zstd").arg("-c").arg(&path).output().unwrap().stdout;
    let oci = [(&*one, one.clone(), ""), (&*two, zstd, "+zstd"), (&*three, gzip(&three), "+gzip")];
    let docker = [(&*one, gzip(&one), ".gzip")];
    // In the spelling of others, which would be lost if we wrote a manifest of our own.
    let spaced = |image: Pushed| Pushed { manifest: [b" ", &image.manifest[..]].concat(), ..image };
    for (kind, layers) in [(OCI_MANIFEST, &oci[..]), (DOCKER_MANIFEST, &docker[..])] {
        let digest = registry.push("from", "1", &spaced(image(kind, layers)));
        let (from, to) = (registry.name("from:1"), registry.name("to/app:v1"));
        pulling(["pull", "-q", &from]).ok();
        pulling(["tag", &from, &to]).ok();
        pulling(["rmi", &from]).ok();
        let output = pulling(["push", &to]).output();
        let size = image(kind, layers).manifest.len() + 1;
        output.assert_exit(0).assert_stdout(&format!("v1: digest: {digest} size: {size}"));
        let repository = registry.name("to/app");
        output.assert_stderr_has(&format!("The push refers to repository [{repository}]\n"));
        let before = pulling(["image", "inspect", &to]).output().json();
        let digests = before[0]["RepoDigests"].as_array().unwrap();
        assert!(digests.contains(&json!(format!("{repository}@{digest}"))), "{digests:?}");
        forget();
        pulling(["pull", "-q", &to]).output().assert_stdout(&to);
        assert_eq!(manifest_of(&to), digest);
        let after = pulling(["image", "inspect", &to]).output().json();
        assert_eq!(after[0]["Id"], before[0]["Id"]);
        assert_eq!(after[0]["RootFS"], before[0]["RootFS"]);
        forget();
    }
}

fn layers_that_are_there_are_not_sent_again() {
    prepared();
    let registry = Registry::start();
    loaded("app:1", &[layer("one"), layer("two"), layer("one")]);
    let (first, other) = (registry.name("app:1"), registry.name("team/other:1"));
    pulling(["tag", "app:1", &first]).ok();
    pulling(["tag", "app:1", &other]).ok();
    let said = |name: &str| {
        let output = pulling(["push", name]).output();
        output.assert_exit(0);
        let said = output.stderr();
        ["Pushed", "Layer already exists", "Mounted from app\n"]
            .map(|text| said.matches(text).count())
    };
    assert_eq!(said(&first), [2, 0, 0]);
    assert_eq!(said(&first), [0, 2, 0]);
    assert_eq!(said(&other), [0, 0, 2]);
    assert_eq!(said(&other), [0, 2, 0]);
    // A layer on top goes alone; its name is another one, and no digest says that it was there.
    loaded("app:2", &[layer("one"), layer("two"), layer("one"), layer("three")]);
    let third = registry.name("third:1");
    pulling(["image", "tag", "app:2", &third]).ok();
    assert_eq!(said(&third), [1, 0, 2]);
    let quiet = pulling(["image", "push", "-q", &third]).output();
    quiet.assert_exit(0).assert_stdout(&third);
    assert_eq!(quiet.stderr(), "");
}

fn all_tags_of_a_repository_are_pushed() {
    prepared();
    let registry = Registry::start();
    loaded("one:1", &[layer("one")]);
    loaded("two:1", &[layer("two")]);
    let name = |end: &str| registry.name(end);
    for (image, tagged) in [("one:1", "a:x"), ("two:1", "a:y"), ("one:1", "a:z"), ("one:1", "b:x")]
    {
        pulling(["tag", image, &name(tagged)]).ok();
    }
    let output = pulling(["push", "-a", &name("a")]).output();
    output.assert_exit(0);
    let tags: Vec<String> = output
        .lines()
        .iter()
        .map(|line| line.split(": digest: sha256:").next().unwrap().to_owned())
        .collect();
    assert_eq!(tags, ["x", "y", "z"]);
    forget();
    for tag in ["a:x", "a:y", "a:z"] {
        pulling(["pull", "-q", &name(tag)]).output().assert_exit(0);
    }
    pulling(["pull", "-q", &name("b:x")]).output().assert_exit(1);
}

fn name_without_a_registry_says_what_to_type() {
    prepared();
    loaded("nginx:v1", &[layer("one")]);
    pulling(["tag", "nginx:v1", "ai/nginx:v1"]).ok();
    for (name, more) in
        [("nginx:v1", ""), ("ai/nginx:v1", "; or, to push it to Docker Hub: bundles login")]
    {
        let output = pulling(["push", name]).output();
        output.assert_exit(1);
        let wanted = format!(
            "bundles: push {name}: the name does not say to which registry\n  hint: name it, and push that: \
             bundles tag {name} localhost:5000/{name} && bundles push localhost:5000/{name}{more}\n"
        );
        assert_eq!(output.stderr(), wanted);
    }
    // What it says works, on a free port.
    let registry = Registry::start();
    let there = registry.name("nginx:v1");
    pulling(["tag", "nginx:v1", &there]).ok();
    pulling(["push", &there]).output().assert_exit(0);
}

fn what_cannot_be_pushed_is_told() {
    prepared();
    loaded("app:1", &[layer("one")]);
    let id = pulling(["images", "-q"]).ok().trim().to_owned();
    let digest = digest(b"");
    for (args, wanted, hint) in [
        (
            &["localhost:9/x:1"][..],
            "no image has this name",
            "give it to one, and push that: bundles tag IMAGE localhost:9/x:1",
        ),
        (
            &[&id],
            "no image has this name",
            &format!("give it to one, and push that: bundles tag {id} localhost:5000/NAME:TAG"),
        ),
        (
            &["-a", "localhost:9/x"],
            "no image has a name in this repository",
            "see those that there are: bundles images",
        ),
        (&["-a", "localhost:9/x:1"], "a tag, and --all-tags", "leave one of them out"),
        (
            &[&format!("app@{digest}")],
            "a digest cannot be pushed to",
            "give the image a name with a tag: bundles tag IMAGE NAME:TAG",
        ),
    ] {
        let output = pulling(["push"]).args(args).output();
        output.assert_exit(1);
        let name = args.last().unwrap();
        assert_eq!(output.stderr(), format!("bundles: push {name}: {wanted}\n  hint: {hint}\n"));
    }
    pulling(["tag", "app:1", "localhost:9/x:1"]).ok();
    let nobody = pulling(["push", "--retry", "0", "localhost:9/x:1"]).output();
    nobody.assert_exit(1).assert_stderr_has("localhost:9: connection refused\n");
}

fn login_is_shown_and_a_stranger_is_told_to_log_in() {
    prepared();
    let registry = Registry::with("", &htpasswd());
    loaded("app:1", &[layer("one")]);
    let name = registry.name("app:1");
    let host = format!("localhost:{}", registry.port);
    pulling(["tag", "app:1", &name]).ok();
    let refused = pulling(["push", &name]).output();
    refused.assert_exit(1).assert_stderr_has(&format!(
        "the registry wants to know who you are: bundles login {host}\n"
    ));
    setting(
        "containers/auth.json",
        &json!({"auths": {&host: {"auth": "dGVzdGVyOnNlY3JldA=="}}}).to_string(),
    );
    pulling(["push", &name]).output().assert_exit(0);
}

fn skopeo_and_podman_read_what_was_pushed() {
    prepared();
    requires!(program("/usr/bin/skopeo"), program("/usr/bin/podman"), root);
    let registry = Registry::start();
    loaded("app:1", &[layer("one"), layer("two")]);
    let name = registry.name("team/app:1");
    pulling(["tag", "app:1", &name]).ok();
    let said = pulling(["push", &name]).ok();
    let digest = said.split(' ').nth(2).unwrap().to_owned();
    let policy = scratch().join("policy.json");
    fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
    let run = |line: &str| {
        let mut words = line.split(' ');
        let mut program = Command::new(words.next().unwrap());
        let done = program.args(words).env("HOME", scratch()).output().unwrap();
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    };
    let raw = run(&format!("/usr/bin/skopeo inspect --tls-verify=false --raw docker://{name}"));
    // Some versions end it with a line feed.
    let raw = raw.strip_suffix(b"\n").unwrap_or(&raw);
    assert_eq!(runtime_tests::archive::digest(raw), digest);
    let (policy, copy) = (policy.display(), scratch().join("copy"));
    run(&format!(
        "/usr/bin/skopeo --policy {policy} copy -q --preserve-digests --src-tls-verify=false docker://{name} oci:{}:1",
        copy.display()
    ));
    let index: Value = serde_json::from_slice(&fs::read(copy.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], json!(digest));
    let podman = format!(
        "/usr/bin/podman --root {0}/podman --runroot {0}/run --storage-driver vfs --events-backend none",
        scratch().display()
    );
    run(&format!("{podman} pull -q --tls-verify=false --signature-policy {policy} {name}"));
    let shown = run(&format!("{podman} image inspect -f {{{{.Digest}}}} {name}"));
    assert_eq!(String::from_utf8_lossy(&shown).trim(), digest);
}

fn ordinary_user_pushes_too() {
    prepared();
    requires!(root);
    let registry = Registry::start();
    registry.push("app", "1", &small("f"));
    let user = SecondUser::new();
    let call = |args: &[&str]| {
        bundles_as(&user, args)
            .env("CONTAINERS_REGISTRIES_CONF", "/nonexistent/registries.conf")
            .env("HOME", user.dir().to_str().unwrap())
    };
    let (from, to) = (registry.name("app:1"), registry.name("other:1"));
    call(&["pull", "-q", &from]).ok();
    call(&["tag", &from, &to]).ok();
    call(&["push", "-q", &to]).output().assert_exit(0).assert_stdout(&to);
    pulling(["pull", "-q", &to]).ok();
}

fn terminal_has_bars() {
    prepared();
    let registry = Registry::start();
    for terminal in ["xterm", "dumb"] {
        let name = registry.name(&format!("{terminal}:1"));
        loaded("app:1", &[Tar::new().file(terminal, &vec![0; 8 << 20]).bytes()]);
        pulling(["tag", "app:1", &name]).ok();
        let (mut master, slave) = pty::open(30, 100);
        let running = pulling(["push", &name]).env("TERM", terminal).terminal(slave).spawn();
        let said = master.wait_for("1: digest: sha256:");
        running.wait().assert_exit(0);
        assert!(said.contains(": Pushed 8.39MB"), "{said:?}");
        let has_bar = said.contains(": [=") && said.contains("/8.00 MiB ");
        assert_eq!(has_bar, terminal == "xterm", "{said:?}");
    }
}
