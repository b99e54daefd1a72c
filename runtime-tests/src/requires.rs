//! What a test can ask of the machine, the user and the view: one function per requirement.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::cgroups;
use crate::isolate::{self, View};
use crate::outcome::{Class, Missing};

type Met = Result<(), Missing>;

fn machine(met: bool, reason: impl Into<String>) -> Met {
    if met { Ok(()) } else { Err(Missing { class: Class::Machine, reason: reason.into() }) }
}

fn prepared(met: bool, reason: impl Into<String>) -> Met {
    if met { Ok(()) } else { Err(Missing { class: Class::Preparation, reason: reason.into() }) }
}

/// Real root: the runner was not started by an ordinary user.
pub fn root() -> Met {
    machine(!isolate::rootless(), "needs root")
}

/// cgroup v2 is what the runtime sees at /sys/fs/cgroup.
pub fn cgroup_v2() -> Met {
    root()?;
    machine(cgroups::is_v2(), "needs cgroup v2 at /sys/fs/cgroup (--view v2)")
}

/// Paths in `linux.cgroupsPath`, which systemd does not take.
pub fn cgroupfs_driver() -> Met {
    root()?;
    machine(isolate::view() != View::Systemd, "needs the cgroupfs driver (--view host, v2)")
}

/// systemd is pid 1, and makes the cgroups in this view.
pub fn systemd() -> Met {
    root()?;
    machine(isolate::view() == View::Systemd, "needs systemd as pid 1 (--view systemd)")
}

/// The cgroups as the host has them.
pub fn host_view() -> Met {
    machine(isolate::view() == View::Host, "needs the host's own cgroups (--view host)")
}

/// The named controller can be used, in whatever version the view shows.
pub fn controller(name: &str) -> Met {
    root()?;
    machine(cgroups::has_controller(name), format!("no {name} controller in this view"))
}

/// The controller is a v1 one in this view.
pub fn cgroup_v1(name: &str) -> Met {
    root()?;
    machine(cgroups::v1_mount(name).is_some(), format!("no v1 {name} hierarchy in this view"))
}

/// The kernel knows this kind of namespace (a name in /proc/self/ns).
pub fn namespace(name: &str) -> Met {
    machine(
        Path::new("/proc/self/ns").join(name).exists(),
        format!("the kernel has no {name} namespaces"),
    )
}

/// A user namespace with a range of ids can be made.
pub fn userns() -> Met {
    root()?;
    namespace("user")
}

/// The runner was given a companion.
pub fn companion() -> Met {
    prepared(crate::companion::program().is_some(), "no companion was given (--bundles PATH)")
}

/// A program of the host, for what the probe cannot do.
pub fn program(path: &str) -> Met {
    prepared(Path::new(path).exists(), format!("{path} is not installed"))
}

/// A shell and small tools inside the container.
pub fn busybox() -> Met {
    prepared(crate::bundle::busybox().is_some(), "static busybox is not installed")
}

/// `AppArmor` is active, and its profiles can be loaded here.
pub fn apparmor() -> Met {
    let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    machine(enabled.is_ok_and(|text| text.starts_with('Y')), "AppArmor is not active")
}

/// This capability is in the bounding set of the runner.
pub fn capability(bit: u32, name: &str) -> Met {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set =
        status.lines().find_map(|l| l.strip_prefix("CapBnd:")).unwrap_or("0").trim().to_owned();
    let set = u64::from_str_radix(&set, 16).unwrap_or(0);
    machine(set & (1 << bit) != 0, format!("{name} is not in this machine's bounding set"))
}

/// `mount_setattr(2)`, "Id-mapped mounts": since Linux 6.3 for tmpfs.
pub fn idmapped_tmpfs() -> Met {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|n| n.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    machine(version >= (6, 3), "idmapped tmpfs came with Linux 6.3")
}

/// The filesystem type is known to the kernel.
pub fn filesystem(name: &str) -> Met {
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    machine(
        known.lines().any(|l| l.split_whitespace().last() == Some(name)),
        format!("the kernel has no {name}"),
    )
}

/// The kernel shows this file.
pub fn path(path: &str) -> Met {
    machine(Path::new(path).exists(), format!("the kernel has no {path}"))
}

/// The runtime knows the command.
pub fn command(name: &str) -> Met {
    let help = Command::new(crate::runtime::path())
        .args([name, "--help"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    machine(help.is_ok_and(|s| s.success()), format!("this runtime has no command {name}"))
}

/// Processes can be frozen: the v1 freezer, or v2 where the runtime sees v2.
pub fn freezer() -> Met {
    root()?;
    machine(cgroups::v1_mount("freezer").is_some() || cgroups::is_v2(), "no freezer in this view")
}
