//! Errors: one line that names the field, and the cure. The exact words are `rt`'s; any other
//! runtime must refuse the same configurations, in its own words.

use std::fs;

use runtime_tests::prelude::*;

tests![
    config_errors_name_the_field,
    json_errors_name_line_and_column,
    missing_bundle_names_the_file,
    unknown_and_existing_ids,
    wrong_states_say_the_state,
    missing_program_has_the_words_engines_look_for,
    mount_of_another_kind_has_the_words_engines_look_for,
    strings_with_nul_are_refused,
    very_long_strings_are_refused_or_work,
    error_is_one_line_and_perhaps_a_hint,
    memory_limit_too_low_says_so,
    start_reports_a_failing_execve,
];

/// In `rt`'s error all of `words` must be found.
#[track_caller]
fn assert_words(output: &Output, words: &[&str]) {
    if runtime() == Runtime::Rt {
        for word in words {
            output.assert_stderr_has(word);
        }
    }
}

/// A change to the configuration at a JSON pointer, and what `rt` must say about it.
const FIELDS: &[(&str, &str, &[&str])] = &[
    ("/mounts/0/options", r#"["nosuid", "mode=rubbish\u0000"]"#, &["mounts[0].options[1]"]),
    ("/mounts/1/destination", r#""""#, &["mounts[1].destination"]),
    ("/linux/namespaces/2/type", r#""nosuch""#, &["linux.namespaces[2]"]),
    ("/linux/namespaces/1", r#"{"type": "pid"}"#, &["linux.namespaces[1]", "pid"]),
    ("/linux/maskedPaths", r#"["/proc/kcore", "relative"]"#, &["linux.maskedPaths[1]"]),
    ("/linux/rootfsPropagation", r#""nosuch""#, &["linux.rootfsPropagation", "nosuch"]),
    ("/linux/sysctl", r#"{"kernel.panic": "1"}"#, &["linux.sysctl", "kernel.panic"]),
    ("/linux/devices", r#"[{"path": "/dev/x", "type": "z"}]"#, &["linux.devices[0]"]),
    ("/process/cwd", r#""relative""#, &["process.cwd"]),
    ("/process/args", "[]", &["process.args"]),
    (
        "/process/rlimits",
        r#"[{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}]"#,
        &["process.rlimits[0]", "RLIMIT_NOSUCH"],
    ),
    ("/ociVersion", r#""9.9.9""#, &["ociVersion", "9.9.9"]),
    ("/root/path", r#""nosuch""#, &["root.path"]),
    ("/linux/seccomp", r#"{"defaultAction": "NOSUCH"}"#, &["linux.seccomp.defaultAction"]),
    ("/hooks/prestart", r#"[{"path": "relative"}]"#, &["hooks.prestart[0].path"]),
];

/// What 1.1 of runc takes without a word; newer ones refuse more.
const TAKEN_BY_RUNC: &[&str] = &["/linux/maskedPaths", "/ociVersion"];

fn config_errors_name_the_field() {
    differs!(Crun, "takes several, and leaves the cgroup behind where it does not");
    for (pointer, value, words) in FIELDS {
        if runtime() == Runtime::Runc && TAKEN_BY_RUNC.contains(pointer) {
            continue;
        }
        println!("{pointer} = {value}");
        let b = Bundle::new().with(|c| {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let parent = c.pointer_mut(parent).unwrap();
            let value: Value = serde_json::from_str(value).unwrap();
            match key.parse::<usize>() {
                Ok(index) => parent[index] = value,
                Err(_) => parent[key] = value,
            }
        });
        assert_words(&b.assert_create_refused(), words);
    }
}

fn json_errors_name_line_and_column() {
    let b = Bundle::new();
    fs::write(b.dir().join("config.json"), "{\n  \"ociVersion\": \"1.0.2\",\n  broken\n}\n")
        .unwrap();
    let output = rt(["create", "--bundle", b.dir().to_str().unwrap(), b.id()]).output();
    assert_words(&output, &["config.json", "line 3", "column"]);
}

fn missing_bundle_names_the_file() {
    let output = rt(["create", "--bundle", "/nosuch/bundle", &new_id()]).output();
    assert_words(&output, &["/nosuch/bundle", "no such file or directory"]);
}

fn unknown_and_existing_ids() {
    let id = new_id();
    assert_words(&rt(["state", &id]).output(), &[&id, "does not exist"]);
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    let again = rt(["create", "--bundle", c.bundle().to_str().unwrap(), c.id()]).output();
    assert_words(&again, &[c.id(), "exists"]);
    c.end();
}

fn wrong_states_say_the_state() {
    let c = Bundle::new().args(&["/probe", "sleep", "60"]).create();
    c.start();
    assert_words(&c.call("start").output(), &["running"]);
    assert_words(&c.call("delete").output(), &["running", "not stopped"]);
    c.kill("KILL").wait_status("stopped");
    let output = c.call("kill").arg("TERM").output();
    assert_words(&output, &["container not running"]);
    assert_words(&c.exec(&["/probe"]), &["stopped"]);
    c.delete();
}

fn missing_program_has_the_words_engines_look_for() {
    assert_words(
        &Bundle::new().run(&["nosuchprogram"]),
        &["executable file not found in $PATH", "nosuchprogram"],
    );
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    assert_words(&c.exec(&["nosuchprogram"]), &["executable file not found in $PATH"]);
    c.end();
}

/// Docker makes of them exit code 127, and the advice to look at the source's type.
fn mount_of_another_kind_has_the_words_engines_look_for() {
    for (source, destination) in [("/etc/passwd", "/directory"), ("/etc", "/file")] {
        let output = Bundle::new()
            .file("/file", "")
            .file("/directory/file", "")
            .mount(destination, "bind", source, &["bind"])
            .run(&["/probe", "true"]);
        output.assert_fails();
        assert_words(&output, &[destination, "not a directory", "hint: "]);
    }
}

/// A C string would end at the NUL, and something else would be done than what was checked.
fn strings_with_nul_are_refused() {
    differs!(Crun, "its JSON parser cuts strings at the NUL");
    for pointer in [
        "/process/args/0",
        "/process/env/0",
        "/process/cwd",
        "/hostname",
        "/mounts/0/source",
        "/mounts/0/destination",
        "/root/path",
    ] {
        if runtime() == Runtime::Runc && ["/hostname"].contains(&pointer) {
            continue; // sethostname(2) takes it
        }
        println!("{pointer}");
        let b = Bundle::new().with(|c| {
            let old = c.pointer(pointer).unwrap().as_str().unwrap().to_owned();
            *c.pointer_mut(pointer).unwrap() = json!(format!("{old}\u{0}/x"));
        });
        b.assert_create_refused();
    }
}

/// CVE-2021-43784: a length that wraps around at 64 KiB. Each is refused, or does what it says.
fn very_long_strings_are_refused_or_work() {
    let long = "x".repeat(70_000);
    let output = Bundle::new().run(&["/probe", "echo", &long]);
    output.assert_stdout(&long);
    let b = Bundle::new().mount("/m", "bind", &format!("/{long}"), &["bind"]);
    b.run(&["/probe", "true"]).assert_fails();
    let b = Bundle::new().mount(&format!("/{long}"), "tmpfs", "tmpfs", &[]);
    b.run(&["/probe", "true"]).assert_fails();
    let b = Bundle::new().with(|c| c["hostname"] = json!(long));
    b.run(&["/probe", "true"]).assert_fails();
}

fn error_is_one_line_and_perhaps_a_hint() {
    let outputs = [
        rt(["state", &new_id()]).output(),
        Bundle::new().run(&["nosuchprogram"]),
        Bundle::new().mount("/m", "bind", "/nosuch", &["bind"]).run(&["/probe", "true"]),
        rt(["create", "--bundle", "/nosuch", &new_id()]).output(),
    ];
    for output in outputs {
        let text = output.stderr();
        let mut lines = text.lines().filter(|l| !l.contains("level=warning"));
        assert!(lines.next().is_some());
        for hint in lines {
            assert!(hint.starts_with("  hint: "), "{text}");
            for word in
                ["permission denied", "operation not permitted", "no such file or directory"]
            {
                assert!(
                    !hint.to_lowercase().contains(word),
                    "an engine would take the hint for the error: {hint}"
                );
            }
        }
    }
}

fn memory_limit_too_low_says_so() {
    requires!(root, controller("memory"));
    let b =
        Bundle::new().with(|c| c["linux"]["resources"]["memory"] = json!({ "limit": 4096 * 16 }));
    let output = b.run(&["/probe", "true"]);
    // 137: it was enough for the runtime's part, not for the payload's.
    if ![0, 137].contains(&output.code) {
        assert_words(&output, &["memory"]);
    }
}

/// After `create` everything that can go wrong is in execve(2); runc finds the program at create.
fn start_reports_a_failing_execve() {
    let b = Bundle::new().file("/script", "#!/nosuch\n").mode("/script", 0o755).args(&["/script"]);
    let created = b.try_create(&[]);
    if created.code != 0 {
        created.assert_fails();
        return;
    }
    let c = Container::new(&b, created);
    sometimes_differs!(Crun, "start does not wait for execve");
    assert_words(&c.call("start").output(), &["/script", "no such file or directory"]);
    c.wait_status("stopped").delete();
}
