//! `linux.seccomp` compiled to a classic BPF program.
//!
//! Pure: nothing is loaded here. The choices, and where they differ from libseccomp and runc,
//! stand in docs/decisions/0002-seccomp-compiler.md.

mod abi;
mod compare;
mod judge;
mod numbers;
mod program;
pub(crate) mod raw;
mod rules;
#[cfg(test)]
mod tests;

use super::Extensions;
use super::annotations::{self, SECCOMP_RECEIVER};
use crate::error::OrHint as _;
use abi::{Abi, Column, Family, Multiplexer, X32_BIT};
use anyhow::{Result, anyhow, bail, ensure};
use compare::View;
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompFilterFlag as Flag};
use program::{Compare, KILL_THREAD, Numbers, Reversed, Target};
use rules::{Clause, RET_ERRNO, Rules};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `struct sock_filter` of linux/filter.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Insn {
    pub(crate) code: u16,
    pub(crate) jt: u8,
    pub(crate) jf: u8,
    pub(crate) k: u32,
}

/// What `seccomp(2)` needs.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) program: Vec<Insn>,
    /// `SECCOMP_FILTER_FLAG_*`, without
    /// `NEW_LISTENER`: whoever loads a filter with `notify` set
    /// adds it.
    pub(crate) flags: u32,
    /// Set when a rule's action is `SCMP_ACT_NOTIFY`.
    pub(crate) notify: Option<Notify>,
    /// What a person may want to know and an engine does not: each begins with its field.
    pub(crate) warnings: Vec<String>,
}

/// Where the notification descriptor goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notify {
    /// `linux.seccomp.listenerPath`, an absolute path of a socket on the host.
    pub(crate) listener_path: PathBuf,
    /// It was named by [`SECCOMP_RECEIVER`].
    #[serde(default)]
    pub(crate) by_annotation: bool,
    /// `linux.seccomp.listenerMetadata`.
    pub(crate) metadata: Option<String>,
    /// The filter asks the agent about wait4(2), too, which init needs before there is one.
    pub(crate) wait_is_notified: bool,
}

impl Notify {
    /// Who named the socket, for errors.
    pub(crate) fn field(&self) -> String {
        if self.by_annotation {
            annotations::field(SECCOMP_RECEIVER)
        } else {
            "linux.seccomp.listenerPath".into()
        }
    }
}

/// `BPF_MAXINSNS` of `linux/bpf_common.h`.
const MAX_INSNS: usize = 4096;

const ENOSYS: u32 = 38;
const HIDDEN: Target = Target::Return(RET_ERRNO | ENOSYS);

// `SECCOMP_FILTER_FLAG_*` of linux/seccomp.h.
const FLAG_TSYNC: u32 = 1 << 0;
const FLAG_LOG: u32 = 1 << 1;
const FLAG_SPEC_ALLOW: u32 = 1 << 2;
const FLAG_TSYNC_ESRCH: u32 = 1 << 4;
const FLAG_WAIT_KILLABLE_RECV: u32 = 1 << 5;

/// Values of `linux.seccomp` which [`compile`] knows, for `rt features`.
pub(crate) const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];
pub(crate) const OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];
/// With the bit of `seccomp(2)`, by which the loader asks the kernel whether it knows the flag.
pub(crate) const FLAGS: [(&str, u32); 4] = [
    ("SECCOMP_FILTER_FLAG_LOG", FLAG_LOG),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", FLAG_SPEC_ALLOW),
    ("SECCOMP_FILTER_FLAG_TSYNC", FLAG_TSYNC),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", FLAG_WAIT_KILLABLE_RECV),
];

/// The architectures whose calls a filter made by this program can tell apart, sorted.
pub(crate) fn known_archs() -> Vec<String> {
    let mut archs: Vec<String> = abi::NATIVE.abis.iter().map(|abi| abi.arch.to_string()).collect();
    archs.sort();
    archs
}

/// Compiles `linux.seccomp` for the machine this program was built for.
///
/// `None` when everything is allowed and no rule says otherwise.
///
/// # Errors
/// An invalid value, named by its field; a program longer than the kernel takes.
pub(crate) fn compile(spec: &LinuxSeccomp, extensions: &Extensions) -> Result<Option<Filter>> {
    compile_for(spec, extensions, abi::NATIVE)
}

fn compile_for(
    spec: &LinuxSeccomp,
    extensions: &Extensions,
    family: &Family,
) -> Result<Option<Filter>> {
    let mut rules = rules::read(spec, extensions.fail_unknown_syscall)?;
    let flags = flags(spec, &mut rules)?;
    let mut notify = listener(Some(spec), extensions, rules.notifies)?;
    if rules.clauses.is_empty() && rules.default == RET_ALLOW {
        return Ok(None);
    }
    let abis = wanted_abis(spec, family);
    let program = emit(&mut rules, &abis, family.big_endian);
    if program.len() > MAX_INSNS {
        bail!(
            "linux.seccomp: the rules need more than the {MAX_INSNS} instructions the kernel \
             takes; use fewer conditions on arguments or fewer architectures"
        );
    }
    if let Some(notify) = &mut notify {
        notify.wait_is_notified =
            asks_about_wait(&program, abis.first().copied(), family.big_endian)?;
    }
    Ok(Some(Filter { program, flags, notify, warnings: rules.warnings }))
}

/// `SECCOMP_RET_ALLOW` of linux/seccomp.h.
const RET_ALLOW: u32 = 0x7fff_0000;

fn flags(spec: &LinuxSeccomp, rules: &mut Rules) -> Result<u32> {
    let notifies = rules.notifies;
    let Some(list) = spec.flags() else {
        // Absent is not empty: runc's default, because the mitigation this flag turns off costs
        // every container much and guards programs which hold no secrets of others.
        return Ok(FLAG_SPEC_ALLOW);
    };
    let mut flags = 0;
    for (index, flag) in list.iter().enumerate() {
        flags |= match flag {
            Flag::SeccompFilterFlagLog => FLAG_LOG,
            Flag::SeccompFilterFlagSpecAllow => FLAG_SPEC_ALLOW,
            // With a listener the kernel takes TSYNC only together with TSYNC_ESRCH, as both
            // results want the return value.
            Flag::SeccompFilterFlagTsync if notifies => FLAG_TSYNC | FLAG_TSYNC_ESRCH,
            Flag::SeccompFilterFlagTsync => FLAG_TSYNC,
            Flag::SeccompFilterFlagWaitKillableRecv if notifies => FLAG_WAIT_KILLABLE_RECV,
            // seccomp(2) refuses it without a listener. runc leaves it out, and profiles for all
            // kinds of containers rely on that.
            Flag::SeccompFilterFlagWaitKillableRecv => {
                rules.warnings.push(format!(
                    "linux.seccomp.flags[{index}]: {flag} has no effect without a rule with \
                     SCMP_ACT_NOTIFY"
                ));
                0
            }
        };
    }
    Ok(flags)
}

/// The socket and the metadata, when a rule notifies. Whether wait4(2) is notified is found out later.
fn listener(
    spec: Option<&LinuxSeccomp>,
    extensions: &Extensions,
    notifies: bool,
) -> Result<Option<Notify>> {
    let path = spec.and_then(|spec| spec.listener_path().as_ref());
    let path = path.filter(|path| !path.as_os_str().is_empty());
    let by_annotation = path.is_none();
    let path = path.or(extensions.seccomp_receiver.as_ref());
    let metadata = spec.and_then(|spec| spec.listener_metadata().as_ref());
    let metadata = metadata.filter(|metadata| !metadata.is_empty());
    match (path, metadata) {
        (None, _) if notifies => {
            bail!("linux.seccomp.listenerPath: is missing, and a rule's action is SCMP_ACT_NOTIFY")
        }
        (None, Some(_)) => {
            bail!("linux.seccomp.listenerMetadata: is set without linux.seccomp.listenerPath")
        }
        (Some(path), metadata) if notifies => {
            ensure!(
                path.is_absolute(),
                "linux.seccomp.listenerPath: {:?} is not absolute",
                path.display()
            );
            super::no_nul("linux.seccomp.listenerPath", path.as_os_str().as_encoded_bytes())?;
            Ok(Some(Notify {
                listener_path: path.clone(),
                by_annotation,
                metadata: metadata.cloned(),
                wait_is_notified: false,
            }))
        }
        _ => Ok(None),
    }
}

/// `SECCOMP_RET_*` of linux/seccomp.h.
const RET_NOTIFY: u32 = 0x7fc0_0000;
const RET_LOG: u32 = 0x7ffc_0000;

/// Init waits, under the filter, until the agent has the descriptor. True when the filter asks the
/// agent about that; see docs/decisions/0013-seccomp-notify.md.
fn asks_about_wait(program: &[Insn], native: Option<&Abi>, big_endian: bool) -> Result<bool> {
    let number = |abi: &Abi| abi::call("wait4").and_then(|call| abi::number(call, abi));
    let action = native.and_then(|abi| {
        let call = judge::Call { nr: number(abi)?, arch: abi.audit, args: WAIT4 };
        judge::judge(program, &call, big_endian)
    });
    match action {
        Some(RET_ALLOW | RET_LOG) => Ok(false),
        Some(RET_NOTIFY) => Ok(true),
        Some(_) | None => {
            Err(anyhow!("linux.seccomp.syscalls: SCMP_ACT_NOTIFY needs wait4, which is forbidden"))
                .hint("add wait4 to a rule with SCMP_ACT_ALLOW, or to one with SCMP_ACT_NOTIFY")
        }
    }
}

/// The arguments of wait4(2) with which init waits; a rule may test them. (The second is an
/// address.)
const WAIT4: [u64; 6] = [u64::MAX, 0, 0, 0, 0, 0];

/// The native ABI and what the profile adds. Another family's calls cannot occur here, so its
/// architectures take no instruction.
fn wanted_abis<'a>(spec: &LinuxSeccomp, family: &'a Family) -> Vec<&'a Abi> {
    let listed = spec.architectures().as_deref().unwrap_or_default();
    family
        .abis
        .iter()
        .enumerate()
        .filter(|(index, abi)| *index == 0 || listed.contains(&abi.arch))
        .map(|(_, abi)| abi)
        .collect()
}

/// The whole program: dispatch on the architecture, a search over the number for each, and the
/// tests on arguments behind it.
fn emit(rules: &mut Rules, abis: &[&Abi], big_endian: bool) -> Vec<Insn> {
    let mut program = Reversed::with_capacity(512);
    // An ABI the profile does not list could bypass every rule: kill, as libseccomp does.
    let mut dispatch = Vec::with_capacity(abis.len());
    let mut rest = abis;
    while let Some((last, before)) = rest.split_last() {
        let same = before.iter().rev().take_while(|abi| abi.audit == last.audit).count();
        let (before, block) = rest.split_at(before.len() - same);
        dispatch.push((last.audit, emit_block(&mut program, rules, block, big_endian)));
        rest = before;
    }
    let start = dispatch.into_iter().fold(Target::Return(KILL_THREAD), |other, (audit, block)| {
        program.branch(Compare::Equal(audit), block, other)
    });
    let start = program.load(program::ARCH, u32::MAX, start);
    program.finish(start)
}

/// The calls of the ABIs which share one `seccomp_data.arch`.
fn emit_block(
    program: &mut Reversed,
    rules: &mut Rules,
    block: &[&Abi],
    big_endian: bool,
) -> Target {
    let mut numbers = Numbers::default();
    for abi in block {
        let view = View { width: abi.width, big_endian };
        let calls = Calls::new(rules, abi);
        calls.add_to(&mut numbers, program, rules, view);
        if abi.column == Column::X86_64 && block.len() == 1 {
            numbers.from(X32_BIT, Target::Return(KILL_THREAD));
            // -1 is no x32 call: a tracer writes it to skip a call.
            numbers.from(u32::MAX, Target::Return(rules.default));
        }
    }
    let search = numbers.emit(program);
    program.load(program::NR, u32::MAX, search)
}

/// The calls of one ABI that clauses speak of.
struct Calls<'a> {
    abi: &'a Abi,
    default: u32,
    /// Number and index of a clause, sorted.
    clauses: Vec<(u32, usize)>,
    /// The highest number any rule names, when calls above it are to fail with ENOSYS.
    newest: Option<u32>,
}

impl<'a> Calls<'a> {
    fn new(rules: &Rules, abi: &'a Abi) -> Self {
        let number_of = |mux: Multiplexer| abi::call(mux.name()).and_then(|c| abi::number(c, abi));
        let socketcall = number_of(Multiplexer::Socketcall);
        let ipc = number_of(Multiplexer::Ipc);
        let mut clauses = Vec::with_capacity(rules.named.len() + 64);
        let mut newest = None;
        for named in &rules.named {
            if let Some(number) = abi::number(named.call, abi) {
                if abi.column != Column::Arm || number < abi::ARM_PRIVATE {
                    newest = newest.max(Some(number));
                }
                clauses.extend(named.clauses.clone().map(|clause| (number, clause)));
            }
            if let Some((multiplexed, clause)) = named.multiplexed {
                let through = match multiplexed.through {
                    Multiplexer::Socketcall => socketcall,
                    Multiplexer::Ipc => ipc,
                };
                clauses.extend(through.map(|number| (number, clause)));
            }
        }
        clauses.sort_unstable();
        Self { abi, default: rules.default, clauses, newest: newest.filter(|_| rules.hide_newer) }
    }

    fn add_to(&self, numbers: &mut Numbers, program: &mut Reversed, rules: &mut Rules, view: View) {
        let default = Target::Return(self.default);
        let mut next = if self.abi.column == Column::X32 { X32_BIT } else { 0 };
        let mut ended = false;
        numbers.from(next, default);
        if self.newest.is_some() && matches!(self.abi.column, Column::S390x | Column::S390) {
            // s390 passes numbers its `svc` cannot hold in a register, as call 0; the kernel
            // leaves 0 there when it does not know the number. The real call 0 is long gone.
            numbers.from(0, HIDDEN);
            numbers.from(1, default);
            next = 1;
        }
        let mut decided: Vec<(Decision, Target)> = Vec::new();
        for group in self.clauses.chunk_by(|a, b| a.0 == b.0) {
            let Some(&(number, _)) = group.first() else { continue };
            if number < next {
                continue;
            }
            if self.is_private(number) && !ended {
                self.end(numbers);
                ended = true;
            }
            let to = match entire(rules, group) {
                Some(action) => Target::Return(action),
                None => {
                    let decision = decide(rules, group);
                    let known = decided.iter().find(|(known, _)| *known == decision);
                    let known = known.map(|(_, to)| *to);
                    known.unwrap_or_else(|| {
                        let to = decision.emit(program, rules, view);
                        decided.push((decision, to));
                        to
                    })
                }
            };
            numbers.from(number, to);
            next = number + 1;
            numbers.from(next, default);
        }
        if !ended {
            self.end(numbers);
        }
    }

    /// Hides what is newer than the profile. ARM's private calls are not: they are as old as EABI.
    fn end(&self, numbers: &mut Numbers) {
        if let Some(newest) = self.newest {
            numbers.from(newest + 1, HIDDEN);
            if self.abi.column == Column::Arm {
                numbers.from(abi::ARM_PRIVATE, Target::Return(self.default));
            }
        }
    }

    fn is_private(&self, number: u32) -> bool {
        self.abi.column == Column::Arm && number >= abi::ARM_PRIVATE
    }
}

/// What happens to one call: the first clause which holds, or `otherwise`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Decision {
    clauses: Vec<usize>,
    otherwise: u32,
}

impl Decision {
    fn emit(&self, program: &mut Reversed, rules: &Rules, view: View) -> Target {
        let clauses: Vec<&Clause> =
            self.clauses.iter().filter_map(|index| rules.clauses.get(*index)).collect();
        compare::emit(program, &clauses, Target::Return(self.otherwise), view)
    }
}

/// The action of the usual case, one clause without conditions: nothing to settle or to allocate.
fn entire(rules: &Rules, group: &[(u32, usize)]) -> Option<u32> {
    let &[(_, index)] = group else { return None };
    rules.clauses.get(index).filter(|clause| clause.tests.is_empty()).map(|clause| clause.action)
}

/// Settles what several clauses for one number mean.
///
/// The first clause without conditions wins over all others, as in libseccomp; among clauses with
/// conditions the strictest which holds.
fn decide(rules: &mut Rules, group: &[(u32, usize)]) -> Decision {
    let clause = |(_, index): &(u32, usize)| rules.clauses.get(*index).map(|c| (*index, c));
    let winner = group.iter().filter_map(clause).find(|(_, clause)| clause.tests.is_empty());
    let mut clauses: Vec<(usize, &Clause)> =
        group.iter().filter_map(clause).filter(|(_, clause)| !clause.tests.is_empty()).collect();
    let mut otherwise = rules.default;
    let mut warnings = Vec::new();
    if let Some((winner_index, winner)) = winner {
        otherwise = winner.action;
        // Forbidding `socket` holds against allowing all of `socketcall`.
        let stricter = |clause: &Clause| {
            clause.selects_call && rules::leniency(clause.action) < rules::leniency(otherwise)
        };
        let loses = |(index, loser): &(usize, &Clause)| {
            *index != winner_index && loser.action != otherwise && !stricter(loser)
        };
        for (_, loser) in group.iter().filter_map(clause).filter(loses) {
            warnings.push(format!(
                "linux.seccomp.syscalls[{}]: has no effect on a system call which \
                 linux.seccomp.syscalls[{}] names without conditions",
                loser.rule, winner.rule
            ));
        }
        clauses.retain(|(_, clause)| stricter(clause));
    }
    clauses.sort_by_key(|(_, clause)| rules::leniency(clause.action));
    let clauses = clauses.into_iter().map(|(index, _)| index).collect();
    for warning in warnings {
        if !rules.warnings.contains(&warning) {
            rules.warnings.push(warning);
        }
    }
    Decision { clauses, otherwise }
}
