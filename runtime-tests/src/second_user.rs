//! A real second user of the machine: root makes him for one test, in the test's mount namespace.
//!
//! Not the runner's user mode, where the runtime is root of a namespace that is there already: here
//! the runtime is started by uid 4242 without any privilege, and what it gets beyond that comes from
//! the host's setuid newuidmap and newgidmap.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::call::{Call, Output};
use crate::hostmount::HostMount;
use crate::isolate::scratch;
use crate::requires;

/// His user and group id.
pub const UID: u32 = 4242;
/// His name, by which the ranges go.
pub const NAME: &str = "tester";
/// The range of uids and gids that [`SecondUser::with_ranges`] gives.
pub const RANGE: (u32, u32) = (300_000, 65536);

/// Lasts as long as the test.
#[derive(Debug)]
pub struct SecondUser {
    dir: PathBuf,
    groups: Vec<u32>,
    env: Vec<(String, String)>,
    without: Vec<String>,
    _etc: Vec<HostMount>,
}

impl SecondUser {
    /// No ranges.
    pub fn new() -> Self {
        Self::with("", "")
    }

    /// [`RANGE`] of both kinds, and the helpers to use it.
    pub fn with_ranges() -> Self {
        requires!(program("/usr/bin/newuidmap"), program("/usr/bin/newgidmap"));
        let line = format!("{NAME}:{}:{}\n", RANGE.0, RANGE.1);
        Self::with(&line, &line)
    }

    /// With these texts as /etc/subuid and /etc/subgid.
    pub fn with(subuid: &str, subgid: &str) -> Self {
        requires!(root, program("/usr/bin/setpriv"));
        requires!(program("/etc/subuid"), program("/etc/subgid"));
        let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
        let line = format!("{NAME}:x:{UID}:{UID}::/nonexistent:/bin/sh\n");
        let texts = [
            ("/etc/passwd", passwd + &line),
            ("/etc/subuid", subuid.to_owned()),
            ("/etc/subgid", subgid.to_owned()),
        ];
        let etc = texts.map(|(at, text)| {
            let file = scratch().join(at.replace('/', "-"));
            fs::write(&file, text).expect("write");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("chmod");
            HostMount::bind(&file, Path::new(at))
        });
        let dir = scratch().join("user");
        fs::create_dir(&dir).expect("make the user's directory");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("chmod");
        give(&dir);
        let env = vec![("XDG_RUNTIME_DIR".to_owned(), dir.to_str().expect("UTF-8").to_owned())];
        Self { dir, groups: Vec::new(), env, without: Vec::new(), _etc: etc.into() }
    }

    /// Supplementary groups.
    #[must_use]
    pub fn groups(mut self, groups: &[u32]) -> Self {
        self.groups = groups.to_vec();
        self
    }

    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.retain(|(k, _)| k != key);
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn without_env(mut self, key: &str) -> Self {
        self.env.retain(|(k, _)| k != key);
        self.without.push(key.to_owned());
        self
    }

    /// His `XDG_RUNTIME_DIR`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A directory of his.
    pub fn directory(&self, name: &str) -> PathBuf {
        let dir = self.dir.join(name);
        fs::create_dir_all(&dir).expect("mkdir");
        give(&dir);
        dir
    }

    /// A call of the runtime by him.
    pub fn call<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Call {
        self.call_under(&[], args)
    }

    /// The same with another program in between, such as `sh -c`.
    pub fn call_under<S: AsRef<OsStr>>(
        &self,
        under: &[&str],
        args: impl IntoIterator<Item = S>,
    ) -> Call {
        let groups: Vec<String> = self.groups.iter().map(u32::to_string).collect();
        let groups = match groups.as_slice() {
            [] => "--clear-groups".to_owned(),
            some => format!("--groups={}", some.join(",")),
        };
        let ids = [format!("--reuid={UID}"), format!("--regid={UID}")];
        let mut words: Vec<&str> = vec!["/usr/bin/setpriv", &ids[0], &ids[1], &groups];
        words.push("/usr/bin/env");
        for name in &self.without {
            words.extend(["-u", name]);
        }
        words.extend(under);
        let call = Call::plain(args).through(words).cwd(&self.dir);
        self.env.iter().fold(call, |call, (key, value)| call.env(key, value))
    }

    /// A call of any program, by him.
    pub fn through(&self, call: Call) -> Call {
        let ids = [format!("--reuid={UID}"), format!("--regid={UID}")];
        let call = call.through(["/usr/bin/setpriv", &ids[0], &ids[1], "--clear-groups"]);
        self.env.iter().fold(call.cwd(&self.dir), |call, (key, value)| call.env(key, value))
    }

    /// The same after another program of root's, which becomes the rest.
    pub fn call_after<S: AsRef<OsStr>>(
        &self,
        before: &[&str],
        args: impl IntoIterator<Item = S>,
    ) -> Call {
        let ids = [format!("--reuid={UID}"), format!("--regid={UID}")];
        let drop = ["/usr/bin/setpriv", &ids[0], &ids[1], "--clear-groups"];
        let words = before.iter().copied().chain(drop);
        let call = Call::plain(args).through(words).cwd(&self.dir);
        self.env.iter().fold(call, |call, (key, value)| call.env(key, value))
    }

    /// A bundle of his, with the config that `spec --rootless` gives him, without a terminal.
    pub fn bundle(&self) -> UserBundle<'_> {
        let bundle = own(Bundle::new());
        let at = bundle.dir().to_str().expect("UTF-8").to_owned();
        self.call(["spec", "--rootless", "--bundle", &at]).ok();
        let text = fs::read(bundle.dir().join("config.json")).expect("config.json");
        let mut config: Value = serde_json::from_slice(&text).expect("JSON");
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["/probe", "sleep", "60"]);
        config["root"]["readonly"] = json!(false);
        UserBundle { user: self, bundle: bundle.with(|c| *c = config) }
    }

    /// A bundle of his with the tests' own small config, which has no user namespace.
    pub fn plain_bundle(&self) -> UserBundle<'_> {
        let bundle = own(Bundle::new()).args(&["/probe", "sleep", "60"]);
        let bundle = bundle.with(|c| {
            c["linux"].as_object_mut().expect("linux").remove("cgroupsPath");
        });
        UserBundle { user: self, bundle }
    }
}

impl Default for SecondUser {
    fn default() -> Self {
        Self::new()
    }
}

/// A bundle of the second user, for calls by him.
#[derive(Debug)]
pub struct UserBundle<'a> {
    user: &'a SecondUser,
    bundle: Bundle,
}

impl UserBundle<'_> {
    #[must_use]
    pub fn with(self, change: impl FnOnce(&mut Value)) -> Self {
        self.change(|bundle| bundle.with(change))
    }

    /// Any change that [`Bundle`] knows.
    #[must_use]
    pub fn change(self, change: impl FnOnce(Bundle) -> Bundle) -> Self {
        Self { user: self.user, bundle: change(self.bundle) }
    }

    /// New mappings, as `(container, host, size)`.
    #[must_use]
    pub fn maps(self, uids: &[(u32, u32, u32)], gids: &[(u32, u32, u32)]) -> Self {
        let list = |maps: &[(u32, u32, u32)]| {
            let map =
                |(c, h, n): &(u32, u32, u32)| json!({ "containerID": c, "hostID": h, "size": n });
            Value::Array(maps.iter().map(map).collect())
        };
        let (uids, gids) = (list(uids), list(gids));
        self.change(|b| b.namespace("user", None)).with(|c| {
            c["linux"]["uidMappings"] = uids;
            c["linux"]["gidMappings"] = gids;
        })
    }

    pub fn id(&self) -> &str {
        self.bundle.id()
    }

    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    pub fn path(&self) -> &str {
        self.bundle.dir().to_str().expect("UTF-8")
    }

    /// `run` with options before it.
    pub fn run_call(&self, globals: &[&str]) -> Call {
        self.bundle.write();
        self.user.call(["run", "--bundle", self.path(), self.id()]).global(globals)
    }

    /// `run` in the foreground with these arguments.
    pub fn run(self, args: &[&str]) -> Output {
        let it = self.change(|b| b.args(args));
        it.run_call(&[]).output()
    }

    /// Created and started.
    pub fn start(self, args: &[&str]) -> UserContainer {
        let it = self.change(|b| b.args(args));
        it.bundle.write();
        let created = it.user.call(["create", "--bundle", it.path(), it.id()]).output();
        created.assert_exit(0);
        let container = UserContainer { id: it.id().to_owned(), env: it.user.env.clone(), created };
        container.call(&["start"]).output().assert_exit(0);
        container
    }
}

/// A running container of the second user.
#[derive(Debug)]
pub struct UserContainer {
    id: String,
    env: Vec<(String, String)>,
    created: Output,
}

impl UserContainer {
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `rt VERB... ID` by him.
    pub fn call(&self, verb: &[&str]) -> Call {
        let ids = [format!("--reuid={UID}"), format!("--regid={UID}")];
        let call = Call::plain(verb).arg(&self.id);
        let call = call.through(["/usr/bin/setpriv", &ids[0], &ids[1], "--clear-groups"]);
        self.env.iter().fold(call.cwd(&scratch()), |call, (key, value)| call.env(key, value))
    }

    pub fn exec(&self, args: &[&str]) -> Output {
        self.call(&["exec"]).args(args).output()
    }

    /// What the payload has written so far.
    pub fn stdout(&self) -> String {
        self.created.stdout()
    }

    pub fn state(&self) -> Value {
        let output = self.call(&["state"]).output();
        output.assert_exit(0);
        output.json()
    }

    /// The host's pid of the first process.
    pub fn pid(&self) -> i64 {
        self.state()["pid"].as_i64().expect("pid")
    }

    pub fn delete(&self) {
        self.call(&["delete", "--force"]).output().assert_exit(0);
    }
}

impl Drop for UserContainer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("  output of the container: {:?}", self.stdout());
        }
        let gone = self.call(&["delete", "--force"]).output();
        drop(gone);
    }
}

/// The second user's, with the directories of the root file system.
fn own(bundle: Bundle) -> Bundle {
    give(bundle.dir());
    give(&bundle.rootfs());
    for entry in fs::read_dir(bundle.rootfs()).expect("rootfs").flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            give(&entry.path());
        }
    }
    bundle
}

fn give(path: &Path) {
    chown(path, Some(UID), Some(UID)).expect("chown");
}
