//! Finds the shared libraries of a program where ld.so(8), or musl's loader, would find them.
//!
//! Runs in: an ordinary process. Reads only. `LD_LIBRARY_PATH` is left out on purpose: it belongs
//! to the caller's shell and will not be set in the container.

use crate::elf::{self, Elf, Kind};
use crate::error::OrHint as _;
use crate::host::Host;
use anyhow::{Result, anyhow};
use object::elf::{EM_386, EM_AARCH64, EM_ARM, EM_PPC64, EM_RISCV, EM_S390, EM_X86_64};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// What glibc loads by dlopen(3) as soon as a user is looked up. Since glibc 2.34 it is part of
/// libc itself and the file an empty one.
const GLIBC_BY_DLOPEN: &[&str] = &["libnss_files.so.2"];

/// musl's loader takes these names for itself, whatever follows the first dot.
const MUSL_ITSELF: &[&str] = &["c", "pthread", "rt", "m", "dl", "util", "xnet"];

/// Every file which the loader of `program` opens: the interpreter, the libraries, and the file
/// that tells the interpreter where the libraries are.
///
/// `program` is a path without links, because `$ORIGIN` is.
pub(crate) fn files(host: &Host, program: &Path, elf: Elf) -> Result<Vec<PathBuf>> {
    let Some(interpreter) = elf.interpreter.clone() else { return Ok(vec![]) };
    let loader = Loader::new(host, &interpreter, elf.kind);
    let mut files = vec![interpreter.clone()];
    files.extend(loader.settings.iter().cloned());
    let mut seen: BTreeSet<OsString> = BTreeSet::new();
    // libc names its own loader as a library; it is loaded already.
    seen.extend(interpreter.file_name().map(OsStr::to_owned));
    let mut objects = vec![Object { path: program.to_owned(), elf, loaded_by: None }];
    let mut index = 0;
    while let Some(object) = objects.get(index) {
        let needed = object.elf.needed.clone();
        let by = object.path.clone();
        for name in needed {
            if loader.is_itself(&name) || !seen.insert(name.clone()) {
                continue;
            }
            let (path, elf) = loader
                .find(&name, &objects, index)
                .ok_or_else(|| {
                    anyhow!("{}: library not found: {}", by.display(), name.to_string_lossy())
                })
                .hint("install the package that has the library, or leave the program out")?;
            files.push(path.clone());
            objects.push(Object { path, elf, loaded_by: Some(index) });
        }
        index += 1;
    }
    if seen.contains(OsStr::new("libc.so.6")) {
        for name in GLIBC_BY_DLOPEN {
            files.extend(loader.find(OsStr::new(name), &objects, 0).map(|(path, _)| path));
        }
    }
    Ok(files)
}

/// The program or a library, and the place in the list of the one that asked for it.
struct Object {
    path: PathBuf,
    elf: Elf,
    loaded_by: Option<usize>,
}

struct Loader<'h> {
    host: &'h Host,
    kind: Kind,
    is_musl: bool,
    /// Searched when no object's own path has the library.
    directories: Vec<PathBuf>,
    /// A file of the host which the interpreter reads to know them.
    settings: Option<PathBuf>,
}

impl<'h> Loader<'h> {
    fn new(host: &'h Host, interpreter: &Path, kind: Kind) -> Self {
        let name = interpreter.file_name().unwrap_or_default().to_string_lossy();
        let musl_arch = name.strip_prefix("ld-musl-").and_then(|rest| rest.split('.').next());
        let mut loader =
            Self { host, kind, is_musl: musl_arch.is_some(), directories: vec![], settings: None };
        let settings = match musl_arch {
            Some(arch) => PathBuf::from(format!("/etc/ld-musl-{arch}.path")),
            None => PathBuf::from("/etc/ld.so.cache"),
        };
        let have_settings = host.resolve(&settings).is_ok_and(|found| found.metadata.is_file());
        loader.directories = match (&musl_arch, have_settings) {
            (Some(_), true) => musl_path(host, &settings),
            (Some(_), false) => ["/lib", "/usr/local/lib", "/usr/lib"].map(PathBuf::from).into(),
            (None, _) => glibc_directories(host, kind),
        };
        loader.settings = have_settings.then_some(settings);
        loader
    }

    fn is_itself(&self, name: &OsStr) -> bool {
        self.is_musl
            && name
                .to_string_lossy()
                .strip_prefix("lib")
                .and_then(|rest| rest.split_once('.'))
                .is_some_and(|(stem, _)| MUSL_ITSELF.contains(&stem))
    }

    /// `by` is the object that names the library.
    fn find(&self, name: &OsStr, objects: &[Object], by: usize) -> Option<(PathBuf, Elf)> {
        if name.as_bytes().contains(&b'/') {
            return self.open(Path::new(name));
        }
        let own = self.own_directories(objects, by);
        own.iter().chain(&self.directories).find_map(|dir| self.open(&dir.join(name)))
    }

    /// `DT_RPATH` of the object and of all that led to it, unless the object has `DT_RUNPATH`,
    /// which counts for that object alone. musl knows no difference between the two.
    fn own_directories(&self, objects: &[Object], by: usize) -> Vec<PathBuf> {
        let mut directories = vec![];
        let direct = objects.get(by);
        let runpath = direct.and_then(|object| object.elf.runpath.as_ref());
        let mut next = if runpath.is_some() && !self.is_musl { None } else { direct };
        while let Some(object) = next {
            let path = match (&object.elf.runpath, &object.elf.rpath) {
                (Some(path), _) if self.is_musl => Some(path),
                (None, Some(path)) => Some(path),
                _ => None,
            };
            directories.extend(path.iter().flat_map(|path| self.expand(path, &object.path)));
            next = object.loaded_by.and_then(|index| objects.get(index));
        }
        if let (Some(object), Some(path), false) = (direct, runpath, self.is_musl) {
            directories.extend(self.expand(path, &object.path));
        }
        directories
    }

    /// Replaces `$ORIGIN`, `$LIB` and `$PLATFORM`. `$LIB` is fixed when ld.so is built, so each
    /// of its known values is tried. A relative directory depends on the caller's and is dropped.
    fn expand(&self, path: &OsStr, object: &Path) -> Vec<PathBuf> {
        let origin = object.parent().unwrap_or(Path::new("/")).as_os_str().as_bytes();
        let lib = format!("lib/{}", multiarch(self.kind));
        let libs = [lib.as_str(), "lib64", "lib"];
        let mut found: Vec<PathBuf> = vec![];
        for part in path.as_bytes().split(|byte| *byte == b':') {
            for lib in libs {
                let mut text = replace(part, "ORIGIN", origin);
                text = replace(&text, "LIB", lib.as_bytes());
                text = replace(&text, "PLATFORM", platform(self.kind).as_bytes());
                let dir = PathBuf::from(OsString::from_vec(text));
                if dir.is_absolute() && !found.contains(&dir) {
                    found.push(dir);
                }
            }
        }
        found
    }

    /// The library at `path`, if it is one that the program can use.
    fn open(&self, path: &Path) -> Option<(PathBuf, Elf)> {
        let found = self.host.resolve(path).ok()?;
        if !found.metadata.is_file() {
            return None;
        }
        let bytes = fs::read(self.host.real(&found.path)).ok()?;
        let elf = elf::parse(&bytes).ok()??;
        (elf.kind == self.kind).then(|| (path.to_owned(), elf))
    }
}

/// Replaces `$name` and `${name}`.
fn replace(text: &[u8], name: &str, value: &[u8]) -> Vec<u8> {
    let braced = format!("${{{name}}}");
    let plain = format!("${name}");
    let mut rest = text;
    let mut out = vec![];
    while let Some((first, tail)) = rest.split_first() {
        let token = [&braced, &plain].into_iter().find(|token| rest.starts_with(token.as_bytes()));
        match token.and_then(|token| rest.get(token.len()..)) {
            Some(after) => {
                out.extend_from_slice(value);
                rest = after;
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

/// Lines or colons separate the directories.
fn musl_path(host: &Host, settings: &Path) -> Vec<PathBuf> {
    let text = read(host, settings).unwrap_or_default();
    text.split(['\n', ':'])
        .map(str::trim)
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from)
        .collect()
}

/// ld.so.conf, then what ld.so searches without being told. The latter is fixed when glibc is
/// built; the list is the union of what distributions chose.
fn glibc_directories(host: &Host, kind: Kind) -> Vec<PathBuf> {
    let mut directories = vec![];
    ld_so_conf(host, Path::new("/etc/ld.so.conf"), &mut directories, &mut BTreeSet::new());
    let triple = multiarch(kind);
    directories.push(format!("/lib/{triple}").into());
    directories.push(format!("/usr/lib/{triple}").into());
    if kind.is_64 {
        directories.extend(["/lib64", "/usr/lib64"].map(PathBuf::from));
    }
    directories.extend(["/lib", "/usr/lib"].map(PathBuf::from));
    directories
}

/// ldconfig(8): one directory a line, `include PATTERN`, `#` begins a comment.
fn ld_so_conf(
    host: &Host,
    file: &Path,
    directories: &mut Vec<PathBuf>,
    seen: &mut BTreeSet<PathBuf>,
) {
    if !seen.insert(file.to_owned()) {
        return;
    }
    let Some(text) = read(host, file) else { return };
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("include") => {
                for pattern in words {
                    let pattern = file.parent().unwrap_or(Path::new("/")).join(pattern);
                    for included in matching(host, &pattern) {
                        ld_so_conf(host, &included, directories, seen);
                    }
                }
            }
            Some("hwcap") | None => {}
            Some(_) if line.starts_with('/') => directories.push(PathBuf::from(line)),
            Some(_) => {}
        }
    }
}

/// The files which a pattern means, sorted as glob(3) sorts them; `*` counts in the last name only.
fn matching(host: &Host, pattern: &Path) -> Vec<PathBuf> {
    let (Some(dir), Some(name)) = (pattern.parent(), pattern.file_name()) else { return vec![] };
    let Ok(found) = host.resolve(dir) else { return vec![] };
    let Ok(entries) = fs::read_dir(host.real(&found.path)) else { return vec![] };
    let name = name.to_string_lossy();
    let parts: Vec<&str> = name.split('*').collect();
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|entry| fits(&entry.to_string_lossy(), &parts))
        .map(|entry| dir.join(entry))
        .collect();
    files.sort();
    files
}

/// `parts` are what stands between the stars.
fn fits(name: &str, parts: &[&str]) -> bool {
    let (Some((first, rest)), false) = (parts.split_first(), name.starts_with('.')) else {
        return false;
    };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let Some((last, middle)) = rest.split_last() else { return name.is_empty() };
    for part in middle {
        let Some((_, after)) = name.split_once(part) else { return false };
        name = after;
    }
    name.ends_with(last)
}

fn read(host: &Host, path: &Path) -> Option<String> {
    let found = host.resolve(path).ok()?;
    let bytes = fs::read(host.real(&found.path)).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Debian's name for an architecture, which is part of library directories there.
fn multiarch(kind: Kind) -> &'static str {
    match (kind.machine, kind.is_64, kind.big_endian) {
        (EM_X86_64, true, _) => "x86_64-linux-gnu",
        (EM_X86_64, false, _) => "x86_64-linux-gnux32",
        (EM_386, ..) => "i386-linux-gnu",
        (EM_AARCH64, ..) => "aarch64-linux-gnu",
        (EM_ARM, ..) => "arm-linux-gnueabihf",
        (EM_PPC64, ..) => "powerpc64le-linux-gnu",
        (EM_RISCV, ..) => "riscv64-linux-gnu",
        (EM_S390, ..) => "s390x-linux-gnu",
        _ => "unknown",
    }
}

fn platform(kind: Kind) -> &'static str {
    multiarch(kind).split('-').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
