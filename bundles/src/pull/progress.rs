//! How far the layers are: bars on a terminal that can show them, one line a layer elsewhere. All on
//! standard error.
//!
//! Runs in: the main thread only, which holds the lock of standard error: a bar that another
//! thread moves would wait for that for ever.

use super::layers::{Layer, Outcome};
use crate::fmt;
use crate::screen::Screen;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;

pub(super) struct Progress {
    quiet: bool,
    bars: Option<Bars>,
}

struct Bars {
    screen: MultiProgress,
    /// By the digest of the layer.
    bars: BTreeMap<String, ProgressBar>,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        let screen = MultiProgress::new();
        let shows = !quiet && !screen.is_hidden();
        Self { quiet, bars: shows.then(|| Bars { screen, bars: BTreeMap::new() }) }
    }

    /// Whether anybody wants to know how many bytes there are.
    pub(super) fn has_bars(&self) -> bool {
        self.bars.is_some()
    }

    pub(super) fn say(&self, screen: &mut Screen<'_>, text: &str) {
        match &self.bars {
            _ if self.quiet => {}
            Some(bars) => bars.screen.println(text).unwrap_or_default(), // nobody may look
            None => screen.note(&format!("{text}\n")),
        }
    }

    /// So many bytes of a layer are there.
    pub(super) fn came(&mut self, layer: &Layer, bytes: u64) {
        if let Some(Bars { screen, bars }) = &mut self.bars {
            let name = layer.blob.to_string();
            bars.entry(name).or_insert_with(|| screen.add(bar(layer))).set_position(bytes);
        }
    }

    pub(super) fn done(&mut self, screen: &mut Screen<'_>, layer: &Layer, outcome: Outcome) {
        self.clear(layer);
        let what = match outcome {
            Outcome::Pulled => format!("Pull complete {}", fmt::size(layer.size)),
            Outcome::WasThere => "Already exists".to_owned(),
        };
        self.say(screen, &format!("{}: {what}", fmt::short_id(layer.blob.hex())));
    }

    /// Takes the bar away: what is said next stands where it was.
    pub(super) fn clear(&mut self, layer: &Layer) {
        if let Some(all) = &mut self.bars
            && let Some(bar) = all.bars.remove(&layer.blob.to_string())
        {
            bar.finish_and_clear();
            all.screen.remove(&bar);
        }
    }
}

fn bar(layer: &Layer) -> ProgressBar {
    let bar = ProgressBar::no_length();
    bar.set_length(layer.size);
    let look = "{prefix}: [{bar:40}] {bytes}/{total_bytes} {bytes_per_sec}";
    if let Ok(style) = ProgressStyle::with_template(look) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.with_prefix(fmt::short_id(layer.blob.hex()).to_owned())
}
