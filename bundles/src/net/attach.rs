//! Brings containers onto networks.
//!
//! Runs in: an ordinary process, under the lock. Privilege: `CAP_NET_ADMIN`, and `CAP_SYS_ADMIN` for
//! setns(2); an ordinary user has them in the namespaces of [`super::holder`].
//!
//! What is to be made is recorded before, unsettled, and settled when it is there. Whoever changes
//! networks next, [`tidy`] first takes away what a killed process has left unsettled.

use super::detach::{forget, identity, tidy};
use super::holder::{Held, Place};
use super::hosts;
use super::mac::{self, Mac};
use super::netlink::{Inside, Pair, Socket, errno};
use super::record::{Driver, Endpoint, Lease, Network, Networks};
use super::rules;
use crate::error::OrHint as _;
use crate::home::Home;
use crate::ids::{hex, random};
use anyhow::{Context as _, Result, anyhow, bail};
use netlink_packet_route::link::MacVlanMode;
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the kernel may take to notice that a link is up; after a second packets come anyway.
const NOTICE: Duration = Duration::from_secs(1);

/// A container that is to be on a network.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Its id, or `netns:PATH`.
    pub(crate) container: String,
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) netns: PathBuf,
    /// The first free one of eth0, eth1 and so on when it is missing.
    pub(crate) interface: Option<String>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) mac: Option<Mac>,
    /// The file that is its /etc/hosts, kept current from now on.
    pub(crate) hosts: Option<PathBuf>,
    pub(crate) hosts_added: Vec<(String, IpAddr)>,
    pub(crate) hostname: String,
    /// Names that it alone has for other containers, by their ids.
    pub(crate) links: Vec<(String, String)>,
}

/// Returns what the container has got, and lines for a person: why there is no way out, told once.
/// An ordinary user's process is in the user namespace of his containers from now on.
pub(crate) fn attach(
    home: &Home,
    network: &str,
    wanted: &Wanted,
) -> Result<(Endpoint, Option<String>)> {
    let networks = Networks::lock(home)?;
    super::create::predefined(&networks)?;
    let network = networks.find(network)?;
    match network.driver {
        Driver::Bridge | Driver::Macvlan => {}
        Driver::Host | Driver::Null => {
            bail!("network {}: a container is on it from its start or not at all", network.name)
        }
    }
    let mut place = place(&networks)?;
    let added = place.within(|| add(&networks, &network, wanted));
    let endpoint = match added.map_err(|err| place.explain(err)) {
        Ok(endpoint) => endpoint,
        Err(err) => {
            place.leave(&networks).ok(); // the cause counts
            return Err(err);
        }
    };
    hosts::refresh(&networks, &[])?;
    let note = if network.internal { None } else { place.uplink(&networks)? };
    Ok((endpoint, note))
}

/// Where bridges are, made when it is missing.
pub(crate) fn place(networks: &Networks<'_>) -> Result<Place> {
    let place = Place::make(networks)?;
    if let Place::Held(Held { is_new: true, .. }) = place {
        forget(networks)?;
    }
    Ok(place)
}

/// Brings a container onto a network, from where the bridges are.
fn add(networks: &Networks<'_>, network: &Network, wanted: &Wanted) -> Result<Endpoint> {
    let host = Socket::open()?;
    let namespace = open_namespace(&wanted.netns)?;
    let inside = Socket::inside(&namespace).with_context(|| wanted.netns.display().to_string())?;
    tidy(networks, &host)?;
    let mut endpoints = networks.endpoints(network)?;
    if endpoints.iter().any(|other| other.container == wanted.container) {
        return Err(anyhow!("{} is on network {} already", wanted.container, network.name))
            .hint(format!("bundles network disconnect {} {}", network.name, wanted.container));
    }
    let mut endpoint = endpoint(network, wanted, &endpoints)?;
    endpoint.namespace = identity(&namespace)?;
    endpoint.interface = interface(&inside, wanted.interface.as_deref())?;
    endpoints.push(endpoint.clone());
    networks.set_endpoints(network, &endpoints)?;
    let made =
        connect(&Ends { networks, network, host: &host, inside: &inside }, &endpoint, &namespace);
    if let Err(err) = made {
        // The cause counts; what cannot be taken away now stays recorded.
        tidy(networks, &host).ok();
        return Err(err.context(format!("network {}", network.name)));
    }
    if let Some(last) = endpoints.last_mut() {
        last.settled = true;
        endpoint = last.clone();
    }
    networks.set_endpoints(network, &endpoints)?;
    Ok(endpoint)
}

/// What is to be recorded, but for what only the namespace tells.
fn endpoint(network: &Network, wanted: &Wanted, others: &[Endpoint]) -> Result<Endpoint> {
    let leases = others.iter().flat_map(|other| &other.leases);
    let taken: BTreeSet<IpAddr> = leases.map(|lease| lease.address).collect();
    let mut leases = vec![];
    for pool in &network.pools {
        let asked =
            wanted.addresses.iter().find(|address| address.is_ipv6() == pool.subnet.is_v6());
        let address = pool
            .lease(asked.copied(), &taken)
            .with_context(|| format!("network {}", network.name))?;
        let gateway = (!network.internal).then_some(pool.gateway);
        leases.push(Lease { address, prefix: pool.subnet.prefix(), gateway });
    }
    if let Some(lost) = wanted
        .addresses
        .iter()
        .find(|address| !leases.iter().any(|lease| lease.address == **address))
    {
        return Err(anyhow!("address {lost}: network {} has no subnet for it", network.name))
            .hint("make a network with --ipv6, or with a --subnet of your own");
    }
    let id = random::<32>()?;
    let mac = wanted.mac.unwrap_or_else(|| mac::for_leases(&leases, &id));
    Ok(Endpoint {
        id: hex(&id),
        container: wanted.container.clone(),
        name: wanted.name.clone(),
        aliases: wanted.aliases.clone(),
        hosts_added: wanted.hosts_added.clone(),
        hosts: wanted.hosts.clone(),
        netns: wanted.netns.clone(),
        namespace: (0, 0),
        interface: String::new(),
        link: (network.driver == Driver::Bridge)
            .then(|| format!("ve-{}", hex(id.get(..6).unwrap_or_default()))),
        mac: mac::show(mac),
        leases,
        hostname: wanted.hostname.clone(),
        links: wanted.links.clone(),
        settled: false,
    })
}

fn open_namespace(path: &Path) -> Result<File> {
    let opened = File::open(path).with_context(|| format!("open {}", path.display()));
    match opened {
        Err(err) if !is_refusal(&err) => {
            Err(err).hint("name the network namespace of a running process, by its path")
        }
        opened => opened,
    }
}

fn interface(inside: &Socket, wanted: Option<&str>) -> Result<String> {
    let links = inside.links()?;
    let is_free = |name: &str| !links.iter().any(|link| link.name == name);
    if let Some(name) = wanted {
        if !is_free(name) {
            bail!("interface {name}: there is one already");
        }
        return Ok(name.to_owned());
    }
    let names = (0..).map(|number: u32| format!("eth{number}"));
    let mut free = names.filter(|name| is_free(name));
    free.next().context("internal error, please report: no interface")
}

/// What a new endpoint is between.
struct Ends<'a> {
    networks: &'a Networks<'a>,
    network: &'a Network,
    host: &'a Socket,
    inside: &'a Socket,
}

fn connect(ends: &Ends<'_>, endpoint: &Endpoint, namespace: &File) -> Result<()> {
    let Ends { networks, network, host, inside } = *ends;
    let all = networks.all()?;
    let mut in_use = vec![];
    for other in &all {
        if !networks.endpoints(other)?.is_empty() {
            in_use.push(other);
        }
    }
    let new = Inside { name: &endpoint.interface, mac: mac::read(&endpoint.mac)?, namespace };
    let rules = rules::change(networks, in_use.into_iter(), true)?;
    let made = match &endpoint.link {
        Some(name) => {
            bridge(host, network).and_then(|bridge| host.pair(&Pair { name, bridge, inside: new }))
        }
        None => macvlan(host, network, &new),
    };
    // Nothing passes before they are there.
    rules.wait().and(made)?;
    let link = inside.link(&endpoint.interface)?.context("the new interface is gone")?;
    if let Some(loopback) = inside.link("lo")? {
        inside.up(loopback.index)?;
    }
    for lease in &endpoint.leases {
        inside.add_address(link.index, lease.address, lease.prefix)?;
    }
    inside.up(link.index)?;
    default_routes(inside, endpoint)?;
    match &endpoint.link {
        Some(name) => operational(host, name).and_then(|()| operational(host, &network.bridge())),
        None => Ok(()),
    }
}

/// Waits for a moment until the kernel has noticed that a link is up: it drops packets until then,
/// and an unanswered first one costs a second.
fn operational(host: &Socket, name: &str) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < NOTICE {
        match host.link(name)? {
            Some(link) if !link.is_up => sleep(Duration::from_micros(200)),
            _ => break,
        }
    }
    Ok(())
}

pub(super) fn default_routes(inside: &Socket, endpoint: &Endpoint) -> Result<()> {
    let mut gateways = endpoint.leases.iter().filter_map(|lease| lease.gateway);
    gateways.try_for_each(|gateway| inside.add_default_route(gateway))
}

/// The network's bridge, with its addresses; returns its index.
pub(super) fn bridge(host: &Socket, network: &Network) -> Result<u32> {
    let [_, b, c, d, e, f] = random()?;
    // Locally made up; without one, it would change with the ports.
    let mac = [0x02, b, c, d, e, f];
    let index = host.bridge(&network.bridge(), mac)?;
    for pool in &network.pools {
        host.add_address(index, pool.gateway, pool.subnet.prefix())?;
        if !network.internal {
            let of =
                if pool.subnet.is_v6() { "ipv6/conf/all/forwarding" } else { "ipv4/ip_forward" };
            forward(&Path::new("/proc/sys/net").join(of))?;
        }
    }
    Ok(index)
}

fn forward(switch: &Path) -> Result<()> {
    let turned = || -> io::Result<()> {
        if fs::read_to_string(switch)?.trim() == "0" {
            OpenOptions::new().write(true).open(switch)?.write_all(b"1")?;
        }
        Ok(())
    };
    turned()
        .with_context(|| format!("write {}", switch.display()))
        .hint("turn forwarding on by hand, with sysctl -w net.ipv4.ip_forward=1")
}

fn macvlan(host: &Socket, network: &Network, new: &Inside<'_>) -> Result<()> {
    let parent = network.options.get("parent").context("no option parent")?;
    let link = host.link(parent)?;
    let link = link
        .with_context(|| format!("-o parent={parent}: the host has no such link"))
        .hint("make the network again with one that `ip link` shows")?;
    let mode = macvlan_mode(network.options.get("macvlan_mode"))?;
    host.macvlan(link.index, mode, new)
}

pub(crate) fn macvlan_mode(name: Option<&String>) -> Result<MacVlanMode> {
    match name.map_or("bridge", String::as_str) {
        "bridge" => Ok(MacVlanMode::Bridge),
        "private" => Ok(MacVlanMode::Private),
        "vepa" => Ok(MacVlanMode::Vepa),
        "passthru" => Ok(MacVlanMode::Passthrough),
        other => Err(anyhow!("-o macvlan_mode={other}: unknown"))
            .hint("choose bridge, private, vepa or passthru"),
    }
}

fn is_refusal(err: &anyhow::Error) -> bool {
    let of_file = err.downcast_ref::<io::Error>();
    matches!(errno(err), Some(Errno::EPERM | Errno::EACCES))
        || of_file.is_some_and(|err| err.kind() == io::ErrorKind::PermissionDenied)
}

/// An error with a hint, if it is the want of a right and has none.
pub(super) fn refused(err: anyhow::Error, hint: &str) -> anyhow::Error {
    if !is_refusal(&err) || crate::error::hint(&err).is_some() {
        return err;
    }
    match Err::<(), _>(err).hint(hint) {
        Err(err) => err,
        Ok(()) => anyhow!("internal error, please report: no error"),
    }
}
