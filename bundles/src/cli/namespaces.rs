//! The flags of `run` and `create` that are about what it shares with the host and with others.

use clap::Args;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct NamespaceFlags {
    /// Processes that it sees: its own, or those of host or container:NAME
    #[arg(long, value_name = "WHOSE")]
    pub(crate) pid: Option<String>,

    /// Queues and shared memory: private, shareable, none, host or container:NAME
    #[arg(long, value_name = "WHOSE")]
    pub(crate) ipc: Option<String>,

    /// Host name: its own, or that of the host
    #[arg(long, value_name = "WHOSE")]
    pub(crate) uts: Option<String>,

    /// Cgroups that it sees: private or host
    #[arg(long, value_name = "WHOSE")]
    pub(crate) cgroupns: Option<String>,

    /// Users: host, where the caller is root
    #[arg(long, value_name = "WHOSE")]
    pub(crate) userns: Option<String>,
}
