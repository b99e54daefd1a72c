//! Moves devices of the host into the container's network namespace, and back when it fails.
//!
//! Runs in: parent, on the host, while init waits. The kernel takes a device's addresses away when it
//! moves, and its state; both are set again. Not its routes: config-linux.md, "Network Devices".

use crate::error::{OrHint as _, hinted};
use crate::plan::net_devices::NetDevice;
use crate::sys::clone::setns;
use crate::sys::fd::open;
use crate::sys::netlink::{Address, By, Change, Link, Socket};
use anyhow::{Context as _, Result, anyhow};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

/// What was moved, for the way back. It keeps the container's network namespace: with that, the
/// kernel would destroy virtual devices and give others to its first network namespace.
#[derive(Default)]
pub(crate) struct Moved {
    places: Option<Places>,
    devices: Vec<Device>,
}

struct Places {
    host: Socket,
    own: OwnedFd,
    container: Socket,
    namespace: OwnedFd,
}

struct Device {
    field: String,
    host_name: String,
    /// Of the device in the container's network, where others may rename it. `None`: it has not moved.
    index: Option<i32>,
    before: Link,
    addresses: Vec<Address>,
}

/// Moves all of them. What was moved before an error is in `moved`.
pub(crate) fn move_in(devices: &[NetDevice], pid: i32, moved: &mut Moved) -> Result<()> {
    if devices.is_empty() {
        return Ok(());
    }
    let places = Places::open(pid).context("linux.netDevices").hint(NO_RIGHT)?;
    let places = moved.places.insert(places);
    for device in devices {
        move_one(places, device, &mut moved.devices).with_context(|| device.field.clone())?;
    }
    Ok(())
}

const NO_RIGHT: &str = "moving needs CAP_NET_ADMIN over both networks: run rt as root of the host";

fn move_one(places: &Places, plan: &NetDevice, moved: &mut Vec<Device>) -> Result<()> {
    let Places { host, container, namespace, .. } = places;
    let hint = "make the device before the container; it must be in rt's own network namespace";
    let link = host
        .link(By::Name(&plan.host_name))
        .map_err(|err| hinted(err, &[(Errno::ENODEV, hint)]))?;
    let container_name = free_name(container, &plan.container_name)?;
    moved.push(Device {
        field: plan.field.clone(),
        host_name: plan.host_name.clone(),
        index: None,
        addresses: host.addresses(link.index)?,
        before: link.clone(),
    });
    let there = Some(namespace.as_fd());
    let hints = [
        (Errno::EINVAL, "devices of this kind, such as lo and many bridges, cannot be moved"),
        (Errno::EPERM, NO_RIGHT),
    ];
    let go = |new_index| {
        let name = Some(container_name.as_str());
        host.change(link.index, Change { name, namespace: there, new_index, ..Change::default() })
    };
    let index = numbers(link.index)
        .find_map(|index| match go(Some(index)) {
            Err(err) if err.errno == Errno::EBUSY => None, // taken there
            other => Some(other.map(|()| index)),
        })
        .unwrap_or_else(|| go(None).map(|()| link.index))
        .map_err(|err| hinted(err, &hints))?;
    let index = match container.link(By::Index(index)) {
        Ok(there) if there.identity == link.identity => index,
        // A kernel without the choice of a number, and it was taken.
        _ => container.link(By::Name(&container_name))?.index,
    };
    let Some(device) = moved.last_mut() else { return Ok(()) };
    device.index = Some(index);
    configure(container, index, &device.addresses, true)
}

/// The number that it has, and some that nobody is likely to have.
fn numbers(index: i32) -> impl Iterator<Item = i32> {
    [index].into_iter().chain((1..8).map(move |n| (index & 0xffff) | n << 24))
}

fn configure(socket: &Socket, index: i32, addresses: &[Address], up: bool) -> Result<()> {
    for address in addresses {
        socket.add_address(index, address)?;
    }
    if up {
        socket.change(index, Change { up, ..Change::default() })?;
    }
    Ok(())
}

/// A name that ends in `%d` gets the first number that is free.
fn free_name(container: &Socket, wanted: &str) -> Result<String> {
    let is_free = |name: &str| match container.link(By::Name(name)) {
        Ok(_) => Ok(false),
        Err(err) if err.errno == Errno::ENODEV => Ok(true),
        Err(err) => Err(err),
    };
    if let Some(prefix) = wanted.strip_suffix("%d") {
        for n in 0..u16::MAX {
            let name = format!("{prefix}{n}");
            if is_free(&name)? {
                return Ok(name);
            }
        }
    } else if is_free(wanted)? {
        return Ok(wanted.to_string());
    }
    Err(anyhow!("the container's network has a device {wanted:?} already"))
        .hint("give the device another name there, or one that ends in %d")
}

impl Places {
    fn open(pid: i32) -> Result<Self> {
        let own = open(Path::new("/proc/self/ns/net"), OFlag::O_RDONLY)?;
        let namespace = open(Path::new(&format!("/proc/{pid}/ns/net")), OFlag::O_RDONLY)?;
        let host = Socket::open()?;
        setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET)?;
        let container = Socket::open();
        setns(own.as_fd(), CloneFlags::CLONE_NEWNET).context("return to the host's network")?;
        Ok(Self { host, own, container: container?, namespace })
    }
}

impl Moved {
    /// Brings back what was moved, with its name, addresses and state, the last one first. What fails
    /// joins the error that is the reason.
    pub(crate) fn undo(self, reason: anyhow::Error) -> anyhow::Error {
        let Some(places) = &self.places else { return reason };
        self.devices.iter().rev().fold(reason, |reason, device| match places.bring_back(device) {
            Ok(()) => reason,
            Err(err) => {
                let err = crate::error::chain(&err);
                reason.context(format!("bring back {}: {err}", device.field))
            }
        })
    }
}

impl Places {
    fn bring_back(&self, device: &Device) -> Result<()> {
        let Device { host_name, before, addresses, .. } = device;
        let Some(index) = device.index else { return Ok(()) };
        // In a network that is joined, others may have put one of theirs in its place.
        if self.container.link(By::Index(index))?.identity != before.identity {
            return Err(anyhow!("it is another device now"))
                .hint("find it in the container's network, and move it back by hand");
        }
        let here = Some(self.own.as_fd());
        let name = Some(host_name.as_str());
        let change = Change { name, namespace: here, ..Change::default() };
        let as_before = Change { new_index: Some(before.index), ..change };
        match self.container.change(index, as_before) {
            Err(err) if err.errno == Errno::EBUSY => self.container.change(index, change)?,
            done => done?,
        }
        configure(&self.host, self.host.link(By::Name(host_name))?.index, addresses, before.is_up)
    }
}
