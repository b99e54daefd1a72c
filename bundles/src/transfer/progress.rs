//! How far the blobs are: bars on a terminal that can show them, one line a blob elsewhere. All on
//! standard error.
//!
//! Runs in: the main thread only, which holds the lock of standard error: a bar that another
//! thread moves would wait for that for ever.

use super::{Blob, Outcome};
use crate::fmt;
use crate::screen::Screen;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;

pub(crate) struct Progress {
    quiet: bool,
    bars: Option<Bars>,
}

struct Bars {
    screen: MultiProgress,
    /// By the digest.
    bars: BTreeMap<String, ProgressBar>,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let screen = MultiProgress::new();
        let shows = !quiet && !screen.is_hidden();
        Self { quiet, bars: shows.then(|| Bars { screen, bars: BTreeMap::new() }) }
    }

    /// Whether anybody wants to know how many bytes there are.
    pub(crate) fn has_bars(&self) -> bool {
        self.bars.is_some()
    }

    pub(crate) fn say(&self, screen: &mut Screen<'_>, text: &str) {
        match &self.bars {
            _ if self.quiet => {}
            Some(bars) => bars.screen.println(text).unwrap_or_default(), // nobody may look
            None => screen.note(&format!("{text}\n")),
        }
    }

    /// So many bytes of a blob are where they are to be.
    pub(crate) fn moved(&mut self, blob: &Blob, bytes: u64) {
        if let Some(Bars { screen, bars }) = &mut self.bars {
            let name = blob.digest.to_string();
            bars.entry(name).or_insert_with(|| screen.add(bar(blob))).set_position(bytes);
        }
    }

    pub(crate) fn done(&mut self, screen: &mut Screen<'_>, blob: &Blob, outcome: &Outcome) {
        self.clear(blob);
        let what = match outcome {
            Outcome::Pulled => format!("Pull complete {}", fmt::size(blob.size)),
            Outcome::WasHere => "Already exists".to_owned(),
            Outcome::Pushed => format!("Pushed {}", fmt::size(blob.size)),
            Outcome::Mounted(from) => format!("Mounted from {from}"),
            Outcome::WasThere => "Layer already exists".to_owned(),
        };
        self.say(screen, &format!("{}: {what}", fmt::short_id(blob.digest.hex())));
    }

    /// Takes the bar away: what is said next stands where it was.
    pub(crate) fn clear(&mut self, blob: &Blob) {
        if let Some(all) = &mut self.bars
            && let Some(bar) = all.bars.remove(&blob.digest.to_string())
        {
            bar.finish_and_clear();
            all.screen.remove(&bar);
        }
    }
}

fn bar(blob: &Blob) -> ProgressBar {
    let bar = ProgressBar::no_length();
    bar.set_length(blob.size);
    let look = "{prefix}: [{bar:40}] {bytes}/{total_bytes} {bytes_per_sec}";
    if let Ok(style) = ProgressStyle::with_template(look) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.with_prefix(fmt::short_id(blob.digest.hex()).to_owned())
}
