//! cgroups of an ordinary user: delegated, not delegated, and only half.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use runtime_tests::cgroups;
use runtime_tests::isolate;
use runtime_tests::prelude::*;
use runtime_tests::second_user::{SecondUser, UID, UserBundle};

tests![
    delegated_cgroup_is_used,
    caller_in_the_delegated_cgroup_itself,
    rootless_flag_decides_about_missing_rights,
    caller_outside_of_the_delegated_cgroup,
    pause_and_resume_in_a_delegated_cgroup,
    limits_in_a_delegated_cgroup,
    limits_beside_the_callers_processes_are_refused,
    container_sees_only_its_own_cgroup,
];

/// A cgroup that root gives to the user, with a sub-cgroup `leaf` for his programs.
pub(super) struct Delegated {
    pub(super) at: PathBuf,
}

impl Delegated {
    pub(super) fn new() -> Self {
        let name = format!("{}-delegated", isolate::tag());
        let root = cgroups::v2_mount().expect("cgroup v2");
        let at = root.join(name);
        let controllers = fs::read_to_string(root.join("cgroup.controllers")).unwrap();
        for controller in controllers.split_whitespace() {
            // Some cannot be handed down while there are real-time processes.
            fs::write(root.join("cgroup.subtree_control"), format!("+{controller}")).ok();
        }
        for dir in [at.clone(), at.join("leaf")] {
            fs::create_dir(&dir).unwrap();
            for file in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
                chown(dir.join(file), Some(UID), Some(UID)).unwrap();
            }
        }
        Self { at }
    }

    /// A call by the user from within one of these cgroups.
    fn call(&self, user: &SecondUser, from: &str, args: &[&str]) -> Call {
        user.call_after(&["/bin/sh", "-c", &self.entering(from)], args)
    }

    /// A script that becomes a command in there.
    pub(super) fn entering(&self, from: &str) -> String {
        let procs = self.at.join(from).join("cgroup.procs");
        format!("echo $$ > {} && exec \"$0\" \"$@\"", procs.display())
    }

    pub(super) fn children(&self, of: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at.join(of)).unwrap().flatten();
        let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut names: Vec<String> =
            dirs.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        // What stays shows in the leak check.
        for dir in [self.at.join("leaf"), self.at.clone()] {
            for _ in 0..200 {
                if fs::remove_dir(&dir).is_ok() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
    }
}

/// `run --detach` of a bundle from this cgroup; the directory of the container's cgroup.
fn start(delegated: &Delegated, user: &SecondUser, b: &UserBundle<'_>, from: &str) -> PathBuf {
    b.bundle().write();
    let args = ["run", "--detach", "--bundle", b.path(), b.id()];
    delegated.call(user, from, &args).output().assert_exit(0);
    let pid = user.call(["state", b.id()]).output().json()["pid"].as_i64().unwrap();
    cgroups::of_process(i32::try_from(pid).unwrap())
}

fn delegated_cgroup_is_used() {
    let user = SecondUser::new();
    requires!(cgroup_v2);
    differs!(Crun, "1.8 leaves the cgroup alone without systemd");
    let delegated = Delegated::new();
    let b = user.bundle();
    let cgroup = start(&delegated, &user, &b, "leaf");
    assert_eq!(cgroup, delegated.at.join(b.id()));
    assert_eq!(delegated.children(""), ["leaf", b.id()]);
    let pids = user.call(["ps", "--format", "json", b.id()]).output();
    assert_eq!(pids.json().as_array().unwrap().len(), 1);
    let exec = ["exec", b.id(), "/probe", "cat", "/proc/self/cgroup"];
    let output = delegated.call(&user, "leaf", &exec).output();
    assert!(output.lines().iter().any(|line| line == "0::/"), "{}", output.stdout());
    user.call(["delete", "--force", b.id()]).ok();
    assert_eq!(delegated.children(""), ["leaf"]);
}

/// As in the scope of `systemd-run --user --scope -p Delegate=yes`: what is above belongs to root,
/// and the cgroup itself has the caller's processes.
fn caller_in_the_delegated_cgroup_itself() {
    let user = SecondUser::new();
    requires!(cgroup_v2);
    differs!(Runc, "1.1 wants a linux.cgroupsPath");
    differs!(Crun, "1.8 leaves the cgroup alone without systemd");
    let delegated = Delegated::new();
    let b = user.bundle();
    let cgroup = start(&delegated, &user, &b, "leaf/..");
    assert_eq!(cgroup, delegated.at.join(b.id()));
    user.call(["delete", "--force", b.id()]).ok();
    assert_eq!(delegated.children(""), ["leaf"]);
    // Its own place, a leaf above which nothing is delegated.
    for file in ["", "cgroup.procs"] {
        chown(delegated.at.join(file), Some(0), Some(0)).unwrap();
    }
    let b = user.bundle();
    let cgroup = start(&delegated, &user, &b, "leaf");
    assert_eq!(cgroup, delegated.at.join("leaf").join(b.id()));
    user.call(["delete", "--force", b.id()]).ok();
    assert_eq!(delegated.children("leaf"), Vec::<String>::new());
}

fn rootless_flag_decides_about_missing_rights() {
    let user = SecondUser::new();
    if runtime() != Runtime::Rt {
        skip!("the words of the error are rt's");
    }
    let b = user.bundle().change(|b| b.args(&["/probe", "true"]));
    for (flag, works) in [("auto", true), ("true", true), ("false", false)] {
        let output = b.run_call(&["--rootless", flag]).output();
        if works {
            output.assert_exit(0);
        } else {
            output.assert_fails().assert_stderr_has("permission denied (EACCES)");
            output.assert_stderr_has("hint: run as root, have the cgroup above delegated");
        }
    }
}

/// cgroups(7), "Delegation containment": he may make cgroups there, and not move into them.
fn caller_outside_of_the_delegated_cgroup() {
    let user = SecondUser::new();
    requires!(cgroup_v2);
    let delegated = Delegated::new();
    let path = Path::new("/").join(delegated.at.file_name().unwrap()).join("x");
    let b = user.bundle().with(|c| c["linux"]["cgroupsPath"] = json!(path));
    let output = b.run(&["/probe", "true"]);
    output.assert_fails();
    if runtime() == Runtime::Rt {
        output.assert_stderr_has("cgroup.procs").assert_stderr_has("permission denied (EACCES)");
        output.assert_stderr_has(
            "hint: an ordinary user moves processes only within what is delegated",
        );
        assert_eq!(delegated.children(""), ["leaf"]);
    } else {
        fs::remove_dir(delegated.at.join("x")).ok();
    }
}

fn pause_and_resume_in_a_delegated_cgroup() {
    let user = SecondUser::new();
    requires!(cgroup_v2);
    differs!(Crun, "1.8 leaves the cgroup alone without systemd");
    let delegated = Delegated::new();
    let b = user.bundle();
    start(&delegated, &user, &b, "leaf");
    let status = || user.call(["state", b.id()]).output().json()["status"].clone();
    user.call(["pause", b.id()]).ok();
    assert_eq!(status(), "paused");
    user.call(["resume", b.id()]).ok();
    assert_eq!(status(), "running");
    user.call(["kill", "--all", b.id(), "KILL"]).ok();
    until("stopped", || (status() == "stopped").then_some(()));
    user.call(["delete", b.id()]).ok();
    assert_eq!(delegated.children(""), ["leaf"]);
}

fn limits_in_a_delegated_cgroup() {
    let user = SecondUser::new();
    requires!(cgroup_v2, controller("pids"), controller("memory"));
    differs!(Crun, "1.8 leaves the cgroup alone without systemd");
    let delegated = Delegated::new();
    let b = user.bundle().with(|c| {
        c["linux"]["resources"] =
            json!({ "pids": { "limit": 77 }, "memory": { "limit": 64 << 20 } });
    });
    let cgroup = start(&delegated, &user, &b, "leaf");
    let read = |file: &str| fs::read_to_string(cgroup.join(file)).unwrap().trim().to_owned();
    assert_eq!((read("pids.max").as_str(), read("memory.max").as_str()), ("77", "67108864"));
    user.call(["update", "--pids-limit", "88", b.id()]).ok();
    assert_eq!(read("pids.max"), "88");
    let stats = user.call(["events", "--stats", b.id()]).output();
    assert_eq!(stats.json()["data"]["pids"]["current"], 1, "{}", stats.stdout());
    user.call(["delete", "--force", b.id()]).ok();
    assert_eq!(delegated.children(""), ["leaf"]);
}

/// cgroups(7), "the no internal processes rule": a cgroup with the caller's processes cannot hand
/// controllers down, so a limit below it cannot be.
fn limits_beside_the_callers_processes_are_refused() {
    let user = SecondUser::new();
    requires!(cgroup_v2, controller("pids"));
    differs!(Crun, "1.8 runs without the limits");
    let delegated = Delegated::new();
    let b = user.bundle().with(|c| c["linux"]["resources"] = json!({ "pids": { "limit": 77 } }));
    let b = b.change(|b| b.args(&["/probe", "true"]));
    b.bundle().write();
    for file in ["", "cgroup.procs", "cgroup.subtree_control"] {
        chown(delegated.at.join(file), Some(0), Some(0)).unwrap();
    }
    let args = ["run", "--bundle", b.path(), b.id()];
    let output = delegated.call(&user, "leaf", &args).output();
    output.assert_fails();
    if runtime() == Runtime::Rt {
        output.assert_stderr_has(
            "linux.resources.pids.limit: the pids controller is not enabled in ",
        );
        output.assert_stderr_has("none of which may hold processes");
    }
    assert_eq!(delegated.children("leaf"), Vec::<String>::new());
}

/// With a cgroup namespace it is the root of what is mounted, without one it alone is bound; the
/// other cgroups of the same owner are not to be seen.
fn container_sees_only_its_own_cgroup() {
    let user = SecondUser::new();
    requires!(cgroup_v2);
    if runtime() != Runtime::Rt {
        skip!("shows the tree of the host");
    }
    let delegated = Delegated::new();
    for namespaced in [true, false] {
        let mut b = user.bundle().with(|c| {
            let entry = runtime_tests::config::mount("/sys/fs/cgroup", "cgroup", "cgroup", &["rw"]);
            c["mounts"].as_array_mut().unwrap().push(entry);
        });
        if !namespaced {
            b = b.change(|b| b.without_namespace("cgroup"));
        }
        let b = b.change(|b| {
            b.args(&[
                "/probe",
                "ls",
                "/sys/fs/cgroup/leaf",
                "--",
                "cat",
                "/sys/fs/cgroup/cgroup.procs",
                "--",
                "mkdir",
                "/sys/fs/cgroup/mine",
                "--",
                "write",
                "/sys/fs/cgroup/mine/cgroup.procs",
                "0",
            ])
        });
        b.bundle().write();
        let output = delegated.call(&user, "leaf", &["run", "--bundle", b.path(), b.id()]).output();
        assert_eq!(output.stdout(), "ENOENT\n1\n", "{}", output.stderr());
    }
    assert_eq!(delegated.children(""), ["leaf"]);
}
