//! `export`: the files of a container as an archive.

use crate::cli::tools::Export;
use crate::container::{Container, Root};
use crate::events::{self, Event};
use crate::home::Home;
use crate::layer::{What, write};
use crate::mountpoints;
use crate::output;
use crate::overlay::{self, View};
use crate::store::Store;
use anyhow::{Context as _, Result, ensure};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::Path;

pub(crate) fn export(home: &Home, args: &Export) -> Result<()> {
    let mut container = Container::find(home, &args.container)?;
    output::to(args.output.as_deref(), "export", |out| {
        let scratch = home.scratch()?;
        let files = Files::of(home, &container, scratch.path())?;
        let top = File::open(files.path()).with_context(|| files.path().display().to_string())?;
        write(top.as_fd(), out, What::Tree, None)?;
        ensure!(container.refresh()?, "{}: removed meanwhile", args.container);
        Ok(())
    })?;
    events::note(home, Event::container(&container.record, "export"));
    Ok(())
}

/// All files of a container, without what is mounted there.
pub(super) enum Files<'a> {
    Directory(&'a Path),
    /// Its changes over its image, not to be written to. It may run meanwhile.
    View(View),
}

impl<'a> Files<'a> {
    /// `scratch` is empty. The caller's mounts are his own from here on.
    pub(super) fn of(home: &Home, container: &'a Container, scratch: &Path) -> Result<Self> {
        match &container.record.root {
            Root::Directory(dir) => Ok(Self::Directory(dir)),
            Root::Image { layers, .. } => {
                let mut layers =
                    mountpoints::layers_below(&Store::open(home)?, &container.dir, layers);
                layers.push(container.dir.join(overlay::UPPER));
                overlay::leave_mounts()?;
                Ok(Self::View(View::mount(&layers, scratch)?))
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Directory(dir) => dir,
            Self::View(view) => view.path(),
        }
    }
}
