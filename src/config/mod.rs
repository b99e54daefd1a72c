//! Reads and parses config.json and process.json.
//!
//! Runs in: parent. The only file beside `plan` which names oci-spec's types.

mod field;

use anyhow::{Context as _, Result};
use oci_spec::runtime::{LinuxResources, Process, Spec};
use serde::de::DeserializeOwned;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// A parsed config and its bytes, which are kept for `exec`.
pub(crate) struct Config {
    pub(crate) spec: Spec,
    pub(crate) bytes: Vec<u8>,
}

/// The bundle's directory, absolute and existing.
pub(crate) fn bundle(path: Option<&Path>) -> Result<PathBuf> {
    let path = path.unwrap_or(Path::new("."));
    path.canonicalize()
        .map_err(|err| io(&err))
        .with_context(|| format!("bundle {}", path.display()))
}

/// `config` is relative to the bundle (`--config`).
pub(crate) fn load(bundle: &Path, config: Option<&Path>) -> Result<Config> {
    let path = bundle.join(config.unwrap_or(Path::new("config.json")));
    let bytes =
        std::fs::read(&path).map_err(|err| io(&err)).with_context(|| path.display().to_string())?;
    let bytes = with_user(bytes, "/process/user");
    let spec = parse(&bytes).with_context(|| path.display().to_string())?;
    Ok(Config { spec, bytes })
}

/// The config that a container was created with.
pub(crate) fn parse_saved(bytes: &[u8]) -> Result<Spec> {
    parse(bytes).context("the container's saved config")
}

pub(crate) fn load_process(path: &Path) -> Result<Process> {
    let bytes =
        std::fs::read(path).map_err(|err| io(&err)).with_context(|| path.display().to_string())?;
    parse(&with_user(bytes, "/user")).with_context(|| path.display().to_string())
}

/// runc takes a process without `user` as root's; oci-spec's type wants the object. Looked at only
/// where the word is missing, so that a usual config is parsed once.
fn with_user(bytes: Vec<u8>, pointer: &str) -> Vec<u8> {
    let word = b"\"user\"";
    if bytes.windows(word.len()).any(|window| window == word) {
        return bytes;
    }
    let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(&bytes) else { return bytes };
    let (parent, key) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    match value.pointer_mut(parent).and_then(serde_json::Value::as_object_mut) {
        Some(process) => {
            process.insert(key.into(), serde_json::json!({}));
            value.to_string().into_bytes()
        }
        None => bytes,
    }
}

/// `-` reads standard input.
pub(crate) fn load_resources(path: &Path) -> Result<LinuxResources> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).context("standard input")?;
        return parse(&bytes).context("standard input");
    }
    let bytes =
        std::fs::read(path).map_err(|err| io(&err)).with_context(|| path.display().to_string())?;
    parse(&bytes).with_context(|| path.display().to_string())
}

/// serde_json's errors end with "at line 3 column 5"; the field is put before.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let text = std::str::from_utf8(bytes).context("not UTF-8 text")?;
    serde_json::from_str(text).map_err(|err| {
        let field = if err.is_data() { field::at(text, err.line(), err.column()) } else { None };
        match field {
            Some(field) => anyhow::Error::from(err).context(field),
            None => err.into(),
        }
    })
}

/// An I/O error in the words that every other error uses.
pub(crate) fn io(err: &std::io::Error) -> anyhow::Error {
    match err.raw_os_error().map(nix::errno::Errno::from_raw) {
        Some(errno) => anyhow::anyhow!("{} ({errno:?})", crate::sys::reason(errno)),
        None => anyhow::anyhow!("{err}"),
    }
}
