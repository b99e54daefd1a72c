//! Layers: from the bytes of an archive to a directory, and back.

mod ahead;
mod apply;
pub(crate) mod archive;
pub(crate) mod attributes;
mod behind;
mod header;
mod pack;
mod pax;
mod place;
mod sparse;
mod unpack;
mod write;

pub(crate) use apply::Limits;
pub(crate) use header::Head;
pub(crate) use pack::{Packed, pack, repack};
pub(crate) use place::{Rules, place};
pub(crate) use unpack::{Compression, Unpacked, digests, extract, inflate, is_archive, unpack};
pub(crate) use write::{What, directory, is_opaque, is_whiteout, write, write_as};
