//! `logs`.

use crate::attach;
use crate::cli::run::Logs;
use crate::container::{Container, Watch};
use crate::error::OrHint as _;
use crate::home::Home;
use crate::monitor::log::{self, Entry};
use crate::screen::Screen;
use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

pub(crate) fn logs(home: &Home, args: &Logs, screen: &mut Screen<'_>) -> Result<()> {
    let mut container = Container::find(home, &args.container)?;
    if attach::adopt(home, &mut container).is_err() {
        container.refresh()?; // what there is can be read all the same
    }
    let tail: Option<usize> = match args.tail.as_str() {
        "all" => None,
        number => Some(
            number
                .parse()
                .with_context(|| format!("--tail {number}"))
                .hint("write a number of lines, or all")?,
        ),
    };
    let watch = args.follow.then(|| Watch::new(&container.dir)).transpose()?;
    let mut reader = Reader { file: None, begun: Vec::new() };
    let mut entries = Vec::new();
    for path in log::files(&container.dir) {
        entries.extend(reader.read_file(&path)?);
    }
    let skip = tail.map_or(0, |tail| entries.len().saturating_sub(tail));
    for entry in entries.iter().skip(skip) {
        print(screen, entry, args.timestamps)?;
    }
    let Some(watch) = watch else { return Ok(()) };
    loop {
        // Asked first: what is written before the end is read after it.
        let goes_on = container.refresh()? && container.record.is_running();
        for entry in reader.rest(&container.dir)? {
            print(screen, &entry, args.timestamps)?;
        }
        if !goes_on {
            return Ok(());
        }
        watch.wait(Duration::from_millis(500))?;
    }
}

/// Follows the file of the name "log", also when another takes its place.
struct Reader {
    file: Option<BufReader<File>>,
    /// A line that is being written.
    begun: Vec<u8>,
}

impl Reader {
    /// A missing file has no entries.
    fn read_file(&mut self, path: &Path) -> Result<Vec<Entry>> {
        self.file = File::open(path).ok().map(BufReader::new);
        self.begun.clear();
        self.more()
    }

    fn rest(&mut self, dir: &Path) -> Result<Vec<Entry>> {
        let mut entries = self.more()?;
        let path = dir.join("log");
        let inode = |meta: io::Result<std::fs::Metadata>| meta.map(|meta| meta.ino()).ok();
        let ours = self.file.as_ref().and_then(|file| inode(file.get_ref().metadata()));
        let now = inode(path.metadata());
        if now.is_some() && now != ours {
            entries.extend(self.more()?); // what came before the change
            entries.extend(self.read_file(&path)?);
        }
        Ok(entries)
    }

    fn more(&mut self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let Some(file) = &mut self.file else { return Ok(entries) };
        while file.read_until(b'\n', &mut self.begun)? > 0 {
            if self.begun.ends_with(b"\n") {
                // A line cut by a crash is no reason to hide the others.
                entries.extend(serde_json::from_slice::<Entry>(&self.begun));
                self.begun.clear();
            }
        }
        Ok(entries)
    }
}

fn print(screen: &mut Screen<'_>, entry: &Entry, times: bool) -> Result<()> {
    let time = if times { format!("{} ", entry.time) } else { String::new() };
    let text = format!("{time}{}", entry.log);
    match entry.stream.as_str() {
        "stderr" => screen.note(&text),
        _ => screen.say(&text)?,
    }
    Ok(())
}
