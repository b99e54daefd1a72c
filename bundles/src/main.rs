//! bundles: prepares bundles for `rt`, or for any other OCI runtime.
//!
//! Runs in: an ordinary process of the user. Privilege: none of its own.

mod cli;
mod digest;
mod elf;
mod error;
mod filter;
mod fmt;
mod home;
mod host;
mod ids;
mod images;
mod inspect;
mod layer;
mod load;
mod loader;
mod net;
mod network;
mod process;
mod reference;
mod rootfs;
mod screen;
mod store;
mod system;
mod template;
#[cfg(test)]
mod testing;
mod volume;

use screen::Screen;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Docker: what was typed was not understood.
const USAGE: u8 = 125;

fn main() -> ExitCode {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let cli = match cli::parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(cli::Stop::Asked(text)) => {
            let shown = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            return if shown.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(cli::Stop::Wrong(text)) => {
            err.write_all(text.as_bytes()).ok(); // nobody is left to be told
            return ExitCode::from(USAGE);
        }
    };
    let mut input = io::stdin().lock();
    let mut screen = Screen { input: &mut input, out: &mut out, err: &mut err };
    match run(&cli, &mut screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen.note(&error::report(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &cli::Cli, screen: &mut Screen<'_>) -> anyhow::Result<()> {
    let home = || home::Home::open(cli.root.as_deref());
    match &cli.command {
        cli::Command::Network(command) => network::run(command, &home()?, screen),
        cli::Command::Rootfs(args) => rootfs::run(args),
        cli::Command::Load(args) => images::load(&home()?, args, screen),
        cli::Command::Images(args) => images::list(&home()?, args, screen),
        cli::Command::Tag(args) => images::tag(&home()?, args),
        cli::Command::Rmi(args) => images::remove(&home()?, args, screen),
        cli::Command::Image(command) => images::image(&home()?, command, screen),
        cli::Command::System(command) => system::run(command, &home()?, screen),
        cli::Command::Volume(command) => volume::run(command, &home()?, screen),
        cli::Command::Unshare(args) => net::holder::run(&home()?, args),
        cli::Command::Hold(args) => net::holder::hold(args, screen),
        cli::Command::Uplink(args) => net::uplink::run(args, screen),
    }
}
