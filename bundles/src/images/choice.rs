//! Which images `--filter` means.
//!
//! Runs in: anywhere. Touches nothing but the clock.

use crate::filter::Filters;
use crate::reference::Reference;
use crate::store::{Image, find};
use anyhow::Result;
use std::collections::BTreeMap;
use std::time::SystemTime;

#[derive(Debug)]
pub(crate) struct Choice {
    filters: Filters,
    dangling: Option<bool>,
    /// Times of images that were named.
    before: Vec<SystemTime>,
    since: Vec<SystemTime>,
}

impl Choice {
    /// `all` are the images among which those of `before=` and `since=` are looked up.
    pub(crate) fn new(filters: Filters, all: &[Image]) -> Result<Self> {
        let age_of = |name: &str| -> Result<SystemTime> {
            let image = find(all, name)?;
            Ok(image.created.unwrap_or(SystemTime::UNIX_EPOCH))
        };
        let dangling = filters.truth("dangling")?;
        let before = filters.values("before").map(age_of).collect::<Result<_>>()?;
        let since = filters.values("since").map(age_of).collect::<Result<_>>()?;
        Ok(Self { filters, dangling, before, since })
    }

    pub(crate) fn has(&self, image: &Image) -> bool {
        let made = image.created.unwrap_or(SystemTime::UNIX_EPOCH);
        let of_image = image.config.config().as_ref().and_then(|config| config.labels().as_ref());
        let labels: BTreeMap<String, String> = of_image
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        self.dangling.is_none_or(|wanted| wanted == image.names.is_empty())
            && self.before.iter().all(|time| made < *time)
            && self.filters.is_before(made)
            && self.since.iter().all(|time| made > *time)
            && self.filters.labels(&labels)
    }

    /// `reference=`: of the names of an image, which are shown.
    pub(crate) fn shows(&self, name: Option<&Reference>) -> bool {
        let Some(name) = name else { return !self.filters.has("reference") };
        let without_tag = Reference { tag: None, ..name.clone() };
        self.filters.reference(&name.familiar()) || self.filters.reference(&without_tag.familiar())
    }
}
