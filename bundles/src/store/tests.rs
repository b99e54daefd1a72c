use super::*;
use crate::testing::Scratch as Directory;
use serde_json::json;

/// A layer of one file; the file's name makes layers differ.
fn layer(name: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    builder.append_data(&mut header, name, &b"x"[..]).unwrap();
    builder.into_inner().unwrap()
}

fn named(name: &str) -> Reference {
    Reference::parse(name).unwrap().tagged()
}

/// Puts an image of these layers into the store; `salt` makes configurations differ.
fn add(store: &Store<'_>, salt: &str, layers: &[&str], names: &[&str]) -> Image {
    let mut descriptors = Vec::new();
    let mut diff_ids = Vec::new();
    for name in layers {
        let content = layer(name);
        let digest = Digest::of(&content);
        let wanted = Wanted { blob: Some(digest.clone()), diff_id: digest.clone() };
        store.unpack(&content[..], &wanted, &Limits::default()).unwrap();
        store.put(&content).unwrap();
        descriptors.push(Descriptor::of(layout::LAYER, digest.clone(), content.len() as u64));
        diff_ids.push(digest);
    }
    let config = json!({"architecture": "amd64", "os": "linux", "author": salt,
        "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = store.put(config.to_string().as_bytes()).unwrap();
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": descriptors});
    let names: Vec<Reference> = names.iter().map(|name| named(name)).collect();
    let manifest = manifest.to_string().into_bytes();
    let digests = Reference::parse(&format!("pulled@{}", Digest::of(&manifest))).unwrap();
    let added =
        Added { manifest: &manifest, media_type: MANIFEST, names: &names, digests: &[digests] };
    store.add(&added).unwrap()
}

fn count(path: &Path) -> usize {
    fs::read_dir(path).unwrap().count()
}

fn names(image: &Image) -> Vec<String> {
    image.names.iter().map(Reference::familiar).collect()
}

#[test]
fn image_is_found_by_name_id_and_digest() {
    let directory = Directory::new();
    let home = Home::open(Some(&directory.0)).unwrap();
    let store = Store::open(&home).unwrap();
    let a = add(&store, "a", &["one", "two"], &["a", "x/a:1"]);
    let b = add(&store, "b", &["one"], &["b"]);
    assert_eq!(a.layers.len(), 2);
    assert!(a.layers[0].join("one").exists() && a.layers[1].join("two").exists());
    assert_eq!((a.size, b.size), (2, 1));
    let pulled = a.digests[0].familiar();
    let complete = a.id.to_string();
    for text in [
        "a",
        "a:latest",
        "docker.io/library/a",
        "x/a:1",
        a.id.hex(),
        &complete,
        &complete[..15],
        fmt::short_id(a.id.hex()),
        &pulled,
    ] {
        assert_eq!(store.image(text).unwrap().id, a.id, "{text}");
    }
    let err = store.image("c:1").unwrap_err();
    assert_eq!(crate::error::chain(&err), "image c:1: not in the store");
    let hint = crate::error::hint(&err);
    assert_eq!(hint, Some("get it: bundles pull c:1, or bundles load -i FILE"));
    assert!(err.is::<Missing>());
    let other = Digest::of(b"other");
    let err = store.image(&other.to_string()).unwrap_err();
    assert_eq!(crate::error::chain(&err), format!("image \"{other}\": no image has this id"));
}

#[test]
fn layers_of_other_images_stay() {
    let directory = Directory::new();
    let home = Home::open(Some(&directory.0)).unwrap();
    let store = Store::open(&home).unwrap();
    let a = add(&store, "a", &["one", "two"], &["a"]);
    add(&store, "b", &["one", "three"], &["b"]);
    assert_eq!((count(&store.layers), count(&store.blobs)), (3, 7));
    let removed = store.remove("a", false, |_| Ok(None)).unwrap();
    assert_eq!((removed.untagged, removed.deleted), (vec![named("a")], vec![a.id]));
    assert_eq!((count(&store.layers), count(&store.blobs)), (2, 4));
    store.remove("b", false, |_| Ok(None)).unwrap();
    assert_eq!((count(&store.layers), count(&store.blobs)), (0, 0));
    assert!(store.images().unwrap().is_empty());
    assert_eq!(count(&directory.0.join("tmp")), 0);
}

#[test]
fn names_move_and_images_stay_without() {
    let directory = Directory::new();
    let home = Home::open(Some(&directory.0)).unwrap();
    let store = Store::open(&home).unwrap();
    let a = add(&store, "a", &["one"], &["app"]);
    let b = add(&store, "b", &["two"], &["app"]);
    assert_eq!(store.image("app").unwrap().id, b.id);
    assert_eq!(names(&store.image(a.id.hex()).unwrap()), Vec::<String>::new());
    store.tag(&store.image(fmt::short_id(a.id.hex())).unwrap(), &named("old:1")).unwrap();
    store.tag(&store.image("old:1").unwrap(), &named("old:2")).unwrap();
    let old = store.image("old:2").unwrap();
    assert_eq!((&old.id, names(&old)), (&a.id, vec!["old:1".to_owned(), "old:2".to_owned()]));
    assert_eq!(old.digests, a.digests);
    assert_eq!(store.images().unwrap().len(), 2);
}

#[test]
fn removing_minds_other_names_and_users() {
    let directory = Directory::new();
    let home = Home::open(Some(&directory.0)).unwrap();
    let store = Store::open(&home).unwrap();
    let a = add(&store, "a", &["one"], &["a", "b"]);
    let free = |_: &Image| Ok(None);
    let err = store.remove(fmt::short_id(a.id.hex()), false, free).unwrap_err();
    let wanted = format!("image {}: has 2 names: a:latest, b:latest", fmt::short_id(a.id.hex()));
    assert_eq!(crate::error::chain(&err), wanted);
    let removed = store.remove("a", false, free).unwrap();
    assert_eq!((removed.untagged.len(), removed.deleted.len()), (1, 0));
    let err = store.remove("b", true, |_| Ok(Some("web".to_owned()))).unwrap_err();
    assert_eq!(crate::error::chain(&err), "image b: used by container web");
    let hint = crate::error::hint(&err);
    assert_eq!(hint, Some("remove the container first: bundles rm web"));
    assert_eq!(store.remove("b", false, free).unwrap().deleted, [a.id]);
}

#[test]
fn layer_with_another_digest_gets_no_name() {
    let directory = Directory::new();
    let home = Home::open(Some(&directory.0)).unwrap();
    let store = Store::open(&home).unwrap();
    let content = layer("one");
    let other = Digest::of(b"other");
    let wrong = Wanted { blob: None, diff_id: other.clone() };
    let err = store.unpack(&content[..], &wrong, &Limits::default()).unwrap_err();
    let actual = Digest::of(&content);
    assert_eq!(crate::error::chain(&err), format!("layer {other}: unpacked digest {actual}"));
    let wrong = Wanted { blob: Some(other.clone()), diff_id: actual.clone() };
    let err = store.unpack(&content[..], &wrong, &Limits::default()).unwrap_err();
    let text = format!("layer {actual}: digest {actual} instead of {other}");
    assert_eq!(crate::error::chain(&err), text);
    assert_eq!((count(&store.layers), count(&directory.0.join("tmp"))), (0, 0));
    // What is behind the end marker belongs to the digest too.
    let longer = [content, vec![0; 4096]].concat();
    let longer_id = Wanted { blob: None, diff_id: Digest::of(&longer) };
    store.unpack(&longer[..], &longer_id, &Limits::default()).unwrap();
    // A layer that is there does not vouch for a blob.
    let err = store.unpack(&b"junk"[..], &longer_id, &Limits::default()).unwrap_err();
    assert!(crate::error::chain(&err).contains("unpacked digest"), "{err:#}");
}

#[test]
fn image_whose_layers_went_away_is_not_added() {
    let directory = Directory::new();
    let home = Home::open(Some(&directory.0)).unwrap();
    let store = Store::open(&home).unwrap();
    let a = add(&store, "a", &["one"], &["a"]);
    let manifest = fs::read(store.blob(&a.manifest)).unwrap();
    crate::tree::remove(a.layers[0].parent().unwrap()).unwrap();
    let added =
        Added { manifest: &manifest, media_type: MANIFEST, names: &[named("c")], digests: &[] };
    let err = store.add(&added).unwrap_err();
    assert!(crate::error::chain(&err).ends_with("removed meanwhile, with another image"));
    assert!(store.image("c").is_err());
}

#[test]
fn changed_configuration_is_noticed() {
    let directory = Directory::new();
    let home = Home::open(Some(&directory.0)).unwrap();
    let store = Store::open(&home).unwrap();
    let a = add(&store, "a", &["one"], &["a"]);
    replace(&store.blob(&a.id), b"{}").unwrap();
    let err = store.image("a").unwrap_err();
    assert!(crate::error::chain(&err).ends_with(": the content has changed"), "{err:#}");
}

/// Changes as overlayfs has them, made from nothing.
fn changes(directory: &Directory, name: &str) -> PathBuf {
    directory.file(&format!("{name}/d/new"), b"content");
    let gone = directory.0.join(name).join("gone");
    let kind = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, &gone, kind, rustix::fs::Mode::empty(), 0).unwrap();
    directory.0.join(name)
}

#[test]
fn changes_given_and_kept_make_the_same_layer() {
    let directory = Directory::new();
    let home = Home::open(Some(&directory.0.join("home"))).unwrap();
    let store = Store::open(&home).unwrap();
    let kept = changes(&directory, "kept");
    let latest = Some(1_000_000);
    let one = store.add_layer(Changes::Kept(&kept), latest).unwrap().unwrap();
    assert!(kept.join("d/new").exists());
    let size = || fs::read_to_string(store.layers.join(one.diff_id.hex()).join(SIZE)).unwrap();
    let whiteout = || fs::symlink_metadata(store.layer(&one.diff_id).join("gone")).is_ok();
    assert!(size() == "7\n" && whiteout());
    crate::tree::remove(&store.layers.join(one.diff_id.hex())).unwrap();
    let given = changes(&directory, "given");
    let two = store.add_layer(Changes::Given(&given), latest).unwrap().unwrap();
    assert!(size() == "7\n" && whiteout() && !given.exists());
    assert_eq!((&one.diff_id, &one.descriptor.digest), (&two.diff_id, &two.descriptor.digest));
    assert_eq!(
        one.descriptor.size,
        fs::metadata(store.blob(&one.descriptor.digest)).unwrap().len()
    );
    let nothing = directory.0.join("nothing");
    fs::create_dir(&nothing).unwrap();
    assert!(store.add_layer(Changes::Given(&nothing), None).unwrap().is_none());
    assert_eq!((count(&store.layers), count(&store.blobs)), (1, 1));
    assert_eq!(count(&directory.0.join("home/tmp")), 0);
}

#[test]
fn image_that_is_made_keeps_the_layers_of_its_parent() {
    let directory = Directory::new();
    let home = Home::open(Some(&directory.0.join("home"))).unwrap();
    let store = Store::open(&home).unwrap();
    let parent = add(&store, "p", &["one", "two"], &["parent"]);
    let mut layers = store.layers_of(&parent).unwrap();
    let given = changes(&directory, "given");
    layers.extend(store.add_layer(Changes::Given(&given), None).unwrap());
    let mut config = parent.raw.clone();
    config["config"] = json!({"Healthcheck": {"Test": ["NONE"]}});
    let child = store.add_image(config, &layers, &[named("child")]).unwrap();
    assert_eq!(child.raw["config"]["Healthcheck"]["Test"], json!(["NONE"]));
    assert_eq!(child.diff_ids().unwrap()[..2], parent.diff_ids().unwrap());
    assert_eq!((names(&child), child.layers.len()), (vec!["child:latest".to_owned()], 3));
    let manifest = Manifest::parse(&store.read_json(&child.manifest).unwrap()).unwrap();
    assert_eq!(manifest.config.media_type, layout::CONFIG);
    assert_eq!(manifest.layers[2].media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
    // Of a manifest of Docker's, the layers get their names of OCI.
    let docker = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    let mut manifest = manifest;
    for layer in &mut manifest.layers {
        layer.media_type = docker.to_owned();
    }
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let added = Added { manifest: &manifest, media_type: MANIFEST, names: &[], digests: &[] };
    let docker = store.add(&added).unwrap();
    let image = Image { manifest: Digest::of(&manifest), ..docker };
    for layer in store.layers_of(&image).unwrap() {
        assert_eq!(layer.descriptor.media_type, format!("{}+gzip", layout::LAYER));
    }
}
