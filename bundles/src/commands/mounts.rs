//! Makes what wanted mounts need: folders of the host, volumes.

use crate::container::{Container, Mount};
use crate::copy;
use crate::error::OrHint as _;
use crate::home::{Home, Lock};
use crate::spec::wish::{What, Wish};
use crate::volume::{self, Content, Volumes};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

/// Where the container's own files are.
#[derive(Debug)]
pub(super) struct Places<'a> {
    /// Those of its image, to look at.
    pub(super) image: &'a Path,
    /// Its directory, before it has its name and after.
    pub(super) now: &'a Path,
    pub(super) later: &'a Path,
}

/// `--volumes-from CONTAINER[:ro]`: what is mounted there of the host.
pub(super) fn of_others(home: &Home, names: &[String]) -> Result<Vec<Wish>> {
    let mut wishes = Vec::new();
    for text in names {
        let words = format!("--volumes-from {text}");
        let (name, options) = text.split_once(':').unwrap_or((text, ""));
        let mut read_only = false;
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option {
                "ro" => read_only = true,
                "rw" | "z" | "Z" => {}
                _ => bail!("{words}: unknown option {option:?}"),
            }
        }
        let other = Container::find(home, name).context(words.clone())?;
        let shared = |mount: &Mount| matches!(mount.kind.as_str(), "bind" | "volume");
        for mount in other.record.mounts.into_iter().filter(shared) {
            let read_only = mount.read_only || read_only;
            let mount = Mount { read_only, anonymous: false, ..mount };
            let at = mount.destination.clone();
            wishes.push(Wish { words: words.clone(), ..Wish::new(What::Same(mount), at) });
        }
    }
    Ok(wishes)
}

/// The lock is held until the container is recorded, so that nobody removes its volumes before.
/// What was made stays in `made` even after an error.
pub(super) fn make(
    wishes: &[Wish],
    volumes: &Volumes<'_>,
    lock: &Lock,
    places: &Places<'_>,
    made: &mut Vec<Mount>,
) -> Result<()> {
    for wish in wishes {
        made.push(Mount {
            destination: wish.at.clone(),
            read_only: wish.read_only,
            propagation: wish.propagation.clone(),
            alone: wish.alone,
            mode: wish.mode.clone(),
            ..Mount::default()
        });
        let mount = made.last_mut().context("internal error, please report: no mount")?;
        one(wish, volumes, lock, places, mount).context(wish.words.clone())?;
    }
    Ok(())
}

fn one(
    wish: &Wish,
    volumes: &Volumes<'_>,
    lock: &Lock,
    places: &Places<'_>,
    mount: &mut Mount,
) -> Result<()> {
    match &wish.what {
        What::Bind { source, make } => {
            "bind".clone_into(&mut mount.kind);
            mount.source = folder(source, *make)?;
        }
        What::Overlay { source } => overlay(folder(source, false)?, mount, places)?,
        What::Volume { name, copy, labels, options } => {
            let (labels, options) = (labels.clone(), options.clone());
            let wanted = volume::Wish { name: name.clone(), labels, options };
            let (volume, _) = volumes.ensure(wanted, lock)?;
            "volume".clone_into(&mut mount.kind);
            mount.name.clone_from(&volume.name);
            mount.anonymous = name.is_none();
            match volume.content() {
                Content::Files => {
                    mount.source = volumes.data(&volume.name);
                    if let (true, Some(from)) = (copy, copy::directory_in(places.image, &wish.at)?)
                    {
                        volumes.seed(&volume.name, from.as_fd(), lock)?;
                    }
                }
                Content::Bind { device, recursive, words } => {
                    mount.source = folder(&device.to_string_lossy(), false)
                        .with_context(|| format!("volume {}", volume.name))?;
                    (mount.alone, mount.options) = (!recursive, words);
                }
                Content::Memory(options) => {
                    only_user(&volume.name, volumes)?;
                    mount.options = options;
                }
            }
        }
        What::Tmpfs(options) => {
            "tmpfs".clone_into(&mut mount.kind);
            mount.options.clone_from(options);
        }
        What::Same(other) => {
            if other.kind == "volume" && other.source.as_os_str().is_empty() {
                only_user(&other.name, volumes)?;
            }
            mount.clone_from(other);
        }
    }
    Ok(())
}

/// What is in memory belongs to a container's own mounts, where no other one can see it.
fn only_user(name: &str, volumes: &Volumes<'_>) -> Result<()> {
    let users = volumes.users()?;
    let Some(user) = users.get(name).and_then(|users| users.first()) else { return Ok(()) };
    Err(anyhow!("volume {name} is in memory (type=tmpfs), and container {} has it", user.name))
        .hint("containers share volumes that were made without options")
}

/// What is written goes into the container's directory.
fn overlay(source: PathBuf, mount: &mut Mount, places: &Places<'_>) -> Result<()> {
    let shown = source.display().to_string();
    ensure!(source.is_dir(), "{shown}: not a directory");
    ensure!(!shown.contains([',', ':', '\\']), "{shown}: overlayfs takes no name with , : or \\");
    let names = (0_u32..).map(|number| format!("overlay-{number}"));
    let name = names.into_iter().find(|name| !places.now.join(name).exists()).unwrap_or_default();
    let dir = places.now.join(&name);
    for dir in [&dir, &dir.join("upper"), &dir.join("work")] {
        fs::create_dir(dir).with_context(|| format!("mkdir({})", dir.display()))?;
    }
    let (from, to) = (File::open(&source)?, File::open(dir.join("upper"))?);
    copy::attributes(from.as_fd(), to.as_fd()).context(shown)?;
    let later = |dir: &str| places.later.join(&name).join(dir).display().to_string();
    mount.options = vec![
        format!("lowerdir={}", source.display()),
        format!("upperdir={}", later("upper")),
        format!("workdir={}", later("work")),
    ];
    (mount.kind, mount.source) = ("overlay".to_owned(), source);
    Ok(())
}

/// The real path of what the user names, so that `inspect` tells the truth.
fn folder(source: &str, make: bool) -> Result<PathBuf> {
    let path = match (source.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(source),
    };
    match fs::canonicalize(&path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound && make => {
            fs::create_dir_all(&path).with_context(|| format!("mkdir({})", path.display()))?;
            fs::canonicalize(&path).with_context(|| path.display().to_string())
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            Err(anyhow!("{}: no such file or directory", path.display()))
                .hint("make it, or write -v, which makes missing directories")
        }
        found => found.with_context(|| path.display().to_string()),
    }
}
