//! Network devices and their addresses: netlink(7), rtnetlink(7).
//!
//! Runs in: parent. A socket stays in the network namespace where it was opened.

use super::{Call as _, Error, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recvfrom, send, socket,
};
use std::cell::Cell;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

pub(crate) struct Socket {
    fd: OwnedFd,
    /// Of the last request.
    sequence: Cell<u32>,
}

/// What is known of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: i32,
    pub(crate) is_up: bool,
    /// Its hardware address and kind, as the kernel sends them.
    pub(crate) identity: Vec<(u16, Vec<u8>)>,
}

/// By which a device is found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By<'a> {
    Name(&'a str),
    Index(i32),
}

/// What may change at a device, all at once.
#[derive(Clone, Copy, Default)]
pub(crate) struct Change<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) namespace: Option<BorrowedFd<'a>>,
    /// Its number there, since Linux 5.13; older kernels keep the number where it is free.
    pub(crate) new_index: Option<i32>,
    pub(crate) up: bool,
}

/// An address, as it is to be set again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    family: u8,
    prefix: u8,
    /// Attributes by their numbers.
    attributes: Vec<(u16, Vec<u8>)>,
}

// linux/netlink.h
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const HEADER: usize = 16;
/// More than the kernel sends at once.
const LONGEST: usize = 64 << 10;
const REQUEST: u16 = 0x01;
const ACK: u16 = 0x04;
const DUMP_INTERRUPTED: u16 = 0x10;
const REPLACE: u16 = 0x100;
const DUMP: u16 = 0x300;
const CREATE: u16 = 0x400;
// linux/rtnetlink.h
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
// linux/if_link.h
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_NEW_IFINDEX: u16 = 49;
const IFF_UP: u32 = 1;
// linux/if_addr.h
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
const IFA_RT_PRIORITY: u16 = 9;
const IFA_PROTO: u16 = 11;
const IFA_F_NODAD: u32 = 0x02;
const IFA_F_PERMANENT: u32 = 0x80;
/// What somebody has chosen, and not the kernel: home address, temporary ones managed, no route for
/// the prefix, groups joined.
const IFA_F_KEPT: u32 = IFA_F_NODAD | 0x10 | 0x100 | 0x200 | 0x400;

/// Of a list that changes while it is read.
const TRIES: usize = 10;

impl Socket {
    pub(crate) fn open() -> Result<Self> {
        let (family, protocol) = (AddressFamily::Netlink, SockProtocol::NetlinkRoute);
        socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
            .call(|| "socket(AF_NETLINK, NETLINK_ROUTE)".into())
            .map(|fd| Self { fd, sequence: Cell::new(0) })
    }

    /// # Errors
    /// `ENODEV`: there is none.
    pub(crate) fn link(&self, by: By<'_>) -> Result<Link> {
        let call = || match by {
            By::Name(name) => format!("RTM_GETLINK({name})"),
            By::Index(index) => format!("RTM_GETLINK({index})"),
        };
        let body = match by {
            By::Index(index) => link_header(index, 0, 0),
            By::Name(name) => {
                let mut body = link_header(0, 0, 0);
                name_attribute(&mut body, name);
                body
            }
        };
        let replies = self.request(RTM_GETLINK, REQUEST | ACK, &body, &call)?;
        let link = replies.iter().find_map(|reply| {
            let index = i32::from_ne_bytes(reply.get(4..8)?.try_into().ok()?);
            let flags = u32::from_ne_bytes(reply.get(8..12)?.try_into().ok()?);
            Some(Link { index, is_up: flags & IFF_UP != 0, identity: identity(reply.get(16..)?) })
        });
        link.ok_or_else(|| Error::new(call(), Errno::ENODEV))
    }

    /// # Errors
    /// `EINVAL`: this kind of device stays where it is. `EEXIST`: the name is taken there.
    pub(crate) fn change(&self, index: i32, change: Change<'_>) -> Result<()> {
        let up = if change.up { IFF_UP } else { 0 };
        let mut body = link_header(index, up, up);
        if let Some(name) = change.name {
            name_attribute(&mut body, name);
        }
        if let Some(namespace) = change.namespace {
            attribute(&mut body, IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes());
        }
        if let Some(index) = change.new_index {
            attribute(&mut body, IFLA_NEW_IFINDEX, &index.to_ne_bytes());
        }
        let call = || {
            let name = change.name.map(|name| format!(", name={name}")).unwrap_or_default();
            let fd = change.namespace.map(|fd| format!(", net_ns_fd={}", super::show(fd)));
            let up = if change.up { ", IFF_UP" } else { "" };
            format!("RTM_NEWLINK({index}{name}{}{up})", fd.unwrap_or_default())
        };
        self.request(RTM_NEWLINK, REQUEST | ACK, &body, &call).map(drop)
    }

    /// The permanent addresses of a device that are not of the link only.
    pub(crate) fn addresses(&self, index: i32) -> Result<Vec<Address>> {
        let ask = || self.request(RTM_GETADDR, REQUEST | DUMP, &[0; 8], &|| "RTM_GETADDR".into());
        let is_whole = |told: &Result<_>| !matches!(told, Err(err) if err.errno == Errno::EINTR);
        let told = (1..TRIES).map(|_try| ask()).find(is_whole);
        let replies = told.unwrap_or_else(ask)?;
        Ok(replies.iter().filter_map(|reply| Address::kept(reply, index)).collect())
    }

    pub(crate) fn add_address(&self, index: i32, address: &Address) -> Result<()> {
        let mut body = vec![address.family, address.prefix, 0, 0];
        body.extend(index.to_ne_bytes());
        for (kind, value) in &address.attributes {
            attribute(&mut body, *kind, value);
        }
        let call = || format!("RTM_NEWADDR({index}, {})", address.text());
        self.request(RTM_NEWADDR, REQUEST | ACK | CREATE | REPLACE, &body, &call).map(drop)
    }

    /// The bodies of what comes back.
    ///
    /// # Errors
    /// `EINTR`: the list changed while it was told.
    fn request(
        &self,
        kind: u16,
        flags: u16,
        body: &[u8],
        call: &dyn Fn() -> String,
    ) -> Result<Vec<Vec<u8>>> {
        let mut message = Vec::new();
        message.extend(u32::try_from(HEADER + body.len()).unwrap_or(0).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        let sequence = self.sequence.get().wrapping_add(1);
        self.sequence.set(sequence);
        message.extend(sequence.to_ne_bytes());
        message.extend([0; 4]); // the kernel knows our port
        message.extend(body);
        send(self.fd.as_raw_fd(), &message, MsgFlags::empty()).call(call)?;
        let (mut replies, mut interrupted) = (Vec::new(), false);
        let mut buffer = vec![0; LONGEST];
        loop {
            let length = match recvfrom::<NetlinkAddr>(self.fd.as_raw_fd(), &mut buffer) {
                Err(Errno::EINTR) => continue,
                // Whoever rules the namespace may write to us, too: only the kernel has port 0.
                Ok((_, sender)) if sender.is_none_or(|sender| sender.pid() != 0) => continue,
                received => received.call(call)?.0,
            };
            // What fills the buffer may have been longer.
            let mut rest = buffer
                .get(..length)
                .filter(|rest| rest.len() < LONGEST)
                .ok_or_else(|| Error::new(call(), Errno::EMSGSIZE))?;
            while let Some((reply, next)) = first_message(rest) {
                rest = next;
                // Left over from a request that has failed.
                if reply.sequence != sequence {
                    continue;
                }
                interrupted |= reply.flags & DUMP_INTERRUPTED != 0;
                match reply.kind {
                    NLMSG_DONE if interrupted => return Err(Error::new(call(), Errno::EINTR)),
                    NLMSG_DONE => return Ok(replies),
                    NLMSG_ERROR => {
                        let code = reply.body.get(..4).and_then(|code| code.try_into().ok());
                        return match code.map_or(-libc::EPROTO, i32::from_ne_bytes) {
                            0 => Ok(replies),
                            code => Err(Error::new(call(), Errno::from_raw(-code))),
                        };
                    }
                    _ => replies.push(reply.body.to_vec()),
                }
            }
        }
    }
}

impl Address {
    /// From the body of an `RTM_NEWADDR`.
    fn kept(body: &[u8], device: i32) -> Option<Self> {
        let (header, rest) = body.split_at_checked(8)?;
        let [family, prefix, flags, scope, index @ ..] = header else { return None };
        let is_global = *scope == libc::RT_SCOPE_UNIVERSE;
        if i32::from_ne_bytes(index.try_into().ok()?) != device || !is_global {
            return None;
        }
        let all = attributes(rest);
        let long = all.iter().find(|(kind, _)| *kind == IFA_FLAGS);
        let long = long.and_then(|(_, value)| value.as_slice().try_into().ok());
        let flags = long.map_or(u32::from(*flags), u32::from_ne_bytes);
        if flags & IFA_F_PERMANENT == 0 {
            return None;
        }
        // It has been found to be unique on this link before.
        let known = if i32::from(*family) == libc::AF_INET6 { IFA_F_NODAD } else { 0 };
        let mut attributes: Vec<_> = all
            .into_iter()
            .filter(|(kind, _)| {
                [IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_RT_PRIORITY, IFA_PROTO].contains(kind)
            })
            .collect();
        attributes.push((IFA_FLAGS, (flags & IFA_F_KEPT | known).to_ne_bytes().to_vec()));
        Some(Self { family: *family, prefix: *prefix, attributes })
    }

    /// `[192, 0, 2, 1]/24`
    fn text(&self) -> String {
        let of = |wanted| self.attributes.iter().find(|(kind, _)| *kind == wanted);
        let value = of(IFA_LOCAL).or(of(IFA_ADDRESS)).map_or(&[][..], |(_, value)| value);
        format!("{value:?}/{}", self.prefix)
    }
}

/// `struct ifinfomsg`.
fn link_header(index: i32, flags: u32, change: u32) -> Vec<u8> {
    let mut header = vec![0; 4];
    header.extend(index.to_ne_bytes());
    header.extend(flags.to_ne_bytes());
    header.extend(change.to_ne_bytes());
    header
}

fn name_attribute(message: &mut Vec<u8>, name: &str) {
    let mut value = name.as_bytes().to_vec();
    value.push(0);
    attribute(message, IFLA_IFNAME, &value);
}

/// `struct rtattr`, and what is missing to a multiple of four.
fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(u16::try_from(4 + value.len()).unwrap_or(u16::MAX).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn attributes(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some([a, b, c, d]) = bytes.first_chunk() {
        let length = usize::from(u16::from_ne_bytes([*a, *b]));
        let Some(value) = bytes.get(4..length) else { break };
        all.push((u16::from_ne_bytes([*c, *d]), value.to_vec()));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

/// What tells a device from another one of the same name.
fn identity(attributes_of_link: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let all = attributes(attributes_of_link);
    let info = all.iter().find(|(kind, _)| *kind == IFLA_LINKINFO);
    let mut identity = info.map(|(_, info)| attributes(info)).unwrap_or_default();
    identity.retain(|(kind, _)| *kind == IFLA_INFO_KIND);
    identity.extend(all.into_iter().filter(|(kind, _)| *kind == IFLA_ADDRESS));
    identity
}

/// `struct nlmsghdr` and what belongs to it.
#[derive(Debug, PartialEq, Eq)]
struct Reply<'a> {
    kind: u16,
    flags: u16,
    /// Of the request.
    sequence: u32,
    body: &'a [u8],
}

/// The first message and what follows.
fn first_message(bytes: &[u8]) -> Option<(Reply<'_>, &[u8])> {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes.first_chunk()?;
    let length = usize::try_from(u32::from_ne_bytes([*a, *b, *c, *d])).ok()?;
    let reply = Reply {
        kind: u16::from_ne_bytes([*e, *f]),
        flags: u16::from_ne_bytes([*g, *h]),
        sequence: u32::from_ne_bytes([*i, *j, *k, *l]),
        body: bytes.get(HEADER..length)?,
    };
    Some((reply, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_read_back() {
        let mut bytes = Vec::new();
        name_attribute(&mut bytes, "eth0");
        attribute(&mut bytes, IFLA_NET_NS_FD, &7_u32.to_ne_bytes());
        assert_eq!(bytes.len(), 12 + 8);
        let all = attributes(&bytes);
        assert_eq!(all, [(IFLA_IFNAME, b"eth0\0".to_vec()), (IFLA_NET_NS_FD, vec![7, 0, 0, 0])]);
        // Lengths that lie end the walk.
        assert_eq!(attributes(&[255, 255, 1, 0]), []);
        assert_eq!(attributes(&[0, 0, 1, 0, 9]), []);
    }

    #[test]
    fn messages_are_told_apart() {
        let message = |kind: u8, body: &[u8]| {
            let mut bytes = vec![16 + u8::try_from(body.len()).unwrap(), 0, 0, 0, kind, 0];
            bytes.resize(HEADER, 0);
            bytes.extend(body);
            bytes
        };
        let both = [message(20, &[1, 2, 3, 4]), message(3, &[])].concat();
        let (first, rest) = first_message(&both).unwrap();
        let reply = |kind, body| Reply { kind, flags: 0, sequence: 0, body };
        assert_eq!(first, reply(20, &[1, 2, 3, 4]));
        assert_eq!(first_message(rest), Some((reply(NLMSG_DONE, &[]), &[][..])));
        assert_eq!(first_message(&[0; 16]), None);
        assert_eq!(first_message(&[]), None);
    }

    fn address(family: i32, scope: u8, flags: u32, index: u8) -> Vec<u8> {
        let mut body = vec![u8::try_from(family).unwrap(), 24, 0, scope, index, 0, 0, 0];
        attribute(&mut body, IFA_LOCAL, &[192, 0, 2, 1]);
        attribute(&mut body, 3, b"eth0\0"); // the label would name another device
        attribute(&mut body, IFA_FLAGS, &flags.to_ne_bytes());
        body
    }

    #[test]
    fn permanent_global_addresses_are_kept() {
        let kept = |scope, flags, index| Address::kept(&address(2, scope, flags, index), 5);
        let one = kept(0, IFA_F_PERMANENT | 0x200 | 0x40, 5).unwrap();
        assert_eq!(one.text(), "[192, 0, 2, 1]/24");
        let expected = [(IFA_LOCAL, vec![192, 0, 2, 1]), (IFA_FLAGS, vec![0, 2, 0, 0])];
        assert_eq!(one.attributes, expected);
        assert_eq!(kept(0, 0, 5), None, "not permanent");
        assert_eq!(kept(253, IFA_F_PERMANENT, 5), None, "of the link");
        assert_eq!(kept(0, IFA_F_PERMANENT, 6), None, "of another device");
        let six = Address::kept(&address(10, 0, IFA_F_PERMANENT, 5), 5).unwrap();
        assert_eq!(six.attributes.last(), Some(&(IFA_FLAGS, vec![2, 0, 0, 0])));
    }
}
