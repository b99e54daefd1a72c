//! bench: times container runtimes against each other and against a floor, interleaved.
//! `runtime-tests/bench/README.md` tells how to read the result.
//! Runs in: an outer process on the host, and the driver inside private namespaces (`place.rs`).
//! Privilege: root.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program whose result is its standard output"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "std::fs::write: the rule is for rt, which writes beneath hostile roots; here all is on a private tmpfs"
)]

mod bounds;
mod bundle;
mod companion;
mod facts;
mod figures;
mod lane;
mod place;
mod profile;
mod report;
mod spawn;
mod verbs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use bounds::Bound;
use figures::Row;
use lane::{Kind, Runtime, path_text};
use verbs::Bench;

const USAGE: &str = "\
usage: bench [OPTION]...
  --runtime NAME=PATH  measure this OCI runtime (repeatable; default: runc and crun from PATH)
  --floor PATH         the floor program, built from runtime-tests/bench/floor.c
  --rounds N           samples of each latency (default 60)
  --warm-up N          rounds before them that are not counted (default 5)
  --verbs A,B          only these rows, by the words in brackets in the table
  --busybox PATH       static busybox for the root file system (default: from PATH)
  --json FILE          also write all figures there
  --assert BOUND       e.g. run<=2.0xfloor  rt:run<1.0xcrun  'delete-f<floor+5'  syscalls<=350
                       (repeatable; of the first --runtime when no name is given)
  --companion PATH     measure bundles against Podman instead, with the first --runtime
                       beneath it, and runc beneath Podman
  --podman PATH        Podman (default: from PATH)
  --check              exit with 1 when a bound does not hold or a runtime failed
";

struct Options {
    runtimes: Vec<Runtime>,
    floor: Option<PathBuf>,
    busybox: PathBuf,
    rounds: usize,
    warm_up: usize,
    rows: Vec<Row>,
    json: Option<PathBuf>,
    bounds: Vec<Bound>,
    check: bool,
    companion: Option<PathBuf>,
    podman: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|word| word == "--help" || word == "-h") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let result = Options::parse(arguments).and_then(|options| {
        place::run_inside(|work| match options.measure(work) {
            Ok(good) => u8::from(options.check && !good),
            Err(error) => {
                eprintln!("bench: {error:#}");
                2
            }
        })
    });
    result.unwrap_or_else(|error| {
        eprintln!("bench: {error:#}");
        ExitCode::from(2)
    })
}

/// Measures and reports; `true` when every runtime worked and every bound holds.
fn measure(options: &Options, work: &Path) -> Result<bool> {
    bundle::make_rootfs(work, &options.busybox, options.floor.as_deref())?;
    let bench = Bench::new(work, &options.runtimes, &options.rows)?;
    let bench = take_figures(options, bench)?;
    print!("{}", bench.table());
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&bench.json())?;
        fs::write(file, text + "\n").with_context(|| file.display().to_string())?;
    }
    let subject = options.runtimes.iter().find(|runtime| runtime.kind == Kind::Oci);
    let subject = subject.map_or("", |runtime| runtime.name.as_str());
    let (text, hold) = bench.judge(&options.bounds, subject);
    print!("{text}");
    let complete =
        bench.left_out.is_empty() && bench.lanes.iter().all(|lane| lane.failure.is_none());
    Ok(hold && complete)
}

fn take_figures(options: &Options, mut bench: Bench) -> Result<Bench> {
    ensure!(!bench.lanes.is_empty(), "no runtime works here: {}", bench.left_out.join("; "));
    bench.rounds(options.warm_up, options.rounds)?;
    let twins = bench.take_twins();
    bench.throughput((options.rounds / 10).max(3));
    bench.facts();
    if bench.wants(&[Row::List100, Row::State100]) {
        bench.among_many(options.warm_up.min(2), (options.rounds / 3).max(3));
    }
    bench.lanes.extend(twins);
    Ok(bench)
}

impl Options {
    fn measure(&self, work: &Path) -> Result<bool> {
        let Some(bundles) = &self.companion else { return measure(self, work) };
        let rt = self.runtimes.iter().find(|runtime| runtime.kind == Kind::Oci);
        let programs = companion::Programs {
            bundles: bundles.clone(),
            rt: rt.context("--companion: no --runtime")?.path.clone().into(),
            podman: self.podman.clone(),
            runc: find_program("runc").context("no runc in PATH")?,
            busybox: self.busybox.clone(),
            rounds: self.rounds,
        };
        print!("{}", companion::measure(&programs, work)?);
        Ok(true)
    }

    fn parse(arguments: Vec<String>) -> Result<Self> {
        let mut options = Self {
            runtimes: Vec::new(),
            floor: None,
            busybox: PathBuf::new(),
            rounds: 60,
            warm_up: 5,
            rows: Row::ALL.to_vec(),
            json: None,
            bounds: Vec::new(),
            check: false,
            companion: None,
            podman: find_program("podman"),
        };
        let mut words = arguments.into_iter();
        while let Some(word) = words.next() {
            if word == "--check" {
                options.check = true;
                continue;
            }
            let value = words.next().with_context(|| format!("{word}: no value\n{USAGE}"))?;
            match word.as_str() {
                "--runtime" => options.runtimes.push(oci_runtime(&value)?),
                "--floor" => options.floor = Some(fs::canonicalize(&value).context(value)?),
                "--busybox" => options.busybox = PathBuf::from(value),
                "--rounds" => options.rounds = value.parse().context(word)?,
                "--warm-up" => options.warm_up = value.parse().context(word)?,
                "--verbs" => options.rows = rows(&value)?,
                "--json" => options.json = Some(std::path::absolute(value)?),
                "--companion" => options.companion = Some(fs::canonicalize(&value).context(value)?),
                "--podman" => options.podman = Some(PathBuf::from(value)),
                "--assert" => options.bounds.push(Bound::parse(&value)?),
                _ => bail!("unknown option {word}\n{USAGE}"),
            }
        }
        ensure!(options.rounds > 0, "--rounds: at least 1");
        if options.runtimes.is_empty() {
            for name in ["runc", "crun"] {
                if let Some(path) = find_program(name) {
                    options.runtimes.push(oci_runtime(&format!("{name}={}", path_text(&path)?))?);
                }
            }
        }
        if let Some(floor) = &options.floor {
            let path = path_text(floor)?;
            let floor = Runtime { name: "floor".to_owned(), path, kind: Kind::Floor };
            options.runtimes.insert(0, floor);
        }
        if options.busybox.as_os_str().is_empty() {
            options.busybox =
                find_program("busybox").context("no busybox in PATH; install busybox-static")?;
        }
        Ok(options)
    }
}

fn oci_runtime(text: &str) -> Result<Runtime> {
    let (name, path) = text.split_once('=').context("--runtime: expected NAME=PATH")?;
    let path = fs::canonicalize(path).with_context(|| format!("--runtime {text}"))?;
    Ok(Runtime { name: name.to_owned(), path: path_text(&path)?, kind: Kind::Oci })
}

fn rows(text: &str) -> Result<Vec<Row>> {
    text.split(',')
        .map(|key| {
            Row::from_key(key).with_context(|| {
                let known: Vec<&str> = Row::ALL.into_iter().map(Row::key).collect();
                format!("--verbs: {key} is no row; the rows are {}", known.join(","))
            })
        })
        .collect()
}

/// The first file of this name in a directory of PATH.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}
