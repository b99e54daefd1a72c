//! Taking images away, with the blobs and layers that no other image has.
//!
//! Runs in: an ordinary process of the user, the owner of the store.
//!
//! index.json changes first, so a process that is killed later leaves files which nothing names,
//! and never an image without its files.

use super::image::find;
use super::layout::{Index, Manifest};
use super::{Image, Store, untag};
use crate::digest::Digest;
use crate::error::OrHint as _;
use crate::events::{self, Event};
use crate::fmt;
use crate::home::{Discarded, entries};
use crate::reference::Reference;
use crate::tree;
use anyhow::{Result, anyhow};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What an image is made of.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) blobs: BTreeSet<Digest>,
    /// By the digests of their archives.
    pub(crate) layers: BTreeSet<Digest>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) untagged: Vec<Reference>,
    pub(crate) deleted: Vec<Digest>,
}

impl Store<'_> {
    /// Takes a name off, or the image away with its last name. `user` says what keeps an image: the
    /// container that uses it.
    pub(crate) fn remove(
        &self,
        text: &str,
        force: bool,
        user: impl Fn(&Image) -> Result<Option<String>>,
    ) -> Result<Removed> {
        let lock = self.lock()?;
        let images = self.read_all()?;
        let image = find(&images, text)?;
        let mut index = self.index()?;
        let name = Reference::parse(text).ok().map(Reference::tagged);
        let name = name.filter(|name| image.names.contains(name));
        if let Some(name) = name.filter(|_| image.names.len() > 1) {
            untag(&mut index, &name.to_string());
            self.write_index(&index)?;
            self.note_removal(&image.id, std::slice::from_ref(&name), &[]);
            return Ok(Removed { untagged: vec![name], deleted: Vec::new() });
        }
        let names: Vec<String> = image.names.iter().map(Reference::familiar).collect();
        if names.len() > 1 && !force {
            let id = fmt::short_id(image.id.hex());
            return Err(anyhow!("image {id}: has {} names: {}", names.len(), names.join(", ")))
                .hint("remove it name by name, or with all of them: bundles rmi -f");
        }
        if let Some(container) = user(image)? {
            return Err(anyhow!("image {text}: used by container {container}"))
                .hint(format!("remove the container first: bundles rm {container}"));
        }
        let parts = self.parts(&index, |one| one == &image.id)?;
        index.manifests.retain(|one| !parts.blobs.contains(&one.digest));
        self.write_index(&index)?;
        let rubbish = self.collect(&index, &parts)?;
        drop(lock);
        self.note_removal(&image.id, &image.names, &["delete"]);
        drop(rubbish); // may take long
        Ok(Removed { untagged: image.names.clone(), deleted: vec![image.id.clone()] })
    }

    fn note_removal(&self, id: &Digest, names: &[Reference], further: &[&str]) {
        let id = id.to_string();
        let untagged = names.iter().map(|name| Event::image(&id, "untag", &name.familiar()));
        let further = further.iter().map(|action| Event::image(&id, action, &id));
        events::note_all(self.home, untagged.chain(further).collect());
    }

    /// Removes what a failed attempt has put into the store, as far as no image has it.
    pub(crate) fn discard(&self, parts: &Parts) -> Result<()> {
        let lock = self.lock()?;
        let rubbish = self.collect(&self.index()?, parts)?;
        drop(lock);
        drop(rubbish);
        Ok(())
    }

    /// Removes blobs and layers which no image has: those of interrupted commands. A command that
    /// is about to make an image of them has to start again. Returns the bytes on disk.
    pub(crate) fn sweep(&self) -> Result<u64> {
        let lock = self.lock()?;
        let parts = Parts { blobs: digests(&self.blobs)?, layers: digests(&self.layers)? };
        let rubbish = self.collect(&self.index()?, &parts)?;
        drop(lock);
        rubbish.into_iter().map(Discarded::remove).sum()
    }

    /// On the disk: what the images take that are used, and what only the others have.
    pub(crate) fn bytes(&self, is_used: impl Fn(&Digest) -> bool) -> Result<(u64, u64)> {
        let index = self.index()?;
        let (used, all) = (self.parts(&index, is_used)?, self.parts(&index, |_| true)?);
        let others = Parts {
            blobs: all.blobs.difference(&used.blobs).cloned().collect(),
            layers: all.layers.difference(&used.layers).cloned().collect(),
        };
        Ok((self.bytes_of(&used)?, self.bytes_of(&others)?))
    }

    pub(super) fn bytes_of(&self, parts: &Parts) -> Result<u64> {
        let blobs = parts.blobs.iter().map(|blob| self.blob(blob)).filter(|path| path.exists());
        let layers = parts.layers.iter().map(|layer| self.layers.join(layer.hex()));
        blobs.chain(layers).map(|path| tree::usage(&path)).sum()
    }

    /// Of all images whose id is wanted.
    pub(super) fn parts(&self, index: &Index, wanted: impl Fn(&Digest) -> bool) -> Result<Parts> {
        let mut parts = Parts::default();
        for descriptor in &index.manifests {
            let image = self.read_image(&descriptor.digest)?;
            if wanted(&image.id) {
                let manifest = Manifest::parse(&self.read_json(&descriptor.digest)?)?;
                parts.blobs.insert(descriptor.digest.clone());
                parts.blobs.insert(manifest.config.digest);
                parts.blobs.extend(manifest.layers.into_iter().map(|layer| layer.digest));
                parts.layers.extend(image.diff_ids()?);
            }
        }
        Ok(parts)
    }

    /// With the lock held. A layer leaves its name as a whole; its files go with the result.
    fn collect(&self, index: &Index, parts: &Parts) -> Result<Vec<Discarded>> {
        let mut used = self.parts(index, |_| true)?;
        let kept = self.parts_of_steps()?;
        used.blobs.extend(kept.blobs);
        used.layers.extend(kept.layers);
        let mut rubbish = Vec::new();
        for layer in parts.layers.difference(&used.layers).filter(|layer| self.has_layer(layer)) {
            rubbish.push(self.home.discard(&self.layers.join(layer.hex()))?);
        }
        for blob in parts.blobs.difference(&used.blobs).map(|blob| self.blob(blob)) {
            if blob.exists() {
                rubbish.push(self.home.discard(&blob)?);
            }
        }
        Ok(rubbish)
    }
}

/// What has a digest as its name.
fn digests(directory: &Path) -> Result<BTreeSet<Digest>> {
    let digest = |path: &PathBuf| format!("sha256:{}", path.file_name()?.to_str()?).parse().ok();
    Ok(entries(directory)?.iter().filter_map(digest).collect())
}
