//! Networks of containers: who is on which, with which addresses, and what the kernel is told.
//!
//! Runs in: an ordinary process, under the lock `networks`. Privilege: none for the records;
//! `CAP_NET_ADMIN` and `CAP_SYS_ADMIN` to bring a container onto one, which an ordinary user has in
//! the namespaces of [`holder`].

pub(crate) mod attach;
pub(crate) mod create;
pub(crate) mod detach;
pub(crate) mod enter;
pub(crate) mod holder;
pub(crate) mod hosts;
pub(crate) mod ipam;
pub(crate) mod mac;
pub(crate) mod netlink;
pub(crate) mod record;
mod rules;
pub(crate) mod subnet;
pub(crate) mod trial;
pub(crate) mod uplink;
