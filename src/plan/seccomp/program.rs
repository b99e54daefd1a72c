//! Classic BPF, written backwards: every jump goes forward, so its target is emitted first.

use super::{Insn, MAX_INSNS};

/// `SECCOMP_RET_*` of linux/seccomp.h.
pub(super) const KILL_THREAD: u32 = 0;

/// Offsets into `struct seccomp_data`, in bytes.
pub(super) const NR: u32 = 0;
pub(super) const ARCH: u32 = 4;
pub(super) const ARGS: u32 = 16;

// Opcodes of linux/bpf_common.h.
pub(super) const LD_W_ABS: u16 = 0x20;
pub(super) const ALU_AND_K: u16 = 0x54;
pub(super) const JMP_JA: u16 = 0x05;
pub(super) const JMP_JEQ_K: u16 = 0x15;
pub(super) const JMP_JGT_K: u16 = 0x25;
pub(super) const JMP_JGE_K: u16 = 0x35;
pub(super) const JMP_JSET_K: u16 = 0x45;
pub(super) const RET_K: u16 = 0x06;

/// Farthest a conditional jump may lie from its target. The field holds 255; the rest is room for
/// what reaching the *other* target may put in between.
const REACH: usize = 253;

/// Where control goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Leave the filter with this value.
    Return(u32),
    /// Go on with the instruction that was emitted as the n-th.
    At(usize),
}

/// The question a conditional jump asks of the accumulator.
#[derive(Clone, Copy, Debug)]
pub(super) enum Compare {
    Equal(u32),
    Above(u32),
    AtLeast(u32),
    AnyBit(u32),
}

/// A program from its last instruction to its first.
#[derive(Debug, Default)]
pub(super) struct Reversed {
    insns: Vec<Insn>,
    /// The copy of a return, or the relay to a far instruction, which was emitted last.
    nearest: Vec<(Target, usize)>,
}

impl Reversed {
    pub(super) fn with_capacity(insns: usize) -> Self {
        Self { insns: Vec::with_capacity(insns), nearest: Vec::with_capacity(16) }
    }

    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> usize {
        self.insns.push(Insn { code, jt, jf, k });
        self.insns.len() - 1
    }

    /// Instructions between `position` and the one to be emitted next.
    fn distance(&self, position: usize) -> usize {
        self.insns.len() - 1 - position
    }

    /// An instruction within reach which leads to `target`; emits one when there is none.
    ///
    /// That is safe anywhere: the instruction in front is always a jump with two explicit targets,
    /// so nothing falls into it.
    fn near(&mut self, target: Target) -> usize {
        // Too long already and so refused later: do not let a hostile profile make this quadratic.
        let lost = self.insns.len() > MAX_INSNS;
        let search = if lost { &[] } else { self.nearest.as_slice() };
        let known = search.iter().position(|(to, _)| *to == target);
        let position = match (known.and_then(|i| self.nearest.get(i)), target) {
            (Some((_, position)), _) => Some(*position),
            (None, Target::At(position)) => Some(position),
            (None, Target::Return(_)) => None,
        };
        match position {
            Some(position) if self.distance(position) <= REACH => return position,
            _ => {}
        }
        let position = match target {
            Target::Return(value) => self.push(RET_K, 0, 0, value),
            Target::At(far) => {
                // Program length is checked against 4096 at the end, so this cannot be cut.
                let skip = u32::try_from(self.distance(far)).unwrap_or(u32::MAX);
                self.push(JMP_JA, 0, 0, skip)
            }
        };
        match known.and_then(|i| self.nearest.get_mut(i)) {
            Some(entry) => entry.1 = position,
            None => self.nearest.push((target, position)),
        }
        position
    }

    /// Asks `compare` of the accumulator. No instruction when the answer does not matter.
    pub(super) fn branch(&mut self, compare: Compare, yes: Target, no: Target) -> Target {
        if yes == no {
            return yes;
        }
        let yes = self.near(yes);
        let no = self.near(no);
        let (code, k) = match compare {
            Compare::Equal(k) => (JMP_JEQ_K, k),
            Compare::Above(k) => (JMP_JGT_K, k),
            Compare::AtLeast(k) => (JMP_JGE_K, k),
            Compare::AnyBit(k) => (JMP_JSET_K, k),
        };
        // REACH + 1 is below 256.
        let jt = u8::try_from(self.distance(yes)).unwrap_or(u8::MAX);
        let jf = u8::try_from(self.distance(no)).unwrap_or(u8::MAX);
        Target::At(self.push(code, jt, jf, k))
    }

    /// Loads the word at `offset` of `struct seccomp_data`, keeps the bits of `mask`, goes to
    /// `then`. Nothing needs loading for a return.
    pub(super) fn load(&mut self, offset: u32, mask: u32, then: Target) -> Target {
        let Target::At(next) = then else { return then };
        if self.distance(next) != 0 {
            let skip = u32::try_from(self.distance(next)).unwrap_or(u32::MAX);
            self.push(JMP_JA, 0, 0, skip);
        }
        if mask != u32::MAX {
            self.push(ALU_AND_K, 0, 0, mask);
        }
        Target::At(self.push(LD_W_ABS, 0, 0, offset))
    }

    /// The program in the order the kernel runs it, beginning at `start`.
    pub(super) fn finish(mut self, start: Target) -> Vec<Insn> {
        match start {
            Target::Return(value) => {
                self.push(RET_K, 0, 0, value);
            }
            Target::At(first) if self.distance(first) != 0 => {
                let skip = u32::try_from(self.distance(first)).unwrap_or(u32::MAX);
                self.push(JMP_JA, 0, 0, skip);
            }
            Target::At(_) => {}
        }
        self.insns.reverse();
        self.insns
    }
}

/// System call numbers from `start` up to the next interval go to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) start: u32,
    pub(super) to: Target,
}

/// All numbers, as intervals which each differ from their neighbours.
#[derive(Debug, Default)]
pub(super) struct Numbers(Vec<Interval>);

impl Numbers {
    /// From `start` on, unless a later call says otherwise. Starts must not decrease.
    pub(super) fn from(&mut self, start: u32, to: Target) {
        if self.0.last().is_some_and(|last| last.start == start) {
            self.0.pop();
        }
        if self.0.last().is_none_or(|last| last.to != to) {
            self.0.push(Interval { start, to });
        }
    }

    /// Emits the search over the number in the accumulator.
    pub(super) fn emit(&self, program: &mut Reversed) -> Target {
        let mut leaves = Vec::with_capacity(self.0.len());
        let mut rest = self.0.as_slice();
        while !rest.is_empty() {
            let (leaf, after) = rest.split_at(leaf_len(rest));
            leaves.push(leaf);
            rest = after;
        }
        search(program, &leaves)
    }
}

/// Single numbers taken out of one interval by an equality test each: one instruction where two
/// more leaves of the tree would cost two.
const MAX_EXCEPTIONS: usize = 3;

/// Length of the leaf at the start of `intervals`: A, or A b A, A b A c A with single b and c.
fn leaf_len(intervals: &[Interval]) -> usize {
    let mut len = 1;
    while let Some([around, single, next]) =
        intervals.get(len - 1..len + 2).and_then(|s| s.first_chunk())
        && next.start - single.start == 1
        && next.to == around.to
        && len < 2 * MAX_EXCEPTIONS
    {
        len += 2;
    }
    len
}

/// A balanced tree over leaves, in the order of their numbers.
fn search(program: &mut Reversed, leaves: &[&[Interval]]) -> Target {
    let middle = leaves.len() / 2;
    let (low, high) = leaves.split_at(middle);
    match (low, high) {
        ([], [leaf]) => emit_leaf(program, leaf),
        (_, [right, ..]) => {
            let start = right.first().map_or(0, |interval| interval.start);
            let above = search(program, high);
            let below = search(program, low);
            program.branch(Compare::AtLeast(start), above, below)
        }
        // No leaf at all: the caller covers every number, so this cannot be reached.
        (_, []) => Target::Return(KILL_THREAD),
    }
}

fn emit_leaf(program: &mut Reversed, leaf: &[Interval]) -> Target {
    let Some((around, rest)) = leaf.split_first() else { return Target::Return(KILL_THREAD) };
    let singles = rest.iter().step_by(2);
    singles.fold(around.to, |other, single| {
        program.branch(Compare::Equal(single.start), single.to, other)
    })
}
