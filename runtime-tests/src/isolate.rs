//! Private namespaces around every test, so that whatever it starts dies with it.
//!
//! Three processes: *outer* (the runner's child) makes the namespaces, *supervisor* is pid 1 in
//! them and checks for leaks, *test* runs the test function. Privilege: root, or an ordinary user
//! who becomes root of a user namespace.
#![expect(unsafe_code, reason = "fork(2) and the loopback ioctl")]

use std::cell::Cell;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getgid, getuid};

use crate::leaks::{self, Before};
use crate::outcome::MARK;

/// Which cgroups the test sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// As the host has them.
    Host,
    /// cgroup v2 mounted over /sys/fs/cgroup, in the test's mount namespace only.
    V2,
    /// As the host has them, and made by systemd. Its processes are in the pid namespace of the
    /// host, since systemd is told their pids.
    Systemd,
}

/// The view, from `RT_TEST_VIEW`.
pub fn view() -> View {
    match std::env::var("RT_TEST_VIEW").as_deref() {
        Ok("v2") => View::V2,
        Ok("systemd") => View::Systemd,
        _ => View::Host,
    }
}

/// Whether an ordinary user started the runner, from `RT_TEST_ROOTLESS`.
pub fn rootless() -> bool {
    std::env::var_os("RT_TEST_ROOTLESS").is_some()
}

/// Unique to this run of this test; part of every container id and cgroup path of it.
pub fn tag() -> String {
    std::env::var("RT_TEST_TAG").unwrap_or_else(|_| format!("rtt{}", std::process::id()))
}

/// A tmpfs that lives as long as the test.
pub fn scratch() -> PathBuf {
    PathBuf::from("/run/t")
}

/// What the tests pass as `--root`.
pub fn state_root() -> PathBuf {
    scratch().join("root")
}

/// A container id that nothing else on this machine uses.
pub fn new_id() -> String {
    thread_local!(static NEXT: Cell<u32> = const { Cell::new(1) });
    let n = NEXT.replace(NEXT.get() + 1);
    format!("{}-{n}", tag())
}

/// Gives this process, and what it starts, a new session keyring; returns its serial number.
pub fn new_session_keyring() -> i64 {
    const KEYCTL_JOIN_SESSION_KEYRING: i32 = 1;
    // SAFETY: keyctl(2) with a number and a null pointer for "no name".
    let serial = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0) };
    assert!(serial > 0, "keyctl: {}", std::io::Error::last_os_error());
    serial
}

/// Runs `test` in fresh namespaces; returns the exit code for the runner.
pub fn run(test: fn()) -> i32 {
    enter_namespaces();
    // SAFETY: the runner's child has one thread.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Parent { child } => exit_code(wait_for(child)),
        ForkResult::Child => {
            // The runner kills outer when a test takes too long: everything must go with it.
            // SAFETY: prctl(2) with numbers.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            // What pid 1 of a namespace is by itself.
            // SAFETY: prctl(2) with numbers.
            unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
            furnish();
            std::process::exit(supervise(test))
        }
    }
}

fn enter_namespaces() {
    let mut flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    if view() != View::Systemd {
        flags |= CloneFlags::CLONE_NEWPID;
    }
    let (uid, gid) = (getuid(), getgid());
    if rootless() {
        flags |= CloneFlags::CLONE_NEWUSER;
        if view() == View::V2 {
            // cgroup2 can be mounted by an ordinary user only in a cgroup namespace of his own.
            flags |= CloneFlags::CLONE_NEWCGROUP;
        }
    }
    unshare(flags).expect("unshare the test's namespaces");
    if rootless() {
        // user_namespaces(7): an ordinary user may write gid_map only after this.
        fs::write("/proc/self/setgroups", "deny").expect("setgroups");
        fs::write("/proc/self/uid_map", format!("0 {uid} 1")).expect("uid_map");
        fs::write("/proc/self/gid_map", format!("0 {gid} 1")).expect("gid_map");
    }
}

/// Mounts and devices of the private namespaces.
fn furnish() {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("make / private");
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none).expect("mount /proc");
    let kept = if view() == View::Systemd { keep() } else { Vec::new() };
    mount(Some("run"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
        .expect("mount /run");
    for (at, fd) in kept {
        let is_dir = fd.metadata().expect("stat").is_dir();
        let parent = std::path::Path::new(at).parent().expect("a parent");
        fs::create_dir_all(parent).expect("make a mount point's parent");
        let made = if is_dir { fs::create_dir(at) } else { fs::write(at, "") };
        made.expect("make a mount point");
        let from = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
        mount(Some(from.as_str()), at, none, bind, none).expect("bind below /run");
    }
    if view() == View::V2 {
        mount(Some("cgroup2"), "/sys/fs/cgroup", Some("cgroup2"), MsFlags::empty(), none)
            .expect("mount cgroup2 over /sys/fs/cgroup");
    }
    fs::create_dir(scratch()).expect("make the scratch directory");
    std::env::set_current_dir(scratch()).expect("enter the scratch directory");
    loopback_up();
}

/// Where the view `systemd` has the host's /run/user: the usual place belongs to the tests.
pub const LOGGED_IN: &str = "/run/logged-in";

/// What systemd has below /run, before something is mounted over it.
fn keep() -> Vec<(&'static str, fs::File)> {
    let path_only = |(from, at): (&'static str, &'static str)| {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        Some((at, fs::File::from(open(from, flags, Mode::empty()).ok()?)))
    };
    let same = |at| (at, at);
    let all = ["/run/systemd/private", "/run/systemd/system", "/run/dbus"].map(same);
    all.into_iter().chain([("/run/user", LOGGED_IN)]).filter_map(path_only).collect()
}

fn loopback_up() {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("socket");
    // SAFETY: ifreq is integers and a union of them; all zero is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l'.cast_signed();
    request.ifr_name[1] = b'o'.cast_signed();
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or(0);
    // SAFETY: request is a whole ifreq that outlives the call.
    let ret =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
    assert_eq!(ret, 0, "bring lo up: {}", std::io::Error::last_os_error());
}

/// Pid 1: starts the test, reaps what is reparented to it, then looks for leaks.
fn supervise(test: fn()) -> i32 {
    let before = Before::record();
    // SAFETY: one thread.
    let child = match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            // SAFETY: prctl(2) with numbers.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            std::process::exit(run_test(test))
        }
        ForkResult::Parent { child } => child,
    };
    let code = exit_code(wait_for(child));
    let leaks = before.leaks();
    for leak in &leaks {
        println!("{MARK}leak {leak}");
    }
    crate::cgroups::sweep(&tag());
    leaks::end_processes();
    if leaks.is_empty() || code != 0 { code } else { 1 }
}

fn run_test(test: fn()) -> i32 {
    let before = leaks::fds();
    test();
    let after = leaks::fds();
    let mut code = 0;
    for fd in after.difference(&before) {
        println!("{MARK}leak fd of the test process: {fd}");
        code = 1;
    }
    code
}

/// Waits for `child`, reaping whatever else ends meanwhile.
fn wait_for(child: Pid) -> WaitStatus {
    loop {
        match waitpid(None, None) {
            Ok(status) if status.pid() == Some(child) => return status,
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => panic!("waitpid: {errno}"),
        }
    }
}

/// Reaps all zombies there are, without waiting.
pub fn reap() {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            return;
        }
    }
}

fn exit_code(status: WaitStatus) -> i32 {
    if let WaitStatus::Exited(_, code) = status {
        return code;
    }
    println!("the test process ended by {status:?}");
    128
}
