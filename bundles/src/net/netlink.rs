//! Links, addresses and routes: rtnetlink(7), by blocking calls.
//!
//! Runs in: an ordinary process. Privilege: `CAP_NET_ADMIN` in the namespace where the socket was
//! opened; it stays there.

use super::enter;
use super::mac::Mac;
use super::subnet::Subnet;
use crate::ids::random;
use anyhow::{Context as _, Result, anyhow};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoMacVlan, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
    MacVlanMode, State,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily as Family, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::thread::{Builder, JoinHandle, sleep};
use std::time::Duration;

/// More than the kernel sends at once.
const LONGEST: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) mac: Vec<u8>,
    /// Operational: packets pass.
    pub(crate) is_up: bool,
}

/// Links that are to go at once, as the group with this number.
#[derive(Debug)]
#[must_use = "they are still there"]
pub(crate) struct Doomed {
    group: u32,
    names: Vec<String>,
}

/// Links that the kernel is about to delete.
#[derive(Debug)]
#[must_use = "they may still be there"]
pub(crate) struct Vanishing {
    names: Vec<String>,
    /// Ends some 20 ms after the links are gone: the kernel waits until no processor uses them. That
    /// cannot be cut off, not even by the end of this process.
    request: Option<JoinHandle<Result<()>>>,
}

impl Doomed {
    /// By one request: the kernel waits for all of its processors once, not for each link.
    pub(crate) fn delete(self) -> Result<Vanishing> {
        let Self { group, names } = self;
        let request = move || {
            let mut message = LinkMessage::default();
            message.attributes = vec![LinkAttribute::Group(group)];
            match Socket::open()?.request(RouteNetlinkMessage::DelLink(message), 0) {
                Err(err) if errno(&err) != Some(Errno::ENODEV) => {
                    Err(err.context("RTM_DELLINK(IFLA_GROUP)"))
                }
                _ => Ok(()),
            }
        };
        let request = if names.is_empty() {
            None
        } else {
            Some(Builder::new().spawn(request).context("start a thread")?)
        };
        Ok(Vanishing { names, request })
    }
}

/// How often to look whether they are there.
const LOOK: Duration = Duration::from_micros(200);

impl Vanishing {
    /// Until nobody can see them any more.
    pub(crate) fn wait(self) -> Result<()> {
        let Some(request) = self.request else { return Ok(()) };
        let exist = || self.names.iter().any(|name| if_nametoindex(name.as_str()).is_ok());
        while exist() {
            if request.is_finished() {
                return request.join().map_err(enter::panicked)?;
            }
            sleep(LOOK);
        }
        Ok(())
    }
}

/// One end of a pair on a bridge, and the other in a container.
#[derive(Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) name: &'a str,
    /// The index of the bridge.
    pub(crate) bridge: u32,
    pub(crate) inside: Inside<'a>,
}

/// A link in a container's namespace.
#[derive(Debug)]
pub(crate) struct Inside<'a> {
    pub(crate) name: &'a str,
    pub(crate) mac: Mac,
    pub(crate) namespace: &'a File,
}

impl Socket {
    pub(crate) fn open() -> Result<Self> {
        let made = socket(
            Family::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        );
        made.map(|fd| Self { fd }).context("socket(AF_NETLINK, NETLINK_ROUTE)")
    }

    /// In another network namespace.
    pub(crate) fn inside(namespace: &File) -> Result<Self> {
        enter::inside(namespace, Self::open)
    }

    /// Sends a request and collects what is answered, to its end.
    fn request(&self, body: RouteNetlinkMessage, flags: u16) -> Result<Vec<RouteNetlinkMessage>> {
        let mut message = NetlinkMessage::from(body);
        let dump = flags & NLM_F_DUMP == NLM_F_DUMP && flags & NLM_F_CREATE == 0;
        message.header.flags = NLM_F_REQUEST | flags | if dump { 0 } else { NLM_F_ACK };
        message.finalize();
        let mut buffer = vec![0; message.buffer_len()];
        message.serialize(&mut buffer);
        send(self.fd.as_raw_fd(), &buffer, MsgFlags::empty()).context("send")?;
        let mut answers = vec![];
        let mut buffer = vec![0; LONGEST];
        loop {
            let size = recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty()).context("recv")?;
            let mut rest = buffer.get(..size).unwrap_or_default();
            while !rest.is_empty() {
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .context("an answer of the kernel")?;
                let length = usize::try_from(answer.header.length).unwrap_or(usize::MAX);
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
                match answer.payload {
                    NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                    NetlinkPayload::Error(error) => {
                        return match error.code {
                            None => Ok(answers),
                            Some(code) => Err(Errno::from_raw(-code.get()).into()),
                        };
                    }
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Noop => {}
                    NetlinkPayload::Overrun(_) | _ => {
                        return Err(anyhow!("an answer of the kernel was lost"));
                    }
                }
            }
        }
    }

    pub(crate) fn links(&self) -> Result<Vec<Link>> {
        let answers = self
            .request(RouteNetlinkMessage::GetLink(LinkMessage::default()), NLM_F_DUMP)
            .context("RTM_GETLINK")?;
        Ok(answers.into_iter().filter_map(link_of).collect())
    }

    /// None when there is no link of that name.
    pub(crate) fn link(&self, name: &str) -> Result<Option<Link>> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        match self.request(RouteNetlinkMessage::GetLink(message), 0) {
            Ok(answers) => Ok(answers.into_iter().find_map(link_of)),
            Err(err) if errno(&err) == Some(Errno::ENODEV) => Ok(None),
            Err(err) => Err(err.context(format!("RTM_GETLINK({name})"))),
        }
    }

    fn existing(&self, name: &str) -> Result<Link> {
        self.link(name)?.with_context(|| format!("link {name}: is gone"))
    }

    fn add_link(&self, message: LinkMessage, what: &str) -> Result<()> {
        self.request(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
            .with_context(|| format!("RTM_NEWLINK({what})"))
            .map(drop)
    }

    /// Made if it is missing, and up. Returns its index.
    pub(crate) fn bridge(&self, name: &str, mac: Mac) -> Result<u32> {
        if self.link(name)?.is_none() {
            let mut message = LinkMessage::default();
            message.attributes = vec![
                LinkAttribute::IfName(name.to_owned()),
                LinkAttribute::Address(mac.to_vec()),
                LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
            ];
            self.add_link(message, &format!("{name}, bridge"))?;
        }
        let index = self.existing(name)?.index;
        self.up(index).with_context(|| name.to_owned())?;
        Ok(index)
    }

    /// Both ends at once, the inner one where it belongs; neither is seen anywhere else.
    pub(crate) fn pair(&self, pair: &Pair<'_>) -> Result<()> {
        // The inner one cannot be up before it has its peer.
        let peer = inside(&pair.inside);
        let mut message = LinkMessage::default();
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        message.attributes = vec![
            LinkAttribute::IfName(pair.name.to_owned()),
            LinkAttribute::Controller(pair.bridge),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
            ]),
        ];
        self.add_link(message, &format!("{}, veth, peer {}", pair.name, pair.inside.name))
    }

    /// A second link with its own hardware address on the wire of `parent`.
    pub(crate) fn macvlan(&self, parent: u32, mode: MacVlanMode, new: &Inside<'_>) -> Result<()> {
        let mut message = inside(new);
        message.attributes.push(LinkAttribute::Link(parent));
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::MacVlan),
            LinkInfo::Data(InfoData::MacVlan(vec![InfoMacVlan::Mode(mode)])),
        ]));
        self.add_link(message, &format!("{}, macvlan", new.name))
    }

    /// No error when it has gone meanwhile.
    pub(crate) fn delete(&self, link: &Link) -> Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = link.index;
        match self.request(RouteNetlinkMessage::DelLink(message), 0) {
            Err(err) if errno(&err) != Some(Errno::ENODEV) => {
                Err(err.context(format!("RTM_DELLINK({})", link.name)))
            }
            _ => Ok(()),
        }
    }

    /// Takes links down, and makes them one group. It is no error when one has gone meanwhile.
    pub(crate) fn shut(&self, links: &[Link]) -> Result<Doomed> {
        // So that nobody else has it. People give small numbers to theirs.
        let group = u32::from_ne_bytes(random()?) | 1 << 31;
        for link in links {
            let mut message = LinkMessage::default();
            message.header.index = link.index;
            message.header.change_mask = LinkFlags::Up;
            message.attributes = vec![LinkAttribute::Group(group)];
            match self.request(RouteNetlinkMessage::SetLink(message), 0) {
                Err(err) if errno(&err) != Some(Errno::ENODEV) => {
                    return Err(err.context(format!("RTM_SETLINK({}, down)", link.name)));
                }
                _ => {}
            }
        }
        Ok(Doomed { group, names: links.iter().map(|link| link.name.clone()).collect() })
    }

    pub(crate) fn up(&self, index: u32) -> Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        self.request(RouteNetlinkMessage::NewLink(message), 0)
            .with_context(|| format!("RTM_NEWLINK({index}, IFF_UP)"))
            .map(drop)
    }

    /// No error when it is there.
    pub(crate) fn add_address(&self, index: u32, address: IpAddr, prefix: u8) -> Result<()> {
        let mut message = AddressMessage::default();
        message.header.family = family(address);
        message.header.prefix_len = prefix;
        message.header.index = index;
        message.header.scope = AddressScope::Universe;
        message.attributes =
            vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
        match (address, Subnet::around(address, prefix).last()) {
            (IpAddr::V4(_), IpAddr::V4(last)) => {
                message.attributes.push(AddressAttribute::Broadcast(last));
            }
            // Nobody else has it, and it is needed at once.
            _ => message.header.flags = AddressHeaderFlags::Nodad,
        }
        self.request(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
            .with_context(|| format!("RTM_NEWADDR({address}/{prefix})"))
            .map(drop)
    }

    /// No error when there is a default route.
    pub(crate) fn add_default_route(&self, gateway: IpAddr) -> Result<()> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(gateway);
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.protocol = RouteProtocol::Boot;
        message.header.scope = RouteScope::Universe;
        message.header.kind = RouteType::Unicast;
        message.attributes = vec![RouteAttribute::Gateway(RouteAddress::from(gateway))];
        match self.request(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL) {
            Err(err) if errno(&err) != Some(Errno::EEXIST) => {
                Err(err.context(format!("RTM_NEWROUTE(default via {gateway})")))
            }
            _ => Ok(()),
        }
    }

    /// The subnets that are reached, and the index of the link by which.
    pub(crate) fn routes(&self) -> Result<Vec<(Subnet, Option<u32>)>> {
        let request = RouteNetlinkMessage::GetRoute(RouteMessage::default());
        let answers = self.request(request, NLM_F_DUMP).context("RTM_GETROUTE")?;
        Ok(answers.into_iter().filter_map(route_of).collect())
    }
}

/// The errno at the root of an error.
pub(crate) fn errno(err: &anyhow::Error) -> Option<Errno> {
    err.downcast_ref::<Errno>().copied()
}

fn inside(new: &Inside<'_>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(new.name.to_owned()),
        LinkAttribute::Address(new.mac.to_vec()),
        LinkAttribute::NetNsFd(new.namespace.as_raw_fd()),
    ];
    message
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet }
}

fn link_of(message: RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = message else { return None };
    let mut link =
        Link { index: message.header.index, name: String::new(), mac: vec![], is_up: false };
    for attribute in message.attributes {
        if let LinkAttribute::IfName(name) = attribute {
            link.name = name;
        } else if let LinkAttribute::Address(mac) = attribute {
            link.mac = mac;
        } else if let LinkAttribute::OperState(state) = attribute {
            link.is_up = state == State::Up;
        }
    }
    Some(link)
}

/// Of the main table, and not the default route.
fn route_of(message: RouteNetlinkMessage) -> Option<(Subnet, Option<u32>)> {
    let RouteNetlinkMessage::NewRoute(message) = message else { return None };
    let is_main = message.header.table == RouteHeader::RT_TABLE_MAIN;
    if !is_main || message.header.destination_prefix_length == 0 {
        return None;
    }
    let mut subnet = None;
    let mut link = None;
    for attribute in message.attributes {
        if let RouteAttribute::Destination(address) = attribute {
            let address = if let RouteAddress::Inet(address) = address {
                IpAddr::from(address)
            } else if let RouteAddress::Inet6(address) = address {
                IpAddr::from(address)
            } else {
                return None;
            };
            subnet = Some(Subnet::around(address, message.header.destination_prefix_length));
        } else if let RouteAttribute::Oif(index) = attribute {
            link = Some(index);
        }
    }
    Some((subnet?, link))
}
