//! Takes containers off networks, and away what nobody is on any more.
//!
//! Runs in: an ordinary process, under the lock. Privilege: as [`super::attach`].

use super::attach;
use super::holder::{self, Place};
use super::hosts;
use super::mac;
use super::netlink::{Link, Socket};
use super::record::{self, Endpoint, Network, Networks};
use super::rules;
use crate::error::OrHint as _;
use crate::home::Home;
use anyhow::{Context as _, Result, anyhow};
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;

/// The container may be gone already.
pub(crate) fn detach(home: &Home, network: &str, container: &str) -> Result<()> {
    let networks = Networks::lock(home)?;
    let network = networks.find(network)?;
    let mut endpoints = networks.endpoints(&network)?;
    let gone = unsettle(&mut endpoints, container);
    if gone.is_empty() {
        return Err(anyhow!("{container} is not on network {}", network.name))
            .hint(format!("bundles network inspect {} shows who is", network.name));
    }
    let Some(place) = Place::existing(&networks)? else { return forget(&networks) };
    networks.set_endpoints(&network, &endpoints)?;
    let removed = place.within(|| remove(&networks, container));
    removed.map_err(|err| place.explain(err))?;
    hosts::refresh(&networks, &gone)?;
    place.leave(&networks)
}

/// Marks those of a container, for [`tidy`]; returns them.
fn unsettle(endpoints: &mut [Endpoint], container: &str) -> Vec<Endpoint> {
    let own = endpoints.iter_mut().filter(|endpoint| endpoint.container == container);
    own.map(|endpoint| {
        endpoint.settled = false;
        endpoint.clone()
    })
    .collect()
}

/// Takes a container off where it is not settled any more, from where the bridges are.
fn remove(networks: &Networks<'_>, container: &str) -> Result<()> {
    tidy(networks, &Socket::open()?)?;
    let others = record::everybody(networks.home)?;
    for (_, other) in others.iter().filter(|(_, other)| other.container == container) {
        // The way out was by the network that it has left.
        if let Some(namespace) = namespace_of(other)? {
            let inside = Socket::inside(&namespace)?;
            attach::default_routes(&inside, other)?;
        }
    }
    Ok(())
}

/// Takes a container off all networks. It may be on none, and gone already.
pub(crate) fn leave(home: &Home, container: &str) -> Result<()> {
    let is_on = |(_, endpoint): &(Network, Endpoint)| endpoint.container == container;
    if !record::everybody(home)?.iter().any(is_on) {
        return Ok(()); // most of the time without waiting for others
    }
    let networks = Networks::lock(home)?;
    let mut gone = vec![];
    for network in networks.all()? {
        let mut endpoints = networks.endpoints(&network)?;
        let own = unsettle(&mut endpoints, container);
        if !own.is_empty() {
            networks.set_endpoints(&network, &endpoints)?;
            gone.extend(own);
        }
    }
    settle(&networks)?;
    hosts::refresh(&networks, &gone)
}

/// What a process that was killed has left goes, and the rules follow.
pub(crate) fn settle(networks: &Networks<'_>) -> Result<()> {
    let Some(place) = Place::existing(networks)? else { return forget(networks) };
    let settled = place.within(|| tidy(networks, &Socket::open()?));
    settled.map_err(|err| place.explain(err))?;
    place.leave(networks)
}

/// What is recorded but was lost with its namespace: an ordinary user's, whose holder was killed.
pub(crate) fn forget_lost(networks: &Networks<'_>) -> Result<()> {
    if holder::is_lost(networks)? { forget(networks) } else { Ok(()) }
}

/// Nothing of what is recorded is there any more, or it goes now.
pub(super) fn forget(networks: &Networks<'_>) -> Result<()> {
    holder::bury(networks)?;
    let gone: Vec<Endpoint> =
        record::everybody(networks.home)?.into_iter().map(|(_, endpoint)| endpoint).collect();
    for endpoint in &gone {
        // The kernel takes a moment to do so itself, which it does if we may not.
        remove_inside(endpoint).ok();
    }
    for network in networks.all()? {
        if !networks.endpoints(&network)?.is_empty() {
            networks.set_endpoints(&network, &[])?;
        }
    }
    rules::forget(&networks.directory)?;
    hosts::refresh(networks, &gone)
}

/// A network with those who stay on it, and those who go.
struct Split {
    network: Network,
    kept: Vec<Endpoint>,
    gone: Vec<Endpoint>,
}

/// Takes away what was left unsettled or whose namespace is gone, and bridges without containers;
/// the rules follow.
pub(super) fn tidy(networks: &Networks<'_>, host: &Socket) -> Result<()> {
    let links = host.links()?;
    let mut splits = vec![];
    for network in networks.all()? {
        let (mut kept, mut gone) = (vec![], vec![]);
        for endpoint in networks.endpoints(&network)? {
            let is_kept = endpoint.settled && is_alive(&endpoint, &links)?;
            if is_kept { kept.push(endpoint) } else { gone.push(endpoint) }
        }
        splits.push(Split { network, kept, gone });
    }
    let doomed = host.shut(&doomed(host, &links, &splits)?)?;
    let in_use = splits.iter().filter(|split| !split.kept.is_empty()).map(|split| &split.network);
    // Both wait for grace periods of the kernel, at the same time.
    let rules = rules::change(networks, in_use, false)?;
    let vanishing = doomed.delete();
    rules.wait().and(vanishing?.wait())?;
    for Split { network, kept, gone } in &splits {
        if !gone.is_empty() {
            networks.set_endpoints(network, kept)?;
        }
    }
    Ok(())
}

/// The host's links that nobody needs. Those in containers that go with none of these go now.
fn doomed(host: &Socket, links: &[Link], splits: &[Split]) -> Result<Vec<Link>> {
    let mut doomed = vec![];
    for Split { network, kept, gone } in splits {
        for endpoint in gone {
            match &endpoint.link {
                // It may be younger than the list.
                Some(name) => match links.iter().find(|link| link.name == *name) {
                    Some(link) => doomed.push(link.clone()),
                    None => doomed.extend(host.link(name)?),
                },
                None => remove_inside(endpoint)?,
            }
        }
        if kept.is_empty() {
            doomed.extend(links.iter().find(|link| link.name == network.bridge()).cloned());
        }
    }
    Ok(doomed)
}

pub(super) fn identity(namespace: &File) -> Result<(u64, u64)> {
    let metadata = namespace.metadata().context("fstat(network namespace)")?;
    Ok((metadata.dev(), metadata.ino()))
}

/// None when it is gone, or when another one has taken its path.
fn namespace_of(endpoint: &Endpoint) -> Result<Option<File>> {
    let Ok(namespace) = File::open(&endpoint.netns) else { return Ok(None) };
    Ok((identity(&namespace)? == endpoint.namespace).then_some(namespace))
}

fn is_alive(endpoint: &Endpoint, links: &[Link]) -> Result<bool> {
    match &endpoint.link {
        Some(name) => Ok(links.iter().any(|link| link.name == *name)),
        None => Ok(namespace_of(endpoint)?.is_some()),
    }
}

/// The container's link.
fn remove_inside(endpoint: &Endpoint) -> Result<()> {
    let Some(namespace) = namespace_of(endpoint)? else { return Ok(()) };
    let inside = Socket::inside(&namespace)?;
    let mac = mac::read(&endpoint.mac)?;
    match inside.link(&endpoint.interface)? {
        Some(link) if link.mac == mac => inside.delete(&link),
        _ => Ok(()),
    }
}
