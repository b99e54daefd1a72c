//! Files with holes: where their pieces are, as GNU tar has written it in four ways over time.
//!
//! Runs in: an ordinary process of the user. Privilege: none; it only reads.

use super::archive::{BLOCK, Kind, Piece, Record, decimal};
use anyhow::{Context as _, Result, ensure};
use std::io::Read;
use tar::{GnuExtSparseHeader, Header};

/// Most pieces that one file may have; a map of that size takes 16 MB.
const MOST: usize = 1_000_000;

pub(super) struct Map {
    pub(super) pieces: Vec<Piece>,
    pub(super) length: u64,
}

/// The old format: in the header itself, and in blocks behind it, which `size` does not count.
pub(super) fn of_gnu(
    header: &Header,
    mut next: impl FnMut() -> Result<Option<[u8; BLOCK]>>,
) -> Result<Vec<Piece>> {
    let header = header.as_gnu().context("sparse, but not of GNU")?;
    let mut pieces = Vec::new();
    let mut add = |found: &[tar::GnuSparseHeader]| -> Result<()> {
        for piece in found.iter().filter(|piece| !piece.is_empty()) {
            pieces.push(Piece { offset: piece.offset()?, length: piece.length()? });
        }
        ensure!(pieces.len() < MOST, "a sparse file of more than {MOST} pieces");
        Ok(())
    };
    add(&header.sparse)?;
    let mut more = header.is_extended();
    while more {
        let block = next()?.context("the archive is cut off")?;
        let mut extension = GnuExtSparseHeader::new();
        extension.as_mut_bytes().copy_from_slice(&block);
        add(extension.sparse())?;
        more = extension.is_extended();
    }
    Ok(pieces)
}

/// The formats 0.0 and 0.1, in PAX records, and 1.0, at the beginning of the data.
pub(super) fn of_pax(records: &[&Record], data: &mut impl Read) -> Result<Option<Map>> {
    let all = |key: &str| {
        let found: Option<Vec<u64>> = records
            .iter()
            .filter(|record| record.0 == key)
            .map(|record| decimal(&record.1))
            .collect();
        found.with_context(|| format!("PAX record {key}: no number"))
    };
    let map = records.iter().rev().find(|record| record.0 == "GNU.sparse.map");
    let numbers = if all("GNU.sparse.major")?.last() == Some(&1) {
        leading_numbers(data)?
    } else if let Some((_, map)) = map {
        let numbers: Option<Vec<u64>> = map.split(|byte| *byte == b',').map(decimal).collect();
        numbers.context("PAX record GNU.sparse.map: no numbers")?
    } else {
        let (offsets, lengths) = (all("GNU.sparse.offset")?, all("GNU.sparse.numbytes")?);
        if offsets.is_empty() {
            return Ok(None);
        }
        offsets.into_iter().zip(lengths).flat_map(|(offset, length)| [offset, length]).collect()
    };
    let length = all("GNU.sparse.realsize")?.last().copied();
    let length = length.or(all("GNU.sparse.size")?.last().copied());
    let pieces = numbers.chunks_exact(2).filter_map(|pair| match pair {
        [offset, length] => Some(Piece { offset: *offset, length: *length }),
        _ => None,
    });
    Ok(Some(Map {
        pieces: pieces.collect(),
        length: length.context("a sparse file without its length")?,
    }))
}

/// The count of pieces, then their numbers, a line each, filled up to whole blocks.
fn leading_numbers(data: &mut impl Read) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    let mut wanted = None;
    let mut text = Vec::new();
    while wanted != Some(numbers.len()) {
        let mut block = [0; BLOCK];
        data.read_exact(&mut block).context("map of a sparse file")?;
        for byte in block {
            if byte != b'\n' {
                text.push(byte);
                continue;
            }
            if wanted == Some(numbers.len()) {
                break;
            }
            let number = decimal(&text).context("map of a sparse file: no number")?;
            text.clear();
            if wanted.is_some() {
                numbers.push(number);
            } else {
                let count = usize::try_from(number).ok().filter(|count| *count < MOST);
                wanted = Some(
                    2 * count
                        .with_context(|| format!("a sparse file of more than {MOST} pieces"))?,
                );
            }
        }
        ensure!(text.len() <= 2 * BLOCK, "map of a sparse file: no number");
        if wanted == Some(numbers.len()) {
            break;
        }
    }
    Ok(numbers)
}

/// In order, inside the file, and as long together as the data in the archive.
pub(super) fn checked(pieces: Vec<Piece>, length: u64, size: u64) -> Result<Kind> {
    let mut end = 0;
    let mut sum = 0_u64;
    for piece in &pieces {
        ensure!(piece.offset >= end, "a sparse file whose pieces overlap");
        end = piece.offset.checked_add(piece.length).context("a sparse file of impossible size")?;
        sum = sum.saturating_add(piece.length);
    }
    ensure!(
        end <= length && sum == size && i64::try_from(length).is_ok(),
        "a sparse file whose pieces do not fit: {size} bytes of data, {sum} in the map"
    );
    Ok(Kind::Sparse { pieces, length })
}
