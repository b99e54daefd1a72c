//! Who has a port of the host: a container of ours, or another process.
//!
//! Runs in: an ordinary process of the user. Privilege: none; of other users' processes no more is
//! known than that they are there.

use super::{Bound, Protocol};
use crate::container::{self, Container};
use crate::home::Home;
use crate::process::Process;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `container web`, or `nginx (pid 12)`. `None` when nobody is seen.
pub(crate) fn of(home: &Home, wanted: SocketAddr, protocol: Protocol) -> Option<String> {
    container_of(home, wanted, protocol).or_else(|| process_of(wanted, protocol))
}

fn container_of(home: &Home, wanted: SocketAddr, protocol: Protocol) -> Option<String> {
    let own = std::process::id().cast_signed();
    let is_it = |bound: &Bound| bound.port.protocol == protocol && overlap(bound.host, wanted);
    // Without its monitor it has no port.
    let watched = |monitor: &Process| monitor.pid != own && monitor.is_alive();
    let has = |one: &&Container| {
        one.record.network.bound.iter().any(is_it)
            && one.record.is_running()
            && one.record.state.monitor.as_ref().is_some_and(watched)
    };
    let all = container::all(home).ok()?;
    all.iter().find(has).map(|one| format!("container {}", one.record.name))
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port()
        && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

fn process_of(wanted: SocketAddr, protocol: Protocol) -> Option<String> {
    let tables = [format!("/proc/net/{protocol}"), format!("/proc/net/{protocol}6")];
    let tables = tables.iter().filter_map(|table| fs::read_to_string(table).ok());
    let holder = |text: String| {
        let mut sockets = text.lines().skip(1).filter_map(Socket::read);
        let has = |socket: &Socket| {
            let waits = protocol == Protocol::Udp || socket.state == LISTEN;
            waits && overlap(socket.local, wanted)
        };
        sockets.find(has).map(|socket| socket.inode)
    };
    let inode = tables.into_iter().find_map(holder)?;
    Some(owner(inode).unwrap_or_else(|| "a process of another user".to_owned()))
}

/// `TCP_LISTEN` of the kernel.
const LISTEN: u8 = 0x0a;

/// A line of /proc/net/tcp and its like: `proc_pid_net(5)`.
#[derive(Debug, PartialEq, Eq)]
struct Socket {
    local: SocketAddr,
    state: u8,
    inode: u64,
}

impl Socket {
    fn read(line: &str) -> Option<Self> {
        let mut fields = line.split_whitespace().skip(1);
        let (address, port) = fields.next()?.split_once(':')?;
        let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
        let inode = fields.nth(5)?.parse().ok()?;
        // The kernel prints each four bytes as a number of this machine.
        let word = |at: usize| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok();
        let words = (0..address.len() / 8).map(|at| word(at).map(u32::to_ne_bytes));
        let bytes = words.collect::<Option<Vec<_>>>()?.concat();
        let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
            Ok(four) => IpAddr::from(Ipv4Addr::from(four)),
            Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        };
        let port = u16::from_str_radix(port, 16).ok()?;
        Some(Self { local: SocketAddr::new(ip, port), state, inode })
    }
}

/// The process that has the socket open.
fn owner(inode: u64) -> Option<String> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        fds.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|at| at.as_os_str() == &*wanted)
    };
    let pid = pids.find(has)?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("{} (pid {pid})", name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_listener_is_found_in_both_families() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = std::net::TcpListener::bind(address) else { continue };
            let address = listener.local_addr().unwrap();
            let found = process_of(address, Protocol::Tcp).unwrap();
            assert!(found.ends_with(&format!("(pid {})", std::process::id())), "{found}");
        }
    }

    #[test]
    fn lines_of_the_kernel_are_read() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 \
                     0        0 4711 1 0000000000000000 100 0 0 10 0";
        let local = "127.0.0.1:8080".parse().unwrap();
        assert_eq!(Socket::read(line), Some(Socket { local, state: LISTEN, inode: 4711 }));
        for bad in ["", "0: x", "0: 0100007F:1F90 00000000:0000 0A"] {
            assert_eq!(Socket::read(bad), None);
        }
    }

    #[test]
    fn addresses_overlap_where_one_is_all() {
        let overlaps =
            |one: &str, other: &str| overlap(one.parse().unwrap(), other.parse().unwrap());
        assert!(overlaps("0.0.0.0:80", "127.0.0.1:80"));
        assert!(overlaps("127.0.0.1:80", "[::]:80"));
        assert!(!overlaps("127.0.0.1:80", "127.0.0.2:80"));
        assert!(!overlaps("0.0.0.0:80", "0.0.0.0:81"));
    }
}
