//! Landlock rules around the payload (`docs/landlock.md`).
//!
//! Runs in: parent (`check`), and init and doorkeeper. The ruleset is made in the container's root with
//! all rights, since the payload's user may not even see a directory that it will be refused, and put
//! into force right before the seccomp filter.

use crate::error::hinted;
use crate::plan::annotations::{LANDLOCK, field};
use crate::plan::landlock::{Landlock, OF_A_FILE};
use crate::rootfs::path::{Root, kind};
use crate::sys::{self, landlock, probe};
use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::stat::SFlag;
use std::os::fd::{AsFd as _, OwnedFd};

/// What this kernel cannot keep, as a warning; before anything is made.
pub(crate) fn check(plan: Option<&Landlock>) -> Result<Option<String>> {
    plan.map_or(Ok(None), |plan| plan.check(&field(LANDLOCK), version()))
}

/// The version of the kernel's interface; 0: there is none.
fn version() -> i32 {
    probe::landlock_abi().unwrap_or(0)
}

/// What a path means that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A mistake in the config.
    Refuse,
    /// The payload has removed it: an exec into its container must not depend on that.
    Skip,
}

/// Makes the ruleset. `None`: there are no rules, or none that this kernel can keep.
pub(crate) fn ruleset(
    plan: Option<&Landlock>,
    root: &Root,
    missing: Missing,
) -> Result<Option<OwnedFd>> {
    plan.map_or(Ok(None), |plan| make(plan, root, missing).with_context(|| field(LANDLOCK)))
}

fn make(plan: &Landlock, root: &Root, missing: Missing) -> Result<Option<OwnedFd>> {
    let handled = plan.at(version());
    if handled.is_nothing() {
        return Ok(None);
    }
    let ruleset = landlock::create_ruleset(handled.files, handled.net, handled.scoped)?;
    let absent: &[Errno] =
        if missing == Missing::Skip { &[Errno::ENOENT, Errno::ENOTDIR] } else { &[] };
    for rule in &plan.paths {
        let add = || {
            let Some(place) = root.open_unless(&rule.path, absent)? else { return Ok(()) };
            let of_its_kind = if kind(&place)? == SFlag::S_IFDIR { u64::MAX } else { OF_A_FILE };
            match rule.rights & of_its_kind & handled.files {
                0 => Ok(()),
                rights => landlock::add_path(ruleset.as_fd(), place.as_fd(), rights),
            }
        };
        let hint = "name what is in the container when it is made, mounts included";
        add()
            .map_err(|err: sys::Error| hinted(err, &[(Errno::ENOENT, hint)]))
            .with_context(|| format!("{} ({})", rule.field, rule.path.to_string_lossy()))?;
    }
    for rule in plan.ports.iter().filter(|rule| rule.rights & handled.net != 0) {
        landlock::add_port(ruleset.as_fd(), rule.port, rule.rights)
            .with_context(|| rule.field.clone())?;
    }
    Ok(Some(ruleset))
}

/// Puts the rules into force.
pub(crate) fn restrict(ruleset: &OwnedFd) -> Result<()> {
    landlock::restrict_self(ruleset.as_fd())
        .map_err(|err| hinted(err, &[(Errno::E2BIG, "rt runs inside of 16 sandboxes already")]))
        .with_context(|| field(LANDLOCK))
}
