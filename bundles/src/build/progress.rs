//! What a build tells while it goes on: as plain lines, or on a terminal with what goes on at its
//! end. All on standard error.
//!
//! Runs in: the main thread, which holds the lock of standard error. The stages send what happens.

use crate::cli::build::Progress as Wanted;
use crate::error::plain;
use crate::screen::Screen;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Between two looks at the time that a step has taken.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// Of the output of a step in bytes: what is shown when it fails and nobody has seen it.
const TAIL: usize = 64 << 10;

#[derive(Debug)]
pub(crate) enum Event {
    Begun { step: usize, title: String },
    Output { step: usize, bytes: Vec<u8> },
    Cached { step: usize, title: String },
    Done { step: usize },
    Failed { step: usize },
}

pub(crate) struct Progress {
    look: Look,
    steps: BTreeMap<usize, Running>,
}

enum Look {
    Quiet,
    Plain,
    Terminal(MultiProgress),
}

struct Running {
    title: String,
    begun: Instant,
    /// A line that has no end yet.
    line: Vec<u8>,
    /// The end of its output.
    tail: Vec<u8>,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(quiet: bool, wanted: Wanted) -> Self {
        let screen = MultiProgress::new();
        let look = match wanted {
            _ if quiet => Look::Quiet,
            Wanted::Quiet => Look::Quiet,
            Wanted::Plain | Wanted::Rawjson => Look::Plain,
            Wanted::Auto | Wanted::Tty if !screen.is_hidden() => Look::Terminal(screen),
            Wanted::Auto | Wanted::Tty => Look::Plain,
        };
        Self { look, steps: BTreeMap::new() }
    }

    pub(crate) fn note(&self, screen: &mut Screen<'_>, text: &str) {
        match &self.look {
            Look::Quiet => {}
            Look::Plain => screen.note(&format!("{text}\n")),
            Look::Terminal(bars) => bars.println(text).unwrap_or_default(), // nobody may look
        }
    }

    pub(crate) fn show(&mut self, screen: &mut Screen<'_>, event: Event) {
        match event {
            Event::Begun { step, title } => self.begin(screen, step, title),
            Event::Output { step, bytes } => self.output(screen, step, &bytes),
            Event::Cached { step, title } => self.note(
                screen,
                &match &self.look {
                    Look::Plain => format!("#{step} {}\n#{step} CACHED\n", plain(&title)),
                    Look::Quiet | Look::Terminal(_) => format!(" => CACHED {}", plain(&title)),
                },
            ),
            Event::Done { step } => self.end(screen, step, false),
            Event::Failed { step } => self.end(screen, step, true),
        }
    }

    /// Time has passed. A thread of the bars' own would wait for standard error for ever.
    pub(crate) fn tick(&self) {
        for bar in self.steps.values().filter_map(|running| running.bar.as_ref()) {
            bar.tick();
        }
    }

    fn begin(&mut self, screen: &mut Screen<'_>, step: usize, title: String) {
        let title = plain(&title);
        let bar = match &self.look {
            Look::Terminal(bars) => {
                let bar = bars.add(ProgressBar::new_spinner());
                let style =
                    ProgressStyle::with_template(" => {prefix:.bold} {elapsed} {wide_msg:.dim}");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                bar.set_prefix(title.clone());
                bar.tick();
                Some(bar)
            }
            Look::Plain => {
                screen.note(&format!("#{step} {title}\n"));
                None
            }
            Look::Quiet => None,
        };
        let running =
            Running { title, begun: Instant::now(), line: Vec::new(), tail: Vec::new(), bar };
        self.steps.insert(step, running);
    }

    fn output(&mut self, screen: &mut Screen<'_>, step: usize, bytes: &[u8]) {
        let Some(running) = self.steps.get_mut(&step) else { return };
        running.tail.extend(bytes);
        let much = running.tail.len().saturating_sub(TAIL);
        running.tail.drain(..much);
        running.line.extend(bytes);
        let Some(end) = running.line.iter().rposition(|byte| *byte == b'\n') else { return };
        let rest = running.line.split_off(end + 1);
        let whole = std::mem::replace(&mut running.line, rest);
        let text = String::from_utf8_lossy(&whole);
        let since = running.begun.elapsed().as_secs_f64();
        match (&self.look, &running.bar) {
            (Look::Plain, _) => {
                let lines =
                    text.lines().map(|line| format!("#{step} {since:.3} {}\n", shown(line)));
                screen.note(&lines.collect::<String>());
            }
            (_, Some(bar)) => bar.set_message(shown(text.lines().last().unwrap_or_default())),
            _ => {}
        }
    }

    fn end(&mut self, screen: &mut Screen<'_>, step: usize, failed: bool) {
        let Some(running) = self.steps.remove(&step) else { return };
        let seconds = running.begun.elapsed().as_secs_f64();
        let rest = String::from_utf8_lossy(&running.line).into_owned();
        if let Some(bar) = &running.bar {
            bar.finish_and_clear();
        }
        let is_plain = matches!(self.look, Look::Plain);
        if is_plain && !rest.is_empty() {
            screen.note(&format!("#{step} {seconds:.3} {}\n", shown(&rest)));
        }
        match (is_plain, failed) {
            (true, false) => screen.note(&format!("#{step} DONE {seconds:.1}s\n\n")),
            (true, true) => screen.note(&format!("#{step} ERROR\n\n")),
            (false, false) => self.note(screen, &format!(" => {} {seconds:.1}s", running.title)),
            (false, true) => {
                // Nobody has seen it, and it says why.
                if let Look::Terminal(bars) = &self.look {
                    bars.clear().ok(); // the lines below are what counts
                }
                let tail = String::from_utf8_lossy(&running.tail);
                let tail: String = tail.lines().map(|line| format!("{}\n", shown(line))).collect();
                screen.note(&format!(" => ERROR {}\n------\n{tail}------\n", running.title));
            }
        }
    }
}

/// A line without what would move the cursor; of what overwrote itself, the last.
fn shown(line: &str) -> String {
    let line = line.trim_end_matches('\r');
    plain(line.rsplit('\r').next().unwrap_or_default()).replace("\\t", "\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(quiet: bool, events: Vec<Event>) -> String {
        let (mut input, mut out, mut err) = (std::io::empty(), Vec::new(), Vec::new());
        let mut screen = Screen { input: &mut input, out: &mut out, err: &mut err };
        let mut progress = Progress::new(quiet, Wanted::Plain);
        for event in events {
            progress.show(&mut screen, event);
        }
        String::from_utf8(err).unwrap()
    }

    fn events(failed: bool) -> Vec<Event> {
        let output = |bytes: &[u8]| Event::Output { step: 2, bytes: bytes.to_vec() };
        vec![
            Event::Cached { step: 1, title: "[1/2] FROM a".into() },
            Event::Begun { step: 2, title: "[2/2] RUN x".into() },
            output(b"one\ntw"),
            output(b"o\n\x1b[2Jthree\r 50%\r100%"),
            if failed { Event::Failed { step: 2 } } else { Event::Done { step: 2 } },
        ]
    }

    #[test]
    fn plain_lines_are_whole() {
        let text = told(false, events(false));
        assert!(text.starts_with("#1 [1/2] FROM a\n#1 CACHED\n\n#2 [2/2] RUN x\n#2 0.0"), "{text}");
        assert!(text.contains(" one\n") && text.contains(" two\n"), "{text}");
        assert!(text.contains(" 100%\n#2 DONE 0."), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn quiet_one_shows_what_a_failed_step_has_said() {
        assert_eq!(told(true, events(false)), "");
        let text = told(true, events(true));
        assert_eq!(text, " => ERROR [2/2] RUN x\n------\none\ntwo\n100%\n------\n");
    }
}
