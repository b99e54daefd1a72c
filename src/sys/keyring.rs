//! keyrings(7): a session keyring of the container's own.
//!
//! Runs in: init.

use super::{Result, check};
use std::ffi::CStr;

/// The serial number of a key or keyring.
pub(crate) type Serial = libc::c_long;

/// `keyctl(2)` `KEYCTL_JOIN_SESSION_KEYRING`: makes the named keyring, or joins it where its owner
/// is the caller and lets the owner search it.
///
/// # Errors
/// `EDQUOT`: kernel.keys.maxkeys. `ENOSYS`: a kernel without keys.
pub(crate) fn join_session_keyring(name: &CStr) -> Result<Serial> {
    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: the name is terminated and outlives the call.
    let ret = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) };
    check(ret, || format!("keyctl(KEYCTL_JOIN_SESSION_KEYRING, {name:?})"))
}

/// `keyctl(2)` `KEYCTL_SETPERM`: what session keyrings have from birth, and search for the owner.
pub(crate) fn let_owner_search(keyring: Serial) -> Result<()> {
    const SETPERM: libc::c_int = 5;
    // keyrings(7): all for the possessor; view, read, search, link for the owner.
    const PERMISSIONS: libc::c_int = 0x3f1b_0000;
    // SAFETY: takes numbers only.
    let ret = unsafe { libc::syscall(libc::SYS_keyctl, SETPERM, keyring, PERMISSIONS) };
    check(ret, || format!("keyctl(KEYCTL_SETPERM, {keyring}, {PERMISSIONS:#x})")).map(drop)
}
