//! How the command line of the companion meets people and scripts.

use std::fs;

use runtime_tests::companion::{bundles, home};

tests![
    companion_help_and_version_are_for_standard_output,
    companion_mistyped_words_get_a_guess,
    companion_dashes_of_documents_are_taken,
    companion_usage_errors_exit_with_125,
    companion_failures_exit_with_1,
    companion_home_of_a_newer_version_is_left_alone,
    companion_home_that_cannot_be_made_gets_a_hint,
    companion_write_errors_are_told,
    companion_templates_name_the_place_of_a_mistake,
    companion_prune_asks_first,
];

fn companion_help_and_version_are_for_standard_output() {
    for args in [&["--help"][..], &["volume", "--help"], &["help", "volume"], &["volume"]] {
        assert!(bundles(args).ok().contains("volume"), "{args:?}");
    }
    assert!(bundles(["--version"]).ok().starts_with("bundles "));
    assert!(!home().exists(), "help makes no home");
}

fn companion_mistyped_words_get_a_guess() {
    for (args, guess) in [
        (&["volum", "ls"][..], "'volume'"),
        (&["voluem", "ls"], "'volume'"),
        (&["volume", "sl"], "did you mean 'bundles volume ls'?"),
        (&["df"], "did you mean 'bundles system df'?"),
        (&["volume", "ls", "--formt", "json"], "'--format'"),
        (&["volume", "create", "--lable", "a"], "'--label'"),
    ] {
        let output = bundles(args).output();
        output.assert_exit(125).assert_stderr_has(guess);
        assert!(output.stderr().starts_with("bundles: "), "{}", output.stderr());
    }
}

fn companion_dashes_of_documents_are_taken() {
    bundles(["volume", "create", "\u{2014}name", "a", "\u{2013}label=k=v"]).ok();
    bundles(["volume", "create", "-name", "b", "\u{2013}\u{2013}label", "k=w"]).ok();
    let all = bundles(["volume", "ls", "-format", "{{.Name}}={{.Label \"k\"}}"]).ok();
    assert_eq!(all, "a=v\nb=w\n");
    // What stands behind -- is a name, however odd.
    bundles(["volume", "create", "--", "\u{2014}name"]).output().assert_exit(1);
}

fn companion_usage_errors_exit_with_125() {
    for args in [
        &["nosuch"][..],
        &["volume", "rm"],
        &["volume", "create", "a", "b"],
        &["volume", "create", "a", "--name", "b"],
        &["volume", "ls", "--nosuch"],
    ] {
        bundles(args).output().assert_exit(125).assert_fails();
    }
    assert!(!home().exists(), "a usage error makes no home");
    // The last of repeated flags counts.
    bundles(["volume", "ls", "--format", "{{", "--format", "json"]).ok();
}

fn companion_failures_exit_with_1() {
    bundles(["volume", "inspect", "nosuch"]).output().assert_exit(1).assert_fails();
    bundles(["volume", "ls", "--filter", "colour=red"])
        .output()
        .assert_exit(1)
        .assert_stderr_has("the keys here are: name label label! dangling driver");
}

fn companion_home_of_a_newer_version_is_left_alone() {
    bundles(["volume", "create", "a"]).ok();
    fs::write(home().join("version"), "99\n").expect("write");
    for args in [&["volume", "rm", "a"][..], &["system", "prune", "-f"]] {
        let output = bundles(args).output();
        output.assert_exit(1).assert_stderr_has("layout \"99\", this one knows \"1\"");
    }
    assert!(home().join("volumes/a/_data").is_dir());
}

fn companion_home_that_cannot_be_made_gets_a_hint() {
    let output = bundles(["--root", "/proc/nowhere/home", "volume", "ls"]).output();
    output.assert_exit(1).assert_stderr_has("mkdir(/proc/nowhere/home)");
    output.assert_stderr_has("hint: choose a directory that you may write to, with --root DIR");
}

fn companion_write_errors_are_told() {
    bundles(["volume", "create", "a"]).ok();
    let script = "\"$@\" >/dev/full";
    let output = bundles(["volume", "ls"]).through(["/bin/sh", "-c", script, "sh"]).output();
    output.assert_exit(1).assert_stderr_has("bundles: write to standard output: No space left");
}

fn companion_templates_name_the_place_of_a_mistake() {
    bundles(["volume", "create", "a"]).ok();
    for (format, text) in [
        ("{{.Nmae}}", "--format: column 3: .Nmae: no such field; there are Availability"),
        ("{{.name}}", "did you mean .Name?"),
        ("{{.Name", "--format: column 1: action without its closing }}"),
        ("{{jsn .}}", "function \"jsn\" is not known"),
    ] {
        let output = bundles(["volume", "ls", "--format", format]).output();
        output.assert_exit(1).assert_stderr_has(text);
    }
}

fn companion_prune_asks_first() {
    let name = bundles(["volume", "create"]).ok();
    for answer in ["", "n\n", "\n"] {
        let output = bundles(["volume", "prune"]).stdin(answer).output();
        output.assert_exit(1).assert_stderr_has("nothing was removed");
        assert!(output.stdout().starts_with("WARNING! This will remove anonymous local volumes"));
    }
    assert_eq!(bundles(["volume", "ls", "-q"]).ok(), name);
    bundles(["system", "prune", "--volumes"]).stdin("n\n").output().assert_exit(1);
    let output = bundles(["volume", "prune"]).stdin("y\n").ok();
    assert!(output.contains(name.trim()), "{output}");
    assert_eq!(bundles(["volume", "ls", "-q"]).ok(), "");
}
