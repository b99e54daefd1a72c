//! keyrings(7): a session keyring of the container's own.
//!
//! Runs in: init.

use super::{Result, check};
use std::ffi::CStr;

/// `keyctl(2)` `KEYCTL_JOIN_SESSION_KEYRING`: makes or joins the named keyring.
///
/// # Errors
/// `EDQUOT`: kernel.keys.maxkeys. `ENOSYS`: a kernel without keys.
pub(crate) fn join_session_keyring(name: &CStr) -> Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: the name is terminated and outlives the call.
    let ret = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) };
    check(ret, || format!("keyctl(KEYCTL_JOIN_SESSION_KEYRING, {name:?})")).map(drop)
}
