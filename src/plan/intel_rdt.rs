//! `linux.intelRdt`: the share of caches and memory bandwidth, as lines for resctrl.
//!
//! Runs in: parent. Pure. See config-linux.md, "`IntelRdt`"; the kernel's filesystems/resctrl.rst.

use anyhow::{Result, ensure};
use oci_spec::runtime::LinuxIntelRdt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IntelRdt {
    pub(crate) class: Class,
    /// Lines of the file `schemata`; empty: it is left as it is.
    pub(crate) schemata: Vec<String>,
    /// A monitoring group for the container alone.
    pub(crate) monitoring: bool,
}

/// The group of the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Class {
    /// Called like the container.
    Own,
    /// `closID` "/": the one of all that have none.
    Root,
    /// Any other `closID`, which containers may share.
    Named(String),
}

/// Names that resctrl itself has at the places of groups.
const RESERVED: [&str; 5] = [".", "..", "info", "mon_groups", "mon_data"];

impl IntelRdt {
    pub(crate) fn new(spec: Option<&LinuxIntelRdt>) -> Result<Option<Self>> {
        let Some(spec) = spec else { return Ok(None) };
        let schemata = spec.schemata().as_deref().unwrap_or_default();
        for (n, line) in schemata.iter().enumerate() {
            ensure!(is_line(line), "linux.intelRdt.schemata[{n}]: {line:?} {NO_LINE}");
        }
        let mut lines = lines(
            ("linux.intelRdt.l3CacheSchema", spec.l3_cache_schema().as_deref().unwrap_or("")),
            ("linux.intelRdt.memBwSchema", spec.mem_bw_schema().as_deref().unwrap_or("")),
        )?;
        // The specification lets them overwrite the others; the kernel takes no resource twice.
        lines.retain(|line| !schemata.iter().any(|other| resource(other) == resource(line)));
        lines.extend(schemata.iter().cloned());
        Ok(Some(Self {
            class: class(spec.clos_id().as_deref().unwrap_or(""))?,
            schemata: lines,
            monitoring: asks_for_monitoring(spec),
        }))
    }
}

/// Up to runtime-spec 1.2 there was one word for each kind.
fn asks_for_monitoring(spec: &LinuxIntelRdt) -> bool {
    let all = [spec.enable_monitoring(), spec.enable_cmt(), spec.enable_mbm()];
    all.into_iter().any(|one| *one == Some(true))
}

fn class(id: &str) -> Result<Class> {
    Ok(match id {
        "" => Class::Own,
        "/" => Class::Root,
        id => {
            let field = "linux.intelRdt.closID";
            ensure!(
                !id.bytes().any(|byte| byte == b'/' || byte < b' ') && !RESERVED.contains(&id),
                "{field}: {id:?} is not a group name; choose one without '/', or \"/\" alone"
            );
            Class::Named(id.to_string())
        }
    })
}

/// The lines of both schemas, each with the field or flag that it comes from.
pub(crate) fn lines(l3_cache: (&str, &str), mem_bw: (&str, &str)) -> Result<Vec<String>> {
    let (field, schema) = l3_cache;
    let mut lines: Vec<String> = schema.split_terminator('\n').map(str::to_string).collect();
    for line in &lines {
        ensure!(is_line(line), "{field}: {line:?} {NO_LINE}");
    }
    let (field, schema) = mem_bw;
    if !schema.is_empty() {
        ensure!(
            is_line(schema) && resource(schema) == "MB",
            "{field}: {schema:?} is not a line such as \"MB:0=20;1=70\""
        );
        lines.retain(|line| resource(line) != "MB");
        lines.push(schema.to_string());
    }
    Ok(lines)
}

const NO_LINE: &str = "is not a line such as \"L3:0=7f0;1=1f\"";

fn is_line(line: &str) -> bool {
    let colon = line.bytes().position(|byte| byte == b':');
    let equals = line.bytes().position(|byte| byte == b'=');
    !line.bytes().any(|byte| byte < b' ') && colon.is_some() && colon < equals
}

/// `L3`, of `L3:0=ff`.
fn resource(line: &str) -> &str {
    line.split(':').next().unwrap_or("").trim()
}

/// Whether the text of a `schemata` file says what the line wants.
pub(crate) fn has_line(file: &str, line: &str) -> bool {
    let wanted = line.split_once(':').map_or("", |(_, values)| values);
    let there = file.lines().find(|there| resource(there) == resource(line));
    let there = there.and_then(|there| there.split_once(':')).map_or("", |(_, values)| values);
    let there: Vec<(&str, String)> = there.split(';').filter_map(share).collect();
    wanted.split(';').all(|part| share(part).is_some_and(|share| there.contains(&share)))
}

/// `0=00ff` is `("0", "ff")`: bit masks are written in different ways.
fn share(text: &str) -> Option<(&str, String)> {
    let (domain, value) = text.split_once('=')?;
    let value = value.trim().to_ascii_lowercase();
    let plain = value.trim_start_matches("0x").trim_start_matches('0');
    Some((domain.trim(), plain.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Result<IntelRdt> {
        IntelRdt::new(Some(&serde_json::from_str(json)?)).map(Option::unwrap)
    }

    #[test]
    fn schemas_become_lines() {
        let lines = |json: &str| plan(json).unwrap().schemata;
        assert_eq!(
            lines(r#"{"l3CacheSchema":"L3:0=f;1=1f\nMB:0=10","memBwSchema":"MB:0=20;1=70"}"#),
            ["L3:0=f;1=1f", "MB:0=20;1=70"]
        );
        assert_eq!(lines(r#"{"l3CacheSchema":"L3:0=f\nMB:0=10"}"#), ["L3:0=f", "MB:0=10"]);
        assert_eq!(
            lines(
                r#"{"l3CacheSchema":"L3:0=f","memBwSchema":"MB:0=20",
                    "schemata":["L2:0=3","L3:0=7"]}"#
            ),
            ["MB:0=20", "L2:0=3", "L3:0=7"]
        );
        assert!(lines(r#"{"enableMonitoring":true}"#).is_empty());
    }

    #[test]
    fn groups_have_names() {
        let class = |id: &str| plan(&format!(r#"{{"closID":"{id}"}}"#)).map(|plan| plan.class);
        assert_eq!(class("").unwrap(), Class::Own);
        assert_eq!(class("/").unwrap(), Class::Root);
        assert_eq!(class("gold").unwrap(), Class::Named("gold".into()));
        for id in ["..", "a/b", "/a", "info", "mon_groups"] {
            let text = format!(
                "linux.intelRdt.closID: {id:?} is not a group name; choose one without '/', \
                 or \"/\" alone"
            );
            assert_eq!(class(id).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn wrong_lines_are_refused() {
        let error = |json: &str| plan(json).unwrap_err().to_string();
        assert_eq!(
            error(r#"{"l3CacheSchema":"f"}"#),
            "linux.intelRdt.l3CacheSchema: \"f\" is not a line such as \"L3:0=7f0;1=1f\""
        );
        for schema in ["L3:0=f", "MB:0=1\\nL3:0=f", "MB", "MB:"] {
            let text = error(&format!(r#"{{"memBwSchema":"{schema}"}}"#));
            assert!(text.ends_with("is not a line such as \"MB:0=20;1=70\""), "{text}");
        }
        assert_eq!(
            error(r#"{"schemata":["L3:0=f","L3:0=f\nMB:0=1"]}"#),
            "linux.intelRdt.schemata[1]: \"L3:0=f\\nMB:0=1\" is not a line such as \"L3:0=7f0;1=1f\""
        );
    }

    #[test]
    fn lines_are_compared_by_what_they_mean() {
        let file = "    MB:0= 20;1=100\n    L3:0=0000f;1=FFFF0\n";
        for line in ["L3:0=f", "L3:1=ffff0;0=0xf", "MB:0=20", "MB: 1=100 ; 0=20"] {
            assert!(has_line(file, line), "{line}");
        }
        for line in ["L3:0=ff", "L3:2=f", "L2:0=f", "MB:0=2", "MB:0=20;", "L3"] {
            assert!(!has_line(file, line), "{line}");
        }
    }
}
