//! The leak check: what a test left behind in its namespaces.
//!
//! Runs in: the supervisor (pid 1 of the test's pid namespace), and for descriptors the test process.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cgroups;
use crate::isolate::{self, View};

/// What there was before the test.
#[derive(Debug)]
pub struct Before {
    mounts: BTreeSet<String>,
}

impl Before {
    pub fn record() -> Self {
        Self { mounts: mounts() }
    }

    /// One line for everything that is there now and was not before.
    pub fn leaks(&self) -> Vec<String> {
        let mut leaks = processes();
        let now = mounts();
        leaks.extend(now.difference(&self.mounts).map(|m| format!("mount: {m}")));
        leaks.extend(self.mounts.difference(&now).map(|m| format!("mount is gone: {m}")));
        leaks.extend(units());
        leaks.extend(cgroup_dirs().iter().map(|dir| format!("cgroup: {}", dir.display())));
        let root = isolate::state_root();
        if let Ok(entries) = fs::read_dir(&root) {
            leaks.extend(entries.flatten().map(|e| format!("state: {}", e.path().display())));
        }
        leaks
    }
}

/// Lines of mountinfo without their first two fields: a mount that a test takes away and brings back
/// has another id. Equal ones are told apart by a number.
fn mounts() -> BTreeSet<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut seen = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.splitn(3, ' ').nth(2)) {
        let mut numbers = 1..;
        while !seen.insert(format!("{line} #{}", numbers.next().unwrap_or(0))) {}
    }
    seen
}

/// Processes other than this one. A dying process needs a moment: they get two seconds.
fn processes() -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        let left: Vec<String> = below_us()
            .into_iter()
            .map(|pid| {
                let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let words = String::from_utf8_lossy(&words).replace('\0', " ");
                let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
                let state =
                    status.lines().find(|l| l.starts_with("State:")).unwrap_or("gone").to_owned();
                format!("process: {pid} {words}({state})")
            })
            .collect();
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        isolate::reap();
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Everything that this process has started and that is still there.
fn below_us() -> Vec<u32> {
    let own = std::process::id();
    if isolate::view() != View::Systemd {
        // A pid namespace of the test's own: all others in it.
        return pids().into_iter().filter(|pid| *pid != own).collect();
    }
    let parent = |pid: u32| -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|l| l.strip_prefix("PPid:"))?.trim().parse().ok()
    };
    // A subreaper's orphans are its children, so every chain of parents is whole.
    let is_ours = |pid: &u32| {
        std::iter::successors(parent(*pid), |pid| parent(*pid)).any(|ancestor| ancestor == own)
    };
    pids().into_iter().filter(is_ours).collect()
}

/// Ends what would live on, where no pid namespace ends with the test.
pub fn end_processes() {
    for pid in below_us() {
        kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).ok();
    }
}

/// Units of this test that systemd still knows.
fn units() -> Vec<String> {
    if isolate::view() != View::Systemd {
        return Vec::new();
    }
    let pattern = format!("*{}*", isolate::tag());
    let output = std::process::Command::new("systemctl")
        .args(["list-units", "--all", "--plain", "--no-legend", &pattern])
        .output()
        .expect("systemctl");
    String::from_utf8_lossy(&output.stdout).lines().map(|line| format!("unit: {line}")).collect()
}

/// Process ids in this pid namespace.
pub fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|e| e.file_name().to_string_lossy().parse().ok()).collect()
}

/// Cgroups of this test, except parents which a v1 runtime makes and has no business removing:
/// empty directories without processes whose name is the tag itself.
fn cgroup_dirs() -> Vec<PathBuf> {
    let tag = isolate::tag();
    let is_parent = |dir: &Path| dir.file_name().is_some_and(|n| n.to_string_lossy() == tag);
    // cgroups empty themselves after the last process is reaped, not before.
    let deadline = Instant::now() + Duration::from_secs(1);
    loop {
        for dir in cgroups::tagged(&tag).iter().rev().filter(|dir| is_parent(dir)) {
            fs::remove_dir(dir).ok();
        }
        let left = cgroups::tagged(&tag);
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Open descriptors of this process with what they refer to.
pub fn fds() -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return BTreeSet::new() };
    entries
        .flatten()
        .filter_map(|e| {
            Some(format!(
                "{} -> {}",
                e.file_name().display(),
                fs::read_link(e.path()).ok()?.display()
            ))
        })
        .filter(|line| !line.ends_with("/fd"))
        .collect()
}
