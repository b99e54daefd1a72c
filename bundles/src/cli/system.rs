//! `bundles system`.

use clap::{Args, Subcommand};
/// Show and free what is on the disk
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Df(Df),
    Events(super::events::Events),
    Info(super::info::Info),
    Prune(Prune),
}

/// Show what takes how much of the disk
#[derive(Debug, Args)]
pub(crate) struct Df {
    /// Each image, container and volume
    #[arg(short, long, conflicts_with = "format")]
    pub(crate) verbose: bool,

    /// table, json, 'table TEMPLATE' or a template of Go
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
}

/// Remove what nobody uses
///
/// Containers that do not run, networks, images without a name and what interrupted commands have
/// left are removed always, volumes only with --volumes.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// All images that no container uses, also those with names
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Volumes too, as by 'volume prune'
    #[arg(long)]
    pub(crate) volumes: bool,

    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,

    /// Containers, networks, volumes and images of this kind only: until= label= label!=; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,
}
