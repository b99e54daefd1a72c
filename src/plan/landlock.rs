//! Landlock rules for the container's processes, from an annotation of ours (`docs/landlock.md`).
//!
//! Runs in: parent. Pure. The numbers are those of linux/landlock.h. See landlock(7).

use super::c_path;
use crate::error::OrHint as _;
use anyhow::{Result, anyhow, ensure};
use serde::Deserialize;
use std::ffi::CString;
use std::path::Path;

const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
/// Every right over files that we know: those of version 5.
const ALL_FILES: u64 = (1 << 16) - 1;
/// The rights that a rule about something else than a directory may have.
pub(crate) const OF_A_FILE: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

const READ: u64 = READ_FILE | READ_DIR;

const BIND_TCP: u64 = 1 << 0;
const CONNECT_TCP: u64 = 1 << 1;

/// What the processes of a container may do; everything else of the same kind they may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Landlock {
    /// Rights over files which need a rule: all or none.
    files: u64,
    net: u64,
    scoped: u64,
    pub(crate) paths: Vec<PathRule>,
    pub(crate) ports: Vec<PortRule>,
    /// A kernel that cannot keep all of it keeps what it can.
    pub(crate) best_effort: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathRule {
    /// `rw[0]`
    pub(crate) field: String,
    /// Absolute, in the container.
    pub(crate) path: CString,
    pub(crate) rights: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PortRule {
    /// `net_bind[0]`
    pub(crate) field: String,
    pub(crate) port: u16,
    pub(crate) rights: u64,
}

/// What a ruleset handles, on a kernel of some version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handled {
    pub(crate) files: u64,
    pub(crate) net: u64,
    pub(crate) scoped: u64,
}

/// The annotation's value. A list that is absent leaves its kind of access alone; one that is empty allows
/// nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    ro: Option<Vec<String>>,
    exec: Option<Vec<String>>,
    rw: Option<Vec<String>>,
    net_bind: Option<Vec<u16>>,
    net_connect: Option<Vec<u16>>,
    scope: Option<Vec<Scope>>,
    #[serde(default)]
    best_effort: bool,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Scope {
    AbstractUnixSocket,
    Signal,
}

impl Landlock {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).map_err(anyhow::Error::from).hint(
            "write a JSON object such as {\"exec\":[\"/usr\"],\"rw\":[\"/tmp\"],\"net_bind\":[8080]}",
        )?;
        let mut paths = Vec::new();
        for (name, list, rights) in [
            ("ro", &value.ro, READ),
            ("exec", &value.exec, READ | EXECUTE),
            ("rw", &value.rw, ALL_FILES & !EXECUTE),
        ] {
            for (n, path) in list.iter().flatten().enumerate() {
                paths.push(path_rule(format!("{name}[{n}]"), path, rights)?);
            }
        }
        let mut ports = Vec::new();
        for (name, list, rights) in [
            ("net_bind", &value.net_bind, BIND_TCP),
            ("net_connect", &value.net_connect, CONNECT_TCP),
        ] {
            for (n, port) in list.iter().flatten().enumerate() {
                let field = format!("{name}[{n}]");
                // bind(2) takes 0 for any port of ip_local_port_range.
                ensure!(*port != 0 || rights == BIND_TCP, "{field}: 0 is no port to connect to");
                ports.push(PortRule { field, port: *port, rights });
            }
        }
        let has = |is_there: bool, rights: u64| if is_there { rights } else { 0 };
        let all = Self {
            files: has(value.ro.is_some() || value.exec.is_some() || value.rw.is_some(), ALL_FILES),
            net: has(value.net_bind.is_some(), BIND_TCP)
                | has(value.net_connect.is_some(), CONNECT_TCP),
            scoped: value.scope.iter().flatten().fold(0, |all, scope| all | scope.bit()),
            paths,
            ports,
            best_effort: value.best_effort,
        };
        if all.at(i32::MAX).is_nothing() {
            return Err(anyhow!("restricts nothing"))
                .hint("name at least one of ro, exec, rw, net_bind, net_connect and scope");
        }
        Ok(all)
    }

    /// What a kernel with this version of the interface can handle of it; 0 is none.
    pub(crate) fn at(&self, version: i32) -> Handled {
        let known_files = match version {
            ..=0 => 0,
            1 => (1 << 13) - 1,
            2 => (1 << 14) - 1,
            3 | 4 => (1 << 15) - 1,
            5.. => ALL_FILES,
        };
        let since = |first: i32, rights: u64| if version >= first { rights } else { 0 };
        Handled {
            files: self.files & known_files,
            net: since(4, self.net),
            scoped: since(6, self.scoped),
        }
    }

    /// What this kernel cannot keep, as a warning.
    ///
    /// # Errors
    /// The same, without `best_effort`.
    pub(crate) fn check(&self, field: &str, version: i32) -> Result<Option<String>> {
        let wanted = self.at(i32::MAX);
        let kept = self.at(version);
        if kept == wanted {
            return Ok(None);
        }
        let needs = [
            (wanted.scoped != kept.scoped, 6, "6.12"),
            (wanted.files != kept.files, 5, "6.10"),
            (wanted.net != kept.net, 4, "6.7"),
        ];
        let (needed, linux) = needs
            .into_iter()
            .find_map(|(lacks, needed, linux)| lacks.then_some((needed, linux)))
            .unwrap_or_default();
        let has = match version {
            ..=0 => "the kernel has no Landlock".to_string(),
            _ => format!("the kernel has version {version} of Landlock"),
        };
        let text = format!("{field}: {has}, and version {needed} is needed (Linux {linux})");
        if self.best_effort {
            let kept =
                if kept.is_nothing() { "nothing is restricted" } else { "less is restricted" };
            return Ok(Some(format!("{text}: {kept}")));
        }
        Err(anyhow!(text)).hint(
            "boot such a kernel with landlock in lsm=, or add \"best_effort\": true to have what it can",
        )
    }

    /// A line for each rule, for `rt plan`.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.files != 0 {
            lines.push("files: none but".to_string());
        }
        for rule in &self.paths {
            let word = rule.field.split('[').next().unwrap_or_default();
            lines.push(format!("  {word:<5} {}", rule.path.to_string_lossy()));
        }
        for (right, name) in [(BIND_TCP, "bind"), (CONNECT_TCP, "connect")] {
            if self.net & right == 0 {
                continue;
            }
            let ports = self.ports.iter().filter(|rule| rule.rights == right);
            let ports: Vec<String> = ports.map(|rule| rule.port.to_string()).collect();
            lines.push(format!("TCP {name}: none but [{}]", ports.join(", ")));
        }
        for scope in [Scope::AbstractUnixSocket, Scope::Signal] {
            if self.scoped & scope.bit() != 0 {
                lines.push(format!("{}: own processes only", scope.name()));
            }
        }
        if self.best_effort {
            lines.push("best effort".to_string());
        }
        lines
    }
}

impl Handled {
    pub(crate) fn is_nothing(self) -> bool {
        self.files | self.net | self.scoped == 0
    }
}

impl Scope {
    /// `LANDLOCK_SCOPE_*`
    fn bit(self) -> u64 {
        match self {
            Self::AbstractUnixSocket => 1 << 0,
            Self::Signal => 1 << 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::AbstractUnixSocket => "abstract_unix_socket",
            Self::Signal => "signal",
        }
    }
}

fn path_rule(field: String, path: &str, rights: u64) -> Result<PathRule> {
    ensure!(path.starts_with('/'), "{field}: {path:?} is not absolute");
    let path = c_path(&field, Path::new(path))?;
    Ok(PathRule { field, path, rights })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        crate::error::chain(&Landlock::parse(text).unwrap_err())
    }

    #[test]
    fn lists_become_rules() {
        let all = Landlock::parse(
            r#"{"ro":["/etc"],"exec":["/usr","/bin"],"rw":["/tmp"],"net_bind":[0,8080],"scope":["signal"]}"#,
        )
        .unwrap();
        let fields: Vec<&str> = all.paths.iter().map(|rule| rule.field.as_str()).collect();
        assert_eq!(fields, ["ro[0]", "exec[0]", "exec[1]", "rw[0]"]);
        assert_eq!(all.paths[0].rights, 0b1100);
        assert_eq!(all.paths[2].rights, 0b1101);
        assert_eq!(all.paths[3].rights, 0xfffe);
        assert_eq!(all.ports.len(), 2);
        assert_eq!(all.at(6), Handled { files: 0xffff, net: 1, scoped: 2 });
        assert!(!all.best_effort);
    }

    #[test]
    fn absent_lists_leave_their_kind_alone() {
        let all = Landlock::parse(r#"{"net_connect":[]}"#).unwrap();
        assert_eq!(all.at(9), Handled { files: 0, net: 2, scoped: 0 });
        let all = Landlock::parse(r#"{"rw":[]}"#).unwrap();
        assert_eq!(all.at(9), Handled { files: 0xffff, net: 0, scoped: 0 });
    }

    #[test]
    fn older_kernels_know_less() {
        let all = Landlock::parse(r#"{"ro":["/"],"net_bind":[1],"scope":["signal"]}"#).unwrap();
        let files: Vec<u64> = (0..7).map(|version| all.at(version).files).collect();
        assert_eq!(files, [0, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff, 0xffff]);
        assert_eq!((all.at(3).net, all.at(4).net), (0, 1));
        assert_eq!((all.at(5).scoped, all.at(6).scoped), (0, 2));
    }

    #[test]
    fn what_the_kernel_lacks_is_an_error_or_a_warning() {
        let check = |text: &str, version| Landlock::parse(text).unwrap().check("field", version);
        assert_eq!(check(r#"{"net_bind":[1]}"#, 4).unwrap(), None);
        assert_eq!(
            crate::error::chain(&check(r#"{"net_bind":[1]}"#, 3).unwrap_err()),
            "field: the kernel has version 3 of Landlock, and version 4 is needed (Linux 6.7)"
        );
        assert_eq!(
            crate::error::chain(&check(r#"{"ro":["/"]}"#, 0).unwrap_err()),
            "field: the kernel has no Landlock, and version 5 is needed (Linux 6.10)"
        );
        let warning = check(r#"{"ro":["/"],"best_effort":true}"#, 1).unwrap().unwrap();
        assert!(warning.ends_with("(Linux 6.10): less is restricted"), "{warning}");
        let warning = check(r#"{"scope":["signal"],"best_effort":true}"#, 5).unwrap().unwrap();
        assert!(warning.ends_with("(Linux 6.12): nothing is restricted"), "{warning}");
    }

    #[test]
    fn hostile_values_are_refused() {
        assert_eq!(error("{}"), "restricts nothing");
        assert_eq!(error(r#"{"best_effort":true}"#), "restricts nothing");
        assert_eq!(error(r#"{"ro":["usr"]}"#), "ro[0]: \"usr\" is not absolute");
        assert_eq!(error(r#"{"ro":["/a\u0000"]}"#), "ro[0]: NUL byte at position 2");
        assert_eq!(error(r#"{"net_connect":[0]}"#), "net_connect[0]: 0 is no port to connect to");
        for (text, part) in [
            ("", "EOF"),
            ("[1]", "invalid"),
            (r#"{"wr":[]}"#, "unknown field `wr`"),
            (r#"{"ro":[],"ro":[]}"#, "duplicate field `ro`"),
            (r#"{"net_bind":[65536]}"#, "65536"),
            (r#"{"scope":["network"]}"#, "unknown variant `network`"),
            (r#"{"ro":"/"}"#, "invalid type"),
        ] {
            assert!(error(text).contains(part), "{text}: {}", error(text));
        }
    }
}
