//! `load`: images from one file, as `docker save`, `podman save` or skopeo have written it.
//!
//! Runs in: an ordinary process of the user. Privilege: none.
//!
//! The file may be a pipe, and what says which of its members are layers may come last. So all
//! members are written to `tmp/` under numbers of ours, and become blobs by a rename.

use crate::digest::Digest;
use crate::error::OrHint as _;
use crate::home::Scratch;
use crate::layer::archive::{Archive, Kind};
use crate::layer::{Compression, Limits, inflate};
use crate::reference::Reference;
use crate::store::layout::{
    self, CONFIG, Descriptor, Index, LAYER, MANIFEST, Manifest, Platform, REF_NAME,
};
use crate::store::{Added, Image, LONGEST_JSON, Parts, Store, Wanted};
use anyhow::{Context as _, Result, anyhow, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Most members: 500 layers with three files each, of some dozen images.
const MOST_MEMBERS: usize = 100_000;

/// Longest names of all members and links together, in bytes.
const LONGEST_NAMES: usize = 64 << 20;

/// Docker's `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: PathBuf,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<PathBuf>>,
}

/// A member of the archive, below `tmp/`.
#[derive(Debug)]
struct Member {
    file: PathBuf,
    digest: Digest,
    size: u64,
}

struct Members {
    files: BTreeMap<PathBuf, Member>,
    links: BTreeMap<PathBuf, PathBuf>,
    _scratch: Scratch,
}

/// An image which needs only to be added.
struct Ready {
    manifest: Vec<u8>,
    media_type: String,
    names: Vec<Reference>,
}

/// What was loaded: the image, and the names that it has got from the archive.
pub(crate) struct Loaded {
    pub(crate) image: Image,
    pub(crate) names: Vec<Reference>,
}

pub(crate) fn load(store: &Store<'_>, input: impl Read) -> Result<Vec<Loaded>> {
    let members = Members::read(store, input)?;
    let mut parts = Parts::default();
    let loaded = all(store, &members, &mut parts);
    if loaded.is_err() {
        store.discard(&parts).ok(); // the first error counts
    }
    loaded
}

fn all(store: &Store<'_>, members: &Members, parts: &mut Parts) -> Result<Vec<Loaded>> {
    let has = |name: &str| members.find(Path::new(name)).is_some();
    // Of both, the layout has the manifest as it was.
    let ready = if has("index.json") && (has("oci-layout") || !has("manifest.json")) {
        layout(store, members, parts, has("manifest.json"))?
    } else if has("manifest.json") {
        saved(store, members, parts)?
    } else {
        return Err(anyhow!("neither manifest.json nor index.json is in the archive"))
            .hint("give an archive that docker save, podman save or skopeo copy has written");
    };
    let mut loaded = Vec::new();
    for Ready { manifest, media_type, names } in ready {
        let added =
            Added { manifest: &manifest, media_type: &media_type, names: &names, digests: &[] };
        parts.blobs.insert(Digest::of(&manifest));
        loaded.push(Loaded { image: store.add(&added)?, names });
    }
    Ok(loaded)
}

fn saved(store: &Store<'_>, members: &Members, parts: &mut Parts) -> Result<Vec<Ready>> {
    let list: Vec<Saved> = serde_json::from_slice(&members.json(Path::new("manifest.json"))?)
        .context("manifest.json")?;
    let mut ready = Vec::new();
    for image in list {
        let text = members.json(&image.config)?;
        let config = store.put(&text)?;
        parts.blobs.insert(config.digest.clone());
        if let Ok(promised) = format!("sha256:{}", stem(&image.config)).parse::<Digest>() {
            let name = image.config.display();
            ensure!(promised == config.digest, "{name}: digest {}", config.digest);
        }
        let diff_ids = diff_ids(&text).with_context(|| image.config.display().to_string())?;
        let files = image.layers.unwrap_or_default();
        layout::check_count(files.len())?;
        ensure!(
            files.len() == diff_ids.len(),
            "manifest.json has {} layers, {} has {}",
            files.len(),
            image.config.display(),
            diff_ids.len()
        );
        let mut layers = Vec::new();
        for (path, diff_id) in files.iter().zip(diff_ids) {
            let member = members.get(path)?;
            let wanted = Wanted { blob: Some(member.digest.clone()), diff_id };
            layers.push(keep_layer(store, member, &wanted, parts)?);
        }
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            config: Descriptor { media_type: CONFIG.to_owned(), ..config },
            layers,
            other: serde_json::Map::new(),
        };
        let names = image.repo_tags.unwrap_or_default();
        let names: Result<Vec<Reference>> = names.iter().map(|name| tagged(name)).collect();
        ready.push(Ready {
            manifest: serde_json::to_vec(&manifest).context("manifest")?,
            media_type: MANIFEST.to_owned(),
            names: names.context("manifest.json")?,
        });
    }
    Ok(ready)
}

/// An archive with Docker's list has all images of it, not one for each platform.
fn layout(
    store: &Store<'_>,
    members: &Members,
    parts: &mut Parts,
    has_list: bool,
) -> Result<Vec<Ready>> {
    let index = Index::parse(&members.json(Path::new("index.json"))?)?;
    let named = |one: &Descriptor| {
        let full = one.annotations.get("io.containerd.image.name");
        full.or(one.annotations.get(REF_NAME)).cloned()
    };
    let is_named = index.manifests.iter().any(|one| named(one).is_some());
    let chosen = if index.manifests.len() > 1 && !is_named && !has_list {
        vec![layout::choose(&index, &Platform::here())?]
    } else {
        index.manifests.iter().collect()
    };
    let mut ready: Vec<Ready> = Vec::new();
    for descriptor in chosen {
        let names = named(descriptor).map(|name| tagged(&name)).transpose()?;
        let (manifest, descriptor) = if descriptor.is_index() {
            let inner = Index::parse(&members.blob(&descriptor.digest)?)?;
            let chosen = layout::choose(&inner, &Platform::here())?.clone();
            (members.blob(&chosen.digest)?, chosen)
        } else {
            (members.blob(&descriptor.digest)?, descriptor.clone())
        };
        // One manifest under several names.
        if let Some(known) = ready.iter_mut().find(|one| one.manifest == manifest) {
            known.names.extend(names);
            continue;
        }
        let parsed = Manifest::parse(&manifest)?;
        let text = members.blob(&parsed.config.digest)?;
        parts.blobs.insert(store.put(&text)?.digest);
        let diff_ids = diff_ids(&text)?;
        ensure!(
            parsed.layers.len() == diff_ids.len(),
            "the manifest has {} layers, the configuration {}",
            parsed.layers.len(),
            diff_ids.len()
        );
        for (layer, diff_id) in parsed.layers.iter().zip(diff_ids) {
            let member = members.get(&blob_path(&layer.digest))?;
            let wanted = Wanted { blob: Some(layer.digest.clone()), diff_id };
            keep_layer(store, member, &wanted, parts)?;
        }
        let media_type = Some(descriptor.media_type).filter(|kind| !kind.is_empty());
        ready.push(Ready {
            manifest,
            media_type: media_type.unwrap_or_else(|| MANIFEST.to_owned()),
            names: names.into_iter().collect(),
        });
    }
    Ok(ready)
}

fn keep_layer(
    store: &Store<'_>,
    member: &Member,
    wanted: &Wanted,
    parts: &mut Parts,
) -> Result<Descriptor> {
    let kept = store.blob(&member.digest);
    // A layer that comes twice was renamed the first time.
    let source = if member.file.exists() { &member.file } else { &kept };
    let blob = File::open(source).with_context(|| source.display().to_string())?;
    parts.layers.insert(wanted.diff_id.clone());
    parts.blobs.insert(member.digest.clone());
    let suffix = match store.unpack(blob, wanted, &Limits::default())? {
        Compression::None => "",
        Compression::Gzip => "+gzip",
        Compression::Zstd => "+zstd",
    };
    if source == &member.file {
        store.keep(source, &member.digest)?;
    }
    Ok(Descriptor::of(&format!("{LAYER}{suffix}"), member.digest.clone(), member.size))
}

impl Members {
    fn read(store: &Store<'_>, input: impl Read) -> Result<Self> {
        let scratch = store.scratch()?;
        let mut members =
            Self { files: BTreeMap::new(), links: BTreeMap::new(), _scratch: scratch };
        let (_, inflated) = inflate(input)?;
        let mut archive = Archive::new(inflated);
        let mut left = Limits::default().bytes;
        let mut count = 0;
        let mut names = 0;
        while let Some(entry) = archive.next()? {
            count += 1;
            ensure!(count <= MOST_MEMBERS, "the archive has more than {MOST_MEMBERS} members");
            names += entry.path.as_os_str().len();
            if let Kind::Symlink(target) | Kind::HardLink(target) = &entry.kind {
                names += target.as_os_str().len();
            }
            ensure!(names <= LONGEST_NAMES, "names of more than {LONGEST_NAMES} bytes");
            let path = lexical(Path::new(""), &entry.path)
                .with_context(|| format!("member {:?} of the archive", entry.path.display()))?;
            match entry.kind {
                Kind::File => {
                    left = left.checked_sub(entry.size).context("the archive is too large")?;
                    let mut spool = Store::spool(&members._scratch, &count.to_string())?;
                    let copied = io::copy(&mut archive, &mut spool).context("write to tmp/")?;
                    ensure!(copied == entry.size, "the archive is cut off");
                    let file = members._scratch.path().join(count.to_string());
                    let (digest, size) = spool.finish();
                    members.files.insert(path, Member { file, digest, size });
                }
                Kind::Directory => {}
                // docker save before 25 has one for a layer that comes again.
                Kind::Symlink(target) => {
                    let above = path.parent().unwrap_or(Path::new(""));
                    let target = lexical(above, &target)
                        .with_context(|| format!("link {:?} in the archive", path.display()))?;
                    members.links.insert(path, target);
                }
                Kind::HardLink(target) => {
                    let target = lexical(Path::new(""), &target)
                        .with_context(|| format!("link {:?} in the archive", path.display()))?;
                    members.links.insert(path, target);
                }
                Kind::Sparse { .. } | Kind::Character { .. } | Kind::Block { .. } | Kind::Fifo => {
                    let path = path.display();
                    return Err(anyhow!("member {path:?} of the archive: neither file nor link"));
                }
            }
        }
        Ok(members)
    }

    fn find(&self, path: &Path) -> Option<&Member> {
        let mut path = path;
        // A link may lead to a link, and in a circle.
        for _ in 0..8 {
            match self.links.get(path) {
                Some(target) => path = target,
                None => return self.files.get(path),
            }
        }
        None
    }

    fn get(&self, path: &Path) -> Result<&Member> {
        let clean = lexical(Path::new(""), path).with_context(|| path.display().to_string())?;
        self.find(&clean).with_context(|| format!("{} is not in the archive", path.display()))
    }

    fn json(&self, path: &Path) -> Result<Vec<u8>> {
        let member = self.get(path)?;
        ensure!(member.size < LONGEST_JSON, "{}: {} bytes of JSON", path.display(), member.size);
        fs::read(&member.file).with_context(|| path.display().to_string())
    }

    fn blob(&self, digest: &Digest) -> Result<Vec<u8>> {
        let path = blob_path(digest);
        let member = self.get(&path)?;
        ensure!(member.digest == *digest, "{}: digest {}", path.display(), member.digest);
        self.json(&path)
    }
}

fn blob_path(digest: &Digest) -> PathBuf {
    Path::new("blobs/sha256").join(digest.hex())
}

/// Names are looked up in our list only; none is ever given to the kernel.
fn lexical(above: &Path, path: &Path) -> Result<PathBuf> {
    let mut clean = above.to_owned();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir => ensure!(clean.pop(), "leads out of the archive"),
            Component::RootDir | Component::Prefix(_) => {
                return Err(anyhow!("an absolute name"));
            }
        }
    }
    Ok(clean)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn tagged(name: &str) -> Result<Reference> {
    Reference::parse(name).map(Reference::tagged)
}

pub(crate) fn diff_ids(config: &[u8]) -> Result<Vec<Digest>> {
    #[derive(Deserialize)]
    struct Config {
        rootfs: RootFs,
    }
    #[derive(Deserialize)]
    struct RootFs {
        #[serde(default)]
        diff_ids: Vec<Digest>,
    }
    let config: Config = serde_json::from_slice(config).context("image configuration")?;
    Ok(config.rootfs.diff_ids)
}
