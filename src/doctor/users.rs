//! Ids for ordinary users: newuidmap, newgidmap, and the ranges they give out.

use super::Report;
use crate::subids::{self, GID, Kind, UID};
use nix::sys::stat::{Mode, stat};

/// What an image needs to have all of its users.
const ENOUGH: u64 = 65536;

pub(super) fn examine(report: &mut Report) {
    for kind in [UID, GID] {
        helper(report, kind.helper);
    }
    for (name, kind) in [("subuid", UID), ("subgid", GID)] {
        ranges(report, name, kind);
    }
}

fn ranges(report: &mut Report, name: &str, kind: Kind) {
    let (ids, who) = subids::given(kind);
    let file = kind.file;
    let cure = format!("usermod {} 100000-165535 {who}", kind.add);
    if ids >= ENOUGH {
        report.ok(name, format!("{ids} ids for {who}"));
    } else if report.root {
        // Root needs no range: it maps what it likes.
        report.ok(name, format!("{ids} ids for {who}, which root does not need"));
    } else if ids == 0 {
        report.limited(name, format!("{file} has no range for {who}: one id is mapped"), cure);
    } else {
        report.limited(name, format!("{ids} ids for {who}, images want {ENOUGH}"), cure);
    }
}

/// The programs must get a privilege by being executed: setuid, or file capabilities.
fn helper(report: &mut Report, program: &str) {
    let cure = "install newuidmap and newgidmap (Debian: uidmap, Fedora: shadow-utils-subid)";
    let Some(path) = subids::find_program(program) else {
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
