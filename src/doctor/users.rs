//! Ids for ordinary users: newuidmap, newgidmap, and the ranges they give out.

use super::{Report, text};
use nix::sys::stat::{Mode, stat};
use std::ffi::OsStr;
use std::path::PathBuf;

/// What an image needs to have all of its users.
const ENOUGH: u64 = 65536;

pub(super) fn examine(report: &mut Report) {
    for program in ["newuidmap", "newgidmap"] {
        helper(report, program);
    }
    let uid = nix::unistd::geteuid();
    // musl reads /etc/passwd only; a user from elsewhere is known by the number.
    let name = nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name);
    for file in ["subuid", "subgid"] {
        let path = format!("/etc/{file}");
        let ranges = text(&path).unwrap_or_default();
        let ids = ids_of(&ranges, name.as_deref(), uid.as_raw());
        let who = name.clone().unwrap_or_else(|| uid.to_string());
        let cure = format!("usermod --add-{file}s 100000-165535 {who}");
        if ids >= ENOUGH {
            report.ok(file, format!("{ids} ids for {who}"));
        } else if report.root {
            // Root needs no range: it maps what it likes.
            report.ok(file, format!("{ids} ids for {who}, which root does not need"));
        } else if ids == 0 {
            report.limited(file, format!("{path} has no range for {who}: one id is mapped"), cure);
        } else {
            report.limited(file, format!("{ids} ids for {who}, images want {ENOUGH}"), cure);
        }
    }
}

/// `subuid(5)`: the sum of the user's ranges, under the name or the number.
fn ids_of(ranges: &str, name: Option<&str>, uid: u32) -> u64 {
    let uid = uid.to_string();
    ranges
        .lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            let _first: u32 = fields.next()?.parse().ok()?;
            let count: u64 = fields.next()?.parse().ok()?;
            (Some(owner) == name || owner == uid).then_some(count)
        })
        .sum()
}

/// The programs must get a privilege by being executed: setuid, or file capabilities.
fn helper(report: &mut Report, program: &str) {
    let cure = "install newuidmap and newgidmap (Debian: uidmap, Fedora: shadow-utils-subid)";
    let Some(path) = find(program, std::env::var_os("PATH").as_deref()) else {
        // Only an ordinary user with more than one id needs them.
        if report.root {
            report.missing(program, "not in PATH", cure);
        } else {
            report.limited(program, "not in PATH: one id can be mapped", cure);
        }
        return;
    };
    let shown = path.display();
    let setuid = stat(&path).is_ok_and(|status| {
        Mode::from_bits_truncate(status.st_mode).contains(Mode::S_ISUID) && status.st_uid == 0
    });
    if setuid || crate::sys::probe::has_file_capabilities(&path) {
        report.ok(program, shown.to_string());
    } else {
        report.limited(
            program,
            format!("{shown} has neither setuid nor file capabilities"),
            format!("chmod u+s {shown}, as root"),
        );
    }
}

fn find(program: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    let executable = nix::unistd::AccessFlags::X_OK;
    std::env::split_paths(path?)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(program))
        .find(|path| nix::unistd::access(path, executable).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_summed_by_name_and_number() {
        let file = "root:1:2\nann:100000:65536\n1000:300000:10\nbroken\nann:x:5\n";
        assert_eq!(ids_of(file, Some("ann"), 1000), 65546);
        assert_eq!(ids_of(file, None, 1000), 10);
        assert_eq!(ids_of(file, Some("bob"), 7), 0);
    }
}
