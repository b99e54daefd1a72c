//! Health checks: what a container is asked, and what it has answered.
//!
//! Runs in: the monitor, which asks, and commands, which show the answers.

use crate::home;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// In the container's directory. It is lost with a power failure at worst, and then made anew.
const FILE: &str = "health.json";
/// Answers that are kept.
const KEPT: usize = 5;
/// Docker's, where neither the image nor a flag says.
const INTERVAL: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

/// What is asked, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Check {
    pub(crate) command: Vec<String>,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    /// In which failures do not count, as long as there was no success.
    pub(crate) start_period: Duration,
    /// Between two checks in that time.
    pub(crate) start_interval: Duration,
    /// Failures in a row until it is unhealthy.
    pub(crate) retries: u32,
}

impl Check {
    /// From `Healthcheck` and `Shell` of an image's configuration. `None` when there is nothing to
    /// be asked.
    pub(crate) fn of(config: &Value, shell: &Value) -> Option<Self> {
        let words = |value: &Value| -> Vec<String> {
            let words = value.as_array().into_iter().flatten();
            words.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
        };
        let mut test = words(&config["Test"]).into_iter();
        let mut command = match test.next()?.as_str() {
            "CMD" => Vec::new(),
            "CMD-SHELL" => match words(shell) {
                shell if shell.is_empty() => vec!["/bin/sh".to_owned(), "-c".to_owned()],
                shell => shell,
            },
            _ => return None, // NONE
        };
        let before = command.len();
        command.extend(test);
        let time = |name: &str, usual| match config[name].as_u64() {
            None | Some(0) => usual,
            Some(nanoseconds) => Duration::from_nanos(nanoseconds),
        };
        let retries = config["Retries"].as_u64().and_then(|times| u32::try_from(times).ok());
        (command.len() > before).then(|| Self {
            command,
            interval: time("Interval", INTERVAL),
            timeout: time("Timeout", INTERVAL),
            start_period: time("StartPeriod", Duration::ZERO),
            start_interval: time("StartInterval", START_INTERVAL),
            retries: retries.filter(|times| *times > 0).unwrap_or(RETRIES),
        })
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    #[default]
    Starting,
    Healthy,
    Unhealthy,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// As Docker shows it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Health {
    pub(crate) status: Status,
    pub(crate) failing_streak: u32,
    pub(crate) log: Vec<Answer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    pub(crate) start: String,
    pub(crate) end: String,
    /// -1 when there was none in time, or nobody could be asked.
    pub(crate) exit_code: i32,
    pub(crate) output: String,
}

impl Health {
    /// What was written last; nothing was asked yet where nothing is there.
    pub(crate) fn read(dir: &Path) -> Self {
        let text = fs::read(dir.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Not waiting for the disk: who reads it sees the old or the new one, and it is soon old.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let new = dir.join(".health.json");
        home::write(&new, &serde_json::to_vec(self)?)
            .and_then(|_file| fs::rename(&new, dir.join(FILE)))
            .context(FILE)
    }

    /// Nothing is known of a new life; the answers of the last one stay to be looked at.
    pub(crate) fn begin(&mut self) {
        self.status = Status::Starting;
        self.failing_streak = 0;
    }

    /// `spared` is whether a failure does not count yet. Returns the status when that has changed.
    pub(crate) fn take(&mut self, answer: Answer, retries: u32, spared: bool) -> Option<Status> {
        let before = self.status;
        if answer.exit_code == 0 {
            self.failing_streak = 0;
            self.status = Status::Healthy;
        } else if !(spared && before == Status::Starting) {
            self.failing_streak += 1;
            if self.failing_streak >= retries {
                self.status = Status::Unhealthy;
            }
        }
        self.log.push(answer);
        let old = self.log.len().saturating_sub(KEPT);
        self.log.drain(..old);
        (self.status != before).then_some(self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use serde_json::json;

    fn answer(exit_code: i32) -> Answer {
        Answer {
            start: String::new(),
            end: String::new(),
            exit_code,
            output: exit_code.to_string(),
        }
    }

    #[test]
    fn configurations_are_dockers() {
        let of = |config: Value| Check::of(&config, &Value::Null);
        for nothing in [json!(null), json!({}), json!({ "Test": [] }), json!({ "Test": ["NONE"] })]
        {
            assert_eq!(of(nothing.clone()), None, "{nothing}");
        }
        assert_eq!(of(json!({ "Test": ["CMD"] })), None);
        let usual = of(json!({ "Test": ["CMD", "a", "b"], "Interval": 0 })).unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(usual.command, ["a", "b"]);
        assert_eq!((usual.interval, usual.timeout), (30 * second, 30 * second));
        assert_eq!((usual.start_period, usual.start_interval), (Duration::ZERO, 5 * second));
        assert_eq!(usual.retries, 3);
        let own = json!({
            "Test": ["CMD-SHELL", "a b"], "Interval": 1_000_000_000, "Timeout": 2_000_000_000,
            "StartPeriod": 1_000_000_000_u64, "Retries": 7,
        });
        let own = Check::of(&own, &json!(["/bin/bash", "-ec"])).unwrap();
        assert_eq!(own.command, ["/bin/bash", "-ec", "a b"]);
        assert_eq!((own.interval, own.timeout, own.start_period), (second, 2 * second, second));
        assert_eq!(own.retries, 7);
        let shell = of(json!({ "Test": ["CMD-SHELL", "a b"] })).unwrap();
        assert_eq!(shell.command, ["/bin/sh", "-c", "a b"]);
    }

    #[test]
    fn failures_in_a_row_count() {
        let mut health = Health::default();
        assert_eq!(health.take(answer(1), 2, true), None);
        assert_eq!((health.status, health.failing_streak), (Status::Starting, 0));
        assert_eq!(health.take(answer(1), 2, false), None);
        assert_eq!(health.take(answer(0), 2, false), Some(Status::Healthy));
        assert_eq!(health.take(answer(0), 2, false), None);
        // The time at the start is over with the first success.
        assert_eq!(health.take(answer(1), 2, true), None);
        assert_eq!(health.take(answer(-1), 2, true), Some(Status::Unhealthy));
        assert_eq!(health.failing_streak, 2);
        let kept: Vec<&str> = health.log.iter().map(|one| one.output.as_str()).collect();
        assert_eq!(kept, ["1", "0", "0", "1", "-1"]);
        health.begin();
        assert_eq!(
            (health.status, health.failing_streak, health.log.len()),
            (Status::Starting, 0, 5)
        );
    }

    #[test]
    fn file_is_as_docker_shows_it() {
        let dir = Scratch::new();
        let mut health = Health::read(&dir.0);
        assert_eq!(health.status, Status::Starting);
        health.take(answer(0), 3, false);
        health.write(&dir.0).unwrap();
        let shown = serde_json::to_value(Health::read(&dir.0)).unwrap();
        let log = json!([{ "Start": "", "End": "", "ExitCode": 0, "Output": "0" }]);
        assert_eq!(shown, json!({ "Status": "healthy", "FailingStreak": 0, "Log": log }));
    }
}
