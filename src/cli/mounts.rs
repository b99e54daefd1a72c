//! Arguments of mounts.
//!
//! Runs in: parent.

use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "Example: rt mounts add web volume.json")]
pub(crate) struct Mounts {
    /// What to do; of what is to be removed only the destinations are looked at
    #[arg(value_name = "ACTION", value_parser = ["add", "remove"])]
    pub(crate) action: String,
    /// The container's id
    pub(crate) id: String,
    /// File with a list like that of mounts in config.json, or the whole config; - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}
