//! Options of the local driver: what is mounted at `_data` while a container uses the volume.
//!
//! Runs in: anywhere. Touches nothing.

use super::Strings;
use crate::error::OrHint as _;
use anyhow::{Result, anyhow, bail};
use std::path::PathBuf;

/// Words of `o=`, by mount(8), that need no value.
const FLAGS: &[&str] = &[
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "exec",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "norelatime",
    "nosuid",
    "noswap",
    "private",
    "rbind",
    "relatime",
    "ro",
    "rprivate",
    "rshared",
    "rslave",
    "rw",
    "shared",
    "slave",
    "strictatime",
    "suid",
    "sync",
];
/// Those of a tmpfs with a value, by tmpfs(5).
const TMPFS: &[&str] = &["gid", "huge", "mode", "mpol", "nr_blocks", "nr_inodes", "size", "uid"];

/// What is mounted for a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// Its directory.
    Files,
    /// A directory of the host, with words of mount(8).
    Bind { device: PathBuf, recursive: bool, words: Vec<String> },
    /// A tmpfs, with its options; it is gone when the container ends.
    Memory(Vec<String>),
}

/// Of options that were checked.
pub(super) fn content(options: &Strings) -> Content {
    let words = words(options).into_iter();
    let option = |key: &str| options.get(key).map(String::as_str);
    match option("type") {
        Some("tmpfs") => Content::Memory(words.map(ToOwned::to_owned).collect()),
        _ if options.is_empty() => Content::Files,
        _ => {
            let (binds, words): (Vec<&str>, Vec<&str>) = words.partition(|word| is_bind(word));
            Content::Bind {
                device: option("device").unwrap_or_default().into(),
                recursive: binds.contains(&"rbind"),
                words: words.into_iter().map(ToOwned::to_owned).collect(),
            }
        }
    }
}

fn words(options: &Strings) -> Vec<&str> {
    let words = options.get("o").map(String::as_str).unwrap_or_default();
    words.split(',').filter(|word| !word.is_empty()).collect()
}

fn is_bind(word: &str) -> bool {
    matches!(word, "bind" | "rbind")
}

/// Refuses a word that is no option of a tmpfs, as of `--tmpfs`.
pub(crate) fn check_tmpfs(word: &str) -> Result<()> {
    if is_known(word, true) && !is_bind(word) {
        return Ok(());
    }
    Err(anyhow!("unknown option {word:?}")).hint(format!(
        "there are {}= and {}",
        TMPFS.join("= "),
        FLAGS.join(" ")
    ))
}

fn is_known(word: &str, tmpfs: bool) -> bool {
    match word.split_once('=') {
        None => FLAGS.contains(&word),
        Some((key, value)) => tmpfs && TMPFS.contains(&key) && !value.is_empty(),
    }
}

/// Refuses what could not be mounted later.
pub(super) fn check(options: &Strings) -> Result<()> {
    if let Some(key) = options.keys().find(|key| !matches!(key.as_str(), "type" | "o" | "device")) {
        return Err(anyhow!("volume option {key:?} is not known"))
            .hint("there are type=, o= and device=; a limit is -o type=tmpfs -o o=size=100m");
    }
    let option = |key: &str| options.get(key).map(String::as_str);
    let words = words(options);
    let binds = words.iter().any(|word| is_bind(word));
    let tmpfs = match option("type") {
        Some("tmpfs") if binds => bail!("volume options: type=tmpfs and o=bind exclude each other"),
        Some("tmpfs") => true,
        Some("none" | "bind" | "") | None if options.is_empty() || binds => false,
        Some("none" | "bind" | "") | None => {
            return Err(anyhow!("volume options: nothing says what to mount"))
                .hint("take -o type=none -o o=bind -o device=/DIRECTORY, or -o type=tmpfs");
        }
        Some(other) => {
            return Err(anyhow!("volume option type={other} is not supported")).hint(
                "mount it on the host, and take -o type=none -o o=bind -o device=/DIRECTORY",
            );
        }
    };
    for word in words {
        if !is_known(word, tmpfs) {
            return Err(anyhow!("volume option o={word} is not known")).hint(format!(
                "there are {}; for a tmpfs {}=",
                FLAGS.join(" "),
                TMPFS.join("= ")
            ));
        }
    }
    match option("device") {
        Some(device) if binds && !device.starts_with('/') => {
            Err(anyhow!("volume option device={device} is no absolute path"))
                .hint("name a directory of this host from / on")
        }
        None if binds => {
            Err(anyhow!("volume options: device= is missing")).hint("add -o device=/DIRECTORY")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(words: &[&str]) -> Result<()> {
        let pair = |word: &&str| {
            let (key, value) = word.split_once('=').unwrap();
            (key.to_owned(), value.to_owned())
        };
        check(&words.iter().map(pair).collect())
    }

    #[test]
    fn what_can_be_mounted_is_taken() {
        for words in [
            &[][..],
            &["type=tmpfs"],
            &["type=tmpfs", "device=tmpfs", "o=size=100m,uid=1000,nodev"],
            &["type=none", "o=bind", "device=/srv/data"],
            &["o=rbind,ro", "device=/srv"],
        ] {
            checked(words).unwrap();
        }
    }

    #[test]
    fn the_rest_is_refused() {
        for (words, why) in [
            (&["size=3"][..], "volume option \"size\" is not known"),
            (&["type=nfs", "o=addr=1.2.3.4", "device=:/x"], "type=nfs is not supported"),
            (&["device=/srv"], "nothing says what to mount"),
            (&["type=none", "o=bind"], "device= is missing"),
            (&["o=bind", "device=srv"], "device=srv is no absolute path"),
            (&["type=tmpfs", "o=bind"], "exclude each other"),
            (&["type=tmpfs", "o=sise=3"], "o=sise=3 is not known"),
            (&["o=bind,size=3", "device=/srv"], "o=size=3 is not known"),
            (&["type=tmpfs", "o=size="], "o=size= is not known"),
        ] {
            let err = format!("{:#}", checked(words).unwrap_err());
            assert!(err.contains(why), "{words:?}: {err}");
        }
    }
}
