//! `bundles system ...`: what is on the disk, and giving it back.
//!
//! Runs in: an ordinary process of the user.

use crate::cli::system as cli;
use crate::filter::Filters;
use crate::fmt::{self, Listing, Row};
use crate::home::Home;
use crate::network;
use crate::screen::Screen;
use crate::store::Store;
use crate::volume::{self, Volumes};
use anyhow::Result;
use serde_json::{Map, json};

pub(crate) fn run(command: &cli::Command, home: &Home, screen: &mut Screen<'_>) -> Result<()> {
    match command {
        cli::Command::Df(args) => df(args, home, screen),
        cli::Command::Prune(args) => prune(args, home, screen),
    }
}

fn df(args: &cli::Df, home: &Home, screen: &mut Screen<'_>) -> Result<()> {
    const TITLES: &[(&str, &str)] = &[
        ("Active", "ACTIVE"),
        ("Reclaimable", "RECLAIMABLE"),
        ("Size", "SIZE"),
        ("TotalCount", "TOTAL"),
        ("Type", "TYPE"),
    ];
    let usual = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
    let listing = Listing::new(args.format.as_deref(), usual, None)?;
    let volumes = volume::totals(home)?;
    let left = home.leftovers()?;
    let rows = [
        row("Local Volumes", (volumes.count, volumes.used), (volumes.bytes, volumes.reclaimable)),
        row("Leftovers", (usize::from(left > 0), 0), (left, left)),
    ];
    screen.say(&listing.show(&rows, TITLES)?)
}

fn row(kind: &str, (count, used): (usize, usize), (bytes, reclaimable): (u64, u64)) -> Row {
    let percent = (reclaimable * 100).checked_div(bytes);
    let percent = percent.map(|percent| format!(" ({percent}%)")).unwrap_or_default();
    let fields = json!({
        "Active": used.to_string(),
        "Reclaimable": fmt::size(reclaimable) + &percent,
        "Size": fmt::size(bytes),
        "TotalCount": count.to_string(),
        "Type": kind,
    });
    Row { fields, methods: Map::new() }
}

fn prune(args: &cli::Prune, home: &Home, screen: &mut Screen<'_>) -> Result<()> {
    let filters = Filters::new(&args.filter, &["label", "label!"])?;
    let warning = match args.volumes {
        true => {
            "This will remove what was left by interrupted commands,\n  all networks and all anonymous volumes not used by at least one container."
        }
        false => {
            "This will remove what was left by interrupted commands,\n  and all networks not used by at least one container."
        }
    };
    screen.confirm(args.force, warning)?;
    // First what needs no space, which there may be none of.
    let mut freed = home.sweep()?;
    network::give_back(home, &filters, screen)?;
    if home.has("oci") {
        freed += Store::open(home)?.sweep()?;
    }
    if args.volumes {
        freed += volume::prune(&Volumes::open(home)?, &filters, false, screen)?;
    }
    screen.say(&format!("Total reclaimed space: {}\n", fmt::size(freed)))
}
