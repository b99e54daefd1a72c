//! HTTP over TCP and TLS: with whose certificates, how long to wait, and what its errors mean.
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
use std::io;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

/// Headers of an answer in bytes; registries and their stores send two thousand.
const LONGEST_HEADER: usize = 64 * 1024;

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
