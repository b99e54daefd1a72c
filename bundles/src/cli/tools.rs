//! Commands that make images of containers, and archives of both.

use clap::Args;

/// Make an image of what a container has changed
///
/// The image has the layers of the container's own, and one with its changes. What is in volumes is
/// not part of it.
#[derive(Debug, Args)]
pub(crate) struct Commit {
    /// Who has made it, as "Name <name@example.org>"
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    pub(crate) author: String,

    /// What has changed, for bundles history
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    pub(crate) message: String,

    /// Freeze the container meanwhile; -p=false to let it go on
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = true, default_missing_value = "true")]
    pub(crate) pause: bool,

    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,

    /// Name for the image
    #[arg(value_name = "NAME[:TAG]")]
    pub(crate) name: Option<String>,
}
