//! Damaged and hostile input for all that reads what strangers have written: no panic, no hang, nothing
//! outside of where it belongs, and an error that is one line.
//!
//! The input is random but the same in every run. `FUZZ=100000` makes more of it, `FUZZ_SECONDS=60`
//! goes on for so long with each target, `FUZZ_SEED=N` makes other input. A case that fails says how it
//! is seen again.

mod images;
mod layers;
mod texts;

use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// No input may take longer, on a loaded machine either.
const LONGEST: Duration = Duration::from_secs(10);

/// xorshift64*: the tests need variety, not quality.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % end.max(1)
    }

    pub(crate) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    pub(crate) fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    /// Cuts, inserts, doubles and flips.
    pub(crate) fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = (at + self.below(40)).min(bytes.len());
        match self.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, self.byte()),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = bytes[at..end].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            4 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << self.below(8)),
            _ => bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = self.byte()),
        }
    }

    /// Pieces of a language in any order.
    pub(crate) fn text(&mut self, pieces: &[&str], most: usize) -> String {
        (0..self.below(most)).map(|_| self.pick(pieces)).collect()
    }

    /// One of these, damaged; now and then it is as it was.
    pub(crate) fn like(&mut self, seeds: &[&str]) -> String {
        let mut bytes = self.pick(seeds).as_bytes().to_vec();
        for _ in 0..self.below(4) {
            self.damage(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Calls `case` with other numbers each time.
pub(crate) fn each(name: &str, rounds: u64, case: impl Fn(&mut Random)) {
    let first = number("FUZZ_SEED").unwrap_or(0x9e37_79b9_7f4a_7c15);
    let rounds = number("FUZZ").unwrap_or(rounds);
    let long = number("FUZZ_SECONDS").map(Duration::from_secs);
    let begun = Instant::now();
    let mut done = 0_u64;
    while long.map_or(done < rounds, |long| begun.elapsed() < long) {
        let seed = first.wrapping_add(done.wrapping_mul(0xd134_2543_de82_ef95)) | 1;
        let (at, mut random) = (Instant::now(), Random(seed));
        let failed = catch_unwind(AssertUnwindSafe(|| case(&mut random))).is_err();
        let again = format!("seen again by FUZZ=1 FUZZ_SEED={seed}");
        assert!(!failed, "{name}: case {done} fails, as told above; {again}");
        assert!(at.elapsed() < LONGEST, "{name}: case {done}: {:?}; {again}", at.elapsed());
        done += 1;
    }
    if number("FUZZ").is_some() || long.is_some() {
        let seconds = begun.elapsed().as_secs_f32();
        let said = writeln!(io::stderr(), "{name}: {done} cases in {seconds:.1} s");
        said.unwrap();
    }
}

/// What people get to read of an error.
pub(crate) fn is_one_line(err: &anyhow::Error) {
    let text = crate::error::report(err);
    assert!(text.starts_with("bundles: ") && text.len() < 20_000, "{text}");
    let strange = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(strange, None, "{text:?}");
    assert!(text.lines().count() <= 2, "{text}");
}

/// The error names a line and a column of the text.
pub(crate) fn is_placed(text: &str, err: &anyhow::Error) {
    is_one_line(err);
    let said = crate::error::chain(err);
    let number = |key: &str| -> Option<usize> {
        let (_, rest) = said.split_once(key)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let line = number("line ").unwrap_or(1);
    let column = number("column ").unwrap_or_else(|| panic!("{said:?} has no place, of {text:?}"));
    let length = text
        .split('\n')
        .nth(line - 1)
        .unwrap_or_else(|| panic!("{said:?}: {text:?}"))
        .chars()
        .count();
    assert!((1..=length + 1).contains(&column), "{said:?}: {text:?}");
}
