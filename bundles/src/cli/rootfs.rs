//! `bundles rootfs`.

use clap::Args;
use std::path::PathBuf;

/// Put together a root file system
///
/// The programs are copied under the paths they have on this host, together with the interpreters
/// and shared libraries which they name. DIR is made whole or not at all.
#[derive(Debug, Args)]
pub(crate) struct Rootfs {
    /// Take the programs from this host
    #[arg(long, required = true)]
    pub(crate) from_host: bool,

    /// Programs, by path or by name in $PATH
    #[arg(value_name = "PROGRAM", required = true, num_args = 1..)]
    pub(crate) programs: Vec<String>,

    /// Directory to make; it may exist if it is empty
    #[arg(value_name = "DIR", required = true)]
    pub(crate) dir: PathBuf,
}
