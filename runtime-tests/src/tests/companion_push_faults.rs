//! `bundles push` to a registry that cuts, forgets, refuses and lies.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use nix::sys::signal::Signal;
use runtime_tests::archive::{Tar, digest, gzip, saved};
use runtime_tests::companion::home;
use runtime_tests::depot::{Depot, Manners, error};
use runtime_tests::prelude::*;
use runtime_tests::registry::{
    Answer, Body, OCI_MANIFEST, Request, Server, image, pulling, setting,
};

tests![
    cut_upload_goes_on_where_it_was_cut,
    registry_that_forgets_an_upload_gets_all_again,
    large_requests_that_are_refused_become_pieces,
    location_may_be_a_url_and_a_stranger_sees_no_password,
    mount_that_is_refused_becomes_an_upload,
    trouble_that_passes_is_waited_for,
    trouble_that_stays_is_told_with_its_cure,
    answers_of_no_registry_are_refused,
    token_that_expires_within_an_upload_is_renewed,
    blob_that_has_changed_on_disk_is_told,
    push_killed_at_any_instant_leaves_no_tag_without_blobs,
];

fn prepared() {
    requires!(companion, program("/usr/sbin/ip"));
}

fn whole(_: &Request) -> Body {
    Body::Whole
}

fn same(_: &Request, answer: Answer) -> Answer {
    answer
}

fn polite() -> Manners {
    Manners::default()
}

/// An image of the store with one layer of so many bytes, not compressed. Returns the blob's name.
fn loaded(length: usize) -> String {
    let layer = Tar::new().file("f", &vec![7; length]).bytes();
    let path = scratch().join("loaded.tar");
    fs::write(&path, saved("app:1", std::slice::from_ref(&layer))).unwrap();
    pulling(["load", "-q", "-i", path.to_str().unwrap()]).ok();
    digest(&layer)
}

fn push_as(server: &Server, name: &str, more: &[&str]) -> Output {
    let name = server.name(name);
    pulling(["tag", "app:1", &name]).ok();
    pulling(["push", &name]).args(more).output()
}

fn push(server: &Server, more: &[&str]) -> Output {
    push_as(server, "app:1", more)
}

/// Methods of requests for uploads, with the range that each was said to have.
fn uploads(server: &Server) -> Vec<String> {
    let of = |one: &Request| {
        let range = one.headers.get("content-range").map(|range| format!(" {range}"));
        format!("{}{}", one.method, range.unwrap_or_default())
    };
    server.seen().iter().filter(|one| one.path.contains("/uploads/")).map(of).collect()
}

fn is_large(request: &Request) -> bool {
    request
        .headers
        .get("content-length")
        .is_some_and(|length| length.parse::<u64>().unwrap() > 1_000_000)
}

fn cut_upload_goes_on_where_it_was_cut() {
    prepared();
    loaded(3_000_000);
    let depot = Depot::new(polite());
    let cuts = AtomicUsize::new(0);
    let take = move |request: &Request| match is_large(request) {
        true if cuts.fetch_add(1, Ordering::Relaxed) < 2 => Body::Cut(1_000_000),
        _ => Body::Whole,
    };
    let server = depot.serve(take, same);
    push(&server, &[]).assert_exit(0);
    let (layer, config) = ((3_000_000 + 512_usize).next_multiple_of(512) + 1024, ["POST", "PUT"]);
    let last = layer - 1;
    let (first, second) = (format!("PATCH 1000000-{last}"), format!("PATCH 2000000-{last}"));
    let wanted = ["POST", "PUT", "GET", &first, "GET", &second, "PUT"];
    assert_eq!(uploads(&server), [&wanted[..], &config[..]].concat());
    assert!(depot.lacking().is_empty());
    pulling(["rmi", &server.name("app:1"), "app:1"]).ok();
    pulling(["pull", "-q", &server.name("app:1")]).output().assert_exit(0);
}

fn registry_that_forgets_an_upload_gets_all_again() {
    prepared();
    loaded(3_000_000);
    let depot = Depot::new(Manners { forgets: true, ..polite() });
    let take = |request: &Request| match is_large(request) && request.path.contains("/uploads/1?") {
        true => Body::Cut(1_000_000),
        false => Body::Whole,
    };
    let server = depot.serve(take, same);
    push(&server, &[]).assert_exit(0);
    assert_eq!(uploads(&server), ["POST", "PUT", "GET", "POST", "PUT", "POST", "PUT"]);
    assert!(depot.lacking().is_empty());
    // Cut each time, it comes to an end.
    let depot = Depot::new(Manners { forgets: true, ..polite() });
    let take = |request: &Request| if is_large(request) { Body::Cut(9) } else { Body::Whole };
    let server = depot.serve(take, same);
    let output = push_as(&server, "app:2", &["--retry", "1"]);
    output.assert_exit(1).assert_stderr_has(": 2 attempts: ");
    output.assert_stderr_has("  hint: check the network, and try again");
    assert!(depot.kept().manifests.is_empty());
}

fn large_requests_that_are_refused_become_pieces() {
    prepared();
    let layer = 17_000_000;
    loaded(layer);
    let length = (layer + 512).next_multiple_of(512) + 1024;
    let piece = 8 << 20;
    for (least, piece) in [(None, piece), (Some(12_000_000), 12_000_000)] {
        let depot = Depot::new(Manners { least, ..polite() });
        // As a proxy does it: nobody behind it hears of that.
        let take = |request: &Request| match request.method == "PUT" && is_large(request) {
            true => Body::Refused(Answer::of(413, "text/html", b"<html>")),
            false => Body::Whole,
        };
        let server = depot.serve(take, same);
        push_as(&server, &format!("{piece}:1"), &[]).assert_exit(0);
        let ranges = (0..length).step_by(piece).map(|from| {
            let to = (from + piece).min(length) - 1;
            format!("PATCH {from}-{to}")
        });
        let all = ["POST", "PUT"].map(str::to_owned).into_iter().chain(ranges);
        let wanted: Vec<String> = all.chain(["PUT", "POST", "PUT"].map(str::to_owned)).collect();
        assert_eq!(uploads(&server), wanted);
        assert!(depot.lacking().is_empty());
    }
    let depot = Depot::new(polite());
    let take = |request: &Request| match is_large(request) {
        true => Body::Refused(Answer::of(413, "text/html", b"<html>")),
        false => Body::Whole,
    };
    let server = depot.serve(take, same);
    let output = push(&server, &[]);
    output.assert_exit(1).assert_stderr_has("blobs/uploads/: HTTP 413 ");
    output.assert_stderr_has("  hint: ask whoever runs the registry to allow larger requests\n");
}

fn location_may_be_a_url_and_a_stranger_sees_no_password() {
    prepared();
    let blob = loaded(100);
    let depot = Depot::new(Manners { absolute: true, ..polite() });
    let other = Depot::new(polite());
    // The store of the blobs is elsewhere, and nobody's business is who we are.
    let elsewhere = other.serve(whole, |request, answer| {
        assert!(!request.headers.contains_key("authorization"), "{request:?}");
        if request.path.contains("/take/") { Answer::of(201, "", b"") } else { answer }
    });
    let there = format!("http://127.0.0.1:{}/take/blob", elsewhere.port);
    let server = depot.serve(whole, move |request, mut answer| {
        if !request.headers.contains_key("authorization") {
            return Answer::of(401, "", b"").header("WWW-Authenticate", "Basic realm=\"x\"");
        }
        let location = answer.headers.iter_mut().find(|(name, _)| name == "Location");
        if let Some((_, location)) = location.filter(|_| request.path.contains("away/")) {
            location.clone_from(&there);
        }
        answer
    });
    let login =
        json!({"auths": {format!("localhost:{}", server.port): {"auth": "dGVzdGVyOnNlY3JldA=="}}});
    setting("containers/auth.json", &login.to_string());
    push(&server, &[]).assert_exit(0);
    assert!(depot.lacking().is_empty());
    push_as(&server, "away/app:1", &[]).assert_exit(0);
    let seen = elsewhere.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen[0].path == format!("/take/blob?digest={blob}") && seen[0].body.len() > 100);
}

fn mount_that_is_refused_becomes_an_upload() {
    prepared();
    let blob = loaded(100);
    for mounts in [true, false] {
        let depot = Depot::new(Manners { mounts, ..polite() });
        let server = depot.serve(whole, same);
        push(&server, &[]).assert_exit(0);
        let output = push_as(&server, "other:1", &[]);
        output.assert_exit(0);
        output.assert_stderr_has(if mounts { ": Mounted from app\n" } else { ": Pushed " });
        let wanted = format!("/v2/other/blobs/uploads/?mount={blob}&from=app");
        assert_eq!(server.count(&wanted), 1);
        assert!(depot.lacking().is_empty());
    }
}

fn trouble_that_passes_is_waited_for() {
    prepared();
    loaded(2_000_000);
    // One that lets nobody look.
    let depot = Depot::new(polite());
    let server = depot.serve(whole, |request, answer| match request.method.as_str() {
        "HEAD" => error(403, "DENIED"),
        _ => answer,
    });
    push_as(&server, "blind:1", &[]).assert_exit(0);
    assert!(depot.lacking().is_empty());
    let depot = Depot::new(polite());
    // Before the registry has done anything: HEAD, POST, PUT of the blob, GET of what it has, PUT of
    // the manifest.
    let puts = AtomicUsize::new(0);
    let take = move |request: &Request| {
        let of = |status| {
            Body::Refused(Answer::of(status, "text/plain", b"").header("Retry-After", "0"))
        };
        match (request.before, request.method.as_str()) {
            (0, "HEAD") => of(500),
            (0, "POST") => of(503),
            (_, "PUT") if is_large(request) && puts.fetch_add(1, Ordering::Relaxed) == 0 => of(500),
            (0, "GET") if request.path.contains("/uploads/") => of(502),
            (0, "PUT") if request.path.contains("/manifests/") => of(429),
            _ => Body::Whole,
        }
    };
    let server = depot.serve(take, same);
    push(&server, &[]).assert_exit(0);
    assert!(depot.lacking().is_empty());
    // An answer that is lost after all was done.
    let depot = Depot::new(polite());
    let server = depot.serve(whole, |request, answer| match request.path.contains("digest=") {
        true if request.before == 0 => Answer { status: 500, ..answer },
        _ => answer,
    });
    let output = push_as(&server, "lost:1", &[]);
    output.assert_exit(0).assert_stderr_has(": Layer already exists\n");
    assert!(depot.lacking().is_empty());
}

fn trouble_that_stays_is_told_with_its_cure() {
    prepared();
    loaded(100);
    for (place, answer, wanted, hint) in [
        (
            "/blobs/sha",
            error(500, "X"),
            "2 attempts: REPO blobs/HASH: HTTP 500 Internal Server Error",
            "the registry has trouble, try again later",
        ),
        (
            "/uploads/",
            error(403, "DENIED"),
            "REPO blobs/uploads/: HTTP 403 Forbidden: denied: told by DENIED",
            "ask its owner for the right to push it, or be somebody else: bundles login HOST",
        ),
        (
            "/uploads/",
            error(401, "UNAUTHORIZED"),
            "REPO blobs/uploads/: HTTP 401 Unauthorized: unauthorized: told by UNAUTHORIZED",
            "the registry wants to know who you are: bundles login HOST",
        ),
        (
            "/uploads/",
            error(404, "NAME_UNKNOWN"),
            "REPO blobs/uploads/: HTTP 404 Not Found: name unknown: told by NAME_UNKNOWN",
            "make the repository, or the project that it is in, at the registry first",
        ),
        (
            "/uploads/",
            error(405, "UNSUPPORTED"),
            "REPO blobs/uploads/: HTTP 405 Method Not Allowed: unsupported: told by UNSUPPORTED",
            "push to another registry: this one only gives, as a mirror does",
        ),
        (
            "/manifests/",
            error(400, "MANIFEST_BLOB_UNKNOWN"),
            "REPO manifests/1: HTTP 400 Bad Request: manifest blob unknown: told by MANIFEST_BLOB_UNKNOWN: {\"field\":\"x\"}",
            "it may be too old for images of this kind: try another registry",
        ),
    ] {
        let depot = Depot::new(polite());
        let server = depot.serve(whole, move |request, given| match request.path.contains(place) {
            true => answer.clone(),
            false => given,
        });
        let output = push(&server, &["--retry", "1"]);
        output.assert_exit(1);
        let (host, stderr) = (format!("localhost:{}", server.port), output.stderr());
        let wanted = wanted.replace("REPO", &format!("{host}/app"));
        let wanted = wanted.split("HASH").collect::<Vec<_>>();
        assert!(wanted.iter().all(|part| stderr.contains(part)), "{wanted:?} in {stderr}");
        let hint = format!("\n  hint: {}\n", hint.replace("HOST", &host));
        assert!(stderr.ends_with(&hint), "{hint} in {stderr}");
    }
}

fn answers_of_no_registry_are_refused() {
    prepared();
    loaded(100);
    type Change = fn(&Request, Answer) -> Answer;
    let cases: [(Change, &str); 3] = [
        (
            |request, answer| match request.method.as_str() {
                "POST" => Answer::of(202, "", b""),
                _ => answer,
            },
            ": does not say where to upload to\n",
        ),
        (
            |request, answer| match request.method.as_str() {
                "POST" => Answer::of(202, "", b"").header("Location", "javascript:alert(1)"),
                _ => answer,
            },
            ": does not say where to upload to\n",
        ),
        // A page to log in, which says that all is well.
        (
            |request, answer| match request.method.as_str() {
                "POST" => Answer::of(200, "text/html", b"<html>"),
                _ => answer,
            },
            "HTTP 200 OK\n",
        ),
    ];
    for (change, wanted) in cases {
        let depot = Depot::new(polite());
        let server = depot.serve(whole, change);
        push(&server, &["--retry", "0"]).assert_exit(1).assert_stderr_has(wanted);
        assert!(depot.kept().manifests.is_empty());
    }
}

fn token_that_expires_within_an_upload_is_renewed() {
    prepared();
    loaded(2_000_000);
    let depot = Depot::new(Manners { mounts: true, ..polite() });
    let granted = Arc::new(AtomicUsize::new(0));
    let (count, current) = (Arc::clone(&granted), Arc::clone(&granted));
    let take = move |request: &Request| {
        if request.path.starts_with("/token") || request.path == "/v2/" {
            return Body::Whole;
        }
        // The first token has come to its end when the blob comes.
        let number = current.load(Ordering::Relaxed);
        let good = format!("Bearer t{number}");
        let ended = number == 1 && is_large(request);
        if request.headers.get("authorization") == Some(&good) && !ended {
            return Body::Whole;
        }
        let path = request.path.trim_start_matches("/v2/");
        let (repository, _) =
            path.split_once("/blobs/").or_else(|| path.split_once("/manifests/")).unwrap();
        let deeds = if request.method == "HEAD" { "pull" } else { "pull,push" };
        let host = &request.headers["host"];
        let challenge = format!(
            "Bearer realm=\"http://{host}/token\",service=\"s\",scope=\"repository:{repository}:{deeds}\""
        );
        Body::Refused(Answer::of(401, "", b"").header("WWW-Authenticate", &challenge))
    };
    let server =
        depot.serve(take, move |request, answer| match request.path.starts_with("/token") {
            true => {
                let number = count.fetch_add(1, Ordering::Relaxed) + 1;
                Answer::of(
                    200,
                    "application/json",
                    format!("{{\"token\":\"t{number}\"}}").as_bytes(),
                )
            }
            false => answer,
        });
    push(&server, &[]).assert_exit(0);
    assert!(depot.lacking().is_empty());
    let tokens = || -> Vec<String> {
        let seen = server.seen();
        let paths = seen
            .iter()
            .map(|one| one.path.replace("%3A", ":").replace("%2C", ",").replace("%2F", "/"));
        paths.filter_map(|path| path.strip_prefix("/token?service=s").map(str::to_owned)).collect()
    };
    // For all that will be done, at the first request already.
    let own = "&scope=repository:app:pull,push";
    assert_eq!(tokens(), [own, own]);
    push_as(&server, "other:1", &[]).assert_exit(0);
    let both =
        format!("{own}&scope=repository:other:pull,push").replace("app:pull,push", "app:pull");
    assert_eq!(tokens()[2..], [both]);
}

fn blob_that_has_changed_on_disk_is_told() {
    prepared();
    let blob = loaded(100);
    let depot = Depot::new(polite());
    let server = depot.serve(whole, same);
    let hex = blob.trim_start_matches("sha256:");
    let path = home().join("oci/blobs/sha256").join(hex);
    let mut content = fs::read(&path).unwrap();
    content[600] ^= 1;
    fs::write(&path, &content).unwrap();
    let changed = push(&server, &[]);
    changed
        .assert_exit(1)
        .assert_stderr_has(&format!("blob {blob}: its content has changed: sha256:"));
    content.pop();
    fs::write(&path, &content).unwrap();
    push(&server, &[]).assert_exit(1).assert_stderr_has(" bytes, the manifest says ");
    fs::remove_file(&path).unwrap();
    let gone = push(&server, &[]);
    gone.assert_exit(1)
        .assert_stderr_has("  hint: get the image again: a part of it is not in the store\n");
    assert!(depot.kept().manifests.is_empty());
}

fn push_killed_at_any_instant_leaves_no_tag_without_blobs() {
    prepared();
    let layers = ["one", "two", "three", "four", "five"]
        .map(|name| Tar::new().file(name, &[7; 300_000]).bytes());
    let all: Vec<(&[u8], Vec<u8>, &str)> =
        layers.iter().map(|one| (one.as_slice(), gzip(one), "+gzip")).collect();
    let depot = Depot::new(polite());
    let image = image(OCI_MANIFEST, &all);
    depot.leave("from", "1", &image);
    let server = depot.serve(whole, same);
    pulling(["pull", "-q", &server.name("from:1")]).ok();
    let name = |round: u32| server.name(&format!("to{round}:1"));
    let tag = |round: u32| pulling(["tag", &server.name("from:1"), &name(round)]).ok();
    tag(0);
    let started = Instant::now();
    pulling(["push", "-q", &name(0)]).ok();
    let usual = started.elapsed();
    let rounds = std::env::var("KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(30_u32);
    let mut partly = 0;
    for round in 1..=rounds {
        tag(round);
        let running = pulling(["push", "-q", &name(round)]).spawn();
        std::thread::sleep(usual * round / rounds);
        running.signal(Signal::SIGKILL);
        running.wait();
        assert_eq!(depot.lacking(), [""; 0], "round {round}");
        let (repository, kept) = (format!("to{round}"), depot.kept());
        let has_tag = kept.manifests.contains_key(&(repository.clone(), "1".to_owned()));
        let blobs = kept.blobs.keys().filter(|(of, _)| *of == repository).count();
        partly += usize::from(!has_tag && blobs > 0);
        drop(kept);
        // The next one has no more to do than what is missing.
        let again = pulling(["push", &name(round)]).output();
        again.assert_exit(0).assert_stdout_has(&digest(&image.manifest));
        // The server may take the end of a blob a moment after the kill.
        let there = again.stderr().matches("already exists").count();
        let fits = blobs.min(layers.len())..=layers.len();
        assert!(fits.contains(&there), "round {round}: {there} of {fits:?}");
    }
    assert!(partly > 0, "no kill has met a push in the midst of its blobs");
    // One may have met the keeping of the reserve for a full disk.
    pulling(["system", "prune", "-f"]).ok();
    assert_eq!(fs::read_dir(home().join("tmp")).map_or(0, Iterator::count), 0);
}
