//! Calling `bundles`, with a home of the test's own; what it runs is run by the runtime under test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::call::Call;
use crate::isolate::scratch;
use crate::requires;
use crate::second_user::{SecondUser, UID};

/// From `--bundles`.
pub(crate) fn program() -> Option<PathBuf> {
    std::env::var_os("RT_TEST_BUNDLES").map(PathBuf::from)
}

/// Whether it needs no libraries, as a release does: a debug build may.
pub fn is_static() -> bool {
    let bytes = std::fs::read(program().unwrap_or_default()).unwrap_or_default();
    !bytes.windows(9).any(|window| window == b"/ld-linux")
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

/// A call of the companion by the second user, with the home that is usual for him.
pub fn bundles_as<S: AsRef<OsStr>>(user: &SecondUser, args: impl IntoIterator<Item = S>) -> Call {
    requires!(companion);
    let program = program().expect("required above");
    let ids = [format!("--reuid={UID}"), format!("--regid={UID}")];
    let words = ["/usr/bin/setpriv", &ids[0], &ids[1], "--clear-groups"];
    let share = user.directory("share");
    Call::of(program, args)
        .through(words)
        .cwd(user.dir())
        .env("XDG_DATA_HOME", share.to_str().expect("UTF-8"))
}
