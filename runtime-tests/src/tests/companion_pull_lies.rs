//! `bundles pull` from a registry that lies, attacks, and asks who we are.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use runtime_tests::archive::{Tar, digest, gzip};
use runtime_tests::prelude::*;
use runtime_tests::registry::{
    Answer, DOCKER_MANIFEST, OCI_MANIFEST, Server, faultless, image, pulling, setting,
};

use super::companion_pull_faults::{assert_empty, prepared, pull, registry, small, unpacked};

tests![
    content_that_was_not_promised_is_refused,
    answers_that_are_no_manifest_are_refused,
    hostile_layer_of_a_registry_writes_nothing,
    headers_without_end_are_refused,
    token_is_fetched_shown_and_renewed,
    credentials_stay_with_the_registry,
];

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
