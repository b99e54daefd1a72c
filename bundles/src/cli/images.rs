//! Commands about images.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Load images from an archive
///
/// The archive may come from docker save, podman save or skopeo, or be an OCI image layout in a tar
/// file; it may be compressed by gzip or zstd.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// File to read instead of standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,

    /// Print nothing
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// List images
#[derive(Debug, Args)]
pub(crate) struct Images {
    /// Only images of this repository, or of this name, or whose names are like this pattern
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub(crate) name: Option<String>,

    /// Only those that fit: dangling label label! before since reference until; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,

    /// All images; there are no hidden ones, the flag is here for scripts
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Show the digests by which images were pulled
    #[arg(long)]
    pub(crate) digests: bool,

    /// table, json, 'table TEMPLATE' or a template of Go
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,

    /// Do not shorten ids
    #[arg(long)]
    pub(crate) no_trunc: bool,

    /// Show ids only
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Give an image one more name
#[derive(Debug, Args)]
pub(crate) struct Tag {
    /// Name or id of the image
    #[arg(value_name = "IMAGE")]
    pub(crate) source: String,

    /// The new name
    #[arg(value_name = "NAME[:TAG]")]
    pub(crate) target: String,
}

/// Remove images
///
/// A name is taken off; with its last name the image goes, and its layers unless others have them.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Accepted for scripts: an image has no parents here
    #[arg(long, hide = true)]
    no_prune: bool,

    /// Remove an image with all of its names, and do not mind missing ones
    #[arg(short, long)]
    pub(crate) force: bool,

    /// Names, ids, or beginnings of ids
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<String>,
}

/// Show all about images, as a list in JSON
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// json or a template of Go
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,

    /// Names, ids, or beginnings of ids
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<String>,
}
/// Remove images without a name
///
/// What a container is made from stays.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Also those with names
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,

    /// Those of this kind only: until= label= label!=; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,
}

/// Work with images
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(alias = "list")]
    Ls(Images),
    Build(Box<super::build::Build>),
    Load(Load),
    Pull(super::pull::Pull),
    Push(super::pull::Push),
    Import(super::tools::Import),
    History(super::tools::History),
    Save(super::tools::Save),
    Tag(Tag),
    #[command(alias = "remove")]
    Rm(Remove),
    Inspect(Inspect),
    Exists(super::existing::Exists),
    Prune(Prune),
}
