//! What a runtime makes in a root file system to mount something there: an empty layer of its own
//! above those of the image has it, so it is no change of the container's.
//!
//! Runs in: an ordinary process of the user, or root of a user namespace.

use crate::copy;
use crate::digest::Digest;
use crate::store::Store;
use anyhow::{Context as _, Result};
use oci_spec::runtime::Spec;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// In the directory of a container.
pub(crate) const DIRECTORY: &str = "mountpoints";

/// Makes a directory with the places of a container's mounts that `view`, the files of its image,
/// does not have; false when there are none, and no directory.
pub(crate) fn make(spec: &Spec, view: &Path, at: &Path) -> Result<bool> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let view = rustix::fs::open(view, flags, Mode::empty()).context("files of the image")?;
    let layer = Layer { view, at };
    let mut mounted: Vec<PathBuf> = Vec::new();
    let mut any = false;
    for mount in spec.mounts().iter().flatten() {
        let place = mount.destination().strip_prefix("/").unwrap_or(mount.destination());
        // Below another mount, that decides.
        let decided = mounted.iter().any(|above| place.starts_with(above) && place != above);
        if !decided && !layer.has(place)? {
            if !any {
                directory(at)?;
                layer.alike(Path::new(""), at)?;
                any = true;
            }
            let is_bind = mount.typ().as_deref() == Some("bind");
            let source = mount.source().as_deref().filter(|_| is_bind);
            // The files of /etc may have their place later.
            layer.place(place, source.is_some_and(|source| !source.is_dir()))?;
        }
        mounted.push(place.to_owned());
    }
    if any {
        layer.alike(Path::new(""), at)?; // making something in it has changed its time
    }
    Ok(any)
}

struct Layer<'a> {
    view: OwnedFd,
    at: &'a Path,
}

impl Layer<'_> {
    /// No link leads out of the view.
    fn look(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.view, path, OFlags::PATH | OFlags::CLOEXEC | flags, Mode::empty(), resolve)
    }

    /// A link counts, wherever it leads: the runtime has to find its way.
    fn has(&self, place: &Path) -> Result<bool> {
        match self.look(place, OFlags::NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(errno) => Err(errno).with_context(|| format!("/{}", place.display())),
        }
    }

    fn place(&self, place: &Path, is_file: bool) -> Result<()> {
        let above = place.parent().unwrap_or(Path::new(""));
        let Some(parent) = self.directory(above)? else { return Ok(()) };
        let to = parent.join(place.file_name().unwrap_or_default());
        if to.exists() {
            return Ok(());
        }
        if is_file {
            crate::home::write(&to, b"").with_context(|| to.display().to_string())?;
            set_mode(&to, 0o644)?;
        } else {
            directory(&to)?;
        }
        // It was made in a directory of the image, whose time counts.
        if let Ok(real) = self.real(above) { self.alike(&real, &parent) } else { Ok(()) }
    }

    /// The directory of the layer for one that the image may lack, too. `None` when something else
    /// is there.
    fn directory(&self, path: &Path) -> Result<Option<PathBuf>> {
        if path.as_os_str().is_empty() {
            return Ok(Some(self.at.to_owned()));
        }
        let real = match self.look(path, OFlags::DIRECTORY) {
            Ok(_) => Some(self.real(path)?),
            Err(Errno::NOENT) => None,
            Err(Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(errno) => return Err(errno).with_context(|| format!("/{}", path.display())),
        };
        let path = real.as_deref().unwrap_or(path);
        if path.as_os_str().is_empty() {
            return Ok(Some(self.at.to_owned()));
        }
        // A dangling link is there, too.
        if real.is_none() && self.has(path)? {
            return Ok(None);
        }
        let above = self.directory(path.parent().unwrap_or(Path::new("")))?;
        let Some(above) = above else { return Ok(None) };
        let to = above.join(path.file_name().unwrap_or_default());
        if !to.exists() {
            directory(&to)?;
            if real.is_some() {
                self.alike(path, &to)?;
            }
        }
        Ok(Some(to))
    }

    /// A path of the view without links.
    fn real(&self, path: &Path) -> Result<PathBuf> {
        let found = self.look(path, OFlags::DIRECTORY);
        let found = found.with_context(|| format!("/{}", path.display()))?;
        let link = |fd: &OwnedFd| fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
        let (top, real) = (link(&self.view)?, link(&found)?);
        Ok(real.strip_prefix(&top).context("moved")?.to_owned())
    }

    /// The upper one of two directories is the one that is seen.
    fn alike(&self, path: &Path, to: &Path) -> Result<()> {
        let from = self.look(path, OFlags::DIRECTORY);
        let from = from.with_context(|| format!("/{}", path.display()))?;
        copy::attributes(from.as_fd(), File::open(to)?.as_fd()).context(DIRECTORY)
    }
}

/// The layers over which the changes of a container lie, the lowest first.
pub(crate) fn layers_below(store: &Store<'_>, dir: &Path, layers: &[Digest]) -> Vec<PathBuf> {
    let own = Some(dir.join(DIRECTORY)).filter(|dir| dir.exists()); // there may be none
    layers.iter().map(|layer| store.layer(layer)).chain(own).collect()
}

/// Whatever the caller's umask is.
fn directory(path: &Path) -> Result<()> {
    DirBuilder::new().create(path).with_context(|| path.display().to_string())?;
    set_mode(path, 0o755)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let set = fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set.with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use serde_json::json;
    use std::os::unix::fs::MetadataExt as _;

    const USUAL: [&str; 6] = ["/proc", "/dev", "/dev/pts", "/sys", "/etc/hosts", "/etc/hostname"];

    fn made(dir: &Scratch, places: &[&str]) -> Vec<String> {
        dir.file("file", b"");
        let mount = |place: &&str| match place.starts_with("/etc/") {
            true => json!({ "destination": place, "type": "bind", "source": dir.0.join("file") }),
            false => json!({ "destination": place, "type": "tmpfs", "source": "tmpfs" }),
        };
        let mounts: Vec<_> = places.iter().map(mount).collect();
        let spec =
            serde_json::from_value(json!({ "ociVersion": "1.0.2", "mounts": mounts })).unwrap();
        let at = dir.0.join("at");
        if !make(&spec, &dir.0.join("view"), &at).unwrap() {
            assert!(!at.exists());
        }
        let mut names = Vec::new();
        let mut todo = vec![at.clone()];
        while let Some(next) = todo.pop() {
            for entry in fs::read_dir(&next).into_iter().flatten() {
                let path = entry.unwrap().path();
                names.push(path.strip_prefix(&at).unwrap().display().to_string());
                todo.extend(path.is_dir().then_some(path));
            }
        }
        names.sort();
        names
    }

    #[test]
    fn only_what_the_image_lacks_is_made() {
        let dir = Scratch::new();
        dir.file("view/etc/hosts", b"");
        dir.link("view/dev", "/nowhere");
        let etc = dir.0.join("view/etc");
        fs::set_permissions(&etc, fs::Permissions::from_mode(0o751)).unwrap();
        assert_eq!(made(&dir, &USUAL), ["etc", "etc/hostname", "proc", "sys"]);
        let (from, to) = (fs::metadata(etc).unwrap(), fs::metadata(dir.0.join("at/etc")).unwrap());
        assert_eq!((from.mode(), from.mtime_nsec()), (to.mode(), to.mtime_nsec()));
    }

    #[test]
    fn image_without_anything_gets_all() {
        let dir = Scratch::new();
        fs::create_dir(dir.0.join("view")).unwrap();
        let all = ["dev", "etc", "etc/hostname", "etc/hosts", "proc", "sys"];
        assert_eq!(made(&dir, &USUAL), all);
        assert!(dir.0.join("at/etc/hosts").is_file());
    }

    #[test]
    fn image_with_all_gets_no_layer() {
        let dir = Scratch::new();
        dir.file("view/etc/hosts", b"");
        assert!(made(&dir, &["/etc/hosts"]).is_empty());
    }

    #[test]
    fn links_lead_to_places_in_the_image() {
        let dir = Scratch::new();
        dir.file("view/real/x", b"");
        dir.link("view/var", "/real");
        dir.link("view/out", "../../..");
        dir.link("view/broken", "/nowhere");
        let places = ["/var/deep/er", "/out/up", "/broken/x", "/real/x/below"];
        assert_eq!(made(&dir, &places), ["real", "real/deep", "real/deep/er", "up"]);
    }
}
