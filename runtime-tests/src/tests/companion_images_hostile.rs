//! `bundles load` of archives that attack or lie, and loads that are killed.

use std::collections::BTreeSet;
use std::fs::{self};
use std::time::{Duration, Instant};

use runtime_tests::archive::{Tar, config, digest, gzip, saved, saved_with};
use runtime_tests::companion::bundles;
use runtime_tests::prelude::*;
use tar::EntryType;

use super::companion_images::{assert_consistent, below, blobs, file, layers, load};

tests![
    hostile_layers_are_refused_and_write_nothing,
    archives_that_lie_are_refused,
    killed_load_leaves_a_consistent_store,
];

/// Layers, and what is said of them. `outside` is a file of the host, by its path.
fn hostile(outside: &str) -> Vec<(Tar, &'static str)> {
    let up = "../".repeat(20) + outside.trim_start_matches('/');
    let up = up.as_str();
    let huge = |size: u64| move |header: &mut tar::Header| header.set_size(size);
    let long = EntryType::GNULongName;
    let pax = EntryType::XHeader;
    let half = vec![b'x'; 600_000];
    let global = |key: &str| [format!("600011 {key}=").as_bytes(), &half[..], b"y\n"].concat();
    vec![
        (Tar::new().file(outside, b"x"), "an absolute name"),
        (Tar::new().file(up, b"x"), "a name with \"..\""),
        (
            Tar::new().symlink("s", "/").file(&format!("s{outside}"), b"x"),
            "where a part is a symlink",
        ),
        (Tar::new().symlink("s", outside).file("s", b"x"), "entry \"s\": twice in the layer"),
        (Tar::new().symlink("s", "/tmp").directory("s"), "entry \"s\": twice in the layer"),
        (
            Tar::new().directory("a").symlink("a/s", "..").symlink("a/s/t", "/"),
            "goes through a/s, where a part is a symlink",
        ),
        (Tar::new().link("h", outside), "an absolute name"),
        (Tar::new().link("h", up), "a name with \"..\""),
        (
            Tar::new().symlink("s", "/").link("h", &format!("s{outside}")),
            "where a part is a symlink",
        ),
        (
            Tar::new()
                .symlink("s", "/")
                .file(&format!("s/{}/.wh.canary", scratch().display()), b""),
            "where a part is a symlink",
        ),
        (Tar::new().file("../.wh.canary", b""), "a name with \"..\""),
        (Tar::new().file(".wh...", b""), "a whiteout of nothing"),
        (Tar::new().file("f", b"1").file("f", b"2"), "entry \"f\": twice in the layer"),
        (
            Tar::new().entry(EntryType::Char, "c", b"", |_| ()),
            "device 0:0, which is overlayfs' own whiteout",
        ),
        (
            Tar::new().entry(pax, "x", b"", huge(8 << 30)),
            "an extended header of 8589934592 bytes, more than 1 MiB",
        ),
        (
            Tar::new().entry(long, "x", b"", huge(1 << 40)),
            "an extended header of 1099511627776 bytes, more than 1 MiB",
        ),
        (
            Tar::new().entry(EntryType::Regular, "big", b"", huge(1 << 40)),
            "the layer unpacks to more than 68719476736 bytes",
        ),
        (
            Tar::new().pax(&[("size", b"99999999999999999999")]).file("f", b""),
            "PAX record size: no number",
        ),
        (
            Tar::new()
                .pax(&[("GNU.sparse.map", b"0,9"), ("GNU.sparse.size", b"9")])
                .file("f", b"x"),
            "a sparse file whose pieces do not fit",
        ),
        (Tar::new().pax(&[("path", up.as_bytes())]).file("f", b"x"), "a name with \"..\""),
        (Tar::new().pax(&[("linkpath", up.as_bytes())]).link("f", "g"), "a name with \"..\""),
        (
            Tar::new().pax(&[("a", &half)]).pax(&[("b", &half)]).file("f", b"x"),
            "an entry whose extended headers have more than 1 MiB",
        ),
        (
            Tar::new()
                .entry(EntryType::XGlobalHeader, "g", &global("a"), |_| ())
                .file("f", b"x")
                .entry(EntryType::XGlobalHeader, "g", &global("b"), |_| ()),
            "global PAX headers of more than 1 MiB",
        ),
        (
            Tar::new().pax(&[("path", "d/".repeat(3000).as_bytes())]).directory("d"),
            "a name of more than 4095 bytes",
        ),
    ]
}

fn hostile_layers_are_refused_and_write_nothing() {
    let canary = scratch().join("canary");
    fs::write(&canary, "alive").unwrap();
    let good = Tar::new().file("before", b"x").bytes();
    let cases = hostile(canary.to_str().unwrap());
    for (number, (tar, wanted)) in cases.into_iter().enumerate() {
        let layer = tar.bytes();
        for compressed in [false, true] {
            let content = if compressed { gzip(&layer) } else { layer.clone() };
            let config = config(&[good.clone(), layer.clone()]);
            let refused = load(&saved_with("evil", &[good.clone(), content], &config)).output();
            refused.assert_exit(1).assert_stderr_has(wanted);
            let lines: Vec<String> = refused.stderr().lines().map(str::to_owned).collect();
            assert_eq!(lines.len(), 1, "case {number}");
            assert!(
                lines[0].starts_with(&format!(
                    "bundles: load {}/archive.tar: layer {}: ",
                    scratch().display(),
                    digest(&layer)
                )),
                "{lines:?}"
            );
        }
        assert_eq!(fs::read_to_string(&canary).unwrap(), "alive", "case {number}");
        // The good layer before it goes too, since no image has it.
        assert!(layers().is_empty() && blobs().is_empty() && below("tmp").is_empty(), "{number}");
    }
    let there: BTreeSet<String> = fs::read_dir(scratch())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(there.contains("canary") && !there.contains("x") && !there.contains(".wh.canary"));
}

fn archives_that_lie_are_refused() {
    let layer = Tar::new().file("f", b"x").bytes();
    let other = Tar::new().file("f", b"y").bytes();
    let says = |archive: &[u8], wanted: &str| {
        let refused = load(archive).output();
        refused.assert_exit(1).assert_stderr_has(wanted);
        assert!(layers().is_empty() && blobs().is_empty() && below("tmp").is_empty(), "{wanted}");
    };
    let config_of = |layers: &[Vec<u8>]| config(layers);
    says(
        &saved_with("a", std::slice::from_ref(&other), &config_of(std::slice::from_ref(&layer))),
        &format!("layer {}: unpacked digest {}", digest(&layer), digest(&other)),
    );
    says(
        &saved_with("a", &[], &config_of(std::slice::from_ref(&layer))),
        "manifest.json has 0 layers, ",
    );
    let many = vec![Vec::new(); 10_000];
    says(
        &saved_with("a", &many, &config_of(&[])),
        "the image has 10000 layers, and overlayfs takes no more than 500",
    );
    says(&saved("Bad", std::slice::from_ref(&layer)), "repository names have no capital letters");
    says(&saved("a", std::slice::from_ref(&layer))[..3000], "the archive is cut off");
    says(b"GIF89a, and no archive at all, however long the text may be", "the archive is cut off");
    says(&[7; 4096], "no tar archive: a header's checksum is wrong");
    says(
        &Tar::new().file("a", b"x").bytes(),
        "neither manifest.json nor index.json is in the archive",
    );
    says(b"", "neither manifest.json nor index.json is in the archive");
    says(&Tar::new().file("../../manifest.json", b"[]").bytes(), "leads out of the archive");
    says(
        &Tar::new().entry(EntryType::Fifo, "manifest.json", b"", |_| ()).bytes(),
        "neither file nor link",
    );
    let circle = Tar::new().symlink("a", "b").symlink("b", "a");
    let manifest = json!([{"Config": "a", "RepoTags": null, "Layers": []}]).to_string();
    says(&circle.file("manifest.json", manifest.as_bytes()).bytes(), "a is not in the archive");
    let host = json!([{"Config": "/etc/passwd", "RepoTags": null, "Layers": []}]).to_string();
    says(
        &Tar::new().file("manifest.json", host.as_bytes()).bytes(),
        "/etc/passwd: an absolute name",
    );
    let nothing = bundles(["load", "-i", "/nonexistent"]).output();
    nothing.assert_exit(1).assert_stderr_has("open /nonexistent: No such file or directory");
}

fn killed_load_leaves_a_consistent_store() {
    const FILES: usize = 200;
    let layer = |salt: &str| {
        let names = (0..FILES).map(|number| format!("{salt}-{number}"));
        names.fold(Tar::new(), |tar, name| tar.file(&name, salt.as_bytes())).bytes()
    };
    let path = file("a.tar", &saved("a", &[layer("one"), layer("two"), layer("three")]));
    let call = || bundles(["load", "-q", "-i"]).arg(&path);
    let started = Instant::now();
    call().ok();
    let usual = started.elapsed();
    bundles(["rmi", "a"]).ok();
    let rounds = std::env::var("KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(40_u32);
    for round in 0..rounds {
        let running = call().spawn();
        std::thread::sleep(usual * round / rounds);
        running.signal(nix::sys::signal::Signal::SIGKILL);
        running.wait();
        assert_consistent(FILES);
        let removing = bundles(["rmi", "-f", "a"]).spawn();
        std::thread::sleep(Duration::from_micros(u64::from(round) * 97 % 4000));
        removing.signal(nix::sys::signal::Signal::SIGKILL);
        removing.wait();
        assert_consistent(FILES);
    }
    // What they left is found again, does not stand in the way, and an image takes all of its own with it.
    call().ok();
    assert_consistent(FILES);
    bundles(["rmi", "a"]).ok();
    assert!(layers().is_empty() && blobs().is_empty());
    bundles(["system", "prune", "-f"]).ok();
    assert!(below("tmp").is_empty());
    let names: BTreeSet<String> = below("oci")
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["blobs", "oci-layout"].map(str::to_owned).into());
}
