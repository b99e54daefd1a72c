//! `bundles volume`.

use clap::{Args, Subcommand};
/// Make, list and remove volumes
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Create(Create),
    #[command(alias = "list")]
    Ls(Ls),
    Inspect(Inspect),
    Exists(super::existing::Exists),
    #[command(alias = "remove")]
    Rm(Rm),
    Prune(Prune),
}

/// Make a volume
///
/// A name of 64 digits is made up when none is given. A volume that is there already stays as it is.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name of the volume
    #[arg(value_name = "VOLUME")]
    pub(crate) name: Option<String>,

    /// The same as VOLUME
    #[arg(long = "name", value_name = "VOLUME", conflicts_with = "name")]
    pub(crate) name_flag: Option<String>,

    /// Set a label; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,

    /// The driver, of which there is one
    #[arg(short, long, value_name = "NAME", default_value = "local")]
    pub(crate) driver: String,

    /// What to mount: type=tmpfs, or type=none with o=bind and device=/DIRECTORY; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) opt: Vec<String>,
}

/// List volumes
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Show names only
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Show those of this kind only: name= label= label!= dangling= driver=; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,

    /// table, json, 'table TEMPLATE' or a template of Go
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,

    /// Leave the headings of columns away
    #[arg(short, long)]
    pub(crate) noheading: bool,
}

/// Show all about volumes
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// json, or a template of Go
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,

    /// Names of volumes
    #[arg(value_name = "VOLUME", required = true)]
    pub(crate) names: Vec<String>,
}

/// Remove volumes that no container uses
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// A volume that is not there is no error
    #[arg(short, long)]
    pub(crate) force: bool,

    /// Names of volumes
    #[arg(value_name = "VOLUME", required = true)]
    pub(crate) names: Vec<String>,
}

/// Remove all volumes without a name of yours that no container uses
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Those with names too
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,

    /// Those of this kind only: label= label!= all=; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,
}
