//! `--security-opt`, and what of /proc and /sys a container does not see.
//!
//! Runs in: pure.

use crate::cli::run::RightFlags;
use crate::error::OrHint as _;
use anyhow::{Result, anyhow};
use serde_json::{Value, json};

/// They tell of the host.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
/// They change the host.
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// `--security-opt`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Security<'a> {
    pub(crate) seccomp: Seccomp,
    pub(crate) file: Option<&'a str>,
    pub(super) no_new_privileges: bool,
    /// A profile that the kernel knows.
    pub(super) apparmor: Option<&'a str>,
    /// Nothing of /proc and /sys is hidden.
    unmask_all: bool,
    unmask: Vec<&'a str>,
    mask: Vec<&'a str>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Seccomp {
    #[default]
    Usual,
    File,
    Unconfined,
}

impl<'a> Security<'a> {
    pub(crate) fn parse(flags: &'a RightFlags) -> Result<Self> {
        let mut security = Self::default();
        for option in &flags.security_opt {
            let (key, value) = option.split_once(['=', ':']).unwrap_or((option, "true"));
            match (key, value) {
                ("no-new-privileges", "true") => security.no_new_privileges = true,
                ("no-new-privileges", "false") => security.no_new_privileges = false,
                ("seccomp", "unconfined") => security.seccomp = Seccomp::Unconfined,
                ("seccomp", file) => {
                    security.seccomp = Seccomp::File;
                    security.file = Some(file);
                }
                ("apparmor", "unconfined") => security.apparmor = None,
                ("apparmor", profile) => security.apparmor = Some(profile),
                ("systempaths", "unconfined") | ("unmask", "ALL") => security.unmask_all = true,
                ("unmask", paths) => security.unmask.extend(paths.split(':')),
                ("mask", paths) => security.mask.extend(paths.split(':')),
                ("label", "disable") => {}
                ("label", _) => {
                    return Err(anyhow!("--security-opt {option}: no labels are given"))
                        .hint("label=disable is accepted; volumes are not relabelled either");
                }
                _ => {
                    return Err(anyhow!("--security-opt {option}: unknown")).hint(
                        "no-new-privileges, seccomp=, apparmor=, systempaths=unconfined, mask= and unmask= are known",
                    );
                }
            }
        }
        if let Some(path) =
            security.mask.iter().chain(&security.unmask).find(|p| !p.starts_with('/'))
        {
            return Err(anyhow!("--security-opt: {path:?} is no absolute path"))
                .hint("paths are separated by colons: mask=/proc/a:/sys/b");
        }
        Ok(security)
    }

    /// A privileged container sees all.
    pub(super) fn hide(&self, linux: &mut Value, privileged: bool) {
        let none = privileged || self.unmask_all;
        let unmasked = |path: &&str| self.unmask.iter().any(|one| one == path);
        let left = |paths: &[&'static str]| -> Vec<&str> {
            paths.iter().copied().filter(|path| !none && !unmasked(path)).collect()
        };
        let mut masked = left(&MASKED);
        masked.extend(&self.mask);
        let read_only = left(&READ_ONLY);
        for (name, paths) in [("maskedPaths", masked), ("readonlyPaths", read_only)] {
            if !paths.is_empty() {
                linux[name] = json!(paths);
            }
        }
    }
}
