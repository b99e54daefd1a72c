//! `bundles rootfs --from-host`: a root file system of the host's own programs.
//!
//! Runs in: an ordinary process of the user. Privilege: none; the files become the caller's.

use crate::cli;
use crate::elf;
use crate::error::OrHint as _;
use crate::host::{Host, Passed, Resolved};
use crate::loader;
use anyhow::{Context as _, Result, anyhow, bail};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Where a program is looked for when the caller has no `$PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Directories that every container expects, with their modes.
const DIRECTORIES: &[(&str, u32)] = &[
    ("dev", 0o755),
    ("etc", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
];

/// The least that name look-ups need. Nothing is taken from the host's own files, which may name
/// people, machines and networks.
const FILES: &[(&str, &str)] = &[
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n"),
    (
        "etc/resolv.conf",
        "# No name server: bind the host's file over this one, or write your own.\n",
    ),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
];

/// On a merged-/usr host these are links, and programs are named through them even if nobody did
/// so on the command line.
const TOP_LINKS: &[&str] = &["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

pub(crate) fn run(args: &cli::rootfs::Rootfs) -> Result<()> {
    let dir = Destination::check(&args.dir)?;
    let host = Host { root: PathBuf::from("/") };
    let search = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    // All names before the first write: the usual mistake costs nothing.
    let programs = args
        .programs
        .iter()
        .map(|name| host.program(OsStr::new(name), &search))
        .collect::<Result<Vec<_>>>()?;
    let partial = Partial::new(&dir)?;
    let mut tree = Tree { host: &host, search, top: &partial.path, done: BTreeSet::new() };
    tree.furnish()?;
    for program in &programs {
        tree.add_program(program)?;
    }
    partial.rename_to(&dir)
}

/// The directory to make, seen from a directory that exists.
pub(crate) struct Destination {
    parent: PathBuf,
    name: OsString,
}

impl Destination {
    pub(crate) fn check(dir: &Path) -> Result<Self> {
        let mut dir = dir.to_owned();
        match fs::read_dir(&dir) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(anyhow!("{}: the directory is not empty", dir.display()))
                        .hint("name a new directory, or empty this one first");
                }
                dir = fs::canonicalize(&dir).with_context(|| dir.display().to_string())?;
            }
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) => return Err(err).with_context(|| dir.display().to_string()),
        }
        let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
            bail!("{}: not a name for a new directory", dir.display());
        };
        let parent = if parent == Path::new("") { Path::new(".") } else { parent };
        let name = name.to_owned();
        Ok(Self { parent: parent.to_owned(), name })
    }

    /// The last part of its path, as far as it is text.
    pub(crate) fn name(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }

    fn path(&self) -> PathBuf {
        self.parent.join(&self.name)
    }
}

/// The tree while it is being made, under a name next to its own: removed on any error.
pub(crate) struct Partial {
    path: PathBuf,
}

impl Partial {
    pub(crate) fn new(dir: &Destination) -> Result<Self> {
        let mut name = OsString::from(".");
        name.push(&dir.name);
        name.push(format!(".partial-{}", std::process::id()));
        let path = dir.parent.join(name);
        make_directory(&path, 0o755)
            .with_context(|| path.display().to_string())
            .hint("DIR has to be in a directory that exists and that you may write to")?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn rename_to(self, dir: &Destination) -> Result<()> {
        // rename(2) replaces an empty directory, and fails if someone has filled it meanwhile.
        fs::rename(&self.path, dir.path())
            .with_context(|| format!("rename to {}", dir.path().display()))?;
        std::mem::drop(self); // finds nothing to remove under the old name
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.path).ok(); // the first error is the one worth telling
    }
}

/// The new root file system. Every path in it is the path of the same file on the host.
struct Tree<'a> {
    host: &'a Host,
    search: OsString,
    top: &'a Path,
    /// Paths without links which are in the tree already.
    done: BTreeSet<PathBuf>,
}

impl Tree<'_> {
    /// What does not depend on the programs. It comes first: then no link of the host can stand
    /// where these files are written.
    fn furnish(&mut self) -> Result<()> {
        for (name, mode) in DIRECTORIES {
            make_directory(&self.top.join(name), *mode).with_context(|| format!("make /{name}"))?;
        }
        for (name, text) in FILES {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o644)
                .open(self.top.join(name))
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .with_context(|| format!("write /{name}"))?;
        }
        for link in TOP_LINKS {
            if let Ok(found) = self.host.resolve(Path::new(link))
                && found.path != Path::new(link)
            {
                self.make_passed(&found)?;
            }
        }
        Ok(())
    }

    /// Copies a program and everything that has to be there for it to start.
    fn add_program(&mut self, path: &Path) -> Result<()> {
        let found = self.host.resolve(path).with_context(|| path.display().to_string())?;
        if !self.add(path, &found)? {
            return Ok(());
        }
        let bytes = fs::read(self.host.real(&found.path))
            .with_context(|| format!("read {}", path.display()))?;
        if let Some(line) = bytes.strip_prefix(b"#!") {
            let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
            return self
                .add_interpreters(line)
                .with_context(|| format!("{}: the interpreter in its first line", path.display()));
        }
        let elf = elf::parse(&bytes).with_context(|| format!("{}: ELF", path.display()))?;
        let Some(elf) = elf else { return Ok(()) };
        for file in loader::files(self.host, &found.path, elf)? {
            let found = self
                .host
                .resolve(&file)
                .with_context(|| format!("{}: {}", path.display(), file.display()))?;
            self.add(&file, &found)?;
        }
        Ok(())
    }

    /// `line` is what follows `#!`: an interpreter and perhaps one argument. The argument of
    /// env(1) is a program too.
    fn add_interpreters(&mut self, line: &[u8]) -> Result<()> {
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
            .map(OsStr::from_bytes);
        let Some(interpreter) = words.next() else { return Ok(()) };
        let path = self.host.program(interpreter, &self.search)?;
        self.add_program(&path)?;
        if path.file_name() != Some(OsStr::new("env")) {
            return Ok(());
        }
        let is_program =
            |word: &&OsStr| !word.as_bytes().starts_with(b"-") && !word.as_bytes().contains(&b'=');
        let Some(name) = words.find(is_program) else { return Ok(()) };
        let path = self.host.program(name, &self.search)?;
        self.add_program(&path)
    }

    /// Copies one file under all its names; false if it was there already.
    fn add(&mut self, path: &Path, found: &Resolved) -> Result<bool> {
        if !found.metadata.is_file() {
            bail!("{}: not a regular file", path.display());
        }
        self.make_passed(found)?;
        if !self.done.insert(found.path.clone()) {
            return Ok(false);
        }
        let to = self.inside(&found.path);
        fs::copy(self.host.real(&found.path), &to)
            .with_context(|| format!("copy {}", found.path.display()))?;
        // No set-user-ID bit: the copy belongs to the caller, so the bit would mean another user.
        let mode = found.metadata.permissions().mode() & 0o755 | 0o600;
        fs::set_permissions(&to, Permissions::from_mode(mode))
            .with_context(|| format!("set the mode of {}", found.path.display()))?;
        Ok(true)
    }

    /// Makes the directories and links on the way to a file, as they are on the host.
    fn make_passed(&mut self, found: &Resolved) -> Result<()> {
        for passed in &found.passed {
            let (path, made) = match passed {
                Passed::Directory(path) => (path, make_directory(&self.inside(path), 0o755)),
                Passed::Link { path, target } => (path, symlink(target, self.inside(path))),
            };
            if !self.done.insert(path.clone()) {
                continue;
            }
            match made {
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
                    let is_link = self.inside(path).is_symlink();
                    if is_link != matches!(passed, Passed::Link { .. }) {
                        bail!("{}: is a symbolic link on this host", path.display());
                    }
                }
                made => made.with_context(|| format!("make {}", path.display()))?,
            }
        }
        Ok(())
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.top.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// mkdir(2), then chmod(2): the umask has no say.
fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}
