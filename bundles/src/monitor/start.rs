//! From a record to a running container, and from a running container to its streams.
//!
//! Runs in: the monitor, in the container's directory.

use super::checkup::Checkup;
use super::ports::{Ports, descriptors};
use super::streams::{self, Streams};
use super::{cgroup, keeper};
use crate::container::{self, Container, Record, Root, State, Status};
use crate::events::{self, Event};
use crate::home::Home;
use crate::joins;
use crate::links;
use crate::mountpoints;
use crate::networking::{self, Who};
use crate::overlay;
use crate::process::Process;
use crate::runtime::{self, Runtime};
use crate::store::Store;
use anyhow::{Context as _, Result};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A container's life from one start to its end, from outside.
pub(super) struct Life {
    pub(super) pid: Pid,
    /// Of one whose parent, another monitor, was killed: it says when it ends, but not how.
    pub(super) orphan: Option<OwnedFd>,
    pub(super) streams: Streams,
    /// Where the kernel counts the processes which it has killed for want of memory.
    pub(super) oom: Option<PathBuf>,
    pub(super) ports: Option<Ports>,
    pub(super) checkup: Option<Checkup>,
    pub(super) begun: Instant,
}

/// Rows and columns of whoever looks on first.
pub(super) type Size = Option<(u16, u16)>;

/// Starts it; the caller holds the lock. After a failure the record says why, or is gone.
pub(super) fn start(
    home: &Home,
    container: &mut Container,
    runtime: &Runtime,
    size: Size,
    lock: &container::Lock,
) -> Result<Life> {
    let id = container.record.id.clone();
    if runtime.has(&id) {
        runtime.delete(&id).ok(); // what a killed monitor or a reboot has left
    }
    networking::leave(home, &id)?;
    let monitor = Process::of(std::process::id().cast_signed());
    let restart_count = container.record.state.restart_count;
    container.record.state = State { monitor, restart_count, ..State::default() };
    let started = mount_root(home, &container.record)
        .and_then(|()| create_and_start(home, container, runtime, size));
    if let Err(err) = &started {
        home.make_room(); // the disk may be full
        if runtime.has(&id) {
            runtime.delete(&id).ok(); // the first error is the one worth telling
        }
        networking::leave(home, &id).ok();
        unmount_root(&container.record);
        let text = crate::error::chain(err);
        let exit_code = Some(runtime::exit_code_of(&text));
        let state = State { exit_code, error: Some(text), restart_count, ..State::default() };
        container.record.state = state;
        if container.record.remove {
            container.remove(home, lock)?;
        } else {
            container.save()?;
        }
        home.keep_reserve();
    }
    started
}

/// Puts the files of its image in their place, for this process and the container.
fn mount_root(home: &Home, record: &Record) -> Result<()> {
    let Root::Image { layers, .. } = &record.root else { return Ok(()) };
    let store = Store::open(home)?;
    let layers = mountpoints::layers_below(&store, Path::new("."), layers);
    overlay::leave_mounts()?;
    let (files, work) = (Path::new(overlay::UPPER), Path::new(overlay::WORK));
    let upper = overlay::Upper { files, work, volatile: record.remove };
    overlay::mount_layers(&layers, Some(&upper), Path::new(overlay::ROOTFS))
}

/// Its directory can be removed then.
pub(super) fn unmount_root(record: &Record) {
    if record.image_id().is_some() {
        overlay::unmount(Path::new(overlay::ROOTFS));
    }
}

fn create_and_start(
    home: &Home,
    container: &mut Container,
    runtime: &Runtime,
    size: Size,
) -> Result<Life> {
    descriptors::restore();
    let record = &mut container.record;
    let shared = joins::prepare(home, record)?;
    links::prepare(home, record)?;
    let mut ports = Ports::open(home, record)?;
    let mut create = runtime.command(["create", "--bundle", ".", "--pid-file", "pid"]);
    // A runtime may leave to the container what is blocked here. Who ends meanwhile is asked for
    // before anything is waited for.
    let mask = SigSet::from(Signal::SIGCHLD);
    mask.thread_unblock().context("unblock SIGCHLD")?;
    let streams = if record.tty {
        let console = streams::Console::listen()?;
        create.args(["--console-socket", streams::CONSOLE]).arg(&record.id);
        runtime.run(&mut create)?;
        console.streams()?
    } else {
        let (streams, inside) = streams::pipes(record.interactive)?;
        create.arg(&record.id).stdin(inside.stdin).stdout(inside.stdout).stderr(inside.stderr);
        runtime.run(&mut create)?;
        streams
    };
    mask.thread_block().context("block SIGCHLD")?;
    drop(create); // and with it our copies of the container's ends
    drop(shared);
    let text = std::fs::read_to_string("pid").context("pid file")?;
    let pid: i32 = text.trim().parse().context("pid file")?;
    record.state.status = Status::Starting;
    record.state.process = Process::of(pid);
    container.save()?;
    let oom = cgroup::oom_counter(pid);
    let pid = Pid::from_raw(pid);
    if let Some(input) = &streams.input {
        keeper::start(input, pid)?;
    }
    let Record { id, name, network, .. } = &mut container.record;
    networking::join(home, &container.dir, Who { id, name }, network, pid.as_raw())?;
    if let Some(ports) = &mut ports {
        ports.lead_to(pid.as_raw());
    }
    if let Some((rows, columns)) = size {
        streams.resize(rows, columns); // before it looks
    }
    let checkup = Checkup::new(&container.record, true)?;
    runtime.run(&mut runtime.command(["start", &container.record.id]))?;
    is_running(container)?;
    let mut begun = networking::events(home, &container.record, "connect");
    begun.extend(Event::of_volumes(&container.record, "mount"));
    begun.push(Event::container(&container.record, "start"));
    events::note_all(home, begun);
    Ok(Life { pid, orphan: None, streams, oom, ports, checkup, begun: Instant::now() })
}

fn is_running(container: &mut Container) -> Result<()> {
    container.record.state.status = Status::Running;
    container.record.state.started = Some(container::now());
    container.save()
}

/// Takes over one whose monitor was killed; the caller holds the lock.
pub(super) fn adopt(home: &Home, container: &mut Container, runtime: &Runtime) -> Result<Life> {
    let process = container.record.state.process.as_ref().context("no process")?;
    let pid = Pid::from_raw(process.pid);
    let orphan = Some(keeper::pidfd(pid.as_raw())?);
    let streams = streams::reopened(&container.record).unwrap_or_else(|err| {
        let text = format!("its monitor was killed, and its streams are lost: {err:#}");
        container.record.state.error = Some(text);
        Streams::none()
    });
    let mut ports = Ports::open(home, &mut container.record).unwrap_or_else(|err| {
        let text = format!("its monitor was killed, and its ports are lost: {err:#}");
        container.record.state.error = Some(text);
        None
    });
    if let Some(ports) = &mut ports {
        ports.lead_to(pid.as_raw());
    }
    container.record.state.monitor = Process::of(std::process::id().cast_signed());
    if container.record.state.status == Status::Starting {
        // A runtime that had been told to start it may have done so.
        let id = container.record.id.clone();
        if runtime.status(&id)? == "created" {
            runtime.run(&mut runtime.command(["start", &id]))?;
        }
        is_running(container)?;
    } else {
        container.save()?;
    }
    let oom = cgroup::oom_counter(pid.as_raw());
    let checkup = Checkup::new(&container.record, false)?;
    Ok(Life { pid, orphan, streams, oom, ports, checkup, begun: Instant::now() })
}
