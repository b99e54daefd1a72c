//! What a cgroup uses: the "data" of `rt events --stats`, and the watch for the OOM killer.
//!
//! Runs in: parent. Privilege: read access.
//!
//! Names, nesting and units are those of runc's `types.Stats`, which tools parse; they come from
//! cgroup v1. What v2 does not count is left out or 0. A missing file is a missing controller.

mod v1;

use super::Cgroup;
use super::v2::{Dir, failed, find_key, reread};
use crate::sys::{self, Call as _};
use anyhow::Result;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::poll::{PollFd, PollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::stat::Mode;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _};

#[derive(Debug, Default, Serialize, PartialEq)]
pub(crate) struct Stats {
    cpu: Cpu,
    cpuset: Cpuset,
    memory: Memory,
    pids: Pids,
    blkio: Blkio,
    hugetlb: BTreeMap<String, Hugetlb>,
    intel_rdt: IntelRdt,
    /// Always null: the runtime makes no interfaces, and runc lists only those which it made.
    network_interfaces: Option<Vec<()>>,
}

#[derive(Debug, Default, Serialize, PartialEq)]
struct IntelRdt {}

#[derive(Debug, Default, Serialize, PartialEq)]
struct Cpu {
    usage: CpuUsage,
    throttling: Throttling,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

/// Nanoseconds.
#[derive(Debug, Default, Serialize, PartialEq)]
struct CpuUsage {
    #[serde(skip_serializing_if = "is_zero")]
    total: u64,
    /// Not counted by v2.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu: Vec<u64>,
    kernel: u64,
    user: u64,
}

#[derive(Debug, Default, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Throttling {
    #[serde(skip_serializing_if = "is_zero")]
    periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    throttled_periods: u64,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "is_zero")]
    throttled_time: u64,
}

/// Pressure stall information, Documentation/accounting/psi.rst. Averages in percent, total in us.
#[derive(Debug, Default, Serialize, PartialEq)]
struct Psi {
    some: PsiLine,
    full: PsiLine,
}

#[derive(Debug, Default, Serialize, PartialEq)]
struct PsiLine {
    avg10: f64,
    avg60: f64,
    avg300: f64,
    total: u64,
}

/// All but the two lists are switches of v1.
#[derive(Debug, Default, Serialize, PartialEq)]
struct Cpuset {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cpus: Vec<u16>,
    cpu_exclusive: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mems: Vec<u16>,
    mem_hardwall: u64,
    mem_exclusive: u64,
    memory_migrate: u64,
    memory_spread_page: u64,
    memory_spread_slab: u64,
    memory_pressure: u64,
    sched_load_balance: u64,
    sched_relax_domain_level: i64,
}

#[derive(Debug, Default, Serialize, PartialEq)]
struct Memory {
    #[serde(skip_serializing_if = "is_zero")]
    cache: u64,
    usage: MemoryEntry,
    /// Memory plus swap, as in v1.
    swap: MemoryEntry,
    kernel: MemoryEntry,
    #[serde(rename = "kernelTCP")]
    kernel_tcp: MemoryEntry,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    raw: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

/// Bytes; `u64::MAX` is no limit.
#[derive(Debug, Default, Serialize, PartialEq)]
struct MemoryEntry {
    limit: u64,
    #[serde(skip_serializing_if = "is_zero")]
    usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max: u64,
    failcnt: u64,
}

#[derive(Debug, Default, Serialize, PartialEq)]
struct Pids {
    #[serde(skip_serializing_if = "is_zero")]
    current: u64,
    /// 0 is no limit.
    #[serde(skip_serializing_if = "is_zero")]
    limit: u64,
}

#[derive(Debug, Default, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Blkio {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_service_bytes_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_serviced_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

#[derive(Debug, Default, Serialize, PartialEq)]
struct BlkioEntry {
    #[serde(skip_serializing_if = "is_zero")]
    major: u64,
    #[serde(skip_serializing_if = "is_zero")]
    minor: u64,
    op: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    value: u64,
}

#[derive(Debug, Default, Serialize, PartialEq)]
struct Hugetlb {
    #[serde(skip_serializing_if = "is_zero")]
    usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max: u64,
    failcnt: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Cgroup {
    /// What the container uses now.
    pub(crate) fn stats(&self) -> Result<Stats> {
        let dir = self.at();
        let tree = &self.v1;
        let cpu = match v1::cpu(tree)? {
            Some(cpu) => cpu,
            None => cpu(&text(dir, "cpu.stat")?, &text(dir, "cpu.pressure")?),
        };
        let cpuset = match v1::cpuset(tree)? {
            Some(cpuset) => cpuset,
            None => Cpuset {
                cpus: list(&text(dir, "cpuset.cpus.effective")?),
                mems: list(&text(dir, "cpuset.mems.effective")?),
                ..Cpuset::default()
            },
        };
        let memory = match v1::memory(tree)? {
            Some(memory) => memory,
            None => memory(|file| text(dir, file))?,
        };
        let blkio = match v1::blkio(tree)? {
            Some(blkio) => blkio,
            None => blkio(&text(dir, "io.stat")?, &text(dir, "io.pressure")?),
        };
        let hugetlb = match tree.with("hugetlb") {
            Some(dir) => v1::hugetlb(dir)?,
            None => hugetlb(dir)?,
        };
        let pids = v1::pids(tree)?.map_or_else(|| pids(dir), Ok)?;
        Ok(Stats { cpu, cpuset, memory, pids, blkio, hugetlb, ..Stats::default() })
    }

    /// Starts to watch for kills by the OOM killer; `None` without a memory controller.
    pub(crate) fn watch_oom(&self) -> Result<Option<OomWatch>> {
        let open = |dir: Dir<'_>, file: &str| {
            openat(dir.fd, file, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
                .map(File::from)
                .map_err(|errno| sys::Error::new(format!("open({:?})", dir.path.join(file)), errno))
        };
        let v1 = self.v1.with("memory");
        let (dir, file) =
            v1.map_or((self.at(), "memory.events"), |dir| (dir, "memory.oom_control"));
        let memory = match open(dir, file) {
            Err(err) if err.errno == Errno::ENOENT => return Ok(None),
            other => other?,
        };
        let alarm = v1.map(|dir| alarm(dir, &memory)).transpose()?;
        let cgroup = open(self.at(), "cgroup.events")?;
        let mut watch = OomWatch { memory, alarm, cgroup, kills: 0 };
        watch.look()?;
        Ok(Some(watch))
    }
}

/// An eventfd(2) that the kernel rings when a v1 cgroup has no memory left: memory.rst, "Memory
/// thresholds" and "OOM Control".
fn alarm(dir: Dir<'_>, oom_control: &File) -> Result<EventFd> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let alarm = EventFd::from_value_and_flags(0, flags).call(|| "eventfd()".into())?;
    let line = format!("{} {}", alarm.as_fd().as_raw_fd(), oom_control.as_raw_fd());
    dir.write("cgroup.event_control", &line)?;
    Ok(alarm)
}

/// A file's text, empty when the file is not there or cannot be read on this kernel.
fn text(dir: Dir<'_>, file: &str) -> Result<String> {
    match dir.read(file) {
        Ok(text) => Ok(text),
        // EOPNOTSUPP: pressure files when the kernel was booted without psi=1.
        Err(err) if matches!(err.errno, Errno::ENOENT | Errno::ENODEV | Errno::EOPNOTSUPP) => {
            Ok(String::new())
        }
        Err(err) => Err(err.into()),
    }
}

fn number(text: &str) -> u64 {
    match text.trim() {
        "max" => u64::MAX,
        digits => digits.parse().unwrap_or(0),
    }
}

fn key(text: &str, key: &str) -> u64 {
    find_key(text, key).unwrap_or(0)
}

fn cpu(stat: &str, pressure: &str) -> Cpu {
    let ns = |name| key(stat, name).saturating_mul(1_000);
    Cpu {
        usage: CpuUsage {
            total: ns("usage_usec"),
            percpu: Vec::new(),
            kernel: ns("system_usec"),
            user: ns("user_usec"),
        },
        throttling: Throttling {
            periods: key(stat, "nr_periods"),
            throttled_periods: key(stat, "nr_throttled"),
            throttled_time: ns("throttled_usec"),
        },
        psi: psi(pressure),
    }
}

/// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and a line "full ...".
fn psi(text: &str) -> Option<Psi> {
    let line = |name: &str| {
        let fields = text.lines().find_map(|line| line.strip_prefix(name))?;
        let field = |key: &str| {
            fields.split_whitespace().find_map(|field| field.strip_prefix(key)?.strip_prefix('='))
        };
        let average = |key| field(key).and_then(|value| value.parse().ok()).unwrap_or(0.0);
        Some(PsiLine {
            avg10: average("avg10"),
            avg60: average("avg60"),
            avg300: average("avg300"),
            total: field("total").map_or(0, number),
        })
    };
    // Old kernels have no "full" line for cpu.
    line("some ").map(|some| Psi { some, full: line("full ").unwrap_or_default() })
}

/// "0-2,7" as numbers.
fn list(text: &str) -> Vec<u16> {
    let mut numbers = Vec::new();
    for range in text.trim().split(',') {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        if let (Ok(low), Ok(high)) = (low.parse::<u16>(), high.parse::<u16>()) {
            numbers.extend(low..=high);
        }
    }
    numbers
}

fn memory(text: impl Fn(&str) -> Result<String>) -> Result<Memory> {
    let stat = text("memory.stat")?;
    let raw: BTreeMap<String, u64> = stat
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect();
    let usage = MemoryEntry {
        limit: number(&text("memory.max")?),
        usage: number(&text("memory.current")?),
        max: number(&text("memory.peak")?),
        failcnt: key(&text("memory.events")?, "max"),
    };
    // Empty: the kernel does not account swap, and v1's sum is memory alone then, without limit.
    let swap_max = text("memory.swap.max")?;
    let swap_limit = number(&swap_max);
    let swap = if swap_max.is_empty() {
        MemoryEntry { limit: usage.limit, usage: usage.usage, ..MemoryEntry::default() }
    } else {
        MemoryEntry {
            limit: swap_limit.saturating_add(usage.limit),
            usage: number(&text("memory.swap.current")?).saturating_add(usage.usage),
            max: 0, // the two peaks were at different times
            failcnt: key(&text("memory.swap.events")?, "max"),
        }
    };
    let of = |name: &str| raw.get(name).copied().unwrap_or(0);
    Ok(Memory {
        cache: of("file"),
        kernel: MemoryEntry { usage: of("kernel"), ..MemoryEntry::default() },
        kernel_tcp: MemoryEntry { usage: of("sock"), ..MemoryEntry::default() },
        usage,
        swap,
        psi: psi(&text("memory.pressure")?),
        raw,
    })
}

fn pids(dir: Dir<'_>) -> Result<Pids> {
    let current = text(dir, "pids.current")?;
    if current.is_empty() {
        let count = u64::try_from(dir.pids()?.len()).unwrap_or(u64::MAX);
        return Ok(Pids { current: count, limit: 0 });
    }
    let limit = number(&text(dir, "pids.max")?);
    Ok(Pids { current: number(&current), limit: if limit == u64::MAX { 0 } else { limit } })
}

/// "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6".
fn blkio(stat: &str, pressure: &str) -> Blkio {
    let mut blkio = Blkio { psi: psi(pressure), ..Blkio::default() };
    for line in stat.lines() {
        let mut fields = line.split_whitespace();
        let Some((major, minor)) = fields.next().and_then(|device| device.split_once(':')) else {
            continue;
        };
        for (name, value) in fields.filter_map(|field| field.split_once('=')) {
            let (list, op) = match name {
                "rbytes" => (&mut blkio.io_service_bytes_recursive, "Read"),
                "wbytes" => (&mut blkio.io_service_bytes_recursive, "Write"),
                "dbytes" => (&mut blkio.io_service_bytes_recursive, "Discard"),
                "rios" => (&mut blkio.io_serviced_recursive, "Read"),
                "wios" => (&mut blkio.io_serviced_recursive, "Write"),
                "dios" => (&mut blkio.io_serviced_recursive, "Discard"),
                _ => continue, // cost.* of iocost
            };
            let (major, minor) = (number(major), number(minor));
            list.push(BlkioEntry { major, minor, op, value: number(value) });
        }
    }
    blkio
}

fn hugetlb(dir: Dir<'_>) -> Result<BTreeMap<String, Hugetlb>> {
    let mut sizes = BTreeMap::new();
    for size in page_sizes() {
        // What is reserved counts as used: it cannot be had by others.
        let mut usage = text(dir, &format!("hugetlb.{size}.rsvd.current"))?;
        if usage.is_empty() {
            usage = text(dir, &format!("hugetlb.{size}.current"))?;
        }
        if usage.is_empty() {
            continue;
        }
        let failcnt = key(&text(dir, &format!("hugetlb.{size}.events"))?, "max");
        sizes.insert(size, Hugetlb { usage: number(&usage), max: 0, failcnt });
    }
    Ok(sizes)
}

/// Every page size that the kernel has, in the cgroup's own words ("2MB").
fn page_sizes() -> Vec<String> {
    let Ok(list) = std::fs::read_dir("/sys/kernel/mm/hugepages") else { return Vec::new() };
    let size = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let kib = name.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?;
        Some(page_size(kib.parse().ok()?))
    };
    list.flatten().filter_map(size).collect()
}

/// As `hugetlb_cgroup_read` names its files.
fn page_size(kib: u64) -> String {
    match kib {
        1_048_576.. => format!("{}GB", kib >> 20),
        1_024.. => format!("{}MB", kib >> 10),
        _ => format!("{kib}KB"),
    }
}

/// Tells when the OOM killer strikes in a cgroup or below it, and when the cgroup is empty.
///
/// Poll what [`OomWatch::fds`] gives, then call [`OomWatch::look`].
#[derive(Debug)]
pub(crate) struct OomWatch {
    /// `memory.events`, or `memory.oom_control` of v1.
    memory: File,
    /// Rings for v1, whose files cannot be polled.
    alarm: Option<EventFd>,
    cgroup: File,
    kills: u64,
}

/// What a look at an [`OomWatch`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OomNews {
    /// Kills since the last look.
    pub(crate) kills: u64,
    /// No process is left, or the cgroup is gone: nothing more will come.
    pub(crate) ended: bool,
}

impl OomWatch {
    pub(crate) fn fds(&self) -> [PollFd<'_>; 2] {
        let memory = match &self.alarm {
            Some(alarm) => PollFd::new(alarm.as_fd(), PollFlags::POLLIN),
            None => PollFd::new(self.memory.as_fd(), PollFlags::POLLPRI),
        };
        [memory, PollFd::new(self.cgroup.as_fd(), PollFlags::POLLPRI)]
    }

    /// Reads both files, which also arms poll(2) for the next change.
    pub(crate) fn look(&mut self) -> Result<OomNews> {
        let read = |file: &mut File, name: &str| match reread(file) {
            Ok(text) => Ok(Some(text)),
            Err(err) if err.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(err) => Err(failed("read", name.as_ref(), "", &err)),
        };
        // Emptiness first: a kill that comes between the two reads is then still told.
        let populated =
            read(&mut self.cgroup, "cgroup.events")?.map_or(0, |text| key(&text, "populated"));
        if let Some(alarm) = &self.alarm {
            alarm.read().ok(); // EAGAIN: it did not ring
        }
        let kills = read(&mut self.memory, "memory.events")?
            .map_or(self.kills, |text| key(&text, "oom_kill"));
        let news = OomNews { kills: kills.saturating_sub(self.kills), ended: populated == 0 };
        self.kills = kills;
        Ok(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_times_are_nanoseconds() {
        let stat = "usage_usec 2000\nuser_usec 1500\nsystem_usec 500\nnr_periods 7\nnr_throttled 3\nthrottled_usec 12\n";
        let pressure = "some avg10=1.50 avg60=0.25 avg300=0.00 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=4\n";
        assert_eq!(
            serde_json::to_string(&cpu(stat, pressure)).unwrap(),
            r#"{"usage":{"total":2000000,"kernel":500000,"user":1500000},"throttling":{"periods":7,"throttledPeriods":3,"throttledTime":12000},"psi":{"some":{"avg10":1.5,"avg60":0.25,"avg300":0.0,"total":123},"full":{"avg10":0.0,"avg60":0.0,"avg300":0.0,"total":4}}}"#
        );
    }

    #[test]
    fn swap_is_memory_plus_swap() {
        let files = |file: &str| {
            Ok(match file {
                "memory.current" => "4096\n",
                "memory.max" => "8192\n",
                "memory.peak" => "5000\n",
                "memory.swap.current" => "100\n",
                "memory.swap.max" => "1000\n",
                "memory.events" => "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\n",
                "memory.stat" => "anon 1000\nfile 2000\nkernel 300\nsock 40\n",
                _ => "",
            }
            .to_owned())
        };
        assert_eq!(
            serde_json::to_string(&memory(files).unwrap()).unwrap(),
            r#"{"cache":2000,"usage":{"limit":8192,"usage":4096,"max":5000,"failcnt":9},"swap":{"limit":9192,"usage":4196,"failcnt":0},"kernel":{"limit":0,"usage":300,"failcnt":0},"kernelTCP":{"limit":0,"usage":40,"failcnt":0},"raw":{"anon":1000,"file":2000,"kernel":300,"sock":40}}"#
        );
    }

    #[test]
    fn no_memory_limit_is_the_largest_number_in_both_entries() {
        let files = |file: &str| {
            Ok(match file {
                "memory.max" | "memory.swap.max" => "max\n",
                "memory.current" => "1\n",
                _ => "",
            }
            .to_owned())
        };
        let memory = memory(files).unwrap();
        assert_eq!((memory.usage.limit, memory.swap.limit), (u64::MAX, u64::MAX));
    }

    #[test]
    fn io_counters_are_listed_by_operation() {
        let stat = "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0 cost.usage=5\n253:0 \n";
        assert_eq!(
            serde_json::to_string(&blkio(stat, "")).unwrap(),
            r#"{"ioServiceBytesRecursive":[{"major":8,"minor":16,"op":"Read","value":1},{"major":8,"minor":16,"op":"Write","value":2},{"major":8,"minor":16,"op":"Discard"}],"ioServicedRecursive":[{"major":8,"minor":16,"op":"Read","value":3},{"major":8,"minor":16,"op":"Write","value":4},{"major":8,"minor":16,"op":"Discard"}]}"#
        );
    }

    #[test]
    fn an_empty_cgroup_has_the_shape_that_tools_parse() {
        assert_eq!(
            serde_json::to_string(&Stats::default()).unwrap(),
            r#"{"cpu":{"usage":{"kernel":0,"user":0},"throttling":{}},"cpuset":{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,"memory_migrate":0,"memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":0,"sched_relax_domain_level":0},"memory":{"usage":{"limit":0,"failcnt":0},"swap":{"limit":0,"failcnt":0},"kernel":{"limit":0,"failcnt":0},"kernelTCP":{"limit":0,"failcnt":0}},"pids":{},"blkio":{},"hugetlb":{},"intel_rdt":{},"network_interfaces":null}"#
        );
    }

    #[test]
    fn lists_and_page_sizes_are_read_as_the_kernel_writes_them() {
        assert_eq!(list("0-2,7\n"), [0, 1, 2, 7]);
        assert_eq!(list("\n"), Vec::<u16>::new());
        assert_eq!([page_size(64), page_size(2048), page_size(1 << 20)], ["64KB", "2MB", "1GB"]);
    }
}
