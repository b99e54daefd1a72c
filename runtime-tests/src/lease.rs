//! A lease on a file, fcntl(2): whoever opens it waits until it is given back, or for 45 seconds.
#![expect(unsafe_code, reason = "fcntl(F_SETLEASE) and the signal that asks for the file")]

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use nix::errno::Errno;

/// Held until the file is dropped, and by someone who does not listen.
pub fn take(path: &Path) -> File {
    let file = File::open(path).expect("the file");
    // SAFETY: SIG_IGN runs no handler.
    unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
    // SAFETY: F_SETLEASE on a descriptor of ours.
    Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) })
        .expect("fcntl(F_SETLEASE)");
    file
}
