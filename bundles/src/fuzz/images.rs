//! Manifests and configurations with damage, by way of archives that are loaded.

use super::{Random, each, is_one_line};
use crate::digest::Digest;
use crate::home::Home;
use crate::load;
use crate::store::Store;
use crate::store::layout::{CONFIG, Index, LAYER, MANIFEST, Manifest, Platform, choose};
use crate::testing::Scratch;
use serde_json::{Value, json};

/// What a value may become.
fn strange(random: &mut Random) -> Value {
    let all = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5e300),
        json!(u64::MAX),
        json!(""),
        json!("../../x"),
        json!("/etc/passwd"),
        json!("a\u{0}b\u{1b}[2J\n"),
        json!("\u{e4}".repeat(3000)),
        json!(format!("sha256:{}", "0".repeat(64))),
        json!("sha256:../../../x"),
        json!("2024-02-30T25:61:61Z"),
        json!("9999-12-31T23:59:59-23:59"),
        json!([]),
        json!({}),
        json!([[[[[[]]]]]]),
        json!({"": {"": ""}}),
        json!(vec!["x"; 600]),
    ];
    all[random.below(all.len())].clone()
}

/// Changes one value somewhere in the tree.
fn change(value: &mut Value, random: &mut Random) {
    let mut here = value;
    loop {
        let count = match &*here {
            Value::Array(items) => items.len(),
            Value::Object(fields) => fields.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        };
        if count == 0 || random.one_in(8) {
            *here = strange(random);
            return;
        }
        let at = random.below(count);
        let remove = random.one_in(10);
        here = match here {
            Value::Array(items) if remove => {
                let item = items.remove(at);
                items.extend([item.clone(), item]);
                return;
            }
            Value::Object(fields) if remove => {
                let key = fields.keys().nth(at).unwrap().clone();
                fields.remove(&key);
                return;
            }
            Value::Array(items) => &mut items[at],
            Value::Object(fields) => fields.values_mut().nth(at).unwrap(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
        };
    }
}

fn text(mut value: Value, random: &mut Random) -> Vec<u8> {
    for _ in 0..random.below(3) {
        change(&mut value, random);
    }
    let mut bytes = value.to_string().into_bytes();
    if random.one_in(8) {
        random.damage(&mut bytes);
    }
    bytes
}

fn member(archive: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, content).unwrap();
}

fn layer() -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    member(&mut layer, "f", b"x");
    layer.into_inner().unwrap()
}

fn config(layer: &Digest) -> Value {
    json!({
        "created": "2024-01-02T03:04:05.678Z", "architecture": "amd64", "os": "linux", "author": "a",
        "config": {"Env": ["A=b"], "Cmd": ["sh"], "Labels": {"l": "1"}, "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}},
            "User": "0", "WorkingDir": "/", "StopSignal": "9", "Healthcheck": {"Test": ["CMD", "x"], "Interval": 1_000_000_000_u64}},
        "rootfs": {"type": "layers", "diff_ids": [layer]},
        "history": [{"created": "2024-01-02T03:04:05Z", "created_by": "x", "empty_layer": false}],
    })
}

/// As docker save writes it, or as a layout of OCI.
fn archive(random: &mut Random) -> Vec<u8> {
    let layer = layer();
    let id = Digest::of(&layer);
    let config = text(config(&id), random);
    let of_config = Digest::of(&config);
    let mut archive = tar::Builder::new(Vec::new());
    let blob = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    if random.one_in(2) {
        let file = format!("{}.json", of_config.hex());
        let list = json!([{"Config": file, "RepoTags": ["fuzz:1"], "Layers": ["l/layer.tar"]}]);
        member(&mut archive, &file, &config);
        member(&mut archive, "l/layer.tar", &layer);
        member(&mut archive, "manifest.json", &text(list, random));
    } else {
        let manifest = text(
            json!({"schemaVersion": 2, "mediaType": MANIFEST,
                "config": {"mediaType": CONFIG, "digest": of_config, "size": config.len()},
                "layers": [{"mediaType": LAYER, "digest": id, "size": layer.len()}]}),
            random,
        );
        let of_manifest = Digest::of(&manifest);
        let index = json!({"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, "digest": of_manifest, "size": manifest.len(),
            "platform": {"os": "linux", "architecture": "amd64"}, "annotations": {"org.opencontainers.image.ref.name": "fuzz:1"}}]});
        for (digest, content) in [(&of_config, &config), (&id, &layer), (&of_manifest, &manifest)] {
            member(&mut archive, &blob(digest), content);
        }
        member(&mut archive, "oci-layout", b"{\"imageLayoutVersion\":\"1.0.0\"}");
        member(&mut archive, "index.json", &text(index, random));
    }
    archive.into_inner().unwrap()
}

/// Whatever an image says of itself, it can be listed, shown and removed; and one that is refused
/// leaves nothing.
#[test]
fn archives_are_refused_without_a_trace_or_loaded() {
    let directory = Scratch::new();
    let home = Home::open(Some(&directory.0)).unwrap();
    let store = Store::open(&home).unwrap();
    let left = |dir: &str| std::fs::read_dir(directory.0.join(dir)).map_or(0, Iterator::count);
    each("images", 60, |random| {
        let mut archive = archive(random);
        if random.one_in(10) {
            random.damage(&mut archive);
        }
        match load::load(&store, &archive[..]) {
            Err(err) => is_one_line(&err),
            Ok(loaded) => {
                for one in &loaded {
                    let shown = crate::images::describe(&home, &one.image.id.to_string()).unwrap();
                    assert_eq!(shown["Id"], json!(one.image.id));
                }
            }
        }
        for image in store.images().unwrap() {
            store.remove(&image.id.to_string(), true, |_| Ok(None)).unwrap();
        }
        assert_eq!((left("layers"), left("oci/blobs/sha256"), left("tmp")), (0, 0, 0));
    });
}

#[test]
fn manifests_and_lists_are_refused_or_read() {
    let digest = Digest::of(b"");
    let of = |kind: &str| json!({"mediaType": kind, "digest": digest, "size": 3, "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}});
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": of(CONFIG), "layers": [of(LAYER), of(LAYER)]});
    let index = json!({"schemaVersion": 2, "manifests": [of(MANIFEST), of(MANIFEST)], "annotations": {"a": "b"}});
    each("manifests", 2000, |random| {
        match Manifest::parse(&text(manifest.clone(), random)) {
            Ok(read) => {
                let written = serde_json::to_vec(&read).unwrap();
                assert_eq!(
                    serde_json::to_vec(&Manifest::parse(&written).unwrap()).unwrap(),
                    written
                );
            }
            Err(err) => is_one_line(&err),
        }
        let chosen = Index::parse(&text(index.clone(), random))
            .and_then(|index| choose(&index, &Platform::here()).cloned());
        if let Err(err) = chosen {
            is_one_line(&err);
        }
    });
}
