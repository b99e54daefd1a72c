//! One repository at one registry: asking, showing who we are, and asking again.
//!
//! Runs in: an ordinary process of the user; blobs are asked for by several threads.
//!
//! Source: the OCI distribution specification, and what registries do beyond it.

use super::auth;
use super::conf::Endpoint;
use super::credentials::Login;
use super::http::{self, Content, Verify};
use super::{DOCKER_HUB, certs};
use crate::error::hinted;
use anyhow::{Context as _, Error, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::Value;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use ureq::http::{Method, Response, header};
use ureq::{Agent, Body};

/// Nobody waits longer in front of a terminal; a registry that wants more is told of.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Of an error that a registry describes, in bytes.
const LONGEST_REPORT: u64 = 64 * 1024;

#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Trusts any certificate, and a registry without TLS.
    pub(crate) insecure: bool,
    pub(crate) cert_dir: Option<PathBuf>,
    /// Longest silence.
    pub(crate) timeout: Duration,
    /// Attempts after the first one.
    pub(crate) retries: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { insecure: false, cert_dir: None, timeout: Duration::from_secs(30), retries: 4 }
    }
}

pub(crate) struct Session {
    pub(super) endpoint: Endpoint,
    pub(super) options: Options,
    pub(super) login: Option<Login>,
    pub(super) agent: Agent,
    /// What to ask tokens for: `repository:x:pull`.
    pub(super) scopes: Vec<String>,
    pub(super) right: Right,
    /// `https://host`
    pub(super) base: String,
    /// `Authorization`, once the registry has asked for it.
    authorization: Mutex<Option<String>>,
    stopped: AtomicBool,
}

/// What is done there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Pull,
    Push,
}

/// Why there is no answer.
pub(super) enum Failure {
    Final(Error),
    /// The next attempt may well succeed, after as long as the registry says.
    Passing(Error, Option<Duration>),
}

impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        Self::Final(err)
    }
}

impl Session {
    /// Finds out whether an insecure registry speaks TLS. Others have to.
    pub(crate) fn open(
        endpoint: &Endpoint,
        login: Option<Login>,
        options: &Options,
    ) -> Result<Self> {
        let registry = endpoint.registry.as_str();
        let host = if registry == DOCKER_HUB { "registry-1.docker.io" } else { registry };
        // Who lays down certificates for a registry wants them to count.
        let trusted = certs::of(registry, options.cert_dir.as_deref())?.is_some();
        let secure = !endpoint.insecure || (trusted && !options.insecure);
        let verify = if secure { Verify::Yes } else { Verify::No };
        let scopes = match endpoint.path.as_str() {
            "" => Vec::new(),
            path => vec![format!("repository:{path}:pull")],
        };
        let mut session = Self {
            scopes,
            right: Right::Pull,
            agent: http::agent(registry, verify, options)?,
            endpoint: Endpoint { insecure: !secure, ..endpoint.clone() },
            options: options.clone(),
            login,
            base: format!("https://{host}"),
            authorization: Mutex::new(None),
            stopped: AtomicBool::new(false),
        };
        if !secure {
            let asked = session.agent.get(format!("{}/v2/", session.base)).call();
            let no_tls = |err: &ureq::Error| {
                // Without a port, TLS and its absence have one each.
                http::is_plain(err) || (!has_port(host) && http::is_passing(err))
            };
            if asked.as_ref().err().is_some_and(no_tls) {
                session.base = format!("http://{host}");
            }
        }
        Ok(session)
    }

    /// With the right to push, and to take blobs out of other repositories of this registry.
    pub(crate) fn pushing<'a>(mut self, from: impl Iterator<Item = &'a String>) -> Self {
        self.right = Right::Push;
        self.scopes = vec![format!("repository:{}:pull,push", self.endpoint.path)];
        self.scopes.extend(from.map(|path| format!("repository:{path}:pull")));
        self
    }

    /// Lets other threads come to their end soon.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Whether the registry takes the login.
    pub(crate) fn check(&self) -> Result<()> {
        let url = format!("{}/v2/", self.base);
        self.persist(|| {
            let mut answer = self.ask(&Method::GET, &url, &[], Content::None)?;
            match answer.status().as_u16() {
                404 => {
                    let err = anyhow!("{}: no registry answers there", self.endpoint.registry);
                    Err(Failure::Final(err))
                }
                200..300 => Ok(()),
                _ => Err(self.refused(&mut answer, "")),
            }
        })
    }

    /// A manifest, by tag or digest, and its media type.
    pub(crate) fn manifest(
        &self,
        which: &str,
        accept: &str,
        most: u64,
    ) -> Result<(String, Vec<u8>)> {
        self.persist(|| {
            let place = format!("manifests/{which}");
            let mut answer = self.answer(&place, &[("Accept", accept)])?;
            let header = answer.headers().get(header::CONTENT_TYPE);
            let kind = header.and_then(|text| text.to_str().ok()).unwrap_or_default();
            let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
            let bytes = self.read_all(&mut answer, most)?;
            Ok((kind, bytes))
        })
    }

    /// Makes a tag stand for a manifest whose blobs are there.
    pub(crate) fn put_manifest(&self, tag: &str, kind: &str, bytes: &[u8]) -> Result<()> {
        self.persist(|| {
            let place = format!("manifests/{tag}");
            let headers = [("Content-Type", kind)];
            let content = Content::Bytes(bytes);
            let mut answer = self.ask(&Method::PUT, &self.url(&place), &headers, content)?;
            match answer.status().as_u16() {
                200..300 => Ok(()),
                _ => Err(self.refused(&mut answer, &place)),
            }
        })
    }

    /// A configuration.
    pub(crate) fn small(&self, digest: &str, most: u64) -> Result<Vec<u8>> {
        self.persist(|| {
            let mut answer = self.answer(&format!("blobs/{digest}"), &[])?;
            self.read_all(&mut answer, most)
        })
    }

    pub(super) fn read_all(
        &self,
        answer: &mut Response<Body>,
        most: u64,
    ) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let read = answer.body_mut().as_reader().take(most + 1).read_to_end(&mut bytes);
        read.map_err(|err| self.broken(err.into()))?;
        if bytes.len() as u64 > most {
            let registry = &self.endpoint.registry;
            let err = anyhow!("{registry}: a manifest or configuration of more than {most} bytes");
            return Err(Failure::Final(err));
        }
        Ok(bytes)
    }

    /// One attempt at something of the repository. The answer is one with content.
    pub(super) fn answer(
        &self,
        place: &str,
        headers: &[(&str, &str)],
    ) -> Result<Response<Body>, Failure> {
        let mut answer = self.ask(&Method::GET, &self.url(place), headers, Content::None)?;
        match answer.status().as_u16() {
            200 | 206 => Ok(answer),
            _ => Err(self.refused(&mut answer, place)),
        }
    }

    /// Of something of the repository.
    pub(super) fn url(&self, place: &str) -> String {
        format!("{}/v2/{}/{place}", self.base, self.endpoint.path)
    }

    /// Where the registry says that it goes on.
    pub(super) fn located(&self, answer: &Response<Body>) -> Option<String> {
        self.resolved(answer.headers().get(header::LOCATION)?.to_str().ok()?)
    }

    /// The URL of a path, or of a URL.
    pub(super) fn resolved(&self, to: &str) -> Option<String> {
        let (_, host) = self.base.split_once("://")?;
        match to.split_once("://") {
            None if to.starts_with('/') => Some(format!("{}{to}", self.base)),
            None => None,
            // Behind a proxy that adds TLS, many a registry does not know of it.
            Some((_, rest)) => match rest.strip_prefix(host) {
                Some(path) if path.starts_with('/') => Some(format!("{}{path}", self.base)),
                Some(_) | None => Some(to.to_owned()),
            },
        }
    }

    /// Shows who we are when asked, also when a token has expired meanwhile. Another host gets to
    /// see nothing of that.
    pub(super) fn ask(
        &self,
        method: &Method,
        url: &str,
        headers: &[(&str, &str)],
        content: Content<'_>,
    ) -> Result<Response<Body>, Failure> {
        let send = |authorization: Option<&str>| {
            let shown = authorization.map(|text| (header::AUTHORIZATION.as_str(), text));
            let headers: Vec<(&str, &str)> = headers.iter().copied().chain(shown).collect();
            http::send(&self.agent, method, url, &headers, content).map_err(|err| self.broken(err))
        };
        let is_own = url.strip_prefix(&self.base).is_some_and(|path| path.starts_with('/'));
        if !is_own {
            return send(None);
        }
        let known = self.authorization.lock().map_or(None, |known| known.clone());
        let answer = send(known.as_deref())?;
        if answer.status() != 401 {
            return Ok(answer);
        }
        let challenges = answer.headers().get_all(header::WWW_AUTHENTICATE);
        let challenges = challenges.iter().filter_map(|text| text.to_str().ok());
        let Some(shown) = auth::answer(self, challenges)? else { return Ok(answer) };
        if let Ok(mut known) = self.authorization.lock() {
            *known = Some(shown.clone());
        }
        send(Some(&shown))
    }

    /// What was met before there was an answer, or in the midst of it.
    pub(super) fn broken(&self, err: ureq::Error) -> Failure {
        let told = http::explain(&err, &self.endpoint.registry, self.options.timeout);
        if http::is_passing(&err) { Failure::Passing(told, None) } else { Failure::Final(told) }
    }

    /// An answer that has not what was asked for.
    pub(super) fn refused(&self, answer: &mut Response<Body>, place: &str) -> Failure {
        let registry = &self.endpoint.registry;
        let status = answer.status();
        let wait = answer.headers().get(header::RETRY_AFTER);
        let wait = wait.and_then(|text| retry_after(text.to_str().ok()?, SystemTime::now()));
        let report = report(answer);
        let what = match place {
            "" => registry.clone(),
            place => format!("{registry}/{} {place}", self.endpoint.path),
        };
        let told = |hint: String| hinted(anyhow!("{what}: HTTP {status}{report}"), hint);
        let log_in = format!("bundles login {registry}");
        let pushes = self.right == Right::Push;
        match status.as_u16() {
            400 if pushes => Failure::Final(told(
                "it may be too old for images of this kind: try another registry".to_owned(),
            )),
            401 => Failure::Final(match &self.login {
                None => told(format!("the registry wants to know who you are: {log_in}")),
                Some(login) => told(format!(
                    "the registry does not take the login from {}; again: {log_in}",
                    login.from
                )),
            }),
            403 => Failure::Final(told(format!(
                "ask its owner for the right to {} it, or be somebody else: {log_in}",
                if pushes { "push" } else { "pull" }
            ))),
            404 if pushes => Failure::Final(told(
                "make the repository, or the project that it is in, at the registry first"
                    .to_owned(),
            )),
            404 => Failure::Final(told("check the name and the tag".to_owned())),
            405 if pushes => Failure::Final(told(
                "push to another registry: this one only gives, as a mirror does".to_owned(),
            )),
            413 => Failure::Final(told(
                "ask whoever runs the registry to allow larger requests".to_owned(),
            )),
            429 => Failure::Passing(told(format!("try again later, or log in: {log_in}")), wait),
            408 | 500 | 502 | 503 | 504 => {
                Failure::Passing(told("the registry has trouble, try again later".to_owned()), wait)
            }
            _ => Failure::Final(told("check that a registry answers there".to_owned())),
        }
    }

    /// Asks again after failures that may pass.
    pub(super) fn persist<T>(&self, ask: impl Fn() -> Result<T, Failure>) -> Result<T> {
        let mut failures = 0;
        loop {
            match ask() {
                Ok(got) => return Ok(got),
                Err(failure) => self.pause(failure, &mut failures)?,
            }
        }
    }

    /// Waits before the next attempt, or says that there is none.
    pub(super) fn pause(&self, failure: Failure, failures: &mut u32) -> Result<()> {
        let (err, wait) = match failure {
            Failure::Final(err) => return Err(err),
            Failure::Passing(err, wait) => (err, wait),
        };
        *failures += 1;
        if *failures > self.options.retries {
            let tried = |err: Error| err.context(format!("{failures} attempts"));
            return Err(if *failures > 1 { tried(err) } else { err });
        }
        let doubled = Duration::from_millis(250 << (*failures).min(7));
        let wait = wait.unwrap_or(doubled);
        if wait > LONGEST_WAIT {
            return Err(err).context(format!("wanted in {} s, not before", wait.as_secs()));
        }
        let until = SystemTime::now() + wait;
        while let Ok(left) = until.duration_since(SystemTime::now()) {
            if self.is_stopped() {
                bail!("stopped");
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
        Ok(())
    }
}

fn has_port(registry: &str) -> bool {
    registry.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'))
}

/// `: denied: requested access is denied`, from the first of the errors that the specification has;
/// where the request was wrong, with what was.
fn report(answer: &mut Response<Body>) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
        #[serde(default)]
        detail: Value,
    }
    let mut text = String::new();
    let read = answer.body_mut().as_reader().take(LONGEST_REPORT).read_to_string(&mut text);
    let errors = read.ok().and_then(|_| serde_json::from_str::<Errors>(&text).ok());
    let Some(first) = errors.and_then(|errors| errors.errors.into_iter().next()) else {
        return String::new();
    };
    let code = first.code.replace('_', " ").to_lowercase();
    let mut parts = vec![code.clone()];
    if first.message.to_lowercase() != code {
        parts.push(first.message);
    }
    if answer.status() == 400 && !first.detail.is_null() {
        parts.push(first.detail.to_string());
    }
    parts.retain(|part| !part.is_empty());
    // Of a stranger: nothing that a terminal would obey.
    let said = parts.join(": ");
    let said: String = said.chars().filter(|c| !c.is_control()).take(300).collect();
    if said.is_empty() { said } else { format!(": {said}") }
}

/// Seconds, or the date of RFC 9110: `Wed, 21 Oct 2015 07:28:00 GMT`.
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = words.as_slice() else { return None };
    let months = "JanFebMarAprMayJunJulAugSepOctNovDec".find(month)? / 3 + 1;
    let at = humantime::parse_rfc3339(&format!("{year}-{months:02}-{day:0>2}T{time}Z")).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_to_wait_is_in_seconds_or_a_date() {
        let now = humantime::parse_rfc3339("2015-10-21T07:27:30Z").unwrap();
        let wait = |text| retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(30));
        assert_eq!(wait("Wed, 21 Oct 2015 07:00:00 GMT"), Some(0));
        assert_eq!(wait("soon"), None);
    }
}
