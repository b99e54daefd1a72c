//! `bundles build` that goes wrong: errors with their places, and nothing left behind.

use std::fs;

use runtime_tests::companion::{bundles, home};
use runtime_tests::prelude::*;

use super::companion_build::{Context, assert_nothing_is_left, fails};

tests![
    companion_build_mistakes,
    companion_build_failure_leaves_nothing,
    companion_build_killed_leaves_no_container,
];

fn companion_build_mistakes() {
    let context = Context::new("FROM base:1\n");
    for (text, told) in [
        (
            "FROM base:1\n\nRUNN x\n",
            "Dockerfile: line 3, column 1: unknown instruction RUNN\n  hint: did you mean RUN?\n",
        ),
        ("FROM base:1\nENV A=${A\n", "Dockerfile: line 2, column 7: no } ends ${\n"),
        (
            "FROM base:1\nRUN \\\n  --mount=type=bind x\n",
            "Dockerfile: line 3, column 3: --mount=type=bind: no target\n  hint: add target=PATH\n",
        ),
        (
            "FROM base:1\nCOPY nosuch /\n",
            "Dockerfile: line 2, column 6: COPY: /nosuch: not found\n  hint: paths are those of the context, or with --from of the other stage\n",
        ),
        (
            "FROM base:1\nUSER nosuch\nRUN true\n",
            "Dockerfile: line 3, column 1: RUN: user nosuch: not in the container's /etc/passwd\n  hint: write the number, such as -u 1000:1000\n",
        ),
        (
            "FROM base:1\nRUN exit 7\n",
            "Dockerfile: line 2, column 1: RUN: /bin/sh -c exit 7: exit code 7\n",
        ),
        (
            "FROM base:1 AS a\nCOPY --from=later a b\nFROM a AS later\n",
            "Dockerfile: line 2, column 1: --from=later: that stage does not come before this one\n",
        ),
    ] {
        let err = context.file("Dockerfile", text).fails(&[]);
        assert!(err.ends_with(&format!("bundles: {told}")), "{text}: {err}");
    }
    let none = fails(bundles(["build", "-t", "x"]));
    assert_eq!(
        none.stderr(),
        "bundles: no context\n  hint: add . to the command: the directory of the files that COPY and ADD take\n"
    );
    fs::remove_file(context.0.join("Dockerfile")).expect("remove");
    let err = context.fails(&[]);
    assert!(err.contains(": no Dockerfile in it\n  hint: name the file with -f FILE"), "{err}");
    context.file("dockerfile", "FROM base:1\n").build(&[]);
}

fn companion_build_failure_leaves_nothing() {
    let context =
        Context::new("FROM base:1\nRUN echo good > /good\nRUN echo said; echo wrong >&2; false\n");
    let told = context.fails(&[]);
    assert!(told.contains(" said\n") && told.contains(" wrong\n"), "{told}");
    assert_nothing_is_left(&home());
    let told = fails(context.call(&["-q"]));
    assert_eq!(told.stdout(), "");
    assert!(told.stderr().contains("------\nsaid\nwrong\n------\n"), "{}", told.stderr());
    assert_eq!(bundles(["images", "-q"]).ok().lines().count(), 1);
    // What was done is known.
    context.file("Dockerfile", "FROM base:1\nRUN echo good > /good\nRUN true\n");
    assert_eq!(context.build(&[]).matches("CACHED").count(), 2);
}

/// The guard ends the container, and removes the files.
fn companion_build_killed_leaves_no_container() {
    let context = Context::new("FROM base:1\nRUN echo begun; sleep 1000\n");
    let child = context.call(&[]).spawn();
    until("the step begins", || child.stderr().contains("begun\n").then_some(()));
    child.signal(nix::sys::signal::Signal::SIGKILL);
    let sleeps = || runtime_tests::companion::processes("sleep").len();
    until("the container ends", || (sleeps() == 0).then_some(()));
    until("its files go", || {
        fs::read_dir(home().join("tmp")).is_ok_and(|mut all| all.next().is_none()).then_some(())
    });
    assert_nothing_is_left(&home());
}
