//! Ordinary users: what their containers write belongs to the ids of a user namespace, so commands
//! that make or remove it are in that namespace, too. The holder of networks keeps it.
//!
//! Runs in: an ordinary process with one thread, before a command begins.

use crate::cli::existing::{Inspect, Ps};
use crate::cli::{Command, images};
use crate::container;
use crate::home::Home;
use crate::net::attach;
use crate::net::holder::{self, Place};
use crate::net::record::Networks;
use crate::users;
use anyhow::{Context as _, Result};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use std::fs;
use std::time::Duration;

/// Why limits of an ordinary user's container cannot be, and what to do.
pub(crate) const NO_CONTROLLER: &str = "no cgroup with that is delegated to this user";
pub(crate) const DELEGATE: &str = "log in through systemd, which delegates one, or begin the command \
                                   with: systemd-run --user --scope -p Delegate=yes";

/// A command's reason to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    None,
    /// Files get the owners that they have in an image, if there are ids for them.
    Owners,
    /// A container that has lost its monitor gets another, which has to be there.
    Orphans,
    Always,
}

fn need(command: &Command) -> Need {
    match command {
        Command::Run(_)
        | Command::Create(_)
        | Command::Bundle(_)
        | Command::Build(_)
        | Command::Builder(_)
        | Command::Image(images::Command::Build(_))
        | Command::Start(_)
        | Command::Restart(_)
        | Command::Attach(_)
        | Command::Pause(_)
        | Command::Unpause(_)
        | Command::Update(_)
        | Command::Top(_)
        | Command::Stats(_)
        | Command::Stop(_)
        | Command::Kill(_)
        | Command::Rm(_)
        | Command::Container(_)
        | Command::Commit(_)
        | Command::Export(_)
        | Command::Diff(_)
        | Command::Cp(_)
        | Command::Exec(_) => Need::Always,
        Command::Load(_)
        | Command::Pull(_)
        | Command::Import(_)
        | Command::Rmi(_)
        | Command::Image(_)
        | Command::System(_)
        | Command::Volume(_) => Need::Owners,
        // The files belong to others.
        Command::Ps(Ps { size: true, .. }) | Command::Inspect(Inspect { size: true, .. }) => {
            Need::Always
        }
        Command::Ps(_)
        | Command::Logs(_)
        | Command::Wait(_)
        | Command::Inspect(_)
        | Command::Healthcheck(_)
        | Command::Port(_) => Need::Orphans,
        Command::Rename(_)
        | Command::Images(_)
        | Command::History(_)
        | Command::Save(_)
        | Command::Tag(_)
        | Command::Network(_)
        | Command::Rootfs(_)
        | Command::Push(_)
        | Command::Login(_)
        | Command::Logout(_)
        | Command::Events(_)
        | Command::Search(_)
        | Command::Info(_)
        | Command::Version(_)
        | Command::Doctor(_)
        | Command::Unshare(_) => Need::None,
    }
}

/// Moves an ordinary user's process into his user namespace, for good. True when it has.
pub(crate) fn enter(home: &Home, command: &Command) -> Result<bool> {
    if nix::unistd::geteuid().is_root() {
        return Ok(false);
    }
    let has_ranges = || users::maps().is_some_and(|maps| maps.uid.len() > 1);
    let enters = match need(command) {
        Need::None => false,
        Need::Owners => has_ranges(),
        // What cannot be read is told by the command.
        Need::Orphans => {
            container::all(home).is_ok_and(|all| all.iter().any(|one| one.record.is_orphan()))
        }
        Need::Always => true,
    };
    if enters {
        let networks = Networks::lock(home)?;
        drop(attach::place(&networks)?);
    }
    Ok(enters)
}

/// The namespace goes, unless somebody else is in it.
pub(crate) fn leave(home: &Home, command: &Command) -> Result<()> {
    if matches!(command, Command::Run(run) if !run.detach) {
        await_children();
    }
    retire(home)
}

/// A monitor, and the keeper that it may have, end a moment after their container, if that has ended.
fn await_children() {
    for _ in 0..50 {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(2)),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// The same for a monitor, which is in it since its start.
pub(crate) fn leave_as_monitor(home: &Home) -> Result<()> {
    await_children();
    retire(home)
}

/// Whoever has entered leaves what is there to the others; the last one takes it away.
pub(crate) fn retire(home: &Home) -> Result<()> {
    let networks = Networks::lock(home)?;
    if let Some(place) = Place::existing(&networks)? {
        place.for_guest().leave(&networks)?;
    }
    holder::say_goodbye()
}

/// How many ids there are in this process's user namespace, if that is not the host's.
pub(crate) fn ids() -> Result<Option<u64>> {
    let map = fs::read_to_string("/proc/self/uid_map").context("/proc/self/uid_map")?;
    if map.split_whitespace().eq(["0", "0", "4294967295"]) {
        return Ok(None);
    }
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    Ok(Some(map.lines().filter_map(count).sum()))
}
