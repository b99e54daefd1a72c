//! Starts the tests' processes, judges how they ended, and sums up.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use runtime_tests::{cgroups, outcome};

use crate::options::Options;
use crate::selfcheck::{CHECKS, Expected};

enum Verdict {
    Passed,
    /// Passed although a `differs!` says that this runtime cannot.
    PassedUnexpectedly,
    Failed,
    Skipped(String),
}

struct Ended {
    name: String,
    verdict: Verdict,
    /// Everything that was written, for the report of a failure.
    text: String,
    took: Duration,
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
    let mut tally = Tally::default();
    each(options, names, |ended| tally.count(ended));
    tally.print();
    tally.failed.is_empty()
}

/// Runs the tests of the harness, and returns whether each ended as it must.
pub(crate) fn self_check(options: &Options) -> bool {
    let names: Vec<String> = CHECKS.iter().map(|check| check.0.to_owned()).collect();
    let (mut right, mut wrong) = (0, 0);
    each(options, &names, |ended| {
        let (name, _, expected, words) =
            CHECKS.iter().find(|check| check.0 == ended.name).expect("a check of this name");
        let seen = match ended.verdict {
            Verdict::Passed | Verdict::PassedUnexpectedly => Expected::Pass,
            Verdict::Skipped(_) => Expected::Skip,
            Verdict::Failed => Expected::Fail,
        };
        // An ordinary user cannot make a cgroup to leave behind.
        let excused = ended.text.contains("needs root");
        if excused || (seen == *expected && ended.text.contains(words)) {
            println!("pass {name}: {expected:?} {words}");
            right += 1;
        } else {
            println!(
                "FAIL {name}: wanted {expected:?} with {words:?}, got {seen:?}\n{}",
                ended.text
            );
            wrong += 1;
        }
    });
    println!("{right} passed, {wrong} failed, 0 skipped");
    wrong == 0
}

/// Runs the named tests, `options.jobs` at a time, and hands each to `judge` as it ends.
fn each(options: &Options, names: &[String], mut judge: impl FnMut(Ended)) {
    let mut waiting = names.iter().enumerate();
    let mut going: Vec<Going> = Vec::new();
    loop {
        while going.len() < options.jobs.max(1)
            && let Some((index, name)) = waiting.next()
        {
            going.push(start(options, name, index));
        }
        if going.is_empty() {
            return;
        }
        let mut still = Vec::new();
        for mut test in going {
            match test.child.try_wait().expect("wait for a test") {
                Some(status) => {
                    let code = status.code().unwrap_or(128 + status.signal().unwrap_or(0));
                    judge(end(options, &mut test, code, ""));
                }
                None if test.since.elapsed() > options.timeout => {
                    test.child.kill().expect("kill a test");
                    test.child.wait().expect("wait for a killed test");
                    let note = format!("killed: no end after {} s\n", options.timeout.as_secs());
                    judge(end(options, &mut test, 137, &note));
                }
                None => still.push(test),
            }
        }
        going = still;
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn start(options: &Options, name: &str, index: usize) -> Going {
    let output = tempfile();
    let tag = format!("rtt{}x{index}", std::process::id());
    let mut command = Command::new("/proc/self/exe");
    command.args(["--one", name]);
    // A failing test is named by its line; the way through the harness is noise.
    command.env("RUST_BACKTRACE", "0");
    command.envs(options.bundles.iter().map(|path| ("RT_TEST_BUNDLES", path)));
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

/// Reads what a test wrote, judges it, and removes what it may have left in the cgroups.
fn end(options: &Options, test: &mut Going, code: i32, note: &str) -> Ended {
    let mut bytes = Vec::new();
    std::io::Seek::rewind(&mut test.output).expect("rewind");
    test.output.read_to_end(&mut bytes).expect("read the test's output");
    let text = String::from_utf8_lossy(&bytes).into_owned() + note;
    if code != 0 {
        // A killed or failed test may have left what its supervisor could not see.
        cgroups::sweep(&test.tag);
    }
    let verdict = judge(options, code, &text);
    let text = text.replace(outcome::MARK, "");
    Ended { name: test.name.clone(), verdict, text, took: test.since.elapsed() }
}

fn judge(options: &Options, code: i32, text: &str) -> Verdict {
    let mark = |word: &str| {
        text.lines().filter_map(|l| l.strip_prefix(outcome::MARK)?.strip_prefix(word)).next()
    };
    let differs = mark("differs ");
    match (code, mark("skip "), differs) {
        (0, None, None) => Verdict::Passed,
        (0, None, Some(_)) => Verdict::PassedUnexpectedly,
        (outcome::SKIPPED, Some(skip), _) => match skip.split_once(' ') {
            Some(("Machine", reason)) => Verdict::Skipped(reason.to_owned()),
            Some((_, reason)) if !options.no_skip => Verdict::Skipped(reason.to_owned()),
            _ => Verdict::Failed,
        },
        _ => match differs.or_else(|| mark("sometimes ")) {
            Some(reason) => Verdict::Skipped(format!("known difference: {reason}")),
            None => Verdict::Failed,
        },
    }
}

impl Tally {
    fn count(&mut self, ended: Ended) {
        let Ended { name, verdict, text, took } = ended;
        let millis = took.as_millis();
        match verdict {
            Verdict::Passed => {
                println!("pass {name} ({millis} ms)");
                self.passed += 1;
            }
            Verdict::PassedUnexpectedly => {
                println!("pass {name} ({millis} ms), although it is marked as a known difference");
                self.passed += 1;
                self.unexpected.push(name);
            }
            Verdict::Skipped(reason) => {
                println!("skip {name}: {reason}");
                *self.skipped.entry(reason).or_default() += 1;
            }
            Verdict::Failed => {
                println!("FAIL {name} ({millis} ms)");
                for line in text.lines() {
                    println!("     | {line}");
                }
                self.failed.push(name);
            }
        }
    }

    fn print(&self) {
        println!();
        for (reason, times) in &self.skipped {
            println!("skipped: {reason} x{times}");
        }
        for name in &self.unexpected {
            println!("note: {name} passes here, its differs! may go");
        }
        for name in &self.failed {
            println!("failed: {name}");
        }
        let skipped: usize = self.skipped.values().sum();
        println!("{} passed, {} failed, {skipped} skipped", self.passed, self.failed.len());
    }
}
