//! Blobs between a registry and the store: each on its own, several at once.
//!
//! Runs in: threads, started and joined here.

mod progress;

pub(crate) use progress::Progress;

use crate::digest::Digest;
use crate::registry::Session;
use crate::screen::Screen;
use anyhow::{Context as _, Result};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Blobs that go at a time. More do not go faster, and registries count connections.
const AT_ONCE: usize = 4;

#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    /// In bytes.
    pub(crate) size: u64,
}

impl AsRef<Self> for Blob {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// What has become of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Pulled,
    /// In the store.
    WasHere,
    Pushed,
    /// From another repository of the registry.
    Mounted(String),
    /// In the registry.
    WasThere,
}

/// What a thread tells of a blob.
enum News {
    Moved(u64),
    Ended(Result<Outcome>),
}

/// Calls `one` for each, with a function that is told how many bytes have moved. Returns when all are
/// done, or when none goes on after the first error.
pub(crate) fn all<T: AsRef<Blob> + Sync>(
    session: &Session,
    things: &[T],
    progress: &mut Progress,
    screen: &mut Screen<'_>,
    one: impl Fn(&T, &(dyn Fn(u64) + Sync)) -> Result<Outcome> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let (sender, all_news) = mpsc::channel();
    let wants_bytes = progress.has_bars();
    let work = |sender: mpsc::Sender<(usize, News)>| {
        while let Some((number, thing)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, things.get(at)?)))
        {
            let moved = |bytes| {
                if wants_bytes {
                    sender.send((number, News::Moved(bytes))).ok(); // somebody listens to the end
                }
            };
            let result = one(thing, &moved);
            if result.is_err() {
                session.stop();
            }
            if sender.send((number, News::Ended(result))).is_err() || session.is_stopped() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..things.len().min(AT_ONCE) {
            let sender = sender.clone();
            let work = &work;
            let started = thread::Builder::new().spawn_scoped(scope, move || work(sender));
            started.context("start a thread")?;
        }
        drop(sender); // the threads' own are the last ones
        let mut first = Ok(());
        for (number, news) in all_news {
            let blob = things.get(number).context("internal error, please report")?.as_ref();
            match news {
                News::Moved(bytes) => progress.moved(blob, bytes),
                News::Ended(Ok(outcome)) => progress.done(screen, blob, &outcome),
                News::Ended(Err(err)) => {
                    progress.clear(blob);
                    // Others say later that they were stopped.
                    first = first.and(Err(err));
                }
            }
        }
        first
    })
}
