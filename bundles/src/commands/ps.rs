//! `ps`.

use super::podman;
use crate::attach;
use crate::called::Name;
use crate::cli::existing::Ps;
use crate::container::{self, Container, Mount, Record, Root, Status};
use crate::error::{self, OrHint as _};
use crate::filter::Filters;
use crate::fmt::{self, Listing, Row};
use crate::health;
use crate::home::Home;
use crate::networking::show;
use crate::overlay;
use crate::screen::Screen;
use crate::store::Store;
use crate::template::quote;
use crate::tree;
use anyhow::{Context as _, Result, anyhow};
use serde_json::{Map, Value, json};

const USUAL: &str =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
const TITLES: &[(&str, &str)] = &[
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("HealthStatus", "HEALTH STATUS"),
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Labels", "LABELS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Mounts", "MOUNTS"),
    ("Names", "NAMES"),
    ("Networks", "NETWORKS"),
    ("Ports", "PORTS"),
    ("RunningFor", "CREATED"),
    ("Size", "SIZE"),
    ("State", "STATE"),
    ("Status", "STATUS"),
];
/// Of a command in the table, in characters.
const LONGEST_COMMAND: usize = 20;
/// The same of a volume's name.
const LONGEST_MOUNT: usize = 15;

pub(crate) fn ps(home: &Home, args: &Ps, screen: &mut Screen<'_>) -> Result<()> {
    let usual = if args.size { format!("{USUAL}\t{{{{.Size}}}}") } else { USUAL.to_owned() };
    let format = args.format.as_deref();
    let listing = Listing::new(format, &usual, args.quiet.then_some("{{.ID}}"))?;
    let listing = listing.heading(!args.noheading);
    let filters = Filters::new(&args.filter, FILTERS)?;
    let (mut all, damaged) = container::readable(home)?;
    for container in &mut all {
        attach::adopt(home, container).ok(); // it is told all the same that it runs
    }
    all.sort_by(|one, other| other.record.created.cmp(&one.record.created));
    check(&filters)?;
    let times = Times::of(&all, &filters)?;
    if args.latest {
        all.truncate(1);
    } else if let Some(last) = args.last {
        all.truncate(last);
    } else if !args.all && !filters.has("status") && !filters.has("exited") {
        let runs = |record: &Record| record.is_running() || record.status() == Status::Restarting;
        all.retain(|container| runs(&container.record));
    }
    let wanted = |container: &&Container| fits(container, &filters, &times);
    let measured = args.size || format.is_some_and(|format| format.contains(".Size"));
    let (mut rows, mut shown) = (Vec::new(), Vec::new());
    for container in all.iter().filter(wanted) {
        let size = measured.then(|| sizes(home, container)).transpose()?;
        rows.push(row(container, args.no_trunc, size));
        shown.push(container);
    }
    let is_podman = Name::this() == Name::Podman;
    let text = if is_podman && format == Some("json") {
        let both = shown.iter().zip(&rows);
        let entries: Vec<Value> =
            both.map(|(container, row)| podman::entry(container, &row.fields)).collect();
        serde_json::to_string_pretty(&entries)? + "\n"
    } else {
        if is_podman {
            label_maps(&shown, &mut rows);
        }
        listing.show(&rows, TITLES)?
    };
    screen.say(&text)?;
    error::all(damaged)
}

/// Of Podman's templates, where `index .Labels "key"` finds one.
fn label_maps(containers: &[&Container], rows: &mut [Row]) {
    for (container, row) in containers.iter().zip(rows) {
        if let Some(fields) = row.fields.as_object_mut() {
            fields.insert("Labels".to_owned(), json!(container.record.labels));
        }
    }
}

/// In bytes: what a container has written, and that with what it sees of its image.
pub(super) fn sizes(home: &Home, container: &Container) -> Result<(u64, u64)> {
    Ok(match &container.record.root {
        Root::Directory(dir) => (0, tree::usage(dir)?),
        Root::Image { id, .. } => {
            let own = tree::usage(&container.dir.join(overlay::UPPER))?;
            let image = Store::open(home)?.image(&id.to_string());
            (own, own + image.map_or(0, |image| image.size))
        }
    })
}

const FILTERS: &[&str] = &[
    "id", "name", "label", "label!", "status", "exited", "ancestor", "before", "since", "volume",
    "network", "publish", "expose", "health",
];

/// Words that never fit are mistakes.
fn check(filters: &Filters) -> Result<()> {
    const STATUS: &[&str] =
        &["created", "restarting", "running", "removing", "paused", "exited", "dead"];
    const HEALTH: &[&str] = &["starting", "healthy", "unhealthy", "none"];
    for (key, known) in [("status", STATUS), ("health", HEALTH)] {
        if let Some(value) = filters.values(key).find(|value| !known.contains(value)) {
            return Err(anyhow!("--filter {key}={value}: there is no such {key}"))
                .hint(format!("it is one of: {}", known.join(" ")));
        }
    }
    for value in filters.values("exited") {
        value
            .parse::<i32>()
            .ok()
            .with_context(|| format!("--filter exited={value}: no exit code"))?;
    }
    Ok(())
}

/// When the containers of `before=` and `since=` were made.
#[derive(Debug, Default)]
struct Times {
    before: Option<String>,
    since: Option<String>,
}

impl Times {
    fn of(all: &[Container], filters: &Filters) -> Result<Self> {
        let made = |key: &str| {
            let Some(name) = filters.values(key).last() else { return Ok(None) };
            let one = all.iter().find(|one| one.record.is_called(name));
            let one = one.with_context(|| format!("--filter {key}={name}: no such container"))?;
            Ok::<_, anyhow::Error>(Some(one.record.created.clone()))
        };
        Ok(Self { before: made("before")?, since: made("since")? })
    }
}

fn fits(container: &Container, filters: &Filters, times: &Times) -> bool {
    let record = &container.record;
    let health = || container.health().map_or("none", |health| health.status.word());
    let volume = |wanted: &str| {
        record.mounts.iter().any(|mount| mount.name == wanted || mount.destination == wanted)
    };
    let ancestor = |wanted: &str| {
        let id = record.image_id().map(ToString::to_string).unwrap_or_default();
        record.image.trim_end_matches(":latest") == wanted.trim_end_matches(":latest")
            || !wanted.is_empty() && fmt::short_id(&id) == fmt::short_id(wanted)
    };
    let exited = record.state.exit_code.map(|code| code.to_string()).unwrap_or_default();
    filters.name(&record.name)
        && filters.id(&record.id)
        && filters.labels(&record.labels)
        && filters.any("status", |wanted| wanted == record.status_word())
        && filters.one_of("exited", &exited)
        && filters.any("ancestor", ancestor)
        && filters.any("volume", volume)
        && filters.any("network", |wanted| show::networks(&record.network).contains(&wanted))
        && filters.any("publish", |wanted| show::has_port(&record.network, wanted, true))
        && filters.any("expose", |wanted| show::has_port(&record.network, wanted, false))
        && (!filters.has("health") || filters.one_of("health", health()))
        && times.before.as_ref().is_none_or(|time| record.created < *time)
        && times.since.as_ref().is_none_or(|time| record.created > *time)
}

fn row(container: &Container, whole: bool, size: Option<(u64, u64)>) -> Row {
    let record = &container.record;
    let short = |text: &str| match whole {
        true => text.to_owned(),
        false => fmt::shortened(text, LONGEST_COMMAND),
    };
    let id = if whole { &record.id } else { fmt::short_id(&record.id) };
    let source = |mount: &Mount| match mount.name.as_str() {
        "" => mount.source.display().to_string(),
        name if whole => name.to_owned(),
        name if name.chars().count() <= LONGEST_MOUNT => name.to_owned(),
        name => name.chars().take(LONGEST_MOUNT - 1).chain(['…']).collect(),
    };
    let mounts: Vec<String> = record.mounts.iter().map(source).collect();
    let created = container::time(&record.created);
    // What the kernel has to be asked for is asked for once.
    let (status, paused) = (record.status(), record.is_paused());
    let health = container.health().map(|health| health.status);
    let local = record.mounts.iter().filter(|mount| mount.kind == "volume").count();
    let fields = json!({
        "Command": quote(&short(&record.command.join(" "))),
        "CreatedAt": humantime::format_rfc3339_seconds(created).to_string(),
        "HealthStatus": health.map(health::Status::word).unwrap_or_default(),
        "ID": id,
        "Image": record.image,
        "Labels": fmt::labels(&record.labels),
        "LocalVolumes": local.to_string(),
        "Mounts": mounts.join(","),
        "Names": record.name,
        "Networks": show::networks(&record.network).join(","),
        "Ports": show::ports(record),
        "RunningFor": fmt::since(created),
        "Size": size.map_or("0B".to_owned(), size_in_words),
        "State": status.word(paused),
        "Status": describe(record, status, paused, health),
    });
    Row { fields, methods: Map::from_iter([("Label".to_owned(), json!(record.labels))]) }
}

fn size_in_words((own, all): (u64, u64)) -> String {
    format!("{} (virtual {})", fmt::size(own), fmt::size(all))
}

fn describe(
    record: &Record,
    status: Status,
    paused: bool,
    health: Option<health::Status>,
) -> String {
    let since = |time: &Option<String>| {
        let time = time.as_deref().map(container::time);
        time.map_or("?".to_owned(), |time| fmt::age(time.elapsed().unwrap_or_default()))
    };
    match status {
        Status::Created | Status::Starting => "Created".to_owned(),
        Status::Running if paused => format!("Up {} (Paused)", since(&record.state.started)),
        Status::Running => {
            let health = match health {
                None => "",
                Some(health::Status::Starting) => " (health: starting)",
                Some(health::Status::Healthy) => " (healthy)",
                Some(health::Status::Unhealthy) => " (unhealthy)",
            };
            format!("Up {}{health}", since(&record.state.started))
        }
        Status::Restarting => {
            format!("Restarting ({}) {} ago", record.exit_code(), since(&record.state.finished))
        }
        Status::Exited => {
            format!("Exited ({}) {} ago", record.exit_code(), since(&record.state.finished))
        }
    }
}
