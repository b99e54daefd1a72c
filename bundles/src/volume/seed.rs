//! A volume that is empty gets the files that an image has at its place.
//!
//! Runs in: an ordinary process of the user, or root of a user namespace.
//!
//! The copy is made in `tmp/`, and becomes `volumes/NAME/seed` when it is whole. From then on the
//! volume counts as filled, and what is left is to move the files into `_data`, which others may
//! have mounted already. Whoever is killed there leaves that to the next user of the volume.

use super::Volumes;
use crate::copy;
use crate::home::{self, Lock};
use anyhow::{Context as _, Result};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

const SEED: &str = "seed";

impl Volumes<'_> {
    /// With the files of a directory, and with its owner and mode. One that has files stays as it
    /// is.
    pub(crate) fn seed(&self, name: &str, from: BorrowedFd<'_>, lock: &Lock) -> Result<()> {
        self.finish_seed(name, lock)?;
        if fs::read_dir(self.data(name)).with_context(|| name.to_owned())?.next().is_some() {
            return Ok(());
        }
        let scratch = self.home.scratch()?;
        let made = scratch.path().join(SEED);
        fs::create_dir(&made).with_context(|| format!("mkdir({})", made.display()))?;
        copy::tree(from, open(&made)?.as_fd()).with_context(|| format!("fill volume {name}"))?;
        let seed = self.dir.join(name).join(SEED);
        fs::rename(&made, &seed).with_context(|| format!("make {}", seed.display()))?;
        self.finish_seed(name, lock)
    }

    /// Does what is left of an earlier one.
    pub(super) fn finish_seed(&self, name: &str, _lock: &Lock) -> Result<()> {
        let seed = self.dir.join(name).join(SEED);
        if !seed.exists() {
            return Ok(());
        }
        let data = self.data(name);
        for path in home::entries(&seed)? {
            let to = data.join(path.file_name().unwrap_or_default());
            match renameat_with(CWD, &path, CWD, &to, RenameFlags::NOREPLACE) {
                // A running container has made one meanwhile: it keeps that.
                Ok(()) | Err(Errno::EXIST) => {}
                moved => moved.with_context(|| format!("rename(…, {})", to.display()))?,
            }
        }
        copy::attributes(open(&seed)?.as_fd(), open(&data)?.as_fd())
            .with_context(|| data.display().to_string())?;
        self.home.discard(&seed).map(drop)
    }
}

fn open(dir: &Path) -> Result<File> {
    File::open(dir).with_context(|| dir.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::super::Wish;
    use super::*;
    use crate::home::Home;
    use crate::testing::Scratch;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn killed_between_the_files_is_finished_by_the_next() {
        let dir = Scratch::new();
        let home = Home::open(Some(&dir.0.join("home"))).unwrap();
        let volumes = Volumes::open(&home).unwrap();
        let wish = || Wish { name: Some("v".into()), ..Wish::default() };
        volumes.create(wish()).unwrap();
        // The copy is whole, and one of its files has been moved.
        dir.file("home/volumes/v/seed/b", b"b of the image");
        dir.file("home/volumes/v/seed/c", b"c of the image");
        dir.file("home/volumes/v/_data/a", b"a of the image");
        dir.file("home/volumes/v/_data/c", b"c of a container");
        let mode = |path: &str| fs::metadata(dir.0.join(path)).unwrap().permissions().mode();
        let seed = dir.0.join("home/volumes/v/seed");
        fs::set_permissions(&seed, fs::Permissions::from_mode(0o750)).unwrap();

        volumes.create(wish()).unwrap();
        let text = |name: &str| fs::read_to_string(volumes.data("v").join(name)).unwrap();
        assert_eq!(text("a"), "a of the image");
        assert_eq!(text("b"), "b of the image");
        assert_eq!(text("c"), "c of a container");
        assert_eq!(mode("home/volumes/v/_data") & 0o7777, 0o750);
        assert!(!seed.exists());
    }
}
