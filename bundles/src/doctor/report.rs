//! What was found, for people and for scripts. The look is that of `rt doctor`.

use crate::error;
use anyhow::{Error, Result};
use serde_json::{Value, json};

/// How well something works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    /// Works in part.
    Limited,
    Missing,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Limited => "limited",
            Self::Missing => "missing",
        }
    }
}

/// One line of the report.
#[derive(Debug)]
struct Finding {
    group: &'static str,
    /// Stable, for scripts.
    name: &'static str,
    status: Status,
    /// Containers of this user cannot do without it.
    needed: bool,
    value: String,
    /// What to do; only where something is wrong.
    cure: Option<String>,
}

/// The findings so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
    pub(super) group: &'static str,
}

impl Report {
    pub(super) fn ok(&mut self, name: &'static str, value: impl Into<String>) {
        self.add(name, (Status::Ok, false), value.into(), None);
    }

    /// Something without which no container can be.
    pub(super) fn needs(&mut self, name: &'static str, tried: Result<String>) {
        match tried {
            Ok(value) => self.add(name, (Status::Ok, true), value, None),
            Err(err) => self.add_error(name, (Status::Missing, true), &err),
        }
    }

    /// Something which not every container needs: `status` is what it is when the trial failed.
    pub(super) fn tried(&mut self, name: &'static str, status: Status, tried: Result<String>) {
        match tried {
            Ok(value) => self.ok(name, value),
            Err(err) => self.failed(name, status, &err),
        }
    }

    pub(super) fn failed(&mut self, name: &'static str, status: Status, err: &Error) {
        self.add_error(name, (status, false), err);
    }

    fn add_error(&mut self, name: &'static str, status: (Status, bool), err: &Error) {
        let cure = error::hint(err).map(ToOwned::to_owned);
        self.add(name, status, error::chain(err), cure);
    }

    fn add(
        &mut self,
        name: &'static str,
        (status, needed): (Status, bool),
        value: String,
        cure: Option<String>,
    ) {
        self.findings.push(Finding { group: self.group, name, status, needed, value, cure });
    }

    /// Names of what containers need and the host lacks.
    pub(super) fn lacks(&self) -> Vec<&str> {
        let lacks = |f: &&Finding| f.needed && f.status == Status::Missing;
        self.findings.iter().filter(lacks).map(|f| f.name).collect()
    }

    /// The JSON that the man page describes.
    pub(super) fn json(&self) -> Value {
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
            "ok": self.lacks().is_empty(),
            "lacks": self.lacks(),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    }

    /// For people: a block for each group, columns aligned, cures below.
    pub(super) fn table(&self, colour: bool) -> String {
        let width = self.findings.iter().map(|f| f.name.len()).max().unwrap_or(0);
        let mut groups: Vec<&str> = Vec::new();
        for f in &self.findings {
            if !groups.contains(&f.group) {
                groups.push(f.group);
            }
        }
        let mut out = String::new();
        for group in groups {
            let gap = if out.is_empty() { "" } else { "\n" };
            out += &format!("{gap}{group}\n");
            for f in self.findings.iter().filter(|f| f.group == group) {
                let status = coloured(colour, f);
                out += format!("  {status}  {:<width$}  {}", f.name, f.value).trim_end();
                out.push('\n');
                if let Some(cure) = &f.cure {
                    out += &format!("           {:<width$}  cure: {cure}\n", "");
                }
            }
        }
        let lacks = self.lacks();
        out += &if lacks.is_empty() {
            "\neverything that containers need is there\n".to_owned()
        } else {
            format!("\nmissing, and needed by containers: {}\n", lacks.join(", "))
        };
        out
    }
}

fn coloured(colour: bool, f: &Finding) -> String {
    let status = format!("{:<7}", f.status.name());
    let number = match f.status {
        _ if !colour => return status,
        Status::Ok => "32",
        Status::Limited => "33",
        Status::Missing if f.needed => "1;31",
        Status::Missing => "31",
    };
    format!("\x1b[{number}m{status}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::OrHint as _;
    use anyhow::anyhow;

    fn report() -> Report {
        let mut report = Report { group: "one", ..Report::default() };
        report.ok("fine", "1");
        report.failed("extra", Status::Missing, &anyhow!("none"));
        report.group = "two";
        report.needs("vital", Err(anyhow!("gone")).hint("bring it"));
        report.group = "one";
        report.tried("late", Status::Limited, Ok("2".to_owned()));
        report
    }

    #[test]
    fn only_needed_things_that_are_missing_are_lacking() {
        let json = report().json();
        assert_eq!(json["ok"], false);
        assert_eq!(json["lacks"], json!(["vital"]));
        assert_eq!(json["findings"][2]["cure"], "bring it");
        assert!(json["findings"][0]["cure"].is_null());
    }

    #[test]
    fn table_is_in_groups_and_coloured_on_request_only() {
        assert_eq!(
            report().table(false),
            "one\n  ok       fine   1\n  missing  extra  none\n  ok       late   2\n\n\
             two\n  missing  vital  gone\n                  cure: bring it\n\n\
             missing, and needed by containers: vital\n"
        );
        assert!(report().table(true).contains("\x1b[1;31mmissing\x1b[0m  vital"));
    }
}
