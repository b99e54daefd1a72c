//! Flags of the commands that make a container: create and run.
//!
//! Runs in: parent.

use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "Example: rt create --bundle /srv/web web && rt start web")]
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
    /// File to use instead of config.json, relative to the bundle
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
#[command(after_help = "Example: rt run --detach --pid-file web.pid --bundle /srv/web web")]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) container: NewContainer,
    /// Return as soon as the process runs
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Do not delete the container when it ends
    #[arg(long)]
    pub(crate) keep: bool,
    /// Do not adopt the container's orphaned processes
    #[arg(long)]
    pub(crate) no_subreaper: bool,
}
