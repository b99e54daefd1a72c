//! `bundles doctor`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Show what this host and this user can do, and what would cure what they cannot
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,

    /// The OCI runtime to try, instead of the one that is found
    #[arg(long, value_name = "FILE")]
    pub(crate) runtime: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}
