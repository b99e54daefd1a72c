//! `bundles container`: the commands about containers, by their longer names.

use super::Command as Top;
use super::{existing, networking, run, tools};
use clap::{Args, Subcommand};

/// Work with containers
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<run::Run>),
    Create(Box<run::Create>),
    Start(existing::Start),
    Stop(existing::Stop),
    Kill(existing::Kill),
    #[command(alias = "remove")]
    Rm(existing::Rm),
    #[command(aliases = ["list", "ps"])]
    Ls(existing::Ps),
    Logs(existing::Logs),
    Exec(existing::Exec),
    Wait(existing::Wait),
    Inspect(existing::Inspect),
    Exists(existing::Exists),
    Attach(existing::Attach),
    Restart(existing::Restart),
    Pause(existing::Pause),
    Unpause(existing::Unpause),
    Rename(existing::Rename),
    Update(existing::Update),
    Top(existing::Top),
    Stats(existing::Stats),
    Port(networking::Port),
    Commit(tools::Commit),
    Export(tools::Export),
    Diff(tools::Diff),
    Cp(tools::Cp),
    Prune(Prune),
}

/// Remove all containers that do not run
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,

    /// Those of this kind only: until= label= label!=; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,
}

impl Top {
    /// The command that is meant, by its shorter name where it has one.
    pub(super) fn plain(self) -> Self {
        let Self::Container(command) = self else { return self };
        match command {
            Command::Run(args) => Self::Run(args),
            Command::Create(args) => Self::Create(args),
            Command::Start(args) => Self::Start(args),
            Command::Stop(args) => Self::Stop(args),
            Command::Kill(args) => Self::Kill(args),
            Command::Rm(args) => Self::Rm(args),
            Command::Ls(args) => Self::Ps(args),
            Command::Logs(args) => Self::Logs(args),
            Command::Exec(args) => Self::Exec(args),
            Command::Wait(args) => Self::Wait(args),
            Command::Inspect(mut args) => {
                args.kind.get_or_insert(existing::Kind::Container);
                Self::Inspect(args)
            }
            Command::Commit(args) => Self::Commit(args),
            Command::Attach(args) => Self::Attach(args),
            Command::Restart(args) => Self::Restart(args),
            Command::Pause(args) => Self::Pause(args),
            Command::Unpause(args) => Self::Unpause(args),
            Command::Rename(args) => Self::Rename(args),
            Command::Update(args) => Self::Update(args),
            Command::Top(args) => Self::Top(args),
            Command::Stats(args) => Self::Stats(args),
            Command::Port(args) => Self::Port(args),
            Command::Exists(_) | Command::Prune(_) => Self::Container(command),
            Command::Export(args) => Self::Export(args),
            Command::Diff(args) => Self::Diff(args),
            Command::Cp(args) => Self::Cp(args),
        }
    }
}
