//! `bundles system ...`: what is on the disk, and giving it back.
//!
//! Runs in: an ordinary process of the user.

mod verbose;

use crate::cli::system as cli;
use crate::commands::prune;
use crate::error::OrHint as _;
use crate::filter::Filters;
use crate::fmt::{self, Listing, Row};
use crate::home::Home;
use crate::network;
use crate::screen::Screen;
use crate::store::{Kept, Store};
use crate::volume::{self, Totals, Volumes};
use anyhow::{Result, anyhow};
use serde_json::{Map, json};

pub(crate) fn run(command: &cli::Command, home: &Home, screen: &mut Screen<'_>) -> Result<()> {
    match command {
        cli::Command::Info(args) => crate::info::run(home, args, screen),
        cli::Command::Events(args) => crate::events::show(home, args, screen),
        cli::Command::Df(args) => df(args, home, screen),
        cli::Command::Prune(args) => remove_unused(args, home, screen),
    }
}

fn df(args: &cli::Df, home: &Home, screen: &mut Screen<'_>) -> Result<()> {
    if args.verbose {
        return screen.say(&verbose::tables(home)?);
    }
    const TITLES: &[(&str, &str)] = &[
        ("Active", "ACTIVE"),
        ("Reclaimable", "RECLAIMABLE"),
        ("Size", "SIZE"),
        ("TotalCount", "TOTAL"),
        ("Type", "TYPE"),
    ];
    let usual = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
    let listing = Listing::new(args.format.as_deref(), usual, None)?;
    let left = home.leftovers()?;
    let leftovers =
        Totals { count: usize::from(left > 0), used: 0, bytes: left, reclaimable: left };
    let rows = [
        row("Images", &prune::image_totals(home)?),
        row("Containers", &prune::container_totals(home)?),
        row("Local Volumes", &volume::totals(home)?),
        row("Build Cache", &build_cache(home)?),
        row("Leftovers", &leftovers),
    ];
    screen.say(&listing.show(&rows, TITLES)?)
}

/// What no image has of it. Nobody needs it.
fn build_cache(home: &Home) -> Result<Totals> {
    if !home.has("oci") {
        return Ok(Totals::default());
    }
    let Kept { steps, bytes } = Store::open(home)?.kept()?;
    Ok(Totals { count: steps, used: 0, bytes, reclaimable: bytes })
}

fn row(kind: &str, totals: &Totals) -> Row {
    let Totals { count, used, bytes, reclaimable } = *totals;
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

fn remove_unused(args: &cli::Prune, home: &Home, screen: &mut Screen<'_>) -> Result<()> {
    let filters = Filters::new(&args.filter, &["until", "label", "label!"])?;
    if args.volumes && filters.has("until") {
        return Err(anyhow!("--filter until=: nobody knows how old what is in a volume is"))
            .hint("leave --volumes away, or the filter");
    }
    let mut warning = "This will remove what was left by interrupted commands,\n  all containers that do not run,\n  all networks not used by at least one container".to_owned();
    if args.volumes {
        warning.push_str(",\n  all anonymous volumes not used by at least one container");
    }
    warning.push_str(match args.all {
        true => ",\n  all images from which no container is made\n  and all build cache.",
        false => ",\n  all images without a name\n  and the build cache that no image has.",
    });
    screen.confirm(args.force, &warning)?;
    // First what needs no space, which there may be none of.
    let mut freed = home.sweep()?;
    if home.has("containers") {
        freed += prune::containers(home, &filters, screen)?;
    }
    network::give_back(home, &filters, screen)?;
    if args.volumes {
        freed += volume::prune(&Volumes::open(home)?, &filters, false, screen)?;
    }
    if home.has("oci") {
        freed += prune::images(home, args.all, filters, screen)?;
        let store = Store::open(home)?;
        freed += store.forget_steps(args.all)?.bytes + store.sweep()?;
    }
    screen.say(&format!("Total reclaimed space: {}\n", fmt::size(freed)))
}
