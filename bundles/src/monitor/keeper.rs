//! A process that keeps a second copy of one descriptor: of a container's terminal, or of the pipe
//! to its standard input. Without it a killed monitor would hang up on the container.
//!
//! Runs in: this binary, started anew by the monitor, until the container ends. Standard input is
//! what it keeps, standard output the socket where a later monitor asks for it.

use super::streams;
use anyhow::{Context as _, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::process::PidfdFlags;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(super) const NAME: &str = "bundles-keeper";
const SOCKET: &str = "keeper.sock";

const GIVE: u8 = b'g';
const END: u8 = b'e';

/// A reference to a process, which says when it has ended.
pub(super) fn pidfd(pid: i32) -> Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid).context("a pid")?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).context("pidfd_open")
}

/// Keeps it until this container ends.
pub(super) fn start(kept: &File, container: Pid) -> Result<()> {
    fs::remove_file(SOCKET).ok(); // of an earlier start
    let listener = UnixListener::bind(SOCKET).context(SOCKET)?;
    let exe = std::env::current_exe().context("/proc/self/exe")?;
    let mut keeper = Command::new(exe);
    keeper.arg0(NAME).arg(container.to_string()).stdin(Stdio::from(kept.try_clone()?));
    keeper.stdout(Stdio::from(OwnedFd::from(listener))).stderr(Stdio::null());
    keeper.process_group(0).spawn().context("start the keeper")?;
    Ok(())
}

/// What is kept.
pub(super) fn fetch() -> Result<File> {
    let mut socket = UnixStream::connect(SOCKET).context(SOCKET)?;
    socket.write_all(&[GIVE]).context(SOCKET)?;
    Ok(File::from(streams::receive_descriptor(&socket).context(SOCKET)?))
}

/// Lets it go. There may be no keeper any more.
pub(super) fn release() {
    UnixStream::connect(SOCKET).and_then(|mut socket| socket.write_all(&[END])).ok();
}

/// The keeper itself.
pub(super) fn run(container: &OsStr) -> Result<()> {
    nix::unistd::setsid().ok(); // it may be the leader of one already
    let container = container.to_str().and_then(|pid| pid.parse().ok()).context("a pid")?;
    let container = pidfd(container)?;
    let kept = io::stdin();
    let listener = UnixListener::from(io::stdout().as_fd().try_clone_to_owned()?);
    loop {
        let mut fds = [
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(container.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut fds, PollTimeout::NONE).ok();
        if fds[1].any() == Some(true) {
            return Ok(());
        }
        if fds[0].any() != Some(true) {
            continue;
        }
        let (mut socket, _) = listener.accept()?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut asked = [0];
        match (socket.read(&mut asked), asked) {
            (Ok(1), [END]) => return Ok(()),
            (Ok(1), [GIVE]) => {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                let descriptors = [kept.as_fd()];
                control.push(SendAncillaryMessage::ScmRights(&descriptors));
                let text = [IoSlice::new(&[GIVE])];
                rustix::net::sendmsg(&socket, &text, &mut control, SendFlags::NOSIGNAL).ok();
            }
            _ => {} // whoever asked has ended
        }
    }
}
