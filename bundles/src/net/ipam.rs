//! Which subnets networks get, and which addresses containers.
//!
//! Runs in: anywhere. Touches nothing: what is in use is given.

use super::subnet::Subnet;
use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

/// The addresses of one family of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pool {
    pub(crate) subnet: Subnet,
    pub(crate) gateway: IpAddr,
    /// What containers get theirs from when they ask for none; all when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) range: Option<Subnet>,
}

/// A subnet that is taken, and by what.
#[derive(Debug, Clone)]
pub(crate) struct Used {
    pub(crate) subnet: Subnet,
    pub(crate) by: String,
}

/// 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/20 and so on: those of Docker.
fn usual() -> impl Iterator<Item = Subnet> {
    let large = (17..=31).map(|second| Subnet::v4(172, second, 0, 16));
    large.chain((0..=15).map(|third| Subnet::v4(192, 168, third * 16, 20)))
}

/// The first of the usual ones that nobody has.
pub(crate) fn choose(used: &[Used]) -> Result<Subnet> {
    usual()
        .find(|subnet| conflict(*subnet, used).is_none())
        .context("all of the subnets 172.17.0.0/16 to 172.31.0.0/16 and 192.168.0.0/16 are in use")
        .hint("choose one with --subnet, or remove networks with `bundles network prune`")
}

/// What a subnet would collide with.
pub(crate) fn conflict(subnet: Subnet, used: &[Used]) -> Option<&Used> {
    used.iter().find(|other| other.subnet.overlaps(subnet))
}

/// A local IPv6 subnet which no other site has by chance (RFC 4193, section 3.2).
pub(crate) fn local_v6(random: [u8; 5]) -> Subnet {
    let [a, b, c, d, e] = random;
    let base = Ipv6Addr::from([0xfd, a, b, c, d, e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    Subnet::around(base.into(), 64)
}

impl Pool {
    /// Checks what was asked for; the gateway is the first address when none was.
    pub(crate) fn new(
        subnet: Subnet,
        gateway: Option<IpAddr>,
        range: Option<Subnet>,
    ) -> Result<Self> {
        if subnet.addresses().take(4).count() < 4 {
            return Err(anyhow!("subnet {subnet}: no room for a gateway and a container"))
                .hint("choose a shorter prefix, /30 at most");
        }
        let start = range.unwrap_or(subnet);
        if !(subnet.contains(start.first()) && subnet.contains(start.last())) {
            return Err(anyhow!("--ip-range {start}: not inside of the subnet {subnet}"))
                .hint("choose a part of the subnet");
        }
        let gateway = match gateway {
            Some(gateway) => gateway,
            None => subnet.addresses().nth(1).context("internal error, please report: no room")?,
        };
        let pool = Self { subnet, gateway, range };
        if !subnet.contains(gateway) || pool.is_of_subnet(gateway) {
            return Err(anyhow!("--gateway {gateway}: not a host's address of {subnet}"))
                .hint("choose an address inside of the subnet");
        }
        Ok(pool)
    }

    /// The address of the subnet, or that for all of its hosts.
    fn is_of_subnet(&self, address: IpAddr) -> bool {
        address == self.subnet.first() || (!self.subnet.is_v6() && address == self.subnet.last())
    }

    /// The lowest address which nobody has, or the one that is wanted.
    pub(crate) fn lease(&self, wanted: Option<IpAddr>, taken: &BTreeSet<IpAddr>) -> Result<IpAddr> {
        let Some(wanted) = wanted else {
            let usable = |address: &IpAddr| {
                *address != self.gateway && !self.is_of_subnet(*address) && !taken.contains(address)
            };
            let range = self.range.unwrap_or(self.subnet);
            return range
                .addresses()
                .find(usable)
                .with_context(|| format!("all addresses of {range} are in use"))
                .hint("remove containers, or make a network with a larger --subnet");
        };
        if self.is_of_subnet(wanted) || !self.subnet.contains(wanted) {
            bail!("address {wanted}: not a host's address of {}", self.subnet);
        }
        if wanted == self.gateway {
            bail!("address {wanted}: is the gateway");
        }
        if taken.contains(&wanted) {
            bail!("address {wanted}: already in use");
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::chain;

    fn pool(subnet: &str, range: Option<&str>) -> Pool {
        Pool::new(subnet.parse().unwrap(), None, range.map(|range| range.parse().unwrap())).unwrap()
    }

    fn used(subnet: &str) -> Used {
        Used { subnet: subnet.parse().unwrap(), by: "test".to_owned() }
    }

    #[test]
    fn first_subnets_are_those_of_docker() {
        let mut taken = vec![];
        for want in ["172.17.0.0/16", "172.18.0.0/16", "172.19.0.0/16"] {
            let subnet = choose(&taken).unwrap();
            assert_eq!(subnet.to_string(), want);
            taken.push(used(want));
        }
        taken.push(used("172.16.0.0/12"));
        assert_eq!(choose(&taken).unwrap().to_string(), "192.168.0.0/20");
        taken.push(used("192.168.7.0/24"));
        assert_eq!(choose(&taken).unwrap().to_string(), "192.168.16.0/20");
        taken.push(used("192.168.0.0/16"));
        let err = choose(&taken).unwrap_err();
        assert!(chain(&err).contains("are in use"), "{err:#}");
    }

    #[test]
    fn lowest_free_address_is_leased() {
        let pool = pool("10.0.0.0/29", None);
        assert_eq!(pool.gateway.to_string(), "10.0.0.1");
        let mut taken = BTreeSet::new();
        let mut leased = vec![];
        while let Ok(address) = pool.lease(None, &taken) {
            taken.insert(address);
            leased.push(address.to_string());
        }
        assert_eq!(leased, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
        taken.remove(&"10.0.0.4".parse().unwrap());
        assert_eq!(pool.lease(None, &taken).unwrap().to_string(), "10.0.0.4");
    }

    #[test]
    fn range_bounds_what_is_given_and_not_what_is_wanted() {
        let pool = pool("10.0.0.0/24", Some("10.0.0.128/25"));
        let none = BTreeSet::new();
        assert_eq!(pool.lease(None, &none).unwrap().to_string(), "10.0.0.128");
        let wanted = "10.0.0.5".parse().unwrap();
        assert_eq!(pool.lease(Some(wanted), &none).unwrap(), wanted);
    }

    #[test]
    fn wanted_address_has_to_be_free() {
        let pool = pool("10.0.0.0/24", None);
        let taken = BTreeSet::from(["10.0.0.7".parse().unwrap()]);
        for (wanted, want) in [
            ("10.0.0.0", "address 10.0.0.0: not a host's address of 10.0.0.0/24"),
            ("10.0.0.255", "address 10.0.0.255: not a host's address of 10.0.0.0/24"),
            ("10.0.1.2", "address 10.0.1.2: not a host's address of 10.0.0.0/24"),
            ("10.0.0.1", "address 10.0.0.1: is the gateway"),
            ("10.0.0.7", "address 10.0.0.7: already in use"),
        ] {
            let err = pool.lease(Some(wanted.parse().unwrap()), &taken).unwrap_err();
            assert_eq!(chain(&err), want);
        }
    }

    #[test]
    fn pools_that_cannot_work_are_refused() {
        let new = |subnet: &str, gateway: Option<&str>, range: Option<&str>| {
            let gateway = gateway.map(|gateway| gateway.parse().unwrap());
            let range = range.map(|range| range.parse().unwrap());
            chain(&Pool::new(subnet.parse().unwrap(), gateway, range).unwrap_err())
        };
        assert_eq!(
            new("10.0.0.0/31", None, None),
            "subnet 10.0.0.0/31: no room for a gateway and a container"
        );
        assert_eq!(
            new("10.0.0.0/24", Some("10.0.0.255"), None),
            "--gateway 10.0.0.255: not a host's address of 10.0.0.0/24"
        );
        assert_eq!(
            new("10.0.0.0/24", None, Some("10.0.0.0/16")),
            "--ip-range 10.0.0.0/16: not inside of the subnet 10.0.0.0/24"
        );
    }

    #[test]
    fn ipv6_is_leased_behind_the_gateway() {
        let subnet = local_v6([1, 2, 3, 4, 5]);
        assert_eq!(subnet.to_string(), "fd01:203:405::/64");
        let pool = Pool::new(subnet, None, None).unwrap();
        assert_eq!(pool.lease(None, &BTreeSet::new()).unwrap().to_string(), "fd01:203:405::2");
    }
}
