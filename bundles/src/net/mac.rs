//! Hardware addresses.
//!
//! Runs in: anywhere; touches nothing.

use super::record::Lease;
use anyhow::{Context as _, Result};
use std::net::IpAddr;

pub(crate) type Mac = [u8; 6];

/// 02:42 and the IPv4 address: the same again for the next who gets that, and caches stay true.
pub(super) fn for_leases(leases: &[Lease], id: &[u8; 32]) -> Mac {
    let four = leases.iter().find_map(|lease| match lease.address {
        IpAddr::V4(address) => Some(address.octets()),
        IpAddr::V6(_) => None,
    });
    let [a, b, c, d] = four.unwrap_or([id[6], id[7], id[8], id[9]]);
    [0x02, 0x42, a, b, c, d]
}

pub(super) fn show(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

pub(super) fn read(text: &str) -> Result<Mac> {
    let bytes: Option<Vec<u8>> =
        text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    let mac = bytes.and_then(|bytes| Mac::try_from(bytes).ok());
    mac.with_context(|| format!("{text:?} is no hardware address"))
}

/// From the command line: of one host, not of a group.
pub(crate) fn parse(text: &str) -> Result<Mac, String> {
    let mac = read(text).map_err(|err| format!("{err}, as 02:42:ac:12:00:05 would be"))?;
    let [first, ..] = mac;
    if first & 1 == 1 { Err(format!("{text:?} is the address of a group")) } else { Ok(mac) }
}
