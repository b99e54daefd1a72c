//! The command line. The doc comments are the help text.
//!
//! Runs in: before anything else. Touches nothing.

use crate::cli_run;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Prepares bundles for rt or any other OCI runtime
#[derive(Debug, Parser)]
#[command(name = "bundles", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Directory of everything [default: /var/lib/bundles, or below `$XDG_DATA_HOME`]
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Create(Box<cli_run::Create>),
    Exec(cli_run::Exec),
    /// Print all that is known of containers, as JSON
    Inspect(cli_run::Containers),
    Kill(cli_run::Kill),
    Logs(cli_run::Logs),
    #[command(hide = true)]
    Monitor(cli_run::Monitor),
    Ps(cli_run::Ps),
    Rm(cli_run::Rm),
    Rootfs(Rootfs),
    Run(Box<cli_run::Run>),
    /// Start containers that do not run
    Start(cli_run::Containers),
    Stop(cli_run::Stop),
    /// Wait until containers end, and print their exit codes
    Wait(cli_run::Containers),
}

/// Put together a root file system
///
/// The programs are copied under the paths they have on this host, together with the interpreters
/// and shared libraries which they name. DIR is made whole or not at all.
#[derive(Debug, Args)]
pub(crate) struct Rootfs {
    /// Take the programs from this host
    #[arg(long, required = true)]
    pub(crate) from_host: bool,

    /// Programs, by path or by name in $PATH
    #[arg(value_name = "PROGRAM", required = true, num_args = 1..)]
    pub(crate) programs: Vec<String>,

    /// Directory to make; it may exist if it is empty
    #[arg(value_name = "DIR", required = true)]
    pub(crate) dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_argument_is_the_directory() {
        let Command::Rootfs(args) =
            Cli::try_parse_from(["bundles", "rootfs", "--from-host", "sh", "/bin/ls", "d"])
                .unwrap()
                .command
        else {
            panic!("another command")
        };
        assert_eq!(args.programs, ["sh", "/bin/ls"]);
        assert_eq!(args.dir, PathBuf::from("d"));
    }

    #[test]
    fn one_argument_is_refused() {
        assert!(Cli::try_parse_from(["bundles", "rootfs", "--from-host", "sh"]).is_err());
    }
}
