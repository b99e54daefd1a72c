//! Where published ports lead: the container's address, as it is now.
//!
//! Runs in: the monitor, in the container's directory.

use super::family;
use crate::home::Home;
use crate::net::{enter, record};
use anyhow::{Context as _, Result, bail};
use rustix::io::Errno;
use rustix::net::{SocketFlags, SocketType};
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;

pub(super) struct Target {
    home: Home,
    id: String,
    pid: i32,
    /// The record that `way` was found by: it changes with the container's networks.
    seen: Option<(u64, i64)>,
    way: Way,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// By the bridge: the container sees the host as the client.
    Bridge(Vec<IpAddr>),
    /// From inside: the host has no way to it. The container seems to be its own client.
    Inside(Vec<IpAddr>),
}

impl Target {
    pub(super) fn new(home: &Home, id: &str) -> Self {
        let way = Way::Inside(Vec::new());
        Self { home: home.clone(), id: id.to_owned(), pid: 0, seen: None, way }
    }

    pub(super) fn lead_to(&mut self, pid: i32) {
        self.pid = pid;
        self.seen = None;
    }

    /// A socket which is connected, or about to be.
    pub(super) fn connect(&mut self, port: u16, v6: bool, kind: SocketType) -> Result<OwnedFd> {
        self.look()?;
        match &self.way {
            Way::Bridge(addresses) => connect(choose(addresses, v6), port, kind),
            Way::Inside(addresses) => {
                let namespace = format!("/proc/{}/ns/net", self.pid);
                let namespace = File::open(&namespace).context(namespace)?;
                let address = choose(addresses, v6);
                enter::inside(&namespace, || connect(address, port, kind))
            }
        }
    }

    /// Follows `network connect` and `network disconnect`.
    fn look(&mut self) -> Result<()> {
        let record = fs::metadata("container.json").context("container.json")?;
        let seen = Some((record.ino(), record.ctime_nsec()));
        if self.seen == seen {
            return Ok(());
        }
        let mut addresses = Vec::new();
        let mut links = Vec::new();
        for (_, endpoint) in record::everybody(&self.home)? {
            if endpoint.container == self.id && endpoint.settled {
                addresses.extend(endpoint.leases.iter().map(|lease| lease.address));
                links.extend(endpoint.link);
            }
        }
        // Of this process, and so of the host; an ordinary user's bridges are elsewhere.
        let devices = fs::read_to_string("/proc/net/dev").context("/proc/net/dev")?;
        let is_here = |link: &String| devices.contains(&format!("{link}:"));
        self.way =
            if links.iter().any(is_here) { Way::Bridge(addresses) } else { Way::Inside(addresses) };
        self.seen = seen;
        Ok(())
    }
}

/// The same family as the client's where there is one.
fn choose(addresses: &[IpAddr], v6: bool) -> IpAddr {
    let same = addresses.iter().find(|address| address.is_ipv6() == v6);
    let own = if v6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
    same.or(addresses.first()).copied().unwrap_or(own)
}

fn connect(address: IpAddr, port: u16, kind: SocketType) -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family(address), kind, flags, None).context("socket")?;
    match rustix::net::connect(&socket, &SocketAddr::new(address, port)) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => bail!("connect({address}:{port}): {errno}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn family_of_the_client_comes_first() {
        let addresses = ["172.17.0.2", "fd00::2"].map(|text| text.parse::<IpAddr>().unwrap());
        assert_eq!(choose(&addresses, true).to_string(), "fd00::2");
        assert_eq!(choose(&addresses, false).to_string(), "172.17.0.2");
        assert_eq!(choose(&addresses[..1], true).to_string(), "172.17.0.2");
        assert_eq!(choose(&[], true).to_string(), "::1");
    }
}
