//! Cgroups made by systemd: a transient scope for each container.
//!
//! Runs in: parent. Privilege: root for the system's manager, else the user's own manager.
//! See org.freedesktop.systemd1(5) and systemd's "Control Group APIs and Delegation".

mod bus;

use super::Host;
use super::v2::{Dir, open_root};
use crate::error::OrHint as _;
use crate::launch;
use crate::plan::cgroup::systemd::{Properties, Unit, Value};
use crate::sys::clone;
use anyhow::{Context as _, Result, anyhow};
use bus::{Arg, Connection, Refused, first_text, variant_text};
use nix::sched::CloneFlags;
use nix::unistd::Pid;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

const MANAGER: &str = "/org/freedesktop/systemd1";
const INTERFACE: &str = "org.freedesktop.systemd1.Manager";

/// Whose systemd it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Manager {
    System,
    User,
}

/// A unit and who has it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct UnitName {
    pub(crate) manager: Manager,
    pub(crate) name: String,
}

impl Manager {
    /// Where it listens, to those who may command it only.
    pub(crate) fn socket(self) -> PathBuf {
        match self {
            Self::System => PathBuf::from("/run/systemd/private"),
            Self::User => {
                let usual = || format!("/run/user/{}", nix::unistd::geteuid()).into();
                let dir = std::env::var_os("XDG_RUNTIME_DIR").unwrap_or_else(usual);
                PathBuf::from(dir).join("systemd/private")
            }
        }
    }

    fn connect(self) -> Result<Connection> {
        let socket = self.socket();
        ensure_running(&socket)?;
        Connection::open(&socket)
    }

    fn slice(self) -> &'static str {
        match self {
            Self::System => "system.slice",
            Self::User => "user.slice",
        }
    }
}

fn ensure_running(socket: &Path) -> Result<()> {
    if socket.exists() {
        return Ok(());
    }
    Err(anyhow!("systemd does not manage this host: there is no {}", socket.display())).hint(
        "use --cgroup-manager cgroupfs, and in an engine the cgroup manager or driver \"cgroupfs\"; \
         as an ordinary user log in, so that systemd runs a manager for you",
    )
}

/// A unit whose cgroup is there. systemd wants a process in it from the start; ours does nothing,
/// and ends when the container's process is in.
pub(crate) struct Started {
    unit: UnitName,
    /// Of its cgroup, in v2.
    path: PathBuf,
    holder: Option<Holder>,
}

impl Started {
    /// Makes the unit and waits until it is active.
    pub(crate) fn new(manager: Manager, unit: &Unit, host: &Host) -> Result<Self> {
        let point = &host.mount()?.point;
        let mut connection = manager.connect()?;
        let mut properties = unit.properties.clone();
        // A slice has its place by its name, and no processes.
        let mut holder = None;
        if !is_slice(&unit.name) {
            let slice = unit.slice.as_deref().unwrap_or(manager.slice());
            properties.push(("Slice".to_owned(), Value::Text(slice.to_owned())));
            let (pid, pidfd) = clone::holder(CloneFlags::empty())?;
            holder = Some(Holder { pid, pidfd });
            properties
                .push(("PIDs".to_owned(), Value::Numbers(vec![pid.as_raw().cast_unsigned()])));
        }
        let args = [
            Arg::Text(&unit.name),
            Arg::Text("replace"),
            Arg::Properties(&properties),
            Arg::NoUnits,
        ];
        let method = "StartTransientUnit";
        let mut job = connection.call(MANAGER, INTERFACE, method, &args);
        // One that has failed stays known until it is reset; one that runs is somebody else's.
        if job.as_ref().is_err_and(|err| is(err, "UnitExists"))
            && reset(&mut connection, &unit.name)
        {
            job = connection.call(MANAGER, INTERFACE, method, &args);
        }
        let job = job.or_else(|err| explain_start(&unit.name, err))?;
        let name = UnitName { manager, name: unit.name.clone() };
        let mut started = Self { unit: name, path: PathBuf::new(), holder };
        let group = finish(&mut connection, &job, &unit.name, "start")
            .and_then(|()| control_group(&mut connection, &unit.name));
        match group {
            Ok(group) => {
                started.path = point.join(group.trim_start_matches('/'));
                Ok(started)
            }
            Err(err) => Err(match started.stop() {
                Ok(()) => err,
                Err(more) => err.context(format!("and then: {more:#}")),
            }),
        }
    }

    pub(crate) fn unit(&self) -> &UnitName {
        &self.unit
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// One more level below the scope. Only leaves have processes, so the holder goes there, too.
    pub(crate) fn descend(&mut self, name: &str) -> Result<()> {
        self.path.push(name);
        let path = &self.path;
        std::fs::create_dir(path)
            .map_err(|err| crate::config::io(&err))
            .with_context(|| format!("mkdir({})", path.display()))?;
        if let Some(holder) = &self.holder {
            let fd = open_root(path)?;
            Dir { fd: fd.as_fd(), path }.write("cgroup.procs", &holder.pid.to_string())?;
        }
        Ok(())
    }

    /// The container's process keeps the unit alive from now on.
    pub(crate) fn let_go(&mut self) {
        self.holder = None;
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        self.let_go();
        stop(&self.unit)
    }
}

fn is_slice(unit: &str) -> bool {
    unit.as_bytes().ends_with(b".slice")
}

struct Holder {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Drop for Holder {
    fn drop(&mut self) {
        // If this fails it ends with us.
        if clone::pidfd_send_signal(self.pidfd.as_fd(), libc::SIGKILL).is_ok() {
            launch::wait(self.pidfd.as_fd()).ok();
        }
    }
}

fn explain_start(name: &str, err: anyhow::Error) -> Result<Vec<u8>> {
    if is(&err, "UnitExists") {
        return Err(err).hint(format!(
            "remove what is left of it: systemctl stop {name}; systemctl reset-failed {name}"
        ));
    }
    Err(err).hint(
        "if a property is wrong: they come from the org.systemd.property annotations and from \
         linux.resources",
    )
}

fn is(err: &anyhow::Error, name: &str) -> bool {
    err.downcast_ref::<Refused>().is_some_and(|refused| refused.name == name)
}

/// Waits for the job that a call has returned.
fn finish(connection: &mut Connection, job: &[u8], unit: &str, what: &str) -> Result<()> {
    let job = first_text(job).context("systemd returns no job")?;
    let result = connection.wait_for_job(&job)?;
    if result == "done" {
        return Ok(());
    }
    Err(anyhow!("systemd: {what} {unit}: the job has the result {result:?}"))
        .hint(format!("see: systemctl status {unit}; journalctl -u {unit}"))
}

fn control_group(connection: &mut Connection, name: &str) -> Result<String> {
    let unit = connection.call(MANAGER, INTERFACE, "GetUnit", &[Arg::Text(name)])?;
    let unit = first_text(&unit).context("systemd returns no unit")?;
    let kind = if is_slice(name) { "Slice" } else { "Scope" };
    let interface = format!("org.freedesktop.systemd1.{kind}");
    let args = [Arg::Text(&interface), Arg::Text("ControlGroup")];
    let reply = connection.call(&unit, "org.freedesktop.DBus.Properties", "Get", &args)?;
    variant_text(&reply)
        .filter(|group| !group.trim_start_matches('/').is_empty())
        .filter(|group| group.split('/').all(|part| part != ".."))
        .with_context(|| format!("systemd has no cgroup for {name}"))
}

/// Tells systemd the new limits, until the next boot.
pub(crate) fn update(unit: &UnitName, properties: &Properties) -> Result<()> {
    let args = [Arg::Text(&unit.name), Arg::Flag(true), Arg::Properties(properties)];
    unit.manager.connect()?.call(MANAGER, INTERFACE, "SetUnitProperties", &args)?;
    Ok(())
}

/// Moves a process into the unit's cgroup, or into one `below` it. An ordinary user who is logged in
/// by ssh is outside of all that his manager may write to; the managers arrange it among them.
pub(crate) fn attach(unit: &UnitName, below: &Path, pid: i32) -> Result<()> {
    let below = Path::new("/").join(below).to_string_lossy().into_owned();
    let pids = [pid.cast_unsigned()];
    let args = [Arg::Text(&unit.name), Arg::Text(&below), Arg::Numbers(&pids)];
    unit.manager.connect()?.call(MANAGER, INTERFACE, "AttachProcessesToUnit", &args)?;
    Ok(())
}

/// Stops the unit, if it is still there, and lets systemd forget it.
pub(crate) fn stop(UnitName { manager, name: unit }: &UnitName) -> Result<()> {
    let mut connection = manager.connect()?;
    let args = [Arg::Text(unit), Arg::Text("replace")];
    match connection.call(MANAGER, INTERFACE, "StopUnit", &args) {
        Ok(job) => finish(&mut connection, &job, unit, "stop")?,
        // An empty scope has stopped by itself.
        Err(err) if is(&err, "NoSuchUnit") => return Ok(()),
        Err(err) => return Err(err),
    }
    reset(&mut connection, unit);
    Ok(())
}

/// Lets systemd forget a unit that has failed; `false` when it knows none of this name.
fn reset(connection: &mut Connection, unit: &str) -> bool {
    connection.call(MANAGER, INTERFACE, "ResetFailedUnit", &[Arg::Text(unit)]).is_ok()
}
