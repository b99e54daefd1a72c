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
    failing_call_of_a_doorkeeper_leaves_nothing,
    failing_call_of_exec_leaves_no_process,
    failing_call_of_start_leaves_a_container_that_can_be_deleted,
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

/// Lets each call fail once and checks what is left. The bundle may be changed before.
fn fail_each(verb: Verb, change: impl FnOnce(Bundle) -> Bundle) {
    requires!(root, busybox, program(STRACE));
    differs!(Runc, "several threads: what fails is not the same in each run");
    differs!(Crun, "leaves its cgroup or state after several faults");
    // Not the probe: strace(1) follows the payload too, and Rust aborts when its first poll(2)
    // fails, which pid 1 of a namespace survives.
    let b = change(Bundle::new().with_busybox()).args(&["/bin/busybox", "true"]);
    b.write();
    let record = b.beside("strace");
    let id = |n: usize| format!("{}-{n}", b.id());
    call(verb, &id(0), &b, &["-o", record.to_str().unwrap()]).assert_exit(0);
    rt(["delete", "--force", &id(0)]).output().assert_exit(0);
    let record = fs::read_to_string(&record).unwrap();
    let record = if verb == Verb::Create { record.replace('\n', "\n0 ") } else { record };
    let mut number = 0;
    let tried = each_fault(&record, |strace, fault| {
        number += 1;
        let id = id(number);
        let output = call(verb, &id, &b, strace);
        if output.code == 0 {
            rt(["delete", "--force", &id]).output().assert_exit(0);
            return;
        }
        assert_eq!(output.code, 1, "{fault}: {}", output.stderr());
        let told = output.stderr().starts_with("rt: ") || fault.starts_with("inject=write:");
        assert!(told, "{fault}: {}", output.stderr());
        let state = runtime_tests::isolate::state_root().join(&id);
        // What fails may be the clean-up itself; then the state must be there for another try.
        let cleans = ["rmdir", "unlinkat", "flock", "fstat", "waitid"];
        // With systemd nearly every call has to do with it.
        let cleaning = view() == View::Systemd
            || cleans.iter().any(|name| fault.starts_with(&format!("inject={name}:")));
        assert!(cleaning || !state.exists(), "{fault}: state is left");
        rt(["delete", "--force", &id]).output().assert_exit(0);
        let left = cgroups::tagged(&id);
        assert!(left.is_empty(), "{fault}: {left:?}");
    });
    assert!(tried > 50, "only {tried} calls were made to fail");
}

fn failing_call_of_the_parent_leaves_nothing() {
    fail_each(Verb::Create, |b| b);
}

fn failing_call_of_init_leaves_nothing() {
    fail_each(Verb::Run, |b| b);
}

/// A member of a pod: its init is born by a doorkeeper in the user namespace of the first one.
fn failing_call_of_a_doorkeeper_leaves_nothing() {
    requires!(userns);
    let first = Bundle::new().user_namespace(100_000).start(&["/probe", "sleep", "600"]);
    fail_each(Verb::Run, |b| {
        let b = b.user_namespace(100_000).with(|c| {
            c.as_object_mut().unwrap().remove("hostname");
        });
        let kinds = [("user", "user"), ("network", "net"), ("uts", "uts")];
        kinds.iter().fold(b, |b, (kind, file)| {
            b.namespace(kind, Some(&format!("/proc/{}/ns/{file}", first.pid())))
        })
    });
    first.exec(&["/probe", "true"]).assert_exit(0);
    first.end();
}

/// Every call that `record` lists fails once: `try_it` gets strace's options and the fault's name.
fn each_fault(record: &str, mut try_it: impl FnMut(&[&str], &str)) -> usize {
    let mut tried = 0;
    for (name, times) in count(record) {
        for when in 1..=times {
            tried += 1;
            let errno = if tried % 2 == 0 { "EPERM" } else { "ENOMEM" };
            let inject = format!("inject={name}:error={errno}:when={when}");
            let trace = format!("trace={name}");
            try_it(&["-o", "/dev/null", "-e", &trace, "-e", &inject], &inject);
        }
    }
    tried
}

fn failing_call_of_exec_leaves_no_process() {
    requires!(root, busybox, program(STRACE));
    differs!(Runc, "several threads: what fails is not the same in each run");
    differs!(Crun, "leaves its child behind after several faults");
    let c = Bundle::new().with_busybox().start(&["/probe", "sleep", "600"]);
    let exec = |strace: &[&str]| {
        let through = [&[STRACE, "-qq", "-f"], strace].concat();
        c.exec_call(&[], &["/bin/busybox", "true"]).through(through).output()
    };
    let record = c.bundle().join("strace");
    exec(&["-o", record.to_str().unwrap()]).assert_exit(0);
    let processes = || c.call("ps").args(["--format", "json"]).output().json();
    assert_eq!(processes().as_array().map(Vec::len), Some(1));
    let tried = each_fault(&fs::read_to_string(record).unwrap(), |strace, fault| {
        let output = exec(strace);
        // 127 and 126 are of the payload, which strace follows as well.
        assert!([0, 1, 126, 127, 255].contains(&output.code), "{fault}: {}", output.code);
        // The message itself may be what fails.
        if output.code == 255 && !fault.starts_with("inject=write:") {
            assert!(output.stderr().starts_with("rt: "), "{fault}: {}", output.stderr());
        }
        until(&format!("{fault}: the end of what exec has started"), || {
            (processes().as_array().map(Vec::len) == Some(1)).then_some(())
        });
    });
    assert!(tried > 50, "only {tried} calls were made to fail");
    c.exec(&["/probe", "true"]).assert_exit(0);
    c.kill("KILL").delete();
}

fn failing_call_of_start_leaves_a_container_that_can_be_deleted() {
    requires!(root, busybox, program(STRACE));
    differs!(Runc, "several threads: what fails is not the same in each run");
    differs!(Crun, "leaves its cgroup or state after several faults");
    let b = Bundle::new().with_busybox().args(&["/bin/busybox", "true"]);
    let start = |strace: &[&str]| {
        let c = b.create();
        let through = [&[STRACE, "-qq"], strace].concat();
        let output = c.call("start").through(through).output();
        assert!([0, 1].contains(&output.code), "{}", output.code);
        c.delete_force();
        let left = cgroups::tagged(c.id());
        assert!(left.is_empty(), "{left:?}");
    };
    let record = b.beside("strace");
    start(&["-o", record.to_str().unwrap()]);
    let record = fs::read_to_string(record).unwrap().replace('\n', "\n0 ");
    let tried = each_fault(&record, |strace, _| start(strace));
    assert!(tried > 10, "only {tried} calls were made to fail");
}

fn failing_call_of_delete_can_be_repeated() {
    requires!(root, program(STRACE));
    sometimes_differs!(Runc, "several threads: what fails is not the same in each run");
    differs!(Crun, "leaves its cgroup or state after several faults");
    let mut failed = 0;
    for call in ["rmdir", "unlinkat", "flock", "fstat", "pidfd_open"] {
        // Each of them in turn: a container has a cgroup in every hierarchy.
        for when in 1..40 {
            let c = Bundle::new().start(&["/probe", "sleep", "600"]);
            c.kill("KILL").wait_status("stopped");
            let inject = format!("inject={call}:error=EIO:when={when}");
            let strace = [STRACE, "-qq", "-o", "/dev/null", "-e", &inject];
            let output = c.call("delete").through(strace).output();
            if output.code != 0 {
                assert!(output.stderr().contains("EIO"), "{call}: {}", output.stderr());
                c.delete();
                failed += 1;
            }
            let left = cgroups::tagged(c.id());
            assert!(left.is_empty(), "{call} {when}: {left:?}");
            if output.code == 0 {
                break;
            }
        }
    }
    assert!(failed > 2, "only {failed} calls were made to fail");
}
