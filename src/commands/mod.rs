//! One verb per file; each reads as the story of the verb.
//!
//! Runs in: parent.

mod create;
mod delete;
mod doctor;
mod events;
mod exec;
mod features;
mod groups;
mod kill;
mod list;
mod mounts;
mod pause;
mod plan;
mod ps;
mod run;
mod spec;
mod start;
mod state;
mod update;

use crate::cgroup;
use crate::cli::{CgroupManager, Cli, Command, LogLevel, Rootless};
use crate::config;
use crate::error::OrHint as _;
use crate::log::Log;
use crate::plan::cgroup::Driver;
use crate::seal;
use anyhow::{Context as _, Result, anyhow};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What the global options say.
pub(crate) struct Host {
    pub(crate) root: PathBuf,
    pub(crate) log: Log,
    cgroup_manager: CgroupManager,
    rootless: Rootless,
}

impl Host {
    pub(crate) fn new(cli: &Cli) -> Result<Self> {
        let global = &cli.global;
        let level = match (global.debug, global.log_level) {
            (true, _) => LogLevel::Debug,
            (false, Some(level)) => level,
            // Podman reads --log as one JSON object, so warnings would hide the error there.
            (false, None) => LogLevel::Error,
        };
        let log = match &global.log {
            Some(target) => Some(target.as_path()),
            None => global.systemd_log.then_some(Path::new("journald:rt")),
        };
        let manager =
            if global.systemd_cgroup { CgroupManager::Systemd } else { global.cgroup_manager };
        Ok(Self {
            root: match root(global.root.as_deref()) {
                // They are asked about a host on which containers do not work yet.
                Err(_) if !keeps_state(cli.command.as_ref()) => PathBuf::new(),
                root => root?,
            },
            log: Log::open(log, global.log_format, level)?,
            cgroup_manager: manager,
            rootless: global.rootless,
        })
    }

    /// Who makes the cgroup of a new container.
    pub(crate) fn cgroup_driver(&self) -> Driver {
        match self.cgroup_manager {
            CgroupManager::Cgroupfs => Driver::Cgroupfs,
            CgroupManager::Disabled => Driver::Disabled,
            CgroupManager::Systemd => Driver::Systemd,
        }
    }

    /// Whose systemd makes the units of our containers.
    pub(crate) fn systemd(&self) -> cgroup::systemd::Manager {
        if nix::unistd::geteuid().is_root() && !in_user_namespace() {
            cgroup::systemd::Manager::System
        } else {
            cgroup::systemd::Manager::User
        }
    }

    /// May privileges for cgroups be missing?
    pub(crate) fn is_rootless(&self) -> bool {
        match self.rootless {
            Rootless::True => true,
            Rootless::False => false,
            Rootless::Auto => !nix::unistd::geteuid().is_root() || in_user_namespace(),
        }
    }
}

/// `user_namespaces(7)`: the initial one maps all ids onto themselves.
fn in_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let fields: Vec<&str> = map.split_ascii_whitespace().collect();
    fields != ["0", "0", "4294967295"]
}

/// Commands that have nothing to do with the containers which there are.
fn keeps_state(command: Option<&Command>) -> bool {
    !matches!(
        command,
        Some(Command::Features(_) | Command::Spec(_) | Command::Plan(_) | Command::Doctor(_))
    )
}

/// Where the state of containers is.
fn root(option: Option<&Path>) -> Result<PathBuf> {
    let root = match option {
        Some(root) => {
            std::path::absolute(root).with_context(|| format!("--root {}", root.display()))?
        }
        None if nix::unistd::geteuid().is_root() && !stands_for_a_user() => {
            PathBuf::from("/run/rt")
        }
        None => user_root()?,
    };
    if root == Path::new("/") {
        return Err(anyhow!("--root /: the state would be mixed with the system's files"))
            .hint("choose a directory of its own");
    }
    Ok(root)
}

/// Is this the root of a user namespace that an ordinary user made, as rootless Podman and buildah do?
/// /run is not his. As in runc, one who calls himself root is taken at his word.
fn stands_for_a_user() -> bool {
    let given = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    given("XDG_RUNTIME_DIR").is_some()
        && given("USER").is_none_or(|user| user != "root")
        && in_user_namespace()
}

/// An ordinary user's directory. Whoever could write there could exchange the state of containers.
pub(crate) fn user_root() -> Result<PathBuf> {
    const HINT: &str = "set XDG_RUNTIME_DIR to a directory of your own, or choose one with --root";
    let uid = nix::unistd::geteuid();
    let set = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
    // Where pam_systemd(8) makes it, for a login that lost its environment, as with su(1).
    let dir = set.map_or_else(|| PathBuf::from(format!("/run/user/{uid}")), PathBuf::from);
    let status = std::fs::metadata(&dir)
        .map_err(|err| config::io(&err))
        .with_context(|| format!("no directory for the state of containers: {}", dir.display()))
        .hint(HINT)?;
    if status.uid() != uid.as_raw() {
        return Err(anyhow!("XDG_RUNTIME_DIR: {} belongs to uid {}", dir.display(), status.uid()))
            .hint(HINT);
    }
    if status.mode() & 0o002 != 0 {
        return Err(anyhow!("XDG_RUNTIME_DIR: others may write to {}", dir.display()))
            .hint(format!("chmod 700 {}", dir.display()));
    }
    Ok(dir.join("rt"))
}

/// Only a verb that makes a process of a container needs a protected executable.
fn needs_seal(command: &Command) -> Option<u32> {
    match command {
        Command::Create(args) => {
            Some(args.container.preserve_fds.saturating_add(create::listen_fds()))
        }
        Command::Run(args) => {
            Some(args.container.preserve_fds.saturating_add(create::listen_fds()))
        }
        Command::Exec(args) => Some(args.preserve_fds),
        Command::Mounts(_) => Some(0),
        Command::Start(_)
        | Command::Kill(_)
        | Command::Delete(_)
        | Command::State(_)
        | Command::List(_)
        | Command::Ps(_)
        | Command::Pause(_)
        | Command::Resume(_)
        | Command::Update(_)
        | Command::Events(_)
        | Command::Spec(_)
        | Command::Features(_)
        | Command::Plan(_)
        | Command::Doctor(_) => None,
    }
}

/// Carries out the command line. The exit code is that of the payload for run and exec.
pub(crate) fn run(cli: &Cli, host: &Host, args: &[OsString]) -> Result<u8> {
    let Some(command) = &cli.command else {
        return Err(anyhow!("no command given")).hint("see: rt --help");
    };
    if let Some(preserve_fds) = needs_seal(command) {
        create::check_preserved(preserve_fds)?;
        // What the caller forgot to close is not for the container (CVE-2024-21626).
        crate::sys::fd::cloexec_from(3 + i32::try_from(preserve_fds).unwrap_or(i32::MAX - 3))?;
        seal::run_sealed(args)?;
    }
    crate::sys::fd::cloexec_from(3)?; // nor for hooks; init makes an exception for the payload
    let done = |()| 0;
    match command {
        Command::Create(args) => create::run(host, args).map(done),
        Command::Start(args) => start::run(host, &args.id).map(done),
        Command::Run(args) => run::run(host, args),
        Command::Exec(args) => exec::run(host, args),
        Command::Kill(args) => kill::run(host, args).map(done),
        Command::Delete(args) => delete::run(host, args).map(done),
        Command::State(args) => state::run(host, &args.id).map(done),
        Command::List(args) => list::run(host, args).map(done),
        Command::Ps(args) => ps::run(host, args).map(done),
        Command::Pause(args) => pause::pause(host, &args.id).map(done),
        Command::Resume(args) => pause::resume(host, &args.id).map(done),
        Command::Update(args) => update::run(host, args).map(done),
        Command::Mounts(args) => mounts::run(host, args).map(done),
        Command::Events(args) => events::run(host, args).map(done),
        Command::Spec(args) => spec::run(args).map(done),
        Command::Features(_) => features::run().map(done),
        Command::Plan(args) => plan::run(host, args).map(done),
        Command::Doctor(args) => doctor::run(args),
    }
}

/// The verb and container for the error's first words: `create web`.
pub(crate) fn title(command: &Command) -> String {
    match command {
        Command::Create(args) => format!("create {}", args.container.id),
        Command::Start(args) => format!("start {}", args.id),
        Command::Run(args) => format!("run {}", args.container.id),
        Command::Exec(args) => format!("exec {}", args.id),
        Command::Kill(args) => format!("kill {}", args.id),
        Command::Delete(args) => format!("delete {}", args.id),
        Command::State(args) => format!("state {}", args.id),
        Command::List(_) => "list".into(),
        Command::Ps(args) => format!("ps {}", args.id),
        Command::Pause(args) => format!("pause {}", args.id),
        Command::Resume(args) => format!("resume {}", args.id),
        Command::Update(args) => format!("update {}", args.id),
        Command::Mounts(args) => format!("mounts {}", args.id),
        Command::Events(args) => format!("events {}", args.id),
        Command::Spec(_) => "spec".into(),
        Command::Features(_) => "features".into(),
        Command::Plan(_) => "plan".into(),
        Command::Doctor(_) => "doctor".into(),
    }
}

/// Ids that match a pattern of `--regex`: the whole id, as crun does.
pub(crate) fn matching(root: &Path, pattern: &str) -> Result<Vec<String>> {
    let pattern = regex_lite::Regex::new(&format!("^(?:{pattern})$"))
        .with_context(|| format!("--regex {pattern:?}"))?;
    let ids = crate::container::ids(root)?;
    Ok(ids.into_iter().filter(|id| pattern.is_match(id)).collect())
}
