//! `bundles pull`, `login` and `logout` against Debian's docker-registry on the test's loopback.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use runtime_tests::archive::{Tar, digest, gzip};
use runtime_tests::companion::{bundles_as, home};
use runtime_tests::prelude::*;
use runtime_tests::pty;
use runtime_tests::registry::{
    DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, PROGRAM, Pushed, Registry, htpasswd,
    image, pulling, setting, settings,
};
use runtime_tests::second_user::SecondUser;

tests![
    image_is_pulled_by_tag_and_by_digest,
    layers_of_all_compressions_are_unpacked,
    list_gives_the_manifest_for_a_platform,
    skopeo_pushes_what_is_pulled,
    tls_needs_an_authority_that_is_trusted,
    login_is_checked_and_kept_for_the_owner_only,
    login_may_come_from_a_helper,
    names_lead_where_registries_conf_says,
    daemon_json_says_whom_to_trust,
    ordinary_user_pulls_too,
    two_pulls_at_once_share_the_work,
    run_pulls_what_is_missing,
    terminal_has_bars_and_a_hidden_password,
];

fn prepared() {
    requires!(companion, program(PROGRAM), program("/usr/sbin/ip"));
}

fn layer(name: &str) -> Vec<u8> {
    Tar::new().file(name, name.as_bytes()).bytes()
}

/// One layer in gzip.
fn small(name: &str) -> Pushed {
    let layer = layer(name);
    image(DOCKER_MANIFEST, &[(&layer, gzip(&layer), ".gzip")])
}

fn unpacked(layer: &[u8]) -> PathBuf {
    let hex = digest(layer).trim_start_matches("sha256:").to_owned();
    home().join("layers").join(hex).join("files")
}

/// Whether nothing is left below `tmp/`.
fn tidy() -> bool {
    fs::read_dir(home().join("tmp")).is_ok_and(|mut all| all.next().is_none())
}

fn image_is_pulled_by_tag_and_by_digest() {
    prepared();
    let registry = Registry::start();
    let pushed = registry.push("team/app", "1", &small("f"));
    let name = registry.name("team/app:1");
    let output = pulling(["pull", &name]).output();
    output.assert_exit(0);
    let said = output.lines();
    assert_eq!(said[0], format!("Digest: {pushed}"));
    assert!(said[1].starts_with("Created: ") && said[1].contains(" ago (2024-01-02T03:04:05Z)"));
    assert_eq!(said[2..], [format!("Status: Downloaded newer image for {name}"), name.clone()]);
    output.assert_stderr_has(": Pull complete ");
    let again = pulling(["image", "pull", &name]).output();
    again.assert_stderr_has(": Already exists");
    assert_eq!(again.lines()[2], format!("Status: Image is up to date for {name}"));
    // The tag goes to another image; the old one stays, by its digest.
    let newer = registry.push("team/app", "1", &small("g"));
    let output = pulling(["pull", "-q", &name]).output();
    output.assert_stdout(&name);
    assert_eq!(output.stderr(), "");
    let digests = pulling(["images", "--digests", "--format", "{{.Tag}} {{.Digest}}"]).ok();
    assert!(digests.contains(&format!("1 {newer}\n")) && digests.lines().count() == 2, "{digests}");
    let by_digest = registry.name(&format!("team/app@{pushed}"));
    pulling(["pull", "-q", &by_digest]).output().assert_stdout(&by_digest);
    pulling(["image", "inspect", &by_digest]).output().assert_exit(0);
    let missing = pulling(["pull", &registry.name("team/app:2")]).output();
    missing.assert_exit(1);
    let wanted = format!(
        "bundles: pull {0}:2: {0} manifests/2: HTTP 404 Not Found: manifest unknown\n  hint: check the name and the tag\n",
        registry.name("team/app")
    );
    assert_eq!(missing.stderr(), wanted);
    assert!(tidy());
}

fn layers_of_all_compressions_are_unpacked() {
    prepared();
    requires!(program("/usr/bin/zstd"));
    let registry = Registry::start();
    let (one, two, three) = (layer("one"), layer("two"), layer("three"));
    let path = scratch().join("two");
    fs::write(&path, &two).unwrap();
    let zstd = Command::new("zstd").arg("-c").arg(&path).output().unwrap().stdout;
    // The first one twice, as empty layers often come.
    let layers = [
        (&*one, one.clone(), ""),
        (&*two, zstd, "+zstd"),
        (&*three, gzip(&three), "+gzip"),
        (&*one, one.clone(), ""),
    ];
    registry.push("app", "latest", &image(OCI_MANIFEST, &layers));
    let output = pulling(["pull", &registry.name("app")]).output();
    output.assert_exit(0);
    assert_eq!(output.stderr().matches("Pull complete").count(), 3, "{}", output.stderr());
    for (layer, name) in [(&one, "one"), (&two, "two"), (&three, "three")] {
        assert_eq!(fs::read_to_string(unpacked(layer).join(name)).unwrap(), name);
    }
    let layers = pulling(["image", "inspect", &registry.name("app")]).output().json();
    assert_eq!(layers[0]["RootFS"]["Layers"].as_array().unwrap().len(), 4);
}

fn list_gives_the_manifest_for_a_platform() {
    prepared();
    let registry = Registry::start();
    let mine = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    for (kind, list) in [(DOCKER_MANIFEST, DOCKER_LIST), (OCI_MANIFEST, OCI_INDEX)] {
        let mut listed = Vec::new();
        for architecture in ["s390x", mine] {
            let layer = layer(architecture);
            let one = image(
                kind,
                &[(&layer, gzip(&layer), if kind == OCI_MANIFEST { "+gzip" } else { ".gzip" })],
            );
            let digest = registry.push("multi", architecture, &one);
            listed.push(json!({"mediaType": kind, "digest": digest, "size": one.manifest.len(),
                "platform": {"architecture": architecture, "os": "linux"}}));
        }
        let index = json!({"schemaVersion": 2, "mediaType": list, "manifests": listed});
        let index =
            Pushed { blobs: Vec::new(), manifest: index.to_string().into_bytes(), kind: list };
        let digest = registry.push("multi", "1", &index);
        let name = registry.name("multi:1");
        pulling(["pull", &name]).output().assert_stdout_has(&format!("Digest: {digest}\n"));
        assert!(unpacked(&layer(mine)).exists());
        // What the configuration says of itself does not matter behind a list.
        let other = pulling(["pull", "--platform", "linux/s390x", &name]).output();
        other.assert_exit(1).assert_stderr_has("the image is for linux/amd64, not for linux/s390x");
        let none = pulling(["pull", "--platform", "linux/arm/v7", &name]).output();
        none.assert_exit(1).assert_stderr_has("no manifest for linux/arm/v7 in the image\n");
        none.assert_stderr_has(&format!("this one has: linux/s390x linux/{mine}\n"));
        pulling(["rmi", &name]).ok();
    }
}

fn skopeo_pushes_what_is_pulled() {
    prepared();
    requires!(program("/usr/bin/skopeo"));
    let registry = Registry::start();
    let layer = layer("f");
    let archive = scratch().join("app.tar");
    fs::write(&archive, runtime_tests::archive::saved("app:1", std::slice::from_ref(&layer)))
        .unwrap();
    let policy = scratch().join("policy.json");
    fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
    for (number, format) in ["oci", "v2s2"].iter().enumerate() {
        let name = registry.name(&format!("s{number}:1"));
        let mut copy = Command::new("/usr/bin/skopeo");
        copy.arg("--policy").arg(&policy).args([
            "copy",
            "-q",
            "--dest-tls-verify=false",
            "-f",
            format,
        ]);
        copy.arg(format!("docker-archive:{}", archive.display())).arg(format!("docker://{name}"));
        let said = copy.env("HOME", scratch()).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        pulling(["pull", "-q", &name]).output().assert_stdout(&name);
        assert!(unpacked(&layer).join("f").exists());
    }
}

/// A certificate authority, and a certificate for `localhost` and 127.0.0.1 by it.
fn certificates() -> PathBuf {
    let dir = scratch().join("certificates");
    fs::create_dir_all(&dir).unwrap();
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    fs::write(dir.join("names"), names).unwrap();
    for line in [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -subj /CN=test-ca -days 2",
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=localhost",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile names",
    ] {
        let mut openssl = Command::new("/usr/bin/openssl");
        let said = openssl.args(line.split(' ')).current_dir(&dir).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }
    dir
}

fn tls(certificates: &Path) -> String {
    let dir = certificates.display();
    format!("  tls:\n    certificate: {dir}/server.crt\n    key: {dir}/server.key")
}

fn tls_needs_an_authority_that_is_trusted() {
    prepared();
    requires!(program("/usr/bin/openssl"));
    let dir = certificates();
    let digest = Registry::start().push("app", "1", &small("f"));
    let registry = Registry::with(&tls(&dir), "");
    // On this machine any certificate does.
    pulling(["pull", "-q", &registry.name("app:1")]).ok();
    let certs = format!("containers/certs.d/localhost:{}/", registry.port);
    // Once there are certificates for it, one of them has to vouch.
    setting(&format!("{certs}note.txt"), "");
    let refused = pulling(["pull", &registry.name("app:1")]).output();
    refused.assert_exit(1);
    let port = registry.port;
    assert_eq!(
        refused.stderr(),
        format!(
            "bundles: pull localhost:{port}/app:1: localhost:{port}: its certificate is of an authority that is not trusted\n  \
             hint: put the authority's certificate into /etc/containers/certs.d/localhost:{port}/ca.crt\n"
        )
    );
    pulling(["pull", "-q", "--insecure", &registry.name("app:1")]).ok();
    let ca = fs::read_to_string(dir.join("ca.crt")).unwrap();
    setting(&format!("{certs}ca.crt"), &ca);
    pulling(["pull", &registry.name("app:1")]).output().assert_stdout_has(&digest);
    fs::remove_dir_all(settings("containers")).unwrap();
    let chosen = scratch().join("chosen");
    fs::create_dir(&chosen).unwrap();
    let chosen = chosen.to_str().unwrap();
    let with = |chosen: &str| {
        pulling(["pull", "-q", "--cert-dir", chosen, &registry.name("app:1")]).output()
    };
    with(chosen).assert_exit(1).assert_stderr_has("an authority that is not trusted");
    fs::copy(dir.join("ca.crt"), format!("{chosen}/ca.crt")).unwrap();
    with(chosen).assert_exit(0);
    fs::write(format!("{chosen}/ca.crt"), "none").unwrap();
    with(chosen).assert_exit(1).assert_stderr_has("/ca.crt: no certificate in it\n");
}

fn login_is_checked_and_kept_for_the_owner_only() {
    prepared();
    Registry::start().push("app", "1", &small("f"));
    let registry = Registry::with("", &htpasswd());
    let (host, name) = (format!("localhost:{}", registry.port), registry.name("app:1"));
    let refused = pulling(["pull", &name]).output();
    refused.assert_exit(1).assert_stderr_has(": HTTP 401 Unauthorized");
    refused.assert_stderr_has(&format!(
        "hint: the registry wants to know who you are: bundles login {host}\n"
    ));
    let wrong =
        pulling(["login", "-u", "tester", "--password-stdin", &host]).stdin("no\n").output();
    wrong.assert_exit(1).assert_stderr_has(&format!("bundles: login {host}: {host}: HTTP 401"));
    assert!(!settings("containers/auth.json").exists());
    let right =
        pulling(["login", "-u", "tester", "--password-stdin", &host]).stdin("secret\n").output();
    right.assert_stdout("Login Succeeded");
    let file = settings("containers/auth.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(kept, json!({"auths": {&host: {"auth": "dGVzdGVyOnNlY3JldA=="}}}));
    pulling(["pull", "-q", &name]).ok();
    pulling(["logout", &host])
        .output()
        .assert_stdout(&format!("Removing login credentials for {host}"));
    pulling(["logout", &host]).output().assert_stdout(&format!("Not logged in to {host}"));
    pulling(["pull", &name]).output().assert_exit(1);
    // Docker's own file counts, and is told of.
    setting(".docker/config.json", &kept.to_string());
    pulling(["pull", "-q", &name]).ok();
    pulling(["logout", &host]).output().assert_stderr_has(".docker/config.json has a login for ");
    let chosen = setting("chosen.json", r#"{"auths":{},"own":1}"#);
    let chosen = chosen.to_str().unwrap();
    pulling(["pull", &name]).env("REGISTRY_AUTH_FILE", chosen).output().assert_exit(1);
    pulling(["login", "-u", "tester", "-p", "secret", &host])
        .env("REGISTRY_AUTH_FILE", chosen)
        .ok();
    assert!(fs::read_to_string(chosen).unwrap().contains("\"own\": 1"));
    fs::remove_file(settings(".docker/config.json")).unwrap();
    let none = pulling(["login", &host]).output();
    none.assert_exit(1)
        .assert_stderr_has("login: no terminal to ask for the user name and the password\n");
}

fn login_may_come_from_a_helper() {
    prepared();
    Registry::start().push("app", "1", &small("f"));
    let registry = Registry::with("", &htpasswd());
    let host = format!("localhost:{}", registry.port);
    let name = registry.name("app:1");
    setting(".docker/config.json", &json!({"credHelpers": {&host: "test"}}).to_string());
    let gone = pulling(["pull", &name]).output();
    gone.assert_exit(1)
        .assert_stderr_has("docker-credential-test: executable file not found in $PATH\n");
    let helper = setting(
        "bin/docker-credential-test",
        "#!/bin/sh\nread host; [ \"$1 $host\" = \"get $WANTED\" ] || { echo credentials not found in native keychain; exit 1; }\n\
         echo '{\"ServerURL\":\"\",\"Username\":\"tester\",\"Secret\":\"secret\"}'\n",
    );
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", settings("bin").display());
    let with = |wanted: &str| {
        pulling(["pull", "-q", &name]).env("PATH", &path).env("WANTED", wanted).output()
    };
    with(&host).assert_stdout(&name);
    with("other").assert_exit(1).assert_stderr_has("HTTP 401");
}

fn conf(text: &str) -> String {
    setting("containers/registries.conf", text).display().to_string()
}

fn names_lead_where_registries_conf_says() {
    prepared();
    let registry = Registry::start();
    let port = registry.port;
    let digest = registry.push("mirror/app", "1", &small("f"));
    let pull = |text: &str, name: &str| {
        pulling(["pull", "--retry", "0", name])
            .env("CONTAINERS_REGISTRIES_CONF", &conf(text))
            .output()
    };
    let rewritten =
        format!("[[registry]]\nprefix = 'example.test/team'\nlocation = 'localhost:{port}/mirror'");
    let output = pull(&rewritten, "example.test/team/app:1");
    output.assert_stdout_has(&digest).assert_stdout_has("\nexample.test/team/app:1\n");
    // The first mirror refuses the connection, the second has it.
    let mirrors = format!(
        "[[registry]]\nlocation = 'example.test'\n[[registry.mirror]]\nlocation = 'localhost:1/none'\n\
         [[registry.mirror]]\nlocation = 'localhost:{port}/mirror'"
    );
    let output = pull(&mirrors, "example.test/app:1");
    output.assert_stdout_has(&digest).assert_stderr_has("mirror localhost:1: connection refused\n");
    let blocked =
        pull("[[registry]]\nlocation = 'example.test'\nblocked = true", "example.test/app:1");
    blocked.assert_exit(1).assert_stderr_has("example.test: blocked by registries.conf\n  hint: ");
    let search = format!("unqualified-search-registries = ['localhost:1', 'localhost:{port}']");
    pull(&search, "mirror/app:1").assert_stdout_has(&format!("\nlocalhost:{port}/mirror/app:1\n"));
    let nowhere = pull(&search, "mirror/app:2");
    nowhere.assert_exit(1).assert_stderr_has("bundles: pull localhost:1/mirror/app:2: ");
    nowhere.assert_stderr_has(&format!("bundles: pull localhost:{port}/mirror/app:2: "));
    let alias = format!("[aliases]\nshort = 'localhost:{port}/mirror/app'");
    pull(&alias, "short:1").assert_stdout_has(&digest);
    let broken = pull("[[registry]", "x");
    broken.assert_exit(1).assert_stderr_has("registries.conf: TOML parse error at line 1, column ");
    assert_eq!(broken.stderr().lines().count(), 1);
}

fn daemon_json_says_whom_to_trust() {
    prepared();
    requires!(root, program("/usr/bin/openssl"));
    let dir = certificates();
    Registry::start().push("library/app", "1", &small("f"));
    let registry = Registry::with(&tls(&dir), "");
    // Not a name of the loopback, though it leads there.
    let hosts = scratch().join("hosts");
    fs::write(&hosts, "127.0.0.1 localhost example.test\n").unwrap();
    let _mount = HostMount::bind(&hosts, Path::new("/etc/hosts"));
    let name = format!("example.test:{}/library/app:1", registry.port);
    let refused = pulling(["pull", &name]).output();
    refused.assert_exit(1).assert_stderr_has("an authority that is not trusted\n");
    let daemon = json!({"insecure-registries": [format!("example.test:{}", registry.port)]});
    setting("docker/daemon.json", &daemon.to_string());
    pulling(["pull", "-q", &name]).ok();
    let mirror = json!({"registry-mirrors": [format!("https://localhost:{}/", registry.port)]});
    setting("docker/daemon.json", &mirror.to_string());
    pulling(["pull", "-q", "app:1"]).output().assert_stdout("docker.io/library/app:1");
}

fn ordinary_user_pulls_too() {
    prepared();
    requires!(root);
    let registry = Registry::start();
    registry.push("app", "1", &small("f"));
    let user = SecondUser::new();
    bundles_as(&user, ["pull", "-q", &registry.name("app:1")])
        .env("CONTAINERS_REGISTRIES_CONF", "/nonexistent/registries.conf")
        .env("HOME", user.dir().to_str().unwrap())
        .output()
        .assert_stdout(&registry.name("app:1"));
}

fn two_pulls_at_once_share_the_work() {
    prepared();
    let registry = Registry::start();
    let files =
        (0..2000).fold(Tar::new(), |tar, number| tar.file(&number.to_string(), b"x")).bytes();
    registry.push("app", "1", &image(DOCKER_MANIFEST, &[(&files, gzip(&files), ".gzip")]));
    let name = registry.name("app:1");
    let all: Vec<Running> = (0..4).map(|_| pulling(["pull", &name]).spawn()).collect();
    let all: Vec<Output> = all.into_iter().map(Running::wait).collect();
    for one in &all {
        one.assert_exit(0);
    }
    let pulled = all.iter().filter(|one| one.stderr().contains("Pull complete")).count();
    assert_eq!(pulled, 1);
    assert!(tidy());
}

fn run_pulls_what_is_missing() {
    prepared();
    requires!(root, busybox());
    let registry = Registry::start();
    let busybox = fs::read(runtime_tests::bundle::busybox().unwrap()).unwrap();
    let push = |word: &str| {
        let change = |header: &mut tar::Header| header.set_mode(0o755);
        let layer = Tar::new()
            .directory("bin")
            .entry(tar::EntryType::Regular, "bin/busybox", &busybox, change)
            .file("word", word.as_bytes())
            .bytes();
        registry.push("app", "1", &image(DOCKER_MANIFEST, &[(&layer, gzip(&layer), ".gzip")]))
    };
    let name = registry.name("app:1");
    let run = |when: &str| {
        let call = pulling(["run", "--rm", "--network", "none", "--pull", when, "--runtime"]);
        let call = call.arg(runtime_tests::runtime::path()).arg(&name);
        call.args(["/bin/busybox", "cat", "/word"]).output()
    };
    push("one");
    let never = run("never");
    never.assert_exit(125).assert_stderr_has(&format!("image {name}: not in the store\n"));
    let first = run("missing");
    first.assert_stdout("one").assert_stderr_has(": Pull complete ");
    push("two");
    let second = run("missing");
    second.assert_stdout("one");
    assert_eq!(second.stderr(), "");
    run("always").assert_stdout("two");
    // A short name is that of the registry which registries.conf names, also when that is away.
    let search = format!("unqualified-search-registries = ['localhost:{}']", registry.port);
    let conf = conf(&search);
    drop(registry);
    let call = pulling(["run", "--rm", "--network", "none", "--runtime"]);
    let call =
        call.arg(runtime_tests::runtime::path()).args(["app:1", "/bin/busybox", "cat", "/word"]);
    call.env("CONTAINERS_REGISTRIES_CONF", &conf).output().assert_stdout("two");
}

fn terminal_has_bars_and_a_hidden_password() {
    prepared();
    let files = Tar::new().file("zeros", &vec![0; 8 << 20]).bytes();
    let pushed = image(DOCKER_MANIFEST, &[(&files, files.clone(), "")]);
    Registry::start().push("app", "1", &pushed);
    let registry = Registry::with("", &htpasswd());
    let host = format!("localhost:{}", registry.port);
    let (mut master, slave) = pty::open(30, 100);
    let running = pulling(["login", "-u", "tester", &host]).terminal(slave).spawn();
    master.wait_for("Password: ");
    master.write("secret\n");
    let said = master.wait_for("Login Succeeded");
    assert!(!said.contains("secret"), "{said:?}");
    running.wait().assert_exit(0);
    let pull = |terminal: &str| {
        let (mut master, slave) = pty::open(30, 100);
        let call = pulling(["pull", &registry.name("app:1")]).env("TERM", terminal);
        let running = call.terminal(slave).spawn();
        let said = master.wait_for("Status: Downloaded newer image for ");
        running.wait().assert_exit(0);
        assert!(said.contains(": Pull complete 8.39MB"), "{said:?}");
        said
    };
    let said = pull("xterm");
    assert!(said.contains(": [=") && said.contains("/8.00 MiB "), "{said:?}");
    pulling(["rmi", &registry.name("app:1")]).ok();
    let said = pull("dumb");
    assert!(!said.contains(": [="), "{said:?}");
}
