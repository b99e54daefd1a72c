//! Networks come and go: their records, and the three that are always there.
//!
//! Runs in: an ordinary process, under the lock. Privilege: none.

use super::ipam::{self, Pool, Used};
use super::netlink::Socket;
use super::record::{Driver, Network, Networks, check_name};
use super::subnet::Subnet;
use super::{holder, uplink};
use crate::error::OrHint as _;
use crate::events;
use crate::ids::random;
use anyhow::{Result, anyhow};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) name: String,
    pub(crate) driver: Driver,
    pub(crate) subnets: Vec<Subnet>,
    pub(crate) gateways: Vec<IpAddr>,
    pub(crate) ranges: Vec<Subnet>,
    pub(crate) internal: bool,
    pub(crate) ipv6: bool,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) options: BTreeMap<String, String>,
}

/// Makes `bridge`, `host` and `none` on the first use of a home.
pub(crate) fn predefined(networks: &Networks<'_>) -> Result<()> {
    for (name, driver) in
        [("host", Driver::Host), ("none", Driver::Null), ("bridge", Driver::Bridge)]
    {
        if networks.has(name) {
            continue;
        }
        let mut network = Network::new(name, driver)?;
        if driver == Driver::Bridge {
            let subnet = ipam::choose(&used(networks)?)?;
            network.pools.push(Pool::new(subnet, None, None)?);
        }
        networks.add(&network)?;
    }
    Ok(())
}

/// Of networks and of the host. A bridge of ours has the subnet of its network.
fn used(networks: &Networks<'_>) -> Result<Vec<Used>> {
    let mut used = networks.used()?;
    let host = Socket::open()?;
    let links = host.links()?;
    let ours: Vec<String> = networks.all()?.iter().map(Network::bridge).collect();
    for (subnet, index) in host.routes()? {
        let link = links.iter().find(|link| Some(link.index) == index);
        let name = link.map_or("the host", |link| link.name.as_str());
        if !ours.iter().any(|bridge| bridge == name) {
            used.push(Used { subnet, by: format!("the host's route by {name}") });
        }
    }
    if holder::is_ordinary(networks)? {
        used.push(Used { subnet: uplink::subnet(), by: "the way out of networks".to_owned() });
    }
    Ok(used)
}

pub(crate) fn create(networks: &Networks<'_>, request: Request) -> Result<Network> {
    check_name(&request.name)?;
    if networks.has(&request.name) {
        return Err(anyhow!("network {} already exists", request.name)).hint(format!(
            "choose another name, or remove it first: bundles network rm {}",
            request.name
        ));
    }
    check_options(networks, &request)?;
    let pools = pools(networks, &request)?;
    let mut network = Network::new(&request.name, request.driver)?;
    network.pools = pools;
    network.internal = request.internal;
    network.labels = request.labels;
    network.options = request.options;
    networks.add(&network)?;
    events::note(networks.home, network.event("create"));
    Ok(network)
}

/// Options of Docker's bridge that ask for what is done anyway.
const AS_IT_IS: &[(&str, &str)] = &[
    ("com.docker.network.bridge.enable_icc", "true"),
    ("com.docker.network.bridge.enable_ip_masquerade", "true"),
    ("com.docker.network.driver.mtu", "1500"),
];

fn check_options(networks: &Networks<'_>, request: &Request) -> Result<()> {
    for (key, value) in &request.options {
        let known = match request.driver {
            Driver::Macvlan => ["parent", "macvlan_mode"].contains(&key.as_str()),
            Driver::Bridge => AS_IT_IS.contains(&(key.as_str(), value.as_str())),
            Driver::Host | Driver::Null => false,
        };
        if !known {
            return Err(anyhow!(
                "-o {key}={value}: no option of the driver {}",
                request.driver.name()
            ))
            .hint(
                "leave it away; macvlan has parent and macvlan_mode, bridge has none of its own",
            );
        }
        if key == "macvlan_mode" {
            super::attach::macvlan_mode(Some(value))?;
        }
    }
    if request.driver == Driver::Macvlan && holder::is_ordinary(networks)? {
        return Err(anyhow!("network {}: macvlan needs root", request.name))
            .hint("make a bridge network, without --driver");
    }
    if request.driver == Driver::Macvlan && !request.options.contains_key("parent") {
        return Err(anyhow!("network {}: macvlan needs a link of the host", request.name))
            .hint("name it with -o parent=LINK; `ip link` shows them");
    }
    Ok(())
}

fn pools(networks: &Networks<'_>, request: &Request) -> Result<Vec<Pool>> {
    let mut subnets = request.subnets.clone();
    let known = used(networks)?;
    if !subnets.iter().any(|subnet| !subnet.is_v6()) {
        if request.driver == Driver::Macvlan {
            return Err(anyhow!("network {}: macvlan needs the subnet of its wire", request.name))
                .hint("say which, as in --subnet 192.168.1.0/24 --gateway 192.168.1.1");
        }
        subnets.insert(0, ipam::choose(&known)?);
    }
    if request.ipv6 && !subnets.iter().any(|subnet| subnet.is_v6()) {
        subnets.push(ipam::local_v6(random()?));
    }
    let mut pools: Vec<Pool> = vec![];
    for subnet in &subnets {
        if pools.iter().any(|pool| pool.subnet.is_v6() == subnet.is_v6()) {
            return Err(anyhow!("--subnet {subnet}: a second one of its family"))
                .hint("give one for IPv4 and one for IPv6 at most");
        }
        // A macvlan is on the wire of the host, whose subnet it has.
        let of_wire = request.driver == Driver::Macvlan;
        let rivals: Vec<Used> = known
            .iter()
            .filter(|used| !of_wire || used.by.starts_with("network "))
            .cloned()
            .collect();
        if let Some(rival) = ipam::conflict(*subnet, &rivals) {
            let free = ipam::choose(&known).map(|free| format!(", such as {free}"));
            return Err(anyhow!(
                "subnet {subnet}: overlaps {}, that of {}",
                rival.subnet,
                rival.by
            ))
            .hint(format!("choose another one{}", free.unwrap_or_default()));
        }
        let gateway = request.gateways.iter().find(|gateway| subnet.contains(**gateway));
        let range = request.ranges.iter().find(|range| range.overlaps(*subnet));
        pools.push(Pool::new(*subnet, gateway.copied(), range.copied())?);
    }
    let has = |address: IpAddr| pools.iter().any(|pool| pool.subnet.contains(address));
    let lost = request.gateways.iter().map(|gateway| ("--gateway", *gateway));
    let lost = lost.chain(request.ranges.iter().map(|range| ("--ip-range", range.first())));
    if let Some((flag, address)) = lost.into_iter().find(|(_, address)| !has(*address)) {
        let all: Vec<String> = subnets.iter().map(ToString::to_string).collect();
        return Err(anyhow!("{flag} {address}: not inside of {}", all.join(", ")))
            .hint("choose the subnet, too, with --subnet");
    }
    Ok(pools)
}
