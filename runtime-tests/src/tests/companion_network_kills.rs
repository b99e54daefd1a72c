//! `bundles network`, killed at any instant: all or nothing stays, and the next command tidies up.

use std::fs;

use runtime_tests::isolate::scratch;
use runtime_tests::poll::until;
use runtime_tests::prelude::*;
use runtime_tests::space::{Space, say};

use super::companion_networks::{assert_as_before, members, network, outside, prepared, state};

tests![
    connect_killed_at_any_instant_leaves_nothing,
    disconnect_killed_at_any_instant_leaves_nothing,
    connect_killed_at_each_step_leaves_nothing,
    disconnect_killed_at_each_step_is_finished_by_the_next,
    firewall_program_of_a_killed_command_is_waited_for,
    create_and_rm_killed_at_any_instant_leave_all_or_nothing,
];

/// How long a call takes that nobody kills, in microseconds, and a third more.
pub(super) fn whole(call: Call) -> u64 {
    let start = std::time::Instant::now();
    call.ok();
    u64::try_from(start.elapsed().as_micros()).unwrap() * 4 / 3
}

/// Different instants in each run; the test prints them.
pub(super) fn instants(count: u32, longest_us: u64) -> impl Iterator<Item = std::time::Duration> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let mut x = u64::from(now.subsec_nanos()) | 1;
    (0..count).map(move |_| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        let at = std::time::Duration::from_micros(x % longest_us);
        println!("killed after {at:?}");
        at
    })
}

pub(super) fn kill_after(call: Call, at: std::time::Duration) {
    let running = call.spawn();
    std::thread::sleep(at);
    running.signal(nix::sys::signal::Signal::SIGKILL);
    running.wait();
}

fn connect_killed_at_any_instant_leaves_nothing() {
    prepared();
    network("ls").ok();
    let before = state();
    let space = Space::new();
    network("create net").ok();
    let longest = whole(network(&format!("connect net {}", space.target())));
    space.disconnect("net").ok();
    network("rm net").ok();
    for at in instants(40, longest) {
        network("create --subnet 10.77.0.0/24 net").ok();
        kill_after(network(&format!("connect net {}", space.target())), at);
        if network("rm net").output().code != 0 {
            // It was done before it was killed.
            assert_eq!(members("net"), 1);
            space.disconnect("net").ok();
            network("rm net").ok();
        }
        assert_as_before(&before);
        assert_eq!(space.run("ip -o link").lines().count(), 1, "the loopback");
    }
}

/// Kills a call at the first, the second, ... of its system calls `name`, until it gets to its end.
/// nft(8) is not traced: it works on when its parent has been killed.
fn kill_at_each(name: &str, mut prepare: impl FnMut() -> Call, mut check: impl FnMut(bool)) {
    for number in 1.. {
        let inject = format!("inject={name}:signal=KILL:when={number}");
        let call = prepare();
        println!("killed at {name} number {number}");
        let strace = ["strace", "-qq", "-o", "/dev/null", "-e", &inject];
        let code = call.through(strace).output().code;
        assert!(code == 0 || code == 1009, "exit code {code}");
        check(code == 0);
        if code == 0 {
            assert!(number > 1, "it makes no call {name}");
            return;
        }
    }
}

fn connect_killed_at_each_step_leaves_nothing() {
    prepared();
    requires!(program("/usr/bin/strace"));
    network("ls").ok();
    let before = state();
    let space = Space::new();
    let prepare = || {
        network("create --subnet 10.77.0.0/24 net").ok();
        network(&format!("connect net {}", space.target()))
    };
    for name in ["sendto", "rename", "unlink", "flock", "wait4"] {
        kill_at_each(name, prepare, |is_done| {
            if network("rm net").output().code != 0 {
                // The last step was done, and only the end was not.
                assert_eq!(members("net"), 1);
                space.disconnect("net").ok();
                network("rm net").ok();
            } else {
                assert!(!is_done, "connected, and not recorded");
            }
            assert_as_before(&before);
            assert_eq!(space.run("ip -o link").lines().count(), 1, "the loopback");
        });
    }
}

fn disconnect_killed_at_each_step_is_finished_by_the_next() {
    prepared();
    requires!(program("/usr/bin/strace"));
    let outside = outside();
    network("create net").ok();
    network("create -d macvlan -o parent=up0 --subnet 198.51.100.0/24 wire").ok();
    let before = state();
    let (space, other) = (Space::new(), Space::new());
    for (net, names) in [
        ("net", ["sendto", "rename", "unlink"].as_slice()),
        ("wire", ["sendto", "rename"].as_slice()),
    ] {
        let prepare = || {
            space.connect(net).ok();
            network(&format!("disconnect {net} {}", space.target()))
        };
        for name in names {
            kill_at_each(name, prepare, |_| {
                other.connect("net").ok();
                other.disconnect("net").ok();
                if members(net) == 1 {
                    space.disconnect(net).ok();
                }
                assert_as_before(&before);
                assert_eq!(space.run("ip -o link").lines().count(), 1, "the loopback");
            });
        }
    }
    drop(outside);
}

fn disconnect_killed_at_any_instant_leaves_nothing() {
    prepared();
    network("create net").ok();
    let before = state();
    let (space, other) = (Space::new(), Space::new());
    space.connect("net").ok();
    let longest = whole(network(&format!("disconnect net {}", space.target())));
    for at in instants(25, longest) {
        space.connect("net").ok();
        other.connect("net").ok();
        kill_after(network(&format!("disconnect net {}", space.target())), at);
        // Whatever comes next finishes it.
        network(&format!("disconnect net {}", other.target())).ok();
        if members("net") == 1 {
            space.disconnect("net").ok();
        }
        assert_as_before(&before);
        assert_eq!(space.run("ip -o link").lines().count(), 1, "the loopback");
    }
}

/// Its rules must not come after those of the next command.
fn firewall_program_of_a_killed_command_is_waited_for() {
    prepared();
    let before = state();
    let slow = scratch().join("slow");
    fs::create_dir(&slow).unwrap();
    let started = scratch().join("started");
    let script = format!(
        "#!/bin/sh\ntext=$(cat \"$2\")\n: >{}\nsleep 0.7\necho \"$text\" | /usr/sbin/nft -f -\n",
        started.display()
    );
    fs::write(slow.join("nft"), script).unwrap();
    say("chmod", "755 /run/t/slow/nft");
    let path = format!("{}:{}", slow.display(), std::env::var("PATH").unwrap());
    network("create net").ok();
    let space = Space::new();
    let running = network(&format!("connect net {}", space.target())).env("PATH", &path).spawn();
    until("nft to be started", || started.exists().then_some(()));
    running.signal(nix::sys::signal::Signal::SIGKILL);
    running.wait();
    network("rm net").ok();
    assert_as_before(&before);
    // Long enough for one that was not waited for.
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_as_before(&before);
}

fn create_and_rm_killed_at_any_instant_leave_all_or_nothing() {
    prepared();
    let longest = whole(network("create net"));
    network("rm net").ok();
    for (round, at) in instants(40, longest).enumerate() {
        if round % 2 == 0 {
            kill_after(network("create net"), at);
        } else {
            network("rm -f net").output().assert_exit(0);
            network("create net").ok();
            kill_after(network("rm net"), at);
        }
        let there = network("ls -q -f name=^net$").output().lines().len();
        let known = network("inspect net").output();
        assert_eq!(known.json().as_array().unwrap().len(), there);
        network("rm -f net").output().assert_exit(0);
        network("create --subnet 172.18.0.0/16 net").ok();
        network("rm net").ok();
    }
}
