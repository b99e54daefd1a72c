//! The command line: clap's types only. The doc comments are the help texts.
//! Here are the global flags, the commands, and what has few flags; the rest is in `cli/`.
//!
//! Runs in: parent.
#![expect(clippy::doc_markdown, reason = "the doc comments are what the user reads in a terminal")]

mod create;
mod dash;
mod exec;
mod inspect;
mod mounts;
#[cfg(test)]
mod tests;
mod update;

pub(crate) use create::{Create, NewContainer, Run};
pub(crate) use dash::arguments;
pub(crate) use exec::Exec;
pub(crate) use inspect::{Doctor, Events, List, Plan, PlanFormat, Ps, TableFormat};
pub(crate) use mounts::Mounts;
pub(crate) use update::Update;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A low-level OCI container runtime.
#[derive(Parser, Debug)]
#[command(
    name = "rt",
    disable_version_flag = true,
    infer_long_args = false,
    args_override_self = true,
    after_help = "Examples:\n  rt spec && rt run web     run the bundle in this directory\n  rt exec -t web sh         a shell in it\n  rt doctor                 what this host can do for containers"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Args, Debug)]
pub(crate) struct Global {
    /// Directory for the state of containers [default: /run/rt, rootless $XDG_RUNTIME_DIR/rt]
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Append errors and warnings to this file, or send them to journald:NAME or syslog:NAME
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// Same as --log journald:rt
    #[arg(long, conflicts_with = "log")]
    pub(crate) systemd_log: bool,
    /// Format of the lines in --log
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// Least severe messages to log [default: error]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<LogLevel>,
    /// Same as --log-level debug
    #[arg(long)]
    pub(crate) debug: bool,
    /// Let systemd make the cgroups
    #[arg(long)]
    pub(crate) systemd_cgroup: bool,
    /// Who makes the cgroups
    #[arg(long, value_name = "MANAGER", default_value = "cgroupfs")]
    pub(crate) cgroup_manager: CgroupManager,
    /// Ignore missing privileges for cgroups
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) rootless: Rootless,
    /// Print the version
    #[arg(short = 'v', long)]
    pub(crate) version: bool,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogLevel {
    Error,
    Warning,
    Info,
    Debug,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CgroupManager {
    Cgroupfs,
    Systemd,
    Disabled,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rootless {
    True,
    False,
    Auto,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Create a container; `start` runs its process
    Create(Create),
    /// Run the process of a created container
    Start(Id),
    /// Create and start a container
    Run(Run),
    /// Run another process in a container
    Exec(Exec),
    /// Send a signal to a container
    Kill(Kill),
    /// Remove a stopped container
    Delete(Delete),
    /// Print the state of a container as JSON
    State(Id),
    /// List the containers
    List(List),
    /// List the processes of a container
    Ps(Ps),
    /// Suspend all processes of a container
    Pause(Id),
    /// Resume a paused container
    Resume(Id),
    /// Change the limits of a container
    Update(Box<Update>),
    /// Add mounts to a running container, or remove them
    Mounts(Mounts),
    /// Report resource usage and out-of-memory events
    Events(Events),
    /// Write a sample config.json
    Spec(Spec),
    /// Print what this build and kernel support, as JSON
    Features,
    /// Show what would be done for a bundle, without doing it
    Plan(Plan),
    /// Show what this host can do for containers, and how to fix what is missing
    #[command(visible_alias = "info")]
    Doctor(Doctor),
}

#[derive(Args, Debug)]
pub(crate) struct Id {
    /// The container's id
    pub(crate) id: String,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: rt kill web HUP")]
pub(crate) struct Kill {
    /// The container's id, or a pattern with --regex
    pub(crate) id: String,
    /// Name or number of the signal
    #[arg(default_value = "TERM")]
    pub(crate) signal: String,
    /// Signal all processes of the container
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Signal every container whose id matches the pattern
    #[arg(short, long)]
    pub(crate) regex: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Delete {
    /// The container's id, or a pattern with --regex
    pub(crate) id: String,
    /// Kill the container first
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Delete every container whose id matches the pattern
    #[arg(short, long)]
    pub(crate) regex: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Spec {
    /// Directory to write config.json to [default: the current directory]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    /// File to use instead of config.json, relative to the bundle
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// For a container of an ordinary user
    #[arg(long)]
    pub(crate) rootless: bool,
}
