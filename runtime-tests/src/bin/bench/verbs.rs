//! Measures the verbs, interleaved: every verb goes round all lanes, from another first lane in each
//! round, so that a slow moment of the machine hits all of them alike.
//! Runs in: the driver.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::bundle::{Devices, Payload};
use crate::figures::{Figures, Row};
use crate::lane::{Kind, Lane, Runtime, Verb};
use crate::spawn::{self, Command, Outputs};

/// The containers of `list` and `state` among many.
pub(crate) const MANY: usize = 100;
/// Pause before each timed step. What the step before leaves to the kernel, above all the end of a
/// network namespace, takes milliseconds on another CPU and would be charged to the next lane.
const SETTLE: Duration = Duration::from_millis(5);
/// Seconds without any run coming to its end after which the throughput loop counts as hung.
const HUNG_S: u32 = 120;
/// Runs in one sample of throughput.
const BATCH: usize = 24;

pub(crate) struct Bench {
    pub(crate) base: PathBuf,
    pub(crate) outputs: Outputs,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) figures: Figures,
    pub(crate) wanted: Vec<Row>,
    /// What the reader must know to read the figures right.
    pub(crate) notes: Vec<String>,
    /// Runtimes that ran neither bundle: name and reason.
    pub(crate) left_out: Vec<String>,
}

impl Bench {
    pub(crate) fn new(base: &Path, runtimes: &[Runtime], wanted: &[Row]) -> Result<Self> {
        let mut bench = Self {
            base: base.to_owned(),
            outputs: Outputs::in_dir(base),
            lanes: Vec::new(),
            figures: Figures::default(),
            wanted: wanted.to_vec(),
            notes: Vec::new(),
            left_out: Vec::new(),
        };
        bench.find_lanes(runtimes)?;
        Ok(bench)
    }

    /// Tries every runtime once. One that cannot run the bundle because of its device rules gets the
    /// bundle without them, and then all others run that one too, as twins.
    fn find_lanes(&mut self, runtimes: &[Runtime]) -> Result<()> {
        let mut indices = 0..;
        let mut new_lane = |runtime: &Runtime, devices, twin| -> Result<Lane> {
            let index = indices.next().context("an index")?;
            fs::create_dir_all(self.base.join(format!("state{index}")))?;
            Ok(Lane { runtime: runtime.clone(), devices, twin, failure: None, index })
        };
        let runs = |lane: &Lane| {
            lane.command(&self.base, Verb::Run(Payload::True), "probe")?.time(&self.outputs)
        };
        for runtime in runtimes {
            let name = &runtime.name;
            let ruled = new_lane(runtime, Devices::Ruled, false)?;
            let Err(why) = runs(&ruled) else {
                self.lanes.push(ruled);
                continue;
            };
            let unruled = new_lane(runtime, Devices::Unruled, false)?;
            if let Err(why) = runs(&unruled) {
                self.left_out.push(format!("{name}: {why:#}"));
                continue;
            }
            self.notes.push(format!(
                "{name} fails with device rules, so it runs the bundle without them, and the rows \
                 run, create, start, delete compare it with others on that bundle. It said: {why:#}"
            ));
            self.lanes.push(unruled);
        }
        if self.lanes.iter().any(|lane| lane.devices == Devices::Unruled) {
            let ruled: Vec<Runtime> = self
                .lanes
                .iter()
                .filter(|lane| lane.devices == Devices::Ruled)
                .map(|lane| lane.runtime.clone())
                .collect();
            for runtime in ruled {
                self.lanes.push(new_lane(&runtime, Devices::Unruled, true)?);
            }
        }
        Ok(())
    }

    pub(crate) fn wants(&self, rows: &[Row]) -> bool {
        rows.iter().any(|row| self.wanted.contains(row))
    }

    /// Runs one verb on every lane that still works, without keeping the time.
    fn once(&mut self, verb: Verb, purpose: &str) {
        for position in 0..self.lanes.len() {
            self.measure(position, verb, purpose);
        }
    }

    /// Times one verb on the lane at this position. A lane that fails is not asked again, and says so.
    fn measure(&mut self, position: usize, verb: Verb, purpose: &str) -> Option<f64> {
        let lane = self.lanes.get_mut(position)?;
        if lane.failure.is_some() {
            return None;
        }
        let time = lane.command(&self.base, verb, purpose).and_then(|c| c.time(&self.outputs));
        match time {
            Ok(time) => Some(time.as_secs_f64() * 1e3),
            Err(error) => {
                lane.failure = Some(format!("{error:#}"));
                None
            }
        }
    }

    /// One verb round all lanes. `row` is `None` in warm-up rounds and for steps that only prepare.
    fn step(&mut self, round: usize, row: Option<Row>, verb: Verb, purpose: &str) {
        let count = self.lanes.len();
        for turn in 0..count {
            let position = (turn + round) % count;
            sleep(SETTLE);
            let time = self.measure(position, verb, purpose);
            if let (Some(row), Some(time), Some(lane)) = (row, time, self.lanes.get(position)) {
                self.figures.add(row, lane.index, time);
            }
        }
    }

    /// All latencies: `warm_up` rounds whose times are dropped, then `rounds`.
    pub(crate) fn rounds(&mut self, warm_up: usize, rounds: usize) -> Result<()> {
        for round in 0..warm_up + rounds {
            let kept = |row| (round >= warm_up).then_some(row);
            if self.wants(&[Row::Run]) {
                self.step(round, kept(Row::Run), Verb::Run(Payload::True), "run");
            }
            if self.wants(&[Row::Create, Row::Start, Row::Delete]) {
                self.step(round, kept(Row::Create), Verb::Create(Payload::True), "short");
                self.step(round, kept(Row::Start), Verb::Start, "short");
                self.wait_until_stopped("short")?;
                self.step(round, kept(Row::Delete), Verb::Delete, "short");
            }
            let twins = self.take_twins();
            if self.wants(&[Row::Version]) {
                self.step(round, kept(Row::Version), Verb::Version, "");
            }
            if self.wants(&[Row::State, Row::Exec, Row::DeleteForce]) {
                self.long_lived(round, kept);
            }
            self.lanes.extend(twins);
        }
        Ok(())
    }

    fn long_lived(&mut self, round: usize, kept: impl Fn(Row) -> Option<Row>) {
        self.step(round, None, Verb::Create(Payload::Sleep), "long");
        self.step(round, None, Verb::Start, "long");
        self.step(round, kept(Row::State), Verb::State, "long");
        self.step(round, kept(Row::Exec), Verb::Exec, "long");
        self.step(round, kept(Row::DeleteForce), Verb::DeleteForce, "long");
    }

    /// Takes the twins away, for what is measured on main lanes only. They are the last lanes.
    pub(crate) fn take_twins(&mut self) -> Vec<Lane> {
        let mains = self.lanes.iter().take_while(|lane| !lane.twin).count();
        self.lanes.split_off(mains)
    }

    fn wait_until_stopped(&self, purpose: &str) -> Result<()> {
        for lane in self.lanes.iter().filter(|lane| lane.failure.is_none()) {
            let events = format!("/sys/fs/cgroup/{}/cgroup.events", lane.id(purpose));
            let deadline = Instant::now() + Duration::from_secs(10);
            while fs::read_to_string(&events).is_ok_and(|text| text.contains("populated 1")) {
                ensure!(Instant::now() < deadline, "{} does not stop", lane.label());
                sleep(Duration::from_micros(500));
            }
        }
        Ok(())
    }

    /// Runs a second with 1, 2, 4 and 8 at once: a closed loop without threads.
    pub(crate) fn throughput(&mut self, samples: usize) {
        for (row, level) in [(Row::Runs1, 1), (Row::Runs2, 2), (Row::Runs4, 4), (Row::Runs8, 8)] {
            for sample in 0..if self.wants(&[row]) { samples } else { 0 } {
                self.throughput_round(row, level, sample);
            }
        }
    }

    fn throughput_round(&mut self, row: Row, level: usize, sample: usize) {
        for turn in 0..self.lanes.len() {
            let position = (turn + sample) % self.lanes.len();
            let Some(lane) = self.lanes.get(position) else { continue };
            if lane.failure.is_some() {
                continue;
            }
            let index = lane.index;
            match self.batch(lane, level) {
                Ok(per_second) => self.figures.add(row, index, per_second),
                Err(error) => self.fail(position, &error),
            }
        }
    }

    pub(crate) fn fail(&mut self, position: usize, error: &anyhow::Error) {
        if let Some(lane) = self.lanes.get_mut(position) {
            lane.failure = Some(format!("{error:#}"));
        }
    }

    fn batch(&self, lane: &Lane, level: usize) -> Result<f64> {
        let slots: Vec<Command> = (0..level)
            .map(|n| lane.command(&self.base, Verb::Run(Payload::True), &format!("many{n}")))
            .collect::<Result<_>>()?;
        let begin = Instant::now();
        let mut running = Vec::new();
        for (slot, command) in slots.iter().enumerate() {
            running.push((command.start(&self.outputs)?, slot));
        }
        let mut started = level;
        let mut failure = Ok(());
        while !running.is_empty() {
            spawn::end_unless_called_within(HUNG_S);
            let (pid, status) = spawn::wait_any()?;
            let Some(place) = running.iter().position(|(running, _)| *running == pid) else {
                continue;
            };
            let (_, slot) = running.swap_remove(place);
            let command = slots.get(slot).context("a slot")?;
            failure = failure.and_then(|()| command.judge(status, &self.outputs));
            if started < BATCH && failure.is_ok() {
                running.push((command.start(&self.outputs)?, slot));
                started += 1;
            }
        }
        spawn::end_unless_called_within(0);
        failure?;
        Ok(f64::from(u32::try_from(started)?) / begin.elapsed().as_secs_f64())
    }

    /// `list`, and `state` of one, among [`MANY`] created containers. Comes last: nothing deletes them,
    /// they end with the namespaces.
    pub(crate) fn among_many(&mut self, warm_up: usize, rounds: usize) {
        for n in 0..MANY {
            self.once(Verb::Create(Payload::Sleep), &format!("many{n}-parked"));
        }
        for round in 0..warm_up + rounds {
            let kept = |row| (round >= warm_up).then_some(row);
            self.step(round, kept(Row::List100), Verb::List, "");
            self.step(round, kept(Row::State100), Verb::State, "many50-parked");
        }
    }

    pub(crate) fn floor(&self) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.runtime.kind == Kind::Floor && !lane.twin)
    }
}
