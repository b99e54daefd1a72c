//! Work in another namespace, most of all of a network.
//!
//! Runs in: a thread of its own, which ends with the work. Privilege: `CAP_SYS_ADMIN` in the user
//! namespace that owns the other one, and in the caller's: an ordinary user's process has to be in
//! that of [`super::holder`].

use anyhow::{Context as _, Result, anyhow};
use nix::sched::{CloneFlags, setns, unshare};
use std::any::Any;
use std::fs::File;

/// What the work opens stays in that namespace: a socket of it reaches what is there, and listens
/// there, for all threads.
pub(crate) fn inside<T: Send>(
    namespace: &File,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    in_a_thread(|| {
        setns(namespace, CloneFlags::CLONE_NEWNET).context("setns(CLONE_NEWNET)")?;
        work()
    })
}

/// In a new one, which ends with the work unless that leaves something open.
pub(crate) fn apart<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    in_a_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET).context("unshare(CLONE_NEWNET)")?;
        work()
    })
}

/// The thread may change what it sees of the system: it ends with the work.
pub(crate) fn in_a_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| scope.spawn(work).join()).map_err(panicked)?
}

/// What is said of a thread whose result nobody has.
pub(super) fn panicked(_panic: Box<dyn Any + Send>) -> anyhow::Error {
    anyhow!("internal error, please report: a thread panicked")
}
