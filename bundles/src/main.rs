//! bundles: prepares bundles for `rt`, or for any other OCI runtime.
//!
//! Runs in: an ordinary process of the user. Privilege: none of its own.

mod cli;
mod cli_network;
mod elf;
mod error;
mod home;
mod host;
mod loader;
mod net;
mod network;
mod rootfs;
#[cfg(test)]
mod testing;

use clap::Parser as _;
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let result = match cli.command {
        cli::Command::Rootfs(args) => rootfs::run(&args),
        cli::Command::Network(args) => home::Home::open(cli.root.as_deref())
            .and_then(|home| network::run(&home, args.command, &mut std::io::stdout())),
    };
    let Err(err) = result else { return ExitCode::SUCCESS };
    let mut text = format!("bundles: {}\n", error::chain(&err));
    if let Some(hint) = error::hint(&err) {
        text.push_str(&format!("  hint: {hint}\n"));
    }
    std::io::stderr().write_all(text.as_bytes()).ok(); // nobody is left to be told
    ExitCode::FAILURE
}
