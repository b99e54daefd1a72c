//! `rt doctor`: shape of the report, exit codes where something is taken away, nothing changed.

use std::time::{Duration, Instant};

use runtime_tests::prelude::*;
use runtime_tests::pty;

tests![
    doctor_reports_each_group_with_cures,
    doctor_json_has_stable_keys,
    doctor_says_what_the_suite_can_do,
    doctor_is_quick_and_changes_nothing,
    doctor_fails_without_cgroups,
    doctor_fails_without_proc,
    doctor_fails_a_user_without_user_namespaces,
    doctor_tells_a_user_how_to_get_ids,
    doctor_names_missing_capabilities,
    doctor_sees_hidden_processes,
    doctor_works_without_a_state_directory,
    doctor_has_colour_on_a_terminal_only,
];

fn report(through: &[&str]) -> (i32, Value) {
    requires!(command("doctor"));
    let output = Call::plain(["doctor", "--format", "json"]).through(through).output();
    (output.code, output.json())
}

#[track_caller]
fn finding<'a>(report: &'a Value, name: &str) -> &'a Value {
    let all = report["findings"].as_array().expect("findings");
    all.iter().find(|f| f["name"] == name).unwrap_or_else(|| panic!("no {name} in {report}"))
}

#[track_caller]
fn assert_lacks(code: i32, report: &Value, names: &[&str]) {
    assert_eq!(code, 1, "{report}");
    assert_eq!(report["ok"], false);
    for name in names {
        let lacks = report["lacks"].as_array().unwrap();
        assert!(lacks.iter().any(|l| l == name), "{name} is not in {lacks:?}");
        let f = finding(report, name);
        assert_eq!((&f["status"], &f["needed"]), (&json!("missing"), &json!(true)), "{f}");
        assert!(f["cure"].as_str().is_some_and(|cure| !cure.is_empty()), "{f}");
    }
}

fn doctor_reports_each_group_with_cures() {
    requires!(command("doctor"));
    let output = Call::plain(["doctor"]).output();
    let lines = output.lines();
    for group in ["kernel", "namespaces", "cgroups", "security", "files", "users"] {
        assert!(lines.iter().any(|l| l == group), "{group}: {lines:#?}");
    }
    // The columns of all findings begin at the same place.
    let is_finding = |l: &&String| {
        ["  ok ", "  limited ", "  missing "].iter().any(|start| l.starts_with(start))
    };
    let findings: Vec<&String> = lines.iter().filter(is_finding).collect();
    assert!(findings.len() > 40, "{lines:#?}");
    for line in &findings {
        assert!(line.as_bytes()[10] == b' ' && line.as_bytes()[11] != b' ', "{line}");
    }
    for (line, next) in lines.iter().zip(lines.iter().skip(1)) {
        let is_bad = line.starts_with("  limited") || line.starts_with("  missing");
        assert_eq!(is_bad, next.trim_start().starts_with("cure: "), "{line}\n{next}");
    }
    assert_eq!(output.stderr(), "");
}

fn doctor_json_has_stable_keys() {
    let (code, report) = report(&[]);
    let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["findings", "lacks", "ok", "uid", "version"]);
    assert_eq!(report["ok"], code == 0);
    let mut seen = std::collections::BTreeSet::new();
    for f in report["findings"].as_array().unwrap() {
        let keys: Vec<&String> = f.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["cure", "group", "name", "needed", "status", "value"], "{f}");
        assert_eq!(f["status"] == "ok", f["cure"].is_null(), "a cure for what is wrong: {f}");
        assert!(["ok", "limited", "missing"].contains(&f["status"].as_str().unwrap()), "{f}");
        assert!(seen.insert(f["name"].as_str().unwrap().to_owned()), "twice: {f}");
    }
    for name in ["kernel-version", "clone3", "namespace-user", "cgroup-mode", "seccomp", "subuid"] {
        assert!(seen.contains(name), "{name}");
    }
}

/// Against what can be seen here without rt.
fn doctor_says_what_the_suite_can_do() {
    let (code, report) = report(&[]);
    if !runtime_tests::isolate::rootless() {
        // All the other tests make containers here.
        assert_eq!(code, 0, "{report}");
    }
    let mode = finding(&report, "cgroup-mode");
    let v1 = runtime_tests::cgroups::v1_mount("cpu").is_some();
    assert_eq!(mode["value"].as_str().unwrap().starts_with("hybrid"), v1, "{mode}");
    for kind in ["user", "pid", "time"] {
        let there = std::path::Path::new("/proc/self/ns").join(kind).exists();
        let f = finding(&report, &format!("namespace-{kind}"));
        assert_eq!(f["status"] == "ok", there, "{f}");
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let version = finding(&report, "kernel-version")["value"].as_str().unwrap();
    assert!(version.starts_with(release.trim()), "{version}");
}

/// Mounts, processes and cgroups that it left would be found after every test of this file.
fn doctor_is_quick_and_changes_nothing() {
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    report(&[]);
    // The best of three: other tests run at the same time.
    let times: Vec<_> = (0..3)
        .map(|_| {
            let start = Instant::now();
            Call::plain(["doctor"]).output();
            start.elapsed().as_millis()
        })
        .collect();
    let limit = runtime_tests::poll::patience(Duration::from_millis(100)).as_millis();
    assert!(times.iter().min().is_some_and(|ms| *ms < limit), "{times:?} ms");
    assert_eq!(before, mounts());
    assert!(!runtime_tests::isolate::state_root().exists());
}

fn doctor_fails_without_cgroups() {
    requires!(root);
    let script = "while umount -R -l /sys/fs/cgroup; do :; done 2>/dev/null; exec \"$@\"";
    let shell = ["unshare", "-m", "sh", "-c", script, "sh"];
    let (code, report) = report(&shell);
    assert_lacks(code, &report, &["cgroup-mode"]);
    assert_eq!(finding(&report, "cgroup-mode")["value"], "absent");
}

fn doctor_fails_without_proc() {
    requires!(root);
    let (code, report) = report(&[
        "unshare",
        "-m",
        "sh",
        "-c",
        "while umount -R -l /proc; do :; done 2>/dev/null; exec \"$@\"",
        "sh",
    ]);
    assert_lacks(code, &report, &["proc"]);
    assert_eq!(finding(&report, "namespace-user")["status"], "limited");
}

const USER: [&str; 4] = ["setpriv", "--reuid=4343", "--regid=4343", "--clear-groups"];

/// The limit is that of a user namespace in between, so the host's own stays.
fn doctor_fails_a_user_without_user_namespaces() {
    requires!(root, program("/usr/bin/setpriv"));
    let script = "echo 0 >/proc/sys/user/max_user_namespaces && \
                  exec setpriv --inh-caps=-all --ambient-caps=-all \"$@\"";
    let shell = ["unshare", "-U", "--map-user=1000", "--keep-caps", "sh", "-c", script, "sh"];
    let (code, report) = report(&shell);
    assert_lacks(code, &report, &["namespace-user", "namespace-pid"]);
    assert_eq!(finding(&report, "namespace-user")["cure"], "sysctl user.max_user_namespaces=15000");
    assert_eq!(finding(&report, "userns-for-users")["status"], "missing");
}

fn doctor_tells_a_user_how_to_get_ids() {
    requires!(root);
    let (_, report) = report(&USER);
    assert_eq!(report["uid"], 4343);
    let range = finding(&report, "subuid");
    assert_eq!(range["status"], "limited", "{range}");
    assert_eq!(range["cure"], "usermod --add-subuids 100000-165535 4343");
    assert_eq!(finding(&report, "namespace-user")["status"], "ok");
    assert_eq!(finding(&report, "idmapped-mounts")["status"], "limited");
}

fn doctor_names_missing_capabilities() {
    requires!(root);
    let (_, report) = report(&["setpriv", "--bounding-set=-mknod,-sys_resource"]);
    for name in ["CAP_MKNOD", "CAP_SYS_RESOURCE"] {
        let f = finding(&report, &format!("capability-{name}"));
        assert_eq!((&f["status"], &f["needed"]), (&json!("limited"), &json!(false)), "{f}");
    }
    let text = report.to_string();
    assert!(!text.contains("capability-CAP_CHOWN"), "{text}");
}

fn doctor_sees_hidden_processes() {
    requires!(root);
    let script = "mount -t proc -o hidepid=2 proc /proc && exec \"$@\"";
    let (_, report) = report(&["unshare", "-m", "-p", "-f", "sh", "-c", script, "sh"]);
    let f = finding(&report, "proc-options");
    assert!(f["value"].as_str().unwrap().starts_with("hidepid="), "{f}");
    assert_eq!(f["cure"], "mount -o remount,hidepid=0 /proc");
}

fn doctor_works_without_a_state_directory() {
    requires!(root);
    let mut user = vec!["env", "-u", "XDG_RUNTIME_DIR"];
    user.extend(USER);
    let (code, report) = report(&user);
    assert_lacks(code, &report, &["state-directory"]);
}

fn doctor_has_colour_on_a_terminal_only() {
    requires!(command("doctor"));
    let escape = '\u{1b}';
    assert!(!Call::plain(["doctor"]).output().stdout().contains(escape));
    let seen = |env: &[(&str, &str)]| {
        let (mut master, slave) = pty::open(50, 200);
        let mut call = Call::plain(["doctor"]).terminal(slave);
        for (key, value) in env {
            call = call.env(key, value);
        }
        let running = call.spawn();
        let text = master.read_to_end();
        running.wait();
        text
    };
    assert!(seen(&[("NO_COLOR", "")]).contains(escape));
    assert!(!seen(&[("NO_COLOR", "1")]).contains(escape));
}
