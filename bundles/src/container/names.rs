//! Names of containers: what may be one, and made-up ones.
//!
//! Runs in: pure, but for the random choice.

use crate::error::OrHint as _;
use anyhow::{Result, anyhow};

const MOODS: &[&str] = &[
    "able", "brave", "bright", "calm", "clever", "daring", "eager", "early", "fair", "fancy",
    "fast", "fine", "fresh", "gentle", "glad", "golden", "grand", "happy", "honest", "jolly",
    "keen", "kind", "light", "lively", "lucky", "merry", "mild", "neat", "nimble", "noble",
    "patient", "plain", "proud", "quick", "quiet", "ready", "rustic", "silent", "silver", "smart",
    "steady", "sunny", "swift", "tidy", "warm", "wild", "wise", "young",
];
const THINGS: &[&str] = &[
    "acorn", "anchor", "apple", "badger", "beech", "birch", "bridge", "brook", "canoe", "cedar",
    "cloud", "comet", "crane", "dune", "falcon", "fern", "finch", "garden", "harbour", "hazel",
    "heron", "island", "ivy", "kettle", "lantern", "lark", "maple", "meadow", "moon", "moss",
    "oak", "otter", "owl", "pebble", "pine", "planet", "quarry", "raven", "reed", "ridge", "river",
    "robin", "spruce", "stone", "swallow", "thistle", "willow", "wren",
];

/// Letters, digits, `_`, `.` and `-`; two at least, and the first is a letter or a digit. Nobody
/// else may have it.
pub(super) fn check(name: &str, taken: &[String]) -> Result<String> {
    let inner = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let good = name.len() > 1
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(inner);
    if taken.iter().any(|other| other == name) {
        return Err(anyhow!("name {name}: another container has that name"))
            .hint(format!("choose another, or remove it: bundles rm {name}"));
    }
    if good {
        return Ok(name.to_owned());
    }
    Err(anyhow!("name {name}: not a name for a container"))
        .hint("use letters, digits, _ . and -, at least two, and begin with a letter or digit")
}

/// A name that nobody has; with a number when chance finds only taken ones.
pub(super) fn make_up(taken: &[String]) -> Result<String> {
    for attempt in 0_u32.. {
        let [mood, thing, number] = crate::ids::random::<3>()?;
        let pick = |list: &[&'static str], by: u8| list.get(usize::from(by) % list.len()).copied();
        let mood = pick(MOODS, mood).unwrap_or_default();
        let mut name = format!("{mood}_{}", pick(THINGS, thing).unwrap_or_default());
        if attempt > 5 {
            name.push_str(&format!("{}", u32::from(number) + attempt));
        }
        if !taken.contains(&name) {
            return Ok(name);
        }
    }
    Err(anyhow!("all names are taken"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar_of_names() {
        for good in ["ab", "a1", "0_", "nginx-lb01", "a.b_c-d"] {
            assert!(check(good, &[]).is_ok(), "{good}");
        }
        for bad in ["", "a", "-ab", "_ab", ".a", "a b", "a/b", "é1"] {
            assert!(check(bad, &[]).is_err(), "{bad}");
        }
    }

    #[test]
    fn made_up_names_are_good_and_new() {
        let mut taken = Vec::new();
        for _ in 0..200 {
            let name = make_up(&taken).unwrap();
            check(&name, &taken).unwrap();
            assert!(!taken.contains(&name));
            taken.push(name);
        }
    }
}
