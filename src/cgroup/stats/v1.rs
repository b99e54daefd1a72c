//! The same numbers from controllers in v1 hierarchies, in which runc's names were born.
//!
//! Runs in: parent. Files and units: Documentation/admin-guide/cgroup-v1 of the kernel.

use super::{
    Blkio, BlkioEntry, Cpu, CpuUsage, Cpuset, Hugetlb, Memory, MemoryEntry, Pids, Throttling, key,
    list, number, page_sizes, text,
};
use crate::cgroup::v1::Tree;
use crate::cgroup::v2::Dir;
use anyhow::Result;
use std::collections::BTreeMap;

/// `None`: the controller is not in v1.
pub(super) fn cpu(tree: &Tree) -> Result<Option<Cpu>> {
    let (Some(cpu), Some(acct)) = (tree.with("cpu"), tree.with("cpuacct")) else {
        return Ok(None);
    };
    let stat = text(cpu, "cpu.stat")?;
    let of = |file: &str| Ok::<_, anyhow::Error>(number(&text(acct, file)?));
    let each = text(acct, "cpuacct.usage_percpu")?;
    Ok(Some(Cpu {
        usage: CpuUsage {
            total: of("cpuacct.usage")?,
            percpu: each.split_whitespace().map(number).collect(),
            kernel: of("cpuacct.usage_sys")?,
            user: of("cpuacct.usage_user")?,
        },
        throttling: Throttling {
            periods: key(&stat, "nr_periods"),
            throttled_periods: key(&stat, "nr_throttled"),
            throttled_time: key(&stat, "throttled_time"),
        },
        psi: None,
    }))
}

pub(super) fn cpuset(tree: &Tree) -> Result<Option<Cpuset>> {
    let Some(dir) = tree.with("cpuset") else { return Ok(None) };
    let of = |file: &str| Ok::<_, anyhow::Error>(number(&text(dir, file)?));
    Ok(Some(Cpuset {
        cpus: list(&text(dir, "cpuset.cpus")?),
        cpu_exclusive: of("cpuset.cpu_exclusive")?,
        mems: list(&text(dir, "cpuset.mems")?),
        mem_hardwall: of("cpuset.mem_hardwall")?,
        mem_exclusive: of("cpuset.mem_exclusive")?,
        memory_migrate: of("cpuset.memory_migrate")?,
        memory_spread_page: of("cpuset.memory_spread_page")?,
        memory_spread_slab: of("cpuset.memory_spread_slab")?,
        memory_pressure: of("cpuset.memory_pressure")?,
        sched_load_balance: of("cpuset.sched_load_balance")?,
        sched_relax_domain_level: text(dir, "cpuset.sched_relax_domain_level")?
            .trim()
            .parse()
            .unwrap_or(0),
    }))
}

pub(super) fn memory(tree: &Tree) -> Result<Option<Memory>> {
    let Some(dir) = tree.with("memory") else { return Ok(None) };
    let stat = text(dir, "memory.stat")?;
    let raw: BTreeMap<String, u64> = stat
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect();
    let entry = |name: &str| {
        let of = |file: &str| {
            Ok::<_, anyhow::Error>(number(&text(dir, &format!("memory.{name}{file}"))?))
        };
        Ok::<_, anyhow::Error>(MemoryEntry {
            limit: of("limit_in_bytes")?,
            usage: of("usage_in_bytes")?,
            max: of("max_usage_in_bytes")?,
            failcnt: of("failcnt")?,
        })
    };
    Ok(Some(Memory {
        cache: raw.get("cache").copied().unwrap_or(0),
        usage: entry("")?,
        swap: entry("memsw.")?,
        kernel: entry("kmem.")?,
        kernel_tcp: entry("kmem.tcp.")?,
        raw,
        psi: None,
    }))
}

pub(super) fn pids(tree: &Tree) -> Result<Option<Pids>> {
    tree.with("pids").map(super::pids).transpose()
}

pub(super) fn blkio(tree: &Tree) -> Result<Option<Blkio>> {
    let Some(dir) = tree.with("blkio") else { return Ok(None) };
    // What the throttling layer counts is there with every scheduler.
    Ok(Some(Blkio {
        io_service_bytes_recursive: entries(&text(
            dir,
            "blkio.throttle.io_service_bytes_recursive",
        )?),
        io_serviced_recursive: entries(&text(dir, "blkio.throttle.io_serviced_recursive")?),
        psi: None,
    }))
}

/// "8:0 Read 4096", and a line "Total ..." without device.
fn entries(text: &str) -> Vec<BlkioEntry> {
    let known = ["Read", "Write", "Sync", "Async", "Discard", "Total"];
    let entry = |line: &str| {
        let mut fields = line.split_whitespace();
        let (major, minor) = fields.next()?.split_once(':')?;
        let name = fields.next()?;
        let op = known.into_iter().find(|op| *op == name)?;
        let value = number(fields.next()?);
        Some(BlkioEntry { major: number(major), minor: number(minor), op, value })
    };
    text.lines().filter_map(entry).collect()
}

pub(super) fn hugetlb(dir: Dir<'_>) -> Result<BTreeMap<String, Hugetlb>> {
    let mut sizes = BTreeMap::new();
    for size in page_sizes() {
        let usage = text(dir, &format!("hugetlb.{size}.usage_in_bytes"))?;
        if usage.is_empty() {
            continue;
        }
        let of = |file: &str| {
            Ok::<_, anyhow::Error>(number(&text(dir, &format!("hugetlb.{size}.{file}"))?))
        };
        let (max, failcnt) = (of("max_usage_in_bytes")?, of("failcnt")?);
        sizes.insert(size, Hugetlb { usage: number(&usage), max, failcnt });
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_devices_are_read_and_the_sum_is_left_out() {
        let found = entries("8:0 Read 4096\n8:0 Total 4096\n253:16 Write 1\nTotal 4097\n");
        let shown: Vec<_> = found.iter().map(|e| (e.major, e.minor, e.op, e.value)).collect();
        assert_eq!(shown, [(8, 0, "Read", 4096), (8, 0, "Total", 4096), (253, 16, "Write", 1)]);
    }
}
