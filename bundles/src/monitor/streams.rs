//! The standard streams of a container, as the monitor holds them.
//!
//! Runs in: the monitor, in the container's directory.

use super::keeper;
use super::wire::Stream;
use crate::container::Record;
use anyhow::{Context as _, Result};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use rustix::termios::Winsize;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;

pub(super) const CONSOLE: &str = "console.sock";

/// None of them ever blocks.
pub(super) struct Streams {
    pub(super) output: Vec<(Stream, File)>,
    pub(super) input: Option<File>,
    /// Nothing will be added to what the container has not read yet.
    pub(super) input_ends: bool,
    pub(super) terminal: bool,
}

/// The container's ends.
pub(super) struct Inside {
    pub(super) stdin: Stdio,
    pub(super) stdout: Stdio,
    pub(super) stderr: Stdio,
}

impl Streams {
    /// Nothing is left of them.
    pub(super) fn none() -> Self {
        Self { output: Vec::new(), input: None, input_ends: true, terminal: false }
    }

    pub(super) fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        if let (true, Some(master)) = (self.terminal, &self.input) {
            rustix::termios::tcsetwinsize(master, size).ok(); // it only looks worse
        }
    }

    /// Gives the container what it takes; returns of how many bytes that was the end.
    pub(super) fn feed(&mut self, bytes: &mut Vec<u8>) -> usize {
        let taken = match &mut self.input {
            _ if bytes.is_empty() => 0,
            Some(input) => match input.write(bytes) {
                Ok(length) => length,
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => bytes.len(), // nobody reads it any more
            },
            None => bytes.len(),
        };
        bytes.drain(..taken);
        taken
    }

    /// The container gets no more input.
    pub(super) fn close_input(&mut self) {
        if self.input.take().is_some() {
            keeper::release();
        }
    }
}

pub(super) fn pipes(interactive: bool) -> Result<(Streams, Inside)> {
    let (out, stdout) = fifo("stdout")?;
    let (err, stderr) = fifo("stderr")?;
    let (input, stdin) = if interactive {
        let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).context("pipe2")?;
        fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).context("fcntl")?;
        (Some(File::from(write)), Stdio::from(read))
    } else {
        (None, Stdio::null())
    };
    let output = vec![(Stream::Stdout, out), (Stream::Stderr, err)];
    let streams = Streams { output, input, input_ends: false, terminal: false };
    Ok((streams, Inside { stdin, stdout: stdout.into(), stderr: stderr.into() }))
}

/// Our end and the container's. Both are open for both directions: a FIFO that has a reader never
/// kills its writer, so the container outlives the monitor.
fn fifo(name: &str) -> Result<(File, File)> {
    let made = || -> io::Result<(File, File)> {
        match fs::remove_file(name) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        nix::unistd::mkfifo(name, Mode::from_bits_truncate(0o600))?;
        let mut options = OpenOptions::new();
        let inside = options.read(true).write(true).open(name)?;
        let ours = options.custom_flags(OFlag::O_NONBLOCK.bits()).open(name)?;
        Ok((ours, inside))
    };
    made().with_context(|| format!("FIFO {name}"))
}

/// Where the runtime sends the terminal's master.
pub(super) struct Console(UnixListener);

impl Console {
    pub(super) fn listen() -> Result<Self> {
        fs::remove_file(CONSOLE).ok(); // of an earlier start
        let listener = UnixListener::bind(CONSOLE).context(CONSOLE)?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    /// To be called when the runtime has ended: it has sent it by then, or never will.
    pub(super) fn streams(self) -> Result<Streams> {
        let (socket, _) = self.0.accept().context("the runtime has sent no terminal")?;
        let master = receive_descriptor(&socket).context("the runtime has sent no terminal")?;
        fs::remove_file(CONSOLE).ok(); // nobody needs it any more
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK)).context("fcntl")?;
        terminal(File::from(master))
    }
}

/// The streams of a container with this terminal.
fn terminal(master: File) -> Result<Streams> {
    let output = vec![(Stream::Stdout, master.try_clone()?)];
    Ok(Streams { output, input: Some(master), input_ends: false, terminal: true })
}

/// Of a container that runs: its FIFOs, and what the keeper has.
pub(super) fn reopened(record: &Record) -> Result<Streams> {
    if record.tty {
        return terminal(keeper::fetch()?);
    }
    let open = |name: &str| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits());
        options.open(name).with_context(|| format!("FIFO {name}"))
    };
    let output = vec![(Stream::Stdout, open("stdout")?), (Stream::Stderr, open("stderr")?)];
    // Without a keeper the input has ended before.
    let input = if record.interactive { keeper::fetch().ok() } else { None };
    Ok(Streams { output, input, input_ends: false, terminal: false })
}

/// The descriptor that comes over a socket.
pub(super) fn receive_descriptor(socket: &UnixStream) -> Result<OwnedFd> {
    let mut text = [0; 64];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let slices = &mut [IoSliceMut::new(&mut text)];
    rustix::net::recvmsg(socket, slices, &mut control, RecvFlags::CMSG_CLOEXEC)
        .context("recvmsg")?;
    let mut received: Vec<OwnedFd> = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            received.extend(fds);
        }
    }
    received.pop().context("no descriptor in the message")
}
