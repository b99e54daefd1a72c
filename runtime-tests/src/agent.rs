//! A seccomp agent: listens at a socket, takes descriptors of notifications and answers them.
//!
//! Runs in: the test process, on threads of its own. See `seccomp_unotify(2)`.
#![expect(unsafe_code, reason = "the ioctls of seccomp_unotify(2)")]

use std::fs::File;
use std::io::{IoSliceMut, Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, Shutdown, UnixAddr, recvmsg};
use serde_json::Value;

// linux/seccomp.h: SECCOMP_IOCTL_NOTIF_*, SECCOMP_USER_NOTIF_FLAG_CONTINUE, SECCOMP_ADDFD_FLAG_SEND.
const RECV: libc::c_ulong = 0xc050_2100;
const SEND: libc::c_ulong = 0xc018_2101;
const ADDFD: libc::c_ulong = 0x4018_2103;
const CONTINUE: u32 = 1;
const ADDFD_SEND: u32 = 2;

/// `struct seccomp_notif`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Call {
    id: u64,
    /// In the test's pid namespace.
    pub pid: u32,
    flags: u32,
    pub nr: i32,
    pub arch: u32,
    ip: u64,
    pub args: [u64; 6],
}

#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

#[repr(C)]
struct AddFd {
    id: u64,
    flags: u32,
    source: u32,
    new: u32,
    new_flags: u32,
}

impl Call {
    /// The string that the n-th argument points to.
    pub fn text(&self, n: usize) -> String {
        let mut bytes = vec![0; 256];
        let read = File::open(format!("/proc/{}/mem", self.pid)).and_then(|mut memory| {
            memory.seek(SeekFrom::Start(self.args[n]))?;
            memory.read(&mut bytes)
        });
        bytes.truncate(read.unwrap_or(0));
        bytes
            .split(|b| *b == 0)
            .next()
            .map(|t| String::from_utf8_lossy(t).into())
            .unwrap_or_default()
    }
}

/// What the agent does about a call.
#[derive(Debug)]
pub enum Answer {
    Errno(Errno),
    Value(i64),
    /// The kernel carries it out.
    Continue,
    /// The call returns a new descriptor of the caller's for this file.
    Descriptor(File),
    /// No answer: the agent closes its descriptor, as if it had died.
    Leave,
}

/// What one connection brought.
#[derive(Clone, Debug)]
pub struct Introduction {
    pub state: Value,
    /// Number of descriptors.
    pub fds: usize,
    connection: Arc<UnixStream>,
}

impl Introduction {
    /// Whether the other side closes the connection now or soon.
    pub fn is_closed(&self) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd as _;
        let mut fds = [PollFd::new(self.connection.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, PollTimeout::from(1000_u16)).is_ok_and(|n| n > 0);
        ready && (&*self.connection).read(&mut [0]).is_ok_and(|n| n == 0)
    }
}

/// An agent that listens until the test ends.
#[derive(Debug)]
pub struct Agent {
    path: PathBuf,
    introductions: Arc<Mutex<Vec<Introduction>>>,
    calls: Arc<Mutex<Vec<Call>>>,
    socket: UnixListener,
    thread: Option<JoinHandle<()>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().expect("no panic on the agent's threads")
}

impl Agent {
    /// Listens at `path` and asks `policy` what to answer.
    pub fn at(path: &Path, policy: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(path).expect("bind the agent's socket");
        let mut agent = Self {
            path: path.to_owned(),
            introductions: Arc::default(),
            calls: Arc::default(),
            socket: listener.try_clone().expect("dup"),
            thread: None,
        };
        let (introductions, calls) = (Arc::clone(&agent.introductions), Arc::clone(&agent.calls));
        agent.thread = Some(std::thread::spawn(move || {
            std::thread::scope(|threads| {
                while let Ok((connection, _)) = listener.accept() {
                    let (introduction, notifications) = receive(connection);
                    lock(&introductions).push(introduction);
                    if let Some(notifications) = notifications {
                        let (calls, policy) = (&calls, &policy);
                        threads.spawn(move || serve(&notifications, calls, policy));
                    }
                }
            });
        }));
        agent
    }

    pub fn path(&self) -> &str {
        self.path.to_str().expect("UTF-8")
    }

    /// What the connections brought so far.
    pub fn introductions(&self) -> Vec<Introduction> {
        lock(&self.introductions).clone()
    }

    /// The calls that were asked about so far.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }
}

impl Drop for Agent {
    /// Ends when the containers have: what still runs would look like a leak of the runtime.
    fn drop(&mut self) {
        nix::sys::socket::shutdown(self.socket.as_raw_fd(), Shutdown::Both).ok();
        if let Some(thread) = self.thread.take().filter(|_| !std::thread::panicking()) {
            thread.join().expect("the agent's threads");
        }
    }
}

/// One JSON value, and the first descriptor. Not up to the end-of-file: runc and crun close the
/// connection late.
fn receive(connection: UnixStream) -> (Introduction, Option<OwnedFd>) {
    let (mut text, mut fds) = (Vec::new(), Vec::new());
    loop {
        let mut buf = [0; 4096];
        let mut space = nix::cmsg_space!([i32; 8]);
        let mut data = [IoSliceMut::new(&mut buf)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let fd = connection.as_raw_fd();
        let message = recvmsg::<UnixAddr>(fd, &mut data, Some(&mut space), flags).expect("recvmsg");
        let length = message.bytes;
        for part in message.cmsgs().expect("control messages") {
            if let ControlMessageOwned::ScmRights(new) = part {
                // SAFETY: the kernel has just put these into our table.
                fds.extend(new.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        if length == 0 {
            break;
        }
        text.extend_from_slice(&buf[..length]);
        if text.ends_with(b"}") && serde_json::from_slice::<Value>(&text).is_ok() {
            break;
        }
    }
    let state = serde_json::from_slice(&text).unwrap_or(Value::Null);
    let connection = Arc::new(connection);
    (Introduction { state, fds: fds.len(), connection }, fds.into_iter().next())
}

fn serve(listener: &OwnedFd, calls: &Mutex<Vec<Call>>, policy: &dyn Fn(&Call) -> Answer) {
    let ioctl = |request: libc::c_ulong, argument: *mut libc::c_void| {
        // SAFETY: callers pass the struct that the request is for.
        Errno::result(unsafe {
            libc::syscall(libc::SYS_ioctl, listener.as_raw_fd(), request, argument)
        })
    };
    loop {
        let mut call = Call::default();
        match ioctl(RECV, (&raw mut call).cast()) {
            Ok(_) => {}
            // The caller was killed meanwhile, or a signal came.
            Err(Errno::EINTR) => continue,
            // ENOENT is also what a listener without processes says.
            Err(_) => {
                if hung_up(listener) {
                    return;
                }
                continue;
            }
        }
        lock(calls).push(call);
        let mut response = Response { id: call.id, value: 0, error: 0, flags: 0 };
        match policy(&call) {
            Answer::Errno(errno) => response.error = -(errno as i32),
            Answer::Value(value) => response.value = value,
            Answer::Continue => response.flags = CONTINUE,
            Answer::Descriptor(file) => {
                let source = file.as_raw_fd().cast_unsigned();
                let mut add =
                    AddFd { id: call.id, flags: ADDFD_SEND, source, new: 0, new_flags: 0 };
                ioctl(ADDFD, (&raw mut add).cast()).expect("SECCOMP_IOCTL_NOTIF_ADDFD");
                continue;
            }
            Answer::Leave => return,
        }
        // ENOENT: the caller was killed.
        ioctl(SEND, (&raw mut response).cast()).ok();
    }
}

/// Nobody is left who could notify.
fn hung_up(listener: &OwnedFd) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd as _;
    let mut fds = [PollFd::new(listener.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0)
}
