//! Every system call of a creation fails once: the error is told, and nothing is left behind.
//!
//! strace(1) makes the calls fail. What the kernel cannot refuse is left out.

use std::collections::BTreeMap;
use std::fs;

use runtime_tests::cgroups;
use runtime_tests::prelude::*;

tests![
    failing_call_of_the_parent_leaves_nothing,
    failing_call_of_init_leaves_nothing,
    failing_call_of_delete_can_be_repeated,
];

/// Calls that always succeed, whose failure libc takes for impossible, or that end a process. A
/// close(2) that fails would leave the descriptor open, as Linux never does.
const SURE: &[&str] = &[
    "arch_prctl",
    "brk",
    "close",
    "execve",
    "execveat",
    "exit",
    "exit_group",
    "getegid",
    "geteuid",
    "getpid",
    "getuid",
    "mmap",
    "mprotect",
    "munmap",
    "mremap",
    "getrandom",
    "rt_sigaction",
    "rt_sigprocmask",
    "set_tid_address",
    "umask",
];

const STRACE: &str = "/usr/bin/strace";

/// How often each call is made, as strace(1) counts for `when=`: in each process anew.
fn count(record: &str) -> BTreeMap<String, usize> {
    let mut by_process: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in record.lines() {
        let (pid, call) = line.split_once(' ').unwrap_or_default();
        let name = call.trim_start().split('(').next().unwrap_or_default();
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_name && !name.is_empty() && !SURE.contains(&name) {
            *by_process.entry((pid, name)).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((_, name), times) in by_process {
        let entry: &mut usize = most.entry(name.to_owned()).or_default();
        *entry = times.max(*entry);
    }
    most
}

/// What is made to fail. With `Run` strace(1) follows init, which must end then.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Create,
    Run,
}

fn call(verb: Verb, id: &str, b: &Bundle, strace: &[&str]) -> Output {
    let bundle = b.dir().to_str().unwrap();
    let (verb, follow): (_, &[&str]) = match verb {
        Verb::Create => ("create", &[]),
        Verb::Run => ("run", &["-f"]),
    };
    let through = [&[STRACE, "-qq"], follow, strace].concat();
    rt([verb, "--bundle", bundle, id]).through(through).output()
}

/// Lets each call fail once and checks what is left.
fn fail_each(verb: Verb) {
    requires!(root, busybox, program(STRACE));
    differs!(Runc, "several threads: what fails is not the same in each run");
    differs!(Crun, "leaves its cgroup or state after several faults");
    // Not the probe: strace(1) follows the payload too, and Rust aborts when its first poll(2)
    // fails, which pid 1 of a namespace survives.
    let b = Bundle::new().with_busybox().args(&["/bin/busybox", "true"]);
    b.write();
    let record = b.beside("strace");
    let id = |n: usize| format!("{}-{n}", b.id());
    call(verb, &id(0), &b, &["-o", record.to_str().unwrap()]).assert_exit(0);
    rt(["delete", "--force", &id(0)]).output().assert_exit(0);
    let record = fs::read_to_string(&record).unwrap();
    let record = if verb == Verb::Create { record.replace('\n', "\n0 ") } else { record };
    let mut tried = 0;
    for (name, times) in count(&record) {
        for when in 1..=times {
            tried += 1;
            let errno = if tried % 2 == 0 { "EPERM" } else { "ENOMEM" };
            let inject = format!("inject={name}:error={errno}:when={when}");
            let trace = format!("trace={name}");
            let flags = ["-o", "/dev/null", "-e", &trace, "-e", &inject];
            let output = call(verb, &id(tried), &b, &flags);
            let fault = format!("{name} #{when}: {errno}");
            if output.code == 0 {
                rt(["delete", "--force", &id(tried)]).output().assert_exit(0);
                continue;
            }
            assert_eq!(output.code, 1, "{fault}: {}", output.stderr());
            assert!(output.stderr().starts_with("rt: "), "{fault}: {}", output.stderr());
            let state = runtime_tests::isolate::state_root().join(id(tried));
            // What fails may be the clean-up itself; then the state must be there for another try.
            let cleaning =
                ["rmdir", "unlinkat", "flock", "fstat", "waitid"].contains(&name.as_str());
            assert!(cleaning || !state.exists(), "{fault}: state is left");
            rt(["delete", "--force", &id(tried)]).output().assert_exit(0);
            let left = cgroups::tagged(&id(tried));
            assert!(left.is_empty(), "{fault}: {left:?}");
        }
    }
    assert!(tried > 50, "only {tried} calls were made to fail");
}

fn failing_call_of_the_parent_leaves_nothing() {
    fail_each(Verb::Create);
}

fn failing_call_of_init_leaves_nothing() {
    fail_each(Verb::Run);
}

fn failing_call_of_delete_can_be_repeated() {
    requires!(root, program(STRACE));
    differs!(Runc, "several threads: what fails is not the same in each run");
    differs!(Crun, "leaves its cgroup or state after several faults");
    for call in ["rmdir", "unlinkat", "flock", "fstat", "pidfd_open"] {
        let c = Bundle::new().start(&["/probe", "sleep", "60"]);
        c.kill("KILL").wait_status("stopped");
        let inject = format!("inject={call}:error=EIO:when=1");
        let strace = [STRACE, "-qq", "-o", "/dev/null", "-e", &inject];
        let output = c.call("delete").through(strace).output();
        if output.code != 0 {
            assert!(output.stderr().contains("EIO"), "{call}: {}", output.stderr());
            c.delete();
        }
        let left = cgroups::tagged(c.id());
        assert!(left.is_empty(), "{call}: {left:?}");
    }
}
