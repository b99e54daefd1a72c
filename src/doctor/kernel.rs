//! The kernel: its version, and the calls that came one by one.

use super::Report;
use crate::sys::probe::{self, Call};
use nix::errno::Errno;

/// `docs/decisions/0008-minimum-kernel.md`.
const OLDEST: (u32, u32) = (5, 12);

/// A call, the version that brought it, and what `rt` does with it.
const CALLS: [(Call, &str, &str, &str); 10] = [
    (Call::MemfdCreate, "memfd_create", "3.17", "protects rt's own executable"),
    (Call::Execveat, "execveat", "3.19", "runs rt's protected copy"),
    (Call::PidfdSendSignal, "pidfd_send_signal", "5.1", "signals no other process by mistake"),
    (Call::OpenTree, "open_tree", "5.2", "mounts are made before anybody sees them"),
    (Call::MoveMount, "move_mount", "5.2", "mounts are attached to descriptors"),
    (Call::Clone3, "clone3", "5.3", "makes the container's process"),
    (Call::PidfdOpen, "pidfd_open", "5.3", "names processes without a race"),
    (Call::Openat2, "openat2", "5.6", "keeps paths inside the container"),
    (Call::CloseRange, "close_range", "5.9", "leaves no descriptor open"),
    (Call::MountSetattr, "mount_setattr", "5.12", "recursive options, id-mapped mounts"),
];

pub(super) fn examine(report: &mut Report) {
    let release = nix::sys::utsname::uname()
        .map(|name| name.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    let new_enough = version(&release).is_some_and(|version| version >= OLDEST);
    let (major, minor) = OLDEST;
    let cure = format!("boot Linux {major}.{minor} or newer");
    report.needs("kernel-version", new_enough, format!("{release}, needs {major}.{minor}"), &cure);
    for (call, name, since, purpose) in CALLS {
        let errno = probe::errno_of(call);
        // These arguments are EINVAL, EBADF or EFAULT to the kernel itself; but the calls about
        // mounts ask for the privilege first.
        let asks_first = matches!(call, Call::OpenTree | Call::MoveMount | Call::MountSetattr);
        if errno == Errno::ENOSYS {
            report.needs(
                name,
                false,
                format!("not there (Linux {since}): {purpose}"),
                "boot a newer kernel; inside a container, allow the call in its seccomp profile",
            );
        } else if errno == Errno::EPERM && !asks_first {
            report.needs(
                name,
                false,
                format!("refused: {purpose}"),
                "allow the call in the seccomp profile that rt runs under",
            );
        } else {
            report.needs(name, true, format!("Linux {since}: {purpose}"), "");
        }
    }
    let purpose = "a process starts inside its cgroup";
    if probe::knows_clone_into_cgroup() {
        report.ok("clone_into_cgroup", format!("Linux 5.7: {purpose}"));
    } else {
        report.limited(
            "clone_into_cgroup",
            format!("not there (Linux 5.7): {purpose}"),
            "boot a newer kernel, or allow clone3 in the seccomp profile; until then a start is slower",
        );
    }
    match crate::sys::fd::memfd(c"rt-doctor") {
        Ok(_closed) => report.ok("memfd_exec", "a copy of rt in memory can be executed"),
        Err(err) => report.limited(
            "memfd_exec",
            format!("refused: {}", err.errno.desc()),
            "sysctl vm.memfd_noexec=1, or install rt on a read-only file system",
        ),
    }
}

/// Major and minor of a kernel's release, such as 6.1.0-18-amd64.
pub(super) fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("5.10+"), Some((5, 10)));
        assert_eq!(version("x"), None);
        assert!(version("5.9.1").unwrap() < OLDEST && version("5.12-rc1").unwrap() >= OLDEST);
    }
}
