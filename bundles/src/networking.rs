//! What a container has to do with networks: on which it is, by which names, and with which ports
//! published.
//!
//! Runs in: an ordinary process of the user, and the monitor. Privilege: none, but to join and to
//! leave a network.

pub(crate) mod show;

use crate::cli::networking::NetworkFlags;
use crate::container::{Container, Record};
use crate::error::OrHint as _;
use crate::home::{self, Home};
use crate::net::attach::{self, Wanted};
use crate::net::hosts;
use crate::net::netlink::Mac;
use crate::net::record::{Driver, Networks};
use crate::ports::{self, Bound, Port, Wish};
use crate::{fmt, net};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Of a container's record.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Networking {
    pub(crate) mode: Mode,
    /// In the order in which they are joined.
    pub(crate) members: Vec<Member>,
    pub(crate) hostname: String,
    /// For its /etc/hosts alone.
    pub(crate) hosts_added: Vec<(String, IpAddr)>,
    /// Names that it alone has for other containers, by their ids.
    pub(crate) links: Vec<(String, String)>,
    /// To be published.
    pub(crate) ports: Vec<Wish>,
    pub(crate) exposed: Vec<Port>,
    /// Published by the monitor that runs, or by the last one.
    pub(crate) bound: Vec<Bound>,
}

/// Whose network it sees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Mode {
    /// Its own, with nothing but the loopback.
    #[default]
    None,
    Host,
    /// That of another container, by its id.
    Container(String),
    /// Its own, on networks.
    Networks,
}

/// One network that it is on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Member {
    pub(crate) network: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) mac: Option<Mac>,
}

/// What the flags alone do not say.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) hostname: &'a str,
    /// `EXPOSE` of the image.
    pub(crate) exposed: &'a [String],
    pub(crate) is_root: bool,
    pub(crate) hosts_added: Vec<(String, IpAddr)>,
}

/// Understands the flags. Networks and containers which they name have to be there.
pub(crate) fn plan(home: &Home, flags: &NetworkFlags, facts: Facts<'_>) -> Result<Networking> {
    let mut network = Networking {
        hostname: facts.hostname.to_owned(),
        hosts_added: facts.hosts_added,
        ..Networking::default()
    };
    // As long as networks need root, who is not gets none unless he asks.
    let usual = if facts.is_root { "bridge" } else { "none" }.to_owned();
    let wanted = if flags.network.is_empty() { &[usual][..] } else { &flags.network };
    for word in wanted {
        let mode = mode(home, word).with_context(|| format!("--network {word}"))?;
        if let Joined::Alone(mode) = mode {
            if wanted.len() > 1 {
                return Err(anyhow!("--network {word}: goes with no other network"))
                    .hint("leave it away, or the others");
            }
            network.mode = mode;
        } else if let Joined::Member(member) = mode {
            network.mode = Mode::Networks;
            let is_there = network.members.iter().any(|other| other.network == member.network);
            ensure!(!is_there, "--network {word}: twice");
            network.members.push(member);
        }
    }
    addresses(&mut network, flags)?;
    for text in &flags.link {
        let link = link(home, &network, text).with_context(|| format!("--link {text}"))?;
        network.links.push(link);
    }
    published(&mut network, flags, facts.exposed)?;
    if !facts.is_root && network.mode == Mode::None && !network.ports.is_empty() {
        return Err(anyhow!("-p: nothing leads into an ordinary user's container without network"))
            .hint("use --network host, where its ports are those of the host");
    }
    Ok(network)
}

enum Joined {
    Alone(Mode),
    Member(Member),
}

fn mode(home: &Home, word: &str) -> Result<Joined> {
    if let Some(name) = word.strip_prefix("container:") {
        return Ok(Joined::Alone(Mode::Container(Container::find(home, name)?.record.id)));
    }
    let member = member(word)?;
    let networks = Networks::lock(home)?;
    net::create::predefined(&networks)?;
    let name = if member.network == "default" { "bridge" } else { &member.network };
    let network = networks.find(name)?;
    Ok(match network.driver {
        Driver::Null => Joined::Alone(Mode::None),
        Driver::Host => Joined::Alone(Mode::Host),
        Driver::Bridge | Driver::Macvlan => {
            Joined::Member(Member { network: network.name, ..member })
        }
    })
}

/// `NAME`, or `name=NAME,alias=NAME,ip=IP,ip6=IP,mac-address=MAC`.
fn member(text: &str) -> Result<Member> {
    let mut member = Member::default();
    if !text.contains('=') {
        text.clone_into(&mut member.network);
        return Ok(member);
    }
    for word in text.split(',') {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "name" => value.clone_into(&mut member.network),
            "alias" => member.aliases.push(value.to_owned()),
            "ip" | "ip6" => {
                let address = value.parse();
                member.addresses.push(address.with_context(|| format!("{value:?}"))?);
            }
            "mac-address" => {
                let mac = attach::parse_mac(value);
                member.mac = Some(mac.map_err(|text| anyhow!(text))?);
            }
            _ => {
                return Err(anyhow!("unknown word {key:?}"))
                    .hint("the words are name, alias, ip, ip6 and mac-address");
            }
        }
    }
    Ok(member)
}

/// The flags about addresses and names belong to the first network, names to all.
fn addresses(network: &mut Networking, flags: &NetworkFlags) -> Result<()> {
    let addresses: Vec<IpAddr> =
        flags.ip.map(IpAddr::from).into_iter().chain(flags.ip6.map(IpAddr::from)).collect();
    let given = [
        ("--ip", flags.ip.is_some()),
        ("--ip6", flags.ip6.is_some()),
        ("--mac-address", flags.mac_address.is_some()),
        ("--network-alias", !flags.network_alias.is_empty()),
        ("--link", !flags.link.is_empty()),
    ];
    for member in &mut network.members {
        member.aliases.extend(flags.network_alias.iter().cloned());
    }
    let Some(first) = network.members.first_mut() else {
        return match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(anyhow!("{flag}: the container is on no network of its own"))
                .hint("add --network bridge, or another one of `bundles network ls`"),
            None => Ok(()),
        };
    };
    first.addresses.extend(addresses);
    first.mac = first.mac.or(flags.mac_address);
    Ok(())
}

/// The other container's id, and what it is called here.
fn link(home: &Home, network: &Networking, text: &str) -> Result<(String, String)> {
    let (wanted, alias) = text.split_once(':').unwrap_or((text, ""));
    let other = Container::find(home, wanted)?.record;
    let shares = |member: &Member| network.members.iter().any(|own| own.network == member.network);
    if !other.network.members.iter().any(shares) {
        let own = network.members.first().map_or("bridge", |member| member.network.as_str());
        return Err(anyhow!("{wanted} is on no network of this container"))
            .hint(format!("bring it onto one: bundles network connect {own} {wanted}"));
    }
    let alias = if alias.is_empty() { other.name.as_str() } else { alias };
    Ok((other.id, alias.to_owned()))
}

fn published(network: &mut Networking, flags: &NetworkFlags, image: &[String]) -> Result<()> {
    for text in image {
        let ports = ports::expose(text).with_context(|| format!("EXPOSE {text} of the image"))?;
        network.exposed.extend(ports);
    }
    for text in &flags.expose {
        let ports = ports::expose(text).with_context(|| format!("--expose {text}"))?;
        network.exposed.extend(ports);
    }
    for text in &flags.publish {
        for wish in ports::publish(text)? {
            let is_taken = |other: &Wish| {
                other.host_port.is_some()
                    && other.host_port == wish.host_port
                    && other.port.protocol == wish.port.protocol
                    && (other.host == wish.host || other.host.is_none() || wish.host.is_none())
            };
            if network.ports.iter().any(is_taken) {
                bail!("-p {text}: another -p has that port of the host");
            }
            network.ports.push(wish);
        }
    }
    if let (Mode::Container(_), false) = (&network.mode, network.ports.is_empty()) {
        return Err(anyhow!("-p: the container has the network of another one"))
            .hint("publish the port with that one");
    }
    let published: BTreeSet<Port> = network.ports.iter().map(|wish| wish.port).collect();
    if flags.publish_all {
        let missing = network.exposed.iter().filter(|port| !published.contains(port));
        let wishes = missing.map(|port| Wish { host: None, host_port: None, port: *port });
        network.ports.extend(wishes);
    }
    network.exposed.extend(published);
    network.exposed.sort();
    network.exposed.dedup();
    if network.mode == Mode::Host {
        network.ports.clear(); // they are the host's anyway
    }
    Ok(())
}

/// Makes the file that is bind-mounted as its /etc/hosts: from then on its content changes, and
/// never the file.
pub(crate) fn make_hosts(file: &Path, network: &Networking) -> Result<()> {
    let lines = network
        .hosts_added
        .iter()
        .map(|(name, address)| hosts::Line { address: *address, names: vec![name.clone()] });
    let lines: Vec<hosts::Line> = lines.collect();
    hosts::write(file, &hosts::text(&lines))
}

/// Before the runtime makes the container, in its directory: which namespace it has to join is known
/// only now.
pub(crate) fn prepare(home: &Home, record: &Record) -> Result<()> {
    let Mode::Container(id) = &record.network.mode else { return Ok(()) };
    let other = Container::find(home, id).context("--network container:")?.record;
    let process = other.state.process.filter(|_| other.state.status != Default::default());
    let Some(process) = process.filter(crate::container::Process::is_alive) else {
        return Err(anyhow!("--network container:{0}: {0} does not run", other.name))
            .hint(format!("bundles start {}", other.name));
    };
    let text = fs::read("config.json").context("config.json")?;
    let mut spec: Value = serde_json::from_slice(&text).context("config.json")?;
    let namespaces = spec.pointer_mut("/linux/namespaces").and_then(Value::as_array_mut);
    for namespace in namespaces.into_iter().flatten().filter_map(Value::as_object_mut) {
        if namespace.get("type").and_then(Value::as_str) == Some("network") {
            namespace.insert("path".to_owned(), format!("/proc/{}/ns/net", process.pid).into());
        }
    }
    home::replace(Path::new("config.json"), &serde_json::to_vec_pretty(&spec)?)
}

/// Between create and start of the runtime: the container is on its networks before its first
/// instruction.
pub(crate) fn join(home: &Home, dir: &Path, record: &Record, pid: i32) -> Result<()> {
    let members = record.network.members.iter();
    members.into_iter().try_for_each(|member| enter(home, dir, record, member, pid))
}

/// The one place where a container is brought onto a network.
fn enter(home: &Home, dir: &Path, record: &Record, member: &Member, pid: i32) -> Result<()> {
    let mut aliases = member.aliases.clone();
    aliases.push(fmt::short_id(&record.id).to_owned());
    let wanted = Wanted {
        container: record.id.clone(),
        name: record.name.clone(),
        aliases,
        netns: PathBuf::from(format!("/proc/{pid}/ns/net")),
        interface: None,
        addresses: member.addresses.clone(),
        mac: member.mac,
        hosts: Some(dir.join("hosts")),
        hosts_added: record.network.hosts_added.clone(),
        hostname: record.network.hostname.clone(),
        links: record.network.links.clone(),
    };
    attach::attach(home, &member.network, &wanted).map(drop)
}

/// After it has ended, or a killed monitor has left it.
pub(crate) fn leave(home: &Home, id: &str) -> Result<()> {
    attach::leave(home, id)
}

/// `network connect`: at once when it runs, and from its next start on.
pub(crate) fn connect(home: &Home, network: &str, container: &str, member: Member) -> Result<()> {
    let mut container = Container::find(home, container)?;
    let _lock = container.lock()?;
    let name = container.record.name.clone();
    let joined = mode(home, network)?;
    let Joined::Member(Member { network, .. }) = joined else {
        bail!("network {network}: a container is on it from its start or not at all");
    };
    match &container.record.network.mode {
        Mode::None | Mode::Networks => {}
        Mode::Host => bail!("{name}: has the network of the host"),
        Mode::Container(other) => bail!("{name}: has the network of {}", fmt::short_id(other)),
    }
    if container.record.network.members.iter().any(|member| member.network == network) {
        return Err(anyhow!("{name} is on network {network} already"))
            .hint(format!("bundles network disconnect {network} {name}"));
    }
    let member = Member { network, ..member };
    if let (true, Some(process)) =
        (container.record.is_running(), container.record.state.process.as_ref())
    {
        enter(home, &container.dir, &container.record, &member, process.pid)?;
    }
    container.record.network.mode = Mode::Networks;
    container.record.network.members.push(member);
    container.save()
}

/// `network disconnect`.
pub(crate) fn disconnect(home: &Home, network: &str, container: &str) -> Result<()> {
    let mut container = Container::find(home, container)?;
    let _lock = container.lock()?;
    let name = Networks::lock(home)?.find(network)?.name;
    let members = &mut container.record.network.members;
    let before = members.len();
    members.retain(|member| member.network != name);
    if members.len() == before {
        return Err(anyhow!("{} is not on network {name}", container.record.name))
            .hint(format!("bundles network inspect {name} shows who is"));
    }
    if container.record.is_running() {
        attach::detach(home, &name, &container.record.id)?;
    }
    container.save()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn planned(change: impl FnOnce(&mut NetworkFlags)) -> Result<Networking> {
        planned_by(true, change)
    }

    fn planned_by(is_root: bool, change: impl FnOnce(&mut NetworkFlags)) -> Result<Networking> {
        let scratch = Scratch::new();
        let home = Home::open(Some(&scratch.0)).unwrap();
        let mut flags = NetworkFlags::default();
        change(&mut flags);
        let exposed = ["80/tcp".to_owned()];
        let facts = Facts { hostname: "h", exposed: &exposed, is_root, hosts_added: Vec::new() };
        plan(&home, &flags, facts)
    }

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn default_is_the_bridge_and_flags_belong_to_the_first() {
        let network = planned(|flags| {
            flags.ip = Some([172, 17, 0, 9].into());
            flags.network_alias = words(&["db"]);
        });
        let network = network.unwrap();
        assert_eq!(network.mode, Mode::Networks);
        let [member] = network.members.as_slice() else { panic!("{network:?}") };
        assert_eq!((member.network.as_str(), &member.aliases), ("bridge", &words(&["db"])));
        assert_eq!(member.addresses, [IpAddr::from([172, 17, 0, 9])]);
    }

    #[test]
    fn long_form_has_addresses_and_names() {
        let text = "name=bridge,alias=a,alias=b,ip=172.17.0.7,mac-address=02:42:00:00:00:01";
        let network = planned(|flags| flags.network = words(&[text])).unwrap();
        let member = &network.members[0];
        assert_eq!(member.aliases, ["a", "b"]);
        assert_eq!(member.mac, Some([2, 0x42, 0, 0, 0, 1]));
    }

    #[test]
    fn exposed_ports_are_published_on_request() {
        let network = planned(|flags| {
            flags.publish = words(&["1000:7000"]);
            flags.expose = words(&["9/udp"]);
        });
        let network = network.unwrap();
        assert_eq!(network.ports.len(), 1);
        let shown: Vec<String> = network.exposed.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["9/udp", "80/tcp", "7000/tcp"]);
        let network = planned(|flags| {
            flags.publish_all = true;
            flags.publish = words(&["1000:80"]);
            flags.expose = words(&["9/udp"]);
        });
        let wanted: Vec<_> = network.unwrap().ports.iter().map(|wish| wish.host_port).collect();
        assert_eq!(wanted, [Some(1000), None]);
    }

    #[test]
    fn contradictions_are_told() {
        let err = |change: fn(&mut NetworkFlags)| {
            crate::error::chain(&planned(change).expect_err("a contradiction"))
        };
        assert_eq!(
            err(|flags| flags.network = words(&["none", "bridge"])),
            "--network none: goes with no other network"
        );
        assert_eq!(
            err(|flags| flags.network = words(&["nosuch"])),
            "--network nosuch: network nosuch not found"
        );
        assert_eq!(
            err(|flags| flags.network = words(&["bridge", "default"])),
            "--network default: twice"
        );
        assert_eq!(
            err(|flags| {
                flags.network = words(&["host"]);
                flags.ip = Some([1, 2, 3, 4].into());
            }),
            "--ip: the container is on no network of its own"
        );
        assert_eq!(
            err(|flags| flags.publish = words(&["80", "81-82:1-2", "127.0.0.1:82:3"])),
            "-p 127.0.0.1:82:3: another -p has that port of the host"
        );
        assert_eq!(
            err(|flags| flags.network = words(&["name=bridge,x=y"])),
            "--network name=bridge,x=y: unknown word \"x\""
        );
        let publish = |network: &str| {
            planned_by(false, |flags| {
                flags.network = words(&[network]);
                flags.publish = words(&["80"]);
            })
        };
        assert_eq!(
            crate::error::chain(&publish("none").unwrap_err()),
            "-p: nothing leads into an ordinary user's container without network"
        );
        assert!(publish("host").unwrap().ports.is_empty());
    }
}
