//! The transient unit which systemd makes for a container: its name, its slice, its properties.
//!
//! Runs in: parent. Pure. Names and types: systemd.resource-control(5), org.freedesktop.systemd1(5).

use super::{Limits, Write};
use crate::plan::number_set::NumberSet;
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeMap;
use std::path::Path;

/// A value of a D-Bus message, with its type in the specification's letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// `s`
    Text(String),
    /// `b`
    Flag(bool),
    /// `i`
    I32(i32),
    /// `u`
    U32(u32),
    /// `x`
    I64(i64),
    /// `t`
    U64(u64),
    /// `as`
    Texts(Vec<String>),
    /// `au`
    Numbers(Vec<u32>),
    /// `ay`
    Bytes(Vec<u8>),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::I32(number) => write!(f, "{number}"),
            Self::U32(number) => write!(f, "{number}"),
            Self::I64(number) => write!(f, "{number}"),
            Self::U64(u64::MAX) => f.write_str("infinity"),
            Self::U64(number) => write!(f, "{number}"),
            Self::Texts(texts) => f.write_str(&texts.join(" ")),
            Self::Numbers(numbers) => write!(f, "{numbers:?}"),
            Self::Bytes(bytes) => write!(f, "{bytes:02x?}"),
        }
    }
}

pub(crate) type Properties = Vec<(String, Value)>;

/// What `StartTransientUnit` is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) name: String,
    /// `None`: the manager's usual one.
    pub(crate) slice: Option<String>,
    pub(crate) properties: Properties,
}

pub(crate) const ANNOTATION: &str = "org.systemd.property.";

/// `cgroupsPath` is `SLICE:PREFIX:NAME` here, as for runc and crun.
pub(crate) fn unit(
    cgroups_path: Option<&Path>,
    id: &str,
    annotations: &BTreeMap<String, String>,
    limits: &Limits,
) -> Result<Unit> {
    let path = cgroups_path.map(|path| path.to_string_lossy()).unwrap_or_default();
    let (slice, prefix, name) = if path.is_empty() {
        ("", "rt", id)
    } else {
        let mut parts = path.split(':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(slice), Some(prefix), Some(name), None) => (slice, prefix, name),
            _ => bail!(
                "linux.cgroupsPath: {path:?} is not of the form SLICE:PREFIX:NAME, which systemd needs"
            ),
        }
    };
    ensure!(!name.is_empty(), "linux.cgroupsPath: {path:?} has no name behind the last colon");
    check_slice(slice)?;
    let is_slice = name.ends_with(".slice");
    let name = match (is_slice, prefix) {
        (true, _) => name.to_owned(),
        (false, "") => format!("{name}.scope"),
        (false, prefix) => format!("{prefix}-{name}.scope"),
    };
    let field = if path.is_empty() { "container ID" } else { "linux.cgroupsPath" };
    ensure!(
        name.len() < 256
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b)),
        "{field}: {name:?} is not the name of a unit: letters, digits and \":-_.\\@\""
    );
    let mut properties = vec![("Description".to_owned(), Value::Text(format!("container {id}")))];
    if !is_slice {
        properties.push(("Delegate".to_owned(), Value::Flag(true)));
    }
    // Device rules are an eBPF filter of ours; systemd would add a second one.
    properties.push(("DevicePolicy".to_owned(), Value::Text("auto".to_owned())));
    properties.push(("DefaultDependencies".to_owned(), Value::Flag(false)));
    for name in ["MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting"] {
        properties.push((name.to_owned(), Value::Flag(true)));
    }
    // Else it has that of DefaultTasksMax; what the config does not limit has no limit.
    let tasks = ("TasksMax".to_owned(), Value::U64(u64::MAX));
    let limited = limit_properties(limits)?;
    if limited.iter().all(|(name, _)| *name != tasks.0) {
        properties.push(tasks);
    }
    properties.extend(limited);
    for (key, text) in annotations {
        if let Some(name) = key.strip_prefix(ANNOTATION) {
            let property =
                annotation(name, text).with_context(|| format!("annotations[{key:?}]"))?;
            properties.retain(|(other, _)| *other != property.0);
            properties.push(property);
        }
    }
    let slice = (!slice.is_empty()).then(|| slice.to_owned());
    Ok(Unit { name, slice, properties })
}

/// systemd.slice(5): dashes are levels, so there can be no empty one.
fn check_slice(slice: &str) -> Result<()> {
    if slice.is_empty() || slice == "-.slice" {
        return Ok(());
    }
    let stem = slice.strip_suffix(".slice").unwrap_or_default();
    let levels = stem.split('-').all(|level| !level.is_empty());
    ensure!(
        levels && !stem.contains('/'),
        "linux.cgroupsPath: {slice:?} is not the name of a slice, such as \"user-1000.slice\""
    );
    Ok(())
}

/// The limits that systemd knows by a property. It would undo what we write without telling it.
pub(crate) fn limit_properties(limits: &Limits) -> Result<Properties> {
    let mut properties = Properties::new();
    for write in &limits.writes {
        for (name, value) in property(write)? {
            // A later write of the same file wins.
            properties.retain(|(other, _)| other != name);
            properties.push((name.to_owned(), value));
        }
    }
    Ok(properties)
}

fn property(write: &Write) -> Result<Vec<(&'static str, Value)>> {
    let value = write.value.trim();
    let amount = || -> Result<Value> {
        let number = if value == "max" { u64::MAX } else { value.parse().context("no number")? };
        Ok(Value::U64(number))
    };
    let one = |name| -> Result<_> { Ok(vec![(name, amount()?)]) };
    match write.file.as_str() {
        "memory.max" => one("MemoryMax"),
        "memory.high" => one("MemoryHigh"),
        "memory.low" => one("MemoryLow"),
        "memory.min" => one("MemoryMin"),
        "memory.swap.max" => one("MemorySwapMax"),
        "cpu.weight" => one("CPUWeight"),
        // 0 stands for "idle" (since systemd 252).
        "cpu.idle" if value == "1" => Ok(vec![("CPUWeight", Value::U64(0))]),
        "pids.max" => one("TasksMax"),
        // Of one device: systemd wants a path for that.
        "io.weight" | "io.bfq.weight" if value.contains(':') => Ok(Vec::new()),
        "io.weight" => {
            let weight = value.strip_prefix("default ").unwrap_or(value);
            Ok(vec![("IOWeight", Value::U64(weight.parse().context("no number")?))])
        }
        "io.bfq.weight" => {
            let weight: u16 = value.parse().context("no number")?;
            Ok(vec![("IOWeight", Value::U64(super::iocost(weight)))])
        }
        "cpu.max" => {
            let (quota, period) = value.split_once(' ').unwrap_or((value, "100000"));
            let period_us: u64 = period.parse().context("not a period")?;
            ensure!(period_us > 0, "not a period");
            let per_second = match quota {
                "max" => u64::MAX,
                quota => {
                    let quota_us: u64 = quota.parse().context("not a quota")?;
                    let exact = quota_us.saturating_mul(1_000_000).div_ceil(period_us);
                    // systemd keeps whole percents, and 0 of them would be no limit.
                    exact.next_multiple_of(10_000)
                }
            };
            Ok(vec![
                ("CPUQuotaPeriodUSec", Value::U64(period_us)),
                ("CPUQuotaPerSecUSec", Value::U64(per_second)),
            ])
        }
        "cpuset.cpus" => Ok(vec![("AllowedCPUs", bit_mask(write, "CPU")?)]),
        "cpuset.mems" => Ok(vec![("AllowedMemoryNodes", bit_mask(write, "memory node")?)]),
        _ => Ok(Vec::new()),
    }
}

/// "0-2,7" as bytes of bits, the lowest number in the lowest bit of the first.
fn bit_mask(write: &Write, what: &str) -> Result<Value> {
    let set = NumberSet::new(&write.field, what, &write.value, 65_535)?;
    let mut bytes: Vec<u8> = set.mask.iter().flat_map(|word| word.to_le_bytes()).collect();
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    Ok(Value::Bytes(bytes))
}

/// A value in the text form of `GVariant`, as runc and crun take it.
fn annotation(name: &str, text: &str) -> Result<(String, Value)> {
    ensure!(
        name.len() >= 3 && name.bytes().all(|b| b.is_ascii_alphabetic()),
        "{name:?} is not the name of a property"
    );
    // systemd's D-Bus properties are in microseconds: TimeoutStopSec is TimeoutStopUSec there.
    if let Some(stem) = name.strip_suffix("Sec").filter(|stem| !stem.ends_with('U')) {
        let number = text.trim();
        let plain = number.split_once(' ').filter(|(kind, _)| INTEGERS.contains(kind));
        let seconds: u64 = plain
            .map_or(number, |(_, number)| number)
            .parse()
            .with_context(|| format!("{text:?} is not a number of seconds"))?;
        let value = seconds.checked_mul(1_000_000).context("too many seconds")?;
        return Ok((format!("{stem}USec"), Value::U64(value)));
    }
    Ok((name.to_owned(), value(text)?))
}

const INTEGERS: [&str; 4] = ["int32", "uint32", "int64", "uint64"];

fn value(text: &str) -> Result<Value> {
    let text = text.trim();
    let quoted = |text: &str| {
        let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
        let inner = inner('\'').or_else(|| inner('"'))?;
        (!inner.contains(['\'', '"', '\\', '\0'])).then(|| inner.to_owned())
    };
    if let Some(text) = quoted(text) {
        return Ok(Value::Text(text));
    }
    let wrong =
        || format!("{text:?} is not a value such as 'text', true, 5, uint64 5, or ['a', 'b']");
    if let Some(list) = text.trim_start_matches("@as ").strip_prefix('[') {
        let list = list.strip_suffix(']').with_context(wrong)?;
        let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
        let texts = items.map(quoted).collect::<Option<_>>().with_context(wrong)?;
        return Ok(Value::Texts(texts));
    }
    Ok(match text.split_once(' ') {
        None if text == "true" || text == "false" => Value::Flag(text == "true"),
        None | Some(("int32", _)) => {
            Value::I32(text.trim_start_matches("int32 ").parse().with_context(wrong)?)
        }
        Some(("uint32", number)) => Value::U32(number.parse().with_context(wrong)?),
        Some(("int64", number)) => Value::I64(number.parse().with_context(wrong)?),
        Some(("uint64", number)) => Value::U64(number.parse().with_context(wrong)?),
        Some(_) => bail!(wrong()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::cgroup::{ZeroPids, limits};

    fn of(path: &str, annotations: &[(&str, &str)], resources: &str) -> Result<Unit> {
        let limits = limits(&serde_json::from_str(resources)?, ZeroPids::Limit)?;
        let annotations =
            annotations.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        unit(Some(Path::new(path)), "web", &annotations, &limits)
    }

    fn names(path: &str) -> (String, Option<String>) {
        let unit = of(path, &[], "{}").unwrap();
        (unit.name, unit.slice)
    }

    fn property<'a>(unit: &'a Unit, name: &str) -> Option<&'a Value> {
        unit.properties.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    #[test]
    fn path_is_slice_prefix_and_name() {
        let slice = |name: &str| Some(name.to_owned());
        assert_eq!(names(""), ("rt-web.scope".into(), None));
        assert_eq!(
            names("system.slice:docker:abc"),
            ("docker-abc.scope".into(), slice("system.slice"))
        );
        assert_eq!(names(":p:n"), ("p-n.scope".into(), None));
        assert_eq!(names("a-b.slice::n"), ("n.scope".into(), slice("a-b.slice")));
        assert_eq!(names("a.slice:x:a-b.slice"), ("a-b.slice".into(), slice("a.slice")));
        for (path, text) in [
            (
                "/a/b",
                "linux.cgroupsPath: \"/a/b\" is not of the form SLICE:PREFIX:NAME, which systemd needs",
            ),
            ("a:b:", "linux.cgroupsPath: \"a:b:\" has no name behind the last colon"),
            (
                "a--b.slice:p:n",
                "linux.cgroupsPath: \"a--b.slice\" is not the name of a slice, such as \"user-1000.slice\"",
            ),
            (
                "a:p:n",
                "linux.cgroupsPath: \"a\" is not the name of a slice, such as \"user-1000.slice\"",
            ),
            (
                ":p:n/m",
                "linux.cgroupsPath: \"p-n/m.scope\" is not the name of a unit: letters, digits and \":-_.\\@\"",
            ),
        ] {
            assert_eq!(of(path, &[], "{}").unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn limits_become_properties() {
        let unit = of(
            "",
            &[],
            r#"{"memory":{"limit":4096,"swap":-1},"cpu":{"quota":20000,"period":50000,"cpus":"0-1,9"},
                "pids":{"limit":7},"unified":{"memory.high":"max"}}"#,
        )
        .unwrap();
        for (name, value) in [
            ("MemoryMax", Value::U64(4096)),
            ("MemorySwapMax", Value::U64(u64::MAX)),
            ("MemoryHigh", Value::U64(u64::MAX)),
            ("CPUQuotaPerSecUSec", Value::U64(400_000)),
            ("CPUQuotaPeriodUSec", Value::U64(50_000)),
            ("TasksMax", Value::U64(7)),
            ("AllowedCPUs", Value::Bytes(vec![0b11, 0b10])),
        ] {
            assert_eq!(property(&unit, name), Some(&value), "{name}");
        }
    }

    #[test]
    fn annotations_become_properties() {
        let get = |name: &str, text: &str| {
            let key = format!("org.systemd.property.{name}");
            of("", &[(key.as_str(), text)], "{}")
                .map(|unit| unit.properties.last().cloned().unwrap())
        };
        let is = |name: &str, value: Value| (name.to_owned(), value);
        assert_eq!(
            get("CollectMode", "'inactive'").unwrap(),
            is("CollectMode", Value::Text("inactive".into()))
        );
        assert_eq!(
            get("TimeoutStopSec", "7").unwrap(),
            is("TimeoutStopUSec", Value::U64(7_000_000))
        );
        assert_eq!(get("TasksMax", "uint64 9").unwrap(), is("TasksMax", Value::U64(9)));
        assert_eq!(get("SendSIGHUP", "true").unwrap(), is("SendSIGHUP", Value::Flag(true)));
        assert_eq!(get("OOMScore", "-5").unwrap(), is("OOMScore", Value::I32(-5)));
        let after = Value::Texts(vec!["a.service".into(), "b.service".into()]);
        assert_eq!(get("After", "['a.service', 'b.service']").unwrap(), is("After", after));
        for (name, text) in
            [("x", "1"), ("Bad-Name", "1"), ("Good", "rubbish"), ("Good", "'a"), ("SomeSec", "x")]
        {
            let err = get(name, text).unwrap_err();
            assert!(
                format!("{err:#}").starts_with("annotations[\"org.systemd.property."),
                "{err:#}"
            );
        }
    }
}
