//! Rootless: the runtime itself runs as an ordinary user and makes its own user namespace.
//!
//! The runner's user mode is another thing: there the runtime is root of a namespace that is there.

use std::os::unix::fs::chown;
use std::path::PathBuf;

use runtime_tests::prelude::*;

tests![
    spec_rootless_runs_as_an_ordinary_user,
    rootless_life_cycle_and_exec,
    rootless_state_is_below_the_runtime_directory,
    rootless_container_root_is_the_user,
    rootless_cannot_use_other_ids_without_subuids,
    rootless_needs_a_user_namespace,
];

const UID: u32 = 1000;

/// A bundle made by `spec --rootless` of an ordinary user, and the calls which that user makes.
struct User {
    bundle: Bundle,
    runtime_dir: PathBuf,
}

impl User {
    fn new() -> Self {
        requires!(root, program("/usr/bin/setpriv"));
        let runtime_dir = scratch().join("user");
        std::fs::create_dir_all(&runtime_dir).unwrap();
        chown(&runtime_dir, Some(UID), Some(UID)).unwrap();
        let bundle = Bundle::new();
        for at in [bundle.dir().to_owned(), bundle.rootfs()] {
            chown(at, Some(UID), Some(UID)).unwrap();
        }
        let user = Self { bundle, runtime_dir };
        user.call(&["spec", "--rootless", "--bundle", user.bundle.dir().to_str().unwrap()]).ok();
        let text = std::fs::read(user.bundle.dir().join("config.json")).unwrap();
        let mut config: Value = serde_json::from_slice(&text).unwrap();
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["/probe", "sleep", "60"]);
        let Self { bundle, runtime_dir } = user;
        Self { bundle: bundle.with(|c| *c = config), runtime_dir }
    }

    fn call(&self, args: &[&str]) -> Call {
        let ids = [format!("--reuid={UID}"), format!("--regid={UID}")];
        let drop = ["/usr/bin/setpriv", &ids[0], &ids[1], "--clear-groups"];
        Call::plain(args)
            .through(drop)
            .env("XDG_RUNTIME_DIR", self.runtime_dir.to_str().unwrap())
            .cwd(&self.runtime_dir)
    }

    /// `rt run` of this user with these arguments for the payload.
    fn run(mut self, args: &[&str]) -> Output {
        self.bundle = self.bundle.args(args);
        self.bundle.write();
        self.call(&["run", "--bundle", self.bundle.dir().to_str().unwrap(), self.bundle.id()])
            .output()
    }
}

fn spec_rootless_runs_as_an_ordinary_user() {
    User::new()
        .run(&["/probe", "echo", "ran", "--", "exit", "7"])
        .assert_exit(7)
        .assert_says("ran");
}

fn rootless_life_cycle_and_exec() {
    let user = User::new();
    user.bundle.write();
    let id = user.bundle.id();
    user.call(&["create", "--bundle", user.bundle.dir().to_str().unwrap(), id])
        .output()
        .assert_exit(0);
    user.call(&["start", id]).ok();
    assert_eq!(user.call(&["state", id]).output().json()["status"], "running");
    user.call(&["exec", id, "/probe", "exit", "9"]).output().assert_exit(9);
    user.call(&["kill", id, "KILL"]).ok();
    until("stopped", || {
        (user.call(&["state", id]).output().json()["status"] == "stopped").then_some(())
    });
    user.call(&["delete", id]).ok();
}

fn rootless_state_is_below_the_runtime_directory() {
    let user = User::new();
    user.bundle.write();
    let id = user.bundle.id();
    user.call(&["run", "--detach", "--bundle", user.bundle.dir().to_str().unwrap(), id])
        .output()
        .assert_exit(0);
    let listed: Vec<_> = std::fs::read_dir(&user.runtime_dir).unwrap().flatten().collect();
    assert_eq!(listed.len(), 1, "one directory of the runtime: {listed:?}");
    assert!(listed[0].path().join(id).is_dir(), "{listed:?}");
    user.call(&["delete", "--force", id]).ok();
}

fn rootless_container_root_is_the_user() {
    let user = User::new();
    let made = user.bundle.inside("/tmp/made");
    chown(user.bundle.inside("/tmp"), Some(UID), Some(UID)).unwrap();
    let user = User { bundle: user.bundle.with(|c| c["root"]["readonly"] = json!(false)), ..user };
    let output = user.run(&["/probe", "id", "--", "write", "/tmp/made", "x"]);
    output.assert_exit(0);
    assert!(output.stdout().starts_with("uid=0,0,0 gid=0,0,0"), "{}", output.stdout());
    let owner = std::fs::metadata(made).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&owner), UID);
}

fn rootless_cannot_use_other_ids_without_subuids() {
    let user = User::new();
    let bundle = user.bundle.with(|c| {
        c["linux"]["uidMappings"] = json!([{ "containerID": 0, "hostID": 0, "size": 1 }]);
    });
    User { bundle, ..user }.run(&["/probe", "true"]).assert_fails();
}

/// Refused, or made all the same as crun does; never the caller's own.
fn rootless_needs_a_user_namespace() {
    let user = User::new();
    let bundle = user.bundle.without_namespace("user").with(|c| {
        let linux = c["linux"].as_object_mut().unwrap();
        linux.remove("uidMappings");
        linux.remove("gidMappings");
    });
    let output = User { bundle, runtime_dir: user.runtime_dir }.run(&["/probe", "ns"]);
    if output.code == 0 {
        let own = std::fs::read_link("/proc/self/ns/user").unwrap();
        assert!(!output.stdout().contains(own.to_str().unwrap()), "{}", output.stdout());
    } else {
        output.assert_fails();
    }
}
