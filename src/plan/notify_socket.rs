//! What a container gets whose payload may talk to the service manager (`sd_notify(3)`): a directory
//! with a socket, and the variable that names it, at the same places as in runc.
//!
//! Runs in: parent. Pure.

use super::mount::{Attributes, Links, Propagation, Recursion, attr};
use super::rootfs::{Bind, Step, Target};
use super::{Plan, c_path};
use anyhow::Result;
use std::path::Path;

const DIRECTORY: &str = "/run/notify";
const SOCKET: &str = "/run/notify/notify.sock";

/// The variable of `sd_notify(3)`, ours and the payload's.
pub(crate) const VARIABLE: &str = "NOTIFY_SOCKET";

/// `source` is the directory on the host where the socket will be. Last of all mounts, as a tmpfs at
/// /run would cover it.
pub(crate) fn add(plan: &mut Plan, source: &Path) -> Result<()> {
    plan.process.set_env(VARIABLE, SOCKET)?;
    plan.rootfs.steps.push(Step::Bind(Bind {
        target: Target { path: c_path(VARIABLE, Path::new(DIRECTORY))?, field: VARIABLE.into() },
        source: c_path(VARIABLE, source)?,
        recursion: Recursion::Top,
        attributes: Attributes {
            set: attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC,
            clear: 0,
        },
        recursive: Attributes::default(),
        propagation: Propagation::DEFAULT,
        idmap: None,
        links: Links::default(),
    }));
    Ok(())
}
