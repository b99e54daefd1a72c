//! What programs run under the names `docker` and `podman`, line by line, and what they read in the
//! answers: kind, the CLI of devcontainers, GitHub's runner, podman-compose, Harbor's installer.

use super::companion_run_images::archive;
use nix::sys::signal::Signal;
use runtime_tests::call::Output;
use runtime_tests::companion::{bundles, called, home};
use runtime_tests::prelude::*;
use std::fs;

tests![
    companion_scripts_of_kind,
    companion_scripts_of_devcontainers,
    companion_scripts_of_the_runner_of_github,
    companion_scripts_of_podman_compose,
    companion_scripts_of_harbor,
    companion_scripts_write_flags_as_in_go,
    companion_scripts_attach_streams,
    companion_scripts_are_told_what_there_is_not,
];

/// As a shell splits it.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (letter, quote) {
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, Some(end)) if letter == end => quote = None,
            (' ', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// The line, with a home of the test's own.
fn call(line: &str) -> Call {
    let words = words(line);
    let home = home();
    let mut all = vec!["--root", home.to_str().expect("UTF-8")];
    all.extend(words[1..].iter().map(String::as_str));
    called(&words[0], &all)
}

fn ok(line: &str) -> String {
    call(line).ok()
}

fn fails(line: &str) -> Output {
    let out = call(line).output();
    out.assert_fails_somewhere();
    out
}

fn json(line: &str) -> Value {
    serde_json::from_str(&ok(line)).expect("JSON")
}

/// `app:1` with nothing but a shell to run.
fn image() {
    requires!(root);
    let archive = archive(|config| {
        config["Entrypoint"] = Value::Null;
        config["Cmd"] = json!(["sh"]);
        config["WorkingDir"] = "/".into();
    });
    bundles(["load", "-q"]).stdin(archive).ok();
}

fn companion_scripts_of_kind() {
    image();
    assert!(ok("docker -v").starts_with("Docker version "));
    ok("docker inspect --type=image app:1");
    assert_eq!(ok("docker network ls --filter=name=^kind$ --format={{.ID}}"), "");
    let mtu =
        "docker network inspect bridge -f '{{ index .Options \"com.docker.network.driver.mtu\" }}'";
    assert!(ok(mtu).trim().parse::<u32>().is_err(), "as if nothing was set");
    ok("docker network create -d=bridge -o com.docker.network.bridge.enable_ip_masquerade=true \
        -o com.docker.network.driver.mtu=1500 --ipv6 --subnet fc00:f853:ccd:e793::/64 kind");
    let id = ok("docker network ls --filter=name=^kind$ --format={{.ID}}");
    assert_eq!(id.trim().len(), 12);
    assert_eq!(ok("docker network ls --filter=name=^kind$ --format={{.Name}}"), "kind\n");
    ok("docker run --name kind-control-plane --hostname kind-control-plane \
        --label io.x-k8s.kind.role=control-plane --label io.x-k8s.kind.cluster=kind \
        --security-opt seccomp=unconfined --security-opt apparmor=unconfined --tmpfs /tmp --tmpfs /run \
        --volume /var --volume /lib/modules:/lib/modules:ro -e KIND_EXPERIMENTAL_CONTAINERD_SNAPSHOTTER \
        --detach --tty --net kind --restart=on-failure:1 --init=false --cgroupns=private \
        --publish=127.0.0.1:0:6443/TCP -e KUBECONFIG=/etc/kubernetes/admin.conf \
        app:1 sh -c 'echo up; exec sleep 1000'");
    let networks = json(&format!("docker network inspect {}", id.trim()));
    let there = networks[0]["Containers"].as_object().expect("a map");
    assert_eq!(there.len(), 1, "{networks}");
    let by_label = "docker ps -a --filter label=io.x-k8s.kind.cluster --format '{{.Label \"io.x-k8s.kind.cluster\"}}'";
    assert_eq!(ok(by_label), "kind\n");
    let names = "docker ps -a --filter label=io.x-k8s.kind.cluster=kind --format {{.Names}}";
    assert_eq!(ok(names), "kind-control-plane\n");
    let role = "docker inspect --format '{{ index .Config.Labels \"io.x-k8s.kind.role\"}}' kind-control-plane";
    assert_eq!(ok(role), "control-plane\n");
    let addresses = "docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}},{{.GlobalIPv6Address}}{{end}}' kind-control-plane";
    let addresses = ok(addresses);
    let (four, six) = addresses.trim().split_once(',').expect("two addresses");
    assert!(
        four.parse::<std::net::Ipv4Addr>().is_ok() && six.starts_with("fc00:f853:"),
        "{addresses}"
    );
    let port = "docker inspect --format '{{ with (index (index .NetworkSettings.Ports \"6443/tcp\") 0) }}{{ printf \"%s:%s\" .HostIp .HostPort }}{{ end }}' kind-control-plane";
    assert!(ok(port).starts_with("127.0.0.1:"));
    let info = json("docker info --format '{{json .}}'");
    for field in ["MemoryLimit", "PidsLimit", "CPUShares"] {
        assert!(info[field].is_boolean(), "{field}");
    }
    assert!(matches!(info["CgroupVersion"].as_str(), Some("1" | "2")));
    assert!(json("docker info --format '{{json .SecurityOptions}}'").is_array());
    assert_eq!(ok("docker info --format {{.Driver}}"), "overlay2\n");
    assert_eq!(
        ok("docker exec --privileged kind-control-plane cat /etc/hostname"),
        "kind-control-plane\n"
    );
    assert_eq!(
        call("docker exec --privileged -i kind-control-plane cat").stdin("in\n").ok(),
        "in\n"
    );
    let logs = call("docker logs -f kind-control-plane").spawn();
    until("the log", || logs.stdout().contains("up").then_some(()));
    assert!(ok("docker image inspect -f '{{ .Id }}' app:1").starts_with("sha256:"));
    ok("docker rm -f -v kind-control-plane");
    logs.wait();
    ok("docker network rm kind");
}

fn companion_scripts_of_devcontainers() {
    image();
    let labels = "--filter label=devcontainer.local_folder=/src --filter label=devcontainer.config_file=/src/x.json";
    assert_eq!(ok(&format!("docker ps -q -a {labels}")), "");
    assert!(!ok("docker version --format {{.Server.Version}}").trim().is_empty());
    assert!(!ok("docker info -f {{.Runtimes.nvidia}}").contains("nvidia"));
    // Without it they build by `build`.
    fails("docker buildx version").assert_stderr_has("images are built by: bundles build");
    let image = json("docker inspect --type image app:1");
    assert!(image[0]["Config"]["Env"].is_array() && image[0]["Id"].is_string(), "{image}");
    assert_eq!(fails("docker inspect --type image nosuch:1").stdout(), "[]\n");
    // It listens first, and then makes what it waits for.
    let events = call("docker events --format '{{json .}}' --filter event=start").spawn();
    let run = "docker run --sig-proxy=false -a STDOUT -a STDERR --mount type=bind,source=/tmp,target=/workspaces/src,consistency=cached \
               --network none -l devcontainer.local_folder=/src -l devcontainer.config_file=/src/x.json \
               --entrypoint /bin/sh app:1 -c 'echo Container started; trap \"exit 0\" 15; while sleep 0.05; do :; done' -";
    let mut runs = Vec::new();
    let started = until("an event", || {
        runs.push(call(run).spawn());
        let first = || events.stdout().lines().next().map(ToOwned::to_owned);
        for _ in 0..40 {
            if let Some(line) = first() {
                return Some(line);
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        None
    });
    let event: Value = serde_json::from_str(&started).expect("JSON");
    assert_eq!((&event["status"], &event["Type"]), (&json!("start"), &json!("container")));
    assert_eq!(event["Actor"]["Attributes"]["devcontainer.local_folder"], "/src");
    until("it says so", || {
        runs.iter().all(|run| run.stdout().contains("Container started\n")).then_some(())
    });
    events.signal(Signal::SIGKILL);
    events.wait();
    let ids = ok(&format!("docker ps -q -a {labels}"));
    assert_eq!(ids.lines().count(), runs.len());
    let id = event["id"].as_str().expect("an id");
    let container = json(&format!("docker inspect --type container {id}"));
    assert_eq!(container[0]["State"]["Status"], "running");
    assert_eq!(container[0]["Config"]["Labels"]["devcontainer.config_file"], "/src/x.json");
    assert!(container[0]["Created"].is_string() && container[0]["Mounts"].is_array());
    let shell = call(&format!("docker exec -i -u root {id} /bin/sh")).stdin("echo $((6 * 7))\n");
    assert_eq!(shell.ok(), "42\n");
    let source = home().with_file_name("source");
    fs::create_dir(&source).expect("mkdir");
    let file = "ARG BASE=app:1\nFROM $BASE AS dev\nLABEL from=build\nFROM dev\n";
    fs::write(source.join("Dockerfile"), file).expect("Dockerfile");
    let source = source.display();
    ok(&format!(
        "docker build -f {source}/Dockerfile -t vsc-src --target dev --build-arg BASE=app:1 {source}"
    ));
    assert_eq!(ok("docker inspect --type image -f '{{.Config.Labels.from}}' vsc-src"), "build\n");
    ok("docker tag app:1 vsc-src:latest");
    ok(&format!("docker stop -t 0 {}", ids.replace('\n', " ").trim()));
    for run in runs {
        run.wait();
    }
    ok(&format!("docker start {id}"));
    ok("docker volume create --name vsc-cache");
    assert_eq!(json("docker inspect --type volume vsc-cache")[0]["Name"], "vsc-cache");
    ok(&format!("docker rm -f {}", ids.replace('\n', " ").trim()));
}

fn companion_scripts_of_the_runner_of_github() {
    image();
    for side in ["Server", "Client"] {
        let version = ok(&format!("docker version --format '{{{{.{side}.APIVersion}}}}'"));
        let minor = version.trim().strip_prefix("1.").and_then(|minor| minor.parse::<u32>().ok());
        assert!(minor >= Some(35), "{version}");
    }
    assert_eq!(ok("docker ps --all --quiet --no-trunc --filter \"label=0a1b2c\""), "");
    ok("docker network prune --force --filter \"label=0a1b2c\"");
    let network = ok("docker network create --label 0a1b2c github_network_1");
    assert_eq!(network.trim().len(), 64);
    let id = ok(
        "docker create --name job1 --label 0a1b2c --workdir /__w/x --network github_network_1 \
        --network-alias job -p 127.0.0.1::80 -e \"A=b\" -e GITHUB_ACTIONS=true -e CI=true \
        -v \"/tmp\":\"/__w\" -v \"/etc\":\"/host:ro\" --entrypoint \"tail\" app:1 \"-f\" \"/dev/null\"",
    );
    let id = id.trim();
    // The image has no such program: that is told by the start.
    fails(&format!("docker start {id}"));
    ok("docker rm --force job1");
    let id = ok(
        "docker create --name job1 --label 0a1b2c --workdir /__w/x --network github_network_1 \
        --network-alias job -p 127.0.0.1::80 -e \"A=b\" -e GITHUB_ACTIONS=true -e CI=true \
        -v \"/tmp\":\"/__w\" --health-cmd true --health-interval 50ms --entrypoint \"sh\" app:1 -c \"echo said; exec sleep 1000\"",
    );
    let id = id.trim();
    assert_eq!(ok(&format!("docker start {id}")), format!("{id}\n"));
    let seen = ok(&format!(
        "docker ps --all --filter id={id} --filter status=running --no-trunc --format \"{{{{.ID}}}} {{{{.Status}}}}\""
    ));
    assert!(seen.starts_with(&format!("{id} Up ")), "{seen}");
    let env = ok(&format!(
        "docker inspect --format \"{{{{range .Config.Env}}}}{{{{println .}}}}{{{{end}}}}\" {id}"
    ));
    assert!(env.lines().any(|line| line == "GITHUB_ACTIONS=true"), "{env}");
    let port = ok(&format!("docker port {id}"));
    assert!(port.starts_with("80/tcp -> 127.0.0.1:"), "{port}");
    let health = "--format=\"{{if .Config.Healthcheck}}{{print .State.Health.Status}}{{end}}\"";
    until("it is well", || {
        (ok(&format!("docker inspect {health} {id}")) == "healthy\n").then_some(())
    });
    let exec = call(&format!("docker exec -i --workdir /__w -e X=y {id} sh -e"))
        .stdin("pwd; echo $X; exit 3\n");
    let exec = exec.output();
    exec.assert_exit(3);
    assert_eq!(exec.stdout(), "/__w\ny\n");
    assert_eq!(ok(&format!("docker logs --details {id}")).trim(), "said");
    ok("docker run --rm --network none -d --name plain app:1 sleep 1000");
    assert_eq!(ok(&format!("docker inspect {health} plain")), "\n", "no check");
    ok(&format!("docker rm --force {id} plain"));
    ok("docker network rm github_network_1");
    // A login that is not there is asked for in the directory which is named.
    let dir = home().with_file_name("config");
    fs::create_dir(&dir).expect("mkdir");
    let dir = dir.display();
    let pull = fails(&format!("docker --config {dir} pull --retry 0 localhost:1/nosuch:1"));
    pull.assert_stderr_has("localhost:1");
    let login =
        call(&format!("docker --config {dir} login --retry 0 localhost:1 -u me --password-stdin"))
            .stdin("secret")
            .output();
    login.assert_fails_somewhere();
    assert!(!login.stderr().contains("secret"));
}

fn companion_scripts_of_podman_compose() {
    image();
    assert!(ok("podman --version").starts_with("podman version "));
    let label = "--filter label=io.podman.compose.project=demo";
    let hashes = "-a --format '{{ index .Labels \"io.podman.compose.config-hash\"}}'";
    assert_eq!(ok(&format!("podman ps {label} {hashes}")), "");
    call("podman network exists demo_default").output().assert_exit(1);
    ok(
        "podman network create --label io.podman.compose.project=demo --label com.docker.compose.project=demo demo_default",
    );
    ok("podman network exists demo_default");
    call("podman volume exists demo_data").output().assert_exit(1);
    fails("podman volume inspect demo_data");
    ok("podman volume create --label io.podman.compose.project=demo demo_data");
    ok("podman volume exists demo_data");
    ok("podman image exists app:1");
    call("podman image exists nosuch:1").output().assert_exit(1);
    let id = ok("podman inspect -t image -f {{.Id}} app:1");
    assert!(id.trim().len() >= 64, "{id}");
    ok(
        "podman create --name=demo_web_1 --label io.podman.compose.config-hash=123 --label io.podman.compose.project=demo \
        --label com.docker.compose.service=web -e A=b -v demo_data:/data --net demo_default --network-alias web \
        -p 127.0.0.1::80 --restart always app:1 sleep 1000",
    );
    ok("podman container exists demo_web_1");
    let waits = call("podman wait --condition=running demo_web_1").spawn();
    ok("podman start demo_web_1");
    waits.wait().assert_exit(0);
    assert_eq!(ok(&format!("podman ps {label} {hashes}")), "123\n");
    let list = json(&format!("podman ps {label} -a --format json"));
    let one = &list[0];
    assert_eq!(one["Names"], json!(["demo_web_1"]));
    assert_eq!(one["Labels"]["com.docker.compose.service"], "web");
    assert_eq!((&one["State"], &one["Exited"]), (&json!("running"), &json!(false)));
    assert_eq!((&one["Command"], &one["Mounts"]), (&json!(["sleep", "1000"]), &json!(["/data"])));
    assert_eq!(one["Id"].as_str().map(str::len), Some(64));
    assert_eq!(
        (&one["Ports"][0]["container_port"], &one["Ports"][0]["protocol"]),
        (&json!(80), &json!("tcp"))
    );
    assert!(
        one["Created"].as_u64() > Some(1_700_000_000) && one["Pid"].as_u64() > Some(0),
        "{one}"
    );
    assert_eq!(ok("podman inspect --format {{.State.Status}} demo_web_1"), "running\n");
    for kind in ["network", "volume"] {
        let listed = ok(&format!("podman {kind} ls --noheading {label} --format {{{{.Name}}}}"));
        assert_eq!(listed.lines().count(), 1, "{listed}");
        assert!(listed.starts_with("demo_"), "{listed}");
    }
    ok("podman stop -t 0 demo_web_1");
    assert_eq!(ok("podman wait --condition=stopped demo_web_1"), "137\n");
    assert_eq!(json(&format!("podman ps {label} -a --format json"))[0]["ExitCode"], 137);
    ok("podman rm demo_web_1");
    fails("podman pod create --name=pod_demo --infra=false --share=")
        .assert_stderr_has("there are no pods");
    ok("podman network rm demo_default");
}

fn companion_scripts_of_harbor() {
    requires!(root);
    // Of its shell script: the second number of the version has to be 17.06 or newer.
    let version = ok("docker --version");
    let numbers =
        version.split(|c: char| !c.is_ascii_digit() && c != '.').find(|word| word.contains('.'));
    let mut numbers =
        numbers.expect("a version").split('.').map(|part| part.parse::<u32>().expect("a number"));
    assert!((numbers.next(), numbers.next()) >= (Some(17), Some(6)), "{version}");
    let file = home().with_file_name("harbor.tar");
    fs::write(&file, archive(|_| ())).expect("archive");
    let loaded = ok(&format!("docker load -i {}", file.display()));
    assert_eq!(loaded, "Loaded image: app:1\n");
}

fn companion_scripts_write_flags_as_in_go() {
    image();
    let out =
        ok("docker run --rm=true --tty=false -i=false --network none app:1 echo --rm=false here");
    assert_eq!(out, "--rm=false here\n");
    assert_eq!(ok("docker ps --all=true --quiet"), "");
    ok("docker run --rm=false --detach=true --name kept --network none app:1 true");
    assert_eq!(ok("docker wait kept"), "0\n");
    assert_eq!(
        ok("docker -l info -D --host unix:///var/run/docker.sock ps -aq").lines().count(),
        1
    );
    fails("docker -H tcp://10.0.0.1:2375 ps").assert_stderr_has("there is no daemon");
    fails("docker run --rm=perhaps app:1").assert_stderr_has("--rm");
    ok("docker container rm kept");
}

fn companion_scripts_attach_streams() {
    image();
    let script = "sh -c 'echo out; echo err >&2; exit 3'";
    let run = |flags: &str| {
        let out = call(&format!("docker run --rm --network none {flags} app:1 {script}")).output();
        out.assert_exit(3);
        (out.stdout(), out.stderr())
    };
    let text = |out: &str, err: &str| (out.to_owned(), err.to_owned());
    assert_eq!(run(""), text("out\n", "err\n"));
    assert_eq!(run("-a stdout"), text("out\n", ""));
    assert_eq!(run("--attach=STDERR"), text("", "err\n"));
    let (id, nothing) = run("-a stdin -i");
    assert_eq!((id.trim().len(), nothing.as_str()), (64, ""));
    fails("docker run -d -a stdout app:1 true").assert_stderr_has("-a and -d do not go together");
    let typed = call("docker run --rm --network none -i -a stdin -a stdout app:1 cat")
        .stdin("typed\n")
        .ok();
    assert_eq!(typed, "typed\n");
    let untyped = call("docker run --rm --network none -i -a stdout app:1 echo not read")
        .stdin("typed\n")
        .ok();
    assert_eq!(untyped, "not read\n");
}

fn companion_scripts_are_told_what_there_is_not() {
    requires!(root, companion);
    for (line, code, reason) in [
        ("docker run --gpus all app:1", 125, "--gpus: nobody here knows which files a GPU needs"),
        ("docker run --isolation hyperv app:1", 125, "--isolation hyperv: is of Windows"),
        (
            "docker run --cpu-rt-runtime 9 app:1",
            125,
            "hint: the kernel has no real-time scheduling for cgroups v2",
        ),
        ("docker run --disable-content-trust=false app:1", 125, "no signatures are looked at"),
        (
            "docker create --link-local-ip 169.254.1.1 app:1",
            125,
            "hint: addresses of a network are given by --ip",
        ),
        ("docker network create --config-only n1", 125, "hint: it is for several machines"),
        ("docker network create --ipam-driver other n1", 125, "--ipam-driver"),
        ("docker swarm init", 125, "hint: it is for several machines"),
        ("podman pod ps", 125, "hint: there are no pods"),
        ("docker start --checkpoint c x", 125, "hint: the state of a container cannot be saved"),
    ] {
        let out = call(line).output();
        out.assert_exit(code);
        assert!(out.stderr().contains(reason), "{line}: {}", out.stderr());
    }
}
