//! What the steps of builds have made, by what they made it from: the next build need not do it again.
//!
//! Runs in: an ordinary process of the user. Privilege: none.
//!
//! A step is one file, written whole, whose name is the digest of all that decides what comes of it.
//! Layers that only a step has are kept until `builder prune` or `system prune` forgets it.

use super::remove::Parts;
use super::{Layer, Store};
use crate::digest::Digest;
use crate::home::{self, entries};
use crate::tree;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::PathBuf;

/// Below the home.
const STEPS: &str = "build/steps";
/// The directories of `RUN --mount=type=cache`.
const CACHES: &str = "build/caches";

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    /// In the form of RFC 3339.
    pub(crate) created: String,
    /// `None` when it has changed no file.
    pub(crate) layer: Option<Layer>,
    /// Another name of it: that of what its files contain.
    pub(crate) content: Option<Digest>,
}

/// How much there is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) steps: usize,
    /// Of layers that no image has, and of the directories of `RUN --mount=type=cache`.
    pub(crate) bytes: u64,
}

impl Store<'_> {
    /// `None` when it is not known, or when what it has made is not here any more.
    pub(crate) fn step(&self, key: &Digest) -> Option<Step> {
        let step: Step = serde_json::from_slice(&fs::read(self.step_file(key).ok()?).ok()?).ok()?;
        let is_there = |layer: &Layer| {
            self.has_layer(&layer.diff_id) && self.blob(&layer.descriptor.digest).exists()
        };
        step.layer.as_ref().is_none_or(is_there).then_some(step)
    }

    pub(crate) fn keep_step(&self, key: &Digest, step: &Step) -> Result<()> {
        let file = self.step_file(key)?;
        let text = serde_json::to_vec(step).context("internal error, please report: step")?;
        let scratch = self.scratch()?;
        let whole = scratch.path().join("step");
        // Not worth waiting for the disk: a step that is lost, or half there, is done again.
        home::write(&whole, &text).with_context(|| whole.display().to_string())?;
        fs::rename(&whole, &file).with_context(|| format!("rename(…, {})", file.display()))
    }

    fn step_file(&self, key: &Digest) -> Result<PathBuf> {
        Ok(self.home.directory(STEPS)?.join(key.hex()))
    }

    /// The directory of `RUN --mount=type=cache` with this name, which may be missing.
    pub(crate) fn cache(&self, name: &str) -> Result<PathBuf> {
        Ok(self.home.directory(CACHES)?.join(Digest::of(name.as_bytes()).hex()))
    }

    /// What must not go with an image.
    pub(super) fn parts_of_steps(&self) -> Result<Parts> {
        let mut parts = Parts::default();
        if !self.home.has(STEPS) {
            return Ok(parts);
        }
        for file in entries(&self.home.directory(STEPS)?)? {
            let Some(layer) = read(&file)?.and_then(|step| step.layer) else { continue };
            parts.blobs.insert(layer.descriptor.digest);
            parts.layers.insert(layer.diff_id);
        }
        Ok(parts)
    }

    /// What builds have left behind for the next ones.
    pub(crate) fn kept(&self) -> Result<Kept> {
        if !self.home.has(STEPS) {
            return Ok(Kept::default());
        }
        let _lock = self.lock()?;
        let (all, used) = (self.parts_of_steps()?, self.parts(&self.index()?, |_| true)?);
        let only = Parts {
            blobs: all.blobs.difference(&used.blobs).cloned().collect(),
            layers: all.layers.difference(&used.layers).cloned().collect(),
        };
        let steps = entries(&self.home.directory(STEPS)?)?.len();
        let caches = tree::usage(&self.home.directory(CACHES)?)?;
        Ok(Kept { steps, bytes: self.bytes_of(&only)? + caches })
    }

    /// Forgets steps: those whose layers no image has, or all. The layers go with the next
    /// [`Store::sweep`]. Returns how many, and the bytes of the directories of caches.
    pub(crate) fn forget_steps(&self, all: bool) -> Result<Kept> {
        let mut kept = Kept::default();
        if !self.home.has(STEPS) {
            return Ok(kept);
        }
        let lock = self.lock()?;
        let used = self.parts(&self.index()?, |_| true)?;
        for file in entries(&self.home.directory(STEPS)?)? {
            let layer = read(&file)?.and_then(|step| step.layer);
            let is_used = layer.is_some_and(|layer| used.layers.contains(&layer.diff_id));
            if all || !is_used {
                drop(self.home.discard(&file)?);
                kept.steps += 1;
            }
        }
        drop(lock);
        for cache in entries(&self.home.directory(CACHES)?)? {
            let name = cache.file_name().unwrap_or_default().to_string_lossy();
            let _lock = self.home.lock(&format!("cache-{name}"))?;
            kept.bytes += self.home.discard(&cache)?.remove()?;
        }
        Ok(kept)
    }
}

/// `None` for one that has gone meanwhile, or that nobody could use.
fn read(file: &std::path::Path) -> Result<Option<Step>> {
    match fs::read(file) {
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err).with_context(|| file.display().to_string()),
    }
}
