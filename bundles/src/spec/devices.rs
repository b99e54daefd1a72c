//! Device nodes, and which devices may be used.
//!
//! Runs in: pure.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use super::Facts;
use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A device of the host, as stat(2) tells it.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) host: PathBuf,
    pub(crate) path: String,
    /// "c" or "b".
    pub(crate) kind: &'static str,
    pub(crate) number: (u64, u64),
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) access: String,
}

/// An ordinary user can't make device nodes: his are bound from the host.
pub(super) fn add(
    linux: &mut Value,
    mounts: &mut Vec<Value>,
    facts: &Facts<'_>,
    further: &[String],
) -> Result<()> {
    let (mut nodes, mut rules) = (Vec::new(), Vec::new());
    for device in &facts.devices {
        if facts.ids.is_some() {
            mounts.push(json!({ "destination": device.path, "type": "bind", "source": device.host,
                "options": ["bind", "rprivate", "nosuid", "noexec"] }));
            continue;
        }
        let (major, minor) = device.number;
        nodes.push(
            json!({ "path": device.path, "type": device.kind, "major": major, "minor": minor,
            "fileMode": device.mode, "uid": device.uid, "gid": device.gid }),
        );
        if !facts.privileged {
            rules.push(json!({ "allow": true, "type": device.kind, "major": major,
                "minor": minor, "access": device.access }));
        }
    }
    for text in further {
        rules.push(rule(text).with_context(|| {
            format!("--device-cgroup-rule {text}: not TYPE MAJOR:MINOR ACCESS, as c 189:* rw")
        })?);
    }
    linux["devices"] = nodes.into();
    match linux["resources"]["devices"].as_array_mut() {
        Some(list) => list.extend(rules),
        None if further.is_empty() => {}
        None => {
            return Err(anyhow!("--device-cgroup-rule: needs root"))
                .hint("leave it away: your containers may use every device that you may");
        }
    }
    Ok(())
}

/// `c 1:* rwm`; a star is any number.
fn rule(text: &str) -> Option<Value> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [kind, number, access] = words.as_slice() else { return None };
    let (major, minor) = number.split_once(':')?;
    let known = matches!(*kind, "a" | "b" | "c") && access.chars().all(|c| "rwm".contains(c));
    let mut rule = json!({ "allow": true, "type": kind, "access": access });
    for (name, text) in [("major", major), ("minor", minor)] {
        if text != "*" {
            rule[name] = text.parse::<i64>().ok()?.into();
        }
    }
    known.then_some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_numbers_or_stars() {
        assert_eq!(
            rule("c 189:* rw").unwrap(),
            json!({ "allow": true, "type": "c", "major": 189, "access": "rw" })
        );
        for text in ["c 189 rw", "x 1:1 rw", "c 1:1 rx", "c a:1 r", "c 1:1"] {
            assert_eq!(rule(text), None, "{text}");
        }
    }
}
