//! What `COPY` and `ADD` take files from: the context, or the files of another stage or image.
//!
//! Runs in: an ordinary process of the user, or root of a user namespace.
//!
//! Names are looked up from the descriptor of the top by openat2(2), for which that is the root: no
//! link leads out of it.

use super::ignore::Ignore;
use super::{clean, glob};
use crate::layer::attributes::call;
use crate::tree::names_in;
use anyhow::{Context as _, Result, anyhow};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2, statat};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Deeper than any path that a program could name.
const DEEPEST: usize = 2048;

#[derive(Debug)]
pub(crate) struct Tree {
    top: OwnedFd,
    pub(crate) ignore: Ignore,
}

/// Something to be copied: its place in the tree, and its path from what was named.
#[derive(Debug)]
pub(crate) struct Found {
    /// Without links on the way to it.
    pub(crate) path: PathBuf,
    /// Empty for what was named itself.
    pub(crate) below: PathBuf,
    pub(crate) stat: Stat,
}

/// What one word of an instruction stands for.
#[derive(Debug)]
pub(crate) struct Source {
    /// As it would be called when it is copied into a directory.
    pub(crate) name: OsString,
    pub(crate) path: PathBuf,
    pub(crate) stat: Stat,
}

impl Found {
    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

impl Found {
    /// The tree itself.
    pub(crate) fn is_top(&self) -> bool {
        self.path.as_os_str().is_empty()
    }
}

impl Source {
    pub(crate) fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Directory
    }
}

impl Tree {
    pub(crate) fn open(top: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(top, flags, Mode::empty());
        let top = opened.with_context(|| format!("open({})", top.display()))?;
        Ok(Self { top, ignore: Ignore::default() })
    }

    /// The top itself for an empty path; links lead where they lead below the top.
    fn look(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.top, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    }

    /// A directory of which no part is a link.
    pub(crate) fn directory(&self, path: &Path) -> Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat2(&self.top, path, flags, Mode::empty(), resolve);
        opened.with_context(|| format!("openat2({})", path.display()))
    }

    /// A file that [`Tree::walk`] has found.
    pub(crate) fn file(&self, found: &Found) -> Result<File> {
        let parent = self.directory(found.path.parent().unwrap_or(Path::new("")))?;
        let name = found.path.file_name().unwrap_or_default();
        // Whoever puts a fifo there meanwhile does not stop us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(parent, name, flags, Mode::empty());
        Ok(File::from(opened.with_context(|| format!("openat({})", found.path.display()))?))
    }

    /// What a word of an instruction stands for: one thing, or with a pattern any number of them.
    pub(crate) fn select(&self, word: &str) -> Result<Vec<Source>> {
        let word = clean(word);
        let names = match glob::is_pattern(&word) {
            true => self.matching(&word)?,
            false => vec![PathBuf::from(&word)],
        };
        let mut all = Vec::new();
        for name in names {
            let hidden = self.ignore.hides(&name.display().to_string()) && !self.ignore.keeps_any();
            let source = if hidden { None } else { self.source(&name)? };
            all.extend(source);
        }
        if all.is_empty() {
            let hint = match self.ignore.hides(&word) {
                true => "a pattern of .dockerignore leaves it out",
                false => "paths are those of the context, or with --from of the other stage",
            };
            return Err(crate::error::hinted(anyhow!("/{word}: not found"), hint));
        }
        Ok(all)
    }

    /// A link that is named is what it leads to.
    fn source(&self, name: &Path) -> Result<Option<Source>> {
        let fd = match self.look(name, OFlags::PATH) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(errno) => {
                return Err(errno).with_context(|| format!("openat2({})", name.display()));
            }
        };
        let stat = call("fstat", fstat(&fd))?;
        let path = self.path_of(fd.as_fd())?;
        Ok(Some(Source { name: name.file_name().unwrap_or_default().to_owned(), path, stat }))
    }

    /// Where something is, without links, from the top.
    fn path_of(&self, fd: BorrowedFd<'_>) -> Result<PathBuf> {
        let path = named(fd)?;
        let below = path.strip_prefix(&named(self.top.as_fd())?).map(ToOwned::to_owned);
        below.with_context(|| format!("{}: moved", path.display()))
    }

    /// The path of something in the tree, for who has no descriptor of it.
    pub(crate) fn full(&self, path: &Path) -> Result<PathBuf> {
        Ok(named(self.top.as_fd())?.join(path))
    }

    /// In the order of their names.
    fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>> {
        let mut found = vec![PathBuf::new()];
        for part in pattern.split('/') {
            let expression = glob::compile(part, false)?;
            let mut next = Vec::new();
            for above in found {
                if !glob::is_pattern(part) {
                    next.push(above.join(part));
                    continue;
                }
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                let Ok(dir) = self.look(&above, flags) else { continue };
                let fits =
                    |name: &OsString| name.to_str().is_some_and(|name| expression.is_match(name));
                next.extend(names(&dir)?.into_iter().filter(fits).map(|name| above.join(name)));
            }
            found = next;
        }
        Ok(found)
    }

    /// Everything that a source is, top down, in the order of the names. What .dockerignore hides is
    /// not there.
    pub(crate) fn walk(
        &self,
        source: &Source,
        visit: &mut dyn FnMut(&Found) -> Result<()>,
    ) -> Result<()> {
        let top = Found { path: source.path.clone(), below: PathBuf::new(), stat: source.stat };
        visit(&top)?;
        if !source.is_directory() {
            return Ok(());
        }
        let mut todo = vec![(source.path.clone(), PathBuf::new())];
        while let Some((path, below)) = todo.pop() {
            let mut directories = Vec::new();
            let dir = self.directory(&path)?;
            for name in names(&dir)? {
                let path = path.join(&name);
                let hidden = self.ignore.hides(&path.display().to_string());
                if hidden && !self.ignore.keeps_any() {
                    continue;
                }
                let stat = call("fstatat", statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW));
                let stat = stat.with_context(|| path.display().to_string())?;
                let found = Found { path, below: below.join(&name), stat };
                let is_directory = found.kind() == FileType::Directory;
                if !hidden || (is_directory && self.has_kept(&found.path)?) {
                    visit(&found)?;
                    if is_directory {
                        directories.push((found.path, found.below));
                    }
                }
            }
            if path.components().count() > DEEPEST {
                return Err(anyhow!("{}: too deep", path.display()));
            }
            todo.extend(directories.into_iter().rev());
        }
        Ok(())
    }

    /// Whether a hidden directory has something that a later pattern keeps.
    fn has_kept(&self, path: &Path) -> Result<bool> {
        let dir = self.directory(path)?;
        for name in names(&dir)? {
            let path = path.join(&name);
            if !self.ignore.hides(&path.display().to_string()) {
                return Ok(true);
            }
            let stat = call("fstatat", statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW))?;
            let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if is_directory && self.has_kept(&path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn named(fd: BorrowedFd<'_>) -> Result<PathBuf> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    link.context("readlink(/proc/self/fd)")
}

/// In their order, which decides about digests.
fn names(dir: &OwnedFd) -> Result<Vec<OsString>> {
    let mut names = names_in(dir)?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn listed(tree: &Tree, word: &str) -> Vec<String> {
        let mut all = Vec::new();
        for source in tree.select(word).unwrap() {
            tree.walk(&source, &mut |found| {
                all.push(found.path.display().to_string());
                Ok(())
            })
            .unwrap();
        }
        all
    }

    #[test]
    fn sources_are_found_below_the_top_alone() {
        let dir = Scratch::new();
        for file in
            ["top/a.txt", "top/b.txt", "top/d/x", "top/d/e/y", "top/d-2/z", "outside/secret"]
        {
            dir.file(file, b"");
        }
        dir.link("top/out", "../outside");
        dir.link("top/absolute", "/d/e");
        let tree = Tree::open(&dir.0.join("top")).unwrap();
        assert_eq!(listed(&tree, "*.txt"), ["a.txt", "b.txt"]);
        assert_eq!(listed(&tree, "/d/"), ["d", "d/e", "d/x", "d/e/y"]);
        assert_eq!(listed(&tree, "d*/[x-z]"), ["d/x", "d-2/z"]);
        assert_eq!(listed(&tree, "../../a.txt"), ["a.txt"]);
        assert_eq!(listed(&tree, "absolute/y"), ["d/e/y"]);
        assert_eq!(listed(&tree, "absolute"), ["d/e", "d/e/y"]);
        let err = tree.select("out/secret").unwrap_err();
        assert_eq!(crate::error::chain(&err), "/out/secret: not found");
        assert!(tree.select("n*").is_err());
    }

    #[test]
    fn hidden_files_are_not_there() {
        let dir = Scratch::new();
        for file in ["a", "b/c", "b/keep/d", "g/h"] {
            dir.file(&format!("top/{file}"), b"");
        }
        let mut tree = Tree::open(&dir.0.join("top")).unwrap();
        tree.ignore = Ignore::parse("b\n!b/keep\ng").unwrap();
        assert_eq!(listed(&tree, "."), ["", "a", "b", "b/keep", "b/keep/d"]);
        tree.ignore = Ignore::parse("b\na").unwrap();
        assert_eq!(listed(&tree, "."), ["", "g", "g/h"]);
        let err = tree.select("a").unwrap_err();
        assert!(crate::error::hint(&err).unwrap().contains(".dockerignore"));
    }
}
