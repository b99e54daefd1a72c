//! Starts the tests' processes, judges how they ended, and sums up.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use runtime_tests::{cgroups, outcome};

use crate::options::Options;

/// A test that takes longer is killed and failed.
const TIMEOUT: Duration = Duration::from_secs(30);

enum Verdict {
    Passed,
    /// Passed although a `differs!` says that this runtime cannot.
    PassedUnexpectedly,
    Failed,
    Skipped(String),
}

struct Going {
    name: String,
    tag: String,
    child: Child,
    output: File,
    since: Instant,
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: BTreeMap<String, usize>,
    unexpected: Vec<String>,
}

/// Runs all, prints as they end, and returns whether none failed.
pub(crate) fn all(options: &Options, names: &[String]) -> bool {
    let mut waiting = names.iter().enumerate();
    let mut going: Vec<Going> = Vec::new();
    let mut tally = Tally::default();
    loop {
        while going.len() < options.jobs.max(1)
            && let Some((index, name)) = waiting.next()
        {
            going.push(start(options, name, index));
        }
        if going.is_empty() {
            break;
        }
        let mut still = Vec::new();
        for mut test in going {
            match test.child.try_wait().expect("wait for a test") {
                Some(status) => {
                    let code = status.code().unwrap_or(128 + status.signal().unwrap_or(0));
                    report(&mut test, code, "", &mut tally);
                }
                None if test.since.elapsed() > TIMEOUT => {
                    test.child.kill().expect("kill a test");
                    test.child.wait().expect("wait for a killed test");
                    let note = format!("killed: no end after {} s\n", TIMEOUT.as_secs());
                    report(&mut test, 137, &note, &mut tally);
                }
                None => still.push(test),
            }
        }
        going = still;
        std::thread::sleep(Duration::from_millis(2));
    }
    sum_up(&tally);
    tally.failed.is_empty()
}

fn start(options: &Options, name: &str, index: usize) -> Going {
    let output = tempfile();
    let tag = format!("rtt{}x{index}", std::process::id());
    let mut command = Command::new("/proc/self/exe");
    command.args(["--one", name]);
    // A failing test is named by its line; the way through the harness is noise.
    command.env("RUST_BACKTRACE", "0");
    command.env("RT", &options.runtime).env("RT_TEST_VIEW", &options.view).env("RT_TEST_TAG", &tag);
    command.env("PROBE", runtime_tests::probe::find().expect("probe"));
    command
        .env_remove("RT_TEST_ROOTLESS")
        .env_remove("NOTIFY_SOCKET")
        .env_remove("XDG_RUNTIME_DIR");
    if !nix::unistd::geteuid().is_root() {
        command.env("RT_TEST_ROOTLESS", "1");
    }
    command.stdin(Stdio::null());
    command.stdout(output.try_clone().expect("dup")).stderr(output.try_clone().expect("dup"));
    let child = command.spawn().expect("start a test");
    Going { name: name.to_owned(), tag, child, output, since: Instant::now() }
}

fn tempfile() -> File {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).append(true).custom_flags(libc::O_TMPFILE);
    options.open(std::env::temp_dir()).expect("a temporary file")
}

fn report(test: &mut Going, code: i32, note: &str, tally: &mut Tally) {
    let mut bytes = Vec::new();
    std::io::Seek::rewind(&mut test.output).expect("rewind");
    test.output.read_to_end(&mut bytes).expect("read the test's output");
    let text = String::from_utf8_lossy(&bytes).into_owned() + note;
    let millis = test.since.elapsed().as_millis();
    let name = &test.name;
    match judge(code, &text) {
        Verdict::Passed => {
            println!("pass {name} ({millis} ms)");
            tally.passed += 1;
        }
        Verdict::PassedUnexpectedly => {
            println!("pass {name} ({millis} ms), although it is marked as a known difference");
            tally.passed += 1;
            tally.unexpected.push(name.clone());
        }
        Verdict::Skipped(reason) => {
            println!("skip {name}: {reason}");
            *tally.skipped.entry(reason).or_default() += 1;
        }
        Verdict::Failed => {
            cgroups::sweep(&test.tag);
            println!("FAIL {name} ({millis} ms)");
            for line in text.lines() {
                println!("     | {}", line.strip_prefix(outcome::MARK).unwrap_or(line));
            }
            tally.failed.push(name.clone());
        }
    }
    if code != 0 {
        // A killed or failed test may have left what its supervisor could not see.
        cgroups::sweep(&test.tag);
    }
}

fn judge(code: i32, text: &str) -> Verdict {
    let mark = |word: &str| {
        text.lines().filter_map(|l| l.strip_prefix(outcome::MARK)?.strip_prefix(word)).next()
    };
    let strict = std::env::var_os("RT_TEST_NO_SKIP").is_some_and(|v| v == "1");
    match (code, mark("skip "), mark("differs ")) {
        (0, None, None) => Verdict::Passed,
        (0, None, Some(_)) => Verdict::PassedUnexpectedly,
        (outcome::SKIPPED, Some(skip), _) => match skip.split_once(' ') {
            Some(("Machine", reason)) => Verdict::Skipped(reason.to_owned()),
            Some((_, reason)) if !strict => Verdict::Skipped(reason.to_owned()),
            _ => Verdict::Failed,
        },
        (_, None, Some(reason)) => Verdict::Skipped(format!("known difference: {reason}")),
        _ => Verdict::Failed,
    }
}

fn sum_up(tally: &Tally) {
    println!();
    for (reason, times) in &tally.skipped {
        println!("skipped: {reason} x{times}");
    }
    for name in &tally.unexpected {
        println!("note: {name} passes here, its differs! may go");
    }
    for name in &tally.failed {
        println!("failed: {name}");
    }
    let skipped: usize = tally.skipped.values().sum();
    println!("{} passed, {} failed, {skipped} skipped", tally.passed, tally.failed.len());
}
