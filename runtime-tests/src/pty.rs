//! Terminals: the socket which gets a container's pty, and a real one for foreground runs.
#![expect(unsafe_code, reason = "terminal ioctls and descriptors from SCM_RIGHTS")]

use std::fs::File;
use std::io::{IoSliceMut, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use crate::isolate;
use crate::poll::until;

/// A listening socket for `--console-socket` and the like.
#[derive(Debug)]
pub struct ReceivingSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ReceivingSocket {
    pub fn new() -> Self {
        let path = isolate::scratch().join(format!("socket-{}", isolate::new_id()));
        let listener = UnixListener::bind(&path).expect("bind the console socket");
        listener.set_nonblocking(true).expect("O_NONBLOCK");
        Self { listener, path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The one descriptor that the runtime sends, and the text that goes with it.
    pub fn receive(&self) -> (OwnedFd, String) {
        let stream = until("a connection to the console socket", || self.listener.accept().ok()).0;
        stream.set_nonblocking(false).expect("blocking");
        let mut text = [0u8; 4096];
        let mut parts = [IoSliceMut::new(&mut text)];
        let mut space = nix::cmsg_space!([RawFd; 4]);
        let message = recvmsg::<()>(
            stream.as_raw_fd(),
            &mut parts,
            Some(&mut space),
            MsgFlags::MSG_CMSG_CLOEXEC,
        )
        .expect("recvmsg");
        let fds: Vec<RawFd> = message
            .cmsgs()
            .expect("control messages")
            .flat_map(
                |c| if let ControlMessageOwned::ScmRights(fds) = c { fds } else { Vec::new() },
            )
            .collect();
        let length = message.bytes;
        assert_eq!(fds.len(), 1, "descriptors sent over the console socket");
        // SAFETY: recvmsg made this descriptor for us.
        let fd = unsafe { OwnedFd::from_raw_fd(fds[0]) };
        (fd, String::from_utf8_lossy(&text[..length]).into_owned())
    }
}

impl Default for ReceivingSocket {
    fn default() -> Self {
        Self::new()
    }
}

/// The master side of a terminal; collects what is written to the other side.
#[derive(Debug)]
pub struct Master {
    file: File,
    seen: String,
}

impl Master {
    pub fn new(fd: OwnedFd) -> Self {
        let file = File::from(fd);
        // SAFETY: F_SETFL with a flag.
        Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) })
            .expect("O_NONBLOCK");
        Self { file, seen: String::new() }
    }

    /// Reads until `text` has been seen; returns all that was read so far.
    pub fn wait_for(&mut self, text: &str) -> String {
        until(&format!("{text:?} on the terminal"), || {
            self.read_available();
            self.seen.contains(text).then(|| self.seen.clone())
        })
    }

    /// Everything until the other side is closed.
    pub fn read_to_end(&mut self) -> String {
        until("the end of the terminal's output", || {
            self.read_available().then(|| self.seen.clone())
        })
    }

    /// True at the end of file (EIO on a pty).
    fn read_available(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return true,
                Ok(n) => self.seen.push_str(&String::from_utf8_lossy(&buffer[..n])),
                Err(e) => return e.raw_os_error() == Some(libc::EIO),
            }
        }
    }

    pub fn write(&self, text: &str) {
        nix::unistd::write(&self.file, text.as_bytes()).expect("write to the terminal");
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: TIOCSWINSZ reads one winsize.
        Errno::result(unsafe {
            libc::ioctl(self.file.as_raw_fd(), libc::TIOCSWINSZ, &raw const size)
        })
        .expect("TIOCSWINSZ");
    }

    /// Rows and columns.
    pub fn size(&self) -> (u16, u16) {
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: TIOCGWINSZ writes one winsize.
        Errno::result(unsafe {
            libc::ioctl(self.file.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size)
        })
        .expect("TIOCGWINSZ");
        (size.ws_row, size.ws_col)
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("  seen on the terminal: {:?}", self.seen);
        }
    }
}

/// A new pty of this size: the master, and the slave for [`crate::call::Call::terminal`].
pub fn open(rows: u16, columns: u16) -> (Master, OwnedFd) {
    let pty = nix::pty::openpty(None, None).expect("openpty");
    for end in [&pty.master, &pty.slave] {
        // Or what a test starts would keep the terminal from its end.
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("FD_CLOEXEC");
    }
    let master = Master::new(pty.master);
    master.resize(rows, columns);
    (master, pty.slave)
}
