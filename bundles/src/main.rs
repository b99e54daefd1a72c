//! bundles: prepares bundles for `rt`, or for any other OCI runtime.
//!
//! Runs in: an ordinary process of the user. Privilege: none of its own.

mod cli;
mod elf;
mod error;
#[expect(dead_code, reason = "the commands that use it come next")]
mod home;
mod host;
mod loader;
mod rootfs;
#[cfg(test)]
mod testing;

use clap::Parser as _;
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match cli::Cli::parse().command {
        cli::Command::Rootfs(args) => rootfs::run(&args),
    };
    let Err(err) = result else { return ExitCode::SUCCESS };
    let mut text = format!("bundles: {}\n", error::chain(&err));
    if let Some(hint) = error::hint(&err) {
        text.push_str(&format!("  hint: {hint}\n"));
    }
    std::io::stderr().write_all(text.as_bytes()).ok(); // nobody is left to be told
    ExitCode::FAILURE
}
