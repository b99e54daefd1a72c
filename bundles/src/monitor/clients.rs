//! Commands that look on: each is a connection to the monitor.
//!
//! Runs in: the monitor, in the container's directory.

use super::wire::{self, Message};
use anyhow::{Context as _, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::collections::VecDeque;
use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Where the monitor listens, in the container's directory.
pub(crate) const SOCKET: &str = "attach.sock";

/// What one that reads slowly may be behind, in bytes, before it is left behind.
const MOST_QUEUED: usize = 1 << 20;
/// How long one that does not read may keep the monitor after the container's end.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);

/// All of them, and the socket where more come in.
pub(super) struct Clients {
    listener: OwnedFd,
    all: Vec<Client>,
}

struct Client {
    socket: OwnedFd,
    /// It has started this monitor, and waits for an answer about that.
    is_first: bool,
    /// `None` when it does not look on.
    look: Option<Look>,
    /// Messages that it has not taken yet, and their bytes.
    queue: VecDeque<Rc<[u8]>>,
    queued: usize,
    /// Bytes of its input that it has not been told about.
    untold: usize,
    is_gone: bool,
}

struct Look {
    /// The container's input ends with its own.
    ends_input: bool,
    /// The container waits for it.
    is_patient: bool,
}

impl Clients {
    /// `first` is who has started this monitor. What it has said before is taken at once.
    pub(super) fn listen(first: OwnedFd) -> Result<(Self, Vec<Message>)> {
        fs::remove_file(SOCKET).ok(); // of a monitor before this one
        let (flags, family) = (SocketFlags::CLOEXEC, AddressFamily::UNIX);
        let bound = || -> rustix::io::Result<OwnedFd> {
            let listener = rustix::net::socket_with(family, SocketType::SEQPACKET, flags, None)?;
            rustix::net::bind(&listener, &SocketAddrUnix::new(SOCKET)?)?;
            rustix::net::listen(&listener, 16)?;
            Ok(listener)
        };
        let listener = bound().context(SOCKET)?;
        let mut clients =
            Self { listener, all: vec![Client { is_first: true, ..Client::new(first) }] };
        let mut said = Vec::new();
        while let Some(first) = clients.all.first_mut() {
            let mut fds = [PollFd::new(first.socket.as_fd(), PollFlags::POLLIN)];
            if !matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1)) || first.is_gone {
                break;
            }
            first.take(&mut said);
        }
        Ok((clients, said))
    }

    /// What to wait for: [`Clients::receive`] wants to know of each whether it happened.
    pub(super) fn fds<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.push(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
        for client in &self.all {
            let mut events = PollFlags::POLLIN;
            events.set(PollFlags::POLLOUT, !client.queue.is_empty());
            fds.push(PollFd::new(client.socket.as_fd(), events));
        }
    }

    /// What they want of the container.
    pub(super) fn receive(&mut self, happened: &[bool]) -> Vec<Message> {
        let mut wishes = Vec::new();
        let happened = |index: usize| happened.get(index).copied().unwrap_or_default();
        for (index, client) in self.all.iter_mut().enumerate() {
            if happened(index + 1) {
                client.take(&mut wishes);
            }
        }
        if happened(0)
            && let Ok(socket) = rustix::net::accept_with(&self.listener, SocketFlags::CLOEXEC)
        {
            self.all.push(Client::new(socket));
        }
        self.forget();
        wishes
    }

    /// Whether one that wants all of the output is behind.
    pub(super) fn are_behind(&self) -> bool {
        self.all.iter().any(|client| client.is_patient() && !client.queue.is_empty())
    }

    /// For those who look on.
    pub(super) fn tell(&mut self, message: &Message) {
        let text: Rc<[u8]> = message.encode().into();
        for client in self.all.iter_mut().filter(|client| client.look.is_some()) {
            client.push(&text);
        }
        self.flush();
    }

    /// For whoever has started this monitor.
    pub(super) fn answer(&mut self, message: &Message) {
        for first in self.all.iter_mut().filter(|client| client.is_first) {
            first.push(&message.encode().into());
        }
        self.flush();
    }

    /// Lets those who type go on, since the container takes what they have typed.
    pub(super) fn take_more(&mut self) {
        for client in &mut self.all {
            if let Ok(length @ 1..) = u32::try_from(std::mem::take(&mut client.untold)) {
                client.push(&Message::Taken(length).encode().into());
            }
        }
        self.flush();
    }

    /// Gives each what it takes.
    pub(super) fn flush(&mut self) {
        self.all.iter_mut().for_each(Client::flush);
        self.forget();
    }

    fn forget(&mut self) {
        self.all.retain(|client| !client.is_gone);
    }

    /// The last words; who wants all of the output is waited for.
    pub(super) fn part(mut self, message: &Message) {
        self.tell(message);
        let start = Instant::now();
        loop {
            let late = start.elapsed() > FAREWELL;
            self.all.retain(|client| !client.queue.is_empty() && (client.is_patient() || !late));
            if self.all.is_empty() {
                return;
            }
            let slow = self.all.iter();
            let mut fds: Vec<PollFd<'_>> =
                slow.map(|slow| PollFd::new(slow.socket.as_fd(), PollFlags::POLLOUT)).collect();
            poll(&mut fds, PollTimeout::from(500_u16)).ok();
            self.flush();
        }
    }
}

impl Client {
    fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            is_first: false,
            look: None,
            queue: VecDeque::new(),
            queued: 0,
            untold: 0,
            is_gone: false,
        }
    }

    fn is_patient(&self) -> bool {
        self.look.as_ref().is_some_and(|look| look.is_patient)
    }

    /// True once, when its end is that of the container's input.
    fn ends_input(&mut self) -> bool {
        self.look.as_mut().is_some_and(|look| std::mem::take(&mut look.ends_input))
    }

    fn push(&mut self, text: &Rc<[u8]>) {
        if self.queued > MOST_QUEUED && !self.is_patient() {
            self.is_gone = true; // it may come again
            return;
        }
        self.queued += text.len();
        self.queue.push_back(Rc::clone(text));
    }

    fn flush(&mut self) {
        while let Some(message) = self.queue.front() {
            match wire::send(self.socket.as_fd(), message) {
                Ok(true) => {
                    self.queued -= message.len();
                    self.queue.pop_front();
                }
                Ok(false) => return,
                Err(_) => {
                    self.is_gone = true;
                    return;
                }
            }
        }
    }

    /// One message.
    fn take(&mut self, wishes: &mut Vec<Message>) {
        match wire::receive(&self.socket) {
            Ok(Some(Message::Attach { ends_input, patient })) => {
                self.look = Some(Look { ends_input, is_patient: patient });
                if !self.is_first {
                    self.push(&Message::Started.encode().into());
                }
            }
            Ok(Some(Message::Detach)) => {
                self.look = None;
            }
            Ok(Some(Message::Input(bytes))) => {
                self.untold += bytes.len();
                wishes.push(Message::Input(bytes));
            }
            Ok(Some(Message::InputEnd)) => {
                if self.ends_input() {
                    wishes.push(Message::InputEnd);
                }
            }
            Ok(Some(wish @ (Message::Resize { .. } | Message::Signal(_) | Message::Check))) => {
                wishes.push(wish);
            }
            Ok(Some(
                Message::Started
                | Message::Failed { .. }
                | Message::Output(..)
                | Message::Exited(_)
                | Message::Taken(_),
            )) => {}
            Ok(None) | Err(_) => {
                self.is_gone = true;
                if self.ends_input() {
                    wishes.push(Message::InputEnd);
                }
            }
        }
    }
}
