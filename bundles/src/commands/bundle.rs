//! `bundle`: an image as a bundle on disk, for any OCI runtime and for people who want to see one.

use super::create::{self, Base};
use super::facts;
use crate::cli::run::Bundle;
use crate::copy;
use crate::error::OrHint as _;
use crate::home::{self, Home};
use crate::rootfs::{Destination, Partial};
use crate::screen::Screen;
use crate::spec::{self, Facts, wish};
use anyhow::{Context as _, Result, anyhow};
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::path::Path;

/// DIR is made whole or not at all.
pub(crate) fn bundle(home: &Home, args: &Bundle, screen: &mut Screen<'_>) -> Result<()> {
    let (dir, flags) = args.split()?;
    let dir = Destination::check(&dir)?;
    let scratch = home.scratch()?;
    let Base { config, files, .. } = create::base(home, &flags, scratch.path(), screen)?;
    let name = dir.name();
    let places = (name.as_str(), Path::new(""), Path::new("rootfs"));
    let found = facts::find(&flags, &config, files.path(), places)?;
    if let Some(wish) = wish::all(&flags.files, &[], Vec::new())?.first() {
        return Err(anyhow!("{}: a bundle has no volumes of ours", wish.words))
            .hint("leave it away, and add the mount to config.json");
    }
    // Another may run it, elsewhere.
    let facts = Facts { etc: Vec::new(), controllers: None, ..found };
    let text = serde_json::to_vec_pretty(&spec::make(&flags, &config, &facts)?)?;
    let partial = Partial::new(&dir)?;
    let rootfs = partial.path().join("rootfs");
    fs::create_dir(&rootfs).with_context(|| rootfs.display().to_string())?;
    let (from, to) = (open(files.path())?, open(&rootfs)?);
    copy::tree(from.as_fd(), to.as_fd()).context("copy the image")?;
    home::replace(&partial.path().join("config.json"), &text)?;
    partial.rename_to(&dir)
}

fn open(dir: &Path) -> Result<File> {
    File::open(dir).with_context(|| dir.display().to_string())
}
