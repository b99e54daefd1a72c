//! Datagrams: each client has a socket of its own toward the container, until it is silent.
//!
//! Runs in: the monitor.

use super::datagram::{self, Local};
use super::{AT_ONCE, Listener, Target, Token};
use anyhow::{Context as _, Result};
use rustix::event::epoll::{self, EventFlags};
use rustix::net::{RecvFlags, SendFlags, SocketType};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// After that time without a datagram in either direction, a client is forgotten.
const SILENCE: Duration = Duration::from_secs(90);
/// How often that is looked at, in seconds.
const TICK: i64 = 15;
/// When there are more, the one that was silent for longest is forgotten.
const MOST: usize = 512;
/// Ids of connections stay below.
const FIRST: u64 = 1 << 60;
/// Of a datagram, in bytes.
const LONGEST: usize = 64 << 10;

pub(super) struct Peers {
    all: BTreeMap<u64, Peer>,
    ids: BTreeMap<(u64, SocketAddr), u64>,
    next: u64,
    epoll: OwnedFd,
    clock: OwnedFd,
}

struct Peer {
    /// Of the listener.
    at: u64,
    client: SocketAddr,
    /// Where it has sent to last.
    local: Option<Local>,
    socket: OwnedFd,
    last: Instant,
}

impl Peers {
    pub(super) fn new(epoll: &OwnedFd) -> Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let clock = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)
            .context("timerfd_create")?;
        epoll::add(epoll, &clock, Token::CLOCK.data(), EventFlags::IN).context("epoll_ctl")?;
        let epoll = epoll.try_clone().context("dup(epoll)")?;
        Ok(Self { all: BTreeMap::new(), ids: BTreeMap::new(), next: FIRST, epoll, clock })
    }

    /// From clients to the container.
    pub(super) fn take(&mut self, listener: &Listener, at: u64, target: &mut Target) {
        let mut bytes = vec![0; LONGEST];
        for _ in 0..AT_ONCE {
            let Some(got) = datagram::receive(&listener.socket, &mut bytes) else { return };
            let client = got.client;
            if !self.ids.contains_key(&(at, client)) {
                let (port, v6) = (listener.bound.port.number, listener.bound.host.is_ipv6());
                // A datagram without a way is lost, as anywhere.
                let Ok(socket) = target.connect(port, v6, SocketType::DGRAM) else { continue };
                self.add(Peer { at, client, local: got.local, socket, last: Instant::now() });
            }
            let id = self.ids.get(&(at, client));
            if let Some(peer) = id.and_then(|id| self.all.get_mut(id)) {
                (peer.last, peer.local) = (Instant::now(), got.local);
                let piece = bytes.get(..got.length).unwrap_or_default();
                rustix::net::send(&peer.socket, piece, SendFlags::NOSIGNAL).ok();
            }
        }
    }

    /// From the container to the client, by the socket that it has sent to.
    pub(super) fn answer<'a>(
        &mut self,
        id: u64,
        listener: impl FnOnce(u64) -> Option<BorrowedFd<'a>>,
    ) {
        let Some(peer) = self.all.get_mut(&id) else { return };
        let Some(listener) = listener(peer.at) else { return };
        let mut bytes = vec![0; LONGEST];
        for _ in 0..AT_ONCE {
            // An error is what the container said to the last datagram; reading takes it away.
            let received = rustix::net::recv(&peer.socket, &mut *bytes, RecvFlags::empty());
            let Ok((length, _)) = received else { return };
            peer.last = Instant::now();
            let piece = bytes.get(..length).unwrap_or_default();
            datagram::send(listener, piece, peer.client, peer.local.as_ref());
        }
    }

    fn add(&mut self, peer: Peer) {
        if self.all.is_empty() {
            self.tick(TICK);
        }
        if self.all.len() >= MOST {
            let oldest = self.all.iter().min_by_key(|(_, peer)| peer.last).map(|(id, _)| *id);
            oldest.into_iter().for_each(|id| self.forget(id));
        }
        let token = Token { id: self.next, inner: true };
        self.next += 1;
        if epoll::add(&self.epoll, &peer.socket, token.data(), EventFlags::IN).is_ok() {
            self.ids.insert((peer.at, peer.client), token.id);
            self.all.insert(token.id, peer);
        }
    }

    fn forget(&mut self, id: u64) {
        if let Some(peer) = self.all.remove(&id) {
            self.ids.remove(&(peer.at, peer.client));
        }
    }

    pub(super) fn forget_idle(&mut self) {
        let mut ticks = [0; 8];
        rustix::io::read(&self.clock, &mut ticks).ok(); // or it is read the next time
        self.forget_silent(Instant::now());
        if self.all.is_empty() {
            self.tick(0);
        }
    }

    fn forget_silent(&mut self, now: Instant) {
        let silent = |peer: &Peer| now.saturating_duration_since(peer.last) >= SILENCE;
        let gone: Vec<u64> =
            self.all.iter().filter(|(_, peer)| silent(peer)).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.forget(id));
    }

    /// Every so many seconds; never with 0.
    fn tick(&self, seconds: i64) {
        let every = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let timer = Itimerspec { it_interval: every, it_value: every };
        // Without it, clients are forgotten when there are too many.
        rustix::time::timerfd_settime(&self.clock, TimerfdTimerFlags::empty(), &timer).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(count: u16) -> Peers {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let mut peers = Peers::new(&epoll).unwrap();
        let start = Instant::now();
        for number in 0..count {
            let client = SocketAddr::from(([127, 0, 0, 1], number));
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into();
            let last = start + Duration::from_secs(number.into());
            peers.add(Peer { at: 0, client, local: None, socket, last });
        }
        peers
    }

    #[test]
    fn silent_clients_are_forgotten() {
        let mut peers = peers(3);
        let first = peers.all[&FIRST].last;
        peers.forget_silent(first + SILENCE - Duration::from_secs(1));
        assert_eq!(peers.all.len(), 3);
        peers.forget_silent(first + SILENCE + Duration::from_secs(1));
        assert_eq!(peers.all.keys().collect::<Vec<_>>(), [&(FIRST + 2)]);
        assert_eq!(peers.ids.len(), 1);
    }

    #[test]
    fn there_are_never_too_many() {
        let mut peers = peers(u16::try_from(MOST).unwrap());
        let client = SocketAddr::from(([127, 0, 0, 2], 1));
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into();
        peers.add(Peer { at: 0, client, local: None, socket, last: Instant::now() });
        assert_eq!((peers.all.len(), peers.ids.len()), (MOST, MOST));
        assert!(!peers.all.contains_key(&FIRST), "the oldest is forgotten");
    }
}
