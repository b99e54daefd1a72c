//! Rare fields of config.json: personality, RDT, and sections of other platforms.

use std::fs;

use runtime_tests::prelude::*;

tests![
    personality_has_no_flags,
    intel_rdt_is_planned,
    wrong_intel_rdt_is_refused,
    intel_rdt_without_resctrl_is_refused,
    update_of_schemata_needs_a_group,
    sections_of_other_platforms_are_ignored,
    virtual_machine_is_refused,
];

pub(super) fn plan_lines(b: &Bundle, word: &str) -> Vec<String> {
    requires!(command("plan"));
    b.write();
    let text = rt(["plan", "--bundle", b.dir().to_str().unwrap()]).ok();
    text.lines().filter(|l| l.contains(word)).map(str::to_owned).collect()
}

pub(super) fn plan_error(b: &Bundle) -> String {
    requires!(command("plan"));
    b.write();
    let output = rt(["plan", "--bundle", b.dir().to_str().unwrap()]).output();
    output.assert_fails();
    output.stderr()
}

/// config-linux.md, "Personality": there is none yet.
fn personality_has_no_flags() {
    let personality = |value: Value| Bundle::new().with(|c| c["linux"]["personality"] = value);
    let b = personality(json!({ "domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"] }));
    let error = plan_error(&b);
    let wanted = "linux.personality.flags[0]: \"ADDR_NO_RANDOMIZE\": the specification has no \
                  flags; remove it\n";
    assert!(error.contains(wanted), "{error}");
    let error = plan_error(&personality(json!({ "domain": "SVR4" })));
    assert!(error.contains("linux.personality.domain: unknown variant `SVR4`"), "{error}");
    let b = personality(json!({ "domain": "LINUX32", "flags": [] }));
    assert!(plan_lines(&b, "linux.personality")[0].contains("personality=0x8"));
}

/// config.md, "Platform-specific configuration" and "Extensibility".
fn sections_of_other_platforms_are_ignored() {
    let b = Bundle::new().with(|c| {
        c["windows"] = json!({ "layerFolders": [], "hyperv": {} });
        c["solaris"] = json!({ "milestone": "svc:/milestone/container:default" });
        c["zos"] = json!({ "namespaces": [] });
        c["freebsd"] = json!({ "jail": { "host": "new" } });
    });
    b.run(&["/probe", "echo", "ran"]).assert_stdout("ran");
    differs!(Runc, "looks at the types in sections of other platforms");
    differs!(Crun, "looks at the types in sections of other platforms");
    // Nobody but those platforms knows what is right in them.
    let b = Bundle::new().with(|c| {
        c["windows"] = json!({ "layerFolders": 1 });
        c["zos"] = json!(["?"]);
    });
    b.run(&["/probe", "echo", "ran"]).assert_stdout("ran");
}

fn virtual_machine_is_refused() {
    differs!(Runc, "ignores vm");
    differs!(Crun, "ignores vm");
    for vm in [json!({ "kernel": { "path": "/vmlinuz" } }), json!({ "hwConfig": { "vcpus": 2 } })] {
        let output = Bundle::new().with(|c| c["vm"] = vm).assert_create_refused();
        output.assert_stderr_has(
            "vm: rt runs containers on the host's kernel, not in virtual machines\n",
        );
        output.assert_stderr_has("hint: remove it, or use a runtime that is made for virtual");
    }
}

fn intel_rdt(rdt: Value) -> Bundle {
    Bundle::new().with(|c| c["linux"]["intelRdt"] = rdt)
}

fn intel_rdt_is_planned() {
    let b = intel_rdt(json!({ "closID": "gold", "enableMonitoring": true,
        "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20", "schemata": ["L3:0=7;1=f"] }));
    let lines = plan_lines(&b, "linux.intelRdt");
    let words: Vec<String> =
        lines.iter().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        words,
        [
            "resctrl group gold, with its own monitoring group linux.intelRdt.closID",
            "MB:0=20 linux.intelRdt",
            "L3:0=7;1=f linux.intelRdt"
        ]
    );
}

fn wrong_intel_rdt_is_refused() {
    for (rdt, error) in [
        (
            json!({ "closID": "a/b" }),
            "linux.intelRdt.closID: \"a/b\" is not a group name; choose one without '/', or \"/\" \
             alone\n",
        ),
        (
            json!({ "l3CacheSchema": "ff" }),
            "linux.intelRdt.l3CacheSchema: \"ff\" is not a line such as \"L3:0=7f0;1=1f\"\n",
        ),
        (
            json!({ "memBwSchema": "L3:0=f" }),
            "linux.intelRdt.memBwSchema: \"L3:0=f\" is not a line such as \"MB:0=20;1=70\"\n",
        ),
        (
            json!({ "schemata": ["L3:0=f\nL3:1=f"] }),
            "linux.intelRdt.schemata[0]: \"L3:0=f\\nL3:1=f\" is not a line such as",
        ),
    ] {
        let said = plan_error(&intel_rdt(rdt));
        assert!(said.contains(error), "{said}");
    }
}

fn no_resctrl() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    if mounts.contains(" - resctrl ") {
        skip!(Machine, "this host has resctrl");
    }
}

/// config-linux.md, `IntelRdt`: "the runtime MUST generate an error".
fn intel_rdt_without_resctrl_is_refused() {
    no_resctrl();
    differs!(Runc, "ignores it there");
    differs!(Crun, "has no hint");
    for rdt in [json!({}), json!({ "closID": "gold" }), json!({ "l3CacheSchema": "L3:0=f" })] {
        let output = intel_rdt(rdt).assert_create_refused();
        output.assert_stderr_has("linux.intelRdt: no resctrl file system is mounted\n");
        output.assert_stderr_has("hint: mount it with: mount -t resctrl resctrl /sys/fs/resctrl;");
    }
}

fn update_of_schemata_needs_a_group() {
    requires!(root, command("plan"));
    let c = Bundle::new().start(&["/probe", "sleep", "60"]);
    for (flag, schema) in [("--l3-cache-schema", "L3:0=f"), ("--mem-bw-schema", "MB:0=20")] {
        let output = rt(["update", flag, schema, c.id()]).output();
        output.assert_fails().assert_stderr_has("the container has no group in resctrl\n");
        output.assert_stderr_has("hint: create it with linux.intelRdt in its config");
        let output = rt(["update", flag, "x", c.id()]).output();
        output.assert_fails().assert_stderr_has(&format!("{flag}: \"x\" is not a line such as"));
    }
    c.end();
}
