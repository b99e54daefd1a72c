//! Decisions compared with those of other compilers.
//!
//! libseccomp is opened at run time. Without it, and in a static test program, its tests say so
//! and pass, unless `RT_NEED_LIBSECCOMP` is set.

use super::machine::{Data, run};
use super::random::{Alternatives, OPERATORS, Random, names, profile, random_data, token, values};
use super::{ALLOW, ENOSYS, EPERM, docker, spec};
use crate::plan::Extensions;
use crate::plan::seccomp::abi::{self, Abi, Column, FAMILIES, Family};
use crate::plan::seccomp::numbers::ROWS;
use crate::plan::seccomp::{Insn, compile_for, wanted_abis};
use crate::sys::libseccomp::{ArgCmp, Library, Rule};
use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSyscall,
};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn library() -> Option<Library> {
    let library = Library::open();
    if library.is_none() {
        assert!(std::env::var_os("RT_NEED_LIBSECCOMP").is_none(), "cannot open libseccomp.so.2");
        println!("skipped: cannot open libseccomp.so.2");
    }
    library
}

fn action(action: Action, errno: Option<u32>) -> u32 {
    // seccomp.h counts like the kernel. Only these two carry data.
    let carries = matches!(action, Action::ScmpActErrno | Action::ScmpActTrace);
    action.as_u32(errno.filter(|_| carries))
}

/// The rules as runc hands them to libseccomp.
fn runc_rules(spec: &LinuxSeccomp) -> Vec<Rule> {
    let default = action(spec.default_action(), spec.default_errno_ret());
    let mut rules = Vec::new();
    for syscall in spec.syscalls().iter().flatten() {
        let action = action(syscall.action(), syscall.errno_ret());
        if action == default {
            continue;
        }
        let args: Vec<ArgCmp> = syscall
            .args()
            .iter()
            .flatten()
            .map(|arg| ArgCmp {
                arg: u32::try_from(arg.index()).unwrap(),
                op: arg.op() as i32,
                a: arg.value(),
                b: arg.value_two().unwrap_or(0),
            })
            .collect();
        let repeated = (0..6).any(|index| args.iter().filter(|arg| arg.arg == index).count() > 1);
        for name in syscall.names() {
            let rule = |args: &[ArgCmp]| Rule { name: name.clone(), action, args: args.to_vec() };
            if repeated {
                rules.extend(args.iter().map(|arg| rule(std::slice::from_ref(arg))));
            } else {
                rules.push(rule(&args));
            }
        }
    }
    rules
}

/// What libseccomp with runc's ENOSYS stub in front would decide, from libseccomp's own numbers.
struct Reference<'a> {
    program: Vec<Insn>,
    hide_newer: bool,
    /// Per ABI: the highest number named, and the numbers libseccomp is too old to know.
    abis: Vec<(&'a Abi, Option<u32>, Vec<u32>)>,
}

impl<'a> Reference<'a> {
    fn new(
        library: &Library,
        spec: &LinuxSeccomp,
        family: &'a Family,
    ) -> Result<Self, (usize, i32)> {
        let abis = wanted_abis(spec, family);
        let tokens: Vec<u32> = abis.iter().map(|abi| token(abi)).collect();
        let default = action(spec.default_action(), spec.default_errno_ret());
        let program = library.compile(default, &tokens, &runc_rules(spec))?;
        let named: Vec<&String> =
            spec.syscalls().iter().flatten().flat_map(LinuxSyscall::names).collect();
        let abis = abis
            .into_iter()
            .map(|abi| {
                let mut newest = None;
                let mut unknown = Vec::new();
                for name in &named {
                    let resolved = library.resolve(token(abi), name);
                    let ours = abi::call(name).and_then(|call| abi::number(call, abi));
                    match u32::try_from(resolved) {
                        Ok(number) if abi.column == Column::Arm && number >= 0xf_0000 => {}
                        Ok(number) => newest = newest.max(Some(number)),
                        // 2.5 does not know yet that x32 got this call as well.
                        Err(_) if resolved == -1 || name.as_str() == "map_shadow_stack" => {
                            unknown.extend(ours);
                            newest = newest.max(ours);
                        }
                        Err(_) => {}
                    }
                }
                (abi, newest, unknown)
            })
            .collect();
        Ok(Self {
            program: program
                .into_iter()
                .map(|(code, jt, jf, k)| Insn { code, jt, jf, k })
                .collect(),
            hide_newer: !matches!(
                spec.default_action(),
                Action::ScmpActAllow | Action::ScmpActLog | Action::ScmpActTrace
            ),
            abis,
        })
    }

    /// `None` where it cannot say.
    fn decide(&self, data: &Data, big_endian: bool) -> Option<u32> {
        let x32 = data.nr & 0x4000_0000 != 0;
        let abi = self.abis.iter().find(|(abi, ..)| {
            let split = matches!(abi.column, Column::X86_64 | Column::X32);
            abi.audit == data.arch && (!split || x32 == (abi.column == Column::X32))
        });
        if let Some((abi, newest, unknown)) = abi {
            if unknown.contains(&data.nr) {
                return None;
            }
            let private = abi.column == Column::Arm && data.nr >= 0xf_0000;
            let s390 = matches!(abi.column, Column::S390 | Column::S390x);
            if self.hide_newer
                && let Some(newest) = *newest
                && ((data.nr > newest && !private) || (s390 && data.nr == 0))
            {
                return Some(ENOSYS);
            }
        }
        Some(run(&self.program, data, big_endian).0)
    }
}

fn compare_with_libseccomp(
    library: &Library,
    spec: &LinuxSeccomp,
    family: &Family,
    random: &mut Random,
    rounds: usize,
) -> (usize, usize, usize) {
    let wide = wanted_abis(spec, family).iter().all(|abi| abi.width == abi::Width::Bits64);
    let Ok(reference) = Reference::new(library, spec, family) else { return (0, 0, 0) };
    let Some(ours) = compile_for(spec, &Extensions::default(), family).unwrap() else {
        return (0, 0, 0);
    };
    super::machine::check(&ours.program);
    let mut numbers: Vec<u32> = spec
        .syscalls()
        .iter()
        .flatten()
        .flat_map(LinuxSyscall::names)
        .flat_map(|name| family.abis.iter().filter_map(|abi| abi::number(abi::call(name)?, abi)))
        .flat_map(|nr| [nr, nr, nr + 1, nr.saturating_sub(1)])
        .collect();
    numbers.extend([102, 117, 4102, 4117]);
    let values = values(wide);
    let mut compared = 0;
    for _ in 0..rounds {
        let mut data = random_data(random, family, &numbers, &values);
        if matches!(data.nr, 117 | 4117 | 102 | 4102) {
            // Only bits libseccomp looks at too: its test of the selector ignores the version.
            data.args[0] %= 27;
        }
        if let Some(expected) = reference.decide(&data, family.big_endian) {
            let found = run(&ours.program, &data, family.big_endian).0;
            assert_eq!(found, expected, "{data:x?} {}", serde_json::to_string(spec).unwrap());
            compared += 1;
        }
    }
    (compared, ours.program.len(), reference.program.len())
}

#[test]
fn random_profiles_decide_as_with_libseccomp_and_the_stub_of_runc() {
    let Some(library) = library() else { return };
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut decisions, mut filters) = (0, 0);
    for family in &FAMILIES {
        // Debian's libseccomp has no loongarch64, and on a little-endian machine it writes
        // returns for big-endian ones in the wrong order.
        if family.big_endian || library.resolve(token(&family.abis[0]), "read") < 0 {
            continue;
        }
        let names = names(family, Some(&library));
        for round in 0..60 {
            let count = if round % 2 == 0 { 1 } else { family.abis.len() };
            let archs: Vec<String> =
                family.abis[..count].iter().map(|abi| abi.arch.to_string()).collect();
            let spec = spec(profile(&mut random, &names, &archs, (count == 1, Alternatives::One)));
            let (compared, ..) = compare_with_libseccomp(&library, &spec, family, &mut random, 400);
            decisions += compared;
            filters += usize::from(compared > 0);
        }
    }
    println!("{decisions} decisions of {filters} filters");
    assert!(decisions > 50_000 && filters > 150, "{decisions} decisions of {filters} filters");
}

#[test]
fn docker_profile_decides_as_with_libseccomp_and_the_stub_of_runc() {
    let Some(library) = library() else { return };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for family in &FAMILIES[..2] {
        let (compared, ours, theirs) =
            compare_with_libseccomp(&library, &docker(), family, &mut random, 100_000);
        println!("{compared} decisions; {ours} instructions, libseccomp {theirs}");
        assert!(compared > 90_000);
    }
}

#[test]
fn numbers_equal_those_of_libseccomp() {
    let Some(library) = library() else { return };
    let mut compared = 0;
    for abi in FAMILIES.iter().flat_map(|family| family.abis) {
        if library.resolve(token(abi), "read") < 0 {
            continue;
        }
        for (name, _) in ROWS {
            let theirs = library.resolve(token(abi), name);
            let ours = abi::number(abi::call(name).unwrap(), abi);
            // Two calls it lacks. -1: younger than the library. It gives multiplexed calls numbers of its own.
            let differs = name == "map_shadow_stack" && abi.column == Column::X32
                || name == "sync_file_range2" && abi.column == Column::Arm
                || theirs < 0 && abi::multiplexed(name).is_some();
            if theirs == -1 || differs {
                continue;
            }
            compared += 1;
            assert_eq!(u32::try_from(theirs).ok(), ours, "{name} on {}", abi.arch);
        }
    }
    assert!(compared > 5_000, "{compared} numbers");
}

/// A profile read literally, without any of the compiler's steps. `None` for what
/// `socketcall` and `ipc` do.
fn meaning(spec: &LinuxSeccomp, family: &Family, data: &Data) -> Option<u32> {
    let abis = wanted_abis(spec, family);
    let x32 = data.nr & 0x4000_0000 != 0;
    let default = action(spec.default_action(), spec.default_errno_ret());
    let abi = abis.iter().find(|abi| {
        let split = matches!(abi.column, Column::X86_64 | Column::X32);
        abi.audit == data.arch && (!split || x32 == (abi.column == Column::X32))
    });
    let Some(abi) = abi else {
        let skipped = data.arch == family.abis[0].audit && data.nr == u32::MAX;
        return Some(if skipped { default } else { super::KILL });
    };
    let number = |name: &String| abi::number(abi::call(name).unwrap(), abi);
    if ["socketcall", "ipc"].iter().any(|name| number(&(*name).into()) == Some(data.nr)) {
        return None;
    }
    let rules = || spec.syscalls().iter().flatten();
    for rule in rules().filter(|rule| rule.names().iter().any(|name| number(name) == Some(data.nr)))
    {
        let args = rule.args().as_deref().unwrap_or_default();
        let narrow = abi.width == abi::Width::Bits32;
        let cut = |value: u64| if narrow { value & 0xffff_ffff } else { value };
        let holds = |arg: &LinuxSeccompArg| {
            let (found, value) = (cut(data.args[arg.index()]), cut(arg.value()));
            match arg.op() as i32 {
                1 => found != value,
                2 => found < value,
                3 => found <= value,
                4 => found == value,
                5 => found >= value,
                6 => found > value,
                _ => found & value == cut(arg.value_two().unwrap()),
            }
        };
        let mut indexes: Vec<usize> = args.iter().map(LinuxSeccompArg::index).collect();
        indexes.sort_unstable();
        let repeated = indexes.windows(2).any(|pair| pair[0] == pair[1]);
        if (repeated && args.iter().any(holds)) || (!repeated && args.iter().all(holds)) {
            return Some(action(rule.action(), rule.errno_ret()));
        }
    }
    let hides = !matches!(
        spec.default_action(),
        Action::ScmpActAllow | Action::ScmpActLog | Action::ScmpActTrace
    );
    let named = rules().flat_map(LinuxSyscall::names);
    let private = abi.column == Column::Arm && data.nr >= 0xf_0000;
    let newest =
        named.filter_map(number).filter(|nr| abi.column != Column::Arm || *nr < 0xf_0000).max();
    let s390 = matches!(abi.column, Column::S390 | Column::S390x) && data.nr == 0;
    match newest {
        Some(newest) if hides && !private && (data.nr > newest || s390) => Some(ENOSYS),
        _ => Some(default),
    }
}

#[test]
fn random_profiles_decide_as_they_read() {
    let mut random = Random(0x0123_4567_89ab_cdef);
    let mut decisions = 0;
    for family in &FAMILIES {
        let names = names(family, None);
        for round in 0..60 {
            let count = if round % 2 == 0 { 1 } else { family.abis.len() };
            let archs: Vec<String> =
                family.abis[..count].iter().map(|abi| abi.arch.to_string()).collect();
            let wide = count == 1;
            let spec = spec(profile(&mut random, &names, &archs, (wide, Alternatives::Many)));
            let Some(ours) = compile_for(&spec, &Extensions::default(), family).unwrap() else {
                continue;
            };
            super::machine::check(&ours.program);
            let numbers: Vec<u32> = spec
                .syscalls()
                .iter()
                .flatten()
                .flat_map(LinuxSyscall::names)
                .flat_map(|name| {
                    family.abis.iter().filter_map(|abi| abi::number(abi::call(name)?, abi))
                })
                .chain([0])
                .collect();
            for _ in 0..400 {
                let data = random_data(&mut random, family, &numbers, &values(wide));
                let Some(expected) = meaning(&spec, family, &data) else { continue };
                let found = run(&ours.program, &data, family.big_endian).0;
                assert_eq!(found, expected, "{data:x?} {}", serde_json::to_string(&spec).unwrap());
                decisions += 1;
            }
        }
    }
    println!("{decisions} decisions");
    assert!(decisions > 100_000, "{decisions} decisions");
}

/// seccompiler: one architecture, one action, so only such profiles.
#[test]
fn random_profiles_decide_as_with_seccompiler() {
    let mut random = Random(0x1357_9bdf_0246_8ace);
    let mut decisions = 0;
    for (family, target) in [
        (&FAMILIES[0], TargetArch::x86_64),
        (&FAMILIES[1], TargetArch::aarch64),
        (&FAMILIES[2], TargetArch::riscv64),
    ] {
        let names = names(family, None);
        for _ in 0..100 {
            let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
            let mut syscalls = Vec::new();
            let mut newest = 0;
            for _ in 0..=random.below(20) {
                let name = random.pick(&names);
                let number = abi::number(abi::call(name).unwrap(), &family.abis[0]);
                // Once without conditions, a call stays so: seccompiler has no such mixture.
                let Some(number) = number.filter(|nr| !rules.contains_key(&i64::from(*nr))) else {
                    continue;
                };
                newest = newest.max(number);
                let entry = rules.entry(i64::from(number)).or_default();
                let alternatives = random.below(4);
                if alternatives == 0 {
                    syscalls.push(json!({ "names": [name], "action": "SCMP_ACT_ALLOW" }));
                }
                for _ in 0..alternatives {
                    let (args, conditions) = conditions(&mut random);
                    syscalls
                        .push(json!({ "names": [name], "action": "SCMP_ACT_ALLOW", "args": args }));
                    entry.push(SeccompRule::new(conditions).unwrap());
                }
            }
            let theirs = SeccompFilter::new(
                rules.clone(),
                SeccompAction::Errno(1),
                SeccompAction::Allow,
                target,
            );
            let theirs: seccompiler::BpfProgram = theirs.unwrap().try_into().unwrap();
            let theirs: Vec<Insn> =
                theirs.iter().map(|i| Insn { code: i.code, jt: i.jt, jf: i.jf, k: i.k }).collect();
            let ours = spec(json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": syscalls }));
            let Some(ours) = compile_for(&ours, &Extensions::default(), family).unwrap() else {
                continue;
            };
            let numbers: Vec<u32> = rules.keys().map(|nr| u32::try_from(*nr).unwrap()).collect();
            if numbers.is_empty() {
                continue;
            }
            for _ in 0..300 {
                let mut data = random_data(&mut random, family, &numbers, &values(true));
                data.arch = family.abis[0].audit;
                if data.nr > newest {
                    continue; // ours hides it
                }
                let expected = run(&theirs, &data, false).0;
                let found = run(&ours.program, &data, false).0;
                assert_eq!(found, expected, "{data:x?} {syscalls:?}");
                assert!([ALLOW, EPERM].contains(&found));
                decisions += 1;
            }
        }
    }
    println!("{decisions} decisions");
    assert!(decisions > 20_000, "{decisions} decisions");
}

/// Conditions on different arguments, for both.
fn conditions(random: &mut Random) -> (Vec<Value>, Vec<SeccompCondition>) {
    let values = values(true);
    let first = random.below(4);
    (first..=first + random.below(2))
        .map(|index| {
            let value = random.pick(&values);
            let two = random.pick(&values) & value;
            let op = random.pick(&OPERATORS);
            let (their_op, their_value) = match op {
                "SCMP_CMP_NE" => (SeccompCmpOp::Ne, value),
                "SCMP_CMP_LT" => (SeccompCmpOp::Lt, value),
                "SCMP_CMP_LE" => (SeccompCmpOp::Le, value),
                "SCMP_CMP_EQ" => (SeccompCmpOp::Eq, value),
                "SCMP_CMP_GE" => (SeccompCmpOp::Ge, value),
                "SCMP_CMP_GT" => (SeccompCmpOp::Gt, value),
                _ => (SeccompCmpOp::MaskedEq(value), two),
            };
            let index_byte = u8::try_from(index).unwrap();
            let condition =
                SeccompCondition::new(index_byte, SeccompCmpArgLen::Qword, their_op, their_value);
            let arg = json!({ "index": index, "value": value, "valueTwo": two, "op": op });
            (arg, condition.unwrap())
        })
        .unzip()
}
