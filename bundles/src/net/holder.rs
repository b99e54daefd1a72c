//! The namespaces of an ordinary user: one user namespace for his containers, and in it one network
//! namespace that is to them what the host is to those of root.
//!
//! Runs in: an ordinary process, under the lock `networks`, with one thread. Privilege: none but the
//! right to make user namespaces, and newuidmap(1) for ranges of ids.
//!
//! Both last as long as the holder, a process of this program which only waits. `networks/holder.json`
//! says which it is, and which way out it has. It is parked only after that was written, or it ends
//! with its maker: there is no holder that nobody knows of.

use super::enter;
use super::netlink::Socket;
use super::record::{Networks, forget, put};
use super::uplink;
use crate::error::OrHint as _;
use crate::process::Process;

use crate::users::{self, Maps};
use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sched::{CloneFlags, setns, unshare};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The names of this program when it is to be no command.
const HOLDER: &str = "bundles-networks";
pub(super) const UPLINK: &str = "bundles-uplink";
const FILE: &str = "holder.json";
/// The word for a user namespace of its own.
const FRESH: &str = "fresh";

/// Where bridges are.
#[derive(Debug)]
pub(crate) enum Place {
    /// Where this process is: root's.
    Here,
    Held(Held),
}

#[derive(Debug)]
pub(crate) struct Held {
    record: Record,
    net: File,
    /// This process came for one command only, and is no reason to keep the namespaces.
    is_guest: bool,
    /// With nothing in it yet.
    pub(crate) is_new: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    holder: Process,
    /// Device and inode of its user namespace.
    user: (u64, u64),
    uplink: Option<Process>,
    /// The want of a way out, which is told once.
    told: bool,
}

impl Place {
    /// Made when it is missing. An ordinary user's process is in its user namespace from now on.
    pub(crate) fn make(networks: &Networks<'_>) -> Result<Self> {
        if let Some(place) = Self::existing(networks)? {
            return Ok(place);
        }
        bury(networks)?;
        let old = read(networks)?;
        // Containers that have outlived their holder can be reached from their namespace only.
        let survivor = old.as_ref().and_then(|record| neighbours(record.user).next());
        let was_guest = match (&old, &survivor) {
            (Some(record), Some(pid)) => join(*pid, record.user)?,
            _ => true,
        };
        let record = start(networks, survivor.is_none())?;
        let joined = join(record.holder.pid, record.user)?;
        let net = File::open(namespace(record.holder.pid, "net")).context("holder")?;
        Ok(Self::Held(Held { record, net, is_guest: joined || was_guest, is_new: true }))
    }

    /// `None` when there is none any more, and with it nothing that was in it.
    pub(crate) fn existing(networks: &Networks<'_>) -> Result<Option<Self>> {
        let record = read(networks)?;
        if is_root(record.as_ref()) {
            return Ok(Some(Self::Here));
        }
        let Some(record) = record.filter(|record| record.holder.is_alive()) else {
            return Ok(None);
        };
        let is_guest = join(record.holder.pid, record.user)?;
        let net = File::open(namespace(record.holder.pid, "net")).context("holder")?;
        Ok(Some(Self::Held(Held { record, net, is_guest, is_new: false })))
    }

    /// For a process that is about to end, and had joined before.
    pub(crate) fn for_guest(mut self) -> Self {
        if let Self::Held(held) = &mut self {
            held.is_guest = true;
        }
        self
    }

    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        match self {
            Self::Here => work(),
            Self::Held(held) => enter::inside(&held.net, work),
        }
    }

    /// Starts the way out when it is missing.
    pub(crate) fn way_out(&mut self, networks: &Networks<'_>) -> Result<()> {
        let Self::Held(held) = self else { return Ok(()) };
        if held.record.uplink.as_ref().is_some_and(Process::is_alive) {
            return Ok(());
        }
        uplink::start(held.record.holder.pid, |process| {
            held.record.uplink = Some(process);
            write(networks, &held.record)
        })
    }

    /// The same. Returns what a person has to be told, which is told once only: containers reach
    /// each other without one.
    pub(crate) fn uplink(&mut self, networks: &Networks<'_>) -> Result<Option<String>> {
        let Err(err) = self.way_out(networks) else { return Ok(None) };
        let Self::Held(held) = self else { return Ok(None) };
        let is_told = std::mem::replace(&mut held.record.told, true);
        held.record.uplink = None;
        write(networks, &held.record)?;
        Ok((!is_told).then(|| crate::error::report(&err)))
    }

    /// When no container is on any network: ends the way out, and the holder, too, if no other
    /// process is in its user namespace.
    pub(crate) fn leave(self, networks: &Networks<'_>) -> Result<()> {
        let Self::Held(held) = self else { return Ok(()) };
        for network in networks.all()? {
            if !networks.endpoints(&network)?.is_empty() {
                return Ok(());
            }
        }
        if let Some(uplink) = &held.record.uplink {
            uplink.end()?;
        }
        let own = std::process::id().cast_signed();
        let holder = held.record.holder.pid;
        let others = || {
            let pids = neighbours(held.record.user);
            let pids = pids.filter(|pid| *pid != holder && !(held.is_guest && *pid == own));
            pids.filter_map(Process::of)
        };
        while let Some(other) = others().next() {
            // Who has left ends at once: two who end together must not leave the holder to nobody.
            if others().any(|process| !has_left(process.pid)) || !other.ends()? {
                return Ok(());
            }
        }
        held.record.holder.end()?;
        forget(&networks.directory, FILE)
    }

    /// Adds to an error what it means here.
    pub(crate) fn explain(&self, err: anyhow::Error) -> anyhow::Error {
        match self {
            Self::Here => super::attach::refused(
                err,
                "networks need root; run as root, or with --network host or none",
            ),
            Self::Held(_) => super::attach::refused(
                err,
                "only namespaces made below `bundles unshare` can be on an ordinary user's networks",
            ),
        }
    }
}

/// Whether the networks are root's. A process that has joined the holder is root there, too.
fn is_root(record: Option<&Record>) -> bool {
    let is_joined =
        |record: &Record| identity(Path::new("/proc/self/ns/user")) == Some(record.user);
    nix::unistd::geteuid().is_root() && !record.is_some_and(is_joined)
}

/// For questions only: nothing is made or joined.
pub(crate) fn is_ordinary(networks: &Networks<'_>) -> Result<bool> {
    Ok(!is_root(read(networks)?.as_ref()))
}

/// Whether the kernel has lost what was recorded of an ordinary user.
pub(crate) fn is_lost(networks: &Networks<'_>) -> Result<bool> {
    let record = read(networks)?;
    Ok(!is_root(record.as_ref()) && !record.is_some_and(|record| record.holder.is_alive()))
}

/// Ends the way out which a killed holder has left, and forgets the holder unless containers live in
/// its user namespace.
pub(crate) fn bury(networks: &Networks<'_>) -> Result<()> {
    let Some(record) = read(networks)? else { return forget(&networks.directory, FILE) };
    if record.holder.is_alive() {
        return Ok(());
    }
    if let Some(uplink) = &record.uplink {
        uplink.end()?;
    }
    match neighbours(record.user).next() {
        Some(_) => Ok(()),
        None => forget(&networks.directory, FILE),
    }
}

fn path(networks: &Networks<'_>) -> PathBuf {
    networks.directory.join(FILE)
}

/// `None`, too, when a power failure has cut it off.
fn read(networks: &Networks<'_>) -> Result<Option<Record>> {
    match fs::read(path(networks)) {
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err).context("holder.json"),
    }
}

fn write(networks: &Networks<'_>, record: &Record) -> Result<()> {
    let text = serde_json::to_vec_pretty(record).context("holder.json")?;
    put(&networks.directory, FILE, &text)
}

fn namespace(pid: i32, kind: &str) -> PathBuf {
    format!("/proc/{pid}/ns/{kind}").into()
}

fn identity(namespace: &Path) -> Option<(u64, u64)> {
    fs::metadata(namespace).ok().map(|found| (found.dev(), found.ino()))
}

/// Processes in a user namespace.
fn neighbours(user: (u64, u64)) -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(move |pid| identity(&namespace(*pid, "user")) == Some(user))
}

/// What a process calls itself that has looked for others in the user namespace, and is about to end.
const LEFT: &CStr = c"bundles-left";

/// To be called with the lock held.
pub(crate) fn say_goodbye() -> Result<()> {
    nix::sys::prctl::set_name(LEFT).context("prctl(PR_SET_NAME)")
}

fn has_left(pid: i32) -> bool {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.strip_suffix(b"\n") == Some(LEFT.to_bytes())
}

/// Moves this process into the user namespace of another. False when it is there already.
fn join(pid: i32, expected: (u64, u64)) -> Result<bool> {
    if identity(Path::new("/proc/self/ns/user")) == Some(expected) {
        return Ok(false);
    }
    let user = File::open(namespace(pid, "user")).with_context(|| format!("holder {pid}"))?;
    let found = user.metadata().context("fstat(user namespace)")?;
    ensure!((found.dev(), found.ino()) == expected, "holder {pid}: is in another namespace");
    setns(&user, CloneFlags::CLONE_NEWUSER)
        .with_context(|| format!("setns(user namespace of {pid}, CLONE_NEWUSER)"))?;
    Ok(true)
}

/// A new holder, in a user namespace of its own when it is `fresh`.
fn start(networks: &Networks<'_>, fresh: bool) -> Result<Record> {
    networks.home.make_room(); // on a full disk, too, an ordinary user's things can be looked at
    let mut command = itself(HOLDER);
    command.args(fresh.then_some(FRESH));
    let mut child = command.spawn().context("start the holder of networks")?;
    let started = guide(&mut child, networks, fresh);
    if started.is_err() {
        child.kill().ok(); // it may have ended itself
        child.wait().ok();
    }
    started
}

/// This program again, to be talked to by its standard streams.
pub(super) fn itself(name: &str) -> Command {
    let mut itself = Command::new("/proc/self/exe");
    itself.arg0(name).current_dir("/");
    itself.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    itself
}

fn guide(child: &mut Child, networks: &Networks<'_>, fresh: bool) -> Result<Record> {
    let pid = child.id().cast_signed();
    if fresh {
        hear(child)?;
        map(pid, &users::maps().context("internal error, please report: no ids")?)?;
        tell(child)?;
    }
    hear(child)?;
    let holder = Process::of(pid).context("the holder of networks is gone")?;
    let user = identity(&namespace(pid, "user")).context("the holder of networks is gone")?;
    let record = Record { holder, user, uplink: None, told: false };
    write(networks, &record)?;
    tell(child)?;
    Ok(record)
}

/// Waits for the next step of a child.
///
/// # Errors
/// What it said when it failed.
pub(super) fn hear(child: &mut Child) -> Result<()> {
    let from = child.stdout.as_mut().context("internal error, please report: no pipe")?;
    // It may go on to write, so that the end of file would be long in coming.
    if from.read(&mut [0; 32]).context("read(pipe)")? > 0 {
        return Ok(());
    }
    let mut said = String::new();
    if let Some(errors) = child.stderr.as_mut() {
        errors.read_to_string(&mut said).context("read(pipe)")?;
    }
    Err(complaint(&said))
}

/// Of what a program said the last line: of this one with its hint.
pub(crate) fn complaint(said: &str) -> anyhow::Error {
    // pasta says everything twice, and complains that the other way is not there.
    let mut lines = said.lines().rev().filter(|line| !line.ends_with("bytes to syslog"));
    let last = lines.next().unwrap_or("it has ended, and said nothing");
    let told = |line: &str| anyhow!("{}", line.trim_start_matches("bundles: "));
    let Some(hint) = last.strip_prefix("  hint: ") else { return told(last) };
    match Err::<(), _>(told(lines.next().unwrap_or_default())).hint(hint) {
        Err(err) => err,
        Ok(()) => told(last),
    }
}

/// Lets a child go on.
pub(super) fn tell(child: &mut Child) -> Result<()> {
    let to = child.stdin.as_mut().context("internal error, please report: no pipe")?;
    to.write_all(b"\n").context("write(pipe)")
}

fn map(pid: i32, maps: &Maps) -> Result<()> {
    if maps.uid.len() == 1 {
        let write = |file: &str, text: String| {
            let path = format!("/proc/{pid}/{file}");
            let opened = OpenOptions::new().write(true).open(&path);
            opened
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .with_context(|| format!("write {path}"))
        };
        let line = |map: &[(u32, u32, u32)]| {
            map.iter()
                .map(|(inside, outside, count)| format!("{inside} {outside} {count}"))
                .collect()
        };
        write("setgroups", "deny".to_owned())?;
        write("uid_map", line(&maps.uid))?;
        return write("gid_map", line(&maps.gid));
    }
    for (program, map) in [("newuidmap", &maps.uid), ("newgidmap", &maps.gid)] {
        let numbers = map.iter().flat_map(|(inside, outside, count)| [inside, outside, count]);
        let output = Command::new(program)
            .arg(pid.to_string())
            .args(numbers.map(u32::to_string))
            .output()
            .context(program)?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(anyhow!("{program}: {}", said.lines().next().unwrap_or("failed")))
                .hint("look at your lines of /etc/subuid and /etc/subgid");
        }
    }
    Ok(())
}

/// Whatever this process is to be, when it was started as a holder or a way out, until it fails.
/// `None` when it was not.
pub(crate) fn called() -> Option<anyhow::Error> {
    let mut args = std::env::args_os();
    let name = args.next()?;
    let done = match name.to_str()? {
        HOLDER => hold(args.next().is_some_and(|word| word == FRESH)),
        UPLINK => uplink::run(args.next()?.to_str()?, &PathBuf::from(args.next()?)),
        _ => return None,
    };
    let Err(err) = done;
    Some(err)
}

/// In a user namespace of its own when it is `fresh`.
fn hold(fresh: bool) -> Result<Infallible> {
    nix::unistd::setsid().context("setsid")?;
    nix::sys::prctl::set_name(c"bundles").context("prctl(PR_SET_NAME)")?; // or it would be "exe"
    if fresh {
        unshare(CloneFlags::CLONE_NEWUSER).context("unshare(CLONE_NEWUSER)").hint(
            "networks of ordinary users need user namespaces: have root see to \
             `sysctl user.max_user_namespaces` and the like, or use --network host or none",
        )?;
        next()?;
    }
    unshare(CloneFlags::CLONE_NEWNET).context("unshare(CLONE_NEWNET)")?;
    let socket = Socket::open()?;
    if let Some(loopback) = socket.link("lo")? {
        socket.up(loopback.index)?;
    }
    drop(socket);
    next()?;
    loop {
        nix::unistd::pause();
    }
}

/// Tells that a step is done, and waits for the word to go on.
///
/// # Errors
/// Whoever is to give it has ended.
pub(super) fn next() -> Result<()> {
    let mut out = io::stdout();
    out.write_all(b"\n").and_then(|()| out.flush()).context("write(pipe)")?;
    let read = io::stdin().read(&mut [0]).context("read(pipe)")?;
    ensure!(read == 1, "the command that wanted networks has ended");
    Ok(())
}

/// `bundles unshare`: becomes another program.
pub(crate) fn run(home: &crate::home::Home, args: &crate::cli::unshare::Unshare) -> Result<()> {
    let networks = Networks::lock(home)?;
    let place = super::attach::place(&networks)?;
    let Place::Held(held) = &place else {
        return Err(anyhow!("unshare is for ordinary users, and this is root"))
            .hint("run the command as it is");
    };
    if args.network {
        setns(&held.net, CloneFlags::CLONE_NEWNET).context("setns(CLONE_NEWNET)")?;
    }
    drop(networks);
    let err = Command::new(&args.command).args(&args.arguments).exec();
    Err(err).with_context(|| args.command.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_passed_on() {
        let told = |said: &str| crate::error::report(&complaint(said));
        assert_eq!(told("bundles: no: EPERM\n  hint: do\n"), "bundles: no: EPERM\n  hint: do\n");
        assert_eq!(told("first\nlast\nFailed to send 4 bytes to syslog\n"), "bundles: last\n");
        assert_eq!(told(""), "bundles: it has ended, and said nothing\n");
    }
}
