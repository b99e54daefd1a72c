//! The first instructions of the process, in place of Rust's own start-up code.
//!
//! Runs in: parent. `rt` starts twice for every container (`seal.rs`), and std's start-up makes 13
//! system calls: an alternate signal stack to report stack overflows, which a program of this size
//! does without, among them. What matters of it is done here.
//! See `docs/decisions/0006-start-up.md`.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt as _;

/// The C library's entry. Not for unit tests, which have std's.
#[cfg(not(test))]
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    open_standard_streams();
    // A hook that does not read its stdin, or a reader of ours that has gone, is an error to
    // handle and no reason to die. Init sets it back.
    // SAFETY: SIG_IGN installs no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    // If the caller ignores it, the kernel reaps our children unseen: no exit status, and a pid that
    // we are about to name (`userns.rs`) could be that of another process.
    // SAFETY: SIG_DFL installs no handler.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    // SAFETY: these are the arguments of main.
    let args = unsafe { arguments(argc, argv) };
    crate::main(args)
}

/// A descriptor 0, 1 or 2 that the caller left closed would be taken by the next file that we
/// open, and the payload would get that as its standard stream.
fn open_standard_streams() {
    let mut streams = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: the array outlives the call, its length is given.
    let polled = unsafe { libc::poll(streams.as_mut_ptr(), 3, 0) };
    for stream in streams {
        if polled >= 0 && stream.revents & libc::POLLNVAL != 0 {
            // The lowest free number is the one that is missing.
            // SAFETY: the path is a literal.
            let opened = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
            if opened < 0 {
                super::exit_now(70);
            }
        }
    }
}

/// # Safety
/// `argv` points to `argc` terminated strings that live for ever.
unsafe fn arguments(argc: c_int, argv: *const *const c_char) -> Vec<OsString> {
    // SAFETY: argv points to argc pointers.
    let args = unsafe { std::slice::from_raw_parts(argv, usize::try_from(argc).unwrap_or(0)) };
    let text = |arg: &*const c_char| {
        // SAFETY: the caller promises terminated strings.
        let arg = unsafe { CStr::from_ptr(*arg) };
        OsStr::from_bytes(arg.to_bytes()).to_os_string()
    };
    args.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_bytes() {
        let argv = [c"rt".as_ptr(), c"\xff x".as_ptr()];
        // SAFETY: two terminated literals.
        let args = unsafe { arguments(2, argv.as_ptr()) };
        assert_eq!(args, [OsStr::new("rt"), OsStr::from_bytes(b"\xff x")]);
        open_standard_streams();
    }
}
