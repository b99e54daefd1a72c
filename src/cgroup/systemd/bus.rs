//! As much of D-Bus as systemd's private socket needs: calls, their replies, and waiting for a job.
//!
//! Runs in: parent. The D-Bus specification, "Message Protocol" and "Authentication Protocol".
//! docs/decisions/0011-systemd.md says why no library does this.

use crate::error::OrHint as _;
use crate::plan::cgroup::systemd::{Properties, Value};
use crate::sys::{self, Call as _};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use std::collections::VecDeque;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// systemd answers in milliseconds; a job waits for other jobs.
const PATIENCE: Duration = Duration::from_secs(30);
/// The specification allows 128 MiB; what systemd tells us is short.
const LONGEST: usize = 1 << 20;

/// How many ends of jobs are kept until we know which job is ours.
const MOST_ENDED: usize = 1000;

/// An argument of a call.
pub(super) enum Arg<'a> {
    Text(&'a str),
    Flag(bool),
    Numbers(&'a [u32]),
    Properties(&'a Properties),
    /// `a(sa(sv))`, always empty: further units.
    NoUnits,
}

/// A message in the little-endian form.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn u32(&mut self, number: u32) {
        self.align(4);
        self.0.extend(number.to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.align(8);
        self.0.extend(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.0.extend(signature.as_bytes());
        self.0.push(0);
    }

    /// The length counts from the first element, behind its padding.
    fn array(&mut self, align: usize, elements: impl FnOnce(&mut Self)) {
        self.u32(0);
        let length_at = self.0.len() - 4;
        self.align(align);
        let start = self.0.len();
        elements(self);
        let length = u32::try_from(self.0.len() - start).unwrap_or(u32::MAX);
        if let Some(place) = self.0.get_mut(length_at..length_at + 4) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }

    fn numbers(&mut self, numbers: &[u32]) {
        self.array(4, |to| numbers.iter().for_each(|number| to.u32(*number)));
    }

    fn variant(&mut self, value: &Value) {
        match value {
            Value::Text(text) => {
                self.signature("s");
                self.text(text);
            }
            Value::Flag(flag) => {
                self.signature("b");
                self.u32(u32::from(*flag));
            }
            Value::I32(number) => {
                self.signature("i");
                self.u32(number.cast_unsigned());
            }
            Value::U32(number) => {
                self.signature("u");
                self.u32(*number);
            }
            Value::I64(number) => {
                self.signature("x");
                self.u64(number.cast_unsigned());
            }
            Value::U64(number) => {
                self.signature("t");
                self.u64(*number);
            }
            Value::Texts(texts) => {
                self.signature("as");
                self.array(4, |to| texts.iter().for_each(|text| to.text(text)));
            }
            Value::Numbers(numbers) => {
                self.signature("au");
                self.numbers(numbers);
            }
            Value::Bytes(bytes) => {
                self.signature("ay");
                self.array(1, |to| to.0.extend(bytes));
            }
        }
    }

    fn arg(&mut self, arg: &Arg<'_>) {
        match arg {
            Arg::Text(text) => self.text(text),
            Arg::Flag(flag) => self.u32(u32::from(*flag)),
            Arg::Numbers(numbers) => self.numbers(numbers),
            Arg::Properties(properties) => self.array(8, |to| {
                for (name, value) in *properties {
                    to.align(8);
                    to.text(name);
                    to.variant(value);
                }
            }),
            Arg::NoUnits => self.array(8, |_| {}),
        }
    }
}

impl Arg<'_> {
    fn signature(&self) -> &'static str {
        match self {
            Arg::Text(_) => "s",
            Arg::Flag(_) => "b",
            Arg::Numbers(_) => "au",
            Arg::Properties(_) => "a(sv)",
            Arg::NoUnits => "a(sa(sv))",
        }
    }
}

/// Reads values out of a message; a `None` is a message that is too short.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn u32(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.u32()?).ok()?;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Some(text)
    }

    fn signature(&mut self) -> Option<String> {
        let length = usize::from(*self.take(1)?.first()?);
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Some(text)
    }
}

#[derive(Debug, Default)]
struct Message {
    kind: u8,
    reply_to: Option<u32>,
    member: String,
    error: Option<String>,
    body: Vec<u8>,
}

const METHOD_CALL: u8 = 1;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;

/// systemd's own end, without a bus between.
pub(super) struct Connection {
    stream: UnixStream,
    /// Read, and not looked at yet.
    received: VecDeque<u8>,
    serial: u32,
    /// Signals that came before somebody waited for them.
    ended: Vec<Ended>,
}

/// `JobRemoved`
pub(super) struct Ended {
    job: String,
    result: String,
}

impl Connection {
    pub(super) fn open(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .map_err(|err| crate::config::io(&err))
            .with_context(|| format!("connect({})", socket.display()))?;
        // Pids go to systemd as we see them.
        let peer =
            getsockopt(&stream, PeerCredentials).call(|| "getsockopt(SO_PEERCRED)".into())?;
        if peer.pid() == 0 {
            return Err(anyhow!("systemd runs outside of our pid namespace"))
                .hint("run rt in the host's pid namespace, or use --cgroup-manager cgroupfs");
        }
        let uid = nix::unistd::geteuid().as_raw();
        ensure!(
            [0, uid].contains(&peer.uid()),
            "{} belongs to uid {}",
            socket.display(),
            peer.uid()
        );
        stream.set_write_timeout(Some(PATIENCE)).map_err(|err| crate::config::io(&err))?;
        let mut connection =
            Self { stream, received: VecDeque::new(), serial: 0, ended: Vec::new() };
        // The kernel has told who we are; the empty answer says that this is meant. All at once:
        // systemd may never look at a message that it has read together with BEGIN.
        connection.send(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        for wanted in ["DATA", "OK"] {
            let line = connection.line()?;
            ensure!(line.starts_with(wanted), "systemd refuses to authenticate us: {line:?}");
        }
        Ok(connection)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream
            .write_all(bytes)
            .map_err(|err| crate::config::io(&err))
            .context("write to systemd")
    }

    fn line(&mut self) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            ensure!(line.len() < 1000, "systemd answers with a very long line");
            line.extend(self.read(1, deadline)?);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn read(&mut self, count: usize, deadline: Instant) -> Result<Vec<u8>> {
        while self.received.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            let limit = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, limit) {
                Ok(0) => bail!("systemd did not answer for {} s", PATIENCE.as_secs()),
                Err(nix::errno::Errno::EINTR) => continue,
                Ok(_) => {}
                Err(errno) => return Err(sys::Error::new("poll(systemd)", errno).into()),
            }
            let mut bytes = [0; 4096];
            let got = nix::unistd::read(self.stream.as_fd(), &mut bytes)
                .call(|| "read from systemd".into())?;
            ensure!(got > 0, "systemd has closed the connection");
            self.received.extend(bytes.get(..got).unwrap_or_default());
        }
        Ok(self.received.drain(..count).collect())
    }

    fn message(&mut self, deadline: Instant) -> Result<Message> {
        let broken = "systemd sends a message that cannot be understood";
        let head = self.read(16, deadline)?;
        let mut reader = Reader { bytes: &head, at: 4 };
        let kind = head.get(1).copied().unwrap_or(0);
        ensure!(head.first() == Some(&b'l'), "{broken}");
        let (Some(body), Some(_serial), Some(fields)) = (reader.u32(), reader.u32(), reader.u32())
        else {
            bail!(broken)
        };
        let fields = usize::try_from(fields)?;
        let body = usize::try_from(body)?;
        ensure!(fields < LONGEST && body < LONGEST, "{broken}");
        let padded = (16 + fields).next_multiple_of(8) - 16;
        let mut bytes = head;
        bytes.extend(self.read(padded, deadline)?);
        let mut message = Message { kind, body: self.read(body, deadline)?, ..Message::default() };
        let mut reader = Reader { bytes: &bytes, at: 16 };
        while reader.at < 16 + fields {
            header_field(&mut reader, &mut message).context(broken)?;
        }
        Ok(message)
    }

    /// Calls a method and returns the body of the reply.
    pub(super) fn call(
        &mut self,
        path: &str,
        interface: &str,
        member: &str,
        args: &[Arg<'_>],
    ) -> Result<Vec<u8>> {
        self.serial += 1;
        let serial = self.serial;
        let mut body = Writer::default();
        args.iter().for_each(|arg| body.arg(arg));
        let signature: String = args.iter().map(Arg::signature).collect();
        let mut message = Writer(vec![b'l', METHOD_CALL, 0, 1]);
        message.u32(u32::try_from(body.0.len())?);
        message.u32(serial);
        message.array(8, |to| {
            let mut field = |code: u8, kind: &str, text: &str| {
                to.align(8);
                to.0.push(code);
                to.signature(kind);
                if kind == "g" { to.signature(text) } else { to.text(text) }
            };
            field(1, "o", path);
            field(2, "s", interface);
            field(3, "s", member);
            field(6, "s", "org.freedesktop.systemd1");
            if !signature.is_empty() {
                field(8, "g", &signature);
            }
        });
        message.align(8);
        message.0.extend(body.0);
        self.send(&message.0)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = self.message(deadline)?;
            if reply.kind == SIGNAL {
                self.note(&reply);
            } else if reply.reply_to == Some(serial) {
                return answer(reply).with_context(|| format!("systemd: {member}"));
            }
        }
    }

    fn note(&mut self, signal: &Message) {
        if signal.member != "JobRemoved" {
            return;
        }
        let mut reader = Reader { bytes: &signal.body, at: 0 };
        let read = (reader.u32(), reader.text(), reader.text(), reader.text());
        if let (Some(_), Some(job), Some(_unit), Some(result)) = read {
            // Those of others are of no use.
            if self.ended.len() == MOST_ENDED {
                self.ended.remove(0);
            }
            self.ended.push(Ended { job, result });
        }
    }

    /// Waits for the end of a job. Returns its result: "done", "failed", ...
    pub(super) fn wait_for_job(&mut self, job: &str) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(ended) = self.ended.iter().find(|ended| ended.job == job) {
                return Ok(ended.result.clone());
            }
            let message = self.message(deadline)?;
            if message.kind == SIGNAL {
                self.note(&message);
            }
        }
    }
}

fn header_field(reader: &mut Reader<'_>, message: &mut Message) -> Option<()> {
    reader.align(8);
    let code = *reader.take(1)?.first()?;
    let kind = reader.signature()?;
    match kind.as_str() {
        "u" => {
            let number = reader.u32()?;
            if code == 5 {
                message.reply_to = Some(number);
            }
        }
        "g" => drop(reader.signature()?),
        "s" | "o" => {
            let text = reader.text()?;
            match code {
                3 => message.member = text,
                4 => message.error = Some(text),
                _ => {}
            }
        }
        _ => return None,
    }
    Some(())
}

fn answer(reply: Message) -> Result<Vec<u8>> {
    if reply.kind != ERROR {
        return Ok(reply.body);
    }
    let name = reply.error.unwrap_or_default();
    let text = Reader { bytes: &reply.body, at: 0 }.text().unwrap_or_default();
    let short = name.rsplit('.').next().unwrap_or_default().to_owned();
    Err(anyhow::Error::new(Refused { name: short, text }))
}

/// An error reply.
#[derive(Debug)]
pub(super) struct Refused {
    /// The last part of its name, such as `NoSuchUnit`.
    pub(super) name: String,
    text: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.text, self.name)
    }
}

impl std::error::Error for Refused {}

/// The first value of a body, a string or an object path.
pub(super) fn first_text(body: &[u8]) -> Option<String> {
    Reader { bytes: body, at: 0 }.text()
}

/// The string in a variant.
pub(super) fn variant_text(body: &[u8]) -> Option<String> {
    let mut reader = Reader { bytes: body, at: 0 };
    (reader.signature()? == "s").then(|| reader.text())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_aligned_from_the_start_of_the_body() {
        let mut writer = Writer::default();
        writer.arg(&Arg::Text("ab"));
        let properties = vec![("N".to_owned(), Value::U64(7)), ("B".to_owned(), Value::Flag(true))];
        writer.arg(&Arg::Properties(&properties));
        // The length of "ab", its bytes and zero, padding to the array's length.
        assert_eq!(writer.0.get(..8), Some(&b"\x02\0\0\0ab\0\0"[..]));
        let mut reader = Reader { bytes: &writer.0, at: 8 };
        let length = reader.u32().unwrap();
        reader.align(8);
        assert_eq!(usize::try_from(length).unwrap(), writer.0.len() - reader.at);
        assert_eq!(reader.text().as_deref(), Some("N"));
        assert_eq!(reader.signature().as_deref(), Some("t"));
        reader.align(8);
        assert_eq!(reader.take(8), Some(&7_u64.to_le_bytes()[..]));
        reader.align(8);
        assert_eq!(reader.text().as_deref(), Some("B"));
    }

    #[test]
    fn short_messages_are_no_panic() {
        for length in 0..12 {
            let bytes = vec![1; length];
            assert_eq!(first_text(&bytes), None);
            variant_text(&bytes);
        }
    }
}
