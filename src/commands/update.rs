//! `rt update`

use super::Host;
use crate::cgroup::{self, systemd};
use crate::cli::Update;
use crate::config::{self, Saved};
use crate::container::state::Status;
use crate::container::{Dir, Lock};
use crate::error::OrHint as _;
use crate::plan::cgroup::systemd::limit_properties;
use crate::plan::intel_rdt;
use crate::resctrl;
use anyhow::{Result, anyhow, bail};
use serde_json::{Map, Value, json};

pub(crate) fn run(host: &Host, args: &Update) -> Result<()> {
    let change = config::load_resources(args.resources.as_deref(), flags(args)?)?;
    let schemata = intel_rdt::lines(
        ("--l3-cache-schema", args.l3_cache_schema.as_deref().unwrap_or("")),
        ("--mem-bw-schema", args.mem_bw_schema.as_deref().unwrap_or("")),
    )?;
    if change.is_none() && schemata.is_empty() {
        return Err(anyhow!("nothing to change")).hint("see: rt update --help");
    }
    let dir = Dir::existing(&host.root, &args.id, Lock::Exclusive)?;
    let state = dir.state()?;
    let status = dir.status(&state)?;
    if matches!(status, Status::Stopped | Status::Creating) {
        bail!("cannot update a container in the {} state", status.name());
    }
    if !schemata.is_empty() {
        let group = state.resctrl.as_ref();
        let group = group.ok_or_else(|| anyhow!("the container has no group in resctrl"));
        let group = group.hint("create it with linux.intelRdt in its config")?;
        resctrl::write_schemata(group, &schemata)?;
    }
    let Some(change) = change else { return Ok(()) };
    let cgroup = dir
        .cgroup(&state)?
        .ok_or_else(|| anyhow!("the container has no cgroup of its own"))
        .hint("create it with a cgroup manager, as a user who may make cgroups")?;
    let saved = Saved::read(&dir.saved_config()?)?;
    let (limits, config) = saved.change_resources(&change)?;
    cgroup::Host::detect()?.check(&limits)?;
    // systemd writes what it knows of, and resets the rest: first a limit that would kill is refused,
    // and the files come last.
    if let Some(unit) = &state.systemd_unit {
        cgroup.check_usage(&limits)?;
        systemd::update(unit, &limit_properties(&limits)?)?;
    }
    cgroup.update(&limits)?;
    // The next update builds upon this one.
    dir.save_config(&config)
}

fn flags(args: &Update) -> Result<Value> {
    let mut resources = Map::new();
    let mut set = |section: &str, key: &str, value: Option<Value>| {
        if let Some(value) = value
            && let Value::Object(section) = resources.entry(section).or_insert_with(|| json!({}))
        {
            section.insert(key.into(), value);
        }
    };
    let bytes = |name: &str, text: &Option<String>| {
        text.as_deref().map(|text| parse_bytes(name, text)).transpose()
    };
    set("memory", "limit", bytes("--memory", &args.memory)?.map(Value::from));
    set(
        "memory",
        "reservation",
        bytes("--memory-reservation", &args.memory_reservation)?.map(Value::from),
    );
    set("memory", "swap", bytes("--memory-swap", &args.memory_swap)?.map(Value::from));
    // Refused by the kernel since 6.1, and a no-op of runc: checked, and left out.
    bytes("--kernel-memory", &args.kernel_memory)?;
    set(
        "memory",
        "kernelTCP",
        bytes("--kernel-memory-tcp", &args.kernel_memory_tcp)?.map(Value::from),
    );
    set("cpu", "shares", args.cpu_share.map(Value::from));
    set("cpu", "quota", args.cpu_quota.map(Value::from));
    set("cpu", "period", args.cpu_period.map(Value::from));
    set("cpu", "burst", args.cpu_burst.map(Value::from));
    set("cpu", "idle", args.cpu_idle.map(Value::from));
    set("cpu", "realtimePeriod", args.cpu_rt_period.map(Value::from));
    set("cpu", "realtimeRuntime", args.cpu_rt_runtime.map(Value::from));
    set("cpu", "cpus", args.cpuset_cpus.clone().map(Value::from));
    set("cpu", "mems", args.cpuset_mems.clone().map(Value::from));
    set("pids", "limit", args.pids_limit.map(Value::from));
    set("blockIO", "weight", args.blkio_weight.map(Value::from));
    Ok(Value::Object(resources))
}

/// `-1`, `1048576`, `512k`, `1.5g`: units of 1024, as Docker and runc take them.
fn parse_bytes(name: &str, text: &str) -> Result<i64> {
    let wrong = || anyhow!("{name} {text:?}: not a size such as 512m or -1");
    let lower = text.to_ascii_lowercase();
    let plain = lower.strip_suffix("ib").or(lower.strip_suffix('b')).unwrap_or(&lower);
    let (number, shift) = match plain.as_bytes().last() {
        Some(b'k') => (&plain[..plain.len() - 1], 10),
        Some(b'm') => (&plain[..plain.len() - 1], 20),
        Some(b'g') => (&plain[..plain.len() - 1], 30),
        Some(b't') => (&plain[..plain.len() - 1], 40),
        _ => (plain, 0),
    };
    if let Ok(whole) = number.parse::<i64>() {
        let bytes = whole.checked_mul(1 << shift).filter(|bytes| *bytes >= -1);
        return bytes.ok_or_else(wrong);
    }
    let (whole, fraction) = number.split_once('.').ok_or_else(wrong)?;
    let digits = u32::try_from(fraction.len())
        .ok()
        .filter(|digits| (1..=6).contains(digits))
        .ok_or_else(wrong)?;
    let whole: u32 = whole.parse().map_err(|_not_a_number| wrong())?;
    let fraction: u32 = fraction.parse().map_err(|_not_a_number| wrong())?;
    let part = (i64::from(fraction) << shift) / 10_i64.pow(digits);
    i64::from(whole)
        .checked_mul(1 << shift)
        .and_then(|bytes| bytes.checked_add(part))
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        let table = [
            ("-1", -1),
            ("0", 0),
            ("4096", 4096),
            ("1k", 1024),
            ("512M", 512 << 20),
            ("2GiB", 2 << 30),
            ("1.5g", 3 << 29),
            ("7b", 7),
            ("1t", 1 << 40),
        ];
        for (text, bytes) in table {
            assert_eq!(parse_bytes("--memory", text).unwrap(), bytes, "{text}");
        }
        for text in ["", "-2", "x", "1x", "k", "1.5.5g", "9999999999t", "1.g", "-1.5g"] {
            assert!(parse_bytes("--memory", text).is_err(), "{text:?}");
        }
        assert_eq!(
            parse_bytes("--memory", "x").unwrap_err().to_string(),
            "--memory \"x\": not a size such as 512m or -1"
        );
    }
}
