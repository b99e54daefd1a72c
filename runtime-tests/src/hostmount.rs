//! Mounts which a test makes for itself, outside the container; they go when the value goes.

use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A mount point in the test's own mount namespace.
#[derive(Debug)]
pub struct HostMount {
    at: PathBuf,
}

impl HostMount {
    /// A new tmpfs; the directory is made.
    pub fn tmpfs(at: &Path, options: &str) -> Self {
        std::fs::create_dir_all(at).expect("make a mount point");
        mount(Some("tests"), at, Some("tmpfs"), MsFlags::empty(), Some(options))
            .expect("mount a tmpfs");
        Self { at: at.to_owned() }
    }

    /// A bind mount of `source`, so that `at` becomes a mount of its own.
    pub fn bind(source: &Path, at: &Path) -> Self {
        mount(Some(source), at, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("bind mount");
        Self { at: at.to_owned() }
    }

    /// Changes the propagation or, with `MS_REMOUNT | MS_BIND`, the flags.
    pub fn change(&self, flags: MsFlags) -> &Self {
        mount(None::<&str>, &self.at, None::<&str>, flags, None::<&str>).expect("change a mount");
        self
    }

    pub fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for HostMount {
    fn drop(&mut self) {
        // What stays mounted shows in the leak check.
        umount2(&self.at, MntFlags::MNT_DETACH).ok();
    }
}
