//! `ps --format json` as Podman has it, for programs that call us by that name.

use crate::container::{self, Container, Mount, Status};
use crate::networking::show;
use crate::ports::Bound;
use serde_json::{Value, json};
use std::time::SystemTime;

/// One of the list; `fields` are those of Docker.
pub(super) fn entry(container: &Container, fields: &Value) -> Value {
    let record = &container.record;
    let state = &record.state;
    let seconds = |time: &Option<String>| {
        // Podman has the year 1 where there is none.
        let time = time.as_deref().map(container::time);
        let time = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        time.map_or(json!(-62_135_596_800_i64), |time| json!(time.as_secs()))
    };
    let exited = record.status() == Status::Exited;
    let pid = state.process.as_ref().filter(|_| record.is_running()).map_or(0, |one| one.pid);
    let port = |bound: &Bound| {
        json!({
            "host_ip": bound.host.ip(),
            "container_port": bound.port.number,
            "host_port": bound.host.port(),
            "range": 1,
            "protocol": bound.port.protocol.to_string(),
        })
    };
    let mounts: Vec<&String> =
        record.mounts.iter().map(|mount: &Mount| &mount.destination).collect();
    let value = |name: &str| fields.get(name).cloned().unwrap_or_default();
    json!({
        "AutoRemove": record.remove,
        "Command": record.command,
        "Created": seconds(&Some(record.created.clone())),
        "CreatedAt": value("RunningFor"),
        "Exited": exited,
        "ExitedAt": seconds(&state.finished),
        "ExitCode": state.exit_code.unwrap_or_default(),
        "Id": record.id,
        "Image": record.image,
        "ImageID": record.image_id().map(|id| id.hex().to_owned()).unwrap_or_default(),
        "IsInfra": false,
        "Labels": record.labels,
        "Mounts": mounts,
        "Names": [record.name],
        "Namespaces": {},
        "Networks": show::networks(&record.network),
        "Pid": pid,
        "Pod": "",
        "PodName": "",
        "Ports": record.network.bound.iter().filter(|_| record.is_running()).map(port).collect::<Vec<_>>(),
        "Restarts": state.restart_count,
        "Size": null,
        "StartedAt": seconds(&state.started),
        "State": value("State"),
        "Status": value("Status"),
    })
}
