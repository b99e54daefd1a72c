//! `logs`.

use crate::attach;
use crate::cli::existing::Logs;
use crate::container::{self, Container, Watch};
use crate::error::OrHint as _;
use crate::follow::Lines;
use crate::home::Home;
use crate::monitor::log::{self, Entry};
use crate::screen::Screen;
use anyhow::{Context as _, Result, anyhow};
use std::time::{Duration, SystemTime};

pub(crate) fn logs(home: &Home, args: &Logs, screen: &mut Screen<'_>) -> Result<()> {
    let mut container = Container::find(home, &args.container)?;
    if attach::adopt(home, &mut container).is_err() {
        container.refresh()?; // what there is can be read all the same
    }
    if container.record.log.size == 0 {
        return Err(anyhow!("{}: its output is not kept", args.container))
            .hint("make it without --log-driver none");
    }
    let tail: Option<usize> = match args.tail.as_str() {
        "all" => None,
        number => Some(
            number
                .parse()
                .with_context(|| format!("--tail {number}"))
                .hint("write a number of lines, or all")?,
        ),
    };
    let wanted = Span::of(args)?;
    let watch = args.follow.then(|| Watch::new(&container.dir)).transpose()?;
    let mut lines = Lines::new(container.dir.join("log"));
    let mut entries: Vec<Entry> = Vec::new();
    for path in log::files(&container.dir) {
        entries.extend(lines.read(&path)?);
    }
    entries.retain(|entry| wanted.has(entry));
    let skip = tail.map_or(0, |tail| entries.len().saturating_sub(tail));
    for entry in entries.iter().skip(skip) {
        print(screen, entry, args.timestamps)?;
    }
    let Some(watch) = watch else { return Ok(()) };
    loop {
        // Asked first: what is written before the end is read after it.
        let goes_on = container.refresh()? && container.record.is_running();
        for entry in lines.rest::<Entry>()? {
            if wanted.has(&entry) {
                print(screen, &entry, args.timestamps)?;
            }
        }
        if !goes_on || wanted.until.is_some_and(|until| until < SystemTime::now()) {
            return Ok(());
        }
        watch.wait(Duration::from_millis(500))?;
    }
}

/// The times from `--since` to `--until`.
struct Span {
    since: Option<SystemTime>,
    until: Option<SystemTime>,
}

impl Span {
    fn of(args: &Logs) -> Result<Self> {
        let time = |flag: &str, text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| moment(text).with_context(|| format!("{flag} {text}: not a time")))
                .transpose()
                .hint("write 2026-01-31T12:00:00Z, seconds since 1970, or an age, such as 1h30m")
        };
        Ok(Self { since: time("--since", &args.since)?, until: time("--until", &args.until)? })
    }

    fn has(&self, entry: &Entry) -> bool {
        let time = container::time(&entry.time);
        self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time <= until)
    }
}

/// Times without a zone are UTC's.
pub(crate) fn moment(text: &str) -> Option<SystemTime> {
    if let Ok(seconds) = text.parse::<f64>() {
        let since = Duration::try_from_secs_f64(seconds).ok()?;
        return SystemTime::UNIX_EPOCH.checked_add(since);
    }
    let day = || humantime::parse_rfc3339_weak(&format!("{text}T00:00:00")).ok();
    let age = || SystemTime::now().checked_sub(humantime::parse_duration(text).ok()?);
    humantime::parse_rfc3339_weak(text).ok().or_else(day).or_else(age)
}

fn print(screen: &mut Screen<'_>, entry: &Entry, times: bool) -> Result<()> {
    let time = if times { format!("{} ", entry.time) } else { String::new() };
    let text = format!("{time}{}", entry.log);
    match entry.stream.as_str() {
        "stderr" => screen.note(&text),
        _ => screen.say(&text)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_forms() {
        let at = |text: &str| {
            let since = moment(text)?.duration_since(SystemTime::UNIX_EPOCH);
            Some(since.ok()?.as_millis())
        };
        assert_eq!(at("12.5"), Some(12_500));
        assert_eq!(at("1970-01-01T00:00:02Z"), Some(2000));
        assert_eq!(at("1970-01-01T00:00:02.5"), Some(2500));
        assert_eq!(at("1970-01-02"), Some(86_400_000));
        let age = moment("1h30m").unwrap().elapsed().unwrap().as_secs();
        assert!((5400..5460).contains(&age), "{age}");
        for wrong in ["", "yesterday", "-5", "12:00"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }
}
