//! `--log`: warnings and the one error, as text or JSON lines.
//!
//! Runs in: parent. containerd's shim reads the last object with level "error" and wants
//! lower-case levels and RFC 3339 times; Podman reads the whole file as one object, so nothing
//! but the error is written unless it is asked for.

use crate::cli::{LogFormat, LogLevel};
use crate::error::one_line;
use anyhow::{Context as _, Result};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::SystemTime;

pub(crate) struct Log {
    file: Option<File>,
    format: LogFormat,
    level: LogLevel,
}

impl Log {
    /// Without a path messages go to standard error.
    pub(crate) fn open(path: Option<&Path>, format: LogFormat, level: LogLevel) -> Result<Self> {
        let file = path.map(|path| {
            OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o644)
                .open(path)
                .map_err(|err| crate::config::io(&err))
                .with_context(|| format!("--log {}", path.display()))
        });
        Ok(Self { file: file.transpose()?, format, level })
    }

    pub(crate) fn warning(&self, text: &str) {
        if self.level >= LogLevel::Warning {
            self.write("warning", &one_line(text), None);
        }
    }

    /// A decision that was taken for the user.
    pub(crate) fn debug(&self, text: &str) {
        if self.level >= LogLevel::Debug {
            self.write("debug", &one_line(text), None);
        }
    }

    /// The failure of the command. With `--log` the same text goes to standard error as well.
    pub(crate) fn error(&self, text: &str, hint: Option<&str>) {
        let text = &one_line(text);
        let hint = hint.map(one_line);
        let hint = hint.as_deref();
        if self.file.is_some() {
            self.write("error", text, hint);
        }
        stderr(&format!("rt: {text}"));
        if let Some(hint) = hint {
            stderr(&format!("  hint: {hint}"));
        }
    }

    fn write(&self, level: &str, text: &str, hint: Option<&str>) {
        let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let line = match self.format {
            LogFormat::Json => {
                let mut line = serde_json::json!({ "level": level, "msg": text, "time": time });
                if let (Some(hint), Some(fields)) = (hint, line.as_object_mut()) {
                    fields.insert("hint".into(), hint.into());
                }
                line.to_string()
            }
            LogFormat::Text => {
                let hint = hint.map(|hint| format!(" hint={hint:?}")).unwrap_or_default();
                format!("time={time} level={level} msg={text:?}{hint}")
            }
        };
        match &self.file {
            // One write(2): lines of several processes do not mix. A full disk must not turn a
            // started container into a failed one.
            Some(file) => {
                let mut file: &File = file;
                file.write_all(format!("{line}\n").as_bytes()).unwrap_or(());
            }
            None => stderr(&format!("rt: {level}: {text}")),
        }
    }
}

/// Standard error may be closed, or a pipe without reader; that is no reason to fail.
pub(crate) fn stderr(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).ok();
}

/// Standard output is what the caller asked for: a failure to deliver it is one.
pub(crate) fn stdout(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|err| crate::config::io(&err))
        .context("standard output")
}
