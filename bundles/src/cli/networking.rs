//! The flags of `run` and `create` that are about networks.

use crate::net::mac::{self, Mac};
use clap::Args;
use std::net::{Ipv4Addr, Ipv6Addr};

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct NetworkFlags {
    /// Network to be on: its name, host, none or container:NAME; may be repeated [default: bridge]
    #[arg(long, visible_alias = "net")]
    pub(crate) network: Vec<String>,

    /// IPv4 address to take
    #[arg(long, value_name = "IP")]
    pub(crate) ip: Option<Ipv4Addr>,

    /// IPv6 address to take
    #[arg(long, value_name = "IP")]
    pub(crate) ip6: Option<Ipv6Addr>,

    /// Hardware address to take
    #[arg(long, value_name = "MAC", value_parser = mac::parse)]
    pub(crate) mac_address: Option<Mac>,

    /// Further name on its networks
    #[arg(long, visible_alias = "net-alias", value_name = "NAME")]
    pub(crate) network_alias: Vec<String>,

    /// Container that it knows by another name, too: CONTAINER[:NAME]
    #[arg(long, value_name = "CONTAINER")]
    pub(crate) link: Vec<String>,

    /// Port to publish: [[IP:]HOST:]CONTAINER[/udp], each also a range
    #[arg(short, long, value_name = "PORT")]
    pub(crate) publish: Vec<String>,

    /// Publish all exposed ports, on free ones of the host
    #[arg(short = 'P', long)]
    pub(crate) publish_all: bool,

    /// Port that it offers, without publishing it
    #[arg(long, value_name = "PORT")]
    pub(crate) expose: Vec<String>,
}

/// Print where a container's ports are published
#[derive(Debug, Clone, Args)]
pub(crate) struct Port {
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,

    /// Only this one of the container, PORT[/udp]
    #[arg(value_name = "PORT")]
    pub(crate) port: Option<String>,
}
