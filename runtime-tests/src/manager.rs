//! A service manager: the other end of `sd_notify(3)`.
//!
//! Runs in: the test process.
#![expect(unsafe_code, reason = "descriptors out of a message")]

use std::io::IoSliceMut;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};

use crate::isolate;

/// Longest that a message may take, in milliseconds.
const PATIENCE: u16 = 8000;

/// A socket as `NOTIFY_SOCKET` names it.
#[derive(Debug)]
pub struct Manager {
    socket: UnixDatagram,
    name: String,
}

/// One datagram.
#[derive(Debug)]
pub struct Message {
    pub text: String,
    pub fds: Vec<OwnedFd>,
}

impl Manager {
    /// In the test's scratch directory.
    pub fn new() -> Self {
        let path = isolate::scratch().join("manager.sock");
        let name = path.to_str().expect("UTF-8").to_owned();
        Self { socket: UnixDatagram::bind(path).expect("bind the manager's socket"), name }
    }

    /// With an abstract name.
    pub fn abstract_one() -> Self {
        let name = isolate::new_id();
        let address = SocketAddr::from_abstract_name(&name).expect("an address");
        let socket = UnixDatagram::bind_addr(&address).expect("bind the manager's socket");
        Self { socket, name: format!("@{name}") }
    }

    /// The value of `NOTIFY_SOCKET`.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn has_message(&self, patience: u16) -> bool {
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(patience)).expect("poll") > 0
    }

    /// Nothing has come so far.
    pub fn is_silent(&self) -> bool {
        !self.has_message(0)
    }

    /// The next message; the test fails when none comes.
    #[track_caller]
    pub fn next(&self) -> Message {
        assert!(self.has_message(PATIENCE), "no message came");
        let mut buf = [0; 4096];
        let mut space = nix::cmsg_space!([i32; 8]);
        let mut data = [IoSliceMut::new(&mut buf)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<UnixAddr>(fd, &mut data, Some(&mut space), flags).expect("recvmsg");
        let length = message.bytes;
        let mut fds = Vec::new();
        for part in message.cmsgs().expect("control messages") {
            if let ControlMessageOwned::ScmRights(new) = part {
                // SAFETY: the kernel has just put these into our table.
                fds.extend(new.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        Message { text: String::from_utf8_lossy(&buf[..length]).into_owned(), fds }
    }

    /// The lines of all messages up to the next barrier, which is let pass.
    #[track_caller]
    pub fn until_barrier(&self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let message = self.next();
            if message.text == "BARRIER=1" {
                assert_eq!(message.fds.len(), 1, "a barrier comes with one descriptor");
                return lines;
            }
            assert!(message.fds.is_empty(), "descriptors with {:?}", message.text);
            lines.extend(message.text.lines().map(str::to_owned));
        }
    }
}

impl Default for Manager {
    fn default() -> Self {
        Self::new()
    }
}
