//! Calling the runtime: arguments in, exit code and texts out, every call on record.
#![expect(unsafe_code, reason = "pre_exec passes descriptors and takes a controlling terminal")]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::isolate::{self, View};
use crate::runtime;

/// Longest that one call may take, below the runner's limit per test.
const PATIENCE: Duration = Duration::from_secs(15);

/// One call of the runtime, not started yet.
#[derive(Debug, Default)]
pub struct Call {
    globals: Vec<OsString>,
    args: Vec<OsString>,
    env: Vec<(String, String)>,
    stdin: Option<Vec<u8>>,
    cwd: Option<PathBuf>,
    fds: Vec<(i32, OwnedFd)>,
    terminal: Option<OwnedFd>,
    own_group: bool,
    root: bool,
    through: Vec<OsString>,
    /// Another program than the runtime.
    program: Option<PathBuf>,
}

/// A call with the test's own state root.
pub fn rt<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Call {
    Call { root: true, ..Call::plain(args) }
}

impl Call {
    /// A call with exactly these arguments.
    pub fn plain<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        Self { args: owned(args), ..Self::default() }
    }

    /// A call of another program with exactly these arguments.
    pub fn of<S: AsRef<OsStr>>(program: PathBuf, args: impl IntoIterator<Item = S>) -> Self {
        Self { program: Some(program), ..Self::plain(args) }
    }

    /// Options before the command.
    #[must_use]
    pub fn global<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.globals.extend(owned(args));
        self
    }

    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(owned(args));
        self
    }

    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn stdin(mut self, content: impl AsRef<[u8]>) -> Self {
        self.stdin = Some(content.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn cwd(mut self, dir: &Path) -> Self {
        self.cwd = Some(dir.to_owned());
        self
    }

    /// The runtime starts with `fd` as its descriptor number `number`.
    #[must_use]
    pub fn fd(mut self, number: i32, fd: impl Into<OwnedFd>) -> Self {
        self.fds.push((number, fd.into()));
        self
    }

    /// All three standard streams are this terminal, which also becomes the controlling one.
    #[must_use]
    pub fn terminal(mut self, slave: OwnedFd) -> Self {
        self.terminal = Some(slave);
        self
    }

    /// The runtime is the first of a new process group.
    #[must_use]
    pub fn own_group(mut self) -> Self {
        self.own_group = true;
        self
    }

    /// Another program starts the runtime: gets its path and arguments behind its own.
    #[must_use]
    pub fn through<S: AsRef<OsStr>>(mut self, program: impl IntoIterator<Item = S>) -> Self {
        self.through = owned(program);
        self
    }

    /// Starts the call.
    pub fn spawn(self) -> Running {
        let program = self.program.as_deref().unwrap_or(runtime::path());
        let mut words = self.through.iter().map(OsString::as_os_str).chain([program.as_os_str()]);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words);
        if self.root {
            command.arg("--root").arg(isolate::state_root());
            let chosen = self.globals.iter().any(|word| word == "--cgroup-manager");
            if isolate::view() == View::Systemd && !chosen {
                command.arg("--systemd-cgroup");
            }
        }
        command.args(&self.globals).args(&self.args);
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        if let Some(dir) = &self.cwd {
            command.current_dir(dir);
        }
        let shown = show(&command);
        println!("$ {shown}");
        let (stdout, stderr) = (unnamed_file(), unnamed_file());
        if let Some(slave) = &self.terminal {
            let copy = || slave.try_clone().expect("dup");
            command.stdin(copy()).stdout(copy()).stderr(copy());
        } else {
            let mut stdin = unnamed_file();
            stdin.write_all(&self.stdin.unwrap_or_default()).expect("write stdin");
            stdin.rewind().expect("rewind stdin");
            command.stdin(stdin);
            command
                .stdout(stdout.try_clone().expect("dup"))
                .stderr(stderr.try_clone().expect("dup"));
        }
        // Out of the way first, or one dup2 could close the source of the next.
        let fds: Vec<(i32, OwnedFd)> =
            self.fds.into_iter().map(|(n, fd)| (n, above_100(&fd))).collect();
        if self.own_group {
            command.process_group(0);
        }
        let controlling = self.terminal.is_some();
        let before_exec = move || {
            for (number, fd) in &fds {
                // SAFETY: dup2(2) takes two numbers; after fork nobody else uses them here.
                nix::errno::Errno::result(unsafe { libc::dup2(fd.as_raw_fd(), *number) })?;
            }
            if controlling {
                nix::unistd::setsid()?;
                // SAFETY: TIOCSCTTY takes an integer.
                nix::errno::Errno::result(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) })?;
            }
            Ok(())
        };
        // SAFETY: the closure makes system calls only.
        unsafe { command.pre_exec(before_exec) };
        let child = command.spawn().unwrap_or_else(|e| panic!("start {shown}: {e}"));
        Running { child, stdout, stderr, shown }
    }

    /// Runs the call to its end.
    pub fn output(self) -> Output {
        self.spawn().wait()
    }

    /// Runs the call and returns its standard output; anything but exit code 0 is a failure.
    pub fn ok(self) -> String {
        let output = self.output();
        output.assert_exit(0);
        output.stdout()
    }
}

/// A started call.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: File,
    stderr: File,
    shown: String,
}

impl Running {
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// Sends the runtime process itself a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).expect("kill");
    }

    /// What has been written so far.
    pub fn stdout(&self) -> String {
        contents(&self.stdout)
    }

    /// The same of standard error.
    pub fn stderr(&self) -> String {
        contents(&self.stderr)
    }

    /// Waits for the end; kills the runtime and fails the test when it takes too long.
    pub fn wait(mut self) -> Output {
        let limit = crate::poll::patience(PATIENCE);
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            if Instant::now() > deadline {
                self.child.kill().ok();
                self.child.wait().ok();
                let (out, err) = (contents(&self.stdout), contents(&self.stderr));
                panic!("still running after {limit:?}: {}\n{out}{err}", self.shown);
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let code = status.code().unwrap_or_else(|| 1000 + status.signal().unwrap_or(0));
        let copy = |file: &File| file.try_clone().expect("dup");
        let (stdout, stderr) = (copy(&self.stdout), copy(&self.stderr));
        let output = Output { code, stdout, stderr, shown: self.shown.clone() };
        for line in output.stdout().lines() {
            println!("  {line}");
        }
        for line in output.stderr().lines() {
            println!("  stderr: {line}");
        }
        println!("  exit code {code}");
        output
    }
}

impl Drop for Running {
    /// After a failed assertion: says what the call wrote, and ends it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (out, err) = (contents(&self.stdout), contents(&self.stderr));
            println!("  output of {}: {out:?} {err:?}", self.shown);
        }
        // Fails when wait() has seen the end.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What a finished call left. The files stay open: after `create` the container writes on.
#[derive(Debug)]
pub struct Output {
    /// The exit code; 1000 + n when signal n killed the runtime itself.
    pub code: i32,
    stdout: File,
    stderr: File,
    shown: String,
}

impl Output {
    pub fn stdout(&self) -> String {
        contents(&self.stdout)
    }

    /// Standard output that is no text.
    pub fn bytes(&self) -> Vec<u8> {
        bytes_of(&self.stdout)
    }

    pub fn stderr(&self) -> String {
        contents(&self.stderr)
    }

    /// Standard output as lines.
    pub fn lines(&self) -> Vec<String> {
        self.stdout().lines().map(str::to_owned).collect()
    }

    /// Standard output as one JSON value.
    pub fn json(&self) -> Value {
        let text = self.stdout();
        serde_json::from_str(&text)
            .unwrap_or_else(|e| panic!("{}: not JSON: {e}: {text}", self.shown))
    }

    #[track_caller]
    pub fn assert_exit(&self, code: i32) -> &Self {
        assert_eq!(
            self.code,
            code,
            "exit code of: {}\n{}{}",
            self.shown,
            self.stdout(),
            self.stderr()
        );
        self
    }

    /// Failed by itself (not by a signal), and said why on standard error.
    #[track_caller]
    pub fn assert_fails(&self) -> &Self {
        assert!(
            (1..1000).contains(&self.code),
            "should have failed, exit {}: {}",
            self.code,
            self.shown
        );
        assert!(!self.stderr().trim().is_empty(), "failed without a word: {}", self.shown);
        self
    }

    /// Failed by itself, whether it said so on standard error, standard output or in a log.
    #[track_caller]
    pub fn assert_fails_somewhere(&self) -> &Self {
        assert!(
            (1..1000).contains(&self.code),
            "should have failed, exit {}: {}",
            self.code,
            self.shown
        );
        self
    }

    #[track_caller]
    pub fn assert_stdout(&self, text: &str) -> &Self {
        self.assert_exit(0);
        assert_eq!(self.stdout().trim_end(), text.trim_end(), "output of: {}", self.shown);
        self
    }

    /// Standard output whatever the exit code: the probe prints an errno's name and exits with 1.
    #[track_caller]
    pub fn assert_says(&self, text: &str) -> &Self {
        assert_eq!(
            self.stdout().trim_end(),
            text.trim_end(),
            "{}\nstderr: {}",
            self.shown,
            self.stderr()
        );
        self
    }

    #[track_caller]
    pub fn assert_stdout_has(&self, text: &str) -> &Self {
        self.assert_exit(0);
        let stdout = self.stdout();
        assert!(stdout.contains(text), "{}\nwanted {text:?} in: {stdout}", self.shown);
        self
    }

    #[track_caller]
    pub fn assert_stderr_has(&self, text: &str) -> &Self {
        let stderr = self.stderr();
        assert!(stderr.contains(text), "{}\nwanted {text:?} in: {stderr}", self.shown);
        self
    }
}

fn owned<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Vec<OsString> {
    args.into_iter().map(|a| a.as_ref().to_owned()).collect()
}

fn show(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A file without a name: nothing to clean up, and a container that inherits it blocks nobody.
fn unnamed_file() -> File {
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_TMPFILE)
        .open(isolate::scratch())
        .expect("O_TMPFILE")
}

fn contents(file: &File) -> String {
    String::from_utf8_lossy(&bytes_of(file)).into_owned()
}

/// The whole file, by offset, so that the writers' shared position is left alone.
fn bytes_of(file: &File) -> Vec<u8> {
    // Through /proc: a new open file description, so reading does not move the writers' offset.
    let mut bytes = Vec::new();
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .and_then(|mut f| f.read_to_end(&mut bytes))
        .expect("read captured output");
    bytes
}

fn above_100(fd: &OwnedFd) -> OwnedFd {
    // SAFETY: fcntl(2) with numbers.
    let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 100) };
    assert!(copy >= 100, "F_DUPFD_CLOEXEC: {}", std::io::Error::last_os_error());
    // SAFETY: the line above made this descriptor; nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(copy) }
}
