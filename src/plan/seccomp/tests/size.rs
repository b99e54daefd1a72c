//! How long a program may be, and how many steps it takes.

use super::machine::Data;
use super::{ALLOW, EPERM, KILL, X86, X86_64, decide, docker, error, filter, machine};
use crate::plan::Extensions;
use crate::plan::seccomp::abi;
use crate::plan::seccomp::abi::FAMILIES;
use crate::plan::seccomp::compile_for;
use serde_json::{Value, json};

/// One rule with `count` alternatives that no list can merge.
fn long_rule(name: &str, count: u64) -> Value {
    let args: Vec<Value> = (0..count)
        .map(|i| json!({ "index": i % 6, "value": (i << 32) + i, "op": "SCMP_CMP_EQ" }))
        .collect();
    json!({ "names": [name], "action": "SCMP_ACT_ALLOW", "args": args })
}

#[test]
fn long_programs_jump_over_more_than_255_instructions() {
    let names = ["read", "write", "openat", "clone", "mmap"];
    let rules: Vec<Value> = names.iter().map(|name| long_rule(name, 150)).collect();
    let program = filter(json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules })).program;
    assert!(program.len() > 3000, "{}", program.len());
    for name in names {
        let nr = abi::number(abi::call(name).unwrap(), &FAMILIES[0].abis[0]).unwrap();
        for i in 0..150_u64 {
            let mut args = [u64::MAX; 6];
            assert_eq!(decide(&program, X86_64, nr, &args), EPERM);
            args[usize::try_from(i % 6).unwrap()] = (i << 32) + i;
            assert_eq!(decide(&program, X86_64, nr, &args), ALLOW, "{name} {i}");
        }
    }
    assert_eq!(decide(&program, X86_64, 7, &[]), EPERM);
    assert_eq!(decide(&program, X86, 7, &[]), KILL);
}

const TOO_LONG: &str = "linux.seccomp: the rules need more than the 4096 instructions the kernel \
                        takes; use fewer conditions on arguments or fewer architectures";

#[test]
fn program_longer_than_the_kernel_takes_is_refused() {
    let profile =
        json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [long_rule("read", 1200)] });
    assert_eq!(error(profile), TOO_LONG);
}

#[test]
fn huge_profile_is_refused_in_linear_time() {
    let rules: Vec<Value> = (0..40_000_u32)
        .map(|i| {
            let args = json!([{ "index": i % 6, "value": i, "op": "SCMP_CMP_GT" }]);
            json!({ "names": ["read"], "action": "SCMP_ACT_TRACE", "errnoRet": i, "args": args })
        })
        .collect();
    assert_eq!(error(json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules })), TOO_LONG);
}

#[test]
fn docker_profile_fits_in_400_instructions_and_needs_few_steps() {
    let filter = compile_for(&docker(), &Extensions::default(), &FAMILIES[0]).unwrap().unwrap();
    machine::check(&filter.program);
    assert!(filter.program.len() <= 400, "{} instructions", filter.program.len());
    assert_eq!(filter.warnings, Vec::<String>::new());
    let steps = |arch, nr| machine::run(&filter.program, &Data { nr, arch, args: [0; 6] }, false).1;
    let most = (0..600).map(|nr| steps(X86_64, nr).max(steps(X86, nr))).max().unwrap();
    println!("docker: {} instructions, at most {most} steps", filter.program.len());
    assert!(most <= 40, "{most} steps");
}
