//! `bundles unshare`.

use clap::Args;
use std::ffi::OsString;

/// Run a command as the root of an ordinary user's containers
///
/// It is in the user namespace that his containers are in. Network namespaces which are made there,
/// as by `bundles unshare unshare --net`, can be brought onto networks.
#[derive(Debug, Args)]
pub(crate) struct Unshare {
    /// Also where the bridges of his networks are
    #[arg(short, long)]
    pub(crate) network: bool,

    /// Program to become
    #[arg(value_name = "COMMAND")]
    pub(crate) command: OsString,

    /// Its arguments
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}
