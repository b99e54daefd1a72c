//! The samples, by row and lane, and their statistics.
//! Runs in: the driver, pure.

use std::collections::BTreeMap;

/// What is measured. The order is that of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Row {
    Version,
    Run,
    Create,
    Start,
    Delete,
    DeleteForce,
    Exec,
    State,
    State100,
    List100,
    Runs1,
    Runs2,
    Runs4,
    Runs8,
    Rss,
    InitRss,
    InitDirty,
    MemoryLimit,
    Syscalls,
    Bpf,
    Size,
    Libraries,
}

impl Row {
    pub(crate) const ALL: [Self; 22] = [
        Self::Version,
        Self::Run,
        Self::Create,
        Self::Start,
        Self::Delete,
        Self::DeleteForce,
        Self::Exec,
        Self::State,
        Self::State100,
        Self::List100,
        Self::Runs1,
        Self::Runs2,
        Self::Runs4,
        Self::Runs8,
        Self::Rss,
        Self::InitRss,
        Self::InitDirty,
        Self::MemoryLimit,
        Self::Syscalls,
        Self::Bpf,
        Self::Size,
        Self::Libraries,
    ];

    /// The word for `--verbs`, `--assert` and the JSON file.
    pub(crate) fn key(self) -> &'static str {
        self.texts().0
    }

    pub(crate) fn unit(self) -> &'static str {
        self.texts().1
    }

    pub(crate) fn title(self) -> &'static str {
        self.texts().2
    }

    pub(crate) fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|row| row.key() == key)
    }

    fn texts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Version => ("version", "ms", "--version, the cost of starting"),
            Self::Run => ("run", "ms", "run /bin/true"),
            Self::Create => ("create", "ms", "create"),
            Self::Start => ("start", "ms", "start"),
            Self::Delete => ("delete", "ms", "delete, stopped"),
            Self::DeleteForce => ("delete-f", "ms", "delete --force, running"),
            Self::Exec => ("exec", "ms", "exec /bin/true"),
            Self::State => ("state", "ms", "state, 1 container"),
            Self::State100 => ("state100", "ms", "state, 100 containers"),
            Self::List100 => ("list100", "ms", "list, 100 containers"),
            Self::Runs1 => ("runs1", "1/s", "runs a second, 1 at once"),
            Self::Runs2 => ("runs2", "1/s", "runs a second, 2 at once"),
            Self::Runs4 => ("runs4", "1/s", "runs a second, 4 at once"),
            Self::Runs8 => ("runs8", "1/s", "runs a second, 8 at once"),
            Self::Rss => ("rss", "KiB", "largest RSS of run"),
            Self::InitRss => ("init-rss", "KiB", "RSS of init after create"),
            Self::InitDirty => ("init-dirty", "KiB", "private dirty memory of that init"),
            Self::MemoryLimit => ("memlimit", "KiB", "smallest memory limit at which run works"),
            Self::Syscalls => ("syscalls", "calls", "system calls of run, all processes"),
            Self::Bpf => ("bpf", "insns", "seccomp filter"),
            Self::Size => ("size", "KiB", "size of the program"),
            Self::Libraries => ("libs", "files", "shared libraries"),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// By row and lane index; samples of interleaved rows stand in the order of the rounds.
    samples: BTreeMap<(Row, usize), Vec<f64>>,
}

impl Figures {
    pub(crate) fn add(&mut self, row: Row, lane: usize, sample: f64) {
        self.samples.entry((row, lane)).or_default().push(sample);
    }

    pub(crate) fn samples(&self, row: Row, lane: usize) -> &[f64] {
        self.samples.get(&(row, lane)).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn median(&self, row: Row, lane: usize) -> Option<f64> {
        quantile(self.samples(row, lane), 0.5)
    }

    /// Median, 10th and 90th percentile of the ratio of two lanes, sample by sample. Samples of the same
    /// round were taken within milliseconds, so the noise of the machine cancels out in part.
    pub(crate) fn ratio(&self, row: Row, lane: usize, to: usize) -> Option<Spread> {
        let paired: Vec<f64> = self
            .samples(row, lane)
            .iter()
            .zip(self.samples(row, to))
            .filter(|(_, below)| **below > 0.0)
            .map(|(above, below)| above / below)
            .collect();
        Spread::of(&paired)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) p10: f64,
    pub(crate) median: f64,
    pub(crate) p90: f64,
}

impl Spread {
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        Some(Self {
            p10: quantile(samples, 0.1)?,
            median: quantile(samples, 0.5)?,
            p90: quantile(samples, 0.9)?,
        })
    }
}

/// The `q` quantile (0 to 1), linear between neighbours; `None` of nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "counts of samples are small, and q is not negative"
)]
fn quantile(samples: &[f64], q: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = q * (sorted.len().checked_sub(1)? as f64);
    let below = sorted.get(place.floor() as usize)?;
    let above = sorted.get(place.ceil() as usize)?;
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.9), Some(7.0));
        assert_eq!(quantile(&[4.0, 1.0, 2.0, 3.0], 0.5), Some(2.5));
        assert_eq!(quantile(&[0.0, 10.0], 0.1), Some(1.0));
    }

    #[test]
    fn ratio_pairs_samples_of_one_round() {
        let mut figures = Figures::default();
        for (a, b) in [(2.0, 1.0), (20.0, 10.0), (4.0, 2.0)] {
            figures.add(Row::Run, 0, a);
            figures.add(Row::Run, 1, b);
        }
        let spread = Spread { p10: 2.0, median: 2.0, p90: 2.0 };
        assert_eq!(figures.ratio(Row::Run, 0, 1), Some(spread));
    }

    #[test]
    fn every_row_is_found_by_its_key() {
        assert!(Row::ALL.into_iter().all(|row| Row::from_key(row.key()) == Some(row)));
    }
}
