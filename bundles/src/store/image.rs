//! Images, and how they are found by what people type.
//!
//! Runs in: an ordinary process of the user. Privilege: none; it only reads.

use super::layout::{Descriptor, Manifest};
use super::{SIZE, Store, from, name_of};
use crate::digest::{Digest, is_hex};
use crate::error::OrHint as _;
use crate::reference::Reference;
use anyhow::{Context as _, Result, bail};
use oci_spec::image::ImageConfiguration;
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use std::{fmt, fs};

/// The last second of the year 9999, since 1970.
const LAST: u64 = 253_402_300_799;

#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// Digest of the configuration.
    pub(crate) id: Digest,
    /// With tags, complete; empty for an image that has lost its name.
    pub(crate) names: Vec<Reference>,
    /// `name@digest` by which it was pulled.
    pub(crate) digests: Vec<Reference>,
    pub(crate) manifest: Digest,
    pub(crate) config: ImageConfiguration,
    /// The configuration with all that Docker has added to it: `Healthcheck`, `Shell`, `OnBuild`.
    pub(crate) raw: Value,
    /// Directories, bottom first.
    pub(crate) layers: Vec<PathBuf>,
    /// Of the unpacked files in bytes.
    pub(crate) size: u64,
    pub(crate) created: Option<SystemTime>,
}

/// There is no such image; a caller may pull it.
#[derive(Debug)]
pub(crate) struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

impl Image {
    pub(crate) fn diff_ids(&self) -> Result<Vec<Digest>> {
        let all = self.config.rootfs().diff_ids();
        all.iter().map(|text| text.parse().context("rootfs.diff_ids")).collect()
    }
}

impl Store<'_> {
    /// All images, the newest first.
    pub(crate) fn images(&self) -> Result<Vec<Image>> {
        let _lock = self.lock()?;
        self.read_all()
    }

    /// The image of a name, an id, or the unique beginning of an id.
    pub(crate) fn image(&self, text: &str) -> Result<Image> {
        find(&self.images()?, text).cloned()
    }

    /// That of an image, and its descriptor.
    pub(crate) fn manifest(&self, image: &Image) -> Result<(Manifest, Descriptor)> {
        let manifest = Manifest::parse(&self.read_json(&image.manifest)?)?;
        let index = self.index()?;
        let found = index.manifests.into_iter().find(|one| one.digest == image.manifest);
        let found = found.with_context(|| format!("image {}: removed meanwhile", image.id))?;
        Ok((manifest, found))
    }

    /// The files of a layer in bytes.
    pub(crate) fn size_of(&self, diff_id: &Digest) -> u64 {
        let size = fs::read_to_string(self.layers.join(diff_id.hex()).join(SIZE));
        size.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// With the lock held.
    pub(super) fn read_all(&self) -> Result<Vec<Image>> {
        let mut images: Vec<Image> = Vec::new();
        for descriptor in &self.index()?.manifests {
            // Loaded and pulled, an image may have two manifests of one configuration.
            let image = match images.iter_mut().find(|one| one.manifest == descriptor.digest) {
                Some(known) => known,
                None => {
                    let image = self.read_image(&descriptor.digest)?;
                    match images.iter().position(|one| one.id == image.id) {
                        Some(at) => images.get_mut(at).context("internal error, please report")?,
                        None => {
                            images.push(image);
                            images.last_mut().context("internal error, please report")?
                        }
                    }
                }
            };
            note(image, descriptor)?;
        }
        for image in &mut images {
            image.names.sort();
            image.digests.sort();
            image.digests.dedup();
        }
        images.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        Ok(images)
    }

    pub(super) fn read_named(&self, manifest: &Digest) -> Result<Image> {
        let id = self.read_image(manifest)?.id;
        let found = self.read_all()?.into_iter().find(|one| one.id == id);
        found.context("internal error, please report: the image is not in the index")
    }

    /// Without its names, which are in the index.
    pub(super) fn read_image(&self, digest: &Digest) -> Result<Image> {
        let manifest = Manifest::parse(&self.read_json(digest)?)?;
        let id = manifest.config.digest;
        let text = self.read_json(&id)?;
        let config: ImageConfiguration =
            serde_json::from_slice(&text).with_context(|| format!("image configuration {id}"))?;
        let raw = serde_json::from_slice(&text).context("image configuration")?;
        let created = config.created().as_ref();
        let created = created.and_then(|text| time(text));
        let mut image = Image {
            id,
            names: Vec::new(),
            digests: Vec::new(),
            manifest: digest.clone(),
            config,
            raw,
            layers: Vec::new(),
            size: 0,
            created,
        };
        for diff_id in image.diff_ids()? {
            image.size += self.size_of(&diff_id);
            image.layers.push(self.layer(&diff_id));
        }
        Ok(image)
    }
}

fn note(image: &mut Image, descriptor: &Descriptor) -> Result<()> {
    if let Some(name) = name_of(descriptor) {
        image.names.push(Reference::parse(name).context("oci/index.json")?);
    }
    for name in from(descriptor) {
        image.digests.push(Reference::parse(name).context("oci/index.json")?);
    }
    Ok(())
}

/// RFC 3339 in any zone; humantime reads UTC, and writes no time before 1970 or after 9999.
pub(crate) fn time(text: &str) -> Option<SystemTime> {
    let start = text.get(..19)?;
    let zone = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let time = humantime::parse_rfc3339(&format!("{start}Z")).ok()?;
    if zone.eq_ignore_ascii_case("z") {
        return Some(time);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let number = |text: &str| text.parse::<u8>().ok().map(u64::from);
    let offset = Duration::from_secs(number(hours)? * 3600 + number(minutes)? * 60);
    let time =
        if zone.starts_with('-') { time.checked_add(offset) } else { time.checked_sub(offset) };
    time.filter(|time| {
        time.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since.as_secs() <= LAST)
    })
}

/// A name with a digest is one by which the image was pulled; its tag says nothing then.
fn has_name(image: &Image, name: &Reference) -> bool {
    if name.digest.is_none() {
        return image.names.contains(name);
    }
    image.digests.contains(&Reference { tag: None, ..name.clone() })
}

/// A whole id comes before a name, and that before the beginning of an id, as Docker has it.
pub(crate) fn find<'a>(images: &'a [Image], text: &str) -> Result<&'a Image> {
    let bare = text.strip_prefix("sha256:").unwrap_or(text);
    let by_id = |prefix: &str| -> Vec<&Image> {
        let all = images.iter().filter(|image| image.id.hex().starts_with(prefix));
        if is_hex(prefix) { all.collect() } else { Vec::new() }
    };
    // `sha256:` would be a name else, and the digits its tag.
    let is_id = is_hex(bare) && (bare.len() == 64 || bare != text);
    let parsed = Reference::parse(text);
    if let Ok(name) = &parsed
        && !is_id
        && let Some(image) = images.iter().find(|image| has_name(image, &name.clone().tagged()))
    {
        return Ok(image);
    }
    match by_id(bare).as_slice() {
        [image] => return Ok(image),
        [] => {}
        more => bail!("image {text:?}: {} images have an id that begins so", more.len()),
    }
    let name = match parsed {
        Ok(_) | Err(_) if is_id => {
            return Err(Missing(format!("image {text:?}: no image has this id")))
                .hint("see those that there are: bundles images");
        }
        Ok(name) => name.tagged().familiar(),
        Err(err) => return Err(err),
    };
    Err(Missing(format!("image {name}: not in the store")))
        .hint(format!("get it: bundles pull {name}, or bundles load -i FILE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_creation_may_have_any_zone() {
        let at = |text: &str| time(text).map(|time| humantime::format_rfc3339(time).to_string());
        let wanted = Some("2024-01-02T03:04:05Z".to_owned());
        assert_eq!(at("2024-01-02T03:04:05Z"), wanted);
        assert_eq!(at("2024-01-02T03:04:05.123456789Z"), wanted);
        assert_eq!(at("2024-01-02T05:34:05.1+02:30"), wanted);
        assert_eq!(at("2024-01-01T22:04:05-05:00"), wanted);
        assert_eq!(at("yesterday"), None);
        assert_eq!(at("1970-01-01T00:00:00+01:00"), None);
        assert_eq!(at("9999-12-31T23:59:59-01:00"), None);
        assert_eq!(at("2024-01-02T03:04:05+18446744073709551615:00"), None);
        assert_eq!(at("2024-01-02T03:04:05"), None);
    }
}
