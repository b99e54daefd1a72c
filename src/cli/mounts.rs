//! Arguments of mounts.
//!
//! Runs in: parent.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "Example: rt mounts add web volume.json")]
pub(crate) struct Mounts {
    /// What to do; remove looks at the destinations only
    #[arg(value_name = "ACTION")]
    pub(crate) action: MountsAction,
    /// The container's id
    pub(crate) id: String,
    /// File with a list like mounts in config.json, or a whole config; - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MountsAction {
    Add,
    Remove,
}
