//! The flags of `run` and `create` that are about what a container may use.

use clap::Args;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LimitFlags {
    /// Resource limit, NAME=SOFT[:HARD]
    #[arg(long, value_name = "LIMIT")]
    pub(crate) ulimit: Vec<String>,

    #[command(flatten)]
    pub(crate) resources: ResourceFlags,

    /// Inclination to swap, 0 to 100
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u64).range(0..=100))]
    pub(crate) memory_swappiness: Option<u64>,

    /// Accepted and ignored: the kernel has no such limit any more
    #[arg(long, value_name = "BYTES", hide = true)]
    pub(crate) kernel_memory: Option<String>,

    /// Let it wait instead of killing it when the memory is used up; with cgroup v1 only
    #[arg(long)]
    pub(crate) oom_kill_disable: bool,

    /// How soon the kernel kills it for want of memory, -1000 to 1000
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, value_parser = clap::value_parser!(i32).range(-1000..=1000))]
    pub(crate) oom_score_adj: Option<i32>,

    /// Weight of its input and output, 10 to 1000
    #[arg(long, value_name = "WEIGHT", value_parser = clap::value_parser!(u16).range(10..=1000))]
    pub(crate) blkio_weight: Option<u16>,

    /// The same on one device, DEVICE:WEIGHT
    #[arg(long, value_name = "DEVICE:WEIGHT")]
    pub(crate) blkio_weight_device: Vec<String>,

    /// Bytes a second to read, DEVICE:BYTES
    #[arg(long, value_name = "DEVICE:BYTES")]
    pub(crate) device_read_bps: Vec<String>,

    /// Bytes a second to write, DEVICE:BYTES
    #[arg(long, value_name = "DEVICE:BYTES")]
    pub(crate) device_write_bps: Vec<String>,

    /// Operations a second to read, DEVICE:NUMBER
    #[arg(long, value_name = "DEVICE:NUMBER")]
    pub(crate) device_read_iops: Vec<String>,

    /// Operations a second to write, DEVICE:NUMBER
    #[arg(long, value_name = "DEVICE:NUMBER")]
    pub(crate) device_write_iops: Vec<String>,

    /// Cgroup to make it in
    #[arg(long, value_name = "CGROUP")]
    pub(crate) cgroup_parent: Option<String>,
}

/// Limits that can be changed while it runs.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ResourceFlags {
    /// Memory; -1 for no limit
    #[arg(short, long, value_name = "BYTES", allow_hyphen_values = true)]
    pub(crate) memory: Option<String>,

    /// Memory and swap together; -1 for no limit
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub(crate) memory_swap: Option<String>,

    /// Memory that it keeps when there is little
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory_reservation: Option<String>,

    /// CPUs, such as 1.5
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["cpu_period", "cpu_quota"])]
    pub(crate) cpus: Option<String>,

    /// Time of all CPUs in a period, in microseconds
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    pub(crate) cpu_quota: Option<i64>,

    /// The period, in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    pub(crate) cpu_period: Option<u64>,

    /// Weight against other containers; 1024 is usual
    #[arg(short, long, value_name = "WEIGHT")]
    pub(crate) cpu_shares: Option<u64>,

    /// CPUs to run on, such as 0-2,4
    #[arg(long, value_name = "CPUS")]
    pub(crate) cpuset_cpus: Option<String>,

    /// Memory nodes to use
    #[arg(long, value_name = "NODES")]
    pub(crate) cpuset_mems: Option<String>,

    /// Processes; -1 for no limit
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub(crate) pids_limit: Option<i64>,
}
