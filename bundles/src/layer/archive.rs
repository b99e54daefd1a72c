//! Reads a tar stream entry by entry: ustar, GNU and PAX headers, whatever their writer.
//!
//! Runs in: an ordinary process of the user. Privilege: none; it only reads.
//!
//! The iterator of the crate `tar` reads an extended header of any announced size into memory, and
//! splits PAX records at newlines. Here the crate decodes single headers.

use super::{pax, sparse};
use anyhow::{Context as _, Result, bail, ensure};
use std::ffi::OsString;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use tar::Header;

pub(super) const BLOCK: usize = 512;

/// Longest extended headers of an entry in bytes: a path of `PATH_MAX` and some large xattrs (64 KiB
/// each). Those for all entries that follow may be as long together.
const LONGEST_HEADER: u64 = 1024 * 1024;

/// Most PAX records for all entries that follow; each entry is looked up in them.
const MOST_GLOBAL: usize = 1_000;

/// `PATH_MAX` of the kernel in bytes, with the zero at its end.
const LONGEST_NAME: usize = 4096;

/// What an entry is. Sizes are those of the data which follows in the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Sparse { pieces: Vec<Piece>, length: u64 },
    HardLink(PathBuf),
    Symlink(PathBuf),
    Character { major: u32, minor: u32 },
    Block { major: u32, minor: u32 },
    Directory,
    Fifo,
}

/// Data of a sparse file, in bytes.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
    /// Of the data in the stream, in bytes.
    pub(crate) size: u64,
    /// Permissions with setuid, setgid and sticky bit.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Time,
    pub(crate) xattrs: Vec<Record>,
}

/// A key and its value, which may be binary.
pub(super) type Record = (String, Vec<u8>);

/// Since 1970; the nanoseconds count forward.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
}

/// The data of an entry is read from it directly, after [`Archive::next`].
pub(crate) struct Archive<R> {
    input: R,
    /// Bytes of data of the current entry not read yet.
    left: u64,
    /// Zeros behind them.
    padding: u64,
    /// PAX records for all entries that follow.
    global: Vec<Record>,
}

/// What extended headers say about the next entry.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Vec<Record>,
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0, global: Vec::new() }
    }

    /// `None` at the end marker, or where the stream ends between two entries.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        let mut extended = Extended::default();
        let mut room = LONGEST_HEADER;
        loop {
            self.skip()?;
            let Some(header) = self.header()? else { return Ok(None) };
            match header.as_bytes().get(156) {
                Some(b'x') => {
                    let content = self.extended(&header, &mut room)?;
                    extended.records.extend(pax::records(&content)?);
                }
                Some(b'g') => {
                    let content = self.extended(&header, &mut room)?;
                    self.remember(pax::records(&content)?)?;
                }
                Some(b'L') => {
                    extended.path = Some(until_zero(self.extended(&header, &mut room)?));
                }
                Some(b'K') => {
                    extended.link = Some(until_zero(self.extended(&header, &mut room)?));
                }
                Some(_) | None => return self.entry(&header, extended).map(Some),
            }
            ensure!(extended.records.len() < 10_000, "more than 10000 records in PAX headers");
        }
    }

    /// The last one of a key counts.
    fn remember(&mut self, records: Vec<Record>) -> Result<()> {
        for record in records {
            self.global.retain(|(key, _)| *key != record.0);
            self.global.push(record);
            let count = self.global.len();
            ensure!(count <= MOST_GLOBAL, "more than {MOST_GLOBAL} records in global PAX headers");
        }
        let bytes: usize = self.global.iter().map(|(key, value)| key.len() + value.len()).sum();
        ensure!(bytes as u64 <= LONGEST_HEADER, "global PAX headers of more than 1 MiB");
        Ok(())
    }

    fn skip(&mut self) -> Result<()> {
        let rest = self.left + self.padding;
        let skipped = io::copy(&mut (&mut self.input).take(rest), &mut io::sink())?;
        ensure!(skipped == rest, "the archive is cut off");
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => bail!("the archive is cut off"),
                Ok(count) => filled += count,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err.into()),
            }
        }
        Ok(Some(block))
    }

    fn header(&mut self) -> Result<Option<Header>> {
        let Some(block) = self.block()?.filter(|block| block.iter().any(|byte| *byte != 0)) else {
            return Ok(None);
        };
        let header = Header::from_byte_slice(&block).clone();
        let sum = |field: bool, byte: u8| if field { u32::from(b' ') } else { u32::from(byte) };
        let actual: u32 =
            block.iter().enumerate().map(|(at, byte)| sum((148..156).contains(&at), *byte)).sum();
        ensure!(
            header.cksum().ok() == Some(actual),
            "no tar archive: a header's checksum is wrong"
        );
        Ok(Some(header))
    }

    /// The content of an extended header, for which there is so much room.
    fn extended(&mut self, header: &Header, room: &mut u64) -> Result<Vec<u8>> {
        let size = header.entry_size()?;
        ensure!(size <= LONGEST_HEADER, "an extended header of {size} bytes, more than 1 MiB");
        let left = room.checked_sub(size);
        *room = left.context("an entry whose extended headers have more than 1 MiB")?;
        self.announce(size);
        let mut content = Vec::new();
        self.read_to_end(&mut content)?;
        ensure!(content.len() as u64 == size, "the archive is cut off");
        Ok(content)
    }

    fn announce(&mut self, size: u64) {
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
    }

    fn entry(&mut self, header: &Header, extended: Extended) -> Result<Entry> {
        let global = std::mem::take(&mut self.global);
        let records: Vec<&Record> = global.iter().chain(&extended.records).collect();
        let entry = self.decoded(header, &records, (extended.path, extended.link))?;
        self.global = global;
        Ok(entry)
    }

    fn decoded(
        &mut self,
        header: &Header,
        records: &[&Record],
        (long_path, long_link): (Option<Vec<u8>>, Option<Vec<u8>>),
    ) -> Result<Entry> {
        let last = |key: &str| {
            records.iter().rev().find(|record| record.0 == key).map(|record| record.1.as_slice())
        };
        let number = |key: &str, other: io::Result<u64>| match last(key) {
            Some(text) => decimal(text).with_context(|| format!("PAX record {key}: no number")),
            None => Ok(other?),
        };
        let path = last("GNU.sparse.name").or(last("path")).map(<[u8]>::to_vec);
        let path = path.or(long_path).unwrap_or_else(|| header.path_bytes().into_owned());
        ensure!(!path.contains(&0), "a name with a zero byte");
        ensure!(path.len() < LONGEST_NAME, "a name of more than {} bytes", LONGEST_NAME - 1);
        let path = PathBuf::from(OsString::from_vec(path));
        let (uid, gid) = (
            number("uid", or_empty(header, 108..116, header.uid()))?,
            number("gid", or_empty(header, 116..124, header.gid()))?,
        );
        let id = |id: u64| u32::try_from(id).ok().filter(|id| *id != u32::MAX);
        let mtime = match last("mtime") {
            Some(text) => time(text).context("PAX record mtime: no time")?,
            None => Time {
                seconds: or_empty(header, 136..148, header.mtime())?.cast_signed(),
                nanoseconds: 0,
            },
        };
        let mut size = number("size", or_empty(header, 124..136, header.entry_size()))?;
        // Room for the arithmetic of blocks.
        ensure!(size < u64::MAX / 4, "{}: an impossible size", path.display());
        let link = last("linkpath").map(<[u8]>::to_vec).or(long_link);
        let link = link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let mut kind = kind(header, &path, link)?;
        // POSIX: the size of other kinds says nothing; only a hard link of pax(1) has data.
        if !matches!(kind, Kind::File | Kind::HardLink(_)) {
            size = 0;
        }
        if header.as_bytes().get(156) == Some(&b'S') {
            let pieces = sparse::of_gnu(header, || self.block())?;
            let length = header.as_gnu().context("sparse, but not of GNU")?.real_size()?;
            kind = sparse::checked(pieces, length, size)?;
            self.announce(size);
        } else {
            self.announce(size);
            let map = if kind == Kind::File { sparse::of_pax(records, self)? } else { None };
            if let Some(found) = map {
                kind = sparse::checked(found.pieces, found.length, self.left)?;
                size = self.left;
            }
        }
        let xattrs = records.iter().filter_map(|&(key, value)| {
            key.strip_prefix("SCHILY.xattr.").map(|name| (name.to_owned(), value.clone()))
        });
        Ok(Entry {
            kind,
            size,
            mode: or_empty(header, 100..108, header.mode())? & 0o7777,
            uid: id(uid).with_context(|| format!("{}: user {uid}", path.display()))?,
            gid: id(gid).with_context(|| format!("{}: group {gid}", path.display()))?,
            mtime,
            xattrs: xattrs.collect(),
            path,
        })
    }
}

/// The data of the current entry.
impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&mut self.input).take(self.left).read(buffer)?;
        self.left -= count as u64;
        Ok(count)
    }
}

fn kind(header: &Header, path: &Path, link: Option<Vec<u8>>) -> Result<Kind> {
    let target = || {
        let link = link.filter(|link| !link.is_empty() && !link.contains(&0));
        let link = link.with_context(|| format!("{}: a link to nothing", path.display()))?;
        ensure!(link.len() < LONGEST_NAME, "{}: a link to a name too long", path.display());
        Ok(PathBuf::from(OsString::from_vec(link)))
    };
    // The oldest format has no fields for it.
    let device = || -> io::Result<(u32, u32)> {
        let major = or_empty(header, 329..337, header.device_major())?;
        let minor = or_empty(header, 337..345, header.device_minor())?;
        Ok((major.unwrap_or(0), minor.unwrap_or(0)))
    };
    Ok(match header.as_bytes().get(156).copied().unwrap_or_default() {
        // Of the time before directories had a letter.
        0 | b'0' | b'7' if path.as_os_str().as_encoded_bytes().ends_with(b"/") => Kind::Directory,
        // A sparse one is told apart later.
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink(target()?),
        b'2' => Kind::Symlink(target()?),
        b'3' => device().map(|(major, minor)| Kind::Character { major, minor })?,
        b'4' => device().map(|(major, minor)| Kind::Block { major, minor })?,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        letter => bail!("{}: entry of unknown kind {:?}", path.display(), char::from(letter)),
    })
}

/// Some writers leave fields empty that are 0.
fn or_empty<T: Default>(
    header: &Header,
    field: Range<usize>,
    decoded: io::Result<T>,
) -> io::Result<T> {
    let field = header.as_bytes().get(field).unwrap_or_default();
    if field.iter().all(|byte| matches!(byte, 0 | b' ')) { Ok(T::default()) } else { decoded }
}

fn until_zero(mut text: Vec<u8>) -> Vec<u8> {
    text.truncate(text.iter().position(|byte| *byte == 0).unwrap_or(text.len()));
    text
}

pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)?.parse().ok()
}

/// Seconds with a fraction, maybe negative.
fn time(text: &[u8]) -> Option<Time> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanoseconds = u32::try_from(decimal(digits.as_bytes())?).ok()?;
    let seconds: i64 = whole.parse().ok()?;
    Some(if whole.starts_with('-') && nanoseconds > 0 {
        Time { seconds: seconds.checked_sub(1)?, nanoseconds: 1_000_000_000 - nanoseconds }
    } else {
        Time { seconds, nanoseconds }
    })
}

#[cfg(test)]
mod tests;
