//! `bundles network` by an ordinary user: the network namespace of the test is the host.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::Pid;
use runtime_tests::companion::{Root, bundles, bundles_as};
use runtime_tests::hostmount::HostMount;
use runtime_tests::isolate::scratch;
use runtime_tests::poll::until;
use runtime_tests::prelude::*;
use runtime_tests::second_user::{SecondUser, UID};
use runtime_tests::space::{self, Ended, Space, say};

use super::companion_network_kills::{instants, kill_after, whole};

tests![
    one_network_connects_and_two_are_apart,
    one_id_is_enough,
    way_out_is_by_pasta,
    host_gateway_is_the_host,
    pasta_is_ended_and_started_again,
    internal_network_needs_no_pasta,
    missing_pasta_is_told_once,
    host_without_a_way_out_is_told,
    many_at_once_make_one_holder,
    killed_holder_is_told_and_made_again,
    killed_holder_is_gone_for_good_when_nobody_is_left,
    holder_waits_for_the_last_process,
    foreign_namespaces_are_refused,
    macvlan_is_for_root,
    root_needs_no_unshare,
    connect_killed_at_any_instant_leaves_nothing,
    disconnect_killed_at_any_instant_leaves_nothing,
];

fn prepared() {
    requires!(root, program("/usr/sbin/ip"), program("/usr/sbin/nft"), busybox());
    requires!(program("/usr/bin/nsenter"));
    requires!(companion);
}

/// A device that everybody may open, as udev makes it.
fn tun() -> HostMount {
    requires!(program("/usr/bin/pasta"), program("/dev/net/tun"));
    let device = scratch().join("tun");
    mknod(&device, SFlag::S_IFCHR, Mode::empty(), makedev(10, 200)).expect("mknod");
    fs::set_permissions(&device, fs::Permissions::from_mode(0o666)).expect("chmod");
    HostMount::bind(&device, "/dev/net/tun".as_ref())
}

fn network(user: &SecondUser, args: &str) -> Call {
    bundles_as(user, ["network"]).args(args.split(' '))
}

/// The user's processes whose command line begins so.
fn processes(words: &str) -> Vec<i32> {
    let line = |pid: i32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let is_his = |pid: &i32| fs::metadata(format!("/proc/{pid}")).is_ok_and(|m| m.uid() == UID);
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(is_his)
        .filter(|pid| {
            let line = String::from_utf8_lossy(&line(*pid)).replace('\0', " ");
            !line.is_empty() && line.starts_with(words)
        })
        .collect()
}

fn holder() -> i32 {
    let all = processes("bundles-networks");
    assert_eq!(all.len(), 1, "holders: {all:?}");
    all[0]
}

fn pasta() -> Vec<i32> {
    processes("/usr/bin/pasta")
}

/// Also waits: a process has an empty command line while it still lets go of all it has.
fn end(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("kill");
    let has_ended = || match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    };
    until("the end of a process", || has_ended().then_some(()));
}

/// A host beyond the host, 198.51.100.2, where everything is that has no other way.
fn outside() -> Space<'static> {
    let outside = space::outside();
    say("ip", "route add default via 198.51.100.2");
    outside
}

fn state() -> String {
    let rules = say("nft", "list ruleset");
    [say("ip", "-o link"), say("ip", "-o -4 addr"), say("ip", "route"), rules].join("---\n")
}

fn members(user: &SecondUser, net: &str) -> usize {
    let net = network(user, &format!("inspect {net}")).output().json()[0].clone();
    net["Containers"].as_object().expect("an object").len()
}

/// Gives everything back when all containers have ended: links go a moment after their namespace.
#[track_caller]
fn assert_teardown(user: &SecondUser) {
    until("the end of all processes", || {
        network(user, "prune -f").ok();
        processes("").is_empty().then_some(())
    });
    assert_nothing_left(user);
}

/// Neither processes nor files that tell of them.
#[track_caller]
fn assert_nothing_left(user: &SecondUser) {
    let left = processes("");
    let lines = left.iter().map(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")));
    assert!(left.is_empty(), "left: {:?}", lines.flatten().collect::<Vec<_>>());
    let directory = user.dir().join("share/bundles/networks");
    let files = fs::read_dir(directory).expect("networks").flatten();
    let files: Vec<_> = files.filter(|entry| !entry.path().is_dir()).collect();
    assert!(files.is_empty(), "left: {files:?}");
}

fn two_networks(user: &SecondUser) {
    let before = state();
    network(user, "create two").ok();
    let (one, other, third) = (Space::of_user(user), Space::of_user(user), Space::of_user(user));
    one.connect("bridge").ok();
    other.connect("bridge").ok();
    third.connect("two").ok();
    assert_eq!(one.address("eth0"), "172.17.0.2/16");
    assert_eq!(other.address("eth0"), "172.17.0.3/16");
    assert_eq!(third.address("eth0"), "172.18.0.2/16");
    one.reaches("172.17.0.3");
    other.reaches("172.17.0.2");
    assert!(!one.pings("172.18.0.2") && !third.pings("172.17.0.2"));
    assert_eq!(state(), before, "the host's own network is left alone");
    third.connect("bridge").ok();
    third.reaches("172.17.0.2");
    third.disconnect("bridge").ok();
    assert!(!third.pings("172.17.0.2"));
    one.disconnect("bridge").ok();
    assert!(!one.links().contains("eth0"));
    drop((one, other, third));
    assert_teardown(user);
    network(user, "inspect two").output().assert_fails();
    assert_eq!(state(), before);
}

fn one_network_connects_and_two_are_apart() {
    prepared();
    two_networks(&SecondUser::with_ranges());
}

fn one_id_is_enough() {
    prepared();
    two_networks(&SecondUser::new());
}

fn way_out_is_by_pasta() {
    prepared();
    let _tun = tun();
    let outside = outside();
    let path = format!("--net={}", outside.path().display());
    let _far = Ended::server(&["nsenter", &path], 7, "far");
    let _near = Ended::server(&[], 8, "near");
    let user = SecondUser::with_ranges();
    let (one, other) = (Space::of_user(&user), Space::of_user(&user));
    network(&user, "create two").ok();
    one.connect("bridge").output().assert_exit(0).assert_says("");
    other.connect("two").ok();
    assert_eq!(pasta().len(), 1);
    for space in [&one, &other] {
        until("the server", || (space.hears("198.51.100.2", 7) == "far").then_some(()));
        assert_eq!(space.hears("198.51.100.1", 8), "near", "the host's own address");
    }
    assert_eq!(one.hears("192.0.2.1", 8), "", "the host's loopback");
    network(&user, "create --subnet 192.0.2.0/24 third").output().assert_fails().assert_stderr_has(
        "bundles: subnet 192.0.2.0/24: overlaps 192.0.2.0/30, that of the way out of networks\n",
    );
    one.disconnect("bridge").ok();
    assert_eq!(pasta().len(), 1);
    other.disconnect("two").ok();
    assert_eq!(pasta(), [0; 0]);
    drop((one, other));
    assert_teardown(&user);
}

fn host_gateway_is_the_host() {
    prepared();
    let (_tun, _outside) = (tun(), outside());
    let _near = Ended::server(&[], 8, "near");
    let (user, root) = (SecondUser::with_ranges(), Root::new());
    // He can make no mount point in a directory of root's.
    fs::write(root.rootfs.join("etc/hosts"), "").expect("write");
    let runtime = runtime_tests::runtime::path().to_str().expect("UTF-8");
    let run = |flags: &[&str], script: &str| {
        let call = bundles_as(&user, ["run", "--rm", "--runtime", runtime]).args(flags);
        let call = call.args(["--add-host", "h:host-gateway", "--rootfs"]).args([&root.rootfs]);
        call.args(["sh", "-c", script]).output()
    };
    // busybox cannot look up names itself, it is static; and nc ends with its input.
    let script = "busybox grep -w h /etc/hosts; address=$(busybox sed -n 's/\th$//p' /etc/hosts); \
                  { printf 'GET / HTTP/1.0\\r\\n\\r\\n'; busybox sleep 2; } | \
                  busybox timeout 4 busybox nc $address 8 | busybox tail -n 1";
    run(&[], script).assert_exit(0).assert_stdout("198.51.100.1\th\nnear");
    run(&["--network", "none"], "true").assert_exit(125).assert_stderr_has(
        "bundles: --add-host h:host-gateway: it has no network on which the host is\n",
    );
    assert_teardown(&user);
}

fn pasta_is_ended_and_started_again() {
    prepared();
    let (_tun, _outside) = (tun(), outside());
    let user = SecondUser::with_ranges();
    let (one, other) = (Space::of_user(&user), Space::of_user(&user));
    one.connect("bridge").ok();
    let first = pasta();
    end(first[0]);
    other.connect("bridge").ok();
    let second = pasta();
    assert!(second.len() == 1 && second != first, "{first:?} {second:?}");
    drop((one, other));
    assert_teardown(&user);
}

fn internal_network_needs_no_pasta() {
    prepared();
    let (_tun, _outside) = (tun(), outside());
    let user = SecondUser::with_ranges();
    network(&user, "create --internal net").ok();
    let (one, other) = (Space::of_user(&user), Space::of_user(&user));
    one.connect("net").ok();
    other.connect("net").ok();
    one.reaches("172.18.0.3");
    assert_eq!(pasta(), [0; 0]);
    assert_eq!(one.hears("198.51.100.2", 7), "");
    drop((one, other));
    assert_teardown(&user);
}

fn missing_pasta_is_told_once() {
    prepared();
    let user = SecondUser::with_ranges();
    let _hidden = PathBuf::from("/usr/bin/passt")
        .exists()
        .then(|| HostMount::bind("/dev/null".as_ref(), "/usr/bin/passt".as_ref()));
    let (one, other) = (Space::of_user(&user), Space::of_user(&user));
    let first = one.connect("bridge").output();
    first.assert_exit(0);
    assert_eq!(
        first.stderr(),
        "bundles: containers reach each other, but have no way out: pasta is not installed\n  hint: install it, on Debian with `apt install passt`, or use --network host or none\n"
    );
    let second = other.connect("bridge").output();
    second.assert_exit(0);
    assert_eq!(second.stderr(), "");
    one.reaches("172.17.0.3");
    drop((one, other));
    assert_teardown(&user);
}

fn host_without_a_way_out_is_told() {
    prepared();
    let _tun = tun();
    let user = SecondUser::with_ranges();
    let (one, other) = (Space::of_user(&user), Space::of_user(&user));
    let first = one.connect("bridge").output();
    first.assert_exit(0).assert_stderr_has(
        "bundles: containers reach each other, but have no way out: pasta: External interface not usable\n",
    );
    assert_eq!(pasta(), [0; 0]);
    let _outside = outside();
    other.connect("bridge").ok();
    assert_eq!(pasta().len(), 1, "as soon as there is one");
    drop((one, other));
    assert_teardown(&user);
}

fn many_at_once_make_one_holder() {
    prepared();
    let user = SecondUser::with_ranges();
    let all: Vec<_> = (0..6).map(|_| Space::process(&user)).collect();
    let spaces: Vec<_> = all.into_iter().map(|process| Space::of(Some(&user), process)).collect();
    let running: Vec<_> = spaces.iter().map(|space| space.connect("bridge").spawn()).collect();
    for call in running {
        call.wait().assert_exit(0);
    }
    holder();
    let mut addresses: Vec<_> = spaces.iter().map(|space| space.address("eth0")).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 6);
    drop(spaces);
    assert_teardown(&user);
}

fn killed_holder_is_told_and_made_again() {
    prepared();
    let (_tun, outside) = (tun(), outside());
    let path = format!("--net={}", outside.path().display());
    let _far = Ended::server(&["nsenter", &path], 7, "far");
    let user = SecondUser::with_ranges();
    let (one, other) = (Space::of_user(&user), Space::of_user(&user));
    one.connect("bridge").ok();
    let (first, way) = (holder(), pasta());
    end(first);
    assert_eq!(members(&user, "bridge"), 0, "what it held is gone");
    assert_eq!(pasta(), [0; 0]);
    until("the link to go", || (!one.links().contains("eth0")).then_some(()));
    // The containers live in its user namespace, and so does the next one.
    other.connect("bridge").ok();
    one.connect("bridge").ok();
    assert_ne!(holder(), first);
    assert_ne!(pasta(), way);
    one.reaches("172.17.0.2");
    until("the server", || (one.hears("198.51.100.2", 7) == "far").then_some(()));
    // Without a question in between, too.
    end(holder());
    one.connect("bridge").ok();
    assert_eq!(one.address("eth0"), "172.17.0.2/16");
    assert!(!one.links().contains("eth1"));
    one.disconnect("bridge").ok();
    drop((one, other));
    assert_teardown(&user);
}

fn killed_holder_is_gone_for_good_when_nobody_is_left() {
    prepared();
    let (_tun, _outside) = (tun(), outside());
    let user = SecondUser::with_ranges();
    let one = Space::of_user(&user);
    one.connect("bridge").ok();
    end(holder());
    drop(one);
    network(&user, "ls").ok();
    assert_nothing_left(&user);
}

fn holder_waits_for_the_last_process() {
    prepared();
    let user = SecondUser::with_ranges();
    let (one, other) = (Space::of_user(&user), Space::of_user(&user));
    one.connect("bridge").ok();
    one.disconnect("bridge").ok();
    let kept = holder();
    drop(one);
    network(&user, "prune -f").ok();
    assert_eq!(holder(), kept, "somebody is in its namespace");
    other.connect("bridge").ok();
    other.disconnect("bridge").ok();
    drop(other);
    assert_teardown(&user);
}

fn foreign_namespaces_are_refused() {
    prepared();
    let user = SecondUser::with_ranges();
    let words = "unshare --user --map-root-user --net sleep 60";
    let words: Vec<&str> = words.split(' ').collect();
    let space = Space::of(Some(&user), Ended::by_user(&words, &[], &[]));
    let said = space.connect("bridge").output();
    said.assert_fails().assert_stderr_has(
        "/ns/net: Permission denied (os error 13)\n  hint: only namespaces made below `bundles unshare` can be on an ordinary user's networks\n",
    );
    assert!(!space.links().contains("eth0"));
    let of_root = network(&user, "connect bridge netns:/proc/1/ns/net").output();
    of_root.assert_fails().assert_stderr_has("Permission denied");
    drop(space);
    assert_teardown(&user);
}

fn macvlan_is_for_root() {
    prepared();
    let user = SecondUser::with_ranges();
    let said = network(&user, "create -d macvlan -o parent=lo --subnet 10.0.0.0/24 net").output();
    said.assert_fails().assert_stderr_has(
        "bundles: network net: macvlan needs root\n  hint: make a bridge network, without --driver\n",
    );
}

fn root_needs_no_unshare() {
    prepared();
    bundles(["unshare", "true"]).output().assert_fails().assert_stderr_has(
        "bundles: unshare is for ordinary users, and this is root\n  hint: run the command as it is\n",
    );
    let user = SecondUser::with_ranges();
    bundles_as(&user, ["unshare", "id", "-u"]).output().assert_exit(0).assert_stdout("0");
    bundles_as(&user, ["unshare", "sh", "-c", "exit 7"]).output().assert_exit(7);
    let links = bundles_as(&user, ["unshare", "--network", "ip", "-o", "link"]).ok();
    assert_eq!(links.lines().count(), 1, "{links}");
    assert!(links.contains("LOOPBACK,UP"), "{links}");
    assert_teardown(&user);
}

/// All that is the user's, and that nobody can tell from what a whole command has left.
fn assert_consistent(user: &SecondUser) {
    network(user, "prune -f").ok();
    // What waits for a word of the killed command ends by itself.
    until("the end of what nobody knows", || {
        let few = processes("bundles-networks").len() <= 1 && pasta().len() <= 1;
        (few && processes("bundles-uplink").is_empty()).then_some(())
    });
}

fn connect_killed_at_any_instant_leaves_nothing() {
    prepared();
    let (_tun, _outside) = (tun(), outside());
    let user = SecondUser::with_ranges();
    // Another one keeps the user namespace, not the network one: the holder is made again.
    let space = Space::of_user(&user);
    let again = || {
        end(holder());
        network(&user, "ls").ok();
        space.connect("bridge")
    };
    for at in instants(25, whole(again())) {
        space.disconnect("bridge").output();
        network(&user, "ls").ok();
        if processes("bundles-networks").is_empty() {
            bundles_as(&user, ["unshare", "true"]).ok();
        }
        kill_after(again(), at);
        assert_consistent(&user);
        let is_there = space.links().contains("eth0");
        assert_eq!(members(&user, "bridge"), usize::from(is_there));
    }
    space.disconnect("bridge").output();
    space.connect("bridge").ok();
    assert_eq!(space.address("eth0"), "172.17.0.2/16");
    space.disconnect("bridge").ok();
    drop(space);
    assert_teardown(&user);
}

fn disconnect_killed_at_any_instant_leaves_nothing() {
    prepared();
    let (_tun, _outside) = (tun(), outside());
    let user = SecondUser::with_ranges();
    let space = Space::of_user(&user);
    space.connect("bridge").ok();
    for at in instants(25, whole(space.disconnect("bridge"))) {
        if members(&user, "bridge") == 0 {
            space.connect("bridge").ok();
        }
        kill_after(space.disconnect("bridge"), at);
        assert_consistent(&user);
        let is_there = space.links().contains("eth0");
        assert_eq!(members(&user, "bridge"), usize::from(is_there));
    }
    drop(space);
    assert_teardown(&user);
}
