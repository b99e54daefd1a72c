//! `network inspect`, in Docker's shape.

use super::open;
use crate::cli::network::Inspect;
use crate::home::Home;
use crate::inspect;
use crate::net::record::{Driver, Endpoint, Network, Networks};
use crate::screen::Screen;
use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_excessive_bools, reason = "so Docker has it")]
struct Shown {
    name: String,
    id: String,
    created: String,
    scope: &'static str,
    driver: &'static str,
    #[serde(rename = "EnableIPv4")]
    enable_ipv4: bool,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: bool,
    #[serde(rename = "IPAM")]
    ipam: Ipam,
    internal: bool,
    attachable: bool,
    ingress: bool,
    config_from: ConfigFrom,
    config_only: bool,
    containers: BTreeMap<String, Container>,
    options: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

/// Of networks of several machines, which these never are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigFrom {
    network: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ipam {
    driver: &'static str,
    options: Option<BTreeMap<String, String>>,
    config: Vec<Config>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    subnet: String,
    #[serde(rename = "IPRange", skip_serializing_if = "Option::is_none")]
    ip_range: Option<String>,
    gateway: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    name: String,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    mac_address: String,
    #[serde(rename = "IPv4Address")]
    ipv4_address: String,
    #[serde(rename = "IPv6Address")]
    ipv6_address: String,
}

/// Prints those that there are; the errors are told in the end.
pub(super) fn run(home: &Home, args: &Inspect, screen: &mut Screen<'_>) -> Result<()> {
    let networks = open(home)?;
    inspect::each(&args.networks, args.format.as_deref(), screen, |name| find(&networks, name))
}

pub(crate) fn describe(home: &Home, name: &str) -> Result<Value> {
    serde_json::to_value(find(&open(home)?, name)?).context("JSON")
}

fn find(networks: &Networks<'_>, name: &str) -> Result<Shown> {
    let network = networks.find(name)?;
    let endpoints = networks.endpoints(&network)?;
    Ok(shown(network, endpoints))
}

fn shown(network: Network, endpoints: Vec<Endpoint>) -> Shown {
    let has_v6 = network.pools.iter().any(|pool| pool.subnet.is_v6());
    let config = network.pools.iter().map(|pool| Config {
        subnet: pool.subnet.to_string(),
        ip_range: pool.range.map(|range| range.to_string()),
        gateway: pool.gateway.to_string(),
    });
    let options = (!network.is_predefined()).then(BTreeMap::new);
    let containers = endpoints.into_iter().filter(|endpoint| endpoint.settled).map(container);
    Shown {
        ipam: Ipam { driver: "default", options, config: config.collect() },
        scope: "local",
        driver: network.driver.name(),
        enable_ipv4: matches!(network.driver, Driver::Bridge | Driver::Macvlan),
        enable_ipv6: has_v6,
        internal: network.internal,
        attachable: false,
        ingress: false,
        config_from: ConfigFrom { network: "" },
        config_only: false,
        containers: containers.collect(),
        options: network.options,
        labels: network.labels,
        name: network.name,
        id: network.id,
        created: network.created,
    }
}

fn container(endpoint: Endpoint) -> (String, Container) {
    let address = |v6: bool| {
        let lease = endpoint.leases.iter().find(|lease| lease.address.is_ipv6() == v6);
        lease.map(|lease| format!("{}/{}", lease.address, lease.prefix)).unwrap_or_default()
    };
    let (ipv4_address, ipv6_address) = (address(false), address(true));
    let shown = Container {
        name: endpoint.name,
        endpoint_id: endpoint.id,
        mac_address: endpoint.mac,
        ipv4_address,
        ipv6_address,
    };
    (endpoint.container, shown)
}
