//! How far the layers are: bars on a terminal, one line a layer elsewhere. All on standard error.
//!
//! Runs in: the threads of the layers move the bars; lines are written by the main thread only.

use super::layers::{Layer, Outcome};
use crate::fmt;
use crate::screen::Screen;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::sync::Mutex;

pub(super) struct Progress {
    quiet: bool,
    bars: Option<Bars>,
}

struct Bars {
    screen: MultiProgress,
    /// By the digest of the layer.
    bars: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        let terminal = !quiet && io::stderr().is_terminal();
        let bars = || Bars { screen: MultiProgress::new(), bars: Mutex::default() };
        Self { quiet, bars: terminal.then(bars) }
    }

    pub(super) fn say(&self, screen: &mut Screen<'_>, text: &str) {
        match &self.bars {
            _ if self.quiet => {}
            Some(bars) => bars.screen.println(text).unwrap_or_default(), // nobody may look
            None => screen.note(&format!("{text}\n")),
        }
    }

    /// So many bytes of a layer are there.
    pub(super) fn came(&self, layer: &Layer, bytes: u64) {
        let Some(all) = &self.bars else { return };
        let Ok(mut bars) = all.bars.lock() else { return };
        let name = layer.blob.to_string();
        let bar = bars.entry(name).or_insert_with(|| all.screen.add(bar(layer)));
        bar.set_position(bytes);
    }

    pub(super) fn done(&self, screen: &mut Screen<'_>, layer: &Layer, outcome: Outcome) {
        if let Some(all) = &self.bars
            && let Ok(mut bars) = all.bars.lock()
            && let Some(bar) = bars.remove(&layer.blob.to_string())
        {
            bar.finish_and_clear();
            all.screen.remove(&bar);
        }
        let what = match outcome {
            Outcome::Pulled => format!("Pull complete {}", fmt::size(layer.size)),
            Outcome::WasThere => "Already exists".to_owned(),
        };
        self.say(screen, &format!("{}: {what}", fmt::short_id(layer.blob.hex())));
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
