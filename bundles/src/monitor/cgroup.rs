//! What the kernel tells of a container's cgroup: whether something was killed for want of memory,
//! whether it is frozen; and of those that an ordinary user may make.
//!
//! Runs in: the monitor and commands. See cgroups(7), `proc_pid_mountinfo(5)`.

use nix::unistd::{AccessFlags, access};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The file with the count. `None` when the container has no memory controller.
pub(super) fn oom_counter(pid: i32) -> Option<PathBuf> {
    let v1 = of_process(pid, "memory").map(|dir| dir.join("memory.oom_control"));
    let v2 = || of_process(pid, "").map(|dir| dir.join("memory.events"));
    v1.filter(|file| file.exists()).or_else(|| v2().filter(|file| file.exists()))
}

/// Also while it is being frozen.
pub(crate) fn is_frozen(pid: i32) -> bool {
    let read = |file: Option<PathBuf>| file.and_then(|file| fs::read_to_string(file).ok());
    let v1 = read(of_process(pid, "freezer").map(|dir| dir.join("freezer.state")));
    let v2 = || read(of_process(pid, "").map(|dir| dir.join("cgroup.events")));
    match v1 {
        Some(state) if state.trim() != "THAWED" => true,
        _ => v2().is_some_and(|events| events.lines().any(|line| line == "frozen 1")),
    }
}

/// The controllers of cgroups that this process may make: below the one above its own, or below its
/// own. See cgroups(7), "Delegation".
pub(crate) fn delegated() -> Vec<String> {
    let Some(own) = of_process(std::process::id().cast_signed(), "") else { return Vec::new() };
    let dirs = own.parent().into_iter().chain([own.as_path()]);
    let mut writable = dirs.filter(|dir| access(*dir, AccessFlags::W_OK).is_ok());
    let controllers = writable.next().map(|dir| fs::read_to_string(dir.join("cgroup.controllers")));
    let controllers = controllers.and_then(Result::ok).unwrap_or_default();
    controllers.split_whitespace().map(ToOwned::to_owned).collect()
}

/// The version that limits go through: 1 on hybrid hosts, too.
pub(crate) fn version() -> u8 {
    let found = nix::sys::statfs::statfs("/sys/fs/cgroup");
    let unified =
        found.is_ok_and(|fs| fs.filesystem_type() == nix::sys::statfs::CGROUP2_SUPER_MAGIC);
    if unified { 2 } else { 1 }
}

/// Whether limits of this kind can be set beside a process's own cgroup.
pub(crate) fn has_controller(pid: i32, name: &str) -> bool {
    let v1_name = if name == "io" { "blkio" } else { name };
    let listed = || {
        let file = of_process(pid, "")?.join("cgroup.controllers");
        let list = fs::read_to_string(file).ok()?;
        Some(list.split_whitespace().any(|word| word == name))
    };
    of_process(pid, v1_name).is_some() || listed().unwrap_or(false)
}

fn of_process(pid: i32, controller: &str) -> Option<PathBuf> {
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    // They stay where they are while a command looks at many containers.
    static MOUNTS: OnceLock<String> = OnceLock::new();
    let mounts =
        MOUNTS.get_or_init(|| fs::read_to_string("/proc/self/mountinfo").unwrap_or_default());
    // Another mount may hide one.
    find(&cgroups, mounts, controller).into_iter().find(|dir| dir.exists())
}

/// The directory of a v1 controller's hierarchy, or of v2 when it is "": wherever that is mounted.
fn find(cgroups: &str, mounts: &str, controller: &str) -> Vec<PathBuf> {
    let of_line = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let names = fields.next()?;
        let path = fields.next()?.to_owned();
        names.split(',').any(|name| name == controller).then_some(path)
    };
    let Some(path) = cgroups.lines().find_map(of_line) else { return Vec::new() };
    let mounted = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let kind = after.next()?;
        let options = after.nth(1)?;
        let fits = match controller {
            "" => kind == "cgroup2",
            name => kind == "cgroup" && options.split(',').any(|option| option == name),
        };
        let mut before = before.split(' ').skip(3);
        let (root, at) = (before.next()?, before.next()?);
        fits.then(|| (root.trim_end_matches('/').to_owned(), PathBuf::from(at)))
    };
    let inside = |(root, at): (String, PathBuf)| {
        let below = path.strip_prefix(&root).unwrap_or(&path);
        at.join(below.trim_start_matches('/'))
    };
    mounts.lines().filter_map(mounted).map(inside).collect()
}

/// Both versions count in a line "`oom_kill N`".
pub(super) fn has_killed(counter: &Path) -> bool {
    let text = fs::read_to_string(counter).unwrap_or_default();
    text.lines().filter_map(|line| line.strip_prefix("oom_kill ")).any(|count| count.trim() != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "30 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n\
                          31 23 0:27 /outer /sys/fs/cgroup/memory rw - cgroup none rw,memory\n";

    #[test]
    fn both_versions_are_found() {
        let cgroups = "5:memory:/outer/c\n0::/c\n";
        let memory = find(cgroups, MOUNTS, "memory");
        assert_eq!(memory, [PathBuf::from("/sys/fs/cgroup/memory/c")]);
        let hiding = format!("{MOUNTS}32 23 0:26 / /sys/fs/cgroup rw - cgroup2 none rw\n");
        let both = ["/sys/fs/cgroup/unified/c", "/sys/fs/cgroup/c"].map(PathBuf::from);
        assert_eq!(find(cgroups, &hiding, ""), both);
        assert_eq!(find("0::/c\n", MOUNTS, "memory"), [""; 0].map(PathBuf::from));
    }
}
