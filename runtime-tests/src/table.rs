//! docs/features.md: every row has a proof, and every test that it names exists.

use crate::tests;
use std::collections::BTreeSet;

const FILE: &str = include_str!("../../docs/features.md");

/// Rows may be left out for these reasons only: words of the feature.
const MAY_BE_LEFT_OUT: [&str; 4] = ["checkpoint", "restore", "criu", "wasm"];

/// The complaints about a document with these tests.
fn complaints(text: &str, known: &BTreeSet<String>) -> Vec<String> {
    let in_work = text.lines().find_map(|line| line.strip_prefix("In work: "));
    let in_work: Vec<&str> =
        in_work.map(|line| line.trim_end_matches('.').split(", ").collect()).unwrap_or_default();
    let mut complaints = Vec::new();
    let mut used = BTreeSet::new();
    let mut section = "";
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title;
        }
        let is_row = line.starts_with("| ") && !line.starts_with("| feature ");
        if !is_row || !section.starts_with('A') {
            continue;
        }
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [feature, rt, .., proof] = cells.as_slice() else {
            complaints.push(format!("{line}: no row of the table"));
            continue;
        };
        if cells.len() != 6 || cells.iter().any(|cell| cell.is_empty()) {
            complaints.push(format!("{feature}: {} cells, or an empty one", cells.len()));
        }
        if let Some(reason) = proof.strip_prefix("left out: ") {
            let lower = feature.to_lowercase();
            if !MAY_BE_LEFT_OUT.iter().any(|word| lower.contains(word)) || *rt != "no" {
                complaints.push(format!("{feature}: may not be left out ({reason})"));
            }
        } else if let Some(area) = proof.strip_prefix("(in work: ") {
            let area = area.trim_end_matches(')');
            if !in_work.contains(&area) {
                complaints.push(format!("{feature}: {area} is not in work"));
            }
            used.insert(area);
        } else {
            for name in proof.split(", ") {
                let name = name.trim_matches('`');
                if !known.contains(name) {
                    complaints.push(format!("{feature}: there is no test {name}"));
                }
            }
        }
    }
    for area in in_work.iter().filter(|area| !used.contains(*area)) {
        complaints.push(format!("{area} has no row, and is not in work"));
    }
    complaints
}

#[test]
fn every_feature_of_the_table_is_proven() {
    let known: BTreeSet<String> = tests::all().into_iter().map(|(name, _)| name).collect();
    let complaints = complaints(FILE, &known);
    assert!(complaints.is_empty(), "docs/features.md:\n{}", complaints.join("\n"));
    for section in ["A1.", "A2.", "A3.", "A4.", "A5.", "A6."] {
        assert!(FILE.contains(&format!("\n## {section} ")), "{section} is missing");
    }
}

#[test]
fn what_is_wrong_in_the_table_is_found() {
    let known = BTreeSet::from(["a::b".to_owned()]);
    let check =
        |in_work: &str, row: &str| complaints(&format!("{in_work}\n## A1. x\n{row}"), &known);
    assert!(check("", "| x | yes | no | no | no | `a::b` |").is_empty());
    assert!(check("", "| restore | no | yes | yes | no | left out: later |").is_empty());
    assert!(check("In work: v1.", "| x | yes | no | no | no | (in work: v1) |").is_empty());
    for (in_work, row) in [
        ("", "| x | yes | no | no | no | `a::c` |"),
        ("", "| x | yes | no | no | no |  |"),
        ("", "| x | yes | no | no | `a::b` |"),
        ("", "| x | no | no | no | no | left out: later |"),
        ("", "| restore | yes | no | no | no | left out: later |"),
        ("", "| x | yes | no | no | no | (in work: v1) |"),
        ("In work: v1, v2.", "| x | yes | no | no | no | (in work: v1) |"),
    ] {
        assert!(!check(in_work, row).is_empty(), "{in_work} {row}");
    }
}
