//! The host's files: where a path leads, with every link on the way, and which program a name is.
//!
//! Runs in: an ordinary process. Reads only.

use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

/// `path_resolution(7)`: the kernel gives up after as many.
const MAX_LINKS: usize = 40;

/// The tree which programs are taken from: `/`, or a made-up one in tests.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) root: PathBuf,
}

/// Something that was passed while a path was resolved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    Directory(PathBuf),
    Link { path: PathBuf, target: PathBuf },
}

/// Where a path leads.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// The path without any link in it.
    pub(crate) path: PathBuf,
    pub(crate) metadata: Metadata,
    /// In the order in which they were passed, so that they can be made again in that order.
    pub(crate) passed: Vec<Passed>,
}

impl Host {
    /// Where the real file of a host path without links is found.
    pub(crate) fn real(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Follows an absolute path component by component.
    ///
    /// `canonicalize` would lose the links, and a rootfs without them loses names: `/bin` on a
    /// merged-/usr host, `libc.so.6` before symbol versions moved into its name, `awk`.
    pub(crate) fn resolve(&self, path: &Path) -> io::Result<Resolved> {
        let mut pending: VecDeque<OsString> = names(path).collect();
        let mut current = PathBuf::from("/");
        let mut metadata = fs::symlink_metadata(self.real(&current))?;
        let mut passed = vec![];
        let mut links = 0;
        while let Some(name) = pending.pop_front() {
            if !metadata.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            if name == ".." {
                current.pop();
                continue;
            }
            let next = current.join(&name);
            let found = fs::symlink_metadata(self.real(&next))?;
            if found.is_symlink() {
                links += 1;
                if links > MAX_LINKS {
                    return Err(io::Error::other("too many levels of symbolic links"));
                }
                let target = fs::read_link(self.real(&next))?;
                if target.is_absolute() {
                    current = PathBuf::from("/");
                }
                for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
                    pending.push_front(name);
                }
                passed.push(Passed::Link { path: next, target });
            } else {
                if found.is_dir() {
                    passed.push(Passed::Directory(next.clone()));
                }
                current = next;
                metadata = found;
            }
        }
        // After a "..", metadata is still that of the directory below.
        let metadata = fs::symlink_metadata(self.real(&current))?;
        Ok(Resolved { path: current, metadata, passed })
    }

    /// The path of a program, found as execvp(3) finds it; links are not followed.
    ///
    /// `search` is the value of `$PATH`.
    pub(crate) fn program(&self, name: &OsStr, search: &OsStr) -> Result<PathBuf> {
        if name.as_encoded_bytes().contains(&b'/') {
            let path = std::path::absolute(name).context("the current directory")?;
            let found = self.resolve(&path).with_context(|| path.display().to_string())?;
            return if is_program(&found) {
                Ok(path)
            } else {
                Err(anyhow!("{}: not an executable file", path.display()))
            };
        }
        std::env::split_paths(search)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(name))
            .find(|path| self.resolve(path).is_ok_and(|found| is_program(&found)))
            .ok_or_else(|| {
                anyhow!("executable file not found in $PATH: {}", name.to_string_lossy())
            })
            .hint("install the program, or name it by its path")
    }
}

fn is_program(found: &Resolved) -> bool {
    found.metadata.is_file() && found.metadata.permissions().mode() & 0o111 != 0
}

/// The names in a path, `..` included, `.` and `/` left out.
fn names(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn merged_usr() -> (Scratch, Host) {
        let scratch = Scratch::new();
        scratch.file("usr/bin/dash", b"x");
        scratch.link("usr/bin/sh", "dash");
        scratch.link("bin", "usr/bin");
        scratch.link("usr/bin/awk", "/etc/alternatives/awk");
        scratch.link("etc/alternatives/awk", "../../bin/dash");
        scratch.link("loop", "loop");
        let host = Host { root: scratch.0.clone() };
        (scratch, host)
    }

    #[test]
    fn links_on_the_way_are_kept_in_order() {
        let (_scratch, host) = merged_usr();
        let found = host.resolve(Path::new("/bin/sh")).unwrap();
        assert_eq!(found.path, Path::new("/usr/bin/dash"));
        assert_eq!(
            found.passed,
            [
                Passed::Link { path: "/bin".into(), target: "usr/bin".into() },
                Passed::Directory("/usr".into()),
                Passed::Directory("/usr/bin".into()),
                Passed::Link { path: "/usr/bin/sh".into(), target: "dash".into() },
            ]
        );
    }

    #[test]
    fn absolute_links_stay_below_the_root() {
        let (_scratch, host) = merged_usr();
        let found = host.resolve(Path::new("/bin/awk")).unwrap();
        assert_eq!(found.path, Path::new("/usr/bin/dash"));
    }

    #[test]
    fn loops_and_files_in_the_middle_are_errors() {
        let (_scratch, host) = merged_usr();
        let err = host.resolve(Path::new("/loop")).unwrap_err();
        assert_eq!(err.to_string(), "too many levels of symbolic links");
        let err = host.resolve(Path::new("/bin/dash/x")).unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn name_is_searched_in_order_and_keeps_its_link() {
        let (_scratch, host) = merged_usr();
        let search = OsStr::new("relative:/none:/bin:/usr/bin");
        assert_eq!(host.program(OsStr::new("sh"), search).unwrap(), Path::new("/bin/sh"));
    }

    #[test]
    fn missing_program_is_named() {
        let (_scratch, host) = merged_usr();
        let err = host.program(OsStr::new("nope"), OsStr::new("/bin")).unwrap_err();
        assert_eq!(crate::error::chain(&err), "executable file not found in $PATH: nope");
    }

    #[test]
    fn directory_is_not_a_program() {
        let (_scratch, host) = merged_usr();
        let err = host.program(OsStr::new("/usr/bin"), OsStr::new("")).unwrap_err();
        assert_eq!(crate::error::chain(&err), "/usr/bin: not an executable file");
    }
}
