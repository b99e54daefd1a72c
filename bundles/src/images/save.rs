//! `save`: images as one archive, an OCI image layout with the list that Docker reads.
//!
//! Blobs go into it as they are in the store, so nothing gets another digest on the way.

use crate::cli::tools::{Archive, Save};
use crate::digest::{Digest, Hashing};
use crate::events::{self, Event};
use crate::home::Home;
use crate::layer::{Head, inflate};
use crate::output;
use crate::reference::Reference;
use crate::store::layout::{Descriptor, Index, LAYOUT, REF_NAME};
use crate::store::{Image, Store};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use tar::EntryType;

/// The whole name of an image, as containerd and Docker have it; theirs of OCI is the tag alone.
const NAME: &str = "io.containerd.image.name";

pub(crate) fn save(home: &Home, args: &Save) -> Result<()> {
    let store = Store::open(home)?;
    let chosen = choose(&store.images()?, &args.images)?;
    output::to(args.output.as_deref(), "save", |out| write(&store, &chosen, args.format, out))?;
    let ids = chosen.iter().map(|one| one.image.id.to_string());
    events::note_all(home, ids.map(|id| Event::image(&id, "save", &id)).collect());
    Ok(())
}

/// An image, and those of its names that are wanted.
struct Chosen {
    image: Image,
    names: Vec<Reference>,
}

/// In the order in which they were asked for; each image once.
fn choose(all: &[Image], wanted: &[String]) -> Result<Vec<Chosen>> {
    let mut chosen: Vec<Chosen> = Vec::new();
    for text in wanted {
        for (image, name) in fitting(all, text)? {
            let at = match chosen.iter().position(|one| one.image.id == image.id) {
                Some(at) => at,
                None => {
                    chosen.push(Chosen { image: image.clone(), names: Vec::new() });
                    chosen.len() - 1
                }
            };
            let known = chosen.get_mut(at).context("internal error, please report: an image")?;
            known.names.extend(name.filter(|name| !known.names.contains(name)));
        }
    }
    Ok(chosen)
}

/// The one of this name or id, or all with a name in this repository.
fn fitting<'a>(all: &'a [Image], text: &str) -> Result<Vec<(&'a Image, Option<Reference>)>> {
    let parsed = Reference::parse(text).ok();
    let whole = parsed.clone().map(Reference::tagged);
    let is_in = |name: &Reference| {
        parsed.as_ref().is_some_and(|wanted| {
            wanted.tag.is_none()
                && wanted.digest.is_none()
                && (&wanted.registry, &wanted.path) == (&name.registry, &name.path)
        })
    };
    let names = || all.iter().flat_map(|image| image.names.iter().map(move |name| (image, name)));
    let in_it: Vec<_> = names().filter(|(_, name)| is_in(name)).collect();
    if !in_it.is_empty() {
        return Ok(in_it.into_iter().map(|(image, name)| (image, Some(name.clone()))).collect());
    }
    let image = crate::store::find(all, text)?;
    Ok(vec![(image, whole.filter(|name| image.names.contains(name)))])
}

/// What is in the archive under the name of its digest.
enum Blob {
    /// As in the store, with so many bytes.
    Stored(u64),
    /// A layer without its compression, which old readers do not know.
    Inflated { from: Digest },
}

fn write(store: &Store<'_>, chosen: &[Chosen], format: Archive, out: &mut dyn Write) -> Result<()> {
    let mut index = Index::empty();
    let mut list: Vec<Value> = Vec::new();
    let mut blobs: BTreeMap<Digest, Blob> = BTreeMap::new();
    for one in chosen {
        let (manifest, descriptor) = store.manifest(&one.image)?;
        index.manifests.extend(named(&descriptor, &one.names));
        let diff_ids = one.image.diff_ids()?;
        ensure!(manifest.layers.len() == diff_ids.len(), "image {}: damaged", one.image.id);
        let parts = manifest.layers.iter().chain([&manifest.config, &descriptor]);
        blobs.extend(parts.map(|part| (part.digest.clone(), Blob::Stored(part.size))));
        let mut layers = Vec::new();
        for (layer, diff_id) in manifest.layers.iter().zip(diff_ids) {
            let is_known = !layer.media_type.ends_with("zstd");
            layers.push(path(if is_known { &layer.digest } else { &diff_id }));
            if !is_known && format == Archive::DockerArchive {
                let from = layer.digest.clone();
                blobs.entry(diff_id).or_insert(Blob::Inflated { from });
            }
        }
        let names: Vec<String> = one.names.iter().map(Reference::familiar).collect();
        list.push(json!({
            "Config": path(&manifest.config.digest),
            "RepoTags": if names.is_empty() { Value::Null } else { json!(names) },
            "Layers": layers,
        }));
    }
    let mut tar = Tar { out };
    tar.file("oci-layout", LAYOUT.as_bytes())?;
    tar.file("index.json", &serde_json::to_vec(&index).context("index.json")?)?;
    if format == Archive::DockerArchive {
        tar.file("manifest.json", &serde_json::to_vec(&list).context("manifest.json")?)?;
    }
    tar.directory("blobs/")?;
    tar.directory("blobs/sha256/")?;
    for (digest, blob) in &blobs {
        tar.blob(store, digest, blob).with_context(|| format!("blob {digest}"))?;
    }
    tar.out.write_all(&[0; 1024]).context("write")
}

fn path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// One descriptor for each name, and one at least.
fn named(descriptor: &Descriptor, names: &[Reference]) -> Vec<Descriptor> {
    let plain = Descriptor { annotations: BTreeMap::new(), ..descriptor.clone() };
    if names.is_empty() {
        return vec![plain];
    }
    let with = |name: &Reference| {
        let name = name.to_string();
        let annotations =
            BTreeMap::from([(NAME.to_owned(), name.clone()), (REF_NAME.to_owned(), name)]);
        Descriptor { annotations, ..plain.clone() }
    };
    names.iter().map(with).collect()
}

/// Times and owners are the same in each archive.
struct Tar<'a> {
    out: &'a mut dyn Write,
}

impl Tar<'_> {
    fn head(&mut self, path: &str, kind: EntryType, size: u64) -> Result<()> {
        let mode = if kind == EntryType::Directory { 0o755 } else { 0o644 };
        let head = Head { size, ..Head::plain(path.as_bytes(), kind, mode) };
        self.out.write_all(&head.bytes()?).context("write")
    }

    fn directory(&mut self, path: &str) -> Result<()> {
        self.head(path, EntryType::Directory, 0)
    }

    fn file(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.content(path, content.len() as u64, content)
    }

    fn content(&mut self, path: &str, size: u64, content: impl Read) -> Result<()> {
        self.head(path, EntryType::Regular, size)?;
        let copied = io::copy(&mut content.take(size), self.out).context("write")?;
        ensure!(copied == size, "{copied} bytes instead of {size}");
        let padding = size.next_multiple_of(512) - size;
        io::copy(&mut io::repeat(0).take(padding), self.out).context("write")?;
        Ok(())
    }

    fn blob(&mut self, store: &Store<'_>, digest: &Digest, blob: &Blob) -> Result<()> {
        let open = |digest: &Digest| {
            File::open(store.blob(digest)).context("not in the store: removed meanwhile?")
        };
        match blob {
            Blob::Stored(size) => {
                let mut content = Hashing::new(open(digest)?);
                self.content(&path(digest), *size, &mut content)?;
                ensure!(content.finish().0 == *digest, "the content has changed");
            }
            Blob::Inflated { from } => {
                // The size stands before the content.
                let size = io::copy(&mut inflate(open(from)?)?.1, &mut io::sink())?;
                self.content(&path(digest), size, inflate(open(from)?)?.1)?;
            }
        }
        Ok(())
    }
}
