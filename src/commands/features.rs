//! `rt features`: features.md of the runtime-spec. Read by containerd, Docker and CRI-O at start.

use crate::container::state::SPEC_VERSION;
use crate::labels;
use crate::log::stdout;
use crate::plan::cgroup::systemd::ANNOTATION as SYSTEMD_PROPERTIES;
use crate::plan::{Kind, annotations, memory_policy, mount, seccomp};
use crate::sys;
use anyhow::Result;
use serde_json::{Value, json};
use std::path::Path;

pub(crate) fn run() -> Result<()> {
    stdout(&(serde_json::to_string_pretty(&features()?)? + "\n"))
}

/// What does not depend on the kernel. Text is less than the code that would make the same value.
const FIXED: &str = r#"{
    "ociVersionMin": "1.0.0",
    "ociVersionMax": null,
    "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
    "mountOptions": null,
    "linux": {
        "namespaces": null,
        "capabilities": null,
        "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true },
        "seccomp": null,
        "apparmor": { "enabled": null },
        "selinux": { "enabled": null },
        "intelRdt": { "enabled": true, "schemata": true, "monitoring": true },
        "memoryPolicy": { "modes": null, "flags": null },
        "mountExtensions": { "idmap": { "enabled": true } },
        "netDevices": { "enabled": true }
    },
    "annotations": { "io.github.rt.version": null },
    "potentiallyUnsafeConfigAnnotations": null
}"#;

fn features() -> Result<Value> {
    let mut all: Value = serde_json::from_str(FIXED)?;
    for (place, value) in [
        ("/ociVersionMax", Value::from(SPEC_VERSION)),
        ("/mountOptions", mount::known_words().into()),
        ("/annotations/io.github.rt.version", env!("CARGO_PKG_VERSION").into()),
        ("/linux/namespaces", namespaces().into()),
        ("/linux/capabilities", capabilities().into()),
        ("/linux/seccomp", seccomp_features()),
        ("/linux/apparmor/enabled", labels::apparmor_is_active().into()),
        ("/linux/selinux/enabled", labels::selinux_is_active().into()),
        ("/linux/memoryPolicy/modes", memory_policy::MODES.as_slice().into()),
        ("/linux/memoryPolicy/flags", memory_policy::FLAGS.as_slice().into()),
        (
            "/potentiallyUnsafeConfigAnnotations",
            annotations::keys().chain([SYSTEMD_PROPERTIES]).collect(),
        ),
    ] {
        if let Some(null) = all.pointer_mut(place) {
            *null = value;
        }
    }
    Ok(all)
}

/// What this kernel has.
fn namespaces() -> Vec<String> {
    let mut names: Vec<String> = Kind::ALL
        .into_iter()
        .filter(|kind| Path::new("/proc/self/ns").join(kind.proc_name()).exists())
        .map(|kind| kind.name().to_string())
        .collect();
    names.sort();
    names
}

fn capabilities() -> Vec<String> {
    let mut known: Vec<caps::Capability> =
        caps::runtime::thread_all_supported().into_iter().collect();
    known.sort_unstable_by_key(caps::Capability::index);
    known.iter().map(ToString::to_string).collect()
}

fn seccomp_features() -> Value {
    let known: Vec<&str> = seccomp::FLAGS.iter().map(|(name, _)| *name).collect();
    let supported: Vec<&str> = seccomp::FLAGS
        .iter()
        .filter(|(_, flag)| {
            // TSYNC excludes a listener, WAIT_KILLABLE_RECV needs one.
            let with = |more: u32| sys::seccomp::flags_available(*flag | more);
            with(0) || with(sys::seccomp::NEW_LISTENER)
        })
        .map(|(name, _)| *name)
        .collect();
    json!({
        "enabled": true,
        "actions": seccomp::ACTIONS,
        "operators": seccomp::OPERATORS,
        "archs": seccomp::known_archs(),
        "knownFlags": known,
        "supportedFlags": supported
    })
}
