//! Network namespaces without containers: what a container would see of its networks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::call::Call;
use crate::companion::{bundles, bundles_as, program};
use crate::isolate::scratch;
use crate::poll::until;
use crate::second_user::{SecondUser, UID};

/// A process that is ended with the value.
#[derive(Debug)]
pub struct Ended(pub Child);

impl Ended {
    fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|err| panic!("{command:?}: {err}")))
    }

    /// A web server which has nothing but `text`.
    pub fn server(through: &[&str], port: u16, text: &str) -> Self {
        let directory = scratch().join(text);
        fs::create_dir(&directory).expect("mkdir");
        fs::write(directory.join("index.html"), text).expect("write");
        let (port, directory) = (port.to_string(), directory.to_str().expect("UTF-8"));
        let words = ["busybox", "httpd", "-f", "-p", &port, "-h", directory];
        let words: Vec<&str> = through.iter().copied().chain(words).collect();
        Self::start(Command::new(words[0]).args(&words[1..]))
    }

    /// A program of the second user.
    pub fn by_user(program: &[&str], args: &[&str], env: &[(&str, &Path)]) -> Self {
        let ids = [format!("--reuid={UID}"), format!("--regid={UID}")];
        let mut command = Command::new("/usr/bin/setpriv");
        command.args(ids).arg("--clear-groups").args(program).args(args);
        Self::start(command.envs(env.iter().copied()))
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A network namespace, which lives as long as the value.
#[derive(Debug)]
pub struct Space<'a> {
    user: Option<&'a SecondUser>,
    process: Ended,
}

impl Default for Space<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Space<'a> {
    /// Root's.
    pub fn new() -> Self {
        let process = Ended::start(Command::new("unshare").args(["--net", "sleep", "60"]));
        let space = Self::of(None, process);
        space.run("ip link set lo up");
        space
    }

    /// As a container of the user has it, in the user namespace of his containers.
    pub fn of_user(user: &'a SecondUser) -> Self {
        Self::of(Some(user), Self::process(user))
    }

    /// The process of one to be: several are made at the same time.
    pub fn process(user: &SecondUser) -> Ended {
        let bundles = program().expect("a companion");
        let share = user.directory("share");
        let words = ["unshare", "unshare", "--net", "sleep", "60"];
        let env = [("XDG_DATA_HOME", &*share)];
        Ended::by_user(&[bundles.to_str().expect("UTF-8")], &words, &env)
    }

    /// That of a process which becomes a `sleep`.
    pub fn of(user: Option<&'a SecondUser>, process: Ended) -> Self {
        let space = Self { user, process };
        let ours = fs::read_link("/proc/self/ns/net").expect("a namespace");
        until("a namespace", || {
            let its = fs::read_link(space.path()).ok()?;
            let comm = fs::read_to_string(format!("/proc/{}/comm", space.pid())).ok()?;
            (its != ours && comm.trim() == "sleep").then_some(())
        });
        space
    }

    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.pid()).into()
    }

    /// As `bundles network` names it.
    pub fn target(&self) -> String {
        format!("netns:{}", self.path().display())
    }

    pub fn connect(&self, net: &str) -> Call {
        self.network("connect", net)
    }

    pub fn disconnect(&self, net: &str) -> Call {
        self.network("disconnect", net)
    }

    fn network(&self, verb: &str, net: &str) -> Call {
        let words = ["network", verb, net, &self.target()];
        match self.user {
            Some(user) => bundles_as(user, words),
            None => bundles(words),
        }
    }

    pub fn command(&self, words: &str) -> std::process::Output {
        Command::new("nsenter")
            .arg(format!("--net={}", self.path().display()))
            .args(words.split(' '))
            .output()
            .expect("run nsenter")
    }

    #[track_caller]
    pub fn run(&self, words: &str) -> String {
        let output = self.command(words);
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn pings(&self, address: &str) -> bool {
        let said = self.command(&format!("busybox ping -c 1 -W 1 {address}"));
        println!("ping {address}: {}", String::from_utf8_lossy(&said.stdout).trim());
        said.status.success()
    }

    /// By its first packet: a second one would come a second later.
    #[track_caller]
    pub fn reaches(&self, address: &str) {
        assert!(self.pings(address), "{address} does not answer");
    }

    /// What a server says to it.
    pub fn hears(&self, address: &str, port: u16) -> String {
        let words = format!("timeout 5 busybox wget -q -O - http://{address}:{port}/");
        let said = self.command(&words);
        println!("{address}:{port}: {}", String::from_utf8_lossy(&said.stderr).trim());
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    }

    pub fn links(&self) -> String {
        self.run("ip -o -br link")
    }

    /// Its address on the link, as "172.18.0.2/16".
    pub fn address(&self, link: &str) -> String {
        let said = self.run(&format!("ip -4 -o addr show dev {link}"));
        let mut words = said.split_whitespace().skip_while(|word| *word != "inet");
        words.nth(1).expect("an address").to_owned()
    }
}

/// A host beyond the host, which is 198.51.100.1 to it and knows it as 198.51.100.2.
pub fn outside() -> Space<'static> {
    let outside = Space::new();
    say("ip", "link set lo up");
    say("ip", &format!("link add up0 type veth peer name up1 netns {}", outside.pid()));
    say("ip", "addr add 198.51.100.1/24 dev up0");
    say("ip", "link set up0 up");
    outside.run("ip addr add 198.51.100.2/24 dev up1");
    outside.run("ip link set up1 up");
    outside
}

/// The output of a tool that has to succeed.
#[track_caller]
pub fn say(program: &str, args: &str) -> String {
    let output = Command::new(program).args(args.split(' ')).output().expect("run a tool");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {args}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
