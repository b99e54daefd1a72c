//! config-linux.md, "Seccomp": the decisions of the loaded filter, seen from inside.

use runtime_tests::prelude::*;

tests![
    errno_action_with_its_number,
    errno_default_is_eperm,
    errno_of_zero_pretends_success,
    default_action_with_exceptions,
    kill_process_ends_it_by_sigsys,
    kill_and_trap_end_it,
    log_action_lets_it_pass,
    first_matching_rule_and_several_names,
    operators,
    arguments_of_one_rule_are_all_needed,
    several_rules_for_one_call_are_alternatives,
    all_six_arguments,
    sixty_four_bit_values,
    masked_eq_of_clone_flags,
    clone3_with_enosys,
    unknown_names_are_ignored,
    syscalls_newer_than_the_profile_give_enosys,
    filter_is_in_effect_and_no_new_privs_is_not_implied,
    filter_without_no_new_privs,
    filter_applies_to_exec,
    payload_is_not_killed_by_a_strict_profile,
    init_that_may_neither_execute_nor_exit_ends,
    docker_like_profile,
    unknown_action_and_operator_are_refused,
    flags_are_accepted,
    foreign_architecture_alone_leaves_ours_to_the_default,
    i386_calls_are_judged_by_their_own_numbers,
    i386_calls_without_the_architecture_are_killed,
    x32_calls_do_not_slip_through,
];

/// `x86_64` numbers; the tests skip elsewhere.
const GETPID: &str = "39";
const GETPRIORITY: &str = "140";
const PERSONALITY: &str = "135";

fn with_filter(filter: Value) -> Bundle {
    if std::env::consts::ARCH != "x86_64" {
        skip!(Machine, "the numbers in this test are those of x86_64");
    }
    Bundle::new().with(|c| c["linux"]["seccomp"] = filter)
}

/// Everything is allowed but for these rules.
fn deny(rules: &Value) -> Value {
    json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": rules })
}

/// `getpriority` with these arguments fails with E2BIG (7), which it never gives by itself.
fn when(args: &Value) -> Value {
    deny(
        &json!([{ "names": ["getpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7, "args": args }]),
    )
}

fn errno_action_with_its_number() {
    for (number, name) in [(1, "EPERM"), (13, "EACCES"), (38, "ENOSYS"), (95, "EOPNOTSUPP")] {
        let b = with_filter(deny(
            &json!([{ "names": ["getpid"], "action": "SCMP_ACT_ERRNO", "errnoRet": number }]),
        ));
        b.run(&["/probe", "syscall", GETPID]).assert_says(name);
    }
}

fn errno_default_is_eperm() {
    let b = with_filter(deny(&json!([{ "names": ["getpid"], "action": "SCMP_ACT_ERRNO" }])));
    b.run(&["/probe", "syscall", GETPID]).assert_says("EPERM");
}

fn errno_of_zero_pretends_success() {
    let b = with_filter(deny(
        &json!([{ "names": ["getpid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0 }]),
    ));
    b.run(&["/probe", "syscall", GETPID]).assert_says("ok 0");
}

fn default_action_with_exceptions() {
    // What the probe and a runtime's last steps need is allowed by range: everything but two calls.
    let names: Vec<&str> = include_str!("../../data/syscalls.txt")
        .lines()
        .filter(|name| !["getpid", "getpriority"].contains(name))
        .collect();
    let b = with_filter(json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 22, "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{ "names": names, "action": "SCMP_ACT_ALLOW" }],
    }));
    b.run(&["/probe", "syscall", GETPID, "--", "syscall", GETPRIORITY, "--", "umask"])
        .assert_says("EINVAL\nEINVAL\n0022");
}

fn kill_process_ends_it_by_sigsys() {
    let b = with_filter(deny(
        &json!([{ "names": ["getpriority"], "action": "SCMP_ACT_KILL_PROCESS" }]),
    ));
    b.run(&["/probe", "echo", "before", "--", "syscall", GETPRIORITY])
        .assert_says("before")
        .assert_exit(128 + 31);
}

fn kill_and_trap_end_it() {
    for action in ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP"] {
        let b = with_filter(deny(&json!([{ "names": ["getpriority"], "action": action }])));
        b.run(&["/probe", "syscall", GETPRIORITY]).assert_exit(128 + 31);
    }
}

fn log_action_lets_it_pass() {
    let b = with_filter(deny(&json!([{ "names": ["getpid"], "action": "SCMP_ACT_LOG" }])));
    b.run(&["/probe", "syscall", GETPID]).assert_says("ok 1");
}

fn first_matching_rule_and_several_names() {
    let b = with_filter(deny(&json!([
        { "names": ["getpid", "getppid", "getuid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5 },
        { "names": ["getgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 6 },
    ])));
    b.run(&[
        "/probe", "syscall", "39", "--", "syscall", "110", "--", "syscall", "102", "--", "syscall",
        "104",
    ])
    .assert_says("EIO\nEIO\nEIO\nENXIO");
}

/// Each operator against 10: the first argument of getpriority, which says EINVAL or ESRCH itself.
fn operators() {
    let table: [(&str, [bool; 3]); 6] = [
        ("SCMP_CMP_NE", [true, false, true]),
        ("SCMP_CMP_LT", [true, false, false]),
        ("SCMP_CMP_LE", [true, true, false]),
        ("SCMP_CMP_EQ", [false, true, false]),
        ("SCMP_CMP_GE", [false, true, true]),
        ("SCMP_CMP_GT", [false, false, true]),
    ];
    for (op, hits) in table {
        let b = with_filter(when(&json!([{ "index": 0, "value": 10, "op": op }])));
        let output = b.run(&[
            "/probe", "syscall", "140", "9", "--", "syscall", "140", "10", "--", "syscall", "140",
            "11",
        ]);
        let seen: Vec<bool> = output.lines().iter().map(|l| l == "E2BIG").collect();
        assert_eq!(seen, hits, "{op} against 9, 10, 11");
    }
}

fn arguments_of_one_rule_are_all_needed() {
    let b = with_filter(when(&json!([
        { "index": 0, "value": 77, "op": "SCMP_CMP_EQ" }, { "index": 1, "value": 5, "op": "SCMP_CMP_GT" },
    ])));
    let output = b.run(&[
        "/probe", "syscall", "140", "77", "6", "--", "syscall", "140", "77", "5", "--", "syscall",
        "140", "78", "6",
    ]);
    output.assert_says("E2BIG\nEINVAL\nEINVAL");
}

fn several_rules_for_one_call_are_alternatives() {
    let rule = |value: u32| {
        json!({ "names": ["getpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7,
                "args": [{ "index": 0, "value": value, "op": "SCMP_CMP_EQ" }] })
    };
    let b = with_filter(deny(&json!([rule(71), rule(73)])));
    b.run(&[
        "/probe", "syscall", "140", "71", "--", "syscall", "140", "72", "--", "syscall", "140",
        "73",
    ])
    .assert_says("E2BIG\nEINVAL\nE2BIG");
}

fn all_six_arguments() {
    for index in 0..6 {
        let b = with_filter(when(&json!([{ "index": index, "value": 99, "op": "SCMP_CMP_EQ" }])));
        let mut hit = vec!["/probe", "syscall", "140"];
        hit.extend((0..6).map(|i| if i == index { "99" } else { "98" }));
        b.run(&hit).assert_says("E2BIG");
    }
}

/// Both halves of an argument count.
fn sixty_four_bit_values() {
    let big = "0x100000063";
    let b = with_filter(when(
        &json!([{ "index": 0, "value": 0x1_0000_0063_u64, "op": "SCMP_CMP_EQ" }]),
    ));
    b.run(&["/probe", "syscall", "140", big, "--", "syscall", "140", "0x63"])
        .assert_says("E2BIG\nEINVAL");
    let b = with_filter(when(
        &json!([{ "index": 0, "value": 0x1_0000_0063_u64, "op": "SCMP_CMP_GT" }]),
    ));
    b.run(&["/probe", "syscall", "140", "0x200000000", "--", "syscall", "140", "0xffffffff"])
        .assert_says("E2BIG\nEINVAL");
}

/// Docker's rule: clone is allowed when none of the namespace flags is set. Mask and value the other
/// way round would let everything pass.
fn masked_eq_of_clone_flags() {
    let names: Vec<&str> = include_str!("../../data/syscalls.txt")
        .lines()
        .filter(|name| !["clone", "clone3"].contains(name))
        .collect();
    let b = with_filter(json!({
        "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
            { "names": names, "action": "SCMP_ACT_ALLOW" },
            { "names": ["clone"], "action": "SCMP_ACT_ALLOW",
              "args": [{ "index": 0, "value": 0x7e02_0000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }] },
        ],
    }));
    // 56 is clone; 17 is SIGCHLD; 0x10000000 is CLONE_NEWUSER, 0x20000 CLONE_NEWNS.
    let output = b.run(&[
        "/probe",
        "syscall",
        "56",
        "0x10000011",
        "--",
        "syscall",
        "56",
        "0x20011",
        "--",
        "syscall",
        "56",
        "17",
    ]);
    let lines = output.lines();
    assert_eq!(lines[..2], ["EPERM", "EPERM"], "{lines:?}");
    assert!(lines[2].starts_with("ok "), "{lines:?}");
}

fn clone3_with_enosys() {
    let b = with_filter(deny(
        &json!([{ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38 }]),
    ));
    b.run(&["/probe", "syscall", "435", "0", "0"]).assert_says("ENOSYS");
}

fn unknown_names_are_ignored() {
    let b = with_filter(deny(
        &json!([{ "names": ["nosuchsyscall", "getpid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5 }]),
    ));
    b.run(&["/probe", "syscall", GETPID]).assert_says("EIO");
}

/// A C library tries new calls and falls back on ENOSYS only; EPERM would break it. 999 is newer than
/// anything in the profile.
fn syscalls_newer_than_the_profile_give_enosys() {
    differs!(Crun, "has no such stub");
    let names: Vec<&str> = include_str!("../../data/syscalls.txt").lines().collect();
    let b = with_filter(json!({
        "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{ "names": names, "action": "SCMP_ACT_ALLOW" }],
    }));
    b.run(&["/probe", "syscall", "999"]).assert_says("ENOSYS");
}

fn filter_is_in_effect_and_no_new_privs_is_not_implied() {
    let filter = deny(&json!([{ "names": ["getpid"], "action": "SCMP_ACT_ERRNO" }]));
    let b = with_filter(filter).with(|c| c["process"]["noNewPrivileges"] = json!(false));
    b.run(&["/probe", "status", "Seccomp", "NoNewPrivs"]).assert_stdout("NoNewPrivs 0\nSeccomp 2");
    Bundle::new().run(&["/probe", "status", "Seccomp"]).assert_stdout("Seccomp 0");
}

/// Loaded before capabilities are dropped, yet nothing of the runtime's last steps is refused.
fn filter_without_no_new_privs() {
    requires!(root);
    let b = with_filter(deny(&json!([{ "names": ["getpid"], "action": "SCMP_ACT_ERRNO" }]))).with(
        |c| {
            c["process"]["noNewPrivileges"] = json!(false);
            c["process"]["user"] = json!({ "uid": 1000, "gid": 1000, "additionalGids": [5] });
            c["process"]["capabilities"] = runtime_tests::config::capabilities(&[]);
        },
    );
    b.run(&["/probe", "id", "--", "syscall", GETPID])
        .assert_says("uid=1000,1000,1000 gid=1000,1000,1000 groups=5\nEPERM");
}

fn filter_applies_to_exec() {
    let b = with_filter(deny(&json!([{ "names": ["getpid"], "action": "SCMP_ACT_ERRNO" }])));
    let c = b.start(&["/probe", "sleep", "60"]);
    c.exec(&["/probe", "syscall", GETPID]).assert_says("EPERM");
    c.end();
}

/// With `no_new_privs` the filter comes last: only execve and what the program needs is allowed.
fn payload_is_not_killed_by_a_strict_profile() {
    let names = [
        "execve",
        "brk",
        "mmap",
        "munmap",
        "mprotect",
        "arch_prctl",
        "set_tid_address",
        "poll",
        "rt_sigaction",
        "rt_sigprocmask",
        "sigaltstack",
        "write",
        "writev",
        "exit",
        "exit_group",
        "getrandom",
        "futex",
        "open",
        "read",
        "close",
        "fcntl",
        "mremap",
        "madvise",
        "sched_getaffinity",
        "gettid",
        "prlimit64",
        "readlink",
    ];
    let b = with_filter(json!({
        "defaultAction": "SCMP_ACT_KILL_PROCESS", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{ "names": names, "action": "SCMP_ACT_ALLOW" }],
    }));
    differs!(Runc, "needs more than execve after its filter is loaded");
    b.run(&["/probe", "echo", "alive"]).assert_stdout("alive");
}

fn docker_like_profile() {
    let profile = runtime_tests::bundle::docker_like()["linux"]["seccomp"].clone();
    let b = with_filter(profile);
    // unshare, mount, bpf, personality(1), socket(AF_VSOCK), clone3, getpid
    let verbs = "syscall 272 0x10000000 -- syscall 165 0 0 0 0 0 -- syscall 321 0 0 0 -- syscall 135 1 \
                 -- syscall 41 40 1 0 -- syscall 435 0 0 -- syscall 39 -- syscall 135 0";
    let words: Vec<&str> = std::iter::once("/probe").chain(verbs.split_whitespace()).collect();
    b.run(&words).assert_says("EPERM\nEPERM\nEPERM\nEPERM\nEPERM\nENOSYS\nok 1\nok 0");
}

/// A process cannot spin for ever because a filter refuses its end.
fn init_that_may_neither_execute_nor_exit_ends() {
    sometimes_differs!(Runc, "start waits for ever");
    let names = ["execve", "exit", "exit_group", "sendto", "sendmsg", "write"];
    let b = with_filter(deny(&json!([{ "names": names, "action": "SCMP_ACT_ERRNO" }])));
    let c = b.args(&["/probe", "true"]).create();
    // It may not say so, either: its end alone looks like the start of a short program.
    drop(c.call("start").output());
    c.wait_status("stopped").delete();
}

fn unknown_action_and_operator_are_refused() {
    let rule = |action: &str, op: &str| json!([{ "names": ["getpid"], "action": action, "args": [{ "index": 0, "value": 1, "op": op }] }]);
    with_filter(deny(&rule("SCMP_ACT_NOSUCH", "SCMP_CMP_EQ"))).assert_create_refused();
    with_filter(deny(&rule("SCMP_ACT_ERRNO", "SCMP_CMP_NOSUCH"))).assert_create_refused();
    with_filter(json!({ "defaultAction": "NOSUCH" })).assert_create_refused();
}

fn flags_are_accepted() {
    differs!(Runc, "flags came with 1.1.6");
    differs!(Crun, "takes unknown ones");
    let rules = json!([{ "names": ["getpid"], "action": "SCMP_ACT_ERRNO" }]);
    for flags in [
        json!([]),
        json!(["SECCOMP_FILTER_FLAG_LOG"]),
        json!(["SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"]),
    ] {
        let mut filter = deny(&rules);
        filter["flags"] = flags;
        with_filter(filter).run(&["/probe", "syscall", GETPID]).assert_says("EPERM");
    }
    let mut filter = deny(&rules);
    filter["flags"] = json!(["SECCOMP_FILTER_FLAG_NOSUCH"]);
    with_filter(filter).assert_create_refused();
}

/// The native architecture is always part of a filter in libseccomp, listed or not.
fn foreign_architecture_alone_leaves_ours_to_the_default() {
    let mut filter =
        deny(&json!([{ "names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5 }]));
    filter["architectures"] = json!(["SCMP_ARCH_AARCH64"]);
    with_filter(filter).run(&["/probe", "syscall", PERSONALITY, "0xffffffff"]).assert_says("EIO");
}

/// getpid by `int 0x80` is 20, which is writev for `x86_64`.
fn i386_calls_are_judged_by_their_own_numbers() {
    let probe = ["/probe", "syscall32", "20", "--", "syscall32", "64"];
    let allowed = Bundle::new().run(&probe);
    if !allowed.stdout().starts_with("ok 1") {
        skip!(Machine, "the kernel runs no i386 calls");
    }
    let mut filter =
        deny(&json!([{ "names": ["getpid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7 }]));
    filter["architectures"] = json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
    // 64 is getppid on i386 and semget on x86_64.
    with_filter(filter).run(&probe).assert_says("E2BIG\nok 0");
    let profile = runtime_tests::bundle::docker_like()["linux"]["seccomp"].clone();
    // mount and getpid
    with_filter(profile)
        .run(&["/probe", "syscall32", "21", "--", "syscall32", "20"])
        .assert_says("EPERM\nok 1");
}

/// Else a program would choose the other entry to go around the filter.
fn i386_calls_without_the_architecture_are_killed() {
    if !Bundle::new().run(&["/probe", "syscall32", "20"]).stdout().starts_with("ok 1") {
        skip!(Machine, "the kernel runs no i386 calls");
    }
    let b = with_filter(deny(&json!([{ "names": ["getpid"], "action": "SCMP_ACT_ERRNO" }])));
    b.run(&["/probe", "syscall32", "20"]).assert_exit(128 + 31);
}

/// x32 numbers are those of `x86_64` with bit 30 set, under the same architecture token.
fn x32_calls_do_not_slip_through() {
    let getpid = "0x40000027";
    let rules = json!([{ "names": ["getpid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7 }]);
    let mut filter = deny(&rules);
    filter["architectures"] = json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"]);
    with_filter(filter).run(&["/probe", "syscall", getpid]).assert_says("E2BIG");
    // Not listed: killed, as any other architecture.
    with_filter(deny(&rules)).run(&["/probe", "syscall", getpid]).assert_exit(128 + 31);
}
