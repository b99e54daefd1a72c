//! Flags of update.
//!
//! Runs in: parent.

use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "Example: rt update --memory 512m --pids-limit 100 web")]
pub(crate) struct Update {
    /// The container's id
    pub(crate) id: String,
    /// File with the resources object of the runtime-spec, - for standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) resources: Option<PathBuf>,
    /// Weight of block I/O, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    pub(crate) blkio_weight: Option<u16>,
    /// CPU time in microseconds per period; -1 for no limit
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    pub(crate) cpu_quota: Option<i64>,
    /// Length of the CPU period in microseconds
    #[arg(long, value_name = "US")]
    pub(crate) cpu_period: Option<u64>,
    /// Unused CPU time in microseconds that can be saved for later
    #[arg(long, value_name = "US")]
    pub(crate) cpu_burst: Option<u64>,
    /// Relative CPU weight, 2 to 262144
    #[arg(long, visible_alias = "cpu-shares", value_name = "SHARES")]
    pub(crate) cpu_share: Option<u64>,
    /// 1: run only when the CPU is idle otherwise
    #[arg(long, value_name = "0|1", allow_negative_numbers = true)]
    pub(crate) cpu_idle: Option<i64>,
    /// Real-time period in microseconds (cgroup v1)
    #[arg(long, value_name = "US")]
    pub(crate) cpu_rt_period: Option<u64>,
    /// Real-time budget in microseconds (cgroup v1)
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    pub(crate) cpu_rt_runtime: Option<i64>,
    /// CPUs such as 0-2,7
    #[arg(long, value_name = "LIST")]
    pub(crate) cpuset_cpus: Option<String>,
    /// Memory nodes such as 0-1
    #[arg(long, value_name = "LIST")]
    pub(crate) cpuset_mems: Option<String>,
    /// Memory limit in bytes, or with a unit such as 512m; -1 for no limit
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    pub(crate) memory: Option<String>,
    /// Memory protected from reclaim, in bytes or with a unit
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    pub(crate) memory_reservation: Option<String>,
    /// Memory plus swap, in bytes or with a unit; -1 for no limit
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    pub(crate) memory_swap: Option<String>,
    /// Number of processes; -1 for no limit
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) pids_limit: Option<i64>,
    /// Share of the L3 cache, such as "L3:0=7f0;1=1f" (with linux.intelRdt in the config)
    #[arg(long, value_name = "SCHEMA")]
    pub(crate) l3_cache_schema: Option<String>,
    /// Share of the memory bandwidth, such as "MB:0=20;1=70" (with linux.intelRdt in the config)
    #[arg(long, value_name = "SCHEMA")]
    pub(crate) mem_bw_schema: Option<String>,
    /// No effect: the kernel has dropped this limit
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, hide = true)]
    pub(crate) kernel_memory: Option<String>,
    /// No effect except with cgroup v1
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, hide = true)]
    pub(crate) kernel_memory_tcp: Option<String>,
}
