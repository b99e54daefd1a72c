//! Lines of JSON in a file that grows, and whose name goes to another file when it is long.
//!
//! Runs in: `logs` and `events`.

use anyhow::Result;
use serde::de::DeserializeOwned;
use std::fs::{File, Metadata};
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

pub(crate) struct Lines {
    path: PathBuf,
    file: Option<BufReader<File>>,
    /// A line that is being written.
    begun: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: None, begun: Vec::new() }
    }

    /// All of one file, which is followed from then on. A missing one has no lines.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, path: &Path) -> Result<Vec<T>> {
        self.file = File::open(path).ok().map(BufReader::new);
        self.begun.clear();
        self.more()
    }

    /// What has come since, also in another file that has the name now.
    pub(crate) fn rest<T: DeserializeOwned>(&mut self) -> Result<Vec<T>> {
        let mut lines = self.more()?;
        let inode = |meta: io::Result<Metadata>| meta.map(|meta| meta.ino()).ok();
        let ours = self.file.as_ref().and_then(|file| inode(file.get_ref().metadata()));
        let now = inode(self.path.metadata());
        if now.is_some() && now != ours {
            lines.extend(self.more()?); // what came before the change
            let path = self.path.clone();
            lines.extend(self.read(&path)?);
        }
        Ok(lines)
    }

    fn more<T: DeserializeOwned>(&mut self) -> Result<Vec<T>> {
        let mut lines = Vec::new();
        let Some(file) = &mut self.file else { return Ok(lines) };
        while file.read_until(b'\n', &mut self.begun)? > 0 {
            if self.begun.ends_with(b"\n") {
                // A line cut by a crash is no reason to hide the others.
                lines.extend(serde_json::from_slice::<T>(&self.begun));
                self.begun.clear();
            }
        }
        Ok(lines)
    }
}
