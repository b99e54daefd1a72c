//! Prints the table, writes the JSON file, and judges the bounds.
//! Runs in: the driver.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::bounds::Bound;
use crate::bundle::Devices;
use crate::figures::{Row, Spread};
use crate::lane::{Kind, Lane};
use crate::verbs::Bench;

/// The runtime that ratios are shown to, beside the floor.
pub(crate) const PEER: &str = "crun";

impl Bench {
    fn main_lane(&self, name: &str) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.runtime.name == name && !lane.twin)
    }

    /// The two lane indices to compare a lane with a named runtime: with the same bundle on both sides
    /// where both were measured with it, else the main lanes.
    fn pair(&self, row: Row, lane: &Lane, name: &str) -> Option<(usize, usize)> {
        let measured = |lane: &&Lane| !self.figures.samples(row, lane.index).is_empty();
        let lane_with = |name: &str, devices: Devices| {
            self.lanes
                .iter()
                .filter(measured)
                .find(|lane| lane.runtime.name == name && lane.devices == devices)
        };
        for devices in [lane.devices, Devices::Ruled, Devices::Unruled] {
            if let (Some(one), Some(other)) =
                (lane_with(&lane.runtime.name, devices), lane_with(name, devices))
            {
                return Some((one.index, other.index));
            }
        }
        Some((lane.index, self.main_lane(name)?.index))
    }

    fn ratio(&self, row: Row, lane: &Lane, name: &str) -> Option<f64> {
        let (one, other) = self.pair(row, lane, name)?;
        let below = self.figures.median(row, other).filter(|below| *below > 0.0)?;
        Some(self.figures.median(row, one)? / below)
    }

    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        let floor = self.floor().map(|lane| lane.runtime.name.clone()).unwrap_or_default();
        let columns = format!(
            "{:>10} {:>10} {:>10} {:>9} {:>9} {:>16}\n",
            "median",
            "p10",
            "p90",
            "x floor",
            format!("x {PEER}"),
            "x floor, p10-p90"
        );
        for row in Row::ALL.into_iter().filter(|row| self.wanted.contains(row)) {
            let measured = |lane: &&Lane| !self.figures.samples(row, lane.index).is_empty();
            if self.lanes.iter().filter(measured).count() == 0 {
                continue;
            }
            let title = format!("{} [{}, {}]", row.title(), row.key(), row.unit());
            write!(text, "{title:<58}{columns}").ok(); // a String takes everything
            for lane in self.lanes.iter().filter(measured) {
                let Some(spread) = Spread::of(self.figures.samples(row, lane.index)) else {
                    continue;
                };
                let number = |n: f64| if n < 100.0 { format!("{n:.2}") } else { format!("{n:.0}") };
                let ratio = |name: &str| {
                    self.ratio(row, lane, name).map_or("-".to_owned(), |r| format!("{r:.2}"))
                };
                let paired = self
                    .pair(row, lane, &floor)
                    .and_then(|(one, other)| self.figures.ratio(row, one, other))
                    .map_or("-".to_owned(), |s| format!("{:.2}-{:.2}", s.p10, s.p90));
                writeln!(
                    text,
                    "  {:<56}{:>10} {:>10} {:>10} {:>9} {:>9} {paired:>16}",
                    lane.label(),
                    number(spread.median),
                    number(spread.p10),
                    number(spread.p90),
                    ratio(&floor),
                    ratio(PEER),
                )
                .ok(); // a String takes everything
            }
        }
        for note in &self.notes {
            writeln!(text, "note: {note}").ok(); // a String takes everything
        }
        for why in &self.left_out {
            writeln!(text, "FAILED, left out: {why}").ok(); // a String takes everything
        }
        for lane in &self.lanes {
            if let Some(why) = &lane.failure {
                writeln!(text, "FAILED, figures incomplete: {}: {why}", lane.label()).ok(); // same
            }
        }
        text
    }

    pub(crate) fn json(&self) -> Value {
        let floor = self.floor().map(|lane| lane.runtime.name.clone()).unwrap_or_default();
        let mut figures = Vec::new();
        for row in Row::ALL {
            for lane in &self.lanes {
                let samples = self.figures.samples(row, lane.index);
                let Some(spread) = Spread::of(samples) else { continue };
                let paired = self
                    .pair(row, lane, &floor)
                    .and_then(|(one, other)| self.figures.ratio(row, one, other));
                figures.push(json!({
                    "row": row.key(),
                    "unit": row.unit(),
                    "runtime": lane.runtime.name,
                    "floor": lane.runtime.kind == Kind::Floor,
                    "deviceRules": lane.devices == Devices::Ruled,
                    "median": spread.median,
                    "p10": spread.p10,
                    "p90": spread.p90,
                    "samples": samples.len(),
                    "ratioToFloor": self.ratio(row, lane, &floor),
                    "ratioToFloorP10": paired.map(|s| s.p10),
                    "ratioToFloorP90": paired.map(|s| s.p90),
                    "ratioToCrun": self.ratio(row, lane, PEER),
                }));
            }
        }
        let failures: Vec<Value> = self
            .lanes
            .iter()
            .filter_map(|lane| {
                lane.failure.as_ref().map(|why| json!({ "lane": lane.label(), "error": why }))
            })
            .collect();
        json!({ "figures": figures, "notes": self.notes, "failures": failures, "leftOut": self.left_out })
    }

    /// One line per bound; `true` when all hold. A bound on a figure that was not measured does not hold.
    pub(crate) fn judge(&self, bounds: &[Bound], default_subject: &str) -> (String, bool) {
        let mut text = String::new();
        let mut all = true;
        for bound in bounds {
            let name = bound.subject.as_deref().unwrap_or(default_subject);
            let (holds, figures) = match self.compare(bound, name) {
                None => (false, "not measured".to_owned()),
                Some((figure, reference)) => {
                    let against = bound
                        .reference()
                        .map_or(String::new(), |name| format!(", {name} {reference:.3}"));
                    (bound.holds(figure, reference), format!("{name} {figure:.3}{against}"))
                }
            };
            all &= holds;
            let verdict = if holds { "ok  " } else { "FAIL" };
            writeln!(text, "{verdict} {}  ({figures} {})", bound.text, bound.row.unit()).ok(); // same
        }
        (text, all)
    }

    /// The medians of the subject and of the reference (0 without one).
    fn compare(&self, bound: &Bound, name: &str) -> Option<(f64, f64)> {
        let lane = self.main_lane(name)?;
        let (one, other) = match bound.reference() {
            Some(reference) => self.pair(bound.row, lane, reference)?,
            None => return Some((self.figures.median(bound.row, lane.index)?, 0.0)),
        };
        Some((self.figures.median(bound.row, one)?, self.figures.median(bound.row, other)?))
    }
}
