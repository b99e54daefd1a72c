//! `update`: other limits, at once and for later starts, and another restart policy.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use super::for_each;
use crate::cli::existing::Update;
use crate::container::Container;
use crate::error::OrHint as _;
use crate::events::{self, Event};
use crate::home::{self, Home};
use crate::monitor::cgroup;
use crate::rootless;
use crate::runtime::{InMemory, Runtime};
use crate::screen::Screen;
use crate::spec;
use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};
use std::fs;

pub(crate) fn update(home: &Home, args: &Update, screen: &mut Screen<'_>) -> Result<()> {
    let wanted = spec::changeable(&args.resources)?;
    let nothing = wanted == json!({}) && args.restart.is_none();
    ensure!(!nothing, "nothing to change: write a limit, or --restart");
    for_each(&args.of.containers, screen, |name| {
        one(home, &mut Container::find(home, name)?, args, wanted.clone())?;
        Ok(name.to_owned())
    })
}

/// The runtime says first whether the limits can be; what it refuses is not written down.
fn one(home: &Home, container: &mut Container, args: &Update, mut wanted: Value) -> Result<()> {
    let _lock = container.lock()?;
    if wanted != json!({}) {
        let mut config = container.json("config.json")?;
        let delegated = rootless::ids()?.map(|_| cgroup::delegated());
        let missing = delegated.map(|delegated| spec::without(&mut wanted.clone(), &delegated));
        if let Some(missing) = missing.filter(|missing| !missing.is_empty()) {
            let (name, missing) = (&container.record.name, missing.join(", "));
            return Err(anyhow!("{name}: limits of {missing}: {}", rootless::NO_CONTROLLER))
                .hint(rootless::DELEGATE);
        }
        let limits = &mut config["linux"]["resources"];
        keep_swap(limits, &mut wanted);
        let resources = InMemory::new(&serde_json::to_vec(&wanted)?)?;
        merge(limits, wanted);
        // What cannot be written down, on a full disk, is not done either.
        let scratch = home.scratch()?;
        let new = scratch.path().join("config.json");
        home::replace(&new, &serde_json::to_vec_pretty(&config)?)?;
        if container.record.is_running() {
            let runtime = Runtime::of(container)?;
            let mut command = runtime.command(["update", "--resources"]);
            runtime.run(command.arg(resources.path()).arg(&container.record.id))?;
        }
        let file = container.dir.join("config.json");
        fs::rename(&new, &file).with_context(|| file.display().to_string())?;
    }
    if let Some(restart) = args.restart {
        container.record.restart = restart;
        container.save()?;
    }
    events::note(home, Event::container(&container.record, "update"));
    Ok(())
}

/// Memory and swap together have one limit, which may not be below that of memory alone: who
/// changes only the latter keeps as much swap as before.
fn keep_swap(old: &Value, wanted: &mut Value) {
    let limited = |value: &Value| value.as_i64().filter(|number| *number > 0);
    let new = &wanted["memory"];
    if let (Some(limit), true, Some(both)) =
        (new["limit"].as_i64(), new["swap"].is_null(), limited(&old["memory"]["swap"]))
    {
        let swap = both - limited(&old["memory"]["limit"]).unwrap_or(both);
        wanted["memory"]["swap"] = if limit < 0 { -1 } else { limit + swap }.into();
    }
}

/// Objects by their names; anything else is replaced.
fn merge(old: &mut Value, new: Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, value) in new {
                merge(old.entry(name).or_insert(Value::Null), value);
            }
        }
        (old, new) => *old = new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_goes_along_with_memory() {
        let with_swap = |old: &Value, mut wanted: Value| {
            keep_swap(&json!({ "memory": old }), &mut wanted);
            wanted
        };
        let old = json!({ "limit": 100, "swap": 150 });
        for (asked, becomes) in [
            (json!({ "limit": 300 }), json!({ "limit": 300, "swap": 350 })),
            (json!({ "limit": 300, "swap": 310 }), json!({ "limit": 300, "swap": 310 })),
            (json!({ "limit": -1 }), json!({ "limit": -1, "swap": -1 })),
            (json!({ "swap": -1 }), json!({ "swap": -1 })),
        ] {
            let becomes = json!({ "memory": becomes });
            assert_eq!(with_swap(&old, json!({ "memory": asked })), becomes);
        }
        assert_eq!(with_swap(&old, json!({})), json!({}));
        // Without a limit there is nothing to keep.
        let asked = json!({ "memory": { "limit": 7 } });
        assert_eq!(with_swap(&json!({ "swap": -1 }), asked.clone()), asked);
        assert_eq!(with_swap(&Value::Null, asked.clone()), asked);
    }

    #[test]
    fn limits_are_merged() {
        let mut old = json!({ "memory": { "limit": 1 }, "devices": [1], "cpu": { "shares": 5 } });
        merge(&mut old, json!({ "memory": { "swap": 2 }, "cpu": { "shares": 6 }, "pids": {} }));
        let merged = json!({ "memory": { "limit": 1, "swap": 2 }, "devices": [1],
                             "cpu": { "shares": 6 }, "pids": {} });
        assert_eq!(old, merged);
    }
}
