//! keyrings(7): a session keyring of the container's own.
//!
//! Runs in: init.

use super::{Result, check};
use std::ffi::CStr;

/// `keyctl(2)` `KEYCTL_JOIN_SESSION_KEYRING`: makes or joins the named keyring, which others of the
/// same user may then join, too (exec).
///
/// # Errors
/// `EDQUOT`: kernel.keys.maxkeys. `ENOSYS`: a kernel without keys.
pub(crate) fn join_session_keyring(name: &CStr) -> Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: the name is terminated and outlives the call.
    let ret = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) };
    let keyring = check(ret, || format!("keyctl(KEYCTL_JOIN_SESSION_KEYRING, {name:?})"))?;
    // All rights for processes that have it; view, read, search and link for the user's others.
    // The kernel's default lacks search, without which a keyring is not found by its name.
    const SETPERM: libc::c_int = 5;
    const PERMISSIONS: libc::c_int = 0x3f1b_0000;
    // SAFETY: takes numbers only.
    let ret = unsafe { libc::syscall(libc::SYS_keyctl, SETPERM, keyring, PERMISSIONS) };
    // Who joins one that was made by another user may use it and not change it.
    match check(ret, || format!("keyctl(KEYCTL_SETPERM, {keyring})")) {
        Err(err) if err.errno != nix::errno::Errno::EACCES => Err(err),
        _ => Ok(()),
    }
}
