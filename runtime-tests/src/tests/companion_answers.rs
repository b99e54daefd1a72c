//! What scripts read: the fields of `inspect` in Docker's shape, filters, formats, exit codes.

use super::companion_run_images::archive;
use runtime_tests::companion::{Root, assert_nothing_is_left, bundles, inspect};
use runtime_tests::prelude::*;
use std::fs;

tests![
    companion_answers_of_inspect_have_all_fields,
    companion_answers_of_inspect_are_what_was_asked_for,
    companion_answers_of_ps_filters,
    companion_answers_of_filters_that_never_fit,
    companion_answers_have_three_formats,
    companion_answers_have_sizes,
    companion_answers_are_exit_codes,
    companion_answers_of_wait_and_stop,
    companion_answers_of_exec_flags,
];

/// Fields that Docker's API documents, with the kinds of their values: Bool, Number, String, List,
/// Object; `?` is null or the kind behind it.
const CONTAINER: &str = "Id S, Created S, Path S, Args L, Image S, ResolvConfPath S, HostnamePath S, HostsPath S, LogPath S, \
    Name S, RestartCount N, Driver S, Platform S, MountLabel S, ProcessLabel S, AppArmorProfile S, ExecIDs ?L, \
    State.Status S, State.Running B, State.Paused B, State.Restarting B, State.OOMKilled B, State.Dead B, \
    State.Pid N, State.ExitCode N, State.Error S, State.StartedAt S, State.FinishedAt S, \
    State.Health.Status S, State.Health.FailingStreak N, State.Health.Log L, \
    HostConfig.Binds L, HostConfig.ContainerIDFile S, HostConfig.LogConfig.Type S, HostConfig.LogConfig.Config O, \
    HostConfig.NetworkMode S, HostConfig.PortBindings O, HostConfig.RestartPolicy.Name S, \
    HostConfig.RestartPolicy.MaximumRetryCount N, HostConfig.AutoRemove B, HostConfig.VolumeDriver S, \
    HostConfig.VolumesFrom ?L, HostConfig.Mounts L, HostConfig.ConsoleSize L, HostConfig.CapAdd L, HostConfig.CapDrop ?L, \
    HostConfig.CgroupnsMode S, HostConfig.Dns L, HostConfig.DnsOptions L, HostConfig.DnsSearch L, HostConfig.ExtraHosts L, \
    HostConfig.GroupAdd ?L, HostConfig.IpcMode S, HostConfig.Cgroup S, HostConfig.Links ?L, HostConfig.OomScoreAdj N, \
    HostConfig.PidMode S, HostConfig.Privileged B, HostConfig.PublishAllPorts B, HostConfig.ReadonlyRootfs B, \
    HostConfig.SecurityOpt ?L, HostConfig.UTSMode S, HostConfig.UsernsMode S, HostConfig.ShmSize N, HostConfig.Runtime S, \
    HostConfig.Isolation S, HostConfig.CpuShares N, HostConfig.Memory N, HostConfig.NanoCpus N, HostConfig.CgroupParent S, \
    HostConfig.BlkioWeight N, HostConfig.BlkioWeightDevice L, HostConfig.BlkioDeviceReadBps L, HostConfig.BlkioDeviceWriteBps L, \
    HostConfig.BlkioDeviceReadIOps L, HostConfig.BlkioDeviceWriteIOps L, HostConfig.CpuPeriod N, HostConfig.CpuQuota N, \
    HostConfig.CpuRealtimePeriod N, HostConfig.CpuRealtimeRuntime N, HostConfig.CpusetCpus S, HostConfig.CpusetMems S, \
    HostConfig.Devices L, HostConfig.DeviceCgroupRules ?L, HostConfig.DeviceRequests ?L, HostConfig.MemoryReservation N, \
    HostConfig.MemorySwap N, HostConfig.MemorySwappiness ?N, HostConfig.OomKillDisable B, HostConfig.PidsLimit ?N, \
    HostConfig.Ulimits L, HostConfig.CpuCount N, HostConfig.CpuPercent N, HostConfig.IOMaximumIOps N, \
    HostConfig.IOMaximumBandwidth N, HostConfig.MaskedPaths L, HostConfig.ReadonlyPaths L, HostConfig.Tmpfs O, \
    GraphDriver.Name S, GraphDriver.Data O, Mounts L, \
    Config.Hostname S, Config.Domainname S, Config.User S, Config.AttachStdin B, Config.AttachStdout B, \
    Config.AttachStderr B, Config.ExposedPorts O, Config.Tty B, Config.OpenStdin B, Config.StdinOnce B, Config.Env L, \
    Config.Cmd L, Config.Healthcheck O, Config.Image S, Config.Volumes ?O, Config.WorkingDir S, Config.Entrypoint ?L, \
    Config.OnBuild ?L, Config.Labels O, Config.StopSignal S, Config.StopTimeout N, \
    NetworkSettings.Bridge S, NetworkSettings.SandboxID S, NetworkSettings.HairpinMode B, \
    NetworkSettings.LinkLocalIPv6Address S, NetworkSettings.LinkLocalIPv6PrefixLen N, NetworkSettings.Ports O, \
    NetworkSettings.SandboxKey S, NetworkSettings.SecondaryIPAddresses ?L, NetworkSettings.SecondaryIPv6Addresses ?L, \
    NetworkSettings.EndpointID S, NetworkSettings.Gateway S, NetworkSettings.GlobalIPv6Address S, \
    NetworkSettings.GlobalIPv6PrefixLen N, NetworkSettings.IPAddress S, NetworkSettings.IPPrefixLen N, \
    NetworkSettings.IPv6Gateway S, NetworkSettings.MacAddress S, \
    NetworkSettings.Networks.net1.IPAMConfig ?O, NetworkSettings.Networks.net1.Links ?L, \
    NetworkSettings.Networks.net1.Aliases L, NetworkSettings.Networks.net1.NetworkID S, \
    NetworkSettings.Networks.net1.EndpointID S, NetworkSettings.Networks.net1.Gateway S, \
    NetworkSettings.Networks.net1.IPAddress S, NetworkSettings.Networks.net1.IPPrefixLen N, \
    NetworkSettings.Networks.net1.IPv6Gateway S, NetworkSettings.Networks.net1.GlobalIPv6Address S, \
    NetworkSettings.Networks.net1.GlobalIPv6PrefixLen N, NetworkSettings.Networks.net1.MacAddress S, \
    NetworkSettings.Networks.net1.DriverOpts ?O, SizeRw N, SizeRootFs N";
const IMAGE: &str = "Id S, RepoTags L, RepoDigests L, Parent S, Comment S, Created S, Container S, ContainerConfig O, \
    DockerVersion S, Author S, Config.Hostname S, Config.Domainname S, Config.User S, Config.AttachStdin B, \
    Config.AttachStdout B, Config.AttachStderr B, Config.Tty B, Config.OpenStdin B, Config.StdinOnce B, Config.Env L, \
    Config.Cmd L, Config.Image S, Config.Volumes ?O, Config.WorkingDir S, Config.Entrypoint ?L, Config.OnBuild ?L, \
    Config.Labels ?O, Architecture S, Os S, Size N, VirtualSize N, GraphDriver.Name S, GraphDriver.Data O, RootFS.Type S, \
    RootFS.Layers L, Metadata.LastTagTime S";
const NETWORK: &str = "Name S, Id S, Created S, Scope S, Driver S, EnableIPv6 B, IPAM.Driver S, IPAM.Options O, IPAM.Config L, \
    Internal B, Attachable B, Ingress B, ConfigFrom.Network S, ConfigOnly B, Containers O, Options O, Labels O";
const VOLUME: &str = "CreatedAt S, Driver S, Labels O, Mountpoint S, Name S, Options ?O, Scope S";

fn assert_fields(thing: &Value, table: &str) {
    for line in table.split(", ") {
        let (path, kind) = line.trim().rsplit_once(' ').expect("a field and a kind");
        let pointer = format!("/{}", path.replace('.', "/"));
        let value = thing.pointer(&pointer).unwrap_or_else(|| panic!("{path}: missing in {thing}"));
        let is_kind = match kind.trim_start_matches('?') {
            "B" => value.is_boolean(),
            "N" => value.is_number(),
            "S" => value.is_string(),
            "L" => value.is_array(),
            "O" => value.is_object(),
            other => panic!("{other}: no kind"),
        };
        assert!(is_kind || kind.starts_with('?') && value.is_null(), "{path}: {kind}: {value}");
    }
}

/// `app:1` with nothing but a shell to run, and a call of `run` or `create` with it.
fn image() {
    requires!(root);
    let archive = archive(|config| {
        config["Entrypoint"] = Value::Null;
        config["Cmd"] = json!(["sh"]);
    });
    bundles(["load", "-q"]).stdin(archive).ok();
}

fn make(verb: &[&str], flags: &[&str], command: &[&str]) -> Call {
    let call = bundles(verb).arg("--runtime").arg(runtime_tests::runtime::path());
    call.args(flags).arg("app:1").args(command)
}

fn companion_answers_of_inspect_have_all_fields() {
    image();
    bundles(["network", "create", "--label", "a=b", "net1"]).ok();
    bundles(["volume", "create", "--label", "a=b", "data"]).ok();
    let flags = [
        "--name",
        "web",
        "--network",
        "net1",
        "-p",
        "127.0.0.1::80",
        "-v",
        "data:/data",
        "-v",
        "/tmp:/host:ro",
        "--mount",
        "type=bind,source=/etc,target=/e,readonly",
        "--tmpfs",
        "/t:size=1m",
        "--cap-add",
        "net_raw",
        "--ulimit",
        "nofile=1000:2000",
        "--add-host",
        "h:10.0.0.1",
        "--health-cmd",
        "true",
        "--stop-signal",
        "INT",
        "--stop-timeout",
        "3",
        "-l",
        "c=d",
    ];
    make(&["run", "-d"], &flags, &["sleep", "1000"]).ok();
    let of = |words: &[&str]| -> Value {
        let text = bundles(["inspect", "-s"]).args(words).ok();
        serde_json::from_str::<Value>(&text).expect("JSON")[0].clone()
    };
    let web = of(&["web"]);
    assert_fields(&web, CONTAINER);
    assert_fields(&of(&["--type", "image", "app:1"]), IMAGE);
    assert_fields(&of(&["--type", "network", "net1"]), NETWORK);
    assert_fields(&of(&["--type", "volume", "data"]), VOLUME);
    let all_fields = |of: &Value, names: &str| names.split(' ').all(|name| of.get(name).is_some());
    for mount in web["Mounts"].as_array().expect("a list") {
        assert!(all_fields(mount, "Type Source Destination Mode RW Propagation"), "{mount}");
    }
    let member = of(&["net1"])["Containers"][web["Id"].as_str().expect("an id")].clone();
    assert!(all_fields(&member, "Name EndpointID MacAddress IPv4Address IPv6Address"), "{member}");
    bundles(["rm", "-f", "web"]).ok();
}

fn companion_answers_of_inspect_are_what_was_asked_for() {
    image();
    let flags = [
        "--name",
        "web1",
        "-e",
        "A=b",
        "-e",
        "FROM=flag",
        "-e",
        "NOSUCH_VARIABLE",
        "--cap-add",
        "net_raw",
        "--cap-drop",
        "all",
        "--mount",
        "type=tmpfs,target=/m",
        "--mount",
        "type=bind,src=/etc,dst=/e,ro",
        "--tmpfs",
        "/t",
        "-h",
        "box",
    ];
    make(&["create"], &flags, &[]).ok();
    let web = inspect("web1");
    assert_eq!(web["Config"]["Env"], json!(["A=b", "FROM=flag", "PATH=/bin"]));
    assert_eq!(web["HostConfig"]["CapAdd"], json!(["CAP_NET_RAW"]));
    assert_eq!(web["HostConfig"]["CapDrop"], json!(["ALL"]));
    let mounts = json!([
        { "Type": "tmpfs", "Target": "/m" },
        { "Type": "bind", "Source": "/etc", "Target": "/e", "ReadOnly": true },
    ]);
    assert_eq!(web["HostConfig"]["Mounts"], mounts);
    assert_eq!(web["HostConfig"]["Tmpfs"], json!({ "/t": "" }));
    let mut places: Vec<&str> = web["Mounts"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|mount| mount["Destination"].as_str())
        .collect();
    places.sort_unstable();
    assert_eq!(places, ["/e", "/m"], "those of --tmpfs are not among them");
    let attached = |name: &str| {
        let config = inspect(name)["Config"].clone();
        ["AttachStdin", "AttachStdout", "AttachStderr"].map(|field| config[field] == true)
    };
    assert_eq!(attached("web1"), [false, true, true]);
    make(&["run", "-d"], &["--name", "web2", "-i"], &["sleep", "1000"]).ok();
    assert_eq!(attached("web2"), [false; 3]);
    make(&["create"], &["--name", "web3", "-a", "stdout"], &[]).ok();
    assert_eq!(attached("web3"), [false, true, false]);
    bundles(["network", "create", "net1"]).ok();
    make(&["run", "-d"], &["--name", "web4", "--network", "net1"], &["sleep", "1000"]).ok();
    make(
        &["run", "-d"],
        &["--name", "web5", "--network", "net1", "--link", "web4:db"],
        &["sleep", "1000"],
    )
    .ok();
    assert_eq!(inspect("web5")["NetworkSettings"]["Networks"]["net1"]["Links"], json!(["web4:db"]));
    assert_eq!(inspect("web1")["State"].get("Health"), None);
    bundles(["rm", "-f", "web1", "web2", "web3", "web4", "web5"]).ok();
}

fn companion_answers_of_ps_filters() {
    image();
    bundles(["network", "create", "net1"]).ok();
    make(&["create"], &["--name", "one", "-l", "a=b", "-l", "c", "--expose", "99"], &[]).ok();
    let two = ["--name", "two", "--network", "net1", "-v", "data:/data", "-p", "127.0.0.1::80"];
    make(&["run", "-d"], &two, &["sleep", "1000"]).ok();
    make(&["run"], &["--name", "three", "--network", "none"], &["sh", "-c", "exit 3"]).output();
    let check = [
        "--name",
        "four",
        "--network",
        "none",
        "--health-cmd",
        "true",
        "--health-interval",
        "20ms",
    ];
    make(&["run", "-d"], &check, &["sleep", "1000"]).ok();
    let named = |filters: &[&str]| {
        let filters = filters.iter().flat_map(|filter| ["--filter", filter]);
        let list = bundles(["ps", "-a", "--format", "{{.Names}}"]).args(filters).ok();
        let mut names: Vec<String> = list.lines().map(ToOwned::to_owned).collect();
        names.sort_unstable();
        names.join(" ")
    };
    until("it is well", || (named(&["health=healthy"]) == "four").then_some(()));
    let id = inspect("two")["Id"].as_str().expect("an id")[..12].to_owned();
    let image = inspect("app:1")["Id"].as_str().expect("an id").to_owned();
    for (filters, names) in [
        (&[][..], "four one three two"),
        (&[format!("id={id}").as_str()], "two"),
        (&["name=o"], "four one two"),
        (&["name=^one$", "name=three"], "one three"),
        (&["label=a"], "one"),
        (&["label=a=b", "label=c"], "one"),
        (&["label=a=c"], ""),
        (&["label!=a"], "four three two"),
        (&["exited=3"], "three"),
        (&["exited=0"], ""),
        (&["status=created", "status=exited"], "one three"),
        (&["status=running"], "four two"),
        (&["ancestor=app:1", "status=running"], "four two"),
        (&[format!("ancestor={image}").as_str()], "four one three two"),
        (&["ancestor=other"], ""),
        (&["before=two"], "one"),
        (&["since=two"], "four three"),
        (&["volume=data"], "two"),
        (&["volume=/data"], "two"),
        (&["network=net1"], "two"),
        (&["network=none"], "four three"),
        (&["publish=80"], "two"),
        (&["publish=80/udp"], ""),
        (&["expose=99/tcp"], "one"),
        (&["health=none"], "one three two"),
        (&["health=healthy", "status=running"], "four"),
    ] {
        assert_eq!(named(filters), names, "{filters:?}");
    }
    // Without -a, too.
    assert_eq!(bundles(["ps", "-q", "--filter", "exited=3"]).ok().lines().count(), 1);
    assert_eq!(bundles(["ps", "-q", "--no-trunc", "--filter", "label=a"]).ok(), "");
    assert_eq!(bundles(["ps", "-aq", "--no-trunc", "--filter", "label=a"]).ok().trim().len(), 64);
    bundles(["rm", "-f", "one", "two", "three", "four"]).ok();
}

fn companion_answers_of_filters_that_never_fit() {
    requires!(root, companion);
    for (words, error) in [
        (["ps", "status=dreaming"], "--filter status=dreaming: there is no such status"),
        (["ps", "health=ill"], "--filter health=ill: there is no such health"),
        (["ps", "exited=no"], "--filter exited=no: no exit code"),
        (["ps", "before=nosuch"], "--filter before=nosuch: no such container"),
        (["ps", "since=nosuch"], "--filter since=nosuch: no such container"),
        (["ps", "color=red"], "no filter \"color\" here"),
        (["images", "color=red"], "no filter \"color\" here"),
        (["ps", "nonsense"], "--filter nonsense: not KEY=VALUE"),
    ] {
        let out = bundles([words[0], "-a", "--filter", words[1]]).output();
        out.assert_exit(1).assert_stderr_has(error);
    }
}

/// One object a line, a table with headings, and a template; with and without anything to show.
fn companion_answers_have_three_formats() {
    image();
    let lists: [(&[&str], &str, &str); 5] = [
        (&["ps", "-a"], "Names", "NAMES"),
        (&["images"], "Repository", "REPOSITORY"),
        (&["network", "ls"], "Name", "NAME"),
        (&["volume", "ls"], "Name", "VOLUME NAME"),
        (&["system", "df"], "Type", "TYPE"),
    ];
    for filled in [false, true] {
        if filled {
            let flags = ["--name", "web", "--network", "none", "-v", "data:/data"];
            make(&["run", "-d"], &flags, &["sleep", "1000"]).ok();
        }
        for (words, field, title) in lists {
            let format = |format: &str| bundles(words).args(["--format", format]).ok();
            let lines = format("json");
            assert!(!filled || !lines.is_empty(), "{words:?}");
            for line in lines.lines() {
                let object: Value = serde_json::from_str(line).expect("JSON");
                assert!(object.get(field).is_some_and(Value::is_string), "{words:?}: {line}");
            }
            let table = format(&format!("table {{{{.{field}}}}}"));
            assert!(table.starts_with(title), "{words:?}: {table}");
            assert_eq!(table.lines().count(), lines.lines().count() + 1, "{words:?}");
            let template = format(&format!("{{{{.{field}}}}}"));
            assert_eq!(template.lines().count(), lines.lines().count(), "{words:?}");
            assert!(bundles(words).ok().lines().next().is_some_and(|line| line.contains(title)));
            let wrong = bundles(words).args(["--format", "{{.Nosuch"]).output();
            wrong.assert_fails_somewhere();
        }
    }
    bundles(["rm", "-f", "web"]).ok();
}

fn companion_answers_have_sizes() {
    image();
    let write = ["sh", "-c", "head -c 300000 /dev/zero > /srv/file; exec sleep 1000"];
    make(&["run", "-d"], &["--name", "web", "--network", "none"], &write).ok();
    let size = || {
        let text = bundles(["inspect", "-s", "-f", "{{.SizeRw}} {{.SizeRootFs}}", "web"]).ok();
        let (own, all) = text.trim().split_once(' ').expect("two sizes");
        (own.parse::<u64>().expect("a number"), all.parse::<u64>().expect("a number"))
    };
    let (own, all) = until("it is written", || Some(size()).filter(|(own, _)| *own >= 300_000));
    assert!(own < 400_000 && all > own + 500_000, "{own} {all}");
    let shown = bundles(["ps", "-s"]).ok();
    let heading = shown.lines().next().expect("a heading");
    assert!(heading.trim_end().ends_with("SIZE") && shown.contains("kB (virtual "), "{shown}");
    assert!(bundles(["ps", "--format", "{{.Size}}"]).ok().contains("kB (virtual "));
    assert!(
        bundles(["ps", "--format", "json"]).ok().contains("\"Size\":\"0B\""),
        "nobody has asked"
    );
    assert_eq!(inspect("web").get("SizeRw"), None);
    bundles(["rm", "-f", "web"]).ok();
}

fn companion_answers_are_exit_codes() {
    image();
    let run = |command: &[&str]| make(&["run", "--rm"], &["--network", "none"], command).output();
    run(&["sh", "-c", "exit 42"]).assert_exit(42);
    // The first process of a container is safe from itself only.
    make(&["run", "-d"], &["--name", "dies", "--network", "none"], &["sleep", "1000"]).ok();
    bundles(["kill", "dies"]).ok();
    assert_eq!(bundles(["wait", "dies"]).ok(), "137\n");
    bundles(["rm", "dies"]).ok();
    run(&["nosuch"]).assert_exit(127);
    run(&["/etc/passwd"]).assert_exit(126);
    run(&["/etc"]).assert_exit(126);
    make(&["run"], &["--nosuch"], &[]).output().assert_exit(125);
    make(&["run", "--rm"], &["--network", "nosuch"], &["true"]).output().assert_exit(125);
    make(&["run", "-d"], &["--name", "web", "--network", "none"], &["sleep", "1000"]).ok();
    let exec = |command: &[&str]| bundles(["exec", "web"]).args(command).output();
    exec(&["sh", "-c", "exit 42"]).assert_exit(42);
    exec(&["sh", "-c", "kill -9 $$"]).assert_exit(137);
    exec(&["nosuch"]).assert_exit(127);
    exec(&["/etc/passwd"]).assert_exit(126);
    bundles(["exec", "nosuch", "true"]).output().assert_exit(125);
    make(&["create"], &["--name", "once", "--network", "none"], &["sh", "-c", "exit 5"]).ok();
    bundles(["start", "-a", "once"]).output().assert_exit(5);
    for words in [
        &["start", "nosuch"][..],
        &["stop", "nosuch"],
        &["rm", "nosuch"],
        &["logs", "nosuch"],
        &["inspect", "nosuch"],
    ] {
        bundles(words).output().assert_exit(1);
    }
    bundles(["rm", "-f", "web", "once"]).ok();
}

fn companion_answers_of_wait_and_stop() {
    let root = Root::new();
    let script = "trap 'exit 7' USR1; trap 'exit 8' TERM; while :; do sleep 0.02; done";
    let check =
        ["--health-cmd", "[ -e /tmp/well ]", "--health-interval", "20ms", "--health-retries", "1"];
    root.call(&["create", "--name", "web"], &check, &["sh", "-c", script]).ok();
    let wait = |condition: &str| bundles(["wait", "--condition", condition, "web"]);
    assert_eq!(wait("created").ok(), "-1\n");
    let runs = wait("running").spawn();
    let ill = wait("unhealthy").spawn();
    let well = wait("healthy").spawn();
    bundles(["start", "web"]).ok();
    runs.wait().assert_stdout("-1\n");
    ill.wait().assert_stdout("-1\n");
    fs::write(root.rootfs.join("tmp/well"), "").expect("file");
    well.wait().assert_stdout("-1\n");
    let ends = wait("exited").spawn();
    bundles(["stop", "--signal", "USR1", "web"]).ok();
    ends.wait().assert_stdout("7\n");
    let gone = wait("removed").spawn();
    let watches = |entry: fs::DirEntry| {
        fs::read_link(entry.path()).is_ok_and(|link| link.ends_with("anon_inode:inotify"))
    };
    until("it watches the container", || {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", gone.pid())).ok()?;
        descriptors.flatten().any(watches).then_some(())
    });
    bundles(["rm", "web"]).ok();
    gone.wait().assert_stdout("7\n");
    bundles(["wait", "--condition", "dreaming", "web"]).output().assert_exit(125);
    assert_nothing_is_left();
}

fn companion_answers_of_exec_flags() {
    let root = Root::new();
    let file = root.rootfs.join("tmp/variables");
    fs::write(&file, "# none\nB=file\nC=file\n").expect("file");
    root.detached("web", &["sleep", "1000"]);
    let file = file.to_str().expect("UTF-8");
    let exec =
        bundles(["exec", "--env-file", file, "-e", "C=flag", "web", "sh", "-c", "echo $B $C"]);
    assert_eq!(exec.ok(), "file flag\n");
    let capabilities = |flags: &[&str]| {
        let exec =
            bundles(["exec"]).args(flags).args(["web", "grep", "CapEff", "/proc/self/status"]).ok();
        u64::from_str_radix(exec.trim_start_matches("CapEff:").trim(), 16).expect("a set")
    };
    let (usual, all) = (capabilities(&[]), capabilities(&["--privileged"]));
    // CAP_SYS_ADMIN
    assert!(usual & (1 << 21) == 0 && all & (1 << 21) != 0, "{usual:x} {all:x}");
    assert_eq!(capabilities(&["--privileged", "-u", "web"]), 0, "they are lost by execve(2)");
    bundles(["rm", "-f", "web"]).ok();
    assert_nothing_is_left();
}
