//! Calling `bundles`, with a home of the test's own; what it runs is run by the runtime under test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::call::Call;
use crate::isolate::scratch;
use crate::requires;

/// From `--bundles`.
pub(crate) fn program() -> Option<PathBuf> {
    std::env::var_os("RT_TEST_BUNDLES").map(PathBuf::from)
}

/// Where it keeps everything.
pub fn home() -> PathBuf {
    scratch().join("home")
}

/// A call of the companion.
pub fn bundles<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Call {
    bundles_of(&home()).args(args)
}

/// The same with another home.
pub fn bundles_of(home: &Path) -> Call {
    requires!(companion);
    let program = program().expect("required above");
    Call::of(program, ["--root".as_ref(), home.as_os_str()])
}
