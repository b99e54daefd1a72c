//! `system df -v`: each image, container and volume, and what it takes of the disk.

use crate::container;
use crate::digest::Digest;
use crate::fmt::{self, Listing, Row};
use crate::home::Home;
use crate::reference::Reference;
use crate::store::{Image, Store};
use crate::tree;
use crate::volume::Volumes;
use anyhow::Result;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Longest command that is shown, in characters.
const WIDTH: usize = 20;

pub(super) fn tables(home: &Home) -> Result<String> {
    Ok(format!(
        "Images space usage:\n\n{}\nContainers space usage:\n\n{}\nLocal Volumes space usage:\n\n{}",
        images(home)?,
        containers(home)?,
        volumes(home)?
    ))
}

fn row(fields: Value) -> Row {
    Row { fields, methods: Map::new() }
}

fn images(home: &Home) -> Result<String> {
    const USUAL: &str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.Created}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}";
    const TITLES: &[(&str, &str)] = &[
        ("Containers", "CONTAINERS"),
        ("Created", "CREATED"),
        ("ID", "IMAGE ID"),
        ("Repository", "REPOSITORY"),
        ("SharedSize", "SHARED SIZE"),
        ("Size", "SIZE"),
        ("Tag", "TAG"),
        ("UniqueSize", "UNIQUE SIZE"),
    ];
    let listing = Listing::new(None, USUAL, None)?;
    if !home.has("oci") {
        return listing.show(&[], TITLES);
    }
    let store = Store::open(home)?;
    let images = store.images()?;
    let mut users: BTreeMap<Digest, u32> = BTreeMap::new();
    for image in &images {
        for layer in image.diff_ids()? {
            *users.entry(layer).or_default() += 1;
        }
    }
    let containers = container::all(home)?;
    let mut rows = Vec::new();
    for image in &images {
        let layers = image.diff_ids()?;
        let shared =
            layers.iter().filter(|layer| users.get(*layer).is_some_and(|count| *count > 1));
        let shared: u64 = shared.map(|layer| store.size_of(layer)).sum();
        let made = containers.iter().filter(|one| one.record.image_id() == Some(&image.id)).count();
        for name in names(image) {
            let none = || "<none>".to_owned();
            rows.push(row(json!({
                "Containers": made.to_string(),
                "Created": image.created.map_or_else(|| "N/A".to_owned(), fmt::since),
                "ID": fmt::short_id(image.id.hex()),
                "Repository": name.map_or_else(none, Reference::repository),
                "SharedSize": fmt::size(shared),
                "Size": fmt::size(image.size),
                "Tag": name.and_then(|name| name.tag.clone()).unwrap_or_else(none),
                "UniqueSize": fmt::size(image.size.saturating_sub(shared)),
            })));
        }
    }
    listing.show(&rows, TITLES)
}

fn names(image: &Image) -> impl Iterator<Item = Option<&Reference>> {
    image.names.iter().map(Some).chain(image.names.is_empty().then_some(None))
}

fn containers(home: &Home) -> Result<String> {
    const USUAL: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.Created}}\t{{.Status}}\t{{.Names}}";
    const TITLES: &[(&str, &str)] = &[
        ("Command", "COMMAND"),
        ("Created", "CREATED"),
        ("ID", "CONTAINER ID"),
        ("Image", "IMAGE"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Names", "NAMES"),
        ("Size", "SIZE"),
        ("Status", "STATUS"),
    ];
    let mut rows = Vec::new();
    for container in container::all(home)? {
        let record = &container.record;
        let volumes = record.mounts.iter().filter(|mount| mount.kind == "volume").count();
        let command: String = record.command.join(" ").chars().take(WIDTH).collect();
        rows.push(row(json!({
            "Command": format!("{command:?}"),
            "Created": fmt::since(container::time(&record.created)),
            "ID": fmt::short_id(&record.id),
            "Image": record.image,
            "LocalVolumes": volumes.to_string(),
            "Names": record.name,
            "Size": fmt::size(tree::usage(&container.dir)?),
            "Status": record.status_word(),
        })));
    }
    Listing::new(None, USUAL, None)?.show(&rows, TITLES)
}

fn volumes(home: &Home) -> Result<String> {
    const TITLES: &[(&str, &str)] =
        &[("Links", "LINKS"), ("Name", "VOLUME NAME"), ("Size", "SIZE")];
    let volumes = Volumes::open(home)?;
    let users = volumes.users()?;
    let (all, errors) = volumes.all()?;
    crate::error::all(errors)?;
    let mut rows = Vec::new();
    for volume in all {
        let links = users.get(&volume.name).map_or(0, Vec::len);
        rows.push(row(json!({
            "Links": links.to_string(),
            "Name": volume.name,
            "Size": fmt::size(tree::usage(&volumes.data(&volume.name))?),
        })));
    }
    Listing::new(None, "{{.Name}}\t{{.Links}}\t{{.Size}}", None)?.show(&rows, TITLES)
}
