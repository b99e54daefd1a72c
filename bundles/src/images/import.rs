//! `import`: an image of an archive of files.

use crate::build::changed;
use crate::cli::tools::Import;
use crate::commands::new_name;
use crate::container;
use crate::error::OrHint as _;
use crate::events::{self, Event};
use crate::home::Home;
use crate::screen::Screen;
use crate::store::Store;
use crate::store::layout::Platform;
use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::os::fd::AsFd as _;

pub(crate) fn import(home: &Home, args: &Import, screen: &mut Screen<'_>) -> Result<()> {
    let name = args.name.as_deref().map(new_name).transpose()?;
    let store = Store::open(home)?;
    let (input, from): (Box<dyn Read + Send>, _) = match args.file.as_str() {
        "-" if io::stdin().is_terminal() => {
            return Err(anyhow!("import: standard input is a terminal, no archive"))
                .hint("name the archive: bundles import FILE NAME");
        }
        "-" => (Box::new(File::from(io::stdin().as_fd().try_clone_to_owned()?)), "standard input"),
        url if url.starts_with("http://") || url.starts_with("https://") => {
            return Err(anyhow!("import {url}: only files are read")).hint(format!(
                "get it first: curl -fL {url} | bundles import - {}",
                args.name.as_deref().unwrap_or("NAME")
            ));
        }
        path => (Box::new(File::open(path).with_context(|| format!("open {path}"))?), path),
    };
    let config = config(args, from)?;
    let layer = store.add_archive(input).with_context(|| format!("import {from}"))?;
    let parts = layer.parts();
    let image = store.add_image(config, &[layer], name.as_slice()).inspect_err(|_| {
        store.discard(&parts).ok(); // the first error is the one worth telling
    })?;
    let id = image.id.to_string();
    events::note(home, Event::image(&id, "import", &id));
    screen.say(&format!("{id}\n"))
}

fn config(args: &Import, from: &str) -> Result<Value> {
    let now = container::now();
    let platform = args.platform.clone().unwrap_or_else(Platform::here);
    let comment = args.message.clone().unwrap_or_else(|| format!("Imported from {from}"));
    let mut config = json!({
        "architecture": platform.architecture,
        "os": platform.os,
        "config": {},
        "history": [{ "created": now, "comment": comment }],
    });
    if let (Some(variant), Some(config)) = (platform.variant(), config.as_object_mut()) {
        config.insert("variant".to_owned(), json!(variant));
    }
    changed(&config, &args.change, &now)
}
