//! ABIs of 32 bits: socketcall and ipc, whose calls are arguments, and narrow values.

use super::{ALLOW, EPERM, X86, decide, errno, filter};
use crate::plan::seccomp::Insn;
use serde_json::{Value, json};

/// x86: socketcall 102, ipc 117.
const SOCKETCALL: u32 = 102;
const IPC: u32 = 117;

fn x86_filter(default: &str, syscalls: &Value) -> Vec<Insn> {
    filter(json!({
        "defaultAction": default, "architectures": ["SCMP_ARCH_X86"], "syscalls": syscalls,
    }))
    .program
}

#[test]
fn socket_rules_cover_socketcall_and_the_direct_call() {
    let rules = json!([{
        "names": ["socket", "accept", "connect", "shmat", "semop", "file_setattr"],
        "action": "SCMP_ACT_ALLOW",
    }]);
    let program = x86_filter("SCMP_ACT_ERRNO", &rules);
    for (nr, args, expected) in [
        (359, 0, ALLOW), // socket
        (362, 0, ALLOW), // connect
        (360, 0, EPERM), // socketpair
        (SOCKETCALL, 1, ALLOW),
        (SOCKETCALL, 3, ALLOW),
        (SOCKETCALL, 5, ALLOW), // accept, which has no number of its own
        (SOCKETCALL, 8, EPERM),
        (397, 0, ALLOW), // shmat
        (IPC, 21, ALLOW),
        (IPC, 0x1_0015, ALLOW), // version 1 of the same call
        (IPC, 1, ALLOW),        // semop
        (IPC, 22, EPERM),
    ] {
        assert_eq!(decide(&program, X86, nr, &[args]), expected, "{nr} {args:#x}");
    }
}

#[test]
fn ipc_version_does_not_evade_a_ban() {
    let rules = json!([{ "names": ["shmat"], "action": "SCMP_ACT_ERRNO" }]);
    let program = x86_filter("SCMP_ACT_ALLOW", &rules);
    for version in 0..3 {
        assert_eq!(decide(&program, X86, IPC, &[version << 16 | 21]), EPERM);
        assert_eq!(decide(&program, X86, IPC, &[version << 16 | 22]), ALLOW);
    }
}

#[test]
fn conditions_on_arguments_behind_a_pointer_are_read_strictly() {
    let condition = json!([{ "index": 0, "value": 38, "op": "SCMP_CMP_EQ" }]);
    let allow = json!([{ "names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": condition }]);
    let program = x86_filter("SCMP_ACT_ERRNO", &allow);
    assert_eq!(decide(&program, X86, 359, &[38]), ALLOW);
    assert_eq!(decide(&program, X86, SOCKETCALL, &[1, 38]), EPERM);
    assert_eq!(decide(&program, X86, SOCKETCALL, &[38, 38]), EPERM);

    let forbid = json!([{ "names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": condition }]);
    let program = x86_filter("SCMP_ACT_ALLOW", &forbid);
    assert_eq!(decide(&program, X86, 359, &[38]), EPERM);
    assert_eq!(decide(&program, X86, 359, &[2]), ALLOW);
    assert_eq!(decide(&program, X86, SOCKETCALL, &[1, 0xffff_1234]), EPERM);
    assert_eq!(decide(&program, X86, SOCKETCALL, &[2, 0xffff_1234]), ALLOW);
}

#[test]
fn allowing_socketcall_does_not_lift_the_ban_of_one_of_its_calls() {
    let rules = json!([
        { "names": ["socketcall", "bind"], "action": "SCMP_ACT_ALLOW" },
        { "names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 97 },
        { "names": ["listen"], "action": "SCMP_ACT_LOG" },
    ]);
    let program = x86_filter("SCMP_ACT_ERRNO", &rules);
    assert_eq!(decide(&program, X86, SOCKETCALL, &[1]), errno(97));
    assert_eq!(decide(&program, X86, SOCKETCALL, &[2]), ALLOW);
    assert_eq!(decide(&program, X86, SOCKETCALL, &[4]), 0x7ffc_0000);
    assert_eq!(decide(&program, X86, SOCKETCALL, &[6]), ALLOW);
}

#[test]
fn narrow_abis_compare_32_bits_and_never_match_wider_values() {
    let program_for = |op: &str, value: u64| {
        let args = json!([{ "index": 0, "value": value, "op": op }]);
        x86_filter(
            "SCMP_ACT_ERRNO",
            &json!([{ "names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": args }]),
        )
    };
    let personality = 136;
    let cases = [
        ("SCMP_CMP_EQ", u64::MAX, 0xffff_ffff, true),
        ("SCMP_CMP_EQ", 0xffff_ffff, 0xffff_ffff, true),
        ("SCMP_CMP_EQ", 1 << 32, 0, false),
        ("SCMP_CMP_NE", 1 << 32, 0, true),
        ("SCMP_CMP_GT", 1 << 32, 0xffff_ffff, false),
        ("SCMP_CMP_LT", 1 << 32, 0xffff_ffff, true),
        ("SCMP_CMP_GE", 0, 0, true),
        ("SCMP_CMP_LT", 0, 0, false),
    ];
    for (op, value, arg, expected) in cases {
        let found = decide(&program_for(op, value), X86, personality, &[arg]) == ALLOW;
        assert_eq!(found, expected, "{arg:#x} {op} {value:#x}");
    }
}
