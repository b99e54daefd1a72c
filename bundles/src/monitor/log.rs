//! What a container writes, as a file of JSON lines in the form that Docker's users know.
//!
//! Runs in: the monitor.

use super::wire::Stream;
use crate::container::LogOptions;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A longer line becomes several entries, of which all but the last have no line end.
const LONGEST: usize = 16 * 1024;

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) log: String,
    pub(crate) stream: String,
    pub(crate) time: String,
}

/// The log while it is written.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    size: u64,
    most: LogOptions,
    /// Lines that have no end yet: of standard output, and of standard error.
    begun: [Vec<u8>; 2],
}

impl Log {
    pub(crate) fn open(dir: &Path, most: &LogOptions) -> Result<Self> {
        let path = dir.join("log");
        let (file, size) = append(&path).with_context(|| path.display().to_string())?;
        Ok(Self { path, file, size, most: most.clone(), begun: [vec![], vec![]] })
    }

    /// Keeps the part after the last line end until it has one.
    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<()> {
        if self.most.size == 0 {
            return Ok(()); // nobody wants it
        }
        let index = usize::from(stream == Stream::Stderr);
        let mut begun = self.begun.get_mut(index).map(std::mem::take).unwrap_or_default();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            begun.extend_from_slice(piece);
            if begun.ends_with(b"\n") || begun.len() >= LONGEST {
                self.entry(stream, &begun)?;
                begun.clear();
            }
        }
        if let Some(place) = self.begun.get_mut(index) {
            *place = begun;
        }
        Ok(())
    }

    /// Writes the lines that will have no end.
    pub(crate) fn finish(&mut self) -> Result<()> {
        for (index, stream) in [Stream::Stdout, Stream::Stderr].into_iter().enumerate() {
            let begun = self.begun.get_mut(index).map(std::mem::take).unwrap_or_default();
            if !begun.is_empty() {
                self.entry(stream, &begun)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, stream: Stream, line: &[u8]) -> Result<()> {
        let stream = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let entry = Entry {
            log: String::from_utf8_lossy(line).into_owned(),
            stream: stream.to_owned(),
            time: crate::container::now(),
        };
        let mut text = serde_json::to_vec(&entry)?;
        text.push(b'\n');
        let length = u64::try_from(text.len())?;
        if self.size > 0 && self.size + length > self.most.size {
            self.rotate()?;
        }
        let written = self.file.write_all(&text);
        if written.is_err() {
            self.file.set_len(self.size).ok(); // a part of a line would spoil the next one
        }
        written.context("write the log")?;
        self.size += length;
        Ok(())
    }

    fn rotate(&mut self) -> Result<()> {
        if self.most.files < 2 {
            self.file.set_len(0).context("empty the log")?;
            self.size = 0;
            return Ok(());
        }
        for number in (1..self.most.files).rev() {
            let from = if number == 1 { self.path.clone() } else { older(&self.path, number - 1) };
            match fs::rename(&from, older(&self.path, number)) {
                Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err.into()),
                _ => {}
            }
        }
        (self.file, self.size) = append(&self.path).context("open the log")?;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

fn older(path: &Path, number: u32) -> PathBuf {
    path.with_extension(number.to_string())
}

/// The files of a container's log, the oldest first.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let path = dir.join("log");
    let old = (1..).map(|number| older(&path, number)).take_while(|file| file.exists());
    let mut files: Vec<PathBuf> = [path.clone()].into_iter().chain(old).collect();
    files.reverse();
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn entries(dir: &Path) -> Vec<Entry> {
        let texts = files(dir).into_iter().map(|file| fs::read_to_string(file).unwrap());
        let all: String = texts.collect();
        all.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn lines_become_entries() {
        let dir = Scratch::new();
        let mut log = Log::open(&dir.0, &LogOptions::default()).unwrap();
        log.write(Stream::Stdout, b"one\ntw").unwrap();
        log.write(Stream::Stderr, b"err\n").unwrap();
        log.write(Stream::Stdout, b"o\nend").unwrap();
        log.finish().unwrap();
        let found: Vec<_> = entries(&dir.0).into_iter().map(|e| (e.stream, e.log)).collect();
        let wanted =
            [("stdout", "one\n"), ("stderr", "err\n"), ("stdout", "two\n"), ("stdout", "end")];
        assert_eq!(found, wanted.map(|(stream, log)| (stream.to_owned(), log.to_owned())));
    }

    #[test]
    fn three_files_at_most() {
        let dir = Scratch::new();
        let mut log = Log::open(&dir.0, &LogOptions { size: 500, files: 3 }).unwrap();
        for number in 0..100 {
            log.write(Stream::Stdout, format!("line {number}\n").as_bytes()).unwrap();
        }
        let sizes = files(&dir.0).into_iter().map(|file| fs::metadata(file).unwrap().len());
        let sizes: Vec<u64> = sizes.collect();
        assert!(sizes.len() == 3 && sizes.iter().all(|size| *size <= 500), "{sizes:?}");
        assert_eq!(entries(&dir.0).last().unwrap().log, "line 99\n");
    }

    #[test]
    fn line_without_end_is_cut() {
        let dir = Scratch::new();
        let mut log = Log::open(&dir.0, &LogOptions::default()).unwrap();
        log.write(Stream::Stdout, &[b'x'; LONGEST]).unwrap();
        assert_eq!(entries(&dir.0).len(), 1);
    }
}
