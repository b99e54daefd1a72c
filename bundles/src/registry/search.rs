//! What a registry says of its images, of which somebody knows a part of the name.
//!
//! Runs in: an ordinary process of the user.
//!
//! Sources: the index of version 1, which Docker Hub has; "Listing Repositories" of distribution.

use super::DOCKER_HUB;
use super::http::Content;
use super::session::{Failure, Session};
use crate::error::hinted;
use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;
use ureq::Body;
use ureq::http::{Method, Response, header};

/// Of a page of results, in bytes.
const LONGEST_PAGE: u64 = 4 << 20;

/// Names that a registry is asked for at a time, and how often.
const NAMES: usize = 1000;
const PAGES: usize = 100;

/// One image.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Found {
    /// Without the registry.
    pub(crate) name: String,
    pub(crate) description: String,
    #[serde(rename = "star_count")]
    pub(crate) stars: u64,
    pub(crate) is_official: bool,
    pub(crate) is_automated: bool,
}

impl Session {
    /// By the index, or else among the names of all repositories.
    ///
    /// # Errors
    /// When the registry has neither, or refuses.
    pub(crate) fn search(&self, term: &str, most: usize) -> Result<Vec<Found>> {
        let is_hub = self.endpoint.registry == DOCKER_HUB;
        let base = if is_hub { "https://index.docker.io" } else { self.base.as_str() };
        let url = format!("{base}/v1/search?q={}&n={most}", encoded(term));
        let by_index = self.persist(|| {
            let mut answer = self.ask(&Method::GET, &url, &[], Content::None)?;
            match answer.status().as_u16() {
                200 => self.read_all(&mut answer, LONGEST_PAGE).map(Some),
                404 if !is_hub => Ok(None),
                _ => Err(self.refused(&mut answer, "")),
            }
        })?;
        match by_index {
            Some(bytes) => parsed(&bytes).with_context(|| self.endpoint.registry.clone()),
            None => self.by_name(term, most),
        }
    }

    fn by_name(&self, term: &str, most: usize) -> Result<Vec<Found>> {
        #[derive(Deserialize)]
        struct Catalog {
            #[serde(default)]
            repositories: Option<Vec<String>>,
        }
        let registry = &self.endpoint.registry;
        let mut found = Vec::new();
        let mut url = Some(format!("{}/v2/_catalog?n={NAMES}", self.base));
        for _ in 0..PAGES {
            let Some(this) = url.take().filter(|_| found.len() < most) else { break };
            let (bytes, next) = self.persist(|| {
                let mut answer = self.ask(&Method::GET, &this, &[], Content::None)?;
                match answer.status().as_u16() {
                    200 => {}
                    404 => return Err(no_catalog(registry)),
                    _ => return Err(self.refused(&mut answer, "")),
                }
                let next = self.next(&answer);
                Ok((self.read_all(&mut answer, LONGEST_PAGE)?, next))
            })?;
            let page: Catalog = serde_json::from_slice(&bytes)
                .with_context(|| format!("{registry}: the names of its repositories"))?;
            let fit = page.repositories.into_iter().flatten().filter(|name| name.contains(term));
            found.extend(fit.map(|name| Found { name, ..Found::default() }));
            url = next;
        }
        Ok(found)
    }

    /// `Link: </v2/_catalog?last=x&n=10>; rel="next"`
    fn next(&self, answer: &Response<Body>) -> Option<String> {
        let link = answer.headers().get(header::LINK)?.to_str().ok()?;
        let (place, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        self.resolved(place).filter(|_| rest.contains("next"))
    }
}

fn no_catalog(registry: &str) -> Failure {
    let told = anyhow!("{registry}: does not tell what it has");
    Failure::Final(hinted(told, "look at its web pages, and pull by the whole name"))
}

fn parsed(bytes: &[u8]) -> Result<Vec<Found>> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        results: Vec<Found>,
    }
    let answer: Answer = serde_json::from_slice(bytes).context("the results of the search")?;
    Ok(answer.results)
}

/// For a query in a URL.
fn encoded(text: &str) -> String {
    let each = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn term_is_safe_in_a_query() {
        assert_eq!(encoded("my sql&n=1/é"), "my%20sql%26n%3D1%2F%C3%A9");
    }

    #[test]
    fn results_may_lack_fields() {
        let text = br#"{"results":[{"name":"a","star_count":3,"is_official":true},{"name":"b"}]}"#;
        let found = parsed(text).unwrap();
        let of = |one: &Found| (one.name.clone(), one.stars, one.is_official);
        let wanted = [("a".to_owned(), 3, true), ("b".to_owned(), 0, false)];
        assert_eq!(found.iter().map(of).collect::<Vec<_>>(), wanted);
        assert!(parsed(b"<html>").is_err());
    }
}
