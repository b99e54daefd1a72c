//! Flags of exec.
//!
//! Runs in: parent.
#![expect(clippy::doc_markdown, reason = "the doc comments are what the user reads in a terminal")]

use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(
    trailing_var_arg = true,
    after_help = "Example: rt exec -t -u 1000:1000 --cwd /srv web sh"
)]
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
    /// Additional groups by number
    #[arg(short = 'g', long, value_name = "GID")]
    pub(crate) additional_gids: Vec<u32>,
    /// Return as soon as the process runs
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
    /// Also run in a paused container
    #[arg(long)]
    pub(crate) ignore_paused: bool,
}
