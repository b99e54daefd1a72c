//! `bundles pull` from a registry that cuts, refuses, dawdles, lies and attacks.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use runtime_tests::archive::{Tar, digest, gzip};
use runtime_tests::companion::home;
use runtime_tests::prelude::*;
use runtime_tests::registry::{
    Answer, DOCKER_MANIFEST, OCI_MANIFEST, Pushed, Request, Server, faultless, image, pulling,
};

tests![
    cut_download_goes_on_where_it_was_cut,
    registry_without_ranges_is_asked_for_all_again,
    killed_pull_is_resumed_and_prune_gives_all_back,
    pull_killed_at_any_instant_leaves_all_or_nothing,
    trouble_that_passes_is_waited_for,
    trouble_that_stays_is_told,
    silent_registry_is_given_up,
    full_disk_is_told_and_leaves_no_image,
];

pub(super) fn prepared() {
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

pub(super) fn small() -> Pushed {
    let layer = Tar::new().file("f", b"hello").bytes();
    image(DOCKER_MANIFEST, &[(&layer, gzip(&layer), ".gzip")])
}

pub(super) fn unpacked(layer: &[u8]) -> PathBuf {
    let hex = digest(layer).trim_start_matches("sha256:").to_owned();
    home().join("layers").join(hex).join("files")
}

fn left(dir: &str) -> usize {
    fs::read_dir(home().join(dir)).map_or(0, Iterator::count)
}

/// Nothing but what there is of an empty store.
pub(super) fn assert_empty() {
    assert_eq!((left("layers"), left("tmp")), (0, 0));
    assert!(!home().join("oci/index.json").exists());
}

/// A registry with one image, whose answers `change` may change.
pub(super) fn registry(
    image: &Pushed,
    change: impl Fn(&Request, Answer) -> Answer + Send + Sync + 'static,
) -> Server {
    let image = image.clone();
    Server::start(move |request| change(request, faultless(&image, request)))
}

pub(super) fn pull(server: &Server, more: &[&str]) -> Output {
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
