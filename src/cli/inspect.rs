//! Flags of the commands that change nothing: list, ps, events, plan, doctor.
//!
//! Runs in: parent.

use clap::{ArgAction, Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Print the ids only
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: TableFormat,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableFormat {
    Table,
    Json,
}

#[derive(Args, Debug)]
#[command(trailing_var_arg = true)]
pub(crate) struct Ps {
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: TableFormat,
    /// The container's id
    pub(crate) id: String,
    /// Options of ps(1) [default: -ef]
    #[arg(value_name = "PS OPTIONS", allow_hyphen_values = true)]
    pub(crate) options: Vec<OsString>,
}

#[derive(Args, Debug)]
pub(crate) struct Events {
    /// The container's id
    pub(crate) id: String,
    /// Time between two reports, such as 5s or 1m
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub(crate) interval: String,
    /// Print the statistics once
    #[arg(long)]
    pub(crate) stats: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Plan {
    /// Directory with config.json [default: the current directory]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) bundle: Option<PathBuf>,
    /// File to use instead of config.json, relative to the bundle
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: PlanFormat,
    /// The id that the container would have
    #[arg(action = ArgAction::Set, default_value = "container")]
    pub(crate) id: String,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanFormat {
    Text,
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: PlanFormat,
}
