//! `cp`: files between a container and the caller, either way.
//!
//! What is copied goes through an archive in a pipe: reading and writing are the same for both
//! sides and for `-`. The container's side is looked up from a descriptor of its `/`, from which no
//! symlink of the container leads out.

use super::reach::Reached;
use crate::cli::tools::Cp;
use crate::container::Container;
use crate::error::OrHint as _;
use crate::home::Home;
use crate::layer::archive::Archive;
use crate::layer::{Rules, inflate, place, write_as};
use crate::output;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2, statat};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

/// Symlinks that are followed before that is an error, as the kernel has it.
const MOST_LINKS: u32 = 40;

/// An argument.
enum Named<'a> {
    Stream,
    Here(&'a str),
    There { container: &'a str, path: &'a str },
}

impl<'a> Named<'a> {
    /// What begins with a slash or a dot is here, whatever colons follow.
    fn parse(text: &'a str) -> Self {
        match text.split_once(':') {
            _ if text == "-" => Self::Stream,
            Some((container, path)) if !text.starts_with(['/', '.']) && !container.is_empty() => {
                Self::There { container, path }
            }
            _ => Self::Here(text),
        }
    }
}

pub(crate) fn cp(home: &Home, args: &Cp) -> Result<()> {
    match (Named::parse(&args.from), Named::parse(&args.to)) {
        (Named::There { container, path }, to @ (Named::Here(_) | Named::Stream)) => {
            let mut container = Container::find(home, container)?;
            let reached = Reached::of(home, &mut container)?;
            let source = Side::container(&reached).source(path, args.follow_link);
            let source = source.with_context(|| args.from.clone())?;
            let Named::Here(to) = to else {
                if io::stdout().is_terminal() {
                    return Err(anyhow!("cp: standard output is a terminal")).hint(format!(
                        "lead it to a program: bundles cp {} - | tar tv",
                        args.from
                    ));
                }
                return output::to(None, "cp", |out| source.write(&source.own_name(), out));
            };
            let rules = Rules {
                owner: (!args.archive).then(caller),
                privileges: args.archive,
                links: false,
            };
            copy(&source, &Side::HERE, to, rules).with_context(|| args.to.clone())
        }
        (Named::Here(from), Named::There { container, path }) => {
            let source = Side::HERE.source(from, args.follow_link);
            let source = source.with_context(|| args.from.clone())?;
            let mut container = Container::find(home, container)?;
            let reached = Reached::of(home, &mut container)?;
            let owner = (!args.archive).then_some((0, 0));
            let rules = Rules { owner, privileges: true, links: false };
            copy(&source, &Side::container(&reached), path, rules).with_context(|| args.to.clone())
        }
        (Named::Stream, Named::There { container, path }) => {
            if io::stdin().is_terminal() {
                return Err(anyhow!("cp: standard input is a terminal, no archive"))
                    .hint("lead an archive to it: tar c FILES | bundles cp - CONTAINER:DIRECTORY");
            }
            let mut container = Container::find(home, container)?;
            let reached = Reached::of(home, &mut container)?;
            let target = Side::container(&reached).target(path).with_context(|| args.to.clone())?;
            let Target::Directory(dir) = target else {
                bail!("{}: an archive is unpacked in a directory that is there", args.to)
            };
            let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
            let rules = Rules { owner: None, privileges: true, links: true };
            let (_, inflated) = inflate(input)?;
            let done = place(&mut Archive::new(inflated), dir.as_fd(), rules);
            done.with_context(|| args.to.clone())
        }
        (Named::There { .. }, Named::There { .. }) => Err(anyhow!("cp: both are in containers"))
            .hint(format!(
                "by way of a pipe: bundles cp {} - | bundles cp - CONTAINER:DIRECTORY",
                args.from
            )),
        (Named::Here(_) | Named::Stream, Named::Here(_) | Named::Stream) => {
            Err(anyhow!("cp: neither {} nor {} is in a container", args.from, args.to))
                .hint("write CONTAINER:PATH for one of them")
        }
    }
}

fn caller() -> (u32, u32) {
    (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
}

/// Where paths are looked up.
struct Side<'a> {
    /// `None` is here.
    root: Option<&'a OwnedFd>,
}

/// What is copied, open as a place only: nobody can exchange it any more.
struct Source {
    this: OwnedFd,
    is_directory: bool,
    /// Without what is in it there is nothing to copy: `path/.`.
    contents: bool,
    /// The last part of its path.
    name: OsString,
}

enum Target {
    Directory(OwnedFd),
    /// Something else, in a directory.
    Other(OwnedFd, OsString),
    /// Nothing yet. A slash behind the name says that only a directory is meant.
    New {
        above: OwnedFd,
        name: OsString,
        as_directory: bool,
    },
}

impl Source {
    fn write(&self, name: &Path, out: &mut dyn io::Write) -> Result<()> {
        write_as(self.this.as_fd(), name, out)
    }

    /// In an archive, or in a directory that it is copied into.
    fn own_name(&self) -> PathBuf {
        if self.contents { PathBuf::new() } else { PathBuf::from(&self.name) }
    }
}

impl<'a> Side<'a> {
    const HERE: Side<'static> = Side { root: None };

    fn container(reached: &'a Reached) -> Self {
        Self { root: Some(&reached.root) }
    }

    fn open(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
        match self.root {
            Some(root) => {
                let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
                openat2(root, path, flags, Mode::empty(), resolve)
            }
            None => rustix::fs::openat(CWD, path, flags, Mode::empty()),
        }
    }

    /// In a container all paths begin at its `/`, and `..` is what it looks like.
    fn path(&self, text: &str) -> PathBuf {
        if self.root.is_none() {
            return PathBuf::from(text);
        }
        let mut clean = PathBuf::from("/");
        for part in Path::new(text).components() {
            match part {
                Component::Normal(name) => clean.push(name),
                Component::ParentDir => drop(clean.pop()),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        clean
    }

    fn source(&self, text: &str, follow: bool) -> Result<Source> {
        ensure!(!text.is_empty(), "a path is missing");
        let path = self.path(text);
        let contents = text.ends_with("/.") || text == "." || path == Path::new("/");
        let as_directory = contents || text.ends_with('/');
        let flags = if follow || as_directory { OFlags::empty() } else { OFlags::NOFOLLOW };
        let this = self.open(&path, flags).map_err(io::Error::from)?;
        let is_directory = is_directory(&this)?;
        ensure!(is_directory || !as_directory, "not a directory");
        let name = match path.file_name() {
            Some(name) => name.to_owned(),
            // `..` has a name of its own.
            None => {
                let whole = std::fs::canonicalize(&path)?;
                whole.file_name().map(ToOwned::to_owned).unwrap_or_default()
            }
        };
        Ok(Source { this, is_directory, contents, name })
    }

    /// Symlinks are followed, also that which leads to nothing yet.
    fn target(&self, text: &str) -> Result<Target> {
        ensure!(!text.is_empty(), "a path is missing");
        let as_directory = text.ends_with('/') || text.ends_with("/.");
        let mut path = self.path(text);
        for _ in 0..MOST_LINKS {
            match self.open(&path, OFlags::empty()) {
                Ok(this) if is_directory(&this)? => return Ok(Target::Directory(this)),
                Ok(_) if as_directory => bail!("not a directory"),
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
            let name = path.file_name().context("no such directory")?.to_owned();
            let parent = path.parent().unwrap_or(Path::new("")).to_owned();
            let above = self.open(&parent, OFlags::DIRECTORY);
            let above = above.map_err(io::Error::from);
            let above = above.with_context(|| format!("directory {}", parent.display()))?;
            match statat(&above, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => return Ok(Target::New { above, name, as_directory }),
                Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Symlink => {
                    let to = rustix::fs::readlinkat(&above, &name, Vec::new());
                    let to = OsString::from_vec(to.map_err(io::Error::from)?.into_bytes());
                    path = parent.join(to);
                }
                Ok(_) => return Ok(Target::Other(above, name)),
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
        }
        bail!("too many levels of symbolic links")
    }
}

fn is_directory(fd: &OwnedFd) -> Result<bool> {
    let stat = fstat(fd).context("fstat")?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn is_closed(err: &anyhow::Error) -> bool {
    let cause = err.downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn copy(source: &Source, side: &Side<'_>, to: &str, rules: Rules) -> Result<()> {
    let (above, name) = match side.target(to)? {
        Target::Directory(dir) => (dir, source.own_name()),
        Target::Other(..) if source.is_directory => {
            bail!("a directory cannot be copied onto a file")
        }
        Target::Other(above, name) => (above, name.into()),
        Target::New { as_directory: true, .. } if !source.is_directory => {
            return Err(anyhow!("no such directory"))
                .hint("make it first, or leave the slash away for a file of this name");
        }
        Target::New { above, name, .. } => (above, name.into()),
    };
    let (reader, mut writer) = io::pipe().context("pipe")?;
    std::thread::scope(|scope| {
        let write = move || source.write(&name, &mut writer);
        let writing = std::thread::Builder::new().spawn_scoped(scope, write);
        let writing = writing.context("start a thread")?;
        let reader = io::BufReader::with_capacity(128 * 1024, reader);
        let done = place(&mut Archive::new(reader), above.as_fd(), rules);
        let written = writing.join();
        let written = written.ok().context("internal error, please report: a thread died")?;
        match (done, written) {
            // Whichever fails makes the other one fail, too.
            (Err(err), Err(cause)) => Err(if is_closed(&cause) { err } else { cause }),
            (Err(err), Ok(())) => Err(err),
            (Ok(()), written) => written,
        }
    })
}
