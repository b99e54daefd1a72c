//! The layers of an image: each on its own, several at once.
//!
//! Runs in: threads, started and joined here.

use super::is_of_this_machine;
use super::progress::Progress;
use crate::digest::Digest;
use crate::error;
use crate::layer::Limits;
use crate::registry::{Download, Session};
use crate::screen::Screen;
use crate::store::layout::Manifest;
use crate::store::{Store, Wanted};
use anyhow::{Context as _, Result};
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Layers that come at a time. More do not come faster, and registries count connections.
const AT_ONCE: usize = 4;

pub(super) struct Layer {
    pub(super) blob: Digest,
    /// Of the blob, in bytes.
    pub(super) size: u64,
    pub(super) diff_id: Digest,
}

/// What has become of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Pulled,
    WasThere,
}

impl Layer {
    /// Each one once: an empty layer often comes again.
    pub(super) fn all(manifest: &Manifest, diff_ids: Vec<Digest>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for (layer, diff_id) in manifest.layers.iter().zip(diff_ids) {
            let blob = layer.digest.clone();
            if !all.iter().any(|one| one.blob == blob && one.diff_id == diff_id) {
                all.push(Self { blob, size: layer.size, diff_id });
            }
        }
        all
    }
}

/// What a thread tells of a layer.
enum News {
    Came(u64),
    Ended(Result<Outcome>),
}

/// Returns when all are there, or when none goes on after the first error.
pub(super) fn pull(
    store: &Store<'_>,
    session: &Session,
    layers: &[Layer],
    progress: &mut Progress,
    screen: &mut Screen<'_>,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let (sender, all_news) = mpsc::channel();
    let wants_bytes = progress.has_bars();
    let work = |sender: mpsc::Sender<(usize, News)>| {
        while let Some((number, layer)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, layers.get(at)?)))
        {
            let came = |bytes| {
                if wants_bytes {
                    sender.send((number, News::Came(bytes))).ok(); // somebody listens to the end
                }
            };
            let result = one(store, session, layer, &came);
            if result.is_err() {
                session.stop();
            }
            if sender.send((number, News::Ended(result))).is_err() || session.is_stopped() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..layers.len().min(AT_ONCE) {
            let sender = sender.clone();
            let work = &work;
            let started = thread::Builder::new().spawn_scoped(scope, move || work(sender));
            started.context("start a thread")?;
        }
        drop(sender); // the threads' own are the last ones
        let mut first = Ok(());
        for (number, news) in all_news {
            let layer = layers.get(number).context("internal error, please report")?;
            match news {
                News::Came(bytes) => progress.came(layer, bytes),
                News::Ended(Ok(outcome)) => progress.done(screen, layer, outcome),
                News::Ended(Err(err)) => {
                    progress.clear(layer);
                    // Others say later that they were stopped.
                    first = first.and(Err(err));
                }
            }
        }
        first
    })
    .inspect_err(|err| {
        if error::is_full(err) {
            layers.iter().for_each(|layer| give_back(store, layer));
        }
    })
}

/// What has come of a layer is of no use on a full disk.
fn give_back(store: &Store<'_>, layer: &Layer) {
    if let Ok(partial) = store.partial(&layer.blob) {
        partial.done();
    }
}

fn one(
    store: &Store<'_>,
    session: &Session,
    layer: &Layer,
    came: &(dyn Fn(u64) + Sync),
) -> Result<Outcome> {
    let Layer { blob, size, diff_id } = layer;
    let kept = store.blob(blob);
    let is_there = || kept.exists() && store.has_layer(diff_id);
    if is_there() {
        return Ok(Outcome::WasThere);
    }
    let partial = store.partial(blob)?;
    // Another command may have pulled it while we waited for it.
    if is_there() {
        partial.done();
        return Ok(Outcome::WasThere);
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
