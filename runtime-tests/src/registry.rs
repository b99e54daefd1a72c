//! Registries for tests: Debian's docker-registry with what is pushed into it, and a server that
//! answers as a test wants it to. Both listen on the loopback of the test's own network namespace.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::archive::{config, digest};
use crate::call::Call;
use crate::companion::bundles;
use crate::isolate::scratch;
use crate::poll::until;

pub const PROGRAM: &str = "/usr/bin/docker-registry";

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A call of the companion that sees no settings but those that the test makes.
pub fn pulling<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Call {
    unsettled(bundles(args))
}

/// The same of any call.
pub fn unsettled(call: Call) -> Call {
    let home = settings("");
    let home = home.to_str().expect("UTF-8");
    let none = scratch().join("no-registries.conf");
    call.env("HOME", home)
        .env("XDG_CONFIG_HOME", home)
        .env("XDG_RUNTIME_DIR", home)
        .env("CONTAINERS_REGISTRIES_CONF", none.to_str().expect("UTF-8"))
}

/// Below the directory of the settings of the user who pulls.
pub fn settings(name: &str) -> PathBuf {
    scratch().join("settings").join(name)
}

/// Makes a file of those settings.
pub fn setting(name: &str, content: &str) -> PathBuf {
    let path = settings(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
    fs::write(&path, content).expect("write");
    path
}

/// The loopback link of the test's namespace, which is down at first.
pub fn loopback() {
    let up = Command::new("/usr/sbin/ip").args(["link", "set", "lo", "up"]).status();
    assert!(up.expect("run ip").success(), "ip link set lo up");
}

/// For `tester` with the password `secret`, by htpasswd -B.
const HTPASSWD: &str = "tester:$2y$05$egQV5lJgHFvLmo3/ZSGTMuMvPQ7A2JKN.fxbnAWGeHMgWXv4SkAc6\n";

/// The lines for [`Registry::with`] that let in nobody else.
pub fn htpasswd() -> String {
    let path = scratch().join("htpasswd");
    fs::write(&path, HTPASSWD).expect("write");
    format!("auth:\n  htpasswd:\n    realm: test\n    path: {}", path.display())
}

/// What a registry keeps of an image.
#[derive(Debug, Clone)]
pub struct Pushed {
    pub blobs: Vec<Vec<u8>>,
    pub manifest: Vec<u8>,
    pub kind: &'static str,
}

/// An image of layers, each with its blob and the end of its media type.
pub fn image(kind: &'static str, layers: &[(&[u8], Vec<u8>, &str)]) -> Pushed {
    let plain: Vec<Vec<u8>> = layers.iter().map(|(plain, ..)| plain.to_vec()).collect();
    let config = config(&plain).to_string().into_bytes();
    let (of_config, of_layer) = if kind == DOCKER_MANIFEST {
        ("docker.container.image.v1+json", "docker.image.rootfs.diff.tar")
    } else {
        ("oci.image.config.v1+json", "oci.image.layer.v1.tar")
    };
    let one = |kind: &str, blob: &[u8]| {
        let kind = format!("application/vnd.{kind}");
        json!({"mediaType": kind, "digest": digest(blob), "size": blob.len()})
    };
    let listed: Vec<Value> =
        layers.iter().map(|(_, blob, end)| one(&format!("{of_layer}{end}"), blob)).collect();
    let manifest = json!({"schemaVersion": 2, "mediaType": kind,
        "config": one(of_config, &config), "layers": listed});
    let mut blobs: Vec<Vec<u8>> = layers.iter().map(|(_, blob, _)| blob.clone()).collect();
    blobs.push(config);
    Pushed { blobs, manifest: manifest.to_string().into_bytes(), kind }
}

/// A running docker-registry; its files stay for the next one of the same test.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    pub port: u16,
}

impl Registry {
    /// For anybody, without TLS.
    pub fn start() -> Self {
        Self::with("", "")
    }

    /// With more lines for the section `http` and for the end of its configuration.
    pub fn with(http: &str, rest: &str) -> Self {
        loopback();
        Self::start_in(&scratch(), http, rest)
    }

    /// With its files in a directory, and the loopback link up already.
    pub fn start_in(dir: &Path, http: &str, rest: &str) -> Self {
        // Free now, and nobody else is in this namespace.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr());
        let port = port.expect("bind").port();
        let storage = dir.join("registry");
        let text = format!(
            "version: 0.1\nlog:\n  level: warn\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    \
             rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n{http}\n{rest}\n",
            storage.display()
        );
        let path = dir.join(format!("registry-{port}.yml"));
        fs::write(&path, text).expect("write");
        let log = fs::File::create(dir.join("registry.log")).expect("log");
        let child = Command::new(PROGRAM)
            .arg("serve")
            .arg(path)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("dup"))
            .stderr(log)
            .spawn()
            .expect("start docker-registry");
        until("docker-registry listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        Self { child, port }
    }

    /// `localhost:PORT/NAME`
    pub fn name(&self, name: &str) -> String {
        format!("localhost:{}/{name}", self.port)
    }

    /// Returns the digest of the manifest.
    pub fn push(&self, name: &str, tag: &str, image: &Pushed) -> String {
        for blob in &image.blobs {
            let (status, headers, _) =
                self.ask("POST", &format!("/v2/{name}/blobs/uploads/"), "", b"");
            assert_eq!(status, 202, "begin an upload");
            let to = &headers["location"];
            let to = to.find("/v2/").and_then(|at| to.get(at..)).expect("a place to upload to");
            let to = format!("{to}&digest={}", digest(blob));
            let (status, ..) = self.ask("PUT", &to, "application/octet-stream", blob);
            assert_eq!(status, 201, "upload {}", digest(blob));
        }
        let to = format!("/v2/{name}/manifests/{tag}");
        let (status, _, body) = self.ask("PUT", &to, image.kind, &image.manifest);
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
        digest(&image.manifest)
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> (u16, BTreeMap<String, String>, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connect");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("send");
        stream.write_all(body).expect("send");
        let mut reader = BufReader::new(stream);
        let (first, headers) = head_of(&mut reader).expect("an answer");
        let status = first.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
        let mut body = Vec::new();
        reader.read_to_end(&mut body).expect("receive");
        (status, headers, body)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }
}

/// First line and headers, whose names are in small letters.
fn head_of(reader: &mut impl std::io::BufRead) -> Option<(String, BTreeMap<String, String>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let first = line.trim().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some((first, headers))
}

/// What a client has sent.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`
    pub method: String,
    /// With the query.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// How often this path was asked for before, by the same method.
    pub before: usize,
}

/// What it gets.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection is cut behind so many bytes of the body.
    pub cut: Option<usize>,
    /// Nothing more comes behind the cut, and it stays open for so long.
    pub silence: Duration,
    /// Without `Content-Length`: the end of the connection is the end.
    pub endless: bool,
}

impl Answer {
    pub fn of(status: u16, kind: &str, body: &[u8]) -> Self {
        let headers = vec![("Content-Type".to_owned(), kind.to_owned())];
        Self { status, headers, body: body.to_vec(), ..Self::default() }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// What becomes of the body of a request.
#[derive(Debug, Clone)]
pub enum Body {
    Whole,
    /// The connection is cut when so many bytes have come; there is no answer.
    Cut(usize),
    /// The answer comes before the body, which nobody reads.
    Refused(Answer),
}

/// A server of the test's own, without TLS.
#[derive(Debug)]
pub struct Server {
    pub port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Server {
    /// Each connection has a thread of its own, and one request.
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::taking(|_| Body::Whole, answer)
    }

    /// With a say in how much of a request is taken, before its body has come.
    pub fn taking(
        take: impl Fn(&Request) -> Body + Send + Sync + 'static,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        loopback();
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("an address").port();
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let stop: Arc<AtomicBool> = Arc::default();
        let (all, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let (take, answer) = (Arc::new(take), Arc::new(answer));
        let listening = std::thread::spawn(move || {
            let mut serving = Vec::new();
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let (all, stopped) = (Arc::clone(&all), Arc::clone(&stopped));
                let (take, answer) = (Arc::clone(&take), Arc::clone(&answer));
                let one = move || serve(stream, &all, (&*take, &*answer), &stopped);
                serving.push(std::thread::spawn(one));
            }
            for one in serving {
                one.join().expect("the answer of the test has panicked");
            }
        });
        Self { port, seen, stop, listening: Some(listening) }
    }

    pub fn name(&self, name: &str) -> String {
        format!("localhost:{}/{name}", self.port)
    }

    /// All requests, but those that find out about TLS.
    pub fn seen(&self) -> Vec<Request> {
        let seen = self.seen.lock().expect("lock");
        seen.iter().filter(|one| one.path != "/v2/").cloned().collect()
    }

    /// Of the requests whose path has this in it.
    pub fn count(&self, part: &str) -> usize {
        self.seen().iter().filter(|one| one.path.contains(part)).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the one who listens.
        TcpStream::connect(("127.0.0.1", self.port)).ok();
        if let Some(listening) = self.listening.take() {
            listening.join().expect("the server has panicked");
        }
    }
}

fn serve(
    stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    (take, answer): (&impl Fn(&Request) -> Body, &impl Fn(&Request) -> Answer),
    stopped: &AtomicBool,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    // The first bytes of TLS are no text.
    if reader.fill_buf().ok()?.first() == Some(&0x16) {
        (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").ok()?;
        return None;
    }
    let (first, headers) = head_of(&mut reader)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let before = {
        let all = seen.lock().ok()?;
        all.iter().filter(|one| (&one.path, &one.method) == (&path, &method)).count()
    };
    let mut request = Request { method, path, headers, body: Vec::new(), before };
    let taken = take(&request);
    let least = if let Body::Cut(least) = taken { least.min(length) } else { length };
    if !matches!(taken, Body::Refused(_)) {
        if request.headers.contains_key("expect") {
            (&stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        request.body = vec![0; least];
        reader.read_exact(&mut request.body).ok()?;
    }
    seen.lock().ok()?.push(request.clone());
    let answer = match taken {
        Body::Refused(answer) => answer,
        Body::Whole | Body::Cut(_) => answer(&request),
    };
    if least < length {
        return stream.shutdown(Shutdown::Both).ok();
    }
    say(stream, &request, &answer, stopped)
}

fn say(
    mut stream: TcpStream,
    request: &Request,
    answer: &Answer,
    stopped: &AtomicBool,
) -> Option<()> {
    let mut head = format!("HTTP/1.1 {} Said\r\nConnection: close\r\n", answer.status);
    if !answer.endless {
        head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let length = if request.method == "HEAD" { 0 } else { answer.body.len() };
    let most = answer.cut.unwrap_or(usize::MAX).min(length);
    stream.write_all(answer.body.get(..most)?).ok()?;
    let until = Instant::now() + answer.silence;
    while Instant::now() < until && !stopped.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(10));
    }
    stream.shutdown(Shutdown::Both).ok()
}

/// What a faultless registry answers: ranges, too.
pub fn faultless(image: &Pushed, request: &Request) -> Answer {
    let path = request.path.split('?').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    if path == "/v2/" {
        return Answer::of(200, "application/json", b"{}");
    }
    if path.contains("/manifests/") {
        let known = !last.starts_with("sha256:") || last == digest(&image.manifest);
        return match known {
            true => Answer::of(200, image.kind, &image.manifest),
            false => Answer::of(404, "application/json", b"{}"),
        };
    }
    let Some(blob) = image.blobs.iter().find(|blob| digest(blob) == last) else {
        return Answer::of(404, "application/json", b"{}");
    };
    let kind = "application/octet-stream";
    let range = request.headers.get("range");
    let from = range.and_then(|text| text.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match from.and_then(|from: usize| Some((from, blob.get(from..)?))) {
        Some((from, rest)) => {
            let range = format!("bytes {from}-{}/{}", blob.len() - 1, blob.len());
            Answer::of(206, kind, rest).header("Content-Range", &range)
        }
        None => Answer::of(200, kind, blob),
    }
}
