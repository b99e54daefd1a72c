//! The flags of `run` and `create` that say how it is told whether a container is well, and the
//! command that asks.

use clap::{Args, Subcommand};

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct HealthFlags {
    /// Command that tells whether it is well
    #[arg(long, value_name = "COMMAND")]
    pub(crate) health_cmd: Option<String>,

    /// Time between two checks, such as 30s
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) health_interval: Option<std::time::Duration>,

    /// Time that a check may take
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) health_timeout: Option<std::time::Duration>,

    /// Time in which failures do not count, at the start
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) health_start_period: Option<std::time::Duration>,

    /// Time between two checks in that time
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) health_start_interval: Option<std::time::Duration>,

    /// Failures until it is unwell
    #[arg(long, value_name = "NUMBER")]
    pub(crate) health_retries: Option<u32>,

    /// Forget the check of the image
    #[arg(long, conflicts_with = "health_cmd")]
    pub(crate) no_healthcheck: bool,
}

/// Ask containers whether they are well
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Run),
}

/// Make the health check of a container now
///
/// The exit code is 0 when it succeeds, 1 when it fails and 125 when it cannot be made.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
}
