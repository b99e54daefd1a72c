//! Landlock rules around the payload (`docs/landlock.md`).
//!
//! Runs in: parent (`check`), and init and doorkeeper. The ruleset is made in the container's root with
//! all rights, since the payload's user may not even see a directory that it will be refused, and put
//! into force right before the seccomp filter.

use crate::error::{OrHint as _, hinted};
use crate::plan::annotations::{LANDLOCK, field};
use crate::plan::landlock::{Landlock, OF_A_FILE};
use crate::rootfs::path::{LastLink, Root, kind};
use crate::sys::{landlock, probe};
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

/// Makes the ruleset. `None`: there are no rules, or none that this kernel can keep.
pub(crate) fn ruleset(plan: Option<&Landlock>, root: &Root) -> Result<Option<OwnedFd>> {
    plan.map_or(Ok(None), |plan| make(plan, root).with_context(|| field(LANDLOCK)))
}

fn make(plan: &Landlock, root: &Root) -> Result<Option<OwnedFd>> {
    let handled = plan.at(version());
    if handled.is_nothing() {
        return Ok(None);
    }
    let ruleset = landlock::create_ruleset(handled.files, handled.net, handled.scoped)?;
    for rule in &plan.paths {
        let named = || format!("{} ({})", rule.field, rule.path.to_string_lossy());
        let place = root.open(&rule.path, LastLink::Follow).map_err(|err| {
            let hints = [
                (Errno::ENOENT, "name what is in the container when it is made, mounts included"),
                (Errno::ELOOP, "name the file itself; links of /proc/*/fd lead anywhere"),
            ];
            hinted(err, &hints)
        });
        let place = place.with_context(named)?;
        let of_its_kind = if kind(&place)? == SFlag::S_IFDIR { u64::MAX } else { OF_A_FILE };
        let rights = rule.rights & of_its_kind & handled.files;
        if rights != 0 {
            landlock::add_path(ruleset.as_fd(), place.as_fd(), rights).with_context(named)?;
        }
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
        .with_context(|| field(LANDLOCK))
        .hint("E2BIG means that rt runs inside of 16 sandboxes already")
}
