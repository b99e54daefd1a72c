//! `bundles info` and `bundles version`.

use clap::Args;

/// Show what there is: containers, images, runtimes, the host
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// json or a template of Go
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
}

/// Show the version of this program and of the runtime
#[derive(Debug, Args)]
pub(crate) struct Version {
    /// json or a template of Go
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
}
