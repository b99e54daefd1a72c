//! bundles: prepares bundles for `rt`, or for any other OCI runtime.
//!
//! Runs in: an ordinary process of the user. Privilege: none of its own.

mod attach;
mod cli;
mod cli_run;
mod commands;
mod container;
mod elf;
mod error;
mod home;
mod host;
mod loader;
mod monitor;
mod rootfs;
mod runtime;
mod spec;
#[cfg(test)]
mod testing;
mod users;

use clap::Parser as _;
use cli::{Cli, Command};
use home::Home;
use std::process::ExitCode;

/// Of `run`, `create` and `exec` when they fail themselves, as other codes are the container's.
const OWN_FAILURE: u8 = 125;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let own = matches!(cli.command, Command::Run(_) | Command::Create(_) | Command::Exec(_));
    match dispatch(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(err) => {
            error::report(&err);
            ExitCode::from(if own { OWN_FAILURE } else { 1 })
        }
    }
}

fn dispatch(cli: &Cli) -> anyhow::Result<u8> {
    let home = || Home::open(cli.root.as_deref());
    match &cli.command {
        Command::Create(args) => commands::create(&home()?, args),
        Command::Exec(args) => commands::exec(&home()?, args),
        Command::Inspect(args) => commands::inspect(&home()?, args),
        Command::Kill(args) => commands::kill(&home()?, args),
        Command::Logs(args) => commands::logs(&home()?, args),
        Command::Monitor(args) => monitor::run(&home()?, &args.id).map(|()| 0),
        Command::Ps(args) => commands::ps(&home()?, args),
        Command::Rm(args) => commands::rm(&home()?, args),
        Command::Rootfs(args) => rootfs::run(args).map(|()| 0),
        Command::Run(args) => commands::run(&home()?, args),
        Command::Start(args) => commands::start(&home()?, args),
        Command::Stop(args) => commands::stop(&home()?, args),
        Command::Wait(args) => commands::wait(&home()?, args),
    }
}
