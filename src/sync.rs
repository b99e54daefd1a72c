//! The only words parent and init say to each other.
//!
//! One `SOCK_SEQPACKET` pair, both ends close-on-exec: a read is a whole message, and end-of-file
//! on the parent's side means that execve(2) succeeded. `rt start` speaks the last leg over the
//! start socket in the same words.
//!
//! ```text
//! parent                          init
//!   Go          ------------------>        ids are mapped, limits of other namespaces are set
//!               <------------------  Mounted    (only when the parent acts now)
//!   [network devices, prestart, createRuntime hooks]
//!   HooksDone   ------------------>
//!               <------------------  Ready      parked, unprivileged
//!   Created     ------------------>        state is on disk: outlive the parent
//!               <------------------  HooksDone  (over the start socket, after startContainer hooks)
//!               <------------------  Listener   (with the descriptor of seccomp notifications)
//!   Go          ------------------>        (the agent has it)
//!               <------------------  Failed     at any time, instead of the next word
//! ```
//!
//! For exec, and for a new container in a user namespace that is there, a doorkeeper comes first. It
//! enters the container and stays invisible there:
//!
//! ```text
//! parent                          doorkeeper            init
//!   Go          ------------------>        enter the container, give up all rights
//!               <------------------  Born              and end
//!   Go          ---------------------------------------->
//!               <----------------------------------------  Ready
//!   Created     ---------------------------------------->
//! ```

use crate::error::{self, Hint};
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result, anyhow, bail};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Go,
    Mounted,
    HooksDone,
    Ready,
    Created,
    /// The pid of the container's new process, as the parent sees it.
    Born(i32),
    /// Comes with a descriptor.
    Listener,
    Failed {
        text: String,
        hint: Option<String>,
    },
}

/// Longest message in bytes; a longer error text is cut, never split.
const MAX: usize = 8192;

impl Message {
    pub(crate) fn failed(err: &anyhow::Error) -> Self {
        Self::Failed { text: error::chain(err), hint: error::hint(err).map(String::from) }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Go => vec![b'G'],
            Self::Mounted => vec![b'M'],
            Self::HooksDone => vec![b'H'],
            Self::Ready => vec![b'R'],
            Self::Created => vec![b'C'],
            Self::Listener => vec![b'L'],
            Self::Born(pid) => [&b"B"[..], &pid.to_ne_bytes()].concat(),
            Self::Failed { text, hint } => {
                let mut bytes = vec![b'F'];
                bytes.extend_from_slice(cut(text, MAX / 2).as_bytes());
                if let Some(hint) = hint {
                    bytes.push(0);
                    bytes.extend_from_slice(cut(hint, MAX / 4).as_bytes());
                }
                bytes
            }
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        Ok(match bytes {
            [b'G'] => Self::Go,
            [b'M'] => Self::Mounted,
            [b'H'] => Self::HooksDone,
            [b'R'] => Self::Ready,
            [b'C'] => Self::Created,
            [b'L'] => Self::Listener,
            [b'B', a, b, c, d] => Self::Born(i32::from_ne_bytes([*a, *b, *c, *d])),
            [b'F', rest @ ..] => {
                let text = String::from_utf8_lossy(rest);
                let (text, hint) = match text.split_once('\0') {
                    Some((text, hint)) => (text, Some(hint.to_string())),
                    None => (text.as_ref(), None),
                };
                Self::Failed { text: text.to_string(), hint }
            }
            other => bail!("internal error, please report: message {other:?}"),
        })
    }
}

fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// One end of the conversation.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

impl Channel {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    pub(crate) fn pair() -> Result<(Self, Self)> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (a, b) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)
            .call(|| "socketpair(AF_UNIX, SOCK_SEQPACKET)".into())?;
        Ok((Self(a), Self(b)))
    }

    pub(crate) fn send(&self, message: &Message) -> Result<()> {
        let bytes = message.encode();
        loop {
            match send(self.0.as_raw_fd(), &bytes, MsgFlags::MSG_NOSIGNAL) {
                Err(Errno::EINTR) => {}
                Err(Errno::EPIPE) => return Err(Gone.into()),
                other => return Ok(other.map(drop).call(|| format!("send({message:?})"))?),
            }
        }
    }

    /// `None` is end-of-file: the peer exec'ed, exited or was killed.
    pub(crate) fn recv(&self) -> Result<Option<Message>> {
        let mut buf = [0; MAX];
        loop {
            match recv(self.0.as_raw_fd(), &mut buf, MsgFlags::empty()) {
                Ok(0) => return Ok(None),
                Ok(n) => return Message::decode(buf.get(..n).unwrap_or_default()).map(Some),
                Err(Errno::EINTR) => {}
                // It was killed before it had read our last word.
                Err(Errno::ECONNRESET) => return Err(Gone.into()),
                Err(errno) => return Err(sys::Error::new("recv()", errno).into()),
            }
        }
    }

    /// Waits for exactly this word.
    pub(crate) fn expect(&self, wanted: &Message) -> Result<()> {
        match self.recv().with_context(|| format!("wait for {wanted:?}"))? {
            Some(message) if message == *wanted => Ok(()),
            Some(Message::Failed { text, hint }) => Err(failure(text, hint)),
            Some(other) => bail!("internal error, please report: {other:?} instead of {wanted:?}"),
            None => Err(Gone.into()),
        }
    }

    /// Waits for the pid of the process that goes on with the conversation.
    pub(crate) fn expect_born(&self) -> Result<i32> {
        match self.recv().context("wait for the process in the container")? {
            Some(Message::Born(pid)) => Ok(pid),
            Some(Message::Failed { text, hint }) => Err(failure(text, hint)),
            Some(other) => bail!("internal error, please report: {other:?} instead of Born"),
            None => Err(Gone.into()),
        }
    }

    /// Hands over the descriptor of seccomp notifications.
    pub(crate) fn send_listener(&self, listener: &OwnedFd) -> Result<(), sys::Error> {
        let bytes = Message::Listener.encode();
        sys::fd::send_with(self.0.as_fd(), &bytes, listener.as_fd())
            .map(drop)
            .call(|| "send(Listener)".into())
    }

    /// Waits for it.
    pub(crate) fn expect_listener(&self) -> Result<OwnedFd> {
        let mut buf = [0; MAX];
        let (length, fd) = sys::fd::receive_with(self.0.as_fd(), &mut buf)?;
        if length == 0 {
            return Err(Gone.into());
        }
        match (Message::decode(buf.get(..length).unwrap_or_default())?, fd) {
            (Message::Listener, Some(fd)) => Ok(fd),
            (Message::Failed { text, hint }, _) => Err(failure(text, hint)),
            (other, _) => bail!("internal error, please report: {other:?} instead of Listener"),
        }
    }

    /// Waits until the peer exec'ed.
    pub(crate) fn expect_exec(&self) -> Result<()> {
        match self.recv()? {
            None => Ok(()),
            Some(Message::Failed { text, hint }) => Err(failure(text, hint)),
            Some(other) => bail!("internal error, please report: {other:?} instead of the payload"),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The peer ended without a word. The caller finds out how.
#[derive(Debug)]
pub(crate) struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the other side went away")
    }
}

impl std::error::Error for Gone {}

fn failure(text: String, hint: Option<String>) -> anyhow::Error {
    match hint {
        Some(hint) => anyhow!(text).context(Hint(hint)),
        None => anyhow!(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_trip() {
        let failed = Message::Failed { text: "mounts[3]: no".into(), hint: Some("do this".into()) };
        for message in
            [Message::Go, Message::Mounted, Message::HooksDone, Message::Born(4_194_303), failed]
        {
            assert_eq!(Message::decode(&message.encode()).unwrap(), message);
        }
        assert!(Message::decode(b"").is_err());
        assert!(Message::decode(b"x").is_err());
    }

    #[test]
    fn long_error_text_is_cut_on_a_char_boundary() {
        let text = "ä".repeat(MAX);
        let bytes = Message::Failed { text: text.clone(), hint: Some(text) }.encode();
        assert!(bytes.len() <= MAX);
        let Message::Failed { text, hint } = Message::decode(&bytes).unwrap() else { panic!() };
        assert!(text.chars().all(|c| c == 'ä') && hint.unwrap().chars().all(|c| c == 'ä'));
    }
}
