//! `COPY` and `ADD`: from where, to where, and how.
//!
//! Runs in: a thread for each stage.

use super::change::Words;
use super::expand;
use super::files::{self, Destination, How};
use super::lines;
use super::parse::{What, Word};
use super::place::at;
use super::run::Mounted;
use super::stage::{Files, LayerStep, Stage, State, key};
use super::tree::{Source, Tree};
use crate::digest::Digest;
use crate::error::OrHint as _;
use crate::home::{self, Scratch};
use crate::layer::{self, Limits};
use crate::registry;
use crate::store::Step;
use crate::users;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::json;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

/// An instruction, understood.
struct Taking {
    /// The sources, but for here-documents with the values of variables.
    names: Vec<String>,
    /// Absolute.
    destination: Destination,
    /// `--chown`, as it was written.
    owner: Option<String>,
    mode: Option<u32>,
    link: bool,
}

/// Where files are.
enum Place {
    Context,
    /// Of a stage or an image.
    Stage(Arc<Files>),
    /// Made for this instruction.
    Own(Box<(Tree, Scratch)>),
}

/// Files of one place that arrive in the same way.
struct Part {
    place: Place,
    sources: Vec<Source>,
    owners: Owners,
}

/// Whose files are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owners {
    /// Of root, or of `--chown`.
    Roots,
    /// As they were, unless there is a `--chown`.
    Own,
    /// As an archive has them, whatever is asked for.
    OfArchive,
}

impl Stage<'_> {
    /// Both: `ADD` takes no other stage's files, and knows more of those which it takes.
    pub(super) fn copy(
        &mut self,
        state: &mut State,
        words: &Words<'_>,
        paths: &[Word],
    ) -> Result<()> {
        let taking = taking(state, words, paths)?;
        let Some(from) = words.instruction.flag("from")? else {
            let adds = matches!(words.instruction.what, What::Add(_));
            let parts = self.parts(words, paths, &taking.names, adds)?;
            return self.take(state, words, &taking, &parts).map(drop);
        };
        let from = self.work.plan.source(self.number, words.instruction, &from.text)?;
        let (layers, source) = self.work.source(&from)?;
        // Whoever made the same files from the same has the same; only otherwise they are looked at.
        let quick = key(&json!(["--from", source, taking.names, taking.owner, taking.mode]));
        let known = if self.work.no_cache { None } else { self.work.store.step(&quick) };
        if let Some(content) = known.and_then(|step| step.content) {
            let step = taking.step(state, words, &content);
            if self.work.store.step(&step.key).is_some() {
                return self
                    .layer(state, step, |_, _, _| bail!("internal error, please report: known"));
            }
        }
        let files = self.work.files(&layers, &source)?;
        let sources = select(&files.tree, words, split(paths).0, &taking.names)?;
        let parts = [Part { place: Place::Stage(files), sources, owners: Owners::Own }];
        let content = Some(self.take(state, words, &taking, &parts)?);
        let created = self.work.now();
        self.work.store.keep_step(&quick, &Step { created, layer: None, content })
    }

    /// Returns the digest of the files.
    fn take(
        &mut self,
        state: &mut State,
        words: &Words<'_>,
        taking: &Taking,
        parts: &[Part],
    ) -> Result<Digest> {
        let place = || at(words.instruction.place(), words.instruction.line.keyword().0);
        let mut digests = Vec::new();
        for part in parts {
            // Which numbers the names of --chown have is decided by the files below.
            let how = taking.how(part, taking.owner.as_ref().map(|_| (0, 0)));
            let digest = files::digest(self.tree(&part.place), &part.sources, &how);
            digests.push(digest.with_context(place)?);
        }
        let content = key(&json!([digests, taking.owner, taking.mode]));
        let step = taking.step(state, words, &content);
        self.layer(state, step, |stage, _, mounted| {
            let owner = taking.owner.as_deref().map(|owner| numbers(mounted, owner)).transpose()?;
            let root = File::open(mounted.root())?;
            let destination = &taking.destination;
            if parts.len() > 1 && !destination.is_directory {
                return Err(anyhow!("/{}: several files, and not a directory", destination.path))
                    .hint("write a / at the end of the destination");
            }
            for part in parts {
                let how = taking.how(part, owner);
                let tree = stage.tree(&part.place);
                files::copy(tree, &part.sources, root.as_fd(), destination, &how)?;
            }
            Ok(())
        })?;
        Ok(content)
    }

    fn tree<'t>(&'t self, place: &'t Place) -> &'t Tree {
        match place {
            Place::Context => &self.work.context,
            Place::Stage(files) => &files.tree,
            Place::Own(own) => &own.0,
        }
    }

    /// What the words stand for: files of the context, here-documents, and with `ADD` what comes
    /// from elsewhere or is in an archive.
    fn parts(
        &self,
        words: &Words<'_>,
        paths: &[Word],
        names: &[String],
        adds: bool,
    ) -> Result<Vec<Part>> {
        let (sources, _) = split(paths);
        let mut parts = Vec::new();
        for (word, name) in sources.iter().zip(names) {
            if let Some(name) = lines::document_name(&word.text) {
                parts.push(self.document(words, &name)?);
                continue;
            }
            let here = || {
                at(words.instruction.line.place(word.offset), words.instruction.line.keyword().0)
            };
            if adds && is_remote(name) {
                parts.push(self.fetch(words, name).with_context(here)?);
                continue;
            }
            let found = self.work.context.select(name).with_context(here)?;
            let (archives, plain): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|source| adds && self.is_archive(source));
            if !plain.is_empty() {
                parts.push(Part { place: Place::Context, sources: plain, owners: Owners::Roots });
            }
            for archive in archives {
                parts.push(self.unpacked(&archive).with_context(here)?);
            }
        }
        Ok(parts)
    }

    fn document(&self, words: &Words<'_>, name: &str) -> Result<Part> {
        let documents = words.instruction.documents().iter();
        let document = documents.clone().find(|document| document.name == name);
        let document = document.context("internal error, please report: no here-document")?;
        let text = match document.expand {
            true => expand::document(&document.content, words.escape, words.lookup).map_err(
                |wrong| {
                    anyhow!(at(
                        words.instruction.place(),
                        format_args!("here-document {name}: {wrong}")
                    ))
                },
            )?,
            false => document.content.clone(),
        };
        let scratch = self.work.home.scratch()?;
        ensure!(
            !name.contains('/') && !matches!(name, "." | ".."),
            "here-document {name}: not the name of a file"
        );
        let file = scratch.path().join(name);
        home::write(&file, text.as_bytes()).context("here-document")?;
        fs::set_permissions(&file, Permissions::from_mode(0o644)).context("here-document")?;
        Self::own(scratch, name)
    }

    fn own(scratch: Scratch, name: &str) -> Result<Part> {
        let tree = Tree::open(scratch.path())?;
        let sources = tree.select(&escaped(name))?;
        Ok(Part { place: Place::Own(Box::new((tree, scratch))), sources, owners: Owners::Roots })
    }

    /// A file of the network.
    fn fetch(&self, words: &Words<'_>, url: &str) -> Result<Part> {
        if !url.starts_with("http://") && !url.starts_with("https://") || url.ends_with(".git") {
            return Err(anyhow!("{url}: not supported"))
                .hint("clone it into the context, and COPY it from there");
        }
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let name =
            path.splitn(4, '/').nth(3).unwrap_or_default().rsplit('/').next().unwrap_or_default();
        if name.is_empty() {
            return Err(anyhow!("{url}: has no file name")).hint("name a file of the server");
        }
        let scratch = self.work.home.scratch()?;
        let file = scratch.path().join(name);
        let mut to = home::write(&file, b"").context("ADD")?;
        let (digest, modified) = registry::fetch(url, &mut to)?;
        if let Some(wanted) = words.flag("checksum")? {
            let wanted: Digest = wanted.parse().context("--checksum")?;
            ensure!(wanted == digest, "{url}: digest {digest} instead of {wanted}");
        }
        let times = FileTimes::new().set_modified(modified.unwrap_or(std::time::UNIX_EPOCH));
        to.set_times(times).context("futimens")?;
        to.set_permissions(Permissions::from_mode(0o600)).context("fchmod")?;
        Self::own(scratch, name)
    }

    /// Whether a file is one that `ADD` unpacks: by its content, whatever its name.
    fn is_archive(&self, source: &Source) -> bool {
        let open = || -> Result<bool> {
            let path = self.work.context.full(&source.path)?;
            let file = File::open(path)?;
            ensure!(file.metadata()?.is_file() && file.metadata()?.len() >= 64, "too short");
            Ok(layer::is_archive(file))
        };
        open().unwrap_or(false)
    }

    fn unpacked(&self, source: &Source) -> Result<Part> {
        let scratch = self.work.home.scratch()?;
        let to = scratch.path().join("files");
        fs::create_dir(&to).context("mkdir(files)")?;
        let archive = File::open(self.work.context.full(&source.path)?)?;
        layer::extract(archive, File::open(&to)?.as_fd(), &Limits::default())?;
        let tree = Tree::open(&to)?;
        let sources = tree.select(".")?;
        Ok(Part {
            place: Place::Own(Box::new((tree, scratch))),
            sources,
            owners: Owners::OfArchive,
        })
    }
}

impl Taking {
    /// `wanted` is the value of `--chown`.
    fn how(&self, part: &Part, wanted: Option<(u32, u32)>) -> How {
        let owner = match part.owners {
            Owners::Roots => wanted.or(Some((0, 0))),
            Owners::Own => wanted,
            Owners::OfArchive => None,
        };
        How {
            owner,
            above: wanted.unwrap_or_default(),
            mode: self.mode.filter(|_| part.owners != Owners::OfArchive),
            xattrs: !matches!(part.place, Place::Context),
        }
    }

    /// `content` is the digest of the files.
    fn step<'i>(&self, state: &State, words: &Words<'i>, content: &Digest) -> LayerStep<'i> {
        let Destination { path, is_directory } = &self.destination;
        let below = Some(&state.key).filter(|_| !self.link);
        let key = key(&json!(["COPY", below, content, path, is_directory, self.mode, self.owner]));
        let keyword = words.instruction.line.keyword().0;
        let slash = if *is_directory && !path.is_empty() { "/" } else { "" };
        let created_by = format!("{keyword} {} /{path}{slash}", self.names.join(" "));
        LayerStep { key, alone: self.link, instruction: words.instruction, created_by }
    }
}

/// The last word is the destination.
fn split(paths: &[Word]) -> (&[Word], Option<&Word>) {
    match paths.split_last() {
        Some((last, sources)) => (sources, Some(last)),
        None => (paths, None),
    }
}

fn taking(state: &State, words: &Words<'_>, paths: &[Word]) -> Result<Taking> {
    let (sources, last) = split(paths);
    let name = |word: &Word| match lines::document_name(&word.text) {
        Some(_) => Ok(word.text.clone()),
        None => words.one(word),
    };
    let written = words.one(last.context("internal error, please report: no destination")?)?;
    ensure!(!written.is_empty(), at(words.instruction.place(), "the destination is empty"));
    let destination = Destination::new(&state.draft.absolute(&written), &written);
    for flag in ["parents", "exclude", "keep-git-dir", "unpack"] {
        if words.instruction.flags.iter().any(|one| one.name == flag) {
            bail!(at(words.instruction.place(), format_args!("--{flag}: not supported")));
        }
    }
    let mode = words.flag("chmod")?.map(|text| {
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o7777);
        mode.ok_or_else(|| {
            anyhow!(at(
                words.instruction.place(),
                format_args!("--chmod={text}: not an octal number")
            ))
        })
        .hint("write it in digits, such as --chmod=755")
    });
    Ok(Taking {
        names: sources.iter().map(name).collect::<Result<_>>()?,
        destination,
        owner: words.flag("chown")?.filter(|owner| !owner.is_empty()),
        mode: mode.transpose()?,
        link: words.instruction.switch("link")?,
    })
}

/// Sources of a tree, with the place of the word in an error.
fn select(
    tree: &Tree,
    words: &Words<'_>,
    at_words: &[Word],
    names: &[String],
) -> Result<Vec<Source>> {
    let mut all = Vec::new();
    for (word, name) in at_words.iter().zip(names) {
        let here =
            || at(words.instruction.line.place(word.offset), words.instruction.line.keyword().0);
        all.extend(tree.select(name).with_context(here)?);
    }
    Ok(all)
}

/// By the names in the image; a user that is a number has the group of the same number.
fn numbers(mounted: &Mounted, owner: &str) -> Result<(u32, u32)> {
    if let Ok(number) = owner.parse() {
        return Ok((number, number));
    }
    let user = users::find(&mounted.root(), owner, &[]).context("--chown")?;
    Ok((user.uid, user.gid))
}

fn is_remote(name: &str) -> bool {
    ["http://", "https://", "git://", "git@", "ssh://", "ftp://"]
        .iter()
        .any(|scheme| name.starts_with(scheme))
}

/// A name, and no pattern.
fn escaped(name: &str) -> String {
    let special = |c: char| {
        if matches!(c, '*' | '?' | '[' | '\\') { format!("\\{c}") } else { c.to_string() }
    };
    name.chars().map(special).collect()
}
