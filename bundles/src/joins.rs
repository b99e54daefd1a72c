//! Namespaces of other containers: `--pid container:NAME`, and the same of --ipc and --network.
//!
//! Runs in: the monitor, before it makes the container. The other one may have been started anew
//! since, so its process is looked up each time.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use crate::container::{Container, Record};
use crate::error::OrHint as _;
use crate::home::{self, Home};
use crate::net::enter;
use crate::overlay;
use crate::process::Process;
use anyhow::{Context as _, Result, anyhow};
use nix::sched::{CloneFlags, setns, unshare};
use rustix::mount::{MoveMountFlags, OpenTreeFlags};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::Path;

/// The memory of another container, in the directory of this one until the runtime has it: whoever
/// removes that directory must not see it there.
#[derive(Debug)]
pub(crate) struct Shared;

impl Drop for Shared {
    fn drop(&mut self) {
        overlay::unmount(Path::new(SHM));
    }
}

/// Writes the paths of the namespaces into `config.json` in the current directory. What is returned
/// has to last until the runtime has made the container.
pub(crate) fn prepare(home: &Home, record: &Record) -> Result<Option<Shared>> {
    if record.joins.is_empty() {
        return Ok(None);
    }
    let file = Path::new("config.json");
    let mut spec: Value = serde_json::from_slice(&fs::read(file)?).context("config.json")?;
    let namespaces =
        spec["linux"]["namespaces"].as_array_mut().context("config.json: namespaces")?;
    let mut donor = None;
    for (kind, id) in &record.joins {
        let pid = pid_of(home, kind, id)?;
        if kind == "ipc" {
            donor = Some(pid);
        }
        let file = if kind == "network" { "net" } else { kind.as_str() };
        let path = format!("/proc/{pid}/ns/{file}");
        for namespace in namespaces.iter_mut().filter(|one| one["type"] == kind.as_str()) {
            namespace["path"] = path.as_str().into();
        }
    }
    let shared = match donor {
        Some(pid) => share_memory(&mut spec, pid).context("/dev/shm of the other container")?,
        None => None,
    };
    home::replace(file, &serde_json::to_vec_pretty(&spec)?)?;
    Ok(shared)
}

fn pid_of(home: &Home, kind: &str, id: &str) -> Result<i32> {
    let other = Container::find(home, id).with_context(|| format!("--{kind} container"))?;
    let process = other.record.state.process.filter(Process::is_alive);
    let name = &other.record.name;
    let process = process
        .ok_or_else(|| anyhow!("--{kind} container:{name}: it does not run"))
        .hint(format!("start it first: bundles start {name}"))?;
    Ok(process.pid)
}

/// In the container's directory: the memory of the other one, for this process and its children.
const SHM: &str = "shm";

/// What belongs to an ipc namespace, but is a mount: the container gets that of the other one,
/// unless the user has put something in its place.
fn share_memory(spec: &mut Value, pid: i32) -> Result<Option<Shared>> {
    let mounts = spec["mounts"].as_array_mut().context("config.json: mounts")?;
    let source = std::env::current_dir().unwrap_or_default().join(SHM).display().to_string();
    let is_ours = |mount: &Value| mount["source"] == "shm" || mount["source"] == source;
    let mut ours = mounts.iter_mut().filter(|mount| mount["destination"] == "/dev/shm");
    let Some(mount) = ours.find(|mount| is_ours(mount)) else { return Ok(None) };
    *mount = json!({ "destination": "/dev/shm", "type": "bind", "source": source,
        "options": ["bind", "rprivate", "nosuid", "noexec", "nodev"] });
    let tree = tree_in(pid, "/dev/shm")?;
    overlay::leave_mounts()?;
    fs::create_dir_all(SHM)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(&tree, "", rustix::fs::CWD, SHM, flags).context("move_mount")?;
    Ok(Some(Shared))
}

/// A mount which another process has there, for us: only in its mount namespace it can be had.
fn tree_in(pid: i32, at: &str) -> Result<OwnedFd> {
    let namespace = format!("/proc/{pid}/ns/mnt");
    let namespace = File::open(&namespace).context(namespace)?;
    let take = || -> Result<OwnedFd> {
        // A thread has its own root and current directory then, as a mount namespace asks for.
        unshare(CloneFlags::CLONE_FS).context("unshare(CLONE_FS)")?;
        setns(&namespace, CloneFlags::CLONE_NEWNS).context("setns(CLONE_NEWNS)")?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
        rustix::mount::open_tree(rustix::fs::CWD, at, flags).context("open_tree")
    };
    enter::in_a_thread(take)
}
