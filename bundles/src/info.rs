//! `bundles info`, in the shape of `docker info`: programs read these names.
//!
//! Runs in: an ordinary process of the user. Reads only.

mod text;

use crate::called::{self, Name};
use crate::cli::info::Info;
use crate::container;
use crate::digest::Digest;
use crate::error;
use crate::home::Home;
use crate::monitor::cgroup;
use crate::registry::Registries;
use crate::screen::Screen;
use crate::store::Store;
use crate::{commands, inspect, runtime, version, volume};
use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use std::fs;
use std::time::SystemTime;

const INDEX: &str = "https://index.docker.io/v1/";
/// Always insecure: this machine.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];

pub(crate) fn run(home: &Home, args: &Info, screen: &mut Screen<'_>) -> Result<()> {
    let mut facts = Map::new();
    let mut warnings = Vec::new();
    let registries = Registries::read().unwrap_or_else(|err| {
        warnings.push(format!("WARNING: {}", error::chain(&err)));
        Registries::default()
    });
    let limits = limits(&mut warnings);
    let parts = [things(home)?, host()?, limits, runtimes(), settings(&registries), fixed()];
    for part in parts {
        facts.extend(part.as_object().cloned().unwrap_or_default());
    }
    let warnings = if warnings.is_empty() { Value::Null } else { json!(warnings) };
    facts.insert("Warnings".to_owned(), warnings);
    let facts = Value::Object(facts);
    let text = match args.format.as_deref() {
        None => text::of(&facts),
        Some(format) => inspect::one(format, &facts)?,
    };
    screen.say(&text)
}

/// What is kept in the home.
fn things(home: &Home) -> Result<Value> {
    let containers = container::all(home)?;
    let count = |test: fn(&container::Record) -> bool| {
        containers.iter().filter(|container| test(&container.record)).count()
    };
    let paused = count(container::Record::is_paused);
    let running = count(container::Record::is_running);
    let images = if home.has("oci") { Store::open(home)?.images()?.len() } else { 0 };
    let path = home.path().display().to_string();
    let rootless = !nix::unistd::geteuid().is_root();
    let mut security = vec!["name=seccomp,profile=default"];
    if rootless {
        security.push("name=rootless");
    }
    security.push("name=cgroupns");
    let node = nix::sys::utsname::uname()?.nodename().to_string_lossy().into_owned();
    Ok(json!({
        "ID": Digest::of(format!("{node}:{path}").as_bytes()).hex(),
        "Containers": containers.len(),
        "ContainersRunning": running - paused,
        "ContainersPaused": paused,
        "ContainersStopped": containers.len() - running,
        "Images": images,
        "Driver": "overlay2",
        "DriverStatus": [["userxattr", rootless.to_string()]],
        "DockerRootDir": path,
        "SecurityOptions": security,
    }))
}

fn host() -> Result<Value> {
    let system = nix::sys::utsname::uname()?;
    let release = fs::read_to_string("/etc/os-release");
    let release = release.or_else(|_| fs::read_to_string("/usr/lib/os-release"));
    let release = release.unwrap_or_default();
    let cpus = std::thread::available_parallelism().context("sched_getaffinity")?;
    let switched = |file: &str| {
        let text = fs::read_to_string(format!("/proc/sys/net/{file}"));
        text.is_ok_and(|text| text.trim() == "1")
    };
    let variable = |name: &str| {
        let lower = std::env::var(name.to_ascii_lowercase());
        lower.or_else(|_| std::env::var(name)).unwrap_or_default()
    };
    Ok(json!({
        "SystemTime": humantime::format_rfc3339_nanos(SystemTime::now()).to_string(),
        "KernelVersion": system.release().to_string_lossy(),
        "OperatingSystem": os_release(&release, "PRETTY_NAME").unwrap_or("Linux"),
        "OSVersion": os_release(&release, "VERSION_ID").unwrap_or_default(),
        "OSType": "linux",
        "Architecture": system.machine().to_string_lossy(),
        "NCPU": cpus.get(),
        "MemTotal": commands::total_memory()?,
        "Name": system.nodename().to_string_lossy(),
        "IPv4Forwarding": switched("ipv4/ip_forward"),
        "BridgeNfIptables": switched("bridge/bridge-nf-call-iptables"),
        "BridgeNfIp6tables": switched("bridge/bridge-nf-call-ip6tables"),
        "HttpProxy": variable("HTTP_PROXY"),
        "HttpsProxy": variable("HTTPS_PROXY"),
        "NoProxy": variable("NO_PROXY"),
    }))
}

/// Of os-release(5); quotes are taken off.
fn os_release<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\'']))
}

/// Which of them this user can set, and what is to be said of the others.
fn limits(warnings: &mut Vec<String>) -> Value {
    let own = std::process::id().cast_signed();
    let has = |name| cgroup::has_controller(own, name);
    let version = cgroup::version();
    let v1 = version == 1;
    let (memory, cpu, cpuset, pids) = (has("memory"), has("cpu"), has("cpuset"), has("pids"));
    for (there, what) in
        [(memory, "memory"), (cpu, "cpu shares"), (cpuset, "cpuset"), (pids, "pids")]
    {
        if !there {
            warnings.push(format!("WARNING: No {what} limit support"));
        }
    }
    json!({
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": version.to_string(),
        "MemoryLimit": memory,
        "SwapLimit": memory,
        "CpuCfsPeriod": cpu,
        "CpuCfsQuota": cpu,
        "CPUShares": cpu,
        "CPUSet": cpuset,
        "PidsLimit": pids,
        "OomKillDisable": memory && v1,
    })
}

/// Those that are found, and the one that is taken when nobody says which.
fn runtimes() -> Value {
    let usual = runtime::find(None).ok();
    let name = usual.as_deref().and_then(|path| path.file_name()?.to_str()).unwrap_or_default();
    let others = runtime::KNOWN.iter().filter_map(|name| Some((*name, runtime::in_path(name)?)));
    let mut all: Map<String, Value> =
        others.map(|(name, path)| (name.to_owned(), json!({ "path": path }))).collect();
    if let Some(path) = &usual {
        all.insert(name.to_owned(), json!({ "path": path }));
    }
    let version = version::oci_runtime().map(|(_, version)| version).unwrap_or_default();
    json!({
        "Runtimes": all,
        "DefaultRuntime": name,
        "RuncCommit": { "ID": version, "Expected": version },
    })
}

fn settings(registries: &Registries) -> Value {
    let (networks, hosts): (Vec<&str>, Vec<&str>) =
        registries.insecure().into_iter().partition(|entry| entry.contains('/'));
    let networks: Vec<&str> = LOOPBACK.into_iter().chain(networks).collect();
    let index = |name: &str, mirrors: &[String]| {
        json!({
            "Name": name,
            "Mirrors": mirrors,
            "Secure": !registries.is_insecure(name),
            "Official": name == "docker.io",
        })
    };
    let mut indexes = Map::new();
    indexes.insert("docker.io".to_owned(), index("docker.io", registries.mirrors()));
    indexes.extend(hosts.iter().map(|name| ((*name).to_owned(), index(name, &[]))));
    json!({
        "IndexServerAddress": INDEX,
        "RegistryConfig": {
            "InsecureRegistryCIDRs": networks,
            "IndexConfigs": indexes,
            "Mirrors": registries.mirrors(),
            "SearchRegistries": registries.search(),
        },
    })
}

/// What is so for everybody.
fn fixed() -> Value {
    json!({
        "ServerVersion": Name::this().version(),
        "LoggingDriver": "json-file",
        "Plugins": {
            "Volume": [volume::DRIVER],
            "Network": ["bridge", "host", "macvlan", "null"],
            "Authorization": null,
            "Log": ["json-file", "none"],
        },
        "Swarm": { "LocalNodeState": "inactive" },
        "LiveRestoreEnabled": true, // nothing is there that could end with a server
        "InitBinary": "bundles",
        "InitCommit": { "ID": called::BUILD, "Expected": called::BUILD },
        "Labels": [],
        "Debug": false,
        "ExperimentalBuild": false,
        "GenericResources": null,
        "ClientInfo": { "Debug": false, "Context": "default", "Plugins": [], "Warnings": null },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_has_quotes_or_none() {
        let text = "NAME=x\nPRETTY_NAME=\"Some Linux 1\"\nVERSION_ID='12'\nPRETTY=no\n";
        assert_eq!(os_release(text, "PRETTY_NAME"), Some("Some Linux 1"));
        assert_eq!(os_release(text, "VERSION_ID"), Some("12"));
        assert_eq!(os_release(text, "NAME"), Some("x"));
        assert_eq!(os_release(text, "ID"), None);
    }
}
