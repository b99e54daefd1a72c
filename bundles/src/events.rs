//! What has happened: one line of JSON each, in Docker's shape, at the end of a file that all
//! processes write. There is no daemon that could tell, so whoever does something notes it.
//!
//! Runs in: commands and monitors. Nothing ever fails for want of a note: on a full disk it is lost.

mod show;

pub(crate) use show::show;

use crate::container::{Mount, Record};
use crate::home::Home;
use crate::volume;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

const FILE: &str = "events";
/// The one before that.
const OLD: &str = "events.old";
/// Of one file, in bytes: some thousand events.
const SIZE: u64 = 1 << 20;

/// As Docker writes it. The first three are of containers and images only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Event {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    status: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    from: String,
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "Action")]
    action: String,
    #[serde(rename = "Actor")]
    actor: Actor,
    scope: String,
    /// In seconds and nanoseconds since 1970.
    time: u64,
    #[serde(rename = "timeNano")]
    time_nano: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Actor {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Attributes")]
    attributes: BTreeMap<String, String>,
}

impl Event {
    fn new(kind: &str, action: &str, id: &str) -> Self {
        Self {
            status: String::new(),
            id: String::new(),
            from: String::new(),
            kind: kind.to_owned(),
            action: action.to_owned(),
            actor: Actor { id: id.to_owned(), attributes: BTreeMap::new() },
            scope: "local".to_owned(),
            time: 0,
            time_nano: 0,
        }
    }

    pub(crate) fn container(record: &Record, action: &str) -> Self {
        let mut event = Self::new("container", action, &record.id);
        event.status = action.to_owned();
        event.id.clone_from(&record.id);
        event.from.clone_from(&record.image);
        event.actor.attributes.clone_from(&record.labels);
        event.with("image", &record.image).with("name", &record.name)
    }

    pub(crate) fn image(id: &str, action: &str, name: &str) -> Self {
        let mut event = Self::new("image", action, id).with("name", name);
        event.status = action.to_owned();
        event.id = id.to_owned();
        event
    }

    pub(crate) fn volume(name: &str, action: &str) -> Self {
        Self::new("volume", action, name).with("driver", volume::DRIVER)
    }

    /// `driver` is that of the network.
    pub(crate) fn network(id: &str, action: &str, (name, driver): (&str, &str)) -> Self {
        Self::new("network", action, id).with("name", name).with("type", driver)
    }

    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.actor.attributes.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Its volumes, as they come to a container and leave it with this.
    pub(crate) fn of_volumes(record: &Record, action: &str) -> Vec<Self> {
        let volumes = record.mounts.iter().filter(|mount| mount.kind == "volume");
        let event = |mount: &Mount| {
            let event = Self::volume(&mount.name, action).with("container", &record.id);
            if action == "unmount" {
                return event;
            }
            event
                .with("destination", &mount.destination)
                .with("propagation", "")
                .with("read/write", if mount.read_only { "false" } else { "true" })
        };
        volumes.map(event).collect()
    }
}

pub(crate) fn note(home: &Home, event: Event) {
    note_all(home, vec![event]);
}

/// As one write, in their order.
pub(crate) fn note_all(home: &Home, events: Vec<Event>) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut text = Vec::new();
    for (index, mut event) in (0..).zip(events) {
        // Two are never of the same time.
        let time = now + Duration::from_nanos(index);
        event.time = time.as_secs();
        event.time_nano = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // What was cut by a full disk ends here.
        text.push(b'\n');
        if serde_json::to_writer(&mut text, &event).is_err() {
            return;
        }
        text.push(b'\n');
    }
    append(home, &text).ok(); // lost: see above
}

fn append(home: &Home, text: &[u8]) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let path = home.path().join(FILE);
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).mode(0o600).open(&path)?;
    file.write_all(text)?;
    if file.metadata()?.len() > SIZE { put_aside(&path, file) } else { Ok(()) }
}

/// Another process may be about to do so: the first one does.
fn put_aside(path: &PathBuf, file: File) -> io::Result<()> {
    let Ok(file) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { return Ok(()) };
    let id = |found: fs::Metadata| (found.dev(), found.ino());
    if id(fs::metadata(path)?) == id(file.metadata()?) {
        fs::rename(path, path.with_file_name(OLD))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn shape_is_dockers() {
        let dir = Scratch::new();
        let home = Home::open(Some(&dir.0)).unwrap();
        let network = Event::network("aa", "connect", ("n1", "bridge")).with("container", "cc");
        note_all(&home, vec![Event::image("sha256:1", "tag", "x:1"), network]);
        let text = fs::read_to_string(dir.0.join(FILE)).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let [image, network] = lines.as_slice() else { panic!("{text}") };
        let start = "{\"status\":\"tag\",\"id\":\"sha256:1\",\"Type\":\"image\",\"Action\":\"tag\",\"Actor\":\
                     {\"ID\":\"sha256:1\",\"Attributes\":{\"name\":\"x:1\"}},\"scope\":\"local\",\"time\":";
        assert!(image.starts_with(start), "{image}");
        let start = "{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":\"aa\",\"Attributes\":\
                     {\"container\":\"cc\",\"name\":\"n1\",\"type\":\"bridge\"}},\"scope\":\"local\",";
        assert!(network.starts_with(start), "{network}");
    }

    #[test]
    fn file_is_put_aside_when_it_is_long() {
        let dir = Scratch::new();
        let home = Home::open(Some(&dir.0)).unwrap();
        let length = |name: &str| fs::metadata(dir.0.join(name)).map_or(0, |found| found.len());
        let long = "x".repeat(100_000);
        for _ in 0..11 {
            note(&home, Event::volume(&long, "create"));
        }
        assert!(length(OLD) > SIZE && length(FILE) == 0);
        note(&home, Event::volume("v", "create"));
        assert!(length(OLD) > SIZE && (1..1000).contains(&length(FILE)));
    }

    #[test]
    fn nobody_fails_for_want_of_a_note() {
        let dir = Scratch::new();
        let home = Home::open(Some(&dir.0)).unwrap();
        fs::create_dir(dir.0.join(FILE)).unwrap();
        note(&home, Event::volume("v", "create"));
    }
}
