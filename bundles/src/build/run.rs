//! `RUN`: a command in a container of the runtime, whose changes are a layer.
//!
//! Runs in: an ordinary process of the user with a mount namespace of its own, in a thread for each
//! stage. Privilege: that of `bundles run`.

pub(crate) mod guard;
pub(crate) mod mounts;

use super::files;
use crate::cli::run::Create;
use crate::commands::facts;
use crate::container::Mount;
use crate::copy;
use crate::etc;
use crate::home::{self, Home, Scratch};
use crate::ids;
use crate::mountpoints;
use crate::networking::{self, Mode, Networking, Who};
use crate::overlay::{self, Upper};
use crate::runtime::{self, Runtime};
use crate::spec;
use anyhow::{Context as _, Result};
use guard::Guard;
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use oci_spec::image;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

/// The files of a stage while a step changes them.
pub(crate) struct Mounted {
    scratch: Scratch,
    layers: Vec<PathBuf>,
}

impl Mounted {
    /// `layers` from the lowest on; there may be none.
    pub(crate) fn new(home: &Home, layers: &[PathBuf]) -> Result<Self> {
        let scratch = home.scratch()?;
        let mut layers = layers.to_vec();
        if layers.is_empty() {
            let nothing = scratch.path().join("nothing");
            fs::create_dir(&nothing).context("mkdir(nothing)")?;
            layers.push(nothing);
        }
        for name in [overlay::ROOTFS, overlay::UPPER, overlay::WORK] {
            fs::create_dir(scratch.path().join(name)).with_context(|| format!("mkdir({name})"))?;
        }
        let mounted = Self { scratch, layers };
        let top = mounted.layers.last().context("internal error, please report: no layer")?;
        let (from, to) = (File::open(top)?, File::open(mounted.upper())?);
        copy::attributes(from.as_fd(), to.as_fd()).context("/ of the image")?;
        mounted.mount()?;
        Ok(mounted)
    }

    fn mount(&self) -> Result<()> {
        let work = self.scratch.path().join(overlay::WORK);
        let upper = Upper { files: &self.upper(), work: &work, volatile: true };
        overlay::mount_layers(&self.layers, Some(&upper), &self.root())
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.scratch.path().join(overlay::ROOTFS)
    }

    fn upper(&self) -> PathBuf {
        self.scratch.path().join(overlay::UPPER)
    }

    /// For files that the step needs besides.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.scratch.path().join(name);
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// Adds a layer over the others, under what is written.
    fn add_layer(&mut self, layer: PathBuf) -> Result<()> {
        overlay::unmount(&self.root());
        // It would not be taken for that of another mount.
        let work = self.scratch.path().join(overlay::WORK);
        crate::tree::remove(&work)?;
        fs::create_dir(&work).context("mkdir(work)")?;
        self.layers.push(layer);
        self.mount()
    }

    /// What has changed; nothing is mounted any more. The files go with the result.
    pub(crate) fn changes(&self) -> PathBuf {
        overlay::unmount(&self.root());
        self.upper()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        overlay::unmount(&self.root()); // what is left goes with the mount namespace
    }
}

/// What all commands of a build have in common.
#[derive(Debug)]
pub(crate) struct Runner {
    program: PathBuf,
    root: PathBuf,
    /// Flags of `create`, for all of them.
    flags: Vec<String>,
    guard: Guard,
}

/// One command.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) words: &'a [String],
    /// `NAME=VALUE`, besides those of the image.
    pub(crate) env: &'a [String],
    pub(crate) config: &'a image::Config,
    pub(crate) mounts: Vec<Mount>,
    /// Instead of the network of the build.
    pub(crate) network: Option<&'a str>,
    pub(crate) is_privileged: bool,
}

impl Runner {
    pub(crate) fn new(home: &Home, runtime: Option<&Path>, flags: Vec<String>) -> Result<Self> {
        let program = runtime::find(runtime)?;
        let root = runtime::root(home)?;
        let create = Create::of(&flags, &["build".to_owned()])?;
        networking::find(home, &create, &image::Config::default(), "build")?; // its mistakes are told first
        let guard = Guard::new(home, &program, &root);
        // The first process of a container is a child of the runtime, which ends before it.
        nix::sys::prctl::set_child_subreaper(true).context("prctl(PR_SET_CHILD_SUBREAPER)")?;
        Ok(Self { program, root, flags, guard })
    }

    /// Runs it to its end; returns its exit code. What it writes goes to `output`.
    pub(crate) fn run(
        &self,
        home: &Home,
        mounted: &mut Mounted,
        job: &Job<'_>,
        output: &mut dyn FnMut(&[u8]),
    ) -> Result<i32> {
        let id = ids::made_up()?;
        let mut flags = self.flags.clone();
        flags.extend(job.env.iter().map(|variable| format!("--env={variable}")));
        flags.push("--entrypoint=".to_owned());
        flags.extend(job.is_privileged.then(|| "--privileged".to_owned()));
        if let Some(network) = job.network {
            flags.retain(|flag| !flag.starts_with("--network="));
            flags.push(format!("--network={network}"));
        }
        let words: Vec<String> =
            std::iter::once("build".to_owned()).chain(job.words.iter().cloned()).collect();
        let create = Create::of(&flags, &words)?;
        let mut network = networking::find(home, &create, &image::Config::default(), &id)?;
        let dir = mounted.directory("bundle")?;
        let rootfs = mounted.root();
        let mut facts = facts::find(&create, job.config, &rootfs, (&id, &dir, &rootfs))?;
        facts.network = network.mode != Mode::Host;
        facts.mounts.clone_from(&job.mounts);
        etc::make(&dir, &create.names, &facts.hostname, network.reach())?;
        let spec = spec::make(&create, job.config, &facts)?;
        let places = mounted.scratch.path().join(mountpoints::DIRECTORY);
        if mountpoints::make(&spec, &rootfs, &places)? {
            mounted.add_layer(places)?;
        }
        home::replace(&dir.join("config.json"), &serde_json::to_vec(&spec)?)?;
        let runtime = Runtime::new(self.program.clone(), self.root.clone())?;
        self.guard.watch(&id)?;
        let done = Self::live(home, (&runtime, &id, &dir), &mut network, output);
        runtime.delete(&id).ok(); // it has ended, or never began
        networking::leave(home, &id).ok(); // the next command on the network does
        self.guard.forget(&id);
        done
    }

    fn live(
        home: &Home,
        (runtime, id, dir): (&Runtime, &str, &Path),
        network: &mut Networking,
        output: &mut dyn FnMut(&[u8]),
    ) -> Result<i32> {
        let (mut read, write) = io::pipe().context("pipe")?;
        let pid_file = dir.join("pid");
        let mut create = runtime.command(["create", "--bundle"]);
        create.arg(dir).arg("--pid-file").arg(&pid_file).arg(id).current_dir(dir);
        create.stdout(write.try_clone().context("dup")?).stderr(OwnedFd::from(write));
        runtime.run(&mut create)?;
        drop(create); // and with it our copies of the container's end
        let text = fs::read_to_string(&pid_file).context("pid file")?;
        let pid: i32 = text.trim().parse().context("pid file")?;
        networking::join(home, dir, Who { id, name: "" }, network, pid)?;
        let mut start = runtime.command(["start", id]);
        runtime.run(start.current_dir(dir))?;
        let mut buffer = [0; 8192];
        loop {
            match read.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => output(buffer.get(..length).unwrap_or_default()),
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err).context("read the output"),
            }
        }
        exit_code(pid)
    }
}

/// For a signal it is that of a shell, 128 and its number.
fn exit_code(pid: i32) -> Result<i32> {
    loop {
        match waitpid(Pid::from_raw(pid), None) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(128 + signal as i32),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("waitpid"),
        }
    }
}

/// What a command is called by whom: the network that `default` means.
pub(crate) fn usual_network(wanted: &str) -> Result<&str> {
    Ok(match wanted {
        // Without a way out, a network of one's own has nothing to offer.
        "default" if crate::rootless::ids()?.is_some() && !crate::net::uplink::is_possible() => {
            "host"
        }
        "default" => "bridge",
        other => other,
    })
}

/// Makes the working directory, as `WORKDIR` does.
pub(crate) fn make_directory(mounted: &Mounted, path: &str, user: &str) -> Result<()> {
    let root = File::open(mounted.root())?;
    let user = crate::users::find(&mounted.root(), user, &[])?;
    files::make_directory(root.as_fd(), path, (user.uid, user.gid)).map(drop)
}
