//! Containers of `bundles run` on networks. The network namespace of the test is the host.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use runtime_tests::companion::{
    Root, assert_nothing_is_left, bundles, bundles_as, home, inspect, monitor,
};
use runtime_tests::prelude::*;
use runtime_tests::second_user::SecondUser;
use runtime_tests::space::say;

tests![
    companion_container_is_on_the_bridge_from_its_first_instruction,
    companion_containers_reach_each_other_by_name,
    companion_networks_of_containers_are_apart,
    companion_containers_of_host_and_none,
    companion_container_shares_the_network_of_another,
    companion_containers_take_what_they_ask_for,
    companion_links_name_another_container,
    companion_containers_come_and_go_while_they_run,
    companion_stopped_container_joins_when_it_starts,
    companion_networks_in_use_stay,
    companion_lists_know_networks,
    companion_networks_of_containers_leave_nothing,
    companion_networks_of_a_killed_monitor_leave_nothing,
    companion_failed_start_leaves_no_network,
    companion_mistakes_about_networks,
    companion_networks_of_an_ordinary_users_containers,
    companion_networks_of_an_ordinary_users_containers_with_ranges,
];

fn prepared() -> Root {
    requires!(program("/usr/sbin/ip"));
    Root::new()
}

fn idle(root: &Root, name: &str, flags: &[&str]) -> String {
    let call = root.call(&["run", "-d", "--stop-timeout", "0", "--name", name], flags, &[]);
    call.args(["sleep", "1000"]).ok().trim().to_owned()
}

fn exec(name: &str, words: &str) -> Output {
    bundles(["exec", name]).args(words.split(' ')).output()
}

fn pings(name: &str, address: &str) -> bool {
    let output = exec(name, &format!("ping -c 1 -W 1 {address}"));
    println!("{name} -> {address}: {}", output.stdout());
    output.stdout().contains(", 0% packet loss")
}

fn hosts(id: &str) -> String {
    fs::read_to_string(home().join("containers").join(id).join("hosts")).expect("hosts")
}

/// Links, addresses and rules of the host.
fn host() -> String {
    [say("ip", "-o link"), say("ip", "-o address"), say("/usr/sbin/nft", "list ruleset")].concat()
}

/// The addresses that a container has, by network.
fn address(name: &str, network: &str) -> String {
    let shown = inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"].clone();
    shown.as_str().expect("an address").to_owned()
}

fn companion_container_is_on_the_bridge_from_its_first_instruction() {
    let root = prepared();
    let out = root.run(&[], &["ip", "-o", "address"]).ok();
    assert!(out.contains("eth0    inet 172.17.0.2/16"), "{out}");
    let out = root.run(&[], &["ip", "route"]).ok();
    assert!(out.contains("default via 172.17.0.1 dev eth0"), "{out}");
    assert_nothing_is_left();
}

fn companion_containers_reach_each_other_by_name() {
    let root = prepared();
    bundles(["network", "create", "--ipv6", "web"]).ok();
    let one = idle(&root, "one", &["--network", "web", "-h", "first"]);
    let two = idle(&root, "two", &["--net=web", "--network-alias", "db"]);
    let (short_one, short_two) = (&one[..12], &two[..12]);
    let (text, other) = (hosts(&one), hosts(&two));
    assert!(text.contains(&format!("172.18.0.2\tfirst one {short_one}\n")), "{text}");
    assert!(text.contains(&format!("172.18.0.3\ttwo db {short_two}\n")), "{text}");
    assert!(text.lines().any(|line| line.starts_with("fd") && line.contains("\ttwo db")), "{text}");
    assert!(other.contains(&format!("172.18.0.2\tone {short_one}\n")), "{other}");
    assert!(other.contains(&format!("172.18.0.3\t{short_two} two db\n")), "{other}");
    assert!(pings("one", "172.18.0.3") && pings("two", "172.18.0.2"));
    assert!(pings("one", "db") && pings("two", "one") && pings("one", "first"));
    bundles(["rm", "-f", "two"]).ok();
    assert!(!hosts(&one).contains("two"), "{}", hosts(&one));
    bundles(["rm", "-f", "one"]).ok();
}

fn companion_networks_of_containers_are_apart() {
    let root = prepared();
    bundles(["network", "create", "a"]).ok();
    bundles(["network", "create", "b"]).ok();
    let one = idle(&root, "one", &["--network", "a"]);
    idle(&root, "two", &["--network", "b"]);
    idle(&root, "both", &["--network", "a", "--network", "b"]);
    let (of_one, of_two) = (address("one", "a"), address("two", "b"));
    assert!(!pings("one", &of_two) && !pings("two", &of_one));
    assert!(pings("both", &of_one) && pings("both", &of_two));
    assert!(hosts(&one).contains("both") && !hosts(&one).contains("two"));
    let links = exec("both", "ip -o link").stdout();
    assert!(links.contains("eth0") && links.contains("eth1"), "{links}");
    bundles(["rm", "-f", "one", "two", "both"]).ok();
    bundles(["network", "rm", "a", "b"]).ok();
}

fn companion_containers_of_host_and_none() {
    let root = prepared();
    let before = host();
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let seen = root.run(&["--network", "host"], &["readlink", "/proc/self/ns/net"]).ok();
    assert_eq!(Path::new(seen.trim()), own);
    let links = root.run(&["--network", "none"], &["ip", "-o", "link"]).ok();
    assert_eq!(links.lines().count(), 1, "{links}");
    assert!(links.contains(" lo:") && links.contains("UP"), "{links}");
    assert_eq!(host(), before);
    idle(&root, "one", &["--network", "none"]);
    assert_eq!(inspect("one")["NetworkSettings"]["Networks"]["none"]["IPAddress"], "");
    bundles(["rm", "-f", "one"]).ok();
}

fn companion_container_shares_the_network_of_another() {
    let root = prepared();
    idle(&root, "web", &[]);
    let namespace = |name: &str| exec(name, "readlink /proc/self/ns/net").stdout();
    idle(&root, "side", &["--network", "container:web"]);
    assert_eq!(namespace("web"), namespace("side"));
    // It follows the other one to a new namespace.
    bundles(["stop", "side", "web"]).ok();
    let out = bundles(["start", "side"]).output();
    out.assert_exit(1);
    assert_eq!(
        out.stderr(),
        "bundles: --network container:web: it does not run\n  hint: start it first: bundles start \
         web\n"
    );
    bundles(["start", "web"]).ok();
    bundles(["start", "side"]).ok();
    assert_eq!(namespace("web"), namespace("side"));
    let out = root.run(&["--network", "container:nosuch"], &["true"]).output();
    out.assert_exit(125);
    assert!(
        out.stderr().starts_with(
            "bundles: --network container:nosuch: nosuch: no such container\n  hint: "
        ),
        "{}",
        out.stderr()
    );
    bundles(["rm", "-f", "side", "web"]).ok();
    assert_nothing_is_left();
}

fn companion_containers_take_what_they_ask_for() {
    let root = prepared();
    bundles(["network", "create", "--subnet", "10.9.0.0/24", "--subnet", "fd00:9::/64", "n"]).ok();
    let flags = [
        "--network",
        "n",
        "--ip",
        "10.9.0.77",
        "--ip6",
        "fd00:9::77",
        "--mac-address",
        "02:00:00:00:00:77",
    ];
    idle(&root, "one", &flags);
    let shown = inspect("one")["NetworkSettings"]["Networks"]["n"].clone();
    assert_eq!(shown["IPAddress"], "10.9.0.77");
    assert_eq!(shown["IPPrefixLen"], 24);
    assert_eq!(shown["Gateway"], "10.9.0.1");
    assert_eq!(shown["GlobalIPv6Address"], "fd00:9::77");
    assert_eq!(shown["MacAddress"], "02:00:00:00:00:77");
    let seen = exec("one", "ip -o address").stdout();
    assert!(seen.contains("10.9.0.77/24") && seen.contains("fd00:9::77/64"), "{seen}");
    assert!(exec("one", "ip link").stdout().contains("02:00:00:00:00:77"));
    // The long form says it for each network.
    let long = "name=n,alias=x,ip=10.9.0.78";
    let id = idle(&root, "two", &["--network", "bridge", "--network", long]);
    assert_eq!(address("two", "n"), "10.9.0.78");
    assert!(hosts(&id).contains("10.9.0.78\t"), "{}", hosts(&id));
    let out = root.run(&["--network", "n", "--ip", "10.9.0.77"], &["true"]).output();
    out.assert_exit(125);
    assert!(out.stderr().contains("10.9.0.77"), "{}", out.stderr());
    bundles(["rm", "-f", "one", "two"]).ok();
}

fn companion_links_name_another_container() {
    let root = prepared();
    idle(&root, "db", &[]);
    let id = idle(&root, "web", &["--link", "db:mysql", "--link", "db"]);
    let text = hosts(&id);
    assert!(text.contains("172.17.0.2\tmysql db "), "{text}");
    assert!(pings("web", "mysql"));
    // Another address, and the name follows.
    bundles(["stop", "db"]).ok();
    assert!(!hosts(&id).contains("mysql"), "{}", hosts(&id));
    idle(&root, "third", &[]);
    bundles(["start", "db"]).ok();
    assert!(hosts(&id).contains(&format!("{}\tmysql db ", address("db", "bridge"))));
    assert_eq!(address("db", "bridge"), "172.17.0.4");
    bundles(["network", "create", "far"]).ok();
    let out = root.run(&["--network", "far", "--link", "db"], &["true"]).output();
    out.assert_exit(125);
    assert_eq!(
        out.stderr(),
        "bundles: --link db: db is on no network of this container\n  hint: bring it onto one: \
         bundles network connect far db\n"
    );
    bundles(["rm", "-f", "web", "db", "third"]).ok();
}

fn companion_containers_come_and_go_while_they_run() {
    let root = prepared();
    bundles(["network", "create", "n"]).ok();
    idle(&root, "one", &[]);
    let two = idle(&root, "two", &["--network", "n"]);
    bundles(["network", "connect", "--alias", "late", "--ip", "172.18.0.9", "n", "one"]).ok();
    assert_eq!(address("one", "n"), "172.18.0.9");
    assert!(hosts(&two).contains("172.18.0.9\tone late "), "{}", hosts(&two));
    assert!(pings("one", &address("two", "n")));
    let out = bundles(["network", "connect", "n", "one"]).output();
    out.assert_exit(1);
    assert_eq!(
        out.stderr(),
        "bundles: one is on network n already\n  hint: bundles network disconnect n one\n"
    );
    bundles(["network", "disconnect", "bridge", "one"]).ok();
    assert!(inspect("one")["NetworkSettings"]["Networks"].get("bridge").is_none());
    assert!(exec("one", "ip route").stdout().contains("default via 172.18.0.1"));
    bundles(["network", "disconnect", "n", "one"]).ok();
    assert!(!hosts(&two).contains("one"), "{}", hosts(&two));
    let out = bundles(["network", "disconnect", "n", "one"]).output();
    assert!(out.stderr().starts_with("bundles: one is not on network n\n"), "{}", out.stderr());
    bundles(["rm", "-f", "one", "two"]).ok();
}

fn companion_stopped_container_joins_when_it_starts() {
    let root = prepared();
    bundles(["network", "create", "n"]).ok();
    root.call(&["create", "--name", "one"], &[], &["sleep", "1000"]).ok();
    bundles(["network", "connect", "n", "one"]).ok();
    bundles(["network", "disconnect", "bridge", "one"]).ok();
    assert_eq!(bundles(["ps", "-a", "--format", "{{.Networks}}"]).ok().trim(), "n");
    bundles(["start", "one"]).ok();
    assert_eq!(address("one", "n"), "172.18.0.2");
    bundles(["rm", "-f", "one"]).ok();
}

fn companion_networks_in_use_stay() {
    let root = prepared();
    bundles(["network", "create", "n"]).ok();
    let id = idle(&root, "one", &["--network", "n"]);
    let out = bundles(["network", "rm", "n"]).output();
    out.assert_exit(1);
    assert_eq!(
        out.stderr(),
        "bundles: network n: in use by one\n  hint: take them off first: bundles network \
         disconnect n one\n"
    );
    let text = bundles(["network", "inspect", "n"]).ok();
    let shown: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(shown[0]["Containers"][&id]["Name"], "one");
    assert_eq!(shown[0]["Containers"][&id]["IPv4Address"], "172.18.0.2/16");
    bundles(["stop", "one"]).ok();
    bundles(["network", "rm", "n"]).ok();
    let out = bundles(["start", "one"]).output();
    out.assert_exit(1);
    assert_eq!(
        out.stderr(),
        "bundles: network n not found\n  hint: see `bundles network ls`, or make it: bundles \
         network create n\n"
    );
    bundles(["rm", "one"]).ok();
    assert_nothing_is_left();
}

fn companion_lists_know_networks() {
    let root = prepared();
    bundles(["network", "create", "n"]).ok();
    idle(&root, "one", &[]);
    idle(&root, "two", &["--network", "n", "--network", "bridge"]);
    idle(&root, "three", &["--network", "host"]);
    let list = bundles(["ps", "--format", "{{.Names}} {{.Networks}}"]).output().lines();
    assert_eq!(list, ["three host", "two n,bridge", "one bridge"]);
    let filter = |network: &str| {
        let filter = format!("network={network}");
        let list = bundles(["ps", "--format", "{{.Names}}", "--filter", &filter]);
        list.output().lines().join(" ")
    };
    assert_eq!(filter("bridge"), "two one");
    assert_eq!(filter("n"), "two");
    assert_eq!(filter("nosuch"), "");
    let settings = inspect("two")["NetworkSettings"].clone();
    assert_eq!(settings["IPAddress"], settings["Networks"]["n"]["IPAddress"]);
    assert_eq!(
        settings["Networks"]["n"]["Aliases"][0],
        inspect("two")["Id"].as_str().unwrap()[..12]
    );
    bundles(["rm", "-f", "one", "two", "three"]).ok();
}

fn companion_networks_of_containers_leave_nothing() {
    let root = prepared();
    let before = host();
    root.run(&[], &["true"]).ok();
    assert_eq!(host(), before);
    idle(&root, "one", &["-p", "8080:80"]);
    assert_ne!(host(), before);
    bundles(["stop", "one"]).ok();
    assert_eq!(host(), before);
    bundles(["start", "one"]).ok();
    kill(nix::unistd::Pid::from_raw(pid("one")), Signal::SIGKILL).unwrap();
    until("it has ended", || (inspect("one")["State"]["Status"] == "exited").then_some(()));
    assert_eq!(host(), before);
    bundles(["start", "one"]).ok();
    bundles(["rm", "-f", "one"]).ok();
    assert_eq!(host(), before);
    assert_nothing_is_left();
}

fn pid(name: &str) -> i32 {
    i32::try_from(inspect(name)["State"]["Pid"].as_i64().expect("a pid")).expect("a pid")
}

fn companion_networks_of_a_killed_monitor_leave_nothing() {
    let root = prepared();
    let before = host();
    let id = idle(&root, "one", &[]);
    kill(monitor(&id), Signal::SIGKILL).unwrap();
    until("the monitor is gone", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", monitor(&id)));
        stat.map_or(true, |stat| stat.contains(") Z ")).then_some(())
    });
    assert!(pings("one", "172.17.0.1"));
    bundles(["rm", "-f", "one"]).ok();
    assert_eq!(host(), before);
    // The container ends after its monitor: the next start finds its place free.
    let id = idle(&root, "one", &["--ip", "172.17.0.9"]);
    kill(monitor(&id), Signal::SIGKILL).unwrap();
    kill(nix::unistd::Pid::from_raw(pid("one")), Signal::SIGKILL).unwrap();
    until("it has ended", || (inspect("one")["State"]["Status"] == "exited").then_some(()));
    bundles(["start", "one"]).ok();
    assert_eq!(address("one", "bridge"), "172.17.0.9");
    bundles(["rm", "-f", "one"]).ok();
    assert_eq!(host(), before);
    assert_nothing_is_left();
}

fn companion_failed_start_leaves_no_network() {
    let root = prepared();
    let before = host();
    root.run(&[], &["/nosuch"]).output().assert_exit(127);
    bundles(["network", "create", "--subnet", "10.9.0.0/30", "small"]).ok();
    idle(&root, "one", &["--network", "small"]);
    let used = host();
    // No address is left on the second network, and the first is left again.
    let flags = ["--network", "bridge", "--network", "small", "-p", "8080:80"];
    let out = root.run(&flags, &["true"]).output();
    out.assert_exit(125);
    assert!(out.stderr().starts_with("bundles: network small: "), "{}", out.stderr());
    assert_eq!(host(), used);
    bundles(["rm", "-f", "one"]).ok();
    assert_eq!(host(), before);
    assert_nothing_is_left();
}

fn companion_mistakes_about_networks() {
    let root = prepared();
    for (flags, error) in [
        (
            &["--network", "nosuch"][..],
            "--network nosuch: network nosuch not found\n  hint: see `bundles network ls`, or \
             make it: bundles network create nosuch",
        ),
        (
            &["--network", "none", "--network", "bridge"],
            "--network none: goes with no other network\n  hint: leave it away, or the others",
        ),
        (
            &["--network", "host", "--ip", "10.0.0.1"],
            "--ip: the container is on no network of its own\n  hint: add --network bridge, or \
             another one of `bundles network ls`",
        ),
        (
            &["--network", "none", "--network-alias", "x"],
            "--network-alias: the container is on no network of its own\n  hint: add --network \
             bridge, or another one of `bundles network ls`",
        ),
        (
            &["--link", "nosuch:x"],
            "--link nosuch:x: nosuch: no such container\n  hint: bundles ps -a lists them",
        ),
    ] {
        let out = root.run(flags, &["true"]).output();
        out.assert_exit(125);
        assert_eq!(out.stderr(), format!("bundles: {error}\n"));
    }
    let out = bundles(["network", "connect", "bridge", "nosuch"]).output();
    out.assert_exit(1);
    assert!(out.stderr().starts_with("bundles: nosuch: no such container\n"), "{}", out.stderr());
    idle(&root, "one", &["--network", "host"]);
    let out = bundles(["network", "connect", "bridge", "one"]).output();
    assert_eq!(out.stderr(), "bundles: one: has the network of the host\n");
    let out = bundles(["network", "connect", "host", "one"]).output();
    assert_eq!(
        out.stderr(),
        "bundles: network host: a container is on it from its start or not at all\n"
    );
    bundles(["rm", "-f", "one"]).ok();
}

/// The same by an ordinary user: names, ports, and nothing left.
fn of_user(user: &SecondUser) {
    let root = prepared();
    requires!(program("/usr/bin/curl"));
    let rootfs = root.rootfs.to_str().expect("UTF-8").to_owned();
    let flags = ["--runtime", runtime_tests::runtime::path().to_str().expect("UTF-8")];
    let run = |words: &[&str], args: &[&str]| {
        bundles_as(user, [words, &flags, &["--rootfs", &rootfs], args].concat())
    };
    let web = ["httpd", "-f", "-p", "80", "-h", "/etc"];
    run(&["run", "-d", "--name", "web", "-p", "8080:80"], &web).ok();
    let seen = run(&["run", "--rm", "--link", "web"], &["ping", "-c", "1", "172.17.0.2"]).ok();
    assert!(seen.contains(", 0% packet loss"), "{seen}");
    for address in ["127.0.0.1", "[::1]"] {
        let got = say("curl", &format!("-sS -m 5 http://{address}:8080/passwd"));
        assert!(got.starts_with("root:x:0:0:"), "{got}");
    }
    let out = run(&["run", "--rm", "-p", "8080:80"], &["true"]).output();
    out.assert_exit(125);
    assert!(out.stderr().contains("in use, by container web"), "{}", out.stderr());
    let out = run(&["run", "--rm", "-p", "80:80"], &["true"]).output();
    out.assert_exit(125);
    assert!(
        out.stderr().contains("hint: ordinary users may take ports from 1024 on"),
        "{}",
        out.stderr()
    );
    bundles_as(user, ["rm", "-f", "web"]).ok();
    until("the holder of his networks has ended", || {
        let is_his = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with(b"bundles-networks")
        };
        (!runtime_tests::leaks::pids().iter().any(is_his)).then_some(())
    });
}

fn companion_networks_of_an_ordinary_users_containers() {
    of_user(&SecondUser::new());
}

fn companion_networks_of_an_ordinary_users_containers_with_ranges() {
    of_user(&SecondUser::with_ranges());
}
