//! Dockerfiles, variables in them, and .dockerignore.

use super::change::{Change, Words};
use super::ignore::Ignore;
use super::plan::Plan;
use super::{expand, glob};
use crate::fuzz::{each, is_one_line, is_placed};
use std::time::{Duration, Instant};

/// Of Dockerfiles.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "FROM ", "FROM scratch\n", "FROM a AS b\n", "RUN ", "CMD ", "COPY ", "ADD ", "ENV ", "ARG ", "LABEL ", "EXPOSE ",
    "VOLUME ", "USER ", "WORKDIR ", "ONBUILD ", "SHELL ", "HEALTHCHECK ", "STOPSIGNAL ", "MAINTAINER ", "ENTRYPOINT ",
    "from ", "NONE", " AS ", "--from=b ", "--from=0 ", "--chown=1:2 ", "--mount=type=bind,from=b,target=/x ", "--platform=$X ",
    "--interval=1s ", "--x", "--", "[", "]", "[\"a\", \"b\"]", "\"", "'", ",", "=", "a=b", "$", "${", "}", "$X", "${X:-", "${X:+",
    "${X#", "${X%%", "${X/", "${X//a/b}", "\\", "\\\n", "`", "`\n", "\n", "\n", "\n", "\r\n", "\t", " ", "#", "# escape=`\n",
    "# syntax=x\n", "<<EOF", "<<-EOF", "<<\"EOF\"", "EOF\n", "<<", "\u{0}", "\u{feff}", "\u{e4}", "\u{2014}", "x", "80/tcp", "..", "/", "*",
];

const SEEDS: &[&str] = &[
    "# syntax=docker/dockerfile:1\n# escape=\\\nARG V=1\nFROM --platform=linux/amd64 a:${V} AS base\nENV A=b C=\"d e\" \\\n  F=$A\nRUN --mount=type=cache,target=/c <<EOF\necho $A\nEOF\nFROM scratch\nCOPY --from=base --chown=1:2 [\"a b\", \"/c/\"]\nCMD [\"/a\", \"x\"]\n",
    "FROM a\nHEALTHCHECK --interval=30s --retries=3 CMD curl localhost || exit 1\nEXPOSE 80 443/tcp 90-92/udp\nVOLUME [\"/a\", \"/b\"]\nONBUILD RUN x\nSHELL [\"/bin/sh\", \"-c\"]\nSTOPSIGNAL SIGTERM\nUSER 1:2\nWORKDIR /a/../b\nLABEL a.b=\"c\" 'd e'=f\nADD a b* /c/\nENTRYPOINT a b\n",
    "from a as b\ncopy <<X <<Y /d/\none $V\nX\ntwo\nY\narg V\nrun echo \"a\\\n# comment\nb\"\n",
];

fn value(name: &str) -> Option<String> {
    match name {
        "X" => Some("a b/c.d".to_owned()),
        "V" => Some("1".to_owned()),
        "E" => Some(String::new()),
        _ => None,
    }
}

#[test]
fn dockerfiles_are_refused_at_a_place_or_planned() {
    let platform = ["TARGETPLATFORM=linux/amd64".to_owned()];
    each("dockerfiles", 5000, |random| {
        let text = match random.below(3) {
            0 => random.text(PIECES, 40),
            1 => random.like(SEEDS),
            _ => {
                let mut text = random.like(SEEDS);
                let at = text.char_indices().nth(random.below(text.len())).map_or(0, |(at, _)| at);
                text.insert_str(at, &random.text(PIECES, 4));
                text
            }
        };
        let plan = match Plan::of(&text, &["V=2".to_owned()], &platform) {
            Ok(plan) => plan,
            Err(err) if crate::error::chain(&err) == "no FROM in it" => return is_one_line(&err),
            Err(err) => return is_placed(&text, &err),
        };
        let target = plan.target(None).unwrap();
        let told = plan.needed(target).and_then(|stages| plan.images(&stages));
        if let Err(err) = told {
            is_placed(&text, &err);
        }
        for instruction in plan.stages.iter().flat_map(|stage| &stage.instructions) {
            let words = Words { instruction, escape: plan.escape, lookup: &value };
            if let Err(err) = Change::of(&words) {
                is_one_line(&err);
            }
        }
    });
}

#[test]
fn variables_are_refused_at_a_place_or_replaced() {
    #[rustfmt::skip]
    let pieces = &[
        "$", "{", "}", "${", "X", "V", "E", "UNSET", ":-", ":+", ":?", "-", "+", "?", "#", "##", "%", "%%", "/", "//", "*", "[", "]",
        "\\", "`", "\"", "'", "$X", "${X}", "${UNSET:-", " ", "\n", "\u{e4}", "a", "1", "_",
    ];
    each("variables", 20_000, |random| {
        let text = random.text(pieces, 20);
        for escape in ['\\', '`'] {
            let word = expand::word(&text, escape, &value);
            let all = [
                word.map(drop),
                expand::words(&text, escape, &value).map(drop),
                expand::document(&text, escape, &value).map(drop),
            ];
            for wrong in all.into_iter().filter_map(Result::err) {
                assert!(
                    wrong.offset <= text.len() && text.is_char_boundary(wrong.offset),
                    "{wrong}: {text:?}"
                );
            }
        }
    });
    // Text without any of it stays what it is.
    each("plain words", 2000, |random| {
        let text = random.text(&["a", ".", "/", "\u{e4}", "-", "_", "=", ",", "{", "}", "*"], 20);
        assert_eq!(expand::word(&text, '\\', &value).unwrap(), text);
    });
}

#[test]
fn dockerignore_is_refused_or_hides() {
    let pieces = &[
        "a", "b", "/", "**", "*", "?", "[", "]", "a-z", "^", "!", "\\", "#", "\n", " ", "..", ".",
        "\u{e4}", "{9}", "(", "+",
    ];
    each("dockerignore", 3000, |random| {
        let text = random.text(pieces, 30);
        let begun = Instant::now();
        glob::is_pattern(&text);
        match Ignore::parse(&text) {
            Ok(ignore) => {
                for path in ["a", "a/b", "a/b/a/b/a/b/a/b/a/b/a/b", "\u{e4}", ".git/config"] {
                    ignore.hides(path);
                }
                assert!(!ignore.is_empty() || !ignore.keeps_any());
            }
            Err(err) => is_one_line(&err),
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{text:?}");
    });
}
