//! One connection: what a client sends goes to the container by splice(2), through a pipe, and back
//! through another. No byte is copied into this process.
//!
//! Runs in: the monitor. A pipe is filled only when it is empty, so a side that is slow to read
//! stops the other side from sending, and memory stays bounded.

use super::Token;
use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{Shutdown, sockopt};
use rustix::pipe::{PipeFlags, SpliceFlags};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Most that is passed on by one call, in bytes; the kernel takes as much as the pipe has room for.
const MOST: usize = 1 << 20;
/// Pipes filled and emptied for one side before others have their turn.
const ROUNDS: usize = 4;

pub(super) struct Connection {
    client: End,
    server: End,
    up: Flow,
    down: Flow,
    connecting: bool,
}

struct End {
    socket: OwnedFd,
    token: Token,
    /// What is waited for now. Nothing means that epoll does not know the socket: it would report
    /// a hang-up again and again.
    interest: EventFlags,
}

/// One direction.
struct Flow {
    read: OwnedFd,
    write: OwnedFd,
    /// Bytes in the pipe.
    held: usize,
    /// The sender has no more to say.
    ended: bool,
    /// And the receiver knows.
    told: bool,
}

impl Connection {
    /// `server` may still be connecting.
    pub(super) fn new(
        epoll: &OwnedFd,
        id: u64,
        client: OwnedFd,
        server: OwnedFd,
    ) -> Result<Self, Errno> {
        for socket in [&client, &server] {
            sockopt::set_tcp_nodelay(socket, true)?;
            sockopt::set_socket_keepalive(socket, true)?; // of one that vanished nothing comes
        }
        let end = |socket, inner| End {
            socket,
            token: Token { id, inner },
            interest: EventFlags::empty(),
        };
        let mut connection = Self {
            client: end(client, false),
            server: end(server, true),
            up: Flow::new()?,
            down: Flow::new()?,
            connecting: true,
        };
        connection.watch(epoll)?;
        Ok(connection)
    }

    /// After an event; false when it is over.
    pub(super) fn go_on(&mut self, epoll: &OwnedFd, inner: bool, flags: EventFlags) -> bool {
        let done = self.advance(inner, flags).and_then(|over| self.watch(epoll).map(|()| over));
        if done.is_err() {
            // Neither may take it for a regular end.
            reset(&self.client.socket);
            reset(&self.server.socket);
        }
        done == Ok(false)
    }

    fn advance(&mut self, inner: bool, flags: EventFlags) -> Result<bool, Errno> {
        if self.connecting {
            if inner && flags.intersects(EventFlags::OUT | EventFlags::ERR | EventFlags::HUP) {
                sockopt::socket_error(&self.server.socket)??;
                self.connecting = false;
            }
            return Ok(false);
        }
        if flags.contains(EventFlags::ERR) {
            let socket = if inner { &self.server.socket } else { &self.client.socket };
            sockopt::socket_error(socket)??;
        }
        self.up.pass(&self.client.socket, &self.server.socket)?;
        self.down.pass(&self.server.socket, &self.client.socket)?;
        Ok(self.up.told && self.down.told)
    }

    fn watch(&mut self, epoll: &OwnedFd) -> Result<(), Errno> {
        if self.connecting {
            return self.server.watch(epoll, EventFlags::OUT);
        }
        let interest = |from: &Flow, to: &Flow| {
            let mut flags = EventFlags::empty();
            flags.set(EventFlags::IN, from.held == 0 && !from.ended);
            flags.set(EventFlags::OUT, to.held > 0);
            flags
        };
        self.client.watch(epoll, interest(&self.up, &self.down))?;
        self.server.watch(epoll, interest(&self.down, &self.up))
    }
}

impl End {
    fn watch(&mut self, epoll: &OwnedFd, wanted: EventFlags) -> Result<(), Errno> {
        let old = std::mem::replace(&mut self.interest, wanted);
        match (old.is_empty(), wanted.is_empty()) {
            _ if old == wanted => Ok(()),
            (true, _) => epoll::add(epoll, &self.socket, self.token.data(), wanted),
            (false, true) => epoll::delete(epoll, &self.socket),
            (false, false) => epoll::modify(epoll, &self.socket, self.token.data(), wanted),
        }
    }
}

impl Flow {
    fn new() -> Result<Self, Errno> {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self { read, write, held: 0, ended: false, told: false })
    }

    fn pass(&mut self, from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
        for _ in 0..ROUNDS {
            if self.held == 0 && !self.ended {
                match splice(from, &self.write, MOST)? {
                    Some(0) => self.ended = true,
                    Some(length) => self.held = length,
                    None => return Ok(()),
                }
            }
            if self.held > 0 {
                self.held -= splice(&self.read, to, self.held)?.unwrap_or(0);
            }
            if self.held > 0 {
                return Ok(());
            }
            if self.ended {
                if !self.told {
                    // It may be gone already, and then it knows.
                    rustix::net::shutdown(to, Shutdown::Write).ok();
                    self.told = true;
                }
                return Ok(());
            }
        }
        Ok(())
    }
}

/// `None` when it would have to wait.
fn splice(from: impl AsFd, to: impl AsFd, most: usize) -> Result<Option<usize>, Errno> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    match rustix::pipe::splice(from, None, to, None, most, flags) {
        Ok(length) => Ok(Some(length)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Closing it will tell the other side that something was lost.
pub(super) fn reset(socket: &OwnedFd) {
    sockopt::set_socket_linger(socket, Some(Duration::ZERO)).ok(); // or it ends as usual
}
