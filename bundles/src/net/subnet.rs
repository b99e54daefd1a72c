//! Ranges of addresses, of both families: `172.18.0.0/16`, `fd00:1::/64`.
//!
//! Runs in: anywhere. Touches nothing.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The first address, with no bit behind the prefix, and the length of the prefix in bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Subnet {
    base: IpAddr,
    prefix: u8,
}

impl Subnet {
    /// That which the address is in.
    pub(crate) fn around(address: IpAddr, prefix: u8) -> Self {
        let prefix = prefix.min(width(address));
        let number = number(address) & !host_bits(address, prefix);
        Self { base: address_of(number, address), prefix }
    }

    pub(crate) fn v4(a: u8, b: u8, c: u8, prefix: u8) -> Self {
        Self::around(Ipv4Addr::new(a, b, c, 0).into(), prefix)
    }

    pub(crate) fn prefix(self) -> u8 {
        self.prefix
    }

    pub(crate) fn is_v6(self) -> bool {
        self.base.is_ipv6()
    }

    /// The address of the subnet itself, which no host has.
    pub(crate) fn first(self) -> IpAddr {
        self.base
    }

    /// In IPv4 the broadcast address.
    pub(crate) fn last(self) -> IpAddr {
        address_of(number(self.base) | host_bits(self.base, self.prefix), self.base)
    }

    pub(crate) fn contains(self, address: IpAddr) -> bool {
        address.is_ipv6() == self.is_v6()
            && (number(self.base)..=number(self.last())).contains(&number(address))
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.contains(other.base) || other.contains(self.base)
    }

    /// All addresses, the first and the last included.
    pub(crate) fn addresses(self) -> impl Iterator<Item = IpAddr> {
        (number(self.base)..=number(self.last())).map(move |one| address_of(one, self.base))
    }
}

fn width(like: IpAddr) -> u8 {
    if like.is_ipv6() { 128 } else { 32 }
}

fn host_bits(like: IpAddr, prefix: u8) -> u128 {
    let bits = u32::from(width(like) - prefix);
    1_u128.checked_shl(bits).map_or(u128::MAX, |one| one - 1)
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn address_of(number: u128, like: IpAddr) -> IpAddr {
    if like.is_ipv6() {
        return Ipv6Addr::from(number).into();
    }
    Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into()
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(address, prefix)| {
            Some((address.parse::<IpAddr>().ok()?, prefix.parse::<u8>().ok()?))
        });
        let (address, prefix) =
            parts.ok_or_else(|| format!("{text:?} is no subnet, as 172.30.0.0/16 would be"))?;
        if prefix > width(address) {
            return Err(format!("{text:?}: a prefix has {} bits at most", width(address)));
        }
        let subnet = Self::around(address, prefix);
        if subnet.base == address {
            Ok(subnet)
        } else {
            Err(format!("{text:?} is an address in a subnet; the subnet is {subnet}"))
        }
    }
}

impl TryFrom<String> for Subnet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn text_is_read_and_written() {
        for text in ["172.18.0.0/16", "10.0.0.4/30", "0.0.0.0/0", "fd00:1::/64", "::/0"] {
            assert_eq!(subnet(text).to_string(), text);
        }
    }

    #[test]
    fn wrong_texts_say_what_is_wrong() {
        for (text, want) in [
            ("172.18.0.0", "\"172.18.0.0\" is no subnet, as 172.30.0.0/16 would be"),
            ("172.18.0.0/x", "\"172.18.0.0/x\" is no subnet, as 172.30.0.0/16 would be"),
            ("172.18.0.0/33", "\"172.18.0.0/33\": a prefix has 32 bits at most"),
            (
                "172.18.0.9/16",
                "\"172.18.0.9/16\" is an address in a subnet; the subnet is 172.18.0.0/16",
            ),
        ] {
            assert_eq!(text.parse::<Subnet>(), Err(want.to_owned()));
        }
    }

    #[test]
    fn ends_are_inside_and_neighbours_outside() {
        let it = subnet("10.1.0.0/22");
        assert_eq!(it.last().to_string(), "10.1.3.255");
        assert!(it.contains(it.first()) && it.contains(it.last()));
        assert!(!it.contains("10.1.4.0".parse().unwrap()));
        assert!(!it.contains("::".parse().unwrap()));
        assert_eq!(subnet("fd00::/64").last().to_string(), "fd00::ffff:ffff:ffff:ffff");
    }

    #[test]
    fn overlap_is_seen_from_both_sides() {
        let (large, small) = (subnet("10.0.0.0/8"), subnet("10.9.0.0/16"));
        assert!(large.overlaps(small) && small.overlaps(large));
        assert!(!small.overlaps(subnet("10.10.0.0/16")));
        assert!(!subnet("0.0.0.0/0").overlaps(subnet("::/0")));
    }
}
