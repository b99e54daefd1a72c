use super::*;
use crate::plan::device_rules::rules;

#[derive(Debug, Clone, Copy)]
struct Request {
    kind: u32,
    major: u32,
    minor: u32,
    access: u8,
}

/// Runs a program on a request. Panics on what the verifier would refuse.
fn run(program: &[Insn], request: Request) -> bool {
    let context = [u32::from(request.access) << 16 | request.kind, request.major, request.minor];
    let mut regs: [Option<u64>; 11] = [None; 11];
    let mut pc = 0_usize;
    loop {
        let Insn { code, regs: names, off, imm } = program[pc];
        let (dst, src) = (usize::from(names & 15), usize::from(names >> 4));
        let imm = imm.cast_unsigned();
        let low = |value: Option<u64>| u32::try_from(value.unwrap() & 0xffff_ffff).unwrap();
        pc += 1;
        let jump = match code {
            LDX_W => {
                assert_eq!(src, usize::from(CONTEXT));
                regs[dst] = Some(context[usize::try_from(off).unwrap() / 4].into());
                false
            }
            MOV64_IMM => {
                regs[dst] = Some(imm.into());
                false
            }
            MOV32_REG => {
                regs[dst] = Some(low(regs[src]).into());
                false
            }
            AND32_IMM => {
                regs[dst] = Some((low(regs[dst]) & imm).into());
                false
            }
            RSH32_IMM => {
                regs[dst] = Some((low(regs[dst]) >> imm).into());
                false
            }
            JEQ32_IMM => low(regs[dst]) == imm,
            JNE32_IMM => low(regs[dst]) != imm,
            JLT32_IMM => low(regs[dst]) < imm,
            JLE32_IMM => low(regs[dst]) <= imm,
            JSET32_IMM => low(regs[dst]) & imm != 0,
            EXIT => return regs[0] == Some(1),
            _ => panic!("unknown opcode {code:#x}"),
        };
        if jump {
            assert!(off >= 0, "backward jump");
            pc += usize::try_from(off).unwrap();
        }
    }
}

/// The meaning of the list, said naively: each rule in order gives or takes rights.
fn oracle(rules: &[DeviceRule], request: Request) -> bool {
    let mut rights = 0;
    for rule in rules {
        let matches = kind_number(rule.kind).is_none_or(|kind| kind == request.kind)
            && rule.major.is_none_or(|major| major == request.major)
            && rule.minor.is_none_or(|minor| minor == request.minor);
        if matches && rule.allow {
            rights |= rule.access.0;
        } else if matches {
            rights &= !rule.access.0;
        }
    }
    request.access & !rights == 0
}

fn assert_equivalent(rules: &[DeviceRule], numbers: &[u32]) {
    let program = compile(rules);
    for kind in [1, 2] {
        for &major in numbers {
            for &minor in numbers {
                for access in 1..8 {
                    let request = Request { kind, major, minor, access };
                    let allowed = program.as_ref().is_none_or(|program| run(program, request));
                    assert_eq!(
                        allowed,
                        oracle(rules, request),
                        "{request:?} {rules:?} {program:?}"
                    );
                }
            }
        }
    }
}

fn all_rules() -> Vec<DeviceRule> {
    let mut list = Vec::new();
    for allow in [false, true] {
        for kind in [DeviceKind::Any, DeviceKind::Block, DeviceKind::Char] {
            for major in [None, Some(0), Some(1)] {
                for minor in [None, Some(0), Some(1)] {
                    for access in 1..8 {
                        list.push(DeviceRule { allow, kind, major, minor, access: Access(access) });
                    }
                }
            }
        }
    }
    list
}

#[test]
fn every_pair_of_rules_does_what_the_list_says() {
    let list = all_rules();
    assert_eq!(list.len(), 2 * 3 * 3 * 3 * 7);
    // 378 * 378 pairs with one access left out of the second to keep it under a second.
    for first in &list {
        for second in list.iter().filter(|rule| matches!(rule.access.0, 1 | 6 | 7)) {
            let rules = [*first, *second];
            let program = compile(&rules);
            for (kind, major, minor, access) in
                [(1, 0, 0, 7), (1, 1, 0, 1), (2, 0, 1, 2), (2, 1, 1, 6), (2, 2, 0, 1), (1, 0, 2, 4)]
            {
                let request = Request { kind, major, minor, access };
                let allowed = program.as_ref().is_none_or(|program| run(program, request));
                assert_eq!(allowed, oracle(&rules, request), "{request:?} {rules:?}");
            }
        }
    }
}

#[test]
fn long_lists_do_what_they_say() {
    let list = all_rules();
    let mut seed = 1_u64; // Knuth's MMIX generator: the test must fail twice the same way
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for _ in 0..3_000 {
        let rules: Vec<_> = (0..random(12)).map(|_| list[random(list.len())]).collect();
        assert_equivalent(&rules, &[0, 1, 2]);
    }
}

#[test]
fn minor_ranges_and_large_numbers_are_compared_unsigned() {
    let rule = |minor| DeviceRule {
        allow: true,
        kind: DeviceKind::Char,
        major: Some(u32::MAX),
        minor: Some(minor),
        access: Access::ALL,
    };
    let rules: Vec<_> = [7, 5, 6, u32::MAX, u32::MAX - 1, 3, 0, 1].map(rule).into();
    assert_equivalent(
        &rules,
        &[0, 1, 2, 3, 4, 5, 6, 7, 8, 0x7fff_ffff, 0x8000_0000, u32::MAX - 1, u32::MAX],
    );
}

fn from_json(json: &str) -> Vec<DeviceRule> {
    rules(&serde_json::from_str::<Vec<_>>(json).unwrap()).unwrap()
}

/// What dockerd 26 writes for an unprivileged container.
const DOCKER: &str = r#"[{"allow":false,"access":"rwm"},
    {"allow":true,"type":"c","major":1,"minor":5,"access":"rwm"},
    {"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"},
    {"allow":true,"type":"c","major":1,"minor":9,"access":"rwm"},
    {"allow":true,"type":"c","major":1,"minor":8,"access":"rwm"},
    {"allow":true,"type":"c","major":5,"minor":0,"access":"rwm"},
    {"allow":true,"type":"c","major":5,"minor":1,"access":"rwm"},
    {"allow":false,"type":"c","major":10,"minor":229,"access":"rwm"}]"#;

#[test]
fn docker_rules_take_21_instructions() {
    let rules = from_json(DOCKER);
    let program = compile(&rules).unwrap();
    assert_eq!(program.len(), 21, "{program:#?}");
    assert_equivalent(&rules, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 135, 136, 137, 229]);
}

#[test]
fn defaults_alone_are_what_a_container_without_rules_gets() {
    let rules = from_json("[]");
    assert_equivalent(&rules, &[0, 1, 2, 3, 5, 7, 8, 9, 136]);
    let program = compile(&rules).unwrap();
    let open = |major, minor| run(&program, Request { kind: 2, major, minor, access: 6 });
    assert!(open(1, 3) && open(136, 77) && open(5, 2));
    assert!(!open(5, 1) && !open(1, 1) && !open(10, 200));
}

#[test]
fn privileged_rules_need_no_program() {
    assert_eq!(compile(&from_json(r#"[{"allow":true,"access":"rwm"}]"#)), None);
}

#[test]
fn a_denied_device_in_a_privileged_container_needs_one_test() {
    let rules = from_json(
        r#"[{"allow":true,"access":"rwm"},{"allow":false,"type":"b","major":8,"access":"w"}]"#,
    );
    assert_equivalent(&rules, &[0, 1, 8, 9]);
}
