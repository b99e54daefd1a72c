//! A container's directory below `--root`: lock, state, saved config, start socket.
//!
//! Runs in: parent. The directory itself is the lock, so there is no lock file to leak, and a
//! removed container cannot be locked again. The status is never stored: the kernel knows it.
//!
//! ```text
//! ROOT/ID/state.json    written by rename(2)
//! ROOT/ID/config.json   the config as it was at create, for exec
//! ROOT/ID/start.sock    init listens there until it becomes the payload
//! ROOT/ID/notify/       for a payload that talks to the service manager
//! ```

mod notify;
pub(crate) mod state;

use crate::cgroup::Cgroup;
use crate::error::OrHint as _;
use crate::proc;
use crate::sys::{self, Call as _, clone};
use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use nix::fcntl::{FlockArg, OFlag, openat, renameat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket,
};
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use state::{Process, State, Status};
use std::ffi::CString;
use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

const STATE: &std::ffi::CStr = c"state.json";
const STATE_NEW: &std::ffi::CStr = c"state.json.new";
const CONFIG: &std::ffi::CStr = c"config.json";
const START: &std::ffi::CStr = c"start.sock";

/// How a directory is locked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// One at a time: create, start, delete, update, pause, resume.
    Exclusive,
    /// Only a look. `state.json` is always whole.
    None,
}

/// The container may have been removed while we waited for its lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locked {
    Yes,
    Gone,
}

/// An open container directory.
pub(crate) struct Dir {
    path: PathBuf,
    fd: OwnedFd,
}

/// The characters that runc and crun allow; a container's id is a file name and part of others.
pub(crate) fn check_id(id: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    ensure!(!id.is_empty(), "container id: empty");
    ensure!(id.len() <= 1024, "container id: {} bytes long, at most 1024 are allowed", id.len());
    ensure!(
        id.chars().all(allowed) && id != "." && id != "..",
        "container id {id:?}: invalid id format; use letters, digits, and _ + - ."
    );
    Ok(())
}

impl Dir {
    /// Makes the directory of a new container and locks it.
    pub(crate) fn create(root: &Path, id: &str) -> Result<Self> {
        check_id(id)?;
        let at = open_root(root)?;
        let name = CString::new(id)?;
        match mkdirat(&at, name.as_c_str(), Mode::from_bits_truncate(0o711)) {
            Ok(()) => {}
            Err(Errno::EEXIST) => {
                return Err(anyhow::anyhow!("container with id {id:?} already exists"))
                    .hint(format!("choose another id, or remove it with: rt delete --force {id}"));
            }
            Err(errno) => {
                let call = format!("mkdir({:?})", root.join(id));
                return Err(sys::Error::new(call, errno).into());
            }
        }
        let opened = Self::open(root, id, Lock::Exclusive).inspect_err(|_err| {
            // Empty, or somebody else's by now; the error is the one to tell.
            unlinkat(&at, name.as_c_str(), UnlinkatFlags::RemoveDir).ok();
        })?;
        opened.with_context(|| format!("container {id:?} was deleted while it was being created"))
    }

    /// `None`: there is no such container.
    pub(crate) fn open(root: &Path, id: &str, lock: Lock) -> Result<Option<Self>> {
        check_id(id)?;
        let path = root.join(id);
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let fd = match sys::fd::open(&path, flags) {
            Err(err) if matches!(err.errno, Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
            other => {
                other.hint("use the --root and the user that the container was created with")?
            }
        };
        let dir = Self { path, fd };
        dir.check_owner()?;
        if lock == Lock::Exclusive && dir.lock()? == Locked::Gone {
            return Ok(None);
        }
        Ok(Some(dir))
    }

    /// Hooks and pids are taken from what is stored here: its owner decides what we run and signal.
    fn check_owner(&self) -> Result<()> {
        let owner = fstat(&self.fd).call(|| format!("fstat({})", self.path.display()))?.st_uid;
        let own = nix::unistd::geteuid().as_raw();
        if owner == own {
            return Ok(());
        }
        Err(anyhow::anyhow!(
            "{} belongs to uid {owner}, who could make rt do anything as uid {own}",
            self.path.display()
        ))
        .hint(format!("become that user, for example by: setpriv --reuid {owner} --regid {owner} --clear-groups rt ..."))
    }

    pub(crate) fn lock(&self) -> Result<Locked> {
        flock(&self.fd, FlockArg::LockExclusive)?;
        let links = fstat(&self.fd).call(|| format!("fstat({})", self.path.display()))?.st_nlink;
        Ok(if links == 0 { Locked::Gone } else { Locked::Yes })
    }

    pub(crate) fn unlock(&self) -> Result<()> {
        flock(&self.fd, FlockArg::Unlock)
    }

    /// Like [`Dir::open`], for commands that need the container.
    pub(crate) fn existing(root: &Path, id: &str, lock: Lock) -> Result<Self> {
        match Self::open(root, id, lock)? {
            Some(dir) => Ok(dir),
            None => Err(absent(id)).hint("list the containers with: rt list"),
        }
    }

    pub(crate) fn read_state(&self) -> Result<Option<State>> {
        let Some(bytes) = self.read(STATE)? else { return Ok(None) };
        let state = serde_json::from_str(&String::from_utf8_lossy(&bytes));
        state.with_context(|| self.path.join("state.json").display().to_string()).map(Some)
    }

    /// The state of a container whose creation came that far.
    pub(crate) fn state(&self) -> Result<State> {
        let id = self.path.file_name().unwrap_or_default().to_string_lossy();
        match self.read_state()? {
            Some(state) => Ok(state),
            None => {
                Err(anyhow::anyhow!("container {id:?} is incomplete: its creation was cut off"))
                    .hint(format!("remove it with: rt delete --force {id}"))
            }
        }
    }

    pub(crate) fn write_state(&self, state: &State) -> Result<()> {
        self.write(STATE_NEW, &serde_json::to_vec(state)?)?;
        renameat(&self.fd, STATE_NEW, &self.fd, STATE)
            .call(|| format!("rename({}/state.json)", self.path.display()))?;
        Ok(())
    }

    pub(crate) fn save_config(&self, bytes: &[u8]) -> Result<()> {
        self.write(CONFIG, bytes)
    }

    pub(crate) fn saved_config(&self) -> Result<Vec<u8>> {
        let path = || self.path.join("config.json").display().to_string();
        self.read(CONFIG)?.with_context(|| format!("{}: no such file or directory", path()))
    }

    fn read(&self, name: &std::ffi::CStr) -> Result<Option<Vec<u8>>> {
        let fd = match openat(&self.fd, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => {
                return Err(sys::Error::new(
                    format!("open({}/{name:?})", self.path.display()),
                    errno,
                )
                .into());
            }
        };
        let bytes = sys::fd::read_all(&fd);
        Ok(Some(bytes.call(|| format!("read({}/{name:?})", self.path.display()))?))
    }

    fn write(&self, name: &std::ffi::CStr, bytes: &[u8]) -> Result<()> {
        let flags = OFlag::O_WRONLY
            | OFlag::O_CREAT
            | OFlag::O_TRUNC
            | OFlag::O_NOFOLLOW
            | OFlag::O_CLOEXEC;
        let call = || format!("open({}/{})", self.path.display(), name.to_string_lossy());
        let fd = openat(&self.fd, name, flags, Mode::from_bits_truncate(0o600)).call(call)?;
        std::fs::File::from(fd)
            .write_all(bytes)
            .map_err(|err| crate::config::io(&err))
            .with_context(call)
    }

    /// Opens the socket that init listens on for `rt start`.
    pub(crate) fn listen(&self) -> Result<OwnedFd> {
        let socket = seqpacket()?;
        let address = self.socket_address(START)?;
        // Whoever may write to the socket may start the container, and engines run with any umask.
        let umask = nix::sys::stat::umask(Mode::from_bits_truncate(0o077));
        let bound = bind(socket.as_raw_fd(), &address);
        nix::sys::stat::umask(umask);
        bound.call(|| format!("bind({}/start.sock)", self.path.display()))?;
        listen(&socket, Backlog::new(1).unwrap_or(Backlog::MAXCONN))
            .call(|| "listen(start.sock)".into())?;
        Ok(socket)
    }

    /// Tells a parked init to go on. `None`: nobody is parked.
    pub(crate) fn connect_start(&self) -> Result<Option<OwnedFd>> {
        let socket = seqpacket()?;
        match connect(socket.as_raw_fd(), &self.socket_address(START)?) {
            Ok(()) => Ok(Some(socket)),
            Err(Errno::ECONNREFUSED | Errno::ENOENT) => Ok(None),
            Err(errno) => {
                Err(sys::Error::new(format!("connect({}/start.sock)", self.path.display()), errno)
                    .into())
            }
        }
    }

    /// Does init still wait for `rt start`? Asked with a socket of another type, which the kernel
    /// refuses in two different ways and init never notices.
    fn is_parked(&self) -> Result<bool> {
        let probe = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
            .call(|| "socket(AF_UNIX, SOCK_DGRAM)".into())?;
        match connect(probe.as_raw_fd(), &self.socket_address(START)?) {
            Err(Errno::EPROTOTYPE) => Ok(true),
            Err(Errno::ECONNREFUSED | Errno::ENOENT) | Ok(()) => Ok(false),
            Err(errno) => {
                Err(sys::Error::new(format!("connect({}/start.sock)", self.path.display()), errno)
                    .into())
            }
        }
    }

    /// `sun_path` holds 107 bytes and engines use long roots, so the way leads through our
    /// descriptor.
    fn socket_address(&self, name: &std::ffi::CStr) -> Result<UnixAddr> {
        let path = format!("/proc/self/fd/{}/{}", self.fd.as_raw_fd(), name.to_string_lossy());
        Ok(UnixAddr::new(path.as_str())?)
    }

    pub(crate) fn status(&self, state: &State) -> Result<Status> {
        let Some(init) = state.init else { return Ok(Status::Creating) };
        if open_process(init)?.is_none() {
            return Ok(Status::Stopped);
        }
        if let Some(cgroup) = self.cgroup(state)?
            && cgroup.is_frozen().unwrap_or(false)
        {
            return Ok(Status::Paused);
        }
        Ok(if self.is_parked()? { Status::Created } else { Status::Running })
    }

    /// The container's own cgroup, if it has one and it still exists.
    pub(crate) fn cgroup(&self, state: &State) -> Result<Option<Cgroup>> {
        state.cgroup.as_deref().map_or(Ok(None), |path| Cgroup::open(path, &state.cgroup_v1))
    }

    /// Removes the directory and everything in it.
    pub(crate) fn remove(&self) -> Result<()> {
        // What is always there first: most often that is all.
        self.unlink(&[CONFIG, STATE])?;
        if std::fs::remove_dir(&self.path).is_ok() {
            return Ok(());
        }
        self.unlink(&[STATE_NEW, START])?;
        self.remove_notify_directory()?;
        std::fs::remove_dir(&self.path)
            .map_err(|err| crate::config::io(&err))
            .with_context(|| format!("rmdir({})", self.path.display()))
    }

    fn unlink(&self, names: &[&std::ffi::CStr]) -> Result<()> {
        names.iter().try_for_each(|name| self.unlink_one(name, UnlinkatFlags::NoRemoveDir))
    }

    fn unlink_one(&self, name: &std::ffi::CStr, flag: UnlinkatFlags) -> Result<()> {
        match unlinkat(&self.fd, name, flag) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => {
                let call = format!("unlink({}/{})", self.path.display(), name.to_string_lossy());
                Err(sys::Error::new(call, errno).into())
            }
        }
    }

    /// In the child: flock(2) belongs to the open file, and a parked init must not hold it.
    pub(crate) fn unlock_in_child(&self) {
        // Nothing can be done about EBADF, and nobody uses the descriptor afterwards: init never
        // returns to the caller's frames.
        nix::unistd::close(self.fd.as_raw_fd()).ok();
    }
}

fn seqpacket() -> Result<OwnedFd> {
    Ok(socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)
        .call(|| "socket(AF_UNIX, SOCK_SEQPACKET)".into())?)
}

/// The words "does not exist" are grepped by containerd's shim.
pub(crate) fn absent(id: &str) -> anyhow::Error {
    anyhow::anyhow!("container {id:?} does not exist")
}

fn flock(fd: &OwnedFd, how: FlockArg) -> Result<()> {
    loop {
        #[expect(
            deprecated,
            reason = "nix's replacement owns the descriptor, which is more than a lock here"
        )]
        match nix::fcntl::flock(fd.as_raw_fd(), how) {
            Err(Errno::EINTR) => {}
            other => return Ok(other.call(|| format!("flock({})", sys::show(fd.as_fd())))?),
        }
    }
}

fn open_root(root: &Path) -> Result<OwnedFd> {
    const HINT: &str = "with --root choose a directory that you can write to";
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    match sys::fd::open(root, flags) {
        Err(err) if err.errno == Errno::ENOENT => {
            use std::os::unix::fs::DirBuilderExt as _;
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o711)
                .create(root)
                .map_err(|err| crate::config::io(&err))
                .with_context(|| format!("mkdir({})", root.display()))
                .hint(HINT)?;
            Ok(sys::fd::open(root, flags)?)
        }
        other => other.hint(HINT),
    }
}

/// Every container below `root`, sorted by id.
pub(crate) fn ids(root: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(err) => {
            return Err(crate::config::io(&err)).with_context(|| root.display().to_string());
        }
    };
    let mut ids: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|id| check_id(id).is_ok())
        .collect();
    ids.sort();
    Ok(ids)
}

/// A pidfd of exactly this process; `None` when all its threads have ended, reaped or not.
pub(crate) fn open_process(process: Process) -> Result<Option<OwnedFd>> {
    let pidfd = match clone::pidfd_open(process.pid) {
        Ok(pidfd) => pidfd,
        Err(err) if err.errno == Errno::ESRCH => return Ok(None),
        Err(err) => return Err(err.into()),
    };
    // Read after the pidfd exists: if this is the right process, the pidfd is, too.
    let same = proc::stat(process.pid).is_some_and(|stat| stat.start_time == process.start_time);
    let lives = same && inode(&pidfd)? == process.pidfd_inode && !has_ended(&pidfd);
    Ok(lives.then_some(pidfd))
}

/// The state letter Z of /proc would not do: so is the first thread that ended before the others.
fn has_ended(pidfd: &OwnedFd) -> bool {
    poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(1)
}

/// What to remember of a living process, to know it again.
pub(crate) fn identify(pid: i32, pidfd: &OwnedFd) -> Result<Option<Process>> {
    let Some(stat) = proc::stat(pid) else { return Ok(None) };
    Ok(Some(Process { pid, start_time: stat.start_time, pidfd_inode: inode(pidfd)? }))
}

fn inode(pidfd: &OwnedFd) -> sys::Result<u64> {
    Ok(fstat(pidfd).call(|| format!("fstat({})", sys::show(pidfd.as_fd())))?.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_file_names_of_plain_characters() {
        for good in ["web", "a.b_c-d+e", "0123", &"x".repeat(200)] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", "a\0b", "-/"] {
            assert!(check_id(bad).is_err(), "{bad}");
        }
    }
}
