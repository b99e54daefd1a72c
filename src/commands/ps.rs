//! `rt ps`

use super::Host;
use crate::cli::{Ps, TableFormat};
use crate::container::state::{State, Status};
use crate::container::{Dir, Lock};
use crate::error::OrHint as _;
use crate::log::stdout;
use anyhow::{Context as _, Result, anyhow, ensure};
use std::process::Command;

pub(crate) fn run(host: &Host, args: &Ps) -> Result<()> {
    let dir = Dir::existing(&host.root, &args.id, Lock::None)?;
    let state = dir.state()?;
    let pids = pids(&dir, &state)?;
    match args.format {
        TableFormat::Json => stdout(&(serde_json::to_string(&pids)? + "\n")),
        TableFormat::Table => table(args, &pids),
    }
}

fn pids(dir: &Dir, state: &State) -> Result<Vec<i32>> {
    match dir.cgroup(state)? {
        Some(cgroup) => cgroup.pids(),
        // Without a cgroup only init is known for sure.
        None if dir.status(state)? == Status::Stopped => Ok(Vec::new()),
        None => Ok(state.init.iter().map(|init| init.pid).collect()),
    }
}

/// ps(1)'s own table, less the lines of other processes.
fn table(args: &Ps, pids: &[i32]) -> Result<()> {
    let mut command = Command::new("ps");
    if args.options.is_empty() {
        command.arg("-ef");
    }
    let output = command
        .args(&args.options)
        .output()
        .map_err(|err| crate::config::io(&err))
        .context("ps")
        .hint("install ps(1) (package procps), or use: rt ps --format json")?;
    ensure!(output.status.success(), "ps: {}", String::from_utf8_lossy(&output.stderr).trim());
    let text = String::from_utf8_lossy(&output.stdout);
    stdout(&filter(&text, pids)?)
}

fn filter(text: &str, pids: &[i32]) -> Result<String> {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let column = header
        .split_ascii_whitespace()
        .position(|title| title == "PID")
        .ok_or_else(|| anyhow!("ps: no PID column in {header:?}"))
        .hint("choose options of ps(1) that print the PID, such as -ef")?;
    let ours = |line: &&str| {
        let cell = line.split_ascii_whitespace().nth(column).and_then(|cell| cell.parse().ok());
        cell.is_some_and(|pid| pids.contains(&pid))
    };
    Ok(std::iter::once(header).chain(lines.filter(ours)).map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_lines_and_the_header_stay() {
        let text = "UID PID PPID CMD\nroot 1 0 init\nroot 7 1 sh -c 9\nroot 9 7 sleep\n";
        assert_eq!(filter(text, &[7]).unwrap(), "UID PID PPID CMD\nroot 7 1 sh -c 9\n");
        assert!(filter("CMD\nsh\n", &[7]).is_err());
    }
}
