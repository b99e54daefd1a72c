//! Which runtime is under test.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The runtimes whose differences the tests know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    Rt,
    Runc,
    Crun,
    Other,
}

/// The program under test, from the environment variable `RT`.
pub fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        PathBuf::from(std::env::var_os("RT").unwrap_or_else(|| OsString::from("rt")))
    })
}

/// What `RT --version` prints.
pub fn version_text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let output = Command::new(path()).arg("--version").output();
        output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default()
    })
}

/// The kind of runtime: by file name first (`rt` says "runc version" too, for engines), else by
/// the first word of its version text.
pub fn runtime() -> Runtime {
    static KIND: OnceLock<Runtime> = OnceLock::new();
    *KIND.get_or_init(|| {
        let name = path().file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let first = version_text().split_whitespace().next().unwrap_or_default();
        for word in [name.as_str(), first] {
            match word {
                "rt" => return Runtime::Rt,
                w if w.starts_with("runc") => return Runtime::Runc,
                w if w.starts_with("crun") => return Runtime::Crun,
                _ => {}
            }
        }
        Runtime::Other
    })
}
