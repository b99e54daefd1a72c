//! What a service tells its manager: the probe's verbs `sd-notify` and `sd-barrier`.
//!
//! Runs in: the container, as part of the probe. See `sd_notify(3)`.

use std::io::{IoSlice, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};

/// `sd-notify LINE...` sends one message, `sd-barrier` waits until everything before was read;
/// `sd-with-fd LINE...` sends a descriptor along.
pub(crate) fn run(verb: &str, lines: &[&str]) -> Result<String, Errno> {
    let name = std::env::var("NOTIFY_SOCKET").map_err(|_unset| Errno::ENOENT)?;
    let socket = UnixDatagram::unbound().map_err(errno)?;
    socket.connect(name).map_err(errno)?;
    let (mut read_end, write_end) = std::io::pipe().map_err(errno)?;
    let text = lines.join("\n");
    let send = |text: &str, fds: &[i32]| {
        let rights = [ControlMessage::ScmRights(fds)];
        let rights = if fds.is_empty() { &[][..] } else { &rights[..] };
        let data = [IoSlice::new(text.as_bytes())];
        sendmsg::<UnixAddr>(socket.as_raw_fd(), &data, rights, MsgFlags::empty(), None)
    };
    match verb {
        "sd-notify" => send(&text, &[]).map(|_| String::new()),
        "sd-with-fd" => send(&text, &[write_end.as_raw_fd()]).map(|_| String::new()),
        _ => {
            send("BARRIER=1", &[write_end.as_raw_fd()])?;
            drop(write_end);
            let length = read_end.read(&mut [0]).map_err(errno)?;
            Ok(format!("barrier passed, {length} bytes"))
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as map_err(errno)")]
fn errno(err: std::io::Error) -> Errno {
    Errno::from_raw(err.raw_os_error().unwrap_or(0))
}
