//! The command `network`.
//!
//! Runs in: an ordinary process of the user. Privilege: none, but for connect and disconnect.

mod inspect;
mod list;

use crate::cli_network::{Command, Connect, Create, Disconnect, Driver, Prune, Rm};
use crate::error::OrHint as _;
use crate::home::Home;
use crate::net::attach::{self, Wanted};
use crate::net::create::{self, Request};
use crate::net::record::{self, Network, Networks};
use anyhow::{Context as _, Result, anyhow};
use list::Filters;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _, Write};

pub(crate) fn run(home: &Home, command: Command, out: &mut dyn Write) -> Result<()> {
    match command {
        Command::Create(args) => create(home, args, out),
        Command::Ls(args) => list::run(home, &args, out),
        Command::Inspect(args) => inspect::run(home, &args.networks, out),
        Command::Rm(args) => remove(home, &args, out),
        Command::Prune(args) => prune(home, &args, out),
        Command::Connect(args) => connect(home, args),
        Command::Disconnect(args) => disconnect(home, &args),
    }
}

fn create(home: &Home, args: Create, out: &mut dyn Write) -> Result<()> {
    let request = Request {
        driver: match args.driver {
            Driver::Bridge => record::Driver::Bridge,
            Driver::Macvlan => record::Driver::Macvlan,
        },
        subnets: args.subnet,
        gateways: args.gateway,
        ranges: args.ip_range,
        internal: args.internal,
        ipv6: args.ipv6,
        labels: pairs(&args.label),
        options: pairs(&args.option),
        name: args.name,
    };
    let networks = open(home)?;
    let network = create::create(&networks, request)?;
    writeln!(out, "{}", network.id).context("stdout")
}

/// The lock, and the networks which are always there.
fn open(home: &Home) -> Result<Networks<'_>> {
    let networks = Networks::lock(home)?;
    create::predefined(&networks)?;
    Ok(networks)
}

/// "key=value" each; without a value it is empty.
fn pairs(words: &[String]) -> BTreeMap<String, String> {
    let pair = |word: &String| {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        (key.to_owned(), value.to_owned())
    };
    words.iter().map(pair).collect()
}

/// All that can be removed are; the first error is told in the end.
fn remove(home: &Home, args: &Rm, out: &mut dyn Write) -> Result<()> {
    let networks = open(home)?;
    let mut result = Ok(());
    for wanted in &args.networks {
        let one = match networks.find(wanted) {
            Err(_) if args.force => Ok(()),
            Err(err) => Err(err),
            Ok(network) => remove_one(&networks, &network)
                .and_then(|()| writeln!(out, "{wanted}").context("stdout")),
        };
        result = result.and(one);
    }
    result
}

fn remove_one(networks: &Networks<'_>, network: &Network) -> Result<()> {
    if network.is_predefined() {
        return Err(anyhow!("network {}: is always there, and cannot be removed", network.name))
            .hint("remove networks of your own: `bundles network ls --filter type=custom`");
    }
    attach::settle(networks)?;
    let users: Vec<String> =
        networks.endpoints(network)?.into_iter().map(|endpoint| endpoint.container).collect();
    if let Some(first) = users.first() {
        let by = users.join(", ");
        return Err(anyhow!("network {}: in use by {by}", network.name)).hint(format!(
            "take them off first: bundles network disconnect {} {first}",
            network.name
        ));
    }
    networks.forget(network)
}

fn prune(home: &Home, args: &Prune, out: &mut dyn Write) -> Result<()> {
    let filters = Filters::parse(&args.filter)?;
    if !args.force {
        let warning = "WARNING! This will remove all networks that no container is on.\n\
                       Are you sure you want to continue? [y/N] ";
        out.write_all(warning.as_bytes()).and_then(|()| out.flush()).context("stdout")?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).context("stdin")?;
        if !answer.trim().eq_ignore_ascii_case("y") {
            return Ok(());
        }
    }
    let networks = open(home)?;
    attach::settle(&networks)?;
    let mut removed = vec![];
    for network in networks.all()? {
        if network.is_predefined() || !filters.take(&network)? {
            continue;
        }
        if networks.endpoints(&network)?.is_empty() {
            networks.forget(&network)?;
            removed.push(network.name);
        }
    }
    if !removed.is_empty() {
        writeln!(out, "Deleted Networks:\n{}\n", removed.join("\n")).context("stdout")?;
    }
    Ok(())
}

/// `netns:PATH` with all links of the path resolved: what a namespace is recorded under.
fn target(text: &str) -> Result<String> {
    let Some(path) = text.strip_prefix("netns:") else {
        return Err(anyhow!("no such container: {text}"))
            .hint("name a network namespace by its path, as in netns:/run/netns/web");
    };
    // Of /proc/PID/ns/net the last link leads to no file.
    let path = std::path::absolute(path).context("netns:")?;
    let path = match (path.parent().map(fs::canonicalize), path.file_name()) {
        (Some(Ok(parent)), Some(name)) => parent.join(name),
        _ => path,
    };
    Ok(format!("netns:{}", path.display()))
}

fn connect(home: &Home, args: Connect) -> Result<()> {
    let container = target(&args.target)?;
    let path = container.strip_prefix("netns:").unwrap_or(&container).to_owned();
    let last = path.rsplit('/').next().unwrap_or_default().to_owned();
    let wanted = Wanted {
        name: args.name.unwrap_or(last),
        aliases: args.alias,
        netns: path.into(),
        interface: args.interface,
        addresses: args.ip,
        mac: args.mac_address,
        hosts: args.hosts.map(std::path::absolute).transpose().context("--hosts")?,
        hosts_added: args.add_host,
        container,
    };
    attach::attach(home, &args.network, &wanted).map(drop)
}

fn disconnect(home: &Home, args: &Disconnect) -> Result<()> {
    attach::detach(home, &args.network, &target(&args.target)?)
}
