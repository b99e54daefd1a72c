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

pub(crate) use exec::Exec;
pub(crate) use inspect::{Doctor, Events, List, Plan, PlanFormat, Ps, TableFormat};
pub(crate) use mounts::{Mounts, MountsAction};
pub(crate) use update::Update;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches, Parser, Subcommand, ValueEnum};
use dash::arguments;
use std::ffi::OsString;
use std::path::PathBuf;

/// Reads the command line.
pub(crate) fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    // Taking it down again would be a fifth of the time of a short command.
    let mut definition = std::mem::ManuallyDrop::new(Cli::command());
    let matches = definition.try_get_matches_from_mut(arguments(args))?;
    Cli::from_arg_matches(&matches).map_err(|err| err.format(&mut definition))
}

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

/// The commands, with their help and names. Like `derive(Subcommand)`, but the flags of a command are
/// built when it is given: those of all others took a third of the time of a short command.
macro_rules! commands {
    ($($(#[doc = $about:literal])* $variant:ident($args:ty) $name:literal $(| $alias:literal)?,)*) => {
        #[derive(Debug)]
        pub(crate) enum Command {
            $($variant($args),)*
        }

        impl Subcommand for Command {
            fn augment_subcommands(app: clap::Command) -> clap::Command {
                app$(.subcommand(
                    clap::Command::new($name)
                        .about(concat!($($about),*).trim_start())
                        $(.visible_alias($alias))?
                        .defer(<$args>::augment_args),
                ))*
            }

            fn augment_subcommands_for_update(app: clap::Command) -> clap::Command {
                Self::augment_subcommands(app)
            }

            fn has_subcommand(name: &str) -> bool {
                [$($name),*].contains(&name)
            }
        }

        impl FromArgMatches for Command {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                match matches.subcommand() {
                    $(Some(($name, matches)) => {
                        <$args>::from_arg_matches(matches).map(Self::$variant)
                    })*
                    Some(_) | None => Err(clap::Error::new(ErrorKind::MissingSubcommand)),
                }
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}

commands! {
    /// Create a container; `start` runs its process
    Create(Create) "create",
    /// Run the process of a created container
    Start(Id) "start",
    /// Create and start a container
    Run(Run) "run",
    /// Run another process in a container
    Exec(Exec) "exec",
    /// Send a signal to a container
    Kill(Kill) "kill",
    /// Remove a stopped container
    Delete(Delete) "delete",
    /// Print the state of a container as JSON
    State(Id) "state",
    /// List the containers
    List(List) "list",
    /// List the processes of a container
    Ps(Ps) "ps",
    /// Suspend all processes of a container
    Pause(Id) "pause",
    /// Resume a paused container
    Resume(Id) "resume",
    /// Change the limits of a container
    Update(Box<Update>) "update",
    /// Add mounts to a running container, or remove them
    Mounts(Mounts) "mounts",
    /// Report resource usage and out-of-memory events
    Events(Events) "events",
    /// Write a sample config.json
    Spec(Spec) "spec",
    /// Print what this build and kernel support, as JSON
    Features(Features) "features",
    /// Show what would be done for a bundle, without doing it
    Plan(Plan) "plan",
    /// Show what this host can do for containers, and how to fix what is missing
    Doctor(Doctor) "doctor" | "info",
}

#[derive(Args, Debug)]
pub(crate) struct Features {}

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
