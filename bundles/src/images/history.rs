//! `history`: how an image was made.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use crate::cli::tools::History;
use crate::fmt::{self, Listing, Row};
use crate::home::Home;
use crate::screen::Screen;
use crate::store::{Image, Store, time};
use anyhow::Result;
use serde_json::{Map, Value, json};

/// Docker's width of a command, in characters.
const WIDTH: usize = 45;

const TITLES: &[(&str, &str)] = &[
    ("Comment", "COMMENT"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("CreatedSince", "CREATED"),
    ("ID", "IMAGE"),
    ("Size", "SIZE"),
];

pub(crate) fn history(home: &Home, args: &History, screen: &mut Screen<'_>) -> Result<()> {
    let created = if args.human { "CreatedSince" } else { "CreatedAt" };
    let usual = format!(
        "{{{{.ID}}}}\t{{{{.{created}}}}}\t{{{{.CreatedBy}}}}\t{{{{.Size}}}}\t{{{{.Comment}}}}"
    );
    let listing = Listing::new(args.format.as_deref(), &usual, args.quiet.then_some("{{.ID}}"))?;
    let store = Store::open(home)?;
    let image = store.image(&args.image)?;
    let mut steps = steps(&store, &image)?;
    steps.reverse();
    let rows = steps.iter().enumerate().map(|(index, step)| {
        let id = if index == 0 { Some(&image) } else { None };
        row(id, step, args)
    });
    screen.say(&listing.show(&rows.collect::<Vec<_>>(), TITLES)?)
}

/// One of the image's history, and the bytes that its layer has.
struct Step {
    entry: Value,
    size: u64,
}

/// The oldest first. Layers that the history does not tell of are those below.
fn steps(store: &Store<'_>, image: &Image) -> Result<Vec<Step>> {
    let diff_ids = image.diff_ids()?;
    let history = image.raw["history"].as_array().cloned().unwrap_or_default();
    let has_layer = |entry: &Value| !entry["empty_layer"].as_bool().unwrap_or(false);
    let told = history.iter().filter(|entry| has_layer(entry)).count();
    let untold = (told..diff_ids.len()).map(|_| json!({}));
    let mut sizes = diff_ids.iter().map(|diff_id| store.size_of(diff_id));
    let step = |entry: Value| {
        let size = if has_layer(&entry) { sizes.next() } else { None };
        Step { entry, size: size.unwrap_or(0) }
    };
    Ok(untold.chain(history).map(step).collect())
}

fn row(image: Option<&Image>, step: &Step, args: &History) -> Row {
    let text = |key: &str| step.entry[key].as_str().unwrap_or_default().replace('\t', " ");
    let created = time(&text("created"));
    let id = match image {
        Some(image) if args.no_trunc => image.id.to_string(),
        Some(image) => fmt::short_id(image.id.hex()).to_owned(),
        None => "<missing>".to_owned(),
    };
    let unknown = || "N/A".to_owned();
    let at = created.map(|time| humantime::format_rfc3339_seconds(time).to_string());
    let fields = json!({
        "Comment": text("comment"),
        "CreatedAt": at.unwrap_or_else(unknown),
        "CreatedBy": cut(text("created_by"), args.no_trunc),
        "CreatedSince": created.map_or_else(unknown, fmt::since),
        "ID": id,
        "Size": if args.human { fmt::size(step.size) } else { step.size.to_string() },
    });
    Row { fields, methods: Map::new() }
}

/// As long as Docker has it, with a sign that it was longer.
fn cut(text: String, whole: bool) -> String {
    if whole || text.chars().count() <= WIDTH {
        return text;
    }
    text.chars().take(WIDTH - 1).chain(['\u{2026}']).collect()
}
