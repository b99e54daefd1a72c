//! The directory that is bound into a container whose payload may talk to the service manager.
//!
//! Runs in: parent. `create` makes the directory, since the mount needs it; `run` and `start` put
//! the socket into it, since a socket lives no longer than its process.

use super::Dir;
use crate::sys::{self, Call as _};
use anyhow::Result;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, bind, socket};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, OwnedFd};

const DIRECTORY: &CStr = c"notify";
const SOCKET: &CStr = c"notify/notify.sock";

impl Dir {
    pub(crate) fn make_notify_directory(&self) -> Result<()> {
        let call = |name: &str| format!("{name}({}/notify)", self.path.display());
        let mode = Mode::from_bits_truncate(0o755);
        mkdirat(&self.fd, DIRECTORY, mode).call(|| call("mkdir"))?;
        // Engines run with any umask, and the payload with any user.
        fchmodat(&self.fd, DIRECTORY, mode, FchmodatFlags::FollowSymlink).call(|| call("chmod"))?;
        Ok(())
    }

    /// A datagram socket for everybody in the container. `None`: it was created without.
    pub(crate) fn bind_notify_socket(&self) -> Result<Option<OwnedFd>> {
        let call = |name: &str| format!("{name}({}/notify/notify.sock)", self.path.display());
        match fstatat(&self.fd, DIRECTORY, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => return Ok(None),
            other => other.call(|| call("stat"))?,
        };
        // Of a start that failed.
        match unlinkat(&self.fd, SOCKET, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(sys::Error::new(call("unlink"), errno).into()),
        }
        let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
            .call(|| "socket(AF_UNIX, SOCK_DGRAM)".into())?;
        let address = self.socket_address(SOCKET)?;
        bind(socket.as_raw_fd(), &address).call(|| call("bind"))?;
        let all = Mode::from_bits_truncate(0o777);
        fchmodat(&self.fd, SOCKET, all, FchmodatFlags::FollowSymlink).call(|| call("chmod"))?;
        Ok(Some(socket))
    }

    pub(super) fn remove_notify_directory(&self) -> Result<()> {
        self.unlink_one(SOCKET, UnlinkatFlags::NoRemoveDir)?;
        self.unlink_one(DIRECTORY, UnlinkatFlags::RemoveDir)
    }
}
