//! The command line. The doc comments are the help text.
//!
//! Runs in: before anything else. Touches nothing.

pub(crate) mod build;
pub(crate) mod container;
mod dash;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod existing;
pub(crate) mod health;
pub(crate) mod images;
pub(crate) mod info;
pub(crate) mod limits;
mod mistakes;
pub(crate) mod names;
pub(crate) mod namespaces;
pub(crate) mod network;
pub(crate) mod networking;
pub(crate) mod pull;
mod reasons;
pub(crate) mod rootfs;
pub(crate) mod run;
pub(crate) mod system;
pub(crate) mod tools;
pub(crate) mod unshare;
pub(crate) mod volume;

use crate::called::Name;
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches, Parser, Subcommand};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// Runs images with rt or any other OCI runtime
#[derive(Debug, Parser)]
#[command(name = "bundles", version, disable_version_flag = true)]
#[command(arg_required_else_help = true, args_override_self = true)]
pub(crate) struct Cli {
    /// Print the version
    #[arg(short = 'v', short_alias = 'V', long, action = clap::ArgAction::Version)]
    version: Option<bool>,

    /// Where all is kept; usually /var/lib/bundles for root, ~/.local/share/bundles for others
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,

    /// Directory whose config.json has the logins for registries, as Docker's ~/.docker
    #[arg(long, value_name = "DIR")]
    pub(crate) config: Option<PathBuf>,

    /// Accepted for scripts, where it is of this machine
    #[arg(short = 'H', long, value_name = "SOCKET", hide = true, value_parser = of_this_machine)]
    host: Option<String>,

    /// The same, where it is default
    #[arg(short = 'c', long, value_name = "NAME", hide = true, value_parser = ["default"])]
    context: Option<String>,

    /// Accepted for scripts
    #[arg(short = 'D', long, hide = true)]
    debug: bool,

    /// Accepted for scripts
    #[arg(short = 'l', long, value_name = "LEVEL", hide = true)]
    log_level: Option<String>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

fn of_this_machine(socket: &str) -> Result<String, &'static str> {
    let is_here = socket.starts_with("unix://") || socket.is_empty();
    is_here.then(|| socket.to_owned()).ok_or("there is no daemon, neither here nor elsewhere")
}

/// The commands. Like `derive(Subcommand)`, but the flags of a command are built when it is given:
/// those of all others took longer than most commands do.
macro_rules! commands {
    ($($variant:ident($args:ty) $name:literal $how:ident,)*) => {
        #[derive(Debug)]
        pub(crate) enum Command {
            $($variant($args),)*
        }

        impl Subcommand for Command {
            fn augment_subcommands(app: clap::Command) -> clap::Command {
                app$(.subcommand(clap::Command::new($name).defer(|command| $how::<$args>(command))))*
            }

            fn augment_subcommands_for_update(app: clap::Command) -> clap::Command {
                Self::augment_subcommands(app)
            }

            fn has_subcommand(name: &str) -> bool {
                [$($name),*].contains(&name)
            }
        }

        impl FromArgMatches for Command {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                match matches.subcommand() {
                    $(Some(($name, matches)) => {
                        <$args>::from_arg_matches(matches).map(Self::$variant)
                    })*
                    Some(_) | None => Err(clap::Error::new(ErrorKind::MissingSubcommand)),
                }
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}

fn flags<T: Args>(command: clap::Command) -> clap::Command {
    T::augment_args(command)
}

/// Has commands of its own.
fn group<T: Subcommand>(command: clap::Command) -> clap::Command {
    T::augment_subcommands(command).subcommand_required(true).arg_required_else_help(true)
}

commands! {
    Run(Box<run::Run>) "run" flags,
    Create(Box<run::Create>) "create" flags,
    Start(existing::Start) "start" flags,
    Restart(existing::Restart) "restart" flags,
    Attach(existing::Attach) "attach" flags,
    Pause(existing::Pause) "pause" flags,
    Unpause(existing::Unpause) "unpause" flags,
    Rename(existing::Rename) "rename" flags,
    Update(existing::Update) "update" flags,
    Top(existing::Top) "top" flags,
    Stats(existing::Stats) "stats" flags,
    Stop(existing::Stop) "stop" flags,
    Kill(existing::Kill) "kill" flags,
    Rm(existing::Rm) "rm" flags,
    Ps(existing::Ps) "ps" flags,
    Logs(existing::Logs) "logs" flags,
    Exec(existing::Exec) "exec" flags,
    Wait(existing::Wait) "wait" flags,
    Inspect(existing::Inspect) "inspect" flags,
    Healthcheck(health::Command) "healthcheck" group,
    Container(container::Command) "container" group,
    Build(Box<build::Build>) "build" flags,
    Builder(build::Builder) "builder" group,
    Images(images::Images) "images" flags,
    Load(images::Load) "load" flags,
    Pull(pull::Pull) "pull" flags,
    Push(pull::Push) "push" flags,
    Login(pull::Login) "login" flags,
    Logout(pull::Logout) "logout" flags,
    Search(pull::Search) "search" flags,
    Commit(tools::Commit) "commit" flags,
    Export(tools::Export) "export" flags,
    Import(tools::Import) "import" flags,
    Save(tools::Save) "save" flags,
    Diff(tools::Diff) "diff" flags,
    Cp(tools::Cp) "cp" flags,
    History(tools::History) "history" flags,
    Tag(images::Tag) "tag" flags,
    Rmi(images::Remove) "rmi" flags,
    Image(images::Command) "image" group,
    Network(network::Command) "network" group,
    Port(networking::Port) "port" flags,
    Volume(volume::Command) "volume" group,
    System(system::Command) "system" group,
    Events(events::Events) "events" flags,
    Info(info::Info) "info" flags,
    Version(info::Version) "version" flags,
    Doctor(doctor::Doctor) "doctor" flags,
    Unshare(unshare::Unshare) "unshare" flags,
    Bundle(Box<run::Bundle>) "bundle" flags,
    Rootfs(rootfs::Rootfs) "rootfs" flags,
}

impl Command {
    /// Whether it is for ending or removing something, which has to be possible on a full disk.
    pub(crate) fn gives_back(&self) -> bool {
        matches!(
            self,
            Self::Stop(_)
                | Self::Kill(_)
                | Self::Rm(_)
                | Self::Rmi(_)
                | Self::Container(_)
                | Self::Image(images::Command::Rm(_))
                | Self::Network(
                    network::Command::Rm(_)
                        | network::Command::Prune(_)
                        | network::Command::Disconnect(_)
                )
                | Self::System(system::Command::Prune(_))
                | Self::Volume(volume::Command::Rm(_) | volume::Command::Prune(_))
        )
    }
}

impl Command {
    /// Whether its exit codes are of something else, so that a failure of its own is 125.
    pub(crate) fn has_codes(&self) -> bool {
        matches!(
            self,
            Self::Run(_)
                | Self::Create(_)
                | Self::Exec(_)
                | Self::Healthcheck(_)
                | Self::Container(container::Command::Exists(_))
                | Self::Image(images::Command::Exists(_))
                | Self::Network(network::Command::Exists(_))
                | Self::Volume(volume::Command::Exists(_))
        )
    }
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
    let called = Name::of(args.first().map(OsString::as_os_str));
    let mut cli = Cli::command().version(called.version_line()).display_name(called.title());
    cli.set_bin_name(called.program());
    let (args, named) = dash::arguments(&cli, args);
    if !named {
        cli.build(); // its help, or a guess, needs all of them
    }
    let parsed = cli.try_get_matches_from_mut(&args);
    let parsed = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
    let plain = |cli: Cli| Cli { command: cli.command.plain(), ..cli };
    parsed.map(plain).map_err(|err| {
        let asked = matches!(
            err.kind(),
            ErrorKind::DisplayHelp
                | ErrorKind::DisplayVersion
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        );
        if asked {
            return Stop::Asked(err.render().to_string());
        }
        cli.build();
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

    /// `UPDATE_DOCS=1 cargo test -p bundles cli::tests` writes them anew.
    #[test]
    fn man_pages_and_completions_are_in_step() {
        let docs = cli_docs::Docs {
            root: concat!(env!("CARGO_MANIFEST_DIR"), "/..").into(),
            program: "bundles",
            source: "bundles/src/cli",
            date: "2026-11-21",
            cli: Cli::command(),
        };
        docs.check_pages();
        docs.check_completions();
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
            ("bundles histroy x", "'history'"),
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
        for (line, guess) in [
            ("bundles image prnue", "'prune'"),
            ("bundles network craete x", "'create'"),
            ("bundles container strat x", "'start'"),
            ("bundles dcoker ps -a", "hint: leave dcoker away: bundles ps -a\n"),
            ("bundles podman images", "hint: leave podman away: bundles images\n"),
        ] {
            let text = wrong(line);
            assert!(text.contains(guess), "{line}: {text}");
        }
        let text = wrong("bundles \u{1b}[2J");
        assert!(text.contains("'\\u{1b}[2J'") && !text.contains('\u{1b}'), "{text}");
        for line in ["bundles xyzzy", "bundles swram x"] {
            let text = wrong(line);
            assert!(!text.contains("did you mean") && !text.contains("tip: "), "{line}: {text}");
        }
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
