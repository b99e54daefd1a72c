//! Turns `linux.resources.devices` into the ordered list which the device filter implements.
//!
//! Runs in: parent. Pure: nothing here touches the system.

use anyhow::{Context as _, Result, bail, ensure};
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

/// Which kind of node a rule is about. FIFOs and sockets are no devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceKind {
    Any,
    Block,
    Char,
}

/// A set of access rights. The bits are those of linux/bpf.h, `BPF_DEVCG_ACC_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access(pub(crate) u8);

impl Access {
    pub(crate) const MKNOD: Self = Self(1);
    pub(crate) const READ: Self = Self(2);
    pub(crate) const WRITE: Self = Self(4);
    pub(crate) const ALL: Self = Self(7);

    /// Parses a set of the letters r, w and m.
    fn parse(letters: &str) -> Result<Self> {
        ensure!(!letters.is_empty(), "must name at least one of r, w and m");
        let mut access = Self(0);
        for letter in letters.chars() {
            access.0 |= match letter {
                'm' => Self::MKNOD.0,
                'r' => Self::READ.0,
                'w' => Self::WRITE.0,
                _ => bail!("{letters:?} has letters other than r, w and m"),
            };
        }
        Ok(access)
    }
}

/// One entry of the list. Entries are applied in order: each one gives or takes its rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeviceRule {
    pub(crate) allow: bool,
    pub(crate) kind: DeviceKind,
    /// `None` is every number.
    pub(crate) major: Option<u32>,
    pub(crate) minor: Option<u32>,
    pub(crate) access: Access,
}

const DENY_ALL: DeviceRule = DeviceRule {
    allow: false,
    kind: DeviceKind::Any,
    major: None,
    minor: None,
    access: Access::ALL,
};

const fn allow_char(major: u32, minor: Option<u32>) -> DeviceRule {
    let access = Access::ALL;
    DeviceRule { allow: true, kind: DeviceKind::Char, major: Some(major), minor, access }
}

/// What every container may use: making (not opening) any node, and the devices of
/// config-linux.md, "Default Devices". /dev/console is a pty here (136:*); 5:1 would be the
/// host's console and is left out, as runc does.
const DEFAULTS: [DeviceRule; 9] = [
    DeviceRule { access: Access::MKNOD, allow: true, ..DENY_ALL },
    allow_char(1, Some(3)), // null
    allow_char(1, Some(8)), // random
    allow_char(1, Some(7)), // full
    allow_char(5, Some(0)), // tty
    allow_char(1, Some(5)), // zero
    allow_char(1, Some(9)), // urandom
    allow_char(136, None),  // pts/*
    allow_char(5, Some(2)), // ptmx
];

/// Deny-all, the spec's rules, the defaults: in this order.
///
/// The defaults come last because every engine's first rule denies everything and relies on the
/// runtime to give these devices back (runc and crun do it in this order, too).
pub(crate) fn rules(devices: &[LinuxDeviceCgroup]) -> Result<Vec<DeviceRule>> {
    let mut rules = vec![DENY_ALL];
    for (index, device) in devices.iter().enumerate() {
        rules.push(rule(device, &format!("linux.resources.devices[{index}]"))?);
    }
    rules.extend(DEFAULTS);
    Ok(rules)
}

fn rule(device: &LinuxDeviceCgroup, field: &str) -> Result<DeviceRule> {
    let kind = match device.typ() {
        None | Some(LinuxDeviceType::A) => DeviceKind::Any,
        Some(LinuxDeviceType::B) => DeviceKind::Block,
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => DeviceKind::Char,
        Some(LinuxDeviceType::P) => bail!("{field}.type: \"p\" is a FIFO, which is not a device"),
    };
    Ok(DeviceRule {
        allow: device.allow(),
        kind,
        major: number(device.major()).with_context(|| format!("{field}.major"))?,
        minor: number(device.minor()).with_context(|| format!("{field}.minor"))?,
        access: Access::parse(device.access().as_deref().unwrap_or_default())
            .with_context(|| format!("{field}.access"))?,
    })
}

/// Absent and -1 are the wildcard.
fn number(value: Option<i64>) -> Result<Option<u32>> {
    match value {
        None | Some(-1) => Ok(None),
        Some(value) => match u32::try_from(value) {
            Ok(number) => Ok(Some(number)),
            Err(_) => bail!("{value} is neither a device number nor -1 (any)"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Vec<DeviceRule>> {
        rules(&serde_json::from_str::<Vec<LinuxDeviceCgroup>>(json).unwrap())
    }

    #[test]
    fn spec_rules_stand_between_deny_all_and_the_defaults() {
        let list = parse(
            r#"[{"allow":false,"access":"rwm"},
                {"allow":true,"type":"b","major":8,"minor":-1,"access":"rm"},
                {"allow":true,"type":"u","major":10,"minor":229,"access":"w"}]"#,
        )
        .unwrap();
        assert_eq!(list.len(), 1 + 3 + DEFAULTS.len());
        assert_eq!(list[0], DENY_ALL);
        assert_eq!(list[1], DENY_ALL);
        let disk = DeviceRule {
            allow: true,
            kind: DeviceKind::Block,
            major: Some(8),
            minor: None,
            access: Access(3),
        };
        assert_eq!(list[2], disk);
        let fuse = DeviceRule { access: Access::WRITE, ..allow_char(10, Some(229)) };
        assert_eq!(list[3], fuse);
        assert_eq!(list[4..], DEFAULTS);
    }

    #[test]
    fn bad_device_rules_name_the_field() {
        for (json, text) in [
            (
                r#"[{"allow":true,"access":"rx"}]"#,
                "linux.resources.devices[0].access: \"rx\" has letters other than r, w and m",
            ),
            (
                r#"[{"allow":true}]"#,
                "linux.resources.devices[0].access: must name at least one of r, w and m",
            ),
            (
                r#"[{"allow":true,"access":"r"},{"allow":true,"type":"c","major":-2,"access":"r"}]"#,
                "linux.resources.devices[1].major: -2 is neither a device number nor -1 (any)",
            ),
            (
                r#"[{"allow":true,"type":"c","minor":4294967296,"access":"r"}]"#,
                "linux.resources.devices[0].minor: 4294967296 is neither a device number nor -1 (any)",
            ),
            (
                r#"[{"allow":true,"type":"p","access":"r"}]"#,
                "linux.resources.devices[0].type: \"p\" is a FIFO, which is not a device",
            ),
        ] {
            assert_eq!(format!("{:#}", parse(json).unwrap_err()), text);
        }
    }
}
