//! The command line: clap's types only. The doc comments are the help texts.
//!
//! Runs in: parent.
#![expect(clippy::doc_markdown, reason = "the doc comments are what the user reads in a terminal")]

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// A low-level OCI container runtime.
#[derive(Parser, Debug)]
#[command(
    name = "rt",
    disable_version_flag = true,
    disable_help_subcommand = true,
    infer_long_args = false
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
    /// Append errors and warnings to this file instead of standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// Format of the lines in --log
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// What is logged
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
    /// Report resource usage and out-of-memory events
    Events(Events),
    /// Write a config.json to begin with
    Spec(Spec),
    /// Print what this build and kernel support, as JSON
    Features,
    /// Show what would be done for a bundle, without doing it
    Plan(Plan),
}

#[derive(Args, Debug)]
pub(crate) struct Id {
    /// The container's id
    pub(crate) id: String,
}

#[derive(Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    pub(crate) container: NewContainer,
}

#[derive(Args, Debug)]
pub(crate) struct NewContainer {
    /// The container's id, unique on this host
    pub(crate) id: String,
    /// Directory with config.json [default: the current directory]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    /// Another file than config.json, relative to the bundle
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Unix socket that receives the master of the container's terminal
    #[arg(long, value_name = "SOCKET")]
    pub(crate) console_socket: Option<PathBuf>,
    /// Unix socket that receives a pidfd of the container's process
    #[arg(long, value_name = "SOCKET")]
    pub(crate) pidfd_socket: Option<PathBuf>,
    /// Write the pid of the container's process to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,
    /// Do not use pivot_root(2), for a host that runs from a ramdisk
    #[arg(long)]
    pub(crate) no_pivot: bool,
    /// Keep the caller's session keyring
    #[arg(long)]
    pub(crate) no_new_keyring: bool,
    /// Pass on this many descriptors after the standard streams
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) preserve_fds: u32,
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) container: NewContainer,
    /// Return when the process runs
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Do not delete the container when it ends
    #[arg(long)]
    pub(crate) keep: bool,
    /// Do not adopt the container's orphaned processes
    #[arg(long)]
    pub(crate) no_subreaper: bool,
}

#[derive(Args, Debug)]
#[command(trailing_var_arg = true)]
pub(crate) struct Exec {
    /// The container's id
    pub(crate) id: String,
    /// The program and its arguments
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
    /// File with the process object of the runtime-spec
    #[arg(short, long, value_name = "FILE")]
    pub(crate) process: Option<PathBuf>,
    /// Working directory
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,
    /// Set an environment variable
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// Allocate a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// User and group by number
    #[arg(short, long, value_name = "UID[:GID]")]
    pub(crate) user: Option<String>,
    /// Further groups by number
    #[arg(short = 'g', long, value_name = "GID")]
    pub(crate) additional_gids: Vec<u32>,
    /// Return when the process runs
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Write the pid of the process to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,
    /// SELinux label of the process
    #[arg(long, value_name = "LABEL")]
    pub(crate) process_label: Option<String>,
    /// AppArmor profile of the process
    #[arg(long, value_name = "PROFILE")]
    pub(crate) apparmor: Option<String>,
    /// Set the process's no_new_privs attribute
    #[arg(long)]
    pub(crate) no_new_privs: bool,
    /// Add a capability
    #[arg(short, long, value_name = "CAPABILITY")]
    pub(crate) cap: Vec<String>,
    /// Pass on this many descriptors after the standard streams
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) preserve_fds: u32,
    /// Unix socket that receives the master of the terminal
    #[arg(long, value_name = "SOCKET")]
    pub(crate) console_socket: Option<PathBuf>,
    /// Unix socket that receives a pidfd of the process
    #[arg(long, value_name = "SOCKET")]
    pub(crate) pidfd_socket: Option<PathBuf>,
    /// Run in this cgroup below the container's
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Vec<String>,
    /// Run in a paused container as well
    #[arg(long)]
    pub(crate) ignore_paused: bool,
}

#[derive(Args, Debug)]
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
pub(crate) struct List {
    /// Print the ids only
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: TableFormat,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableFormat {
    Table,
    Json,
}

#[derive(Args, Debug)]
#[command(trailing_var_arg = true)]
pub(crate) struct Ps {
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: TableFormat,
    /// The container's id
    pub(crate) id: String,
    /// Options of ps(1) [default: -ef]
    #[arg(value_name = "PS OPTIONS", allow_hyphen_values = true)]
    pub(crate) options: Vec<OsString>,
}

#[derive(Args, Debug)]
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
    /// Unused CPU time in microseconds that may be used later
    #[arg(long, value_name = "US")]
    pub(crate) cpu_burst: Option<u64>,
    /// Relative CPU weight, 2 to 262144
    #[arg(long, visible_alias = "cpu-shares", value_name = "SHARES")]
    pub(crate) cpu_share: Option<u64>,
    /// 1: run only when nobody else wants to
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
    /// Memory that is protected from reclaim, in bytes or with a unit
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    pub(crate) memory_reservation: Option<String>,
    /// Memory plus swap, in bytes or with a unit; -1 for no limit
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    pub(crate) memory_swap: Option<String>,
    /// Number of processes; -1 for no limit
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) pids_limit: Option<i64>,
}

#[derive(Args, Debug)]
pub(crate) struct Events {
    /// The container's id
    pub(crate) id: String,
    /// Time between two reports, such as 5s or 1m
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub(crate) interval: String,
    /// Print the statistics once
    #[arg(long)]
    pub(crate) stats: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Spec {
    /// Directory to write config.json to [default: the current directory]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    /// For a container of an ordinary user
    #[arg(long)]
    pub(crate) rootless: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Plan {
    /// Directory with config.json [default: the current directory]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    /// Another file than config.json, relative to the bundle
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: PlanFormat,
    /// The id that the container would have
    #[arg(action = ArgAction::Set, default_value = "container")]
    pub(crate) id: String,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanFormat {
    Text,
    Json,
}

/// Go's flag package takes a long flag with one dash, and go-runc sends `-no-subreaper`: such a
/// word becomes the same with two dashes. Only before the payload's own words begin.
pub(crate) fn arguments(args: &[OsString]) -> Vec<OsString> {
    use clap::CommandFactory as _;
    let mut args = args.to_vec();
    // The common case costs nothing: no word with a single dash and more than two characters.
    let candidate = |arg: &OsString| {
        arg.to_str()
            .is_some_and(|arg| arg.len() > 2 && arg.starts_with('-') && !arg.starts_with("--"))
    };
    if !args.iter().any(candidate) {
        return args;
    }
    let cli = Cli::command();
    let mut command = &cli;
    let mut positional = 0;
    let mut rest = args.iter_mut().skip(1);
    while let Some(arg) = rest.next() {
        let Some(text) = arg.to_str().map(String::from) else { continue };
        let Some(name) = text.strip_prefix("--").or_else(|| text.strip_prefix('-')) else {
            match command.find_subcommand(&text) {
                Some(found) if std::ptr::eq(command, &raw const cli) => command = found,
                _ => positional += 1,
            }
            // What follows the id of exec and ps is not ours.
            if positional == 1 && matches!(command.get_name(), "exec" | "ps") {
                break;
            }
            continue;
        };
        if name.is_empty() {
            break;
        }
        let (name, has_value) =
            name.split_once('=').map_or((name, false), |(name, _)| (name, true));
        let Some(option) = command.get_arguments().find(|option| option.get_long() == Some(name))
        else {
            continue;
        };
        if !text.starts_with("--") && name.len() > 1 {
            *arg = OsString::from(format!("-{text}"));
        }
        if option.get_action().takes_values() && !has_value {
            rest.next();
        }
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn fixed(words: &[&str]) -> Vec<String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        arguments(&words).into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn long_flags_with_one_dash_are_taken() {
        assert_eq!(
            fixed(&["rt", "run", "-no-subreaper", "x"]),
            ["rt", "run", "--no-subreaper", "x"]
        );
        assert_eq!(
            fixed(&["rt", "-root", "/r", "run", "-bundle=/b", "x"]),
            ["rt", "--root", "/r", "run", "--bundle=/b", "x"]
        );
        assert_eq!(
            fixed(&["rt", "exec", "-tty", "x", "ls", "-tty"]),
            ["rt", "exec", "--tty", "x", "ls", "-tty"]
        );
        assert_eq!(fixed(&["rt", "exec", "-td", "x"]), ["rt", "exec", "-td", "x"]);
        assert_eq!(
            fixed(&["rt", "run", "--bundle", "-root", "x"]),
            ["rt", "run", "--bundle", "-root", "x"]
        );
    }
}
