//! Who a container's process is, by the names in its own /etc/passwd and /etc/group; and the ids
//! that an ordinary user may give it.
//!
//! Runs in: an ordinary process of the user. Names of files in the container are looked up below
//! its root file system, which belongs to somebody else: no link leads out of it.

use crate::error::OrHint as _;
use crate::runtime;
use crate::spec::User;
use anyhow::{Context as _, Result, anyhow, ensure};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// No such file is longer, in bytes.
const LONGEST: u64 = 1 << 20;

/// (container, host, size) of a user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Maps {
    pub(crate) uid: Vec<(u32, u32, u32)>,
    pub(crate) gid: Vec<(u32, u32, u32)>,
}

/// Reads a file below a directory, as text. `None` when it is missing. What is no file is not opened
/// at all: with some devices, that alone does something.
fn read_inside(rootfs: &Path, name: &str) -> Result<Option<String>> {
    let root = File::open(rootfs).with_context(|| rootfs.display().to_string())?;
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let Ok(found) = openat2(&root, name, how).map(File::from) else { return Ok(None) };
    ensure!(found.metadata()?.is_file(), "/{name} of the container: not a regular file");
    let mut text = Vec::new();
    let mut options = OpenOptions::new();
    // A lease on it, fcntl(2), is not waited for.
    options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let read = options
        .open(format!("/proc/self/fd/{}", found.as_raw_fd()))
        .and_then(|file| file.take(LONGEST).read_to_end(&mut text));
    read.with_context(|| format!("/{name} of the container"))?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

/// `wanted` is USER[:GROUP], by name or number; `further` more groups.
pub(crate) fn find(rootfs: &Path, wanted: &str, further: &[String]) -> Result<User> {
    let read = |name| Ok::<_, anyhow::Error>(read_inside(rootfs, name)?.unwrap_or_default());
    resolve(&read("etc/passwd")?, &read("etc/group")?, wanted, further)
}

/// Without a group of its own, a user has those of his entries.
fn resolve(passwd: &str, group: &str, wanted: &str, further: &[String]) -> Result<User> {
    let (name, own_group) = match wanted.split_once(':') {
        Some((name, group)) => (name, Some(group).filter(|group| !group.is_empty())),
        None => (wanted, None),
    };
    let name = if name.is_empty() { "0" } else { name };
    let number: Option<u32> = name.parse().ok();
    let mut entries = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let entry = entries.find(|entry| match number {
        Some(_) => entry.get(2) == Some(&name),
        None => entry.first() == Some(&name),
    });
    let field = |index: usize| entry.as_ref().and_then(|entry| entry.get(index)).copied();
    let uid = match number.or_else(|| field(2)?.parse().ok()) {
        Some(uid) => uid,
        None => {
            return Err(anyhow!("user {name}: not in the container's /etc/passwd"))
                .hint("write the number, such as -u 1000:1000");
        }
    };
    let mut user = User { uid, home: field(5).map(ToOwned::to_owned), ..User::default() };
    match own_group {
        Some(own) => user.gid = group_id(group, own)?,
        None => {
            user.gid = field(3).and_then(|gid| gid.parse().ok()).unwrap_or(0);
            let login = field(0).unwrap_or(name);
            let member = |line: &str| {
                let mut fields = line.split(':').skip(2);
                let gid = fields.next()?.parse().ok()?;
                fields.next()?.split(',').any(|one| one == login).then_some(gid)
            };
            user.groups = group.lines().filter_map(member).collect();
        }
    }
    for name in further {
        user.groups.push(group_id(group, name)?);
    }
    user.groups.sort_unstable();
    user.groups.dedup();
    Ok(user)
}

fn group_id(group: &str, wanted: &str) -> Result<u32> {
    if let Ok(gid) = wanted.parse() {
        return Ok(gid);
    }
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        (fields.next()? == wanted).then(|| fields.nth(1)?.parse().ok())?
    };
    let found = group.lines().find_map(of_line);
    found
        .ok_or_else(|| anyhow!("group {wanted}: not in the container's /etc/group"))
        .hint("write the number of the group")
}

/// What `/etc/subuid` and `/etc/subgid` give an ordinary user: (first, count).
#[derive(Debug)]
struct Granted {
    login: String,
    /// The program which is missing, of the two that alone may use them.
    lacks: Option<&'static str>,
    uids: Vec<(u32, u32)>,
    gids: Vec<(u32, u32)>,
}

fn granted(uid: u32) -> Granted {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = uid.to_string();
    let entry = |line: &&str| line.split(':').nth(2) == Some(number.as_str());
    let login = passwd.lines().find(entry).and_then(|line| line.split(':').next());
    let lacks = ["newuidmap", "newgidmap"].into_iter();
    let ranges = |file: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        ranges(&text, login, uid)
    };
    Granted {
        lacks: lacks.into_iter().find(|name| runtime::in_path(name).is_none()),
        uids: ranges("/etc/subuid"),
        gids: ranges("/etc/subgid"),
        login: login.map_or(number, ToOwned::to_owned),
    }
}

impl Granted {
    /// # Errors
    /// Why it cannot be used.
    fn check(&self) -> Result<()> {
        if let Some(program) = self.lacks {
            return Err(anyhow!("{program} is not installed"))
                .hint("install it, on Debian with `apt install uidmap`");
        }
        for (file, ranges) in [("/etc/subuid", &self.uids), ("/etc/subgid", &self.gids)] {
            if ranges.is_empty() {
                let login = &self.login;
                return Err(anyhow!("{file} has no line for {login}")).hint(format!(
                    "have root do `usermod --add-subuids 100000-165535 \
                     --add-subgids 100000-165535 {login}`, with numbers that nobody else has"
                ));
            }
        }
        Ok(())
    }
}

/// Whether there are as many ids in the user namespace of an ordinary user.
pub(crate) fn check(user: &User, ids: u64) -> Result<()> {
    let all = [("user", user.uid), ("group", user.gid)].into_iter();
    let mut all = all.chain(user.groups.iter().map(|gid| ("group", *gid)));
    let Some((kind, id)) = all.find(|(_, id)| u64::from(*id) >= ids) else { return Ok(()) };
    Err(anyhow!("{kind} {id}: containers of this user have ids below {ids} only"))
        .hint("get a range of ids in /etc/subuid and /etc/subgid: bundles doctor tells how")
}

/// An ordinary user's own id as root, and his ranges of subuid(5) and subgid(5) from 1 on; without
/// ranges for both, or without the helpers which alone may use them, root alone.
pub(crate) fn maps() -> Option<Maps> {
    let uid = nix::unistd::geteuid();
    if uid.is_root() {
        return None;
    }
    let uid = uid.as_raw();
    let granted = Some(granted(uid)).filter(|granted| granted.check().is_ok());
    let (uids, gids) = granted.map(|granted| (granted.uids, granted.gids)).unwrap_or_default();
    let gid = nix::unistd::getegid().as_raw();
    Some(Maps { uid: map(uid, &uids), gid: map(gid, &gids) })
}

/// How many ids the containers of an ordinary user have: users and groups.
///
/// # Errors
/// Why it is one of each.
pub(crate) fn id_counts() -> Result<(u64, u64)> {
    granted(nix::unistd::geteuid().as_raw()).check()?;
    let maps = maps().context("internal error, please report: no ids")?;
    let sum = |map: &[(u32, u32, u32)]| map.iter().map(|(.., count)| u64::from(*count)).sum();
    Ok((sum(&maps.uid), sum(&maps.gid)))
}

/// (first, count) of the lines `who:first:count`.
fn ranges(text: &str, login: Option<&str>, uid: u32) -> Vec<(u32, u32)> {
    let number = uid.to_string();
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let who = fields.next()?;
        let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        ((who == number || Some(who) == login) && count > 0).then_some((first, count))
    };
    text.lines().filter_map(range).collect()
}

fn map(own: u32, ranges: &[(u32, u32)]) -> Vec<(u32, u32, u32)> {
    let mut maps = vec![(0, own, 1)];
    let mut next = 1_u32;
    for (first, count) in ranges {
        let Some(end) = next.checked_add(*count) else { break };
        maps.push((next, *first, *count));
        next = end;
    }
    maps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:/bin/false\n";
    const GROUP: &str = "root:x:0:\ndata:x:50:web,other\nwww:x:34:\n";

    fn user(wanted: &str) -> Result<(u32, u32, Vec<u32>, Option<String>)> {
        let user = resolve(PASSWD, GROUP, wanted, &[])?;
        Ok((user.uid, user.gid, user.groups, user.home))
    }

    #[test]
    fn users_by_name_and_number() {
        let srv = || Some("/srv".to_owned());
        assert_eq!(user("").unwrap(), (0, 0, vec![], Some("/root".into())));
        assert_eq!(user("web").unwrap(), (33, 34, vec![50], srv()));
        assert_eq!(user("33").unwrap(), (33, 34, vec![50], srv()));
        assert_eq!(user("web:data").unwrap(), (33, 50, vec![], srv()));
        assert_eq!(user("1000").unwrap(), (1000, 0, vec![], None));
        assert_eq!(user("1000:7").unwrap(), (1000, 7, vec![], None));
    }

    #[test]
    fn unknown_names_are_told() {
        let error = |wanted| crate::error::chain(&user(wanted).unwrap_err());
        assert_eq!(error("me"), "user me: not in the container's /etc/passwd");
        assert_eq!(error("web:me"), "group me: not in the container's /etc/group");
    }

    #[test]
    fn links_do_not_lead_out() {
        let dir = Scratch::new();
        dir.file("outside", b"secret");
        dir.file("root/etc/real", b"inside");
        dir.link("root/etc/passwd", dir.0.join("outside").to_str().unwrap());
        dir.link("root/etc/group", "/etc/real");
        let root = dir.0.join("root");
        assert_eq!(read_inside(&root, "etc/passwd").unwrap(), None);
        assert_eq!(read_inside(&root, "etc/group").unwrap(), Some("inside".into()));
    }

    #[test]
    fn ids_beyond_the_ranges_are_refused() {
        let user = |uid, gid, groups| User { uid, gid, groups, home: None };
        assert!(check(&user(0, 0, vec![]), 1).is_ok());
        assert!(check(&user(65536, 65536, vec![0]), 65537).is_ok());
        let error = |user: User| crate::error::chain(&check(&user, 1).unwrap_err());
        let rest = "containers of this user have ids below 1 only";
        assert_eq!(error(user(33, 0, vec![])), format!("user 33: {rest}"));
        assert_eq!(error(user(0, 5, vec![])), format!("group 5: {rest}"));
        assert_eq!(error(user(0, 0, vec![1])), format!("group 1: {rest}"));
    }

    #[test]
    fn ranges_follow_root() {
        let text = "other:1:1\nme:100000:10\n1000:300000:5\n";
        let found = ranges(text, Some("me"), 1000);
        assert_eq!(map(1000, &found), [(0, 1000, 1), (1, 100_000, 10), (11, 300_000, 5)]);
    }
}
