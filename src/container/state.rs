//! What is remembered of a container, and what is told of it.
//!
//! Runs in: parent; `for_hooks` in init too.

use crate::cgroup::Place;
use crate::cgroup::systemd::UnitName;
use crate::plan::Plan;
use crate::plan::seccomp::Notify;
use crate::resctrl;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The version of the runtime-spec that we follow.
pub(crate) const SPEC_VERSION: &str = "1.3.0";

/// `state.json` in the container's directory. Private: `rt state` prints [`Report`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) oci_version: String,
    pub(crate) id: String,
    /// `None` until init is parked: a create that was killed midway.
    pub(crate) init: Option<Process>,
    pub(crate) bundle: PathBuf,
    pub(crate) rootfs: PathBuf,
    /// RFC 3339, UTC.
    pub(crate) created: String,
    pub(crate) annotations: BTreeMap<String, String>,
    /// Name of the user who created it, or the number.
    pub(crate) owner: String,
    /// Absolute path on the host; `None` when the container has none of its own.
    pub(crate) cgroup: Option<PathBuf>,
    /// The unit that systemd has made for it.
    #[serde(default)]
    pub(crate) systemd_unit: Option<UnitName>,
    /// Its cgroups in v1 hierarchies.
    #[serde(default)]
    pub(crate) cgroup_v1: Vec<Place>,
    /// Its group in resctrl.
    #[serde(default)]
    pub(crate) resctrl: Option<PathBuf>,
    /// It was made for this container.
    #[serde(default)]
    pub(crate) resctrl_made: resctrl::Made,
    /// The root was set by chroot(2), which setns(2) does not repeat.
    pub(crate) chroot: bool,
    /// Else the death of init ends nobody but itself.
    pub(crate) own_pid_namespace: bool,
    /// Not `--no-new-keyring`.
    pub(crate) session_keyring: bool,
    /// Who is to get the notifications of the seccomp filter, for `start`.
    #[serde(default)]
    pub(crate) seccomp_notify: Option<Notify>,
    /// Kinds of hooks that the saved config has, by their names in it.
    pub(crate) hooks: Vec<String>,
    /// Joined or created namespaces, by their names in the config.
    pub(crate) namespaces: Vec<String>,
}

/// A process, safe against reuse of its pid.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// Field 22 of /proc/PID/stat, in clock ticks since boot.
    pub(crate) start_time: u64,
    /// Inode of its pidfd: unique for each process since Linux 6.9, the same for all before.
    /// A clock tick of 10 ms is long enough to use a pid twice.
    pub(crate) pidfd_inode: u64,
}

/// runtime.md, "State".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// The state JSON of runtime.md, with what runc adds to it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report<'a> {
    pub(crate) oci_version: &'a str,
    pub(crate) id: &'a str,
    pub(crate) pid: i32,
    pub(crate) status: &'a str,
    pub(crate) bundle: &'a std::path::Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rootfs: Option<&'a std::path::Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<&'a str>,
    /// As crun has it.
    #[serde(rename = "systemd-scope", skip_serializing_if = "Option::is_none")]
    pub(crate) systemd_unit: Option<&'a str>,
}

impl State {
    pub(crate) fn has_hooks(&self, kind: &str) -> bool {
        self.hooks.iter().any(|name| name == kind)
    }

    /// `pid` is 0 when the container is stopped, as in runc.
    pub(crate) fn report(&self, status: Status) -> Report<'_> {
        let pid = if status == Status::Stopped { 0 } else { self.init.map_or(0, |init| init.pid) };
        Report {
            oci_version: &self.oci_version,
            id: &self.id,
            pid,
            status: status.name(),
            bundle: &self.bundle,
            rootfs: Some(&self.rootfs),
            created: Some(&self.created),
            annotations: &self.annotations,
            owner: Some(&self.owner),
            systemd_unit: self.systemd_unit.as_ref().map(|unit| unit.name.as_str()),
        }
    }

    /// What the specification has, and no more: for hooks and seccomp agents.
    pub(crate) fn of_the_spec(&self, status: Status) -> Report<'_> {
        Report {
            rootfs: None,
            created: None,
            owner: None,
            systemd_unit: None,
            ..self.report(status)
        }
    }

    /// The state on the stdin of a poststart or poststop hook.
    pub(crate) fn for_hooks(&self, status: Status) -> Result<String> {
        Ok(serde_json::to_string(&self.of_the_spec(status))?)
    }
}

/// The state on the stdin of a hook that runs while the container is being made.
pub(crate) fn for_hooks(plan: &Plan, status: &str, pid: i32) -> String {
    let report = Report {
        oci_version: &plan.oci_version,
        id: &plan.id,
        pid,
        status,
        bundle: &plan.bundle,
        rootfs: None,
        created: None,
        annotations: &plan.annotations,
        owner: None,
        systemd_unit: None,
    };
    // Strings and numbers only: this cannot fail.
    serde_json::to_string(&report).unwrap_or_default()
}
