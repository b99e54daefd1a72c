//! Commands about registries.

use clap::Args;
use std::path::PathBuf;

/// How to speak to a registry
#[derive(Debug, Args)]
pub(crate) struct Registry {
    /// Trust any certificate, and a registry without TLS; localhost needs no flag
    #[arg(long)]
    pub(crate) insecure: bool,

    /// Directory with the registry's ca.crt, and client.cert with client.key if it wants them
    #[arg(long, value_name = "DIR")]
    pub(crate) cert_dir: Option<PathBuf>,

    /// Give up an attempt when the registry is silent for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) timeout: u16,

    /// Attempts after one that failed in a way which may pass
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) retry: u32,
}

/// Get an image from a registry
///
/// What has come stays when the connection is cut or the command is stopped; the next pull goes on
/// behind it. bundles system prune removes it.
#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// Another platform than that of this machine, as linux/arm64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<String>,

    /// Print only the name
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Accepted for scripts: no signatures are looked at
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, hide = true)]
    disable_content_trust: Option<Option<bool>>,

    #[command(flatten)]
    pub(crate) registry: Registry,

    /// [REGISTRY/]REPOSITORY[:TAG][@DIGEST]
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
}

/// Give an image to a registry
///
/// The name says to which: localhost:5000/app:1 goes to the registry on port 5000 of this machine.
/// Bytes go as they are in the store, so that the image has the same digest there.
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// All names in the repository, with their tags
    #[arg(short, long)]
    pub(crate) all_tags: bool,

    /// Print only the name
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Accepted for scripts: no signatures are made
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, hide = true)]
    disable_content_trust: Option<Option<bool>>,

    #[command(flatten)]
    pub(crate) registry: Registry,

    /// [REGISTRY/]REPOSITORY[:TAG]
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// Search a registry for images
///
/// Docker Hub, or the registries of unqualified-search-registries in registries.conf; a name with a
/// registry in front, as localhost:5000/app, is looked for there.
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Most results
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) limit: u8,

    /// Only those that fit: stars=N is-official= is-automated=; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,

    /// table, json, 'table TEMPLATE' or a template of Go
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,

    /// Do not shorten descriptions
    #[arg(long)]
    pub(crate) no_trunc: bool,

    #[command(flatten)]
    pub(crate) registry: Registry,

    /// Part of a name
    #[arg(value_name = "[REGISTRY/]TERM")]
    pub(crate) term: String,
}

/// Keep a login for a registry
///
/// It is checked first. It is kept in auth.json, which podman and skopeo read too, or by the
/// credential helper that is named there.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// User name
    #[arg(short, long, value_name = "NAME")]
    pub(crate) username: Option<String>,

    /// Password; others see it in lists of processes, so prefer --password-stdin
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    pub(crate) password: Option<String>,

    /// Read the password from standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,

    #[command(flatten)]
    pub(crate) registry: Registry,

    /// HOST[:PORT]; Docker Hub without it
    #[arg(value_name = "REGISTRY")]
    pub(crate) host: Option<String>,
}

/// Forget a login for a registry
#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// HOST[:PORT]; Docker Hub without it
    #[arg(value_name = "REGISTRY")]
    pub(crate) host: Option<String>,
}
