//! seccomp, security modules, capabilities, keys.

use super::{Report, field, text};
use crate::plan::seccomp::{ACTIONS, FLAGS};
use crate::sys::{probe, seccomp};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

/// What does not work in a container of root that lacks a capability.
const MATTERS: [(&str, &str); 9] = [
    ("CAP_SYS_ADMIN", "no containers without a user namespace"),
    ("CAP_SETUID", "the container's user cannot be set"),
    ("CAP_SETGID", "the container's groups cannot be set"),
    ("CAP_SETPCAP", "the bounding set cannot be reduced"),
    ("CAP_NET_ADMIN", "the loopback device and network devices cannot be set up"),
    ("CAP_MKNOD", "devices are bind mounts of the host's"),
    ("CAP_DAC_OVERRIDE", "bundles of other users cannot be read"),
    ("CAP_SYS_RESOURCE", "hard rlimits cannot be raised, oomScoreAdj cannot be lowered"),
    ("CAP_SYS_CHROOT", "no container can be entered"),
];

pub(super) fn examine(report: &mut Report) {
    let status = text("/proc/self/status").unwrap_or_default();
    filters(report);
    modules(report);
    capabilities(report, &status);
    if field(&status, "NoNewPrivs") == Some("1") {
        report.limited(
            "no-new-privs",
            "set for rt itself: newuidmap and newgidmap have no effect",
            "start rt from a process without no_new_privs (systemd: NoNewPrivileges=no)",
        );
    }
    if probe::has_keyrings() {
        report.ok("keyrings", "containers get session keyrings of their own");
    } else {
        report.limited(
            "keyrings",
            "keyctl is refused, or not in this kernel",
            "use --no-new-keyring, or boot a kernel with CONFIG_KEYS",
        );
    }
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_MEMLOCK) {
        // Since Linux 5.11, memory of eBPF programs is counted by the memory cgroup instead.
        let shown =
            if soft == u64::MAX { "unlimited".into() } else { format!("{} KiB", soft / 1024) };
        report.ok("memlock", format!("{shown}; device filters do not need it"));
    }
}

fn filters(report: &mut Report) {
    if !seccomp::flags_available(0) {
        report.missing(
            "seccomp",
            "the kernel takes no filters",
            "boot a kernel with CONFIG_SECCOMP_FILTER, or remove linux.seccomp from configs",
        );
        return;
    }
    report.ok("seccomp", "filters can be loaded");
    let known = text("/proc/sys/kernel/seccomp/actions_avail");
    let lacks: Vec<&str> = match &known {
        Some(known) => ACTIONS.into_iter().filter(|name| !has_action(known, name)).collect(),
        None => Vec::new(),
    };
    match (known.is_some(), lacks.is_empty()) {
        (true, true) => report.ok("seccomp-actions", "all"),
        (true, false) => report.limited(
            "seccomp-actions",
            format!("without {}", lacks.join(" ")),
            "boot a newer kernel: notifications need 5.0, logging 4.14",
        ),
        (false, _) => report.limited(
            "seccomp-actions",
            "not known without /proc/sys/kernel/seccomp",
            "mount -t proc proc /proc",
        ),
    }
    let lacks: Vec<&str> = FLAGS
        .iter()
        .filter(|(_, flag)| {
            // TSYNC excludes a listener, WAIT_KILLABLE_RECV needs one.
            let with = |more: u32| seccomp::flags_available(*flag | more);
            !with(0) && !with(seccomp::NEW_LISTENER)
        })
        .map(|(name, _)| *name)
        .collect();
    if lacks.is_empty() {
        report.ok("seccomp-flags", "all");
    } else {
        report.limited(
            "seccomp-flags",
            format!("without {}", lacks.join(" ")),
            "boot a newer kernel: WAIT_KILLABLE_RECV needs 5.19",
        );
    }
}

/// `seccomp(2)`: the kernel's words in `actions_avail` for those of the config.
fn has_action(known: &str, name: &str) -> bool {
    let word = match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => "kill_thread",
        "SCMP_ACT_KILL_PROCESS" => "kill_process",
        "SCMP_ACT_TRAP" => "trap",
        "SCMP_ACT_ERRNO" => "errno",
        "SCMP_ACT_NOTIFY" => "user_notif",
        "SCMP_ACT_TRACE" => "trace",
        "SCMP_ACT_LOG" => "log",
        _ => "allow",
    };
    known.split_ascii_whitespace().any(|known| known == word)
}

fn modules(report: &mut Report) {
    let apparmor = text("/sys/module/apparmor/parameters/enabled");
    if apparmor.as_deref().map(str::trim) == Some("Y") {
        report.ok("apparmor", "enabled");
    } else {
        report.missing(
            "apparmor",
            "not enabled",
            "process.apparmorProfile needs lsm=...,apparmor on the kernel's command line",
        );
    }
    if crate::labels::selinux_is_active() {
        report.ok("selinux", "enabled");
    } else {
        report.missing(
            "selinux",
            "not enabled",
            "process.selinuxLabel needs lsm=...,selinux on the kernel's command line",
        );
    }
    match probe::landlock_abi() {
        Ok(abi) => report.ok("landlock", format!("version {abi} of its interface")),
        Err(errno) => report.missing(
            "landlock",
            if errno == Errno::EOPNOTSUPP { "switched off" } else { "not in this kernel" },
            "boot Linux 5.13 or newer with landlock in lsm=",
        ),
    }
}

/// Only root's bounding set says anything: an ordinary user has all in the user namespace.
fn capabilities(report: &mut Report, status: &str) {
    if !report.root {
        return;
    }
    let Some(bounding) = field(status, "CapBnd").and_then(|set| u64::from_str_radix(set, 16).ok())
    else {
        return;
    };
    let last = super::number("/proc/sys/kernel/cap_last_cap").unwrap_or(40);
    let lacks = missing_capabilities(bounding, last);
    if lacks.is_empty() {
        report.ok("capabilities", "all");
        return;
    }
    for name in lacks {
        let means = MATTERS
            .iter()
            .find(|(known, _)| *known == name)
            .map_or("containers cannot have it", |(_, means)| means);
        let cure = "give it to the service, container or virtual machine in which rt runs";
        let finding = format!("capability-{name}");
        if name == "CAP_SYS_ADMIN" {
            report.needs(&finding, false, means, cure);
        } else {
            report.limited(&finding, format!("not in the bounding set: {means}"), cure);
        }
    }
}

/// Names of the capabilities up to `last` that the set lacks.
fn missing_capabilities(set: u64, last: u64) -> Vec<String> {
    let mut lacks: Vec<caps::Capability> = caps::all()
        .into_iter()
        .filter(|cap| u64::from(cap.index()) <= last && set & cap.bitmask() == 0)
        .collect();
    lacks.sort_unstable_by_key(caps::Capability::index);
    lacks.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_capabilities_are_named() {
        assert_eq!(missing_capabilities(0x1ff_feff_ffff, 40), ["CAP_SYS_RESOURCE"]);
        assert!(missing_capabilities(0x1ff_ffff_ffff, 40).is_empty());
        // Kernels before 5.9 know less: what they do not have is not missing.
        assert!(missing_capabilities(0x3f_ffff_ffff, 37).is_empty());
    }

    #[test]
    fn every_action_has_the_kernels_word() {
        let known = "kill_process kill_thread trap errno user_notif trace log allow";
        for action in ACTIONS {
            assert!(has_action(known, action), "{action}");
            assert!(!has_action("", action));
        }
        assert!(!has_action("kill_thread trap", "SCMP_ACT_NOTIFY"));
    }
}
