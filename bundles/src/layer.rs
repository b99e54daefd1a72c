//! Layers: from the bytes of an archive to a directory.

mod ahead;
mod apply;
pub(crate) mod archive;
pub(crate) mod attributes;
mod pax;
mod sparse;
mod unpack;

pub(crate) use apply::Limits;
pub(crate) use unpack::{Compression, Unpacked, digests, inflate, unpack};
