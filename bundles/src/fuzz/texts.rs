//! Names of images, templates of `--format`, and words of a command line.

use super::{each, is_one_line, is_placed};
use crate::cli::{self, Stop};
use crate::filter::Filters;
use crate::reference::Reference;
use crate::store::layout::Platform;
use crate::template::{Data, Template};
use serde_json::{Map, Value, json};
use std::ffi::OsString;

/// Of Go's templates.
#[rustfmt::skip]
const TEMPLATE: &[&str] = &[
    "{{", "}}", "{{-", "-}}", ".", ".S", ".L", ".O.P", "$", "$x", " := ", " = ", "|", " ", "(", ")",
    "\"a\"", "`b`", "'c'", "1", "-1", "0x10", "1e9", "1e999", "9223372036854775807", "range ",
    "if ", "else", "end", "with ", "break", "continue", "index ", "slice ", "len ", "printf ",
    "\"%d\" ", "\"%99999999d\" ", "\"%*d\" ", "\"%.9999999f\" ", "print ", "json ", "join ",
    "split ", "title ", "truncate ", "pad ", "eq ", "and ", "or ", "not ", "lt ", "call ", "html ",
    "define ", "template ", "/* c */", "\n", "\t", "\u{e4}", ",", "text", "table ",
];

/// Of command lines.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "run", "create", "ps", "images", "image", "network", "volume", "system", "ls", "rm", "inspect",
    "prune", "pull", "push", "search", "exec", "logs", "-a", "-aq", "--all", "--format", "-f",
    "--filter", "name=x", "-it", "-d", "-p", "80:80", "-v", "/a:/b", "-e", "A=b", "--name", "x",
    "--network", "host", "--", "-", "", "\u{2014}name", "\u{2013}subnet", "-subnet", "--root", "/r",
    "--config", "dcoker", "--help", "-h", "-v=", "--memory", "9e9", "--cpus", "-1", "alpine", "sh",
    "-c", "\u{0}", "\n", "--\u{e4}", "prnue",
];

#[test]
fn names_of_images_are_refused_or_mean_one_thing() {
    let digest = format!("sha256:{}", "5".repeat(64));
    let pieces: &[&str] = &[
        "a",
        "b1",
        "busybox",
        "library",
        "/",
        "/",
        ":",
        ":",
        "@",
        ".",
        "..",
        "_",
        "__",
        "-",
        "localhost",
        "docker.io",
        "index.docker.io",
        "r.io",
        ":5000",
        "[::1]",
        "[",
        "]",
        "A",
        "\u{e4}",
        "\u{0}",
        "\n",
        " ",
        "%2f",
        "latest",
        "1.36",
        "sha256:",
        "sha512:",
        &digest,
        "0123456789abcdef",
        "99999",
    ];
    let seeds: &[&str] =
        &["localhost:5000/team/app:v1.2", "busybox", "quay.io/a/b__c@sha256:00", &digest];
    each("references", 20_000, |random| {
        let text = if random.one_in(2) { random.text(pieces, 9) } else { random.like(seeds) };
        Reference::is_short(&text);
        let name = match Reference::parse(&text) {
            Ok(name) => name.tagged(),
            Err(err) => return is_one_line(&err),
        };
        let full = name.to_string();
        assert!(full.len() < 600 && !full.contains(char::is_whitespace), "{full:?}");
        assert!(!name.path.contains("..") && !name.path.starts_with('/'), "{full:?}");
        for written in [&full, &name.familiar()] {
            assert_eq!(
                Reference::parse(written).unwrap().tagged(),
                name,
                "{text:?} as {written:?}"
            );
        }
    });
}

#[test]
fn platforms_and_filters_are_refused_or_taken() {
    let pieces = &[
        "linux",
        "/",
        "arm64",
        "v8",
        "",
        "amd64",
        "=",
        "label",
        "name",
        "reference",
        "[",
        "]",
        "^",
        "*",
        "?",
        "\\",
        "(",
        "{9",
        "-",
        "\u{e4}",
    ];
    each("filters", 5_000, |random| {
        let text = random.text(pieces, 8);
        if let Ok(platform) = text.parse::<Platform>() {
            assert!(platform.fits(&platform), "{text:?}");
        }
        match Filters::new(std::slice::from_ref(&text), &["name", "label", "reference", "until"]) {
            Ok(filters) => {
                filters.name("abc");
                filters.reference("abc/d:1");
                filters.truth("label").ok();
            }
            Err(err) => is_one_line(&err),
        }
    });
}

#[test]
fn templates_are_refused_at_a_place_or_carried_out() {
    let seeds = &[
        "{{range $i, $e := .L}}{{$i}}={{$e}} {{else}}none{{end}}",
        "{{json .}} {{.S | upper | printf \"%-20s|\"}}",
        "{{if and .T (eq .N 3)}}{{index .Labels \"k\"}}{{else if .E}}x{{end}}",
        "table {{.S}}\t{{pad .S 3 4}}\t{{truncate .S 1}}",
        "{{with $x := .O.P}}{{$x.Q}}{{end}}{{/* no */}}",
    ];
    let fields = json!({"S": "h\u{e4}i", "N": 3, "F": 2.5, "L": ["a", "b", {"n": 1}], "Labels": {"k": "v"}, "E": [], "Z": null, "T": true, "O": {"P": {"Q": "deep"}}});
    let data = Data { fields, methods: Map::from_iter([("Label".to_owned(), json!({"k": "v"}))]) };
    each("templates", 15_000, |random| {
        let text = if random.one_in(2) { random.text(TEMPLATE, 14) } else { random.like(seeds) };
        let printed = match Template::new(&text) {
            Ok(template) => {
                template
                    .headers(Map::from_iter([("S".to_owned(), Value::String("S".to_owned()))]))
                    .ok();
                template.print(&data)
            }
            Err(err) => Err(err),
        };
        match printed {
            Ok(printed) => {
                assert!(printed.len() < 10_000_000, "{} bytes by {text:?}", printed.len());
            }
            Err(err) => is_placed(&text, &err),
        }
    });
}

#[test]
fn command_lines_are_understood_or_refused() {
    each("command lines", 120, |random| {
        let name = random.pick(&["bundles", "docker", "podman", "/usr/bin/docker", ""]);
        let mut args = vec![OsString::from(name)];
        for _ in 0..random.below(7) {
            let word =
                if random.one_in(8) { random.like(WORDS) } else { random.pick(WORDS).to_owned() };
            args.push(OsString::from(word));
        }
        if let Err(Stop::Wrong(text)) = cli::parse(args.clone()) {
            let strange = text.chars().find(|c| c.is_control() && *c != '\n');
            assert!(text.starts_with("bundles: ") && strange.is_none(), "{args:?}: {text:?}");
        }
    });
}
