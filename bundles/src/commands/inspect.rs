//! `inspect` of whatever has a name.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use crate::cli::run::{Inspect, Kind};
use crate::container::{Container, LogOptions, Mount, Status};
use crate::error;
use crate::home::Home;
use crate::screen::Screen;
use crate::{images, network, volume};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::fs;

pub(crate) fn inspect(home: &Home, args: &Inspect, screen: &mut Screen<'_>) -> Result<()> {
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for name in &args.names {
        match any(home, name, args.kind) {
            Ok(value) => found.push(value),
            Err(err) => failed.push(err),
        }
    }
    screen.say(&crate::inspect::show(args.format.as_deref(), &found)?)?;
    error::all(failed)
}

/// The first thing of this name: a container before an image, a volume and a network.
fn any(home: &Home, name: &str, kind: Option<Kind>) -> Result<Value> {
    let of = |kind| match kind {
        Kind::Container => describe(&Container::find(home, name)?),
        Kind::Image => images::describe(home, name),
        Kind::Network => network::describe(home, name),
        Kind::Volume => volume::describe(home, name),
    };
    if let Some(kind) = kind {
        return of(kind);
    }
    let kinds = [Kind::Container, Kind::Image, Kind::Volume, Kind::Network];
    kinds
        .into_iter()
        .find_map(|kind| of(kind).ok())
        .with_context(|| format!("{name}: no container, image, volume or network of this name"))
}

/// The part of Docker's shape that is known here.
fn describe(container: &Container) -> Result<Value> {
    let record = &container.record;
    let file = container.dir.join("config.json");
    let text = fs::read(&file).with_context(|| file.display().to_string())?;
    let spec: Value = serde_json::from_slice(&text).context("config.json")?;
    let restarting = record.status() == Status::Restarting;
    let running = record.status() == Status::Running || restarting; // so Docker has it
    let pid = record
        .state
        .process
        .as_ref()
        .filter(|_| running && !restarting)
        .map_or(0, |process| process.pid);
    let limits = &spec["linux"]["resources"];
    let never = || "0001-01-01T00:00:00Z".to_owned();
    let exit_code = match record.status() {
        Status::Exited | Status::Restarting => record.exit_code(),
        Status::Created | Status::Starting | Status::Running => record.state.exit_code.unwrap_or(0),
    };
    Ok(json!({
        "Id": record.id,
        "Created": record.created,
        "Path": record.command.first(),
        "Args": record.command.get(1..),
        "State": {
            "Status": record.status_word(),
            "Running": running,
            "Paused": record.is_paused(),
            "Restarting": restarting,
            "OOMKilled": record.state.oom_killed,
            "Pid": pid,
            "ExitCode": exit_code,
            "Error": record.state.error.clone().unwrap_or_default(),
            "StartedAt": record.state.started.clone().unwrap_or_else(never),
            "FinishedAt": record.state.finished.clone().unwrap_or_else(never),
        },
        "Image": record.image_id(),
        "Name": format!("/{}", record.name),
        "RestartCount": record.state.restart_count,
        "HostConfig": {
            "AutoRemove": record.remove,
            "RestartPolicy": {
                "Name": record.restart.name(),
                "MaximumRetryCount": record.restart.most(),
            },
            "LogConfig": log_config(&record.log),
            "Memory": limits["memory"]["limit"].as_i64().unwrap_or(0),
            "MemorySwap": limits["memory"]["swap"].as_i64().unwrap_or(0),
            "NanoCpus": limits["cpu"]["quota"].as_i64().unwrap_or(0) * 10_000, // of 100 ms
            "CpuShares": limits["cpu"]["shares"].as_u64().unwrap_or(0),
            "CpusetCpus": limits["cpu"]["cpus"].as_str().unwrap_or_default(),
            "PidsLimit": limits["pids"]["limit"],
        },
        "Mounts": record.mounts.iter().map(mount).collect::<Vec<_>>(),
        "LogPath": container.dir.join("log"),
        "Config": {
            "Hostname": spec["hostname"],
            "Tty": record.tty,
            "OpenStdin": record.interactive,
            "Env": spec["process"]["env"],
            "Image": record.image,
            "WorkingDir": spec["process"]["cwd"],
            "Labels": record.labels,
        },
    }))
}

fn log_config(log: &LogOptions) -> Value {
    match log.size {
        0 => json!({ "Type": "none", "Config": {} }),
        size => json!({
            "Type": "json-file",
            "Config": { "max-size": size.to_string(), "max-file": log.files.to_string() },
        }),
    }
}

fn mount(mount: &Mount) -> Value {
    json!({
        "Type": mount.kind,
        "Name": mount.name,
        "Source": mount.source,
        "Destination": mount.destination,
        "Driver": if mount.kind == "volume" { "local" } else { "" },
        "Mode": "",
        "RW": !mount.read_only,
        "Propagation": if mount.kind == "bind" { &mount.propagation } else { "" },
    })
}
