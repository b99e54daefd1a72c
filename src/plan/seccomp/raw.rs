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
    let bytes = base64(text.as_bytes()).map_err(|at| anyhow!("not base64 at character {at}"))?;
    let (insns, rest) = bytes.as_chunks::<INSN>();
    ensure!(
        rest.is_empty() && (1..=MAX_INSNS).contains(&insns.len()),
        "{} bytes are not a BPF program: an instruction has {INSN}, and there are 1 to {MAX_INSNS}",
        bytes.len()
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
        if let Some(fault) = fault(*insn, program.len() - at - 1) {
            bail!("instruction {at} (code {:#04x}, operand {:#x}) {fault}", insn.code, insn.k);
        }
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

/// What is wrong with an instruction that has `after` others behind it.
fn fault(insn: Insn, after: usize) -> Option<&'static str> {
    let Insn { code, jt, jf, k } = insn;
    let outside = |jump: u32| usize::try_from(jump).is_ok_and(|jump| jump >= after);
    let fails = match code {
        LD_W_ABS => k >= DATA || !k.is_multiple_of(4),
        // ld imm, ld len, ldx imm, ldx len; ret; tax, txa; neg; alu with a register
        0x00 | 0x80 | 0x01 | 0x81 | RET_K | RET_A | 0x07 | 0x87 | 0x84 => false,
        0x0c | 0x1c | 0x2c | 0x3c | 0x4c | 0x5c | 0x6c | 0x7c | 0xac => false,
        // add, sub, mul, or, and, xor with a constant; division by it; shifts
        0x04 | 0x14 | 0x24 | 0x44 | 0x54 | 0xa4 => false,
        0x34 => k == 0,
        0x64 | 0x74 => k >= 32,
        // ld, ldx, st, stx of the scratch memory
        0x60 | 0x61 | 0x02 | 0x03 => k >= MEMORY,
        JMP_JA => return outside(k).then_some(OUTSIDE),
        // jeq, jgt, jge, jset with a constant or a register
        0x15 | 0x1d | 0x25 | 0x2d | 0x35 | 0x3d | 0x45 | 0x4d => {
            return (outside(u32::from(jt)) || outside(u32::from(jf))).then_some(OUTSIDE);
        }
        _ => return Some("is not an operation of seccomp filters"),
    };
    fails.then_some("has an operand out of range")
}

const OUTSIDE: &str = "jumps out of the program";

/// RFC 4648, section 4: with padding, without line breaks. An error is the position of what is not.
fn base64(text: &[u8]) -> std::result::Result<Vec<u8>, usize> {
    let padding = text.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
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
            _ => return Err(at),
        };
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap_or_default());
        }
    }
    // The last byte ends where the padding says, and nothing is hidden behind it.
    let whole = text.len().is_multiple_of(4) && bits & ((1 << held) - 1) == 0;
    if whole { Ok(bytes) } else { Err(digits.len()) }
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
        for (text, at) in [
            ("abc", 3),
            ("ab\nd", 2),
            ("ab-d", 2),
            ("a===", 1),
            ("a=b=", 1),
            ("=", 0),
            ("YR==", 2),
            ("YWJj=", 4),
        ] {
            assert_eq!(base64(text.as_bytes()), Err(at), "{text}");
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
        let outside = "jumps out of the program";
        let range = "has an operand out of range";
        let table = [
            (insn(0x20, 0, 0, 64), range),
            (insn(0x20, 0, 0, 2), range),
            (insn(0x34, 0, 0, 0), range),
            (insn(0x64, 0, 0, 32), range),
            (insn(0x60, 0, 0, 16), range),
            (insn(0x15, 1, 0, 0), outside),
            (insn(0x45, 0, 255, 0), outside),
            (insn(0x05, 0, 0, u32::MAX), outside),
            (insn(0x28, 0, 0, 0), "is not an operation of seccomp filters"),
            (insn(0x94, 0, 0, 1), "is not an operation of seccomp filters"),
        ];
        for (insn, text) in table {
            let error = error(&[ret(), insn, ret()]);
            assert!(error.starts_with("instruction 1 (code 0x"), "{error}");
            assert!(error.ends_with(text), "{error}");
        }
        assert_eq!(error(&[insn(0x20, 0, 0, 0)]), "the last instruction does not return");
        for insns in [vec![], vec![vec![6, 0, 0, 0]], vec![ret(); 4097]] {
            let bytes = insns.concat().len();
            let text = "an instruction has 8, and there are 1 to 4096";
            assert_eq!(error(&insns), format!("{bytes} bytes are not a BPF program: {text}"));
        }
    }
}
