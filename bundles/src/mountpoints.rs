//! What a runtime makes in a root file system to mount something there: an empty layer of its own
//! above those of the image has it, so it is no change of the container's.
//!
//! Runs in: an ordinary process of the user, or root of a user namespace.

use crate::copy;
use crate::digest::Digest;
use crate::etc;
use crate::home;
use crate::store::Store;
use anyhow::{Context as _, Result};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// In the directory of a container.
pub(crate) const DIRECTORY: &str = "mountpoints";

/// Makes a directory with what is mounted in every container, and what `view`, the files of its
/// image, does not have.
pub(crate) fn make(view: &Path, at: &Path) -> Result<()> {
    directory(at)?;
    for name in ["dev", "proc", "sys"] {
        if kind(&view.join(name))?.is_none() {
            directory(&at.join(name))?;
        }
    }
    let of_image = kind(&view.join("etc"))?;
    // If it is something else, the runtime has to find its way.
    if of_image.is_none_or(|kind| kind.is_dir()) {
        let here = at.join("etc");
        for name in etc::FILES {
            if of_image.is_none() || kind(&view.join("etc").join(name))?.is_none() {
                if !here.exists() {
                    directory(&here)?;
                }
                let file = here.join(name);
                home::write(&file, b"").with_context(|| file.display().to_string())?;
                set_mode(&file, 0o644)?;
            }
        }
        if of_image.is_some() && here.exists() {
            like(&view.join("etc"), &here)?;
        }
    }
    like(view, at)
}

/// The upper one of two directories is the one that is seen.
fn like(from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (File::open(from)?, File::open(to)?);
    copy::attributes(from.as_fd(), to.as_fd()).context(DIRECTORY)
}

/// The layers over which the changes of a container lie, the lowest first.
pub(crate) fn layers_below(store: &Store<'_>, dir: &Path, layers: &[Digest]) -> Vec<PathBuf> {
    let own = Some(dir.join(DIRECTORY)).filter(|dir| dir.exists()); // not of old containers
    layers.iter().map(|layer| store.layer(layer)).chain(own).collect()
}

/// What it is, not where a link leads.
fn kind(path: &Path) -> Result<Option<fs::FileType>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found.file_type())),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err).with_context(|| path.display().to_string()),
    }
}

/// Whatever the caller's umask is.
fn directory(path: &Path) -> Result<()> {
    DirBuilder::new().create(path).with_context(|| path.display().to_string())?;
    set_mode(path, 0o755)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let set = fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set.with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::os::unix::fs::MetadataExt as _;

    fn made(dir: &Scratch) -> Vec<String> {
        let at = dir.0.join("at");
        make(&dir.0.join("view"), &at).unwrap();
        let mut names = Vec::new();
        for entry in
            fs::read_dir(&at).unwrap().chain(fs::read_dir(at.join("etc")).into_iter().flatten())
        {
            let path = entry.unwrap().path();
            names.push(path.strip_prefix(&at).unwrap().display().to_string());
        }
        names.sort();
        names
    }

    #[test]
    fn only_what_the_image_lacks_is_made() {
        let dir = Scratch::new();
        dir.file("view/etc/hosts", b"");
        dir.link("view/etc/resolv.conf", "/nowhere");
        dir.link("view/dev", "/nowhere");
        let etc = dir.0.join("view/etc");
        fs::set_permissions(&etc, fs::Permissions::from_mode(0o751)).unwrap();
        assert_eq!(made(&dir), ["etc", "etc/hostname", "proc", "sys"]);
        let (from, to) = (fs::metadata(etc).unwrap(), fs::metadata(dir.0.join("at/etc")).unwrap());
        assert_eq!((from.mode(), from.mtime_nsec()), (to.mode(), to.mtime_nsec()));
    }

    #[test]
    fn image_without_anything_gets_all() {
        let dir = Scratch::new();
        fs::create_dir(dir.0.join("view")).unwrap();
        let all = ["dev", "etc", "etc/hostname", "etc/hosts", "etc/resolv.conf", "proc", "sys"];
        assert_eq!(made(&dir), all);
    }

    #[test]
    fn link_for_etc_is_left_alone() {
        let dir = Scratch::new();
        dir.link("view/etc", "/tmp");
        assert_eq!(made(&dir), ["dev", "proc", "sys"]);
    }
}
