//! Combines the resources of a container with those of `rt update`.
//!
//! Runs in: parent. Pure: nothing here touches the system.

use anyhow::{Context as _, Result};
use oci_spec::runtime::LinuxResources;
use serde_json::Value;

/// Lays the fields that `change` sets over `base`: `rt update`.
///
/// Lists are replaced as a whole, maps are merged by key. Depending values (cpu.max needs quota
/// and period, memory.swap.max needs limit and swap) thus keep their other half.
pub(crate) fn merge(base: &mut LinuxResources, change: &LinuxResources) -> Result<()> {
    let mut merged = value(base).context("the container's resources")?;
    lay_over(&mut merged, value(change).context("the new resources")?);
    let merged = serde_json::from_str::<LinuxResources>(&merged.to_string());
    let mut merged = merged.context("the new resources")?;
    // "No memory limit" alone lifts the swap limit too, as with cgroup v1 and runc.
    let unlimited = change.memory().is_some_and(|m| m.limit() == Some(-1) && m.swap().is_none());
    if unlimited && let Some(memory) = merged.memory_mut() {
        memory.set_swap(Some(-1));
    }
    *base = merged;
    Ok(())
}

/// By way of the text, whose writer and parser are there for other reasons: those between types and
/// [`Value`] would be another 30 KB of program.
fn value(resources: &LinuxResources) -> serde_json::Result<Value> {
    serde_json::from_str(&serde_json::to_string(resources)?)
}

fn lay_over(base: &mut Value, change: Value) {
    match (base, change) {
        (_, Value::Null) => {}
        (Value::Object(base), Value::Object(change)) => {
            for (key, value) in change {
                lay_over(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, value) => *base = value,
    }
}
