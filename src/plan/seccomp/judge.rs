//! What a finished program says of one system call, before the kernel is asked.

use super::Insn;
use super::program::{
    ALU_AND_K, ARCH, ARGS, JMP_JA, JMP_JEQ_K, JMP_JGE_K, JMP_JGT_K, JMP_JSET_K, LD_W_ABS, NR, RET_K,
};

/// `struct seccomp_data` of linux/seccomp.h, but for the instruction pointer.
pub(super) struct Call {
    pub(super) nr: u32,
    pub(super) arch: u32,
    pub(super) args: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32, big_endian: bool) -> Option<u32> {
        match offset {
            NR => Some(self.nr),
            ARCH => Some(self.arch),
            _ => {
                let at = offset.checked_sub(ARGS)?;
                let arg = *self.args.get(usize::try_from(at / 8).ok()?)?;
                let upper = at.is_multiple_of(8) == big_endian;
                u32::try_from(if upper { arg >> 32 } else { arg & 0xffff_ffff }).ok()
            }
        }
    }
}

/// The `SECCOMP_RET_*` value. `None` for a program that is not one of ours.
pub(super) fn judge(program: &[Insn], call: &Call, big_endian: bool) -> Option<u32> {
    let mut accumulator = 0;
    let mut at = 0;
    // Every jump goes forward, so this ends.
    while let Some(insn) = program.get(at) {
        at += 1;
        let holds = match insn.code {
            RET_K => return Some(insn.k),
            LD_W_ABS => {
                accumulator = call.word(insn.k, big_endian)?;
                continue;
            }
            ALU_AND_K => {
                accumulator &= insn.k;
                continue;
            }
            JMP_JA => {
                at += usize::try_from(insn.k).ok()?;
                continue;
            }
            JMP_JEQ_K => accumulator == insn.k,
            JMP_JGT_K => accumulator > insn.k,
            JMP_JGE_K => accumulator >= insn.k,
            JMP_JSET_K => accumulator & insn.k != 0,
            _ => return None,
        };
        at += usize::from(if holds { insn.jt } else { insn.jf });
    }
    None
}
