//! `container prune`, and what `system` shows and removes of containers and images.

use super::end;
use crate::cli::container::{Command, Prune};
use crate::cli::images::Prune as Images;
use crate::container::{self, Container};
use crate::error;
use crate::filter::Filters;
use crate::fmt;
use crate::home::Home;
use crate::images::Choice;
use crate::screen::Screen;
use crate::store::{Image, Store};
use crate::tree;
use crate::volume::Totals;
use anyhow::{Result, bail};

/// What is left of the group when its other commands have been called by their shorter names.
pub(crate) fn run(home: &Home, command: &Command, screen: &mut Screen<'_>) -> Result<()> {
    let Command::Prune(args) = command else { bail!("internal error, please report: container") };
    prune(home, args, screen)
}

fn prune(home: &Home, args: &Prune, screen: &mut Screen<'_>) -> Result<()> {
    screen.confirm(args.force, "This will remove all containers that do not run.")?;
    let filters = Filters::new(&args.filter, &["until", "label", "label!"])?;
    let freed = containers(home, &filters, screen)?;
    screen.say(&format!("Total reclaimed space: {}\n", fmt::size(freed)))
}

/// Removes those that do not run, and names them. Returns the bytes that they had on disk.
pub(crate) fn containers(home: &Home, filters: &Filters, screen: &mut Screen<'_>) -> Result<u64> {
    let (mut freed, mut removed, mut failed) = (0, Vec::new(), Vec::new());
    for mut container in container::all(home)? {
        let record = &container.record;
        let is_meant =
            filters.labels(&record.labels) && filters.is_before(container::time(&record.created));
        if record.is_running() || !is_meant {
            continue;
        }
        let bytes = tree::usage(&container.dir)?;
        match end::remove(home, &mut container) {
            Ok(()) => {
                freed += bytes;
                removed.push(container.record.id);
            }
            Err(_) if Container::open(&container.dir).is_ok_and(|one| one.record.is_running()) => {}
            Err(err) => failed.push(err),
        }
    }
    if !removed.is_empty() {
        screen.say(&format!("Deleted Containers:\n{}\n\n", removed.join("\n")))?;
    }
    error::all(failed)?;
    Ok(freed)
}

pub(crate) fn image_prune(home: &Home, args: &Images, screen: &mut Screen<'_>) -> Result<()> {
    screen.confirm(
        args.force,
        match args.all {
            true => "This will remove all images from which no container is made.",
            false => "This will remove all images without a name.",
        },
    )?;
    let filters = Filters::new(&args.filter, &["until", "label", "label!"])?;
    let freed = images(home, args.all, filters, screen)?;
    screen.say(&format!("Total reclaimed space: {}\n", fmt::size(freed)))
}

/// Removes images that no container uses: those without a name, or all. Returns the bytes.
pub(crate) fn images(
    home: &Home,
    all: bool,
    filters: Filters,
    screen: &mut Screen<'_>,
) -> Result<u64> {
    let store = Store::open(home)?;
    let before = bytes_of_images(home)?;
    let containers = container::all(home)?;
    let (mut lines, mut failed) = (String::new(), Vec::new());
    let images = store.images()?;
    let choice = Choice::new(filters, &images)?;
    for image in images.iter().filter(|image| all || image.names.is_empty()) {
        if user(&containers, image).is_some() || !choice.has(image) {
            continue;
        }
        match store.remove(&image.id.to_string(), true, |image| user_of(home, image)) {
            Ok(removed) => {
                let untagged = removed.untagged.iter();
                lines.extend(untagged.map(|name| format!("untagged: {}\n", name.familiar())));
                lines.extend(removed.deleted.iter().map(|id| format!("deleted: {id}\n")));
            }
            Err(err) => failed.push(err),
        }
    }
    if !lines.is_empty() {
        screen.say(&format!("Deleted Images:\n{lines}\n"))?;
    }
    error::all(failed)?;
    Ok(before.saturating_sub(bytes_of_images(home)?))
}

/// The name of a container that is made from an image.
pub(crate) fn user_of(home: &Home, image: &Image) -> Result<Option<String>> {
    Ok(user(&container::all(home)?, image).map(|container| container.record.name.clone()))
}

fn user<'a>(containers: &'a [Container], image: &Image) -> Option<&'a Container> {
    containers.iter().find(|one| one.record.image_id() == Some(&image.id))
}

/// Of the containers; those that run are in use.
pub(crate) fn container_totals(home: &Home) -> Result<Totals> {
    let mut totals = Totals::default();
    for container in container::all(home)? {
        let bytes = tree::usage(&container.dir)?;
        totals.count += 1;
        totals.bytes += bytes;
        if container.record.is_running() {
            totals.used += 1;
        } else {
            totals.reclaimable += bytes;
        }
    }
    Ok(totals)
}

/// Of the images; those from which a container is made are in use, and so are their layers.
pub(crate) fn image_totals(home: &Home) -> Result<Totals> {
    if !home.has("oci") {
        return Ok(Totals::default());
    }
    let store = Store::open(home)?;
    let containers = container::all(home)?;
    let (used, unused): (Vec<Image>, Vec<Image>) =
        store.images()?.into_iter().partition(|image| user(&containers, image).is_some());
    let (kept, reclaimable) = store.bytes(|id| used.iter().any(|image| image.id == *id))?;
    let (count, used) = (used.len() + unused.len(), used.len());
    Ok(Totals { count, used, bytes: kept + reclaimable, reclaimable })
}

/// Layers, and the archives that they came from.
fn bytes_of_images(home: &Home) -> Result<u64> {
    Ok(tree::usage(&home.directory("layers")?)? + tree::usage(&home.directory("oci")?)?)
}
