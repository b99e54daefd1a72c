//! Images on disk: `oci/` is an OCI image layout, `layers/` has each layer unpacked by itself.
//!
//! Runs in: an ordinary process of the user, or root of a user namespace. Privilege: none.
//!
//! An image is what index.json names, and that is written last. Before come blobs and layers, each
//! whole under its name or not there at all, and useless to nobody if nothing follows. Nothing
//! counts references: who removes an image looks at what the others need.

mod create;
mod image;
pub(crate) mod layout;
mod remove;
mod steps;

pub(crate) use create::{Changes, Layer, history_of};
pub(crate) use image::{Image, Missing, find, time};
pub(crate) use remove::Parts;
pub(crate) use steps::{Kept, Step};

use crate::digest::{Digest, Hashing};
use crate::error::OrHint as _;
use crate::events::{self, Event};
use crate::fmt;
use crate::home::{Home, Lock, Scratch, replace};
use crate::layer::{self, Compression, Limits, Unpacked};
use crate::reference::Reference;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use layout::{Descriptor, Index, LAYOUT, MANIFEST, Manifest, REF_NAME};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// `name@digest` of the registry that an image came from, separated by spaces.
const FROM: &str = "io.bundles.pulled-as";

/// Longest manifest or configuration in bytes, as registries have it.
pub(crate) const LONGEST_JSON: u64 = 4 << 20;

/// Inside of a layer's directory: the files, and their size. The directory of the files may have a
/// mode that does not let an ordinary user rename it.
const FILES: &str = "files";
const SIZE: &str = "size";

#[derive(Debug)]
pub(crate) struct Store<'a> {
    home: &'a Home,
    oci: PathBuf,
    blobs: PathBuf,
    layers: PathBuf,
}

/// A layer that is to be there.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Of the bytes as they come, where somebody promised it.
    pub(crate) blob: Option<Digest>,
    /// Of the archive inside.
    pub(crate) diff_id: Digest,
}

/// An image whose blobs and layers are in the store.
#[derive(Debug)]
pub(crate) struct Added<'a> {
    pub(crate) manifest: &'a [u8],
    pub(crate) media_type: &'a str,
    pub(crate) names: &'a [Reference],
    /// `name@digest`, if a registry gave it.
    pub(crate) digests: &'a [Reference],
}

impl Wanted {
    fn check(&self, got: &Unpacked) -> Result<Compression> {
        let Self { blob, diff_id } = self;
        if let Some(blob) = blob.as_ref().filter(|blob| **blob != got.blob) {
            bail!("layer {diff_id}: digest {} instead of {blob}", got.blob);
        }
        ensure!(got.diff_id == *diff_id, "layer {diff_id}: unpacked digest {}", got.diff_id);
        Ok(got.compression)
    }
}

impl<'a> Store<'a> {
    pub(crate) fn open(home: &'a Home) -> Result<Self> {
        let oci = home.directory("oci")?;
        let blobs = home.directory("oci/blobs/sha256")?;
        let layers = home.directory("layers")?;
        let store = Self { home, oci, blobs, layers };
        let mark = store.oci.join("oci-layout");
        if !mark.exists() {
            store.write(&mark, LAYOUT.as_bytes())?;
        }
        Ok(store)
    }

    /// Held while index.json is read together with what it names, and while it changes.
    fn lock(&self) -> Result<Lock> {
        self.home.lock("images")
    }

    fn index(&self) -> Result<Index> {
        let path = self.oci.join("index.json");
        match fs::read(&path) {
            Ok(bytes) => Index::parse(&bytes).with_context(|| path.display().to_string()),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(Index::empty()),
            Err(err) => Err(err).with_context(|| path.display().to_string()),
        }
    }

    /// Without images there is none, as at first; so the last one can go from a full disk.
    fn write_index(&self, index: &Index) -> Result<()> {
        let path = self.oci.join("index.json");
        if index.manifests.is_empty() {
            return self.home.discard(&path).map(drop);
        }
        let mut text = serde_json::to_vec_pretty(index).context("index.json")?;
        text.push(b'\n');
        self.write(&path, &text)
    }

    /// Like [`replace`], by way of `tmp/`: whoever is killed leaves nothing between the blobs.
    fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
        let scratch = self.home.scratch()?;
        let file = scratch.path().join("new");
        replace(&file, content)?;
        fs::rename(&file, path).with_context(|| format!("rename(…, {})", path.display()))
    }

    pub(crate) fn home(&self) -> &Home {
        self.home
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.hex())
    }

    /// The directory of the files of a layer.
    pub(crate) fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.layers.join(diff_id.hex()).join(FILES)
    }

    /// Of a manifest or a configuration; the digest is verified each time.
    pub(crate) fn read_json(&self, digest: &Digest) -> Result<Vec<u8>> {
        let path = self.blob(digest);
        let read = || -> Result<Vec<u8>> {
            let mut bytes = Vec::new();
            File::open(&path)?.take(LONGEST_JSON).read_to_end(&mut bytes)?;
            ensure!(Digest::of(&bytes) == *digest, "the content has changed");
            Ok(bytes)
        };
        read().with_context(|| path.display().to_string())
    }

    /// Keeps a small blob.
    pub(crate) fn put(&self, content: &[u8]) -> Result<Descriptor> {
        let digest = Digest::of(content);
        let path = self.blob(&digest);
        if !path.exists() {
            self.write(&path, content)?;
        }
        Ok(Descriptor::of("", digest, content.len() as u64))
    }

    /// Keeps a blob that was written to a file below `tmp/`, under the digest it was found to have.
    pub(crate) fn keep(&self, file: &Path, digest: &Digest) -> Result<()> {
        let to = self.blob(digest);
        fs::rename(file, &to)
            .with_context(|| format!("rename({}, {})", file.display(), to.display()))
    }

    pub(crate) fn has_layer(&self, diff_id: &Digest) -> bool {
        self.layers.join(diff_id.hex()).exists()
    }

    /// Unpacks a layer and gives it its name, once both digests are the promised ones. Where the
    /// layer is there already, the digests are compared all the same: the blob is kept too.
    pub(crate) fn unpack(
        &self,
        blob: impl Read + Send,
        wanted: &Wanted,
        limits: &Limits,
    ) -> Result<Compression> {
        let diff_id = &wanted.diff_id;
        if self.has_layer(diff_id) {
            let got = layer::digests(blob, limits).with_context(|| format!("layer {diff_id}"))?;
            return wanted.check(&got);
        }
        let scratch = self.home.scratch()?;
        let files = scratch.path().join("layer").join(FILES);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&files);
        made.with_context(|| files.display().to_string())?;
        let directory = File::open(&files).with_context(|| files.display().to_string())?;
        let got = layer::unpack(blob, directory.as_fd(), limits)
            .with_context(|| format!("layer {diff_id}"))?;
        let compression = wanted.check(&got)?;
        self.keep_layer(&scratch.path().join("layer"), got.size, diff_id)?;
        Ok(compression)
    }

    /// Gives a directory with the files of a layer, whose size is in bytes, its name.
    fn keep_layer(&self, layer: &Path, size: u64, diff_id: &Digest) -> Result<()> {
        replace(&layer.join(SIZE), format!("{size}\n").as_bytes())?;
        // A layer is trusted by its name: a power cut must not leave the name with empty files.
        let directory = File::open(layer).with_context(|| layer.display().to_string())?;
        rustix::fs::syncfs(&directory).map_err(io::Error::from).context("syncfs")?;
        let to = self.layers.join(diff_id.hex());
        match fs::rename(layer, &to) {
            // Somebody else was quicker.
            Err(_) if self.has_layer(diff_id) => Ok(()),
            done => done.with_context(|| format!("rename(…, {})", to.display())),
        }
    }

    /// Makes an image of what was put, kept and unpacked before. Names are taken from others.
    pub(crate) fn add(&self, added: &Added<'_>) -> Result<Image> {
        let manifest = self.put(added.manifest)?;
        let _lock = self.lock()?;
        let image = self.read_image(&manifest.digest)?;
        let parsed = Manifest::parse(added.manifest)?;
        let diff_ids = image.diff_ids()?;
        ensure!(
            diff_ids.len() == parsed.layers.len(),
            "the manifest has {} layers, the configuration {}",
            parsed.layers.len(),
            diff_ids.len()
        );
        for (diff_id, layer) in diff_ids.iter().zip(&parsed.layers) {
            if !self.has_layer(diff_id) || !self.blob(&layer.digest).exists() {
                return Err(anyhow!("layer {diff_id}: removed meanwhile, with another image"))
                    .hint("run the command again");
            }
        }
        let mut index = self.index()?;
        let mut annotations = BTreeMap::new();
        let from = known(&index, &manifest.digest, added.digests);
        if !from.is_empty() {
            annotations.insert(FROM.to_owned(), from);
        }
        let descriptor = Descriptor {
            media_type: added.media_type.to_owned(),
            annotations,
            ..Descriptor::of(MANIFEST, manifest.digest.clone(), manifest.size)
        };
        for one in index.manifests.iter_mut().filter(|one| one.digest == manifest.digest) {
            one.annotations.extend(descriptor.annotations.clone());
        }
        name(&mut index, &descriptor, added.names);
        self.write_index(&index)?;
        drop(index);
        self.read_named(&manifest.digest)
    }

    /// Notes that a registry has it, under `name@digest`.
    pub(crate) fn note(&self, manifest: &Digest, given: &Reference) -> Result<()> {
        let _lock = self.lock()?;
        let mut index = self.index()?;
        let from = known(&index, manifest, std::slice::from_ref(given));
        for one in index.manifests.iter_mut().filter(|one| one.digest == *manifest) {
            one.annotations.insert(FROM.to_owned(), from.clone());
        }
        self.write_index(&index)
    }

    /// What a name stands for: a manifest, with its media type.
    pub(crate) fn named(&self, name: &Reference) -> Result<Option<Descriptor>> {
        let _lock = self.lock()?;
        let name = name.to_string();
        Ok(self.index()?.manifests.into_iter().find(|one| name_of(one) == Some(&name)))
    }

    /// One more name; taken from the image that had it.
    pub(crate) fn tag(&self, image: &Image, new: &Reference) -> Result<()> {
        let _lock = self.lock()?;
        let mut index = self.index()?;
        let found = index.manifests.iter().find(|one| one.digest == image.manifest);
        let mut descriptor = found.cloned().with_context(|| {
            format!("image {}: removed meanwhile", fmt::short_id(image.id.hex()))
        })?;
        descriptor.annotations.remove(REF_NAME);
        name(&mut index, &descriptor, std::slice::from_ref(new));
        self.write_index(&index)?;
        let (id, new) = (image.id.to_string(), new.familiar());
        events::note(self.home, Event::image(&id, "tag", &new));
        Ok(())
    }

    /// A file below `tmp/` that hashes what is written to it.
    pub(crate) fn spool(scratch: &Scratch, name: &str) -> Result<Hashing<File>> {
        let path = scratch.path().join(name);
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&path);
        Ok(Hashing::new(opened.with_context(|| path.display().to_string())?))
    }

    pub(crate) fn scratch(&self) -> Result<Scratch> {
        self.home.scratch()
    }

    /// For the bytes of a blob, as far as they have come.
    pub(crate) fn partial(&self, blob: &Digest) -> Result<Scratch> {
        self.home.resumed(&format!("pull-{}", blob.hex()))
    }
}

/// Puts names on a manifest. An image that loses its last name stays, without one.
fn name(index: &mut Index, descriptor: &Descriptor, names: &[Reference]) {
    for new in names {
        let new = new.to_string();
        untag(index, &new);
        let mut named = descriptor.clone();
        named.annotations.insert(REF_NAME.to_owned(), new);
        // Its own entry without a name is not needed any more.
        index.manifests.retain(|one| one.digest != named.digest || name_of(one).is_some());
        index.manifests.push(named);
    }
    if !index.manifests.iter().any(|one| one.digest == descriptor.digest) {
        index.manifests.push(descriptor.clone());
    }
}

/// Takes a name off; the manifest keeps an entry.
fn untag(index: &mut Index, name: &str) {
    let Some(at) = index.manifests.iter().position(|one| name_of(one) == Some(name)) else {
        return;
    };
    let mut old = index.manifests.remove(at);
    if !index.manifests.iter().any(|one| one.digest == old.digest) {
        old.annotations.remove(REF_NAME);
        index.manifests.push(old);
    }
}

fn name_of(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotations.get(REF_NAME).map(String::as_str)
}

/// A digest by which an image was known earlier stays true.
fn known(index: &Index, manifest: &Digest, new: &[Reference]) -> String {
    let same = index.manifests.iter().filter(|one| one.digest == *manifest);
    let mut all: Vec<String> = same.flat_map(from).map(str::to_owned).collect();
    all.extend(new.iter().map(ToString::to_string));
    all.sort();
    all.dedup();
    all.join(" ")
}

fn from(descriptor: &Descriptor) -> impl Iterator<Item = &str> {
    descriptor.annotations.get(FROM).into_iter().flat_map(|all| all.split(' '))
}

#[cfg(test)]
mod tests;
