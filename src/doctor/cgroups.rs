//! Cgroups: where they are mounted, which controllers there are, who may use them; systemd.

use super::{Report, has_filesystem, text};
use crate::cgroup::systemd::Manager;
use crate::cgroup::{CgroupMount, Host, LEGACY_CURE};
use crate::proc;
use crate::sys::bpf::{self, Insn};
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Controllers of limits in the config, by their names in cgroup v2.
const CONTROLLERS: [&str; 7] = ["cpu", "cpuset", "memory", "io", "pids", "hugetlb", "rdma"];

const BOOT_V2: &str =
    "boot with systemd.unified_cgroup_hierarchy=1 to have all controllers in cgroup v2";

pub(super) fn examine(report: &mut Report) {
    let host = Host::detect().unwrap_or(Host::Absent);
    let none = BTreeMap::new();
    let (mode, point, v1) = match &host {
        Host::Unified { mount } => ("unified", Some(&mount.point), &none),
        Host::Hybrid { mount, v1 } => ("hybrid", Some(&mount.point), v1),
        Host::Legacy { v1 } => ("legacy", None, v1),
        Host::Absent => ("absent", None, &none),
    };
    let cure = "mount -t cgroup2 cgroup2 /sys/fs/cgroup, or use --cgroup-manager disabled";
    match (&host, report.root) {
        (Host::Absent, true) => report.needs("cgroup-mode", false, mode, cure),
        // An ordinary user's containers run without a cgroup where there is none for them.
        (Host::Absent, false) => report.missing("cgroup-mode", mode, cure),
        (Host::Unified { .. }, _) => report.ok("cgroup-mode", mode),
        (Host::Hybrid { .. }, _) => {
            report.limited("cgroup-mode", format!("{mode}: controllers are in cgroup v1"), BOOT_V2);
        }
        (Host::Legacy { .. }, true) => report.needs("cgroup-mode", false, mode, LEGACY_CURE),
        (Host::Legacy { .. }, false) => report.missing("cgroup-mode", mode, LEGACY_CURE),
    }
    controllers(report, point.map(PathBuf::as_path), v1);
    if let Some(point) = point {
        own_cgroup(report, point);
    }
    device_filter(report, v1.get("devices"));
    systemd(report);
}

fn controllers(report: &mut Report, point: Option<&Path>, v1: &BTreeMap<String, CgroupMount>) {
    let file = point.map(|point| point.join("cgroup.controllers"));
    let v2 = file.and_then(|file| text(&file.to_string_lossy())).unwrap_or_default();
    for name in CONTROLLERS {
        let finding = format!("controller-{name}");
        let v1_name = if name == "io" { "blkio" } else { name };
        if v2.split_ascii_whitespace().any(|word| word == name) {
            report.ok(&finding, "cgroup v2");
        } else if let Some(mount) = v1.get(v1_name) {
            let value = format!("cgroup v1 at {}", mount.point.display());
            report.ok(&finding, value);
        } else {
            report.missing(
                &finding,
                "no cgroup has it",
                format!("boot without cgroup_disable={v1_name}, with a kernel that has it"),
            );
        }
    }
}

/// Whether limits can be set beside our own cgroup, or by root anywhere.
fn own_cgroup(report: &mut Report, point: &Path) {
    let own = text("/proc/self/cgroup").unwrap_or_default();
    let own = proc::unified_cgroup(own.as_bytes()).unwrap_or(Path::new("/"));
    let dir = point.join(own.strip_prefix("/").unwrap_or(own));
    let place = if report.root { point } else { dir.as_path() };
    match access(place, AccessFlags::W_OK) {
        Ok(()) => report.ok("cgroup-writable", place.display().to_string()),
        Err(Errno::EROFS) => report.limited(
            "cgroup-writable",
            format!("{} is mounted read-only", place.display()),
            format!("mount -o remount,rw {}", point.display()),
        ),
        Err(_) => report.limited(
            "cgroup-writable",
            format!("{} belongs to another user: no limits", place.display()),
            "log in through systemd (Delegate=yes), or start rt in: systemd-run --user --scope -p Delegate=yes",
        ),
    }
    if !report.root {
        let file = dir.join("cgroup.controllers");
        let delegated = text(&file.to_string_lossy()).unwrap_or_default();
        let delegated = delegated.trim();
        if delegated.is_empty() {
            report.limited(
                "cgroup-delegated",
                "no controller",
                "systemctl edit user@.service: [Service] Delegate=cpu cpuset io memory pids",
            );
        } else {
            report.ok("cgroup-delegated", delegated);
        }
    }
    // Made with every cgroup but the root.
    if dir.join("cgroup.kill").exists() {
        report.ok("cgroup.kill", "Linux 5.14: all processes are killed at once");
    } else {
        let release = nix::sys::utsname::uname();
        let release = release.map(|name| name.release().to_string_lossy().into_owned());
        let known = release.ok().and_then(|release| super::kernel::version(&release));
        if known.is_some_and(|version| version >= (5, 14)) {
            report.ok("cgroup.kill", "Linux 5.14: all processes are killed at once");
        } else {
            report.limited(
                "cgroup.kill",
                "not there (Linux 5.14)",
                "boot a newer kernel; until then processes are killed one by one",
            );
        }
    }
}

/// Loads "allow all", and closes it again; a program that is attached nowhere does nothing.
fn device_filter(report: &mut Report, v1: Option<&CgroupMount>) {
    // r0 = 1; exit
    let allow = [
        Insn { code: 0xb7, regs: 0, off: 0, imm: 1 },
        Insn { code: 0x95, regs: 0, off: 0, imm: 0 },
    ];
    let name = "device-filter";
    match (bpf::prog_load_cgroup_device(&allow), v1) {
        (Ok(_closed), _) => report.ok(name, "eBPF programs of cgroups can be loaded"),
        (Err(_), Some(mount)) => report.ok(name, format!("cgroup v1 at {}", mount.point.display())),
        (Err(err), None) if !report.root => report.limited(
            name,
            format!("no eBPF: {}", err.errno.desc()),
            "needs root; an ordinary user's container has only devices that the user may open",
        ),
        (Err(err), None) => report.missing(
            name,
            format!("no eBPF: {}", err.errno.desc()),
            "give rt CAP_BPF or CAP_SYS_ADMIN on the host; boot a kernel with CONFIG_CGROUP_BPF",
        ),
    }
}

/// `sd_booted(3)`, and the manager that is asked for scopes.
fn systemd(report: &mut Report) {
    if !Path::new("/run/systemd/system").is_dir() {
        report.missing("systemd", "does not run this host", "use --cgroup-manager cgroupfs");
        return;
    }
    report.ok("systemd", "runs this host");
    let manager = if report.root { Manager::System } else { Manager::User };
    let socket = manager.socket();
    if socket.exists() {
        report.ok("systemd-manager", socket.display().to_string());
        return;
    }
    let cure = if report.root {
        "use --cgroup-manager cgroupfs"
    } else {
        "log in through pam_systemd, or: loginctl enable-linger; or use --cgroup-manager cgroupfs"
    };
    report.limited("systemd-manager", format!("there is no {}", socket.display()), cure);
}

/// intelRdt and huge pages, by the kernel's own lists.
pub(super) fn resctrl(report: &mut Report, filesystems: &str) {
    let mounted = Path::new("/sys/fs/resctrl/schemata").exists();
    match (has_filesystem(filesystems, "resctrl"), mounted) {
        (_, true) => report.ok("resctrl", "/sys/fs/resctrl"),
        (true, false) => {
            report.limited("resctrl", "not mounted", "mount -t resctrl resctrl /sys/fs/resctrl");
        }
        (false, false) => report.missing(
            "resctrl",
            "this processor or kernel has none",
            "linux.intelRdt needs a processor with RDT, and CONFIG_X86_CPU_RESCTRL",
        ),
    }
}
