//! The way out of an ordinary user's networks: pasta(1), a process that turns what comes to a link
//! into sockets of the host.
//!
//! Runs in: an ordinary process in the user namespace of the holder, and in the host's network.

use super::holder::{UPLINK, hear, itself, next, tell};
use super::subnet::Subnet;
use crate::error::OrHint as _;
use crate::host::Host;
use crate::process::Process;
use anyhow::{Context as _, Result, anyhow};
use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// Its link, and the addresses of its two ends: of RFC 5737, which nobody has in earnest.
const LINK: &str = "uplink";
const OURS: &str = "192.0.2.2";
const GATEWAY: &str = "192.0.2.1";
const PREFIX: u8 = 30;

/// What no network can have.
pub(crate) fn subnet() -> Subnet {
    Subnet::around(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 0)), PREFIX)
}

/// The host's own address on its way out. Containers of an ordinary user reach the host by that
/// one alone: pasta takes it for any other of the outside.
pub(crate) fn host_address() -> Option<IpAddr> {
    // Nothing is sent: the kernel only looks up the route.
    let routed = |own: &str, far: &str| -> io::Result<IpAddr> {
        let socket = UdpSocket::bind((own, 0))?;
        socket.connect((far, 9))?;
        Ok(socket.local_addr()?.ip())
    };
    routed("0.0.0.0", GATEWAY).or_else(|_| routed("::", "2001:db8::1")).ok()
}

/// Whether what it needs is installed.
pub(crate) fn is_possible() -> bool {
    program().is_ok()
}

/// `record` gets the process before it becomes pasta.
pub(super) fn start(holder: i32, record: impl FnOnce(Process) -> Result<()>) -> Result<()> {
    let no_way_out = "containers reach each other, but have no way out";
    let program = program().context(no_way_out)?;
    let mut child =
        itself(UPLINK).arg(holder.to_string()).arg(program).spawn().context("start the way out")?;
    let started = guide(&mut child, record);
    if started.is_err() {
        child.kill().ok(); // it may have ended itself
        child.wait().ok();
    }
    started.context("pasta").context(no_way_out)
}

fn guide(child: &mut Child, record: impl FnOnce(Process) -> Result<()>) -> Result<()> {
    hear(child)?;
    record(Process::of(child.id().cast_signed()).context("it is gone")?)?;
    tell(child)?;
    // Its pid file is this pipe, written when all is there.
    hear(child)
}

fn program() -> Result<PathBuf> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    Host { root: PathBuf::from("/") }
        .program("pasta".as_ref(), &search)
        .map_err(|_missing| anyhow!("pasta is not installed"))
        .hint("install it, on Debian with `apt install passt`, or use --network host or none")
}

/// Becomes pasta, as the process that is recorded already.
pub(super) fn run(holder: &str, program: &Path) -> Result<Infallible> {
    nix::unistd::setsid().context("setsid")?;
    next()?;
    // Its own view of /proc would be too narrow to open it.
    let path = format!("/proc/{holder}/ns/net");
    let net = File::open(&path).context(path)?;
    nix::unistd::dup2_stdin(&net).context("dup2(stdin)")?;
    drop(net);
    // It wants SIGPIPE as it is by default, which this gives back, and ignores it itself.
    let err = Command::new(program)
        .args(["--foreground", "--quiet", "--config-net", "--netns-only"])
        .args(["--netns", "/proc/self/fd/0", "--no-netns-quit", "--pid", "/proc/self/fd/1"])
        .args(["--ns-ifname", LINK, "--address", OURS, "--gateway", GATEWAY])
        .args(["--netmask", &PREFIX.to_string(), "--no-map-gw"])
        .args([
            "--tcp-ports",
            "none",
            "--udp-ports",
            "none",
            "--tcp-ns",
            "none",
            "--udp-ns",
            "none",
        ])
        .exec();
    Err(err).with_context(|| program.display().to_string())
}
