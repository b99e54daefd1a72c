//! `Config` and `HostConfig` of `inspect`, in Docker's shape: what was asked for, by flags and by
//! the image. They are written down when a container is made; limits are read when they are shown.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null for a name that is missing")]

use super::devices;
use crate::cli::health::HealthFlags;
use crate::cli::pairs;
use crate::cli::run::{Create, Stream};
use crate::container::Record;
use crate::health::Check;
use crate::spec::wish::{self, What};
use crate::spec::{Facts, values};
use oci_spec::image;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Next to config.json.
pub(super) const FILE: &str = "inspect.json";

/// What of that file and of config.json only `inspect` reads.
pub(super) fn made(
    args: &Create,
    image: &image::Config,
    raw: &Value,
    record: &Record,
    facts: &Facts<'_>,
) -> Value {
    json!({
        "Config": config(args, image, raw, record, facts),
        "HostConfig": host_config(args, record),
    })
}

fn config(
    args: &Create,
    image: &image::Config,
    raw: &Value,
    record: &Record,
    facts: &Facts<'_>,
) -> Value {
    let entrypoint = match args.process.entrypoint.as_deref() {
        Some("") => Value::Null,
        Some(program) => json!([program]),
        None => json!(image.entrypoint()),
    };
    let command = args.command();
    let command = match (command.is_empty(), &args.process.entrypoint) {
        (false, _) => json!(command),
        (true, None) => json!(image.cmd()),
        (true, Some(_)) => Value::Null,
    };
    let user = args.process.user.as_deref().or(image.user().as_deref()).unwrap_or_default();
    let volumes = record.mounts.iter().filter(|mount| mount.anonymous);
    let volumes: Map<String, Value> =
        volumes.map(|mount| (mount.destination.clone(), json!({}))).collect();
    let mut config = json!({
        "Hostname": facts.hostname,
        "Domainname": args.names.domainname.as_deref().unwrap_or_default(),
        "User": user,
        "AttachStdin": args.interactive && args.attaches(Stream::Stdin),
        "AttachStdout": args.attaches(Stream::Stdout),
        "AttachStderr": args.attaches(Stream::Stderr),
        "Tty": args.tty,
        "OpenStdin": args.interactive,
        "StdinOnce": args.interactive,
        "Env": env(image, facts),
        "Cmd": command,
        "Image": record.image,
        "Volumes": if volumes.is_empty() { Value::Null } else { volumes.into() },
        "Entrypoint": entrypoint,
        "OnBuild": raw["OnBuild"],
        "Labels": record.labels,
    });
    for (name, value) in [
        ("Healthcheck", healthcheck(&args.health, &raw["Healthcheck"])),
        ("ExposedPorts", exposed(record)),
        ("Shell", raw["Shell"].clone()),
        ("StopSignal", json!(args.stop_signal.as_ref().or(image.stop_signal().as_ref()))),
        ("StopTimeout", json!(args.stop_timeout)),
    ] {
        if !value.is_null() {
            config[name] = value;
        }
    }
    config
}

/// What was asked for: by flags, and then by the image. Others are added for the process.
fn env(image: &image::Config, facts: &Facts<'_>) -> Vec<String> {
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let asked: Vec<String> = facts.env.iter().map(|variable| name(variable)).collect();
    let with_value = facts.env.iter().filter(|variable| variable.contains('='));
    let of_image = image.env().iter().flatten().filter(|one| !asked.contains(&name(one)));
    with_value.chain(of_image).cloned().collect()
}

/// Of `--mount`, which was understood before.
fn mounts(texts: &[String]) -> Value {
    let mount = |text: &String| {
        let wish = wish::in_words(text).ok()?;
        let (kind, source) = match wish.what {
            What::Bind { source, .. } => ("bind", Some(source)),
            What::Overlay { source } => ("overlay", Some(source)),
            What::Volume { name, .. } => ("volume", name),
            What::Tmpfs(_) => ("tmpfs", None),
            What::Same(_) => return None,
        };
        let mut shown = json!({ "Type": kind, "Target": wish.at });
        if let Some(source) = source {
            shown["Source"] = source.into();
        }
        if wish.read_only {
            shown["ReadOnly"] = true.into();
        }
        Some(shown)
    };
    texts.iter().filter_map(mount).collect()
}

/// As Docker has them: `CAP_NET_ADMIN`, however it was typed.
fn capabilities(names: &[String]) -> Value {
    let name = |name: &String| {
        let upper = name.to_ascii_uppercase();
        if upper == "ALL" || upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") }
    };
    if names.is_empty() { Value::Null } else { names.iter().map(name).collect() }
}

/// Of the image, and by flags.
fn exposed(record: &Record) -> Value {
    let all = &record.network.exposed;
    let ports = || all.iter().map(|port| (port.to_string(), json!({})));
    if all.is_empty() { Value::Null } else { Value::Object(ports().collect()) }
}

/// How it is told whether the container is well.
pub(super) fn check(flags: &HealthFlags, image: &Value) -> Option<Check> {
    Check::of(&healthcheck(flags, &image["Healthcheck"]), &image["Shell"])
}

/// Of the image, and of the flags; times in nanoseconds.
fn healthcheck(flags: &HealthFlags, of_image: &Value) -> Value {
    if flags.no_healthcheck {
        return json!({ "Test": ["NONE"] });
    }
    let mut check = of_image.clone();
    if let Some(command) = &flags.health_cmd {
        check["Test"] = json!(["CMD-SHELL", command]);
    }
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    for (name, time) in [
        ("Interval", flags.health_interval),
        ("Timeout", flags.health_timeout),
        ("StartPeriod", flags.health_start_period),
        ("StartInterval", flags.health_start_interval),
    ] {
        if let Some(time) = time {
            check[name] = nanoseconds(time).into();
        }
    }
    if let Some(times) = flags.health_retries {
        check["Retries"] = times.into();
    }
    check
}

/// What was understood before.
fn rates(flag: &str, texts: &[String], key: &str) -> Value {
    let rate = |text: &String| {
        let (path, rate) = devices::rate(flag, text).ok()?;
        Some(json!({ "Path": path, key: rate }))
    };
    texts.iter().filter_map(rate).collect()
}

fn device(text: &str) -> Option<Value> {
    let (host, inside, access) = devices::parts(text).ok()?;
    Some(json!({ "PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": access }))
}

fn host_config(args: &Create, record: &Record) -> Value {
    let mut config = flags(args, record);
    let limits = &args.limits;
    let sysctls: Map<String, Value> =
        pairs(&args.rights.sysctl).into_iter().map(|(key, value)| (key, value.into())).collect();
    for (name, value) in [
        ("Devices", args.files.device.iter().filter_map(|text| device(text)).collect()),
        (
            "BlkioWeightDevice",
            rates("--blkio-weight-device", &limits.blkio_weight_device, "Weight"),
        ),
        ("BlkioDeviceReadBps", rates("--device-read-bps", &limits.device_read_bps, "Rate")),
        ("BlkioDeviceWriteBps", rates("--device-write-bps", &limits.device_write_bps, "Rate")),
        ("BlkioDeviceReadIOps", rates("--device-read-iops", &limits.device_read_iops, "Rate")),
        ("BlkioDeviceWriteIOps", rates("--device-write-iops", &limits.device_write_iops, "Rate")),
        ("PublishAllPorts", args.network.publish_all.into()),
        // What only other platforms have, and what nobody can ask for here.
        ("Cgroup", "".into()),
        ("ConsoleSize", json!([0, 0])),
        ("CpuCount", 0.into()),
        ("CpuPercent", 0.into()),
        ("CpuRealtimePeriod", 0.into()),
        ("CpuRealtimeRuntime", 0.into()),
        ("DeviceRequests", Value::Null),
        ("IOMaximumBandwidth", 0.into()),
        ("IOMaximumIOps", 0.into()),
        ("Isolation", "".into()),
        ("KernelMemory", 0.into()),
        ("KernelMemoryTCP", 0.into()),
        ("VolumeDriver", "".into()),
    ] {
        config[name] = value;
    }
    // These are left out when there are none.
    if !sysctls.is_empty() {
        config["Sysctls"] = sysctls.into();
    }
    if args.process.init {
        config["Init"] = true.into();
    }
    config
}

fn flags(args: &Create, record: &Record) -> Value {
    let or_null = |list: &[String]| if list.is_empty() { Value::Null } else { json!(list) };
    let binds = args.files.volume.iter().filter(|text| text.contains(':'));
    let binds: Vec<String> = binds.cloned().collect();
    let tmpfs = args.files.tmpfs.iter().map(|text| text.split_once(':').unwrap_or((text, "")));
    let tmpfs: Map<String, Value> =
        tmpfs.map(|(at, options)| (at.to_owned(), json!(options))).collect();
    let joined = |kind: &str, other: &str| match record.joins.get(kind) {
        Some(id) => format!("container:{id}"),
        None => other.to_owned(),
    };
    let mut config = json!({
        "Binds": or_null(&binds),
        "ContainerIDFile": args.cidfile.as_deref().map(|file| file.display().to_string()).unwrap_or_default(),
        "AutoRemove": args.rm,
        "VolumesFrom": or_null(&args.files.volumes_from),
        "CapAdd": capabilities(&args.rights.cap_add),
        "CapDrop": capabilities(&args.rights.cap_drop),
        "Dns": args.names.dns,
        "DnsOptions": args.names.dns_option,
        "DnsSearch": args.names.dns_search,
        "ExtraHosts": or_null(&args.names.add_host),
        "GroupAdd": or_null(&args.process.group_add),
        "Privileged": args.rights.privileged,
        "ReadonlyRootfs": args.files.read_only,
        "SecurityOpt": or_null(&args.rights.security_opt),
        "DeviceCgroupRules": or_null(&args.files.device_cgroup_rule),
        "PidMode": joined("pid", args.namespaces.pid.as_deref().unwrap_or_default()),
        "IpcMode": joined("ipc", args.namespaces.ipc.as_deref().unwrap_or("private")),
        "UTSMode": args.namespaces.uts.as_deref().unwrap_or_default(),
        "CgroupnsMode": args.namespaces.cgroupns.as_deref().unwrap_or("private"),
        "UsernsMode": args.namespaces.userns.as_deref().unwrap_or_default(),
        "ShmSize": values::bytes("--shm-size", &args.files.shm_size).unwrap_or_default(),
        "Runtime": record.runtime,
        "CgroupParent": args.limits.cgroup_parent.as_deref().unwrap_or_default(),
    });
    if !args.files.mount.is_empty() {
        config["Mounts"] = mounts(&args.files.mount);
    }
    if !tmpfs.is_empty() {
        config["Tmpfs"] = tmpfs.into();
    }
    config
}

/// Of the process; Docker has no list where there are none.
fn ulimits(all: &Value) -> Value {
    let name = |one: &Value| {
        one["type"].as_str().unwrap_or_default().trim_start_matches("RLIMIT_").to_ascii_lowercase()
    };
    let shown =
        |one: &Value| json!({ "Name": name(one), "Soft": one["soft"], "Hard": one["hard"] });
    match all.as_array() {
        Some(all) if !all.is_empty() => all.iter().map(shown).collect(),
        _ => Value::Null,
    }
}

/// What `update` may have changed since, from config.json; sizes in bytes.
pub(super) fn limits(spec: &Value) -> Map<String, Value> {
    let resources = &spec["linux"]["resources"];
    let number = |value: &Value| value.as_i64().unwrap_or(0);
    let (memory, cpu) = (&resources["memory"], &resources["cpu"]);
    let (quota, period) = (number(&cpu["quota"]), number(&cpu["period"]));
    // Docker shows --cpus alone, and not what became of it.
    let nano = if quota > 0 && period > 0 { quota * 1_000_000_000 / period } else { 0 };
    let text = |value: &Value| json!(value.as_str().unwrap_or_default());
    let mut limits = Map::new();
    for (name, value) in [
        ("Memory", json!(number(&memory["limit"]))),
        ("MemorySwap", json!(number(&memory["swap"]))),
        ("MemoryReservation", json!(number(&memory["reservation"]))),
        ("NanoCpus", json!(nano)),
        ("CpuShares", json!(number(&cpu["shares"]))),
        ("CpuPeriod", json!(0)),
        ("CpuQuota", json!(0)),
        ("CpusetCpus", text(&cpu["cpus"])),
        ("CpusetMems", text(&cpu["mems"])),
        ("PidsLimit", resources["pids"]["limit"].clone()),
        ("BlkioWeight", json!(number(&resources["blockIO"]["weight"]))),
        ("MemorySwappiness", memory["swappiness"].clone()),
        ("Ulimits", ulimits(&spec["process"]["rlimits"])),
        ("OomKillDisable", json!(memory["disableOOMKiller"].as_bool().unwrap_or(false))),
        ("OomScoreAdj", json!(number(&spec["process"]["oomScoreAdj"]))),
        ("MaskedPaths", spec["linux"]["maskedPaths"].clone()),
        ("ReadonlyPaths", spec["linux"]["readonlyPaths"].clone()),
    ] {
        limits.insert(name.to_owned(), value);
    }
    limits
}
