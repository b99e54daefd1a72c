//! rt: a low-level OCI container runtime.
//!
//! Runs in: parent. The only place that prints an error and chooses an exit code.

mod cgroup;
mod cli;
mod commands;
mod config;
mod console;
mod container;
mod error;
mod fds;
mod hooks;
mod init;
mod join;
mod labels;
mod launch;
mod log;
mod plan;
mod proc;
mod process;
mod rootfs;
mod seal;
mod sync;
mod sys;
mod userns;
mod wait;

/// musl's allocator asks the kernel for memory in small pieces and gives it back at once: 220 system
/// calls of a run. This one takes few large ones, and a run is too short to give anything back.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

use clap::Parser as _;
use clap::error::ErrorKind;
use cli::{Cli, Command};
use std::process::ExitCode;

/// runc and crun: any failure of our own, but for exec.
const FAILED: u8 = 1;
/// What exec returns when it fails itself, so that it is not taken for the payload's code.
const EXEC_FAILED: u8 = 255;

fn main() -> ExitCode {
    let args = cli::arguments(std::env::args_os());
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(err) => return usage(&err),
    };
    if cli.global.version {
        return print_version();
    }
    let failed = match &cli.command {
        Some(Command::Exec(_)) => ExitCode::from(EXEC_FAILED),
        _ => ExitCode::from(FAILED),
    };
    let host = match commands::Host::new(&cli.global) {
        Ok(host) => host,
        Err(err) => {
            log::stderr(&format!("rt: {}", error::chain(&err)));
            if let Some(hint) = error::hint(&err) {
                log::stderr(&format!("  hint: {hint}"));
            }
            return failed;
        }
    };
    match commands::run(&cli, &host) {
        Ok(code) => code,
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
fn usage(err: &clap::Error) -> ExitCode {
    if matches!(
        err.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        let shown = log::stdout(&err.render().to_string());
        return if shown.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) };
    }
    let text = err.render().to_string();
    let text = text.trim_start_matches("error: ").trim_end();
    log::stderr(&format!("rt: {text}"));
    ExitCode::from(FAILED)
}

/// go-runc wants the first line to begin with "runc version " where it is installed by that name;
/// moby looks for "version" and "commit:", everybody shows it to people.
fn print_version() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    let name =
        std::path::Path::new(&name).file_name().and_then(|name| name.to_str()).unwrap_or("rt");
    let name = if name == "runc" { "runc" } else { "rt" };
    let commit = option_env!("RT_COMMIT").unwrap_or("unknown");
    let text =
        format!("{name} version {}\ncommit: {commit}\nspec: 1.3.0\n", env!("CARGO_PKG_VERSION"));
    if log::stdout(&text).is_ok() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}
