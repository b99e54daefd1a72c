//! Decisions compared with those of other compilers.
//!
//! libseccomp is opened at run time. Without it, and in a static test program, its tests say so
//! and pass, unless `RT_NEED_LIBSECCOMP` is set.

use super::machine::{Data, run};
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

/// xorshift64: the same cases every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

fn library() -> Option<Library> {
    let library = Library::open();
    if library.is_none() {
        assert!(std::env::var_os("RT_NEED_LIBSECCOMP").is_none(), "cannot open libseccomp.so.2");
        println!("skipped: cannot open libseccomp.so.2");
    }
    library
}

const OPERATORS: [&str; 7] = [
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
];

const SMALL: [u64; 9] =
    [0, 1, 2, 38, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff, 0x7e02_0000];
const LARGE: [u64; 8] = [
    1 << 32,
    (1 << 32) + 1,
    0x1_ffff_ffff,
    0x1234_5678_9abc_def0,
    0x8000_0000_0000_0000,
    0xffff_ffff_0000_0000,
    0xffff_ffff_7fff_ffff,
    0xffff_ffff_ffff_ffff,
];

/// Values a test may hold: 64 bits only where every ABI of the filter has them.
fn values(wide: bool) -> Vec<u64> {
    let mut values = SMALL.to_vec();
    if wide {
        values.extend(LARGE);
    }
    values
}

/// Names both compilers know on some ABI of the family.
fn names(family: &Family, library: Option<&Library>) -> Vec<&'static str> {
    ROWS.iter()
        .map(|(name, _)| *name)
        .filter(|name| {
            let call = abi::call(name).unwrap();
            let ours = family.abis.iter().any(|abi| abi::number(call, abi).is_some());
            ours && library
                .is_none_or(|library| library.resolve(token(&family.abis[0]), name) != -1)
        })
        // Their own rules against those of their calls: see the unit tests.
        .filter(|name| !matches!(*name, "socketcall" | "ipc"))
        // Two names of one call of ARM.
        .filter(|name| !matches!(*name, "sync_file_range2" | "arm_sync_file_range"))
        // libseccomp loses this one of PowerPC on its way from the name over the native number.
        .filter(|name| *name != "sys_debug_setcontext")
        .collect()
}

/// `SCMP_ARCH_*` of seccomp.h, which is also the value of oci-spec's enum.
fn token(abi: &Abi) -> u32 {
    abi.arch as u32
}

/// How many conditional rules speak of one call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alternatives {
    /// libseccomp 2.5 merges several into one tree and takes some branches of it wrongly.
    One,
    Many,
}

/// A profile in which no call has two different actions: there the compilers differ knowingly.
fn profile(
    random: &mut Random,
    names: &[&str],
    archs: &[String],
    (wide, alternatives): (bool, Alternatives),
) -> Value {
    let defaults = ["SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_LOG"];
    let default = random.pick(&defaults);
    let actions = ["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_TRAP", "SCMP_ACT_TRACE"];
    let values = values(wide);
    let mut free: Vec<&str> = names.to_vec();
    let mut syscalls = Vec::new();
    for _ in 0..=random.below(12) {
        let action = random.pick(&actions);
        if action == default {
            continue;
        }
        let errno = random.below(100);
        let conditional = random.below(3) != 0;
        let count = if conditional { 1 + random.below(3) } else { 1 + random.below(60) };
        let chosen: Vec<&str> = (0..count)
            .map(|_| {
                let index = random.below(free.len());
                free.swap_remove(index)
            })
            // Conditions behind socketcall and ipc: see the unit tests.
            .filter(|name| !conditional || abi::multiplexed(name).is_none())
            .collect();
        if chosen.is_empty() {
            continue;
        }
        let many = conditional && alternatives == Alternatives::Many;
        for _ in 0..if many { 1 + random.below(4) } else { 1 } {
            let mut rule = json!({ "names": chosen, "action": action });
            if matches!(action, "SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE") {
                rule["errnoRet"] = errno.into();
            }
            if conditional {
                let mut indexes = vec![0, 1, 2, 3, 4, 5];
                let args: Vec<Value> = (0..=random.below(3))
                    .map(|_| {
                        let at = random.below(indexes.len());
                        let index = if many { indexes[at] } else { indexes.swap_remove(at) };
                        let value = random.pick(&values);
                        let two = random.pick(&values) & value;
                        let op = random.pick(&OPERATORS);
                        json!({ "index": index, "value": value, "valueTwo": two, "op": op })
                    })
                    .collect();
                rule["args"] = args.into();
            }
            syscalls.push(rule);
        }
    }
    json!({ "defaultAction": default, "architectures": archs, "syscalls": syscalls })
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

/// Numbers and arguments near what a profile speaks of.
fn random_data(random: &mut Random, family: &Family, numbers: &[u32], values: &[u64]) -> Data {
    let nr = match random.below(8) {
        0 => random.pick(&[0, 0xf_0000, 0xf_0005, 0x3fff_ffff, 0x4000_0000, 0x4000_0200, u32::MAX]),
        1 => u32::try_from(random.below(0x4000_0000)).unwrap(),
        2 => u32::try_from(random.below(700)).unwrap(),
        _ => random.pick(numbers),
    };
    let arch = match random.below(12) {
        0 => u32::try_from(random.next() >> 32).unwrap(),
        _ => family.abis[random.below(family.abis.len())].audit,
    };
    let args = std::array::from_fn(|_| {
        let value = random.pick(values);
        let value = match random.below(4) {
            0 => value.wrapping_add(1),
            1 => value.wrapping_sub(1),
            _ => value,
        };
        // A 32-bit process has no wider registers.
        if values.len() > SMALL.len() { value } else { value & 0xffff_ffff }
    });
    Data { nr, arch, args }
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
