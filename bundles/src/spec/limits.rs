//! What a container may use: the section `linux.resources`.
//!
//! Runs in: pure.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use super::{Facts, values};
use crate::cli::limits::{LimitFlags, ResourceFlags};
use crate::error::OrHint as _;
use anyhow::{Result, anyhow};
use serde_json::{Value, json};

/// A limit of one block device.
#[derive(Debug, Clone)]
pub(crate) struct Throttle {
    /// As config-linux.md calls the list.
    pub(crate) list: &'static str,
    pub(crate) number: (u64, u64),
    /// Bytes or operations a second, or a weight.
    pub(crate) value: u64,
}

pub(super) fn resources(flags: &LimitFlags, facts: &Facts<'_>) -> Result<Value> {
    let mut resources = changeable(&flags.resources)?;
    kept(flags, &mut resources)?;
    if let Some(weight) = flags.blkio_weight {
        resources["blockIO"]["weight"] = weight.into();
    }
    for Throttle { list, number: (major, minor), value } in &facts.throttles {
        let key = if *list == "weightDevice" { "weight" } else { "rate" };
        let lists = &mut resources["blockIO"][*list];
        let mut all = lists.as_array().cloned().unwrap_or_default();
        all.push(json!({ "major": major, "minor": minor, key: value }));
        *lists = all.into();
    }
    Ok(resources)
}

/// Controllers, and the parts of the section that need them; all of a part when nothing is named.
const CONTROLLERS: [(&str, &str, &[&str]); 5] = [
    ("memory", "memory", &[]),
    ("cpu", "cpu", &["quota", "period", "shares"]),
    ("cpuset", "cpu", &["cpus", "mems"]),
    ("pids", "pids", &[]),
    ("io", "blockIO", &[]),
];

/// Takes away the limits which need another controller than these; its names.
pub(crate) fn without(resources: &mut Value, controllers: &[String]) -> Vec<&'static str> {
    let mut missing = Vec::new();
    for (controller, part, keys) in CONTROLLERS {
        let limits = resources.get_mut(part).and_then(Value::as_object_mut);
        let Some(limits) = limits.filter(|_| !controllers.iter().any(|one| one == controller))
        else {
            continue;
        };
        let count = limits.len();
        limits.retain(|key, _| !keys.is_empty() && !keys.contains(&key.as_str()));
        if limits.len() < count {
            missing.push(controller);
        }
    }
    if let Some(parts) = resources.as_object_mut() {
        parts.retain(|_, part| part.as_object().is_none_or(|part| !part.is_empty()));
    }
    missing
}

/// The controllers whose limits cannot be.
pub(crate) fn ignored(flags: &LimitFlags, facts: &Facts<'_>) -> Result<Vec<&'static str>> {
    let Some(controllers) = &facts.controllers else { return Ok(Vec::new()) };
    Ok(without(&mut resources(flags, facts)?, controllers))
}

/// Those that `update` can give to a container that runs.
pub(crate) fn changeable(flags: &ResourceFlags) -> Result<Value> {
    let mut resources = json!({});
    for (flag, key, text) in [
        ("--memory", "limit", &flags.memory),
        ("--memory-swap", "swap", &flags.memory_swap),
        ("--memory-reservation", "reservation", &flags.memory_reservation),
    ] {
        if let Some(text) = text {
            resources["memory"][key] = values::bytes_or_unlimited(flag, text)?.into();
        }
    }
    cpu(flags, &mut resources)?;
    if let Some(most) = flags.pids_limit {
        resources["pids"]["limit"] = if most == 0 { -1 } else { most }.into();
    }
    Ok(resources)
}

/// What memory does when there is little of it.
fn kept(flags: &LimitFlags, resources: &mut Value) -> Result<()> {
    if let Some(percent) = flags.memory_swappiness {
        resources["memory"]["swappiness"] = percent.into();
    }
    if flags.oom_kill_disable {
        if flags.resources.memory.is_none() {
            return Err(anyhow!("--oom-kill-disable: without --memory the whole host would wait"))
                .hint("give it a limit with --memory");
        }
        resources["memory"]["disableOOMKiller"] = true.into();
    }
    Ok(())
}

fn cpu(flags: &ResourceFlags, resources: &mut Value) -> Result<()> {
    if let Some(text) = &flags.cpus {
        resources["cpu"]["quota"] = values::quota(text)?.into();
        resources["cpu"]["period"] = 100_000.into();
    }
    for (key, number) in [
        ("quota", flags.cpu_quota.map(Value::from)),
        ("period", flags.cpu_period.map(Value::from)),
        ("shares", flags.cpu_shares.map(Value::from)),
        ("cpus", flags.cpuset_cpus.clone().map(Value::from)),
        ("mems", flags.cpuset_mems.clone().map(Value::from)),
    ] {
        if let Some(number) = number {
            resources["cpu"][key] = number;
        }
    }
    Ok(())
}
