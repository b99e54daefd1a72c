//! `--secret`: what `RUN --mount=type=secret` shows, and nothing else ever sees.
//!
//! Runs in: an ordinary process of the user with a mount namespace of its own. The files are in
//! memory.

use crate::error::OrHint as _;
use crate::home::{Home, Scratch};
use crate::overlay;
use anyhow::{Context as _, Result, anyhow, ensure};
use nix::mount::{MsFlags, mount};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Largest secret in bytes, as Docker has it.
const LARGEST: u64 = 500 * 1024;

#[derive(Default)]
pub(crate) struct Secrets {
    /// By their ids.
    all: BTreeMap<String, Vec<u8>>,
    dir: Option<(PathBuf, Scratch)>,
    count: AtomicUsize,
}

impl Secrets {
    /// `id=NAME,src=FILE`, `id=NAME,env=VARIABLE`, or `id=NAME` for either of that name.
    pub(crate) fn read(words: &[String]) -> Result<Self> {
        let mut all = BTreeMap::new();
        for word in words {
            let (id, content) = secret(word).with_context(|| format!("--secret {word}"))?;
            all.insert(id, content);
        }
        Ok(Self { all, dir: None, count: AtomicUsize::new(0) })
    }

    /// A place in memory for them, if there are any.
    pub(crate) fn prepare(&mut self, home: &Home) -> Result<()> {
        if self.all.is_empty() {
            return Ok(());
        }
        let scratch = home.scratch()?;
        let at = scratch.path().join("secrets");
        fs::create_dir(&at).context("mkdir(secrets)")?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let mounted = mount(Some("tmpfs"), &at, Some("tmpfs"), flags, Some("mode=0700"));
        mounted.context("mount(secrets, tmpfs)")?;
        self.dir = Some((at, scratch));
        Ok(())
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Vec<u8>> {
        self.all.get(id)
    }

    pub(crate) fn file(&self, content: &[u8], owner: (u32, u32), mode: u32) -> Result<PathBuf> {
        let (dir, _) = self.dir.as_ref().context("internal error, please report: no secrets")?;
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(number.to_string());
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = opened.context("secret")?;
        file.write_all(content).context("secret")?;
        std::os::unix::fs::fchown(&file, Some(owner.0), Some(owner.1))
            .with_context(|| format!("secret: fchown({}, {})", owner.0, owner.1))?;
        file.set_permissions(fs::Permissions::from_mode(mode)).context("secret")?;
        Ok(path)
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        if let Some((dir, _)) = &self.dir {
            overlay::unmount(dir);
        }
    }
}

fn secret(word: &str) -> Result<(String, Vec<u8>)> {
    let (mut id, mut file, mut env, mut kind) = (None, None, None, None);
    for part in word.split(',') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        match key {
            "id" => id = Some(value.to_owned()),
            "src" | "source" => file = Some(value.to_owned()),
            "env" => env = Some(value.to_owned()),
            "type" => kind = Some(value.to_owned()),
            _ => {
                return Err(anyhow!("unknown word {key:?}"))
                    .hint("write id=NAME,src=FILE or id=NAME,env=VARIABLE");
            }
        }
    }
    let id = id.filter(|id| !id.is_empty()).context("no id").hint("write id=NAME,src=FILE")?;
    let variable = match (&env, &file, kind.as_deref()) {
        (Some(name), ..) => Some(name.clone()),
        (None, Some(name), Some("env")) => Some(name.clone()),
        (None, None, Some("env")) => Some(id.clone()),
        (None, None, None) if std::env::var_os(&id).is_some() => Some(id.clone()),
        _ => None,
    };
    if let Some(name) = variable {
        let value = std::env::var_os(&name).with_context(|| format!("${name}: not set"))?;
        return Ok((id, std::os::unix::ffi::OsStringExt::into_vec(value)));
    }
    let path = file.unwrap_or_else(|| id.clone());
    let mut content = Vec::new();
    let read =
        fs::File::open(&path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut content));
    read.with_context(|| path.clone())?;
    ensure!(content.len() as u64 <= LARGEST, "{path}: more than {LARGEST} bytes");
    Ok((id, content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch as Dir;

    #[test]
    fn secrets_come_from_files() {
        let dir = Dir::new();
        dir.file("key", b"s3cret");
        let path = dir.0.join("key").display().to_string();
        let secrets = Secrets::read(&[format!("id=a,src={path}")]).unwrap();
        assert_eq!(secrets.get("a").unwrap(), b"s3cret");
        assert!(secrets.get("b").is_none());
        for (word, told) in [
            ("src=x", "--secret src=x: no id"),
            ("id=a,nope=1", "--secret id=a,nope=1: unknown word \"nope\""),
            (
                "id=a,env=NO_SUCH_VARIABLE",
                "--secret id=a,env=NO_SUCH_VARIABLE: $NO_SUCH_VARIABLE: not set",
            ),
        ] {
            let err = Secrets::read(&[word.to_owned()]).err().unwrap();
            assert_eq!(crate::error::chain(&err), told);
        }
    }
}
