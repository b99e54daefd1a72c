//! The Dockerfile and the context of a build, by what the command line says.
//!
//! Runs in: an ordinary process of the user.

use super::ignore::Ignore;
use super::tree::Tree;
use crate::cli::build::Build;
use crate::error::OrHint as _;
use crate::home::{Home, Scratch};
use crate::layer::{self, Limits};
use crate::screen::Screen;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

/// Longest Dockerfile in bytes.
const LONGEST: u64 = 4 << 20;

pub(crate) struct Context {
    /// Of the Dockerfile, for errors.
    pub(crate) name: String,
    pub(crate) dockerfile: String,
    pub(crate) tree: Option<Tree>,
    /// Where an archive is unpacked, or nothing is.
    _scratch: Option<Scratch>,
}

impl Context {
    pub(crate) fn open(home: &Home, args: &Build, screen: &mut Screen<'_>) -> Result<Self> {
        let wanted = args.context.as_deref();
        let wanted = wanted
            .ok_or_else(|| anyhow!("no context"))
            .hint("add . to the command: the directory of the files that COPY and ADD take")?;
        let from_input = args.file.as_deref() == Some(Path::new("-"));
        if wanted == "-" {
            ensure!(!from_input, "-f - and -: standard input is one of them");
            return Self::input(home, args, screen);
        }
        if ["http://", "https://", "git@", "git://", "ssh://"]
            .iter()
            .any(|scheme| wanted.starts_with(scheme))
        {
            return Err(anyhow!("{wanted}: contexts of the network are not supported"))
                .hint("get it first, and name the directory");
        }
        let dir = fs::canonicalize(wanted).with_context(|| wanted.to_owned());
        let dir = dir.hint("CONTEXT is the directory of the files that COPY and ADD take")?;
        ensure!(dir.is_dir(), "{wanted}: not a directory");
        if from_input {
            let dockerfile = text(&mut screen.input.take(LONGEST + 1), "standard input")?;
            return Self::directory("standard input".to_owned(), dockerfile, &dir, None, None);
        }
        let (name, file) = dockerfile(&dir, args.file.as_deref())?;
        let mut opened = File::open(&file).with_context(|| file.display().to_string())?;
        let dockerfile = text(&mut (&mut opened).take(LONGEST + 1), &name)?;
        Self::directory(name, dockerfile, &dir, Some(&file), None)
    }

    fn directory(
        name: String,
        dockerfile: String,
        dir: &Path,
        file: Option<&Path>,
        scratch: Option<Scratch>,
    ) -> Result<Self> {
        let mut tree = Tree::open(dir)?;
        // One that is for this Dockerfile alone comes first.
        let own = file.map(|file| {
            let mut name = file.file_name().unwrap_or_default().to_owned();
            name.push(".dockerignore");
            file.with_file_name(name)
        });
        let all = own.into_iter().chain([dir.join(".dockerignore"), dir.join(".containerignore")]);
        for path in all {
            match fs::read_to_string(&path) {
                Ok(text) => {
                    let shown = path.file_name().unwrap_or_default().display().to_string();
                    tree.ignore = Ignore::parse(&text).with_context(|| shown)?;
                    break;
                }
                Err(err) if err.kind() == io::ErrorKind::NotFound => {}
                Err(err) => return Err(err).with_context(|| path.display().to_string()),
            }
        }
        Ok(Self { name, dockerfile, tree: Some(tree), _scratch: scratch })
    }

    /// A Dockerfile without a context, or an archive with both.
    fn input(home: &Home, args: &Build, screen: &mut Screen<'_>) -> Result<Self> {
        if io::stdin().is_terminal() {
            return Err(anyhow!("standard input is a terminal"))
                .hint("write: bundles build - < Dockerfile, or name the directory of the context");
        }
        let scratch = home.scratch()?;
        let spool = scratch.path().join("input");
        let mut file = crate::home::write(&spool, b"").context("standard input")?;
        io::copy(&mut screen.input, &mut file).context("standard input")?;
        let dir = scratch.path().join("context");
        fs::create_dir(&dir).context("mkdir(context)")?;
        if !layer::is_archive(File::open(&spool)?) {
            let text = text(&mut File::open(&spool)?.take(LONGEST + 1), "standard input")?;
            return Self::directory("standard input".to_owned(), text, &dir, None, Some(scratch));
        }
        layer::extract(File::open(&spool)?, File::open(&dir)?.as_fd(), &Limits::default())
            .context("standard input")?;
        let inside =
            args.file.as_deref().map(|file| dir.join(file.strip_prefix("/").unwrap_or(file)));
        let (name, file) = dockerfile(&dir, inside.as_deref())?;
        // A link of the archive leads nowhere else.
        let file = fs::canonicalize(&file).with_context(|| name.clone())?;
        if !file.starts_with(fs::canonicalize(&dir)?) {
            bail!("{name}: leads out of the archive");
        }
        let text = text(&mut File::open(&file)?.take(LONGEST + 1), &name)?;
        Self::directory(name, text, &dir, Some(&file), Some(scratch))
    }
}

/// Its name for people, and its path.
fn dockerfile(dir: &Path, wanted: Option<&Path>) -> Result<(String, PathBuf)> {
    if let Some(wanted) = wanted {
        // Podman looks into the context, too.
        let inside = dir.join(wanted);
        let path = if wanted.exists() { wanted.to_owned() } else { inside };
        if !path.is_file() {
            return Err(anyhow!("-f {}: no such file", wanted.display()))
                .hint("name a Dockerfile, or - for standard input");
        }
        let name = path.file_name().unwrap_or_default().display().to_string();
        return Ok((name, path));
    }
    let names = ["Dockerfile", "dockerfile", "Containerfile"];
    let found = names.iter().find(|name| dir.join(name).is_file());
    let name = found
        .ok_or_else(|| anyhow!("{}: no Dockerfile in it", dir.display()))
        .hint("name the file with -f FILE, or another directory")?;
    Ok(((*name).to_owned(), dir.join(name)))
}

fn text(from: &mut dyn io::Read, name: &str) -> Result<String> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).with_context(|| name.to_owned())?;
    ensure!(bytes.len() as u64 <= LONGEST, "{name}: longer than {LONGEST} bytes");
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    let text = text.with_context(|| format!("{name}: not text in UTF-8"))?;
    ensure!(!text.trim().is_empty(), "{name}: empty");
    Ok(text)
}
