//! `bundles` against Podman, interleaved: what people wait for at a terminal.
//! Runs in: the driver. Both have their images and states on its tmpfs, and the same OCI runtime
//! beneath where both can use it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use runtime_tests::archive::{Tar, config, gzip, saved_with};
use runtime_tests::registry::{self, Registry};
use serde_json::Value;

use crate::figures::Spread;
use crate::spawn::{Command, Outputs, wait_any};

const IMAGE: &str = "bench:latest";
/// Containers of the rows `ps` and `burst`.
const MANY: usize = 100;
const BURST: usize = 50;
const AT_ONCE: usize = 8;
/// Of the row `pull`: files in the layer, and rounds at most.
const FILES: usize = 13_000;
const PULLS: usize = 5;

/// Of the rows `build`: ten steps, as people write them.
const DOCKERFILE: &str = "FROM bench:latest
ENV A=1
WORKDIR /app
COPY files /app/files
RUN mkdir /data && echo one > /data/one
RUN cat /app/files/1 > /data/two
COPY files/2 /app/
RUN echo $A > /data/three
RUN cat /data/one /data/two > /data/all
CMD [\"cat\", \"/data/all\"]
";

/// What to compare.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) bundles: PathBuf,
    /// The runtime for `bundles`.
    pub(crate) rt: PathBuf,
    pub(crate) podman: Option<PathBuf>,
    /// The runtime for Podman.
    pub(crate) runc: PathBuf,
    pub(crate) busybox: PathBuf,
    pub(crate) rounds: usize,
}

/// One of the two.
#[derive(Debug)]
struct Lane {
    name: &'static str,
    argv: Vec<String>,
    /// Of `run` and `create`.
    flags: Vec<String>,
}

/// A row of the table: its title and the samples of each lane, in the order of the rounds.
struct Timed {
    title: &'static str,
    samples: Vec<Vec<f64>>,
}

/// Measures everything and returns the table.
pub(crate) fn measure(programs: &Programs, work: &Path) -> Result<String> {
    let outputs = Outputs::in_dir(work);
    let archive = work.join("image.tar");
    let layers = [layer(&programs.busybox)?];
    let mut config = config(&layers);
    // Podman builds nothing on an image without one.
    let history = serde_json::json!([{ "created_by": "bench" }]);
    config.as_object_mut().context("no object")?.insert("history".to_owned(), history);
    fs::write(&archive, saved_with(IMAGE, &layers, &config))?;
    loopback(&outputs)?;
    let lanes = lanes(programs, work);
    let bench = Bench { lanes, outputs, rounds: programs.rounds };
    for lane in &bench.lanes {
        bench.call(lane, &["load", "-q", "-i", text(&archive)?])?;
    }
    let bridge = |lane: &Lane| run(if lane.name == "podman" { "podman" } else { "bridge" });
    let rows = [
        bench.row("run --rm --network none", |_| run("none")),
        bench.row("run --rm on a bridge", bridge),
        bench.with_one_container(),
        bench.with_many_containers(),
        bench.burst(),
        bench.pull(work),
    ];
    let rows = rows.into_iter().chain(bench.build(work));
    let (rows, failed): (Vec<_>, Vec<_>) = rows.partition(Result::is_ok);
    let rows: Vec<Timed> = rows.into_iter().flatten().collect();
    let mut table = bench.table(&rows);
    writeln!(table, "\nmonitor: {}", bench.monitor(work)?)?;
    let size = fs::metadata(&programs.bundles)?.len();
    writeln!(table, "program: {:.2} MB", size as f64 / 1e6)?;
    for error in failed.into_iter().filter_map(Result::err) {
        writeln!(table, "not measured: {error:#}")?;
    }
    Ok(table)
}

fn run(network: &str) -> Vec<String> {
    let words = ["run", "--rm", "--network", network, IMAGE, "true"];
    words.map(ToOwned::to_owned).to_vec()
}

fn layer(busybox: &Path) -> Result<Vec<u8>> {
    let program = fs::read(busybox).with_context(|| busybox.display().to_string())?;
    let tar = Tar::new()
        .busybox(&program, &["true", "sleep", "sh", "echo", "mkdir", "cat"])
        .directory("etc")
        .file("etc/passwd", b"root:x:0:0::/:/bin/sh\n");
    Ok(tar.bytes())
}

/// Half of its content can be compressed, as that of programs can. The same in every run.
fn big_layer() -> Vec<u8> {
    let mut tar = Tar::new();
    let mut state = 1_u64;
    let mut random = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for directory in 0..FILES / 100 {
        tar = tar.directory(&format!("d{directory}"));
        for file in 0..100 {
            let words = 300 + random() % 2200; // of 8 bytes
            let noise = (0..words).flat_map(|_| random().to_le_bytes());
            let data: Vec<u8> = noise.flat_map(|byte| [byte, b'x']).collect();
            tar = tar.file(&format!("d{directory}/f{file}"), &data);
        }
    }
    tar.bytes()
}

fn loopback(outputs: &Outputs) -> Result<()> {
    let words = ["/sbin/ip", "link", "set", "lo", "up"].map(ToOwned::to_owned);
    Command::new(&words, &environment())?.time(outputs).map(drop)
}

fn environment() -> Vec<String> {
    ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"].map(ToOwned::to_owned).to_vec()
}

fn lanes(programs: &Programs, work: &Path) -> Vec<Lane> {
    let path = |name: &str| work.join(name).display().to_string();
    let own = |path: &Path| path.display().to_string();
    let bundles = Lane {
        name: "bundles",
        argv: vec![own(&programs.bundles), "--root".into(), path("bundles")],
        flags: vec!["--runtime".into(), own(&programs.rt)],
    };
    let podman = programs.podman.as_ref().map(|podman| Lane {
        name: "podman",
        argv: [
            own(podman).as_str(),
            "--root",
            &path("podman"),
            "--runroot",
            &path("podman-run"),
            "--tmpdir",
            &path("podman-tmp"),
            "--cgroup-manager",
            "cgroupfs",
            "--events-backend",
            "none",
            "--runtime",
            &own(&programs.runc),
        ]
        .map(ToOwned::to_owned)
        .to_vec(),
        // The private cgroup has no pids controller where the host uses v1.
        flags: vec!["--pids-limit".into(), "-1".into()],
    });
    std::iter::once(bundles).chain(podman).collect()
}

struct Bench {
    lanes: Vec<Lane>,
    outputs: Outputs,
    rounds: usize,
}

impl Bench {
    fn command(&self, lane: &Lane, words: &[String]) -> Result<Command> {
        let mut argv = lane.argv.clone();
        let (verb, rest) = words.split_first().context("no command")?;
        argv.push(verb.clone());
        match verb.as_str() {
            "run" | "create" => argv.extend(lane.flags.iter().cloned()),
            // Podman's runtime is one of its global flags.
            "build" if lane.name == "bundles" => argv.extend(lane.flags.iter().cloned()),
            _ => {}
        }
        argv.extend(rest.iter().cloned());
        Command::new(&argv, &environment())
    }

    fn call(&self, lane: &Lane, words: &[&str]) -> Result<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        self.command(lane, &words)?.output(&self.outputs)
    }

    /// Times the same in each lane, in turn; the first two rounds are not counted.
    fn row(&self, title: &'static str, words: impl Fn(&Lane) -> Vec<String>) -> Result<Timed> {
        let mut samples = vec![Vec::new(); self.lanes.len()];
        for round in 0..self.rounds + 2 {
            for (lane, samples) in self.lanes.iter().zip(&mut samples) {
                let time = self.command(lane, &words(lane))?.time(&self.outputs)?;
                if round >= 2 {
                    samples.push(time.as_secs_f64() * 1e3);
                }
            }
        }
        Ok(Timed { title, samples })
    }

    fn with_one_container(&self) -> Result<Timed> {
        for lane in &self.lanes {
            let network = ["--network", "none", "--name", "one"];
            self.call(lane, &[&["run", "-d"], &network[..], &[IMAGE, "sleep", "1000"]].concat())?;
        }
        let exec = ["exec", "one", "true"].map(ToOwned::to_owned).to_vec();
        let row = self.row("exec", |_| exec.clone())?;
        for lane in &self.lanes {
            self.call(lane, &["rm", "-f", "one"])?;
        }
        Ok(row)
    }

    fn with_many_containers(&self) -> Result<Timed> {
        for lane in &self.lanes {
            for _ in 0..MANY {
                self.call(lane, &["create", "--network", "none", IMAGE, "true"])?;
            }
        }
        let row =
            self.row("ps -a of 100 containers", |_| ["ps", "-a"].map(ToOwned::to_owned).to_vec())?;
        for lane in &self.lanes {
            let ids = self.call(lane, &["ps", "-aq"])?;
            let ids: Vec<&str> = ids.split_whitespace().collect();
            ensure!(ids.len() == MANY, "{}: {} containers", lane.name, ids.len());
            self.call(lane, &[&["rm"], ids.as_slice()].concat())?;
        }
        Ok(row)
    }

    /// Starts [`BURST`] containers, [`AT_ONCE`] at a time; in milliseconds for all.
    fn burst(&self) -> Result<Timed> {
        let mut samples = vec![Vec::new(); self.lanes.len()];
        for (lane, samples) in self.lanes.iter().zip(&mut samples) {
            let words = ["run", "-d", "--network", "none", IMAGE, "sleep", "1000"];
            let command = self.command(lane, &words.map(ToOwned::to_owned))?;
            let begin = Instant::now();
            let (mut started, mut ended) = (0, 0);
            while ended < BURST {
                if started < BURST && started - ended < AT_ONCE {
                    command.start(&self.outputs)?;
                    started += 1;
                    continue;
                }
                let (_, status) = wait_any()?;
                command.judge(status, &self.outputs)?;
                ended += 1;
            }
            samples.push(begin.elapsed().as_secs_f64() * 1e3);
            let ids = self.call(lane, &["ps", "-q"])?;
            let ids: Vec<&str> = ids.split_whitespace().collect();
            ensure!(ids.len() == BURST, "{}: {} of {BURST} run", lane.name, ids.len());
            self.call(lane, &[&["rm", "-f"], ids.as_slice()].concat())?;
        }
        Ok(Timed { title: "50 containers, 8 at once", samples })
    }

    /// Fetches an image of one big layer from Debian's registry and unpacks it; the image goes again
    /// outside of the time.
    fn pull(&self, work: &Path) -> Result<Timed> {
        ensure!(Path::new(registry::PROGRAM).exists(), "pull: no {}", registry::PROGRAM);
        let plain = big_layer();
        let blob = gzip(&plain);
        let size = blob.len();
        let image = registry::image(registry::OCI_MANIFEST, &[(&plain, blob, "+gzip")]);
        let server = Registry::start_in(work, "", "");
        server.push("big", "1", &image);
        let name = server.name("big:1");
        let mut samples = vec![Vec::new(); self.lanes.len()];
        for _ in 0..self.rounds.min(PULLS) {
            for (lane, samples) in self.lanes.iter().zip(&mut samples) {
                let insecure = (lane.name == "podman").then_some("--tls-verify=false");
                let words = ["pull", "-q"].into_iter().chain(insecure).chain([name.as_str()]);
                let words: Vec<String> = words.map(ToOwned::to_owned).collect();
                let time = self.command(lane, &words)?.time(&self.outputs)?;
                samples.push(time.as_secs_f64() * 1e3);
                self.call(lane, &["rmi", &name])?;
            }
        }
        ensure!(size > 140_000_000, "pull: the layer has {size} bytes only");
        Ok(Timed { title: "pull 150 MB, 13 000 files", samples })
    }

    /// The same file anew, and once more with everything known.
    fn build(&self, work: &Path) -> Vec<Result<Timed>> {
        let titles = ["build, 10 steps, anew", "build, 10 steps, known"];
        let mut samples = [(); 2].map(|()| vec![Vec::new(); self.lanes.len()]);
        let mut measure = || -> Result<()> {
            let context = work.join("context");
            fs::create_dir_all(context.join("files"))?;
            fs::write(context.join("Dockerfile"), DOCKERFILE)?;
            for number in 1..=20 {
                fs::write(context.join(format!("files/{number}")), vec![b'x'; 10_000])?;
            }
            for _ in 0..self.rounds {
                for (at, lane) in self.lanes.iter().enumerate() {
                    for (kind, samples) in samples.iter_mut().enumerate() {
                        let samples = samples.get_mut(at).context("a lane")?;
                        let mut words = vec!["build", "-q", "--network", "none", "-t", "built:1"];
                        words.extend((kind == 0).then_some("--no-cache"));
                        words.push(text(&context)?);
                        let words: Vec<String> = words.into_iter().map(ToOwned::to_owned).collect();
                        let time = self.command(lane, &words)?.time(&self.outputs)?;
                        samples.push(time.as_secs_f64() * 1e3);
                    }
                }
            }
            Ok(())
        };
        if let Err(err) = measure() {
            return vec![Err(err.context("build"))];
        }
        titles
            .into_iter()
            .zip(samples)
            .map(|(title, samples)| Ok(Timed { title, samples }))
            .collect()
    }

    /// Memory that only a container's monitor has.
    fn monitor(&self, work: &Path) -> Result<String> {
        let lane = self.lanes.first().context("no lane")?;
        self.call(
            lane,
            &["run", "-d", "--network", "none", "--name", "monitored", IMAGE, "sleep", "1000"],
        )?;
        let mut text = String::new();
        for entry in fs::read_dir(work.join("bundles/containers"))? {
            let record: Value =
                serde_json::from_slice(&fs::read(entry?.path().join("container.json"))?)?;
            let pid = record.pointer("/state/monitor/pid").context("no monitor")?;
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
            let kib = |field: &str| -> u64 {
                let line = rollup.lines().find_map(|line| line.strip_prefix(field));
                line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
            };
            let (dirty, clean) = (kib("Private_Dirty:"), kib("Private_Clean:"));
            write!(text, "{dirty} KiB private dirty, {clean} KiB private clean")?;
        }
        self.call(lane, &["rm", "-f", "monitored"])?;
        Ok(text)
    }

    fn table(&self, rows: &[Timed]) -> String {
        let mut text = format!(
            "{:<28}{:<10}{:>10}{:>10}{:>10}{:>10}\n",
            "[ms]", "", "median", "p10", "p90", "x podman"
        );
        for row in rows {
            let medians: Vec<Option<Spread>> =
                row.samples.iter().map(|samples| Spread::of(samples)).collect();
            let podman = medians.get(1).copied().flatten().map(|spread| spread.median);
            for (lane, spread) in self.lanes.iter().zip(&medians) {
                let Some(spread) = spread else { continue };
                let ratio = podman
                    .map_or("-".to_owned(), |podman| format!("{:.3}", spread.median / podman));
                writeln!(
                    text,
                    "{:<28}{:<10}{:>10.2}{:>10.2}{:>10.2}{ratio:>10}",
                    row.title, lane.name, spread.median, spread.p10, spread.p90
                )
                .ok(); // a String takes everything
            }
        }
        text
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}
