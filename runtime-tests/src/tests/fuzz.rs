//! Damaged configurations: `rt plan` refuses or accepts them, in one line and without a panic.
//!
//! The damage is random but the same in every run; `FUZZ=20000` makes more of it, `FUZZ_SEED=N`
//! other damage. A config that fails is printed.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use runtime_tests::prelude::*;

tests![damaged_values_are_refused_or_taken, damaged_bytes_are_refused_or_taken];

/// xorshift64*: the tests need variety, not quality.
struct Random(u64);

impl Random {
    fn new(salt: u64) -> Self {
        Self(env_number("FUZZ_SEED").unwrap_or(0x9e37_79b9_7f4a_7c15) ^ salt)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or(0) % end.max(1)
    }
}

fn env_number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn rounds() -> u64 {
    env_number("FUZZ").unwrap_or(400)
}

fn seeds() -> Vec<String> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    ["docker", "rootless", "everything"]
        .map(|name| fs::read_to_string(golden.join(format!("{name}.json"))).unwrap())
        .to_vec()
}

fn damaged_values_are_refused_or_taken() {
    requires!(command("plan"));
    let seeds: Vec<Value> =
        seeds().iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let mut random = Random::new(1);
    let judge = Judge::new();
    for _ in 0..rounds() {
        let mut config = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(3) {
            damage(&mut config, &mut random);
        }
        judge.check(config.to_string().as_bytes());
    }
}

fn damaged_bytes_are_refused_or_taken() {
    requires!(command("plan"));
    let seeds = seeds();
    let mut random = Random::new(2);
    let judge = Judge::new();
    for _ in 0..rounds() / 2 {
        let mut bytes = seeds[random.below(seeds.len())].clone().into_bytes();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, u8::try_from(random.below(256)).unwrap()),
                2 => drop(bytes.drain(at..(at + random.below(40)).min(bytes.len()))),
                _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << 5),
            }
        }
        judge.check(&bytes);
    }
}

struct Judge {
    bundle: std::path::PathBuf,
}

impl Judge {
    fn new() -> Self {
        let bundle = scratch().join("bundle");
        fs::create_dir_all(&bundle).unwrap();
        Self { bundle }
    }

    fn check(&self, config: &[u8]) {
        fs::write(self.bundle.join("config.json"), config).unwrap();
        let begun = Instant::now();
        let output = rt(["plan", "--bundle", self.bundle.to_str().unwrap()]).output();
        let text = String::from_utf8_lossy(config);
        let stderr = output.stderr();
        assert!(
            matches!(output.code, 0 | 1) && !stderr.contains("internal error"),
            "exit {}: {stderr}\n{text}",
            output.code
        );
        assert!(begun.elapsed() < Duration::from_secs(5), "slow\n{text}");
        if output.code == 1 {
            let errors = stderr.lines().filter(|line| line.starts_with("rt: ")).count();
            assert!(errors >= 1, "an error without a word\n{text}");
            assert!(stderr.len() < 10_000, "a long error: {stderr}\n{text}");
            let strange = stderr.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(strange, None, "{stderr:?}\n{text}");
            let lines = stderr.lines().filter(|line| !line.starts_with("rt: warning: "));
            assert!(lines.count() <= 2, "an error of many lines: {stderr}\n{text}");
        }
    }
}

/// Changes one value somewhere in the tree.
fn damage(config: &mut Value, random: &mut Random) {
    let mut here = config;
    // A deeper stop is the likelier one, as most values are there.
    loop {
        let count = match &*here {
            Value::Array(items) => items.len(),
            Value::Object(fields) => fields.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        };
        if count == 0 || random.below(8) == 0 {
            break;
        }
        let at = random.below(count);
        if random.below(12) == 0 {
            return change_members(here, at, random);
        }
        here = match here {
            Value::Array(items) => &mut items[at],
            Value::Object(fields) => fields.values_mut().nth(at).unwrap(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
        };
    }
    *here = strange(random);
}

/// Removes, doubles or renames a member.
fn change_members(parent: &mut Value, at: usize, random: &mut Random) {
    match parent {
        Value::Array(items) if random.below(2) == 0 => drop(items.remove(at)),
        Value::Array(items) => items.push(items[at].clone()),
        Value::Object(fields) => {
            let key = fields.keys().nth(at).unwrap().clone();
            let value = fields.remove(&key).unwrap();
            if random.below(2) == 0 {
                fields.insert(key.to_uppercase(), value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn strange(random: &mut Random) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(u32::MAX),
        json!(i64::MAX),
        json!(""),
        json!("/"),
        json!(".."),
        json!("../../x"),
        json!("a\u{0}b"),
        json!("a\nb"),
        json!("\u{1b}[31m\u{202e}"),
        json!("ä".repeat(3000)),
        json!("/a".repeat(5000)),
        json!("1-0,3-,-,99999999999"),
        json!("18446744073709551616"),
        json!("idmap"),
        json!("SCMP_ACT_NOTIFY"),
        json!([]),
        json!({}),
        json!([[[[[[[[]]]]]]]]),
        json!(vec!["x"; 2000]),
        json!({"": ""}),
    ];
    values[random.below(values.len())].clone()
}
