//! `--log`: warnings and the one error, as text or JSON lines, or to the system's log.
//!
//! Runs in: parent. containerd's shim reads the last object with level "error" and wants
//! lower-case levels and RFC 3339 times; Podman reads the whole file as one object, so nothing
//! but the error is written unless it is asked for.

use crate::cli::{LogFormat, LogLevel};
use crate::error::{OrHint as _, one_line};
use anyhow::{Context as _, Result};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::SystemTime;

pub(crate) struct Log {
    sink: Sink,
    format: LogFormat,
    level: LogLevel,
}

/// Where messages go.
enum Sink {
    Stderr,
    File(File),
    /// The native protocol of systemd's journal, with the identifier.
    Journal(UnixDatagram, String),
    /// syslog(3)'s, with the tag.
    Syslog(UnixDatagram, String),
}

const JOURNAL: &str = "/run/systemd/journal/socket";
const SYSLOG: &str = "/dev/log";

impl Sink {
    /// `PATH` or `file:PATH`, `journald:IDENTIFIER`, `syslog:TAG`, as crun takes them.
    fn open(target: &Path) -> Result<Self> {
        let text = target.to_str().unwrap_or_default();
        let tag = |tag: &str| if tag.is_empty() { "rt".to_string() } else { one_line(tag) };
        if let Some(name) = text.strip_prefix("journald:") {
            return Ok(Self::Journal(connect(JOURNAL)?, tag(name)));
        }
        if let Some(name) = text.strip_prefix("syslog:") {
            return Ok(Self::Syslog(connect(SYSLOG)?, tag(name)));
        }
        let path = text.strip_prefix("file:").map_or(target, Path::new);
        let file = OpenOptions::new().append(true).create(true).mode(0o644).open(path);
        Ok(Self::File(file.map_err(|err| crate::config::io(&err))?))
    }
}

fn connect(path: &str) -> Result<UnixDatagram> {
    let socket = UnixDatagram::unbound().and_then(|socket| {
        socket.connect(path)?;
        // A full queue must not stop a container.
        socket.set_nonblocking(true)?;
        Ok(socket)
    });
    socket
        .map_err(|err| crate::config::io(&err))
        .with_context(|| format!("connect({path})"))
        .hint("start the system's log, or give --log a file")
}

impl Log {
    /// Without a path messages go to standard error.
    pub(crate) fn open(path: Option<&Path>, format: LogFormat, level: LogLevel) -> Result<Self> {
        let sink = path.map_or(Ok(Sink::Stderr), |path| {
            Sink::open(path).with_context(|| format!("--log {}", path.display()))
        });
        Ok(Self { sink: sink?, format, level })
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
        if !matches!(self.sink, Sink::Stderr) {
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
        // syslog(3): LOG_ERR, LOG_WARNING, of the facility LOG_USER.
        let priority = if level == "error" { 3 } else { 4 };
        let hint = hint.map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
        match &self.sink {
            // One write(2): lines of several processes do not mix. A full disk must not turn a
            // started container into a failed one.
            Sink::File(file) => {
                let mut file: &File = file;
                file.write_all(format!("{line}\n").as_bytes()).unwrap_or(());
            }
            Sink::Journal(socket, name) => {
                let entry = format!(
                    "MESSAGE={text}{hint}\nPRIORITY={priority}\nSYSLOG_IDENTIFIER={name}\n"
                );
                socket.send(entry.as_bytes()).ok();
            }
            Sink::Syslog(socket, tag) => {
                let entry = format!("<{}>{tag}: {text}{hint}", 8 + priority);
                socket.send(entry.as_bytes()).ok();
            }
            Sink::Stderr => stderr(&format!("rt: {level}: {text}")),
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
