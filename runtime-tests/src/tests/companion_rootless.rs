//! Containers of an ordinary user when something goes wrong, with and without ranges of ids.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use runtime_tests::companion::{Root, bundles_as, processes};
use runtime_tests::prelude::*;
use runtime_tests::second_user::SecondUser;

tests![
    companion_killed_monitor_of_an_ordinary_user,
    companion_killed_monitor_of_an_ordinary_user_with_ranges,
];

/// A user with a root file system, and the flags that name it and the runtime.
struct Someone {
    user: SecondUser,
    root: Root,
}

impl Someone {
    fn new(user: SecondUser) -> Self {
        Self { user, root: Root::new() }
    }

    fn call(&self, words: &[&str]) -> Call {
        bundles_as(&self.user, words)
    }

    /// `run` or `create`.
    fn make(&self, words: &[&str], args: &[&str]) -> Call {
        let runtime = runtime_tests::runtime::path().to_str().expect("UTF-8");
        let rootfs = self.root.rootfs.to_str().expect("UTF-8");
        self.call(words).args(["--runtime", runtime, "--rootfs", rootfs]).args(args)
    }

    fn containers(&self) -> PathBuf {
        self.user.directory("share").join("bundles/containers")
    }

    /// The pid of a container's monitor, from the record.
    fn monitor(&self, id: &str) -> Pid {
        let record = fs::read(self.containers().join(id).join("container.json")).expect("record");
        let record: Value = serde_json::from_slice(&record).expect("JSON");
        let pid = record["state"]["monitor"]["pid"].as_i64().expect("a pid");
        Pid::from_raw(i32::try_from(pid).expect("a pid"))
    }

    fn status(&self, name: &str) -> String {
        self.call(&["inspect", "-f", "{{.State.Status}}", name]).ok().trim().to_owned()
    }
}

fn end(pid: Pid) {
    kill(pid, Signal::SIGKILL).expect("kill");
    until("the end of a monitor", || (!processes("bundles-monitor").contains(&pid)).then_some(()));
}

/// Whichever command comes next, it tells the truth, and the container has a monitor again.
fn killed_monitor(user: SecondUser) {
    let someone = Someone::new(user);
    let script = "trap 'exit 0' TERM; while :; do echo tick; sleep 0.05; done";
    let run = ["run", "-d", "--name", "c1", "-p", "8080:80"];
    let id = someone.make(&run, &["sh", "-c", script]).ok().trim().to_owned();
    for (words, seen) in [
        (&["ps", "--format", "{{.Names}} {{.State}}"][..], "c1 running"),
        (&["logs", "--tail", "1", "c1"], "tick"),
        (&["inspect", "-f", "{{.State.Running}}", "c1"], "true"),
        (&["port", "c1", "80"], "0.0.0.0:8080"),
    ] {
        let before = someone.monitor(&id);
        end(before);
        let said = someone.call(words).ok();
        assert!(said.contains(seen), "{words:?}: {said}");
        let now = someone.monitor(&id);
        assert!(now != before && processes("bundles-monitor") == [now], "{words:?}: not adopted");
    }
    // Those of whom the log is kept write on; the others have seen nothing of it.
    let lines = || someone.call(&["logs", "c1"]).ok().lines().count();
    let before = lines();
    until("it writes on", || (lines() > before).then_some(()));
    end(someone.monitor(&id));
    let waiting = someone.call(&["wait", "c1"]).spawn();
    until("another monitor", || (!processes("bundles-monitor").is_empty()).then_some(()));
    someone.call(&["stop", "-t", "5", "c1"]).ok();
    let waited = waiting.wait();
    waited.assert_exit(0).assert_stdout("255"); // nobody who has seen it was left
    assert_eq!(someone.status("c1"), "exited");
    someone.call(&["start", "c1"]).ok();
    end(someone.monitor(&id));
    someone.call(&["rm", "-f", "c1"]).ok();
    assert_eq!(fs::read_dir(someone.containers()).expect("containers").count(), 0);
    until("all his processes end", || {
        someone.call(&["network", "prune", "-f"]).ok();
        processes("bundles-").is_empty().then_some(())
    });
}

fn companion_killed_monitor_of_an_ordinary_user() {
    killed_monitor(SecondUser::new());
}

fn companion_killed_monitor_of_an_ordinary_user_with_ranges() {
    killed_monitor(SecondUser::with_ranges());
}
