//! bundles: prepares bundles for `rt`, or for any other OCI runtime.
//!
//! Runs in: an ordinary process of the user. Privilege: none of its own.

mod attach;
mod build;
mod called;
mod cli;
mod commands;
mod container;
mod copy;
mod digest;
mod doctor;
mod elf;
mod error;
mod etc;
mod events;
mod filter;
mod fmt;
mod follow;
#[cfg(test)]
mod fuzz;
mod health;
mod home;
mod host;
mod ids;
mod images;
mod info;
mod init;
mod inspect;
mod joins;
mod layer;
mod links;
mod load;
mod loader;
mod login;
mod monitor;
mod mountpoints;
mod net;
mod network;
mod networking;
mod output;
mod overlay;
mod ports;
mod process;
mod pull;
mod push;
mod reference;
mod registry;
mod rootfs;
mod rootless;
mod runtime;
mod screen;
mod search;
mod spec;
mod store;
mod system;
mod template;
#[cfg(test)]
mod testing;
mod transfer;
mod tree;
mod users;
mod version;
mod volume;

use cli::existing::Kind;
use cli::{Cli, Command};
use home::Home;
use screen::Screen;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// That of musl asks the kernel for small pieces, and gives them back, hundreds of times.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// Docker: what was typed was not understood; and every failure of `run`, `create` and `exec`
/// themselves, since other codes are the container's.
const USAGE: u8 = 125;

fn main() -> ExitCode {
    if let Some(code) = monitor::called().or_else(init::called).or_else(build::guard) {
        return code;
    }
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    if let Some(error) = net::holder::called() {
        err.write_all(error::report(&error).as_bytes()).ok(); // whoever called may have ended
        return ExitCode::FAILURE;
    }
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
    if let Some(dir) = &cli.config {
        registry::credentials::look_in(dir);
    }
    let mut input = io::stdin().lock();
    let mut screen = Screen { input: &mut input, out: &mut out, err: &mut err };
    match run(&cli, &mut screen) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            screen.note(&error::report(&error));
            if cli.command.has_codes() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

/// Returns the exit code: that of a container for `run` and its like.
fn run(cli: &Cli, screen: &mut Screen<'_>) -> anyhow::Result<u8> {
    if let Some(done) = without_home(&cli.command, screen) {
        return done.map(|()| 0);
    }
    if let Command::Doctor(args) = &cli.command {
        return doctor::run(cli.root.as_deref(), args, screen);
    }
    let home = Home::open(cli.root.as_deref())?;
    if cli.command.gives_back() {
        home.make_room();
    }
    let entered = rootless::enter(&home, &cli.command)?;
    let done = with_home(&cli.command, &home, screen);
    if entered {
        rootless::leave(&home, &cli.command).ok(); // the next command tries again
    }
    home.keep_reserve();
    done
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all others")]
fn without_home(command: &Command, screen: &mut Screen<'_>) -> Option<anyhow::Result<()>> {
    match command {
        Command::Rootfs(args) => Some(rootfs::run(args)),
        Command::Login(args) => Some(login::login(args, screen)),
        Command::Logout(args) => Some(login::logout(args, screen)),
        Command::Search(args) => Some(search::run(args, screen)),
        Command::Version(args) => Some(version::run(args, screen)),
        _ => None,
    }
}

fn with_home(command: &Command, home: &Home, screen: &mut Screen<'_>) -> anyhow::Result<u8> {
    match command {
        Command::Run(args) => return commands::run(home, args, screen),
        Command::Create(args) => commands::create(home, args, screen),
        Command::Bundle(args) => commands::bundle(home, args, screen),
        Command::Start(args) => return commands::start(home, args, screen),
        Command::Restart(args) => commands::restart(home, args, screen),
        Command::Attach(args) => return commands::attach(home, args),
        Command::Pause(args) => commands::pause(home, args, screen),
        Command::Unpause(args) => commands::unpause(home, args, screen),
        Command::Rename(args) => commands::rename(home, args),
        Command::Update(args) => commands::update(home, args, screen),
        Command::Top(args) => commands::top(home, args, screen),
        Command::Stats(args) => commands::stats(home, args, screen),
        Command::Stop(args) => commands::stop(home, args, screen),
        Command::Kill(args) => commands::kill(home, args, screen),
        Command::Rm(args) => commands::rm(home, args, screen),
        Command::Ps(args) => commands::ps(home, args, screen),
        Command::Logs(args) => commands::logs(home, args, screen),
        Command::Exec(args) => return commands::exec(home, args, screen),
        Command::Healthcheck(command) => return commands::healthcheck(home, command, screen),
        Command::Wait(args) => commands::wait(home, args, screen),
        Command::Container(cli::container::Command::Exists(args)) => {
            return commands::exists(home, Kind::Container, args);
        }
        Command::Image(cli::images::Command::Exists(args)) => {
            return commands::exists(home, Kind::Image, args);
        }
        Command::Network(cli::network::Command::Exists(args)) => {
            return commands::exists(home, Kind::Network, args);
        }
        Command::Volume(cli::volume::Command::Exists(args)) => {
            return commands::exists(home, Kind::Volume, args);
        }
        Command::Container(args) => commands::prune::run(home, args, screen),
        Command::Inspect(args) => commands::inspect(home, args, screen),
        Command::Network(command) => network::run(command, home, screen),
        Command::Port(args) => networking::show::port(home, args, screen),
        Command::Build(args) => build::build(home, args, screen),
        Command::Builder(command) => build::builder(home, command, screen),
        Command::Pull(args) => pull::command(home, args, screen),
        Command::Push(args) => push::command(home, args, screen),
        Command::Load(args) => images::load(home, args, screen),
        Command::Images(args) => images::list(home, args, screen),
        Command::Commit(args) => commands::commit(home, args, screen),
        Command::Export(args) => commands::export(home, args),
        Command::Save(args) => images::save(home, args),
        Command::Cp(args) => commands::cp(home, args),
        Command::Diff(args) => commands::diff(home, args, screen),
        Command::Import(args) => images::import(home, args, screen),
        Command::History(args) => images::history(home, args, screen),
        Command::Tag(args) => images::tag(home, args),
        Command::Rmi(args) => images::remove(home, args, screen),
        Command::Image(command) => images::image(home, command, screen),
        Command::System(command) => system::run(command, home, screen),
        Command::Events(args) => events::show(home, args, screen),
        Command::Info(args) => info::run(home, args, screen),
        Command::Volume(command) => volume::run(command, home, screen),
        Command::Unshare(args) => net::holder::run(home, args),
        Command::Rootfs(_)
        | Command::Login(_)
        | Command::Logout(_)
        | Command::Search(_)
        | Command::Version(_)
        | Command::Doctor(_) => Ok(()),
    }?;
    Ok(0)
}
