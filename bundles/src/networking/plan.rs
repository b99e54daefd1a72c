//! The flags about networks and ports, understood.
//!
//! Runs in: an ordinary process of the user.

use super::{Member, Mode, Networking};
use crate::cli::networking::NetworkFlags;
use crate::cli::run::Create;
use crate::container::Container;
use crate::error::OrHint as _;
use crate::etc;
use crate::home::Home;
use crate::net::mac;
use crate::net::record::{Driver, Networks};
use crate::net::uplink;
use crate::ports::{self, Port, Wish};
use crate::rootless;
use crate::{fmt, net};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use oci_spec::image;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What the flags and the image ask for. Networks and containers which they name have to be there.
pub(crate) fn find(
    home: &Home,
    args: &Create,
    image: &image::Config,
    id: &str,
) -> Result<Networking> {
    let exposed = image.exposed_ports().as_deref().unwrap_or_default();
    let mut network = plan(home, &args.network, exposed)?;
    let hostname = args.names.hostname.as_deref().unwrap_or_else(|| fmt::short_id(id));
    hostname.clone_into(&mut network.hostname);
    if network.mode == Mode::Networks && rootless::ids()?.is_some() {
        network.gateway = uplink::host_address(); // their bridge is not the host's
    }
    network.hosts_added = etc::added(&args.names.add_host, network.reach().1)?;
    Ok(network)
}

/// `exposed` is the `EXPOSE` of the image.
fn plan(home: &Home, flags: &NetworkFlags, exposed: &[String]) -> Result<Networking> {
    let mut network = Networking::default();
    let usual = "bridge".to_owned();
    let wanted = if flags.network.is_empty() { &[usual][..] } else { &flags.network };
    for word in wanted {
        let mode = mode(home, word).with_context(|| format!("--network {word}"))?;
        if let Joined::Alone(mode) = mode {
            if wanted.len() > 1 {
                return Err(anyhow!("--network {word}: goes with no other network"))
                    .hint("leave it away, or the others");
            }
            network.mode = mode;
        } else if let Joined::Member(member, gateway) = mode {
            network.gateway = network.gateway.or(gateway);
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
    published(&mut network, flags, exposed)?;
    Ok(network)
}

pub(super) enum Joined {
    Alone(Mode),
    /// With the host's address there.
    Member(Member, Option<IpAddr>),
}

pub(super) fn mode(home: &Home, word: &str) -> Result<Joined> {
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
            let gateway = network.pools.first().map(|pool| pool.gateway);
            Joined::Member(Member { network: network.name, ..member }, gateway)
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
                let mac = mac::parse(value);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn planned(change: impl FnOnce(&mut NetworkFlags)) -> Result<Networking> {
        let scratch = Scratch::new();
        let home = Home::open(Some(&scratch.0)).unwrap();
        let mut flags = NetworkFlags::default();
        change(&mut flags);
        plan(&home, &flags, &["80/tcp".to_owned()])
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
    }
}
