//! `--init`: a first process that passes on signals and takes leave of orphans, so that the
//! command itself need not be made for that.
//!
//! Runs in: the container, as its first process: this binary, bound to [`PATH`] there.

use crate::process;
use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{self, SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::{Command, ExitCode};

/// Where Docker has its own.
pub(crate) const PATH: &str = "/sbin/docker-init";

/// `si_code` of a signal that comes from the terminal, and so to all of its foreground.
const SI_KERNEL: i32 = 0x80;

/// `None` when this process is something else.
pub(crate) fn called() -> Option<ExitCode> {
    let mut args = std::env::args_os();
    if args.next()? != PATH {
        return None;
    }
    let code = run(args.next()?, args).unwrap_or_else(|(code, err)| {
        io::stderr().write_all(crate::error::report(&err).as_bytes()).ok();
        code
    });
    Some(ExitCode::from(code))
}

/// The exit code of the command, or what to exit with without one.
fn run(program: OsString, args: impl Iterator<Item = OsString>) -> Result<u8, (u8, anyhow::Error)> {
    // It inherits the signals that are blocked: as yet there are none. Nothing is lost, since the
    // kernel drops what a first process has no handler for.
    let child = Command::new(&program).args(args).spawn().map_err(|err| {
        let code = if err.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
        (code, anyhow::Error::from(err).context(format!("exec {}", program.display())))
    })?;
    let child = Pid::from_raw(child.id().cast_signed());
    watch(child).map_err(|err| (125, err))
}

fn watch(child: Pid) -> Result<u8> {
    let mut mask = SigSet::all();
    for fault in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE, Signal::SIGABRT]
    {
        mask.remove(fault);
    }
    mask.thread_block().context("block signals")?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC).context("signalfd")?;
    loop {
        if let Some(code) = process::reap(child, |_, _| ())? {
            return Ok(u8::try_from(code)?);
        }
        let signal = match signals.read_signal() {
            Ok(Some(signal)) => signal,
            Ok(None) | Err(Errno::EINTR) => continue,
            Err(errno) => bail!("read signals: {errno}"),
        };
        match Signal::try_from(i32::try_from(signal.ssi_signo)?) {
            Ok(number) if number != Signal::SIGCHLD && signal.ssi_code != SI_KERNEL => {
                signal::kill(child, number).ok(); // it may have ended a moment ago
            }
            // One of real time, or one that the command has got itself.
            Ok(_) | Err(_) => {}
        }
    }
}
