//! System calls that `nix` does not wrap, under the names of their man pages.
//!
//! Runs in: any process. Knows nothing about containers. Allocates on the error path only.
#![expect(unsafe_code, reason = "the one place that talks to the kernel directly")]

#[cfg(test)]
pub(crate) mod libseccomp;
#[cfg_attr(not(test), expect(dead_code, reason = "the loader is not there yet"))]
pub(crate) mod seccomp;

use nix::errno::Errno;
use std::fmt;

/// A system call that failed, written the way strace would write it.
#[derive(Debug)]
pub(crate) struct Error {
    call: String,
    pub(crate) errno: Errno,
}

impl Error {
    pub(crate) fn new(call: impl Into<String>, errno: Errno) -> Self {
        Self { call: call.into(), errno }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({:?})", self.call, self.errno.desc(), self.errno)
    }
}

impl std::error::Error for Error {}

/// Result of a system call.
pub(crate) type Result<T> = std::result::Result<T, Error>;
