//! Conditions on arguments: operators, masks, several tests.

use super::{ALLOW, EPERM, X86, X86_64, decide, docker, filter};
use crate::plan::Extensions;
use crate::plan::seccomp::abi::FAMILIES;
use crate::plan::seccomp::compile_for;
use serde_json::{Value, json};

/// Decision on read(0 on x86-64) under one rule with these `args`, default EPERM.
pub(super) fn holds(args: Value, values: &[u64]) -> bool {
    let program = filter(json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": args }],
    }))
    .program;
    match decide(&program, X86_64, 0, values) {
        ALLOW => true,
        EPERM => false,
        other => panic!("{other:#x}"),
    }
}

/// Values around every boundary of the 32-bit halves.
const EDGES: [u64; 21] = [
    0,
    1,
    2,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0001,
    0x1_ffff_ffff,
    0x2_0000_0000,
    0x1234_5678_9abc_def0,
    0x1234_5678_9abc_def1,
    0x1234_5679_9abc_def0,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_0000_0000,
    0xffff_ffff_0000_0001,
    0xffff_ffff_7fff_ffff,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
];

#[test]
fn every_operator_compares_all_64_bits() {
    type Expected = fn(u64, u64) -> bool;
    let operators: [(&str, Expected); 6] = [
        ("SCMP_CMP_NE", |a, v| a != v),
        ("SCMP_CMP_LT", |a, v| a < v),
        ("SCMP_CMP_LE", |a, v| a <= v),
        ("SCMP_CMP_EQ", |a, v| a == v),
        ("SCMP_CMP_GE", |a, v| a >= v),
        ("SCMP_CMP_GT", |a, v| a > v),
    ];
    for (op, expected) in operators {
        for value in EDGES {
            let program = filter(json!({
                "defaultAction": "SCMP_ACT_ERRNO",
                "syscalls": [{
                    "names": ["read"], "action": "SCMP_ACT_ALLOW",
                    "args": [{ "index": 5, "value": value, "op": op }],
                }],
            }))
            .program;
            for arg in EDGES {
                let wanted = if expected(arg, value) { ALLOW } else { EPERM };
                let found = decide(&program, X86_64, 0, &[9, 9, 9, 9, 9, arg]);
                assert_eq!(found, wanted, "{arg:#x} {op} {value:#x}");
            }
        }
    }
}

#[test]
fn masked_eq_takes_the_mask_from_value_and_the_value_from_value_two() {
    for mask in EDGES {
        for wanted in EDGES {
            let args = json!([
                { "index": 0, "value": mask, "valueTwo": wanted & mask, "op": "SCMP_CMP_MASKED_EQ" }
            ]);
            let program = filter(json!({
                "defaultAction": "SCMP_ACT_ERRNO",
                "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": args }],
            }))
            .program;
            for arg in EDGES {
                let allowed = decide(&program, X86_64, 0, &[arg]) == ALLOW;
                assert_eq!(allowed, arg & mask == wanted & mask, "{arg:#x} {mask:#x} {wanted:#x}");
            }
        }
    }
}

#[test]
fn docker_clone_mask_refuses_every_namespace_flag() {
    let program =
        compile_for(&docker(), &Extensions::default(), &FAMILIES[0]).unwrap().unwrap().program;
    for (arch, nr) in [(X86_64, 56), (X86_64, 0x4000_0000 | 56), (X86, 120)] {
        for flag in [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000_u64] {
            assert_eq!(decide(&program, arch, nr, &[flag | 17]), EPERM, "{arch:#x} {flag:#x}");
        }
        assert_eq!(decide(&program, arch, nr, &[0x3d_0f00]), ALLOW);
    }
}

#[test]
fn masked_eq_without_value_two_wants_zero() {
    let args = json!([{ "index": 0, "value": 0xf0, "op": "SCMP_CMP_MASKED_EQ" }]);
    assert!(holds(args.clone(), &[0xf]));
    assert!(!holds(args, &[0x1f]));
}

#[test]
fn tests_of_different_arguments_must_all_hold() {
    let args = json!([
        { "index": 0, "value": 1, "op": "SCMP_CMP_EQ" },
        { "index": 1, "value": 2, "op": "SCMP_CMP_GT" },
        { "index": 2, "value": 3, "op": "SCMP_CMP_NE" },
    ]);
    assert!(holds(args.clone(), &[1, 3, 4]));
    for wrong in [[0, 3, 4], [1, 2, 4], [1, 3, 3]] {
        assert!(!holds(args.clone(), &wrong), "{wrong:?}");
    }
}

#[test]
fn tests_of_one_argument_are_alternatives() {
    let args = json!([
        { "index": 0, "value": 1, "op": "SCMP_CMP_EQ" },
        { "index": 0, "value": 5, "op": "SCMP_CMP_EQ" },
        { "index": 1, "value": 7, "op": "SCMP_CMP_EQ" },
    ]);
    for (values, expected) in [([1, 0], true), ([5, 0], true), ([2, 7], true), ([2, 0], false)] {
        assert_eq!(holds(args.clone(), &values), expected, "{values:?}");
    }
}
