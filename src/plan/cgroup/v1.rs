//! What `linux.resources` means for controllers that are mounted as cgroup v1.
//!
//! Runs in: parent. Pure. File names and units: Documentation/admin-guide/cgroup-v1 of the kernel.
//! The values themselves were checked by the conversion to v2.

use super::{Limits, Otherwise, Version, Write, ZeroPids, unless_zero};
use anyhow::Result;
use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxNetwork, LinuxResources, LinuxThrottleDevice,
};

/// `first_unified`: where the writes of `unified` begin.
pub(super) fn add(
    resources: &LinuxResources,
    zero_pids: ZeroPids,
    first_unified: usize,
    limits: &mut Limits,
) -> Result<()> {
    if let Some(pids) = resources.pids() {
        let mut like_v2 = Limits::default();
        super::pids_limit(pids.limit(), zero_pids, &mut like_v2);
        limits.v1.append(&mut like_v2.writes);
    }
    let mut writes = Writes(Vec::new());
    if let Some(memory) = resources.memory() {
        writes.memory(memory);
    }
    if let Some(cpu) = resources.cpu() {
        writes.cpu(cpu);
    }
    if let Some(io) = resources.block_io() {
        writes.blkio(io);
    }
    for (index, page) in resources.hugepage_limits().iter().flatten().enumerate() {
        let field = format!("hugepageLimits[{index}].limit");
        let value = if page.limit() < 0 { "-1".to_owned() } else { page.limit().to_string() };
        let size = page.page_size();
        writes.push(&format!("hugetlb.{size}.limit_in_bytes"), &value, &field);
        let reserved = format!("hugetlb.{size}.rsvd.limit_in_bytes");
        writes.push_or(&reserved, value, &field, Otherwise::SkipMissing);
    }
    if let Some(network) = resources.network() {
        writes.network(network);
    }
    limits.v1.append(&mut writes.0);
    // The same file and words in both versions.
    let rdma = limits.writes.iter().filter(|write| write.controller == "rdma");
    limits.v1.extend(rdma.cloned().collect::<Vec<_>>());
    let unified: Vec<Write> = limits.writes.iter().skip(first_unified).cloned().collect();
    for write in unified.iter().filter(|write| write.controller != "cgroup") {
        let controller = in_v1(&write.controller);
        let text = format!(
            "{}: the {controller} controller is mounted as cgroup v1 on this host, and \
             linux.resources.unified is for cgroup v2",
            write.field
        );
        limits.refuse(Version::V1, controller, text);
    }
    Ok(())
}

/// The v1 name of a v2 controller.
pub(crate) fn in_v1(controller: &str) -> &str {
    if controller == "io" { "blkio" } else { controller }
}

struct Writes(Vec<Write>);

impl Writes {
    fn push(&mut self, file: &str, value: impl ToString, field: &str) {
        self.push_or(file, value, field, Otherwise::Fail);
    }

    fn push_or(&mut self, file: &str, value: impl ToString, field: &str, otherwise: Otherwise) {
        let value = value.to_string();
        let is_default = match file {
            "cpu.shares" => value == "1024",
            "cpu.cfs_period_us" => value == "100000",
            "cpu.idle" | "cpu.cfs_burst_us" | "net_cls.classid" | "memory.oom_control" => {
                value == "0"
            }
            name => {
                let no_limit = name.starts_with("memory.")
                    || name.starts_with("hugetlb.")
                    || name == "cpu.cfs_quota_us";
                no_limit && value == "-1"
            }
        };
        self.0.push(Write {
            controller: file.split('.').next().unwrap_or_default().to_owned(),
            file: file.to_owned(),
            value,
            field: format!("linux.resources.{field}"),
            otherwise,
            is_default,
        });
    }

    fn memory(&mut self, memory: &LinuxMemory) {
        const LIMIT: &str = "memory.limit_in_bytes";
        let set = |value: Option<i64>| value.filter(|value| *value != 0);
        let limit = set(memory.limit());
        // Unlimited memory with limited memory+swap cannot be: both are meant, as in runc.
        let swap = set(memory.swap()).or(limit.filter(|limit| *limit == -1));
        match (limit, swap) {
            (Some(limit), Some(swap)) => {
                // The kernel wants limit <= memory+swap at every moment. When both shrink the
                // limit must go first, when both grow it must go last: try it first, repeat it.
                self.push_or(LIMIT, limit, "memory.limit", Otherwise::SkipRefused);
                // Without swap accounting there is no file, and no swap to forbid.
                let moot = swap == -1 || swap == limit;
                let otherwise = if moot { Otherwise::SkipMissing } else { Otherwise::Fail };
                self.push_or("memory.memsw.limit_in_bytes", swap, "memory.swap", otherwise);
                self.push(LIMIT, limit, "memory.limit");
            }
            (Some(limit), None) => self.push(LIMIT, limit, "memory.limit"),
            (None, Some(swap)) => self.push("memory.memsw.limit_in_bytes", swap, "memory.swap"),
            (None, None) => {}
        }
        if let Some(soft) = set(memory.reservation()) {
            self.push("memory.soft_limit_in_bytes", soft, "memory.reservation");
        }
        if let Some(tcp) = set(memory.kernel_tcp()) {
            self.push("memory.kmem.tcp.limit_in_bytes", tcp, "memory.kernelTCP");
        }
        // An engine's "not set" is -1, in a field without sign.
        if let Some(value) = memory.swappiness().filter(|value| *value <= 200) {
            self.push("memory.swappiness", value, "memory.swappiness");
        }
        if let Some(disable) = memory.disable_oom_killer() {
            let otherwise = unless_zero(!disable);
            self.push_or(
                "memory.oom_control",
                u8::from(disable),
                "memory.disableOOMKiller",
                otherwise,
            );
        }
    }

    fn cpu(&mut self, cpu: &LinuxCpu) {
        if let Some(idle) = cpu.idle() {
            self.push_or("cpu.idle", idle, "cpu.idle", unless_zero(idle == 0));
        }
        if let Some(shares) = cpu.shares().filter(|shares| *shares != 0)
            && cpu.idle() != Some(1)
        {
            self.push("cpu.shares", shares, "cpu.shares");
        }
        // Each pair in both orders: what is refused now, because of the old value of the other,
        // is written once more behind it.
        let period = cpu.period().filter(|period| *period != 0);
        let quota = cpu.quota().filter(|quota| *quota != 0);
        let burst = cpu.burst();
        let refused = || Otherwise::SkipRefused;
        if let Some(burst) = burst.filter(|_| quota.is_some()) {
            let first = if burst == 0 { Otherwise::SkipMissing } else { refused() };
            self.push_or("cpu.cfs_burst_us", burst, "cpu.burst", first);
        }
        if let (Some(period), Some(_)) = (period, quota) {
            self.push_or("cpu.cfs_period_us", period, "cpu.period", refused());
        }
        if let Some(quota) = quota {
            self.push("cpu.cfs_quota_us", quota, "cpu.quota");
        }
        if let Some(period) = period {
            self.push("cpu.cfs_period_us", period, "cpu.period");
        }
        if let Some(burst) = burst.filter(|burst| *burst != 0 || quota.is_none()) {
            self.push_or("cpu.cfs_burst_us", burst, "cpu.burst", unless_zero(burst == 0));
        }
        if let Some(period) = cpu.realtime_period().filter(|period| *period != 0) {
            self.push("cpu.rt_period_us", period, "cpu.realtimePeriod");
        }
        if let Some(runtime) = cpu.realtime_runtime().filter(|runtime| *runtime != 0) {
            self.push("cpu.rt_runtime_us", runtime, "cpu.realtimeRuntime");
        }
        for (list, name) in [(cpu.cpus(), "cpus"), (cpu.mems(), "mems")] {
            if let Some(list) = list.as_deref().filter(|list| !list.is_empty()) {
                self.push(&format!("cpuset.{name}"), list, &format!("cpu.{name}"));
            }
        }
    }

    fn blkio(&mut self, io: &LinuxBlockIo) {
        let set = |weight: Option<u16>| weight.filter(|weight| *weight != 0);
        // BFQ's file, or that of CFQ in kernels before 5.0.
        let weight = |writes: &mut Self, name: &'static str, value: String, field: &str| {
            let bfq = format!("blkio.bfq.{}", name.trim_start_matches("blkio."));
            let otherwise = Otherwise::Instead { file: name, value: value.clone() };
            writes.push_or(&bfq, value, field, otherwise);
        };
        if let Some(value) = set(io.weight()) {
            weight(self, "blkio.weight", value.to_string(), "blockIO.weight");
        }
        if let Some(value) = set(io.leaf_weight()) {
            self.push("blkio.leaf_weight", value, "blockIO.leafWeight");
        }
        for (index, device) in io.weight_device().iter().flatten().enumerate() {
            let field = |name: &str| format!("blockIO.weightDevice[{index}].{name}");
            let value = |weight: u16| format!("{}:{} {weight}", device.major(), device.minor());
            if let Some(one) = set(device.weight()) {
                weight(self, "blkio.weight_device", value(one), &field("weight"));
            }
            if let Some(one) = set(device.leaf_weight()) {
                self.push("blkio.leaf_weight_device", value(one), &field("leafWeight"));
            }
        }
        let lists: [(&Option<Vec<LinuxThrottleDevice>>, &str, &str); 4] = [
            (io.throttle_read_bps_device(), "read_bps", "throttleReadBpsDevice"),
            (io.throttle_write_bps_device(), "write_bps", "throttleWriteBpsDevice"),
            (io.throttle_read_iops_device(), "read_iops", "throttleReadIOPSDevice"),
            (io.throttle_write_iops_device(), "write_iops", "throttleWriteIOPSDevice"),
        ];
        for (devices, file, name) in lists {
            for (index, device) in devices.iter().flatten().enumerate() {
                // A rate of 0 takes the limit away.
                let value = format!("{}:{} {}", device.major(), device.minor(), device.rate());
                let file = format!("blkio.throttle.{file}_device");
                self.push(&file, value, &format!("blockIO.{name}[{index}]"));
            }
        }
    }

    fn network(&mut self, network: &LinuxNetwork) {
        if let Some(class) = network.class_id() {
            self.push("net_cls.classid", class, "network.classID");
        }
        for (index, priority) in network.priorities().iter().flatten().enumerate() {
            let value = format!("{} {}", priority.name(), priority.priority());
            self.push("net_prio.ifpriomap", value, &format!("network.priorities[{index}]"));
        }
    }
}
