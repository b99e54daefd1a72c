//! Some space that is kept for commands which give space back: on a full disk they, too, have
//! something to write down.
//!
//! Runs in: an ordinary process of the user, and a monitor.

use super::Home;
use anyhow::{Context as _, Result};
use rustix::fs::statvfs;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

const FILE: &str = "reserve";
/// In bytes: some dozen records, and what a runtime writes beside them.
const SIZE: u64 = 64 * 1024;
/// In bytes; less is not worth a write.
const PIECE: usize = 4096;

impl Home {
    /// For who gives space back, or must write something down: lets the reserve go on a full disk.
    pub(crate) fn make_room(&self) {
        if self.free().is_ok_and(|free| free < SIZE) {
            fs::remove_file(self.reserve()).ok(); // there may be none
        }
    }

    /// Makes it, or as much of it as the disk has space for.
    pub(crate) fn keep_reserve(&self) {
        let kept = fs::metadata(self.reserve()).map_or(0, |found| found.len());
        if kept >= SIZE {
            return;
        }
        let more = self.free().unwrap_or_default().min(SIZE - kept);
        if more >= PIECE as u64 {
            self.grow(more).ok(); // somebody else was quicker to use it
        }
    }

    fn grow(&self, more: u64) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).mode(0o600).open(self.reserve())?;
        for _ in 0..more / PIECE as u64 {
            file.write_all(&[0; PIECE])?;
        }
        // Two may have done it at once.
        if file.metadata()?.len() > SIZE { file.set_len(SIZE) } else { Ok(()) }
    }

    fn reserve(&self) -> PathBuf {
        self.path.join(FILE)
    }

    /// Bytes on the disk for this user.
    pub(crate) fn free(&self) -> Result<u64> {
        let disk = statvfs(&self.path).with_context(|| self.path.display().to_string())?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn reserve_is_kept_whole() {
        let dir = Scratch::new();
        let home = Home::open(Some(&dir.0)).unwrap();
        let length = || fs::metadata(home.reserve()).unwrap().len();
        home.keep_reserve();
        assert_eq!(length(), SIZE);
        let file = OpenOptions::new().write(true).open(home.reserve()).unwrap();
        file.set_len(3 * PIECE as u64).unwrap(); // as if the disk had had no more
        home.keep_reserve();
        assert_eq!(length(), SIZE);
        home.grow(SIZE).unwrap();
        assert_eq!(length(), SIZE);
        home.make_room();
        assert!(home.reserve().exists(), "the disk is not full");
    }
}
