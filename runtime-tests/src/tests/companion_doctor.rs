//! `bundles doctor`: what is found, and what is said of what is missing.

use std::fs;

use runtime_tests::companion::{Root, assert_nothing_is_left, bundles, bundles_as, processes};
use runtime_tests::isolate::scratch;
use runtime_tests::prelude::*;
use runtime_tests::second_user::SecondUser;

tests![
    companion_doctor_finds_root_well,
    companion_doctor_says_what_is_missing,
    companion_doctor_reads_the_files_of_pull,
    companion_doctor_of_an_ordinary_user,
];

fn doctor() -> Call {
    bundles(["doctor", "--format", "json", "--runtime"]).arg(runtime_tests::runtime::path())
}

/// A finding by its name.
fn finding<'a>(report: &'a Value, name: &str) -> &'a Value {
    let all = report["findings"].as_array().expect("findings");
    let found = all.iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {report}"))
}

fn report(output: &Output) -> Value {
    serde_json::from_str(&output.stdout()).expect("JSON")
}

fn assert_status(report: &Value, names: &[&str], status: &str) {
    for name in names {
        assert_eq!(finding(report, name)["status"], status, "{report}");
    }
}

fn companion_doctor_finds_root_well() {
    let _requirements = Root::new();
    let output = doctor().output();
    output.assert_exit(0);
    let found = report(&output);
    assert_eq!(found["ok"], true);
    assert_eq!(found["lacks"], json!([]));
    let all = ["oci-runtime", "home", "registries", "logins", "run", "overlay", "bridge"];
    assert_status(&found, &all, "ok");
    assert_status(&found, &["firewall", "low-ports"], "ok");
    assert!(found["findings"].as_array().expect("a list").iter().all(|one| {
        one["name"] != "subordinate-ids" && (one["status"] != "ok" || one["cure"].is_null())
    }));
    let text = bundles(["doctor", "--runtime"]).arg(runtime_tests::runtime::path()).ok();
    assert!(text.starts_with("runtime\n  ok       oci-runtime"), "{text}");
    assert!(text.ends_with("\neverything that containers need is there\n"), "{text}");
    assert_nothing_is_left();
}

fn companion_doctor_says_what_is_missing() {
    let output = bundles(["doctor", "--format", "json", "--runtime", "/nosuch"]).output();
    output.assert_exit(1);
    let found = report(&output);
    assert_eq!(found["lacks"].as_array().expect("a list")[0], "oci-runtime");
    let runtime = finding(&found, "oci-runtime");
    assert_eq!(runtime["value"], "--runtime /nosuch: no such program");
    assert_eq!(runtime["cure"], "write a path, or a name in PATH");
    let output = bundles(["--root", "/proc/nowhere/home", "doctor"]).output();
    output.assert_exit(1);
    assert!(output.stdout().contains("  missing  home "), "{}", output.stdout());
    let cure = "cure: choose a directory that you may write to, with --root DIR\n";
    assert!(output.stdout().contains(cure), "{}", output.stdout());
    assert!(output.stdout().ends_with("\nmissing, and needed by containers: home\n"));
}

fn companion_doctor_reads_the_files_of_pull() {
    let _requirements = Root::new();
    let (conf, auth) = (scratch().join("registries.conf"), scratch().join("auth.json"));
    fs::write(&conf, "[[registry]]\nblocked = true\n").expect("write");
    fs::write(&auth, "{\"auths\": {\"reg.test\": {\"auth\": \"!\"}}}").expect("write");
    let (conf, auth) = (conf.display().to_string(), auth.display().to_string());
    let output =
        doctor().env("CONTAINERS_REGISTRIES_CONF", &conf).env("REGISTRY_AUTH_FILE", &auth).output();
    output.assert_exit(0);
    let found = report(&output);
    assert_status(&found, &["registries", "logins"], "limited");
    let registries = finding(&found, "registries");
    let text = format!("{conf}: a [[registry]] has neither prefix nor location");
    assert_eq!(registries["value"], text);
    assert_eq!(registries["cure"], "correct the file, or give it another name");
    let text = format!("{auth}: \"auth\" is not user:password in base64");
    assert_eq!(finding(&found, "logins")["value"], text);
}

/// Without ranges of ids. The suite has no delegated cgroup and no route to the world for him.
fn companion_doctor_of_an_ordinary_user() {
    requires!(root, program("/usr/sbin/nft"));
    let user = SecondUser::new();
    let runtime = runtime_tests::runtime::path();
    let call = bundles_as(&user, ["doctor", "--format", "json", "--runtime"]).arg(runtime);
    let output = call.output();
    output.assert_exit(0);
    let found = report(&output);
    let all = ["home", "run", "user-namespaces", "overlay", "bridge", "firewall"];
    assert_status(&found, &all, "ok");
    assert_status(&found, &["subordinate-ids", "low-ports"], "limited");
    assert_status(&found, &["way-out"], "missing");
    let ids = finding(&found, "subordinate-ids");
    let text = ids["value"].as_str().expect("text");
    assert!(text.starts_with("one user and group in a container, its root: "), "{text}");
    assert!(ids["cure"].is_string());
    assert!(processes("bundles-networks").is_empty(), "its namespaces are gone");
}
