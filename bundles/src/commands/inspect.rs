//! `inspect` of whatever has a name.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use super::shape;
use crate::attach;
use crate::cli::existing::{Exists, Inspect, Kind};
use crate::container::{self, Container, LogOptions, Mount, Record, Root, Status};
use crate::home::Home;
use crate::screen::Screen;
use crate::store::{Missing, Store};
use crate::volume::Volumes;
use crate::{images, links, mountpoints, network, networking, overlay, volume};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};

pub(crate) fn inspect(home: &Home, args: &Inspect, screen: &mut Screen<'_>) -> Result<()> {
    crate::inspect::each(&args.names, args.format.as_deref(), screen, |name| {
        let mut thing = any(home, name, args.kind)?;
        if args.size {
            add_sizes(home, &mut thing)?;
        }
        Ok(thing)
    })
}

/// The first thing of this name: a container before an image, a volume and a network.
fn any(home: &Home, name: &str, kind: Option<Kind>) -> Result<Value> {
    let of = |kind| match kind {
        Kind::Container => {
            let mut container = Container::find(home, name)?;
            attach::adopt(home, &mut container).ok(); // what is known can be shown all the same
            describe(home, &container)
        }
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

/// Of a container, on the disk: what it has written, and all that it sees.
fn add_sizes(home: &Home, thing: &mut Value) -> Result<()> {
    let Some(id) = thing["Id"].as_str().filter(|_| thing.get("HostConfig").is_some()) else {
        return Ok(());
    };
    let (own, all) = super::ps::sizes(home, &Container::find(home, id)?)?;
    thing["SizeRw"] = own.into();
    thing["SizeRootFs"] = all.into();
    Ok(())
}

/// The exit code says whether there is one.
pub(crate) fn exists(home: &Home, kind: Kind, args: &Exists) -> Result<u8> {
    let name = args.name.as_str();
    let is_there = match kind {
        Kind::Container => container::all(home)?.iter().any(|one| one.record.is_called(name)),
        Kind::Image => match Store::open(home)?.image(name) {
            Err(err) if err.is::<Missing>() => false,
            found => found.map(|_| true)?,
        },
        Kind::Network => network::exists(home, name)?,
        Kind::Volume => Volumes::open(home)?.find(name)?.is_some(),
    };
    Ok(u8::from(!is_there))
}

/// In Docker's shape.
fn describe(home: &Home, container: &Container) -> Result<Value> {
    let record = &container.record;
    let spec = container.json("config.json")?;
    let mut shape = container.json(shape::FILE)?;
    complete(container, &spec, &mut shape)?;
    if let Some(host) = shape["HostConfig"].as_object_mut() {
        host.extend(shape::limits(&spec));
        host.extend(networking::show::host_config(home, record)?);
        host.insert("LogConfig".to_owned(), log_config(&record.log));
        let (name, most) = (record.restart.name(), record.restart.most());
        let policy = json!({ "Name": name, "MaximumRetryCount": most });
        host.insert("RestartPolicy".to_owned(), policy);
    }
    let here = |name: &str| json!(container.dir.join(name));
    // Those of --tmpfs are in HostConfig alone.
    let of_flag = |mount: &&Mount| shape["HostConfig"]["Tmpfs"].get(&mount.destination).is_some();
    let mounts = record.mounts.iter().filter(|mount| !(mount.kind == "tmpfs" && of_flag(mount)));
    let mounts: Vec<Value> = mounts.map(mount).collect();
    let mut state = state(record);
    if let Some(health) = container.health() {
        state["Health"] = json!(health);
    }
    Ok(json!({
        "Id": record.id,
        "Created": record.created,
        "Path": record.command.first(),
        "Args": record.command.get(1..),
        "State": state,
        "Image": record.image_id(),
        "ResolvConfPath": here("resolv.conf"),
        "HostnamePath": here("hostname"),
        "HostsPath": here("hosts"),
        "LogPath": here("log"),
        "Name": format!("/{}", record.name),
        "RestartCount": record.state.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": spec["process"]["apparmorProfile"].as_str().unwrap_or_default(),
        "ExecIDs": null,
        "HostConfig": shape["HostConfig"],
        "GraphDriver": graph_driver(home, container)?,
        "Mounts": mounts,
        "NetworkSettings": networking::show::settings(home, record)?,
        "Config": shape["Config"],
    }))
}

/// What of `Config` stands in config.json.
pub(super) fn complete(container: &Container, spec: &Value, shape: &mut Value) -> Result<()> {
    // One that was made by an older version has what its process gets.
    if shape["Config"]["Env"].is_null() {
        let env = || Ok(spec["process"]["env"].clone());
        shape["Config"]["Env"] = links::own_env(container, env)?;
    }
    shape["Config"]["WorkingDir"] = spec["process"]["cwd"].clone();
    Ok(())
}

fn state(record: &Record) -> Value {
    let restarting = record.status() == Status::Restarting;
    let runs = record.status() == Status::Running;
    let pid = record.state.process.as_ref().filter(|_| runs).map_or(0, |process| process.pid);
    let never = || "0001-01-01T00:00:00Z".to_owned();
    let exit_code = match record.status() {
        Status::Exited | Status::Restarting => record.exit_code(),
        Status::Created | Status::Starting | Status::Running => record.state.exit_code.unwrap_or(0),
    };
    json!({
        "Status": record.status_word(),
        "Running": runs || restarting, // so Docker has it
        "Paused": record.is_paused(),
        "Restarting": restarting,
        "OOMKilled": record.state.oom_killed,
        "Dead": false,
        "Pid": pid,
        "ExitCode": exit_code,
        "Error": record.state.error.clone().unwrap_or_default(),
        "StartedAt": record.state.started.clone().unwrap_or_else(never),
        "FinishedAt": record.state.finished.clone().unwrap_or_else(never),
    })
}

/// Where its files are; the top layer first, as Docker names them.
fn graph_driver(home: &Home, container: &Container) -> Result<Value> {
    let data = match &container.record.root {
        Root::Directory(dir) => json!({ "MergedDir": dir }),
        Root::Image { layers, .. } => {
            let store = Store::open(home)?;
            let layers = mountpoints::layers_below(&store, &container.dir, layers);
            let layers = layers.iter().rev().map(|layer| layer.display().to_string());
            json!({
                "LowerDir": layers.collect::<Vec<_>>().join(":"),
                "MergedDir": container.dir.join(overlay::ROOTFS),
                "UpperDir": container.dir.join(overlay::UPPER),
                "WorkDir": container.dir.join(overlay::WORK),
            })
        }
    };
    Ok(json!({ "Data": data, "Name": "overlay2" }))
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
    let mut shown = json!({
        "Type": mount.kind,
        "Source": mount.source,
        "Destination": mount.destination,
        "Mode": mount.mode,
        "RW": !mount.read_only,
        "Propagation": if mount.kind == "bind" { &mount.propagation } else { "" },
    });
    if mount.kind == "volume" {
        shown["Name"] = mount.name.as_str().into();
        shown["Driver"] = volume::DRIVER.into();
    }
    shown
}
