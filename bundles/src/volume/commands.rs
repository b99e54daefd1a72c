//! `bundles volume ...`.
//!
//! Runs in: an ordinary process of the user.

use super::{Strings, Volume, Volumes, Wish, delete};
use crate::cli::volume as cli;
use crate::error::{self, OrHint as _};
use crate::filter::Filters;
use crate::fmt::{self, Listing, Row};
use crate::home::{Discarded, Home};
use crate::inspect;
use crate::screen::Screen;
use crate::tree;
use anyhow::{Context as _, Result, anyhow, bail};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::time::SystemTime;

const TITLES: &[(&str, &str)] = &[
    ("Availability", "AVAILABILITY"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedSince", "CREATED"),
    ("Driver", "DRIVER"),
    ("Group", "GROUP"),
    ("Labels", "LABELS"),
    ("Links", "LINKS"),
    ("Mountpoint", "MOUNTPOINT"),
    ("Name", "VOLUME NAME"),
    ("Scope", "SCOPE"),
    ("Size", "SIZE"),
    ("Status", "STATUS"),
];

pub(crate) fn run(command: &cli::Command, home: &Home, screen: &mut Screen<'_>) -> Result<()> {
    let volumes = Volumes::open(home)?;
    match command {
        cli::Command::Create(args) => create(args, &volumes, screen),
        cli::Command::Ls(args) => ls(args, &volumes, screen),
        cli::Command::Inspect(args) => show(args, &volumes, screen),
        cli::Command::Exists(_) => bail!("internal error, please report: volume"),
        cli::Command::Rm(args) => rm(args, &volumes, screen),
        cli::Command::Prune(args) => {
            let warning = match args.all {
                true => "This will remove all local volumes not used by at least one container.",
                false => {
                    "This will remove anonymous local volumes not used by at least one container."
                }
            };
            screen.confirm(args.force, warning)?;
            let filters = Filters::new(&args.filter, &["label", "label!", "all"])?;
            let all = args.all || filters.truth("all")? == Some(true);
            let freed = prune(&volumes, &filters, all, screen)?;
            screen.say(&format!("Total reclaimed space: {}\n", fmt::size(freed)))
        }
    }
}

fn create(args: &cli::Create, volumes: &Volumes<'_>, screen: &mut Screen<'_>) -> Result<()> {
    if args.driver != super::DRIVER {
        return Err(anyhow!("volume driver {:?} is not known", args.driver))
            .hint("there is one driver, local: leave --driver away");
    }
    let wish = Wish {
        name: args.name.clone().or_else(|| args.name_flag.clone()),
        labels: pairs("--label", &args.label)?,
        options: pairs("--opt", &args.opt)?,
    };
    let asked = (wish.labels.clone(), wish.options.clone());
    let (volume, made) = volumes.create(wish)?;
    let has = |have: &Option<Strings>, asked: &Strings| {
        asked.is_empty() || have.as_ref().is_some_and(|have| have == asked)
    };
    let same = made || has(&volume.labels, &asked.0) && has(&volume.options, &asked.1);
    if !same {
        let name = &volume.name;
        screen.note(&format!(
            "bundles: volume {name} was there already: its labels and options stay as they were\n"
        ));
    }
    screen.say(&format!("{}\n", volume.name))
}

/// No key may be empty.
fn pairs(flag: &str, words: &[String]) -> Result<Strings> {
    if let Some(word) = words.iter().find(|word| word.is_empty() || word.starts_with('=')) {
        bail!("{flag} {word:?}: the key is missing");
    }
    Ok(crate::cli::pairs(words))
}

fn ls(args: &cli::Ls, volumes: &Volumes<'_>, screen: &mut Screen<'_>) -> Result<()> {
    let keys = ["name", "label", "label!", "dangling", "driver"];
    let filters = Filters::new(&args.filter, &keys)?;
    let dangling = filters.truth("dangling")?;
    let quiet = args.quiet.then_some("{{.Name}}");
    let listing = Listing::new(args.format.as_deref(), "{{.Driver}}\t{{.Name}}", quiet)?
        .heading(!args.noheading);
    let users = if dangling.is_some() { volumes.users()? } else { Default::default() };
    let (all, errors) = volumes.all()?;
    let rows: Vec<Row> = all
        .iter()
        .filter(|volume| {
            filters.name(&volume.name)
                && filters.one_of("driver", &volume.driver)
                && filters.labels(&volume.labels.clone().unwrap_or_default())
                && dangling.is_none_or(|wanted| wanted != users.contains_key(&volume.name))
        })
        .map(|volume| row(volume, volumes))
        .collect();
    screen.say(&listing.show(&rows, TITLES)?)?;
    error::all(errors)
}

fn row(volume: &Volume, volumes: &Volumes<'_>) -> Row {
    let labels = volume.labels.clone().unwrap_or_default();
    let created = humantime::parse_rfc3339(&volume.created_at).unwrap_or(SystemTime::UNIX_EPOCH);
    let fields = json!({
        "Availability": "N/A",
        "CreatedAt": volume.created_at,
        "CreatedSince": fmt::since(created),
        "Driver": volume.driver,
        "Group": "N/A",
        "Labels": fmt::labels(&labels),
        "Links": "N/A",
        "Mountpoint": volumes.data(&volume.name).to_string_lossy(),
        "Name": volume.name,
        "Scope": "local",
        "Size": "N/A",
        "Status": "N/A",
    });
    Row { fields, methods: Map::from_iter([("Label".to_owned(), json!(labels))]) }
}

/// In the order of Docker's answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    created_at: String,
    driver: String,
    labels: Option<Strings>,
    mountpoint: String,
    name: String,
    options: Option<Strings>,
    scope: &'static str,
}

pub(crate) fn describe(home: &Home, name: &str) -> Result<Value> {
    serde_json::to_value(inspected(&Volumes::open(home)?, name)?).context("JSON")
}

fn inspected(volumes: &Volumes<'_>, name: &str) -> Result<Inspected> {
    let volume = volumes.find(name)?.ok_or_else(|| none(name))?;
    Ok(Inspected {
        mountpoint: volumes.data(name).to_string_lossy().into_owned(),
        created_at: volume.created_at,
        driver: volume.driver,
        labels: volume.labels,
        name: volume.name,
        options: volume.options,
        scope: "local",
    })
}

fn show(args: &cli::Inspect, volumes: &Volumes<'_>, screen: &mut Screen<'_>) -> Result<()> {
    inspect::each(&args.names, args.format.as_deref(), screen, |name| inspected(volumes, name))
}

fn none(name: &str) -> anyhow::Error {
    anyhow!("no such volume: {name}")
}

fn rm(args: &cli::Rm, volumes: &Volumes<'_>, screen: &mut Screen<'_>) -> Result<()> {
    let mut errors = Vec::new();
    for name in &args.names {
        let removed = discard(args.force, name, volumes)
            .and_then(|found| found.map_or(Ok(0), |found| delete(name, found)));
        match removed {
            Ok(_) => screen.say(&format!("{name}\n"))?,
            Err(err) => errors.push(err),
        }
    }
    error::all(errors)
}

/// `None` when it is not there, which `force` takes.
fn discard(force: bool, name: &str, volumes: &Volumes<'_>) -> Result<Option<Discarded>> {
    let _lock = volumes.lock()?;
    let users = volumes.users()?.remove(name).unwrap_or_default();
    match volumes.find(name) {
        Ok(None) if force => return Ok(None),
        Ok(None) => return Err(none(name)).hint("bundles volume ls shows those there are"),
        // One whose file is broken can be removed, on request.
        Err(err) if !force => {
            return Err(err).hint(format!("remove it nevertheless: bundles volume rm -f {name}"));
        }
        Ok(Some(_)) | Err(_) => {}
    }
    volumes.discard(name, &users).map(Some)
}

/// Removes those which nobody uses, the anonymous or `all`, and names them. Returns the bytes.
pub(crate) fn prune(
    volumes: &Volumes<'_>,
    filters: &Filters,
    all: bool,
    screen: &mut Screen<'_>,
) -> Result<u64> {
    let lock = volumes.lock()?;
    let users = volumes.users()?;
    let (found, mut errors) = volumes.all()?;
    let mut discarded = Vec::new();
    for volume in found {
        let wanted = (all || volume.is_anonymous())
            && !users.contains_key(&volume.name)
            && filters.labels(&volume.labels.clone().unwrap_or_default());
        if wanted {
            match volumes.discard(&volume.name, &[]) {
                Ok(garbage) => discarded.push((volume.name, garbage)),
                Err(err) => errors.push(err),
            }
        }
    }
    drop(lock);
    let mut freed = 0;
    let mut removed = String::new();
    for (name, garbage) in discarded {
        match delete(&name, garbage) {
            Ok(bytes) => freed += bytes,
            Err(err) => errors.push(err),
        }
        removed.push_str(&format!("{name}\n"));
    }
    if !removed.is_empty() {
        screen.say(&format!("Deleted Volumes:\n{removed}\n"))?;
    }
    error::all(errors)?;
    Ok(freed)
}

/// For `system df`.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) count: usize,
    pub(crate) used: usize,
    pub(crate) bytes: u64,
    /// Of those which nobody uses.
    pub(crate) reclaimable: u64,
}

pub(crate) fn totals(home: &Home) -> Result<Totals> {
    let volumes = Volumes::open(home)?;
    let users = volumes.users()?;
    let (all, errors) = volumes.all()?;
    error::all(errors)?;
    let mut totals = Totals { count: all.len(), ..Totals::default() };
    for volume in all {
        let bytes = tree::usage(&volumes.data(&volume.name)).context(volume.name.clone())?;
        totals.bytes += bytes;
        if users.contains_key(&volume.name) {
            totals.used += 1;
        } else {
            totals.reclaimable += bytes;
        }
    }
    Ok(totals)
}
