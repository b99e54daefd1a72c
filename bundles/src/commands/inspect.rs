//! `inspect` of whatever has a name.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use crate::cli::run::{Inspect, Kind};
use crate::container::{Container, Mount, Status};
use crate::error;
use crate::home::Home;
use crate::screen::Screen;
use crate::{images, network, networking, volume};
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
        Kind::Container => describe(home, &Container::find(home, name)?),
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
fn describe(home: &Home, container: &Container) -> Result<Value> {
    let record = &container.record;
    let file = container.dir.join("config.json");
    let text = fs::read(&file).with_context(|| file.display().to_string())?;
    let spec: Value = serde_json::from_slice(&text).context("config.json")?;
    let running = record.status() == Status::Running;
    let pid = record.state.process.as_ref().filter(|_| running).map_or(0, |process| process.pid);
    let never = || "0001-01-01T00:00:00Z".to_owned();
    let exit_code = match record.status() {
        Status::Exited => record.exit_code(),
        Status::Created | Status::Starting | Status::Running => record.state.exit_code.unwrap_or(0),
    };
    Ok(json!({
        "Id": record.id,
        "Created": record.created,
        "Path": record.command.first(),
        "Args": record.command.get(1..),
        "State": {
            "Status": record.status().word(),
            "Running": running,
            "Paused": false,
            "OOMKilled": record.state.oom_killed,
            "Pid": pid,
            "ExitCode": exit_code,
            "Error": record.state.error.clone().unwrap_or_default(),
            "StartedAt": record.state.started.clone().unwrap_or_else(never),
            "FinishedAt": record.state.finished.clone().unwrap_or_else(never),
        },
        "Image": record.image_id(),
        "Name": format!("/{}", record.name),
        "Mounts": record.mounts.iter().map(mount).collect::<Vec<_>>(),
        "NetworkSettings": networking::show::settings(home, record)?,
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
