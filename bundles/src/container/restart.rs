//! `--restart`: when a container that has ended starts again by itself.
//!
//! Runs in: pure.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
/// Who runs so long has started well.
const WELL: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Restart {
    #[default]
    No,
    /// When its exit code is not 0; so often at most, 0 for no limit.
    OnFailure(u32),
    Always,
    /// Differs from `Always` after a reboot only.
    UnlessStopped,
}

impl Restart {
    /// Whether it starts again after such an end; `None` is an exit code that nobody has seen.
    pub(crate) fn wants(self, exit_code: Option<i32>, count: u32) -> bool {
        match self {
            Self::No => false,
            Self::OnFailure(most) => exit_code != Some(0) && (most == 0 || count < most),
            Self::Always | Self::UnlessStopped => true,
        }
    }

    /// As Docker calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::OnFailure(_) => "on-failure",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
        }
    }

    pub(crate) fn most(self) -> u32 {
        match self {
            Self::OnFailure(most) => most,
            Self::No | Self::Always | Self::UnlessStopped => 0,
        }
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.most() {
            0 => f.write_str(self.name()),
            most => write!(f, "{}:{most}", self.name()),
        }
    }
}

impl FromStr for Restart {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, most) = text.split_once(':').map_or((text, None), |(n, most)| (n, Some(most)));
        match (name, most) {
            ("" | "no", None) => Ok(Self::No),
            ("always", None) => Ok(Self::Always),
            ("unless-stopped", None) => Ok(Self::UnlessStopped),
            ("on-failure", None) => Ok(Self::OnFailure(0)),
            ("on-failure", Some(most)) if most.parse::<u32>().is_ok() => {
                Ok(Self::OnFailure(most.parse()?))
            }
            // clap says of which flag, and what was typed.
            _ => {
                bail!("the policies are no, on-failure, on-failure:N, always and unless-stopped")
            }
        }
    }
}

/// How long to wait before the next start.
#[derive(Debug)]
pub(crate) struct BackOff(Duration);

impl BackOff {
    pub(crate) fn new() -> Self {
        Self(FIRST)
    }

    /// `ran` is how long it has run this time.
    pub(crate) fn next(&mut self, ran: Duration) -> Duration {
        if ran >= WELL {
            self.0 = FIRST;
        }
        let wait = self.0;
        self.0 = (wait * 2).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_written() {
        for (text, policy) in [
            ("no", Restart::No),
            ("always", Restart::Always),
            ("unless-stopped", Restart::UnlessStopped),
            ("on-failure", Restart::OnFailure(0)),
            ("on-failure:3", Restart::OnFailure(3)),
        ] {
            assert_eq!(text.parse::<Restart>().unwrap(), policy);
            assert_eq!(policy.to_string(), text);
            let json = serde_json::to_string(&policy).unwrap();
            assert_eq!(serde_json::from_str::<Restart>(&json).unwrap(), policy, "{json}");
        }
        for wrong in ["never", "always:3", "on-failure:", "on-failure:x", "on-failure:-1"] {
            assert!(wrong.parse::<Restart>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn failures_are_counted() {
        assert!(!Restart::No.wants(Some(1), 0));
        assert!(Restart::Always.wants(Some(0), 99));
        assert!(Restart::OnFailure(0).wants(Some(1), 99));
        assert!(Restart::OnFailure(2).wants(None, 1));
        assert!(!Restart::OnFailure(2).wants(Some(1), 2));
        assert!(!Restart::OnFailure(2).wants(Some(0), 0));
    }

    #[test]
    fn waiting_doubles_up_to_a_minute() {
        let mut back_off = BackOff::new();
        let mut next = |ran: u64| back_off.next(Duration::from_secs(ran)).as_millis();
        assert_eq!([next(0), next(1), next(9), next(0)], [100, 200, 400, 800]);
        for _ in 0..20 {
            next(0);
        }
        assert_eq!([next(0), next(10), next(0)], [60_000, 100, 200]);
    }
}
