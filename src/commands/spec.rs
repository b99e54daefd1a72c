//! `rt spec`: a config.json to begin with.

use crate::cli::Spec;
use crate::config;
use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;

pub(crate) fn run(args: &Spec) -> Result<()> {
    let file = args.config.as_deref().unwrap_or(Path::new("config.json"));
    let path = args.bundle.as_deref().unwrap_or(Path::new(".")).join(file);
    let mut spec: Value = serde_json::from_str(ROOTFUL)?;
    if args.rootless {
        make_rootless(&mut spec, nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    }
    let text = serde_json::to_string_pretty(&spec)? + "\n";
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
    match file {
        Ok(mut file) => {
            Ok(file.write_all(text.as_bytes()).with_context(|| path.display().to_string())?)
        }
        Err(err) if err.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(anyhow!("{} exists", path.display()))
                .hint("remove it first, or choose another --bundle")
        }
        Err(err) => Err(config::io(&err)).with_context(|| path.display().to_string()),
    }
}

/// The same defaults as runc's, which people know from its documentation. Text is a quarter of the
/// code that would make the same value.
const ROOTFUL: &str = r#"{
    "ociVersion": "1.2.0",
    "process": {
        "terminal": true,
        "user": { "uid": 0, "gid": 0 },
        "args": ["sh"],
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": {
            "bounding": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
            "effective": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
            "permitted": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
        },
        "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
        "noNewPrivileges": true
    },
    "root": { "path": "rootfs", "readonly": true },
    "hostname": "rt",
    "mounts": [
        { "destination": "/proc", "type": "proc", "source": "proc" },
        { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
          "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
        { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
          "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
        { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
          "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
        { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
          "options": ["nosuid", "noexec", "nodev"] },
        { "destination": "/sys", "type": "sysfs", "source": "sysfs",
          "options": ["nosuid", "noexec", "nodev", "ro"] },
        { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
          "options": ["nosuid", "noexec", "nodev", "relatime", "ro"] }
    ],
    "linux": {
        "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
        "namespaces": [
            { "type": "pid" }, { "type": "network" }, { "type": "ipc" },
            { "type": "uts" }, { "type": "mount" }, { "type": "cgroup" }
        ],
        "maskedPaths": [
            "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
            "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"
        ],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
    }
}"#;

/// One id is mapped, so nothing may name another group; the host's network stays, as an ordinary
/// user could not connect a new one to anything.
fn make_rootless(spec: &mut Value, uid: u32, gid: u32) {
    let linux = &mut spec["linux"];
    linux["namespaces"] = json!([{ "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" },
               { "type": "cgroup" }, { "type": "user" }]);
    linux["uidMappings"] = json!([{ "containerID": 0, "hostID": uid, "size": 1 }]);
    linux["gidMappings"] = json!([{ "containerID": 0, "hostID": gid, "size": 1 }]);
    if let Some(linux) = linux.as_object_mut() {
        linux.remove("resources");
    }
    if let Some(mounts) = spec["mounts"].as_array_mut() {
        for mount in mounts.iter_mut() {
            if mount["destination"] == "/sys" {
                *mount = json!({ "destination": "/sys", "type": "none", "source": "/sys",
                    "options": ["rbind", "nosuid", "noexec", "nodev", "ro"] });
            }
            if let Some(options) = mount["options"].as_array_mut() {
                options.retain(|option| option != "gid=5");
            }
        }
        mounts.retain(|mount| mount["destination"] != "/sys/fs/cgroup");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Options, Pivot, Plan};

    #[test]
    fn both_defaults_can_be_planned_without_a_warning() {
        let mut rootless: Value = serde_json::from_str(ROOTFUL).unwrap();
        make_rootless(&mut rootless, 1000, 1000);
        for spec in [serde_json::from_str(ROOTFUL).unwrap(), rootless] {
            let spec = serde_json::from_value(spec).unwrap();
            let options = Options {
                id: "c",
                bundle: Path::new("/b"),
                pivot: Pivot::Switch,
                driver: crate::plan::cgroup::Driver::Cgroupfs,
                session_keyring: true,
                default_maps: None,
            };
            assert_eq!(Plan::new(&spec, &options).unwrap().warnings, Vec::<String>::new());
        }
    }
}
