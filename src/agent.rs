//! Hands the descriptor of seccomp notifications to the agent that `linux.seccomp.listenerPath`
//! names.
//!
//! Runs in: parent (`run`, `start`, `exec`), on the host. The descriptor comes from init's courier
//! (`listener.rs`). See config-linux.md, "The Container Process State".

use crate::container::state;
use crate::error::hinted;
use crate::plan::seccomp::Notify;
use crate::sync::{Channel, Message};
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket,
};
use serde_json::json;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

/// A connection to the agent: one for each process.
pub(crate) struct Agent<'a> {
    socket: OwnedFd,
    notify: &'a Notify,
}

impl<'a> Agent<'a> {
    /// Before the process is told to go on: without an agent nothing has happened yet. `None` when
    /// no rule of the filter notifies.
    pub(crate) fn connect(notify: Option<&'a Notify>) -> Result<Option<Self>> {
        let Some(notify) = notify else { return Ok(None) };
        let socket = dial(notify).with_context(|| notify.field())?;
        Ok(Some(Self { socket, notify }))
    }

    /// Takes the descriptor from the process behind `channel`, hands it on and lets the process go.
    /// `pid` is that of the process, `container` the state of its container.
    pub(crate) fn introduce(
        self,
        channel: &Channel,
        pid: i32,
        container: &state::Report<'_>,
    ) -> Result<()> {
        let listener = channel.expect_listener()?;
        self.send(&listener, &self.message(pid, container)).with_context(|| self.notify.field())?;
        // The agent's is now the only one: when it ends, whoever waits for it gets ENOSYS.
        drop(listener);
        channel.send(&Message::Go)
    }

    fn message(&self, pid: i32, container: &state::Report<'_>) -> String {
        let mut message = json!({
            "ociVersion": state::SPEC_VERSION,
            "fds": ["seccompFd"],
            "pid": pid,
            "state": container,
        });
        if let (Some(metadata), Some(message)) = (&self.notify.metadata, message.as_object_mut()) {
            message.insert("metadata".into(), json!(metadata));
        }
        message.to_string()
    }

    /// The descriptor goes with the first bytes; a long text takes more than one call.
    fn send(&self, listener: &OwnedFd, text: &str) -> Result<()> {
        let call = || format!("send({})", self.notify.listener_path.display());
        let mut rest = text.as_bytes();
        let sent = sys::fd::send_with(self.socket.as_fd(), rest, listener.as_fd());
        rest = rest.get(sent.call(call)?..).unwrap_or_default();
        while !rest.is_empty() {
            match send(self.socket.as_raw_fd(), rest, MsgFlags::MSG_NOSIGNAL) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(sys::Error::new(call(), errno).into()),
            }
        }
        Ok(())
    }
}

fn dial(notify: &Notify) -> Result<OwnedFd> {
    let path = &notify.listener_path;
    let call = || format!("connect({})", path.display());
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)
        .call(|| "socket(AF_UNIX, SOCK_STREAM)".into())?;
    // sun_path holds 107 bytes: the way to a longer path leads through a descriptor.
    let place = sys::fd::open(path, nix::fcntl::OFlag::O_PATH);
    let place = place.map_err(|err| sys::Error::new(call(), err.errno));
    let hints = [
        (Errno::ENOENT, "start the seccomp agent first, or correct the path"),
        (Errno::ECONNREFUSED, "start the seccomp agent: nothing listens on this socket"),
        (Errno::EPROTOTYPE, "the agent's socket must be of the type SOCK_STREAM"),
    ];
    let connected = place.and_then(|place| {
        let name = format!("/proc/self/fd/{}", place.as_raw_fd());
        UnixAddr::new(name.as_str())
            .and_then(|address| connect(socket.as_raw_fd(), &address))
            .call(call)
    });
    connected.map_err(|err| hinted(err, &hints))?;
    Ok(socket)
}
