//! The mounts of a container: the usual ones, and those of the flags.
//!
//! Runs in: pure; sources are made absolute by [`super::Facts`].
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use super::{Facts, values};
use crate::cli_run::FileFlags;
use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use std::path::Path;

/// `network` says whether the container has one of its own.
pub(crate) fn all(flags: &FileFlags, facts: &Facts<'_>, network: bool) -> Result<Vec<Value>> {
    let shm = values::bytes("--shm-size", &flags.shm_size)?;
    let mut mounts = usual(shm, facts, network);
    let mut add = |wanted: Value| {
        // What the user mounts replaces the usual mount of the same place.
        mounts.retain(|mount: &Value| mount["destination"] != wanted["destination"]);
        mounts.push(wanted);
    };
    for tmpfs in &flags.tmpfs {
        let (at, options) = tmpfs.split_once(':').unwrap_or((tmpfs, ""));
        let options = options.split(',').filter(|option| !option.is_empty());
        add(in_memory(destination("--tmpfs", at)?, options));
    }
    for volume in &flags.volume {
        add(bind_of_volume(volume, facts).with_context(|| format!("-v {volume}"))?);
    }
    for mount in &flags.mount {
        add(in_words(mount, facts).with_context(|| format!("--mount {mount}"))?);
    }
    Ok(mounts)
}

fn usual(shm: u64, facts: &Facts<'_>, network: bool) -> Vec<Value> {
    let mount = |at: &str, kind: &str, source: &str, options: &[&str]| json!({ "destination": at, "type": kind, "source": source, "options": options });
    let shm = format!("size={shm}");
    let mut pts = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    // Without a range, group 5 has no number outside.
    if facts.maps.as_ref().is_none_or(|maps| maps.gid.len() > 1) {
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
    if facts.maps.is_some() && !network {
        mounts.push(mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]));
    } else {
        mounts.push(mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", write]));
        let options = ["nosuid", "noexec", "nodev", "relatime", write];
        mounts.push(mount("/sys/fs/cgroup", "cgroup", "cgroup", &options));
    }
    mounts
}

fn in_memory<'a>(at: &str, options: impl Iterator<Item = &'a str>) -> Value {
    let mut all = vec!["nosuid", "nodev"];
    let given: Vec<&str> = options.collect();
    if !given.contains(&"exec") {
        all.push("noexec");
    }
    all.extend(given);
    json!({ "destination": at, "type": "tmpfs", "source": "tmpfs", "options": all })
}

/// `HOST:CONTAINER[:OPTIONS]`.
fn bind_of_volume(volume: &str, facts: &Facts<'_>) -> Result<Value> {
    let mut parts = volume.split(':');
    let (Some(source), Some(at)) = (parts.next(), parts.next()) else {
        return Err(anyhow!("no place in the container")).hint("write HOST:CONTAINER");
    };
    let options = parts.next().unwrap_or_default();
    ensure!(parts.next().is_none(), "more than two colons");
    if !source.starts_with(['/', '.', '~']) {
        return Err(anyhow!("{source:?} is no path"))
            .hint(format!("to bind a directory, write ./{source}"));
    }
    let mut read_only = false;
    let mut propagation = "rprivate";
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => read_only = true,
            "rw" | "z" | "Z" => {} // there is no SELinux label to set
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                propagation = option;
            }
            _ => bail!("unknown option {option:?}"),
        }
    }
    Ok(bind(&facts.absolute(source), destination("-v", at)?, read_only, propagation))
}

fn bind(source: &Path, at: &str, read_only: bool, propagation: &str) -> Value {
    let write = if read_only { "ro" } else { "rw" };
    json!({ "destination": at, "type": "bind", "source": source, "options": ["rbind", propagation, write] })
}

/// `--mount type=bind,source=HOST,target=CONTAINER`.
fn in_words(text: &str, facts: &Facts<'_>) -> Result<Value> {
    let (mut kind, mut source, mut target) = ("volume", None, None);
    let (mut read_only, mut propagation) = (false, "rprivate");
    let mut options = Vec::new();
    for word in text.split(',') {
        let (key, value) = word.split_once('=').unwrap_or((word, "true"));
        match key {
            "type" => kind = value,
            "source" | "src" => source = Some(value),
            "target" | "destination" | "dst" => target = Some(value),
            "readonly" | "ro" => read_only = matches!(value, "true" | "1"),
            "bind-propagation" => propagation = value,
            "tmpfs-size" => {
                options.push(format!("size={}", values::bytes("tmpfs-size", value)?));
            }
            "tmpfs-mode" => options.push(format!("mode={value}")),
            _ => bail!("unknown word {key:?}"),
        }
    }
    let at = destination("target", target.context("no target")?)?;
    match kind {
        "bind" => {
            let source = source.context("no source")?;
            Ok(bind(&facts.absolute(source), at, read_only, propagation))
        }
        "tmpfs" => {
            let write = read_only.then_some("ro");
            Ok(in_memory(at, options.iter().map(String::as_str).chain(write)))
        }
        _ => Err(anyhow!("type {kind}")).hint("the types are bind and tmpfs"),
    }
}

fn destination<'a>(flag: &str, path: &'a str) -> Result<&'a str> {
    ensure!(path.starts_with('/'), "{flag}: {path:?} is no absolute path in the container");
    ensure!(!path.trim_end_matches('/').is_empty(), "{flag}: the container's / can't be replaced");
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::tests::facts;

    fn flags(change: impl FnOnce(&mut FileFlags)) -> FileFlags {
        let mut flags = FileFlags { shm_size: "64m".into(), ..FileFlags::default() };
        change(&mut flags);
        flags
    }

    fn at(flags: &FileFlags, path: &str) -> Value {
        let mounts = all(flags, &facts(), true).unwrap();
        let found: Vec<&Value> = mounts.iter().filter(|m| m["destination"] == path).collect();
        assert_eq!(found.len(), 1, "{path}");
        found[0].clone()
    }

    #[test]
    fn volumes_are_bound() {
        let flags =
            flags(|f| f.volume = ["/a:/b", "./c:/d:ro", "~/e:/f:rw,z"].map(Into::into).into());
        assert_eq!(at(&flags, "/b")["options"], json!(["rbind", "rprivate", "rw"]));
        assert_eq!(at(&flags, "/d")["source"], "/here/./c");
        assert_eq!(at(&flags, "/d")["options"][2], "ro");
        assert_eq!(at(&flags, "/f")["source"], "/users/me/e");
    }

    #[test]
    fn mounts_in_words() {
        let text = ["type=bind,src=/a,dst=/b,readonly", "type=tmpfs,target=/t,tmpfs-size=1k"];
        let flags = flags(|f| f.mount = text.map(Into::into).into());
        assert_eq!(at(&flags, "/b")["options"], json!(["rbind", "rprivate", "ro"]));
        assert_eq!(at(&flags, "/t")["options"], json!(["nosuid", "nodev", "noexec", "size=1024"]));
    }

    #[test]
    fn own_mount_replaces_the_usual_one() {
        let flags = flags(|f| f.tmpfs = vec!["/dev/shm:size=1m".into()]);
        assert_eq!(at(&flags, "/dev/shm")["options"][3], "size=1m");
    }

    #[test]
    fn shm_size_is_in_bytes() {
        assert_eq!(at(&flags(|_| {}), "/dev/shm")["options"][4], "size=67108864");
    }

    #[test]
    fn bad_volumes_are_told() {
        for (volume, error) in [
            ("/a", "-v /a: no place in the container"),
            ("a:/b", "-v a:/b: \"a\" is no path"),
            ("/a:b", "-v /a:b: -v: \"b\" is no absolute path in the container"),
            ("/a:/b:x", "-v /a:/b:x: unknown option \"x\""),
        ] {
            let flags = flags(|f| f.volume = vec![volume.into()]);
            let err = all(&flags, &facts(), true).unwrap_err();
            assert_eq!(crate::error::chain(&err), error);
        }
    }
}
