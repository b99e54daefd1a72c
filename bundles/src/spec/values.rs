//! Values of flags: sizes, limits, numbers of CPUs, signals.
//!
//! Runs in: pure.

use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sys::signal::Signal;

/// `64m`: a number, and b, k, m, g or t in powers of 1024.
pub(crate) fn bytes(flag: &str, text: &str) -> Result<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = lower.get(digits.len()..).unwrap_or_default();
    let factor = match unit {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1_048_576.0,
        "g" | "gb" | "gib" => 1_073_741_824.0,
        "t" | "tb" | "tib" => 1_099_511_627_776.0,
        _ => f64::NAN,
    };
    let number: f64 = digits.parse().unwrap_or(f64::NAN);
    let value = number * factor;
    if !(0.0..9e18).contains(&value) {
        return Err(anyhow!("{flag} {text}: not a size"))
            .hint("write a number of bytes, or 512m, or 2g");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Ok(value as u64)
}

/// The same, or -1.
pub(crate) fn bytes_or_unlimited(flag: &str, text: &str) -> Result<i64> {
    if text == "-1" {
        return Ok(-1);
    }
    Ok(i64::try_from(bytes(flag, text)?)?)
}

/// `1.5` CPUs as microseconds of a period of 100 ms.
pub(crate) fn quota(text: &str) -> Result<i64> {
    let number: f64 = text.parse().unwrap_or(f64::NAN);
    if !(0.01..=100_000.0).contains(&number) {
        return Err(anyhow!("--cpus {text}: not a number of CPUs")).hint("write 0.5, or 2");
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked above")]
    Ok((number * 100_000.0).round() as i64)
}

/// `nofile=1024:2048` as the name of setrlimit(2), soft and hard.
pub(crate) fn ulimit(text: &str) -> Result<(String, u64, u64)> {
    const NAMES: &[&str] = &[
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    let wrong = || format!("--ulimit {text}: not NAME=SOFT[:HARD]");
    let (name, values) = text.split_once('=').with_context(wrong)?;
    if !NAMES.contains(&name) {
        return Err(anyhow!("--ulimit {text}: unknown limit {name:?}"))
            .hint(format!("the limits are {}", NAMES.join(" ")));
    }
    let number = |value: &str| match value {
        "-1" | "unlimited" => Some(u64::MAX),
        _ => value.parse().ok(),
    };
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = number(soft).zip(number(hard)).with_context(wrong)?;
    ensure!(soft <= hard, "--ulimit {text}: the soft limit is above the hard one");
    Ok((format!("RLIMIT_{}", name.to_ascii_uppercase()), soft, hard))
}

/// By number, or by name with or without `SIG`.
pub(crate) fn signal(text: &str) -> Result<i32> {
    let upper = text.to_ascii_uppercase();
    let number = text.parse().ok().filter(|number| (1..=64).contains(number));
    let named = || {
        let full = if upper.starts_with("SIG") { upper.clone() } else { format!("SIG{upper}") };
        let realtime = |prefix: &str, from: i32, sign: i32| {
            let rest = full.strip_prefix(prefix)?;
            let offset: i32 = if rest.is_empty() { 0 } else { rest.get(1..)?.parse().ok()? };
            (0..=30).contains(&offset).then_some(from + sign * offset)
        };
        let usual = full.parse::<Signal>().ok().map(|signal| signal as i32);
        usual.or_else(|| realtime("SIGRTMIN", 34, 1)).or_else(|| realtime("SIGRTMAX", 64, -1))
    };
    number.or_else(named).with_context(|| format!("{text}: no such signal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, value) in [
            ("0", 0),
            ("10b", 10),
            ("1k", 1024),
            ("64M", 67_108_864),
            ("1.5g", 1_610_612_736),
            ("2gib", 2_147_483_648),
        ] {
            assert_eq!(bytes("-m", text).unwrap(), value, "{text}");
        }
        for text in ["", "k", "-1", "1x", "nan", "1e30"] {
            let err = bytes("-m", text).unwrap_err();
            assert_eq!(crate::error::chain(&err), format!("-m {text}: not a size"));
        }
        assert_eq!(bytes_or_unlimited("-m", "-1").unwrap(), -1);
    }

    #[test]
    fn cpus_become_a_quota() {
        assert_eq!(quota("1.5").unwrap(), 150_000);
        assert!(quota("0").is_err() && quota("many").is_err());
    }

    #[test]
    fn ulimits_have_one_or_two_values() {
        assert_eq!(ulimit("nofile=10").unwrap(), ("RLIMIT_NOFILE".into(), 10, 10));
        assert_eq!(ulimit("core=0:-1").unwrap(), ("RLIMIT_CORE".into(), 0, u64::MAX));
        for text in ["nofile", "files=1", "nofile=2:1", "nofile=x"] {
            assert!(ulimit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in
            [("SIGTERM", 15), ("hup", 1), ("9", 9), ("RTMIN+3", 37), ("SIGRTMAX-1", 63)]
        {
            assert_eq!(signal(text).unwrap(), number, "{text}");
        }
        for text in ["0", "65", "NOSUCH", ""] {
            assert_eq!(signal(text).unwrap_err().to_string(), format!("{text}: no such signal"));
        }
    }
}
