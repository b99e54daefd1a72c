//! Runs hooks: state on stdin, output kept for the error, a timeout that kills.
//!
//! Runs in: parent (prestart, createRuntime, poststart, poststop) and init (createContainer,
//! startContainer). See config.md, "POSIX-platform Hooks".

use crate::error::hinted;
use crate::plan::annotations::{self, HOOKS_STDERR, HOOKS_STDOUT, HooksOutput};
use crate::plan::{Hook, Hooks};
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use std::ffi::OsStr;
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How much of a hook's output an error repeats, in bytes.
const OUTPUT_MAX: usize = 2048;

/// Files that get the output of hooks, instead of the error that a failing one becomes.
#[derive(Default)]
pub(crate) struct Output {
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

impl Output {
    /// In the parent: these are paths of the host.
    pub(crate) fn open(hooks: &Hooks) -> Result<Self> {
        if hooks.is_empty() {
            return Ok(Self::default());
        }
        let open = |key: &str, path: &Option<PathBuf>| {
            path.as_deref().map(append).transpose().with_context(|| annotations::field(key))
        };
        let HooksOutput { stdout, stderr } = &hooks.output;
        Ok(Self { stdout: open(HOOKS_STDOUT, stdout)?, stderr: open(HOOKS_STDERR, stderr)? })
    }

    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.stdout.iter().chain(&self.stderr).map(AsFd::as_fd)
    }
}

/// Opens a file for appending, made when it is missing. Who may write to its directory must not
/// lead us elsewhere by a link, nor make us wait at a FIFO.
fn append(path: &Path) -> Result<OwnedFd> {
    match path.to_str() {
        // Links, which name what we have open already.
        Some("/dev/stdout") => return copy(&sys::fd::standard_stream(1)),
        Some("/dev/stderr") => return copy(&sys::fd::standard_stream(2)),
        _ => {}
    }
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_CLOEXEC;
    let careful = OFlag::O_NOFOLLOW | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let call = || format!("open({path:?}, O_WRONLY|O_APPEND|O_CREAT|O_NOFOLLOW, 0600)");
    let file = nix::fcntl::open(path, flags | careful, mode).call(call).map_err(|err| {
        let hints = [
            (Errno::ELOOP, "name the file itself, not a symbolic link to it"),
            (Errno::ENXIO, "start the reader of the FIFO first"),
            (Errno::ENOENT, "make the directory, or correct the path"),
        ];
        hinted(err, &hints)
    })?;
    nix::fcntl::fcntl(&file, FcntlArg::F_SETFL(flags)).call(|| "fcntl(F_SETFL)".into())?;
    Ok(file)
}

fn copy(fd: &impl AsFd) -> Result<OwnedFd> {
    let copy = fd.as_fd().try_clone_to_owned();
    copy.map_err(|err| crate::config::io(&err)).context("dup")
}

/// Runs all in order, stopping at the first failure. `state` is the state JSON of runtime.md.
pub(crate) fn run(hooks: &[Hook], state: &str, output: &Output) -> Result<()> {
    hooks.iter().try_for_each(|hook| one(hook, state, output))
}

/// Runs all in order; failures are collected, none keeps a later hook from running.
pub(crate) fn run_all(hooks: &[Hook], state: &str, output: &Output) -> Vec<anyhow::Error> {
    hooks.iter().filter_map(|hook| one(hook, state, output).err()).collect()
}

fn one(hook: &Hook, state: &str, files: &Output) -> Result<()> {
    let os = |text: &std::ffi::CString| OsStr::from_bytes(text.as_bytes()).to_owned();
    let named = || format!("{} ({})", hook.field, hook.path.to_string_lossy());
    let (output, output_end) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
        .call(|| "pipe2()".into())
        .with_context(named)?;
    let mut command = Command::new(os(&hook.path));
    let mut args = hook.args.iter().map(os);
    command.arg0(args.next().unwrap_or_default()).args(args).env_clear();
    for entry in &hook.env {
        let entry = entry.as_bytes();
        let at = entry.iter().position(|byte| *byte == b'=').unwrap_or(entry.len());
        let value = entry.get(at + 1..).unwrap_or_default();
        command
            .env(OsStr::from_bytes(entry.get(..at).unwrap_or_default()), OsStr::from_bytes(value));
    }
    let stdout = copy(files.stdout.as_ref().unwrap_or(&output_end)).with_context(named)?;
    let stderr = copy(files.stderr.as_ref().unwrap_or(&output_end)).with_context(named)?;
    drop(output_end);
    command.stdin(Stdio::piped()).stdout(stdout).stderr(stderr);
    // Its own process group: a timeout ends what the hook has started, too.
    let child = command
        .process_group(0)
        .spawn()
        .map_err(|err| crate::config::io(&err))
        .with_context(named)?;
    drop(command); // holds our copies of the pipe's write end
    finish(hook, child, output, state).with_context(named)
}

fn finish(hook: &Hook, mut child: Child, output: OwnedFd, state: &str) -> Result<()> {
    let (status, text) = wait(hook, &mut child, output, state)?;
    let text = if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) };
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => bail!("exit status {code}{text}"),
        (None, Some(signal)) => bail!("killed by signal {signal}{text}"),
        (None, None) => bail!("{status}{text}"),
    }
}

/// Waits for the hook's end while it is given the state and its output is taken. Nothing here
/// blocks on the hook: one that never reads must not outlive its timeout by a state which is larger
/// than a pipe. A daemon that it leaves behind may keep the pipe of the output open; only the hook
/// itself is waited for.
fn wait(
    hook: &Hook,
    child: &mut Child,
    output: OwnedFd,
    state: &str,
) -> Result<(ExitStatus, String)> {
    let deadline = hook.timeout.map(|timeout| (Instant::now() + timeout, timeout));
    let pidfd = sys::clone::pidfd_open(child.id().cast_signed())?;
    nonblocking(&output)?;
    let mut output = std::fs::File::from(output);
    let mut input = Input { stdin: child.stdin.take(), left: state.as_bytes() };
    if let Some(stdin) = &input.stdin {
        nonblocking(stdin)?;
    }
    let mut text = Vec::new();
    let mut open = true;
    loop {
        input.write()?;
        let mut fds = vec![PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        if open {
            fds.push(PollFd::new(output.as_fd(), PollFlags::POLLIN));
        }
        if let Some(stdin) = &input.stdin {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLOUT));
        }
        let left = deadline.map(|(end, _)| end.saturating_duration_since(Instant::now()));
        match poll(&mut fds, timeout(left)) {
            Err(Errno::EINTR) => continue,
            other => other.call(|| "poll()".into())?,
        };
        let ended = fds.first().and_then(PollFd::any).unwrap_or(false);
        open = open && drain(&mut output, &mut text);
        if ended {
            drain(&mut output, &mut text);
            let status = child.wait().context("wait")?;
            return Ok((status, String::from_utf8_lossy(&text).into_owned()));
        }
        if let Some((end, limit)) = deadline
            && Instant::now() >= end
        {
            // ESRCH: it ended by itself meanwhile.
            nix::sys::signal::killpg(
                nix::unistd::Pid::from_raw(child.id().cast_signed()),
                nix::sys::signal::SIGKILL,
            )
            .ok();
            child.wait().context("wait")?;
            bail!("killed after its timeout of {} s", limit.as_secs());
        }
    }
}

/// The state on its way into a hook.
struct Input<'a> {
    /// `None`: all was written, or the hook does not want it.
    stdin: Option<ChildStdin>,
    left: &'a [u8],
}

impl Input<'_> {
    /// Writes what the pipe has room for, and closes it behind the last byte: many hooks read up to
    /// end-of-file.
    fn write(&mut self) -> Result<()> {
        while let Some(stdin) = &self.stdin {
            if self.left.is_empty() {
                self.stdin = None;
                break;
            }
            match nix::unistd::write(stdin, self.left) {
                Ok(n) => self.left = self.left.get(n..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                // The hook need not read it.
                Err(Errno::EPIPE) => self.stdin = None,
                Err(errno) => return Err(sys::Error::new("write(the state)", errno).into()),
            }
        }
        Ok(())
    }
}

fn nonblocking(fd: &impl AsFd) -> sys::Result<()> {
    nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))
        .call(|| "fcntl(O_NONBLOCK)".into())
        .map(drop)
}

fn timeout(left: Option<Duration>) -> PollTimeout {
    // Rounded up, or the last millisecond would be spent polling.
    let millis = left.map(|left| left.as_millis() + 1);
    millis.map_or(PollTimeout::NONE, |millis| {
        PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
    })
}

/// Takes what is there. False at end-of-file.
fn drain(output: &mut std::fs::File, text: &mut Vec<u8>) -> bool {
    let mut buf = [0; 4096];
    loop {
        match output.read(&mut buf) {
            Ok(0) => return false,
            Ok(n) => {
                let room = OUTPUT_MAX.saturating_sub(text.len());
                text.extend_from_slice(buf.get(..n.min(room)).unwrap_or_default());
            }
            Err(err) => return err.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}
