//! Hostile layers: links, hard links, `..`, absolute names, whiteouts, long names, PAX records that lie.

use super::{Random, each, is_one_line};
use crate::layer::{Limits, digests, unpack};
use crate::testing::Scratch;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use tar::{EntryType, Header};

/// Directories and links first: what comes later goes through them.
const KINDS: [u8; 20] = *b"0000555555511222346S";

/// Of which paths are made: names that meet each other, and now and then something else.
const NAMES: &[&str] = &["a", "b", "c", "d", "link"];
#[rustfmt::skip]
const STRANGE: &[&str] = &[
    "..", ".", "", "/", ".wh.a", ".wh.b", ".wh.c", ".wh..wh..opq", ".wh...", ".wh.", ".wh.link",
    "\u{fc}", "a b", "\n", "proc", "self",
];

const SIZES: &[&str] = &[
    "0",
    "1",
    "511",
    "512",
    "513",
    "1048576",
    "9223372036854775807",
    "18446744073709551615",
    "-1",
    "x",
    "",
];

/// Around the layer: what nobody may change.
struct Ground {
    scratch: Scratch,
    before: BTreeMap<PathBuf, String>,
}

impl Ground {
    fn new() -> Self {
        let scratch = Scratch::new();
        scratch.file("outside/file", b"canary");
        scratch.file("outside/deep/file", b"canary");
        symlink("file", scratch.0.join("outside/link")).unwrap();
        let mut ground = Self { scratch, before: BTreeMap::new() };
        ground.before = ground.seen();
        ground
    }

    /// All but the layer, with what changes when somebody writes, links or changes attributes there.
    fn seen(&self) -> BTreeMap<PathBuf, String> {
        let mut seen = BTreeMap::new();
        walk(&self.scratch.0, &mut |path, found| {
            let is_layer = path.starts_with(self.scratch.0.join("layer"));
            if !is_layer && path != self.scratch.0 {
                let times = (found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec());
                let (mode, links, size) = (found.mode(), found.nlink(), found.size());
                seen.insert(path.to_owned(), format!("{times:?} {mode:o} {links} {size}"));
            }
            !is_layer
        });
        seen
    }

    fn layer(&self) -> PathBuf {
        let layer = self.scratch.0.join("layer");
        if layer.exists() {
            // Modes may be such that only root sees the inside.
            walk(&layer, &mut |path, found| {
                if found.is_dir() {
                    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
                        .unwrap();
                }
                true
            });
            fs::remove_dir_all(&layer).unwrap();
        }
        fs::create_dir(&layer).unwrap();
        layer
    }
}

/// From the top down; links are not followed. Returns whether to go below a directory.
fn walk(path: &Path, see: &mut dyn FnMut(&Path, &fs::Metadata) -> bool) {
    let found = fs::symlink_metadata(path).unwrap();
    if see(path, &found) && found.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten() {
            walk(&entry.unwrap().path(), see);
        }
    }
}

fn path(random: &mut Random, outside: &str) -> String {
    match random.below(80) {
        0 => outside.to_owned(),
        1 => format!("{outside}/file"),
        2 => format!(
            "{}outside/{}",
            "../".repeat(random.below(4)),
            random.pick(&["file", "new", "deep", "link"])
        ),
        3 => "n".repeat(random.below(6000)),
        4 => "d/".repeat(random.below(3000)),
        _ => {
            let part = |random: &mut Random| {
                let all = if random.one_in(25) { STRANGE } else { NAMES };
                random.pick(all)
            };
            let parts: Vec<&str> = (0..=random.below(3)).map(|_| part(random)).collect();
            parts.join("/")
        }
    }
}

fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

fn header(kind: u8, name: &[u8], size: usize) -> Header {
    let mut header =
        if name.len().is_multiple_of(2) { Header::new_gnu() } else { Header::new_ustar() };
    header.set_entry_type(EntryType::new(kind));
    header.set_size(size as u64);
    header.set_mode(0o644);
    let name = &name[..name.len().min(100)];
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header
}

fn append(archive: &mut Vec<u8>, mut header: Header, data: &[u8], random: &mut Random) {
    if random.one_in(400) {
        let at = random.below(512);
        header.as_mut_bytes()[at] = random.byte();
    }
    if !random.one_in(600) {
        header.set_cksum();
    }
    archive.extend_from_slice(header.as_bytes());
    archive.extend_from_slice(data);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

fn pax(random: &mut Random, outside: &str) -> Vec<u8> {
    let mut records = String::new();
    for _ in 0..=random.below(4) {
        let key = random.pick(&[
            "path",
            "linkpath",
            "size",
            "uid",
            "gid",
            "mtime",
            "SCHILY.xattr.user.a",
            "SCHILY.xattr.trusted.overlay.opaque",
            "SCHILY.xattr.security.capability",
            "GNU.sparse.major",
            "GNU.sparse.minor",
            "GNU.sparse.name",
            "GNU.sparse.realsize",
            "GNU.sparse.map",
            "hdrcharset",
        ]);
        let value = match key {
            "path" | "linkpath" | "GNU.sparse.name" => path(random, outside),
            "GNU.sparse.map" => random.text(&["0", ",", "512", "9223372036854775807", "1"], 8),
            _ if random.one_in(2) => "1".to_owned(),
            _ => random.pick(SIZES).to_owned(),
        };
        records.push_str(&record(key, &value));
    }
    let mut bytes = records.into_bytes();
    if random.one_in(20) {
        random.damage(&mut bytes);
    }
    bytes
}

fn archive(random: &mut Random, outside: &str) -> Vec<u8> {
    let mut archive = Vec::new();
    for _ in 0..random.below(24) {
        if random.one_in(10) {
            let (kind, content) = match random.below(4) {
                0 => (b'L', path(random, outside).into_bytes()),
                1 => (b'K', path(random, outside).into_bytes()),
                2 => (b'g', pax(random, outside)),
                _ => (b'x', pax(random, outside)),
            };
            append(&mut archive, header(kind, b"extended", content.len()), &content, random);
        }
        let kind = KINDS[random.below(KINDS.len())];
        let name = path(random, outside);
        let data = vec![b'x'; if kind == b'0' { random.below(1200) } else { 0 }];
        let mut header = header(kind, name.as_bytes(), data.len());
        header.set_mode(u32::try_from(random.below(0o10000)).unwrap());
        header.set_uid(random.below(3) as u64);
        let target = path(random, outside).into_bytes();
        let target = &target[..target.len().min(100)];
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target);
        if kind == b'S' {
            let gnu = header.as_gnu_mut();
            gnu.into_iter().for_each(|gnu| gnu.realsize = *b"00000004000\0");
        }
        if matches!(kind, b'3' | b'4') && !random.one_in(8) {
            header.set_device_major(1).ok();
            header.set_device_minor(3).ok();
        }
        if random.one_in(200) {
            let size = random.pick(SIZES).as_bytes();
            header.as_old_mut().size = [0; 12];
            let size = &size[..size.len().min(12)];
            header.as_old_mut().size[..size.len()].copy_from_slice(size);
        }
        append(&mut archive, header, &data, random);
    }
    if !random.one_in(4) {
        archive.resize(archive.len() + 1024, 0);
    }
    for _ in 0..[1, 5, 0, 0, 0, 0, 0, 0, 0, 0][random.below(10)] {
        random.damage(&mut archive);
    }
    archive
}

fn compressed(archive: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let mut bytes = match random.below(6) {
        0 => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&archive).unwrap();
            gzip.finish().unwrap()
        }
        1 => zstd::encode_all(&archive[..], 1).unwrap(),
        _ => return archive,
    };
    if random.one_in(20) {
        random.damage(&mut bytes);
    }
    bytes
}

#[test]
fn no_layer_writes_outside_of_its_directory() {
    let ground = Ground::new();
    let limits = Limits { bytes: 1 << 20, entries: 4000, kept: 1 << 16 };
    let outside = ground.scratch.0.join("outside").display().to_string();
    each("layers", 200, |random| {
        let archive = archive(random, &outside);
        let blob = compressed(archive, random);
        let layer = ground.layer();
        let directory = File::open(&layer).unwrap();
        let done = unpack(&blob[..], directory.as_fd(), &limits);
        assert_eq!(ground.seen(), ground.before, "something outside has changed");
        let (device, mut bytes) = (fs::symlink_metadata(&layer).unwrap().dev(), 0);
        walk(&layer, &mut |path, found| {
            assert_eq!(found.dev(), device, "{}", path.display());
            assert!(found.is_dir() || found.nlink() < 20, "{}", path.display());
            bytes += if found.is_file() { found.blocks() * 512 } else { 0 };
            true
        });
        assert!(bytes <= 2 << 20, "{bytes} bytes on disk");
        match done {
            Ok(unpacked) => {
                let again = digests(&blob[..], &limits).unwrap();
                assert_eq!((unpacked.blob, unpacked.diff_id), (again.blob, again.diff_id));
                assert!(unpacked.size <= limits.bytes);
            }
            Err(err) => is_one_line(&err),
        }
    });
    drop(ground.layer()); // an ordinary user could not remove all that a layer may hold
}
