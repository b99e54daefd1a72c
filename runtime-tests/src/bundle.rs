//! A bundle in the making: a root filesystem with the probe in it, and a config.json as data.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::call::{Call, Output, Running, rt};
use crate::config;
use crate::container::Container;
use crate::isolate::{self, View};

pub use crate::config::docker_like;

/// A bundle directory below the test's scratch directory.
#[derive(Debug)]
pub struct Bundle {
    dir: PathBuf,
    /// What becomes config.json when a container is made.
    pub config: Value,
    id: String,
}

/// The host's static busybox.
pub fn busybox() -> Option<PathBuf> {
    ["/bin/busybox", "/usr/bin/busybox"].iter().map(PathBuf::from).find(|path| path.exists())
}

impl Default for Bundle {
    fn default() -> Self {
        Self::new()
    }
}

impl Bundle {
    /// An empty root filesystem with `/probe`, and [`config::minimal`].
    pub fn new() -> Self {
        let id = isolate::new_id();
        let dir = isolate::scratch().join("bundles").join(&id);
        fs::create_dir_all(dir.join("rootfs")).expect("make the bundle");
        let cgroups_path = match isolate::view() {
            View::Systemd => format!("system.slice:t:{id}"), // the id begins with the tag
            View::Host | View::V2 => format!("/{}/{id}", isolate::tag()),
        };
        let bundle = Self { config: config::minimal(&cgroups_path, isolate::rootless()), dir, id };
        for at in ["proc", "dev", "sys", "tmp", "etc"] {
            fs::create_dir(bundle.rootfs().join(at)).expect("make a mount point");
        }
        fs::hard_link(shared_probe(), bundle.rootfs().join("probe")).expect("link the probe");
        bundle
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn rootfs(&self) -> PathBuf {
        self.dir.join("rootfs")
    }

    /// The id of the container that [`Bundle::run`] and [`Bundle::create`] make.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Changes the configuration.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.config);
        self
    }

    #[must_use]
    pub fn args(self, args: &[&str]) -> Self {
        self.with(|c| c["process"]["args"] = json!(args))
    }

    /// Adds an entry to `mounts`.
    #[must_use]
    pub fn mount(self, destination: &str, kind: &str, source: &str, options: &[&str]) -> Self {
        self.with(|c| {
            let entry = config::mount(destination, kind, source, options);
            c["mounts"].as_array_mut().expect("mounts").push(entry);
        })
    }

    /// Adds a namespace, or replaces the entry of that type: with a path it is joined.
    #[must_use]
    pub fn namespace(self, kind: &str, path: Option<&str>) -> Self {
        self.without_namespace(kind).with(|c| {
            let mut entry = json!({ "type": kind });
            if let Some(path) = path {
                entry["path"] = json!(path);
            }
            c["linux"]["namespaces"].as_array_mut().expect("namespaces").push(entry);
        })
    }

    #[must_use]
    pub fn without_namespace(self, kind: &str) -> Self {
        self.with(|c| {
            let all = c["linux"]["namespaces"].as_array_mut().expect("namespaces");
            all.retain(|n| n["type"] != kind);
        })
    }

    /// A new user namespace with container ids 0-65535 from `first_host_id` on; the root filesystem
    /// is given to its root.
    #[must_use]
    pub fn user_namespace(self, first_host_id: u32) -> Self {
        let map = json!([{ "containerID": 0, "hostID": first_host_id, "size": 65536 }]);
        std::os::unix::fs::chown(self.rootfs(), Some(first_host_id), Some(first_host_id))
            .expect("chown rootfs");
        for entry in fs::read_dir(self.rootfs()).expect("rootfs").flatten() {
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                std::os::unix::fs::chown(entry.path(), Some(first_host_id), Some(first_host_id))
                    .expect("chown");
            }
        }
        self.namespace("user", None).with(|c| {
            c["linux"]["uidMappings"] = map.clone();
            c["linux"]["gidMappings"] = map;
        })
    }

    /// A file in the root filesystem, mode 0644, with its directories.
    #[must_use]
    pub fn file(self, path: &str, text: &str) -> Self {
        let at = self.inside(path);
        fs::create_dir_all(at.parent().expect("a parent")).expect("make directories");
        fs::write(&at, text).expect("write a file into the root filesystem");
        self
    }

    #[must_use]
    pub fn mode(self, path: &str, mode: u32) -> Self {
        fs::set_permissions(self.inside(path), fs::Permissions::from_mode(mode)).expect("chmod");
        self
    }

    #[must_use]
    pub fn directory(self, path: &str) -> Self {
        fs::create_dir_all(self.inside(path)).expect("make a directory");
        self
    }

    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        symlink(target, self.inside(path)).expect("make a symlink");
        self
    }

    /// Busybox as /bin/busybox and /bin/sh.
    #[must_use]
    pub fn with_busybox(self) -> Self {
        fs::create_dir_all(self.inside("/bin")).expect("make /bin");
        fs::copy(busybox().expect("busybox"), self.inside("/bin/busybox")).expect("copy busybox");
        self.symlink("/bin/sh", "busybox")
    }

    /// Where a path of the container is on the host.
    pub fn inside(&self, path: &str) -> PathBuf {
        self.rootfs().join(path.trim_start_matches('/'))
    }

    /// A file or directory next to the root filesystem, as a bind source.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes config.json.
    pub fn write(&self) -> &Self {
        let text = serde_json::to_string_pretty(&self.config).expect("JSON");
        fs::write(self.dir.join("config.json"), text).expect("write config.json");
        self
    }

    /// `rt run ID` as a call that can still be changed.
    pub fn run_call(&self) -> Call {
        self.write();
        rt(["run", "--bundle"]).arg(&self.dir)
    }

    /// Runs the container in the foreground with these arguments.
    pub fn run(self, args: &[&str]) -> Output {
        let bundle = self.args(args);
        bundle.run_call().arg(&bundle.id).output()
    }

    /// Starts a foreground run and returns at once.
    pub fn spawn(&self) -> Running {
        self.run_call().arg(&self.id).spawn()
    }

    /// `rt create` with extra flags; anything but success fails the test.
    pub fn create_with(&self, flags: &[&str]) -> Container {
        let output = self.try_create(flags);
        output.assert_exit(0);
        Container::new(self, output)
    }

    pub fn create(&self) -> Container {
        self.create_with(&[])
    }

    /// `rt create` which may fail.
    pub fn try_create(&self, flags: &[&str]) -> Output {
        self.write();
        rt(["create", "--bundle"]).arg(&self.dir).args(flags).arg(&self.id).output()
    }

    /// `rt create` must fail; when it does not, its container is removed before the test fails.
    #[track_caller]
    pub fn assert_create_refused(&self) -> Output {
        let output = self.try_create(&[]);
        if output.code == 0 {
            rt(["delete", "--force", &self.id]).output();
        }
        output.assert_fails();
        output
    }

    /// Created, started, and running `args`.
    pub fn start(self, args: &[&str]) -> Container {
        let container = self.args(args).create();
        container.start();
        container
    }
}

/// One copy of the probe in the scratch file system; bundles link to it.
fn shared_probe() -> PathBuf {
    let copy = isolate::scratch().join("probe");
    if !copy.exists() {
        let probe = crate::probe::find().unwrap_or_else(|why| panic!("{why}"));
        fs::copy(probe, &copy).expect("copy the probe");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("chmod");
    }
    copy
}
