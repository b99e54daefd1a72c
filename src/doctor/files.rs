//! File systems of the host: /proc, /sys, where state is kept, memory for huge pages.

use super::{Report, cgroups, has_filesystem, text};
use crate::proc;
use nix::sys::statfs::{PROC_SUPER_MAGIC, TMPFS_MAGIC, statfs};
use nix::sys::statvfs::FsFlags;
use nix::unistd::{AccessFlags, access};
use std::path::{Path, PathBuf};

pub(super) fn examine(report: &mut Report) {
    procfs(report);
    let filesystems = text("/proc/filesystems").unwrap_or_default();
    match statfs("/sys") {
        Ok(fs) if fs.flags().contains(FsFlags::ST_RDONLY) => report.limited(
            "sys",
            "mounted read-only",
            "mount -o remount,rw /sys, for limits and netDevices",
        ),
        Ok(_) if Path::new("/sys/kernel").is_dir() => report.ok("sys", "mounted"),
        Ok(_) | Err(_) => {
            report.limited("sys", "not mounted", "mount -t sysfs sysfs /sys");
        }
    }
    state(report);
    // Without procfs, the list of file systems is not known.
    if !filesystems.is_empty() {
        for name in ["tmpfs", "devpts", "mqueue", "sysfs"] {
            let fine = has_filesystem(&filesystems, name);
            // mqueue is one of the default mounts, but a config need not have it.
            if name == "mqueue" && !fine {
                report.missing(name, "not in this kernel", "remove /dev/mqueue from configs");
            } else {
                let value = if fine { "in this kernel" } else { "not in this kernel" };
                report.needs(&format!("filesystem-{name}"), fine, value, "boot another kernel");
            }
        }
    }
    cgroups::resctrl(report, &filesystems);
    hugepages(report);
}

fn procfs(report: &mut Report) {
    let mounted = statfs("/proc").is_ok_and(|fs| fs.filesystem_type() == PROC_SUPER_MAGIC);
    let value = if mounted { "mounted" } else { "not mounted" };
    report.needs("proc", mounted, value, "mount -t proc proc /proc");
    let mountinfo = text("/proc/self/mountinfo").unwrap_or_default();
    for option in proc_options(mountinfo.as_bytes()) {
        report.limited(
            "proc-options",
            format!("{option}: other processes cannot be seen"),
            format!("mount -o remount,{} /proc", undo(&option)),
        );
    }
    let process_mounts = proc::mounts(mountinfo.as_bytes());
    let root = process_mounts.iter().find(|mount| mount.point == Path::new("/"));
    if root.is_some_and(|root| root.fs_type == "rootfs") {
        report.limited(
            "pivot-root",
            "the host runs from its initramfs",
            "use --no-pivot, or boot with a root file system",
        );
    }
}

/// Options of the visible /proc that hide processes.
fn proc_options(mountinfo: &[u8]) -> Vec<String> {
    let mounts = proc::mounts(mountinfo);
    let is_proc =
        |mount: &proc::Mount| mount.fs_type == "proc" && mount.point == Path::new("/proc");
    let Some(mount) = proc::visible(&mounts, is_proc).pop() else { return Vec::new() };
    let hides = |option: &&str| {
        (option.starts_with("hidepid=") && !matches!(*option, "hidepid=0" | "hidepid=off"))
            || option.starts_with("subset=")
    };
    mount.super_options.split(',').filter(hides).map(str::to_string).collect()
}

/// What a remount must say instead of an option of [`proc_options`].
fn undo(option: &str) -> &'static str {
    if option.starts_with("subset=") { "subset=" } else { "hidepid=0" }
}

/// The directory of the containers' state, as `commands::root` chooses it.
fn state(report: &mut Report) {
    let name = "state-directory";
    let dir = if report.root {
        PathBuf::from("/run")
    } else if let Some(dir) = std::env::var_os("XDG_RUNTIME_DIR") {
        PathBuf::from(dir)
    } else {
        report.needs(
            name,
            false,
            "XDG_RUNTIME_DIR is not set",
            "log in through pam_systemd, set XDG_RUNTIME_DIR, or use --root",
        );
        return;
    };
    let shown = dir.display();
    if access(&dir, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        report.needs(
            name,
            false,
            format!("{shown} cannot be written to"),
            "use --root with a directory of your own",
        );
        return;
    }
    match statfs(&dir) {
        Ok(fs) if fs.filesystem_type() == TMPFS_MAGIC => {
            report.needs(name, true, format!("{shown} on tmpfs"), "");
        }
        Ok(_) | Err(_) => report.limited(
            name,
            format!("{shown} is not on tmpfs: state outlives a reboot"),
            format!("mount -t tmpfs -o mode=755 tmpfs {shown}"),
        ),
    }
}

fn hugepages(report: &mut Report) {
    let sizes: Vec<String> = std::fs::read_dir("/sys/kernel/mm/hugepages")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some(entry.file_name().to_string_lossy().strip_prefix("hugepages-")?.to_string())
        })
        .collect();
    if sizes.is_empty() {
        report.missing("hugepages", "none", "hugepageLimits need a kernel with CONFIG_HUGETLBFS");
    } else {
        report.ok("hugepages", sizes.join(" "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_hide_processes_are_found() {
        let line = |options: &str| {
            format!("1 0 0:1 / / rw - ext4 /dev/vda rw\n2 1 0:2 / /proc rw - proc proc {options}\n")
        };
        assert!(proc_options(line("rw").as_bytes()).is_empty());
        assert!(proc_options(line("rw,hidepid=off").as_bytes()).is_empty());
        assert_eq!(
            proc_options(line("rw,hidepid=invisible,subset=pid").as_bytes()),
            ["hidepid=invisible", "subset=pid"]
        );
        assert_eq!(undo("hidepid=2"), "hidepid=0");
    }
}
