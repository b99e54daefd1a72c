//! The flags of `run` and `create` that are about names: of itself, and of others.

use clap::Args;
use std::net::IpAddr;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct NameFlags {
    /// Host name
    #[arg(short = 'h', long, value_name = "NAME")]
    pub(crate) hostname: Option<String>,

    /// NIS domain name
    #[arg(long, value_name = "NAME")]
    pub(crate) domainname: Option<String>,

    /// Further line of /etc/hosts, NAME:IP; host-gateway is the address of this host
    #[arg(long, value_name = "NAME:IP")]
    pub(crate) add_host: Vec<String>,

    /// Name server, instead of the host's
    #[arg(long, value_name = "IP")]
    pub(crate) dns: Vec<IpAddr>,

    /// Domain in which names are looked up, instead of the host's; . for none
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) dns_search: Vec<String>,

    /// Option of resolv.conf, instead of the host's
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION")]
    pub(crate) dns_option: Vec<String>,
}
