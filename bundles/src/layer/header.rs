//! Headers of a tar stream: ustar, and a PAX header before it for what ustar has no room for.
//!
//! Runs in: an ordinary process of the user. Touches nothing. See pax(1), "ustar Interchange
//! Format" and "pax Extended Header". Names of users and groups are left empty: they would be those
//! of the machine on which the archive is made.

use super::archive::{BLOCK, Record};
use anyhow::{Context as _, Result};
use tar::{EntryType, Header};

/// Numbers above these have no room in octal digits: of eight and of twelve bytes, with a zero.
const MOST_ID: u32 = 0o7_777_777;
const MOST: u64 = 0o77_777_777_777;

/// Longest name in a header without a prefix, in bytes.
const NAME: usize = 100;

/// What stands before the data of an entry.
pub(crate) struct Head<'a> {
    pub(crate) kind: EntryType,
    /// Of a directory with a slash at its end.
    pub(crate) path: &'a [u8],
    /// What a symlink or a hard link names.
    pub(crate) link: &'a [u8],
    /// Permissions with setuid, setgid and sticky bit.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// In seconds since 1970.
    pub(crate) mtime: i64,
    /// Of the data that follows, in bytes.
    pub(crate) size: u64,
    /// Major and minor number of a device.
    pub(crate) device: (u32, u32),
    pub(crate) xattrs: &'a [Record],
}

impl<'a> Head<'a> {
    /// Root's, of the beginning of 1970.
    pub(crate) fn plain(path: &'a [u8], kind: EntryType, mode: u32) -> Self {
        let (uid, gid, mtime, size, device) = (0, 0, 0, 0, (0, 0));
        Self { kind, path, link: b"", mode, uid, gid, mtime, size, device, xattrs: &[] }
    }

    /// Whole blocks.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        let mut header = self.ustar()?;
        let mut records = Vec::new();
        if !is_plain(self.path) || !fits_path(&mut header, self.path) {
            record(&mut records, "path", self.path);
        }
        if !is_plain(self.link) || self.link.len() > NAME {
            record(&mut records, "linkpath", self.link);
        }
        for (key, id) in [("uid", self.uid), ("gid", self.gid)] {
            if id > MOST_ID {
                record(&mut records, key, id.to_string().as_bytes());
            }
        }
        if self.size > MOST {
            record(&mut records, "size", self.size.to_string().as_bytes());
        }
        if !u64::try_from(self.mtime).is_ok_and(|mtime| mtime <= MOST) {
            record(&mut records, "mtime", self.mtime.to_string().as_bytes());
        }
        for (name, value) in self.xattrs {
            record(&mut records, &format!("SCHILY.xattr.{name}"), value);
        }
        header.set_cksum();
        let mut bytes = Vec::new();
        if !records.is_empty() {
            bytes.extend_from_slice(extended(records.len() as u64).as_bytes());
            bytes.extend_from_slice(&records);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.extend_from_slice(header.as_bytes());
        Ok(bytes)
    }

    /// What has no room in it is cut, or 0.
    fn ustar(&self) -> Result<Header> {
        let mut header = Header::new_ustar();
        header.set_entry_type(self.kind);
        header.set_mode(self.mode);
        header.set_uid(if self.uid > MOST_ID { 0 } else { self.uid.into() });
        header.set_gid(if self.gid > MOST_ID { 0 } else { self.gid.into() });
        header.set_mtime(u64::try_from(self.mtime).ok().filter(|time| *time <= MOST).unwrap_or(0));
        header.set_size(if self.size > MOST { 0 } else { self.size });
        header.set_device_major(self.device.0)?;
        header.set_device_minor(self.device.1)?;
        let ustar = header.as_ustar_mut().context("internal error, please report: no ustar")?;
        copy(&mut ustar.name, &shown(self.path));
        copy(&mut ustar.linkname, &shown(self.link));
        Ok(header)
    }
}

/// The whole path, in two fields if one is too short.
fn fits_path(header: &mut Header, path: &[u8]) -> bool {
    if path.len() <= NAME {
        return true;
    }
    let Some(ustar) = header.as_ustar_mut() else { return false };
    // The slash between them stands in neither; the first that leaves a short enough name.
    let from = path.len().saturating_sub(NAME + 1);
    let Some(at) = path.iter().skip(from).position(|byte| *byte == b'/').map(|at| from + at) else {
        return false;
    };
    let (Some(prefix), Some(name)) = (path.get(..at), path.get(at + 1..)) else { return false };
    if prefix.is_empty() || prefix.len() > ustar.prefix.len() || name.is_empty() {
        return false;
    }
    copy(&mut ustar.prefix, prefix);
    ustar.name = [0; NAME];
    copy(&mut ustar.name, name);
    true
}

/// The header before the records.
fn extended(size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    if let Some(ustar) = header.as_ustar_mut() {
        copy(&mut ustar.name, b"PaxHeaders.0/entry");
    }
    header.set_cksum();
    header
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() > rest.to_string().len() {
        length += 1;
    }
    records.extend_from_slice(format!("{length} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// Other names would be read in this way by one reader and in that way by another.
fn is_plain(name: &[u8]) -> bool {
    name.is_ascii()
}

fn shown(name: &[u8]) -> Vec<u8> {
    name.iter().map(|byte| if byte.is_ascii() { *byte } else { b'_' }).collect()
}

/// As much as there is room for.
fn copy(field: &mut [u8], text: &[u8]) {
    for (to, from) in field.iter_mut().zip(text) {
        *to = *from;
    }
}
