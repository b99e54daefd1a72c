//! The test itself as a server in a container's network: sockets of std, made over there.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use crate::companion::inspect;

/// What `make` returns, made in the network namespace of a container.
pub fn inside<T: Send>(container: &str, make: impl FnOnce() -> T + Send) -> T {
    let pid = inspect(container)["State"]["Pid"].as_u64().expect("it runs");
    let namespace = File::open(format!("/proc/{pid}/ns/net")).expect("its namespace");
    let enter = || {
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("setns");
        make()
    };
    thread::scope(|scope| scope.spawn(enter).join()).expect("a thread")
}

/// A server that ends with the value, when its clients have gone.
pub struct Server {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn new(work: impl FnOnce(&AtomicBool) + Send + 'static) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ends);
        Self { ends, thread: Some(thread::spawn(move || work(&seen))) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok(); // its panic was printed
        }
    }
}

/// How often a server looks whether it is to end.
const STEP: Duration = Duration::from_millis(5);
/// How long a peer may say nothing.
const QUIET: Duration = Duration::from_secs(10);

/// A TCP server at `address` of the container: each connection is given to `serve` in a thread.
#[must_use]
pub fn serve(container: &str, address: &str, serve: fn(TcpStream)) -> Server {
    let listener = inside(container, || TcpListener::bind(address).expect("bind"));
    listener.set_nonblocking(true).expect("fcntl");
    Server::new(move |ends| {
        let mut threads = Vec::new();
        while !ends.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).expect("fcntl");
                    // A network that goes away may take the end of a connection with it.
                    stream.set_read_timeout(Some(QUIET)).expect("setsockopt");
                    threads.push(thread::spawn(move || serve(stream)));
                }
                Err(_) => thread::sleep(STEP),
            }
        }
        for thread in threads {
            thread.join().ok(); // its panic was printed
        }
    })
}

/// Says back what it hears.
pub fn echo(mut stream: TcpStream) {
    let mut bytes = [0; 1 << 16];
    while let Ok(length @ 1..) = stream.read(&mut bytes) {
        if stream.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
}

/// The same by datagrams.
#[must_use]
pub fn echo_datagrams(container: &str, address: &str) -> Server {
    let socket = inside(container, || UdpSocket::bind(address).expect("bind"));
    socket.set_read_timeout(Some(STEP)).expect("setsockopt");
    Server::new(move |ends| {
        let mut bytes = [0; 1 << 16];
        while !ends.load(Ordering::Relaxed) {
            if let Ok((length, from)) = socket.recv_from(&mut bytes) {
                socket.send_to(&bytes[..length], from).ok();
            }
        }
    })
}
