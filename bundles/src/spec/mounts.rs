//! The mounts of a container: the usual ones, and those that were wanted.
//!
//! Runs in: pure.

use super::namespaces::{Namespaces, Whose};
use super::{Facts, values};
use crate::cli::run::FileFlags;
use crate::container::Mount;
use anyhow::Result;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(crate) fn all(
    flags: &FileFlags,
    facts: &Facts<'_>,
    shared: &Namespaces<'_>,
) -> Result<Vec<Value>> {
    let shm = values::bytes("--shm-size", &flags.shm_size)?;
    let mut mounts = usual(shm, facts);
    if shared.ipc == Whose::Host {
        // Only root of the host may mount its message queues anew.
        mounts.retain(|mount| facts.ids.is_none() || mount["destination"] != "/dev/mqueue");
        for mount in mounts.iter_mut().filter(|mount| mount["destination"] == "/dev/shm") {
            *mount = json!({ "destination": "/dev/shm", "type": "bind", "source": "/dev/shm",
                "options": ["rbind", "rprivate", "nosuid", "noexec", "nodev"] });
        }
    }
    if shared.pid == Whose::Host && facts.ids.is_some() {
        // The same holds for the processes of the host.
        for mount in mounts.iter_mut().filter(|mount| mount["destination"] == "/proc") {
            *mount = json!({ "destination": "/proc", "type": "bind", "source": "/proc",
                "options": ["rbind", "nosuid", "noexec", "nodev"] });
        }
    }
    if !shared.shm {
        mounts.retain(|mount| mount["destination"] != "/dev/shm");
    }
    let mut further = etc(facts, flags.read_only);
    for wanted in &facts.mounts {
        // What the user mounts replaces the usual mount of the same place, and of /dev all below.
        let same = |mount: &Value| mount["destination"] == *wanted.destination;
        let below_dev = |mount: &Value| {
            let at = mount["destination"].as_str().unwrap_or_default();
            wanted.destination == "/dev" && at.starts_with("/dev/")
        };
        mounts.retain(|mount| !same(mount) && !below_dev(mount));
        further.retain(|mount| !same(mount));
        further.push(one(wanted, facts));
    }
    // A mount hides what was mounted below before.
    further.sort_by_key(|mount| mount["destination"].as_str().map(|at| at.split('/').count()));
    mounts.extend(further);
    Ok(mounts)
}

/// None below a directory of the user's in which no mount point can be made.
fn etc(facts: &Facts<'_>, read_only: bool) -> Vec<Value> {
    if facts.mounts.iter().any(|mount| mount.destination == "/etc" && mount.read_only) {
        return Vec::new();
    }
    let write = if read_only { "ro" } else { "rw" };
    let mount = |file: &PathBuf| {
        let at = Path::new("/etc").join(file.file_name().unwrap_or_default());
        json!({ "destination": at, "type": "bind", "source": file,
            "options": ["bind", "rprivate", write] })
    };
    facts.etc.iter().map(mount).collect()
}

fn one(mount: &Mount, facts: &Facts<'_>) -> Value {
    match mount.kind.as_str() {
        "overlay" => {
            let user = facts.ids.map(|_| "userxattr".to_owned());
            let options: Vec<&String> = mount.options.iter().chain(&user).collect();
            return json!({ "destination": mount.destination, "type": "overlay",
                "source": "overlay", "options": options });
        }
        "tmpfs" => return in_memory(mount),
        "volume" if mount.source.as_os_str().is_empty() => return in_memory(mount),
        _ => {}
    }
    let bind = if mount.alone { "bind" } else { "rbind" };
    let mut options = vec![bind, &mount.propagation, if mount.read_only { "ro" } else { "rw" }];
    // What is mounted below the source would stay writable.
    options.extend((mount.read_only && !mount.alone && facts.recursive_read_only).then_some("rro"));
    options.extend(mount.options.iter().map(String::as_str));
    json!({ "destination": mount.destination, "type": "bind", "source": mount.source,
        "options": options })
}

fn in_memory(mount: &Mount) -> Value {
    let mut all = vec!["nosuid", "nodev"];
    if !mount.options.iter().any(|option| option == "exec") {
        all.push("noexec");
    }
    all.extend(mount.options.iter().map(String::as_str));
    all.extend(mount.read_only.then_some("ro"));
    json!({ "destination": mount.destination, "type": "tmpfs", "source": "tmpfs", "options": all })
}

fn usual(shm: u64, facts: &Facts<'_>) -> Vec<Value> {
    let mount = |at: &str, kind: &str, source: &str, options: &[&str]| json!({ "destination": at, "type": kind, "source": source, "options": options });
    let shm = format!("size={shm}");
    let mut pts = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    // Without a range, group 5 has no number outside.
    if facts.ids.is_none_or(|ids| ids > 1) {
        pts.push("gid=5");
    }
    let write = if facts.privileged { "rw" } else { "ro" };
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", "devpts", &pts),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ];
    // sysfs shows a network, so only who owns that may mount it anew.
    if facts.ids.is_some() && !facts.network {
        mounts.push(mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]));
    } else {
        mounts.push(mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", write]));
        let options = ["nosuid", "noexec", "nodev", "relatime", write];
        mounts.push(mount("/sys/fs/cgroup", "cgroup", "cgroup", &options));
    }
    mounts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::namespaces::NamespaceFlags;
    use crate::spec::tests::facts;

    fn places(wanted: Vec<Mount>) -> Vec<String> {
        let flags = FileFlags { shm_size: "64m".into(), ..FileFlags::default() };
        let flags_of = NamespaceFlags::default();
        let own = Namespaces::parse(&flags_of, true).unwrap();
        let mounts = all(&flags, &Facts { mounts: wanted, ..facts() }, &own).unwrap();
        mounts.iter().map(|mount| mount["destination"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn no_mount_hides_another() {
        let of = |places: &[&str]| places.iter().map(|at| mount("bind", at)).collect::<Vec<_>>();
        let all = places(of(&["/a/b/c", "/a", "/etc", "/a/b"]));
        let last = &all[all.len() - 5..];
        assert_eq!(last, ["/a", "/etc", "/etc/hosts", "/a/b", "/a/b/c"]);
        let all = places(of(&["/dev/x", "/dev"]));
        assert_eq!(all[all.len() - 3..], ["/dev", "/etc/hosts", "/dev/x"]);
        assert!(!all.contains(&"/dev/pts".to_owned()));
        let all = places(vec![Mount { read_only: true, ..mount("bind", "/etc") }]);
        assert!(!all.contains(&"/etc/hosts".to_owned()));
    }

    fn at(wanted: Vec<Mount>, path: &str) -> Value {
        let flags = FileFlags { shm_size: "64m".into(), ..FileFlags::default() };
        let flags_of = NamespaceFlags::default();
        let own = Namespaces::parse(&flags_of, true).unwrap();
        let mounts = all(&flags, &Facts { mounts: wanted, ..facts() }, &own).unwrap();
        let found: Vec<&Value> = mounts.iter().filter(|m| m["destination"] == path).collect();
        assert_eq!(found.len(), 1, "{path}");
        found[0].clone()
    }

    fn mount(kind: &str, destination: &str) -> Mount {
        Mount {
            kind: kind.into(),
            source: "/a".into(),
            destination: destination.into(),
            propagation: "rslave".into(),
            ..Mount::default()
        }
    }

    #[test]
    fn volumes_are_bound() {
        let bind = at(vec![mount("volume", "/b")], "/b");
        assert_eq!(bind["options"], json!(["rbind", "rslave", "rw"]));
        assert_eq!(bind["source"], "/a");
        let bind = at(vec![Mount { read_only: true, ..mount("bind", "/b") }], "/b");
        assert_eq!(bind["options"][2], "ro");
    }

    #[test]
    fn own_mount_replaces_the_usual_one() {
        let options = vec!["size=1m".into()];
        let shm = at(vec![Mount { options, ..mount("tmpfs", "/dev/shm") }], "/dev/shm");
        assert_eq!(shm["options"], json!(["nosuid", "nodev", "noexec", "size=1m"]));
    }

    #[test]
    fn shm_size_is_in_bytes() {
        assert_eq!(at(vec![], "/dev/shm")["options"][4], "size=67108864");
    }
}
