//! Volumes: directories with a name, which outlive containers.
//!
//! Runs in: an ordinary process of the user. Privilege: none; the files are the caller's.
//!
//! `volumes/NAME/` has `volume.json` and the directory `_data`. It appears and disappears whole, by
//! rename(2) from and to `tmp/`. Whoever makes or removes one, or records that a container
//! uses one, holds [`Volumes::lock`]: or a volume could go away between question and use.

mod commands;
mod options;
mod seed;

pub(crate) use commands::{Totals, describe, prune, run, totals};
pub(crate) use options::{Content, check_tmpfs};

use crate::error::OrHint as _;
use crate::events::{self, Event};
use crate::fmt;
use crate::home::{self, Discarded, Home, Lock};
use crate::ids;
use anyhow::{Context as _, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The one driver: directories of this host.
pub(crate) const DRIVER: &str = "local";
/// On volumes whose name was made up; `volume prune` removes only those. Docker's word.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

pub(crate) type Strings = BTreeMap<String, String>;

/// `volume.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) driver: String,
    /// RFC 3339, UTC.
    pub(crate) created_at: String,
    /// Absent when none were given, as in Docker's answers.
    pub(crate) labels: Option<Strings>,
    pub(crate) options: Option<Strings>,
}

/// What is asked of a new volume.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    /// Made up when there is none.
    pub(crate) name: Option<String>,
    pub(crate) labels: Strings,
    pub(crate) options: Strings,
}

/// A container that has a volume among its mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
}

pub(crate) struct Volumes<'a> {
    home: &'a Home,
    dir: PathBuf,
}

impl<'a> Volumes<'a> {
    pub(crate) fn open(home: &'a Home) -> Result<Self> {
        Ok(Self { home, dir: home.directory("volumes")? })
    }

    pub(crate) fn lock(&self) -> Result<Lock> {
        self.home.lock("volumes")
    }

    /// The directory that containers see.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.dir.join(name).join("_data")
    }

    /// The volume, and whether it was made. One of this name that is there already stays as it is.
    pub(crate) fn create(&self, wish: Wish) -> Result<(Volume, bool)> {
        let lock = self.lock()?;
        self.ensure(wish, &lock)
    }

    /// The same for who goes on to record that a container uses it.
    pub(crate) fn ensure(&self, wish: Wish, lock: &Lock) -> Result<(Volume, bool)> {
        let mut labels = wish.labels;
        let name = match wish.name {
            Some(name) => check_name(name)?,
            None => {
                labels.insert(ANONYMOUS.to_owned(), String::new());
                ids::made_up()?
            }
        };
        options::check(&wish.options)?;
        if let Some(volume) = self.find(&name)? {
            self.finish_seed(&name, lock)?;
            return Ok((volume, false));
        }
        let given = |map: Strings| Some(map).filter(|map| !map.is_empty());
        let volume = Volume {
            name,
            driver: DRIVER.to_owned(),
            created_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            labels: given(labels),
            options: given(wish.options),
        };
        let scratch = self.home.scratch()?;
        let whole = scratch.path().join("volume");
        let data = whole.join("_data");
        for (path, mode) in [(&whole, 0o700), (&data, 0o755)] {
            // The caller's umask is not for who looks at it in a container.
            let made = DirBuilder::new().mode(0o700).create(path);
            made.and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
                .with_context(|| format!("mkdir({})", path.display()))?;
        }
        let text = serde_json::to_vec(&volume).context("volume.json")?;
        home::replace(&whole.join("volume.json"), &text)?;
        let path = self.dir.join(&volume.name);
        fs::rename(&whole, &path).with_context(|| format!("make {}", path.display()))?;
        events::note(self.home, Event::volume(&volume.name, "create"));
        Ok((volume, true))
    }

    pub(crate) fn find(&self, name: &str) -> Result<Option<Volume>> {
        if check_name(name.to_owned()).is_err() {
            return Ok(None);
        }
        self.read(&self.dir.join(name))
    }

    fn read(&self, dir: &Path) -> Result<Option<Volume>> {
        let file = dir.join("volume.json");
        let text = match fs::read(&file) {
            Ok(text) => text,
            // A directory without the file is not ours, and none is no volume.
            Err(err) if err.kind() == io::ErrorKind::NotFound && !dir.exists() => return Ok(None),
            Err(err) => return Err(err).with_context(|| file.display().to_string()),
        };
        let volume: Volume =
            serde_json::from_slice(&text).with_context(|| file.display().to_string())?;
        ensure!(
            dir.file_name().is_some_and(|name| name == volume.name.as_str()),
            "{}: describes another volume, {:?}",
            file.display(),
            volume.name
        );
        Ok(Some(volume))
    }

    /// In the order of names, and what was wrong with others.
    pub(crate) fn all(&self) -> Result<(Vec<Volume>, Vec<anyhow::Error>)> {
        let (mut volumes, mut errors) = (Vec::new(), Vec::new());
        for dir in home::entries(&self.dir)? {
            match self.read(&dir) {
                Ok(volume) => volumes.extend(volume),
                Err(err) => errors.push(err),
            }
        }
        Ok((volumes, errors))
    }

    /// Who uses which volume. Another part of the program writes `container.json`: what is unknown
    /// there is skipped, but a file that cannot be read must not cost anybody a volume.
    pub(crate) fn users(&self) -> Result<BTreeMap<String, Vec<User>>> {
        let mut users: BTreeMap<String, Vec<User>> = BTreeMap::new();
        for dir in home::entries(&self.home.directory("containers")?)? {
            let file = dir.join("container.json");
            let text = match fs::read(&file) {
                Ok(text) => text,
                Err(err)
                    if matches!(
                        err.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    ) =>
                {
                    continue;
                }
                Err(err) => return Err(err).with_context(|| file.display().to_string()),
            };
            let json: Value = serde_json::from_slice(&text)
                .with_context(|| file.display().to_string())
                .hint("without this file nobody knows which volumes the container uses")?;
            let word = |value: &Value, key: &str| {
                value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            let user = User { id: word(&json, "id"), name: word(&json, "name") };
            let mounts = json.get("mounts").and_then(Value::as_array);
            for mount in mounts.into_iter().flatten() {
                let users = users.entry(word(mount, "name")).or_default();
                if word(mount, "type") == "volume" && !users.contains(&user) {
                    users.push(user.clone());
                }
            }
        }
        users.retain(|_, users| !users.is_empty());
        Ok(users)
    }

    /// Takes its name when nobody uses it; the caller holds the lock. It is deleted later, without
    /// the lock, since that may take long.
    pub(crate) fn discard(&self, name: &str, users: &[User]) -> Result<Discarded> {
        if !users.is_empty() {
            return Err(anyhow!("volume {name} is in use by {}", in_words(users)))
                .hint(format!("remove what uses it: bundles rm -f {}", names(users)));
        }
        let discarded = self.home.discard(&self.dir.join(name))?;
        events::note(self.home, Event::volume(name, "destroy"));
        Ok(discarded)
    }
}

/// Removes those of a container that is gone, whose names were made up, unless another one has them.
pub(crate) fn release(home: &Home, names: &[&str]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let volumes = Volumes::open(home)?;
    let lock = volumes.lock()?;
    let users = volumes.users()?;
    let mut discarded = Vec::new();
    for name in names.iter().filter(|name| !users.contains_key(**name)) {
        if volumes.find(name)?.is_some_and(|volume| volume.is_anonymous()) {
            discarded.push(volumes.discard(name, &[])?);
        }
    }
    drop(lock);
    drop(discarded); // may take long
    Ok(())
}

/// Returns the bytes given back.
fn delete(name: &str, discarded: Discarded) -> Result<u64> {
    let deleted = discarded.remove();
    deleted.with_context(|| format!("volume {name}: removed, but files of it are left"))
}

impl Volume {
    /// What containers see in it.
    pub(crate) fn content(&self) -> Content {
        self.options.as_ref().map_or(Content::Files, options::content)
    }

    pub(crate) fn is_anonymous(&self) -> bool {
        self.labels.as_ref().is_some_and(|labels| labels.contains_key(ANONYMOUS))
    }
}

fn in_words(users: &[User]) -> String {
    let one = |user: &User| match user.name.as_str() {
        "" => format!("container {}", fmt::short_id(&user.id)),
        name => format!("container {name} ({})", fmt::short_id(&user.id)),
    };
    users.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn names(users: &[User]) -> String {
    let one = |user: &User| if user.name.is_empty() { user.id.clone() } else { user.name.clone() };
    users.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Docker's grammar, up to what a file system takes.
fn check_name(name: String) -> Result<String> {
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let wrong = name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '-'));
    let checked = match (wrong, name.len()) {
        (_, 0) => Err(anyhow!("the name of the volume is empty")),
        (Some(c), _) => {
            Err(anyhow!("{name:?} is no name for a volume: {c:?} is not allowed in it"))
        }
        (None, length @ 256..) => {
            return Err(anyhow!("the name of the volume has {length} characters"))
                .hint("take a name of 255 characters at most");
        }
        (None, _) if !begins => Err(anyhow!(
            "{name:?} is no name for a volume: it begins with {:?}",
            name.get(..1).unwrap_or_default()
        )),
        (None, _) => return Ok(name),
    };
    checked.hint(
        "names have letters, digits, _ . and -, and begin with a letter or digit; \
         a directory of this host is named with its absolute path",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn wish(name: &str) -> Wish {
        Wish { name: Some(name.to_owned()), ..Wish::default() }
    }

    #[test]
    fn names_follow_the_grammar() {
        for name in ["a", "data", "0", "a_b.c-d", &"a".repeat(255)] {
            assert_eq!(check_name(name.to_owned()).unwrap(), name);
        }
        let long = "a".repeat(256);
        for (name, why) in [
            ("", "is empty"),
            ("../x", "'/' is not allowed"),
            ("a/b", "'/' is not allowed"),
            ("..", "begins with \".\""),
            (".hidden", "begins with \".\""),
            ("-f", "begins with \"-\""),
            ("a b", "' ' is not allowed"),
            ("a\0b", "'\\0' is not allowed"),
            ("a\nb", "'\\n' is not allowed"),
            ("stra\u{df}e", "'\u{df}' is not allowed"),
            (long.as_str(), "has 256 characters"),
        ] {
            let err = format!("{:#}", check_name(name.to_owned()).unwrap_err());
            assert!(err.contains(why), "{name:?}: {err}");
        }
    }

    #[test]
    fn existing_volume_stays_as_it_is() {
        let dir = Scratch::new();
        let home = Home::open(Some(&dir.0)).unwrap();
        let volumes = Volumes::open(&home).unwrap();
        let (first, made) = volumes.create(wish("data")).unwrap();
        assert!(made && volumes.data("data").is_dir());
        let labels = Strings::from([("a".to_owned(), "b".to_owned())]);
        let (second, made) = volumes.create(Wish { labels, ..wish("data") }).unwrap();
        assert!(!made);
        assert_eq!(first, second);
        assert_eq!(volumes.find("data").unwrap(), Some(first));
        assert_eq!(volumes.find("../volumes/data").unwrap(), None);
    }

    #[test]
    fn users_are_read_leniently_but_not_guessed() {
        let dir = Scratch::new();
        let home = Home::open(Some(&dir.0)).unwrap();
        let volumes = Volumes::open(&home).unwrap();
        dir.file(
            "containers/c1/container.json",
            br#"{"id":"0123456789abcdef","name":"web","new":{},
            "mounts":[{"type":"volume","name":"data"},{"type":"bind","name":"x"},7,
                      {"type":"volume","name":"data"}]}"#,
        );
        dir.file("containers/c2/container.json", br#"{"id":"ffff"}"#);
        dir.file("containers/half/other", b"");
        let users = volumes.users().unwrap();
        assert_eq!(users.keys().collect::<Vec<_>>(), ["data"]);
        volumes.create(wish("data")).unwrap();
        let err = volumes.discard("data", &users["data"]).unwrap_err();
        assert_eq!(
            crate::error::report(&err),
            "bundles: volume data is in use by container web (0123456789ab)\n  \
             hint: remove what uses it: bundles rm -f web\n"
        );
        dir.file("containers/c3/container.json", b"{");
        assert!(volumes.users().is_err());
    }
}
