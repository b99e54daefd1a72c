//! `bundles pull` from a registry that cuts, refuses, dawdles, lies and attacks.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use runtime_tests::archive::{Tar, digest, gzip};
use runtime_tests::companion::home;
use runtime_tests::prelude::*;
use runtime_tests::registry::{
    Answer, DOCKER_MANIFEST, OCI_MANIFEST, Pushed, Request, Server, faultless, image, pulling,
    setting,
};

tests![
    cut_download_goes_on_where_it_was_cut,
    registry_without_ranges_is_asked_for_all_again,
    killed_pull_is_resumed_and_prune_gives_all_back,
    pull_killed_at_any_instant_leaves_all_or_nothing,
    trouble_that_passes_is_waited_for,
    trouble_that_stays_is_told,
    silent_registry_is_given_up,
    content_that_was_not_promised_is_refused,
    answers_that_are_no_manifest_are_refused,
    hostile_layer_of_a_registry_writes_nothing,
    headers_without_end_are_refused,
    token_is_fetched_shown_and_renewed,
    credentials_stay_with_the_registry,
    full_disk_is_told_and_leaves_no_image,
];

fn prepared() {
    requires!(companion, program("/usr/sbin/ip"));
}

/// Bytes which do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length / 8).flat_map(next).collect()
}

/// One layer of 3 MB.
fn large() -> (Vec<u8>, Pushed) {
    let layer = Tar::new().file("noise", &noise(3_000_000)).bytes();
    let pushed = image(DOCKER_MANIFEST, &[(&layer, gzip(&layer), ".gzip")]);
    (layer, pushed)
}

fn small() -> Pushed {
    let layer = Tar::new().file("f", b"hello").bytes();
    image(DOCKER_MANIFEST, &[(&layer, gzip(&layer), ".gzip")])
}

fn unpacked(layer: &[u8]) -> PathBuf {
    let hex = digest(layer).trim_start_matches("sha256:").to_owned();
    home().join("layers").join(hex).join("files")
}

fn left(dir: &str) -> usize {
    fs::read_dir(home().join(dir)).map_or(0, Iterator::count)
}

/// Nothing but what there is of an empty store.
fn assert_empty() {
    assert_eq!((left("layers"), left("tmp")), (0, 0));
    assert!(!home().join("oci/index.json").exists());
}

/// A registry with one image, whose answers `change` may change.
fn registry(
    image: &Pushed,
    change: impl Fn(&Request, Answer) -> Answer + Send + Sync + 'static,
) -> Server {
    let image = image.clone();
    Server::start(move |request| change(request, faultless(&image, request)))
}

fn pull(server: &Server, more: &[&str]) -> Output {
    pulling(["pull", &server.name("app:1")]).args(more).output()
}

fn ranges(server: &Server) -> Vec<String> {
    server.seen().iter().filter_map(|one| one.headers.get("range").cloned()).collect()
}

fn cut_download_goes_on_where_it_was_cut() {
    prepared();
    let (layer, image) = large();
    let blob = digest(&image.blobs[0]);
    let server = registry(&image, move |request, answer| {
        // Twice with a megabyte each, then to the end.
        let cut = request.path.ends_with(&blob) && request.before < 2;
        Answer { cut: cut.then_some(1_000_000), ..answer }
    });
    pull(&server, &[]).assert_exit(0);
    assert_eq!(ranges(&server), ["bytes=1000000-", "bytes=2000000-"]);
    assert_eq!(fs::read(unpacked(&layer).join("noise")).unwrap(), noise(3_000_000));
    assert_eq!(left("tmp"), 0);
}

fn registry_without_ranges_is_asked_for_all_again() {
    prepared();
    let (layer, image) = large();
    let (blob, all) = (digest(&image.blobs[0]), image.blobs[0].clone());
    let server = registry(&image, move |request, answer| {
        if !request.path.ends_with(&blob) {
            return answer;
        }
        let cut = (request.before == 0).then_some(1_000_000);
        Answer { cut, ..Answer::of(200, "application/octet-stream", &all) }
    });
    pull(&server, &[]).assert_exit(0);
    assert_eq!(ranges(&server), ["bytes=1000000-"]);
    assert_eq!(fs::read(unpacked(&layer).join("noise")).unwrap(), noise(3_000_000));
    // One that sends something else than it was asked for is not believed.
    pulling(["rmi", &server.name("app:1")]).ok();
    let (_, image) = large();
    let blob = digest(&image.blobs[0]);
    let server = registry(&image, move |request, answer| {
        let mut answer = answer;
        if request.path.ends_with(&blob) {
            answer.cut = (request.before == 0).then_some(1_000_000);
            for (_, value) in answer.headers.iter_mut().filter(|(name, _)| name == "Content-Range")
            {
                *value = value.replace("bytes 1000000", "bytes 999999");
            }
        }
        answer
    });
    let lied = pull(&server, &[]);
    lied.assert_exit(1).assert_stderr_has("sent another part than that from byte 1000000\n");
}

fn killed_pull_is_resumed_and_prune_gives_all_back() {
    prepared();
    let (layer, image) = large();
    let blob = digest(&image.blobs[0]);
    let server = registry(&image, move |request, answer| {
        // The first ones stay open and silent.
        let stuck = request.path.ends_with(&blob) && request.before < 2;
        let silence = Duration::from_secs(if stuck { 20 } else { 0 });
        Answer { cut: stuck.then_some(1_000_000), silence, ..answer }
    });
    let name = server.name("app:1");
    let partial = || {
        let below = fs::read_dir(home().join("tmp")).ok()?.flatten();
        let dirs = below.filter(|one| one.file_name().to_string_lossy().starts_with("pull-"));
        dirs.map(|one| one.path().join("blob")).find(|path| path.exists())
    };
    let stuck_with = |bytes: u64| {
        let running = pulling(["pull", &name]).spawn();
        until("the part is there", || {
            let length = fs::metadata(partial()?).ok()?.len();
            (length == bytes).then_some(())
        });
        running.signal(Signal::SIGKILL);
        running.wait();
    };
    stuck_with(1_000_000);
    assert!(pulling(["images", "-q"]).ok().is_empty());
    let freed = pulling(["system", "prune", "-f"]).ok();
    assert!(freed.ends_with("MB\n"), "{freed}");
    assert_empty();
    stuck_with(1_000_000);
    // What has come is not trusted for lying there, and not asked for again.
    pulling(["pull", "-q", &name]).ok();
    assert_eq!(ranges(&server), ["bytes=1000000-"]);
    assert_eq!(fs::read(unpacked(&layer).join("noise")).unwrap(), noise(3_000_000));
    pulling(["rmi", &name]).ok();
    // A damaged part is thrown away with the attempt.
    let (_, image) = large();
    let server = registry(&image, |_, answer| answer);
    let dir = format!("tmp/pull-{}", digest(&image.blobs[0]).trim_start_matches("sha256:"));
    fs::create_dir_all(home().join(&dir)).unwrap();
    fs::write(home().join(&dir).join("blob"), vec![7; 1000]).unwrap();
    let damaged = pull(&server, &[]);
    damaged.assert_exit(1).assert_stderr_has("  hint: tell the owner of the registry: ");
    pull(&server, &[]).assert_exit(0);
    pulling(["rmi", &server.name("app:1")]).ok();
    pulling(["system", "prune", "-f"]).ok();
    assert_eq!((left("layers"), left("tmp"), left("oci/blobs/sha256")), (0, 0, 0));
}

fn pull_killed_at_any_instant_leaves_all_or_nothing() {
    prepared();
    let layer = |salt: &str| {
        let names = (0..100).map(|number| format!("{salt}-{number}"));
        names.fold(Tar::new(), |tar, name| tar.file(&name, salt.as_bytes())).bytes()
    };
    let layers = ["one", "two", "three", "four", "five"].map(layer);
    let all: Vec<(&[u8], Vec<u8>, &str)> =
        layers.iter().map(|one| (one.as_slice(), gzip(one), "+gzip")).collect();
    let server = registry(&image(OCI_MANIFEST, &all), |_, answer| answer);
    let name = server.name("app:1");
    let started = Instant::now();
    pulling(["pull", "-q", &name]).ok();
    let usual = started.elapsed();
    pulling(["rmi", &name]).ok();
    let rounds = std::env::var("KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(40_u32);
    for round in 0..rounds {
        let running = pulling(["pull", "-q", &name]).spawn();
        std::thread::sleep(usual * round / rounds);
        running.signal(Signal::SIGKILL);
        running.wait();
        for layer in fs::read_dir(home().join("layers")).into_iter().flatten().flatten() {
            assert_eq!(fs::read_dir(layer.path().join("files")).unwrap().count(), 100);
        }
        if !pulling(["images", "-q"]).ok().is_empty() {
            assert_eq!(left("layers"), layers.len());
            pulling(["rmi", &name]).ok();
        }
        if round % 4 == 3 {
            pulling(["system", "prune", "-f"]).ok();
            assert_eq!((left("layers"), left("tmp"), left("oci/blobs/sha256")), (0, 0, 0));
        }
    }
    pulling(["pull", "-q", &name]).ok();
    pulling(["rmi", &name]).ok();
    pulling(["system", "prune", "-f"]).ok();
    assert_eq!((left("layers"), left("tmp"), left("oci/blobs/sha256")), (0, 0, 0));
}

fn trouble_that_passes_is_waited_for() {
    prepared();
    let image = small();
    let blob = digest(&image.blobs[0]);
    let server = registry(&image, move |request, answer| {
        let of = |status| Answer::of(status, "text/plain", b"").header("Retry-After", "1");
        match request.before {
            0 if request.path.contains("/manifests/") => of(429),
            0 if request.path.ends_with(&blob) => of(503),
            _ => answer,
        }
    });
    let started = Instant::now();
    pull(&server, &[]).assert_exit(0);
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
}

fn trouble_that_stays_is_told() {
    prepared();
    for (status, header, wanted, hint, count) in [
        (
            503,
            "",
            "2 attempts: NAME manifests/1: HTTP 503 ",
            "the registry has trouble, try again later",
            2,
        ),
        (
            429,
            "",
            "2 attempts: NAME manifests/1: HTTP 429 ",
            "try again later, or log in: bundles login HOST",
            2,
        ),
        (
            429,
            "3600",
            "wanted in 3600 s, not before: NAME manifests/1: HTTP 429 ",
            "try again later, or log in: bundles login HOST",
            1,
        ),
        (
            401,
            "",
            "NAME manifests/1: HTTP 401 ",
            "the registry wants to know who you are: bundles login HOST",
            1,
        ),
        (
            403,
            "",
            "NAME manifests/1: HTTP 403 ",
            "ask its owner for the right to pull it, or be somebody else: bundles login HOST",
            1,
        ),
        (404, "", "NAME manifests/1: HTTP 404 ", "check the name and the tag", 1),
        (418, "", "NAME manifests/1: HTTP 418 ", "check that a registry answers there", 1),
    ] {
        let errors = br#"{"errors":[{"code":"X","message":"some\u001b[31m reason"}]}"#;
        let server = registry(&small(), move |_, _| {
            let answer = Answer::of(status, "application/json", errors);
            if header.is_empty() { answer } else { answer.header("Retry-After", header) }
        });
        let output = pull(&server, &["--retry", "1"]);
        output.assert_exit(1);
        let (name, host) = (server.name("app"), format!("localhost:{}", server.port));
        let told = output.stderr();
        let wanted = format!("bundles: pull {name}:1: {}", wanted.replace("NAME", &name));
        assert!(told.starts_with(&wanted), "{told}");
        // Of what a stranger says, nothing that a terminal obeys.
        assert!(told.contains(": some[31m reason\n"), "{told:?}");
        assert!(told.ends_with(&format!("  hint: {}\n", hint.replace("HOST", &host))), "{told}");
        assert_eq!((told.lines().count(), server.count("/manifests/")), (2, count), "{told}");
    }
    assert_empty();
}

fn silent_registry_is_given_up() {
    prepared();
    let (_, image) = large();
    let blob = digest(&image.blobs[0]);
    let server = registry(&image, move |request, answer| {
        let silence = Duration::from_secs(if request.path.ends_with(&blob) { 20 } else { 0 });
        Answer { cut: Some(answer.body.len().min(1000)), silence, ..answer }
    });
    let started = Instant::now();
    let output = pull(&server, &["--timeout", "1", "--retry", "1"]);
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    output
        .assert_exit(1)
        .assert_stderr_has(&format!(": localhost:{}: silent for 1 s\n", server.port));
    output.assert_stderr_has("  hint: try again later, or wait longer with --timeout SECONDS\n");
}

fn content_that_was_not_promised_is_refused() {
    prepared();
    let good = small();
    let layer = digest(&good.blobs[0]);
    let config = digest(&good.blobs[1]);
    let of = |body: &[u8]| Answer::of(200, "application/octet-stream", body);
    let length = good.blobs[0].len();
    let same = vec![0; length];
    let longer = [good.blobs[0].as_slice(), b"x"].concat();
    let shorter = good.blobs[0][..length - 1].to_vec();
    let cases: [(&str, Answer, &str); 5] = [
        (&layer, of(&same), "layer "),
        (&layer, of(&longer), &format!("has {} bytes, the manifest says {length}\n", length + 1)),
        (&layer, of(&shorter), &format!("has {} bytes, the manifest says {length}\n", length - 1)),
        (
            &layer,
            Answer { endless: true, ..of(&longer) },
            &format!("sent more than the {length} bytes of the manifest\n"),
        ),
        (&config, of(&vec![b' '; good.blobs[1].len()]), &format!("instead of {config}\n")),
    ];
    for (which, answer, wanted) in cases {
        let which = which.to_owned();
        let server =
            registry(
                &good,
                move |request, usual| {
                    if request.path.ends_with(&which) { answer.clone() } else { usual }
                },
            );
        let output = pull(&server, &["--retry", "0"]);
        output.assert_exit(1).assert_stderr_has(wanted);
        assert!(output.stderr().lines().filter(|line| line.starts_with("bundles: ")).count() == 1);
        assert!(pulling(["images", "-q"]).ok().is_empty());
        pulling(["system", "prune", "-f"]).ok();
        assert_empty();
    }
    // A layer whose blob is right, but not what is in it.
    let other = Tar::new().file("g", b"other").bytes();
    let inside = Tar::new().file("f", b"hello").bytes();
    let lying = image(DOCKER_MANIFEST, &[(&inside, gzip(&other), ".gzip")]);
    let server = registry(&lying, |_, answer| answer);
    let output = pull(&server, &[]);
    let wanted = format!("layer {}: unpacked digest {}\n", digest(&inside), digest(&other));
    output.assert_exit(1).assert_stderr_has(&wanted);
    // A manifest that was asked for by another digest.
    let server = registry(&good, |_, answer| answer);
    let asked = digest(b"else");
    let manifest = good.manifest.clone();
    let lying = Server::start(move |_| Answer::of(200, DOCKER_MANIFEST, &manifest));
    let output = pulling(["pull", &lying.name(&format!("app@{asked}"))]).output();
    output.assert_exit(1).assert_stderr_has(&format!("instead of {asked}\n"));
    drop(server);
}

fn answers_that_are_no_manifest_are_refused() {
    prepared();
    let both = br#"{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}"#;
    let chart = br#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;
    let path =
        br#"{"schemaVersion":2,"config":{"digest":"sha256:../../../x","size":1},"layers":[]}"#;
    let endless = br#"{"schemaVersion":2,"config":{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":18446744073709551615}]}"#;
    let cases: [(&str, &[u8], &str); 8] = [
        ("text/html", b"<html>", "manifest 1: no manifest, but \"text/html\"\n"),
        (OCI_MANIFEST, b"{", "manifest 1: no JSON: "),
        ("", b"", "manifest 1: no JSON: "),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            b"{}",
            "of schema 1, which has not been written since 2017\n",
        ),
        (OCI_MANIFEST, both, "an image and a list of images in one\n"),
        (
            OCI_MANIFEST,
            chart,
            "no image: its configuration is \"application/vnd.cncf.helm.config.v1+json\"\n",
        ),
        (OCI_MANIFEST, endless, "18446744073709551615 bytes, more than 68719476736\n"),
        (OCI_MANIFEST, path, "64 digits of 0-9 and a-f have to follow sha256:"),
    ];
    for (kind, body, wanted) in cases {
        let (kind, body) = (kind.to_owned(), body.to_vec());
        let server = Server::start(move |_| Answer::of(200, &kind, &body));
        pull(&server, &[]).assert_exit(1).assert_stderr_has(wanted);
    }
    let server = Server::start(|_| Answer::of(200, OCI_MANIFEST, &vec![b' '; 5 << 20]));
    pull(&server, &[]).assert_exit(1).assert_stderr_has("of more than 4194304 bytes\n");
    assert_empty();
}

fn hostile_layer_of_a_registry_writes_nothing() {
    prepared();
    let canary = scratch().join("canary");
    fs::write(&canary, "alive").unwrap();
    let good = Tar::new().file("before", b"x").bytes();
    let evil = Tar::new().symlink("s", "/").file(&format!("s{}", canary.display()), b"x").bytes();
    let image = image(OCI_MANIFEST, &[(&good, gzip(&good), "+gzip"), (&evil, evil.clone(), "")]);
    let server = registry(&image, |_, answer| answer);
    let output = pull(&server, &[]);
    output.assert_exit(1).assert_stderr_has("where a part is a symlink\n");
    assert_eq!(fs::read_to_string(&canary).unwrap(), "alive");
    assert!(pulling(["images", "-q"]).ok().is_empty());
    assert!(!unpacked(&evil).exists());
    let ten_thousand = vec![(good.as_slice(), good.clone(), ""); 600];
    let server =
        registry(&runtime_tests::registry::image(OCI_MANIFEST, &ten_thousand), |_, answer| answer);
    let output = pull(&server, &[]);
    output
        .assert_exit(1)
        .assert_stderr_has("the image has 600 layers, and overlayfs takes no more than 500\n");
}

fn headers_without_end_are_refused() {
    prepared();
    for (count, length, wanted) in [
        (50, 2000, "the headers of its answer have more than 65536 bytes\n"),
        (3000, 5, "protocol: http parse resulted in too many headers\n"),
    ] {
        let server = registry(&small(), move |_, answer| {
            let value = "y".repeat(length);
            (0..count).fold(answer, |answer, number| answer.header(&format!("x-{number}"), &value))
        });
        let output = pull(&server, &["--retry", "0"]);
        output.assert_exit(1).assert_stderr_has(wanted);
        assert_eq!(output.stderr().lines().count(), 2);
    }
}

fn token_is_fetched_shown_and_renewed() {
    prepared();
    let image = small();
    let blob = digest(&image.blobs[0]);
    let granted = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        let shown = request.headers.get("authorization").map(String::as_str);
        if request.path.starts_with("/token") {
            if shown != Some("Basic dGVzdGVyOnNlY3JldA==") {
                return Answer::of(401, "application/json", b"{}");
            }
            let token = format!("{{\"token\":\"t{}\"}}", granted.fetch_add(1, Ordering::Relaxed));
            return Answer::of(200, "application/json", token.as_bytes());
        }
        // The first token is good for the manifest and the configuration only.
        let wanted = if request.path.ends_with(&blob) { "Bearer t1" } else { "Bearer t0" };
        if shown == Some(wanted) {
            return faultless(&image, request);
        }
        let host = &request.headers["host"];
        let challenge = format!(
            "Bearer realm=\"http://{host}/token\",service=\"s\",scope=\"repository:app:pull\""
        );
        Answer::of(401, "application/json", b"{}").header("WWW-Authenticate", &challenge)
    });
    let host = format!("localhost:{}", server.port);
    let refused = pull(&server, &[]);
    refused.assert_exit(1).assert_stderr_has(&format!("bundles login {host}\n"));
    let login = json!({"auths": {&host: {"auth": "dGVzdGVyOnNlY3JldA=="}}});
    setting("containers/auth.json", &login.to_string());
    pull(&server, &[]).assert_exit(0);
    let asked: Vec<String> = server.seen().into_iter().map(|one| one.path).collect();
    let tokens = asked.iter().filter(|path| path.starts_with("/token"));
    let wanted = "/token?service=s&scope=repository%3Aapp%3Apull";
    assert!(tokens.clone().all(|path| path == wanted), "{asked:?}");
    assert_eq!(tokens.count(), 3);
}

fn credentials_stay_with_the_registry() {
    prepared();
    let image = small();
    let blobs = image.blobs.clone();
    // Where blobs really are, as the large registries have it.
    let elsewhere = Server::start(move |request| {
        let found = blobs.iter().find(|blob| request.path.ends_with(&digest(blob)));
        found.map_or(Answer::of(404, "", b""), |blob| Answer::of(200, "", blob))
    });
    let there = format!("http://127.0.0.1:{}", elsewhere.port);
    let server = Server::start(move |request| {
        if !request.headers.contains_key("authorization") {
            return Answer::of(401, "", b"").header("WWW-Authenticate", "Basic realm=\"x\"");
        }
        if request.path.contains("/blobs/") {
            return Answer::of(307, "", b"")
                .header("Location", &format!("{there}{}", request.path));
        }
        faultless(&image, request)
    });
    let host = format!("localhost:{}", server.port);
    setting(
        "containers/auth.json",
        &json!({"auths": {&host: {"auth": "dGVzdGVyOnNlY3JldA=="}}}).to_string(),
    );
    pull(&server, &[]).assert_exit(0);
    let seen = elsewhere.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|one| !one.headers.contains_key("authorization")), "{seen:?}");
}

fn full_disk_is_told_and_leaves_no_image() {
    prepared();
    requires!(root);
    fs::create_dir_all(home()).unwrap();
    let _disk = HostMount::tmpfs(&home(), "size=2500k,mode=755");
    let (_, image) = large();
    let server = registry(&image, |_, answer| answer);
    let output = pull(&server, &[]);
    output.assert_exit(1).assert_stderr_has("No space left on device");
    assert!(pulling(["images", "-q"]).ok().is_empty());
    pulling(["system", "prune", "-f"]).ok();
    assert_empty();
}
