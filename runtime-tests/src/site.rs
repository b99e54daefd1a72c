//! One user's home of the companion for tests of faults: with an image, a registry that has it, and
//! what there is when all was given back.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::posix_fallocate;
use nix::sys::statvfs::statvfs;
use serde_json::{Value, json};

use crate::archive::{Tar, config, gzip, saved_with};
use crate::call::Call;
use crate::companion::{bundles_as, processes};
use crate::hostmount::HostMount;
use crate::isolate::{scratch, tag};
use crate::poll::until;
use crate::registry::{DOCKER_MANIFEST, Pushed, Server, faultless, loopback, pulling};
use crate::requires;
use crate::runtime::{Runtime, runtime};
use crate::second_user::{SecondUser, UID};

/// What the image has at the place of its volume.
pub const SEEDS: usize = 40;

/// Of a small disk, in bytes.
const DISK: u64 = 24 << 20;
const BALLAST: &str = "ballast";

/// The name of the image in the archive.
pub const IMAGE: &str = "app:1";

#[derive(Debug)]
pub struct Site {
    user: Option<SecondUser>,
    archive: Vec<u8>,
    pushed: Pushed,
    random: Cell<u64>,
}

/// Files and directories with their sizes in bytes, below a home.
pub type Files = BTreeMap<PathBuf, u64>;

impl Site {
    /// Root's.
    pub fn root() -> Self {
        require();
        Self::of(None)
    }

    /// That of an ordinary user with ranges of ids.
    pub fn user() -> Self {
        require();
        Self::of(Some(SecondUser::with_ranges()))
    }

    fn of(user: Option<SecondUser>) -> Self {
        loopback();
        let layers = [programs().bytes(), files().bytes()];
        let mut config = config(&layers);
        config["config"] = json!({ "Env": ["PATH=/bin"], "Cmd": ["sleep", "60"] });
        let archive = saved_with(IMAGE, &layers, &config);
        let parts: Vec<_> = layers.iter().map(|one| (one.as_slice(), gzip(one), ".gzip")).collect();
        let pushed = crate::registry::image(DOCKER_MANIFEST, &parts);
        Self { user, archive, pushed, random: Cell::new(seed()) }
    }

    /// A registry that has the image, under the name that [`Server::name`] gives to [`IMAGE`].
    pub fn registry(&self) -> Server {
        let pushed = self.pushed.clone();
        Server::start(move |request| faultless(&pushed, request))
    }

    /// Where nothing else is but the home: a disk of its own can be mounted there.
    fn disk(&self) -> PathBuf {
        match &self.user {
            Some(user) => user.dir().join("share"),
            None => scratch().join("disk"),
        }
    }

    pub fn home(&self) -> PathBuf {
        self.disk().join("bundles")
    }

    /// A small disk for the home, for as long as the value lives.
    pub fn small_disk(&self) -> HostMount {
        let owner = if self.is_root() { 0 } else { UID };
        let options = format!("size={DISK},mode=700,uid={owner},gid={owner}");
        HostMount::tmpfs(&self.disk(), &options)
    }

    /// Leaves so many bytes free.
    pub fn fill(&self, free: u64) {
        self.empty();
        let disk = statvfs(&self.disk()).expect("statvfs");
        let all = disk.blocks_available() * disk.fragment_size();
        let size = all.saturating_sub(free).cast_signed();
        let file = File::create(self.disk().join(BALLAST)).expect("create");
        if size > 0 {
            posix_fallocate(&file, 0, size).expect("fill the disk");
        }
    }

    /// Gives back what [`Site::fill`] has taken.
    pub fn empty(&self) {
        fs::remove_file(self.disk().join(BALLAST)).ok(); // there may be none
    }

    pub fn is_root(&self) -> bool {
        self.user.is_none()
    }

    /// A call of the companion that sees no settings of the machine.
    pub fn call(&self, words: &[&str]) -> Call {
        let Some(user) = &self.user else {
            return pulling([Path::new("--root"), &self.home()]).args(words);
        };
        let dir = user.dir().to_str().expect("UTF-8");
        let none = scratch().join("no-registries.conf");
        bundles_as(user, words)
            .env("HOME", dir)
            .env("XDG_CONFIG_HOME", dir)
            .env("XDG_RUNTIME_DIR", dir)
            .env("CONTAINERS_REGISTRIES_CONF", none.to_str().expect("UTF-8"))
    }

    pub fn load(&self) -> Call {
        self.call(&["load", "-q"]).stdin(&self.archive)
    }

    /// `run` or `create` of the image under the runtime that is tested.
    pub fn run(&self, command: &[&str], flags: &[&str], args: &[&str]) -> Call {
        let (runtime, parent) = (crate::runtime::path(), format!("/{}", tag()));
        let mut words = command.to_vec();
        words.extend(["--runtime", runtime.to_str().expect("UTF-8")]);
        if self.is_root() {
            words.extend(["--cgroup-parent", &parent]); // the harness looks there
        }
        words.extend(flags);
        words.push(IMAGE);
        words.extend(args);
        self.call(&words)
    }

    /// What `inspect` says of one thing.
    pub fn inspect(&self, kind: &str, name: &str) -> Value {
        let text = self.call(&["inspect", "--type", kind, name]).ok();
        serde_json::from_str::<Value>(&text).expect("JSON")[0].clone()
    }

    /// The words that a command prints, one a line.
    pub fn list(&self, words: &[&str]) -> Vec<String> {
        self.call(words).ok().split_whitespace().map(str::to_owned).collect()
    }

    /// What any command lists can be looked at, and is so.
    pub fn tells_the_truth(&self) {
        for id in self.list(&["ps", "-aq", "--no-trunc"]) {
            // One that is about to end is not always the same to two looks.
            until("what is told is so", || {
                let asked = self.call(&["inspect", "-f", "{{json .State}}", &id]).output();
                if asked.code != 0 && !self.list(&["ps", "-aq", "--no-trunc"]).contains(&id) {
                    return Some(()); // its monitor was to remove it
                }
                let state = asked.assert_exit(0).json();
                let lives = Path::new("/proc").join(state["Pid"].to_string()).join("exe").exists();
                (state["Running"] == lives).then_some(())
            });
        }
        for (kind, words) in [
            ("image", ["images", "-q", "--no-trunc"].as_slice()),
            ("volume", &["volume", "ls", "-q"]),
            ("network", &["network", "ls", "-q"]),
        ] {
            for name in self.list(words) {
                let asked = self.call(&["inspect", "--type", kind, &name]).output();
                // The monitor of a container that was to be removed takes its volumes along.
                assert!(asked.code == 0 || !self.list(words).contains(&name), "{kind} {name}");
            }
        }
        self.call(&["system", "df"]).ok();
    }

    /// Removes all containers, volumes and networks, with the image when it is to go, too.
    pub fn give_back(&self, with_image: bool) {
        let containers = self.list(&["ps", "-aq"]);
        let mut words = vec!["rm", "-f"];
        words.extend(containers.iter().map(String::as_str));
        if words.len() > 2 {
            self.call(&words).ok();
        }
        let prune = if with_image { "-af" } else { "-f" };
        self.call(&["system", "prune", prune, "--volumes"]).ok();
        self.call(&["volume", "prune", "-af"]).ok();
    }

    /// Every file with its size, but for what was noted of events: that is not given back.
    pub fn files(&self) -> Files {
        let (home, mut files) = (self.home(), Files::new());
        let mut todo = vec![home.clone()];
        while let Some(dir) = todo.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                let meta = entry.metadata().expect("stat");
                if meta.is_dir() {
                    todo.push(entry.path());
                }
                let size = if meta.is_dir() { 0 } else { meta.size() };
                let path = entry.path().strip_prefix(&home).expect("below").to_owned();
                if path != Path::new("events") {
                    files.insert(path, size);
                }
            }
        }
        files
    }

    /// What there is when a home has been used for questions only.
    pub fn fresh(&self) -> Files {
        self.tells_the_truth();
        self.give_back(true);
        self.files()
    }

    /// After all was given back: no file, mount, link, rule, namespace, cgroup or process is left.
    pub fn assert_given_back(&self, fresh: &Files) {
        until("all processes end", || {
            let names = ["bundles-", "/usr/bin/pasta"];
            let ended = names.iter().all(|name| processes(name).is_empty());
            if !ended {
                self.call(&["volume", "prune", "-f"]).ok(); // any command lets a holder go
            }
            ended.then_some(())
        });
        assert_eq!(&self.files(), fresh);
        let runtime_state = match &self.user {
            Some(user) => user.dir().join("bundles"),
            None => PathBuf::from("/run/bundles"),
        };
        let left: Vec<_> = fs::read_dir(runtime_state).into_iter().flatten().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        let home = self.home();
        let below = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let below: Vec<_> =
            below.filter(|at| Path::new(at).starts_with(&home) && Path::new(at) != home).collect();
        assert!(below.is_empty(), "{below:?}");
        let links = printed("/usr/sbin/ip", &["-o", "link"]);
        assert_eq!(links.lines().count(), 1, "{links}");
        assert_eq!(printed("/usr/sbin/nft", &["list", "tables"]), "");
        until("the kernel lets the cgroups go", || {
            let all = crate::cgroups::tagged(&tag());
            all.iter().all(|dir| dir.ends_with(tag())).then_some(())
        });
    }

    /// Below a limit, which is not 0.
    pub fn random(&self, limit: u64) -> u64 {
        let mut state = self.random.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.random.set(state);
        state % limit
    }

    /// A random instant of what takes so long, or of a moment after it.
    pub fn instant(&self, usual: Duration) -> Duration {
        let micros = u64::try_from(usual.as_micros()).expect("a short time");
        Duration::from_micros(self.random(micros + micros / 8 + 1))
    }
}

fn require() {
    requires!(root, companion, busybox, program("/usr/sbin/nft"), program("/usr/sbin/ip"));
    if runtime() == Runtime::Crun {
        requires!(capability(24, "CAP_SYS_RESOURCE"));
    }
}

/// How often something is done: from `KILLS`, or so often.
pub fn times(usual: u64) -> u64 {
    std::env::var("KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// From `SEED`, or from the clock. It is printed, so that a failure can be had again.
fn seed() -> u64 {
    let given = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let seed = given.unwrap_or_else(|| u64::from(clock().subsec_nanos()));
    println!("SEED={seed}");
    // No seed is to be all zeros, nor two that are close to begin alike.
    (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

fn programs() -> Tar {
    let busybox = fs::read(crate::bundle::busybox().expect("busybox")).expect("busybox");
    let applets = ["cat", "dd", "echo", "ls", "rm", "sh", "sleep", "touch", "true", "wc"];
    Tar::new()
        .busybox(&busybox, &applets)
        .directory("etc")
        .file("etc/passwd", b"root:x:0:0::/root:/bin/sh\n")
}

fn files() -> Tar {
    let tar = Tar::new().directory("srv");
    (0..SEEDS).fold(tar, |tar, number| tar.file(&format!("srv/{number}"), &[b'x'; 3000]))
}

fn printed(program: &str, args: &[&str]) -> String {
    let output = std::process::Command::new(program).args(args).output().expect("run it");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
