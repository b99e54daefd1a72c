//! Files of an OCI image layout, as far as they are ours to read and write.
//!
//! Runs in: an ordinary process of the user. Touches nothing.
//!
//! oci-spec's types have hash maps, whose order changes with each writing, and take any text for a
//! digest. What is not known here is kept as it came.

use crate::digest::Digest;
use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The file `oci-layout`.
pub(crate) const LAYOUT: &str = "{\"imageLayoutVersion\":\"1.0.0\"}\n";

/// The name of an image, in a descriptor of index.json (OCI image-spec, annotations.md).
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// overlayfs takes no more: `OVL_MAX_STACK` in fs/overlayfs of the kernel.
const MOST_LAYERS: usize = 500;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    pub(crate) schema_version: u32,
    #[serde(default)]
    pub(crate) manifests: Vec<Descriptor>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Platform {
    pub(crate) architecture: String,
    pub(crate) os: String,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// Docker's schema 2 has the same fields under other media types.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) config: Descriptor,
    #[serde(default)]
    pub(crate) layers: Vec<Descriptor>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

impl Index {
    pub(crate) fn empty() -> Self {
        Self { schema_version: 2, manifests: Vec::new(), other: Map::new() }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).context("image index")
    }
}

impl Descriptor {
    pub(crate) fn of(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            annotations: BTreeMap::new(),
            platform: None,
            other: Map::new(),
        }
    }

    /// A list of manifests for several platforms.
    pub(crate) fn is_index(&self) -> bool {
        matches!(
            self.media_type.as_str(),
            "application/vnd.oci.image.index.v1+json"
                | "application/vnd.docker.distribution.manifest.list.v2+json"
        )
    }
}

impl Manifest {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let manifest: Self = serde_json::from_slice(bytes).context("image manifest")?;
        ensure!(
            manifest.schema_version == 2,
            "image manifest: schema version {}, only 2 is known",
            manifest.schema_version
        );
        check_count(manifest.layers.len())?;
        Ok(manifest)
    }
}

/// Refuses what no overlayfs could mount.
pub(crate) fn check_count(layers: usize) -> Result<()> {
    ensure!(
        layers <= MOST_LAYERS,
        "the image has {layers} layers, and overlayfs takes no more than {MOST_LAYERS}"
    );
    Ok(())
}

impl Platform {
    /// That of this machine.
    pub(crate) fn here() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            other => other,
        };
        Self { architecture: architecture.to_owned(), os: "linux".to_owned(), other: Map::new() }
    }

    pub(crate) fn variant(&self) -> Option<&str> {
        self.other.get("variant").and_then(Value::as_str)
    }

    /// A variant that is not asked for is not looked at.
    pub(crate) fn fits(&self, other: &Self) -> bool {
        self.os == other.os
            && self.architecture == other.architecture
            && self.variant().is_none_or(|variant| {
                // The only one of arm64 is often left out.
                other.variant() == Some(variant) || (other.variant().is_none() && variant == "v8")
            })
    }
}

/// `linux/arm64`, `linux/arm/v7`, or the architecture alone.
impl FromStr for Platform {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts.as_slice() {
            [architecture] => ("linux", *architecture, None),
            [os, architecture] => (*os, *architecture, None),
            [os, architecture, variant] => (*os, *architecture, Some(*variant)),
            _ => bail!("platform {text:?}: OS/ARCHITECTURE is expected, as linux/arm64"),
        };
        ensure!(
            parts.iter().all(|part| !part.is_empty()),
            "platform {text:?}: OS/ARCHITECTURE is expected, as linux/arm64"
        );
        let architecture = match architecture {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let mut other = Map::new();
        if let Some(variant) = variant {
            other.insert("variant".to_owned(), variant.into());
        }
        Ok(Self { architecture: architecture.to_owned(), os: os.to_owned(), other })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// The manifest for a platform.
pub(crate) fn choose<'a>(index: &'a Index, wanted: &Platform) -> Result<&'a Descriptor> {
    let platforms: Vec<String> = index
        .manifests
        .iter()
        .filter_map(|one| one.platform.as_ref())
        .filter(|platform| platform.os != "unknown")
        .map(ToString::to_string)
        .collect();
    let found = index.manifests.iter().find(|one| match &one.platform {
        Some(platform) => wanted.fits(platform),
        // An index of one needs no platform.
        None => index.manifests.len() == 1,
    });
    found
        .ok_or_else(|| anyhow!("no manifest for {wanted} in the image"))
        .hint(format!("take an image for {wanted}; this one has: {}", platforms.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_known_is_kept() {
        let text = json!({
            "schemaVersion": 2,
            "manifests": [{"mediaType": MANIFEST, "digest": Digest::of(b"x"), "size": 1,
                "annotations": {"a": "b"}, "urls": ["u"],
                "platform": {"architecture": "amd64", "os": "linux", "variant": "v2"}}],
            "mediaType": "m",
        });
        let index = Index::parse(text.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(&index).unwrap(), text);
    }

    #[test]
    fn digest_that_leaves_the_directory_is_refused() {
        let text = json!({"schemaVersion": 2,
            "config": {"digest": "sha256:../../../etc/passwd", "size": 1}, "layers": []});
        let err = Manifest::parse(text.to_string().as_bytes()).unwrap_err();
        assert!(crate::error::chain(&err).contains("64 digits of 0-9 and a-f"), "{err:#}");
    }

    #[test]
    fn manifest_of_another_platform_is_not_taken() {
        let one = |architecture: &str| {
            json!({"digest": Digest::of(architecture.as_bytes()), "size": 1,
                "platform": {"architecture": architecture, "os": "linux"}})
        };
        let index = |all: &[&str]| {
            let all: Vec<Value> = all.iter().map(|name| one(name)).collect();
            let text = json!({"schemaVersion": 2, "manifests": all}).to_string();
            Index::parse(text.as_bytes()).unwrap()
        };
        let both = index(&["s390x", "amd64", "arm64"]);
        let chosen =
            choose(&both, &Platform::here()).unwrap().platform.clone().unwrap().architecture;
        assert!(["amd64", "arm64"].contains(&chosen.as_str()));
        let err = choose(&index(&["s390x"]), &Platform::here()).unwrap_err();
        assert!(crate::error::chain(&err).starts_with("no manifest for linux/"));
        assert!(crate::error::hint(&err).unwrap().ends_with("this one has: linux/s390x"));
    }

    #[test]
    fn more_layers_than_overlayfs_takes_are_refused() {
        check_count(500).unwrap();
        assert_eq!(
            check_count(10_000).unwrap_err().to_string(),
            "the image has 10000 layers, and overlayfs takes no more than 500"
        );
    }
}
