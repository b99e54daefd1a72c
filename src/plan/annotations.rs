//! Annotations that change what is done: those of crun which engines use, and one of ours.
//!
//! Runs in: parent. Pure. An annotation that is not in [`KNOWN`] is its writer's own affair and left
//! alone. `docs/annotations.md` says what each one means.

use super::landlock::Landlock;
use super::seccomp::{self, Insn};
use crate::error::OrHint as _;
use anyhow::{Result, anyhow};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::path::{Component, Path, PathBuf};

/// What the annotations of a config ask for.
#[derive(Debug)]
pub(crate) struct Extensions {
    /// The caller's supplementary groups stay, instead of those of the config.
    pub(crate) keep_original_groups: bool,
    /// The mount option that `linux.mountLabel` becomes.
    pub(crate) mount_context: &'static CStr,
    /// Where the seccomp listener goes without `linux.seccomp.listenerPath`.
    pub(crate) seccomp_receiver: Option<PathBuf>,
    pub(crate) fail_unknown_syscall: bool,
    /// A finished filter, instead of the one that `linux.seccomp` describes.
    pub(crate) seccomp_program: Option<Vec<Insn>>,
    /// A socket which gets init's pidfd.
    pub(crate) pidfd_receiver: Option<PathBuf>,
    pub(crate) hooks_output: HooksOutput,
    /// For the systemd manager; empty: none at all.
    pub(crate) systemd_subgroup: Option<String>,
    /// A cgroup below the container's, which the payload manages.
    pub(crate) delegate_cgroup: Option<String>,
    pub(crate) landlock: Option<Landlock>,
    /// The keys that were found, for `rt plan`.
    pub(crate) in_effect: Vec<&'static str>,
}

/// Absolute paths on the host, to be appended to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HooksOutput {
    pub(crate) stdout: Option<PathBuf>,
    pub(crate) stderr: Option<PathBuf>,
}

pub(crate) const SECCOMP_RECEIVER: &str = "run.oci.seccomp.receiver";
pub(crate) const SECCOMP_BPF: &str = "run.oci.seccomp_bpf_data";
pub(crate) const FAIL_UNKNOWN_SYSCALL: &str = "run.oci.seccomp_fail_unknown_syscall";
pub(crate) const HOOKS_STDOUT: &str = "run.oci.hooks.stdout";
pub(crate) const HOOKS_STDERR: &str = "run.oci.hooks.stderr";
pub(crate) const PIDFD_RECEIVER: &str = "run.oci.pidfd_receiver";
pub(crate) const DELEGATE_CGROUP: &str = "run.oci.delegate-cgroup";
pub(crate) const KEEP_GROUPS: &str = "run.oci.keep_original_groups";
pub(crate) const LANDLOCK: &str = "io.github.rt.landlock";

type Reader = fn(&mut Extensions, &Annotation<'_>) -> Result<()>;

/// Every annotation that is looked at, and what reads it.
const KNOWN: [(&str, Reader); 14] = [
    (LANDLOCK, |all, a| {
        all.landlock = Some(Landlock::parse(a.value).map_err(|err| err.context(a.field()))?);
        Ok(())
    }),
    (DELEGATE_CGROUP, |all, a| {
        // Podman's users write "/init", too.
        let name = a.value.strip_prefix('/').unwrap_or(a.value);
        all.delegate_cgroup = a.cgroup_name(name)?;
        Ok(())
    }),
    ("run.oci.handler", handler),
    (HOOKS_STDERR, |all, a| a.path().map(|path| all.hooks_output.stderr = Some(path))),
    (HOOKS_STDOUT, |all, a| a.path().map(|path| all.hooks_output.stdout = Some(path))),
    (KEEP_GROUPS, |all, a| a.switch().map(|on| all.keep_original_groups = on)),
    ("run.oci.mount_context_type", mount_context),
    (PIDFD_RECEIVER, |all, a| a.path().map(|path| all.pidfd_receiver = Some(path))),
    ("run.oci.seccomp.plugins", |_all, a| {
        a.refuse(
            "is not possible: rt loads no plugins into itself",
            "run them in an agent, and name its socket in linux.seccomp.listenerPath",
        )
    }),
    (SECCOMP_RECEIVER, |all, a| a.path().map(|path| all.seccomp_receiver = Some(path))),
    (SECCOMP_BPF, |all, a| {
        let program = seccomp::raw::parse(a.value).map_err(|err| err.context(a.field()))?;
        all.seccomp_program = Some(program);
        Ok(())
    }),
    (FAIL_UNKNOWN_SYSCALL, |all, a| a.switch().map(|on| all.fail_unknown_syscall = on)),
    ("run.oci.systemd.force_cgroup_v1", |_all, a| {
        a.refuse(
            "is not supported",
            "mount the hierarchy none,name=systemd on the host, and bind it there in mounts",
        )
    }),
    ("run.oci.systemd.subgroup", |all, a| {
        all.systemd_subgroup = a.cgroup_name(a.value)?;
        Ok(())
    }),
];

/// The keys that change what rt does, sorted: features.md, "potentiallyUnsafeConfigAnnotations".
pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|(key, _)| *key)
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            keep_original_groups: false,
            mount_context: c"context",
            seccomp_receiver: None,
            fail_unknown_syscall: false,
            seccomp_program: None,
            pidfd_receiver: None,
            hooks_output: HooksOutput::default(),
            systemd_subgroup: None,
            delegate_cgroup: None,
            landlock: None,
            in_effect: Vec::new(),
        }
    }
}

impl Extensions {
    pub(crate) fn new(annotations: &BTreeMap<String, String>) -> Result<Self> {
        let mut all = Self::default();
        for (key, read) in KNOWN {
            if let Some(value) = annotations.get(key) {
                read(&mut all, &Annotation { key, value })?;
                all.in_effect.push(key);
            }
        }
        Ok(all)
    }
}

struct Annotation<'a> {
    key: &'static str,
    value: &'a str,
}

impl Annotation<'_> {
    fn field(&self) -> String {
        field(self.key)
    }

    /// The error of a wrong value.
    fn refuse<T>(&self, why: &str, cure: &str) -> Result<T> {
        Err(anyhow!("{}: {:?} {why}", self.field(), self.value)).hint(cure)
    }

    /// crun looks only whether there is such an annotation; whoever writes 0 means no.
    fn switch(&self) -> Result<bool> {
        match self.value {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => self.refuse(
                "is neither 1 nor 0",
                "write \"1\" to switch it on, or remove the annotation",
            ),
        }
    }

    fn path(&self) -> Result<PathBuf> {
        let path = Path::new(self.value);
        super::c_path(&self.field(), path)?;
        if !path.is_absolute() {
            return self.refuse("is not absolute", "write the path with all directories from / on");
        }
        Ok(path.to_path_buf())
    }

    /// The name of one cgroup. `None`: empty.
    fn cgroup_name(&self, name: &str) -> Result<Option<String>> {
        if name.is_empty() {
            return Ok(None);
        }
        super::no_nul(&self.field(), name.as_bytes())?;
        let mut parts = Path::new(name).components();
        let is_name = matches!(parts.next(), Some(Component::Normal(part)) if part == name);
        // Its files lie beside the directories of its children, and these have such prefixes.
        let reserved = name.starts_with("cgroup.") || name.len() > 255 || name.contains('\n');
        if !is_name || reserved {
            return self.refuse(
                "is not the name of a cgroup",
                "write one name without slashes, for example \"payload\"",
            );
        }
        Ok(Some(name.to_string()))
    }
}

/// `annotations["run.oci.handler"]`: an annotation in errors.
pub(crate) fn field(key: &str) -> String {
    format!("annotations[{key:?}]")
}

fn handler(_all: &mut Extensions, a: &Annotation<'_>) -> Result<()> {
    match a.value {
        "" | "crun" => Ok(()),
        _ => a.refuse(
            "is a handler that rt does not have; it starts programs itself",
            "remove the annotation, or choose a runtime that has this handler",
        ),
    }
}

fn mount_context(all: &mut Extensions, a: &Annotation<'_>) -> Result<()> {
    all.mount_context = match a.value {
        "context" => c"context",
        "fscontext" => c"fscontext",
        "defcontext" => c"defcontext",
        "rootcontext" => c"rootcontext",
        _ => {
            return a.refuse(
                "is not an SELinux mount option",
                "write context, fscontext, defcontext or rootcontext",
            );
        }
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Result<Extensions> {
        Extensions::new(&BTreeMap::from([(key.to_string(), value.to_string())]))
    }

    fn error(key: &str, value: &str) -> String {
        crate::error::chain(&one(key, value).unwrap_err())
    }

    #[test]
    fn keys_are_sorted_and_unique() {
        let keys: Vec<&str> = keys().collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
    }

    #[test]
    fn the_document_and_the_man_page_list_exactly_these() {
        let mut known: Vec<&str> = keys().chain(["org.systemd.property.*"]).collect();
        known.sort_unstable();
        let text = include_str!("../../docs/annotations.md");
        let (table, _) = text.split_once("Recognized by other runtimes").unwrap();
        let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
        let names = cells.flat_map(|cell| cell.trim_end().trim_end_matches('`').split("`, `"));
        let mut listed: Vec<&str> = names.collect();
        listed.sort_unstable();
        assert_eq!(listed, known);

        let page = include_str!("../../man/rt.1").replace("\\-", "-");
        for key in known {
            assert!(page.contains(key.trim_end_matches('*')), "man/rt.1 lacks {key}");
        }
    }

    #[test]
    fn unknown_keys_are_left_alone() {
        for key in ["run.oci.new_of_next_year", "org.criu.config", "module.wasm.image/variant"] {
            assert!(one(key, "\0?").unwrap().in_effect.is_empty(), "{key}");
        }
    }

    #[test]
    fn values_are_read() {
        assert!(one(KEEP_GROUPS, "1").unwrap().keep_original_groups);
        assert!(!one(KEEP_GROUPS, "0").unwrap().keep_original_groups);
        assert_eq!(one(KEEP_GROUPS, "true").unwrap().in_effect, [KEEP_GROUPS]);
        let all = one("run.oci.mount_context_type", "rootcontext").unwrap();
        assert_eq!(all.mount_context, c"rootcontext");
        let all = one(DELEGATE_CGROUP, "/init").unwrap();
        assert_eq!(all.delegate_cgroup.as_deref(), Some("init"));
        assert_eq!(one(DELEGATE_CGROUP, "").unwrap().delegate_cgroup, None);
        let all = one("run.oci.systemd.subgroup", "").unwrap();
        assert_eq!(all.systemd_subgroup, None);
        for name in ["", "crun"] {
            assert!(one("run.oci.handler", name).is_ok());
        }
    }

    #[test]
    fn errors_name_the_annotation_and_the_value() {
        let table = [
            ("run.oci.mount_context_type", "Context", "\"Context\" is not an SELinux mount option"),
            (KEEP_GROUPS, "yes", "\"yes\" is neither 1 nor 0"),
            (KEEP_GROUPS, "", "\"\" is neither 1 nor 0"),
            (
                "run.oci.handler",
                "krun",
                "\"krun\" is a handler that rt does not have; it starts programs itself",
            ),
            (PIDFD_RECEIVER, "sock", "\"sock\" is not absolute"),
            (HOOKS_STDOUT, "", "empty"),
            (HOOKS_STDERR, "/a\0b", "NUL byte at position 2"),
            (DELEGATE_CGROUP, "../x", "\"../x\" is not the name of a cgroup"),
            (DELEGATE_CGROUP, "a/b", "\"a/b\" is not the name of a cgroup"),
            (DELEGATE_CGROUP, "..", "\"..\" is not the name of a cgroup"),
            (DELEGATE_CGROUP, "cgroup.procs", "\"cgroup.procs\" is not the name of a cgroup"),
            ("run.oci.systemd.subgroup", "/x", "\"/x\" is not the name of a cgroup"),
            (
                "run.oci.seccomp.plugins",
                "x.so",
                "\"x.so\" is not possible: rt loads no plugins into itself",
            ),
            ("run.oci.systemd.force_cgroup_v1", "/x", "\"/x\" is not supported"),
        ];
        for (key, value, text) in table {
            assert_eq!(error(key, value), format!("annotations[{key:?}]: {text}"));
        }
    }
}
