//! The command line of `run` and its like. The doc comments are the help text.
//!
//! Runs in: before anything else. Touches nothing.

use super::health::HealthFlags;
use super::limits::LimitFlags;
use super::names::NameFlags;
use super::namespaces::NamespaceFlags;
use super::networking::NetworkFlags;
use crate::attach::{Keys, Look, Role};
use crate::container::{self, LogOptions};
use crate::error::OrHint as _;
use crate::spec::values;
use anyhow::{Context as _, Result, anyhow};
use clap::{ArgAction, Args, FromArgMatches as _, ValueEnum};
use std::path::PathBuf;

/// Make a container and start it
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Leave it to itself, and print its id
    #[arg(short, long)]
    pub(crate) detach: bool,

    #[command(flatten)]
    pub(crate) look: LookFlags,

    #[command(flatten)]
    pub(crate) make: Create,
}

/// What `run`, `start` and `attach` do with a terminal.
#[derive(Debug, Args)]
pub(crate) struct LookFlags {
    /// Keys that leave it to itself [default: ctrl-p,ctrl-q]
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<Keys>,

    /// Pass on signals
    #[arg(
        long,
        value_name = "BOOL",
        default_value_t = true,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set
    )]
    sig_proxy: bool,
}

impl LookFlags {
    pub(crate) fn of(&self, input: bool, role: Role) -> Look {
        let keys = self.detach_keys.clone().unwrap_or_default();
        Look { input, signals: self.sig_proxy, keys, role, mute: Vec::new() }
    }
}

/// What becomes of a container's output.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogFlags {
    /// Where its output is kept: json-file, or none
    #[arg(long, value_name = "DRIVER", default_value = "json-file")]
    log_driver: LogDriver,

    /// max-size=BYTES of a file of it, max-file=NUMBER of them [default: 10m and 3]
    #[arg(long, value_name = "OPTION")]
    log_opt: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogDriver {
    JsonFile,
    None,
}

impl LogFlags {
    pub(crate) fn options(&self) -> Result<LogOptions> {
        let mut options = LogOptions::default();
        for option in &self.log_opt {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            let number = || value.parse().ok().filter(|number| *number > 0);
            match key {
                "max-size" => {
                    let size = values::bytes(&format!("--log-opt {key}"), value)?;
                    options.size = size.max(1);
                }
                "max-file" => {
                    let wrong = || format!("--log-opt {option}: not a number of files");
                    options.files = number().with_context(wrong)?;
                }
                _ => {
                    return Err(anyhow!("--log-opt {option}: unknown"))
                        .hint("the options are max-size=BYTES and max-file=NUMBER");
                }
            }
        }
        if self.log_driver == LogDriver::None {
            options.size = 0;
        }
        Ok(options)
    }
}

/// Make a container without starting it
#[derive(Debug, Clone, Args)]
#[command(disable_help_flag = true)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Create {
    #[arg(long, action = ArgAction::Help, help = "Print help; -h is the host name")]
    help: Option<bool>,

    /// Name to call it by; one is made up otherwise
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Remove it when it ends
    #[arg(long)]
    pub(crate) rm: bool,

    /// Streams to attach, instead of all; may be repeated
    #[arg(short, long, value_name = "STREAM", ignore_case = true)]
    pub(crate) attach: Vec<Stream>,

    /// Of a `run` that leaves it to itself.
    #[arg(skip)]
    pub(crate) detached: bool,

    /// Tell nothing of pulling
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Keep its standard input open
    #[arg(short, long)]
    pub(crate) interactive: bool,

    /// Give it a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,

    /// Write its id to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) cidfile: Option<PathBuf>,

    /// Label, KEY=VALUE
    #[arg(short, long, value_name = "LABEL")]
    pub(crate) label: Vec<String>,

    /// File of labels, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) label_file: Vec<PathBuf>,

    /// Annotation for the runtime, KEY=VALUE
    #[arg(long, value_name = "ANNOTATION")]
    pub(crate) annotation: Vec<String>,

    /// Signal that stop sends first [default: SIGTERM]
    #[arg(long, value_name = "SIGNAL")]
    pub(crate) stop_signal: Option<String>,

    /// Seconds that stop waits
    #[arg(long, value_name = "SECONDS")]
    pub(crate) stop_timeout: Option<u64>,

    /// When to start it again by itself: no, on-failure[:TIMES], always or unless-stopped
    #[arg(long, value_name = "POLICY", default_value_t)]
    pub(crate) restart: container::Restart,

    #[command(flatten)]
    pub(crate) log: LogFlags,

    /// OCI runtime: a name or a path [default: rt, runc or crun]
    #[arg(long)]
    pub(crate) runtime: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) process: ProcessFlags,

    #[command(flatten)]
    pub(crate) names: NameFlags,

    #[command(flatten)]
    pub(crate) files: FileFlags,

    #[command(flatten)]
    pub(crate) rights: RightFlags,

    #[command(flatten)]
    pub(crate) network: NetworkFlags,

    #[command(flatten)]
    pub(crate) namespaces: NamespaceFlags,

    #[command(flatten)]
    pub(crate) limits: LimitFlags,

    #[command(flatten)]
    pub(crate) health: HealthFlags,

    #[command(flatten)]
    pub(crate) refused: RefusedFlags,

    /// When to pull the image
    #[arg(long, value_name = "WHEN", default_value = "missing")]
    pub(crate) pull: Pull,

    /// Image to make it from; with --rootfs the command begins here
    #[arg(value_name = "IMAGE")]
    image: Option<String>,

    /// Command and its arguments, instead of the image's
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stream {
    Stdin,
    Stdout,
    Stderr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pull {
    Always,
    Missing,
    Never,
}

impl Create {
    /// As if these flags and words had been typed.
    pub(crate) fn of(flags: &[String], words: &[String]) -> Result<Self> {
        let command = Self::augment_args(clap::Command::new("create").no_binary_name(true));
        let typed = flags.iter().map(String::as_str).chain(["--"]);
        let matches = command.try_get_matches_from(typed.chain(words.iter().map(String::as_str)));
        let parsed = matches.and_then(|matches| Self::from_arg_matches(&matches));
        // Its text has several lines, of which the first is the error.
        parsed.map_err(|err| anyhow!("{}", err.to_string().lines().next().unwrap_or_default()))
    }

    /// `None` with --rootfs.
    pub(crate) fn image(&self) -> Option<&str> {
        self.image.as_deref().filter(|_| self.files.rootfs.is_none())
    }

    /// Whether its user looks at this stream, or types into it.
    pub(crate) fn attaches(&self, stream: Stream) -> bool {
        !self.detached && self.attach.is_empty() || self.attach.contains(&stream)
    }

    pub(crate) fn command(&self) -> Vec<String> {
        let first = self.image.iter().filter(|_| self.files.rootfs.is_some());
        first.chain(&self.command).cloned().collect()
    }
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ProcessFlags {
    /// Environment variable, KEY=VALUE, or KEY to take the caller's
    #[arg(short, long, value_name = "VARIABLE")]
    pub(crate) env: Vec<String>,

    /// File of environment variables, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,

    /// Working directory
    #[arg(short, long, value_name = "DIR")]
    pub(crate) workdir: Option<String>,

    /// User, and group: NAME or number, USER[:GROUP]
    #[arg(short, long)]
    pub(crate) user: Option<String>,

    /// Further group, by name or number
    #[arg(long, value_name = "GROUP")]
    pub(crate) group_add: Vec<String>,

    /// Program to run instead of the image's; empty for none
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) entrypoint: Option<String>,

    /// Have a first process that passes on signals and reaps orphans
    #[arg(long)]
    pub(crate) init: bool,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FileFlags {
    /// Directory to run in, instead of an image
    #[arg(long, value_name = "DIR")]
    pub(crate) rootfs: Option<PathBuf>,

    /// Let it write nowhere but to its mounts
    #[arg(long)]
    pub(crate) read_only: bool,

    /// Directory or file of the host, HOST:CONTAINER[:ro], or volume, NAME:CONTAINER[:ro]
    #[arg(short, long, value_name = "VOLUME")]
    pub(crate) volume: Vec<String>,

    /// The same in words: type=bind|volume|tmpfs,source=HOST,target=CONTAINER[,readonly]
    #[arg(long)]
    pub(crate) mount: Vec<String>,

    /// Directories and volumes of another container, CONTAINER[:ro]
    #[arg(long, value_name = "CONTAINER")]
    pub(crate) volumes_from: Vec<String>,

    /// Directory in memory, PATH[:OPTIONS]
    #[arg(long, value_name = "PATH")]
    pub(crate) tmpfs: Vec<String>,

    /// Size of /dev/shm
    #[arg(long, value_name = "BYTES", default_value = "64m")]
    pub(crate) shm_size: String,

    /// Device of the host, or directory of devices, HOST[:CONTAINER[:rwm]]
    #[arg(long)]
    pub(crate) device: Vec<String>,

    /// Devices that it may make and use, TYPE MAJOR:MINOR ACCESS, such as "c 189:* rw"
    #[arg(long, value_name = "RULE")]
    pub(crate) device_cgroup_rule: Vec<String>,
}

/// Taken where they ask for nothing else than what is done.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RefusedFlags {
    /// Platform of the image: that of this machine
    #[arg(long)]
    pub(crate) platform: Option<String>,

    #[arg(long, hide = true)]
    pub(crate) isolation: Option<String>,

    /// Accepted for scripts: no signatures are looked at
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, hide = true)]
    pub(crate) disable_content_trust: Option<Option<bool>>,

    #[arg(long, hide = true)]
    pub(crate) gpus: Option<String>,

    #[arg(long, hide = true)]
    pub(crate) storage_opt: Vec<String>,

    #[arg(long, hide = true)]
    pub(crate) volume_driver: Option<String>,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RightFlags {
    /// Capability to grant; ALL for all
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) cap_add: Vec<String>,

    /// Capability to take away; ALL for all
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) cap_drop: Vec<String>,

    /// Grant everything
    #[arg(long)]
    pub(crate) privileged: bool,

    /// no-new-privileges, seccomp=FILE or unconfined, apparmor=PROFILE, systempaths=unconfined,
    /// mask=PATH, unmask=PATH
    #[arg(long, value_name = "OPTION")]
    pub(crate) security_opt: Vec<String>,

    /// Setting of the kernel, NAME=VALUE
    #[arg(long, value_name = "SETTING")]
    pub(crate) sysctl: Vec<String>,
}

/// Write an image as a bundle, with its files and a config.json
///
/// Any OCI runtime runs it: rt run --bundle DIR NAME. The flags are those of run, but for mounts,
/// which config.json has room for.
#[derive(Debug, Args)]
#[command(override_usage = "bundles bundle [OPTIONS] IMAGE DIR [COMMAND]...")]
pub(crate) struct Bundle {
    #[command(flatten)]
    make: Create,
}

impl Bundle {
    /// The directory to make, and flags without it.
    pub(crate) fn split(&self) -> Result<(PathBuf, Create)> {
        let mut make = self.make.clone();
        if make.image().is_none() || make.command.is_empty() {
            return Err(anyhow!("no directory")).hint("write: bundles bundle IMAGE DIR");
        }
        let dir = PathBuf::from(make.command.remove(0));
        Ok((dir, make))
    }
}
