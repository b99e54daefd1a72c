//! Generates the Docker-like bundle: 14 capabilities, a default-deny seccomp profile, ten mounts, device
//! rules, six namespaces, masked and read-only paths, a root file system made from static busybox.
//! Runs in: the driver, inside its private namespaces, on tmpfs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::profile;

/// What the container runs, and which variation of the configuration it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) payload: Payload,
    pub(crate) devices: Devices,
    /// `linux.resources.memory.limit`; `None` leaves it out.
    pub(crate) memory_limit_bytes: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    True,
    Sleep,
    /// The floor program itself: a payload so small that it does not hide the runtime's own memory.
    Nothing,
}

/// Whether config.json carries device rules, which become an eBPF program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Devices {
    Ruled,
    Unruled,
}

impl Payload {
    pub(crate) fn args(self) -> &'static [&'static str] {
        match self {
            Self::True => &["/bin/true"],
            Self::Sleep => &["/bin/sleep", "3600"],
            Self::Nothing => &["/bin/floor", "nothing"],
        }
    }
}

/// Makes `base/rootfs`, which all bundles share.
pub(crate) fn make_rootfs(base: &Path, busybox: &Path, floor: Option<&Path>) -> Result<()> {
    let root = base.join("rootfs");
    for dir in ["bin", "dev", "etc", "proc", "sys", "tmp", "root"] {
        fs::create_dir_all(root.join(dir))?;
    }
    let program = root.join("bin/busybox");
    fs::copy(busybox, &program).with_context(|| format!("copy {}", busybox.display()))?;
    for applet in ["sh", "true", "sleep", "cat"] {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    if let Some(floor) = floor {
        fs::copy(floor, root.join("bin/floor"))?;
    }
    for file in ["resolv.conf", "hostname", "hosts"] {
        fs::write(root.join("etc").join(file), "")?;
    }
    Ok(())
}

/// Writes the bundle of one container. Each has its own, because `cgroupsPath` names the container,
/// as with Docker; the configuration is otherwise the same.
pub(crate) fn make(base: &Path, id: &str, shape: Shape) -> Result<PathBuf> {
    let bundle = base.join(id);
    fs::create_dir_all(bundle.join("etc"))?;
    fs::write(bundle.join("etc/resolv.conf"), "nameserver 127.0.0.1\n")?;
    fs::write(bundle.join("etc/hostname"), "c\n")?;
    fs::write(bundle.join("etc/hosts"), "127.0.0.1 localhost c\n")?;
    fs::write(bundle.join("config.json"), serde_json::to_string(&config(id, shape))?)?;
    Ok(bundle)
}

const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

fn config(id: &str, shape: Shape) -> Value {
    let mut resources = json!({});
    if shape.devices == Devices::Ruled {
        resources = json!({ "devices": device_rules() });
    }
    if let (Some(limit), Some(resources)) = (shape.memory_limit_bytes, resources.as_object_mut()) {
        resources.insert("memory".to_owned(), json!({ "limit": limit }));
    }
    let namespaces: Vec<Value> = ["mount", "network", "uts", "pid", "ipc", "cgroup"]
        .iter()
        .map(|kind| json!({ "type": kind }))
        .collect();
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0, "umask": 0o022, "additionalGids": [0] },
            "args": shape.payload.args(),
            "env": [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOSTNAME=c",
                "HOME=/root",
            ],
            "cwd": "/",
            "capabilities": {
                "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES,
            },
            "oomScoreAdj": 0,
        },
        "root": { "path": "../rootfs" },
        "hostname": "c",
        "mounts": mounts(),
        "linux": {
            "cgroupsPath": format!("/{id}"),
            "resources": resources,
            "namespaces": namespaces,
            "seccomp": profile::seccomp(),
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
                "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
                "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
            ],
            "readonlyPaths": [
                "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
            ],
        },
    })
}

/// Deny all, then what Docker allows: zero, null, urandom, random, tty, console; and fuse not.
fn device_rules() -> Vec<Value> {
    let rule = |allow: bool, major: u32, minor: u32| json!({ "allow": allow, "type": "c", "major": major, "minor": minor, "access": "rwm" });
    let mut rules = vec![json!({ "allow": false, "access": "rwm" })];
    for (major, minor) in [(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)] {
        rules.push(rule(true, major, minor));
    }
    rules.push(rule(false, 10, 229));
    rules
}

fn mounts() -> Vec<Value> {
    let mount = |destination: &str, kind: &str, source: &str, options: &[&str]| json!({ "destination": destination, "type": kind, "source": source, "options": options });
    let plain = ["nosuid", "noexec", "nodev"];
    let read_only = ["nosuid", "noexec", "nodev", "ro"];
    let shm = ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"];
    let dev = ["nosuid", "strictatime", "mode=755", "size=65536k"];
    let pts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &plain),
        mount("/dev", "tmpfs", "tmpfs", &dev),
        mount("/dev/pts", "devpts", "devpts", &pts),
        mount("/sys", "sysfs", "sysfs", &read_only),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &read_only),
        mount("/dev/mqueue", "mqueue", "mqueue", &plain),
        mount("/dev/shm", "tmpfs", "shm", &shm),
    ];
    for file in ["etc/resolv.conf", "etc/hostname", "etc/hosts"] {
        mounts.push(mount(&format!("/{file}"), "bind", file, &["rbind", "rprivate"]));
    }
    mounts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_is_docker_like() {
        let shape =
            Shape { payload: Payload::True, devices: Devices::Ruled, memory_limit_bytes: None };
        let config = config("a", shape);
        let count = |pointer: &str| config.pointer(pointer).and_then(Value::as_array).map(Vec::len);
        assert_eq!(count("/mounts"), Some(10));
        assert_eq!(count("/process/capabilities/bounding"), Some(14));
        assert_eq!(count("/linux/namespaces"), Some(6));
        assert_eq!(count("/linux/resources/devices"), Some(8));
        assert!(count("/linux/seccomp/syscalls/0/names").is_some_and(|n| n > 350));
    }

    #[test]
    fn a_bundle_without_device_rules_has_none() {
        let shape = Shape {
            payload: Payload::True,
            devices: Devices::Unruled,
            memory_limit_bytes: Some(4096),
        };
        let config = config("a", shape);
        assert_eq!(config.pointer("/linux/resources/devices"), None);
        assert_eq!(config.pointer("/linux/resources/memory/limit"), Some(&json!(4096)));
    }
}
