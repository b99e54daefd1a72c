//! `save`: archives that we and others read back, with the same bytes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use runtime_tests::archive::{Tar, config, digest, saved};
use runtime_tests::companion::{bundles, bundles_of};
use runtime_tests::prelude::*;
use runtime_tests::pty;

tests![
    saved_images_come_back_with_their_digests,
    saved_archive_is_read_by_skopeo,
    saved_layers_of_zstd_are_for_old_readers_too,
    save_of_a_repository_has_all_its_tags,
    save_refuses_a_terminal_and_missing_images,
];

fn load_two() {
    requires!(companion);
    let lower = Tar::new().file("lower", b"1").bytes();
    let upper = Tar::new().file("upper", b"2").bytes();
    bundles(["load", "-q"]).stdin(saved("app:1", std::slice::from_ref(&lower))).ok();
    bundles(["load", "-q"]).stdin(saved("app:2", &[lower, upper])).ok();
    bundles(["tag", "app:2", "localhost:5000/other/name:x"]).ok();
}

fn save(args: &[&str]) -> PathBuf {
    let to = scratch().join("saved.tar");
    bundles(["save", "-o"]).arg(&to).args(args).ok();
    to
}

/// Names, ids and manifests.
fn shown(call: Call) -> String {
    let format = "{{.Repository}}:{{.Tag}} {{.ID}}";
    call.args(["images", "--no-trunc", "--format", format]).ok()
}

fn saved_images_come_back_with_their_digests() {
    load_two();
    let other = scratch().join("other");
    for format in ["docker-archive", "oci-archive"] {
        let all = ["app:1", "app:2", "localhost:5000/other/name:x"];
        let file = save(&[&["--format", format], &all[..]].concat());
        let before = fs::read(&file).expect("an archive");
        bundles_of(&other).args(["load", "-i"]).arg(&file).ok();
        assert_eq!(shown(bundles_of(&other)), shown(bundles(Vec::<&str>::new())), "{format}");
        // The same images make the same archive, wherever they are.
        bundles_of(&other)
            .args(["image", "save", "-o"])
            .arg(&file)
            .args(["--format", format])
            .args(all)
            .ok();
        assert!(fs::read(&file).expect("an archive") == before, "{format}");
        bundles_of(&other).args(["rmi", "-f"]).args(all).ok();
        // By its id it has no name.
        let id = bundles(["images", "-q", "--no-trunc", "app:1"]).ok();
        let file = save(&["--format", format, id.trim()]);
        let said = bundles_of(&other).args(["load", "-i"]).arg(&file).ok();
        assert_eq!(said, format!("Loaded image ID: {}\n", id.trim()));
        bundles_of(&other).args(["rmi", id.trim()]).ok();
    }
}

fn saved_archive_is_read_by_skopeo() {
    requires!(program("/usr/bin/skopeo"));
    load_two();
    let skopeo = |source: &str| {
        Call::of("/usr/bin/skopeo".into(), ["--tmpdir"])
            .arg(scratch())
            .args(["inspect", "--format", "{{.Layers}}", source])
            .ok()
    };
    let layers = |name: &str| {
        let text = bundles(["inspect", "-f", "{{range .RootFS.Layers}}{{.}} {{end}}", name]).ok();
        format!("[{}]\n", text.trim())
    };
    let file = save(&["app:1", "app:2"]).display().to_string();
    for name in ["app:1", "app:2"] {
        assert_eq!(skopeo(&format!("docker-archive:{file}:{name}")), layers(name));
    }
    let file = save(&["--format", "oci-archive", "app:2"]).display().to_string();
    assert_eq!(skopeo(&format!("oci-archive:{file}")), layers("app:2"));
}

/// Docker 20.10 knows no zstd: its list names the layer without it.
fn saved_layers_of_zstd_are_for_old_readers_too() {
    requires!(companion, program("/usr/bin/zstd"));
    let layer = Tar::new().file("f", b"x").bytes();
    let path = scratch().join("layer.tar");
    fs::write(&path, &layer).expect("a layer");
    let zstd = Command::new("zstd").arg("-c").arg(&path).output().expect("zstd").stdout;
    let hash = digest(&layer);
    let text = config(std::slice::from_ref(&layer)).to_string();
    let (blob, id) = (digest(&zstd), digest(text.as_bytes()));
    let manifest = json!({
        "schemaVersion": 2,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": id, "size": text.len() },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "digest": blob, "size": zstd.len() }],
    })
    .to_string();
    let whole = digest(manifest.as_bytes());
    let index = json!({ "schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": whole, "size": manifest.len(),
        "annotations": { "org.opencontainers.image.ref.name": "z:1" },
    }] });
    let at = |digest: &str| format!("blobs/sha256/{}", digest.trim_start_matches("sha256:"));
    let tar = Tar::new()
        .file("index.json", index.to_string().as_bytes())
        .file(&at(&whole), manifest.as_bytes())
        .file(&at(&id), text.as_bytes())
        .file(&at(&blob), &zstd);
    bundles(["load", "-q"]).stdin(tar.bytes()).ok();
    let bytes = fs::read(save(&["z:1"])).expect("an archive");
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has(&format!("\"Layers\":[\"{}\"]", at(&hash))));
    let other = scratch().join("other");
    bundles_of(&other).args(["load", "-q", "-i"]).arg(scratch().join("saved.tar")).ok();
    assert_eq!(shown(bundles_of(&other)), shown(bundles(Vec::<&str>::new())));
}

fn save_of_a_repository_has_all_its_tags() {
    load_two();
    let other = scratch().join("other");
    let file = save(&["app"]);
    let said = bundles_of(&other).args(["load", "-i"]).arg(&file).ok();
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["Loaded image: app:1", "Loaded image: app:2"]);
}

fn save_refuses_a_terminal_and_missing_images() {
    load_two();
    let call = bundles(["save", "nosuch:1"]).output();
    call.assert_exit(1).assert_stderr_has("image nosuch:1: not in the store");
    let (mut master, slave) = pty::open(24, 80);
    bundles(["save", "app:1"]).terminal(slave).output().assert_exit(1);
    let said = master.wait_for("to a program");
    assert!(said.contains("bundles: save: standard output is a terminal"), "{said}");
    let to = scratch().join("kept.tar");
    fs::write(&to, "old").expect("a file");
    bundles(["save", "-o"]).arg(&to).args(["app:1", "nosuch:1"]).output().assert_exit(1);
    assert_eq!(fs::read_to_string(&to).expect("the file"), "old");
}
