//! `search`: images of registries by a part of their name.
//!
//! Runs in: an ordinary process of the user. Keeps nothing.

use crate::cli::pull::Search;
use crate::error::{self, OrHint as _};
use crate::filter::Filters;
use crate::fmt::{self, Listing, Row};
use crate::reference::Reference;
use crate::registry::{DOCKER_HUB, Endpoint, Found, Registries, Session, credentials};
use crate::screen::Screen;
use anyhow::{Context as _, Result, anyhow};
use serde_json::{Map, json};

const KEYS: &[&str] = &["stars", "is-official", "is-automated"];

const USUAL: &str = "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}";

const TITLES: &[(&str, &str)] = &[
    ("Description", "DESCRIPTION"),
    ("IsAutomated", "AUTOMATED"),
    ("IsOfficial", "OFFICIAL"),
    ("Name", "NAME"),
    ("StarCount", "STARS"),
];

/// Docker's width of descriptions.
const LONGEST_DESCRIPTION: usize = 45;

pub(crate) fn run(args: &Search, screen: &mut Screen<'_>) -> Result<()> {
    let listing = Listing::new(args.format.as_deref(), USUAL, None)?;
    let filters = Filters::new(&args.filter, KEYS)?;
    let least = filters.values("stars").map(|text| {
        let number: Result<u64, _> = text.parse();
        number.map_err(|_err| anyhow!("--filter stars={text}: no number"))
    });
    let least = least.collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or_default();
    let (official, automated) = (filters.truth("is-official")?, filters.truth("is-automated")?);
    let fits = |one: &Found| {
        one.stars >= least
            && official.is_none_or(|wanted| wanted == one.is_official)
            && automated.is_none_or(|wanted| wanted == one.is_automated)
    };
    let registries = Registries::read()?;
    let mut failed = Vec::new();
    let mut rows = Vec::new();
    for (registry, term) in places(&registries, &args.term)? {
        match search(&registries, &registry, &term, args) {
            Ok(found) => {
                let kept = found.iter().filter(|one| fits(one)).take(args.limit.into());
                rows.extend(kept.map(|one| row(&registry, one, args.no_trunc)));
            }
            Err(err) => failed.push(err.context(format!("search {}", args.term))),
        }
    }
    screen.say(&listing.show(&rows, TITLES)?)?;
    error::all(failed)
}

/// Registries, and what to look for there.
fn places(registries: &Registries, typed: &str) -> Result<Vec<(String, String)>> {
    if typed.contains("://") {
        return Err(anyhow!("search {typed}: a URL"))
            .hint("leave what stands before the name of the host away");
    }
    if typed.contains('/') && !Reference::is_short(typed) {
        let (registry, term) = typed.split_once('/').context("internal error, please report")?;
        return Ok(vec![(registry.to_owned(), term.to_owned())]);
    }
    let named = registries.search().iter().cloned();
    let mut all: Vec<(String, String)> = named.map(|one| (one, typed.to_owned())).collect();
    if all.is_empty() {
        all.push((DOCKER_HUB.to_owned(), typed.to_owned()));
    }
    Ok(all)
}

/// Those with most stars first.
fn search(
    registries: &Registries,
    registry: &str,
    term: &str,
    args: &Search,
) -> Result<Vec<Found>> {
    let insecure = args.registry.insecure || registries.is_insecure(registry);
    let endpoint = Endpoint { registry: registry.to_owned(), path: String::new(), insecure };
    let login = credentials::find(registry, "")?;
    let session = Session::open(&endpoint, login, &args.registry.options())?;
    // What is filtered away counts for the registry.
    let most = if args.filter.is_empty() { args.limit } else { 100 };
    let mut found = session.search(term, most.into())?;
    found.sort_by_key(|one| std::cmp::Reverse(one.stars));
    Ok(found)
}

fn row(registry: &str, found: &Found, whole: bool) -> Row {
    let name = match registry {
        DOCKER_HUB => found.name.clone(),
        other => format!("{other}/{}", found.name),
    };
    // Of strangers: one line, and nothing that a terminal would obey.
    let description = found.description.replace(['\r', '\n', '\t'], " ");
    let description = error::plain(description.trim());
    let description =
        if whole { description } else { fmt::shortened(&description, LONGEST_DESCRIPTION) };
    let mark = |is: bool| if is { "[OK]" } else { "" };
    let fields = json!({
        "Name": error::plain(&name),
        "Description": description,
        "StarCount": found.stars.to_string(),
        "IsOfficial": mark(found.is_official),
        "IsAutomated": mark(found.is_automated),
    });
    Row { fields, methods: Map::new() }
}
