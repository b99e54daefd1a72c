//! Decisions of compiled filters, checked by running them.

mod arguments;
mod machine;
mod narrow;
mod oracles;
mod random;
mod size;

use super::abi::{self, FAMILIES};
use super::{Filter, Insn, compile, compile_for, judge};
use crate::plan::Extensions;
use machine::Data;
use oci_spec::runtime::LinuxSeccomp;
use serde_json::{Value, json};

const X86_64: u32 = 0xc000_003e;
const X86: u32 = 0x4000_0003;
const AARCH64: u32 = 0xc000_00b7;
const ARM: u32 = 0x4000_0028;
const S390X: u32 = 0x8000_0016;

const KILL: u32 = 0;
const ALLOW: u32 = 0x7fff_0000;

const fn errno(number: u32) -> u32 {
    0x0005_0000 | number
}
const EPERM: u32 = errno(1);
const ENOSYS: u32 = errno(38);

fn spec(value: Value) -> LinuxSeccomp {
    serde_json::from_value(value).unwrap()
}

fn docker() -> LinuxSeccomp {
    serde_json::from_str(include_str!("../testdata/docker.json")).unwrap()
}

/// Compiles for the family whose own ABI has this audit architecture.
fn filter_for(native: u32, value: Value) -> Filter {
    let family = FAMILIES.iter().find(|family| family.abis[0].audit == native).unwrap();
    let filter = compile_for(&spec(value), &Extensions::default(), family).unwrap().unwrap();
    machine::check(&filter.program);
    filter
}

fn filter(value: Value) -> Filter {
    filter_for(X86_64, value)
}

fn decide(program: &[Insn], arch: u32, nr: u32, args: &[u64]) -> u32 {
    let mut data = Data { nr, arch, args: [0; 6] };
    data.args[..args.len()].copy_from_slice(args);
    machine::run(program, &data, arch == S390X).0
}

fn error(value: Value) -> String {
    let family = &FAMILIES[0];
    crate::error::chain(&compile_for(&spec(value), &Extensions::default(), family).unwrap_err())
}

#[test]
fn every_action_returns_its_value_and_errno() {
    let cases = [
        ("SCMP_ACT_KILL", None, 0),
        ("SCMP_ACT_KILL_THREAD", None, 0),
        ("SCMP_ACT_KILL_PROCESS", None, 0x8000_0000),
        ("SCMP_ACT_TRAP", None, 0x0003_0000),
        ("SCMP_ACT_ERRNO", None, 0x0005_0001),
        ("SCMP_ACT_ERRNO", Some(0), 0x0005_0000),
        ("SCMP_ACT_ERRNO", Some(4095), 0x0005_0fff),
        ("SCMP_ACT_NOTIFY", None, 0x7fc0_0000),
        ("SCMP_ACT_TRACE", None, 0x7ff0_0001),
        ("SCMP_ACT_TRACE", Some(0xffff), 0x7ff0_ffff),
        ("SCMP_ACT_LOG", None, 0x7ffc_0000),
    ];
    for (action, ret, expected) in cases {
        let mut rule = json!({ "names": ["read"], "action": action });
        let mut profile = json!({ "defaultAction": action });
        if let Some(ret) = ret {
            rule["errnoRet"] = ret.into();
            profile["defaultErrnoRet"] = ret.into();
        }
        let in_rule = filter(json!({
            "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent", "syscalls": [rule],
        }));
        assert_eq!(decide(&in_rule.program, X86_64, 0, &[]), expected, "{action}");
        assert_eq!(decide(&in_rule.program, X86_64, 1, &[]), ALLOW, "{action}");
        if action != "SCMP_ACT_NOTIFY" {
            let by_default = filter(profile).program;
            assert_eq!(decide(&by_default, X86_64, 0, &[]), expected, "default {action}");
        }
    }
}

#[test]
fn lists_for_features_are_what_a_profile_may_say() {
    let parses = |field: &str, value: &str| {
        let mut profile = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
        profile[field] = if field == "defaultAction" { value.into() } else { json!([value]) };
        assert!(serde_json::from_value::<LinuxSeccomp>(profile).is_ok(), "{value}");
    };
    super::ACTIONS.iter().for_each(|action| parses("defaultAction", action));
    super::FLAGS.iter().for_each(|(flag, _)| parses("flags", flag));
    super::known_archs().iter().for_each(|arch| parses("architectures", arch));
    for op in super::OPERATORS {
        arguments::holds(json!([{ "index": 0, "value": 0, "op": op }]), &[0]);
    }
    assert_eq!((super::ACTIONS.len(), super::OPERATORS.len(), super::FLAGS.len()), (9, 7, 4));
    if cfg!(target_arch = "x86_64") {
        assert_eq!(super::known_archs(), ["SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"]);
    }
}

#[test]
fn all_allowed_without_rules_is_no_filter() {
    let none = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    assert!(compile(&spec(none), &Extensions::default()).unwrap().is_none());
}

#[test]
fn unlisted_architecture_is_killed() {
    let program = filter(json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_ERRNO" }],
    }))
    .program;
    assert_eq!(decide(&program, X86, 3, &[]), KILL);
    assert_eq!(decide(&program, AARCH64, 63, &[]), KILL);
}

#[test]
fn x32_calls_are_killed_unless_x32_is_listed() {
    let mut profile = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{ "names": ["read", "ioctl"], "action": "SCMP_ACT_ALLOW" }],
    });
    let x32_read = 0x4000_0000;
    let x32_ioctl = 0x4000_0000 | 514;
    let without = filter(profile.clone()).program;
    assert_eq!(decide(&without, X86_64, 0, &[]), ALLOW);
    for nr in [x32_read, x32_ioctl, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe] {
        assert_eq!(decide(&without, X86_64, nr, &[]), KILL, "{nr:#x}");
    }
    assert_eq!(decide(&without, X86_64, u32::MAX, &[]), EPERM);

    profile["architectures"] = json!(["SCMP_ARCH_X32"]);
    let with = filter(profile).program;
    assert_eq!(decide(&with, X86_64, 0, &[]), ALLOW);
    assert_eq!(decide(&with, X86_64, 16, &[]), ALLOW);
    assert_eq!(decide(&with, X86_64, x32_read, &[]), ALLOW);
    assert_eq!(decide(&with, X86_64, x32_ioctl, &[]), ALLOW);
    // 16 is ioctl of x86-64 only: x32 has its own.
    assert_eq!(decide(&with, X86_64, 0x4000_0010, &[]), EPERM);
    assert_eq!(decide(&with, X86_64, x32_ioctl + 1, &[]), ENOSYS);
}

#[test]
fn calls_newer_than_the_profile_do_not_exist() {
    let mut profile = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86"],
        "syscalls": [
            { "names": ["read"], "action": "SCMP_ACT_ALLOW" },
            { "names": ["openat2"], "action": "SCMP_ACT_ERRNO" },
        ],
    });
    let program = filter(profile.clone()).program;
    for arch in [X86_64, X86] {
        assert_eq!(decide(&program, arch, 436, &[]), EPERM);
        // Named, though by a rule which says what the default says.
        assert_eq!(decide(&program, arch, 437, &[]), EPERM);
        assert_eq!(decide(&program, arch, 438, &[]), ENOSYS);
        assert_eq!(decide(&program, arch, 0x3fff_ffff, &[]), ENOSYS);
    }
    for (default, newer) in [
        ("SCMP_ACT_KILL_PROCESS", ENOSYS),
        ("SCMP_ACT_TRAP", ENOSYS),
        ("SCMP_ACT_LOG", 0x7ffc_0000),
        ("SCMP_ACT_TRACE", 0x7ff0_0001),
    ] {
        profile["defaultAction"] = default.into();
        assert_eq!(decide(&filter(profile.clone()).program, X86_64, 438, &[]), newer, "{default}");
    }
}

#[test]
fn arm_private_calls_follow_the_profile_above_the_newest() {
    let program = filter_for(
        AARCH64,
        json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": ["SCMP_ARCH_ARM"],
            "syscalls": [{ "names": ["read", "openat2", "set_tls"], "action": "SCMP_ACT_ALLOW" }],
        }),
    )
    .program;
    assert_eq!(decide(&program, AARCH64, 63, &[]), ALLOW);
    assert_eq!(decide(&program, ARM, 3, &[]), ALLOW);
    assert_eq!(decide(&program, ARM, 438, &[]), ENOSYS);
    assert_eq!(decide(&program, ARM, 0xe_ffff, &[]), ENOSYS);
    assert_eq!(decide(&program, ARM, 0xf_0002, &[]), EPERM);
    assert_eq!(decide(&program, ARM, 0xf_0005, &[]), ALLOW);
    assert_eq!(decide(&program, ARM, 0xf_0006, &[]), EPERM);
}

#[test]
fn s390_hides_the_call_that_carries_large_numbers() {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{
            "names": ["read"], "action": "SCMP_ACT_ALLOW",
            "args": [{ "index": 1, "value": 0x1_0000_0002_u64, "op": "SCMP_CMP_GE" }],
        }],
    });
    let program = filter_for(S390X, profile).program;
    assert_eq!(decide(&program, S390X, 0, &[]), ENOSYS);
    assert_eq!(decide(&program, S390X, 3, &[0, 0x1_0000_0002]), ALLOW);
    assert_eq!(decide(&program, S390X, 3, &[0, 0x1_0000_0001]), EPERM);
}

#[test]
fn rule_without_conditions_wins_and_the_loser_is_reported() {
    let filter = filter(json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            { "names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 9,
              "args": [{ "index": 0, "value": 5, "op": "SCMP_CMP_EQ" }] },
            { "names": ["read", "clone"], "action": "SCMP_ACT_ALLOW" },
            { "names": ["clone"], "action": "SCMP_ACT_LOG" },
        ],
    }));
    assert_eq!(decide(&filter.program, X86_64, 56, &[5]), ALLOW);
    assert_eq!(
        filter.warnings,
        [
            "linux.seccomp.syscalls[0]: has no effect on a system call which \
             linux.seccomp.syscalls[1] names without conditions",
            "linux.seccomp.syscalls[2]: has no effect on a system call which \
             linux.seccomp.syscalls[1] names without conditions",
        ]
    );
}

#[test]
fn strictest_of_several_conditions_wins_in_any_order() {
    let mut rules = vec![
        json!({ "names": ["clone"], "action": "SCMP_ACT_LOG",
                "args": [{ "index": 0, "value": 5, "op": "SCMP_CMP_GT" }] }),
        json!({ "names": ["clone"], "action": "SCMP_ACT_KILL_PROCESS",
                "args": [{ "index": 1, "value": 7, "op": "SCMP_CMP_EQ" }] }),
        json!({ "names": ["clone"], "action": "SCMP_ACT_ERRNO",
                "args": [{ "index": 0, "value": 7, "op": "SCMP_CMP_GT" }] }),
    ];
    for _ in 0..rules.len() {
        rules.rotate_left(1);
        let program =
            filter(json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules })).program;
        assert_eq!(decide(&program, X86_64, 56, &[5, 0]), ALLOW);
        assert_eq!(decide(&program, X86_64, 56, &[6, 0]), 0x7ffc_0000);
        assert_eq!(decide(&program, X86_64, 56, &[8, 0]), EPERM);
        assert_eq!(decide(&program, X86_64, 56, &[8, 7]), 0x8000_0000);
    }
}

#[test]
fn unknown_name_is_reported_and_a_name_of_another_abi_is_not() {
    let filter = filter(json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{ "names": ["read", "fcntl64", "no_such_call"], "action": "SCMP_ACT_ALLOW" }],
    }));
    assert_eq!(
        filter.warnings,
        ["linux.seccomp.syscalls[0].names[2]: no system call is named \"no_such_call\": ignored"]
    );
}

#[test]
fn absent_flags_allow_speculation_and_empty_flags_do_not() {
    let base = json!({ "defaultAction": "SCMP_ACT_ERRNO" });
    assert_eq!(filter(base.clone()).flags, 1 << 2);
    for (flags, expected) in [
        (json!([]), 0),
        (json!(["SECCOMP_FILTER_FLAG_LOG"]), 1 << 1),
        (json!(["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]), 1 | 1 << 2),
    ] {
        let mut profile = base.clone();
        profile["flags"] = flags;
        assert_eq!(filter(profile).flags, expected);
    }
}

#[test]
fn notify_carries_path_and_metadata() {
    let filter = filter(json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_TSYNC"],
        "listenerPath": "/run/agent", "listenerMetadata": "who",
        "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" }],
    }));
    let notify = filter.notify.unwrap();
    assert_eq!(notify.listener_path.to_str(), Some("/run/agent"));
    assert_eq!(notify.metadata.as_deref(), Some("who"));
    assert_eq!(filter.flags, 1 | 1 << 4 | 1 << 5);
    assert!(!notify.wait_is_notified);
}

#[test]
fn wait_of_init_is_allowed_or_notified() {
    let waits = |rule: Value| {
        let profile = json!({
            "defaultAction": "SCMP_ACT_ERRNO", "listenerPath": "/run/agent",
            "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" }, rule],
        });
        filter(profile).notify.unwrap().wait_is_notified
    };
    assert!(!waits(json!({ "names": ["wait4"], "action": "SCMP_ACT_ALLOW" })));
    assert!(!waits(json!({ "names": ["wait4"], "action": "SCMP_ACT_LOG" })));
    assert!(waits(json!({ "names": ["wait4"], "action": "SCMP_ACT_NOTIFY" })));
    // Conditions are looked at, and all that init will pass is -1 and zeros.
    let any = json!([{ "index": 0, "value": u64::MAX, "op": "SCMP_CMP_EQ" },
                     { "index": 2, "value": 0, "op": "SCMP_CMP_EQ" }]);
    assert!(!waits(json!({ "names": ["wait4"], "action": "SCMP_ACT_ALLOW", "args": any })));
}

#[test]
fn killable_wait_without_a_listener_is_left_out() {
    let filter = filter(json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
    }));
    assert_eq!(filter.flags, 1 << 1);
    assert_eq!(
        filter.warnings,
        ["linux.seccomp.flags[1]: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV has no effect without a \
          rule with SCMP_ACT_NOTIFY"]
    );
}

/// The judge and the strict machine of these tests agree on a real profile.
#[test]
fn judge_agrees_with_the_machine() {
    let filter = filter(json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            { "names": ["read", "write", "openat"], "action": "SCMP_ACT_ALLOW" },
            { "names": ["socket"], "action": "SCMP_ACT_ALLOW",
              "args": [{ "index": 0, "value": 40, "op": "SCMP_CMP_NE" }] },
            { "names": ["clone"], "action": "SCMP_ACT_LOG",
              "args": [{ "index": 0, "value": 0x7e02_0000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }] },
            { "names": ["getpriority"], "action": "SCMP_ACT_TRAP",
              "args": [{ "index": 1, "value": 5, "op": "SCMP_CMP_GT" }] },
        ],
    }));
    let native = abi::NATIVE.abis.first().unwrap();
    for nr in 0..600 {
        for first in [0, 40, 0x0200_0000, u64::MAX] {
            let args = [first, first >> 3, 0, 0, 0, 0];
            let data = machine::Data { nr, arch: native.audit, args };
            let call = judge::Call { nr, arch: native.audit, args };
            let (wanted, _) = machine::run(&filter.program, &data, abi::NATIVE.big_endian);
            let judged = judge::judge(&filter.program, &call, abi::NATIVE.big_endian);
            assert_eq!(judged, Some(wanted), "call {nr}, {first:#x}");
        }
    }
}

#[test]
fn errors_name_the_field() {
    let rule = |rule: Value| {
        let ok = json!({ "names": ["read"], "action": "SCMP_ACT_ALLOW" });
        json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [ok, rule] })
    };
    let args = |index: u32| json!([{ "index": index, "value": 0, "op": "SCMP_CMP_EQ" }]);
    let cases = [
        (
            rule(json!({ "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": args(6) })),
            "linux.seccomp.syscalls[1].args[0].index: 6 is not 0..5",
        ),
        (
            rule(json!({ "names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4096 })),
            "linux.seccomp.syscalls[1].errnoRet: 4096 is not 0..4095",
        ),
        (
            rule(json!({ "names": ["read"], "action": "SCMP_ACT_TRACE", "errnoRet": 65536 })),
            "linux.seccomp.syscalls[1].errnoRet: 65536 is not 0..65535",
        ),
        (
            rule(json!({ "names": ["read"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1 })),
            "linux.seccomp.syscalls[1].errnoRet: SCMP_ACT_ALLOW takes no errno",
        ),
        (
            rule(json!({ "names": [], "action": "SCMP_ACT_ALLOW" })),
            "linux.seccomp.syscalls[1].names: is empty; a rule needs a system call",
        ),
        (
            rule(json!({ "names": ["read", ""], "action": "SCMP_ACT_ALLOW" })),
            "linux.seccomp.syscalls[1].names[1]: is empty",
        ),
        (
            rule(json!({ "names": ["read"], "action": "SCMP_ACT_NOTIFY" })),
            "linux.seccomp.listenerPath: is missing, and a rule's action is SCMP_ACT_NOTIFY",
        ),
        (
            json!({ "defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/a" }),
            "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY can only be the action of a rule",
        ),
        (
            json!({ "defaultAction": "SCMP_ACT_KILL", "defaultErrnoRet": 1 }),
            "linux.seccomp.defaultErrnoRet: SCMP_ACT_KILL takes no errno",
        ),
        (
            json!({ "defaultAction": "SCMP_ACT_KILL", "listenerMetadata": "x" }),
            "linux.seccomp.listenerMetadata: is set without linux.seccomp.listenerPath",
        ),
        (
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "agent", "syscalls":
                    [{ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" }] }),
            "linux.seccomp.listenerPath: \"agent\" is not absolute",
        ),
        (
            json!({ "defaultAction": "SCMP_ACT_ERRNO", "listenerPath": "/agent", "syscalls":
                    [{ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" }] }),
            "linux.seccomp.syscalls: SCMP_ACT_NOTIFY needs wait4, which is forbidden",
        ),
    ];
    for (profile, expected) in cases {
        assert_eq!(error(profile), expected);
    }
}

#[test]
fn program_is_the_same_each_time() {
    let once = compile_for(&docker(), &Extensions::default(), &FAMILIES[0]).unwrap().unwrap();
    let again = compile_for(&docker(), &Extensions::default(), &FAMILIES[0]).unwrap().unwrap();
    assert_eq!(once.program, again.program);
}

#[test]
fn table_of_names_is_sorted_and_found() {
    assert!(super::numbers::ROWS.is_sorted_by(|a, b| a.0 < b.0));
    for (name, _) in super::numbers::ROWS {
        assert!(abi::call(name).is_some(), "{name}");
    }
    assert!(abi::call("").is_none());
    assert!(abi::call("zzz").is_none());
}

#[test]
fn numbers_equal_those_of_the_libc_crate() {
    let own = &abi::NATIVE.abis[0];
    for (name, expected) in [
        ("read", libc::SYS_read),
        ("clone3", libc::SYS_clone3),
        ("seccomp", libc::SYS_seccomp),
        ("execveat", libc::SYS_execveat),
        ("mount_setattr", libc::SYS_mount_setattr),
        ("socket", libc::SYS_socket),
    ] {
        let number = abi::number(abi::call(name).unwrap(), own).unwrap();
        assert_eq!(i64::from(number), expected, "{name}");
    }
}
