//! `rt features`: features.md of the runtime-spec. Read by containerd, Docker and CRI-O at start.

use crate::container::state::SPEC_VERSION;
use crate::labels;
use crate::log::stdout;
use crate::plan::cgroup::systemd::ANNOTATION as SYSTEMD_PROPERTIES;
use crate::plan::{Kind, annotations, mount, seccomp};
use crate::sys;
use anyhow::Result;
use serde_json::{Value, json};
use std::path::Path;

pub(crate) fn run() -> Result<()> {
    stdout(&(serde_json::to_string_pretty(&features())? + "\n"))
}

fn features() -> Value {
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPEC_VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": mount::known_words(),
        "linux": {
            "namespaces": namespaces(),
            "capabilities": capabilities(),
            "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true },
            "seccomp": seccomp_features(),
            "apparmor": { "enabled": labels::apparmor_is_active() },
            "selinux": { "enabled": labels::selinux_is_active() },
            "intelRdt": { "enabled": false, "schemata": false, "monitoring": false },
            "memoryPolicy": { "modes": [], "flags": [] },
            "mountExtensions": { "idmap": { "enabled": true } },
            "netDevices": { "enabled": false }
        },
        "annotations": {
            "io.github.rt.version": env!("CARGO_PKG_VERSION")
        },
        "potentiallyUnsafeConfigAnnotations": annotations::keys().chain([SYSTEMD_PROPERTIES]).collect::<Vec<_>>()
    })
}

/// What this kernel has.
fn namespaces() -> Vec<&'static str> {
    let mut names: Vec<&str> = Kind::ALL
        .into_iter()
        .filter(|kind| Path::new("/proc/self/ns").join(kind.proc_name()).exists())
        .map(Kind::name)
        .collect();
    names.sort_unstable();
    names
}

fn capabilities() -> Vec<String> {
    let mut known: Vec<caps::Capability> =
        caps::runtime::thread_all_supported().into_iter().collect();
    known.sort_by_key(caps::Capability::index);
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
