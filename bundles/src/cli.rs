//! The command line. The doc comments are the help text.
//!
//! Runs in: before anything else. Touches nothing.

mod dash;
pub(crate) mod images;
mod mistakes;
pub(crate) mod network;
pub(crate) mod networking;
pub(crate) mod rootfs;
pub(crate) mod run;
pub(crate) mod system;
pub(crate) mod volume;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// Runs images with rt or any other OCI runtime
#[derive(Debug, Parser)]
#[command(name = "bundles", version, arg_required_else_help = true, args_override_self = true)]
pub(crate) struct Cli {
    /// Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<run::Run>),
    Create(Box<run::Create>),
    /// Start containers that do not run
    Start(run::Containers),
    Stop(run::Stop),
    Kill(run::Kill),
    Rm(run::Rm),
    Ps(run::Ps),
    Logs(run::Logs),
    Exec(run::Exec),
    /// Wait until containers end, and print their exit codes
    Wait(run::Containers),
    Inspect(run::Inspect),
    #[command(hide = true)]
    Monitor(run::Monitor),
    /// Make, list and remove networks, and bring containers onto them
    #[command(subcommand)]
    Network(network::Command),
    Port(networking::Port),
    Rootfs(rootfs::Rootfs),
    Load(images::Load),
    Images(images::Images),
    Tag(images::Tag),
    Rmi(images::Remove),
    /// Work with images
    #[command(subcommand)]
    Image(images::Command),
    /// Show and free what is on the disk
    #[command(subcommand)]
    System(system::Command),
    /// Make, list and remove volumes
    #[command(subcommand)]
    Volume(volume::Command),
}

/// Why there is nothing to run.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help or version: for standard output.
    Asked(String),
    /// For standard error.
    Wrong(String),
}

/// `KEY=VALUE` each; without a value it is empty.
pub(crate) fn pairs(words: &[String]) -> BTreeMap<String, String> {
    let pair = |word: &String| {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        (key.to_owned(), value.to_owned())
    };
    words.iter().map(pair).collect()
}

pub(crate) fn parse(args: Vec<OsString>) -> Result<Cli, Stop> {
    let mut cli = Cli::command();
    cli.build();
    let args = dash::arguments(&cli, args);
    let parsed = cli.try_get_matches_from_mut(&args);
    parsed.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|err| {
        let asked = matches!(
            err.kind(),
            ErrorKind::DisplayHelp
                | ErrorKind::DisplayVersion
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        );
        if asked {
            return Stop::Asked(err.render().to_string());
        }
        let words: Vec<String> =
            args.iter().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
        Stop::Wrong(mistakes::message(&cli, &words, &err))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Cli, Stop> {
        parse(line.split(' ').map(OsString::from).collect())
    }

    fn wrong(line: &str) -> String {
        match parsed(line) {
            Err(Stop::Wrong(text)) => text,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn last_argument_is_the_directory() {
        let cli = parsed("bundles rootfs --from-host sh /bin/ls d").unwrap();
        let Command::Rootfs(args) = cli.command else { panic!("another command") };
        assert_eq!(args.programs, ["sh", "/bin/ls"]);
        assert_eq!(args.dir, PathBuf::from("d"));
        wrong("bundles rootfs --from-host sh");
    }

    #[test]
    fn root_may_stand_anywhere() {
        for line in [
            "bundles --root /r volume ls",
            "bundles volume ls --root /r",
            "bundles volume -root=/r ls",
        ] {
            assert_eq!(parsed(line).unwrap().root, Some(PathBuf::from("/r")), "{line}");
        }
    }

    #[test]
    fn mistyped_words_get_a_guess() {
        for (line, guess) in [
            ("bundles volum ls", "'volume'"),
            ("bundles volumes", "'volume'"),
            ("bundles voluem ls", "'volume'"),
            ("bundles volume sl", "'bundles volume ls'"),
            ("bundles volume mr x", "'bundles volume rm'"),
            ("bundles volume inpsect x", "'inspect'"),
            ("bundles df", "'bundles system df'"),
            ("bundles volume create --lable a=b", "'--label'"),
            ("bundles volume ls --formt json", "'--format'"),
        ] {
            let text = wrong(line);
            assert!(text.starts_with("bundles: ") && text.contains(guess), "{line}: {text}");
        }
        assert!(!wrong("bundles xyzzy").contains("did you mean"));
    }

    #[test]
    fn names_people_know_are_taken() {
        for line in [
            "bundles volume list -q",
            "bundles volume remove x",
            "bundles volume create \u{2014}name x",
        ] {
            parsed(line).unwrap();
        }
        assert!(matches!(parsed("bundles volume"), Err(Stop::Asked(_))));
        assert!(matches!(parsed("bundles --version"), Err(Stop::Asked(_))));
    }
}
