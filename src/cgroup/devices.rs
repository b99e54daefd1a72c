//! The device filter of a cgroup: an eBPF program made from the ordered device rules.
//!
//! Runs in: parent. Privilege: `CAP_BPF` or `CAP_SYS_ADMIN` of the initial user namespace.
//!
//! cgroup v2 has no devices controller. The kernel runs the programs of the cgroup and of all its
//! ancestors at every open and mknod of a device; each must return 1 (`struct bpf_cgroup_dev_ctx`,
//! linux/bpf.h).

use crate::plan::device_rules::{Access, DeviceKind, DeviceRule};
use crate::sys::{self, bpf, bpf::Insn};
use anyhow::{Context as _, Result};
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd};

/// What became of the device rules.
#[derive(Debug)]
pub(crate) enum Filter {
    /// The rules allow everything, so no program is needed (a privileged container).
    Open,
    /// A program is attached.
    Attached,
    /// No privilege. In a user namespace that is normal and harmless: device nodes cannot be made
    /// there, and those bound from the host are guarded by their mode. Otherwise it is an error,
    /// which the caller decides.
    Refused(sys::Error),
}

/// Whether the cgroup may have programs already. Asking costs two system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    Unknown,
}

/// Makes the rules the only device filter of this cgroup, without a moment in which none applies.
pub(super) fn install(dir: BorrowedFd<'_>, rules: &[DeviceRule], before: Before) -> Result<Filter> {
    const FIELD: &str = "linux.resources.devices";
    match replace(dir, rules, before) {
        Ok(filter) => Ok(filter),
        Err(err) if matches!(err.errno, Errno::EPERM | Errno::EACCES) => Ok(Filter::Refused(err)),
        Err(err) => Err(err).context(FIELD),
    }
}

fn replace(dir: BorrowedFd<'_>, rules: &[DeviceRule], before: Before) -> sys::Result<Filter> {
    let mut old = Vec::new();
    if before == Before::Unknown {
        for id in bpf::prog_query(dir)? {
            match bpf::prog_get_fd_by_id(id) {
                Ok(program) => old.push(program),
                Err(err) if err.errno == Errno::ENOENT => {} // detached since
                Err(err) => return Err(err),
            }
        }
    }
    let (filter, old) = match compile(rules) {
        None => (Filter::Open, old.as_slice()),
        Some(code) => {
            let program = bpf::prog_load_cgroup_device(&code)?;
            let first = old.first().map(|program| program.as_fd());
            bpf::prog_attach(dir, program.as_fd(), first)?;
            (Filter::Attached, old.get(1..).unwrap_or_default())
        }
    };
    for program in old {
        bpf::prog_detach(dir, program.as_fd())?;
    }
    Ok(filter)
}

/// The rules without those that change nothing, and what holds where none matches.
struct Effective {
    default_allow: bool,
    rules: Vec<DeviceRule>,
}

fn overlap(a: &DeviceRule, b: &DeviceRule) -> bool {
    let number = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
    (a.kind == DeviceKind::Any || b.kind == DeviceKind::Any || a.kind == b.kind)
        && number(a.major, b.major)
        && number(a.minor, b.minor)
        && a.access.0 & b.access.0 != 0
}

fn covers(a: &DeviceRule, b: &DeviceRule) -> bool {
    let number = |a: Option<u32>, b: Option<u32>| a.is_none() || a == b;
    (a.kind == DeviceKind::Any || a.kind == b.kind)
        && number(a.major, b.major)
        && number(a.minor, b.minor)
        && b.access.0 & !a.access.0 == 0
}

fn is_total(rule: &DeviceRule) -> bool {
    let all = DeviceRule {
        kind: DeviceKind::Any,
        major: None,
        minor: None,
        access: Access::ALL,
        ..*rule
    };
    *rule == all
}

fn effective(rules: &[DeviceRule]) -> Effective {
    let mut default_allow = false;
    let mut kept: Vec<DeviceRule> = Vec::new();
    for rule in rules {
        if is_total(rule) {
            kept.clear();
            default_allow = rule.allow;
            continue;
        }
        // From the end: the last rule that touches this one's rights decides whether it is news.
        let last = kept.iter().rev().find(|k| {
            k.allow != rule.allow && overlap(k, rule) || k.allow == rule.allow && covers(k, rule)
        });
        if last.map_or(default_allow, |k| k.allow) == rule.allow {
            continue;
        }
        kept.retain(|k| !covers(rule, k));
        kept.push(*rule);
    }
    Effective { default_allow, rules: kept }
}

// Opcodes: linux/bpf_common.h and linux/bpf.h. JMP32 (Linux 5.1) compares the low 32 bits, so
// that device numbers need no sign extension.
const LDX_W: u8 = 0x61;
const MOV64_IMM: u8 = 0xb7;
const MOV32_REG: u8 = 0xbc;
const AND32_IMM: u8 = 0x54;
const RSH32_IMM: u8 = 0x74;
const JEQ32_IMM: u8 = 0x16;
const JNE32_IMM: u8 = 0x56;
const JLT32_IMM: u8 = 0xa6;
const JLE32_IMM: u8 = 0xb6;
const JSET32_IMM: u8 = 0x46;
const EXIT: u8 = 0x95;

// Registers. The context comes in r1, the verdict leaves in r0.
const VERDICT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const MAJOR: u8 = 3;
const MINOR: u8 = 4;
/// The rights asked for that no rule has decided yet.
const NEED: u8 = 5;

#[derive(Default)]
struct Code {
    insns: Vec<Insn>,
    /// Instructions that jump to "return 1" and "return 0".
    to_allow: Vec<usize>,
    to_deny: Vec<usize>,
}

impl Code {
    fn push(&mut self, code: u8, (dst, src): (u8, u8), off: i16, imm: u32) -> usize {
        self.insns.push(Insn { code, regs: dst | src << 4, off, imm: imm.cast_signed() });
        self.insns.len() - 1
    }

    fn jump(&mut self, code: u8, dst: u8, imm: u32) -> usize {
        self.push(code, (dst, 0), 0, imm)
    }

    /// A conditional jump to the verdict.
    fn decide(&mut self, allow: bool, code: u8, dst: u8, imm: u32) {
        let at = self.jump(code, dst, imm);
        if allow { self.to_allow.push(at) } else { self.to_deny.push(at) }
    }

    /// Lets the instructions `jumps` go to the next one that is pushed.
    fn land(&mut self, jumps: &[usize]) {
        let here = self.insns.len();
        for at in jumps {
            if let Some(insn) = self.insns.get_mut(*at) {
                insn.off = i16::try_from(here - at - 1).unwrap_or(i16::MAX);
            }
        }
    }
}

fn kind_number(kind: DeviceKind) -> Option<u32> {
    match kind {
        DeviceKind::Any => None,
        DeviceKind::Block => Some(1),
        DeviceKind::Char => Some(2),
    }
}

/// Compiles the rules; `None` when they allow everything.
///
/// Every right is decided by the last rule that names it for the device, and a request is allowed
/// when all its rights are. So the program goes from the last rule to the first and keeps the
/// rights that are still open. Neighbours with one verdict commute, and share their tests.
pub(crate) fn compile(rules: &[DeviceRule]) -> Option<Vec<Insn>> {
    let Effective { default_allow, rules } = effective(rules);
    if rules.is_empty() && default_allow {
        return None;
    }
    let mut code = Code::default();
    prologue(&rules, &mut code);
    let mut rest = rules.as_slice();
    while let Some(last) = rest.last() {
        let start = rest.iter().rposition(|rule| rule.allow != last.allow).map_or(0, |at| at + 1);
        let (before, run) = rest.split_at_checked(start).unwrap_or_default();
        emit_run(run, last.allow, &mut code);
        rest = before;
    }
    // Falls through to the default; the verifier refuses code that nothing can reach.
    for allow in [default_allow, !default_allow] {
        let jumps = std::mem::take(if allow { &mut code.to_allow } else { &mut code.to_deny });
        if allow == default_allow || !jumps.is_empty() {
            code.land(&jumps);
            code.push(MOV64_IMM, (VERDICT, 0), 0, u32::from(allow));
            code.push(EXIT, (0, 0), 0, 0);
        }
    }
    Some(code.insns)
}

fn prologue(rules: &[DeviceRule], code: &mut Code) {
    let uses_kind = rules.iter().any(|rule| rule.kind != DeviceKind::Any);
    let uses_need = rules.iter().any(|rule| rule.access != Access::ALL);
    if rules.iter().any(|rule| rule.major.is_some()) {
        code.push(LDX_W, (MAJOR, CONTEXT), 4, 0);
    }
    if rules.iter().any(|rule| rule.minor.is_some()) {
        code.push(LDX_W, (MINOR, CONTEXT), 8, 0);
    }
    if uses_kind || uses_need {
        code.push(LDX_W, (KIND, CONTEXT), 0, 0); // access << 16 | kind
    }
    if uses_need {
        code.push(MOV32_REG, (NEED, KIND), 0, 0);
        code.push(RSH32_IMM, (NEED, 0), 0, 16);
    }
    if uses_kind {
        code.push(AND32_IMM, (KIND, 0), 0, 0xffff);
    }
}

fn emit_run(run: &[DeviceRule], allow: bool, code: &mut Code) {
    for kind in [DeviceKind::Char, DeviceKind::Block, DeviceKind::Any] {
        let rules: Vec<&DeviceRule> = run.iter().filter(|rule| rule.kind == kind).collect();
        if rules.is_empty() {
            continue;
        }
        let all = |rule: &&&DeviceRule| rule.access == Access::ALL;
        if let Some(number) = kind_number(kind)
            && rules.iter().filter(all).any(|rule| rule.major.is_none() && rule.minor.is_none())
        {
            code.decide(allow, JEQ32_IMM, KIND, number);
            continue;
        }
        let other_kind = kind_number(kind).map(|number| code.jump(JNE32_IMM, KIND, number));
        let whole: Vec<&DeviceRule> = rules.iter().filter(all).copied().collect();
        emit_whole(&whole, allow, code);
        for rule in rules.iter().filter(|rule| rule.access != Access::ALL) {
            emit_part(rule, allow, code);
        }
        code.land(other_kind.as_slice());
    }
}

/// Rules for all rights of one kind of device: the first match decides everything.
fn emit_whole(rules: &[&DeviceRule], allow: bool, code: &mut Code) {
    let mut minors_of: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for rule in rules {
        match (rule.major, rule.minor) {
            (Some(major), Some(minor)) => minors_of.entry(major).or_default().push(minor),
            (Some(major), None) => code.decide(allow, JEQ32_IMM, MAJOR, major),
            (None, Some(minor)) => code.decide(allow, JEQ32_IMM, MINOR, minor),
            (None, None) => {} // is_total() or decided by kind
        }
    }
    for (major, mut minors) in minors_of {
        minors.sort_unstable();
        let other_major = code.jump(JNE32_IMM, MAJOR, major);
        for (low, high) in intervals(&minors) {
            if low == high {
                code.decide(allow, JEQ32_IMM, MINOR, low);
            } else if low == 0 {
                code.decide(allow, JLE32_IMM, MINOR, high);
            } else {
                let below = code.jump(JLT32_IMM, MINOR, low);
                code.decide(allow, JLE32_IMM, MINOR, high);
                code.land(&[below]);
            }
        }
        code.land(&[other_major]);
    }
}

/// Sorted numbers as inclusive intervals.
fn intervals(numbers: &[u32]) -> Vec<(u32, u32)> {
    let mut list: Vec<(u32, u32)> = Vec::new();
    for number in numbers.iter().copied() {
        match list.last_mut() {
            Some((_, high)) if number <= high.saturating_add(1) => *high = number,
            _ => list.push((number, number)),
        }
    }
    list
}

/// A rule for some rights: takes them from what is still to be decided.
fn emit_part(rule: &DeviceRule, allow: bool, code: &mut Code) {
    let mut other = Vec::new();
    if let Some(major) = rule.major {
        other.push(code.jump(JNE32_IMM, MAJOR, major));
    }
    if let Some(minor) = rule.minor {
        other.push(code.jump(JNE32_IMM, MINOR, minor));
    }
    let rights = u32::from(rule.access.0);
    if allow {
        code.push(AND32_IMM, (NEED, 0), 0, !rights);
        code.decide(true, JEQ32_IMM, NEED, 0);
    } else {
        code.decide(false, JSET32_IMM, NEED, rights);
    }
    code.land(&other);
}

#[cfg(test)]
mod tests;
