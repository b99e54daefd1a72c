//! Random profiles and data: the same at every run.

use super::machine::Data;
use crate::plan::seccomp::abi::{self, Abi, Family};
use crate::plan::seccomp::numbers::ROWS;
use crate::sys::libseccomp::Library;
use serde_json::{Value, json};

/// xorshift64: the same cases every time.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

pub(super) const OPERATORS: [&str; 7] = [
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
];

pub(super) const SMALL: [u64; 9] =
    [0, 1, 2, 38, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff, 0x7e02_0000];
pub(super) const LARGE: [u64; 8] = [
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
pub(super) fn values(wide: bool) -> Vec<u64> {
    let mut values = SMALL.to_vec();
    if wide {
        values.extend(LARGE);
    }
    values
}

/// Names both compilers know on some ABI of the family.
pub(super) fn names(family: &Family, library: Option<&Library>) -> Vec<&'static str> {
    ROWS.iter()
        .map(|(name, _)| *name)
        .filter(|name| {
            let call = abi::call(name).unwrap();
            let ours = family.abis.iter().any(|abi| abi::number(call, abi).is_some());
            ours && library
                .is_none_or(|library| library.resolve(token(&family.abis[0]), name) != -1)
        })
        // Their own rules against those of their calls: see narrow.rs.
        .filter(|name| !matches!(*name, "socketcall" | "ipc"))
        // Two names of one call of ARM.
        .filter(|name| !matches!(*name, "sync_file_range2" | "arm_sync_file_range"))
        // libseccomp loses this one of PowerPC on its way from the name over the native number.
        .filter(|name| *name != "sys_debug_setcontext")
        .collect()
}

/// `SCMP_ARCH_*` of seccomp.h, which is also the value of oci-spec's enum.
pub(super) fn token(abi: &Abi) -> u32 {
    abi.arch as u32
}

/// How many conditional rules speak of one call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Alternatives {
    /// libseccomp 2.5 merges several into one tree and takes some branches of it wrongly.
    One,
    Many,
}

/// A profile in which no call has two different actions: there the compilers differ knowingly.
pub(super) fn profile(
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
            // Conditions behind socketcall and ipc: see narrow.rs.
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

/// Numbers and arguments near what a profile speaks of.
pub(super) fn random_data(
    random: &mut Random,
    family: &Family,
    numbers: &[u32],
    values: &[u64],
) -> Data {
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
