//! Between the caller's streams and a program in a container.
//!
//! Runs in: an ordinary process of the user, while the runtime runs as its child.
//!
//! A terminal that a program of the container has open can be read by all that it leaves behind,
//! also what is typed after the command has ended; and a file of the host can be opened anew with
//! more rights, by way of /proc/self/fd. So the container gets pipes in their place.

use anyhow::{Context as _, Result};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;
use rustix::fs::{FileType, fstat, makedev};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Stdio};

/// `/proc/sys/fs/pipe-max-size`, in bytes. A writer without an end is not waited for.
const LARGEST: usize = 1 << 20;

/// What a container may have itself: a pipe, a socket, /dev/null.
fn is_harmless(stream: BorrowedFd<'_>) -> Result<bool> {
    let stat = fstat(stream).context("fstat")?;
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo | FileType::Socket => true,
        FileType::CharacterDevice => stat.st_rdev == makedev(1, 3),
        FileType::RegularFile
        | FileType::Directory
        | FileType::Symlink
        | FileType::BlockDevice
        | FileType::Unknown => false,
    })
}

/// For the program's standard input. What comes is passed on until this process ends.
pub(super) fn input() -> Result<Stdio> {
    let ours = io::stdin().as_fd().try_clone_to_owned().context("dup(standard input)")?;
    if is_harmless(ours.as_fd())? {
        return Ok(Stdio::from(ours));
    }
    let (theirs, end) = pipe2(OFlag::O_CLOEXEC).context("pipe2")?;
    let pass = move || io::copy(&mut File::from(ours), &mut File::from(end)).ok();
    std::thread::Builder::new().spawn(pass).context("start a thread")?;
    Ok(Stdio::from(theirs))
}

/// What the program says, on its way to one of our streams.
pub(super) struct Output {
    from: File,
    to: File,
}

/// For the program's standard output or error, and what has to be [passed](pass) on.
pub(super) fn output(stream: impl AsFd) -> Result<(Stdio, Option<Output>)> {
    let ours = stream.as_fd().try_clone_to_owned().context("dup(a standard stream)")?;
    if is_harmless(ours.as_fd())? {
        return Ok((Stdio::from(ours), None));
    }
    let (from, theirs) = pipe2(OFlag::O_CLOEXEC).context("pipe2")?;
    rustix::io::ioctl_fionbio(&from, true).context("ioctl(FIONBIO)")?;
    Ok((Stdio::from(theirs), Some(Output { from: File::from(from), to: File::from(ours) })))
}

/// Passes on what comes until the child has ended, and what there is by then. Others in the
/// container may keep the pipes open for longer.
pub(super) fn pass(child: &Child, mut outputs: Vec<Output>) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(child.id())?).context("a child without a pid")?;
    let end: OwnedFd = pidfd_open(pid, PidfdFlags::empty()).context("pidfd_open")?;
    let mut buffer = vec![0; 64 * 1024];
    while !outputs.is_empty() {
        let mut fds = vec![PollFd::new(end.as_fd(), PollFlags::POLLIN)];
        fds.extend(outputs.iter().map(|one| PollFd::new(one.from.as_fd(), PollFlags::POLLIN)));
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            polled => polled.context("poll")?,
        };
        let has_ended = fds.first().and_then(PollFd::any).unwrap_or_default();
        drop(fds);
        outputs.retain_mut(|one| one.pass(&mut buffer));
        if has_ended {
            return Ok(());
        }
    }
    Ok(())
}

impl Output {
    /// What is there, as far as a pipe can hold it. False at its end, or when nobody takes it.
    fn pass(&mut self, buffer: &mut [u8]) -> bool {
        let mut passed = 0;
        while passed < LARGEST {
            match rustix::io::read(&self.from, &mut *buffer) {
                Ok(0) => return false,
                Ok(count) => {
                    passed += count;
                    if self.to.write_all(buffer.get(..count).unwrap_or_default()).is_err() {
                        return false;
                    }
                }
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        true
    }
}
