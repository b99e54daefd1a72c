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
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The group of a container. Remembered for exec, update and delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) group: PathBuf,
    /// It is not there yet.
    missing: bool,
    /// Nobody else uses it: `closID` is absent.
    own: bool,
}

/// What is ours to remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Made {
    group: bool,
    monitor: bool,
}

/// Errors of the config and the host come out before anything is made.
pub(crate) fn place(plan: Option<&IntelRdt>, id: &str) -> Result<Option<Place>> {
    let Some(plan) = plan else { return Ok(None) };
    let mounts = proc::mounts(&read_file(Path::new("/proc/self/mountinfo"))?);
    match mounts.iter().find(|mount| mount.fs_type == "resctrl") {
        Some(mount) => Place::new(&mount.point, plan, id).context("linux.intelRdt").map(Some),
        None => Err(anyhow!("linux.intelRdt: no resctrl file system is mounted")).hint(
            "mount it with: mount -t resctrl resctrl /sys/fs/resctrl; that needs a CPU with RDT \
             (cat_l3 or mba in /proc/cpuinfo) and a kernel with CONFIG_X86_CPU_RESCTRL",
        ),
    }
}

impl Place {
    fn new(root: &Path, plan: &IntelRdt, id: &str) -> Result<Self> {
        let group = match &plan.class {
            Class::Root => root.to_path_buf(),
            Class::Own => root.join(id),
            Class::Named(name) => root.join(name),
        };
        let missing = !group.is_dir();
        let own = plan.class == Class::Own;
        let shown = group.display();
        if !missing && own {
            return Err(anyhow!("{shown} exists already"))
                .hint("set linux.intelRdt.closID to use it, or remove it with rmdir");
        }
        if missing && !own && plan.schemata.is_empty() {
            return Err(anyhow!("there is no {shown}"))
                .hint("make the group, or set linux.intelRdt.schemata");
        }
        // config-linux.md: a group that is there must have what is asked for.
        if !missing && !plan.schemata.is_empty() {
            let text = read_file(&group.join("schemata"))?;
            let text = String::from_utf8_lossy(&text);
            if let Some(line) = plan.schemata.iter().find(|line| !has_line(&text, line)) {
                return Err(anyhow!("{shown} exists, and does not have {line:?}"))
                    .hint("match the group's schemata, leave them out, or choose another closID");
            }
        }
        Ok(Self { group, missing, own })
    }

    /// `made` tells what is to be removed, after a failure too.
    pub(crate) fn make(&self, plan: &IntelRdt, id: &str, made: &mut Made) -> Result<()> {
        if self.missing {
            make_group(&self.group)?;
            made.group = true;
            write_schemata(&self.group, &plan.schemata)?;
        }
        if plan.monitoring {
            make_group(&monitor(&self.group, id))?;
            made.monitor = true;
        }
        Ok(())
    }

    /// What goes with the container: a group with a name stays for the others, as with runc.
    pub(crate) fn lasting(&self, made: Made) -> Made {
        Made { group: made.group && self.own, ..made }
    }
}

fn monitor(group: &Path, id: &str) -> PathBuf {
    group.join("mon_groups").join(id)
}

/// Gives the group other shares.
pub(crate) fn write_schemata(group: &Path, lines: &[String]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let path = group.join("schemata");
    let text = lines.join("\n") + "\n";
    let Err(errno) = nix::unistd::write(open(&path, OFlag::O_WRONLY)?, text.as_bytes()) else {
        return Ok(());
    };
    let err = sys::Error::new(format!("write({}, {text:?})", path.display()), errno);
    // The kernel says there what was wrong; the group may be the root itself.
    let why = ["info/last_cmd_status", "../info/last_cmd_status"];
    match why.iter().find_map(|file| read_file(&group.join(file)).ok()) {
        Some(why) => Err(err).hint(String::from_utf8_lossy(&why).trim()),
        None => Err(err.into()),
    }
}

/// Files into which a process writes itself, see [`crate::cgroup::join`].
pub(crate) fn doors(group: Option<&Path>, id: &str) -> Result<Vec<OwnedFd>> {
    let Some(group) = group else { return Ok(Vec::new()) };
    let mut doors = vec![open(&group.join("tasks"), OFlag::O_WRONLY)?];
    // The other one must be within the group that a process is in, so it comes second.
    match open(&monitor(group, id).join("tasks"), OFlag::O_WRONLY) {
        Err(err) if err.errno == Errno::ENOENT => {}
        door => doors.push(door?),
    }
    Ok(doors)
}

/// After the container's processes have ended.
pub(crate) fn remove(group: &Path, made: Made, id: &str) -> Result<()> {
    if made.monitor {
        remove_group(&monitor(group, id))?;
    }
    if made.group { remove_group(group) } else { Ok(()) }
}

fn make_group(path: &Path) -> Result<()> {
    use nix::sys::stat::Mode;
    let hints = [
        (
            Errno::ENOSPC,
            "the CPU has no group left: remove one with rmdir, or share one with linux.intelRdt.closID",
        ),
        (Errno::EPERM, "this needs root of the host, and a CPU that supports it"),
        (
            Errno::EEXIST,
            "it has just been made by another process: try again, or choose another closID or id",
        ),
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

        fn place(&self, class: Class, lines: &[&str]) -> Result<Place> {
            Place::new(&self.0, &rdt(class, lines), "web")
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn rdt(class: Class, lines: &[&str]) -> IntelRdt {
        let schemata = lines.iter().map(ToString::to_string).collect();
        IntelRdt { class, schemata, monitoring: false }
    }

    fn named(name: &str) -> Class {
        Class::Named(name.into())
    }

    fn error(result: Result<Place>) -> String {
        crate::error::chain(&result.unwrap_err())
    }

    /// Made like that, and what is ours of it.
    fn make(place: &Place, plan: &IntelRdt) -> Made {
        let mut made = Made::default();
        place.make(plan, "web", &mut made).unwrap();
        made
    }

    fn remove_of(place: &Place, made: Made) {
        remove(&place.group, made, "web").unwrap();
    }

    #[test]
    fn own_group_is_made_and_removed() {
        let tree = Tree::new("own");
        let place = tree.place(Class::Own, &[]).unwrap();
        let made = make(&place, &rdt(Class::Own, &[]));
        assert_eq!(place.lasting(made), Made { group: true, monitor: false });
        assert!(tree.0.join("web").is_dir());
        assert_eq!(
            error(tree.place(Class::Own, &[])),
            format!("{}/web exists already", tree.0.display())
        );
        remove_of(&place, made);
        assert!(!tree.0.join("web").exists());
        remove_of(&place, made); // again: a delete that was cut off
    }

    #[test]
    fn schemata_are_written_in_one_piece() {
        let tree = Tree::new("write");
        let lines = ["L3:0=f".to_string(), "MB:0=20".to_string()];
        let place = tree.place(named("gold"), &["L3:0=f", "MB:0=20"]).unwrap();
        assert!(place.missing);
        tree.furnish("gold");
        write_schemata(&place.group, &lines).unwrap();
        assert_eq!(tree.text("gold/schemata"), "L3:0=f\nMB:0=20\n");
        // Others may use it by its name: it stays when the container goes, not when its making fails.
        let made = Made { group: true, monitor: false };
        remove_of(&place, place.lasting(made));
        assert!(tree.0.join("gold").is_dir());
        tree.strip("gold");
        remove_of(&place, made);
        assert!(!tree.0.join("gold").exists());
    }

    #[test]
    fn what_the_kernel_says_is_told() {
        let tree = Tree::new("status");
        tree.file("info/last_cmd_status", "mask f out of range\n");
        tree.furnish("gold");
        std::fs::remove_file(tree.0.join("gold/schemata")).unwrap();
        std::os::unix::fs::symlink("/dev/full", tree.0.join("gold/schemata")).unwrap();
        let group = tree.0.join("gold");
        let err = write_schemata(&group, &["L3:0=f".into()]).unwrap_err();
        assert_eq!(crate::error::hint(&err), Some("mask f out of range"));
        let text = format!("write({}/schemata, \"L3:0=f\\n\"): ", group.display());
        assert!(crate::error::chain(&err).starts_with(&text), "{err:#}");
    }

    #[test]
    fn group_that_is_there_must_fit_and_stays() {
        let tree = Tree::new("found");
        tree.furnish("gold");
        tree.file("gold/schemata", "    L3:0=0f;1=ff\n");
        let place = tree.place(named("gold"), &["L3:0=f"]).unwrap();
        let made = make(&place, &rdt(named("gold"), &["L3:0=f"]));
        assert_eq!(made, Made::default());
        assert_eq!(tree.text("gold/schemata"), "    L3:0=0f;1=ff\n");
        remove_of(&place, made);
        assert!(tree.0.join("gold/tasks").exists());
        assert!(tree.place(named("gold"), &[]).is_ok());
        assert_eq!(
            error(tree.place(named("gold"), &["L3:1=f"])),
            format!("{}/gold exists, and does not have \"L3:1=f\"", tree.0.display())
        );
        assert_eq!(
            error(tree.place(named("silver"), &[])),
            format!("there is no {}/silver", tree.0.display())
        );
    }

    #[test]
    fn monitoring_group_is_of_the_container() {
        let tree = Tree::new("monitor");
        let place = tree.place(Class::Root, &[]).unwrap();
        let plan = IntelRdt { monitoring: true, ..rdt(Class::Root, &[]) };
        let made = make(&place, &plan);
        assert_eq!(doors(Some(&place.group), "web").unwrap().len(), 1, "the kernel adds the files");
        tree.file("mon_groups/web/tasks", "");
        assert_eq!(doors(Some(&place.group), "web").unwrap().len(), 2);
        std::fs::remove_file(tree.0.join("mon_groups/web/tasks")).unwrap();
        remove_of(&place, made);
        assert!(!tree.0.join("mon_groups/web").exists());
        assert!(tree.0.join("tasks").exists());
    }
}
