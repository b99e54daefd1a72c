//! The command line as engines use it: globals, logs, formats of list, state, ps, spec, features.

use std::fs;

use runtime_tests::prelude::*;

tests![
    version_names_program_commit_and_spec,
    help_is_given,
    bash_completes_commands_and_flags,
    log_gets_one_json_object_per_failure,
    log_stays_empty_when_all_is_well,
    log_as_text_has_one_line,
    error_also_goes_to_stderr,
    unknown_flags_and_commands_are_refused,
    wrong_number_of_arguments_is_refused,
    globals_after_the_command_are_refused,
    single_dash_flags_are_accepted,
    flags_take_values_with_equals_sign,
    state_has_every_field,
    state_of_a_stopped_container_has_no_pid,
    list_as_table_json_and_ids,
    list_is_empty_without_containers,
    ps_lists_processes,
    ps_takes_options_of_ps,
    spec_writes_a_config_that_runs,
    spec_refuses_to_overwrite,
    spec_rootless_maps_the_caller,
    spec_equals_that_of_runc,
    features_have_the_keys_engines_read,
    root_is_made_when_missing,
    missing_bundle_and_broken_config_are_refused,
    config_without_required_fields_is_refused,
    unknown_oci_version_is_refused,
    unknown_fields_are_ignored,
    plan_shows_each_intent_with_its_field,
    plan_does_nothing,
    plan_shows_the_unit_of_systemd,
];

fn version_names_program_commit_and_spec() {
    let output = Call::plain(["--version"]).output();
    output.assert_exit(0);
    let lines = output.lines();
    assert!(lines[0].contains(" version "), "{lines:?}");
    for word in ["commit: ", "spec: "] {
        assert!(lines.iter().any(|l| l.starts_with(word)), "no {word} in {lines:?}");
    }
    let spec = lines.iter().find_map(|l| l.strip_prefix("spec: ")).unwrap();
    assert!(spec.starts_with("1."), "{spec}");
}

fn help_is_given() {
    assert!(Call::plain(["--help"]).ok().contains("create"));
    // Podman asks this before it offers checkpoints; here for the commands that all have.
    for command in
        ["create", "start", "run", "exec", "kill", "delete", "state", "list", "update", "spec"]
    {
        assert!(!Call::plain([command, "--help"]).ok().is_empty(), "{command}");
    }
}

/// Of `rt`, whichever runtime is under test.
fn bash_completes_commands_and_flags() {
    requires!(program("/bin/bash"));
    let file = scratch().join("rt.bash");
    fs::write(&file, include_str!("../../../contrib/completions/rt.bash")).unwrap();
    let complete = |words: &str, word: &str, before: &str| {
        let script = format!(
            "source {}; complete -p rt >/dev/null || exit; COMP_WORDS=({words}); \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _rt rt '{word}' '{before}'; echo ${{COMPREPLY[@]}}",
            file.display()
        );
        let output =
            std::process::Command::new("/bin/bash").args(["-c", &script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete("rt sta", "sta", "rt"), "start state\n");
    assert_eq!(complete("rt run --de", "--de", "run"), "--detach\n");
}

fn failing_call(log: &std::path::Path, format: &str) -> Output {
    rt(["state", &new_id()])
        .global(["--log", log.to_str().unwrap(), "--log-format", format])
        .output()
}

/// containerd reads the last line, Podman the whole file as one object, both want a lower-case level.
fn log_gets_one_json_object_per_failure() {
    let log = scratch().join("log.json");
    for failures in 1..=2 {
        failing_call(&log, "json").assert_exit(1);
        let text = fs::read_to_string(&log).unwrap();
        assert_eq!(text.lines().count(), failures, "appends one line per failure: {text}");
        for line in text.lines() {
            let entry: Value = serde_json::from_str(line).expect("each line is JSON");
            assert_eq!(entry["level"], "error", "{line}");
            assert!(!entry["msg"].as_str().unwrap().is_empty(), "{line}");
            assert_rfc3339(entry["time"].as_str().unwrap());
        }
    }
}

/// `2026-01-02T03:04:05Z`, with or without a fraction, Z or an offset.
#[track_caller]
fn assert_rfc3339(time: &str) {
    let shape: String =
        time.chars().take(19).map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(shape, "9999-99-99T99:99:99", "{time}");
    assert!(
        time.ends_with('Z') || time.get(19..).is_some_and(|t| t.contains(['+', '-'])),
        "{time}"
    );
}

fn log_stays_empty_when_all_is_well() {
    let log = scratch().join("log.json");
    let b = Bundle::new().args(&["/probe", "true"]);
    let call = b.run_call().arg(b.id());
    call.global(["--log", log.to_str().unwrap(), "--log-format", "json"]).output().assert_exit(0);
    assert_eq!(fs::read_to_string(&log).unwrap_or_default(), "");
}

fn log_as_text_has_one_line() {
    let log = scratch().join("log.txt");
    failing_call(&log, "text").assert_fails_somewhere();
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
}

/// conmon falls back on stderr; buildah has nothing else.
fn error_also_goes_to_stderr() {
    let log = scratch().join("log.json");
    let output = failing_call(&log, "json");
    let entry: Value = serde_json::from_str(&fs::read_to_string(&log).unwrap()).unwrap();
    output.assert_fails().assert_stderr_has(entry["msg"].as_str().unwrap());
}

fn unknown_flags_and_commands_are_refused() {
    rt(["nosuchcommand"]).output().assert_fails_somewhere();
    for args in [["state", "--nosuchflag", "x"], ["list", "--format", "nosuchformat"]] {
        rt(args).output().assert_fails_somewhere();
    }
    rt(["list"]).global(["--nosuchglobal"]).output().assert_fails_somewhere();
}

fn wrong_number_of_arguments_is_refused() {
    for args in [
        vec!["create"],
        vec!["start"],
        vec!["state"],
        vec!["state", "a", "b"],
        vec!["exec"],
        vec!["delete"],
    ] {
        rt(args).output().assert_fails_somewhere();
    }
}

fn globals_after_the_command_are_refused() {
    let root = scratch().join("root");
    Call::plain(["list", "--root", root.to_str().unwrap()]).output().assert_fails_somewhere();
}

/// go-runc sends `-no-subreaper`; Go's flag package takes one dash or two.
fn single_dash_flags_are_accepted() {
    differs!(Crun, "getopt takes two dashes only");
    let b = Bundle::new().args(&["/probe", "echo", "ran"]);
    b.write();
    let dir = b.dir().to_str().unwrap();
    rt(["run", "-no-subreaper", "-bundle", dir, b.id()]).output().assert_stdout("ran");
    rt(["list", "-format", "json"]).output().assert_exit(0);
}

fn flags_take_values_with_equals_sign() {
    let b = Bundle::new().args(&["/probe", "echo", "ran"]);
    b.write();
    rt(["run", &format!("--bundle={}", b.dir().display()), b.id()]).output().assert_stdout("ran");
}

fn state_has_every_field() {
    differs!(Crun, "rootfs is what the config says, not absolute");
    let b = Bundle::new().args(&["/probe", "sleep", "60"]).with(|c| {
        c["annotations"] = json!({ "org.example.key": "value" });
    });
    let c = b.create();
    for status in ["created", "running"] {
        let state = c.state();
        assert_eq!(state["status"], status);
        assert!(state["ociVersion"].as_str().unwrap().starts_with("1."), "{state}");
        assert_eq!(state["id"], c.id());
        assert_eq!(state["bundle"], c.bundle().to_str().unwrap());
        // BuildKit reads it; the spec does not have it.
        assert_eq!(state["rootfs"], b.rootfs().to_str().unwrap());
        assert_eq!(state["annotations"]["org.example.key"], "value");
        assert_rfc3339(state["created"].as_str().unwrap());
        assert!(state["owner"].is_string(), "{state}");
        let pid = state["pid"].as_i64().unwrap();
        assert!(fs::metadata(format!("/proc/{pid}")).is_ok(), "pid of this namespace: {state}");
        if status == "created" {
            c.start();
        }
    }
    c.end();
}

fn state_of_a_stopped_container_has_no_pid() {
    let c = Bundle::new().start(&["/probe", "true"]);
    c.wait_status("stopped");
    assert_eq!(c.state()["pid"], 0);
    c.delete();
}

fn list_as_table_json_and_ids() {
    let one = Bundle::new().start(&["/probe", "sleep", "60"]);
    let two = Bundle::new().args(&["/probe", "sleep", "60"]).create();
    let mut ids = [one.id(), two.id()];
    ids.sort_unstable();
    let quiet = rt(["list", "-q"]).output();
    let mut lines = quiet.lines();
    lines.sort_unstable();
    assert_eq!(lines, ids);
    let all = rt(["list", "--format", "json"]).output().json();
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 2);
    let entry = all.iter().find(|e| e["id"] == one.id()).unwrap();
    assert_eq!(entry["pid"], one.pid());
    assert_eq!(entry["status"], "running");
    assert_eq!(entry["bundle"], one.bundle().to_str().unwrap());
    let table = rt(["list"]).output().lines();
    assert_eq!(table.len(), 3, "{table:?}");
    let header = if runtime() == Runtime::Crun { "NAME" } else { "ID" };
    assert_eq!(table[0].split_whitespace().next(), Some(header));
    for word in ["PID", "STATUS", "BUNDLE", "CREATED", "OWNER"] {
        assert!(table[0].contains(word), "{}", table[0]);
    }
    let line = table.iter().find(|l| l.starts_with(one.id())).unwrap();
    assert!(line.contains("running") && line.contains(&one.pid().to_string()), "{line}");
    two.delete_force();
    one.end();
}

fn list_is_empty_without_containers() {
    assert_eq!(rt(["list", "-q"]).ok(), "");
    let empty = rt(["list", "--format", "json"]).output().json();
    assert!(empty.is_null() || empty.as_array().is_some_and(Vec::is_empty), "{empty}");
}

fn ps_lists_processes() {
    requires!(root);
    let c = Bundle::new().start(&["/probe", "orphan", "60", "--", "sleep", "60"]);
    c.wait_for("ok");
    let pids = rt(["ps", "--format", "json", c.id()]).output().json();
    let pids: Vec<i64> = pids.as_array().unwrap().iter().map(|p| p.as_i64().unwrap()).collect();
    assert_eq!(pids.len(), 2, "{pids:?}");
    assert!(pids.contains(&i64::from(c.pid())), "{pids:?}");
    let table = rt(["ps", c.id()]).output().lines();
    assert!(table[0].split_whitespace().any(|w| w == "PID"), "{table:?}");
    assert_eq!(table.len(), 3, "{table:?}");
    c.end();
}

/// `docker top` passes them on and looks for the column PID.
fn ps_takes_options_of_ps() {
    requires!(root, program("/usr/bin/ps"));
    differs!(Crun, "takes no options of ps");
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let table = rt(["ps", c.id(), "-o", "pid,args"]).output().lines();
    assert_eq!(table.len(), 2, "{table:?}");
    assert!(table[1].contains("/probe sleep 60"), "{table:?}");
    c.end();
}

fn spec_writes_a_config_that_runs() {
    differs!(Crun, "wants RLIMIT_MEMLOCK raised for its device program");
    let b = Bundle::new();
    // The plain one mounts devpts for group 5, which an ordinary user's namespace does not map.
    let rootless = runtime_tests::isolate::rootless();
    let flags: &[&str] = if rootless { &["--rootless"] } else { &[] };
    rt(["spec", "--bundle", b.dir().to_str().unwrap()]).args(flags).output().assert_exit(0);
    let text = fs::read_to_string(b.dir().join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["process"]["args"], json!(["sh"]));
    assert_eq!(config["root"]["path"], "rootfs");
    config["process"]["args"] = json!(["/probe", "echo", "ran"]);
    config["process"]["terminal"] = json!(false);
    if !rootless {
        config["linux"]["cgroupsPath"] = b.config["linux"]["cgroupsPath"].clone();
    }
    b.with(|c| *c = config).run(&["/probe", "echo", "ran"]).assert_stdout("ran");
}

fn spec_refuses_to_overwrite() {
    let b = Bundle::new();
    b.write();
    rt(["spec", "--bundle", b.dir().to_str().unwrap()]).output().assert_fails();
}

fn spec_rootless_maps_the_caller() {
    differs!(Crun, "keeps the network namespace");
    let b = Bundle::new();
    rt(["spec", "--rootless", "--bundle", b.dir().to_str().unwrap()]).output().assert_exit(0);
    let config: Value =
        serde_json::from_str(&fs::read_to_string(b.dir().join("config.json")).unwrap()).unwrap();
    let kinds: Vec<&str> = config["linux"]["namespaces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n["type"].as_str().unwrap())
        .collect();
    assert!(kinds.contains(&"user") && !kinds.contains(&"network"), "{kinds:?}");
    assert_eq!(config["linux"]["uidMappings"][0]["hostID"], 0);
    assert_eq!(config["linux"]["uidMappings"][0]["containerID"], 0);
}

/// People diff it with what they have: the same file but for version, host name and terminal details.
fn spec_equals_that_of_runc() {
    requires!(program("/usr/sbin/runc"));
    differs!(Crun, "its own defaults");
    let spec = |program: &[&str], name: &str| -> Value {
        let dir = scratch().join(name);
        fs::create_dir(&dir).unwrap();
        let status =
            std::process::Command::new(program[0]).arg("spec").current_dir(&dir).status().unwrap();
        assert!(status.success());
        let mut config: Value =
            serde_json::from_slice(&fs::read(dir.join("config.json")).unwrap()).unwrap();
        let top = config.as_object_mut().unwrap();
        top.remove("ociVersion");
        top.remove("hostname");
        // runc stopped to set these two: they have no effect for root.
        let capabilities = config["process"]["capabilities"].as_object_mut().unwrap();
        capabilities.remove("ambient");
        capabilities.remove("inheritable");
        // runc asks for a cgroup namespace where cgroup v2 alone is mounted.
        if !runtime_tests::cgroups::is_v2() {
            let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|n| n["type"] != "cgroup");
        }
        config
    };
    let ours = spec(&[runtime_tests::runtime::path().to_str().unwrap()], "ours");
    assert_eq!(ours, spec(&["/usr/sbin/runc"], "theirs"));
}

/// containerd, CRI-O and moby read these; CRI-O rejects the document without the versions.
fn features_have_the_keys_engines_read() {
    requires!(command("features"));
    let features = Call::plain(["features"]).output();
    features.assert_exit(0);
    let features = features.json();
    for key in ["ociVersionMin", "ociVersionMax"] {
        assert!(features[key].as_str().is_some_and(|v| v.starts_with("1.")), "{key}: {features}");
    }
    let has =
        |list: &Value, word: &str| list.as_array().is_some_and(|l| l.iter().any(|w| w == word));
    for hook in
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
    {
        assert!(has(&features["hooks"], hook), "{hook}");
    }
    for option in ["ro", "rro", "rbind", "rslave", "tmpcopyup"] {
        assert!(has(&features["mountOptions"], option), "{option}");
    }
    let linux = &features["linux"];
    for kind in ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"] {
        assert!(has(&linux["namespaces"], kind), "{kind}");
    }
    assert!(has(&linux["capabilities"], "CAP_SYS_ADMIN"));
    assert_eq!(linux["cgroup"]["v2"], true);
    // cgroup v1 is to come in rt.
    assert_eq!(linux["cgroup"]["v1"], true);
    assert_eq!(linux["seccomp"]["enabled"], true);
    assert!(has(&linux["seccomp"]["actions"], "SCMP_ACT_ERRNO"));
    assert!(has(&linux["seccomp"]["operators"], "SCMP_CMP_MASKED_EQ"));
    if runtime() == Runtime::Rt {
        assert_eq!(linux["mountExtensions"]["idmap"]["enabled"], true);
        assert!(has(&linux["namespaces"], "time"));
    }
}

fn root_is_made_when_missing() {
    let root = scratch().join("a/b/root");
    let b = Bundle::new().args(&["/probe", "echo", "ran"]);
    b.write();
    let call = Call::plain([
        "--root",
        root.to_str().unwrap(),
        "run",
        "--bundle",
        b.dir().to_str().unwrap(),
        b.id(),
    ]);
    call.output().assert_stdout("ran");
    assert!(root.is_dir());
}

fn missing_bundle_and_broken_config_are_refused() {
    let b = Bundle::new();
    let create = || rt(["create", "--bundle", b.dir().to_str().unwrap(), b.id()]).output();
    create().assert_fails();
    for text in ["", "{", "[]", "{\"ociVersion\": }", "{\"ociVersion\": 1}", "null", "\u{0}"] {
        fs::write(b.dir().join("config.json"), text).unwrap();
        create().assert_fails();
    }
    rt(["create", "--bundle", "/nosuch/bundle", b.id()]).output().assert_fails();
}

fn config_without_required_fields_is_refused() {
    differs!(Crun, "takes a process without args");
    for (object, key) in [("process", "cwd"), ("process", "args"), ("root", "path")] {
        let b = Bundle::new().with(|c| {
            c[object].as_object_mut().unwrap().remove(key);
        });
        b.assert_create_refused();
    }
    for (pointer, value) in
        [("/process/cwd", json!("relative")), ("/root/path", json!("nosuchdirectory"))]
    {
        let b = Bundle::new().with(|c| *c.pointer_mut(pointer).unwrap() = value);
        b.assert_create_refused();
    }
}

fn unknown_oci_version_is_refused() {
    differs!(Runc, "does not look at it");
    differs!(Crun, "looks at the first number only");
    for version in ["9.9", "2.0.0", "1", "x", ""] {
        Bundle::new().with(|c| c["ociVersion"] = json!(version)).assert_create_refused();
    }
    for version in ["1.0.0", "1.0.2-dev", "1.1.0+dev", "1.2.1", "1.3.0"] {
        Bundle::new()
            .with(|c| c["ociVersion"] = json!(version))
            .run(&["/probe", "true"])
            .assert_exit(0);
    }
}

/// runtime-spec, "Extensibility": unknown properties must not be an error.
fn unknown_fields_are_ignored() {
    let b = Bundle::new().with(|c| {
        c["nosuchfield"] = json!({ "a": [1] });
        c["process"]["nosuchfield"] = json!(true);
        c["linux"]["nosuchfield"] = json!("x");
    });
    b.run(&["/probe", "echo", "ran"]).assert_stdout("ran");
}

fn plan_shows_each_intent_with_its_field() {
    requires!(command("plan"));
    let b = Bundle::new().mount("/data", "tmpfs", "tmpfs", &["ro", "size=1m"]).with(|c| {
        c["linux"]["maskedPaths"] = json!(["/proc/kcore"]);
        c["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    });
    b.write();
    let text = rt(["plan", "--bundle", b.dir().to_str().unwrap()]).ok();
    for words in [
        &["/data", "tmpfs", "mounts[3]"][..],
        &["/proc/kcore", "linux.maskedPaths[0]"],
        &["uid=1000"],
        &["/probe"],
    ] {
        let found = text.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "no line with {words:?} in\n{text}");
    }
    let output = rt(["plan", "--format", "json", "--bundle", b.dir().to_str().unwrap()]).output();
    output.assert_exit(0);
    assert!(output.json().is_object() || output.json().is_array());
}

/// No side effect, and a wrong configuration is refused as by create.
fn plan_shows_the_unit_of_systemd() {
    requires!(command("plan"));
    let b = Bundle::new().with(|c| {
        c["linux"]["cgroupsPath"] = json!("a.slice:p:n");
        c["linux"]["resources"] = json!({ "pids": { "limit": 9 } });
        c["annotations"] = json!({ "org.systemd.property.CollectMode": "'inactive-or-failed'" });
    });
    b.write();
    let plan = || {
        Call::plain(["plan", "--bundle", b.dir().to_str().unwrap()]).global(["--systemd-cgroup"])
    };
    let text = plan().ok();
    for part in ["p-n.scope of systemd, in a.slice", "property TasksMax=9", "CollectMode="] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let b = b.with(|c| c["linux"]["cgroupsPath"] = json!("/a/b"));
    b.write();
    let output =
        Call::plain(["plan", "--bundle", b.dir().to_str().unwrap()]).global(["--systemd-cgroup"]);
    output.output().assert_fails().assert_stderr_has("is not of the form SLICE:PREFIX:NAME");
}

fn plan_does_nothing() {
    requires!(command("plan"));
    let b = Bundle::new();
    b.write();
    rt(["plan", "--bundle", b.dir().to_str().unwrap()]).output().assert_exit(0);
    assert!(!runtime_tests::isolate::state_root().exists(), "plan made the state directory");
    let names: Vec<_> = fs::read_dir(b.dir()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let b = Bundle::new().with(|c| c["process"]["cwd"] = json!("relative"));
    b.write();
    rt(["plan", "--bundle", b.dir().to_str().unwrap()]).output().assert_fails();
}
