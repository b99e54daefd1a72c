//! HTTP over TCP and TLS: with whose certificates, how long to wait, what goes with a request, and
//! what errors mean.
//!
//! Runs in: an ordinary process of the user; the agent is used by several threads.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "errors of ureq and rustls are many, may become more, and few have a cure of their own"
)]

use super::certs;
use super::conf::host;
use super::session::Options;
use crate::error::hinted;
use anyhow::{Result, anyhow};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;
use ureq::http::{Method, Request, Response, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, SendBody};

/// Headers of an answer in bytes; registries and their stores send two thousand.
const LONGEST_HEADER: usize = 64 * 1024;

/// A body of more bytes is sent when the registry says that it wants it: a refusal would be lost
/// when the connection is cut meanwhile.
const EXPECTED: u64 = 1 << 20;

/// What goes with a request. It can be sent again: who we are may be asked only then.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    None,
    Bytes(&'a [u8]),
    Part(Part<'a>),
}

/// Of a file; told is how far it has gone.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) file: &'a File,
    /// Where it begins, and where it ends.
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) sent: &'a (dyn Fn(u64) + Sync),
    /// Whether to go on.
    pub(super) goes_on: &'a (dyn Fn() -> bool + Sync),
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !(self.goes_on)() {
            return Err(io::Error::other("stopped"));
        }
        let most = usize::try_from(self.to - self.from).unwrap_or(usize::MAX).min(buffer.len());
        let room = buffer.get_mut(..most).unwrap_or_default();
        let count = self.file.read_at(room, self.from)?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.from += count as u64;
        (self.sent)(self.from);
        Ok(count)
    }
}

/// One request, and its answer whatever its status is.
pub(super) fn send(
    agent: &Agent,
    method: &Method,
    url: &str,
    headers: &[(&str, &str)],
    content: Content<'_>,
) -> Result<Response<Body>, ureq::Error> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match content {
        Content::None if matches!(method, &Method::POST | &Method::PUT | &Method::PATCH) => {
            agent.run(request.body(&[][..])?)
        }
        Content::None => agent.run(request.body(())?),
        Content::Bytes(bytes) => agent.run(request.body(bytes)?),
        Content::Part(mut part) => {
            let length = part.to - part.from;
            request = request.header(header::CONTENT_LENGTH, length);
            if length > EXPECTED {
                request = request.header(header::EXPECT, "100-continue");
            }
            agent.run(request.body(SendBody::from_reader(&mut part))?)
        }
    }
}

/// Whether a certificate has to be vouched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verify {
    Yes,
    No,
}

/// Redirects are followed, without our credentials.
pub(super) fn agent(registry: &str, verify: Verify, options: &Options) -> Result<Agent> {
    // An error says only that another thread was quicker.
    rustls::crypto::ring::default_provider().install_default().ok();
    let local = certs::of(registry, options.cert_dir.as_deref())?.unwrap_or_default();
    let mut roots = local.roots;
    if verify == Verify::Yes {
        roots.extend(certs::system()?);
    }
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::from(roots))
        .client_cert(local.own)
        .disable_verification(verify == Verify::No)
        .build();
    let loopback = host(registry) == "localhost"
        || host(registry).parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    let mut config = Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .https_only(verify == Verify::Yes)
        .user_agent(concat!("bundles/", env!("CARGO_PKG_VERSION")))
        .max_response_header_size(LONGEST_HEADER)
        .input_buffer_size(256 * 1024)
        .timeout_resolve(Some(options.timeout.min(Duration::from_secs(15))))
        .timeout_connect(Some(options.timeout.min(Duration::from_secs(15))))
        .timeout_recv_response(Some(options.timeout))
        .timeout_per_read(Some(options.timeout))
        .timeout_per_write(Some(options.timeout));
    if loopback {
        config = config.proxy(None);
    }
    Ok(config.build().new_agent())
}

/// Whether the next attempt may well succeed.
pub(super) fn is_passing(err: &ureq::Error) -> bool {
    match err {
        ureq::Error::Io(err) => tls_error(err).is_none(),
        ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed => true,
        _ => false,
    }
}

/// Whether somebody is there who does not speak TLS.
pub(super) fn is_plain(err: &ureq::Error) -> bool {
    let found = match err {
        ureq::Error::Rustls(err) => Some(err),
        ureq::Error::Io(err) => tls_error(err),
        _ => None,
    };
    matches!(found, Some(rustls::Error::InvalidMessage(_)))
}

fn tls_error(err: &io::Error) -> Option<&rustls::Error> {
    err.get_ref().and_then(|inner| inner.downcast_ref())
}

/// What was met at a host, with the cure.
pub(super) fn explain(err: &ureq::Error, registry: &str, timeout: Duration) -> anyhow::Error {
    let tls = match err {
        ureq::Error::Rustls(err) => Some(err),
        ureq::Error::Io(err) => tls_error(err),
        _ => None,
    };
    if let Some(tls) = tls {
        return explain_tls(tls, registry);
    }
    let (text, hint) = match err {
        ureq::Error::HostNotFound => (
            "no host of this name is known".to_owned(),
            "check the name, and the name servers in /etc/resolv.conf",
        ),
        ureq::Error::Timeout(_) => (
            format!("silent for {} s", timeout.as_secs_f32()),
            "try again later, or wait longer with --timeout SECONDS",
        ),
        ureq::Error::LargeResponseHeader(..) => (
            format!("the headers of its answer have more than {LONGEST_HEADER} bytes"),
            "check that a registry answers there",
        ),
        ureq::Error::RequireHttpsOnly(url) => {
            (format!("leads to {url}, without TLS"), "if that network is trusted: --insecure")
        }
        ureq::Error::Io(err) if err.kind() != io::ErrorKind::ConnectionRefused => {
            (err.to_string(), "check the network, and try again: what has come is kept")
        }
        ureq::Error::Io(_) | ureq::Error::ConnectionFailed => {
            ("connection refused".to_owned(), "check that the registry runs there, and the port")
        }
        other => (other.to_string(), "check that a registry answers there, and try again"),
    };
    hinted(anyhow!("{registry}: {text}"), hint)
}

fn explain_tls(err: &rustls::Error, registry: &str) -> anyhow::Error {
    use rustls::{CertificateError, Error};
    let (text, hint) = match err {
        Error::InvalidMessage(_) => (
            "speaks no TLS".to_owned(),
            format!(
                "if that network is trusted: --insecure, or insecure = true for {registry} in registries.conf"
            ),
        ),
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => (
            "its certificate is of an authority that is not trusted".to_owned(),
            format!(
                "put the authority's certificate into /etc/containers/certs.d/{registry}/ca.crt"
            ),
        ),
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => (
            "its certificate is that of another host".to_owned(),
            "use the name that is in the certificate".to_owned(),
        ),
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => (
            "its certificate has expired".to_owned(),
            "have it renewed, and check this machine's clock".to_owned(),
        ),
        other => (
            format!("TLS: {other}"),
            "check the registry's certificate and key, or trust it as it is: --insecure".to_owned(),
        ),
    };
    hinted(anyhow!("{registry}: {text}"), hint)
}
