//! What bridge networks need, tried in a network namespace that nobody else sees.
//!
//! Runs in: an ordinary process, under the lock. Privilege: that of networks, see the module above.

use super::attach;
use super::enter;
use super::ipam::{self, Pool};
use super::netlink::Socket;
use super::record::{Driver, Network, Networks};
use super::rules;
use anyhow::Result;

/// A bridge with an address, and forwarding.
pub(crate) fn bridge() -> Result<()> {
    let network = network()?;
    enter::apart(|| attach::bridge(&Socket::open()?, &network).map(drop))
}

/// The rules of a bridge.
pub(crate) fn rules(networks: &Networks<'_>) -> Result<()> {
    let scratch = networks.home.scratch()?;
    let network = network()?;
    let (name, directory) = ("bundles".to_owned(), scratch.path());
    let table = rules::Table { name, directory, lock: &networks.lock };
    enter::apart(|| table.change([&network].into_iter(), true)?.wait())
}

fn network() -> Result<Network> {
    let mut network = Network::new("trial", Driver::Bridge)?;
    network.pools.push(Pool::new(ipam::choose(&[])?, None, None)?);
    Ok(network)
}
