//! One blob on its way to a registry, however often the connection is cut.
//!
//! Runs in: a thread of its own for each blob.
//!
//! A blob goes in one request. When that was cut, the registry is asked how much it has, and gets
//! the rest in pieces. One that does not know any more gets all of it again.
//!
//! Source: the OCI distribution specification, "Push".

use super::http::{Content, Part};
use super::session::{Failure, Session};
use crate::digest::{Digest, Hashing};
use crate::error::hinted;
use anyhow::{Context as _, Result, anyhow};
use std::fs::File;
use std::io;
use ureq::Body;
use ureq::http::{Method, Response, header};

/// Bytes of a piece, unless the registry wants larger ones. Proxies often refuse more than 10 MB.
const PIECE: u64 = 8 << 20;

/// What has become of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Pushed,
    /// The registry took it from another of its repositories.
    Mounted,
    WasThere,
}

pub(crate) struct Upload<'a> {
    pub(crate) session: &'a Session,
    pub(crate) digest: &'a Digest,
    pub(crate) file: &'a File,
    /// In bytes.
    pub(crate) size: u64,
    /// A repository of the same registry that may have it.
    pub(crate) source: Option<&'a str>,
    /// Told how many bytes the registry has got.
    pub(crate) sent: &'a (dyn Fn(u64) + Sync),
}

/// An upload that the registry knows of.
struct Begun {
    location: String,
    /// Bytes that have arrived.
    at: u64,
    /// Smallest piece but the last, in bytes.
    least: u64,
    /// All at once was tried, and cut, or too much.
    in_pieces: bool,
    /// The last request has failed: nobody knows how much of it has arrived.
    in_doubt: bool,
}

impl Upload<'_> {
    /// # Errors
    /// When the registry refuses, or after as many attempts without progress as are allowed.
    pub(crate) fn run(&self) -> Result<Sent> {
        let mut failures = 0;
        let mut reached = 0;
        let mut begun = None;
        loop {
            let failure = match self.attempt(&mut begun) {
                Ok(sent) => return Ok(sent),
                Err(failure) => failure,
            };
            let at = begun.as_ref().map_or(0, |begun: &Begun| begun.at);
            if at > reached {
                reached = at;
                failures = 0;
            }
            self.session.pause(failure, &mut failures)?;
        }
    }

    fn attempt(&self, kept: &mut Option<Begun>) -> Result<Sent, Failure> {
        if let Some(begun) = kept.as_mut().filter(|begun| begun.in_doubt)
            && !self.resume(begun)?
        {
            *kept = None;
        }
        let begun = match kept {
            Some(begun) => begun,
            None => {
                if self.is_there()? {
                    return Ok(Sent::WasThere);
                }
                match self.begin()? {
                    Some(begun) => kept.insert(begun),
                    None => return Ok(Sent::Mounted),
                }
            }
        };
        begun.in_doubt = true;
        if !begun.in_pieces {
            let mut answer = self.put(begun, true)?;
            match answer.status().as_u16() {
                200..300 => return Ok(Sent::Pushed),
                413 => begun.in_pieces = true,
                _ => return Err(self.refused(&mut answer, kept)),
            }
        }
        while begun.at < self.size {
            let mut answer = self.piece(begun)?;
            match answer.status().as_u16() {
                200..300 => self.went_on(begun, &answer)?,
                _ => return Err(self.refused(&mut answer, kept)),
            }
        }
        let mut answer = self.put(begun, false)?;
        match answer.status().as_u16() {
            200..300 => Ok(Sent::Pushed),
            _ => Err(self.refused(&mut answer, kept)),
        }
    }

    fn is_there(&self) -> Result<bool, Failure> {
        let place = format!("blobs/{}", self.digest);
        let url = self.session.url(&place);
        let mut answer = self.session.ask(&Method::HEAD, &url, &[], Content::None)?;
        match answer.status().as_u16() {
            200..300 => Ok(true),
            // Nothing to see is no reason not to send it; whoever may not is told then.
            403..=405 => Ok(false),
            _ => Err(self.session.refused(&mut answer, &place)),
        }
    }

    /// `None` if the registry has taken the blob from another repository.
    fn begin(&self) -> Result<Option<Begun>, Failure> {
        let place = match self.source {
            Some(from) => format!("blobs/uploads/?mount={}&from={from}", self.digest),
            None => "blobs/uploads/".to_owned(),
        };
        let url = self.session.url(&place);
        let mut answer = self.session.ask(&Method::POST, &url, &[], Content::None)?;
        match answer.status().as_u16() {
            201 if self.source.is_some() => Ok(None),
            202 => {
                let least = number(&answer, "oci-chunk-min-length").unwrap_or(0);
                let location = self.location(&answer)?;
                let (in_pieces, in_doubt) = (false, false);
                Ok(Some(Begun { location, at: 0, least, in_pieces, in_doubt }))
            }
            _ => Err(self.session.refused(&mut answer, "blobs/uploads/")),
        }
    }

    /// Asks how much has arrived. False if it is better to begin anew.
    fn resume(&self, begun: &mut Begun) -> Result<bool, Failure> {
        let mut answer = self.session.ask(&Method::GET, &begun.location, &[], Content::None)?;
        match answer.status().as_u16() {
            200..300 => {}
            status @ (408 | 429 | 500..) if status != 501 => {
                return Err(self.session.refused(&mut answer, "blobs/uploads/"));
            }
            _ => return Ok(false),
        }
        let arrived = arrived(&answer).unwrap_or(0);
        if arrived > self.size || (arrived == 0 && !begun.in_pieces) {
            return Ok(false);
        }
        if let Some(location) = self.session.located(&answer) {
            begun.location = location;
        }
        (begun.at, begun.in_pieces, begun.in_doubt) = (arrived, true, false);
        Ok(true)
    }

    /// All of it, or the end of what was sent in pieces.
    fn put(&self, begun: &Begun, whole: bool) -> Result<Response<Body>, Failure> {
        let and = if begun.location.contains('?') { '&' } else { '?' };
        let url = format!("{}{and}digest={}", begun.location, self.digest);
        let goes_on = || !self.session.is_stopped();
        let part = Content::Part(self.part(0, self.size, &goes_on));
        let content = if whole { part } else { Content::None };
        let headers = [("Content-Type", "application/octet-stream")];
        self.session.ask(&Method::PUT, &url, &headers, content)
    }

    fn piece(&self, begun: &Begun) -> Result<Response<Body>, Failure> {
        let to = self.end(begun);
        let range = format!("{}-{}", begun.at, to - 1);
        let headers = [("Content-Type", "application/octet-stream"), ("Content-Range", &*range)];
        let goes_on = || !self.session.is_stopped();
        let content = Content::Part(self.part(begun.at, to, &goes_on));
        self.session.ask(&Method::PATCH, &begun.location, &headers, content)
    }

    fn part<'a>(&'a self, from: u64, to: u64, goes_on: &'a (dyn Fn() -> bool + Sync)) -> Part<'a> {
        Part { file: self.file, from, to, sent: self.sent, goes_on }
    }

    /// Of the piece that is next.
    fn end(&self, begun: &Begun) -> u64 {
        begun.at.saturating_add(PIECE.max(begun.least)).min(self.size)
    }

    /// After a piece: on to where the registry says.
    fn went_on(&self, begun: &mut Begun, answer: &Response<Body>) -> Result<(), Failure> {
        let arrived = arrived(answer).unwrap_or_else(|| self.end(begun));
        if arrived <= begun.at || arrived > self.size {
            let registry = &self.session.endpoint.registry;
            let at = begun.at;
            let err = anyhow!("{registry}: took a piece from byte {at}, and has {arrived} bytes");
            return Err(Failure::Final(err));
        }
        begun.location = self.location(answer)?;
        begun.at = arrived;
        Ok(())
    }

    fn location(&self, answer: &Response<Body>) -> Result<String, Failure> {
        let registry = &self.session.endpoint.registry;
        let location = self.session.located(answer);
        Ok(location.with_context(|| format!("{registry}: does not say where to upload to"))?)
    }

    /// What came in doubtful pieces may pass when it is sent as a whole.
    fn refused(&self, answer: &mut Response<Body>, kept: &mut Option<Begun>) -> Failure {
        let resumed = kept.as_ref().is_some_and(|begun| begun.in_pieces);
        let status = answer.status().as_u16();
        let failure = self.session.refused(answer, "blobs/uploads/");
        match (status, failure) {
            // The range was not the one that it waits for: it says which, if asked.
            (416, Failure::Final(err)) => Failure::Passing(err, None),
            (404, Failure::Final(err)) => {
                *kept = None;
                Failure::Passing(err, None)
            }
            (400, Failure::Final(err)) if resumed => {
                *kept = None;
                Failure::Passing(err, None)
            }
            (400, Failure::Final(err)) => Failure::Final(self.damaged().unwrap_or(err)),
            (_, failure) => failure,
        }
    }

    /// Why the registry is right not to take it.
    fn damaged(&self) -> Option<anyhow::Error> {
        let mut hashing = Hashing::new(self.file.try_clone().ok()?);
        io::copy(&mut hashing, &mut io::sink()).ok()?;
        let (found, _) = hashing.finish();
        let damage = anyhow!("blob {}: its content has changed: {found}", self.digest);
        let hint = "remove the image and get it again: the disk or somebody has changed it";
        (found != *self.digest).then(|| hinted(damage, hint))
    }
}

/// `Range: 0-LAST`, in bytes that there are. A registry that has none says `0-0`, too.
fn arrived(answer: &Response<Body>) -> Option<u64> {
    let range = answer.headers().get(header::RANGE)?.to_str().ok()?;
    let (_, last) = range.trim_start_matches("bytes=").split_once('-')?;
    let last: u64 = last.trim().parse().ok()?;
    Some(if last == 0 { 0 } else { last.checked_add(1)? })
}

fn number(answer: &Response<Body>, name: &str) -> Option<u64> {
    answer.headers().get(name)?.to_str().ok()?.trim().parse().ok()
}
