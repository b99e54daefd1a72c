//! A classic BPF machine as strict as the kernel's checker.

use crate::plan::seccomp::Insn;

#[derive(Clone, Copy, Debug)]
pub(super) struct Data {
    pub(super) nr: u32,
    pub(super) arch: u32,
    pub(super) args: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32, big_endian: bool) -> u32 {
        match offset {
            0 => self.nr,
            4 => self.arch,
            16..64 if offset.is_multiple_of(4) => {
                let arg = self.args[(offset as usize - 16) / 8];
                let upper = offset.is_multiple_of(8) == big_endian;
                u32::try_from(if upper { arg >> 32 } else { arg & 0xffff_ffff }).unwrap()
            }
            _ => panic!("load from {offset}"),
        }
    }
}

/// Refuses what seccomp(2) would refuse.
pub(super) fn check(program: &[Insn]) {
    assert!((1..=4096).contains(&program.len()), "{} instructions", program.len());
    assert_eq!(program.last().unwrap().code, 0x06, "does not end with a return");
    for (at, insn) in program.iter().enumerate() {
        let rest = program.len() - at - 1;
        match insn.code {
            0x20 => assert!(insn.k < 64 && insn.k.is_multiple_of(4)),
            0x54 | 0x06 => {}
            0x05 => assert!((insn.k as usize) < rest, "jump out of the program at {at}"),
            0x15 | 0x25 | 0x35 | 0x45 => {
                let farthest = usize::from(insn.jt.max(insn.jf));
                assert!(farthest < rest, "jump out of the program at {at}");
            }
            code => panic!("opcode {code:#x} at {at}"),
        }
    }
}

/// What the program returns, and after how many instructions.
pub(super) fn run(program: &[Insn], data: &Data, big_endian: bool) -> (u32, usize) {
    let (mut accumulator, mut at, mut steps) = (0, 0, 0);
    loop {
        let insn = program[at];
        at += 1;
        steps += 1;
        let holds = match insn.code {
            0x20 => {
                accumulator = data.word(insn.k, big_endian);
                continue;
            }
            0x54 => {
                accumulator &= insn.k;
                continue;
            }
            0x05 => {
                at += insn.k as usize;
                continue;
            }
            0x06 => return (insn.k, steps),
            0x15 => accumulator == insn.k,
            0x25 => accumulator > insn.k,
            0x35 => accumulator >= insn.k,
            0x45 => accumulator & insn.k != 0,
            code => panic!("opcode {code:#x}"),
        };
        at += usize::from(if holds { insn.jt } else { insn.jf });
    }
}
