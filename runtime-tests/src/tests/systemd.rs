//! The systemd cgroup driver: systemd.resource-control(5), org.freedesktop.systemd1(5), and the
//! conventions of runc for `linux.cgroupsPath` and the annotations.
//!
//! In the view `systemd`, where systemd is pid 1: the virtual machine has it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use runtime_tests::cgroups;
use runtime_tests::prelude::*;
use runtime_tests::second_user::{SecondUser, UID};

tests![
    scope_has_the_name_and_the_slice_of_the_path,
    scope_without_a_path_is_named_after_the_id,
    scope_is_delegated,
    wrong_paths_are_refused,
    limits_are_properties,
    limits_survive_a_reload,
    update_changes_properties,
    limits_without_a_property_survive_an_update,
    device_rules_survive_a_reload,
    annotations_set_properties,
    wrong_annotations_are_refused,
    delete_forgets_the_unit,
    delete_ends_processes_left_in_the_scope,
    unit_in_use_is_left_alone,
    unit_that_has_failed_is_replaced,
    failing_create_leaves_no_unit,
    state_names_the_unit,
    subgroup_is_one_more_level,
    scope_of_a_user_is_made_by_his_manager,
    limits_of_a_user_come_from_his_manager,
    other_pid_namespace_is_refused,
    without_systemd_the_error_names_the_cure,
];

/// What systemd says about a unit.
fn show(unit: &str) -> BTreeMap<String, String> {
    let output = Command::new("systemctl").args(["show", unit]).output().expect("systemctl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[track_caller]
fn assert_shown(unit: &str, wanted: &[(&str, &str)]) {
    let shown = show(unit);
    for (key, value) in wanted {
        assert_eq!(shown.get(*key).map(String::as_str), Some(*value), "{key} of {unit}");
    }
}

fn reload() {
    assert!(Command::new("systemctl").arg("daemon-reload").status().expect("systemctl").success());
}

/// The unit of a bundle whose `cgroupsPath` is the usual one of this view.
fn unit(id: &str) -> String {
    format!("t-{id}.scope")
}

fn with_path(path: &str) -> Bundle {
    Bundle::new().with(|c| c["linux"]["cgroupsPath"] = json!(path))
}

fn read(c: &Container, file: &str) -> String {
    let mut dir = cgroups::of_process(c.pid());
    if dir.ends_with("container") {
        dir.pop(); // crun makes one more below the scope
    }
    let path = dir.join(file);
    fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        .trim()
        .to_owned()
}

fn scope_has_the_name_and_the_slice_of_the_path() {
    requires!(systemd);
    let slice = format!("{}.slice", new_id().replace('-', "_"));
    let b = with_path(&format!("{slice}:pre:{}", new_id()));
    let path = b.config["linux"]["cgroupsPath"].as_str().unwrap().to_owned();
    let name = path.rsplit(':').next().unwrap();
    let c = b.start(&["/probe", "sleep", "60"]);
    let scope = format!("pre-{name}.scope");
    assert_shown(&scope, &[("ActiveState", "active"), ("Slice", &slice), ("Transient", "yes")]);
    let place = fs::read_to_string(format!("/proc/{}/cgroup", c.pid())).unwrap();
    let place = place.trim_end().trim_start_matches("0::").trim_end_matches("/container");
    assert!(place.ends_with(&format!("/{slice}/{scope}")), "{place}");
    assert_eq!(show(&scope)["ControlGroup"], place);
    c.end();
    // A slice that systemd made on the way has nothing in it any more, and systemd keeps it.
    Command::new("systemctl").args(["stop", &slice]).status().unwrap();
}

fn scope_without_a_path_is_named_after_the_id() {
    requires!(systemd);
    let b = Bundle::new().with(|c| {
        c["linux"].as_object_mut().unwrap().remove("cgroupsPath");
    });
    let c = b.start(&["/probe", "sleep", "60"]);
    let place = fs::read_to_string(format!("/proc/{}/cgroup", c.pid())).unwrap();
    let prefix = match runtime() {
        Runtime::Runc => "runc-",
        Runtime::Crun => "crun-",
        Runtime::Rt | Runtime::Other => "rt-",
    };
    let wanted = format!("0::/system.slice/{prefix}{}.scope", c.id());
    // crun makes a cgroup for the container inside of the scope.
    assert!(place.starts_with(&wanted), "{place}");
    c.end();
}

/// The payload may be a systemd: it manages what is below.
fn scope_is_delegated() {
    requires!(systemd);
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    assert_shown(&unit(c.id()), &[("Delegate", "yes")]);
    c.end();
}

fn wrong_paths_are_refused() {
    requires!(systemd);
    differs!(Crun, "takes anything, and makes up what is missing");
    differs!(Runc, "takes an empty name");
    for path in ["/a/b", "a.slice:b", "a.slice:b:", "a--b.slice:p:n", "a.slice:p:n/m"] {
        let b = with_path(path);
        let output = b.assert_create_refused();
        if runtime() == Runtime::Rt {
            output.assert_stderr_has("linux.cgroupsPath");
        }
    }
}

const LIMITS: &str = r#"{
    "memory": { "limit": 67108864, "swap": 100663296, "reservation": 33554432 },
    "cpu": { "quota": 20000, "period": 50000, "cpus": "0" },
    "pids": { "limit": 77 }
}"#;

fn limited() -> Bundle {
    let resources: Value = serde_json::from_str(LIMITS).unwrap();
    Bundle::new().with(|c| c["linux"]["resources"] = resources)
}

#[track_caller]
fn assert_limited(c: &Container) {
    assert_eq!(read(c, "memory.max"), "67108864");
    assert_eq!(read(c, "memory.low"), "33554432");
    assert_eq!(read(c, "cpu.max"), "20000 50000");
    assert_eq!(read(c, "cpuset.cpus"), "0");
    assert_eq!(read(c, "pids.max"), "77");
}

fn limits_are_properties() {
    requires!(systemd);
    differs!(Crun, "1.8 limits a cgroup of its own below the scope");
    let c = limited().start(&["/probe", "sleep", "60"]);
    assert_shown(
        &unit(c.id()),
        &[
            ("MemoryMax", "67108864"),
            ("MemoryLow", "33554432"),
            ("MemorySwapMax", "33554432"),
            ("CPUQuotaPerSecUSec", "400ms"),
            ("CPUQuotaPeriodUSec", "50ms"),
            ("AllowedCPUs", "0"),
            ("TasksMax", "77"),
        ],
    );
    assert_limited(&c);
    c.end();
}

/// systemd writes what it knows of, again and again.
fn limits_survive_a_reload() {
    requires!(systemd);
    differs!(Crun, "1.8 limits a cgroup of its own below the scope");
    let c = limited().start(&["/probe", "sleep", "60"]);
    reload();
    assert_limited(&c);
    c.end();
}

fn update_changes_properties() {
    requires!(systemd);
    differs!(Crun, "1.8 limits a cgroup of its own below the scope");
    let c = limited().start(&["/probe", "sleep", "60"]);
    let flags = ["--memory", "50331648", "--pids-limit", "55", "--cpu-quota", "30000"];
    let flags = [&flags[..], &["--cpu-period", "60000"]].concat();
    rt(["update"]).args(flags).arg(c.id()).output().assert_exit(0);
    for after_reload in [false, true] {
        if after_reload {
            reload();
        }
        let limits = [("MemoryMax", "50331648"), ("TasksMax", "55")];
        assert_shown(&unit(c.id()), &limits);
        assert_shown(&unit(c.id()), &[("CPUQuotaPerSecUSec", "500ms")]);
        assert_eq!(read(&c, "memory.max"), "50331648");
        assert_eq!(read(&c, "pids.max"), "55");
        assert_eq!(read(&c, "cpu.max"), "30000 60000");
        assert_eq!(read(&c, "cpuset.cpus"), "0", "what the update does not name stays");
    }
    c.end();
}

/// systemd resets what it writes and was not told; `cpu.idle` is weight 0 for it.
fn limits_without_a_property_survive_an_update() {
    requires!(systemd);
    differs!(Runc, "1.1 knows no cpu.idle");
    differs!(Crun, "1.8 limits a cgroup of its own below the scope");
    let b = Bundle::new().with(|c| {
        c["linux"]["resources"] = json!({
            "cpu": { "idle": 1, "quota": 33_300, "period": 100_000 },
            "unified": { "memory.oom.group": "1", "cgroup.max.depth": "9" },
            "blockIO": { "weight": 500 },
        });
    });
    let c = b.start(&["/probe", "sleep", "60"]);
    assert_shown(&unit(c.id()), &[("CPUWeight", "idle"), ("CPUQuotaPerSecUSec", "340ms")]);
    let io = show(&unit(c.id()))["IOWeight"].clone();
    assert_eq!(io, "4950");
    rt(["update", "--pids-limit", "50", c.id()]).output().assert_exit(0);
    for (file, value) in [
        ("cpu.idle", "1"),
        ("memory.oom.group", "1"),
        ("cgroup.max.depth", "9"),
        ("pids.max", "50"),
        ("cpu.max", "33300 100000"),
    ] {
        assert_eq!(read(&c, file), value, "{file}");
    }
    reload();
    for (file, value) in [("cpu.idle", "1"), ("cgroup.max.depth", "9"), ("pids.max", "50")] {
        assert_eq!(read(&c, file), value, "{file} after a reload");
    }
    c.end();
}

fn device_rules_survive_a_reload() {
    requires!(systemd);
    let b = Bundle::new().with(|c| {
        c["linux"]["resources"]["devices"] = json!([{ "allow": false, "access": "rwm" }]);
    });
    let c = b.start(&["/probe", "sleep", "60"]);
    // Making a node is always allowed, opening it is not.
    c.exec(&["/probe", "mknod", "/tmp/odd", "c", "1", "99"]).assert_exit(0);
    for _ in 0..2 {
        c.exec(&["/probe", "open", "/dev/null", "rw"]).assert_says("ok");
        c.exec(&["/probe", "open", "/tmp/odd", "r"]).assert_says("EPERM");
        reload();
    }
    c.end();
}

fn with_annotation(name: &str, value: &str) -> Bundle {
    Bundle::new().with(|c| {
        c["annotations"][format!("org.systemd.property.{name}")] = json!(value);
    })
}

fn annotations_set_properties() {
    requires!(systemd);
    differs!(Crun, "1.8 does not know seconds for a property in microseconds");
    for (name, value, shown, wanted) in [
        ("TimeoutStopUSec", "uint64 123000000", "TimeoutStopUSec", "2min 3s"),
        ("CollectMode", "'inactive-or-failed'", "CollectMode", "inactive-or-failed"),
        ("SendSIGHUP", "true", "SendSIGHUP", "yes"),
        ("After", "['basic.target', 'sysinit.target']", "", ""),
        ("TimeoutStopSec", "uint64 7", "TimeoutStopUSec", "7s"),
        ("Description", "'mine'", "Description", "mine"),
    ] {
        let c = with_annotation(name, value).start(&["/probe", "sleep", "60"]);
        if name == "After" {
            let after = show(&unit(c.id()))["After"].clone();
            assert!(after.contains("basic.target"), "{after}");
        } else {
            assert_shown(&unit(c.id()), &[(shown, wanted)]);
        }
        c.end();
    }
}

fn wrong_annotations_are_refused() {
    requires!(systemd);
    for (name, value) in [
        ("MemoryMax", "lots"),
        ("NoSuchProperty", "true"),
        ("bad-name", "true"),
        ("TimeoutStopUSec", "'text'"),
    ] {
        let output = with_annotation(name, value).assert_create_refused();
        if runtime() == Runtime::Rt {
            output.assert_stderr_has("annotation");
        }
    }
}

fn delete_forgets_the_unit() {
    requires!(systemd);
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let unit = unit(c.id());
    c.end();
    assert_shown(&unit, &[("LoadState", "not-found"), ("ActiveState", "inactive")]);
}

fn delete_ends_processes_left_in_the_scope() {
    requires!(systemd);
    let c = Bundle::new().without_namespace("pid").start(&["/probe", "orphan", "60"]);
    let unit = unit(c.id());
    c.wait_status("stopped").delete();
    assert_shown(&unit, &[("LoadState", "not-found")]);
}

fn unit_in_use_is_left_alone() {
    requires!(systemd);
    differs!(Runc, "1.1 joins the scope of the other container, and ends that with its own");
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let output = with_path(&format!("system.slice:t:{}", c.id())).assert_create_refused();
    output.assert_stderr_has(&unit(c.id()));
    assert_eq!(c.status(), "running");
    assert_shown(&unit(c.id()), &[("ActiveState", "active")]);
    c.end();
}

/// After an OOM kill the scope has failed, and systemd remembers it.
fn unit_that_has_failed_is_replaced() {
    requires!(systemd);
    let name = new_id();
    let path = format!("system.slice:t:{name}");
    let b = with_path(&path);
    let b = b.with(|c| c["linux"]["resources"]["memory"] = json!({ "limit": 33_554_432 }));
    let c = b.start(&["/probe", "alloc", "200"]);
    c.wait_status("stopped");
    let again = with_path(&path).start(&["/probe", "sleep", "60"]);
    assert_shown(&unit(&name), &[("ActiveState", "active")]);
    again.end();
    c.delete();
    assert_shown(&unit(&name), &[("LoadState", "not-found")]);
}

fn failing_create_leaves_no_unit() {
    requires!(systemd);
    let b = Bundle::new().args(&["/nosuch"]);
    b.run_call().output().assert_fails();
    assert_shown(&unit(b.id()), &[("LoadState", "not-found")]);
    let b = Bundle::new().with(|c| {
        c["hooks"]["createRuntime"] = json!([{ "path": "/bin/false" }]);
    });
    b.try_create(&[]).assert_fails();
    assert_shown(&unit(b.id()), &[("LoadState", "not-found")]);
}

fn state_names_the_unit() {
    requires!(systemd);
    differs!(Runc, "has no such field");
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    assert_eq!(c.state()["systemd-scope"], unit(c.id()));
    c.end();
}

fn subgroup_is_one_more_level() {
    requires!(systemd);
    differs!(Runc, "has no such annotation");
    let b = limited().with(|c| c["annotations"]["run.oci.systemd.subgroup"] = json!("box"));
    let c = b.start(&["/probe", "sleep", "60"]);
    let place = cgroups::of_process(c.pid());
    assert!(place.ends_with(format!("{}/box", unit(c.id()))), "{place:?}");
    assert_eq!(fs::read_to_string(place.join("pids.max")).unwrap().trim(), "77");
    c.exec(&["/probe", "cgroup"]).assert_exit(0);
    assert_eq!(cgroups::of_process(c.pid()), place);
    let unit = unit(c.id());
    c.end();
    assert_shown(&unit, &[("LoadState", "not-found")]);
}

/// The second user of the virtual machine has a manager of his own.
fn logged_in() -> SecondUser {
    requires!(systemd);
    let dir = format!("{}/{UID}", runtime_tests::isolate::LOGGED_IN);
    if !Path::new(&dir).join("systemd/private").exists() {
        skip!("the second user has no running user manager");
    }
    let bus = format!("unix:path={dir}/bus");
    SecondUser::new().env("XDG_RUNTIME_DIR", &dir).env("DBUS_SESSION_BUS_ADDRESS", &bus)
}

fn scope_of_a_user_is_made_by_his_manager() {
    differs!(Crun, "1.8 may not move the process of exec");
    let user = logged_in();
    let name = new_id();
    let path = format!("user.slice:t:{name}");
    let b = user.bundle().with(|c| c["linux"]["cgroupsPath"] = json!(path));
    let b = b.change(|b| b.args(&["/probe", "true"]));
    b.run_call(&["--systemd-cgroup"]).output().assert_exit(0);
    let b = b.change(|b| b.args(&["/probe", "sleep", "60"]));
    b.bundle().write();
    let args = ["run", "--detach", "--bundle", b.path(), b.id()];
    user.call(args).global(["--systemd-cgroup"]).ok();
    let pid = user.call(["state", b.id()]).output().json()["pid"].as_i64().unwrap();
    let place = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let wanted = format!("/user@{UID}.service/user.slice/t-{name}.scope");
    assert!(place.contains(&wanted), "{place}");
    // The caller is elsewhere, where an ordinary user may not move processes from.
    let exec = user.call(["exec", b.id(), "/probe", "cgroup"]).global(["--systemd-cgroup"]);
    exec.output().assert_exit(0);
    user.call(["delete", "--force", b.id()]).global(["--systemd-cgroup"]).ok();
}

fn limits_of_a_user_come_from_his_manager() {
    let user = logged_in();
    let b = user.bundle().with(|c| {
        c["linux"]["cgroupsPath"] = json!(format!("user.slice:t:{}", new_id()));
        c["linux"]["resources"] = json!({
            "memory": { "limit": 33_554_432 }, "pids": { "limit": 66 },
        });
    });
    let b = b.change(|b| b.args(&["/probe", "alloc", "200"]));
    b.run_call(&["--systemd-cgroup"]).output().assert_exit(137);
}

/// Pids go by the wire: from another namespace they would be those of somebody else.
fn other_pid_namespace_is_refused() {
    requires!(systemd, program("/usr/bin/unshare"));
    differs!(Runc, "asks for the process with its own number");
    differs!(Crun, "asks systemd for the process with its own number");
    let b = Bundle::new();
    b.write();
    let call = rt(["run", "--bundle", b.dir().to_str().unwrap(), b.id()]);
    let call = call.through(["/usr/bin/unshare", "--pid", "--fork", "--mount-proc"]);
    call.output().assert_fails().assert_stderr_has("systemd runs outside of our pid namespace");
}

fn without_systemd_the_error_names_the_cure() {
    requires!(root);
    if view() == View::Systemd {
        skip!(Machine, "systemd is there");
    }
    differs!(Runc, "only says that systemd is not running on this host");
    differs!(Crun, "only says that it cannot open the bus");
    let b = with_path(&format!("system.slice:t:{}", new_id()));
    b.write();
    let call = rt(["create", "--bundle", b.dir().to_str().unwrap(), b.id()]);
    let output = call.global(["--systemd-cgroup"]).output();
    output.assert_fails().assert_stderr_has("systemd does not manage this host");
    output.assert_stderr_has("--cgroup-manager cgroupfs");
}
