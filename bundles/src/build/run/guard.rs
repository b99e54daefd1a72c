//! Ends the containers of a build that was killed, and removes its files.
//!
//! Runs in: this binary, started anew before the first `RUN` of a build, outside of its mount
//! namespace. Standard input is a pipe: its end means that the build has ended, however that came.

use crate::home::Home;
use crate::networking;
use crate::runtime::Runtime;
use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, BufRead as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;

const NAME: &str = "bundles-guard";

#[derive(Debug)]
pub(crate) struct Guard(Mutex<Option<Child>>);

impl Guard {
    /// Without one a build works as well, so its failure is none.
    pub(super) fn new(home: &Home, program: &Path, root: &Path) -> Self {
        let start = || -> io::Result<Child> {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg0(NAME).arg(home.path()).arg(program).arg(root);
            // Ctrl-C is for the build.
            command.process_group(0).stdin(Stdio::piped());
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        };
        Self(Mutex::new(start().ok()))
    }

    /// From here on it knows the container.
    pub(super) fn watch(&self, id: &str) -> Result<()> {
        self.tell('+', id).context("tell the guard")
    }

    pub(super) fn forget(&self, id: &str) {
        self.tell('-', id).ok(); // it may have been killed
    }

    fn tell(&self, sign: char, id: &str) -> io::Result<()> {
        let mut child = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match child.as_mut().and_then(|child| child.stdin.as_mut()) {
            Some(input) => input.write_all(format!("{sign}{id}\n").as_bytes()),
            None => Ok(()),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut child = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(child) = child.as_mut() {
            drop(child.stdin.take());
            child.wait().ok(); // nothing is left to do for it
        }
    }
}

/// `None` when this process is something else.
pub(crate) fn called() -> Option<ExitCode> {
    let mut args = std::env::args_os();
    if args.next()? != NAME {
        return None;
    }
    let (home, program, root) = (args.next()?, args.next()?, args.next()?);
    let done = run(&home, program, root);
    Some(if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(home: &OsString, program: OsString, root: OsString) -> Result<()> {
    let mut left = BTreeSet::new();
    for line in io::stdin().lock().lines() {
        let line = line.context("standard input")?;
        match line.split_at_checked(1) {
            Some(("+", id)) => drop(left.insert(id.to_owned())),
            Some((_, id)) => drop(left.remove(id)),
            None => {}
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    let home = Home::open(Some(Path::new(home)))?;
    let runtime = Runtime::new(PathBuf::from(program), PathBuf::from(root))?;
    for id in left {
        runtime.delete(&id).ok(); // it may not have begun
        networking::leave(&home, &id).ok();
    }
    home.sweep().map(drop)
}
