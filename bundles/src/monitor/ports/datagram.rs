//! Datagrams of a listener, with that address of the host which each came to: an answer has to come
//! from there. ip(7), ipv6(7).
//!
//! Runs in: the monitor.

use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd as _};

pub(super) struct Received {
    /// In bytes.
    pub(super) length: usize,
    pub(super) client: SocketAddr,
    pub(super) local: Option<Local>,
}

/// An address of the host.
#[derive(Clone, Copy)]
pub(super) enum Local {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

/// Has the kernel say it of each datagram from now on.
pub(super) fn ask_local(socket: impl AsFd, v6: bool) -> Result<(), Errno> {
    if v6 {
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)
    } else {
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)
    }
}

/// `None` when there is no more.
pub(super) fn receive(socket: impl AsFd, bytes: &mut [u8]) -> Option<Received> {
    let mut space = nix::cmsg_space!(in_pktinfo, in6_pktinfo);
    let mut pieces = [IoSliceMut::new(bytes)];
    let fd = socket.as_fd().as_raw_fd();
    let message =
        recvmsg::<SockaddrStorage>(fd, &mut pieces, Some(&mut space), MsgFlags::MSG_DONTWAIT);
    let message = message.ok()?;
    let from = message.address?;
    let client = from
        .as_sockaddr_in()
        .map(|from| SocketAddr::V4((*from).into()))
        .or_else(|| from.as_sockaddr_in6().map(|from| SocketAddr::V6((*from).into())))?;
    let local = message.cmsgs().ok()?.find_map(local);
    Some(Received { length: message.bytes, client, local })
}

fn local(control: ControlMessageOwned) -> Option<Local> {
    if let ControlMessageOwned::Ipv4PacketInfo(info) = control {
        // The route says by which link.
        let (ipi_ifindex, ipi_addr) = (0, in_addr { s_addr: 0 });
        return Some(Local::V4(in_pktinfo { ipi_ifindex, ipi_addr, ..info }));
    }
    let ControlMessageOwned::Ipv6PacketInfo(info) = control else { return None };
    let group = Ipv6Addr::from(info.ipi6_addr.s6_addr).is_multicast();
    (!group).then_some(Local::V6(info))
}

/// What cannot be sent is lost, as anywhere on the way.
pub(super) fn send(socket: impl AsFd, bytes: &[u8], client: SocketAddr, local: Option<&Local>) {
    let control = local.map(|local| match local {
        Local::V4(info) => ControlMessage::Ipv4PacketInfo(info),
        Local::V6(info) => ControlMessage::Ipv6PacketInfo(info),
    });
    let control: Vec<ControlMessage<'_>> = control.into_iter().collect();
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let (fd, to) = (socket.as_fd().as_raw_fd(), SockaddrStorage::from(client));
    sendmsg(fd, &[IoSlice::new(bytes)], &control, flags, Some(&to)).ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn answers_come_from_the_address_that_was_asked() {
        for (all, asked) in [("0.0.0.0:0", "127.0.0.9"), ("[::]:0", "::1")] {
            let Ok(listener) = UdpSocket::bind(all) else { continue };
            ask_local(&listener, asked == "::1").unwrap();
            let port = listener.local_addr().unwrap().port();
            let at = SocketAddr::new(asked.parse().unwrap(), port);
            let client = UdpSocket::bind(SocketAddr::new(at.ip(), 0)).unwrap();
            client.connect(at).unwrap(); // nothing from elsewhere reaches it now
            client.send(b"ask").unwrap();
            let mut bytes = [0; 8];
            listener.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
            listener.peek_from(&mut bytes).unwrap();
            let got = receive(&listener, &mut bytes).unwrap();
            assert_eq!(
                (&bytes[..got.length], got.client),
                (&b"ask"[..], client.local_addr().unwrap())
            );
            send(&listener, b"answer", got.client, got.local.as_ref());
            client.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
            assert_eq!(client.recv(&mut bytes).unwrap(), 6);
        }
    }
}
