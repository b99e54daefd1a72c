//! linux.namespaces, id mappings and time offsets.
//!
//! Runs in: parent. Pure. See namespaces(7), `user_namespaces(7)`, `time_namespaces(7)`.

use anyhow::{Result, bail, ensure};
use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType};
use std::path::PathBuf;

/// In the order in which existing ones are joined: the user namespace first, as it may give the
/// privilege for the others; the mount namespace last, as it takes the host's paths away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    User,
    Ipc,
    Uts,
    Network,
    Pid,
    Cgroup,
    Time,
    Mount,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::User,
        Self::Ipc,
        Self::Uts,
        Self::Network,
        Self::Pid,
        Self::Cgroup,
        Self::Time,
        Self::Mount,
    ];

    /// The name in the config.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::Network => "network",
            Self::Pid => "pid",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
            Self::Mount => "mount",
        }
    }

    /// The name below /proc/PID/ns.
    pub(crate) fn proc_name(self) -> &'static str {
        match self {
            Self::Network => "net",
            Self::Mount => "mnt",
            Self::User | Self::Ipc | Self::Uts | Self::Pid | Self::Cgroup | Self::Time => {
                self.name()
            }
        }
    }

    fn from_spec(typ: LinuxNamespaceType) -> Self {
        match typ {
            LinuxNamespaceType::Mount => Self::Mount,
            LinuxNamespaceType::Cgroup => Self::Cgroup,
            LinuxNamespaceType::Uts => Self::Uts,
            LinuxNamespaceType::Ipc => Self::Ipc,
            LinuxNamespaceType::User => Self::User,
            LinuxNamespaceType::Pid => Self::Pid,
            LinuxNamespaceType::Network => Self::Network,
            LinuxNamespaceType::Time => Self::Time,
        }
    }
}

/// An existing namespace to enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Join {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
    /// `linux.namespaces[2].path`
    pub(crate) field: String,
}

/// A range of ids: `container..container+size` are `host..host+size` outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdMap {
    pub(crate) container: u32,
    pub(crate) host: u32,
    pub(crate) size: u32,
}

/// Who `id` of the container is outside.
pub(crate) fn host_id(maps: &[IdMap], id: u32) -> Option<u32> {
    let within = |map: &&IdMap| id.checked_sub(map.container).is_some_and(|at| at < map.size);
    maps.iter().find(within).map(|map| map.host + (id - map.container))
}

/// Offset of a clock in a new time namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimeOffset {
    /// `monotonic` or `boottime`, as in the config and in /`proc/PID/timens_offsets`.
    pub(crate) clock: &'static str,
    pub(crate) secs: i64,
    pub(crate) nanosecs: u32,
}

/// The mappings for a config without user namespace, when an ordinary user cannot do without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DefaultMaps {
    pub(crate) uid: Vec<IdMap>,
    pub(crate) gid: Vec<IdMap>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Namespaces {
    pub(crate) create: Vec<Kind>,
    pub(crate) join: Vec<Join>,
    pub(crate) uid_maps: Vec<IdMap>,
    pub(crate) gid_maps: Vec<IdMap>,
    pub(crate) time_offsets: Vec<TimeOffset>,
}

impl Namespaces {
    pub(crate) fn new(linux: &Linux) -> Result<Self> {
        let mut plan = Self {
            uid_maps: id_maps("linux.uidMappings", linux.uid_mappings().as_deref())?,
            gid_maps: id_maps("linux.gidMappings", linux.gid_mappings().as_deref())?,
            ..Self::default()
        };
        for (n, namespace) in linux.namespaces().iter().flatten().enumerate() {
            let field = format!("linux.namespaces[{n}]");
            let kind = Kind::from_spec(namespace.typ());
            ensure!(!plan.has(kind), "{field}.type: {:?} is listed twice", kind.name());
            match namespace.path().as_ref().filter(|path| !path.as_os_str().is_empty()) {
                None => plan.create.push(kind),
                Some(path) => {
                    super::c_path(&format!("{field}.path"), path)?;
                    ensure!(path.is_absolute(), "{field}.path: {path:?} is not absolute");
                    plan.join.push(Join {
                        kind,
                        path: path.clone(),
                        field: format!("{field}.path"),
                    });
                }
            }
        }
        plan.create.sort_unstable();
        plan.join.sort_unstable_by_key(|join| join.kind);
        plan.check_id_maps()?;
        plan.time_offsets = plan.time_offsets(linux)?;
        Ok(plan)
    }

    fn check_id_maps(&self) -> Result<()> {
        let mapped = !self.uid_maps.is_empty() || !self.gid_maps.is_empty();
        if mapped && !self.has(Kind::User) {
            bail!("linux.uidMappings: needs a \"user\" entry in linux.namespaces");
        }
        if self.creates(Kind::User) {
            ensure!(
                !self.uid_maps.is_empty(),
                "linux.uidMappings: missing; a new user namespace needs at least one mapping"
            );
            ensure!(
                !self.gid_maps.is_empty(),
                "linux.gidMappings: missing; a new user namespace needs at least one mapping"
            );
        }
        Ok(())
    }

    fn time_offsets(&self, linux: &Linux) -> Result<Vec<TimeOffset>> {
        let mut offsets = Vec::new();
        for (clock, offset) in linux.time_offsets().iter().flatten() {
            let field = format!("linux.timeOffsets.{clock}");
            ensure!(
                self.creates(Kind::Time),
                "{field}: needs a new \"time\" entry in linux.namespaces"
            );
            let clock = match clock.as_str() {
                "monotonic" => "monotonic",
                "boottime" => "boottime",
                _ => bail!("{field}: unknown clock, there are \"monotonic\" and \"boottime\""),
            };
            let nanosecs = offset.nanosecs().unwrap_or(0);
            ensure!(nanosecs < 1_000_000_000, "{field}.nanosecs: {nanosecs} is a second or more");
            offsets.push(TimeOffset { clock, secs: offset.secs().unwrap_or(0), nanosecs });
        }
        offsets.sort_unstable_by_key(|offset| offset.clock);
        Ok(offsets)
    }

    /// The config names no user namespace, and there must be one.
    pub(crate) fn add_user(&mut self, maps: &DefaultMaps) {
        self.create.insert(0, Kind::User);
        self.uid_maps = maps.uid.clone();
        self.gid_maps = maps.gid.clone();
    }

    /// Is this container id a group of the host? Not known for a user namespace that is joined.
    pub(crate) fn lacks_gid(&self, gid: u32) -> bool {
        let has = |map: &IdMap| gid >= map.container && gid - map.container < map.size;
        self.creates(Kind::User) && !self.gid_maps.iter().any(has)
    }

    pub(crate) fn creates(&self, kind: Kind) -> bool {
        self.create.contains(&kind)
    }

    pub(crate) fn joins(&self, kind: Kind) -> Option<&Join> {
        self.join.iter().find(|join| join.kind == kind)
    }

    /// Created or joined: the container does not live in the host's one.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.creates(kind) || self.joins(kind).is_some()
    }
}

pub(crate) fn id_maps(field: &str, maps: Option<&[LinuxIdMapping]>) -> Result<Vec<IdMap>> {
    let mut plan = Vec::new();
    for (n, map) in maps.unwrap_or_default().iter().enumerate() {
        let map = IdMap { container: map.container_id(), host: map.host_id(), size: map.size() };
        ensure!(map.size > 0, "{field}[{n}].size: a mapping must have at least one id");
        let end = |first: u32| first.checked_add(map.size - 1).filter(|last| *last != u32::MAX);
        ensure!(
            end(map.container).is_some(),
            "{field}[{n}]: containerID + size is beyond 4294967294"
        );
        ensure!(end(map.host).is_some(), "{field}[{n}]: hostID + size is beyond 4294967294");
        plan.push(map);
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Result<Namespaces> {
        Namespaces::new(&serde_json::from_str(json)?)
    }

    fn error(json: &str) -> String {
        plan(json).err().map(|err| err.to_string()).unwrap_or_default()
    }

    #[test]
    fn created_and_joined_are_sorted_into_joining_order() {
        let plan = plan(
            r#"{"namespaces":[{"type":"mount"},{"type":"network","path":"/n"},{"type":"pid"},
                {"type":"user","path":"/u"}]}"#,
        )
        .unwrap();
        assert_eq!(plan.create, [Kind::Pid, Kind::Mount]);
        assert_eq!(
            plan.join.iter().map(|join| join.kind).collect::<Vec<_>>(),
            [Kind::User, Kind::Network]
        );
    }

    #[test]
    fn errors_name_the_field() {
        let table = [
            (
                r#"{"namespaces":[{"type":"pid"},{"type":"pid"}]}"#,
                "linux.namespaces[1].type: \"pid\" is listed twice",
            ),
            (
                r#"{"namespaces":[{"type":"user"}]}"#,
                "linux.uidMappings: missing; a new user namespace needs at least one mapping",
            ),
            (
                r#"{"uidMappings":[{"containerID":0,"hostID":0,"size":1}]}"#,
                "linux.uidMappings: needs a \"user\" entry in linux.namespaces",
            ),
            (
                r#"{"namespaces":[{"type":"user"}],"uidMappings":[{"containerID":1,"hostID":0,"size":4294967295}]}"#,
                "linux.uidMappings[0]: containerID + size is beyond 4294967294",
            ),
            (
                r#"{"namespaces":[{"type":"time"}],"timeOffsets":{"realtime":{"secs":1}}}"#,
                "linux.timeOffsets.realtime: unknown clock, there are \"monotonic\" and \"boottime\"",
            ),
            (
                r#"{"namespaces":[{"type":"uts","path":"x"}]}"#,
                "linux.namespaces[0].path: \"x\" is not absolute",
            ),
        ];
        for (json, text) in table {
            assert_eq!(error(json), text);
        }
    }
}
