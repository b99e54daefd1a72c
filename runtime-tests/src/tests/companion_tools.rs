//! Images made of containers and of archives, and what they are asked about themselves: commit,
//! export, import, diff, history.

use std::fs;

use runtime_tests::companion::{bundles, bundles_as, home};
use runtime_tests::prelude::*;
use runtime_tests::second_user::SecondUser;

use super::companion_run_images::archive;

tests![
    companion_commit_keeps_what_a_container_changed,
    companion_commit_freezes_a_running_container,
    companion_commit_of_a_directory_is_one_layer,
    companion_changes_are_instructions_of_a_dockerfile,
    companion_commit_names_what_is_wrong,
    companion_export_and_import_keep_the_tree,
    companion_export_writes_files_whole,
    companion_import_refuses_what_is_no_archive,
    companion_diff_has_three_letters,
    companion_history_tells_of_each_step,
    companion_prunes_by_age_and_shows_each_thing,
    companion_commit_by_an_ordinary_user,
    companion_commit_by_an_ordinary_user_with_ranges,
];

/// Changes of every kind.
const CHANGES: &str = "echo new > /etc/new; rm /srv/lower; rm -r /etc/group; \
    rm -r /srv; mkdir -m 1777 /srv; ln -s new /etc/link; ln /etc/new /etc/second; chmod 600 /etc/passwd";

/// An image which has a shell for an entry point.
fn image() {
    requires!(root);
    bundles(["load", "-q"]).stdin(archive(|config| config["Entrypoint"] = Value::Null)).ok();
}

fn run(flags: &[&str], image: &str, script: &str) -> Call {
    bundles(["run", "--runtime"])
        .arg(runtime_tests::runtime::path())
        .args(["--network", "none"])
        .args(flags)
        .args([image, "sh", "-c", script])
}

/// One line for each file below these directories, as a container of the image sees them.
const LOOK: &str =
    "stat -c '%n %f %u %g %h %Y' /etc/[lnps]* /srv /srv/*; cat /etc/new; ls -l /etc/link";

/// By way of a file.
fn exported(name: &str) -> Vec<u8> {
    let to = scratch().join(format!("{name}.tar"));
    bundles(["export", name, "-o"]).arg(&to).ok();
    fs::read(to).expect("an archive")
}

fn inspected(image: &str) -> Value {
    let text = bundles(["image", "inspect", image]).ok();
    serde_json::from_str::<Value>(&text).expect("JSON")[0].clone()
}

fn companion_commit_keeps_what_a_container_changed() {
    image();
    let flags = ["--name", "worker", "-e", "A=b", "-l", "by=flag", "-v", "/data"];
    run(&flags, "app:1", &format!("{CHANGES}; echo lost > /data/f")).ok();
    let id = bundles(["commit", "-a", "Me <me@x>", "-m", "first", "worker", "made:1"]).ok();
    assert_eq!(id.trim().len(), 71, "{id}");
    let script = "ls -a /srv; cat /etc/new; test ! -e /etc/group && test ! -e /data/f";
    assert_eq!(run(&["--rm"], "made:1", script).ok(), ".\n..\nnew\n");
    let shown = inspected("made:1");
    assert_eq!(shown["Id"], id.trim());
    assert_eq!((&shown["Author"], &shown["Os"]), (&json!("Me <me@x>"), &json!("linux")));
    let config = json!({
        "Cmd": ["sh", "-c", format!("{CHANGES}; echo lost > /data/f")],
        "Env": ["A=b", "PATH=/bin", "FROM=image"], // those of flags first, as Docker has them
        "Healthcheck": null,
        "Labels": { "by": "flag", "of": "image" },
        "Volumes": { "/data": {} },
        "WorkingDir": "/srv",
    });
    for (key, value) in config.as_object().expect("an object") {
        assert_eq!(&shown["Config"][key], value, "{key}");
    }
    assert_eq!(shown["Config"]["Hostname"].as_str().unwrap_or_default(), "");
    assert_eq!(shown["RootFS"]["Layers"].as_array().expect("layers").len(), 3);
    // Without a name, and without changes: the same layers, another image.
    let again = run(&["--name", "idle"], "made:1", "true");
    again.ok();
    let id = bundles(["container", "commit", "idle"]).ok();
    let shown = inspected(id.trim());
    assert_eq!(
        (shown["RepoTags"].clone(), shown["RootFS"]["Layers"].as_array().map(Vec::len)),
        (json!([]), Some(3))
    );
    bundles(["rm", "worker", "idle"]).ok();
    bundles(["rmi", "app:1"]).ok();
    let seen = run(&["--rm"], "made:1", "cat /etc/new").ok();
    assert_eq!(seen, "new\n", "its layers stay without the other image");
}

fn companion_commit_freezes_a_running_container() {
    image();
    let count = "n=0; while :; do n=$((n+1)); echo $n > /etc/one; echo $n > /etc/two; done";
    run(&["-d", "--name", "busy"], "app:1", count).ok();
    until("it writes", || {
        bundles(["exec", "busy", "cat", "/etc/two"]).output().stdout().trim().parse::<u64>().ok()
    });
    // What is written first is never behind: neither in a frozen state nor later.
    for round in 0..3 {
        let image = format!("busy:{round}");
        bundles(["commit", "busy", &image]).ok();
        let seen = run(&["--rm"], &image, "cat /etc/one /etc/two").ok();
        let numbers: Vec<u64> = seen.lines().filter_map(|line| line.parse().ok()).collect();
        if let [one, two] = numbers[..] {
            assert!(one == two || one == two + 1, "{seen}");
        }
    }
    assert_eq!(bundles(["ps", "--format", "{{.State}}"]).ok(), "running\n");
    bundles(["pause", "busy"]).ok();
    bundles(["commit", "busy", "busy:paused"]).ok();
    assert_eq!(bundles(["ps", "--format", "{{.State}}"]).ok(), "paused\n", "it stays as it was");
    bundles(["unpause", "busy"]).ok();
    bundles(["commit", "-p=false", "busy", "busy:flying"]).ok();
    bundles(["rm", "-f", "busy"]).ok();
}

fn companion_commit_of_a_directory_is_one_layer() {
    requires!(root, companion, busybox);
    let root = runtime_tests::companion::Root::new();
    root.call(
        &["run"],
        &["--name", "plain", "--network", "none"],
        &["sh", "-c", "echo x > /etc/new"],
    )
    .ok();
    bundles(["commit", "plain", "plain:1"]).ok();
    let shown = inspected("plain:1");
    assert_eq!(shown["RootFS"]["Layers"].as_array().map(Vec::len), Some(1));
    assert_eq!(run(&["--rm"], "plain:1", "cat /etc/new").ok(), "x\n");
    bundles(["diff", "plain"])
        .output()
        .assert_exit(1)
        .assert_stderr_has("plain: made with --rootfs");
    bundles(["rm", "plain"]).ok();
}

fn companion_changes_are_instructions_of_a_dockerfile() {
    image();
    run(&["--name", "tree"], "app:1", "true").ok();
    let changes = [
        "CMD [\"echo\", \"hi\"]",
        "ENTRYPOINT [\"/bin/env\"]",
        "ENV A=1 B=\"two words\"",
        "ENV C=$A$FROM",
        "EXPOSE 80 53/udp",
        "LABEL k=v",
        "ONBUILD RUN echo",
        "USER web",
        "VOLUME /v",
        "WORKDIR /srv/sub",
        "STOPSIGNAL SIGINT",
        "HEALTHCHECK CMD true",
        "SHELL [\"/bin/sh\", \"-e\"]",
    ];
    let flags: Vec<&str> = changes.iter().flat_map(|change| ["-c", change]).collect();
    let command = ["commit"].into_iter().chain(flags.clone()).chain(["tree", "made:1"]);
    bundles(command).ok();
    let shown = inspected("made:1")["Config"].clone();
    for (key, value) in [
        ("Cmd", json!(["echo", "hi"])),
        ("Entrypoint", json!(["/bin/env"])),
        ("Env", json!(["PATH=/bin", "FROM=image", "A=1", "B=two words", "C=1image"])),
        ("ExposedPorts", json!({ "80/tcp": {}, "53/udp": {} })),
        ("Labels", json!({ "k": "v", "of": "image" })),
        ("OnBuild", json!(["RUN echo"])),
        ("User", json!("web")),
        ("Volumes", json!({ "/v": {} })),
        ("WorkingDir", json!("/srv/sub")),
        ("StopSignal", json!("SIGINT")),
        ("Healthcheck", json!({ "Test": ["CMD-SHELL", "true"] })),
        ("Shell", json!(["/bin/sh", "-e"])),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    let command = ["import"].into_iter().chain(flags).chain(["-", "back:1"]);
    bundles(command).stdin(exported("tree")).ok();
    let back = inspected("back:1")["Config"].clone();
    assert_eq!(
        (&back["Entrypoint"], &back["WorkingDir"]),
        (&shown["Entrypoint"], &shown["WorkingDir"])
    );
    for (change, said) in [
        ("RUN x", "--change \"RUN x\": RUN changes files"),
        ("EXPOSE no", "--change \"EXPOSE no\""),
        ("NOSUCH x", "--change \"NOSUCH x\""),
    ] {
        bundles(["commit", "-c", change, "tree"]).output().assert_exit(1).assert_stderr_has(said);
    }
    bundles(["rm", "tree"]).ok();
    assert_eq!(bundles(["images", "-q"]).ok().lines().count(), 3);
}

fn companion_commit_names_what_is_wrong() {
    image();
    run(&["--name", "wh"], "app:1", "touch /etc/.wh.passwd").ok();
    let call = bundles(["commit", "wh", "x:1"]).output();
    call.assert_exit(1).assert_stderr_has(
        "bundles: make a layer: \"etc/.wh.passwd\": in a layer, this name says that a file was removed\n  \
         hint: rename the file, or remove it\n",
    );
    let digest = format!("x@sha256:{}", "0".repeat(64));
    let call = bundles(["commit", "wh", &digest]).output();
    call.assert_exit(1).assert_stderr_has("a digest is what an image gets, and no name for it");
    bundles(["commit", "wh", "UPPER"]).output().assert_exit(1);
    bundles(["commit", "nosuch"])
        .output()
        .assert_exit(1)
        .assert_stderr_has("nosuch: no such container");
    bundles(["rm", "wh"]).ok();
    assert_eq!(bundles(["images", "-q"]).ok().lines().count(), 1);
    let left = fs::read_dir(home().join("tmp")).expect("tmp").count();
    assert_eq!(left, 0);
}

fn companion_export_and_import_keep_the_tree() {
    image();
    run(&["--name", "tree", "-v", "/data"], "app:1", &format!("{CHANGES}; echo lost > /data/f"))
        .ok();
    bundles(["commit", "tree", "made:1"]).ok();
    let id = bundles(["import", "-m", "from a test", "-", "back:1"]).stdin(exported("tree")).ok();
    assert_eq!(inspected("back:1")["Id"], id.trim());
    let look = |image| run(&["--rm"], image, LOOK).output().stdout();
    assert_eq!(look("back:1"), look("made:1"));
    run(&["--rm"], "back:1", "test ! -e /data/f").ok();
    // The same files, the same bytes, also while it runs.
    run(&["-d", "--name", "runs"], "back:1", "exec sleep 100").ok();
    assert!(exported("runs") == exported("runs"));
    bundles(["rm", "-f", "runs", "tree"]).ok();
    let history = bundles(["history", "--format", "{{.Comment}}", "back:1"]).ok();
    assert_eq!(history, "from a test\n");
}

fn companion_export_writes_files_whole() {
    image();
    run(&["--name", "tree"], "app:1", "true").ok();
    let to = scratch().join("out/e.tar");
    bundles(["export", "tree", "-o"])
        .arg(&to)
        .output()
        .assert_exit(1)
        .assert_stderr_has("No such file");
    fs::create_dir(scratch().join("out")).expect("out");
    bundles(["container", "export", "tree", "-o"]).arg(&to).ok();
    let names: Vec<_> = fs::read_dir(scratch().join("out")).expect("out").flatten().collect();
    assert_eq!(names.len(), 1);
    let direct = bundles(["export", "tree"]).output();
    assert!(fs::read(&to).expect("archive") == direct.bytes());
    bundles(["import"]).arg(&to).arg("file:1").ok();
    assert_eq!(run(&["--rm"], "file:1", "cat /srv/lower").ok(), "upper\n");
    bundles(["export", "tree", "-o"])
        .arg(scratch())
        .output()
        .assert_exit(1)
        .assert_stderr_has(": a directory");
    bundles(["rm", "tree"]).ok();
}

fn companion_import_refuses_what_is_no_archive() {
    requires!(companion);
    let call = bundles(["import", "https://example.org/x.tar", "x:1"]).output();
    call.assert_exit(1).assert_stderr_has(
        "bundles: import https://example.org/x.tar: only files are read\n  \
         hint: get it first: curl -fL https://example.org/x.tar | bundles import - x:1\n",
    );
    let call = bundles(["import", "-", "x:1"]).stdin(vec![b'x'; 2000]).output();
    call.assert_exit(1).assert_stderr_has("no tar archive: a header's checksum is wrong");
    bundles(["import", "/nosuch.tar"])
        .output()
        .assert_exit(1)
        .assert_stderr_has("open /nosuch.tar: No such file");
    let hostile = runtime_tests::archive::Tar::new().file("../outside", b"x").bytes();
    let call = bundles(["image", "import", "-"]).stdin(hostile).output();
    call.assert_exit(1).assert_stderr_has("a name with \"..\"");
    assert_eq!(bundles(["images", "-q"]).ok(), "");
    for dir in ["tmp", "layers", "oci/blobs/sha256"] {
        assert_eq!(fs::read_dir(home().join(dir)).expect("a directory").count(), 0, "{dir}");
    }
}

fn companion_diff_has_three_letters() {
    image();
    run(&["--name", "tree"], "app:1", CHANGES).ok();
    let lines = "C /etc\nD /etc/group\nA /etc/link\nA /etc/new\nC /etc/passwd\nA /etc/second\n\
                 C /srv\nD /srv/lower\nD /srv/web\n";
    assert_eq!(bundles(["diff", "tree"]).ok(), lines);
    let shown = bundles(["container", "diff", "--format", "json", "tree"]).ok();
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["deleted"], json!(["/etc/group", "/srv/lower", "/srv/web"]));
    assert_eq!(shown["changed"], json!(["/etc", "/etc/passwd", "/srv"]));
    run(&["--name", "idle"], "app:1", "true").ok();
    assert_eq!(bundles(["diff", "idle"]).ok(), "", "nothing but what every container has");
    run(&["-d", "--name", "runs"], "app:1", "touch /x; exec sleep 100").ok();
    until("it has written", || (bundles(["diff", "runs"]).ok() == "A /x\n").then_some(()));
    bundles(["rm", "-f", "tree", "idle", "runs"]).ok();
}

fn companion_history_tells_of_each_step() {
    image();
    run(&["--name", "tree"], "app:1", "echo 1234 > /etc/new").ok();
    bundles(["commit", "-m", "added", "tree", "made:1"]).ok();
    bundles(["rm", "tree"]).ok();
    let format = "{{.CreatedBy}}|{{.Size}}|{{.Comment}}";
    let lines = bundles(["history", "--format", format, "made:1"]).ok();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines[0], "sh -c echo 1234 > /etc/new|5B|added");
    assert!(lines[1].starts_with("|6B|"), "{lines:?}");
    assert_eq!(lines.len(), 3);
    let id = inspected("made:1")["Id"].as_str().expect("an id").to_owned();
    let ids = bundles(["image", "history", "-q", "--no-trunc", "made:1"]).ok();
    assert_eq!(ids, format!("{id}\n<missing>\n<missing>\n"));
    let table = bundles(["history", "-H=false", "made:1"]).ok();
    let words: Vec<&str> = table.lines().next().expect("a line").split_whitespace().collect();
    assert_eq!(words, ["IMAGE", "CREATED", "AT", "CREATED", "BY", "SIZE", "COMMENT"]);
    let json: Value = serde_json::from_str(
        bundles(["history", "--format", "json", "made:1"]).ok().lines().next().expect("a line"),
    )
    .expect("JSON");
    assert_eq!((&json["ID"], &json["Comment"]), (&json!(&id[7..19]), &json!("added")));
    bundles(["history", "nosuch:1"])
        .output()
        .assert_exit(1)
        .assert_stderr_has("nosuch:1: not in the store");
}

fn companion_prunes_by_age_and_shows_each_thing() {
    image();
    run(&["--name", "young", "-v", "data:/data"], "app:1", "true").ok();
    bundles(["commit", "young", "made:1"]).ok();
    let shown = bundles(["system", "df", "-v"]).ok();
    for words in [
        "Images space usage:",
        "REPOSITORY TAG IMAGE ID CREATED SIZE SHARED SIZE UNIQUE SIZE CONTAINERS",
        "0B 1", // nothing of app:1 is its own, and a container is made from it
        "CONTAINER ID IMAGE COMMAND LOCAL VOLUMES SIZE CREATED STATUS NAMES",
        "exited young",
        "VOLUME NAME LINKS SIZE",
        "data 1",
    ] {
        let has =
            |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ").contains(words);
        assert!(shown.lines().any(has), "{words}: {shown}");
    }
    for prune in [["container", "prune"], ["system", "prune"]] {
        bundles(prune).args(["-f", "--filter", "until=1h"]).ok();
        assert_eq!(bundles(["ps", "-aq"]).ok().lines().count(), 1, "{prune:?}");
    }
    let call = bundles(["system", "prune", "-f", "--volumes", "--filter", "until=1h"]).output();
    call.assert_exit(1).assert_stderr_has("leave --volumes away, or the filter");
    let call = bundles(["container", "prune", "-f", "--filter", "until=soon"]).output();
    call.assert_exit(1).assert_stderr_has("--filter until=soon: not a time");
    bundles(["container", "prune", "-f", "--filter", "until=0s"]).ok();
    assert_eq!(bundles(["ps", "-aq"]).ok(), "");
}

fn companion_commit_by_an_ordinary_user() {
    as_user(&SecondUser::new());
}

fn companion_commit_by_an_ordinary_user_with_ranges() {
    as_user(&SecondUser::with_ranges());
}

fn as_user(user: &SecondUser) {
    let archive = archive(|config| config["Entrypoint"] = Value::Null);
    let call = |args: &[&str]| bundles_as(user, args);
    call(&["load", "-q"]).stdin(archive).ok();
    let runtime = runtime_tests::runtime::path();
    let runtime = runtime.to_str().expect("UTF-8");
    let run = |flags: &[&str], image: &str, script: &str| {
        let own = ["run", "--runtime", runtime, "--network", "none"];
        call(&[&own[..], flags, &[image, "sh", "-c", script]].concat()).ok()
    };
    run(&["--name", "tree"], "app:1", CHANGES);
    let lines = call(&["diff", "tree"]).ok();
    assert!(lines.contains("C /srv\nD /srv/lower\nD /srv/web\n"), "{lines}");
    call(&["commit", "tree", "made:1"]).ok();
    let to = user.dir().join("e.tar");
    let to = to.to_str().expect("UTF-8");
    call(&["export", "tree", "-o", to]).ok();
    call(&["import", to, "back:1"]).ok();
    assert_eq!(run(&["--rm"], "made:1", LOOK), run(&["--rm"], "back:1", LOOK));
    assert_eq!(run(&["--rm"], "made:1", "ls -a /srv; cat /etc/second"), ".\n..\nnew\n");
    call(&["rm", "tree"]).ok();
}
