//! `bundles doctor`: what this host and this user can do for containers, and what would cure what
//! they cannot.
//!
//! Runs in: an ordinary process with one thread; an ordinary user's ends in his user namespace, as
//! that of every command about containers does. Nothing is left but what a first command would make.
//!
//! Everything is tried, by the code that the commands use.

mod report;
mod trials;

use crate::cli::doctor::{Doctor, Format};
use crate::home::Home;
use crate::net::attach;
use crate::net::holder::Place;
use crate::net::record::Networks;
use crate::rootless;
use crate::screen::Screen;
use anyhow::{Context as _, Result};
use report::{Report, Status};
use std::io::IsTerminal as _;
use std::path::Path;

/// The exit code: 0, or 1 where something is missing that every container needs.
pub(crate) fn run(root: Option<&Path>, args: &Doctor, screen: &mut Screen<'_>) -> Result<u8> {
    let mut report = Report::default();
    examine(root, args, &mut report);
    let text = match args.format {
        Format::Json => serde_json::to_string_pretty(&report.json()).context("JSON")? + "\n",
        Format::Text => report.table(colour()),
    };
    screen.say(&text)?;
    Ok(u8::from(!report.lacks().is_empty()))
}

/// no-color.org: any value but an empty one says no.
fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}

/// What cannot be tried, for want of something that was reported before, is left out.
fn examine(root: Option<&Path>, args: &Doctor, report: &mut Report) {
    report.group = "runtime";
    let runtime = trials::runtime(args.runtime.as_deref(), report);
    report.group = "files";
    let home = trials::home(root, report);
    trials::settings(report);
    let Some(home) = home else { return };
    if let Some(runtime) = &runtime {
        report.group = "containers";
        trials::containers(&home, runtime, report);
    }
    if nix::unistd::geteuid().is_root() {
        report.group = "images";
        trials::overlay(&home, report);
        report.group = "networks";
        try_networks(&home, report);
    } else {
        report.group = "users";
        trials::ids(report);
        let entered = within_namespaces(&home, report);
        report.group = "users";
        report.needs("user-namespaces", entered.map(|()| "made and joined".to_owned()));
    }
    report.group = "networks";
    trials::low_ports(&home, report);
}

/// An ordinary user's process is in his user namespace from here on.
fn within_namespaces(home: &Home, report: &mut Report) -> Result<()> {
    drop(attach::place(&Networks::lock(home)?)?);
    report.group = "images";
    trials::overlay(home, report);
    report.group = "networks";
    try_networks(home, report);
    rootless::retire(home)
}

fn try_networks(home: &Home, report: &mut Report) {
    if let Err(err) = within(home, report) {
        report.failed("networks", Status::Missing, &err);
    }
}

fn within(home: &Home, report: &mut Report) -> Result<()> {
    let networks = Networks::lock(home)?;
    let mut place = attach::place(&networks)?;
    trials::networks(&networks, &place, report);
    if matches!(place, Place::Held(_)) {
        trials::way_out(&networks, &mut place, report);
    }
    Ok(())
}
