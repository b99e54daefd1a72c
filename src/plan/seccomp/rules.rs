//! `linux.seccomp` checked and reduced to clauses: tests on arguments, and what follows.

use super::abi::{self, Call, Multiplexed};
use crate::error::OrHint as _;
use crate::plan::annotations::FAIL_UNKNOWN_SYSCALL;
use anyhow::{Result, anyhow, bail};
use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompOperator as Operator,
    LinuxSyscall,
};
use std::ops::Range;

const FIELD: &str = "linux.seccomp";

/// Most arguments of a system call.
const MAX_ARGS: usize = 6;

/// errno of `SCMP_ACT_ERRNO` and `SCMP_ACT_TRACE` without `errnoRet`.
const EPERM: u32 = 1;
/// The kernel turns a larger errno into this one (`MAX_ERRNO` of linux/err.h).
const MAX_ERRNO: u32 = 4095;
/// A tracer is told 16 bits (`SECCOMP_RET_DATA`).
const MAX_TRACE_DATA: u32 = 0xffff;

/// `SECCOMP_RET_ERRNO` of linux/seccomp.h.
pub(super) const RET_ERRNO: u32 = 0x0005_0000;
/// `SECCOMP_RET_ACTION_FULL` of linux/seccomp.h.
const ACTION_BITS: u32 = 0xffff_0000;

/// What is compared. `negate` of a test makes the other three of the seven operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// `arg & mask == value`; `value` has no bit outside of `mask`.
    Equal {
        mask: u64,
        value: u64,
    },
    AtLeast(u64),
    Above(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) arg: u8,
    pub(super) relation: Relation,
    pub(super) negate: bool,
}

/// When all `tests` hold, `action` (a `SECCOMP_RET_*` value with its data) is returned.
#[derive(Clone, Debug)]
pub(super) struct Clause {
    pub(super) tests: Vec<Test>,
    pub(super) action: u32,
    /// Index into `linux.seccomp.syscalls`.
    pub(super) rule: usize,
    /// Names one call of a multiplexer, and that call entirely.
    pub(super) selects_call: bool,
}

/// One name of one rule.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) call: Call,
    /// The rule's clauses; empty when the rule says what the default says.
    pub(super) clauses: Range<usize>,
    /// The multiplexer's call number is tested by the clause of this index.
    pub(super) multiplexed: Option<(Multiplexed, usize)>,
}

#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) default: u32,
    /// Answer calls newer than any named one with ENOSYS.
    pub(super) hide_newer: bool,
    pub(super) clauses: Vec<Clause>,
    pub(super) named: Vec<Named>,
    pub(super) notifies: bool,
    /// A name that no system call has is an error.
    fail_unknown: bool,
    pub(super) warnings: Vec<String>,
}

/// Order of the kernel when several filters disagree: the smaller is the stricter.
pub(super) fn leniency(action: u32) -> i32 {
    (action & ACTION_BITS).cast_signed()
}

/// Reads the rules of `spec`.
///
/// # Errors
/// A value the kernel or the specification does not allow; the text begins with the field.
pub(super) fn read(spec: &LinuxSeccomp, fail_unknown: bool) -> Result<Rules> {
    let default_action = spec.default_action();
    if default_action == Action::ScmpActNotify {
        bail!("{FIELD}.defaultAction: SCMP_ACT_NOTIFY can only be the action of a rule");
    }
    let default = action_value(default_action, spec.default_errno_ret(), || {
        format!("{FIELD}.defaultErrnoRet")
    })?;
    let mut rules = Rules {
        default,
        // A tracer or a log sees future calls anyway, and an allowed call answers for itself.
        hide_newer: !matches!(
            default_action,
            Action::ScmpActAllow | Action::ScmpActLog | Action::ScmpActTrace
        ),
        clauses: Vec::new(),
        named: Vec::new(),
        notifies: false,
        fail_unknown,
        warnings: Vec::new(),
    };
    for (index, syscall) in spec.syscalls().iter().flatten().enumerate() {
        rules.add(index, syscall)?;
    }
    Ok(rules)
}

impl Rules {
    fn add(&mut self, rule: usize, syscall: &LinuxSyscall) -> Result<()> {
        let action = action_value(syscall.action(), syscall.errno_ret(), || {
            format!("{FIELD}.syscalls[{rule}].errnoRet")
        })?;
        self.notifies |= syscall.action() == Action::ScmpActNotify;
        let args = syscall.args().as_deref().unwrap_or_default();
        let tests = read_args(rule, args)?;
        let conditional = !tests.is_empty();

        // A rule which says what the default says takes no part, not even against other rules of
        // the same call. Engines count on this of runc.
        let redundant = action == self.default;
        let first = self.clauses.len();
        if !redundant {
            // Two tests of one argument in a rule are alternatives, as are then all its tests.
            // Profiles made before a rule could combine tests mean it so.
            let alternatives = if repeats_an_argument(&tests) {
                tests.into_iter().map(|test| vec![test]).collect()
            } else {
                vec![tests]
            };
            self.clauses.extend(alternatives.into_iter().map(|tests| Clause {
                tests,
                action,
                rule,
                selects_call: false,
            }));
        }
        let clauses = first..self.clauses.len();

        if syscall.names().is_empty() {
            bail!("{FIELD}.syscalls[{rule}].names: is empty; a rule needs a system call");
        }
        for (index, name) in syscall.names().iter().enumerate() {
            if name.is_empty() {
                bail!("{FIELD}.syscalls[{rule}].names[{index}]: is empty");
            }
            let Some(call) = abi::call(name) else {
                let unknown = format!(
                    "{FIELD}.syscalls[{rule}].names[{index}]: no system call is named {name:?}"
                );
                if self.fail_unknown {
                    return Err(anyhow!(unknown)).hint(format!(
                        "correct the name, or remove the annotation {FAIL_UNKNOWN_SYSCALL}"
                    ));
                }
                self.warnings.push(unknown + ": ignored");
                continue;
            };
            let multiplexed = abi::multiplexed(name)
                .filter(|_| !redundant)
                .and_then(|through| self.select(through, action, rule, conditional));
            self.named.push(Named { call, clauses: clauses.clone(), multiplexed });
        }
        Ok(())
    }

    /// Adds the clause for a call made through `socketcall` or `ipc`.
    ///
    /// Its arguments lie in memory there, so a filter cannot test them. What a rule allows under
    /// conditions is then not allowed; what it forbids under conditions is forbidden entirely.
    fn select(
        &mut self,
        through: Multiplexed,
        action: u32,
        rule: usize,
        conditional: bool,
    ) -> Option<(Multiplexed, usize)> {
        if conditional && leniency(action) >= leniency(self.default) {
            return None;
        }
        let relation = Relation::Equal {
            mask: u64::from(through.through.mask()),
            value: u64::from(through.selector),
        };
        self.clauses.push(Clause {
            tests: vec![Test { arg: 0, relation, negate: false }],
            action,
            rule,
            selects_call: !conditional,
        });
        Some((through, self.clauses.len() - 1))
    }
}

fn repeats_an_argument(tests: &[Test]) -> bool {
    let mut seen = 0_u8;
    tests.iter().any(|test| {
        let bit = 1 << test.arg;
        let again = seen & bit != 0;
        seen |= bit;
        again
    })
}

fn read_args(rule: usize, args: &[LinuxSeccompArg]) -> Result<Vec<Test>> {
    args.iter()
        .enumerate()
        .map(|(position, arg)| {
            let index = arg.index();
            match u8::try_from(index) {
                Ok(arg_index) if index < MAX_ARGS => Ok(read_arg(arg_index, arg)),
                _ => bail!(
                    "{FIELD}.syscalls[{rule}].args[{position}].index: {index} is not 0..{}",
                    MAX_ARGS - 1
                ),
            }
        })
        .collect()
}

fn read_arg(index: u8, arg: &LinuxSeccompArg) -> Test {
    let value = arg.value();
    let equal = Relation::Equal { mask: u64::MAX, value };
    let (relation, negate) = match arg.op() {
        Operator::ScmpCmpEq => (equal, false),
        Operator::ScmpCmpNe => (equal, true),
        Operator::ScmpCmpGe => (Relation::AtLeast(value), false),
        Operator::ScmpCmpLt => (Relation::AtLeast(value), true),
        Operator::ScmpCmpGt => (Relation::Above(value), false),
        Operator::ScmpCmpLe => (Relation::Above(value), true),
        // Here `value` is the mask. Bits of the wanted value outside of it are of no account.
        Operator::ScmpCmpMaskedEq => {
            let wanted = arg.value_two().unwrap_or(0);
            (Relation::Equal { mask: value, value: wanted & value }, false)
        }
    };
    Test { arg: index, relation, negate }
}

/// `SECCOMP_RET_*` of linux/seccomp.h, with the errno as its data.
fn action_value(action: Action, errno: Option<u32>, field: impl Fn() -> String) -> Result<u32> {
    let (value, max) = match action {
        Action::ScmpActKill | Action::ScmpActKillThread => (0, None),
        Action::ScmpActKillProcess => (0x8000_0000, None),
        Action::ScmpActTrap => (0x0003_0000, None),
        Action::ScmpActErrno => (RET_ERRNO, Some(MAX_ERRNO)),
        Action::ScmpActNotify => (0x7fc0_0000, None),
        Action::ScmpActTrace => (0x7ff0_0000, Some(MAX_TRACE_DATA)),
        Action::ScmpActLog => (0x7ffc_0000, None),
        Action::ScmpActAllow => (0x7fff_0000, None),
    };
    match (max, errno) {
        (Some(max), Some(errno)) if errno > max => {
            bail!("{}: {errno} is not 0..{max}", field())
        }
        (Some(_), errno) => Ok(value | errno.unwrap_or(EPERM)),
        (None, None) => Ok(value),
        (None, Some(_)) => bail!("{}: {action} takes no errno", field()),
    }
}
