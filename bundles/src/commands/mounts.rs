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
        made.push(one(wish, volumes, lock, places).context(wish.words.clone())?);
    }
    Ok(())
}

fn one(wish: &Wish, volumes: &Volumes<'_>, lock: &Lock, places: &Places<'_>) -> Result<Mount> {
    let mount = Mount {
        destination: wish.at.clone(),
        read_only: wish.read_only,
        propagation: wish.propagation.clone(),
        alone: wish.alone,
        mode: wish.mode.clone(),
        ..Mount::default()
    };
    Ok(match &wish.what {
        What::Bind { source, make } => {
            Mount { kind: "bind".to_owned(), source: folder(source, *make)?, ..mount }
        }
        What::Overlay { source } => overlay(folder(source, false)?, mount, places)?,
        What::Volume { name, copy, labels, options } => {
            let (labels, options) = (labels.clone(), options.clone());
            let wanted = volume::Wish { name: name.clone(), labels, options };
            let (volume, _) = volumes.ensure(wanted, lock)?;
            let mount = Mount {
                kind: "volume".to_owned(),
                name: volume.name.clone(),
                anonymous: name.is_none(),
                ..mount
            };
            match volume.content() {
                Content::Files => {
                    if let (true, Some(from)) = (copy, copy::directory_in(places.image, &wish.at)?)
                    {
                        volumes.seed(&volume.name, from.as_fd(), lock)?;
                    }
                    Mount { source: volumes.data(&volume.name), ..mount }
                }
                Content::Bind { device, recursive, words } => {
                    let source = folder(&device.to_string_lossy(), false)
                        .with_context(|| format!("volume {}", volume.name))?;
                    Mount { source, alone: !recursive, options: words, ..mount }
                }
                Content::Memory(options) => {
                    only_user(&volume.name, volumes)?;
                    Mount { options, ..mount }
                }
            }
        }
        What::Tmpfs(options) => {
            Mount { kind: "tmpfs".to_owned(), options: options.clone(), ..mount }
        }
        What::Same(mount) => {
            if mount.kind == "volume" && mount.source.as_os_str().is_empty() {
                only_user(&mount.name, volumes)?;
            }
            mount.clone()
        }
    })
}

/// What is in memory belongs to a container's own mounts, where no other one can see it.
fn only_user(name: &str, volumes: &Volumes<'_>) -> Result<()> {
    let users = volumes.users()?;
    let Some(user) = users.get(name).and_then(|users| users.first()) else { return Ok(()) };
    Err(anyhow!("volume {name} is in memory (type=tmpfs), and container {} has it", user.name))
        .hint("containers share volumes that were made without options")
}

/// What is written goes into the container's directory.
fn overlay(source: PathBuf, mount: Mount, places: &Places<'_>) -> Result<Mount> {
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
    let options = vec![
        format!("lowerdir={}", source.display()),
        format!("upperdir={}", later("upper")),
        format!("workdir={}", later("work")),
    ];
    Ok(Mount { kind: "overlay".to_owned(), source, options, ..mount })
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
