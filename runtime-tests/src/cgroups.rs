//! The cgroup hierarchies as seen in this mount namespace, and what a test left in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::runtime::{Runtime, runtime};

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    pub at: PathBuf,
    /// Controllers of a v1 hierarchy, or the super options of it; `None` is v2.
    pub v1: Option<Vec<String>>,
}

/// All hierarchies in /proc/self/mountinfo.
pub fn hierarchies() -> Vec<Hierarchy> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let at = PathBuf::from(left.split(' ').nth(4)?);
            let mut right = right.split(' ');
            let v1 = match right.next()? {
                "cgroup2" => None,
                "cgroup" => Some(right.nth(1)?.split(',').map(str::to_owned).collect()),
                _ => return None,
            };
            // Mounted over by another mount, in the v2 view: not reachable any more.
            at.join("cgroup.procs").exists().then_some(Hierarchy { at, v1 })
        })
        .collect()
}

/// Whether /sys/fs/cgroup itself is v2.
pub fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// The mount of a v1 controller.
pub fn v1_mount(controller: &str) -> Option<PathBuf> {
    if is_v2() {
        return None;
    }
    hierarchies()
        .into_iter()
        .find(|h| h.v1.as_ref().is_some_and(|names| names.iter().any(|n| n == controller)))
        .map(|h| h.at)
}

/// The mount of cgroup v2, wherever it is.
pub fn v2_mount() -> Option<PathBuf> {
    hierarchies().into_iter().find(|h| h.v1.is_none()).map(|h| h.at)
}

/// Whether the container is placed by cgroup v2 in this view: `rt` uses the cgroup2 mount of a hybrid
/// host too, for the tree of processes.
pub fn places_by_v2() -> bool {
    is_v2() || runtime() == Runtime::Rt
}

/// Whether a controller is usable: v1 in the host view, else v2.
pub fn has_controller(name: &str) -> bool {
    v1_mount(name).is_some()
        || v2_mount().is_some_and(|at| {
            let known = fs::read_to_string(at.join("cgroup.controllers")).unwrap_or_default();
            known.split_whitespace().any(|n| n == name)
        })
}

/// All directories, in all hierarchies, whose own name contains `tag`; children after parents.
pub fn tagged(tag: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for hierarchy in hierarchies() {
        walk(&hierarchy.at, tag, false, &mut found);
    }
    found
}

fn walk(dir: &Path, tag: &str, inside: bool, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
        let path = entry.path();
        let inside = inside || entry.file_name().to_string_lossy().contains(tag);
        if inside {
            found.push(path.clone());
        }
        walk(&path, tag, inside, found);
    }
}

/// Removes every cgroup of this tag with what runs in it; for use after a failure or a timeout.
///
/// The tag is unique to one test of one runner, so nothing of anybody else can be in there.
pub fn sweep(tag: &str) {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        let dirs = tagged(tag);
        if dirs.is_empty() || Instant::now() > deadline {
            return;
        }
        for dir in dirs.iter().rev() {
            // Errors are expected: each file exists in one version of cgroups only.
            fs::write(dir.join("freezer.state"), "THAWED").ok();
            fs::write(dir.join("cgroup.freeze"), "0").ok();
            for pid in fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default().lines() {
                if let Ok(pid @ 2..) = pid.parse() {
                    nix::sys::signal::kill(
                        nix::unistd::Pid::from_raw(pid),
                        nix::sys::signal::Signal::SIGKILL,
                    )
                    .ok();
                }
            }
            fs::remove_dir(dir).ok();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The directory of a process in cgroup v2.
pub fn of_process(pid: i32) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("/proc/PID/cgroup");
    let path = text.lines().find_map(|l| l.strip_prefix("0::/")).expect("a v2 line");
    v2_mount().expect("cgroup v2 is mounted").join(path)
}

/// The directory of a process in the hierarchy of a v1 controller.
pub fn of_process_v1(pid: i32, controller: &str) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("/proc/PID/cgroup");
    let path = text
        .lines()
        .find_map(|l| {
            let mut fields = l.splitn(3, ':').skip(1);
            fields.next()?.split(',').any(|c| c == controller).then(|| fields.next())?
        })
        .expect("a line of that controller");
    v1_mount(controller).expect("the hierarchy is mounted").join(path.trim_start_matches('/'))
}
