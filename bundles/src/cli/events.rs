//! The command line of `events`. The doc comments are the help text.

use clap::{ArgAction, Args};

/// Print what happens to containers, images, networks and volumes
///
/// Without a time this goes on until it is interrupted, and begins with what happens next. Some
/// thousand events are kept.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only those that fit: container event image label network type volume
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,

    /// json, or a template of Go
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,

    /// Begin with this: a time, such as 2026-01-31T12:00:00Z, or an age, such as 10m
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,

    /// End with this
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,

    /// Wait for what is to come
    #[arg(
        long,
        value_name = "BOOL",
        default_value_t = true,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set
    )]
    pub(crate) stream: bool,

    /// Accepted for scripts: ids are always whole
    #[arg(long, hide = true)]
    pub(crate) no_trunc: bool,
}
