//! Registries of images: which one a name leads to, who we are there, and how blobs come and go.
//!
//! Runs in: an ordinary process of the user. Privilege: none.

mod auth;
mod certs;
mod conf;
pub(crate) mod credentials;
mod download;
mod fetch;
mod http;
mod search;
mod session;
mod upload;

pub(crate) use conf::{Endpoint, Registries};
pub(crate) use download::Download;
pub(crate) use fetch::fetch;
pub(crate) use search::Found;
pub(crate) use session::{Options, Session};
pub(crate) use upload::{Sent, Upload};

use std::path::PathBuf;

/// Its name in references, for people and in files of credentials.
pub(crate) const DOCKER_HUB: &str = "docker.io";

/// Where programs keep a user's settings: `$XDG_CONFIG_HOME`, or `~/.config`.
fn config_home() -> Option<PathBuf> {
    let named =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    named("XDG_CONFIG_HOME").or_else(|| named("HOME").map(|home| home.join(".config")))
}
