//! Published ports: listens on the host and passes everything on to the container. No rule of a
//! firewall is made, so those of the host hold; the container sees the host as the client.
//!
//! Runs in: the monitor, which waits for [`Ports`] as for one descriptor: epoll(7). Nothing blocks.
//!
//! When as many connections are open as the limit of descriptors allows, further ones wait in the
//! kernel's queue until one ends.

mod datagram;
pub(super) mod descriptors;
mod target;
mod tcp;
mod udp;

use crate::container::Record;
use crate::error::OrHint as _;
use crate::home::Home;
use crate::ports::{Bound, Protocol, Wish, holder};
use anyhow::{Context as _, Result, anyhow};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use target::Target;
use tcp::Connection;
use udp::Peers;

/// How often another port is tried when that which the kernel chose is taken in the other family.
const TRIES: usize = 16;
/// Connections and datagrams that are taken before others have their turn.
const AT_ONCE: usize = 64;
/// As many may wait to be accepted.
const BACKLOG: i32 = 4096;

pub(super) struct Ports {
    epoll: OwnedFd,
    listeners: Vec<Listener>,
    /// Each has an id of its own, which is never used again: an event may be late.
    connections: BTreeMap<u64, Connection>,
    next: u64,
    peers: Peers,
    target: Target,
    /// New connections have to wait.
    full: bool,
}

struct Listener {
    socket: OwnedFd,
    bound: Bound,
}

/// What an event is about: an id, and which of two sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token {
    id: u64,
    /// The one toward the container.
    inner: bool,
}

impl Token {
    /// The clock by which datagrams' clients are forgotten.
    const CLOCK: Self = Self { id: u64::MAX >> 1, inner: true };

    fn data(self) -> EventData {
        EventData::new_u64(self.id << 1 | u64::from(self.inner))
    }

    fn of(data: EventData) -> Self {
        let number = data.u64();
        Self { id: number >> 1, inner: number & 1 == 1 }
    }
}

impl Ports {
    /// Takes the ports, before there is a container. Those which the kernel chose the last time are
    /// tried again. `None` when nothing is published.
    pub(super) fn open(home: &Home, record: &mut Record) -> Result<Option<Self>> {
        let network = &mut record.network;
        if network.ports.is_empty() {
            return Ok(None);
        }
        let mut listeners = Vec::new();
        for wish in &network.ports {
            let last = network.bound.iter().find(|bound| bound.port == wish.port);
            listeners.extend(listen(home, wish, last.map(|bound| bound.host.port()))?);
        }
        network.bound = listeners.iter().map(|listener| listener.bound).collect();
        let epoll = epoll::create(CreateFlags::CLOEXEC).context("epoll_create")?;
        let next = listeners.len() as u64;
        let peers = Peers::new(&epoll)?;
        let target = Target::new(home, &record.id);
        let connections = BTreeMap::new();
        let ports = Self { epoll, listeners, connections, next, peers, target, full: false };
        ports.watch(&[Protocol::Tcp, Protocol::Udp])?;
        Ok(Some(ports))
    }

    /// The container's first process, once there is one.
    pub(super) fn lead_to(&mut self, pid: i32) {
        self.target.lead_to(pid);
    }

    fn watch(&self, protocols: &[Protocol]) -> Result<()> {
        let listeners = (0..).zip(&self.listeners);
        let wanted = |listener: &Listener| protocols.contains(&listener.bound.port.protocol);
        for (id, listener) in listeners.filter(|(_, listener)| wanted(listener)) {
            let token = Token { id, inner: false };
            epoll::add(&self.epoll, &listener.socket, token.data(), EventFlags::IN)
                .context("epoll_ctl")?;
        }
        Ok(())
    }

    /// Does all that can be done without waiting. Nothing that a client or the container does is an
    /// error here: it ends their connection.
    pub(super) fn turn(&mut self) {
        let mut space = [MaybeUninit::<Event>::uninit(); AT_ONCE];
        let none = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let Ok((events, _)) = epoll::wait(&self.epoll, &mut space, Some(&none)) else { return };
        for event in &*events {
            self.handle(Token::of(event.data), event.flags);
        }
    }

    fn handle(&mut self, token: Token, flags: EventFlags) {
        if token == Token::CLOCK {
            return self.peers.forget_idle();
        }
        let listener = usize::try_from(token.id).ok().and_then(|at| self.listeners.get(at));
        if let Some(listener) = listener {
            match listener.bound.port.protocol {
                Protocol::Tcp => self.accept(token.id),
                Protocol::Udp => {
                    self.peers.take(listener, token.id, &mut self.target);
                }
            }
            return;
        }
        if let Some(connection) = self.connections.get_mut(&token.id) {
            if !connection.go_on(&self.epoll, token.inner, flags) {
                self.connections.remove(&token.id);
                if self.full && self.watch(&[Protocol::Tcp]).is_ok() {
                    self.full = false;
                }
            }
            return;
        }
        let listeners = &self.listeners;
        self.peers.answer(token.id, |at| {
            let listener = usize::try_from(at).ok().and_then(|at| listeners.get(at));
            listener.map(|listener| listener.socket.as_fd())
        });
    }

    fn accept(&mut self, at: u64) {
        for _ in 0..AT_ONCE {
            if self.connections.len() >= descriptors::connections(self.connections.len()) {
                return self.wait_for_room();
            }
            let Some(listener) = usize::try_from(at).ok().and_then(|at| self.listeners.get(at))
            else {
                return;
            };
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let client = match rustix::net::accept_with(&listener.socket, flags) {
                Ok(client) => client,
                Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => {
                    return self.wait_for_room();
                }
                Err(Errno::AGAIN) => return,
                Err(_) => continue, // that client has gone
            };
            let (port, v6) = (listener.bound.port.number, listener.bound.host.is_ipv6());
            // Without a connection to the container, the client's ends here.
            let Ok(server) = self.target.connect(port, v6, SocketType::STREAM) else {
                tcp::reset(&client);
                continue;
            };
            if let Ok(connection) = Connection::new(&self.epoll, self.next, client, server) {
                self.connections.insert(self.next, connection);
            }
            self.next += 1;
        }
    }

    fn wait_for_room(&mut self) {
        if self.connections.is_empty() {
            return; // nothing of ours would give room
        }
        for listener in &self.listeners {
            if listener.bound.port.protocol == Protocol::Tcp {
                epoll::delete(&self.epoll, &listener.socket).ok();
            }
        }
        self.full = true;
    }
}

impl AsFd for Ports {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// A socket for each family, on one port.
fn listen(home: &Home, wish: &Wish, last: Option<u16>) -> Result<Vec<Listener>> {
    let what = || match wish.host_port {
        Some(port) => format!("publish {port}:{}", wish.port),
        None => format!("publish {}", wish.port),
    };
    if let Some(port) = wish.host_port {
        return listen_on(home, wish, port).with_context(what);
    }
    let mut tried = last.map(|last| listen_on(home, wish, last));
    for _ in 0..TRIES {
        if let Some(Ok(listeners)) = tried {
            return Ok(listeners);
        }
        tried = Some(listen_on(home, wish, 0));
    }
    tried.unwrap_or_else(|| Err(anyhow!("no free port"))).with_context(what)
}

fn listen_on(home: &Home, wish: &Wish, port: u16) -> Result<Vec<Listener>> {
    let mut listeners: Vec<Listener> = Vec::new();
    for address in wish.addresses() {
        let port = listeners.first().map_or(port, |first| first.bound.host.port());
        let at = SocketAddr::new(address, port);
        let socket = match socket(at, wish.port.protocol) {
            // A host without IPv6.
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
                if wish.host.is_none() && address.is_ipv6() =>
            {
                continue;
            }
            made => made.map_err(|errno| refusal(home, at, wish.port.protocol, errno))?,
        };
        let name = rustix::net::getsockname(&socket).context("getsockname")?;
        let host = SocketAddr::try_from(name).context("getsockname")?;
        listeners.push(Listener { socket, bound: Bound { port: wish.port, host } });
    }
    Ok(listeners)
}

fn socket(at: SocketAddr, protocol: Protocol) -> Result<OwnedFd, Errno> {
    let (family, kind) = (
        family(at.ip()),
        match protocol {
            Protocol::Tcp => SocketType::STREAM,
            Protocol::Udp => SocketType::DGRAM,
        },
    );
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    if at.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?; // IPv4 has a socket of its own
    }
    if protocol == Protocol::Tcp {
        sockopt::set_socket_reuseaddr(&socket, true)?; // connections of before may still be closing
    }
    if protocol == Protocol::Udp && at.ip().is_unspecified() {
        datagram::ask_local(&socket, at.is_ipv6())
            .map_err(|errno| Errno::from_raw_os_error(errno as i32))?;
    }
    rustix::net::bind(&socket, &at)?;
    if protocol == Protocol::Tcp {
        rustix::net::listen(&socket, BACKLOG)?;
    }
    Ok(socket)
}

/// Whether this user may take every port: tried with tcpmux, which nobody uses.
pub(crate) fn try_low(home: &Home) -> Result<()> {
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    match socket(at, Protocol::Tcp) {
        Ok(_) | Err(Errno::ADDRINUSE) => Ok(()),
        Err(errno) => Err(refusal(home, at, Protocol::Tcp, errno)),
    }
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET }
}

fn refusal(home: &Home, at: SocketAddr, protocol: Protocol, errno: Errno) -> anyhow::Error {
    let (address, port) = (at.ip(), at.port());
    let refused: Result<()> = match errno {
        Errno::ADDRINUSE => {
            let holder = holder::of(home, at, protocol);
            let by = holder.as_ref().map(|holder| format!(", by {holder}")).unwrap_or_default();
            let free = match holder.as_deref().and_then(|holder| holder.strip_prefix("container "))
            {
                Some(name) => format!(": bundles stop {name}"),
                None => " end that one".to_owned(),
            };
            Err(anyhow!("port {port}/{protocol} of {address} is in use{by}"))
                .hint(format!("publish another port of the host, or{free}"))
        }
        Errno::ADDRNOTAVAIL => Err(anyhow!("the host has no address {address}"))
            .hint("`ip address` lists those it has"),
        Errno::ACCESS => Err(anyhow!("port {port}: bind({at}): {errno}")).hint(
            "ordinary users may take ports from 1024 on; \
             root can change that: sysctl net.ipv4.ip_unprivileged_port_start",
        ),
        _ => Err(anyhow!("listen on {at}: {errno}")),
    };
    refused.err().unwrap_or_else(|| anyhow!("internal error, please report: no error"))
}
