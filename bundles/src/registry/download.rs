//! The bytes of one blob, however often the connection is cut.
//!
//! Runs in: a thread of its own for each blob.
//!
//! What has come lies in a file below `tmp/` that outlives us: the next attempt, or the next
//! command, goes on behind it. Nothing is trusted for lying there. It passes through the same
//! digest as what comes from the registry.

use super::session::{Failure, Session};
use crate::digest::Digest;
use anyhow::{Context as _, Result, anyhow, bail};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use ureq::BodyReader;
use ureq::http::{Response, header};

/// Bytes which an attempt has to bring for that the count of failures starts anew.
const PROGRESS: u64 = 1 << 20;

pub(crate) struct Download<'a> {
    session: &'a Session,
    digest: &'a Digest,
    size: u64,
    /// Bytes given to the reader.
    at: u64,
    file: File,
    /// Bytes which the file had at first and which are still to be read from it.
    kept: u64,
    body: Option<BodyReader<'static>>,
    failures: u32,
    /// Where the last failure was.
    failed_at: u64,
    /// In full, since an `io::Error` would lose the hint.
    failed: Option<anyhow::Error>,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl<'a> Download<'a> {
    /// `progress` is told how many bytes there are.
    pub(crate) fn new(
        session: &'a Session,
        (digest, size): (&'a Digest, u64),
        path: &Path,
        progress: &'a (dyn Fn(u64) + Sync),
    ) -> Result<Self> {
        let mut options = OpenOptions::new();
        let opened = options.read(true).append(true).create(true).mode(0o600).open(path);
        let file = opened.with_context(|| path.display().to_string())?;
        let kept = file.metadata().with_context(|| path.display().to_string())?.len();
        if kept > size {
            file.set_len(0).with_context(|| path.display().to_string())?;
        }
        let kept = if kept > size { 0 } else { kept };
        let (body, failed) = (None, None);
        let (at, failures, failed_at) = (0, 0, 0);
        Ok(Self {
            session,
            digest,
            size,
            at,
            file,
            kept,
            body,
            failures,
            failed_at,
            failed,
            progress,
        })
    }

    /// Why reading has failed.
    pub(crate) fn failure(&mut self) -> Option<anyhow::Error> {
        self.failed.take()
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            if self.session.is_stopped() {
                bail!("stopped");
            }
            if self.at == self.size {
                return self.end();
            }
            let most = usize::try_from(self.size - self.at).unwrap_or(usize::MAX);
            let most = buffer.len().min(most);
            let room = buffer.get_mut(..most).unwrap_or_default();
            if self.kept > 0 {
                return self.again(room);
            }
            let attempt = self.attempt(room);
            match attempt {
                Ok(count) => return Ok(count),
                Err(failure) => {
                    self.body = None;
                    if self.at >= self.failed_at + PROGRESS {
                        self.failures = 0;
                    }
                    self.failed_at = self.at;
                    self.session.pause(failure, &mut self.failures)?;
                }
            }
        }
    }

    /// From the file.
    fn again(&mut self, room: &mut [u8]) -> Result<usize> {
        let most = usize::try_from(self.kept).unwrap_or(usize::MAX).min(room.len());
        let room = room.get_mut(..most).unwrap_or_default();
        let count = self.file.read(room).context("read what came earlier")?;
        if count == 0 {
            bail!("what came earlier was cut while it was read");
        }
        self.kept -= count as u64;
        self.passed(count);
        Ok(count)
    }

    fn attempt(&mut self, room: &mut [u8]) -> Result<usize, Failure> {
        if room.is_empty() {
            return Ok(0);
        }
        let body = match &mut self.body {
            Some(body) => body,
            None => {
                let body = self.open()?;
                self.body.insert(body)
            }
        };
        let count = body.read(room).map_err(|err| self.session.broken(err.into()))?;
        if count == 0 {
            let err = anyhow!(
                "{}: the connection ended after {} of {} bytes",
                self.session.endpoint.registry,
                self.at,
                self.size
            );
            return Err(Failure::Passing(err, None));
        }
        let came = room.get(..count).unwrap_or_default();
        self.file.write_all(came).context("write to tmp/")?;
        self.passed(count);
        Ok(count)
    }

    /// Asks for what is missing.
    fn open(&self) -> Result<BodyReader<'static>, Failure> {
        let place = format!("blobs/{}", self.digest);
        let range = format!("bytes={}-", self.at);
        let headers: &[(&str, &str)] = if self.at > 0 { &[("Range", &range)] } else { &[] };
        let answer = self.session.answer(&place, headers)?;
        let resumed = answer.status() == 206;
        if resumed && !starts_at(&answer, self.at) {
            let registry = &self.session.endpoint.registry;
            let err = anyhow!("{registry}: sent another part than that from byte {}", self.at);
            return Err(Failure::Final(err));
        }
        let before = if resumed { self.at } else { 0 };
        let length = answer.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|text| text.to_str().ok()?.parse::<u64>().ok());
        if let Some(length) = length
            && before.checked_add(length) != Some(self.size)
        {
            let registry = &self.session.endpoint.registry;
            let whole = before.saturating_add(length);
            let size = self.size;
            let err = anyhow!("{registry}: has {whole} bytes, the manifest says {size}");
            return Err(Failure::Final(err));
        }
        let mut body = answer.into_body().into_reader();
        if !resumed {
            // A registry that cannot resume sends all of it again.
            let skipped = io::copy(&mut (&mut body).take(self.at), &mut io::sink());
            skipped.map_err(|err| self.session.broken(err.into()))?;
        }
        Ok(body)
    }

    fn passed(&mut self, count: usize) {
        self.at += count as u64;
        (self.progress)(self.at);
    }

    /// Nothing may follow.
    fn end(&mut self) -> Result<usize> {
        if let Some(mut body) = self.body.take()
            && body.read(&mut [0]).is_ok_and(|count| count > 0)
        {
            let registry = &self.session.endpoint.registry;
            bail!("{registry}: sent more than the {} bytes of the manifest", self.size);
        }
        Ok(0)
    }
}

impl Read for Download<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(|err| {
            let text = io::Error::other(err.to_string());
            self.failed = Some(err);
            text
        })
    }
}

/// `Content-Range: bytes FIRST-LAST/SIZE`
fn starts_at(answer: &Response<ureq::Body>, at: u64) -> bool {
    let range = answer.headers().get(header::CONTENT_RANGE);
    let range =
        range.and_then(|text| text.to_str().ok()?.strip_prefix("bytes ")?.split('-').next());
    range.is_none_or(|first| first.parse() == Ok(at))
}
