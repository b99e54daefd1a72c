//! What a monitor and a command that looks on say to each other: one `SOCK_SEQPACKET` message each.
//!
//! Runs in: both.
//!
//!     command                     monitor
//!     Attach, Resize  -->         (before the start, when it is the one that starts it)
//!                     <--         Started, or Failed
//!     Input Resize Signal -->     <-- Output, Taken
//!     InputEnd, Detach -->        <-- Exited
//!     Check -->

use anyhow::{Result, bail};
use rustix::net::{RecvFlags, SendFlags};
use std::os::fd::{AsFd, BorrowedFd};

/// Longest piece of a stream in one message, in bytes.
pub(crate) const PIECE: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// The container runs.
    Started,
    /// It does not, and this is the exit code for that.
    Failed {
        code: i32,
        text: String,
    },
    Output(Stream, Vec<u8>),
    /// The exit code. The last message.
    Exited(i32),
    /// So many bytes of input have been taken: as many more may come.
    Taken(u32),
    /// Wants to be told what happens from now on.
    Attach {
        /// The container's input ends with this command's.
        ends_input: bool,
        /// All of the output has to arrive: the container waits for who reads slowly.
        patient: bool,
    },
    /// Goes away, and leaves all as it is.
    Detach,
    Input(Vec<u8>),
    InputEnd,
    Resize {
        rows: u16,
        columns: u16,
    },
    Signal(i32),
    /// Wants the health check to be made now.
    Check,
}

impl Message {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let with = |tag: u8, rest: &[u8]| [&[tag], rest].concat();
        match self {
            Self::Started => vec![b's'],
            Self::Failed { code, text } => {
                with(b'f', &[&code.to_le_bytes(), text.as_bytes()].concat())
            }
            Self::Output(Stream::Stdout, bytes) => with(b'1', bytes),
            Self::Output(Stream::Stderr, bytes) => with(b'2', bytes),
            Self::Exited(code) => with(b'x', &code.to_le_bytes()),
            Self::Taken(length) => with(b't', &length.to_le_bytes()),
            Self::Attach { ends_input, patient } => {
                with(b'a', &[u8::from(*ends_input), u8::from(*patient)])
            }
            Self::Detach => vec![b'd'],
            Self::Input(bytes) => with(b'0', bytes),
            Self::InputEnd => vec![b'e'],
            Self::Resize { rows, columns } => {
                with(b'r', &[rows.to_le_bytes(), columns.to_le_bytes()].concat())
            }
            Self::Signal(number) => with(b'k', &number.to_le_bytes()),
            Self::Check => vec![b'h'],
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let number = || Some(i32::from_le_bytes(rest.get(..4)?.try_into().ok()?));
        let half = |at: usize| Some(u16::from_le_bytes(rest.get(at..at + 2)?.try_into().ok()?));
        Some(match tag {
            b's' => Self::Started,
            b'f' => {
                let text = String::from_utf8_lossy(rest.get(4..)?).into_owned();
                Self::Failed { code: number()?, text }
            }
            b'1' => Self::Output(Stream::Stdout, rest.to_vec()),
            b'2' => Self::Output(Stream::Stderr, rest.to_vec()),
            b'x' => Self::Exited(number()?),
            b't' => Self::Taken(number()?.try_into().ok()?),
            b'a' => Self::Attach { ends_input: *rest.first()? != 0, patient: *rest.get(1)? != 0 },
            b'd' => Self::Detach,
            b'0' => Self::Input(rest.to_vec()),
            b'e' => Self::InputEnd,
            b'r' => Self::Resize { rows: half(0)?, columns: half(2)? },
            b'k' => Self::Signal(number()?),
            b'h' => Self::Check,
            _ => return None,
        })
    }
}

/// False when the other side takes nothing more just now.
pub(crate) fn send(socket: BorrowedFd<'_>, message: &[u8]) -> Result<bool> {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    loop {
        match rustix::net::send(socket, message, flags) {
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => return Ok(false),
            Err(errno) => bail!("send to the monitor: {errno}"),
        }
    }
}

/// `None` when the other side is gone.
pub(crate) fn receive(socket: impl AsFd) -> Result<Option<Message>> {
    let mut bytes = vec![0; PIECE + 1024];
    loop {
        match rustix::net::recv(&socket, &mut *bytes, RecvFlags::empty()) {
            Ok((0, _)) => return Ok(None),
            Ok((length, _)) => match bytes.get(..length).and_then(Message::decode) {
                Some(message) => return Ok(Some(message)),
                None => bail!("a message of another version of bundles"),
            },
            // The latter is told once when the other side went without reading all: what it has
            // said before can still be received.
            Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
            Err(errno) => bail!("receive: {errno}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way() {
        for message in [
            Message::Started,
            Message::Failed { code: 127, text: "why".into() },
            Message::Output(Stream::Stdout, vec![1, 2]),
            Message::Output(Stream::Stderr, vec![]),
            Message::Exited(-1),
            Message::Taken(9),
            Message::Attach { ends_input: true, patient: false },
            Message::Detach,
            Message::Input(vec![0; PIECE]),
            Message::InputEnd,
            Message::Resize { rows: 24, columns: 80 },
            Message::Signal(15),
            Message::Check,
        ] {
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
    }

    #[test]
    fn cut_messages_are_none() {
        for bytes in [&b""[..], b"x12", b"r1", b"f", b"a1", b"?"] {
            assert_eq!(Message::decode(bytes), None);
        }
    }
}
