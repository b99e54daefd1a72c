//! bundles: prepares bundles for `rt`, or for any other OCI runtime.
//!
//! Runs in: an ordinary process of the user. Privilege: none of its own.

mod cli;
mod digest;
mod elf;
mod error;
mod home;
mod host;
mod images;
mod layer;
mod load;
mod loader;
mod reference;
mod rootfs;
mod store;
#[cfg(test)]
mod testing;
mod tree;

use clap::Parser as _;
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Err(err) = run(&cli::Cli::parse()) else { return ExitCode::SUCCESS };
    let mut text = String::new();
    for err in error::each(&err) {
        text.push_str(&format!("bundles: {}\n", error::chain(err)));
        if let Some(hint) = error::hint(err) {
            text.push_str(&format!("  hint: {hint}\n"));
        }
    }
    std::io::stderr().write_all(text.as_bytes()).ok(); // nobody is left to be told
    ExitCode::FAILURE
}

fn run(cli: &cli::Cli) -> anyhow::Result<()> {
    let home = || home::Home::open(cli.root.as_deref());
    let out = &mut std::io::stdout().lock();
    match &cli.command {
        cli::Command::Rootfs(args) => rootfs::run(args),
        cli::Command::Load(args) => images::load(&home()?, args, out),
        cli::Command::Images(args) => images::list(&home()?, args, out),
        cli::Command::Tag(args) => images::tag(&home()?, args),
        cli::Command::Rmi(args) => images::remove(&home()?, args, out),
        cli::Command::Image(args) => images::image(&home()?, args, out),
    }
}
