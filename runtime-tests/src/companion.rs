//! Calling `bundles`, with a home of the test's own; what it runs is run by the runtime under test.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;
use serde_json::Value;

use crate::bundle::Bundle;
use crate::call::Call;
use crate::isolate::scratch;
use crate::poll::until;
use crate::requires;
use crate::runtime::{Runtime, runtime};
use crate::second_user::{SecondUser, UID};

/// From `--bundles`.
pub fn program() -> Option<PathBuf> {
    std::env::var_os("RT_TEST_BUNDLES").map(PathBuf::from)
}

/// Whether it needs no libraries, as a release does: a debug build may.
pub fn is_static() -> bool {
    let bytes = std::fs::read(program().unwrap_or_default()).unwrap_or_default();
    !bytes.windows(9).any(|window| window == b"/ld-linux")
}

/// Where it keeps everything.
pub fn home() -> PathBuf {
    scratch().join("home")
}

/// A call of the companion.
pub fn bundles<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Call {
    bundles_of(&home()).args(args)
}

/// The same with another home.
pub fn bundles_of(home: &Path) -> Call {
    requires!(companion);
    let program = program().expect("required above");
    Call::of(program, ["--root".as_ref(), home.as_os_str()])
}

/// A call of the companion by another name, as by a symlink that somebody has made.
pub fn called(name: &str, args: &[&str]) -> Call {
    requires!(companion);
    let link = scratch().join(name);
    if !link.exists() {
        std::os::unix::fs::symlink(program().expect("required above"), &link).expect("symlink");
    }
    Call::of(link, args)
}

/// A call of the companion by the second user, with the home that is usual for him.
pub fn bundles_as<S: AsRef<OsStr>>(user: &SecondUser, args: impl IntoIterator<Item = S>) -> Call {
    requires!(companion);
    let program = program().expect("required above");
    let ids = [format!("--reuid={UID}"), format!("--regid={UID}")];
    let words = ["/usr/bin/setpriv", &ids[0], &ids[1], "--clear-groups"];
    let share = user.directory("share");
    Call::of(program, args)
        .through(words)
        .cwd(user.dir())
        .env("XDG_DATA_HOME", share.to_str().expect("UTF-8"))
}

/// Programs that the scripts of these tests call.
const APPLETS: &[&str] = &[
    "cat", "date", "echo", "false", "grep", "head", "hostname", "httpd", "id", "ip", "ls", "mount",
    "ping", "ps", "readlink", "sh", "sleep", "stty", "touch", "true", "unshare", "wc",
];

/// Flags in front of a command: the runtime under test, and a root file system.
pub struct Root {
    pub rootfs: PathBuf,
}

impl Default for Root {
    fn default() -> Self {
        Self::new()
    }
}

impl Root {
    pub fn new() -> Self {
        requires!(root, companion, busybox);
        // Of the bridge that containers are on.
        requires!(program("/usr/sbin/nft"));
        // It raises a limit before it loads a device filter.
        if runtime() == Runtime::Crun {
            requires!(capability(24, "CAP_SYS_RESOURCE"));
        }
        let root = Self { rootfs: Bundle::new().with_busybox().rootfs() };
        for name in APPLETS {
            let made = std::os::unix::fs::symlink("busybox", root.rootfs.join("bin").join(name));
            made.or_else(
                |err| if err.kind() == ErrorKind::AlreadyExists { Ok(()) } else { Err(err) },
            )
            .expect("an applet");
        }
        fs::write(
            root.rootfs.join("etc/passwd"),
            "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:\n",
        )
        .expect("passwd");
        root
    }

    pub fn call(&self, command: &[&str], flags: &[&str], args: &[&str]) -> Call {
        let runtime = crate::runtime::path();
        let rootfs = self.rootfs.as_os_str();
        let call = bundles(command).arg("--runtime").arg(runtime).arg("--rootfs").arg(rootfs);
        call.args(flags).args(args)
    }

    /// A container that is removed when it ends.
    pub fn run(&self, flags: &[&str], args: &[&str]) -> Call {
        self.call(&["run", "--rm"], flags, args)
    }

    /// One that is left to itself; returns its id.
    pub fn detached(&self, name: &str, args: &[&str]) -> String {
        self.call(&["run", "-d", "--name", name], &[], args).ok().trim().to_owned()
    }
}

/// Nothing of any container is left: no files, no runtime state, no cgroup, no process.
pub fn assert_nothing_is_left() {
    for dir in [home().join("containers"), home().join("tmp"), PathBuf::from("/run/bundles")] {
        let left = || fs::read_dir(&dir).map(|list| list.flatten().map(|e| e.path()).collect());
        let left: Vec<PathBuf> = left().unwrap_or_default();
        assert!(left.is_empty(), "{left:?}");
    }
    let names = ["bundles-monitor", "bundles-keeper"];
    let none = || names.iter().all(|name| processes(name).is_empty());
    until("the monitors end", || none().then_some(()));
}

/// Those whose command line begins so.
pub fn processes(name: &str) -> Vec<Pid> {
    let is_called = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(name.as_bytes())
    };
    let found = crate::leaks::pids().into_iter().filter(is_called);
    found.map(|pid| Pid::from_raw(i32::try_from(pid).expect("a pid"))).collect()
}

/// What `inspect` says of one thing.
pub fn inspect(name: &str) -> Value {
    let text = bundles(["inspect", name]).ok();
    serde_json::from_str::<Value>(&text).expect("JSON")[0].clone()
}

/// The pid of the monitor, from the record.
pub fn monitor(id: &str) -> Pid {
    let text = fs::read(home().join("containers").join(id).join("container.json")).expect("record");
    let record: Value = serde_json::from_slice(&text).expect("JSON");
    let pid = record["state"]["monitor"]["pid"].as_i64().expect("a pid");
    Pid::from_raw(i32::try_from(pid).expect("a pid"))
}
