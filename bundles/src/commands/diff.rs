//! `diff`: what a container has changed of its image's files.

use crate::cli::tools::Diff;
use crate::container::{Container, Root};
use crate::error::OrHint as _;
use crate::home::Home;
use crate::layer::attributes::call;
use crate::layer::{directory, is_opaque, is_whiteout};
use crate::mountpoints;
use crate::overlay::{self, View};
use crate::screen::Screen;
use crate::store::Store;
use crate::tree::names_in;
use anyhow::{Context as _, Result, anyhow};
use rustix::fs::{AtFlags, FileType, Stat, statat};
use rustix::io::Errno;
use serde_json::json;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The letters are Docker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Added,
    Changed,
    Deleted,
}

pub(crate) fn diff(home: &Home, args: &Diff, screen: &mut Screen<'_>) -> Result<()> {
    let container = Container::find(home, &args.container)?;
    let Root::Image { layers, .. } = &container.record.root else {
        return Err(anyhow!("{}: made with --rootfs", args.container))
            .hint("it writes to that directory itself, so nothing is left to compare with");
    };
    let scratch = home.scratch()?;
    let layers = mountpoints::layers_below(&Store::open(home)?, &container.dir, layers);
    overlay::leave_mounts()?;
    let view = View::mount(&layers, scratch.path())?;
    let open = |path: &Path| File::open(path).with_context(|| path.display().to_string());
    let (below, upper) = (open(view.path())?, open(&container.dir.join(overlay::UPPER))?);
    let mut found = Found { below: below.as_fd(), upper: upper.as_fd(), changes: Vec::new() };
    found.directory(Path::new(""))?;
    found.changes.sort_by(|(_, one), (_, other)| one.cmp(other));
    screen.say(&shown(&found.changes, args.format.is_some()))
}

fn shown(changes: &[(Kind, PathBuf)], as_json: bool) -> String {
    let path = |path: &PathBuf| format!("/{}", path.display());
    if !as_json {
        let line = |(kind, at): &(Kind, PathBuf)| match kind {
            Kind::Added => format!("A {}\n", path(at)),
            Kind::Changed => format!("C {}\n", path(at)),
            Kind::Deleted => format!("D {}\n", path(at)),
        };
        return changes.iter().map(line).collect();
    }
    let of = |wanted: Kind| {
        let these = changes.iter().filter(|(kind, _)| *kind == wanted);
        these.map(|(_, at)| path(at)).collect::<Vec<_>>()
    };
    let all = json!({
        "added": of(Kind::Added),
        "changed": of(Kind::Changed),
        "deleted": of(Kind::Deleted),
    });
    format!("{all}\n")
}

struct Found<'a> {
    /// The files of the image, and what the container has written.
    below: BorrowedFd<'a>,
    upper: BorrowedFd<'a>,
    changes: Vec<(Kind, PathBuf)>,
}

impl Found<'_> {
    /// Everything in one directory. What goes away meanwhile is left out.
    fn directory(&mut self, path: &Path) -> Result<()> {
        let Some(upper) = directory(self.upper, path)? else { return Ok(()) };
        let below = directory(self.below, path)?;
        let opaque = is_opaque(upper.as_fd());
        let names = names_in(&upper)?;
        if let Some(below) = below.as_ref().filter(|_| opaque) {
            let hidden = names_in(below)?;
            let hidden: Vec<_> = hidden.into_iter().filter(|name| !names.contains(name)).collect();
            self.changes.extend(hidden.iter().map(|name| (Kind::Deleted, path.join(name))));
        }
        for name in names {
            self.entry(&upper, below.as_ref(), &path.join(&name), &name)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        upper: &OwnedFd,
        below: Option<&OwnedFd>,
        path: &Path,
        name: &OsStr,
    ) -> Result<()> {
        let Some(new) = look(upper, name)? else { return Ok(()) };
        let old = below.map(|below| look(below, name)).transpose()?.flatten();
        if is_whiteout(&new) {
            if old.is_some() {
                self.changes.push((Kind::Deleted, path.to_owned()));
            }
            return Ok(());
        }
        let before = self.changes.len();
        if is_directory(&new) {
            self.directory(path)?;
        }
        let kind = if old.is_some() { Kind::Changed } else { Kind::Added };
        // It is there for what is in it, maybe, and those above a change count as changed.
        let is_same = old.is_some_and(|old| is_directory(&new) && is_alike(&new, &old));
        if !is_same || self.changes.len() > before {
            self.changes.push((kind, path.to_owned()));
        }
        Ok(())
    }
}

fn look(above: &OwnedFd, name: &OsStr) -> Result<Option<Stat>> {
    match statat(above, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        found => call("fstatat", found).map(Some),
    }
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn is_alike(one: &Stat, other: &Stat) -> bool {
    let of =
        |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_mtime, stat.st_mtime_nsec);
    of(one) == of(other)
}
