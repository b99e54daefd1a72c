//! What `bundles create` and `run` make of their flags and of an image, and how `inspect`, `rmi`
//! and `system` see it.

use std::fs;

use runtime_tests::app::{call, detached, image, inspect, run};
use runtime_tests::companion::{bundles, home};
use runtime_tests::prelude::*;

tests![
    companion_names_are_in_etc,
    companion_etc_of_the_host_and_of_the_image,
    companion_inspect_has_dockers_shape,
    companion_inspect_shows_mounts,
    companion_used_image_stays,
    companion_system_counts_and_prunes,
    companion_container_group,
];

fn companion_names_are_in_etc() {
    image(|_| ());
    let seen = run(&["--add-host", "h:host-gateway"], "cat /etc/hosts").ok();
    assert!(seen.contains("172.17.0.1\th\n"), "{seen}");
    let flags = ["-h", "lb01", "--add-host", "db:10.1.1.1", "--add-host=v6=[fd00::1]"];
    let flags = [&["--network", "none"][..], &flags].concat();
    run(&flags, "cat /etc/hostname /etc/hosts; hostname").output().assert_stdout(
        "lb01\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
         10.1.1.1\tdb\nfd00::1\tv6\nlb01\n",
    );
    let flags = ["--dns", "1.1.1.1", "--dns-search", "a.b", "--dns-opt", "ndots:2"];
    let wanted = "search a.b\nnameserver 1.1.1.1\noptions ndots:2\n";
    run(&flags, "cat /etc/resolv.conf").output().assert_stdout(wanted);
    run(&["--domainname", "corp"], "cat /proc/sys/kernel/domainname")
        .output()
        .assert_stdout("corp\n");
    // They can be written to, but not with --read-only; everybody may read them.
    let script = "echo x >> /etc/hosts && stat -c %a /etc/hosts /etc/resolv.conf /etc/hostname";
    run(&[], script).output().assert_stdout("644\n644\n644\n");
    run(&["--read-only"], "echo x >> /etc/hosts").output().assert_exit(1);
    // What is written to the file, without another inode, is seen at once.
    let id = detached("k1", &[]);
    let file = home().join("containers").join(&id).join("hosts");
    let text = fs::read_to_string(&file).expect("hosts") + "10.2.2.2\tlate\n";
    fs::write(&file, text).expect("write");
    let seen = bundles(["exec", "k1", "cat", "/etc/hosts"]).ok();
    assert!(seen.ends_with("10.2.2.2\tlate\n"), "{seen}");
    bundles(["rm", "-f", "k1"]).ok();
    // The user's own wins.
    let own = scratch().join("own");
    fs::write(&own, "own\n").expect("write");
    run(&["-v", &format!("{}:/etc/hosts", own.display())], "cat /etc/hosts")
        .output()
        .assert_stdout("own\n");
    for (flags, error) in [
        (["--add-host", "db"], "--add-host db: not NAME:IP"),
        (["--add-host", "h:host-gateway"], "it has no network on which the host is"),
        (["-h", "a b"], "--hostname a b: not a name of 1 to 64"),
    ] {
        let flags = [&["--network", "none"][..], &flags].concat();
        run(&flags, "true").output().assert_exit(125).assert_stderr_has(error);
    }
    run(&["--dns", "x"], "true").output().assert_exit(125).assert_stderr_has("--dns");
}

fn companion_etc_of_the_host_and_of_the_image() {
    image(|_| ());
    let host = fs::read_to_string("/etc/hosts").expect("hosts");
    let flags = ["--network", "host", "--add-host", "h:host-gateway"];
    run(&flags, "cat /etc/hosts").output().assert_stdout(&format!("{host}127.0.0.1\th\n"));
    run(&["--network", "host"], "cat /etc/hosts").output().assert_stdout(&host);
    let name = fs::read_to_string("/proc/sys/kernel/hostname").expect("hostname");
    run(&["--network", "host"], "hostname").output().assert_stdout(&name);
    // The image keeps its own files below.
    let id = call(&["create"], &[], &["true"]).ok();
    assert!(!home().join("containers").join(id.trim()).join("upper/etc/hosts").exists());
}

fn companion_inspect_has_dockers_shape() {
    image(|config| {
        config["Entrypoint"] = json!(["sh", "-c"]);
        config["Cmd"] = json!(["sleep 100"]);
        config["User"] = json!("web");
        config["WorkingDir"] = json!("/data");
        config["Labels"] = json!({ "of": "image" });
        config["StopSignal"] = json!("SIGQUIT");
        config["ExposedPorts"] = json!({ "80/tcp": {} });
        config["Volumes"] = json!({ "/vol": {} });
    });
    let flags = [
        "--name",
        "k1",
        "-e",
        "A=b",
        "-l",
        "own=1",
        "-v",
        "named:/named:ro",
        "--cap-add",
        "NET_ADMIN",
        "-m",
        "64m",
        "--cpus",
        "1.5",
        "--rm",
        "--tmpfs",
        "/t:size=1m",
        "--read-only",
        "-i",
    ];
    let id = call(&["create"], &flags, &[]).ok();
    let shown = inspect("k1");
    assert_eq!(shown["Id"], id.trim());
    assert_eq!(shown["Name"], "/k1");
    assert_eq!((&shown["Path"], &shown["Args"]), (&json!("sh"), &json!(["-c", "sleep 100"])));
    assert_eq!(shown["State"]["Status"], "created");
    let config = &shown["Config"];
    for (key, value) in [
        ("Hostname", json!(&id[..12])),
        ("User", json!("web")),
        ("Tty", json!(false)),
        ("OpenStdin", json!(true)),
        ("Cmd", json!(["sleep 100"])),
        ("Entrypoint", json!(["sh", "-c"])),
        ("Image", json!("app:1")),
        ("Volumes", json!({ "/vol": {} })),
        ("WorkingDir", json!("/data")),
        ("Labels", json!({ "of": "image", "own": "1" })),
        ("StopSignal", json!("SIGQUIT")),
        ("ExposedPorts", json!({ "80/tcp": {} })),
    ] {
        assert_eq!(config[key], value, "{key}");
    }
    assert!(config["Env"].as_array().expect("a list").contains(&json!("A=b")));
    let host = &shown["HostConfig"];
    for (key, value) in [
        ("Binds", json!(["named:/named:ro"])),
        ("AutoRemove", json!(true)),
        ("Privileged", json!(false)),
        ("ReadonlyRootfs", json!(true)),
        ("CapAdd", json!(["CAP_NET_ADMIN"])),
        ("CapDrop", json!(null)),
        ("Memory", json!(67_108_864)),
        ("NanoCpus", json!(1_500_000_000_u64)),
        ("Tmpfs", json!({ "/t": "size=1m" })),
    ] {
        assert_eq!(host[key], value, "{key}");
    }
    let text = bundles([
        "inspect",
        "-f",
        "{{.HostConfig.AutoRemove}} {{index .Config.Labels \"own\"}}",
        "k1",
    ])
    .ok();
    assert_eq!(text, "true 1\n");
}

fn companion_inspect_shows_mounts() {
    image(|_| ());
    let flags = ["--name", "k1", "-v", "named:/named:ro", "--tmpfs", "/t:size=1m"];
    call(&["create"], &flags, &[]).ok();
    let shown = inspect("k1");
    let mounts = shown["Mounts"].as_array().expect("a list");
    let at =
        |place: &str| mounts.iter().find(|mount| mount["Destination"] == place).expect("a mount");
    let named = at("/named");
    assert_eq!(
        (&named["Type"], &named["Name"], &named["RW"]),
        (&json!("volume"), &json!("named"), &json!(false))
    );
    assert_eq!((&named["Mode"], &named["Driver"]), (&json!("ro"), &json!("local")));
    assert!(named["Source"].as_str().expect("a path").ends_with("/volumes/named/_data"));
    // Docker has those of --tmpfs in HostConfig alone.
    assert_eq!(mounts.len(), 1, "{mounts:?}");
}

fn companion_used_image_stays() {
    image(|_| ());
    call(&["create", "--name", "web"], &[], &[]).ok();
    let refused = bundles(["rmi", "app:1"]).output();
    refused.assert_exit(1).assert_stderr_has(
        "bundles: image app:1: used by container web\n  hint: remove the container first: bundles rm web\n",
    );
    bundles(["rmi", "-f", "app:1"])
        .output()
        .assert_exit(1)
        .assert_stderr_has("used by container web");
    // One of two names may go.
    bundles(["tag", "app:1", "app:2"]).ok();
    bundles(["rmi", "app:1"]).ok();
    bundles(["rmi", "app:2"]).output().assert_exit(1);
    bundles(["start", "web"]).ok();
    bundles(["wait", "web"]).ok();
    bundles(["rm", "-f", "web"]).ok();
    bundles(["rmi", "app:2"]).ok();
    assert_eq!(fs::read_dir(home().join("layers")).expect("layers").count(), 0);
}

fn companion_system_counts_and_prunes() {
    image(|_| ());
    detached("runs", &[]);
    call(&["create", "--name", "rests"], &["-l", "keep"], &[]).ok();
    call(&["run", "--name", "ended"], &["-v", "/anon"], &["sh", "-c", "echo 12345678 > /big"]).ok();
    let df = || {
        let format = "{{.Type}}|{{.TotalCount}}|{{.Active}}";
        bundles(["system", "df", "--format", format]).output().lines()
    };
    assert_eq!(
        df(),
        ["Images|1|1", "Containers|3|1", "Local Volumes|1|1", "Build Cache|0|0", "Leftovers|0|0"]
    );
    let ended = inspect("ended")["Id"].as_str().expect("an id").to_owned();
    let said = bundles(["system", "prune", "-f", "--filter", "label!=keep"]).ok();
    assert!(
        said.starts_with(&format!("Deleted Containers:\n{ended}\n\nTotal reclaimed")),
        "{said}"
    );
    assert_eq!(
        df(),
        ["Images|1|1", "Containers|2|1", "Local Volumes|1|0", "Build Cache|0|0", "Leftovers|0|0"]
    );
    // An image that has lost its name goes, unless a container is made from it.
    image(|config| config["Env"] = json!(["A=other"]));
    assert_eq!(df()[0], "Images|2|1");
    bundles(["system", "prune", "-f"]).ok();
    assert_eq!(
        df(),
        ["Images|2|1", "Containers|1|1", "Local Volumes|1|0", "Build Cache|0|0", "Leftovers|0|0"]
    );
    bundles(["exec", "runs", "true"]).ok();
    let said = bundles(["system", "prune", "-a", "-f", "--volumes"]).ok();
    assert!(said.contains("untagged: app:1\ndeleted: sha256:"), "{said}");
    assert_eq!(
        df(),
        ["Images|1|1", "Containers|1|1", "Local Volumes|0|0", "Build Cache|0|0", "Leftovers|0|0"]
    );
    let images = || bundles(["system", "df", "--format", "{{.Size}} of {{.Reclaimable}}"]).output();
    assert!(images().lines()[0].ends_with(" of 0B (0%)"), "{:?}", images().lines());
    bundles(["rm", "-f", "runs"]).ok();
    assert!(images().lines()[0].ends_with(" (100%)"), "{:?}", images().lines());
    bundles(["system", "prune", "-f"]).ok();
    assert_eq!(df()[0], "Images|0|0");
    for dir in ["layers", "oci/blobs/sha256", "tmp", "containers", "volumes"] {
        assert_eq!(fs::read_dir(home().join(dir)).expect(dir).count(), 0, "{dir}");
    }
}

fn companion_container_group() {
    image(|_| ());
    let command = ["sh", "-c", "echo -n $0; exit 3", "-x"];
    let out = call(&["container", "run", "--rm"], &[], &command).output();
    assert_eq!(out.assert_exit(3).stdout(), "-x");
    call(&["container", "create", "--name", "k1"], &[], &[]).ok();
    assert_eq!(bundles(["container", "ls", "-a", "--format", "{{.Names}}"]).ok(), "k1\n");
    assert_eq!(bundles(["container", "inspect", "-f", "{{.Name}}", "k1"]).ok(), "/k1\n");
    bundles(["container", "inspect", "app:1"])
        .output()
        .assert_exit(1)
        .assert_stderr_has("no such container");
    let said = bundles(["container", "prune", "-f"]).ok();
    assert!(said.starts_with("Deleted Containers:\n"), "{said}");
    assert_eq!(bundles(["ps", "-aq"]).ok(), "");
    bundles(["container", "run", "--pull", "never", "nosuch:1"]).output().assert_exit(125);
}
