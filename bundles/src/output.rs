//! Archives that people want in a file, or in a pipe to another program.
//!
//! Runs in: an ordinary process of the user.

use crate::error::{Closed, OrHint as _};
use anyhow::{Context as _, Result, anyhow, ensure};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Has `write` fill the file, which gets its name when it is whole; without one, standard output.
pub(crate) fn to(
    file: Option<&Path>,
    command: &str,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    match file {
        Some(file) => to_file(file, write).with_context(|| format!("write {}", file.display())),
        None if io::stdout().is_terminal() => {
            Err(anyhow!("{command}: standard output is a terminal"))
                .hint(format!("name a file: bundles {command} -o FILE, or lead it to a program"))
        }
        None => filled(io::stdout().as_fd().try_clone_to_owned()?.into(), write).map(drop),
    }
}

/// Of the pieces of an archive, some are very small.
fn filled(file: File, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<File> {
    let mut buffer = BufWriter::with_capacity(128 * 1024, file);
    let is_closed = |err: &io::Error| err.kind() == io::ErrorKind::BrokenPipe;
    let done = write(&mut buffer).and_then(|()| Ok(buffer.flush()?));
    match done {
        Ok(()) => Ok(buffer.into_inner()?),
        Err(err) if err.downcast_ref().is_some_and(is_closed) => Err(Closed.into()),
        Err(err) => Err(err),
    }
}

fn to_file(file: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    match fs::metadata(file) {
        Ok(found) if found.is_dir() => {
            return Err(anyhow!("a directory")).hint("name a file in it");
        }
        // A pipe, or /dev/null.
        Ok(found) if !found.is_file() => {
            return filled(OpenOptions::new().write(true).open(file)?, write).map(drop);
        }
        // Where a link leads, as everybody else would.
        Ok(_) => return whole(&fs::canonicalize(file)?, write),
        Err(err) if err.kind() == io::ErrorKind::NotFound => {}
        Err(err) => return Err(err.into()),
    }
    whole(file, write)
}

fn whole(file: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let name = file.file_name().context("no name of a file")?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".partial-{}", std::process::id()));
    let partial = Partial(file.with_file_name(hidden));
    let mut options = OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(&partial.0)?;
    filled(made, write)?;
    fs::rename(&partial.0, file)?;
    ensure!(!partial.0.exists(), "internal error, please report: {}", partial.0.display());
    Ok(())
}

/// Removed when it has not been renamed.
struct Partial(std::path::PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok(); // renamed, or the first error is the one worth telling
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn file_has_its_name_only_when_it_is_whole() {
        let dir = Scratch::new();
        dir.file("kept", b"old");
        dir.link("link", "kept");
        let (kept, link) = (dir.0.join("kept"), dir.0.join("link"));
        let err = to(Some(&kept), "export", |out| {
            out.write_all(b"half")?;
            Err(anyhow!("no more"))
        });
        let text = format!("write {}: no more", kept.display());
        assert_eq!(crate::error::chain(&err.unwrap_err()), text);
        assert_eq!(fs::read(&kept).unwrap(), b"old");
        to(Some(&link), "export", |out| Ok(out.write_all(b"new")?)).unwrap();
        assert_eq!(fs::read(&kept).unwrap(), b"new");
        assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 2);
        let err = to(Some(&dir.0), "export", |_| Ok(())).unwrap_err();
        assert!(crate::error::chain(&err).ends_with(": a directory"));
        to(Some(Path::new("/dev/null")), "export", |out| Ok(out.write_all(b"x")?)).unwrap();
    }
}
