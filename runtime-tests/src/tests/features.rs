//! `rt features` against features.md of the specification, and against what really works.

use runtime_tests::prelude::*;

tests![
    features_have_all_keys_of_the_specification,
    every_mount_option_told_is_taken,
    every_seccomp_word_told_is_taken,
    supported_seccomp_flags_can_be_loaded,
    every_namespace_told_can_be_made,
    every_capability_told_is_taken,
    what_is_told_as_missing_is_refused,
];

fn features() -> Value {
    requires!(command("features"));
    Call::plain(["features"]).output().json()
}

#[track_caller]
fn words(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("{list} is no list"));
    list.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
}

#[track_caller]
fn assert_keys(object: &Value, keys: &[&str]) {
    let have: Vec<&String> = object.as_object().expect("an object").keys().collect();
    assert_eq!(have, keys);
}

/// `rt plan` as far as a config is understood; the requirement skips runtimes without it.
fn plan(b: &Bundle) -> Output {
    requires!(command("plan"));
    b.write();
    rt(["plan", "--bundle", b.dir().to_str().unwrap()]).output()
}

/// features.md and features-linux.md of 1.3; the keys are sorted.
fn features_have_all_keys_of_the_specification() {
    differs!(Runc, "1.1 knows version 1.0 of the document");
    differs!(Crun, "1.8 knows version 1.0 of the document");
    let all = features();
    assert_keys(
        &all,
        &[
            "annotations",
            "hooks",
            "linux",
            "mountOptions",
            "ociVersionMax",
            "ociVersionMin",
            "potentiallyUnsafeConfigAnnotations",
        ],
    );
    let linux = &all["linux"];
    assert_keys(
        linux,
        &[
            "apparmor",
            "capabilities",
            "cgroup",
            "intelRdt",
            "memoryPolicy",
            "mountExtensions",
            "namespaces",
            "netDevices",
            "seccomp",
            "selinux",
        ],
    );
    assert_keys(&linux["cgroup"], &["rdma", "systemd", "systemdUser", "v1", "v2"]);
    assert_keys(
        &linux["seccomp"],
        &["actions", "archs", "enabled", "knownFlags", "operators", "supportedFlags"],
    );
    assert_keys(&linux["intelRdt"], &["enabled", "monitoring", "schemata"]);
    assert_keys(&linux["memoryPolicy"], &["flags", "modes"]);
    for name in ["apparmor", "selinux", "netDevices"] {
        assert!(linux[name]["enabled"].is_boolean(), "{name}: {linux}");
    }
    assert!(linux["mountExtensions"]["idmap"]["enabled"].is_boolean());
    for word in words(&linux["capabilities"]) {
        assert!(
            word.strip_prefix("CAP_")
                .is_some_and(|rest| { rest.chars().all(|c| c.is_ascii_uppercase() || c == '_') }),
            "{word}"
        );
    }
    // Both must be names with a dot: reversed domains.
    for word in words(&all["potentiallyUnsafeConfigAnnotations"]) {
        assert!(word.contains('.'), "{word}");
    }
}

fn every_mount_option_told_is_taken() {
    for option in words(&features()["mountOptions"]) {
        let options: Vec<&str> = match option.as_str() {
            "remount" | "idmap" | "ridmap" | "copy-symlink" | "src-nofollow" => {
                vec!["bind", &option]
            }
            option => vec![option],
        };
        let bind = options.contains(&"bind") || option == "rbind";
        let (kind, source) = if bind { ("none", "/proc") } else { ("tmpfs", "tmpfs") };
        let mut b = Bundle::new().mount("/data", kind, source, &options);
        if option.ends_with("idmap") {
            b = b.with(|c| {
                let map = json!([{ "containerID": 0, "hostID": 1, "size": 1 }]);
                let mount = c["mounts"].as_array_mut().unwrap().last_mut().unwrap();
                mount["uidMappings"] = map.clone();
                mount["gidMappings"] = map;
            });
        }
        let output = plan(&b);
        assert_eq!(output.code, 0, "{option}: {}", output.stderr());
        // An unknown word of a tmpfs would be handed to the kernel as data.
        let shown = output.stdout();
        let line = shown.lines().find(|l| l.contains("/data")).expect("the mount");
        assert!(!line.contains(&format!("data=\"{option}\"")), "{line}");
    }
    let unknown = plan(&Bundle::new().mount("/data", "none", "/proc", &["bind", "nosuchoption"]));
    unknown.assert_fails();
}

fn seccomp(change: impl FnOnce(&mut Value)) -> Bundle {
    Bundle::new().with(|c| {
        let mut filter = json!({ "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["personality"], "action": "SCMP_ACT_ERRNO" }] });
        change(&mut filter);
        c["linux"]["seccomp"] = filter;
    })
}

fn every_seccomp_word_told_is_taken() {
    let told = &features()["linux"]["seccomp"];
    for action in words(&told["actions"]) {
        let output = plan(&seccomp(|s| {
            s["syscalls"][0]["action"] = json!(action);
            if action == "SCMP_ACT_NOTIFY" {
                s["listenerPath"] = json!("/run/agent");
            }
        }));
        assert_eq!(output.code, 0, "{action}: {}", output.stderr());
    }
    for operator in words(&told["operators"]) {
        let rule = json!([{ "index": 0, "value": 1, "valueTwo": 1, "op": operator }]);
        let output = plan(&seccomp(|s| s["syscalls"][0]["args"] = rule));
        assert_eq!(output.code, 0, "{operator}: {}", output.stderr());
    }
    for arch in words(&told["archs"]) {
        let output = plan(&seccomp(|s| s["architectures"] = json!([arch])));
        assert_eq!(output.code, 0, "{arch}: {}", output.stderr());
    }
    let notify = words(&told["actions"]).contains(&"SCMP_ACT_NOTIFY".to_owned());
    for flag in words(&told["knownFlags"]) {
        let killable = flag == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV";
        let output = plan(&seccomp(|s| {
            s["flags"] = json!([flag]);
            if killable {
                s["syscalls"][0]["action"] = json!("SCMP_ACT_NOTIFY");
                s["listenerPath"] = json!("/run/agent");
            }
        }));
        // It is about notifications, and goes as far as they do.
        assert_eq!(output.code == 0, notify || !killable, "{flag}: {}", output.stderr());
    }
    plan(&seccomp(|s| s["flags"] = json!(["SECCOMP_FILTER_FLAG_NOSUCH"]))).assert_fails();
    plan(&seccomp(|s| s["syscalls"][0]["action"] = json!("SCMP_ACT_NOSUCH"))).assert_fails();
}

fn supported_seccomp_flags_can_be_loaded() {
    differs!(Runc, "1.1 tells no flags");
    let told = &features()["linux"]["seccomp"];
    let known = words(&told["knownFlags"]);
    let flags = words(&told["supportedFlags"]);
    assert!(flags.contains(&"SECCOMP_FILTER_FLAG_LOG".to_owned()), "{flags:?}");
    for flag in flags {
        assert!(known.contains(&flag), "{flag}");
        // It is about notifications: without a listener there are none.
        if flag == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" {
            continue;
        }
        let output = seccomp(|s| s["flags"] = json!([flag])).run(&["/probe", "echo", "ran"]);
        assert_eq!(output.stdout().trim(), "ran", "{flag}: {}", output.stderr());
    }
}

fn every_namespace_told_can_be_made() {
    requires!(root);
    for kind in words(&features()["linux"]["namespaces"]) {
        let b = Bundle::new().namespace(&kind, None).with(|c| {
            if kind == "user" {
                let map = json!([{ "containerID": 0, "hostID": 0, "size": 65536 }]);
                c["linux"]["uidMappings"] = map.clone();
                c["linux"]["gidMappings"] = map;
            }
        });
        b.run(&["/probe", "echo", "ran"]).assert_stdout("ran");
    }
}

fn every_capability_told_is_taken() {
    let all = words(&features()["linux"]["capabilities"]);
    assert!(all.len() > 30, "{all:?}");
    let b = Bundle::new().with(|c| {
        c["process"]["capabilities"] = json!({ "bounding": all });
    });
    b.run(&["/probe", "echo", "ran"]).assert_stdout("ran");
}

/// A config may not use what is told as missing, and may what is told as there.
fn what_is_told_as_missing_is_refused() {
    differs!(Runc, "1.1 ignores fields of version 1.3");
    differs!(Crun, "1.8 ignores fields of version 1.3");
    let linux = &features()["linux"];
    let cases = [
        (linux["intelRdt"]["enabled"] == true, "intelRdt", json!({ "closID": "a" })),
        (linux["netDevices"]["enabled"] == true, "netDevices", json!({ "eth7": {} })),
        (
            !words(&linux["memoryPolicy"]["modes"]).is_empty(),
            "memoryPolicy",
            json!({ "mode": "MPOL_INTERLEAVE", "nodes": "0" }),
        ),
    ];
    for (is_told, field, value) in cases {
        let output = plan(&Bundle::new().with(|c| c["linux"][field] = value));
        if is_told {
            assert_eq!(output.code, 0, "{field}: {}", output.stderr());
        } else {
            output.assert_fails().assert_stderr_has(&format!("linux.{field}"));
        }
    }
    for mode in words(&linux["memoryPolicy"]["modes"]) {
        let policy = json!({ "mode": mode, "nodes": "0" });
        let output = plan(&Bundle::new().with(|c| c["linux"]["memoryPolicy"] = policy));
        // Modes without nodes refuse some, and say which field that is.
        assert!(
            output.code == 0 || output.stderr().contains("linux.memoryPolicy.nodes"),
            "{mode}: {}",
            output.stderr()
        );
    }
    // Systemd: told means that the flag is understood, wherever no systemd runs.
    let b = Bundle::new();
    b.write();
    let output = rt(["create", "--bundle", b.dir().to_str().unwrap(), b.id()])
        .global(["--systemd-cgroup"])
        .output();
    if linux["cgroup"]["systemd"] == false {
        output.assert_fails().assert_stderr_has("--systemd-cgroup: not supported");
    } else {
        assert!(!output.stderr().contains("not supported"), "{}", output.stderr());
        rt(["delete", "--force", b.id()]).output();
    }
}
