//! Rows of docs/features.md which the topics' own files have no test for.

use std::fs;

use runtime_tests::cgroups;
use runtime_tests::prelude::*;

tests![
    log_level_decides_about_warnings,
    limit_below_the_usage_is_refused_when_asked,
    settings_that_v2_lacks_are_refused,
    rdma_limits_are_planned,
    misc_limits_reach_the_kernel,
    pressure_is_reported,
    filter_without_flags_allows_speculation,
];

/// A failing poststop hook is worth a warning, and none by default: Podman reads the whole log.
fn log_level_decides_about_warnings() {
    requires!(root);
    differs!(Runc, "no --log-level");
    differs!(Crun, "1.8 has no --log-level");
    let entries = |flags: &[&str]| {
        let log = scratch().join(format!("log-{}", new_id()));
        let b = Bundle::new().args(&["/probe", "true"]).with(|c| {
            c["hooks"] = json!({ "poststop": [{ "path": "/bin/false" }] });
        });
        let c = b.create();
        rt(["delete", "--force", c.id()])
            .global(["--log", log.to_str().unwrap(), "--log-format", "json"])
            .global(flags)
            .output()
            .assert_exit(0);
        let text = fs::read_to_string(log).unwrap_or_default();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect::<Vec<Value>>()
    };
    assert!(entries(&[]).is_empty());
    assert!(entries(&["--log-level", "error"]).is_empty());
    for flags in [&["--log-level", "warning"][..], &["--log-level", "debug"], &["--debug"]] {
        let entries = entries(flags);
        let warning = entries.iter().find(|e| e["level"] == "warning");
        let warning = warning.unwrap_or_else(|| panic!("{flags:?}: {entries:?}"));
        assert!(warning["msg"].as_str().unwrap().contains("poststop"), "{warning}");
    }
}

/// config-linux.md: checkBeforeUpdate.
fn limit_below_the_usage_is_refused_when_asked() {
    requires!(cgroup_v2, controller("memory"));
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let resources = json!({ "memory": { "limit": 4096, "checkBeforeUpdate": true } });
    rt(["update", "--resources", "-", c.id()]).stdin(resources.to_string()).output().assert_fails();
    assert_eq!(c.status(), "running");
    c.end();
}

fn settings_that_v2_lacks_are_refused() {
    requires!(cgroup_v2);
    differs!(Runc, "ignores them with a warning");
    differs!(Crun, "ignores some");
    for (key, value) in [("swappiness", json!(10)), ("disableOOMKiller", json!(true))] {
        let b = Bundle::new().with(|c| c["linux"]["resources"]["memory"] = json!({ key: value }));
        let output = b.assert_create_refused();
        assert!(output.stderr().contains(&format!("memory.{key}")), "{}", output.stderr());
    }
}

fn rdma_limits_are_planned() {
    requires!(command("plan"));
    let b = Bundle::new().with(|c| {
        c["linux"]["resources"]["rdma"] =
            json!({ "mlx5_1": { "hcaHandles": 3, "hcaObjects": 10000 } });
    });
    b.write();
    let text = rt(["plan", "--bundle", b.dir().to_str().unwrap()]).ok();
    let line = text.lines().find(|l| l.contains("rdma.max")).expect("a line for rdma.max");
    assert!(line.contains("mlx5_1 hca_handle=3 hca_object=10000"), "{line}");
}

/// Resources of the controller are keys of encrypted memory, which hardly any machine has: the
/// kernel refuses any other name, and only the file's own check can say that.
fn misc_limits_reach_the_kernel() {
    requires!(root, cgroup_v2);
    differs!(Crun, "leaves the cgroup behind");
    let b = Bundle::new()
        .with(|c| c["linux"]["resources"]["unified"] = json!({ "misc.max": "no_such_resource 1" }));
    let output = b.assert_create_refused();
    if runtime() == Runtime::Rt {
        let field = "linux.resources.unified[\"misc.max\"]: ";
        output.assert_stderr_has(field);
        output.assert_stderr_has(if cgroups::has_controller("misc") {
            "/misc.max\", \"no_such_resource 1\"): invalid argument (EINVAL)"
        } else {
            "cgroup v2 has no misc controller on this host"
        });
    }
}

fn pressure_is_reported() {
    requires!(cgroup_v2, command("events"));
    differs!(Runc, "came with 1.2");
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    if !std::path::Path::new("/sys/fs/cgroup/cpu.pressure").exists() {
        skip!(Machine, "no pressure files in this kernel's cgroups");
    }
    let event = rt(["events", "--stats", c.id()]).output().json();
    let some = &event["data"]["cpu"]["psi"]["some"];
    for key in ["avg10", "avg60", "avg300", "total"] {
        assert!(some[key].is_number(), "{key}: {event}");
    }
    c.end();
}

/// As libseccomp's users have it: without `flags` `SPEC_ALLOW` is set, an empty list takes it back.
fn filter_without_flags_allows_speculation() {
    requires!(command("plan"));
    let flags = |flags: Option<Value>| {
        let b = Bundle::new().with(|c| {
            c["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{ "names": ["personality"], "action": "SCMP_ACT_ERRNO" }] });
            if let Some(flags) = flags {
                c["linux"]["seccomp"]["flags"] = flags;
            }
        });
        b.write();
        let text = rt(["plan", "--bundle", b.dir().to_str().unwrap()]).ok();
        let line = text.lines().find(|l| l.contains("seccomp ")).expect("the filter").to_owned();
        line.split("flags ").nth(1).and_then(|l| l.split(',').next()).unwrap().to_owned()
    };
    assert_eq!(flags(None), "0x4");
    assert_eq!(flags(Some(json!([]))), "0x0");
    assert_eq!(flags(Some(json!(["SECCOMP_FILTER_FLAG_LOG"]))), "0x2");
}
