//! Layers and images which are made here, not got from elsewhere.
//!
//! Runs in: an ordinary process of the user, or root of a user namespace.

use super::layout::{CONFIG, Descriptor, LAYER, MANIFEST, Manifest, check_count};
use super::{Added, FILES, Image, Parts, Store, Wanted};
use crate::digest::Digest;
use crate::layer::{self, Limits, Packed, What};
use crate::reference::Reference;
use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::Read;
use std::os::fd::AsFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// Of an image that is to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Layer {
    pub(crate) descriptor: Descriptor,
    /// Of the archive inside.
    pub(crate) diff_id: Digest,
}

impl Layer {
    /// What to take away again where no image came of it.
    pub(crate) fn parts(&self) -> Parts {
        let (blob, layer) = (self.descriptor.digest.clone(), self.diff_id.clone());
        Parts { blobs: BTreeSet::from([blob]), layers: BTreeSet::from([layer]) }
    }
}

/// A directory in which overlayfs has written what differs from the layers below.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Changes<'a> {
    /// Its owner gives it away: it is renamed, or useless afterwards. It lies in the store's file
    /// system, and no overlay that is mounted has it.
    Given(&'a Path),
    /// It stays as it is. A container may be writing there.
    Kept(&'a Path),
}

impl Store<'_> {
    /// Makes a layer of changes; `None` when there are none. No time in it is after `latest`, in
    /// seconds since 1970. Until an image has it, `system prune` takes it for rubbish.
    pub(crate) fn add_layer(
        &self,
        changes: Changes<'_>,
        latest: Option<i64>,
    ) -> Result<Option<Layer>> {
        let (from, what) = match changes {
            Changes::Given(from) => (from, What::Layer),
            Changes::Kept(from) => (from, What::Changes),
        };
        let scratch = self.scratch()?;
        let files = File::open(from).with_context(|| from.display().to_string())?;
        let spool = Self::spool(&scratch, "blob")?;
        let packed = layer::pack(files.as_fd(), spool, what, latest).context("make a layer")?;
        let Packed { blob, diff_id, written } = packed;
        if written.entries == 0 {
            return Ok(None);
        }
        let (digest, size) = blob.finish();
        let file = scratch.path().join("blob");
        match changes {
            Changes::Given(_) if self.has_layer(&diff_id) => {}
            Changes::Given(from) => {
                let layer = scratch.path().join("layer");
                let made = DirBuilder::new().mode(0o700).create(&layer);
                made.with_context(|| layer.display().to_string())?;
                fs::rename(from, layer.join(FILES))
                    .with_context(|| format!("rename({}, …)", from.display()))?;
                self.keep_layer(&layer, written.size, &diff_id)?;
            }
            // What the archive has is the truth about files that change.
            Changes::Kept(_) => {
                let wanted = Wanted { blob: Some(digest.clone()), diff_id: diff_id.clone() };
                let blob = File::open(&file).with_context(|| file.display().to_string())?;
                self.unpack(blob, &wanted, &Limits::default())?;
            }
        }
        self.keep(&file, &digest)?;
        let descriptor = Descriptor::of(&format!("{LAYER}+gzip"), digest, size);
        Ok(Some(Layer { descriptor, diff_id }))
    }

    /// Makes a layer of an archive of files, which may be compressed.
    pub(crate) fn add_archive(&self, input: impl Read + Send) -> Result<Layer> {
        let scratch = self.scratch()?;
        let (spool, diff_id) = layer::repack(input, Self::spool(&scratch, "blob")?)?;
        let (digest, size) = spool.finish();
        let file = scratch.path().join("blob");
        let wanted = Wanted { blob: Some(digest.clone()), diff_id: diff_id.clone() };
        let blob = File::open(&file).with_context(|| file.display().to_string())?;
        self.unpack(blob, &wanted, &Limits::default())?;
        self.keep(&file, &digest)?;
        let descriptor = Descriptor::of(&format!("{LAYER}+gzip"), digest, size);
        Ok(Layer { descriptor, diff_id })
    }

    /// The layers of an image, for one that is to be made from it.
    pub(crate) fn layers_of(&self, image: &Image) -> Result<Vec<Layer>> {
        let (manifest, _) = self.manifest(image)?;
        let diff_ids = image.diff_ids()?;
        ensure!(manifest.layers.len() == diff_ids.len(), "image {}: damaged", image.id);
        let layers = manifest.layers.into_iter().zip(diff_ids).map(|(descriptor, diff_id)| {
            let media_type = oci_type(&descriptor.media_type).to_owned();
            Layer { descriptor: Descriptor { media_type, ..descriptor }, diff_id }
        });
        Ok(layers.collect())
    }

    /// Makes an image of layers that are in the store, the lowest first. The configuration is
    /// Docker's with all that it knows; the digests of the layers are written into it here.
    pub(crate) fn add_image(
        &self,
        mut config: Value,
        layers: &[Layer],
        names: &[Reference],
    ) -> Result<Image> {
        check_count(layers.len())?;
        let diff_ids: Vec<&Digest> = layers.iter().map(|layer| &layer.diff_id).collect();
        let fields = config.as_object_mut().context("image configuration: not an object")?;
        fields.insert("rootfs".to_owned(), json!({"type": "layers", "diff_ids": diff_ids}));
        let config = self.put(&serde_json::to_vec(&config).context("image configuration")?)?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            config: Descriptor { media_type: CONFIG.to_owned(), ..config },
            layers: layers.iter().map(|layer| layer.descriptor.clone()).collect(),
            other: Map::new(),
        };
        let manifest = serde_json::to_vec(&manifest).context("image manifest")?;
        self.add(&Added { manifest: &manifest, media_type: MANIFEST, names, digests: &[] })
    }
}

/// The history of an image, for one that is to be made from it: with an entry for each layer, which
/// other programs rely on.
pub(crate) fn history_of(raw: &Value) -> Vec<Value> {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let mut history = list(raw.get("history"));
    let layers = list(raw.pointer("/rootfs/diff_ids")).len();
    let has_layer = |entry: &&Value| entry.get("empty_layer") != Some(&Value::Bool(true));
    let told = history.iter().filter(has_layer).count();
    let missing = (told..layers).map(|_| json!({ "created_by": "" }));
    history.extend(missing);
    history
}

/// That of an OCI manifest, for the same bytes.
fn oci_type(media_type: &str) -> &str {
    match media_type {
        "application/vnd.docker.image.rootfs.diff.tar" => LAYER,
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
            "application/vnd.oci.image.layer.v1.tar+gzip"
        }
        "application/vnd.docker.image.rootfs.diff.tar.zstd" => {
            "application/vnd.oci.image.layer.v1.tar+zstd"
        }
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => {
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
        }
        other => other,
    }
}
