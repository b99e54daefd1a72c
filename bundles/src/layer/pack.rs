//! One pass over a directory or an archive: its digest, gzip.
//!
//! Runs in: an ordinary process of the user, or root of a user namespace.

use super::behind::behind;
use super::unpack::inflate;
use super::write::{What, Written, write};
use crate::digest::{Digest, Hashing};
use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;

/// That of gzip(1) and of Docker. The header has neither name nor time.
const LEVEL: u32 = 6;

/// What came of a directory.
#[derive(Debug)]
pub(crate) struct Packed<W> {
    /// Where the compressed archive went.
    pub(crate) blob: W,
    /// Of the archive inside.
    pub(crate) diff_id: Digest,
    pub(crate) written: Written,
}

/// Two threads: this one reads the files and hashes the archive, another one compresses.
pub(crate) fn pack<W: Write + Send>(
    directory: BorrowedFd<'_>,
    blob: W,
    what: What,
    latest: Option<i64>,
) -> Result<Packed<W>> {
    let encoder = GzEncoder::new(blob, Compression::new(LEVEL));
    let ((written, diff_id), encoder) = behind(encoder, |out| {
        let mut archive = Hashing::new(out);
        let written = write(directory, &mut archive, what, latest)?;
        Ok((written, archive.finish().0))
    })?;
    let blob = encoder.finish().context("gzip")?;
    Ok(Packed { blob, diff_id, written })
}

/// The same for an archive that is there, and may be compressed in another way. Returns where it
/// went, and the digest of the archive inside.
pub(crate) fn repack<W: Write + Send>(input: impl Read, blob: W) -> Result<(W, Digest)> {
    let encoder = GzEncoder::new(blob, Compression::new(LEVEL));
    let (_, inflated) = inflate(input)?;
    let mut archive = Hashing::new(inflated);
    let (_, encoder) = behind(encoder, |out| Ok(io::copy(&mut archive, out)?))?;
    Ok((encoder.finish().context("gzip")?, archive.finish().0))
}
