//! What the container needs from the host, as descriptors opened before init exists.
//!
//! Runs in: parent. Everything here is close-on-exec. Init takes the descriptors out one by one;
//! what is left is closed before it parks.

use crate::cgroup::Hierarchy;
use crate::error::hinted;
use crate::hooks::Output;
use crate::labels;
use crate::plan::rootfs::{Bind, Rootfs, Step};
use crate::plan::{Kind, Pivot, Plan};
use crate::rootfs::{mask, mount, pivot};
use crate::sys::fd::{openat2, resolve};
use crate::sys::{self, Call as _};
use crate::userns;
use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

pub(crate) struct Fds {
    /// The root file system, detached. `None`: init opens it (rootless).
    pub(crate) rootfs: Option<OwnedFd>,
    /// Bind sources by the index of their step. `None`: init opens them, or it is no bind.
    pub(crate) trees: Vec<Option<OwnedFd>>,
    /// The container's directory in the cgroup tree, for a container without cgroup namespace.
    pub(crate) cgroup_tree: Option<OwnedFd>,
    /// The host's v1 hierarchies, for a `cgroup` mount.
    pub(crate) hierarchies: Vec<Hierarchy>,
    /// The cgroup that was made for the container.
    pub(crate) own_cgroup: Option<CString>,
    /// Into the container's cgroups of v1 hierarchies, see [`crate::cgroup::join`].
    pub(crate) v1_doors: Vec<OwnedFd>,
    /// Into the cgroup that the payload manages.
    pub(crate) delegate: Option<OwnedFd>,
    /// Namespaces to join in init, in order.
    pub(crate) join: Vec<(Kind, OwnedFd, String)>,
    pub(crate) null: Option<OwnedFd>,
    /// `linux.mountLabel` means something to this host.
    pub(crate) label_mounts: bool,
    pub(crate) proc: Procfs,
    /// Connected to `--console-socket`: the master of the pty goes there.
    pub(crate) console: Option<OwnedFd>,
    /// Where the output of hooks goes.
    pub(crate) hooks_output: Output,
    /// Where `rt start` connects. `None`: init goes on at once (run, exec).
    pub(crate) start: Option<OwnedFd>,
}

impl Fds {
    pub(crate) fn open(
        plan: &Plan,
        console: Option<OwnedFd>,
        start: Option<OwnedFd>,
    ) -> Result<Self> {
        let mut fds = Self {
            rootfs: None,
            trees: plan.rootfs.steps.iter().map(|_| None).collect(),
            cgroup_tree: None,
            hierarchies: Vec::new(),
            own_cgroup: None,
            v1_doors: Vec::new(),
            delegate: None,
            join: Vec::new(),
            null: None,
            label_mounts: plan.rootfs.mount_label.is_some() && labels::selinux_is_active(),
            proc: Procfs::open()?,
            console,
            hooks_output: Output::open(&plan.hooks)?,
            start,
        };
        fds.open_namespaces(plan)?;
        fds.open_trees(&plan.rootfs)?;
        if !plan.rootfs.masked.is_empty() && fds.rootfs.is_some() {
            fds.null = Some(mask::open_null()?);
        }
        Ok(fds)
    }

    fn open_namespaces(&mut self, plan: &Plan) -> Result<()> {
        for join in &plan.namespaces.join {
            let fd =
                sys::fd::open(&join.path, OFlag::O_RDONLY).with_context(|| join.field.clone())?;
            ensure!(
                namespace_kind(&fd) == Some(join.kind),
                "{}: {} is not a {} namespace",
                join.field,
                join.path.display(),
                join.kind.name()
            );
            self.join.push((join.kind, fd, join.field.clone()));
        }
        Ok(())
    }

    /// Detached copies keep their place in the host's propagation groups, and a source may be in a
    /// directory which the container's user cannot search.
    fn open_trees(&mut self, plan: &Rootfs) -> Result<()> {
        if !nix::unistd::geteuid().is_root() || plan.pivot == Pivot::Chroot {
            return Ok(());
        }
        match pivot::open_root(plan) {
            // Root of a user namespace without its own mount namespace: init will have one.
            Err(err) if is_eperm(&err) => return Ok(()),
            root => self.rootfs = Some(root?),
        }
        for (step, tree) in plan.steps.iter().zip(&mut self.trees) {
            if let Step::Bind(bind) = step
                && !bind.links.copy_source
            {
                *tree = Some(open_bind(bind).with_context(|| bind.target.show())?);
            }
        }
        Ok(())
    }

    /// For a `cgroup` mount in a container without cgroup namespace of its own. An ordinary user has
    /// no right to it here; init will.
    pub(crate) fn open_cgroup_tree(&mut self, dir: BorrowedFd<'_>) -> Result<()> {
        match sys::mount::open_tree(dir, c"", sys::mount::Recursive::No, 0) {
            Err(err) if err.errno == Errno::EPERM => {}
            tree => self.cgroup_tree = Some(tree?),
        }
        for hierarchy in &mut self.hierarchies {
            let Some(own) = &hierarchy.own else { continue };
            let own = CString::new(own.as_os_str().as_bytes())?;
            let flags = sys::mount::Recursive::No;
            match sys::mount::open_tree(sys::mount::AT_FDCWD, &own, flags, 0) {
                Err(err) if err.errno == Errno::EPERM => {}
                tree => hierarchy.tree = Some(tree?),
            }
        }
        Ok(())
    }
}

pub(crate) fn is_eperm(err: &anyhow::Error) -> bool {
    err.chain().any(|cause| {
        cause.downcast_ref::<sys::Error>().is_some_and(|err| err.errno == nix::errno::Errno::EPERM)
    })
}

const NO_IDMAP: &str =
    "the source's file system does not support idmapped mounts; remove \"idmap\"";

/// A bind source with the ids that its mount shows.
pub(crate) fn open_bind(bind: &Bind) -> Result<OwnedFd> {
    let tree = mount::open_source(bind)?;
    if let Some(idmap) = &bind.idmap {
        let userns = userns::with_mappings(&idmap.uid_maps, &idmap.gid_maps)?;
        sys::mount::idmap(tree.as_fd(), mount::recursive(idmap.recursion), userns.as_fd())
            .map_err(|err| hinted(err, &[(Errno::EINVAL, NO_IDMAP)]))?;
    }
    Ok(tree)
}

/// `ioctl_nsfs(2)`, `NS_GET_NSTYPE`.
fn namespace_kind(fd: &OwnedFd) -> Option<Kind> {
    sys::clone::namespace_type(fd.as_fd()).ok().and_then(|flag| {
        Kind::ALL.into_iter().find(|kind| crate::launch::clone_flag(*kind).bits() == flag)
    })
}

/// The host's procfs, opened before any mount of the container. All label, sysctl and map writes
/// go through it, so that a mount over /proc cannot redirect them (CVE-2019-16884, CVE-2025-52881).
pub(crate) struct Procfs(OwnedFd);

impl Procfs {
    pub(crate) fn open() -> Result<Self> {
        let fd = sys::mount::open_path(sys::mount::AT_FDCWD, c"/proc")?;
        ensure!(
            mount::filesystem_magic(&fd)? == nix::sys::statfs::PROC_SUPER_MAGIC,
            "/proc is not procfs; mount it with: mount -t proc proc /proc"
        );
        Ok(Self(fd))
    }

    /// Opens a file that is really procfs's own: nothing mounted over it, no link out of it.
    pub(crate) fn open_file(&self, path: &str, flags: OFlag) -> Result<OwnedFd> {
        let path = CString::new(path)?;
        let inside = resolve::BENEATH | resolve::NO_XDEV | resolve::NO_MAGICLINKS;
        Ok(openat2(self.0.as_fd(), &path, flags, 0, inside)?)
    }

    /// Our pid as the host sees it, from inside any pid namespace.
    pub(crate) fn own_pid(&self) -> Result<i32> {
        let pid =
            nix::fcntl::readlinkat(&self.0, c"self").call(|| "readlinkat(/proc/self)".into())?;
        pid.to_string_lossy().parse().context("/proc/self")
    }

    /// The whole of a file.
    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>> {
        let fd = self.open_file(path, OFlag::O_RDONLY)?;
        Ok(sys::fd::read_all(&fd).call(|| format!("read(/proc/{path})"))?)
    }

    /// Writes a value in one write(2), as most files there want it.
    pub(crate) fn write(&self, path: &str, value: &[u8]) -> Result<()> {
        let fd = self.open_file(path, OFlag::O_WRONLY)?;
        let text = String::from_utf8_lossy(value);
        nix::unistd::write(&fd, value)
            .call(|| format!("write(/proc/{path}, {:?})", text.trim_end()))?;
        Ok(())
    }
}

impl AsFd for Procfs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// `AF_UNIX` stream to `--console-socket` or `--pidfd-socket`.
pub(crate) fn connect(path: &Path) -> Result<OwnedFd> {
    let stream = std::os::unix::net::UnixStream::connect(path)
        .map_err(|err| crate::config::io(&err))
        .with_context(|| format!("connect({})", path.display()))?;
    Ok(stream.into())
}
