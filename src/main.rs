//! rt: a low-level OCI container runtime.
//!
//! Runs in: parent. The only place that prints an error and chooses an exit code.

#![cfg_attr(not(test), no_main)]

mod agent;
mod cgroup;
mod cli;
mod commands;
mod config;
mod console;
mod container;
mod doctor;
mod error;
mod fds;
mod hooks;
mod init;
mod join;
mod labels;
mod landlock;
mod launch;
mod listener;
mod live;
mod log;
mod net_devices;
mod pid_file;
mod plan;
mod proc;
mod process;
mod readiness;
mod resctrl;
mod rootfs;
mod scheduling;
mod seal;
mod subids;
mod sync;
mod sys;
mod userns;
mod wait;

#[cfg(not(test))]
#[global_allocator]
static ALLOCATOR: sys::memory::Allocator = sys::memory::Allocator::new();

use clap::error::{ContextKind, ContextValue, ErrorKind};
use cli::Command;
use std::ffi::OsString;

/// runc and crun: any failure of our own, but for exec.
const FAILED: i32 = 1;
/// What exec returns when it fails itself, so that it is not taken for the payload's code.
const EXEC_FAILED: i32 = 255;

/// Called by `sys::start` with the command line. Returns the exit code.
pub(crate) fn main(args: Vec<OsString>) -> i32 {
    let cli = match cli::parse(&args) {
        Ok(cli) => cli,
        Err(err) => return usage(&err),
    };
    if cli.global.version {
        return print_version(&args);
    }
    let failed = match &cli.command {
        Some(Command::Exec(_)) => EXEC_FAILED,
        _ => FAILED,
    };
    let host = match commands::Host::new(&cli) {
        Ok(host) => host,
        Err(err) => {
            log::stderr(&format!("rt: {}", error::chain(&err)));
            if let Some(hint) = error::hint(&err) {
                log::stderr(&format!("  hint: {hint}"));
            }
            return failed;
        }
    };
    match commands::run(&cli, &host, &args) {
        Ok(code) => code.into(),
        Err(err) => {
            let text = error::chain(&err);
            let text = match &cli.command {
                Some(command) => format!("{}: {text}", commands::title(command)),
                None => text,
            };
            host.log.error(&text, error::hint(&err));
            failed
        }
    }
}

/// clap's message, on one line and in our words: engines show the first line only.
fn usage(err: &clap::Error) -> i32 {
    if matches!(
        err.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        let shown = log::stdout(&err.render().to_string());
        return if shown.is_ok() { 0 } else { FAILED };
    }
    let text = err.render().to_string();
    let text = text.trim_start_matches("error: ").trim_end();
    match err.get(ContextKind::InvalidSubcommand) {
        // Engines ask by `checkpoint --help` whether there is such a command: there must be none.
        Some(ContextValue::String(verb)) if matches!(verb.as_str(), "checkpoint" | "restore") => {
            log::stderr(&format!(
                "rt: {verb} is not supported: rt saves and restores no processes"
            ));
            log::stderr(
                "  hint: make the container with a runtime that does, such as runc or crun",
            );
        }
        Some(_) | None => log::stderr(&format!("rt: {text}")),
    }
    FAILED
}

/// go-runc wants the first line to begin with "runc version " where it is installed by that name;
/// moby looks for "version" and "commit:", everybody shows it to people.
fn print_version(args: &[OsString]) -> i32 {
    let name = args.first().map(std::path::Path::new).and_then(std::path::Path::file_name);
    let name = if name.is_some_and(|name| name == "runc") { "runc" } else { "rt" };
    let commit = option_env!("RT_COMMIT").unwrap_or("unknown");
    let text =
        format!("{name} version {}\ncommit: {commit}\nspec: 1.3.0\n", env!("CARGO_PKG_VERSION"));
    if log::stdout(&text).is_ok() { 0 } else { FAILED }
}
