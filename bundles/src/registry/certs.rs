//! Certificates: of the authorities of this machine, and those that were laid down for one registry.
//!
//! Runs in: an ordinary process of the user. Privilege: none; it only reads.
//!
//! Sources: containers-certs.d(5); Docker's "Verify repository client with certificates".

use super::config_home;
use crate::error::OrHint as _;
use crate::home::entries;
use anyhow::{Context as _, Result, anyhow};
use std::fs;
use std::path::{Path, PathBuf};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, parse_pem};

/// Files with all authorities, of Debian, Fedora, SUSE and Alpine.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

#[derive(Default)]
pub(super) struct Certificates {
    /// Of authorities; those of the system are not among them.
    pub(super) roots: Vec<Certificate<'static>>,
    /// With which we show who we are.
    pub(super) own: Option<ClientCert>,
}

/// What is there for a registry: `*.crt` of authorities, `NAME.cert` with `NAME.key` for us.
/// `None` if there is no directory for it.
pub(super) fn of(registry: &str, chosen: Option<&Path>) -> Result<Option<Certificates>> {
    let directories = match chosen {
        Some(chosen) => {
            fs::read_dir(chosen).with_context(|| format!("--cert-dir {}", chosen.display()))?;
            vec![chosen.to_owned()]
        }
        None => places(registry),
    };
    let mut found = Certificates::default();
    let mut any = false;
    for dir in directories.iter().filter(|dir| dir.is_dir()) {
        any = true;
        for path in entries(dir)? {
            match path.extension().and_then(|name| name.to_str()) {
                Some("crt") => found.roots.extend(certificates(&path)?),
                Some("cert") => {
                    let key = key(&path.with_extension("key"))?;
                    let chain = certificates(&path)?;
                    found.own = Some(ClientCert::new_with_certs(&chain, key));
                }
                Some(_) | None => {}
            }
        }
    }
    Ok(any.then_some(found))
}

fn places(registry: &str) -> Vec<PathBuf> {
    let user = config_home().map(|dir| dir.join("containers"));
    let all = ["/etc/docker", "/etc/containers"].map(PathBuf::from).into_iter().chain(user);
    all.map(|dir| dir.join("certs.d").join(registry)).collect()
}

/// The authorities that this machine trusts: `$SSL_CERT_FILE`, or the distribution's file.
pub(super) fn system() -> Result<Vec<Certificate<'static>>> {
    let chosen = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = SYSTEM.iter().map(PathBuf::from).find(|path| path.exists());
    // Without any, a registry may still have its own in certs.d.
    chosen.or(usual).map(|path| certificates(&path)).unwrap_or_else(|| Ok(Vec::new()))
}

fn items(path: &Path) -> Result<Vec<PemItem<'static>>> {
    let text = fs::read(path).with_context(|| path.display().to_string())?;
    let items: Result<Vec<_>, _> = parse_pem(&text).collect();
    items.map_err(|err| anyhow!("{}: {err}", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let of = |item| {
        if let PemItem::Certificate(certificate) = item { Some(certificate) } else { None }
    };
    let found: Vec<_> = items(path)?.into_iter().filter_map(of).collect();
    match found.is_empty() {
        true => Err(anyhow!("{}: no certificate in it", path.display()))
            .hint("certificates are in PEM: openssl x509 -inform der -in FILE -out FILE.crt"),
        false => Ok(found),
    }
}

fn key(path: &Path) -> Result<PrivateKey<'static>> {
    let of = |item| if let PemItem::PrivateKey(key) = item { Some(key) } else { None };
    let found = items(path)?.into_iter().find_map(of);
    found.with_context(|| format!("{}: no private key in it", path.display()))
}
