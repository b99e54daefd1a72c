//! The container's terminal.
//!
//! Runs in: init, in the container's root. Every node is checked before it is used: the image may
//! have put anything in /dev (CVE-2025-52565).

use crate::error::OrHint as _;
use crate::plan::process::Process;
use crate::rootfs::path::{Root, is_character_device};
use crate::sys::{self, Call as _, tty};
use anyhow::{Context as _, Result, bail};
use nix::fcntl::OFlag;
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use std::io::IoSlice;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

/// Makes a new pty from the container's devpts.
pub(crate) fn open(root: &Root, plan: &Process) -> Result<(OwnedFd, OwnedFd)> {
    let field = || format!("{}.terminal", plan.field);
    let master = root
        .open_file(c"/dev/ptmx", OFlag::O_RDWR)
        .with_context(field)
        .hint("mount devpts at /dev/pts in the config")?;
    // 5:2 is the multiplexer in its classic place; devpts has its own node of that number.
    if !is_character_device(&master, 5, 2)? {
        bail!("{}: /dev/ptmx is not the pty multiplexer", field());
    }
    tty::unlock(master.as_fd()).with_context(field)?;
    let slave = tty::peer(master.as_fd()).with_context(field)?;
    if let Some((rows, columns)) = plan.console_size {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tty::set_size(master.as_fd(), &size)
            .with_context(|| format!("{}.consoleSize", plan.field))?;
    }
    Ok((master, slave))
}

/// Hands the master to whoever listens at `--console-socket`, with the name of the slave.
pub(crate) fn send_master(socket: &OwnedFd, master: &OwnedFd) -> Result<()> {
    let name = format!("/dev/pts/{}", tty::number(master.as_fd())?);
    let fds = [master.as_raw_fd()];
    sendmsg::<UnixAddr>(
        socket.as_raw_fd(),
        &[IoSlice::new(name.as_bytes())],
        &[ControlMessage::ScmRights(&fds)],
        MsgFlags::MSG_NOSIGNAL,
        None,
    )
    .call(|| "sendmsg(console socket, SCM_RIGHTS)".into())?;
    Ok(())
}

/// Makes the slave the standard streams.
pub(crate) fn adopt(slave: &OwnedFd) -> Result<()> {
    for stream in 0..=2 {
        sys::fd::dup_onto(slave.as_fd(), stream)?;
    }
    Ok(())
}

/// Makes the adopted terminal the controlling one. After setsid(2).
pub(crate) fn control() -> Result<()> {
    Ok(tty::set_controlling(sys::fd::standard_stream(0))?)
}
