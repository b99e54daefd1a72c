//! One function for each thing that is tried.

use super::report::{Report, Status};
use crate::cli::rootfs::Rootfs;
use crate::error::{OrHint as _, hint, hinted};
use crate::home::{self, Home};
use crate::monitor::ports;
use crate::net::holder::{self, Place};
use crate::net::record::Networks;
use crate::net::trial;
use crate::overlay::{self, Upper};
use crate::registry::{Registries, credentials};
use crate::{fmt, rootfs, runtime, users};
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program, if it is there and answers.
pub(super) fn runtime(wanted: Option<&Path>, report: &mut Report) -> Option<PathBuf> {
    let found = runtime::find(wanted).and_then(|program| {
        let version = runtime::version(&program)?;
        Ok((program, version))
    });
    let program = found.as_ref().ok().map(|(program, _)| program.clone());
    let said = found.map(|(program, version)| format!("{}, {version}", program.display()));
    report.needs("oci-runtime", said);
    program
}

pub(super) fn home(root: Option<&Path>, report: &mut Report) -> Option<Home> {
    let (opened, said) = match Home::open(root) {
        Ok(home) => {
            let said = space(&home);
            (Some(home), said)
        }
        Err(err) => (None, Err(err)),
    };
    report.needs("home", said);
    opened
}

fn space(home: &Home) -> Result<String> {
    let path = home.path().display();
    let (free, left) = (fmt::size(home.free()?), fmt::size(home.leftovers()?));
    Ok(format!("{path}, {free} free, {left} left by interrupted commands"))
}

/// What is said of registries and logins, by the files that `pull` reads.
pub(super) fn settings(report: &mut Report) {
    const CURE: &str = "correct the file, or give it another name";
    let list = |files: &[PathBuf]| {
        let shown: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        if shown.is_empty() { "no file".to_owned() } else { shown.join(", ") }
    };
    let conf = Registries::read().and_then(|_| {
        let present = Registries::sources()?.into_iter().filter(|file| file.exists());
        Ok(list(&present.collect::<Vec<_>>()))
    });
    report.tried("registries", Status::Limited, or_cure(conf, CURE));
    let logins = credentials::files().map(|files| list(&files));
    report.tried("logins", Status::Limited, or_cure(logins, CURE));
}

/// For an error that does not say what to do.
fn or_cure(tried: Result<String>, cure: &str) -> Result<String> {
    tried.map_err(|err| if hint(&err).is_some() { err } else { hinted(err, cure) })
}

/// A container of this program's own, without and with limits.
pub(super) fn containers(home: &Home, runtime: &Path, report: &mut Report) {
    let trial = match Trial::new(home, runtime) {
        Ok(trial) => trial,
        Err(err) => return report.needs("run", Err(err)),
    };
    let ran = trial.run(&[]);
    let runs = ran.is_ok();
    report.needs("run", ran.map(|()| "a container was run".to_owned()));
    if runs {
        let limits = trial.run(&["--memory", "512m", "--pids-limit", "100"]);
        let limits = limits.map(|()| "of memory and processes are set".to_owned());
        let cure = "log in through systemd, and have root do `systemctl edit user@.service`: \
                    [Service] Delegate=cpu cpuset io memory pids";
        report.tried("limits", Status::Limited, or_cure(limits, cure));
    }
}

struct Trial<'a> {
    home: &'a Home,
    runtime: &'a Path,
    scratch: home::Scratch,
    program: PathBuf,
}

impl<'a> Trial<'a> {
    /// Its file system has this program, and the libraries that it may need.
    fn new(home: &'a Home, runtime: &'a Path) -> Result<Self> {
        let program = std::env::current_exe().context("/proc/self/exe")?;
        let scratch = home.scratch()?;
        let name = program.to_str().context("/proc/self/exe: not UTF-8")?.to_owned();
        let dir = scratch.path().join("rootfs");
        rootfs::run(&Rootfs { from_host: true, programs: vec![name], dir })?;
        Ok(Self { home, runtime, scratch, program })
    }

    fn run(&self, limits: &[&str]) -> Result<()> {
        let mut itself = Command::new("/proc/self/exe");
        itself.arg0("bundles").arg("--root").arg(self.home.path());
        itself.args(["run", "--rm", "--network", "none", "--runtime"]).arg(self.runtime);
        itself.args(limits).arg("--rootfs").arg(self.scratch.path().join("rootfs"));
        itself.arg(&self.program).arg("--version");
        let said = itself.stdin(Stdio::null()).output().context("/proc/self/exe")?;
        if !said.status.success() {
            return Err(holder::complaint(&String::from_utf8_lossy(&said.stderr)));
        }
        let version = String::from_utf8_lossy(&said.stdout);
        ensure!(version.starts_with("bundles "), "the container said {version:?}");
        Ok(())
    }
}

/// The files of an image: two layers, and one for what a container writes.
pub(super) fn overlay(home: &Home, report: &mut Report) {
    report.needs("overlay", try_overlay(home));
}

fn try_overlay(home: &Home) -> Result<String> {
    let scratch = home.scratch()?;
    let [one, two, files, work, at] =
        ["one", "two", "files", "work", "at"].map(|name| scratch.path().join(name));
    for dir in [&one, &two, &files, &work, &at] {
        fs::create_dir(dir).with_context(|| dir.display().to_string())?;
    }
    home::write(&one.join("below"), b"").context("write")?;
    overlay::leave_mounts()?;
    let upper = Upper { files: &files, work: &work, volatile: false };
    overlay::mount_layers(&[one, two], Some(&upper), &at)?;
    // Without a whiteout, images whose upper layers remove files could not be changed.
    let changed =
        fs::remove_file(at.join("below")).and_then(|()| home::write(&at.join("new"), b""));
    overlay::unmount(&at);
    changed.with_context(|| format!("{}: overlay", at.display())).hint(
        "keep images on a file system that overlayfs can use, with --root DIR, or boot Linux 5.11 \
         or newer",
    )?;
    Ok("layers are mounted one over the other".to_owned())
}

/// How many users and groups an ordinary user's containers have.
pub(super) fn ids(report: &mut Report) {
    let counts = users::id_counts();
    let said = counts.map(|(users, groups)| format!("{users} users, {groups} groups"));
    let said = said.context("one user and group in a container, its root");
    report.tried("subordinate-ids", Status::Limited, said);
}

pub(super) fn networks(networks: &Networks<'_>, place: &Place, report: &mut Report) {
    let bridge = trial::bridge().map(|()| "made".to_owned());
    report.tried("bridge", Status::Missing, bridge.map_err(|err| place.explain(err)));
    let rules = trial::rules(networks).map(|()| "loaded by nft".to_owned());
    report.tried("firewall", Status::Missing, rules.map_err(|err| place.explain(err)));
}

/// Of an ordinary user's networks.
pub(super) fn way_out(networks: &Networks<'_>, place: &mut Place, report: &mut Report) {
    let started = place.way_out(networks).map(|()| "by pasta".to_owned());
    let cure = "give the host a default route, and let this user open /dev/net/tun";
    report.tried("way-out", Status::Missing, or_cure(started, cure));
}

pub(super) fn low_ports(home: &Home, report: &mut Report) {
    let tried = ports::try_low(home).map(|()| "every port can be published".to_owned());
    report.tried("low-ports", Status::Limited, tried);
}
