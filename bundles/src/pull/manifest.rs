//! From the name of an image to its manifest, through a list of platforms if there is one.
//!
//! Runs in: an ordinary process of the user.

use crate::digest::Digest;
use crate::error::OrHint as _;
use crate::layer::Limits;
use crate::reference::Reference;
use crate::registry::Session;
use crate::store::LONGEST_JSON;
use crate::store::layout::{self, CONFIG, Descriptor, Index, MANIFEST, Manifest, Platform};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

#[derive(Debug, Clone)]
pub(super) struct Fetched {
    pub(super) digest: Digest,
    pub(super) kind: String,
    pub(super) bytes: Vec<u8>,
}

/// What the name stands for, and the manifest for the platform: often the same.
pub(super) fn get(
    session: &Session,
    name: &Reference,
    platform: &Platform,
) -> Result<(Fetched, Fetched)> {
    let which = match (&name.digest, &name.tag) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(tag)) => tag.clone(),
        (None, None) => bail!("internal error, please report: neither tag nor digest"),
    };
    let top = fetch(session, &which, name.digest.as_ref())?;
    if !is_list(&top.kind) {
        return Ok((top.clone(), top));
    }
    let index = Index::parse(&top.bytes)?;
    let Descriptor { digest, size, .. } = layout::choose(&index, platform)?;
    let chosen = fetch(session, &digest.to_string(), Some(digest))?;
    ensure!(!is_list(&chosen.kind), "manifest {digest}: a list inside of a list");
    let length = chosen.bytes.len() as u64;
    ensure!(length == *size, "manifest {digest}: {length} bytes, the list says {size}");
    Ok((top, chosen))
}

fn is_list(kind: &str) -> bool {
    matches!(kind, INDEX | DOCKER_LIST)
}

fn fetch(session: &Session, which: &str, promised: Option<&Digest>) -> Result<Fetched> {
    let accept = [INDEX, MANIFEST, DOCKER_LIST, DOCKER_MANIFEST].join(", ");
    let (header, bytes) = session.manifest(which, &accept, LONGEST_JSON)?;
    let digest = Digest::of(&bytes);
    if let Some(promised) = promised
        && *promised != digest
    {
        bail!("manifest: digest {digest} instead of {promised}");
    }
    let kind = kind(&header, &bytes).with_context(|| format!("manifest {which}"))?;
    Ok(Fetched { digest, kind, bytes })
}

/// What the header says, as long as the content does not say otherwise: one text must not be two
/// things to two readers (CVE-2021-41190).
fn kind(header: &str, bytes: &[u8]) -> Result<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Outline {
        #[serde(default)]
        schema_version: u32,
        #[serde(default)]
        media_type: String,
        manifests: Option<Value>,
        layers: Option<Value>,
        config: Option<Value>,
    }
    let known = |kind: &str| is_list(kind) || matches!(kind, MANIFEST | DOCKER_MANIFEST);
    let outline = serde_json::from_slice::<Outline>(bytes);
    if header.contains("docker.distribution.manifest.v1")
        || outline.as_ref().is_ok_and(|one| one.schema_version == 1)
    {
        return Err(anyhow!("of schema 1, which has not been written since 2017"))
            .hint("push the image again with a program of today");
    }
    let generic =
        matches!(header, "" | "application/json" | "text/plain" | "application/octet-stream");
    if !known(header) && !generic {
        return Err(anyhow!("no manifest, but {header:?}"))
            .hint("check that a registry answers there, and that this is an image");
    }
    let outline = outline.map_err(|err| anyhow!("no JSON: {err}"))?;
    let inside = outline.media_type;
    ensure!(
        generic || inside.is_empty() || inside == header,
        "sent as {header:?}, but says that it is {inside:?}"
    );
    let is_image = outline.layers.is_some() || outline.config.is_some();
    ensure!(!(outline.manifests.is_some() && is_image), "an image and a list of images in one");
    let said = if known(header) { header } else { inside.as_str() };
    match said {
        "" if outline.manifests.is_some() => Ok(INDEX.to_owned()),
        "" => Ok(MANIFEST.to_owned()),
        kind if known(kind) => Ok(kind.to_owned()),
        kind => bail!("of the unknown kind {kind:?}"),
    }
}

/// Whether it is an image: other things are kept in registries, too.
pub(super) fn check(manifest: &Manifest) -> Result<()> {
    let kind = manifest.config.media_type.as_str();
    if !matches!(kind, CONFIG | DOCKER_CONFIG | "") {
        return Err(anyhow!("no image: its configuration is {kind:?}"))
            .hint("get it with the program that it is made for");
    }
    for layer in &manifest.layers {
        let kind = layer.media_type.as_str();
        ensure!(!kind.contains("encrypted"), "layer {}: encrypted ({kind})", layer.digest);
        ensure!(
            kind.is_empty() || kind.contains("tar"),
            "layer {}: no archive, but {kind:?}",
            layer.digest
        );
        let (size, most) = (layer.size, Limits::default().bytes);
        ensure!(size <= most, "layer {}: {size} bytes, more than {most}", layer.digest);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(header: &str, content: &Value) -> String {
        match kind(header, content.to_string().as_bytes()) {
            Ok(kind) => kind,
            Err(err) => crate::error::chain(&err),
        }
    }

    #[test]
    fn kind_is_that_of_header_and_content() {
        let image = json!({"schemaVersion": 2, "config": {}, "layers": []});
        assert_eq!(told(DOCKER_MANIFEST, &image), DOCKER_MANIFEST);
        assert_eq!(told("application/json", &image), MANIFEST);
        assert_eq!(told("", &json!({"schemaVersion": 2, "manifests": []})), INDEX);
        let typed = json!({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": []});
        assert_eq!(told("", &typed), DOCKER_LIST);
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let image = json!({"schemaVersion": 2, "config": {}, "layers": []});
        assert_eq!(told("text/html", &image), "no manifest, but \"text/html\"");
        let old = json!({"schemaVersion": 1});
        assert_eq!(told("", &old), "of schema 1, which has not been written since 2017");
        let both = json!({"schemaVersion": 2, "config": {}, "layers": [], "manifests": []});
        assert_eq!(told(MANIFEST, &both), "an image and a list of images in one");
        let other = json!({"schemaVersion": 2, "mediaType": INDEX, "config": {}});
        assert!(told(MANIFEST, &other).starts_with("sent as "));
    }
}
