//! Calling the OCI runtime.
//!
//! Runs in: an ordinary process of the user. What the runtime says goes to a log in memory: its
//! standard error is the container's, and a full disk would have no place for the reason.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use crate::container::Container;
use crate::error::{self, OrHint as _};
use crate::home::Home;
use crate::rootless;
use anyhow::{Context as _, Result, anyhow, ensure};
use nix::unistd::AccessFlags;
use rustix::fs::MemfdFlags;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Tried in this order when nobody says which.
pub(crate) const KNOWN: [&str; 3] = ["rt", "runc", "crun"];

/// The runtime and where it keeps its state.
#[derive(Debug)]
pub(crate) struct Runtime {
    program: PathBuf,
    root: PathBuf,
    log: InMemory,
}

/// A file that needs no disk, for programs that this process starts and waits for.
#[derive(Debug)]
pub(crate) struct InMemory {
    file: File,
}

impl InMemory {
    pub(crate) fn new(content: &[u8]) -> Result<Self> {
        let made = rustix::fs::memfd_create("bundles", MemfdFlags::CLOEXEC);
        let file = File::from(made.context("memfd_create")?);
        file.write_all_at(content, 0).context("memfd")?;
        Ok(Self { file })
    }

    /// For others, as long as this process has it.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into()
    }
}

/// The program for a new container.
pub(crate) fn find(wanted: Option<&Path>) -> Result<PathBuf> {
    let Some(wanted) = wanted else {
        let beside = std::env::current_exe().ok().map(|exe| exe.with_file_name("rt"));
        let beside = beside.filter(|file| is_program(file));
        return beside
            .or_else(|| KNOWN.iter().find_map(|name| in_path(name)))
            .context("no OCI runtime: neither rt beside this program nor rt, runc or crun in PATH")
            .hint("install rt, or name a runtime with --runtime FILE");
    };
    let found = if wanted.components().count() > 1 {
        std::path::absolute(wanted).ok().filter(|file| is_program(file))
    } else {
        wanted.to_str().and_then(in_path)
    };
    found
        .with_context(|| format!("--runtime {}: no such program", wanted.display()))
        .hint("write a path, or a name in PATH")
}

pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|file| is_program(file))
}

/// What a runtime says of itself, in one line.
pub(crate) fn version(program: &Path) -> Result<String> {
    let mut command = Command::new(program);
    let said = command.arg("--version").stdin(Stdio::null()).output();
    let said = said.with_context(|| program.display().to_string())?;
    let text = String::from_utf8_lossy(&said.stdout);
    ensure!(said.status.success(), "{} --version: {}", program.display(), said.status);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

fn is_program(file: &Path) -> bool {
    file.is_file() && nix::unistd::access(file, AccessFlags::X_OK).is_ok()
}

/// Where the runtime of a new container keeps its state: gone with the next boot, when there is such
/// a place.
pub(crate) fn root(home: &Home) -> Result<PathBuf> {
    if nix::unistd::geteuid().is_root() && rootless::ids()?.is_none() {
        return Ok(PathBuf::from("/run/bundles"));
    }
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    match own.filter(|dir| dir.is_dir()) {
        Some(own) => Ok(own.join("bundles")),
        None => home.directory("runtime"),
    }
}

impl Runtime {
    pub(crate) fn new(program: PathBuf, root: PathBuf) -> Result<Self> {
        Ok(Self { program, root, log: InMemory::new(&[])? })
    }

    /// That of a container.
    pub(crate) fn of(container: &Container) -> Result<Self> {
        let record = &container.record;
        Self::new(record.runtime.clone(), record.runtime_root.clone())
    }

    /// A call whose standard streams lead nowhere.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.root).arg("--log").arg(self.log.path());
        command.args(["--log-format", "json"]).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// What the runtime has written to its log.
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        self.log.file.set_len(0).context("memfd")?; // what an earlier call has said
        let status = command.status().with_context(|| self.program.display().to_string())?;
        ensure!(status.success(), self.failure().unwrap_or_else(|| status.to_string()));
        Ok(())
    }

    pub(crate) fn kill(&self, id: &str, signal: i32) -> Result<()> {
        self.run(&mut self.command(["kill", id, &signal.to_string()]))
    }

    pub(crate) fn pause(&self, id: &str) -> Result<()> {
        self.run(&mut self.command(["pause", id]))
    }

    pub(crate) fn resume(&self, id: &str) -> Result<()> {
        self.run(&mut self.command(["resume", id]))
    }

    /// Also of what is half there, or not there at all.
    pub(crate) fn delete(&self, id: &str) -> Result<()> {
        self.run(&mut self.command(["delete", "--force", id]))
    }

    /// Whether it knows anything of this container. All of them keep a directory for each.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.root.join(id).exists()
    }

    /// "created", "running", "stopped" or "paused".
    pub(crate) fn status(&self, id: &str) -> Result<String> {
        let state: Value = serde_json::from_slice(&self.output(["state", id])?)
            .with_context(|| format!("{} state", self.program.display()))?;
        Ok(state["status"].as_str().unwrap_or_default().to_owned())
    }

    /// What it prints.
    pub(crate) fn output<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Vec<u8>> {
        self.log.file.set_len(0).context("memfd")?; // what an earlier call has said
        let said = self.command(args).stdout(Stdio::piped()).output();
        let said = said.with_context(|| self.program.display().to_string())?;
        let failure = || self.failure().unwrap_or_else(|| said.status.to_string());
        ensure!(said.status.success(), failure());
        Ok(said.stdout)
    }

    /// The error of the last call.
    pub(crate) fn failure(&self) -> Option<String> {
        let text = fs::read_to_string(self.log.path()).ok()?;
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut errors = lines.filter(|line| line["level"] == "error");
        let said = errors.next_back()?["msg"].as_str()?.trim().to_owned();
        Some(said)
    }
}

/// The exit code of a start that failed: 127 when the command is not there, 126 when it can't be
/// run, 125 for all else. Runtimes tell it only in words.
pub(crate) fn exit_code_of(failure: &str) -> i32 {
    let text = failure.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if !has(&["exec: ", "executable", "execve", "exec /", "args[0]"]) {
        125
    } else if has(&["not found", "no such file"]) {
        127
    } else if has(&["denied", "not permitted", "is a directory", "not a regular", "exec format"]) {
        126
    } else {
        125
    }
}

/// What a monitor tells whoever started it: the error, and on a second line its hint.
pub(crate) fn told(err: &anyhow::Error) -> String {
    let hint = error::hint(err).map(|hint| format!("\n{hint}")).unwrap_or_default();
    format!("{}{hint}", error::chain(err))
}

/// What an ordinary user does about what the kernel does not permit him. Runtimes tell it only in
/// words; this is of those in small letters.
fn cure(failure: &str) -> Option<&'static str> {
    let refused = ["not permitted", "permission denied"].iter().any(|word| failure.contains(word));
    let cures = [
        ("rlimit", "--ulimit goes up to the caller's own hard limit: ulimit -Ha shows it"),
        ("oom_score_adj", "--oom-score-adj can be raised only: write a number from 0 on"),
        ("oomscoreadj", "--oom-score-adj can be raised only: write a number from 0 on"),
        ("cgroup", rootless::DELEGATE),
    ];
    let mut fitting = cures.into_iter().filter(|(word, _)| refused && failure.contains(word));
    fitting.next().map(|(_, cure)| cure)
}

/// The same as an error, with the way out.
pub(crate) fn start_error(failure: String) -> anyhow::Error {
    let code = exit_code_of(&failure);
    if let Some((failure, hint)) = failure.split_once('\n') {
        let hinted: Result<()> = Err(anyhow!(failure.to_owned())).hint(hint);
        return hinted.err().unwrap_or_else(|| anyhow!("internal error, please report"));
    }
    let text = failure.to_ascii_lowercase();
    let is_ordinary = rootless::ids().is_ok_and(|ids| ids.is_some());
    let error: Result<()> = Err(anyhow!(failure));
    let hinted = match code {
        127 => error.hint("look for the command in the container's file system, and at its PATH"),
        126 => error.hint("the command has to be an executable file, with its mode set"),
        _ => match cure(&text).filter(|_| is_ordinary) {
            Some(cure) => error.hint(cure),
            None => error,
        },
    };
    hinted.err().unwrap_or_else(|| anyhow!("internal error, please report"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_cures() {
        let limit = "process.rlimits[0] (rlimit_nofile): prlimit(0, 7, …): operation not permitted";
        assert!(cure(limit).unwrap().contains("ulimit"));
        let of_runc = "error setting rlimits for ready process: operation not permitted";
        assert!(cure(of_runc).unwrap().contains("ulimit"));
        let score = "process.oomscoreadj: write(…): permission denied (eacces)";
        assert!(cure(score).unwrap().contains("--oom-score-adj"));
        assert_eq!(cure("process.rlimits[0]: no such limit"), None);
    }

    #[test]
    fn failures_of_three_runtimes_have_docker_exit_codes() {
        for (text, code) in [
            (
                "create x1: process.args[0]: exec: \"nosuch\": executable file not found in $PATH",
                127,
            ),
            (
                "process.args[0]: exec: \"/nosuch\": stat /nosuch: no such file or directory (ENOENT)",
                127,
            ),
            (
                "runc create failed: unable to start container process: exec: \"/bin\": permission denied",
                126,
            ),
            ("process.args[0]: exec: \"/bin\": stat /bin: is a directory (EISDIR)", 126),
            ("executable file `nosuch` not found in $PATH: No such file or directory", 127),
            ("open executable: Operation not permitted", 126),
            ("mounts[3]: stat /nosuch: no such file or directory", 125),
        ] {
            assert_eq!(exit_code_of(text), code, "{text}");
        }
    }
}
