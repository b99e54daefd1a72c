//! Makes what wanted mounts need: folders of the host, volumes.

use crate::container::Mount;
use crate::error::OrHint as _;
use crate::home::Lock;
use crate::spec::wish::{What, Wish};
use crate::volume::{self, Volumes};
use anyhow::{Context as _, Result, anyhow};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The lock is held until the container is recorded, so that nobody removes its volumes before.
pub(super) fn make(wishes: &[Wish], volumes: &Volumes<'_>, lock: &Lock) -> Result<Vec<Mount>> {
    wishes.iter().map(|wish| one(wish, volumes, lock).context(wish.words.clone())).collect()
}

fn one(wish: &Wish, volumes: &Volumes<'_>, lock: &Lock) -> Result<Mount> {
    let mount = Mount {
        destination: wish.at.clone(),
        read_only: wish.read_only,
        propagation: "rprivate".to_owned(),
        ..Mount::default()
    };
    Ok(match &wish.what {
        What::Bind { source, propagation, make } => Mount {
            kind: "bind".to_owned(),
            source: folder(source, *make)?,
            propagation: propagation.clone(),
            ..mount
        },
        What::Volume { name, copy: _ } => {
            let wish = volume::Wish { name: name.clone(), ..volume::Wish::default() };
            let (volume, _) = volumes.ensure(wish, lock)?;
            let source = volumes.data(&volume.name);
            Mount { kind: "volume".to_owned(), name: volume.name, source, ..mount }
        }
        What::Tmpfs(options) => {
            Mount { kind: "tmpfs".to_owned(), options: options.clone(), ..mount }
        }
    })
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
