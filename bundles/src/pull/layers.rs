//! The layers of an image: from the registry to the store.
//!
//! Runs in: threads, one for each layer that is coming.

use super::is_of_this_machine;
use crate::digest::Digest;
use crate::error;
use crate::layer::Limits;
use crate::registry::{Download, Session};
use crate::screen::Screen;
use crate::store::layout::Manifest;
use crate::store::{Store, Wanted};
use crate::transfer::{self, Blob, Outcome, Progress};
use anyhow::{Context as _, Result};
use std::fs::File;

pub(super) struct Layer {
    pub(super) blob: Blob,
    pub(super) diff_id: Digest,
}

impl AsRef<Blob> for Layer {
    fn as_ref(&self) -> &Blob {
        &self.blob
    }
}

impl Layer {
    /// Each one once: an empty layer often comes again.
    pub(super) fn all(manifest: &Manifest, diff_ids: Vec<Digest>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for (layer, diff_id) in manifest.layers.iter().zip(diff_ids) {
            let blob = Blob { digest: layer.digest.clone(), size: layer.size };
            if !all.iter().any(|one| one.blob.digest == blob.digest && one.diff_id == diff_id) {
                all.push(Self { blob, diff_id });
            }
        }
        all
    }
}

/// Returns when all are there, or when none goes on after the first error.
pub(super) fn pull(
    store: &Store<'_>,
    session: &Session,
    layers: &[Layer],
    progress: &mut Progress,
    screen: &mut Screen<'_>,
) -> Result<()> {
    let one = |layer: &Layer, came: &(dyn Fn(u64) + Sync)| one(store, session, layer, came);
    transfer::all(session, layers, progress, screen, one).inspect_err(|err| {
        if error::is_full(err) {
            layers.iter().for_each(|layer| give_back(store, layer));
        }
    })
}

/// What has come of a layer is of no use on a full disk.
fn give_back(store: &Store<'_>, layer: &Layer) {
    if let Ok(partial) = store.partial(&layer.blob.digest) {
        partial.done();
    }
}

fn one(
    store: &Store<'_>,
    session: &Session,
    layer: &Layer,
    came: &(dyn Fn(u64) + Sync),
) -> Result<Outcome> {
    let Layer { blob: Blob { digest: blob, size }, diff_id } = layer;
    let kept = store.blob(blob);
    let is_there = || kept.exists() && store.has_layer(diff_id);
    if is_there() {
        return Ok(Outcome::WasHere);
    }
    let partial = store.partial(blob)?;
    // Another command may have pulled it while we waited for it.
    if is_there() {
        partial.done();
        return Ok(Outcome::WasHere);
    }
    let wanted = Wanted { blob: Some(blob.clone()), diff_id: diff_id.clone() };
    let limits = Limits::default();
    if kept.exists() {
        let file = File::open(&kept).with_context(|| kept.display().to_string())?;
        store.unpack(file, &wanted, &limits)?;
        partial.done();
        return Ok(Outcome::Pulled);
    }
    let path = partial.path().join("blob");
    let mut download = Download::new(session, (blob, *size), &path, came)?;
    let unpacked = store.unpack(&mut download, &wanted, &limits);
    match (unpacked, download.failure()) {
        (Ok(_), None) => {}
        // What has come stays for the next attempt.
        (_, Some(err)) => return Err(err.context(format!("layer {blob}"))),
        (Err(err), None) => {
            if !is_of_this_machine(&err) {
                partial.done();
            }
            return Err(err);
        }
    }
    store.keep(&path, blob)?;
    partial.done();
    Ok(Outcome::Pulled)
}
