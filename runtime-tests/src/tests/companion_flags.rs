//! Flags of `bundles create` and `run`: what arrives in the container, and what is refused, and how.

use std::fs;

use runtime_tests::app::{call, detached, image, inspect, run};
use runtime_tests::companion::{bundles, home};
use runtime_tests::prelude::*;

tests![
    companion_environment_follows_docker,
    companion_users_and_directories,
    companion_devices_of_the_host,
    companion_privileged_has_all_devices,
    companion_masks_are_chosen,
    companion_namespaces_of_the_host,
    companion_namespaces_of_another_container,
    companion_limits_arrive_in_the_spec,
    companion_shm_and_read_only,
    companion_labels_annotations_and_health,
    companion_refused_flags_say_why,
];

/// config.json of a container of this name.
fn spec(name: &str) -> Value {
    let id = inspect(name)["Id"].as_str().expect("an id").to_owned();
    let file = home().join("containers").join(id).join("config.json");
    serde_json::from_slice(&fs::read(file).expect("config.json")).expect("JSON")
}

/// Makes a container of these flags, and takes it away.
fn spec_of(flags: &[&str]) -> Value {
    call(&["create", "--name", "spec"], flags, &["true"]).ok();
    let spec = spec("spec");
    bundles(["rm", "-v", "spec"]).ok();
    spec
}

fn refused(flags: &[&str], error: &str) {
    run(flags, "true").output().assert_exit(125).assert_stderr_has(error);
}

fn companion_environment_follows_docker() {
    image(|config| config["Env"] = json!(["PATH=/bin", "OF=image", "GONE=yes"]));
    let file = scratch().join("env");
    fs::write(
        &file,
        "\u{feff}# comment\n\n  A=1 # no comment\nB=\"quoted\"\nHERE\nNOT_HERE\nC=\nOF=file\n",
    )
    .expect("write");
    let script = "echo \"$A|$B|$HERE|${NOT_HERE-unset}|${C-unset}|$OF|${GONE-unset}\"";
    let flags = ["--env-file", file.to_str().expect("UTF-8"), "-e", "C=flag=x", "-e", "GONE"];
    call(&["run", "--rm"], &flags, &["sh", "-c", script])
        .env("HERE", "caller")
        .output()
        .assert_stdout("1 # no comment|\"quoted\"|caller|unset|flag=x|file|unset\n");
    fs::write(&file, "A B=1\n").expect("write");
    let flags = ["--env-file", file.to_str().expect("UTF-8")];
    refused(&flags, "\"A B\" is no name of a variable");
    refused(&["--env-file", "/nosuch"], "--env-file /nosuch: No such file");
    refused(&["-e", "=x"], "-e =x: no name");
}

fn companion_users_and_directories() {
    image(|config| {
        config["User"] = json!("web");
        config["WorkingDir"] = json!("/made/by/image");
    });
    run(&[], "id -u; pwd").output().assert_stdout("33\n/made/by/image\n");
    run(&["-w", "/made/by/flag", "-u", "0"], "id -u; pwd; stat -c %u:%a .")
        .output()
        .assert_stdout("0\n/made/by/flag\n0:755\n");
    run(&["--group-add", "77", "-u", "33:5"], "id -g; id -G").output().assert_stdout("5\n5 77\n");
    refused(&["--group-add", "nosuch"], "group nosuch: not in the container's /etc/group");
}

fn companion_devices_of_the_host() {
    image(|_| ());
    let dir = scratch().join("dev");
    fs::create_dir_all(dir.join("sub")).expect("mkdir");
    let made = |name: &str, minor: u64| {
        use nix::sys::stat::{Mode, SFlag, makedev, mknod};
        let mode = Mode::from_bits_truncate(0o640);
        mknod(&dir.join(name), SFlag::S_IFCHR, mode, makedev(1, minor)).expect("mknod");
    };
    made("zero", 5);
    made("sub/null", 3);
    fs::write(dir.join("file"), "").expect("write");
    let at = dir.display();
    let flag = format!("{at}/zero:/dev/nought:r");
    run(&["--device", &flag], "head -c 3 /dev/nought | wc -c; stat -c %t:%T:%a /dev/nought")
        .output()
        .assert_stdout("3\n1:5:640\n");
    let flag = format!("{at}:/dev/all");
    run(&["--device", &flag], "ls -R /dev/all; echo x > /dev/all/sub/null")
        .output()
        .assert_stdout("/dev/all:\nsub\nzero\n\n/dev/all/sub:\nnull\n");
    for (flag, error) in [
        (format!("{at}/file"), "not a device"),
        (format!("{at}/nosuch"), "No such file"),
        (format!("{at}/zero:/dev/x:rx"), "not HOST[:CONTAINER[:rwm]]"),
        ("/proc/sys/net:/dev/x".to_owned(), "no devices are in /proc/sys/net"),
    ] {
        refused(&["--device", &flag], error);
    }
    let rules = spec_of(&["--device-cgroup-rule", "c 189:* rw"])["linux"]["resources"].clone();
    let last = rules["devices"].as_array().expect("a list").last().expect("a rule").clone();
    assert_eq!(last, json!({ "allow": true, "type": "c", "major": 189, "access": "rw" }));
    refused(&["--device-cgroup-rule", "x"], "--device-cgroup-rule x: not TYPE MAJOR:MINOR ACCESS");
}

fn companion_privileged_has_all_devices() {
    image(|_| ());
    let dir = std::path::Path::new("/dev/tests-of-bundles");
    let _dev = HostMount::tmpfs(dir, "");
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};
    let mode = Mode::from_bits_truncate(0o600);
    mknod(&dir.join("own"), SFlag::S_IFCHR, mode, makedev(1, 5)).expect("mknod");
    let script = "head -c 2 /dev/tests-of-bundles/own | wc -c; ls -d /dev/null /dev/pts";
    run(&["--privileged"], script).output().assert_stdout("2\n/dev/null\n/dev/pts\n");
    run(&[], "ls /dev/tests-of-bundles").output().assert_exit(1);
    let spec = spec_of(&["--privileged"]);
    assert_eq!(spec["linux"]["resources"]["devices"], json!([{ "allow": true, "access": "rwm" }]));
    for name in ["maskedPaths", "readonlyPaths", "seccomp"] {
        assert_eq!(spec["linux"].get(name), None, "{name}");
    }
}

fn companion_masks_are_chosen() {
    image(|_| ());
    let paths = |options: &[&str], name: &str| -> Vec<String> {
        let flags: Vec<&str> = options.iter().flat_map(|o| ["--security-opt", *o]).collect();
        let list = spec_of(&flags)["linux"][name].clone();
        serde_json::from_value(list).unwrap_or_default()
    };
    assert!(paths(&[], "maskedPaths").contains(&"/proc/kcore".to_owned()));
    assert!(paths(&["systempaths=unconfined"], "maskedPaths").is_empty());
    assert!(paths(&["unmask=ALL"], "readonlyPaths").is_empty());
    let left = paths(&["unmask=/proc/kcore:/proc/sys", "mask=/proc/uptime"], "maskedPaths");
    assert!(!left.contains(&"/proc/kcore".to_owned()) && left.contains(&"/proc/uptime".to_owned()));
    assert!(!paths(&["unmask=/proc/sys"], "readonlyPaths").contains(&"/proc/sys".to_owned()));
    run(&["--security-opt", "mask=/proc/uptime"], "wc -c < /proc/uptime")
        .output()
        .assert_stdout("0\n");
    run(&["--security-opt", "label=disable", "--security-opt", "apparmor=unconfined"], "true").ok();
    let spec = spec_of(&["--security-opt", "apparmor=mine"]);
    assert_eq!(spec["process"]["apparmorProfile"], "mine");
    refused(
        &["--security-opt", "label=type:x"],
        "--security-opt label=type:x: no labels are given",
    );
    refused(&["--security-opt", "mask=proc"], "\"proc\" is no absolute path");
}

fn companion_namespaces_of_the_host() {
    image(|_| ());
    for (flag, kind) in
        [("--pid", "pid"), ("--ipc", "ipc"), ("--uts", "uts"), ("--cgroupns", "cgroup")]
    {
        let ours = fs::read_link(format!("/proc/self/ns/{kind}")).expect("readlink");
        let ours = format!("{}\n", ours.display());
        let script = format!("readlink /proc/self/ns/{kind}");
        run(&[flag, "host"], &script).output().assert_stdout(&ours);
        assert_ne!(run(&[], &script).ok(), ours, "{kind}");
        refused(&[flag, "what"], &format!("{flag} what: unknown"));
    }
    fs::write("/dev/shm/tests-of-bundles", "host\n").expect("write");
    run(&["--ipc", "host"], "cat /dev/shm/tests-of-bundles").output().assert_stdout("host\n");
    fs::remove_file("/dev/shm/tests-of-bundles").expect("remove");
    let name = fs::read_to_string("/proc/sys/kernel/hostname").expect("hostname");
    run(&["--uts", "host"], "hostname; echo $HOSTNAME")
        .output()
        .assert_stdout(&format!("{name}{name}"));
    refused(
        &["--uts", "host", "-h", "x"],
        "--hostname: with --uts host it has the name of the host",
    );
    run(&["--userns", "host"], "true").ok();
    refused(&["--userns", "keep-id"], "--userns keep-id: the caller is root");
    refused(&["--userns", "auto"], "--userns auto: unknown");
}

fn companion_namespaces_of_another_container() {
    image(|_| ());
    detached("one", &["--ipc", "shareable"]);
    let flags = ["--pid", "container:one", "--ipc", "container:one"];
    let out = run(&flags, "ps; readlink /proc/self/ns/ipc").output();
    out.assert_exit(0);
    assert!(out.stdout().contains("trap 'exit 0' TERM"), "{}", out.stdout());
    let ipc = bundles(["exec", "one", "readlink", "/proc/self/ns/ipc"]).ok();
    assert!(out.stdout().ends_with(&ipc), "{} {ipc}", out.stdout());
    // It may be started anew: its process is another one then.
    call(&["create", "--name", "two"], &["--pid", "container:one"], &["sleep", "100"]).ok();
    bundles(["stop", "-t", "0", "one"]).ok();
    bundles(["start", "two"])
        .output()
        .assert_fails()
        .assert_stderr_has("--pid container:one: it does not run");
    bundles(["start", "one"]).ok();
    bundles(["start", "two"]).ok();
    let seen = bundles(["exec", "one", "ps"]).ok();
    assert!(seen.contains("sleep 100"), "{seen}");
    refused(&["--pid", "container:nosuch"], "--pid container:nosuch: nosuch: no such container");
    bundles(["rm", "-f", "two", "one"]).ok();
}

fn companion_limits_arrive_in_the_spec() {
    image(|_| ());
    let flags = [
        "-m",
        "64m",
        "--memory-reservation",
        "32m",
        "--memory-swappiness",
        "10",
        "--oom-kill-disable",
        "--oom-score-adj",
        "-5",
        "--cpu-period",
        "50000",
        "--cpu-quota",
        "25000",
        "--blkio-weight",
        "300",
        "--cgroup-parent",
        "/mine",
        "--ulimit",
        "core=0",
    ];
    let spec = spec_of(&flags);
    let resources = &spec["linux"]["resources"];
    assert_eq!(resources["memory"]["reservation"], 33_554_432);
    assert_eq!(resources["memory"]["swappiness"], 10);
    assert_eq!(resources["memory"]["disableOOMKiller"], true);
    assert_eq!(resources["cpu"], json!({ "quota": 25_000, "period": 50_000 }));
    assert_eq!(resources["blockIO"]["weight"], 300);
    assert_eq!(spec["process"]["oomScoreAdj"], -5);
    assert!(spec["linux"]["cgroupsPath"].as_str().expect("a path").starts_with("/mine/"));
    run(&["--oom-score-adj", "17"], "cat /proc/self/oom_score_adj").output().assert_stdout("17\n");
    run(&["--kernel-memory", "1g"], "true").output().assert_exit(0).assert_stderr_has(
        "bundles: --kernel-memory is ignored: the kernel has no such limit any more\n",
    );
    refused(
        &["--oom-kill-disable"],
        "--oom-kill-disable: without --memory the whole host would wait",
    );
    refused(&["--blkio-weight", "5"], "--blkio-weight");
    refused(&["--memory-swappiness", "101"], "--memory-swappiness");
    refused(&["--cpus", "1", "--cpu-quota", "5"], "--cpu");
    refused(&["--device-read-bps", "/dev/null:1m"], "/dev/null is no block device");
    refused(&["--device-read-bps", "/dev/null"], "--device-read-bps /dev/null: not DEVICE:VALUE");
    let block = scratch().join("disk");
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};
    mknod(&block, SFlag::S_IFBLK, Mode::S_IRUSR, makedev(7, 3)).expect("mknod");
    let (bytes, number) = (format!("{}:1m", block.display()), format!("{}:50", block.display()));
    let spec = spec_of(&["--device-read-bps", &bytes, "--device-write-iops", &number]);
    let io = &spec["linux"]["resources"]["blockIO"];
    let wanted = json!([{ "major": 7, "minor": 3, "rate": 1_048_576 }]);
    assert_eq!(io["throttleReadBpsDevice"], wanted);
    assert_eq!(io["throttleWriteIOPSDevice"][0]["rate"], 50);
}

fn companion_shm_and_read_only() {
    image(|_| ());
    let script = "mount | grep -o ' /dev/shm .*size=[0-9]*k' | grep -o 'size=.*'";
    run(&["--shm-size", "1m"], script).output().assert_stdout("size=1024k\n");
    run(&[], script).output().assert_stdout("size=65536k\n");
    let script = "touch /x 2>/dev/null || echo ro; touch /dev/shm/x /data/x && echo rw";
    run(&["--read-only", "-v", "v:/data"], script).output().assert_stdout("ro\nrw\n");
    run(&["--sysctl", "net.ipv4.ip_forward=1"], "cat /proc/sys/net/ipv4/ip_forward")
        .output()
        .assert_stdout("1\n");
    refused(&["--sysctl", "a"], "--sysctl a: no value");
}

fn companion_labels_annotations_and_health() {
    image(|config| config["Labels"] = json!({ "a": "image", "b": "image" }));
    let file = scratch().join("labels");
    fs::write(&file, "# comment\nb=file\nc=file\n").expect("write");
    let flags = [
        "--name",
        "k1",
        "--label-file",
        file.to_str().expect("UTF-8"),
        "-l",
        "c=flag",
        "--annotation",
        "x.y=z",
        "--health-cmd",
        "test -f /ok",
        "--health-interval",
        "30s",
        "--health-retries",
        "3",
    ];
    let out = call(&["create"], &flags, &[]).output();
    out.assert_exit(0);
    assert_eq!(out.stderr(), "");
    let shown = inspect("k1");
    assert_eq!(shown["Config"]["Labels"], json!({ "a": "image", "b": "file", "c": "flag" }));
    let check = json!({ "Test": ["CMD-SHELL", "test -f /ok"], "Interval": 30_000_000_000_u64, "Retries": 3 });
    assert_eq!(shown["Config"]["Healthcheck"], check);
    assert_eq!(spec("k1")["annotations"]["x.y"], "z");
    bundles(["rm", "k1"]).ok();
    call(&["create", "--name", "k1"], &["--no-healthcheck"], &[]).ok();
    assert_eq!(inspect("k1")["Config"]["Healthcheck"]["Test"], json!(["NONE"]));
}

fn companion_refused_flags_say_why() {
    image(|_| ());
    for (flags, error) in [
        (["--platform", "linux/s390x"], "--platform linux/s390x: this machine is linux/"),
        (["--isolation", "hyperv"], "--isolation hyperv: is of Windows"),
        (["--gpus", "all"], "--gpus: nobody here knows which files a GPU needs"),
        (["--storage-opt", "size=1g"], "--storage-opt size=1g: overlayfs has no limit"),
        (["--volume-driver", "nfs"], "--volume-driver nfs: there is one driver, local"),
    ] {
        refused(&flags, error);
    }
    run(&["--platform", "linux", "--isolation", "default", "--volume-driver", "local"], "true")
        .ok();
}
