//! `process`: who the payload is and what it may do.
//!
//! Runs in: parent. Pure. Used for create (`config.json`) and exec (`--process` or flags).

use super::hooks::strings;
use super::scheduling::Scheduling;
use super::{Extensions, annotations, c_path, c_string};
use anyhow::{Context as _, Result, bail, ensure};
use oci_spec::runtime::{Capabilities, LinuxCapabilities, PosixRlimit, PosixRlimitType};
use std::ffi::CString;

/// The five sets of capabilities(7), one bit a capability.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CapabilitySets {
    pub(crate) bounding: u64,
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
    pub(crate) ambient: u64,
}

/// A limit of getrlimit(2), in its units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rlimit {
    /// `process.rlimits[0]`
    pub(crate) field: String,
    pub(crate) name: String,
    /// Number of the resource, `RLIMIT_*` of the kernel.
    pub(crate) resource: u32,
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) terminal: bool,
    /// Rows and columns.
    pub(crate) console_size: Option<(u16, u16)>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) umask: u32,
    pub(crate) groups: Vec<u32>,
    /// Those of the caller stay instead.
    pub(crate) keep_groups: bool,
    pub(crate) args: Vec<CString>,
    pub(crate) env: Vec<CString>,
    pub(crate) cwd: CString,
    /// Absent in the config means none at all, as in runc and crun.
    pub(crate) capabilities: CapabilitySets,
    pub(crate) rlimits: Vec<Rlimit>,
    pub(crate) no_new_privs: bool,
    pub(crate) oom_score_adj: Option<i32>,
    pub(crate) apparmor_profile: Option<CString>,
    pub(crate) selinux_label: Option<CString>,
    pub(crate) scheduling: Scheduling,
    /// `process`, for errors.
    pub(crate) field: String,
}

impl Process {
    pub(crate) fn new(process: &oci_spec::runtime::Process, field: &str) -> Result<Self> {
        let at = |name: &str| format!("{field}.{name}");
        let args = strings(&at("args"), process.args().as_deref())?;
        let Some(program) = args.first() else {
            bail!("{}: missing; it names the program to run", at("args"))
        };
        ensure!(!program.is_empty(), "{}: empty", at("args[0]"));
        let env = strings(&at("env"), process.env().as_deref())?;
        let cwd = process.cwd();
        ensure!(
            cwd.is_absolute(),
            "{}: {:?} is not absolute; \"/\" is the root directory",
            at("cwd"),
            cwd.display()
        );
        let user = process.user();
        let umask = user.umask().unwrap_or(0o022);
        ensure!(umask <= 0o777, "{}: {umask} is more than 511 (0777)", at("user.umask"));
        for (name, id) in [("user.uid", user.uid()), ("user.gid", user.gid())] {
            ensure!(id != u32::MAX, "{}: {id} is not a valid id", at(name));
        }
        let terminal = process.terminal().unwrap_or(false);
        Ok(Self {
            terminal,
            console_size: console_size(&at("consoleSize"), process.console_size())?
                .filter(|_| terminal),
            uid: user.uid(),
            gid: user.gid(),
            umask,
            groups: user.additional_gids().clone().unwrap_or_default(),
            keep_groups: false,
            cwd: c_path(&at("cwd"), cwd)?,
            capabilities: process.capabilities().as_ref().map(capability_sets).unwrap_or_default(),
            rlimits: rlimits(&at("rlimits"), process.rlimits().as_deref())?,
            no_new_privs: process.no_new_privileges().unwrap_or(false),
            oom_score_adj: oom_score_adj(&at("oomScoreAdj"), process.oom_score_adj())?,
            apparmor_profile: label(&at("apparmorProfile"), process.apparmor_profile().as_deref())?,
            selinux_label: label(&at("selinuxLabel"), process.selinux_label().as_deref())?,
            scheduling: Scheduling::new(process, field)?,
            args,
            env,
            field: field.to_string(),
        })
    }

    /// What the container's annotations say about all of its processes.
    pub(crate) fn extend(&mut self, extensions: &Extensions, warnings: &mut Vec<String>) {
        self.keep_groups = extensions.keep_original_groups;
        if self.keep_groups && !self.groups.is_empty() {
            warnings.push(format!(
                "{}.user.additionalGids: has no effect, as {} is set",
                self.field,
                annotations::field(annotations::KEEP_GROUPS)
            ));
            self.groups.clear();
        }
    }

    pub(crate) fn set_env(&mut self, name: &str, value: &str) -> Result<()> {
        let prefix = format!("{name}=");
        self.env.retain(|entry| !entry.as_bytes().starts_with(prefix.as_bytes()));
        self.env.push(CString::new(prefix + value)?);
        Ok(())
    }

    /// The value of a variable in `env`; the last one wins, as in runc.
    pub(crate) fn env(&self, name: &str) -> Option<&[u8]> {
        let of = |entry: &'_ CString| -> Option<usize> {
            let bytes = entry.as_bytes();
            (bytes.starts_with(name.as_bytes()) && bytes.get(name.len()) == Some(&b'='))
                .then_some(name.len() + 1)
        };
        self.env.iter().rev().find_map(|entry| entry.as_bytes().get(of(entry)?..))
    }
}

fn console_size(field: &str, size: Option<oci_spec::runtime::Box>) -> Result<Option<(u16, u16)>> {
    let Some(size) = size else { return Ok(None) };
    let cells = |name: &str, n: u64| {
        u16::try_from(n).with_context(|| format!("{field}.{name}: {n} is more than 65535"))
    };
    Ok(Some((cells("height", size.height())?, cells("width", size.width())?)))
}

fn label(field: &str, text: Option<&str>) -> Result<Option<CString>> {
    text.filter(|text| !text.is_empty())
        .map(|text| c_string(field, text.as_bytes(), 4095))
        .transpose()
}

fn oom_score_adj(field: &str, value: Option<i32>) -> Result<Option<i32>> {
    if let Some(value) = value {
        ensure!((-1000..=1000).contains(&value), "{field}: {value} is not in -1000..1000");
    }
    Ok(value)
}

fn rlimits(field: &str, limits: Option<&[PosixRlimit]>) -> Result<Vec<Rlimit>> {
    let mut plan: Vec<Rlimit> = Vec::new();
    for (n, limit) in limits.unwrap_or_default().iter().enumerate() {
        let field = format!("{field}[{n}]");
        let (name, resource) = resource(limit.typ());
        ensure!(
            limit.soft() <= limit.hard(),
            "{field}: soft limit {} is more than hard limit {}",
            limit.soft(),
            limit.hard()
        );
        ensure!(
            plan.iter().all(|other| other.resource != resource),
            "{field}.type: {name} is listed twice"
        );
        plan.push(Rlimit {
            field,
            name: name.into(),
            resource,
            soft: limit.soft(),
            hard: limit.hard(),
        });
    }
    Ok(plan)
}

/// asm-generic/resource.h; the same numbers on `x86_64` and aarch64.
fn resource(typ: PosixRlimitType) -> (&'static str, u32) {
    match typ {
        PosixRlimitType::RlimitCpu => ("RLIMIT_CPU", 0),
        PosixRlimitType::RlimitFsize => ("RLIMIT_FSIZE", 1),
        PosixRlimitType::RlimitData => ("RLIMIT_DATA", 2),
        PosixRlimitType::RlimitStack => ("RLIMIT_STACK", 3),
        PosixRlimitType::RlimitCore => ("RLIMIT_CORE", 4),
        PosixRlimitType::RlimitRss => ("RLIMIT_RSS", 5),
        PosixRlimitType::RlimitNproc => ("RLIMIT_NPROC", 6),
        PosixRlimitType::RlimitNofile => ("RLIMIT_NOFILE", 7),
        PosixRlimitType::RlimitMemlock => ("RLIMIT_MEMLOCK", 8),
        PosixRlimitType::RlimitAs => ("RLIMIT_AS", 9),
        PosixRlimitType::RlimitLocks => ("RLIMIT_LOCKS", 10),
        PosixRlimitType::RlimitSigpending => ("RLIMIT_SIGPENDING", 11),
        PosixRlimitType::RlimitMsgqueue => ("RLIMIT_MSGQUEUE", 12),
        PosixRlimitType::RlimitNice => ("RLIMIT_NICE", 13),
        PosixRlimitType::RlimitRtprio => ("RLIMIT_RTPRIO", 14),
        PosixRlimitType::RlimitRttime => ("RLIMIT_RTTIME", 15),
    }
}

pub(crate) fn capability_sets(sets: &LinuxCapabilities) -> CapabilitySets {
    let permitted = mask(sets.permitted().as_ref());
    let inheritable = mask(sets.inheritable().as_ref());
    CapabilitySets {
        bounding: mask(sets.bounding().as_ref()),
        effective: mask(sets.effective().as_ref()) & permitted,
        permitted,
        inheritable,
        // capabilities(7): the kernel refuses an ambient capability that is not in both others.
        ambient: mask(sets.ambient().as_ref()) & permitted & inheritable,
    }
}

fn mask(set: Option<&Capabilities>) -> u64 {
    let number = |name: String| -> Option<u8> {
        let name = if name.starts_with("CAP_") { name } else { format!("CAP_{name}") };
        name.parse::<caps::Capability>().ok().map(|capability| capability.index())
    };
    set.into_iter()
        .flatten()
        .filter_map(|name| number(name.to_string()))
        .fold(0, |mask, n| mask | 1 << n)
}

/// `chown,kill`: the names of a set, for people.
pub(crate) fn capability_names(mask: u64) -> String {
    let has = |capability: &caps::Capability| mask & capability.bitmask() != 0;
    let mut all: Vec<caps::Capability> = caps::all().into_iter().filter(has).collect();
    all.sort_unstable_by_key(caps::Capability::index);
    let name = |capability: &caps::Capability| capability.to_string().replace("CAP_", "");
    all.iter().map(name).collect::<Vec<_>>().join(",").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Result<Process> {
        Process::new(&serde_json::from_str(json)?, "process")
    }

    fn error(json: &str) -> String {
        plan(json).unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_resolved() {
        let plan = plan(r#"{"user":{},"args":["sh"],"cwd":"/","env":["A=1","A=2"]}"#).unwrap();
        assert_eq!((plan.umask, plan.terminal, plan.no_new_privs), (0o022, false, false));
        assert_eq!(plan.env("A"), Some(&b"2"[..]));
        assert_eq!(plan.env("B"), None);
    }

    #[test]
    fn errors_name_the_field() {
        let table = [
            (r#"{"user":{},"cwd":"/"}"#, "process.args: missing; it names the program to run"),
            (r#"{"user":{},"args":[""],"cwd":"/"}"#, "process.args[0]: empty"),
            (
                r#"{"user":{},"args":["a"],"cwd":"x"}"#,
                "process.cwd: \"x\" is not absolute; \"/\" is the root directory",
            ),
            (
                r#"{"user":{},"args":["a"],"cwd":"/","oomScoreAdj":1001}"#,
                "process.oomScoreAdj: 1001 is not in -1000..1000",
            ),
            (
                r#"{"user":{},"args":["a"],"cwd":"/","rlimits":[{"type":"RLIMIT_CPU","soft":2,"hard":1}]}"#,
                "process.rlimits[0]: soft limit 2 is more than hard limit 1",
            ),
            (
                r#"{"user":{"umask":512},"args":["a"],"cwd":"/"}"#,
                "process.user.umask: 512 is more than 511 (0777)",
            ),
        ];
        for (json, text) in table {
            assert_eq!(error(json), text);
        }
    }

    #[test]
    fn capability_sets_are_bit_masks() {
        let plan = plan(
            r#"{"user":{},"args":["a"],"cwd":"/","capabilities":{"bounding":["CAP_CHOWN","CAP_BPF"],
                "permitted":["CAP_KILL"],"effective":["CAP_KILL","CAP_CHOWN"],"ambient":["CAP_KILL"]}}"#,
        )
        .unwrap();
        let sets = plan.capabilities;
        assert_eq!((sets.bounding, sets.effective, sets.ambient), (1 | 1 << 39, 1 << 5, 0));
        assert_eq!(capability_names(sets.bounding), "chown,bpf");
    }
}
