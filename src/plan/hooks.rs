//! The six kinds of hooks of config.md, "POSIX-platform Hooks".
//!
//! Runs in: parent. Pure.

use super::annotations::HooksOutput;
use super::{Extensions, c_path, c_string};
use anyhow::{Result, ensure};
use std::ffi::CString;
use std::time::Duration;

/// A program to run at a point of the life cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hook {
    /// `hooks.prestart[0]`, for errors.
    pub(crate) field: String,
    pub(crate) path: CString,
    /// argv; the path alone when the config gives none.
    pub(crate) args: Vec<CString>,
    pub(crate) env: Vec<CString>,
    /// Killed when it takes longer.
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hooks {
    pub(crate) prestart: Vec<Hook>,
    pub(crate) create_runtime: Vec<Hook>,
    pub(crate) create_container: Vec<Hook>,
    pub(crate) start_container: Vec<Hook>,
    pub(crate) poststart: Vec<Hook>,
    pub(crate) poststop: Vec<Hook>,
    pub(crate) output: HooksOutput,
}

impl Hooks {
    pub(crate) fn new(
        hooks: Option<&oci_spec::runtime::Hooks>,
        extensions: &Extensions,
    ) -> Result<Self> {
        let Some(hooks) = hooks else { return Ok(Self::default()) };
        let prestart = hooks.prestart();
        Ok(Self {
            prestart: list("prestart", prestart.as_deref())?,
            create_runtime: list("createRuntime", hooks.create_runtime().as_deref())?,
            create_container: list("createContainer", hooks.create_container().as_deref())?,
            start_container: list("startContainer", hooks.start_container().as_deref())?,
            poststart: list("poststart", hooks.poststart().as_deref())?,
            poststop: list("poststop", hooks.poststop().as_deref())?,
            output: extensions.hooks_output.clone(),
        })
    }

    /// Are there hooks which the parent runs while init waits?
    pub(crate) fn for_parent(&self) -> bool {
        !self.prestart.is_empty() || !self.create_runtime.is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kinds().into_iter().all(|(_, hooks)| hooks.is_empty())
    }

    /// The kinds of which there are any.
    pub(crate) fn names(&self) -> Vec<String> {
        let kinds = self.kinds().into_iter().filter(|(_, hooks)| !hooks.is_empty());
        kinds.map(|(name, _)| name.to_string()).collect()
    }

    /// Each kind under its name in the config, in the order of the life cycle.
    pub(crate) fn kinds(&self) -> [(&'static str, &[Hook]); 6] {
        [
            ("prestart", &self.prestart),
            ("createRuntime", &self.create_runtime),
            ("createContainer", &self.create_container),
            ("startContainer", &self.start_container),
            ("poststart", &self.poststart),
            ("poststop", &self.poststop),
        ]
    }
}

fn list(kind: &str, hooks: Option<&[oci_spec::runtime::Hook]>) -> Result<Vec<Hook>> {
    hooks.unwrap_or_default().iter().enumerate().map(|(n, hook)| one(kind, n, hook)).collect()
}

fn one(kind: &str, n: usize, hook: &oci_spec::runtime::Hook) -> Result<Hook> {
    let field = format!("hooks.{kind}[{n}]");
    ensure!(hook.path().is_absolute(), "{field}.path: {:?} is not absolute", hook.path());
    let path = c_path(&format!("{field}.path"), hook.path())?;
    let args = strings(&format!("{field}.args"), hook.args().as_deref())?;
    let timeout = match hook.timeout() {
        None => None,
        Some(seconds) => match u64::try_from(seconds) {
            Ok(seconds @ 1..) => Some(Duration::from_secs(seconds)),
            _ => anyhow::bail!("{field}.timeout: {seconds} seconds is not greater than zero"),
        },
    };
    Ok(Hook {
        args: if args.is_empty() { vec![path.clone()] } else { args },
        env: strings(&format!("{field}.env"), hook.env().as_deref())?,
        path,
        timeout,
        field,
    })
}

/// `MAX_ARG_STRLEN` of linux/binfmts.h, without the NUL.
pub(crate) const ARG_MAX: usize = 131_071;

pub(crate) fn strings(field: &str, list: Option<&[String]>) -> Result<Vec<CString>> {
    let list = list.unwrap_or_default().iter().enumerate();
    list.map(|(n, text)| c_string(&format!("{field}[{n}]"), text.as_bytes(), ARG_MAX)).collect()
}
