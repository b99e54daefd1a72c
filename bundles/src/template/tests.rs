//! The expected texts are what the Docker CLI, which uses Go's own package, printed for the same
//! templates over the same data.

use super::*;
use serde_json::json;

fn data() -> Data {
    let fields = json!({
        "S": "hi", "N": 3, "F": 2.5, "L": ["a", "b", "c"], "Labels": { "k": "v", "a.b/c": "x" },
        "E": [], "Z": null, "T": true, "O": { "P": { "Q": "deep" } },
        "R": [{ "n": "x", "v": 1 }, { "n": "y", "v": 2 }],
    });
    let methods = Map::from_iter([("Label".to_owned(), json!({ "k": "v" }))]);
    Data { fields, methods }
}

fn printed(template: &str) -> Result<String> {
    Template::new(template)?.print(&data())
}

#[test]
fn widest_fields_are_printed() {
    for verb in ["%65535d", "%-65535d", "%.65535d", "%65535.65535d"] {
        assert_eq!(printed(&format!("{{{{printf \"{verb}\" 1}}}}")).unwrap().len(), 65535);
    }
    assert_eq!(printed(r#"{{printf "%.65535f" 2.5}}"#).unwrap().len(), 65537);
    assert_eq!(printed("{{pad .S 100000 100000}}").unwrap().len(), 200_002);
}

#[test]
fn prints_what_go_prints() {
    #[rustfmt::skip]
    let cases = [
        ("{{.S}}", "hi"),
        ("{{ .S }} {{.N}} {{.F}} {{.T}}", "hi 3 2.5 true"),
        ("{{.L}} {{.Labels}} {{.E}} {{.Z}}", "[a b c] map[a.b/c:x k:v] [] <no value>"),
        ("{{.O.P.Q}}", "deep"),
        (r#"{{index .Labels "k"}}"#, "v"),
        (r#"{{index .Labels "a.b/c"}}"#, "x"),
        ("{{index .L 1}}", "b"),
        (r#"{{index .R 1 "n"}}"#, "y"),
        ("{{(index .R 1).n}}", "y"),
        ("{{range .L}}{{.}},{{end}}", "a,b,c,"),
        ("{{range $i, $e := .L}}{{$i}}={{$e}} {{end}}", "0=a 1=b 2=c "),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "a.b/c=x;k=v;"),
        ("{{range .R}}{{.n}}{{$.S}}{{end}}", "xhiyhi"),
        ("{{range .E}}x{{else}}none{{end}}", "none"),
        (r#"{{range .L}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}"#, "ac"),
        (r#"{{range .L}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}"#, "a"),
        ("{{if .T}}yes{{else}}no{{end}}", "yes"),
        (r#"{{if .E}}yes{{else if eq .S "hi"}}hi{{else}}no{{end}}"#, "hi"),
        ("{{if not .Z}}not{{end}}", "not"),
        ("{{with .O.P}}{{.Q}}{{end}}", "deep"),
        ("{{with .E}}x{{else}}empty{{end}}", "empty"),
        ("{{with $x := .S}}{{$x}}{{$.S}}{{end}}", "hihi"),
        (r#"{{$x := .S}}{{if true}}{{$x = "new"}}{{end}}{{$x}}"#, "new"),
        (r#"{{$x := .S}}{{if true}}{{$x := "new"}}{{$x}}{{end}}{{$x}}"#, "newhi"),
        (r#"{{eq .S "a" "b" "hi"}} {{ne .S "x"}} {{lt 1 2}} {{gt 1 2}} {{le 2 2}} {{ge "b" "a"}}"#, "true true true false true true"),
        (r#"{{and .T .S}} {{and .E .S}} {{or .E .S}} {{or .Z .E "last"}}"#, "hi [] hi last"),
        ("{{len .L}} {{len .S}} {{len .Labels}}", "3 2 2"),
        (r#"{{print .S "x" 1 2 "y"}} {{print 1 2}} {{println "a" 1}}"#, "hix1 2y 1 2 a 1\n"),
        (r#"{{printf "%s-%d-%5d|%-5d|%05d" .S 3 42 42 42}}"#, "hi-3-   42|42   |00042"),
        (r#"{{printf "%v %v %v %v" .S .L .T .Z}}"#, "hi [a b c] true <nil>"),
        (r#"{{printf "%q %q" .S .L}}"#, r#""hi" ["a" "b" "c"]"#),
        (r#"{{printf "%d" .S}} {{printf "%s" 3}} {{printf "%d"}} {{printf "x" 1}} {{printf "%"}}"#, "%!d(string=hi) %!s(int=3) %!d(MISSING) x%!(EXTRA int=1) %!(NOVERB)"),
        (r#"{{printf "%6.2f|%e|%g|%8s|%-8s|%.1s" .F 2.5 .F .S .S .S}}"#, "  2.50|2.500000e+00|2.5|      hi|hi      |h"),
        (r#"{{printf "%x %X %o %b %c %U %t" 255 255 8 5 65 65 true}}"#, "ff FF 10 101 A U+0041 true"),
        (r#"{{printf "%x" .S}} {{printf "%*d" 5 42}} {{printf "%+d % d" 5 5}} {{printf "100%%"}}"#, "6869    42 +5  5 100%"),
        (r#"{{printf "%T %T" .S .T}}"#, "string bool"),
        (r#"{{.S | printf "%s-%s" "a"}}"#, "a-hi"),
        (r#"{{"a" | printf "%s"}}"#, "a"),
        ("{{ .S | upper }} {{ .S | upper | lower | title }}", "HI Hi"),
        ("{{json .L}} {{json .Labels}} {{json .S}} {{.O | json}} {{json .Z}} {{json .F}}", r#"["a","b","c"] {"a.b/c":"x","k":"v"} "hi" {"P":{"Q":"deep"}} null 2.5"#),
        (r#"{{json "a<b>&\"c\""}}"#, r#""a<b>&\"c\"""#),
        (r#"{{pad .S 2 3}}| {{truncate "abcdef" 3}} {{truncate "ab" 3}}"#, "  hi   | abc ab"),
        (r#"{{slice "abcdef" 1 3}} {{slice "abcdef" 2}}"#, "bc cdef"),
        ("a {{- .S -}} b", "ahib"),
        ("a  {{- /* note */ -}}  b", "ab"),
        ("x{{/* a }} b */}}y", "xy"),
        (r#"{{"quo\"ted\n"}} {{`raw\n`}} {{'a'}}"#, "quo\"ted\n raw\\n 97"),
        ("{{1.5}} {{-3}} {{0x10}} {{1e3}} {{1_000}}", "1.5 -3 16 1000 1000"),
        (r#"{{true}} {{false}} {{"}}"}}"#, "true false }}"),
        (r#"{{ if and (eq .S "hi") (gt (len .L) 2) }}both{{ end }}"#, "both"),
        ("{{.Labels.k}} {{.Labels.nope}}", "v <no value>"),
    ];
    for (template, text) in cases {
        assert_eq!(printed(template).unwrap(), text, "{template}");
    }
}

/// Where Docker's values are typed, and those of the oracle were not.
#[test]
fn prints_what_docker_prints_for_its_structures() {
    for (template, text) in [
        (
            r#"{{join .L ", "}} {{split "a/b/c" "/"}} {{index (split "a/b" "/") 1}}"#,
            "a, b, c [a b c] b",
        ),
        (r#"{{if eq .S "x"}}a{{else with .O}}{{.P.Q}}{{end}}"#, "deep"),
        (r#"{{index .Labels "nope"}}|{{index .Z "nope"}}|{{len .Z}}"#, "||0"),
        (r#"{{.Label "k"}}|{{.Label "nope"}}|{{"k" | .Label}}"#, "v||v"),
        ("{{.Labels.nope.deeper}}", "<no value>"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("", ""),
        ("no action", "no action"),
        ("}} alone", "}} alone"),
        (r#"{{printf "%v %v %.3g" 1e6 123456789.5 1234567.0}}"#, "1e+06 1.234567895e+08 1.23e+06"),
        (r#"{{title "hello world_x it's"}}"#, "Hello World_x It'S"),
    ] {
        assert_eq!(printed(template).unwrap(), text, "{template}");
    }
}

#[test]
fn errors_say_where_and_what() {
    let deep = "{{if 1}}".repeat(200) + &"{{end}}".repeat(200);
    let nested = format!("{{{{{}1{}}}}}", "(".repeat(5000), ")".repeat(5000));
    for (template, text) in [
        (
            "{{.Nope}}",
            "--format: column 3: .Nope: no such field; there are E F L Labels N O R S T Z",
        ),
        ("{{.labels}}", "--format: column 3: .labels: no such field; did you mean .Labels?"),
        ("{{.O.P.X}}", "--format: column 3: .O.P.X: no such field; there are Q"),
        ("{{.S.X}}", "--format: column 3: .X: a string has no fields"),
        ("{{.Z.X}}", "--format: column 3: .X: nothing is there to have this field"),
        (
            "a\n  {{jsn .}}",
            "--format: line 2, column 5: function \"jsn\" is not known; there are and eq",
        ),
        ("{{", "--format: column 1: action without its closing }}"),
        ("ab{{.S", "--format: column 3: action without its closing }}"),
        ("{{}}", "--format: column 3: empty action {{}}"),
        ("{{/* x}}", "--format: column 3: comment without its */"),
        ("{{if .S}}x", "--format: column 3: if without its {{end}}"),
        (
            "{{end}}",
            "--format: column 3: {{end}} or {{else}} without an {{if}}, {{range}} or {{with}}",
        ),
        ("{{if .S}}{{else}}{{else}}{{end}}", "--format: column 20: a second else"),
        ("{{if}}x{{end}}", "--format: column 3: if without a value"),
        ("{{break}}", "--format: column 3: break outside {{range}}"),
        ("{{$x}}", "--format: column 3: $x is not declared: $x := ..."),
        ("{{if $x := 1}}{{end}}{{$x}}", "--format: column 24: $x is not declared: $x := ..."),
        ("{{\"abc}}", "--format: column 1: action without its closing }}"),
        (r#"{{"\y"}}"#, "--format: column 4: unknown escape in a string"),
        ("{{.S |}}", "a value is missing here"),
        ("{{.S | .L}}", ".L is not a method but has arguments"),
        ("{{.S | 3}}", "--format: column 8: only functions may stand behind |"),
        ("{{3 4}}", "--format: column 3: this is no function: it takes no arguments"),
        ("{{(.S}}", "--format: column 3: ( without its )"),
        ("{{.S)}}", "--format: column 5: unexpected )"),
        ("{{index .L 9}}", "--format: column 3: index: index out of range: 9"),
        ("{{len 3}}", "--format: column 3: len: a number has no length"),
        ("{{upper 3}}", "--format: column 3: upper: takes a string, not a number"),
        ("{{eq .S 3}}", "--format: column 3: eq: a string and a number cannot be compared"),
        ("{{pad .S 999999999999 1}}", "999999999999 is no place or length"),
        (r#"{{printf "%999999999d" 1}}"#, "printf: a field is too wide"),
        (r#"{{printf "%65536d" 1}}"#, "printf: a field is too wide"),
        (r#"{{printf "%.65536f" 2.5}}"#, "printf: a field is too wide"),
        ("{{range .S}}{{end}}", "--format: column 9: range cannot go over hi"),
        ("{{define \"x\"}}{{end}}", "templates in templates are not supported"),
        ("{{.S & 1}}", "--format: column 6: unexpected '&'"),
        ("{{1x}}", "--format: column 3: \"1x\" is not a number"),
        (deep.as_str(), "more than 100 levels deep"),
        (nested.as_str(), "more than 100 levels deep"),
    ] {
        let err = printed(template).expect_err(template).to_string();
        assert!(err.starts_with("--format: ") && err.contains(text), "{template}: {err}");
    }
}

#[test]
fn headers_stay_as_they_are() {
    let titles = Map::from_iter([("Name".to_owned(), json!("NAME"))]);
    let headers = |text: &str| Template::new(text).unwrap().headers(titles.clone()).unwrap();
    assert_eq!(headers("{{.Name}}\t{{json .Name}}\t{{lower .Name}}"), "NAME\tNAME\tNAME");
    assert_eq!(headers("{{.Label \"some.key\"}}\t{{truncate .Name 2}}"), "some.key\tNAME");
}

/// Whatever is typed: an answer or an error, never a panic.
#[test]
fn cut_templates_do_no_harm() {
    let whole = r#"x {{- /* c */ -}} {{with $x := index .R 0}}{{$x.n | printf "%5q\t" }}{{else if 'a'}}{{`r`}}{{end}} é {{.L}}"#;
    for (at, _) in whole.char_indices() {
        drop(printed(&whole[..at]));
        drop(printed(&whole[at..]));
    }
}
