//! The command lines about containers that there are. The doc comments are the help text.
//!
//! Runs in: before anything else. Touches nothing.

use super::limits::ResourceFlags;
use super::run::LookFlags;
use crate::attach::Keys;
use crate::container;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Containers by name, id or the beginning of an id.
#[derive(Debug, Args)]
pub(crate) struct Containers {
    #[arg(value_name = "CONTAINER", required = true)]
    pub(crate) containers: Vec<String>,
}

/// Start containers that do not run
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// Print what it writes, until it ends
    #[arg(short, long)]
    pub(crate) attach: bool,

    /// Pass on standard input too
    #[arg(short, long)]
    pub(crate) interactive: bool,

    /// All that do not run
    #[arg(long)]
    pub(crate) all: bool,

    /// Of these, only those that fit: id name label restart-policy should-start-on-boot
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,

    #[command(flatten)]
    pub(crate) look: LookFlags,

    #[arg(value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

/// Connect the terminal to a container that runs
#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// Look on only
    #[arg(long)]
    pub(crate) no_stdin: bool,

    #[command(flatten)]
    pub(crate) look: LookFlags,

    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
}

/// Wait until containers end, and print their exit codes
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Something else to wait for; may be repeated
    #[arg(long, value_name = "CONDITION")]
    pub(crate) condition: Vec<Condition>,

    /// Accepted for scripts: it is heard of at once
    #[arg(short, long, value_name = "TIME", hide = true)]
    pub(crate) interval: Option<String>,

    #[command(flatten)]
    pub(crate) of: Containers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Condition {
    #[value(alias = "configured")]
    Created,
    Running,
    Paused,
    #[value(aliases = ["stopped", "not-running", "next-exit"])]
    Exited,
    #[value(alias = "removing")]
    Removed,
    Healthy,
    Unhealthy,
}

/// Ask containers to end, and make them
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// Seconds to wait before they are killed [default: 10]
    #[arg(short, long = "time", visible_alias = "timeout", value_name = "SECONDS")]
    pub(crate) time: Option<u64>,

    /// Signal to send first, instead of the container's own
    #[arg(short, long)]
    pub(crate) signal: Option<String>,

    #[command(flatten)]
    pub(crate) of: Containers,
}

/// Stop containers and start them again
#[derive(Debug, Args)]
pub(crate) struct Restart {
    /// Seconds to wait before they are killed [default: 10]
    #[arg(short, long = "time", visible_alias = "timeout", value_name = "SECONDS")]
    pub(crate) time: Option<u64>,

    /// Signal to send first, instead of the container's own
    #[arg(short, long)]
    pub(crate) signal: Option<String>,

    #[command(flatten)]
    pub(crate) of: Containers,
}

/// Freeze all processes of containers
#[derive(Debug, Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    pub(crate) of: Containers,
}

/// Let paused containers go on
#[derive(Debug, Args)]
pub(crate) struct Unpause {
    #[command(flatten)]
    pub(crate) of: Containers,
}

/// Give a container another name
#[derive(Debug, Args)]
pub(crate) struct Rename {
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,

    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// Change limits and the restart policy of containers
#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    pub(crate) resources: ResourceFlags,

    /// When to start it again by itself: no, on-failure[:TIMES], always or unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub(crate) restart: Option<container::Restart>,

    #[command(flatten)]
    pub(crate) of: Containers,
}

/// List the processes of a container
#[derive(Debug, Args)]
pub(crate) struct Top {
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,

    /// Options of ps(1) [default: -ef]
    #[arg(value_name = "PS OPTIONS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) options: Vec<String>,
}

/// Show what containers use; 100 % is one processor
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Only once
    #[arg(long)]
    pub(crate) no_stream: bool,

    /// Whole ids
    #[arg(long)]
    pub(crate) no_trunc: bool,

    /// table, json, 'table TEMPLATE' or a template of Go
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,

    /// Accepted for scripts: those that do not run use nothing
    #[arg(short, long, hide = true)]
    pub(crate) all: bool,

    /// All that run, without any
    #[arg(value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

/// Send a signal to containers
#[derive(Debug, Args)]
pub(crate) struct Kill {
    /// By name or number
    #[arg(short, long, default_value = "SIGKILL")]
    pub(crate) signal: String,

    #[command(flatten)]
    pub(crate) of: Containers,
}

/// Remove containers
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// Kill those that run
    #[arg(short, long)]
    pub(crate) force: bool,

    /// Also remove volumes without a name that no other container uses
    #[arg(short, long)]
    pub(crate) volumes: bool,

    #[command(flatten)]
    pub(crate) of: Containers,
}

/// List containers
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Ps {
    /// Also those that do not run
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Only those that fit: id name label status exited ancestor before since volume network publish expose health
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,

    /// table, json, 'table TEMPLATE' or a template of Go
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,

    /// The ones made last, whatever their state
    #[arg(short = 'n', long, value_name = "NUMBER")]
    pub(crate) last: Option<usize>,

    /// The one made last, whatever its state
    #[arg(short, long)]
    pub(crate) latest: bool,

    /// Whole ids and commands
    #[arg(long)]
    pub(crate) no_trunc: bool,

    /// Print no heading
    #[arg(long)]
    pub(crate) noheading: bool,

    /// Ids only
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// What they have on the disk, too
    #[arg(short, long)]
    pub(crate) size: bool,
}

/// Print all that is known of containers, images, networks and volumes
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A template of Go, or json
    #[arg(short, long)]
    pub(crate) format: Option<String>,

    /// What they are, where several have the name
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<Kind>,

    /// What containers have on the disk, too
    #[arg(short, long)]
    pub(crate) size: bool,

    /// Names or ids
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Container,
    Image,
    Network,
    Volume,
}

/// Print what a container has written
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Go on until it ends
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Accepted for scripts: there are none
    #[arg(long, hide = true)]
    pub(crate) details: bool,

    /// Begin each line with its time
    #[arg(short, long)]
    pub(crate) timestamps: bool,

    /// Only what is newer: a time, such as 2026-01-31T12:00:00Z, or an age, such as 10m
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,

    /// Only what is older
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,

    /// Only the last lines
    #[arg(short = 'n', long, value_name = "LINES", default_value = "all")]
    pub(crate) tail: String,

    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
}

/// Run a command in a running container
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// Leave it to itself
    #[arg(short, long)]
    pub(crate) detach: bool,

    /// Pass on standard input
    #[arg(short, long)]
    pub(crate) interactive: bool,

    /// Give it a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,

    /// With all capabilities
    #[arg(long)]
    pub(crate) privileged: bool,

    /// File of environment variables, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,

    /// Keys that leave it to itself, with -it [default: ctrl-p,ctrl-q]
    #[arg(long, value_name = "KEYS")]
    pub(crate) detach_keys: Option<Keys>,

    /// Environment variable, KEY=VALUE, or KEY to take the caller's
    #[arg(short, long, value_name = "VARIABLE")]
    pub(crate) env: Vec<String>,

    /// Working directory
    #[arg(short, long, value_name = "DIR")]
    pub(crate) workdir: Option<String>,

    /// User, and group: NAME or number, USER[:GROUP]
    #[arg(short, long)]
    pub(crate) user: Option<String>,

    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,

    /// Command and its arguments
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) command: Vec<String>,
}

/// Say by the exit code whether it is there: 0, or 1
#[derive(Debug, Args)]
pub(crate) struct Exists {
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}
