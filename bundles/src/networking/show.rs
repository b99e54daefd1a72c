//! What `ps`, `inspect` and `port` tell of a container's networks.
//!
//! Runs in: an ordinary process of the user.

use super::{Member, Mode, Networking};
use crate::attach;
use crate::cli::networking::Port as Args;
use crate::container::{self, Container, Record};
use crate::error::OrHint as _;
use crate::home::Home;
use crate::net::record::{self, Endpoint, Network};
use crate::ports;
use crate::screen::Screen;
use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// The names of its networks.
pub(crate) fn networks(network: &Networking) -> Vec<&str> {
    match network.mode {
        Mode::None => vec!["none"],
        Mode::Host => vec!["host"],
        Mode::Container(_) => vec![],
        Mode::Networks => network.members.iter().map(|member| &*member.network).collect(),
    }
}

/// As the column of `ps`: nothing unless it runs.
pub(crate) fn ports(record: &Record) -> String {
    if !record.is_running() {
        return String::new();
    }
    ports::column(&record.network.bound, &record.network.exposed)
}

/// Whether it has, or exposes, a port: of the filters `publish` and `expose`.
pub(crate) fn has_port(network: &Networking, wanted: &str, published: bool) -> bool {
    let Ok(wanted) = ports::expose(wanted) else { return false };
    let has = |port: &ports::Port| {
        if published {
            return network.ports.iter().any(|wish| wish.port == *port);
        }
        network.exposed.contains(port)
    };
    wanted.iter().any(has)
}

/// What `HostConfig` of `inspect` has of networks.
pub(crate) fn host_config(home: &Home, record: &Record) -> Result<Map<String, Value>> {
    let network = &record.network;
    let mode = match &network.mode {
        Mode::Container(id) => format!("container:{id}"),
        Mode::None | Mode::Host | Mode::Networks => {
            networks(network).first().copied().unwrap_or("none").to_owned()
        }
    };
    let links = links(home, record)?;
    let links = links.iter().map(|(other, alias)| format!("/{other}:/{}/{alias}", record.name));
    let links: Vec<String> = links.collect();
    Ok(Map::from_iter([
        ("NetworkMode".to_owned(), mode.into()),
        ("PortBindings".to_owned(), ports::wished(&network.ports)),
        ("Links".to_owned(), if links.is_empty() { Value::Null } else { json!(links) }),
    ]))
}

/// Names of other containers, and what they are called in this one. A container may be gone.
fn links(home: &Home, record: &Record) -> Result<Vec<(String, String)>> {
    let mut links = Vec::new();
    if record.network.links.is_empty() {
        return Ok(links);
    }
    for other in container::all(home)? {
        let own = record.network.links.iter().filter(|(id, _)| *id == other.record.id);
        links.extend(own.map(|(_, alias)| (other.record.name.clone(), alias.clone())));
    }
    Ok(links)
}

/// `NetworkSettings` of `inspect`.
pub(crate) fn settings(home: &Home, record: &Record) -> Result<Value> {
    let running = record.is_running();
    let all = if running { record::everybody(home)? } else { Vec::new() };
    let own = |name: &str| {
        let mut own = all.iter().filter(|(_, endpoint)| endpoint.container == record.id);
        own.find(|(network, _)| network.name == name)
    };
    let names = networks(&record.network);
    let mut shown: Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), endpoint(own(name)))).collect();
    for member in &record.network.members {
        if let Some(Value::Object(shown)) = shown.get_mut(&member.network) {
            shown.insert("IPAMConfig".to_owned(), asked(member));
        }
    }
    let links = links(home, record)?;
    let links: Vec<String> =
        links.iter().map(|(other, alias)| format!("{other}:{alias}")).collect();
    for (_, shown) in shown.iter_mut().filter(|(name, _)| *name != "bridge" && !links.is_empty()) {
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("Links".to_owned(), json!(links));
        }
    }
    // The first network's stand here once more.
    let first = names.first().and_then(|name| shown.get(*name)).cloned();
    let mut settings = first.unwrap_or_else(|| endpoint(None));
    let pid = record.state.process.as_ref().filter(|_| running).map(|process| process.pid);
    let ports = if running {
        ports::described(&record.network.bound, &record.network.exposed)
    } else {
        json!({})
    };
    if let Some(settings) = settings.as_object_mut() {
        ["Aliases", "DriverOpts", "IPAMConfig", "Links", "NetworkID"]
            .into_iter()
            .for_each(|key| drop(settings.remove(key)));
        let key = pid.map(|pid| format!("/proc/{pid}/ns/net")).unwrap_or_default();
        let sandbox = if running { record.id.as_str() } else { "" };
        for (name, value) in [
            ("Bridge", "".into()),
            ("HairpinMode", false.into()),
            ("LinkLocalIPv6Address", "".into()),
            ("LinkLocalIPv6PrefixLen", 0.into()),
            ("SandboxID", sandbox.into()),
            ("SandboxKey", key.into()),
            ("SecondaryIPAddresses", Value::Null),
            ("SecondaryIPv6Addresses", Value::Null),
        ] {
            settings.insert(name.to_owned(), value);
        }
        settings.insert("Ports".to_owned(), ports);
        settings.insert("Networks".to_owned(), shown.into());
    }
    Ok(settings)
}

/// The addresses that the user has chosen.
fn asked(member: &Member) -> Value {
    let key = |address: &IpAddr| if address.is_ipv6() { "IPv6Address" } else { "IPv4Address" };
    let all = member.addresses.iter();
    let all: Map<String, Value> =
        all.map(|address| (key(address).to_owned(), address.to_string().into())).collect();
    if all.is_empty() { Value::Null } else { all.into() }
}

fn endpoint(found: Option<&(Network, Endpoint)>) -> Value {
    let leases = found.map(|(_, endpoint)| endpoint.leases.as_slice()).unwrap_or_default();
    let of = |v6: bool| {
        let lease = leases.iter().find(|lease| lease.address.is_ipv6() == v6);
        let text = |address: Option<IpAddr>| address.map(|a| a.to_string()).unwrap_or_default();
        (
            text(lease.map(|lease| lease.address)),
            lease.map_or(0, |lease| lease.prefix),
            text(lease.and_then(|lease| lease.gateway)),
        )
    };
    let ((address, prefix, gateway), (address6, prefix6, gateway6)) = (of(false), of(true));
    let endpoint = found.map(|(_, endpoint)| endpoint);
    json!({
        "IPAMConfig": null,
        "Links": null,
        "DriverOpts": null,
        "Aliases": endpoint.map(|endpoint| &endpoint.aliases),
        "NetworkID": found.map(|(network, _)| network.id.as_str()).unwrap_or_default(),
        "EndpointID": endpoint.map(|endpoint| endpoint.id.as_str()).unwrap_or_default(),
        "Gateway": gateway,
        "IPAddress": address,
        "IPPrefixLen": prefix,
        "IPv6Gateway": gateway6,
        "GlobalIPv6Address": address6,
        "GlobalIPv6PrefixLen": prefix6,
        "MacAddress": endpoint.map(|endpoint| endpoint.mac.as_str()).unwrap_or_default(),
    })
}

/// `port`.
pub(crate) fn port(home: &Home, args: &Args, screen: &mut Screen<'_>) -> Result<()> {
    let mut container = Container::find(home, &args.container)?;
    attach::adopt(home, &mut container).ok(); // without its monitor nobody listens
    let record = container.record;
    let name = &args.container;
    ensure!(record.is_running(), "{name}: does not run");
    let bound = &record.network.bound;
    let Some(wanted) = &args.port else {
        let lines = bound.iter().map(|one| format!("{} -> {}\n", one.port, one.host));
        return screen.say(&lines.collect::<String>());
    };
    let ports = ports::expose(wanted).with_context(|| format!("port {wanted}"))?;
    let lines = bound.iter().filter(|one| ports.contains(&one.port));
    let lines: String = lines.map(|one| format!("{}\n", one.host)).collect();
    if lines.is_empty() {
        return Err(anyhow!("{name}: port {wanted} is not published"))
            .hint(format!("bundles port {name} lists those that are"));
    }
    screen.say(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_by_mode() {
        let member = |name: &str| Member { network: name.to_owned(), ..Member::default() };
        let mut network =
            Networking { members: vec![member("a"), member("b")], ..Default::default() };
        for (mode, want) in [
            (Mode::Networks, &["a", "b"][..]),
            (Mode::None, &["none"]),
            (Mode::Host, &["host"]),
            (Mode::Container("x".into()), &[]),
        ] {
            network.mode = mode;
            assert_eq!(networks(&network), want);
        }
    }

    #[test]
    fn filters_know_published_and_exposed_ports() {
        let network = Networking {
            ports: ports::publish("1000:80").unwrap(),
            exposed: ports::expose("80-81").unwrap(),
            ..Networking::default()
        };
        assert!(has_port(&network, "80", true) && has_port(&network, "80/tcp", false));
        assert!(!has_port(&network, "81", true) && has_port(&network, "81", false));
        assert!(!has_port(&network, "80/udp", false) && !has_port(&network, "x", false));
    }
}
