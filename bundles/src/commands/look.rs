//! `ps` and `inspect`.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use super::say;
use crate::cli_run::{Containers, Ps};
use crate::container::{self, Container, Record, Status};
use crate::home::Home;
use crate::spec::short;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, SystemTime};

const HEADING: [&str; 6] = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "NAMES"];
/// Of a command in the table, in characters.
const LONGEST_COMMAND: usize = 20;

pub(crate) fn ps(home: &Home, args: &Ps) -> Result<u8> {
    let mut all = container::all(home)?;
    all.sort_by(|one, other| other.record.created.cmp(&one.record.created));
    if args.latest {
        all.truncate(1);
    } else if !args.all {
        all.retain(|container| container.record.is_running());
    }
    let id = |record: &Record| {
        if args.no_trunc { record.id.clone() } else { short(&record.id).to_owned() }
    };
    if args.quiet {
        let lines = all.iter().map(|container| id(&container.record) + "\n");
        say(&lines.collect::<String>())?;
        return Ok(0);
    }
    let row = |container: &Container| {
        let record = &container.record;
        let mut command = record.command.join(" ");
        if !args.no_trunc && command.chars().count() > LONGEST_COMMAND {
            command = command.chars().take(LONGEST_COMMAND - 1).chain(['…']).collect();
        }
        let created = format!("{} ago", age(&record.created));
        [
            id(record),
            record.image.clone(),
            format!("\"{command}\""),
            created,
            status(record),
            record.name.clone(),
        ]
    };
    let mut rows = vec![HEADING.map(ToOwned::to_owned)];
    rows.extend(all.iter().map(row));
    say(&table(&rows))?;
    Ok(0)
}

fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.max().unwrap_or_default()
    };
    let line = |row: &[String; N]| {
        let cells = row.iter().enumerate().map(|(n, cell)| format!("{cell:<0$}   ", width(n)));
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    rows.iter().map(line).collect()
}

fn status(record: &Record) -> String {
    let age_of = |time: &Option<String>| time.as_deref().map_or_else(|| "?".to_owned(), age);
    match record.status() {
        Status::Created | Status::Starting => "Created".to_owned(),
        Status::Running => format!("Up {}", age_of(&record.state.started)),
        Status::Exited => {
            format!("Exited ({}) {} ago", record.exit_code(), age_of(&record.state.finished))
        }
    }
}

/// How long ago, in the words of Docker.
fn age(time: &str) -> String {
    let then = humantime::parse_rfc3339(time).unwrap_or(SystemTime::UNIX_EPOCH);
    in_words(SystemTime::now().duration_since(then).unwrap_or_default())
}

fn in_words(age: Duration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 14 => format!("{} days", hours / 24),
        () if hours < 24 * 60 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", hours / 24 / 365),
    }
}

pub(crate) fn inspect(home: &Home, args: &Containers) -> Result<u8> {
    let mut found = Vec::new();
    let code = super::for_each(&args.containers, |name| {
        found.push(describe(&Container::find(home, name)?)?);
        Ok(None)
    })?;
    say(&(serde_json::to_string_pretty(&found)? + "\n"))?;
    Ok(code)
}

/// The part of Docker's shape that is known here.
fn describe(container: &Container) -> Result<Value> {
    let record = &container.record;
    let file = container.dir.join("config.json");
    let text = fs::read(&file).with_context(|| file.display().to_string())?;
    let spec: Value = serde_json::from_slice(&text).context("config.json")?;
    let word = match record.status() {
        Status::Created | Status::Starting => "created",
        Status::Running => "running",
        Status::Exited => "exited",
    };
    let running = record.status() == Status::Running;
    let pid = record.state.process.as_ref().filter(|_| running).map_or(0, |process| process.pid);
    let never = || "0001-01-01T00:00:00Z".to_owned();
    let label = |text: &String| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (key.to_owned(), Value::from(value))
    };
    let labels: serde_json::Map<String, Value> = record.labels.iter().map(label).collect();
    let exit_code = match record.status() {
        Status::Exited => record.exit_code(),
        Status::Created | Status::Starting | Status::Running => record.state.exit_code.unwrap_or(0),
    };
    Ok(json!({
        "Id": record.id,
        "Created": record.created,
        "Path": record.command.first(),
        "Args": record.command.get(1..),
        "State": {
            "Status": word,
            "Running": running,
            "Paused": false,
            "OOMKilled": record.state.oom_killed,
            "Pid": pid,
            "ExitCode": exit_code,
            "Error": record.state.error.clone().unwrap_or_default(),
            "StartedAt": record.state.started.clone().unwrap_or_else(never),
            "FinishedAt": record.state.finished.clone().unwrap_or_else(never),
        },
        "Name": format!("/{}", record.name),
        "LogPath": container.dir.join("log"),
        "Config": {
            "Hostname": spec["hostname"],
            "Tty": record.tty,
            "OpenStdin": record.interactive,
            "Env": spec["process"]["env"],
            "Image": record.image,
            "WorkingDir": spec["process"]["cwd"],
            "Labels": labels,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_in_the_words_of_docker() {
        for (seconds, words) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (2 * 3600, "2 hours"),
            (72 * 3600, "3 days"),
            (20 * 86400, "2 weeks"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let rows = [["a".to_owned(), "b".to_owned()], ["long".to_owned(), "c".to_owned()]];
        assert_eq!(table(&rows), "a      b\nlong   c\n");
    }
}
