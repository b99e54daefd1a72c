//! `events`: what is noted of whom, by commands and by monitors, and who hears of it.

use super::companion_run::{Root, assert_nothing_is_left};
use super::companion_run_images::archive;
use nix::sys::signal::Signal;
use runtime_tests::companion::{bundles, home};
use runtime_tests::prelude::*;
use runtime_tests::pty;
use std::fs;

tests![
    companion_events_of_a_life,
    companion_events_of_commands,
    companion_events_of_monitors,
    companion_events_of_images_networks_and_volumes,
    companion_events_of_images_from_containers,
    companion_events_are_heard_at_once,
    companion_events_of_exec_with_a_terminal,
    companion_events_have_looks_and_mistakes,
    companion_events_are_lost_rather_than_fail,
];

/// All there are, one `ACTION NAME` each.
fn noted(filters: &[&str]) -> Vec<String> {
    let filters = filters.iter().flat_map(|filter| ["--filter", filter]);
    let format = "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}";
    let call = bundles(["events", "--since", "1h", "--stream=false", "--format", format]);
    call.args(filters).ok().lines().map(ToOwned::to_owned).collect()
}

fn parsed(filters: &[&str]) -> Vec<Value> {
    let filters = filters.iter().flat_map(|filter| ["--filter", filter]);
    let text = bundles(["events", "--since", "0", "--until", "0s", "--format", "{{json .}}"]);
    let text = text.args(filters).ok();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn companion_events_of_a_life() {
    let root = Root::new();
    root.run(&["--name", "web", "-l", "a=b", "--network", "none"], &["sh", "-c", "exit 3"])
        .output();
    assert_nothing_is_left();
    let actions = ["create", "attach", "start", "die", "destroy"];
    assert_eq!(noted(&[]), actions.map(|action| format!("container {action} web")));
    let all = parsed(&[]);
    let (first, die) = (&all[0], &all[3]);
    let id = first["id"].as_str().expect("an id");
    assert_eq!((first["status"].as_str(), id.len()), (Some("create"), 64));
    assert_eq!(first["from"], json!(root.rootfs));
    assert_eq!(first["Actor"]["ID"], id);
    let attributes = json!({ "a": "b", "exitCode": "3", "image": root.rootfs, "name": "web" });
    assert_eq!(die["Actor"]["Attributes"], attributes);
    let time = die["timeNano"].as_u64().expect("a time");
    assert_eq!(
        (die["time"].as_u64(), die["scope"].as_str()),
        (Some(time / 1_000_000_000), Some("local"))
    );
    // The line of those who ask for no look.
    let lines = bundles(["events", "--since", "1h", "--until", "0s", "-f", "event=die"]).ok();
    let image = root.rootfs.display();
    let behind = format!(" container die {id} (a=b, exitCode=3, image={image}, name=web)\n");
    assert!(lines.ends_with(&behind), "{lines}");
    let time = lines.strip_suffix(&behind).expect("checked");
    assert!(time.len() == 30 && time.ends_with('Z'), "{time}");
}

fn companion_events_of_commands() {
    let root = Root::new();
    requires!(freezer);
    root.detached("web", &["sh", "-c", "trap : HUP; while :; do sleep 0.05; done"]);
    for words in [
        &["exec", "web", "sh", "-c", "exit 4"][..],
        &["exec", "-d", "web", "true"],
        &["pause", "web"],
        &["unpause", "web"],
        &["update", "--restart", "on-failure", "web"],
        &["rename", "web", "web2"],
        &["kill", "-s", "HUP", "web2"],
        &["restart", "-t", "0", "web2"],
        &["rm", "-f", "web2"],
    ] {
        bundles(words).output();
    }
    assert_nothing_is_left();
    let mut all = noted(&["type=container"]);
    all.retain(|line| !line.starts_with("container exec_die"));
    let expected = [
        "create web",
        "start web",
        "exec_create: sh -c exit 4 web",
        "exec_start: sh -c exit 4 web",
        "exec_create: true  web",
        "exec_start: true  web",
        "pause web",
        "unpause web",
        "update web",
        "rename web2",
        "kill web2",
        "kill web2",
        "kill web2",
        "die web2",
        "stop web2",
        "start web2",
        "restart web2",
        "kill web2",
        "die web2",
        "destroy web2",
    ];
    // A monitor and a command write at the same time.
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    let expected = expected.map(|line| format!("container {line}")).to_vec();
    assert_eq!(all[..10], expected[..10]);
    assert_eq!(sorted(all), sorted(expected));
    let execs = parsed(&["event=exec_die"]);
    assert_eq!(execs.len(), 1, "nobody waits for one that is left to itself");
    let attributes = &execs[0]["Actor"]["Attributes"];
    assert_eq!(attributes["exitCode"], "4");
    let begun = parsed(&["event=exec_start"]);
    assert_eq!(begun[0]["Actor"]["Attributes"]["execID"], attributes["execID"]);
    let signals: Vec<Value> = parsed(&["event=kill"]);
    let signals: Vec<&Value> =
        signals.iter().map(|event| &event["Actor"]["Attributes"]["signal"]).collect();
    assert_eq!(signals, ["1", "15", "9", "9"]);
    assert_eq!(parsed(&["event=rename"])[0]["Actor"]["Attributes"]["oldName"], "/web");
}

fn companion_events_of_monitors() {
    let root = Root::new();
    let flags = ["--restart", "on-failure:2"];
    root.call(&["run", "-d", "--name", "web1"], &flags, &["false"]).ok();
    let deaths = || noted(&["container=web1", "event=die"]).len();
    until("its third end", || (deaths() == 3).then_some(()));
    assert_eq!(noted(&["container=web1", "event=start"]).len(), 3);
    let check = ["--health-cmd", "true", "--health-interval", "20ms"];
    root.call(&["run", "-d", "--name", "web2"], &check, &["sleep", "1000"]).ok();
    let well = || noted(&["event=health_status", "container=web2"]);
    until("it is well", || (!well().is_empty()).then_some(()));
    assert_eq!(well(), ["container health_status: healthy web2"]);
    bundles(["rm", "-f", "web1", "web2"]).ok();
    assert_nothing_is_left();
}

fn companion_events_of_images_networks_and_volumes() {
    requires!(root);
    bundles(["load", "-q"]).stdin(archive(|_| ())).ok();
    bundles(["tag", "app:1", "other:2"]).ok();
    bundles(["rmi", "other:2"]).ok();
    bundles(["network", "create", "net1"]).ok();
    let run = bundles([
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "net1",
        "-v",
        "data:/data:ro",
        "--runtime",
    ]);
    let run = run.arg(runtime_tests::runtime::path()).args([
        "--entrypoint",
        "/bin/sleep",
        "app:1",
        "1000",
    ]);
    run.ok();
    bundles(["network", "disconnect", "net1", "web"]).ok();
    bundles(["network", "connect", "net1", "web"]).ok();
    bundles(["rm", "-f", "web"]).ok();
    bundles(["network", "rm", "net1"]).ok();
    bundles(["volume", "rm", "data"]).ok();
    bundles(["save", "-o", "/run/t/saved.tar", "app:1"]).ok();
    bundles(["rmi", "app:1"]).ok();
    let id = parsed(&["event=delete"])[0]["Actor"]["ID"].as_str().expect("an id").to_owned();
    let images = [
        "load app:1",
        "tag other:2",
        "untag other:2",
        &format!("save {id}"),
        "untag app:1",
        &format!("delete {id}"),
    ];
    assert_eq!(noted(&["type=image"]), images.map(|line| format!("image {line}")));
    let networks = ["create", "connect", "disconnect", "connect", "disconnect", "destroy"];
    assert_eq!(noted(&["network=net1"]), networks.map(|action| format!("network {action} net1")));
    let volumes: Vec<Value> = parsed(&["volume=data"]);
    let actions: Vec<&Value> = volumes.iter().map(|event| &event["Action"]).collect();
    assert_eq!(actions, ["create", "mount", "unmount", "destroy"]);
    let container = parsed(&["event=start"])[0]["id"].clone();
    let mount = json!({
        "container": container, "destination": "/data", "driver": "local", "propagation": "",
        "read/write": "false",
    });
    assert_eq!(volumes[1]["Actor"]["Attributes"], mount);
    assert_eq!(volumes[1].get("status"), None);
    let connect = json!({ "container": container, "name": "net1", "type": "bridge" });
    assert_eq!(parsed(&["event=connect"])[0]["Actor"]["Attributes"], connect);
    assert_eq!(noted(&["image=app"]).len(), 7, "also those of containers");
}

fn companion_events_of_images_from_containers() {
    requires!(root);
    bundles(["load", "-q"]).stdin(archive(|_| ())).ok();
    bundles(["create", "--name", "web", "--network", "none", "app:1"]).ok();
    let commit = bundles(["commit", "-m", "why", "web", "made:1"]).ok();
    bundles(["export", "-o", "/run/t/exported.tar", "web"]).ok();
    let import = bundles(["import", "/run/t/exported.tar"]).ok();
    let committed = parsed(&["event=commit"])[0]["Actor"]["Attributes"].clone();
    assert_eq!(
        (&committed["comment"], &committed["imageID"]),
        (&json!("why"), &json!(commit.trim()))
    );
    assert_eq!(noted(&["event=export"]), ["container export web"]);
    assert_eq!(parsed(&["event=import"])[0]["id"], import.trim());
    bundles(["rm", "web"]).ok();
}

/// As the CLI of devcontainers waits for a container to start.
fn companion_events_are_heard_at_once() {
    let root = Root::new();
    let listen = ["events", "--format", "{{json .}}", "--filter", "event=start"];
    let listener = bundles(listen).spawn();
    let other = bundles(["events", "--filter", "type=volume"]).spawn();
    // It has begun when it hears of something.
    until("it listens", || {
        bundles(["volume", "create"]).ok();
        other.stdout().contains("volume create").then_some(())
    });
    root.detached("web", &["sleep", "1000"]);
    let line = until("the start", || {
        let said = listener.stdout();
        said.ends_with('\n').then_some(said)
    });
    let event: Value = serde_json::from_str(line.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        (&event["status"], &event["Actor"]["Attributes"]["name"]),
        (&json!("start"), &json!("web"))
    );
    // What is put aside meanwhile is read to its end.
    fs::rename(home().join("events"), home().join("events.old")).expect("rename");
    bundles(["restart", "-t", "0", "web"]).ok();
    until("the next start", || (listener.stdout().lines().count() == 2).then_some(()));
    assert_eq!(noted(&["event=start"]).len(), 2, "with what was put aside");
    listener.signal(Signal::SIGKILL);
    listener.wait();
    other.signal(Signal::SIGKILL);
    other.wait();
    bundles(["rm", "-f", "web"]).ok();
}

fn companion_events_of_exec_with_a_terminal() {
    let root = Root::new();
    root.detached("web", &["sleep", "1000"]);
    let (master, slave) = pty::open(24, 80);
    let client =
        bundles(["exec", "-it", "web", "sh", "-c", "read line; exit 5"]).terminal(slave).spawn();
    until("it has begun", || (!noted(&["event=exec_start"]).is_empty()).then_some(()));
    assert!(noted(&["event=exec_die"]).is_empty());
    master.write("\r");
    client.wait().assert_exit(5);
    let ended = until("its end", || parsed(&["event=exec_die"]).pop());
    assert_eq!(ended["Actor"]["Attributes"]["exitCode"], "5");
    bundles(["rm", "-f", "web"]).ok();
    assert_nothing_is_left();
}

fn companion_events_have_looks_and_mistakes() {
    requires!(root, companion);
    bundles(["volume", "create", "data"]).ok();
    let look = |words: &[&str]| {
        bundles(["system", "events", "--since", "1h", "--until", "0s"]).args(words).output()
    };
    let json = look(&["--format", "json"]);
    assert_eq!(json.stdout(), look(&["--format", "{{json .}}"]).stdout());
    assert!(json.stdout().starts_with("{\"Type\":\"volume\",\"Action\":\"create\","));
    let fields = look(&["--format", "{{.Type}}/{{.Action}}/{{.ID}}/{{.Status}}/{{.Scope}}"]);
    assert_eq!(fields.stdout(), "volume/create/data//local\n");
    assert_eq!(look(&["--filter", "event=destroy"]).stdout(), "");
    let out = look(&["--filter", "color=red"]);
    out.assert_exit(1)
        .assert_stderr_has("the keys here are: container event image label network type volume");
    let out = bundles(["events", "--since", "yesterday"]).output();
    out.assert_exit(1).assert_stderr_has("bundles: --since yesterday: not a time\n  hint: ");
    look(&["--format", "{{.Nosuch}}"]).assert_exit(1).assert_stderr_has(".Nosuch: no such field");
}

fn companion_events_are_lost_rather_than_fail() {
    let root = Root::new();
    bundles(["volume", "create", "data"]).ok();
    fs::remove_file(home().join("events")).expect("remove");
    fs::create_dir(home().join("events")).expect("mkdir");
    let out = root.run(&[], &["echo", "here"]).output();
    assert_eq!((out.stdout().as_str(), out.stderr().as_str()), ("here\n", ""));
    assert_nothing_is_left();
    fs::remove_dir(home().join("events")).expect("rmdir");
    // What a full disk has cut does not hide the next.
    fs::write(home().join("events"), "{\"Type\":\"vol").expect("write");
    bundles(["volume", "rm", "data"]).ok();
    assert_eq!(noted(&[]), ["volume destroy <no value>"]);
}
