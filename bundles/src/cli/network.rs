//! `bundles network`.

use super::existing::Exists;
use crate::net::mac::{self, Mac};
use crate::net::subnet::Subnet;
use clap::{Args, Subcommand, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;
/// Make, list and remove networks, and bring containers onto them
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Create(Create),
    #[command(alias = "list")]
    Ls(Ls),
    Inspect(Inspect),
    #[command(alias = "remove")]
    Rm(Rm),
    Exists(Exists),
    Prune(Prune),
    Connect(Connect),
    Disconnect(Disconnect),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Driver {
    Bridge,
    Macvlan,
}

/// Create a network, and print its id
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// How it works: a bridge on this host, or second links on one of the host's
    #[arg(short, long, value_enum, default_value = "bridge")]
    pub(crate) driver: Driver,

    /// Subnet, as 172.30.0.0/16; once for IPv4 and once for IPv6
    #[arg(long, value_name = "SUBNET")]
    pub(crate) subnet: Vec<Subnet>,

    /// The host's address in the subnet; the first one by default
    #[arg(long, value_name = "IP")]
    pub(crate) gateway: Vec<IpAddr>,

    /// Part of the subnet which containers get addresses from
    #[arg(long, value_name = "SUBNET")]
    pub(crate) ip_range: Vec<Subnet>,

    /// Without a way out
    #[arg(long)]
    pub(crate) internal: bool,

    /// With IPv6 addresses, too
    #[arg(long)]
    pub(crate) ipv6: bool,

    /// Accepted for scripts: any container may be brought onto it
    #[arg(long, hide = true)]
    pub(crate) attachable: bool,

    /// The same, where it is default
    #[arg(long, value_name = "NAME", hide = true, value_parser = ["default"])]
    pub(crate) ipam_driver: Option<String>,

    /// The same, where it is local
    #[arg(long, value_name = "SCOPE", hide = true, value_parser = ["local"])]
    pub(crate) scope: Option<String>,

    /// Label of the network
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,

    /// Option of the driver: of macvlan `parent=LINK` and `macvlan_mode=MODE`
    #[arg(short, long = "opt", value_name = "KEY=VALUE")]
    pub(crate) option: Vec<String>,

    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// List networks
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Print ids only
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Print whole ids
    #[arg(long)]
    pub(crate) no_trunc: bool,

    /// Show those of this kind only: name= id= label= label!= driver= type= scope= dangling=; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,

    /// table, json, 'table TEMPLATE' or a template of Go
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,

    /// Leave the headings of columns away
    #[arg(short, long)]
    pub(crate) noheading: bool,
}

/// Print all that is known of networks, as JSON
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// json, or a template of Go
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,

    /// Accepted for scripts: all is told anyway
    #[arg(short, long, hide = true)]
    pub(crate) verbose: bool,

    #[arg(value_name = "NETWORK", required = true)]
    pub(crate) networks: Vec<String>,
}

/// Remove networks that no container is on
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// No error for networks that do not exist
    #[arg(short, long)]
    pub(crate) force: bool,

    #[arg(value_name = "NETWORK", required = true)]
    pub(crate) networks: Vec<String>,
}

/// Remove all networks that no container is on
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,

    /// Those of this kind only: until= label= label!=; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,
}

/// Bring a container onto a network
///
/// TARGET may be a network namespace by its path, as `netns:/run/netns/web`. It is kept current and
/// listed like a container until it is disconnected or its namespace is gone.
#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// Address to take; once for IPv4 and once for IPv6
    #[arg(long, value_name = "IP", alias = "ip6")]
    pub(crate) ip: Vec<IpAddr>,

    /// Hardware address to take
    #[arg(long, value_name = "MAC", value_parser = mac::parse)]
    pub(crate) mac_address: Option<Mac>,

    /// Further name on this network
    #[arg(long, value_name = "NAME")]
    pub(crate) alias: Vec<String>,

    /// Of netns: its name on the network
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Of netns: name of the new interface there, instead of eth0 and so on
    #[arg(long, value_name = "NAME")]
    pub(crate) interface: Option<String>,

    /// Of netns: file to keep current as its /etc/hosts
    #[arg(long, value_name = "FILE")]
    pub(crate) hosts: Option<PathBuf>,

    /// Of netns: further line of that file
    #[arg(long, value_name = "NAME:IP", value_parser = parse_host)]
    pub(crate) add_host: Vec<(String, IpAddr)>,

    #[arg(value_name = "NETWORK")]
    pub(crate) network: String,

    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
}

/// Take a container off a network
#[derive(Debug, Args)]
pub(crate) struct Disconnect {
    /// No error where it is not on it
    #[arg(short, long)]
    pub(crate) force: bool,

    #[arg(value_name = "NETWORK")]
    pub(crate) network: String,

    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
}

/// "name:address"; the address may have colons and brackets of its own.
pub(crate) fn parse_host(text: &str) -> Result<(String, IpAddr), String> {
    let parts = text.split_once([':', '=']).filter(|(name, _)| !name.is_empty());
    let parsed = parts.and_then(|(name, address)| {
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        Some((name.to_owned(), bare.unwrap_or(address).parse().ok()?))
    });
    parsed.ok_or_else(|| format!("{text:?}: not NAME:IP, as db:172.18.0.9 would be"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_hosts_are_of_both_families() {
        let host = |text: &str| parse_host(text).map(|(name, address)| format!("{name} {address}"));
        assert_eq!(host("db:10.0.0.9").unwrap(), "db 10.0.0.9");
        assert_eq!(host("db:::1").unwrap(), "db ::1");
        assert_eq!(host("db=[fd00::2]").unwrap(), "db fd00::2");
        for bad in ["db", ":10.0.0.1", "db:x"] {
            assert_eq!(
                host(bad).unwrap_err(),
                format!("{bad:?}: not NAME:IP, as db:172.18.0.9 would be")
            );
        }
    }
}
