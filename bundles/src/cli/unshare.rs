//! `bundles unshare`, and what this program starts itself as for the networks of ordinary users.

use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// Run a command as the root of an ordinary user's containers
///
/// It is in the user namespace that his containers are in. Network namespaces which are made there,
/// as by `bundles unshare unshare --net`, can be brought onto networks.
#[derive(Debug, Args)]
pub(crate) struct Unshare {
    /// Also where the bridges of his networks are
    #[arg(short, long)]
    pub(crate) network: bool,

    #[arg(value_name = "COMMAND", required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<OsString>,
}

/// Keep the namespaces of an ordinary user's networks
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct Hold {
    /// In a user namespace of its own
    #[arg(long)]
    pub(crate) fresh: bool,
}

/// Become the way out of an ordinary user's networks
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct Uplink {
    /// The process that keeps the namespaces
    pub(crate) holder: i32,

    /// pasta
    pub(crate) program: PathBuf,
}
