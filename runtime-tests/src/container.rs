//! A container that exists, and the commands that act on it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bundle::Bundle;
use crate::call::{Call, Output, rt};
use crate::isolate;
use crate::poll::until;

/// Made by `rt create`. When the value goes out of scope, `delete --force` removes what is left, so
/// that a failing test does not leave its container behind.
#[derive(Debug)]
pub struct Container {
    id: String,
    bundle: PathBuf,
    created: Output,
}

impl Container {
    pub fn new(bundle: &Bundle, created: Output) -> Self {
        Self { id: bundle.id().to_owned(), bundle: bundle.dir().to_owned(), created }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn bundle(&self) -> &Path {
        &self.bundle
    }

    /// What the payload has written so far (its streams are those of `create`).
    pub fn stdout(&self) -> String {
        self.created.stdout()
    }

    pub fn stderr(&self) -> String {
        self.created.stderr()
    }

    /// Waits until the payload has written a line with `text`.
    pub fn wait_for(&self, text: &str) -> &Self {
        until(&format!("{text:?} in the container's output"), || {
            self.stdout().contains(text).then_some(())
        });
        self
    }

    /// `rt COMMAND ID`.
    pub fn call(&self, command: &str) -> Call {
        rt([command, self.id()])
    }

    pub fn start(&self) -> &Self {
        self.call("start").output().assert_exit(0);
        self
    }

    /// `exec ID ARGS` in the foreground.
    pub fn exec(&self, args: &[&str]) -> Output {
        self.exec_with(&[], args)
    }

    /// `exec FLAGS ID ARGS`.
    pub fn exec_with(&self, flags: &[&str], args: &[&str]) -> Output {
        self.exec_call(flags, args).output()
    }

    pub fn exec_call(&self, flags: &[&str], args: &[&str]) -> Call {
        rt(["exec"]).args(flags).arg(&self.id).args(args)
    }

    pub fn kill(&self, signal: &str) -> &Self {
        self.call("kill").arg(signal).output().assert_exit(0);
        self
    }

    pub fn delete(&self) -> &Self {
        self.call("delete").output().assert_exit(0);
        self
    }

    pub fn delete_force(&self) -> &Self {
        rt(["delete", "--force", self.id()]).output().assert_exit(0);
        self
    }

    pub fn state(&self) -> Value {
        let output = self.call("state").output();
        output.assert_exit(0);
        output.json()
    }

    pub fn status(&self) -> String {
        self.state()["status"].as_str().expect("status is a string").to_owned()
    }

    /// The host's pid of the container's first process.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.state()["pid"].as_i64().expect("pid is a number")).expect("a pid")
    }

    pub fn wait_status(&self, status: &str) -> &Self {
        until(&format!("status {status}"), || (self.status() == status).then_some(()));
        self
    }

    /// SIGKILL, wait for the end, delete.
    pub fn end(&self) {
        if self.status() != "stopped" {
            self.kill("KILL");
        }
        self.wait_status("stopped").delete();
    }

    fn exists(&self) -> bool {
        isolate::state_root().join(&self.id).exists()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("  output of the container: {:?} {:?}", self.stdout(), self.stderr());
        }
        if self.exists() {
            // A failing clean-up shows in the leak check.
            let gone = rt(["delete", "--force", self.id()]).output();
            drop(gone);
        }
    }
}
