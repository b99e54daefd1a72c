//! Mount options: the words of mount(8) and of config.md, "Mounts", and what they mean.
//!
//! Runs in: parent. Pure. Meanings: mount(2), `mount_setattr(2)`, config-linux.md.

use super::idmap::{self, Given};
use anyhow::{Result, bail};
use std::ffi::CString;

/// Attributes of one mount (linux/mount.h, `MOUNT_ATTR_*`).
pub(crate) mod attr {
    pub(crate) const RDONLY: u64 = 0x01;
    pub(crate) const NOSUID: u64 = 0x02;
    pub(crate) const NODEV: u64 = 0x04;
    pub(crate) const NOEXEC: u64 = 0x08;
    /// Mask of the three access time modes; relatime is 0.
    pub(crate) const ATIME: u64 = 0x70;
    pub(crate) const NOATIME: u64 = 0x10;
    pub(crate) const STRICTATIME: u64 = 0x20;
    pub(crate) const NODIRATIME: u64 = 0x80;
    pub(crate) const NOSYMFOLLOW: u64 = 0x20_0000;
}

/// Set and cleared bits of [`attr`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) set: u64,
    pub(crate) clear: u64,
}

impl Attributes {
    fn apply(&mut self, set: u64, clear: u64) {
        self.set = (self.set & !clear) | set;
        self.clear = (self.clear & !set) | clear;
        // The access time modes are one value in several bits: to change it, clear all of them.
        if set & attr::ATIME != 0 {
            self.set = (self.set & !attr::ATIME) | (set & attr::ATIME);
            self.clear |= attr::ATIME;
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    pub(crate) fn read_only(self) -> bool {
        self.set & attr::RDONLY != 0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PropagationKind {
    Shared,
    Slave,
    Private,
    Unbindable,
}

/// `mount_namespaces(7)`, "Shared subtrees".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Propagation {
    pub(crate) kind: PropagationKind,
    pub(crate) recursive: bool,
}

impl Propagation {
    /// What runc does when neither the mount nor linux.rootfsPropagation says anything.
    pub(crate) const DEFAULT: Self = Self { kind: PropagationKind::Slave, recursive: true };

    pub(crate) fn parse(word: &str) -> Option<Self> {
        let (recursive, kind) = match word.strip_prefix('r') {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        let kind = match kind {
            "shared" => PropagationKind::Shared,
            "slave" => PropagationKind::Slave,
            "private" => PropagationKind::Private,
            "unbindable" => PropagationKind::Unbindable,
            _ => return None,
        };
        Some(Self { kind, recursive })
    }

    pub(crate) fn name(self) -> String {
        let kind = match self.kind {
            PropagationKind::Shared => "shared",
            PropagationKind::Slave => "slave",
            PropagationKind::Private => "private",
            PropagationKind::Unbindable => "unbindable",
        };
        format!("{}{kind}", if self.recursive { "r" } else { "" })
    }
}

/// An option of the file system itself, for fsconfig(2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FsOption {
    Flag(CString),
    Value(CString, CString),
}

impl FsOption {
    pub(crate) fn parse(field: &str, text: &str) -> Result<Self> {
        super::no_nul(field, text.as_bytes())?;
        Ok(match text.split_once('=') {
            None => Self::Flag(CString::new(text)?),
            Some((key, value)) => Self::Value(CString::new(key)?, CString::new(value)?),
        })
    }
}

/// How a symbolic link at the destination or source is treated (crun's extensions).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Links {
    /// `copy-symlink`: a link as source is made anew at the destination.
    pub(crate) copy_source: bool,
    /// `src-nofollow`: the link itself is bound.
    pub(crate) source_nofollow: bool,
    /// `dest-nofollow`: a link as last part of the destination is not followed.
    pub(crate) destination_nofollow: bool,
}

/// All options of one mount, resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MountOptions {
    /// `bind` (false) or `rbind` (true).
    pub(crate) bind: Option<Recursion>,
    pub(crate) remount: bool,
    pub(crate) attributes: Attributes,
    /// `rro` and its family, applied to all mounts below too.
    pub(crate) recursive: Attributes,
    pub(crate) propagation: Option<Propagation>,
    pub(crate) idmap: Option<Recursion>,
    /// `idmap=uids=...;gids=...`
    pub(crate) idmap_given: Option<Given>,
    pub(crate) tmpcopyup: bool,
    pub(crate) links: Links,
    /// For the superblock, in order.
    pub(crate) filesystem: Vec<FsOption>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recursion {
    Whole,
    Top,
}

/// One word and what it changes in the attributes: bits set, bits cleared.
const ATTRIBUTES: [(&str, u64, u64); 17] = [
    ("ro", attr::RDONLY, 0),
    ("rw", 0, attr::RDONLY),
    ("nosuid", attr::NOSUID, 0),
    ("suid", 0, attr::NOSUID),
    ("nodev", attr::NODEV, 0),
    ("dev", 0, attr::NODEV),
    ("noexec", attr::NOEXEC, 0),
    ("exec", 0, attr::NOEXEC),
    ("noatime", attr::NOATIME, 0),
    ("atime", 0, attr::ATIME),
    ("relatime", 0, attr::ATIME),
    ("norelatime", 0, 0),
    ("strictatime", attr::STRICTATIME, 0),
    ("nostrictatime", 0, attr::ATIME),
    ("nodiratime", attr::NODIRATIME, 0),
    ("diratime", 0, attr::NODIRATIME),
    ("nosymfollow", attr::NOSYMFOLLOW, 0),
];

/// The flags of mount(2) that belong to the superblock. Their words are parameters of fsconfig(2)
/// as they are, but for the ones that only undo another.
const SUPERBLOCK: [(&str, Option<&str>); 13] = [
    ("sync", Some("sync")),
    ("async", None),
    ("dirsync", Some("dirsync")),
    ("mand", Some("mand")),
    ("nomand", None),
    ("lazytime", Some("lazytime")),
    ("nolazytime", None),
    // Every file system that counts versions does so by default since Linux 5.18 or so, and
    // fsconfig(2) has no common word for it.
    ("iversion", None),
    ("noiversion", None),
    // MS_SILENT only keeps the kernel log quiet, and fsconfig(2) has no word for it.
    ("silent", None),
    ("loud", None),
    ("defaults", None),
    ("notmpcopyup", None),
];

/// crun's recursive forms of those. A superblock has no recursion, so for a new file system they are
/// the plain words; and a bind mount does not change its superblock, for which crun's
/// `mount_setattr(2)` fails.
const RECURSIVE_SUPERBLOCK: [&str; 5] = ["rsync", "rasync", "rdirsync", "rmand", "rnomand"];

/// Every option word that `rt features` reports, sorted.
pub(crate) fn known_words() -> Vec<String> {
    let mut words: Vec<String> =
        ["bind", "rbind", "remount", "idmap", "ridmap", "tmpcopyup", "symfollow"]
            .into_iter()
            .chain(["copy-symlink", "src-nofollow", "dest-nofollow"])
            .chain(SUPERBLOCK.iter().map(|(word, _)| *word))
            .chain(RECURSIVE_SUPERBLOCK)
            .map(String::from)
            .collect();
    for (word, ..) in ATTRIBUTES {
        words.push(word.into());
        words.push(format!("r{word}"));
    }
    words.push("rsymfollow".into());
    for kind in ["shared", "slave", "private", "unbindable"] {
        words.push(kind.into());
        words.push(format!("r{kind}"));
    }
    words.sort();
    words
}

impl MountOptions {
    /// `field` is `mounts[3].options`; `fstype` the mount's type, if it has one.
    pub(crate) fn parse(field: &str, options: &[String], fstype: Option<&str>) -> Result<Self> {
        let mut plan = Self::default();
        let mut unknown = Vec::new();
        for (n, word) in options.iter().enumerate() {
            let field = format!("{field}[{n}]");
            super::no_nul(&field, word.as_bytes())?;
            if let Some((recursion, text)) = idmap::word(word) {
                plan.idmap = Some(recursion);
                plan.idmap_given = Given::parse(&field, text)?;
                continue;
            }
            // Podman's `--systemd` gives one, which runc and crun do not mind.
            if !word.is_empty() && !plan.known(word) {
                unknown.push((field, word));
            }
        }
        if fstype == Some("bind") && plan.bind.is_none() {
            plan.bind = Some(Recursion::Top);
        }
        for (field, word) in unknown {
            if plan.bind.is_some() && !word.starts_with("x-") && !word.starts_with("X-") {
                bail!("{field}: {word:?} is not an option of a bind mount");
            }
            if RECURSIVE_SUPERBLOCK.contains(&word.as_str()) {
                plan.superblock(word.get(1..).unwrap_or_default());
                continue;
            }
            plan.filesystem.push(FsOption::parse(&field, word)?);
        }
        if plan.bind.is_some() {
            plan.filesystem.clear();
        }
        if plan.tmpcopyup && fstype != Some("tmpfs") {
            bail!("{field}: \"tmpcopyup\" is only for a mount of type tmpfs");
        }
        if plan.idmap.is_some() && plan.bind.is_none() {
            bail!("{field}: \"idmap\" is only for bind mounts");
        }
        Ok(plan)
    }

    /// Takes one word in; false when it is not one of ours.
    fn known(&mut self, word: &str) -> bool {
        match word {
            "bind" => self.bind = Some(Recursion::Top),
            "rbind" => self.bind = Some(Recursion::Whole),
            "remount" => self.remount = true,
            "idmap" => self.idmap = Some(Recursion::Top),
            "ridmap" => self.idmap = Some(Recursion::Whole),
            "tmpcopyup" => self.tmpcopyup = true,
            "copy-symlink" => self.links.copy_source = true,
            "src-nofollow" => self.links.source_nofollow = true,
            "dest-nofollow" => self.links.destination_nofollow = true,
            "symfollow" => self.attributes.apply(0, attr::NOSYMFOLLOW),
            "rsymfollow" => self.recursive.apply(0, attr::NOSYMFOLLOW),
            _ => return self.known_from_tables(word),
        }
        true
    }

    fn known_from_tables(&mut self, word: &str) -> bool {
        if let Some(propagation) = Propagation::parse(word) {
            self.propagation = Some(propagation);
            return true;
        }
        let find = |word: &str| ATTRIBUTES.iter().find(|(name, ..)| *name == word);
        if let Some((_, set, clear)) = find(word) {
            self.attributes.apply(*set, *clear);
            return true;
        }
        if let Some((_, set, clear)) = word.strip_prefix('r').and_then(find) {
            self.recursive.apply(*set, *clear);
            return true;
        }
        self.superblock(word)
    }

    /// Takes a flag of the superblock in, or back; false when it is none.
    fn superblock(&mut self, word: &str) -> bool {
        let Some((_, parameter)) = SUPERBLOCK.iter().find(|(name, _)| *name == word) else {
            return false;
        };
        let flag = |name: &str| CString::new(name).ok().map(FsOption::Flag);
        let undone = if word == "async" { "sync" } else { word.strip_prefix("no").unwrap_or(word) };
        let undone = flag(undone);
        self.filesystem.retain(|option| Some(option) != undone.as_ref());
        self.filesystem.extend(parameter.and_then(flag));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str], fstype: &str) -> Result<MountOptions> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        MountOptions::parse("mounts[3].options", &words, Some(fstype))
    }

    #[test]
    fn attribute_words_set_and_clear_bits() {
        let table: [(&[&str], u64, u64); 8] = [
            (&["ro", "nosuid"], attr::RDONLY | attr::NOSUID, 0),
            (&["ro", "rw"], 0, attr::RDONLY),
            (&["nodev", "noexec"], attr::NODEV | attr::NOEXEC, 0),
            (&["noatime"], attr::NOATIME, attr::ATIME),
            (&["noatime", "strictatime"], attr::STRICTATIME, attr::ATIME),
            (&["strictatime", "relatime"], 0, attr::ATIME),
            (&["nodiratime"], attr::NODIRATIME, 0),
            (&["nosymfollow", "symfollow"], 0, attr::NOSYMFOLLOW),
        ];
        for (words, set, clear) in table {
            let plan = parse(words, "tmpfs").unwrap();
            assert_eq!(plan.attributes, Attributes { set, clear }, "{words:?}");
            assert_eq!(plan.filesystem, [], "{words:?}");
        }
    }

    #[test]
    fn recursive_words_do_not_touch_the_top_attributes() {
        let plan = parse(&["rbind", "rro", "rnosuid"], "none").unwrap();
        assert_eq!(plan.bind, Some(Recursion::Whole));
        assert_eq!(plan.recursive, Attributes { set: attr::RDONLY | attr::NOSUID, clear: 0 });
        assert!(plan.attributes.is_empty());
    }

    #[test]
    fn propagation_words_win_over_recursive_attributes() {
        let plan = parse(&["bind", "rslave"], "none").unwrap();
        assert_eq!(plan.propagation.map(Propagation::name).as_deref(), Some("rslave"));
    }

    #[test]
    fn other_words_go_to_the_file_system() {
        let plan = parse(&["mode=755", "size=64k", "sync", "huge"], "tmpfs").unwrap();
        let value = |key: &str, value: &str| {
            FsOption::Value(CString::new(key).unwrap(), CString::new(value).unwrap())
        };
        let flag = |key: &str| FsOption::Flag(CString::new(key).unwrap());
        assert_eq!(
            plan.filesystem,
            [flag("sync"), value("mode", "755"), value("size", "64k"), flag("huge")]
        );
    }

    #[test]
    fn superblock_words_undo_each_other() {
        let table: [(&[&str], &[&str]); 6] = [
            (&["sync", "async"], &[]),
            (&["async", "sync", "sync"], &["sync"]),
            (&["mand", "lazytime", "nomand"], &["lazytime"]),
            (&["lazytime", "nolazytime"], &[]),
            (&["rsync", "rdirsync", "rmand"], &["sync", "dirsync", "mand"]),
            (&["sync", "mand", "rasync", "rnomand"], &[]),
        ];
        for (words, flags) in table {
            let flags: Vec<FsOption> =
                flags.iter().map(|flag| FsOption::Flag(CString::new(*flag).unwrap())).collect();
            assert_eq!(parse(words, "tmpfs").unwrap().filesystem, flags, "{words:?}");
        }
        let err = parse(&["bind", "rsync"], "none").unwrap_err();
        assert_eq!(
            err.to_string(),
            "mounts[3].options[1]: \"rsync\" is not an option of a bind mount"
        );
    }

    #[test]
    fn errors_name_the_option() {
        let text = |words: &[&str], fstype| parse(words, fstype).unwrap_err().to_string();
        assert_eq!(
            text(&["bind", "rox"], "none"),
            "mounts[3].options[1]: \"rox\" is not an option of a bind mount"
        );
        assert_eq!(
            text(&["tmpcopyup"], "proc"),
            "mounts[3].options: \"tmpcopyup\" is only for a mount of type tmpfs"
        );
        assert_eq!(
            text(&["idmap"], "tmpfs"),
            "mounts[3].options: \"idmap\" is only for bind mounts"
        );
        assert_eq!(text(&["a\0b"], "tmpfs"), "mounts[3].options[0]: NUL byte at position 1");
    }
}
