//! Published ports: what `-p`, `--expose` and an image's `EXPOSE` ask for, and how it is shown.
//!
//! Runs in: pure, but for [`holder`].

pub(crate) mod holder;

use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const FORMS: &str = "the forms are 80, 8080:80, 127.0.0.1:8080:80, [::1]:8080:80 and \
    5001-5003:80-82, each with /tcp or /udp behind it";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A port of the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Port {
    pub(crate) number: u16,
    pub(crate) protocol: Protocol,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

/// A port of the host that is to lead to one of the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wish {
    /// All addresses of both families when it is missing.
    pub(crate) host: Option<IpAddr>,
    /// Any free one when it is missing.
    pub(crate) host_port: Option<u16>,
    pub(crate) port: Port,
}

impl Wish {
    /// The addresses to listen on.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        match self.host {
            Some(address) => vec![address],
            None => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        }
    }
}

/// A port of the host that leads to one of the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bound {
    pub(crate) port: Port,
    pub(crate) host: SocketAddr,
}

/// Those of `-p`: one, or as many as the ranges have.
pub(crate) fn publish(text: &str) -> Result<Vec<Wish>> {
    wishes(text).with_context(|| format!("-p {text}"))
}

fn wishes(text: &str) -> Result<Vec<Wish>> {
    let (ports, protocol) = protocol(text)?;
    let (rest, inside) = ports.rsplit_once(':').unwrap_or(("", ports));
    let (host, outside) = match rest.rsplit_once(':') {
        Some((host, outside)) => (Some(host), outside),
        None => (None, rest),
    };
    let outside = if outside.is_empty() {
        ensure!(host.is_some() || !ports.contains(':'), "no port of the host before the colon");
        None
    } else if outside == "0" {
        None // any that is free, so kind asks
    } else {
        Some(range(outside)?)
    };
    let host = host.filter(|host| !host.is_empty()).map(address).transpose()?;
    let inside = range(inside)?;
    if let Some(outside) = &outside {
        let (many, few) = (outside.len(), inside.len());
        ensure!(many == few, "{many} ports of the host and {few} of the container");
    }
    let wish = |(at, number): (usize, u16)| Wish {
        host,
        host_port: outside.as_ref().and_then(|ports| ports.get(at).copied()),
        port: Port { number, protocol },
    };
    Ok(inside.into_iter().enumerate().map(wish).collect())
}

/// `80`, `80-82`, with `/tcp` or `/udp` behind it.
pub(crate) fn expose(text: &str) -> Result<Vec<Port>> {
    let (ports, protocol) = protocol(text)?;
    Ok(range(ports)?.into_iter().map(|number| Port { number, protocol }).collect())
}

fn protocol(text: &str) -> Result<(&str, Protocol)> {
    let (ports, name) = text.split_once('/').unwrap_or((text, "tcp"));
    match name.to_ascii_lowercase().as_str() {
        "tcp" => Ok((ports, Protocol::Tcp)),
        "udp" => Ok((ports, Protocol::Udp)),
        "sctp" => Err(anyhow!("sctp can't be published"))
            .hint("publish tcp or udp, or reach the container by its address"),
        _ => Err(anyhow!("unknown protocol {name:?}")).hint("the protocols are tcp and udp"),
    }
}

fn address(text: &str) -> Result<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if bare.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    bare.parse().ok().with_context(|| format!("{text:?} is no address")).hint(FORMS)
}

/// One port or several, in order.
fn range(text: &str) -> Result<Vec<u16>> {
    let number = |text: &str| match text.parse::<u16>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(anyhow!("{text:?} is no port")).hint(FORMS),
    };
    let Some((first, last)) = text.split_once('-') else { return Ok(vec![number(text)?]) };
    let (first, last) = (number(first)?, number(last)?);
    ensure!(first <= last, "the range {text} is empty");
    Ok((first..=last).collect())
}

/// As `ps` shows them: ranges in one, and at the end those that are not published.
pub(crate) fn column(bound: &[Bound], exposed: &[Port]) -> String {
    let mut bound = bound.to_vec();
    bound.sort_by_key(|one| (one.host.ip(), one.port.protocol, one.host.port()));
    let mut groups: Vec<(Bound, u16)> = Vec::new();
    for one in &bound {
        match groups.last_mut() {
            Some((first, more)) if follows(first, *more, one) => *more += 1,
            _ => groups.push((*one, 0)),
        }
    }
    let span = |port: u16, more: u16| match more {
        0 => port.to_string(),
        more => format!("{port}-{}", port.saturating_add(more)),
    };
    let published = groups.iter().map(|(first, more)| {
        let (host, port) = (first.host, first.port);
        let address = match host.ip() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        let (outside, inside) = (span(host.port(), *more), span(port.number, *more));
        format!("{address}:{outside}->{inside}/{}", port.protocol)
    });
    let leads: BTreeSet<Port> = bound.iter().map(|one| one.port).collect();
    let others = exposed.iter().filter(|port| !leads.contains(port));
    published.chain(others.map(ToString::to_string)).collect::<Vec<_>>().join(", ")
}

fn follows(first: &Bound, more: u16, next: &Bound) -> bool {
    let after = |port: u16| port.checked_add(more)?.checked_add(1);
    first.host.ip() == next.host.ip()
        && first.port.protocol == next.port.protocol
        && after(first.host.port()) == Some(next.host.port())
        && after(first.port.number) == Some(next.port.number)
}

/// As `inspect` shows them: null for a port that is not published.
pub(crate) fn described(bound: &[Bound], exposed: &[Port]) -> Value {
    let mut all: Map<String, Value> =
        exposed.iter().map(|port| (port.to_string(), Value::Null)).collect();
    for one in bound {
        let host = json!({ "HostIp": one.host.ip(), "HostPort": one.host.port().to_string() });
        match all.get_mut(&one.port.to_string()).and_then(Value::as_array_mut) {
            Some(hosts) => hosts.push(host),
            None => drop(all.insert(one.port.to_string(), json!([host]))),
        }
    }
    all.into()
}

/// What was asked for, as `inspect` has it.
pub(crate) fn wished(wishes: &[Wish]) -> Value {
    let mut all: Map<String, Value> = Map::new();
    for wish in wishes {
        let host = wish.host.map(|address| address.to_string()).unwrap_or_default();
        let port = wish.host_port.map(|port| port.to_string()).unwrap_or_default();
        let hosts = all.entry(wish.port.to_string()).or_insert_with(|| json!([]));
        if let Some(hosts) = hosts.as_array_mut() {
            hosts.push(json!({ "HostIp": host, "HostPort": port }));
        }
    }
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(host: Option<&str>, host_port: Option<u16>, number: u16, protocol: Protocol) -> Wish {
        let host = host.map(|text| text.parse().unwrap());
        Wish { host, host_port, port: Port { number, protocol } }
    }

    #[test]
    fn all_forms_are_read() {
        use Protocol::{Tcp, Udp};
        for (text, want) in [
            ("80", wish(None, None, 80, Tcp)),
            ("8080:80", wish(None, Some(8080), 80, Tcp)),
            ("53:53/udp", wish(None, Some(53), 53, Udp)),
            ("127.0.0.1:8080:80", wish(Some("127.0.0.1"), Some(8080), 80, Tcp)),
            ("localhost:1:2", wish(Some("127.0.0.1"), Some(1), 2, Tcp)),
            ("127.0.0.1::80", wish(Some("127.0.0.1"), None, 80, Tcp)),
            ("[::1]:8080:80/TCP", wish(Some("::1"), Some(8080), 80, Tcp)),
            ("[::]::80", wish(Some("::"), None, 80, Tcp)),
            ("::80", wish(None, None, 80, Tcp)),
            ("127.0.0.1:0:80", wish(Some("127.0.0.1"), None, 80, Tcp)),
        ] {
            assert_eq!(publish(text).unwrap(), [want], "{text}");
        }
        let range = publish("5001-5003:80-82").unwrap();
        let pairs: Vec<_> = range.iter().map(|one| (one.host_port, one.port.number)).collect();
        assert_eq!(pairs, [(Some(5001), 80), (Some(5002), 81), (Some(5003), 82)]);
        let exposed = expose("7-8/udp").unwrap();
        assert_eq!(exposed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["7/udp", "8/udp"]);
    }

    #[test]
    fn wrong_ports_are_told() {
        for (text, want) in [
            ("", "-p : \"\" is no port"),
            (":80", "-p :80: no port of the host before the colon"),
            ("x:80", "-p x:80: \"x\" is no port"),
            ("1:0", "-p 1:0: \"0\" is no port"),
            ("1:65536", "-p 1:65536: \"65536\" is no port"),
            ("1-2:80", "-p 1-2:80: 2 ports of the host and 1 of the container"),
            ("9-3", "-p 9-3: the range 9-3 is empty"),
            ("h:1:2", "-p h:1:2: \"h\" is no address"),
            ("1:2/sctp", "-p 1:2/sctp: sctp can't be published"),
            ("1:2/x", "-p 1:2/x: unknown protocol \"x\""),
        ] {
            assert_eq!(crate::error::chain(&publish(text).unwrap_err()), want);
        }
        assert_eq!(crate::error::chain(&expose("a").unwrap_err()), "\"a\" is no port");
    }

    fn bound(host: &str, number: u16) -> Bound {
        let port = Port { number, protocol: Protocol::Tcp };
        Bound { host: host.parse().unwrap(), port }
    }

    #[test]
    fn column_joins_ranges_and_ends_with_what_is_only_exposed() {
        let all = [
            bound("0.0.0.0:5002", 81),
            bound("[::]:5001", 80),
            bound("0.0.0.0:5001", 80),
            bound("0.0.0.0:7000", 82),
        ];
        let exposed = [80, 9000].map(|number| Port { number, protocol: Protocol::Tcp });
        assert_eq!(
            column(&all, &exposed),
            "0.0.0.0:5001-5002->80-81/tcp, 0.0.0.0:7000->82/tcp, [::]:5001->80/tcp, 9000/tcp"
        );
        assert_eq!(column(&[], &[]), "");
    }

    #[test]
    fn wishes_in_dockers_shape() {
        let all = [
            wish(None, Some(8080), 80, Protocol::Tcp),
            wish(Some("::1"), Some(81), 80, Protocol::Tcp),
            wish(None, None, 9, Protocol::Udp),
        ];
        assert_eq!(
            wished(&all),
            json!({
                "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "::1", "HostPort": "81"}],
                "9/udp": [{"HostIp": "", "HostPort": ""}],
            })
        );
    }

    #[test]
    fn described_in_dockers_shape() {
        let exposed = [80, 9].map(|number| Port { number, protocol: Protocol::Tcp });
        let all = [bound("0.0.0.0:80", 80), bound("[::]:80", 80)];
        assert_eq!(
            described(&all, &exposed),
            json!({
                "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}, {"HostIp": "::", "HostPort": "80"}],
                "9/tcp": null,
            })
        );
    }
}
