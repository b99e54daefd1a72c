//! Tests on arguments as BPF, which knows only 32-bit words.

use super::abi::Width;
use super::program::{ARGS, Compare, Reversed, Target};
use super::rules::{Clause, Relation, Test};

/// How an ABI lays out an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) width: Width,
    pub(super) big_endian: bool,
}

impl View {
    /// Offset of the lower half of argument `arg` in `struct seccomp_data`, in bytes.
    fn low(self, arg: u8) -> u32 {
        ARGS + 8 * u32::from(arg) + if self.big_endian { 4 } else { 0 }
    }

    fn high(self, arg: u8) -> u32 {
        ARGS + 8 * u32::from(arg) + if self.big_endian { 0 } else { 4 }
    }
}

const fn low(value: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is asked for")]
    let half = value as u32;
    half
}

const fn high(value: u64) -> u32 {
    low(value >> 32)
}

/// `value` as an argument of 32 bits can equal it: small, or a negative number written as 64 bits.
fn narrow(value: u64) -> Option<u32> {
    let negative = high(value) == u32::MAX && low(value).cast_signed() < 0;
    (high(value) == 0 || negative).then_some(low(value))
}

/// Tries `clauses` in order; when none holds, goes to `otherwise`.
pub(super) fn emit(
    program: &mut Reversed,
    clauses: &[&Clause],
    otherwise: Target,
    view: View,
) -> Target {
    let mut next = otherwise;
    let mut rest = clauses;
    while let Some((last, before)) = rest.split_last() {
        let run = if one_value(last, view).is_some() {
            1 + before.iter().rev().take_while(|clause| same_list(clause, last, view)).count()
        } else {
            1
        };
        let (before, run) = rest.split_at(rest.len() - run);
        next = if run.len() > 1 {
            emit_list(program, run, next, view)
        } else {
            last.tests.iter().rev().fold(Target::Return(last.action), |yes, test| {
                emit_test(program, *test, view, yes, next)
            })
        };
        rest = before;
    }
    next
}

/// Argument and value of a clause which is nothing but "equals".
fn one_value(clause: &Clause, view: View) -> Option<(u8, u64)> {
    match *clause.tests.as_slice() {
        [Test { arg, relation: Relation::Equal { mask: u64::MAX, value }, negate: false }] => {
            match view.width {
                Width::Bits64 => Some((arg, value)),
                Width::Bits32 => narrow(value).map(|value| (arg, u64::from(value))),
            }
        }
        _ => None,
    }
}

fn same_list(a: &Clause, b: &Clause, view: View) -> bool {
    match (one_value(a, view), one_value(b, view)) {
        (Some((arg_a, a_value)), Some((arg_b, b_value))) => {
            arg_a == arg_b && high(a_value) == high(b_value) && a.action == b.action
        }
        _ => false,
    }
}

/// One argument against several values with one upper half, loaded once.
fn emit_list(program: &mut Reversed, run: &[&Clause], no: Target, view: View) -> Target {
    let values = run.iter().filter_map(|clause| one_value(clause, view));
    let Some((arg, first)) = values.clone().next() else { return no };
    let Some(yes) = run.first().map(|clause| Target::Return(clause.action)) else { return no };
    if yes == no {
        return no;
    }
    let found = values
        .rev()
        .fold(no, |other, (_, value)| program.branch(Compare::Equal(low(value)), yes, other));
    let found = program.load(view.low(arg), u32::MAX, found);
    match view.width {
        Width::Bits32 => found,
        Width::Bits64 => word(program, view.high(arg), (u32::MAX, high(first)), found, no),
    }
}

fn emit_test(program: &mut Reversed, test: Test, view: View, yes: Target, no: Target) -> Target {
    let (yes, no) = if test.negate { (no, yes) } else { (yes, no) };
    if yes == no {
        return yes;
    }
    match view.width {
        Width::Bits32 => emit_narrow(program, test, view, yes, no),
        Width::Bits64 => emit_wide(program, test, view, yes, no),
    }
}

/// An argument of 32 bits: its upper half counts as zero whatever a register holds there.
fn emit_narrow(program: &mut Reversed, test: Test, view: View, yes: Target, no: Target) -> Target {
    let offset = view.low(test.arg);
    let (compare, value) = match test.relation {
        Relation::Equal { mask, value } => {
            return match narrow(value) {
                Some(value) => word(program, offset, (low(mask), value & low(mask)), yes, no),
                None => no,
            };
        }
        Relation::AtLeast(0) => return yes,
        Relation::AtLeast(value) => (Compare::AtLeast(low(value)), value),
        Relation::Above(value) => (Compare::Above(low(value)), value),
    };
    match narrow(value) {
        Some(_) => {
            let answer = program.branch(compare, yes, no);
            program.load(offset, u32::MAX, answer)
        }
        None => no,
    }
}

fn emit_wide(program: &mut Reversed, test: Test, view: View, yes: Target, no: Target) -> Target {
    let (low_offset, high_offset) = (view.low(test.arg), view.high(test.arg));
    // First the lower half, which decides when the upper halves are equal.
    let (value, low_answer) = match test.relation {
        Relation::Equal { mask, value } => {
            let low_answer = word(program, low_offset, (low(mask), low(value)), yes, no);
            return word(program, high_offset, (high(mask), high(value)), low_answer, no);
        }
        Relation::AtLeast(0) => return yes,
        Relation::Above(u64::MAX) => return no,
        Relation::AtLeast(value) if low(value) == 0 => (value, yes),
        Relation::AtLeast(value) => {
            let answer = program.branch(Compare::AtLeast(low(value)), yes, no);
            (value, program.load(low_offset, u32::MAX, answer))
        }
        Relation::Above(value) => {
            let answer = program.branch(Compare::Above(low(value)), yes, no);
            (value, program.load(low_offset, u32::MAX, answer))
        }
    };
    let answer = if high(value) == 0 {
        program.branch(Compare::Equal(0), low_answer, yes)
    } else {
        let not_above = program.branch(Compare::Equal(high(value)), low_answer, no);
        program.branch(Compare::Above(high(value)), yes, not_above)
    };
    program.load(high_offset, u32::MAX, answer)
}

/// `word & mask == value` for one half.
fn word(
    program: &mut Reversed,
    offset: u32,
    (mask, value): (u32, u32),
    yes: Target,
    no: Target,
) -> Target {
    if mask == 0 || yes == no {
        return if value == 0 { yes } else { no };
    }
    if value == 0 && mask != u32::MAX {
        let answer = program.branch(Compare::AnyBit(mask), no, yes);
        return program.load(offset, u32::MAX, answer);
    }
    let answer = program.branch(Compare::Equal(value), yes, no);
    program.load(offset, mask, answer)
}
