//! One repository at one registry: asking, showing who we are, and asking again.
//!
//! Runs in: an ordinary process of the user; blobs are asked for by several threads.
//!
//! Source: the OCI distribution specification, "Pull", and what registries do beyond it.

use super::auth;
use super::conf::Endpoint;
use super::credentials::Login;
use super::http::{self, Verify};
use super::{DOCKER_HUB, certs};
use crate::error::hinted;
use anyhow::{Context as _, Error, Result, anyhow, bail};
use serde::Deserialize;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use ureq::http::{Response, header};
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
    /// `https://host`
    base: String,
    /// `Authorization`, once the registry has asked for it.
    authorization: Mutex<Option<String>>,
    stopped: AtomicBool,
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
        let mut session = Self {
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
            let mut answer = self.ask(&url, &[], None)?;
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

    /// A configuration.
    pub(crate) fn small(&self, digest: &str, most: u64) -> Result<Vec<u8>> {
        self.persist(|| {
            let mut answer = self.answer(&format!("blobs/{digest}"), &[])?;
            self.read_all(&mut answer, most)
        })
    }

    fn read_all(&self, answer: &mut Response<Body>, most: u64) -> Result<Vec<u8>, Failure> {
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
        let url = format!("{}/v2/{}/{place}", self.base, self.endpoint.path);
        let scope = format!("repository:{}:pull", self.endpoint.path);
        let mut answer = self.ask(&url, headers, Some(&scope))?;
        match answer.status().as_u16() {
            200 | 206 => Ok(answer),
            _ => Err(self.refused(&mut answer, place)),
        }
    }

    /// Shows who we are when asked, also when a token has expired meanwhile.
    fn ask(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        scope: Option<&str>,
    ) -> Result<Response<Body>, Failure> {
        let known = self.authorization.lock().map_or(None, |known| known.clone());
        let answer = self.send(url, headers, known.as_deref())?;
        if answer.status() != 401 {
            return Ok(answer);
        }
        let challenges = answer.headers().get_all(header::WWW_AUTHENTICATE);
        let challenges = challenges.iter().filter_map(|text| text.to_str().ok());
        let Some(shown) = auth::answer(self, challenges, scope)? else { return Ok(answer) };
        if let Ok(mut known) = self.authorization.lock() {
            *known = Some(shown.clone());
        }
        self.send(url, headers, Some(&shown))
    }

    fn send(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        authorization: Option<&str>,
    ) -> Result<Response<Body>, Failure> {
        let mut request = self.agent.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        request.call().map_err(|err| self.broken(err))
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
        match status.as_u16() {
            401 => Failure::Final(match &self.login {
                None => told(format!("the registry wants to know who you are: {log_in}")),
                Some(login) => told(format!(
                    "the registry does not take the login from {}; again: {log_in}",
                    login.from
                )),
            }),
            403 => Failure::Final(told(format!(
                "ask its owner for the right to pull it, or be somebody else: {log_in}"
            ))),
            404 => Failure::Final(told("check the name and the tag".to_owned())),
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

/// `: manifest unknown`, from the first of the errors that the specification has.
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
    }
    let mut text = String::new();
    let read = answer.body_mut().as_reader().take(LONGEST_REPORT).read_to_string(&mut text);
    let errors = read.ok().and_then(|_| serde_json::from_str::<Errors>(&text).ok());
    let first = errors.and_then(|errors| errors.errors.into_iter().next());
    let said = first.map(|one| if one.message.is_empty() { one.code } else { one.message });
    // Of a stranger: nothing that a terminal would obey.
    let said = said.map(|said| said.chars().filter(|c| !c.is_control()).take(200).collect());
    said.map(|said: String| format!(": {said}")).unwrap_or_default()
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
