//! Turns `linux.cgroupsPath` and `linux.resources` into writes to cgroup files.
//!
//! The plan does not know the host, where each controller lives in cgroup v2 or in a v1 hierarchy:
//! it says what is to be written in either case, and what cannot be done in one of them.
//!
//! Runs in: parent. Pure: nothing here touches the system; `crate::cgroup` carries the writes out.
//!
//! File names and value ranges: Documentation/admin-guide/cgroup-v2.rst of the kernel.

mod location;
mod merge;
pub(crate) mod systemd;
mod v1;

pub(crate) use location::{Location, location};
pub(crate) use merge::merge;
pub(crate) use v1::in_v1;

use super::device_rules::{self, DeviceRule};
use anyhow::{Result, bail, ensure};
use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxHugepageLimit, LinuxMemory, LinuxNetwork, LinuxResources,
    LinuxThrottleDevice,
};

/// Who makes the cgroup: `--cgroup-manager`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Driver {
    /// We make directories in the cgroup file system ourselves.
    Cgroupfs,
    /// systemd makes a unit for the container.
    Systemd,
    /// The container stays in the cgroup of its caller; limits are not applied.
    Disabled,
}

/// What to do when one write cannot be done as planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// It is an error.
    Fail,
    /// Nothing, when the file does not exist: the kernel lacks a feature which is not needed then.
    SkipMissing,
    /// Nothing, when the kernel answers EINVAL: a later write in the list repeats it.
    SkipRefused,
    /// Another file, when the first does not exist.
    Instead { file: &'static str, value: String },
}

/// One write(2) to one file of the cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    /// Name of the controller in its version of cgroups; "cgroup" for v2's core files.
    pub(crate) controller: String,
    pub(crate) file: String,
    pub(crate) value: String,
    /// The config field, for error messages.
    pub(crate) field: String,
    pub(crate) otherwise: Otherwise,
    /// The value is what a fresh cgroup has: "no limit". Without the controller there is nothing
    /// to do, and engines write such values all the time.
    pub(crate) is_default: bool,
}

/// A field that the controller does not have in one version of cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) version: Version,
    /// By its name there.
    pub(crate) controller: String,
    /// The error.
    pub(crate) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// New limits that must be above the present usage (`memory.checkBeforeUpdate`), in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UsageCheck {
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) memory_and_swap_bytes: Option<u64>,
}

/// Everything that `linux.resources` asks for, in the order in which it must be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    /// For controllers in cgroup v2.
    pub(crate) writes: Vec<Write>,
    /// For controllers in v1 hierarchies.
    pub(crate) v1: Vec<Write>,
    pub(crate) refused: Vec<Refusal>,
    /// In order; the first one denies everything. `None` leaves the device filter as it is.
    pub(crate) devices: Option<Vec<DeviceRule>>,
    pub(crate) usage_check: Option<UsageCheck>,
    /// Fields which have no effect, as texts for the log.
    pub(crate) warnings: Vec<String>,
}

/// What `pids.limit` 0 means.
///
/// Up to runtime-spec 1.2 the field could not be told from an absent one, and engines wrote 0 for
/// "not set". From 1.3 on it is a limit. oci-spec gives 0 for an absent field, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ZeroPids {
    Unset,
    Limit,
}

const CPU_PERIOD_DEFAULT_US: u64 = 100_000;
const MAX: &str = "max";

/// Converts the resources to writes.
///
/// The spec was written for v1: what has a counterpart in v2 is converted as runc does it; what has
/// none is refused there (config-linux.md, "Unified": "If the conversion is not possible the
/// runtime MUST generate an error") unless its value is neutral, and a warning where the spec
/// itself calls the field obsolete.
pub(crate) fn limits(resources: &LinuxResources, zero_pids: ZeroPids) -> Result<Limits> {
    let mut limits = Limits {
        devices: Some(device_rules::rules(resources.devices().as_deref().unwrap_or_default())?),
        ..Limits::default()
    };
    if let Some(pids) = resources.pids() {
        pids_limit(pids.limit(), zero_pids, &mut limits);
    }
    if let Some(memory) = resources.memory() {
        memory_limits(memory, &mut limits)?;
    }
    if let Some(io) = resources.block_io() {
        io_limits(io, &mut limits)?;
    }
    if let Some(cpu) = resources.cpu() {
        cpu_limits(cpu, &mut limits)?;
        cpuset_limits(cpu, &mut limits)?;
    }
    for (index, page) in resources.hugepage_limits().iter().flatten().enumerate() {
        hugetlb_limit(index, page, &mut limits)?;
    }
    rdma_limits(resources, &mut limits)?;
    if let Some(network) = resources.network() {
        refuse_network(network, &mut limits);
    }
    // Last, so that they win over the converted values.
    let first = limits.writes.len();
    unified(resources, &mut limits)?;
    // Never quietly dropped: "The runtime MUST generate an error when the configuration refers to
    // a cgroup controller that is not present" (config-linux.md, "Unified").
    limits.writes.iter_mut().skip(first).for_each(|write| write.is_default = false);
    v1::add(resources, zero_pids, first, &mut limits)?;
    Ok(limits)
}

impl Limits {
    /// Appends a write for "linux.resources.FIELD" which must succeed.
    fn push(&mut self, file: &str, value: impl Into<String>, field: &str) {
        self.push_or(file, value, field, Otherwise::Fail);
    }

    fn refuse(&mut self, version: Version, controller: &str, text: impl Into<String>) {
        let (controller, text) = (controller.to_owned(), text.into());
        self.refused.push(Refusal { version, controller, text });
    }

    fn push_or(&mut self, file: &str, value: impl Into<String>, field: &str, otherwise: Otherwise) {
        let value = value.into();
        let is_default = match file {
            "memory.max" | "memory.swap.max" | "pids.max" => value == MAX,
            "cpu.max" => value == "max 100000",
            "cpu.weight" | "io.bfq.weight" => value == "100",
            "cpu.idle" | "cpu.max.burst" => value == "0",
            "io.max" => value.ends_with("=max"),
            name => name.starts_with("hugetlb.") && value == MAX,
        };
        self.writes.push(Write {
            controller: file.split('.').next().unwrap_or_default().to_owned(),
            file: file.to_owned(),
            value,
            field: format!("linux.resources.{field}"),
            otherwise,
            is_default,
        });
    }
}

fn pids_limit(limit: i64, zero: ZeroPids, limits: &mut Limits) {
    let value = match (limit, zero) {
        (0, ZeroPids::Unset) => return,
        // systemd refuses TasksMax=0; 1 says the same, since init itself is one. As runc.
        (0, ZeroPids::Limit) => "1".to_owned(),
        (..0, _) => MAX.to_owned(),
        (1.., _) => limit.to_string(),
    };
    limits.push("pids.max", value, "pids.limit");
}

/// Bytes for a limit file: `None` for 0 (not set), "max" for -1.
fn bytes(value: Option<i64>, field: &str) -> Result<Option<String>> {
    match value {
        None | Some(0) => Ok(None),
        Some(-1) => Ok(Some(MAX.to_owned())),
        Some(bytes @ 1..) => Ok(Some(bytes.to_string())),
        Some(bytes) => {
            bail!("linux.resources.{field}: {bytes} is neither a number of bytes nor -1 (no limit)")
        }
    }
}

fn memory_limits(memory: &LinuxMemory, limits: &mut Limits) -> Result<()> {
    let max = bytes(memory.limit(), "memory.limit")?;
    if let Some(swap) = swap_bytes(memory)? {
        // Without swap accounting there is no file, and then there is nothing to forbid or allow.
        let moot = swap == MAX || swap == "0";
        let otherwise = if moot { Otherwise::SkipMissing } else { Otherwise::Fail };
        limits.push_or("memory.swap.max", swap, "memory.swap", otherwise);
    }
    if let Some(max) = max {
        limits.push("memory.max", max, "memory.limit");
    }
    if let Some(low) = bytes(memory.reservation(), "memory.reservation")? {
        limits.push("memory.low", low, "memory.reservation");
    }
    if memory.check_before_update() == Some(true) {
        let positive =
            |value: Option<i64>| value.and_then(|v| u64::try_from(v).ok()).filter(|v| *v > 0);
        limits.usage_check = Some(UsageCheck {
            memory_bytes: positive(memory.limit()),
            memory_and_swap_bytes: positive(memory.swap()),
        });
    }
    for (value, field, place) in [
        (memory.kernel(), "kernel", "the kernel has no separate limit for it any more"),
        (memory.kernel_tcp(), "kernelTCP", "where the memory controller is in cgroup v2"),
    ] {
        if value.is_some_and(|bytes| bytes > 0) {
            limits.warnings.push(format!("linux.resources.memory.{field}: ignored, {place}"));
        }
    }
    // An engine's "not set" is -1, in a field without sign.
    let swappiness = memory.swappiness().filter(|value| *value != u64::MAX).unwrap_or(0);
    ensure!(
        swappiness <= 200,
        "linux.resources.memory.swappiness: {swappiness} is not between 0 and 200"
    );
    if swappiness > 0 {
        let text = "linux.resources.memory.swappiness: cgroup v2 has no such setting";
        limits.refuse(Version::V2, "memory", text);
    }
    if memory.disable_oom_killer() == Some(true) {
        let text =
            "linux.resources.memory.disableOOMKiller: cgroup v2 cannot disable the OOM killer";
        limits.refuse(Version::V2, "memory", text);
    }
    Ok(())
}

/// The spec's `swap` is memory plus swap, memory.swap.max is swap alone.
fn swap_bytes(memory: &LinuxMemory) -> Result<Option<String>> {
    let limit = memory.limit().unwrap_or(0);
    let swap = memory.swap().unwrap_or(0);
    Ok(match (limit, swap) {
        // v1 could not have unlimited memory with limited memory+swap: both are meant. As runc.
        (-1, 0) | (_, -1) => Some(MAX.to_owned()),
        (_, 0) => None,
        (_, ..0) => {
            bail!(
                "linux.resources.memory.swap: {swap} is neither a number of bytes nor -1 (no limit)"
            )
        }
        (-1, _) => Some(swap.to_string()),
        (0, _) => bail!(
            "linux.resources.memory.swap: is memory plus swap and needs linux.resources.memory.limit"
        ),
        (..0, _) => None, // the limit itself is refused by the caller
        (1.., _) => {
            ensure!(
                swap >= limit,
                "linux.resources.memory.swap: {swap} is memory plus swap and must not be less than \
                 linux.resources.memory.limit, {limit}"
            );
            Some((swap - limit).to_string())
        }
    })
}

fn io_limits(io: &LinuxBlockIo, limits: &mut Limits) -> Result<()> {
    refuse_leaf_weight(io.leaf_weight(), "blockIO.leafWeight", limits);
    if let Some(weight) = io.weight().filter(|weight| *weight != 0) {
        let field = "blockIO.weight";
        check_io_weight(weight, field)?;
        let otherwise = Otherwise::Instead { file: "io.weight", value: iocost(weight).to_string() };
        limits.push_or("io.bfq.weight", weight.to_string(), field, otherwise);
    }
    for (index, device) in io.weight_device().iter().flatten().enumerate() {
        refuse_leaf_weight(
            device.leaf_weight(),
            &format!("blockIO.weightDevice[{index}].leafWeight"),
            limits,
        );
        if let Some(weight) = device.weight().filter(|weight| *weight != 0) {
            let field = format!("blockIO.weightDevice[{index}].weight");
            check_io_weight(weight, &field)?;
            let device = format!("{}:{}", device.major(), device.minor());
            let value = format!("{device} {}", iocost(weight));
            let otherwise = Otherwise::Instead { file: "io.weight", value };
            limits.push_or("io.bfq.weight", format!("{device} {weight}"), &field, otherwise);
        }
    }
    let lists: [(&Option<Vec<LinuxThrottleDevice>>, &str, &str); 4] = [
        (io.throttle_read_bps_device(), "rbps", "throttleReadBpsDevice"),
        (io.throttle_write_bps_device(), "wbps", "throttleWriteBpsDevice"),
        (io.throttle_read_iops_device(), "riops", "throttleReadIOPSDevice"),
        (io.throttle_write_iops_device(), "wiops", "throttleWriteIOPSDevice"),
    ];
    for (devices, key, name) in lists {
        for (index, device) in devices.iter().flatten().enumerate() {
            // 0 took a limit away in v1; io.max wants the word.
            let rate = if device.rate() == 0 { MAX.to_owned() } else { device.rate().to_string() };
            let value = format!("{}:{} {key}={rate}", device.major(), device.minor());
            limits.push("io.max", value, &format!("blockIO.{name}[{index}]"));
        }
    }
    Ok(())
}

fn check_io_weight(weight: u16, field: &str) -> Result<()> {
    ensure!((10..=1000).contains(&weight), "linux.resources.{field}: {weight} is outside 10..1000");
    Ok(())
}

/// The scale of io.weight, 1..10000. BFQ kept that of v1, 10..1000.
fn iocost(weight: u16) -> u64 {
    1 + (u64::from(weight) - 10) * 9999 / 990
}

fn refuse_leaf_weight(weight: Option<u16>, field: &str, limits: &mut Limits) {
    if weight.unwrap_or(0) != 0 {
        let why = "cgroup v2 has no such setting, processes live in leaves only";
        limits.refuse(Version::V2, "io", format!("linux.resources.{field}: {why}"));
    }
}

/// cgroup v1 `cpu.shares` (2..262144, default 1024) as v2 `cpu.weight` (1..10000, default 100).
///
/// A quadratic in log2 that meets all three points exactly: the formula of runc since
/// 1.3.2 and crun since 1.23. The linear one before gave the default 1024 a weight of 39.
pub(crate) fn weight(shares: u64) -> u64 {
    let shares = match u32::try_from(shares) {
        Ok(..=2) => return 1,
        Ok(shares @ 3..262_144) => f64::from(shares),
        _ => return 10_000,
    };
    let log2 = shares.log2();
    let exponent = (log2 * log2 + 125.0 * log2) / 612.0 - 7.0 / 34.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "10^x for x in 0..4 is in 1..10000"
    )]
    let weight = 10_f64.powf(exponent).ceil() as u64;
    weight
}

fn cpu_limits(cpu: &LinuxCpu, limits: &mut Limits) -> Result<()> {
    for (is_set, field) in [
        (cpu.realtime_runtime().unwrap_or(0) != 0, "realtimeRuntime"),
        (cpu.realtime_period().unwrap_or(0) != 0, "realtimePeriod"),
    ] {
        if is_set {
            let why = "cgroup v2 does not limit realtime processes";
            limits.refuse(Version::V2, "cpu", format!("linux.resources.cpu.{field}: {why}"));
        }
    }
    // Before the weight: the kernel refuses a weight while idle is 1.
    if let Some(idle) = cpu.idle() {
        ensure!(matches!(idle, 0 | 1), "linux.resources.cpu.idle: {idle} is neither 0 nor 1");
        limits.push_or("cpu.idle", idle.to_string(), "cpu.idle", unless_zero(idle == 0));
    }
    if let Some(shares) = cpu.shares().filter(|shares| *shares != 0)
        && cpu.idle() != Some(1)
    {
        limits.push("cpu.weight", weight(shares).to_string(), "cpu.shares");
    }
    let quota_us = cpu.quota().unwrap_or(0);
    let period_us = cpu.period().unwrap_or(0);
    if period_us != 0 {
        ensure!(
            (1_000..=1_000_000).contains(&period_us),
            "linux.resources.cpu.period: {period_us} is outside 1000..1000000 (microseconds)"
        );
    }
    ensure!(
        !(1..1_000).contains(&quota_us),
        "linux.resources.cpu.quota: {quota_us} is below the kernel's minimum of 1000 (microseconds)"
    );
    let burst_us = cpu.burst();
    if let (Some(burst), Ok(quota @ 1..)) = (burst_us, u64::try_from(quota_us)) {
        ensure!(
            burst <= quota,
            "linux.resources.cpu.burst: {burst} is larger than linux.resources.cpu.quota, {quota}"
        );
    }
    let sets_max = quota_us != 0 || period_us != 0;
    if sets_max {
        // The kernel wants burst <= quota at every moment. When both shrink the burst must go
        // first, when both grow it must go last: try it first, repeat it after.
        if let Some(burst) = burst_us {
            let otherwise =
                if burst == 0 { Otherwise::SkipMissing } else { Otherwise::SkipRefused };
            limits.push_or("cpu.max.burst", burst.to_string(), "cpu.burst", otherwise);
        }
        let quota = if quota_us > 0 { quota_us.to_string() } else { MAX.to_owned() };
        let period = if period_us == 0 { CPU_PERIOD_DEFAULT_US } else { period_us };
        let field = if quota_us == 0 { "cpu.period" } else { "cpu.quota" };
        limits.push("cpu.max", format!("{quota} {period}"), field);
    }
    if let Some(burst) = burst_us.filter(|burst| *burst != 0 || !sets_max) {
        let otherwise = unless_zero(burst == 0);
        limits.push_or("cpu.max.burst", burst.to_string(), "cpu.burst", otherwise);
    }
    Ok(())
}

/// cpu.max.burst is there since Linux 5.14, cpu.idle since 5.15: before that, off is what it was.
fn unless_zero(is_zero: bool) -> Otherwise {
    if is_zero { Otherwise::SkipMissing } else { Otherwise::Fail }
}

fn cpuset_limits(cpu: &LinuxCpu, limits: &mut Limits) -> Result<()> {
    for (list, name) in [(cpu.cpus(), "cpus"), (cpu.mems(), "mems")] {
        let Some(list) = list.as_deref().filter(|list| !list.is_empty()) else { continue };
        // bitmap_parselist() of the kernel: numbers, ranges, groups ("0-31:1/2"), "all".
        ensure!(
            list.bytes().all(|b| b.is_ascii_alphanumeric() || b"-,:/ ".contains(&b)),
            "linux.resources.cpu.{name}: {list:?} is not a list like \"0-3,7\""
        );
        limits.push(&format!("cpuset.{name}"), list, &format!("cpu.{name}"));
    }
    Ok(())
}

fn hugetlb_limit(index: usize, page: &LinuxHugepageLimit, limits: &mut Limits) -> Result<()> {
    let field = format!("hugepageLimits[{index}].limit");
    let size = page.page_size();
    let number = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit));
    ensure!(
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())),
        "linux.resources.hugepageLimits[{index}].pageSize: {size:?} is not a size like \"2MB\""
    );
    let value = if page.limit() < 0 { MAX.to_owned() } else { page.limit().to_string() };
    limits.push(&format!("hugetlb.{size}.max"), value.as_str(), &field);
    // Reservations are refused at mmap(2) time instead of by SIGBUS later; since Linux 5.7.
    let file = format!("hugetlb.{size}.rsvd.max");
    limits.push_or(&file, value, &field, Otherwise::SkipMissing);
    Ok(())
}

fn rdma_limits(resources: &LinuxResources, limits: &mut Limits) -> Result<()> {
    let mut devices: Vec<_> = resources.rdma().iter().flatten().collect();
    devices.sort_by_key(|(name, _)| name.as_str());
    for (name, limit) in devices {
        let field = format!("rdma[{name:?}]");
        ensure!(
            !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '\0'),
            "linux.resources.{field}: is not a device name"
        );
        let mut value = name.clone();
        for (key, number) in
            [("hca_handle", limit.hca_handles()), ("hca_object", limit.hca_objects())]
        {
            if let Some(number) = number {
                value.push_str(&format!(" {key}={number}"));
            }
        }
        ensure!(
            value.len() > name.len(),
            "linux.resources.{field}: needs hcaHandles, hcaObjects, or both"
        );
        limits.push("rdma.max", value, &field);
    }
    Ok(())
}

fn refuse_network(network: &LinuxNetwork, limits: &mut Limits) {
    if network.class_id().unwrap_or(0) != 0 {
        let text = "linux.resources.network.classID: cgroup v2 has no net_cls controller";
        limits.refuse(Version::V2, "net_cls", text);
    }
    if network.priorities().as_ref().is_some_and(|list| !list.is_empty()) {
        let text = "linux.resources.network.priorities: cgroup v2 has no net_prio controller";
        limits.refuse(Version::V2, "net_prio", text);
    }
}

fn unified(resources: &LinuxResources, limits: &mut Limits) -> Result<()> {
    let mut files: Vec<_> = resources.unified().iter().flatten().collect();
    files.sort();
    for (file, value) in files {
        let field = format!("unified[{file:?}]");
        ensure!(
            !file.contains('/'),
            "linux.resources.{field}: is a file of the cgroup and must not contain a slash"
        );
        ensure!(
            file.split_once('.').is_some_and(|(controller, name)| {
                !controller.is_empty() && !name.is_empty() && !file.contains(['\0', '\n'])
            }),
            "linux.resources.{field}: is not of the form \"controller.parameter\""
        );
        ensure!(
            !matches!(file.as_str(), "cgroup.procs" | "cgroup.threads" | "cgroup.kill"),
            "linux.resources.{field}: acts on processes and is not a parameter"
        );
        ensure!(!value.contains('\0'), "linux.resources.{field}: the value contains a NUL byte");
        // io.max and its like take one device per write(2).
        let mut lines: Vec<&str> = value.lines().filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            lines.push("");
        }
        for line in lines {
            limits.push(file, line, &field);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
