//! Archives of images as `docker save` writes them, made by the test itself.

use std::io::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

/// A tar archive of which every byte is the test's own: the crate would refuse hostile names.
#[derive(Debug, Default, Clone)]
pub struct Tar(Vec<u8>);

impl Tar {
    pub fn new() -> Self {
        Self::default()
    }

    /// Any entry; what `change` does to the header comes last but for the checksum.
    #[must_use]
    pub fn entry(
        mut self,
        kind: EntryType,
        name: &str,
        data: &[u8],
        change: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(data.len() as u64);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_device_major(0).expect("a GNU header");
        header.set_device_minor(0).expect("a GNU header");
        let gnu = header.as_gnu_mut().expect("a GNU header");
        gnu.name[..name.len()].copy_from_slice(name.as_bytes());
        change(&mut header);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    #[must_use]
    pub fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(EntryType::Regular, name, data, |_| ())
    }

    #[must_use]
    pub fn program(self, name: &str, data: &[u8]) -> Self {
        self.entry(EntryType::Regular, name, data, |header| header.set_mode(0o755))
    }

    #[must_use]
    pub fn directory(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name, b"", |_| ())
    }

    #[must_use]
    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name, b"", |header| to(header, target))
    }

    /// /bin/busybox under these names, too.
    #[must_use]
    pub fn busybox(self, program: &[u8], applets: &[&str]) -> Self {
        let tar = self.directory("bin").program("bin/busybox", program);
        applets.iter().fold(tar, |tar, name| tar.symlink(&format!("bin/{name}"), "busybox"))
    }

    #[must_use]
    pub fn link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, name, b"", |header| to(header, target))
    }

    /// Records of a PAX header for the next entry.
    #[must_use]
    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            // The length counts its own digits.
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length += 1;
            }
            data.extend(format!("{length} {key}=").as_bytes());
            data.extend(*value);
            data.push(b'\n');
        }
        self.entry(EntryType::XHeader, "pax", &data, |_| ())
    }

    /// With the end marker.
    pub fn bytes(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

fn to(header: &mut Header, target: &str) {
    let gnu = header.as_gnu_mut().expect("a GNU header");
    gnu.linkname[..target.len()].copy_from_slice(target.as_bytes());
}

/// `sha256:` and the digits.
pub fn digest(content: &[u8]) -> String {
    let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("gzip");
    encoder.finish().expect("gzip")
}

/// The configuration of an image of these layers, not compressed.
pub fn config(layers: &[Vec<u8>]) -> Value {
    let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    json!({
        "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
        "config": {"Cmd": ["/bin/sh"], "Healthcheck": {"Test": ["CMD", "true"]}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
}

/// What `docker save` writes.
pub fn saved(name: &str, layers: &[Vec<u8>]) -> Vec<u8> {
    saved_with(name, layers, &config(layers))
}

/// With a configuration that need not fit.
pub fn saved_with(name: &str, layers: &[Vec<u8>], config: &Value) -> Vec<u8> {
    let config = config.to_string();
    let file = format!("{}.json", digest(config.as_bytes()).trim_start_matches("sha256:"));
    let mut tar = Tar::new().file(&file, config.as_bytes());
    let mut names = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        names.push(format!("{number}/layer.tar"));
        tar = tar.directory(&number.to_string()).file(&names[number], layer);
    }
    let manifest = json!([{"Config": file, "RepoTags": [name], "Layers": names}]);
    tar.file("manifest.json", manifest.to_string().as_bytes()).bytes()
}
