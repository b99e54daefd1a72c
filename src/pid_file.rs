//! `--pid-file`: whole or not there, and never written through a link.
//!
//! Runs in: parent.

use crate::config;
use anyhow::{Context as _, Result};
use std::os::fd::AsRawFd as _;
use std::path::Path;

/// Whole or not at all: engines poll for the file and read it at once.
pub(crate) fn write(path: &Path, pid: i32) -> Result<()> {
    let context = || format!("--pid-file {}", path.display());
    path.file_name().with_context(context)?;
    // A file that is there already can only be replaced by renaming, and a few file systems know
    // no files without a name.
    let written = link(path, pid).or_else(|_why| rename(path, pid));
    written.map_err(|err| config::io(&err)).with_context(context)
}

/// The file gets its name when it is whole, so that being killed in between leaves nothing.
fn link(path: &Path, pid: i32) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .mode(0o644)
        .custom_flags(libc::O_TMPFILE)
        .open(parent.unwrap_or(Path::new(".")))?;
    write!(file, "{pid}")?;
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    let follow = nix::fcntl::AtFlags::AT_SYMLINK_FOLLOW;
    let here = nix::fcntl::AT_FDCWD;
    Ok(nix::unistd::linkat(here, unnamed.as_str(), here, path, follow)?)
}

fn rename(path: &Path, pid: i32) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(path.file_name().unwrap_or_default());
    let temporary = path.with_file_name(hidden);
    // What is there is from a run that was killed, or a link that somebody has put into a
    // directory for all.
    match std::fs::remove_file(&temporary) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).mode(0o644).create_new(true).open(&temporary)?;
    write!(file, "{pid}")?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a directory of the test's own")]
    fn a_pid_file_replaces_what_has_its_name_and_leaves_nothing_beside_it() {
        let dir = std::env::temp_dir().join(format!("rt-pid-file-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("init.pid");
        let victim = dir.join("victim");
        std::fs::write(&victim, "untouched").unwrap();

        write(&path, 41).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "41");
        write(&path, 42).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "42");

        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        write(&path, 43).unwrap();
        assert!(!path.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "43");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");

        let mut names: Vec<_> =
            std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["init.pid", "victim"]);
        assert!(write(&dir.join("no/where"), 1).is_err());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
