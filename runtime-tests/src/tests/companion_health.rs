//! Health checks: what is asked, what is kept of the answers, and who is told.

use super::companion_restart::kill_monitor;
use super::companion_run::{Root, assert_nothing_is_left, inspect, monitor};
use super::companion_run_images::archive;
use runtime_tests::companion::{bundles, bundles_as, processes};
use runtime_tests::prelude::*;
use runtime_tests::second_user::SecondUser;
use std::fs;

tests![
    companion_health_becomes_healthy_and_unhealthy,
    companion_health_of_the_image,
    companion_health_has_the_rights_of_the_container,
    companion_health_check_over_its_time_is_killed,
    companion_health_output_is_cut,
    companion_health_spares_the_start,
    companion_health_rests_while_paused,
    companion_health_outlives_the_monitor,
    companion_health_run_asks_now,
    companion_health_mistakes,
    companion_health_and_events_of_an_ordinary_user,
];

/// Asked every 50 ms, unless other flags say more.
fn checked(root: &Root, name: &str, check: &str, flags: &[&str]) -> String {
    let common = ["--health-cmd", check, "--health-interval", "50ms"];
    let flags = [&common[..], flags].concat();
    let run = root.call(&["run", "-d", "--name", name], &flags, &["sleep", "1000"]);
    run.ok().trim().to_owned()
}

fn health(name: &str) -> Value {
    inspect(name)["State"]["Health"].clone()
}

fn until_it_is(name: &str, status: &str) -> Value {
    until(status, || Some(health(name)).filter(|health| health["Status"] == status))
}

fn last(health: &Value) -> Value {
    health["Log"].as_array().expect("a list").last().expect("an answer").clone()
}

fn status(name: &str, format: &str) -> String {
    let filter = format!("name=^{name}$");
    bundles(["ps", "-a", "--filter", &filter, "--format", format]).ok().trim().to_owned()
}

fn remove(name: &str) {
    bundles(["rm", "-f", name]).ok();
    assert_nothing_is_left();
}

fn companion_health_becomes_healthy_and_unhealthy() {
    let root = Root::new();
    let script = "echo asked; [ -e /tmp/well ]";
    checked(&root, "web1", script, &["--health-retries", "2", "--health-interval", "100ms"]);
    // The first failure is not enough.
    let words = status("web1", "{{.Status}} {{.HealthStatus}}");
    assert!(
        words.contains(" (health: starting) starting") || words.contains("unhealthy"),
        "{words}"
    );
    let ill = until_it_is("web1", "unhealthy");
    assert!(ill["FailingStreak"].as_u64() >= Some(2), "{ill}");
    let answer = last(&ill);
    assert_eq!((&answer["ExitCode"], &answer["Output"]), (&json!(1), &json!("asked\n")));
    assert!(answer["Start"].as_str() <= answer["End"].as_str(), "{answer}");
    assert!(status("web1", "{{.Status}}").ends_with(" (unhealthy)"));
    fs::write(root.rootfs.join("tmp/well"), "").expect("file");
    let well = until_it_is("web1", "healthy");
    assert_eq!(well["FailingStreak"], 0);
    assert_eq!(last(&well)["ExitCode"], 0);
    assert!(status("web1", "{{.Status}} {{.HealthStatus}}").ends_with(" (healthy) healthy"));
    let filtered = |of: &str| bundles(["ps", "-q", "--filter", &format!("health={of}")]).ok();
    assert_eq!(filtered("healthy").lines().count(), 1);
    assert_eq!(filtered("unhealthy") + &filtered("none"), "");
    let kept = || health("web1")["Log"].as_array().map(Vec::len);
    until("five answers are kept", || (kept() == Some(5)).then_some(()));
    // Who does not run is not well, and a new life begins anew.
    bundles(["stop", "-t", "0", "web1"]).ok();
    assert_eq!(health("web1")["Status"], "unhealthy");
    assert!(!status("web1", "{{.Status}}").contains("health"));
    bundles(["start", "web1"]).ok();
    until_it_is("web1", "healthy");
    remove("web1");
}

fn companion_health_of_the_image() {
    requires!(root);
    let check = |config: &mut Value| {
        config["Entrypoint"] = json!(["/bin/sleep", "1000"]);
        config["Cmd"] = Value::Null;
        config["Shell"] = json!(["/bin/sh", "-ec"]);
        let second = 100_000_000;
        config["Healthcheck"] =
            json!({ "Test": ["CMD-SHELL", "echo $0 $FROM $-"], "Interval": second, "Retries": 7 });
    };
    bundles(["load", "-q"]).stdin(archive(check)).ok();
    let run = |name: &str, flags: &[&str]| {
        let call = bundles(["run", "-d", "--network", "none", "--name", name, "--runtime"]);
        call.arg(runtime_tests::runtime::path()).args(flags).arg("app:1").ok();
    };
    run("web1", &[]);
    let said = last(&until_it_is("web1", "healthy"))["Output"].clone();
    assert!(
        said.as_str().is_some_and(|said| said.contains(" image ") && said.contains('e')),
        "{said}"
    );
    run("web2", &["--health-interval", "60ms", "--health-cmd", "echo of the flag"]);
    assert_eq!(last(&until_it_is("web2", "healthy"))["Output"], "of the flag\n");
    let both = inspect("web2")["Config"]["Healthcheck"].clone();
    let expected =
        json!({ "Test": ["CMD-SHELL", "echo of the flag"], "Interval": 60_000_000, "Retries": 7 });
    assert_eq!(both, expected);
    run("web3", &["--no-healthcheck"]);
    let web3 = inspect("web3");
    assert_eq!(web3["Config"]["Healthcheck"], json!({ "Test": ["NONE"] }));
    assert_eq!(web3["State"].get("Health"), None);
    assert_eq!(bundles(["ps", "--filter", "health=none", "--format", "{{.Names}}"]).ok(), "web3\n");
    bundles(["rm", "-f", "web1", "web2", "web3"]).ok();
}

fn companion_health_has_the_rights_of_the_container() {
    let root = Root::new();
    let script = "id -u; readlink /proc/self/cwd; echo $A; [ -t 0 ] || echo no terminal";
    checked(&root, "web1", script, &["-u", "web", "-w", "/etc", "-e", "A=b", "-t"]);
    let well = until_it_is("web1", "healthy");
    assert_eq!(last(&well)["Output"], "33\n/etc\nb\nno terminal\n");
    remove("web1");
}

fn companion_health_check_over_its_time_is_killed() {
    let root = Root::new();
    // What is written before is not told, as with Docker.
    let flags = ["--health-timeout", "150ms", "--health-retries", "1"];
    let id = checked(&root, "web1", "echo begun; exec sleep 777", &flags);
    let ill = until_it_is("web1", "unhealthy");
    let answer = last(&ill);
    assert_eq!(answer["ExitCode"], -1);
    assert_eq!(answer["Output"], "Health check exceeded timeout (150ms)");
    // The monitor does its other work meanwhile.
    assert_eq!(bundles(["exec", "web1", "echo", "here"]).ok(), "here\n");
    // Of those that were killed at most the one is left that runs.
    let sleeps = || {
        let list = bundles(["top", "web1", "-o", "pid,args"]).ok();
        list.lines().filter(|line| line.contains("sleep 777")).count()
    };
    until("three more", || (health("web1")["FailingStreak"].as_u64() > Some(3)).then_some(()));
    assert!(sleeps() <= 1, "{}", sleeps());
    assert!(processes("bundles-monitor").contains(&monitor(&id)));
    remove("web1");
}

fn companion_health_output_is_cut() {
    let root = Root::new();
    checked(&root, "web1", "head -c 5000 /dev/zero | tr '\\0' x", &[]);
    fs::write(root.rootfs.join("tmp/many"), "y".repeat(100)).expect("file");
    let output = last(&until_it_is("web1", "healthy"))["Output"].clone();
    assert_eq!(output, format!("{}...", "x".repeat(4096)));
    remove("web1");
}

fn companion_health_spares_the_start() {
    let root = Root::new();
    let flags = ["--health-start-period", "1h", "--health-start-interval", "50ms"];
    let flags = [&flags[..], &["--health-interval", "100ms", "--health-retries", "1"]].concat();
    checked(&root, "web1", "[ -e /tmp/well ]", &flags);
    until("it was asked", || (health("web1")["Log"].as_array()?.len() > 2).then_some(()));
    let begun = health("web1");
    assert_eq!((&begun["Status"], &begun["FailingStreak"]), (&json!("starting"), &json!(0)));
    fs::write(root.rootfs.join("tmp/well"), "").expect("file");
    until_it_is("web1", "healthy");
    // Once it was well, failures count.
    fs::remove_file(root.rootfs.join("tmp/well")).expect("file");
    until_it_is("web1", "unhealthy");
    remove("web1");
}

fn companion_health_rests_while_paused() {
    let root = Root::new();
    requires!(freezer);
    checked(&root, "web1", "true", &[]);
    until_it_is("web1", "healthy");
    bundles(["pause", "web1"]).ok();
    // One may have been under way.
    let asked = || last(&health("web1"))["Start"].as_str().expect("a time").to_owned();
    let run = bundles(["healthcheck", "run", "web1"]).output();
    run.assert_exit(125).assert_stderr_has("web1: is paused");
    std::thread::sleep(std::time::Duration::from_millis(150));
    let before = asked();
    std::thread::sleep(std::time::Duration::from_millis(250));
    assert_eq!(asked(), before);
    assert!(status("web1", "{{.Status}}").ends_with(" (Paused)"));
    bundles(["unpause", "web1"]).ok();
    until("it is asked again", || (asked() > before).then_some(()));
    assert_eq!(health("web1")["Status"], "healthy");
    remove("web1");
}

fn companion_health_outlives_the_monitor() {
    let root = Root::new();
    let id = checked(&root, "web1", "[ ! -e /tmp/ill ]", &[]);
    until_it_is("web1", "healthy");
    kill_monitor(&id);
    assert!(status("web1", "{{.Status}}").ends_with(" (healthy)"));
    fs::write(root.rootfs.join("tmp/ill"), "").expect("file");
    until_it_is("web1", "unhealthy");
    remove("web1");
}

fn companion_health_run_asks_now() {
    let root = Root::new();
    checked(&root, "web1", "[ -e /tmp/well ]", &["--health-interval", "1h"]);
    let run = |name: &str| bundles(["healthcheck", "run", name]).output();
    let first = run("web1");
    first.assert_exit(1);
    assert_eq!(first.stdout(), "starting\n");
    fs::write(root.rootfs.join("tmp/well"), "").expect("file");
    run("web1").assert_exit(0).assert_stdout("");
    let health = health("web1");
    assert_eq!(health["Log"].as_array().map(Vec::len), Some(2), "{health}");
    assert_eq!(health["Status"], "healthy");
    bundles(["stop", "-t", "0", "web1"]).ok();
    run("web1").assert_exit(125).assert_stderr_has("web1: does not run");
    bundles(["rm", "web1"]).ok();
    root.detached("web1", &["sleep", "1000"]);
    run("web1").assert_exit(125).assert_stderr_has(
        "bundles: web1: has no health check\n  hint: make it with --health-cmd, or from an image that has one\n",
    );
    remove("web1");
}

fn companion_health_mistakes() {
    let root = Root::new();
    let run = |flags: &[&str]| root.call(&["run"], flags, &["true"]).output();
    run(&["--health-cmd", "x", "--health-interval", "1us"])
        .assert_exit(125)
        .assert_stderr_has("--health-interval: less than a millisecond");
    run(&["--health-cmd", "x", "--no-healthcheck"])
        .assert_exit(125)
        .assert_stderr_has("--no-healthcheck");
    run(&["--health-timeout", "soon"]).assert_exit(125).assert_stderr_has("--health-timeout");
    // What is not there is told as an answer.
    let flags = ["--health-retries", "1", "--entrypoint", "sleep"];
    let json = root.call(&["run", "-d", "--name", "web1"], &flags, &["1000"]);
    json.ok();
    assert_eq!(inspect("web1")["State"].get("Health"), None, "no check without a command");
    remove("web1");
}

fn companion_health_and_events_of_an_ordinary_user() {
    requires!(root, companion, busybox);
    let user = SecondUser::new();
    let archive = archive(|config| {
        config["Entrypoint"] = json!(["/bin/sleep"]);
        config["Cmd"] = json!(["1000"]);
        config["Healthcheck"] = json!({ "Test": ["CMD", "id", "-u"], "Interval": 50_000_000 });
    });
    let call = |words: &[&str]| bundles_as(&user, words);
    call(&["load", "-q"]).stdin(archive).ok();
    let run = call(&["run", "-d", "--name", "web", "--network", "none", "--runtime"]);
    run.arg(runtime_tests::runtime::path()).arg("app:1").ok();
    let well = || call(&["inspect", "-f", "{{.State.Health.Status}}", "web"]).ok();
    until("it is well", || (well() == "healthy\n").then_some(()));
    call(&["healthcheck", "run", "web"]).output().assert_exit(0);
    assert!(call(&["ps"]).ok().contains("(healthy)"));
    call(&["rm", "-f", "web"]).ok();
    let events = call(&["events", "--since", "1h", "--stream=false", "--format", "{{.Action}}"]);
    let events = events.args(["--filter", "container=web"]).ok();
    // The monitor and the command write at the same time.
    let mut events: Vec<&str> = events.lines().collect();
    events.sort_unstable();
    assert_eq!(events, ["create", "destroy", "die", "health_status: healthy", "kill", "start"]);
}
