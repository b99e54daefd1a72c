//! The ranges of ids that root has given to an ordinary user, and the mappings made of them.
//!
//! Runs in: parent. See subuid(5), subgid(5), newuidmap(1).

use crate::plan::namespaces::{DefaultMaps, IdMap};
use crate::sys::fd::read_file;
use nix::unistd::AccessFlags;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Where the helpers are looked for when PATH says nothing.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What tells the two kinds of ids apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) helper: &'static str,
    pub(crate) file: &'static str,
    /// The flag of usermod(8) that adds a range.
    pub(crate) add: &'static str,
}

pub(crate) const UID: Kind =
    Kind { helper: "newuidmap", file: "/etc/subuid", add: "--add-subuids" };
pub(crate) const GID: Kind =
    Kind { helper: "newgidmap", file: "/etc/subgid", add: "--add-subgids" };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u32,
    count: u32,
}

/// For an ordinary user whose config has no user namespace: root is the user, and the ids from 1 on
/// are those of his ranges. Without ranges for both kinds, or without the helpers, there is root
/// alone. The text says what was chosen and why.
pub(crate) fn default_maps() -> (DefaultMaps, String) {
    let own = |host| IdMap { container: 0, host, size: 1 };
    let uid = nix::unistd::geteuid().as_raw();
    let gid = nix::unistd::getegid().as_raw();
    let name = name(uid);
    let (uids, gids) = (ranges(UID, name.as_deref(), uid), ranges(GID, name.as_deref(), uid));
    let missing = [UID, GID].into_iter().find(|kind| find_program(kind.helper).is_none());
    let why = match (missing, uids.is_empty(), gids.is_empty()) {
        (Some(kind), ..) => Some(format!("there is no {}", kind.helper)),
        (None, true, _) => Some(format!("{} has no range for this user", UID.file)),
        (None, _, true) => Some(format!("{} has no range for this user", GID.file)),
        (None, false, false) => None,
    };
    let intro = "the config has no user namespace; an ordinary user gets one";
    if let Some(why) = why {
        let maps = DefaultMaps { uid: vec![own(uid)], gid: vec![own(gid)] };
        return (maps, format!("{intro} that maps only root, to the user himself: {why}"));
    }
    let maps = DefaultMaps { uid: fill(own(uid), &uids), gid: fill(own(gid), &gids) };
    (maps, format!("{intro} with his ranges of {} and {}", UID.file, GID.file))
}

/// The ranges one after the other, from container id 1 on.
fn fill(root: IdMap, ranges: &[Range]) -> Vec<IdMap> {
    let mut maps = vec![root];
    let mut next = 1_u32;
    for range in ranges {
        // Ids end at 2^32 - 2 on both sides; a range of the own id would overlap the first map.
        let size = range.count.min((u32::MAX - 1).saturating_sub(range.first.max(next)));
        let holds_own = (range.first..range.first.saturating_add(range.count)).contains(&root.host);
        if size > 0 && !holds_own {
            maps.push(IdMap { container: next, host: range.first, size });
            next += size;
        }
    }
    maps
}

/// The name that the ranges go by.
fn name(uid: u32) -> Option<String> {
    let text = read_file(Path::new("/etc/passwd")).ok()?;
    let text = String::from_utf8_lossy(&text);
    crate::process::passwd(&text, uid).map(|entry| entry.name.to_string())
}

/// A file that is missing gives nothing.
fn ranges(kind: Kind, name: Option<&str>, uid: u32) -> Vec<Range> {
    let text = read_file(Path::new(kind.file)).unwrap_or_default();
    parse(&String::from_utf8_lossy(&text), name, uid)
}

/// Lines of `who:first:count`, where who is a name or a number.
fn parse(text: &str, name: Option<&str>, uid: u32) -> Vec<Range> {
    let number = uid.to_string();
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let who = fields.next()?;
        if who != number && Some(who) != name {
            return None;
        }
        let range =
            Range { first: fields.next()?.parse().ok()?, count: fields.next()?.parse().ok()? };
        (range.count > 0 && fields.next().is_none()).then_some(range)
    };
    text.lines().filter_map(range).collect()
}

/// How many ids of this kind the caller has, and the name by which the file knows him.
pub(crate) fn given(kind: Kind) -> (u64, String) {
    let uid = nix::unistd::geteuid().as_raw();
    let name = name(uid);
    let ids = ranges(kind, name.as_deref(), uid).iter().map(|range| u64::from(range.count)).sum();
    (ids, name.unwrap_or_else(|| uid.to_string()))
}

/// What to do when the helper says that a range is not allowed.
pub(crate) fn cure(kind: Kind) -> String {
    let uid = nix::unistd::geteuid().as_raw();
    let name = name(uid);
    let ranges = ranges(kind, name.as_deref(), uid);
    let user = name.unwrap_or_else(|| uid.to_string());
    if ranges.is_empty() {
        return format!(
            "{} has no range for {user}; as root: usermod {} 100000-165535 {user}",
            kind.file, kind.add
        );
    }
    let show = |range: &Range| {
        format!("{}-{}", range.first, u64::from(range.first) + u64::from(range.count) - 1)
    };
    let list: Vec<String> = ranges.iter().map(show).collect();
    format!("{} gives {user} {}; map only those and your own id", kind.file, list.join(" "))
}

/// As execvp(3), but never in the working directory, which is most often a bundle that somebody
/// else has made. The helper is the user's own choice: root never calls one.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").filter(|path| !path.is_empty());
    find_in(&path.unwrap_or_else(|| OsString::from(USUAL_PATH)), name)
}

fn find_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    let dirs = path.as_bytes().split(|byte| *byte == b':').map(OsStr::from_bytes).map(Path::new);
    dirs.filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|file| file.is_file() && nix::unistd::access(file, AccessFlags::X_OK).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_number() {
        let text =
            "root:1:2\nme:100000:65536\n4242:300000:10\nme:x:1\nme:5:0\nme:7:1:2\n other:9:9\n";
        let found = parse(text, Some("me"), 4242);
        let wanted = [(100_000, 65536), (300_000, 10)];
        assert_eq!(found, wanted.map(|(first, count)| Range { first, count }));
        assert_eq!(parse(text, None, 4243), []);
    }

    #[test]
    fn ranges_follow_each_other_in_the_container() {
        let root = IdMap { container: 0, host: 4242, size: 1 };
        let range = |first, count| Range { first, count };
        let all =
            [range(100_000, 10), range(4000, 1000), range(200_000, 5), range(u32::MAX - 3, 9)];
        let maps = fill(root, &all);
        let wanted = [(0, 4242, 1), (1, 100_000, 10), (11, 200_000, 5), (16, u32::MAX - 3, 2)];
        assert_eq!(maps, wanted.map(|(container, host, size)| IdMap { container, host, size }));
    }

    #[test]
    fn programs_are_not_looked_for_in_the_working_directory() {
        assert!(find_in(OsStr::new("/bin:/usr/bin"), "sh").is_some());
        assert_eq!(find_in(OsStr::new(":.:bin"), "sh"), None);
    }
}
