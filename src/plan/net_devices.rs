//! `linux.netDevices`: devices of the host that the container gets.
//!
//! Runs in: parent. Pure. See config-linux.md, "Network Devices".

use super::{Kind, Namespaces};
use anyhow::{Result, bail, ensure};
use oci_spec::runtime::LinuxNetDevice;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetDevice {
    /// `linux.netDevices.eth1`
    pub(crate) field: String,
    pub(crate) host_name: String,
    /// May end in `%d`: the first number that is free there.
    pub(crate) container_name: String,
}

/// In the order of their names.
pub(crate) fn plan<'a>(
    devices: impl Iterator<Item = (&'a String, &'a LinuxNetDevice)>,
    namespaces: &Namespaces,
) -> Result<Vec<NetDevice>> {
    let mut plan: Vec<NetDevice> = Vec::new();
    for (host_name, device) in devices {
        let field = format!("linux.netDevices.{host_name}");
        let name = device.name().as_deref().filter(|name| !name.is_empty());
        let container_name = name.unwrap_or(host_name);
        let pattern = container_name.strip_suffix("%d");
        let wrong = [host_name.as_str(), pattern.unwrap_or(container_name)];
        if let Some(wrong) = wrong.iter().find(|name| !is_name(name)) {
            bail!("{field}: {wrong:?} {WRONG}");
        }
        // The number takes a byte at least.
        ensure!(
            pattern.is_none_or(|prefix| prefix.len() < 15),
            "{field}.name: {container_name:?} has no room for a number: at most 15 bytes"
        );
        let taken = plan.iter().find(|other| other.container_name == *container_name);
        if let (Some(other), None) = (taken, pattern) {
            bail!("{field}.name: {container_name:?} is also the name of {}", other.field);
        }
        let container_name = container_name.to_string();
        let at = plan.partition_point(|other| other.host_name < *host_name);
        plan.insert(at, NetDevice { field, host_name: host_name.clone(), container_name });
    }
    ensure!(
        plan.is_empty() || namespaces.has(Kind::Network),
        "linux.netDevices: needs a \"network\" entry in linux.namespaces"
    );
    Ok(plan)
}

const WRONG: &str =
    "is not a device name: 1 to 15 bytes without '/', ':', '%' and space, not \".\" or \"..\"";

/// net/core/dev.c, `dev_valid_name`; a `%` is for patterns.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| !b"/:%\0".contains(&byte) && !byte.is_ascii_whitespace() && byte != 11;
    (1..=15).contains(&name.len()) && name != "." && name != ".." && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(json: &str, namespaces: &str) -> anyhow::Result<Vec<NetDevice>> {
        let linux: oci_spec::runtime::Linux = serde_json::from_str(&format!(
            r#"{{"namespaces":[{namespaces}],"netDevices":{json}}}"#
        ))?;
        plan(linux.net_devices().iter().flatten(), &Namespaces::new(&linux)?)
    }

    const NETWORK: &str = r#"{"type":"network"}"#;

    #[test]
    fn devices_are_sorted_and_have_a_name() {
        let plan =
            error_of(r#"{"eth1":{"name":"a%d"},"eth0":{},"e2":{"name":""}}"#, NETWORK).unwrap();
        let names: Vec<(&str, &str)> = plan
            .iter()
            .map(|device| (device.host_name.as_str(), device.container_name.as_str()))
            .collect();
        assert_eq!(names, [("e2", "e2"), ("eth0", "eth0"), ("eth1", "a%d")]);
        assert_eq!(plan[2].field, "linux.netDevices.eth1");
    }

    #[test]
    fn wrong_names_are_refused() {
        let error = |json: &str, spaces: &str| error_of(json, spaces).unwrap_err();
        for name in ["", ".", "..", "a/b", "a:b", "a b", "sixteen-bytes-xx", "a%d"] {
            let text = error(&format!(r#"{{"{name}":{{}}}}"#), NETWORK).to_string();
            assert_eq!(text, format!("linux.netDevices.{name}: {name:?} {WRONG}"));
        }
        for (name, wrong) in [("%d", ""), ("a%s", "a%s"), ("a%db", "a%db"), ("a%d%d", "a%d")] {
            let text = error(&format!(r#"{{"e":{{"name":"{name}"}}}}"#), NETWORK).to_string();
            assert_eq!(text, format!("linux.netDevices.e: {wrong:?} {WRONG}"));
        }
        // The order of the entries is none.
        let twice = error(r#"{"a":{"name":"b"},"b":{}}"#, NETWORK).to_string();
        assert!(
            twice == "linux.netDevices.b.name: \"b\" is also the name of linux.netDevices.a"
                || twice == "linux.netDevices.a.name: \"b\" is also the name of linux.netDevices.b",
            "{twice}"
        );
        assert_eq!(
            error(r#"{"a":{}}"#, "").to_string(),
            "linux.netDevices: needs a \"network\" entry in linux.namespaces"
        );
    }
}
