//! The command `network`.
//!
//! Runs in: an ordinary process of the user. Privilege: none, but for connect and disconnect.

mod inspect;
mod list;

pub(crate) use inspect::describe;

use crate::cli::network::{Command, Connect, Create, Disconnect, Driver, Prune, Rm};
use crate::cli::pairs;
use crate::container;
use crate::error::{self, OrHint as _};
use crate::filter::Filters;
use crate::home::Home;
use crate::net::attach::{self, Wanted};
use crate::net::create::{self, Request};
use crate::net::detach;
use crate::net::record::{self, Endpoint, Network, Networks};
use crate::networking::{self, Member};
use crate::screen::Screen;
use anyhow::{Context as _, Result, anyhow, bail};
use std::fs;

pub(crate) fn run(command: &Command, home: &Home, screen: &mut Screen<'_>) -> Result<()> {
    match command {
        Command::Create(args) => create(home, args, screen),
        Command::Ls(args) => list::run(home, args, screen),
        Command::Inspect(args) => inspect::run(home, args, screen),
        Command::Rm(args) => remove(home, args, screen),
        Command::Exists(_) => bail!("internal error, please report: network"),
        Command::Prune(args) => prune(home, args, screen),
        Command::Connect(args) => connect(home, args, screen),
        Command::Disconnect(args) => disconnect(home, args),
    }
}

fn create(home: &Home, args: &Create, screen: &mut Screen<'_>) -> Result<()> {
    let request = Request {
        driver: match args.driver {
            Driver::Bridge => record::Driver::Bridge,
            Driver::Macvlan => record::Driver::Macvlan,
        },
        subnets: args.subnet.clone(),
        gateways: args.gateway.clone(),
        ranges: args.ip_range.clone(),
        internal: args.internal,
        ipv6: args.ipv6,
        labels: pairs(&args.label),
        options: pairs(&args.option),
        name: args.name.clone(),
    };
    let networks = open(home)?;
    let network = create::create(&networks, request)?;
    screen.say(&format!("{}\n", network.id))
}

/// The lock, and the networks which are always there.
fn open(home: &Home) -> Result<Networks<'_>> {
    let networks = Networks::lock(home)?;
    create::predefined(&networks)?;
    detach::forget_lost(&networks)?;
    Ok(networks)
}

pub(crate) fn exists(home: &Home, name: &str) -> Result<bool> {
    let all = open(home)?.all()?;
    Ok(all.iter().any(|one| one.name == name || !name.is_empty() && one.id.starts_with(name)))
}

/// All that can be removed are; the errors are told in the end.
fn remove(home: &Home, args: &Rm, screen: &mut Screen<'_>) -> Result<()> {
    let networks = open(home)?;
    let mut errors = vec![];
    for wanted in &args.networks {
        let removed = match networks.find(wanted) {
            Err(_) if args.force => continue,
            found => found.and_then(|network| remove_one(&networks, &network)),
        };
        match removed {
            Ok(()) => screen.say(&format!("{wanted}\n"))?,
            Err(err) => errors.push(err),
        }
    }
    error::all(errors)
}

fn remove_one(networks: &Networks<'_>, network: &Network) -> Result<()> {
    if network.is_predefined() {
        return Err(anyhow!("network {}: is always there, and cannot be removed", network.name))
            .hint("remove networks of your own: `bundles network ls --filter type=custom`");
    }
    detach::settle(networks)?;
    let name = |endpoint: Endpoint| match endpoint.container.strip_prefix("netns:") {
        Some(_) => endpoint.container,
        None => endpoint.name,
    };
    let users: Vec<String> = networks.endpoints(network)?.into_iter().map(name).collect();
    if let Some(first) = users.first() {
        let by = users.join(", ");
        return Err(anyhow!("network {}: in use by {by}", network.name)).hint(format!(
            "take them off first: bundles network disconnect {} {first}",
            network.name
        ));
    }
    networks.forget(network)
}

fn prune(home: &Home, args: &Prune, screen: &mut Screen<'_>) -> Result<()> {
    let filters = Filters::new(&args.filter, &["until", "label", "label!"])?;
    let warning = "This will remove all networks that no container is on.";
    screen.confirm(args.force, warning)?;
    give_back(home, &filters, screen)
}

/// What killed commands have left, and the networks that no container is on.
pub(crate) fn give_back(home: &Home, filters: &Filters, screen: &mut Screen<'_>) -> Result<()> {
    // Nothing is made: the disk may be full.
    let networks = Networks::lock(home)?;
    detach::settle(&networks)?;
    let mut removed = vec![];
    for network in networks.all()? {
        if !networks.endpoints(&network)?.is_empty() {
            continue;
        }
        if network.is_predefined() {
            networks.set_endpoints(&network, &[])?; // who was killed may have begun to write some
        } else if filters.labels(&network.labels)
            && filters.is_before(container::time(&network.created))
        {
            networks.forget(&network)?;
            removed.push(network.name);
        }
    }
    if !removed.is_empty() {
        screen.say(&format!("Deleted Networks:\n{}\n\n", removed.join("\n")))?;
    }
    Ok(())
}

/// `netns:PATH` with all links of the path resolved: what a namespace is recorded under.
fn target(text: &str) -> Result<String> {
    let path = text.strip_prefix("netns:").context("netns:")?;
    // Of /proc/PID/ns/net the last link leads to no file.
    let path = std::path::absolute(path).context("netns:")?;
    let path = match (path.parent().map(fs::canonicalize), path.file_name()) {
        (Some(Ok(parent)), Some(name)) => parent.join(name),
        _ => path,
    };
    Ok(format!("netns:{}", path.display()))
}

fn connect(home: &Home, args: &Connect, screen: &mut Screen<'_>) -> Result<()> {
    if !args.target.starts_with("netns:") {
        let member = Member {
            network: String::new(),
            aliases: args.alias.clone(),
            addresses: args.ip.clone(),
            mac: args.mac_address,
        };
        let note = networking::connect(home, &args.network, &args.target, member)?;
        screen.note(&note.unwrap_or_default());
        return Ok(());
    }
    let container = target(&args.target)?;
    let path = container.strip_prefix("netns:").unwrap_or(&container).to_owned();
    let last = path.rsplit('/').next().unwrap_or_default().to_owned();
    let wanted = Wanted {
        name: args.name.clone().unwrap_or(last),
        aliases: args.alias.clone(),
        netns: path.into(),
        interface: args.interface.clone(),
        addresses: args.ip.clone(),
        mac: args.mac_address,
        hosts: args.hosts.as_ref().map(std::path::absolute).transpose().context("--hosts")?,
        hosts_added: args.add_host.clone(),
        hostname: String::new(),
        links: vec![],
        container,
    };
    let (_, note) = attach::attach(home, &args.network, &wanted)?;
    screen.note(&note.unwrap_or_default());
    Ok(())
}

fn disconnect(home: &Home, args: &Disconnect) -> Result<()> {
    if !args.target.starts_with("netns:") {
        let done = networking::disconnect(home, &args.network, &args.target);
        return if args.force { Ok(()) } else { done };
    }
    detach::detach(home, &args.network, &target(&args.target)?)
}
