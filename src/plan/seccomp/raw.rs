//! A filter that was compiled elsewhere: base64 of `struct sock_filter`s in native byte order.
//!
//! Pure. Checked as the kernel will (`bpf_check_classic` and `seccomp_check_filter`, linux
//! kernel/seccomp.c), so that a broken program is refused before a container is made, and not with a bare
//! EINVAL when it starts.

use super::program::{JMP_JA, LD_W_ABS, RET_K};
use super::{Filter, Insn, MAX_INSNS, RET_NOTIFY, abi};
use crate::error::OrHint as _;
use crate::plan::Extensions;
use crate::plan::annotations::{self, SECCOMP_BPF};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use oci_spec::runtime::LinuxSeccomp;

/// Bytes of a `struct sock_filter`.
const INSN: usize = 8;
/// Bytes of a `struct seccomp_data`.
const DATA: u32 = 64;
/// `BPF_MEMWORDS` of linux/filter.h.
const MEMORY: u32 = 16;

const RET_A: u16 = 0x16;

/// Decodes and checks a program.
///
/// # Errors
/// What is wrong, and at which byte or instruction.
pub(crate) fn parse(text: &str) -> Result<Vec<Insn>> {
    let bytes = base64(text.as_bytes())?;
    let (insns, rest) = bytes.as_chunks::<INSN>();
    ensure!(
        rest.is_empty() && !insns.is_empty(),
        "{} bytes are no BPF program, whose instructions have {INSN} bytes each",
        bytes.len()
    );
    ensure!(
        insns.len() <= MAX_INSNS,
        "{} instructions; the kernel takes at most {MAX_INSNS}",
        insns.len()
    );
    let program: Vec<Insn> = insns
        .iter()
        .map(|&[a, b, jt, jf, k @ ..]| Insn {
            code: u16::from_ne_bytes([a, b]),
            jt,
            jf,
            k: u32::from_ne_bytes(k),
        })
        .collect();
    for (at, insn) in program.iter().enumerate() {
        check(*insn, program.len() - at - 1).with_context(|| format!("instruction {at}"))?;
    }
    ensure!(
        program.last().is_some_and(|insn| matches!(insn.code, RET_K | RET_A)),
        "the last instruction does not return"
    );
    Ok(program)
}

/// The filter of a checked program. Of `linux.seccomp` only the agent counts, for a program which asks one.
///
/// # Errors
/// It asks an agent, and there is none, or init could not wait for it (see `asks_about_wait`).
pub(crate) fn filter(
    program: &[Insn],
    spec: Option<&LinuxSeccomp>,
    extensions: &Extensions,
) -> Result<Filter> {
    let field = || annotations::field(SECCOMP_BPF);
    let mut notify = super::listener(spec, extensions, notifies(program)).with_context(field)?;
    if let Some(notify) = &mut notify {
        let asks =
            super::asks_about_wait(program, abi::NATIVE.abis.first(), abi::NATIVE.big_endian);
        notify.wait_is_notified = asks.or_else(|_forbidden| {
            Err(anyhow!("{}: asks an agent, and does not plainly allow wait4", field()))
                .hint("allow wait4, by comparing its number with constants")
        })?;
    }
    Ok(Filter { program: program.to_vec(), flags: 0, notify, warnings: Vec::new() })
}

/// May it return `SECCOMP_RET_USER_NOTIF`?
pub(super) fn notifies(program: &[Insn]) -> bool {
    program.iter().any(|insn| insn.code == RET_K && insn.k & 0xffff_0000 == RET_NOTIFY)
}

/// `after` is the number of instructions behind it.
fn check(insn: Insn, after: usize) -> Result<()> {
    let Insn { code, jt, jf, k } = insn;
    let inside = |jump: u32| usize::try_from(jump).is_ok_and(|jump| jump < after);
    match code {
        LD_W_ABS => {
            ensure!(
                k < DATA && k.is_multiple_of(4),
                "loads from offset {k} of struct seccomp_data"
            );
        }
        // ld imm, ld len, ldx imm, ldx len; ret; tax, txa; neg; alu with a register
        0x00 | 0x80 | 0x01 | 0x81 | RET_K | RET_A | 0x07 | 0x87 | 0x84 => {}
        0x0c | 0x1c | 0x2c | 0x3c | 0x4c | 0x5c | 0x6c | 0x7c | 0xac => {}
        // add, sub, mul, or, and, xor with a constant
        0x04 | 0x14 | 0x24 | 0x44 | 0x54 | 0xa4 => {}
        0x34 => ensure!(k != 0, "divides by zero"),
        0x64 | 0x74 => ensure!(k < 32, "shifts by {k} bits"),
        // ld, ldx, st, stx of the scratch memory
        0x60 | 0x61 | 0x02 | 0x03 => ensure!(k < MEMORY, "uses word {k} of {MEMORY}"),
        JMP_JA => ensure!(inside(k), "jumps out of the program"),
        // jeq, jgt, jge, jset with a constant or a register
        0x15 | 0x1d | 0x25 | 0x2d | 0x35 | 0x3d | 0x45 | 0x4d => {
            ensure!(inside(u32::from(jt)) && inside(u32::from(jf)), "jumps out of the program");
        }
        _ => bail!("{code:#04x} is no operation of seccomp filters"),
    }
    Ok(())
}

/// RFC 4648, section 4: with padding, without line breaks.
fn base64(text: &[u8]) -> Result<Vec<u8>> {
    ensure!(
        !text.is_empty() && text.len().is_multiple_of(4),
        "not base64: {} characters",
        text.len()
    );
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    ensure!(padding <= 2, "not base64: {padding} times \"=\" at the end");
    let digits = text.get(..text.len() - padding).unwrap_or_default();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for (at, byte) in digits.iter().enumerate() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => bail!("not base64: byte {byte:#04x} at position {at}"),
        };
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap_or_default());
        }
    }
    ensure!(bits & ((1 << held) - 1) == 0, "not base64: bits beyond the last byte");
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
                << (8 * (3 - chunk.len()));
            for n in 0..4 {
                let digit = (word >> (18 - 6 * n) & 63) as usize;
                text.push(if n <= chunk.len() { char::from(DIGITS[digit]) } else { '=' });
            }
        }
        text
    }

    fn insn(code: u16, jt: u8, jf: u8, k: u32) -> Vec<u8> {
        [&code.to_ne_bytes()[..], &[jt, jf], &k.to_ne_bytes()].concat()
    }

    fn error(insns: &[Vec<u8>]) -> String {
        format!("{:#}", parse(&encode(&insns.concat())).unwrap_err())
    }

    const ALLOW: u32 = 0x7fff_0000;

    #[test]
    fn base64_is_exact() {
        for bytes in [&b"a"[..], b"ab", b"abc", b"\xff\xfe\xfd\xfc", &[0; 40]] {
            assert_eq!(base64(encode(bytes).as_bytes()).unwrap(), bytes);
        }
        for (text, why) in [
            ("", "0 characters"),
            ("abc", "3 characters"),
            ("ab\nd", "byte 0x0a at position 2"),
            ("ab-d", "byte 0x2d at position 2"),
            ("a===", "3 times \"=\" at the end"),
            ("a=b=", "byte 0x3d at position 1"),
            ("YR==", "bits beyond the last byte"),
        ] {
            assert_eq!(
                base64(text.as_bytes()).unwrap_err().to_string(),
                format!("not base64: {why}")
            );
        }
    }

    #[test]
    fn a_program_comes_back() {
        let text = [
            insn(0x20, 0, 0, 0),
            insn(0x15, 0, 1, 83),
            insn(6, 0, 0, 0x0005_0011),
            insn(6, 0, 0, ALLOW),
        ];
        let program = parse(&encode(&text.concat())).unwrap();
        assert_eq!(program.len(), 4);
        assert_eq!(program[1], Insn { code: 0x15, jt: 0, jf: 1, k: 83 });
        assert!(!notifies(&program));
        assert!(notifies(&parse(&encode(&insn(6, 0, 0, 0x7fc0_0000))).unwrap()));
    }

    #[test]
    fn broken_programs_are_refused() {
        let ret = || insn(6, 0, 0, ALLOW);
        let table = [
            (
                vec![vec![6, 0, 0, 0]],
                "4 bytes are no BPF program, whose instructions have 8 bytes each",
            ),
            (vec![insn(0x20, 0, 0, 0)], "the last instruction does not return"),
            (
                vec![insn(0x20, 0, 0, 64), ret()],
                "instruction 0: loads from offset 64 of struct seccomp_data",
            ),
            (
                vec![insn(0x20, 0, 0, 2), ret()],
                "instruction 0: loads from offset 2 of struct seccomp_data",
            ),
            (vec![insn(0x15, 1, 0, 0), ret()], "instruction 0: jumps out of the program"),
            (vec![insn(0x05, 0, 0, u32::MAX), ret()], "instruction 0: jumps out of the program"),
            (
                vec![insn(0x28, 0, 0, 0), ret()],
                "instruction 0: 0x28 is no operation of seccomp filters",
            ),
            (vec![insn(0x34, 0, 0, 0), ret()], "instruction 0: divides by zero"),
            (vec![insn(0x64, 0, 0, 32), ret()], "instruction 0: shifts by 32 bits"),
            (vec![ret(), insn(0x60, 0, 0, 16), ret()], "instruction 1: uses word 16 of 16"),
        ];
        for (insns, text) in table {
            assert_eq!(error(&insns), text);
        }
        assert_eq!(error(&vec![ret(); 4097]), "4097 instructions; the kernel takes at most 4096");
    }
}
