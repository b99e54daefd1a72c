//! The user and group ids that an ordinary user may give away: subuid(5), subgid(5).
//!
//! Runs in: an ordinary process of the user. Reads only.

use std::fs;

/// (inside, outside, count) of a user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Maps {
    pub(crate) uid: Vec<(u32, u32, u32)>,
    pub(crate) gid: Vec<(u32, u32, u32)>,
}

impl Maps {
    /// The user's own id as root, and his ranges from 1 on; without ranges for both kinds, or
    /// without the helpers which alone may use them, root alone.
    pub(crate) fn of_user() -> Self {
        let uid = nix::unistd::geteuid().as_raw();
        let gid = nix::unistd::getegid().as_raw();
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let number = uid.to_string();
        let entry = |line: &&str| line.split(':').nth(2) == Some(number.as_str());
        let login = passwd.lines().find(entry).and_then(|line| line.split(':').next());
        let helpers = ["newuidmap", "newgidmap"].iter().all(|name| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|dir| dir.is_absolute() && dir.join(name).is_file())
        });
        let of_file = |file: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            if helpers { ranges(&text, login, uid) } else { Vec::new() }
        };
        let (uids, gids) = (of_file("/etc/subuid"), of_file("/etc/subgid"));
        match uids.is_empty() || gids.is_empty() {
            true => Self { uid: map(uid, &[]), gid: map(gid, &[]) },
            false => Self { uid: map(uid, &uids), gid: map(gid, &gids) },
        }
    }

    /// Without ranges.
    pub(crate) fn is_single(&self) -> bool {
        self.uid.len() == 1 && self.gid.len() == 1
    }
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

    #[test]
    fn ranges_follow_root() {
        let text = "other:1:1\nme:100000:10\n1000:300000:5\nme:7\nme:9:0\n";
        let found = ranges(text, Some("me"), 1000);
        assert_eq!(map(1000, &found), [(0, 1000, 1), (1, 100_000, 10), (11, 300_000, 5)]);
        assert_eq!(map(7, &[]), [(0, 7, 1)]);
    }
}
