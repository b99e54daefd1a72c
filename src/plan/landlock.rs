//! Landlock rules for the container's processes, from an annotation of ours (`docs/landlock.md`).
//!
//! Runs in: parent. Pure. The numbers are those of linux/landlock.h. See landlock(7).

use crate::error::OrHint as _;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::Value;
use std::ffi::CString;

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

const ABSTRACT_UNIX_SOCKET: u64 = 1 << 0;
const SIGNAL: u64 = 1 << 1;

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

/// What the values of a list are.
#[derive(Clone, Copy)]
enum Kind {
    Files,
    Ports,
    Scopes,
}

/// A key that holds a list, with the rights that its rules give.
fn kind(key: &str) -> Option<(Kind, u64)> {
    Some(match key {
        "ro" => (Kind::Files, READ),
        "exec" => (Kind::Files, READ | EXECUTE),
        "rw" => (Kind::Files, ALL_FILES & !EXECUTE),
        "net_bind" => (Kind::Ports, BIND_TCP),
        "net_connect" => (Kind::Ports, CONNECT_TCP),
        "scope" => (Kind::Scopes, 0),
        _ => return None,
    })
}

impl Landlock {
    /// Reads the annotation's value, a JSON object. A list that is absent leaves its kind of access alone;
    /// one that is empty allows nothing.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        Self::read(text).hint(
            "write a JSON object such as {\"exec\":[\"/usr\"],\"rw\":[\"/tmp\"],\"net_bind\":[8080]}; \
             the keys are ro, exec, rw, net_bind, net_connect, scope and best_effort",
        )
    }

    fn read(text: &str) -> Result<Self> {
        let Value::Object(object) = serde_json::from_str(text)? else { bail!("not an object") };
        let mut all = Self {
            files: 0,
            net: 0,
            scoped: 0,
            paths: Vec::new(),
            ports: Vec::new(),
            best_effort: false,
        };
        for (key, value) in &object {
            if key == "best_effort" {
                all.best_effort = value.as_bool().context("best_effort: neither true nor false")?;
                continue;
            }
            let Some((kind, rights)) = kind(key) else { bail!("{key:?} is not a known key") };
            let Value::Array(list) = value else { bail!("{key}: not a list") };
            match kind {
                Kind::Files => all.files = ALL_FILES,
                Kind::Ports => all.net |= rights,
                Kind::Scopes => {}
            }
            for (n, value) in list.iter().enumerate() {
                let field = format!("{key}[{n}]");
                all.add(kind, rights, &field, value)
                    .with_context(|| format!("{field}: {value}"))?;
            }
        }
        ensure!(!all.at(i32::MAX).is_nothing(), "restricts nothing");
        Ok(all)
    }

    fn add(&mut self, kind: Kind, rights: u64, field: &str, value: &Value) -> Result<()> {
        let port = value.as_u64().and_then(|port| u16::try_from(port).ok());
        match (kind, value.as_str(), port) {
            (Kind::Files, Some(path), _) => {
                ensure!(path.starts_with('/'), "not absolute");
                let path = super::c_string("path", path.as_bytes(), super::PATH_MAX)?;
                self.paths.push(PathRule { field: field.into(), path, rights });
            }
            // bind(2) takes 0 for any port of ip_local_port_range.
            (Kind::Ports, _, Some(port)) if port != 0 || rights == BIND_TCP => {
                self.ports.push(PortRule { field: field.into(), port, rights });
            }
            (Kind::Scopes, Some("abstract_unix_socket"), _) => self.scoped |= ABSTRACT_UNIX_SOCKET,
            (Kind::Scopes, Some("signal"), _) => self.scoped |= SIGNAL,
            (Kind::Files, ..) => bail!("not a path"),
            (Kind::Ports, ..) => bail!("not a port"),
            (Kind::Scopes, ..) => bail!("neither abstract_unix_socket nor signal"),
        }
        Ok(())
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

    /// What a kernel of this version cannot keep, as a warning.
    ///
    /// # Errors
    /// The same, without `best_effort`.
    pub(crate) fn check(&self, field: &str, version: i32) -> Result<Option<String>> {
        let wanted = self.at(i32::MAX);
        let kept = self.at(version);
        if kept == wanted {
            return Ok(None);
        }
        let (needed, linux) = if wanted.scoped != kept.scoped {
            (6, "6.12")
        } else if wanted.files != kept.files {
            (5, "6.10")
        } else {
            (4, "6.7")
        };
        let text = format!(
            "{field}: version {needed} of Landlock is needed (Linux {linux}), the kernel has {version}"
        );
        if self.best_effort {
            return Ok(Some(text + ": less is restricted, or nothing"));
        }
        Err(anyhow!(text)).hint(
            "boot such a kernel with landlock in lsm=, or add \"best_effort\": true to have what it can",
        )
    }
}

impl Handled {
    pub(crate) fn is_nothing(self) -> bool {
        self.files | self.net | self.scoped == 0
    }
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
        assert_eq!(fields, ["exec[0]", "exec[1]", "ro[0]", "rw[0]"]);
        assert_eq!(all.paths[1].rights, 0b1101);
        assert_eq!(all.paths[2].rights, 0b1100);
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
        for (text, version, error) in [
            (
                r#"{"net_bind":[1]}"#,
                3,
                "version 4 of Landlock is needed (Linux 6.7), the kernel has 3",
            ),
            (
                r#"{"ro":["/"]}"#,
                0,
                "version 5 of Landlock is needed (Linux 6.10), the kernel has 0",
            ),
            (
                r#"{"ro":[],"scope":["signal"]}"#,
                5,
                "version 6 of Landlock is needed (Linux 6.12), the kernel has 5",
            ),
        ] {
            let err = crate::error::chain(&check(text, version).unwrap_err());
            assert_eq!(err, format!("field: {error}"));
        }
        let warning = check(r#"{"ro":["/"],"best_effort":true}"#, 1).unwrap().unwrap();
        assert!(warning.ends_with("the kernel has 1: less is restricted, or nothing"), "{warning}");
    }

    #[test]
    fn hostile_values_are_refused() {
        for (text, why) in [
            ("{}", "restricts nothing"),
            (r#"{"best_effort":true}"#, "restricts nothing"),
            (r#"{"ro":["usr"]}"#, "ro[0]: \"usr\": not absolute"),
            (r#"{"ro":["/a\u0000"]}"#, "ro[0]: \"/a\\u0000\": path: NUL byte at position 2"),
            (r#"{"ro":[["/"]]}"#, "ro[0]: [\"/\"]: not a path"),
            (r#"{"net_connect":[0]}"#, "net_connect[0]: 0: not a port"),
            (r#"{"net_bind":[65536]}"#, "net_bind[0]: 65536: not a port"),
            (r#"{"net_bind":["80"]}"#, "net_bind[0]: \"80\": not a port"),
            (
                r#"{"scope":["network"]}"#,
                "scope[0]: \"network\": neither abstract_unix_socket nor signal",
            ),
            (r#"{"wr":[]}"#, "\"wr\" is not a known key"),
            (r#"{"best_effort":1}"#, "best_effort: neither true nor false"),
            (r#"{"ro":"/"}"#, "ro: not a list"),
            (r#"{"ro":null}"#, "ro: not a list"),
            ("[1]", "not an object"),
            ("", "EOF while parsing a value at line 1 column 0"),
        ] {
            assert_eq!(error(text), why, "{text}");
        }
    }
}
