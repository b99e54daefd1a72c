//! The container's group in the host's resctrl file system.
//!
//! Runs in: parent. Privilege: root of the host. A group is a directory whose files come with it and
//! go with it; a process that is written into `tasks` takes the ones it bears along.

use crate::config::io;
use crate::error::{OrHint as _, hinted};
use crate::plan::intel_rdt::{Class, IntelRdt, has_line};
use crate::proc;
use crate::sys;
use crate::sys::fd::{open, read_file};
use anyhow::{Context as _, Result, anyhow, bail};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Where the container is, remembered for exec, update and delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Where resctrl is mounted.
    root: PathBuf,
    group: PathBuf,
    origin: Origin,
    /// The container's monitoring group.
    monitor: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Origin {
    /// It was there before.
    Found,
    /// For the container alone.
    Made,
    /// By a name that others may use, too.
    MadeForAll,
}

/// Errors of the config and the host come out before anything is made.
pub(crate) fn place(plan: Option<&IntelRdt>, id: &str) -> Result<Option<Place>> {
    let Some(plan) = plan else { return Ok(None) };
    let mounts = proc::mounts(&read_file(Path::new("/proc/self/mountinfo"))?);
    let resctrl = |mount: &proc::Mount| mount.fs_type == "resctrl" && mount.root == Path::new("/");
    let Some(mount) = proc::visible(&mounts, resctrl).first().copied() else {
        return Err(anyhow!("linux.intelRdt: no resctrl file system is mounted")).hint(
            "mount it with: mount -t resctrl resctrl /sys/fs/resctrl; that needs a CPU with RDT \
             (cat_l3 or mba in /proc/cpuinfo) and a kernel with CONFIG_X86_CPU_RESCTRL",
        );
    };
    Place::new(&mount.point, plan, id).map(Some)
}

impl Place {
    fn new(root: &Path, plan: &IntelRdt, id: &str) -> Result<Self> {
        let named = |name: &str| (root.join(name), root.join(name).is_dir());
        let (group, origin) = match &plan.class {
            Class::Root => (root.to_path_buf(), Origin::Found),
            Class::Own => match named(id) {
                (group, false) => (group, Origin::Made),
                (group, true) => {
                    return Err(anyhow!("linux.intelRdt: {} exists already", group.display()))
                        .hint("set linux.intelRdt.closID to use it, or remove it with rmdir");
                }
            },
            Class::Named(name) => match named(name) {
                (group, true) => (group, Origin::Found),
                (group, false) if !plan.schemata.is_empty() => (group, Origin::MadeForAll),
                (group, false) => {
                    return Err(anyhow!("linux.intelRdt.closID: there is no {}", group.display()))
                        .hint("make the group, or say what it gets, by linux.intelRdt.schemata");
                }
            },
        };
        let monitor = plan.monitoring.then(|| group.join("mon_groups").join(id));
        let place = Self { root: root.to_path_buf(), group, origin, monitor };
        if origin == Origin::Found {
            place.check(&plan.schemata)?;
        }
        Ok(place)
    }

    /// config-linux.md: a group that is there must have what is asked for.
    fn check(&self, schemata: &[String]) -> Result<()> {
        if schemata.is_empty() {
            return Ok(());
        }
        let text = read_file(&self.group.join("schemata")).context("linux.intelRdt")?;
        let text = String::from_utf8_lossy(&text);
        match schemata.iter().find(|line| !has_line(&text, line)) {
            None => Ok(()),
            Some(line) => {
                let group = self.group.display();
                Err(anyhow!("linux.intelRdt: {group} exists, and does not have {line:?}"))
                    .hint("ask for what the group has, for nothing, or for another closID")
            }
        }
    }

    /// What fails leaves something that [`Place::remove`] removes.
    pub(crate) fn make(&self, plan: &IntelRdt) -> Result<()> {
        if self.origin != Origin::Found {
            make_group(&self.group).context("linux.intelRdt")?;
            self.write_schemata(&plan.schemata).context("linux.intelRdt")?;
        }
        match &self.monitor {
            Some(monitor) => make_group(monitor).context("linux.intelRdt.enableMonitoring"),
            None => Ok(()),
        }
    }

    /// Gives the group other shares.
    pub(crate) fn write_schemata(&self, lines: &[String]) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let path = self.group.join("schemata");
        let text = lines.join("\n") + "\n";
        let fd = open(&path, OFlag::O_WRONLY)?;
        match nix::unistd::write(&fd, text.as_bytes()) {
            Ok(_) => Ok(()),
            Err(errno) => {
                // The kernel says there what was wrong.
                let why = read_file(&self.root.join("info/last_cmd_status")).unwrap_or_default();
                let call = format!("write({}, {text:?})", path.display());
                let why = String::from_utf8_lossy(&why).trim().to_string();
                let err = anyhow::Error::from(sys::Error::new(call, errno));
                if why.is_empty() {
                    Err(err)
                } else {
                    Err(err).hint(format!("the kernel says: {why}"))
                }
            }
        }
    }

    /// After the container's processes have ended. A group with a name stays while others are in it.
    pub(crate) fn remove(&self) -> Result<()> {
        if let Some(monitor) = &self.monitor {
            remove_group(monitor)?;
        }
        match self.origin {
            Origin::Found => Ok(()),
            Origin::Made => remove_group(&self.group),
            Origin::MadeForAll => match read_file(&self.group.join("tasks")) {
                Ok(tasks) if !tasks.is_empty() => Ok(()),
                _ => remove_group(&self.group),
            },
        }
    }
}

/// Files into which a process writes itself, see [`crate::cgroup::join`].
pub(crate) fn doors(place: Option<&Place>) -> Result<Vec<OwnedFd>> {
    let groups =
        place.into_iter().flat_map(|place| std::iter::once(&place.group).chain(&place.monitor));
    let open = |group: &PathBuf| open(&group.join("tasks"), OFlag::O_WRONLY);
    groups.map(|group| open(group).context("linux.intelRdt")).collect()
}

fn make_group(path: &Path) -> Result<()> {
    use nix::sys::stat::Mode;
    let hints = [
        (Errno::ENOSPC, "the CPU has no group left: rmdir one, or use it by linux.intelRdt.closID"),
        (Errno::EPERM, "it takes root of the host, and a CPU which can do this"),
        (Errno::ENOENT, "this CPU or kernel has no monitoring: see info/L3_MON in resctrl"),
    ];
    nix::unistd::mkdir(path, Mode::from_bits_truncate(0o755)).map_err(|errno| {
        hinted(sys::Error::new(format!("mkdir({})", path.display()), errno), &hints)
    })
}

fn remove_group(path: &Path) -> Result<()> {
    match std::fs::remove_dir(path) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => {
            bail!("rmdir({}): {}", path.display(), io(&err))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// A directory like the kernel's, but for the files that come and go with a group.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("resctrl-{name}-{}", std::process::id()));
            std::fs::create_dir_all(path.join("info")).unwrap();
            let tree = Self(path);
            tree.furnish("");
            tree
        }

        fn file(&self, path: &str, text: &str) {
            let mut options = std::fs::OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).open(self.0.join(path));
            file.unwrap().write_all(text.as_bytes()).unwrap();
        }

        /// What the kernel does at mkdir(2).
        fn furnish(&self, group: &str) {
            std::fs::create_dir_all(self.0.join(group).join("mon_groups")).unwrap();
            for name in ["tasks", "schemata"] {
                self.file(format!("{group}/{name}").trim_start_matches('/'), "");
            }
        }

        /// What it does at rmdir(2).
        fn strip(&self, group: &str) {
            for name in ["tasks", "schemata"] {
                std::fs::remove_file(self.0.join(group).join(name)).unwrap();
            }
            std::fs::remove_dir(self.0.join(group).join("mon_groups")).unwrap();
        }

        fn text(&self, path: &str) -> String {
            std::fs::read_to_string(self.0.join(path)).unwrap()
        }

        fn place(&self, class: Class, lines: &[&str], monitoring: bool) -> Result<Place> {
            Place::new(&self.0, &rdt(class, lines, monitoring), "web")
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn rdt(class: Class, lines: &[&str], monitoring: bool) -> IntelRdt {
        let schemata = lines.iter().map(ToString::to_string).collect();
        IntelRdt { class, schemata, monitoring }
    }

    fn named(name: &str) -> Class {
        Class::Named(name.into())
    }

    fn error(result: Result<Place>) -> String {
        crate::error::chain(&result.unwrap_err())
    }

    #[test]
    fn own_group_is_made_and_removed() {
        let tree = Tree::new("own");
        let place = tree.place(Class::Own, &[], false).unwrap();
        place.make(&rdt(Class::Own, &[], false)).unwrap();
        assert!(tree.0.join("web").is_dir());
        assert_eq!(
            error(tree.place(Class::Own, &[], false)),
            format!("linux.intelRdt: {}/web exists already", tree.0.display())
        );
        place.remove().unwrap();
        assert!(!tree.0.join("web").exists());
        place.remove().unwrap(); // again: a delete that was cut off
    }

    #[test]
    fn schemata_are_written_in_one_piece() {
        let tree = Tree::new("write");
        let plan = rdt(named("gold"), &["L3:0=f", "MB:0=20"], false);
        let place = Place::new(&tree.0, &plan, "web").unwrap();
        assert_eq!(place.origin, Origin::MadeForAll);
        tree.furnish("gold");
        place.write_schemata(&plan.schemata).unwrap();
        assert_eq!(tree.text("gold/schemata"), "L3:0=f\nMB:0=20\n");
        // Others are in it: it stays, else it goes.
        tree.file("gold/tasks", "7\n");
        place.remove().unwrap();
        assert!(tree.0.join("gold").is_dir());
        tree.strip("gold");
        place.remove().unwrap();
        assert!(!tree.0.join("gold").exists());
    }

    #[test]
    fn group_that_is_there_must_fit_and_stays() {
        let tree = Tree::new("found");
        tree.furnish("gold");
        tree.file("gold/schemata", "    L3:0=0f;1=ff\n");
        let place = tree.place(named("gold"), &["L3:0=f"], false).unwrap();
        place.make(&rdt(named("gold"), &["L3:0=f"], false)).unwrap();
        assert_eq!(tree.text("gold/schemata"), "    L3:0=0f;1=ff\n");
        place.remove().unwrap();
        assert!(tree.0.join("gold/tasks").exists());
        assert!(tree.place(named("gold"), &[], false).is_ok());
        assert_eq!(
            error(tree.place(named("gold"), &["L3:1=f"], false)),
            format!(
                "linux.intelRdt: {}/gold exists, and does not have \"L3:1=f\"",
                tree.0.display()
            )
        );
        assert_eq!(
            error(tree.place(named("silver"), &[], false)),
            format!("linux.intelRdt.closID: there is no {}/silver", tree.0.display())
        );
    }

    #[test]
    fn monitoring_group_is_of_the_container() {
        let tree = Tree::new("monitor");
        let place = tree.place(Class::Root, &[], true).unwrap();
        place.make(&rdt(Class::Root, &[], true)).unwrap();
        tree.file("mon_groups/web/tasks", "");
        assert_eq!(doors(Some(&place)).unwrap().len(), 2);
        std::fs::remove_file(tree.0.join("mon_groups/web/tasks")).unwrap();
        place.remove().unwrap();
        assert!(!tree.0.join("mon_groups/web").exists());
        assert!(tree.0.join("tasks").exists());
    }
}
