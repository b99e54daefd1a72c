//! What this host can do for containers, and what would cure what it cannot.
//!
//! Runs in: parent. Changes nothing: what has to be tried is tried in a child with namespaces of
//! its own. Parsers are pure functions over the text of a file.

mod cgroups;
mod files;
mod kernel;
mod namespaces;
mod security;
mod users;

use crate::sys::fd::read_file;
use serde_json::{Value, json};
use std::path::Path;

/// How well something works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    /// Works in part, or not for everybody.
    Limited,
    Missing,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Limited => "limited",
            Self::Missing => "missing",
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) group: &'static str,
    /// Stable, for scripts.
    pub(crate) name: String,
    pub(crate) status: Status,
    /// Containers of this user cannot do without it.
    pub(crate) needed: bool,
    pub(crate) value: String,
    /// What to do; only where something is wrong.
    pub(crate) cure: Option<String>,
}

/// The findings so far, and who asks.
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
    group: &'static str,
    /// Effective user 0, be it of a user namespace.
    pub(crate) root: bool,
}

impl Report {
    fn ok(&mut self, name: &str, value: impl Into<String>) {
        self.add(name, (Status::Ok, false), value.into(), None);
    }

    fn limited(&mut self, name: &str, value: impl Into<String>, cure: impl Into<String>) {
        self.add(name, (Status::Limited, false), value.into(), Some(cure.into()));
    }

    /// Useful for some containers only.
    fn missing(&mut self, name: &str, value: impl Into<String>, cure: impl Into<String>) {
        self.add(name, (Status::Missing, false), value.into(), Some(cure.into()));
    }

    /// Something without which no container can be.
    fn needs(&mut self, name: &str, fine: bool, value: impl Into<String>, cure: &str) {
        let status = if fine { Status::Ok } else { Status::Missing };
        let cure = (!fine).then(|| cure.to_string());
        self.add(name, (status, true), value.into(), cure);
    }

    fn add(
        &mut self,
        name: &str,
        (status, needed): (Status, bool),
        value: String,
        cure: Option<String>,
    ) {
        let name = name.to_string();
        self.findings.push(Finding { group: self.group, name, status, needed, value, cure });
    }

    /// Names of what containers need and the host lacks.
    pub(crate) fn lacks(&self) -> Vec<&str> {
        let lacks = |f: &&Finding| f.needed && f.status == Status::Missing;
        self.findings.iter().filter(lacks).map(|f| f.name.as_str()).collect()
    }
}

/// Looks at everything.
pub(crate) fn examine() -> Report {
    type Part = (&'static str, fn(&mut Report));
    let root = nix::unistd::geteuid().is_root();
    let mut report = Report { findings: Vec::new(), group: "", root };
    let parts: [Part; 6] = [
        ("kernel", kernel::examine),
        ("namespaces", namespaces::examine),
        ("cgroups", cgroups::examine),
        ("security", security::examine),
        ("files", files::examine),
        ("users", users::examine),
    ];
    for (group, part) in parts {
        report.group = group;
        part(&mut report);
    }
    report
}

/// A small text file; `None` where it cannot be read.
fn text(path: &str) -> Option<String> {
    let bytes = read_file(Path::new(path)).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A file with one number.
fn number(path: &str) -> Option<u64> {
    text(path)?.trim().parse().ok()
}

/// The value of `key:` in a file like /proc/self/status.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
}

/// `proc_filesystems(5)`: is the file system built in or loaded?
fn has_filesystem(filesystems: &str, name: &str) -> bool {
    filesystems.lines().any(|line| line.split_ascii_whitespace().last() == Some(name))
}

/// The JSON that the man page describes.
pub(crate) fn json(report: &Report) -> Value {
    let finding = |f: &Finding| {
        json!({
            "group": f.group,
            "name": f.name,
            "status": f.status.name(),
            "needed": f.needed,
            "value": f.value,
            "cure": f.cure,
        })
    };
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uid": nix::unistd::geteuid().as_raw(),
        "ok": report.lacks().is_empty(),
        "lacks": report.lacks(),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

/// For people: a block for each group, columns aligned, cures below.
pub(crate) fn table(report: &Report, colour: bool) -> String {
    let width = report.findings.iter().map(|f| f.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    let mut group = "";
    for f in &report.findings {
        if f.group != group {
            let gap = if group.is_empty() { "" } else { "\n" };
            out += &format!("{gap}{}\n", f.group);
            group = f.group;
        }
        let status = format!("{:<7}", f.status.name());
        let status = match (colour, f.status) {
            (false, _) => status,
            (true, Status::Ok) => format!("\x1b[32m{status}\x1b[0m"),
            (true, Status::Limited) => format!("\x1b[33m{status}\x1b[0m"),
            (true, Status::Missing) if f.needed => format!("\x1b[1;31m{status}\x1b[0m"),
            (true, Status::Missing) => format!("\x1b[31m{status}\x1b[0m"),
        };
        out += format!("  {status}  {:<width$}  {}", f.name, f.value).trim_end();
        out.push('\n');
        if let Some(cure) = &f.cure {
            out += &format!("           {:<width$}  cure: {cure}\n", "");
        }
    }
    let lacks = report.lacks();
    out += &if lacks.is_empty() {
        "\neverything that containers need is there\n".to_string()
    } else {
        format!("\nmissing, and needed by containers: {}\n", lacks.join(", "))
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report { findings: Vec::new(), group: "one", root: true };
        report.ok("fine", "1");
        report.missing("extra", "none", "get it");
        report.group = "two";
        report.needs("vital", false, "gone", "bring it");
        report
    }

    #[test]
    fn only_needed_things_that_are_missing_are_lacking() {
        assert_eq!(report().lacks(), ["vital"]);
        assert_eq!(json(&report())["ok"], false);
        assert_eq!(json(&report())["findings"][1]["cure"], "get it");
        assert!(json(&report())["findings"][0]["cure"].is_null());
    }

    #[test]
    fn table_is_aligned_and_coloured_on_request_only() {
        let plain = table(&report(), false);
        assert_eq!(
            plain,
            "one\n  ok       fine   1\n  missing  extra  none\n                  cure: get it\n\n\
             two\n  missing  vital  gone\n                  cure: bring it\n\n\
             missing, and needed by containers: vital\n"
        );
        assert!(table(&report(), true).contains("\x1b[1;31mmissing\x1b[0m  vital"));
    }

    #[test]
    fn files_of_proc_are_parsed() {
        let status = "Name:\trt\nNoNewPrivs:\t1\nCapBnd:\t00ff\n";
        assert_eq!(field(status, "NoNewPrivs"), Some("1"));
        assert_eq!(field(status, "Cap"), None);
        assert!(has_filesystem("nodev\ttmpfs\n\text4\n", "ext4"));
        assert!(!has_filesystem("nodev\ttmpfs\n", "mpfs"));
    }
}
