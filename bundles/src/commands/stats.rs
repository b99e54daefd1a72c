//! `stats` and `top`: what containers use, and their processes.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use crate::cli::existing::{Stats, Top};
use crate::container::{self, Container};
use crate::fmt::{self, Listing, Row};
use crate::home::Home;
use crate::rootless;
use crate::runtime::Runtime;
use crate::screen::Screen;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};
use std::fs;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

const USUAL: &str = "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";
const TITLES: &[(&str, &str)] = &[
    ("BlockIO", "BLOCK I/O"),
    ("CPUPerc", "CPU %"),
    ("Container", "CONTAINER"),
    ("ID", "CONTAINER ID"),
    ("MemPerc", "MEM %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("Name", "NAME"),
    ("NetIO", "NET I/O"),
    ("PIDs", "PIDS"),
];
/// Between two looks, of which one alone tells no use of the processor.
const STEP: Duration = Duration::from_secs(1);
/// The screen of a terminal, cleared.
const CLEAR: &str = "\x1b[2J\x1b[H";

pub(crate) fn top(home: &Home, args: &Top, screen: &mut Screen<'_>) -> Result<()> {
    let container = running(home, &args.container)?;
    let runtime = Runtime::of(&container)?;
    let words = ["ps", &container.record.id].into_iter();
    let said = runtime.output(words.chain(args.options.iter().map(String::as_str)))?;
    screen.say(&String::from_utf8_lossy(&said))
}

pub(crate) fn stats(home: &Home, args: &Stats, screen: &mut Screen<'_>) -> Result<()> {
    let listing = Listing::new(args.format.as_deref(), USUAL, None)?;
    let mut before = look(home, args)?;
    loop {
        std::thread::sleep(STEP);
        let now = look(home, args)?;
        let rows: Vec<Row> = now
            .iter()
            .map(|sample| {
                let earlier = before.iter().find(|earlier| earlier.id == sample.id);
                sample.row(earlier, args.no_trunc)
            })
            .collect();
        let text = listing.show(&rows, TITLES)?;
        if args.no_stream {
            return screen.say(&text);
        }
        let clear = if io::stdout().is_terminal() { CLEAR } else { "" };
        screen.say(&format!("{clear}{text}"))?;
        before = now;
    }
}

fn running(home: &Home, name: &str) -> Result<Container> {
    let container = Container::find(home, name)?;
    ensure!(container.record.is_running(), "{name}: does not run");
    Ok(container)
}

/// At those that are named, or at all that run.
fn look(home: &Home, args: &Stats) -> Result<Vec<Sample>> {
    if !args.containers.is_empty() {
        let named = args.containers.iter();
        return named.map(|name| Sample::of(&running(home, name)?)).collect();
    }
    let mut all = container::all(home)?;
    all.retain(|container| container.record.is_running());
    all.sort_by(|one, other| other.record.created.cmp(&one.record.created));
    // One that has ended meanwhile is no error.
    Ok(all.iter().filter_map(|container| Sample::of(container).ok()).collect())
}

/// What one container uses at one time. All but the count of processes in bytes or nanoseconds.
struct Sample {
    id: String,
    name: String,
    at: Instant,
    limit: u64,
    net: (u64, u64),
    usage: Usage,
}

/// The same of it that a cgroup counts.
#[derive(Debug, Default)]
struct Usage {
    cpu: u64,
    memory: u64,
    limit: Option<u64>,
    block: (u64, u64),
    pids: u64,
}

impl Usage {
    fn of_cgroup(runtime: &Runtime, id: &str) -> Result<Self> {
        let text = runtime.output(["events", "--stats", id])?;
        let all: Value = serde_json::from_slice(&text).context("statistics of the runtime")?;
        let data = &all["data"];
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let memory = &data["memory"];
        // What the kernel could drop at once does not count, as in Docker.
        let raw = &memory["raw"];
        let cache = raw["total_inactive_file"].as_u64().or_else(|| raw["inactive_file"].as_u64());
        Ok(Self {
            cpu: number(&data["cpu"]["usage"]["total"]),
            memory: number(&memory["usage"]["usage"]).saturating_sub(cache.unwrap_or_default()),
            limit: memory["usage"]["limit"].as_u64().filter(|limit| *limit > 0),
            block: block(&data["blkio"]["ioServiceBytesRecursive"]),
            pids: number(&data["pids"]["current"]),
        })
    }

    /// The sum of what its processes use: those that have ended are not in it.
    fn of_processes(runtime: &Runtime, id: &str) -> Result<Self> {
        let text = runtime.output(["ps", "--format", "json", id])?;
        let pids: Vec<i32> = serde_json::from_slice(&text).context("processes of the runtime")?;
        let mut sum = Self::default();
        for pid in pids {
            let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
            let Ok(stat) = read("stat") else { continue }; // it has ended meanwhile
            let io = read("io").unwrap_or_default();
            let number = |key| field(&io, key).unwrap_or_default();
            sum.cpu += cpu(&stat);
            sum.memory += field(&read("smaps_rollup").unwrap_or_default(), "Pss:")
                .map_or(0, |kilobytes| kilobytes * 1024);
            sum.block.0 += number("read_bytes:");
            sum.block.1 += number("write_bytes:");
            sum.pids += 1;
        }
        Ok(sum)
    }
}

impl Sample {
    fn of(container: &Container) -> Result<Self> {
        let record = &container.record;
        let runtime = Runtime::of(container)?;
        let usage = match Usage::of_cgroup(&runtime, &record.id) {
            // An ordinary user's container may have no cgroup.
            Err(_) if rootless::ids()?.is_some() => Usage::of_processes(&runtime, &record.id)?,
            usage => usage?,
        };
        let host = total_memory()?;
        let pid = record.state.process.as_ref().map_or(0, |process| process.pid);
        Ok(Self {
            id: record.id.clone(),
            name: record.name.clone(),
            at: Instant::now(),
            limit: usage.limit.map_or(host, |limit| limit.min(host)),
            net: fs::read_to_string(format!("/proc/{pid}/net/dev")).map_or((0, 0), |dev| net(&dev)),
            usage,
        })
    }

    fn row(&self, before: Option<&Self>, whole: bool) -> Row {
        // Tenths of a per mille, so that two decimals are left.
        let percent = |part: u128, of: u128| {
            let parts = (part * 10_000).checked_div(of).unwrap_or_default();
            format!("{}.{:02}%", parts / 100, parts % 100)
        };
        let cpu = before.map_or((0, 0), |before| {
            let spent = u128::from(self.usage.cpu.saturating_sub(before.usage.cpu));
            (spent, self.at.duration_since(before.at).as_nanos())
        });
        let pair = |(one, other): (u64, u64)| format!("{} / {}", fmt::size(one), fmt::size(other));
        let id = if whole { &self.id } else { fmt::short_id(&self.id) };
        let fields = json!({
            "BlockIO": pair(self.usage.block),
            "CPUPerc": percent(cpu.0, cpu.1),
            "Container": id,
            "ID": id,
            "MemPerc": percent(self.usage.memory.into(), self.limit.into()),
            "MemUsage": format!("{} / {}", fmt::memory(self.usage.memory), fmt::memory(self.limit)),
            "Name": self.name,
            "NetIO": pair(self.net),
            "PIDs": self.usage.pids.to_string(),
        });
        Row { fields, methods: Map::new() }
    }
}

/// The number of the line that begins so.
fn field(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// In nanoseconds, from fields 14 and 15 of `proc_pid_stat(5)`.
fn cpu(stat: &str) -> u64 {
    // The name stands in parentheses, and may have some of its own.
    let fields = stat.rfind(')').and_then(|end| stat.get(end + 1..)).unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok());
    ticks.sum::<u64>() * (1_000_000_000 / rustix::param::clock_ticks_per_second())
}

/// In bytes.
pub(crate) fn total_memory() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
    let kilobytes = field(&text, "MemTotal:").context("/proc/meminfo: MemTotal")?;
    Ok(kilobytes * 1024)
}

/// Received and sent by all devices but the loop, from `proc_pid_net(5)`.
fn net(dev: &str) -> (u64, u64) {
    let mut sum = (0, 0);
    for line in dev.lines() {
        let Some((name, numbers)) = line.split_once(':') else { continue };
        let numbers: Vec<u64> = numbers.split_whitespace().flat_map(str::parse).collect();
        if let ([received, .., _], true) = (numbers.as_slice(), name.trim() != "lo") {
            sum.0 += received;
            sum.1 += numbers.get(8).copied().unwrap_or_default();
        }
    }
    sum
}

/// Read and written.
fn block(entries: &Value) -> (u64, u64) {
    let of = |kind: &str| {
        let fits =
            |entry: &&Value| entry["op"].as_str().is_some_and(|op| op.eq_ignore_ascii_case(kind));
        let entries = entries.as_array().into_iter().flatten().filter(fits);
        entries.filter_map(|entry| entry["value"].as_u64()).sum()
    };
    (of("read"), of("write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_summed_up() {
        let dev = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes packets\n    \
                   lo:  99 1 0 0 0 0 0 0  99 1 0 0 0 0 0 0\n  eth0: 100 2 0 0 0 0 0 0  30 4 0 0 0 0 0 0\n\
                   eth1:5 2 0 0 0 0 0 0 6 4 0 0 0 0 0 0\n";
        assert_eq!(net(dev), (105, 36));
        assert_eq!(net(""), (0, 0));
    }

    #[test]
    fn processes_tell_numbers() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 30 12 5 6 20 0 1 0 99 0 0";
        assert_eq!(cpu(stat), 42 * (1_000_000_000 / rustix::param::clock_ticks_per_second()));
        assert_eq!(cpu("7"), 0);
        let rollup = "00-ff ---p 00 00:00 0 [rollup]\nRss:  12 kB\nPss:   9 kB\nPss_Anon: 3 kB\n";
        assert_eq!(field(rollup, "Pss:"), Some(9));
        assert_eq!(field(rollup, "Swap:"), None);
    }

    #[test]
    fn blocks_are_summed_up() {
        let entries = json!([
            { "op": "Read", "value": 5 }, { "op": "Write", "value": 7 },
            { "op": "read", "value": 1 }, { "op": "Total", "value": 13 },
        ]);
        assert_eq!(block(&entries), (6, 7));
        assert_eq!(block(&Value::Null), (0, 0));
    }
}
