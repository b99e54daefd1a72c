use super::*;
use crate::cli::{self, Command};

pub(super) fn facts() -> Facts<'static> {
    Facts {
        id: "0123456789abcdef",
        rootfs: Path::new("/r"),
        network: true,
        hostname: "0123456789ab".into(),
        etc: vec!["/c/hosts".into()],
        mounts: vec![],
        recursive_read_only: true,
        user: User { home: Some("/root".into()), ..User::default() },
        ids: None,
        controllers: None,
        capabilities: (1 << 41) - 1,
        privileged: false,
        env: vec![],
        devices: vec![],
        throttles: vec![],
        init: None,
        seccomp: None,
    }
}

fn flags(words: &[&str]) -> Create {
    let start = ["bundles", "create", "--rootfs", "/r"];
    let args = start.iter().chain(words).map(std::ffi::OsString::from).collect();
    let Command::Create(flags) = cli::parse(args).unwrap().command else {
        panic!("another command")
    };
    *flags
}

fn image(change: impl FnOnce(&mut image::Config)) -> image::Config {
    let mut image = image::Config::default();
    change(&mut image);
    image
}

fn made_with(words: &[&str], image: &image::Config, facts: &Facts<'_>) -> Result<Value> {
    make(&flags(words), image, facts).map(|spec| serde_json::to_value(spec).unwrap())
}

fn made(words: &[&str]) -> Value {
    made_with(words, &image::Config::default(), &facts()).unwrap()
}

fn error(words: &[&str]) -> String {
    let err = made_with(words, &image::Config::default(), &facts()).unwrap_err();
    crate::error::chain(&err)
}

#[test]
fn entry_point_and_command() {
    let hello = image(|i| {
        i.set_entrypoint(Some(vec!["/bin/echo".into(), "Hello".into()]));
        i.set_cmd(Some(vec!["World".into()]));
    });
    let args = |words: &[&str]| arguments(&flags(words), &hello).unwrap().join(" ");
    assert_eq!(args(&[]), "/bin/echo Hello World");
    assert_eq!(args(&["aaa"]), "/bin/echo Hello aaa");
    assert_eq!(args(&["--entrypoint", "ls"]), "ls");
    assert_eq!(args(&["--entrypoint", "ls", "--", "-l"]), "ls -l");
    assert_eq!(args(&["--entrypoint", "", "sh", "-c", "x"]), "sh -c x");
    assert_eq!(error(&[]), "no command");
}

#[test]
fn options_end_at_the_command() {
    let spec = made(&["ls", "-h", "--name", "x"]);
    assert_eq!(spec["process"]["args"], json!(["ls", "-h", "--name", "x"]));
    assert_eq!(made(&["-h", "lb01", "ls"])["process"]["args"], json!(["ls"]));
}

#[test]
fn environment_has_an_order() {
    let image = image(|i| {
        i.set_env(Some(vec!["PATH=/image".into(), "A=1".into()]));
    });
    let facts = Facts { env: vec!["A=2".into(), "B=3".into()], ..facts() };
    let spec = made_with(&["-t", "x"], &image, &facts).unwrap();
    let wanted = ["PATH=/image", "HOSTNAME=0123456789ab", "TERM=xterm", "HOME=/root", "A=2", "B=3"];
    assert_eq!(spec["process"]["env"], json!(wanted));
}

#[test]
fn only_root_has_active_capabilities() {
    let user = User { uid: 1000, ..User::default() };
    let spec = made_with(&["x"], &image::Config::default(), &Facts { user, ..facts() }).unwrap();
    let set = &spec["process"]["capabilities"];
    assert_eq!(set["bounding"].as_array().unwrap().len(), 14);
    assert_eq!(set["effective"], json!([]));
    let of_root = made(&["x"])["process"]["capabilities"]["effective"].clone();
    assert_eq!(of_root.as_array().unwrap().len(), 14);
}

#[test]
fn privileged_has_no_masks_and_no_filter() {
    let facts = Facts { privileged: true, ..facts() };
    let spec = made_with(&["--privileged", "x"], &image::Config::default(), &facts).unwrap();
    assert_eq!(spec["linux"].get("maskedPaths"), None);
    assert_eq!(spec["linux"].get("seccomp"), None);
    assert_eq!(spec["linux"]["resources"]["devices"][0]["allow"], true);
    let usual = made(&["x"]);
    assert!(usual["linux"]["maskedPaths"].as_array().unwrap().len() > 9);
    assert_eq!(usual["linux"]["seccomp"]["defaultAction"], "SCMP_ACT_ERRNO");
}

#[test]
fn security_options() {
    let spec =
        made(&["--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined", "x"]);
    assert_eq!(spec["process"]["noNewPrivileges"], true);
    assert_eq!(spec["linux"].get("seccomp"), None);
    assert_eq!(error(&["--security-opt", "no", "x"]), "--security-opt no: unknown");
}

#[test]
fn limits_become_resources() {
    let spec =
        made(&["-m", "64m", "--cpus", "0.5", "--pids-limit", "9", "--cpuset-cpus", "0", "x"]);
    let resources = &spec["linux"]["resources"];
    assert_eq!(resources["memory"]["limit"], 67_108_864);
    assert_eq!(resources["cpu"]["quota"], 50_000);
    assert_eq!(resources["cpu"]["cpus"], "0");
    assert_eq!(resources["pids"]["limit"], 9);
}

#[test]
fn devices_are_made_and_allowed() {
    let device = Device {
        host: "/dev/fuse".into(),
        path: "/dev/f".into(),
        kind: "c",
        number: (10, 229),
        mode: 0o666,
        uid: 0,
        gid: 5,
        access: "rw".into(),
    };
    let root = Facts { devices: vec![device.clone()], ..facts() };
    let spec = made_with(&["x"], &image::Config::default(), &root).unwrap();
    assert_eq!(spec["linux"]["devices"][0]["minor"], 229);
    assert_eq!(spec["linux"]["resources"]["devices"][1]["access"], "rw");
    let user = Facts { devices: vec![device], ids: Some(1), ..facts() };
    let spec = made_with(&["x"], &image::Config::default(), &user).unwrap();
    let mounts = spec["mounts"].as_array().unwrap();
    assert!(mounts.iter().any(|m| m["destination"] == "/dev/f" && m["source"] == "/dev/fuse"));
}

#[test]
fn ordinary_user_has_less() {
    let spec = |words: &[&str]| {
        let facts = Facts { ids: Some(1), network: false, ..facts() };
        made_with(words, &image::Config::default(), &facts).unwrap()
    };
    let plain = spec(&["x"]);
    assert_eq!(plain["linux"].get("cgroupsPath"), None);
    let sys = plain["mounts"].as_array().unwrap().iter().find(|m| m["destination"] == "/sys");
    assert_eq!(sys.unwrap()["options"][0], "rbind");
    assert!(!plain.to_string().contains("gid=5"));
    let limited = spec(&["-m", "1g", "--cgroup-parent", "mine", "x"]);
    assert_eq!(limited["linux"]["cgroupsPath"], "/mine/0123456789abcdef");
}

#[test]
fn limits_without_controllers_are_left_out() {
    let words = ["-m", "1g", "--cpus", "2", "--cpuset-cpus", "0", "--pids-limit", "5", "x"];
    let with = |controllers: &[&str]| {
        let controllers = controllers.iter().map(|name| (*name).to_owned()).collect();
        let facts = Facts { ids: Some(1), controllers: Some(controllers), ..facts() };
        let spec = made_with(&words, &image::Config::default(), &facts).unwrap();
        let ignored = ignored(&flags(&words).limits, &facts).unwrap();
        (spec["linux"]["resources"].clone(), ignored)
    };
    assert_eq!(with(&["memory", "cpu", "cpuset", "pids"]).1, [""; 0]);
    let (some, ignored) = with(&["memory", "cpu"]);
    assert_eq!(ignored, ["cpuset", "pids"]);
    assert_eq!(some["cpu"], json!({ "quota": 200_000, "period": 100_000 }));
    assert_eq!(some["memory"]["limit"], 1 << 30);
    assert_eq!(some.get("pids"), None);
    assert_eq!(with(&[]), (json!({}), vec!["memory", "cpu", "cpuset", "pids"]));
}

#[test]
fn networks() {
    let has = |network: bool| {
        let facts = Facts { network, ..facts() };
        let spec = made_with(&["x"], &image::Config::default(), &facts).unwrap();
        let namespaces = spec["linux"]["namespaces"].clone();
        namespaces.as_array().unwrap().contains(&json!({ "type": "network" }))
    };
    assert!(has(true) && !has(false));
}

#[test]
fn other_flags_arrive() {
    let spec =
        made(&["--read-only", "-w", "/srv", "--sysctl", "net.a=1", "--ulimit", "nofile=5:6", "x"]);
    assert_eq!(spec["root"]["readonly"], true);
    assert_eq!(spec["process"]["cwd"], "/srv");
    assert_eq!(spec["linux"]["sysctl"]["net.a"], "1");
    assert_eq!(
        spec["process"]["rlimits"][0],
        json!({ "type": "RLIMIT_NOFILE", "soft": 5, "hard": 6 })
    );
    assert_eq!(error(&["-w", "srv", "x"]), "-w srv: not an absolute path");
    assert_eq!(error(&["--sysctl", "a", "x"]), "--sysctl a: no value");
}
