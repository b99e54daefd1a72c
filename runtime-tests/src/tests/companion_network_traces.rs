//! What `bundles network` leaves alone on a host, and what it leaves behind: nothing.

use std::fs;

use runtime_tests::companion::{bundles, home};
use runtime_tests::poll::until;
use runtime_tests::space::{Space, say};

use super::companion_networks::{
    assert_as_before, described, ip, members, network, prepared, settled_state, state,
};

tests![
    subnets_of_others_are_left_alone,
    used_and_predefined_networks_stay,
    prune_takes_what_nobody_is_on,
    teardown_leaves_the_host_as_it_was,
    death_of_a_namespace_gives_everything_back,
    missing_nft_is_told_and_nothing_made,
    want_of_privilege_is_told_and_nothing_made,
];

fn subnets_of_others_are_left_alone() {
    prepared();
    ip("link add d0 type veth peer name d1");
    ip("addr add 172.18.5.1/24 dev d0");
    ip("addr add 172.17.0.1/16 dev d0");
    ip("link set d0 up");
    let subnet = |net: &str| described(net)["IPAM"]["Config"][0]["Subnet"].clone();
    assert_eq!(subnet("bridge"), "172.19.0.0/16");
    network("create net").ok();
    assert_eq!(subnet("net"), "172.20.0.0/16");
    network("create --subnet 172.18.0.0/16 x").output().assert_fails().assert_stderr_has(
        "bundles: subnet 172.18.0.0/16: overlaps 172.18.5.0/24, that of the host's route by d0\n  hint: choose another one, such as 172.21.0.0/16",
    );
    network("create --subnet 172.20.7.0/24 x").output().assert_fails().assert_stderr_has(
        "subnet 172.20.7.0/24: overlaps 172.20.0.0/16, that of network net\n  hint: choose another one",
    );
    network("create --subnet 10.0.0.0/24 --gateway 10.0.1.1 x")
        .output()
        .assert_fails()
        .assert_stderr_has("--gateway 10.0.1.1: not inside of 10.0.0.0/24");
    network("create --subnet 10.0.0.1/24 x")
        .output()
        .assert_fails()
        .assert_stderr_has("\"10.0.0.1/24\" is an address in a subnet; the subnet is 10.0.0.0/24");
    network("inspect x").output().assert_fails();
    // A bridge of ours is no reason to leave the subnet alone that it has.
    let space = Space::new();
    space.connect("net").ok();
    network("create next").ok();
    assert_eq!(subnet("next"), "172.21.0.0/16");
    space.disconnect("net").ok();
    ip("link del d0");
}

fn used_and_predefined_networks_stay() {
    prepared();
    network("create net").ok();
    let space = Space::new();
    space.connect("net").ok();
    let target = space.target();
    network("rm net").output().assert_fails().assert_stderr_has(&format!(
        "bundles: network net: in use by {target}\n  hint: take them off first: bundles network disconnect net {target}",
    ));
    for name in ["bridge", "host", "none"] {
        network(&format!("rm {name}"))
            .output()
            .assert_fails()
            .assert_stderr_has(&format!("network {name}: is always there, and cannot be removed"));
    }
    network(&format!("connect host {target}"))
        .output()
        .assert_fails()
        .assert_stderr_has("network host: a container is on it from its start or not at all");
    network("rm nope").output().assert_fails().assert_stderr_has("network nope not found");
    network("rm -f nope").output().assert_stdout("");
    space.disconnect("net").ok();
    let both = network("rm nope net").output();
    assert_eq!(both.stdout(), "net\n", "the others are removed");
    both.assert_fails();
}

fn prune_takes_what_nobody_is_on() {
    prepared();
    for args in ["create used", "create --label job=7 ours", "create theirs"] {
        network(args).ok();
    }
    let space = Space::new();
    space.connect("used").ok();
    let no = network("prune").stdin("n\n").output();
    no.assert_fails().assert_stderr_has("nothing was removed");
    assert!(!no.stdout().contains("Deleted"), "{}", no.stdout());
    network("prune --force --filter label=job=7")
        .output()
        .assert_stdout("Deleted Networks:\nours\n");
    let yes = network("prune").stdin("y\n").output();
    assert!(yes.stdout().ends_with("Deleted Networks:\ntheirs\n\n"), "{}", yes.stdout());
    network("prune -f").output().assert_stdout("");
    network("create again").ok();
    let said = bundles(["system", "prune", "-f"]).ok();
    assert!(said.starts_with("Deleted Networks:\nagain\n"), "{said}");
    let left = network("ls -q").output().lines().len();
    assert_eq!(left, 4, "bridge, host, none and used");
    space.disconnect("used").ok();
}

fn teardown_leaves_the_host_as_it_was() {
    prepared();
    let before = state();
    network("create net").ok();
    network("create --internal in").ok();
    let (one, two) = (Space::new(), Space::new());
    one.connect("net").ok();
    let alone = settled_state();
    assert!(alone.contains("br-") && alone.contains("masquerade"), "{alone}");
    two.connect("net").ok();
    two.connect("in").ok();
    two.disconnect("net").ok();
    two.disconnect("in").ok();
    assert_as_before(&alone);
    assert_eq!(two.run("ip -o link").lines().count(), 1, "the loopback");
    one.disconnect("net").ok();
    assert_as_before(&before);
    network("rm net in").ok();
    let mut left: Vec<_> = fs::read_dir(home().join("networks"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["bridge", "host", "none"]);
    assert_eq!(fs::read_dir(home().join("tmp")).unwrap().count(), 0);
}

fn death_of_a_namespace_gives_everything_back() {
    prepared();
    let before = state();
    network("create net").ok();
    let space = Space::new();
    space.connect("net").ok();
    let target = space.target();
    drop(space);
    until("the link to go", || (!ip("-o link").contains("ve-")).then_some(()));
    // Its address is free again at once.
    let next = Space::new();
    next.connect("net").ok();
    assert_eq!(next.address("eth0"), "172.18.0.2/16");
    network(&format!("disconnect net {target}")).output().assert_fails();
    drop(next);
    until("the link to go", || (!ip("-o link").contains("ve-")).then_some(()));
    network("rm net").ok();
    assert_as_before(&before);
}

#[track_caller]
fn assert_nothing_made(before: &str, space: &Space<'_>) {
    assert_as_before(before);
    assert_eq!(space.run("ip -o link").lines().count(), 1, "the loopback");
    assert_eq!(members("bridge"), 0);
    network("create after").ok();
    network("rm after").ok();
}

fn missing_nft_is_told_and_nothing_made() {
    prepared();
    let before = state();
    let space = Space::new();
    say("mount", "--bind /dev/null /usr/sbin/nft");
    let said = network(&format!("connect bridge {}", space.target())).output();
    say("umount", "/usr/sbin/nft");
    said.assert_fails().assert_stderr_has(
        "bundles: network bridge: nft is not installed, and a bridge network needs it\n  hint: install it, on Debian with `apt-get install nftables`, or use --network host or none",
    );
    assert_nothing_made(&before, &space);
}

fn want_of_privilege_is_told_and_nothing_made() {
    prepared();
    let before = state();
    let space = Space::new();
    let call = network(&format!("connect bridge {}", space.target()));
    let said = call.through(["setpriv", "--inh-caps=-all", "--bounding-set=-all"]).output();
    said.assert_fails().assert_stderr_has(": Permission denied (os error 13)");
    said.assert_stderr_has(
        "\n  hint: networks need root; run as root, or with --network host or none",
    );
    assert_nothing_made(&before, &space);
}
