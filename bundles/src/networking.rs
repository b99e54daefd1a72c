//! What a container has to do with networks: on which it is, by which names, and with which ports
//! published.
//!
//! Runs in: an ordinary process of the user, and the monitor. Privilege: none, but to join and to
//! leave a network.

mod plan;
pub(crate) mod show;

pub(crate) use plan::find;

use crate::container::{Container, Record};
use crate::error::OrHint as _;
use crate::etc::Reach;
use crate::events::{self, Event};
use crate::fmt;
use crate::home::Home;
use crate::net::attach::{self, Wanted};
use crate::net::detach;
use crate::net::mac::Mac;
use crate::net::record::{self, Endpoint, Networks};
use crate::ports::{Bound, Port, Wish};
use crate::rootless;
use crate::screen::Screen;
use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// Of a container's record.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Networking {
    pub(crate) mode: Mode,
    /// In the order in which they are joined.
    pub(crate) members: Vec<Member>,
    pub(crate) hostname: String,
    /// The host's address on the first network.
    pub(crate) gateway: Option<IpAddr>,
    /// For its /etc/hosts alone.
    pub(crate) hosts_added: Vec<(String, IpAddr)>,
    /// Names that it alone has for other containers, by their ids.
    pub(crate) links: Vec<(String, String)>,
    /// To be published.
    pub(crate) ports: Vec<Wish>,
    pub(crate) exposed: Vec<Port>,
    /// Published by the monitor that runs, or by the last one.
    pub(crate) bound: Vec<Bound>,
    /// What a person has to be told of the last start: why there is no way out.
    pub(crate) note: Option<String>,
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

impl Networking {
    /// What it reaches, and the address of the host from there: for the files of its /etc.
    pub(crate) fn reach(&self) -> (Reach, Option<IpAddr>) {
        match self.mode {
            Mode::Host => (Reach::Host, Some(Ipv4Addr::LOCALHOST.into())),
            Mode::None | Mode::Container(_) => (Reach::Nothing, None),
            Mode::Networks => (Reach::Own, self.gateway),
        }
    }
}

/// Whom others on a network know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) id: &'a str,
    /// Empty for one that is known by its id alone.
    pub(crate) name: &'a str,
}

impl<'a> From<&'a Record> for Who<'a> {
    fn from(record: &'a Record) -> Self {
        Self { id: &record.id, name: &record.name }
    }
}

/// Between create and start of the runtime: the container is on its networks before its first
/// instruction.
pub(crate) fn join(
    home: &Home,
    dir: &Path,
    who: Who<'_>,
    network: &mut Networking,
    pid: i32,
) -> Result<()> {
    network.note = None;
    for member in &network.members {
        let note = enter(home, dir, who, (network, member), pid)?;
        network.note = network.note.take().or(note);
    }
    Ok(())
}

/// After a start, what it has to tell.
pub(crate) fn tell(container: &Container, screen: &mut Screen<'_>) {
    let is_ordinary = rootless::ids().is_ok_and(|ids| ids.is_some());
    if container.record.network.mode == Mode::Networks && is_ordinary {
        // It may have ended, and be gone.
        let started = Container::open(&container.dir).ok();
        let note = started.and_then(|started| started.record.network.note);
        screen.note(&note.unwrap_or_default());
    }
}

/// The one place where a container is brought onto a network. Returns what a person has to be told.
fn enter(
    home: &Home,
    dir: &Path,
    who: Who<'_>,
    (network, member): (&Networking, &Member),
    pid: i32,
) -> Result<Option<String>> {
    let mut aliases = member.aliases.clone();
    aliases.push(fmt::short_id(who.id).to_owned());
    let wanted = Wanted {
        container: who.id.to_owned(),
        name: who.name.to_owned(),
        aliases,
        netns: PathBuf::from(format!("/proc/{pid}/ns/net")),
        interface: None,
        addresses: member.addresses.clone(),
        mac: member.mac,
        hosts: Some(dir.join("hosts")),
        hosts_added: network.hosts_added.clone(),
        hostname: network.hostname.clone(),
        links: network.links.clone(),
    };
    attach::attach(home, &member.network, &wanted).map(|(_, note)| note)
}

/// What is noted of a container and its networks when it comes or goes.
pub(crate) fn events(home: &Home, record: &Record, action: &str) -> Vec<Event> {
    let members = record.network.members.iter();
    let network = |member: &Member| {
        let network = record::named(home, &member.network)?;
        Some(network.event(action).with("container", &record.id))
    };
    members.filter_map(network).collect()
}

/// After it has ended, or a killed monitor has left it.
pub(crate) fn leave(home: &Home, id: &str) -> Result<()> {
    detach::leave(home, id)
}

/// `network connect`: at once when it runs, and from its next start on.
pub(crate) fn connect(
    home: &Home,
    network: &str,
    container: &str,
    member: Member,
) -> Result<Option<String>> {
    let mut container = Container::find(home, container)?;
    let _lock = container.lock()?;
    let name = container.record.name.clone();
    let joined = plan::mode(home, network)?;
    let plan::Joined::Member(Member { network, .. }, _) = joined else {
        bail!("network {network}: a container is on it from its start or not at all");
    };
    match &container.record.network.mode {
        Mode::None | Mode::Networks => {}
        Mode::Host => bail!("{name}: has the network of the host"),
        Mode::Container(other) => bail!("{name}: has the network of {}", fmt::short_id(other)),
    }
    let member = Member { network, ..member };
    let network = &member.network;
    let is_member = container.record.network.members.iter().any(|one| one.network == *network);
    let runs = container.record.is_running();
    let endpoint = endpoint(home, network, &container.record.id)?;
    let is_there = endpoint.is_some_and(|endpoint| endpoint.settled);
    if is_member && (is_there || !runs) {
        return Err(anyhow!("{name} is on network {network} already"))
            .hint(format!("bundles network disconnect {network} {name}"));
    }
    // Recorded first: who is killed in between leaves what both commands can go on from.
    let before = container.record.network.clone();
    if !is_member {
        container.record.network.mode = Mode::Networks;
        container.record.network.members.push(member.clone());
        container.save()?;
    }
    let process = container.record.state.process.as_ref();
    let Some(process) = process.filter(|_| runs && !is_there) else { return Ok(None) };
    let record = &container.record;
    let entered =
        enter(home, &container.dir, record.into(), (&record.network, &member), process.pid);
    if entered.is_err() {
        container.record.network = before;
        container.save().ok(); // the first error is the one worth telling
    } else {
        note(home, network, &container.record.id, "connect");
    }
    entered
}

fn note(home: &Home, network: &str, container: &str, action: &str) {
    if let Some(network) = record::named(home, network) {
        events::note(home, network.event(action).with("container", container));
    }
}

/// How a container is on a network now, whatever its record wants.
fn endpoint(home: &Home, network: &str, container: &str) -> Result<Option<Endpoint>> {
    let mut all = record::everybody(home)?.into_iter();
    let found = all.find(|(on, one)| on.name == network && one.container == container);
    Ok(found.map(|(_, endpoint)| endpoint))
}

/// `network disconnect`.
pub(crate) fn disconnect(home: &Home, network: &str, container: &str) -> Result<()> {
    let mut container = Container::find(home, container)?;
    let _lock = container.lock()?;
    let name = Networks::lock(home)?.find(network)?.name;
    let members = &mut container.record.network.members;
    let before = members.len();
    members.retain(|member| member.network != name);
    let is_there = endpoint(home, &name, &container.record.id)?.is_some();
    if container.record.network.members.len() == before && !is_there {
        return Err(anyhow!("{} is not on network {name}", container.record.name))
            .hint(format!("bundles network inspect {name} shows who is"));
    }
    if is_there {
        detach::detach(home, &name, &container.record.id)?;
        note(home, &name, &container.record.id, "disconnect");
    }
    container.save()
}
