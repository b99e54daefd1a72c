//! Commands that make images of containers, and archives of both.

use crate::store::layout::Platform;
use clap::{ArgAction, Args, ValueEnum};
use std::path::PathBuf;

/// Make an image of what a container has changed
///
/// The image has the layers of the container's own, and one with its changes. What is in volumes is
/// not part of it.
#[derive(Debug, Args)]
pub(crate) struct Commit {
    /// Who has made it, as "Name <name@example.org>"
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    pub(crate) author: String,

    /// An instruction of a Dockerfile for its configuration, as "CMD [\"sh\"]"; may be repeated
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub(crate) change: Vec<String>,

    /// What has changed, for bundles history
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    pub(crate) message: String,

    /// Freeze the container meanwhile; -p=false to let it go on
    #[arg(short, long, value_name = "BOOL", action = ArgAction::Set)]
    #[arg(num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = true, default_missing_value = "true")]
    pub(crate) pause: bool,

    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,

    /// Name for the image
    #[arg(value_name = "NAME[:TAG]")]
    pub(crate) name: Option<String>,
}

/// Write the files of a container as a tar archive
///
/// What is in volumes is not part of it.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// File to write instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
}

/// Make an image of a tar archive of files
///
/// The archive may be compressed by gzip or zstd.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// An instruction of a Dockerfile for its configuration, as "CMD [\"sh\"]"; may be repeated
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub(crate) change: Vec<String>,

    /// What the history says of it
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: Option<String>,

    /// Of the programs in it, as linux/arm64
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    pub(crate) platform: Option<Platform>,

    /// The archive, or - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: String,

    /// Name for the image
    #[arg(value_name = "NAME[:TAG]")]
    pub(crate) name: Option<String>,
}

/// Show what a container has changed of its image's files
///
/// A for added, C for changed, D for deleted.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// json for one object with three lists
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    pub(crate) format: Option<String>,

    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
}

/// Show how an image was made, the newest step first
#[derive(Debug, Args)]
pub(crate) struct History {
    /// Ages and rounded sizes; -H=false for times and bytes
    #[arg(short = 'H', long, value_name = "BOOL", action = ArgAction::Set)]
    #[arg(num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = true, default_missing_value = "true")]
    pub(crate) human: bool,

    /// table, json, 'table TEMPLATE' or a template of Go
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,

    /// Do not shorten ids and commands
    #[arg(long)]
    pub(crate) no_trunc: bool,

    /// Show ids only
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Name, id, or beginning of an id
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
}

/// Write images with all their layers as one archive
///
/// bundles load reads it, and so do docker, podman and skopeo.
#[derive(Debug, Args)]
pub(crate) struct Save {
    /// File to write instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// docker-archive, which is an OCI image layout and has Docker's list, or oci-archive, the layout alone
    #[arg(long, value_name = "FORMAT", default_value = "docker-archive")]
    pub(crate) format: Archive,

    /// Names or ids; of a name without a tag, all tags
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Archive {
    DockerArchive,
    OciArchive,
}

/// Copy files between a container and here
///
/// One of the two is CONTAINER:PATH, seen from the container's /. For - as the source an archive is
/// read and unpacked in a directory; as the target one is written.
#[derive(Debug, Args)]
pub(crate) struct Cp {
    /// Keep owners, setuid bits and devices; else what comes here is the caller's, and what goes there root's
    #[arg(short, long)]
    pub(crate) archive: bool,

    /// Copy what a symlink leads to, if the source is one
    #[arg(short = 'L', long)]
    pub(crate) follow_link: bool,

    /// Print nothing, as always
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[arg(value_name = "FROM")]
    pub(crate) from: String,

    #[arg(value_name = "TO")]
    pub(crate) to: String,
}
