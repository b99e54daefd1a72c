//! Published ports. The network namespace of the test is the host; servers are sockets of the test
//! in the container's namespace.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use runtime_tests::companion::{Root, assert_nothing_is_left, bundles, inspect, monitor};
use runtime_tests::inside::{echo, echo_datagrams, inside, serve};
use runtime_tests::prelude::*;

tests![
    companion_ports_lead_into_the_container,
    companion_ports_take_datagrams,
    companion_ports_pass_on_each_end_by_itself,
    companion_ports_lose_nothing_of_much,
    companion_ports_pass_on_a_reset,
    companion_ports_serve_many_at_once,
    companion_ports_wait_for_a_free_descriptor,
    companion_ports_name_who_has_them,
    companion_ports_of_all_forms_are_shown,
    companion_ports_are_of_the_address_asked_for,
    companion_ports_follow_the_container_to_another_network,
    companion_ports_reach_where_no_bridge_leads,
    companion_ports_end_with_the_monitor,
    companion_ports_that_cannot_be,
];

const PATIENCE: Duration = Duration::from_secs(10);

/// A container that does nothing, with ports.
fn idle(root: &Root, name: &str, flags: &[&str]) -> String {
    let call = root.call(&["run", "-d", "--stop-timeout", "0", "--name", name], flags, &[]);
    call.args(["sleep", "1000"]).ok().trim().to_owned()
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[track_caller]
fn assert_echoes(address: &str) {
    let mut stream = connect(address);
    stream.write_all(b"are you there?").unwrap();
    let mut answer = [0; 14];
    stream.read_exact(&mut answer).unwrap_or_else(|err| panic!("{address}: {err}"));
    assert_eq!(&answer, b"are you there?");
}

#[track_caller]
fn assert_refused(address: &str) {
    let err = TcpStream::connect(address).expect_err("nobody listens");
    assert_eq!(err.kind(), ErrorKind::ConnectionRefused, "{address}");
}

fn companion_ports_lead_into_the_container() {
    let root = Root::new();
    idle(&root, "web", &["-p", "8080:80", "-p", "127.0.0.1:8081:80"]);
    // Nobody listens inside yet: the connection ends, and the port goes on.
    let mut early = connect("127.0.0.1:8080");
    let err = early.read(&mut [0]).expect_err("a reset");
    assert_eq!(err.kind(), ErrorKind::ConnectionReset);
    let _server = serve("web", "0.0.0.0:80", |mut stream| {
        let peer = stream.peer_addr().unwrap();
        stream.write_all(peer.ip().to_string().as_bytes()).unwrap();
    });
    for address in ["127.0.0.1:8080", "[::1]:8080", "127.0.0.1:8081"] {
        let mut said = String::new();
        connect(address).read_to_string(&mut said).unwrap();
        assert_eq!(said, "172.17.0.1", "the host is the client");
    }
    assert_refused("[::1]:8081");
    bundles(["rm", "-f", "web"]).ok();
    assert_refused("127.0.0.1:8080");
    assert_nothing_is_left();
}

fn companion_ports_take_datagrams() {
    let root = Root::new();
    idle(&root, "dns", &["-p", "5300-5301:53-54/udp"]);
    let _server = echo_datagrams("dns", "0.0.0.0:54");
    let clients: Vec<UdpSocket> = (0..20)
        .map(|number| {
            let (own, port) = if number % 2 == 0 {
                ("127.0.0.1:0", "127.0.0.1:5301")
            } else {
                ("[::1]:0", "[::1]:5301")
            };
            let client = UdpSocket::bind(own).unwrap();
            client.connect(port).unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            client
        })
        .collect();
    for round in 0..3_u8 {
        for (number, client) in clients.iter().enumerate() {
            client.send(&[round, u8::try_from(number).unwrap()]).unwrap();
        }
        for (number, client) in clients.iter().enumerate() {
            let mut answer = [0; 8];
            let length = client.recv(&mut answer).expect("an answer");
            assert_eq!(answer[..length], [round, u8::try_from(number).unwrap()]);
        }
    }
    // An answer comes from where was asked, whatever else the host is called.
    let strict = UdpSocket::bind("127.0.0.1:0").unwrap();
    strict.connect("127.0.0.77:5301").unwrap();
    strict.set_read_timeout(Some(PATIENCE)).unwrap();
    strict.send(b"strict").unwrap();
    assert_eq!(strict.recv(&mut [0; 8]).expect("an answer"), 6);
    // As large as a datagram can be, and an empty one.
    let mut large = vec![7; 65_507];
    clients[0].send(&large).unwrap();
    assert_eq!(clients[0].recv(&mut large).expect("an answer"), 65_507);
    clients[0].send(&[]).unwrap();
    assert_eq!(clients[0].recv(&mut large).expect("an answer"), 0);
    // Nobody is at 53: that must not harm 54.
    let lost = UdpSocket::bind("127.0.0.1:0").unwrap();
    lost.send_to(b"x", "127.0.0.1:5300").unwrap();
    lost.send_to(b"x", "127.0.0.1:5300").unwrap();
    clients[0].send(b"again").unwrap();
    assert_eq!(clients[0].recv(&mut large).expect("an answer"), 5);
    bundles(["rm", "-f", "dns"]).ok();
}

fn companion_ports_pass_on_each_end_by_itself() {
    let root = Root::new();
    idle(&root, "web", &["-p", "8080:80", "-p", "8081:81"]);
    // It answers only when all has been said.
    let _server = serve("web", "0.0.0.0:80", |mut stream| {
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        thread::sleep(Duration::from_millis(50));
        write!(stream, "heard {said}").unwrap();
    });
    let mut client = connect("127.0.0.1:8080");
    client.write_all(b"all").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "heard all");
    // The other way round: it has said all, and still listens.
    let _other = serve("web", "0.0.0.0:81", |mut stream| {
        stream.write_all(b"go on").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert_eq!(said, "to the end");
        println!("the container heard it");
    });
    let mut client = connect("127.0.0.1:8081");
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "go on");
    client.write_all(b"to the end").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    bundles(["rm", "-f", "web"]).ok();
}

/// Bytes of which no two pieces are alike.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed | 1;
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state.to_le_bytes()[3])
    })
}

const MUCH: usize = 32 << 20;

fn companion_ports_lose_nothing_of_much() {
    let root = Root::new();
    idle(&root, "web", &["-p", "8080:80"]);
    let _server = serve("web", "0.0.0.0:80", echo);
    let client = connect("127.0.0.1:8080");
    let mut writer = client.try_clone().unwrap();
    let all: Vec<u8> = noise(4711).take(MUCH).collect();
    let copy = all.clone();
    let sender = thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    // Slow at first: whatever lies between fills up, and has to wait.
    thread::sleep(Duration::from_millis(300));
    let mut reader = client;
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).unwrap();
    sender.join().unwrap();
    assert!(answer == all, "{} of {MUCH} bytes came back as they were sent", answer.len());
    // What waits, waits in the kernel, and not in the monitor.
    let id = inspect("web")["Id"].as_str().unwrap().to_owned();
    let status = fs::read_to_string(format!("/proc/{}/status", monitor(&id))).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let peak: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 4096, "{peak} kB");
    bundles(["rm", "-f", "web"]).ok();
}

fn companion_ports_pass_on_a_reset() {
    let root = Root::new();
    idle(&root, "web", &["-p", "8080:80"]);
    let _server = serve("web", "0.0.0.0:80", |mut stream| {
        stream.write_all(b"half of").unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        // Closing it with something unread aborts the connection.
        thread::sleep(Duration::from_millis(50));
    });
    let mut client = connect("127.0.0.1:8080");
    client.write_all(b"more than four").unwrap();
    let mut said = Vec::new();
    let err = client.read_to_end(&mut said).expect_err("no regular end");
    assert_eq!(err.kind(), ErrorKind::ConnectionReset);
    bundles(["rm", "-f", "web"]).ok();
}

fn companion_ports_serve_many_at_once() {
    let root = Root::new();
    let id = idle(&root, "web", &["-p", "8080:80"]);
    let _server = serve("web", "0.0.0.0:80", echo);
    let before = descriptors(&id);
    let mut clients: Vec<TcpStream> = (0..200).map(|_| connect("127.0.0.1:8080")).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        writeln!(client, "client {number:04}").unwrap();
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let mut answer = [0; 12];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *format!("client {number:04}\n").as_bytes());
    }
    assert!(descriptors(&id) >= before + 400);
    drop(clients);
    // Before, it may not have noticed yet that `run` was gone.
    until("connections are given back", || (descriptors(&id) <= before).then_some(()));
    bundles(["rm", "-f", "web"]).ok();
}

/// Open files of a container's monitor.
fn descriptors(id: &str) -> usize {
    fs::read_dir(format!("/proc/{}/fd", monitor(id))).expect("the monitor").count()
}

/// The limits of open files: soft and hard.
fn limits(pid: impl std::fmt::Display) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).expect("limits");
    let line = text.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    line.split_whitespace().skip(3).take(2).collect::<Vec<_>>().join(" ")
}

fn companion_ports_wait_for_a_free_descriptor() {
    requires!(program("/usr/bin/prlimit"));
    let root = Root::new();
    let call = root.call(&["run", "-d", "--name", "web"], &["-p", "8080:80"], &["sleep", "1000"]);
    // Room for 7 connections, or for 14 with the limit raised.
    let id = call.through(["/usr/bin/prlimit", "--nofile=106:148"]).ok().trim().to_owned();
    let _server = serve("web", "0.0.0.0:80", echo);
    let mut clients: Vec<TcpStream> = (0..20).map(|_| connect("127.0.0.1:8080")).collect();
    for client in &mut clients {
        client.write_all(b"x").unwrap();
    }
    for client in &mut clients[..14] {
        client.read_exact(&mut [0]).unwrap();
    }
    let late = &mut clients[14];
    late.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let err = late.read(&mut [0]).expect_err("it waits");
    assert_eq!(err.kind(), ErrorKind::WouldBlock);
    assert_eq!(limits(monitor(&id)), "148 148");
    // A runtime in Go raises it itself.
    if runtime() != Runtime::Runc {
        assert_eq!(limits(inspect("web")["State"]["Pid"].as_u64().unwrap()), "106 148");
    }
    // Each that ends makes room for one that waits.
    drop(clients.drain(..14));
    for client in &mut clients {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.read_exact(&mut [0]).unwrap();
    }
    bundles(["rm", "-f", "web"]).ok();
}

fn companion_ports_name_who_has_them() {
    let root = Root::new();
    let own = TcpListener::bind("127.0.0.1:8080").unwrap();
    let comm = fs::read_to_string("/proc/self/comm").unwrap();
    let holder = format!("{} (pid {})", comm.trim(), std::process::id());
    let run = |flags: &[&str]| root.run(flags, &["true"]).output();
    let out = run(&["-p", "7000:1", "-p", "8080:80"]);
    out.assert_exit(125);
    assert_eq!(
        out.stderr(),
        format!(
            "bundles: publish 8080:80/tcp: port 8080/tcp of 0.0.0.0 is in use, by {holder}\n  \
             hint: publish another port of the host, or end that one\n"
        )
    );
    assert_nothing_is_left();
    // What was taken before that is free, and so is that port of another protocol.
    assert_refused("127.0.0.1:7000");
    idle(&root, "web", &["-p", "7000:1", "-p", "8080:80/udp"]);
    let out = run(&["-p", "127.0.0.1:7000:80"]);
    out.assert_exit(125);
    assert_eq!(
        out.stderr(),
        "bundles: publish 7000:80/tcp: port 7000/tcp of 127.0.0.1 is in use, by container web\n  \
         hint: publish another port of the host, or: bundles stop web\n"
    );
    let call = root.call(&["create", "--name", "late"], &["-p", "7000:1"], &["sleep", "1000"]);
    call.ok();
    let out = bundles(["start", "late"]).output();
    assert!(out.stderr().contains("in use, by container web"), "{}", out.stderr());
    bundles(["stop", "web"]).ok();
    bundles(["start", "late"]).ok();
    bundles(["rm", "-f", "web", "late"]).ok();
    drop(own);
    assert_nothing_is_left();
}

fn companion_ports_of_all_forms_are_shown() {
    let root = Root::new();
    let flags = ["-p", "5001-5003:80-82", "-p", "90", "--expose", "91/udp", "--expose", "92"];
    idle(&root, "web", &flags);
    let ports = || bundles(["ps", "--format", "{{.Ports}}"]).ok().trim().to_owned();
    let text = ports();
    let random = text.split(", ").find_map(|part| {
        part.strip_prefix("0.0.0.0:")?.strip_suffix("->90/tcp")?.parse::<u16>().ok()
    });
    let random = random.unwrap_or_else(|| panic!("{text}"));
    assert!(text.contains("0.0.0.0:5001-5003->80-82/tcp"), "{text}");
    assert!(text.contains("[::]:5001-5003->80-82/tcp"), "{text}");
    assert!(text.ends_with("92/tcp, 91/udp") || text.ends_with("91/udp, 92/tcp"), "{text}");
    assert_eq!(bundles(["port", "web", "81"]).ok(), "0.0.0.0:5002\n[::]:5002\n");
    let all = bundles(["port", "web"]).ok();
    assert!(all.contains("80/tcp -> 0.0.0.0:5001\n"), "{all}");
    let shown = inspect("web")["NetworkSettings"]["Ports"].clone();
    assert_eq!(shown["80/tcp"][0], json!({ "HostIp": "0.0.0.0", "HostPort": "5001" }));
    assert_eq!((&shown["92/tcp"], shown["92/tcp"].is_null()), (&Value::Null, true));
    let out = bundles(["port", "web", "92"]).output();
    out.assert_exit(1);
    assert_eq!(
        out.stderr(),
        "bundles: web: port 92 is not published\n  hint: bundles port web lists those that are\n"
    );
    for (filter, count) in
        [("publish=90", 1), ("publish=92", 0), ("expose=92", 1), ("expose=92/udp", 0)]
    {
        assert_eq!(bundles(["ps", "-q", "--filter", filter]).output().lines().len(), count);
    }
    // The kernel's choice stays over a new start.
    let _server = serve("web", "0.0.0.0:90", echo);
    assert_echoes(&format!("127.0.0.1:{random}"));
    bundles(["stop", "web"]).ok();
    assert_eq!(bundles(["ps", "-a", "--format", "{{.Ports}}"]).ok().trim(), "");
    assert_eq!(inspect("web")["NetworkSettings"]["Ports"], json!({}));
    bundles(["start", "web"]).ok();
    assert!(ports().contains(&format!("0.0.0.0:{random}->90/tcp")));
    bundles(["rm", "-f", "web"]).ok();
    // All that it exposes.
    idle(&root, "all", &["-P", "--expose", "80", "--expose", "81/udp"]);
    assert_eq!(bundles(["port", "all"]).output().lines().len(), 4);
    bundles(["rm", "-f", "all"]).ok();
}

fn companion_ports_are_of_the_address_asked_for() {
    let root = Root::new();
    idle(&root, "web", &["-p", "127.0.0.2:8080:80", "-p", "[::1]:8081:80"]);
    let _server = serve("web", "0.0.0.0:80", echo);
    assert_echoes("127.0.0.2:8080");
    assert_echoes("[::1]:8081");
    assert_refused("127.0.0.1:8080");
    assert_refused("127.0.0.1:8081");
    let own: SocketAddr = "127.0.0.1:8080".parse().unwrap();
    TcpListener::bind(own).expect("free for others");
    bundles(["rm", "-f", "web"]).ok();
}

fn companion_ports_follow_the_container_to_another_network() {
    let root = Root::new();
    bundles(["network", "create", "other"]).ok();
    idle(&root, "web", &["-p", "8080:80"]);
    let _server = serve("web", "0.0.0.0:80", echo);
    assert_echoes("127.0.0.1:8080");
    bundles(["network", "connect", "other", "web"]).ok();
    bundles(["network", "disconnect", "bridge", "web"]).ok();
    assert_echoes("127.0.0.1:8080");
    // On no network at all it is reached from inside.
    bundles(["network", "disconnect", "other", "web"]).ok();
    assert_echoes("127.0.0.1:8080");
    bundles(["rm", "-f", "web"]).ok();
}

fn companion_ports_reach_where_no_bridge_leads() {
    let root = Root::new();
    bundles(["network", "create", "--internal", "closed"]).ok();
    let mut servers = Vec::new();
    for (name, network, port, listen) in [
        ("one", "none", 8001, "127.0.0.1:80"),
        ("two", "closed", 8002, "0.0.0.0:80"),
        ("six", "none", 8003, "[::1]:80"),
    ] {
        idle(&root, name, &["--network", network, "-p", &format!("{port}:80")]);
        servers.push(serve(name, listen, echo));
        assert_echoes(&if name == "six" {
            format!("[::1]:{port}")
        } else {
            format!("127.0.0.1:{port}")
        });
    }
    idle(&root, "udp", &["--network", "none", "-p", "8004:80/udp"]);
    let _server = echo_datagrams("udp", "127.0.0.1:80");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send_to(b"x", "127.0.0.1:8004").unwrap();
    assert_eq!(client.recv(&mut [0; 4]).expect("an answer"), 1);
    bundles(["rm", "-f", "one", "two", "six", "udp"]).ok();
}

fn companion_ports_end_with_the_monitor() {
    let root = Root::new();
    let id = idle(&root, "web", &["-p", "8080:80", "-p", "90"]);
    let _server = serve("web", "0.0.0.0:80", echo);
    assert_echoes("127.0.0.1:8080");
    let ports = bundles(["port", "web"]).ok();
    kill(monitor(&id), Signal::SIGKILL).unwrap();
    until("nobody listens", || TcpStream::connect("127.0.0.1:8080").is_err().then_some(()));
    // The next command that looks starts another, which takes the same ports.
    assert_eq!(bundles(["port", "web"]).ok(), ports);
    assert_echoes("127.0.0.1:8080");
    // Unless they are taken meanwhile: the container goes on, and is reached from inside.
    kill(monitor(&id), Signal::SIGKILL).unwrap();
    until("nobody listens", || TcpStream::connect("127.0.0.1:8080").is_err().then_some(()));
    let own = TcpListener::bind("0.0.0.0:8080").unwrap();
    bundles(["ps"]).ok();
    let state = inspect("web")["State"].clone();
    assert_eq!(state["Status"], "running");
    let error = state["Error"].as_str().unwrap();
    assert!(error.contains("its ports are lost: publish 8080:80/tcp"), "{error}");
    inside("web", || TcpStream::connect("127.0.0.1:80")).expect("it still listens");
    bundles(["rm", "-f", "web"]).ok();
    drop(own);
    assert_nothing_is_left();
}

fn companion_ports_that_cannot_be() {
    let root = Root::new();
    idle(&root, "web", &[]);
    for (flags, error) in [
        (
            &["-p", "80:80/sctp"][..],
            "-p 80:80/sctp: sctp can't be published\n  hint: publish tcp or udp, or reach the \
             container by its address",
        ),
        (&["-p", "1-3:1-2"], "-p 1-3:1-2: 3 ports of the host and 2 of the container"),
        (&["-p", "80:1", "-p", "80:2"], "-p 80:2: another -p has that port of the host"),
        (
            &["-p", "192.0.2.1:80:80"],
            "publish 80:80/tcp: the host has no address 192.0.2.1\n  hint: `ip address` lists \
             those it has",
        ),
        (
            &["--network", "container:web", "-p", "80"],
            "-p: the container has the network of another one\n  hint: publish the port with that \
             one",
        ),
    ] {
        let out = root.run(flags, &["true"]).output();
        out.assert_exit(125);
        assert_eq!(out.stderr(), format!("bundles: {error}\n"));
    }
    let out = root.run(&["--network", "host", "-p", "80"], &["true"]).output();
    out.assert_exit(0);
    assert_eq!(
        out.stderr(),
        "bundles: -p has no effect: the container has the ports of the host\n"
    );
    bundles(["rm", "-f", "web"]).ok();
    assert_nothing_is_left();
    let out = bundles(["port", "web"]).output();
    assert!(out.stderr().starts_with("bundles: web: no such container\n"), "{}", out.stderr());
}
