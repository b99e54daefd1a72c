//! What `--link` tells a container of another one, by variables: Docker's legacy links, of the
//! network `bridge` alone.
//!
//! Runs in: the monitor, before it makes the container: addresses are those of now.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use crate::container::{self, Container, Record};
use crate::home::{self, Home};
use crate::net::record;
use crate::ports::Port;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

/// The variables without those of links, next to config.json.
const FILE: &str = "env.json";
const NETWORK: &str = "bridge";

/// Writes the variables into `config.json` in the current directory.
pub(crate) fn prepare(home: &Home, record: &Record) -> Result<()> {
    let is_there = record.network.members.iter().any(|member| member.network == NETWORK);
    if record.network.links.is_empty() || !is_there {
        return Ok(());
    }
    let file = Path::new("config.json");
    let mut spec: Value = serde_json::from_slice(&fs::read(file)?).context("config.json")?;
    let own = match fs::read(FILE) {
        Ok(text) => serde_json::from_slice(&text).context(FILE)?,
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            let own = spec["process"]["env"].clone();
            home::replace(Path::new(FILE), &serde_json::to_vec(&own)?)?;
            own
        }
        Err(err) => return Err(err).context(FILE),
    };
    let own: Vec<String> = serde_json::from_value(own).context(FILE)?;
    let mut env = of_links(home, record)?;
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    env.retain(|variable| !own.iter().any(|own| name(own) == name(variable)));
    env.extend(own);
    spec["process"]["env"] = json!(env);
    home::replace(file, &serde_json::to_vec_pretty(&spec)?)
}

fn of_links(home: &Home, record: &Record) -> Result<Vec<String>> {
    let (all, endpoints) = (container::all(home)?, record::everybody(home)?);
    let mut env = Vec::new();
    for (id, alias) in &record.network.links {
        let Some(other) = all.iter().find(|other| other.record.id == *id) else { continue };
        let on_bridge = endpoints
            .iter()
            .find(|(network, endpoint)| network.name == NETWORK && endpoint.container == *id);
        let leases = on_bridge.map(|(_, endpoint)| endpoint.leases.as_slice()).unwrap_or_default();
        let address = leases.iter().map(|lease| lease.address).find(IpAddr::is_ipv4);
        let link = Link {
            name: format!("/{}/{alias}", record.name),
            alias,
            address,
            ports: &other.record.network.exposed,
            env: env_of(other)?,
        };
        env.extend(link.variables());
    }
    Ok(env)
}

/// The variables without those of links, which only a container that has some keeps apart from
/// those of its config.json.
pub(crate) fn own_env(
    container: &Container,
    of_config: impl FnOnce() -> Result<Value>,
) -> Result<Value> {
    if container.dir.join(FILE).exists() { container.json(FILE) } else { of_config() }
}

fn env_of(other: &Container) -> Result<Vec<String>> {
    let own = own_env(other, || Ok(other.json("config.json")?["process"]["env"].clone()))?;
    serde_json::from_value(own).context("process.env")
}

struct Link<'a> {
    name: String,
    alias: &'a str,
    /// None when it does not run.
    address: Option<IpAddr>,
    /// In order.
    ports: &'a [Port],
    env: Vec<String>,
}

impl Link<'_> {
    fn variables(&self) -> Vec<String> {
        let alias = self.alias.to_ascii_uppercase().replace('-', "_");
        let mut all = Vec::new();
        let mut put = |name: &str, value: &str| all.push(format!("{alias}_{name}={value}"));
        for (index, port) in self.ports.iter().enumerate() {
            let Some(address) = self.address else { break };
            let (number, protocol) = (port.number, port.protocol.to_string());
            let url = format!("{protocol}://{address}:{number}");
            if index == 0 {
                put("PORT", &url);
            }
            let name = format!("PORT_{number}_{}", protocol.to_ascii_uppercase());
            put(&name, &url);
            put(&format!("{name}_ADDR"), &address.to_string());
            put(&format!("{name}_PORT"), &number.to_string());
            put(&format!("{name}_PROTO"), &protocol);
        }
        put("NAME", &self.name);
        for variable in &self.env {
            if let Some((name, value)) = variable.split_once('=')
                && !matches!(name, "HOME" | "PATH" | "HOSTNAME")
            {
                put(&format!("ENV_{name}"), value);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports;

    #[test]
    fn variables_are_dockers() {
        let ports = ports::expose("80-81").unwrap();
        let mut link = Link {
            name: "/web/db-1".to_owned(),
            alias: "db-1",
            address: Some([172, 17, 0, 2].into()),
            ports: &ports,
            env: vec!["PATH=/bin".to_owned(), "A=b=c".to_owned()],
        };
        assert_eq!(
            link.variables(),
            [
                "DB_1_PORT=tcp://172.17.0.2:80",
                "DB_1_PORT_80_TCP=tcp://172.17.0.2:80",
                "DB_1_PORT_80_TCP_ADDR=172.17.0.2",
                "DB_1_PORT_80_TCP_PORT=80",
                "DB_1_PORT_80_TCP_PROTO=tcp",
                "DB_1_PORT_81_TCP=tcp://172.17.0.2:81",
                "DB_1_PORT_81_TCP_ADDR=172.17.0.2",
                "DB_1_PORT_81_TCP_PORT=81",
                "DB_1_PORT_81_TCP_PROTO=tcp",
                "DB_1_NAME=/web/db-1",
                "DB_1_ENV_A=b=c",
            ]
        );
        link.address = None;
        assert_eq!(link.variables(), ["DB_1_NAME=/web/db-1", "DB_1_ENV_A=b=c"]);
    }
}
