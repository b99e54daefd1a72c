//! `linux.netDevices`: devices move into the container. The network namespace of the test is the host.

use std::process::Command;

use runtime_tests::prelude::*;
use runtime_tests::second_user::SecondUser;

tests![
    device_keeps_its_addresses_and_is_up,
    device_gets_a_new_name,
    device_is_moved_with_a_user_namespace,
    device_is_moved_into_a_joined_namespace,
    device_is_there_for_hooks_and_sysctls,
    missing_device_leaves_the_others,
    failure_brings_devices_back,
    renamed_device_comes_back_and_the_one_in_its_place_stays,
    device_in_the_place_of_a_moved_one_stays,
    forged_answers_are_not_believed,
    taken_name_is_refused,
    device_that_cannot_move_is_told,
    device_of_the_host_is_not_for_ordinary_users,
    device_without_network_namespace_is_refused,
    wrong_names_of_devices_are_refused,
];

fn ip(args: &str) -> String {
    let output = Command::new("ip").args(args.split(' ')).output().expect("run ip");
    assert!(output.status.success(), "ip {args}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn exists(device: &str) -> bool {
    std::path::Path::new("/proc/sys/net/ipv4/conf").join(device).exists()
}

/// A device `name` with addresses, which is up, and its peer `name`p.
fn device(name: &str, number: u8) {
    ip(&format!("link add {name} mtu 1400 type veth peer name {name}p"));
    ip(&format!("addr add 192.0.2.{number}/24 dev {name}"));
    ip(&format!("addr add 10.1.{number}.1 peer 10.1.{number}.2/32 dev {name}"));
    ip(&format!("-6 addr add 2001:db8::{number}/64 dev {name} nodad"));
    ip(&format!("link set {name} up"));
    ip(&format!("link set {name}p up"));
}

fn prepared() {
    requires!(root, program("/usr/sbin/ip"), busybox());
    differs!(Runc, "1.1 has no linux.netDevices");
    differs!(Crun, "1.8 has no linux.netDevices");
}

fn with_devices(devices: Value) -> Bundle {
    Bundle::new().with_busybox().with(|c| c["linux"]["netDevices"] = devices)
}

const SHOW: [&str; 6] = ["/bin/busybox", "ip", "addr", "show", "dev", "v0"];

#[track_caller]
fn assert_configured(said: &str, name: &str, number: u8) {
    for text in [
        &format!("{name}@") as &str,
        "mtu 1400",
        ",UP,",
        &format!("inet 192.0.2.{number}/24"),
        &format!("inet 10.1.{number}.1 peer 10.1.{number}.2/32"),
        &format!("inet6 2001:db8::{number}/64"),
    ] {
        assert!(said.contains(text), "{text:?} in: {said}");
    }
    let six = said.lines().find(|l| l.contains(&format!("2001:db8::{number}/64"))).unwrap();
    assert!(!six.contains("tentative"), "{said}");
}

fn device_keeps_its_addresses_and_is_up() {
    prepared();
    device("v0", 1);
    ip("addr add 169.254.7.7/16 scope link dev v0");
    let said = with_devices(json!({ "v0": {} })).run(&SHOW);
    said.assert_exit(0);
    assert_configured(&said.stdout(), "v0", 1);
    assert!(!said.stdout().contains("169.254.7.7"), "of the link only: {}", said.stdout());
    assert!(!exists("v0"));
    // One that was down is up there, too.
    ip("link add v1 type veth peer name v1p");
    let said = with_devices(json!({ "v1": { "name": "v0" } })).run(&SHOW).stdout();
    assert!(said.contains(",UP"), "{said}");
}

fn device_gets_a_new_name() {
    prepared();
    device("v0", 1);
    device("v1", 2);
    device("v2", 3);
    let devices =
        json!({ "v0": { "name": "eth7" }, "v1": { "name": "net%d" }, "v2": { "name": "net%d" } });
    let said = with_devices(devices).run(&["/bin/busybox", "ip", "addr"]);
    said.assert_exit(0);
    for (name, number) in [("eth7", 1), ("net0", 2), ("net1", 3)] {
        assert_configured(&said.stdout(), name, number);
    }
}

fn device_is_moved_with_a_user_namespace() {
    prepared();
    requires!(userns);
    device("v0", 1);
    let said = with_devices(json!({ "v0": {} })).user_namespace(100_000).run(&SHOW);
    said.assert_exit(0);
    assert_configured(&said.stdout(), "v0", 1);
}

fn device_is_moved_into_a_joined_namespace() {
    prepared();
    let other = Bundle::new().with_busybox().start(&["/probe", "sleep", "60"]);
    device("v0", 1);
    let b = with_devices(json!({ "v0": { "name": "in" } }));
    let b = b.namespace("network", Some(&format!("/proc/{}/ns/net", other.pid())));
    b.run(&["/bin/busybox", "ip", "link", "show", "dev", "in"]).assert_exit(0);
    // It is the namespace's, not the container's.
    let said = other.exec(&["/bin/busybox", "ip", "addr", "show", "dev", "in"]).stdout();
    assert_configured(&said, "in", 1);
    other.end();
}

fn device_is_there_for_hooks_and_sysctls() {
    prepared();
    device("v0", 1);
    let b = with_devices(json!({ "v0": { "name": "eth7" } })).with(|c| {
        c["linux"]["sysctl"] = json!({ "net.ipv4.conf.eth7.forwarding": "1" });
        let script = "sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p' | \
                      { read pid; grep eth7 /proc/$pid/net/dev; } >/run/t/seen";
        c["hooks"]["createRuntime"] = json!([{ "path": "/bin/sh", "args": ["sh", "-c", script] }]);
    });
    b.run(&["/probe", "cat", "/proc/sys/net/ipv4/conf/eth7/forwarding"]).assert_stdout("1");
    let seen = std::fs::read_to_string(scratch().join("seen")).expect("what the hook saw");
    assert!(seen.contains("eth7:"), "{seen}");
}

#[track_caller]
fn assert_back(name: &str, number: u8) {
    assert_configured(&ip(&format!("addr show dev {name}")), name, number);
}

fn missing_device_leaves_the_others() {
    prepared();
    device("v0", 1);
    ip("link set v0p down");
    let b = with_devices(json!({ "v0": { "name": "eth7" }, "v9": {} }));
    let output = b.assert_create_refused();
    output.assert_stderr_has("linux.netDevices.v9: RTM_GETLINK(v9): no such device (ENODEV)");
    output.assert_stderr_has("hint: make the device before the container");
    assert_back("v0", 1);
    // A device that was down stays down.
    ip("link set v0 down");
    b.assert_create_refused();
    assert!(!ip("link show dev v0").contains(",UP"));
}

fn failure_brings_devices_back() {
    prepared();
    device("v0", 1);
    device("v1", 2);
    let devices = json!({ "v0": { "name": "v1" }, "v1": { "name": "v0" } });
    let b = with_devices(devices.clone())
        .with(|c| c["hooks"]["createRuntime"] = json!([{ "path": "/bin/false" }]));
    b.assert_create_refused();
    assert_back("v0", 1);
    assert_back("v1", 2);
    let b = with_devices(devices.clone()).args(&["/nosuch"]);
    b.assert_create_refused().assert_stderr_has("no such file or directory");
    assert_back("v0", 1);
    // After the container is ready: nobody can write there.
    let b = with_devices(devices).args(&["/probe", "true"]);
    b.try_create(&["--pid-file", "/proc/pid"]).assert_fails().assert_stderr_has("--pid-file");
    assert_back("v0", 1);
    assert_back("v1", 2);
}

/// What others do in a network that is joined, between the move and a failure: a script, here of the
/// hook that fails.
fn attacked(b: Bundle, network: &Container, script: &str) -> Bundle {
    let inside = format!("nsenter --net=/proc/{}/ns/net", network.pid());
    b.namespace("network", Some(&format!("/proc/{}/ns/net", network.pid()))).with(|c| {
        let script = format!("set -e; exec 2>&1; cat >/dev/null; in='{inside}'; {script}; exit 3");
        let env = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
        let hook = json!({ "path": "/bin/sh", "args": ["sh", "-c", script], "env": env });
        c["hooks"]["createRuntime"] = json!([hook]);
    })
}

/// Seen to fail on rt that looked for the name: it took the other device to the host.
fn renamed_device_comes_back_and_the_one_in_its_place_stays() {
    prepared();
    requires!(program("/usr/bin/nsenter"));
    let other = Bundle::new().with_busybox().start(&["/probe", "sleep", "60"]);
    device("v0", 1);
    let script = "$in ip link set in down; $in ip link set in name hidden; $in ip link set hidden \
                  up; $in ip link add in mtu 1300 type veth peer name inp";
    let b = attacked(with_devices(json!({ "v0": { "name": "in" } })), &other, script);
    let output = b.assert_create_refused();
    output.assert_stderr_has("hooks.createRuntime[0] (/bin/sh): exit status 3\n");
    assert_back("v0", 1);
    let said = other.exec(&["/bin/busybox", "ip", "link"]).stdout();
    assert!(said.contains(" in@") && said.contains("mtu 1300"), "{said}");
    assert!(!said.contains("hidden"), "{said}");
    other.end();
}

/// The device is gone, and another one has its name and its number.
///
/// Seen to fail on rt that did not compare, and on rt that looked for the name.
fn device_in_the_place_of_a_moved_one_stays() {
    prepared();
    requires!(program("/usr/bin/nsenter"));
    let other = Bundle::new().with_busybox().start(&["/probe", "sleep", "60"]);
    device("v0", 1);
    let script = "n=$($in ip -o link show dev in | cut -d: -f1); $in ip link del in; \
                  $in ip link add in index $n mtu 1300 type veth peer name inp";
    let b = attacked(with_devices(json!({ "v0": { "name": "in" } })), &other, script);
    let output = b.assert_create_refused();
    output.assert_stderr_has("bring back linux.netDevices.v0: it is another device now");
    output.assert_stderr_has("createRuntime[0] (/bin/sh): exit status 3");
    assert!(!exists("v0"));
    let said = other.exec(&["/bin/busybox", "ip", "link"]).stdout();
    assert!(said.contains(" in@") && said.contains("mtu 1300"), "{said}");
    other.end();
}

/// Whoever rules the network that is joined can write to the sockets which rt has there: here that
/// there is no such device, in the name of the kernel, to every request that is still to come.
///
/// Seen to fail on rt that took answers from everybody.
fn forged_answers_are_not_believed() {
    prepared();
    requires!(program("/usr/bin/nsenter"));
    let other = Bundle::new().with_busybox().start(&["/probe", "sleep", "60"]);
    device("v0", 1);
    let b = with_devices(json!({ "v0": { "name": "in" } }));
    let probe = b.inside("/probe");
    // The kernel has given rt's socket the number of rt's process.
    let script = format!("$in {} attack forge-netlink $PPID", probe.display());
    let b = attacked(b, &other, &script);
    let output = b.assert_create_refused();
    output.assert_stderr_has("exit status 3: sent 64\n");
    assert!(!output.stderr().contains("bring back"), "{}", output.stderr());
    assert_back("v0", 1);
    other.end();
}

fn taken_name_is_refused() {
    prepared();
    device("v0", 1);
    let output = with_devices(json!({ "v0": { "name": "lo" } })).assert_create_refused();
    output.assert_stderr_has(
        "linux.netDevices.v0: the container's network has a device \"lo\" already\n",
    );
    output.assert_stderr_has("hint: give the device another name there");
    assert_back("v0", 1);
}

fn device_that_cannot_move_is_told() {
    prepared();
    let output = with_devices(json!({ "lo": { "name": "lo7" } })).assert_create_refused();
    output.assert_stderr_has("linux.netDevices.lo: RTM_NEWLINK(1, name=lo7, net_ns_fd=");
    output.assert_stderr_has("hint: devices of this kind, such as lo");
}

fn device_of_the_host_is_not_for_ordinary_users() {
    prepared();
    let user = SecondUser::new();
    device("v0", 1);
    let b = user.bundle().change(|b| b.namespace("network", None));
    let output =
        b.with(|c| c["linux"]["netDevices"] = json!({ "v0": {} })).run(&["/probe", "true"]);
    output.assert_fails().assert_stderr_has("linux.netDevices: ");
    output.assert_stderr_has("hint: moving needs CAP_NET_ADMIN over both networks");
    assert_back("v0", 1);
}

fn device_without_network_namespace_is_refused() {
    requires!(command("plan"));
    let b = with_devices(json!({ "v0": {} })).without_namespace("network");
    b.assert_create_refused()
        .assert_stderr_has("linux.netDevices: needs a \"network\" entry in linux.namespaces\n");
}

fn wrong_names_of_devices_are_refused() {
    requires!(command("plan"));
    for (devices, error) in [
        (json!({ "a/b": {} }), "linux.netDevices.a/b: \"a/b\" is not a device name"),
        (
            json!({ "v0": { "name": "sixteen-bytes-xx" } }),
            "linux.netDevices.v0: \"sixteen-bytes-xx\" is not a device name",
        ),
        (
            json!({ "v0": { "name": "e" }, "v1": { "name": "e" } }),
            ".name: \"e\" is also the name of linux.netDevices.v",
        ),
        (json!({ "v0": { "name": 1 } }), "linux.netDevices.v0.name: invalid type: integer"),
    ] {
        with_devices(devices).assert_create_refused().assert_stderr_has(error);
    }
    let b = with_devices(json!({ "v0": { "name": "eth%d" } }));
    b.write();
    let text = rt(["plan", "--bundle", b.dir().to_str().unwrap()]).ok();
    let line = text.lines().find(|l| l.ends_with("linux.netDevices.v0")).expect("a line");
    assert!(line.contains("move v0 in as eth%d"), "{line}");
}
