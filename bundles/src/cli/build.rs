//! `build`, and what it leaves behind.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Make an image by a Dockerfile
///
/// The context is a directory, or - for standard input: a Dockerfile, or a tar archive with one in it.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Name of the image; may be repeated
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub(crate) tag: Vec<String>,

    /// Dockerfile, - for standard input [default: CONTEXT/Dockerfile]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Stage to build, by its name or number [default: the last one]
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,

    /// Value of an ARG, NAME=VALUE, or NAME to take the caller's
    #[arg(long, value_name = "ARGUMENT")]
    pub(crate) build_arg: Vec<String>,

    /// Label of the image, KEY=VALUE
    #[arg(long, value_name = "LABEL")]
    pub(crate) label: Vec<String>,

    /// Do everything anew
    #[arg(long)]
    pub(crate) no_cache: bool,

    /// Pull the images that stages begin with, also those that are here
    #[arg(long)]
    pub(crate) pull: bool,

    /// How to show what goes on
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) progress: Progress,

    /// Print nothing but the id of the image
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Network of RUN: default, host, none, or the name of one
    #[arg(long, visible_alias = "net", value_name = "NETWORK", default_value = "default")]
    pub(crate) network: String,

    /// Secret for RUN --mount=type=secret: id=NAME,src=FILE or id=NAME,env=VARIABLE
    #[arg(long, value_name = "SECRET")]
    pub(crate) secret: Vec<String>,

    /// File to write the id of the image to
    #[arg(long, value_name = "FILE")]
    pub(crate) iidfile: Option<PathBuf>,

    /// Further line of /etc/hosts for RUN, NAME:IP
    #[arg(long, value_name = "NAME:IP")]
    pub(crate) add_host: Vec<String>,

    /// Memory that RUN may take, in bytes
    #[arg(short, long, value_name = "BYTES")]
    pub(crate) memory: Option<String>,

    /// Limit of RUN's processes, NAME=SOFT[:HARD]
    #[arg(long, value_name = "LIMIT")]
    pub(crate) ulimit: Vec<String>,

    /// Size of RUN's /dev/shm in bytes
    #[arg(long, value_name = "BYTES")]
    pub(crate) shm_size: Option<String>,

    /// Cgroup above those of RUN
    #[arg(long, value_name = "CGROUP")]
    pub(crate) cgroup_parent: Option<String>,

    /// Security option of RUN, as that of run
    #[arg(long, value_name = "OPTION")]
    pub(crate) security_opt: Vec<String>,

    /// Allow RUN --security=insecure: security.insecure
    #[arg(long, value_name = "RIGHT")]
    pub(crate) allow: Vec<String>,

    /// Platform of the image: that of this machine
    #[arg(long)]
    pub(crate) platform: Option<String>,

    /// OCI runtime: a name or a path [default: rt, runc or crun]
    #[arg(long)]
    pub(crate) runtime: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) ignored: Ignored,

    /// Directory of the files that COPY and ADD take, or - for standard input
    #[arg(value_name = "CONTEXT")]
    pub(crate) context: Option<String>,
}

/// Taken for scripts, without an effect: what they ask for is done, or is nothing here.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Ignored {
    /// Remove the containers of steps; always done
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    rm: Option<Option<bool>>,

    #[arg(long, hide = true)]
    force_rm: bool,

    /// The image is in the store; always done
    #[arg(long, hide = true)]
    load: bool,

    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    layers: Option<Option<bool>>,

    #[arg(long, hide = true)]
    provenance: Option<String>,

    #[arg(long, hide = true)]
    sbom: Option<String>,

    #[arg(long, hide = true)]
    compress: bool,

    #[arg(long, hide = true)]
    cache_from: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// On a terminal tty, otherwise plain
    Auto,
    /// Everything line by line
    Plain,
    /// What goes on, at the end of the terminal
    Tty,
    /// Nothing
    Quiet,
    #[value(hide = true)]
    Rawjson,
}

/// Work with what builds have left behind
#[derive(Debug, Subcommand)]
pub(crate) enum Builder {
    Prune(Prune),
    Build(Box<Build>),
}

/// Forget what steps have made, which no image has
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Forget all steps
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,
}
