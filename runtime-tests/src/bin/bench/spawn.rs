//! Starts a program without copying the driver, and measures it until it ends.
//! Runs in: the driver. The only place of the benchmark, beside `place.rs`, that talks to libc.
#![expect(
    unsafe_code,
    reason = "std starts a program without fork in some cases only, and cannot wait for any child"
)]

use std::ffi::{CString, c_char};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Longest time that one command may take before the bench calls it hung.
const TIMEOUT_MS: i32 = 120_000;

/// A program with its arguments, ready to be started many times.
#[derive(Debug)]
pub(crate) struct Command {
    argv: Vec<CString>,
    environment: Vec<CString>,
    /// Text of the command line, for error messages.
    line: String,
}

/// Where the standard output and the standard error of commands go.
#[derive(Debug)]
pub(crate) struct Outputs {
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Outputs {
    pub(crate) fn in_dir(dir: &Path) -> Self {
        Self { stdout: dir.join("stdout"), stderr: dir.join("stderr") }
    }
}

impl Command {
    pub(crate) fn new(argv: &[String], environment: &[String]) -> Result<Self> {
        let strings = |list: &[String]| -> Result<Vec<CString>> {
            list.iter().map(|s| Ok(CString::new(s.as_str())?)).collect()
        };
        Ok(Self { argv: strings(argv)?, environment: strings(environment)?, line: argv.join(" ") })
    }

    /// Runs to the end; the time is that from before `posix_spawn(3)` to the return of `waitpid(2)`.
    ///
    /// # Errors
    /// Not started, hung, or an exit status other than 0; the text ends with what it wrote to stderr.
    pub(crate) fn time(&self, outputs: &Outputs) -> Result<Duration> {
        let begin = Instant::now();
        let child = self.start(outputs)?;
        let status = wait(child)?;
        let time = begin.elapsed();
        self.judge(status, outputs)?;
        Ok(time)
    }

    /// Runs to the end and returns what it wrote to stdout.
    pub(crate) fn output(&self, outputs: &Outputs) -> Result<String> {
        self.time(outputs)?;
        fs::read_to_string(&outputs.stdout).context("read the output")
    }

    /// Starts the program. `posix_spawn` shares the driver's memory until execve, so that its cost
    /// does not depend on the size of the driver.
    pub(crate) fn start(&self, outputs: &Outputs) -> Result<libc::pid_t> {
        let argv = pointers(&self.argv);
        let environment = pointers(&self.environment);
        let program = self.argv.first().context("an empty command")?;
        let null = c"/dev/null";
        let stdout = path_string(&outputs.stdout)?;
        let stderr = path_string(&outputs.stderr)?;
        let write = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
        let opens = [(0, null, libc::O_RDONLY), (1, stdout.as_c_str(), write), (2, &stderr, write)];

        let mut actions = std::mem::MaybeUninit::<libc::posix_spawn_file_actions_t>::uninit();
        // SAFETY: init only writes to the struct that the pointer refers to.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) }, "init")?;
        let actions = actions.as_mut_ptr();
        for (fd, path, flags) in opens {
            // SAFETY: actions was initialised above; libc copies the path.
            let code = unsafe {
                libc::posix_spawn_file_actions_addopen(actions, fd, path.as_ptr(), flags, 0o600)
            };
            check(code, "addopen")?;
        }
        let mut pid = 0;
        // SAFETY: both arrays end with a null pointer and outlive the call, as do their strings.
        let code = unsafe {
            libc::posix_spawn(
                &raw mut pid,
                program.as_ptr(),
                actions,
                std::ptr::null(),
                argv.as_ptr(),
                environment.as_ptr(),
            )
        };
        // SAFETY: actions was initialised above and is not used after this.
        unsafe { libc::posix_spawn_file_actions_destroy(actions) };
        check(code, "posix_spawn").with_context(|| self.line.clone())?;
        Ok(pid)
    }

    pub(crate) fn judge(&self, status: i32, outputs: &Outputs) -> Result<()> {
        if status != 0 {
            let said = fs::read_to_string(&outputs.stderr).unwrap_or_default();
            let end = ExitStatus::from_raw(status);
            bail!("{}: {end}: {}", self.line, said.trim());
        }
        Ok(())
    }
}

fn pointers(strings: &[CString]) -> Vec<*mut c_char> {
    strings
        .iter()
        .map(|s| s.as_ptr().cast_mut())
        .chain(std::iter::once(std::ptr::null_mut()))
        .collect()
}

fn path_string(path: &Path) -> Result<CString> {
    Ok(CString::new(path.as_os_str().as_encoded_bytes())?)
}

fn check(code: i32, call: &str) -> Result<()> {
    ensure!(code == 0, "{call}: {}", std::io::Error::from_raw_os_error(code));
    Ok(())
}

/// Waits for one child, at most [`TIMEOUT_MS`], and returns its wait status.
fn wait(child: libc::pid_t) -> Result<i32> {
    // SAFETY: plain integers go in; the descriptor that comes out is closed below.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, child, 0) };
    let pidfd = i32::try_from(pidfd).context("pidfd_open")?;
    let mut poll = libc::pollfd { fd: pidfd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, and the count says one.
    let ended = unsafe { libc::poll(&raw mut poll, 1, TIMEOUT_MS) };
    if ended == 0 {
        // SAFETY: the child is ours and not yet waited for, so the pid cannot be another's.
        unsafe { libc::kill(child, libc::SIGKILL) };
    }
    let mut status = 0;
    // SAFETY: the child is ours; status outlives the call.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    // SAFETY: pidfd came from pidfd_open and nobody else owns it.
    unsafe { libc::close(pidfd) };
    ensure!(waited == child, "waitpid: {}", std::io::Error::last_os_error());
    ensure!(ended != 0, "a command did not end within {TIMEOUT_MS} ms");
    Ok(status)
}

/// Waits for any child of the driver: its pid and wait status.
pub(crate) fn wait_any() -> Result<(libc::pid_t, i32)> {
    let mut status = 0;
    // SAFETY: status outlives the call.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, 0) };
    ensure!(pid > 0, "waitpid(-1): {}", std::io::Error::last_os_error());
    Ok((pid, status))
}

/// Ends the driver, and with it everything, unless called again within the time: 0 means no limit.
/// For the throughput loop, which waits for any child and so has no pidfd to poll.
pub(crate) fn end_unless_called_within(seconds: u32) {
    // SAFETY: alarm has no preconditions; SIGALRM keeps its default action here.
    unsafe { libc::alarm(seconds) };
}
