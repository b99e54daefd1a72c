//! Parses the files of /proc that tell where the cgroups are.
//!
//! Runs in: parent. Privilege: none. The parsers themselves are pure.

use crate::plan::namespaces::IdMap;
use crate::sys::fd::read_record;
use anyhow::{Context as _, Result};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// One line of /proc/PID/mountinfo: `proc_pid_mountinfo(5)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) id: u32,
    pub(crate) parent: u32,
    /// `major:minor` of the file system.
    pub(crate) device: String,
    /// The directory of the file system which is mounted.
    pub(crate) root: PathBuf,
    pub(crate) point: PathBuf,
    pub(crate) fs_type: String,
    /// Options of the file system (not of the mount), comma-separated.
    pub(crate) super_options: String,
}

/// Parses mountinfo; lines that are not understood are left out.
pub(crate) fn mounts(text: &[u8]) -> Vec<Mount> {
    text.split(|b| *b == b'\n').filter_map(mount).collect()
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|b| *b == b' ');
    let number = |field: &[u8]| std::str::from_utf8(field).ok()?.parse().ok();
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = String::from_utf8_lossy(fields.next()?).into_owned();
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    // Mount options and any number of optional fields end at a lone "-".
    let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
    let fs_type = String::from_utf8_lossy(fields.next()?).into_owned();
    let _source = fields.next()?;
    let super_options = String::from_utf8_lossy(fields.next()?).into_owned();
    Some(Mount { id, parent, device, root, point, fs_type, super_options })
}

/// Undoes the octal escapes of space, tab, newline and backslash.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                bytes.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// Those of the `wanted` mounts that a path look-up can reach: no later mount at the same place or
/// above hides them.
pub(crate) fn visible(mounts: &[Mount], wanted: impl Fn(&Mount) -> bool) -> Vec<&Mount> {
    let ancestors = |mount: &Mount| {
        let mut ids = Vec::new();
        let mut parent = mount.parent;
        while let Some(above) = mounts.iter().find(|m| m.id == parent && !ids.contains(&m.id)) {
            ids.push(above.id);
            parent = above.parent;
        }
        ids
    };
    mounts
        .iter()
        .enumerate()
        .filter(|(index, mount)| {
            if !wanted(mount) {
                return false;
            }
            let above = ancestors(mount);
            !mounts
                .iter()
                .skip(index + 1)
                .any(|later| mount.point.starts_with(&later.point) && !above.contains(&later.id))
        })
        .map(|(_, mount)| mount)
        .collect()
}

/// Our cgroup in the v2 hierarchy, from /proc/self/cgroup (`0::/path`); `None` without one.
///
/// "/../x" is a cgroup outside of our cgroup namespace.
pub(crate) fn unified_cgroup(text: &[u8]) -> Option<&Path> {
    use std::os::unix::ffi::OsStrExt as _;
    text.split(|b| *b == b'\n')
        .find_map(|line| line.strip_prefix(b"0::"))
        .map(|path| Path::new(std::ffi::OsStr::from_bytes(path)))
}

/// Parses the `uid_map` or `gid_map` of a process (`user_namespaces(7)`); lines that are not
/// understood are left out. What is on the host's side depends on who reads.
pub(crate) fn id_maps(text: &[u8]) -> Vec<IdMap> {
    let text = String::from_utf8_lossy(text);
    let map = |line: &str| {
        let mut fields = line.split_ascii_whitespace().map(str::parse);
        let mut next = || fields.next()?.ok();
        Some(IdMap { container: next()?, host: next()?, size: next()? })
    };
    text.lines().filter_map(map).collect()
}

/// Our cgroup in the v1 hierarchy that has a controller (or is called "name=..."), from
/// /proc/self/cgroup (`4:cpu,cpuacct:/path`).
pub(crate) fn v1_cgroup<'a>(text: &'a [u8], controller: &str) -> Option<&'a Path> {
    use std::os::unix::ffi::OsStrExt as _;
    text.split(|b| *b == b'\n').find_map(|line| {
        let mut fields = line.splitn(3, |b| *b == b':').skip(1);
        let mut controllers = fields.next()?.split(|b| *b == b',');
        let is_it = controllers.any(|name| name == controller.as_bytes());
        is_it.then(|| fields.next().map(|path| Path::new(std::ffi::OsStr::from_bytes(path))))?
    })
}

/// The signals that this process ignores: bit n - 1 is signal n (`proc_pid_status(5)`, `SigIgn`).
pub(crate) fn ignored_signals() -> Result<u64> {
    let path = Path::new("/proc/self/status");
    signal_mask(&read_record(path)?, "SigIgn:")
        .with_context(|| format!("{}: no SigIgn line", path.display()))
}

/// A mask of signals in /proc/PID/status.
fn signal_mask(status: &[u8], key: &str) -> Option<u64> {
    let status = String::from_utf8_lossy(status);
    let mask = status.lines().find_map(|line| line.strip_prefix(key))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Whether this process has got its SIGKILL, or is on its way out for another reason.
pub(crate) fn is_dying(pid: i32) -> bool {
    // linux/sched.h
    const PF_EXITING: u32 = 0x4;
    const SIGKILL: u64 = 1 << (9 - 1);
    let status = read_record(Path::new(&format!("/proc/{pid}/status")));
    let pending = |key| status.as_ref().ok().and_then(|text| signal_mask(text, key)).unwrap_or(0);
    (pending("SigPnd:") | pending("ShdPnd:")) & SIGKILL != 0
        || stat(pid).is_none_or(|stat| stat.flags & PF_EXITING != 0)
}

/// What /proc/PID/stat tells: `proc_pid_stat(5)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// `PF_*` of the kernel.
    pub(crate) flags: u32,
    /// In clock ticks since boot.
    pub(crate) start_time: u64,
}

/// `None`: there is no such process.
pub(crate) fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&read_record(Path::new(&format!("/proc/{pid}/stat"))).ok()?)
}

/// The command in parentheses may contain anything, so fields are counted after the last one.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let flags = fields.nth(6)?.parse().ok()?;
    let start_time = fields.nth(12)?.parse().ok()?;
    Some(Stat { flags, start_time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_after_the_last_parenthesis() {
        let line = b"7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1 2";
        assert_eq!(parse_stat(line), Some(Stat { flags: 0x0040_0100, start_time: 4711 }));
        assert_eq!(parse_stat(b"7 (a"), None);
    }

    #[test]
    fn id_maps_are_three_columns() {
        let maps =
            id_maps(b"         0       4242          1\n         1     100000      65536\nx\n");
        let one = IdMap { container: 0, host: 4242, size: 1 };
        assert_eq!(maps, [one, IdMap { container: 1, host: 100_000, size: 65536 }]);
    }

    const HYBRID: &[u8] = b"\
23 1 0:22 / / rw,relatime shared:1 - ext4 /dev/vda rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:7 master:2 - cgroup cgroup rw,cpu,cpuacct
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn mountinfo_lines_are_split_at_the_lone_dash() {
        let mounts = mounts(HYBRID);
        assert_eq!(mounts.len(), 4);
        assert_eq!(mounts[2].point, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(mounts[2].fs_type, "cgroup");
        assert_eq!(mounts[2].super_options, "rw,cpu,cpuacct");
        assert_eq!((mounts[3].id, mounts[3].parent), (41, 31));
        assert_eq!(mounts[3].device, "0:38");
        assert_eq!(visible(&mounts, |_| true).len(), 4);
    }

    #[test]
    fn octal_escapes_are_undone() {
        let text = b"1 0 0:1 /a\\134b /with\\040space\\011tab rw - cgroup2 none rw\n";
        let mounts = mounts(text);
        assert_eq!(mounts[0].root, Path::new("/a\\b"));
        assert_eq!(mounts[0].point, Path::new("/with space\ttab"));
    }

    #[test]
    fn mounts_below_a_later_mount_are_hidden() {
        let mut text = HYBRID.to_vec();
        text.extend(b"50 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        let mounts = mounts(&text);
        let points: Vec<_> =
            visible(&mounts, |_| true).iter().map(|m| (m.id, m.point.clone())).collect();
        assert_eq!(points, [(23, "/".into()), (50, "/sys/fs/cgroup".into())]);
    }

    #[test]
    fn parents_listed_after_their_children_hide_nothing() {
        let text = b"9 8 0:1 / /a/b rw - cgroup2 none rw\n8 1 0:2 / /a rw - tmpfs none rw\n";
        let mounts = mounts(text);
        assert_eq!(visible(&mounts, |_| true).len(), 2);
    }

    #[test]
    fn own_cgroup_is_the_line_of_hierarchy_zero() {
        assert_eq!(
            unified_cgroup(b"4:memory:/x\n0::/user.slice/a\n"),
            Some(Path::new("/user.slice/a"))
        );
        assert_eq!(unified_cgroup(b"4:memory:/x\n"), None);
    }
}
