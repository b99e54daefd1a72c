//! What a sandbox may forbid: the probe's verbs `bind`, `execute` and `without-landlock`.
//!
//! Runs in: the container, as part of the probe; `without-landlock` on the host, around the runtime.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::errno::Errno;

/// Text to print, or the errno of the call that failed.
type Answer = Result<String, Errno>;

pub(crate) fn run(verb: &str, args: &[&str]) -> Answer {
    let errno = |err: io::Error| Errno::from_raw(err.raw_os_error().unwrap_or(0));
    match verb {
        "bind" => std::net::TcpListener::bind(args[0]).map(|_| "ok".to_owned()).map_err(errno),
        "execute" => Command::new(args[0])
            .args(&args[1..])
            .status()
            .map(|status| format!("exit {}", status.code().unwrap_or(-1)))
            .map_err(errno),
        _ => {
            without_landlock()?;
            Err(errno(Command::new(args[0]).args(&args[1..]).exec()))
        }
    }
}

/// As on a kernel which has none: `landlock_create_ruleset(2)` gives ENOSYS.
fn without_landlock() -> Result<(), Errno> {
    let insn = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let call = u32::try_from(libc::SYS_landlock_create_ruleset).unwrap_or_default();
    let mut program = [
        insn(0x20, 0, 0, 0),
        insn(0x15, 0, 1, call),
        insn(0x06, 0, 0, 0x0005_0000 | 38),
        insn(0x06, 0, 0, 0x7fff_0000),
    ];
    let program = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // SAFETY: takes numbers only.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    // SAFETY: the kernel reads four instructions.
    let set = unsafe { libc::syscall(libc::SYS_seccomp, 1, 0, &raw const program) };
    Errno::result(set).map(drop)
}
