//! What is told of containers, and what they get of others: the kernel's truth, and Docker's shape.

use std::fs;
use std::path::Path;
use std::process::Command;

use runtime_tests::app::{call, detached, image, run};
use runtime_tests::companion::{assert_nothing_is_left, bundles, home, inspect};
use runtime_tests::prelude::*;

tests![
    companion_frozen_by_others_is_paused,
    companion_damaged_record_is_told_and_harms_no_other,
    companion_memory_is_shared_with_ipc,
    companion_ipc_modes,
    companion_links_set_variables,
    companion_links_on_other_networks_set_none,
    companion_inspect_shows_ports_and_links,
    companion_inspect_has_all_fields_of_docker,
];

/// By the runtime's own command, as others would.
fn runtime(verb: &str, id: &str) {
    let mut command = Command::new(runtime_tests::runtime::path());
    let status = command.args(["--root", "/run/bundles", verb, id]).status().expect("the runtime");
    assert!(status.success(), "{verb}");
}

fn companion_frozen_by_others_is_paused() {
    requires!(host_view);
    image(|_| ());
    requires!(cgroup_v1("freezer"));
    let id = detached("k1", &[]);
    let is = |status: &str, paused: bool| {
        let state = inspect("k1")["State"].clone();
        assert_eq!((&state["Status"], &state["Paused"]), (&json!(status), &json!(paused)));
        assert_eq!(bundles(["ps"]).ok().contains(" (Paused)"), paused);
        let counts = bundles(["info", "-f", "{{.ContainersRunning}} {{.ContainersPaused}}"]).ok();
        assert_eq!(counts, if paused { "0 1\n" } else { "1 0\n" });
    };
    runtime("pause", &id);
    is("paused", true);
    assert_eq!(bundles(["unpause", "k1"]).ok(), "k1\n");
    is("running", false);
    bundles(["pause", "k1"]).ok();
    runtime("resume", &id);
    is("running", false);
    bundles(["rm", "-f", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_damaged_record_is_told_and_harms_no_other() {
    image(|_| ());
    let id = call(&["create", "--name", "k1"], &[], &["true"]).ok();
    detached("k2", &[]);
    let dir = home().join("containers").join(id.trim());
    let file = dir.join("container.json");
    let whole = fs::read(&file).expect("read");
    fs::write(&file, &whole[..whole.len() / 2]).expect("write");
    let error = format!("bundles: {}: ", file.display());
    let hint =
        format!("\n  hint: mend the file, or give the container up: rm -r {}\n", dir.display());
    let listed = bundles(["ps", "-a", "--format", "{{.Names}}"]).output();
    listed.assert_exit(1).assert_says("k2").assert_stderr_has(&error).assert_stderr_has(&hint);
    bundles(["exec", "k2", "true"]).ok();
    bundles(["rm", "-f", "k2"]).ok();
    run(&["--name", "k3"], "true").ok();
    for words in [["rm", "k1"], ["rmi", "app:1"]] {
        bundles(words).output().assert_exit(1).assert_stderr_has(&error);
    }
    fs::write(&file, whole).expect("write");
    bundles(["rm", "k1"]).ok();
    assert_nothing_is_left();
}

fn companion_memory_is_shared_with_ipc() {
    image(|_| ());
    detached("one", &["--ipc", "shareable", "--shm-size", "1m"]);
    bundles(["exec", "one", "sh", "-c", "echo from-one > /dev/shm/file"]).ok();
    let script = "cat /dev/shm/file; echo back > /dev/shm/back; mount | grep /dev/shm";
    let seen = run(&["--ipc", "container:one"], script).ok();
    assert!(seen.starts_with("from-one\n") && seen.contains("size=1024k"), "{seen}");
    assert_eq!(bundles(["exec", "one", "cat", "/dev/shm/back"]).ok(), "back\n");
    // One that is started again has what the other one has then.
    call(&["run", "-d", "--name", "two"], &["--ipc", "container:one"], &["sh", "-c", "sleep 1000"])
        .ok();
    bundles(["stop", "-t", "0", "two", "one"]).ok();
    bundles(["start", "one"]).ok();
    bundles(["exec", "one", "sh", "-c", "echo anew > /dev/shm/file"]).ok();
    bundles(["start", "two"]).ok();
    assert_eq!(bundles(["exec", "two", "cat", "/dev/shm/file"]).ok(), "anew\n");
    // What the user puts there is his.
    let own = run(&["--ipc", "container:one", "--tmpfs", "/dev/shm"], "ls /dev/shm").ok();
    assert_eq!(own, "");
    assert_eq!(
        inspect("two")["HostConfig"]["IpcMode"],
        format!("container:{}", inspect("one")["Id"].as_str().expect("an id"))
    );
    bundles(["rm", "-f", "two", "one"]).ok();
    assert_nothing_is_left();
}

fn refused(flags: &[&str], error: &str) {
    run(flags, "true").output().assert_exit(125).assert_stderr_has(error);
}

fn companion_ipc_modes() {
    image(|_| ());
    run(&["--ipc", "none"], "[ ! -d /dev/shm ] || ls -A /dev/shm; mount | grep -c shm || true")
        .output()
        .assert_stdout("0");
    for flags in [&[][..], &["--ipc", "private"], &["--ipc", "none"]] {
        detached("one", flags);
        let mode = if flags.contains(&"none") { "none" } else { "private" };
        refused(&["--ipc", "container:one"], &format!("--ipc container:one: its ipc is {mode}"));
        refused(&["--ipc", "container:one"], "hint: make one with --ipc shareable");
        bundles(["rm", "-f", "one"]).ok();
    }
    refused(&["--ipc", "shared"], "--ipc shared: unknown");
    assert!(Path::new("/dev/shm").is_dir(), "the host's own");
}

fn variables(text: &str, alias: &str) -> Vec<String> {
    let own = |line: &&str| line.starts_with(alias);
    let mut lines: Vec<String> = text.lines().filter(own).map(str::to_owned).collect();
    lines.sort();
    lines
}

fn companion_links_set_variables() {
    image(|config| config["ExposedPorts"] = json!({ "80/tcp": {}, "53/udp": {} }));
    detached("one", &["-e", "SECRET=a b", "-e", "X=1"]);
    let address =
        inspect("one")["NetworkSettings"]["IPAddress"].as_str().expect("an address").to_owned();
    let flags = ["--name", "two", "--link", "one:my-db", "-e", "MY_DB_ENV_X=mine"];
    call(&["run", "-d"], &flags, &["sh", "-c", "sleep 1000"]).ok();
    let said = bundles(["exec", "two", "cat", "/proc/1/environ"]).ok().replace('\0', "\n");
    let url = |protocol: &str, port: u16| format!("{protocol}://{address}:{port}");
    let mut wanted = vec![
        "MY_DB_NAME=/two/my-db".to_owned(),
        format!("MY_DB_PORT={}", url("udp", 53)),
        format!("MY_DB_PORT_53_UDP={}", url("udp", 53)),
        format!("MY_DB_PORT_53_UDP_ADDR={address}"),
        "MY_DB_PORT_53_UDP_PORT=53".to_owned(),
        "MY_DB_PORT_53_UDP_PROTO=udp".to_owned(),
        format!("MY_DB_PORT_80_TCP={}", url("tcp", 80)),
        format!("MY_DB_PORT_80_TCP_ADDR={address}"),
        "MY_DB_PORT_80_TCP_PORT=80".to_owned(),
        "MY_DB_PORT_80_TCP_PROTO=tcp".to_owned(),
        "MY_DB_ENV_SECRET=a b".to_owned(),
        "MY_DB_ENV_X=mine".to_owned(),
    ];
    wanted.sort();
    assert_eq!(variables(&said, "MY_DB_"), wanted);
    // They are not among those that the user has asked for, also when it has been started again.
    bundles(["restart", "-t", "0", "two"]).ok();
    let own = inspect("two")["Config"]["Env"].to_string();
    assert!(own.contains("MY_DB_ENV_X=mine") && !own.contains("MY_DB_PORT"), "{own}");
    let again = bundles(["exec", "two", "cat", "/proc/1/environ"]).ok().replace('\0', "\n");
    assert_eq!(variables(&again, "MY_DB_"), wanted);
    bundles(["rm", "-f", "two", "one"]).ok();
    assert_nothing_is_left();
}

/// As with Docker.
fn companion_links_on_other_networks_set_none() {
    image(|config| config["ExposedPorts"] = json!({ "80/tcp": {} }));
    bundles(["network", "create", "own"]).ok();
    detached("one", &["--network", "own"]);
    let seen = run(&["--network", "own", "--link", "one:db"], "cat /proc/1/environ").ok();
    assert!(!seen.contains("DB_"), "{seen}");
    bundles(["rm", "-f", "one"]).ok();
    bundles(["network", "rm", "own"]).ok();
}

fn companion_inspect_shows_ports_and_links() {
    image(|_| ());
    detached("one", &[]);
    let flags = [
        "--name",
        "two",
        "--link",
        "one:db",
        "-p",
        "8080:80",
        "-p",
        "127.0.0.1::9/udp",
        "--expose",
        "7",
        "--ip",
        "172.17.0.77",
    ];
    call(&["create"], &flags, &["true"]).ok();
    let shown = inspect("two");
    let host = &shown["HostConfig"];
    assert_eq!(
        host["PortBindings"],
        json!({
            "80/tcp": [{ "HostIp": "", "HostPort": "8080" }],
            "9/udp": [{ "HostIp": "127.0.0.1", "HostPort": "" }],
        })
    );
    assert_eq!(host["Links"], json!(["/one:/two/db"]));
    assert_eq!(host["NetworkMode"], "bridge");
    let exposed = json!({ "7/tcp": {}, "80/tcp": {}, "9/udp": {} });
    assert_eq!(shown["Config"]["ExposedPorts"], exposed);
    let network = &shown["NetworkSettings"]["Networks"]["bridge"];
    assert_eq!(network["IPAMConfig"], json!({ "IPv4Address": "172.17.0.77" }));
    bundles(["rename", "one", "other"]).ok();
    assert_eq!(inspect("two")["HostConfig"]["Links"], json!(["/other:/two/db"]));
    call(&["create", "--name", "three"], &["--network", "container:other"], &["true"]).ok();
    let id = inspect("other")["Id"].as_str().expect("an id").to_owned();
    assert_eq!(inspect("three")["HostConfig"]["NetworkMode"], format!("container:{id}"));
    assert_eq!(inspect("other")["HostConfig"]["PortBindings"], json!({}));
    bundles(["rm", "-f", "three", "two", "other"]).ok();
}

fn companion_inspect_has_all_fields_of_docker() {
    image(|_| ());
    let flags = [
        "--name",
        "k1",
        "--device",
        "/dev/null:/dev/nil:rw",
        "--ulimit",
        "nofile=10:20",
        "--sysctl",
        "net.ipv4.ip_forward=1",
        "--init",
        "-P",
        "--memory-swappiness",
        "3",
        "-m",
        "64m",
    ];
    call(&["create"], &flags, &["true"]).ok();
    let shown = inspect("k1");
    let host = &shown["HostConfig"];
    for (field, value) in [
        (
            "Devices",
            json!([{ "PathOnHost": "/dev/null", "PathInContainer": "/dev/nil", "CgroupPermissions": "rw" }]),
        ),
        ("Ulimits", json!([{ "Name": "nofile", "Soft": 10, "Hard": 20 }])),
        ("Sysctls", json!({ "net.ipv4.ip_forward": "1" })),
        ("Init", json!(true)),
        ("PublishAllPorts", json!(true)),
        ("MemorySwappiness", json!(3)),
        ("BlkioWeightDevice", json!([])),
        ("Links", Value::Null),
    ] {
        assert_eq!(host[field], value, "{field}");
    }
    // Those that Docker 20.10 has of any container.
    for fields in [
        "Binds ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy AutoRemove VolumeDriver",
        "VolumesFrom CapAdd CapDrop CgroupnsMode Dns DnsOptions DnsSearch ExtraHosts GroupAdd IpcMode",
        "Cgroup OomScoreAdj PidMode Privileged ReadonlyRootfs SecurityOpt UTSMode UsernsMode ShmSize",
        "Runtime ConsoleSize Isolation CpuShares Memory NanoCpus CgroupParent BlkioWeight CpuPeriod",
        "BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps CpuQuota",
        "CpuRealtimePeriod CpuRealtimeRuntime CpusetCpus CpusetMems DeviceCgroupRules DeviceRequests",
        "KernelMemory KernelMemoryTCP MemoryReservation MemorySwap OomKillDisable PidsLimit CpuCount",
        "CpuPercent IOMaximumIOps IOMaximumBandwidth MaskedPaths ReadonlyPaths",
    ] {
        for field in fields.split(' ') {
            assert!(host.get(field).is_some(), "HostConfig.{field}");
        }
    }
    let network = "Bridge SandboxID HairpinMode LinkLocalIPv6Address LinkLocalIPv6PrefixLen Ports \
                   SandboxKey SecondaryIPAddresses SecondaryIPv6Addresses EndpointID Gateway \
                   GlobalIPv6Address GlobalIPv6PrefixLen IPAddress IPPrefixLen IPv6Gateway MacAddress";
    for field in network.split_whitespace() {
        assert!(shown["NetworkSettings"].get(field).is_some(), "NetworkSettings.{field}");
    }
    for field in ["IPAMConfig", "Links", "Aliases", "NetworkID", "DriverOpts"] {
        assert!(shown["NetworkSettings"]["Networks"]["bridge"].get(field).is_some(), "{field}");
    }
    bundles(["rm", "k1"]).ok();
}
