//! The commands `load`, `images`, `tag`, `rmi` and `image …`.
//!
//! Runs in: an ordinary process of the user.

use crate::cli::images::{Image as Group, ImageCommand, Images, Inspect, Load, Remove, Tag};
use crate::error::OrHint as _;
use crate::home::Home;
use crate::load;
use crate::reference::Reference;
use crate::store::{Image, Store};
use anyhow::{Context as _, Result, anyhow};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::time::SystemTime;

pub(crate) fn image(home: &Home, group: &Group, out: &mut dyn Write) -> Result<()> {
    match &group.command {
        ImageCommand::Ls(args) => list(home, args, out),
        ImageCommand::Load(args) => load(home, args, out),
        ImageCommand::Tag(args) => tag(home, args),
        ImageCommand::Rm(args) => remove(home, args, out),
        ImageCommand::Inspect(args) => inspect(home, args, out),
    }
}

pub(crate) fn load(home: &Home, args: &Load, out: &mut dyn Write) -> Result<()> {
    let store = Store::open(home)?;
    let loaded = match &args.input {
        Some(path) => {
            let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
            load::load(&store, file).with_context(|| format!("load {}", path.display()))
        }
        None if io::stdin().is_terminal() => {
            Err(anyhow!("load: standard input is a terminal, no archive"))
                .hint("name the archive: bundles load -i FILE")
        }
        None => load::load(&store, io::stdin().lock()).context("load from standard input"),
    }?;
    for one in loaded.iter().filter(|_| !args.quiet) {
        for name in &one.names {
            writeln!(out, "Loaded image: {}", name.familiar())?;
        }
        if one.names.is_empty() {
            writeln!(out, "Loaded image ID: {}", one.image.id)?;
        }
    }
    Ok(())
}

pub(crate) fn tag(home: &Home, args: &Tag) -> Result<()> {
    let store = Store::open(home)?;
    let target = Reference::parse(&args.target)?.tagged();
    if target.digest.is_some() {
        return Err(anyhow!("image name {:?}: a digest cannot be given to an image", args.target))
            .hint("give a name with a tag");
    }
    store.tag(&store.image(&args.source)?, &target)
}

/// Goes on after an error.
pub(crate) fn remove(home: &Home, args: &Remove, out: &mut dyn Write) -> Result<()> {
    let store = Store::open(home)?;
    let mut failed: Vec<anyhow::Error> = Vec::new();
    for text in &args.images {
        if args.force && store.image(text).is_err_and(|err| err.is::<crate::store::Missing>()) {
            continue;
        }
        match store.remove(text, args.force, |_| Ok(None)) {
            Ok(removed) => {
                for name in removed.untagged {
                    writeln!(out, "Untagged: {}", name.familiar())?;
                }
                for id in removed.deleted {
                    writeln!(out, "Deleted: {id}")?;
                }
            }
            Err(err) => failed.push(err),
        }
    }
    crate::error::all(failed)
}

pub(crate) fn list(home: &Home, args: &Images, out: &mut dyn Write) -> Result<()> {
    let wanted = args.name.as_deref().map(Reference::parse).transpose()?;
    let mut rows: Vec<Vec<String>> = Vec::new();
    for image in Store::open(home)?.images()? {
        let id = if args.no_trunc { image.id.to_string() } else { image.id.short().to_owned() };
        let age = image.created.map_or_else(|| "N/A".to_owned(), age);
        let mut shown = false;
        let names = image.names.iter().map(Some).chain(image.names.is_empty().then_some(None));
        for name in names.filter(|name| matches(*name, wanted.as_ref())) {
            shown = true;
            let none = || "<none>".to_owned();
            let from = |name: &Reference| {
                let same = image.digests.iter().find(|one| one.repository() == name.repository());
                same.and_then(|one| one.digest.clone()).map(|digest| digest.to_string())
            };
            let mut row = vec![name.map_or_else(none, Reference::repository)];
            row.push(name.and_then(|name| name.tag.clone()).unwrap_or_else(none));
            if args.digests {
                row.push(name.and_then(from).unwrap_or_else(none));
            }
            row.extend([id.clone(), age.clone(), size(image.size)]);
            rows.push(row);
        }
        if shown && args.quiet {
            writeln!(out, "{id}")?;
        }
    }
    if args.quiet {
        return Ok(());
    }
    let mut head = vec!["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"];
    if args.digests {
        head.insert(2, "DIGEST");
    }
    rows.insert(0, head.into_iter().map(str::to_owned).collect());
    table(&rows, out)
}

fn matches(name: Option<&Reference>, wanted: Option<&Reference>) -> bool {
    match (name, wanted) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(name), Some(wanted)) => {
            name.registry == wanted.registry
                && name.path == wanted.path
                && (wanted.tag.is_none() || wanted.tag == name.tag)
        }
    }
}

fn table(rows: &[Vec<String>], out: &mut dyn Write) -> Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(String::len).max().unwrap_or(0))
        .collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}   "));
        writeln!(out, "{}", cells.collect::<String>().trim_end())?;
    }
    Ok(())
}

/// Three significant digits of thousands: `7.05MB`.
fn size(bytes: u64) -> String {
    let (mut scaled, mut unit) = (bytes, 1_u64);
    let mut units = ["B", "kB", "MB", "GB", "TB"].into_iter();
    let mut name = units.next().unwrap_or_default();
    while scaled >= 1000 {
        let Some(next) = units.next() else { break };
        (scaled, unit, name) = (scaled / 1000, unit * 1000, next);
    }
    let hundredths = u128::from(bytes) * 100 / u128::from(unit);
    match hundredths {
        _ if unit == 1 => format!("{bytes}{name}"),
        0..1000 => format!("{}.{:02}{name}", hundredths / 100, hundredths % 100),
        1000..10_000 => format!("{}.{}{name}", hundredths / 100, hundredths / 10 % 10),
        10_000.. => format!("{}{name}", hundredths / 100),
    }
}

fn age(created: SystemTime) -> String {
    const UNITS: [(&str, u64); 6] = [
        ("year", 365 * 86_400),
        ("month", 30 * 86_400),
        ("week", 7 * 86_400),
        ("day", 86_400),
        ("hour", 3600),
        ("minute", 60),
    ];
    let seconds = created.elapsed().map_or(0, |age| age.as_secs());
    let found = UNITS.into_iter().find(|(_, length)| seconds >= *length);
    let (unit, count) =
        found.map_or(("second", seconds), |(unit, length)| (unit, seconds / length));
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

pub(crate) fn inspect(home: &Home, args: &Inspect, out: &mut dyn Write) -> Result<()> {
    let store = Store::open(home)?;
    let (mut shown, mut failed) = (Vec::new(), Vec::new());
    for text in &args.images {
        match store.image(text) {
            Ok(image) => shown.push(docker_shape(&image)),
            Err(err) => failed.push(err),
        }
    }
    let text = serde_json::to_string_pretty(&shown).context("JSON")?;
    writeln!(out, "{text}")?;
    crate::error::all(failed)
}

/// As `docker image inspect` has it; programs read these names.
fn docker_shape(image: &Image) -> Value {
    let raw = |key: &str| image.raw.get(key).cloned();
    let text = |key: &str| raw(key).unwrap_or_else(|| json!(""));
    let names: Vec<String> = image.names.iter().map(Reference::familiar).collect();
    let digests: Vec<String> = image.digests.iter().map(Reference::familiar).collect();
    let mut shape = Map::new();
    let mut put = |key: &str, value: Value| shape.insert(key.to_owned(), value);
    put("Id", json!(image.id));
    put("RepoTags", json!(names));
    put("RepoDigests", json!(digests));
    put("Parent", json!(""));
    put("Comment", json!(""));
    put("Created", text("created"));
    put("DockerVersion", text("docker_version"));
    put("Author", text("author"));
    put("Config", raw("config").unwrap_or_else(|| json!({})));
    put("Architecture", text("architecture"));
    if let Some(variant) = raw("variant") {
        put("Variant", variant);
    }
    put("Os", text("os"));
    put("Size", json!(image.size));
    // Docker names the top layer first.
    let mut layers = image.layers.iter().rev().map(|path| path.display().to_string());
    let mut data = Map::new();
    if let Some(top) = layers.next() {
        data.insert("UpperDir".to_owned(), json!(top));
    }
    let lower: Vec<String> = layers.collect();
    if !lower.is_empty() {
        data.insert("LowerDir".to_owned(), json!(lower.join(":")));
    }
    put("GraphDriver", json!({"Data": data, "Name": "overlay2"}));
    put("RootFS", json!({"Type": "layers", "Layers": image.config.rootfs().diff_ids()}));
    put("Metadata", json!({"LastTagTime": "0001-01-01T00:00:00Z"}));
    put("Descriptor", json!({"digest": image.manifest}));
    Value::Object(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1.00kB"),
            (7_051_234, "7.05MB"),
            (77_800_000, "77.8MB"),
            (187_999_999, "187MB"),
            (u64::MAX, "18446744TB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn ages_have_one_unit() {
        let ago = |seconds| age(SystemTime::now() - Duration::from_secs(seconds));
        assert_eq!(ago(61), "1 minute ago");
        assert_eq!(ago(15 * 86_400), "2 weeks ago");
        assert_eq!(age(SystemTime::now() + Duration::from_secs(9)), "0 seconds ago");
    }
}
