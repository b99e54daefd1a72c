//! Figures that are counted rather than timed: memory, system calls, filter length, size.
//! Runs in: the driver.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::bundle::{self, Payload, Shape};
use crate::figures::Row;
use crate::lane::{Kind, Lane, Verb, path_text};
use crate::spawn::Command;
use crate::verbs::Bench;

/// Samples of each kind of memory figure.
const MEMORY_SAMPLES: usize = 5;

impl Bench {
    /// All counted figures, for the main lanes. A figure that cannot be had here becomes a note.
    pub(crate) fn facts(&mut self) {
        for position in 0..self.lanes.len() {
            for (rows, figures) in FACTS {
                let Some(lane) = self.lanes.get(position) else { continue };
                if lane.failure.is_some() || !self.wants(rows) {
                    continue;
                }
                let index = lane.index;
                match figures(self, lane) {
                    Ok(Outcome::Figures(found)) => {
                        for (row, figure) in found {
                            self.figures.add(row, index, figure);
                        }
                    }
                    Ok(Outcome::Skipped(why)) => {
                        let note = format!("{}: not measured: {why}.", keys(rows));
                        if !self.notes.contains(&note) {
                            self.notes.push(note);
                        }
                    }
                    Err(error) => {
                        let error = error.context(keys(rows));
                        self.fail(position, &error);
                    }
                }
            }
        }
    }
}

enum Outcome {
    Figures(Vec<(Row, f64)>),
    Skipped(&'static str),
}

type Fact = (&'static [Row], fn(&Bench, &Lane) -> Result<Outcome>);

const FACTS: &[Fact] = &[
    (&[Row::Rss], peak_rss),
    (&[Row::InitRss, Row::InitDirty], init_memory),
    (&[Row::MemoryLimit], smallest_memory_limit),
    (&[Row::Syscalls], system_calls),
    (&[Row::Bpf], filter_length),
    (&[Row::Size, Row::Libraries], program_file),
];

fn keys(rows: &[Row]) -> String {
    let keys: Vec<&str> = rows.iter().map(|row| row.key()).collect();
    keys.join(", ")
}

/// The largest RSS of the runtime and all that it waited for, from wait4(2). A small program starts
/// it, because Linux counts the memory of the starter in until execve.
fn peak_rss(bench: &Bench, lane: &Lane) -> Result<Outcome> {
    let Some(floor) = bench.floor() else { return Ok(Outcome::Skipped("needs --floor")) };
    let starter = [floor.runtime.path.as_str(), "rusage"];
    let run = Verb::Run(Payload::Nothing);
    let command = lane.wrapped_command(&bench.base, &starter, run, "small")?;
    let mut found = Vec::new();
    for _ in 0..MEMORY_SAMPLES {
        let text = command.output(&bench.outputs)?;
        let rss = text.lines().last().unwrap_or_default().trim();
        found.push((Row::Rss, rss.parse().with_context(|| format!("rusage said {text:?}"))?));
    }
    Ok(Outcome::Figures(found))
}

/// What the init of a created container costs while it waits for `start`.
fn init_memory(bench: &Bench, lane: &Lane) -> Result<Outcome> {
    let mut found = Vec::new();
    for _ in 0..MEMORY_SAMPLES {
        let verb = |verb| lane.command(&bench.base, verb, "parked");
        verb(Verb::Create(Payload::Sleep))?.time(&bench.outputs)?;
        let state: Value = serde_json::from_str(&verb(Verb::State)?.output(&bench.outputs)?)?;
        let pid = state.get("pid").and_then(Value::as_u64).context("no pid in the state")?;
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        for (row, field) in [(Row::InitRss, "Rss:"), (Row::InitDirty, "Private_Dirty:")] {
            found.push((row, field_of(&rollup, field).context("smaps_rollup")?));
        }
        verb(Verb::DeleteForce)?.time(&bench.outputs)?;
    }
    Ok(Outcome::Figures(found))
}

fn field_of(text: &str, field: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Searches between 64 KiB and 64 MiB, to 1/16 of the limit.
fn smallest_memory_limit(bench: &Bench, lane: &Lane) -> Result<Outcome> {
    let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")?;
    if !controllers.split_whitespace().any(|name| name == "memory") {
        return Ok(Outcome::Skipped("cgroup v2 has no memory controller on this host"));
    }
    if lane.runtime.kind == Kind::Floor {
        return Ok(Outcome::Skipped("the floor sets no limits"));
    }
    fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory")?;
    let works = |kib: u64| -> Result<bool> {
        let purpose = format!("limit{kib}");
        let shape = Shape {
            payload: Payload::Nothing,
            devices: lane.devices,
            memory_limit_bytes: Some(kib * 1024),
        };
        bundle::make(&bench.base, &lane.id(&purpose), shape)?;
        let run = lane.command(&bench.base, Verb::Run(Payload::Nothing), &purpose)?;
        Ok(run.time(&bench.outputs).is_ok())
    };
    let (mut fails, mut suffices) = (64, 64 * 1024);
    ensure!(works(suffices)?, "run does not work with a limit of {suffices} KiB");
    while suffices - fails > suffices / 16 {
        let middle = fails.midpoint(suffices);
        if works(middle)? {
            suffices = middle;
        } else {
            fails = middle;
        }
    }
    Ok(Outcome::Figures(vec![(Row::MemoryLimit, f64::from(u32::try_from(suffices)?))]))
}

fn system_calls(bench: &Bench, lane: &Lane) -> Result<Outcome> {
    let Some(summary) = trace(bench, lane, &["-c"])? else {
        return Ok(Outcome::Skipped("strace is not installed"));
    };
    let calls = total_calls(&summary).context("no total in the output of strace -c")?;
    Ok(Outcome::Figures(vec![(Row::Syscalls, calls)]))
}

/// The longest filter that is loaded; strace prints `{len=N, ...}` for it.
fn filter_length(bench: &Bench, lane: &Lane) -> Result<Outcome> {
    let Some(calls) = trace(bench, lane, &["-e", "trace=seccomp,prctl"])? else {
        return Ok(Outcome::Skipped("strace is not installed"));
    };
    let length = longest_filter(&calls).context("no seccomp filter was loaded")?;
    Ok(Outcome::Figures(vec![(Row::Bpf, length)]))
}

/// Runs a container under strace and returns what strace wrote; `None` without strace.
fn trace(bench: &Bench, lane: &Lane, options: &[&str]) -> Result<Option<String>> {
    let Some(strace) = crate::find_program("strace") else { return Ok(None) };
    let (strace, file) = (path_text(&strace)?, bench.base.join("trace"));
    let text = path_text(&file)?;
    let mut wrapper = vec![strace.as_str(), "-f", "-qq", "-o", &text];
    wrapper.extend(options);
    wrapper.push("--");
    let run = Verb::Run(Payload::Nothing);
    lane.wrapped_command(&bench.base, &wrapper, run, "small")?.time(&bench.outputs)?;
    Ok(Some(fs::read_to_string(&file)?))
}

/// The fourth column of the last line; the fifth, errors, may be empty.
fn total_calls(summary: &str) -> Option<f64> {
    let total = summary.lines().rev().find(|line| line.ends_with(" total"))?;
    total.split_whitespace().nth(3)?.parse().ok()
}

fn longest_filter(calls: &str) -> Option<f64> {
    calls
        .split("{len=")
        .skip(1)
        .filter_map(|text| text.split([',', '}']).next()?.parse().ok())
        .max_by(f64::total_cmp)
}

fn program_file(bench: &Bench, lane: &Lane) -> Result<Outcome> {
    let bytes = fs::metadata(&lane.runtime.path)?.len();
    let mut found = vec![(Row::Size, f64::from(u32::try_from(bytes / 1024)?))];
    if let Some(ldd) = crate::find_program("ldd") {
        let argv = [path_text(&ldd)?, lane.runtime.path.clone()];
        // ldd fails for a static program, which has none.
        let path = format!("PATH={}", std::env::var("PATH").unwrap_or_default());
        let text = Command::new(&argv, &[path])?.output(&bench.outputs).unwrap_or_default();
        let libraries = text.lines().filter(|line| line.contains("=>")).count();
        found.push((Row::Libraries, f64::from(u32::try_from(libraries)?)));
    }
    Ok(Outcome::Figures(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strace_total_is_read_with_and_without_errors() {
        let with = "% time\n100.00    0.012865          61       209         9 total\n";
        let without = "% time\n100.00    0.012865          61       107           total\n";
        assert_eq!(total_calls(with), Some(209.0));
        assert_eq!(total_calls(without), Some(107.0));
        assert_eq!(total_calls(""), None);
    }

    #[test]
    fn longest_of_several_filters_counts() {
        let calls = "7 seccomp(SECCOMP_SET_MODE_FILTER, 0, {len=3, filter=0x1}) = 0\n\
                     7 prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, {len=354, filter=0x1}) = 0\n";
        assert_eq!(longest_filter(calls), Some(354.0));
        assert_eq!(longest_filter("7 prctl(PR_SET_NAME) = 0"), None);
    }

    #[test]
    fn smaps_field_is_the_one_named() {
        let text = "Rss:                 84 kB\nPrivate_Dirty:       76 kB\n";
        assert_eq!(field_of(text, "Private_Dirty:"), Some(76.0));
    }
}
