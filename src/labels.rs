//! Labels of Linux security modules for the payload, written to /proc/self/attr.
//!
//! Runs in: init, through the host's procfs, so that no mount of the container can redirect the
//! write (CVE-2019-16884).

use crate::error::OrHint as _;
use crate::fds::Procfs;
use crate::plan::Process;
use anyhow::{Context as _, Result};

/// Both take effect at the next execve(2).
pub(crate) fn set(proc: &Procfs, process: &Process) -> Result<()> {
    if let Some(label) = &process.selinux_label {
        proc.write("thread-self/attr/exec", label.as_bytes())
            .with_context(|| format!("{}.selinuxLabel", process.field))
            .or_else(|err| {
                Err(err).hint("remove the label: SELinux is not active, or does not know it")
            })?;
    }
    if let Some(profile) = &process.apparmor_profile {
        let value = [b"exec ", profile.as_bytes()].concat();
        proc.write("thread-self/attr/apparmor/exec", &value)
            .with_context(|| format!("{}.apparmorProfile", process.field))
            .or_else(|err| {
                Err(err).hint("load the profile with apparmor_parser(8), or remove it where AppArmor is not active")
            })?;
    }
    Ok(())
}
