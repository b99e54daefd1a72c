//! Namespaces: there, allowed, and what works inside a user namespace. All is tried in children.

use super::{Report, Status, has_filesystem, number, text};
use crate::launch::clone_flag;
use crate::plan::Kind;
use crate::sys::fd::open;
use crate::sys::mount::{AT_FDCWD, FsContext, move_mount, open_path};
use crate::sys::probe::attempt;
use crate::userns;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::stat::{Mode, mkdirat};
use std::os::fd::AsFd as _;
use std::path::Path;

pub(super) fn examine(report: &mut Report) {
    let user = CloneFlags::CLONE_NEWUSER;
    // An ordinary user makes all others inside a user namespace.
    let with = if report.root { CloneFlags::empty() } else { user };
    for kind in Kind::ALL {
        let tried = attempt(with | clone_flag(kind), || Ok(()));
        namespace(report, kind, tried);
    }
    unprivileged(report);
    proc_in_userns(report);
    overlay(report);
    idmap(report);
}

fn namespace(report: &mut Report, kind: Kind, tried: Option<nix::Result<()>>) {
    let name = kind.name();
    // A root's container does without a user namespace; cgroup and time came late.
    let optional = match kind {
        Kind::User => report.root,
        Kind::Cgroup | Kind::Time => true,
        Kind::Ipc | Kind::Uts | Kind::Network | Kind::Pid | Kind::Mount => false,
    };
    let limit_name = format!("user.max_{}_namespaces", kind.proc_name());
    let limit = number(&format!("/proc/sys/user/max_{}_namespaces", kind.proc_name()));
    let exists = Path::new("/proc/self/ns").join(kind.proc_name()).exists();
    let (status, value, cure) = match tried {
        Some(Ok(())) => (Status::Ok, "can be made".to_string(), None),
        None => (
            Status::Limited,
            "not tried without /proc".to_string(),
            Some("mount -t proc proc /proc".to_string()),
        ),
        Some(Err(_)) if !exists => (
            Status::Missing,
            "not in this kernel".to_string(),
            Some(format!("boot a kernel with CONFIG_{}_NS", kind.proc_name().to_uppercase())),
        ),
        Some(Err(errno)) => {
            let cure = refusal(errno, limit, &limit_name);
            (Status::Missing, format!("cannot be made: {}", errno.desc()), Some(cure))
        }
    };
    report.add(&format!("namespace-{name}"), (status, !optional), value, cure);
}

/// What stands in the way of a namespace.
fn refusal(errno: Errno, limit: Option<u64>, limit_name: &str) -> String {
    if limit == Some(0) {
        return format!("sysctl {limit_name}=15000");
    }
    if matches!(errno, Errno::ENOSPC | Errno::EUSERS) {
        return format!(
            "raise {limit_name}, or user.max_user_namespaces; nesting ends at 32 levels"
        );
    }
    if let Some(cure) = switched_off() {
        return cure.to_string();
    }
    "run rt with CAP_SYS_ADMIN, or allow clone and unshare in the seccomp profile around it".into()
}

/// Distributions' switches against user namespaces of ordinary users.
fn switched_off() -> Option<&'static str> {
    if number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0) {
        return Some("sysctl kernel.unprivileged_userns_clone=1");
    }
    if number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        return Some(
            "give rt an AppArmor profile with \"userns,\", or sysctl \
             kernel.apparmor_restrict_unprivileged_userns=0",
        );
    }
    None
}

const USERNS_LIMIT: &str = "user.max_user_namespaces";

fn userns_limit() -> Option<u64> {
    number("/proc/sys/user/max_user_namespaces")
}

/// What root's own attempt does not tell: may others make user namespaces?
fn unprivileged(report: &mut Report) {
    let name = "userns-for-users";
    match (userns_limit(), switched_off()) {
        (Some(0), _) => {
            report.missing(
                name,
                "user.max_user_namespaces is 0",
                "sysctl user.max_user_namespaces=15000",
            );
        }
        (_, Some(cure)) => report.limited(name, "restricted for ordinary users", cure),
        (Some(limit), None) => report.ok(name, format!("up to {limit} for each user")),
        (None, None) => {
            report.limited(name, "not known without /proc/sys/user", "mount -t proc proc /proc");
        }
    }
}

const IN_USERNS: CloneFlags =
    CloneFlags::CLONE_NEWUSER.union(CloneFlags::CLONE_NEWNS).union(CloneFlags::CLONE_NEWPID);

/// In the child: root of its new user namespace, by a map of the one id that needs no helper.
fn become_root(uid: u32, gid: u32) -> nix::Result<()> {
    let write = |name: &str, text: String| {
        let path = format!("/proc/self/{name}");
        let fd = open(Path::new(&path), OFlag::O_WRONLY).map_err(|err| err.errno)?;
        nix::unistd::write(&fd, text.as_bytes()).map(drop)
    };
    write("setgroups", "deny".into())?;
    write("uid_map", format!("0 {uid} 1"))?;
    write("gid_map", format!("0 {gid} 1"))
}

fn ids() -> (u32, u32) {
    (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
}

/// The kernel mounts procfs for a user namespace only where all of the present one can be seen.
fn proc_in_userns(report: &mut Report) {
    let name = "proc-in-userns";
    let (uid, gid) = ids();
    let tried = attempt(IN_USERNS, || {
        become_root(uid, gid)?;
        let proc = FsContext::open(c"proc").map_err(|err| err.errno)?;
        proc.create().map_err(|err| err.errno)?;
        proc.mount(0).map(drop).map_err(|err| err.errno)
    });
    match tried {
        Some(Ok(())) => report.ok(name, "procfs can be mounted in a user namespace"),
        Some(Err(errno @ (Errno::ENOSPC | Errno::EUSERS))) => {
            report.limited(name, errno.desc(), refusal(errno, userns_limit(), USERNS_LIMIT));
        }
        Some(Err(errno)) => report.limited(
            name,
            format!("procfs cannot be mounted in a user namespace: {}", errno.desc()),
            "unmount what covers parts of /proc; rt in a container: --security-opt systempaths=unconfined",
        ),
        None => report.limited(name, "not tried without /proc", "mount -t proc proc /proc"),
    }
}

fn overlay(report: &mut Report) {
    let Some(filesystems) = text("/proc/filesystems") else {
        report.limited("overlay", "not tried without /proc", "mount -t proc proc /proc");
        return;
    };
    if !has_filesystem(&filesystems, "overlay") {
        // Trying would load the module.
        for name in ["overlay", "overlay-in-userns"] {
            report.missing(name, "not in this kernel, or not loaded", "modprobe overlay");
        }
        return;
    }
    let (uid, gid) = ids();
    if report.root {
        let tried = attempt(CloneFlags::CLONE_NEWNS, mount_overlay);
        told(report, "overlay", tried, "run rt with CAP_SYS_ADMIN");
    }
    let tried = attempt(IN_USERNS, || {
        become_root(uid, gid)?;
        mount_overlay()
    });
    told(report, "overlay-in-userns", tried, "boot Linux 5.11 or newer, or use fuse-overlayfs");
}

fn told(report: &mut Report, name: &str, tried: Option<nix::Result<()>>, cure: &str) {
    match tried {
        Some(Ok(())) => report.ok(name, "works"),
        Some(Err(errno @ (Errno::ENOSPC | Errno::EUSERS))) => {
            report.limited(name, errno.desc(), refusal(errno, userns_limit(), USERNS_LIMIT));
        }
        Some(Err(errno)) => report.limited(name, errno.desc(), cure),
        None => report.limited(name, "not tried without /proc", "mount -t proc proc /proc"),
    }
}

/// In the child, in its own mount namespace: a tmpfs over /tmp with an overlay of its directories.
fn mount_overlay() -> nix::Result<()> {
    let errno = |err: crate::sys::Error| err.errno;
    // Before anything is attached: mounts propagate to the host from a new namespace, too.
    let private = libc::MS_REC | libc::MS_PRIVATE;
    crate::sys::mount::mount(c"", c"/", c"", private, c"").map_err(errno)?;
    let tmpfs = FsContext::open(c"tmpfs").map_err(errno)?;
    tmpfs.create().map_err(errno)?;
    let tmpfs = tmpfs.mount(0).map_err(errno)?;
    for name in ["lower", "upper", "work"] {
        mkdirat(&tmpfs, name, Mode::S_IRWXU)?;
    }
    let target = open_path(AT_FDCWD, c"/tmp").map_err(errno)?;
    move_mount(tmpfs.as_fd(), target.as_fd()).map_err(errno)?;
    let overlay = FsContext::open(c"overlay").map_err(errno)?;
    for (key, value) in
        [(c"lowerdir", c"/tmp/lower"), (c"upperdir", c"/tmp/upper"), (c"workdir", c"/tmp/work")]
    {
        overlay.set_string(key, value).map_err(errno)?;
    }
    overlay.create().map_err(errno)?;
    overlay.mount(0).map(drop).map_err(errno)
}

/// On a tmpfs, which takes them since Linux 6.3; ext4 and xfs do since 5.12.
fn idmap(report: &mut Report) {
    let name = "idmapped-mounts";
    if !report.root {
        report.limited(name, "need root", "run the container as root, or map the files' owner");
        return;
    }
    let tried = attempt(CloneFlags::CLONE_NEWNS, || {
        let errno = |err: crate::sys::Error| err.errno;
        let tmpfs = FsContext::open(c"tmpfs").map_err(errno)?;
        tmpfs.create().map_err(errno)?;
        let tmpfs = tmpfs.mount(0).map_err(errno)?;
        let map = [crate::plan::namespaces::IdMap { container: 0, host: 1000, size: 1 }];
        let userns = userns::with_mappings(&map, &map).map_err(|err| {
            err.chain()
                .find_map(|cause| cause.downcast_ref::<crate::sys::Error>())
                .map_or(Errno::EIO, |err| err.errno)
        })?;
        crate::sys::mount::idmap(tmpfs.as_fd(), crate::sys::mount::Recursive::No, userns.as_fd())
            .map_err(errno)
    });
    let cure = match tried {
        Some(Err(Errno::EINVAL)) => "boot Linux 6.3 or newer for tmpfs; other file systems may do",
        _ => "run rt as root of the host",
    };
    told(report, name, tried, cure);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cure_fits_the_refusal() {
        let name = "user.max_pid_namespaces";
        assert_eq!(refusal(Errno::ENOSPC, Some(0), name), "sysctl user.max_pid_namespaces=15000");
        assert!(refusal(Errno::ENOSPC, Some(9), name).starts_with("raise user.max_pid_namespaces"));
    }
}
