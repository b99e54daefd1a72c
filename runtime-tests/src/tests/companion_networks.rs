//! `bundles network`: the network namespace of the test is the host, others are containers.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use runtime_tests::companion::bundles;
use runtime_tests::isolate::scratch;
use runtime_tests::poll::until;
use runtime_tests::prelude::*;
use runtime_tests::space::{self, Space, say};

tests![
    first_networks_are_those_of_docker,
    network_is_described_in_dockers_shape,
    filters_choose_networks,
    members_reach_each_other_and_other_networks_do_not,
    way_out_is_by_nat_and_there_is_none_in,
    forgotten_table_is_replaced,
    internal_network_has_no_way_out,
    ipv6_is_there_on_request,
    macvlan_is_on_the_wire_of_its_parent,
    second_network_takes_over_the_way_out,
    names_are_kept_current_in_place,
    asked_addresses_are_given_once,
    addresses_are_unique_among_many_at_once,
];

pub(super) fn prepared() {
    requires!(root, program("/usr/sbin/ip"), program("/usr/sbin/nft"), busybox());
    requires!(program("/usr/bin/nsenter"));
    requires!(companion);
}

pub(super) fn network(args: &str) -> Call {
    bundles(["network"]).args(args.split(' '))
}

pub(super) fn ip(args: &str) -> String {
    say("ip", args)
}

#[track_caller]
fn assert_cut_off(from: &Space<'_>, address: &str) {
    assert!(!from.pings(address), "{address} answers\n{}", state());
}

/// All that a network may leave on the host.
pub(super) fn state() -> String {
    let rules = say("nft", "list ruleset");
    [ip("-o link"), ip("-o addr"), ip("route"), ip("-6 route"), rules].join("---\n")
}

/// The links of the kernel go a moment after their namespace.
#[track_caller]
pub(super) fn assert_as_before(before: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while state() != *before {
        assert!(std::time::Instant::now() < deadline, "before: {before}\nnow: {}", state());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

pub(super) fn described(net: &str) -> Value {
    network(&format!("inspect {net}")).output().json()[0].clone()
}

pub(super) fn members(net: &str) -> usize {
    described(net)["Containers"].as_object().expect("an object").len()
}

/// When links have all that they get by themselves.
pub(super) fn settled_state() -> String {
    let settling = ["NO-CARRIER", "linkdown", "tentative"];
    until("the links to settle", || {
        let state = state();
        let is_settled =
            state.contains("inet6 fe80") && settling.iter().all(|s| !state.contains(s));
        is_settled.then_some(state)
    })
}

/// A host beyond the host, 198.51.100.2, which knows no way to containers.
pub(super) fn outside() -> Space<'static> {
    let outside = space::outside();
    settled_state();
    outside
}

fn first_networks_are_those_of_docker() {
    prepared();
    let lines = network("ls").output().lines();
    let words: Vec<Vec<&str>> = lines.iter().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["NETWORK", "ID", "NAME", "DRIVER", "SCOPE"]);
    let rest: Vec<_> = words[1..].iter().map(|w| w[1..].join(" ")).collect();
    assert_eq!(rest, ["bridge bridge local", "host host local", "none null local"]);
    assert!(words[1..].iter().all(|w| w[0].len() == 12), "{lines:?}");
    let id = network("create mine").ok();
    assert_eq!(id.trim().len(), 64);
    assert!(id.trim().chars().all(|c| c.is_ascii_hexdigit()), "{id}");
    network("create --driver bridge other").ok();
    let subnet = |net: &str| described(net)["IPAM"]["Config"][0]["Subnet"].clone();
    assert_eq!(subnet("bridge"), "172.17.0.0/16");
    assert_eq!(subnet("mine"), "172.18.0.0/16");
    assert_eq!(subnet("other"), "172.19.0.0/16");
    network("create mine").output().assert_fails().assert_stderr_has(
        "bundles: network mine already exists\n  hint: choose another name, or remove it first: bundles network rm mine",
    );
    network("create a/b").output().assert_fails().assert_stderr_has("network name \"a/b\": only");
    network("rm mine").output().assert_stdout("mine");
    network("create third").ok();
    assert_eq!(subnet("third"), "172.18.0.0/16", "what was given back");
}

fn network_is_described_in_dockers_shape() {
    prepared();
    let args = "create --subnet 10.9.0.0/24 --gateway 10.9.0.254 --ip-range 10.9.0.128/25 --internal --label a=b --label c net";
    let id = network(args).ok();
    let space = Space::new();
    network(&format!("connect --name web --mac-address 02:00:00:00:00:07 net {}", space.target()))
        .ok();
    let net = described("net");
    assert_eq!(net["Name"], "net");
    assert_eq!(net["Id"], id.trim());
    assert_eq!(net["Scope"], "local");
    assert_eq!(net["Driver"], "bridge");
    assert_eq!(net["EnableIPv6"], false);
    assert_eq!(net["Internal"], true);
    assert_eq!(net["Labels"], json!({ "a": "b", "c": "" }));
    assert_eq!(net["Options"], json!({}));
    let config =
        json!([{ "Subnet": "10.9.0.0/24", "IPRange": "10.9.0.128/25", "Gateway": "10.9.0.254" }]);
    assert_eq!(net["IPAM"]["Config"], config);
    assert!(net["Created"].as_str().unwrap().ends_with('Z'), "{net}");
    let web = &net["Containers"][space.target()];
    assert_eq!(web["Name"], "web");
    assert_eq!(web["IPv4Address"], "10.9.0.128/24");
    assert_eq!(web["IPv6Address"], "");
    assert_eq!(web["MacAddress"], "02:00:00:00:00:07");
    assert_eq!(web["EndpointID"].as_str().unwrap().len(), 64);
    assert!(space.run("ip link show eth0").contains("02:00:00:00:00:07"));
    assert_eq!(space.address("eth0"), "10.9.0.128/24");
    let missing = network("inspect net nope").output();
    assert_eq!(missing.json().as_array().unwrap().len(), 1);
    missing.assert_fails().assert_stderr_has("network nope not found");
    space.disconnect("net").ok();
}

fn filters_choose_networks() {
    prepared();
    let id = network("create --label app=web net").ok();
    network("create net2").ok();
    let names = |filter: &str| {
        let lines = network(&format!("ls {filter}")).output().lines();
        let name = |line: &String| line.split_whitespace().nth(1).unwrap().to_owned();
        lines.iter().skip(1).map(name).collect::<Vec<_>>()
    };
    assert_eq!(names("--filter name=^net$"), ["net"]);
    assert_eq!(names("--filter=name=net"), ["net", "net2"]);
    assert_eq!(names("-f label=app=web"), ["net"]);
    assert_eq!(names("-f driver=null"), ["none"]);
    assert_eq!(names("-f type=custom"), ["net", "net2"]);
    network(&format!("ls -q --no-trunc -f id={}", &id[..20])).output().assert_stdout(&id);
    network("ls -q -f name=^net$").output().assert_stdout(&id[..12]);
    network("ls --filter=name=^net$ --format={{.Name}}").output().assert_stdout("net");
    network("ls --noheading --format {{.ID}} -f name=^net$").output().assert_stdout(&id[..12]);
    network("ls -f dangling=true --format {{.Name}}").output().assert_stdout("net\nnet2");
    network("inspect -f {{.Labels.app}} net").output().assert_stdout("web");
    network("ls -f x=y").output().assert_fails().assert_stderr_has("no filter \"x\" here");
    network(&format!("inspect {}", &id[..8])).output().assert_exit(0);
}

fn members_reach_each_other_and_other_networks_do_not() {
    prepared();
    network("create a").ok();
    network("create b").ok();
    let (one, two, other) = (Space::new(), Space::new(), Space::new());
    one.connect("a").ok();
    two.connect("a").ok();
    other.connect("b").ok();
    assert_eq!(two.address("eth0"), "172.18.0.3/16");
    assert_eq!(other.address("eth0"), "172.19.0.2/16");
    one.reaches("172.18.0.3");
    two.reaches("172.18.0.2");
    one.reaches("172.18.0.1");
    assert_cut_off(&one, "172.19.0.2");
    assert_cut_off(&other, "172.18.0.2");
    // It is the rules that do it; and when somebody flushes them, the next change brings them back.
    say("nft", "flush ruleset");
    one.reaches("172.19.0.2");
    let third = Space::new();
    third.connect("a").ok();
    assert_cut_off(&one, "172.19.0.2");
    third.reaches("172.18.0.2");
    for (space, net) in [(&one, "a"), (&two, "a"), (&third, "a"), (&other, "b")] {
        space.disconnect(net).ok();
    }
}

fn way_out_is_by_nat_and_there_is_none_in() {
    prepared();
    let outside = outside();
    let inside = Space::new();
    inside.connect("bridge").ok();
    assert_eq!(inside.address("eth0"), "172.17.0.2/16");
    // It has no route to 172.17.0.0/16: only a masqueraded packet is answered.
    inside.reaches("198.51.100.2");
    // And even with a route it does not come in.
    outside.run("ip route add 172.17.0.0/16 via 198.51.100.1");
    assert_cut_off(&outside, "172.17.0.2");
    inside.reaches("198.51.100.2");
    inside.disconnect("bridge").ok();
}

/// As when the home was deleted by hand.
fn forgotten_table_is_replaced() {
    prepared();
    let space = Space::new();
    space.connect("bridge").ok();
    let tables = say("nft", "list tables");
    let table = tables.trim().strip_prefix("table ").expect("one table").to_owned();
    space.disconnect("bridge").ok();
    assert_eq!(say("nft", "list tables"), "");
    say("nft", &format!("add table {table}"));
    say("nft", &format!("add chain {table} forgotten"));
    space.connect("bridge").ok();
    let rules = say("nft", "list ruleset");
    assert!(rules.contains("masquerade") && !rules.contains("forgotten"), "{rules}");
    space.disconnect("bridge").ok();
    assert_eq!(say("nft", "list tables"), "");
}

fn internal_network_has_no_way_out() {
    prepared();
    let outside = outside();
    outside.run("ip route add 172.18.0.0/16 via 198.51.100.1");
    network("create --internal in").ok();
    let (one, two, free) = (Space::new(), Space::new(), Space::new());
    one.connect("in").ok();
    two.connect("in").ok();
    free.connect("bridge").ok();
    free.reaches("198.51.100.2");
    assert_eq!(
        one.run("ip route"),
        "172.18.0.0/16 dev eth0 proto kernel scope link src 172.18.0.2 \n"
    );
    // Even if the container makes itself a route.
    one.run("ip route add default via 172.18.0.1");
    assert_cut_off(&one, "198.51.100.2");
    one.reaches("172.18.0.3");
    assert_cut_off(&one, "172.17.0.2");
    for (space, net) in [(&one, "in"), (&two, "in"), (&free, "bridge")] {
        space.disconnect(net).ok();
    }
}

fn ipv6_is_there_on_request() {
    prepared();
    requires!(program("/proc/sys/net/ipv6"));
    let before = state();
    network("create --ipv6 --subnet fd00:7::/64 six").ok();
    network("create --ipv6 made-up").ok();
    let subnet = described("made-up")["IPAM"]["Config"][1]["Subnet"].clone();
    assert!(subnet.as_str().unwrap().starts_with("fd"), "{subnet}");
    let (one, two, other) = (Space::new(), Space::new(), Space::new());
    one.connect("six").ok();
    two.connect("six").ok();
    other.connect("made-up").ok();
    assert_eq!(described("six")["EnableIPv6"], true);
    let shown = &described("six")["Containers"][two.target()]["IPv6Address"];
    assert_eq!(*shown, "fd00:7::3/64");
    one.reaches("fd00:7::3");
    one.reaches("fd00:7::1");
    assert_cut_off(&other, "fd00:7::2");
    assert!(one.run("ip -6 route").contains("default via fd00:7::1 dev eth0"));
    one.disconnect("six").ok();
    two.disconnect("six").ok();
    other.disconnect("made-up").ok();
    assert_as_before(&before);
}

fn macvlan_is_on_the_wire_of_its_parent() {
    prepared();
    let outside = outside();
    let before = state();
    let create = "create -d macvlan --subnet 198.51.100.0/24 --gateway 198.51.100.2 --ip-range 198.51.100.64/26";
    network(&format!("{create} wire"))
        .output()
        .assert_fails()
        .assert_stderr_has("macvlan needs a link of the host\n  hint: name it with -o parent=LINK");
    network(&format!("{create} -o parent=up0 wire")).ok();
    network("create -d macvlan --subnet 10.1.0.0/24 -o parent=nope no").ok();
    let (inside, named) = (Space::new(), Space::new());
    inside.connect("wire").ok();
    network(&format!("connect --interface lan --ip 198.51.100.99 wire {}", named.target())).ok();
    assert_eq!(inside.address("eth0"), "198.51.100.64/24");
    assert_eq!(named.address("lan"), "198.51.100.99/24");
    inside.reaches("198.51.100.2");
    inside.reaches("198.51.100.99");
    outside.reaches("198.51.100.64");
    network(&format!("connect no {}", inside.target()))
        .output()
        .assert_fails()
        .assert_stderr_has("-o parent=nope: the host has no such link\n  hint: make the network");
    inside.disconnect("wire").ok();
    assert!(!inside.run("ip -o link").contains("eth0"));
    drop(named);
    network("rm wire no").output().assert_stdout("wire\nno");
    assert_as_before(&before);
}

fn second_network_takes_over_the_way_out() {
    prepared();
    let outside = outside();
    network("create a").ok();
    network("create b").ok();
    let space = Space::new();
    space.connect("a").ok();
    space.connect("b").ok();
    assert_eq!(space.address("eth0"), "172.18.0.2/16");
    assert_eq!(space.address("eth1"), "172.19.0.2/16");
    space.reaches("198.51.100.2");
    assert!(space.run("ip route").contains("default via 172.18.0.1 dev eth0"));
    space.disconnect("a").ok();
    assert!(space.run("ip route").contains("default via 172.19.0.1 dev eth1"));
    space.reaches("198.51.100.2");
    network(&format!("connect b {}", space.target()))
        .output()
        .assert_fails()
        .assert_stderr_has("is on network b already");
    space.disconnect("b").ok();
    network(&format!("disconnect b {}", space.target()))
        .output()
        .assert_fails()
        .assert_stderr_has("is not on network b\n  hint: bundles network inspect b shows who is");
    drop(outside);
}

fn names_are_kept_current_in_place() {
    prepared();
    network("create a").ok();
    network("create b").ok();
    let (web, db) = (Space::new(), Space::new());
    let file = scratch().join("hosts");
    fs::write(
        &file,
        "what was there before, and is longer than all that comes after it ...\n".repeat(9),
    )
    .unwrap();
    let inode = fs::metadata(&file).unwrap().ino();
    let hosts = || fs::read_to_string(&file).unwrap();
    let args = format!(
        "connect --name web --alias www --hosts {} --add-host far:192.0.2.9 a {}",
        file.display(),
        web.target()
    );
    network(&args).ok();
    let base = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    let own = "172.18.0.2\tweb www\n192.0.2.9\tfar\n";
    assert_eq!(hosts(), format!("{base}{own}"));
    network(&format!("connect --name db --alias mariadb a {}", db.target())).ok();
    assert_eq!(hosts(), format!("{base}{own}172.18.0.3\tdb mariadb\n"));
    // On another network nobody hears of it.
    let stranger = Space::new();
    network(&format!("connect --name stranger b {}", stranger.target())).ok();
    assert!(!hosts().contains("stranger"), "{}", hosts());
    db.disconnect("a").ok();
    assert_eq!(hosts(), format!("{base}{own}"));
    web.disconnect("a").ok();
    assert_eq!(hosts(), format!("{base}192.0.2.9\tfar\n"));
    assert_eq!(fs::metadata(&file).unwrap().ino(), inode, "it is bind-mounted");
    stranger.disconnect("b").ok();
}

fn asked_addresses_are_given_once() {
    prepared();
    network("create --subnet 10.8.0.0/29 net").ok();
    let (one, two) = (Space::new(), Space::new());
    network(&format!("connect --ip 10.8.0.5 net {}", one.target())).ok();
    assert_eq!(one.address("eth0"), "10.8.0.5/29");
    for (address, want) in [
        ("10.8.0.5", "network net: address 10.8.0.5: already in use"),
        ("10.8.0.1", "network net: address 10.8.0.1: is the gateway"),
        ("10.8.1.5", "network net: address 10.8.1.5: not a host's address of 10.8.0.0/29"),
        ("fd00::5", "address fd00::5: network net has no subnet for it"),
    ] {
        network(&format!("connect --ip {address} net {}", two.target()))
            .output()
            .assert_fails()
            .assert_stderr_has(want);
    }
    let more: Vec<Space<'_>> = (0..5).map(|_| Space::new()).collect();
    more.iter().take(4).for_each(|space| drop(space.connect("net").ok()));
    network(&format!("connect net {}", more[4].target()))
        .output()
        .assert_fails()
        .assert_stderr_has("all addresses of 10.8.0.0/29 are in use\n  hint: remove containers");
    assert_eq!(members("net"), 5);
    one.disconnect("net").ok();
    two.connect("net").ok();
    assert_eq!(two.address("eth0"), "10.8.0.5/29", "what was given back");
    network("connect net web").output().assert_fails().assert_stderr_has("web: no such container");
}

fn addresses_are_unique_among_many_at_once() {
    prepared();
    let before = state();
    let spaces: Vec<Space<'_>> = (0..8).map(|_| Space::new()).collect();
    let calls: Vec<_> = spaces
        .iter()
        .map(|space| network(&format!("connect bridge {}", space.target())).spawn())
        .collect();
    for call in calls {
        call.wait().assert_exit(0);
    }
    let mut addresses: Vec<String> = spaces.iter().map(|space| space.address("eth0")).collect();
    addresses.sort();
    let want: Vec<String> = (2..10).map(|n| format!("172.17.0.{n}/16")).collect();
    assert_eq!(addresses, want);
    let calls: Vec<_> = spaces
        .iter()
        .map(|space| network(&format!("disconnect bridge {}", space.target())).spawn())
        .collect();
    for call in calls {
        call.wait().assert_exit(0);
    }
    assert_as_before(&before);
}
