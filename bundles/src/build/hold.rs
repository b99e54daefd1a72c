//! Makes what `RUN --mount` asks for.
//!
//! Runs in: a thread for each stage.

use super::clean;
use super::files::{self, Destination, How};
use super::parse::Instruction;
use super::plan::From;
use super::run::Mounted;
use super::run::mounts::{self, Kind, Sharing};
use super::stage::{Files, Stage};
use crate::container::Mount;
use crate::copy;
use crate::error::OrHint as _;
use crate::home::Lock;
use anyhow::{Context as _, Result, anyhow};
use std::fs::{self, File, Permissions};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

/// What lasts as long as the command.
#[derive(Default)]
pub(super) struct Held {
    pub(super) mounts: Vec<Mount>,
    /// `NAME=VALUE` of secrets.
    pub(super) env: Vec<String>,
    _locks: Vec<Lock>,
    _files: Vec<Arc<Files>>,
}

pub(super) struct Holding<'h> {
    stage: &'h Stage<'h>,
    instruction: &'h Instruction,
    mounted: &'h Mounted,
    held: Held,
}

impl<'h> Holding<'h> {
    pub(super) fn new(
        stage: &'h Stage<'h>,
        instruction: &'h Instruction,
        mounted: &'h Mounted,
    ) -> Self {
        Self { stage, instruction, mounted, held: Held::default() }
    }

    /// `workdir` is where relative targets are.
    pub(super) fn all(mut self, wanted: &[mounts::Mount], workdir: &str) -> Result<Held> {
        for (number, mount) in wanted.iter().enumerate() {
            let from = if mount.target.starts_with('/') { "" } else { workdir };
            let usual = Mount {
                kind: "bind".into(),
                destination: format!("/{}", clean(&format!("{from}/{}", mount.target))),
                propagation: "rprivate".into(),
                ..Mount::default()
            };
            match &mount.kind {
                Kind::Bind { from, source, writable } => {
                    let source = self.source(from.as_deref(), source, number)?;
                    let mount = if *writable {
                        self.writable(usual, source, number)?
                    } else {
                        Mount { source, read_only: true, ..usual }
                    };
                    self.held.mounts.push(mount);
                }
                Kind::Cache { .. } => self.cache(&mount.kind, usual)?,
                Kind::Tmpfs { size } => {
                    let options = size.map(|size| format!("size={size}")).into_iter();
                    let options =
                        options.chain(["exec".to_owned(), "mode=1777".to_owned()]).collect();
                    self.held.mounts.push(Mount { kind: "tmpfs".into(), options, ..usual });
                }
                Kind::Secret { .. } => self.secret(&mount.kind, usual)?,
            }
        }
        Ok(self.held)
    }

    /// The files of another stage or image, which stay mounted.
    fn files(&mut self, from: &str) -> Result<Arc<Files>> {
        let work = self.stage.work;
        let from: From = work.plan.source(self.stage.number, self.instruction, from)?;
        let (layers, key) = work.source(&from)?;
        let files = work.files(&layers, &key)?;
        self.held._files.push(Arc::clone(&files));
        Ok(files)
    }

    /// The path of what a bind mount shows.
    fn source(&mut self, from: Option<&str>, source: &str, number: usize) -> Result<PathBuf> {
        if let Some(from) = from {
            let files = self.files(from)?;
            let sources = files.tree.select(source)?;
            let first = sources.first().context("internal error, please report: no source")?;
            return files.tree.full(&first.path);
        }
        let context = &self.stage.work.context;
        let sources = context.select(source)?;
        let first = sources.first().context("internal error, please report: no source")?;
        if context.ignore.is_empty() {
            return context.full(&first.path);
        }
        // Without what .dockerignore hides.
        let to = self.mounted.directory(&format!("context-{number}"))?;
        let how = How { owner: Some((0, 0)), ..How::default() };
        files::copy(
            context,
            &sources,
            File::open(&to)?.as_fd(),
            &Destination::new("/", "/"),
            &how,
        )?;
        Ok(if first.is_directory() { to } else { to.join(&first.name) })
    }

    /// What is written there is lost with the command.
    fn writable(&self, usual: Mount, source: PathBuf, number: usize) -> Result<Mount> {
        if !source.is_dir() {
            let copied = self.mounted.directory(&format!("file-{number}"))?.join("file");
            fs::copy(&source, &copied).with_context(|| source.display().to_string())?;
            return Ok(Mount { source: copied, ..usual });
        }
        let upper = self.mounted.directory(&format!("upper-{number}"))?;
        let work = self.mounted.directory(&format!("work-{number}"))?;
        let options = vec![
            format!("lowerdir={}", source.display()),
            format!("upperdir={}", upper.display()),
            format!("workdir={}", work.display()),
        ];
        Ok(Mount { kind: "overlay".into(), options, ..usual })
    }

    /// A directory that stays from build to build.
    fn cache(&mut self, kind: &Kind, usual: Mount) -> Result<()> {
        let Kind::Cache { id, from, source, read_only, sharing, owner, mode } = kind else {
            return Ok(());
        };
        let work = self.stage.work;
        let path = work.store.cache(id)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let lock = work.home.lock(&format!("cache-{name}"))?;
        if !path.exists() {
            let new = self.mounted.directory(&format!("cache-{name}"))?;
            if let Some(from) = from {
                let files = self.files(from)?;
                let from = files.tree.directory(clean(source).as_ref())?;
                copy::tree(from.as_fd(), File::open(&new)?.as_fd())?;
            } else {
                let told = || format!("cache {id}: chown({}, {})", owner.0, owner.1);
                std::os::unix::fs::chown(&new, Some(owner.0), Some(owner.1)).with_context(told)?;
                fs::set_permissions(&new, Permissions::from_mode(*mode))?;
            }
            fs::rename(&new, &path).with_context(|| format!("rename(…, {})", path.display()))?;
        }
        match sharing {
            Sharing::Locked | Sharing::Private => self.held._locks.push(lock),
            Sharing::Shared => drop(lock),
        }
        self.held.mounts.push(Mount { source: path, read_only: *read_only, ..usual });
        Ok(())
    }

    fn secret(&mut self, kind: &Kind, usual: Mount) -> Result<()> {
        let Kind::Secret { id, required, owner, mode, file, env } = kind else { return Ok(()) };
        let secrets = &self.stage.work.secrets;
        let Some(content) = secrets.get(id) else {
            if *required {
                return Err(anyhow!("secret {id}: not given"))
                    .hint(format!("add --secret id={id},src=FILE to the command"));
            }
            return Ok(());
        };
        if let Some(name) = env {
            self.held.env.push(format!("{name}={}", String::from_utf8_lossy(content)));
        }
        if *file {
            let source = secrets.file(content, *owner, *mode)?;
            self.held.mounts.push(Mount { source, read_only: true, ..usual });
        }
        Ok(())
    }
}
