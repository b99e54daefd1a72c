//! Brings containers onto networks and takes them off again.
//!
//! Runs in: an ordinary process, under the lock. Privilege: `CAP_NET_ADMIN`, and `CAP_SYS_ADMIN` for
//! setns(2); an ordinary user has them in the namespaces of [`super::holder`].
//!
//! What is to be made is recorded before, unsettled, and settled when it is there. Whoever changes
//! networks next, [`tidy`] first takes away what a killed process has left unsettled.

use super::holder::{self, Held, Place};
use super::hosts::{self, Line};
use super::netlink::{Inside, Link, Mac, Pair, Socket, errno};
use super::record::{self, Driver, Endpoint, Lease, Network, Networks};
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
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

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
    refresh_hosts(&networks, &[])?;
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

/// What is recorded but was lost with its namespace: an ordinary user's, whose holder was killed.
pub(crate) fn forget_lost(networks: &Networks<'_>) -> Result<()> {
    if holder::is_lost(networks)? { forget(networks) } else { Ok(()) }
}

/// Nothing of what is recorded is there any more, or it goes now.
fn forget(networks: &Networks<'_>) -> Result<()> {
    holder::bury(networks)?;
    let gone: Vec<Endpoint> =
        everybody(networks)?.into_iter().map(|(_, endpoint)| endpoint).collect();
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
    refresh_hosts(networks, &gone)
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
    let made = apply_rules(networks, true)
        .and_then(|()| connect(&host, &inside, network, &endpoint, &namespace));
    if let Err(err) = made {
        // The cause counts; what cannot be taken away now stays recorded.
        tidy(networks, &host).and_then(|()| apply_rules(networks, false)).ok();
        return Err(err.context(format!("network {}", network.name)));
    }
    if let Some(last) = endpoints.last_mut() {
        last.settled = true;
        endpoint = last.clone();
    }
    networks.set_endpoints(network, &endpoints)?;
    Ok(endpoint)
}

/// The container may be gone already.
pub(crate) fn detach(home: &Home, network: &str, container: &str) -> Result<()> {
    let networks = Networks::lock(home)?;
    let network = networks.find(network)?;
    let mut endpoints = networks.endpoints(&network)?;
    let gone: Vec<Endpoint> = endpoints
        .iter_mut()
        .filter(|endpoint| endpoint.container == container)
        .map(|endpoint| {
            endpoint.settled = false;
            endpoint.clone()
        })
        .collect();
    if gone.is_empty() {
        return Err(anyhow!("{container} is not on network {}", network.name))
            .hint(format!("bundles network inspect {} shows who is", network.name));
    }
    let Some(place) = Place::existing(&networks)? else { return forget(&networks) };
    networks.set_endpoints(&network, &endpoints)?;
    let removed = place.within(|| remove(&networks, container));
    removed.map_err(|err| place.explain(err))?;
    refresh_hosts(&networks, &gone)?;
    place.leave(&networks)
}

/// Takes a container off where it is not settled any more, from where the bridges are.
fn remove(networks: &Networks<'_>, container: &str) -> Result<()> {
    tidy(networks, &Socket::open()?)?;
    apply_rules(networks, false)?;
    let others = everybody(networks)?;
    for (_, other) in others.iter().filter(|(_, other)| other.container == container) {
        // The way out was by the network that it has left.
        if let Some(namespace) = namespace_of(other)? {
            let inside = Socket::inside(&namespace)?;
            default_routes(&inside, other)?;
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
        let own = endpoints.iter_mut().filter(|endpoint| endpoint.container == container);
        let own = own.map(|endpoint| {
            endpoint.settled = false;
            endpoint.clone()
        });
        let own: Vec<Endpoint> = own.collect();
        if !own.is_empty() {
            networks.set_endpoints(&network, &endpoints)?;
            gone.extend(own);
        }
    }
    settle(&networks)?;
    refresh_hosts(&networks, &gone)
}

/// Takes away what was left unsettled or whose namespace is gone, and bridges without containers.
fn tidy(networks: &Networks<'_>, host: &Socket) -> Result<()> {
    let links = host.links()?;
    for network in networks.all()? {
        let endpoints = networks.endpoints(&network)?;
        let (kept, gone): (Vec<_>, Vec<_>) = endpoints.into_iter().try_fold(
            (vec![], vec![]),
            |(mut kept, mut gone), endpoint| -> Result<_> {
                let is_kept = endpoint.settled && is_alive(&endpoint, &links)?;
                if is_kept {
                    kept.push(endpoint);
                } else {
                    gone.push(endpoint);
                }
                Ok((kept, gone))
            },
        )?;
        for endpoint in &gone {
            undo(host, endpoint, &links)?;
        }
        if !gone.is_empty() {
            networks.set_endpoints(&network, &kept)?;
        }
        let bridge = links.iter().find(|link| link.name == network.bridge());
        if let (true, Some(bridge)) = (kept.is_empty(), bridge) {
            host.delete(bridge)?;
        }
    }
    Ok(())
}

/// What a process that was killed has left goes, and the rules follow.
pub(crate) fn settle(networks: &Networks<'_>) -> Result<()> {
    let Some(place) = Place::existing(networks)? else { return forget(networks) };
    let settled = place
        .within(|| tidy(networks, &Socket::open()?).and_then(|()| apply_rules(networks, false)));
    settled.map_err(|err| place.explain(err))?;
    place.leave(networks)
}

/// Brings the firewall to what the records say.
fn apply_rules(networks: &Networks<'_>, anew: bool) -> Result<()> {
    let mut bridges = vec![];
    for network in networks.all()?.iter().filter(|network| network.driver == Driver::Bridge) {
        if !networks.endpoints(network)?.is_empty() {
            let subnets = network.pools.iter().map(|pool| pool.subnet).collect();
            let (link, internal) = (network.bridge(), network.internal);
            bridges.push(rules::Bridge { link, subnets, internal });
        }
    }
    let table = rules::table(networks.directory.parent().unwrap_or(Path::new("/")));
    let wanted =
        rules::Wanted { table: &table, bridges: &bridges, anew: anew && !bridges.is_empty() };
    rules::apply(&networks.directory, &networks.lock, &wanted)
}

/// On which networks a container is, with all others.
fn everybody(networks: &Networks<'_>) -> Result<Vec<(Network, Endpoint)>> {
    let mut all = vec![];
    for network in networks.all()? {
        let endpoints = networks.endpoints(&network)?;
        all.extend(endpoints.into_iter().map(|endpoint| (network.clone(), endpoint)));
    }
    Ok(all)
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
    let mac = wanted.mac.unwrap_or_else(|| mac_for(&leases, &id));
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
        mac: show_mac(mac),
        leases,
        hostname: wanted.hostname.clone(),
        links: wanted.links.clone(),
        settled: false,
    })
}

/// 02:42 and the IPv4 address: the same again for the next who gets that, and caches stay true.
fn mac_for(leases: &[Lease], id: &[u8; 32]) -> Mac {
    let four = leases.iter().find_map(|lease| match lease.address {
        IpAddr::V4(address) => Some(address.octets()),
        IpAddr::V6(_) => None,
    });
    let [a, b, c, d] = four.unwrap_or([id[6], id[7], id[8], id[9]]);
    [0x02, 0x42, a, b, c, d]
}

fn show_mac(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

fn read_mac(text: &str) -> Result<Mac> {
    let bytes: Option<Vec<u8>> =
        text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    let mac = bytes.and_then(|bytes| Mac::try_from(bytes).ok());
    mac.with_context(|| format!("{text:?} is no hardware address"))
}

/// From the command line: of one host, not of a group.
pub(crate) fn parse_mac(text: &str) -> Result<Mac, String> {
    let mac = read_mac(text).map_err(|err| format!("{err}, as 02:42:ac:12:00:05 would be"))?;
    let [first, ..] = mac;
    if first & 1 == 1 { Err(format!("{text:?} is the address of a group")) } else { Ok(mac) }
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

fn identity(namespace: &File) -> Result<(u64, u64)> {
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

fn connect(
    host: &Socket,
    inside: &Socket,
    network: &Network,
    endpoint: &Endpoint,
    namespace: &File,
) -> Result<()> {
    let new = Inside { name: &endpoint.interface, mac: read_mac(&endpoint.mac)?, namespace };
    match &endpoint.link {
        Some(name) => {
            let bridge = bridge(host, network)?;
            host.pair(&Pair { name, bridge, inside: new })?;
        }
        None => macvlan(host, network, &new)?,
    }
    let link = inside.link(&endpoint.interface)?.context("the new interface is gone")?;
    if let Some(loopback) = inside.link("lo")? {
        inside.up(loopback.index)?;
    }
    for lease in &endpoint.leases {
        inside.add_address(link.index, lease.address, lease.prefix)?;
    }
    inside.up(link.index)?;
    default_routes(inside, endpoint)
}

fn default_routes(inside: &Socket, endpoint: &Endpoint) -> Result<()> {
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

/// What was made of an endpoint, all or in part.
fn undo(host: &Socket, endpoint: &Endpoint, links: &[Link]) -> Result<()> {
    if let Some(name) = &endpoint.link {
        // Its peer goes with it. It may be younger than the list.
        let link = links.iter().find(|link| link.name == *name).cloned();
        let link = if link.is_some() { link } else { host.link(name)? };
        return link.map_or(Ok(()), |link| host.delete(&link));
    }
    remove_inside(endpoint)
}

/// The container's link.
fn remove_inside(endpoint: &Endpoint) -> Result<()> {
    let Some(namespace) = namespace_of(endpoint)? else { return Ok(()) };
    let inside = Socket::inside(&namespace)?;
    let mac = read_mac(&endpoint.mac)?;
    match inside.link(&endpoint.interface)? {
        Some(link) if link.mac == mac => inside.delete(&link),
        _ => Ok(()),
    }
}

/// Writes the hosts files of all, and of those who have just left their last network.
fn refresh_hosts(networks: &Networks<'_>, gone: &[Endpoint]) -> Result<()> {
    let all = everybody(networks)?;
    for subject in all.iter().map(|(_, endpoint)| endpoint).chain(gone) {
        let Some(path) = subject.hosts.as_ref().filter(|path| path.exists()) else { continue };
        let text = hosts::text(&hosts_of(subject, &all));
        if fs::read_to_string(path).is_ok_and(|old| old == text) {
            continue;
        }
        hosts::write(path, &text)?;
    }
    Ok(())
}

/// Its own names, those that were asked for, and those on its networks.
fn hosts_of(subject: &Endpoint, all: &[(Network, Endpoint)]) -> Vec<Line> {
    let line = |endpoint: &Endpoint| {
        let linked = subject.links.iter().filter(|(id, _)| *id == endpoint.container);
        let hostname = Some(&endpoint.hostname).filter(|_| endpoint.container == subject.container);
        let all = linked.map(|(_, name)| name).chain(hostname);
        let all = all.chain([&endpoint.name]).chain(&endpoint.aliases);
        let mut names: Vec<String> = vec![];
        for name in all.filter(|name| !name.is_empty()) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let lines = endpoint.leases.iter();
        lines.map(|lease| Line { address: lease.address, names: names.clone() }).collect::<Vec<_>>()
    };
    let is_own = |endpoint: &Endpoint| endpoint.container == subject.container;
    let own: Vec<_> = all.iter().filter(|(_, endpoint)| is_own(endpoint)).collect();
    let mut lines: Vec<Line> = own.iter().flat_map(|(_, endpoint)| line(endpoint)).collect();
    let added = subject.hosts_added.iter();
    lines
        .extend(added.map(|(name, address)| Line { address: *address, names: vec![name.clone()] }));
    for (network, endpoint) in all.iter().filter(|(_, endpoint)| !is_own(endpoint)) {
        if own.iter().any(|(shared, _)| shared.id == network.id) {
            lines.extend(line(endpoint));
        }
    }
    lines
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
